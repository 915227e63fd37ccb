/*
 * test_shapes.c: holds the fingerprint against libpg_query's tree, over the statements of tests/corpus that it can
 * parse. What must hold: a statement with other values in its slots has the same shape, and the same tree but for the
 * values; and each constant and parameter of the tree has a slot.
 *
 * usage: test_shapes [FILE...]     the files to take instead of tests/corpus/<all>.sql
 * Thread: one.
 */
#include "parser/fingerprint.h"
#include "tests/unit/corpus.h"

#include <pg_query.h>

#define SEED 5
#define NOWHERE ((size_t)-1) /* a location of -1 */

static struct fingerprint print, other_print;

static void read_print(struct fingerprint *f, const char *sql, size_t len)
{
    fingerprint_read(f, sql, len, LEX_STANDARD_STRINGS, SEED);
}

static bool same_text(const struct fingerprint *a, const struct fingerprint *b)
{
    return a->text.len == b->text.len && (a->text.len == 0 || memcmp(a->text.data, b->text.data, a->text.len) == 0);
}

static void test_normal_text_is_its_own(void **state)
{
    size_t different = 0;

    (void)state;
    for (size_t i = 0; i < text_count; i++) {
        read_print(&print, texts[i].sql, texts[i].len);
        read_print(&other_print, (const char *)print.text.data, print.text.len);
        if (!same_text(&print, &other_print) || print.hash != other_print.hash) {
            printf("differs:\n%.*s\n%.*s\n", (int)print.text.len, (const char *)print.text.data,
                   (int)other_print.text.len, (const char *)other_print.text.data);
            different++;
        }
    }
    assert_int_equal(different, 0);
}

/* --- the same statement with other values --- */

static const char *other_value(const struct slot *s)
{
    static const char *const values[] = {[TOKEN_STRING] = "'other'",     [TOKEN_ESTRING] = "E'ot''h\\ner'",
                                         [TOKEN_DOLLAR] = "$x$other$x$", [TOKEN_BITS] = "b'10'",
                                         [TOKEN_HEX] = "x'1f'",          [TOKEN_INTEGER] = "7",
                                         [TOKEN_LARGE] = "77777777777",  [TOKEN_DECIMAL] = "7.75"};

    if (s->kind == SLOT_LIST)
        return "7, -7.5, 'other', $1, null";
    return s->kind == SLOT_LITERAL && !s->kept ? values[s->token_kind] : NULL;
}

/* Appends the statement with other values in all slots that may differ, and rows three times. */
static void put_other(struct buf *b, const char *sql, size_t len)
{
    size_t at = 0;

    for (uint32_t i = 0; i < print.slot_count; i++) {
        const struct slot *s = &print.slots[i];
        const char *value = other_value(s);
        if (value == NULL && s->kind != SLOT_ROWS)
            continue;
        buf_put(b, sql + at, s->start - at);
        at = s->start + s->len;
        for (int k = 0; value == NULL && k < 5; k++)
            k % 2 == 0 ? buf_put(b, sql + s->start, s->len) : buf_put(b, ", ", 2);
        if (value != NULL)
            buf_put(b, value, strlen(value));
    }
    buf_put(b, sql + at, len - at);
    buf_put_u8(b, 0);
}

/* libpg_query's number of a tree without its values; 0 where it cannot parse the text. */
static uint64_t tree_of(const char *sql)
{
    PgQueryFingerprintResult result = pg_query_fingerprint(sql);
    uint64_t tree = result.error == NULL ? result.fingerprint : 0;

    pg_query_free_fingerprint_result(result);
    return tree;
}

/* False only if the tree is another one. */
static bool other_is_same(const struct text *t, uint64_t tree)
{
    struct buf b = {.data = NULL};
    bool same;

    put_other(&b, t->sql, t->len);
    read_print(&other_print, (const char *)b.data, b.len - 1);
    same = same_text(&print, &other_print) && print.slot_count == other_print.slot_count &&
           tree_of((const char *)b.data) == tree;
    if (!same)
        printf("differs:\n%s\n%s\n", t->sql, (const char *)b.data);
    buf_free(&b);
    return same;
}

static void test_other_values_same_tree(void **state)
{
    size_t parsed = 0, different = 0;

    (void)state;
    for (size_t i = 0; i < text_count; i++) {
        uint64_t tree = tree_of(texts[i].sql);
        read_print(&print, texts[i].sql, texts[i].len);
        if (tree == 0)
            continue;
        parsed++;
        if ((print.flags & FINGERPRINT_UNREADABLE) != 0) {
            printf("parses, and is taken for unreadable:\n%s\n", texts[i].sql);
            different++;
        } else {
            different += !other_is_same(&texts[i], tree);
        }
    }
    printf("%zu of %zu statements parsed\n", parsed, text_count);
    assert_int_equal(different, 0);
    assert_true(parsed * 10 > text_count * 9);
}

