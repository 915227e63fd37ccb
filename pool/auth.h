/*
 * auth.h: the authentication dialogues as pure state machines: bytes of a message in, bytes of messages out, a verdict.
 * auth_in: a client proves itself to Sluice. auth_out: Sluice proves itself to a server.
 * Thread: worker (a dialogue belongs to its connection).
 */
#ifndef SLUICE_AUTH_H
#define SLUICE_AUTH_H

#include "parser/bytes.h"
#include "pool/scram.h"

/* A user's secret as a file or a query gives it. */
enum secret_kind { SECRET_NONE, SECRET_PLAIN, SECRET_MD5, SECRET_SCRAM };
struct secret {
    enum secret_kind kind;
    char *text; /* owned; as written: plain password, md5..., SCRAM-SHA-256$... */
};
void secret_set(struct secret *s, const char *text); /* classifies; "" or NULL is NONE. What s held is not freed */
void secret_free(struct secret *s);                  /* wipes */

/* What the login of this client asks for. REJECT and PEER never reach auth_in. */
enum auth_method {
    AUTH_TRUST,
    AUTH_ANY,
    AUTH_PLAIN,
    AUTH_MD5,
    AUTH_SCRAM,
    AUTH_CERT,
    AUTH_HBA,
    AUTH_PEER,
    AUTH_REJECT,
    AUTH_PAM,
    AUTH_LDAP
};

enum auth_verdict { AUTH_MORE, AUTH_PASSED, AUTH_FAILED, AUTH_BROKEN /* the peer broke the protocol */ };

struct auth_in {
    enum auth_method method; /* TRUST, PLAIN, MD5 or SCRAM; CERT is decided before any dialogue */
    char *user;              /* owned */
    struct secret secret;    /* owned copy; kind NONE: no such user, or no password */
    bool mock;
    uint8_t md5_salt[4];
    struct scram_server scram;
    bool scram_active;
    bool scram_begun; /* the first 'p' message, which names the mechanism, has come */
    uint32_t scram_iterations;
    /* results, valid after PASSED */
    char *password;  /* owned: what a cleartext login gave us, to pass on to the server; may be NULL */
    bool has_learnt; /* a SCRAM secret's keys are now known: learnt_keys_put them */
    struct scram_keys learnt;
    /* result, valid after FAILED or BROKEN */
    const char *why; /* static: for the log only, never for the client */
};

/* Begins: writes the Authentication request, if any, to out. AUTH_MD5 with a SCRAM secret runs SCRAM instead (as
 * PostgreSQL and PgBouncer do); AUTH_MD5 with a plain secret computes the md5; AUTH_SCRAM with an md5 secret can only
 * fail (at the end, like a wrong password). secret NULL or NONE: everything goes on as with a wrong password for a
 * secret of the kind decoy, and fails at the end, at the same cost. endpoint: channel binding data of our certificate,
 * if the client speaks TLS (then -PLUS is offered). Returns MORE, or PASSED for TRUST. */
enum auth_verdict auth_in_begin(struct auth_in *a, enum auth_method method, const char *user,
                                const struct secret *secret, enum secret_kind decoy, uint32_t scram_iterations,
                                bool tls, const uint8_t *endpoint, size_t endpoint_len, struct buf *out);
/* The body of a 'p' message. On PASSED of SCRAM, AuthenticationSASLFinal has been written to out; AuthenticationOk is
 * always the caller's. */
enum auth_verdict auth_in_step(struct auth_in *a, struct span body, struct buf *out);
void auth_in_free(struct auth_in *a);

struct auth_out {
    char *user;           /* owned */
    struct secret secret; /* owned copy */
    bool has_keys;
    struct scram_keys keys;
    struct scram_client scram;
    bool scram_active;
    bool scram_done; /* server's signature verified */
    char why[160];   /* after FAILED or BROKEN, for log and client: never holds a secret */
};

/* keys may be NULL. */
void auth_out_init(struct auth_out *a, const char *user, const struct secret *secret, const struct scram_keys *keys);
/* The body of an 'R' message. PASSED at AuthenticationOk (FAILED if a SCRAM exchange was begun and the server's
 * signature was never verified). MORE: out holds the answer, if one is due. FAILED: no usable secret for what the
 * server asks ("server asks for a password, and none is known for user x": say what would help), unsupported method
 * (GSS, SSPI, Kerberos). */
enum auth_verdict auth_out_step(struct auth_out *a, struct span body, const uint8_t *endpoint, size_t endpoint_len,
                                struct buf *out);
void auth_out_free(struct auth_out *a);

/* The process-wide store of SCRAM keys that clients' logins taught (user + StoredKey -> keys). Thread: any (mutex). */
void learnt_keys_put(const char *user, const struct scram_secret *secret, const struct scram_keys *keys);
bool learnt_keys_get(const char *user, const struct scram_secret *secret, struct scram_keys *keys);

#endif
