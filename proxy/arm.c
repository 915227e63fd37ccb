/*
 * arm.c: see arm.h.
 * Thread: worker.
 */
#include "proxy/arm.h"

#include "proxy/cancel.h"
#include "proxy/coordinated.h"
#include "proxy/gather.h"

static size_t on_input(struct conn *conn, const uint8_t *p, size_t len)
{
    struct client *c = CONTAINER_OF(conn, struct client, conn);
    size_t used = session_input(c, p, len);

    if (used > 0 && c->arm != NULL && c->arm->user->fed != NULL)
        c->arm->user->fed(c->arm);
    return used;
}

static void on_drained(struct conn *conn)
{
    struct client *c = CONTAINER_OF(conn, struct client, conn);

    if (c->server != NULL)
        conn_resume(&c->server->conn);
    gather_pump(c);
    coordinated_pump(c);
}

static void on_output(struct conn *conn)
{
    struct client *c = CONTAINER_OF(conn, struct client, conn);

    if (c->arm != NULL)
        c->arm->user->output(c->arm);
    else
        conn_taken(conn, conn_queued(conn).len);
}

static const struct conn_handler handler = {.input = on_input, .drained = on_drained, .output = on_output};

static void drop_output(struct arm *a)
{
    if (!arm_is_gone(a))
        conn_taken(&a->client->conn, conn_queued(&a->client->conn).len);
}

const struct arm_user arm_unasked = {.output = drop_output};

struct arm *arm_new(struct client *of, uint32_t shard, const struct arm_user *user, void *owner)
{
    struct arm *a = mem_zalloc(sizeof *a);

    *a = (struct arm){.of = of, .shard = shard, .user = user, .owner = owner};
    a->client = client_new_inside(of, &handler);
    a->client->arm = a;
    a->client->horizon = of->horizon;
    a->client->last_answer = of->last_answer;
    return a;
}

void arm_close(struct arm *a)
{
    if (a == NULL)
        return;
    if (a->client != NULL) {
        if (a->of != NULL) {
            a->of->horizon = MAX(a->of->horizon, a->client->horizon);
            a->of->last_answer = MAX(a->of->last_answer, a->client->last_answer);
        }
        a->client->arm = NULL;
        client_drop(a->client, NULL);
    }
    free(a);
}

/* As in session pooling, where nothing is asked of its session, either. */
struct arm *arm_new_held(struct client *of, uint32_t shard, const struct arm_user *user, void *owner)
{
    struct arm *a = arm_new(of, shard, user, owner);

    a->client->mode = POOL_SESSION;
    return a;
}

void arm_release(struct arm *a)
{
    if (a->client != NULL && !arm_is_gone(a))
        a->client->mode = POOL_TRANSACTION;
    arm_close(a);
}

struct buf *arm_in(struct arm *a)
{
    return &a->client->conn.in;
}

void arm_go(struct arm *a)
{
    client_wake(a->client);
}

bool arm_next(struct arm *a, uint8_t *type, struct span *message)
{
    struct frame f = {.total = 0};
    const char *why;

    if (a->client == NULL)
        return false;
    struct span queued = conn_queued(&a->client->conn);
    bool whole = queued.len > 0 && frame_next(FROM_SERVER, queued.ptr, queued.len, &f, &why) == PARSE_OK &&
                 f.total <= queued.len;

    if (!whole && a->client->server != NULL)
        conn_resume(&a->client->server->conn); /* also where one row is more than may be queued */
    *type = f.type;
    *message = span_of(queued.ptr, f.total);
    return whole;
}

void arm_taken(struct arm *a, struct span message)
{
    conn_taken(&a->client->conn, message.len);
}

void arm_put_error_of(struct buf *out, const struct msg_error *e)
{
    msg_error(out, "ERROR", e->sqlstate, e->message, e->detail[0] == '\0' ? NULL : e->detail,
              e->hint[0] == '\0' ? NULL : e->hint);
}

void arm_put_error(struct buf *out, struct span message)
{
    struct msg_error e;

    if (message.len == 0 ||
        msgin_error(span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER), &e) != PARSE_OK)
        msg_error(out, "ERROR", "08006", "a shard's connection was lost", NULL, NULL);
    else if (strcmp(e.severity, "ERROR") == 0)
        buf_put(out, message.ptr, message.len);
    else
        arm_put_error_of(out, &e);
}

bool arm_is_gone(const struct arm *a)
{
    return a->client == NULL || a->client->state == CLIENT_LINGER || a->client->state == CLIENT_DEAD;
}

void arm_cancel(struct arm *a)
{
    struct client *c = a->client;

    if (c->state == CLIENT_WAITING)
        session_cancelled(c);
    else if (c->server != NULL && !expect_empty(&c->server->expects))
        cancel_server(c->worker, c->server);
}

void arm_nudge(struct arm *a)
{
    struct server *s = a->client->server;

    msg_empty(&s->conn.out, 'S');
    conn_touch(&s->conn);
    server_expect(s, EXPECT_SYNC, EXPECT_SKIP, EFFECT_LENT, a->client->id, NULL);
}

/* Nothing is under way there but a nudge, perhaps. */
static bool is_at_rest(const struct server *s)
{
    for (uint32_t i = 0; i < s->expects.count; i++)
        if (expect_at(&s->expects, i)->type != EXPECT_SYNC || expect_at(&s->expects, i)->verdict != EXPECT_SKIP)
            return false;
    return true;
}

static void hand_on(struct client *from, struct client *to)
{
    struct server *s = from->server;

    assert(s != NULL && to->server == NULL && is_at_rest(s));
    from->server = NULL;
    client_move(from, from->inside ? CLIENT_IDLE : CLIENT_GATHERING);
    to->server = s;
    s->owner = &to->waiter;
    client_move(to, CLIENT_ACTIVE);
}

void arm_lend(struct arm *a)
{
    hand_on(a->client, a->of);
}

void arm_take_back(struct arm *a)
{
    hand_on(a->of, a->client);
}

void arm_attached(struct client *c)
{
    if (UNLIKELY(c->arm != NULL) && c->arm->user->attached != NULL)
        c->arm->user->attached(c->arm);
}
