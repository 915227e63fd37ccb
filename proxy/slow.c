/*
 * slow.c: see slow.h. A ring of the most recent ones, oldest overwritten.
 * Thread: any (a mutex).
 */
#include "proxy/slow.h"

#include "conf/log.h"
#include "parser/msgout.h"
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

/* One line: no control characters. */
static char *text_of(const struct client *c, const struct shape *shape)
{
    bool literal = c->worker->config->opt.log_statement_text && buf_used(&c->literal) > 0;
    const char *from = literal ? (const char *)buf_head(&c->literal) : shape->text;
    size_t len = literal ? buf_used(&c->literal) : shape->text_len;
    char *text = mem_strndup(from, MIN(len, SLOW_TEXT_MAX));

    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
    return text;
}

void slow_query_note(struct client *c, const struct shape *shape, uint64_t run_us)
{
    char name[200];
    char *text = text_of(c, shape);

    log_info("%s slow query: %" PRIu64 ".%03u ms: %s", client_name(c, name, sizeof name), run_us / 1000,
             (unsigned)(run_us % 1000), text);
    pthread_mutex_lock(&lock);
    struct slow_query *q = &ring[noted++ % SLOW_MAX];
    free(q->text);
    *q = (struct slow_query){.at = c->worker->loop.now, .run_us = run_us, .db = c->db, .user = c->user, .text = text};
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
