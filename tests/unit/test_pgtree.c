/*
 * test_pgtree.c: what pgtree says of texts (tests/unit/pgtree.rows), of their bounds, of deep ones, and in many threads
 * at once; and that what it says depends on a text's shape only.
 * Thread: one, and those that the tests start.
 */
#include "parser/functions.h"
#include "parser/pgtree.h"

#include <ctype.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ROWS "tests/unit/pgtree.rows"
#define ROWS_LEAST 500
#define WORKERS 4

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_BYTES (PGTREE_STACK_BYTES * 4) /* frames are larger, with room around every variable */
#else
#define STACK_BYTES PGTREE_STACK_BYTES
#endif

/* --- what is said, as text --- */

static void put_text(struct buf *b, const char *text, size_t len)
{
    buf_put(b, text, len);
}

/* What stmt_describe said, with the text at a literal's place instead of its offset; places NULL: left out. */
static void put_resolved(struct buf *out, const char *line, size_t len, const char *sql)
{
    for (size_t i = 0; i < len; i++) {
        if (line[i] != '@' || !isdigit((unsigned char)line[i + 1])) {
            put_text(out, &line[i], 1);
            continue;
        }
        char *end;
        size_t at = strtoul(&line[i + 1], &end, 10);
        i = (size_t)(end - line) - 1;
        if (sql == NULL)
            continue;
        assert_true(at < strlen(sql));
        put_text(out, "(", 1);
        put_text(out, sql + at, strcspn(sql + at, " ,);:]"));
        put_text(out, ")", 1);
    }
}

/* All that is said of a text, a line a statement; the caller frees. places: literals as they stand there, else none. */
static char *describe(const char *sql, bool places)
{
    struct pgtree_error err;
    struct buf out = {.data = NULL};
    struct buf line = {.data = NULL};
    struct stmt_list *list = pgtree_parse(sql, strlen(sql), &err);

    for (size_t i = 0; list != NULL && i < list->count; i++) {
        stmt_describe(list->stmts[i], &line);
        buf_put_u8(&line, '\0');
        put_resolved(&out, (const char *)buf_head(&line), buf_used(&line) - 1, places ? sql : NULL);
        buf_put_u8(&out, '\n');
        buf_consume(&line, buf_used(&line));
    }
    if (list == NULL) {
        char *refused = mem_printf("refused: %s\n", err.message);
        put_text(&out, refused, strlen(refused));
        free(refused);
    }
    buf_put_u8(&out, '\0');
    buf_free(&line);
    stmt_list_free(list);
    return (char *)out.data;
}

/* --- the rows --- */

struct row {
    char *sql;
    char *expected;
    size_t line;
};

struct rows {
    struct row *rows;
    size_t count;
};

static void append(char **text, const char *more)
{
    char *joined = mem_printf("%s%s", *text, more);

    free(*text);
    *text = joined;
}

static struct rows read_rows(void)
{
    struct rows r = {.rows = NULL};
    FILE *file = fopen(ROWS, "r");
    char line[4096];

    assert_non_null(file);
    for (size_t number = 1; fgets(line, sizeof line, file) != NULL; number++) {
        if (line[0] == '#' || line[0] == '\n')
            continue;
        if (line[0] == ' ') {
            append(&r.rows[r.count - 1].expected, line + strspn(line, " "));
            continue;
        }
        line[strcspn(line, "\n")] = '\0';
        r.rows = mem_realloc(r.rows, (r.count + 1) * sizeof *r.rows);
        r.rows[r.count++] = (struct row){.sql = mem_strdup(line), .expected = mem_strdup(""), .line = number};
    }
    fclose(file);
    return r;
}

static void free_rows(struct rows r)
{
    for (size_t i = 0; i < r.count; i++) {
        free(r.rows[i].sql);
        free(r.rows[i].expected);
    }
    free(r.rows);
}

static size_t count_wrong(const struct rows *r)
{
    size_t wrong = 0;

    for (size_t i = 0; i < r->count; i++) {
        char *actual = describe(r->rows[i].sql, true);
        if (strcmp(actual, r->rows[i].expected) != 0) {
            fprintf(stderr, "%s:%zu: %s\nexpected:\n%sgot:\n%s", ROWS, r->rows[i].line, r->rows[i].sql,
                    r->rows[i].expected, actual);
            wrong++;
        }
        free(actual);
    }
    return wrong;
}

static void statements_are_what_the_rows_say(void **state)
{
    struct rows r = read_rows();

    (void)state;
    assert_true(r.count >= ROWS_LEAST);
    assert_int_equal(count_wrong(&r), 0);
    free_rows(r);
}

static void *run_rows(void *rows)
{
    return (void *)count_wrong(rows);
}

