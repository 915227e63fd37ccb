/*
 * told.h: the shard that a statement's user names for it, by name or by a key, and what even so must not be done there.
 * A user's word counts for what is read and changed; rows that would come to lie where nobody looks for them are
 * refused, unless the shard itself checks them (its guard).
 *
 *   shard=s2       s2
 *   key=42         the shard of 42, by the function that the tables of the statement have in common; where it has none
 *                  by key, the one that all tables of the map have in common
 *
 * Thread: any (no state).
 */
#ifndef SLUICE_TOLD_H
#define SLUICE_TOLD_H

#include "shard/keyset.h"

/* One of the two, the other is NULL. Borrowed. */
struct told {
    const char *shard;
    const char *key;
    bool in_comment; /* of the statement itself; else its session's */
};

struct told_error {
    char message[200];
    char hint[200];
};

/* *shard: the one that is meant; SHARD_NONE: the session's word means nothing for a statement of these tables (those by
 * key that it mentions). False: it is none, or nobody can tell which; error says so. */
bool told_shard(const struct told *t, const struct map *m, const struct map_table *const *tables, size_t count,
                bool utf8, uint32_t *shard, struct told_error *error);

/* False: no shard of the map can be meant by it, whatever the statement; error says so. */
bool told_may_be(const struct told *t, const struct map *m, bool utf8, struct told_error *error);

/* Kinds of statements that are where they are, whatever their session says: transactions, settings, cursors. */
bool told_heeds(const struct stmt *s);

/* Why s must not run on that shard, since it would put rows where they do not lie; NULL: it may. Static. k was read of
 * it, or (not_rows) has nothing but the placements of its tables. */
const char *told_bars(const struct stmt *s, const struct keyset *k, uint32_t shard);

/* The shards themselves check rows of that table: `sluice shards` writes a guard for it. */
bool told_is_guarded(const struct map_table *t);

#endif
