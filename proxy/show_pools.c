/*
 * show_pools.c: POOLS, DATABASES, USERS: one row for each, over all workers.
 * Thread: control; show_collect_pools: worker.
 */
#include "parser/msgout.h"
#include "proxy/admin.h"
#include "proxy/control.h"
#include "proxy/show.h"
#include "proxy/usage.h"

#include <stdio.h>

#define CONSOLE_NAME "pgbouncer" /* as which PgBouncer's own console appears in its views */
#define CONSOLE_POOL_SIZE 2

/* --- POOLS --- */

struct pool_counts {
    int cl_active, cl_waiting;
    int sv_active, sv_canceled, sv_idle, sv_used, sv_tested, sv_login;
    usec_t max_wait_us;
};

/* The pool that a client waits in, or has a server of; else the one that its login chose. */
static const struct target *target_of(const struct client *c)
{
    if (c->server != NULL)
        return c->server->pool->target;
    return !list_empty(&c->waiter.node) ? c->waiter.pool->target : c->target;
}

static void count_clients(struct worker *w, struct pool_counts *counts, int count)
{
    for (int state = CLIENT_WELCOME; state <= CLIENT_ACTIVE; state++) {
        LIST_FOR_EACH (it, &w->clients[state]) {
            const struct client *c = LIST_ENTRY(it, struct client, node);
            const struct target *t = target_of(c);
            if (t == NULL || t->index >= count || c->inside)
                continue;
            if (state == CLIENT_WAITING || state == CLIENT_WELCOME)
                counts[t->index].cl_waiting++;
            else
                counts[t->index].cl_active++;
        }
    }
}

/* PgBouncer's "used": idle for so long that it is checked before it is given out. */
static int count_used(const struct pool *p, usec_t now)
{
    usec_t delay = p->set->config->opt.server_check_delay;
    int used = 0;

    LIST_FOR_EACH (it, &p->servers[SERVER_IDLE])
        used += now - LIST_ENTRY(it, struct server, node)->state_since > delay;
    return used;
}

static void count_pool(const struct pool *p, struct pool_counts *n, usec_t now)
{
    n->sv_active = p->count[SERVER_ACTIVE];
    n->sv_canceled = p->count[SERVER_CANCELED];
    n->sv_used = count_used(p, now);
    n->sv_idle = p->count[SERVER_IDLE] - n->sv_used;
    n->sv_tested = p->count[SERVER_CHECKING] + p->count[SERVER_CLEANING];
    n->sv_login = p->count[SERVER_RESOLVING] + p->count[SERVER_CONNECTING] + p->count[SERVER_LOGIN];
    if (!list_empty(&p->waiting))
        n->max_wait_us = MAX(now - LIST_FIRST(&p->waiting, struct waiter, node)->since, 0);
}

void show_collect_pools(struct worker *w, void *show)
{
    struct show *s = show;
    int count = limits_target_count();
    struct pool_counts *counts = mem_zalloc((size_t)MAX(count, 1) * sizeof *counts);
    usec_t now = clock_now();

    LIST_FOR_EACH (it, &w->pools.all) {
        const struct pool *p = LIST_ENTRY(it, struct pool, node);
        if (p->target->index < count)
            count_pool(p, &counts[p->target->index], now);
    }
    count_clients(w, counts, count);
    s->pools[w->index] = counts;
    s->pool_count[w->index] = count;
    s->numbers[w->index][NUMBER_CONSOLES] = w->client_count[CLIENT_CONSOLE];
}

static struct pool_counts sum_pool(const struct show *s, int index)
{
    struct pool_counts sum = {0};

