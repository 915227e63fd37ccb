/*
 * joint_route.c: what the batch at the head of a client needs of its transaction's shards. See joint.h.
 * Thread: worker.
 */
#include "proxy/coordinator.h"
#include "proxy/cursor.h"
#include "proxy/cut.h"
#include "proxy/deal.h"
#include "proxy/draw.h"
#include "proxy/gather.h"
#include "proxy/joint_parts.h"
#include "proxy/joint_words.h"
#include "proxy/set_config.h"
#include "proxy/timing.h"
#include "proxy/visit.h"

#include <stdio.h>

static bool has_failed(const struct joint *j)
{
    return j->c->server->tx == 'E';
}

/* Write skew over two shards is seen by neither. */
static bool stays_on_one(struct client *c)
{
    return defer_is_serializable(c) && c->worker->config->opt.cross_shard_serializable == CROSS_SHARD_REFUSE;
}

bool joint_keeps_snapshot(struct client *c)
{
    return defer_is_repeatable(c) || (defer_is_serializable(c) && !stays_on_one(c));
}

static bool says_modes(const struct stmt *s)
{
    return s->modes.isolation != ISOLATION_UNSAID || s->modes.access != ACCESS_UNSAID ||
           s->modes.deferrable != DEFERRABLE_UNSAID;
}

/* BEGIN behind other statements of a batch: what these have done is its transaction's, too. Its modes are set as by SET
 * TRANSACTION, which is what PostgreSQL does. */
static enum joint_step begin_block(struct joint *j, const struct request *q, const struct stmt *s)
{
    const char *tag = s->kind == STMT_BEGIN ? "BEGIN" : "START TRANSACTION";

    if (s->modes.isolation == ISOLATION_SERIALIZABLE)
        joint_refuse(j, q, "0A000",
                     "a transaction over several shards that begins within a batch cannot be SERIALIZABLE",
                     "Send BEGIN as the first of the batch.");
    else if (says_modes(s))
        joint_tell(j, q, defer_take_modes(j->c, &s->modes), tag, true);
    else
        joint_begin_block(j, q, tag);
    return JOINT_TAKEN;
}

/* In a transaction that is only a batch's, PostgreSQL takes no savepoints. */
static enum joint_step refuse_savepoint(struct joint *j, const struct request *q, const struct stmt *s)
{
    char text[100];

    snprintf(text, sizeof text, "%s can only be used in transaction blocks",
             s->kind == STMT_SAVEPOINT ? "SAVEPOINT"
             : s->kind == STMT_RELEASE ? "RELEASE SAVEPOINT"
                                       : "ROLLBACK TO SAVEPOINT");
    joint_refuse(j, q, "25P01", text, NULL);
    return JOINT_TAKEN;
}

/* What PostgreSQL would do with it in a failed transaction, the server that has failed does. */
static enum joint_step run_control(struct joint *j, const struct request *q, const struct stmt *s)
{
    switch (joint_control_of(s)) {
    case CONTROL_COMMIT:
    case CONTROL_ROLLBACK:
        if ((s->flags & FACT_CHAIN) && j->batchs)
            return JOINT_NOT; /* refused there */
        joint_end_by(j, q, s->kind == STMT_COMMIT && !has_failed(j));
        return JOINT_TAKEN;
    case CONTROL_TELL:
        if (has_failed(j) && s->kind != STMT_ROLLBACK_TO)
            return JOINT_NOT;
        if (j->batchs && (s->effects & EFFECT_TRANSACTION) && s->kind != STMT_SET_TRANSACTION &&
            s->kind != STMT_SET_CONSTRAINTS)
            return refuse_savepoint(j, q, s);
        joint_tell(j, q, mem_strdup(q->run.sql), joint_tag_of(s), false);
        return JOINT_TAKEN;
    case CONTROL_NONE:
        if (j->batchs && !has_failed(j) && (s->kind == STMT_BEGIN || s->kind == STMT_START))
            return begin_block(j, q, s);
        break;
    }
    return JOINT_NOT;
}

