/*
 * gather_portal.c: an answer of several shards of which the client wants so many rows at a time, in its transaction.
 * Each shard has a portal, of which it is asked for rows as they are needed; between the client's Executes nothing is
 * under way there, so that its servers run whatever else comes. What the shards' portals have given and the client has
 * not wanted yet is held here.
 *
 *   RUNNING ──PortalSuspended──> PAUSED ──its rows are needed──> RUNNING ──CommandComplete──> OVER
 *   all at rest: PortalSuspended, and the gather is its transaction's (joint_portal.c) ──Execute──> gather_resume
 *
 * A cursor is one that was not executed yet: DECLARE binds it, and describes it. FETCH says itself in which formats its
 * rows come, so that the shards are told FETCH, too, from the first that the client says.
 *
 * On the shards they have names of their own: whatever is not meant for all of them together finds none there.
 * Thread: worker.
 */
#include "proxy/gather_parts.h"

#include "proxy/joint.h"
#include "proxy/statements.h"
#include "proxy/whole.h"

#include <inttypes.h>
#include <stdio.h>

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

static void put_fetch(struct part *part, struct buf *in)
{
    struct gather *g = part->gather;
    struct buf formats = {0};
    char text[80], count[16] = "ALL";

    part->wanted = rows_at_once(g);
    if (part->wanted > 0)
        snprintf(count, sizeof count, "%" PRIu32, part->wanted);
    snprintf(text, sizeof text, "FETCH FORWARD %s FROM \"%s\"", count, g->portal);
    msg_parse(in, "", text, span_of(NULL, 0));
    merge_put_formats(g->plan, g->fetched, g->fetched_count, (size_t)MAX(g->visible_count, 0), &formats);
    size_t mark = msg_begin(in, 'B');
    buf_put(in, "\0\0\0\0\0", 6); /* no names, and no parameters */
    buf_put(in, buf_head(&formats), buf_used(&formats));
    msg_end(in, mark);
    msg_execute(in, "");
    buf_free(&formats);
}

void gather_put_execute(struct part *part, struct buf *in)
{
    const struct gather *g = part->gather;

    if (!part->bound)
        msg_named(in, 'D', 'P', name_of(g));
    part->bound = true;
    if (g->fetches)
        put_fetch(part, in);
    else if (!g->declares)
        msg_execute_some(in, name_of(g), rows_at_once(g));
    msg_empty(in, 'S');
}

void gather_put_close(struct part *part, struct buf *in)
{
    msg_named(in, 'C', 'P', name_of(part->gather));
    msg_empty(in, 'S');
}

bool gather_ends(const struct part *part, struct span body)
{
    return !part->gather->fetches || part->wanted == 0 || msgin_tag_rows(body) < part->wanted;
}

enum part_phase gather_rests(const struct part *part)
{
    const struct gather *g = part->gather;

    return g->failed || g->closes || g->portal == NULL || part->ended ? PART_OVER : PART_PAUSED;
}

void gather_refill(struct gather *g)
{
    if (g->portal == NULL || g->failed || g->done || g->stops || g->closes)
        return;
    for (uint32_t i = 0; i < g->count; i++) {
        struct part *part = &g->parts[i];
        if (part->phase != PART_PAUSED || !merge_lacks(g->merge, i))
            continue;
        part->phase = PART_RUNNING;
        gather_feed(part);
    }
}

/* --- its beginning, and what the client is told --- */

void gather_outlives(struct gather *g, const struct request *q)
{
    const struct sharding_run *said = q->declared != NULL ? q->declared : &q->run;

    g->name = mem_strdup(q->cursor != NULL ? q->cursor : q->bind.portal);
    g->portal = joint_portal_name(g->c, g->name);
    g->shape = (struct shape *)(uintptr_t)said->shape;
    cache_hold(g->shape);
    if (q->cursor == NULL)
        return;
    g->declares = g->stops = true;
    g->binary = q->binary;
    g->says_nothing = q->describes && !q->simple;
    g->describes = false;
    g->described = true;
}

void gather_put_tag(struct gather *g)
{
    uint64_t rows = merge_untold(g->merge);
    char tag[40];

    snprintf(tag, sizeof tag, "%s %" PRIu64, g->tag, rows);
    msg_command_complete(&g->c->conn.out, tag);
    whole_rows(g->c, rows);
    merge_are_told(g->merge);
}

