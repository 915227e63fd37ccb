/*
 * send.c: what a client says, on its way to the server that it holds: names of prepared statements are translated, what
 * must stand ahead of a batch is put there, and for each request an entry is pushed for its reply.
 *
 * The rules are SEMANTICS of prepared statements: where PostgreSQL itself would err, the error is provoked on the
 * server, never imitated; what is asked may be relied on within its batch, a later batch waits until it is told.
 * Thread: worker.
 */
#include "parser/verb.h"
#include "proxy/client.h"

struct sending {
    struct client *c;
    struct server *s;
    const struct frame *f;
    const uint8_t *p; /* the message, header included */
    size_t have;      /* bytes of it that are there: f->total, or the head of a long one */
};

static struct span body_of(const struct sending *m)
{
    return span_of(m->p + FRAME_HEADER, m->have - FRAME_HEADER);
}

static void expect_reply(const struct sending *m, enum expect_type type, enum expect_verdict verdict,
                         enum expect_effect effect, void *arg)
{
    server_expect(m->s, type, verdict, effect, m->c->id, arg);
}

static void send_raw(const struct sending *m)
{
    conn_send_run(&m->s->conn, m->p, m->have);
}

/* A message with another name in it than the client's: type, length, then before + name + after; the rest of a long one
 * follows by itself. */
static void send_renamed(const struct sending *m, struct span before, const char *name, struct span after)
{
    struct buf *out = &m->s->conn.out;
    size_t name_len = strlen(name) + 1;
    size_t missing = m->f->total - m->have;

    buf_put_u8(out, m->f->type);
    buf_put_u32(out, (uint32_t)(4 + before.len + name_len + after.len + missing));
    buf_put(out, before.ptr, before.len);
    buf_put(out, name, name_len);
    buf_put(out, after.ptr, after.len);
    conn_touch(&m->s->conn);
}

/* --- what goes ahead of a batch --- */

/* The difference, as one Query that fails closed: refused, it leaves a failed block, and what follows it did not run.
 * In a transaction (after a RESET inside it) there is no block of our own to open, and in a failed one nothing can be
 * set. */
static void send_settings(struct client *c, struct server *s, bool reset)
{
    struct buf sql = {0};
    bool own_block = s->tx == 'I';

    if (s->tx == 'E')
        return;
    if (own_block)
        buf_put(&sql, "BEGIN;", 6);
    if (reset) {
        static const char all[] = "RESET SESSION AUTHORIZATION;RESET ROLE;RESET ALL;";
        buf_put(&sql, all, sizeof all - 1);
    }
    unsigned count = vars_difference(reset ? s->login_vars : s->vars, c->vars, &sql);
    if (own_block)
        buf_put(&sql, "COMMIT", 6);
    buf_put_u8(&sql, 0);
    if (count > 0 || reset) {
        msg_query(&s->conn.out, (const char *)sql.data);
        conn_touch(&s->conn);
        server_expect(s, EXPECT_QUERY, EXPECT_SKIP, EFFECT_SETTINGS, c->id, NULL);
    }
    buf_free(&sql);

    struct vars *after = vars_after_difference(s->vars, c->vars);
    vars_unref(s->vars);
    s->vars = after;
}

/* Settings that cannot be set, only told: the client hears what its present server has. */
static void tell_fixed(struct client *c, const struct server *s)
{
    for (size_t i = 0; i < s->vars->count; i++) {
        const struct var *v = &s->vars->v[i];
        const char *told;
        if (!v->reported || var_settable(v->name))
            continue;
        told = vars_get(c->vars, v->name);
        if (told != NULL && strcmp(told, v->value) == 0)
            continue;
        msg_param_status(&c->conn.out, v->name, v->value);
        conn_touch(&c->conn);
        c->vars = vars_with(c->vars, v->name, v->value, true);
    }
}

static void close_leftover_names(struct server *s)
{
    while (buf_used(&s->close_names) > 0) {
        const char *name = (const char *)buf_head(&s->close_names);
        msg_named(&s->conn.out, 'C', 'S', name);
        server_expect(s, EXPECT_CLOSE, EXPECT_SKIP, EFFECT_NONE, 0, NULL);
        buf_consume(&s->close_names, strlen(name) + 1);
    }
    buf_free(&s->close_names);
}

static bool settings_left_by_another(const struct client *c, const struct server *s)
{
    return s->settings_owner != 0 && s->settings_owner != c->id;
}

