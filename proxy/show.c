/*
 * show.c: the table of views, how one is gathered and printed, and the small views. See show.h.
 * Thread: control; show_collect_numbers: worker.
 */
#include "proxy/show.h"

#include "parser/msgout.h"
#include "proxy/admin.h"
#include "proxy/control.h"
#include "proxy/usage.h"
#include "proxy/version.h"

#include <strings.h>
#include <time.h>

/* --- the table --- */

#define S 25, -1
#define I 23, 4
#define Q 20, 8
#define N 1700, -1
#define T 25, -1
#define VIEW(id, name, collect, print) static const struct msg_column id##_columns[] = {
#define COLUMN(name, ...) {name, __VA_ARGS__},
#define VIEW_END                                                                                                       \
    }                                                                                                                  \
    ;
#include "proxy/show.def"
#undef VIEW
#undef COLUMN
#undef VIEW_END
#undef S
#undef I
#undef Q
#undef N
#undef T

#define VIEW(id, name, collect, print) {name, id##_columns, ARRAY_LEN(id##_columns), collect, print},
#define COLUMN(name, type)
#define VIEW_END
static const struct show_view views[] = {
#include "proxy/show.def"
};
#undef VIEW
#undef COLUMN
#undef VIEW_END

const struct show_view *show_view_at(size_t i)
{
    return i < ARRAY_LEN(views) ? &views[i] : NULL;
}

const struct show_view *show_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(views); i++)
        if (strcasecmp(views[i].name, name) == 0)
            return &views[i];
    return NULL;
}

/* --- one SHOW --- */

void show_collect_none(struct worker *w, void *show)
{
    (void)w;
    (void)show;
}

static void print(void *arg)
{
    struct show *s = arg;

    if (!control_ended()) {
        msg_row_description(&s->out, s->view->columns, s->view->column_count);
        s->view->print(s);
        msg_command_complete(&s->out, "SHOW");
    }
    s->finished(s);
}

void show_start(struct show *s, const struct show_view *view, void (*finished)(struct show *s))
{
    s->view = view;
    s->finished = finished;
    if (view->collect == show_collect_none)
        print(s);
    else
        workers_call(view->collect, print, s);
}

void show_free(struct show *s)
{
    for (int i = 0; i < WORKERS_MAX; i++) {
        buf_free(&s->rows[i]);
        free(s->pools[i]);
    }
    buf_free(&s->out);
}

size_t show_row(struct buf *b, const struct show *s)
{
    return msg_row_begin(b, s->view->column_count);
}

void show_time(struct buf *b, usec_t at, usec_t now)
{
    time_t seconds = (time_t)((clock_wall() - (now - at)) / USEC_PER_SEC);
    struct tm tm;
    char text[64] = "";

    localtime_r(&seconds, &tm);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %Z", &tm);
    msg_row_text(b, text);
}

void show_print_rows(struct show *s)
{
    for (int i = 0; i < worker_count; i++)
        buf_put(&s->out, buf_head(&s->rows[i]), buf_used(&s->rows[i]));
}

void show_print_nothing(struct show *s)
{
    (void)s;
}

/* --- numbers --- */

void show_collect_numbers(struct worker *w, void *show)
{
    struct show *s = show;
    int64_t *n = s->numbers[w->index];

    for (int state = 0; state < CLIENT_LINGER; state++)
        n[state <= CLIENT_AUTH ? NUMBER_LOGIN_CLIENTS : NUMBER_USED_CLIENTS] += w->client_count[state];
    n[NUMBER_CONSOLES] = w->client_count[CLIENT_CONSOLE];
    n[NUMBER_SHAPES] = (int64_t)w->statements.cache.count;
    n[NUMBER_SHAPE_BYTES] = (int64_t)w->statements.cache.bytes;
    for (uint32_t i = 0; i < w->slot_count; i++)
        n[NUMBER_FREE_CLIENTS] += w->slots[i].client == NULL;
    LIST_FOR_EACH (it, &w->pools.all) {
        const struct pool *p = LIST_ENTRY(it, struct pool, node);
        for (int state = 0; state < SERVER_DEAD; state++)
            n[state == SERVER_IDLE ? NUMBER_FREE_SERVERS : NUMBER_USED_SERVERS] += p->count[state];
    }
}

int64_t show_number(const struct show *s, enum show_number which)
{
    int64_t sum = 0;

    for (int i = 0; i < worker_count; i++)
        sum += s->numbers[i][which];
    return sum;
}

static void pair_text(struct show *s, const char *key, const char *value)
{
    size_t mark = show_row(&s->out, s);

    msg_row_text(&s->out, key);
    msg_row_text(&s->out, value);
    msg_end(&s->out, mark);
}

static void pair_number(struct show *s, const char *key, int64_t value)
{
    size_t mark = show_row(&s->out, s);

    msg_row_text(&s->out, key);
    msg_row_int(&s->out, value);
    msg_end(&s->out, mark);
}

struct dns_count {
    int64_t names;
    int64_t pending;
};

static void count_name(void *arg, const char *host, int64_t ttl_s, const char *addresses)
{
    struct dns_count *d = arg;

    (void)host;
    d->names++;
    d->pending += ttl_s == 0 && *addresses == '\0';
}