static void threads_do_not_disturb_each_other(void **state)
{
    struct rows r = read_rows();
    pthread_t threads[WORKERS];

    (void)state;
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_rows, &r), 0);
    for (size_t i = 0; i < WORKERS; i++) {
        void *wrong;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    free_rows(r);
}

/* --- shapes --- */

/* Texts that differ in literals only; each must say the same. */
static void literals_change_nothing(void **state)
{
    static const char *const shapes[][5] = {
        {"select * from t where a = 7", "select * from t where a = 0", "select * from t where a = 99999999999",
         "select * from t where a = 1.5", "select * from t where a = .5e10"},
        {"select * from t where a = -7", "select * from t where a = -0", "select * from t where a = -2147483648",
         "select * from t where a = -99999999999", "select * from t where a = -0.0"},
        {"select * from t where a = 'x'", "select * from t where a = ''", "select * from t where a = e'\\''",
         "select * from t where a = $$ - 5 $$", "select * from t where a = u&'-1'"},
        {"insert into t values (1, 'a'), (0, '')", "insert into t values (2, ''), (9, 'x')",
         "insert into t values (0, 'b'), (0, 'c')", "insert into t values (1.5, 'b'), (99999999999, 'c')",
         "insert into t values (0, $$x$$), (.5, e'c')"},
        {"select set_config('a', 'b', false)", "select set_config('search_path', '', false)",
         "select set_config('', '-', false)", "select set_config('x', $$y$$, false)",
         "select set_config(e'x', 'y', false)"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
        char *first = describe(shapes[i][0], false);
        for (size_t j = 1; j < ARRAY_LEN(shapes[i]); j++) {
            char *next = describe(shapes[i][j], false);
            assert_string_equal(first, next);
            free(next);
        }
        free(first);
    }
}

static void places_are_byte_offsets(void **state)
{
    static const char sql[] = "/* \xc3\xa4 */ select * from t where \"\xc3\xa4\" = - -- 5\n 42 and b = 'x'";
    struct pgtree_error err;
    struct stmt_list *list = pgtree_parse(sql, strlen(sql), &err);

    (void)state;
    assert_non_null(list);
    const struct stmt *s = list->stmts[0];
    assert_int_equal(s->place_count, 2);
    const struct stmt_value *number = &s->values[s->places[0].value];
    const struct stmt_value *string = &s->values[s->places[1].value];
    assert_string_equal(s->places[0].column, "\xc3\xa4");
    assert_true(number->kind == VALUE_NUMBER && number->negated);
    assert_memory_equal(sql + number->at, "42 ", 3);
    assert_true(string->kind == VALUE_STRING && !string->negated);
    assert_string_equal(sql + string->at, "'x'");
    stmt_list_free(list);
}

static void statements_have_their_part_of_the_text(void **state)
{
    static const char sql[] = "select 1; select 22 ;\n-- c\nselect 333";
    static const char *const parts[] = {"select 1", " select 22 ", "\n-- c\nselect 333"};
    struct pgtree_error err;
    struct stmt_list *list = pgtree_parse(sql, strlen(sql), &err);

    (void)state;
    assert_non_null(list);
    assert_int_equal(list->count, ARRAY_LEN(parts));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        assert_int_equal(list->stmts[i]->len, strlen(parts[i]));
        assert_memory_equal(sql + list->stmts[i]->start, parts[i], strlen(parts[i]));
    }
    stmt_list_free(list);
}

/* --- bounds --- */

static void the_text_need_not_end_with_a_nul(void **state)
{
    static const char sql[] = "select * from t where a = -5";
    char *exact = mem_alloc(strlen(sql)); /* a read past the end is seen */
    struct pgtree_error err;

    (void)state;
    memcpy(exact, sql, strlen(sql));
    struct stmt_list *list = pgtree_parse(exact, strlen(sql), &err);
    free(exact);
    assert_non_null(list);
    assert_string_equal(list->stmts[0]->tables[0].name, "t");
    stmt_list_free(list);
}

static void long_texts_are_not_looked_at(void **state)
{
    char *sql = mem_alloc(PGTREE_BYTES_MAX + 2);
    struct pgtree_error err = {.status = PGTREE_REFUSED};

    (void)state;
    memset(sql, ' ', PGTREE_BYTES_MAX + 1);
    memcpy(sql, "select 1", 8);
    assert_null(pgtree_parse(sql, PGTREE_BYTES_MAX + 1, &err));
    assert_int_equal(err.status, PGTREE_TOO_LARGE);
    struct stmt_list *list = pgtree_parse(sql, PGTREE_BYTES_MAX, &err);
    assert_non_null(list);
    stmt_list_free(list);
    free(sql);
}

