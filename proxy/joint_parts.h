/*
 * joint_parts.h: what joint.c (the phases of a transaction over shards) and joint_route.c (what the batch at the head
 * needs of it) share with joint_ask.c, joint_deal.c, joint_keep.c and joint_portal.c.
 * Thread: worker.
 */
#ifndef SLUICE_JOINT_PARTS_H
#define SLUICE_JOINT_PARTS_H

#include "proxy/coordinated.h"
#include "proxy/joint.h"
#include "proxy/moment.h"
#include "proxy/request.h"
#include "proxy/round.h"

enum joint_phase {
    JOINT_OPEN,
    JOINT_JOINING,
    JOINT_GATED,
    JOINT_SEEING,
    JOINT_GATHERING,
    JOINT_DEALING,
    JOINT_LOOKING,
    JOINT_DRAWING,
    JOINT_TIMING,
    JOINT_WHOLE,
    JOINT_TELLING,
    JOINT_FAILING,
    JOINT_CHAINING,
    JOINT_ENDING
};

struct joint {
    struct client *c;
    enum joint_phase phase;
    uint32_t count;               /* of arms there may be: of the shards, and the coordinator's */
    uint32_t current;             /* the one whose server the client holds, or gets back */
    bool cancelled;               /* before the statement at the client's head has begun */
    bool once;                    /* it is one statement's that came without a transaction */
    bool alone;                   /* ... and needs none, for it runs on one shard */
    bool batchs;                  /* it is a batch's that came without one, and ends by its Sync */
    bool begins;                  /* TELLING: the batch begins a transaction that outlives it */
    bool drops;                   /* FAILING: the batch at the client's head is dropped after it */
    bool alike;                   /* it has changed what is to be the same on all shards (commit.h) */
    bool reads;                   /* it is in the gate */
    bool chains;                  /* CHAINING, ENDING: AND CHAIN */
    bool commits;                 /* CHAINING: it is COMMIT */
    uint32_t pinned;              /* whose server the client has kept from before; SHARD_NONE: none */
    uint32_t *left;               /* owned, by shard: TRACE_ bits of what it may keep there */
    bool whole;                   /* it reads on the coordinator, which takes part, and nowhere else */
    bool behind;                  /* GATED: ... which does not have yet what the shards have */
    struct coordinated_wait wait; /* ... for that */
    bool looked;    /* for the batch at the client's head it was asked whether it has written or locked anything */
    bool clean;     /* ... and it has not */
    bool told;      /* what the batch at the client's head sets, the others have been told */
    bool tells;     /* ... and it is sent now */
    uint32_t first; /* the shard that began it: its time is the transaction's (timing.h) */
    bool timed;     /* `moment` is that */
    bool timed_now; /* ... and was asked for by the batch at the client's head */
    struct moment moment;
    char *sql;             /* owned: what is told; NULL: nothing */
    char *tag;             /* owned: what the client is told then; NULL: nothing, it is not told itself */
    struct list portals;   /* joint_portal.c */
    uint32_t portal_count; /* that got names so far */
    struct round round;
    struct deal *deal;     /* owned; DEALING */
    struct commit *commit; /* ENDING; goes on by itself when the client leaves */
    struct arm **arms;     /* owned, by shard, NULL: it takes no part; ENDING: NULL, the commit has them. Behind the
                            * shards' the coordinator's */
};

/* Of an arm that is asked nothing. */
extern const struct arm_user joint_idle;

