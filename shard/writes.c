/*
 * writes.c: see writes.h.
 * Thread: any (no state).
 */
#include "shard/writes.h"

#include "parser/values.h"
#include "shard/clauses.h"

#include <stdarg.h>
#include <stdio.h>

static const char help_keys[] = "Give the key of each table, or run it for one key after the other.";
static const char help_apart[] = "Run it on each shard by itself.";

static enum write_way refuse(struct scatter_refusal *r, const char *help, const char *fmt, ...) PRINTF_LIKE(3, 4);

static enum write_way refuse(struct scatter_refusal *r, const char *help, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(r->why, sizeof r->why, fmt, args);
    va_end(args);
    r->help = help;
    return WRITE_NOT;
}

/* --- rows --- */

static bool is_word(const struct keyset_text *text, const struct token *t, const char *word)
{
    return t->len == strlen(word) && memcmp(text->sql + t->start, word, t->len) == 0;
}

/* A row's place in its shard means nothing elsewhere. */
static bool has_system_column(const struct keyset_text *text)
{
    static const char *const names[] = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"};
    struct lexer lex;
    struct token t;

    lex_init(&lex, text->sql, strlen(text->sql), text->lex_flags);
    while (lex_next_plain(&lex, &t) != TOKEN_END && t.kind != TOKEN_ERROR) {
        struct token inside = t;
        if (t.kind == TOKEN_QUOTED) {
            inside.start++;
            inside.len -= 2;
        } else if (t.kind != TOKEN_WORD) {
            continue;
        }
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            if (is_word(text, &inside, names[i]))
                return true;
    }
    return false;
}

/* The mention whose rows it writes; -1: there are several. */
static int target_of(const struct stmt *s)
{
    int target = -1;

    for (size_t i = 0; i < s->table_count; i++) {
        if (!(s->tables[i].flags & TABLE_WRITTEN))
            continue;
        if (target >= 0 || s->tables[i].query != s->query)
            return -1;
        target = (int)i;
    }
    return target;
}

/* What else it reads is alike on every shard, or lies with the rows that are written. */
static enum write_way check_others(const struct stmt *s, const struct keyset *k, int target, struct scatter_refusal *r)
{
    for (size_t i = 0; i < s->table_count; i++) {
        const struct map_table *t = k->tables[i];
        if ((int)i == target || t == NULL || t->way == MAP_EVERYWHERE)
            continue;
        if (t->way == MAP_ON_SHARD)
            return refuse(r, help_keys, "it reads \"%s\", which lies on one shard", s->tables[i].name);
        if (!(s->tables[target].flags & TABLE_FILLED) && keyset_is_tied(k, s, (size_t)i, (size_t)target))
            continue;
        return refuse(r, help_keys, "it reads \"%s\", whose rows may lie on other shards than those that it writes",
                      s->tables[i].name);
    }
    return WRITE_SAME;
}

/* It runs on the home shard. */
static enum write_way check_at_home(const struct stmt *s, const struct keyset *k, int target, struct scatter_refusal *r)
{
    for (size_t i = 0; i < s->table_count; i++) {
        const struct map_table *t = k->tables[i];
        if ((int)i == target || t == NULL || t->way == MAP_EVERYWHERE || (t->way == MAP_ON_SHARD && t->shard == 0))
            continue;
        return refuse(r, "Read them first, and write what they have become.",
                      "it writes rows that lie on all shards, and reads those of \"%s\", which do not",
                      s->tables[i].name);
    }
    if (s->flags & FACT_CURRENT_OF)
        return refuse(r, help_keys, "it writes where a cursor stands, rows that lie on all shards");
    return WRITE_IMAGES;
}

enum write_way writes_of_rows(const struct stmt *s, const struct keyset *k, const struct keyset_text *text,
                              struct scatter_refusal *r)
{
    int target = target_of(s);

