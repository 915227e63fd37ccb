/*
 * deal.c: see deal.h. Each arm gets Parse, Bind, Describe, Execute, Sync.
 * Thread: worker.
 */
#include "proxy/deal.h"

#include "parser/msgout.h"
#include "proxy/ask.h"
#include "proxy/copy_in.h"
#include "proxy/copy_out.h"
#include "proxy/draw.h"
#include "proxy/everywhere.h"
#include "proxy/filling.h"
#include "proxy/joint.h"
#include "proxy/sending.h"
#include "proxy/timing.h"
#include "proxy/whole.h"
#include "shard/insert_split.h"

#include <inttypes.h>
#include <stdio.h>

struct part {
    struct arm *arm; /* borrowed from the transaction */
    struct deal *deal;
    const struct insert_part *rows; /* NULL: the statement as it is */
    char *sql;                      /* owned */
    uint32_t returned;              /* of its rows, so far */
    bool asked, parsed, bound, over;
};

struct deal {
    struct client *c;
    struct copy_in *copy;      /* owned: it is COPY FROM, and that does all; or NULL */
    struct copy_out *copies;   /* owned: it is COPY TO, and that does all; or NULL */
    struct filling *filling;   /* owned: it is REFILL, and that does all; or NULL */
    struct everywhere *images; /* owned: it is IMAGES, and that does all; or NULL */
    struct sharding_deal way;  /* owned */
    struct buf types;          /* of its parameters */
    struct buf bind;           /* Bind's body behind the names, up to the formats of the result */
    struct buf formats;        /* ... and these */
    struct opening opening;
    char *parses; /* owned: the name that the client's Parse gives; NULL: there was none */
    uint32_t row; /* in turn: whose row is next */
    bool describes, simple;
    bool described; /* the client has been told, or does not want to be */
    bool failed;    /* it was told an error */
    bool pumping;
    uint64_t touched; /* rows, by the tags */
    char tag[64];     /* of the first part: "INSERT 0", "CREATE TABLE" */
    uint32_t next;    /* the part that runs next, when the one before it is over */
    uint32_t count;
    struct part parts[];
};

/* --- what the arms are asked --- */

static void put_types(struct deal *d, const struct insert_part *rows, struct buf *to)
{
    struct span all = span_of(buf_head(&d->types), buf_used(&d->types));

    if (rows != NULL)
        insert_part_types(rows, all, to);
    else
        buf_put(to, all.ptr, all.len);
}

static void put_bind(struct deal *d, const struct insert_part *rows, struct buf *in)
{
    size_t mark = msg_begin(in, 'B');

    buf_put(in, "\0", 2); /* unnamed portal and statement */
    if (rows != NULL)
        insert_part_bind(rows, span_of(buf_head(&d->bind), buf_used(&d->bind)), in);
    else
        buf_put(in, buf_head(&d->bind), buf_used(&d->bind));
    buf_put(in, buf_head(&d->formats), buf_used(&d->formats));
    msg_end(in, mark);
}

static void part_feed(struct part *p)
{
    struct deal *d = p->deal;
    struct buf *in = arm_in(p->arm), types = {0};

    p->asked = true;
    put_types(d, p->rows, &types);
    msg_parse(in, "", p->sql, span_of(buf_head(&types), buf_used(&types)));
    put_bind(d, p->rows, in);
    msg_named(in, 'D', 'P', "");
    msg_execute(in, "");
    msg_empty(in, 'S');
    buf_free(&types);
    arm_go(p->arm);
}

static bool runs_in_turn(const struct deal *d)
{
    return d->way.way == WRITE_COMMAND;
}

bool deal_is_alike(const struct deal *d)
{
    return d->way.way != WRITE_ROWS && d->way.way != WRITE_SAME;
}

static void run_next(struct deal *d)
{
    do
        part_feed(&d->parts[d->next++]);
    while (d->next < d->count && !runs_in_turn(d));
}

static void cancel_others(struct deal *d, const struct part *but)
{
    for (uint32_t i = 0; i < d->count; i++) {
        struct part *p = &d->parts[i];
        if (p == but || p->over)
            continue;
        if (!p->asked)
            p->over = true;
        else if (!arm_is_gone(p->arm))
            arm_cancel(p->arm);
    }
}

