/*
 * temp_names.c: see temp_names.h. Whatever may take tables away that nobody names (ROLLBACK, DISCARD) empties the list
 * until the server is asked: a name that is missing is refused, one too many would be looked for on one shard only.
 * An empty name stands for those that are not known.
 * Thread: worker.
 */
#include "proxy/temp_names.h"

#include "proxy/client.h"

#define NAMES_BYTES_MAX ((size_t)32 * KIB)

/* Names, each with its NUL. */
static const char *find(const struct client *c, const char *name)
{
    const struct buf *b = &c->temp_names;

    for (size_t at = 0; at < buf_used(b);) {
        const char *one = (const char *)buf_head(b) + at;
        if (strcmp(one, name) == 0)
            return one;
        at += strlen(one) + 1;
    }
    return NULL;
}

bool temp_names_has(const struct client *c, const char *name)
{
    return buf_used(&c->temp_names) > 0 && find(c, name) != NULL;
}

bool temp_names_has_more(const struct client *c)
{
    return temp_names_has(c, "");
}

void temp_names_are(struct client *c, struct buf *names, bool all)
{
    buf_free(&c->temp_names);
    c->temp_names = *names;
    *names = (struct buf){0};
    if (!all)
        buf_put_cstr(&c->temp_names, "");
}

static void forget(struct client *c, const char *name)
{
    struct buf kept = {0};

    for (size_t at = 0; at < buf_used(&c->temp_names);) {
        const char *one = (const char *)buf_head(&c->temp_names) + at;
        if (strcmp(one, name) != 0)
            buf_put_cstr(&kept, one);
        at += strlen(one) + 1;
    }
    buf_free(&c->temp_names);
    c->temp_names = kept;
}

static bool note(struct client *c, const struct stmt *s)
{
    bool makes = (s->reasons & REASON_TEMP) != 0;

    switch (s->kind) {
    case STMT_CREATE_TABLE:
    case STMT_CREATE_TABLE_AS:
    case STMT_SELECT_INTO:
        for (size_t i = 0; makes && i < s->table_count; i++)
            if ((s->tables[i].flags & TABLE_WRITTEN) && buf_used(&c->temp_names) < NAMES_BYTES_MAX)
                buf_put_cstr(&c->temp_names, s->tables[i].name);
        break;
    case STMT_DROP:
        for (size_t i = 0; i < s->table_count; i++)
            forget(c, s->tables[i].name);
        break;
    case STMT_ALTER_TABLE: /* it may be called otherwise now */
    case STMT_ROLLBACK:
    case STMT_ROLLBACK_TO:
    case STMT_DISCARD_ALL:
    case STMT_DISCARD_TEMP:
        buf_free(&c->temp_names);
        break;
    default:
        break;
    }
    return makes;
}

bool temp_names_note(struct client *c, const struct shape *shape)
{
    const struct stmt_list *list = shape == NULL ? NULL : reading_of(shape)->list;
    bool makes = false;

    for (size_t i = 0; list != NULL && i < list->count; i++)
        makes = note(c, list->stmts[i]) || makes;
    return makes;
}