static void refusals_say_why_and_where(void **state)
{
    static const char sql[] = "select '\xc3\xa4', from";
    struct pgtree_error err = {.status = PGTREE_TOO_LARGE};
    char long_word[1000];

    (void)state;
    assert_null(pgtree_parse(sql, strlen(sql), &err));
    assert_int_equal(err.status, PGTREE_REFUSED);
    assert_string_equal(err.message, "syntax error at or near \"from\"");
    assert_int_equal(err.cursor, 13); /* a character, not a byte */
    assert_null(pgtree_parse("select\0 1", 9, &err));
    assert_int_equal(err.status, PGTREE_REFUSED);
    memset(long_word, 'x', sizeof long_word);
    assert_null(pgtree_parse(long_word, sizeof long_word, &err));
    assert_true(memchr(err.message, '\0', sizeof err.message) != NULL);
}

static void long_lists_are_whole(void **state)
{
    struct buf b = {.data = NULL};
    struct pgtree_error err;

    (void)state;
    put_text(&b, "select * from t where id in (1", 30);
    for (int i = 0; i < 30000; i++)
        put_text(&b, ",7", 2);
    put_text(&b, ")", 1);
    struct stmt_list *list = pgtree_parse((const char *)buf_head(&b), buf_used(&b), &err);
    assert_non_null(list);
    assert_int_equal(list->stmts[0]->places[0].count, 30001);
    stmt_list_free(list);
    buf_free(&b);
}

/* --- depth --- */

struct deep {
    const char *before;
    const char *open; /* so often that there are PGTREE_TOKENS_MAX tokens, or `open` is the last that fits */
    int times;
    const char *middle;
    const char *close;
};

static const struct deep deep_texts[] = {
    {"select 1", "+1", 2000, "", ""},
    {"select 'a'", "||'a'", 2000, "", ""},
    {"select a", "::b", 2000, "", ""},
    {"select 1", " union select 1", 1333, "", ""},
    {"select 1", " and 1", 2000, "", ""},
    {"select ", "- ", 3998, "a", ""},
    {"select ", "not ", 3998, "a", ""},
    {"select ", "(", 1999, "1", ")"},
    {"select", "(select", 1999, " 1", ")"}, /* the deepest tree for its tokens */
    {"", "(", 1999, "select 1", ")"},
    {"", "with a as (", 799, "select 1", ") select 1"},
    {"select ", "f(", 1999, "1", ")"},
    {"select array", "[", 1999, "1", "]"},
    {"select ", "a[", 1333, "1", "]"},
    {"select ", "case when ", 1333, "a", " then 1 end"},
    {"select ", "exists(select ", 1333, "1", ")"},
    {"select * from a", " join b on true", 799, "", ""},
    {"select ", "(values(", 999, "1", "))"},
};

static void put_times(struct buf *b, const char *text, int times)
{
    for (int i = 0; i < times; i++)
        put_text(b, text, strlen(text));
}

static void *parse_deep(void *deep)
{
    const struct deep *d = deep;
    struct buf b = {.data = NULL};
    struct pgtree_error err;

    put_times(&b, d->before, 1);
    put_times(&b, d->open, d->times);
    put_times(&b, d->middle, 1);
    put_times(&b, d->close, d->times);
    struct stmt_list *list = pgtree_parse((const char *)buf_head(&b), buf_used(&b), &err);
    bool read = list != NULL && list->stmts[0]->kind == STMT_SELECT;
    if (!read)
        fprintf(stderr, "%s... %s\n", d->open, list == NULL ? err.message : "is no SELECT");
    stmt_list_free(list);
    buf_free(&b);
    return read ? deep : NULL;
}

static void deep_texts_fit_a_workers_stack(void **state)
{
    pthread_attr_t attr;

    (void)state;
    pthread_attr_init(&attr);
    assert_int_equal(pthread_attr_setstacksize(&attr, STACK_BYTES), 0);
    for (size_t i = 0; i < ARRAY_LEN(deep_texts); i++) {
        pthread_t thread;
        void *read;
        assert_int_equal(pthread_create(&thread, &attr, parse_deep, (void *)&deep_texts[i]), 0);
        assert_int_equal(pthread_join(thread, &read), 0);
        assert_non_null(read);
    }
    pthread_attr_destroy(&attr);
}

/* --- what is derived --- */

