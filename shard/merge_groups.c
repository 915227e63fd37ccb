/*
 * merge_groups.c: rows of shards that become one: all of them (COMBINE), or those of equal group keys (GROUP).
 *
 *   slots[hash] -> group -> group      a group: its first row, and what each output has come to
 *
 * An output's value is computed from hidden columns, and shown in the type and format of the visible column. Where no
 * row had a value (all were NULL), the visible column of the first row says what is shown instead: NULL, or what
 * COALESCE puts in its place.
 * Thread: any (no state).
 */
#include "shard/merge_parts.h"

#include "parser/msgout.h"

#include <inttypes.h>
#include <stdio.h>

#define SLOTS_FIRST 256
#define GROUP_REST_BYTES 64 /* what the allocator takes besides */

/* What an output has come to. */
struct value {
    bool there;             /* a row had one that is not NULL */
    int64_t number;         /* COUNT; SUM of int8; AVG: how many; AND, OR */
    struct decimal decimal; /* SUM of numeric, AVG */
    uint8_t *best;          /* MIN, MAX: owned; the hidden value, then the visible one */
    size_t best_len;
    size_t shown_len;
    bool shown_null;
};

struct group {
    struct group *next; /* of its slot */
    uint64_t hash;
    uint32_t shard; /* of the last row */
    uint8_t *key;   /* owned */
    size_t key_len;
    uint8_t *row; /* owned: the body of its first row */
    size_t row_len;
    struct value values[]; /* as many as outputs */
};

struct groups {
    struct group **slots; /* owned */
    size_t slot_count;    /* a power of two */
    struct group **all;   /* owned; in order of arrival, then as ordered */
    size_t count;
    size_t room;
    size_t given;
    size_t held_bytes;
    struct buf key; /* scratch */
    field *fields;  /* scratch: as many as columns */
    field *others;  /* likewise */
};

struct groups *groups_new(void)
{
    struct groups *g = mem_zalloc(sizeof *g);

    g->slot_count = SLOTS_FIRST;
    g->slots = mem_zalloc(g->slot_count * sizeof *g->slots);
    return g;
}

static void group_free(const struct merge *m, struct group *group)
{
    for (size_t i = 0; i < m->p->output_count; i++) {
        decimal_free(&group->values[i].decimal);
        free(group->values[i].best);
    }
    free(group->key);
    free(group->row);
    free(group);
}

void groups_free(struct merge *m)
{
    struct groups *g = m->groups;

    for (size_t i = 0; i < g->count; i++)
        group_free(m, g->all[i]);
    buf_free(&g->key);
    free(g->fields);
    free(g->others);
    free(g->slots);
    free(g->all);
    free(g);
}

/* --- types --- */

static uint32_t hidden_type(const struct merge *m, size_t hidden)
{
    return m->columns[m->visible_count + hidden].type;
}

static bool is_integer(uint32_t type)
{
    return type == TYPE_INT2 || type == TYPE_INT4 || type == TYPE_INT8;
}

static bool is_plain_text(uint32_t type)
{
    return type == TYPE_TEXT || type == TYPE_VARCHAR;
}

/* The value can be computed from hidden columns of this type. */
static bool can_combine(const struct merge *m, const struct scatter_output *o)
{
    uint32_t type = hidden_type(m, o->hidden);

    switch (o->part) {
    case PART_COUNT:
        return type == TYPE_INT8;
    case PART_SUM:
    case PART_AVG:
        return type == TYPE_INT8 || type == TYPE_NUMERIC;
    case PART_MIN:
    case PART_MAX:
        return compare_way_of(type, o->bytewise) != COMPARE_NOT;
    case PART_AND:
    case PART_OR:
        return type == TYPE_BOOL;
    default:
        return true;
    }
}

/* And shown as the visible column is. */
static bool can_show(const struct merge *m, size_t output)
{
    const struct scatter_output *o = &m->p->outputs[output];
    const struct column *c = &m->columns[output];

    if (o->part == PART_PASS || o->part == PART_MIN || o->part == PART_MAX || output >= m->p->target_count)
        return true;
    if (o->part == PART_AND || o->part == PART_OR)
        return c->type == TYPE_BOOL;
    if (o->rounded)
        return c->type == TYPE_NUMERIC && c->modifier == -1;
    return is_integer(c->type) || ((c->type == TYPE_NUMERIC || is_plain_text(c->type)) && c->modifier == -1);
}

