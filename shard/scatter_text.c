/*
 * scatter_text.c: what stands where in the statement's text, and the text for the shards: the client's own, with hidden
 * columns behind its output columns, and LIMIT and OFFSET made one LIMIT or taken out. ORDER BY stays always: what the
 * server would refuse in it, it shall refuse.
 * Thread: any (no state).
 */
#include "shard/scatter_parts.h"

#include <inttypes.h>
#include <stdio.h>

static const char help_simpler[] = "Write it in a simpler way.";

static const struct clause *clause_of(const struct planner *b, enum clause_kind kind)
{
    return &b->c.clauses[kind];
}

bool text_agrees(const struct planner *b)
{
    const struct outline *o = b->o;
    bool limited = clause_of(b, CLAUSE_LIMIT)->there || clause_of(b, CLAUSE_FETCH)->there;

    /* LIMIT ALL and FETCH without a number are there in the text only. */
    return o->target_count > 0 && clause_of(b, CLAUSE_TARGETS)->item_count == o->target_count &&
           clause_of(b, CLAUSE_GROUP)->item_count == o->group_count &&
           clause_of(b, CLAUSE_ORDER)->item_count == o->order_count &&
           clause_of(b, CLAUSE_HAVING)->there == ((o->flags & OUTLINE_HAVING) != 0) &&
           clause_of(b, CLAUSE_OFFSET)->there == ((o->flags & OUTLINE_OFFSET) != 0) &&
           (limited || !(o->flags & OUTLINE_LIMIT)) && clause_of(b, CLAUSE_FROM)->there &&
           !(clause_of(b, CLAUSE_LIMIT)->there && clause_of(b, CLAUSE_FETCH)->there) &&
           piece_is_empty(b->c.distinct_on) == !(o->flags & OUTLINE_DISTINCT_ON);
}

/* --- expressions --- */

static bool is_name(const struct planner *b, uint32_t token)
{
    return b->c.tokens[token].kind == TOKEN_WORD || b->c.tokens[token].kind == TOKEN_QUOTED;
}

/* By who wrote it, or as the time that stands for it (scatter_now.c). */
static bool is_named(const struct planner *b, size_t target, struct piece p)
{
    return b->o->targets[target].named || (p.end - p.first > 2 && clauses_word(&b->c, p.end - 2, "as"));
}

bool text_target(struct planner *b, size_t target, struct piece *piece)
{
    struct piece p = clause_of(b, CLAUSE_TARGETS)->items[target];

    if (is_named(b, target, p)) {
        if (p.end - p.first < 2 || !is_name(b, p.end - 1))
            return planner_refuse(b, help_simpler, "an output column's name is written in an unusual way");
        p.end--;
        if (clauses_word(&b->c, p.end - 1, "as"))
            p.end--;
    }
    *piece = p;
    return !piece_is_empty(p) || planner_refuse(b, help_simpler, "an output column is written in an unusual way");
}

static bool target_meaning(struct planner *b, size_t target, struct meaning *m)
{
    m->expr = &b->o->targets[target];
    m->target = (int)target;
    return text_target(b, target, &m->piece);
}

static bool has_star(const struct planner *b)
{
    for (size_t i = 0; i < b->o->target_count; i++)
        if (b->o->targets[i].kind == OUT_STAR)
            return true;
    return false;
}

static bool ordinal_meaning(struct planner *b, uint32_t ordinal, struct meaning *m)
{
    if (has_star(b))
        return planner_refuse(b, "Write the column's name instead of its number.",
                              "a number stands for an output column, and * may be several of them");
    if (ordinal < 1 || ordinal > b->o->target_count)
        return planner_refuse(b, "Write a number that there is.", "position %" PRIu32 " is not in select list",
                              ordinal);
    return target_meaning(b, ordinal - 1, m);
}

/* The first output column of this name; -1: none. */
static int target_named(const struct planner *b, const char *name)
{
    for (size_t i = 0; i < b->o->target_count; i++)
        if (b->o->targets[i].name != NULL && strcmp(b->o->targets[i].name, name) == 0)
            return (int)i;
    return -1;
}

static bool is_bare(const struct outline_expr *e)
{
    return e->kind == OUT_COLUMN && !e->qualified;
}

