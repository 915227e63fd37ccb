/*
 * test_cache.c: the table of shapes, and that of texts read lately: what is found, what is made, what goes when there
 * is no room, and who frees it.
 * Thread: one.
 */
#include "parser/recent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* A value is a counted block; so many of them live. */
static int made, living;
static size_t next_bytes;

static void *make(void *arg, size_t *value_bytes)
{
    int *value = mem_alloc(sizeof *value);

    *value = *(int *)arg;
    *value_bytes = next_bytes;
    made++;
    living++;
    return value;
}

static void free_value(void *value)
{
    free(value);
    living--;
}

static const struct cache_calls calls = {.make = make, .free_value = free_value};

static int begin(void **state)
{
    (void)state;
    made = living = 0;
    next_bytes = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    return living == 0 ? 0 : -1;
}

/* All texts may have one hash: they are told apart all the same. */
static struct cache_key key_of(const char *text, uint64_t hash, uint32_t database, uint32_t flags)
{
    return (struct cache_key){.text = span_of(text, strlen(text)), .hash = hash, .database = database, .flags = flags};
}

static struct shape *get(struct cache *c, const char *text)
{
    struct cache_key key = key_of(text, (uint64_t)strlen(text) * 77, 1, 0);

    return cache_get(c, &key, &made);
}

static bool knows(const struct cache *c, const char *text)
{
    struct cache_key key = key_of(text, (uint64_t)strlen(text) * 77, 1, 0);

    return cache_peek(c, &key) != NULL;
}

static void test_found_again(void **state)
{
    struct cache c;
    struct shape *a, *b;

    (void)state;
    cache_init(&c, calls, 100, MIB);
    a = get(&c, "select $");
    b = get(&c, "select $, $");
    assert_ptr_not_equal(a, b);
    assert_int_equal(*(int *)a->value, 0);
    assert_int_equal(*(int *)b->value, 1);
    assert_string_equal(a->text, "select $");
    assert_int_equal(a->hits, 0);
    assert_ptr_equal(get(&c, "select $"), a);
    assert_ptr_equal(get(&c, "select $"), a);
    assert_int_equal(a->hits, 2);
    assert_int_equal(b->hits, 0);
    assert_int_equal(made, 2);
    assert_int_equal(c.count, 2);
    assert_int_equal(c.misses, 2);
    cache_free(&c);
    assert_int_equal(living, 0);
}

static void test_all_of_the_key_counts(void **state)
{
    struct cache c;
    const struct cache_key keys[] = {key_of("a", 7, 1, 0),
                                     key_of("b", 7, 1, 0),
                                     key_of("a", 7, 2, 0),
                                     key_of("a", 7, 1, 1),
                                     key_of("ab", 7, 1, 0),
                                     key_of("", 7, 1, 0),
                                     {.text = span_of("a", 1), .hash = 7, .database = 1, .user = 1}};
    struct shape *shapes[ARRAY_LEN(keys)];

    (void)state;
    cache_init(&c, calls, 100, MIB);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        assert_null(cache_peek(&c, &keys[i]));
        shapes[i] = cache_get(&c, &keys[i], &made);
    }
    assert_int_equal(made, ARRAY_LEN(keys));
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        assert_ptr_equal(cache_get(&c, &keys[i], &made), shapes[i]);
        assert_ptr_equal(cache_peek(&c, &keys[i]), shapes[i]);
    }
    assert_int_equal(made, ARRAY_LEN(keys));
    cache_free(&c);
}

/* What cache.c mixes into the hash: who knows it can make keys that meet. */
static uint64_t mixed(uint32_t database, uint32_t flags)
{
    uint64_t more = ((uint64_t)database << 32 | flags) * UINT64_C(0x9e3779b97f4a7c15);

    return more ^ more >> 32;
}

