/*
 * stray.c: see stray.h.
 * Thread: worker.
 */
#include "pool/stray.h"

void stray_note(struct server *s, unsigned count)
{
    s->stray_syncs += count;
    s->answered = true;
}

static bool is_stray(const struct server *s)
{
    const struct expect *head = expect_head(&s->expects);

    return head == NULL || (!s->answered && head->type != EXPECT_SYNC);
}

bool stray_take(struct server *s, uint8_t type, struct span body)
{
    if (type == 'N' || type == 'A' || type == 'S')
        return false;
    if (type == 'Z' && body.len == 1 && is_stray(s)) {
        s->tx = (char)body.ptr[0];
        s->expects.skipping = false;
        s->answered = false;
        return true;
    }
    bool behind = type != 'Z' && !s->answered && s->copy == COPY_NONE;
    bool copied = type == 'C' && s->copy == COPY_IN;

    if (behind || copied)
        s->stray_syncs = 0;
    s->answered = type != 'Z';
    return false;
}

bool stray_is_due(const struct server *s)
{
    return s->stray_syncs > 0 && expect_empty(&s->expects) && !s->expects.skipping && !server_takes_copy(s);
}
