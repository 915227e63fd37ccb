/*
 * send.c: what a client says, on its way to the server that it holds: what must stand ahead of a batch is put there,
 * and for each request an entry is pushed for its reply. Prepared statements are prepare.c's.
 *
 *   first message of a batch ──> preamble: settings, leftovers ──> message, translated ──> entry for its reply
 *
 * Thread: worker.
 */
#include "parser/verb.h"
#include "pool/stray.h"
#include "proxy/active.h"
#include "proxy/ask.h"
#include "proxy/carry.h"
#include "proxy/guest.h"
#include "proxy/placeholders.h"
#include "proxy/refusal.h"
#include "proxy/routing.h"
#include "proxy/sending.h"
#include "proxy/sharding.h"
#include "proxy/statement_timeout.h"

#define IN_FLIGHT_MAX 64 /* batches of a session on the wire at once: its server serves others sooner */

void sending_raw(const struct sending *m)
{
    if (m->alone)
        conn_send_now(&m->s->conn, m->p, m->have);
    else
        conn_send_run(&m->s->conn, m->p, m->have);
}

/* --- what goes ahead of a batch --- */

#define CARRIED_MAX 500 /* statements of SQL's PREPARE that are kept on a server */

/* What another client has left on the server. */
struct leftovers {
    bool settings;
    bool statements; /* of SQL's PREPARE */
};

static struct leftovers leftovers_of(const struct client *c, const struct server *s)
{
    return (struct leftovers){.settings = s->settings_owner != 0 && s->settings_owner != c->id,
                              .statements = (s->prepares_owner != 0 && s->prepares_owner != c->id) ||
                                            s->prepares.count > CARRIED_MAX};
}

static void put_text(struct buf *sql, const char *text)
{
    buf_put(sql, text, strlen(text));
}

/* The difference, as one Query that fails closed: refused, it leaves a failed block, and what follows it did not run.
 * In a transaction (after a RESET inside it) there is no block of our own to open, and in a failed one nothing can be
 * set. */
static void send_settings(struct client *c, struct server *s, const struct leftovers *left)
{
    struct buf sql = {0};
    bool own_block = s->tx == 'I';

    if (s->tx == 'E')
        return;
    if (own_block)
        put_text(&sql, "BEGIN;");
    if (left->statements) {
        put_text(&sql, "DEALLOCATE ALL;");
        server_stmts_clear(&s->stmts);
        prepares_free(&s->prepares);
    }
    if (left->settings)
        put_text(&sql, "RESET SESSION AUTHORIZATION;RESET ROLE;RESET ALL;");
    unsigned count = vars_difference(left->settings ? s->login_vars : s->vars, c->vars, s->login_vars, &sql);
    if (own_block)
        put_text(&sql, "COMMIT");
    buf_put_u8(&sql, 0);
    if (count > 0 || left->settings || left->statements) {
        msg_query(&s->conn.out, (const char *)sql.data);
        conn_touch(&s->conn);
        s->unnamed_asked = 0; /* every Query takes it away */
        server_expect(s, EXPECT_QUERY, EXPECT_SKIP, EFFECT_SETTINGS, c->id, NULL);
    }
    buf_free(&sql);

    s->placeholders = s->placeholders || c->vars->placeholders;
    struct vars *after = vars_after_difference(s->vars, c->vars);
    vars_unref(s->vars);
    s->vars = after;
}

/* Settings that cannot be set, only told: the client hears what its present server has. Whom it acts as is its own. */
static void tell_fixed(struct client *c, const struct server *s)
{
    for (size_t i = 0; i < s->vars->count; i++) {
        const struct var *v = &s->vars->v[i];
        const char *told;
        if (!v->reported || var_settable(v->name) || vars_is_identity(v->name) || routing_hides(c, s, v->name))
            continue;
        told = vars_get(c->vars, v->name);
        if (told != NULL && strcmp(told, v->value) == 0)
            continue;
        msg_param_status(&c->conn.out, v->name, v->value);
        conn_touch(&c->conn);
        c->vars = vars_with(c->vars, v->name, v->value, true);
    }
}

/* Where a session's own statement still has that name, what was to take its place did not run. */
static void close_leftover_names(struct server *s)
{
    while (buf_used(&s->close_names) > 0) {
        const char *name = (const char *)buf_head(&s->close_names);
        if (prepares_find(&s->prepares, name) == NULL) {
            msg_named(&s->conn.out, 'C', 'S', name);
            server_expect(s, EXPECT_CLOSE, EXPECT_SKIP, EFFECT_NONE, 0, NULL);
        }
        buf_consume(&s->close_names, strlen(name) + 1);
    }
    buf_free(&s->close_names);
}

