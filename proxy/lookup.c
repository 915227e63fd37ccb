/*
 * lookup.c: secrets by auth_query.
 *
 *   control_lookup ──> lookup (database, user) ──> channel (auth database, auth_user) ──> probe ──> PostgreSQL
 *     any thread        equal ones are joined       one question at a time               libpq
 *
 * Invariants: a lookup is in lookups for its whole life; while it is not known it is also in its channel's queue, or is
 * the one that was asked. Every asker is answered exactly once: by a secret, by "no such user", or by an error. Errors
 * are not kept. The number of kept answers is bounded.
 * Thread: control, but for the two functions of control.h.
 */
#include "proxy/lookup.h"

#include "pool/probe.h"
#include "proxy/control.h"

#include <stdio.h>

#define KEEP_FOUND_USEC (30 * USEC_PER_SEC)
#define KEEP_MISSING_USEC (5 * USEC_PER_SEC)
#define FORGET_AFTER_USEC                                                                                              \
    USEC_PER_SEC /* younger answers are not asked for again: wrong passwords must not cost a query each */
#define QUERY_USEC (5 * USEC_PER_SEC)
#define QUERY_GRACE_USEC USEC_PER_SEC /* the server's own statement_timeout comes first, and spares the connection */
#define IDLE_USEC (60 * USEC_PER_SEC)
#define KEPT_MAX 10000

struct asker {
    struct asker *next;
    int worker;
    uint64_t client_id;
};

struct lookup {
    struct list node;       /* in lookups */
    struct list queue_node; /* in its channel's queue, or in none */
    char *database;
    char *user;
    bool known;
    bool retried; /* asked again after an idle connection turned out dead */
    char *secret; /* owned, NULL: no such user; "": one that has none */
    usec_t known_at;
    usec_t expires;
    struct asker *askers;
};

/* A connection, and who waits for it. */
struct channel {
    struct list node;
    char *database; /* the entry of [databases] whose server is asked */
    char *auth_user;
    struct probe *probe; /* NULL: not connected */
    struct watch *watch;
    struct list queue; /* struct lookup */
    struct lookup *asked;
    usec_t deadline;
    size_t hosts_tried;
    int addresses_tried; /* of the name of the host that is tried now */
    bool ready;          /* the probe has been connected */
    bool resolving;      /* waits for a host name */
    bool stale;          /* of an old configuration: closed when it has nothing to do */
};

static struct list lookups = {&lookups, &lookups};
static struct list channels = {&channels, &channels};
static size_t lookup_count;

static void channel_go(struct channel *ch);

/* --- answers to workers --- */

struct secret_message {
    struct message m;
    uint64_t client_id;
    char *secret; /* owned, may be NULL */
    char *error;  /* owned, may be NULL */
};

static void wipe(char *text)
{
    if (text == NULL)
        return;
    explicit_bzero(text, strlen(text));
    free(text);
}

static void secret_arrives(void *receiver, struct message *m)
{
    struct secret_message *sm = CONTAINER_OF(m, struct secret_message, m);
    struct client *c = worker_client(receiver, sm->client_id);

    if (c != NULL)
        login_secret(c, sm->secret, sm->error);
    wipe(sm->secret);
    free(sm->error);
    free(sm);
}

static void tell_asker(int worker, uint64_t client_id, const char *secret, const char *error)
{
    struct secret_message *sm = mem_zalloc(sizeof *sm);

    sm->m.run = secret_arrives;
    sm->client_id = client_id;
    sm->secret = secret == NULL ? NULL : mem_strdup(secret);
    sm->error = error == NULL ? NULL : mem_strdup(error);
    worker_post(worker, &sm->m);
}

static void tell_all(struct lookup *l, const char *error)
{
    while (l->askers != NULL) {
        struct asker *a = l->askers;
        l->askers = a->next;
        tell_asker(a->worker, a->client_id, l->secret, error);
        free(a);
    }
}

/* --- lookups --- */

static struct lookup *lookup_find(const char *database, const char *user)
{
    LIST_FOR_EACH (it, &lookups) {
        struct lookup *l = LIST_ENTRY(it, struct lookup, node);
        if (strcmp(l->user, user) == 0 && strcmp(l->database, database) == 0)
            return l;
    }
    return NULL;
}

static void lookup_drop(struct lookup *l)
{
    list_del(&l->node);
    list_del(&l->queue_node);
    lookup_count--;
    while (l->askers != NULL) {
        struct asker *a = l->askers;
        l->askers = a->next;
        free(a);
    }
    wipe(l->secret);
    free(l->database);
    free(l->user);
    free(l);
}

static void lookup_fail(struct lookup *l, const char *error)
{
    tell_all(l, error); /* each login logs it */
    lookup_drop(l);
}

