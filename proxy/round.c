/*
 * round.c: see round.h.
 * Thread: worker.
 */
#include "proxy/round.h"

#include "parser/msgin.h"

#include <stdio.h>

void round_init(struct round *r, uint32_t shard_count, void (*over)(struct round *r), void *owner)
{
    *r = (struct round){.over = over, .owner = owner, .count = shard_count};
    r->parts = mem_zalloc(shard_count * sizeof *r->parts);
}

static void forget(struct round *r)
{
    for (uint32_t k = 0; k < r->count; k++)
        buf_free(&r->parts[k].error);
    buf_free(&r->next);
}

void round_free(struct round *r)
{
    forget(r);
    free(r->parts);
    r->parts = NULL;
    r->count = 0;
}

void round_begin(struct round *r)
{
    assert(r->pending == 0);
    forget(r);
    for (uint32_t k = 0; k < r->count; k++)
        r->parts[k] = (struct round_part){.round = r, .arm = r->parts[k].arm}; /* which is still this one's */
}

/* Those that have not had their turn will not have it. */
static void drop_next(struct round *r)
{
    for (uint32_t k = 0; k < r->count; k++)
        if (r->parts[k].is_next)
            r->parts[k] = (struct round_part){
                .round = r, .arm = r->parts[k].arm, .asked = true, .over = true, .lost = r->parts[k].lost};
    buf_free(&r->next);
}

static void end_part(struct round_part *p)
{
    p->over = true;
    p->round->pending--;
    if (round_part_failed(p))
        drop_next(p->round);
}

static void on_row(struct round_part *p, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);
    uint32_t len = reader_u16(&r) == 0 ? UINT32_MAX : reader_u32(&r);

    p->is_null = len == UINT32_MAX;
    if (!p->is_null)
        snprintf(p->value, sizeof p->value, "%.*s", (int)MIN(len, sizeof p->value), (const char *)r.at);
}

static void on_error(struct round_part *p, struct span message)
{
    struct msg_error e;

    if (buf_used(&p->error) > 0)
        return;
    buf_put(&p->error, message.ptr, message.len);
    if (msgin_error(span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER), &e) == PARSE_OK)
        snprintf(p->sqlstate, sizeof p->sqlstate, "%s", e.sqlstate);
}

static void on_parameter(const struct round_part *p, struct span message, struct span body)
{
    struct client *c = p->round->hears;
    struct msg_pair pair;

    if (c == NULL || p->arm->shard != p->round->speaks || msgin_param(body, &pair) != PARSE_OK)
        return;
    c->vars = vars_with(c->vars, pair.name, pair.value, true);
    conn_send(&c->conn, message.ptr, message.len);
}

static void on_message(struct round_part *p, uint8_t type, struct span message)
{
    struct span body = span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER);

    switch (type) {
    case 'D':
        on_row(p, body);
        break;
    case 'C':
        snprintf(p->tag, sizeof p->tag, "%.*s", (int)body.len, (const char *)body.ptr);
        break;
    case 'E':
        on_error(p, message);
        break;
    case 'N':
        if (p->round->hears != NULL)
            conn_send(&p->round->hears->conn, message.ptr, message.len);
        break;
    case 'S':
        on_parameter(p, message, body);
        break;
    case 'Z':
        p->tx = (char)body.ptr[0];
        end_part(p);
        break;
    default:
        break;
    }
}

static void take(struct round_part *p)
{
    struct span message;
    uint8_t type;

    while (p->asked && !p->over && arm_next(p->arm, &type, &message)) {
        on_message(p, type, message);
        arm_taken(p->arm, message);
    }
    if (p->asked && !p->over && arm_is_gone(p->arm)) {
        p->lost = true;
        end_part(p);
    }
}

static void on_output(struct arm *a)
{
    struct round_part *p = a->owner;
    struct round *r = p->round;
    bool ran = r->pending > 0;

    take(p);
    if (ran && r->pending == 0)
        r->over(r);
}

static void ask_next(struct round *r)
{
    uint32_t k = 0;

    while (k < r->count && !r->parts[k].is_next)
        k++;
    if (k < r->count && r->parts[k].arm->client != NULL) {
        round_ask(r, r->parts[k].arm, (const char *)buf_head(&r->next));
        return;
    }
    if (k < r->count)
        r->parts[k].lost = true;
    drop_next(r);
}

static void on_attached(struct arm *a)
{
    struct round *r = ((struct round_part *)a->owner)->round;

    if (buf_used(&r->next) > 0)
        ask_next(r);
}

static const struct arm_user user = {.output = on_output, .attached = on_attached};

void round_ask(struct round *r, struct arm *a, const char *sql)
{
    struct round_part *p = &r->parts[a->shard];

    *p = (struct round_part){.round = r, .arm = a, .asked = true, .is_null = true};
    a->user = &user;
    a->owner = p;
    r->pending++;
    msg_query(arm_in(a), sql);
    arm_go(a);
}

void round_ask_in_order(struct round *r, struct arm *const *arms, const char *sql)
{
    buf_put(&r->next, sql, strlen(sql) + 1);
    for (uint32_t k = 0; k < r->count; k++)
        if (arms[k] != NULL && arms[k]->client->server == NULL)
            r->parts[k] = (struct round_part){.round = r, .arm = arms[k], .is_next = true};
    ask_next(r);
}

void *round_owner(const struct arm *a)
{
    return a == NULL || a->user != &user ? NULL : ((struct round_part *)a->owner)->round->owner;
}

void round_cancel(struct round *r)
{
    drop_next(r);
    for (uint32_t k = 0; k < r->count; k++)
        if (r->parts[k].asked && !r->parts[k].over && !arm_is_gone(r->parts[k].arm))
            arm_cancel(r->parts[k].arm);
}

void round_pump(struct round *r)
{
    bool ran = r->pending > 0;

    for (uint32_t k = 0; k < r->count; k++)
        take(&r->parts[k]);
    if (ran && r->pending == 0)
        r->over(r);
}

bool round_part_failed(const struct round_part *p)
{
    return p->lost || buf_used(&p->error) > 0;
}

struct round_part *round_failed(const struct round *r)
{
    for (uint32_t k = 0; k < r->count; k++)
        if (r->parts[k].asked && round_part_failed(&r->parts[k]))
            return &r->parts[k];
    return NULL;
}
