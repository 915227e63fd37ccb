/*
 * sharding.c: see sharding.h.
 * Thread: worker.
 */
#include "proxy/finding.h"

#include "proxy/catalog.h"
#include "proxy/coordinator.h"
#include "proxy/cursor.h"
#include "proxy/draw.h"
#include "proxy/joint.h"
#include "proxy/joint_words.h"
#include "proxy/place.h"
#include "proxy/routing.h"
#include "proxy/sharding_copy_out.h"
#include "proxy/sharding_refill.h"
#include "proxy/timing.h"
#include "proxy/visit.h"

#include <stdio.h>

#define PATIENCE_USEC (5 * USEC_PER_SEC)       /* for a map, which there may never be */
#define ANEW_PATIENCE_USEC (30 * USEC_PER_SEC) /* for the catalog that has changed: catalog.c may need two attempts */

/* --- several shards together --- */

static bool begins_with(struct span text, const char *word)
{
    return text.len >= strlen(word) && memcmp(text.ptr, word, strlen(word)) == 0;
}

/* A column of a text has a deterministic collation, or the catalog would not have told its type. */
static unsigned fact_column(void *arg, const struct map_table *t, const char *name)
{
    const struct finding *f = arg;
    struct catalog_table found;
    struct span type;
    int position;

    if (catalog_table(f->c->db, t->schema, t->name, &found) != CATALOG_ONE)
        return 0;
    if (!catalog_column(f->c->db, &found, name, &position, &type))
        return SCATTER_COLUMN_ABSENT;
    bool text = begins_with(type, "text") || begins_with(type, "character");
    return SCATTER_COLUMN_THERE | (type.len > 0 ? SCATTER_COLUMN_EXACT : 0u) | (text ? SCATTER_COLUMN_TEXT : 0u);
}

static enum scatter_function fact_function(void *arg, const char *schema, const char *name)
{
    return catalog_is_users(((const struct finding *)arg)->c->db, schema, name) ? SCATTER_IMPURE : SCATTER_NOT_USERS;
}

static bool fact_operator(void *arg, const char *name)
{
    return catalog_is_users_operator(((const struct finding *)arg)->c->db, name);
}

struct scatter_plan *finding_plan(struct finding *f, struct scatter_refusal *r)
{
    const struct stmt_list *list = reading_of(f->run->shape)->list;
    struct scatter_map m = {.map = f->map,
                            .keyset = &f->c->worker->keyset,
                            .column = fact_column,
                            .function = fact_function,
                            .is_impure_operator = fact_operator,
                            .arg = f};
    struct scatter_facts facts = scatter_map_facts(&m, false);

    const struct stmt *s = list->stmts[0];
    unsigned lex_flags = client_lex_flags(f->c);
    const char *sql = f->run->sql;
    size_t len = strlen(sql), explained = s->kind == STMT_EXPLAIN ? scatter_explained(sql, len, lex_flags) : 0;
    size_t declared = cursor_select(s, sql, lex_flags);

    r->why[0] = '\0';
    r->help = NULL;
    if (explained + declared > 0)
        s = s->body;
    if (list->count != 1 || s == NULL || s->kind != STMT_SELECT)
        return NULL;
    size_t at = explained + declared;
    struct scatter_plan *plan = scatter_plan_new(s, sql + at, len - at, lex_flags, &facts, r);
    return plan == NULL || explained == 0 ? plan : scatter_plan_explain(plan, sql, explained);
}

struct scatter_plan *sharding_plan(struct client *c, const struct sharding_run *run, shardset *shards)
{
    struct finding f = finding_of(c, run);
    struct scatter_refusal r;

    bool declares = finding_stmt(&f) != NULL && finding_stmt(&f)->kind == STMT_DECLARE; /* it only says what it would */

    *shards = f.shards;
    return finding_is_many(&f) && !declares ? finding_plan(&f, &r) : NULL;
}

/* NULL: the coordinator can answer it. */
static const char *coordinator_why_not(struct finding *f)
{
    if (!finding_is_many(f) && !f->viewed)
        return "is not for it";
    return coordinator_is_there(f->c) ? coordinator_bars(f->c, f->run) : "has none";
}

bool finding_is_coordinators(struct finding *f)
{
    return coordinator_is_there(f->c) && coordinator_why_not(f) == NULL;
}

