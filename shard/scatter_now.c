/*
 * scatter_now.c: the time of the transaction, which each shard would read from its own clock, becomes one parameter
 * more, which the caller gives to all of them.
 *
 *   WHERE placed > now() - $1::interval        WHERE placed > CAST($2 AS timestamptz) - $1::interval
 *   SELECT now()                               SELECT CAST($1 AS timestamptz) AS "now"
 * Thread: any (no state).
 */
#include "shard/scatter_parts.h"

#include <stdio.h>

#define PARAMS_MAX 65535 /* of a Bind */

struct time_word {
    const char *word;
    bool call;        /* () must follow */
    const char *type; /* that the parameter is cast to once more; NULL: it is not */
};

static const struct time_word time_words[] = {
    {"now", true, NULL},
    {"transaction_timestamp", true, NULL},
    {"current_timestamp", false, NULL},
    {"current_date", false, "date"},
    {"localtimestamp", false, "timestamp"},
};

/* Other words that the grammar takes for a value without parentheses. */
static const char *const other_words[] = {"current_time", "localtime", "current_user",    "current_role",
                                          "session_user", "user",      "current_catalog", "current_schema"};

static bool is_self(const struct planner *b, uint32_t token, char byte)
{
    return token < b->c.token_count && b->c.tokens[token].kind == TOKEN_SELF &&
           b->c.tokens[token].first == (uint8_t)byte;
}

bool now_is_call(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(time_words); i++)
        if (time_words[i].call && strcmp(time_words[i].word, name) == 0)
            return true;
    return false;
}

/* A name, and not what the grammar makes of the word: t.now, AS user. */
static bool is_name(const struct planner *b, uint32_t token)
{
    return token > 0 && (is_self(b, token - 1, '.') || clauses_word(&b->c, token - 1, "as"));
}

static const struct time_word *time_word_at(const struct planner *b, uint32_t token)
{
    if (b->c.tokens[token].kind != TOKEN_WORD || is_name(b, token))
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(time_words); i++) {
        const struct time_word *w = &time_words[i];
        if (clauses_word(&b->c, token, w->word) &&
            (!w->call || (is_self(b, token + 1, '(') && is_self(b, token + 2, ')'))))
            return w;
    }
    return NULL;
}

static bool is_other_word(const struct planner *b, uint32_t token)
{
    for (size_t i = 0; i < ARRAY_LEN(other_words); i++)
        if (clauses_word(&b->c, token, other_words[i]) && !is_name(b, token))
            return true;
    return false;
}

/* The output column in which it stands has no name but the time's; -1: it is none. */
static int names_column(const struct planner *b, const struct time_word *w, uint32_t token)
{
    const struct clause *targets = &b->c.clauses[CLAUSE_TARGETS];

    for (size_t i = 0; i < targets->item_count; i++) {
        const struct outline_expr *e = &b->o->targets[i];
        if (token >= targets->items[i].first && token < targets->items[i].end)
            return !e->named && e->name != NULL && strcmp(e->name, w->word) == 0 ? (int)i : -1;
    }
    return -1;
}

static bool check_word(struct planner *b, const struct time_word *w, uint32_t token)
{
    if (!b->f->gives_now)
        return planner_refuse(b, "Give the time as a literal.",
                              "it asks for the time, which may differ from shard to shard");
    if (!w->call && is_self(b, token + 1, '('))
        return planner_refuse(b, "Leave the precision out.", "it asks for the time in a certain precision");
    return true;
}

static void put_time(const struct time_word *w, uint16_t param, struct buf *out)
{
    char text[80];

    if (w->type == NULL)
        snprintf(text, sizeof text, "CAST($%d AS timestamptz)", param);
    else
        snprintf(text, sizeof text, "CAST(CAST($%d AS timestamptz) AS %s)", param, w->type);
    buf_put(out, text, strlen(text));
}

static bool has_value_functions(const struct outline *o)
{
    return (o->flags & OUTLINE_VALUE_FUNCTION) || (o->from != NULL && has_value_functions(o->from));
}

/* A text that is written anew. */
struct rewrite {
    struct planner *b;
    struct buf *out;
    uint32_t from;    /* what of the text is not in it yet */
    const char *name; /* that an output column is given, ... */
    uint32_t name_at; /* ... ahead of this token; 0: none */
};

static void copy_to(struct rewrite *w, uint32_t end)
{
    buf_put(w->out, w->b->c.sql + w->from, end - w->from);
    w->from = end;
}

static void put_name(struct rewrite *w, uint32_t token)
{
    char text[80];

    if (w->name_at == 0 || w->name_at != token)
        return;
    w->name_at = 0;
    copy_to(w, w->b->c.tokens[token - 1].start + w->b->c.tokens[token - 1].len);
    snprintf(text, sizeof text, " AS \"%s\"", w->name);
    buf_put(w->out, text, strlen(text));
}

static void put_word(struct rewrite *w, const struct time_word *word, uint32_t token, uint16_t param)
{
    const struct planner *b = w->b;
    const struct token *last = &b->c.tokens[token + (word->call ? 2 : 0)];
    int target = names_column(b, word, token);

    copy_to(w, b->c.tokens[token].start);
    put_time(word, param, w->out);
    w->from = last->start + last->len;
    if (target < 0)
        return;
    w->name = word->word;
    w->name_at = b->c.clauses[CLAUSE_TARGETS].items[target].end;
}

/* *found: there was something to write. */
static bool write_times(struct planner *b, uint16_t param, struct buf *out, bool *found)
{
    struct rewrite w = {.b = b, .out = out, .from = b->c.tokens[0].start};
    uint32_t count = (uint32_t)b->c.token_count;
    bool values = has_value_functions(b->o);

    for (uint32_t i = 0; i < count; i++) {
        const struct time_word *word = time_word_at(b, i);
        put_name(&w, i);
        if (values && is_other_word(b, i))
            return planner_refuse(b, NULL, "it asks for the user or the time of day, which may differ");
        if (word == NULL)
            continue;
        if (!check_word(b, word, i))
            return false;
        put_word(&w, word, i, param);
        *found = true;
    }
    put_name(&w, count);
    copy_to(&w, b->c.tokens[count - 1].start + b->c.tokens[count - 1].len);
    return true;
}

bool now_replace(struct planner *b, unsigned lex_flags)
{
    uint16_t param = (uint16_t)(b->s->params + 1);
    struct buf out = {.data = NULL};
    bool found = false;
    bool right = write_times(b, param, &out, &found);

    if (right && found) {
        size_t len = buf_used(&out);
        const char *sql = arena_strndup(&b->p->arena, (const char *)buf_head(&out), len);
        right = (b->s->params < PARAMS_MAX && clauses_read(&b->c, sql, len, lex_flags, &b->p->arena)) ||
                planner_refuse(b, NULL, "it has too many parameters");
        b->p->now_param = param;
    }
    buf_free(&out);
    return right;
}
