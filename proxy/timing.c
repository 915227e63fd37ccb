/*
 * timing.c: see timing.h.
 * Thread: worker.
 */
#include "proxy/timing.h"

#include "proxy/catalog.h"
#include "proxy/finding.h"
#include "shard/insert_defaults.h"
#include "shard/scatter.h"

#include <stdio.h>
#include <strings.h>

/* The defaults of a table's columns that ask for the time. */
struct defaults {
    struct client *c;
    struct catalog_table table;
    struct arena arena;
    size_t count, room;
    struct column_default *items; /* in the arena */
};

static void take_default(void *arg, const char *column, const char *sql)
{
    struct defaults *d = arg;
    struct span type;
    int position;

    if (moment_is_asked(sql, LEX_STANDARD_STRINGS) == MOMENT_NOT ||
        !catalog_column(d->c->db, &d->table, column, &position, &type))
        return;
    d->items = arena_grow(&d->arena, d->items, d->count, &d->room, sizeof *d->items);
    size_t at = d->count++;
    for (; at > 0 && d->items[at - 1].position > position; at--)
        d->items[at] = d->items[at - 1];
    d->items[at] = (struct column_default){.column = arena_strndup(&d->arena, column, strlen(column)),
                                           .position = position,
                                           .sql = arena_strndup(&d->arena, sql, strlen(sql))};
}

static bool takes_defaults(const struct stmt *s)
{
    return s->kind == STMT_INSERT || s->kind == STMT_UPDATE;
}

static const struct stmt_table *target_of(const struct stmt *s)
{
    for (size_t i = 0; i < s->table_count; i++)
        if ((s->tables[i].flags & TABLE_WRITTEN) && s->tables[i].query == s->query)
            return &s->tables[i];
    return NULL;
}

static void read_defaults(struct defaults *d, const struct sharding_run *run, const struct stmt *s)
{
    struct finding f = {.c = d->c, .map = __atomic_load_n(&d->c->db->map, __ATOMIC_ACQUIRE), .run = run};
    const struct stmt_table *target = takes_defaults(s) ? target_of(s) : NULL;
    const struct map_table *placed = target == NULL ? NULL : finding_table(&f, target);

    if (placed != NULL && placed->name[0] != '\0' &&
        catalog_table(d->c->db, target->schema, target->name, &d->table) == CATALOG_ONE)
        catalog_defaults(d->c->db, &d->table, take_default, d);
}

/* The text with what the columns' defaults compute, for free(); NULL: nothing of it is to be written. */
static char *with_defaults(struct client *c, const struct sharding_run *run, const char *sql)
{
    const struct stmt_list *list = run->shape == NULL ? NULL : reading_of(run->shape)->list;
    struct defaults d = {.c = c};

    if (list == NULL || list->count != 1)
        return NULL;
    read_defaults(&d, run, list->stmts[0]);
    char *text = insert_defaults(sql, client_lex_flags(c), d.items, d.count);
    arena_free(&d.arena);
    return text;
}

static bool has_column(const char *const *columns, size_t count, const struct column_default *d)
{
    for (size_t i = 0; columns != NULL && i < count; i++)
        if (columns[i] != NULL && strcmp(columns[i], d->column) == 0)
            return true;
    return columns == NULL && d->position <= (int)count;
}

size_t timing_defaults(struct client *c, const struct map_table *t, const char *const *columns, size_t count,
                       struct arena *arena, struct refill_extra **found)
{
    struct defaults d = {.c = c};
    size_t n = 0;

    if (catalog_table(c->db, t->schema, t->name, &d.table) == CATALOG_ONE)
        catalog_defaults(c->db, &d.table, take_default, &d);
    *found = arena_alloc(arena, (d.count + 1) * sizeof **found);
    for (size_t i = 0; i < d.count; i++)
        if (!has_column(columns, count, &d.items[i]))
            (*found)[n++] = (struct refill_extra){
                .column = arena_strndup(arena, d.items[i].column, strlen(d.items[i].column)),
                .sql = arena_strndup(arena, d.items[i].sql, strlen(d.items[i].sql)),
            };
    arena_free(&d.arena);
    return n;
}

