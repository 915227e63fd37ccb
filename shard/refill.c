/*
 * refill.c: see refill.h. Texts are cut by their tokens; what is not found where it usually stands is refused.
 * Thread: any (no state).
 */
#include "shard/refill.h"
#include "shard/insert_parts.h"

#include "parser/sql_text.h"

#include <inttypes.h>
#include <stdio.h>

static const char help_simpler[] = "Write it in a simpler way, or for one key after the other.";

struct cutter {
    const struct stmt *s;
    const struct keyset_text *text;
    struct scatter_refusal *r;
    struct refill *f;
    struct clauses c;
    uint32_t insert; /* the word, of an INSERT: WITH may stand in front */
};

static bool refuse(struct cutter *k, const char *why)
{
    snprintf(k->r->why, sizeof k->r->why, "%s", why);
    k->r->help = help_simpler;
    return false;
}

static bool is_word(const struct cutter *k, uint32_t i, const char *word)
{
    return i < k->c.token_count && clauses_word(&k->c, i, word);
}

static bool is_byte(const struct cutter *k, uint32_t i, char byte)
{
    return i < k->c.token_count && clauses_is(&k->c, i, byte);
}

static bool is_name(const struct cutter *k, uint32_t i)
{
    return i < k->c.token_count && (k->c.tokens[i].kind == TOKEN_WORD || k->c.tokens[i].kind == TOKEN_QUOTED);
}

/* Behind a name with its schemas. */
static uint32_t pass_name(const struct cutter *k, uint32_t i)
{
    while (is_name(k, i) && is_byte(k, i + 1, '.'))
        i += 2;
    return is_name(k, i) ? i + 1 : i;
}

static const char *text_between(struct cutter *k, uint32_t first, uint32_t end)
{
    if (first >= end)
        return "";
    struct span t = clauses_text(&k->c, (struct piece){.first = first, .end = end});
    return arena_strndup(&k->f->arena, (const char *)t.ptr, t.len);
}

static uint32_t token_end(const struct cutter *k)
{
    return (uint32_t)k->c.token_count;
}

/* The first token from there on that is not within parentheses and is this word; `end` where there is none. */
static uint32_t find_word(const struct cutter *k, uint32_t from, uint32_t end, const char *word)
{
    uint32_t i = from;

    while (i < end && !is_word(k, i, word))
        i = (is_byte(k, i, '(') || is_byte(k, i, '[') ? clauses_closing(&k->c, i) : i) + 1;
    return MIN(i, end);
}

static bool read_tokens(struct cutter *k)
{
    if (!clauses_tokens(&k->c, k->text->sql, strlen(k->text->sql), k->text->lex_flags, &k->f->arena))
        return refuse(k, "it cannot be read");
    for (uint32_t i = 0; i < token_end(k); i++)
        if (is_byte(k, i, ';'))
            return refuse(k, "it stands among other statements");
    return true;
}

/* A literal, or NULL, that takes the type of what it is assigned to; perhaps with a name behind it. */
static bool is_untyped(const struct clauses *c, struct piece p)
{
    if (p.end - p.first > 2 && clauses_word(c, p.end - 2, "as"))
        p.end -= 2;
    while (p.end - p.first > 2 && clauses_is(c, p.first, '(') && clauses_closing(c, p.first) == p.end - 1) {
        p.first++;
        p.end--;
    }
    if (p.end - p.first == 2 && c->tokens[p.end - 1].kind == TOKEN_WORD)
        p.end--;
    if (p.end - p.first != 1)
        return false;
    const struct token *t = &c->tokens[p.first];
    return (t->kind >= TOKEN_STRING && t->kind <= TOKEN_DOLLAR) || clauses_word(c, p.first, "null");
}

static bool is_star(const struct clauses *c, struct piece p)
{
    return clauses_is(c, p.end - 1, '*') && (p.end - p.first == 1 || clauses_is(c, p.end - 2, '.'));
}

/* --- INSERT ... SELECT --- */

