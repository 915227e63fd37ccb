/*
 * effects.c: what changes when a reply has come. See effects.h.
 * Thread: worker.
 */
#include "proxy/effects.h"

#include "parser/msgin.h"
#include "parser/msgout.h"
#include "proxy/ask.h"
#include "proxy/carry.h"
#include "proxy/sending.h"
#include "proxy/statement_timeout.h"

#include <strings.h>

static struct worker *worker_of(const struct server *s)
{
    return CONTAINER_OF(s->pool->set, struct worker, pools);
}

/* A hash of what PostgreSQL compares when it asks whether a plan's rows have changed: names and types, not where the
 * columns come from and not the format. NoData has a shape, too. Never 0. */
static uint64_t shape_of(struct span row_description)
{
    struct reader r = reader_of(row_description.ptr, row_description.len);
    uint16_t columns = row_description.len == 0 ? 0 : reader_u16(&r);
    uint64_t h = hash_bytes(1, &columns, sizeof columns);

    for (uint16_t i = 0; i < columns && !r.bad; i++) {
        const char *name = reader_cstr(&r);
        reader_bytes(&r, 6);
        struct span type = reader_bytes(&r, 10); /* type, its length, its modifier */
        reader_u16(&r);
        h = hash_bytes(hash_bytes(h, name, strlen(name)), type.ptr, type.len);
    }
    return h | 1;
}

/* Of a statement of the protocol's. */
static void stmt_shape(struct server *s, struct client *c, const struct expect *e, uint64_t shape)
{
    struct client_stmt *st = e->arg;
    bool same = st->version == e->version && st->asked != NULL; /* else the name means another statement by now */
    struct server_stmt *on_server = same ? server_stmts_find(&s->stmts, st->asked) : NULL;

    if (on_server != NULL)
        on_server->shape = shape;
    if (same && e->effect == EFFECT_TOLD)
        st->about.shape = shape;
    else if (same && st->about.shape != shape)
        st->about.outdated = true;
    if (e->effect == EFFECT_CHECK && c != NULL)
        client_wake(c);
}

void effect_row_shape(struct server *s, const struct expect *e, struct span row_description)
{
    uint64_t shape = shape_of(row_description);
    struct client *c = worker_client(worker_of(s), e->client_id);

    if (e->effect == EFFECT_TOLD || e->effect == EFFECT_CHECK)
        stmt_shape(s, c, e, shape);
    else if (e->effect == EFFECT_CARRIED_TOLD && row_description.len > 0)
        carry_told(s, c, e->arg, shape);
    else if (e->effect == EFFECT_CARRIED_CHECK || e->effect == EFFECT_CARRIED_CHECK_IN)
        carry_checked(s, c, e->arg, shape);
}

static void settle_op(struct server *s, uint64_t client_id, struct stmt_change *op, bool done)
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
 * ahead of the next batch. A reported setting's new value on the server has come by ParameterStatus already, and where
 * the two logins agree it is right, also if the setting was changed once more behind the RESET. */
