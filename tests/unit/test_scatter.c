/*
 * test_scatter.c: which statements may be answered in parts, and how (tests/unit/scatter.rows); that a plan is made
 * from one text and the statement of another of its shape; how texts are cut into clauses.
 * Thread: one.
 */
#include "parser/pgtree.h"
#include "shard/clauses.h"
#include "shard/scatter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ROWS "tests/unit/scatter.rows"
#define ROWS_LEAST 100

/* --- what is known --- */

struct known_table {
    const char *name;
    enum scatter_way way;
    const char *key;
    const char *columns; /* each between blanks */
};

static const struct known_table known_tables[] = {
    {"users", SCATTER_BY_KEY, "id", " id name town age born "},
    {"orders", SCATTER_BY_KEY, "user_id", " id user_id total placed state "},
    {"items", SCATTER_BY_KEY, "user_id", " id user_id order_id amount "},
    {"places", SCATTER_BY_KEY, "id", " id title "},
    {"countries", SCATTER_EVERYWHERE, NULL, " code title "},
    {"logs", SCATTER_ON_SHARD, NULL, " id "},
};

static const struct known_table *known(const struct stmt *s, uint32_t table)
{
    for (size_t i = 0; i < ARRAY_LEN(known_tables); i++)
        if (strcmp(known_tables[i].name, s->tables[table].name) == 0)
            return &known_tables[i];
    return NULL;
}

static struct scatter_table table_of(void *arg, uint32_t table)
{
    const struct known_table *t = known(arg, table);

    return t == NULL ? (struct scatter_table){.way = SCATTER_NOWHERE}
                     : (struct scatter_table){.way = t->way, .key = t->key};
}

static bool is_colocated(void *arg, uint32_t a, uint32_t b)
{
    bool place_a = strcmp(known(arg, a)->name, "places") == 0;
    bool place_b = strcmp(known(arg, b)->name, "places") == 0;

    return place_a == place_b;
}

static unsigned column_of(void *arg, uint32_t table, const char *name)
{
    char word[80];

    snprintf(word, sizeof word, " %s ", name);
    if (strstr(known(arg, table)->columns, word) == NULL)
        return SCATTER_COLUMN_ABSENT;
    if (strcmp(name, "name") == 0)
        return SCATTER_COLUMN_THERE | SCATTER_COLUMN_BYTEWISE | SCATTER_COLUMN_EXACT;
    return SCATTER_COLUMN_THERE | (strcmp(name, "town") == 0 ? SCATTER_COLUMN_EXACT : 0);
}

static enum scatter_function function_of(void *arg, const char *schema, const char *name)
{
    (void)arg;
    (void)schema;
    if (strcmp(name, "user_pure") == 0)
        return SCATTER_PURE;
    if (strcmp(name, "user_agg") == 0)
        return SCATTER_PURE_AGGREGATE;
    return strncmp(name, "user_", 5) == 0 ? SCATTER_IMPURE : SCATTER_NOT_USERS;
}

static bool is_impure_operator(void *arg, const char *name)
{
    (void)arg;
    return strcmp(name, "@@@") == 0;
}

static struct scatter_facts facts_of(const struct stmt *s)
{
    return (struct scatter_facts){.table = table_of,
                                  .is_colocated = is_colocated,
                                  .column = column_of,
                                  .function = function_of,
                                  .is_impure_operator = is_impure_operator,
                                  .arg = (void *)(uintptr_t)s,
                                  .gives_now = true};
}

/* The plan for a text by the statement of `shape`, in words; the caller frees. */
static char *plan_of(const char *shape, const char *sql)
{
    struct pgtree_error err;
    struct stmt_list *list = pgtree_parse(shape, strlen(shape), &err);
    struct scatter_refusal r = {.help = NULL};
    struct buf out = {.data = NULL};

    assert_non_null(list);

    struct scatter_facts facts = facts_of(list->stmts[0]);
    struct scatter_plan *p = scatter_plan_new(list->stmts[0], sql, strlen(sql), LEX_STANDARD_STRINGS, &facts, &r);

    if (p == NULL) {
        assert_non_null(r.help);
        char *refused = mem_printf("refused: %s", r.why);
        buf_put_cstr(&out, refused);
        free(refused);
    } else {
        scatter_describe(p, &out);
        buf_put_u8(&out, '\0');
        assert_int_equal(p->rewritten, strcmp(p->sql, sql) != 0);
        assert_true(!scatter_is_plain(p) || p->now_param > 0 || !p->rewritten);
    }
    scatter_plan_free(p);
    stmt_list_free(list);
    return (char *)out.data;
}

/* --- the rows --- */

static int check_row(const char *sql, const char *expected, size_t line)
{
    char *said = plan_of(sql, sql);
    int wrong = strcmp(said, expected) != 0;

    if (wrong)
        print_error("%s:%zu\n%s\n    expected %s\n    said     %s\n", ROWS, line, sql, expected, said);
    free(said);
    return wrong;
}