bool sharding_is_coordinators(struct client *c, const struct sharding_run *run)
{
    if (!coordinator_is_there(c))
        return false;
    struct finding f = finding_of(c, run);
    return coordinator_why_not(&f) == NULL;
}

/* A view reads with its owner's rights, and so on connections of that one's own, whose snapshots are later ones. */
bool sharding_is_whole(struct client *c, const struct sharding_run *run)
{
    struct finding f = finding_of(c, run);
    const struct stmt *s = finding_stmt(&f);

    return s != NULL && s->table_count > 0 && !f.viewed && f.sqlstate == NULL && coordinator_is_there(c) &&
           coordinator_bars(c, run) == NULL;
}

static bool reads_catalogs(const struct stmt *s)
{
    for (size_t i = 0; i < s->table_count; i++) {
        const char *schema = s->tables[i].schema;
        bool catalog = schema == NULL ? strncmp(s->tables[i].name, "pg_", 3) == 0
                                      : strcmp(schema, "pg_catalog") == 0 || strcmp(schema, "information_schema") == 0;
        if (!catalog)
            return false;
    }
    return s->kind == STMT_SELECT;
}

/* In a transaction that reads on the coordinator, the home shard runs only what is of no table. */
static void bar_whole(struct finding *f)
{
    const struct stmt_list *list = f->run->shape == NULL ? NULL : reading_of(f->run->shape)->list;
    bool bars = list == NULL || f->shards != 0;

    for (size_t i = 0; list != NULL && i < list->count; i++)
        bars = bars || (list->stmts[i]->table_count > 0 && !reads_catalogs(list->stmts[i]));
    if (bars)
        finding_refuse(f, "Run it in another transaction.",
                       "the transaction is REPEATABLE READ and reads on the coordinator, and this is not for that");
}

/* Its rows, each where it belongs. */
static bool deal_rows(struct finding *f, struct sharding_deal *d, struct scatter_refusal *r)
{
    const struct stmt *s = finding_stmt(f);
    struct key_param *params;
    struct keyset_text text = finding_text(f, &params);
    struct insert_refusal refusal;

    d->way = writes_of_rows(s, &f->c->worker->keyset, &text, r);
    if (d->way == WRITE_ROWS) {
        d->split = finding_split(f, s, &text, &refusal);
        d->shards = 0;
        for (size_t i = 0; d->split != NULL && i < d->split->part_count; i++)
            d->shards |= (shardset)1 << d->split->parts[i].shard;
        if (d->split == NULL)
            *r = refusal.refusal;
    }
    free(params);
    return d->way == WRITE_SAME || d->way == WRITE_IMAGES || d->split != NULL;
}

struct images *sharding_images(struct client *c, const struct sharding_run *run)
{
    struct finding f = {.c = c, .run = run};
    struct key_param *params;
    struct keyset_text text = finding_text(&f, &params);
    struct images *images = images_new(finding_stmt(&f), &text);

    free(params);
    return images;
}

static bool deal_copy(struct finding *f, struct sharding_deal *d, struct scatter_refusal *r)
{
    const char *why;
    struct copy_split *split = finding_copy(f, &why);

    d->way = WRITE_COPY;
    if (split == NULL)
        snprintf(r->why, sizeof r->why, "%s", why);
    copy_split_free(split);
    return split != NULL;
}

/* Its rows are fetched, and put where they belong. */
static bool deal_refill(struct finding *f, struct sharding_deal *d, struct scatter_refusal *r)
{
    struct sharding_refill p;
    bool planned = finding_refill(f, &p, r);

    d->way = p.how == REFILL_SAME ? WRITE_SAME : WRITE_REFILL;
    d->shards = p.how == REFILL_SAME ? p.from : map_all(f->map);
    sharding_refill_free(&p);
    return planned;
}

/* Its rows are selected, and written as COPY writes them. */
static bool deal_copy_out(struct finding *f, struct sharding_deal *d, struct scatter_refusal *r)
{
    struct sharding_copy_out out;
    bool planned = finding_copy_out(f, &out, r);

    d->way = WRITE_COPY_OUT;
    d->shards = map_all(f->map);
    sharding_copy_out_free(&out);
    return planned;
}