static void reset_one(struct server *s, struct client *c, const char *name)
{
    const char *told = vars_get(c->vars, name);
    const char *own = vars_get(c->login_vars, name);
    const char *its = vars_get(s->login_vars, name);
    const char *spelt = vars_name(c->login_vars, name);
    bool reported = vars_is_reported(s->vars, name);
    bool placeholder = strchr(name, '.') != NULL && (told != NULL || vars_get(s->vars, name) != NULL);

    if (reported && own != NULL && its != NULL && strcmp(own, its) == 0)
        return;
    if (!reported)
        s->vars = vars_with(s->vars, name, its, false);
    else if (own != NULL && told != NULL && strcmp(own, told) != 0)
        msg_param_status(&c->conn.out, spelt, own);
    if (own == NULL && placeholder)
        own = ""; /* RESET does not make it unknown again */
    if (strcasecmp(name, "statement_timeout") == 0)
        statement_timeout_reset(c);
    if (!reported || own != NULL)
        c->vars = vars_with(c->vars, spelt == NULL ? name : spelt, own, reported);
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

/* Names behind each other, to their empty end. */
void effect_note_resets(struct server *s, const char *names)
{
    for (; *names != '\0'; names += strlen(names) + 1)
        buf_put_cstr(&s->resets, names);
}

void effect_settle_resets(struct server *s, struct client *c)
{
    if (s->query_failed)
        buf_consume(&s->resets, buf_used(&s->resets));
    else if (c == NULL)
        s->settings_owner = UINT64_MAX;
    while (c != NULL && buf_used(&s->resets) > 0) {
        const char *name = (const char *)buf_head(&s->resets);
        settle_reset(s, c, name);
        buf_consume(&s->resets, strlen(name) + 1);
    }
    buf_free(&s->resets);
}

/* c: who is told; NULL: nobody. */
static void settle_unnamed(struct server *s, const struct expect *e, struct client *c, bool done)
{
    struct unnamed_stmt *u = e->arg;

    if (done)
        s->unnamed_told = u == NULL ? 0 : u->id;
    if (c != NULL && e->verdict == EXPECT_FORWARD)
        unnamed_stmt_set(&c->unnamed_told, u);
    unnamed_stmt_set(&u, NULL);
}

/* Something that was put ahead, for a statement of SQL's PREPARE. */
static void settle_carried(struct server *s, struct client *c, const struct expect *e, bool done)
{
    if (!done && (e->effect == EFFECT_CARRIED || e->effect == EFFECT_CARRIED_IN))
        carry_failed(s, e->arg);
    else if (!done && e->effect != EFFECT_CARRIED_TOLD)
        carry_checked(s, c, e->arg, 0);
    prepare_free(e->arg);
}

void effect_apply(struct server *s, const struct expect *e, bool done)
{
    statement_release(worker_of(s), e);
    if (e->effect == EFFECT_NONE)
        return;
    struct client *c = worker_client(worker_of(s), e->client_id);
    switch ((enum expect_effect)e->effect) {
    case EFFECT_NONE:
    case EFFECT_SETTINGS:
    case EFFECT_FAILED_BLOCK:
    case EFFECT_CLEANUP:
    case EFFECT_LENT:
        break;
    case EFFECT_LIMIT:
        if (!done)
            s->vars = vars_with(s->vars, "statement_timeout", "", false); /* nobody knows: it is set again */
        break;
    case EFFECT_CARRIED:
    case EFFECT_CARRIED_IN:
    case EFFECT_CARRIED_TOLD:
    case EFFECT_CARRIED_CHECK:
    case EFFECT_CARRIED_CHECK_IN:
        settle_carried(s, c, e, done);
        break;
    case EFFECT_CLOSED:
        carry_closed(s, c, e->arg, done);
        break;
    case EFFECT_BEGIN:
        if (done)
            defer_sent(s, e);
        break;
    case EFFECT_FORGETS:
        if (c != NULL)
            client_wake(c);
        break;
    case EFFECT_BOUND:
    case EFFECT_TOLD:
    case EFFECT_CHECK:
        client_stmt_unuse(e->arg);
        break;
    case EFFECT_REFUSAL:
        free(e->arg);
        break;
    case EFFECT_STMT_PREPARED:
    case EFFECT_STMT_CLOSED:
        server_stmt_settle(&s->stmts, e->arg, done, e->effect == EFFECT_STMT_PREPARED);
        break;
    case EFFECT_CLIENT_STMT:
        settle_op(s, e->client_id, e->arg, done);
        break;
    case EFFECT_UNNAMED:
        settle_unnamed(s, e, done ? c : NULL, done);
        break;
    case EFFECT_ASK:
        ask_answered(s, c, e->arg, done);
        break;
    case EFFECT_RESET:
        if (done)
            effect_note_resets(s, e->arg);
        free(e->arg);
        break;
    }
}

void effect_dropped(void *arg, const struct expect *e)
{
    effect_apply(arg, e, false);
}
