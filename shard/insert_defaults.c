/*
 * insert_defaults.c: see insert_defaults.h. What does not stand where it usually does is left as it is.
 * Thread: any (no state).
 */
#include "shard/insert_defaults.h"

#include "parser/sql_text.h"
#include "shard/clauses.h"

#define NOT_NAMED (-1)

struct filler {
    struct clauses c;
    struct arena arena;
    const struct column_default *defaults;
    size_t count;
    int *places; /* by default: which of the columns that are named is its own, or NOT_NAMED */
    struct buf out;
    size_t from; /* what of the text is not in it yet */
    bool changed;
};

/* --- the text --- */

static void copy_to(struct filler *f, size_t end)
{
    buf_put(&f->out, f->c.sql + f->from, end - f->from);
    f->from = end;
}

static size_t start_of(const struct filler *f, uint32_t token)
{
    return f->c.tokens[token].start;
}

static size_t end_of(const struct filler *f, uint32_t token)
{
    return f->c.tokens[token].start + f->c.tokens[token].len;
}

/* In the place of DEFAULT. */
static void put_instead(struct filler *f, uint32_t token, const char *sql)
{
    copy_to(f, start_of(f, token));
    buf_put_text(&f->out, sql);
    f->from = end_of(f, token);
    f->changed = true;
}

/* --- what stands there --- */

static bool is_column(const struct filler *f, uint32_t i, const char *column)
{
    return clauses_names(&f->c, i, column);
}

static bool is_name(const struct filler *f, uint32_t i)
{
    return f->c.tokens[i].kind == TOKEN_WORD || f->c.tokens[i].kind == TOKEN_QUOTED;
}

static bool is_word(const struct filler *f, uint32_t i, const char *word)
{
    return i < f->c.token_count && clauses_word(&f->c, i, word);
}

static bool is_byte(const struct filler *f, uint32_t i, char byte)
{
    return i < f->c.token_count && clauses_is(&f->c, i, byte);
}

static struct piece *split(struct filler *f, uint32_t open, size_t *count)
{
    struct piece inside = {.first = open + 1, .end = clauses_closing(&f->c, open)};

    *count = 0;
    return piece_is_empty(inside) ? NULL : clauses_split(&f->c, inside, &f->arena, count);
}

/* The next one that is within no parentheses. */
static uint32_t next(const struct filler *f, uint32_t i)
{
    return (clauses_is(&f->c, i, '(') || clauses_is(&f->c, i, '[') ? clauses_closing(&f->c, i) : i) + 1;
}

/* Behind INSERT INTO, the table's name and its alias. 0: it has none. */
static uint32_t after_table(const struct filler *f)
{
    uint32_t i = 0;

    while (i < f->c.token_count && !(is_word(f, i, "insert") && is_word(f, i + 1, "into")))
        i = next(f, i);
    for (i += 2; i < f->c.token_count && is_name(f, i) && is_byte(f, i + 1, '.');)
        i += 2;
    if (i >= f->c.token_count)
        return 0;
    return is_word(f, i + 1, "as") ? i + 3 : i + 1;
}

/* --- columns --- */

static bool is_query(const struct filler *f, uint32_t open)
{
    return is_byte(f, open + 1, '(') || is_word(f, open + 1, "select") || is_word(f, open + 1, "values") ||
           is_word(f, open + 1, "with") || is_word(f, open + 1, "table");
}

/* Those that are not named become so. */
static void fill_names(struct filler *f, uint32_t open)
{
    size_t count;
    const struct piece *names = split(f, open, &count);

    for (size_t d = 0; d < f->count; d++) {
        f->places[d] = NOT_NAMED;
        for (size_t i = 0; i < count; i++)
            if (is_column(f, names[i].first, f->defaults[d].column))
                f->places[d] = (int)i;
        if (f->places[d] != NOT_NAMED)
            continue;
        copy_to(f, start_of(f, clauses_closing(&f->c, open)));
        buf_put_text(&f->out, ", ");
        sql_text_name(&f->out, f->defaults[d].column);
        f->changed = true;
    }
}

/* --- rows --- */

static void fill_row(struct filler *f, uint32_t open, bool named)
{
    size_t count, width;
    const struct piece *values = split(f, open, &count);

    width = count;
    for (size_t d = 0; d < f->count; d++) {
        size_t place = named ? (size_t)f->places[d] : (size_t)f->defaults[d].position - 1;
        bool there = (!named || f->places[d] != NOT_NAMED) && place < count;
        if (there && values[place].end - values[place].first == 1 && is_word(f, values[place].first, "default"))
            put_instead(f, values[place].first, f->defaults[d].sql);
    }
    for (size_t d = 0; d < f->count; d++) {
        size_t place = (size_t)f->defaults[d].position - 1;
        if (named ? f->places[d] != NOT_NAMED : place < count)
            continue;
        copy_to(f, start_of(f, clauses_closing(&f->c, open)));
        for (; !named && width < place; width++)
            buf_put_text(&f->out, ", DEFAULT");
        buf_put_text(&f->out, ", ");
        buf_put_text(&f->out, f->defaults[d].sql);
        width++;
        f->changed = true;
    }
}