    if (s->kind != STMT_INSERT && s->kind != STMT_UPDATE && s->kind != STMT_DELETE)
        return refuse(r, help_keys, "its rows may lie on more than one shard");
    if (target < 0)
        return refuse(r, help_keys, "it writes more than one table");
    if (k->tables[target]->way == MAP_ON_SHARD)
        return refuse(r, help_keys, "what it writes to one shard is read on others");
    if (s->kind != STMT_INSERT && has_system_column(text))
        return refuse(r, help_keys, "a system column means something on one shard only");
    if (k->tables[target]->way == MAP_EVERYWHERE)
        return check_at_home(s, k, target, r);
    if (check_others(s, k, target, r) == WRITE_NOT)
        return WRITE_NOT;
    return s->kind == STMT_INSERT ? WRITE_ROWS : WRITE_SAME;
}

/* --- row locks --- */

struct locking {
    struct clauses c;
    const struct stmt *s;
    const struct keyset *k;
};

/* The name stands for rows that lie on all shards. A name in another spelling does not. */
static bool is_everywhere(const struct locking *l, uint32_t token)
{
    for (size_t i = 0; i < l->s->table_count; i++) {
        const struct stmt_table *t = &l->s->tables[i];
        if (l->k->tables[i] != NULL && l->k->tables[i]->way == MAP_EVERYWHERE &&
            clauses_names(&l->c, token, t->alias != NULL ? t->alias : t->name))
            return true;
    }
    return false;
}

/* FOR [NO KEY] UPDATE, FOR [KEY] SHARE: where its names, behind OF, begin; 0: it is none. */
static uint32_t after_lock(const struct clauses *c, uint32_t i)
{
    uint32_t last = i + 1;

    if (!clauses_word(c, i, "for"))
        return 0;
    last += clauses_word(c, last, "no");
    last += clauses_word(c, last, "key");
    return clauses_word(c, last, "update") || clauses_word(c, last, "share") ? last + 1 : 0;
}

/* Without OF all tables are meant. */
static bool locks_everywhere(const struct locking *l)
{
    for (uint32_t i = 0; i < l->c.token_count; i++) {
        uint32_t name = after_lock(&l->c, i);
        if (name == 0)
            continue;
        if (!clauses_word(&l->c, name, "of"))
            return true;
        for (name++; name < l->c.token_count; name += 2) {
            if (l->c.tokens[name].kind == TOKEN_UQUOTED || is_everywhere(l, name))
                return true;
            if (!clauses_is(&l->c, name + 1, ','))
                break;
        }
    }
    return false;
}

bool writes_locks_everywhere(const struct stmt *s, const struct keyset *k, const struct keyset_text *text)
{
    struct locking l = {.s = s, .k = k};
    struct arena arena = {.chunks = NULL};
    bool any = false;

    for (size_t i = 0; i < s->table_count && s->row_lock != ROW_LOCK_NONE; i++)
        any = any || (k->tables[i] != NULL && k->tables[i]->way == MAP_EVERYWHERE);
    if (!any)
        return false;
    any = !clauses_tokens(&l.c, text->sql, strlen(text->sql), text->lex_flags, &arena) || locks_everywhere(&l);
    arena_free(&arena);
    return any;
}

/* --- commands --- */

struct command {
    const struct stmt *s;
    struct clauses c;
    writes_table *table;
    void *arg;
    struct scatter_refusal *r;
};

static bool has_word(const struct command *m, const char *word)
{
    for (uint32_t i = 0; i < m->c.token_count; i++)
        if (clauses_word(&m->c, i, word))
            return true;
    return false;
}

static bool is_name(const struct command *m, uint32_t i, const char *name)
{
    return clauses_names(&m->c, i, name);
}

/* Behind COLUMN, IF EXISTS. */
static uint32_t after_column(const struct command *m, uint32_t i)
{
    if (clauses_word(&m->c, i, "column"))
        i++;
    return clauses_word(&m->c, i, "if") && clauses_word(&m->c, i + 1, "exists") ? i + 2 : i;
}

/* DROP, RENAME, ALTER ... TYPE of that column. */
static const char *harm_to_column(const struct command *m, const char *column)
{
    for (uint32_t i = 0; i < m->c.token_count; i++) {
        uint32_t name = after_column(m, i + 1);
        if (!is_name(m, name, column))
            continue;
        if (clauses_word(&m->c, i, "drop"))
            return "drops";
        if (clauses_word(&m->c, i, "rename"))
            return "renames";
        if (clauses_word(&m->c, i, "alter") &&
            (clauses_word(&m->c, name + 1, "type") || clauses_word(&m->c, name + 1, "set")) && has_word(m, "type"))
            return "changes the type of";
    }
    return NULL;
}

