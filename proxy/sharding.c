/*
 * sharding.c: see sharding.h. All that a statement speaks of is looked up: its tables (in the home shard's catalog,
 * then in the map), its functions, and what only the home shard has. The shards on which any of it lies are added up;
 * what lies on each of them alike adds none.
 *
 *   none  any server may run it        one  that shard        more, or not to be said  refused
 *
 * Thread: worker.
 */
#include "proxy/sharding.h"

#include "parser/functions.h"
#include "proxy/arm.h"
#include "proxy/catalog.h"
#include "proxy/joint.h"
#include "proxy/place.h"
#include "proxy/routing.h"
#include "proxy/writing.h"

#include <stdarg.h>
#include <stdio.h>

#define HOME ((shardset)1)
#define PATIENCE_USEC (5 * USEC_PER_SEC) /* for the home shard's catalog */
#define PARENTS_MAX 8                    /* of parts of parts */

/* What only the home shard has, or what only means something among those who are on one server. */
#define HOME_REASONS                                                                                                   \
    (REASON_SEQUENCE | REASON_NOTIFY | REASON_LARGE_OBJECT | REASON_ADVISORY | REASON_SNAPSHOT | REASON_FILE |         \
     REASON_ACTION | REASON_TEMP | REASON_TRANSACTION_ID)

/* What is found of a text. */
struct finding {
    struct client *c;
    const struct map *map;
    const struct sharding_run *run;
    shardset shards;
    bool makes_temporary; /* one of the statements before, or this one, may have made a table of the session's own */
    bool told;            /* the user has named the shard */
    bool anywhere;        /* it inserts rows that may lie on any shard: one is to be chosen */
    bool unread;          /* the server may find more wrong with it than can be seen here */
    const char *sqlstate; /* NULL: not refused */
    const char *hint;
    char message[200];
    char told_hint[200]; /* where hint is NULL; "": none */
};

