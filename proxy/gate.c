/*
 * gate.c: see gate.h.
 * Invariants, under the mutex: readers and commits are never both above 0; who stands first in the line waits only for
 * those that are in.
 * Thread: worker.
 */
#include "proxy/gate.h"

#include "proxy/commit.h"
#include "proxy/coordinated.h"
#include "proxy/gather.h"
#include "proxy/joint.h"
#include "proxy/round.h"

struct gate_ticket {
    struct message message; /* to its worker, when it is let in */
    struct list node;
    struct database_state *db;
    int worker;
    uint64_t client_id;
    bool commits;
};

struct gate {
    pthread_mutex_t lock;
    struct list line; /* tickets, longest first */
    unsigned readers, commits;
    bool used; /* atomic */
};

static struct gate *gate_of(struct database_state *db)
{
    struct gate *g = __atomic_load_n(&db->gate, __ATOMIC_ACQUIRE), *none = NULL;

    if (g != NULL)
        return g;
    g = mem_zalloc(sizeof *g);
    pthread_mutex_init(&g->lock, NULL);
    list_init(&g->line);
    if (__atomic_compare_exchange_n(&db->gate, &none, g, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return g;
    gate_free(g);
    return none;
}

void gate_free(struct gate *g)
{
    if (g == NULL)
        return;
    LIST_FOR_EACH_SAFE (it, &g->line)
        free(LIST_ENTRY(it, struct gate_ticket, node));
    pthread_mutex_destroy(&g->lock);
    free(g);
}

bool gate_is_used(const struct database_state *db)
{
    const struct gate *g = __atomic_load_n(&db->gate, __ATOMIC_ACQUIRE);

    return g != NULL && __atomic_load_n(&g->used, __ATOMIC_RELAXED);
}

bool gate_is_waited_for(struct database_state *db)
{
    struct gate *g = gate_of(db);

    pthread_mutex_lock(&g->lock);
    bool waited_for = !list_empty(&g->line);
    pthread_mutex_unlock(&g->lock);
    return waited_for;
}

static bool may_enter(const struct gate *g, bool commits)
{
    return commits ? g->readers == 0 : g->commits == 0;
}

static void enter(struct gate *g, bool commits)
{
    if (commits)
        g->commits++;
    else
        g->readers++;
}

/* In its worker. Who has left in the meantime leaves here, too. */
static void admitted(void *receiver, struct message *m)
{
    struct gate_ticket *t = CONTAINER_OF(m, struct gate_ticket, message);
    struct client *c = worker_client(receiver, t->client_id);
    struct commit *commit = c == NULL || !t->commits ? NULL : round_owner(c->arm);

    if (t->commits && (commit == NULL || !commit_admitted(commit)))
        gate_commit_over(t->db);
    else if (!t->commits && (c == NULL || (!gather_admitted(c) && !coordinated_admitted(c) && !joint_admitted(c))))
        gate_read_over(t->db);
    free(t);
}

/* Lets in who may; the lock is held. */
static void serve(struct gate *g)
{
    while (!list_empty(&g->line)) {
        struct gate_ticket *t = LIST_FIRST(&g->line, struct gate_ticket, node);
        if (!may_enter(g, t->commits))
            break;
        list_del(&t->node);
        enter(g, t->commits);
        worker_post(t->worker, &t->message);
    }
}

/* Where it is not let in at once, ticket (NULL: none) stands in line. */
static bool ask(struct database_state *db, bool commits, struct gate_ticket *ticket)
{
    struct gate *g = gate_of(db);

    pthread_mutex_lock(&g->lock);
    bool in = list_empty(&g->line) && may_enter(g, commits);
    if (in)
        enter(g, commits);
    else if (ticket != NULL)
        list_push_back(&g->line, &ticket->node);
    pthread_mutex_unlock(&g->lock);
    return in;
}

static bool ask_in_line(struct database_state *db, struct worker *w, uint64_t client_id, bool commits)
{
    struct gate_ticket *t = mem_zalloc(sizeof *t);

    *t = (struct gate_ticket){
        .message.run = admitted, .db = db, .worker = w->index, .client_id = client_id, .commits = commits};
    bool in = ask(db, commits, t);
    if (in)
        free(t);
    return in;
}

bool gate_read_now(struct database_state *db)
{
    return ask(db, false, NULL);
}

bool gate_read(struct database_state *db, struct worker *w, uint64_t client_id)
{
    return ask_in_line(db, w, client_id, false);
}

bool gate_commit(struct database_state *db, struct worker *w, uint64_t client_id)
{
    __atomic_store_n(&gate_of(db)->used, true, __ATOMIC_RELAXED);
    return ask_in_line(db, w, client_id, true);
}

static void leave(struct database_state *db, bool commits)
{
    struct gate *g = gate_of(db);

    pthread_mutex_lock(&g->lock);
    if (commits)
        g->commits--;
    else
        g->readers--;
    serve(g);
    pthread_mutex_unlock(&g->lock);
}

void gate_read_over(struct database_state *db)
{
    leave(db, false);
}

void gate_commit_over(struct database_state *db)
{
    leave(db, true);
}
