/*
 * scatter_map.c: see scatter_map.h.
 * Thread: any (no state).
 */
#include "shard/scatter_map.h"

static struct scatter_table table_of(void *arg, uint32_t table)
{
    static const enum scatter_way ways[] = {
        [MAP_BY_KEY] = SCATTER_BY_KEY, [MAP_EVERYWHERE] = SCATTER_EVERYWHERE, [MAP_ON_SHARD] = SCATTER_ON_SHARD};
    const struct scatter_map *m = arg;
    const struct map_table *t = m->keyset->tables[table];

    if (t == NULL)
        return (struct scatter_table){.way = SCATTER_NOWHERE};
    return (struct scatter_table){.way = ways[t->way], .key = t->way == MAP_BY_KEY ? t->column : NULL};
}

static bool is_colocated(void *arg, uint32_t a, uint32_t b)
{
    const struct scatter_map *m = arg;

    return map_is_colocated(m->keyset->tables[a], m->keyset->tables[b]);
}

static unsigned column_of(void *arg, uint32_t table, const char *name)
{
    const struct scatter_map *m = arg;

    return m->column == NULL || m->keyset->tables[table] == NULL ? 0
                                                                 : m->column(m->arg, m->keyset->tables[table], name);
}

/* One that is bound to a key answers by that key's shard, and not alike on all. */
static enum scatter_function function_of(void *arg, const char *schema, const char *name)
{
    const struct scatter_map *m = arg;
    const struct map_call *call = map_call_find(m->map, schema, name);

    if (call != NULL)
        return call->argument == 0 ? SCATTER_PURE : SCATTER_IMPURE;
    return m->function(m->arg, schema, name);
}

static bool is_impure_operator(void *arg, const char *name)
{
    const struct scatter_map *m = arg;

    return m->is_impure_operator != NULL && m->is_impure_operator(m->arg, name);
}

struct scatter_facts scatter_map_facts(struct scatter_map *m, bool deterministic)
{
    return (struct scatter_facts){.table = table_of,
                                  .is_colocated = is_colocated,
                                  .column = column_of,
                                  .function = function_of,
                                  .is_impure_operator = is_impure_operator,
                                  .arg = m,
                                  .gives_now = true,
                                  .deterministic = deterministic};
}

bool scatter_bound(const struct scatter_limit *l, const struct key_param *params, size_t param_count, int64_t none,
                   int64_t *value)
{
    const struct key_reader r = {.type = KEY_INT8};
    struct key_value v;

    *value = l->kind == BOUND_NUMBER ? l->number : none;
    if (l->kind != BOUND_PARAM)
        return true;
    if (l->param < 1 || l->param > param_count)
        return false;
    v = key_of_param(&r, &params[l->param - 1]);
    if (v.certainty == KEY_CERTAIN)
        *value = v.number;
    return v.certainty != KEY_DOUBTFUL && (v.certainty == KEY_NULL || v.number >= 0);
}