static void test_forged_hashes(void **state)
{
    struct cache c;
    struct cache_key one = key_of("a", 7, 1, 0), two = key_of("a", 7 ^ mixed(1, 0) ^ mixed(2, 0), 2, 0);
    struct cache_key three = key_of("a", 7 ^ mixed(1, 0) ^ mixed(1, 1), 1, 1), four = key_of("b", 7, 1, 0);
    struct shape *first;

    (void)state;
    cache_init(&c, calls, 100, MIB);
    first = cache_get(&c, &one, &made);
    assert_int_equal(cache_get(&c, &two, &made)->hash, first->hash);
    assert_int_equal(cache_get(&c, &three, &made)->hash, first->hash);
    assert_int_equal(cache_get(&c, &four, &made)->hash, first->hash);
    assert_int_equal(made, 4);
    assert_ptr_equal(cache_get(&c, &one, &made), first);
    cache_free(&c);
}

static void test_unused_goes_first(void **state)
{
    struct cache c;

    (void)state;
    cache_init(&c, calls, 3, MIB);
    get(&c, "a");
    get(&c, "bb");
    get(&c, "ccc");
    get(&c, "a");
    get(&c, "dddd");
    assert_true(knows(&c, "a") && knows(&c, "ccc") && knows(&c, "dddd"));
    assert_false(knows(&c, "bb"));
    assert_int_equal(living, 3);
    assert_int_equal(c.evicted, 1);
    /* The second chance is one: the next goes out in turn. */
    get(&c, "eeeee");
    assert_false(knows(&c, "ccc"));
    get(&c, "ffffff");
    assert_true(knows(&c, "a"));
    get(&c, "ggggggg");
    assert_false(knows(&c, "a"));
    assert_int_equal(c.count, 3);
    cache_free(&c);
}

static void test_all_used(void **state)
{
    struct cache c;

    (void)state;
    cache_init(&c, calls, 2, MIB);
    for (int i = 0; i < 2; i++) {
        get(&c, "a");
        get(&c, "bb");
    }
    get(&c, "ccc");
    assert_int_equal(c.count, 2);
    assert_true(knows(&c, "ccc"));
    cache_free(&c);
}

static void test_one_only(void **state)
{
    struct cache c;
    struct shape *s;

    (void)state;
    cache_init(&c, calls, 1, MIB);
    get(&c, "a");
    s = get(&c, "bb");
    assert_string_equal(s->text, "bb");
    assert_false(knows(&c, "a"));
    assert_int_equal(living, 1);
    cache_free(&c);
}

static void test_bytes_are_bounded(void **state)
{
    struct cache c;
    size_t each;

    (void)state;
    next_bytes = 1000;
    cache_init(&c, calls, 100, 4000);
    get(&c, "a");
    each = c.bytes;
    assert_true(each > 1000 && each < 1300);
    get(&c, "bb");
    get(&c, "ccc");
    assert_int_equal(living, 3);
    get(&c, "dddd");
    assert_int_equal(living, 3);
    assert_false(knows(&c, "a"));
    next_bytes = 100000;
    get(&c, "eeeee");
    assert_int_equal(living, 1);
    assert_true(knows(&c, "eeeee"));
    next_bytes = 0;
    get(&c, "ffffff");
    assert_int_equal(living, 1);
    assert_true(knows(&c, "ffffff"));
    assert_true(c.bytes < each);
    cache_free(&c);
}

static void test_held_lives_on(void **state)
{
    struct cache c;
    struct shape *a;

    (void)state;
    cache_init(&c, calls, 1, MIB);
    a = get(&c, "a");
    cache_hold(a);
    cache_hold(a);
    get(&c, "bb");
    assert_false(knows(&c, "a"));
    assert_int_equal(living, 2);
    assert_int_equal(c.count, 1);
    assert_string_equal(a->text, "a");
    cache_release(&c, a);
    assert_int_equal(living, 2);
    cache_release(&c, a);
    assert_int_equal(living, 1);
    cache_free(&c);
}

static void test_released_stays_known(void **state)
{
    struct cache c;
    struct shape *a;

    (void)state;
    cache_init(&c, calls, 2, MIB);
    a = get(&c, "a");
    cache_hold(a);
    cache_release(&c, a);
    assert_ptr_equal(get(&c, "a"), a);
    cache_free(&c);
}

