/*
 * conn.c: see conn.h.
 * Thread: worker.
 */
#include "pool/conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef SLUICE_HOSTILE
/* The hostile build reads one byte at a time and writes three, to meet every boundary there is. */
#define SCRATCH_BYTES ((size_t)1)
#define READ_AT_LEAST ((size_t)1)
#define WRITE_AT_MOST ((size_t)3)
#else
#define SCRATCH_BYTES (64 * KIB)
#define READ_AT_LEAST (4 * KIB)
#define WRITE_AT_MOST (4 * MIB)
#endif
#define SPARE_BYTES (2 * KIB)
#define RUN_BYTES (8 * KIB) /* from here on a run is worth a write of its own */

/* The bare calls: glibc's can be cancelled, which is two atomic operations each, and which nobody here wants. */
static ssize_t fd_recv(int fd, void *p, size_t len)
{
    return syscall(SYS_recvfrom, fd, p, len, 0, NULL, NULL);
}

static ssize_t fd_send(int fd, const void *p, size_t len)
{
    return syscall(SYS_sendto, fd, p, len, MSG_NOSIGNAL, NULL, 0);
}

int conn_loop_init(struct conn_loop *l, size_t high_watermark)
{
    l->scratch = mem_alloc(SCRATCH_BYTES);
    list_init(&l->dirty);
    list_init(&l->eager);
    list_init(&l->warm);
    l->now = clock_now();
    l->high_watermark = high_watermark;
    l->spare_count = 0;
    l->prompt = NULL;
    return poller_init(&l->poller);
}

void conn_loop_free(struct conn_loop *l)
{
    poller_free(&l->poller);
    free(l->scratch);
    l->scratch = NULL;
    while (l->spare_count > 0)
        buf_free(&l->spares[--l->spare_count]);
}

/* --- memory of queues --- */

/* Before an empty queue is filled. */
static void take_memory(struct conn_loop *l, struct buf *b)
{
    if (b->data == NULL && l->spare_count > 0)
        *b = l->spares[--l->spare_count];
}

/* When a queue is empty: an idle connection holds none. */
static void give_memory(struct conn_loop *l, struct buf *b)
{
    if (b->data == NULL)
        return;
    if (b->cap > SPARE_BYTES || l->spare_count == CONN_SPARES) {
        buf_free(b);
        return;
    }
    l->spares[l->spare_count++] = (struct buf){.data = b->data, .cap = b->cap};
    *b = (struct buf){.data = NULL};
}

struct buf *conn_out(struct conn *c)
{
    take_memory(c->loop, &c->out);
    return &c->out;
}

/* --- events --- */

static void on_readable(struct poller_watch *w, bool is_last);
static void on_writable(struct poller_watch *w);

/* A read that is shorter than its room has taken all there was, but for TLS, whose records are read one by one. */
static void wait_for(struct conn *c, uint32_t events)
{
    bool by_edge = events == POLLER_READ && c->tls == NULL;

    poller_watch(&c->loop->poller, c->fd, &c->watch, by_edge ? events | POLLER_EDGE : events);
}

static uint32_t waits_for(const struct conn *c)
{
    return c->watch.events & (POLLER_READ | POLLER_WRITE);
}

static void wait_to_read(struct conn *c, bool on)
{
    wait_for(c, on ? waits_for(c) | POLLER_READ : waits_for(c) & ~POLLER_READ);
}

/* The kernel's buffer is full, or it connects. */
static bool is_writing(const struct conn *c)
{
    return (c->watch.events & POLLER_WRITE) != 0;
}

static void wait_to_write(struct conn *c, bool on)
{
    if (on != is_writing(c))
        wait_for(c, on ? waits_for(c) | POLLER_WRITE : waits_for(c) & ~POLLER_WRITE);
}

static void conn_setup(struct conn *c, struct conn_loop *loop, const struct conn_handler *handler, int fd)
{
    memset(c, 0, sizeof *c);
    c->fd = fd;
    c->loop = loop;
    c->handler = handler;
    c->watch = (struct poller_watch){.readable = on_readable, .writable = on_writable};
    list_init(&c->dirty_node);
    list_init(&c->eager_node);
    list_init(&c->warm_node);
}

void conn_init(struct conn *c, struct conn_loop *loop, const struct conn_handler *handler, int fd)
{
    conn_setup(c, loop, handler, fd);
    c->phase = CONN_OPEN;
    wait_to_read(c, true);
}

