/*
 * hash.c: see hash.h. lookup3 takes twelve bytes a turn into three words, mixes them reversibly, and ends with a final
 * mix; PostgreSQL begins with a constant of its own, mixes a seed of 64 bits in, and takes two of the words.
 * Thread: any (no state).
 */
#include "shard/hash.h"

#include <endian.h>

#define PARTITION_SEED UINT64_C(0x7a5b22367996dcfd)
#define COMBINE_CONSTANT UINT64_C(0x49a0f4dd15e5a8e3)
#define GOLDEN_RATIO UINT32_C(0x9e3779b9)
#define OFFSET_BASIS UINT32_C(3923095)
#define TURN_BYTES 12

/* --- modulo, string_hash --- */

uint32_t hash_modulo(int64_t v, uint32_t n)
{
    int64_t rest = v % (int64_t)n;

    return (uint32_t)(rest < 0 ? rest + n : rest);
}

/* The character at *at, which is moved behind it; -1 where no character of UTF-8 stands there. */
static int32_t take_character(const uint8_t **at, const uint8_t *end)
{
    static const int32_t least[] = {0, 0x80, 0x800, 0x10000};
    const uint8_t *p = *at;
    size_t more = *p < 0x80 ? 0 : *p < 0xc0 ? 4 : *p < 0xe0 ? 1 : *p < 0xf0 ? 2 : *p < 0xf8 ? 3 : 4;

    if (more == 4 || (size_t)(end - p) <= more)
        return -1;
    int32_t c = more == 0 ? *p : *p & (0x3f >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return -1;
        c = c << 6 | (p[i] & 0x3f);
    }
    *at = p + more + 1;
    return c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) ? -1 : c;
}

bool hash_string(const uint8_t *text, size_t len, uint32_t n, uint32_t *part)
{
    const uint8_t *end = text + len;
    uint32_t h = 0;

    while (text < end) {
        int32_t c = take_character(&text, end);
        if (c < 0)
            return false;
        if (c >= 0x10000) {
            h = h * 31 + (0xd800 + (uint32_t)((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        h = h * 31 + (uint32_t)c;
    }
    /* In 64 bits: the least int has no absolute value in 32. */
    int64_t signed_h = (int32_t)h;
    *part = (uint32_t)((signed_h < 0 ? -signed_h : signed_h) % n);
    return true;
}

/* --- lookup3 --- */

struct words {
    uint32_t a;
    uint32_t b;
    uint32_t c;
};

static uint32_t rotate(uint32_t v, unsigned bits)
{
    return v << bits | v >> (32 - bits);
}

/* One step: *to loses *by, is crossed with it turned, and *by gains the third. */
static void mix_step(uint32_t *to, uint32_t *by, const uint32_t *third, unsigned bits)
{
    *to -= *by;
    *to ^= rotate(*by, bits);
    *by += *third;
}

static void mix(struct words *w)
{
    mix_step(&w->a, &w->c, &w->b, 4);
    mix_step(&w->b, &w->a, &w->c, 6);
    mix_step(&w->c, &w->b, &w->a, 8);
    mix_step(&w->a, &w->c, &w->b, 16);
    mix_step(&w->b, &w->a, &w->c, 19);
    mix_step(&w->c, &w->b, &w->a, 4);
}

static void final_step(uint32_t *to, uint32_t by, unsigned bits)
{
    *to = (*to ^ by) - rotate(by, bits);
}

static uint64_t finish(struct words *w)
{
    final_step(&w->c, w->b, 14);
    final_step(&w->a, w->c, 11);
    final_step(&w->b, w->a, 25);
    final_step(&w->c, w->b, 16);
    final_step(&w->a, w->c, 4);
    final_step(&w->b, w->a, 14);
    final_step(&w->c, w->b, 24);
    return (uint64_t)w->b << 32 | w->c;
}

static struct words begin(size_t len)
{
    uint32_t first = GOLDEN_RATIO + (uint32_t)len + OFFSET_BASIS;
    struct words w = {first, first, first};

    w.a += (uint32_t)(PARTITION_SEED >> 32);
    w.b += (uint32_t)PARTITION_SEED;
    mix(&w);
    return w;
}

static uint32_t word_at(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return le32toh(v);
}

uint64_t hash_of_bytes(const uint8_t *bytes, size_t len)
{
    struct words w = begin(len);
    uint8_t rest[TURN_BYTES + 1] = {0};

    for (; len >= TURN_BYTES; bytes += TURN_BYTES, len -= TURN_BYTES) {
        w.a += word_at(bytes);
        w.b += word_at(bytes + 4);
        w.c += word_at(bytes + 8);
        mix(&w);
    }
    /* The last word's lowest byte takes none: PostgreSQL keeps it for the length, as older forms of the hash did. */
    memcpy(rest, bytes, MIN(len, 8));
    if (len > 8)
        memcpy(rest + 9, bytes + 8, len - 8);
    w.a += word_at(rest);
    w.b += word_at(rest + 4);
    w.c += word_at(rest + 8);
    return finish(&w);
}

static uint64_t hash_of_word(uint32_t v)
{
    struct words w = begin(sizeof v);

    w.a += v;
    return finish(&w);
}

uint64_t hash_of_int4(int32_t v)
{
    return hash_of_word((uint32_t)v);
}

uint64_t hash_of_int8(int64_t v)
{
    uint32_t high = (uint32_t)((uint64_t)v >> 32);

    return hash_of_word((uint32_t)v ^ (v < 0 ? ~high : high));
}

uint32_t hash_partition(uint64_t hash, uint32_t n)
{
    return (uint32_t)((hash + COMBINE_CONSTANT) % n);
}

/* FNV-1a. */
uint64_t hash_stable(const void *bytes, size_t len)
{
    const uint8_t *p = bytes;
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < len; i++)
        h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}
