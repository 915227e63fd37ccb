/*
 * load_entries.c: the lines of [databases], [users] and [peers]: "name = key=value ...". Their keys are tables, which
 * the reference is printed from too; shards' keys are a part of a database's.
 * Thread: control (or main before threads start).
 */
#include "conf/load_parts.h"

#include "conf/units.h"

#define PEER_ID_MAX 16383
#define WEIGHT_MAX 1000

#define DB(field) offsetof(struct config_database, field)
const struct pair_key database_keys[] = {
    {"dbname", PAIR_TEXT, DB(dbname), "Name of the database on the server; the client's name for it unless written.",
     false},
    {"host", PAIR_HOSTS, 0,
     "Name, address, or folder of a Unix socket (/folder, @abstract); a list a,b,c names the nodes of one cluster. "
     "Unless written: unix_socket_dir.",
     false},
    {"port", PAIR_PORTS, 0, "Port; one for all hosts, or a list with one for each. Default 5432.", false},
    {"user", PAIR_TEXT, DB(user), "User of all server connections; the client's unless written.", false},
    {"password", PAIR_TEXT, DB(password), "Password for the servers; that of auth_file or auth_query unless written.",
     false},
    {"auth_user", PAIR_TEXT, DB(auth_user), "Overrides auth_user.", false},
    {"auth_query", PAIR_TEXT, DB(auth_query), "Overrides auth_query.", false},
    {"auth_dbname", PAIR_TEXT, DB(auth_dbname), "Overrides auth_dbname.", false},
    {"client_encoding", PAIR_TEXT, DB(client_encoding), "client_encoding of server connections.", false},
    {"datestyle", PAIR_TEXT, DB(datestyle), "DateStyle of server connections.", false},
    {"timezone", PAIR_TEXT, DB(timezone), "TimeZone of server connections.", false},
    {"application_name", PAIR_TEXT, DB(application_name), "application_name of server connections.", false},
    {"connect_query", PAIR_TEXT, DB(connect_query), "Run on each new server connection before any client uses it.",
     false},
    {"pool_size", PAIR_COUNT, DB(pool_size), "Overrides default_pool_size.", false},
    {"min_pool_size", PAIR_COUNT, DB(min_pool_size), "Overrides min_pool_size.", false},
    {"reserve_pool_size", PAIR_COUNT, DB(reserve_pool_size), "Overrides reserve_pool_size.", false},
    {"reserve_pool", PAIR_COUNT, DB(reserve_pool_size), "Old name of reserve_pool_size.", false},
    {"max_db_connections", PAIR_COUNT, DB(max_db_connections), "Overrides max_db_connections.", false},
    {"max_db_client_connections", PAIR_COUNT, DB(max_db_client_connections), "Overrides max_db_client_connections.",
     false},
    {"server_lifetime", PAIR_SECONDS, DB(server_lifetime), "Overrides server_lifetime.", false},
    {"query_wait_timeout", PAIR_SECONDS, DB(query_wait_timeout), "Overrides query_wait_timeout.", false},
    {"statement_timeout", PAIR_MILLIS, DB(statement_timeout), "Overrides statement_timeout.", false},
    {"pool_mode", PAIR_POOL_MODE, DB(pool_mode), "Overrides pool_mode.", false},
    {"target", PAIR_TARGET, DB(target),
     "standby: every statement goes to a replica of the hosts, for programs that only read. Unless written: primary.",
     false},
    {"weights", PAIR_WEIGHTS, 0,
     "How much each of the hosts is read from when it is a replica, compared with the others: a list with a whole "
     "number for each. 0: not at all. Unless written, all are equal.",
     false},
    {"max_replica_lag", PAIR_MILLIS, DB(max_replica_lag), "Overrides max_replica_lag.", false},
    {"replica_balance", PAIR_CHOICE, DB(replica_balance), "Overrides replica_balance.", false},
    {"read_routing", PAIR_CHOICE, DB(read_routing), "Overrides read_routing.", false},
    {"read_your_writes", PAIR_CHOICE, DB(read_your_writes), "Overrides read_your_writes.", false},
    {"freshness_wait", PAIR_MILLIS, DB(freshness_wait), "Overrides freshness_wait.", false},
    {"read_only_transactions", PAIR_CHOICE, DB(read_only_transactions), "Overrides read_only_transactions.", false},
    {"read_functions", PAIR_TEXT, DB(read_functions), "Overrides read_functions.", false},
    {"write_functions", PAIR_TEXT, DB(write_functions), "Overrides write_functions.", false},
    {"failover_wait", PAIR_SECONDS, DB(failover_wait), "Overrides failover_wait.", false},
    {"shards", PAIR_TEXT, DB(shards),
     "Its rows are spread over the shards of [shards NAME], as [tables NAME] says; in place of host and dbname.",
     false},
    {"load_balance_hosts", PAIR_BALANCE, DB(load_balance_hosts),
     "disable or round-robin. Accepted without meaning: all goes to the first host that is a primary.", true},
    {NULL, PAIR_TEXT, 0, NULL, false},
};

