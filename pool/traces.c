/*
 * traces.c: see traces.h.
 * Thread: any (no state).
 */
#include "pool/traces.h"

#include "pool/suspects.h"
#include "pool/vars.h"

static const struct {
    const char *pin;
    const char *question;
} rows[] = {
#define TRACE(name, pin, question) {pin, question},
#include "pool/traces.def"
#undef TRACE
};

/* set_config(name, value, true) is as local as SET LOCAL. */
static bool is_local(const struct stmt *s, const struct stmt_function *f)
{
    const struct stmt_value *last = f->arg_count == 3 ? &s->values[f->arg + 2] : NULL;

    return last != NULL && last->kind == VALUE_BOOL && last->at == 1;
}

static uint32_t of_function(const struct stmt *s, const struct stmt_function *f)
{
    switch ((enum stmt_class)f->class) {
    case CLASS_SETTING:
        return is_local(s, f) ? 0 : TRACE_SETTING;
    case CLASS_ADVISORY_LOCK:
    case CLASS_ADVISORY_UNLOCK:
    case CLASS_ADVISORY_UNLOCK_ALL:
        return TRACE_LOCK;
    case CLASS_SEQUENCE:
        return TRACE_SEQUENCE;
    case CLASS_CODE:
        return TRACE_ANY;
    default:
        return 0;
    }
}

static uint32_t of_effects(const struct stmt *s)
{
    uint32_t traces = 0;

    if ((s->effects & EFFECT_SETTING) && s->kind != STMT_SELECT)
        traces |= s->flags & FACT_LOCAL ? 0 : TRACE_SETTING;
    if (s->effects & EFFECT_PREPARED)
        traces |= TRACE_STATEMENT;
    if (s->kind == STMT_INSERT || s->kind == STMT_COPY_FROM || s->kind == STMT_MERGE || (s->effects & EFFECT_CODE))
        traces |= TRACE_SEQUENCE;
    if (s->kind == STMT_EXECUTE)
        traces |= TRACE_EXECUTE;
    if (s->effects & EFFECT_TEMP)
        traces |= s->flags & FACT_ON_COMMIT_DROP ? 0 : TRACE_TEMP;
    if (s->kind == STMT_CLOSE || (s->kind == STMT_DECLARE && (s->cursor_options & CURSOR_HOLD)))
        traces |= TRACE_CURSOR;
    if (s->effects & EFFECT_LISTEN)
        traces |= TRACE_LISTEN;
    if (s->effects & EFFECT_LOAD)
        traces |= TRACE_LOAD | TRACE_SETTING; /* the library takes its own names over, and others away */
    if (s->effects & EFFECT_SEED)
        traces |= TRACE_SEED;
    if (s->effects & (EFFECT_CODE | EFFECT_DISCARD))
        traces |= TRACE_ANY;
    return traces;
}

/* A cursor's query runs when rows are fetched, in the same transaction. */
static bool runs_body(const struct stmt *s)
{
    return s->body != NULL && ((s->flags & FACT_RUNS_BODY) || s->kind == STMT_DECLARE);
}

uint32_t traces_of(const struct stmt *s)
{
    uint32_t traces = of_effects(s);

    for (size_t i = 0; i < s->function_count; i++)
        traces |= of_function(s, &s->functions[i]);
    if (runs_body(s))
        traces |= traces_of(s->body);
    return traces;
}

static bool locks(const struct stmt *s)
{
    for (size_t i = 0; i < s->function_count; i++)
        if (s->functions[i].class == CLASS_ADVISORY_LOCK)
            return true;
    return false;
}

uint32_t traces_pinning(const struct stmt *s)
{
    uint32_t traces = traces_of(s) & (TRACE_TEMP | TRACE_CURSOR | TRACE_LISTEN | TRACE_SEED | TRACE_LOAD);

    if (s->effects & (EFFECT_CODE | EFFECT_DISCARD) || s->kind == STMT_CLOSE || s->kind == STMT_UNLISTEN)
        traces = 0;
    return traces | (locks(s) ? TRACE_LOCK : 0);
}

static void put(struct buf *sql, const char *text)
{
    buf_put(sql, text, strlen(text));
}

static void put_select(struct buf *sql, enum trace_bit kind)
{
    put(sql, buf_used(sql) > 0 ? " UNION ALL SELECT '" : "SELECT '");
    buf_put_u8(sql, (uint8_t)('a' + kind));
    put(sql, "', ");
}

void traces_question(uint32_t traces, struct buf *sql)
{
    for (size_t i = 0; i < TRACE_COUNT; i++) {
        if (!(traces & (1u << i)) || rows[i].question == NULL)
            continue;
        put_select(sql, (enum trace_bit)i);
        put(sql, rows[i].question);
    }
}

void traces_question_setting(const char *name, struct buf *sql)
{
    struct buf literal = {0};

    vars_put_literal(&literal, name);
    buf_put_u8(&literal, 0);
    put_select(sql, TRACE_BIT_SETTING);
    put(sql, (const char *)buf_head(&literal));
    put(sql, ", pg_catalog.current_setting(");
    put(sql, (const char *)buf_head(&literal));
    put(sql, ", true) WHERE pg_catalog.current_setting(");
    put(sql, (const char *)buf_head(&literal));
    put(sql, ", true) IS NOT NULL");
    buf_free(&literal);
}

uint32_t traces_of_row(struct span kind)
{
    return kind.len == 1 && kind.ptr[0] >= 'a' && kind.ptr[0] < 'a' + TRACE_COUNT ? 1u << (kind.ptr[0] - 'a') : 0;
}

const char *traces_pin(uint32_t traces)
{
    for (size_t i = 0; i < TRACE_COUNT; i++)
        if ((traces & (1u << i)) && rows[i].pin != NULL)
            return rows[i].pin;
    return NULL;
}