/* ORDER BY a name: an output column first. */
bool text_order(struct planner *b, size_t order, struct meaning *m)
{
    const struct outline_expr *e = &b->o->orders[order];
    struct piece p = clause_of(b, CLAUSE_ORDER)->items[order];
    int target = is_bare(e) ? target_named(b, e->column) : -1;

    if (e->by_operator)
        return planner_refuse(b, "Write ASC or DESC.", "it is ordered by an operator of its own");
    if (e->kind == OUT_ORDINAL)
        return ordinal_meaning(b, e->ordinal, m);
    if (target >= 0)
        return target_meaning(b, (size_t)target, m);
    if (p.end - p.first > 2 && clauses_word(&b->c, p.end - 2, "nulls"))
        p.end -= 2;
    if (p.end - p.first > 1 && (clauses_word(&b->c, p.end - 1, "asc") || clauses_word(&b->c, p.end - 1, "desc")))
        p.end--;
    *m = (struct meaning){.expr = e, .piece = p, .target = -1};
    return true;
}

/* GROUP BY a name: a table's column first, and an output column only where no table has one. */
bool text_group(struct planner *b, size_t group, struct meaning *m)
{
    const struct outline_expr *e = &b->o->groups[group];
    int target = is_bare(e) ? target_named(b, e->column) : -1;
    const struct outline_expr *named = target < 0 ? NULL : &b->o->targets[target];
    unsigned facts = proof_column(b, e);

    *m = (struct meaning){.expr = e, .piece = clause_of(b, CLAUSE_GROUP)->items[group], .target = -1};
    if (e->kind == OUT_ORDINAL)
        return ordinal_meaning(b, e->ordinal, m);
    if (named == NULL || (named->kind == OUT_COLUMN && strcmp(named->column, e->column) == 0))
        return true;
    if (facts & SCATTER_COLUMN_THERE)
        return true;
    if (facts & SCATTER_COLUMN_ABSENT)
        return target_meaning(b, (size_t)target, m);
    return planner_refuse(b, "Write the output column's number.", "%s may be a table's column or an output column",
                          e->column);
}

/* --- calls --- */

static bool is_self(const struct planner *b, uint32_t token, char byte)
{
    return token < b->c.token_count && b->c.tokens[token].kind == TOKEN_SELF &&
           b->c.tokens[token].first == (uint8_t)byte;
}

/* Behind the parenthesis that closes what opens here. */
static uint32_t after_parenthesis(const struct planner *b, uint32_t token, uint32_t end)
{
    int depth = 0;

    for (; token < end; token++) {
        depth += is_self(b, token, '(') ? 1 : is_self(b, token, ')') ? -1 : 0;
        if (depth == 0)
            return token + 1;
    }
    return end;
}

/* What may stand around a call, with a parenthesis behind it. */
static bool is_wrapper(const struct planner *b, uint32_t token)
{
    return is_self(b, token + 1, '(') &&
           (clauses_word(&b->c, token, "cast") || clauses_word(&b->c, token, "coalesce") ||
            clauses_word(&b->c, token, "round"));
}

bool text_scale(struct planner *b, struct piece expr, uint16_t arg_count, uint8_t *scale)
{
    const struct token *t = &b->c.tokens[expr.end - 2];
    bool said = expr.end - expr.first > 4 && is_self(b, expr.end - 3, ',');

    *scale = 0;
    if (said != (arg_count == 2) || !is_self(b, expr.end - 1, ')') ||
        (said && (t->kind != TOKEN_INTEGER || t->len > 2)))
        return planner_refuse(b, help_simpler, "a number is rounded in an unusual way");
    for (uint32_t i = 0; said && i < t->len; i++)
        *scale = (uint8_t)(*scale * 10 + (b->c.sql[t->start + i] - '0'));
    return true;
}

bool text_call(struct planner *b, struct piece expr, struct piece *call)
{
    uint32_t at = expr.first;

    while (is_self(b, at, '(') || is_wrapper(b, at))
        at++;
    call->first = at;
    while (at < expr.end && (is_name(b, at) || is_self(b, at, '.')))
        at++;
    if (at == call->first || !is_self(b, at, '('))
        return planner_refuse(b, help_simpler, "an aggregate is written in an unusual way");
    at = after_parenthesis(b, at, expr.end);
    if (clauses_word(&b->c, at, "filter") && at + 1 < expr.end && is_self(b, at + 1, '('))
        at = after_parenthesis(b, at + 1, expr.end);
    call->end = at;
    return true;
}

/* --- hidden columns --- */

