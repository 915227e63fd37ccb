/*
 * coordinator_command.c: see coordinator_command.h.
 *
 *   coordinator: superuser? locale ──> home shard: locale, the question ──> script ──> printed, or run there at once
 *
 * Thread: main, in a process that does nothing else.
 */
#include "proxy/coordinator_command.h"

#include "proxy/coordinator_question.h"
#include "proxy/coordinator_script.h"
#include "proxy/probe_wait.h"
#include "proxy/shards.h"
#include "proxy/shards_command.h"

#include <stdio.h>

struct job {
    struct config *config;
    const struct config_database *database;
    struct map *map;
    struct coordinator_of of;
    struct probe *home, *coordinator;
    struct coordinator_script script;
};

static bool fail(const char *whose, const char *why)
{
    fprintf(stderr, "%s: %s\n", whose, why);
    return false;
}

static bool failed(const char *whose, const struct probe *p)
{
    return fail(whose, probe_error(p));
}

static struct probe *open_server(const struct job *j, const struct config_database *d, const char *whose)
{
    char why[256];
    struct probe *p = probe_wait_primary(j->config, d, j->database->name, why, sizeof why);

    if (p == NULL)
        fail(whose, why);
    else
        probe_wait_run(p, coordinator_path);
    return p;
}

static bool open_both(struct job *j)
{
    j->home = open_server(j, j->of.sharding->shards[0], "the home shard");
    j->coordinator = j->home == NULL ? NULL : open_server(j, j->of.sharding->coordinator, COORDINATOR_NAME);
    return j->coordinator != NULL;
}

/* Equal texts must be ordered alike in both. */
static bool check_locale(struct job *j)
{
    if (!probe_wait_ask(j->home, coordinator_locale_question))
        return failed("the home shard", j->home);
    if (!probe_wait_ask(j->coordinator, coordinator_locale_question))
        return failed(COORDINATOR_NAME, j->coordinator);
    const char *home = probe_value(j->home, 0, 0), *here = probe_value(j->coordinator, 0, 0);
    if (strcmp(home, here) == 0)
        return true;
    fprintf(stderr, "coordinator: its encoding and collation are %s, and the home shard's %s\n", here, home);
    return false;
}

static bool ask(struct job *j)
{
    if (!probe_wait_ask(j->coordinator, coordinator_superuser_question))
        return failed(COORDINATOR_NAME, j->coordinator);
    j->of.superuser = probe_value(j->coordinator, 0, 0)[0] == 't';
    char *question = coordinator_question(j->map, j->of.superuser);
    bool answered = probe_wait_ask(j->home, question);
    free(question);
    if (!answered)
        return failed("the home shard", j->home);
    coordinator_script_begin(&j->script, &j->of);
    for (size_t i = 0; i < probe_rows(j->home); i++)
        coordinator_script_add(&j->script, &j->of, probe_value(j->home, i, 0), probe_value(j->home, i, 1),
                               probe_value(j->home, i, 2));
    return true;
}

static void print(const struct job *j)
{
    struct buf out = {0};

    coordinator_script_print(&j->script, &j->of, &out);
    fwrite(buf_head(&out), 1, buf_used(&out), stdout);
    buf_free(&out);
}

static bool apply(const struct job *j)
{
    char *sql = coordinator_script_apply(&j->script, &j->of);
    bool done = probe_wait_run(j->coordinator, sql);

    free(sql);
    if (!done || !probe_wait_ask(j->coordinator, "SELECT why || ': ' || statement FROM sluice.missing"))
        return failed(COORDINATOR_NAME, j->coordinator);
    for (size_t i = 0; i < probe_rows(j->coordinator); i++)
        fprintf(stderr, "coordinator: not made: %s\n", probe_value(j->coordinator, i, 0));
    if (!probe_wait_run(j->coordinator, coordinator_analyze))
        return failed(COORDINATOR_NAME, j->coordinator);
    printf("coordinator: done\n");
    return true;
}

static int run(struct job *j, bool applies)
{
    resolve_start(j->config->opt.dns_max_ttl, j->config->opt.dns_nxdomain_ttl, probe_wait_told);
    bool done = open_both(j) && check_locale(j) && ask(j);
    if (done && applies)
        done = apply(j);
    else if (done)
        print(j);
    probe_close(j->home);
    probe_close(j->coordinator);
    coordinator_script_free(&j->script);
    resolve_stop();
    return done ? 0 : 1;
}

static void find(struct job *j, const char *file, const char *name, struct config_errors *errors)
{
    const struct config_sharding *s = shards_command_sharding(j->config, file, name, errors);

    j->database = config_database_find(j->config, name);
    if (s != NULL && s->coordinator == NULL)
        config_errors_add(errors, s->file, s->line, "[shards %s] has no line of a coordinator", s->name);
    else if (s != NULL)
        j->map = map_new(s, NULL, NULL, errors);
    j->of = (struct coordinator_of){.config = j->config, .sharding = s, .database = name, .map = j->map};
}

int coordinator_command(int argc, char **argv)
{
    struct config_errors errors = {0};
    struct job j = {0};
    bool applies = argc == 3 && strcmp(argv[2], "--apply") == 0;

    if (argc != 2 && !applies) {
        fprintf(stderr, "Usage: sluice coordinator FILE DATABASE [--apply]\n");
        return 1;
    }
    j.config = shards_config_load(argv[0], &errors);
    if (j.config == NULL)
        return shards_command_refused(&errors);
    find(&j, argv[0], argv[1], &errors);
    int status = j.map == NULL ? shards_command_refused(&errors) : run(&j, applies);
    map_unref(j.map);
    config_unref(j.config);
    return status;
}
