/*
 * statements.c: see statements.h.
 * Invariants: a shape is held by every expect entry and every memo slot that points to it. Only its worker writes a
 * reading; others see figures as the console copies them, in the worker's own thread.
 * Thread: worker; slow queries: any (a mutex, only where a query was slow).
 */
#include "proxy/statements.h"

#include "conf/log.h"
#include "parser/pgtree.h"
#include "parser/slots.h"
#include "pool/scram.h"
#include "proxy/active.h"
#include "proxy/routing.h"
#include "proxy/run_limit.h"
#include "proxy/slow.h"
#include "proxy/twophase.h"

#include <strings.h>

#define SHAPE_BYTES (8 * KIB) /* what a shape may take on the average: tree, text and figures */

/* --- reading --- */

static struct reading *reading_new(const char *why_not)
{
    struct reading *r = mem_zalloc(sizeof *r);

    r->why_not = why_not;
    if (why_not != NULL) {
        r->reasons = REASON_CODE;
        r->effects = UINT32_MAX;
    }
    return r;
}

void reading_free(void *value)
{
    struct reading *r = value;

    stmt_list_free(r->list);
    hint_free(&r->hint);
    one_key_forget(&r->one_key);
    free(r->nodes);
    free(r);
}

static struct reading *read_tree(const char *sql, size_t len)
{
    struct pgtree_error error;
    struct stmt_list *list = pgtree_parse(sql, len, &error);

    if (list == NULL)
        return reading_new(error.status == PGTREE_REFUSED ? "the grammar refuses it" : "it is too long");
    struct reading *r = reading_new(NULL);
    r->list = list;
    for (size_t i = 0; i < list->count; i++) {
        r->reasons |= list->stmts[i]->reasons;
        r->effects |= list->stmts[i]->effects;
    }
    return r;
}

struct make {
    const struct database_state *db; /* NULL: reading_apart */
    const struct user_state *user;
    const struct fingerprint *fingerprint;
    const char *sql;
    size_t len;
    bool standard_strings;
};

/* "sluice: primary" between the marks of a comment. */
static struct hint hint_in(const struct make *m)
{
    const struct fingerprint *f = m->fingerprint;
    struct hint none = {0};

    if (!(f->flags & FINGERPRINT_HINTED))
        return none;
    const char *colon = memchr(m->sql + f->hint_start, ':', f->hint_len);
    const char *end = m->sql + f->hint_start + f->hint_len - 2;
    return colon == NULL || colon >= end ? none : hint_of(colon + 1, (size_t)(end - colon - 1));
}

/* libpg_query knows only standard_conforming_strings = on. */
static void *make_reading(void *arg, size_t *value_bytes)
{
    const struct make *m = arg;
    struct reading *r;

    if (!fingerprint_is_parsable(m->fingerprint))
        r = reading_new("it is too long, or nothing that PostgreSQL reads");
    else if (!m->standard_strings && memchr(m->sql, '\\', m->len) != NULL)
        r = reading_new("standard_conforming_strings is off");
    else
        r = read_tree(m->sql, m->len);
    if (r->list != NULL)
        slots_bind(r->list, m->fingerprint, m->sql);
    r->hint = hint_in(m);
    r->db = m->db;
    r->user = m->user;
    *value_bytes = sizeof *r + (r->list == NULL ? 0 : r->list->arena.size_bytes);
    return r;
}

static const struct cache_calls calls = {.make = make_reading, .free_value = reading_free};

void statements_init(struct statements *s, const struct options *o)
{
    memset(s, 0, sizeof *s);
    random_bytes(&s->seed, sizeof s->seed);
    cache_init(&s->cache, calls, (size_t)o->max_shapes, (size_t)o->max_shapes * SHAPE_BYTES);
}

static void memo_clear(struct statements *s)
{
    for (size_t i = 0; i < MEMO_SLOTS; i++) {
        if (s->memo[i].shape != NULL)
            cache_release(&s->cache, s->memo[i].shape);
        s->memo[i].shape = NULL;
    }
}

void statements_free(struct statements *s)
{
    memo_clear(s);
    recent_clear(&s->recent, &s->cache);
    alike_clear(&s->alike, &s->cache);
    cache_free(&s->cache);
    fingerprint_free(&s->fingerprint);
    buf_free(&s->read);
}

void statements_configure(struct statements *s, const struct options *o)
{
    s->cache.count_max = (size_t)o->max_shapes;
    s->cache.bytes_max = (size_t)o->max_shapes * SHAPE_BYTES;
}

static unsigned flags_of(const struct options *o, bool standard_strings)
{
    return (standard_strings ? LEX_STANDARD_STRINGS : 0) | (o->hints == HINTS_COMMENT ? FINGERPRINT_KEEP_HINTS : 0);
}

