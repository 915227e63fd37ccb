/*
 * carry.c: see carry.h. What is put ahead is answered to nobody: where the server refuses a PREPARE now, the client's
 * own statement finds none of that name.
 * Thread: worker.
 */
#include "proxy/carry.h"

#include "proxy/ask.h"

#define CARRIED "sluice_carried"

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

/* had: what the server still has of that name if it does not run; taken over. A Query of our own would end a batch that
 * the client has begun. */
static void put_command(const struct sending *m, const char *sql, struct prepare *had, bool extended)
{
    if (extended || !m->begins) {
        put_extended(m, sql);
        sending_expect(m, EXPECT_PARSE, EXPECT_SKIP, EFFECT_NONE, NULL);
        sending_expect(m, EXPECT_BIND, EXPECT_SKIP, EFFECT_NONE, NULL);
        sending_expect(m, EXPECT_EXECUTE, EXPECT_SKIP, EFFECT_CARRIED_IN, had);
        sending_expect(m, EXPECT_CLOSE, EXPECT_SKIP, EFFECT_NONE, NULL);
        sending_expect(m, EXPECT_CLOSE, EXPECT_SKIP, EFFECT_NONE, NULL);
    } else {
        msg_query(&m->s->conn.out, sql);
        m->s->unnamed_asked = 0; /* every Query takes it away */
        sending_expect(m, EXPECT_QUERY, EXPECT_SKIP, EFFECT_CARRIED, had);
    }
    conn_touch(&m->s->conn);
}

/* One that was taken away is there, with its owner; one that was carried is not, unless it is that other one. */
void carry_failed(struct server *s, const struct prepare *had)
{
    const struct prepare *there = prepares_find(&s->prepares, had->name);

    if (had->text != NULL)
        prepares_put(&s->prepares, had->name, had->text, had->owner);
    else if (there != NULL && there->owner == had->owner)
        prepares_drop(&s->prepares, had->name);
}

static void take_away(const struct sending *m, const char *name, bool extended)
{
    const struct prepare *there = prepares_find(&m->s->prepares, name);
    struct prepare *had = prepare_new(name, there->text, there->owner);
    struct buf sql = {0};

    buf_put(&sql, "DEALLOCATE ", strlen("DEALLOCATE "));
    vars_put_name(&sql, name, '\0');
    buf_put_u8(&sql, 0);
    prepares_drop(&m->s->prepares, had->name);
    put_command(m, (const char *)buf_head(&sql), had, extended);
    buf_free(&sql);
}

/* The protocol's statement, for SQL to find. Ahead of a Query in a batch of its own: an error must not make the server
 * pass over that. */
static void lend(const struct sending *m, const char *name, bool extended)
{
    bool alone = m->begins && !extended;
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

/* What stands on the server is what the session has. */
static bool is_same(const struct prepare *there, const struct prepare *mine, uint64_t id)
{
    return mine != NULL && there->owner == id && strcmp(there->text, mine->text) == 0;
}

bool carry_name(const struct sending *m, const char *name, bool extended)
{
    const struct prepare *mine = prepares_find(&m->c->prepares, name);
    const struct prepare *there = prepares_find(&m->s->prepares, name);
    bool strange = there != NULL && !is_same(there, mine, m->c->id);

    if (m->s->tx == 'E')
        return mine != NULL;
    if (strange)
        take_away(m, name, extended);
    if (mine != NULL && (there == NULL || strange)) {
        prepares_put(&m->s->prepares, name, mine->text, m->c->id);
        put_command(m, mine->text, prepare_new(name, NULL, m->c->id), extended);
        m->c->traces |= TRACE_STATEMENT; /* to hear whether it went well */
    }
    return mine != NULL;
}

/* All that the session has, and nothing else: the statement can see them. */
static void carry_all(const struct sending *m, bool extended)
{
    struct prepares *there = &m->s->prepares;

    if (m->s->tx == 'E')
        return;
    for (size_t i = there->count; i-- > 0;)
        if (!is_same(&there->v[i], prepares_find(&m->c->prepares, there->v[i].name), m->c->id))
            take_away(m, there->v[i].name, extended);
    for (size_t i = 0; i < m->c->prepares.count; i++)
        carry_name(m, m->c->prepares.v[i].name, extended);
}

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

/* DEALLOCATE of the protocol's is prepare.c's. */
static bool borrows(const struct stmt *s)
{
    return s->kind == STMT_EXECUTE || s->kind == STMT_PREPARE || (s->body != NULL && borrows(s->body));
}

static const char *name_used(const struct stmt *s)
{
    if (s->kind == STMT_EXECUTE || s->kind == STMT_PREPARE || s->kind == STMT_DEALLOCATE)
        return s->name;
    return s->body == NULL ? NULL : name_used(s->body);
}

/* Nothing is under way that would change what the protocol has under these names. */
static bool are_certain(const struct sending *m, const struct stmt_list *list)
{
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        const char *name = name_used(list->stmts[i]);
        const struct client_stmt *st = name == NULL ? NULL : client_stmts_find(&m->c->stmts, name);
        if (st != NULL && !client_stmt_certain(st, m->s->batch))
            return false;
    }
    return true;
}

enum send_result carry_for(const struct sending *m, const struct shape *shape, bool extended)
{
    const struct stmt_list *list = shape == NULL ? NULL : reading_of(shape)->list;
    bool unknown = !extended && list != NULL && ask_runs_unknown(m->c, shape);

    if (!are_certain(m, list))
        return SEND_WAIT;
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        const char *name = name_used(list->stmts[i]);
        if (unknown || sees_all(list->stmts[i], extended))
            carry_all(m, extended);
        else if (name != NULL && !carry_name(m, name, extended) && borrows(list->stmts[i]))
            lend(m, name, extended);
    }
    return SEND_OK;
}