const struct pair_key shard_keys[] = {
    {"dbname", PAIR_TEXT, DB(dbname), "Name of the database on the shard; the client's name for it unless written.",
     false},
    {"host", PAIR_HOSTS, 0, "As in [databases]: the nodes that hold the same rows, a primary and its replicas.", false},
    {"port", PAIR_PORTS, 0, "As in [databases].", false},
    {"user", PAIR_TEXT, DB(user), "User of all server connections; the client's unless written.", false},
    {"password", PAIR_TEXT, DB(password), "Password for the servers; that of auth_file or auth_query unless written.",
     false},
    {"recovery_user", PAIR_TEXT, DB(recovery_user),
     "A superuser of the shard, who ends transactions of several shards that were left behind there, and runs sluice "
     "shards --apply. Unless written: monitor_user.",
     false},
    {"recovery_password", PAIR_TEXT, DB(recovery_password),
     "Password of recovery_user. Unless written: the one in auth_file, if it is a plain one.", false},
    {"pool_size", PAIR_COUNT, DB(pool_size), "Overrides default_pool_size.", false},
    {"weights", PAIR_WEIGHTS, 0, "As in [databases].", false},
    {NULL, PAIR_TEXT, 0, NULL, false},
};

#define USER(field) offsetof(struct config_user, field)
const struct pair_key user_keys[] = {
    {"pool_mode", PAIR_POOL_MODE, USER(pool_mode), "Overrides pool_mode, the database's too.", false},
    {"read_routing", PAIR_CHOICE, USER(read_routing), "Overrides read_routing, the database's too.", false},
    {"pool_size", PAIR_COUNT, USER(pool_size), "Overrides default_pool_size, the database's too.", false},
    {"reserve_pool_size", PAIR_COUNT, USER(reserve_pool_size), "Overrides reserve_pool_size, the database's too.",
     false},
    {"max_user_connections", PAIR_COUNT, USER(max_user_connections), "Overrides max_user_connections.", false},
    {"max_user_client_connections", PAIR_COUNT, USER(max_user_client_connections),
     "Overrides max_user_client_connections.", false},
    {"query_timeout", PAIR_SECONDS, USER(query_timeout), "Overrides query_timeout.", false},
    {"query_wait_timeout", PAIR_SECONDS, USER(query_wait_timeout), "Overrides query_wait_timeout.", false},
    {"transaction_timeout", PAIR_SECONDS, USER(transaction_timeout), "Overrides transaction_timeout.", false},
    {"idle_transaction_timeout", PAIR_SECONDS, USER(idle_transaction_timeout), "Overrides idle_transaction_timeout.",
     false},
    {"client_idle_timeout", PAIR_SECONDS, USER(client_idle_timeout), "Overrides client_idle_timeout.", false},
    {"statement_timeout", PAIR_MILLIS, USER(statement_timeout), "Overrides statement_timeout.", false},
    {NULL, PAIR_TEXT, 0, NULL, false},
};

#define PEER(field) offsetof(struct config_peer, field)
const struct pair_key peer_keys[] = {
    {"host", PAIR_HOSTS, 0, "Name, address, or folder of a Unix socket of the other process.", false},
    {"port", PAIR_PORTS, 0, "Its port. Default 6432.", false},
    {"pool_size", PAIR_COUNT, PEER(pool_size),
     "Accepted without meaning: a cancel request is passed on at once, on a connection of its own.", true},
    {NULL, PAIR_TEXT, 0, NULL, false},
};

/* --- hosts --- */

static size_t list_length(const char *list)
{
    size_t n = 1;

    for (; *list != '\0'; list++) {
        n += *list == ',';
    }
    return n;
}

/* The next element of a comma-separated list, without blanks around it; owned by the caller. */
static char *list_next(const char **list)
{
    const char *start = *list + strspn(*list, " \t");
    size_t len = strcspn(start, ",");

    *list = start + len + (start[len] == ',');
    while (len > 0 && (start[len - 1] == ' ' || start[len - 1] == '\t')) {
        len--;
    }
    return mem_strndup(start, len);
}