static bool may_read(const struct client *c, size_t len)
{
    const struct options *o = &c->worker->config->opt;

    return o->sql_aware && c->vars->lexable && len <= o->max_inspect;
}

/* Of a text in either form, with its hash. */
static struct cache_key key_of(const struct client *c, struct span text, uint64_t hash)
{
    return (struct cache_key){.text = text,
                              .hash = hash,
                              .database = c->db->index,
                              .user = c->user == NULL ? 0 : c->user->index, /* a stranger (sharding.c) */
                              .flags = flags_of(&c->worker->config->opt, c->vars->standard_strings)};
}

/* The worker's fingerprint of a text; one that it is of already, to the byte, is not read again. */
static void take_fingerprint(struct statements *s, const char *sql, size_t len, unsigned flags)
{
    if (buf_used(&s->read) > 0 && s->read_flags == flags &&
        span_equal(span_of(sql, len), span_of(buf_head(&s->read), buf_used(&s->read))))
        return;
    fingerprint_read(&s->fingerprint, sql, len, flags, s->seed);
    s->read_flags = flags;
    buf_consume(&s->read, buf_used(&s->read));
    if (len <= RECENT_TEXT_MAX)
        buf_put(&s->read, sql, len);
}

/* A text that is like none that was read lately. */
static struct shape *read_whole(struct client *c, const char *sql, size_t len)
{
    struct statements *s = &c->worker->statements;
    struct fingerprint *f = &s->fingerprint;
    bool standard = c->vars->standard_strings;

    take_fingerprint(s, sql, len, flags_of(&c->worker->config->opt, standard));
    if (f->flags & FINGERPRINT_UNREADABLE)
        return NULL; /* each would be a shape of its own */
    struct make make = {
        .db = c->db, .user = c->user, .fingerprint = f, .sql = sql, .len = len, .standard_strings = standard};
    struct cache_key key = key_of(c, span_of(buf_head(&f->text), buf_used(&f->text)), f->hash);
    return cache_get(&s->cache, &key, &make);
}

/* The commands of two-phase commit have a name each that never comes again (commit.c): they are one shape. */
static struct span words_of(const char *sql, size_t len)
{
    static const char *const commands[] = {"PREPARE TRANSACTION '", "COMMIT PREPARED '", "ROLLBACK PREPARED '"};
    static const char *const own_words[] = {"PREPARE TRANSACTION 'sluice'", "COMMIT PREPARED 'sluice'",
                                            "ROLLBACK PREPARED 'sluice'"};

    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        size_t command = strlen(commands[i]), prefix = strlen(TWOPHASE_GID_PREFIX);
        if (len > command + prefix && memcmp(sql, commands[i], command) == 0 &&
            memcmp(sql + command, TWOPHASE_GID_PREFIX, prefix) == 0)
            return span_of(own_words[i], strlen(own_words[i]));
    }
    return span_of(sql, len);
}

struct shape *statement_read(struct client *c, const char *sql, size_t len)
{
    struct statements *s = &c->worker->statements;

    if (!may_read(c, len))
        return NULL;
    if (UNLIKELY(c->inside)) {
        struct span words = words_of(sql, len);
        sql = (const char *)words.ptr;
        len = words.len;
    }
    struct cache_key key = key_of(c, span_of(sql, len), 0);
    struct shape *shape = alike_find(&s->alike, &key);
    if (LIKELY(shape != NULL))
        return shape;
    shape = read_whole(c, sql, len);
    if (shape != NULL)
        alike_put(&s->alike, &s->cache, &key, &s->fingerprint, shape);
    return shape;
}

struct statement_slots statement_slots(struct client *c, const struct shape *shape, const char *sql)
{
    struct statements *s = &c->worker->statements;
    struct cache_key key = key_of(c, span_of(sql, strlen(sql)), 0);

    if (alike_is(&s->alike, &key, shape))
        return (struct statement_slots){.slots = s->alike.found, .count = s->alike.found_count};
    take_fingerprint(s, sql, key.text.len, key.flags);
    return (struct statement_slots){.slots = s->fingerprint.slots, .count = s->fingerprint.slot_count};
}

static uint64_t text_hash(const struct client *c, const char *sql, size_t len)
{
    return fingerprint_hash((const uint8_t *)sql, len, c->worker->statements.seed);
}

struct shape *statement_recall(struct client *c, const char *sql, size_t len)
{
    struct statements *s = &c->worker->statements;

    if (!may_read(c, len))
        return NULL;
    if (len > RECENT_TEXT_MAX)
        return statement_read(c, sql, len);
    struct cache_key key = key_of(c, span_of(sql, len), text_hash(c, sql, len));
    struct shape *shape = recent_find(&s->recent, &key);
    if (shape != NULL)
        return shape;
    shape = statement_read(c, sql, len);
    if (shape != NULL)
        recent_put(&s->recent, &s->cache, &key, shape);
    return shape;
}

