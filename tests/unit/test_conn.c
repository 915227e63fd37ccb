/*
 * test_conn.c: sockets under a real event loop: what input is offered again, back-pressure, the high watermark, ends
 * and breaks, moving between loops, connecting. The other end of each socketpair is read and written by the test.
 * Over 800 lines: because all cases share one subject, its handler and its peer.
 * Holds in the hostile build (SLUICE_HOSTILE) as well, where reads are of one byte and writes of three.
 * Thread: one.
 */
#include "pool/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define HIGH_WATERMARK (16 * KIB)
#define RUN (24 * KIB) /* long enough to be written from where it stands */
#define PATIENCE_USEC (5 * USEC_PER_SEC)

#ifdef SLUICE_HOSTILE
#define IS_HOSTILE true
#else
#define IS_HOSTILE false
#endif

/* What the handler does with input. */
enum habit { TAKE_ALL, TAKE_FOURS, TAKE_WHOLE, TAKE_NOTHING, CLOSE_IT, PAUSE_IT, REPROCESS_IT };

struct subject {
    struct conn_loop loop;
    struct conn c;
    int peer; /* the other end */
    enum habit habit;
    size_t whole; /* TAKE_WHOLE: nothing is taken before so many are there */
    struct buf taken;
    size_t offered; /* bytes of the last call */
    unsigned inputs, depth, deepest;
    unsigned opened, drained, ends, breaks, first_bytes;
    uint8_t first;
    int error;
    bool close_when_told; /* conn_close inside opened, drained, ended or first_byte */
    const char *greeting; /* sent when opened */
};

static struct subject *subject_of(struct conn *c)
{
    return CONTAINER_OF(c, struct subject, c);
}

static size_t take(struct subject *s, size_t len)
{
    switch (s->habit) {
    case TAKE_FOURS:
        return len - len % 4;
    case TAKE_WHOLE:
        s->c.want = s->whole;
        return len < s->whole ? 0 : len;
    case TAKE_NOTHING:
        return 0;
    case CLOSE_IT:
        conn_close(&s->c);
        return 0;
    case PAUSE_IT:
        conn_pause(&s->c);
        return 0;
    case REPROCESS_IT:
        if (s->depth < 10)
            conn_reprocess(&s->c);
        return 0;
    case TAKE_ALL:
        break;
    }
    return len;
}

static size_t on_input(struct conn *c, const uint8_t *p, size_t len)
{
    struct subject *s = subject_of(c);

    assert_true(len > 0);
    assert_int_equal(c->want, 0); /* the hint of the last call does not linger */
    s->inputs++;
    s->offered = len;
    s->depth++;
    s->deepest = MAX(s->deepest, s->depth);
    size_t used = take(s, len);
    s->depth--;
    buf_put(&s->taken, p, used);
    return used;
}

static void close_if_told(struct subject *s)
{
    if (s->close_when_told)
        conn_close(&s->c);
}

static void on_first_byte(struct conn *c, uint8_t byte)
{
    struct subject *s = subject_of(c);

    s->first_bytes++;
    s->first = byte;
    close_if_told(s);
}

static void on_opened(struct conn *c)
{
    struct subject *s = subject_of(c);

    s->opened++;
    if (s->greeting != NULL)
        conn_send(c, s->greeting, strlen(s->greeting));
    close_if_told(s);
}

static void on_drained(struct conn *c)
{
    struct subject *s = subject_of(c);

    s->drained++;
    assert_true(buf_used(&c->out) <= HIGH_WATERMARK / 2);
    close_if_told(s);
}

static void on_ended(struct conn *c, int error, const char *why)
{
    struct subject *s = subject_of(c);

    assert_null(why);
    s->ends += error == 0;
    s->breaks += error != 0;
    s->error = error;
    close_if_told(s);
}

static const struct conn_handler handler = {
    .first_byte = on_first_byte, .opened = on_opened, .input = on_input, .drained = on_drained, .ended = on_ended};

static const struct conn_handler hearing_handler = {
    .opened = on_opened, .input = on_input, .drained = on_drained, .ended = on_ended, .hears_out = true};

static int begin_alone(void **state)
{
    struct subject *s = mem_zalloc(sizeof *s);

    if (conn_loop_init(&s->loop, HIGH_WATERMARK) < 0)
        return -1;
    s->peer = -1;
    s->c.fd = -1;
    *state = s;
    return 0;
}

static int begin(void **state)
{
    int fds[2], small = 4096;

    begin_alone(state);
    struct subject *s = *state;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
        return -1;
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
    s->peer = fds[1];
    conn_init(&s->c, &s->loop, &handler, fds[0]);
    return 0;
}

static int end(void **state)
{
    struct subject *s = *state;

    conn_close(&s->c);
    if (s->peer >= 0)
        close(s->peer);
    conn_loop_free(&s->loop);
    buf_free(&s->taken);
    free(s);
    return 0;
}