void show_print_lists(struct show *s)
{
    struct dns_count dns = {0, 0};

    resolve_each(count_name, &dns);
    pair_number(s, "databases", (int64_t)show_database_count());
    pair_number(s, "users", (int64_t)show_user_count());
    pair_number(s, "peers", (int64_t)control_config()->peer_count);
    pair_number(s, "pools", usage_pool_count() + 1); /* and the console's */
    pair_number(s, "peer_pools", (int64_t)control_config()->peer_count);
    pair_number(s, "free_clients", show_number(s, NUMBER_FREE_CLIENTS));
    pair_number(s, "used_clients", show_number(s, NUMBER_USED_CLIENTS));
    pair_number(s, "login_clients", show_number(s, NUMBER_LOGIN_CLIENTS));
    pair_number(s, "free_servers", show_number(s, NUMBER_FREE_SERVERS));
    pair_number(s, "used_servers", show_number(s, NUMBER_USED_SERVERS));
    pair_number(s, "dns_names", dns.names);
    pair_number(s, "dns_zones", 0);
    pair_number(s, "dns_queries", dns.pending);
    pair_number(s, "dns_pending", dns.pending);
}

static void mem_row(struct show *s, const char *name, size_t size, int64_t used, int64_t free_count)
{
    size_t mark = show_row(&s->out, s);

    msg_row_text(&s->out, name);
    msg_row_int(&s->out, (int64_t)size);
    msg_row_int(&s->out, used);
    msg_row_int(&s->out, free_count);
    msg_row_int(&s->out, (int64_t)size * (used + free_count));
    msg_end(&s->out, mark);
}

/* Objects of one size, whose memory goes back when they go: nothing of them is kept free. */
void show_print_mem(struct show *s)
{
    int64_t clients = show_number(s, NUMBER_USED_CLIENTS) + show_number(s, NUMBER_LOGIN_CLIENTS);
    int64_t servers = show_number(s, NUMBER_FREE_SERVERS) + show_number(s, NUMBER_USED_SERVERS);
    int64_t shapes = show_number(s, NUMBER_SHAPES), shape_bytes = show_number(s, NUMBER_SHAPE_BYTES);
    size_t texts, bytes;

    stmt_text_usage(&texts, &bytes);
    mem_row(s, "user_cache", sizeof(struct user_state), (int64_t)show_user_count(), 0);
    mem_row(s, "db_cache", sizeof(struct database_state), (int64_t)show_database_count(), 0);
    mem_row(s, "pool_cache", sizeof(struct target), limits_target_count(), 0);
    mem_row(s, "client_cache", sizeof(struct client), clients, 0);
    mem_row(s, "client_slot_cache", sizeof(struct client_slot), clients, show_number(s, NUMBER_FREE_CLIENTS));
    mem_row(s, "server_cache", sizeof(struct server), servers, 0);
    mem_row(s, "prepared_statement_cache", texts == 0 ? 0 : bytes / texts, (int64_t)texts, 0);
    mem_row(s, "statement_cache", shapes == 0 ? 0 : (size_t)(shape_bytes / shapes), shapes, 0);
}

/* --- what the process knows of itself --- */

void show_print_version(struct show *s)
{
    size_t mark = show_row(&s->out, s);

    msg_row_text(&s->out, "PgBouncer " PGBOUNCER_VERSION " (Sluice " SLUICE_VERSION ")");
    msg_end(&s->out, mark);
}

void show_print_state(struct show *s)
{
    bool idle = admin_paused() || admin_suspended();

    pair_text(s, "active", idle ? "no" : "yes");
    pair_text(s, "paused", admin_paused() && !admin_suspended() ? "yes" : "no");
    pair_text(s, "suspended", admin_suspended() ? "yes" : "no");
}

static void config_row(struct show *s, const struct config *c, const struct option_info *info)
{
    size_t size = option_value(&c->opt, info, NULL, 0) + 1;
    char *value = mem_alloc(size);
    size_t mark = show_row(&s->out, s);
    bool own_file = strcmp(info->name, "conffile") == 0 && size == 1;

    option_value(&c->opt, info, value, size);
    msg_row_text(&s->out, info->name);
    msg_row_text(&s->out, own_file ? c->file : value);
    msg_row_text(&s->out, c->pgbouncer ? info->fallback_pgbouncer : info->fallback_sluice);
    msg_row_text(&s->out, info->reloadable ? "yes" : "no");
    msg_end(&s->out, mark);
    free(value);
}

void show_print_config(struct show *s)
{
    const struct config *c = control_config();

    for (size_t i = 0; i < option_count(); i++)
        config_row(s, c, option_at(i));
}

static void dns_row(void *arg, const char *host, int64_t ttl_s, const char *addresses)
{
    struct show *s = arg;
    size_t mark = show_row(&s->out, s);

    msg_row_text(&s->out, host);
    msg_row_int(&s->out, ttl_s);
    msg_row_text(&s->out, addresses);
    msg_end(&s->out, mark);
}

void show_print_dns_hosts(struct show *s)
{
    resolve_each(dns_row, s);
}
