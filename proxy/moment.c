/*
 * moment.c: see moment.h.
 * Thread: any (no state).
 */
#include "proxy/moment.h"

#include "conf/clock.h"
#include "parser/lex.h"
#include "parser/sql_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#define DATE_LEN 10 /* of "2024-03-05" */

#define MICROSECONDS(of)                                                                                               \
    "((pg_catalog.date_part('epoch', pg_catalog.date_trunc('second', " of "))::bigint OPERATOR(pg_catalog.*) 1000000 " \
    "OPERATOR(pg_catalog.+) pg_catalog.to_char(" of ", 'US')::bigint))"

const char moment_question[] = "SELECT pg_catalog.concat(" MICROSECONDS("pg_catalog.now()") ", ' ', " MICROSECONDS(
    "pg_catalog.statement_timestamp()") ", ' ', pg_catalog.to_char(pg_catalog.now(), 'YYYY-MM-DD HH24:MI:SS.US'))";

bool moment_read(const char *value, struct moment *m)
{
    char *at;

    m->epoch_us = strtoll(value, &at, 10);
    m->statement_us = strtoll(at, &at, 10);
    if (*at != ' ' || strlen(at + 1) >= sizeof m->local || strlen(at + 1) < DATE_LEN)
        return false;
    snprintf(m->local, sizeof m->local, "%s", at + 1);
    return true;
}

bool moment_read_row(struct span row, struct moment *m)
{
    struct reader r = reader_of(row.ptr, row.len);
    char text[100];

    if (reader_u16(&r) != 1)
        return false;
    struct span value = reader_bytes(&r, reader_u32(&r));
    if (r.bad || value.len >= sizeof text)
        return false;
    snprintf(text, sizeof text, "%.*s", (int)value.len, (const char *)value.ptr);
    return moment_read(text, m);
}

static void put_time(int64_t epoch_us, struct buf *out)
{
    time_t seconds = epoch_us / USEC_PER_SEC;
    char text[60];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d.%06d+00", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(epoch_us % USEC_PER_SEC));
    buf_put(out, text, strlen(text));
}

void moment_put(const struct moment *m, struct buf *out)
{
    put_time(m->epoch_us, out);
}

/* --- in a text --- */

struct word {
    const char *name;
    bool call;        /* () must follow */
    bool precise;     /* (n) may follow, and is the type's */
    bool local;       /* it is in the session's time zone */
    size_t from;      /* where it begins in that; to the end */
    size_t len;       /* 0: to the end */
    const char *type; /* of pg_catalog */
    const char *cast; /* that it is cast to once more; NULL: it is not */
    bool of_statement;
};

static const struct word words[] = {
    {"now", true, false, false, 0, 0, "timestamptz", NULL, false},
    {"transaction_timestamp", true, false, false, 0, 0, "timestamptz", NULL, false},
    {"statement_timestamp", true, false, false, 0, 0, "timestamptz", NULL, true},
    {"current_timestamp", false, true, false, 0, 0, "timestamptz", NULL, false},
    {"localtimestamp", false, true, true, 0, 0, "timestamp", NULL, false},
    {"current_date", false, false, true, 0, DATE_LEN, "date", NULL, false},
    {"localtime", false, true, true, DATE_LEN + 1, 0, "time", NULL, false},
    {"current_time", false, true, false, 0, 0, "timestamptz", "timetz", false},
};

/* A word, what may stand before it (pg_catalog and a point), and what may follow it. */
struct ahead {
    const char *sql;
    struct lexer lex;
    struct token t[5];
};

static void shift(struct ahead *a, size_t n)
{
    for (; n > 0; n--) {
        memmove(&a->t[0], &a->t[1], sizeof a->t - sizeof a->t[0]);
        lex_next_plain(&a->lex, &a->t[ARRAY_LEN(a->t) - 1]);
    }
}

static bool is_self(const struct token *t, char byte)
{
    return t->kind == TOKEN_SELF && t->first == (uint8_t)byte;
}

static bool is_word(const struct ahead *a, size_t at, const char *word)
{
    const struct token *t = &a->t[at];

    return t->kind == TOKEN_WORD && t->len == strlen(word) && strncasecmp(a->sql + t->start, word, t->len) == 0;
}