bool finding_deal(struct finding *f, struct sharding_deal *d, struct scatter_refusal *r)
{
    const struct stmt *s = finding_stmt(f);

    *d = (struct sharding_deal){.way = f->way, .shards = f->shards};
    r->why[0] = '\0';
    r->help = NULL;
    if (s == NULL || d->way == WRITE_APART)
        return false;
    if (d->way == WRITE_COMMAND)
        return true;
    if (s->kind == STMT_COPY_FROM)
        return deal_copy(f, d, r);
    if (s->kind == STMT_COPY_TO)
        return deal_copy_out(f, d, r);
    if (s->kind == STMT_MERGE) {
        snprintf(r->why, sizeof r->why, "a MERGE runs where all keys in it are held to one shard");
        r->help = FINDING_MERGE_HINT;
    }
    if (s->kind != STMT_INSERT && s->kind != STMT_UPDATE && s->kind != STMT_DELETE)
        return false;
    if (f->refills)
        return deal_refill(f, d, r);
    if (!deal_rows(f, d, r))
        return false;
    if (!f->home || d->way == WRITE_IMAGES)
        return true;
    insert_split_free(d->split);
    d->split = NULL;
    snprintf(r->why, sizeof r->why, "it uses what only the first shard has");
    return false;
}

bool sharding_deal(struct client *c, const struct sharding_run *run, struct sharding_deal *d)
{
    struct finding f = finding_of(c, run);
    struct scatter_refusal r;

    return finding_is_many(&f) && !f.told && finding_deal(&f, d, &r);
}

bool sharding_apart(struct client *c, const struct sharding_run *run, shardset *shards)
{
    struct finding f = finding_of(c, run);

    *shards = f.shards;
    return finding_is_many(&f) && !f.told && f.way == WRITE_APART && finding_stmt(&f) != NULL;
}

/* Where it is sent to one of them all the same, it is no batch of its own, or within a transaction. */
void finding_refuse_many(struct finding *f)
{
    struct scatter_refusal r;
    struct scatter_plan *plan = finding_plan(f, &r);
    struct sharding_deal deal = {.split = NULL};
    bool dealt = plan == NULL && r.why[0] == '\0' && finding_deal(f, &deal, &r);
    const char *why = plan == NULL && !dealt ? coordinator_why_not(f) : NULL, *hint = NULL;
    const char *barred = cursor_bars(finding_stmt(f), &hint);

    insert_split_free(deal.split);
    if (barred != NULL)
        finding_refuse(f, hint, "%s", barred);
    else if (dealt)
        finding_refuse(
            f,
            f->given && defer_is_serializable(f->c)
                ? "A SERIALIZABLE transaction is one shard's: begin it by this statement, or give the key."
                : "Send it by itself, and not in a SERIALIZABLE transaction.",
            "%s", f->given ? "its rows' keys are drawn on the first shard" : "its rows lie on more than one shard");
    else if (why == NULL && joint_is_on(f->c))
        finding_refuse(f, "Run it before the transaction writes, locks or sets anything, or outside of it.",
                       "its rows lie on more than one shard, and the coordinator would not see what the transaction "
                       "has done");
    else if (why == NULL)
        finding_refuse(f, "Run it outside of a transaction, in a batch of its own.",
                       "its rows lie on more than one shard");
    else if (coordinator_is_there(f->c) && r.why[0] != '\0')
        finding_refuse(f, "Give the key of each table, or run it for one key after the other.",
                       "its rows may lie on more than one shard: %s; nor is it the coordinator's: it %s", r.why, why);
    else if (r.why[0] != '\0')
        finding_refuse(f, r.help, "its rows may lie on more than one shard: %s", r.why);
    else
        finding_refuse(f, "Give the key of each table, or run it for one key after the other.",
                       "its rows may lie on more than one shard");
    scatter_plan_free(plan);
}

/* --- the batch at the head --- */

/* What of an extended batch was understood so far. */
struct walk {
    const char *name, *text; /* of its last Parse; NULL: none yet */
    struct span types;
};