/* The order of an aggregate that something stands around is that of its own values where these are shown as they are:
 * numbers that are not rounded, and none that another value may stand for unseen. */
static bool can_order(const struct merge *m, const struct scatter_order *order)
{
    const struct scatter_output *o = &m->p->outputs[order->index];
    uint32_t hidden = hidden_type(m, o->hidden);
    uint32_t shown = order->index < m->visible_count ? m->columns[order->index].type : hidden;

    if (o->rounded)
        return o->part == PART_AVG || o->part == PART_SUM || o->part == PART_COUNT;
    if (!o->wrapped)
        return true;
    if (o->part != PART_COUNT && o->part != PART_SUM)
        return false;
    return hidden == TYPE_INT8 ? is_integer(shown) : shown == TYPE_NUMERIC;
}

static bool check_orders(struct merge *m)
{
    for (size_t i = 0; i < m->p->order_count; i++)
        if (m->p->orders[i].by_output && !can_order(m, &m->p->orders[i]))
            return merge_fail(m, "0A000", "Order by the aggregate itself.",
                              "groups cannot be put in the order of what stands around an aggregate");
    return true;
}

static bool check_keys(struct merge *m)
{
    for (size_t i = 0; i < m->p->group_count; i++)
        if (!compare_is_exact(hidden_type(m, i), m->p->group_exact[i]))
            return merge_fail(m, "0A000", "Group by the key, or hold it to one shard.",
                              "groups by type %" PRIu32 " cannot be put together from parts", hidden_type(m, i));
    return true;
}

bool groups_check(struct merge *m)
{
    struct groups *g = m->groups;

    g->fields = mem_zalloc(MAX(m->column_count, 1) * sizeof *g->fields);
    g->others = mem_zalloc(MAX(m->column_count, 1) * sizeof *g->others);
    for (size_t i = 0; i < m->p->output_count; i++) {
        const struct scatter_output *o = &m->p->outputs[i];
        if (!can_combine(m, o))
            return merge_fail(m, "0A000", "Group by the key, or hold it to one shard.",
                              "an aggregate of type %" PRIu32 " cannot be put together from parts",
                              hidden_type(m, o->hidden));
        if (!can_show(m, i))
            return merge_fail(m, "0A000", "Leave the cast out.",
                              "an aggregate that is cast to type %" PRIu32 " cannot be put together from parts",
                              m->columns[i].type);
    }
    return check_keys(m) && check_orders(m);
}

/* --- values --- */

static bool add_number(struct merge *m, struct value *v, int64_t more)
{
    if (__builtin_add_overflow(v->number, more, &v->number))
        return merge_fail(m, "22003", NULL, "bigint out of range");
    return true;
}

static bool add_decimal(struct merge *m, struct value *v, uint32_t type, field raw)
{
    struct decimal d = {.kind = DECIMAL_FINITE};

    if (type == TYPE_INT8)
        decimal_set_int(&d, compare_integer(raw));
    else if (!decimal_set_binary(&d, raw))
        merge_fail(m, "08P01", NULL, "a shard's numeric is malformed");
    decimal_add(&v->decimal, &d);
    decimal_free(&d);
    return !m->failed;
}

static void keep_best(struct merge *m, struct value *v, field hidden, field shown)
{
    m->groups->held_bytes += hidden.len + shown.len - (v->best == NULL ? 0 : v->best_len + v->shown_len);
    free(v->best);
    v->best = mem_alloc(hidden.len + shown.len + 1);
    memcpy(v->best, hidden.ptr, hidden.len);
    if (shown.len > 0)
        memcpy(v->best + hidden.len, shown.ptr, shown.len);
    v->best_len = hidden.len;
    v->shown_len = shown.len;
    v->shown_null = shown.ptr == NULL;
}

static void add_best(struct merge *m, struct value *v, const struct scatter_output *o, field hidden, field shown)
{
    enum compare_way way = compare_way_of(hidden_type(m, o->hidden), o->bytewise);
    int order = v->there ? compare_values(way, hidden, span_of(v->best, v->best_len)) : 0;

    if (!v->there || (o->part == PART_MIN ? order < 0 : order > 0))
        keep_best(m, v, hidden, shown);
}