/* *from: where it begins there, behind its schema. */
static const struct word *word_at(const struct ahead *a, bool named, size_t *from)
{
    *from = !named && is_word(a, 0, "pg_catalog") && is_self(&a->t[1], '.') ? 2 : 0;
    for (size_t i = 0; !named && i < ARRAY_LEN(words); i++) {
        const struct word *w = &words[i];
        if (is_word(a, *from, w->name) && (w->call || *from == 0) &&
            (!w->call || (is_self(&a->t[*from + 1], '(') && is_self(&a->t[*from + 2], ')'))))
            return w;
    }
    return NULL;
}

/* A text that is written anew. */
struct writing {
    const struct moment *m;
    bool named; /* what stands here may be a column's name */
    struct buf out;
};

static void put_value(struct writing *g, const struct word *w)
{
    buf_put_text(&g->out, "'");
    if (w->local)
        buf_put(&g->out, g->m->local + w->from, w->len > 0 ? w->len : strlen(g->m->local + w->from));
    else
        put_time(w->of_statement ? g->m->statement_us : g->m->epoch_us, &g->out);
    buf_put_text(&g->out, w->cast != NULL ? "'::pg_catalog.timestamptz::pg_catalog." : "'::pg_catalog.");
    buf_put_text(&g->out, w->cast != NULL ? w->cast : w->type);
}

/* ('...'::pg_catalog.timestamptz(3)); returns how many tokens that stands for. */
static size_t put_word(struct writing *g, const struct ahead *a, const struct word *w)
{
    bool precise = w->precise && is_self(&a->t[1], '(') && is_self(&a->t[3], ')');

    buf_put_text(&g->out, g->named ? "(SELECT " : "(");
    put_value(g, w);
    if (precise) {
        buf_put_text(&g->out, "(");
        buf_put(&g->out, a->sql + a->t[2].start, a->t[2].len);
        buf_put_text(&g->out, ")");
    }
    if (g->named) {
        buf_put_text(&g->out, " AS ");
        buf_put_text(&g->out, w->name);
    }
    buf_put_text(&g->out, ")");
    return w->call ? 3 : precise ? 4 : 1;
}

static void copy(struct writing *g, const char *from, size_t len)
{
    if (g->m != NULL)
        buf_put(&g->out, from, len);
}

/* m NULL: whose time is asked for. */
static enum moment_asked walk(const char *sql, unsigned lex_flags, struct writing *g, bool names)
{
    struct ahead a = {.sql = sql};
    enum moment_asked asked = MOMENT_NOT;
    bool named = false;
    uint32_t from = 0;

    lex_init(&a.lex, sql, strlen(sql), lex_flags);
    shift(&a, ARRAY_LEN(a.t));
    while (a.t[0].kind != TOKEN_END && a.t[0].kind != TOKEN_ERROR) {
        size_t before, taken = 1;
        const struct word *w = word_at(&a, named, &before);
        if (w != NULL) {
            asked = MAX(asked, w->of_statement ? MOMENT_STATEMENT : MOMENT_TRANSACTION);
            copy(g, sql + from, a.t[0].start - from);
            shift(&a, before);
            taken = g->m == NULL ? 1 : put_word(g, &a, w);
            from = a.t[taken - 1].start + a.t[taken - 1].len;
        }
        g->named = g->named || (names && (is_word(&a, 0, "select") || is_word(&a, 0, "returning")));
        named = is_self(&a.t[taken - 1], '.') || is_word(&a, 0, "as");
        shift(&a, taken);
    }
    copy(g, sql + from, strlen(sql + from) + 1);
    return asked;
}

enum moment_asked moment_is_asked(const char *sql, unsigned lex_flags)
{
    struct writing g = {.m = NULL};

    return walk(sql, lex_flags, &g, false);
}

char *moment_write(const char *sql, unsigned lex_flags, const struct moment *m, bool named)
{
    struct writing g = {.m = m};

    walk(sql, lex_flags, &g, named);
    return (char *)g.out.data;
}