/* --- its end --- */

void deal_free(struct deal *d)
{
    if (d == NULL)
        return;
    copy_in_free(d->copy);
    copy_out_free(d->copies);
    everywhere_free(d->images);
    filling_free(d->filling);
    insert_split_free(d->way.split);
    buf_free(&d->types);
    buf_free(&d->bind);
    buf_free(&d->formats);
    for (uint32_t i = 0; i < d->count; i++)
        free(d->parts[i].sql);
    free(d->parses);
    free(d);
}

static bool is_over(const struct deal *d)
{
    for (uint32_t i = 0; i < d->count; i++)
        if (!d->parts[i].over)
            return false;
    return true;
}

static void end_if_over(struct deal *d)
{
    char tag[100];

    if (!is_over(d))
        return;
    snprintf(tag, sizeof tag, "%s", d->tag);
    if (d->way.way != WRITE_COMMAND)
        snprintf(tag, sizeof tag, "%s %" PRIu64, d->tag, d->touched);
    joint_dealt(d->c, d->failed, tag);
}

static void fail(struct deal *d, const struct part *p, const void *message, size_t len)
{
    if (d->failed)
        return;
    d->failed = true;
    if (d->parses != NULL && p != NULL && !p->parsed)
        prepare_untake(d->c, d->parses); /* PostgreSQL would not have it, either */
    opening_tell(&d->opening, d->c, p == NULL || p->parsed, p == NULL || p->bound);
    whole_send_error(d->c, message, len);
    cancel_others(d, p);
}

static void fail_by(struct deal *d, const struct part *p, struct span message)
{
    struct buf error = {0};

    arm_put_error(&error, message);
    fail(d, p, buf_head(&error), buf_used(&error));
    buf_free(&error);
}

static void on_gone(struct deal *d, struct part *p)
{
    if (p->over)
        return;
    p->over = true;
    fail_by(d, p, span_of(NULL, 0));
}

/* --- what the arms are answered --- */

static bool is_ordered(const struct deal *d)
{
    return d->way.split != NULL && d->way.split->returns && !d->way.split->skips;
}

/* Its next row may go on now. */
static bool is_wanted(const struct deal *d, const struct part *p)
{
    if (d->opening.bind || !d->described || conn_is_high(&d->c->conn))
        return false;
    return !is_ordered(d) || d->row >= d->way.split->row_count || d->way.split->shards[d->row] == p->arm->shard;
}

/* RowDescription, NoData: the first part's. */
static void on_description(struct deal *d, const struct part *p, uint8_t type, struct span message)
{
    if (p != &d->parts[0] || d->described)
        return;
    d->described = true;
    if (type == 'T' || !d->simple)
        conn_send(&d->c->conn, message.ptr, message.len);
}

/* Whose turn is whose could not be told any more: rows that do not come would be waited for for ever. */
static bool is_short(const struct deal *d, const struct part *p)
{
    uint32_t given = 0;

    for (uint32_t i = 0; is_ordered(d) && i < d->way.split->row_count; i++)
        given += d->way.split->shards[i] == p->arm->shard;
    return is_ordered(d) && p->returned != given;
}

static void fail_short(struct deal *d, const struct part *p)
{
    struct buf error = {0};

    msg_error(&error, "ERROR", "0A000", "a shard did not return a row for each that it was given",
              "In which order the rows come is not known then.",
              "A trigger has passed over some: insert them one by one, or leave out RETURNING.");
    fail(d, p, buf_head(&error), buf_used(&error));
    buf_free(&error);
}

/* "INSERT 0 5", "UPDATE 5": what is before the number, and that. */
static void on_tag(struct deal *d, const struct part *p, struct span body)
{
    char text[64];
    char *number;

    snprintf(text, sizeof text, "%.*s", (int)body.len, (const char *)body.ptr);
    number = strrchr(text, ' ');
    if (d->way.way != WRITE_COMMAND && number != NULL) {
        d->touched += strtoull(number, NULL, 10);
        *number = '\0';
    }
    if (p == &d->parts[0])
        snprintf(d->tag, sizeof d->tag, "%s", text);
}

