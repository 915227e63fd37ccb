/*
 * visit.c: see visit.h.
 * Thread: worker.
 */
#include "proxy/visit.h"

#include "proxy/arm.h"
#include "proxy/coordinator.h"
#include "proxy/fate.h"
#include "proxy/temp_names.h"

/* What stays behind on a server, where code that nobody sees through does not do it. */
#define STAYS ((uint32_t)(TRACE_TEMP | TRACE_CURSOR | TRACE_LOCK | TRACE_LISTEN | TRACE_SEED | TRACE_LOAD))
#define REST_USEC USEC_PER_SEC

/* What it says stays there until it is taken up again. */
static void on_output(struct arm *a)
{
    (void)a;
}

static const struct arm_user parked_user = {.output = on_output};

/* --- which batch is one --- */

static bool is_temporary(const struct client *c, const char *schema, const char *name)
{
    return schema == NULL ? temp_names_has(c, name) : strncmp(schema, "pg_temp", 7) == 0;
}

static bool has_temporary(const struct client *c, const struct stmt *s)
{
    for (size_t i = 0; i < s->table_count; i++)
        if (is_temporary(c, s->tables[i].schema, s->tables[i].name))
            return true;
    for (size_t i = 0; i < s->function_count; i++)
        if (s->functions[i].schema != NULL && is_temporary(c, s->functions[i].schema, ""))
            return true;
    return s->body != NULL && has_temporary(c, s->body);
}

static bool is_random(const struct stmt *s)
{
    for (size_t i = 0; i < s->function_count; i++)
        if (strncmp(s->functions[i].name, "random", 6) == 0)
            return true;
    return false;
}

/* It speaks of what is kept, or would leave something of the kind. */
static bool is_of_kept(const struct client *c, uint32_t pins, const struct stmt *s)
{
    bool stays = (traces_of(s) & STAYS) != 0 && !(s->effects & EFFECT_CODE);

    if (stays || (s->effects & (EFFECT_TRANSACTION | EFFECT_DISCARD)) || s->kind == STMT_FETCH || s->kind == STMT_MOVE)
        return true;
    if ((traces_of(s) & TRACE_EXECUTE) && (c->executes & STAYS))
        return true;
    return ((pins & (TRACE_TEMP | TRACE_UNKNOWN)) && has_temporary(c, s)) || ((pins & TRACE_SEED) && is_random(s));
}

struct visitable {
    bool draws; /* it may take a value of a sequence */
};

/* For sharding_each. */
static bool may_visit(struct client *c, const struct sharding_run *run, void *arg)
{
    const struct stmt_list *list = run->shape == NULL ? NULL : reading_of(run->shape)->list;
    struct visitable *v = arg;

    for (size_t i = 0; list != NULL && i < list->count; i++) {
        if (is_of_kept(c, c->pins, list->stmts[i]))
            return false;
        v->draws = v->draws || (traces_of(list->stmts[i]) & TRACE_SEQUENCE) != 0;
    }
    return list != NULL;
}

const char *visit_bars(const struct client *c, const struct stmt *s)
{
    if (LIKELY(c->parked == NULL) || !is_of_kept(c, c->parked->client->pins, s))
        return NULL;
    return "it speaks of what the session keeps on a server, or would leave something of the kind, in a batch for "
           "other shards";
}

static bool may_park(const struct client *c)
{
    return c->parked == NULL && c->joint == NULL && c->pins != 0 && c->traces == 0 && c->mode == POOL_TRANSACTION &&
           c->server->cancels_open == 0 && !c->chains && buf_used(&c->split) == 0;
}

bool visit_begin(struct client *c, const uint8_t *batch, size_t extent)
{
    uint32_t here = (uint32_t)__atomic_load_n(&c->server->pool->target->db->part, __ATOMIC_RELAXED);
    struct visitable v = {.draws = false};
    struct sharding_look look;

    if (!may_park(c) || !sharding_each(c, batch, extent, may_visit, &v))
        return false;
    sharding_look(c, batch, extent, &look);
    bool views = look.viewed && coordinator_is_there(c);
    bool stays = !views && !look.given && (look.shards & ~((shardset)1 << here)) == 0;
    if (stays || (look.refused && !views))
        return false;
    struct arm *a = arm_new_held(c, here, &parked_user, c);
    arm_take_back(a);
    a->client->idle_at = c->worker->loop.now;
    client_move(c, CLIENT_IDLE);
    c->parked = a;
    a->client->pins = c->pins;
    c->pins = 0;
    if (v.draws && a->client->pins == TRACE_SEQUENCE) { /* where values are taken now counts from now on */
        a->client->pins = 0;
        visit_abandon(c);
    }
    c->parted = false;
    client_wake(c);
    return true;
}

/* --- its end --- */

enum client_state visit_rests(struct client *c)
{
    client_wake(c);
    return CLIENT_GATHERING;
}

static bool is_over(const struct client *c)
{
    return c->state == CLIENT_GATHERING && c->server == NULL && c->gather == NULL && c->coordinated == NULL &&
           c->apart == NULL && c->joint == NULL;
}

static void say(struct client *c, uint8_t type, struct span message)
{
    struct msg_pair pair;

    if (type == 'S' && msgin_param(span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER), &pair) == PARSE_OK)
        c->vars = vars_with(c->vars, pair.name, pair.value, true);
    conn_send(&c->conn, message.ptr, message.len);
}

static void say_what_was_said(struct client *c, struct arm *a)
{
    struct span message;
    uint8_t type;

    while (arm_next(a, &type, &message)) {
        say(c, type, message);
        arm_taken(a, message);
    }
}

/* By what PostgreSQL has said, where it has. */
static void lost(struct client *c, struct arm *a)
{
    struct msg_error e;
    struct span m;
    uint8_t type;

    while (arm_next(a, &type, &m) && type != 'E')
        arm_taken(a, m);
    if (arm_next(a, &type, &m) && msgin_error(span_of(m.ptr + FRAME_HEADER, m.len - FRAME_HEADER), &e) == PARSE_OK)
        fate_meet_as(c, FATE_SERVER_LOST_FOR_GOOD, e.sqlstate, e.message);
    else
        fate_meet_as(c, FATE_SERVER_LOST_FOR_GOOD, "08006", "the connection that the session had kept was lost");
}

void visit_settle(struct client *c)
{
    struct arm *a = c->parked;

    if (a == NULL || !is_over(c))
        return;
    if (arm_is_gone(a) || a->client->server == NULL) {
        lost(c, a);
        return;
    }
    say_what_was_said(c, a);
    c->parked = NULL;
    c->pins = a->client->pins;
    a->client->pins = 0;
    arm_lend(a);
    arm_release(a);
    c->query_at = 0;
    c->idle_at = c->worker->loop.now;
    client_wake(c);
}

void visit_keeps(struct client *c)
{
    fate_meet(c, FATE_PIN_REFUSED, "a server of a second shard, while the session keeps one already");
}

void visit_keep_awake(struct client *c)
{
    struct arm *a = c->parked;
    usec_t now = c->worker->loop.now;

    if (arm_is_gone(a) || a->client->server == NULL || !expect_empty(&a->client->server->expects) ||
        now - a->client->idle_at < REST_USEC)
        return;
    arm_nudge(a);
    a->client->idle_at = now;
}

void visit_abandon(struct client *c)
{
    struct arm *a = c->parked;

    c->parked = NULL;
    if (a != NULL)
        arm_release(a);
}
