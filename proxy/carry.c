/*
 * carry.c: see carry.h. What is put ahead is answered to nobody. Where the server refuses a PREPARE now, the client's
 * own statement finds none of that name, and is told what that PREPARE was told: PostgreSQL, which would have prepared
 * it anew in EXECUTE, says the same.
 * Thread: worker.
 */
#include "proxy/carry.h"

#include "proxy/ask.h"

#define CARRIED "sluice_carried"
#define SAVEPOINT "SAVEPOINT \"sluice: carried\""

/* How something is put ahead of the client's message. */
enum how {
    AHEAD,       /* by Queries */
    AHEAD_APART, /* ... and the transaction goes on as it was, whatever comes of them */
    WITHIN       /* by the extended protocol: a Query of our own would end a batch that the client has begun */
};

static enum how how_of(const struct sending *m, bool extended)
{
    return extended || !m->begins ? WITHIN : AHEAD;
}

/* A command of our own by the extended protocol: a batch of it may be under way. */
static void put_extended(const struct sending *m, const char *sql)
{
    struct buf *out = &m->s->conn.out;

    msg_parse(out, CARRIED, sql, span_of(NULL, 0));
    msg_bind(out, CARRIED, CARRIED);
    msg_execute(out, CARRIED);
    msg_named(out, 'C', 'P', CARRIED);
    msg_named(out, 'C', 'S', CARRIED);
}

/* The same where it may be refused. */
static enum how how_apart(const struct sending *m, bool extended)
{
    enum how how = how_of(m, extended);

    return how == AHEAD && m->s->tx == 'T' ? AHEAD_APART : how;
}

static void put_query(const struct sending *m, const char *sql, enum expect_effect effect, struct prepare *arg)
{
    msg_query(&m->s->conn.out, sql);
    m->s->unnamed_asked = 0; /* every Query takes it away */
    sending_expect(m, EXPECT_QUERY, EXPECT_SKIP, effect, arg);
}

static void begin_apart(const struct sending *m, enum how how)
{
    if (how == AHEAD_APART)
        put_query(m, SAVEPOINT, EFFECT_LENT, NULL);
}

static void end_apart(const struct sending *m, enum how how)
{
    if (how == AHEAD_APART)
        put_query(m, "ROLLBACK TO " SAVEPOINT ";RELEASE " SAVEPOINT, EFFECT_LENT, NULL);
}

/* carried: what the server does not have if it does not run; taken over. */
static void put_command(const struct sending *m, const char *sql, struct prepare *carried, enum how how)
{
    if (how == WITHIN) {
        put_extended(m, sql);
        sending_expect(m, EXPECT_PARSE, EXPECT_SKIP, EFFECT_NONE, NULL);
        sending_expect(m, EXPECT_BIND, EXPECT_SKIP, EFFECT_NONE, NULL);
        sending_expect(m, EXPECT_EXECUTE, EXPECT_SKIP, EFFECT_CARRIED_IN, carried);
        sending_expect(m, EXPECT_CLOSE, EXPECT_SKIP, EFFECT_NONE, NULL);
        sending_expect(m, EXPECT_CLOSE, EXPECT_SKIP, EFFECT_NONE, NULL);
    } else {
        begin_apart(m, how);
        put_query(m, sql, EFFECT_CARRIED, carried);
        end_apart(m, how);
    }
    conn_touch(&m->s->conn);
}

/* It is not there, unless that is what was to be taken away for it. */
void carry_failed(struct server *s, const struct prepare *carried)
{
    const struct prepare *there = prepares_find(&s->prepares, carried->name);

    if (there != NULL && there->owner == carried->owner && strcmp(there->text, carried->text) == 0)
        prepares_drop(&s->prepares, carried->name);
}

/* By the protocol. */
static bool is_known(const struct client *c, const char *name)
{
    const struct client_stmt *st = client_stmts_find(&c->stmts, name);

    return st != NULL && st->asked != NULL;
}

/* At once, not when the transaction is over and the server is asked: until then the name would be taken for one that
 * stands there. Of several in one text it is the first that is left; what comes of a text that fails is asked for. */
