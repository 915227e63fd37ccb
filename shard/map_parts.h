/*
 * map_parts.h: what map_read.c wants of map_buckets.c.
 * Thread: control (or main before threads start).
 */
#ifndef SLUICE_MAP_PARTS_H
#define SLUICE_MAP_PARTS_H

#include "shard/map.h"

/* Lays out the buckets of a map whose shards are known, as the line says; NULL: as many as shards, each on its own.
 * False after an error, which is added with its place. */
bool map_buckets_take(struct map *m, const struct config_line *line, struct config_errors *errors);

#endif
