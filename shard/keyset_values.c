/*
 * keyset_values.c: values of this execution. The statement was read from another text of the same shape: where it has a
 * literal, this text's stands in the same slot; where it has a list or rows that became one slot, all of them are read
 * anew, for there may be more or fewer of them here, and of other kinds.
 * Thread: any (no state).
 */
#include "shard/keyset_parts.h"

#include "parser/values.h"
#include "parser/word.h"

static struct key_value doubtful(const struct key_reader *r)
{
    return (struct key_value){.certainty = KEY_DOUBTFUL, .type = r->type};
}

static struct key_value null(const struct key_reader *r)
{
    return (struct key_value){.certainty = KEY_NULL, .type = r->type};
}

/* --- one value --- */

static const struct slot *slot_of(const struct keyset_text *text, uint32_t slot)
{
    return slot < text->slot_count ? &text->slots[slot] : NULL;
}

static bool take_literal(const struct keyset_text *text, const struct stmt_value *v, struct key_literal *l)
{
    const struct slot *slot = slot_of(text, v->slot);

    if (slot == NULL || slot->kind != SLOT_LITERAL)
        return false;
    *l = (struct key_literal){.sql = text->sql, .negated = v->negated, .cast = v->name};
    l->token =
        (struct token){.start = slot->start, .len = slot->len, .kind = slot->token_kind, .flags = slot->token_flags};
    return true;
}

static bool take_param(const struct keyset_text *text, uint32_t number, struct key_param *p)
{
    if (number == 0 || number > text->param_count)
        return false;
    *p = text->params[number - 1];
    p->shared = text->uses == NULL || text->uses[number - 1] > 1;
    return true;
}

static struct key_value param_value(const struct key_reader *r, const struct keyset_text *text,
                                    const struct stmt_value *v)
{
    struct key_param p;

    if (!take_param(text, v->at, &p))
        return doubtful(r);
    p.negated = v->negated;
    p.cast = v->name;
    return key_of_param(r, &p);
}

/* A whole number, and whether its type is int8, as PostgreSQL's is for what does not fit an int4. */
struct whole {
    int64_t number;
    bool wide;
};

static bool fits_narrow(int64_t n)
{
    return n >= INT32_MIN && n <= INT32_MAX;
}

static bool whole_literal(const struct keyset_text *text, const struct stmt_value *v, struct whole *out)
{
    const struct key_reader r = {.type = KEY_INT8};
    struct key_literal l;
    struct key_value key;

    if (!take_literal(text, v, &l) || l.token.kind == TOKEN_STRING)
        return false;
    key = key_of_literal(&r, &l);
    *out = (struct whole){key.number, !fits_narrow(key.number)};
    return key.certainty == KEY_CERTAIN;
}

/* False where PostgreSQL tells an overflow, too. */
static bool whole_of(const struct keyset_text *text, const struct stmt_value *v, struct whole *out)
{
    struct whole a, b;
    bool over;

    if (v->kind != VALUE_SUM)
        return whole_literal(text, v, out);
    if (!whole_of(text, &v->of[0], &a) || !whole_of(text, &v->of[1], &b))
        return false;
    if (v->op == '*')
        over = __builtin_mul_overflow(a.number, b.number, &out->number);
    else if (v->op == '+')
        over = __builtin_add_overflow(a.number, b.number, &out->number);
    else
        over = __builtin_sub_overflow(a.number, b.number, &out->number);
    out->wide = a.wide || b.wide;
    return !over && (out->wide || fits_narrow(out->number));
}

static struct key_value sum_value(const struct key_reader *r, const struct keyset_text *text,
                                  const struct stmt_value *v)
{
    struct whole n;

    return whole_of(text, v, &n) ? key_of_whole(r, n.number, v->name) : doubtful(r);
}

struct key_value keyset_value(const struct key_reader *r, const struct keyset_text *text, const struct stmt_value *v)
{
    struct key_literal l;

    switch (v->kind) {
    case VALUE_NUMBER:
    case VALUE_STRING:
        return take_literal(text, v, &l) ? key_of_literal(r, &l) : doubtful(r);
    case VALUE_BOOL:
        return key_of_bool(r, v->at != 0);
    case VALUE_NULL:
        return null(r);
    case VALUE_PARAM:
        return param_value(r, text, v);
    case VALUE_SUM:
        return sum_value(r, text, v);
    default:
        return doubtful(r);
    }
}

