/*
 * coordinator.c: see coordinator.h.
 * Thread: worker.
 */
#include "proxy/coordinator.h"

#include "proxy/arm.h"
#include "proxy/catalog.h"
#include "shard/whole.h"

#include <stdio.h>

#define FIRST_USER_OID 16384 /* PostgreSQL's FirstNormalObjectId: those below are equal everywhere */

static const struct config_database *database_of(const struct client *c)
{
    return config_database_find(c->worker->config, c->db->name);
}

const struct config_sharding *coordinator_sharding(const struct client *c)
{
    const struct config_database *d = database_of(c);

    const struct config_sharding *s =
        d == NULL || d->shards == NULL ? NULL : config_sharding_find(c->worker->config, d->shards);

    return s == NULL || s->coordinator == NULL ? NULL : s;
}

bool coordinator_is_there(const struct client *c)
{
    return coordinator_sharding(c) != NULL;
}

/* --- what may run there --- */

static const char *bars_table(struct client *c, const struct stmt_table *t, const struct map_table *placed)
{
    struct catalog_table found;

    if (t->schema != NULL && (strcmp(t->schema, "pg_catalog") == 0 || strcmp(t->schema, "information_schema") == 0))
        return "reads a catalog, and each server has its own";
    if (catalog_table(c->db, t->schema, t->name, &found) != CATALOG_ONE)
        return "names a table that nobody knows, or that is the session's own";
    if (found.kind == 'v')
        return catalog_relation(c->db, t->schema, t->name) == RELATION_READS ? NULL : "reads a view that may write";
    return placed != NULL && found.kind != 'S' ? NULL : "names a table that the map does not know";
}

static const char *bars_function(struct client *c, const struct stmt_function *f)
{
    static __thread char why[120];
    const struct map *map = __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE);
    const struct map_call *known = map_call_find(map, f->schema, f->name);
    bool users = catalog_is_users(c->db, f->schema, f->name);

    if (known != NULL ? known->argument == 0 : !users && whole_takes(f))
        return NULL;
    snprintf(why, sizeof why, "calls %.60s, which may answer otherwise there", f->name);
    return why;
}

static const char *bars_types(const struct sharding_run *run)
{
    for (size_t i = 0; i + 4 <= run->types.len; i += 4)
        if (be32_at(run->types.ptr + i) >= FIRST_USER_OID)
            return "has a parameter of a type whose number differs from server to server";
    return NULL;
}

const char *coordinator_bars(struct client *c, const struct sharding_run *run)
{
    const struct stmt_list *list = run->shape == NULL ? NULL : reading_of(run->shape)->list;
    unsigned flags = client_lex_flags(c);

    if (list == NULL || list->count != 1)
        return "is no statement by itself";
    const struct stmt *s = list->stmts[0];
    const char *why = whole_bars(s, run->sql, strlen(run->sql), flags);
    for (size_t i = 0; why == NULL && i < s->table_count; i++)
        why = bars_table(c, &s->tables[i], c->worker->keyset.tables[i]);
    for (size_t i = 0; why == NULL && i < s->function_count; i++)
        why = bars_function(c, &s->functions[i]);
    return why != NULL ? why : bars_types(run);
}

/* --- what it answers --- */

/* record, record[], anyarray: what is in it may be of users' types. */
static bool is_made_of_others(uint32_t type)
{
    return type == 2249 || type == 2287 || type == 2277;
}

/* A column as both describe it. Enumerations have four bytes, and their binary format is their text; other types of
 * users may have numbers in it. */
static const char *describe_column(struct reader *home, struct reader *own, struct buf *out)
{
    const char *name = reader_cstr(home);
    struct span middle = reader_bytes(home, 6); /* table, column */
    uint32_t type = reader_u32(home);
    uint16_t size = reader_u16(home);
    uint32_t modifier = reader_u32(home);

    reader_u16(home);
    reader_cstr(own);
    reader_bytes(own, 6);
    uint32_t own_type = reader_u32(own);
    uint16_t own_size = reader_u16(own);
    reader_u32(own);
    uint16_t format = reader_u16(own);
    if (home->bad || own->bad || size != own_size || (type != own_type && MIN(type, own_type) < FIRST_USER_OID))
        return "the coordinator describes its answer otherwise than the shards";
    if (format != 0 && size != 4 && (type != own_type || is_made_of_others(type)))
        return "a value of a type whose number differs from server to server is asked for in binary format";
    buf_put(out, name, strlen(name) + 1);
    buf_put(out, middle.ptr, middle.len);
    buf_put_u32(out, type);
    buf_put_u16(out, size);
    buf_put_u32(out, modifier);
    buf_put_u16(out, format);
    return NULL;
}

const char *coordinator_describe(struct span home, struct span own, struct buf *out)
{
    struct reader a = reader_of(home.ptr, home.len), b = reader_of(own.ptr, own.len);
    uint16_t count = reader_u16(&a);
    const char *why = count == reader_u16(&b) ? NULL : "the coordinator describes its answer otherwise than the shards";

    buf_put_u16(out, count);
    for (uint16_t i = 0; why == NULL && i < count; i++)
        why = describe_column(&a, &b, out);
    return why;
}

/* The home shard has taken the statement: what the coordinator does not have or know of it, a shard might. That the
 * user may not do it is true there, too. */
void coordinator_error(const struct msg_error *e, struct buf *out)
{
    bool lacks = strncmp(e->sqlstate, "42", 2) == 0 && strcmp(e->sqlstate, "42501") != 0;

    if (!lacks) {
        arm_put_error_of(out, e);
        return;
    }
    char *message = mem_printf("its rows may lie on more than one shard, and the coordinator says: %s", e->message);
    msg_error(out, "ERROR", "0A000", message, NULL,
              "If the coordinator is outdated: sluice coordinator FILE DATABASE --apply. Else give the key of each "
              "table.");
    free(message);
}
