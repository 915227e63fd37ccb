/*
 * whole.c: see whole.h. Words are looked for in the text, wherever they stand: that a column is called so, too, costs
 * no more than a refusal.
 * Thread: any (no state).
 */
#include "shard/whole.h"

#include "parser/lex.h"
#include "shard/scatter.h"

#include <strings.h>

struct barred {
    const char *word;
    const char *why;
    bool quoted; /* in quotes, too */
};

static const char stored[] = "has a system column, which is another shard's, or the coordinator's own";
static const char numbered[] = "has an object's number, which differs from server to server";
static const char serves[] = "asks for the user or the database";

static const struct barred barred[] = {
    {"tableoid", stored, true},
    {"ctid", stored, true},
    {"xmin", stored, true},
    {"xmax", stored, true},
    {"cmin", stored, true},
    {"cmax", stored, true},
    {"regclass", numbered, true},
    {"regproc", numbered, true},
    {"regprocedure", numbered, true},
    {"regoper", numbered, true},
    {"regoperator", numbered, true},
    {"regtype", numbered, true},
    {"regrole", numbered, true},
    {"regnamespace", numbered, true},
    {"regconfig", numbered, true},
    {"regdictionary", numbered, true},
    {"regcollation", numbered, true},
    {"tablesample", "has TABLESAMPLE", false},
    {"current_user", serves, false},
    {"session_user", serves, false},
    {"user", serves, false},
    {"current_role", serves, false},
    {"current_catalog", serves, false},
};

static bool is_word(const char *sql, const struct token *t, const struct barred *b)
{
    size_t quotes = t->kind == TOKEN_QUOTED ? 1 : 0;

    if ((t->kind != TOKEN_WORD && (t->kind != TOKEN_QUOTED || !b->quoted)) || t->len != strlen(b->word) + 2 * quotes)
        return false;
    return strncasecmp(sql + t->start + quotes, b->word, t->len - 2 * quotes) == 0;
}

static const char *bars_token(const char *sql, const struct token *t)
{
    if (t->kind == TOKEN_UQUOTED)
        return "has a name in U&\"\", which is not read";
    for (size_t i = 0; i < ARRAY_LEN(barred); i++)
        if (is_word(sql, t, &barred[i]))
            return barred[i].why;
    return NULL;
}

/* t.user, AS user. */
static bool names_next(const char *sql, const struct token *t)
{
    return (t->kind == TOKEN_SELF && t->first == '.') ||
           (t->kind == TOKEN_WORD && t->len == 2 && strncasecmp(sql + t->start, "as", 2) == 0);
}

static const char *bars_text(const char *sql, size_t len, unsigned flags)
{
    struct lexer l;
    struct token t;
    const char *why = NULL;
    bool named = false;

    lex_init(&l, sql, len, flags);
    while (why == NULL && lex_next_plain(&l, &t) != TOKEN_END) {
        if (t.kind == TOKEN_ERROR)
            return "cannot be read";
        why = bars_token(sql, &t);
        if (why == serves && named)
            why = NULL;
        named = names_next(sql, &t);
    }
    return why;
}

const char *whole_bars(const struct stmt *s, const char *sql, size_t len, unsigned flags)
{
    if (s->kind != STMT_SELECT)
        return "is no SELECT";
    if (s->row_lock != ROW_LOCK_NONE)
        return "locks rows";
    if (s->reasons != 0)
        return stmt_reason_text(s->reasons);
    for (size_t i = 0; i < s->table_count; i++)
        if (s->tables[i].flags & TABLE_ONLY)
            return "has ONLY, which is not passed on to the shards";
    return bars_text(sql, len, flags);
}

static bool tells_time(const char *name)
{
    return strcmp(name, "now") == 0 || strcmp(name, "transaction_timestamp") == 0 ||
           strcmp(name, "statement_timestamp") == 0;
}

bool whole_takes(const struct stmt_function *f)
{
    return f->class == CLASS_UNLISTED && (f->schema == NULL || strcmp(f->schema, "pg_catalog") == 0) &&
           (pure_kind_of(f->name) != PURE_NOT || tells_time(f->name));
}