static void refuse(struct finding *f, const char *hint, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The first reason counts. */
static void refuse(struct finding *f, const char *hint, const char *format, ...)
{
    va_list args;

    if (f->sqlstate != NULL)
        return;
    va_start(args, format);
    vsnprintf(f->message, sizeof f->message, format, args);
    va_end(args);
    f->sqlstate = "0A000";
    f->hint = hint;
}

/* --- tables --- */

static const struct map_table on_home = {.name = "", .way = MAP_ON_SHARD, .shard = 0};

static bool is_system(const struct stmt_table *t)
{
    return t->schema != NULL && (strcmp(t->schema, "pg_catalog") == 0 || strcmp(t->schema, "information_schema") == 0);
}

static void text_of(struct span from, char to[NAME_MAX_BYTES + 1])
{
    snprintf(to, NAME_MAX_BYTES + 1, "%.*s", (int)from.len, (const char *)from.ptr);
}

/* A part lies where its parent does. */
static const struct map_table *placement_of(const struct finding *f, struct catalog_table *t)
{
    char schema[NAME_MAX_BYTES + 1], name[NAME_MAX_BYTES + 1];

    for (int i = 0; i < PARENTS_MAX && t->parent.len > 0; i++) {
        text_of(t->parent_schema, schema);
        text_of(t->parent, name);
        if (catalog_table(f->c->db, schema, name, t) != CATALOG_ONE)
            return NULL;
    }
    text_of(t->schema, schema);
    text_of(t->name, name);
    return t->parent.len > 0 ? NULL : map_table_find(f->map, schema, name);
}

static const struct map_table *find_relation(struct finding *f, const struct stmt_table *t, struct catalog_table *found)
{
    const struct map_table *placed = found->kind == 'S' ? &on_home : placement_of(f, found);

    if (found->kind == 'v')
        refuse(f, "Write out what the view selects.", "a view is not looked into: \"%s\"", t->name);
    else if (placed == NULL)
        refuse(f, "Give it a line in [tables].", "nobody has said on which shards the rows of \"%s\" lie", t->name);
    else if ((t->flags & TABLE_WRITTEN) && placed->way == MAP_EVERYWHERE)
        refuse(f, "Write to each shard by itself.", "a table that lies on all shards is not written: \"%s\"", t->name);
    else if ((t->flags & TABLE_WRITTEN) && placed->way == MAP_BY_KEY && found->has_triggers)
        refuse(f, NULL, "a table with triggers or rules of its own is not written: \"%s\"", t->name);
    return f->sqlstate == NULL ? placed : NULL;
}

static bool may_be_temporary(const struct finding *f, const struct stmt_table *t)
{
    const struct client *c = f->c;

    return f->makes_temporary || ((c->pins | c->traces | c->asking) & TRACE_TEMP) != 0 ||
           (t->schema != NULL && strncmp(t->schema, "pg_temp", 7) == 0);
}

/* What the catalog does not have is the system's or the session's own, and these are the home shard's. Else PostgreSQL
 * says that there is none; or it is newer than what is known, and its rows may be anywhere. */
static const struct map_table *find_unknown(struct finding *f, const struct stmt_table *t)
{
    if ((t->schema == NULL && strncmp(t->name, "pg_", 3) == 0) || may_be_temporary(f, t))
        return &on_home;
    f->unread = f->unread || f->sqlstate == NULL;
    refuse(f, "If it is new, try again in a minute.", "nobody knows yet where the rows of \"%s\" lie", t->name);
    return NULL;
}

/* For keyset_places. */
static const struct map_table *find_table(void *arg, const struct stmt_table *t)
{
    struct finding *f = arg;
    struct catalog_table found = {.kind = 0};

    if (is_system(t))
        return &on_home;
    switch (catalog_table(f->c->db, t->schema, t->name, &found)) {
    case CATALOG_UNREAD:
        refuse(f, "Try again.", "the schema has changed, and is being read");
        f->sqlstate = "57P03";
        break;
    case CATALOG_NONE:
        return find_unknown(f, t);
    case CATALOG_SEVERAL:
        refuse(f, "Write the schema, too.", "there is a \"%s\" in more than one schema", t->name);
        break;
    case CATALOG_ONE:
        return find_relation(f, t, &found);
    }
    return NULL;
}

/* A table in a command that has no conditions on its rows. */
static void find_whole_table(struct finding *f, const struct stmt_table *t)
{
    const struct map_table *placed = find_table(f, t);

    if (placed != NULL && placed->way == MAP_ON_SHARD)
        f->shards |= (shardset)1 << placed->shard;
    else if (placed != NULL)
        f->shards |= map_all(f->map);
}

/* --- rows by their keys --- */

/* The parameters of a Bind, which was checked when it came. Returns how many there are; owned by the caller. */
static size_t take_params(const struct sharding_run *run, struct key_param **params)
{
    struct reader r = reader_of(run->bind->rest.ptr, run->bind->rest.len);
    uint16_t format_count = reader_u16(&r);
    struct span formats = reader_bytes(&r, 2u * format_count);
    uint16_t count = reader_u16(&r);

    *params = mem_zalloc((count + 1u) * sizeof **params);
    for (uint16_t i = 0; i < count; i++) {
        struct key_param *p = &(*params)[i];
        const uint8_t *format = format_count == 0 ? NULL : formats.ptr + 2 * (format_count == 1 ? 0 : i);
        uint32_t len = reader_u32(&r);
        p->oid = run->types.len >= 4u * (i + 1u) ? be32_at(run->types.ptr + 4u * i) : 0;
        p->binary = format != NULL && format[1] != 0;
        p->null = len == UINT32_MAX;
        p->bytes = p->null ? span_of(NULL, 0) : reader_bytes(&r, len);
    }
    return count;
}

/* Rows without their keys, or whose keys the shape does not tell. */
static void read_rows(struct finding *f, const struct stmt *s, struct keyset *k, const struct keyset_text *text)
{
    struct insert_refusal r;
    struct insert_split *split;
    uint32_t filled = 0;

    while (filled < s->table_count && !(s->tables[filled].flags & TABLE_FILLED))
        filled++;
    split = writing_split(f->c, f->map, k->tables[filled], s, text, &r);
    if (split == NULL) {
        refuse(f, r.refusal.help, "%s", r.refusal.why);
        f->unread = f->unread || r.is_servers;
        return;
    }
    k->why = NULL;
    k->shards = 0;
    f->anywhere = split->drawn;
    for (size_t i = 0; i < s->table_count; i++)
        k->shards |= i == filled ? 0 : k->sets[i];
    for (size_t i = 0; i < split->part_count && !split->drawn; i++)
        k->shards |= (shardset)1 << split->parts[i].shard;
    insert_split_free(split);
}

/* Returns the worker's keyset, read of s. */
static struct keyset *read_keys(struct finding *f, const struct stmt *s)
{
    struct keyset *k = &f->c->worker->keyset;
    const struct fingerprint *read = statement_slots(f->c, f->run->sql);
    struct keyset_places places = {.map = f->map, .find = find_table, .arg = f};
    struct key_param *params = NULL;
    struct keyset_text text = {.sql = f->run->sql,
                               .slots = read->slots,
                               .slot_count = read->slot_count,
                               .lex_flags = f->c->vars->standard_strings ? LEX_STANDARD_STRINGS : 0,
                               .utf8 = place_is_utf8(f->c)};

    if (f->run->bind != NULL)
        text.param_count = take_params(f->run, &params);
    text.params = params;
    keyset_read(k, s, &places, &text);
    if (k->of_rows && f->sqlstate == NULL)
        read_rows(f, s, k, &text);
    free(params);
    return k;
}

static void find_rows(struct finding *f, const struct stmt *s)
{
    const struct keyset *k = read_keys(f, s);

    f->shards |= k->shards;
    if (k->why != NULL)
        refuse(f, NULL, "%s", k->why);
}

/* --- functions --- */

static bool hits_a_backend(const char *name)
{
    return strcmp(name, "pg_terminate_backend") == 0 || strcmp(name, "pg_cancel_backend") == 0;
}

static void find_function(struct finding *f, const struct stmt_function *call)
{
    const struct map_call *known = map_call_find(f->map, call->schema, call->name);

    if (hits_a_backend(call->name))
        refuse(f, "Use KILL_QUERY on the console.", "%s could hit another shard's backend", call->name);
    else if (catalog_is_users(f->c->db, call->schema, call->name) && (known == NULL || known->argument != 0))
        refuse(f, "If it reads and writes nothing, or only what lies where it runs, list it in [functions] as local.",
               "a function may read rows of any shard: %s", call->name);
}

/* --- statements --- */

/* What has to be done on all shards, or what nobody can see into. */
static const char *why_not(const struct stmt *s)
{
    switch (s->kind) {
    case STMT_MERGE:
        return "MERGE is not split by shards";
    case STMT_CALL:
    case STMT_DO:
        return "code that cannot be seen may read rows of any shard";
    case STMT_PREPARE_TRANSACTION:
    case STMT_COMMIT_PREPARED:
    case STMT_ROLLBACK_PREPARED:
        return "prepared transactions are each shard's own";
    default:
        break;
    }
    if (s->reasons & REASON_CODE)
        return "code that cannot be seen may read rows of any shard";
    if ((s->reasons & (REASON_DDL | REASON_MAINTENANCE)) && !(s->reasons & REASON_TEMP))
        return "commands about tables and other objects are not sent to all shards";
    return NULL;
}

/* Its tables are spoken of row by row. */
static bool has_rows(const struct stmt *s)
{
    return s->kind == STMT_SELECT || s->kind == STMT_VALUES || s->kind == STMT_INSERT || s->kind == STMT_UPDATE ||
           s->kind == STMT_DELETE;
}

static void find_stmt(struct finding *f, const struct stmt *s)
{
    const char *barred = why_not(s);

    f->makes_temporary = f->makes_temporary || (s->reasons & REASON_TEMP);
    if (barred != NULL)
        refuse(f, "Run it on each shard by itself.", "%s", barred);
    if (s->reasons & HOME_REASONS)
        f->shards |= HOME;
    if (has_rows(s))
        find_rows(f, s);
    for (size_t i = 0; i < s->table_count && !has_rows(s); i++)
        find_whole_table(f, &s->tables[i]);
    for (size_t i = 0; i < s->function_count; i++)
        find_function(f, &s->functions[i]);
    if (s->body != NULL)
        find_stmt(f, s->body);
    if (s->kind == STMT_PREPARE && f->shards != 0)
        refuse(f, "Prepare it by the protocol, as drivers do.", "PREPARE does not tell the shard of each EXECUTE");
}

/* --- the user's word --- */

#define TOLD_TABLES_MAX 16 /* that are compared: more have not one function in common, or a name tells it */

struct told_tables {
    const struct map_table *tables[TOLD_TABLES_MAX];
    size_t count;
};

static void collect_tables(struct finding *f, const struct stmt *s, struct told_tables *to)
{
    for (size_t i = 0; i < s->table_count; i++) {
        const struct map_table *t = find_table(f, &s->tables[i]);
        f->sqlstate = NULL;
        if (t != NULL && t->way == MAP_BY_KEY && to->count < TOLD_TABLES_MAX)
            to->tables[to->count++] = t;
    }
    if (s->body != NULL)
        collect_tables(f, s->body, to);
}

/* Written rows must be of that shard all the same. */
static void check_told(struct finding *f, const struct stmt *s, uint32_t shard)
{
    struct finding quiet = *f;
    const char *why = told_bars(s, read_keys(&quiet, s), shard);

    if (why != NULL && quiet.sqlstate != NULL && f->sqlstate == NULL)
        *f = quiet; /* says it better */
    else if (why != NULL)
        refuse(f, "Without sluice.shard, sluice.key and a comment that names a shard, its keys tell where it runs.",
               "%s", why);
    if (s->body != NULL)
        check_told(f, s->body, shard);
}

static bool find_told(struct finding *f, const struct stmt_list *list, const struct told *told, uint32_t *shard)
{
    struct finding quiet = *f;
    struct told_tables tables = {.count = 0};
    struct told_error error;

    for (size_t i = 0; told->key != NULL && i < list->count; i++)
        collect_tables(&quiet, list->stmts[i], &tables);
    if (told_shard(told, f->map, tables.tables, tables.count, place_is_utf8(f->c), shard, &error))
        return *shard != SHARD_NONE;
    f->sqlstate = NULL;
    snprintf(f->told_hint, sizeof f->told_hint, "%s", error.hint);
    refuse(f, NULL, "%s", error.message);
    f->sqlstate = "22023";
    return false;
}

/* It runs there, whatever speaks against it, but for what would put rows on a wrong shard. */
static void heed(struct finding *f, const struct stmt_list *list)
{
    struct told told;
    uint32_t shard;

    if (LIKELY(!place_told(f->c, f->run->shape, &told)) || (f->sqlstate != NULL && strcmp(f->sqlstate, "57P03") == 0))
        return;
    bool heeds = false;
    for (size_t i = 0; i < list->count; i++) {
        heeds = heeds || told_heeds(list->stmts[i]);
        if (list->stmts[i]->kind == STMT_PREPARE || list->stmts[i]->kind == STMT_PREPARE_TRANSACTION)
            return;
    }
    if (!heeds || !find_told(f, list, &told, &shard))
        return;
    f->told = true;
    f->sqlstate = NULL;
    f->unread = false;
    f->shards = (shardset)1 << shard;
    for (size_t i = 0; i < list->count; i++)
        check_told(f, list->stmts[i], shard);
}

static struct finding find(struct client *c, const struct sharding_run *run)
{
    struct finding f = {.c = c, .map = __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE), .run = run};
    const struct stmt_list *list = run->shape == NULL ? NULL : reading_of(run->shape)->list;

    if (f.map == NULL) {
        refuse(&f, "Look into Sluice's log.", "it is not known where the rows of database \"%s\" lie", c->db->name);
        f.sqlstate = "57P03";
        return f;
    }
    f.unread = list == NULL;
    if (list == NULL)
        refuse(&f, NULL, "a statement that cannot be read, so that nobody knows its shard");
    for (size_t i = 0; list != NULL && i < list->count; i++)
        find_stmt(&f, list->stmts[i]);
    if (list != NULL)
        heed(&f, list);
    return f;
}

