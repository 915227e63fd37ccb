/*
 * sharding.h: statements of a client whose database has shards: on which of them their rows lie, and whether the server
 * that would run one is the right one. A statement runs on one shard only if every row that it may speak of lies there;
 * else it is refused, in words that say why.
 *
 *   batch at the head ──> sharding_pool: that of the shard that its statements name; the home shard's where none does
 *   each statement, as it is sent ──> sharding_refusal: its rows lie elsewhere, too: refused in its place
 *
 * Source: SHARDS 1 and 4 (README.md, "Shards").
 * Thread: worker.
 */
#ifndef SLUICE_SHARDING_H
#define SLUICE_SHARDING_H

#include "parser/msgin.h"
#include "proxy/refusal.h"
#include "shard/copy_split.h"
#include "shard/images.h"
#include "shard/insert_split.h"
#include "shard/map.h"
#include "shard/scatter_map.h"
#include "shard/writes.h"

/* A statement as it is to run. */
struct sharding_run {
    const struct shape *shape; /* NULL: nobody has read it */
    const char *sql;
    const struct msg_bind *bind; /* with its parameters; NULL: it has none */
    struct span types;           /* of these, as Parse declared them */
};

static inline bool sharding_is_on(const struct client *c)
{
    return __atomic_load_n(&c->db->sharded, __ATOMIC_RELAXED);
}

/* The pool of the shard's primary that the batch goes to. NULL: nobody knows yet where rows lie. */
struct pool *sharding_pool(struct client *c, const uint8_t *batch, size_t extent);
/* What was found there of the batch's first statement is not taken for that of another batch (struct found_way). */
void sharding_forget_way(struct client *c);

/* What of it is known before anything is sent: the shards of all that it runs; refused: something of it cannot be run
 * on any. */
struct sharding_look {
    shardset shards;
    bool refused;
    bool given;    /* its text is another where it runs */
    bool viewed;   /* something of it has a view */
    bool timed;    /* something of it asks for the time of a transaction over shards (timing.h), which there is */
    bool outdated; /* the schema is being read anew */
};
void sharding_look(struct client *c, const uint8_t *batch, size_t extent, struct sharding_look *look);

/* True if `holds` says so of all that the batch runs, and nothing of that is unknown: neither a statement, nor a portal
 * that it has not opened itself. */
bool sharding_each(struct client *c, const uint8_t *batch, size_t extent,
                   bool (*holds)(struct client *c, const struct sharding_run *run, void *arg), void *arg);

/* Nothing of the batch runs, and it is over, or flushed. */
bool sharding_only_prepares(const uint8_t *batch, size_t extent);

/* True: the client waits until the schema was read, and is woken then; false: it has waited long enough. */
bool sharding_awaits(struct client *c);

/* Why s must not run it; NULL: it may. For refusal_send. */
struct refusal_text *sharding_refusal(struct client *c, const struct server *s, const struct sharding_run *run);

/* The same of what a Bind, all of which is there, would run. */
struct refusal_text *sharding_refuses_bind(const struct sending *m, const struct msg_bind *bind);
/* The same of a message that is not looked into. Static, or NULL. */
const char *sharding_bars(const struct sending *m);

/* Of a SELECT whose rows may lie on several shards (*shards): how all of them together answer it. NULL: they do not, or
 * it is none. For scatter_plan_free. */
struct scatter_plan *sharding_plan(struct client *c, const struct sharding_run *run, shardset *shards);
/* A SELECT that is not one shard's, and that the coordinator can answer. */
bool sharding_is_coordinators(struct client *c, const struct sharding_run *run);
/* A SELECT from tables that the coordinator has, wherever their rows lie; of a transaction that reads there. */
bool sharding_is_whole(struct client *c, const struct sharding_run *run);
/* How a statement is carried out that writes on several shards, or is about all of them. */
struct sharding_deal {
    enum write_way way; /* ROWS, SAME, COMMAND, COPY, COPY_OUT, IMAGES */
    shardset shards;
    struct insert_split *split; /* ROWS: owned; its parts are those of `shards`; else NULL */
};
/* Of a statement that writes what lies on all shards, in the way IMAGES. For images_free. */
struct images *sharding_images(struct client *c, const struct sharding_run *run);
/* The rows of a COPY FROM STDIN into a table by key, by their shards; NULL: it is none. For copy_split_free. */
struct copy_split *sharding_copy(struct client *c, const struct sharding_run *run);
/* False: it is none for that. */
bool sharding_deal(struct client *c, const struct sharding_run *run, struct sharding_deal *d);
/* Of a command that each of several shards runs by itself, one after the other: which. False: it is none. */
bool sharding_apart(struct client *c, const struct sharding_run *run, shardset *shards);
/* What a Bind runs: the text of the Parse before it in its batch (name NULL: there was none), or of the name that it
 * has. False: nobody knows. */
bool sharding_run_of_bind(struct client *c, const struct msg_parse *parse, const struct msg_bind *bind,
                          struct sharding_run *run);
/* The value of LIMIT or OFFSET, `none` where there is none. False: it cannot be told. */
bool sharding_bound(const struct sharding_run *run, const struct scatter_limit *l, int64_t none, int64_t *value);

/* Of a statement, for those who ask, in words. What was read before may be gone then (statement_read). */
struct sharding_told {
    shardset set;
    char shards[500]; /* "s1, s3"; "any" */
    char way[420];    /* "one shard", "all of them together: ...", "refused: ..." */
};
void sharding_tell(struct client *c, const struct sharding_run *run, struct sharding_told *told);
/* The same for a client of that database that has done nothing yet. */
void sharding_tell_stranger(struct worker *w, struct database_state *db, const char *sql, struct sharding_told *told);

#endif