/* RENAME TO, SET SCHEMA: the map knows the table by its name. */
static bool renames_table(const struct command *m)
{
    for (uint32_t i = 0; i < m->c.token_count; i++)
        if ((clauses_word(&m->c, i, "rename") && clauses_word(&m->c, i + 1, "to")) ||
            (clauses_word(&m->c, i, "set") && clauses_word(&m->c, i + 1, "schema")))
            return true;
    return false;
}

static bool is_one_of(const struct command *m, uint32_t token, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (clauses_word(&m->c, token, words[i]))
            return true;
    return false;
}

/* What stands before a parenthesis there, and is no function. */
static bool is_clause(const struct command *m, uint32_t token)
{
    static const char *const words[] = {"and",       "any",     "as",        "bit",        "char",     "character",
                                        "check",     "decimal", "generated", "in",         "interval", "key",
                                        "not",       "numeric", "or",        "references", "then",     "time",
                                        "timestamp", "unique",  "varchar",   "varying",    "when",     "else"};

    return is_one_of(m, token, words, ARRAY_LEN(words));
}

/* An expression from there on, up to what it ends with, may have another value on each shard. Of functions, those are
 * known that depend on nothing else. */
static bool may_differ(const struct command *m, uint32_t first)
{
    static const char *const pure[] = {"abs",        "btrim",     "cast",   "ceil",    "coalesce", "floor",
                                       "left",       "lower",     "nullif", "replace", "right",    "round",
                                       "split_part", "substring", "trim",   "upper"};
    static const char *const said[] = {"current_catalog", "current_date",      "current_role", "current_schema",
                                       "current_time",    "current_timestamp", "current_user", "localtime",
                                       "localtimestamp",  "session_user",      "system_user",  "user"};

    int depth = 0;

    for (uint32_t i = first; i < m->c.token_count && (depth > 0 || !clauses_is(&m->c, i, ',')); i++) {
        const struct token *t = &m->c.tokens[i];
        bool type = i > first && m->c.tokens[i - 1].kind == TOKEN_TYPECAST;
        bool opens = clauses_is(&m->c, i + 1, '(') && !type;
        depth += clauses_is(&m->c, i, '(') - clauses_is(&m->c, i, ')');
        if ((token_is_string(t->kind) && time_may_be((const uint8_t *)m->c.sql, t)) ||
            is_one_of(m, i, said, ARRAY_LEN(said)))
            return true;
        if (opens && (t->kind == TOKEN_QUOTED || t->kind == TOKEN_UQUOTED || clauses_is(&m->c, i - 1, '.')))
            return true;
        if (opens && t->kind == TOKEN_WORD && !is_one_of(m, i, pure, ARRAY_LEN(pure)) && !is_clause(m, i))
            return true;
    }
    return false;
}

/* What it makes of the rows that are there would be another thing on each copy; or, by key, the same on each shard. */
static const char *harm_to_rows(const struct command *m, bool copies)
{
    static const char *const drawn[] = {"serial",  "bigserial", "smallserial", "serial2",
                                        "serial4", "serial8",   "identity"};
    bool adds = false;

    for (uint32_t i = 3; i < m->c.token_count; i++) {
        if (clauses_word(&m->c, i, "add"))
            adds = !clauses_word(&m->c, i + 1, "generated");
        if (clauses_word(&m->c, i, "alter") || clauses_word(&m->c, i, "drop"))
            adds = false;
        if (adds && is_one_of(m, i, drawn, ARRAY_LEN(drawn)))
            return "draws numbers for";
        if (!copies)
            continue;
        if (adds && clauses_word(&m->c, i, "default") && may_differ(m, i + 1))
            return "computes a default for";
        if (clauses_word(&m->c, i, "using") && !adds && may_differ(m, i + 1))
            return "computes values for";
    }
    return NULL;
}

