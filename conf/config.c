/*
 * config.c: the life of a snapshot: counted, copied whole, freed whole; and the look-ups in it.
 * Invariants: everything reachable from a struct config is owned by it alone. Secrets are wiped before they are freed.
 * Thread: built and copied by control; refs is atomic, the rest is immutable once published.
 */
#include "conf/load_parts.h"

#include <stdio.h>
#include <strings.h>

/* --- free --- */

static void secret_free(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
        free(text);
    }
}

/* The texts of a database that are only copied and freed. */
static char **database_text(struct config_database *d, size_t i)
{
    char **texts[] = {&d->name,
                      &d->dbname,
                      &d->user,
                      &d->auth_user,
                      &d->auth_query,
                      &d->auth_dbname,
                      &d->client_encoding,
                      &d->datestyle,
                      &d->timezone,
                      &d->application_name,
                      &d->connect_query,
                      &d->load_balance_hosts,
                      &d->read_functions,
                      &d->write_functions,
                      &d->shards,
                      &d->recovery_user,
                      &d->part_of,
                      &d->identity};

    return i < ARRAY_LEN(texts) ? texts[i] : NULL;
}

void config_database_free(struct config_database *d)
{
    if (d == NULL) {
        return;
    }
    for (size_t i = 0; database_text(d, i) != NULL; i++) {
        free(*database_text(d, i));
    }
    secret_free(d->password);
    secret_free(d->recovery_password);
    for (size_t i = 0; i < d->host_count; i++) {
        free(d->hosts[i].host);
    }
    free(d->hosts);
    free(d->weights);
    free((char *)d->file);
    free(d);
}

static void config_free(struct config *c)
{
    if (c->extra_free != NULL) {
        c->extra_free(c->extra);
    }
    for (size_t i = 0; i < c->database_count; i++) {
        config_database_free(c->databases[i]);
    }
    config_database_free(c->fallback);
    for (size_t i = 0; i < c->sharding_count; i++) {
        config_sharding_free(c->shardings[i]);
    }
    for (size_t i = 0; i < c->user_count; i++) {
        free(c->users[i]->name);
        free(c->users[i]);
    }
    for (size_t i = 0; i < c->peer_count; i++) {
        free(c->peers[i].host);
    }
    for (size_t i = 0; i < c->secret_count; i++) {
        free(c->secrets[i].user);
        secret_free(c->secrets[i].secret);
    }
    free(c->databases);
    free(c->shardings);
    free(c->users);
    free(c->peers);
    free(c->secrets);
    free(c->file);
    options_free(&c->opt);
    free(c);
}

void config_ref(struct config *c)
{
    __atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
}

void config_unref(struct config *c)
{
    if (c != NULL && __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        config_free(c);
    }
}

/* --- copy --- */

static char *text_copy(const char *text)
{
    return text == NULL ? NULL : mem_strdup(text);
}

struct config_database *config_database_copy(const struct config_database *from)
{
    if (from == NULL) {
        return NULL;
    }
    struct config_database *to = mem_alloc(sizeof *to);

    *to = *from;
    for (size_t i = 0; database_text(to, i) != NULL; i++) {
        *database_text(to, i) = text_copy(*database_text(to, i));
    }
    to->password = text_copy(from->password);
    to->recovery_password = text_copy(from->recovery_password);
    to->file = text_copy(from->file);
    to->hosts = mem_alloc(from->host_count * sizeof *to->hosts);
    for (size_t i = 0; i < from->host_count; i++) {
        to->hosts[i] = (struct config_host){.host = mem_strdup(from->hosts[i].host), .port = from->hosts[i].port};
    }
    if (from->weights != NULL) {
        to->weights = mem_alloc(from->host_count * sizeof *to->weights);
        memcpy(to->weights, from->weights, from->host_count * sizeof *to->weights);
    }
    return to;
}

static struct config_user *user_copy(const struct config_user *from)
{
    struct config_user *to = mem_alloc(sizeof *to);

    *to = *from;
    to->name = mem_strdup(from->name);
    return to;
}

static struct config *config_copy(const struct config *from)
{
    const size_t counted = offsetof(struct config, generation);
    struct config *to = mem_zalloc(sizeof *to);

