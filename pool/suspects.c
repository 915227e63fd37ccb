/*
 * suspects.c: see suspects.h.
 * Thread: worker.
 */
#include "pool/suspects.h"

struct suspects *suspects_new(void)
{
    static uint64_t last_number; /* process-wide */
    struct suspects *s = mem_zalloc(sizeof *s);

    s->number = __atomic_add_fetch(&last_number, 1, __ATOMIC_RELAXED);
    return s;
}

void suspects_free(struct suspects *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++)
        free(s->names[i]);
    free(s->names);
    free(s->defaults);
    free(s);
}

void suspects_add(struct suspects *s, struct span name, struct span value)
{
    char what = value.len == 1 ? (char)value.ptr[0] : '\0';

    s->writes = s->writes || what == 'w';
    if (what == 'd' && s->defaults == NULL)
        s->defaults = mem_strndup((const char *)name.ptr, name.len);
    if (what != 'f' && what != 'r')
        return;
    if (s->count == s->size) {
        s->size = MAX(2 * s->size, 16u);
        s->names = mem_realloc(s->names, s->size * sizeof *s->names);
    }
    s->names[s->count++] = mem_printf("%c%.*s", what, (int)name.len, (const char *)name.ptr);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void suspects_seal(struct suspects *s)
{
    if (s->count > 0)
        qsort(s->names, s->count, sizeof *s->names, by_bytes);
}

/* Where nothing is suspected, only new functions can change that. */
bool suspects_outdated(const struct suspects *s, uint64_t meaning, uint64_t catalog, int64_t now)
{
    return s->meaning != meaning || (s->count > 0 && s->catalog != catalog) || now - s->asked_at >= SUSPECTS_AGE_USEC;
}

struct wanted {
    char kind;
    const char *name;
};

static int by_kind_and_name(const void *wanted, const void *item)
{
    const struct wanted *w = wanted;
    const char *name = *(char *const *)item;

    return w->kind != name[0] ? (uint8_t)w->kind - (uint8_t)name[0] : strcmp(w->name, name + 1);
}

static bool has(const struct suspects *s, char kind, const char *name)
{
    struct wanted w = {.kind = kind, .name = name};

    return s->count > 0 && bsearch(&w, s->names, s->count, sizeof *s->names, by_kind_and_name) != NULL;
}

static bool has_function(const struct suspects *s, const struct stmt *stmt)
{
    for (size_t i = 0; i < stmt->function_count; i++)
        if (stmt->functions[i].class == CLASS_UNLISTED && (s == NULL || has(s, 'f', stmt->functions[i].name)))
            return true;
    return false;
}

static bool has_relation(const struct suspects *s, const struct stmt *stmt)
{
    for (size_t i = 0; i < stmt->table_count; i++)
        if (s == NULL || has(s, 'r', stmt->tables[i].name))
            return true;
    return false;
}

bool suspects_stmt(const struct suspects *s, const struct stmt *stmt)
{
    if (stmt_writes(stmt) && (s == NULL || s->writes))
        return true;
    return has_function(s, stmt) || has_relation(s, stmt) || (stmt->body != NULL && suspects_stmt(s, stmt->body));
}
