/*
 * rules.h: by which rules a client's statements are routed: what the configuration says for all, for its database and
 * for its user, and what its session says, taken together once and kept until one of them changes.
 * Thread: worker; rules_of_database: any.
 */
#ifndef SLUICE_RULES_H
#define SLUICE_RULES_H

#include "conf/options.h"
#include "pool/vars.h"
#include "shard/route.h"

struct client;

struct rules {
    /* the configuration */
    uint64_t generation; /* that these are of; 0: of none yet */
    enum read_routing routing;
    enum read_your_writes writes;
    enum replica_balance balance;
    enum read_only_transactions read_only;
    usec_t max_lag, freshness_wait;
    const char *read_functions, *write_functions; /* borrowed from the configuration; never NULL */
    bool heeds_setting;                           /* hints: sluice.route counts */
    /* the session */
    struct vars *vars;    /* counted: the settings that the rest is of; NULL: of none yet */
    bool serializable;    /* transactions are SERIALIZABLE unless they say otherwise */
    bool reads_only;      /* ... READ ONLY */
    enum route_hint hint; /* sluice.route */
};

/* Those of a client now. Valid until the configuration or the client's settings change. */
const struct rules *rules_of(struct client *c);
/* What the configuration says for a database's clients; d and u may be NULL. */
void rules_of_database(struct rules *r, const struct config *config, const struct config_database *d,
                       const struct config_user *u);
void rules_free(struct rules *r);

/* Why they let no statement outside a transaction go to a replica; NULL: they do not say so. */
const char *rules_bar(const struct rules *r);
/* The same of a transaction that begins with these modes and this hint. */
const char *rules_bar_block(const struct rules *r, const struct stmt_modes *modes, enum route_hint hint);

/* What read_functions and write_functions say of a call; UNKNOWN: nothing. schema may be NULL. */
enum route_function rules_function(const struct rules *r, const char *schema, const char *name);

#endif