static bool preamble_needed(const struct client *c, const struct server *s)
{
    return s->vars != c->vars || buf_used(&s->close_names) > 0 || settings_left_by_another(c, s);
}

void send_preamble(struct client *c, struct server *s)
{
    bool reset = settings_left_by_another(c, s) && s->tx == 'I';

    close_leftover_names(s);
    tell_fixed(c, s);
    if (reset || !vars_equal(s->vars, c->vars))
        send_settings(c, s, reset);
    if (reset)
        s->settings_owner = 0;
    if (s->vars != c->vars && vars_equal(s->vars, c->vars)) {
        vars_unref(s->vars);
        s->vars = vars_ref(c->vars);
    }
}

/* Batches that were sent and whose end has not come. */
static bool earlier_batches(const struct server *s)
{
    for (uint32_t i = 0; i < s->expects.count; i++) {
        const struct expect *e = expect_at(&s->expects, i);
        bool ends = e->type == EXPECT_SYNC || e->type == EXPECT_QUERY || e->type == EXPECT_FUNCTION;
        if (ends && e->effect != EFFECT_SETTINGS)
            return true;
    }
    return false;
}

/* The first message of a batch. False: not yet. */
static bool begin_batch(struct client *c, struct server *s)
{
    bool idle = expect_empty(&s->expects);

    if (s->expects.skipping)
        return true; /* the server ignores all but Sync */
    if (!idle && (c->quiet || preamble_needed(c, s)))
        return false;
    /* A client that always has a batch in flight must not own a server: others come first. */
    if (!idle && c->mode != POOL_SESSION &&
        (c->pool->waiting_count > 0 || limits_oldest_foreign(c->target, c->worker->index, &(int){0}) != 0))
        return false;
    c->quiet = false;
    if (idle) {
        s->replied = false;
        c->query_at = c->worker->loop.now;
        if (c->xact_at == 0)
            c->xact_at = c->query_at;
        if (UNLIKELY(preamble_needed(c, s)))
            send_preamble(c, s);
    }
    s->batch = ++c->worker->last_batch;
    return true;
}

/* --- prepared statements --- */

static uint64_t parse_environment(const struct client *c)
{
    uint64_t h = vars_parse_hash(c->vars);
    uint64_t catalog = __atomic_load_n(&c->db->catalog, __ATOMIC_RELAXED);

    h = hash_bytes(h, &c->target, sizeof c->target);
    return hash_bytes(h, &catalog, sizeof catalog);
}

static void inject_close(const struct sending *m, struct server_stmt *st)
{
    msg_named(&m->s->conn.out, 'C', 'S', st->text->name);
    conn_touch(&m->s->conn);
    st->asked = false;
    st->pending++;
    expect_reply(m, EXPECT_CLOSE, EXPECT_SKIP, EFFECT_STMT_CLOSED, st);
}

static void evict_one(const struct sending *m)
{
    size_t max = (size_t)m->c->worker->config->opt.max_prepared_statements;
    struct server_stmt *victim = server_stmts_victim(&m->s->stmts, MAX(max, (size_t)1), m->s->batch);

    if (victim != NULL)
        inject_close(m, victim);
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
        if (st->present)
            inject_close(m, st);
    }
    return st;
}

static bool is_on_server(const struct server_stmt *st)
{
    return st->pending == 0 ? st->present : st->asked;
}

/* Makes sure that the text is prepared when the next message is read. False: wait. */
static bool ensure_prepared(const struct sending *m, struct stmt_text *text)
{
    struct server_stmt *st = use_on_server(m, text);

    if (st == NULL)
        return false;
    if (is_on_server(st))
        return true;
    msg_parse(&m->s->conn.out, text->name, stmt_text_sql(text), stmt_text_types(text));
    conn_touch(&m->s->conn);
    st->asked = true;
    st->pending++;
    expect_reply(m, EXPECT_PARSE, EXPECT_SKIP, EFFECT_STMT_PREPARED, st);
    stat_add(&worker_stats(m->c->worker, m->c->db)->server_parse_count, 1);
    evict_one(m);
    return true;
}

/* The client's own name for a statement; NULL if it means nothing now (*wait: if that is not yet certain). */
static struct client_stmt *known_name(const struct sending *m, const char *name, bool *wait)
{
    struct client_stmt *st = client_stmts_find(&m->c->stmts, name);

    *wait = st != NULL && !client_stmt_certain(st, m->s->batch);
    return st == NULL || st->asked == NULL ? NULL : st;
}

