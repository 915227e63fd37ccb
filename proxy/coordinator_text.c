/*
 * coordinator_text.c: see coordinator_text.h. Only one SELECT without WITH and set operations is written anew; where
 * something in it is not certain, it stays as it is, and is refused by the coordinator or reads all shards there.
 * Thread: worker.
 */
#include "proxy/coordinator_text.h"

#include "parser/sql_text.h"
#include "proxy/catalog.h"
#include "proxy/coordinator_keeper.h"
#include "shard/clauses.h"

#include <stdio.h>
#include <strings.h>

struct edit {
    uint32_t at, len; /* of the text */
    char *put;        /* owned */
};

struct writer {
    struct client *c;
    const struct stmt *s;
    const struct outline *o;
    struct clauses clauses;
    struct arena arena;
    struct edit *edits; /* in the arena */
    size_t count, room;
};

static void add(struct writer *w, uint32_t at, uint32_t len, char *put)
{
    w->edits = arena_grow(&w->arena, w->edits, w->count, &w->room, sizeof *w->edits);
    w->edits[w->count++] = (struct edit){at, len, put};
}

static bool is_here(const struct writer *w, size_t table)
{
    return w->s->tables[table].query == w->o->query;
}

static bool find_table(const struct writer *w, size_t table, struct catalog_table *found)
{
    const struct stmt_table *t = &w->s->tables[table];

    return catalog_table(w->c->db, t->schema, t->name, found) == CATALOG_ONE;
}

/* --- groups --- */

static bool has_column(const struct writer *w, size_t table, const char *column)
{
    struct catalog_table found;
    struct span type;
    int position;

    return find_table(w, table, &found) && catalog_column(w->c->db, &found, column, &position, &type);
}

/* The plain column that a group is; NULL: it is none. */
static const struct outline_expr *column_of(const struct writer *w, const struct outline_expr *group)
{
    if (group->kind == OUT_ORDINAL)
        group =
            group->ordinal >= 1 && group->ordinal <= w->o->target_count ? &w->o->targets[group->ordinal - 1] : group;
    return group->kind == OUT_COLUMN && group->column != NULL ? group : NULL;
}

/* Without its table, it is that one's which has it: if another had it too, the statement would fail. */
static bool is_column(const struct writer *w, const struct outline_expr *e, size_t table, const char *column)
{
    return strcmp(e->column, column) == 0 && (e->table >= 0 ? (size_t)e->table == table : has_column(w, table, column));
}

static bool is_grouped(const struct writer *w, size_t table, const char *column)
{
    for (size_t i = 0; i < w->o->group_count; i++) {
        const struct outline_expr *e = column_of(w, &w->o->groups[i]);
        if (e != NULL && is_column(w, e, table, column))
            return true;
    }
    return false;
}

static bool has_star(const struct writer *w)
{
    for (size_t i = 0; i < w->o->target_count; i++)
        if (w->o->targets[i].kind == OUT_STAR)
            return true;
    return false;
}

static bool is_mentioned(const struct writer *w, const char *column)
{
    for (size_t i = 0; i < w->clauses.token_count; i++) {
        const struct token *t = &w->clauses.tokens[i];
        const char *text = w->clauses.sql + t->start;
        size_t quote = t->kind == TOKEN_QUOTED ? 1 : 0;
        if ((t->kind == TOKEN_WORD || quote > 0) && t->len == strlen(column) + 2 * quote &&
            strncasecmp(text + quote, column, strlen(column)) == 0)
            return true;
    }
    return false;
}

struct grouping {
    const struct writer *w;
    size_t table;
    bool all, star;
    struct buf out;
};

static void look_at_key(void *arg, const char *column)
{
    struct grouping *g = arg;

    g->all = g->all && is_grouped(g->w, g->table, column);
}

static void put_column(void *arg, const char *column)
{
    struct grouping *g = arg;
    const struct stmt_table *t = &g->w->s->tables[g->table];

    if ((!g->star && !is_mentioned(g->w, column)) || is_grouped(g->w, g->table, column))
        return;
    buf_put(&g->out, ", ", 2);
    sql_text_name(&g->out, t->alias != NULL ? t->alias : t->name);
    buf_put(&g->out, ".", 1);
    sql_text_name(&g->out, column);
}

/* All columns that are mentioned of the tables whose primary keys are among the groups. */
static void complete_groups(struct writer *w)
{
    struct grouping g = {.w = w, .star = has_star(w)};
    const struct clause *group = &w->clauses.clauses[CLAUSE_GROUP];

    if (w->o->group_count == 0 || (w->o->flags & OUTLINE_GROUPING_SETS) || !group->there)
        return;
    for (size_t i = 0; i < w->s->table_count; i++) {
        struct catalog_table found;
        g.table = i;
        g.all = true;
        if (!is_here(w, i) || (w->s->tables[i].flags & TABLE_HIDDEN) || !find_table(w, i, &found) ||
            !catalog_primary_key(w->c->db, &found, look_at_key, &g) || !g.all)
            continue;
        catalog_columns(w->c->db, &found, put_column, &g);
    }
    if (buf_used(&g.out) > 0) {
        buf_put_u8(&g.out, 0);
        add(w, clauses_end(&w->clauses, group->body), 0, mem_strdup((const char *)buf_head(&g.out)));
    }
    buf_free(&g.out);
}

/* --- tables --- */

static bool is_name_token(const struct writer *w, uint32_t token, const char *name)
{
    return w->clauses.tokens[token].kind == TOKEN_WORD && w->clauses.tokens[token].len == strlen(name) &&
           strncasecmp(w->clauses.sql + w->clauses.tokens[token].start, name, strlen(name)) == 0;
}

