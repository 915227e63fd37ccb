/*
 * cluster.c: see cluster.h. Pure logic on what the nodes have said; who asks them is proxy/monitor.c.
 *
 * Invariants:
 * 1. At most one node of a cluster is published as its primary, and only one whose timeline is the highest that was
 *    ever seen. Of two that claim the same timeline none is.
 * 2. Samples are in the order of their numbers, and their positions never go back; when they would, all are void.
 * 3. node.replayed is the number of a sample whose position the node has replayed, or whose transactions have all ended
 *    there, on the timeline of the primary that the sample is of. It may be too low, never too high.
 * Source: PostgreSQL, xlog.c (XLogBytePosToRecPtr: an insert position is behind a page's header, a replayed one before
 * it); xlog_internal.h (SizeOfXLogShortPHD, SizeOfXLogLongPHD).
 * Thread: control; those of the first two parts of cluster.h: any.
 */
#include "pool/cluster.h"

#include "conf/clock.h"

#include <pthread.h>
#include <stdio.h>

#define PAGE_HEADER 24    /* bytes, of a page of WAL */
#define SEGMENT_HEADER 40 /* ... of the first one of a segment */
#define BAN_USEC USEC_PER_SEC

static struct {
    pthread_mutex_t lock;
    struct cluster *all; /* atomic head: only pushed to */
    uint64_t sample;     /* atomic: the number of the newest */
    void (*told)(struct cluster *c);
} clusters = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* --- finding them --- */

