/*
 * route.h: from what statements are to where they may run: the primary, or a replica too, and why. The pure decision;
 * who is fresh enough is pool/cluster.h's.
 * Thread: any (no state).
 */
#ifndef SLUICE_ROUTE_H
#define SLUICE_ROUTE_H

#include "parser/stmt.h"

enum route_role { ROUTE_PRIMARY, ROUTE_REPLICA };

struct route {
    enum route_role role;
    bool writes;     /* after it, what others read may be different */
    const char *why; /* static; of the primary */
};

/* What the catalog says of a function that pg_catalog does not have, or the configuration of any. */
enum route_function {
    FUNCTION_READS,
    FUNCTION_VOLATILE,
    FUNCTION_UNKNOWN,
    FUNCTION_LISTED_READS,
    FUNCTION_LISTED_WRITES
};

/* What a comment of the statement, or its session, asks for. */
enum route_hint { HINT_NONE, HINT_PRIMARY, HINT_REPLICA };

/* What the catalog says of a table, view or sequence. */
enum route_relation { RELATION_READS, RELATION_PRIMARY, RELATION_WRITES, RELATION_UNKNOWN };

struct route_facts {
    enum route_hint hint;
    bool in_block; /* it begins a READ ONLY transaction, which stays where it is */
    /* Of a call, whatever its arguments; schema may be NULL. */
    enum route_function (*function)(void *arg, const char *schema, const char *name);
    /* schema may be NULL: whatever its schema. */
    enum route_relation (*relation)(void *arg, const char *schema, const char *name);
    void *arg;
};

/* The words of a hint: "primary", "replica"; NONE for what is not understood. */
enum route_hint route_hint_of(const char *text, size_t len);

/* Of all statements of a text together. A hint for the primary counts always, one for a replica only where no more than
 * the functions' volatility speaks against it. */
struct route route_of(const struct stmt_list *list, const struct route_facts *facts);

#endif