static bool is_many(const struct finding *f)
{
    return f->sqlstate == NULL && (f->shards & (f->shards - 1)) != 0;
}

/* --- several shards together --- */

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
    return SCATTER_COLUMN_THERE | (type.len > 0 ? SCATTER_COLUMN_EXACT : 0u);
}

static enum scatter_function fact_function(void *arg, const char *schema, const char *name)
{
    return catalog_is_users(((const struct finding *)arg)->c->db, schema, name) ? SCATTER_IMPURE : SCATTER_NOT_USERS;
}

static bool fact_operator(void *arg, const char *name)
{
    return catalog_is_users_operator(((const struct finding *)arg)->c->db, name);
}

static struct scatter_plan *plan_of(struct finding *f, struct scatter_refusal *r)
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
    unsigned lex_flags = f->c->vars->standard_strings ? LEX_STANDARD_STRINGS : 0;
    const char *sql = f->run->sql;
    size_t len = strlen(sql), explained = s->kind == STMT_EXPLAIN ? scatter_explained(sql, len, lex_flags) : 0;

    r->why[0] = '\0';
    r->help = NULL;
    if (explained > 0)
        s = s->body;
    if (list->count != 1 || s == NULL || s->kind != STMT_SELECT)
        return NULL;
    struct scatter_plan *plan = scatter_plan_new(s, sql + explained, len - explained, lex_flags, &facts, r);
    return plan == NULL || explained == 0 ? plan : scatter_plan_explain(plan, sql, explained);
}

