/*
 * ask.c: see ask.h.
 * Source: SEMANTICS D2, D5.
 * Thread: worker.
 */
#include "proxy/ask.h"

#include "parser/lex.h"
#include "parser/msgin.h"
#include "parser/pgtree.h"
#include "parser/settings.h"
#include "proxy/carry.h"
#include "proxy/catalog.h"
#include "proxy/login.h"
#include "proxy/place.h"
#include "proxy/routing.h"
#include "proxy/run_limit.h"
#include "proxy/sharding.h"
#include "proxy/statement_timeout.h"
#include "proxy/temp_names.h"

/* The question that is under way. Owned by its expect entry. */
struct ask {
    uint32_t asked; /* TRACE_ bits */
    uint32_t found;
    struct vars *settings;     /* owned: set in this session */
    struct suspects *suspects; /* owned; NULL: not asked for */
    struct prepares statements;
    struct buf temporary; /* NUL-terminated names */
    unsigned temporaries; /* how many there are, with and without a name */
};

static uint64_t pinned_statements[TRACE_COUNT]; /* atomic: by the first pin */

/* --- what a statement may leave --- */

/* What is suspected, where that is up to date; else NULL. */
static const struct suspects *known_suspects(const struct client *c)
{
    const struct suspects *s = c->pool->suspects;
    uint64_t meaning = __atomic_load_n(&c->db->meaning, __ATOMIC_RELAXED);
    uint64_t catalog = __atomic_load_n(&c->db->catalog, __ATOMIC_RELAXED);

    return s == NULL || suspects_outdated(s, meaning, catalog, c->worker->loop.now) ? NULL : s;
}

static uint32_t traces_of_list(const struct stmt_list *list, const struct suspects *known)
{
    uint32_t traces = 0;

    for (size_t i = 0; i < list->count; i++) {
        uint32_t said = traces_of(list->stmts[i]);
        traces |= (said & ~(uint32_t)TRACE_SEQUENCE) == 0 ? said : said | TRACE_CERTAIN;
        if (suspects_stmt(known, list->stmts[i]))
            traces |= known == NULL ? TRACE_ANY | TRACE_CODE : TRACE_ANY;
    }
    return traces;
}

/* A verdict is remembered with the number of what was suspected. */
static uint32_t traces_of_shape(const struct client *c, const struct shape *shape)
{
    struct reading *r = shape == NULL ? NULL : reading_of(shape);
    const struct suspects *known = known_suspects(c);
    uint64_t number = known == NULL ? 1 : known->number + 1;

    if (r == NULL || r->list == NULL)
        return TRACE_ANY;
    if (r->traced != number) {
        r->traces = traces_of_list(r->list, known);
        r->traced = number;
    }
    return r->traces;
}

bool ask_runs_unknown(const struct client *c, const struct shape *shape)
{
    return (traces_of_shape(c, shape) & TRACE_ANY) == TRACE_ANY;
}

/* Where the reset query runs after every transaction, nothing is to outlive one. */
static bool follows_session(const struct client *c)
{
    const struct options *o = &c->worker->config->opt;

    return o->sql_aware && !o->server_reset_query_always && c->mode != POOL_SESSION && !c->replication;
}

/* A setting with a name of two parts. Who makes up ever new names is asked for the first ones only. */
#define PLACEHOLDERS_MAX 100

static void note_placeholder(void *arg, struct span name)
{
    struct pool *p = arg;
    char *copy = mem_strndup((const char *)name.ptr, name.len);

    if (p->placeholders == NULL)
        p->placeholders = vars_new();
    if (strchr(copy, '.') != NULL && p->placeholders->count < PLACEHOLDERS_MAX)
        p->placeholders = vars_with(p->placeholders, copy, "", false);
    free(copy);
}

struct naming {
    struct pool *pool;
    unsigned count;
};

static void name_placeholder(void *arg, struct span name)
{
    struct naming *n = arg;

    n->count++;
    note_placeholder(n->pool, name);
}

