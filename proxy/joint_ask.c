/*
 * joint_ask.c: what a transaction over shards asks its servers between the client's statements: whether it has done
 * anything that the coordinator would not see, for keys that nobody else can draw, and what time it is.
 * Thread: worker.
 */
#include "proxy/joint_parts.h"

#include "proxy/draw.h"

/* An exclusive lock would keep it waiting for the client's own transaction, and nobody could see that. */
static const char look_question[] =
    "SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NULL AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE "
    "pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND locktype OPERATOR(pg_catalog.=) 'relation' "
    "AND mode OPERATOR(pg_catalog.<>) 'AccessShareLock')";

void joint_look(struct joint *j)
{
    joint_take_back(j);
    j->phase = JOINT_LOOKING;
    round_begin(&j->round);
    for (uint32_t k = 0; k < j->count; k++)
        if (j->arms[k] != NULL)
            round_ask(&j->round, j->arms[k], look_question);
}

void joint_has_looked(struct joint *j)
{
    struct round_part *failed = round_failed(&j->round);

    if (failed != NULL) {
        joint_send_error(j->c, failed);
        j->current = failed->arm->shard;
        j->c->drop_batch = true;
    }
    j->looked = j->clean = true;
    for (uint32_t k = 0; k < j->count; k++)
        j->clean = j->clean && (j->arms[k] == NULL || strcmp(j->round.parts[k].value, "t") == 0);
    joint_hand_over(j);
}

void joint_draw(struct joint *j, char *sql)
{
    joint_take_back(j);
    j->phase = JOINT_DRAWING;
    round_begin(&j->round);
    round_ask(&j->round, j->arms[0], sql);
    free(sql);
}

/* The transaction has failed with it, as with the statement itself. */
void joint_has_drawn(struct joint *j)
{
    struct round_part *failed = round_failed(&j->round);

    if (failed == NULL) {
        draw_own_take(j->c, j->round.parts[0].value);
    } else {
        joint_send_error(j->c, failed);
        j->current = 0;
        j->c->drop_batch = true;
    }
    joint_hand_over(j);
}

void joint_time(struct joint *j)
{
    joint_take_back(j);
    j->phase = JOINT_TIMING;
    round_begin(&j->round);
    round_ask(&j->round, j->arms[j->first], moment_question);
}

/* Of one statement's transaction, the error is told where that would have begun (joint_deal_once). */
void joint_has_timed(struct joint *j)
{
    struct round_part *failed = round_failed(&j->round);

    j->timed_now = true;
    j->timed = failed == NULL && moment_read(j->round.parts[j->first].value, &j->moment);
    if (j->once) /* it has begun by its statement */
        j->moment.statement_us = j->moment.epoch_us;
    if (failed != NULL && !j->once) {
        joint_send_error(j->c, failed);
        j->current = j->first;
        j->c->drop_batch = true;
    }
    joint_hand_over(j);
}
