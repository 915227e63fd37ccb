/*
 * cluster.h: what is known of the nodes of a database: which is the primary, which are replicas, and how far each
 * replica has come. A cluster is a list of hosts as a line of [databases] has it; equal lists share one object. None is
 * ever freed while threads run.
 *
 * Freshness has no clock. Samples are numbered over the whole process; a number is taken *before* the primary is asked
 * for its position. So whatever the primary answered before a session loaded the number N (its horizon) is in the data
 * of a replica that has replayed a sample with a number greater than N.
 *
 *   control   number++ ──> primary: position ──> replica: replayed up to? ──> node.replayed = number
 *   session   recv(primary's answer), horizon = cluster_sample_now() ...... read where node.replayed > horizon
 *
 * Thread: control stores; any loads (atomics). What says "any" may be called anywhere.
 */
#ifndef SLUICE_CLUSTER_H
#define SLUICE_CLUSTER_H

#include "conf/options.h"

#define CLUSTER_NONE (-1) /* there is no primary now */
#define CLUSTER_TRY (-2)  /* nobody knows: it is found by trying the hosts */

enum node_role {
    ROLE_UNKNOWN,
    ROLE_PRIMARY,
    ROLE_REPLICA,
    ROLE_DOWN,
    ROLE_FENCED /* not to be used: a primary that must get no writes, or of another system */
};

/* What a node has said of itself last. */
enum node_answer {
    ANSWER_NOT_YET,
    ANSWER_DOWN,    /* nobody answers there */
    ANSWER_REFUSED, /* somebody does, but does not let us ask */
    ANSWER_STANDBY,
    ANSWER_PRIMARY
};

struct node_report {
    enum node_answer answer;
    uint32_t timeline;      /* of a standby: that it receives, or 0; then position does not count */
    uint32_t timeline_seen; /* a lower bound of its timeline, that it knew when it was connected to */
    uint64_t system_identifier;
    uint64_t position; /* bytes of WAL: of a primary where it inserts, of a standby what it has replayed */
    uint64_t settled;  /* of a standby: all transactions below this number have ended there; 0: not known */
};

struct node {
    char *host; /* owned */
    int port;
    /* atomics, stored by control: */
    int role;          /* enum node_role */
    uint64_t replayed; /* number of the newest sample that it has replayed; 0: none */
    int64_t fresh_at;  /* when that sample was taken; 0: none */
    /* atomics, stored by any: */
    int in_flight;        /* servers of it that work for a client */
    int connections;      /* servers of it that are logged in */
    int64_t banned_until; /* not read from before this time */
    uint64_t bans, errors;
    /* control's own: */
    struct node_report said;
    char error[256]; /* of the last failure; "" */
};

/* What the primary has answered, oldest first. What it had flushed is enough for whom all transactions have ended that
 * had ended there: what comes behind that nobody has committed, and on a quiet primary it may be flushed much later. */
struct sample {
    uint64_t number;
    uint64_t inserted, flushed;
    uint64_t begun; /* above the number of every transaction that had ended there; 0: not known */
    int64_t at;
};

#define SAMPLES_MAX 256

struct cluster {
    struct cluster *next;
    int node_count;
    /* atomics, stored by control: */
    int watched;              /* bool: control asks the nodes */
    int primary;              /* index, or CLUSTER_NONE; counts only while watched */
    int trying;               /* bool: while there is none, the hosts whose role is unknown may be tried */
    int64_t sampled_at;       /* when the newest sample was asked for; 0: never */
    uint64_t epoch;           /* changes when the primary goes: servers that were opened before are outdated */
    int64_t no_primary_since; /* 0: there is one */
    /* any: */
    int wanted;   /* bool: a read waits for the next sample to be replayed */
    int reported; /* bool: control has been told of trouble, and has not asked since */
    /* control's own: */
    uint32_t timeline;          /* the highest that was ever seen */
    uint64_t system_identifier; /* 0: not known yet */
    struct sample samples[SAMPLES_MAX];
    int sample_count;
    struct node nodes[];
};

/* --- finding them: any --- */