/* A guest's set and that of a replica's server, which has in_hot_standby on, never are the same: that they agree all
 * the same is noted. */
static void note_suits(const struct client *c, struct server *s)
{
    if (!routing_is_guest(c, s) || s->tx != 'I')
        return;
    vars_unref(s->suits);
    vars_unref(s->suits_as);
    s->suits = vars_ref(c->vars);
    s->suits_as = vars_ref(s->vars);
}

static bool has_settings(const struct client *c, const struct server *s)
{
    return routing_is_guest(c, s) ? server_suits(s, c->vars) : s->vars == c->vars;
}

bool send_needs_preamble(const struct client *c, const struct server *s)
{
    struct leftovers left = leftovers_of(c, s);

    return !has_settings(c, s) || buf_used(&s->close_names) > 0 || left.settings || left.statements;
}

void send_preamble(struct client *c, struct server *s)
{
    struct leftovers left = leftovers_of(c, s);

    if (s->tx != 'I')
        left = (struct leftovers){0};
    tell_fixed(c, s);
    if (left.settings || left.statements || !vars_equal(s->vars, c->vars))
        send_settings(c, s, &left);
    if (left.settings)
        s->settings_owner = 0;
    if (left.statements)
        s->prepares_owner = 0;
    if (s->vars != c->vars && vars_equal(s->vars, c->vars)) {
        vars_unref(s->vars);
        s->vars = vars_ref(c->vars);
    }
    note_suits(c, s);
}

void send_own(struct client *c, struct server *s, const char *sql, enum expect_effect effect)
{
    msg_query(&s->conn.out, sql);
    conn_touch(&s->conn);
    s->unnamed_asked = 0;
    server_expect(s, EXPECT_QUERY, EXPECT_SKIP, effect, c->id, NULL);
}

/* The session's transaction had failed when its server was lost: this server takes it over, in the same state. */
static void send_failed_block(struct client *c, struct server *s)
{
    c->failed_block = false;
    send_own(c, s, "BEGIN;ROLLBACK TO SAVEPOINT \"sluice: the transaction's server was lost\"", EFFECT_FAILED_BLOCK);
}

bool sending_after_others(const struct server *s)
{
    const struct expect *head = expect_head(&s->expects);
    bool ours = head != NULL && (head->effect == EFFECT_SETTINGS || head->effect == EFFECT_FAILED_BLOCK);

    return s->expects.ends > (ours ? 1u : 0u);
}

/* Whether a further batch may be sent while others are under way. */
static bool may_follow(const struct client *c, const struct server *s)
{
    if (c->quiet || s->expects.limited > 0 || s->expects.ends >= IN_FLIGHT_MAX || active_is_cancelled(c) ||
        send_needs_preamble(c, s) || s->rider_count > 0)
        return false;
    /* A client that always has a batch in flight must not own a server: others come first. */
    return c->mode == POOL_SESSION ||
           (s->pool->waiting_count == 0 && limits_oldest_foreign(s->pool->target, c->worker->index, &(int){0}) == 0);
}

/* False: the batch waits for the answer, which may be that a setting is refused. One that is kept, to be sent again,
 * does not; but nothing follows it. */
static bool get_settings_ready(struct client *c, struct server *s)
{
    bool in_doubt = placeholders_in_doubt(c, s);

    close_leftover_names(s);
    send_preamble(c, s);
    c->quiet = in_doubt;
    c->readying = in_doubt && buf_used(&c->again) == 0 && expect_waits_for(&s->expects, EFFECT_SETTINGS);
    return !c->readying;
}

/* The first message of a batch. False: not yet. */
static bool begin_batch(struct client *c, struct server *s, uint8_t type)
{
    bool idle = expect_empty(&s->expects);

    if (!idle && !may_follow(c, s))
        return false;
    if (idle && s->cancels_open > 0)
        return false; /* it is for the statement before: it must not hit this one */
    c->quiet = c->deferred.ended = false;
    if (idle) {
        s->replied = false;
        c->query_at = c->idle_at = c->worker->loop.now;
        if (c->xact_at == 0)
            c->xact_at = c->query_at;
        if (UNLIKELY(send_needs_preamble(c, s)) && !get_settings_ready(c, s))
            return false;
        if (UNLIKELY(c->failed_block))
            send_failed_block(c, s);
        if (UNLIKELY(defer_is_open(c)) && !c->only_prepares) {
            defer_send(c, s);
            /* Ahead of a Query something may be sent that ends by a Sync: it would end the skipping, too. */
            if (type == 'Q' && carry_may(c, s)) {
                msg_empty(&s->conn.out, 'H');
                return false;
            }
        }
    } else {
        buf_free(&c->replay); /* with another behind it, the earlier one can no longer be run again */
    }
    s->batch = ++c->worker->last_batch;
    c->binary_rows = c->binary_rows && s->tx != 'I';
    prepare_unbind(c);
    return true;
}