/* Its functions say the same for each row; what is no function, but like timestamp(0), is a type. */
static bool is_constant(const char *sql)
{
    static const char *const others[] = {"now",
                                         "transaction_timestamp",
                                         "statement_timestamp",
                                         "to_char",
                                         "timestamp",
                                         "timestamptz",
                                         "time",
                                         "timetz",
                                         "interval",
                                         "localtimestamp",
                                         "current_timestamp",
                                         "localtime",
                                         "current_time"};
    struct token t = {.kind = TOKEN_SELF}, before;
    struct lexer l;
    char name[64];

    lex_init(&l, sql, strlen(sql), LEX_STANDARD_STRINGS);
    do {
        before = t;
        lex_next_plain(&l, &t);
        if (t.kind != TOKEN_SELF || t.first != '(' || (before.kind != TOKEN_WORD && before.kind != TOKEN_QUOTED))
            continue;
        snprintf(name, sizeof name, "%.*s", (int)before.len, sql + before.start);
        bool known = pure_kind_of(name) == PURE_PLAIN;
        for (size_t i = 0; i < ARRAY_LEN(others); i++)
            known = known || strcasecmp(name, others[i]) == 0;
        if (!known)
            return false;
    } while (t.kind != TOKEN_END && t.kind != TOKEN_ERROR);
    return t.kind == TOKEN_END;
}

size_t timing_copied(struct client *c, const struct sharding_run *run, struct arena *arena, struct refill_extra **found)
{
    const struct stmt_list *list = run->shape == NULL ? NULL : reading_of(run->shape)->list;
    const struct stmt *s = list == NULL || list->count != 1 ? NULL : list->stmts[0];
    struct finding f = {.c = c, .map = __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE), .run = run};
    size_t count, kept = 0;

    if (s == NULL || s->kind != STMT_COPY_FROM || s->table_count != 1 || s->column_count == 0)
        return 0;
    const struct map_table *t = finding_table(&f, &s->tables[0]);
    if (t == NULL || t->way != MAP_BY_KEY)
        return 0;
    count = timing_defaults(c, t, s->columns, s->column_count, arena, found);
    for (size_t i = 0; i < count; i++)
        if (is_constant((*found)[i].sql))
            (*found)[kept++] = (*found)[i];
    return kept;
}

static bool copies_defaults(struct client *c, const struct sharding_run *run)
{
    struct arena arena = {.chunks = NULL};
    struct refill_extra *found;
    bool any = timing_copied(c, run, &arena, &found) > 0;

    arena_free(&arena);
    return any;
}

/* It inserts what a SELECT gives, and some column gets its default. */
static bool fills_defaults(struct client *c, const struct sharding_run *run)
{
    const struct stmt_list *list = run->shape == NULL ? NULL : reading_of(run->shape)->list;
    const struct stmt *s = list == NULL || list->count != 1 ? NULL : list->stmts[0];
    struct defaults d = {.c = c};
    bool any = false;

    if (s == NULL || !finding_is_select(s))
        return false;
    read_defaults(&d, run, s);
    for (size_t i = 0; i < d.count; i++)
        any = any || s->column_count == 0 || !has_column(s->columns, s->column_count, &d.items[i]);
    arena_free(&d.arena);
    return any;
}

enum moment_asked timing_asked(struct client *c, const struct sharding_run *run)
{
    char *text = with_defaults(c, run, run->sql);
    enum moment_asked asked = moment_is_asked(text != NULL ? text : run->sql, client_lex_flags(c));

    free(text);
    if (asked == MOMENT_NOT && (fills_defaults(c, run) || copies_defaults(c, run)))
        return MOMENT_TRANSACTION;
    return asked;
}

char *timing_write(struct client *c, const struct sharding_run *run, const char *sql, const struct moment *m)
{
    char *text = with_defaults(c, run, sql);
    char *timed = moment_write(text != NULL ? text : sql, client_lex_flags(c), m, true);

    free(text);
    return timed;
}
