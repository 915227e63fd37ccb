/*
 * stmt.c: see stmt.h. Names come from the tables; stmt_describe writes "what; what; ..." in the order of the struct.
 * Thread: any (no state).
 */
#include "parser/stmt.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
    const char *name;
    uint32_t reasons;
    uint32_t effects;
} kinds[] = {
#define STMT_KIND(name, text, reasons, effects) {text, reasons, effects},
#include "parser/stmt_kinds.def"
#undef STMT_KIND
};

static const struct {
    uint32_t reasons;
    uint32_t effects;
} classes[] = {
#define STMT_CLASS(name, reasons, effects) {reasons, effects},
#include "parser/stmt_classes.def"
#undef STMT_CLASS
};

static const struct {
    const char *text;
    bool refused;
} reason_rows[] = {
#define STMT_REASON(name, refused, text) {text, refused},
#include "parser/stmt_reasons.def"
#undef STMT_REASON
};

static const char *const effect_texts[] = {
#define STMT_EFFECT(name, text) text,
#include "parser/stmt_effects.def"
#undef STMT_EFFECT
};

void stmt_list_free(struct stmt_list *list)
{
    if (list == NULL)
        return;

    struct arena arena = list->arena; /* the list lies in it */

    arena_free(&arena);
}

const char *stmt_kind_name(enum stmt_kind kind)
{
    return kinds[kind].name;
}

uint32_t stmt_kind_reasons(enum stmt_kind kind)
{
    return kinds[kind].reasons;
}

uint32_t stmt_kind_effects(enum stmt_kind kind)
{
    return kinds[kind].effects;
}

uint32_t stmt_class_reasons(enum stmt_class class)
{
    return classes[class].reasons;
}

uint32_t stmt_class_effects(enum stmt_class class)
{
    return classes[class].effects;
}

const char *stmt_reason_text(uint32_t reasons)
{
    for (int i = 0; i < REASON_COUNT; i++)
        if (reasons & 1u << i)
            return reason_rows[i].text;
    return NULL;
}

bool stmt_runs_on_standby(const struct stmt *s)
{
    for (int i = 0; i < REASON_COUNT; i++)
        if ((s->reasons & 1u << i) && reason_rows[i].refused)
            return false;
    return s->modes.access != ACCESS_READ_WRITE && s->modes.isolation != ISOLATION_SERIALIZABLE;
}

/* --- in words --- */

static void put(struct buf *out, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void put(struct buf *out, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *at = (char *)buf_reserve(out, (size_t)len + 1);
    va_start(args, fmt);
    vsnprintf(at, (size_t)len + 1, fmt, args);
    va_end(args);
    out->len += (size_t)len;
}

static void put_bits(struct buf *out, const char *title, uint32_t bits, const char *(*text)(int bit))
{
    const char *between = title;

    for (int i = 0; bits >> i != 0; i++) {
        if (!(bits & 1u << i))
            continue;
        put(out, "%s%s", between, text(i));
        between = ", ";
    }
}

static const char *reason_text(int bit)
{
    return reason_rows[bit].text;
}

static const char *effect_text(int bit)
{
    return effect_texts[bit];
}

static const char *flag_text(int bit)
{
    /* In the order of the FACT_ bits. */
    static const char *const texts[] = {
        "runs it",    "analyze",     "all",           "local",       "default",  "and chain",  "on commit drop",
        "subqueries", "on conflict", "set operation", "with writes", "deferred", "current of",
    };

    return texts[bit];
}

static void put_modes(struct buf *out, struct stmt_modes modes)
{
    static const char *const levels[] = {"", "; read uncommitted", "; read committed", "; repeatable read",
                                         "; serializable"};
    static const char *const accesses[] = {"", "; read only", "; read write"};
    static const char *const deferrables[] = {"", "; deferrable", "; not deferrable"};

    put(out, "%s%s%s", levels[modes.isolation], accesses[modes.access], deferrables[modes.deferrable]);
}

static void put_names(struct buf *out, const char *title, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        put(out, "%s%s", i == 0 ? title : ", ", names[i] == NULL ? "?" : names[i]);
}

static void put_cursor(struct buf *out, const struct stmt *s)
{
    static const char *const options[] = {"binary", "scroll", "no scroll", "insensitive", "asensitive", "hold"};
    static const char *const directions[] = {"forward", "backward", "absolute", "relative"};

    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (s->cursor_options & 1u << i)
            put(out, "; %s", options[i]);
    if (s->kind != STMT_FETCH && s->kind != STMT_MOVE)
        return;
    put(out, "; %s ", directions[s->direction]);
    if (s->fetch_count == FETCH_ALL)
        put(out, "all");
    else
        put(out, "%" PRId64, s->fetch_count);
}

static void put_words(struct buf *out, const struct stmt *s)
{
    static const char *const row_locks[] = {"", "; for key share", "; for share", "; for no key update",
                                            "; for update"};

    if (s->name != NULL)
        put(out, " %s", s->name);
    if (s->text != NULL)
        put(out, " = '%s'", s->text);
    put_modes(out, s->modes);
    put_bits(out, "; ", s->flags, flag_text);
    put(out, "%s", row_locks[s->row_lock]);
    if (s->lock_mode > 0)
        put(out, "; mode %d", s->lock_mode);
    put_cursor(out, s);
    put_names(out, "; types ", s->types, s->type_count);
    put_names(out, "; columns ", s->columns, s->column_count);
    for (size_t i = 0; i < s->option_count; i++)
        put(out, "%s%s%s%s", i == 0 ? "; options " : ", ", s->options[i].name, s->options[i].value == NULL ? "" : "=",
            s->options[i].value == NULL ? "" : s->options[i].value);
}

static void put_tables(struct buf *out, const struct stmt *s, unsigned flag, const char *title)
{
    const char *between = title;

    for (size_t i = 0; i < s->table_count; i++) {
        const struct stmt_table *t = &s->tables[i];
        if (!(t->flags & flag))
            continue;
        put(out, "%s%s%s%s%s%s%s", between, t->flags & TABLE_ONLY ? "only " : "", t->schema == NULL ? "" : t->schema,
            t->schema == NULL ? "" : ".", t->name, t->alias == NULL ? "" : " ", t->alias == NULL ? "" : t->alias);
        put(out, "%s%s", t->flags & TABLE_NULLABLE ? "?" : "", t->flags & TABLE_HIDDEN ? " hidden" : "");
        between = ", ";
    }
}

static void put_value(struct buf *out, const struct stmt *s, const struct stmt_value *v)
{
    static const char *const kind_texts[] = {"?", "n", "s", "b", "", "null", "default", "$", "", ""};

    if (v->kind == VALUE_SUM) {
        put(out, "(");
        put_value(out, s, &v->of[0]);
        put(out, "%c", v->op);
        put_value(out, s, &v->of[1]);
        put(out, ")");
    }
    put(out, "%s%s", v->negated ? "-" : "", kind_texts[v->kind]);
    if (v->kind == VALUE_COLUMN) {
        put(out, "%s.%s", s->tables[v->at].name, v->name);
        return;
    }
    if (v->kind == VALUE_BOOL)
        put(out, "%s", v->at ? "true" : "false");
    else if (v->kind == VALUE_PARAM)
        put(out, "%" PRIu32, v->at);
    else if (v->kind == VALUE_NUMBER || v->kind == VALUE_STRING || v->kind == VALUE_BITS)
        put(out, "@%" PRIu32, v->at);
    if (v->name != NULL)
        put(out, "::%s", v->name);
}

static void put_values(struct buf *out, const struct stmt *s, uint32_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        put(out, "%s", i > 0 ? "," : "");
        put_value(out, s, &s->values[first + i]);
    }
}

