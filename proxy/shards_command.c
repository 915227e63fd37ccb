/*
 * shards_command.c: see shards_command.h. Shards are asked one after the other, each statement by itself; the first one
 * that fails ends it, and all may be run again.
 * Thread: main, in a process that does nothing else.
 */
#include "proxy/shards_command.h"

#include "proxy/probe_wait.h"
#include "proxy/shards.h"
#include "proxy/shards_script.h"
#include "proxy/shards_sequences.h"

#include <stdio.h>

struct shards_job {
    struct config *config;
    const struct config_database *database;
    const struct config_sharding *sharding;
    struct map *map;
};

/* --- printing --- */

static void print_script(const struct shards_job *j, uint32_t k)
{
    struct buf script = {0};

    shards_script(j->database->name, j->map, k, &script);
    printf("-- shard %s\n", j->map->shard_names[k]);
    while (buf_used(&script) > 0) {
        const char *statement = (const char *)buf_head(&script);
        printf("%s;\n", statement);
        buf_consume(&script, strlen(statement) + 1);
    }
    buf_free(&script);
}

/* --- running --- */

static bool run_script(struct probe *p, struct buf *script)
{
    while (buf_used(script) > 0) {
        const char *statement = (const char *)buf_head(script);
        if (!probe_wait_run(p, statement))
            return false;
        buf_consume(script, strlen(statement) + 1);
    }
    return true;
}

static bool apply(const struct shards_job *j, uint32_t k)
{
    const struct config_database *d = j->sharding->shards[k];
    struct buf script = {0};
    char why[256];
    struct probe *p = probe_wait_primary(j->config, d, j->database->name, why, sizeof why);

    if (p == NULL) {
        fprintf(stderr, "shard %s: %s\n", d->name, why);
        return false;
    }
    shards_script(j->database->name, j->map, k, &script);
    bool done = run_script(p, &script);
    if (done)
        printf("shard %s: done\n", d->name);
    else
        fprintf(stderr, "shard %s: %s\n", d->name, probe_error(p));
    probe_close(p);
    buf_free(&script);
    return done;
}

/* --- the command --- */

static int run(const struct shards_job *j, bool applies)
{
    if (!applies) {
        for (uint32_t k = 0; k < j->map->shard_count; k++)
            print_script(j, k);
        printf("-- what --apply does besides: sequences of tables with sequence=home go on above what any shard has\n");
        return 0;
    }
    resolve_start(j->config->opt.dns_max_ttl, j->config->opt.dns_nxdomain_ttl, probe_wait_told);
    uint32_t k = 0;
    while (k < j->map->shard_count && apply(j, k))
        k++;
    bool done = k == j->map->shard_count && shards_sequences_apply(j->config, j->sharding, j->database->name, j->map);
    resolve_stop();
    return done ? 0 : 1;
}

int shards_command_refused(struct config_errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        fprintf(stderr, "%s\n", errors->lines[i]);
    config_errors_free(errors);
    return 1;
}

const struct config_sharding *shards_command_sharding(const struct config *c, const char *file, const char *database,
                                                      struct config_errors *errors)
{
    const struct config_database *d = config_database_find(c, database);
    const struct config_sharding *s = d == NULL || d->shards == NULL ? NULL : config_sharding_find(c, d->shards);

    if (s == NULL)
        config_errors_add(errors, file, 0, "there is no database \"%s\" with shards", database);
    return s;
}

int shards_command(int argc, char **argv)
{
    struct config_errors errors = {0};
    struct shards_job j = {0};
    bool applies = argc == 3 && strcmp(argv[2], "--apply") == 0;

    if (argc != 2 && !applies) {
        fprintf(stderr, "Usage: sluice shards FILE DATABASE [--apply]\n");
        return 1;
    }
    j.config = shards_config_load(argv[0], &errors);
    if (j.config == NULL)
        return shards_command_refused(&errors);
    j.database = config_database_find(j.config, argv[1]);
    j.sharding = shards_command_sharding(j.config, argv[0], argv[1], &errors);
    if (j.sharding != NULL)
        j.map = map_new(j.sharding, NULL, NULL, &errors);
    int status = j.map == NULL ? shards_command_refused(&errors) : run(&j, applies);
    map_unref(j.map);
    config_unref(j.config);
    return status;
}