static bool text_of_bind(struct client *c, const struct walk *w, const char *name, struct sharding_run *run)
{
    if (w->text != NULL && strcmp(name, w->name) == 0) {
        run->sql = w->text;
        run->types = w->types;
        run->shape = statement_recall(c, run->sql, strlen(run->sql));
        return true;
    }
    if (name[0] == '\0') {
        struct msg_parse parse;
        if (c->unnamed == NULL || msgin_parse(span_of(c->unnamed->body, c->unnamed->len), &parse) != PARSE_OK)
            return false;
        run->sql = parse.text;
        run->types = parse.types;
        run->shape = statement_recall(c, run->sql, strlen(run->sql));
        return true;
    }
    struct client_stmt *st = client_stmts_find(&c->stmts, name);
    if (st == NULL || st->asked == NULL)
        return false;
    run->sql = stmt_text_sql(st->asked);
    run->types = stmt_text_types(st->asked);
    run->shape = statement_of_text(c, st->asked);
    return true;
}

/* The statement that a message runs, if it runs one. */
static bool run_of(struct client *c, struct walk *w, const struct frame *f, const uint8_t *p, struct sharding_run *run,
                   struct msg_bind *bind)
{
    struct span body = span_of(p + FRAME_HEADER, f->total - FRAME_HEADER);
    struct msg_parse parse;

    *run = (struct sharding_run){.shape = NULL};
    switch (f->type) {
    case 'Q':
        if (body.len == 0 || body.ptr[body.len - 1] != '\0')
            return false;
        run->sql = (const char *)body.ptr;
        run->shape = statement_read_ahead(c, run->sql, body.len - 1);
        return true;
    case 'P':
        if (msgin_parse(body, &parse) == PARSE_OK)
            *w = (struct walk){.name = parse.name, .text = parse.text, .types = parse.types};
        return false;
    case 'B':
        if (msgin_bind_head(body, true, bind) != PARSE_OK)
            return false;
        run->bind = bind;
        return text_of_bind(c, w, bind->name, run);
    default:
        return false;
    }
}

/* SET LOCAL sluice.shard begins its transaction where the rest of it will be. SHARD_NONE: it is no such statement. */
static uint32_t shard_of_set(struct finding *f)
{
    const struct stmt_list *list = f->run->shape == NULL ? NULL : reading_of(f->run->shape)->list;
    struct told_error error;
    struct told told;
    uint32_t shard;

    if (LIKELY(!defer_is_open(f->c)) || list == NULL || list->count != 1 ||
        !place_of_set(f->c, list->stmts[0], &told) ||
        !told_shard(&told, f->map, NULL, 0, place_is_utf8(f->c), &shard, &error))
        return SHARD_NONE;
    return shard;
}

/* What the statements of a batch name, up to the first that tells a shard and the first that tells another one. */
struct named {
    unsigned runs;
    shardset shards;
    bool anywhere;
    bool outdated; /* it cannot be said yet */
};

/* Among other statements: what the transaction is that begins there, must be known to those who join it. */
static bool begins_block(const struct sharding_run *run)
{
    const struct stmt_list *list = run->shape == NULL ? NULL : reading_of(run->shape)->list;

    for (size_t i = 0; list != NULL && i < list->count; i++)
        if (list->stmts[i]->kind == STMT_BEGIN || list->stmts[i]->kind == STMT_START)
            return true;
    return false;
}

void sharding_forget_way(struct client *c)
{
    c->worker->placed.way.client = NULL;
}

static void note_way(struct client *c, const struct sharding_run *run, const struct finding *f, bool sole)
{
    sharding_forget_way(c);
    if (sole && f->shards != 0 && finding_is_plain(f))
        c->worker->placed.way = (struct found_way){c, run->shape, f->map, f->shards};
}

/* The shard that a statement names; SHARD_NONE: none. */
static uint32_t shard_of_run(struct client *c, const struct sharding_run *run, struct named *n)
{
    struct finding found = finding_again(c, run);

    note_way(c, run, &found, n->runs++ == 0);
    bool several = finding_stmt(&found) == NULL && found.sqlstate != NULL && !found.unread;
    c->spread = c->spread || finding_is_many(&found) || found.viewed || several || begins_block(run);
    n->outdated = n->outdated || found.outdated;
    n->anywhere = n->anywhere || (found.anywhere && found.sqlstate == NULL);
    if (found.sqlstate != NULL || found.shards == 0 || finding_is_many(&found))
        return shard_of_set(&found);
    n->shards |= found.shards;
    return shardset_first(found.shards);
}

