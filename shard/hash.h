/*
 * hash.h: from a key's value to the number of its part, for the functions that compute one:
 *
 *   modulo        ((v % n) + n) % n of a whole number, n: the number of buckets
 *   string_hash   what JavaScript applications compute over a text: h = 31·h + UTF-16 unit in 32 bits, |h| % n
 *   hash          PostgreSQL's hash partitioning: PARTITION BY HASH (key), remainder
 *
 * The last one is Bob Jenkins' lookup3 as PostgreSQL seeds and combines it (its documented contract is
 * satisfies_hash_partition(), which the tests compare with).
 * Thread: any (no state).
 */
#ifndef SLUICE_HASH_H
#define SLUICE_HASH_H

#include "conf/base.h"

/* In the range of 0 to n - 1; n > 0. */
uint32_t hash_modulo(int64_t v, uint32_t n);

/* Of a text in UTF-8; false where it is not well-formed (so that no JavaScript string is meant by it). */
bool hash_string(const uint8_t *text, size_t len, uint32_t n, uint32_t *part);

/* The extended hash functions of PostgreSQL's types, seeded as for partitions: int2, int4, date and bool; int8,
 * timestamp and timestamptz; text, varchar and uuid (their bytes in the server's encoding). An int8 that an int4 can
 * hold has the int4's hash. */
uint64_t hash_of_int4(int32_t v);
uint64_t hash_of_int8(int64_t v);
uint64_t hash_of_bytes(const uint8_t *bytes, size_t len);

/* The remainder that a partition of one key column is chosen by. */
uint32_t hash_partition(uint64_t hash, uint32_t n);

/* A hash of any bytes that never changes, for what is kept and compared elsewhere. */
uint64_t hash_stable(const void *bytes, size_t len);

#endif
