/*
 * gather_portal.c: an answer of several shards of which the client wants so many rows at a time, in its transaction.
 * Each shard has a portal of the client's name, of which it is asked for rows as they are needed; between the client's
 * Executes nothing is under way there, so that its servers run whatever else comes. What the shards' portals have given
 * and the client has not wanted yet is held here.
 *
 *   RUNNING ──PortalSuspended──> PAUSED ──its rows are needed──> RUNNING ──CommandComplete──> OVER
 *   all at rest: PortalSuspended, and the gather is its transaction's (joint_portal.c) ──Execute──> gather_resume
 *
 * What becomes of portals by savepoints, the shards know: after a ROLLBACK TO they are asked whether they have theirs.
 * Thread: worker.
 */
#include "proxy/gather_parts.h"

#include "proxy/joint.h"
#include "proxy/whole.h"

#define CHUNK_ROWS 1000

/* Groups are complete only when all rows are there. */
static uint32_t rows_at_once(const struct gather *g)
{
    bool streams = g->plan->mode == SCATTER_CONCAT || g->plan->mode == SCATTER_ORDER;

    return g->portal != NULL && streams ? MIN(g->rows_max, CHUNK_ROWS) : 0;
}

static const char *name_of(const struct gather *g)
{
    return g->portal == NULL ? "" : g->portal;
}

void gather_put_execute(struct part *part, struct buf *in)
{
    const struct gather *g = part->gather;

    if (!part->bound)
        msg_named(in, 'D', 'P', name_of(g));
    part->bound = true;
    msg_execute_some(in, name_of(g), rows_at_once(g));
    msg_empty(in, 'S');
}

void gather_put_question(struct part *part, struct buf *in)
{
    msg_named(in, part->gather->closes ? 'C' : 'D', 'P', name_of(part->gather));
    msg_empty(in, 'S');
}

enum part_phase gather_rests(const struct part *part)
{
    const struct gather *g = part->gather;

    return g->failed || g->closes || g->portal == NULL || part->ended ? PART_OVER : PART_PAUSED;
}

static bool asks(const struct gather *g)
{
    for (uint32_t i = 0; i < g->count; i++)
        if (g->parts[i].phase == PART_ASKING)
            return true;
    return false;
}

void gather_refill(struct gather *g)
{
    if (g->portal == NULL || g->failed || g->done || g->stops || g->closes)
        return;
    g->doubted = g->doubted && asks(g);
    for (uint32_t i = 0; i < g->count && !g->doubted; i++) {
        struct part *part = &g->parts[i];
        if (part->phase != PART_PAUSED || !merge_lacks(g->merge, i))
            continue;
        part->phase = PART_RUNNING;
        gather_feed(part);
    }
}

bool gather_keep(struct gather *g)
{
    struct client *c = g->c;

    if (g->failed)
        return false;
    if (g->closes)
        msg_empty(&c->conn.out, '3');
    if (g->stops)
        msg_empty(&c->conn.out, 's');
    conn_touch(&c->conn);
    if (g->portal == NULL || g->closes)
        return false;
    if (g->stops)
        whole_rows(c, merge_untold(g->merge));
    merge_are_told(g->merge);
    g->stops = false;
    c->gather = NULL;
    joint_keep_gather(c, g, g->portal);
    return true;
}

static void ask_all(struct gather *g)
{
    for (uint32_t i = 0; i < g->count; i++) {
        g->parts[i].phase = PART_ASKING;
        gather_feed(&g->parts[i]);
    }
}

void gather_resume(struct gather *g, uint32_t rows_max)
{
    g->c->gather = g;
    g->rows_max = rows_max;
    g->done = false;
    gather_listen(g);
    if (g->doubted)
        ask_all(g);
    gather_pump(g->c);
}

void gather_close(struct gather *g)
{
    g->c->gather = g;
    g->closes = true;
    gather_listen(g);
    ask_all(g);
}

void gather_doubt(struct gather *g)
{
    g->doubted = true;
}