static bool same_hosts(const struct cluster *c, const struct config_host *hosts, size_t count)
{
    if ((size_t)c->node_count != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (c->nodes[i].port != hosts[i].port || strcmp(c->nodes[i].host, hosts[i].host) != 0)
            return false;
    return true;
}

static struct cluster *cluster_new(const struct config_host *hosts, size_t count)
{
    struct cluster *c = mem_zalloc(sizeof *c + count * sizeof c->nodes[0]);

    c->node_count = (int)count;
    c->primary = CLUSTER_NONE;
    for (size_t i = 0; i < count; i++) {
        c->nodes[i].host = mem_strdup(hosts[i].host);
        c->nodes[i].port = hosts[i].port;
    }
    return c;
}

struct cluster *cluster_get(const struct config_host *hosts, size_t count)
{
    if (count == 0)
        return NULL;
    pthread_mutex_lock(&clusters.lock);
    struct cluster *c = clusters.all;
    while (c != NULL && !same_hosts(c, hosts, count))
        c = c->next;
    if (c == NULL) {
        c = cluster_new(hosts, count);
        c->next = clusters.all;
        __atomic_store_n(&clusters.all, c, __ATOMIC_RELEASE);
    }
    pthread_mutex_unlock(&clusters.lock);
    return c;
}

struct cluster *clusters_all(void)
{
    return __atomic_load_n(&clusters.all, __ATOMIC_ACQUIRE);
}

void clusters_free(void)
{
    while (clusters.all != NULL) {
        struct cluster *c = clusters.all;
        clusters.all = c->next;
        for (int i = 0; i < c->node_count; i++)
            free(c->nodes[i].host);
        free(c);
    }
    clusters.told = NULL;
}

int cluster_node_find(const struct cluster *c, const char *host, int port)
{
    for (int i = 0; c != NULL && i < c->node_count; i++)
        if (c->nodes[i].port == port && strcmp(c->nodes[i].host, host) == 0)
            return i;
    return -1;
}

const char *node_role_name(enum node_role role)
{
    static const char *const names[] = {"unknown", "primary", "replica", "down", "fenced"};

    return names[role];
}

/* --- what workers ask --- */

uint64_t cluster_sample_now(void)
{
    return __atomic_load_n(&clusters.sample, __ATOMIC_SEQ_CST);
}

bool cluster_may_be_primary(const struct cluster *c, int node)
{
    return !cluster_watched(c) || node >= c->node_count || cluster_role(c, node) == ROLE_UNKNOWN;
}

int64_t node_age(const struct node *n, int64_t now)
{
    int64_t at = __atomic_load_n(&n->fresh_at, __ATOMIC_RELAXED);

    return at == 0 ? -1 : MAX(now - at, 0);
}

static int weight_of(const struct choice_rules *r, int node)
{
    return r->weights == NULL ? 1 : r->weights[node];
}

static bool is_young(const struct node *n, const struct choice_rules *r)
{
    int64_t age = node_age(n, r->now);

    return r->max_lag_us == 0 || (age >= 0 && age <= r->max_lag_us);
}

static bool is_eligible(const struct cluster *c, int i, uint64_t horizon, uint64_t last_answer, int last_node,
                        const struct choice_rules *r)
{
    const struct node *n = &c->nodes[i];
    uint64_t replayed = __atomic_load_n(&n->replayed, __ATOMIC_ACQUIRE);

    if (cluster_role(c, i) != ROLE_REPLICA || weight_of(r, i) == 0 || !is_young(n, r) ||
        __atomic_load_n(&n->banned_until, __ATOMIC_RELAXED) > r->now)
        return false;
    return r->any_age || (replayed > horizon && (i == last_node || replayed > last_answer));
}

/* Work for its weight: a carries less than b if it would still do so with one statement more. */
static bool is_lighter(const struct cluster *c, int a, int b, const struct choice_rules *r)
{
    int64_t load_a = __atomic_load_n(&c->nodes[a].in_flight, __ATOMIC_RELAXED) + 1;
    int64_t load_b = __atomic_load_n(&c->nodes[b].in_flight, __ATOMIC_RELAXED) + 1;

    return load_a * weight_of(r, b) < load_b * weight_of(r, a);
}

static uint32_t scatter(uint32_t x)
{
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    return x ^ (x >> 16);
}

int cluster_choose_replica(const struct cluster *c, uint64_t horizon, uint64_t last_answer, int last_node,
                           const struct choice_rules *rules)
{
    uint32_t total = 0, at;
    int best = -1;

    if (c == NULL)
        return -1;
    for (int k = 0; k < c->node_count; k++) { /* among equals, another comes first each time */
        int i = (int)((rules->ticket + (uint32_t)k) % (uint32_t)c->node_count);
        if (!is_eligible(c, i, horizon, last_answer, last_node, rules))
            continue;
        total += (uint32_t)weight_of(rules, i);
        if (best < 0 || is_lighter(c, i, best, rules))
            best = i;
    }
    if (best < 0 || rules->balance == BALANCE_LEAST)
        return best;
    at = (rules->balance == BALANCE_RANDOM ? scatter(rules->ticket) : rules->ticket) % total;
    for (int i = 0; i < c->node_count; i++) {
        if (!is_eligible(c, i, horizon, last_answer, last_node, rules))
            continue;
        if (at < (uint32_t)weight_of(rules, i))
            return i;
        at -= (uint32_t)weight_of(rules, i);
    }
    return best; /* who was eligible has changed meanwhile */
}

void cluster_ban(struct cluster *c, int node, int64_t now)
{
    __atomic_store_n(&c->nodes[node].banned_until, now + BAN_USEC, __ATOMIC_RELAXED);
    __atomic_add_fetch(&c->nodes[node].bans, 1, __ATOMIC_RELAXED);
}

void cluster_on_report(void (*told)(struct cluster *c))
{
    clusters.told = told;
}

void cluster_report(struct cluster *c)
{
    if (cluster_watched(c) && clusters.told != NULL && !__atomic_exchange_n(&c->reported, 1, __ATOMIC_ACQ_REL))
        clusters.told(c);
}

/* --- roles --- */

void cluster_watch(struct cluster *c, bool on, int64_t now)
{
    if (__atomic_load_n(&c->watched, __ATOMIC_RELAXED) == on)
        return;
    for (int i = 0; i < c->node_count; i++) {
        c->nodes[i].said = (struct node_report){.answer = ANSWER_NOT_YET};
        __atomic_store_n(&c->nodes[i].role, ROLE_UNKNOWN, __ATOMIC_RELAXED);
    }
    cluster_samples_void(c);
    __atomic_store_n(&c->primary, CLUSTER_NONE, __ATOMIC_SEQ_CST);
    __atomic_store_n(&c->trying, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&c->no_primary_since, now, __ATOMIC_RELAXED);
    __atomic_add_fetch(&c->epoch, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&c->watched, on, __ATOMIC_RELEASE);
}

static void set_role(struct node *n, enum node_role role)
{
    __atomic_store_n(&n->role, role, __ATOMIC_RELAXED);
}

static bool is_heard(const struct node *n)
{
    return n->said.answer == ANSWER_PRIMARY || n->said.answer == ANSWER_STANDBY;
}

/* The nodes are of more than one system, and which one is meant was never seen. */
static bool is_mixed(const struct cluster *c)
{
    uint64_t first = 0;

    for (int i = 0; i < c->node_count; i++) {
        if (is_heard(&c->nodes[i]) && first == 0)
            first = c->nodes[i].said.system_identifier;
        if (is_heard(&c->nodes[i]) && c->nodes[i].said.system_identifier != first)
            return true;
    }
    return false;
}

/* What it is by its own words alone. */
static enum node_role role_of(const struct cluster *c, const struct node *n)
{
    bool stranger = c->system_identifier != 0 ? n->said.system_identifier != c->system_identifier : is_mixed(c);

    switch (n->said.answer) {
    case ANSWER_NOT_YET:
    case ANSWER_REFUSED:
        break;
    case ANSWER_DOWN:
        return ROLE_DOWN;
    case ANSWER_STANDBY:
        return stranger ? ROLE_FENCED : ROLE_REPLICA;
    case ANSWER_PRIMARY:
        return stranger || n->said.timeline < c->timeline ? ROLE_FENCED : ROLE_PRIMARY;
    }
    return ROLE_UNKNOWN;
}

static void note_timelines(struct cluster *c)
{
    for (int i = 0; i < c->node_count; i++) {
        const struct node_report *r = &c->nodes[i].said;
        bool ours = c->system_identifier == 0 ? !is_mixed(c) : r->system_identifier == c->system_identifier;
        if (is_heard(&c->nodes[i]) && ours)
            c->timeline = MAX(c->timeline, MAX(r->timeline, r->timeline_seen));
    }
}

int cluster_judge(struct cluster *c)
{
    int found = CLUSTER_NONE, claims = 0;
    bool all_heard = true, some_refuse = false;

    note_timelines(c);
    for (int i = 0; i < c->node_count; i++) {
        enum node_role role = role_of(c, &c->nodes[i]);
        all_heard &= c->nodes[i].said.answer != ANSWER_NOT_YET;
        some_refuse |= c->nodes[i].said.answer == ANSWER_REFUSED;
        if (role == ROLE_PRIMARY) {
            found = i;
            claims++;
        } else {
            set_role(&c->nodes[i], role);
        }
    }
    for (int i = 0; i < c->node_count; i++)
        if (role_of(c, &c->nodes[i]) == ROLE_PRIMARY)
            set_role(&c->nodes[i], claims == 1 ? ROLE_PRIMARY : ROLE_FENCED);
    __atomic_store_n(&c->trying, all_heard && claims == 0 && some_refuse, __ATOMIC_RELAXED);
    if (!all_heard || claims != 1)
        return CLUSTER_NONE;
    c->system_identifier = c->nodes[found].said.system_identifier;
    return found;
}

void cluster_set_primary(struct cluster *c, int node, int64_t now)
{
    if (node == CLUSTER_NONE)
        __atomic_store_n(&c->no_primary_since, now, __ATOMIC_RELAXED);
    __atomic_store_n(&c->primary, node, __ATOMIC_SEQ_CST);
    if (node == CLUSTER_NONE)
        __atomic_add_fetch(&c->epoch, 1, __ATOMIC_SEQ_CST);
    else
        __atomic_store_n(&c->no_primary_since, 0, __ATOMIC_RELAXED);
}

/* --- samples --- */

uint64_t cluster_sample_begin(void)
{
    return __atomic_add_fetch(&clusters.sample, 1, __ATOMIC_SEQ_CST);
}

uint64_t wal_end(uint64_t position, uint64_t block, uint64_t segment)
{
    if (segment > 0 && position % segment == SEGMENT_HEADER)
        return position - SEGMENT_HEADER;
    if (block > 0 && position % block == PAGE_HEADER && (segment == 0 || position % segment != PAGE_HEADER))
        return position - PAGE_HEADER;
    return position;
}

void cluster_node_void(struct cluster *c, int node)
{
    struct node *n = &c->nodes[node];

    __atomic_store_n(&n->replayed, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&n->fresh_at, 0, __ATOMIC_RELAXED);
}

void cluster_samples_void(struct cluster *c)
{
    c->sample_count = 0;
    for (int i = 0; i < c->node_count; i++)
        cluster_node_void(c, i);
}

/* Every second one of the older half goes: what is old need not be known so exactly. */
static void samples_thin(struct cluster *c)
{
    int kept = 0;

    for (int i = 0; i < c->sample_count; i++)
        if (i >= SAMPLES_MAX / 2 || i % 2 == 1)
            c->samples[kept++] = c->samples[i];
    c->sample_count = kept;
}

void cluster_sample_add(struct cluster *c, const struct sample *s)
{
    struct sample *last = c->sample_count == 0 ? NULL : &c->samples[c->sample_count - 1];

    if (last != NULL && (s->inserted < last->inserted || s->flushed < last->flushed)) {
        cluster_samples_void(c);
        last = NULL;
    }
    if (last == NULL || s->inserted != last->inserted || s->flushed != last->flushed) {
        if (c->sample_count == SAMPLES_MAX)
            samples_thin(c);
        last = &c->samples[c->sample_count++];
    }
    *last = *s;
}

/* All that was seen there can be seen here: by the WAL; or by the transactions, where what may be missing has not been
 * committed. What a replica shows has been flushed before, even if the primary did not show it yet. */
static bool has_replayed(const struct node_report *r, const struct sample *s)
{
    return s->inserted <= r->position || (s->flushed <= r->position && s->begun > 0 && s->begun <= r->settled);
}

void cluster_replayed(struct cluster *c, int node)
{
    struct node *n = &c->nodes[node];
    int primary = __atomic_load_n(&c->primary, __ATOMIC_RELAXED);
    const struct sample *newest = NULL;

    if (primary < 0 || n->said.timeline != c->nodes[primary].said.timeline ||
        n->said.system_identifier != c->nodes[primary].said.system_identifier)
        return;
    for (int i = 0; i < c->sample_count; i++)
        newest = has_replayed(&n->said, &c->samples[i]) ? &c->samples[i] : newest;
    /* Samples are thinned: a newer one than is still there may have been found before, and still counts. */
    if (newest != NULL && newest->number > n->replayed) {
        __atomic_store_n(&n->fresh_at, newest->at, __ATOMIC_RELAXED);
        __atomic_store_n(&n->replayed, newest->number, __ATOMIC_RELEASE);
    }
}

uint64_t cluster_lag_bytes(const struct cluster *c, int node)
{
    const struct node *n = &c->nodes[node];
    uint64_t newest = c->sample_count == 0 ? 0 : c->samples[c->sample_count - 1].inserted;

    return newest > n->said.position ? newest - n->said.position : 0;
}
