/*
 * units.c: see units.h.
 * Thread: any (no state).
 */
#include "conf/units.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit time_units[] = {
    {"us", 1},
    {"ms", USEC_PER_MSEC},
    {"s", USEC_PER_SEC},
    {"min", 60 * USEC_PER_SEC},
    {"h", 3600 * USEC_PER_SEC},
    {"d", 86400 * USEC_PER_SEC},
};

static const struct unit size_units[] = {
    {"GB", 1024 * 1024 * 1024},
    {"MB", 1024 * 1024},
    {"kB", 1024},
    {"B", 1},
};

/* The factor of the unit that text names; plain for "", 0 where there is no such unit. */
static int64_t unit_factor(const struct unit *units, size_t count, const char *text, int64_t plain)
{
    while (*text == ' ') {
        text++;
    }
    if (*text == '\0') {
        return plain;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(units[i].name, text) == 0) {
            return units[i].factor;
        }
    }
    return 0;
}

bool unit_parse_bool(const char *text, bool *out)
{
    static const char *const words[][2] = {{"0", "1"}, {"off", "on"}, {"false", "true"}, {"no", "yes"}};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        for (int value = 0; value < 2; value++) {
            if (strcasecmp(text, words[i][value]) == 0) {
                *out = value == 1;
                return true;
            }
        }
    }
    return false;
}

/* Digits at *at, moved past; false where there is none or where they overflow. */
static bool digits_take(const char **at, int64_t *out)
{
    const char *p = *at;
    int64_t value = 0;

    if (!isdigit((unsigned char)*p)) {
        return false;
    }
    for (; isdigit((unsigned char)*p); p++) {
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, *p - '0', &value)) {
            return false;
        }
    }
    *at = p;
    *out = value;
    return true;
}

bool unit_parse_integer(const char *text, int64_t *out)
{
    bool negative = *text == '-';
    const char *at = text + (*text == '-' || *text == '+');
    int64_t value;

    if (!digits_take(&at, &value) || *at != '\0') {
        return false;
    }
    *out = negative ? -value : value;
    return true;
}

bool unit_parse_mode(const char *text, int *out)
{
    int value = 0;

    if (*text == '\0') {
        return false;
    }
    for (const char *p = text; *p != '\0'; p++) {
        if (*p < '0' || *p > '7' || value > 077) {
            return false;
        }
        value = value * 8 + (*p - '0');
    }
    *out = value;
    return true;
}

bool unit_parse_time(const char *text, usec_t plain_unit_us, usec_t *out)
{
    const char *at = text;
    int64_t whole, fraction = 0, scale = 1, value;

    if (!digits_take(&at, &whole)) {
        return false;
    }
    if (*at == '.') {
        for (at++; isdigit((unsigned char)*at); at++) {
            if (scale < USEC_PER_SEC) { /* further digits are below a microsecond's share of any unit that is written */
                fraction = fraction * 10 + (*at - '0');
                scale *= 10;
            }
        }
    }
    int64_t factor = unit_factor(time_units, ARRAY_LEN(time_units), at, plain_unit_us);
    if (factor == 0 || __builtin_mul_overflow(whole, factor, &value) ||
        __builtin_add_overflow(value, fraction * factor / scale, &value)) {
        return false;
    }
    *out = value;
    return true;
}

bool unit_parse_bytes(const char *text, int64_t *out)
{
    const char *at = text;
    int64_t value;

    if (!digits_take(&at, &value)) {
        return false;
    }
    int64_t factor = unit_factor(size_units, ARRAY_LEN(size_units), at, 1);
    if (factor == 0 || __builtin_mul_overflow(value, factor, &value)) {
        return false;
    }
    *out = value;
    return true;
}

size_t unit_print_time(usec_t value_us, usec_t unit_us, char *out, size_t size)
{
    char text[48];
    int len = snprintf(text, sizeof text, "%" PRId64, value_us / unit_us);
    int64_t rest = value_us % unit_us;

    if (rest != 0) {
        text[len++] = '.';
        do {
            rest *= 10;
            text[len++] = (char)('0' + rest / unit_us);
            rest %= unit_us;
        } while (rest != 0 && len < (int)sizeof text - 1);
        text[len] = '\0';
    }
    return (size_t)snprintf(out, size, "%s", text);
}

size_t unit_print_bytes(size_t value_bytes, char *out, size_t size)
{
    for (size_t i = 0; i < ARRAY_LEN(size_units) - 1; i++) {
        size_t factor = (size_t)size_units[i].factor;
        if (value_bytes != 0 && value_bytes % factor == 0) {
            return (size_t)snprintf(out, size, "%zu%s", value_bytes / factor, size_units[i].name);
        }
    }
    return (size_t)snprintf(out, size, "%zu", value_bytes);
}

#define NAME_MAX_LEN 48

/* How many letters must be changed, added, taken out or swapped with their neighbour; names of NAME_MAX_LEN at most. */
static size_t name_distance(const char *a, const char *b)
{
    uint8_t d[NAME_MAX_LEN + 1][NAME_MAX_LEN + 1]; /* between the first i letters of a and the first j of b */
    size_t a_len = strlen(a), b_len = strlen(b);

    for (size_t i = 0; i <= a_len; i++) {
        for (size_t j = 0; j <= b_len; j++) {
            if (i == 0 || j == 0) {
                d[i][j] = (uint8_t)(i + j);
                continue;
            }
            d[i][j] = (uint8_t)MIN(MIN(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                d[i][j] = (uint8_t)MIN(d[i][j], d[i - 2][j - 2] + 1);
            }
        }
    }
    return d[a_len][b_len];
}

const char *name_nearest(const char *typed, size_t count, const char *(*name_at)(const void *arg, size_t i),
                         const void *arg)
{
    const char *best = NULL;
    size_t len = strlen(typed);
    size_t best_distance = MAX(len / 3, (size_t)1) + 1; /* further away it would be a guess */

    if (len == 0 || len > NAME_MAX_LEN) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = name_at(arg, i);
        size_t distance = strlen(name) <= NAME_MAX_LEN ? name_distance(typed, name) : best_distance;
        if (distance < best_distance) {
            best = name;
            best_distance = distance;
        }
    }
    return best;
}