    for (int w = 0; w < worker_count; w++) {
        if (index >= s->pool_count[w])
            continue;
        const struct pool_counts *n = &s->pools[w][index];
        sum.cl_active += n->cl_active;
        sum.cl_waiting += n->cl_waiting;
        sum.sv_active += n->sv_active;
        sum.sv_canceled += n->sv_canceled;
        sum.sv_idle += n->sv_idle;
        sum.sv_used += n->sv_used;
        sum.sv_tested += n->sv_tested;
        sum.sv_login += n->sv_login;
        sum.max_wait_us = MAX(sum.max_wait_us, n->max_wait_us);
    }
    return sum;
}

static const struct config_database *database_of(const char *name)
{
    const struct config_database *d = config_database_find(control_config(), name);

    return d != NULL ? d : control_config()->fallback;
}

static enum pool_mode mode_of(const struct target *t)
{
    const struct config_user *u = config_user_find(control_config(), t->user->name);
    const struct config_database *d = database_of(t->db->name);

    if (u != NULL && u->pool_mode != POOL_MODE_UNSET)
        return u->pool_mode;
    return d != NULL && d->pool_mode != POOL_MODE_UNSET ? d->pool_mode
                                                        : (enum pool_mode)control_config()->opt.pool_mode;
}

/* Percent of the pool's size that works for clients; NULL where the size has no limit. */
static void put_utilization(struct buf *b, const struct pool_counts *n, int size)
{
    if (size <= 0)
        msg_row_text(b, NULL);
    else
        msg_row_int(b, (int64_t)(n->sv_active + n->sv_canceled + n->sv_tested) * 100 / size);
}

static void pool_row(struct show *s, const char *database, const char *user, const struct pool_counts *n,
                     const char *mode, const char *balance, int size, int open, const char *node)
{
    struct buf *b = &s->out;
    size_t mark = show_row(b, s);
    const int64_t numbers[] = {n->cl_active,
                               n->cl_waiting,
                               0,
                               0,
                               n->sv_active,
                               0,
                               n->sv_canceled,
                               n->sv_idle,
                               n->sv_used,
                               n->sv_tested,
                               n->sv_login,
                               n->max_wait_us / USEC_PER_SEC,
                               n->max_wait_us % USEC_PER_SEC};

    msg_row_text(b, database);
    msg_row_text(b, user);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        msg_row_int(b, numbers[i]);
    msg_row_text(b, mode);
    msg_row_text(b, balance);
    put_utilization(b, n, size);
    msg_row_int(b, size);
    msg_row_int(b, open);
    msg_row_text(b, node);
    msg_end(b, mark);
}

static struct target *target_at(int index)
{
    struct target *t = limits_targets();

    while (t != NULL && t->index != index)
        t = t->next;
    return t;
}

/* A replica's pool has a name of its own: what reads this view knows a pool by database and user. */
void show_print_pools(struct show *s)
{
    struct pool_counts console = {.cl_active = (int)show_number(s, NUMBER_CONSOLES)};
    int count = limits_target_count();

    for (int i = 0; i < count; i++) {
        const struct target *t = target_at(i);
        if (!usage_pool_shown(t))
            continue;
        const struct config_database *d = database_of(t->db->name);
        struct pool_counts n = sum_pool(s, i);
        char *node = t->host == NULL ? NULL : mem_printf("%s:%d", t->host, t->port);
        char *name = t->host == NULL ? mem_strdup(t->db->name) : mem_printf("%s@%s", t->db->name, node);
        pool_row(s, name, t->user->name, &n, pool_mode_name(mode_of(t)),
                 d == NULL || d->host_count < 2 ? NULL : d->load_balance_hosts,
                 __atomic_load_n(&t->size, __ATOMIC_RELAXED), limits_used(t), node);
        free(name);
        free(node);
    }
    pool_row(s, CONSOLE_NAME, CONSOLE_NAME, &console, "statement", NULL, CONSOLE_POOL_SIZE, 0, NULL);
}

/* --- DATABASES --- */

struct database_figures {
    int connections, clients, paused, disabled;
};

static int override(int own, int global)
{
    return own == UNSET_INT ? global : own;
}

