/*
 * merge.c: see merge.h.
 * Thread: any (no state).
 */
#include "shard/merge_parts.h"

#include "parser/msgout.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define COLUMN_REST_BYTES 18 /* of a RowDescription's column, behind its name */
#define NULL_LENGTH UINT32_MAX

bool merge_fail(struct merge *m, const char *sqlstate, const char *hint, const char *fmt, ...)
{
    va_list args;

    m->failed = true;
    memcpy(m->error.sqlstate, sqlstate, sizeof m->error.sqlstate);
    va_start(args, fmt);
    vsnprintf(m->error.message, sizeof m->error.message, fmt, args);
    va_end(args);
    m->error.hint = hint;
    return false;
}

const struct merge_error *merge_error_of(const struct merge *m)
{
    return m->failed ? &m->error : NULL;
}

/* --- life --- */

struct merge *merge_new(const struct scatter_plan *p, const struct merge_options *o)
{
    struct merge *m = mem_zalloc(sizeof *m);
    uint16_t *formats = mem_zalloc(MAX(o->format_count, 1) * sizeof *formats);

    m->p = p;
    m->o = *o;
    if (o->format_count > 0)
        memcpy(formats, o->formats, o->format_count * sizeof *formats);
    m->o.formats = formats;
    m->sources = mem_zalloc(MAX(o->shard_count, 1) * sizeof *m->sources);
    m->ways = mem_zalloc(MAX(p->order_count, 1) * sizeof *m->ways);
    for (uint32_t i = 0; i < o->shard_count; i++)
        m->sources[i].keys = mem_zalloc(MAX(p->order_count, 1) * sizeof(field));
    if (p->mode == SCATTER_COMBINE || p->mode == SCATTER_GROUP)
        m->groups = groups_new();
    return m;
}

void merge_free(struct merge *m)
{
    if (m == NULL)
        return;
    if (m->groups != NULL)
        groups_free(m);
    for (uint32_t i = 0; i < m->o.shard_count; i++) {
        buf_free(&m->sources[i].rows);
        free(m->sources[i].keys);
    }
    buf_free(&m->ready);
    free((void *)(uintptr_t)m->o.formats);
    free(m->sources);
    free(m->columns);
    free(m->ways);
    free(m);
}

/* --- formats --- */

void merge_put_formats(const struct scatter_plan *p, const uint16_t *formats, size_t format_count, size_t visible_count,
                       struct buf *out)
{
    if (p->hidden_count == 0) {
        buf_put_u16(out, (uint16_t)format_count);
        for (size_t i = 0; i < format_count; i++)
            buf_put_u16(out, formats[i]);
        return;
    }
    buf_put_u16(out, (uint16_t)(visible_count + p->hidden_count));
    for (size_t i = 0; i < visible_count; i++)
        buf_put_u16(out, format_count == 0 ? 0 : formats[format_count == 1 ? 0 : MIN(i, format_count - 1)]);
    for (size_t i = 0; i < p->hidden_count; i++)
        buf_put_u16(out, 1);
}

uint16_t merge_format(const struct merge *m, size_t column)
{
    if (column >= m->visible_count)
        return 1;
    if (m->o.format_count == 0)
        return 0;
    return m->o.formats[m->o.format_count == 1 ? 0 : MIN(column, m->o.format_count - 1)];
}

/* Groups are made of all rows at once. */
static bool holds_rows(const struct merge *m)
{
    bool holds = m->ready_count > 0;

    for (uint32_t i = 0; i < m->o.shard_count; i++)
        holds = holds || m->sources[i].row_count > 0 || (m->groups != NULL && m->sources[i].ended);
    return holds;
}

bool merge_reformat(struct merge *m, const uint16_t *formats, size_t format_count)
{
    bool held = holds_rows(m);
    uint16_t *copy = mem_zalloc(MAX(format_count, 1) * sizeof *copy);

    if (format_count > 0)
        memcpy(copy, formats, format_count * sizeof *copy);
    struct merge wanted = *m;
    wanted.o.formats = copy;
    wanted.o.format_count = format_count;
    for (size_t i = 0; i < m->visible_count && held; i++) {
        if (merge_format(&wanted, i) == merge_format(m, i))
            continue;
        free(copy);
        return false;
    }
    free((void *)(uintptr_t)m->o.formats);
    m->o = wanted.o;
    return true;
}

