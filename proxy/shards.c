/*
 * shards.c: see shards.h.
 * Thread: control (or main before threads start).
 */
#include "proxy/shards.h"

#include "shard/map.h"

static void check_maps(const struct config *c, struct config_errors *errors)
{
    for (size_t i = 0; i < c->sharding_count; i++)
        map_unref(map_new(c->shardings[i], NULL, NULL, errors));
}

static void refuse(const struct config_database *d, struct config_errors *errors)
{
    if (d != NULL && d->shards != NULL)
        config_errors_add(errors, d->file, d->line,
                          "database \"%s\": shards are not served yet; take the line and the sections of \"%s\" out",
                          d->name, d->shards);
}

struct config *shards_config_load(const char *file, struct config_errors *errors)
{
    struct config *c = config_load(file, errors);

    if (c == NULL)
        return NULL;
    check_maps(c, errors);
    for (size_t i = 0; i < c->database_count; i++)
        refuse(c->databases[i], errors);
    refuse(c->fallback, errors);
    if (errors->count == 0)
        return c;
    config_unref(c);
    return NULL;
}