/* --- simple queries --- */

char *sending_resets(const char *sql)
{
    struct buf names = {0};

    if (!verb_resets(sql, &names)) {
        buf_free(&names);
        return NULL;
    }
    buf_put_u8(&names, 0);
    return (char *)names.data;
}

/* True if the text was DEALLOCATE of a name that is translated; *result says how that went. */
static bool query_deallocate(const struct sending *m, const char *sql, enum send_result *result)
{
    struct verb v = verb_of(sql);

    m->c->quiet = m->c->quiet || v.kind == VERB_DISCARD || v.kind == VERB_DEALLOCATE;
    return v.kind == VERB_DEALLOCATE && !v.all && prepare_deallocate(m, v.name, result);
}

/* A text that is there whole. */
static enum send_result query_text(const struct sending *m)
{
    const char *sql = (const char *)m->p + FRAME_HEADER;
    size_t len = m->have - FRAME_HEADER - 1;
    struct shape *shape = statement_take(m->c, sql, len);
    const char *run = prepare_text_run(m->c, shape, sql);
    bool searched = shape_may(shape, SENDING_VERB_EFFECTS);
    enum send_result result;
    struct refusal_text *refused;
    char *resets;

    if ((searched || run != sql) && query_deallocate(m, run, &result))
        return result;
    refused = refusal_of(m->c, m->s, shape);
    if (UNLIKELY(sharding_is_on(m->c)) && refused == NULL)
        refused = sharding_refusal(m->c, m->s, &(struct sharding_run){.shape = shape, .sql = sql});
    if (UNLIKELY(refused != NULL)) {
        if (refused->unread)
            refusal_send_unread(m, sql, refused);
        else
            refusal_send(m, refused, false);
        return SEND_OK;
    }
    if (UNLIKELY(carry_may(m->c, m->s)) && carry_for(m, shape, false) == SEND_WAIT)
        return SEND_WAIT;
    bool tells = statement_timeout_tells(m->c, shape, sql);
    if (UNLIKELY(tells) && sending_after_others(m->s))
        return SEND_WAIT; /* it depends on whether it is in a transaction */
    resets = searched ? sending_resets(sql) : NULL;
    m->c->quiet = m->c->quiet || resets != NULL;
    if (UNLIKELY(tells))
        statement_timeout_ahead(m);
    sending_raw(m);
    sending_expect(m, EXPECT_QUERY, EXPECT_FORWARD, resets == NULL ? EFFECT_NONE : EFFECT_RESET, resets);
    statement_sent(m->c, m->s, shape, sql);
    ask_note(m->c, shape, sql);
    if (UNLIKELY(tells))
        statement_timeout_behind(m);
    return SEND_OK;
}

/* A long one, or one that the server will refuse. */
static enum send_result query_unread(const struct sending *m)
{
    sending_raw(m);
    sending_expect(m, EXPECT_QUERY, EXPECT_FORWARD, EFFECT_NONE, NULL);
    m->c->writes = true; /* for all that we know */
    ask_note_unread(m->c);
    return SEND_OK;
}

static enum send_result send_query(const struct sending *m)
{
    bool text = m->have == m->f->total && m->have > FRAME_HEADER && m->p[m->have - 1] == '\0';
    enum send_result result = text ? query_text(m) : query_unread(m);

    if (result == SEND_OK) {
        unnamed_stmt_set(&m->c->unnamed, NULL); /* PostgreSQL drops it, too */
        m->c->unnamed_batch = m->s->batch;
        m->s->unnamed_asked = 0;
        m->c->in_batch = false;
    }
    return result;
}

/* --- the rest --- */

