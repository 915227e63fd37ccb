/*
 * place.c: see place.h. As with sluice.timeout, what SET has said in a transaction is read in its text; when that is
 * over, the server is asked (ask.h), and the client's settings have it.
 * Thread: worker.
 */
#include "proxy/place.h"

#include <stdio.h>
#include <strings.h>

#define SHARD "sluice.shard"
#define KEY "sluice.key"

static bool is_named(const struct stmt *s, const char *name)
{
    return s->name != NULL && strcasecmp(s->name, name) == 0;
}

static bool is_set(const char *value)
{
    return value != NULL && *value != '\0';
}

/* --- what is said --- */

static bool take(struct told *t, const char *shard, const char *key, bool in_comment)
{
    *t = (struct told){.in_comment = in_comment};
    if (is_set(shard))
        t->shard = shard;
    else if (is_set(key))
        t->key = key;
    return t->shard != NULL || t->key != NULL;
}

static const char *in_force(const char *block, const char *session)
{
    return block != NULL ? block : session;
}

bool place_told(struct client *c, const struct shape *shape, struct told *t)
{
    const struct hint *h = shape == NULL ? NULL : &reading_of(shape)->hint;
    const char *shard, *key;

    if (UNLIKELY(h != NULL && (h->shard != NULL || h->key != NULL)))
        return take(t, h->shard, h->key, true);
    shard = in_force(c->place.shard, c->vars->shard);
    key = in_force(c->place.key, c->vars->key);
    return UNLIKELY(shard != NULL || key != NULL) && rules_of(c)->heeds_setting && take(t, shard, key, false);
}

static bool sets(const struct stmt *s, const char *name)
{
    return s->kind == STMT_SET && is_named(s, name) && is_set(s->text);
}

bool place_of_set(struct client *c, const struct stmt *s, struct told *t)
{
    *t = (struct told){.shard = sets(s, SHARD) ? s->text : NULL, .key = sets(s, KEY) ? s->text : NULL};
    return (t->shard != NULL || t->key != NULL) && rules_of(c)->heeds_setting;
}

/* --- in a transaction --- */

static void put(char **at, const char *value)
{
    free(*at);
    *at = value == NULL ? NULL : mem_strdup(value);
}

void place_forget(struct client *c)
{
    put(&c->place.shard, NULL);
    put(&c->place.key, NULL);
}

static void return_to(char **at, const char *login)
{
    put(at, login == NULL ? "" : login);
}

static void note_one(const struct stmt *s, const char *name, char **at, const char *login)
{
    if (s->kind != STMT_RESET_ALL && !is_named(s, name))
        return;
    if (s->kind == STMT_SET && s->text != NULL)
        put(at, s->text);
    else
        return_to(at, login);
}

static void note(struct client *c, const struct stmt *s)
{
    switch (s->kind) {
    case STMT_SET:
    case STMT_RESET:
    case STMT_RESET_ALL:
        note_one(s, SHARD, &c->place.shard, c->login_vars->shard);
        note_one(s, KEY, &c->place.key, c->login_vars->key);
        break;
    case STMT_ROLLBACK_TO:
    case STMT_COMMIT:
    case STMT_ROLLBACK:
        place_forget(c);
        break;
    default:
        break;
    }
}

void place_note(struct client *c, const struct shape *shape)
{
    const struct stmt_list *list = shape == NULL ? NULL : reading_of(shape)->list;

    for (size_t i = 0; list != NULL && i < list->count; i++)
        note(c, list->stmts[i]);
}

/* --- what means nothing --- */

struct refusal_text *place_refuses(struct client *c, const struct stmt_list *list)
{
    const struct map *map = __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE);
    struct told_error error;
    struct told told;

    for (size_t i = 0; map != NULL && i < list->count; i++)
        if (place_of_set(c, list->stmts[i], &told) && !told_may_be(&told, map, place_is_utf8(c), &error))
            return refusal_new("22023", error.message, error.hint);
    return NULL;
}