static void test_rows(void **state)
{
    FILE *file = fopen(ROWS, "r");
    char sql[2000] = "";
    char line[2000];
    int rows = 0;
    int wrong = 0;

    (void)state;
    assert_non_null(file);
    for (size_t number = 1; fgets(line, sizeof line, file) != NULL; number++) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0')
            continue;
        if (line[0] != ' ') {
            strcpy(sql, line);
            continue;
        }
        wrong += check_row(sql, line + strspn(line, " "), number);
        rows++;
    }
    fclose(file);
    assert_int_equal(wrong, 0);
    assert_true(rows >= ROWS_LEAST);
}

/* --- another text of the shape --- */

static void test_other_text(void **state)
{
    char *said = plan_of("select name from users where age in (1) and town = 'x' order by age limit 1 offset 2",
                         "SELECT /* why */ name FROM users\n WHERE age IN (10, 200, 3000) AND town = E'from \\'order'"
                         " -- limit 3\n ORDER  BY age LIMIT 17 OFFSET 100 ;");

    (void)state;
    assert_string_equal(said, "order; by hidden 0; limit 17; offset 100; asks SELECT /* why */ name, age AS sluice_1"
                              " FROM users\n WHERE age IN (10, 200, 3000) AND town = E'from \\'order'"
                              " -- limit 3\n ORDER  BY age  LIMIT 117  ");
    free(said);
}

static void test_no_time(void **state)
{
    static const char sql[] = "select * from users where born > now()";
    struct pgtree_error err;
    struct stmt_list *list = pgtree_parse(sql, strlen(sql), &err);
    struct scatter_facts facts = facts_of(list->stmts[0]);
    struct scatter_refusal r;

    (void)state;
    facts.gives_now = false;
    assert_null(scatter_plan_new(list->stmts[0], sql, strlen(sql), LEX_STANDARD_STRINGS, &facts, &r));
    assert_string_equal(r.why, "it asks for the time, which may differ from shard to shard");
    stmt_list_free(list);
}

/* --- clauses --- */

static void test_clauses(void **state)
{
    static const char sql[] =
        "select distinct on (a, (b)) f(x, y[1, 2]) as \"from\", t.order, a is not distinct from b "
        "from t where q = (select 1 limit 3) group by 1, 2 window w as (order by z) "
        "order by a desc, b limit 5 for update of t for share";
    struct arena arena = {.chunks = NULL};
    struct clauses c;

    (void)state;
    assert_true(clauses_read(&c, sql, strlen(sql), LEX_STANDARD_STRINGS, &arena));
    assert_int_equal(c.clauses[CLAUSE_TARGETS].item_count, 3);
    assert_int_equal(c.clauses[CLAUSE_GROUP].item_count, 2);
    assert_int_equal(c.clauses[CLAUSE_ORDER].item_count, 2);
    assert_true(c.clauses[CLAUSE_WINDOW].there && c.clauses[CLAUSE_LIMIT].there && c.clauses[CLAUSE_LOCK].there);
    assert_false(c.clauses[CLAUSE_HAVING].there || c.clauses[CLAUSE_OFFSET].there);

    struct span text = clauses_text(&c, c.clauses[CLAUSE_TARGETS].items[2]);

    assert_true(span_equal(text, span_of("a is not distinct from b", 24)));
    text = clauses_text(&c, c.distinct_on);
    assert_true(span_equal(text, span_of("a, (b)", 6)));
    arena_free(&arena);
}

static void test_no_clauses(void **state)
{
    static const char *const texts[] = {"(select 1)",
                                        "select 1 union select 2",
                                        "with a as (select 1) select 2",
                                        "values (1)",
                                        "select 1) from t",
                                        "select 1; select 2",
                                        "",
                                        "select 1 \\"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct arena arena = {.chunks = NULL};
        struct clauses c;
        assert_false(clauses_read(&c, texts[i], strlen(texts[i]), LEX_STANDARD_STRINGS, &arena));
        arena_free(&arena);
    }
}

/* --- functions --- */

static void check_sorted(void *arg, const char *name, enum pure_kind kind)
{
    const char **last = arg;

    assert_true(strcmp(*last, name) < 0);
    assert_int_equal(pure_kind_of(name), kind);
    *last = name;
}

static void test_functions(void **state)
{
    const char *last = "";

    (void)state;
    pure_each(check_sorted, &last);
    assert_int_equal(pure_kind_of("random"), PURE_NOT);
    assert_int_equal(pure_kind_of("now"), PURE_NOT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),       cmocka_unit_test(test_other_text), cmocka_unit_test(test_clauses),
        cmocka_unit_test(test_no_clauses), cmocka_unit_test(test_functions),  cmocka_unit_test(test_no_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