/* One row's part of an output. */
static bool add_value(struct merge *m, struct value *v, size_t output)
{
    const struct scatter_output *o = &m->p->outputs[output];
    const field *hidden = m->groups->fields + m->visible_count;
    field raw = o->part == PART_PASS ? field_null() : hidden[o->hidden];
    field shown = output < m->visible_count ? m->groups->fields[output] : field_null();
    bool added = true;

    if (raw.ptr == NULL)
        return true;
    switch (o->part) {
    case PART_COUNT:
        added = add_number(m, v, compare_integer(raw));
        break;
    case PART_SUM:
        if (hidden_type(m, o->hidden) == TYPE_INT8)
            added = add_number(m, v, compare_integer(raw));
        else
            added = add_decimal(m, v, TYPE_NUMERIC, raw);
        break;
    case PART_AVG:
        added = add_decimal(m, v, hidden_type(m, o->hidden), raw) &&
                add_number(m, v, compare_integer(hidden[o->hidden + 1]));
        break;
    case PART_AND:
        v->number = (v->there ? v->number : 1) && compare_integer(raw) != 0;
        break;
    case PART_OR:
        v->number = v->number || compare_integer(raw) != 0;
        break;
    default:
        add_best(m, v, o, raw, shown);
        break;
    }
    v->there = true;
    return added;
}

/* --- groups --- */

/* Of the hidden columns that are keys: each one's length, all bits for NULL, and bytes. */
static void read_key(struct merge *m)
{
    struct groups *g = m->groups;

    buf_consume(&g->key, buf_used(&g->key));
    for (size_t i = 0; i < m->p->group_count; i++) {
        field f = g->fields[m->visible_count + i];
        buf_put_u32(&g->key, f.ptr == NULL ? UINT32_MAX : (uint32_t)f.len);
        if (f.ptr != NULL)
            buf_put(&g->key, f.ptr, f.len);
    }
}

static uint64_t hash_of(struct span key)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ key.ptr[i]) * UINT64_C(0x100000001b3);
    return hash ^ hash >> 32;
}

static struct group *find_group(const struct groups *g, uint64_t hash, struct span key)
{
    struct group *group = g->slots[hash & (g->slot_count - 1)];

    while (group != NULL && (group->hash != hash || !span_equal(span_of(group->key, group->key_len), key)))
        group = group->next;
    return group;
}

static void grow_slots(struct groups *g)
{
    size_t count = g->slot_count * 2;
    struct group **slots = mem_zalloc(count * sizeof *slots);

    for (size_t i = 0; i < g->count; i++) {
        struct group **slot = &slots[g->all[i]->hash & (count - 1)];
        g->all[i]->next = *slot;
        *slot = g->all[i];
    }
    free(g->slots);
    g->slots = slots;
    g->slot_count = count;
}

static struct span copy_of(struct span bytes)
{
    uint8_t *copy = mem_alloc(bytes.len + 1);

    if (bytes.len > 0)
        memcpy(copy, bytes.ptr, bytes.len);
    return span_of(copy, bytes.len);
}

static struct group *add_group(struct merge *m, uint64_t hash, struct span key, struct span body)
{
    struct groups *g = m->groups;
    size_t size_bytes = sizeof(struct group) + m->p->output_count * sizeof(struct value);
    struct group *group = mem_zalloc(size_bytes);
    struct span key_copy = copy_of(key);
    struct span row_copy = copy_of(body);

    if (g->count == g->room) {
        g->room = MAX(g->room * 2, SLOTS_FIRST);
        g->all = mem_realloc(g->all, g->room * sizeof *g->all);
    }
    if (g->count >= g->slot_count)
        grow_slots(g);
    group->hash = hash;
    group->key = (uint8_t *)(uintptr_t)key_copy.ptr;
    group->key_len = key_copy.len;
    group->row = (uint8_t *)(uintptr_t)row_copy.ptr;
    group->row_len = row_copy.len;
    group->next = g->slots[hash & (g->slot_count - 1)];
    g->slots[hash & (g->slot_count - 1)] = group;
    g->all[g->count++] = group;
    g->held_bytes += size_bytes + key.len + body.len + GROUP_REST_BYTES;
    return group;
}