bool keyset_string(const struct keyset_text *text, const struct stmt_value *v, struct buf *out)
{
    struct buf scratch = {.data = NULL};
    struct key_reader r = {.type = KEY_TEXT, .assigned = true, .utf8 = text->utf8, .scratch = &scratch};
    struct stmt_value plain = *v;

    plain.name = NULL;
    struct key_value key = keyset_value(&r, text, &plain);
    bool found = key.certainty == KEY_CERTAIN && memchr(key.bytes.ptr, 0, key.bytes.len) == NULL;
    if (found) {
        buf_put(out, key.bytes.ptr, key.bytes.len);
        buf_put_u8(out, 0);
    }
    buf_free(&scratch);
    return found;
}

/* --- lists --- */

/* The number behind the $ of a parameter. */
static uint32_t param_number(const struct keyset_text *text, const struct token *t)
{
    uint32_t n = 0;

    for (uint32_t i = 1; i < t->len && n < UINT16_MAX; i++)
        n = n * 10 + (uint32_t)(text->sql[t->start + i] - '0');
    return n;
}

/* A simple value, as values.h reads it. */
static struct key_value simple_value(const struct key_reader *r, const struct keyset_text *text, const struct value *v)
{
    struct key_literal l = {.token = v->token, .sql = text->sql, .negated = v->negative};
    struct key_param p;

    if (v->token.kind == TOKEN_PARAM)
        return take_param(text, param_number(text, &v->token), &p) ? key_of_param(r, &p) : doubtful(r);
    if (v->token.kind != TOKEN_WORD)
        return key_of_literal(r, &l);
    switch (word_of((const uint8_t *)text->sql + v->token.start, v->token.len)) {
    case WORD_NULL:
        return null(r);
    case WORD_TRUE:
    case WORD_FALSE:
        return key_of_bool(r, v->token.len == strlen("true"));
    default:
        return doubtful(r); /* DEFAULT */
    }
}

/* The slot that is the whole list; NULL: its values stand by themselves. *located: some value says where it stands. */
static const struct slot *list_slot(const struct keyset_text *text, const struct stmt *s, const struct stmt_place *p,
                                    bool *located)
{
    *located = false;
    for (uint32_t i = 0; i < p->count; i++) {
        const struct slot *slot = slot_of(text, s->values[p->value + i].slot);
        *located = *located || slot != NULL;
        if (slot != NULL && slot->kind == SLOT_LIST)
            return slot;
    }
    return NULL;
}

static bool list_of_slot(const struct key_reader *r, const struct keyset_text *text, const struct slot *slot,
                         key_each_fn *each, void *arg)
{
    struct values in;
    struct value v;

    values_init(&in, text->sql, slot->start, slot->len, text->lex_flags);
    while (values_next(&in, &v)) {
        struct key_value key = simple_value(r, text, &v);
        each(arg, &key);
        if (key.certainty == KEY_DOUBTFUL)
            return false;
    }
    return true;
}

bool keyset_list(const struct key_reader *r, const struct keyset_text *text, const struct stmt *s,
                 const struct stmt_place *p, key_each_fn *each, void *arg)
{
    bool located;
    const struct slot *slot = list_slot(text, s, p, &located);

    if (slot != NULL)
        return list_of_slot(r, text, slot, each, arg);
    /* A list of NULLs alone may be the shape of any list. */
    if (!located)
        return false;
    for (uint32_t i = 0; i < p->count; i++) {
        struct key_value key = keyset_value(r, text, &s->values[p->value + i]);
        each(arg, &key);
        if (key.certainty == KEY_DOUBTFUL)
            return false;
    }
    return true;
}

bool keyset_array(const struct key_reader *r, const struct keyset_text *text, const struct stmt_value *v,
                  key_each_fn *each, void *arg)
{
    struct key_literal l;
    struct key_param p;

    if (v->kind == VALUE_NULL)
        return true;
    if (v->kind == VALUE_STRING)
        return take_literal(text, v, &l) && key_array_of_literal(r, &l, each, arg);
    if (v->kind != VALUE_PARAM || !take_param(text, v->at, &p))
        return false;
    p.negated = v->negated;
    p.cast = v->name;
    return key_array_of_param(r, &p, each, arg);
}

/* --- how often --- */

static void count_use(const struct keyset_text *text, const struct token *t, uint8_t *uses)
{
    uint32_t number = param_number(text, t);

    if (number > 0 && number <= text->param_count && uses[number - 1] < 2)
        uses[number - 1]++;
}