static bool port_read(struct loader *l, const char **ports, int *port)
{
    char *text = list_next(ports);
    int64_t number;
    bool ok = unit_parse_integer(text, &number) && number >= 1 && number <= 65535;

    if (ok) {
        *port = (int)number;
    } else {
        loader_error(l, "bad port \"%s\"; it must be a whole number from 1 to 65535", text);
    }
    free(text);
    return ok;
}

/* Makes hosts of the written lists. Without host= there is one, whose name is NULL until all options are known. Returns
 * false after an error; what was made is the caller's in any case. */
static bool hosts_read(struct loader *l, const struct pair_hosts *written, int default_port, struct config_host **hosts,
                       size_t *count)
{
    const char *names = written->hosts, *ports = written->ports;
    size_t port_count = ports == NULL ? 0 : list_length(ports);
    int port = default_port;

    *count = names == NULL ? 1 : list_length(names);
    *hosts = mem_zalloc(*count * sizeof **hosts);
    if (port_count > 1 && port_count != *count) {
        loader_error(l, "%zu ports for %zu hosts; write one port, or one for each host", port_count, *count);
        return false;
    }
    for (size_t i = 0; i < *count; i++) {
        if (i < port_count && !port_read(l, &ports, &port)) {
            return false;
        }
        (*hosts)[i] = (struct config_host){.host = names == NULL ? NULL : list_next(&names), .port = port};
        if ((*hosts)[i].host != NULL && *(*hosts)[i].host == '\0') {
            loader_error(l, "empty host in the list; write names separated by single commas");
            return false;
        }
    }
    return true;
}

static void pair_hosts_free(struct pair_hosts *written)
{
    free(written->hosts);
    free(written->ports);
    free(written->weights);
}

/* The list of weights, one for each host. */
static void weights_read(struct loader *l, const char *list, struct config_database *d)
{
    if (list_length(list) != d->host_count) {
        loader_error(l, "%zu weights for %zu hosts; write one for each host", list_length(list), d->host_count);
        return;
    }
    d->weights = mem_zalloc(d->host_count * sizeof *d->weights);
    for (size_t i = 0; i < d->host_count; i++) {
        char *text = list_next(&list);
        int64_t number = -1;
        if (!unit_parse_integer(text, &number) || number < 0 || number > WEIGHT_MAX) {
            loader_error(l, "bad weight \"%s\"; it must be a whole number from 0 to %d", text, WEIGHT_MAX);
        }
        d->weights[i] = (int)number;
        free(text);
    }
}

/* --- databases --- */

static struct config_database *database_new(const struct loader *l, const char *name)
{
    struct config_database *d = mem_zalloc(sizeof *d);

    d->name = mem_strdup(name);
    d->pool_size = d->min_pool_size = d->reserve_pool_size = UNSET_INT;
    d->max_db_connections = d->max_db_client_connections = UNSET_INT;
    d->server_lifetime = d->query_wait_timeout = d->statement_timeout = UNSET_USEC;
    d->max_replica_lag = d->failover_wait = d->freshness_wait = UNSET_USEC;
    d->replica_balance = d->read_routing = d->read_your_writes = d->read_only_transactions = UNSET_INT;
    d->pool_mode = POOL_MODE_UNSET;
    d->file = mem_strdup(l->line->file);
    d->line = l->line->number;
    return d;
}

/* Where the database of this name is kept, or is to be: appended if it is new. */
static struct config_database **database_slot(struct config *c, const char *name)
{
    if (strcmp(name, "*") == 0) {
        return &c->fallback;
    }
    for (size_t i = 0; i < c->database_count; i++) {
        if (strcmp(c->databases[i]->name, name) == 0) {
            return &c->databases[i];
        }
    }
    c->databases = mem_realloc(c->databases, (c->database_count + 1) * sizeof(struct config_database *));
    c->databases[c->database_count] = NULL;
    return &c->databases[c->database_count++];
}

struct config_database *database_read(struct loader *l, const struct pair_key *keys, const char *name,
                                      const char *value)
{
    struct pair_hosts written = {NULL, NULL, NULL};
    struct config_database *d = database_new(l, name);

    if (pairs_read(l, keys, value, d, &written) && hosts_read(l, &written, 5432, &d->hosts, &d->host_count) &&
        written.weights != NULL) {
        weights_read(l, written.weights, d);
    }
    if (d->shards != NULL && (written.hosts != NULL || d->dbname != NULL)) {
        loader_error(l, "shards together with %s; write the servers in [shards %s]",
                     written.hosts != NULL ? "host" : "dbname", d->shards);
    }
    pair_hosts_free(&written);
    return d;
}