/* --- two statements of one shape --- */

struct known {
    uint64_t hash;
    uint64_t tree;
    size_t text;
};

static int compare_known(const void *a, const void *b)
{
    const struct known *x = a, *y = b;

    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static void test_equal_shapes_equal_trees(void **state)
{
    struct known *all = mem_alloc(text_count * sizeof *all);
    size_t count = 0, equal = 0, different = 0;

    (void)state;
    for (size_t i = 0; i < text_count; i++) {
        uint64_t tree = tree_of(texts[i].sql);
        read_print(&print, texts[i].sql, texts[i].len);
        if (tree != 0)
            all[count++] = (struct known){.hash = print.hash, .tree = tree, .text = i};
    }
    qsort(all, count, sizeof *all, compare_known);
    for (size_t i = 1; i < count; i++) {
        if (all[i].hash != all[i - 1].hash)
            continue;
        equal++;
        if (all[i].tree == all[i - 1].tree)
            continue;
        different++;
        printf("one shape, two trees:\n%s\n%s\n", texts[all[i - 1].text].sql, texts[all[i].text].sql);
    }
    free(all);
    printf("%zu of %zu shapes are equal to another\n", equal, count);
    assert_int_equal(different, 0);
    assert_true(file_count > 0 || equal > 100);
}

/* --- the tree's offsets --- */

/* Behind the JSON value at p: an object or a string (what else there is needs no skipping). */
static const char *skip_json(const char *p)
{
    size_t depth = 0;

    do {
        if (*p == '"') {
            for (p++; *p != '"'; p++)
                p += *p == '\\';
        } else {
            depth += *p == '{' || *p == '[';
            depth -= *p == '}' || *p == ']';
        }
        p++;
    } while (depth > 0);
    return p;
}

/* The number of an object's own location; protobuf leaves out a 0. */
static size_t location_of(const char *object)
{
    static const char name[] = "\"location\":";
    const char *end = skip_json(object) - 1;

    for (const char *p = object + 1; p < end; p++) {
        if (strncmp(p, name, strlen(name)) == 0)
            return (size_t)atoll(p + strlen(name));
        if (*p == '{' || *p == '"')
            p = skip_json(p) - 1;
    }
    return 0;
}

/* A constant may be made of a word, which stands in the normalised text: NULL, TRUE, EXTRACT(year FROM ...). */
static bool is_word(const struct text *t, size_t offset)
{
    struct lexer l;
    struct token token;

    lex_init(&l, t->sql, t->len, LEX_STANDARD_STRINGS);
    lex_seek(&l, offset);
    lex_next(&l, &token);
    return token.kind >= TOKEN_WORD && token.kind <= TOKEN_UQUOTED && (token.flags & TOKEN_NCHAR) == 0;
}

/* A place of the tree must have a slot, unless the grammar made the constant of no literal. */
static bool has_slot(const struct text *t, const char *object)
{
    size_t offset = location_of(object);

    if (offset == NOWHERE || is_word(t, offset) || fingerprint_slot_at(&print, t->sql, offset) != SLOT_NONE)
        return true;
    printf("offset %zu has no slot: %.*s\n%s\n", offset, (int)(skip_json(object) - object), object, t->sql);
    return false;
}

static size_t check_places(const struct text *t, const char *tree, const char *name, size_t *seen)
{
    size_t wrong = 0;

    for (const char *p = tree; (p = strstr(p, name)) != NULL; p++) {
        const char *object = p + strlen(name) - 1;
        (*seen)++;
        wrong += !has_slot(t, object);
    }
    return wrong;
}

static void test_places_have_slots(void **state)
{
    size_t wrong = 0, seen = 0;

    (void)state;
    for (size_t i = 0; i < text_count; i++) {
        PgQueryParseResult result = pg_query_parse(texts[i].sql);
        read_print(&print, texts[i].sql, texts[i].len);
        if (result.error == NULL && (print.flags & FINGERPRINT_CROWDED) == 0) {
            wrong += check_places(&texts[i], result.parse_tree, "\"A_Const\":{", &seen);
            wrong += check_places(&texts[i], result.parse_tree, "\"ParamRef\":{", &seen);
        }
        pg_query_free_parse_result(result);
    }
    printf("%zu places\n", seen);
    assert_int_equal(wrong, 0);
    assert_true(file_count > 0 || seen > 5000);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normal_text_is_its_own),
        cmocka_unit_test(test_other_values_same_tree),
        cmocka_unit_test(test_equal_shapes_equal_trees),
        cmocka_unit_test(test_places_have_slots),
    };

    file_names = argv + 1;
    file_count = argc - 1;

    int status = cmocka_run_group_tests(tests, load_corpus, free_corpus);

    fingerprint_free(&print);
    fingerprint_free(&other_print);
    pg_query_exit();
    return status;
}
