/*
 * sharding_told.c: which shards a statement concerns, and how they are asked, in words. See sharding.h.
 * Thread: worker.
 */
#include "proxy/finding.h"

#include "proxy/catalog.h"
#include "proxy/coordinator.h"
#include "proxy/cursor.h"

#include <stdio.h>

static void put_shards(const struct finding *f, char *out, size_t size)
{
    size_t at = 0;

    snprintf(out, size, "any");
    for (uint32_t k = 0; f->shards >> k != 0 && at < size; k++)
        if (f->shards >> k & 1)
            at += (size_t)snprintf(out + at, size - at, "%s%s", at == 0 ? "" : ", ", f->map->shard_names[k]);
}

/* NULL: it is not carried out by several shards. */
static const char *way_of_deal(struct finding *f)
{
    struct sharding_deal deal = {.split = NULL};
    struct scatter_refusal r;
    bool dealt = finding_is_many(f) && finding_deal(f, &deal, &r);

    insert_split_free(deal.split);
    if (!dealt)
        return NULL;
    return deal.way == WRITE_ROWS || deal.way == WRITE_COPY ? "in one transaction: each of them its rows"
           : deal.way == WRITE_COPY_OUT ? "in one transaction: what a SELECT has of them is written as COPY does"
           : deal.way == WRITE_REFILL   ? "in one transaction: its rows are fetched, and each is put where it belongs"
           : deal.way == WRITE_IMAGES   ? "in one transaction: the first runs it, all get its rows"
           : deal.way == WRITE_SAME     ? "in one transaction: the same on each of them"
                                        : "in one transaction: the same on one after the other";
}

/* gather_prefers_whole */
static bool could_not_be_merged(const struct finding *f)
{
    return f->run->shape != NULL && reading_of(f->run->shape)->unmerged == catalog_generation(f->c->db);
}

static void tell(struct client *c, const struct sharding_run *run, struct sharding_told *told)
{
    struct finding f = finding_to_tell(c, run);
    const char *deals = way_of_deal(&f);
    struct scatter_refusal r = {.why = "shards' last answers to it could not be merged"};
    bool merges = !could_not_be_merged(&f) || !finding_is_coordinators(&f);
    struct scatter_plan *plan = finding_is_many(&f) && merges ? finding_plan(&f, &r) : NULL;

    told->set = f.shards;
    told->way[0] = '\0';
    put_shards(&f, told->shards, sizeof told->shards);
    if (plan != NULL)
        snprintf(told->way, sizeof told->way, "all of them together: %s", plan->why);
    else if (deals != NULL)
        snprintf(told->way, sizeof told->way, "%s", deals);
    else if (finding_is_coordinators(&f))
        snprintf(told->way, sizeof told->way, "coordinator: %s", f.viewed ? "it has a view" : r.why);
    else if (finding_is_many(&f))
        finding_refuse_many(&f);
    else
        snprintf(told->way, sizeof told->way, f.told ? "one shard, which its user names" : "one shard");
    if (f.sqlstate != NULL && strncmp(told->way, "coordinator", 11) != 0)
        snprintf(told->way, sizeof told->way, "refused: %s", f.message);
    scatter_plan_free(plan);
}

/* Where the SELECT begins whose way a cursor takes; 0: it takes its own. */
static size_t select_of(struct client *c, const struct sharding_run *run)
{
    const struct finding f = finding_to_tell(c, run);

    return f.told ? 0 : cursor_select(finding_stmt(&f), run->sql, client_lex_flags(c));
}

void sharding_tell(struct client *c, const struct sharding_run *run, struct sharding_told *told)
{
    struct sharding_run select = *run;
    size_t at = select_of(c, run);

    if (at == 0) {
        tell(c, run, told);
        return;
    }
    select.sql = run->sql + at;
    select.shape = statement_recall(c, select.sql, strlen(select.sql));
    tell(c, &select, told);
}

void sharding_tell_stranger(struct worker *w, struct database_state *db, const char *sql, struct sharding_told *told)
{
    struct client *c = mem_zalloc(sizeof *c);
    struct shape *shape = mem_zalloc(sizeof *shape + 1);
    struct user_state nobody = {.index = UINT32_MAX};
    char *text;

    c->worker = w;
    c->db = db;
    c->user = &nobody;
    c->vars = vars_with(vars_new(), "client_encoding", "UTF8", true);
    shape->value = reading_apart(&w->config->opt, sql, &text);
    struct sharding_run run = {.shape = shape, .sql = sql};
    size_t at = select_of(c, &run);
    if (at == 0)
        tell(c, &run, told);
    else
        sharding_tell_stranger(w, db, sql + at, told);
    reading_free(shape->value);
    free(text);
    free(shape);
    vars_unref(c->vars);
    free(c);
}
