/*
 * listen.c: see listen.h. All that is configured is opened, or nothing: a proxy that listens on half of its addresses
 * would be found out late. Only "*" takes what the machine has.
 * Invariant: a Unix socket's file is removed at start only if nobody answers on it.
 * Thread: control.
 */
#include "proxy/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct listener *listener_add(struct listeners *l, int fd, int port, bool admin, const char *text)
{
    l->items = mem_realloc(l->items, (l->count + 1) * sizeof *l->items);
    struct listener *item = &l->items[l->count++];
    *item = (struct listener){.fd = fd, .port = port, .admin = admin, .text = mem_strdup(text)};
    return item;
}

/* --- TCP --- */

/* Returns the descriptor, or -1 with errno. */
static int tcp_socket(const struct addrinfo *at, int backlog)
{
    int one = 1;
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (at->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one); /* 0.0.0.0 has a socket of its own */
    if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, backlog) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static bool absent_here(int error)
{
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

/* One name of listen_addr; NULL: all addresses. */
static int tcp_open(const struct options *o, const char *host, int port, bool admin, struct listeners *l, char *error,
                    size_t error_size)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
    struct addrinfo *found = NULL;
    const char *shown = host == NULL ? "*" : host;
    char service[16], text[NI_MAXHOST + 32];
    size_t before = l->count;

    snprintf(service, sizeof service, "%d", port);
    int rc = getaddrinfo(host, service, &hints, &found);
    if (rc != 0) {
        snprintf(error, error_size, "listen_addr \"%s\": %s", shown, gai_strerror(rc));
        return -1;
    }
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        char numeric[NI_MAXHOST] = "?";
        int fd = tcp_socket(at, o->listen_backlog);
        getnameinfo(at->ai_addr, at->ai_addrlen, numeric, sizeof numeric, NULL, 0, NI_NUMERICHOST);
        snprintf(text, sizeof text, "%s:%d", numeric, port);
        if (fd >= 0) {
            listener_add(l, fd, port, admin, text);
        } else if (!(absent_here(errno) && (host == NULL || at->ai_next != NULL || l->count > before))) {
            snprintf(error, error_size, "cannot listen on %s: %s", text, strerror(errno));
            freeaddrinfo(found);
            return -1;
        }
    }
    freeaddrinfo(found);
    if (l->count > before)
        return 0;
    snprintf(error, error_size, "listen_addr \"%s\": no address of it can be listened on", shown);
    return -1;
}

static int tcp_open_list(const struct options *o, int port, bool admin, struct listeners *l, char *error,
                         size_t error_size)
{
    char *list = mem_strdup(o->listen_addr);
    char *rest = list, *name;
    int rc = 0;

    while (rc == 0 && (name = strsep(&rest, ", \t")) != NULL)
        if (*name != '\0')
            rc = tcp_open(o, strcmp(name, "*") == 0 ? NULL : name, port, admin, l, error, error_size);
    free(list);
    return rc;
}

/* --- Unix sockets --- */

/* Returns the length of the address, or 0 if the path is too long. */
static socklen_t unix_address(const char *folder, int port, struct sockaddr_un *un)
{
    bool abstract = folder[0] == '@';

    memset(un, 0, sizeof *un);
    un->sun_family = AF_UNIX;
    int len = snprintf(un->sun_path, sizeof un->sun_path, "%s/.s.PGSQL.%d", folder, port);
    if (len < 0 || (size_t)len >= sizeof un->sun_path)
        return 0;
    if (abstract)
        un->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len + (abstract ? 0 : 1));
}

/* A file that a process left behind that is no more: nobody answers. */
static void remove_stale(const struct sockaddr_un *un, socklen_t len)
{
    struct stat st;

    if (stat(un->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)un, len) != 0 && errno == ECONNREFUSED)
        unlink(un->sun_path);
    if (fd >= 0)
        close(fd);
}

static int unix_rights(const struct options *o, const char *path, char *error, size_t error_size)
{
    if (*o->unix_socket_group != '\0') {
        char *end;
        long number = strtol(o->unix_socket_group, &end, 10);
        const struct group *g = getgrnam(o->unix_socket_group);
        if (g == NULL && (*end != '\0' || number < 0)) {
            snprintf(error, error_size, "unix_socket_group: there is no group \"%s\"", o->unix_socket_group);
            return -1;
        }
        if (chown(path, (uid_t)-1, g != NULL ? g->gr_gid : (gid_t)number) != 0) {
            snprintf(error, error_size, "cannot give %s to group \"%s\": %s", path, o->unix_socket_group,
                     strerror(errno));
            return -1;
        }
    }
    if (chmod(path, (mode_t)o->unix_socket_mode) != 0) {
        snprintf(error, error_size, "cannot set the mode of %s: %s", path, strerror(errno));
        return -1;
    }
    return 0;
}

