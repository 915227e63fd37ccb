/*
 * expect.c: see expect.h.
 * Thread: worker.
 */
#include "pool/expect.h"

#define RING_FIRST 8

void expect_free(struct expect_queue *q)
{
    free(q->ring);
    memset(q, 0, sizeof *q);
}

void expect_grow(struct expect_queue *q)
{
    uint32_t size = q->size == 0 ? RING_FIRST : q->size * 2;
    struct expect *ring = mem_alloc(size * sizeof *ring);

    for (uint32_t i = 0; i < q->count; i++)
        ring[i] = *expect_at(q, i);
    free(q->ring);
    q->ring = ring;
    q->size = size;
    q->head = 0;
}

struct expect expect_pop(struct expect_queue *q)
{
    assert(q->count > 0);
    struct expect e = *expect_at(q, 0);

    q->count--;
    q->head = q->count == 0 ? 0 : (q->head + 1) & (q->size - 1); /* an empty ring stays in its cache line */
    q->ends -= expect_ends(&e);
    q->limited -= e.limited;
    return e;
}

void expect_limit_last(struct expect_queue *q)
{
    expect_at(q, q->count - 1)->limited = true;
    q->limited++;
}

bool expect_may_skip(const struct expect_queue *q)
{
    for (uint32_t i = q->count; i-- > 0;) {
        const struct expect *e = expect_at(q, i);
        if (e->type == EXPECT_SYNC)
            return false;
        if (!expect_ends(e) && e->type != EXPECT_COPY_END && e->type != EXPECT_CLOSE) /* Close never fails */
            return true;
    }
    return q->skipping;
}

bool expect_waits_for(const struct expect_queue *q, enum expect_effect effect)
{
    for (uint32_t i = 0; i < q->count; i++)
        if (expect_at(q, i)->effect == effect)
            return true;
    return false;
}

void expect_fail(struct expect_queue *q, expect_dropped_fn *dropped, void *arg)
{
    struct expect *head = expect_head(q);

    if (head != NULL && expect_ends(head))
        return;
    while (q->count > 0 && expect_head(q)->type != EXPECT_SYNC) {
        struct expect e = expect_pop(q);
        dropped(arg, &e);
    }
    if (q->count == 0)
        q->skipping = true;
}

unsigned expect_copy_in(struct expect_queue *q)
{
    unsigned removed = 0;

    while (q->count > 1 && expect_at(q, 1)->type == EXPECT_SYNC) {
        *expect_at(q, 1) = *expect_at(q, 0);
        q->head = (q->head + 1) & (q->size - 1);
        q->count--;
        q->ends--;
        removed++;
    }
    return removed;
}