/* --- descriptions --- */

struct described {
    const char *name;
    struct span rest;
    struct column column;
};

static bool read_described(struct reader *r, struct described *d)
{
    d->name = reader_cstr(r);
    d->rest = reader_bytes(r, COLUMN_REST_BYTES);
    if (r->bad)
        return false;
    d->column.type = be32_at(d->rest.ptr + 6);
    d->column.modifier = (int32_t)be32_at(d->rest.ptr + 12);
    return true;
}

static bool read_columns(struct merge *m, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);
    size_t count = reader_u16(&r);
    struct described d;

    if (count < m->p->hidden_count || (m->p->target_count > 0 && count != m->p->target_count + m->p->hidden_count))
        return merge_fail(m, "XX000", NULL, "a shard answers with %zu columns", count);
    m->column_count = count;
    m->visible_count = count - m->p->hidden_count;
    m->columns = mem_zalloc(MAX(count, 1) * sizeof *m->columns);
    for (size_t i = 0; i < count; i++) {
        if (!read_described(&r, &d))
            return merge_fail(m, "08P01", NULL, "a shard's RowDescription is malformed");
        m->columns[i] = d.column;
    }
    return reader_done(&r) || merge_fail(m, "08P01", NULL, "a shard's RowDescription is malformed");
}

/* Types that users made have other numbers elsewhere; in text that is no matter. */
static bool check_columns(struct merge *m, uint32_t shard, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);
    struct described d;

    if (reader_u16(&r) != m->column_count)
        return merge_fail(m, "0A000", "SHOW DRIFT tells what differs.", "shards answer with different columns");
    for (size_t i = 0; i < m->column_count; i++) {
        if (!read_described(&r, &d))
            return merge_fail(m, "08P01", NULL, "a shard's RowDescription is malformed");
        bool own = d.column.type >= 16384 && m->columns[i].type >= 16384 && merge_format(m, i) == 0;
        if (d.column.type != m->columns[i].type && !own)
            return merge_fail(m, "0A000", "SHOW DRIFT tells what differs.",
                              "column \"%.60s\" of shard %" PRIu32 " has another type", d.name, shard);
    }
    return true;
}

/* What is ordered by must be of a type that can be compared here. */
static bool check_orders(struct merge *m)
{
    for (size_t i = 0; i < m->p->order_count; i++) {
        const struct scatter_order *o = &m->p->orders[i];
        if (o->by_output)
            continue;
        m->ways[i] = compare_way_of(m->columns[m->visible_count + o->index].type, o->bytewise);
        if (m->ways[i] == COMPARE_NOT)
            return merge_fail(m, "0A000", "A text can be merged under COLLATE \"C\".",
                              "shards' rows cannot be merged in the order of type %" PRIu32,
                              m->columns[m->visible_count + o->index].type);
    }
    return true;
}

static void put_description(const struct merge *m, struct span body, struct buf *out)
{
    struct reader r = reader_of(body.ptr, body.len);
    size_t mark = msg_begin(out, 'T');
    struct described d;

    reader_u16(&r);
    buf_put_u16(out, (uint16_t)m->visible_count);
    for (size_t i = 0; i < m->visible_count && read_described(&r, &d); i++) {
        buf_put_cstr(out, d.name);
        buf_put(out, d.rest.ptr, d.rest.len - 2);
        buf_put_u16(out, merge_format(m, i));
    }
    msg_end(out, mark);
}

bool merge_describe(struct merge *m, uint32_t shard, struct span body, struct buf *out)
{
    bool first = !m->described;

    if (m->failed)
        return false;
    if (first ? !read_columns(m, body) : !check_columns(m, shard, body))
        return false;
    m->described = true;
    m->sources[shard].described = true;
    if (first && (!check_orders(m) || (m->groups != NULL && !groups_check(m))))
        return false;
    if (out != NULL)
        put_description(m, body, out);
    return true;
}

/* --- rows --- */

bool merge_fields(struct span body, field *fields, size_t count)
{
    struct reader r = reader_of(body.ptr, body.len);

    if (reader_u16(&r) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        uint32_t len = reader_u32(&r);
        fields[i] = len == NULL_LENGTH ? field_null() : reader_bytes(&r, len);
    }
    return reader_done(&r);
}