static void put_sizes(struct buf *b, const struct config_database *d)
{
    const struct options *o = &control_config()->opt;
    usec_t lifetime = d->server_lifetime == UNSET_USEC ? o->server_lifetime : d->server_lifetime;

    msg_row_int(b, override(d->pool_size, d->coordinates ? o->coordinator_pool_size : o->default_pool_size));
    msg_row_int(b, override(d->min_pool_size, o->min_pool_size));
    msg_row_int(b, override(d->reserve_pool_size, o->reserve_pool_size));
    msg_row_int(b, lifetime / USEC_PER_SEC);
}

static void database_row(struct show *s, const char *name, const struct config_database *d,
                         const struct database_figures *f)
{
    const struct options *o = &control_config()->opt;
    struct buf *b = &s->out;
    struct buf hosts = {0};
    size_t mark = show_row(b, s);

    for (size_t i = 0; i < d->host_count; i++) {
        if (i > 0)
            buf_put_u8(&hosts, ',');
        buf_put(&hosts, d->hosts[i].host, strlen(d->hosts[i].host));
    }
    buf_put_u8(&hosts, '\0');
    msg_row_text(b, name);
    msg_row_text(b, (const char *)buf_head(&hosts));
    msg_row_int(b, d->hosts[0].port);
    msg_row_text(b, d->dbname != NULL ? d->dbname : name);
    msg_row_text(b, d->user);
    put_sizes(b, d);
    msg_row_text(b, d->pool_mode == POOL_MODE_UNSET ? NULL : pool_mode_name(d->pool_mode));
    msg_row_text(b, d->host_count < 2 ? NULL : d->load_balance_hosts);
    msg_row_int(b, override(d->max_db_connections, o->max_db_connections));
    msg_row_int(b, f->connections);
    msg_row_int(b, override(d->max_db_client_connections, o->max_db_client_connections));
    msg_row_int(b, f->clients);
    msg_row_int(b, f->paused);
    msg_row_int(b, f->disabled);
    msg_end(b, mark);
    buf_free(&hosts);
}

static void console_row(struct show *s)
{
    struct buf *b = &s->out;
    size_t mark = show_row(b, s);

    msg_row_text(b, CONSOLE_NAME);
    msg_row_text(b, NULL);
    msg_row_int(b, control_config()->opt.listen_port);
    msg_row_text(b, CONSOLE_NAME);
    msg_row_text(b, CONSOLE_NAME);
    msg_row_int(b, CONSOLE_POOL_SIZE);
    for (int i = 0; i < 3; i++)
        msg_row_int(b, 0);
    msg_row_text(b, "statement");
    msg_row_text(b, NULL);
    for (int i = 0; i < 6; i++)
        msg_row_int(b, 0);
    msg_end(b, mark);
}

/* limits' lock is held while its names are walked. */
struct database_walk {
    struct show *show;
    const char *name; /* NULL: those that came to be through the fallback */
    struct database_figures figures;
    size_t count;
};

static void figures_of(const struct database_state *db, struct database_figures *f)
{
    *f = (struct database_figures){.connections = db->servers,
                                   .clients = __atomic_load_n(&db->clients, __ATOMIC_RELAXED),
                                   .paused = admin_paused() || __atomic_load_n(&db->paused, __ATOMIC_RELAXED),
                                   .disabled = __atomic_load_n(&db->disabled, __ATOMIC_RELAXED)};
}

static void find_figures(void *arg, struct database_state *db)
{
    struct database_walk *walk = arg;

    if (strcmp(db->name, walk->name) == 0)
        figures_of(db, &walk->figures);
}

static bool is_automatic(const struct database_state *db)
{
    return usage_is_automatic(db) && usage_database_shown(db);
}

static void automatic_row(void *arg, struct database_state *db)
{
    struct database_walk *walk = arg;
    struct database_figures f;

    if (!is_automatic(db))
        return;
    figures_of(db, &f);
    database_row(walk->show, db->name, control_config()->fallback, &f);
}

