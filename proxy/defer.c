/*
 * defer.c: see defer.h.
 * Invariant: a client whose transaction is open here holds no server, and is in no failed transaction.
 * Thread: worker.
 */
#include "proxy/defer.h"

#include "parser/verb.h"
#include "proxy/routing.h"
#include "proxy/sharding.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

bool defer_is_open(const struct client *c)
{
    return !list_empty(&c->deferred.node);
}

static void open_again(struct client *c)
{
    c->xact_at = c->worker->loop.now;
    c->deferred.asked = false;
    list_push_back(&c->worker->deferred, &c->deferred.node);
}

static void open_here(struct client *c, const struct stmt *s, enum route_hint hint)
{
    c->deferred.modes = s->modes;
    c->deferred.hint = hint;
    if (sharding_is_on(c))
        journal_open(c);
    open_again(c);
}

static void close_here(struct client *c)
{
    list_del(&c->deferred.node);
    stat_add(&worker_stats(c->worker, c->db)->xact_count, 1);
    c->xact_at = 0;
}

/* --- what may be answered --- */

static bool may_defer(const struct client *c)
{
    const struct options *o = &c->worker->config->opt;

    if (!o->defer_begin && !defer_is_open(c))
        return false;
    return c->server == NULL && c->state == CLIENT_IDLE && c->mode == POOL_TRANSACTION && !c->standby && !c->inside &&
           !c->replication && !c->failed_block && !c->in_batch;
}

static bool begins_with(const char *sql, const char *const *words, size_t count)
{
    sql = verb_skip_blank(sql);
    for (size_t i = 0; i < count; i++) {
        const char *word = words[i];
        if ((sql[0] | 32) != word[0] || (sql[1] | 32) != word[1])
            continue;
        size_t len = strlen(word);
        if (strncasecmp(sql, word, len) == 0 && !isalnum((unsigned char)sql[len]))
            return true;
    }
    return false;
}

bool defer_begins(const char *sql)
{
    static const char *const words[] = {"begin", "start"};

    return begins_with(sql, words, ARRAY_LEN(words)) && *verb_skip_statement(sql) == '\0';
}

/* A glance, before the text is read. */
static bool may_control(const struct client *c, const char *sql)
{
    static const char *const later[] = {"commit", "end", "rollback", "abort", "set"};

    return defer_is_open(c) ? begins_with(sql, later, ARRAY_LEN(later)) : defer_begins(sql);
}

/* Later words count more, as with PostgreSQL. */
static void merge_modes(struct stmt_modes *to, const struct stmt_modes *from)
{
    if (from->isolation != ISOLATION_UNSAID)
        to->isolation = from->isolation;
    if (from->access != ACCESS_UNSAID)
        to->access = from->access;
    if (from->deferrable != DEFERRABLE_UNSAID)
        to->deferrable = from->deferrable;
}

/* The tag of what is said to a statement; NULL: the server is to answer it, with the warnings that are due. AND CHAIN
 * begins the next transaction with the same modes. */
static const char *decide(struct client *c, const struct stmt *s, enum route_hint hint)
{
    bool open = defer_is_open(c);

    switch (s->kind) {
    case STMT_BEGIN:
    case STMT_START:
        if (open)
            return NULL;
        open_here(c, s, hint);
        return s->kind == STMT_BEGIN ? "BEGIN" : "START TRANSACTION";
    case STMT_COMMIT:
    case STMT_ROLLBACK:
        if (!open)
            return NULL;
        close_here(c);
        if (s->flags & FACT_CHAIN)
            open_again(c);
        return s->kind == STMT_COMMIT ? "COMMIT" : "ROLLBACK";
    case STMT_SET_TRANSACTION:
        if (!open || c->deferred.asked)
            return NULL;
        merge_modes(&c->deferred.modes, &s->modes);
        return "SET";
    default:
        return NULL;
    }
}

/* The answer's tag, if the text is one that is answered here; it is noted as run. */
static const char *understand(struct client *c, const char *sql)
{
    struct shape *shape = may_control(c, sql) ? statement_read(c, sql, strlen(sql)) : NULL;
    const struct reading *r = shape == NULL ? NULL : reading_of(shape);
    const char *tag =
        r == NULL || r->list == NULL || r->list->count != 1 ? NULL : decide(c, r->list->stmts[0], r->hint.route);

    if (tag != NULL) {
        statement_answered(c, shape);
        stat_add(&worker_stats(c->worker, c->db)->query_count, 1);
    }
    return tag;
}

/* --- the answer --- */

static void note_answered(struct client *c)
{
    c->idle_at = c->state_since = c->worker->loop.now;
}