static void count_run(const struct keyset_text *text, const struct slot *slot, uint8_t *uses)
{
    struct values in;
    struct value v;

    values_init(&in, text->sql, slot->start, slot->len, text->lex_flags);
    while (values_next(&in, &v))
        if (v.token.kind == TOKEN_PARAM)
            count_use(text, &v.token, uses);
}

void keyset_count_uses(const struct keyset_text *text, uint8_t *uses)
{
    /* There may be more slots than are told. */
    memset(uses, text->slot_count < FINGERPRINT_SLOTS_MAX ? 0 : 2, text->param_count);
    for (uint32_t i = 0; i < text->slot_count; i++) {
        const struct slot *slot = &text->slots[i];
        const struct token t = {.start = slot->start, .len = slot->len};
        if (slot->kind == SLOT_PARAM)
            count_use(text, &t, uses);
        else if (slot->kind != SLOT_LITERAL)
            count_run(text, slot, uses);
    }
}

/* --- rows --- */

/* Which of a row's values is the key's; -1: the row has none. */
static int key_index(const struct stmt *s, const struct map_table *t)
{
    if (s->column_count == 0)
        return (int)t->position - 1;
    for (size_t i = 0; i < s->column_count; i++)
        if (s->columns[i] != NULL && strcmp(s->columns[i], t->column) == 0)
            return (int)i;
    return -1;
}

static const struct stmt_place *rows_place(const struct stmt *s)
{
    for (size_t i = 0; i < s->place_count; i++)
        if (s->places[i].what == PLACE_ROWS && s->places[i].query == s->query)
            return &s->places[i];
    return NULL;
}

/* All rows but the first. */
static void rows_of_slot(const struct key_reader *r, const struct keyset_text *text, const struct slot *slot, int index,
                         keyset_row_fn *each, void *arg)
{
    struct values in;
    struct value v;

    values_init(&in, text->sql, slot->start, slot->len, text->lex_flags);
    while (values_next(&in, &v)) {
        if ((int)v.column != index)
            continue;
        struct key_value key = simple_value(r, text, &v);
        each(arg, v.row + 1, &key);
    }
}

static bool is_from_rows_slot(const struct stmt *s, const struct stmt_place *p, const struct keyset_text *text)
{
    for (uint32_t i = 0; i < p->count; i++) {
        const struct slot *slot = slot_of(text, s->values[p->value + i].slot);
        if (slot != NULL && slot->kind == SLOT_ROWS)
            return true;
    }
    return false;
}

const char *keyset_rows(const struct stmt *s, const struct map_table *t, const struct keyset_text *text,
                        struct buf *scratch, keyset_row_fn *each, void *arg)
{
    struct key_reader r = {.type = t->type, .assigned = true, .utf8 = text->utf8, .scratch = scratch};
    const struct stmt_place *p = s->kind == STMT_INSERT ? rows_place(s) : NULL;
    int index = key_index(s, t);

    if (p == NULL)
        return "inserts rows that are not written in it";
    if (s->column_count == 0 && t->position == 0)
        return "inserts into a table whose columns are not known";
    if (index < 0 || index >= p->width)
        return "inserts rows without their key";

    const struct slot *rest = slot_of(text, p->slot);

    if (rest == NULL && p->rows > 1 && (p->uniform || is_from_rows_slot(s, p, text)))
        return "inserts rows that cannot be told apart";
    for (uint32_t i = 0; i < (rest == NULL ? p->rows : 1); i++) {
        struct key_value key = keyset_value(&r, text, &s->values[p->value + i * p->width + (uint32_t)index]);
        each(arg, i, &key);
    }
    if (rest != NULL)
        rows_of_slot(&r, text, rest, index, each, arg);
    return NULL;
}

/* --- a call --- */

uint32_t keyset_of_call(const struct map *m, const struct map_call *known, const struct stmt *s,
                        const struct stmt_function *call, const struct keyset_text *text)
{
    struct buf scratch = {.data = NULL};
    struct key_reader r = {.type = known->table->type, .assigned = true, .utf8 = text->utf8, .scratch = &scratch};
    uint32_t shard = SHARD_UNSURE;

    if (known->argument > call->arg_count)
        return SHARD_UNSURE; /* its default, or written by name */

    struct key_value v = keyset_value(&r, text, &s->values[call->arg + known->argument - 1]);

    if (v.certainty == KEY_NULL)
        shard = SHARD_NULL;
    else if (v.certainty == KEY_CERTAIN)
        shard = map_shard_of(m, known->table, &v);
    buf_free(&scratch);
    return shard;
}
