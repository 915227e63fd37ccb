/*
 * writes.h: how a statement is carried out whose writes are more than one shard's: the pure decision, as scatter.h is
 * for reads.
 *
 *   INSERT INTO users VALUES (1, 'a'), (2, 'b')       ROWS    each shard its rows: insert_split.h
 *   UPDATE users SET seen = true                      SAME    the same text on each of the shards that may have rows;
 *                                                             the counts are added up
 *   TRUNCATE users, ALTER TABLE, GRANT, LOCK          COMMAND the same text on all shards; what one says is said
 *   COPY users FROM STDIN                             COPY    each shard its rows: copy_split.h
 *   UPDATE countries SET name = upper(name)           IMAGES  everywhere: the home shard runs it, the others get what
 *                                                             has become of its rows: images.h
 *   VACUUM, ANALYZE, CREATE INDEX CONCURRENTLY        APART   the same, shard by shard, each by itself
 *
 * The first five belong into one transaction over all of the shards.
 * Thread: any (no state).
 */
#ifndef SLUICE_WRITES_H
#define SLUICE_WRITES_H

#include "shard/keyset.h"
#include "shard/scatter.h"

/* REFILL: rows that are known only when it runs: refill.h. */
enum write_way {
    WRITE_NOT,
    WRITE_ROWS,
    WRITE_SAME,
    WRITE_COMMAND,
    WRITE_COPY,
    WRITE_COPY_OUT, /* it reads: COPY TO */
    WRITE_IMAGES,
    WRITE_APART,
    WRITE_REFILL
};

/* INSERT, UPDATE or DELETE, of which k was read and has nothing to object, and which several shards concern. Returns
 * ROWS, SAME, IMAGES, or NOT with *r set. */
enum write_way writes_of_rows(const struct stmt *s, const struct keyset *k, const struct keyset_text *text,
                              struct scatter_refusal *r);

/* A statement with FOR UPDATE or the like, of which k was read, may lock rows that lie on all shards. */
bool writes_locks_everywhere(const struct stmt *s, const struct keyset *k, const struct keyset_text *text);

/* What is known of a table that a command is about; NULL: nothing. */
typedef const struct map_table *writes_table(void *arg, const struct stmt_table *t);

/* A statement that is about tables and other objects as a whole. Returns COMMAND, APART, or NOT: with r->why set it is
 * refused; empty, it is no such statement. */
enum write_way writes_of_command(const struct stmt *s, const char *sql, size_t len, unsigned lex_flags,
                                 writes_table *table, void *arg, struct scatter_refusal *r);

#endif