static void test_forget(void **state)
{
    struct cache c;
    struct cache_key one = key_of("a", 5, 1, 0), two = key_of("a", 5, 2, 0), more = key_of("b", 5, 1, 0);
    struct shape *held;

    (void)state;
    cache_init(&c, calls, 10, MIB);
    held = cache_get(&c, &one, &made);
    cache_hold(held);
    cache_get(&c, &two, &made);
    cache_get(&c, &more, &made);
    cache_forget(&c, 1);
    assert_int_equal(c.count, 1);
    assert_int_equal(living, 2);
    assert_null(cache_peek(&c, &one));
    assert_non_null(cache_peek(&c, &two));
    assert_ptr_not_equal(cache_get(&c, &one, &made), held);
    cache_release(&c, held);
    cache_free(&c);
}

/* --- texts that were read lately --- */

/* Found by all of its key, whatever else has its hash; and not once its shape was dropped. */
static void test_recent(void **state)
{
    static struct recent r;
    struct cache c;

    (void)state;
    cache_init(&c, calls, 1, 1000);
    struct shape *s = get(&c, "select $");
    struct cache_key key = key_of("select 1", 5, 3, 2);
    recent_put(&r, &c, &key, s);
    assert_ptr_equal(recent_find(&r, &key), s);
    assert_int_equal(s->hits, 1);
    struct cache_key others[] = {key_of("select 2", 5, 3, 2), key_of("select", 5, 3, 2),   key_of("select 1", 6, 3, 2),
                                 key_of("select 1", 5, 4, 2), key_of("select 1", 5, 3, 1), key_of("", 5, 3, 2)};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_null(recent_find(&r, &others[i]));
    get(&c, "insert");
    assert_true(s->dropped);
    assert_null(recent_find(&r, &key));
    recent_clear(&r, &c);
    cache_free(&c);
}

/* The newer of two texts in one slot stays; the other's shape is let go. */
static void test_recent_slot(void **state)
{
    static struct recent r;
    struct cache c;

    (void)state;
    cache_init(&c, calls, 10, 1000);
    struct cache_key one = key_of("select 1", 7, 0, 0), two = key_of("select 22", 7 + RECENT_SLOTS, 0, 0);
    struct shape *first = get(&c, "select $"), *second = get(&c, "insert");
    recent_put(&r, &c, &one, first);
    recent_put(&r, &c, &two, second);
    assert_null(recent_find(&r, &one));
    assert_ptr_equal(recent_find(&r, &two), second);
    assert_int_equal(first->holders, 0);
    assert_int_equal(second->holders, 1);
    recent_clear(&r, &c);
    assert_int_equal(second->holders, 0);
    cache_free(&c);
}

/* Many turns of use, with holders that come and go: what is known is right, and all is freed. */
static void test_many(void **state)
{
    struct cache c;
    struct shape *held[8] = {NULL};
    uint64_t r = 1;

    (void)state;
    cache_init(&c, calls, 50, 20000);
    for (int i = 0; i < 100000; i++) {
        char text[32];
        r = r * 6364136223846793005u + 1442695040888963407u;
        int n = (int)(r >> 33) % 120, len = snprintf(text, sizeof text, "select %d", n);
        struct cache_key key = key_of(text, (uint64_t)n % 10, 0, 0);
        struct shape *s = cache_get(&c, &key, &n);
        struct shape **place = &held[(r >> 60) & 7];
        assert_int_equal(s->text_len, len);
        assert_string_equal(s->text, text);
        assert_int_equal(*(int *)s->value, n);
        if (*place != NULL)
            cache_release(&c, *place);
        cache_hold(s);
        *place = s;
        assert_true(c.count <= 50 && c.bytes <= 20000);
        assert_true(living >= (int)c.count && living <= (int)c.count + 8);
    }
    for (size_t i = 0; i < ARRAY_LEN(held); i++)
        if (held[i] != NULL)
            cache_release(&c, held[i]);
    assert_int_equal(living, c.count);
    assert_int_equal(c.misses - c.evicted, c.count);
    cache_free(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_found_again),
        TEST(test_all_of_the_key_counts),
        TEST(test_forged_hashes),
        TEST(test_unused_goes_first),
        TEST(test_all_used),
        TEST(test_one_only),
        TEST(test_bytes_are_bounded),
        TEST(test_held_lives_on),
        TEST(test_released_stays_known),
        TEST(test_forget),
        TEST(test_recent),
        TEST(test_recent_slot),
        TEST(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
