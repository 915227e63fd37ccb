/*
 * scram.h: SCRAM-SHA-256 (RFC 5802, 7677) and PostgreSQL's md5, as computations. Pure but for random bytes and a memo
 * of derived keys. scram.c has the computations (with tls.c the only file that knows OpenSSL), scram_exchange.c the
 * messages.
 * Thread: any (the memo has a mutex).
 */
#ifndef SLUICE_SCRAM_H
#define SLUICE_SCRAM_H

#include "conf/base.h"

#define SCRAM_KEY 32
#define SCRAM_SALT_MAX 64

/* What PostgreSQL stores: SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, base64 within. */
struct scram_secret {
    uint32_t iterations;
    size_t salt_len;
    uint8_t salt[SCRAM_SALT_MAX];
    uint8_t stored_key[SCRAM_KEY];
    uint8_t server_key[SCRAM_KEY];
};

/* What a client needs to log in with no password: learnt from a client's own proof. */
struct scram_keys {
    uint8_t client_key[SCRAM_KEY];
    uint8_t server_key[SCRAM_KEY];
};

bool scram_secret_parse(const char *text, struct scram_secret *s);
/* SASLprep where the password is valid UTF-8 and can be prepared, the raw bytes else (as PostgreSQL does). Slow by
 * design for a password, salt and count that were not seen lately. keys may be NULL. */
void scram_secret_build(const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations,
                        struct scram_secret *s, struct scram_keys *keys);
void random_bytes(void *out, size_t len);
bool bytes_equal_const_time(const void *a, const void *b, size_t len);
/* PostgreSQL's md5: "md5" + hex(md5(password user)); out has 36 bytes. */
void md5_secret(const char *password, const char *user, char out[36]);
/* The answer to AuthenticationMD5Password: "md5" + hex(md5(hex_part_of_secret salt)). */
void md5_answer(const char secret[36], const uint8_t salt[4], char out[36]);

/* base64 (standard alphabet, padded). encode: out needs 4*((len+2)/3)+1 bytes. decode: returns length or -1. */
size_t base64_encode(const void *in, size_t len, char *out);
int base64_decode(const char *in, size_t len, uint8_t *out, size_t out_size);

/* --- the two sides of the exchange, each a state machine over SASL message texts (not NUL-terminated on input) --- */

enum scram_step { SCRAM_CONTINUE, SCRAM_OK, SCRAM_FAIL, SCRAM_MALFORMED };

/* Server side (Sluice answers a client). */
struct scram_server {
    struct scram_secret secret;
    bool mock;            /* the user does not exist or has no usable secret: goes on to the end, then fails */
    bool channel_binding; /* the client chose SCRAM-SHA-256-PLUS */
    bool tls;             /* the connection has TLS and PLUS was offered: "y" is then an attack */
    size_t endpoint_len;
    uint8_t endpoint[64];
    char *client_first_bare; /* owned */
    char *server_first;      /* owned */
    char *gs2_header;        /* owned */
    char nonce[64];
    int state;
    struct scram_keys learnt; /* valid after OK: the client's key, recovered from its proof */
};

void scram_server_init(struct scram_server *s, const struct scram_secret *secret, bool tls, const uint8_t *endpoint,
                       size_t endpoint_len);
/* For a user that does not exist: a secret derived from the name and a process-wide random key, so that the salt is the
 * same each time and the work the same as for a wrong password. */
void scram_server_init_mock(struct scram_server *s, const char *user, uint32_t iterations, bool tls,
                            const uint8_t *endpoint, size_t endpoint_len);
void scram_server_free(struct scram_server *s);
/* mechanism: the client's choice, given with its first message, NULL afterwards. reply (NUL-terminated, owned by the
 * caller, may be NULL on FAIL) is what to send: AuthenticationSASLContinue on CONTINUE, AuthenticationSASLFinal on OK.
 * MALFORMED: *why says what was wrong with the message (static text; a protocol violation). */
enum scram_step scram_server_step(struct scram_server *s, const char *mechanism, struct span message, char **reply,
                                  const char **why);

/* Client side (Sluice logs in to a server). Exactly one of password and keys is given (both borrowed for the call of
 * init only). */
struct scram_client {
    bool has_keys;
    struct scram_keys keys;
    char *password; /* owned, wiped */
    bool channel_binding;
    size_t endpoint_len;
    uint8_t endpoint[64];
    bool tls_without_plus; /* TLS, but the server offers no PLUS: gs2 "y" */
    char *client_first_bare;
    char *server_signature; /* expected, owned */
    char nonce[64];
    int state;
};

void scram_client_init(struct scram_client *s, const char *password, const struct scram_keys *keys);
void scram_client_free(struct scram_client *s);
/* Chooses SCRAM-SHA-256-PLUS if it is among `mechanisms` (NUL-separated list, as in AuthenticationSASL) and
 * endpoint_len is > 0; returns the mechanism's name (static) and the first message (owned by the caller), or NULL if
 * none is usable. */
const char *scram_client_first(struct scram_client *s, struct span mechanisms, const uint8_t *endpoint,
                               size_t endpoint_len, char **message);
/* server-first in, client-final out (owned by the caller). FAIL/MALFORMED: *why. */
enum scram_step scram_client_continue(struct scram_client *s, struct span server_first, char **message,
                                      const char **why);
/* Verifies the server's signature. OK or FAIL. */
enum scram_step scram_client_final(struct scram_client *s, struct span server_final, const char **why);

#endif