static struct stmt_op *client_op(struct client_stmt *st, struct stmt_text *text, uint64_t batch)
{
    struct stmt_op *op = mem_zalloc(sizeof *op);

    client_stmt_ask(st, text, batch);
    op->client = st;
    op->text = text == NULL ? NULL : stmt_text_ref(text);
    return op;
}

/* A name that the client has already: PostgreSQL's own 42P05, provoked with that very name, which is closed afterwards.
 */
static enum send_result parse_duplicate(const struct sending *m, const char *name)
{
    msg_named(&m->s->conn.out, 'C', 'S', name);
    expect_reply(m, EXPECT_CLOSE, EXPECT_SKIP, EFFECT_NONE, NULL);
    msg_parse(&m->s->conn.out, name, "", span_of(NULL, 0));
    expect_reply(m, EXPECT_PARSE, EXPECT_SKIP, EFFECT_NONE, NULL);
    send_raw(m);
    expect_reply(m, EXPECT_PARSE, EXPECT_FORWARD, EFFECT_NONE, NULL);
    buf_put_cstr(&m->s->close_names, name);
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
    struct stmt_text *text = stmt_text_intern(parse->text, parse->types, parse_environment(c));
    struct server_stmt *on_server = use_on_server(m, text);
    bool fake = on_server != NULL && is_on_server(on_server) && m->s->tx != 'E';
    /* Pretending is right only where nothing that is still under way could make PostgreSQL refuse. */
    if (on_server == NULL || (fake && earlier_batches(m->s))) {
        stmt_text_unref(text);
        return SEND_WAIT;
    }
    struct stmt_op *op = client_op(client_stmts_add(&c->stmts, parse->name), text, m->s->batch);
    stat_add(&worker_stats(c->worker, c->db)->client_parse_count, 1);
    if (fake) {
        expect_reply(m, EXPECT_PARSE, EXPECT_FAKE, EFFECT_CLIENT_STMT, op);
        relay_fakes(m->s);
    } else {
        msg_parse(&m->s->conn.out, text->name, parse->text, parse->types);
        conn_touch(&m->s->conn);
        on_server->asked = true;
        on_server->pending++;
        op->server = on_server;
        expect_reply(m, EXPECT_PARSE, EXPECT_FORWARD, EFFECT_CLIENT_STMT, op);
        stat_add(&worker_stats(c->worker, c->db)->server_parse_count, 1);
        evict_one(m);
    }
    stmt_text_unref(text);
    return SEND_OK;
}

static void expect_unnamed(const struct sending *m, enum expect_verdict verdict)
{
    m->s->unnamed_owner = m->c->unnamed_id;
    expect_reply(m, EXPECT_PARSE, verdict, EFFECT_UNNAMED, (void *)(uintptr_t)m->c->unnamed_id);
}

static enum send_result parse_unnamed(const struct sending *m)
{
    static uint64_t last_unnamed; /* process-wide: servers move between workers */
    struct client *c = m->c;

    buf_consume(&c->unnamed, buf_used(&c->unnamed));
    buf_put(&c->unnamed, m->p + FRAME_HEADER, m->have - FRAME_HEADER);
    c->unnamed_id = __atomic_add_fetch(&last_unnamed, 1, __ATOMIC_RELAXED);
    send_raw(m);
    expect_unnamed(m, EXPECT_FORWARD);
    return SEND_OK;
}

/* Too long to be looked at: it goes on under its own name, and its server stays with the client. */
static enum send_result parse_long(const struct sending *m)
{
    struct client *c = m->c;

    c->pin = "long prepared statement";
    c->unnamed_id = 0;
    m->s->unnamed_owner = 0;
    m->s->close_needed = true; /* nobody else may meet that name */
    send_raw(m);
    expect_reply(m, EXPECT_PARSE, EXPECT_FORWARD, EFFECT_NONE, NULL);
    return SEND_OK;
}

static enum send_result send_parse(const struct sending *m)
{
    struct msg_parse parse;

    if (m->have < m->f->total)
        return parse_long(m);
    if (msgin_parse(body_of(m), &parse) != PARSE_OK ||
        (parse.name[0] != '\0' && m->c->worker->config->opt.max_prepared_statements == 0)) {
        send_raw(m); /* the server says what is wrong with it */
        expect_reply(m, EXPECT_PARSE, EXPECT_FORWARD, EFFECT_NONE, NULL);
        return SEND_OK;
    }
    return parse.name[0] == '\0' ? parse_unnamed(m) : parse_named(m, &parse);
}