struct scatter_plan *sharding_plan(struct client *c, const struct sharding_run *run, shardset *shards)
{
    struct finding f = find(c, run);
    struct scatter_refusal r;

    *shards = f.shards;
    return is_many(&f) ? plan_of(&f, &r) : NULL;
}

/* Where it is sent to one of them all the same, it is no batch of its own, or within a transaction. */
static void refuse_many(struct finding *f)
{
    struct scatter_refusal r;
    struct scatter_plan *plan = plan_of(f, &r);

    if (plan != NULL)
        refuse(f, "Run it outside of a transaction, in a batch of its own.", "its rows lie on more than one shard");
    else if (r.why[0] != '\0')
        refuse(f, r.help, "its rows may lie on more than one shard: %s", r.why);
    else
        refuse(f, "Give the key of each table, or run it for one key after the other.",
               "its rows may lie on more than one shard");
    scatter_plan_free(plan);
}

/* --- the batch at the head --- */

static uint32_t number_of(shardset one)
{
    return (uint32_t)__builtin_ctzll(one);
}

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

/* The shard that the first statement of the batch that names one names. */
static uint32_t shard_of_batch(struct client *c, const struct map *map, const uint8_t *batch, size_t extent)
{
    struct walk w = {.name = NULL};
    struct sharding_run run;
    struct msg_bind bind;
    bool anywhere = false;

    for (size_t at = 0; at < extent;) {
        struct frame f;
        const char *why;
        if (frame_next(FROM_CLIENT, batch + at, extent - at, &f, &why) != PARSE_OK || f.total > extent - at)
            break;
        if (run_of(c, &w, &f, batch + at, &run, &bind)) {
            struct finding found = find(c, &run);
            c->spread = c->spread || is_many(&found);
            anywhere = anywhere || (found.anywhere && found.sqlstate == NULL);
            if (found.sqlstate == NULL && found.shards != 0 && !is_many(&found))
                return number_of(found.shards);
            uint32_t meant = shard_of_set(&found);
            if (UNLIKELY(meant != SHARD_NONE))
                return meant;
        }
        at += f.total;
    }
    return anywhere ? c->worker->choices % map->shard_count : 0;
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
        struct finding found = find(c, &run);
        look->shards |= found.shards;
        look->refused = look->refused || found.sqlstate != NULL;
    }
}

