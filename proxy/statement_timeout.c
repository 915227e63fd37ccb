/*
 * statement_timeout.c: see statement_timeout.h.
 * Source: SEMANTICS F1.
 * Thread: worker.
 */
#include "proxy/statement_timeout.h"

#include <stdio.h>
#include <strings.h>

#define NAME "statement_timeout"
#define HIDDEN "sluice_timeout" /* a statement and a portal of ours */

/* --- the two values --- */

static usec_t usec_of(const char *text)
{
    if (strncmp(text, VARS_AT_MOST, strlen(VARS_AT_MOST)) == 0)
        text += strlen(VARS_AT_MOST);
    return MAX(vars_time_usec(text), 0);
}

usec_t statement_timeout_of(const struct vars *v)
{
    const char *text = vars_get(v, NAME);

    return text == NULL ? 0 : usec_of(text);
}

/* What the server gets of a limit. */
static int64_t sent_ms(usec_t limit)
{
    return MAX(limit / USEC_PER_MSEC - 1, 1);
}

static bool is_over(usec_t own, usec_t limit)
{
    return own <= 0 || own > sent_ms(limit) * USEC_PER_MSEC;
}

/* own_ms: as in struct client. */
static struct vars *with_limit(struct vars *v, int64_t own_ms, usec_t limit)
{
    char text[40];

    snprintf(text, sizeof text, "%s%lld", own_ms < 0 ? VARS_AT_MOST : "", (long long)sent_ms(limit));
    return vars_with(v, NAME, text, false);
}

static int64_t own_ms_of(const struct vars *v)
{
    const char *text = vars_get(v, NAME);

    return text == NULL ? -1 : (usec_of(text) + USEC_PER_MSEC / 2) / USEC_PER_MSEC;
}

struct vars *statement_timeout_limited(struct vars *v, usec_t limit)
{
    return limit > 0 && is_over(statement_timeout_of(v), limit) ? with_limit(v, own_ms_of(v), limit) : v;
}

void statement_timeout_login(struct client *c, const struct vars *base)
{
    c->own_timeout_ms = c->login_timeout_ms = own_ms_of(base);
}

void statement_timeout_reset(struct client *c)
{
    c->own_timeout_ms = c->login_timeout_ms;
}

/* The server has the limit that we have set. */
static bool is_sent(const struct client *c, int64_t ms)
{
    return c->statement_limit > 0 && ms == sent_ms(c->statement_limit);
}

struct vars *statement_timeout_settled(struct client *c, struct vars *settings)
{
    int64_t ms = own_ms_of(settings);

    if (ms < 0)
        c->own_timeout_ms = c->login_timeout_ms;
    else if (!is_sent(c, ms))
        c->own_timeout_ms = ms;
    else
        settings = with_limit(settings, c->own_timeout_ms, c->statement_limit);
    return settings;
}

/* --- who is told --- */

static bool names_it(const struct stmt *s, const char *sql)
{
    bool told = false;

    for (size_t i = 0; i < s->table_count; i++) {
        if (strcmp(s->tables[i].name, "pg_settings") != 0)
            return false;
        told = true;
    }
    for (size_t i = 0; i < s->function_count; i++) {
        bool all = strcmp(s->functions[i].name, "pg_show_all_settings") == 0;
        if (!all && strcmp(s->functions[i].name, "current_setting") != 0)
            return false;
        told = told || all || s->params > 0 || strcasestr(sql, NAME) != NULL;
    }
    return told;
}

/* It does no more than to tell settings: it may run for a moment without the limit. */
static bool tells(const struct stmt *s, const char *sql)
{
    if (s->kind == STMT_SHOW)
        return s->name != NULL && (strcasecmp(s->name, NAME) == 0 || strcasecmp(s->name, "all") == 0);
    return s->kind == STMT_SELECT && s->reasons == REASON_SESSION && names_it(s, sql);
}

bool statement_timeout_tells(const struct client *c, const struct shape *shape, const char *sql)
{
    if (LIKELY(c->statement_limit == 0 || shape == NULL || !(reading_of(shape)->reasons & REASON_SESSION)))
        return false;
    const struct stmt_list *list = reading_of(shape)->list;
    return list != NULL && list->count == 1 && c->server->tx != 'E' &&
           is_sent(c, (statement_timeout_of(c->vars)) / USEC_PER_MSEC) && tells(list->stmts[0], sql);
}

/* --- telling it --- */

/* Sets it to one value where it is the other. The limit does not take the place of a server's default that is lower. */
static void put_change(struct buf *sql, const struct client *c, bool to_own, bool local)
{
    char own[32] = "reset_val", limit[32];
    int64_t ms = sent_ms(c->statement_limit);

    if (c->own_timeout_ms >= 0)
        snprintf(own, sizeof own, "'%lld'", (long long)c->own_timeout_ms);
    snprintf(limit, sizeof limit, "'%lld'", (long long)ms);
    char *text = mem_printf("SELECT pg_catalog.set_config(name, %s, %s) FROM pg_catalog.pg_settings "
                            "WHERE name OPERATOR(pg_catalog.=) '" NAME "' AND setting OPERATOR(pg_catalog.=) %s "
                            "AND (setting OPERATOR(pg_catalog.=) '0' "
                            "OR setting::pg_catalog.int4 OPERATOR(pg_catalog.>=) %lld)",
                            to_own ? own : limit, local ? "true" : "false", to_own ? limit : own, (long long)ms);
    buf_put_cstr(sql, text);
    free(text);
}

/* In the client's own batch, whose transaction lasts at least to its Sync. */
static void put_extended(const struct sending *m, const char *sql)
{
    struct buf *out = &m->s->conn.out;
    static const enum expect_type types[] = {EXPECT_CLOSE,   EXPECT_PARSE, EXPECT_BIND,
                                             EXPECT_EXECUTE, EXPECT_CLOSE, EXPECT_CLOSE};

    msg_named(out, 'C', 'S', HIDDEN); /* left by one that failed */
    msg_parse(out, HIDDEN, sql, span_of(NULL, 0));
    msg_bind(out, HIDDEN, HIDDEN);
    msg_execute(out, HIDDEN);
    msg_named(out, 'C', 'P', HIDDEN);
    msg_named(out, 'C', 'S', HIDDEN);
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        sending_expect(m, types[i], EXPECT_SKIP, EFFECT_NONE, NULL);
}

static void put_query(const struct sending *m, const char *sql, enum expect_effect effect)
{
    msg_query(&m->s->conn.out, sql);
    m->s->unnamed_asked = 0; /* every Query takes it away */
    sending_expect(m, EXPECT_QUERY, EXPECT_SKIP, effect, NULL);
}

static void change(const struct sending *m, bool to_own)
{
    bool query = m->f->type == 'Q';
    struct buf sql = {0};

    put_change(&sql, m->c, to_own, !query || defer_is_known(m->s));
    if (query)
        put_query(m, (const char *)buf_head(&sql), to_own ? EFFECT_SETTINGS : EFFECT_LIMIT);
    else
        put_extended(m, (const char *)buf_head(&sql));
    conn_touch(&m->s->conn);
    buf_free(&sql);
}

void statement_timeout_ahead(const struct sending *m)
{
    change(m, true);
}

void statement_timeout_behind(const struct sending *m)
{
    change(m, false);
}
