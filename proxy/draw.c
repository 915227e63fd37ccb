/*
 * draw.c: see draw.h. One stock a table, for all workers.
 * Invariants: a key leaves a stock once. What was asked for before a stock was emptied does not come into it.
 * Thread: worker, and control for the questions; stocks are under one mutex, off the fast path.
 */
#include "proxy/draw.h"

#include "conf/log.h"
#include "parser/sql_text.h"
#include "proxy/control.h"
#include "proxy/recoverer.h"
#include "proxy/routing.h"

#include <inttypes.h>
#include <stdio.h>

#define ERROR_USEC USEC_PER_SEC /* for how long nobody asks again after the first shard has refused */
#define LOCKED "55P03"          /* by a transaction that has restarted the sequence */

const char draw_own_refusal[] = "the rows' keys come from a sequence that this transaction has restarted";
const char draw_own_hint[] = "COMMIT before, or write the rows by themselves.";

struct question;

/* A table's. Never freed before the end. */
struct stock {
    struct list node;
    struct database_state *db;
    char *schema, *table, *column; /* owned */
    uint64_t epoch;                /* changes when it is emptied */
    bool asking;
    struct question *question; /* control's; owned: it is being answered; or NULL */
    bool locked;               /* who was asked last had to wait for somebody's lock */
    usec_t failed_at;
    char error[256]; /* "": none */
    struct buf keys; /* each with its NUL */
};

struct drawn {
    struct stock *stock;
    uint64_t epoch;  /* of the stock that they are from */
    uint32_t wanted; /* by the client's own transaction, and from nowhere else; 0: they are the stock's */
    struct buf text;
    uint32_t count;
    const char **keys; /* owned array; made when they are told */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list stocks = {&stocks, &stocks};

static struct stock *stock_of(struct database_state *db, const struct map_table *t)
{
    LIST_FOR_EACH (it, &stocks) {
        struct stock *s = LIST_ENTRY(it, struct stock, node);
        if (s->db == db && strcmp(s->table, t->name) == 0 && strcmp(s->schema, t->schema) == 0 &&
            strcmp(s->column, t->column) == 0)
            return s;
    }
    struct stock *s = mem_zalloc(sizeof *s);
    s->db = db;
    s->schema = mem_strdup(t->schema);
    s->table = mem_strdup(t->name);
    s->column = mem_strdup(t->column);
    list_push_back(&stocks, &s->node);
    return s;
}

/* --- control asks --- */

struct question {
    struct message m;
    struct stock *stock;
    uint64_t epoch;
    uint32_t count;
};

static char *question_text(const struct stock *s, const char *selects, uint32_t count)
{
    struct buf name = {0}, sql = {0};

    sql_text_put(&name, "%i.%i", s->schema, s->table);
    buf_put_u8(&name, 0);
    sql_text_put(
        &sql,
        "SELECT %t FROM (SELECT pg_catalog.nextval(pg_catalog.pg_get_serial_sequence(%l, %l)::pg_catalog.regclass) "
        "AS key FROM pg_catalog.generate_series(1, %n)) AS drawn",
        selects, (const char *)name.data, s->column, (int)count);
    buf_put_u8(&sql, 0);
    buf_free(&name);
    return (char *)sql.data;
}

static char *own_text(const struct stock *s, uint32_t count)
{
    return question_text(s, "pg_catalog.concat_ws(' ', pg_catalog.min(key), pg_catalog.max(key))", count);
}

static void take_rows(struct stock *s, const struct probe *rows)
{
    s->error[0] = '\0';
    for (size_t i = 0; i < probe_rows(rows); i++)
        buf_put_cstr(&s->keys, probe_value(rows, i, 0));
}

static void told(void *arg, const struct recoverer_reply *reply)
{
    struct question *q = arg;
    struct stock *s = q->stock;

    s->question = NULL;
    pthread_mutex_lock(&lock);
    s->asking = false;
    s->locked = strcmp(reply->sqlstate, LOCKED) == 0;
    if (reply->rows != NULL && q->epoch == s->epoch) {
        take_rows(s, reply->rows);
    } else if (reply->rows == NULL && reply->sqlstate[0] != '\0' && !s->locked) {
        snprintf(s->error, sizeof s->error, "%s", reply->error);
        s->failed_at = clock_now();
    }
    pthread_mutex_unlock(&lock);
    if (reply->rows != NULL || reply->sqlstate[0] != '\0')
        workers_call(routing_news, NULL, NULL);
    free(q);
}

static void question_arrives(void *receiver, struct message *m)
{
    struct question *q = CONTAINER_OF(m, struct question, m);

    (void)receiver;
    if (control_ended()) {
        free(q);
        return;
    }
    char *sql = question_text(q->stock, "key::text", q->count);
    q->stock->question = q;
    recoverer_ask(recoverer_of(q->stock->db), sql, NULL, told, NULL, q);
    free(sql);
}

/* Under the mutex. */
static void ask(struct stock *s, uint32_t count)
{
    struct question *q;

    if (s->asking)
        return;
    s->asking = true;
    q = mem_zalloc(sizeof *q);
    *q = (struct question){.m.run = question_arrives, .stock = s, .epoch = s->epoch, .count = count};
    control_post(&q->m);
}

/* --- what a client has --- */

void drawn_free(struct drawn *d)
{
    if (d == NULL)
        return;
    buf_free(&d->text);
    free(d->keys);
    free(d);
}

void draw_used(struct client *c)
{
    drawn_free(c->drawn);
    c->drawn = NULL;
    c->sequence_server = UINT64_MAX; /* no server has seen what lastval() is now */
}

static bool is_of(const struct drawn *d, const struct client *c, const struct stock *s)
{
    return d->stock == s && (d->wanted > 0 ? (c->draws_anew & DRAWS_OWN) != 0 : d->epoch == s->epoch);
}

/* Under the mutex: the client's keys come from that stock as it is, or from its own transaction. */
static struct drawn *drawn_of(struct client *c, struct stock *s)
{
    if (c->drawn != NULL && is_of(c->drawn, c, s))
        return c->drawn;
    drawn_free(c->drawn);
    c->drawn = mem_zalloc(sizeof *c->drawn);
    c->drawn->stock = s;
    c->drawn->epoch = s->epoch;
    return c->drawn;
}

static void take(struct drawn *d, struct stock *s, uint32_t count)
{
    while (d->count < count && buf_used(&s->keys) > 0) {
        size_t len = strlen((const char *)buf_head(&s->keys)) + 1;
        buf_put(&d->text, buf_head(&s->keys), len);
        buf_consume(&s->keys, len);
        d->count++;
    }
}

static const char *const *keys_of(struct drawn *d)
{
    const char *at = (const char *)buf_head(&d->text);

    d->keys = mem_realloc(d->keys, d->count * sizeof *d->keys);
    for (uint32_t i = 0; i < d->count; i++, at += strlen(at) + 1)
        d->keys[i] = at;
    return d->keys;
}

static void want_own(struct drawn *d, uint32_t count)
{
    buf_free(&d->text);
    d->count = 0;
    d->wanted = count;
}

char *draw_own_question(const struct client *c)
{
    const struct drawn *d = c->drawn;

    return d == NULL || d->count >= d->wanted ? NULL : own_text(d->stock, d->wanted);
}

/* Nobody else draws meanwhile: they are equally far from each other. */
void draw_own_take(struct client *c, const char *answer)
{
    struct drawn *d = c->drawn;
    int64_t first, last;
    char text[24];

    if (sscanf(answer, "%" SCNd64 " %" SCNd64, &first, &last) != 2) {
        d->wanted = 0;
        c->draws_anew &= (uint8_t)~DRAWS_OWN;
        return;
    }
    int64_t step = d->wanted > 1 ? (last - first) / (d->wanted - 1) : 0;
    for (d->count = 0; d->count < d->wanted; d->count++) {
        snprintf(text, sizeof text, "%" PRId64, first + step * d->count);
        buf_put_cstr(&d->text, text);
    }
}

struct draw_answer draw_keys(struct client *c, const struct map_table *t, uint32_t count)
{
    static const char none[] = "";
    uint32_t block = (uint32_t)c->worker->config->opt.sequence_block;
    struct draw_answer a = {.error = none};

