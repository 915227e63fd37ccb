/*
 * joint_portal.c: portals whose rows are of several shards, or the coordinator's, and of which the client has wanted
 * some: what is between two Executes of such a portal is its transaction's. See joint.h.
 *
 *   joint_gather, joint_whole ──suspended──> here ──Execute──> gather_resume, coordinated_resume ──> here, again
 *                                                 ──Close, the end of the transaction──> gone
 *
 * Thread: worker.
 */
#include "proxy/coordinated.h"
#include "proxy/gather.h"
#include "proxy/joint_parts.h"

struct portal {
    struct list node;                /* in joint->portals */
    struct gather *gather;           /* owned; or NULL */
    struct coordinated *coordinated; /* owned; or NULL */
    char name[];
};

static struct portal *find(const struct joint *j, const char *name)
{
    LIST_FOR_EACH (it, &j->portals)
        if (strcmp(LIST_ENTRY(it, struct portal, node)->name, name) == 0)
            return LIST_ENTRY(it, struct portal, node);
    return NULL;
}

bool joint_has_portal(const struct client *c, const char *name)
{
    return c->joint != NULL && find(c->joint, name) != NULL;
}

static void drop(struct portal *p)
{
    if (p->gather != NULL)
        gather_free(p->gather);
    coordinated_free(p->coordinated);
    list_del(&p->node);
    free(p);
}

static struct portal *keep(struct client *c, const char *name)
{
    struct portal *old = find(c->joint, name);
    struct portal *p = mem_zalloc(sizeof *p + strlen(name) + 1);

    if (old != NULL)
        drop(old); /* the unnamed one before */
    strcpy(p->name, name);
    list_push_back(&c->joint->portals, &p->node);
    return p;
}

void joint_keep_gather(struct client *c, struct gather *g, const char *name)
{
    keep(c, name)->gather = g;
}

void joint_keep_coordinated(struct client *c, struct coordinated *k, const char *name)
{
    keep(c, name)->coordinated = k;
}

void portals_free(struct joint *j)
{
    while (!list_empty(&j->portals))
        drop(LIST_ENTRY(j->portals.next, struct portal, node));
}

void portals_doubt(struct joint *j)
{
    LIST_FOR_EACH (it, &j->portals)
        if (LIST_ENTRY(it, struct portal, node)->gather != NULL)
            gather_doubt(LIST_ENTRY(it, struct portal, node)->gather);
}

/* It is run, and comes back if there may be more of it. */
static void run(struct joint *j, struct portal *p, uint8_t type, uint32_t rows_max)
{
    struct gather *g = p->gather;
    struct coordinated *k = p->coordinated;

    p->gather = NULL;
    p->coordinated = NULL;
    drop(p);
    joint_take_back(j);
    j->phase = g != NULL ? JOINT_GATHERING : JOINT_WHOLE;
    if (g != NULL && type == 'C')
        gather_close(g);
    else if (g != NULL)
        gather_resume(g, rows_max);
    else if (type == 'C')
        coordinated_close(k);
    else
        coordinated_resume(k, rows_max);
}

/* The portal that a message speaks of; NULL: none. */
static const char *portal_of(const struct frame *f, const uint8_t *p, uint32_t *rows_max)
{
    struct reader r = reader_of(p + FRAME_HEADER, f->total - FRAME_HEADER);

    if (strchr("ECD", f->type) == NULL || ((f->type == 'C' || f->type == 'D') && reader_u8(&r) != 'P'))
        return NULL;
    const char *name = reader_cstr(&r);
    *rows_max = f->type == 'E' ? reader_u32(&r) : 0;
    return r.bad ? NULL : name;
}

size_t portals_take(struct joint *j, const uint8_t *batch, size_t extent)
{
    struct frame f;
    const char *why;
    uint32_t rows_max;

    if (list_empty(&j->portals) || frame_next(FROM_CLIENT, batch, extent, &f, &why) != PARSE_OK || f.total > extent)
        return 0;
    const char *name = portal_of(&f, batch, &rows_max);
    struct portal *p = name == NULL ? NULL : find(j, name);
    if (p == NULL && strchr("QB", f.type) != NULL && (p = find(j, "")) != NULL)
        drop(p); /* as any Query does; and what binds another one, does so first */
    if (name == NULL || p == NULL || j->c->server->tx == 'E')
        return 0;
    j->c->parted = true;
    if (f.type == 'D')
        joint_refuse(j, &(struct request){.simple = true}, "0A000",
                     "a portal whose rows are of several shards is described before its first Execute only", NULL);
    else
        run(j, p, f.type, rows_max);
    return f.total;
}
