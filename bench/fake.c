/*
 * fake.c: an instant PostgreSQL: it answers at once what a benchmark and a pooler ask, so that what a pooler itself
 * costs is seen without PostgreSQL's noise.
 *
 *   recv -> scratch (an unfinished message's tail: conn.in) -> answers appended to conn.out -> one send a turn
 *
 * It logs everybody in, answers each statement by its first word (the `verbs` table) with a canned result, keeps the
 * transaction status and reports SET of a reported parameter. A SELECT that names `bench_bulk` has BULK_ROWS rows.
 * It has one portal a connection and no savepoints; a statement whose first word it does not know is an error.
 * Invariants: a connection with something in `out` is not read; a callback dooms, the end of the turn frees.
 * Usage: fake PORT, on 127.0.0.1.
 * Thread: main (the only one).
 */
#include "bench/net.h"
#include "parser/msgout.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCRATCH_BYTES (64 * KIB)
#define MESSAGE_MAX (64 * MIB)
#define STARTUP_MAX 10000
#define TURN_EVENTS 256
#define BULK_ROWS 10000
#define BULK_FILLER 100
#define OID_INT4 23
#define OID_TEXT 25
#define HEADER 5
#define CODE_CANCEL 80877102u
#define CODE_SSL 80877103u
#define CODE_GSSENC 80877104u

enum answer { ANSWER_TAG, ANSWER_ROW, ANSWER_BULK };

struct verb {
    const char *word;
    const char *tag;
    enum answer answer;
    char status; /* the transaction status afterwards; 0: as it was */
};

static const struct verb verbs[] = {
    {"SELECT", "SELECT 1", ANSWER_ROW, 0},
    {"UPDATE", "UPDATE 1", ANSWER_TAG, 0},
    {"INSERT", "INSERT 0 1", ANSWER_TAG, 0},
    {"DELETE", "DELETE 1", ANSWER_TAG, 0},
    {"BEGIN", "BEGIN", ANSWER_TAG, 'T'},
    {"START", "START TRANSACTION", ANSWER_TAG, 'T'},
    {"COMMIT", "COMMIT", ANSWER_TAG, 'I'},
    {"END", "COMMIT", ANSWER_TAG, 'I'},
    {"ROLLBACK", "ROLLBACK", ANSWER_TAG, 'I'},
    {"ABORT", "ROLLBACK", ANSWER_TAG, 'I'},
    {"SHOW", "SHOW", ANSWER_ROW, 0},
    {"SET", "SET", ANSWER_TAG, 0},
    {"RESET", "RESET", ANSWER_TAG, 0},
    {"DISCARD", "DISCARD ALL", ANSWER_TAG, 0},
    {"DEALLOCATE", "DEALLOCATE", ANSWER_TAG, 0},
};
static const struct verb bulk_verb = {"SELECT", NULL, ANSWER_BULK, 0};

/* What PostgreSQL 15 reports at login and after a change. */
static const struct msg_pair_out reported[] = {
    {"application_name", ""},
    {"client_encoding", "UTF8"},
    {"DateStyle", "ISO, MDY"},
    {"default_transaction_read_only", "off"},
    {"in_hot_standby", "off"},
    {"integer_datetimes", "on"},
    {"IntervalStyle", "postgres"},
    {"is_superuser", "on"},
    {"server_encoding", "UTF8"},
    {"server_version", "15.0"},
    {"session_authorization", "bench"},
    {"standard_conforming_strings", "on"},
    {"TimeZone", "Etc/UTC"},
};

struct statement {
    char *name; /* owned */
    const struct verb *verb;
    uint16_t params;
};

struct conn {
    int fd;
    bool started;
    bool skipping; /* after an error in the extended protocol, up to Sync */
    bool doomed;
    char status; /* as in ReadyForQuery */
    struct buf in;
    struct buf out;
    struct statement *statements; /* owned */
    size_t statement_count;
    const struct verb *portal; /* what the last Bind bound; NULL: nothing */
    struct list doomed_link;
};

static int poll_fd;
static struct list doomed_conns;
static uint8_t scratch[SCRATCH_BYTES];
static uint32_t conn_count;
/* Ready-made answers: description and rows apart, since Execute sends no description. */
static struct buf row_head, row_body, bulk_head, bulk_body;

/* --- answers ------------------------------------------------------------------------------------------------- */

