/*
 * averages.h: the statistics of all workers together, by database, and their averages over the last stats_period.
 * Thread: control (workers store their counters, control loads them).
 */
#ifndef SLUICE_AVERAGES_H
#define SLUICE_AVERAGES_H

#include "proxy/worker.h"

struct database_stats {
    struct database_state *db;
    struct stats total;
    struct stats average; /* per second; times of transactions and queries: of one */
};

/* Ends a period when it is over: averages, and the log line of log_stats. */
void averages_tick(usec_t now);
/* Every database that has counted anything: an array, the caller's to free. */
struct database_stats *averages_collect(size_t *count);
/* All databases together, averages as for one. */
struct database_stats averages_sum(const struct database_stats *all, size_t count);
void averages_free(void);

#endif