static void automatic_count(void *arg, struct database_state *db)
{
    size_t *count = arg;

    *count += is_automatic(db);
}

void show_print_databases(struct show *s)
{
    const struct config *c = control_config();
    struct database_walk walk = {.show = s};

    for (size_t i = 0; i < c->database_count; i++) {
        walk.name = c->databases[i]->name;
        walk.figures = (struct database_figures){.paused = admin_paused()};
        limits_each_database(find_figures, &walk);
        database_row(s, walk.name, c->databases[i], &walk.figures);
    }
    limits_each_database(automatic_row, &walk);
    console_row(s);
}

size_t show_database_count(void)
{
    size_t count = control_config()->database_count + 1; /* and the console */

    limits_each_database(automatic_count, &count);
    return count;
}

/* --- USERS --- */

struct user_row {
    const char *name;
    int connections, clients;
};

struct user_rows {
    struct user_row *items; /* owned */
    size_t count;
};

static void user_add(struct user_rows *r, const char *name, int connections, int clients)
{
    r->items = mem_realloc(r->items, (r->count + 1) * sizeof *r->items);
    r->items[r->count++] = (struct user_row){.name = name, .connections = connections, .clients = clients};
}

static void user_seen(void *arg, struct user_state *u)
{
    user_add(arg, u->name, u->servers, __atomic_load_n(&u->clients, __ATOMIC_RELAXED));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct user_row *)a)->name, ((const struct user_row *)b)->name);
}

/* All users of the configuration and all that were seen, each once, by name. */
static struct user_rows users_gather(void)
{
    const struct config *c = control_config();
    struct user_rows r = {NULL, 0};
    size_t kept = 0;

    for (size_t i = 0; i < c->user_count; i++)
        user_add(&r, c->users[i]->name, 0, 0);
    for (size_t i = 0; i < c->secret_count; i++)
        user_add(&r, c->secrets[i].user, 0, 0);
    limits_each_user(user_seen, &r);
    if (r.count > 1)
        qsort(r.items, r.count, sizeof *r.items, by_name);
    for (size_t i = 0; i < r.count; i++) {
        if (kept > 0 && strcmp(r.items[kept - 1].name, r.items[i].name) == 0) {
            r.items[kept - 1].connections += r.items[i].connections;
            r.items[kept - 1].clients += r.items[i].clients;
        } else {
            r.items[kept++] = r.items[i];
        }
    }
    r.count = kept;
    return r;
}

size_t show_user_count(void)
{
    struct user_rows r = users_gather();

    free(r.items);
    return r.count;
}

static void put_override(struct buf *b, int value)
{
    if (value == UNSET_INT)
        msg_row_text(b, NULL);
    else
        msg_row_int(b, value);
}

static void user_row(struct show *s, const struct user_row *row)
{
    const struct options *o = &control_config()->opt;
    const struct config_user *u = config_user_find(control_config(), row->name);
    struct buf *b = &s->out;
    size_t mark = show_row(b, s);

    msg_row_text(b, row->name);
    put_override(b, u == NULL ? UNSET_INT : u->pool_size);
    put_override(b, u == NULL ? UNSET_INT : u->reserve_pool_size);
    msg_row_text(b, u == NULL || u->pool_mode == POOL_MODE_UNSET ? NULL : pool_mode_name(u->pool_mode));
    msg_row_int(b, override(u == NULL ? UNSET_INT : u->max_user_connections, o->max_user_connections));
    msg_row_int(b, row->connections);
    msg_row_int(b, override(u == NULL ? UNSET_INT : u->max_user_client_connections, o->max_user_client_connections));
    msg_row_int(b, row->clients);
    msg_end(b, mark);
}

void show_print_users(struct show *s)
{
    struct user_rows r = users_gather();

    for (size_t i = 0; i < r.count; i++)
        user_row(s, &r.items[i]);
    free(r.items);
}
