/*
 * decimal.c: see decimal.h. A number is computed in an array of digits that reaches from its highest place to its
 * lowest; zeroes at both ends are taken off afterwards.
 * Thread: any (no state).
 */
#include "shard/decimal.h"

#include <inttypes.h>
#include <stdio.h>

#define BASE 10000
#define BASE_DIGITS 4
#define SIGN_NEGATIVE 0x4000
#define SIGN_NAN 0xC000
#define SIGN_PLUS_INFINITY 0xD000
#define SIGN_MINUS_INFINITY 0xF000
#define SIGNIFICANT_MIN 16
#define SCALE_MAX 1000 /* that a division shows */
#define SCALE_BITS 0x3FFF

void decimal_free(struct decimal *d)
{
    free(d->digits);
    *d = (struct decimal){.kind = DECIMAL_FINITE};
}

/* Takes zeroes off both ends. */
static void trim(struct decimal *d)
{
    size_t zeroes = 0;

    while (d->count > 0 && d->digits[d->count - 1] == 0)
        d->count--;
    while (zeroes < d->count && d->digits[zeroes] == 0)
        zeroes++;
    d->count -= zeroes;
    d->weight -= (int32_t)zeroes;
    if (d->count > 0)
        memmove(d->digits, d->digits + zeroes, d->count * sizeof *d->digits);
    else
        d->weight = 0;
    d->negative = d->negative && d->count > 0;
}

void decimal_set_int(struct decimal *d, int64_t value)
{
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;

    decimal_free(d);
    d->count = 5; /* an int8 has at most 19 digits */
    d->digits = mem_alloc(d->count * sizeof *d->digits);
    d->weight = 4;
    d->negative = value < 0;
    for (size_t i = d->count; i-- > 0; rest /= BASE)
        d->digits[i] = (uint16_t)(rest % BASE);
    trim(d);
}

static bool set_sign(struct decimal *d, uint16_t sign)
{
    d->negative = sign == SIGN_NEGATIVE || sign == SIGN_MINUS_INFINITY;
    if (sign == SIGN_NAN)
        d->kind = DECIMAL_NAN;
    else if (sign == SIGN_PLUS_INFINITY || sign == SIGN_MINUS_INFINITY)
        d->kind = DECIMAL_INFINITY;
    else
        return sign == 0 || sign == SIGN_NEGATIVE;
    return true;
}

bool decimal_set_binary(struct decimal *d, struct span raw)
{
    struct reader r = reader_of(raw.ptr, raw.len);
    size_t count = reader_u16(&r);
    int32_t weight = (int16_t)reader_u16(&r);
    uint16_t sign = reader_u16(&r);
    uint16_t scale = reader_u16(&r);

    decimal_free(d);
    if (r.bad || reader_left(&r) != count * 2 || !set_sign(d, sign))
        return false;
    d->weight = weight;
    d->scale = scale & SCALE_BITS;
    d->count = count;
    d->digits = mem_alloc(MAX(count, 1) * sizeof *d->digits);
    for (size_t i = 0; i < count; i++) {
        d->digits[i] = reader_u16(&r);
        if (d->digits[i] >= BASE)
            return false;
    }
    if (d->kind == DECIMAL_FINITE)
        trim(d);
    return true;
}

/* Digits in groups of four, counted from the point. */
bool decimal_set_text(struct decimal *d, struct span text)
{
    static const uint16_t powers[] = {1000, 100, 10, 1};
    const uint8_t *p = text.ptr;
    const uint8_t *end = text.ptr + text.len;
    bool negative = p < end && *p == '-';
    const uint8_t *point = memchr(text.ptr, '.', text.len);
    size_t whole;
    size_t at;

    decimal_free(d);
    p += negative;
    whole = (size_t)((point == NULL ? end : point) - p);
    at = (BASE_DIGITS - whole % BASE_DIGITS) % BASE_DIGITS;
    d->negative = negative;
    d->scale = point == NULL ? 0 : (int32_t)(end - point - 1);
    d->weight = (int32_t)((whole + BASE_DIGITS - 1) / BASE_DIGITS) - 1;
    d->digits = mem_zalloc((text.len / BASE_DIGITS + 3) * sizeof *d->digits);
    for (; p < end; p++) {
        if (p == point)
            continue;
        if (*p < '0' || *p > '9')
            return false;
        d->digits[at / BASE_DIGITS] = (uint16_t)(d->digits[at / BASE_DIGITS] + powers[at % BASE_DIGITS] * (*p - '0'));
        at++;
    }
    d->count = (at + BASE_DIGITS - 1) / BASE_DIGITS;
    trim(d);
    return text.len > 0;
}

