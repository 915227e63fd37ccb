/*
 * net.c: see net.h.
 * Thread: any (no state).
 */
#include "bench/net.h"

#include "conf/base.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>

_Noreturn void net_die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

struct sockaddr_in net_address(const char *port_text)
{
    char *end;
    long port = strtol(port_text, &end, 10);

    if (*end != '\0' || port < 1 || port > 65535) {
        fprintf(stderr, "\"%s\" is not a port (1 to 65535)\n", port_text);
        exit(2);
    }
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int net_listen(struct sockaddr_in address)
{
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        net_die("socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 1024) < 0)
        net_die("listen");
    return fd;
}

int net_poll(int listen_fd)
{
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);

    if (poll_fd < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, listen_fd, &ev) < 0)
        net_die("epoll");
    return poll_fd;
}

void net_nodelay(int fd)
{
    int on = 1;

    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}