static unsigned calls_of_set_config(const struct stmt *s)
{
    unsigned count = 0;

    for (size_t i = 0; i < s->function_count; i++)
        count += s->functions[i].class == CLASS_SETTING;
    return count;
}

static bool sets_unknown(const struct stmt *s)
{
    return (s->effects & EFFECT_SETTING) && calls_of_set_config(s) == 0 &&
           (s->name == NULL || var_matters_to_parse(s->name));
}

/* Settings are changed, for the session or for the transaction. */
static void note_settings(struct client *c, const struct stmt_list *list, const char *sql)
{
    struct naming naming = {.pool = c->pool};
    unsigned calls = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct stmt *s = list->stmts[i];
        calls += calls_of_set_config(s);
        c->unsettled = c->unsettled || sets_unknown(s);
        if (s->kind == STMT_SET && s->name != NULL)
            note_placeholder(c->pool, span_of(s->name, strlen(s->name)));
    }
    if (calls > 0 && sql != NULL)
        settings_of_text(sql, strlen(sql), client_lex_flags(c), name_placeholder, &naming);
    c->unsettled = c->unsettled || naming.count < calls;
}

/* What it may leave that PREPARE makes. */
static uint32_t traces_of_prepared(const struct client *c, const struct shape *shape)
{
    const struct stmt_list *list = shape == NULL ? NULL : reading_of(shape)->list;
    const struct suspects *known = known_suspects(c);
    uint32_t traces = list == NULL ? TRACE_ANY : 0;

    for (size_t i = 0; list != NULL && i < list->count; i++)
        if (list->stmts[i]->kind == STMT_PREPARE)
            traces |= traces_of(list->stmts[i]->body) | (suspects_stmt(known, list->stmts[i]->body) ? TRACE_ANY : 0);
    return traces;
}

void ask_note_lent(struct client *c, const struct shape *shape)
{
    c->executes |= traces_of_shape(c, shape);
}

/* What the statement may put an end to. */
static uint32_t traces_ended(const struct client *c, const struct shape *shape)
{
    bool drops = shape == NULL || (reading_of(shape)->reasons & REASON_DDL);

    return c->pins & TRACE_UNKNOWN ? TRACE_ANY : drops ? c->pins & TRACE_TEMP : 0;
}

/* A value of a sequence may be taken: its server is where currval and lastval are right for this session, which keeps
 * it if anybody in this database has ever asked for them. */
static uint32_t note_sequence(struct client *c, struct server *s, uint32_t traces)
{
    s->sequence_owner = c->id;
    c->sequence_server = s->id;
    if (c->parked != NULL)
        return traces & ~(uint32_t)TRACE_SEQUENCE; /* it keeps another one's */
    return c->worker->config->opt.sequence_pins == SEQUENCE_PINS_ALWAYS ||
                   __atomic_load_n(&c->db->sequences_seen, __ATOMIC_RELAXED)
               ? traces
               : traces & ~(uint32_t)TRACE_SEQUENCE;
}

void ask_note_sequence(struct client *c, struct server *s)
{
    if (follows_session(c))
        note_sequence(c, s, TRACE_SEQUENCE);
}

void ask_note(struct client *c, const struct shape *shape, const char *sql)
{
    uint32_t traces;

    if (!follows_session(c))
        return;
    traces = traces_of_shape(c, shape);
    if (traces & TRACE_EXECUTE)
        traces = (traces & ~(uint32_t)TRACE_EXECUTE) | c->executes;
    if (traces & TRACE_STATEMENT) {
        c->executes |= traces_of_prepared(c, shape);
        carry_note_prepared(c, shape);
    }
    if (UNLIKELY(c->pins != 0)) {
        __atomic_add_fetch(&pinned_statements[__builtin_ctz(c->pins)], 1, __ATOMIC_RELAXED);
        traces |= traces_ended(c, shape);
    }
    if (traces & TRACE_SEQUENCE)
        traces = note_sequence(c, c->server, traces);
    c->traces |= traces;
    c->quiet = c->quiet || (traces & (TRACE_SETTING | TRACE_STATEMENT)); /* what comes next may read otherwise */
    if (shape != NULL && (reading_of(shape)->effects & EFFECT_SETTING) && reading_of(shape)->list != NULL)
        note_settings(c, reading_of(shape)->list, sql);
    if (UNLIKELY(c->block_limit >= 0) || shape_may(shape, EFFECT_SETTING))
        run_limit_note(c, shape);
    if (UNLIKELY(place_is_said(c)) || shape_may(shape, EFFECT_SETTING))
        place_note(c, shape);
    if (UNLIKELY(sharding_is_on(c)) && temp_names_note(c, shape))
        c->traces |= TRACE_TEMP; /* asked for, though it may be dropped by then: which names there are must be known */
}

