/*
 * test_alike.c: a text that is found to be like another is what the lexer makes of it: over the statements of
 * tests/corpus, with other values in place of theirs and with bytes put in and taken out that a seed decides.
 *
 * usage: test_alike [FILE...]     the files to take instead of tests/corpus/<all>.sql
 *   ALIKE_VARIANTS=20 ALIKE_SEED=1   how many of each statement, and which
 * Thread: one.
 */
#include "parser/alike.h"
#include "tests/unit/corpus.h"

#define SEED UINT64_C(0x1234)

static uint64_t random_state;

static uint32_t random_below(size_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % limit);
}

static void *make_nothing(void *arg, size_t *value_bytes)
{
    (void)arg;
    *value_bytes = 0;
    return NULL;
}

static void free_nothing(void *value)
{
    (void)value;
}

static const struct cache_calls calls = {.make = make_nothing, .free_value = free_nothing};

static struct alike alike;
static struct cache cache;
static struct fingerprint print, fresh;

static struct cache_key key_of(const char *sql, size_t len, unsigned flags)
{
    return (struct cache_key){.text = span_of(sql, len), .database = 1, .user = 2, .flags = flags};
}

static struct shape *shape_of(const struct fingerprint *f, unsigned flags)
{
    struct cache_key key = {
        .text = span_of(buf_head(&f->text), buf_used(&f->text)), .hash = f->hash, .database = 1, .flags = flags};

    return cache_get(&cache, &key, NULL);
}

/* Reads and notes a text; false: it is not one that is noted. */
static bool put(const char *sql, size_t len, unsigned flags)
{
    struct cache_key key = key_of(sql, len, flags);

    fingerprint_read(&print, sql, len, flags, SEED);
    if (print.flags & FINGERPRINT_UNREADABLE)
        return false;
    alike_put(&alike, &cache, &key, &print, shape_of(&print, flags));
    return alike_find(&alike, &key) != NULL;
}

static bool same_slot(const struct slot *a, const struct slot *b)
{
    return a->start == b->start && a->len == b->len && a->count == b->count && a->kind == b->kind &&
           a->token_kind == b->token_kind && a->token_flags == b->token_flags && a->kept == b->kept;
}

/* Whether the text is found; if it is, all that was found is what reading it gives. */
static bool check(const char *sql, size_t len, unsigned flags)
{
    char *exact = mem_strndup(sql, len); /* so that a read past the end is seen */
    struct cache_key key = key_of(exact, len, flags);
    struct shape *found = alike_find(&alike, &key);

    if (found != NULL) {
        fingerprint_read(&fresh, exact, len, flags, SEED);
        bool same = (fresh.flags & FINGERPRINT_UNREADABLE) == 0 && found == shape_of(&fresh, flags) &&
                    alike.found_count == fresh.slot_count && alike_is(&alike, &key, found);
        for (uint32_t i = 0; same && i < fresh.slot_count; i++)
            same = same_slot(&alike.found[i], &fresh.slots[i]);
        if (!same)
            fail_msg("is not like it:\n%.*s", (int)len, sql);
    }
    free(exact);
    return found != NULL;
}

/* --- variants --- */