bool defer_query(struct client *c, const char *sql)
{
    const char *tag = may_defer(c) ? understand(c, sql) : NULL;

    if (tag == NULL)
        return false;
    unnamed_stmt_set(&c->unnamed, NULL); /* PostgreSQL drops it, too */
    unnamed_stmt_set(&c->unnamed_told, NULL);
    c->deferred.portal = false;
    msg_command_complete(&c->conn.out, tag);
    msg_ready(&c->conn.out, defer_is_open(c) ? 'T' : 'I');
    conn_touch(&c->conn);
    note_answered(c);
    return true;
}

/* --- the extended protocol --- */

/* [Parse [Describe]] Bind [Describe] Execute, without parameters; what Parse prepares has no name. */
struct walk {
    const struct client *c;
    const char *sql;
    struct span parse; /* empty: there is none */
    bool bound, executed;
};

/* The text that a Bind of the unnamed portal, without parameters, takes: of a statement that was prepared before, or
 * parsed. NULL: it is another Bind. */
static const char *bound_text(const struct client *c, const char *parsed, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);
    bool unnamed = reader_cstr(&r)[0] == '\0';
    const char *name = reader_cstr(&r);
    bool plain = reader_u16(&r) == 0 && reader_u16(&r) == 0 && reader_u16(&r) <= 1 && !r.bad;
    struct client_stmt *st = name[0] == '\0' ? NULL : client_stmts_find(&c->stmts, name);

    if (!unnamed || !plain)
        return NULL;
    if (name[0] == '\0')
        return parsed;
    if (st == NULL || st->asked == NULL || !client_stmt_certain(st, 0) || stmt_text_types(st->asked).len > 0)
        return NULL;
    return stmt_text_sql(st->asked);
}

static bool walk_parse(struct walk *w, struct span body)
{
    struct msg_parse parse;

    if (w->sql != NULL || msgin_parse(body, &parse) != PARSE_OK || parse.name[0] != '\0' || parse.types.len > 0)
        return false;
    w->sql = parse.text;
    w->parse = body;
    return true;
}

static bool walk_message(void *arg, uint8_t type, struct span body)
{
    struct walk *w = arg;
    struct msg_named named;
    const char *bound;

    switch (type) {
    case 'P':
        return walk_parse(w, body);
    case 'B':
        bound = w->bound ? NULL : bound_text(w->c, w->sql, body);
        w->bound = bound != NULL && (w->sql == NULL || w->sql == bound);
        w->sql = bound;
        return w->bound;
    case 'D':
        return msgin_named(body, &named) == PARSE_OK && named.name[0] == '\0' &&
               (named.kind == 'S' ? w->parse.len > 0 : w->bound);
    case 'E':
        return (w->executed = w->bound && body.len == 5 && body.ptr[0] == '\0');
    default:
        return false;
    }
}

typedef bool message_fn(void *arg, uint8_t type, struct span body);

/* Up to the first Execute: its end; 0 as soon as fn says no, or what is there is no message. */
static size_t each_message(const uint8_t *batch, size_t len, message_fn *fn, void *arg)
{
    for (size_t at = 0; at < len;) {
        struct frame f;
        const char *why;
        if (frame_next(FROM_CLIENT, batch + at, len - at, &f, &why) != PARSE_OK || f.total > len - at ||
            !fn(arg, f.type, span_of(batch + at + FRAME_HEADER, f.total - FRAME_HEADER)))
            return 0;
        at += f.total;
        if (f.type == 'E')
            return at;
    }
    return 0;
}

struct reply {
    struct client *c;
    const char *tag;
};

static bool reply_message(void *arg, uint8_t type, struct span body)
{
    const struct reply *reply = arg;
    struct buf *out = &reply->c->conn.out;

    if (type == 'P')
        msg_empty(out, '1');
    else if (type == 'B')
        msg_empty(out, '2');
    else if (type == 'E')
        msg_command_complete(out, reply->tag);
    if (type == 'D' && body.ptr[0] == 'S')
        buf_put(out, "t\0\0\0\6\0\0", 7); /* no parameters */
    if (type == 'D')
        msg_empty(out, 'n');
    return true;
}

bool defer_glance(const struct client *c, uint8_t type, struct span body)
{
    struct msg_parse parse;
    const char *sql;

    if (!may_defer(c))
        return false;
    if (type == 'B')
        sql = bound_text(c, NULL, body);
    else
        sql = msgin_parse(body, &parse) == PARSE_OK && parse.name[0] == '\0' ? parse.text : NULL;
    return sql != NULL && may_control(c, sql);
}

size_t defer_batch(struct client *c, const uint8_t *batch, size_t len)
{
    struct walk w = {.c = c};
    size_t used = each_message(batch, len, walk_message, &w);
    const char *tag = used == 0 ? NULL : understand(c, w.sql);

    if (tag == NULL)
        return 0;
    if (w.parse.len > 0)
        prepare_unnamed_take(c, w.parse);
    each_message(batch, len, reply_message, &(struct reply){c, tag});
    c->deferred.portal = true;
    conn_touch(&c->conn);
    note_answered(c);
    return used;
}