void statement_forget(struct client *c)
{
    if (c->ahead != NULL)
        cache_release(&c->worker->statements.cache, c->ahead);
    c->ahead = NULL;
}

struct shape *statement_read_ahead(struct client *c, const char *sql, size_t len)
{
    struct shape *shape = statement_read(c, sql, len);

    statement_forget(c);
    if (shape == NULL)
        return NULL;
    cache_hold(shape);
    c->ahead = shape;
    c->ahead_hash = text_hash(c, sql, len);
    return shape;
}

struct shape *statement_take(struct client *c, const char *sql, size_t len)
{
    struct shape *shape = c->ahead;
    bool same = shape != NULL && !shape->dropped && c->ahead_hash == text_hash(c, sql, len);

    statement_forget(c);
    return same ? shape : statement_read(c, sql, len);
}

struct shape *statement_of_text(struct client *c, const struct stmt_text *text)
{
    struct statements *s = &c->worker->statements;
    struct memo *m = &s->memo[text->key[0] % MEMO_SLOTS];

    if (!c->worker->config->opt.sql_aware)
        return NULL;
    if (m->shape != NULL && m->key[0] == text->key[0] && m->key[1] == text->key[1] && m->database == c->db->index &&
        m->user == c->user->index && !m->shape->dropped) {
        m->shape->used = true;
        return m->shape;
    }
    struct shape *shape = statement_read(c, stmt_text_sql(text), text->sql_len);
    if (shape == NULL)
        return NULL;
    if (m->shape != NULL)
        cache_release(&s->cache, m->shape);
    *m = (struct memo){
        .key = {text->key[0], text->key[1]}, .database = c->db->index, .user = c->user->index, .shape = shape};
    cache_hold(shape);
    return shape;
}

/* --- counting --- */

void statement_sent(struct client *c, struct server *s, struct shape *shape, const char *sql)
{
    struct expect *last = expect_at(&s->expects, s->expects.count - 1);

    if (UNLIKELY(c->worker->config->opt.log_statement_text) && sql != NULL)
        last->literal = mem_strndup(sql, STATEMENT_LITERAL_MAX);
    c->writes = c->writes || routing_of_shape(c, shape).writes;
    if (shape == NULL)
        return;
    cache_hold(shape);
    last->shape = shape;
    usec_t limit = run_limit_of(c, shape);
    if (UNLIKELY(limit > 0)) {
        expect_limit_last(&s->expects);
        c->run_limit = limit;
        c->awaits_run = false;
    }
    if (s->run_at == 0)
        s->run_at = c->worker->loop.now;
}

void statement_answered(const struct client *c, struct shape *shape)
{
    struct statement_figures *f = &reading_of(shape)->f;

    f->calls++;
    f->last_at = c->worker->loop.now;
}

void statement_release(struct worker *w, const struct expect *e)
{
    if (e->shape != NULL)
        cache_release(&w->statements.cache, e->shape);
    free(e->literal);
}

static unsigned run_class(uint64_t us)
{
    unsigned octave;

    if (us < 4)
        return (unsigned)us;
    octave = 63 - (unsigned)__builtin_clzll(us);
    return MIN((octave - 1) * 4 + (unsigned)((us >> (octave - 2)) & 3), RUN_CLASSES - 1u);
}

static uint64_t class_floor(unsigned class)
{
    return class < 4 ? class : (uint64_t)(4 + class % 4) << (class / 4 - 1);
}

uint64_t statement_percentile(const struct spread *t, uint64_t all, double share)
{
    uint64_t seen = all - t->count;

    if ((double)seen >= share * (double)all)
        return 0;
    for (unsigned i = 0; i < RUN_CLASSES; i++) {
        seen += t->classes[i];
        if ((double)seen >= share * (double)all)
            return MIN(MAX(class_floor(i + 1) - 1, t->min_us), t->max_us);
    }
    return t->max_us;
}

static void spread_add(struct spread *t, uint64_t us)
{
    t->min_us = t->count == 0 ? us : MIN(t->min_us, us);
    t->max_us = MAX(t->max_us, us);
    t->total_us += us;
    t->classes[run_class(us)]++;
    t->count++;
}

/* A handful of nodes at most. */
static void count_node(struct reading *r, const struct node *node)
{
    size_t i = 0;

    while (i < r->node_count && r->nodes[i].node != node)
        i++;
    if (UNLIKELY(i == r->node_count)) {
        r->nodes = mem_realloc(r->nodes, ++r->node_count * sizeof *r->nodes);
        r->nodes[i] = (struct node_calls){.node = node};
    }
    r->nodes[i].calls++;
}