/* One turn, as a worker makes it, but without sleeping. */
static void turn(struct conn_loop *l)
{
    l->now_is_fresh = false;
    poller_wait(&l->poller, false);
    while (poller_tell(&l->poller))
        ;
    conn_loop_read(l);
    conn_loop_flush(l);
}

#define TURN_UNTIL(s, condition)                                                                                       \
    do {                                                                                                               \
        usec_t deadline = clock_now() + PATIENCE_USEC;                                                                 \
        while (!(condition) && clock_now() < deadline)                                                                 \
            turn(&(s)->loop);                                                                                          \
        assert_true(condition);                                                                                        \
    } while (0)

/* Enough turns for whatever could still happen. */
static void settle(struct subject *s)
{
    for (int i = 0; i < 20; i++)
        turn(&s->loop);
}

static int events_waited_for(const struct subject *s)
{
    return __builtin_popcount(s->c.watch.events & (POLLER_READ | POLLER_WRITE));
}

static void peer_says(struct subject *s, const char *text)
{
    assert_int_equal(send(s->peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void peer_leaves(struct subject *s)
{
    close(s->peer);
    s->peer = -1;
}

/* Byte i of a long text: any shift or loss shows. */
static uint8_t pattern(size_t i)
{
    return (uint8_t)(i * 7 + (i >> 8) * 13);
}

static uint8_t *pattern_new(size_t len)
{
    uint8_t *p = mem_alloc(len);

    for (size_t i = 0; i < len; i++)
        p[i] = pattern(i);
    return p;
}

/* Reads what the peer has been sent so far, at most max, and appends it. */
static void peer_reads(struct subject *s, struct buf *got, size_t max)
{
    uint8_t *to = buf_reserve(got, max);
    ssize_t n = recv(s->peer, to, max, MSG_DONTWAIT);

    if (n > 0)
        got->len += (size_t)n;
}

static void assert_pattern(const struct buf *b, size_t len)
{
    size_t wrong = 0;

    assert_int_equal(buf_used(b), len);
    for (size_t i = 0; i < len; i++)
        wrong += buf_head(b)[i] != pattern(i);
    assert_int_equal(wrong, 0);
}

static void assert_taken(struct subject *s, const char *want)
{
    assert_int_equal(buf_used(&s->taken), strlen(want));
    assert_memory_equal(buf_head(&s->taken), want, strlen(want));
}

static void assert_peer_has(struct subject *s, const char *want)
{
    struct buf got = {.data = NULL};
    char text[64] = "";
    usec_t deadline = clock_now() + PATIENCE_USEC;

    while (buf_used(&got) < strlen(want) && clock_now() < deadline) {
        turn(&s->loop);
        peer_reads(s, &got, 63);
    }
    peer_reads(s, &got, 63);
    memcpy(text, buf_head(&got), MIN(buf_used(&got), sizeof text - 1));
    buf_free(&got);
    assert_string_equal(text, want);
}

static bool peer_has_nothing(struct subject *s)
{
    uint8_t byte;

    return recv(s->peer, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

/* --- input --- */

static void input_is_offered_and_taken(void **state)
{
    struct subject *s = *state;

    settle(s);
    assert_int_equal(s->inputs, 0);
    peer_says(s, "hello");
    TURN_UNTIL(s, buf_used(&s->taken) == 5);
    assert_taken(s, "hello");
    assert_int_equal(s->c.received_bytes, 5);
    assert_int_equal(s->c.in.cap, 0); /* an idle connection holds no buffer */
    assert_int_equal(s->c.phase, CONN_OPEN);
}

static void leftover_input_is_offered_again(void **state)
{
    struct subject *s = *state;

    s->habit = TAKE_FOURS;
    peer_says(s, "abc");
    TURN_UNTIL(s, s->c.received_bytes == 3);
    assert_taken(s, "");
    assert_int_equal(buf_used(&s->c.in), 3);
    peer_says(s, "defghi");
    TURN_UNTIL(s, s->c.received_bytes == 9);
    assert_taken(s, "abcdefgh");
    assert_int_equal(buf_used(&s->c.in), 1);
    assert_int_equal(buf_head(&s->c.in)[0], 'i');
    peer_says(s, "jkl");
    TURN_UNTIL(s, s->c.received_bytes == 12);
    assert_taken(s, "abcdefghijkl");
    assert_int_equal(s->c.in.cap, 0);
}

/* More than one read takes; returns how much. */
static size_t peer_says_much(struct subject *s)
{
    size_t len = IS_HOSTILE ? 100 : 150 * KIB;
    uint8_t *p = pattern_new(len);

    assert_int_equal(send(s->peer, p, len, MSG_NOSIGNAL), len);
    free(p);
    return len;
}

static void the_end_behind_more_than_one_read_is_heard(void **state)
{
    struct subject *s = *state;
    size_t len = peer_says_much(s);

    peer_leaves(s);
    TURN_UNTIL(s, s->ends + s->breaks == 1);
    assert_pattern(&s->taken, len);
}

static void who_was_told_the_end_is_given_nothing_more(void **state)
{
    struct subject *s = *state;
    size_t len = peer_says_much(s);

    peer_leaves(s);
    conn_send(&s->c, "x", 1); /* fails, when part of that has been read */
    TURN_UNTIL(s, s->breaks == 1);
    unsigned inputs = s->inputs;
    assert_true(buf_used(&s->taken) < len);
    settle(s);
    assert_int_equal(s->inputs, inputs);
    assert_int_equal(s->ends + s->breaks, 1);
}

static void what_is_left_after_a_full_read_is_read(void **state)
{
    struct subject *s = *state;
    size_t len = peer_says_much(s);

    TURN_UNTIL(s, buf_used(&s->taken) == len);
    assert_pattern(&s->taken, len);
}

static void peer_writes(struct subject *s, const uint8_t *p, size_t len)
{
    usec_t deadline = clock_now() + PATIENCE_USEC;

    for (size_t sent = 0; sent < len && clock_now() < deadline;) {
        ssize_t n = send(s->peer, p + sent, len - sent, MSG_NOSIGNAL);
        if (n > 0)
            sent += (size_t)n;
        turn(&s->loop);
    }
}

static void wanted_bytes_come_in_few_reads(void **state)
{
    struct subject *s = *state;
    size_t len = 30000;
    uint8_t *p = pattern_new(len);

    s->habit = TAKE_WHOLE;
    s->whole = len;
    assert_int_equal(send(s->peer, p, 10, 0), 10);
    TURN_UNTIL(s, s->c.received_bytes == 10);
    unsigned before = s->inputs;
    assert_int_equal(send(s->peer, p + 10, len - 10, 0), len - 10);
    TURN_UNTIL(s, buf_used(&s->taken) > 0);
    assert_pattern(&s->taken, len);
    assert_true(IS_HOSTILE || s->inputs == before + 1);
    assert_int_equal(s->offered, len);
    assert_int_equal(s->c.in.cap, 0);
    free(p);
}

static void message_longer_than_the_scratch_is_gathered(void **state)
{
    struct subject *s = *state;
    size_t len = IS_HOSTILE ? 20000 : 300000;
    uint8_t *p = pattern_new(len);

    s->habit = TAKE_WHOLE;
    s->whole = len;
    peer_writes(s, p, len);
    TURN_UNTIL(s, buf_used(&s->taken) > 0);
    assert_pattern(&s->taken, len);
    assert_int_equal(s->c.in.cap, 0);
    free(p);
}

static void pause_holds_input_until_resume(void **state)
{
    struct subject *s = *state;

    conn_pause(&s->c);
    conn_pause(&s->c);
    assert_int_equal(events_waited_for(s), 0);
    peer_says(s, "x");
    settle(s);
    assert_int_equal(s->inputs, 0);
    conn_resume(&s->c);
    conn_resume(&s->c);
    TURN_UNTIL(s, s->inputs == 1);
    assert_taken(s, "x");
    assert_int_equal(events_waited_for(s), 1);
}

static void paused_in_the_middle_is_reprocessed(void **state)
{
    struct subject *s = *state;

    s->habit = PAUSE_IT;
    peer_says(s, "ab");
    TURN_UNTIL(s, s->inputs == 1);
    settle(s);
    assert_int_equal(s->inputs, 1);
    size_t had = buf_used(&s->c.in);
    assert_true(IS_HOSTILE || had == 2);
    s->habit = TAKE_ALL;
    conn_reprocess(&s->c);
    assert_int_equal(buf_used(&s->taken), had);
    assert_int_equal(s->inputs, 2);
    conn_reprocess(&s->c); /* there is nothing left */
    assert_int_equal(s->inputs, 2);
    conn_resume(&s->c);
    TURN_UNTIL(s, buf_used(&s->taken) == 2);
    assert_taken(s, "ab");
}

static void input_is_not_called_while_it_runs(void **state)
{
    struct subject *s = *state;

    s->habit = TAKE_NOTHING;
    peer_says(s, "ab");
    TURN_UNTIL(s, s->c.received_bytes == 2);
    s->habit = REPROCESS_IT;
    peer_says(s, "c");
    TURN_UNTIL(s, s->c.received_bytes == 3);
    assert_int_equal(s->deepest, 1);
    assert_int_equal(buf_used(&s->c.in), 3);
}

static void input_may_close(void **state)
{
    struct subject *s = *state;
    int fd = s->c.fd;

    s->habit = TAKE_FOURS;
    peer_says(s, "abc");
    TURN_UNTIL(s, s->c.received_bytes == 3);
    s->habit = CLOSE_IT;
    peer_says(s, "def");
    TURN_UNTIL(s, s->c.phase == CONN_CLOSED);
    assert_int_equal(s->c.fd, -1);
    assert_int_equal(s->c.in.cap, 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    unsigned before = s->inputs;
    settle(s);
    conn_close(&s->c);
    conn_send(&s->c, "x", 1);
    conn_flush(&s->c);
    conn_reprocess(&s->c);
    conn_pause(&s->c);
    conn_resume(&s->c);
    conn_shutdown(&s->c);
    settle(s);
    assert_int_equal(s->inputs, before);
    assert_int_equal(s->ends + s->breaks, 0); /* who closes is not told */
    assert_int_equal(events_waited_for(s), 0);
}

static void first_byte_is_seen_before_it_is_read(void **state)
{
    struct subject *s = *state;

    s->c.peek_first = true;
    settle(s);
    assert_int_equal(s->first_bytes, 0);
    peer_says(s, "Qxy");
    TURN_UNTIL(s, buf_used(&s->taken) == 3);
    assert_int_equal(s->first_bytes, 1);
    assert_int_equal(s->first, 'Q');
    assert_taken(s, "Qxy");
    peer_says(s, "z");
    TURN_UNTIL(s, buf_used(&s->taken) == 4);
    assert_int_equal(s->first_bytes, 1);
}

static void first_byte_may_close(void **state)
{
    struct subject *s = *state;

    s->c.peek_first = true;
    s->close_when_told = true;
    peer_says(s, "Q");
    TURN_UNTIL(s, s->c.phase == CONN_CLOSED);
    assert_int_equal(s->inputs, 0);
}

static void end_without_a_first_byte(void **state)
{
    struct subject *s = *state;

    s->c.peek_first = true;
    shutdown(s->peer, SHUT_WR);
    TURN_UNTIL(s, s->ends == 1);
    assert_int_equal(s->first_bytes, 0);
}

/* --- output --- */

static void sends_are_gathered_until_the_flush(void **state)
{
    struct subject *s = *state;

    assert_false(conn_loop_busy(&s->loop));
    conn_send(&s->c, "ab", 2);
    conn_send(&s->c, "cd", 2);
    assert_true(conn_loop_busy(&s->loop));
    assert_true(peer_has_nothing(s));
    conn_loop_flush(&s->loop);
    assert_false(conn_loop_busy(&s->loop));
    assert_peer_has(s, "abcd");
    assert_int_equal(s->c.sent_bytes, 4);
    assert_int_equal(s->c.out.cap, 0);
    assert_int_equal(events_waited_for(s), 1); /* reading only */
    assert_int_equal(s->drained, 0);
}

static void held_bytes_wait_until_they_are_let_go(void **state)
{
    struct subject *s = *state;

    conn_send(&s->c, "before ", 7);
    conn_hold(&s->c);
    conn_send(&s->c, "held ", 5);
    turn(&s->loop);
    conn_send_run(&s->c, "more ", 5);
    turn(&s->loop);
    assert_peer_has(s, "before ");
    conn_let_go(&s->c);
    conn_send(&s->c, "behind", 6);
    assert_peer_has(s, "held more behind");
}

static void held_bytes_can_be_taken_back(void **state)
{
    struct subject *s = *state;

    conn_send(&s->c, "before ", 7);
    conn_hold(&s->c);
    conn_send(&s->c, "never", 5);
    conn_take_back(&s->c);
    conn_send(&s->c, "behind", 6);
    assert_peer_has(s, "before behind");
    conn_hold(&s->c);
    conn_send(&s->c, "never", 5);
    turn(&s->loop);
    conn_take_back(&s->c);
    conn_send(&s->c, "at last", 7);
    assert_peer_has(s, "at last");
    assert_int_equal(buf_used(&s->c.out), 0);
}

static void touched_bytes_are_flushed(void **state)
{
    struct subject *s = *state;

    buf_put(&s->c.out, "abc", 3);
    conn_touch(&s->c);
    conn_touch(&s->c);
    turn(&s->loop);
    assert_peer_has(s, "abc");
    buf_put(&s->c.out, "d", 1);
    conn_flush(&s->c);
    assert_false(peer_has_nothing(s));
}

static void run_is_written_from_where_it_stands(void **state)
{
    struct subject *s = *state;
    uint8_t *p = pattern_new(RUN);
    struct buf got = {.data = NULL};

    conn_send_run(&s->c, p, RUN);
    assert_true(s->c.sent_bytes > 0); /* before any flush */
    assert_int_equal(s->c.sent_bytes + buf_used(&s->c.out), RUN);
    memset(p, 0, RUN); /* the receive buffer is used for other things now */
    while (buf_used(&got) < RUN) {
        turn(&s->loop);
        peer_reads(s, &got, RUN);
    }
    assert_pattern(&got, RUN);
    assert_int_equal(s->c.sent_bytes, RUN);
    buf_free(&got);
    free(p);
}

static void run_never_overtakes(void **state)
{
    struct subject *s = *state;
    uint8_t *p = pattern_new(3 * RUN);
    struct buf got = {.data = NULL};

    conn_send(&s->c, p, 5);
    conn_send_run(&s->c, p + 5, RUN);
    assert_int_equal(s->c.sent_bytes, 0); /* something was queued before it */
    conn_loop_flush(&s->loop);
    conn_send_run(&s->c, p + 5 + RUN, RUN);
    conn_send_run(&s->c, p + 5 + 2 * RUN, 100);
    conn_send(&s->c, p + 105 + 2 * RUN, RUN - 105);
    usec_t deadline = clock_now() + PATIENCE_USEC;
    while (buf_used(&got) < 3 * RUN && clock_now() < deadline) {
        turn(&s->loop);
        peer_reads(s, &got, 1000);
    }
    assert_pattern(&got, 3 * RUN);
    buf_free(&got);
    free(p);
}

static void queue_over_the_watermark_tells_when_it_has_drained(void **state)
{
    struct subject *s = *state;
    uint8_t *p = pattern_new(64 * KIB);
    struct buf got = {.data = NULL};

    for (unsigned round = 1; round <= 2; round++) {
        assert_false(conn_is_high(&s->c));
        conn_send(&s->c, p, 64 * KIB);
        assert_true(conn_is_high(&s->c));
        conn_loop_flush(&s->loop);
        settle(s);
        assert_true(conn_is_high(&s->c)); /* the kernel took a part, the peer reads nothing */
        assert_int_equal(events_waited_for(s), 2);
        usec_t deadline = clock_now() + PATIENCE_USEC;
        while (buf_used(&got) < 64 * KIB && clock_now() < deadline) {
            if (buf_used(&s->c.out) > HIGH_WATERMARK / 2)
                assert_int_equal(s->drained, round - 1);
            peer_reads(s, &got, 1000);
            turn(&s->loop);
        }
        assert_pattern(&got, 64 * KIB);
        buf_consume(&got, 64 * KIB);
        assert_int_equal(s->drained, round);
        assert_int_equal(events_waited_for(s), 1);
    }
    conn_send(&s->c, p, HIGH_WATERMARK); /* just not over it */
    assert_false(conn_is_high(&s->c));
    TURN_UNTIL(s, (peer_reads(s, &got, 1000), buf_used(&s->c.out) == 0));
    assert_int_equal(s->drained, 2);
    buf_free(&got);
    free(p);
}

static void drained_may_close(void **state)
{
    struct subject *s = *state;
    struct buf got = {.data = NULL};
    uint8_t *p = pattern_new(64 * KIB);

    s->close_when_told = true;
    conn_send(&s->c, p, 64 * KIB);
    TURN_UNTIL(s, (peer_reads(s, &got, 1000), s->c.phase == CONN_CLOSED));
    assert_int_equal(s->drained, 1);
    assert_int_equal(s->c.out.cap, 0);
    settle(s);
    buf_free(&got);
    free(p);
}

static void close_loses_what_is_queued(void **state)
{
    struct subject *s = *state;
    uint8_t byte;

    conn_send(&s->c, "x", 1);
    conn_close(&s->c);
    assert_false(conn_loop_busy(&s->loop));
    settle(s);
    assert_int_equal(recv(s->peer, &byte, 1, 0), 0);
}

/* --- ends --- */

static void end_of_file_is_told_once(void **state)
{
    struct subject *s = *state;

    peer_says(s, "bye");
    shutdown(s->peer, SHUT_WR);
    TURN_UNTIL(s, s->ends == 1);
    assert_taken(s, "bye");
    assert_true(s->c.eof);
    assert_false(s->c.broken);
    assert_int_equal(s->c.phase, CONN_OPEN);
    assert_int_equal(events_waited_for(s), 0); /* else the loop would spin */
    conn_pause(&s->c);
    conn_resume(&s->c);
    assert_int_equal(events_waited_for(s), 0);
    settle(s);
    assert_int_equal(s->ends, 1);
    conn_send(&s->c, "answer", 6); /* half closed: what was asked is still answered */
    assert_peer_has(s, "answer");
    assert_int_equal(s->breaks, 0);
}

static void break_after_the_end_is_told_too(void **state)
{
    struct subject *s = *state;

    shutdown(s->peer, SHUT_WR);
    TURN_UNTIL(s, s->ends == 1);
    peer_leaves(s);
    conn_send(&s->c, "x", 1);
    TURN_UNTIL(s, s->breaks == 1);
    assert_int_equal(s->error, EPIPE);
    assert_true(s->c.broken);
    conn_send(&s->c, "y", 1);
    settle(s);
    assert_int_equal(s->ends, 1);
    assert_int_equal(s->breaks, 1);
    assert_false(conn_loop_busy(&s->loop));
}

static void reset_is_told_once(void **state)
{
    struct subject *s = *state;

    conn_send(&s->c, "unread", 6);
    TURN_UNTIL(s, s->c.sent_bytes == 6);
    peer_leaves(s); /* with bytes that it has not read: a reset */
    TURN_UNTIL(s, s->breaks == 1);
    assert_int_equal(s->error, ECONNRESET);
    assert_int_equal(s->ends, 0);
    assert_int_equal(events_waited_for(s), 0);
    conn_send(&s->c, "x", 1);
    uint8_t run[RUN] = {0};
    conn_send_run(&s->c, run, sizeof run);
    assert_int_equal(buf_used(&s->c.out), 0); /* nobody will ever read it */
    conn_flush(&s->c);
    conn_pause(&s->c);
    conn_resume(&s->c);
    settle(s);
    assert_int_equal(s->breaks, 1);
    assert_int_equal(events_waited_for(s), 0);
    assert_false(conn_can_move(&s->c));
}

/* What it has said, and that it is gone, are both there when a write fails. */
static void peer_says_and_goes(struct subject *s, const char *text)
{
    peer_says(s, text);
    peer_leaves(s);
    conn_send(&s->c, "x", 1);
    conn_flush(&s->c);
}

static void last_words_are_heard_where_they_count(void **state)
{
    struct subject *s = *state;

    s->c.handler = &hearing_handler;
    peer_says_and_goes(s, "last words");
    assert_int_equal(s->inputs + s->breaks, 0); /* not inside the write */
    assert_false(conn_can_move(&s->c));
    conn_send(&s->c, "y", 1);
    conn_flush(&s->c);
    TURN_UNTIL(s, s->breaks == 1);
    assert_taken(s, "last words");
    assert_int_equal(s->error, EPIPE);
    settle(s);
    assert_int_equal(s->breaks, 1);
    assert_int_equal(s->ends, 0);
    assert_int_equal(events_waited_for(s), 0);
    assert_false(conn_loop_busy(&s->loop));
}

static void last_words_wait_for_those_who_wait(void **state)
{
    struct subject *s = *state;

    s->c.handler = &hearing_handler;
    conn_pause(&s->c);
    peer_says_and_goes(s, "last words");
    settle(s);
    assert_int_equal(s->inputs + s->breaks, 0);
    conn_resume(&s->c);
    TURN_UNTIL(s, s->breaks == 1);
    assert_taken(s, "last words");
}

static void last_words_are_not_heard_elsewhere(void **state)
{
    struct subject *s = *state;

    peer_says_and_goes(s, "last words");
    assert_int_equal(s->breaks, 1);
    settle(s);
    assert_int_equal(s->inputs, 0);
}

static void break_with_a_full_queue_ends_its_writing(void **state)
{
    struct subject *s = *state;
    uint8_t *p = pattern_new(64 * KIB);

    conn_send(&s->c, p, 64 * KIB);
    settle(s);
    assert_int_equal(events_waited_for(s), 2);
    peer_leaves(s);
    TURN_UNTIL(s, s->breaks == 1);
    settle(s);
    assert_int_equal(s->breaks, 1);
    assert_int_equal(events_waited_for(s), 0);
    free(p);
}

static void ended_may_close(void **state)
{
    struct subject *s = *state;

    s->close_when_told = true;
    shutdown(s->peer, SHUT_WR);
    TURN_UNTIL(s, s->c.phase == CONN_CLOSED);
    settle(s);
    assert_int_equal(s->ends, 1);
    assert_int_equal(s->c.fd, -1);
}

static void shutdown_sends_first_and_goes_on_reading(void **state)
{
    struct subject *s = *state;
    uint8_t byte;

    conn_send(&s->c, "last", 4);
    conn_shutdown(&s->c);
    assert_peer_has(s, "last");
    assert_int_equal(recv(s->peer, &byte, 1, 0), 0);
    peer_says(s, "late");
    TURN_UNTIL(s, buf_used(&s->taken) == 4);
    assert_taken(s, "late");
    assert_int_equal(s->ends + s->breaks, 0);
}

/* --- moving --- */

static void connection_moves_to_another_loop(void **state)
{
    struct subject *s = *state;
    struct conn_loop other;

    assert_int_equal(conn_loop_init(&other, HIGH_WATERMARK), 0);
    assert_true(conn_can_move(&s->c));
    conn_detach(&s->c);
    assert_null(s->c.loop);
    assert_int_equal(events_waited_for(s), 0);
    peer_says(s, "x"); /* while it belongs to nobody */
    settle(s);
    assert_int_equal(s->inputs, 0);
    conn_adopt(&s->c, &other);
    for (int i = 0; i < 20; i++)
        turn(&other);
    assert_taken(s, "x");
    conn_send(&s->c, "y", 1);
    assert_false(conn_loop_busy(&s->loop));
    assert_true(conn_loop_busy(&other));
    turn(&other);
    assert_peer_has(s, "y");
    conn_detach(&s->c);
    assert_int_equal(events_waited_for(s), 0);
    conn_adopt(&s->c, &s->loop); /* and back */
    peer_says(s, "z");
    TURN_UNTIL(s, buf_used(&s->taken) == 2);
    conn_loop_free(&other);
}

static void full_writer_moves_once_it_is_empty(void **state)
{
    struct subject *s = *state;
    struct buf got = {.data = NULL};
    uint8_t *p = pattern_new(64 * KIB);

    conn_send(&s->c, p, 64 * KIB);
    settle(s);
    assert_false(conn_can_move(&s->c));
    TURN_UNTIL(s, (peer_reads(s, &got, 64 * KIB), buf_used(&got) == 64 * KIB));
    assert_true(conn_can_move(&s->c));
    conn_detach(&s->c);
    conn_adopt(&s->c, &s->loop);
    conn_send(&s->c, p, 64 * KIB); /* needs a write event again */
    buf_consume(&got, buf_used(&got));
    TURN_UNTIL(s, (peer_reads(s, &got, 64 * KIB), buf_used(&got) == 64 * KIB));
    assert_pattern(&got, 64 * KIB);
    buf_free(&got);
    free(p);
}

static void paused_connection_moves_paused(void **state)
{
    struct subject *s = *state;

    conn_pause(&s->c);
    conn_detach(&s->c);
    conn_adopt(&s->c, &s->loop);
    peer_says(s, "x");
    settle(s);
    assert_int_equal(s->inputs, 0);
    conn_resume(&s->c);
    TURN_UNTIL(s, s->inputs == 1);
}

static void unfinished_connections_do_not_move(void **state)
{
    struct subject *s = *state;

    conn_send(&s->c, "x", 1);
    assert_false(conn_can_move(&s->c));
    turn(&s->loop);
    assert_peer_has(s, "x");
    assert_true(conn_can_move(&s->c));
    s->habit = TAKE_NOTHING;
    peer_says(s, "half");
    TURN_UNTIL(s, s->c.received_bytes == 4);
    assert_false(conn_can_move(&s->c));
    s->habit = TAKE_ALL;
    conn_reprocess(&s->c);
    assert_true(conn_can_move(&s->c));
    shutdown(s->peer, SHUT_WR);
    TURN_UNTIL(s, s->ends == 1);
    assert_false(conn_can_move(&s->c));
    conn_close(&s->c);
    assert_false(conn_can_move(&s->c));
}

/* --- connecting --- */

/* A TCP socket bound to a free port of loopback. */
static int tcp_bound(struct sockaddr_in *addr)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    socklen_t len = sizeof *addr;

    *addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)addr, sizeof *addr), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)addr, &len), 0);
    return fd;
}

