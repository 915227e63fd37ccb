/*
 * relay.c: what a server says, on its way to the client: framed, matched with what is expected, forwarded in runs.
 *
 *   bytes -> frame -> the head of the expected replies says: forward | skip | (fake: made here) -> effect -> conn.out
 *
 * A run is a stretch of the receive buffer that goes on unchanged; it is sent when something must come between.
 * Thread: worker.
 */
#include "conf/log.h"
#include "parser/msgin.h"
#include "parser/msgout.h"
#include "proxy/client.h"

#include <stdio.h>

#define WHOLE_MAX (256 * MIB) /* a message that must be seen whole: an error text, a row description */

struct relay {
    struct server *s;
    struct client *c;   /* who holds the server; NULL: nobody */
    const uint8_t *run; /* begin of the run, or NULL */
    const uint8_t *at;  /* end of what was looked at */
};

enum verdict { RELAY_FORWARD, RELAY_DROP, RELAY_GONE };

static struct worker *worker_of(const struct server *s)
{
    return CONTAINER_OF(s->pool->set, struct worker, pools);
}

static struct client *holder(const struct server *s)
{
    return s->owner == NULL ? NULL : client_of_waiter(s->owner);
}

static void run_flush(struct relay *r)
{
    if (r->run == NULL)
        return;
    if (r->c != NULL) {
        r->s->replied = true;
        conn_send_run(&r->c->conn, r->run, (size_t)(r->at - r->run));
        if (conn_is_high(&r->c->conn))
            conn_pause(&r->s->conn);
    }
    r->run = NULL;
}

/* --- effects --- */

static void settle_op(struct server *s, uint64_t client_id, struct stmt_op *op, bool done)
{
    struct client *c = worker_client(worker_of(s), client_id);

    if (op->client != NULL)
        client_stmt_settle(c == NULL ? NULL : &c->stmts, op->client, done, op->text);
    if (op->server != NULL)
        server_stmt_settle(&s->stmts, op->server, done, op->text != NULL);
    stmt_text_unref(op->text);
    free(op);
}

/* RESET of one setting: the server goes back to its own login's value, the client to its own; what then differs is sent
 * ahead of the next batch. A reported setting's new value on the server has come by ParameterStatus already. */
static void reset_one(struct server *s, struct client *c, const char *name)
{
    const char *told = vars_get(c->vars, name);
    const char *own = vars_get(c->login_vars, name);
    bool reported = vars_is_reported(s->vars, name);

    if (!reported)
        s->vars = vars_with(s->vars, name, vars_get(s->login_vars, name), false);
    else if (own != NULL && told != NULL && strcmp(own, told) != 0)
        msg_param_status(&c->conn.out, name, own);
    if (!reported || own != NULL)
        c->vars = vars_with(c->vars, name, own, reported);
}

static void settle_reset(struct server *s, struct client *c, const char *name)
{
    if (strcmp(name, "all") == 0) {
        struct vars *mine = vars_ref(c->vars);
        struct vars *its = vars_ref(s->vars);
        for (size_t i = 0; i < its->count; i++)
            reset_one(s, c, its->v[i].name);
        for (size_t i = 0; i < mine->count; i++)
            reset_one(s, c, mine->v[i].name);
        vars_unref(mine);
        vars_unref(its);
    } else {
        reset_one(s, c, name);
    }
    if (s->tx != 'I')
        s->settings_owner = UINT64_MAX; /* a rollback would undo it: nobody can rely on what is there */
    conn_touch(&c->conn);
}

static void effect_apply(struct server *s, const struct expect *e, bool done)
{
    struct client *c = worker_client(worker_of(s), e->client_id);

    switch ((enum expect_effect)e->effect) {
    case EFFECT_NONE:
    case EFFECT_SETTINGS:
    case EFFECT_CLEANUP:
        break;
    case EFFECT_STMT_PREPARED:
    case EFFECT_STMT_CLOSED:
        server_stmt_settle(&s->stmts, e->arg, done, e->effect == EFFECT_STMT_PREPARED);
        break;
    case EFFECT_CLIENT_STMT:
        settle_op(s, e->client_id, e->arg, done);
        break;
    case EFFECT_UNNAMED:
        if (!done) {
            s->unnamed_owner = 0;
            if (c != NULL && c->unnamed_id == (uintptr_t)e->arg)
                c->unnamed_id = 0;
        }
        break;
    case EFFECT_RESET:
        if (done && c != NULL)
            settle_reset(s, c, e->arg);
        free(e->arg);
        break;
    }
}

