/*
 * pure.c: which functions of pg_catalog answer alike on every shard; see scatter.h.
 * Thread: any (no state).
 */
#include "shard/scatter.h"

static const struct pure_row {
    const char *name;
    enum pure_kind kind;
} rows[] = {
#define PURE(name, kind) {#name, PURE_##kind},
#include "shard/pure.def"
#undef PURE
};

static int by_name(const void *name, const void *row)
{
    return strcmp(name, ((const struct pure_row *)row)->name);
}

enum pure_kind pure_kind_of(const char *name)
{
    const struct pure_row *row = bsearch(name, rows, ARRAY_LEN(rows), sizeof rows[0], by_name);

    return row == NULL ? PURE_NOT : row->kind;
}

void pure_each(pure_call *call, void *arg)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        call(arg, rows[i].name, rows[i].kind);
}