/* Finds or makes the cluster of these hosts (copied). NULL for none. */
struct cluster *cluster_get(const struct config_host *hosts, size_t count);
/* All of them; the list only grows. */
struct cluster *clusters_all(void);
void clusters_free(void);
/* The index of a host, or -1. */
int cluster_node_find(const struct cluster *c, const char *host, int port);
const char *node_role_name(enum node_role role);

/* --- what workers ask: any, without a lock --- */

/* The number to be noted as a session's horizon. Load it after the recv that brought the primary's answer. */
uint64_t cluster_sample_now(void);
/* The primary's index, CLUSTER_NONE or CLUSTER_TRY. */
static inline int cluster_primary(const struct cluster *c)
{
    if (c == NULL || !__atomic_load_n(&c->watched, __ATOMIC_ACQUIRE))
        return CLUSTER_TRY;
    int primary = __atomic_load_n(&c->primary, __ATOMIC_SEQ_CST);
    return primary == CLUSTER_NONE && __atomic_load_n(&c->trying, __ATOMIC_RELAXED) ? CLUSTER_TRY : primary;
}
static inline uint64_t cluster_epoch(const struct cluster *c)
{
    return c == NULL ? 0 : __atomic_load_n(&c->epoch, __ATOMIC_SEQ_CST);
}
static inline enum node_role cluster_role(const struct cluster *c, int node)
{
    return (enum node_role)__atomic_load_n(&c->nodes[node].role, __ATOMIC_RELAXED);
}
static inline bool cluster_watched(const struct cluster *c)
{
    return c != NULL && __atomic_load_n(&c->watched, __ATOMIC_ACQUIRE);
}
/* While the primary is found by trying: is this node worth a try? */
bool cluster_may_be_primary(const struct cluster *c, int node);

struct choice_rules {
    const int *weights; /* one a node; NULL: all are equal */
    enum replica_balance balance;
    bool any_age;       /* reads what it gets: neither horizon nor last answer count */
    int64_t max_lag_us; /* 0: no limit */
    int64_t now;
    uint32_t ticket; /* another number for each choice: who is next in turn, or what is random */
};

/* The node that a read goes to: a replica that is up, not banned, within max_lag_us, and has replayed a sample with a
 * number greater than horizon and, if it is not last_node (-1: none), than last_answer. -1: there is none. */
int cluster_choose_replica(const struct cluster *c, uint64_t horizon, uint64_t last_answer, int last_node,
                           const struct choice_rules *rules);
/* A node gave trouble to a worker: it is not chosen for a while. */
void cluster_ban(struct cluster *c, int node, int64_t now);
/* A worker has met trouble: control is to ask at once. */
void cluster_report(struct cluster *c);
/* told is called, in whatever thread, by the first report since control asked. */
void cluster_on_report(void (*told)(struct cluster *c));

/* --- what control does --- */

/* From now on control asks the nodes (there is no primary until all have been heard), or does not any more. */
void cluster_watch(struct cluster *c, bool on, int64_t now);
/* Takes what the nodes have said; sets their roles. Returns the index of the one primary there should be, or
 * CLUSTER_NONE. */
int cluster_judge(struct cluster *c);
/* Publishes it. The caller sees to it that servers of another one are gone before. */
void cluster_set_primary(struct cluster *c, int node, int64_t now);
/* A new sample's number: taken before the primary is asked. */
uint64_t cluster_sample_begin(void);
/* The primary's answer to a sample (copied). */
void cluster_sample_add(struct cluster *c, const struct sample *s);
/* A standby's report: which samples has it replayed? */
void cluster_replayed(struct cluster *c, int node);
/* The primary is not the one that the samples are of. */
void cluster_samples_void(struct cluster *c);
/* A node is not the one that it was (it has been started anew): what it had replayed does not count. */
void cluster_node_void(struct cluster *c, int node);
/* Bytes that a standby is behind the primary's newest sample. */
uint64_t cluster_lag_bytes(const struct cluster *c, int node);
/* Age of its data in microseconds; -1 unknown. Any. */
int64_t node_age(const struct node *n, int64_t now);
/* A position as the end of what is before it: just past the header of a page or segment there is nothing yet that could
 * be replayed. block and segment in bytes. */
uint64_t wal_end(uint64_t position, uint64_t block, uint64_t segment);

#endif
