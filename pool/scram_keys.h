/*
 * scram_keys.h: what scram.c (computations, OpenSSL) gives to scram_exchange.c (the two sides' state machines) and to
 * auth.c beyond scram.h.
 * Thread: any.
 */
#ifndef SLUICE_SCRAM_KEYS_H
#define SLUICE_SCRAM_KEYS_H

#include "pool/scram.h"

#define SCRAM_OWN_SALT 16   /* bytes, as PostgreSQL's */
#define SCRAM_KEY_BASE64 44 /* characters of a base64 SCRAM_KEY */
#define BASE64_SIZE(len) (4 * (((len) + 2) / 3) + 1)

void scram_sha256(const void *in, size_t len, uint8_t out[SCRAM_KEY]);
void scram_hmac(const uint8_t key[SCRAM_KEY], const void *text, size_t len, uint8_t out[SCRAM_KEY]);
void scram_xor(const uint8_t a[SCRAM_KEY], const uint8_t b[SCRAM_KEY], uint8_t out[SCRAM_KEY]);

/* Both keys of a password: slow by design the first time, remembered afterwards. */
void scram_keys_derive(const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations,
                       struct scram_keys *keys);

/* The salt that a user without a stored one is given: the same for the life of the process, whether the user exists or
 * not, and not to be foretold. */
void scram_salt_of_user(const char *user, uint8_t salt[SCRAM_OWN_SALT]);

/* Takes the bytes up to `end`, and end itself, off the front of rest; false if it never comes. */
bool scram_span_until(struct span *rest, char end, struct span *part);
/* Digits only, 1 to max. */
bool scram_number_parse(struct span text, uint32_t max, uint32_t *out);
/* A SCRAM_KEY in base64, no more and no less. */
bool scram_key_parse(struct span text, uint8_t key[SCRAM_KEY]);

#endif
