/*
 * slow.c: see slow.h. A ring of the most recent ones, oldest overwritten.
 * Thread: any (a mutex).
 */
#include "proxy/slow.h"

#include "conf/json.h"
#include "conf/log.h"
#include "parser/msgout.h"
#include "proxy/routing.h"
#include "proxy/show.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

#define SLOW_MAX 100        /* remembered */
#define SLOW_TEXT_MAX 4096u /* bytes of a text */

struct slow_query {
    usec_t at;
    uint64_t run_us;
    struct database_state *db;
    struct user_state *user;
    char address[64];
    char *text; /* owned */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct slow_query ring[SLOW_MAX];
static size_t noted; /* ever; the next one goes to ring[noted % SLOW_MAX] */

static char *text_of(const struct statement_run *run)
{
    const char *from = run->literal != NULL ? run->literal : run->shape->text;
    size_t len = run->literal != NULL ? strlen(run->literal) : run->shape->text_len;

    return mem_strndup(from, MIN(len, SLOW_TEXT_MAX));
}

/* On one line: no control characters. */
static void flatten(char *text)
{
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
}

/* --- the log's line --- */

static void member_text(struct buf *b, const char *name, const char *text)
{
    size_t len = strlen(text), size = json_string(text, len, NULL, 0) + 1;
    char head[64];

    buf_put(b, head, (size_t)snprintf(head, sizeof head, ",\"%s\":", name));
    json_string(text, len, (char *)buf_reserve(b, size), size);
    b->len += size - 1;
}

static void member_number(struct buf *b, const char *name, uint64_t number)
{
    char text[96];

    buf_put(b, text, (size_t)snprintf(text, sizeof text, ",\"%s\":%" PRIu64, name, number));
}

static void member_ms(struct buf *b, const char *name, uint64_t us)
{
    char text[96];

    buf_put(b, text,
            (size_t)snprintf(text, sizeof text, ",\"%s\":%" PRIu64 ".%03u", name, us / 1000, (unsigned)(us % 1000)));
}

/* Of several servers, none is named. */
static void put_place(struct buf *b, const struct server *s)
{
    char text[320] = "";

    if (s != NULL)
        server_print_place(s, text, sizeof text);
    member_text(b, "node", text);
    member_text(b, "role", s != NULL && routing_on_replica(s) ? "replica" : "primary");
    member_number(b, "server_pid", s == NULL ? 0 : s->backend_pid);
}

static void put_members(struct buf *b, const struct client *c, const struct statement_run *run)
{
    const char *application = c->vars == NULL ? NULL : vars_get(c->vars, "application_name");
    char text[320];

    member_text(b, "database", c->db->name);
    member_text(b, "user", c->user->name);
    snprintf(text, sizeof text, "%s:%d", c->address, c->port);
    member_text(b, "client", text);
    member_text(b, "application_name", application == NULL ? "" : application);
    put_place(b, run->s);
    member_text(b, "kind", statement_kind(run->shape));
    member_ms(b, "wait_ms", (uint64_t)c->waited_us);
    member_number(b, "rows", run->rows);
    member_number(b, "bytes", run->bytes);
    member_text(b, "outcome", run->failed ? "error" : "ok");
}

static void log_line(struct client *c, const struct statement_run *run, const char *text)
{
    bool json = c->worker->config->opt.log_format == LOG_FORMAT_JSON;
    struct buf members = {0};
    char name[200];

    client_name(c, name, sizeof name);
    if (!json) {
        log_info("%s slow query: %" PRIu64 ".%03u ms: %s", name, run->us / 1000, (unsigned)(run->us % 1000), text);
        return;
    }
    put_members(&members, c, run);
    member_ms(&members, "run_ms", run->us);
    member_text(&members, "statement", text);
    buf_put_u8(&members, '\0');
    log_write_members(LOG_INFO_, (const char *)buf_head(&members), "slow query");
    buf_free(&members);
}

void slow_query_note(struct client *c, const struct statement_run *run)
{
    char *text = text_of(run);

    log_line(c, run, text);
    flatten(text);
    pthread_mutex_lock(&lock);
    struct slow_query *q = &ring[noted++ % SLOW_MAX];
    free(q->text);
    *q = (struct slow_query){.at = c->worker->loop.now, .run_us = run->us, .db = c->db, .user = c->user, .text = text};
    snprintf(q->address, sizeof q->address, "%s:%d", c->address, c->port);
    pthread_mutex_unlock(&lock);
}

void slow_queries_reset(void)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < SLOW_MAX; i++)
        free(ring[i].text);
    memset(ring, 0, sizeof ring);
    noted = 0;
    pthread_mutex_unlock(&lock);
}

static void put_query(struct show *s, const struct slow_query *q)
{
    size_t mark = show_row(&s->out, s);
    char number[32];

    show_time(&s->out, q->at, clock_now());
    msg_row_text(&s->out, q->db->name);
    msg_row_text(&s->out, q->user->name);
    msg_row_text(&s->out, q->address);
    snprintf(number, sizeof number, "%" PRIu64 ".%03u", q->run_us / 1000, (unsigned)(q->run_us % 1000));
    msg_row_text(&s->out, number);
    msg_row_text(&s->out, q->text);
    msg_end(&s->out, mark);
}

/* The most recent first. */
void show_print_slow_queries(struct show *s)
{
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < MIN(noted, (size_t)SLOW_MAX) && (s->limit == 0 || i < s->limit); i++)
        put_query(s, &ring[(noted - 1 - i) % SLOW_MAX]);
    pthread_mutex_unlock(&lock);
}