/* Connects by TCP; the caller closes the listener that is returned. */
static int connect_tcp(struct subject *s)
{
    struct sockaddr_in addr;
    int listener = tcp_bound(&addr);

    assert_int_equal(listen(listener, 5), 0);
    assert_int_equal(conn_connect(&s->c, &s->loop, &handler, (struct sockaddr *)&addr, sizeof addr), 0);
    assert_int_equal(s->c.phase, CONN_CONNECTING);
    assert_int_equal(s->opened, 0); /* never from inside conn_connect */
    return listener;
}

static void connecting_is_told_when_it_is_done(void **state)
{
    struct subject *s = *state;

    s->greeting = "hello";
    int listener = connect_tcp(s);
    assert_false(conn_can_move(&s->c));
    TURN_UNTIL(s, s->opened == 1);
    assert_int_equal(s->c.phase, CONN_OPEN);
    s->peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(s->peer >= 0);
    close(listener);
    assert_peer_has(s, "hello");
    peer_says(s, "welcome");
    TURN_UNTIL(s, buf_used(&s->taken) == 7);
    assert_int_equal(s->opened, 1);
    assert_int_equal(events_waited_for(s), 1);
}

/* conn_send promises a flush at the end of the turn; before the connection stands, that can only be then. */
static void bytes_queued_while_connecting_are_sent(void **state)
{
    struct subject *s = *state;
    int listener = connect_tcp(s);

    conn_send(&s->c, "early", 5);
    TURN_UNTIL(s, s->opened == 1);
    s->peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    close(listener);
    settle(s);
    assert_int_equal(s->c.sent_bytes, 5);
    assert_peer_has(s, "early");
}

