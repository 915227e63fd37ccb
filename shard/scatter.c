/*
 * scatter.c: see scatter.h. What is done with the rows decides the mode:
 *
 *   aggregates, GROUP BY    by the key: each group is one shard's      like rows, below
 *                           by something else                          GROUP; without GROUP BY: COMBINE
 *   DISTINCT                with the key among the columns             like rows, below
 *                           without it                                 GROUP by all columns
 *   rows                    ORDER BY: ORDER; else CONCAT
 * Thread: any (no state).
 */
#include "shard/scatter_parts.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* --- how it is grouped --- */

static bool is_aggregated(const struct planner *b)
{
    const struct outline *o = b->o;

    if (o->group_count > 0 || (o->flags & OUTLINE_HAVING))
        return true;
    for (size_t i = 0; i < o->target_count; i++)
        if (proof_has_aggregate(b, &o->targets[i]))
            return true;
    for (size_t i = 0; i < o->order_count; i++)
        if (proof_has_aggregate(b, &o->orders[i]))
            return true;
    return false;
}

static bool grouped_by_key(const struct planner *b)
{
    const struct outline *o = b->o;

    for (size_t i = 0; i < o->group_count; i++) {
        const struct outline_expr *e = &o->groups[i];
        if (e->kind == OUT_ORDINAL && e->ordinal >= 1 && e->ordinal <= o->target_count)
            e = &o->targets[e->ordinal - 1];
        if (proof_is_key(b, e))
            return true;
    }
    return false;
}

/* True if what is distinct has the key in it, so that equal rows are one shard's. */
static bool distinct_by_key(const struct planner *b)
{
    const struct outline *o = b->o;
    bool on = (o->flags & OUTLINE_DISTINCT_ON) != 0;
    size_t count = on ? o->distinct_count : o->target_count;

    for (size_t i = 0; i < count; i++) {
        const struct outline_expr *e = on ? &o->distincts[i] : &o->targets[i];
        if (on && e->kind == OUT_ORDINAL && e->ordinal >= 1 && e->ordinal <= o->target_count)
            e = &o->targets[e->ordinal - 1];
        if (proof_is_key(b, e) || proof_star_has_key(b, e))
            return true;
    }
    return false;
}

static bool check_windows(struct planner *b)
{
    for (size_t i = 0; i < b->o->window_count; i++) {
        const struct outline_window *w = &b->o->windows[i];
        bool by_key = false;
        for (uint32_t k = 0; k < w->key_count; k++)
            by_key = by_key || proof_is_key(b, &b->o->keys[w->key + k]);
        if (!by_key)
            return planner_refuse(b, "PARTITION BY the key can be answered shard by shard.",
                                  "it has a window that is not partitioned by the key");
    }
    return true;
}

/* --- rows --- */

static struct scatter_order *add_orders(struct planner *b)
{
    struct scatter_order *orders = arena_alloc(&b->p->arena, MAX(b->o->order_count, 1) * sizeof *orders);

    b->p->orders = orders;
    b->p->order_count = (uint16_t)b->o->order_count;
    return orders;
}

static struct scatter_order direction_of(const struct planner *b, size_t order, const struct meaning *m)
{
    const struct outline_expr *e = &b->o->orders[order];

    return (struct scatter_order){.descending = e->descending,
                                  .nulls_first = e->nulls_first,
                                  .bytewise = e->collate_c || m->expr->collate_c ||
                                              (proof_column(b, m->expr) & SCATTER_COLUMN_BYTEWISE) != 0};
}

/* Of other types than plain columns' the answers tell. */
static bool check_order(struct planner *b, const struct scatter_order *o, const struct meaning *m)
{
    if (o->bytewise || !(proof_column(b, m->expr) & SCATTER_COLUMN_TEXT))
        return true;
    return planner_refuse(b, "A text can be merged under COLLATE \"C\".",
                          "shards' rows cannot be merged in the order of "
                          "a text");
}

/* Both are the same column, however they are written. */
static bool is_same_column(const struct planner *b, const struct outline_expr *x, const struct outline_expr *y)
{
    return x->kind == OUT_COLUMN && y->kind == OUT_COLUMN && strcmp(x->column, y->column) == 0 &&
           x->table == y->table && (x->table >= 0 || b->o->from != NULL);
}

/* What is distinct can be ordered by its own columns only. The server sees to that, but for the hidden column that
 * would make the expression one of them. */
