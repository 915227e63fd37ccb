/*
 * test_scatter_corpus.c: plans for all statements of tests/corpus, as if every table in them were divided by a column
 * `id`: what is written for the shards is a statement again, with as many output columns as the plan says.
 * Thread: one.
 */
#include "parser/lex.h"
#include "parser/pgtree.h"
#include "shard/scatter.h"
#include "tests/unit/corpus.h"

#define PLANS_LEAST 400

static struct scatter_table table_of(void *arg, uint32_t table)
{
    (void)arg;
    (void)table;
    return (struct scatter_table){.way = SCATTER_BY_KEY, .key = "id"};
}

static bool is_colocated(void *arg, uint32_t a, uint32_t b)
{
    (void)arg;
    (void)a;
    (void)b;
    return true;
}

static unsigned column_of(void *arg, uint32_t table, const char *name)
{
    (void)arg;
    (void)table;
    (void)name;
    return SCATTER_COLUMN_THERE;
}

static enum scatter_function function_of(void *arg, const char *schema, const char *name)
{
    (void)arg;
    (void)schema;
    (void)name;
    return SCATTER_NOT_USERS;
}

/* The text that the shards get has the visible and the hidden columns. */
static void check_plan(const struct stmt *s, const struct scatter_plan *p)
{
    struct pgtree_error err;
    struct stmt_list *list = pgtree_parse(p->sql, strlen(p->sql), &err);

    if (list == NULL)
        fail_msg("%s: %s", p->sql, err.message);
    assert_int_equal(list->count, 1);
    assert_int_equal(list->stmts[0]->outline->target_count, s->outline->target_count + p->hidden_count);
    assert_int_equal(list->stmts[0]->outline->order_count, s->outline->order_count);
    assert_int_equal(list->stmts[0]->table_count, s->table_count);
    stmt_list_free(list);
}

static int plan_text(const struct text *t)
{
    struct pgtree_error err;
    struct stmt_list *list = pgtree_parse(t->sql, t->len, &err);
    struct scatter_facts facts = {.table = table_of,
                                  .is_colocated = is_colocated,
                                  .column = column_of,
                                  .function = function_of,
                                  .gives_now = true,
                                  .deterministic = true};
    struct scatter_refusal r;
    int made = 0;

    for (size_t i = 0; list != NULL && i < list->count; i++) {
        const struct stmt *s = list->stmts[i];
        struct scatter_plan *p = scatter_plan_new(s, t->sql + s->start, s->len, LEX_STANDARD_STRINGS, &facts, &r);
        if (p == NULL)
            continue;
        check_plan(s, p);
        made++;
        scatter_plan_free(p);
    }
    stmt_list_free(list);
    return made;
}

static void test_corpus_plans(void **state)
{
    int made = 0;

    (void)state;
    for (size_t i = 0; i < text_count; i++)
        made += plan_text(&texts[i]);
    print_message("%d plans\n", made);
    assert_true(made >= PLANS_LEAST);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_corpus_plans)};

    file_names = argv + 1;
    file_count = argc - 1;
    return cmocka_run_group_tests(tests, load_corpus, free_corpus);
}