static bool check_table(const struct command *m, const struct stmt_table *mention)
{
    const struct map_table *t = m->table(m->arg, mention);
    const char *harm;

    if (t == NULL || t->name[0] == '\0' || !clauses_word(&m->c, 0, "alter") || !clauses_word(&m->c, 1, "table"))
        return true;
    harm = t->way != MAP_ON_SHARD ? harm_to_rows(m, t->way == MAP_EVERYWHERE) : NULL;
    if (harm != NULL && t->way == MAP_BY_KEY)
        return refuse(m->r, "Add the column as a plain number, and fill it by UPDATE.",
                      "it %s rows of \"%s\": they would be the same on each shard", harm, t->name) != WRITE_NOT;
    if (harm != NULL)
        return refuse(m->r, "Add the column without it, fill it by UPDATE, and SET DEFAULT then.",
                      "it %s rows of \"%s\", which lie on all shards: they may become others on each", harm,
                      t->name) != WRITE_NOT;
    harm = t->way == MAP_BY_KEY ? harm_to_column(m, t->column) : NULL;
    if (harm != NULL)
        refuse(m->r, "Take the table's line out of [tables] first.", "it %s the key of \"%s\"", harm, t->name);
    else if (renames_table(m))
        refuse(m->r, "Take the table's line out of [tables] first.", "it renames \"%s\", which the map names", t->name);
    return m->r->why[0] == '\0';
}

static bool is_of(const struct command *m, const char *object)
{
    return clauses_word(&m->c, 1, object);
}

static bool is_step(const struct command *m, uint32_t i)
{
    return clauses_word(&m->c, i, "increment") || clauses_word(&m->c, i, "start") || clauses_word(&m->c, i, "minvalue");
}

/* Its sequences' steps keep shards apart. */
static bool changes_steps(const struct command *m)
{
    bool sequence = is_of(m, "sequence");

    if (!clauses_word(&m->c, 0, "alter") || !(sequence || is_of(m, "table")))
        return false;
    for (uint32_t i = 2; i < m->c.token_count; i++)
        if (clauses_word(&m->c, i, "restart") || (sequence && is_step(m, i)) ||
            (clauses_word(&m->c, i, "set") && is_step(m, i + 1)))
            return true;
    return false;
}

static bool is_whole_servers(const struct command *m)
{
    return is_of(m, "database") || is_of(m, "tablespace") || is_of(m, "subscription") || is_of(m, "system");
}

static enum write_way way_of(const struct command *m)
{
    const struct stmt *s = m->s;

    if ((s->reasons & REASON_MAINTENANCE) || has_word(m, "concurrently"))
        return WRITE_APART;
    if (s->kind == STMT_CREATE_TABLE_AS || s->kind == STMT_SELECT_INTO ||
        (s->kind == STMT_CREATE_VIEW && is_of(m, "materialized")))
        return refuse(m->r, help_apart, "the rows of a new table would be made of each shard's own");
    if (s->kind == STMT_DDL && is_whole_servers(m))
        return refuse(m->r, help_apart, "it is about a server as a whole");
    if (changes_steps(m))
        return refuse(m->r, help_apart, "each shard's sequences have steps of their own");
    for (size_t i = 0; i < s->table_count; i++)
        if (!check_table(m, &s->tables[i]))
            return WRITE_NOT;
    return WRITE_COMMAND;
}

static bool is_command(const struct stmt *s)
{
    if (s->reasons & (REASON_TEMP | REASON_CODE | REASON_FILE | REASON_ACTION))
        return false;
    return (s->reasons & (REASON_DDL | REASON_MAINTENANCE)) || s->kind == STMT_TRUNCATE || s->kind == STMT_LOCK;
}

enum write_way writes_of_command(const struct stmt *s, const char *sql, size_t len, unsigned lex_flags,
                                 writes_table *table, void *arg, struct scatter_refusal *r)
{
    struct command m = {.s = s, .table = table, .arg = arg, .r = r};
    struct arena arena = {.chunks = NULL};
    enum write_way way = WRITE_NOT;

    r->why[0] = '\0';
    r->help = NULL;
    if (is_command(s) && clauses_tokens(&m.c, sql, len, lex_flags, &arena))
        way = way_of(&m);
    arena_free(&arena);
    return way;
}