static void lookup_know(struct lookup *l, const char *secret)
{
    bool found = secret != NULL && *secret != '\0';

    l->known = true;
    l->known_at = clock_now();
    l->expires = l->known_at + (found ? KEEP_FOUND_USEC : KEEP_MISSING_USEC);
    l->secret = secret == NULL ? NULL : mem_strdup(secret);
    tell_all(l, NULL);
    if (lookup_count > KEPT_MAX)
        lookup_drop(l);
}

/* What the query's rows say. */
static void lookup_judge(struct lookup *l, const struct probe *p)
{
    if (probe_columns(p) < 1) {
        lookup_fail(l, "the query has no columns; it must give the user's name and secret");
    } else if (probe_rows(p) == 0) {
        lookup_know(l, NULL);
    } else if (probe_rows(p) > 1) {
        lookup_fail(l, "the query gives more than one row");
    } else if (probe_value(p, 0, 0) == NULL) { /* a function with OUT parameters always gives a row */
        lookup_know(l, NULL);
    } else if (strcmp(probe_value(p, 0, 0), l->user) != 0) {
        lookup_fail(l, "the query gives another user's name in its first column");
    } else {
        const char *secret = probe_columns(p) < 2 ? NULL : probe_value(p, 0, 1);
        lookup_know(l, secret == NULL ? "" : secret);
    }
}

/* --- whom to ask --- */

struct source {
    const struct config_database *client; /* the client's database */
    const struct config_database *asked;  /* where the query runs */
    const char *asked_name;
    const char *auth_user;
    const char *query;
};

static const struct config_database *database_config(const char *name)
{
    const struct config *c = control_config();
    const struct config_database *d = config_database_find(c, name);

    return d != NULL ? d : c->fallback;
}

static const char *first_of(const char *a, const char *b)
{
    return a != NULL && *a != '\0' ? a : b;
}

/* NULL, or why nobody can be asked. */
static const char *source_find(const char *database, struct source *s)
{
    const struct options *o = &control_config()->opt;

    s->client = database_config(database);
    s->auth_user = first_of(s->client == NULL ? NULL : s->client->auth_user, o->auth_user);
    s->query = first_of(s->client == NULL ? NULL : s->client->auth_query, o->auth_query);
    s->asked_name = first_of(s->client == NULL ? NULL : s->client->auth_dbname, first_of(o->auth_dbname, database));
    s->asked = database_config(s->asked_name);
    if (*s->auth_user == '\0')
        return "auth_user is not set";
    if (s->asked == NULL)
        return "its database is not configured; set auth_dbname";
    return NULL;
}

/* --- channels --- */

static void channel_disconnect(struct channel *ch)
{
    control_watch_free(ch->watch); /* before the descriptor is closed */
    ch->watch = NULL;
    probe_close(ch->probe);
    ch->probe = NULL;
    ch->ready = false;
}

static void channel_free(struct channel *ch)
{
    channel_disconnect(ch);
    list_del(&ch->node);
    free(ch->database);
    free(ch->auth_user);
    free(ch);
}

static void channel_fail(struct channel *ch, const char *error)
{
    if (ch->asked != NULL)
        lookup_fail(ch->asked, error);
    ch->asked = NULL;
    while (!list_empty(&ch->queue))
        lookup_fail(LIST_FIRST(&ch->queue, struct lookup, queue_node), error);
    channel_free(ch);
}

static struct channel *channel_get(const char *database, const char *auth_user)
{
    LIST_FOR_EACH (it, &channels) {
        struct channel *ch = LIST_ENTRY(it, struct channel, node);
        if (!ch->stale && strcmp(ch->database, database) == 0 && strcmp(ch->auth_user, auth_user) == 0)
            return ch;
    }
    struct channel *ch = mem_zalloc(sizeof *ch);
    ch->database = mem_strdup(database);
    ch->auth_user = mem_strdup(auth_user);
    list_init(&ch->queue);
    list_push_back(&channels, &ch->node);
    return ch;
}

static void channel_woken(void *arg, bool timed_out)
{
    struct channel *ch = arg;

    if (!timed_out)
        channel_go(ch);
    else if (ch->ready && ch->asked == NULL)
        channel_free(ch); /* idle for long */
    else
        channel_fail(ch, ch->ready ? "no answer in time" : "could not connect in time");
}

static void channel_wait(struct channel *ch, bool to_write)
{
    usec_t left = ch->deadline - clock_now();

    if (ch->watch == NULL)
        ch->watch = control_watch_new(channel_woken, ch);
    control_watch(ch->watch, probe_fd(ch->probe), to_write, MAX(left, USEC_PER_MSEC));
}