void conn_init_inside(struct conn *c, struct conn_loop *loop, const struct conn_handler *handler)
{
    memset(c, 0, sizeof *c);
    c->fd = -1;
    c->loop = loop;
    c->handler = handler;
    c->phase = CONN_OPEN;
    list_init(&c->dirty_node);
    list_init(&c->eager_node);
    list_init(&c->warm_node);
}

int conn_connect(struct conn *c, struct conn_loop *loop, const struct conn_handler *handler,
                 const struct sockaddr *addr, socklen_t addr_len)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (connect(fd, addr, addr_len) < 0 && errno != EINPROGRESS) { /* EAGAIN: a Unix socket's queue is full */
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    conn_setup(c, loop, handler, fd);
    c->phase = CONN_CONNECTING;
    wait_to_write(c, true);
    return 0;
}

void conn_start_tls(struct conn *c, struct tls *tls)
{
    c->tls = tls;
    c->phase = CONN_HANDSHAKE;
    wait_for(c, waits_for(c));
    conn_read_soon(c); /* begins in this turn, but not inside a callback */
}

void conn_close(struct conn *c)
{
    if (c->phase == CONN_CLOSED)
        return;
    c->phase = CONN_CLOSED;
    wait_for(c, 0);
    list_del(&c->dirty_node);
    list_del(&c->eager_node);
    list_del(&c->warm_node);
    tls_free(c->tls);
    c->tls = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    if (!c->in_input)
        give_memory(c->loop, &c->in);
    give_memory(c->loop, &c->out);
}

static void conn_end(struct conn *c, int error, const char *why)
{
    if (c->broken || c->phase == CONN_CLOSED)
        return;
    if (error == 0 && why == NULL) {
        if (c->eof)
            return;
        c->eof = true;
    } else {
        c->broken = true;
        wait_to_write(c, false);
        list_del(&c->dirty_node);
    }
    list_del(&c->eager_node);
    wait_to_read(c, false);
    c->handler->ended(c, error, why);
}

/* This may be inside input: what has come is read later. Not by TLS, which does not go on after an error. */
static void end_of_writing(struct conn *c, int error, const char *why)
{
    if (!c->handler->hears_out || c->tls != NULL || c->eof) {
        conn_end(c, error, why);
        return;
    }
    c->mute = error;
    wait_to_write(c, false);
    conn_read_soon(c);
}

/* --- memory of TLS --- */

static void warm(struct conn *c)
{
    c->is_warm = true;
    if (UNLIKELY(list_empty(&c->warm_node)))
        list_push_back(&c->loop->warm, &c->warm_node);
}

void conn_loop_rest(struct conn_loop *l)
{
    for (struct list *it = l->warm.next, *next; it != &l->warm; it = next) {
        struct conn *c = LIST_ENTRY(it, struct conn, warm_node);
        next = it->next;
        if (!c->is_warm && tls_rest(c->tls))
            list_del(&c->warm_node);
        c->is_warm = false;
    }
}

/* --- reading --- */

static void handshake(struct conn *c)
{
    warm(c);
    switch (tls_handshake(c->tls)) {
    case TLS_DONE:
        c->phase = CONN_OPEN;
        wait_to_write(c, false);
        c->handler->opened(c);
        if (c->phase == CONN_OPEN && tls_pending(c->tls))
            conn_read_soon(c);
        if (c->phase == CONN_OPEN && buf_used(&c->out) > 0)
            conn_touch(c);
        break;
    case TLS_WANT_READ:
        wait_to_write(c, false);
        break;
    case TLS_WANT_WRITE:
        wait_to_write(c, true);
        break;
    case TLS_FAILED:
        conn_end(c, EPROTO, tls_error(c->tls));
        break;
    }
}

/* Returns what recv would: > 0, 0 at the end, -1 with errno EAGAIN when there is nothing, other errno when broken. */
static ssize_t receive(struct conn *c, void *p, size_t len, const char **why)
{
    if (c->tls == NULL)
        return fd_recv(c->fd, p, len);

    enum tls_want want;
    warm(c);
    ssize_t n = tls_read(c->tls, p, len, &want);

    if (n >= 0)
        return n;
    if (want != TLS_FAILED) {
        errno = EAGAIN;
        return -1;
    }
    *why = tls_error(c->tls);
    errno = ECONNRESET;
    return -1;
}

