/*
 * show_pins.c: PINS: what has kept servers with their clients in transaction pooling, and how many statements ran so.
 * Thread: control.
 */
#include "parser/msgout.h"
#include "proxy/ask.h"
#include "proxy/show.h"

void show_print_pins(struct show *s)
{
    for (unsigned i = 0; i < TRACE_COUNT; i++) {
        if (traces_pin(1u << i) == NULL)
            continue;
        size_t mark = show_row(&s->out, s);
        msg_row_text(&s->out, traces_pin(1u << i));
        msg_row_int(&s->out, (int64_t)ask_pinned_statements(i));
        msg_end(&s->out, mark);
    }
}
