/*
 * usage.c: see usage.h. What is in use is looked at once a second: a target by its servers and by the clients of its
 * database and user, a database by its clients and its targets.
 * Thread: control.
 */
#include "proxy/usage.h"

#include "proxy/control.h"

/* Since when something is idle. */
struct idle {
    const void *what; /* a target or a database_state, which are never freed */
    usec_t since;     /* 0: it is in use */
};

/* limits' lists only grow at their front, so what was at a place of the last look is as far from the end now. */
struct look {
    struct idle *items; /* owned, newest first */
    size_t count;
};

static struct look pools, databases; /* as they were at the last look */
static usec_t looked_at;

static void note(struct look *now_seen, const void *what, bool in_use)
{
    now_seen->items = mem_realloc(now_seen->items, (now_seen->count + 1) * sizeof(struct idle));
    now_seen->items[now_seen->count++] = (struct idle){.what = what, .since = in_use ? 0 : looked_at};
}

/* What was idle before and still is has been so since then. Takes over what is seen now. */
static void look_replace(struct look *seen, struct look *now_seen)
{
    size_t fresh = now_seen->count - seen->count;

    for (size_t i = 0; i < seen->count; i++) {
        struct idle *is = &now_seen->items[fresh + i];
        assert(is->what == seen->items[i].what);
        if (is->since != 0 && seen->items[i].since != 0)
            is->since = seen->items[i].since;
    }
    free(seen->items);
    *seen = *now_seen;
}

static bool target_in_use(const struct target *t)
{
    return limits_used(t) > 0 || (__atomic_load_n(&t->db->clients, __ATOMIC_RELAXED) > 0 &&
                                  __atomic_load_n(&t->user->clients, __ATOMIC_RELAXED) > 0);
}

static void note_database(void *arg, struct database_state *db)
{
    note(arg, db, db->servers > 0 || __atomic_load_n(&db->clients, __ATOMIC_RELAXED) > 0);
}

void usage_tick(usec_t now)
{
    struct look seen_pools = {NULL, 0}, seen_databases = {NULL, 0};

    looked_at = now;
    for (const struct target *t = limits_targets(); t != NULL; t = t->next)
        note(&seen_pools, t, target_in_use(t));
    limits_each_database(note_database, &seen_databases);
    look_replace(&pools, &seen_pools);
    look_replace(&databases, &seen_databases);
}

void usage_free(void)
{
    free(pools.items);
    free(databases.items);
    pools = databases = (struct look){NULL, 0};
}

static bool idle_for(const struct look *seen, const void *what, usec_t limit)
{
    for (size_t i = 0; limit > 0 && i < seen->count; i++)
        if (seen->items[i].what == what)
            return seen->items[i].since != 0 && looked_at - seen->items[i].since >= limit;
    return false;
}

bool usage_is_automatic(const struct database_state *db)
{
    const struct config *c = control_config();

    return c->fallback != NULL && strcmp(db->name, "pgbouncer") != 0 && strcmp(db->name, "sluice") != 0 &&
           config_database_find(c, db->name) == NULL;
}

bool usage_database_shown(const struct database_state *db)
{
    return !usage_is_automatic(db) || !idle_for(&databases, db, control_config()->opt.autodb_idle_timeout);
}

bool usage_pool_shown(const struct target *t)
{
    return usage_database_shown(t->db) && !idle_for(&pools, t, control_config()->opt.pool_idle_timeout);
}

int usage_pool_count(void)
{
    int count = 0;

    for (const struct target *t = limits_targets(); t != NULL; t = t->next)
        count += usage_pool_shown(t);
    return count;
}
