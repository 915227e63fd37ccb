/*
 * floor.c: the floor of what a proxy costs: a relay of bytes that knows no protocol, one server connection a client.
 *
 *   client ──recv──> scratch ──send──> server        and the same back
 *                       └─ what the kernel does not take: the receiver's queue; the sender is not read meanwhile
 *
 * Invariants: a descriptor is registered once; its interest changes only around a full kernel buffer. A callback never
 * frees: it dooms the pair, and the end of the turn frees it (its other half may be in the same turn's events).
 * Usage: floor LISTEN_PORT SERVER_PORT, both on 127.0.0.1.
 * Thread: main (the only one).
 */
#include "bench/net.h"
#include "parser/bytes.h"

#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SCRATCH_BYTES (64 * KIB)
#define TURN_EVENTS 256

struct pair;

struct side {
    int fd;
    struct side *peer;
    struct pair *pair;
    struct buf out; /* what the kernel would not take yet; empty almost always */
};

struct pair {
    struct side client;
    struct side server;
    struct list doomed_link;
    bool doomed;
};

static int poll_fd;
static struct sockaddr_in server_address;
static struct list doomed_pairs;
static uint8_t scratch[SCRATCH_BYTES];

/* A side is read while nothing waits to go to its peer, and written when it could not take everything. */
static void side_watch(struct side *s, int operation)
{
    uint32_t interest = (buf_used(&s->peer->out) == 0 ? EPOLLIN : 0u) | (buf_used(&s->out) > 0 ? EPOLLOUT : 0u);
    struct epoll_event ev = {.events = interest, .data.ptr = s};

    if (epoll_ctl(poll_fd, operation, s->fd, &ev) < 0)
        net_die("epoll_ctl");
}

static void side_open(struct side *s, struct pair *pair, struct side *peer, int fd)
{
    s->fd = fd;
    s->pair = pair;
    s->peer = peer;
    net_nodelay(fd);
    side_watch(s, EPOLL_CTL_ADD);
}

static void pair_open(int client_fd)
{
    int server_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (server_fd < 0)
        net_die("socket");
    if (connect(server_fd, (struct sockaddr *)&server_address, sizeof server_address) < 0) {
        fprintf(stderr, "floor: connect: %s\n", strerror(errno));
        close(server_fd);
        close(client_fd);
        return;
    }
    struct pair *p = mem_zalloc(sizeof *p);
    list_init(&p->doomed_link);
    side_open(&p->client, p, &p->server, client_fd);
    side_open(&p->server, p, &p->client, server_fd);
}

static void pair_doom(struct pair *p)
{
    if (p->doomed)
        return;
    p->doomed = true;
    list_push_back(&doomed_pairs, &p->doomed_link);
}

static void pairs_free_doomed(void)
{
    LIST_FOR_EACH_SAFE (it, &doomed_pairs) {
        struct pair *p = LIST_ENTRY(it, struct pair, doomed_link);

        close(p->client.fd);
        close(p->server.fd);
        buf_free(&p->client.out);
        buf_free(&p->server.out);
        list_del(it);
        free(p);
    }
}

/* Returns how much the kernel took, or -1 after dooming the pair. */
static ssize_t side_send(struct side *s, const uint8_t *bytes, size_t len)
{
    ssize_t sent = send(s->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);

    if (sent >= 0)
        return sent;
    if (errno == EAGAIN || errno == EINTR)
        return 0;
    pair_doom(s->pair);
    return -1;
}

/* Reads once and passes on; what does not go out at once waits, and the sender with it. */
static void side_readable(struct side *s)
{
    ssize_t got = recv(s->fd, scratch, sizeof scratch, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        pair_doom(s->pair);
        return;
    }
    ssize_t sent = side_send(s->peer, scratch, (size_t)got);
    if (sent < 0 || sent == got)
        return;
    buf_put(&s->peer->out, scratch + sent, (size_t)(got - sent));
    side_watch(s, EPOLL_CTL_MOD);
    side_watch(s->peer, EPOLL_CTL_MOD);
}

static void side_writable(struct side *s)
{
    ssize_t sent = side_send(s, buf_head(&s->out), buf_used(&s->out));

    if (sent < 0)
        return;
    buf_consume(&s->out, (size_t)sent);
    if (buf_used(&s->out) > 0)
        return;
    side_watch(s, EPOLL_CTL_MOD);
    side_watch(s->peer, EPOLL_CTL_MOD);
}

static void side_event(struct side *s, uint32_t events)
{
    if (s->pair->doomed)
        return;
    if ((events & EPOLLOUT) && buf_used(&s->out) > 0)
        side_writable(s);
    if (s->pair->doomed)
        return;
    if (events & EPOLLIN)
        side_readable(s);
    else if (events & (EPOLLHUP | EPOLLERR))
        pair_doom(s->pair);
}

/* The listening socket is the one whose event has no side. */
static void turn(int listen_fd)
{
    struct epoll_event events[TURN_EVENTS];
    int count = epoll_wait(poll_fd, events, TURN_EVENTS, -1);

    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr != NULL) {
            side_event(events[i].data.ptr, events[i].events);
            continue;
        }
        int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            pair_open(fd);
    }
    pairs_free_doomed();
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: floor LISTEN_PORT SERVER_PORT\n", stderr);
        return 2;
    }
    list_init(&doomed_pairs);
    server_address = net_address(argv[2]);
    int listen_fd = net_listen(net_address(argv[1]));
    poll_fd = net_poll(listen_fd);
    for (;;)
        turn(listen_fd);
}