/* --- sums --- */

/* The digit that is worth 10000^place. */
static int digit_at(const struct decimal *d, int32_t place)
{
    int64_t i = (int64_t)d->weight - place;

    return i < 0 || i >= (int64_t)d->count ? 0 : d->digits[i];
}

static int32_t lowest_place(const struct decimal *d)
{
    return d->weight - (int32_t)d->count + 1;
}

static int compare_digits(const struct decimal *a, const struct decimal *b)
{
    int32_t low = MIN(lowest_place(a), lowest_place(b));

    for (int32_t place = MAX(a->weight, b->weight); place >= low; place--) {
        int difference = digit_at(a, place) - digit_at(b, place);
        if (difference != 0)
            return difference;
    }
    return 0;
}

static bool add_special(struct decimal *d, const struct decimal *other)
{
    if (d->kind == DECIMAL_FINITE && other->kind == DECIMAL_FINITE)
        return false;

    bool opposite = d->kind == DECIMAL_INFINITY && other->kind == DECIMAL_INFINITY && d->negative != other->negative;
    bool nan = d->kind == DECIMAL_NAN || other->kind == DECIMAL_NAN || opposite;
    bool negative = d->kind == DECIMAL_INFINITY ? d->negative : other->negative;

    decimal_free(d);
    d->kind = nan ? DECIMAL_NAN : DECIMAL_INFINITY;
    d->negative = !nan && negative;
    return true;
}

/* The digits of large + sign * small, where large's are not the smaller ones. */
static void add_digits(struct decimal *sum, const struct decimal *large, const struct decimal *small, int sign)
{
    int32_t low = MIN(lowest_place(large), lowest_place(small));
    int32_t high = MAX(large->weight, small->weight) + 1;
    int carry = 0;

    sum->weight = high;
    sum->count = (size_t)(high - low + 1);
    sum->digits = mem_alloc(sum->count * sizeof *sum->digits);
    for (int32_t place = low; place <= high; place++) {
        int digit = digit_at(large, place) + sign * digit_at(small, place) + carry;
        carry = digit < 0 ? -1 : digit >= BASE ? 1 : 0;
        sum->digits[high - place] = (uint16_t)(digit - carry * BASE);
    }
}

void decimal_add(struct decimal *d, const struct decimal *other)
{
    struct decimal sum = {.scale = MAX(d->scale, other->scale)};
    bool swap = compare_digits(d, other) < 0;
    const struct decimal *large = swap ? other : d;

    if (add_special(d, other))
        return;
    sum.negative = large->negative;
    add_digits(&sum, large, swap ? d : other, d->negative == other->negative ? 1 : -1);
    trim(&sum);
    free(d->digits);
    *d = sum;
}

/* --- division --- */

/* How many digits behind the point numeric_div shows. */
static int32_t quotient_scale(const struct decimal *d, const struct decimal *by)
{
    int first = d->count > 0 ? d->digits[0] : 0;
    int32_t weight = d->weight - by->weight - (first <= by->digits[0] ? 1 : 0);
    int32_t scale = SIGNIFICANT_MIN - weight * BASE_DIGITS;

    return MIN(MAX(scale, MAX(d->scale, 0)), SCALE_MAX);
}

/* `step` is one in the last place that is kept. */
static void round_at(struct decimal *d, int32_t scale)
{
    static const int powers[] = {1, 10, 100, 1000};
    int32_t place = -((scale + BASE_DIGITS - 1) / BASE_DIGITS); /* of the last digit that is kept */
    int unit = powers[(BASE_DIGITS - scale % BASE_DIGITS) % BASE_DIGITS];
    int digit = digit_at(d, place);
    bool up = unit == 1 ? digit_at(d, place - 1) >= BASE / 2 : digit % unit >= unit / 2;
    struct decimal step = {.weight = place, .count = 1, .digits = &(uint16_t){(uint16_t)unit}};
    struct decimal rounded = {.kind = DECIMAL_FINITE};

    d->scale = scale;
    if (lowest_place(d) > place)
        return;
    if (d->weight >= place) {
        d->count = (size_t)(d->weight - place + 1);
        d->digits[d->count - 1] = (uint16_t)(digit - digit % unit);
    } else {
        d->count = 0;
    }
    add_digits(&rounded, d, &step, up ? 1 : 0);
    rounded.negative = d->negative;
    rounded.scale = scale;
    trim(&rounded);
    free(d->digits);
    *d = rounded;
}

