/*
 * shards.c: see shards.h. A map that was replaced is let go when every worker has had a turn since.
 * Thread: control (or main before threads start).
 */
#include "proxy/shards.h"

#include "conf/log.h"
#include "proxy/catalog.h"
#include "proxy/control.h"
#include "proxy/gate.h"
#include "proxy/shards_script.h"
#include "proxy/survey.h"
#include "proxy/twophase.h"

/* --- from the file --- */

static void refuse(const struct config *c, const struct config_database *d, struct config_errors *errors)
{
    if (d == NULL || d->shards == NULL)
        return;
    if (d == c->fallback)
        config_errors_add(errors, d->file, d->line, "\"*\" with shards; write a line for each database");
    if ((d->pool_mode == POOL_MODE_UNSET ? (enum pool_mode)c->opt.pool_mode : d->pool_mode) != POOL_TRANSACTION)
        config_errors_add(errors, d->file, d->line,
                          "a database with shards in another pool_mode than transaction; write pool_mode=transaction");
    if (d->target == NODE_STANDBY)
        config_errors_add(errors, d->file, d->line,
                          "a database with shards and target=standby; its statements find replicas by themselves");
    if (*c->opt.monitor_user == '\0' || !c->opt.sql_aware)
        config_errors_add(errors, d->file, d->line, "a database with shards needs %s",
                          c->opt.sql_aware ? "monitor_user, who reads its catalog" : "sql_aware = 1");
}

/* Together they are a name in every transaction over several shards, in whatever encoding. */
static bool may_be_named(const char *database, const char *shard)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    return strlen(database) + strlen(shard) + 2 <= TWOPHASE_NAME_SIZE && database[strspn(database, letters)] == '\0' &&
           shard[strspn(shard, letters)] == '\0';
}

/* Which shard each one's servers must say that they are. */
static void identify(struct config *c, const char *database, const struct map *m, struct config_errors *errors)
{
    for (size_t i = 0; i < c->database_count; i++) {
        struct config_database *d = c->databases[i];
        const char *home = d->part_of != NULL ? d->part_of : d->name;
        if (d->shards == NULL || strcmp(home, database) != 0)
            continue;
        d->identity = shards_identity(database, m, (uint32_t)d->part);
        if (!d->coordinates && !may_be_named(database, m->shard_names[d->part]))
            config_errors_add(errors, d->file, d->line,
                              "the names of database \"%s\" and shard \"%s\" have to be of ASCII letters, digits and "
                              "._-, and shorter together",
                              database, m->shard_names[d->part]);
    }
}

static void take_maps(struct config *c, struct config_errors *errors)
{
    for (size_t i = 0; i < c->sharding_count; i++) {
        struct map *m = map_new(c->shardings[i], NULL, NULL, errors);
        for (size_t k = 0; m != NULL && k < c->database_count; k++)
            if (c->databases[k]->part_of == NULL && c->databases[k]->shards != NULL &&
                strcmp(c->databases[k]->shards, c->shardings[i]->name) == 0)
                identify(c, c->databases[k]->name, m, errors);
        map_unref(m);
    }
}

struct config *shards_config_load(const char *file, struct config_errors *errors)
{
    struct config *c = config_load(file, errors);

    if (c == NULL)
        return NULL;
    for (size_t i = 0; i < c->database_count; i++)
        refuse(c, c->databases[i], errors);
    refuse(c, c->fallback, errors);
    config_spread(c);
    take_maps(c, errors);
    if (errors->count == 0)
        return c;
    config_unref(c);
    return NULL;
}

/* --- with the catalog --- */

static bool column_of(void *arg, const char *schema, const char *table, const char *column, struct map_column *out)
{
    static char name[200];
    struct catalog_table found;
    struct span type;
    int position;

    if (catalog_table(arg, schema, table, &found) != CATALOG_ONE ||
        !catalog_column(arg, &found, column, &position, &type))
        return false;
    snprintf(name, sizeof name, "%.*s", (int)type.len, (const char *)type.ptr);
    *out = (struct map_column){
        .type = name, .position = (uint16_t)position, .draws = catalog_column_step(arg, &found, column) != 0};
    return true;
}

static void let_go(void *arg)
{
    map_unref(arg);
}

static void publish(struct database_state *db, struct map *m)
{
    struct map *old = __atomic_exchange_n(&db->map, m, __ATOMIC_ACQ_REL);

    if (old != NULL)
        workers_turn(let_go, old);
}

void shards_learn(struct database_state *db)
{
    const struct config *c = control_config();
    const struct config_database *d = config_database_find(c, db->name);
    const struct config_sharding *s = d == NULL || d->shards == NULL ? NULL : config_sharding_find(c, d->shards);
    struct config_errors errors = {NULL, 0};
    struct map *m = s == NULL ? NULL : map_new(s, column_of, db, &errors);

    for (size_t i = 0; i < errors.count; i++)
        log_error("database \"%s\" is not served: %s", db->name, errors.lines[i]);
    config_errors_free(&errors);
    if (m != NULL)
        survey_judge(db, m);
    publish(db, m);
}

static void free_map_of(void *arg, struct database_state *db)
{
    (void)arg;
    map_unref(db->map);
    db->map = NULL;
    gate_free(db->gate);
    db->gate = NULL;
}

void shards_free(void)
{
    limits_each_database(free_map_of, NULL);
}
