/*
 * prepare.c: the messages of the extended protocol that concern prepared statements. A client's own names are
 * translated to the shared ones of servers (pool/stmts.h), and a statement is prepared on a server when it is first
 * needed there.
 *
 * The rules (SEMANTICS of prepared statements): where PostgreSQL itself would err, the error is provoked on the server,
 * never imitated; what is asked may be relied on within its batch, a later batch waits until it is told. A client that
 * was told the shape of a statement's rows never gets rows of another: where its server has not described them yet, it
 * is asked first, and PostgreSQL's own words (0A000) are due if they differ.
 * Thread: worker.
 */
#include "parser/verb.h"
#include "proxy/active.h"
#include "proxy/ask.h"
#include "proxy/carry.h"
#include "proxy/explain.h"
#include "proxy/nested.h"
#include "proxy/refusal.h"
#include "proxy/sending.h"
#include "proxy/sharding.h"
#include "proxy/statement_timeout.h"

#include <stdio.h>
#include <strings.h>

/* A message with another name in it than the client's: type, length, then before + name + after; the rest of a long one
 * follows by itself. */
static void send_renamed(const struct sending *m, struct span before, const char *name, struct span after)
{
    struct buf *out = conn_out(&m->s->conn);
    size_t name_len = strlen(name) + 1;
    size_t missing = m->f->total - m->have;

    buf_put_u8(out, m->f->type);
    buf_put_u32(out, (uint32_t)(4 + before.len + name_len + after.len + missing));
    buf_put(out, before.ptr, before.len);
    buf_put(out, name, name_len);
    buf_put(out, after.ptr, after.len);
    conn_touch(&m->s->conn);
}

/* EXECUTE: how its rows look is decided by what that name means when it is parsed. */
static bool executes_by_name(const char *sql)
{
    return strncasecmp(verb_skip_blank(sql), "execute", strlen("execute")) == 0;
}

/* While a setting is changed that Parse depends on, and its value is not known, a statement is shared with nobody. */
uint64_t prepare_environment(const struct client *c, const char *sql)
{
    uint64_t h = vars_parse_hash(c->vars);
    uint64_t catalog = __atomic_load_n(&c->db->catalog, __ATOMIC_RELAXED);

    h = hash_bytes(h, &c->target, sizeof c->target);
    if (UNLIKELY(executes_by_name(sql)))
        h = hash_bytes(h, &c->id, sizeof c->id);
    if (UNLIKELY(c->unsettled))
        h = hash_bytes(hash_bytes(h, &c->id, sizeof c->id), &c->worker->last_batch, sizeof c->worker->last_batch);
    return hash_bytes(h, &catalog, sizeof catalog);
}

/* The batch cannot be run again: what it rests on is not only pretended. */
static void forget_replay(struct client *c)
{
    buf_free(&c->replay);
}

/* --- on the server --- */

static void inject_close(const struct sending *m, struct server_stmt *st)
{
    msg_named(&m->s->conn.out, 'C', 'S', st->text->name);
    conn_touch(&m->s->conn);
    st->asked = false;
    st->batch = m->s->batch; /* what this batch asks, it may rely on: it may need the statement again */
    st->pending++;
    sending_expect(m, EXPECT_CLOSE, EXPECT_SKIP, EFFECT_STMT_CLOSED, st);
}

static void evict(const struct sending *m)
{
    size_t max = (size_t)MAX(m->c->worker->config->opt.max_prepared_statements, 1);
    size_t over = m->s->stmts.count > max ? m->s->stmts.count - max : 0;

    for (; over > 0; over--) {
        struct server_stmt *victim = server_stmts_victim(&m->s->stmts, max, m->s->batch);
        if (victim == NULL)
            break;
        inject_close(m, victim);
    }
}

/* EXPLAIN (SLUICE) is a statement that yields the answer, as it is now. */
static void put_parse(const struct sending *m, const char *name, const char *sql, struct span types)
{
    const char *explained = explain_statement(sql);
    struct buf text = {0}, numbers = {0};

    if (UNLIKELY(explained != NULL))
        explain_rewrite(m->c, explained, &text);
    if (UNLIKELY(types.len > 0 && oids_differ(m->s->pool->target->db))) {
        buf_put(&numbers, types.ptr, types.len);
        oids_to_shard(m->s->pool->target->db, numbers.data, types.len);
        types = span_of(numbers.data, types.len);
    }
    msg_parse(&m->s->conn.out, name, explained == NULL ? sql : (const char *)text.data, types);
    conn_touch(&m->s->conn);
    buf_free(&text);
    buf_free(&numbers);
}