void carry_deallocated(struct server *s, struct client *c, const struct shape *shape)
{
    const struct stmt_list *list = shape == NULL ? NULL : reading_of(shape)->list;

    for (size_t i = 0; list != NULL && i < list->count; i++) {
        const struct stmt *stmt = list->stmts[i];
        if (stmt->kind != STMT_DEALLOCATE || stmt->name == NULL)
            continue;
        if (list->count > 1 && c != NULL && is_known(c, stmt->name)) {
            prepare_untake(c, stmt->name);
            return;
        }
        if (prepares_find(&s->prepares, stmt->name) == NULL)
            continue;
        prepares_drop(&s->prepares, stmt->name);
        if (c != NULL)
            prepares_drop(&c->prepares, stmt->name);
        return;
    }
}

/* What a name meant before it was closed. */
struct carry_closed {
    struct prepare *mine;  /* owned: to the session; or NULL */
    struct prepare *there; /* owned: on the server; or NULL */
    bool ours;             /* to make room for what was carried behind it */
};

static struct prepare *taken_out(struct prepares *from, const char *name)
{
    const struct prepare *found = prepares_find(from, name);
    struct prepare *out = found == NULL ? NULL : prepare_new(name, found->text, found->owner);

    if (out != NULL)
        out->shape = found->shape;
    prepares_drop(from, name);
    return out;
}

static void put_back(struct prepares *to, struct prepare *p, bool replaces)
{
    if (p == NULL)
        return;
    if (to != NULL && (replaces || prepares_find(to, p->name) == NULL)) {
        prepares_put(to, p->name, p->text, p->owner);
        prepares_describe(to, p->name, p->shape, false);
    }
    prepare_free(p);
}

/* By the protocol, which does so in a failed transaction, too. */
static void close_name(const struct sending *m, const char *name, struct prepares *mine, enum expect_verdict verdict)
{
    struct carry_closed *op = mem_zalloc(sizeof *op);
    char *copy = mem_strdup(name); /* it may be that very one's */

    op->mine = mine == NULL ? NULL : taken_out(mine, copy);
    op->there = taken_out(&m->s->prepares, copy);
    op->ours = verdict == EXPECT_SKIP;
    msg_named(&m->s->conn.out, 'C', 'S', copy);
    sending_expect(m, EXPECT_CLOSE, verdict, EFFECT_CLOSED, op);
    conn_touch(&m->s->conn);
    free(copy);
}

void carry_close(const struct sending *m, const char *name)
{
    close_name(m, name, &m->c->prepares, EXPECT_FORWARD);
}

void carry_closed(struct server *s, struct client *c, struct carry_closed *op, bool done)
{
    put_back(done || c == NULL ? NULL : &c->prepares, op->mine, false);
    put_back(done ? NULL : &s->prepares, op->there, op->ours);
    free(op);
}

static void take_away(const struct sending *m, const char *name)
{
    close_name(m, name, NULL, EXPECT_SKIP);
}

/* The protocol's statement, for SQL to find. Ahead of a Query in a batch of its own: an error must not make the server
 * pass over that. */
static void lend(const struct sending *m, const char *name, bool extended)
{
    bool alone = how_of(m, extended) == AHEAD;
    enum expect_effect effect = alone ? EFFECT_LENT : EFFECT_NONE;
    const struct client_stmt *st = client_stmts_find(&m->c->stmts, name);

    if (st == NULL || st->asked == NULL || m->s->tx == 'E')
        return;
    msg_named(&m->s->conn.out, 'C', 'S', name); /* it may be lent already */
    sending_expect(m, EXPECT_CLOSE, EXPECT_SKIP, effect, NULL);
    msg_parse(&m->s->conn.out, name, stmt_text_sql(st->asked), stmt_text_types(st->asked));
    sending_expect(m, EXPECT_PARSE, EXPECT_SKIP, effect, NULL);
    if (alone) {
        msg_empty(&m->s->conn.out, 'S');
        sending_expect(m, EXPECT_SYNC, EXPECT_SKIP, effect, NULL);
    }
    conn_touch(&m->s->conn);
    buf_put_cstr(&m->s->close_names, name);
    ask_note_lent(m->c, statement_of_text(m->c, st->asked));
}