static bool check_selected(struct planner *b, const struct meaning *m)
{
    struct piece target;

    if (!(b->o->flags & OUTLINE_DISTINCT) || m->target >= 0)
        return true;
    for (size_t i = 0; i < b->o->target_count; i++) {
        if (b->o->targets[i].kind == OUT_STAR && m->expr->kind == OUT_COLUMN && !b->o->targets[i].qualified)
            return true;
        if (is_same_column(b, &b->o->targets[i], m->expr) ||
            (text_target(b, i, &target) && clauses_equal(&b->c, target, m->piece)))
            return true;
    }
    return planner_refuse(b, "Write the column as it stands in the select list.",
                          "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
}

/* Each key of ORDER BY becomes a hidden column. */
static bool hide_orders(struct planner *b)
{
    struct scatter_order *orders = add_orders(b);
    struct meaning m;

    for (size_t i = 0; i < b->o->order_count; i++) {
        if (!text_order(b, i, &m) || !check_selected(b, &m))
            return false;
        orders[i] = direction_of(b, i, &m);
        if (!check_order(b, &orders[i], &m))
            return false;
        orders[i].index = text_hide(b, m.piece);
    }
    return true;
}

static bool plan_rows(struct planner *b)
{
    if (!hide_orders(b))
        return false;
    b->p->mode = b->o->order_count > 0 ? SCATTER_ORDER : SCATTER_CONCAT;
    b->p->why = b->o->order_count > 0 ? "rows of each shard, merged in order" : "rows of each shard, as they come";
    return true;
}

/* --- aggregates --- */

static bool part_of(const char *name, enum scatter_part *part)
{
    static const struct {
        const char *name;
        enum scatter_part part;
    } rows[] = {{"count", PART_COUNT}, {"sum", PART_SUM},      {"avg", PART_AVG},   {"min", PART_MIN},
                {"max", PART_MAX},     {"bool_and", PART_AND}, {"every", PART_AND}, {"bool_or", PART_OR}};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            *part = rows[i].part;
            return true;
        }
    }
    return false;
}

static bool is_built_in(const struct planner *b, const struct outline_call *call)
{
    return b->f->function(b->f->arg, call->schema, call->name) == SCATTER_NOT_USERS;
}

/* An aggregate from parts. */
static bool combine_call(struct planner *b, const struct outline_expr *e, struct piece expr,
                         struct scatter_output *output)
{
    bool rounded = e->kind == OUT_ROUND && is_built_in(b, &b->o->calls[e->call]);
    const struct outline_call *call = e->call_count > rounded ? &b->o->calls[e->call + rounded] : NULL;
    enum scatter_part part;
    struct piece piece;
    bool plain = rounded || e->kind == OUT_CALL || e->kind == OUT_COALESCE || e->kind == OUT_CAST;

    if (call == NULL || !plain || !proof_is_aggregate(b, call))
        return planner_refuse(b, NULL, "an aggregate stands in an expression");
    if (!is_built_in(b, call) || !part_of(call->name, &part) || (call->flags & (CALL_ORDERED | CALL_VARIADIC)))
        return planner_refuse(b, "Group by the key, or hold it to one shard.", "%s cannot be put together from parts",
                              call->name);
    if ((call->flags & CALL_DISTINCT) && part <= PART_AVG && !proof_of_key(b, call))
        return planner_refuse(b, "DISTINCT of the key can be counted shard by shard.",
                              "%s (DISTINCT ...) is of something else than the key", call->name);
    if (!text_call(b, expr, &piece))
        return false;

    struct outline_expr argument = {.kind = OUT_COLUMN, .table = call->table, .column = call->column};

    *output = (struct scatter_output){.part = (uint8_t)part, .rounded = rounded};
    output->wrapped = e->kind == OUT_COALESCE || e->kind == OUT_CAST;
    if (rounded && !text_scale(b, expr, b->o->calls[e->call].arg_count, &output->scale))
        return false;
    output->bytewise = call->column != NULL && (proof_column(b, &argument) & SCATTER_COLUMN_BYTEWISE) != 0;
    if (part != PART_AVG) {
        output->hidden = text_hide(b, piece);
        return true;
    }
    output->hidden = text_hide_call(b, "pg_catalog.sum", piece);
    text_hide_call(b, "pg_catalog.count", piece);
    return true;
}

/* The visible outputs, and room for those that are only ordered by. */
static struct scatter_output *combine_targets(struct planner *b)
{
    const struct outline *o = b->o;
    struct scatter_output *outputs = arena_alloc(&b->p->arena, (o->target_count + o->order_count) * sizeof *outputs);
    struct piece piece;