/* The server's entry for a text, usable in this batch. NULL: wait until what is pending has been told. */
static struct server_stmt *use_on_server(const struct sending *m, struct stmt_text *text)
{
    struct server_stmt *st = server_stmts_find(&m->s->stmts, text);

    if (st != NULL && !server_stmt_certain(st, m->s->batch))
        return NULL;
    st = server_stmts_use(&m->s->stmts, text, m->s->batch);
    if (st->stale) {
        st->stale = false;
        st->shape = 0;
        if (st->present)
            inject_close(m, st);
    }
    return st;
}

static bool is_on_server(const struct server_stmt *st)
{
    return st->pending == 0 ? st->present : st->asked;
}

/* Makes sure that the text is prepared when the next message is read. NULL: wait. */
static struct server_stmt *ensure_prepared(const struct sending *m, struct stmt_text *text)
{
    struct server_stmt *st = use_on_server(m, text);

    if (st == NULL || is_on_server(st))
        return st;
    put_parse(m, text->name, stmt_text_sql(text), stmt_text_types(text));
    st->asked = true;
    st->shape = 0;
    st->pending++;
    sending_expect(m, EXPECT_PARSE, EXPECT_SKIP, EFFECT_STMT_PREPARED, st);
    stat_add(&worker_stats(m->c->worker, m->c->db)->server_parse_count, 1);
    evict(m);
    return st;
}

/* --- a client's names --- */

/* The client's own name for a statement; NULL if it means nothing now (*wait: if that is not yet certain). */
static struct client_stmt *known_name(const struct sending *m, const char *name, bool *wait)
{
    struct client_stmt *st = client_stmts_find(&m->c->stmts, name);

    *wait = (st != NULL && !client_stmt_certain(st, m->s->batch)) ||
            (m->c->quiet && expect_waits_for(&m->s->expects, EFFECT_FORGETS));
    return st == NULL || st->asked == NULL ? NULL : st;
}

static struct stmt_change *client_op(struct client_stmt *st, struct stmt_text *text, uint64_t batch)
{
    struct stmt_change *op = mem_zalloc(sizeof *op);

    client_stmt_ask(st, text, batch);
    op->client = st;
    op->text = text == NULL ? NULL : stmt_text_ref(text);
    return op;
}

static uint64_t portal_number(const char *portal)
{
    return hash_bytes(1, portal, strlen(portal));
}

void prepare_unbind(struct client *c)
{
    client_stmt_unuse(c->bound);
    c->bound = NULL;
    c->bound_portal = 0;
}

/* st: NULL for the unnamed statement, and for a name that means nothing here. */
static void note_bound(const struct sending *m, const struct msg_bind *bind, struct client_stmt *st)
{
    prepare_unbind(m->c);
    if (st == NULL && bind->name[0] != '\0')
        return;
    m->c->bound = st == NULL ? NULL : client_stmt_use(st);
    m->c->bound_portal = portal_number(bind->portal);
}

static const char *unnamed_text(const struct client *c)
{
    return (const char *)c->unnamed->body + 1; /* behind its empty name */
}

/* The text that a portal was bound to in this batch; NULL: not known. */
static const char *bound_text(const struct client *c, const char *portal)
{
    if (c->bound_portal != portal_number(portal))
        return NULL;
    if (c->bound != NULL)
        return c->bound->asked == NULL ? NULL : stmt_text_sql(c->bound->asked);
    return c->unnamed == NULL ? NULL : unnamed_text(c);
}

/* The shape of that text, which bound_text has given. */
static struct shape *bound_shape(struct client *c, const char *sql)
{
    if (sql == NULL)
        return NULL;
    return c->bound != NULL ? statement_of_text(c, c->bound->asked) : statement_recall(c, sql, strlen(sql));
}

/* --- DEALLOCATE of a client's name --- */

