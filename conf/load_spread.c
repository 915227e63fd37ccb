/*
 * load_spread.c: a database with shards becomes as many databases as it has shards: itself, with the servers of the
 * first one (its home shard), and for each further one a part, "NAME/SHARD", that no client can name. Behind the last
 * comes its coordinator, where it has one: "NAME/coordinator".
 * Thread: control (or main before threads start).
 */
#include "conf/load_parts.h"

static void text_take(char **to, const char *from)
{
    if (from == NULL) {
        return;
    }
    free(*to);
    *to = mem_strdup(from);
}

static void hosts_take(struct config_database *to, const struct config_database *from)
{
    for (size_t i = 0; i < to->host_count; i++) {
        free(to->hosts[i].host);
    }
    to->hosts = mem_realloc(to->hosts, from->host_count * sizeof *to->hosts);
    to->host_count = from->host_count;
    for (size_t i = 0; i < from->host_count; i++) {
        to->hosts[i] = (struct config_host){.host = mem_strdup(from->hosts[i].host), .port = from->hosts[i].port};
    }
    free(to->weights);
    to->weights = NULL;
    if (from->weights != NULL) {
        to->weights = mem_alloc(from->host_count * sizeof *to->weights);
        memcpy(to->weights, from->weights, from->host_count * sizeof *to->weights);
    }
}

/* What the shard's line does not say is the database's. */
static struct config_database *part_new(const struct config_database *d, const struct config_database *shard)
{
    struct config_database *to = config_database_copy(d);

    hosts_take(to, shard);
    text_take(&to->dbname, shard->dbname != NULL ? shard->dbname : d->name);
    text_take(&to->user, shard->user);
    text_take(&to->password, shard->password);
    text_take(&to->recovery_user, shard->recovery_user);
    text_take(&to->recovery_password, shard->recovery_password);
    if (shard->pool_size != UNSET_INT) {
        to->pool_size = shard->pool_size;
    }
    return to;
}

static struct config_database *part_add(struct config *c, const struct config_database *d,
                                        const struct config_database *shard, size_t number)
{
    struct config_database *part = part_new(d, shard);

    free(part->name);
    part->name = mem_printf("%s/%s", d->name, shard->name);
    part->part_of = mem_strdup(d->name);
    part->part = (int)number;
    c->databases = mem_realloc(c->databases, (c->database_count + 1) * sizeof(struct config_database *));
    c->databases[c->database_count++] = part;
    return part;
}

static void coordinator_add(struct config *c, const struct config_database *d, const struct config_sharding *s)
{
    struct config_database *part = part_add(c, d, s->coordinator, s->shard_count);

    part->coordinates = true;
    part->pool_size = s->coordinator->pool_size; /* the database's is each shard's */
    part->min_pool_size = 0;
}

static void spread(struct config *c, size_t at, const struct config_sharding *s)
{
    struct config_database *d = c->databases[at];

    c->databases[at] = part_new(d, s->shards[0]);
    for (size_t k = 1; k < s->shard_count; k++) {
        part_add(c, d, s->shards[k], k);
    }
    if (s->coordinator != NULL) {
        coordinator_add(c, d, s);
    }
    config_database_free(d);
}

void config_spread(struct config *c)
{
    size_t count = c->database_count;

    for (size_t i = 0; i < count; i++) {
        const struct config_sharding *s =
            c->databases[i]->shards == NULL ? NULL : config_sharding_find(c, c->databases[i]->shards);
        if (s != NULL) {
            spread(c, i, s);
        }
    }
}