/* It would begin the transaction on the home shard, before it is known which one it needs. */
static bool only_prepares(const uint8_t *batch, size_t extent)
{
    struct frame f = {.type = 0};
    const char *why;

    for (size_t at = 0; at < extent; at += f.total)
        if (frame_next(FROM_CLIENT, batch + at, extent - at, &f, &why) != PARSE_OK || strchr("PDCS", f.type) == NULL)
            return false;
    return f.type == 'S';
}

/* For a while: it is being read. */
static bool is_awaited(struct client *c)
{
    usec_t now = c->worker->loop.now;

    if (c->fresh_since == 0)
        c->fresh_since = now;
    if (now - c->fresh_since >= PATIENCE_USEC)
        return false;
    list_push_back(&c->worker->unfresh, &c->fresh_node);
    return true;
}

struct pool *sharding_pool(struct client *c, const uint8_t *batch, size_t extent)
{
    const struct map *map = __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE);

    c->only_prepares = c->spread = false;
    if (c->arm != NULL && map != NULL)
        return pool_of_part(c->pool, (int)c->arm->shard, map->shard_names[c->arm->shard]);
    if (map == NULL && is_awaited(c))
        return NULL;
    c->fresh_since = 0;
    if (map == NULL)
        return c->pool; /* there it is refused */
    c->only_prepares = defer_is_open(c) && only_prepares(batch, extent);
    uint32_t shard = shard_of_batch(c, map, batch, extent);
    return pool_of_part(c->pool, (int)shard, map->shard_names[shard]);
}

/* --- as it is sent --- */

/* What concerns all servers of a transaction is not for one of them alone (joint.h takes what comes by itself). */
static const char *splits_joint(struct client *c, const struct server *s, const struct stmt *stmt)
{
    if (!joint_is_on(c) || stmt == NULL || stmt->kind == STMT_BEGIN || stmt->kind == STMT_START)
        return NULL;
    if (stmt->effects & EFFECT_TRANSACTION)
        return "in a transaction on several shards, its commands come one in a batch";
    return s->tx == 'T' && (stmt->effects & (EFFECT_SETTING | EFFECT_DISCARD))
               ? "in a transaction on several shards, settings are changed by SET, one in a batch"
               : NULL;
}