static void put_functions(struct buf *out, const struct stmt *s)
{
    for (size_t i = 0; i < s->function_count; i++) {
        const struct stmt_function *f = &s->functions[i];
        put(out, "%s%s%s%s(", i == 0 ? "; calls " : ", ", f->schema == NULL ? "" : f->schema,
            f->schema == NULL ? "" : ".", f->name);
        put_values(out, s, f->arg, f->arg_count);
        put(out, ")");
    }
}

static void put_place(struct buf *out, const struct stmt *s, const struct stmt_place *p)
{
    static const char *const titles[] = {"where", "rows", "set", "on conflict", "puts", "limit", "offset", "arguments"};
    static const char *const ops[] = {"=", "<", "<=", ">", ">=", "in", "any", "is", "between", "between symmetric"};
    const char *table = p->table < 0 ? "?" : s->tables[p->table].name;

    put(out, "; %s ", titles[p->what]);
    if (p->what == PLACE_FILTER)
        put(out, "%s.%s %s ", table, p->column, ops[p->op]);
    else if (p->what == PLACE_SET)
        put(out, "%s.%s ", table, p->column);
    else if (p->what == PLACE_ARBITER)
        put(out, "%s", p->column == NULL ? "?" : p->column);
    else if (p->what == PLACE_ROWS)
        put(out, "%" PRIu32 "*%d%s ", p->rows, p->width, p->uniform ? " uniform" : "");
    put_values(out, s, p->value, p->count);
    put(out, "%s%s", p->ties ? " with ties" : "", p->kept ? " (kept)" : "");
    if (p->what == PLACE_FILTER && !p->mutual)
        put(out, " (outer)");
    if (p->arm > 0)
        put(out, " (arm %d)", p->arm);
}

/* Of each arm, the OR that it belongs to, and the arm that this stands in. */
static void put_arms(struct buf *out, const struct stmt *s)
{
    for (size_t i = 0; i < s->arm_count; i++) {
        put(out, "%s%d", i == 0 ? "; arms of " : ", ", s->arms[i].group);
        if (s->arms[i].outer > 0)
            put(out, " in %d", s->arms[i].outer);
    }
}

void stmt_describe(const struct stmt *s, struct buf *out)
{
    put(out, "%s", kinds[s->kind].name);
    put_words(out, s);
    put_bits(out, "; it ", s->reasons, reason_text);
    put_bits(out, "; effects ", s->effects, effect_text);
    put_tables(out, s, TABLE_READ, "; reads ");
    put_tables(out, s, TABLE_WRITTEN, "; writes ");
    put_functions(out, s);
    for (size_t i = 0; i < s->place_count; i++)
        put_place(out, s, &s->places[i]);
    put_arms(out, s);
    if (s->params > 0)
        put(out, "; %d parameters", s->params);
    if (s->body != NULL) {
        put(out, "; [");
        stmt_describe(s->body, out);
        put(out, "]");
    }
}