    for (size_t i = 0; i < o->target_count; i++) {
        const struct outline_expr *e = &o->targets[i];
        if (e->kind == OUT_STAR) {
            planner_refuse(b, NULL, "it has * beside what is grouped");
            return NULL;
        }
        if (!proof_has_aggregate(b, e))
            outputs[i] = (struct scatter_output){.part = PART_PASS};
        else if (!text_target(b, i, &piece) || !combine_call(b, e, piece, &outputs[i]))
            return NULL;
    }
    b->p->outputs = outputs;
    b->p->output_count = b->p->target_count = (uint16_t)o->target_count;
    return outputs;
}

/* The output of an aggregate that is ordered by: a visible one, or one for that alone. */
static bool order_output(struct planner *b, struct scatter_output *outputs, const struct meaning *m, uint16_t *index)
{
    struct piece target;

    if (m->target >= 0) { /* whatever stands around it, combine_targets has taken it */
        *index = (uint16_t)m->target;
        return true;
    }
    for (size_t i = 0; i < b->o->target_count; i++) {
        if (text_target(b, i, &target) && clauses_equal(&b->c, target, m->piece)) {
            *index = (uint16_t)i;
            return true;
        }
    }
    *index = b->p->output_count++;
    if (m->expr->kind != OUT_CALL)
        return planner_refuse(b, NULL, "it is ordered by an expression of aggregates");
    return combine_call(b, m->expr, m->piece, &outputs[*index]);
}

static bool order_groups(struct planner *b, struct scatter_output *outputs)
{
    struct scatter_order *orders = add_orders(b);
    struct meaning m;

    for (size_t i = 0; i < b->o->order_count; i++) {
        if (!text_order(b, i, &m))
            return false;
        orders[i] = direction_of(b, i, &m);
        orders[i].by_output = proof_has_aggregate(b, m.expr);
        if (!orders[i].by_output && !check_order(b, &orders[i], &m))
            return false;
        if (!orders[i].by_output)
            orders[i].index = text_hide(b, m.piece);
        else if (!order_output(b, outputs, &m, &orders[i].index))
            return false;
        else
            orders[i].bytewise |= outputs[orders[i].index].bytewise;
    }
    return true;
}

static bool *begin_groups(struct planner *b, size_t count)
{
    bool *exact = arena_alloc(&b->p->arena, MAX(count, 1) * sizeof *exact);

    b->p->group_exact = exact;
    return exact;
}

static void hide_group(struct planner *b, const struct meaning *m, bool *exact)
{
    uint16_t at = text_hide(b, m->piece);

    exact[at] = b->f->deterministic || m->expr->collate_c || (proof_column(b, m->expr) & SCATTER_COLUMN_EXACT) != 0;
    b->p->group_count = (uint16_t)b->hidden_count;
}

static bool plan_groups(struct planner *b)
{
    bool *exact = begin_groups(b, b->o->group_count);
    struct scatter_output *outputs;
    struct meaning m;

    if (b->o->flags & OUTLINE_HAVING)
        return planner_refuse(b, "Group by the key, or filter the groups in the application.",
                              "it has HAVING, and groups that lie on several shards");
    if (b->o->window_count > 0)
        return planner_refuse(b, NULL, "it has a window over groups that lie on several shards");
    if (b->o->flags & (OUTLINE_DISTINCT | OUTLINE_DISTINCT_ON))
        return planner_refuse(b, NULL, "it has DISTINCT over groups that lie on several shards");
    for (size_t i = 0; i < b->o->group_count; i++) {
        if (!text_group(b, i, &m))
            return false;
        hide_group(b, &m, exact);
    }
    outputs = combine_targets(b);
    if (outputs == NULL)
        return false;
    b->p->mode = b->o->group_count > 0 ? SCATTER_GROUP : SCATTER_COMBINE;
    b->p->why = b->o->group_count > 0 ? "groups of each shard, combined" : "one row of each shard, combined";
    return b->o->group_count == 0 || order_groups(b, outputs);
}

/* --- DISTINCT without the key: groups of whole rows --- */

static bool plan_distinct(struct planner *b)
{
    bool *exact = begin_groups(b, b->o->target_count);
    struct scatter_output *outputs = arena_alloc(&b->p->arena, b->o->target_count * sizeof *outputs);

    if (b->o->flags & OUTLINE_DISTINCT_ON)
        return planner_refuse(b, "DISTINCT ON the key can be answered shard by shard.",
                              "it has DISTINCT ON something else than the key");
    for (size_t i = 0; i < b->o->target_count; i++) {
        struct meaning m = {.expr = &b->o->targets[i], .target = (int)i};
        if (m.expr->kind == OUT_STAR)
            return planner_refuse(b, "Name the columns.", "it has DISTINCT of *");
        if (!text_target(b, i, &m.piece))
            return false;
        hide_group(b, &m, exact);
    }
    b->p->outputs = outputs;
    b->p->output_count = b->p->target_count = (uint16_t)b->o->target_count;
    b->p->mode = SCATTER_GROUP;
    b->p->why = "distinct rows of each shard, combined";
    return hide_orders(b);
}