static void keep_input(struct conn *c, const uint8_t *p, size_t len)
{
    take_memory(c->loop, &c->in);
    buf_put(&c->in, p, len);
}

static void give_input(struct conn *c, const uint8_t *p, size_t len)
{
    bool from_in = buf_used(&c->in) > 0 && p == buf_head(&c->in);

    c->want = 0;
    c->in_input = true;
    size_t used = c->handler->input(c, p, len);
    c->in_input = false;
    if (c->phase == CONN_CLOSED) {
        buf_free(&c->in);
        return;
    }
    assert(used <= len);
    if (from_in)
        buf_consume(&c->in, used);
    else if (used < len)
        keep_input(c, p + used, len - used);
    if (buf_used(&c->in) == 0)
        give_memory(c->loop, &c->in);
}

/* Where the next bytes go: the loop's scratch, or behind what is unfinished. */
static uint8_t *read_target(struct conn *c, size_t *room)
{
    if (buf_used(&c->in) == 0) {
        *room = SCRATCH_BYTES;
        return c->loop->scratch;
    }
    size_t need = c->want > buf_used(&c->in) ? c->want - buf_used(&c->in) : 0;
    *room = MIN(MAX(need, READ_AT_LEAST), SCRATCH_BYTES);
    return buf_reserve(&c->in, *room);
}

static void peek(struct conn *c)
{
    uint8_t byte;

    if (recv(c->fd, &byte, 1, MSG_PEEK) == 1) {
        c->peek_first = false;
        c->handler->first_byte(c, byte);
    }
}

static void read_more(struct conn *c)
{
    const char *why = NULL;

    if (UNLIKELY(c->peek_first)) {
        peek(c);
        if (c->phase != CONN_OPEN)
            return;
    }
    size_t room;
    uint8_t *target = read_target(c, &room);
    ssize_t n = receive(c, target, room, &why);

    if (n < 0 && errno == EINTR)
        conn_read_soon(c);
    if (n < 0 && (errno == EINTR || (errno == EAGAIN && c->mute == 0)))
        return;
    if (n <= 0) {
        conn_end(c, c->mute != 0 ? c->mute : n == 0 ? 0 : errno, why);
        return;
    }
    c->received_bytes += (uint64_t)n;
    if (UNLIKELY((size_t)n == room || c->last))
        conn_read_soon(c);
    if (target == c->loop->scratch) {
        give_input(c, target, (size_t)n);
    } else {
        c->in.len += (size_t)n;
        give_input(c, buf_head(&c->in), buf_used(&c->in));
    }
    if (c->phase == CONN_OPEN && c->tls != NULL && tls_pending(c->tls))
        conn_read_soon(c);
}

/* It may have been closed meanwhile, or have gone to another loop: then it is not dirty. */
static void send_prompt(struct conn_loop *l)
{
    struct conn *c = l->prompt;

    l->prompt = NULL;
    if (c != NULL && !list_empty(&c->dirty_node))
        conn_flush(c);
}

static void read_now(struct conn *c)
{
    struct conn_loop *l = c->loop;

    conn_loop_time(l);
    if (c->phase == CONN_HANDSHAKE)
        handshake(c);
    else if (c->phase == CONN_OPEN)
        read_more(c);
    send_prompt(l);
}

static void on_readable(struct poller_watch *w, bool is_last)
{
    struct conn *c = CONTAINER_OF(w, struct conn, watch);

    c->last = is_last;
    read_now(c);
}

void conn_read_soon(struct conn *c)
{
    if (list_empty(&c->eager_node))
        list_push_back(&c->loop->eager, &c->eager_node);
}

void conn_reprocess(struct conn *c)
{
    if (c->phase == CONN_OPEN && !c->in_input && buf_used(&c->in) > 0)
        give_input(c, buf_head(&c->in), buf_used(&c->in));
}

void conn_pause(struct conn *c)
{
    if (c->paused || c->phase != CONN_OPEN)
        return;
    c->paused = true;
    if (c->fd >= 0)
        wait_to_read(c, false);
}

void conn_resume(struct conn *c)
{
    if (!c->paused || c->phase != CONN_OPEN)
        return;
    c->paused = false;
    if (c->eof || c->broken || c->fd < 0)
        return;
    wait_to_read(c, true);
    if (c->tls != NULL && tls_pending(c->tls))
        conn_read_soon(c);
}