const char *defer_text_at_head(const struct client *c, const uint8_t *batch, size_t len)
{
    struct walk w = {.c = c};

    return each_message(batch, len, walk_message, &w) == 0 ? NULL : w.sql;
}

/* --- sending it --- */

static void put_modes(char *out, size_t size, const char *verb, const struct stmt_modes *m)
{
    static const char *const levels[] = {"", " ISOLATION LEVEL READ UNCOMMITTED", " ISOLATION LEVEL READ COMMITTED",
                                         " ISOLATION LEVEL REPEATABLE READ", " ISOLATION LEVEL SERIALIZABLE"};
    static const char *const accesses[] = {"", " READ ONLY", " READ WRITE"};
    static const char *const deferrables[] = {"", " DEFERRABLE", " NOT DEFERRABLE"};

    snprintf(out, size, "%s%s%s%s", verb, levels[m->isolation], accesses[m->access], deferrables[m->deferrable]);
}

static void expect_begin(const struct client *c, struct server *s, enum expect_type type)
{
    server_expect(s, type, EXPECT_SKIP, EFFECT_BEGIN, c->id, NULL);
}

static void send_command(const struct client *c, struct server *s, const char *text)
{
    struct buf *out = &s->conn.out;

    msg_parse(out, "", text, span_of(NULL, 0));
    expect_begin(c, s, EXPECT_PARSE);
    msg_bind(out, "", "");
    expect_begin(c, s, EXPECT_BIND);
    msg_execute(out, "");
    expect_begin(c, s, EXPECT_EXECUTE);
}

void defer_send(struct client *c, struct server *s)
{
    struct buf *out = &s->conn.out;
    char text[100];

    c->deferred.on_trial = routing_is_guest(c, s);
    if (c->deferred.on_trial)
        c->deferred.modes.access = ACCESS_READ_ONLY; /* if only the session said so: it may say something else later */
    put_modes(text, sizeof text, "BEGIN", &c->deferred.modes);
    list_del(&c->deferred.node);
    send_command(c, s, text);
    if (c->deferred.asked) /* its isolation cannot be changed any more */
        send_command(c, s, "SELECT 1");
    if (!c->deferred.portal) { /* a Query leaves none */
        msg_named(out, 'C', 'P', "");
        expect_begin(c, s, EXPECT_CLOSE);
    }
    conn_touch(&s->conn);
    s->unnamed_asked = 0;
}

void defer_sent(struct server *s, const struct expect *e)
{
    s->unnamed_told = 0;
    if (e->type == EXPECT_EXECUTE)
        s->tx = 'T';
    if (s->tx == 'T' && s->owner != NULL)
        client_wake(CONTAINER_OF(s->owner, struct client, waiter)); /* it may have waited for the last one (send.c) */
}

void defer_restore(struct client *c)
{
    c->deferred.on_trial = false;
    if (!defer_is_open(c))
        list_push_back(&c->worker->deferred, &c->deferred.node);
}

void defer_put_begin(const struct client *c, struct buf *sql)
{
    char text[100];

    put_modes(text, sizeof text, "BEGIN", &c->deferred.modes);
    buf_put(sql, text, strlen(text));
}

char *defer_take_modes(struct client *c, const struct stmt_modes *m)
{
    char text[120];

    put_modes(text, sizeof text, "SET TRANSACTION", m);
    merge_modes(&c->deferred.modes, m);
    return mem_strdup(text);
}

void defer_close(struct client *c)
{
    list_del(&c->deferred.node);
}

void defer_chain(struct client *c)
{
    journal_open(c);
    open_again(c);
}

bool defer_is_known(const struct server *s)
{
    return s->tx != 'I' || expect_waits_for(&s->expects, EFFECT_BEGIN);
}

void defer_refused(struct client *c, struct server *s, const struct msg_error *e)
{
    snprintf(s->sqlstate, sizeof s->sqlstate, "%s", e->sqlstate);
    snprintf(s->why, sizeof s->why, "%s", e->message);
    c->failed_block = !c->conn.held; /* else it is run elsewhere, BEGIN too */
    session_server_lost(c, s);
    server_close(s, s->why);
}

void defer_fail(struct client *c)
{
    if (!defer_is_open(c))
        return;
    list_del(&c->deferred.node);
    c->xact_at = 0;
    c->failed_block = true;
}

/* --- how it is isolated --- */

bool defer_is_repeatable(struct client *c)
{
    const char *usual = vars_get(c->vars, "default_transaction_isolation");

    if (c->deferred.modes.isolation != ISOLATION_UNSAID)
        return c->deferred.modes.isolation == ISOLATION_REPEATABLE_READ;
    return usual != NULL && strcmp(usual, "repeatable read") == 0;
}

bool defer_is_serializable(struct client *c)
{
    return c->deferred.modes.isolation == ISOLATION_UNSAID ? rules_of(c)->serializable
                                                           : c->deferred.modes.isolation == ISOLATION_SERIALIZABLE;
}