/* The arm has its server, if it had none before. */
static void on_parsed(struct deal *d, struct part *p)
{
    p->parsed = true;
    if (p->rows != NULL && p->arm->shard == 0 && p->arm->client->server != NULL)
        ask_note_sequence(d->c, p->arm->client->server);
}

static void on_bound(struct deal *d, struct part *p)
{
    p->bound = true;
    if (p == &d->parts[0] && !d->failed)
        opening_tell(&d->opening, d->c, true, true);
}

static void on_ready(struct deal *d, struct part *p)
{
    p->over = true;
    if (!d->failed && d->next < d->count)
        run_next(d);
}

/* False: it is not wanted yet. */
static bool on_message(struct deal *d, struct part *p, uint8_t type, struct span message)
{
    bool counts = !d->failed;

    if (type == 'D' && counts && !is_wanted(d, p))
        return false;
    if ((type == 'T' || type == 'n') && counts)
        on_description(d, p, type, message);
    else if (type == 'D' && counts) {
        conn_send(&d->c->conn, message.ptr, message.len);
        d->row++;
        p->returned++;
    } else if (type == 'C' && counts && is_short(d, p))
        fail_short(d, p);
    else if (type == 'C' && counts)
        on_tag(d, p, span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER));
    else if (type == '1')
        on_parsed(d, p);
    else if (type == '2')
        on_bound(d, p);
    else if (type == 'N' && p == &d->parts[0] && counts)
        conn_send(&d->c->conn, message.ptr, message.len);
    else if (type == 'E')
        fail_by(d, p, message);
    else if (type == 'Z')
        on_ready(d, p);
    return true;
}

/* True if something was taken. */
static bool part_take(struct deal *d, struct part *p)
{
    struct span message;
    bool taken = false;
    uint8_t type;

    while (!p->over && p->asked && arm_next(p->arm, &type, &message) && on_message(d, p, type, message)) {
        arm_taken(p->arm, message);
        taken = true;
    }
    return taken;
}

void deal_pump(struct deal *d)
{
    bool more = !d->pumping;

    if (d->copy != NULL) {
        copy_in_pump(d->copy); /* which may free it */
        return;
    }
    if (d->copies != NULL) {
        copy_out_pump(d->copies); /* likewise */
        return;
    }
    if (d->filling != NULL) {
        filling_pump(d->filling); /* likewise */
        return;
    }
    if (d->images != NULL) {
        everywhere_pump(d->images); /* likewise */
        return;
    }
    if (!more)
        return;
    d->pumping = true;
    while (more) {
        more = false;
        for (uint32_t i = 0; i < d->count; i++) {
            struct part *p = &d->parts[i];
            more = part_take(d, p) || more;
            if (arm_is_gone(p->arm))
                on_gone(d, p);
        }
    }
    d->pumping = false;
    end_if_over(d);
}

static void part_output(struct arm *arm)
{
    deal_pump(((struct part *)arm->owner)->deal);
}

static const struct arm_user part_user = {.output = part_output};

/* A shard may be over with its part before a cancel comes there, or between two messages of it, where PostgreSQL drops
 * that. */
static void fail_cancelled(struct deal *d)
{
    struct buf error = {0};

    if (d->failed)
        cancel_others(d, NULL);
    msg_error(&error, "ERROR", "57014", "canceling statement due to user request", NULL, NULL);
    fail(d, NULL, buf_head(&error), buf_used(&error));
    buf_free(&error);
}

void deal_cancel(struct deal *d)
{
    if (d->copy != NULL)
        copy_in_cancel(d->copy);
    else if (d->copies != NULL)
        copy_out_cancel(d->copies);
    else if (d->images != NULL)
        everywhere_cancel(d->images);
    else if (d->filling != NULL)
        filling_cancel(d->filling);
    else
        fail_cancelled(d);
}

bool deal_takes_input(const struct deal *d)
{
    return d->copy != NULL;
}

