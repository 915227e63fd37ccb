/*
 * finding.c: see finding.h.
 * Thread: worker.
 */
#include "proxy/finding.h"

#include "parser/functions.h"
#include "proxy/catalog.h"
#include "proxy/place.h"
#include "proxy/routing.h"
#include "proxy/temp_names.h"

#include <stdarg.h>
#include <stdio.h>

#define HOME ((shardset)1)
#define PARENTS_MAX 8 /* of parts of parts */

/* What only the home shard has, or what only means something among those who are on one server. */
#define HOME_REASONS                                                                                                   \
    (REASON_SEQUENCE | REASON_NOTIFY | REASON_LARGE_OBJECT | REASON_ADVISORY | REASON_SNAPSHOT | REASON_FILE |         \
     REASON_ACTION | REASON_TEMP | REASON_TRANSACTION_ID)

void finding_refuse(struct finding *f, const char *hint, const char *format, ...)
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

const struct stmt *finding_stmt(const struct finding *f)
{
    const struct stmt_list *list = f->run->shape == NULL ? NULL : reading_of(f->run->shape)->list;

    return list == NULL || list->count != 1 ? NULL : list->stmts[0];
}

/* --- tables --- */

static const struct map_table on_home = {.name = "", .way = MAP_ON_SHARD, .shard = 0};

static bool is_system(const struct stmt_table *t)
{
    return t->schema != NULL && (strcmp(t->schema, "pg_catalog") == 0 || strcmp(t->schema, "information_schema") == 0);
}

