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
#include "pool/stray.h"
#include "proxy/ask.h"
#include "proxy/carry.h"
#include "proxy/catalog.h"
#include "proxy/cut.h"
#include "proxy/deadlock.h"
#include "proxy/effects.h"
#include "proxy/fate.h"
#include "proxy/nested.h"
#include "proxy/placeholders.h"
#include "proxy/rerun.h"
#include "proxy/routing.h"
#include "proxy/sending.h"

#include <stdio.h>

#define WHOLE_MAX (256 * MIB) /* a message that must be seen whole: an error text, a row description */

struct relay {
    struct server *s;
    struct client *c;   /* who holds the server; NULL: nobody */
    const uint8_t *run; /* begin of the run, or NULL */
    const uint8_t *at;  /* end of what was looked at */
    const uint8_t *end; /* ... and of what has come */
    size_t longest;     /* max_packet_size */
    bool certain;       /* a replica's answer that is held back goes on when all that came with it has been looked at */
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
        r->s->run_bytes += (uint64_t)(r->at - r->run);
        if (r->at == r->end && pool_is_at_ease(r->s->pool))
            conn_send_now(&r->c->conn, r->run, (size_t)(r->at - r->run));
        else
            conn_send_run(&r->c->conn, r->run, (size_t)(r->at - r->run));
        if (conn_is_high(&r->c->conn))
            conn_pause(&r->s->conn);
    }
    r->run = NULL;
}

/* --- what needs no server's answer --- */