static void put_text(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

static const char *any_value(void)
{
    static const char *const values[] = {
        "7",       "42",         "1.5",        "99999999999", ".5",         "5.",     "1e9",          "'x'",
        "'it''s'", "''",         "'now'",      "'today'",     "E'a\\n'",    "e'\\''", "$$q$$",        "$a$'$a$",
        "'a' 'b'", "'a'\n'b'",   "b'01'",      "x'ff'",       "N'x'",       "U&'x'",  "'\\'",         "5x",
        "-3",      "null",       "$1",         "'a'--\n",     "1,2",        "(1)",    "'2020-01-01'", "'a'/**/",
        "0x1f",    "2147483648", "'allballs'", "1..2",        "'\xc3\xa9'", "true"};

    return values[random_below(ARRAY_LEN(values))];
}

/* A value of the same sort as the slot's, whatever stands around it. */
static const char *like_value(const struct slot *s)
{
    static const char *const numbers[] = {"7", "42", "123456", "2147483648"};
    static const char *const strings[] = {"'x'", "'it''s'", "''", "'2020-01-01'"};

    if (s->token_kind == TOKEN_INTEGER)
        return numbers[random_below(ARRAY_LEN(numbers))];
    return s->token_kind == TOKEN_STRING ? strings[random_below(ARRAY_LEN(strings))] : NULL;
}

/* The text that `print` is of, with other values; wild: of any sort, and other bytes, too. */
static void vary(struct buf *b, const char *sql, size_t len, bool wild)
{
    size_t at = 0;

    b->off = b->len = 0;
    for (uint32_t i = 0; i < print.slot_count; i++) {
        const struct slot *s = &print.slots[i];
        const char *value = wild ? any_value() : like_value(s);
        if (value == NULL || s->kept || s->kind != SLOT_LITERAL || random_below(4) == 0)
            continue;
        buf_put(b, sql + at, s->start - at);
        put_text(b, value);
        at = s->start + (size_t)s->len;
    }
    buf_put(b, sql + at, len - at);
    if (wild && b->len > 0 && random_below(3) == 0) {
        static const char bytes[] = "'\"$.-/*e5 \n\\(),;:x";
        b->data[random_below(b->len)] = (uint8_t)bytes[random_below(sizeof bytes - 1)];
    }
}

static void check_variants(const struct text *t, unsigned flags, size_t variants, size_t *alike_count, size_t *found)
{
    struct buf b = {0};

    if (!put(t->sql, t->len, flags))
        return;
    for (size_t i = 0; i < variants; i++) {
        vary(&b, t->sql, t->len, true);
        check((const char *)b.data, b.len, flags);
        vary(&b, t->sql, t->len, false);
        *alike_count += 1;
        *found += check((const char *)b.data, b.len, flags);
    }
    buf_free(&b);
}

static void test_corpus_is_found_as_it_is_read(void **state)
{
    size_t variants = setting("ALIKE_VARIANTS", 20), alike_count = 0, found = 0;

    (void)state;
    random_state = setting("ALIKE_SEED", 1);
    cache_init(&cache, calls, 100000, 256 * MIB);
    for (size_t i = 0; i < text_count; i++) {
        check_variants(&texts[i], LEX_STANDARD_STRINGS | FINGERPRINT_KEEP_HINTS, variants, &alike_count, &found);
        check_variants(&texts[i], 0, variants, &alike_count, &found);
    }
    printf("%zu of %zu were found\n", found, alike_count);
    assert_true(file_count > 0 || found * 100 >= alike_count * 95);
    alike_clear(&alike, &cache);
    cache_free(&cache);
    fingerprint_free(&print);
    fingerprint_free(&fresh);
}

/* --- by name --- */

static bool is_found(const char *first, const char *second)
{
    bool found;

    cache_init(&cache, calls, 10, MIB);
    assert_true(put(first, strlen(first), LEX_STANDARD_STRINGS));
    found = check(second, strlen(second), LEX_STANDARD_STRINGS);
    alike_clear(&alike, &cache);
    cache_free(&cache);
    return found;
}

static void test_what_is_alike(void **state)
{
    (void)state;
    assert_true(is_found("select a from t where id = 42", "select a from t where id = 7"));
    assert_true(is_found("select a from t where id = 42", "select a from t where id = 99999999999"));
    assert_true(is_found("select 'a', 5", "select 'it''s', 6.5"));
    assert_true(
        is_found("select * from t where a in (1, 2) and b = 'x'", "select * from t where a in (3) and b = 'y'"));
    assert_true(is_found("select $1, 5", "select $1, 6"));
    assert_true(is_found("insert into t values (1, 'a')", "insert into t values (22, '')"));
}

static void test_what_is_not(void **state)
{
    static const char *const pairs[][2] = {{"select a from t where id = 42", "select a from t where id = 'x'"},
                                           {"select a from t where id = 42", "select a from t where id = 42x"},
                                           {"select a from t where id = 42", "select a from t where id = 42 and b"},
                                           {"select a from t where id = 42", "select a from t where id = 42 "},
                                           {"select a from t where id = 42", "select A from t where id = 42"},
                                           {"select a from t where b = 'x'", "select a from t where b = 'now'"},
                                           {"select a from t where b = 'x'", "select a from t where b = 'a'\n'b'"},
                                           {"select a from t where b = 'x'", "select a from t where b = 'x"},
                                           {"select a from t order by 1, 5 + 6", "select a from t order by 2, 5 + 6"},
                                           {"select $1, 5", "select $2, 5"},
                                           {"select t.5", "select t5"},
                                           {"select a from t where a in (1, 2)", "select a from t where a in (1, b)"},
                                           {"select 5", "select"},
                                           {"select 5", ""}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        if (is_found(pairs[i][0], pairs[i][1]))
            fail_msg("%s is not like %s", pairs[i][1], pairs[i][0]);
}

/* Another user, another database, other rules: another text. A shape that was dropped is not found. */
static void test_keys(void **state)
{
    const char *sql = "select 1";
    struct cache_key key = key_of(sql, strlen(sql), LEX_STANDARD_STRINGS), other[3] = {key, key, key};

    (void)state;
    cache_init(&cache, calls, 1, 1000);
    assert_true(put(sql, strlen(sql), LEX_STANDARD_STRINGS));
    other[0].database = 7;
    other[1].user = 7;
    other[2].flags = 0;
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        assert_null(alike_find(&alike, &other[i]));
    struct cache_key more = {.text = span_of("insert", 6), .hash = 1};
    cache_get(&cache, &more, NULL);
    assert_null(alike_find(&alike, &key));
    alike_clear(&alike, &cache);
    cache_free(&cache);
}

/* More texts than a set has ways: what is found is right, and no shape is held more often than it is noted. */
static void test_full_set(void **state)
{
    char sql[100];

    (void)state;
    cache_init(&cache, calls, 1000, MIB);
    for (int i = 0; i < 200; i++) {
        snprintf(sql, sizeof sql, "select 1, c%d from t", i);
        put(sql, strlen(sql), LEX_STANDARD_STRINGS);
        for (int k = 0; k <= i; k += 7) {
            snprintf(sql, sizeof sql, "select 22, c%d from t", k);
            check(sql, strlen(sql), LEX_STANDARD_STRINGS);
        }
    }
    alike_clear(&alike, &cache);
    LIST_FOR_EACH (it, &cache.ages)
        assert_int_equal(LIST_ENTRY(it, struct shape, age)->holders, 0);
    cache_free(&cache);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_corpus_is_found_as_it_is_read, load_corpus, free_corpus),
        cmocka_unit_test(test_what_is_alike),
        cmocka_unit_test(test_what_is_not),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_full_set),
    };

    file_names = argv + 1;
    file_count = argc - 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