static uint8_t *count_uses(struct cutter *k)
{
    uint8_t *uses = arena_alloc(&k->f->arena, k->text->param_count + 1);

    for (uint32_t i = 0; i < token_end(k); i++) {
        if (k->c.tokens[i].kind != TOKEN_PARAM)
            continue;
        uint32_t number = (uint32_t)strtoul(k->c.sql + k->c.tokens[i].start + 1, NULL, 10);
        if (number > 0 && number <= k->text->param_count)
            uses[number - 1] = (uint8_t)MIN(uses[number - 1] + 1, 2);
    }
    return uses;
}

/* The key, if it is the same for all rows. */
static void read_value(struct cutter *k, const struct clauses *c, struct piece p, const struct map *m,
                       const struct map_table *t)
{
    const struct insert_facts facts = {.map = m, .table = t};
    struct splitter b = {.s = k->s, .text = k->text, .f = &facts, .c = *c, .uses = count_uses(k)};

    if (p.end - p.first > 2 && clauses_word(c, p.end - 2, "as"))
        p.end -= 2;
    k->f->key_value = insert_key(&b, p);
    k->f->has_value = k->f->key_value.certainty != KEY_DOUBTFUL;
    if (k->f->has_value && k->f->key_value.bytes.len > 0)
        k->f->key_value.bytes.ptr = (const uint8_t *)arena_strndup(
            &k->f->arena, (const char *)k->f->key_value.bytes.ptr, k->f->key_value.bytes.len);
    buf_free(&b.scratch);
}

/* Output columns of a plain SELECT; of others nothing is known before they run. */
static bool read_targets(struct cutter *k, const struct map *m, const struct map_table *t)
{
    struct clauses c;
    bool starred = false, *untyped;
    bool literal = false;

    if (!clauses_read(&c, k->f->fetch, strlen(k->f->fetch), k->text->lex_flags, &k->f->arena))
        return true;
    const struct clause *targets = &c.clauses[CLAUSE_TARGETS];
    untyped = arena_alloc(&k->f->arena, (targets->item_count + 1) * sizeof *untyped);
    for (size_t i = 0; i < targets->item_count; i++) {
        if (piece_is_empty(targets->items[i]))
            return refuse(k, "it selects nothing");
        untyped[i] = is_untyped(&c, targets->items[i]);
        literal = literal || untyped[i];
        starred = starred || is_star(&c, targets->items[i]);
    }
    if (starred && literal)
        return refuse(k, "it selects a star beside a literal without a type");
    if (starred)
        return true;
    k->f->count = targets->item_count;
    k->f->untyped = untyped;
    if (k->f->key >= (int)k->f->count)
        k->f->key = -1;
    if (k->f->key >= 0)
        read_value(k, &c, targets->items[k->f->key], m, t);
    return true;
}

static void read_key(struct cutter *k, const struct map_table *t)
{
    const struct stmt *s = k->s;

    k->f->key = s->column_count == 0 && t->way == MAP_BY_KEY ? (int)t->position - 1 : -1;
    for (size_t i = 0; i < s->column_count && t->way == MAP_BY_KEY; i++)
        if (s->columns[i] != NULL && strcmp(s->columns[i], t->column) == 0)
            k->f->key = (int)i;
    if (s->column_count > 0)
        k->f->columns = arena_alloc(&k->f->arena, s->column_count * sizeof *k->f->columns);
    for (size_t i = 0; i < s->column_count; i++) /* the statement may go before */
        k->f->columns[i] =
            s->columns[i] == NULL ? "" : arena_strndup(&k->f->arena, s->columns[i], strlen(s->columns[i]));
}

/* What stands there under a name of WITH. */
static bool is_with_name(const struct cutter *k, uint32_t i)
{
    return is_name(k, i) && (is_word(k, i - 1, "with") || is_word(k, i - 1, "recursive") || is_byte(k, i - 1, ','));
}

static bool mentions(const struct cutter *k, uint32_t from, uint32_t name)
{
    const struct piece one = {.first = name, .end = name + 1};

    for (uint32_t i = from; i < token_end(k); i++)
        if (clauses_equal(&k->c, (struct piece){.first = i, .end = i + 1}, one))
            return true;
    return false;
}

