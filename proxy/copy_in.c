/*
 * copy_in.c: see copy_in.h.
 * Thread: worker.
 */
#include "proxy/copy_in.h"

#include "parser/msgout.h"
#include "proxy/copy_facts.h"
#include "proxy/copy_fixed.h"
#include "proxy/draw.h"
#include "proxy/joint.h"
#include "proxy/whole.h"
#include "shard/copy_split.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define AHEAD_BYTES ((size_t)256 * 1024)  /* that an arm has not taken yet */
#define KEYS_MAX 1000                     /* that are drawn at once */
#define PATIENCE_USEC (10 * USEC_PER_SEC) /* for keys */
#define ROW_BYTES_MAX ((size_t)256 * MIB)

struct copy_part {
    struct arm *arm; /* borrowed from the transaction; NULL: the shard takes no part */
    struct copy_in *in;
    bool wants; /* it has said CopyInResponse */
    bool ended; /* it was sent CopyDone or CopyFail */
    bool over;
    uint64_t rows;
};

struct copy_in {
    struct client *c;
    struct copy_split *split; /* owned */
    struct copy_facts *facts; /* owned: of a table that lies everywhere; NULL: it does not */
    struct copy_fixed *fixed; /* owned: by key: what it leaves out, by the time; NULL: nothing */
    char *sql;                /* owned */
    bool asking;              /* for these */
    bool extended;            /* the client speaks the extended protocol: a Sync is to follow */
    bool copying;             /* the client was told to send */
    bool sent;                /* it has sent all */
    bool failed;              /* it was told an error */
    bool unsure;              /* a row may lie elsewhere: nothing of it may stay */
    bool pumping;
    bool done;         /* the client has sent all */
    usec_t hungry_at;  /* since when it waits for keys for its rows (draw.h); 0: it does not */
    uint32_t key_want; /* how many are drawn next */
    size_t left;       /* of a CopyData that is not all there */
    uint64_t rows;
    uint32_t count;
    struct copy_part parts[];
};

void copy_in_free(struct copy_in *i)
{
    if (i == NULL)
        return;
    copy_split_free(i->split);
    copy_facts_free(i->facts);
    copy_fixed_free(i->fixed);
    free(i->sql);
    free(i);
}

/* --- its end --- */

static void end_part(struct copy_part *p, bool done)
{
    struct buf *in = arm_in(p->arm);

    if (p->ended || p->over || !p->wants || arm_is_gone(p->arm))
        return;
    p->ended = true;
    size_t mark = msg_begin(in, done ? 'c' : 'f');
    if (!done)
        buf_put_cstr(in, "the COPY has failed");
    msg_end(in, mark);
    arm_go(p->arm);
}

static void end_parts(struct copy_in *i, bool done)
{
    for (uint32_t k = 0; k < i->count; k++)
        if (i->parts[k].arm != NULL)
            end_part(&i->parts[k], done);
}

static void fail(struct copy_in *i, const void *message, size_t len)
{
    if (i->failed)
        return;
    i->failed = true;
    whole_send_error(i->c, message, len);
    end_parts(i, false);
}

static void fail_by_own(struct copy_in *i, const char *sqlstate, const char *text, const char *hint)
{
    struct buf message = {0};

    msg_error(&message, "ERROR", sqlstate, text, NULL, hint);
    fail(i, buf_head(&message), buf_used(&message));
    buf_free(&message);
}

/* Of a table that lies everywhere, all shards have got the same rows. */
static void count_copies(struct copy_in *i)
{
    i->rows = i->parts[0].rows;
    for (uint32_t k = 1; k < i->count && !i->failed; k++)
        if (i->parts[k].rows != i->rows)
            fail_by_own(i, "55000", "the shards have taken different numbers of rows",
                        "Something has written to one of them alone. Make their rows equal again.");
}

static void end_if_over(struct copy_in *i)
{
    char tag[40];

    for (uint32_t k = 0; k < i->count; k++)
        if (i->parts[k].arm != NULL && !i->parts[k].over)
            return;
    if (i->facts != NULL)
        count_copies(i);
    snprintf(tag, sizeof tag, "COPY %" PRIu64, i->rows);
    i->c->stream_left = i->left; /* the rest of a CopyData that an error has overtaken goes nowhere */
    i->c->stream_drop = i->left > 0;
    joint_dealt(i->c, i->failed, tag);
}

/* --- errors --- */

