/*
 * functions.c: see functions.h. Binary search in the rows; prefixes are tried only where that finds nothing.
 * Thread: immutable.
 */
#include "parser/functions.h"

static const struct row {
    const char *name;
    enum stmt_class class;
} functions[] = {
#define FUNCTION_PREFIX(prefix, class)
#define FUNCTION(name, class) {#name, CLASS_##class},
#include "parser/functions.def"
#undef FUNCTION_PREFIX
#undef FUNCTION
};

static const struct row prefixes[] = {
#define FUNCTION_PREFIX(prefix, class) {#prefix, CLASS_##class},
#define FUNCTION(name, class)
#include "parser/functions.def"
#undef FUNCTION_PREFIX
#undef FUNCTION
};

static const char *const relations[] = {
#define RELATION_PREFIX(prefix)
#define RELATION(name) #name,
#include "parser/relations.def"
#undef RELATION_PREFIX
#undef RELATION
};

static const char *const relation_prefixes[] = {
#define RELATION_PREFIX(prefix) #prefix,
#define RELATION(name)
#include "parser/relations.def"
#undef RELATION_PREFIX
#undef RELATION
};

static bool is_catalog(const char *schema)
{
    return schema == NULL || strcmp(schema, "pg_catalog") == 0;
}

static bool begins_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static int compare_row(const void *name, const void *row)
{
    return strcmp(name, ((const struct row *)row)->name);
}

static int compare_name(const void *name, const void *other)
{
    return strcmp(name, *(const char *const *)other);
}

enum stmt_class function_class(const char *schema, const char *name)
{
    if (!is_catalog(schema))
        return CLASS_UNLISTED;

    const struct row *found = bsearch(name, functions, ARRAY_LEN(functions), sizeof functions[0], compare_row);

    if (found != NULL)
        return found->class;
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (begins_with(name, prefixes[i].name))
            return prefixes[i].class;
    return CLASS_UNLISTED;
}

bool relation_speaks(const char *schema, const char *name)
{
    if (!is_catalog(schema))
        /* pg_stat_statements and pg_buffercache may be installed anywhere. */
        return begins_with(name, "pg_stat_statements") || begins_with(name, "pg_buffercache");
    if (bsearch(name, relations, ARRAY_LEN(relations), sizeof relations[0], compare_name) != NULL)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(relation_prefixes); i++)
        if (begins_with(name, relation_prefixes[i]))
            return true;
    return false;
}

static void each_row(const struct row *rows, size_t count, bool is_prefix, listed_call *call, void *arg)
{
    for (size_t i = 0; i < count; i++)
        call(arg, &(struct listed_name){rows[i].name, rows[i].class, is_prefix});
}

static void each_name(const char *const *names, size_t count, bool is_prefix, listed_call *call, void *arg)
{
    for (size_t i = 0; i < count; i++)
        call(arg, &(struct listed_name){names[i], CLASS_SESSION, is_prefix});
}

void functions_each(listed_call *call, void *arg)
{
    each_row(functions, ARRAY_LEN(functions), false, call, arg);
    each_row(prefixes, ARRAY_LEN(prefixes), true, call, arg);
}

void relations_each(listed_call *call, void *arg)
{
    each_name(relations, ARRAY_LEN(relations), false, call, arg);
    each_name(relation_prefixes, ARRAY_LEN(relation_prefixes), true, call, arg);
}