/* It may stand before SELECT as well, if nothing in it writes, and nothing behind that SELECT speaks of it. */
static bool check_with(struct cutter *k, uint32_t tail)
{
    for (size_t i = 0; i < k->s->table_count; i++)
        if ((k->s->tables[i].flags & TABLE_WRITTEN) && k->s->tables[i].query != k->s->query)
            return refuse(k, "it writes more than one table");
    for (uint32_t i = 1; i < k->insert; i++) {
        if (is_byte(k, i, '(') || is_byte(k, i, '['))
            i = clauses_closing(&k->c, i);
        else if (is_with_name(k, i) && mentions(k, tail, i))
            return refuse(k, "WITH is used behind its SELECT");
    }
    return true;
}

static bool find_insert(struct cutter *k)
{
    while (k->insert < token_end(k) && !(is_word(k, k->insert, "insert") && is_word(k, k->insert + 1, "into")))
        k->insert = find_word(k, k->insert + 1, token_end(k), "insert");
    return k->insert < token_end(k) || refuse(k, "its rows are written in an unusual way");
}

/* What selects the rows: WITH goes before it, which may have one of its own. */
static const char *select_text(struct cutter *k, uint32_t start, uint32_t tail)
{
    bool nests = k->insert > 0 && is_word(k, start, "with");
    struct buf out = {0};

    buf_put_text(&out, text_between(k, 0, k->insert));
    buf_put_text(&out, k->insert == 0 ? "" : nests ? " SELECT * FROM (" : " ");
    buf_put_text(&out, text_between(k, start, tail));
    buf_put_text(&out, nests ? ") AS \"sluice: selected\"" : "");
    return arena_keep(&k->f->arena, &out);
}

/* Where the SELECT begins. 0: it is refused. */
static uint32_t find_select(struct cutter *k)
{
    uint32_t i = pass_name(k, k->insert + 2);
    const uint32_t origin = k->c.tokens[k->insert].start;

    if (is_word(k, i, "as"))
        i += 2;
    k->f->names_at = k->c.tokens[i - 1].start + k->c.tokens[i - 1].len - origin;
    if (k->s->column_count > 0 && is_byte(k, i, '(')) {
        k->f->names_open = k->c.tokens[i].start + 1 - origin;
        i = clauses_closing(&k->c, i) + 1;
    }
    if (is_word(k, i, "overriding") && is_word(k, i + 1, "user")) {
        refuse(k, "its rows' keys may be others than those that are written");
        return 0;
    }
    if (is_word(k, i, "overriding"))
        i += 3;
    if (is_word(k, i, "select") || is_word(k, i, "with") || is_word(k, i, "table") || is_word(k, i, "values") ||
        is_byte(k, i, '('))
        return i;
    refuse(k, "its rows are written in an unusual way");
    return 0;
}

/* Where ON CONFLICT or RETURNING begins. */
static uint32_t find_tail(struct cutter *k, uint32_t from)
{
    uint32_t returning = find_word(k, from, token_end(k), "returning"), at = returning;

    k->f->returns = returning < token_end(k);
    k->f->skips = (k->s->flags & FACT_ON_CONFLICT) != 0;
    for (uint32_t i = from; k->f->skips && i < returning; i++) {
        i = find_word(k, i, returning, "on");
        if (is_word(k, i + 1, "conflict"))
            at = i;
    }
    return at;
}

struct refill *refill_of_insert(const struct stmt *s, const struct keyset_text *text, const struct map *m,
                                const struct map_table *t, struct scatter_refusal *r)
{
    struct cutter k = {.s = s, .text = text, .r = r, .f = mem_zalloc(sizeof *k.f)};
    uint32_t start = read_tokens(&k) && find_insert(&k) ? find_select(&k) : 0;
    uint32_t tail = start == 0 ? 0 : find_tail(&k, start);

    if (start > 0 && (k.insert == 0 || check_with(&k, tail))) {
        k.f->head = text_between(&k, k.insert, start);
        k.f->fetch = select_text(&k, start, tail);
        k.f->tail = text_between(&k, tail, token_end(&k));
        read_key(&k, t);
        if (read_targets(&k, m, t))
            return k.f;
    }
    refill_free(k.f);
    return NULL;
}

