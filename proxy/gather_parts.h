/*
 * gather_parts.h: what gather.c (an answer of several shards), gather_portal.c (one of which the client wants so many
 * rows at a time) and gather_time.c (one that asks for the time) share, and nobody else includes.
 * Thread: worker.
 */
#ifndef SLUICE_GATHER_PARTS_H
#define SLUICE_GATHER_PARTS_H

#include "proxy/gather.h"
#include "shard/merge.h"

enum part_phase {
    PART_TIMING, /* it is asked for the time */
    PART_PREPARING,
    PART_PARSING,
    PART_BINDING,
    PART_RUNNING,
    PART_PAUSED, /* its portal may have more rows; nothing is under way */
    PART_ASKING, /* whether that is still there, or it is closed */
    PART_OVER
};

struct part {
    struct arm *arm; /* owned, unless it is lent; NULL: it is gone */
    struct gather *gather;
    uint32_t number; /* among the parts */
    bool asked;      /* it has been given something to run */
    bool parsed;     /* the server has taken the text */
    bool takes;      /* ... and the parameters */
    bool bound;      /* it has its portal, and has been asked for that one's rows */
    bool ended;      /* ... and has given all of them */
    enum part_phase phase;
};

struct gather {
    struct client *c;
    bool in_joint; /* the arms are those of its transaction (joint.h) */
    bool together; /* all snapshots are taken at once */
    bool waits;    /* ... before the gate */
    bool reads;    /* it is in the gate */
    usec_t reads_since;
    uint32_t arrived; /* parts that have come as far as all must before the next step */
    struct scatter_plan *plan;
    struct merge *merge;
    struct buf text;   /* what each arm runs: Parse */
    struct buf bind;   /* ... Bind's body up to the formats of the result */
    struct buf params; /* ... where the time is asked for, without that: the parameters, which belong there */
    uint16_t *formats; /* of the result, as the client wants them */
    size_t format_count;
    int visible_count; /* columns that the client sees; -1: not known yet */
    bool describes;
    bool typed;     /* the types of values are known, and can be merged */
    bool described; /* the client has been told, or does not want to be */
    struct opening opening;
    char *parses;                /* owned: the name that the client's Parse gives; NULL: there was none */
    struct coordinated *instead; /* owned: asked where values turn out to be of types that cannot be merged; or NULL */
    bool turned;                 /* that is so, and nothing of it was told */
    bool failed;                 /* it was told an error, or turned */
    bool done;                   /* it has all rows */
    bool pumping;
    usec_t cancelled_at; /* last; 0: it was not */
    char *portal;        /* owned: as it is called on each shard, and outlives its Execute; NULL: it does not */
    uint32_t rows_max;   /* of this Execute; 0: all */
    bool stops;          /* that many were given: it is suspended as soon as nothing is under way */
    bool doubted;        /* a savepoint was returned to since: the portals may be gone */
    bool closes;         /* they are being closed */
    uint32_t next;       /* the arm that runs next, when the one before it has its server */
    uint32_t count;
    struct part parts[];
};

/* --- gather.c --- */

void gather_feed(struct part *part);
/* Its arms tell it what they are sent. */
void gather_listen(struct gather *g);

/* --- gather_time.c --- */

/* False: another parameter has the place of the time's. */
bool gather_may_give_time(const struct request *q, const struct scatter_plan *p);
/* True: the time is to be asked for before anything is bound. */
bool gather_wants_time(struct gather *g);
/* The answer. False: it is none. */
bool gather_take_time(struct gather *g, struct span row);

/* --- gather_portal.c --- */

/* Describe (once), Execute and Sync of a part. */
void gather_put_execute(struct part *part, struct buf *in);
/* Portals that are asked for something by PART_ASKING. */
void gather_put_question(struct part *part, struct buf *in);
/* ReadyForQuery has come: what the part is now. */
enum part_phase gather_rests(const struct part *part);
/* Asks for more rows where none can go on without them. */
void gather_refill(struct gather *g);
/* Nothing is under way. False: it is over, and not kept. */
bool gather_keep(struct gather *g);

#endif
