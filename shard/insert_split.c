/*
 * insert_split.c: see insert_split.h. The text is cut by its tokens; what the grammar says of the shape must agree with
 * what is found, or it is refused.
 *
 *   INSERT INTO t AS x (a, b) OVERRIDING ... VALUES (1, 2), (3, 4) ON CONFLICT ... RETURNING ...
 *                      |open                 |values |rows          |tail
 *
 * Thread: any (no state).
 */
#include "shard/insert_parts.h"

#include <stdio.h>

static const char help_simpler[] = "Write it in a simpler way.";

bool splitter_refuse(struct splitter *b, const char *help, const char *why)
{
    snprintf(b->r->refusal.why, sizeof b->r->refusal.why, "%s", why);
    b->r->refusal.help = help;
    return false;
}

static bool leave_to_server(struct splitter *b)
{
    b->r->is_servers = true;
    return splitter_refuse(b, NULL, "the server does not take it, either");
}

/* --- where things stand --- */

/* A name may be `values`, too: behind INTO, AS or a point. */
static bool is_name(const struct splitter *b, uint32_t token)
{
    return clauses_word(&b->c, token - 1, "into") || clauses_word(&b->c, token - 1, "as") ||
           clauses_is(&b->c, token - 1, '.');
}

static bool find_values(struct splitter *b)
{
    if (!clauses_word(&b->c, 0, "insert") || !clauses_word(&b->c, 1, "into"))
        return splitter_refuse(b, help_simpler, "it has WITH");
    for (uint32_t i = 2; i < b->c.token_count; i++) {
        if (clauses_is(&b->c, i, '(')) {
            b->open = b->open == 0 ? i : b->open;
            i = clauses_closing(&b->c, i);
        } else if (clauses_word(&b->c, i, "values") && clauses_is(&b->c, i + 1, '(') && !is_name(b, i)) {
            b->values = i;
            return true;
        } else if (clauses_word(&b->c, i, "default") && clauses_word(&b->c, i + 1, "values") && !is_name(b, i)) {
            b->values = i;
            return b->defaults = true;
        }
    }
    return splitter_refuse(b, help_simpler, "its rows are not written in it");
}

/* Behind the last row: nothing, ON CONFLICT, RETURNING. */
static bool read_tail(struct splitter *b, uint32_t first)
{
    struct piece *tail = &b->tail;
    bool does = false; /* WHERE before DO is the arbiter's */

    *tail = (struct piece){.first = first, .end = (uint32_t)b->c.token_count};
    if (!piece_is_empty(*tail) && !clauses_word(&b->c, first, "on") && !clauses_word(&b->c, first, "returning"))
        return splitter_refuse(b, help_simpler, "its rows are more than VALUES");
    for (uint32_t i = first; i < tail->end; i++) {
        if (clauses_is(&b->c, i, ';'))
            return splitter_refuse(b, help_simpler, "it stands among other statements");
        if (clauses_is(&b->c, i, '(') || clauses_is(&b->c, i, '[')) {
            i = clauses_closing(&b->c, i);
            continue;
        }
        b->p->returns = b->p->returns || clauses_word(&b->c, i, "returning");
        does = does || (clauses_word(&b->c, i, "do") && !b->p->returns);
        b->p->skips = b->p->skips || (does && !b->p->returns &&
                                      (clauses_word(&b->c, i, "nothing") || clauses_word(&b->c, i, "where")));
    }
    return true;
}

static uint32_t width_of(const struct splitter *b, struct piece row)
{
    uint32_t width = 1;

    for (uint32_t i = row.first + 1; i < row.end - 1; i++) {
        if (clauses_is(&b->c, i, '(') || clauses_is(&b->c, i, '['))
            i = clauses_closing(&b->c, i);
        else
            width += clauses_is(&b->c, i, ',');
    }
    return width;
}