static void opened_may_close(void **state)
{
    struct subject *s = *state;

    s->close_when_told = true;
    int listener = connect_tcp(s);
    TURN_UNTIL(s, s->c.phase == CONN_CLOSED);
    settle(s);
    assert_int_equal(s->opened, 1);
    close(listener);
}

static void closed_while_connecting(void **state)
{
    struct subject *s = *state;
    int listener = connect_tcp(s);

    conn_close(&s->c);
    settle(s);
    assert_int_equal(s->opened + s->ends + s->breaks, 0);
    close(listener);
}

static void refused_connection_is_told(void **state)
{
    struct subject *s = *state;
    struct sockaddr_in addr;
    int fd = tcp_bound(&addr); /* bound, not listening: nobody else can take the port */

    assert_int_equal(conn_connect(&s->c, &s->loop, &handler, (struct sockaddr *)&addr, sizeof addr), 0);
    TURN_UNTIL(s, s->breaks == 1);
    assert_int_equal(s->error, ECONNREFUSED);
    assert_int_equal(s->opened, 0);
    settle(s);
    assert_int_equal(s->breaks, 1);
    assert_int_equal(events_waited_for(s), 0);
    close(fd);
}

static void missing_unix_socket_fails_at_once(void **state)
{
    struct subject *s = *state;
    struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "/nowhere/at/all/.s.PGSQL.5432"};

    errno = 0;
    assert_int_equal(conn_connect(&s->c, &s->loop, &handler, (struct sockaddr *)&addr, sizeof addr), -1);
    assert_int_equal(errno, ENOENT);
    settle(s);
    assert_int_equal(s->opened + s->ends + s->breaks, 0);
}

