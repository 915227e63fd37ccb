/*
 * fuzz_pgtree.c: any text given to pgtree_parse. What comes out must be well-formed: indexes point into their arrays, a
 * literal's place is a literal's first byte, statements lie in the text; and it can be described.
 * Input: the text; its length is bounded, as its tokens would be by the lexer.
 * Thread: one.
 */
#include "parser/pgtree.h"

#include <ctype.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define INPUT_MAX ((size_t)2000) /* the stack of this build is smaller than a worker's, and its frames are larger */

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_value(const struct stmt *s, const struct stmt_value *v, const char *sql, size_t len)
{
    require(v->kind <= VALUE_SUM && (v->of != NULL) == (v->kind == VALUE_SUM));
    for (size_t i = 0; v->of != NULL && i < 2; i++) {
        require((v->of[i].kind == VALUE_NUMBER || v->of[i].kind == VALUE_SUM) && v->of[i].name == NULL);
        check_value(s, &v->of[i], sql, len);
    }
    if (v->kind == VALUE_NUMBER)
        require(v->at < len && (isdigit((unsigned char)sql[v->at]) || sql[v->at] == '.'));
    if (v->kind == VALUE_STRING)
        require(v->at < len && strchr("'$eEnNuU", sql[v->at]) != NULL);
    if (v->kind == VALUE_BITS)
        require(v->at < len && strchr("bBxX", sql[v->at]) != NULL);
    if (v->kind == VALUE_COLUMN)
        require(v->at < s->table_count && v->name != NULL);
}

static void check_arrays(const struct stmt *s)
{
    for (size_t i = 0; i < s->table_count; i++)
        require(s->tables[i].name != NULL && s->tables[i].query <= s->queries);
    for (size_t i = 0; i < s->function_count; i++)
        require(s->functions[i].class < CLASS_COUNT &&
                s->functions[i].arg + s->functions[i].arg_count <= s->value_count);
    for (size_t i = 0; i < s->place_count; i++) {
        const struct stmt_place *p = &s->places[i];
        require(p->table >= -1 && p->table < (int)s->table_count && p->query <= s->queries);
        require(p->value + p->count <= s->value_count);
        require(p->first <= p->end && p->end <= s->table_count && p->arm <= s->arm_count);
    }
    for (size_t i = 0; i < s->arm_count; i++)
        require(s->arms[i].group >= 1 && s->arms[i].group <= s->groups && s->arms[i].outer <= i);
}

static void check_stmt(const struct stmt *s, const char *sql, size_t len)
{
    struct buf said = {.data = NULL};

    require(s->kind < STMT_KIND_COUNT);
    require((s->reasons & stmt_kind_reasons(s->kind)) == stmt_kind_reasons(s->kind));
    require((s->reasons == 0) == (stmt_reason_text(s->reasons) == NULL));
    check_arrays(s);
    for (size_t i = 0; i < s->value_count; i++)
        check_value(s, &s->values[i], sql, len);
    if (s->body != NULL)
        check_stmt(s->body, sql, len);
    stmt_describe(s, &said);
    require(buf_used(&said) > 0);
    buf_free(&said);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pgtree_error err;
    size_t len = MIN(size, INPUT_MAX);
    char *sql = mem_alloc(MAX(len, 1)); /* of the exact size, so that a read past the end is seen */

    if (len > 0)
        memcpy(sql, data, len);
    struct stmt_list *list = pgtree_parse(sql, len, &err);
    for (size_t i = 0; list != NULL && i < list->count; i++) {
        require(list->stmts[i]->start + (size_t)list->stmts[i]->len <= len);
        check_stmt(list->stmts[i], sql, len);
    }
    stmt_list_free(list);
    free(sql);
    return 0;
}