static uint16_t add_hidden(struct planner *b, const char *text, struct piece piece)
{
    b->hidden = arena_grow(&b->p->arena, b->hidden, b->hidden_count, &b->hidden_cap, sizeof *b->hidden);
    b->hidden[b->hidden_count++] = (struct hidden){.text = text, .piece = piece};
    return (uint16_t)MIN(b->hidden_count - 1, UINT16_MAX);
}

uint16_t text_hide(struct planner *b, struct piece piece)
{
    struct span text = clauses_text(&b->c, piece);

    for (size_t i = 0; i < b->hidden_count; i++)
        if (!piece_is_empty(b->hidden[i].piece) && clauses_equal(&b->c, b->hidden[i].piece, piece))
            return (uint16_t)i;
    return add_hidden(b, arena_strndup(&b->p->arena, (const char *)text.ptr, text.len), piece);
}

uint16_t text_hide_call(struct planner *b, const char *function, struct piece call)
{
    struct buf text = {.data = NULL};
    struct piece arguments = call;

    while (!is_self(b, arguments.first, '('))
        arguments.first++;

    struct span rest = clauses_text(&b->c, arguments);

    buf_put(&text, function, strlen(function));
    buf_put(&text, rest.ptr, rest.len);

    const char *copy = arena_strndup(&b->p->arena, (const char *)buf_head(&text), buf_used(&text));

    buf_free(&text);
    return add_hidden(b, copy, (struct piece){.first = 0});
}

/* --- LIMIT and OFFSET --- */

static bool read_bound(const struct planner *b, struct piece p, struct scatter_limit *bound)
{
    const struct token *t = &b->c.tokens[p.first];
    char digits[24];
    char *end;

    if (p.end - p.first != 1)
        return false;
    *bound = (struct scatter_limit){.kind = BOUND_NONE};
    if (clauses_word(&b->c, p.first, "all") || clauses_word(&b->c, p.first, "null"))
        return true;
    if ((t->kind != TOKEN_INTEGER && t->kind != TOKEN_LARGE && t->kind != TOKEN_PARAM) || t->len > 18)
        return false;
    memcpy(digits, b->c.sql + t->start, t->len);
    digits[t->len] = '\0';
    if (t->kind == TOKEN_PARAM) {
        *bound = (struct scatter_limit){.kind = BOUND_PARAM, .param = (uint16_t)strtoul(digits + 1, NULL, 10)};
        return true;
    }
    *bound = (struct scatter_limit){.kind = BOUND_NUMBER, .number = (int64_t)strtoll(digits, &end, 10)};
    return *end == '\0';
}

static bool is_row_word(const struct planner *b, uint32_t token)
{
    return clauses_word(&b->c, token, "row") || clauses_word(&b->c, token, "rows");
}

/* FETCH FIRST [n] ROWS ONLY */
static bool read_fetch(const struct planner *b, struct piece p, struct scatter_limit *bound)
{
    if (p.end - p.first < 3 || !clauses_word(&b->c, p.end - 1, "only") || !is_row_word(b, p.end - 2))
        return false;
    p.first++;
    p.end -= 2;
    *bound = (struct scatter_limit){.kind = BOUND_NUMBER, .number = 1};
    return piece_is_empty(p) || read_bound(b, p, bound);
}

bool text_limits(struct planner *b)
{
    const struct clause *limit = clause_of(b, CLAUSE_LIMIT);
    const struct clause *fetch = clause_of(b, CLAUSE_FETCH);
    const struct clause *offset = clause_of(b, CLAUSE_OFFSET);
    struct piece skipped = offset->body;
    bool read = true;

    if (limit->there)
        read = read_bound(b, limit->body, &b->p->limit);
    else if (fetch->there)
        read = read_fetch(b, fetch->body, &b->p->limit);
    if (offset->there) {
        if (skipped.end - skipped.first == 2 && is_row_word(b, skipped.end - 1))
            skipped.end--;
        read = read && read_bound(b, skipped, &b->p->offset);
    }
    return read || planner_refuse(b, "Write a number or a parameter.", "its LIMIT or OFFSET is an expression");
}

/* --- the text for the shards --- */

static void put_bound(struct buf *out, struct scatter_limit bound)
{
    char text[80] = "0";

    if (bound.kind == BOUND_NUMBER)
        snprintf(text, sizeof text, "%" PRId64 "::numeric", bound.number);
    else if (bound.kind == BOUND_PARAM)
        snprintf(text, sizeof text, "CAST($%d AS bigint)::numeric", bound.param);
    buf_put_text(out, text);
}