/* A name that the server has for as long as it takes to deallocate it. An empty statement may be prepared at any time,
 * in a failed transaction too, and cannot become outdated. */
#define DEPARTING "sluice_departing"
#define DEALLOCATE_DEPARTING "DEALLOCATE " DEPARTING

static void put_departing(const struct sending *m)
{
    msg_named(&m->s->conn.out, 'C', 'S', DEPARTING); /* left by one that failed */
    sending_expect(m, EXPECT_CLOSE, EXPECT_SKIP, EFFECT_NONE, NULL);
    msg_parse(&m->s->conn.out, DEPARTING, "", span_of(NULL, 0));
    sending_expect(m, EXPECT_PARSE, EXPECT_SKIP, EFFECT_NONE, NULL);
    conn_touch(&m->s->conn);
}

const char *prepare_text_run(const struct client *c, const struct shape *shape, const char *sql)
{
    const struct stmt_list *list = shape == NULL ? NULL : reading_of(shape)->list;

    if (LIKELY(list == NULL || list->count != 1 || list->stmts[0]->kind != STMT_EXECUTE))
        return sql;
    const struct client_stmt *st = client_stmts_find(&c->stmts, list->stmts[0]->name);
    return st == NULL || st->asked == NULL ? sql : stmt_text_sql(st->asked);
}

/* The client's statement that is deallocated; NULL: none (*wait: if that is not yet certain). */
static struct client_stmt *departing(const struct sending *m, const struct verb *v, bool *wait)
{
    *wait = false;
    return v->kind == VERB_DEALLOCATE && !v->all ? known_name(m, v->name, wait) : NULL;
}

/* --- row shapes --- */

static enum send_result refuse_outdated(const struct sending *m)
{
    refusal_send(m, refusal_outdated(), true);
    return SEND_OK;
}

/* Pushes the entry for a Describe that says how st's rows look. */
static void expect_shape(const struct sending *m, enum expect_verdict verdict, enum expect_effect effect,
                         struct client_stmt *st)
{
    struct expect_queue *q = &m->s->expects;

    sending_expect(m, EXPECT_DESCRIBE, verdict, effect, client_stmt_use(st));
    expect_at(q, q->count - 1)->version = st->version;
}

/* PostgreSQL does not compare the rows of an EXECUTE, which are what its name means now. */
static bool shape_is_open(const struct sending *m, const struct client_stmt *st, const struct server_stmt *on_server)
{
    return st->about.shape != 0 && m->s->tx != 'E' && (on_server == NULL || on_server->shape != st->about.shape) &&
           !executes_by_name(stmt_text_sql(st->asked));
}

/* Asks the server how it describes the rows; the client's message waits for that. */
static enum send_result check_shape(const struct sending *m, struct client_stmt *st)
{
    if (expect_waits_for(&m->s->expects, EFFECT_CHECK) || ensure_prepared(m, st->asked) == NULL)
        return SEND_WAIT;
    msg_named(&m->s->conn.out, 'D', 'S', st->asked->name);
    msg_empty(&m->s->conn.out, 'H');
    conn_touch(&m->s->conn);
    expect_shape(m, EXPECT_SKIP, EFFECT_CHECK, st);
    return SEND_WAIT;
}

/* Sees that the server has the statement, with the rows that the client knows. */
static enum send_result make_ready(const struct sending *m, struct client_stmt *st)
{
    struct server_stmt *on_server = server_stmts_find(&m->s->stmts, st->asked);

    if (UNLIKELY(!st->about.outdated && shape_is_open(m, st, on_server)))
        return check_shape(m, st);
    return ensure_prepared(m, st->asked) == NULL ? SEND_WAIT : SEND_OK;
}

/* --- Parse --- */

/* An empty statement of that very name, which is closed afterwards: any transaction takes it. */
static void put_stand_in(const struct sending *m, const char *name)
{
    msg_named(&m->s->conn.out, 'C', 'S', name);
    sending_expect(m, EXPECT_CLOSE, EXPECT_SKIP, EFFECT_NONE, NULL);
    msg_parse(&m->s->conn.out, name, "", span_of(NULL, 0));
    sending_expect(m, EXPECT_PARSE, EXPECT_SKIP, EFFECT_NONE, NULL);
    buf_put_cstr(&m->s->close_names, name);
}

