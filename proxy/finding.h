/*
 * finding.h: what a statement speaks of: its tables (in the home shard's catalog, then in the map), its functions, and
 * what only the home shard has. The shards on which any of it lies are added up; what lies on each of them alike adds
 * none. What the files of sharding.h share, and nobody else includes.
 *
 *   none  any server may run it        one  that shard        more, or not to be said  see sharding.h
 *
 * Thread: worker.
 */
#ifndef SLUICE_FINDING_H
#define SLUICE_FINDING_H

#include "proxy/sharding.h"
#include "shard/insert_split.h"
#include "shard/writes.h"

/* What is found of a text. */
struct finding {
    struct client *c;
    const struct map *map;
    const struct sharding_run *run;
    shardset shards;
    enum write_way way;   /* of a command; else NOT */
    bool home;            /* it uses what only the home shard has */
    bool makes_temporary; /* one of the statements before, or this one, may have made a table of the session's own */
    bool told;            /* the user has named the shard */
    bool anywhere;        /* it inserts rows that may lie on any shard: one is to be chosen */
    bool refills;         /* its rows are known only when it runs (shard/refill.h) */
    shardset from;        /* REFILLS: where the rows are now, of an UPDATE */
    bool given;           /* its rows get keys that are drawn (draw.h): its text is another where it runs */
    bool tells;           /* it is not run: nothing is drawn for it */
    bool viewed;          /* it has a view, which speaks against it first */
    bool by_call;         /* a function in it runs where its key is */
    bool outdated;        /* the schema is being read anew: it can be said then */
    bool unread;          /* the server may find more wrong with it than can be seen here */
    const char *sqlstate; /* NULL: not refused */
    const char *hint;
    char message[400];
    char told_hint[200]; /* where hint is NULL; "": none */
};

#define FINDING_MERGE_HINT                                                                                             \
    "Hold each table in it to one shard by a key that is a value, as by USING (SELECT 5 AS id) s ON t.id = s.id; or "  \
    "use INSERT ... ON CONFLICT, UPDATE and DELETE."

struct finding finding_of(struct client *c, const struct sharding_run *run);
/* The same for who only wants to know. */
struct finding finding_to_tell(struct client *c, const struct sharding_run *run);
/* The same for who has, or is likely to have, found the same of the same run a moment ago. */
struct finding finding_again(struct client *c, const struct sharding_run *run);
/* It says which shard, or that any will do, and nothing else. */
bool finding_is_plain(const struct finding *f);

/* The first reason counts. */
void finding_refuse(struct finding *f, const char *hint, const char *format, ...) PRINTF_LIKE(3, 4);

/* It cannot be sent to one shard as it is. */
static inline bool finding_is_many(const struct finding *f)
{
    return f->sqlstate == NULL && (shardset_is_many(f->shards) || f->given);
}

/* The one statement of the text; NULL: there are none or several, or nobody has read it. */
const struct stmt *finding_stmt(const struct finding *f);

/* The parameters of a Bind, which was checked when it came. Returns how many there are; owned by the caller. */
size_t finding_params(const struct sharding_run *run, struct key_param **params);
/* One of them, by its number from 1. False: there are not so many. */
bool finding_param(const struct sharding_run *run, uint32_t number, struct key_param *p);

/* Where a table lies; NULL: it is refused. */
const struct map_table *finding_table(struct finding *f, const struct stmt_table *t);
/* Each shard draws keys of its own for that table's rows. */
bool finding_draws(const struct finding *f, const struct map_table *t);
/* The first shard draws them for all. */
bool finding_draws_home(const struct finding *f, const struct map_table *t);
/* This execution's text. *params: for free(). */
struct keyset_text finding_text(const struct finding *f, struct key_param **params);

/* Where the keys come from of a table's rows that have none. */
enum insert_draw finding_draw(const struct finding *f, const struct map_table *t);
bool finding_is_always(const struct finding *f, const struct map_table *t);

/* An INSERT into a table by key, taken apart; the worker's keyset was read of it. NULL: *r says why not. For
 * insert_split_free. */
struct insert_split *finding_split(struct finding *f, const struct stmt *s, const struct keyset_text *text,
                                   struct insert_refusal *r);

/* --- finding_insert.c --- */

/* Rows without their keys, or whose keys the shape does not tell: k, which was read of it, is told their shards. */
void finding_insert(struct finding *f, const struct stmt *s, struct keyset *k, const struct keyset_text *text);

/* --- sharding.c --- */

/* Of a SELECT of several shards: how they answer it together. NULL: they do not, or it is none. For
 * scatter_plan_free. */
struct scatter_plan *finding_plan(struct finding *f, struct scatter_refusal *r);
bool finding_is_coordinators(struct finding *f);
/* Of a statement that several shards carry out: how. False: it is none; r->why[0] != 0: it is refused. */
bool finding_deal(struct finding *f, struct sharding_deal *d, struct scatter_refusal *r);
/* Why several shards, and the coordinator, do not. */
void finding_refuse_many(struct finding *f);

/* --- sharding_copy.c --- */

/* The rows of a COPY FROM STDIN, by their shards. NULL: *why (static) says why not, or "". For copy_split_free. */
struct copy_split *finding_copy(struct finding *f, const char **why);

/* --- finding_refill.c --- */

/* An INSERT that is not of rows which are written in it: INSERT ... SELECT, most likely. */
bool finding_is_select(const struct stmt *s);
/* k was read of it, and of its text. Either it is one shard's, and k says which; or (REFILLS) all may have its rows. */
void finding_select(struct finding *f, const struct stmt *s, struct keyset *k, const struct keyset_text *text);
/* The same of an UPDATE that sets a key. */
void finding_move(struct finding *f, const struct stmt *s, struct keyset *k, const struct keyset_text *text);

/* --- finding_sequence.c --- */

/* The shards of the sequences that s calls. */
shardset finding_sequences(struct finding *f, const struct stmt *s);

#endif