/* Returns what stands behind the last one. */
static uint32_t fill_rows(struct filler *f, uint32_t first, bool named)
{
    uint32_t i = first;

    for (;; i++) {
        if (!is_byte(f, i, '('))
            return i;
        fill_row(f, i, named);
        i = clauses_closing(&f->c, i) + 1;
        if (!is_byte(f, i, ','))
            return i;
    }
}

/* DEFAULT VALUES */
static void fill_nothing(struct filler *f, uint32_t word)
{
    copy_to(f, start_of(f, word));
    for (size_t d = 0; d < f->count; d++) {
        buf_put_text(&f->out, d == 0 ? "(" : ", ");
        sql_text_name(&f->out, f->defaults[d].column);
    }
    for (size_t d = 0; d < f->count; d++) {
        buf_put_text(&f->out, d == 0 ? ") VALUES (" : ", ");
        buf_put_text(&f->out, f->defaults[d].sql);
    }
    buf_put_text(&f->out, ")");
    f->from = end_of(f, word + 1);
    f->changed = true;
}

/* --- rows that are selected --- */

#define ARMS_MAX 32

/* Of the query: where its targets end (the token behind them), or those of each arm of its UNION. */
struct arms {
    uint32_t ends[ARMS_MAX];
    size_t widths[ARMS_MAX]; /* 0: not known */
    size_t count;
};

static bool is_any_word(const struct filler *f, uint32_t i, const char *const *among, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (is_word(f, i, among[k]))
            return true;
    return false;
}

/* What is reserved is a name behind these only. */
static bool is_label(const struct filler *f, uint32_t i)
{
    return i > 0 && (is_word(f, i - 1, "as") || is_byte(f, i - 1, '.'));
}

static bool ends_targets(const struct filler *f, uint32_t i)
{
    static const char *const words[] = {"from",      "where",     "group", "having", "window", "order",
                                        "limit",     "offset",    "fetch", "for",    "union",  "except",
                                        "intersect", "returning", "into",  "on"};

    if (is_label(f, i) || !is_any_word(f, i, words, ARRAY_LEN(words)))
        return false;
    if (is_word(f, i, "from") || is_word(f, i, "on")) /* IS DISTINCT FROM, DISTINCT ON () */
        return !is_word(f, i - 1, "distinct");
    return !(is_word(f, i, "group") && is_word(f, i - 1, "within"));
}

static size_t width_of(struct filler *f, struct piece targets)
{
    size_t count;
    const struct piece *items = clauses_split(&f->c, targets, &f->arena, &count);

    for (size_t i = 0; i < count; i++)
        if (piece_is_empty(items[i]) || is_byte(f, items[i].end - 1, '*') ||
            f->c.tokens[items[i].end - 1].kind == TOKEN_OPERATOR)
            return 0;
    return count;
}

/* Returns what stands behind its targets; 0: it has none. */
static uint32_t read_arm(struct filler *f, uint32_t select, uint32_t end, struct arms *arms)
{
    uint32_t i = select + 1;

    while (i < end && !ends_targets(f, i))
        i = next(f, i);
    if (i == select + 1 || arms->count == ARMS_MAX || is_word(f, i, "into"))
        return 0;
    arms->widths[arms->count] = width_of(f, (struct piece){select + 1, i});
    arms->ends[arms->count++] = i;
    return i;
}

static uint32_t pass_over_with(const struct filler *f, uint32_t i, uint32_t end)
{
    while (i < end && !is_word(f, i, "select"))
        i = next(f, i);
    return i;
}

/* False: they are not all known. */
static bool read_arms(struct filler *f, uint32_t i, uint32_t end, struct arms *arms)
{
    static const char *const sets[] = {"union", "except", "intersect"};
    bool begins = true;

    while (i < end) {
        if (begins && is_word(f, i, "with"))
            i = pass_over_with(f, i, end);
        if (begins && is_byte(f, i, '(')) {
            if (!read_arms(f, i + 1, clauses_closing(&f->c, i), arms))
                return false;
            i = next(f, i);
        } else if (begins) {
            i = is_word(f, i, "select") ? read_arm(f, i, end, arms) : 0;
            if (i == 0)
                return false;
        } else if (is_any_word(f, i, sets, ARRAY_LEN(sets)) && !is_label(f, i)) {
            i += is_word(f, i + 1, "all") || is_word(f, i + 1, "distinct") ? 2 : 1;
            begins = true;
            continue;
        } else {
            i = next(f, i);
        }
        begins = false;
    }
    return !begins;
}