/* A Unix socket whose queue is full answers EAGAIN: that is a failure, not a connection that is being made. */
static void full_unix_socket_is_no_connection(void **state)
{
    struct subject *s = *state;
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), queued = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    socklen_t len = sizeof addr;

    assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(sa_family_t)), 0); /* any abstract name */
    assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(connect(queued, (struct sockaddr *)&addr, len), 0);
    if (conn_connect(&s->c, &s->loop, &handler, (struct sockaddr *)&addr, len) == 0)
        settle(s);
    assert_int_equal(s->opened, 0);
    close(queued);
    close(listener);
}

/* --- options of the socket --- */

static int option_of(int fd, int level, int name)
{
    int value = -1;
    socklen_t len = sizeof value;

    getsockopt(fd, level, name, &value, &len);
    return value;
}

static void tcp_options_are_set(void **state)
{
    struct sockaddr_in addr;
    int fd = tcp_bound(&addr);
    struct options o = {.tcp_keepalive = true,
                        .tcp_keepidle = 33,
                        .tcp_keepintvl = 11,
                        .tcp_keepcnt = 4,
                        .tcp_user_timeout = 5 * USEC_PER_SEC};

    (void)state;
    conn_tune(fd, &o);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 33);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL), 11);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT), 4);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT), 5000);
    close(fd);
    fd = tcp_bound(&addr);
    int idle = option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE);
    conn_tune(fd, &(struct options){.tcp_keepalive = false});
    assert_int_equal(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), idle);
    close(fd);
}