/* Fields from a column on, without looking at those before it more than needed. *visible: bytes of those. */
static bool read_from(const struct merge *m, struct span body, size_t first, field *fields, size_t *visible)
{
    struct reader r = reader_of(body.ptr, body.len);

    if (reader_u16(&r) != m->column_count)
        return false;
    for (size_t i = 0; i < m->column_count; i++) {
        if (i == first)
            *visible = (size_t)(r.at - body.ptr) - 2;
        uint32_t len = reader_u32(&r);
        field f = len == NULL_LENGTH ? field_null() : reader_bytes(&r, len);
        if (i >= first && fields != NULL)
            fields[i - first] = f;
    }
    if (first == m->column_count)
        *visible = (size_t)(r.at - body.ptr) - 2;
    return reader_done(&r);
}

/* A DataRow of a shard's, without its hidden columns. */
static void put_visible(const struct merge *m, struct span body, size_t visible, struct buf *out)
{
    size_t mark = msg_begin(out, 'D');

    buf_put_u16(out, (uint16_t)m->visible_count);
    buf_put(out, body.ptr + 2, visible);
    msg_end(out, mark);
}

/* True if the next row is passed over by OFFSET. */
static bool skips(struct merge *m)
{
    if (m->skipped >= (uint64_t)MAX(m->o.offset, 0))
        return false;
    m->skipped++;
    return true;
}

static uint64_t rows_left(const struct merge *m, uint64_t already)
{
    return m->o.limit < 0 ? UINT64_MAX : (uint64_t)m->o.limit - MIN((uint64_t)m->o.limit, already);
}

static bool add_concat(struct merge *m, struct span body)
{
    size_t visible = 0;

    if (rows_left(m, m->given + m->ready_count) == 0 || skips(m))
        return true;
    if (!read_from(m, body, m->visible_count, NULL, &visible))
        return merge_fail(m, "08P01", NULL, "a shard's DataRow is malformed");
    put_visible(m, body, visible, &m->ready);
    m->ready_count++;
    return true;
}

/* Finds the keys of the first row that a source holds. */
static bool read_keys(struct merge *m, struct source *s)
{
    struct span body = span_of(buf_head(&s->rows) + 4, be32_at(buf_head(&s->rows)));
    field hidden[m->p->hidden_count + 1];
    size_t visible;

    if (!read_from(m, body, m->visible_count, hidden, &visible))
        return merge_fail(m, "08P01", NULL, "a shard's DataRow is malformed");
    for (size_t i = 0; i < m->p->order_count; i++)
        s->keys[i] = hidden[m->p->orders[i].index];
    s->has_keys = true;
    return true;
}

static void add_queued(struct source *s, struct span body)
{
    buf_put_u32(&s->rows, (uint32_t)body.len);
    buf_put(&s->rows, body.ptr, body.len);
    s->row_count++;
    s->has_keys = false; /* the buffer may have moved */
}

bool merge_row(struct merge *m, uint32_t shard, struct span body)
{
    if (m->failed)
        return false;
    if (!m->described)
        return merge_fail(m, "08P01", NULL, "a shard sends rows that it has not described");
    if (m->groups != NULL)
        return groups_add(m, shard, body);
    if (m->p->mode == SCATTER_CONCAT)
        return add_concat(m, body);
    if (rows_left(m, m->given) > 0)
        add_queued(&m->sources[shard], body);
    return true;
}

static bool all_ended(const struct merge *m)
{
    for (uint32_t i = 0; i < m->o.shard_count; i++)
        if (!m->sources[i].ended)
            return false;
    return true;
}

bool merge_end(struct merge *m, uint32_t shard)
{
    if (m->failed)
        return false;
    m->sources[shard].ended = true;
    return m->groups == NULL || !all_ended(m) || groups_finish(m);
}

bool merge_wants(const struct merge *m, uint32_t shard)
{
    const struct source *s = &m->sources[shard];

    if (s->ended || m->failed)
        return false;
    if (m->groups != NULL)
        return true;
    if (m->p->mode == SCATTER_CONCAT)
        return buf_used(&m->ready) < m->o.cap_bytes;
    return s->row_count == 0 || buf_used(&s->rows) < m->o.cap_bytes / m->o.shard_count;
}

/* --- order --- */

int merge_nulls(const struct scatter_order *o, bool a_null, bool b_null)
{
    return a_null == b_null ? 0 : a_null == o->nulls_first ? -1 : 1;
}