static void a_standby_runs_what_only_reads(void **state)
{
    static const struct {
        const char *sql;
        bool runs;
        bool writes;
    } rows[] = {
        {"select 1", true, false},
        {"show x", true, false},
        {"select current_setting('x')", true, false},
        {"set x = 1", true, false},
        {"begin", true, false},
        {"begin read only", true, false},
        {"begin read write", false, false},
        {"begin isolation level serializable", false, false},
        {"set transaction isolation level serializable", false, false},
        {"savepoint a", true, false},
        {"declare c cursor for select * from t", true, false},
        {"declare c cursor for select * from t for share", false, false},
        {"explain insert into t values (1)", true, false},
        {"explain analyze insert into t values (1)", false, true},
        {"prepare p as delete from t", true, false},
        {"execute p", true, false},
        {"copy t to stdout", true, false},
        {"copy t from stdin", false, true},
        {"copy (delete from t returning *) to stdout", false, true},
        {"with x as (delete from t returning *) select * from x", false, true},
        {"select 1 into t", false, true},
        {"create temp table t (a int)", false, true},
        {"select * from pg_temp.t", false, false},
        {"select nextval('s')", false, false},
        {"select pg_notify('a', 'b')", false, false},
        {"select txid_current()", false, false},
        {"select pg_advisory_lock(1)", true, false},
        {"listen a", false, false},
        {"lock t", false, false},
        {"prepare transaction 'x'", false, false},
        {"call p()", true, false},
        {"vacuum", false, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct pgtree_error err;
        struct stmt_list *list = pgtree_parse(rows[i].sql, strlen(rows[i].sql), &err);
        assert_non_null(list);
        if (stmt_runs_on_standby(list->stmts[0]) != rows[i].runs || stmt_writes(list->stmts[0]) != rows[i].writes)
            fail_msg("%s", rows[i].sql);
        stmt_list_free(list);
    }
}

static void reasons_have_words(void **state)
{
    (void)state;
    assert_null(stmt_reason_text(0));
    assert_string_equal(stmt_reason_text(REASON_WRITE | REASON_SEQUENCE), "writes rows");
    assert_string_equal(stmt_reason_text(REASON_TRANSACTION), "controls the transaction");
    assert_string_equal(stmt_kind_name(STMT_COPY_FROM), "COPY FROM");
}

/* Each row must be found: the search needs their order. */
static void functions_are_found(void **state)
{
    static const struct {
        const char *name;
        enum stmt_class class;
    } rows[] = {
#define FUNCTION_PREFIX(prefix, class) {#prefix "x", CLASS_##class},
#define FUNCTION(name, class) {#name, CLASS_##class},
#include "parser/functions.def"
#undef FUNCTION_PREFIX
#undef FUNCTION
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (function_class(NULL, rows[i].name) != rows[i].class)
            fail_msg("%s", rows[i].name);
    assert_int_equal(function_class("pg_catalog", "nextval"), CLASS_SEQUENCE);
    assert_int_equal(function_class("public", "nextval"), CLASS_UNLISTED);
    assert_int_equal(function_class(NULL, "nextvals"), CLASS_UNLISTED);
    assert_int_equal(function_class(NULL, ""), CLASS_UNLISTED);
}

static void relations_are_found(void **state)
{
    static const char *const names[] = {
#define RELATION_PREFIX(prefix) #prefix "x",
#define RELATION(name) #name,
#include "parser/relations.def"
#undef RELATION_PREFIX
#undef RELATION
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!relation_speaks(NULL, names[i]) || !relation_speaks("pg_catalog", names[i]))
            fail_msg("%s", names[i]);
    assert_false(relation_speaks(NULL, "pg_class"));
    assert_false(relation_speaks("public", "pg_settings"));
}

static void arenas_keep_what_they_gave(void **state)
{
    struct arena a = {.chunks = NULL};
    char *pieces[200];
    int *items = NULL;
    size_t cap = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        pieces[i] = arena_alloc(&a, i * 10 + 1);
        assert_int_equal((uintptr_t)pieces[i] % 8, 0);
        assert_int_equal(pieces[i][i * 10], 0);
        memset(pieces[i], (int)i, i * 10 + 1);
    }
    for (int i = 0; i < 1000; i++) {
        items = arena_grow(&a, items, (size_t)i, &cap, sizeof *items);
        items[i] = i;
    }
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++)
        for (size_t j = 0; j < i * 10 + 1; j++)
            assert_int_equal((unsigned char)pieces[i][j], i);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    assert_true(a.size_bytes > 200000);
    arena_free(&a);
    assert_int_equal(a.size_bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_are_what_the_rows_say),
        cmocka_unit_test(threads_do_not_disturb_each_other),
        cmocka_unit_test(literals_change_nothing),
        cmocka_unit_test(places_are_byte_offsets),
        cmocka_unit_test(statements_have_their_part_of_the_text),
        cmocka_unit_test(the_text_need_not_end_with_a_nul),
        cmocka_unit_test(long_texts_are_not_looked_at),
        cmocka_unit_test(refusals_say_why_and_where),
        cmocka_unit_test(long_lists_are_whole),
        cmocka_unit_test(deep_texts_fit_a_workers_stack),
        cmocka_unit_test(a_standby_runs_what_only_reads),
        cmocka_unit_test(reasons_have_words),
        cmocka_unit_test(functions_are_found),
        cmocka_unit_test(relations_are_found),
        cmocka_unit_test(arenas_keep_what_they_gave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
