/*
 * batch.c: see batch.h.
 * Thread: worker.
 */
#include "proxy/batch.h"

#include "proxy/sharding.h"

static bool ends_part(uint8_t type)
{
    return type == 'Q' || type == 'F' || type == 'S' || type == 'H' || type == 'X';
}

/* How much of a batch is waited for: of one that may be several shards', what its first statement runs, and Sync. */
struct patience {
    size_t message, batch; /* bytes */
    bool runs;
};

static struct patience patience_of(const struct client *c)
{
    const struct options *o = &c->worker->config->opt;

    if (LIKELY(!sharding_is_on(c)))
        return (struct patience){.message = o->batch_hold, .batch = o->batch_hold};
    return (struct patience){.message = o->max_inspect, .batch = o->batch_hold, .runs = true};
}

/* True if a batch is cut here, in front of a message of that type. */
static bool is_enough(const struct patience *p, size_t at, uint8_t before, uint8_t next)
{
    return at > p->batch && (!p->runs || at > p->message || (before == 'E' && next != 'S'));
}

size_t batch_measure(const struct client *c, const uint8_t *p, size_t len, uint8_t *last)
{
    struct patience patience = patience_of(c);
    size_t at = 0;
    uint8_t before = 0;

    *last = 0;

    while (at < len) {
        struct frame f;
        const char *why;
        enum parse_result r = frame_next(FROM_CLIENT, p + at, len - at, &f, &why);
        if (r == PARSE_BAD)
            return at + 1; /* what comes before it is to be worked on first */
        if (r == PARSE_MORE)
            break;
        if (is_enough(&patience, at, before, f.type))
            return at;
        if (at + f.total > len)
            return at + f.total > patience.message ? len : 0;
        at += f.total;
        before = f.type;
        if (ends_part(f.type)) {
            *last = f.type;
            return at;
        }
    }
    return at > patience.message ? at : 0;
}
