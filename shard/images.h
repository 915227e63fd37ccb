/*
 * images.h: a statement that writes a table which lies on all shards alike. The home shard runs it, and gives back each
 * row as it has become (or, deleted, was): its image. The other shards do not run the statement, in which now(),
 * defaults and sequences would be others there: they write the images.
 *
 *   INSERT INTO countries (name) VALUES ($1) RETURNING id                      what the client asks for
 *     home    INSERT INTO countries (name) VALUES ($1)
 *             RETURNING id, NULL AS "sluice: image", "countries".*
 *     others  INSERT INTO "public"."countries" ("id", "name") OVERRIDING SYSTEM VALUE VALUES ($1, $2)
 *   UPDATE countries SET name = upper(name)
 *     others  UPDATE "public"."countries" SET "name" = $1 WHERE "id" = $2
 *   DELETE FROM countries WHERE ...
 *     others  DELETE FROM "public"."countries" WHERE "id" = $1
 *
 * A row is known by its primary key. Where that is set anew, the old one is known if the statement compares it with a
 * value, which then stands behind the mark, too.
 * Thread: any (no state).
 */
#ifndef SLUICE_IMAGES_H
#define SLUICE_IMAGES_H

#include "shard/keyset.h"
#include "shard/scatter.h"

#define IMAGES_MARK "sluice: image" /* the name of the column behind which all are ours */

/* A column that is set. */
struct images_set {
    const char *column;
    int old;   /* which of the old values is its own, from 0; -1: none is known */
    bool kept; /* to what it is (parser/stmt.h) */
};

struct images {
    enum stmt_kind kind; /* INSERT, UPDATE, DELETE */
    bool upserts;        /* INSERT: ON CONFLICT DO UPDATE */
    bool returns;        /* the client has asked for rows */
    const char *table;   /* as the statement names it, for to_regclass */
    const char *sql;     /* what the home shard runs; behind its mark stand the old values and all columns */
    size_t old_count;
    size_t set_count; /* UPDATE, and of an INSERT that upserts */
    struct images_set *sets;
    struct arena arena;
};

/* text is this execution's, of an INSERT, UPDATE or DELETE of one table, which s is. For images_free. */
struct images *images_new(const struct stmt *s, const struct keyset_text *text);
void images_free(struct images *m); /* NULL is nothing */

/* What the home shard's catalog says of the table. */
struct images_column {
    const char *name;
    bool generated; /* from other columns */
    bool always;    /* GENERATED ALWAYS AS IDENTITY */
    bool is_key;    /* of the primary key */
};

struct images_table {
    const char *schema;
    const char *name;
    bool fires;  /* it has triggers or rules of its own */
    bool parent; /* other tables inherit from it */
    size_t column_count;
    struct images_column *columns;
};

/* What the other shards run, for each row. */
struct images_write {
    struct buf sql; /* with its NUL */
    size_t field_count;
    uint16_t *fields; /* what is $1...: which of what stands behind the mark, from 0 */
};

/* False: *r says why not. For images_write_free in both cases; w begins with all zeroes. */
bool images_write(const struct images *m, const struct images_table *t, struct images_write *w,
                  struct scatter_refusal *r);
void images_write_free(struct images_write *w);

#endif