static bool read_rows(struct splitter *b)
{
    size_t capacity = 0;
    uint32_t i = b->values + 1;

    for (;; i++) {
        struct piece row = {.first = i, .end = clauses_closing(&b->c, i) + 1};
        if (!clauses_is(&b->c, i, '(') || row.end - row.first < 2 || b->p->row_count == UINT32_MAX)
            return leave_to_server(b);
        b->rows = arena_grow(&b->p->arena, b->rows, b->p->row_count, &capacity, sizeof *b->rows);
        b->rows[b->p->row_count++] = row;
        i = row.end;
        if (!clauses_is(&b->c, i, ','))
            break;
    }
    b->width = width_of(b, b->rows[0]);
    for (uint32_t k = 1; k < b->p->row_count; k++)
        if (width_of(b, b->rows[k]) != b->width)
            return leave_to_server(b);
    return read_tail(b, i);
}

static bool read_columns(struct splitter *b)
{
    const struct stmt *s = b->s;
    const struct map_table *t = b->f->table;

    b->key = -1;
    if ((s->column_count == 0) != (b->open == 0))
        return splitter_refuse(b, help_simpler, "its columns are written in an unusual way");
    if (s->column_count == 0 && t->position == 0)
        return splitter_refuse(b, "Try again.", "its table's columns are not known");
    if (s->column_count == 0)
        b->key = t->position <= b->width && !b->defaults ? t->position - 1 : -1;
    for (size_t i = 0; i < s->column_count; i++)
        if (s->columns[i] != NULL && strcmp(s->columns[i], t->column) == 0)
            b->key = (int)i;
    for (uint32_t i = b->open; i < b->values; i++)
        if (clauses_word(&b->c, i, "overriding") && clauses_word(&b->c, i + 1, "user"))
            return splitter_refuse(b, help_simpler, "its rows' keys may be others than those that are written");
    /* Wider rows than columns, or (where there are columns) narrower ones. */
    if (s->column_count > 0 && s->column_count != b->width)
        return leave_to_server(b);
    return true;
}

/* --- where each row goes --- */

struct piece insert_value(const struct splitter *b, struct piece row, int at)
{
    struct piece value = {.first = row.first + 1, .end = row.first + 1};

    for (int column = 0; value.end < row.end - 1; value.end++) {
        if (clauses_is(&b->c, value.end, '(') || clauses_is(&b->c, value.end, '[')) {
            value.end = clauses_closing(&b->c, value.end);
        } else if (clauses_is(&b->c, value.end, ',') && column++ == at) {
            break;
        } else if (clauses_is(&b->c, value.end, ',')) {
            value.first = value.end + 1;
        }
    }
    return value;
}

static bool has_key(const struct splitter *b, uint32_t row)
{
    return b->key >= 0 && !insert_is_default(b, insert_value(b, b->rows[row], b->key));
}

static bool place_at(struct splitter *b, const struct key_value *key, uint32_t *shard)
{
    if (key->certainty == KEY_DOUBTFUL)
        return splitter_refuse(b, "Write the key as a value or as a parameter.",
                               "the key of one of its rows is not certain before it runs");
    *shard = key->certainty == KEY_NULL ? SHARD_NULL : map_shard_of(b->f->map, b->f->table, key);
    if (*shard == SHARD_UNSURE)
        return splitter_refuse(b, NULL, "it cannot be said where one of its rows lies");
    return *shard != SHARD_NONE ||
           splitter_refuse(b, "Give the value a shard in [tables].", "one of its rows lies on no shard");
}

/* A key that was drawn is a text of the server's own. */
static bool place_given(struct splitter *b, uint32_t row, uint32_t drawn, uint32_t *shard)
{
    const struct key_reader r = {
        .type = b->f->table->type, .assigned = true, .utf8 = b->text->utf8, .scratch = &b->scratch};
    const char *text = drawn < b->f->key_count ? b->f->keys[drawn] : NULL;
    struct key_value key;

    if (text == NULL)
        return true;
    b->given[row] = text;
    key = key_of_text(&r, span_of(text, strlen(text)));
    return place_at(b, &key, shard);
}