void ask_forget_block(struct client *c)
{
    run_limit_forget(c);
    if (UNLIKELY(place_is_said(c)))
        place_forget(c);
}

void ask_note_unread(struct client *c)
{
    if (follows_session(c))
        c->traces |= note_sequence(c, c->server, TRACE_ANY | TRACE_SEQUENCE);
}

uint64_t ask_pinned_statements(unsigned bit)
{
    return __atomic_load_n(&pinned_statements[bit], __ATOMIC_RELAXED);
}

/* --- asking --- */

static struct suspects *suspects_now(const struct client *c)
{
    struct suspects *s = suspects_new();

    s->asked_at = c->worker->loop.now;
    s->meaning = __atomic_load_n(&c->db->meaning, __ATOMIC_RELAXED);
    s->catalog = __atomic_load_n(&c->db->catalog, __ATOMIC_RELAXED);
    return s;
}

static void put_placeholders(const struct vars *v, struct buf *sql)
{
    for (size_t i = 0; v != NULL && i < v->count; i++)
        if (strchr(v->v[i].name, '.') != NULL)
            traces_question_setting(v->v[i].name, sql);
}

bool ask_server(struct client *c, struct server *s)
{
    struct buf sql = {0};
    struct ask *ask;

    c->unsettled = false;
    ask_forget_block(c);
    c->pins |= c->traces & (TRACE_FOR_GOOD | TRACE_SEQUENCE);
    if (!(c->traces & (TRACE_ANY | TRACE_CODE))) {
        c->traces = 0; /* nothing that can be asked */
        if (follows_session(c) && s->settings_owner == c->id)
            s->settings_owner = 0; /* whatever it SET was local */
        return false;
    }
    ask = mem_zalloc(sizeof *ask);
    c->asking = c->traces;
    ask->asked = c->traces & ~(uint32_t)(TRACE_FOR_GOOD | TRACE_SEQUENCE); /* no answer ends those */
    ask->settings = vars_new();
    if (c->traces & TRACE_CODE)
        ask->suspects = suspects_now(c);
    c->traces = 0;
    c->quiet = true; /* what comes next may rest on the answer */
    traces_question(ask->asked, &sql);
    if (ask->asked & TRACE_SETTING) {
        put_placeholders(c->vars, &sql);
        put_placeholders(c->pool->placeholders, &sql);
    }
    buf_put_u8(&sql, 0);
    msg_query(&s->conn.out, (const char *)buf_head(&sql));
    conn_touch(&s->conn);
    buf_free(&sql);
    s->unnamed_asked = 0; /* every Query takes it away */
    server_expect(s, EXPECT_QUERY, EXPECT_SKIP, EFFECT_ASK, c->id, ask);
    if (buf_used(&c->prepared) > 0)
        carry_describe_prepared(c, s);
    return true;
}

/* --- the answer --- */

/* The next column of a DataRow; of NULL, nothing. */
static struct span next_column(struct reader *r)
{
    uint32_t len = reader_u32(r);

    return len == UINT32_MAX ? span_of(NULL, 0) : reader_bytes(r, len);
}

static void take_setting(struct ask *ask, struct span name, struct span value)
{
    char *of = mem_strndup((const char *)name.ptr, name.len);
    char *is = mem_strndup((const char *)value.ptr, value.len);

    ask->settings = vars_with(ask->settings, of, is, false);
    free(of);
    free(is);
}