/* A name that the client has already: PostgreSQL's own 42P05, provoked. */
static enum send_result parse_duplicate(const struct sending *m, const char *name)
{
    carry_name(m, name, true); /* another session's makes room */
    put_stand_in(m, name);
    sending_raw(m);
    sending_expect(m, EXPECT_PARSE, EXPECT_FORWARD, EFFECT_NONE, NULL);
    return SEND_OK;
}

/* SQL has given this name, or may have given or taken it in this transaction: the server says whether it is free. If
 * it is, the statement stands there only for as long as that takes. */
static enum send_result parse_in_doubt(const struct sending *m, const struct msg_parse *parse)
{
    struct client *c = m->c;
    struct stmt_text *text = stmt_text_intern(parse->text, parse->types, prepare_environment(c, parse->text));

    forget_replay(c);
    carry_name(m, parse->name, true);
    if (carry_is_out_of_reach(m, parse->name))
        put_stand_in(m, parse->name);
    put_parse(m, parse->name, parse->text, parse->types);
    sending_expect(m, EXPECT_PARSE, EXPECT_FORWARD, EFFECT_CLIENT_STMT,
                   client_op(client_stmts_add(&c->stmts, parse->name), text, m->s->batch));
    msg_named(&m->s->conn.out, 'C', 'S', parse->name);
    sending_expect(m, EXPECT_CLOSE, EXPECT_SKIP, EFFECT_NONE, NULL);
    stat_add(&worker_stats(c->worker, c->db)->client_parse_count, 1);
    stat_add(&worker_stats(c->worker, c->db)->server_parse_count, 1);
    stmt_text_unref(text);
    return SEND_OK;
}

static enum send_result parse_named(const struct sending *m, const struct msg_parse *parse)
{
    struct client *c = m->c;
    bool wait;

    if (known_name(m, parse->name, &wait) != NULL && !wait)
        return parse_duplicate(m, parse->name);
    if (wait)
        return SEND_WAIT;
    if (UNLIKELY((c->traces & TRACE_STATEMENT) || prepares_find(&c->prepares, parse->name) != NULL))
        return carry_is_early(m, parse->name) ? SEND_WAIT : parse_in_doubt(m, parse);
    struct stmt_text *text = stmt_text_intern(parse->text, parse->types, prepare_environment(c, parse->text));
    struct server_stmt *on_server = use_on_server(m, text);
    bool fake = on_server != NULL && is_on_server(on_server) && m->s->tx != 'E';
    /* Pretending is right only where nothing that is still under way could make PostgreSQL refuse. */
    if (on_server == NULL || (fake && sending_after_others(m->s))) {
        stmt_text_unref(text);
        return SEND_WAIT;
    }
    struct stmt_change *op = client_op(client_stmts_add(&c->stmts, parse->name), text, m->s->batch);
    stat_add(&worker_stats(c->worker, c->db)->client_parse_count, 1);
    if (fake) {
        sending_expect(m, EXPECT_PARSE, EXPECT_FAKE, EFFECT_CLIENT_STMT, op);
        relay_fakes(m->s);
    } else {
        forget_replay(c);
        if (is_on_server(on_server))
            inject_close(m, on_server); /* in a failed transaction PostgreSQL itself says what may be parsed */
        put_parse(m, text->name, parse->text, parse->types);
        on_server->asked = true;
        on_server->shape = 0;
        on_server->pending++;
        op->server = on_server;
        sending_expect(m, EXPECT_PARSE, EXPECT_FORWARD, EFFECT_CLIENT_STMT, op);
        stat_add(&worker_stats(c->worker, c->db)->server_parse_count, 1);
        evict(m);
    }
    stmt_text_unref(text);
    return SEND_OK;
}

void unnamed_stmt_change(struct unnamed_stmt **at, struct unnamed_stmt *to)
{
    struct unnamed_stmt *old = *at;

    if (to != NULL)
        to->refs++;
    *at = to;
    if (old == NULL || --old->refs > 0)
        return;
    free(old);
}

