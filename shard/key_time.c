/*
 * key_time.c: dates and timestamps in the one form that no setting reads otherwise: ISO 8601, years of four digits.
 * Other forms that PostgreSQL takes are not refused, only not known here.
 * Thread: any (no state).
 */
#include "shard/key.h"

#include "conf/clock.h"

#define DAYS_TO_2000 730425 /* from 0000-03-01 */
#define USEC_PER_DAY (86400 * USEC_PER_SEC)
#define ZONE_HOURS_MAX 15
#define FRACTION_DIGITS 6

/* What is left to read. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

/* Exactly so many digits. */
static bool take_number(struct cursor *c, int digits, int64_t *value)
{
    if (c->end - c->at < digits)
        return false;
    *value = 0;
    for (int i = 0; i < digits; i++, c->at++) {
        if (!is_digit(*c->at))
            return false;
        *value = *value * 10 + (*c->at - '0');
    }
    return true;
}

static bool take_byte(struct cursor *c, uint8_t byte)
{
    if (c->at == c->end || *c->at != byte)
        return false;
    c->at++;
    return true;
}

static int64_t days_of_month(int64_t year, int64_t month)
{
    static const int8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
}

/* The year begins in March here, so that the leap day is its last. */
static int64_t days_since_2000(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t m = month > 2 ? month - 3 : month + 9;

    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 153 + 2) / 5 + day - 1 - DAYS_TO_2000;
}

static bool take_date(struct cursor *c, int64_t *days)
{
    int64_t year, month, day;

    if (!take_number(c, 4, &year) || !take_byte(c, '-') || !take_number(c, 2, &month) || !take_byte(c, '-') ||
        !take_number(c, 2, &day))
        return false;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > days_of_month(year, month))
        return false;
    *days = days_since_2000(year, month, day);
    return true;
}

/* Up to six digits behind a point; more would be rounded. */
static bool take_fraction(struct cursor *c, int64_t *us)
{
    int digits = 0;

    *us = 0;
    if (!take_byte(c, '.'))
        return true;
    for (; c->at < c->end && is_digit(*c->at) && digits <= FRACTION_DIGITS; c->at++, digits++)
        *us = *us * 10 + (*c->at - '0');
    if (digits == 0 || digits > FRACTION_DIGITS)
        return false;
    for (; digits < FRACTION_DIGITS; digits++)
        *us *= 10;
    return true;
}

static bool take_time(struct cursor *c, int64_t *us)
{
    int64_t hour, minute, second = 0, fraction = 0;

    if (!take_number(c, 2, &hour) || !take_byte(c, ':') || !take_number(c, 2, &minute))
        return false;
    if (take_byte(c, ':') && (!take_number(c, 2, &second) || !take_fraction(c, &fraction)))
        return false;
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    *us = ((hour * 60 + minute) * 60 + second) * USEC_PER_SEC + fraction;
    return true;
}

/* "Z", "+01", "-03:30". */
static bool take_zone(struct cursor *c, int64_t *east_us)
{
    int64_t hours, minutes = 0;
    bool west;

    *east_us = 0;
    if (take_byte(c, 'Z'))
        return true;
    west = take_byte(c, '-');
    if ((!west && !take_byte(c, '+')) || !take_number(c, 2, &hours))
        return false;
    if (take_byte(c, ':') && !take_number(c, 2, &minutes))
        return false;
    if (hours > ZONE_HOURS_MAX || minutes > 59)
        return false;
    *east_us = (hours * 60 + minutes) * 60 * USEC_PER_SEC * (west ? -1 : 1);
    return true;
}

static struct cursor cursor_of(struct span text)
{
    return (struct cursor){.at = text.ptr, .end = text.ptr + text.len};
}

bool key_read_date(struct span text, int64_t *days)
{
    struct cursor c = cursor_of(text);

    return take_date(&c, days) && c.at == c.end;
}

bool key_read_timestamp(struct span text, bool zoned, int64_t *us)
{
    struct cursor c = cursor_of(text);
    int64_t days, time = 0, east = 0;

    if (!take_date(&c, &days))
        return false;
    if (take_byte(&c, 'T') || take_byte(&c, ' ')) {
        if (!take_time(&c, &time))
            return false;
    } else if (zoned) {
        return false; /* "2024-01-01-05" is nobody's form */
    }
    if (zoned && !take_zone(&c, &east))
        return false;
    *us = days * USEC_PER_DAY + time - east;
    return c.at == c.end;
}