static void tcp_options_do_not_harm_unix_sockets(void **state)
{
    struct subject *s = *state;

    conn_tune(s->c.fd,
              &(struct options){.tcp_keepalive = true, .tcp_keepidle = 33, .tcp_user_timeout = 5 * USEC_PER_SEC});
    conn_send(&s->c, "x", 1);
    assert_peer_has(s, "x");
}

static void time_is_read_once_a_turn(void **state)
{
    struct subject *s = *state;

    s->loop.now = 1;
    s->loop.now_is_fresh = true;
    conn_loop_time(&s->loop);
    assert_int_equal(s->loop.now, 1);
    s->loop.now_is_fresh = false;
    usec_t before = clock_now();
    conn_loop_time(&s->loop);
    assert_true(s->loop.now >= before && s->loop.now <= clock_now());
    assert_true(s->loop.now_is_fresh);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)
#define TEST_ALONE(function) cmocka_unit_test_setup_teardown(function, begin_alone, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(input_is_offered_and_taken),
        TEST(leftover_input_is_offered_again),
        TEST(the_end_behind_more_than_one_read_is_heard),
        TEST(who_was_told_the_end_is_given_nothing_more),
        TEST(what_is_left_after_a_full_read_is_read),
        TEST(wanted_bytes_come_in_few_reads),
        TEST(message_longer_than_the_scratch_is_gathered),
        TEST(pause_holds_input_until_resume),
        TEST(paused_in_the_middle_is_reprocessed),
        TEST(input_is_not_called_while_it_runs),
        TEST(input_may_close),
        TEST(first_byte_is_seen_before_it_is_read),
        TEST(first_byte_may_close),
        TEST(end_without_a_first_byte),
        TEST(sends_are_gathered_until_the_flush),
        TEST(held_bytes_wait_until_they_are_let_go),
        TEST(held_bytes_can_be_taken_back),
        TEST(touched_bytes_are_flushed),
        TEST(run_is_written_from_where_it_stands),
        TEST(run_never_overtakes),
        TEST(queue_over_the_watermark_tells_when_it_has_drained),
        TEST(drained_may_close),
        TEST(close_loses_what_is_queued),
        TEST(end_of_file_is_told_once),
        TEST(break_after_the_end_is_told_too),
        TEST(reset_is_told_once),
        TEST(last_words_are_heard_where_they_count),
        TEST(last_words_wait_for_those_who_wait),
        TEST(last_words_are_not_heard_elsewhere),
        TEST(break_with_a_full_queue_ends_its_writing),
        TEST(ended_may_close),
        TEST(shutdown_sends_first_and_goes_on_reading),
        TEST(connection_moves_to_another_loop),
        TEST(full_writer_moves_once_it_is_empty),
        TEST(paused_connection_moves_paused),
        TEST(unfinished_connections_do_not_move),
        TEST_ALONE(connecting_is_told_when_it_is_done),
        TEST_ALONE(bytes_queued_while_connecting_are_sent),
        TEST_ALONE(opened_may_close),
        TEST_ALONE(closed_while_connecting),
        TEST_ALONE(refused_connection_is_told),
        TEST_ALONE(missing_unix_socket_fails_at_once),
        TEST_ALONE(full_unix_socket_is_no_connection),
        TEST_ALONE(tcp_options_are_set),
        TEST(tcp_options_do_not_harm_unix_sockets),
        TEST(time_is_read_once_a_turn),
    };

    return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