void prepare_unnamed_failed(struct client *c, struct server *s)
{
    struct unnamed_stmt *now = c->unnamed_told;

    s->unnamed_asked = s->unnamed_told;
    for (uint32_t i = 0; i < s->expects.count; i++) {
        const struct expect *e = expect_at(&s->expects, i);
        struct unnamed_stmt *u = e->effect == EFFECT_UNNAMED ? e->arg : NULL;
        if (e->effect != EFFECT_UNNAMED && e->type != EXPECT_QUERY)
            continue;
        s->unnamed_asked = u == NULL ? 0 : u->id;
        if (e->verdict == EXPECT_FORWARD)
            now = u;
    }
    if (s->rider_count > 0)
        s->unnamed_asked = 0; /* what others have sent since may stand there in its place */
    unnamed_stmt_set(&c->unnamed, now);
}

static void expect_unnamed(const struct sending *m, enum expect_type type, enum expect_verdict verdict)
{
    struct unnamed_stmt *entry = NULL;

    unnamed_stmt_set(&entry, m->c->unnamed);
    m->c->unnamed_batch = m->s->batch;
    m->s->unnamed_asked = entry == NULL ? 0 : entry->id;
    sending_expect(m, type, verdict, EFFECT_UNNAMED, entry);
}

/* Sends the unnamed statement that is kept. */
static void send_unnamed(const struct sending *m, enum expect_verdict verdict)
{
    struct msg_parse parse;

    msgin_parse(span_of(m->c->unnamed->body, m->c->unnamed->len), &parse); /* has been understood before */
    put_parse(m, "", parse.text, parse.types);
    expect_unnamed(m, EXPECT_PARSE, verdict);
}

static struct unnamed_stmt *unnamed_new(const void *body, size_t len)
{
    static uint64_t last_id;
    struct unnamed_stmt *u = mem_zalloc(sizeof *u + len);

    u->id = __atomic_add_fetch(&last_id, 1, __ATOMIC_RELAXED);
    u->len = len;
    memcpy(u->body, body, len);
    return u;
}

void prepare_unnamed_take(struct client *c, struct span parse)
{
    unnamed_stmt_set(&c->unnamed, unnamed_new(parse.ptr, parse.len));
    unnamed_stmt_set(&c->unnamed_told, c->unnamed);
}

static enum send_result parse_unnamed(const struct sending *m, const struct msg_parse *parse)
{
    struct client *c = m->c;

    forget_replay(c);
    unnamed_stmt_set(&c->unnamed, unnamed_new(m->p + FRAME_HEADER, m->have - FRAME_HEADER));
    if (UNLIKELY(oids_differ(m->s->pool->target->db)) || UNLIKELY(explain_statement(parse->text) != NULL))
        put_parse(m, "", parse->text, parse->types);
    else
        sending_raw(m);
    expect_unnamed(m, EXPECT_PARSE, EXPECT_FORWARD);
    return SEND_OK;
}

/* Too long to be looked at: it goes on under its own name, and its server stays with the client. */
static enum send_result parse_long(const struct sending *m)
{
    struct client *c = m->c;

    c->pins |= TRACE_LONG_PARSE;
    unnamed_stmt_set(&c->unnamed, NULL);
    m->s->unnamed_asked = m->s->unnamed_told = 0;
    m->s->close_needed = true; /* nobody else may meet that name */
    forget_replay(c);
    sending_raw(m);
    sending_expect(m, EXPECT_PARSE, EXPECT_FORWARD, EFFECT_NONE, NULL);
    return SEND_OK;
}

enum send_result prepare_parse(const struct sending *m)
{
    struct msg_parse parse;

    if (m->have < m->f->total)
        return parse_long(m);
    if (msgin_parse(sending_body(m), &parse) != PARSE_OK ||
        (parse.name[0] != '\0' && m->c->worker->config->opt.max_prepared_statements == 0)) {
        forget_replay(m->c);
        sending_raw(m); /* the server says what is wrong with it */
        sending_expect(m, EXPECT_PARSE, EXPECT_FORWARD, EFFECT_NONE, NULL);
        return SEND_OK;
    }
    if (UNLIKELY(executes_by_name(parse.text)) && carry_may(m->c, m->s) &&
        carry_for(m, statement_read(m->c, parse.text, strlen(parse.text)), true) == SEND_WAIT)
        return SEND_WAIT;
    return parse.name[0] == '\0' ? parse_unnamed(m, &parse) : parse_named(m, &parse);
}