size_t deal_input(struct deal *d, const uint8_t *p, size_t len)
{
    return copy_in_input(d->copy, p, len);
}

void deal_left(struct deal *d)
{
    if (d->copy != NULL)
        copy_in_cancel(d->copy);
}

/* --- beginning --- */

/* What stands before the formats of the result is cut for the parts. */
static void take_bind(struct deal *d, const struct request *q)
{
    struct span params, formats;

    request_split_bind(q, &params, &formats);
    buf_put(&d->bind, params.ptr, params.len);
    buf_put(&d->formats, formats.ptr, formats.len);
}

static char *text_of(const struct deal *d, const struct request *q, const struct insert_part *rows, uint32_t shard)
{
    const struct moment *m = d->count > 1 ? joint_moment(d->c) : joint_moment_on(d->c, shard);
    const char *sql = rows != NULL ? rows->sql : q->run.sql;

    return m == NULL || runs_in_turn(d) ? mem_strdup(sql) : timing_write(d->c, &q->run, sql, m);
}

static void take_parts(struct deal *d, const struct request *q, struct arm *const *arms)
{
    const struct insert_split *split = d->way.split;

    for (uint32_t k = 0, i = 0; i < d->count; k++) {
        if (!(d->way.shards >> k & 1))
            continue;
        struct part *p = &d->parts[i];
        *p = (struct part){.arm = arms[k], .deal = d, .rows = split == NULL ? NULL : &split->parts[i]};
        p->sql = text_of(d, q, p->rows, k);
        p->arm->user = &part_user;
        p->arm->owner = p;
        i++;
    }
}

bool deal_would(struct client *c, const struct request *q, shardset *shards)
{
    struct sharding_deal way;

    if (!sharding_deal(c, &q->run, &way))
        return false;
    *shards = way.shards;
    insert_split_free(way.split);
    return true;
}

/* What lastval() is from now on, this session's own server does not know. */
static void note_sequences(struct client *c, const struct request *q)
{
    draw_note(c, request_stmt(q));
    if (request_stmt(q)->kind == STMT_INSERT)
        draw_used(c);
}

static void begin(struct deal *d, const struct request *q, struct arm *const *arms)
{
    struct client *c = d->c;

    d->described = !q->describes;
    buf_put(&d->types, q->run.types.ptr, q->run.types.len);
    take_bind(d, q);
    if (q->parse.len > 0)
        d->parses = mem_strdup((const char *)q->parse.ptr);
    d->opening = request_open(c, q);
    take_parts(d, q, arms);
    note_sequences(c, q);
    run_next(d);
}

static struct deal *make(struct client *c, const struct request *q, struct sharding_deal way)
{
    uint32_t count = (uint32_t)__builtin_popcountll(way.shards);
    struct deal *d = mem_zalloc(sizeof *d + count * sizeof(struct part));

    *d = (struct deal){.c = c, .way = way, .count = count, .describes = q->describes, .simple = q->simple};
    return d;
}

struct deal *deal_new_on(struct client *c, const struct request *q, struct arm *const *arms, uint32_t shard)
{
    struct deal *d = make(c, q, (struct sharding_deal){.way = WRITE_SAME, .shards = (shardset)1 << shard});

    begin(d, q, arms);
    return d;
}

struct deal *deal_new(struct client *c, const struct request *q, struct arm *const *arms)
{
    struct sharding_deal way;
    bool begun = true;

    if (!sharding_deal(c, &q->run, &way))
        return NULL;
    struct deal *d = make(c, q, way);
    if (way.way == WRITE_COPY)
        begun = (d->copy = copy_in_new(c, q, arms)) != NULL;
    else if (way.way == WRITE_COPY_OUT)
        begun = (d->copies = copy_out_new(c, q, arms)) != NULL;
    else if (way.way == WRITE_IMAGES)
        begun = (d->images = everywhere_new(c, q, arms)) != NULL;
    else if (way.way == WRITE_REFILL)
        begun = (d->filling = filling_new(c, q, arms)) != NULL;
    else
        begin(d, q, arms);
    if (begun)
        return d;
    deal_free(d);
    return NULL;
}