/* What stands on the server is what the session has. Where it was prepared before a change of its rows it may be so
 * again once it is prepared anew; but not if that was just tried. */
static bool is_same(const struct prepare *there, const struct prepare *mine, uint64_t id)
{
    if (mine == NULL || there->owner != id || strcmp(there->text, mine->text) != 0)
        return false;
    return mine->shape == there->shape || mine->shape == 0 || there->shape == 0 || there->differs;
}

static const struct carry_error *error_of(const struct client *c, const char *name)
{
    const struct carry_error *e = c->carry_errors;

    while (e != NULL && strcmp(e->name, name) != 0)
        e = e->next;
    return e;
}

/* The session has such a statement, and the server none or another. */
static bool is_missing(const struct sending *m, const char *name)
{
    const struct prepare *mine = prepares_find(&m->c->prepares, name);
    const struct prepare *there = prepares_find(&m->s->prepares, name);

    return mine != NULL && (there == NULL || !is_same(there, mine, m->c->id));
}

bool carry_is_early(const struct sending *m, const char *name)
{
    return (m->s->tx == 'E' || (name != NULL && is_missing(m, name))) && sending_after_others(m->s);
}

static bool carry_one(const struct sending *m, const char *name, enum how how)
{
    const struct prepare *mine = prepares_find(&m->c->prepares, name);
    const struct prepare *there = prepares_find(&m->s->prepares, name);
    bool strange = there != NULL && !is_same(there, mine, m->c->id);

    if (error_of(m->c, name) != NULL)
        return mine != NULL;
    if (strange)
        take_away(m, name);
    if (mine != NULL && (there == NULL || strange) && m->s->tx != 'E') {
        prepares_put(&m->s->prepares, name, mine->text, m->c->id);
        put_command(m, mine->text, prepare_new(name, mine->text, m->c->id), how);
        m->c->traces |= TRACE_STATEMENT; /* to hear whether it went well */
    }
    return mine != NULL;
}

bool carry_name(const struct sending *m, const char *name, bool extended)
{
    return carry_one(m, name, how_of(m, extended));
}

bool carry_is_out_of_reach(const struct sending *m, const char *name)
{
    return m->s->tx == 'E' && prepares_find(&m->c->prepares, name) != NULL &&
           prepares_find(&m->s->prepares, name) == NULL;
}

enum send_result carry_fail_for(const struct sending *m)
{
    msg_parse(&m->s->conn.out, CARRIED, "SELECT", span_of(NULL, 0));
    sending_expect(m, EXPECT_PARSE, EXPECT_FORWARD, EFFECT_NONE, NULL);
    conn_touch(&m->s->conn);
    return SEND_OK;
}

/* All that the session has, and nothing else: the statement can see them. */
static void carry_all(const struct sending *m, bool extended)
{
    struct prepares *there = &m->s->prepares;
    enum how how = how_apart(m, extended);

    if (m->s->tx == 'E')
        return;
    for (size_t i = there->count; i-- > 0;)
        if (!is_same(&there->v[i], prepares_find(&m->c->prepares, there->v[i].name), m->c->id))
            take_away(m, there->v[i].name);
    for (size_t i = 0; i < m->c->prepares.count; i++)
        carry_one(m, m->c->prepares.v[i].name, how);
}

/* --- how their rows look --- */

static const char *name_executed(const struct stmt *s)
{
    if (s->kind == STMT_EXECUTE)
        return s->name;
    return s->body == NULL ? NULL : name_executed(s->body);
}

