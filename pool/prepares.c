/*
 * prepares.c: see prepares.h.
 * Thread: worker.
 */
#include "pool/prepares.h"

#include "pool/stmts.h"

struct prepare *prepare_new(const char *name, const char *text, uint64_t owner)
{
    struct prepare *p = mem_zalloc(sizeof *p);

    p->name = mem_strdup(name);
    p->text = text == NULL ? NULL : mem_strdup(text);
    p->owner = owner;
    return p;
}

void prepare_free(struct prepare *p)
{
    free(p->name);
    free(p->text);
    free(p);
}

static size_t index_of(const struct prepares *p, const char *name)
{
    size_t i = 0;

    while (i < p->count && strncmp(p->v[i].name, name, STMT_NAME_BYTES) != 0)
        i++;
    return i;
}

const struct prepare *prepares_find(const struct prepares *p, const char *name)
{
    size_t i = index_of(p, name);

    return i < p->count ? &p->v[i] : NULL;
}

void prepares_put(struct prepares *p, const char *name, const char *text, uint64_t owner)
{
    size_t i = index_of(p, name);
    char *copy = mem_strdup(text); /* it may be this very one's */

    if (i == p->count) {
        if (p->count == p->size) {
            p->size = MAX(2 * p->size, 4u);
            p->v = mem_realloc(p->v, p->size * sizeof *p->v);
        }
        p->v[p->count++] = (struct prepare){.name = mem_strdup(name)};
    }
    free(p->v[i].text);
    p->v[i].text = copy;
    p->v[i].owner = owner;
    p->v[i].shape = 0;
    p->v[i].differs = false;
}

void prepares_describe(struct prepares *p, const char *name, uint64_t shape, bool differs)
{
    size_t i = index_of(p, name);

    if (i == p->count)
        return;
    p->v[i].shape = shape;
    p->v[i].differs = differs;
}

void prepares_drop(struct prepares *p, const char *name)
{
    size_t i = index_of(p, name);

    if (i == p->count)
        return;
    free(p->v[i].name);
    free(p->v[i].text);
    p->v[i] = p->v[--p->count];
}

void prepares_free(struct prepares *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->v[i].name);
        free(p->v[i].text);
    }
    free(p->v);
    *p = (struct prepares){0};
}