/* Without names: those that come next, and no others. */
static bool is_appended(const struct filler *f, const struct arms *arms, size_t d)
{
    size_t at = arms->widths[0];

    for (size_t i = 0; i < arms->count; i++)
        if (arms->widths[i] != at)
            return false;
    for (size_t k = 0; at > 0 && k < d; k++)
        at += f->defaults[k].position == (int)at + 1;
    return at > 0 && f->defaults[d].position == (int)at + 1;
}

/* The query at i gives them, too. Returns where its tail begins. */
static uint32_t fill_query(struct filler *f, uint32_t i, uint32_t names, bool named)
{
    struct arms arms = {.count = 0};

    if (!read_arms(f, i, (uint32_t)f->c.token_count, &arms))
        return i;
    if (named)
        fill_names(f, names);
    for (size_t k = 0; k < arms.count; k++)
        for (size_t d = 0; d < f->count; d++) {
            if (named ? f->places[d] != NOT_NAMED : !is_appended(f, &arms, d))
                continue;
            copy_to(f, end_of(f, arms.ends[k] - 1));
            buf_put_text(&f->out, ", ");
            buf_put_text(&f->out, f->defaults[d].sql);
            f->changed = true;
        }
    return arms.ends[arms.count - 1];
}

/* The places are sorted by where they stand in a row, which is how the text is written. */
static void sort_by_place(struct filler *f, struct column_default *sorted)
{
    for (size_t i = 1; i < f->count; i++) {
        for (size_t k = i; k > 0 && (unsigned)f->places[k - 1] > (unsigned)f->places[k]; k--) {
            struct column_default d = sorted[k];
            int place = f->places[k];
            sorted[k] = sorted[k - 1];
            sorted[k - 1] = d;
            f->places[k] = f->places[k - 1];
            f->places[k - 1] = place;
        }
    }
}

/* Returns where its tail begins; 0: nothing of it is known. */
static uint32_t fill_insert(struct filler *f, uint32_t i)
{
    bool named = is_byte(f, i, '(') && !is_query(f, i);
    uint32_t open = i;

    i = named ? clauses_closing(&f->c, i) + 1 : i;
    i += is_word(f, i, "overriding") ? 3 : 0;
    if (!named && is_word(f, i, "default") && is_word(f, i + 1, "values")) {
        fill_nothing(f, i);
        return i + 2;
    }
    if (!is_word(f, i, "values"))
        return fill_query(f, i, open, named);
    if (named) {
        struct column_default *sorted = arena_alloc(&f->arena, f->count * sizeof *sorted);
        fill_names(f, open);
        memcpy(sorted, f->defaults, f->count * sizeof *sorted);
        sort_by_place(f, sorted);
        f->defaults = sorted;
    }
    return fill_rows(f, i + 1, named);
}

static void fill_set(struct filler *f, uint32_t column, uint32_t value)
{
    for (size_t d = 0; d < f->count; d++)
        if (is_word(f, value, "default") && is_column(f, column, f->defaults[d].column)) {
            put_instead(f, value, f->defaults[d].sql);
            return;
        }
}

/* SET (column, ...) = [ROW] (DEFAULT, ...) */
static void fill_set_row(struct filler *f, uint32_t open)
{
    uint32_t equals = clauses_closing(&f->c, open) + 1;
    uint32_t row = equals + (is_word(f, equals + 1, "row") ? 2 : 1);
    size_t count, given;

    if (!is_byte(f, equals, '=') || !is_byte(f, row, '('))
        return;
    const struct piece *names = split(f, open, &count), *values = split(f, row, &given);
    for (size_t i = 0; i < count && count == given; i++)
        if (values[i].end - values[i].first == 1)
            fill_set(f, names[i].first, values[i].first);
}

/* SET column = DEFAULT, of the statement's own. */
static void fill_sets(struct filler *f, uint32_t from)
{
    for (uint32_t i = MAX(from, 1); i + 2 < f->c.token_count; i = next(f, i)) {
        if (!is_word(f, i - 1, "set") && !is_byte(f, i - 1, ','))
            continue;
        if (is_byte(f, i, '('))
            fill_set_row(f, i);
        else if (is_byte(f, i + 1, '='))
            fill_set(f, i, i + 2);
    }
}

char *insert_defaults(const char *sql, unsigned lex_flags, const struct column_default *defaults, size_t count)
{
    struct filler f = {.defaults = defaults, .count = count};

    if (count > 0 && clauses_tokens(&f.c, sql, strlen(sql), lex_flags, &f.arena)) {
        f.places = arena_alloc(&f.arena, count * sizeof *f.places);
        uint32_t start = after_table(&f);
        fill_sets(&f, start > 0 ? fill_insert(&f, start) : 0);
    }
    if (f.changed) {
        copy_to(&f, strlen(sql));
        buf_put_u8(&f.out, 0);
    } else {
        buf_free(&f.out);
    }
    arena_free(&f.arena);
    return f.changed ? (char *)f.out.data : NULL;
}