/* --- UPDATE --- */

struct update {
    uint32_t name, name_end;   /* of the table */
    uint32_t target_end;       /* with its alias */
    uint32_t set;              /* the word */
    uint32_t where, returning; /* where these begin; the end */
    size_t item_count;
    struct piece *items;
};

static bool read_update(struct cutter *k, struct update *u)
{
    uint32_t end = token_end(k);

    if (!is_word(k, 0, "update"))
        return refuse(k, "it has WITH in front");
    u->name = 1;
    u->name_end = pass_name(k, 1);
    u->set = find_word(k, u->name_end, end, "set");
    u->target_end = u->set;
    u->returning = find_word(k, u->set, end, "returning");
    u->where = find_word(k, u->set, u->returning, "where");
    if (is_word(k, 1, "only") || is_byte(k, u->name_end, '*') || u->set == end)
        return refuse(k, "its table is written in an unusual way");
    if (find_word(k, u->set, u->where, "from") < u->where)
        return refuse(k, "it has FROM");
    u->items = clauses_split(&k->c, (struct piece){.first = u->set + 1, .end = u->where}, &k->f->arena, &u->item_count);
    return true;
}

/* The item that sets a column; NULL: none does. */
static const struct piece *find_item(const struct cutter *k, const struct update *u, const char *column)
{
    for (size_t i = 0; i < u->item_count; i++)
        if (clauses_names(&k->c, u->items[i].first, column))
            return &u->items[i];
    return NULL;
}

static bool check_items(struct cutter *k, const struct update *u, const char *const *columns, size_t count)
{
    size_t found = 0;

    for (size_t i = 0; i < u->item_count; i++) {
        struct piece p = u->items[i];
        if (p.end - p.first < 3 || !is_name(k, p.first) || !is_byte(k, p.first + 1, '='))
            return refuse(k, "it sets columns in an unusual way");
        if (p.end - p.first == 3 && is_word(k, p.first + 2, "default"))
            return refuse(k, "it sets a column to its default");
    }
    for (size_t i = 0; i < count; i++)
        found += find_item(k, u, columns[i]) != NULL;
    return found == u->item_count || refuse(k, "it sets columns that are not known");
}

/* What the table is called in the rest of the statement. */
static const char *alias_of(struct cutter *k, const struct update *u)
{
    return text_between(k, u->target_end - 1, u->target_end);
}

static void write_fetch(struct cutter *k, const struct update *u, const char *const *columns, size_t count)
{
    const char *alias = alias_of(k, u);
    bool *untyped = arena_alloc(&k->f->arena, (count + 1) * sizeof *untyped);
    struct buf out = {0};

    buf_put_text(&out, "DELETE FROM ");
    buf_put_text(&out, text_between(k, u->name, u->target_end));
    buf_put_text(&out, " ");
    buf_put_text(&out, text_between(k, u->where, u->returning));
    buf_put_text(&out, " RETURNING ");
    for (size_t i = 0; i < count; i++) {
        const struct piece *item = find_item(k, u, columns[i]);
        buf_put_text(&out, i == 0 ? "" : ", ");
        if (item == NULL) {
            buf_put_text(&out, alias);
            buf_put_text(&out, ".");
            sql_text_name(&out, columns[i]);
            continue;
        }
        struct piece value = {.first = item->first + 2, .end = item->end};
        untyped[i] = is_untyped(&k->c, value);
        buf_put_text(&out, "(");
        buf_put_text(&out, text_between(k, value.first, value.end));
        buf_put_text(&out, ")");
    }
    k->f->untyped = untyped;
    k->f->fetch = arena_keep(&k->f->arena, &out);
}

static void write_head(struct cutter *k, const struct update *u, const char *const *columns, size_t count)
{
    struct buf out = {0};

    buf_put_text(&out, "INSERT INTO ");
    buf_put_text(&out, text_between(k, u->name, u->name_end));
    if (u->target_end > u->name_end) {
        buf_put_text(&out, " AS ");
        buf_put_text(&out, alias_of(k, u));
    }
    for (size_t i = 0; i < count; i++) {
        buf_put_text(&out, i == 0 ? " (" : ", ");
        sql_text_name(&out, columns[i]);
    }
    buf_put_text(&out, ") OVERRIDING SYSTEM VALUE");
    k->f->head = arena_keep(&k->f->arena, &out);
}