    draw_settle(c);
    pthread_mutex_lock(&lock);
    struct stock *s = stock_of(c->db, t);
    struct drawn *d = drawn_of(c, s);
    if (d->wanted == 0)
        take(d, s, count);
    if (d->count >= count) {
        a.keys = keys_of(d);
    } else if (s->locked && (c->draws_anew & DRAWS_OWN)) {
        want_own(d, count);
        a.is_own = true;
    } else if (s->error[0] != '\0' && c->worker->loop.now - s->failed_at < ERROR_USEC) {
        a.error = s->error;
    } else {
        s->error[0] = '\0';
        ask(s, MAX(block, count - d->count));
    }
    pthread_mutex_unlock(&lock);
    return a;
}

/* --- what is done to the sequences themselves --- */

void draw_note(struct client *c, const struct stmt *s)
{
    bool sets = s->kind == STMT_TRUNCATE || s->kind == STMT_CALL || s->kind == STMT_DO ||
                ((s->reasons & REASON_DDL) && !(s->reasons & REASON_TEMP));

    for (size_t i = 0; i < s->function_count; i++)
        sets = sets || strcmp(s->functions[i].name, "setval") == 0;
    c->draws_anew |= sets ? DRAWS_ANEW | DRAWS_OWN : 0;
}

static bool is_in_transaction(const struct client *c)
{
    return c->joint != NULL || (c->server != NULL && c->server->tx != 'I');
}

void draw_reset(struct client *c)
{
    bool anew = c->draws_anew & DRAWS_ANEW;

    c->draws_anew &= is_in_transaction(c) ? DRAWS_OWN : 0;
    if (!anew)
        return;
    pthread_mutex_lock(&lock);
    LIST_FOR_EACH (it, &stocks) {
        struct stock *s = LIST_ENTRY(it, struct stock, node);
        if (s->db != c->db)
            continue;
        s->epoch++;
        s->locked = false;
        buf_consume(&s->keys, buf_used(&s->keys));
    }
    pthread_mutex_unlock(&lock);
}

void draw_free(void)
{
    while (!list_empty(&stocks)) {
        struct stock *s = LIST_FIRST(&stocks, struct stock, node);
        list_del(&s->node);
        buf_free(&s->keys);
        free(s->question);
        free(s->schema);
        free(s->table);
        free(s->column);
        free(s);
    }
}