/* --- writing --- */

static ssize_t transmit_secret(struct conn *c, const void *p, size_t len, const char **why)
{
    enum tls_want want;

    warm(c);
    ssize_t n = tls_write(c->tls, p, len, &want);

    if (n >= 0)
        return n;
    if (want != TLS_FAILED) {
        errno = EAGAIN;
        return -1;
    }
    *why = tls_error(c->tls);
    errno = EPIPE;
    return -1;
}

static inline ssize_t transmit(struct conn *c, const void *p, size_t len, const char **why)
{
    len = MIN(len, WRITE_AT_MOST);
    return c->tls == NULL ? fd_send(c->fd, p, len) : transmit_secret(c, p, len, why);
}

void conn_touch(struct conn *c)
{
    if (list_empty(&c->dirty_node) && !is_writing(c) && c->phase == CONN_OPEN && !c->broken && c->mute == 0)
        list_push_back(&c->loop->dirty, &c->dirty_node);
}

void conn_send(struct conn *c, const void *p, size_t len)
{
    if (c->phase == CONN_CLOSED || c->broken || c->mute != 0)
        return;
    buf_put(conn_out(c), p, len);
    conn_touch(c);
}

void conn_send_now(struct conn *c, const void *p, size_t len)
{
    const char *why = NULL;

    if (buf_used(&c->out) == 0 && !c->held && c->tls == NULL && c->fd >= 0 && c->phase == CONN_OPEN && !is_writing(c) &&
        !c->broken && c->mute == 0) {
        ssize_t n = transmit(c, p, len, &why);
        if (n > 0) {
            c->sent_bytes += (uint64_t)n;
            p = (const uint8_t *)p + n;
            len -= (size_t)n;
        }
    }
    if (len > 0)
        conn_send(c, p, len);
}

void conn_send_run(struct conn *c, const void *p, size_t len)
{
    if (len >= RUN_BYTES)
        conn_send_now(c, p, len);
    else
        conn_send(c, p, len);
}

static void after_drain(struct conn *c)
{
    if (conn_is_high(c)) {
        c->was_high = true;
    } else if (c->was_high && buf_used(&c->out) <= c->loop->high_watermark / 2) {
        c->was_high = false;
        c->handler->drained(c);
    }
}

static size_t sendable(const struct conn *c)
{
    return c->held ? c->held_from : buf_used(&c->out);
}

void conn_hold(struct conn *c)
{
    c->held = true;
    c->held_from = buf_used(&c->out);
}

void conn_let_go(struct conn *c)
{
    c->held = false;
    if (buf_used(&c->out) > 0)
        conn_touch(c);
}

void conn_take_back(struct conn *c)
{
    buf_cut(&c->out, c->held_from);
    conn_let_go(c);
}

/* --- without a socket --- */

struct span conn_queued(const struct conn *c)
{
    return span_of(buf_head(&c->out), sendable(c));
}

void conn_taken(struct conn *c, size_t len)
{
    buf_consume(&c->out, len);
    c->held_from -= c->held ? len : 0;
    if (buf_used(&c->out) == 0)
        give_memory(c->loop, &c->out);
    after_drain(c);
}

/* --- the flush --- */

void conn_flush(struct conn *c)
{
    const char *why = NULL;

    list_del(&c->dirty_node);
    if (c->phase != CONN_OPEN || c->broken || c->mute != 0)
        return;
    if (conn_is_high(c))
        c->was_high = true;
    if (c->handler->output != NULL) {
        c->handler->output(c);
        return;
    }
    while (sendable(c) > 0) {
        ssize_t n = transmit(c, buf_head(&c->out), sendable(c), &why);
        if (n < 0) {
            if (errno == EAGAIN || errno == EINTR)
                wait_to_write(c, true);
            else
                end_of_writing(c, errno, why);
            break;
        }
        c->sent_bytes += (uint64_t)n;
        buf_consume(&c->out, (size_t)n);
        c->held_from -= c->held ? (size_t)n : 0;
    }
    if (c->phase != CONN_OPEN || c->broken || c->mute != 0)
        return;
    if (sendable(c) == 0)
        wait_to_write(c, false);
    if (buf_used(&c->out) == 0) {
        give_memory(c->loop, &c->out);
        if (c->shutting)
            shutdown(c->fd, SHUT_WR);
    }
    after_drain(c);
}