void relay_dropped(struct server *s, const struct expect *e)
{
    effect_apply(s, e, false);
}

static void dropped_by_error(void *arg, const struct expect *e)
{
    effect_apply(arg, e, false);
}

/* --- what needs no server's answer --- */

static void fake_reply(struct server *s, const struct expect *e)
{
    struct client *c = worker_client(worker_of(s), e->client_id);

    if (c == NULL || c->server != s)
        return;
    msg_empty(&c->conn.out, e->type == EXPECT_PARSE ? '1' : '3');
    conn_touch(&c->conn);
    s->replied = true;
}

void relay_fakes(struct server *s)
{
    struct expect *head;

    while ((head = expect_head(&s->expects)) != NULL &&
           (head->verdict == EXPECT_FAKE || head->type == EXPECT_COPY_END)) {
        struct expect e = expect_pop(&s->expects);
        if (e.verdict == EXPECT_FAKE)
            fake_reply(s, &e);
        effect_apply(s, &e, true);
    }
}

/* --- messages --- */

static enum verdict violation(struct relay *r, const char *what)
{
    struct server *s = r->s;

    run_flush(r);
    snprintf(s->sqlstate, sizeof s->sqlstate, "08P01");
    snprintf(s->why, sizeof s->why, "protocol violation by server: %s", what);
    log_warn("S-%llu: %s", (unsigned long long)s->id, s->why);
    if (s->state == SERVER_IDLE)
        limits_add_idle(s->pool->target, s->pool->set->worker, -1);
    if (r->c != NULL)
        session_server_lost(r->c, s);
    server_kill(s, s->why);
    return RELAY_GONE;
}

static bool is_forwarded(const struct relay *r, const struct expect *e)
{
    return r->c != NULL && e != NULL && e->verdict == EXPECT_FORWARD && e->client_id == r->c->id;
}

/* Pops the head if it is of this type. */
static enum verdict answer(struct relay *r, enum expect_type type, const char *what)
{
    struct expect *head = expect_head(&r->s->expects);

    if (head == NULL || head->type != type)
        return violation(r, what);
    bool forward = is_forwarded(r, head);
    struct expect e = expect_pop(&r->s->expects);
    effect_apply(r->s, &e, true);
    return forward ? RELAY_FORWARD : RELAY_DROP;
}

/* What belongs to the head without ending it. */
static enum verdict within(struct relay *r)
{
    return is_forwarded(r, expect_head(&r->s->expects)) ? RELAY_FORWARD : RELAY_DROP;
}