static void ask_shape(const struct sending *m, const char *name, bool extended)
{
    enum how how = how_apart(m, extended); /* it may have been deallocated in this transaction */
    bool alone = how != WITHIN;

    begin_apart(m, how);
    msg_named(&m->s->conn.out, 'D', 'S', name);
    sending_expect(m, EXPECT_DESCRIBE, EXPECT_SKIP, alone ? EFFECT_CARRIED_CHECK : EFFECT_CARRIED_CHECK_IN,
                   prepare_new(name, NULL, m->c->id));
    msg_empty(&m->s->conn.out, alone ? 'S' : 'H');
    if (alone)
        sending_expect(m, EXPECT_SYNC, EXPECT_SKIP, EFFECT_LENT, NULL);
    end_apart(m, how);
    m->c->readying = m->c->readying || alone;
    conn_touch(&m->s->conn);
}

/* The rows of what the session has prepared must be what they were: where this server has not told it yet, it is asked,
 * and the client's message waits. */
static bool shape_is_open(const struct sending *m, const struct stmt *s, bool extended)
{
    const char *name = name_executed(s);
    const struct prepare *mine = name == NULL ? NULL : prepares_find(&m->c->prepares, name);
    const struct prepare *there = mine == NULL ? NULL : prepares_find(&m->s->prepares, name);

    if (m->s->tx == 'E' || there == NULL || mine->shape == 0 || there->shape != 0)
        return false;
    if (!expect_waits_for(&m->s->expects, EFFECT_CARRIED_CHECK) &&
        !expect_waits_for(&m->s->expects, EFFECT_CARRIED_CHECK_IN))
        ask_shape(m, name, extended);
    return true;
}

bool carry_is_outdated(const struct client *c, struct server *s, const struct stmt *stmt)
{
    const char *name = name_executed(stmt);
    const struct prepare *mine = name == NULL ? NULL : prepares_find(&c->prepares, name);
    const struct prepare *there = mine == NULL ? NULL : prepares_find(&s->prepares, name);

    if (there == NULL || there->owner != c->id || !there->differs || mine->shape == there->shape || mine->shape == 0)
        return false;
    prepares_put(&s->prepares, name, there->text, 0); /* the next time it is prepared anew */
    return true;
}

void carry_checked(struct server *s, struct client *c, const struct prepare *p, uint64_t shape)
{
    const struct prepare *mine = c == NULL ? NULL : prepares_find(&c->prepares, p->name);

    if (shape == 0 && mine != NULL)
        shape = mine->shape;
    prepares_describe(&s->prepares, p->name, shape, mine != NULL && mine->shape != shape);
    if (c != NULL)
        client_wake(c);
}

void carry_told(struct server *s, struct client *c, const struct prepare *p, uint64_t shape)
{
    const struct prepare *there = prepares_find(&s->prepares, p->name);

    if (c == NULL || there == NULL || there->owner != c->id)
        return;
    prepares_describe(&s->prepares, p->name, shape, false);
    prepares_describe(&c->prepares, p->name, shape, false);
}

void carry_note_prepared(struct client *c, const struct shape *shape)
{
    const struct stmt_list *list = shape == NULL ? NULL : reading_of(shape)->list;

    for (size_t i = 0; list != NULL && i < list->count; i++)
        if (list->stmts[i]->kind == STMT_PREPARE)
            buf_put_cstr(&c->prepared, list->stmts[i]->name);
}

/* Each in a batch of its own: one may not be there. */
void carry_describe_prepared(struct client *c, struct server *s)
{
    for (; buf_used(&c->prepared) > 0;) {
        const char *name = (const char *)buf_head(&c->prepared);
        msg_named(&s->conn.out, 'D', 'S', name);
        server_expect(s, EXPECT_DESCRIBE, EXPECT_SKIP, EFFECT_CARRIED_TOLD, c->id, prepare_new(name, NULL, c->id));
        msg_empty(&s->conn.out, 'S');
        server_expect(s, EXPECT_SYNC, EXPECT_SKIP, EFFECT_LENT, c->id, NULL);
        buf_consume(&c->prepared, strlen(name) + 1);
    }
    buf_free(&c->prepared);
    conn_touch(&s->conn);
}

/* --- what was refused --- */

void carry_note_error(struct client *c, const struct prepare *carried, struct span body)
{
    struct carry_error **last = &c->carry_errors;

    while (*last != NULL)
        last = &(*last)->next;
    *last = mem_zalloc(sizeof **last);
    (*last)->name = mem_strdup(carried->name);
    buf_put(&(*last)->body, body.ptr, body.len);
}