void database_entry(struct loader *l, const char *key, const char *value)
{
    if (strcmp(key, "pgbouncer") == 0 || strcmp(key, "sluice") == 0) {
        loader_error(l, "database name \"%s\" is the admin console's; choose another and add dbname=%s", key, key);
        return;
    }
    struct config_database *d = database_read(l, database_keys, key, value);
    struct config_database **slot = database_slot(l->config, key);
    if (*slot != NULL) {
        loader_duplicate(l, "database", key);
        config_database_free(*slot);
    }
    *slot = d;
}

void database_finish(struct config_database *d, const char *folder)
{
    if (d != NULL && d->host_count == 1 && d->hosts[0].host == NULL) {
        d->hosts[0].host = mem_strdup(folder);
    }
}

void databases_finish(struct config *c)
{
    const char *folder = *c->opt.unix_socket_dir == '\0' ? "/tmp" : c->opt.unix_socket_dir;

    for (size_t i = 0; i < c->database_count; i++) {
        database_finish(c->databases[i], folder);
    }
    database_finish(c->fallback, folder);
    for (size_t i = 0; i < c->sharding_count; i++) {
        for (size_t k = 0; k < c->shardings[i]->shard_count; k++) {
            database_finish(c->shardings[i]->shards[k], folder);
        }
        database_finish(c->shardings[i]->coordinator, folder);
    }
}

/* --- users --- */

static struct config_user *user_new(const char *name)
{
    struct config_user *u = mem_zalloc(sizeof *u);

    u->name = mem_strdup(name);
    u->pool_mode = POOL_MODE_UNSET;
    u->read_routing = u->pool_size = u->reserve_pool_size = u->max_user_connections = u->max_user_client_connections =
        UNSET_INT;
    u->query_timeout = u->query_wait_timeout = u->transaction_timeout = UNSET_USEC;
    u->idle_transaction_timeout = u->client_idle_timeout = u->statement_timeout = UNSET_USEC;
    return u;
}

void user_entry(struct loader *l, const char *key, const char *value)
{
    struct config *c = l->config;
    struct config_user *u = user_new(key);

    pairs_read(l, user_keys, value, u, NULL);
    for (size_t i = 0; i < c->user_count; i++) {
        if (strcmp(c->users[i]->name, key) == 0) {
            loader_duplicate(l, "user", key);
            free(c->users[i]->name);
            free(c->users[i]);
            c->users[i] = u;
            return;
        }
    }
    c->users = mem_realloc(c->users, (c->user_count + 1) * sizeof(struct config_user *));
    c->users[c->user_count++] = u;
}

/* --- peers --- */

static void peer_add(struct loader *l, struct config_peer *peer)
{
    struct config *c = l->config;

    for (size_t i = 0; i < c->peer_count; i++) {
        if (c->peers[i].id == peer->id) {
            char name[16];
            snprintf(name, sizeof name, "%d", peer->id);
            loader_duplicate(l, "peer", name);
            free(c->peers[i].host);
            c->peers[i] = *peer;
            return;
        }
    }
    c->peers = mem_realloc(c->peers, (c->peer_count + 1) * sizeof *c->peers);
    c->peers[c->peer_count++] = *peer;
}

/* The one host of a peer, as it was written. Returns false after an error. */
static bool peer_host(struct loader *l, const struct pair_hosts *written, struct config_peer *peer)
{
    struct config_host *hosts = NULL;
    size_t count = 0;

    if (written->hosts == NULL || list_length(written->hosts) != 1) {
        loader_error(l, "a peer has one host; write host=NAME");
        return false;
    }
    bool ok = hosts_read(l, written, 6432, &hosts, &count);
    if (ok) {
        peer->host = hosts[0].host;
        peer->port = hosts[0].port;
    } else {
        free(hosts[0].host);
    }
    free(hosts);
    return ok;
}

void peer_entry(struct loader *l, const char *key, const char *value)
{
    struct pair_hosts written = {NULL, NULL, NULL};
    struct config_peer peer = {.pool_size = UNSET_INT};
    int64_t id;

    if (!unit_parse_integer(key, &id) || id < 1 || id > PEER_ID_MAX) {
        loader_error(l, "bad peer \"%s\"; its name is its peer_id, a whole number from 1 to %d", key, PEER_ID_MAX);
        return;
    }
    peer.id = (int)id;
    if (pairs_read(l, peer_keys, value, &peer, &written) && peer_host(l, &written, &peer)) {
        peer_add(l, &peer);
    }
    pair_hosts_free(&written);
}