/* What is sent is noted. */
static void note(struct client *c, const struct sharding_run *run)
{
    const struct stmt_list *list = run->shape == NULL ? NULL : reading_of(run->shape)->list;

    if (list == NULL)
        journal_note(c, NULL, run);
    for (size_t i = 0; list != NULL && i < list->count; i++)
        journal_note(c, list->stmts[i], run);
}

struct refusal_text *sharding_refusal(struct client *c, const struct server *s, const struct sharding_run *run)
{
    if (c->inside)
        return NULL; /* what it runs was looked at before */
    struct finding f = find(c, run);
    uint32_t here = (uint32_t)__atomic_load_n(&s->pool->target->db->part, __ATOMIC_RELAXED);

    const struct stmt_list *list = run->shape == NULL ? NULL : reading_of(run->shape)->list;
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        const char *splits = splits_joint(c, s, list->stmts[i]);
        if (splits != NULL)
            refuse(&f, "Send it by itself.", "%s", splits);
    }
    if (is_many(&f))
        refuse_many(&f);
    if (f.sqlstate == NULL && (f.shards == 0 || number_of(f.shards) == here)) {
        note(c, run);
        return NULL;
    }
    if (f.sqlstate == NULL)
        refuse(&f, "A SERIALIZABLE transaction runs on one shard; others reach several by batches of one statement.",
               "its rows lie on shard %s, and the session is on %s", f.map->shard_names[number_of(f.shards)],
               f.map->shard_names[here]);
    struct refusal_text *text = refusal_new(f.sqlstate, f.message, f.hint != NULL ? f.hint : f.told_hint);
    text->unread = f.unread;
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
    size_t count = run->bind == NULL ? 0 : take_params(run, &params);
    bool known = scatter_bound(l, params, count, none, value);

    free(params);
    return known;
}

struct refusal_text *sharding_refuses_bind(const struct sending *m, const struct msg_bind *bind)
{
    struct sharding_run run = {.bind = bind};
    const struct walk none = {.name = NULL};

    return text_of_bind(m->c, &none, bind->name, &run) ? sharding_refusal(m->c, m->s, &run) : NULL;
}

const char *sharding_bars(const struct sending *m)
{
    bool whole = m->have == m->f->total;

    if (!whole && strchr("QPB", m->f->type) != NULL)
        return "a message of this length is not read, so that nobody knows its shard";
    if (m->f->type == 'F' && m->s->pool->target->db->part != 0)
        return "a function call runs on the first shard, and the session is on another";
    return NULL;
}

/* --- what is told --- */

static void put_shards(const struct finding *f, char *out, size_t size)
{
    size_t at = 0;

    snprintf(out, size, "any");
    for (uint32_t k = 0; f->shards >> k != 0 && at < size; k++)
        if (f->shards >> k & 1)
            at += (size_t)snprintf(out + at, size - at, "%s%s", at == 0 ? "" : ", ", f->map->shard_names[k]);
}

void sharding_tell(struct client *c, const struct sharding_run *run, struct sharding_told *told)
{
    struct finding f = find(c, run);
    struct scatter_refusal r;
    struct scatter_plan *plan = is_many(&f) ? plan_of(&f, &r) : NULL;

    told->set = f.shards;
    put_shards(&f, told->shards, sizeof told->shards);
    if (plan != NULL)
        snprintf(told->way, sizeof told->way, "all of them together: %s", plan->why);
    else if (is_many(&f))
        refuse_many(&f);
    else
        snprintf(told->way, sizeof told->way, f.told ? "one shard, which its user names" : "one shard");
    if (f.sqlstate != NULL)
        snprintf(told->way, sizeof told->way, "refused: %s", f.message);
    scatter_plan_free(plan);
}

void sharding_tell_stranger(struct worker *w, struct database_state *db, const char *sql, struct sharding_told *told)
{
    struct client *c = mem_zalloc(sizeof *c);
    struct shape *shape = mem_zalloc(sizeof *shape + 1);
    char *text;

    c->worker = w;
    c->db = db;
    c->vars = vars_with(vars_new(), "client_encoding", "UTF8", true);
    shape->value = reading_apart(&w->config->opt, sql, &text);
    sharding_tell(c, &(struct sharding_run){.shape = shape, .sql = sql}, told);
    reading_free(shape->value);
    free(text);
    free(shape);
    vars_unref(c->vars);
    free(c);
}
