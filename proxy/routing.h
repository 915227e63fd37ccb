/*
 * routing.h: where the batch at the head of a client's input goes: what its statements allow (shard/route.h), what the
 * session and its database demand, and which replica is fresh enough (pool/cluster.h).
 * Thread: worker.
 */
#ifndef SLUICE_ROUTING_H
#define SLUICE_ROUTING_H

#include "proxy/client.h"
#include "shard/route.h"

/* Of a shape, for this client's database as its catalog is now. NULL: of a text that nobody could read. */
struct route routing_of_shape(struct client *c, const struct shape *shape);

/* True of all that the batch (as below) runs, and it prepares nothing that would have to be known elsewhere. */
typedef bool routing_is(struct client *c, const struct shape *shape);
bool routing_batch_is(struct client *c, const uint8_t *batch, size_t extent, routing_is *is);

/* The pool that the batch (all of it is there: extent bytes, `last` its last message's type) gets its server from.
 * NULL: it waits a little for a replica to be fresh; the client is woken. */
struct pool *routing_choose(struct client *c, const uint8_t *batch, size_t extent, uint8_t last);

/* Why no statement of c goes to a replica, however little it does; NULL: it may. */
const char *routing_bar(struct client *c);
/* The replica that a read of c would go to now, where none is barred; -1: the primary. */
int routing_node(struct client *c);

/* Replicas have come further: who waits for that looks again. For workers_call; and ten times a second, so that nobody
 * waits for ever. */
void routing_news(struct worker *w, void *unused);

static inline bool routing_on_replica(const struct server *s)
{
    return s->pool->target->host != NULL;
}

/* The server is a replica's that was chosen for one batch of c, which knows nothing of replicas. */
static inline bool routing_is_guest(const struct client *c, const struct server *s)
{
    return routing_on_replica(s) && !c->standby;
}

/* What this server reports and c is not told: that a read went to a replica. */
static inline bool routing_hides(const struct client *c, const struct server *s, const char *setting)
{
    return routing_is_guest(c, s) && strcmp(setting, "in_hot_standby") == 0;
}

/* All that s still owes c is known to read. */
bool routing_owes_reads(struct client *c, const struct server *s);

/* It is a replica's server that logged in after the sample by which it was chosen, and may show less than that. */
bool routing_is_stale(struct client *c, const struct server *s);

/* Bytes of this server's answer have come to c: what c has seen now, it must go on seeing. */
void routing_answered(struct client *c, const struct server *s);

/* Nobody answers at some replica (control has said so): what was asked there, or waits to be, and of which nothing has
 * come, is asked of the primary. For workers_call. */
void routing_forsake(struct worker *w, void *unused);

/* A replica's error that the primary is to answer for in its place. */
bool routing_is_again(const char *sqlstate);
/* A replica has refused what this batch does: remembered, where it was because it writes. */
void routing_learn(struct client *c, const struct expect *e, const char *sqlstate);
extern const char routing_learnt_why[];
/* So it was remembered, and not forgotten since. */
bool routing_has_learnt(const struct reading *r);

#endif
