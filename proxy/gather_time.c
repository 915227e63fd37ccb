/*
 * gather_time.c: the time that a statement over several shards asks for: it is one parameter more (scatter_now.c),
 * behind those that the client binds, and what the first of the shards says; in a transaction over shards it is that
 * one's (timing.h).
 * Thread: worker.
 */
#include "proxy/gather_parts.h"
#include "proxy/joint.h"
#include "proxy/moment.h"

/* Behind the parameters of the statement's own. */
static void bind_time(struct gather *g, const struct moment *m)
{
    struct reader r = reader_of(buf_head(&g->params), buf_used(&g->params));
    uint16_t format_count = reader_u16(&r);
    struct span formats = reader_bytes(&r, (size_t)2 * format_count);
    uint16_t count = reader_u16(&r);
    struct buf time = {0};

    buf_put_u16(&g->bind, format_count == 0 ? 0 : (uint16_t)(count + 1));
    for (uint16_t i = 0; i < count && format_count > 0; i++)
        buf_put(&g->bind, formats.ptr + (format_count == 1 ? 0 : 2 * i), 2);
    if (format_count > 0)
        buf_put_u16(&g->bind, 0);
    buf_put_u16(&g->bind, (uint16_t)(count + 1));
    buf_put(&g->bind, r.at, reader_left(&r));
    moment_put(m, &time);
    buf_put_u32(&g->bind, (uint32_t)buf_used(&time));
    buf_put(&g->bind, buf_head(&time), buf_used(&time));
    buf_free(&time);
}

bool gather_may_give_time(const struct request *q, const struct scatter_plan *p)
{
    struct span params, formats;

    if (p->now_param == 0)
        return true;
    request_split_bind(q, &params, &formats);
    struct reader r = reader_of(params.ptr, params.len);
    reader_bytes(&r, (size_t)2 * reader_u16(&r));
    return reader_u16(&r) + 1 == p->now_param && q->run.types.len / 4 < p->now_param;
}

bool gather_wants_time(struct gather *g)
{
    const struct moment *known = joint_moment(g->c);

    if (g->plan->now_param > 0 && known != NULL)
        bind_time(g, known);
    return g->plan->now_param > 0 && known == NULL;
}

bool gather_take_time(struct gather *g, struct span row)
{
    struct moment m;

    if (!moment_read_row(row, &m))
        return false;
    bind_time(g, &m);
    return true;
}