static void text_of(struct span from, char to[NAME_MAX_BYTES + 1])
{
    size_t len = MIN(from.len, (size_t)NAME_MAX_BYTES);

    memcpy(to, from.ptr, len);
    to[len] = '\0';
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

/* What control has found of the shards makes its rows wrong. */
static bool is_barred(struct finding *f, const struct stmt_table *t, const struct map_table *placed)
{
    bool is_first = f->sqlstate == NULL;
    const char *hint = placed->barred_hint != NULL && *placed->barred_hint != '\0' ? placed->barred_hint : NULL;

    if (placed->barred != NULL)
        finding_refuse(f, hint, "table \"%s\" is not used: %s", t->name, placed->barred);
    else if (placed->barred_writes != NULL && (t->flags & TABLE_WRITTEN))
        finding_refuse(f, hint, "table \"%s\" is not written: %s", t->name, placed->barred_writes);
    else
        return false;
    if (is_first)
        f->sqlstate = "55000";
    return true;
}

static const struct map_table *find_relation(struct finding *f, const struct stmt_table *t, const struct placement *p)
{
    const struct catalog_table *found = &p->relation;
    const struct map_table *placed = p->table;

    f->viewed = f->viewed || (found->kind == 'v' && f->sqlstate == NULL);
    if (found->kind == 'v')
        finding_refuse(f, "Write out what the view selects.", "a view is not looked into: \"%s\"", t->name);
    else if (placed == NULL)
        finding_refuse(f, "Give it a line in [tables].", "nobody has said on which shards the rows of \"%s\" lie",
                       t->name);
    else if (UNLIKELY(is_barred(f, t, placed)))
        return NULL;
    else if ((t->flags & TABLE_WRITTEN) && placed->way != MAP_ON_SHARD && found->has_triggers)
        finding_refuse(f, NULL, "a table with triggers or rules of its own is not written: \"%s\"", t->name);
    return f->sqlstate == NULL || f->viewed ? placed : NULL;
}

static bool may_have_temporary(const struct client *c)
{
    return ((c->pins | c->traces | c->asking) & TRACE_TEMP) != 0;
}

static bool may_be_temporary(const struct finding *f, const struct stmt_table *t)
{
    return f->makes_temporary || may_have_temporary(f->c) ||
           (t->schema != NULL && strncmp(t->schema, "pg_temp", 7) == 0);
}

/* What the catalog does not have is the system's or the session's own, and these are the home shard's. Else PostgreSQL
 * says that there is none; or it is newer than what is known, and its rows may be anywhere. */
static const struct map_table *find_unknown(struct finding *f, const struct stmt_table *t)
{
    if ((t->schema == NULL && strncmp(t->name, "pg_", 3) == 0) || may_be_temporary(f, t))
        return &on_home;
    f->unread = f->unread || f->sqlstate == NULL;
    finding_refuse(f, "If it is new, try again in a minute.", "nobody knows yet where the rows of \"%s\" lie", t->name);
    return NULL;
}

/* What the catalog has by that name, and where it lies. */
static enum catalog_found look_up(struct finding *f, const struct stmt_table *t, struct placement *found)
{
    struct placements *placed = &f->c->worker->placed;
    uint64_t generation = catalog_generation(f->c->db);

    if (placed_find(placed, generation, f->map, t->schema, t->name, found))
        return CATALOG_ONE;
    enum catalog_found result = catalog_table(f->c->db, t->schema, t->name, &found->relation);
    if (result != CATALOG_ONE)
        return result;
    found->table = found->relation.kind == 'S' ? &on_home : placement_of(f, &found->relation);
    placed_put(placed, generation, (struct map *)f->map, t->schema, t->name, found);
    return CATALOG_ONE;
}

static void refuse_outdated(struct finding *f)
{
    bool first = f->sqlstate == NULL;

    f->outdated = true;
    finding_refuse(f, "Try again.", "the schema has changed, and is being read");
    if (first)
        f->sqlstate = "57P03";
}

/* One of the session's own hides what the catalog has by that name. */
static bool is_own(struct finding *f, const struct stmt_table *t)
{
    const char *path;

    if (LIKELY(buf_used(&f->c->temp_names) == 0) || t->schema != NULL ||
        (!temp_names_has(f->c, t->name) && !temp_names_has_more(f->c)))
        return false;
    struct placement hidden = {.table = NULL};
    enum catalog_found found = look_up(f, t, &hidden);
    if (found == CATALOG_UNREAD)
        refuse_outdated(f);
    if (found == CATALOG_UNREAD || found == CATALOG_NONE)
        return true;
    path = vars_get(f->c->vars, "search_path");
    if (temp_names_has_more(f->c) || (path != NULL && strstr(path, "pg_temp") != NULL))
        finding_refuse(f, "Write the schema, too.", "whether \"%s\" is a temporary table is not known", t->name);
    return true;
}

/* For keyset_places. */
static const struct map_table *find_table(void *arg, const struct stmt_table *t)
{
    struct finding *f = arg;
    struct placement found = {.table = NULL};

    if (is_system(t) || UNLIKELY(is_own(f, t)))
        return &on_home;
    switch (look_up(f, t, &found)) {
    case CATALOG_UNREAD:
        refuse_outdated(f);
        break;
    case CATALOG_NONE:
        return find_unknown(f, t);
    case CATALOG_SEVERAL:
        finding_refuse(f, "Write the schema, too.", "there is a \"%s\" in more than one schema", t->name);
        break;
    case CATALOG_ONE:
        return find_relation(f, t, &found);
    }
    return NULL;
}

const struct map_table *finding_table(struct finding *f, const struct stmt_table *t)
{
    return find_table(f, t);
}

/* A table in a command that has no conditions on its rows. */
static void find_whole_table(struct finding *f, const struct stmt_table *t)
{
    const struct map_table *placed = find_table(f, t);

    if (placed != NULL && placed->way == MAP_ON_SHARD)
        f->shards |= (shardset)1 << placed->shard;
    else if (placed != NULL && (placed->way == MAP_BY_KEY || (t->flags & TABLE_WRITTEN) || f->way == WRITE_COMMAND))
        f->shards |= map_all(f->map); /* else any of them will do */
}

/* --- rows by their keys --- */

/* Walks over the parameters of a Bind. */
struct param_walk {
    struct reader r;
    struct span formats, types;
    uint16_t format_count, count, at;
};

static struct param_walk walk_params(const struct sharding_run *run)
{
    struct param_walk w = {.r = reader_of(run->bind->rest.ptr, run->bind->rest.len), .types = run->types};

    w.format_count = reader_u16(&w.r);
    w.formats = reader_bytes(&w.r, 2u * w.format_count);
    w.count = reader_u16(&w.r);
    return w;
}

static struct key_param next_param(struct param_walk *w)
{
    uint16_t i = w->at++;
    const uint8_t *format = w->format_count == 0 ? NULL : w->formats.ptr + 2 * (w->format_count == 1 ? 0 : i);
    uint32_t len = reader_u32(&w->r);

    return (struct key_param){.oid = w->types.len >= 4u * (i + 1u) ? be32_at(w->types.ptr + 4u * i) : 0,
                              .binary = format != NULL && format[1] != 0,
                              .null = len == UINT32_MAX,
                              .bytes = len == UINT32_MAX ? span_of(NULL, 0) : reader_bytes(&w->r, len)};
}

size_t finding_params(const struct sharding_run *run, struct key_param **params)
{
    struct param_walk w = walk_params(run);

    *params = mem_zalloc((w.count + 1u) * sizeof **params);
    while (w.at < w.count) {
        uint16_t i = w.at;
        (*params)[i] = next_param(&w);
    }
    return w.count;
}

bool finding_param(const struct sharding_run *run, uint32_t number, struct key_param *p)
{
    struct param_walk w = walk_params(run);

    if (number == 0 || number > w.count)
        return false;
    while (w.at < number)
        *p = next_param(&w);
    return true;
}

struct keyset_text finding_text(const struct finding *f, struct key_param **params)
{
    struct statement_slots read = statement_slots(f->c, f->run->shape, f->run->sql);
    struct keyset_text text = {.sql = f->run->sql,
                               .slots = read.slots,
                               .slot_count = read.count,
                               .lex_flags = client_lex_flags(f->c),
                               .utf8 = place_is_utf8(f->c)};

    *params = NULL;
    if (f->run->bind != NULL)
        text.param_count = finding_params(f->run, params);
    text.params = *params;
    return text;
}

/* The home shard's locks count, for the copies have others. */
static void lock_everywhere(struct finding *f, struct keyset *k)
{
    k->shards |= HOME;
    if (shardset_is_many(k->shards) || k->keyed)
        finding_refuse(f, "Lock them by a statement of their own, or name in FOR UPDATE OF what else is to be locked.",
                       "it locks rows that lie on all shards together with others");
}

/* What it selects is read, too, by the same keyset. */
static void read_select(struct finding *f, const struct stmt *s, struct keyset *k, const struct keyset_places *places,
                        const struct keyset_text *text)
{
    struct key_param *params;

    finding_select(f, s, k, text);
    shardset shards = k->shards;
    struct keyset_text again = finding_text(f, &params);
    keyset_read(k, s, places, &again);
    k->shards = shards;
    k->why = NULL;
    k->of_rows = false;
    free(params);
}

/* Returns the worker's keyset, read of s. */
static struct keyset *read_keys(struct finding *f, const struct stmt *s)
{
    struct keyset *k = &f->c->worker->keyset;
    struct keyset_places places = {.map = f->map, .find = find_table, .arg = f};
    struct key_param *params;
    struct keyset_text text = finding_text(f, &params);

    keyset_read(k, s, &places, &text);
    if (UNLIKELY(s->row_lock != ROW_LOCK_NONE) && writes_locks_everywhere(s, k, &text))
        lock_everywhere(f, k);
    if (UNLIKELY(k->moves) && f->sqlstate == NULL)
        finding_move(f, s, k, &text);
    else if (k->of_rows && f->sqlstate == NULL && !finding_is_select(s))
        finding_insert(f, s, k, &text);
    else if ((k->of_rows || (k->why == NULL && shardset_is_many(k->shards))) && f->sqlstate == NULL &&
             finding_is_select(s))
        read_select(f, s, k, &places, &text);
    free(params);
    return k;
}

static void find_rows(struct finding *f, const struct stmt *s)
{
    const struct keyset *k = read_keys(f, s);

    f->shards |= k->shards;
    if (k->why != NULL)
        finding_refuse(f, s->kind == STMT_MERGE ? FINDING_MERGE_HINT : NULL, "%s", k->why);
}

/* --- functions --- */

static bool hits_a_backend(const char *name)
{
    return strcmp(name, "pg_terminate_backend") == 0 || strcmp(name, "pg_cancel_backend") == 0;
}

/* It reads and writes where the key is that one of its arguments holds. */
static void find_call_by_key(struct finding *f, const struct stmt *s, const struct stmt_function *call,
                             const struct map_call *known)
{
    struct key_param *params;
    struct keyset_text text = finding_text(f, &params);
    uint32_t shard = keyset_of_call(f->map, known, s, call, &text);

    f->by_call = true;
    if (shard < f->map->shard_count)
        f->shards |= (shardset)1 << shard;
    else
        finding_refuse(f, "Call it with a value there, or name the shard: /* sluice: shard=NAME */.",
                       "argument %d of %s does not tell the shard", known->argument, call->name);
    free(params);
}

static void find_function(struct finding *f, const struct stmt *s, const struct stmt_function *call)
{
    const struct map_call *known = map_call_find(f->map, call->schema, call->name);

    if (hits_a_backend(call->name))
        finding_refuse(f, "Use KILL_QUERY on the console.", "%s could hit another shard's backend", call->name);
    else if (known != NULL && known->argument != 0)
        find_call_by_key(f, s, call, known);
    else if (catalog_is_users(f->c->db, call->schema, call->name) && known == NULL)
        finding_refuse(
            f, "If it reads and writes nothing, or only what lies where it runs, list it in [functions] as local.",
            "a function may read rows of any shard: %s", call->name);
}

/* CALL of what the map knows. */
static bool is_known_call(const struct finding *f, const struct stmt *s)
{
    for (size_t i = 0; i < s->function_count; i++)
        if (map_call_find(f->map, s->functions[i].schema, s->functions[i].name) == NULL)
            return false;
    return s->kind == STMT_CALL && s->function_count > 0;
}

/* --- statements --- */

/* What has to be done on all shards, or what nobody can see into. */
static const char *why_not(const struct stmt *s)
{
    switch (s->kind) {
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

/* A command about temporary tables alone, which are their server's. */
static bool is_about_temporary(const struct finding *f, const struct stmt *s)
{
    if (s->kind != STMT_DROP && s->kind != STMT_ALTER_TABLE && s->kind != STMT_CREATE_INDEX &&
        !(s->reasons & REASON_MAINTENANCE))
        return false;
    for (size_t i = 0; i < s->table_count; i++) {
        const struct stmt_table *t = &s->tables[i];
        bool temporary = t->schema == NULL ? temp_names_has(f->c, t->name) : strncmp(t->schema, "pg_temp", 7) == 0;
        if (!temporary)
            return false;
    }
    return s->table_count > 0;
}

/* It may be new. */
static const struct map_table *find_quietly(void *arg, const struct stmt_table *t)
{
    struct finding *f = arg;
    struct finding quiet = *f;
    const struct map_table *found;

    quiet.way = WRITE_COMMAND;
    found = find_table(&quiet, t);
    f->outdated = f->outdated || quiet.outdated;
    return found;
}

/* A table that is not known may be the session's own, and that is on the home shard. */
static bool has_temporary(const struct finding *f, const struct stmt *s)
{
    struct catalog_table found;

    for (size_t i = 0; i < s->table_count; i++)
        if ((s->tables[i].schema == NULL && temp_names_has(f->c, s->tables[i].name)) ||
            (may_be_temporary(f, &s->tables[i]) &&
             catalog_table(f->c->db, s->tables[i].schema, s->tables[i].name, &found) == CATALOG_NONE))
            return true;
    return false;
}

/* TRUNCATE, LOCK: those of one shard's tables are that one's. */
static void find_rows_as_a_whole(struct finding *f, const struct stmt *s)
{
    f->way = WRITE_COMMAND;
    for (size_t i = 0; i < s->table_count; i++)
        find_whole_table(f, &s->tables[i]);
}

/* A command about tables and other objects, which all shards are to carry out. */
static bool find_command(struct finding *f, const struct stmt *s)
{
    struct scatter_refusal r;
    enum write_way way =
        writes_of_command(s, f->run->sql, strlen(f->run->sql), client_lex_flags(f->c), find_quietly, f, &r);

    if (f->outdated)
        refuse_outdated(f);
    if (way == WRITE_NOT && r.why[0] != '\0')
        finding_refuse(f, r.help, "%s", r.why);
    if (way == WRITE_NOT)
        return r.why[0] != '\0';
    if (has_temporary(f, s)) {
        f->shards |= HOME;
        return true;
    }
    if (s->kind == STMT_TRUNCATE || s->kind == STMT_LOCK)
        find_rows_as_a_whole(f, s);
    else
        f->shards |= map_all(f->map);
    f->way = way;
    if (finding_stmt(f) == NULL)
        finding_refuse(f, "Send it by itself.", "a command for all shards comes alone in its text");
    return true;
}

/* Its tables are spoken of row by row. */
static bool has_rows(const struct stmt *s)
{
    return s->kind == STMT_SELECT || s->kind == STMT_VALUES || s->kind == STMT_INSERT || s->kind == STMT_UPDATE ||
           s->kind == STMT_DELETE || s->kind == STMT_MERGE;
}

/* The keyset was read of it last. */
static bool writes_everywhere(const struct finding *f, const struct stmt *s)
{
    const struct keyset *k = &f->c->worker->keyset;

    for (size_t i = 0; s != NULL && has_rows(s) && i < s->table_count; i++)
        if ((s->tables[i].flags & TABLE_WRITTEN) && k->tables[i] != NULL && k->tables[i]->way == MAP_EVERYWHERE)
            return true;
    return false;
}

/* The temporary table that it makes: its server's, whatever else has that name. */
static bool makes_own(const struct stmt *s, const struct stmt_table *t)
{
    return (s->reasons & REASON_TEMP) && (t->flags & TABLE_WRITTEN) &&
           (s->kind == STMT_CREATE_TABLE || s->kind == STMT_CREATE_TABLE_AS || s->kind == STMT_SELECT_INTO);
}

static void find_stmt(struct finding *f, const struct stmt *s)
{
    bool temporary = is_about_temporary(f, s);
    const char *barred = is_known_call(f, s) || temporary ? NULL : why_not(s);

    f->makes_temporary = f->makes_temporary || (s->reasons & REASON_TEMP);
    if (!temporary && find_command(f, s))
        return;
    if (barred != NULL)
        finding_refuse(f, "Run it on each shard by itself.", "%s", barred);
    if (s->reasons & HOME_REASONS) {
        f->shards |= s->reasons & HOME_REASONS & ~(uint32_t)REASON_SEQUENCE ? HOME : 0;
        f->shards |= s->reasons & REASON_SEQUENCE ? finding_sequences(f, s) : 0;
        f->home = true;
    }
    if (has_rows(s))
        find_rows(f, s);
    for (size_t i = 0; i < s->table_count && !has_rows(s); i++)
        if (!makes_own(s, &s->tables[i]))
            find_whole_table(f, &s->tables[i]);
    for (size_t i = 0; i < s->function_count; i++)
        find_function(f, s, &s->functions[i]);
    if (s->body != NULL)
        find_stmt(f, s->body);
    if (s->kind == STMT_EXPLAIN && !(s->flags & FACT_ANALYZE) && writes_everywhere(f, s->body))
        f->shards = HOME;
    if (s->kind == STMT_PREPARE && f->shards != 0)
        finding_refuse(f, "Prepare it by the protocol, as drivers do.",
                       "PREPARE does not tell the shard of each EXECUTE");
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

    if (quiet.given)
        why = "its rows' keys are drawn on the first shard, and lie where these say";
    if (why != NULL && quiet.sqlstate != NULL && f->sqlstate == NULL)
        *f = quiet; /* says it better */
    else if (why != NULL)
        finding_refuse(
            f, "Without sluice.shard, sluice.key and a comment that names a shard, its keys tell where it runs.", "%s",
            why);
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
    finding_refuse(f, NULL, "%s", error.message);
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

static struct finding find(struct client *c, const struct sharding_run *run, bool tells)
{
    struct finding f = {.c = c, .map = __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE), .run = run, .tells = tells};
    const struct stmt_list *list = run->shape == NULL ? NULL : reading_of(run->shape)->list;

    if (f.map == NULL) {
        finding_refuse(&f, "Look into Sluice's log.", "it is not known where the rows of database \"%s\" lie",
                       c->db->name);
        f.sqlstate = "57P03";
        return f;
    }
    if (UNLIKELY(f.map->barred != NULL)) {
        finding_refuse(&f, NULL, "database \"%s\" is not served: %s", c->db->name, f.map->barred);
        f.sqlstate = "55000";
        return f;
    }
    f.unread = list == NULL;
    if (list == NULL)
        finding_refuse(&f, NULL, "a statement that cannot be read, so that nobody knows its shard");
    for (size_t i = 0; list != NULL && i < list->count; i++)
        find_stmt(&f, list->stmts[i]);
    if (list != NULL)
        heed(&f, list);
    if (f.by_call && finding_is_many(&f))
        finding_refuse(&f, "Call it by itself.", "a function runs where its key is, and the rest lies elsewhere, too");
    return f;
}

struct finding finding_of(struct client *c, const struct sharding_run *run)
{
    return find(c, run, false);
}

struct finding finding_to_tell(struct client *c, const struct sharding_run *run)
{
    return find(c, run, true);
}

/* --- once more --- */

#define AGAIN_MAX (2 * KIB) /* what is remembered of a run */

static struct span span_at(const struct buf *b, size_t at, size_t len)
{
    return span_of(buf_head(b) + at, len);
}

static bool is_last(const struct found_last *last, const struct client *c, const struct sharding_run *run)
{
    struct span text = span_of(run->sql, strlen(run->sql) + 1), types = run->types;
    struct span rest = run->bind == NULL ? span_of(NULL, 0) : run->bind->rest;

    return last->client_id == c->id && last->vars == c->vars && last->shape == run->shape && run->shape != NULL &&
           last->map == __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE) &&
           last->generation == catalog_generation(c->db) && buf_used(&last->run) == text.len + types.len + rest.len &&
           span_equal(span_at(&last->run, 0, text.len), text) &&
           span_equal(span_at(&last->run, text.len, types.len), types) &&
           span_equal(span_at(&last->run, text.len + types.len, rest.len), rest);
}

static void last_forget(struct found_last *last)
{
    map_unref(last->map);
    last->map = NULL;
    last->client_id = 0;
}

static void remember(struct found_last *last, const struct finding *f)
{
    const struct sharding_run *run = f->run;
    size_t len = strlen(run->sql) + 1, rest = run->bind == NULL ? 0 : run->bind->rest.len;

    if (len + run->types.len + rest > AGAIN_MAX)
        return;
    map_ref((struct map *)f->map);
    last->map = (struct map *)f->map;
    last->client_id = f->c->id;
    last->vars = f->c->vars;
    last->shape = run->shape;
    last->generation = catalog_generation(f->c->db);
    last->shards = f->shards;
    buf_consume(&last->run, buf_used(&last->run));
    buf_put(&last->run, run->sql, len);
    buf_put(&last->run, run->types.ptr, run->types.len);
    if (rest > 0)
        buf_put(&last->run, run->bind->rest.ptr, rest);
}

bool finding_is_plain(const struct finding *f)
{
    return f->sqlstate == NULL && !finding_is_many(f) && !f->makes_temporary && !f->told && !f->anywhere &&
           !f->viewed && !f->unread && f->way == WRITE_NOT;
}

struct finding finding_again(struct client *c, const struct sharding_run *run)
{
    struct found_last *last = &c->worker->placed.last;
    bool by_rows = !place_is_said(c) && !may_have_temporary(c);
    shardset shards;

    if (by_rows && one_key_shard(c, run, &shards))
        return (struct finding){.c = c, .map = reading_of(run->shape)->one_key.map, .run = run, .shards = shards};
    if (by_rows && is_last(last, c, run))
        return (struct finding){.c = c, .map = last->map, .run = run, .shards = last->shards};
    struct finding f = finding_of(c, run);
    last_forget(last);
    if (by_rows && finding_is_plain(&f)) {
        remember(last, &f);
        one_key_learn(&f);
    }
    return f;
}