bool groups_add(struct merge *m, uint32_t shard, struct span body)
{
    struct groups *g = m->groups;
    struct group *group;

    if (!merge_fields(body, g->fields, m->column_count))
        return merge_fail(m, "08P01", NULL, "a shard's DataRow is malformed");
    read_key(m);

    struct span key = span_of(buf_head(&g->key), buf_used(&g->key));
    uint64_t hash = hash_of(key);

    group = find_group(g, hash, key);
    if (group != NULL && group->shard == shard)
        return merge_fail(m, "0A000", NULL, "a function that returns several rows stands beside aggregates");
    if (group == NULL)
        group = add_group(m, hash, key, body);
    group->shard = shard;
    for (size_t i = 0; i < m->p->output_count; i++)
        if (!add_value(m, &group->values[i], i))
            return false;
    return g->held_bytes <= m->o.cap_bytes ||
           merge_fail(m, "53400", "Raise scatter_memory, or group by the key.",
                      "the groups of this statement take more memory than scatter_memory allows");
}

/* --- in order --- */

/* Its value is `number`. */
static bool is_whole(const struct merge *m, const struct scatter_output *o)
{
    return o->part == PART_COUNT || (o->part == PART_SUM && hidden_type(m, o->hidden) == TYPE_INT8);
}

static int compare_output(const struct merge *m, size_t order, const struct value *a, const struct value *b)
{
    const struct scatter_output *o = &m->p->outputs[m->p->orders[order].index];

    switch (o->part) {
    case PART_MIN:
    case PART_MAX:
        return compare_values(compare_way_of(hidden_type(m, o->hidden), o->bytewise), span_of(a->best, a->best_len),
                              span_of(b->best, b->best_len));
    default:
        break;
    }
    if (o->rounded || o->part == PART_AVG || (o->part == PART_SUM && !is_whole(m, o)))
        return decimal_compare(&a->decimal, &b->decimal);
    return (a->number > b->number) - (a->number < b->number);
}

static int compare_by(const struct merge *m, size_t order, const struct group *a, const struct group *b)
{
    const struct scatter_order *o = &m->p->orders[order];
    size_t hidden = m->visible_count + o->index;
    int result;

    if (!o->by_output) {
        merge_fields(span_of(a->row, a->row_len), m->groups->fields, m->column_count);
        merge_fields(span_of(b->row, b->row_len), m->groups->others, m->column_count);
        return merge_compare(o, m->ways[order], m->groups->fields[hidden], m->groups->others[hidden]);
    }

    const struct value *x = &a->values[o->index];
    const struct value *y = &b->values[o->index];

    if (!x->there || !y->there)
        return merge_nulls(o, !x->there, !y->there);
    result = compare_output(m, order, x, y);
    return o->descending ? -result : result;
}

static int compare_groups(const void *a, const void *b, void *arg)
{
    const struct merge *m = arg;
    int result = 0;

    for (size_t i = 0; i < m->p->order_count && result == 0; i++)
        result = compare_by(m, i, *(struct group *const *)a, *(struct group *const *)b);
    return result;
}

/* Where there was none: the constant of COALESCE, which the visible column shows. */
static void finish_default(const struct merge *m, const struct group *group, size_t output, struct value *v)
{
    const struct column *c = &m->columns[output];
    bool binary = merge_format(m, output) == 1;
    char text[24] = "";
    field f;

    merge_fields(span_of(group->row, group->row_len), m->groups->fields, m->column_count);
    f = m->groups->fields[output];
    if (f.ptr == NULL || !m->p->outputs[output].wrapped || m->p->outputs[output].part != PART_SUM)
        return;
    if (is_integer(c->type) && hidden_type(m, m->p->outputs[output].hidden) == TYPE_INT8) {
        memcpy(text, f.ptr, MIN(f.len, sizeof text - 1));
        v->number = binary ? compare_integer(f) : strtoll(text, NULL, 10);
        v->there = true;
    } else if (c->type == TYPE_NUMERIC && hidden_type(m, m->p->outputs[output].hidden) == TYPE_NUMERIC) {
        v->there = binary ? decimal_set_binary(&v->decimal, f) : decimal_set_text(&v->decimal, f);
    }
}

static void finish_value(const struct merge *m, const struct group *group, size_t output, struct value *v)
{
    const struct scatter_output *o = &m->p->outputs[output];

    if (!v->there) {
        if (output < m->p->target_count)
            finish_default(m, group, output, v);
        return;
    }
    if (o->part == PART_AVG && v->number > 0)
        decimal_divide(&v->decimal, v->number);
    if (!o->rounded || o->part == PART_MIN || o->part == PART_MAX)
        return;
    if (is_whole(m, o))
        decimal_set_int(&v->decimal, v->number);
    decimal_round(&v->decimal, o->scale);
}

