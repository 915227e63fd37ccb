/*
 * decimal.h: PostgreSQL's numeric, as far as sums and averages need it: exact, and written as the server writes it.
 * Source: PostgreSQL's numeric.c.
 * Thread: any (no state).
 */
#ifndef SLUICE_DECIMAL_H
#define SLUICE_DECIMAL_H

#include "parser/bytes.h"

enum decimal_kind { DECIMAL_FINITE, DECIMAL_NAN, DECIMAL_INFINITY };

/* digits[0] is worth 10000^weight. */
struct decimal {
    enum decimal_kind kind;
    bool negative;
    int32_t weight;
    int32_t scale;    /* digits that are shown behind the point */
    uint16_t *digits; /* owned, each below 10000; may be NULL */
    size_t count;
};

/* Begin with zeroes (which is 0), end with decimal_free. */
void decimal_free(struct decimal *d);
void decimal_set_int(struct decimal *d, int64_t value);
/* From the text that the server writes. False: it is none. */
bool decimal_set_text(struct decimal *d, struct span text);
/* From the binary format. False: it is none. */
bool decimal_set_binary(struct decimal *d, struct span raw);

/* d = d + other. */
void decimal_add(struct decimal *d, const struct decimal *other);
/* d = d / by, as numeric_div does it; by > 0. */
void decimal_divide(struct decimal *d, int64_t by);
/* Rounds to so many digits behind the point, a half away from zero, and shows as many. */
void decimal_round(struct decimal *d, int32_t scale);
/* <0, 0, >0; NaN is equal to itself and greater than all others. */
int decimal_compare(const struct decimal *a, const struct decimal *b);

/* Rounded to an integer, halves away from zero. False: it is none of int8. */
bool decimal_to_int(const struct decimal *d, int64_t *value);
void decimal_put_text(const struct decimal *d, struct buf *out);
void decimal_put_binary(const struct decimal *d, struct buf *out);

#endif