/* NULL: none that libpq could use, which needs the password itself. */
static const char *auth_user_password(const struct config_database *d, const char *auth_user)
{
    const char *text = config_secret_find(control_config(), auth_user);
    struct secret secret = {0};

    if (d->password != NULL && d->user != NULL && strcmp(d->user, auth_user) == 0)
        text = d->password;
    secret_set(&secret, text);
    bool plain = secret.kind == SECRET_PLAIN;
    secret_free(&secret);
    return plain ? text : NULL;
}

static void channel_connect(struct channel *ch, const struct config_database *d, const struct config_host *h,
                            const struct address *a)
{
    const struct options *o = &control_config()->opt;
    struct probe_target t = {.host = h->host,
                             .address = a,
                             .port = h->port,
                             .dbname = d->dbname != NULL ? d->dbname : ch->database,
                             .user = ch->auth_user,
                             .password = auth_user_password(d, ch->auth_user),
                             .tls_mode = (enum tls_mode)o->server_tls_sslmode,
                             .ca_file = o->server_tls_ca_file,
                             .cert_file = o->server_tls_cert_file,
                             .key_file = o->server_tls_key_file,
                             .statement_timeout_ms = (int)(QUERY_USEC / USEC_PER_MSEC)};

    ch->probe = probe_open(&t);
    ch->deadline = clock_now() + MAX(o->server_connect_timeout, USEC_PER_SEC);
    channel_go(ch);
}

/* The next address of the host, the next host of the list, or failure when all were tried. Ends ch in that case. */
static void channel_open(struct channel *ch, const char *error)
{
    const struct config_database *d = database_config(ch->database);
    struct address address;
    char why[256];

    snprintf(why, sizeof why, "%s", error);
    while (d != NULL && ch->hosts_tried < d->host_count) {
        const struct config_host *h = &d->hosts[ch->hosts_tried];
        enum resolve_answer answer = resolve_host(h->host, h->port, ch->addresses_tried, &address, why, sizeof why);
        if (answer == RESOLVE_WAIT) {
            ch->resolving = true; /* the resolver always answers in the end */
            return;
        }
        ch->addresses_tried++;
        if (answer == RESOLVE_OK) {
            channel_connect(ch, d, h, &address);
            return;
        }
        ch->hosts_tried++;
        ch->addresses_tried = 0;
    }
    channel_fail(ch, d == NULL ? "its database is no longer configured" : why);
}

static void channel_broken(struct channel *ch)
{
    char error[256];
    bool was_ready = ch->ready;
    struct lookup *l = ch->asked;

    snprintf(error, sizeof error, "%s", probe_error(ch->probe));
    channel_disconnect(ch);
    ch->asked = NULL;
    if (was_ready && l == NULL && list_empty(&ch->queue)) {
        channel_free(ch);
        return;
    }
    if (l != NULL && l->retried) {
        lookup_fail(l, error);
    } else if (l != NULL) {
        l->retried = true; /* the connection may have died while it was idle */
        list_push_front(&ch->queue, &l->queue_node);
    }
    if (was_ready) {
        ch->hosts_tried = 0;
        ch->addresses_tried = 0;
    }
    if (list_empty(&ch->queue))
        channel_free(ch);
    else
        channel_open(ch, error);
}

/* Asks for the first in the queue; false if nobody waits. */
static bool channel_ask_next(struct channel *ch)
{
    struct source s;

    while (!list_empty(&ch->queue)) {
        struct lookup *l = LIST_FIRST(&ch->queue, struct lookup, queue_node);
        const char *why = source_find(l->database, &s);
        if (why != NULL) {
            lookup_fail(l, why);
            continue;
        }
        list_del(&l->queue_node);
        ch->asked = l;
        ch->deadline = clock_now() + QUERY_USEC + QUERY_GRACE_USEC;
        probe_ask(ch->probe, s.query, l->user);
        return true;
    }
    return false;
}

static void channel_rest(struct channel *ch)
{
    if (ch->stale) {
        channel_free(ch);
        return;
    }
    ch->deadline = clock_now() + IDLE_USEC;
    channel_wait(ch, false);
}

static void channel_go(struct channel *ch)
{
    for (;;) {
        enum probe_state state = probe_step(ch->probe);
        struct lookup *l = ch->asked;
        switch (state) {
        case PROBE_WANT_READ:
        case PROBE_WANT_WRITE:
            channel_wait(ch, state == PROBE_WANT_WRITE);
            return;
        case PROBE_BROKEN:
            channel_broken(ch);
            return;
        case PROBE_ANSWERED:
            ch->asked = NULL;
            lookup_judge(l, ch->probe);
            break;
        case PROBE_REFUSED:
            ch->asked = NULL;
            lookup_fail(l, probe_error(ch->probe));
            break;
        case PROBE_READY:
            ch->ready = true;
            ch->hosts_tried = 0;
            break;
        }
        if (!channel_ask_next(ch)) {
            channel_rest(ch);
            return;
        }
    }
}