static void send_sync(const struct sending *m)
{
    struct server *s = m->s;

    sending_raw(m);
    if (server_takes_copy(s)) {
        stray_note(s, 1); /* PostgreSQL takes no notice of it, or has failed */
        return;
    }
    m->c->in_batch = m->c->parted = false;
    sending_expect(m, EXPECT_SYNC, EXPECT_FORWARD, EFFECT_NONE, NULL);
}

static void send_copy_end(const struct sending *m)
{
    struct server *s = m->s;

    sending_raw(m);
    if (expect_empty(&s->expects) || s->copy == COPY_BOTH)
        return; /* PostgreSQL ignores it, too */
    s->copy_end_sent = s->copy == COPY_IN;
    sending_expect(m, EXPECT_COPY_END, EXPECT_FORWARD, EFFECT_NONE, NULL);
    relay_fakes(s);
}

/* What a transaction on a replica cannot do: a Query and a function call end by themselves. */
static enum send_result refuse(const struct sending *m, const char *why, const char *hint)
{
    bool ends = m->f->type == 'Q' || m->f->type == 'F';

    refusal_send(m, refusal_new("0A000", why, hint), !ends);
    m->c->in_batch = m->c->in_batch && !ends;
    if (m->f->type == 'Q')
        unnamed_stmt_set(&m->c->unnamed, NULL); /* as by any Query */
    return SEND_OK;
}

static enum send_result translate(const struct sending *m)
{
    const char *why = UNLIKELY(routing_is_guest(m->c, m->s)) ? guest_refuses(m) : NULL;

    if (UNLIKELY(why != NULL))
        return refuse(m, why, GUEST_HINT);
    why = UNLIKELY(sharding_is_on(m->c)) ? sharding_bars(m) : NULL;
    if (UNLIKELY(why != NULL))
        return refuse(m, why, NULL);
    switch (m->f->type) {
    case 'Q':
        return send_query(m);
    case 'P':
        return prepare_parse(m);
    case 'B':
        return prepare_bind(m);
    case 'D':
        return prepare_describe(m);
    case 'C':
        return prepare_close(m);
    case 'E':
        return prepare_execute(m);
    case 'F':
        sending_raw(m);
        sending_expect(m, EXPECT_FUNCTION, EXPECT_FORWARD, EFFECT_NONE, NULL);
        ask_note_unread(m->c);
        m->c->in_batch = false;
        m->c->writes = true; /* for all that we know */
        return SEND_OK;
    case 'S':
        send_sync(m);
        return SEND_OK;
    case 'c':
    case 'f':
        send_copy_end(m);
        return SEND_OK;
    default: /* Flush, CopyData */
        sending_raw(m);
        return SEND_OK;
    }
}

static bool belongs_to_what_runs(uint8_t type)
{
    return type == 'd' || type == 'c' || type == 'f' || type == 'H';
}

/* Copy data and Flush belong to what runs, and so does all that a COPY FROM reads. Where the server is skipping, it
 * would pass over what stands ahead of a batch, too. */
static bool begins_batch(const struct client *c, uint8_t type)
{
    const struct server *s = c->server;

    return !c->in_batch && !belongs_to_what_runs(type) && !s->expects.skipping && !server_takes_copy(s);
}

/* Nothing follows that a cancel request could hit in the place of what runs. The data of a COPY belongs to that, and
 * PostgreSQL heeds the request when more of it comes; its end waits only until PostgreSQL has the request. */
static bool must_wait_for_cancel(const struct client *c, uint8_t type)
{
    if (LIKELY(!active_is_cancelled(c)) || type == 'd')
        return false;
    return c->server->cancels_open > 0 || (type != 'c' && type != 'f');
}

enum send_result send_message(struct client *c, const struct frame *f, const uint8_t *p, size_t have, bool alone)
{
    struct sending m = {.c = c, .s = c->server, .f = f, .p = p, .have = have, .alone = alone};
    bool begins = begins_batch(c, f->type);

    if (UNLIKELY(c->server->expects.skipping) && f->type != 'S') {
        sending_raw(&m); /* the server reads it, and does nothing */
        c->in_batch = true;
        c->stream_left = f->total - have;
        return SEND_OK;
    }
    if (begins ? !begin_batch(c, c->server, f->type) : must_wait_for_cancel(c, f->type) || active_must_wait(c, f->type))
        return SEND_WAIT;
    m.begins = begins;
    if (begins)
        c->in_batch = true;
    enum send_result result = translate(&m);
    if (result == SEND_OK)
        c->stream_left = f->total - have;
    else if (begins && f->type == 'Q')
        c->in_batch = false; /* it will begin it once more */
    return result;
}
