/*
 * cut.h: a batch in parts. What comes up to Sync may be of several shards: in a transaction over these it goes on part
 * by part, each as a batch of its own, whose ReadyForQuery the client does not see. After an error, what is left of it
 * is dropped here. In a transaction that changes nothing but this.
 *
 *   Parse Bind Execute, Bind Execute │ Bind Execute │ Bind Execute │ Sync
 *   one shard's                        another's      many shards'
 *
 * A Query of several statements becomes one for each, and a Sync: client.split, which is worked on before anything else
 * that has come.
 * Thread: worker.
 */
#ifndef SLUICE_CUT_H
#define SLUICE_CUT_H

#include "proxy/request.h"

/* What a batch begins with. */
struct cut {
    size_t len;  /* bytes of it, without its Sync */
    bool whole;  /* there is no more of it than that Sync */
    bool single; /* it is one statement, which q is */
    struct request q;
    struct sharding_look look; /* cut_look: on which shards it lies */
};

/* Its first statement. It must not move. */
void cut_read(struct client *c, const uint8_t *batch, size_t extent, struct cut *k);
/* It is COPY FROM STDIN by the extended protocol: Sync is no end of that. */
static inline bool cut_copies(const struct cut *k)
{
    return k->single && !k->q.simple && request_stmt(&k->q) != NULL && request_stmt(&k->q)->kind == STMT_COPY_FROM;
}
/* It is a text of several, some of which are commands of the transaction. */
bool cut_has_commands(const struct cut *k);
/* ... with those behind it that lie on the same shard. */
void cut_look(struct client *c, const uint8_t *batch, size_t extent, struct cut *k);
/* So many bytes of it go to the server that the client holds, or is given, as a part. */
void cut_begin(struct client *c, size_t len);
/* So many bytes of it have been sent. */
void cut_sent(struct client *c, size_t len);
/* ReadyForQuery has come for what was sent of it, or for a batch that runs nothing. */
void cut_answered(struct client *c, bool failed);
/* A Query of several statements at the head goes on as those. False: it is none. */
bool cut_split(struct client *c, const uint8_t *batch, size_t extent);
/* What is worked on is of such a Query. */
static inline bool cut_is_split(const struct client *c)
{
    return buf_used(&c->split) > 0;
}

#endif