void statement_run(struct client *c, const struct statement_run *run)
{
    usec_t limit = (usec_t)c->worker->config->opt.slow_query_ms * USEC_PER_MSEC;
    struct reading *r = reading_of(run->shape);
    struct statement_figures *f = &r->f;

    spread_add(&f->run, run->us);
    if (c->waited_us > 0)
        spread_add(&f->wait, (uint64_t)c->waited_us);
    if (run->s != NULL && run->s->at_node != NULL)
        count_node(r, run->s->at_node);
    f->calls++;
    f->rows += run->rows;
    f->bytes += run->bytes;
    f->errors += run->failed;
    f->on_replica += run->s != NULL && routing_on_replica(run->s);
    f->last_at = c->worker->loop.now;
    if (UNLIKELY(limit > 0 && (usec_t)run->us >= limit))
        slow_query_note(c, run);
}

void statement_done(struct client *c, struct server *s, const struct expect *e)
{
    usec_t now = c->worker->loop.now;

    if (e->shape != NULL && !c->inside)
        statement_run(c, &(struct statement_run){.shape = e->shape,
                                                 .literal = e->literal,
                                                 .s = s,
                                                 .us = s->run_at == 0 ? 0 : (uint64_t)(now - s->run_at),
                                                 .rows = s->run_rows,
                                                 .bytes = s->run_bytes,
                                                 .failed = s->run_failed});
    if (UNLIKELY(e->limited))
        active_run_over(c);
    c->waited_us = 0;
    s->run_rows = s->run_bytes = 0;
    s->run_failed = false;
    s->run_at = s->expects.count > 0 ? now : 0;
}

/* The run that an error ends: that of the query, or the next Execute before Sync. */
void statement_failed(struct client *c, struct server *s, const char *sqlstate)
{
    for (uint32_t i = 0; i < s->expects.count; i++) {
        const struct expect *e = expect_at(&s->expects, i);
        if (e->shape != NULL) {
            s->run_failed = true;
            reading_of(e->shape)->f.timeouts += !c->inside && !c->cancelling.asked && strcmp(sqlstate, "57014") == 0;
            if (e->type == EXPECT_EXECUTE)
                statement_done(c, s, e);
            return;
        }
        if (expect_ends(e))
            return;
    }
}

const char *statement_kind(const struct shape *s)
{
    const struct stmt_list *list = reading_of(s)->list;

    return list == NULL ? "" : stmt_kind_name(list->stmts[0]->kind);
}

void statement_lost(struct client *c, struct server *s, bool timed_out)
{
    for (uint32_t i = 0; i < s->expects.count; i++) {
        const struct expect *e = expect_at(&s->expects, i);
        if (e->shape != NULL && e->client_id == c->id && e->verdict == EXPECT_FORWARD) {
            s->run_failed = true;
            reading_of(e->shape)->f.timeouts += timed_out;
            statement_done(c, s, e);
            return; /* what stands behind it did not begin, as far as anybody knows */
        }
    }
}

void statement_rerun(struct server *s)
{
    for (uint32_t i = 0; i < s->expects.count; i++) {
        const struct expect *e = expect_at(&s->expects, i);
        if (e->shape != NULL)
            reading_of(e->shape)->f.reruns++;
    }
}

void statements_reset(struct worker *w, void *unused)
{
    (void)unused;
    LIST_FOR_EACH (it, &w->statements.cache.ages) {
        struct reading *r = reading_of(LIST_ENTRY(it, struct shape, age));
        memset(&r->f, 0, sizeof r->f);
        r->node_count = 0;
    }
}

/* --- for the console --- */

struct reading *reading_apart(const struct options *o, const char *sql, char **text)
{
    struct fingerprint f = {0};
    struct make make = {.fingerprint = &f, .sql = sql, .len = strlen(sql), .standard_strings = true};
    size_t bytes;

    fingerprint_read(&f, sql, make.len, flags_of(o, true), 0);
    struct reading *r = f.flags & FINGERPRINT_UNREADABLE ? reading_new("is not read") : make_reading(&make, &bytes);
    *text = mem_strndup((const char *)buf_head(&f.text), buf_used(&f.text));
    fingerprint_free(&f);
    return r;
}

bool statement_any(struct worker *w, const struct database_state *db, const char *sql,
                   bool (*is)(const struct reading *r))
{
    struct statements *s = &w->statements;
    unsigned flags = flags_of(&w->config->opt, true);

    take_fingerprint(s, sql, strlen(sql), flags);
    const struct span text = span_of(buf_head(&s->fingerprint.text), buf_used(&s->fingerprint.text));
    LIST_FOR_EACH (it, &s->cache.ages) {
        const struct shape *shape = LIST_ENTRY(it, struct shape, age);
        if (shape->database == db->index && shape->flags == flags && shape->text_len == text.len &&
            memcmp(shape->text, text.ptr, text.len) == 0 && is(reading_of(shape)))
            return true;
    }
    return false;
}