/* --- Bind, Describe --- */

/* The unnamed statement must be this client's, or none. */
static void ensure_unnamed(const struct sending *m)
{
    struct client *c = m->c;
    struct server *s = m->s;

    if ((c->pins & TRACE_LONG_PARSE) && c->unnamed == NULL)
        return;
    if (c->unnamed == NULL) {
        msg_named(&s->conn.out, 'C', 'S', ""); /* so that nobody else's is taken for it */
        conn_touch(&s->conn);
        sending_expect(m, EXPECT_CLOSE, EXPECT_SKIP, EFFECT_UNNAMED, NULL);
        s->unnamed_asked = 0;
    } else if (s->unnamed_asked != c->unnamed->id ||
               (c->unnamed_batch != s->batch && explain_statement((const char *)c->unnamed->body + 1) != NULL)) {
        send_unnamed(m, EXPECT_SKIP);
    }
}

/* What EXPLAIN (SLUICE) told when it was prepared is old: the portal is of its answer now. */
static void bind_explained(const struct sending *m, const struct msg_bind *bind, const struct stmt_text *text)
{
    put_parse(m, "", stmt_text_sql(text), stmt_text_types(text));
    m->s->unnamed_asked = 0;
    sending_expect(m, EXPECT_PARSE, EXPECT_SKIP, EFFECT_UNNAMED, NULL);
    send_renamed(m, span_of(bind->portal, strlen(bind->portal) + 1), "", bind->rest);
}

static struct shape *shape_of_unnamed(struct client *c)
{
    return statement_read(c, unnamed_text(c), strlen(unnamed_text(c)));
}

static bool unnamed_is_certain(const struct sending *m)
{
    const struct client *c = m->c;

    return c->unnamed_batch == m->s->batch || !sending_after_others(m->s);
}

/* Finds what a Bind or Describe means by a statement's name, and sees that the server has it. OK with *found NULL: as
 * the client wrote it. */
static enum send_result resolve_name(const struct sending *m, const char *name, struct client_stmt **found)
{
    struct client_stmt *st;
    bool wait;

    *found = NULL;
    if (name[0] == '\0') {
        if (!unnamed_is_certain(m))
            return SEND_WAIT;
        forget_replay(m->c);
        /* First what it executes: how its rows look is decided when it is parsed. */
        if (UNLIKELY(carry_may(m->c, m->s)) && m->c->unnamed != NULL &&
            carry_for(m, shape_of_unnamed(m->c), true) == SEND_WAIT)
            return SEND_WAIT;
        ensure_unnamed(m);
        return SEND_OK;
    }
    st = known_name(m, name, &wait);
    if (wait)
        return SEND_WAIT;
    if (st == NULL || st->about.described || st->about.shape != 0)
        forget_replay(m->c); /* it was told the row shape: PostgreSQL's own error is due */
    if (st == NULL) {
        if (carry_is_early(m, name))
            return SEND_WAIT;
        if (UNLIKELY(carry_may(m->c, m->s)))
            carry_name(m, name, true);
        return SEND_OK;
    }
    if (UNLIKELY(carry_may(m->c, m->s)) && carry_for(m, statement_of_text(m->c, st->asked), true) == SEND_WAIT)
        return SEND_WAIT;
    if (make_ready(m, st) == SEND_WAIT)
        return SEND_WAIT;
    *found = st;
    return SEND_OK;
}

enum send_result prepare_bind(const struct sending *m)
{
    struct msg_bind bind;
    struct buf numbered = {0};
    struct client_stmt *st = NULL;
    bool whole = m->have == m->f->total;