    /* All but the count, which others change meanwhile. */
    memcpy((char *)to + counted, (const char *)from + counted, sizeof *to - counted);
    to->refs = 1;
    to->extra = NULL;
    to->extra_free = NULL;
    to->file = text_copy(from->file);
    options_copy(&to->opt, &from->opt);
    to->databases = mem_alloc(from->database_count * sizeof(struct config_database *));
    for (size_t i = 0; i < from->database_count; i++) {
        to->databases[i] = config_database_copy(from->databases[i]);
    }
    to->fallback = config_database_copy(from->fallback);
    to->shardings = mem_alloc(from->sharding_count * sizeof(struct config_sharding *));
    for (size_t i = 0; i < from->sharding_count; i++) {
        to->shardings[i] = config_sharding_copy(from->shardings[i]);
    }
    to->users = mem_alloc(from->user_count * sizeof(struct config_user *));
    for (size_t i = 0; i < from->user_count; i++) {
        to->users[i] = user_copy(from->users[i]);
    }
    to->peers = mem_alloc(from->peer_count * sizeof *to->peers);
    for (size_t i = 0; i < from->peer_count; i++) {
        to->peers[i] = from->peers[i];
        to->peers[i].host = mem_strdup(from->peers[i].host);
    }
    to->secrets = mem_alloc(from->secret_count * sizeof *to->secrets);
    for (size_t i = 0; i < from->secret_count; i++) {
        to->secrets[i].user = mem_strdup(from->secrets[i].user);
        to->secrets[i].secret = mem_strdup(from->secrets[i].secret);
    }
    return to;
}

/* The first problem is enough for an answer to SET. */
struct first_problem {
    char *error;
    size_t error_size;
    bool found;
};

static void first_problem_note(void *arg, const char *option, const char *message)
{
    struct first_problem *first = arg;

    (void)option;
    if (!first->found) {
        snprintf(first->error, first->error_size, "%s", message);
        first->found = true;
    }
}

struct config *config_with_option(const struct config *c, const char *name, const char *value, char *error,
                                  size_t error_size)
{
    const struct option_info *info = option_find(name);
    char why[256] = "";

    if (info == NULL) {
        const char *nearest = option_nearest(name);
        snprintf(error, error_size, nearest == NULL ? "unknown option \"%s\"" : "unknown option \"%s\"; perhaps \"%s\"",
                 name, nearest);
        return NULL;
    }
    if (!info->reloadable) {
        snprintf(error, error_size, "\"%s\" %s", name,
                 info->ignored ? "has no meaning here" : "cannot be changed while Sluice runs");
        return NULL;
    }
    struct config *copy = config_copy(c);
    if (option_set(&copy->opt, info, value, why, sizeof why) != 0) {
        snprintf(error, error_size, "bad value \"%s\" for \"%s\": %s", value, name, why);
        config_unref(copy);
        return NULL;
    }
    struct first_problem first = {.error = error, .error_size = error_size};
    options_check(&copy->opt, first_problem_note, &first);
    if (first.found) {
        config_unref(copy);
        return NULL;
    }
    return copy;
}

/* --- look-ups --- */

const struct config_database *config_database_find(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->database_count; i++) {
        if (strcmp(c->databases[i]->name, name) == 0) {
            return c->databases[i];
        }
    }
    return NULL;
}

const struct config_user *config_user_find(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->user_count; i++) {
        if (strcmp(c->users[i]->name, name) == 0) {
            return c->users[i];
        }
    }
    return NULL;
}

const struct config_sharding *config_sharding_find(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->sharding_count; i++) {
        if (strcmp(c->shardings[i]->name, name) == 0) {
            return c->shardings[i];
        }
    }
    return NULL;
}

static int secret_compare(const void *user, const void *secret)
{
    return strcmp(user, ((const struct config_secret *)secret)->user);
}

const char *config_secret_find(const struct config *c, const char *user)
{
    if (c->secret_count == 0) {
        return NULL;
    }
    const struct config_secret *found = bsearch(user, c->secrets, c->secret_count, sizeof *c->secrets, secret_compare);

    return found == NULL ? NULL : found->secret;
}

bool config_list_has(const char *list, const char *name)
{
    size_t name_len = strlen(name);

    while (list != NULL && *list != '\0') {
        list += strspn(list, ", \t");
        size_t len = strcspn(list, ", \t");
        if (len > 0 && len == name_len && memcmp(list, name, len) == 0) {
            return true;
        }
        list += len;
    }
    return false;
}
