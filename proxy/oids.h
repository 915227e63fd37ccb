/*
 * oids.h: the numbers that PostgreSQL has given to types and tables that users made: they differ from shard to shard.
 * Clients know those of the home shard; what goes to another one, or comes from there, is translated by name.
 *
 *   client ──Parse (types)──> home's ─> the shard's
 *   client <──RowDescription, ParameterDescription── home's <─ the shard's
 *   control: surveys of both ──(published)──> database_state.oids
 *
 * A number that nobody knows there becomes one that no server takes (OID_NOWHERE), or tells nothing (0).
 * Thread: worker; oids_learn, oids_free: control.
 */
#ifndef SLUICE_OIDS_H
#define SLUICE_OIDS_H

#include "pool/limits.h"
#include "shard/survey.h"

#define OID_USERS 16384 /* those below are PostgreSQL's own, everywhere the same */
#define OID_NOWHERE UINT32_MAX

struct oids;

/* Of the shard's database; home, shard: what they have said. */
void oids_learn(struct database_state *part, const struct survey *home, const struct survey *shard);
void oids_free(void); /* the workers are gone */

/* True where a server of that database knows other numbers than clients do. */
static inline bool oids_differ(const struct database_state *db)
{
    return __atomic_load_n(&db->oids, __ATOMIC_RELAXED) != NULL;
}

/* What values of a type have in them, in binary format: numbers of types, or values that may. */
enum oids_holds { OIDS_NOTHING, OIDS_ELEMENTS, OIDS_FIELDS, OIDS_BASE, OIDS_BOUNDS, OIDS_RANGES };

/* Types by the numbers that they have on one side. */
struct oids_table;

/* NULL: they are the same on both sides. */
const struct oids_table *oids_from_shard(const struct database_state *db);
const struct oids_table *oids_from_home(const struct database_state *db);
/* *inner: of BASE and BOUNDS the type, of RANGES the range's. */
enum oids_holds oids_holds(const struct oids_table *t, uint32_t oid, uint32_t *inner);
/* On the other side; of a type that is not known there OID_NOWHERE or (to home) 0. Big-endian, in place. */
void oids_translate_at(const struct oids_table *t, uint8_t *at);

/* Types of a Parse, in place: from the home shard's numbers. */
void oids_to_shard(const struct database_state *db, uint8_t *types, size_t len);
/* The body of a RowDescription or ParameterDescription, in the buffer that it was read into: to the home shard's
 * numbers. */
void oids_to_home(const struct database_state *db, uint8_t type, uint8_t *body, size_t len);
/* The same of any message of a server of that database. */
static inline void oids_of_answer(const struct database_state *db, uint8_t type, struct span body)
{
    if (UNLIKELY((type == 'T' || type == 't') && oids_differ(db)))
        oids_to_home(db, type, (uint8_t *)(uintptr_t)body.ptr, body.len);
}

#endif
