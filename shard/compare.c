/*
 * compare.c: see compare.h.
 * Thread: any (no state).
 */
#include "shard/compare.h"

#include "shard/decimal.h"

#include <math.h>

/* Types by their fixed numbers (pg_type.dat). */
static const struct row {
    uint32_t type;
    enum compare_way way; /* of a text: where it is ordered by its bytes */
    bool is_text;
    bool exact; /* equal values have equal bytes; of a text: where its collation says so */
} rows[] = {
    {TYPE_BOOL, COMPARE_INTEGER, false, true},
    {17, COMPARE_BYTES, false, true}, /* bytea */
    {19, COMPARE_BYTES, false, true}, /* name, always under C */
    {TYPE_INT8, COMPARE_INTEGER, false, true},
    {TYPE_INT2, COMPARE_INTEGER, false, true},
    {TYPE_INT4, COMPARE_INTEGER, false, true},
    {TYPE_TEXT, COMPARE_BYTES, true, true},
    {26, COMPARE_UNSIGNED, false, true}, /* oid */
    {700, COMPARE_FLOAT, false, false},
    {701, COMPARE_FLOAT, false, false},
    {TYPE_VARCHAR, COMPARE_BYTES, true, true},
    {1082, COMPARE_INTEGER, false, true}, /* date */
    {1083, COMPARE_INTEGER, false, true}, /* time */
    {1114, COMPARE_INTEGER, false, true}, /* timestamp */
    {1184, COMPARE_INTEGER, false, true}, /* timestamptz */
    {TYPE_NUMERIC, COMPARE_NUMERIC, false, false},
    {2950, COMPARE_BYTES, false, true}, /* uuid */
};

static const struct row *row_of(uint32_t type)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].type == type)
            return &rows[i];
    return NULL;
}

enum compare_way compare_way_of(uint32_t type, bool bytewise)
{
    const struct row *row = row_of(type);

    return row == NULL || (row->is_text && !bytewise) ? COMPARE_NOT : row->way;
}

bool compare_is_exact(uint32_t type, bool exact)
{
    const struct row *row = row_of(type);

    return row != NULL && row->exact && (exact || !row->is_text);
}

int64_t compare_integer(struct span raw)
{
    switch (raw.len) {
    case 1:
        return (int8_t)raw.ptr[0];
    case 2:
        return (int16_t)be16_at(raw.ptr);
    case 4:
        return (int32_t)be32_at(raw.ptr);
    case 8:
        return (int64_t)((uint64_t)be32_at(raw.ptr) << 32 | be32_at(raw.ptr + 4));
    default:
        return 0;
    }
}

static int compare_bytes(struct span a, struct span b)
{
    int difference = memcmp(a.ptr, b.ptr, MIN(a.len, b.len));

    return difference != 0 ? difference : (a.len > b.len) - (a.len < b.len);
}

static double float_of(struct span raw)
{
    uint64_t bits = (uint64_t)compare_integer(raw);
    uint32_t half = (uint32_t)bits;
    double value;
    float small;

    memcpy(&small, &half, sizeof small);
    memcpy(&value, &bits, sizeof value);
    return raw.len == sizeof small ? (double)small : value;
}

/* NaN is equal to itself and greater than all others. */
static int compare_floats(double a, double b)
{
    if (isnan(a) || isnan(b))
        return (isnan(a) ? 1 : 0) - (isnan(b) ? 1 : 0);
    return (a > b) - (a < b);
}

static int compare_numerics(struct span a, struct span b)
{
    struct decimal x = {.kind = DECIMAL_FINITE};
    struct decimal y = {.kind = DECIMAL_FINITE};
    int order = decimal_set_binary(&x, a) && decimal_set_binary(&y, b) ? decimal_compare(&x, &y) : 0;

    decimal_free(&x);
    decimal_free(&y);
    return order;
}

int compare_values(enum compare_way way, struct span a, struct span b)
{
    int64_t x;
    int64_t y;

    switch (way) {
    case COMPARE_INTEGER:
        x = compare_integer(a);
        y = compare_integer(b);
        return (x > y) - (x < y);
    case COMPARE_FLOAT:
        return compare_floats(float_of(a), float_of(b));
    case COMPARE_NUMERIC:
        return compare_numerics(a, b);
    default: /* unsigned ones are of equal length, and in order by their bytes */
        return compare_bytes(a, b);
    }
}
