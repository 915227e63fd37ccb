/*
 * joint_deal.c: one statement that writes on several shards, within a transaction over these, or as one of its own; and
 * one that lies on one shard and asks for the time of another (timing.h). See joint.h, deal.h.
 * Thread: worker.
 */
#include "proxy/joint_parts.h"

#include "proxy/commit.h"
#include "proxy/deal.h"
#include "proxy/sending.h"
#include "proxy/timing.h"
#include "proxy/whole.h"

/* It is committed, or undone, and then the client is told. */
static void end_once(struct joint *j, bool commits)
{
    struct arm **arms = j->arms;

    j->phase = JOINT_ENDING;
    j->arms = NULL;
    j->commit =
        commits ? commit_new(j->c, arms, j->count, j->tag, j->alike) : commit_new_rollback(j->c, arms, j->count, NULL);
}

static void end_alone(struct joint *j, bool failed, const char *tag)
{
    struct client *c = j->c;

    joint_free(j);
    whole_end(c, failed);
    if (!failed)
        msg_command_complete(&c->conn.out, tag);
    msg_ready(&c->conn.out, 'I');
    conn_touch(&c->conn);
    client_move(c, CLIENT_IDLE);
    client_wake(c);
}

void joint_dealt(struct client *c, bool failed, const char *tag)
{
    struct joint *j = c->joint;

    if (!failed)
        whole_rows(c, msgin_tag_rows(span_of(tag, strlen(tag) + 1)));
    deal_free(j->deal);
    j->deal = NULL;
    if (j->alone) {
        end_alone(j, failed, tag);
        return;
    }
    if (j->once) {
        joint_rest(j);
        j->tag = mem_strdup(tag);
        end_once(j, !failed);
        return;
    }
    if (!failed)
        msg_command_complete(&c->conn.out, tag);
    joint_gathered(c, failed);
}

enum joint_step joint_deal(struct joint *j, const struct request *q)
{
    joint_take_back(j);
    j->phase = JOINT_DEALING;
    j->deal = deal_new(j->c, q, j->arms);
    if (j->deal != NULL) {
        j->alike = j->alike || deal_is_alike(j->deal);
        return JOINT_TAKEN;
    }
    joint_hand_over(j);
    return JOINT_NOT;
}

enum joint_step joint_deal_timed(struct joint *j, const struct request *q, uint32_t shard)
{
    joint_take_back(j);
    j->phase = JOINT_DEALING;
    j->deal = deal_new_on(j->c, q, j->arms, shard);
    return JOINT_TAKEN;
}

/* Nothing of it was run. */
static enum joint_step fail_once(struct joint *j)
{
    end_once(j, false);
    return JOINT_TAKEN;
}

enum joint_step joint_deal_once(struct joint *j, const uint8_t *batch, size_t extent)
{
    struct client *c = j->c;
    struct request q;
    bool read = request_read(c, batch, extent, &q);

    if (read && !j->timed_now && timing_asked(c, &q.run) != MOMENT_NOT) {
        joint_time(j);
        return JOINT_WAIT;
    }
    if (j->cancelled) {
        joint_take_back(j);
        msg_error(&c->conn.out, "ERROR", "57014", "canceling statement due to user request", NULL, NULL);
        conn_touch(&c->conn);
        return fail_once(j);
    }
    if (j->timed_now && !j->timed) {
        joint_take_back(j);
        joint_send_error(c, &j->round.parts[j->first]);
        return fail_once(j);
    }
    if (read && joint_deal(j, &q) == JOINT_TAKEN)
        return JOINT_TAKEN;
    joint_take_back(j);
    msg_error(&c->conn.out, "ERROR", "40001", "the placement of its rows has changed", NULL, "Try again.");
    conn_touch(&c->conn);
    return fail_once(j);
}

enum joint_step joint_deal_alone(struct joint *j, const struct request *q)
{
    j->alone = true;
    j->phase = JOINT_DEALING;
    j->arms[j->current] = arm_new(j->c, j->current, &joint_idle, j);
    j->deal = deal_new(j->c, q, j->arms);
    if (j->deal != NULL)
        return JOINT_TAKEN;
    client_move(j->c, CLIENT_IDLE);
    joint_free(j);
    return JOINT_NOT;
}
