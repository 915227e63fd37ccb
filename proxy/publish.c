/*
 * publish.c: configurations, from the file to every thread.
 *
 *   file -> config, maps -> what cannot change stays -> runtime (TLS, hba, ident) -> limits, log, resolver -> workers
 *
 * Invariant: all that can fail comes before the first thing that changes: a reload that fails has changed nothing.
 * Thread: control.
 */
#include "proxy/publish.h"

#include "conf/load.h"
#include "conf/log.h"
#include "proxy/accept.h"
#include "proxy/hba.h"
#include "proxy/lookup.h"
#include "proxy/monitor.h"
#include "proxy/shards.h"

#include <stdarg.h>
#include <stdio.h>

static struct config *current; /* counted */
static char *file;             /* owned: as given on the command line */
static int flag_verbose;
static bool flag_quiet;

struct config *control_config(void)
{
    return current;
}

/* --- what hangs on a snapshot --- */

static void runtime_free(void *extra)
{
    struct runtime *r = extra;

    tls_context_unref(r->client_tls);
    tls_context_unref(r->server_tls);
    hba_free(r->hba);
    ident_free(r->ident);
    free(r);
}

/* Collects what is wrong; the first of it is kept for an answer. */
struct problems {
    char *first;
    size_t first_size;
    unsigned count;
};

