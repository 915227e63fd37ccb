/*
 * ride.c: see ride.h.
 * Thread: worker.
 */
#include "pool/ride.h"

#include "parser/msgout.h"

#define RIDE_TURNS 256                     /* that a server goes on for without its pool */
#define RIDE_PATIENCE (20 * USEC_PER_MSEC) /* after which what runs ahead is not short */

static struct rider *rider_new(struct pools *set)
{
    if (list_empty(&set->spare_riders))
        return mem_zalloc(sizeof(struct rider));
    struct rider *r = LIST_FIRST(&set->spare_riders, struct rider, node);
    list_del(&r->node);
    return r;
}

/* Its ring is kept for the next one. */
static void rider_end(struct rider *r)
{
    struct server *s = r->server;

    assert(expect_empty(&r->expects));
    list_del(&r->node);
    s->rider_count--;
    s->pool->riding--;
    *r = (struct rider){.expects = r->expects};
    list_push_back(&s->pool->set->spare_riders, &r->node);
}

void rides_free(struct pools *set)
{
    while (!list_empty(&set->spare_riders)) {
        struct rider *r = LIST_FIRST(&set->spare_riders, struct rider, node);
        list_del(&r->node);
        expect_free(&r->expects);
        free(r);
    }
}

/* --- where --- */

static bool has_seat(const struct server *s, const struct waiter *w)
{
    return s->rider_count < s->pool->set->config->opt.multiplex_depth && s->turns < RIDE_TURNS && s->tx == 'I' &&
           server_suits(s, w->vars) && s->cancels_open == 0 && !s->close_needed && !s->replication &&
           buf_used(&s->close_names) == 0 && !conn_is_high(&s->conn);
}

/* One that is sent something in this turn anyhow costs no further call; else the one with the fewest. */
static struct server *find_seat(struct pool *p, const struct waiter *w)
{
    struct server *best = NULL;

    LIST_FOR_EACH (it, &p->servers[SERVER_ACTIVE]) {
        struct server *s = LIST_ENTRY(it, struct server, node);
        if (!has_seat(s, w) || (s->rider_count == 0 && !p->set->hooks->is_short(s)))
            continue;
        if (buf_used(&s->conn.out) > 0)
            return s;
        if (best == NULL || s->rider_count < best->rider_count)
            best = s;
    }
    return best;
}

static void board(struct server *s, struct waiter *w)
{
    struct rider *r = rider_new(s->pool->set);

    pool_unqueue(w);
    r->server = s;
    r->waiter = w;
    w->ride = r;
    w->pool = s->pool;
    list_push_back(&s->riders, &r->node);
    s->rider_count++;
    s->pool->riding++;
}

/* Nobody else is to be served before the first in line of this worker. */
static bool may_board(const struct waiter *w)
{
    const struct pool *p = w->pool;
    int worker;

    return p->set->config->opt.multiplex_depth > 0 && !pool_is_paused(p) &&
           !pool_foreign_goes_first(p, w->since, &worker) && !limits_blocks_others(p->target) &&
           !limits_owes(p->target);
}

/* A server that is idle, here or at another worker, or on its way, is meant for who waits. */
static bool is_expected(const struct pool *p)
{
    return p->count[SERVER_IDLE] > 0 || pool_opening_count(p) > 0 ||
           limits_idle_elsewhere(p->target, p->set->worker) >= 0;
}

bool ride_take(struct waiter *w)
{
    struct pool *p = w->pool;

    if (p->waiting.next != &w->node || !may_board(w) || is_expected(p))
        return false;
    struct server *s = find_seat(p, w);
    if (s != NULL)
        board(s, w);
    return s != NULL;
}

void ride_fill(struct server *s)
{
    struct pool *p = s->pool;

    while (!list_empty(&p->waiting) && s->owner != NULL && s->owner->is_short) {
        struct waiter *w = LIST_FIRST(&p->waiting, struct waiter, node);
        if (!w->is_short || w->replication != NULL || !has_seat(s, w) || !may_board(w) || is_expected(p))
            return;
        board(s, w);
        p->set->hooks->rides(w);
    }
}

/* --- sending --- */

bool ride_may_send(const struct rider *r)
{
    const struct server *s = r->server;

    if (r->begun || s->cancels_open > 0 || conn_is_high(&s->conn) || !s->pool->set->hooks->is_short(s))
        return false;
    LIST_FOR_EACH (it, &s->riders) {
        const struct rider *ahead = LIST_ENTRY(it, struct rider, node);
        if (ahead == r)
            return true;
        if (!ahead->whole)
            return false;
    }
    return false;
}

static void swap_expects(struct server *s, struct rider *r)
{
    struct expect_queue mine = s->expects;

    s->expects = r->expects;
    r->expects = mine;
}

void ride_open(struct rider *r, struct ride_window *w)
{
    struct server *s = r->server;

    *w = (struct ride_window){.owner = s->owner,
                              .batch = s->batch,
                              .run_rows = s->run_rows,
                              .run_bytes = s->run_bytes,
                              .run_at = s->run_at,
                              .replied = s->replied,
                              .query_failed = s->query_failed,
                              .run_failed = s->run_failed};
    swap_expects(s, r);
    s->owner = r->waiter;
    s->rider_sends = true;
}

