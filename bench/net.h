/*
 * net.h: what the benchmark's two little servers share: a port on 127.0.0.1, and giving up with a reason.
 * Thread: any (no state).
 */
#ifndef SLUICE_BENCH_NET_H
#define SLUICE_BENCH_NET_H

#include <netinet/in.h>

/* Writes what failed, and why (errno), to stderr and exits with 1. */
_Noreturn void net_die(const char *what);

/* The loopback address with this port; exits with 2 where the text is no port. */
struct sockaddr_in net_address(const char *port_text);

/* A listening socket at that address. */
int net_listen(struct sockaddr_in address);

/* An epoll descriptor that watches listen_fd; its event is the one whose data.ptr is NULL. */
int net_poll(int listen_fd);

/* Small messages leave at once. */
void net_nodelay(int fd);

#endif