static bool is_ddl(const char *tag)
{
    static const char *const words[] = {"CREATE ", "ALTER ", "DROP ", "SELECT INTO", "IMPORT "};

    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strncmp(tag, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

static void forget_statements(struct relay *r)
{
    server_stmts_clear(&r->s->stmts);
    client_stmts_clear(&r->c->stmts);
    r->c->unnamed_id = 0;
}

/* Command tags tell what a statement did that the text did not have to say. */
static void heed_tag(struct relay *r, const char *tag)
{
    struct server *s = r->s;

    if (strcmp(tag, "SET") == 0 || strcmp(tag, "RESET") == 0) {
        s->settings_owner = r->c->id;
    } else if (strcmp(tag, "DISCARD ALL") == 0) {
        forget_statements(r);
        settle_reset(s, r->c, "all");
        s->settings_owner = 0;
    } else if (strcmp(tag, "DEALLOCATE ALL") == 0) {
        forget_statements(r);
    } else if (is_ddl(tag)) {
        __atomic_add_fetch(&s->pool->target->db->catalog, 1, __ATOMIC_RELAXED);
    }
}

static enum verdict on_complete(struct relay *r, struct span body)
{
    struct server *s = r->s;
    struct expect *head = expect_head(&s->expects);

    if (head == NULL)
        return violation(r, "CommandComplete that nothing asked for");
    s->copy = COPY_NONE;
    s->copy_end_sent = false;
    bool forward = is_forwarded(r, head);
    if (forward && body.len > 0 && body.ptr[body.len - 1] == '\0')
        heed_tag(r, (const char *)body.ptr);
    if (head->type == EXPECT_EXECUTE) {
        struct expect e = expect_pop(&s->expects);
        effect_apply(s, &e, true);
    }
    return forward ? RELAY_FORWARD : RELAY_DROP;
}

/* EmptyQueryResponse and PortalSuspended. */
static enum verdict on_execute_end(struct relay *r)
{
    struct expect *head = expect_head(&r->s->expects);

    if (head == NULL)
        return violation(r, "end of a command that nothing asked for");
    return head->type == EXPECT_EXECUTE ? answer(r, EXPECT_EXECUTE, "") : within(r);
}

static enum verdict on_row_description(struct relay *r)
{
    struct expect *head = expect_head(&r->s->expects);

    if (head != NULL && head->type == EXPECT_DESCRIBE)
        return answer(r, EXPECT_DESCRIBE, "");
    return within(r);
}

static enum verdict on_copy_in(struct relay *r)
{
    struct server *s = r->s;

    s->copy = COPY_IN;
    s->copy_end_sent = false;
    expect_copy_in(&s->expects);
    for (uint32_t i = 0; i < s->expects.count; i++)
        if (expect_at(&s->expects, i)->type == EXPECT_COPY_END)
            s->copy_end_sent = true;
    if (r->c == NULL && s->state == SERVER_CLEANING) {
        server_clean(s, NULL); /* nobody is there to send the data */
        return RELAY_DROP;
    }
    return within(r);
}

/* FATAL and PANIC end the server: the client is told in a way that fits what it was doing. */
static enum verdict on_fatal(struct relay *r, const struct msg_error *e)
{
    struct server *s = r->s;

    snprintf(s->sqlstate, sizeof s->sqlstate, "%s", e->sqlstate);
    snprintf(s->why, sizeof s->why, "%s", e->message);
    run_flush(r);
    if (s->state == SERVER_IDLE)
        limits_add_idle(s->pool->target, s->pool->set->worker, -1);
    if (r->c != NULL)
        session_server_lost(r->c, s);
    server_kill(s, s->why);
    return RELAY_GONE;
}

static bool is_stale_error(const char *sqlstate)
{
    return strcmp(sqlstate, "0A000") == 0 || strncmp(sqlstate, "42", 2) == 0 || strcmp(sqlstate, "26000") == 0;
}

/* An error that may come from a statement that was prepared before a schema change: the whole batch is run again with
 * that statement prepared anew. Safe, because nothing of an answer has gone on, and a failed batch outside a
 * transaction has left nothing. */
static bool run_again(struct relay *r, const struct msg_error *e)
{
    struct client *c = r->c;
    struct server *s = r->s;

    if (c == NULL || buf_used(&c->replay) == 0 || c->replaying || s->replied || r->run != NULL || s->tx != 'I' ||
        !is_stale_error(e->sqlstate))
        return false;
    c->replaying = true;
    LIST_FOR_EACH (it, &s->stmts.lru) {
        struct server_stmt *st = LIST_ENTRY(it, struct server_stmt, lru_node);
        if (st->batch == s->batch)
            st->stale = true;
    }
    for (uint32_t i = 0; i < s->expects.count; i++)
        expect_at(&s->expects, i)->verdict = EXPECT_SKIP;
    return true;
}

/* Whether the client sees this error: also that of a Parse that was put before its Bind. */
static bool error_is_clients(const struct relay *r, const struct expect *head)
{
    return r->c != NULL && head != NULL && head->client_id == r->c->id && head->effect != EFFECT_SETTINGS &&
           head->effect != EFFECT_CLEANUP && !r->c->replaying;
}

static enum verdict on_error(struct relay *r, struct span body)
{
    struct server *s = r->s;
    struct msg_error e;

    if (msgin_error(body, &e) != PARSE_OK)
        return violation(r, "malformed ErrorResponse");
    if (strcmp(e.severity, "FATAL") == 0 || strcmp(e.severity, "PANIC") == 0)
        return on_fatal(r, &e);

    struct expect *head = expect_head(&s->expects);
    bool again = run_again(r, &e);
    bool forward = !again && error_is_clients(r, head);

    s->query_failed = true;
    s->copy = COPY_NONE;
    s->copy_end_sent = false;
    if (head != NULL && head->effect == EFFECT_CLEANUP)
        s->close_needed = s->tx == 'I' || s->close_needed;
    if (head != NULL && head->effect == EFFECT_SETTINGS && r->c != NULL) {
        run_flush(r);
        s->close_needed = true;
        login_settings(r->c, s, &e);
        return r->s->state == SERVER_DEAD ? RELAY_GONE : RELAY_DROP;
    }
    if (forward)
        stat_add(&worker_stats(r->c->worker, r->c->db)->error_count, 1);
    expect_fail(&s->expects, dropped_by_error, s);
    return forward ? RELAY_FORWARD : RELAY_DROP;
}

/* Counts and times of the query, and of the transaction, that has just ended. */
static void count_query(struct client *c, const struct server *s)
{
    struct stats *st = worker_stats(c->worker, c->db);
    usec_t now = c->worker->loop.now;

    stat_add(&st->query_count, 1);
    if (c->query_at != 0)
        stat_add(&st->query_time, (uint64_t)(now - c->query_at));
    c->query_at = expect_empty(&s->expects) ? 0 : now;
    c->idle_at = now;
    c->cancel_sent = false;
    if (s->tx == 'I') {
        stat_add(&st->xact_count, 1);
        if (c->xact_at != 0)
            stat_add(&st->xact_time, (uint64_t)(now - c->xact_at));
        c->xact_at = expect_empty(&s->expects) ? 0 : now;
    }
}

/* ReadyForQuery: everything up to the Sync, query or function call that it answers is over. */
static enum verdict on_ready(struct relay *r, struct span body)
{
    struct server *s = r->s;
    struct expect e = {.verdict = EXPECT_FORWARD, .client_id = r->c == NULL ? 0 : r->c->id};

    s->tx = (char)body.ptr[0];
    if (s->tx != 'I' && s->tx != 'T' && s->tx != 'E')
        return violation(r, "unknown transaction status");
    s->copy = COPY_NONE;
    s->copy_end_sent = false;
    while (!expect_empty(&s->expects)) {
        e = expect_pop(&s->expects);
        bool ends = e.type == EXPECT_SYNC || e.type == EXPECT_QUERY || e.type == EXPECT_FUNCTION;
        effect_apply(s, &e, ends && !s->query_failed);
        if (ends)
            break;
    }
    bool failed = s->query_failed;
    s->query_failed = false;
    if (e.effect == EFFECT_SETTINGS && r->c != NULL && !failed) {
        run_flush(r);
        login_settings(r->c, s, NULL);
        return RELAY_DROP;
    }
    if (!is_forwarded(r, &e))
        return RELAY_DROP;
    count_query(r->c, s);
    return RELAY_FORWARD;
}

static enum verdict on_parameter(struct relay *r, struct span body)
{
    struct server *s = r->s;
    struct msg_pair pair;

    if (msgin_param(body, &pair) != PARSE_OK)
        return violation(r, "malformed ParameterStatus");
    s->vars = vars_with(s->vars, pair.name, pair.value, true);
    const struct expect *head = expect_head(&s->expects);
    if (r->c == NULL || (head != NULL && !is_forwarded(r, head)))
        return RELAY_DROP;
    r->c->vars = vars_with(r->c->vars, pair.name, pair.value, true);
    return RELAY_FORWARD;
}

/* Notices belong to what runs; one that comes unasked goes to who holds the server. */
static enum verdict on_async(const struct relay *r)
{
    const struct expect *head = expect_head(&r->s->expects);

    return r->c != NULL && (head == NULL || is_forwarded(r, head)) ? RELAY_FORWARD : RELAY_DROP;
}

static enum verdict dispatch(struct relay *r, uint8_t type, struct span body)
{
    switch (type) {
    case 'Z':
        return on_ready(r, body);
    case 'C':
        return on_complete(r, body);
    case '1':
        return answer(r, EXPECT_PARSE, "ParseComplete that nothing asked for");
    case '2':
        return answer(r, EXPECT_BIND, "BindComplete that nothing asked for");
    case '3':
        return answer(r, EXPECT_CLOSE, "CloseComplete that nothing asked for");
    case 'T':
        return on_row_description(r);
    case 'n':
        return answer(r, EXPECT_DESCRIBE, "NoData that nothing asked for");
    case 'I':
    case 's':
        return on_execute_end(r);
    case 'E':
        return on_error(r, body);
    case 'S':
        return on_parameter(r, body);
    case 'N':
    case 'A':
        return on_async(r);
    case 'G':
        return on_copy_in(r);
    case 'H':
        r->s->copy = COPY_OUT;
        return within(r);
    case 'W':
        r->s->copy = COPY_BOTH;
        return within(r);
    case 't':
    case 'V':
    case 'c':
        return within(r);
    default:
        return violation(r, "message that has no place after login");
    }
}

/* After a message: fakes whose turn it is, and what a ReadyForQuery makes possible. */
static void after_message(struct relay *r, uint8_t type)
{
    struct server *s = r->s;
    const struct expect *head = expect_head(&s->expects);

    if (head != NULL && (head->verdict == EXPECT_FAKE || head->type == EXPECT_COPY_END)) {
        run_flush(r);
        relay_fakes(s);
    }
    if (type != 'Z')
        return;
    run_flush(r);
    if (r->c != NULL && s->owner != NULL) {
        session_settled(r->c, s);
    } else if (expect_empty(&s->expects)) {
        if (s->state == SERVER_CLEANING)
            server_clean_next(s);
        else if (s->state == SERVER_CHECKING)
            pool_release(s);
    }
}

/* Rows and copy data pass by in whatever pieces they come. */
static void stream(struct relay *r, size_t len)
{
    struct server *s = r->s;
    size_t n = MIN(s->stream_left, len);

    if (!s->stream_forward) {
        run_flush(r);
        r->at += n;
    } else {
        if (r->run == NULL)
            r->run = r->at;
        r->at += n;
    }
    s->stream_left -= n;
}

/* One whole message. False: the server is gone. */
static bool whole(struct relay *r, const struct frame *f)
{
    enum verdict v = dispatch(r, f->type, span_of(r->at + FRAME_HEADER, f->total - FRAME_HEADER));

    if (v == RELAY_GONE)
        return false;
    if (v == RELAY_FORWARD) {
        if (r->run == NULL)
            r->run = r->at;
        r->at += f->total;
    } else {
        run_flush(r);
        r->at += f->total;
    }
    after_message(r, f->type);
    r->c = holder(r->s); /* the message may have ended it */
    return r->s->state != SERVER_DEAD && r->s->state != SERVER_CLOSING;
}

size_t relay_input(struct server *s, const uint8_t *p, size_t len)
{
    struct relay r = {.s = s, .c = holder(s), .run = NULL, .at = p};
    const uint8_t *end = p + len;

    while (r.at < end) {
        struct frame f;
        const char *why;
        size_t left = (size_t)(end - r.at);
        if (s->stream_left > 0) {
            stream(&r, left);
            continue;
        }
        enum parse_result got = frame_next(FROM_SERVER, r.at, left, &f, &why);
        if (got == PARSE_MORE)
            break;
        if (got == PARSE_BAD) {
            violation(&r, why);
            return len;
        }
        if (f.flow == FLOW_STREAM) {
            s->stream_left = f.total;
            s->stream_forward = within(&r) == RELAY_FORWARD;
            continue;
        }
        if (f.total > left) {
            if (f.total > WHOLE_MAX) {
                violation(&r, "message too long");
                return len;
            }
            s->conn.want = f.total;
            break;
        }
        if (!whole(&r, &f))
            return len;
    }
    run_flush(&r);
    return (size_t)(r.at - p);
}