static int unix_open(const struct options *o, int port, bool admin, struct listeners *l, char *error, size_t error_size)
{
    struct sockaddr_un un;
    socklen_t len = unix_address(o->unix_socket_dir, port, &un);
    bool abstract = o->unix_socket_dir[0] == '@';
    char text[sizeof un.sun_path + 32];

    snprintf(text, sizeof text, "%s/.s.PGSQL.%d", o->unix_socket_dir, port);
    if (len == 0) {
        snprintf(error, error_size, "unix_socket_dir \"%s\" is too long for a socket's path", o->unix_socket_dir);
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (!abstract)
        remove_stale(&un, len);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&un, len) != 0) {
        snprintf(error, error_size, "cannot listen on %s: %s", text, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    struct listener *item = listener_add(l, fd, port, admin, text);
    if (!abstract) {
        item->path = mem_strdup(un.sun_path);
        if (unix_rights(o, un.sun_path, error, error_size) != 0)
            return -1;
    }
    if (listen(fd, o->listen_backlog) != 0) {
        snprintf(error, error_size, "cannot listen on %s: %s", text, strerror(errno));
        return -1;
    }
    return 0;
}

/* --- all of them --- */

static int open_port(const struct options *o, int port, bool admin, struct listeners *l, char *error, size_t error_size)
{
    if (tcp_open_list(o, port, admin, l, error, error_size) != 0)
        return -1;
    return *o->unix_socket_dir == '\0' ? 0 : unix_open(o, port, admin, l, error, error_size);
}

int listen_open(const struct options *o, struct listeners *l, char *error, size_t error_size)
{
    *l = (struct listeners){0};
    if (open_port(o, o->listen_port, false, l, error, error_size) == 0 &&
        (o->admin_port == 0 || open_port(o, o->admin_port, true, l, error, error_size) == 0))
        return 0;
    listen_close(l);
    return -1;
}

void listen_close(struct listeners *l)
{
    for (size_t i = 0; i < l->count; i++) {
        close(l->items[i].fd);
        if (l->items[i].path != NULL)
            unlink(l->items[i].path);
        free(l->items[i].path);
        free(l->items[i].text);
    }
    free(l->items);
    *l = (struct listeners){0};
}

/* --- accepting --- */

/* What inet_ntop says, without the work of its printf. */
static void put_v4(const struct in_addr *v4, char *text)
{
    const uint8_t *bytes = (const uint8_t *)&v4->s_addr;

    for (int i = 0; i < 4; i++) {
        if (bytes[i] >= 100)
            *text++ = (char)('0' + bytes[i] / 100);
        if (bytes[i] >= 10)
            *text++ = (char)('0' + bytes[i] / 10 % 10);
        *text++ = (char)('0' + bytes[i] % 10);
        *text++ = i < 3 ? '.' : '\0';
    }
}

static void describe_peer(const struct listener *l, const struct sockaddr_storage *addr, struct accepted *a)
{
    char text[INET6_ADDRSTRLEN] = "?";

    a->port = l->port;
    if (addr->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)addr;
        put_v4(&v4->sin_addr, text);
        a->port = ntohs(v4->sin_port);
    } else if (addr->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        a->port = ntohs(v6->sin6_port);
    } else {
        snprintf(text, sizeof text, "unix");
    }
    a->address = mem_strdup(text);
    if (addr->ss_family != AF_UNIX) {
        a->peer = mem_alloc(sizeof *a->peer);
        *a->peer = *addr;
    }
}

enum accept_result listen_accept(const struct listener *l, struct accepted *a)
{
    struct sockaddr_storage addr;

    for (;;) {
        socklen_t len = sizeof addr;
        memset(&addr, 0, sizeof addr);
        *a = (struct accepted){.fd = accept4(l->fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC)};
        if (a->fd >= 0) {
            describe_peer(l, &addr, a);
            return ACCEPT_OK;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return ACCEPT_NONE;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
            return ACCEPT_FULL;
        if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK)
            return ACCEPT_NONE; /* the listener itself is no more */
        /* Anything else is that one connection's failure: the next. */
    }
}