static bool place_row(struct splitter *b, uint32_t row, uint32_t *drawn, uint32_t *shard)
{
    struct key_value key;

    if (has_key(b, row)) {
        key = insert_key(b, insert_value(b, b->rows[row], b->key));
        return place_at(b, &key, shard);
    }
    if (b->f->draw == DRAW_NONE)
        return splitter_refuse(b, "Write the key of each row, or write sequence=home in its table's line of [tables].",
                               "inserts rows without their key");
    *shard = SHARDS_MAX;
    return b->f->draw == DRAW_SHARD || place_given(b, row, (*drawn)++, shard);
}

/* Rows that may go anywhere go where others do. */
static void place_drawn(struct splitter *b, uint8_t *shards)
{
    uint8_t to = SHARDS_MAX;

    for (uint32_t row = 0; row < b->p->row_count; row++)
        to = MIN(to, shards[row]);
    b->p->drawn = to == SHARDS_MAX;
    for (uint32_t row = 0; row < b->p->row_count; row++)
        if (shards[row] == SHARDS_MAX)
            shards[row] = b->p->drawn ? (uint8_t)b->f->anywhere : to;
}

static bool place_rows(struct splitter *b)
{
    uint8_t *shards = arena_alloc(&b->p->arena, b->p->row_count);
    uint32_t drawn = 0;

    b->given = arena_alloc(&b->p->arena, b->p->row_count * sizeof *b->given);
    b->p->shards = shards;
    for (uint32_t row = 0; row < b->p->row_count; row++) {
        uint32_t shard = 0;
        if (!place_row(b, row, &drawn, &shard))
            return false;
        shards[row] = (uint8_t)shard;
    }
    if (drawn > 0 && drawn < b->p->row_count && b->f->always && !insert_overrides(b))
        return leave_to_server(b);
    b->p->given = drawn > 0;
    if (drawn > b->f->key_count)
        b->r->wanted = drawn;
    else if (drawn > 0 && b->key < 0 && b->open == 0 && !b->defaults)
        return splitter_refuse(b, "Name the columns.", "inserts rows without their key");
    place_drawn(b, shards);
    return b->r->wanted == 0;
}

/* --- the whole --- */

static void write_parts(struct splitter *b)
{
    struct insert_split *p = b->p;
    uint32_t counts[SHARDS_MAX] = {0};

    for (uint32_t row = 0; row < p->row_count; row++)
        counts[p->shards[row]]++;
    p->parts = arena_alloc(&p->arena, SHARDS_MAX * sizeof *p->parts);
    for (uint32_t k = 0; k < SHARDS_MAX; k++) {
        if (counts[k] == 0)
            continue;
        struct insert_part *part = &p->parts[p->part_count++];
        *part = (struct insert_part){.shard = k, .row_count = counts[k]};
        insert_write(b, part);
    }
}

static bool read_text(struct splitter *b, size_t len)
{
    if (!clauses_tokens(&b->c, b->text->sql, len, b->text->lex_flags, &b->p->arena))
        return leave_to_server(b);
    if (!find_values(b))
        return false;
    if (b->defaults)
        b->p->row_count = 1;
    return (b->defaults ? read_tail(b, b->values + 2) : read_rows(b)) && read_columns(b);
}

struct insert_split *insert_split_new(const struct stmt *s, const struct keyset_text *text, size_t len,
                                      const struct insert_facts *f, struct insert_refusal *r)
{
    struct splitter b = {.s = s, .text = text, .f = f, .r = r, .p = mem_zalloc(sizeof *b.p)};

    memset(r, 0, sizeof *r);
    b.uses = arena_alloc(&b.p->arena, text->param_count + 1);
    if (read_text(&b, len) && insert_params(&b) && place_rows(&b)) {
        write_parts(&b);
    } else {
        insert_split_free(b.p);
        b.p = NULL;
    }
    buf_free(&b.scratch);
    return b.p;
}

void insert_split_free(struct insert_split *p)
{
    if (p == NULL)
        return;
    arena_free(&p->arena);
    free(p);
}