#define SHORTEST_RUN 28 /* bytes: Bind, Execute, Sync */

/* The shard that the first statement of the batch that names one names. *outdated: it cannot be said yet. */
static uint32_t shard_of_batch(struct client *c, const struct map *map, const uint8_t *batch, size_t extent,
                               bool *outdated)
{
    struct walk w = {.name = NULL};
    struct frame f = {.type = 0};
    struct named n = {.shards = 0};
    struct sharding_run run;
    struct msg_bind bind;
    uint32_t first = SHARD_NONE;
    const char *why;
    size_t at = 0;

    sharding_forget_way(c);
    for (; at < extent && (first == SHARD_NONE || (!c->spread && extent - at >= SHORTEST_RUN)); at += f.total) {
        if (frame_next(FROM_CLIENT, batch + at, extent - at, &f, &why) != PARSE_OK || f.total > extent - at)
            break;
        uint32_t shard = run_of(c, &w, &f, batch + at, &run, &bind) ? shard_of_run(c, &run, &n) : SHARD_NONE;
        first = first == SHARD_NONE ? shard : first;
        c->spread = c->spread || shardset_is_many(n.shards);
    }
    *outdated = *outdated || n.outdated;
    return first != SHARD_NONE ? first : n.anywhere ? c->worker->choices % map->shard_count : 0;
}

void sharding_look(struct client *c, const uint8_t *batch, size_t extent, struct sharding_look *look)
{
    struct walk w = {.name = NULL};
    struct sharding_run run;
    struct msg_bind bind;
    struct frame f;
    const char *why;

    *look = (struct sharding_look){.shards = 0};
    for (size_t at = 0; at < extent; at += f.total) {
        if (frame_next(FROM_CLIENT, batch + at, extent - at, &f, &why) != PARSE_OK || f.total > extent - at)
            break;
        if (!run_of(c, &w, &f, batch + at, &run, &bind))
            continue;
        struct finding found = finding_of(c, &run);
        look->shards |= found.shards;
        look->viewed = look->viewed || found.viewed;
        look->outdated = look->outdated || found.outdated;
        look->given = look->given || found.given;
        look->timed = look->timed || (joint_is_on(c) && timing_asked(c, &run) != MOMENT_NOT);
        look->refused = look->refused || found.sqlstate != NULL;
    }
}

/* A portal with a name that is not the one that was bound last. */
static bool is_old_portal(const struct frame *f, const uint8_t *p, const struct msg_bind *bind)
{
    const char *name = (const char *)p + FRAME_HEADER;

    if (f->type == 'D' || f->type == 'C')
        name = *name == 'P' ? name + 1 : "";
    return strchr("EDC", f->type) != NULL && name[0] != '\0' &&
           (bind->portal == NULL || strcmp(bind->portal, name) != 0);
}

bool sharding_each(struct client *c, const uint8_t *batch, size_t extent,
                   bool (*holds)(struct client *c, const struct sharding_run *run, void *arg), void *arg)
{
    struct walk w = {.name = NULL};
    struct msg_bind bind = {.portal = NULL};
    struct sharding_run run;
    struct frame f;
    const char *why;

    for (size_t at = 0; at < extent; at += f.total) {
        if (frame_next(FROM_CLIENT, batch + at, extent - at, &f, &why) != PARSE_OK || f.total > extent - at ||
            is_old_portal(&f, batch + at, &bind))
            return false;
        bool runs = run_of(c, &w, &f, batch + at, &run, &bind);
        if (runs ? !holds(c, &run, arg) : strchr("QBF", f.type) != NULL)
            return false;
    }
    return true;
}

/* It would begin the transaction on the home shard, before it is known which one it needs. */
bool sharding_only_prepares(const uint8_t *batch, size_t extent)
{
    struct frame f = {.type = 0};
    const char *why;

    for (size_t at = 0; at < extent; at += f.total)
        if (frame_next(FROM_CLIENT, batch + at, extent - at, &f, &why) != PARSE_OK || strchr("PDCHS", f.type) == NULL)
            return false;
    return f.type == 'S' || f.type == 'H';
}

/* While the home shard has no primary, its catalog cannot be read, either. */
static usec_t patience_of(const struct client *c)
{
    return __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE) == NULL ? PATIENCE_USEC
                                                                  : MAX(ANEW_PATIENCE_USEC, standby_patience(c));
}