    if (msgin_bind_head(sending_body(m), whole, &bind) == PARSE_OK) {
        if (resolve_name(m, bind.name, &st) == SEND_WAIT)
            return SEND_WAIT;
        if (UNLIKELY(st == NULL && whole && carry_is_out_of_reach(m, bind.name)))
            return carry_fail_for(m);
        struct refusal_text *refused = UNLIKELY(sharding_is_on(m->c)) ? sharding_refuses_bind(m, &bind) : NULL;
        if (refused != NULL) {
            refusal_send(m, refused, true);
            return SEND_OK;
        }
        note_bound(m, &bind, st);
        if (UNLIKELY(oids_differ(m->s->pool->target->db)) && whole)
            nested_bind(m, st, &bind, &numbered);
        stat_add(&worker_stats(m->c->worker, m->c->db)->bind_count, 1);
    }
    if (st != NULL && st->about.outdated) {
        buf_free(&numbered);
        return refuse_outdated(m);
    }
    if (UNLIKELY(st != NULL && explain_statement(stmt_text_sql(st->asked)) != NULL))
        bind_explained(m, &bind, st->asked);
    else if (st != NULL || buf_used(&numbered) > 0)
        send_renamed(m, span_of(bind.portal, strlen(bind.portal) + 1), st == NULL ? bind.name : st->asked->name,
                     buf_used(&numbered) > 0 ? span_of(buf_head(&numbered), buf_used(&numbered)) : bind.rest);
    else
        sending_raw(m);
    buf_free(&numbered);
    sending_expect(m, EXPECT_BIND, EXPECT_FORWARD, st == NULL ? EFFECT_NONE : EFFECT_BOUND,
                   st == NULL ? NULL : client_stmt_use(st));
    return SEND_OK;
}

static void expect_description(const struct sending *m, struct client_stmt *st)
{
    if (st == NULL) {
        sending_expect(m, EXPECT_DESCRIBE, EXPECT_FORWARD, EFFECT_NONE, NULL);
        return;
    }
    st->about.described = true;
    expect_shape(m, EXPECT_FORWARD, EFFECT_TOLD, st);
}

static struct client_stmt *bound_to(const struct client *c, const char *portal)
{
    return c->bound_portal == portal_number(portal) ? c->bound : NULL;
}

enum send_result prepare_describe(const struct sending *m)
{
    struct msg_named named;
    struct client_stmt *st = NULL;

    if (msgin_named(sending_body(m), &named) == PARSE_OK) {
        if (named.kind != 'S')
            st = bound_to(m->c, named.name);
        else if (resolve_name(m, named.name, &st) == SEND_WAIT)
            return SEND_WAIT;
        else if (UNLIKELY(st == NULL && carry_is_out_of_reach(m, named.name)))
            return carry_fail_for(m);
    }
    if (st != NULL && named.kind == 'S' && st->about.outdated)
        return refuse_outdated(m);
    if (st != NULL && named.kind == 'S')
        send_renamed(m, span_of("S", 1), st->asked->name, span_of(NULL, 0));
    else
        sending_raw(m);
    expect_description(m, st);
    return SEND_OK;
}

/* --- Execute --- */

/* The portal deallocates one of the client's names: another takes its place, which does so by the server's name. */
static enum send_result execute_departing(const struct sending *m, const char *portal, struct client_stmt *st)
{
    struct buf *out = &m->s->conn.out;

    forget_replay(m->c);
    put_departing(m);
    msg_named(out, 'C', 'P', portal);
    sending_expect(m, EXPECT_CLOSE, EXPECT_SKIP, EFFECT_NONE, NULL);
    msg_parse(out, "", DEALLOCATE_DEPARTING, span_of(NULL, 0));
    m->s->unnamed_asked = 0;
    sending_expect(m, EXPECT_PARSE, EXPECT_SKIP, EFFECT_UNNAMED, NULL);
    msg_bind(out, portal, "");
    sending_expect(m, EXPECT_BIND, EXPECT_SKIP, EFFECT_NONE, NULL);
    sending_raw(m);
    sending_expect(m, EXPECT_EXECUTE, EXPECT_FORWARD, EFFECT_CLIENT_STMT, client_op(st, NULL, m->s->batch));
    return SEND_OK;
}

/* resets: for EFFECT_RESET, or NULL. */
static void execute_as_it_is(const struct sending *m, char *resets)
{
    sending_raw(m);
    sending_expect(m, EXPECT_EXECUTE, EXPECT_FORWARD, resets == NULL ? EFFECT_NONE : EFFECT_RESET, resets);
    m->c->quiet = m->c->quiet || resets != NULL;
}

