/*
 * resolve.c: see resolve.h. One thread, one queue: names are looked up one after the other, so that a name server that
 * does not answer delays only other names.
 * Thread: any; look-ups in the resolver thread.
 */
#include "pool/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/un.h>

#define ADDRESSES_MAX 8

struct entry {
    struct entry *next;
    char *host;
    bool wanted; /* in the queue or being looked up */
    bool known;
    bool failed;
    usec_t expires;
    int count;
    struct sockaddr_storage addresses[ADDRESSES_MAX];
    char why[128];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_t thread;
    bool running;
    struct entry *entries;
    usec_t ttl;
    usec_t failure_ttl;
    void (*told)(void);
} dns = {.lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER};

static bool numeric(const char *host, int port, struct address *a)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a->addr;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a->addr;

    memset(a, 0, sizeof *a);
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        a->len = sizeof *v4;
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        a->len = sizeof *v6;
        return true;
    }
    return false;
}

static enum resolve_answer unix_socket(const char *folder, int port, struct address *a, char *why, size_t why_size)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&a->addr;
    bool abstract = folder[0] == '@';

    memset(a, 0, sizeof *a);
    un->sun_family = AF_UNIX;
    int len = snprintf(un->sun_path, sizeof un->sun_path, "%s/.s.PGSQL.%d", folder, port);
    if (len < 0 || (size_t)len >= sizeof un->sun_path) {
        snprintf(why, why_size, "Unix socket path of \"%s\" is too long", folder);
        return RESOLVE_FAILED;
    }
    if (abstract)
        un->sun_path[0] = '\0';
    a->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len + (abstract ? 0 : 1));
    return RESOLVE_OK;
}

static void set_port(struct sockaddr_storage *addr, int port)
{
    if (addr->ss_family == AF_INET)
        ((struct sockaddr_in *)addr)->sin_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in6 *)addr)->sin6_port = htons((uint16_t)port);
}

static struct entry *entry_locked(const char *host)
{
    struct entry *e = dns.entries;

    while (e != NULL && strcmp(e->host, host) != 0)
        e = e->next;
    if (e != NULL)
        return e;
    e = mem_zalloc(sizeof *e);
    e->host = mem_strdup(host);
    e->next = dns.entries;
    dns.entries = e;
    return e;
}

enum resolve_answer resolve_host(const char *host, int port, int nth, struct address *a, char *why, size_t why_size)
{
    enum resolve_answer answer = RESOLVE_WAIT;

    if (host[0] == '/' || host[0] == '@')
        return nth > 0 ? RESOLVE_NO_MORE : unix_socket(host, port, a, why, why_size);
    if (numeric(host, port, a))
        return nth > 0 ? RESOLVE_NO_MORE : RESOLVE_OK;
    pthread_mutex_lock(&dns.lock);
    struct entry *e = entry_locked(host);
    bool fresh = e->known && clock_now() < e->expires;
    if (!fresh && !e->wanted) {
        e->wanted = true;
        pthread_cond_signal(&dns.work);
    }
    if (nth > 0 && nth >= e->count) {
        answer = RESOLVE_NO_MORE;
    } else if (e->known && !e->failed && e->count > 0) {
        /* An address that is a little old is better than a wait: the fresh one serves the next connection. */
        a->addr = e->addresses[nth];
        a->len = a->addr.ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        set_port(&a->addr, port);
        answer = RESOLVE_OK;
    } else if (fresh && e->failed) {
        snprintf(why, why_size, "could not translate host name \"%s\" to address: %s", host, e->why);
        answer = RESOLVE_FAILED;
    }
    pthread_mutex_unlock(&dns.lock);
    return answer;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family != b->ss_family)
        return false;
    if (a->ss_family == AF_INET)
        return ((const struct sockaddr_in *)a)->sin_addr.s_addr == ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    return memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr, &((const struct sockaddr_in6 *)b)->sin6_addr,
                  sizeof(struct in6_addr)) == 0;
}