/* --- the whole --- */

static bool plan_mode(struct planner *b)
{
    bool distinct = (b->o->flags & (OUTLINE_DISTINCT | OUTLINE_DISTINCT_ON)) != 0;

    if (is_aggregated(b) && !grouped_by_key(b))
        return plan_groups(b);
    if (!check_windows(b))
        return false;
    return distinct && !distinct_by_key(b) ? plan_distinct(b) : plan_rows(b);
}

static bool plan_read(struct planner *b, const char *sql, size_t len, unsigned lex_flags)
{
    if (b->s->kind != STMT_SELECT || b->o == NULL)
        return planner_refuse(b, NULL, "%s is not answered in parts", stmt_kind_name(b->s->kind));
    if (b->o->flags & (OUTLINE_WITH | OUTLINE_SET))
        return proof_read(b);
    if (!clauses_read(&b->c, sql, len, lex_flags, &b->p->arena) || !text_agrees(b))
        return planner_refuse(b, "Write it in a simpler way.", "its text cannot be cut into its parts");
    if (!proof_read(b) || !now_replace(b, lex_flags) || !text_limits(b) || !plan_mode(b))
        return false;
    if (b->hidden_count > HIDDEN_MAX)
        return planner_refuse(b, NULL, "it is grouped or ordered by too many columns");
    text_write(b, sql, len, b->p->mode == SCATTER_CONCAT || b->p->mode == SCATTER_ORDER);
    return true;
}

struct scatter_plan *scatter_plan_new(const struct stmt *s, const char *sql, size_t len, unsigned lex_flags,
                                      const struct scatter_facts *facts, struct scatter_refusal *r)
{
    struct scatter_plan *p = mem_zalloc(sizeof *p);
    struct planner b = {.s = s, .o = s->outline, .f = facts, .p = p, .r = r};

    if (plan_read(&b, sql, len, lex_flags))
        return p;
    scatter_plan_free(p);
    return NULL;
}

void scatter_plan_free(struct scatter_plan *p)
{
    if (p == NULL)
        return;
    arena_free(&p->arena);
    free(p);
}

/* --- in words --- */

static void put(struct buf *out, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct buf *out, const char *fmt, ...)
{
    char text[200];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    buf_put(out, text, strlen(text));
}

static void put_bound(struct buf *out, const char *title, struct scatter_limit l)
{
    if (l.kind == BOUND_NUMBER)
        put(out, "; %s %" PRId64, title, l.number);
    else if (l.kind == BOUND_PARAM)
        put(out, "; %s $%d", title, l.param);
}

static void put_orders(struct buf *out, const struct scatter_plan *p)
{
    for (size_t i = 0; i < p->order_count; i++) {
        const struct scatter_order *o = &p->orders[i];
        put(out, "%s%s %d%s%s%s", i == 0 ? "; by " : ", ", o->by_output ? "output" : "hidden", o->index,
            o->descending ? " desc" : "", o->nulls_first ? " nulls first" : "", o->bytewise ? " bytewise" : "");
    }
}

void scatter_describe(const struct scatter_plan *p, struct buf *out)
{
    static const char *const modes[] = {"concat", "order", "combine", "group"};
    static const char *const parts[] = {"pass", "count", "sum", "avg", "min", "max", "and", "or"};
    static const char *const roundings[] = {"", " rounded"};

    put(out, "%s", modes[p->mode]);
    for (size_t i = 0; i < p->output_count; i++) {
        put(out, "%s%s%s", i == 0 ? " " : ", ", parts[p->outputs[i].part], roundings[p->outputs[i].rounded]);
        if (p->outputs[i].part != PART_PASS)
            put(out, " %d", p->outputs[i].hidden);
    }
    if (p->mode == SCATTER_GROUP)
        put(out, "; %d group keys", p->group_count);
    put_orders(out, p);
    put_bound(out, "limit", p->limit);
    put_bound(out, "offset", p->offset);
    if (p->now_param > 0)
        put(out, "; the time is $%d", p->now_param);
    put(out, "; asks ");
    buf_put(out, p->sql, strlen(p->sql));
}
