/*
 * tls.h: the one room that knows OpenSSL's SSL. Contexts are built from options and published with the configuration;
 * a connection borrows its context only while its handshake begins (OpenSSL counts references), so that a reload can
 * replace contexts under live connections.
 * Thread: contexts immutable once built (any thread may start a connection from one); a struct tls belongs to its
 * connection's worker.
 */
#ifndef SLUICE_TLS_H
#define SLUICE_TLS_H

#include "conf/base.h"
#include <sys/types.h>

enum tls_mode { TLS_DISABLE, TLS_ALLOW, TLS_PREFER, TLS_REQUIRE, TLS_VERIFY_CA, TLS_VERIFY_FULL };

/* All texts may be NULL or "": PgBouncer's key of the same name has the meaning. */
struct tls_options {
    enum tls_mode mode;
    const char *key_file;
    const char *cert_file;
    const char *ca_file;
    const char *protocols; /* "secure" | "all" | "tlsv1.2,tlsv1.3" ... */
    const char *ciphers;   /* "default" | "secure" | "fast" | "all" | an OpenSSL list: TLS <= 1.2 */
    const char *ciphers13; /* TLS 1.3 cipher suites */
    const char *ecdhcurve; /* "auto" | "none" | a curve: listening side only */
    const char *dheparams; /* "auto" | "none" | "legacy": listening side only */
};

struct tls_context; /* a built SSL_CTX and the mode that it serves */
struct tls;         /* one connection's session */

/* Builds the context of the listening (true) or of the connecting side. Returns NULL on failure with the reason in
 * error. For a mode of disable returns NULL with error == "". TLS 1.2 is the oldest that "secure" and "all" allow.
 * Listening: session tickets on (resumption), ALPN "postgresql" is chosen where offered, a client certificate is asked
 * for where ca_file is set, and demanded by verify-ca and verify-full. */
struct tls_context *tls_context_new(const struct tls_options *o, bool listening, char *error, size_t error_size);
void tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context *c); /* NULL is allowed */
enum tls_mode tls_context_mode(const struct tls_context *c);

/* Starts a session on a connected, non-blocking fd (which stays the caller's). Connecting side: host is the name for
 * SNI and, for verify-full, the one the certificate must carry (a DNS name or an IP address); direct: ALPN "postgresql"
 * is offered. Never fails but for memory. */
struct tls *tls_accept(struct tls_context *c, int fd);
struct tls *tls_connect(struct tls_context *c, int fd, const char *host);
/* Sends close_notify once without waiting, frees. NULL is allowed. */
void tls_free(struct tls *t);

enum tls_want { TLS_DONE, TLS_WANT_READ, TLS_WANT_WRITE, TLS_FAILED };

/* Goes on with the handshake. FAILED: tls_error says why. */
enum tls_want tls_handshake(struct tls *t);

/* Like recv and send: > 0 bytes; 0 = the peer closed (close_notify or FIN); -1 with *want = WANT_READ/WANT_WRITE (try
 * when the socket is ready) or FAILED (errno or tls_error say why). Partial writes are allowed, and the buffer may move
 * between tries. */
ssize_t tls_read(struct tls *t, void *buf, size_t len, enum tls_want *want);
ssize_t tls_write(struct tls *t, const void *buf, size_t len, enum tls_want *want);
/* True if decrypted or undecrypted bytes wait inside OpenSSL, which no poll on the fd would report. */
bool tls_pending(const struct tls *t);
/* Frees the memory (34 KB) that a session has for what it reads and writes; the next call takes some anew. False: there
 * is something in it. */
bool tls_rest(struct tls *t);
const char *tls_error(const struct tls *t); /* static or owned by t */

/* "TLSv1.3/TLS_AES_256_GCM_SHA384" for SHOW CLIENTS and the log; owned by t. */
const char *tls_description(const struct tls *t);

/* Listening side: whether the client's certificate was given and verified, its common name ("" if none; false if it has
 * an embedded NUL), and its whole distinguished name in RFC 2253 form. */
bool tls_peer_common_name(const struct tls *t, char *name, size_t size);
bool tls_peer_distinguished_name(const struct tls *t, char *name, size_t size);

/* Channel binding data tls-server-end-point (RFC 5929): hash of the *server's* certificate (our own when listening).
 * Returns its length (<= 64), or 0 where there is none (for example an unknown signature hash). */
size_t tls_endpoint_hash(const struct tls *t, bool listening, uint8_t out[64]);
/* Listening: the client negotiated ALPN "postgresql". */
bool tls_alpn_postgresql(const struct tls *t);

#endif