void resolve_prefer(const char *host, const struct address *a)
{
    pthread_mutex_lock(&dns.lock);
    struct entry *e = entry_locked(host);
    for (int i = 1; i < e->count; i++) {
        if (same_address(&e->addresses[i], &a->addr)) {
            struct sockaddr_storage first = e->addresses[0];
            e->addresses[0] = e->addresses[i];
            e->addresses[i] = first;
        }
    }
    pthread_mutex_unlock(&dns.lock);
}

static void note_answer(struct entry *e, int error, const struct addrinfo *found)
{
    usec_t ttl = error == 0 ? dns.ttl : dns.failure_ttl;

    e->known = true;
    e->wanted = false;
    e->failed = error != 0;
    e->expires = clock_now() + MAX(ttl, USEC_PER_SEC);
    if (error != 0) {
        snprintf(e->why, sizeof e->why, "%s", gai_strerror(error));
        return;
    }
    e->count = 0;
    for (const struct addrinfo *at = found; at != NULL && e->count < ADDRESSES_MAX; at = at->ai_next)
        if (at->ai_family == AF_INET || at->ai_family == AF_INET6)
            memcpy(&e->addresses[e->count++], at->ai_addr, at->ai_addrlen);
}

static struct entry *next_wanted(void)
{
    struct entry *e = dns.entries;

    while (e != NULL && !e->wanted)
        e = e->next;
    return e;
}

static void *resolver_main(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&dns.lock);
    while (dns.running) {
        struct entry *e = next_wanted(); /* entries are never freed while the thread runs */
        if (e == NULL) {
            pthread_cond_wait(&dns.work, &dns.lock);
            continue;
        }
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
        struct addrinfo *found = NULL;
        pthread_mutex_unlock(&dns.lock);
        int error = getaddrinfo(e->host, NULL, &hints, &found);
        pthread_mutex_lock(&dns.lock);
        note_answer(e, error, found);
        pthread_mutex_unlock(&dns.lock);
        if (found != NULL)
            freeaddrinfo(found);
        dns.told();
        pthread_mutex_lock(&dns.lock);
    }
    pthread_mutex_unlock(&dns.lock);
    return NULL;
}

void resolve_configure(usec_t ttl, usec_t failure_ttl)
{
    pthread_mutex_lock(&dns.lock);
    dns.ttl = ttl;
    dns.failure_ttl = failure_ttl;
    pthread_mutex_unlock(&dns.lock);
}

void resolve_start(usec_t ttl, usec_t failure_ttl, void (*told)(void))
{
    resolve_configure(ttl, failure_ttl);
    dns.told = told;
    dns.running = true;
    pthread_create(&dns.thread, NULL, resolver_main, NULL);
}

void resolve_stop(void)
{
    pthread_mutex_lock(&dns.lock);
    bool waiting_for_name = next_wanted() != NULL;
    dns.running = false;
    pthread_cond_signal(&dns.work);
    pthread_mutex_unlock(&dns.lock);
    if (waiting_for_name) {
        /* The name server may take its time: the process does not wait for it. */
        pthread_detach(dns.thread);
        return;
    }
    pthread_join(dns.thread, NULL);
    while (dns.entries != NULL) {
        struct entry *e = dns.entries;
        dns.entries = e->next;
        free(e->host);
        free(e);
    }
}

static void addresses_text(const struct entry *e, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (int i = 0; i < e->count && used < size; i++) {
        char one[INET6_ADDRSTRLEN] = "";
        const struct sockaddr_storage *a = &e->addresses[i];
        const void *raw = a->ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)a)->sin_addr
                                                  : (const void *)&((const struct sockaddr_in6 *)a)->sin6_addr;
        inet_ntop(a->ss_family, raw, one, sizeof one);
        used += (size_t)snprintf(out + used, size - used, "%s%s", i == 0 ? "" : ",", one);
    }
}

void resolve_each(void (*each)(void *arg, const char *host, int64_t ttl_s, const char *addresses), void *arg)
{
    usec_t now = clock_now();

    pthread_mutex_lock(&dns.lock);
    for (const struct entry *e = dns.entries; e != NULL; e = e->next) {
        char text[512];
        addresses_text(e, text, sizeof text);
        each(arg, e->host, e->known ? MAX((e->expires - now) / USEC_PER_SEC, 0) : 0, text);
    }
    pthread_mutex_unlock(&dns.lock);
}
