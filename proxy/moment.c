/*
 * moment.c: see moment.h.
 * Thread: any (no state).
 */
#include "proxy/moment.h"

#include "conf/clock.h"
#include "parser/lex.h"

#include <inttypes.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#define DATE_LEN 10 /* of "2024-03-05" */

const char moment_question[] =
    "SELECT (pg_catalog.date_part('epoch', pg_catalog.date_trunc('second', pg_catalog.now()))::bigint "
    "OPERATOR(pg_catalog.*) 1000000 OPERATOR(pg_catalog.+) pg_catalog.to_char(pg_catalog.now(), "
    "'US')::bigint)::pg_catalog.text, "
    "pg_catalog.to_char(pg_catalog.now(), 'YYYY-MM-DD HH24:MI:SS.US')";

bool moment_read(struct span row, struct moment *m)
{
    struct reader r = reader_of(row.ptr, row.len);
    char number[24];

    if (reader_u16(&r) != 2)
        return false;
    struct span epoch = reader_bytes(&r, reader_u32(&r));
    struct span local = reader_bytes(&r, reader_u32(&r));
    if (r.bad || epoch.len >= sizeof number || local.len >= sizeof m->local || local.len < DATE_LEN)
        return false;
    snprintf(number, sizeof number, "%.*s", (int)epoch.len, (const char *)epoch.ptr);
    snprintf(m->local, sizeof m->local, "%.*s", (int)local.len, (const char *)local.ptr);
    m->epoch_us = strtoll(number, NULL, 10);
    return true;
}

void moment_put(const struct moment *m, struct buf *out)
{
    time_t seconds = m->epoch_us / USEC_PER_SEC;
    char text[60];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    snprintf(text, sizeof text, "%04d-%02d-%02d %02d:%02d:%02d.%06d+00", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(m->epoch_us % USEC_PER_SEC));
    buf_put(out, text, strlen(text));
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
};

static const struct word words[] = {
    {"now", true, false, false, 0, 0, "timestamptz", NULL},
    {"transaction_timestamp", true, false, false, 0, 0, "timestamptz", NULL},
    {"statement_timestamp", true, false, false, 0, 0, "timestamptz", NULL},
    {"current_timestamp", false, true, false, 0, 0, "timestamptz", NULL},
    {"localtimestamp", false, true, true, 0, 0, "timestamp", NULL},
    {"current_date", false, false, true, 0, DATE_LEN, "date", NULL},
    {"localtime", false, true, true, DATE_LEN + 1, 0, "time", NULL},
    {"current_time", false, true, false, 0, 0, "timestamptz", "timetz"},
};

/* A word, and what may follow it: up to three tokens ahead. */
struct ahead {
    const char *sql;
    struct lexer lex;
    struct token t[4];
};

static void shift(struct ahead *a, size_t n)
{
    for (; n > 0; n--) {
        memmove(&a->t[0], &a->t[1], sizeof a->t - sizeof a->t[0]);
        lex_next_plain(&a->lex, &a->t[3]);
    }
}

static bool is_self(const struct token *t, char byte)
{
    return t->kind == TOKEN_SELF && t->first == (uint8_t)byte;
}

static const struct word *word_at(const struct ahead *a, bool named)
{
    const struct token *t = &a->t[0];

    for (size_t i = 0; t->kind == TOKEN_WORD && !named && i < ARRAY_LEN(words); i++) {
        const struct word *w = &words[i];
        if (t->len == strlen(w->name) && strncasecmp(a->sql + t->start, w->name, t->len) == 0 &&
            (!w->call || (is_self(&a->t[1], '(') && is_self(&a->t[2], ')'))))
            return w;
    }
    return NULL;
}

/* ('...'::pg_catalog.timestamptz(3)); returns how many tokens that stands for. */
static size_t put_word(const struct ahead *a, const struct word *w, const struct moment *m, struct buf *out)
{
    bool precise = w->precise && is_self(&a->t[1], '(') && is_self(&a->t[3], ')');
    const char *typed = w->cast != NULL ? w->cast : w->type;
    char rest[80];

    buf_put(out, "('", 2);
    if (w->local)
        buf_put(out, m->local + w->from, w->len > 0 ? w->len : strlen(m->local + w->from));
    else
        moment_put(m, out);
    if (w->cast != NULL)
        buf_put(out, "'::pg_catalog.timestamptz", 25);
    else
        buf_put(out, "'", 1);
    snprintf(rest, sizeof rest, "::pg_catalog.%s", typed);
    buf_put(out, rest, strlen(rest));
    if (precise) {
        snprintf(rest, sizeof rest, "(%.*s)", (int)MIN(a->t[2].len, 9), a->sql + a->t[2].start);
        buf_put(out, rest, strlen(rest));
    }
    buf_put(out, ")", 1);
    return w->call ? 3 : precise ? 4 : 1;
}

/* m NULL: whether there is one. */
static bool walk(const char *sql, unsigned lex_flags, const struct moment *m, struct buf *out)
{
    struct ahead a = {.sql = sql};
    uint32_t from = 0;
    bool named = false, found = false;

    lex_init(&a.lex, sql, strlen(sql), lex_flags);
    shift(&a, 4);
    while (a.t[0].kind != TOKEN_END && a.t[0].kind != TOKEN_ERROR) {
        const struct word *w = word_at(&a, named);
        size_t taken = 1;
        found = found || w != NULL;
        if (w != NULL && m != NULL) {
            buf_put(out, sql + from, a.t[0].start - from);
            taken = put_word(&a, w, m, out);
            from = a.t[taken - 1].start + a.t[taken - 1].len;
        }
        named = is_self(&a.t[0], '.') ||
                (a.t[0].kind == TOKEN_WORD && a.t[0].len == 2 && strncasecmp(sql + a.t[0].start, "as", 2) == 0);
        shift(&a, taken);
    }
    if (m != NULL)
        buf_put(out, sql + from, strlen(sql + from) + 1);
    return found;
}

bool moment_is_asked(const char *sql, unsigned lex_flags)
{
    return walk(sql, lex_flags, NULL, NULL);
}

char *moment_write(const char *sql, unsigned lex_flags, const struct moment *m)
{
    struct buf out = {0};

    walk(sql, lex_flags, m, &out);
    return (char *)out.data;
}