/* --- questions --- */

struct question {
    struct message m;
    int worker;
    uint64_t client_id;
    char *user;  /* in text */
    char text[]; /* database, NUL, user, NUL */
};

static struct lookup *lookup_new(const char *database, const char *user)
{
    struct lookup *l = mem_zalloc(sizeof *l);

    l->database = mem_strdup(database);
    l->user = mem_strdup(user);
    list_init(&l->queue_node);
    list_push_front(&lookups, &l->node);
    lookup_count++;
    return l;
}

/* Sends a new lookup on its way. */
static void lookup_begin(struct lookup *l)
{
    struct source s;
    const char *why = source_find(l->database, &s);

    if (why != NULL) {
        lookup_fail(l, why);
        return;
    }
    struct channel *ch = channel_get(s.asked_name, s.auth_user);
    list_push_back(&ch->queue, &l->queue_node);
    if (ch->probe == NULL && !ch->resolving)
        channel_open(ch, "no host");
    else if (ch->ready && ch->asked == NULL)
        channel_go(ch); /* it rests */
}

static void question_arrives(void *receiver, struct message *m)
{
    struct question *q = CONTAINER_OF(m, struct question, m);
    struct lookup *l = lookup_find(q->text, q->user);

    (void)receiver;
    if (l != NULL && l->known && l->expires <= clock_now()) {
        lookup_drop(l);
        l = NULL;
    }
    if (l != NULL && l->known) {
        tell_asker(q->worker, q->client_id, l->secret, NULL);
    } else {
        struct asker *a = mem_alloc(sizeof *a);
        bool fresh = l == NULL;
        if (fresh)
            l = lookup_new(q->text, q->user);
        *a = (struct asker){.next = l->askers, .worker = q->worker, .client_id = q->client_id};
        l->askers = a;
        if (fresh)
            lookup_begin(l);
    }
    free(q);
}

static struct question *question_new(const char *database, const char *user)
{
    size_t database_size = strlen(database) + 1, user_size = strlen(user) + 1;
    struct question *q = mem_zalloc(sizeof *q + database_size + user_size);

    memcpy(q->text, database, database_size);
    q->user = q->text + database_size;
    memcpy(q->user, user, user_size);
    return q;
}

void control_lookup(int worker, uint64_t client_id, const char *database, const char *user)
{
    struct question *q = question_new(database, user);

    q->m.run = question_arrives;
    q->worker = worker;
    q->client_id = client_id;
    control_post(&q->m);
}

static void forget_arrives(void *receiver, struct message *m)
{
    struct question *q = CONTAINER_OF(m, struct question, m);
    struct lookup *l = lookup_find(q->text, q->user);

    (void)receiver;
    if (l != NULL && l->known && clock_now() - l->known_at > FORGET_AFTER_USEC)
        lookup_drop(l);
    free(q);
}

void control_forget_secret(const char *database, const char *user)
{
    struct question *q = question_new(database, user);

    q->m.run = forget_arrives;
    control_post(&q->m);
}

/* --- the whole of it --- */

static void forget_known(usec_t before)
{
    LIST_FOR_EACH_SAFE (it, &lookups) {
        struct lookup *l = LIST_ENTRY(it, struct lookup, node);
        if (l->known && l->expires <= before)
            lookup_drop(l);
    }
}

void lookup_resolved(void)
{
    LIST_FOR_EACH_SAFE (it, &channels) {
        struct channel *ch = LIST_ENTRY(it, struct channel, node);
        if (ch->resolving) {
            ch->resolving = false;
            channel_open(ch, "no host");
        }
    }
}

void lookup_tick(usec_t now)
{
    forget_known(now);
}

void lookup_reconfigure(void)
{
    forget_known(INT64_MAX);
    LIST_FOR_EACH_SAFE (it, &channels) {
        struct channel *ch = LIST_ENTRY(it, struct channel, node);
        ch->stale = true;
        if (ch->ready && ch->asked == NULL)
            channel_free(ch);
    }
}

void lookup_free(void)
{
    while (!list_empty(&channels)) {
        struct channel *ch = LIST_FIRST(&channels, struct channel, node);
        while (!list_empty(&ch->queue))
            lookup_drop(LIST_FIRST(&ch->queue, struct lookup, queue_node));
        if (ch->asked != NULL)
            lookup_drop(ch->asked);
        channel_free(ch);
    }
    while (!list_empty(&lookups))
        lookup_drop(LIST_FIRST(&lookups, struct lookup, node));
}