/* All rows of which each could be one of the whole's. A sum of two numbers of 18 digits is an int8; NULL, which LEAST
 * passes over, is no limit. */
static void put_limit(struct buf *out, const struct scatter_plan *p)
{
    char text[40];

    if (p->limit.kind == BOUND_NONE)
        return;
    if (p->limit.kind == BOUND_NUMBER && p->offset.kind != BOUND_PARAM) {
        snprintf(text, sizeof text, " LIMIT %" PRId64, p->limit.number + p->offset.number);
        buf_put_text(out, text);
        return;
    }
    buf_put_text(out, " LIMIT LEAST(");
    put_bound(out, p->limit);
    buf_put_text(out, " + COALESCE(");
    put_bound(out, p->offset);
    buf_put_text(out, ", 0), 9223372036854775807)::bigint");
}

/* Where each shard gives all its rows: a parameter that its text no longer named would be one too many in Bind, and one
 * whose type nobody knows. */
static void name_param(struct buf *out, const char *before, struct scatter_limit bound, const char *after)
{
    char text[96];

    if (bound.kind != BOUND_PARAM)
        return;
    snprintf(text, sizeof text, " %s(CAST($%d AS bigint), %s)", before, bound.param, after);
    buf_put_text(out, text);
}

static void put_hidden(const struct planner *b, struct buf *out)
{
    char name[32];

    for (size_t i = 0; i < b->hidden_count; i++) {
        snprintf(name, sizeof name, " AS sluice_%zu", i + 1);
        buf_put_text(out, ", ");
        buf_put_text(out, b->hidden[i].text);
        buf_put_text(out, name);
    }
}

static uint32_t start_of(const struct planner *b, uint32_t token)
{
    const struct token *last = &b->c.tokens[b->c.token_count - 1];

    return token < b->c.token_count ? b->c.tokens[token].start : last->start + last->len;
}

/* One clause from its first token to where the next one begins. */
static void put_clause(const struct planner *b, struct buf *out, enum clause_kind kind, bool bounds, bool pushed)
{
    const struct clause *k = clause_of(b, kind);
    uint32_t start = start_of(b, k->all.first);
    uint32_t end = start_of(b, k->all.end);
    bool bound = kind == CLAUSE_LIMIT || kind == CLAUSE_OFFSET || kind == CLAUSE_FETCH;

    if (kind == CLAUSE_TARGETS) {
        uint32_t last = clauses_end(&b->c, k->all);
        buf_put(out, b->c.sql + start, last - start);
        put_hidden(b, out);
        start = last;
    }
    if (!bound || !bounds) {
        buf_put(out, b->c.sql + start, end - start);
        return;
    }
    if (pushed && kind != CLAUSE_OFFSET)
        put_limit(out, b->p);
    else if (kind != CLAUSE_OFFSET)
        name_param(out, "LIMIT GREATEST", b->p->limit, "9223372036854775807");
    else if (!pushed || b->p->limit.kind == BOUND_NONE)
        name_param(out, "OFFSET LEAST", b->p->offset, "0");
    buf_put_text(out, " ");
}

static bool next_clause(const struct planner *b, uint32_t token, enum clause_kind *kind)
{
    for (int k = 0; k < CLAUSE_COUNT; k++) {
        if (b->c.clauses[k].there && b->c.clauses[k].all.first == token) {
            *kind = (enum clause_kind)k;
            return true;
        }
    }
    return false;
}

void text_write(struct planner *b, const char *sql, size_t len, bool pushed)
{
    bool bounds =
        pushed ? b->p->offset.kind != BOUND_NONE : b->p->offset.kind != BOUND_NONE || b->p->limit.kind != BOUND_NONE;
    struct buf out = {.data = NULL};
    enum clause_kind kind;
    uint32_t token = 0;

    b->p->rewritten = bounds || b->hidden_count > 0 || b->p->now_param > 0;
    if (!b->p->rewritten)
        buf_put(&out, sql, len);
    while (b->p->rewritten && next_clause(b, token, &kind)) {
        put_clause(b, &out, kind, bounds, pushed);
        token = b->c.clauses[kind].all.end;
    }
    b->p->hidden_count = (uint16_t)b->hidden_count;
    b->p->sql = arena_strndup(&b->p->arena, (const char *)buf_head(&out), buf_used(&out));
    buf_free(&out);
}
