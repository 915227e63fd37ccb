/*
 * shards_sequences.h: what `sluice shards --apply` does last: of tables with sequence=home the first shard's sequence
 * comes to be above all that any shard has drawn before, or has as a key, and the others' begin anew: nobody draws from
 * those any more. shard/survey_check.c says where that was not done.
 * Thread: main, in a process that does nothing else.
 */
#ifndef SLUICE_SHARDS_SEQUENCES_H
#define SLUICE_SHARDS_SEQUENCES_H

#include "conf/load.h"
#include "shard/map.h"

/* False: it has said why on stderr. database is what clients call it. */
bool shards_sequences_apply(const struct config *c, const struct config_sharding *s, const char *database,
                            const struct map *m);

#endif