/* "COPY t, line 7, column x": with the client's line. */
static void put_context(struct buf *out, const struct copy_in *i, uint32_t shard, const char *text)
{
    const char *at = strstr(text, ", line ");
    const char *digits = at == NULL ? NULL : at + 7;
    uint64_t line = digits == NULL ? 0 : copy_split_line(i->split, shard, strtoull(digits, NULL, 10));
    char number[24];

    if (line == 0) {
        buf_put_cstr(out, text);
        return;
    }
    snprintf(number, sizeof number, "%" PRIu64, line);
    buf_put(out, text, (size_t)(digits - text));
    buf_put(out, number, strlen(number));
    buf_put_cstr(out, digits + strspn(digits, "0123456789"));
}

static void fail_by(struct copy_in *i, const struct copy_part *p, struct span message)
{
    struct reader r = reader_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER);
    struct buf out = {0};
    size_t mark = msg_begin(&out, 'E');
    uint8_t field;

    while ((field = reader_u8(&r)) != 0 && !r.bad) {
        const char *text = reader_cstr(&r);
        buf_put_u8(&out, field);
        if (field == 'W')
            put_context(&out, i, p->arm->shard, text);
        else
            buf_put_cstr(&out, field == 'S' || field == 'V' ? "ERROR" : text); /* an arm's end is not the client's */
    }
    buf_put_u8(&out, 0);
    msg_end(&out, mark);
    fail(i, buf_head(&out), buf_used(&out));
    buf_free(&out);
}

static void fail_unsure(struct copy_in *i)
{
    char text[200];

    bool copies = i->facts != NULL;

    snprintf(text, sizeof text, "COPY, line %" PRIu64 ": %s%s", i->split->why_line,
             copies ? "" : "it is not known on which shard the row lies: ", i->split->why);
    fail_by_own(i, "0A000", text,
                copies ? "Write the time itself." : "Write each row with its key, in its plain form.");
}

/* --- what the arms are answered --- */

static void on_wanted(struct copy_in *i, struct copy_part *p, struct span message)
{
    p->wants = true;
    if (i->failed) {
        end_part(p, false);
        return;
    }
    for (uint32_t k = 0; k < i->count; k++)
        if (i->parts[k].arm != NULL && !i->parts[k].wants)
            return;
    i->copying = true;
    conn_send(&i->c->conn, message.ptr, message.len);
    conn_resume(&i->c->conn);
    client_wake(i->c);
}

static void on_tag(struct copy_in *i, struct copy_part *p, struct span body)
{
    char text[64];
    char *number;

    snprintf(text, sizeof text, "%.*s", (int)body.len, (const char *)body.ptr);
    number = strrchr(text, ' ');
    if (number != NULL)
        p->rows = strtoull(number, NULL, 10);
    i->rows += p->rows;
    if (i->unsure)
        fail_unsure(i);
}

static void start(struct copy_in *i)
{
    for (uint32_t k = 0; k < i->count; k++) {
        msg_query(arm_in(i->parts[k].arm), i->sql);
        arm_go(i->parts[k].arm);
    }
}

static void heed_facts(struct copy_in *i)
{
    const char *bar = copy_facts_bar(i->facts);
    char text[400];

    i->split->timed = copy_facts_timed(i->facts, &i->split->timed_count);
    if (i->failed || bar == NULL)
        return;
    snprintf(text, sizeof text, "COPY into \"%s\", which lies on all shards: %s", i->split->table->name, bar);
    fail_by_own(i, "0A000", text, "Name the column, and give its values; or INSERT the rows.");
}

/* A row of what was asked for. */
static void on_fact(struct copy_in *i, struct span body)
{
    const char *bar = NULL;

    if (i->facts != NULL)
        copy_facts_row(i->facts, body);
    else
        bar = copy_fixed_row(i->fixed, i->split, body);
    if (bar != NULL)
        fail_by_own(i, "0A000", bar, "Name the column, and give its values; or INSERT the rows.");
}

/* The home shard has said what that table is, or what defaults are. */
static void after_asking(struct copy_in *i)
{
    i->asking = false;
    if (i->facts != NULL)
        heed_facts(i);
    for (uint32_t k = 0; k < i->count && i->failed; k++)
        i->parts[k].over = true;
    if (!i->failed)
        start(i);
}

static void on_message(struct copy_in *i, struct copy_part *p, uint8_t type, struct span message)
{
    if (i->asking && type != 'E') {
        if (type == 'D')
            on_fact(i, span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER));
        else if (type == 'Z')
            after_asking(i);
        return;
    }
    switch (type) {
    case 'G':
        on_wanted(i, p, message);
        break;
    case 'C':
        on_tag(i, p, span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER));
        break;
    case 'E':
        fail_by(i, p, message);
        break;
    case 'Z':
        p->over = true;
        break;
    default:
        break;
    }
}

