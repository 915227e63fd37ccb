/*
 * key.h: the value of a key, read from what a statement has for it (a literal, a parameter) into one form for each
 * type, so that equal keys are equal bytes. What is not certain to be that value on the server says so, and never
 * routes: who reads it must then take all shards.
 *
 *   '42'  42  42::bigint  -$1 (int4, binary)          CERTAIN 42, for a key of int8
 *   NULL                                              NULL
 *   4.2  1e3  'now'  '1/2/2024'  99999999999999999999 DOUBTFUL: rounding, settings or overflow decide
 *
 * Thread: any (no state).
 */
#ifndef SLUICE_KEY_H
#define SLUICE_KEY_H

#include "parser/bytes.h"
#include "parser/lex.h"

enum key_type {
    KEY_UNKNOWN, /* no value of it is ever certain */
    KEY_INT2,
    KEY_INT4,
    KEY_INT8,
    KEY_TEXT,
    KEY_VARCHAR,
    KEY_UUID,
    KEY_DATE,
    KEY_TIMESTAMP,
    KEY_TIMESTAMPTZ,
    KEY_BOOL
};

enum key_certainty { KEY_DOUBTFUL, KEY_NULL, KEY_CERTAIN };

struct key_value {
    enum key_certainty certainty;
    enum key_type type; /* the key's */
    int64_t number;     /* integers, bool; days and microseconds since 2000 */
    struct span bytes;  /* text, varchar; the 16 of a uuid: borrowed from what was read, or in the reader's scratch */
};

/* How values are to be read. */
struct key_reader {
    enum key_type type;  /* of the key's column */
    bool assigned;       /* it is put into the column (INSERT, SET), not compared with it */
    bool listed;         /* it stands in a list, whose values are given one common type */
    bool utf8;           /* the client's encoding is UTF8: otherwise only ASCII is certain */
    struct buf *scratch; /* borrowed; holds the bytes of the last value */
};

struct key_literal {
    struct token token; /* a literal's */
    const char *sql;    /* the text that it stands in */
    bool negated;
    const char *cast; /* the type that it is cast to, or NULL */
};

struct key_param {
    uint32_t oid; /* as Parse declares it; 0: it does not */
    bool binary;
    bool null;
    bool negated;
    bool shared; /* it stands elsewhere, too: where nobody declares it, its type may come from there */
    struct span bytes;
    const char *cast;
};

/* By the names that SQL and the catalog have for it ("bigint", "int8", "character varying"), without a length. UNKNOWN
 * for others. */
enum key_type key_type_of_name(const char *name);
enum key_type key_type_of_oid(uint32_t oid);
/* "int8"; "" for UNKNOWN. Static. */
const char *key_type_name(enum key_type type);

/* True if equal values of both hash alike, so that tables by such keys can be co-located. UNKNOWN is like nothing. */
bool key_types_agree(enum key_type a, enum key_type b);
bool key_type_is_integer(enum key_type type);
bool key_type_is_text(enum key_type type);

struct key_value key_of_literal(const struct key_reader *r, const struct key_literal *l);
struct key_value key_of_param(const struct key_reader *r, const struct key_param *p);
/* A whole number that was reckoned; cast as in key_literal. */
struct key_value key_of_whole(const struct key_reader *r, int64_t number, const char *cast);
struct key_value key_of_bool(const struct key_reader *r, bool value);
/* As the server would take this text for a value of the key's type. */
struct key_value key_of_text(const struct key_reader *r, struct span text);

/* What stands between a string literal's quotes, borrowed; false where that is not what it means (escapes, doubled
 * quotes), or it is no string. */
bool key_literal_inside(const struct key_literal *l, struct span *inside);

/* --- key_array.c: one value that is an array of keys --- */

typedef void key_each_fn(void *arg, const struct key_value *v);

/* Each element, NULLs too; of a parameter that is NULL, none. False: which elements it has is not certain, and those
 * that were told are not all. */
bool key_array_of_literal(const struct key_reader *r, const struct key_literal *l, key_each_fn *each, void *arg);
bool key_array_of_param(const struct key_reader *r, const struct key_param *p, key_each_fn *each, void *arg);

/* <0, 0, >0 in the order of the type; both CERTAIN and of types that agree. Texts are ordered by bytes. */
int key_compare(const struct key_value *a, const struct key_value *b);

/* --- key_time.c --- */

/* ISO texts only, whatever DateStyle is: "2024-01-31", "2024-01-31 23:59:59.5", with a zone for timestamptz. False
 * for all others. */
bool key_read_date(struct span text, int64_t *days);
bool key_read_timestamp(struct span text, bool zoned, int64_t *us);

#endif