static void answers_build(void)
{
    static const struct msg_column one[] = {{"value", OID_INT4, 4}};
    static const struct msg_column two[] = {{"id", OID_INT4, 4}, {"filler", OID_TEXT, -1}};
    char filler[BULK_FILLER + 1];
    char tag[32];

    msg_row_description(&row_head, one, ARRAY_LEN(one));
    size_t mark = msg_row_begin(&row_body, 1);
    msg_row_int(&row_body, 1);
    msg_end(&row_body, mark);

    memset(filler, 'x', BULK_FILLER);
    filler[BULK_FILLER] = '\0';
    msg_row_description(&bulk_head, two, ARRAY_LEN(two));
    for (int i = 1; i <= BULK_ROWS; i++) {
        mark = msg_row_begin(&bulk_body, 2);
        msg_row_int(&bulk_body, i);
        msg_row_text(&bulk_body, filler);
        msg_end(&bulk_body, mark);
    }
    snprintf(tag, sizeof tag, "SELECT %d", BULK_ROWS);
    msg_command_complete(&bulk_body, tag);
}

static void put_all(struct conn *c, const struct buf *ready_made)
{
    buf_put(&c->out, buf_head(ready_made), buf_used(ready_made));
}

static void answer_description(struct conn *c, const struct verb *v)
{
    if (v != NULL && v->answer == ANSWER_ROW)
        put_all(c, &row_head);
    else if (v != NULL && v->answer == ANSWER_BULK)
        put_all(c, &bulk_head);
    else
        msg_empty(&c->out, 'n');
}

static void answer_result(struct conn *c, const struct verb *v)
{
    if (v->answer == ANSWER_BULK) {
        put_all(c, &bulk_body);
        return;
    }
    if (v->answer == ANSWER_ROW)
        put_all(c, &row_body);
    msg_command_complete(&c->out, v->tag);
    if (v->status != 0)
        c->status = v->status;
}

static void answer_error(struct conn *c, const char *sqlstate, const char *text)
{
    msg_error(&c->out, "ERROR", sqlstate, text, NULL, NULL);
    if (c->status == 'T')
        c->status = 'E';
}

/* --- statements ---------------------------------------------------------------------------------------------- */

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && (isspace((unsigned char)*at) || *at == ';'))
        at++;
    return at;
}

static size_t word_len(const char *at, const char *end)
{
    const char *p = at;

    while (p < end && (isalnum((unsigned char)*p) || *p == '_'))
        p++;
    return (size_t)(p - at);
}

static bool word_is(const char *at, size_t len, const char *word)
{
    return strlen(word) == len && strncasecmp(at, word, len) == 0;
}

/* NULL: a first word that is not in the table. */
static const struct verb *verb_of(const char *text, const char *end)
{
    static const char bulk_name[] = "bench_bulk";
    const char *at = skip_space(text, end);
    size_t len = word_len(at, end);

    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (!word_is(at, len, verbs[i].word))
            continue;
        bool bulk = i == 0 && memmem(at, (size_t)(end - at), bulk_name, sizeof bulk_name - 1) != NULL;
        return bulk ? &bulk_verb : &verbs[i];
    }
    return NULL;
}

/* SET name = value, SET name TO 'value': a reported parameter's change is told, as poolers rely on it. */
static void report_set(struct conn *c, const char *text, const char *end)
{
    const char *at = skip_space(text, end) + strlen("SET");

    at = skip_space(at, end);
    size_t name_len = word_len(at, end);
    const char *name = at;
    at = skip_space(at + name_len, end);
    at = at < end && *at == '=' ? at + 1 : at + word_len(at, end);
    at = skip_space(at, end);
    if (at < end && *at == '\'')
        at++;
    const char *stop = end;
    while (stop > at && (stop[-1] == '\'' || stop[-1] == ' '))
        stop--;
    for (size_t i = 0; i < ARRAY_LEN(reported); i++) {
        if (!word_is(name, name_len, reported[i].name))
            continue;
        char *value = mem_strndup(at, (size_t)(stop - at));
        msg_param_status(&c->out, reported[i].name, value);
        free(value);
    }
}

/* The end of the statement that starts at text: a semicolon outside quotes. */
static const char *statement_end(const char *text, const char *end)
{
    bool quoted = false;

    for (; text < end; text++) {
        if (*text == '\'')
            quoted = !quoted;
        else if (*text == ';' && !quoted)
            break;
    }
    return text;
}

/* Returns false after an error: the rest of the message is not run. */
static bool run_one(struct conn *c, const char *text, const char *end)
{
    const struct verb *v = verb_of(text, end);

    if (v == NULL) {
        answer_error(c, "0A000", "the benchmark's fake server does not know this statement");
        return false;
    }
    if (word_is(v->word, strlen(v->word), "SET"))
        report_set(c, text, end);
    if (v->answer != ANSWER_TAG)
        answer_description(c, v);
    answer_result(c, v);
    return true;
}

static void take_query(struct conn *c, const char *text)
{
    const char *end = text + strlen(text);
    bool any = false;

    for (const char *at = skip_space(text, end); at < end; at = skip_space(at, end)) {
        const char *stop = statement_end(at, end);
        any = true;
        if (!run_one(c, at, stop))
            break;
        at = stop;
    }
    if (!any)
        msg_empty(&c->out, 'I');
    msg_ready(&c->out, c->status);
}