static void finish_connect(struct conn *c)
{
    int error = 0;
    socklen_t len = sizeof error;

    wait_to_write(c, false);
    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        error = errno;
    if (error != 0) {
        conn_end(c, error, NULL);
        return;
    }
    c->phase = CONN_OPEN;
    wait_to_read(c, true);
    c->handler->opened(c);
    if (c->phase == CONN_OPEN && buf_used(&c->out) > 0)
        conn_touch(c);
}

static void on_writable(struct poller_watch *w)
{
    struct conn *c = CONTAINER_OF(w, struct conn, watch);

    conn_loop_time(c->loop);
    if (c->phase == CONN_CONNECTING)
        finish_connect(c);
    else if (c->phase == CONN_HANDSHAKE)
        handshake(c);
    else if (c->phase == CONN_OPEN)
        conn_flush(c);
}

void conn_shutdown(struct conn *c)
{
    if (c->phase == CONN_OPEN) {
        c->shutting = true;
        conn_flush(c);
    }
}

void conn_loop_flush(struct conn_loop *l)
{
    l->prompt = NULL;
    while (!list_empty(&l->dirty))
        conn_flush(LIST_FIRST(&l->dirty, struct conn, dirty_node));
}

/* Each once: who has more is read in the next turn, when others have been told. */
void conn_loop_read(struct conn_loop *l)
{
    struct list round;

    if (LIKELY(list_empty(&l->eager)))
        return;
    list_init(&round);
    while (!list_empty(&l->eager)) {
        struct list *node = l->eager.next;
        list_del(node);
        list_push_back(&round, node);
    }
    while (!list_empty(&round)) {
        struct conn *c = LIST_FIRST(&round, struct conn, eager_node);
        list_del(&c->eager_node);
        if (!c->paused || c->phase == CONN_HANDSHAKE)
            read_now(c);
    }
}

bool conn_loop_busy(const struct conn_loop *l)
{
    return !list_empty(&l->dirty) || !list_empty(&l->eager);
}

/* --- moving --- */

bool conn_can_move(const struct conn *c)
{
    return c->phase == CONN_OPEN && !c->broken && c->mute == 0 && !c->eof && buf_used(&c->in) == 0 &&
           buf_used(&c->out) == 0 && !is_writing(c) && (c->tls == NULL || !tls_pending(c->tls));
}

void conn_detach(struct conn *c)
{
    wait_for(c, 0);
    list_del(&c->dirty_node);
    list_del(&c->eager_node);
    list_del(&c->warm_node);
    c->loop = NULL;
}

void conn_adopt(struct conn *c, struct conn_loop *loop)
{
    c->loop = loop;
    if (c->tls != NULL)
        warm(c);
    if (!c->paused)
        wait_to_read(c, true);
}

/* --- options of sockets: each fails harmlessly on a Unix socket --- */

static void set_option(int fd, int level, int name, int value)
{
    setsockopt(fd, level, name, &value, sizeof value);
}

static void tune_inherited(int fd, const struct options *o)
{
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    set_option(fd, SOL_SOCKET, SO_KEEPALIVE, o->tcp_keepalive);
}

void conn_tune_listener(int fd, const struct options *o)
{
    tune_inherited(fd, o);
    set_option(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, o->tcp_defer_accept);
}

void conn_tune_accepted(int fd, const struct options *o)
{
    int user_timeout_ms = (int)(o->tcp_user_timeout / USEC_PER_MSEC);

    if (o->tcp_keepidle > 0)
        set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, o->tcp_keepidle);
    if (o->tcp_keepintvl > 0)
        set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, o->tcp_keepintvl);
    if (o->tcp_keepcnt > 0)
        set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, o->tcp_keepcnt);
    if (user_timeout_ms > 0)
        set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, user_timeout_ms);
    if (o->tcp_socket_buffer > 0) {
        set_option(fd, SOL_SOCKET, SO_SNDBUF, (int)o->tcp_socket_buffer);
        set_option(fd, SOL_SOCKET, SO_RCVBUF, (int)o->tcp_socket_buffer);
    }
}

void conn_tune(int fd, const struct options *o)
{
    tune_inherited(fd, o);
    conn_tune_accepted(fd, o);
}
