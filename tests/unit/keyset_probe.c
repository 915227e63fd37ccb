/*
 * keyset_probe.c: says which shards statements need, for tests that ask PostgreSQL whether that is so.
 *
 * usage: keyset_probe FILE   a configuration with one database of shards
 * Reads two lines at a time, a text and another one of the same shape; writes for the second, whose statement is read
 * from the first, "shards MASK" or "no WHY".
 * Thread: main.
 */
#include "conf/load.h"
#include "parser/pgtree.h"
#include "parser/slots.h"
#include "shard/keyset.h"

#include <stdio.h>

static struct map *map;

static const struct map_table *find(void *arg, const struct stmt_table *t)
{
    (void)arg;
    return map_table_find(map, t->schema == NULL ? "public" : t->schema, t->name);
}

static char *line_read(void)
{
    static char *lines[2];
    static size_t sizes[2];
    static int turn;
    ssize_t len;

    turn = !turn;
    len = getline(&lines[turn], &sizes[turn], stdin);
    if (len <= 0)
        return NULL;
    lines[turn][strcspn(lines[turn], "\n")] = '\0';
    return lines[turn];
}

static void answer(struct keyset *k, const struct stmt_list *list, const struct fingerprint *own, const char *sql)
{
    struct keyset_places places = {.map = map, .find = find};
    struct keyset_text text = {.sql = sql,
                               .slots = own->slots,
                               .slot_count = own->slot_count,
                               .lex_flags = LEX_STANDARD_STRINGS,
                               .utf8 = true};

    keyset_read(k, list->stmts[0], &places, &text);
    if (k->why != NULL)
        printf("no %s\n", k->why);
    else
        printf("shards %llu\n", (unsigned long long)k->shards);
}

static void probe(struct keyset *k, const char *first, const char *sql)
{
    struct fingerprint shape = {.slots = NULL}, own = {.slots = NULL};
    struct pgtree_error err;
    struct stmt_list *list = pgtree_parse(first, strlen(first), &err);

    fingerprint_read(&shape, first, strlen(first), LEX_STANDARD_STRINGS, 1);
    fingerprint_read(&own, sql, strlen(sql), LEX_STANDARD_STRINGS, 1);
    if (list == NULL) {
        printf("no %s\n", err.message);
    } else if (!span_equal(span_of(buf_head(&shape.text), buf_used(&shape.text)),
                           span_of(buf_head(&own.text), buf_used(&own.text)))) {
        printf("no they are of different shapes\n");
    } else {
        slots_bind(list, &shape, first);
        answer(k, list, &own, sql);
    }
    fflush(stdout);
    stmt_list_free(list);
    fingerprint_free(&shape);
    fingerprint_free(&own);
}

int main(int argc, char **argv)
{
    struct config_errors errors = {NULL, 0};
    struct config *c = argc == 2 ? config_load(argv[1], &errors) : NULL;
    struct keyset keys = {.tables = NULL};
    char *first, *sql;

    if (c != NULL && c->sharding_count == 1)
        map = map_new(c->shardings[0], NULL, NULL, &errors);
    for (size_t i = 0; i < errors.count; i++)
        fprintf(stderr, "%s\n", errors.lines[i]);
    if (map == NULL)
        return 1;
    while ((first = line_read()) != NULL && (sql = line_read()) != NULL)
        probe(&keys, first, sql);
    keyset_free(&keys);
    map_unref(map);
    config_unref(c);
    return 0;
}