struct refill *refill_of_update(const struct stmt *s, const struct keyset_text *text, const struct map_table *t,
                                const char *const *columns, size_t count, struct scatter_refusal *r)
{
    struct cutter k = {.s = s, .text = text, .r = r, .f = mem_zalloc(sizeof *k.f)};
    struct update u = {.name = 0};

    if (!read_tokens(&k) || !read_update(&k, &u) || !check_items(&k, &u, columns, count)) {
        refill_free(k.f);
        return NULL;
    }
    k.f->moves = true;
    k.f->key = -1;
    k.f->count = count;
    k.f->columns = (const char **)columns;
    for (size_t i = 0; i < count; i++)
        if (strcmp(columns[i], t->column) == 0)
            k.f->key = (int)i;
    write_fetch(&k, &u, columns, count);
    write_head(&k, &u, columns, count);
    k.f->tail = text_between(&k, u.returning, token_end(&k));
    k.f->returns = u.returning < token_end(&k);
    return k.f;
}

void refill_free(struct refill *f)
{
    if (f == NULL)
        return;
    buf_free(&f->scratch);
    arena_free(&f->arena);
    free(f);
}

/* --- what each shard runs --- */

static void put_format(struct buf *out, const char *format, size_t n)
{
    char text[60];

    snprintf(text, sizeof text, format, n);
    buf_put_text(out, text);
}

static void put_names(const struct refill *f, const struct refill_parts *p, struct buf *out)
{
    for (size_t i = 0; i < p->extra_count; i++) {
        sql_text_name(out, p->extras[i].column);
        buf_put_text(out, ", ");
    }
    if (p->key != NULL) {
        sql_text_name(out, p->key);
        buf_put_text(out, ", ");
    }
    for (size_t i = 0; f->names_open == 0 && i < p->count; i++) {
        buf_put_text(out, i == 0 ? "" : ", ");
        sql_text_name(out, p->names[i]);
    }
}

/* Columns of our own come before the others. */
static void put_head(const struct refill *f, const struct refill_parts *p, struct buf *out)
{
    size_t at = f->names_open > 0 ? f->names_open : f->names_at;

    if (p->key == NULL && p->extra_count == 0) {
        buf_put_text(out, f->head);
        return;
    }
    buf_put(out, f->head, at);
    buf_put_text(out, f->names_open == 0 ? " (" : "");
    put_names(f, p, out);
    buf_put_text(out, f->names_open == 0 ? ")" : "");
    buf_put_text(out, f->head + at);
}

char *refill_sql(const struct refill *f, const struct refill_parts *p)
{
    struct buf out = {0};
    size_t arrays = p->count + (p->key != NULL);

    put_head(f, p, &out);
    buf_put_text(&out, p->key != NULL && p->always ? " OVERRIDING SYSTEM VALUE SELECT " : " SELECT ");
    for (size_t i = 0; i < p->extra_count; i++) {
        buf_put_text(&out, p->extras[i].sql);
        buf_put_text(&out, ", ");
    }
    for (size_t i = 0; i < arrays; i++) {
        put_format(&out, i == 0 ? "v.c%zu::" : ", v.c%zu::", i);
        buf_put_text(&out, p->key == NULL ? p->casts[i] : i == 0 ? "pg_catalog.int8" : p->casts[i - 1]);
    }
    buf_put_text(&out, " FROM ROWS FROM (");
    for (size_t i = 0; i < arrays; i++)
        put_format(&out, i == 0 ? "pg_catalog.unnest($%zu)" : ", pg_catalog.unnest($%zu)", p->first + i);
    buf_put_text(&out, ") WITH ORDINALITY AS v (");
    for (size_t i = 0; i < arrays; i++)
        put_format(&out, "c%zu, ", i);
    buf_put_text(&out, "n) ORDER BY v.n ");
    buf_put_text(&out, f->tail);
    buf_put_u8(&out, 0);
    return (char *)out.data;
}