void decimal_divide(struct decimal *d, int64_t by)
{
    struct decimal divisor = {.kind = DECIMAL_FINITE};
    struct decimal q = {.negative = d->negative, .weight = d->weight};
    unsigned __int128 rest = 0;

    if (d->kind != DECIMAL_FINITE)
        return;
    decimal_set_int(&divisor, by);

    int32_t scale = quotient_scale(d, &divisor);
    int32_t low = -(scale / BASE_DIGITS) - 2; /* with what is rounded away */

    q.count = d->weight >= low ? (size_t)(d->weight - low + 1) : 0;
    q.digits = mem_alloc(MAX(q.count, 1) * sizeof *q.digits);
    for (size_t i = 0; i < q.count; i++) {
        rest = rest * BASE + (unsigned)digit_at(d, d->weight - (int32_t)i);
        q.digits[i] = (uint16_t)(rest / (uint64_t)by);
        rest %= (uint64_t)by;
    }
    decimal_free(&divisor);
    free(d->digits);
    *d = q;
    trim(d);
    round_at(d, scale);
}

void decimal_round(struct decimal *d, int32_t scale)
{
    if (d->kind == DECIMAL_FINITE)
        round_at(d, scale);
}

/* --- comparison and conversion --- */

/* -2 minus infinity, 0 finite, 2 infinity, 3 NaN. */
static int rank_of(const struct decimal *d)
{
    if (d->kind == DECIMAL_FINITE)
        return 0;
    return d->kind == DECIMAL_NAN ? 3 : d->negative ? -2 : 2;
}

int decimal_compare(const struct decimal *a, const struct decimal *b)
{
    if (a->kind != DECIMAL_FINITE || b->kind != DECIMAL_FINITE)
        return rank_of(a) - rank_of(b);
    if (a->negative != b->negative)
        return a->negative ? -1 : 1;
    return a->negative ? -compare_digits(a, b) : compare_digits(a, b);
}

bool decimal_to_int(const struct decimal *d, int64_t *value)
{
    unsigned __int128 sum = 0;
    uint64_t most = (uint64_t)INT64_MAX + (d->negative ? 1 : 0);

    if (d->kind != DECIMAL_FINITE || d->weight > 5)
        return false;
    for (int32_t place = d->weight; place >= 0; place--)
        sum = sum * BASE + (unsigned)digit_at(d, place);
    sum += digit_at(d, -1) >= BASE / 2 ? 1 : 0;
    if (sum > most)
        return false;
    *value = d->negative ? (int64_t) - (uint64_t)sum : (int64_t)sum;
    return true;
}

static void put_digits(const struct decimal *d, struct buf *out)
{
    char text[8];
    int32_t shown = d->scale;

    snprintf(text, sizeof text, "%d", digit_at(d, MAX(d->weight, 0)));
    buf_put(out, text, strlen(text));
    for (int32_t place = MAX(d->weight, 0) - 1; place >= 0; place--) {
        snprintf(text, sizeof text, "%04d", digit_at(d, place));
        buf_put(out, text, BASE_DIGITS);
    }
    if (shown > 0)
        buf_put_u8(out, '.');
    for (int32_t place = -1; shown > 0; place--, shown -= BASE_DIGITS) {
        snprintf(text, sizeof text, "%04d", digit_at(d, place));
        buf_put(out, text, (size_t)MIN(shown, BASE_DIGITS));
    }
}

void decimal_put_text(const struct decimal *d, struct buf *out)
{
    if (d->kind == DECIMAL_NAN) {
        buf_put(out, "NaN", 3);
        return;
    }
    if (d->negative)
        buf_put_u8(out, '-');
    if (d->kind == DECIMAL_INFINITY)
        buf_put(out, "Infinity", 8);
    else
        put_digits(d, out);
}

void decimal_put_binary(const struct decimal *d, struct buf *out)
{
    static const uint16_t signs[] = {0, SIGN_NAN, SIGN_PLUS_INFINITY};
    uint16_t sign = signs[d->kind];

    if (d->negative)
        sign = d->kind == DECIMAL_INFINITY ? SIGN_MINUS_INFINITY : SIGN_NEGATIVE;
    buf_put_u16(out, (uint16_t)d->count);
    buf_put_u16(out, (uint16_t)d->weight);
    buf_put_u16(out, sign);
    buf_put_u16(out, (uint16_t)d->scale);
    for (size_t i = 0; i < d->count; i++)
        buf_put_u16(out, d->digits[i]);
}