int merge_compare(const struct scatter_order *o, enum compare_way way, field a, field b)
{
    int order;

    if (a.ptr == NULL || b.ptr == NULL)
        return merge_nulls(o, a.ptr == NULL, b.ptr == NULL);
    order = compare_values(way, a, b);
    return o->descending ? -order : order;
}

static bool comes_before(const struct merge *m, const struct source *a, const struct source *b)
{
    for (size_t i = 0; i < m->p->order_count; i++) {
        int order = merge_compare(&m->p->orders[i], m->ways[i], a->keys[i], b->keys[i]);
        if (order != 0)
            return order < 0;
    }
    return false;
}

/* The source whose row is next; of equal ones the first. NULL: one must show its next row first (*waits), or all have
 * ended, or it failed. */
static struct source *first_source(struct merge *m, bool *waits)
{
    struct source *first = NULL;

    *waits = false;
    for (uint32_t i = 0; i < m->o.shard_count; i++) {
        struct source *s = &m->sources[i];
        if (s->row_count == 0) {
            *waits = *waits || !s->ended;
            continue;
        }
        if (!s->has_keys && !read_keys(m, s))
            return NULL;
        if (first == NULL || comes_before(m, s, first))
            first = s;
    }
    return *waits ? NULL : first;
}

static void drop_row(struct source *s)
{
    buf_consume(&s->rows, 4 + be32_at(buf_head(&s->rows)));
    s->row_count--;
    s->has_keys = false;
}

static bool next_ordered(struct merge *m, struct buf *out, bool *waits)
{
    struct source *s = first_source(m, waits);
    size_t visible;

    if (s == NULL)
        return false;

    struct span body = span_of(buf_head(&s->rows) + 4, be32_at(buf_head(&s->rows)));

    if (!skips(m)) {
        read_from(m, body, m->visible_count, NULL, &visible);
        put_visible(m, body, visible, out);
        m->given++;
    }
    drop_row(s);
    return true;
}

/* --- what is given --- */

static bool next_concat(struct merge *m, struct buf *out, bool *waits)
{
    size_t size_bytes;

    *waits = !all_ended(m);
    if (m->ready_count == 0)
        return false;
    size_bytes = 1 + be32_at(buf_head(&m->ready) + 1);
    buf_put(out, buf_head(&m->ready), size_bytes);
    buf_consume(&m->ready, size_bytes);
    m->ready_count--;
    m->given++;
    return true;
}

static bool next_group(struct merge *m, struct buf *out, bool *waits)
{
    bool skip = m->skipped < (uint64_t)MAX(m->o.offset, 0);

    *waits = !all_ended(m);
    if (*waits || !groups_next(m, out, skip))
        return false;
    if (skip)
        m->skipped++;
    else
        m->given++;
    return true;
}

static bool next_row(struct merge *m, struct buf *out, bool *waits)
{
    if (m->groups != NULL)
        return next_group(m, out, waits);
    return m->p->mode == SCATTER_ORDER ? next_ordered(m, out, waits) : next_concat(m, out, waits);
}

enum merge_status merge_take(struct merge *m, struct buf *out, uint64_t rows_max, size_t bytes_max)
{
    uint64_t begun = m->given;
    bool waits = false;

    while (!m->failed) {
        if (rows_left(m, m->given) == 0)
            return MERGE_DONE;
        if ((rows_max > 0 && m->given - begun >= rows_max) || buf_used(out) >= bytes_max)
            return MERGE_MORE;
        if (!next_row(m, out, &waits))
            break;
    }
    if (m->failed)
        return MERGE_FAILED;
    return waits ? MERGE_WAIT : MERGE_DONE;
}

bool merge_lacks(const struct merge *m, uint32_t shard)
{
    const struct source *s = &m->sources[shard];
    uint64_t held = m->p->mode == SCATTER_ORDER ? s->row_count : m->ready_count;

    return !s->ended && !m->failed && (m->groups != NULL || held == 0);
}

uint64_t merge_untold(const struct merge *m)
{
    return m->given - m->told;
}

void merge_are_told(struct merge *m)
{
    m->told = m->given;
}

uint64_t merge_tag(struct merge *m, struct buf *out)
{
    uint64_t rows = m->given - m->told;
    char tag[40];

    snprintf(tag, sizeof tag, "SELECT %" PRIu64, rows);
    m->told = m->given;
    msg_command_complete(out, tag);
    return rows;
}
