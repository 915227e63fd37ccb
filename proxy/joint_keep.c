/*
 * joint_keep.c: the servers of a transaction on several shards that its client does not use now: what the session has
 * left on each, which of them it keeps when the transaction is over, and that none of them takes it for idle while
 * another one works. See joint.h.
 *
 * What a session leaves on a server (pool/traces.h) lies on one shard, mostly the first: where, is noted when the
 * client turns to another one. The one is kept, and asked as ever; the others are cleaned before anybody else has them.
 * Thread: worker.
 */
#include "proxy/joint_parts.h"

#define PLACED ((uint32_t)(TRACES_REFUSED | TRACE_LONG_PARSE | TRACE_UNKNOWN))
#define REST_USEC (USEC_PER_SEC / 5)

/* --- what lies where --- */

void joint_note_left(struct joint *j)
{
    struct client *c = j->c;
    uint32_t others = j->current == 0 ? 0 : TRACE_TEMP; /* these are the first shard's */
    uint32_t left = c->traces & (PLACED | TRACE_CERTAIN) & ~others;

    if (j->pinned == SHARD_NONE && c->pins != 0)
        j->pinned = j->current;
    j->left[j->current] |= left;
    c->traces &= ~left | TRACE_TEMP; /* which names may mean, wherever the client is */
    j->arms[j->current]->client->traces |= left;
    if (j->pinned == j->current)
        j->arms[j->current]->client->pins = c->pins;
}

static bool is_usable(const struct arm *a)
{
    return a != NULL && !arm_is_gone(a) && a->client->server != NULL && a->client->server->tx == 'I';
}

/* Where a value of a sequence was taken last counts for all of them. */
static bool is_last_of_sequences(const struct client *c, const struct arm *a)
{
    return is_usable(a) && a->client->server->id == c->sequence_server;
}

/* The shard with what cannot be carried; SHARD_NONE: there is none. */
static uint32_t shard_of_placed(const struct joint *j, struct arm *const *arms)
{
    uint32_t found = SHARD_NONE;

    if (j->pinned != SHARD_NONE)
        return j->pinned;
    for (uint32_t k = 0; k < j->count; k++) {
        if (!(j->left[k] & PLACED))
            continue;
        if (found == SHARD_NONE || is_last_of_sequences(j->c, arms[k]))
            found = k;
        if (j->left[k] & PLACED & ~(uint32_t)TRACE_SEQUENCE)
            return k;
    }
    return found;
}

/* Any can tell of what all were told. */
static uint32_t any_usable(const struct joint *j, struct arm *const *arms)
{
    uint32_t found = j->current;

    for (uint32_t k = 0; k < j->count && !is_usable(arms[found]); k++)
        if (is_usable(arms[k]))
            found = k;
    return found;
}

bool joint_keep(struct joint *j, struct arm **arms)
{
    struct client *c = j->c;
    uint32_t shard = shard_of_placed(j, arms);
    bool counts = shard != SHARD_NONE && (c->pins != 0 || (j->left[shard] & TRACE_CERTAIN));

    for (uint32_t k = 0; k < j->count; k++)
        c->traces |= j->left[k];
    if ((c->traces | c->pins) == 0)
        return true;
    struct arm *a = arms[shard == SHARD_NONE ? any_usable(j, arms) : shard];
    if (!is_usable(a))
        return !counts;
    a->client->mode = POOL_TRANSACTION;
    a->client->traces = a->client->pins = 0;
    arm_lend(a);
    return true;
}

/* --- idleness --- */

static bool works(const struct joint *j)
{
    return j->phase != JOINT_OPEN || (j->c->server != NULL && !expect_empty(&j->c->server->expects));
}

static bool rests(const struct arm *a)
{
    const struct client *c = a->client;

    return !arm_is_gone(a) && c->server != NULL && c->server->tx != 'I' && expect_empty(&c->server->expects) &&
           !c->in_batch;
}

/* idle_in_transaction_session_timeout is the session's: a server's clock begins anew when another one has answered. */
void joint_keep_awake(struct client *c)
{
    struct joint *j = c->joint;
    usec_t now = c->worker->loop.now;

    if (j == NULL || j->phase == JOINT_ENDING)
        return;
    usec_t last = works(j) ? now : c->idle_at;
    for (uint32_t k = 0; k < j->count; k++) {
        struct arm *a = j->arms[k];
        if (a == NULL || !rests(a) || now - a->client->idle_at < REST_USEC || last <= a->client->idle_at)
            continue;
        arm_nudge(a);
        a->client->idle_at = now;
    }
}

bool joint_is_once(const struct client *c)
{
    return c->joint->once;
}

bool joint_is_whole(const struct client *c)
{
    return c->joint != NULL && c->joint->whole;
}

bool joint_is_committing(const struct client *c)
{
    return c->joint != NULL && c->joint->phase == JOINT_ENDING;
}

/* --- its time --- */

const struct moment *joint_moment(const struct client *c)
{
    const struct client *of = c->arm != NULL ? c->arm->of : c;

    return of != NULL && of->joint != NULL && of->joint->timed ? &of->joint->moment : NULL;
}

const struct moment *joint_moment_on(const struct client *c, uint32_t shard)
{
    return c->joint != NULL && c->joint->first == shard ? NULL : joint_moment(c);
}

/* --- AND CHAIN --- */

static enum stmt_isolation isolation_of(const char *text)
{
    if (strcmp(text, "serializable") == 0)
        return ISOLATION_SERIALIZABLE;
    if (strcmp(text, "repeatable read") == 0)
        return ISOLATION_REPEATABLE_READ;
    return strcmp(text, "read committed") == 0 ? ISOLATION_READ_COMMITTED : ISOLATION_READ_UNCOMMITTED;
}

/* "read committed,off,off" */
void joint_take_modes(struct client *c, char *text)
{
    char *rest = text;
    const char *isolation = strsep(&rest, ","), *read_only = strsep(&rest, ","), *deferrable = rest;

    if (deferrable == NULL)
        return;
    c->deferred.modes = (struct stmt_modes){
        .isolation = isolation_of(isolation),
        .access = strcmp(read_only, "on") == 0 ? ACCESS_READ_ONLY : ACCESS_READ_WRITE,
        .deferrable = strcmp(deferrable, "on") == 0 ? DEFERRABLE_YES : DEFERRABLE_NO,
    };
}

void joint_chain(struct client *c)
{
    struct buf sql = {0};
    struct server *s = c->server;

    c->chains = false;
    if (c->state != CLIENT_IDLE && c->state != CLIENT_ACTIVE)
        return;
    if (s == NULL) {
        defer_chain(c);
        return;
    }
    journal_open(c);
    defer_put_begin(c, &sql);
    buf_put_u8(&sql, 0);
    send_own(c, s, (const char *)sql.data, EFFECT_LENT);
    buf_free(&sql);
    c->xact_at = c->worker->loop.now;
}
