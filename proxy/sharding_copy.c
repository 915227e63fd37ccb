/*
 * sharding_copy.c: COPY FROM STDIN whose rows lie on several shards: how they are told apart. See sharding.h.
 * Thread: worker.
 */
#include "proxy/finding.h"

#include "proxy/catalog.h"
#include "proxy/place.h"

static const char *differs_of_copy(const struct finding *f, const struct stmt *s)
{
    unsigned lex_flags = client_lex_flags(f->c);
    const char *by = copy_format_differs(s, f->run->sql, strlen(f->run->sql), lex_flags);

    return by == NULL ? NULL : "its table lies on all shards, and it has a condition or defaults for fields";
}

static bool is_number(struct span type)
{
    static const char *const names[] = {"regclass",     "regcollation", "regconfig",   "regdictionary",
                                        "regnamespace", "regoper",      "regoperator", "regproc",
                                        "regprocedure", "regrole",      "regtype"};

    if (type.len > 2 && memcmp(type.ptr + type.len - 2, "[]", 2) == 0)
        type.len -= 2;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (type.len == strlen(names[i]) && memcmp(type.ptr, names[i], type.len) == 0)
            return true;
    return false;
}

static bool is_copied(const struct stmt *s, struct span column)
{
    for (size_t i = 0; i < s->column_count; i++)
        if (s->columns[i] != NULL && strlen(s->columns[i]) == column.len &&
            memcmp(s->columns[i], column.ptr, column.len) == 0)
            return true;
    return s->column_count == 0;
}

/* Why its rows, in binary format, would say another thing on each shard; NULL: they do not. */
static const char *why_not_binary(const struct finding *f, const struct stmt *s, const struct map_table *t)
{
    struct catalog_table found;
    struct span name, type;

    if (catalog_table(f->c->db, t->schema, t->name, &found) != CATALOG_ONE)
        return NULL;
    for (int i = 1; catalog_column_at(f->c->db, &found, i, &name, &type); i++)
        if (is_number(type) && is_copied(s, name))
            return "in binary format, a column says the number of an object, which has another one on each shard";
    return NULL;
}

struct copy_split *finding_copy(struct finding *f, const char **why)
{
    const struct stmt *s = finding_stmt(f);
    struct copy_format format;

    *why = "";
    if (s == NULL || s->kind != STMT_COPY_FROM || s->table_count != 1 || f->home)
        return NULL;
    const struct map_table *t = finding_table(f, &s->tables[0]);
    if (t == NULL || t->way == MAP_ON_SHARD)
        return NULL;
    if (t->way == MAP_EVERYWHERE && (*why = differs_of_copy(f, s)) != NULL)
        return NULL;
    *why = copy_format_read(s, t, place_is_utf8(f->c), &format);
    if (*why == NULL && format.kind == COPY_KIND_BINARY)
        *why = why_not_binary(f, s, t);
    if (*why != NULL)
        return NULL;
    bool draws = t->way == MAP_BY_KEY && finding_draws(f, t);
    struct copy_split *split = copy_split_new(f->map, t, &format, draws ? 0 : SHARD_NONE, SIZE_MAX);
    const char *version = vars_get(f->c->vars, "server_version");
    split->ends_early = version == NULL || atoi(version) < 18;
    split->gives = format.key < 0 && finding_draws_home(f, t);
    *why = split->gives ? copy_given_bars(split) : NULL;
    if (*why == NULL)
        return split;
    copy_split_free(split);
    return NULL;
}

struct copy_split *sharding_copy(struct client *c, const struct sharding_run *run)
{
    struct finding f = finding_of(c, run);
    const char *why;

    return finding_is_many(&f) && !f.told ? finding_copy(&f, &why) : NULL;
}