/* --- the extended protocol ----------------------------------------------------------------------------------- */

static struct statement *statement_find(struct conn *c, const char *name)
{
    for (size_t i = 0; i < c->statement_count; i++)
        if (strcmp(c->statements[i].name, name) == 0)
            return &c->statements[i];
    return NULL;
}

static struct statement *statement_make(struct conn *c, const char *name)
{
    struct statement *s = statement_find(c, name);

    if (s != NULL)
        return s;
    c->statements = mem_realloc(c->statements, (c->statement_count + 1) * sizeof *c->statements);
    s = &c->statements[c->statement_count++];
    s->name = mem_strdup(name);
    return s;
}

static void statement_drop(struct conn *c, struct statement *s)
{
    free(s->name);
    *s = c->statements[--c->statement_count];
}

/* The highest $n of the text. */
static uint16_t params_of(const char *text)
{
    unsigned long most = 0;

    for (const char *p = strchr(text, '$'); p != NULL; p = strchr(p + 1, '$')) {
        unsigned long n = strtoul(p + 1, NULL, 10);
        most = MAX(most, n);
    }
    return (uint16_t)MIN(most, 65535ul);
}

static void fail_to_sync(struct conn *c, const char *sqlstate, const char *text)
{
    answer_error(c, sqlstate, text);
    c->skipping = true;
}

static void take_parse(struct conn *c, struct reader *r)
{
    const char *name = reader_cstr(r);
    const char *text = reader_cstr(r);
    const struct verb *v = verb_of(text, text + strlen(text));

    if (v == NULL) {
        fail_to_sync(c, "0A000", "the benchmark's fake server does not know this statement");
        return;
    }
    struct statement *s = statement_make(c, name);
    s->verb = v;
    s->params = params_of(text);
    msg_empty(&c->out, '1');
}

static void take_bind(struct conn *c, struct reader *r)
{
    (void)reader_cstr(r);
    struct statement *s = statement_find(c, reader_cstr(r));

    if (s == NULL) {
        fail_to_sync(c, "26000", "prepared statement does not exist");
        return;
    }
    c->portal = s->verb;
    msg_empty(&c->out, '2');
}

static void take_describe(struct conn *c, struct reader *r)
{
    uint8_t kind = reader_u8(r);
    struct statement *s = statement_find(c, reader_cstr(r));

    if (kind != 'S') {
        answer_description(c, c->portal);
        return;
    }
    if (s == NULL) {
        fail_to_sync(c, "26000", "prepared statement does not exist");
        return;
    }
    size_t mark = msg_begin(&c->out, 't');
    buf_put_u16(&c->out, s->params);
    for (uint16_t i = 0; i < s->params; i++)
        buf_put_u32(&c->out, OID_INT4);
    msg_end(&c->out, mark);
    answer_description(c, s->verb);
}

static void take_execute(struct conn *c)
{
    if (c->portal == NULL)
        fail_to_sync(c, "34000", "portal does not exist");
    else
        answer_result(c, c->portal);
}

static void take_close(struct conn *c, struct reader *r)
{
    uint8_t kind = reader_u8(r);
    struct statement *s = kind == 'S' ? statement_find(c, reader_cstr(r)) : NULL;

    if (s != NULL)
        statement_drop(c, s);
    msg_empty(&c->out, '3');
}

/* --- connections --------------------------------------------------------------------------------------------- */

static void conn_doom(struct conn *c)
{
    if (c->doomed)
        return;
    c->doomed = true;
    list_push_back(&doomed_conns, &c->doomed_link);
}

static void conns_free_doomed(void)
{
    LIST_FOR_EACH_SAFE (it, &doomed_conns) {
        struct conn *c = LIST_ENTRY(it, struct conn, doomed_link);

        close(c->fd);
        buf_free(&c->in);
        buf_free(&c->out);
        while (c->statement_count > 0)
            statement_drop(c, &c->statements[c->statement_count - 1]);
        free(c->statements);
        list_del(it);
        free(c);
    }
}

static void conn_watch(struct conn *c, int operation)
{
    struct epoll_event ev = {.events = buf_used(&c->out) > 0 ? EPOLLOUT : EPOLLIN, .data.ptr = c};

    if (epoll_ctl(poll_fd, operation, c->fd, &ev) < 0)
        net_die("epoll_ctl");
}

static void take_message(struct conn *c, uint8_t type, struct reader *r)
{
    if (type == 'S') {
        c->skipping = false;
        msg_ready(&c->out, c->status);
        return;
    }
    if (c->skipping && type != 'X')
        return;
    switch (type) {
    case 'Q':
        take_query(c, reader_cstr(r));
        break;
    case 'P':
        take_parse(c, r);
        break;
    case 'B':
        take_bind(c, r);
        break;
    case 'D':
        take_describe(c, r);
        break;
    case 'E':
        take_execute(c);
        break;
    case 'C':
        take_close(c, r);
        break;
    case 'H':
        break;
    default:
        conn_doom(c);
    }
}

