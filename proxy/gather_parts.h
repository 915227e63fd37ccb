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
    PART_CLOSING,
    PART_OVER
};

struct part {
    struct arm *arm; /* owned, unless it is lent; NULL: it is gone */
    struct gather *gather;
    uint32_t number; /* among the parts */
    bool asked;      /* it has been given something to run */
    bool parsed;     /* the server has taken the text */
    bool takes;      /* ... and the parameters */
    bool bound;      /* it has its portal, which was described, and is asked for its rows */
    bool ended;      /* ... and has given all of them */
    uint32_t wanted; /* FETCH: so many were asked for; 0: all */
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
    char *name;          /* owned: ... and as the client calls it */
    struct buf columns;  /* ... its RowDescription, as it was bound */
    bool declares;       /* it is only bound: by DECLARE */
    bool binary;         /* ... as BINARY */
    bool says_nothing;   /* ... whose Describe is answered by NoData */
    bool fetches;        /* its rows come by FETCH, in formats of its own: */
    uint16_t *fetched;   /* owned */
    size_t fetched_count;
    struct shape *shape; /* held: the statement that opened it, for whole.h; or NULL */
    const char *tag;     /* of FETCH, MOVE, CLOSE; NULL: the extended protocol wants rows, or closes it */
    bool drops;          /* MOVE: its rows go nowhere */
    uint32_t rows_max;   /* of this Execute; 0: all */
    bool stops;          /* that many were given: it is suspended as soon as nothing is under way */
    bool closes;         /* they are being closed */
    uint32_t next;       /* the arm that runs next, when the one before it has its server */
    uint32_t count;
    struct part parts[];
};

/* --- gather.c --- */

void gather_feed(struct part *part);
/* Its arms tell it what they are sent. */
void gather_listen(struct gather *g);
void gather_fail_as(struct gather *g, const char *sqlstate, const char *message, const char *hint);
/* All its snapshots are taken. */
void gather_leave_gate(struct gather *g);

/* --- gather_time.c --- */

/* False: another parameter has the place of the time's. */
bool gather_may_give_time(const struct request *q, const struct scatter_plan *p);
/* True: the time is to be asked for before anything is bound. */
bool gather_wants_time(struct gather *g);
/* The answer. False: it is none. */
bool gather_take_time(struct gather *g, struct span row);

/* --- gather_portal.c --- */

/* Describe (once), Execute or FETCH, and Sync of a part. */
void gather_put_execute(struct part *part, struct buf *in);
/* PART_CLOSING: the portal is closed. */
void gather_put_close(struct part *part, struct buf *in);
/* CommandComplete has come: whether it is behind the last of a part's rows. */
bool gather_ends(const struct part *part, struct span body);
/* ReadyForQuery has come: what the part is now. */
enum part_phase gather_rests(const struct part *part);
/* Asks for more rows where none can go on without them. */
void gather_refill(struct gather *g);
/* The portals are its transaction's, under names of their own. */
void gather_outlives(struct gather *g, const struct request *q);
/* The tag of a FETCH or MOVE. */
void gather_put_tag(struct gather *g);
/* Nothing is under way. False: it is over, and not kept. */
bool gather_keep(struct gather *g);

#endif
