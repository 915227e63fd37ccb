/*
 * listen.h: the sockets that clients connect to.
 * Thread: control.
 */
#ifndef SLUICE_LISTEN_H
#define SLUICE_LISTEN_H

#include "conf/options.h"
#include <sys/socket.h>

struct listener {
    int fd;
    int port;
    bool admin; /* every connection is to the console */
    char *path; /* owned: of a Unix socket, to be removed at the end; NULL: TCP or abstract */
    char *text; /* owned: what it listens on, for the log */
};

struct listeners {
    struct listener *items; /* owned */
    size_t count;
};

/* Opens all that the options name. 0; or -1 with the reason in error, and nothing left open. */
int listen_open(const struct options *o, struct listeners *l, char *error, size_t error_size);
/* Closes all; a Unix socket's file is removed. */
void listen_close(struct listeners *l);

/* A client, accepted: non-blocking. */
struct accepted {
    int fd;
    struct sockaddr_storage *peer; /* owned by the caller; NULL for a Unix socket */
    char *address;                 /* owned by the caller; "unix" for a Unix socket */
    int port;
};

enum accept_result {
    ACCEPT_OK,
    ACCEPT_NONE, /* nobody is waiting */
    ACCEPT_FULL  /* no descriptor or memory for it: *a.fd is -1 and errno says what; try later */
};
enum accept_result listen_accept(const struct listener *l, struct accepted *a);

#endif