bool sharding_awaits(struct client *c)
{
    usec_t now = c->worker->loop.now;

    if (c->fresh_since == 0)
        c->fresh_since = now;
    if (now - c->fresh_since >= patience_of(c))
        return false;
    list_push_back(&c->worker->unfresh, &c->fresh_node);
    return true;
}

static const char *name_of_part(const struct map *m, uint32_t number)
{
    return number == m->shard_count ? COORDINATOR_NAME : m->shard_names[number];
}

struct pool *sharding_pool(struct client *c, const uint8_t *batch, size_t extent)
{
    const struct map *map = __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE);

    c->only_prepares = c->spread = false;
    if (c->arm != NULL && map != NULL)
        return pool_of_part(c->pool, (int)c->arm->shard, name_of_part(map, c->arm->shard));
    bool outdated = map == NULL;
    c->only_prepares = map != NULL && defer_is_open(c) && sharding_only_prepares(batch, extent);
    uint32_t shard = map == NULL ? 0 : shard_of_batch(c, map, batch, extent, &outdated);
    if (outdated && sharding_awaits(c))
        return NULL;
    c->fresh_since = 0;
    if (map == NULL)
        return c->pool; /* there it is refused */
    return pool_of_part(c->pool, (int)shard, map->shard_names[shard]);
}

/* --- as it is sent --- */

/* What concerns all servers of a transaction is not for one of them alone (joint.h takes what comes by itself). */
static const char *splits_joint(struct client *c, const struct server *s, const struct stmt *stmt)
{
    if (!joint_is_on(c) || stmt == NULL)
        return NULL;
    if ((stmt->kind == STMT_BEGIN || stmt->kind == STMT_START) && !journal_sets_modes(stmt))
        return NULL;
    bool ends = stmt->kind == STMT_COMMIT || stmt->kind == STMT_ROLLBACK || stmt->kind == STMT_ROLLBACK_TO;
    if ((stmt->effects & EFFECT_TRANSACTION) && (s->tx == 'T' || ends))
        return "in a transaction on several shards, its commands come one in a batch";
    return s->tx == 'T' && (stmt->effects & (EFFECT_SETTING | EFFECT_DISCARD)) && !joint_is_own(stmt) &&
                   !joint_has_told(c)
               ? "in a transaction on several shards, settings are changed to values, by statements of their own"
               : NULL;
}

/* What is sent is noted. */
static void note(struct client *c, const struct sharding_run *run, uint32_t here)
{
    const struct stmt_list *list = run->shape == NULL ? NULL : reading_of(run->shape)->list;

    if (list == NULL)
        journal_note(c, NULL, run);
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        journal_note(c, list->stmts[i], run);
        draw_note(c, list->stmts[i]);
        if (list->stmts[i]->kind == STMT_DECLARE)
            journal_cursor(c, list->stmts[i]->name, here);
    }
}

/* The transaction has failed: one statement by itself will not run, whatever it is, or ends that. */
static bool will_not_run(const struct server *s, const struct sharding_run *run)
{
    const struct stmt_list *list = run->shape == NULL ? NULL : reading_of(run->shape)->list;

    return s->tx == 'E' && expect_empty(&s->expects) && list != NULL && list->count == 1 &&
           !(list->stmts[0]->effects & EFFECT_TRANSACTION);
}

/* A hint for what cannot leave the server that it is on. */
static const char *why_held(const struct client *c, const struct server *s)
{
    return c->pins != 0 && s->tx == 'I'
               ? "What outlives its transaction (temporary tables, locks, cursors WITH HOLD) is kept on one shard, and "
                 "what speaks of it runs there. SHOW CLIENTS on the console tells what it is."
               : "A SERIALIZABLE transaction runs on one shard; others reach several by batches of one statement.";
}

static struct finding find_as_sent(struct client *c, const struct sharding_run *run)
{
    const struct found_way way = c->worker->placed.way;

    sharding_forget_way(c);
    if (way.client == c && run->shape != NULL && way.shape == run->shape)
        return (struct finding){.c = c, .map = way.map, .run = run, .shards = way.shards};
    return finding_again(c, run);
}