void carry_forget_errors(struct client *c)
{
    while (c->carry_errors != NULL) {
        struct carry_error *e = c->carry_errors;
        c->carry_errors = e->next;
        buf_free(&e->body);
        free(e->name);
        free(e);
    }
}

/* Unknown by its name, or nothing runs since PREPARE has failed. */
static bool is_consequence(const struct msg_error *error, const struct carry_error *of)
{
    return strcmp(error->sqlstate, "25P02") == 0 ||
           (strcmp(error->sqlstate, "26000") == 0 && strstr(error->message, of->name) != NULL);
}

bool carry_reword(struct client *c, struct server *s, const struct msg_error *error)
{
    const struct carry_error *e = c->carry_errors;

    while (e != NULL && !is_consequence(error, e))
        e = e->next;
    if (e == NULL)
        return false;
    size_t mark = msg_begin(&c->conn.out, 'E');
    buf_put(&c->conn.out, buf_head(&e->body), buf_used(&e->body));
    msg_end(&c->conn.out, mark);
    conn_touch(&c->conn);
    s->replied = true;
    return true;
}

/* --- */

/* Code may see them, too; but what is put ahead by the extended protocol would make a pipeline of the client's batch,
 * in which code may not end transactions. */
static bool sees_all(const struct stmt *s, bool extended)
{
    if ((s->effects & EFFECT_CODE) && !extended)
        return true;
    for (size_t i = 0; i < s->table_count; i++)
        if (strcmp(s->tables[i].name, "pg_prepared_statements") == 0)
            return true;
    for (size_t i = 0; i < s->function_count; i++)
        if (strcmp(s->functions[i].name, "pg_prepared_statement") == 0)
            return true;
    return false;
}

/* DEALLOCATE of the protocol's is prepare.c's, if it is not among others in a text. */
static bool borrows(const struct stmt *s, bool among)
{
    return s->kind == STMT_EXECUTE || s->kind == STMT_PREPARE || (among && s->kind == STMT_DEALLOCATE) ||
           (s->body != NULL && borrows(s->body, among));
}

static const char *name_used(const struct stmt *s)
{
    if (s->kind == STMT_EXECUTE || s->kind == STMT_PREPARE || s->kind == STMT_DEALLOCATE)
        return s->name;
    return s->body == NULL ? NULL : name_used(s->body);
}

/* Nothing is under way that would change what the protocol has under these names, or what SQL's can be brought here. */
static bool are_certain(const struct sending *m, const struct stmt_list *list)
{
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        const char *name = name_used(list->stmts[i]);
        const struct client_stmt *st = name == NULL ? NULL : client_stmts_find(&m->c->stmts, name);
        if ((st != NULL && !client_stmt_certain(st, m->s->batch)) || carry_is_early(m, name))
            return false;
    }
    return !carry_is_early(m, NULL);
}

enum send_result carry_for(const struct sending *m, const struct shape *shape, bool extended)
{
    const struct stmt_list *list = shape == NULL ? NULL : reading_of(shape)->list;
    bool unknown = !extended && list != NULL && ask_runs_unknown(m->c, shape);
    bool open = false;

    if (!are_certain(m, list) || (how_of(m, extended) == AHEAD && expect_may_skip(&m->s->expects)))
        return SEND_WAIT; /* what is put ahead ends by Sync, and would end the skipping */
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        const char *name = name_used(list->stmts[i]);
        if (list->stmts[i]->effects & EFFECT_DISCARD)
            continue;
        if (unknown || sees_all(list->stmts[i], extended))
            carry_all(m, extended);
        else if (name != NULL && !carry_name(m, name, extended) && borrows(list->stmts[i], list->count > 1))
            lend(m, name, extended);
    }
    for (size_t i = 0; list != NULL && i < list->count; i++)
        open = shape_is_open(m, list->stmts[i], extended) || open;
    return open ? SEND_WAIT : SEND_OK;
}
