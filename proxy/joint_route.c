/*
 * joint_route.c: what the batch at the head of a client needs of its transaction's shards. See joint.h.
 * Thread: worker.
 */
#include "proxy/coordinator.h"
#include "proxy/coordinator_keeper.h"
#include "proxy/cut.h"
#include "proxy/deal.h"
#include "proxy/gather.h"
#include "proxy/joint_parts.h"
#include "proxy/joint_words.h"

static bool has_failed(const struct joint *j)
{
    return j->c->server->tx == 'E';
}

/* What PostgreSQL would do with it in a failed transaction, the server that has failed does. */
static enum joint_step run_control(struct joint *j, const struct request *q, const struct stmt *s)
{
    struct client *c = j->c;
    bool keeps = (c->traces | c->pins) != 0;

    switch (joint_control_of(s)) {
    case CONTROL_COMMIT:
    case CONTROL_ROLLBACK:
        if ((s->flags & FACT_CHAIN) && keeps)
            return JOINT_NOT; /* refused there */
        joint_end_by(j, q, s->kind == STMT_COMMIT && !has_failed(j));
        return JOINT_TAKEN;
    case CONTROL_TELL:
        if (has_failed(j) && s->kind != STMT_ROLLBACK_TO)
            return JOINT_NOT;
        joint_tell(j, q, joint_tag_of(s));
        return JOINT_TAKEN;
    case CONTROL_NONE:
        break;
    }
    return JOINT_NOT;
}

static bool is_bare(const struct stmt *s)
{
    return s != NULL && s->params == 0;
}

/* All of it is one shard's: that one's server becomes the client's. */
static enum joint_step move_to(struct joint *j, uint32_t shard)
{
    if (shard != j->current) {
        joint_take_back(j);
        j->current = shard;
        arm_lend(j->arms[shard]);
    }
    return JOINT_NOT;
}

static shardset missing(const struct joint *j, shardset wanted)
{
    for (uint32_t k = 0; k < j->count; k++)
        if (j->arms[k] != NULL)
            wanted &= ~((shardset)1 << k);
    return wanted;
}

/* The server that the client holds is the first one that takes part. */
static struct joint *take_part(struct client *c)
{
    struct joint *j = joint_new(c);

    j->current = (uint32_t)__atomic_load_n(&c->server->pool->target->db->part, __ATOMIC_RELAXED);
    joint_add_arm(j, j->current);
    return j;
}

/* --- on the coordinator --- */

/* Settings that its servers have told nobody yet are not the coordinator's, nor are tables of the session's own. */
static bool may_look(struct client *c)
{
    return journal_is_whole(c) && !c->journal.sets && c->pins == 0 &&
           (c->traces & (TRACE_SETTING | TRACE_TEMP | TRACE_CODE | TRACE_EXECUTE)) == 0 && !defer_is_serializable(c) &&
           !defer_is_repeatable(c);
}

/* While it has written and locked nothing, the coordinator sees what it would see. looked: that was asked. */
static enum joint_step ask_whole(struct client *c, const struct request *q, bool looked)
{
    if (!may_look(c) || (looked && !c->joint->clean))
        return JOINT_NOT;
    struct joint *j = c->joint == NULL ? take_part(c) : c->joint;
    if (looked)
        return joint_whole(j, q);
    joint_look(j);
    return JOINT_WAIT;
}

/* Its first query is the coordinator's: so are the others. */
static bool reads_whole(struct client *c, const struct request *q)
{
    const struct map *map = __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE);
    shardset shards;

    return map->shard_count < SHARDS_MAX && sharding_is_coordinators(c, &q->run) && sharding_is_whole(c, &q->run) &&
           !deal_would(c, q, &shards) && (gather_prefers_whole(c, q) || !gather_would(c, q, &shards)) &&
           coordinator_in_step(c->db);
}

static void join_whole(struct joint *j, shardset home)
{
    j->whole = true;
    joint_join(j, home | (shardset)1 << (j->count - 1));
}

/* --- in a transaction that servers know --- */

static enum joint_step run_on(struct client *c, const struct request *q, const struct sharding_look *look, bool looked)
{
    uint32_t here = (uint32_t)__atomic_load_n(&c->server->pool->target->db->part, __ATOMIC_RELAXED);
    bool many = shardset_is_many(look->shards) || look->given;
    shardset shards = look->shards;

    if (q != NULL && look->viewed && sharding_is_coordinators(c, &q->run))
        return ask_whole(c, q, looked);
    if (look->refused || shards == 0 || (shards == (shardset)1 << here && !many))
        return JOINT_NOT;
    bool deals = many && q != NULL && deal_would(c, q, &shards);
    bool whole = many && !deals && q != NULL && (gather_prefers_whole(c, q) || !gather_would(c, q, &shards));
    if (whole && sharding_is_coordinators(c, &q->run))
        return ask_whole(c, q, looked);
    if (many && !deals && (q == NULL || !gather_would(c, q, &shards)))
        return JOINT_NOT;
    if (c->joint == NULL && (defer_is_serializable(c) || !journal_is_whole(c)))
        return JOINT_NOT;
    struct joint *j = c->joint == NULL ? take_part(c) : c->joint;
    shardset joining = missing(j, shards);
    if (joining != 0 && !journal_is_whole(c))
        return JOINT_NOT;
    if (joining != 0) {
        joint_take_back(j);
        joint_join(j, joining);
        return JOINT_WAIT;
    }
    if (deals)
        return joint_deal(j, q);
    return many ? joint_gather(j, q) : move_to(j, shardset_first(shards));
}