enum send_result prepare_execute(const struct sending *m)
{
    struct client *c = m->c;
    struct reader r = reader_of(m->p + FRAME_HEADER, m->have - FRAME_HEADER);
    const char *portal = reader_cstr(&r);
    const char *sql = bound_text(c, portal);
    struct shape *shape = bound_shape(c, sql);
    const char *run = prepare_text_run(c, shape, sql);
    bool searched = sql != NULL && shape_may(shape, SENDING_VERB_EFFECTS);
    struct verb verb = verb_of(searched || run != sql ? run : "");
    struct client_stmt *st;
    struct refusal_text *refused;
    bool wait;

    st = departing(m, &verb, &wait);
    if (wait)
        return SEND_WAIT;
    refused = refusal_of(c, m->s, shape);
    if (UNLIKELY(refused != NULL)) {
        refusal_send(m, refused, true);
        return SEND_OK;
    }
    c->quiet = c->quiet || verb.kind == VERB_DISCARD || verb.kind == VERB_DEALLOCATE;
    if (st != NULL)
        return execute_departing(m, portal, st);
    if (verb.kind == VERB_DISCARD || (verb.kind == VERB_DEALLOCATE && verb.all)) {
        sending_raw(m);
        msg_empty(&m->s->conn.out, 'H'); /* what follows in this batch may wait for the answer */
        conn_touch(&m->s->conn);
        sending_expect(m, EXPECT_EXECUTE, EXPECT_FORWARD, EFFECT_FORGETS, NULL);
        ask_note_unread(c);
        return SEND_OK;
    }
    bool tells = statement_timeout_tells(c, shape, sql);
    if (UNLIKELY(tells))
        statement_timeout_ahead(m);
    active_before_run(c, shape);
    nested_before_execute(m, portal);
    execute_as_it_is(m, searched ? sending_resets(sql) : NULL);
    statement_sent(c, m->s, shape, sql);
    ask_note(c, shape, sql);
    if (UNLIKELY(tells))
        statement_timeout_behind(m);
    return SEND_OK;
}

/* --- Close, DEALLOCATE --- */

static enum send_result close_unnamed(const struct sending *m)
{
    forget_replay(m->c);
    unnamed_stmt_set(&m->c->unnamed, NULL);
    sending_raw(m);
    expect_unnamed(m, EXPECT_CLOSE, EXPECT_FORWARD);
    return SEND_OK;
}

enum send_result prepare_close(const struct sending *m)
{
    struct msg_named named = {0};
    struct client_stmt *st = NULL;
    bool wait = false;

    if (msgin_named(sending_body(m), &named) == PARSE_OK && named.kind == 'S') {
        if (named.name[0] == '\0')
            return close_unnamed(m);
        st = known_name(m, named.name, &wait);
    }
    if (wait)
        return SEND_WAIT;
    forget_replay(m->c);
    if (st == NULL && named.kind == 'S' && carry_may(m->c, m->s)) {
        carry_close(m, named.name);
        return SEND_OK;
    }
    if (st == NULL) {
        sending_raw(m);
        sending_expect(m, EXPECT_CLOSE, EXPECT_FORWARD, EFFECT_NONE, NULL);
        return SEND_OK;
    }
    /* The server keeps it for whoever needs it next. */
    sending_expect(m, EXPECT_CLOSE, EXPECT_FAKE, EFFECT_CLIENT_STMT, client_op(st, NULL, m->s->batch));
    relay_fakes(m->s);
    return SEND_OK;
}

/* The client's own command gives the answer, and the server keeps the statement for whoever needs it next. */
static void query_deallocate(const struct sending *m, struct client_stmt *st)
{
    put_departing(m);
    msg_query(&m->s->conn.out, DEALLOCATE_DEPARTING);
    conn_touch(&m->s->conn);
    sending_expect(m, EXPECT_QUERY, EXPECT_FORWARD, EFFECT_CLIENT_STMT, client_op(st, NULL, m->s->batch));
}

bool prepare_deallocate(const struct sending *m, const char *name, enum send_result *result)
{
    bool wait;
    struct client_stmt *st = known_name(m, name, &wait);

    if (wait) {
        *result = SEND_WAIT;
        return true;
    }
    if (st == NULL)
        return false;
    query_deallocate(m, st);
    *result = SEND_OK;
    return true;
}