static void part_take(struct copy_in *i, struct copy_part *p)
{
    struct span message;
    uint8_t type;

    while (!p->over && arm_next(p->arm, &type, &message)) {
        on_message(i, p, type, message);
        arm_taken(p->arm, message);
    }
    if (arm_is_gone(p->arm) && !p->over) {
        p->over = true;
        for (uint32_t k = 0; k < i->count && i->asking; k++)
            i->parts[k].over = true;
        fail_by_own(i, "08006", "a shard's connection was lost", NULL);
    }
}

static bool is_hungry(struct copy_in *i);

void copy_in_pump(struct copy_in *i)
{
    if (i->pumping)
        return;
    i->pumping = true;
    for (uint32_t k = 0; k < i->count; k++)
        if (i->parts[k].arm != NULL)
            part_take(i, &i->parts[k]);
    i->pumping = false;
    is_hungry(i);
    end_if_over(i);
}

static void part_output(struct arm *a)
{
    copy_in_pump(((struct copy_part *)a->owner)->in);
}

static void part_fed(struct arm *a)
{
    struct client *c = ((struct copy_part *)a->owner)->in->c;

    conn_resume(&c->conn);
    client_wake(c);
}

static const struct arm_user part_user = {.output = part_output, .fed = part_fed};

void copy_in_cancel(struct copy_in *i)
{
    fail_by_own(i, "57014", "canceling statement due to user request", NULL);
}

/* --- the data --- */

static bool is_ahead(const struct copy_in *i)
{
    for (uint32_t k = 0; k < i->count; k++)
        if (i->parts[k].arm != NULL && !arm_is_gone(i->parts[k].arm) && buf_used(arm_in(i->parts[k].arm)) > AHEAD_BYTES)
            return true;
    return false;
}

static void hand_out(struct copy_in *i)
{
    for (uint32_t k = 0; k < i->count; k++) {
        struct buf *out = &i->split->outs[k];
        struct copy_part *p = &i->parts[k];
        if (buf_used(out) == 0)
            continue;
        if (p->arm != NULL && !p->ended && !p->over && !arm_is_gone(p->arm)) {
            struct buf *in = arm_in(p->arm);
            size_t mark = msg_begin(in, 'd');
            buf_put(in, buf_head(out), buf_used(out));
            msg_end(in, mark);
            arm_go(p->arm);
        }
        buf_consume(out, buf_used(out));
    }
}

/* What the split says of the rows so far. */
static void heed(struct copy_in *i, enum copy_result result)
{
    if (result == COPY_BROKEN)
        fail_by_own(i, i->split->error.sqlstate, i->split->error.message, i->split->error.hint);
    hand_out(i);
    if (UNLIKELY(result == COPY_WANTS))
        i->hungry_at = i->c->worker->loop.now;
    if (result != COPY_UNSURE)
        return;
    i->unsure = true; /* that shard may have an error for it; else we have */
    end_part(&i->parts[i->split->unsure], true);
}

static bool takes_data(const struct copy_in *i)
{
    return i->copying && !i->failed && !i->unsure;
}

static void on_data(struct copy_in *i, const uint8_t *p, size_t len)
{
    if (takes_data(i))
        heed(i, copy_split_feed(i->split, p, len));
}

static void end_if_done(struct copy_in *i)
{
    if (i->done && takes_data(i) && i->hungry_at == 0)
        end_parts(i, true);
}

static void on_done(struct copy_in *i)
{
    if (!takes_data(i))
        return;
    i->done = true;
    heed(i, copy_split_end(i->split));
    end_if_done(i);
}

/* Its rows wait for keys. */
static void feed_keys(struct copy_in *i)
{
    struct client *c = i->c;
    struct draw_answer drawn = draw_keys(c, i->split->table, i->key_want);

    if (drawn.is_own) {
        fail_by_own(i, "0A000", draw_own_refusal, draw_own_hint);
        return;
    }
    if (drawn.error[0] != '\0' || c->worker->loop.now - i->hungry_at > PATIENCE_USEC) {
        fail_by_own(i, "57P03", "the rows' keys could not be drawn on the first shard", "Try again.");
        return;
    }
    if (drawn.keys == NULL) {
        if (list_empty(&c->fresh_node))
            list_push_back(&c->worker->unfresh, &c->fresh_node);
        return;
    }
    for (uint32_t k = 0; k < i->key_want; k++)
        copy_split_give(i->split, drawn.keys[k]);
    draw_used(c);
    i->key_want = MIN(2 * i->key_want, KEYS_MAX);
    i->hungry_at = 0;
    heed(i, copy_split_go_on(i->split));
    end_if_done(i);
}