/* Each shard gives one row to COMBINE, and nothing to groups that are empty. */
bool groups_finish(struct merge *m)
{
    struct groups *g = m->groups;

    for (size_t i = 0; i < g->count; i++)
        for (size_t o = 0; o < m->p->output_count; o++)
            finish_value(m, g->all[i], o, &g->all[i]->values[o]);
    if (m->p->order_count > 0 && g->count > 1)
        qsort_r(g->all, g->count, sizeof *g->all, compare_groups, m);
    return true;
}

/* --- what is shown --- */

static bool put_integer(struct merge *m, uint32_t type, uint16_t format, int64_t number, struct buf *out)
{
    char text[24];
    int bytes = type == TYPE_INT2 ? 2 : type == TYPE_INT4 ? 4 : 8;

    if ((bytes == 2 && number != (int16_t)number) || (bytes == 4 && number != (int32_t)number))
        return merge_fail(m, "22003", NULL, "%s out of range", bytes == 2 ? "smallint" : "integer");
    if (format == 0) {
        snprintf(text, sizeof text, "%" PRId64, number);
        buf_put(out, text, strlen(text));
        return true;
    }
    for (int i = bytes - 1; i >= 0; i--)
        buf_put_u8(out, (uint8_t)((uint64_t)number >> (i * 8)));
    return true;
}

static bool put_decimal(struct merge *m, const struct column *c, uint16_t format, const struct decimal *d,
                        struct buf *out)
{
    int64_t number = 0;

    if (is_integer(c->type)) {
        if (!decimal_to_int(d, &number))
            return merge_fail(m, "22003", NULL, "%s out of range", c->type == TYPE_INT8 ? "bigint" : "integer");
        return put_integer(m, c->type, format, number, out);
    }
    if (c->type == TYPE_NUMERIC && format == 1)
        decimal_put_binary(d, out);
    else
        decimal_put_text(d, out);
    return true;
}

static bool put_number(struct merge *m, const struct column *c, uint16_t format, int64_t number, struct buf *out)
{
    struct decimal d = {.kind = DECIMAL_FINITE};

    if (is_integer(c->type))
        return put_integer(m, c->type, format, number, out);
    decimal_set_int(&d, number);
    put_decimal(m, c, format, &d, out);
    decimal_free(&d);
    return true;
}

static bool put_value(struct merge *m, size_t output, const struct value *v, struct buf *out)
{
    const struct scatter_output *o = &m->p->outputs[output];
    const struct column *c = &m->columns[output];
    uint16_t format = merge_format(m, output);
    bool of_integers = is_whole(m, o) && !o->rounded;

    if (o->part == PART_MIN || o->part == PART_MAX) {
        buf_put(out, v->best + v->best_len, v->shown_len);
        return true;
    }
    if (o->part == PART_AND || o->part == PART_OR) {
        buf_put_u8(out, format == 1 ? (uint8_t)v->number : v->number != 0 ? 't' : 'f');
        return true;
    }
    return of_integers ? put_number(m, c, format, v->number, out) : put_decimal(m, c, format, &v->decimal, out);
}

static bool put_output(struct merge *m, const struct group *group, size_t output, struct buf *out)
{
    const struct value *v = &group->values[output];
    field first = m->groups->fields[output];
    bool computed = m->p->outputs[output].part != PART_PASS && v->there;
    size_t mark = buf_used(out);

    if (computed ? v->shown_null && v->best != NULL : first.ptr == NULL) {
        buf_put_u32(out, UINT32_MAX);
        return true;
    }
    buf_put_u32(out, 0);
    if (!computed)
        buf_put(out, first.ptr, first.len);
    else if (!put_value(m, output, v, out))
        return false;

    uint32_t len = (uint32_t)(buf_used(out) - mark - 4);
    uint8_t *at = out->data + out->off + mark;

    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(len >> (24 - i * 8));
    return true;
}

bool groups_next(struct merge *m, struct buf *out, bool skip)
{
    struct groups *g = m->groups;
    size_t begun = buf_used(out);
    const struct group *group;
    size_t mark;

    if (g->given == g->count)
        return false;
    group = g->all[g->given++];
    if (skip)
        return true;
    merge_fields(span_of(group->row, group->row_len), g->fields, m->column_count);
    mark = msg_begin(out, 'D');
    buf_put_u16(out, (uint16_t)m->visible_count);
    for (size_t i = 0; i < m->visible_count; i++) {
        if (!put_output(m, group, i, out)) {
            buf_cut(out, begun);
            return false;
        }
    }
    msg_end(out, mark);
    return true;
}