void ride_close(struct rider *r, const struct ride_window *w)
{
    struct server *s = r->server;

    s->rider_sends = false;
    swap_expects(s, r);
    r->begun = !expect_empty(&r->expects);
    r->batch = s->batch;
    s->owner = w->owner;
    s->batch = w->batch;
    s->run_rows = w->run_rows;
    s->run_bytes = w->run_bytes;
    s->run_at = w->run_at;
    s->replied = w->replied;
    s->query_failed = w->query_failed;
    s->run_failed = w->run_failed;
}

/* --- turns --- */

static void begin_turn(struct server *s, struct rider *r)
{
    swap_expects(s, r);
    s->batch = r->batch;
    s->run_rows = s->run_bytes = 0;
    s->replied = s->query_failed = s->run_failed = false;
    s->run_at = expect_empty(&s->expects) ? 0 : s->pool->set->loop->now;
    s->turns++;
}

/* Nobody wants the answer: it is waited for as after a client that has left. */
static void turn_of_nobody(struct server *s)
{
    s->owner = NULL;
    server_move(s, SERVER_CLEANING);
    server_end_batch(s);
}

bool ride_next(struct server *s)
{
    if (LIKELY(s->rider_count == 0)) {
        s->turns = 0;
        return false;
    }
    struct rider *r = LIST_FIRST(&s->riders, struct rider, node);
    struct waiter *w = r->waiter;
    begin_turn(s, r);
    if (w != NULL) {
        w->ride = NULL;
        w->rode = r->begun;
        w->rode_bytes = r->sent;
    }
    rider_end(r);
    if (w == NULL)
        turn_of_nobody(s);
    else
        pool_attach(s, w);
    return true;
}

/* --- those who leave --- */

/* What the server has learnt by it stays its own; everything else is as if it had not been sent. */
static void disown(struct server *s, struct expect *e)
{
    if (!expect_is_servers(e)) {
        s->pool->set->hooks->dropped(s, e);
        e->effect = EFFECT_NONE;
        e->arg = NULL;
        e->shape = NULL;
        e->literal = NULL;
    }
    e->verdict = EXPECT_SKIP;
    e->client_id = 0;
}

static void disown_all(struct rider *r)
{
    for (uint32_t i = 0; i < r->expects.count; i++)
        disown(r->server, expect_at(&r->expects, i));
}

/* waits: in the line. */
static void set_down(struct rider *r, bool waits)
{
    struct waiter *w = r->waiter;

    disown_all(r);
    r->waiter = NULL;
    w->ride = NULL;
    r->server->pool->set->hooks->unridden(w);
    if (waits)
        pool_requeue(w);
    if (!r->begun)
        rider_end(r);
}

void ride_leave(struct waiter *w)
{
    set_down(w->ride, false);
}

void ride_disband(struct server *s)
{
    LIST_FOR_EACH_SAFE (it, &s->riders) {
        struct rider *r = LIST_ENTRY(it, struct rider, node);
        if (r->waiter != NULL)
            set_down(r, true);
    }
}

/* Who has left in the middle of its batch sends no Sync; an error in it must not pass over what comes next. */
static void end_of_part(struct server *s)
{
    if (!server_needs_sync(s))
        return;
    msg_empty(&s->conn.out, 'S');
    conn_touch(&s->conn);
    expect_push(&s->expects, (struct expect){.type = EXPECT_SYNC, .verdict = EXPECT_SKIP});
}

void ride_absorb(struct server *s)
{
    ride_disband(s);
    while (!list_empty(&s->riders)) {
        struct rider *r = LIST_FIRST(&s->riders, struct rider, node);
        while (!expect_empty(&r->expects))
            expect_push(&s->expects, expect_pop(&r->expects));
        rider_end(r);
    }
    end_of_part(s);
}

void ride_drop(struct server *s)
{
    ride_disband(s);
    while (!list_empty(&s->riders)) {
        struct rider *r = LIST_FIRST(&s->riders, struct rider, node);
        while (!expect_empty(&r->expects)) {
            struct expect e = expect_pop(&r->expects);
            s->pool->set->hooks->dropped(s, &e);
        }
        r->expects.skipping = false;
        rider_end(r);
    }
}

static struct rider *first_seated(struct server *s)
{
    LIST_FOR_EACH (it, &s->riders) {
        struct rider *r = LIST_ENTRY(it, struct rider, node);
        if (r->waiter != NULL)
            return r;
    }
    return NULL;
}

struct waiter *ride_rescue(struct pool *p)
{
    static const enum server_state states[] = {SERVER_ACTIVE, SERVER_CLEANING};
    struct rider *found = NULL;

    for (size_t i = 0; p->riding > 0 && i < ARRAY_LEN(states); i++) {
        LIST_FOR_EACH (it, &p->servers[states[i]]) {
            struct server *s = LIST_ENTRY(it, struct server, node);
            struct rider *r = p->set->loop->now - s->state_since < RIDE_PATIENCE ? NULL : first_seated(s);
            if (r != NULL && (found == NULL || r->waiter->since < found->waiter->since))
                found = r;
        }
    }
    if (found == NULL)
        return NULL;
    struct waiter *w = found->waiter;
    set_down(found, false);
    w->is_short = false;
    return w;
}
