/*
 * slots.c: see slots.h.
 * Thread: any (no state).
 */
#include "parser/slots.h"

static bool is_in_text(const struct stmt_value *v)
{
    return v->kind == VALUE_NUMBER || v->kind == VALUE_STRING || v->kind == VALUE_BITS || v->kind == VALUE_PARAM;
}

/* Rows that are like the first one became one slot, right behind the slots of that one. A first row without any slot of
 * its own (NULL, DEFAULT) says nothing of where that is. */
static void bind_rows(const struct stmt *s, struct stmt_place *p, const struct fingerprint *f)
{
    uint32_t last = SLOT_NONE;

    for (uint32_t i = 0; i < p->width; i++) {
        uint32_t slot = s->values[p->value + i].slot;
        if (slot != SLOT_NONE && (last == SLOT_NONE || slot > last))
            last = slot;
    }
    if (last != SLOT_NONE && last + 1 < f->slot_count && f->slots[last + 1].kind == SLOT_ROWS)
        p->slot = last + 1;
}

static void bind_value(struct stmt_value *v, const struct fingerprint *f, const char *sql)
{
    if (is_in_text(v))
        v->slot = fingerprint_slot_at(f, sql, v->where);
    for (size_t i = 0; v->of != NULL && i < 2; i++)
        bind_value(&v->of[i], f, sql);
}

static void bind(const struct stmt *s, const struct fingerprint *f, const char *sql)
{
    for (size_t i = 0; i < s->value_count; i++)
        bind_value(&s->values[i], f, sql);
    for (size_t i = 0; i < s->place_count; i++)
        if (s->places[i].what == PLACE_ROWS)
            bind_rows(s, &s->places[i], f);
    if (s->body != NULL)
        bind(s->body, f, sql);
}

void slots_bind(const struct stmt_list *list, const struct fingerprint *f, const char *sql)
{
    for (size_t i = 0; i < list->count; i++)
        bind(list->stmts[i], f, sql);
}
