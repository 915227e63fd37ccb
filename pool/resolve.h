/*
 * resolve.h: host names to addresses, by a thread of its own, so that neither a worker nor control ever waits for a
 * name server. Answers are kept for dns_max_ttl, failures for dns_nxdomain_ttl.
 * Thread: any (mutex); look-ups run in
 * the resolver thread.
 */
#ifndef SLUICE_RESOLVE_H
#define SLUICE_RESOLVE_H

#include "conf/base.h"
#include "conf/clock.h"
#include <sys/socket.h>

struct address {
    struct sockaddr_storage addr;
    socklen_t len;
};

enum resolve_answer { RESOLVE_OK, RESOLVE_WAIT, RESOLVE_FAILED, RESOLVE_NO_MORE };

/* told is called in the resolver thread after each look-up of a name that somebody waits for. */
void resolve_start(usec_t ttl, usec_t failure_ttl, void (*told)(void));
void resolve_configure(usec_t ttl, usec_t failure_ttl);
void resolve_stop(void);

/* Numeric addresses and Unix socket folders ("/tmp", "@abstract") are answered at once, names from the cache; WAIT: ask
 * again when told. nth: which of the name's addresses, from 0; NO_MORE: it has not so many. FAILED: why has the
 * resolver's text. */
enum resolve_answer resolve_host(const char *host, int port, int nth, struct address *a, char *why, size_t why_size);
/* The address has proved good: until the name is looked up again it is the first one. */
void resolve_prefer(const char *host, const struct address *a);

/* For SHOW DNS_HOSTS: each cached name with its remaining seconds and its addresses ("127.0.0.1,::1"). */
void resolve_each(void (*each)(void *arg, const char *host, int64_t ttl_s, const char *addresses), void *arg);

#endif
