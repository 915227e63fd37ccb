/*
 * load_shards.c: the lines of [shards NAME], [tables NAME] and [functions NAME]. A shard's line is a database's: which
 * servers hold a part of the rows. The others are kept as they were written, with their places: what the line of the
 * buckets, or of a table, says is known where maps are made.
 * Thread: control (or main before threads start).
 */
#include "conf/load_parts.h"

/* --- life --- */

static void lines_free(struct config_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        free(lines->items[i].name);
        free(lines->items[i].value);
        free(lines->items[i].file);
    }
    free(lines->items);
}

void config_sharding_free(struct config_sharding *s)
{
    for (size_t i = 0; i < s->shard_count; i++) {
        config_database_free(s->shards[i]);
    }
    config_database_free(s->coordinator);
    lines_free(&s->buckets);
    lines_free(&s->tables);
    lines_free(&s->functions);
    free(s->shards);
    free(s->name);
    free(s->file);
    free(s);
}

static void line_add(struct config_lines *lines, const struct config_line *line)
{
    lines->items = mem_realloc(lines->items, (lines->count + 1) * sizeof *lines->items);
    lines->items[lines->count++] = (struct config_line){.name = mem_strdup(line->name),
                                                        .value = mem_strdup(line->value),
                                                        .file = mem_strdup(line->file),
                                                        .line = line->line};
}

static void lines_copy(struct config_lines *to, const struct config_lines *from)
{
    for (size_t i = 0; i < from->count; i++) {
        line_add(to, &from->items[i]);
    }
}

static void shard_add(struct config_sharding *s, struct config_database *shard)
{
    s->shards = mem_realloc(s->shards, (s->shard_count + 1) * sizeof(struct config_database *));
    s->shards[s->shard_count++] = shard;
}

struct config_sharding *config_sharding_copy(const struct config_sharding *from)
{
    struct config_sharding *to = mem_zalloc(sizeof *to);

    to->name = mem_strdup(from->name);
    to->file = mem_strdup(from->file);
    to->line = from->line;
    for (size_t i = 0; i < from->shard_count; i++) {
        shard_add(to, config_database_copy(from->shards[i]));
    }
    to->coordinator = config_database_copy(from->coordinator);
    lines_copy(&to->buckets, &from->buckets);
    lines_copy(&to->tables, &from->tables);
    lines_copy(&to->functions, &from->functions);
    return to;
}

/* --- lines --- */

struct config_sharding *sharding_enter(struct loader *l, const char *name, size_t len)
{
    struct config *c = l->config;

    for (size_t i = 0; i < c->sharding_count; i++) {
        if (strlen(c->shardings[i]->name) == len && memcmp(c->shardings[i]->name, name, len) == 0) {
            return c->shardings[i];
        }
    }

    struct config_sharding *s = mem_zalloc(sizeof *s);

    s->name = mem_strndup(name, len);
    s->file = mem_strdup(l->line->file);
    s->line = l->line->number;
    c->shardings = mem_realloc(c->shardings, (c->sharding_count + 1) * sizeof(struct config_sharding *));
    c->shardings[c->sharding_count++] = s;
    return s;
}

static bool shard_is_written(const struct config_sharding *s, const char *name)
{
    for (size_t i = 0; i < s->shard_count; i++) {
        if (strcmp(s->shards[i]->name, name) == 0) {
            return true;
        }
    }
    return s->coordinator != NULL && strcmp(name, COORDINATOR_NAME) == 0;
}

/* A number is a shard's place, so a line that is written twice is an error whatever the rules are. */
void shard_entry(struct loader *l, struct config_sharding *s, const char *key, const char *value)
{
    if (strcmp(key, BUCKETS_NAME) == 0) {
        line_entry(l, &s->buckets, "the line", key, value);
        return;
    }
    if (shard_is_written(s, key)) {
        loader_error(l, "shard \"%s\" is written twice; keep one", key);
        return;
    }
    struct config_database *shard = database_read(l, shard_keys, key, value);
    if (strcmp(key, COORDINATOR_NAME) == 0) {
        s->coordinator = shard;
    } else {
        shard_add(s, shard);
    }
}

void line_entry(struct loader *l, struct config_lines *lines, const char *what, const char *key, const char *value)
{
    const struct config_line line = {
        .name = (char *)key, .value = (char *)value, .file = (char *)l->line->file, .line = l->line->number};

    for (size_t i = 0; i < lines->count; i++) {
        if (strcmp(lines->items[i].name, key) == 0) {
            loader_error(l, "%s \"%s\" is written twice; keep one", what, key);
            return;
        }
    }
    line_add(lines, &line);
}

/* --- together --- */

static bool is_used(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->database_count; i++) {
        if (c->databases[i]->shards != NULL && strcmp(c->databases[i]->shards, name) == 0) {
            return true;
        }
    }
    return c->fallback != NULL && c->fallback->shards != NULL && strcmp(c->fallback->shards, name) == 0;
}

static void shard_check(struct loader *l, const struct config_database *shard)
{
    if (shard->recovery_password != NULL && shard->recovery_user == NULL) {
        config_errors_add(l->errors, shard->file, shard->line,
                          "recovery_password without recovery_user; write whose password it is");
    }
}

static void database_check(struct loader *l, const struct config_database *d)
{
    const struct config_sharding *s;

    if (d == NULL || d->shards == NULL) {
        return;
    }
    s = config_sharding_find(l->config, d->shards);
    if (s == NULL || s->shard_count == 0) {
        config_errors_add(l->errors, d->file, d->line, "there is no [shards %s]; write it, with a line for each shard",
                          d->shards);
    }
}

static bool text_equal(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool shares_host(const struct config_database *a, const struct config_database *b)
{
    for (size_t i = 0; i < a->host_count; i++) {
        for (size_t k = 0; k < b->host_count; k++) {
            if (text_equal(a->hosts[i].host, b->hosts[k].host) && a->hosts[i].port == b->hosts[k].port) {
                return true;
            }
        }
    }
    return false;
}

/* Its tables have the names of theirs. */
static void coordinator_check(struct loader *l, const struct config_sharding *s)
{
    const struct config_database *d = s->coordinator;

    for (size_t i = 0; d != NULL && i < s->shard_count; i++) {
        if (text_equal(d->dbname, s->shards[i]->dbname) && shares_host(d, s->shards[i])) {
            config_errors_add(l->errors, d->file, d->line,
                              "the coordinator is shard \"%s\"; give it a database of its own", s->shards[i]->name);
        }
    }
}

void shardings_check(struct loader *l)
{
    const struct config *c = l->config;

    for (size_t i = 0; i < c->database_count; i++) {
        database_check(l, c->databases[i]);
    }
    database_check(l, c->fallback);
    for (size_t i = 0; i < c->sharding_count; i++) {
        const struct config_sharding *s = c->shardings[i];
        coordinator_check(l, s);
        for (size_t k = 0; k < s->shard_count; k++) {
            shard_check(l, s->shards[k]);
        }
        if (!is_used(c, s->name)) {
            config_errors_add(l->errors, s->file, s->line,
                              "the sections of \"%s\" are no database's; write NAME = shards=%s in [databases]",
                              s->name, s->name);
        }
    }
}