/* The value of a parameter in the startup packet, else the usual one. */
static const char *startup_value(struct reader pairs, const struct msg_pair_out *parameter)
{
    const char *value = parameter->value;

    while (!pairs.bad && reader_left(&pairs) > 1) {
        const char *name = reader_cstr(&pairs);
        const char *given = reader_cstr(&pairs);
        if (!pairs.bad && strcasecmp(name, parameter->name) == 0)
            value = given;
    }
    return value;
}

static void take_startup(struct conn *c, struct reader *r)
{
    uint32_t code = reader_u32(r);
    uint8_t key[4] = {1, 2, 3, 4};

    if (code == CODE_SSL || code == CODE_GSSENC) {
        buf_put_u8(&c->out, 'N');
        return;
    }
    if (code >> 16 != 3) { /* a cancel, too: there is never anything to cancel */
        conn_doom(c);
        return;
    }
    c->started = true;
    msg_auth(&c->out, 0, NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(reported); i++)
        msg_param_status(&c->out, reported[i].name, startup_value(*r, &reported[i]));
    msg_key_data(&c->out, ++conn_count, key, sizeof key);
    msg_ready(&c->out, c->status);
}

/* Takes one message off the bytes. Returns how many it had; 0: it is not all there, or the connection is doomed. */
static size_t take_one(struct conn *c, const uint8_t *bytes, size_t len)
{
    size_t head = c->started ? HEADER : 4;

    if (len < head)
        return 0;
    size_t total = be32_at(bytes + head - 4) + (c->started ? 1u : 0u);
    if (total < (c->started ? HEADER : 8u) || total > (c->started ? MESSAGE_MAX : STARTUP_MAX)) {
        conn_doom(c);
        return 0;
    }
    if (len < total)
        return 0;
    struct reader r = reader_of(bytes + head, total - head);
    if (c->started)
        take_message(c, bytes[0], &r);
    else
        take_startup(c, &r);
    if (r.bad)
        conn_doom(c);
    return total;
}

static size_t take_all(struct conn *c, const uint8_t *bytes, size_t len)
{
    size_t done = 0;

    while (!c->doomed) {
        size_t took = take_one(c, bytes + done, len - done);
        if (took == 0)
            break;
        done += took;
    }
    return done;
}

static void conn_flush(struct conn *c)
{
    ssize_t sent = send(c->fd, buf_head(&c->out), buf_used(&c->out), MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN && errno != EINTR)
        conn_doom(c);
    else if (sent > 0)
        buf_consume(&c->out, (size_t)sent);
}

static void conn_readable(struct conn *c)
{
    ssize_t got = recv(c->fd, scratch, sizeof scratch, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        conn_doom(c);
        return;
    }
    if (buf_used(&c->in) == 0) {
        size_t done = take_all(c, scratch, (size_t)got);
        buf_put(&c->in, scratch + done, (size_t)got - done);
    } else {
        buf_put(&c->in, scratch, (size_t)got);
        buf_consume(&c->in, take_all(c, buf_head(&c->in), buf_used(&c->in)));
    }
    if (c->doomed || buf_used(&c->out) == 0)
        return;
    conn_flush(c);
    if (buf_used(&c->out) > 0)
        conn_watch(c, EPOLL_CTL_MOD);
}

static void conn_event(struct conn *c, uint32_t events)
{
    if (events & EPOLLOUT) {
        conn_flush(c);
        if (!c->doomed && buf_used(&c->out) == 0)
            conn_watch(c, EPOLL_CTL_MOD);
    } else if (events & EPOLLIN) {
        conn_readable(c);
    } else {
        conn_doom(c);
    }
}

static void conn_accept(int listen_fd)
{
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    net_nodelay(fd);
    struct conn *c = mem_zalloc(sizeof *c);
    c->fd = fd;
    c->status = 'I';
    list_init(&c->doomed_link);
    conn_watch(c, EPOLL_CTL_ADD);
}

/* The listening socket is the one whose event has no connection. */
static void turn(int listen_fd)
{
    struct epoll_event events[TURN_EVENTS];
    int count = epoll_wait(poll_fd, events, TURN_EVENTS, -1);

    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr == NULL)
            conn_accept(listen_fd);
        else
            conn_event(events[i].data.ptr, events[i].events);
    }
    conns_free_doomed();
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: fake PORT\n", stderr);
        return 2;
    }
    list_init(&doomed_conns);
    answers_build();
    int listen_fd = net_listen(net_address(argv[1]));
    poll_fd = net_poll(listen_fd);
    for (;;)
        turn(listen_fd);
}