static bool is_control(const struct stmt *s)
{
    return s != NULL && s->params == 0 &&
           (joint_control_of(s) != CONTROL_NONE || s->kind == STMT_BEGIN || s->kind == STMT_START);
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

static bool has_others(const struct joint *j, uint32_t shard)
{
    for (uint32_t k = 0; k < j->count; k++)
        if (j->arms[k] != NULL && k != shard)
            return true;
    return false;
}

/* One server runs it and answers; before, the others are told what it sets. Where that is not known, it is refused. */
static enum joint_step set_on(struct joint *j, const struct request *q, uint32_t shard)
{
    char *sql = j->told ? NULL : set_config_text(j->c, request_stmt(q), &q->run);

    if (sql != NULL && has_others(j, shard)) {
        joint_tell_others(j, shard, sql);
        return JOINT_WAIT;
    }
    j->tells = j->told || sql != NULL;
    j->told = false;
    free(sql);
    return move_to(j, shard);
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

    j->current = j->first = (uint32_t)__atomic_load_n(&c->server->pool->target->db->part, __ATOMIC_RELAXED);
    joint_add_arm(j, j->current);
    return j;
}

/* --- on the coordinator --- */

/* Settings that its servers have told nobody yet are not the coordinator's, nor are tables of the session's own. What
 * is only suspected, once in a while of any statement (pool/suspects.h), does not count: users' code runs on shards
 * where [functions] says that it may, or as a trigger of what is written. */
static bool may_look(struct client *c)
{
    bool sets = c->journal.sets ||
                ((c->traces & TRACE_CERTAIN) && (c->traces & (TRACE_SETTING | TRACE_TEMP | TRACE_EXECUTE)) != 0);

    return journal_is_whole(c) && !sets && c->pins == 0 && !defer_is_serializable(c) && !defer_is_repeatable(c);
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

    return defer_is_repeatable(c) && map->shard_count < SHARDS_MAX && sharding_is_coordinators(c, &q->run) &&
           sharding_is_whole(c, &q->run) && !deal_would(c, q, &shards) &&
           (gather_prefers_whole(c, q) || !gather_would(c, q, &shards));
}

static void join_whole(struct joint *j, shardset home)
{
    j->whole = true;
    joint_join(j, home | (shardset)1 << (j->count - 1));
}

/* --- in a transaction that servers know --- */

/* One server answers it, which did not begin the transaction: by the clock of that which did. */
static bool gives_time(const struct request *q)
{
    const struct stmt *s = request_stmt(q);

    return s != NULL && q->rows_max == 0 && q->cursor == NULL && !set_config_is(s) &&
           (s->kind == STMT_SELECT || s->kind == STMT_INSERT || s->kind == STMT_UPDATE || s->kind == STMT_DELETE ||
            s->kind == STMT_MERGE);
}

/* What asks for the time of the transaction; NOT: it goes on as it is. */
static enum joint_step run_timed(struct client *c, const struct request *q, const struct sharding_look *look,
                                 uint32_t here)
{
    struct joint *j = c->joint;
    bool many = shardset_is_many(look->shards) || look->given;
    uint32_t shard = look->shards == 0 ? here : shardset_first(look->shards);

    if (look->refused || missing(j, look->shards) != 0 || (!many && (shard == j->first || !gives_time(q))))
        return JOINT_NOT;
    enum moment_asked asked = timing_asked(c, &q->run);
    if (asked == MOMENT_NOT)
        return JOINT_NOT;
    if (!j->timed_now && (!j->timed || asked == MOMENT_STATEMENT)) {
        joint_time(j);
        return JOINT_WAIT;
    }
    return many || !j->timed ? JOINT_NOT : joint_deal_timed(j, q, shard);
}

/* A cursor is opened on other shards than that on which one of its name may be open: whether it is, its server says. */
static bool asks_name(struct client *c, const struct request *q, const struct sharding_look *look, uint32_t here)
{
    const char *name = q == NULL ? "" : portals_opened(q);
    uint32_t shard = name[0] == '\0' ? SHARD_NONE : journal_cursor_shard(c, name);
    shardset shards = look->shards == 0 ? (shardset)1 << here : look->shards;

    if (shard == SHARD_NONE || (shards == (shardset)1 << shard && !look->given && !look->viewed) ||
        !journal_is_whole(c) || stays_on_one(c) || (c->joint != NULL && c->joint->told))
        return false;
    struct joint *j = c->joint == NULL ? take_part(c) : c->joint;
    if (shard < j->count && j->arms[shard] != NULL)
        joint_tell_one(j, shard, portals_question(name));
    return shard < j->count && j->arms[shard] != NULL;
}

static enum joint_step run_on(struct client *c, const struct request *q, const struct sharding_look *look, bool looked)
{
    uint32_t here = (uint32_t)__atomic_load_n(&c->server->pool->target->db->part, __ATOMIC_RELAXED);
    bool many = shardset_is_many(look->shards) || look->given;
    shardset shards = look->shards;
    bool sets = c->joint != NULL && q != NULL && q->cursor == NULL && set_config_is(request_stmt(q));
    enum joint_step timed = c->joint == NULL || q == NULL ? JOINT_NOT : run_timed(c, q, look, here);

    if (timed != JOINT_NOT)
        return timed;
    if (asks_name(c, q, look, here))
        return JOINT_WAIT;
    if (q != NULL && look->viewed && sharding_is_coordinators(c, &q->run))
        return ask_whole(c, q, looked);
    if (look->refused || shards == 0 || (shards == (shardset)1 << here && !many))
        return sets && !look->refused ? set_on(c->joint, q, here) : JOINT_NOT;
    bool deals = many && q != NULL && deal_would(c, q, &shards);
    bool whole = many && !deals && q != NULL && (gather_prefers_whole(c, q) || !gather_would(c, q, &shards));
    if (whole && sharding_is_coordinators(c, &q->run))
        return ask_whole(c, q, looked);
    if (many && !deals && (q == NULL || !gather_would(c, q, &shards)))
        return JOINT_NOT;
    bool stays = deals && shards == (shardset)1 << here; /* its rows' keys are drawn, and lie where it is */
    if ((stays_on_one(c) && !stays) || (c->joint == NULL && !journal_is_whole(c)))
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
    if (many)
        return joint_gather(j, q);
    return sets ? set_on(j, q, shardset_first(shards)) : move_to(j, shardset_first(shards));
}

/* All that a REPEATABLE READ transaction may ever see is seen from its first query on. s: all that the batch runs;
 * NULL: it runs more, or it is not read. */
static bool must_see(struct client *c, const struct stmt *s, const uint8_t *batch)
{
    return journal_is_whole(c) && !c->journal.seen && joint_keeps_snapshot(c) && strchr("QPB", batch[0]) != NULL &&
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

/* A batch that is not cut goes as it is, with its Sync; but that does not end a batch's own transaction. */
static bool is_part(const struct client *c, const struct cut *k)
{
    return !k->whole || joint_is_batchs(c);
}

/* BEGIN goes to the server that it has. Others may join. */
static void begin_pinned(struct client *c, const struct stmt *s)
{
    if (s == NULL || (s->kind != STMT_BEGIN && s->kind != STMT_START) || journal_sets_modes(s))
        return;
    c->deferred.modes = s->modes;
    journal_open(c);
}

/* A key of its rows is to be drawn by this transaction, where the first shard takes part in that. */
static bool draw_own(struct client *c)
{
    struct joint *j = c->joint;
    char *sql = j == NULL || j->arms[0] == NULL ? NULL : draw_own_question(c);

    if (sql != NULL)
        joint_draw(j, sql);
    return sql != NULL;
}

/* PostgreSQL's: in a transaction that is only a batch's, a text of several may have cursors. */
static bool run_cursor(struct joint *j, const struct request *q)
{
    const struct stmt *s = request_stmt(q);

    if (s == NULL)
        return false;
    if (s->kind == STMT_CLOSE && (s->flags & FACT_ALL)) {
        joint_tell(j, q, mem_strdup("CLOSE ALL"), "CLOSE CURSOR ALL", false);
        return true;
    }
    if (s->kind == STMT_DECLARE && j->batchs && !q->simple) {
        joint_refuse(j, q, "25P01", "DECLARE CURSOR can only be used in transaction blocks", NULL);
        return true;
    }
    return portals_run(j, q);
}

static enum joint_step run_cut(struct client *c, const uint8_t *batch, size_t extent, struct cut *k)
{
    struct request select;
    const struct request *q = k->single ? cursor_request(c, &k->q, &select) : NULL;
    bool looked = c->joint != NULL && c->joint->looked;

    if (looked)
        c->joint->looked = false;
    if (c->server->tx == 'E') {
        if (c->joint != NULL && !k->single)
            cut_look(c, batch, extent, k); /* what ends it comes alone */
        return JOINT_NOT;
    }
    c->parted = is_part(c, k);
    if (must_see(c, q == NULL ? NULL : request_stmt(q), batch))
        return see_all(c, q);
    if (q != NULL && c->joint != NULL && (run_cursor(c->joint, &k->q) || portals_refuse(c->joint, q)))
        return JOINT_TAKEN;
    if (joint_is_whole(c))
        return q != NULL && sharding_is_whole(c, &q->run) ? joint_whole(c->joint, q) : JOINT_NOT;
    if (c->joint != NULL)
        follow_cursor(c->joint, q == NULL ? NULL : request_stmt(q), batch);
    cut_look(c, batch, extent, k);
    if (k->look.outdated && draw_own(c))
        return JOINT_WAIT;
    if (k->look.outdated && sharding_awaits(c))
        return JOINT_WAIT;
    c->fresh_since = 0;
    if (c->server->tx == 'I') { /* it is pinned */
        begin_pinned(c, q == NULL ? NULL : request_stmt(q));
        return visit_begin(c, batch, extent) ? JOINT_WAIT : JOINT_NOT;
    }
    k->whole = k->whole && !(cut_copies(k) && shardset_is_many(k->look.shards));
    bool parts = k->look.refused || shardset_is_many(k->look.shards) || cut_has_commands(k) ||
                 (c->joint != NULL && !k->single && k->look.timed);
    if (parts && cut_split(c, batch, extent)) {
        client_wake(c);
        return JOINT_TAKEN;
    }
    c->parted = is_part(c, k);
    return run_on(c, q, &k->look, looked);
}

/* What is in no part of it has its own Sync. */
static void send_cut(struct client *c, const struct cut *k)
{
    c->parted = is_part(c, k);
    if (c->parted && c->server->tx != 'I')
        cut_begin(c, k->len);
}

enum joint_step joint_route(struct client *c, const uint8_t *batch, size_t *extent)
{
    struct joint *j = c->joint;
    enum joint_step step;
    struct cut k;

    c->cut_left = 0;
    if (j != NULL)
        j->tells = false;
    if (j != NULL && j->once)
        return joint_deal_once(j, batch, *extent);
    journal_settle(c, c->server->tx == 'E');
    if (batch[0] == 'S') {
        if (joint_is_batchs(c))
            joint_end_batch(j, !has_failed(j));
        return joint_is_batchs(c) ? JOINT_TAKEN : JOINT_NOT;
    }
    size_t taken = j == NULL ? 0 : portals_take(j, batch, *extent);
    if (taken > 0) {
        *extent = taken;
        return JOINT_TAKEN;
    }
    cut_read(c, batch, *extent, &k);
    if (k.single && j != NULL && is_control(request_stmt(&k.q))) {
        c->parted = is_part(c, &k);
        step = run_control(j, &k.q, request_stmt(&k.q));
    } else if (j != NULL && cut_split(c, batch, *extent)) {
        client_wake(c);
        return JOINT_TAKEN;
    } else {
        step = run_cut(c, batch, *extent, &k);
    }
    if (step == JOINT_TAKEN)
        *extent = c->parted ? k.len : *extent;
    else if (step == JOINT_NOT)
        send_cut(c, &k);
    if (step != JOINT_WAIT && c->joint != NULL)
        c->joint->told = c->joint->timed_now = false;
    return step;
}

/* --- where one begins --- */

static shardset part_of(const struct pool *p)
{
    return (shardset)1 << __atomic_load_n(&p->target->db->part, __ATOMIC_RELAXED);
}

/* whole: and on the coordinator. */
static enum joint_step begin_on(struct client *c, struct joint *j, shardset shards, bool whole)
{
    j->current = j->first = shardset_first(shards);
    client_move(c, CLIENT_GATHERING);
    if (whole)
        join_whole(j, shards);
    else
        joint_join(j, shards);
    return JOINT_WAIT;
}

/* A SERIALIZABLE transaction is one shard's; it may begin by a row whose key is drawn, and on that one's shard. What is
 * drawn is no part of it. */
static enum joint_step begin_serializable(struct client *c, const uint8_t *batch, size_t extent)
{
    shardset shards = 0;
    struct cut k;

    if (c->only_prepares || !c->spread)
        return JOINT_NOT;
    cut_read(c, batch, extent, &k);
    if (!k.single || !k.whole)
        return JOINT_NOT;
    cut_look(c, batch, extent, &k);
    if (k.look.refused || !k.look.given || !deal_would(c, &k.q, &shards) || shardset_is_many(shards))
        return JOINT_NOT;
    begin_on(c, joint_new(c), shards, false);
    defer_close(c);
    return JOINT_WAIT;
}

enum joint_step joint_begin(struct client *c, const uint8_t *batch, size_t *extent)
{
    shardset shards = 0;
    struct request select;
    struct cut k;

    if (stays_on_one(c))
        return begin_serializable(c, batch, *extent);
    if (c->only_prepares) {
        if (batch[*extent - FRAME_HEADER] == 'H')
            cut_begin(c, *extent);
        return JOINT_NOT;
    }
    cut_read(c, batch, *extent, &k);
    bool sees = must_see(c, k.single ? request_stmt(&k.q) : NULL, batch);
    const struct request *q = k.single ? cursor_request(c, &k.q, &select) : &k.q;
    bool whole = sees && k.single && k.whole && c->spread && reads_whole(c, q);
    if (sees) {
        shards = whole ? 1 : all_shards(c);
    } else if ((c->spread || cut_has_commands(&k)) && cut_split(c, batch, *extent)) {
        client_wake(c);
        return JOINT_TAKEN;
    } else if (!k.whole || c->spread) {
        cut_look(c, batch, *extent, &k);
        if (!k.single || k.look.refused || !(shardset_is_many(k.look.shards) || k.look.given)) {
            if (!k.whole)
                cut_begin(c, k.len);
            return JOINT_NOT;
        }
    } else {
        return JOINT_NOT;
    }
    if (shards == 0 && !deal_would(c, q, &shards) && (gather_prefers_whole(c, q) || !gather_would(c, q, &shards))) {
        if (k.whole && q->rows_max == 0 && q->cursor == NULL) /* a portal is its transaction's */
            return gather_whole(c, q) ? JOINT_TAKEN : JOINT_NOT;
        shards = part_of(c->wanted); /* what the coordinator can do is seen within it */
    }
    begin_on(c, joint_new(c), shards, whole);
    defer_close(c);
    return JOINT_WAIT;
}

static enum joint_step begin_batch(struct client *c, const uint8_t *batch, size_t extent, struct cut *k)
{
    bool split = cut_split(c, batch, extent);

    if (batch[0] == 'Q' && !split && !cut_is_split(c))
        return JOINT_NOT;
    journal_open(c);
    c->deferred.modes = (struct stmt_modes){.isolation = ISOLATION_UNSAID};
    shardset shards = part_of(c->wanted);
    if (!split) {
        cut_look(c, batch, extent, k);
        if (!k->look.refused && k->look.shards != 0)
            shards = k->look.shards;
    }
    struct joint *j = joint_new(c);
    j->batchs = true;
    c->parted = true;
    begin_on(c, j, must_see(c, NULL, batch) ? all_shards(c) : shards, false);
    return split ? JOINT_TAKEN : JOINT_WAIT;
}

enum joint_step joint_once(struct client *c, const uint8_t *batch, size_t *extent)
{
    shardset shards = 0;
    struct cut k;

    if (c->arm != NULL || c->failed_block || c->in_batch || c->pins != 0 || rules_of(c)->serializable)
        return JOINT_NOT;
    cut_read(c, batch, *extent, &k);
    if (!k.single || !k.whole || cut_copies(&k))
        return begin_batch(c, batch, *extent, &k);
    if (!deal_would(c, &k.q, &shards) || request_stmt(&k.q)->kind == STMT_LOCK)
        return JOINT_NOT;
    struct joint *j = joint_new(c);
    j->once = true;
    c->parted = false;
    if (shardset_is_many(shards))
        return begin_on(c, j, shards, false);
    j->current = shardset_first(shards);
    client_move(c, CLIENT_GATHERING);
    return joint_deal_alone(j, &k.q);
}