static void tell_rest(struct gather *g)
{
    struct buf *out = &g->c->conn.out;

    if (g->declares && g->says_nothing)
        msg_empty(out, 'n');
    if (g->declares)
        msg_command_complete(out, "DECLARE CURSOR");
    else if (g->closes && g->tag != NULL)
        msg_command_complete(out, g->tag);
    else if (g->closes)
        msg_empty(out, '3');
    else if (g->stops && g->tag != NULL)
        gather_put_tag(g);
    else if (g->stops)
        msg_empty(out, 's');
    conn_touch(&g->c->conn);
}

bool gather_keep(struct gather *g)
{
    struct client *c = g->c;

    if (g->failed)
        return false;
    tell_rest(g);
    if (g->portal == NULL || g->closes)
        return false;
    if (g->stops && g->tag == NULL)
        whole_rows(c, merge_untold(g->merge));
    merge_are_told(g->merge);
    gather_leave_gate(g); /* it may have been bound without waiting for the others */
    free(g->parses);
    g->parses = NULL;
    g->stops = g->declares = false;
    c->gather = NULL;
    joint_keep_gather(c, g, g->name);
    return true;
}

/* --- once more --- */

static void take_up(struct gather *g)
{
    g->c->gather = g;
    g->done = false;
    g->tag = NULL;
    g->drops = false;
    gather_listen(g);
}

static void fail_format(struct gather *g)
{
    gather_fail_as(g, "0A000", "a cursor over several shards gives its rows in one format",
                   "Fetch all of them in text format, or all in binary format.");
}

/* From now on its rows come in these, by FETCH. Takes the formats. */
static bool fetch_in(struct gather *g, uint16_t *formats, size_t count)
{
    free(g->fetched);
    g->fetches = true;
    g->fetched = formats;
    g->fetched_count = count;
    if (merge_reformat(g->merge, formats, count))
        return true;
    fail_format(g);
    return false;
}

void gather_resume(struct gather *g, uint32_t rows_max)
{
    uint16_t *formats = mem_zalloc((g->format_count + 1) * sizeof *formats);

    take_up(g);
    whole_begin(g->c, g->shape, NULL);
    g->rows_max = rows_max;
    memcpy(formats, g->formats, g->format_count * sizeof *formats);
    if (g->fetches)
        fetch_in(g, formats, g->format_count);
    else
        free(formats);
    gather_pump(g->c);
}

static void close_all(struct gather *g)
{
    g->closes = true;
    for (uint32_t i = 0; i < g->count; i++) {
        g->parts[i].phase = PART_CLOSING;
        gather_feed(&g->parts[i]);
    }
}

void gather_close(struct gather *g)
{
    take_up(g);
    close_all(g);
}

/* What PostgreSQL says of the columns, under the formats in which they come. */
static void put_columns(const struct gather *g, const uint16_t *formats, size_t count)
{
    struct buf *out = &g->c->conn.out;
    struct reader r = reader_of(buf_head(&g->columns) + FRAME_HEADER, buf_used(&g->columns) - FRAME_HEADER);
    size_t mark = msg_begin(out, 'T');
    uint16_t columns = reader_u16(&r);

    buf_put_u16(out, columns);
    for (uint16_t i = 0; i < columns && !r.bad; i++) {
        buf_put_cstr(out, reader_cstr(&r));
        struct span facts = reader_bytes(&r, 16);
        reader_u16(&r);
        buf_put(out, facts.ptr, facts.len);
        buf_put_u16(out, count == 0 ? 0 : formats[count == 1 ? 0 : MIN(i, count - 1)]);
    }
    msg_end(out, mark);
}

void gather_describe(const struct gather *g)
{
    conn_send(&g->c->conn, buf_head(&g->columns), buf_used(&g->columns));
}

static void fetch(struct gather *g, const struct request *q)
{
    size_t count = 0;
    uint16_t *formats = request_formats(q, &count);

    if (q->simple && g->binary) {
        formats[0] = 1; /* it has room for one more */
        count = 1;
    }
    if (fetch_in(g, formats, count) && q->describes)
        put_columns(g, formats, count);
}

void gather_wish(struct gather *g, const struct request *q, struct cursor_wish wish)
{
    static const char *const tags[] = {"FETCH", "MOVE", "CLOSE CURSOR"};

    take_up(g);
    g->tag = tags[wish.verb];
    g->drops = wish.verb == CURSOR_MOVE;
    g->rows_max = wish.rows;
    request_begin(g->c, q);
    if (wish.verb != CURSOR_FETCH && q->describes && !q->simple)
        msg_empty(&g->c->conn.out, 'n');
    if (wish.verb == CURSOR_CLOSE)
        close_all(g);
    else if (wish.verb == CURSOR_FETCH)
        fetch(g, q);
    else if (!g->fetches)
        fetch_in(g, mem_zalloc(sizeof(uint16_t)), 0);
    gather_pump(g->c);
}