struct joint *joint_new(struct client *c);
/* With what its arms hold. */
void joint_free(struct joint *j);
/* Its arms are asked nothing. */
void joint_rest(struct joint *j);
/* An arm holds its server until it is told otherwise, and is asked for nothing of its session. */
void joint_add_arm(struct joint *j, uint32_t shard);
/* The client's server is its arm's again. */
void joint_take_back(struct joint *j);
/* These shards take part from now on; the batch at the head is looked at once more then. */
void joint_join(struct joint *j, shardset who);
/* Who takes part takes its snapshot. */
void joint_see(struct joint *j);
/* All that the transaction of c sees is as it was at its first query. */
bool joint_keeps_snapshot(struct client *c);
/* Whether it has written or locked anything; the batch at the head is looked at once more then. */
void joint_look(struct joint *j);
/* Keys that only it can draw (draw.h), on the first shard, which takes part; likewise. Takes sql. */
void joint_draw(struct joint *j, char *sql);
/* What time it is on the shard that began it; likewise. */
void joint_time(struct joint *j);
/* The coordinator answers, in its own transaction or, where it takes part, in that. */
enum joint_step joint_whole(struct joint *j, const struct request *q);
/* One text for all. Takes sql. begins: its batch has begun a transaction by it, which goes on after it. */
void joint_tell(struct joint *j, const struct request *q, char *sql, const char *tag, bool begins);
/* The others than that shard are told what the batch at the head sets, which is looked at once more then. Takes sql. */
void joint_tell_others(struct joint *j, uint32_t shard, char *sql);
/* That shard alone, likewise: what may fail there. */
void joint_tell_one(struct joint *j, uint32_t shard, char *sql);
/* What several shards answer together; NOT: it is none for that, after all. */
enum joint_step joint_gather(struct joint *j, const struct request *q);
enum joint_step joint_deal(struct joint *j, const struct request *q);
/* The same of one that lies on one shard, which did not begin the transaction, and asks for its time. */
enum joint_step joint_deal_timed(struct joint *j, const struct request *q, uint32_t shard);
/* The one statement that it is for: its shards have joined. */
enum joint_step joint_deal_once(struct joint *j, const uint8_t *batch, size_t extent);
/* The same of one that only one shard runs: its arm takes a server as any client does. */
enum joint_step joint_deal_alone(struct joint *j, const struct request *q);
/* COMMIT or ROLLBACK is what it runs. */
void joint_end_by(struct joint *j, const struct request *q, bool commits);
/* It ends with its batch, whose Sync is at the head. */
void joint_end_batch(struct joint *j, bool commits);
/* Its batch has begun a transaction by this, which goes on after it. */
void joint_begin_block(struct joint *j, const struct request *q, const char *tag);
/* It gets an error of our own: the transaction fails, what is left of the batch is dropped. */
void joint_refuse(struct joint *j, const struct request *q, const char *sqlstate, const char *message,
                  const char *hint);

/* The client goes on with its server. */
void joint_hand_over(struct joint *j);
/* The client is told the error of a part. */
void joint_send_error(struct client *c, const struct round_part *p);

/* --- joint_ask.c: the ends of joint_look, joint_draw and joint_time --- */

void joint_has_looked(struct joint *j);
void joint_has_drawn(struct joint *j);
void joint_has_timed(struct joint *j);

/* --- joint_portal.c --- */

/* A message at the head of the batch that such a portal is for. Returns its length; 0: it is none. */
size_t portals_take(struct joint *j, const uint8_t *batch, size_t extent);
/* All shards have done what was told, which may speak of savepoints, or of all cursors. */
void portals_heed(struct joint *j);
/* A FETCH, MOVE or CLOSE of such a portal. False: it is none. */
bool portals_run(struct joint *j, const struct request *q);
/* The name of the cursor or portal that it opens; "": none that lasts. */
const char *portals_opened(const struct request *q);
/* For a server that may have one of that name: if it has, this fails as it would. Owned by the caller. */
char *portals_question(const char *name);
/* A DECLARE, or Bind, of one that is there. False: it is none. */
bool portals_refuse(struct joint *j, const struct request *q);
/* The transaction ends: its arms are about to be somebody else's. */
void portals_free(struct joint *j);

/* --- joint_keep.c --- */

/* The client turns to another server: what it leaves on this one is noted. */
void joint_note_left(struct joint *j);
/* The transaction is over: where the client keeps something, or is to be asked for it, it holds the server again.
 * False: that is lost. */
bool joint_keep(struct joint *j, struct arm **arms);
/* The modes of the transaction, as a server has told them, for the next one. */
void joint_take_modes(struct client *c, char *text);

#endif
