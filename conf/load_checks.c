/*
 * load_checks.c: what one value alone cannot show: options that need each other, and settings that are hardly meant.
 * Thread: control (or main before threads start).
 */
#include "conf/load_parts.h"

#include "conf/log.h"

static bool option_is(const struct options *o, const char *name, const char *text)
{
    char value[64];

    option_value(o, option_find(name), value, sizeof value);
    return strcmp(value, text) == 0;
}

static void check_listening(const struct options *o, option_problem_fn *report, void *arg)
{
    if (*o->listen_addr == '\0' && *o->unix_socket_dir == '\0') {
        report(arg, "listen_addr", "nothing to listen on; write listen_addr or unix_socket_dir");
    }
    if (o->admin_port != 0 && o->admin_port == o->listen_port) {
        report(arg, "admin_port", "admin_port is listen_port too; choose another, or 0 for none");
    }
}

static void check_authentication(const struct options *o, option_problem_fn *report, void *arg)
{
    if (option_is(o, "auth_type", "hba") && *o->auth_hba_file == '\0') {
        report(arg, "auth_type", "auth_type hba needs a file; write auth_hba_file");
    }
    if (option_is(o, "auth_type", "cert") && !option_is(o, "client_tls_sslmode", "verify-full") &&
        !option_is(o, "client_tls_sslmode", "verify-ca")) {
        report(arg, "auth_type", "auth_type cert needs verified certificates; write client_tls_sslmode = verify-full");
    }
}

static void check_tls(const struct options *o, option_problem_fn *report, void *arg)
{
    if (!option_is(o, "client_tls_sslmode", "disable") &&
        (*o->client_tls_key_file == '\0' || *o->client_tls_cert_file == '\0')) {
        report(arg, "client_tls_sslmode",
               "TLS with clients needs a key and a certificate; write client_tls_key_file and client_tls_cert_file");
    }
    if ((*o->server_tls_key_file == '\0') != (*o->server_tls_cert_file == '\0')) {
        report(arg, *o->server_tls_key_file == '\0' ? "server_tls_cert_file" : "server_tls_key_file",
               "a key and a certificate go together; write server_tls_key_file and server_tls_cert_file");
    }
}

void options_check(const struct options *o, option_problem_fn *report, void *arg)
{
    check_listening(o, report, arg);
    check_authentication(o, report, arg);
    check_tls(o, report, arg);
}

static void database_warn(const struct config *c, const struct config_database *d)
{
    int size = d->pool_size == UNSET_INT ? c->opt.default_pool_size : d->pool_size;
    int least = d->min_pool_size == UNSET_INT ? c->opt.min_pool_size : d->min_pool_size;

    if (size != 0 && least > size) {
        log_warn("%s:%d: database \"%s\": min_pool_size %d is more than its pool size %d, which counts", d->file,
                 d->line, d->name, least, size);
    }
    if (d->host_count > 1 && *c->opt.monitor_user == '\0') {
        log_warn(
            "%s:%d: database \"%s\" has several hosts, but monitor_user is not set: its primary is found by trying "
            "them, and nothing is read from replicas",
            d->file, d->line, d->name);
    }
    if (option_is(&c->opt, "auth_type", "any") && d->user == NULL) {
        log_warn("%s:%d: database \"%s\": with auth_type any a database needs user=", d->file, d->line, d->name);
    }
}

void config_warn(const struct config *c)
{
    for (size_t i = 0; i < c->database_count; i++) {
        database_warn(c, c->databases[i]);
    }
    if (c->fallback != NULL) {
        database_warn(c, c->fallback);
    }
    if (c->database_count == 0 && c->fallback == NULL) {
        log_warn("%s: no database is configured; only the admin console can be used", c->file);
    }
}
