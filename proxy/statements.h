/*
 * statements.h: what is known of the statements that clients send: read once a shape (parser/cache.h), counted at every
 * run, shown by SHOW STATEMENTS and SHOW SLOW_QUERIES.
 *
 *   text -> fingerprint -> shape -> reading (what it is, and its figures)
 *                            ^
 *   expect entry (Query, Execute) ── held until the reply ends it: then the run is counted
 *
 * Thread: worker, but for the functions that say otherwise.
 */
#ifndef SLUICE_STATEMENTS_H
#define SLUICE_STATEMENTS_H

#include "conf/clock.h"
#include "parser/alike.h"
#include "parser/cache.h"
#include "parser/fingerprint.h"
#include "parser/recent.h"
#include "parser/stmt.h"
#include "pool/stmts.h"
#include "proxy/one_key.h"
#include "shard/hint.h"

struct client;
struct database_state;
struct server;
struct worker;
struct expect;
struct options;

/* Run times in classes of a quarter of an octave: class 4k+j holds (4+j) * 2^(k-2) us and more, up to an hour. */
#define RUN_CLASSES 128

/* Times of one kind. */
struct spread {
    uint64_t count, total_us, min_us, max_us;
    uint32_t classes[RUN_CLASSES];
};

struct statement_figures {
    uint64_t calls;
    uint64_t errors;
    uint64_t timeouts; /* of the errors: 57014 */
    uint64_t reruns;
    uint64_t rows;
    uint64_t bytes; /* of the answers */
    uint64_t on_replica;
    usec_t last_at;
    struct spread run;
    struct spread wait; /* for a server; only of those that waited at all */
};

/* How many of a shape's calls one node has answered. */
struct node_calls {
    const struct node *node;
    uint64_t calls;
};

/* Where a shape may go, as catalog and configuration are in a generation; 0: not yet asked. */
struct reading_route {
    struct route route;
    uint64_t generation;
};

/* The value of a shape. */
struct reading {
    struct stmt_list *list;       /* owned; NULL: nobody has read it */
    uint32_t reasons;             /* of all its statements together; REASON_CODE where nobody has read it */
    uint32_t effects;             /* likewise; all bits where nobody has read it */
    struct hint hint;             /* a comment in the text */
    struct reading_route verdict; /* with its own hint */
    struct reading_route eased;   /* with the session's, for a replica, where it has none */
    uint32_t traces;              /* what its statements may leave in a session, by what was suspected then ... */
    uint64_t traced;              /* ... which is this number (ask.c); 0: not yet asked */
    uint64_t unmerged; /* the catalog's generation in which shards' answers to it could not be merged; 0: none */
    struct one_key one_key;
    const char *why_not; /* why nobody has read it: static; NULL: it was read */
    const struct database_state *db;
    const struct user_state *user; /* the client's */
    struct statement_figures f;    /* written by its worker alone */
    struct node_calls *nodes;      /* owned: those that have answered; NULL: none yet */
    size_t node_count;
};

/* One a worker: texts that were read, and the shapes of shared prepared statements, found without reading again. */
#define MEMO_SLOTS 1024

struct statements {
    struct fingerprint fingerprint;
    struct buf read; /* the text that it is of; empty: of one that is not kept */
    unsigned read_flags;
    struct cache cache;
    struct recent recent;
    struct alike alike;
    uint64_t seed;
    struct memo {
        uint64_t key[2];
        uint32_t database, user;
        struct shape *shape; /* held; NULL: empty */
    } memo[MEMO_SLOTS];
};

void statements_init(struct statements *s, const struct options *o);
void statements_free(struct statements *s);
/* Takes up new bounds. */
void statements_configure(struct statements *s, const struct options *o);

/* The shape of a text that client c sends. NULL: statements are not read (sql_aware = 0), or this one cannot be.
 * Borrowed until the next call, unless it is held. */
struct shape *statement_read(struct client *c, const char *sql, size_t len);
/* The same for a text that is likely to come again to the byte. */
struct shape *statement_recall(struct client *c, const char *sql, size_t len);
/* The same for a Query that is read for its route. The client keeps what was found until the text is sent: then
 * statement_take finds it, or reads the text if it is another. */
struct shape *statement_read_ahead(struct client *c, const char *sql, size_t len);
struct shape *statement_take(struct client *c, const char *sql, size_t len);
/* Where the values stand in a text of that shape. Borrowed until the next call of any of these. */
struct statement_slots {
    const struct slot *slots;
    uint32_t count;
};
struct statement_slots statement_slots(struct client *c, const struct shape *shape, const char *sql);
/* Lets go of what is kept. */
void statement_forget(struct client *c);
/* The same for a text that is shared between clients. */
struct shape *statement_of_text(struct client *c, const struct stmt_text *text);

static inline struct reading *reading_of(const struct shape *s)
{
    return s->value;
}

/* True if a run may have one of these effects (enum stmt_effect), as far as the grammar tells. Of a text that nobody
 * has read, and of no shape at all, nobody knows. */
static inline bool shape_may(const struct shape *s, uint32_t effects)
{
    return s == NULL || (reading_of(s)->effects & effects) != 0;
}

#define STATEMENT_LITERAL_MAX (8 * KIB) /* of a text as it was sent, what is kept */

/* One run of a statement, over. */
struct statement_run {
    const struct shape *shape;
    const char *literal;    /* as it was sent; NULL: not kept */
    const struct server *s; /* NULL: several (whole.h) */
    uint64_t us, rows, bytes;
    bool failed;
};

/* Counts it for the console, and notes it where it was slow. */
void statement_run(struct client *c, const struct statement_run *run);
/* The entry that was pushed last on s is a run of this shape (NULL: of one that is not known), with this text (NULL:
 * not known). */
void statement_sent(struct client *c, struct server *s, struct shape *shape, const char *sql);
/* A statement of this shape was answered without a server. */
void statement_answered(const struct client *c, struct shape *shape);
/* An entry is popped or dropped: its shape and text are let go. */
void statement_release(struct worker *w, const struct expect *e);
/* The head of what s owes to c has been answered: a run is over. */
void statement_done(struct client *c, struct server *s, const struct expect *e);
/* The run that is under way has failed. */
void statement_failed(struct client *c, struct server *s, const char *sqlstate);
/* What runs on s will get no answer of it. */
void statement_lost(struct client *c, struct server *s, bool timed_out);
/* What s has under way is run again. */
void statement_rerun(struct server *s);

/* --- the console --- */

/* What the first statement of a shape is, in words; "" where nobody has read it. */
const char *statement_kind(const struct shape *s);

/* The time under which a share (0 to 1) of all lie, in microseconds; what the spread has not counted took none. Pure.
 */
uint64_t statement_percentile(const struct spread *t, uint64_t all, double share);
/* The same as a shape's value, made for the caller alone, who frees it; of a text read with standard_conforming_strings
 * on. Sets *text (owned by the caller) to the normalised text. Thread: any. */
struct reading *reading_apart(const struct options *o, const char *sql, char **text);
void reading_free(void *reading);
/* For each shape that this worker has of a text, over all users of a database: true as soon as `is` says so. */
bool statement_any(struct worker *w, const struct database_state *db, const char *sql,
                   bool (*is)(const struct reading *r));

/* RESET STATEMENTS. */
void statements_reset(struct worker *w, void *unused);
#endif
