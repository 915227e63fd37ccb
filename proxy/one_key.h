/*
 * one_key.h: most statements of an application name one table and hold its key to one value. Of a shape that was found
 * to be so, the next statement's shard is read from that value alone: nothing else of it can change where it runs as
 * long as the catalog and the map are the same.
 * Thread: worker.
 */
#ifndef SLUICE_ONE_KEY_H
#define SLUICE_ONE_KEY_H

#include "conf/base.h"
#include "shard/map.h"

struct finding;
struct sharding_run;
struct client;
struct stmt_place;

/* What was found of a shape. Begin with all zeroes, end with one_key_forget. */
struct one_key {
    struct map *map; /* counted; NULL: nothing */
    uint64_t generation;
    const struct map_table *table;  /* the map's */
    const struct stmt_place *place; /* the shape's */
    bool shared;                    /* it is a parameter that stands in the text more than once */
};

/* After a finding that says no more than a shard, and of which the worker's keyset was read last. */
void one_key_learn(const struct finding *f);
/* The shard of a run. False: the shape is not known to be such a one, or this value is not certain. */
bool one_key_shard(struct client *c, const struct sharding_run *run, shardset *shard);
void one_key_forget(struct one_key *k);

#endif