static void fake_reply(struct server *s, const struct expect *e)
{
    struct client *c = worker_client(worker_of(s), e->client_id);

    if (c == NULL || c->server != s)
        return;
    msg_empty(&c->conn.out, e->type == EXPECT_PARSE ? '1' : '3');
    conn_touch(&c->conn);
    if (e->type == EXPECT_PARSE)
        c->pretended++; /* if the batch is run again, this one is not answered again */
    else
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

void relay_dropped(struct server *s, const struct expect *e)
{
    effect_apply(s, e, false);
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

/* A statement has run. The bytes of its answer that are still in the run are its own. */
static void run_over(struct relay *r, const struct expect *e)
{
    r->s->run_bytes += r->run == NULL ? 0 : (uint64_t)(r->at - r->run);
    statement_done(r->c, r->s, e);
    r->s->run_bytes -= r->run == NULL ? 0 : (uint64_t)(r->at - r->run); /* they are counted again when they go on */
}

/* Pops the head if it is of this type. */
static enum verdict answer(struct relay *r, enum expect_type type, const char *what)
{
    struct expect *head = expect_head(&r->s->expects);

    if (head == NULL || head->type != type)
        return violation(r, what);
    bool forward = is_forwarded(r, head);
    struct expect e = expect_pop(&r->s->expects);
    if (forward && type == EXPECT_EXECUTE)
        run_over(r, &e);
    effect_apply(r->s, &e, true);
    return forward ? RELAY_FORWARD : RELAY_DROP;
}

/* What belongs to the head without ending it. */
static enum verdict within(struct relay *r)
{
    return is_forwarded(r, expect_head(&r->s->expects)) ? RELAY_FORWARD : RELAY_DROP;
}

static void forget_statements(struct server *s, struct client *c)
{
    server_stmts_clear(&s->stmts);
    prepares_free(&s->prepares);
    s->prepares_owner = 0;
    if (c == NULL)
        return;
    client_stmts_clear(&c->stmts);
    prepares_free(&c->prepares);
}

static void forget_sequences(struct server *s, struct client *c)
{
    s->sequence_owner = 0;
    if (c == NULL)
        return;
    c->pins &= ~(uint32_t)TRACE_SEQUENCE;
    c->sequence_server = 0;
}

/* The server has what it had after its login, but for what it reports by itself. */
static void back_to_login(struct server *s)
{
    struct vars *now = s->vars;

    s->settings_owner = 0;
    s->vars = vars_ref(s->login_vars);
    for (size_t i = 0; i < now->count; i++)
        if (now->v[i].reported)
            s->vars = vars_with(s->vars, now->v[i].name, now->v[i].value, true);
    vars_unref(now);
}

/* Command tags tell what a statement did that the text did not have to say. c: whose it was; NULL: our own,
 * or that of a client that has left. shape: of the statement; NULL: not known. */
static void heed_tag(struct server *s, struct client *c, const char *tag, const struct shape *shape)
{
    uint64_t who = c == NULL ? UINT64_MAX : c->id;
    enum ddl ddl;

    if (strcmp(tag, "SET") == 0 || strcmp(tag, "RESET") == 0) {
        s->settings_owner = who;
    } else if (strcmp(tag, "PREPARE") == 0) {
        s->prepares_owner = who;
    } else if (strcmp(tag, "DISCARD ALL") == 0) {
        forget_statements(s, c);
        back_to_login(s);
        if (c != NULL)
            effect_note_resets(s, "all\0");
        forget_sequences(s, c);
    } else if (strcmp(tag, "DISCARD SEQUENCES") == 0) {
        forget_sequences(s, c);
    } else if (strcmp(tag, "DEALLOCATE ALL") == 0) {
        forget_statements(s, c);
    } else if (strcmp(tag, "DEALLOCATE") == 0) {
        carry_deallocated(s, c, shape);
    } else if ((ddl = catalog_ddl(tag)) != DDL_NONE) {
        s->ddl = MAX(s->ddl, (uint8_t)ddl);
        catalog_changed(s->pool->target->db, ddl);
    }
}

/* One that tells how many rows there were ("SELECT 5") tells nothing else. */
static bool tag_is_heeded(struct span tag)
{
    return tag.len > 1 && tag.ptr[tag.len - 1] == '\0' && !(tag.ptr[tag.len - 2] >= '0' && tag.ptr[tag.len - 2] <= '9');
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
    /* Also of a client that has left. */
    bool heeded = head->verdict == EXPECT_FORWARD || head->effect == EFFECT_CLEANUP;
    if (heeded && tag_is_heeded(body))
        heed_tag(s, forward ? r->c : NULL, (const char *)body.ptr, head->shape);
    if (forward)
        s->run_rows += msgin_tag_rows(body);
    if (head->type == EXPECT_EXECUTE) {
        struct expect e = expect_pop(&s->expects);
        if (forward)
            run_over(r, &e);
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

/* RowDescription or, with an empty body, NoData. */
static enum verdict on_row_description(struct relay *r, struct span body)
{
    struct expect *head = expect_head(&r->s->expects);

    if (head == NULL || head->type != EXPECT_DESCRIBE)
        return body.len == 0 ? violation(r, "NoData that nothing asked for") : within(r);
    if (head->effect != EFFECT_NONE)
        effect_row_shape(r->s, head, body);
    return answer(r, EXPECT_DESCRIBE, "");
}

static enum verdict on_copy_in(struct relay *r)
{
    struct server *s = r->s;

    s->copy = COPY_IN;
    s->copy_end_sent = false;
    unsigned ignored = expect_copy_in(&s->expects);
    stray_note(s, ignored);
    for (uint32_t i = 0; i < s->expects.count; i++)
        if (expect_at(&s->expects, i)->type == EXPECT_COPY_END)
            s->copy_end_sent = true;
    if (r->c == NULL && s->state == SERVER_CLEANING) {
        server_end_batch(s); /* nobody is there to send the data */
        return RELAY_DROP;
    }
    if (r->c != NULL) {
        /* A Sync that was ignored has ended nothing. */
        r->c->in_batch = r->c->in_batch || (ignored > 0 && server_needs_sync(s));
        r->c->is_cut = false;
        client_wake(r->c); /* what waited for its turn as a batch may be for the COPY to read */
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
    if (msg_sqlstate_is_shutdown(e->sqlstate))
        server_trouble(s);
    server_close(s, s->why); /* it is still there until it closes its side: its place is not free before */
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
        s->expects.ends != 1 || !is_stale_error(e->sqlstate))
        return false;
    c->replaying = true;
    LIST_FOR_EACH (it, &s->stmts.lru) {
        struct server_stmt *st = LIST_ENTRY(it, struct server_stmt, lru_node);
        if (st->batch >= s->batch) /* those who ride behind may have used it since */
            st->stale = true;
    }
    for (uint32_t i = 0; i < s->expects.count; i++)
        expect_at(&s->expects, i)->verdict = EXPECT_SKIP;
    statement_rerun(s);
    return true;
}

/* A replica's error while nothing of its answer has gone on: the primary's answer counts. */
static bool run_on_primary(struct relay *r, const struct msg_error *e)
{
    struct client *c = r->c;
    struct server *s = r->s;

    if (c == NULL || !routing_is_guest(c, s) || !c->conn.held || c->again_on || c->cancelling.since != 0 ||
        !routing_is_again(e->sqlstate))
        return false;
    r->run = NULL;
    r->certain = false;
    conn_take_back(&c->conn);
    conn_hold(&c->conn);
    c->again_on = true;
    for (uint32_t i = 0; i < s->expects.count; i++) {
        routing_learn(c, expect_at(&s->expects, i), e->sqlstate);
        expect_at(&s->expects, i)->verdict = EXPECT_SKIP;
    }
    s->run_at = 0;
    s->run_rows = s->run_bytes = 0;
    if (!expect_empty(&s->expects) && expect_head(&s->expects)->effect == EFFECT_SETTINGS)
        s->close_needed = true; /* it has not what it was sent */
    return true;
}

/* Whether the client sees this error: also that of a Parse that was put before its Bind. */
static bool error_is_clients(const struct relay *r, const struct expect *head)
{
    return r->c != NULL && head != NULL && head->client_id == r->c->id && !expect_is_ours(head) && !r->c->replaying &&
           !r->c->again_on;
}

/* An ErrorResponse in which a server's name for a statement becomes the client's. */
static void put_renamed(struct buf *out, struct span body, const char *from, const char *to)
{
    size_t mark = msg_begin(out, 'E');
    const uint8_t *at = body.ptr, *end = body.ptr + body.len, *found;

    while ((found = memmem(at, (size_t)(end - at), from, strlen(from))) != NULL) {
        buf_put(out, at, (size_t)(found - at));
        buf_put(out, to, strlen(to));
        at = found + strlen(from);
    }
    buf_put(out, at, (size_t)(end - at));
    msg_end(out, mark);
}

/* True if the client gets other words than the server's; they are sent. */
static bool reword(struct relay *r, const struct expect *head, struct span body, const struct msg_error *e)
{
    struct client *c = r->c;

    if (UNLIKELY(c->carry_errors != NULL) && head != NULL && head->type == EXPECT_QUERY) {
        run_flush(r);
        if (carry_reword(c, r->s, e))
            return true;
    }
    bool deadlock = c->cancelling.deadlock && strcmp(e->sqlstate, "57014") == 0;
    if (!deadlock && (head == NULL || (head->effect != EFFECT_REFUSAL && head->effect != EFFECT_BOUND)))
        return false;
    run_flush(r);
    if (deadlock) {
        deadlock_tell(c);
    } else if (head->effect == EFFECT_REFUSAL) {
        const struct refusal_text *text = head->arg;
        msg_error_of(&c->conn.out, text->sqlstate, text->message, text->hint, text->routine);
    } else {
        const struct client_stmt *st = head->arg;
        put_renamed(&c->conn.out, body, st->asked == NULL ? st->name : st->asked->name, st->name);
    }
    conn_touch(&c->conn);
    return r->s->replied = true;
}

/* What went ahead of a batch was refused, and so the batch did not run. A cancel that came just then is the batch's:
 * the client goes on, with another server. */
static enum verdict settings_failed(struct relay *r, const struct msg_error *e)
{
    struct server *s = r->s;

    if (strcmp(e->sqlstate, "57014") == 0 && r->c->state == CLIENT_ACTIVE) {
        r->c->failed_block = r->c->failed_block || defer_is_known(s);
        return on_fatal(r, e);
    }
    run_flush(r);
    if (r->c->conn.held)
        conn_take_back(&r->c->conn); /* nothing of the batch's answer is there */
    if (r->c->state == CLIENT_ACTIVE && placeholders_refused(r->c, e))
        return rerun_without_settings(r->c, s) ? RELAY_DROP : RELAY_GONE;
    s->close_needed = true;
    login_settings(r->c, s, e);
    return s->state == SERVER_DEAD || s->state == SERVER_CLOSING ? RELAY_GONE : RELAY_DROP;
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
    if (UNLIKELY(head != NULL && head->effect == EFFECT_BEGIN && r->c != NULL)) {
        run_flush(r);
        defer_refused(r->c, s, &e);
        return RELAY_GONE;
    }
    bool again = run_on_primary(r, &e) || run_again(r, &e);
    bool forward = !again && error_is_clients(r, head);

    s->query_failed = true;
    s->copy = COPY_NONE;
    s->copy_end_sent = false;
    if (UNLIKELY(head != NULL && head->effect == EFFECT_CARRIED && r->c != NULL))
        carry_note_error(r->c, head->arg, body);
    if (head != NULL && head->effect == EFFECT_CLEANUP)
        s->close_needed = s->tx == 'I' || s->close_needed;
    if (head != NULL && head->effect == EFFECT_SETTINGS && r->c != NULL && !r->c->again_on)
        return settings_failed(r, &e);
    if (forward) {
        stat_add(&worker_stats(r->c->worker, r->c->db)->error_count, 1);
        statement_failed(r->c, s, e.sqlstate);
        forward = !reword(r, head, body, &e);
    }
    if (head != NULL && head->type == EXPECT_PARSE &&
        (head->effect == EFFECT_UNNAMED || head->effect == EFFECT_REFUSAL)) {
        s->unnamed_told = 0;
        if (r->c != NULL && head->effect == EFFECT_UNNAMED && head->verdict == EXPECT_FORWARD)
            unnamed_stmt_set(&r->c->unnamed_told, NULL);
    }
    expect_fail(&s->expects, effect_dropped, s);
    if (s->state == SERVER_CLEANING && s->expects.skipping)
        server_end_batch(s); /* nobody is there to send the Sync */
    if (r->c != NULL) {
        prepare_unnamed_failed(r->c, s);
        client_wake(r->c); /* what waited for these answers goes on: up to Sync there are no others */
    } else {
        s->unnamed_asked = 0; /* who has left a place behind may come back */
    }
    return forward ? RELAY_FORWARD : RELAY_DROP;
}

/* Counts and times of the query, and of the transaction, that has just ended. */
static void count_query(struct client *c, const struct server *s)
{
    struct stats *st = worker_stats(c->worker, c->db);
    usec_t now = c->worker->loop.now;

    if (LIKELY(!c->inside)) {
        stat_add(&st->query_count, 1);
        stat_add(&st->query_time, c->query_at == 0 ? 0 : (uint64_t)(now - c->query_at));
    }
    c->query_at = expect_empty(&s->expects) ? 0 : now;
    c->idle_at = now;
    c->query_id = 0;
    memset(&c->cancelling, 0, sizeof c->cancelling);
    if (s->tx == 'I') {
        if (LIKELY(!c->inside)) {
            stat_add(&st->xact_count, 1);
            stat_add(&st->xact_time, c->xact_at == 0 ? 0 : (uint64_t)(now - c->xact_at));
        }
        c->xact_at = expect_empty(&s->expects) ? 0 : now;
    }
}

/* Others see what a transaction has made only when it ends. */
static void settle_ddl(struct server *s)
{
    if (s->ddl == DDL_NONE || s->tx != 'I')
        return;
    catalog_changed(s->pool->target->db, (enum ddl)s->ddl);
    s->ddl = DDL_NONE;
}

/* ReadyForQuery: everything up to the Sync, query or function call that it answers is over. */
static enum verdict on_ready(struct relay *r, struct span body)
{
    struct server *s = r->s;
    struct expect e = {.verdict = EXPECT_FORWARD, .client_id = r->c == NULL ? 0 : r->c->id};

    s->tx = (char)body.ptr[0];
    if (s->tx != 'I' && s->tx != 'T' && s->tx != 'E')
        return violation(r, "unknown transaction status");
    if (expect_empty(&s->expects))
        return violation(r, "ReadyForQuery that nothing asked for");
    settle_ddl(s);
    s->copy = COPY_NONE;
    s->copy_end_sent = false;
    while (!expect_empty(&s->expects)) {
        e = expect_pop(&s->expects);
        bool ends = expect_ends(&e);
        if (e.type == EXPECT_QUERY && is_forwarded(r, &e))
            run_over(r, &e);
        effect_apply(s, &e, ends && !s->query_failed);
        if (e.type == EXPECT_QUERY)
            s->unnamed_told = 0;
        if (e.type == EXPECT_QUERY && is_forwarded(r, &e))
            unnamed_stmt_set(&r->c->unnamed_told, NULL);
        if (ends)
            break;
    }
    if (expect_empty(&s->expects))
        s->run_at = 0;
    if (buf_used(&s->resets) > 0) {
        run_flush(r);
        effect_settle_resets(s, r->c);
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
    if (UNLIKELY(r->c->carry_errors != NULL))
        carry_forget_errors(r->c);
    if (UNLIKELY(r->c->only_prepares || r->c->is_cut)) {
        run_flush(r);
        cut_answered(r->c, failed);
        return RELAY_DROP;
    }
    if (UNLIKELY(r->c->mode == POOL_STATEMENT && s->tx != 'I')) {
        run_flush(r);
        session_left_statement(r->c);
        return s->state == SERVER_DEAD || s->state == SERVER_CLOSING ? RELAY_GONE : RELAY_DROP;
    }
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
    if (routing_hides(r->c, s, pair.name))
        return RELAY_DROP;
    r->c->vars = vars_with(r->c->vars, pair.name, pair.value, true);
    return RELAY_FORWARD;
}

/* Notices belong to what runs; one that comes unasked goes to who holds the server. So does every notification, even
 * in the answer to a question of ours: who listens keeps its server. A server that crashes says so in a notice, behind
 * rows that it had kept back. */
static enum verdict on_async(struct relay *r, uint8_t type, struct span body)
{
    const struct expect *head = expect_head(&r->s->expects);
    struct msg_error e;

    if (r->certain && type == 'N' && msgin_error(body, &e) == PARSE_OK && msg_sqlstate_is_shutdown(e.sqlstate))
        r->certain = false;
    return r->c != NULL && (type == 'A' || head == NULL || is_forwarded(r, head)) ? RELAY_FORWARD : RELAY_DROP;
}

static bool is_own_row(const struct server *s)
{
    const struct expect *head = expect_head(&s->expects);

    return head != NULL && head->effect == EFFECT_ASK;
}

static enum verdict dispatch(struct relay *r, uint8_t type, struct span body)
{
    nested_of_answer(r->s, type, body);
    if (UNLIKELY(r->s->stray_syncs > 0) && stray_take(r->s, type, body))
        return r->c == NULL ? RELAY_DROP : RELAY_FORWARD;
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
    case 'n':
        return on_row_description(r, body);
    case 'I':
    case 's':
        return on_execute_end(r);
    case 'D':
        if (!is_own_row(r->s))
            return within(r);
        ask_row(r->s, body);
        return RELAY_DROP;
    case 'E':
        return on_error(r, body);
    case 'S':
        return on_parameter(r, body);
    case 'N':
    case 'A':
        return on_async(r, type, body);
    case 'G':
        return on_copy_in(r);
    case 'H':
    case 'W':
        r->s->copy = type == 'H' ? COPY_OUT : COPY_BOTH;
        return within(r);
    case 't':
    case 'V':
    case 'c':
        return within(r);
    default:
        return violation(r, "message that has no place after login");
    }
}

static bool is_held(const struct relay *r)
{
    return r->c != NULL && r->c->conn.held && !r->c->again_on;
}

/* One that is held back: a replica's answer is certain from its first row on, or from the end of a statement. An error
 * that came together with a row is looked at first: PostgreSQL keeps rows back, too, and sends them when it ends. So is
 * the end of the connection. */
static void let_answer_go(struct relay *r, uint8_t type)
{
    if (strchr("DCIsHdZE", type) == NULL)
        return;
    if (type == 'Z')
        conn_let_go(&r->c->conn);
    r->certain = type != 'Z';
}

static void let_rest_go(struct relay *r)
{
    if (r->certain && is_held(r) && (!r->s->conn.last || conn_is_high(&r->c->conn)))
        conn_let_go(&r->c->conn);
}

/* After a message: fakes whose turn it is, and what a ReadyForQuery makes possible. */
static void after_message(struct relay *r, uint8_t type)
{
    struct server *s = r->s;
    const struct expect *head = expect_head(&s->expects);

    if (UNLIKELY(r->c != NULL && r->c->cancelling.since != 0))
        client_wake(r->c); /* what it sent since has waited for the end of what was cancelled */
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

    if (v == RELAY_FORWARD && UNLIKELY(is_held(r)))
        let_answer_go(r, f->type);
    if (v == RELAY_GONE)
        return false;
    if (v != RELAY_FORWARD)
        run_flush(r);
    else if (r->run == NULL)
        r->run = r->at;
    r->at += f->total;
    after_message(r, f->type);
    r->c = holder(r->s); /* the message may have ended it */
    return r->s->state != SERVER_DEAD && r->s->state != SERVER_CLOSING;
}

/* max_packet_size: rows before it have gone on, this one cannot, and so nothing can any more. */
static bool is_too_long(struct relay *r, const struct frame *f)
{
    if (LIKELY(f->total <= r->longest) || f->flow != FLOW_STREAM || within(r) != RELAY_FORWARD)
        return false;
    run_flush(r);
    fate_meet(r->c, FATE_ROW_TOO_LONG, f->total, (int)r->longest);
    return true;
}

size_t relay_input(struct server *s, const uint8_t *p, size_t len)
{
    size_t longest = (size_t)worker_of(s)->config->opt.max_packet_size;
    struct relay r = {.s = s, .c = holder(s), .at = p, .end = p + len, .longest = longest};

    if (r.c != NULL)
        routing_answered(r.c, s);
    while (r.at < r.end) {
        struct frame f;
        const char *why;
        size_t left = (size_t)(r.end - r.at);
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
        if (UNLIKELY(is_too_long(&r, &f)))
            return len;
        if (f.flow == FLOW_STREAM && !(f.type == 'D' && (nested_in_rows(s) || is_own_row(s)))) {
            s->stream_left = f.total;
            s->stream_forward = within(&r) == RELAY_FORWARD;
            if (s->stream_forward && UNLIKELY(is_held(&r)))
                let_answer_go(&r, f.type);
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
    let_rest_go(&r);
    return (size_t)(r.at - p);
}
