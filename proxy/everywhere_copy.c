/*
 * everywhere_copy.c: images on another shard: each is a Bind and an Execute of one statement, which must touch one row.
 * A row that is not there may be one of a transaction that is committed on the home shard and only prepared here: as
 * long as anything is prepared here, it is looked for again.
 * Thread: worker.
 */
#include "proxy/everywhere_parts.h"

#include "parser/msgout.h"

#define SYNC_BYTES ((size_t)64 * 1024)   /* behind which a Sync goes, so that answers come */
#define AHEAD_BYTES ((size_t)256 * 1024) /* that are not answered yet */
#define AGAIN_USEC (USEC_PER_SEC / 10)
#define PATIENCE_USEC (30 * USEC_PER_SEC) /* where others are prepared all the time */

static const char prepared[] = "SELECT count(*) FROM pg_catalog.pg_prepared_xacts WHERE database = "
                               "pg_catalog.current_database()";

static void put_sync(struct copy *y)
{
    msg_empty(arm_in(y->arm), 'S');
    y->awaited++;
    y->ahead = 0;
}

static void put_image(struct copy *y, struct span image)
{
    struct buf *in = arm_in(y->arm);

    if (!y->parsed)
        msg_parse(in, "", y->sql, span_of(NULL, 0));
    y->parsed = true;
    buf_put(in, image.ptr, image.len);
    buf_put_u32(&y->sent, (uint32_t)image.len);
    buf_put(&y->sent, image.ptr, image.len);
    y->ahead += image.len;
    if (y->ahead >= SYNC_BYTES)
        put_sync(y);
}

void copy_put(struct copy *y, struct span image)
{
    put_image(y, image);
    arm_go(y->arm);
}

bool copy_is_full(const struct copy *y)
{
    return buf_used(&y->sent) > AHEAD_BYTES;
}

void copy_sync(struct copy *y)
{
    if (y->ahead == 0 || arm_is_gone(y->arm))
        return;
    put_sync(y);
    arm_go(y->arm);
}

/* --- what it answers --- */

static struct span first_sent(const struct copy *y)
{
    return span_of(buf_head(&y->sent) + 4, be32_at(buf_head(&y->sent)));
}

/* "UPDATE 1": the number behind the last blank. */
static enum copy_answer on_tag(struct copy *y, struct span body)
{
    size_t at = body.len;

    if (y->counts) {
        y->counts = false;
        return COPY_FINE;
    }
    if (y->failed || buf_used(&y->sent) == 0)
        return COPY_FINE;
    while (at > 0 && body.ptr[at - 1] != ' ')
        at--;
    struct span image = first_sent(y);
    if (strcmp((const char *)body.ptr + at, "0") == 0) {
        buf_put_u32(&y->missed, (uint32_t)image.len);
        buf_put(&y->missed, image.ptr, image.len);
    } else if (strcmp((const char *)body.ptr + at, "1") != 0) {
        return COPY_DRIFTED;
    }
    buf_consume(&y->sent, image.len + 4);
    return COPY_FINE;
}

/* A row of one column, the number of what is prepared. */
static void on_count(struct copy *y, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);

    reader_u16(&r);
    struct span text = reader_bytes(&r, reader_u32(&r));
    y->waits = !span_equal(text, span_of("0", 1));
}

enum copy_answer copy_take(struct copy *y, uint8_t type, struct span message)
{
    struct span body = span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER);

    if (type == 'C' && body.len > 0 && body.ptr[body.len - 1] == '\0')
        return on_tag(y, body);
    if (type == 'D')
        on_count(y, body);
    if (type == 'Z')
        y->awaited--;
    y->failed = y->failed || type == 'E';
    return type == 'E' ? COPY_ERROR : COPY_FINE;
}

bool copy_is_over(const struct copy *y)
{
    return y->awaited == 0 && y->ahead == 0 && (y->failed || buf_used(&y->missed) == 0);
}

/* --- once more --- */

static void put_count(struct copy *y)
{
    struct buf *in = arm_in(y->arm);

    msg_parse(in, "", prepared, span_of(NULL, 0));
    msg_bind(in, "", "");
    msg_execute(in, "");
    y->counts = true;
    y->parsed = false;
}

enum copy_answer copy_look_again(struct copy *y, usec_t now)
{
    struct buf missed = y->missed;

    if (y->failed || y->awaited > 0 || y->ahead > 0 || buf_used(&missed) == 0 || now < y->again_at)
        return COPY_FINE;
    if (y->missed_at > 0 && (!y->waits || now - y->missed_at > PATIENCE_USEC))
        return COPY_DRIFTED;
    y->missed_at = y->missed_at > 0 ? y->missed_at : now;
    y->again_at = now + AGAIN_USEC;
    y->missed = (struct buf){0};
    put_count(y);
    while (buf_used(&missed) > 0) {
        size_t len = be32_at(buf_head(&missed));
        put_image(y, span_of(buf_head(&missed) + 4, len));
        buf_consume(&missed, len + 4);
    }
    buf_free(&missed);
    if (y->ahead > 0)
        put_sync(y);
    arm_go(y->arm);
    return COPY_FINE;
}

void copy_free(struct copy *y)
{
    buf_free(&y->sent);
    buf_free(&y->missed);
}