/* The unnamed statement must be this client's, or none. */
static void ensure_unnamed(const struct sending *m)
{
    struct client *c = m->c;
    struct server *s = m->s;

    if (c->pin != NULL && c->unnamed_id == 0)
        return;
    if (c->unnamed_id == 0) {
        msg_named(&s->conn.out, 'C', 'S', ""); /* so that nobody else's is taken for it */
        expect_reply(m, EXPECT_CLOSE, EXPECT_SKIP, EFFECT_NONE, NULL);
        s->unnamed_owner = 0;
    } else if (s->unnamed_owner != c->unnamed_id) {
        size_t mark = msg_begin(&s->conn.out, 'P');
        buf_put(&s->conn.out, buf_head(&c->unnamed), buf_used(&c->unnamed));
        msg_end(&s->conn.out, mark);
        expect_unnamed(m, EXPECT_SKIP);
    }
    conn_touch(&s->conn);
}

/* Finds what a Bind or Describe means by a statement's name, and sees that the server has it. OK with *server_name
 * NULL: as the client wrote it. */
static enum send_result resolve_name(const struct sending *m, const char *name, const char **server_name,
                                     bool describes)
{
    struct client_stmt *st;
    bool wait;

    *server_name = NULL;
    if (name[0] == '\0') {
        ensure_unnamed(m);
        return SEND_OK;
    }
    st = known_name(m, name, &wait);
    if (wait)
        return SEND_WAIT;
    if (st == NULL)
        return SEND_OK;
    if (!ensure_prepared(m, st->asked))
        return SEND_WAIT;
    if (st->described)
        buf_consume(&m->c->replay,
                    buf_used(&m->c->replay)); /* it was told the row shape: PostgreSQL's own error is due */
    st->described = st->described || describes;
    *server_name = st->asked->name;
    return SEND_OK;
}

static enum send_result send_bind(const struct sending *m)
{
    struct msg_bind bind;
    const char *name = NULL;
    bool whole = m->have == m->f->total;

    if (msgin_bind_head(body_of(m), whole, &bind) == PARSE_OK) {
        if (resolve_name(m, bind.name, &name, false) == SEND_WAIT)
            return SEND_WAIT;
        stat_add(&worker_stats(m->c->worker, m->c->db)->bind_count, 1);
    }
    if (name != NULL)
        send_renamed(m, span_of(bind.portal, strlen(bind.portal) + 1), name, bind.rest);
    else
        send_raw(m);
    expect_reply(m, EXPECT_BIND, EXPECT_FORWARD, EFFECT_NONE, NULL);
    return SEND_OK;
}

static enum send_result send_describe(const struct sending *m)
{
    struct msg_named named;
    const char *name = NULL;

    if (msgin_named(body_of(m), &named) == PARSE_OK && named.kind == 'S' &&
        resolve_name(m, named.name, &name, true) == SEND_WAIT)
        return SEND_WAIT;
    if (name != NULL)
        send_renamed(m, span_of("S", 1), name, span_of(NULL, 0));
    else
        send_raw(m);
    expect_reply(m, EXPECT_DESCRIBE, EXPECT_FORWARD, EFFECT_NONE, NULL);
    return SEND_OK;
}

static enum send_result send_close(const struct sending *m)
{
    struct msg_named named;
    struct client_stmt *st = NULL;
    bool wait = false;

    if (msgin_named(body_of(m), &named) == PARSE_OK && named.kind == 'S') {
        if (named.name[0] == '\0') {
            m->c->unnamed_id = 0;
            m->s->unnamed_owner = 0;
        } else {
            st = known_name(m, named.name, &wait);
        }
    }
    if (wait)
        return SEND_WAIT;
    if (st == NULL) {
        send_raw(m);
        expect_reply(m, EXPECT_CLOSE, EXPECT_FORWARD, EFFECT_NONE, NULL);
        return SEND_OK;
    }
    /* The server keeps it for whoever needs it next. */
    expect_reply(m, EXPECT_CLOSE, EXPECT_FAKE, EFFECT_CLIENT_STMT, client_op(st, NULL, m->s->batch));
    relay_fakes(m->s);
    return SEND_OK;
}

/* --- simple queries --- */

/* DEALLOCATE of a protocol-level name: the statement that the server has under its own name goes away, by the same
 * command. */
static enum send_result query_deallocate(const struct sending *m, struct client_stmt *st)
{
    char sql[STMT_NAME_SIZE + 16] = "DEALLOCATE ";