/* All that a REPEATABLE READ transaction may ever see is seen from its first query on. s: all that the batch runs;
 * NULL: it runs more, or it is not read. */
static bool must_see(struct client *c, const struct stmt *s, const uint8_t *batch)
{
    return journal_is_whole(c) && !c->journal.seen && defer_is_repeatable(c) && strchr("QPB", batch[0]) != NULL &&
           (s == NULL || joint_takes_snapshot(s));
}

static shardset all_shards(const struct client *c)
{
    return map_all(__atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE));
}

static enum joint_step see_all(struct client *c, const struct request *q)
{
    bool whole = c->joint == NULL && q != NULL && reads_whole(c, q);
    struct joint *j = c->joint == NULL ? take_part(c) : c->joint;
    shardset joining = missing(j, all_shards(c));

    joint_take_back(j);
    if (whole)
        join_whole(j, 0);
    else if (joining != 0)
        joint_join(j, joining);
    else
        joint_see(j);
    return JOINT_WAIT;
}

/* A cursor is where it was opened. */
static void follow_cursor(struct joint *j, const struct stmt *s, const uint8_t *batch)
{
    const char *name = joint_cursor_of(s, batch);
    uint32_t shard = name == NULL ? SHARD_NONE : journal_cursor_shard(j->c, name);

    if (shard < j->count && j->arms[shard] != NULL)
        move_to(j, shard);
}

/* The first statement of several, by itself; those that several shards run together are refused. */
static enum joint_step run_first(struct client *c, const uint8_t *batch, size_t len)
{
    struct sharding_look look;

    sharding_look(c, batch, len, &look);
    enum joint_step step = run_on(c, NULL, &look, false);
    if (step == JOINT_NOT)
        cut_begin(c, len);
    return step;
}

enum joint_step joint_route(struct client *c, const uint8_t *batch, size_t extent)
{
    struct sharding_look look;
    struct request q;
    bool alone = request_read(c, batch, extent, &q), looked = c->joint != NULL && c->joint->looked;
    const struct stmt *s = alone ? request_stmt(&q) : NULL;

    if (looked)
        c->joint->looked = false;
    if (cut_goes_on(c))
        return JOINT_WAIT;
    c->cut_left = 0;
    if (c->joint != NULL && c->joint->once)
        return joint_deal_once(c->joint, batch, extent);
    journal_settle(c, c->server->tx == 'E');
    if (c->joint != NULL && is_bare(s) && joint_control_of(s) != CONTROL_NONE)
        return run_control(c->joint, &q, s);
    if (c->server->tx == 'E')
        return JOINT_NOT;
    if (must_see(c, s, batch))
        return see_all(c, alone ? &q : NULL);
    if (joint_is_whole(c))
        return alone && sharding_is_whole(c, &q.run) ? joint_whole(c->joint, &q) : JOINT_NOT;
    if (c->joint != NULL)
        follow_cursor(c->joint, s, batch);
    sharding_look(c, batch, extent, &look);
    if (look.outdated && sharding_awaits(c))
        return JOINT_WAIT;
    c->fresh_since = 0;
    if (c->server->tx == 'I') /* it is pinned */
        return JOINT_NOT;
    size_t first = alone || (c->joint == NULL && !shardset_is_many(look.shards)) ? 0 : cut_first(c, batch, extent, &q);
    if (first > 0)
        return run_first(c, batch, first);
    return run_on(c, alone ? &q : NULL, &look, looked);
}

/* --- where one begins --- */

enum joint_step joint_begin(struct client *c, const uint8_t *batch, size_t extent)
{
    struct request q;
    shardset shards = 0;
    bool alone = request_read(c, batch, extent, &q);

    if (defer_is_serializable(c) || c->only_prepares)
        return JOINT_NOT;
    bool sees = must_see(c, alone ? request_stmt(&q) : NULL, batch);
    bool whole = sees && alone && c->spread && reads_whole(c, &q);
    if (sees)
        shards = whole ? 1 : all_shards(c);
    else if (!alone || !c->spread) {
        if (!alone && batch[0] != 'Q')
            cut_at_begin(c, batch, extent);
        return JOINT_NOT;
    } else if (!deal_would(c, &q, &shards) && (gather_prefers_whole(c, &q) || !gather_would(c, &q, &shards)))
        return gather_whole(c, &q) ? JOINT_TAKEN : JOINT_NOT;
    struct joint *j = joint_new(c);
    j->current = shardset_first(shards);
    client_move(c, CLIENT_GATHERING);
    if (whole)
        join_whole(j, shards);
    else
        joint_join(j, shards);
    defer_close(c);
    return JOINT_WAIT;
}

enum joint_step joint_once(struct client *c, const uint8_t *batch, size_t extent)
{
    shardset shards = 0;
    struct request q;

    if (c->arm != NULL || c->failed_block || c->in_batch || c->pins != 0 || rules_of(c)->serializable ||
        !request_read(c, batch, extent, &q) || !deal_would(c, &q, &shards) || request_stmt(&q)->kind == STMT_LOCK)
        return JOINT_NOT;
    struct joint *j = joint_new(c);
    j->once = true;
    j->current = shardset_first(shards);
    client_move(c, CLIENT_GATHERING);
    if (!shardset_is_many(shards))
        return joint_deal_alone(j, &q);
    joint_join(j, shards);
    return JOINT_WAIT;
}
