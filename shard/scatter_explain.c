/*
 * scatter_explain.c: EXPLAIN of a statement that several shards answer together: each of them explains what it would be
 * asked.
 *
 *   EXPLAIN (COSTS OFF) SELECT n FROM t ORDER BY n LIMIT 5  ──>  EXPLAIN (COSTS OFF) SELECT n, n AS sluice_1 FROM ...
 *
 * Thread: any (no state).
 */
#include "shard/scatter.h"

#include "parser/lex.h"

#include <strings.h>

struct explain_text {
    struct lexer lexer;
    struct token t;
    const char *sql;
};

static bool is_word(const struct explain_text *x, const char *word)
{
    return x->t.kind == TOKEN_WORD && x->t.len == strlen(word) && strncasecmp(x->sql + x->t.start, word, x->t.len) == 0;
}

static bool is_self(const struct explain_text *x, char byte)
{
    return x->t.kind == TOKEN_SELF && x->t.first == (uint8_t)byte;
}

static void next(struct explain_text *x)
{
    lex_next_plain(&x->lexer, &x->t);
}

static bool begins_statement(const struct explain_text *x)
{
    return is_word(x, "select") || is_word(x, "values") || is_word(x, "table") || is_word(x, "with") || is_self(x, '(');
}

/* Behind the parenthesis that opens the options. False: another format than text. */
static bool pass_options(struct explain_text *x)
{
    while (!is_self(x, ')') && x->t.kind != TOKEN_END && x->t.kind != TOKEN_ERROR) {
        bool format = is_word(x, "format");
        next(x);
        if (format && !is_word(x, "text"))
            return false;
    }
    next(x);
    return true;
}

size_t scatter_explained(const char *sql, size_t len, unsigned lex_flags)
{
    struct explain_text x = {.sql = sql};

    lex_init(&x.lexer, sql, len, lex_flags);
    next(&x);
    if (!is_word(&x, "explain"))
        return 0;
    next(&x);
    if (is_self(&x, '(')) {
        size_t at = x.t.start;
        next(&x);
        if (begins_statement(&x))
            return at;
        return pass_options(&x) ? x.t.start : 0;
    }
    while (is_word(&x, "analyze") || is_word(&x, "analyse") || is_word(&x, "verbose"))
        next(&x);
    return x.t.start;
}

struct scatter_plan *scatter_plan_explain(struct scatter_plan *p, const char *sql, size_t body)
{
    struct scatter_plan *made = mem_zalloc(sizeof *made);
    struct buf text = {0};

    buf_put(&text, sql, body);
    buf_put(&text, p->sql, strlen(p->sql));
    *made = (struct scatter_plan){.mode = SCATTER_ORDER, /* by nothing: one shard after the other */
                                  .explains = true,
                                  .rewritten = true,
                                  .now_param = p->now_param,
                                  .why = p->why};
    made->sql = arena_strndup(&made->arena, (const char *)buf_head(&text), buf_used(&text));
    buf_free(&text);
    scatter_plan_free(p);
    return made;
}