static bool is_hungry(struct copy_in *i)
{
    while (i->hungry_at != 0 && takes_data(i)) {
        usec_t before = i->hungry_at;
        uint32_t want = i->key_want;
        feed_keys(i);
        if (i->hungry_at == before && i->key_want == want)
            return takes_data(i);
    }
    return false;
}

/* CopyFail: the servers say what PostgreSQL says. */
static void on_fail(struct copy_in *i, const uint8_t *p, size_t len)
{
    for (uint32_t k = 0; takes_data(i) && k < i->count; k++) {
        struct copy_part *part = &i->parts[k];
        if (part->arm == NULL || part->ended || part->over)
            continue;
        part->ended = true;
        buf_put(arm_in(part->arm), p, len);
        arm_go(part->arm);
    }
}

/* A message at the head. Returns its length, 0: it is not all there, or is no business of COPY's. */
static size_t take_message(struct copy_in *i, const uint8_t *p, size_t len)
{
    struct frame f;
    const char *why;

    if (frame_next(FROM_CLIENT, p, len, &f, &why) != PARSE_OK)
        return 0;
    if (f.type == 'd') {
        size_t have = MIN(f.total, len);
        i->left = f.total - have;
        on_data(i, p + FRAME_HEADER, have - FRAME_HEADER);
        return have;
    }
    if (f.total > len || (f.type != 'c' && f.type != 'f' && f.type != 'H' && f.type != 'S'))
        return 0;
    if (i->extended && i->failed && f.type == 'S')
        return 0; /* it ends what is passed over */
    i->sent = f.type == 'c' || f.type == 'f';
    if (f.type == 'c')
        on_done(i);
    else if (f.type == 'f')
        on_fail(i, p, f.total);
    return f.total;
}

size_t copy_in_input(struct copy_in *i, const uint8_t *p, size_t len)
{
    size_t used = 0;

    while (used < len && i->copying && !is_ahead(i) && !is_hungry(i) && !(i->extended && i->sent)) {
        size_t n = MIN(i->left, len - used);
        if (n > 0) {
            on_data(i, p + used, n);
            i->left -= n;
        } else {
            n = take_message(i, p + used, len - used);
        }
        if (n == 0)
            break;
        used += n;
    }
    if (is_ahead(i))
        conn_pause(&i->c->conn);
    return used;
}

/* --- beginning --- */

/* What each shard runs. */
static char *text_of(const struct copy_in *i, const struct request *q)
{
    unsigned flags = client_lex_flags(i->c);
    char *sql = i->fixed == NULL ? mem_strdup(q->run.sql) : copy_fixed_sql(i->fixed, mem_strdup(q->run.sql), flags);
    char *given = i->split->gives ? copy_given_sql(sql, i->split->table->column, flags) : NULL;

    if (given == NULL)
        return sql;
    free(sql);
    return given;
}

/* What is to be known before the rows may come; false: nothing. */
static bool ask_first(struct copy_in *i, const struct request *q, struct arm *home)
{
    if (i->split->table->way == MAP_EVERYWHERE) {
        i->facts = copy_facts_new(request_stmt(q));
        copy_facts_ask(i->facts, arm_in(home));
    } else if (i->fixed != NULL) {
        copy_fixed_ask(i->fixed, i->split->format.kind == COPY_KIND_BINARY, arm_in(home));
    } else {
        return false;
    }
    i->asking = true;
    arm_go(home);
    return true;
}

struct copy_in *copy_in_new(struct client *c, const struct request *q, struct arm *const *arms)
{
    struct copy_split *split = sharding_copy(c, &q->run);
    const struct map *map = __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE);
    struct copy_in *i;

    if (split == NULL)
        return NULL;
    i = mem_zalloc(sizeof *i + map->shard_count * sizeof(struct copy_part));
    *i = (struct copy_in){.c = c, .split = split, .count = map->shard_count};
    i->fixed = copy_fixed_new(c, q);
    i->sql = text_of(i, q);
    i->key_want = (uint32_t)MIN(c->worker->config->opt.sequence_block, KEYS_MAX);
    i->extended = !q->simple;
    request_begin(c, q);
    if (i->extended && q->describes)
        msg_empty(&c->conn.out, 'n');
    split->row_max = ROW_BYTES_MAX;
    for (uint32_t k = 0; k < i->count; k++) {
        struct copy_part *p = &i->parts[k];
        *p = (struct copy_part){.arm = arms[k], .in = i};
        p->arm->user = &part_user;
        p->arm->owner = p;
    }
    if (!ask_first(i, q, arms[0]))
        start(i);
    return i;
}