static bool begins_table(const struct writer *w, uint32_t token)
{
    return clauses_word(&w->clauses, token, "from") || clauses_word(&w->clauses, token, "join") ||
           clauses_is(&w->clauses, token, ',');
}

/* Where a table is named in FROM, with its schema, and no more than one is; false: that is not so. */
static bool find_mention(const struct writer *w, const struct stmt_table *t, struct piece *name, struct piece *all)
{
    const struct clause *from = &w->clauses.clauses[CLAUSE_FROM];
    size_t found = 0;

    for (uint32_t i = from->body.first; from->there && i < from->body.end; i++) {
        uint32_t last = i + (t->schema != NULL ? 2 : 0), next = last + 1;
        if (last >= from->body.end || !begins_table(w, i - 1) || !is_name_token(w, last, t->name) ||
            (t->schema != NULL && (!is_name_token(w, i, t->schema) || !clauses_is(&w->clauses, i + 1, '.'))))
            continue;
        if (t->alias != NULL && next < from->body.end && clauses_word(&w->clauses, next, "as"))
            next++;
        if (t->alias != NULL && (next >= from->body.end || !is_name_token(w, next, t->alias)))
            continue;
        *name = (struct piece){.first = i, .end = last + 1};
        *all = (struct piece){.first = i, .end = t->alias != NULL ? next + 1 : last + 1};
        found++;
    }
    return found == 1;
}

/* Rows without a key lie on the first shard. */
static void put_remainders(struct buf *out, const struct map *map, const struct map_table *m, shardset shards)
{
    int n = (int)map_modulus(map);
    char text[40];
    bool first = true;

    buf_put(out, "(", 1);
    sql_text_name(out, m->column);
    snprintf(text, sizeof text, " %% %d) IN (", n);
    buf_put(out, text, strlen(text));
    for (int k = 0; k < n; k++) {
        if (!(shards >> map_remainder_shard(map, (uint32_t)k) & 1))
            continue;
        snprintf(text, sizeof text, "%s%d, %d", first ? "" : ", ", k, k - n);
        buf_put(out, text, strlen(text));
        first = false;
    }
    buf_put(out, ")", 1);
    if (!(shards & 1 << SHARD_NULL))
        return;
    buf_put(out, " OR (", 5);
    sql_text_name(out, m->column);
    snprintf(text, sizeof text, " %% %d) IS NULL", n);
    buf_put(out, text, strlen(text));
}

static void hold_table(struct writer *w, size_t table, const struct map *map)
{
    const struct keyset *k = &w->c->worker->keyset;
    const struct stmt_table *t = &w->s->tables[table];
    const struct map_table *m = k->tables[table];
    struct piece name, all;
    struct buf out = {0};

    if (!is_here(w, table) || m == NULL || m->way != MAP_BY_KEY || m->function != MAP_MODULO ||
        (t->flags & TABLE_HIDDEN) || k->sets[table] == map_all(map) || k->sets[table] == 0 ||
        !find_mention(w, t, &name, &all))
        return;
    struct span written = clauses_text(&w->clauses, name), place = clauses_text(&w->clauses, all);
    buf_put(&out, "(SELECT * FROM ", 15);
    buf_put(&out, written.ptr, written.len);
    buf_put(&out, " WHERE ", 7);
    put_remainders(&out, map, m, k->sets[table]);
    buf_put(&out, ") AS ", 5);
    sql_text_name(&out, t->alias != NULL ? t->alias : t->name);
    buf_put_u8(&out, 0);
    add(w, (uint32_t)((const char *)place.ptr - w->clauses.sql), (uint32_t)place.len,
        mem_strdup((const char *)buf_head(&out)));
    buf_free(&out);
}

/* A list of remainders tells PostgreSQL nothing of a key's own value. */
static void hold_tables(struct writer *w)
{
    const struct map *map = __atomic_load_n(&w->c->db->map, __ATOMIC_ACQUIRE);

    for (size_t i = 0; i < w->s->table_count && coordinator_has_lists(w->c->db); i++)
        hold_table(w, i, map);
}

/* --- the text --- */

static int by_place(const void *a, const void *b)
{
    const struct edit *x = a, *y = b;

    return x->at < y->at ? -1 : x->at > y->at;
}

static char *write_text(struct writer *w, const char *sql)
{
    struct buf out = {0};
    size_t from = 0;

    if (w->count > 0)
        qsort(w->edits, w->count, sizeof *w->edits, by_place);
    for (size_t i = 0; i < w->count; i++) {
        const struct edit *e = &w->edits[i];
        buf_put(&out, sql + from, e->at - from);
        buf_put(&out, e->put, strlen(e->put));
        from = e->at + e->len;
        free(e->put);
    }
    buf_put(&out, sql + from, strlen(sql + from) + 1);
    return (char *)out.data;
}

char *coordinator_text(struct client *c, const struct sharding_run *run)
{
    const struct stmt *s = reading_of(run->shape)->list->stmts[0];
    unsigned flags = client_lex_flags(c);
    struct writer w = {.c = c, .s = s, .o = s->outline};

    if (w.o != NULL && !(w.o->flags & (OUTLINE_WITH | OUTLINE_SET)) && w.o->from == NULL &&
        clauses_read(&w.clauses, run->sql, strlen(run->sql), flags, &w.arena)) {
        complete_groups(&w);
        hold_tables(&w);
    }
    char *text = write_text(&w, run->sql);
    arena_free(&w.arena);
    return text;
}