/* PostgreSQL tells the whole text in which PREPARE stood. */
static char *prepare_in(const char *text, const char *name)
{
    struct pgtree_error error;
    struct stmt_list *list = pgtree_parse(text, strlen(text), &error);
    char *found = NULL;

    for (size_t i = 0; list != NULL && i < list->count && list->count > 1; i++) {
        const struct stmt *s = list->stmts[i];
        if (s->kind == STMT_PREPARE && strcmp(s->name, name) == 0)
            found = mem_strndup(text + s->start, s->len);
    }
    stmt_list_free(list);
    return found == NULL ? mem_strdup(text) : found;
}

static void take_statement(struct ask *ask, struct span name, struct span text)
{
    char *of = mem_strndup((const char *)name.ptr, name.len);
    char *whole = mem_strndup((const char *)text.ptr, text.len);
    char *piece = prepare_in(whole, of);

    prepares_put(&ask->statements, of, piece, 0);
    free(piece);
    free(whole);
    free(of);
}

static void take_temporary(struct ask *ask, struct span name)
{
    ask->temporaries++;
    if (name.len == 0)
        return;
    buf_put(&ask->temporary, name.ptr, name.len);
    buf_put_u8(&ask->temporary, 0);
}

static void take_suspect(struct pool *p, struct ask *ask, struct span name, struct span value)
{
    if (value.len == 1 && value.ptr[0] == 's')
        note_placeholder(p, name);
    else
        suspects_add(ask->suspects, name, value);
}

void ask_row(struct server *s, struct span body)
{
    struct ask *ask = expect_head(&s->expects)->arg;
    struct reader r = reader_of(body.ptr, body.len);
    bool three = reader_u16(&r) == 3;
    uint32_t kind = traces_of_row(next_column(&r));
    struct span name = next_column(&r);
    struct span value = next_column(&r);

    if (!three || r.bad)
        return;
    ask->found |= kind;
    if (kind == TRACE_SETTING)
        take_setting(ask, name, value);
    else if (kind == TRACE_STATEMENT)
        take_statement(ask, name, value);
    else if (kind == TRACE_TEMP)
        take_temporary(ask, name);
    else if (kind == TRACE_CODE && ask->suspects != NULL)
        take_suspect(s->pool, ask, name, value);
}

/* A placeholder that is empty may only have been defined by another session; it is a value where this one had one. */
static bool is_value(const struct vars *old, const struct var *set)
{
    return !vars_is_reported(old, set->name) &&
           (set->value[0] != '\0' || strchr(set->name, '.') == NULL || vars_get(old, set->name) != NULL);
}

/* A set like v in which the settings that nobody reports are those. */
static struct vars *with_settings(struct vars *v, const struct vars *settings)
{
    struct vars *old = vars_ref(v);

    for (size_t i = 0; i < old->count; i++)
        if (!old->v[i].reported)
            v = vars_with(v, old->v[i].name, NULL, false);
    for (size_t i = 0; i < settings->count; i++)
        if (is_value(old, &settings->v[i]))
            v = vars_with(v, settings->v[i].name, settings->v[i].value, false);
    vars_unref(old);
    return v;
}

/* A placeholder that is empty because it was RESET: the server had no value of this session's any more. */
static bool is_reset(const struct vars *v, const struct vars *had, const char *name)
{
    const char *value = vars_get(v, name);

    return value != NULL && value[0] == '\0' && strchr(name, '.') != NULL && vars_get(had, name) == NULL;
}

/* What a client asked for at its start is what it has where nothing was set since. had: the server's before. */
static struct vars *with_login(struct vars *v, const struct vars *login, const struct vars *had)
{
    for (size_t i = 0; i < login->count; i++)
        if (!login->v[i].reported && (vars_get(v, login->v[i].name) == NULL || is_reset(v, had, login->v[i].name)))
            v = vars_with(v, login->v[i].name, login->v[i].value, false);
    return v;
}