/* PostgreSQL has its own words for a cursor without a transaction. */
static bool lacks_block(const struct server *s, const struct stmt *stmt)
{
    return s->tx == 'I' && stmt != NULL && stmt->kind == STMT_DECLARE && !(stmt->cursor_options & CURSOR_HOLD);
}

/* Its words are looked at before it runs, and what PostgreSQL finds wrong with them is its error. */
static bool is_analyzed(const struct stmt_list *list)
{
    if (list == NULL || list->count != 1)
        return false;
    switch (list->stmts[0]->kind) {
    case STMT_SELECT:
    case STMT_INSERT:
    case STMT_UPDATE:
    case STMT_DELETE:
    case STMT_MERGE:
    case STMT_EXPLAIN:
        return true;
    default:
        return false;
    }
}

struct refusal_text *sharding_refusal(struct client *c, const struct server *s, const struct sharding_run *run)
{
    if (c->inside || will_not_run(s, run))
        return NULL; /* what runs inside was looked at before */
    struct finding f = find_as_sent(c, run);
    uint32_t here = (uint32_t)__atomic_load_n(&s->pool->target->db->part, __ATOMIC_RELAXED);

    const struct stmt_list *list = run->shape == NULL ? NULL : reading_of(run->shape)->list;
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        const char *splits = splits_joint(c, s, list->stmts[i]);
        if (splits == NULL)
            splits = visit_bars(c, list->stmts[i]);
        if (splits != NULL)
            finding_refuse(&f, "Send it by itself.", "%s", splits);
    }
    if (UNLIKELY(joint_is_whole(c)))
        bar_whole(&f);
    if (finding_is_many(&f) && lacks_block(s, finding_stmt(&f)))
        return NULL;
    if (finding_is_many(&f))
        finding_refuse_many(&f);
    if (f.sqlstate == NULL && (f.shards == 0 || shardset_first(f.shards) == here)) {
        note(c, run, here);
        return NULL;
    }
    if (f.sqlstate == NULL)
        finding_refuse(&f, why_held(c, s), "its rows lie on shard %s, and the session is on %s",
                       f.map->shard_names[shardset_first(f.shards)], f.map->shard_names[here]);
    struct refusal_text *text = refusal_new(f.sqlstate, f.message, f.hint != NULL ? f.hint : f.told_hint);
    text->unread = f.unread || is_analyzed(list);
    return text;
}

bool sharding_run_of_bind(struct client *c, const struct msg_parse *parse, const struct msg_bind *bind,
                          struct sharding_run *run)
{
    struct walk w = {.name = parse->name, .text = parse->name == NULL ? NULL : parse->text, .types = parse->types};

    *run = (struct sharding_run){.bind = bind};
    return text_of_bind(c, &w, bind->name, run);
}

bool sharding_bound(const struct sharding_run *run, const struct scatter_limit *l, int64_t none, int64_t *value)
{
    struct key_param *params = NULL;
    size_t count = run->bind == NULL ? 0 : finding_params(run, &params);
    bool known = scatter_bound(l, params, count, none, value);

    free(params);
    return known;
}

struct refusal_text *sharding_refuses_bind(const struct sending *m, const struct msg_bind *bind)
{
    struct sharding_run run = {.bind = bind};
    const struct walk none = {.name = NULL};

    if (UNLIKELY(joint_has_portal(m->c, bind->portal)) && bind->portal[0] != '\0') {
        char message[120];
        snprintf(message, sizeof message, "cursor \"%.90s\" already exists", bind->portal);
        return refusal_new("42P03", message, NULL);
    }
    struct refusal_text *text = text_of_bind(m->c, &none, bind->name, &run) ? sharding_refusal(m->c, m->s, &run) : NULL;

    if (text == NULL && bind->portal[0] != '\0')
        journal_cursor(m->c, bind->portal, (uint32_t)__atomic_load_n(&m->s->pool->target->db->part, __ATOMIC_RELAXED));
    return text;
}

const char *sharding_bars(const struct sending *m)
{
    bool whole = m->have == m->f->total;

    if (!whole && strchr("QPB", m->f->type) != NULL)
        return "a message of this length is not read, so that nobody knows its shard";
    if (m->f->type == 'F' && __atomic_load_n(&m->s->pool->target->db->part, __ATOMIC_RELAXED) != 0)
        return "a function call runs on the first shard, and the session is on another";
    return NULL;
}