static void problem_add(struct problems *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void problem_add(struct problems *p, const char *fmt, ...)
{
    char text[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    log_error("%s", text);
    if (p->count++ == 0)
        snprintf(p->first, p->first_size, "%s", text);
}

static void hba_problem(void *arg, const char *name, int line, const char *message)
{
    problem_add(arg, "%s:%d: %s", name, line, message);
}

static struct tls_context *client_tls_build(const struct options *o, struct problems *p)
{
    struct tls_options t = {.mode = (enum tls_mode)o->client_tls_sslmode,
                            .key_file = o->client_tls_key_file,
                            .cert_file = o->client_tls_cert_file,
                            .ca_file = o->client_tls_ca_file,
                            .protocols = o->client_tls_protocols,
                            .ciphers = o->client_tls_ciphers,
                            .ciphers13 = o->client_tls13_ciphers,
                            .ecdhcurve = o->client_tls_ecdhcurve,
                            .dheparams = o->client_tls_dheparams};
    char why[256] = "";
    struct tls_context *c = tls_context_new(&t, true, why, sizeof why);

    if (c == NULL && *why != '\0')
        problem_add(p, "client_tls: %s", why);
    return c;
}

static struct tls_context *server_tls_build(const struct options *o, struct problems *p)
{
    struct tls_options t = {.mode = (enum tls_mode)o->server_tls_sslmode,
                            .key_file = o->server_tls_key_file,
                            .cert_file = o->server_tls_cert_file,
                            .ca_file = o->server_tls_ca_file,
                            .protocols = o->server_tls_protocols,
                            .ciphers = o->server_tls_ciphers,
                            .ciphers13 = o->server_tls13_ciphers};
    char why[256] = "";
    struct tls_context *c = tls_context_new(&t, false, why, sizeof why);

    if (c == NULL && *why != '\0')
        problem_add(p, "server_tls: %s", why);
    return c;
}

static bool runtime_build(struct config *c, struct problems *p)
{
    struct runtime *r = mem_zalloc(sizeof *r);
    const struct options *o = &c->opt;
    unsigned before = p->count;

    c->extra = r;
    c->extra_free = runtime_free;
    r->client_tls = client_tls_build(o, p);
    r->server_tls = server_tls_build(o, p);
    if (o->auth_type == AUTH_HBA && *o->auth_hba_file == '\0')
        problem_add(p, "auth_type = hba needs auth_hba_file");
    else if (*o->auth_hba_file != '\0')
        r->hba = hba_load(o->auth_hba_file, hba_problem, p);
    if (*o->auth_ident_file != '\0')
        r->ident = ident_load(o->auth_ident_file, hba_problem, p);
    return p->count == before;
}

/* --- taking up --- */

static bool log_reopen(const struct options *o)
{
    log_verbosity(MAX(o->verbose, flag_verbose));
    log_as_json(o->log_format == LOG_FORMAT_JSON);
    return log_open(o->logfile, o->syslog, o->syslog_ident, o->syslog_facility, flag_quiet) == 0;
}

static void target_credentials(const struct config *c, struct target *t)
{
    const char *text = config_secret_find(c, t->user->name);
    struct secret secret = {0};

    if (text == NULL)
        return;
    secret_set(&secret, text);
    limits_credentials_set(t, &secret, NULL);
    secret_free(&secret);
}

void publish_targets(void)
{
    for (size_t i = 0; i < current->database_count; i++) {
        const struct config_database *d = current->databases[i];
        int min = d->min_pool_size == UNSET_INT ? current->opt.min_pool_size : d->min_pool_size;
        if (d->user != NULL && min > 0)
            target_credentials(current, limits_target(current, d->name, d->user));
    }
}

static bool has_clients(const struct target *t)
{
    const struct config_database *d = config_database_find(current, t->db->name);

    if (d == NULL)
        d = current->fallback;
    if (d != NULL && d->user != NULL)
        return true; /* a forced user's servers are kept in any case */
    return __atomic_load_n(&t->db->clients, __ATOMIC_RELAXED) > 0 &&
           __atomic_load_n(&t->user->clients, __ATOMIC_RELAXED) > 0;
}

void publish_keep_ready(void)
{
    for (struct target *t = limits_targets(); t != NULL; t = t->next) {
        int missing = __atomic_load_n(&t->min, __ATOMIC_RELAXED) - limits_used(t);
        if (missing <= 0 || __atomic_load_n(&t->db->disabled, __ATOMIC_RELAXED) || !has_clients(t))
            continue;
        for (int i = 0; i < missing; i++) {
            int worker = (t->index + i) % worker_count;
            worker_post_pool(worker, POOL_OPEN, t, NULL, worker);
        }
    }
}

struct configure_message {
    struct message m;
    struct config *config; /* counted */
};

static void configure_arrives(void *receiver, struct message *m)
{
    struct configure_message *cm = CONTAINER_OF(m, struct configure_message, m);

    worker_configure(receiver, cm->config);
    config_unref(cm->config);
    free(cm);
}

static void tell_workers(void)
{
    for (int i = 0; i < worker_count; i++) {
        struct configure_message *cm = mem_zalloc(sizeof *cm);
        cm->m.run = configure_arrives;
        config_ref(current);
        cm->config = current;
        worker_post(i, &cm->m);
    }
}

/* --- what a change means for servers that exist --- */

static bool text_equal(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool hosts_equal(const struct config_database *a, const struct config_database *b)
{
    if (a->host_count != b->host_count)
        return false;
    for (size_t i = 0; i < a->host_count; i++)
        if (strcmp(a->hosts[i].host, b->hosts[i].host) != 0 || a->hosts[i].port != b->hosts[i].port)
            return false;
    return true;
}

/* True if servers opened by a are what servers opened by b would be. */
static bool database_equal(const struct config_database *a, const struct config_database *b)
{
    if (a == NULL || b == NULL)
        return a == b;
    return hosts_equal(a, b) && text_equal(a->dbname, b->dbname) && text_equal(a->user, b->user) &&
           text_equal(a->password, b->password) && text_equal(a->client_encoding, b->client_encoding) &&
           text_equal(a->datestyle, b->datestyle) && text_equal(a->timezone, b->timezone) &&
           text_equal(a->application_name, b->application_name) && text_equal(a->connect_query, b->connect_query) &&
           text_equal(a->identity, b->identity);
}

static bool server_tls_equal(const struct options *a, const struct options *b)
{
    return a->server_tls_sslmode == b->server_tls_sslmode &&
           strcmp(a->server_tls_key_file, b->server_tls_key_file) == 0 &&
           strcmp(a->server_tls_cert_file, b->server_tls_cert_file) == 0 &&
           strcmp(a->server_tls_ca_file, b->server_tls_ca_file) == 0 &&
           strcmp(a->server_tls_protocols, b->server_tls_protocols) == 0 &&
           strcmp(a->server_tls_ciphers, b->server_tls_ciphers) == 0 &&
           strcmp(a->server_tls13_ciphers, b->server_tls13_ciphers) == 0;
}

struct change {
    const struct config *from;
    const struct config *to;
};

static const struct config_database *database_of(const struct config *c, const char *name)
{
    const struct config_database *d = config_database_find(c, name);

    return d != NULL ? d : c->fallback;
}

static void retire_servers(void *arg, struct database_state *db)
{
    const struct change *change = arg;

    if (server_tls_equal(&change->from->opt, &change->to->opt) &&
        database_equal(database_of(change->from, db->name), database_of(change->to, db->name)))
        return;
    __atomic_add_fetch(&db->reconnect, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&db->host_index, 0, __ATOMIC_RELAXED);
}

/* From here on nothing fails. Takes over the reference to c. */
static void publish(struct config *c)
{
    struct change change = {.from = current, .to = c};

    c->generation = current->generation + 1;
    monitor_configure(change.from, c);
    limits_configure(c);
    control_limit_clients(c->opt.max_client_conn);
    limits_each_database(retire_servers, &change);
    for (struct target *t = limits_targets(); t != NULL; t = t->next)
        limits_welcome_clear(t);
    current = c;
    config_unref((struct config *)(uintptr_t)change.from);
    accept_configure(&c->opt);
    log_reopen(&c->opt); /* a log file that cannot be opened has been told of on stderr; the old one goes on */
    resolve_configure(c->opt.dns_max_ttl, c->opt.dns_nxdomain_ttl);
    lookup_reconfigure();
    monitor_start();
    publish_targets();
    tell_workers();
}

/* --- from the file --- */

/* An option that cannot change while the process runs stays as it is, with a word in the log. */
static void keep_fixed(struct config *c)
{
    for (size_t i = 0; i < option_count(); i++) {
        const struct option_info *info = option_at(i);
        char error[256];
        if (info->reloadable || info->ignored)
            continue;
        size_t size = MAX(option_value(&current->opt, info, NULL, 0), option_value(&c->opt, info, NULL, 0)) + 1;
        char *was = mem_alloc(size), *wanted = mem_alloc(size);
        option_value(&current->opt, info, was, size);
        option_value(&c->opt, info, wanted, size);
        if (strcmp(was, wanted) != 0) {
            log_warn("\"%s\" needs a restart to change: it is still \"%s\"", info->name, was);
            option_set(&c->opt, info, was, error, sizeof error);
        }
        free(was);
        free(wanted);
    }
}

int control_reload(char *error, size_t error_size)
{
    struct config_errors errors = {0};
    struct problems problems = {.first = error, .first_size = error_size};
    char *path = mem_strdup(*current->opt.conffile != '\0' ? current->opt.conffile : file);
    struct config *c = shards_config_load(path, &errors);

    free(path);
    for (size_t i = 0; i < errors.count; i++)
        problem_add(&problems, "%s", errors.lines[i]);
    config_errors_free(&errors);
    if (c != NULL) {
        keep_fixed(c);
        runtime_build(c, &problems);
    }
    if (c == NULL || problems.count > 0) {
        config_unref(c);
        log_error("the configuration was not reloaded: nothing has changed");
        return -1;
    }
    publish(c);
    log_info("the configuration was reloaded");
    return 0;
}

int control_set(const char *name, const char *value, char *error, size_t error_size)
{
    struct problems problems = {.first = error, .first_size = error_size};
    struct config *c = config_with_option(current, name, value, error, error_size);

    if (c == NULL)
        return -1;
    if (!runtime_build(c, &problems)) {
        config_unref(c);
        return -1;
    }
    publish(c);
    return 0;
}

int publish_test(struct config *c)
{
    char error[512];
    struct problems problems = {.first = error, .first_size = sizeof error};

    return runtime_build(c, &problems) ? 0 : -1;
}

int publish_first(struct config *c, const struct control_flags *flags)
{
    char error[512];
    struct problems problems = {.first = error, .first_size = sizeof error};

    current = c;
    c->generation = 1;
    file = mem_strdup(flags->file);
    flag_verbose = flags->verbose;
    flag_quiet = flags->quiet || flags->daemon;
    return log_reopen(&c->opt) && runtime_build(c, &problems) ? 0 : -1;
}

void publish_free(void)
{
    config_unref(current);
    current = NULL;
    free(file);
    file = NULL;
}