    if (!ensure_prepared(m, st->asked))
        return SEND_WAIT;
    struct server_stmt *on_server = use_on_server(m, st->asked);
    strcat(sql, st->asked->name);
    struct stmt_op *op = client_op(st, NULL, m->s->batch);
    on_server->asked = false;
    on_server->pending++;
    op->server = on_server;
    msg_query(&m->s->conn.out, sql);
    conn_touch(&m->s->conn);
    expect_reply(m, EXPECT_QUERY, EXPECT_FORWARD, EFFECT_CLIENT_STMT, op);
    m->c->quiet = true;
    return SEND_OK;
}

/* True if the text was dealt with; *result says how. */
static bool query_verb(const struct sending *m, enum send_result *result)
{
    struct verb v = verb_of((const char *)m->p + FRAME_HEADER);
    bool wait;

    if (v.kind == VERB_OTHER)
        return false;
    if (v.kind == VERB_DEALLOCATE && !v.all) {
        struct client_stmt *st = known_name(m, v.name, &wait);
        if (wait) {
            *result = SEND_WAIT;
            return true;
        }
        if (st == NULL)
            return false;
        *result = query_deallocate(m, st);
        return true;
    }
    m->c->quiet = true;
    if (v.kind != VERB_RESET)
        return false;
    send_raw(m);
    expect_reply(m, EXPECT_QUERY, EXPECT_FORWARD, EFFECT_RESET, mem_strdup(v.all ? "all" : v.name));
    *result = SEND_OK;
    return true;
}

static enum send_result send_query(const struct sending *m)
{
    enum send_result result = SEND_OK;
    bool text = m->have == m->f->total && m->p[m->have - 1] == '\0';

    if (!text || !query_verb(m, &result)) {
        send_raw(m);
        expect_reply(m, EXPECT_QUERY, EXPECT_FORWARD, EFFECT_NONE, NULL);
    }
    if (result == SEND_OK) {
        m->c->unnamed_id = 0; /* PostgreSQL drops it, too */
        m->s->unnamed_owner = 0;
        m->c->in_batch = false;
    }
    return result;
}

/* --- the rest --- */

static void send_sync(const struct sending *m)
{
    struct server *s = m->s;

    send_raw(m);
    m->c->in_batch = false;
    /* In the middle of COPY FROM, PostgreSQL takes no notice of it. */
    if (s->copy == COPY_IN && !s->copy_end_sent)
        return;
    expect_reply(m, EXPECT_SYNC, EXPECT_FORWARD, EFFECT_NONE, NULL);
}

static void send_copy_end(const struct sending *m)
{
    struct server *s = m->s;

    send_raw(m);
    if (expect_empty(&s->expects) || s->copy == COPY_BOTH)
        return; /* PostgreSQL ignores it, too */
    s->copy_end_sent = s->copy == COPY_IN;
    expect_reply(m, EXPECT_COPY_END, EXPECT_FORWARD, EFFECT_NONE, NULL);
    relay_fakes(s);
}

static enum send_result translate(const struct sending *m)
{
    switch (m->f->type) {
    case 'Q':
        return send_query(m);
    case 'P':
        return send_parse(m);
    case 'B':
        return send_bind(m);
    case 'D':
        return send_describe(m);
    case 'C':
        return send_close(m);
    case 'E':
        send_raw(m);
        expect_reply(m, EXPECT_EXECUTE, EXPECT_FORWARD, EFFECT_NONE, NULL);
        return SEND_OK;
    case 'F':
        send_raw(m);
        expect_reply(m, EXPECT_FUNCTION, EXPECT_FORWARD, EFFECT_NONE, NULL);
        m->c->in_batch = false;
        return SEND_OK;
    case 'S':
        send_sync(m);
        return SEND_OK;
    case 'c':
    case 'f':
        send_copy_end(m);
        return SEND_OK;
    default: /* Flush, CopyData */
        send_raw(m);
        return SEND_OK;
    }
}

enum send_result send_message(struct client *c, const struct frame *f, const uint8_t *p, size_t have)
{
    struct sending m = {.c = c, .s = c->server, .f = f, .p = p, .have = have};
    bool is_copy = f->type == 'd' || f->type == 'c' || f->type == 'f';
    bool begins = !c->in_batch && !is_copy && !(c->server->copy == COPY_IN && f->type == 'S');

    if (begins && !begin_batch(c, c->server))
        return SEND_WAIT;
    if (begins)
        c->in_batch = true;
    enum send_result result = translate(&m);
    if (result == SEND_OK)
        c->stream_left = f->total - have;
    return result;
}