/* had: the server's before. */
static void client_settings_answered(struct server *s, struct client *c, const struct vars *had, const struct ask *ask)
{
    c->vars = with_login(with_settings(c->vars, ask->settings), c->login_vars, had);
    c->vars = pool_share_vars(c->pool, statement_timeout_limited(c->vars, c->statement_limit));
    if (s->vars != c->vars && vars_equal(s->vars, c->vars)) {
        vars_unref(s->vars);
        s->vars = vars_ref(c->vars);
    }
}

static void settings_answered(struct server *s, struct client *c, struct ask *ask)
{
    struct vars *had = vars_ref(s->vars);

    s->settings_owner = 0;
    if (c != NULL)
        ask->settings = statement_timeout_settled(c, ask->settings);
    s->vars = with_settings(s->vars, ask->settings);
    s->placeholders = s->placeholders || ask->settings->placeholders;
    if (c != NULL)
        client_settings_answered(s, c, had, ask);
    vars_unref(had);
}

static bool defaults_differ(const struct suspects *a, const struct suspects *b)
{
    return a != NULL && a->defaults != NULL && b->defaults != NULL && strcmp(a->defaults, b->defaults) != 0;
}

static void code_answered(struct client *c, struct ask *ask)
{
    suspects_seal(ask->suspects);
    if (defaults_differ(c->pool->suspects, ask->suspects))
        catalog_retire_sessions(c->db);
    suspects_free(c->pool->suspects);
    c->pool->suspects = ask->suspects;
    ask->suspects = NULL;
}

/* A statement that stood here as another session's is still that one's; all others are this session's. One that stood
 * here before as this session's may have been deallocated elsewhere since. What it had and does not stand here any more
 * was deallocated, unless it never came here. */
static void statements_answered(struct server *s, struct client *c, struct ask *ask)
{
    struct prepares before = s->prepares;
    uint64_t owner = c == NULL ? 0 : c->id;

    s->prepares_owner = 0;
    s->prepares = ask->statements;
    ask->statements = (struct prepares){0};
    for (size_t i = 0; i < s->prepares.count; i++) {
        struct prepare *p = &s->prepares.v[i];
        const struct prepare *old = prepares_find(&before, p->name);
        p->owner = old != NULL && old->owner != owner ? old->owner : owner;
        bool is_new = old == NULL || strcmp(old->text, p->text) != 0;
        p->shape = is_new ? 0 : old->shape;
        if (c != NULL && p->owner == owner && is_new)
            prepares_put(&c->prepares, p->name, p->text, 0);
    }
    for (size_t i = 0; c != NULL && i < before.count; i++)
        if (before.v[i].owner == owner && prepares_find(&s->prepares, before.v[i].name) == NULL)
            prepares_drop(&c->prepares, before.v[i].name);
    prepares_free(&before);
}

static void ask_free(struct ask *ask)
{
    vars_unref(ask->settings);
    prepares_free(&ask->statements);
    buf_free(&ask->temporary);
    suspects_free(ask->suspects);
    free(ask);
}

void ask_answered(struct server *s, struct client *c, struct ask *ask, bool done)
{
    if (done && (ask->asked & TRACE_SETTING))
        settings_answered(s, c, ask);
    if (done && (ask->asked & TRACE_STATEMENT))
        statements_answered(s, c, ask);
    if (c != NULL && (ask->asked & TRACE_TEMP) && sharding_is_on(c) && c->parked == NULL && (done || c->server == s))
        temp_names_are(c, &ask->temporary, done && ask->temporaries < TRACES_TEMP_MAX);
    if (c != NULL && done) {
        if (ask->suspects != NULL)
            code_answered(c, ask);
        c->pins = (c->pins & ~ask->asked & ~(uint32_t)TRACE_UNKNOWN) | (ask->found & ~(uint32_t)TRACES_CARRIED);
    } else if (c != NULL && c->server == s) {
        c->pins |= TRACE_UNKNOWN;
    }
    if (c != NULL)
        c->asking = 0;
    ask_free(ask);
}

const char *ask_farewell(const struct client *c)
{
    uint32_t left = c->pins | c->traces | c->asking;

    return left & ~(uint32_t)TRACES_CARRIED ? "DISCARD ALL" : NULL;
}
