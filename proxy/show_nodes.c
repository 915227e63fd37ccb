/*
 * show_nodes.c: NODES: one row for each host of each database's line, with what control has heard of it.
 * Thread: control.
 */
#include "parser/msgout.h"
#include "proxy/control.h"
#include "proxy/monitor.h"
#include "proxy/show.h"

static void put_number(struct buf *b, bool known, int64_t number)
{
    if (known)
        msg_row_int(b, number);
    else
        msg_row_text(b, NULL);
}

/* How far a replica is behind, and as of which sample it is fresh. A primary is always as of the newest. */
static void put_freshness(struct buf *b, const struct cluster *c, int i)
{
    const struct node *n = &c->nodes[i];
    enum node_role role = cluster_role(c, i);
    const struct sample *newest = c->sample_count == 0 ? NULL : &c->samples[c->sample_count - 1];
    int64_t now = clock_now(), age = node_age(n, now);
    bool behind = newest != NULL && n->replayed != newest->number;

    if (role == ROLE_PRIMARY && newest != NULL) {
        msg_row_int(b, 0);
        msg_row_int(b, 0);
        msg_row_int(b, (int64_t)newest->number);
        msg_row_int(b, (now - newest->at) / USEC_PER_MSEC);
        return;
    }
    put_number(b, role == ROLE_REPLICA && newest != NULL, (int64_t)cluster_lag_bytes(c, i));
    put_number(b, role == ROLE_REPLICA && age >= 0, behind ? age / USEC_PER_MSEC : 0);
    put_number(b, n->replayed != 0, (int64_t)n->replayed);
    put_number(b, age >= 0, age / USEC_PER_MSEC);
}

static void node_row(struct show *s, const char *database, const struct cluster *c, int i)
{
    const struct node *n = &c->nodes[i];
    struct buf *b = &s->out;
    size_t mark = show_row(b, s);
    bool banned = __atomic_load_n(&n->banned_until, __ATOMIC_RELAXED) > clock_now();

    msg_row_text(b, database);
    msg_row_text(b, n->host);
    msg_row_int(b, n->port);
    msg_row_text(b, node_role_name(cluster_role(c, i)));
    msg_row_text(b, banned ? "banned" : monitor_state(c, i));
    put_number(b, n->said.timeline != 0, n->said.timeline);
    put_freshness(b, c, i);
    msg_row_int(b, __atomic_load_n(&n->connections, __ATOMIC_RELAXED));
    msg_row_int(b, __atomic_load_n(&n->in_flight, __ATOMIC_RELAXED));
    msg_row_int(b, (int64_t)__atomic_load_n(&n->errors, __ATOMIC_RELAXED));
    msg_row_int(b, (int64_t)__atomic_load_n(&n->bans, __ATOMIC_RELAXED));
    msg_row_text(b, n->error);
    msg_end(b, mark);
}

static void database_nodes(struct show *s, const struct config_database *d)
{
    const struct cluster *c = d == NULL ? NULL : cluster_get(d->hosts, d->host_count);

    for (int i = 0; c != NULL && i < c->node_count; i++)
        node_row(s, d->name, c, i);
}

void show_print_nodes(struct show *s)
{
    const struct config *c = control_config();

    for (size_t i = 0; i < c->database_count; i++)
        database_nodes(s, c->databases[i]);
    database_nodes(s, c->fallback);
}
