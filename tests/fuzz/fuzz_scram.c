/*
 * fuzz_scram.c: SASL messages from a hostile peer, to both sides of SCRAM, and stored secrets from a hostile file.
 *
 * The input's first byte chooses the side and its circumstances; the rest is up to three messages, each ended by byte
 * 0x1e. What must hold: nothing crashes; only the right proof passes (which no input can hold: nonces are random unless
 * the byte asks for fixed ones, and even then the keys are not known).
 */
#include "pool/auth.h"
#include "pool/scram_keys.h"

#include <stdio.h>

#define SEPARATOR 0x1e

static const uint8_t endpoint[32] = {1, 2, 3};

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

/* The next message, taken off the front of rest. */
static struct span message_next(struct span *rest)
{
    const uint8_t *at = rest->len > 0 ? memchr(rest->ptr, SEPARATOR, rest->len) : NULL;
    size_t len = at != NULL ? (size_t)(at - rest->ptr) : rest->len;
    struct span message = span_of(rest->ptr, len);

    *rest = span_of(rest->ptr + len + (at != NULL), rest->len - len - (at != NULL));
    return message;
}

static void fuzz_server(struct span rest, bool tls, bool plus)
{
    struct scram_secret secret = {.iterations = 1, .salt_len = 4, .salt = "salt", .stored_key = {5}, .server_key = {6}};
    enum scram_step step = SCRAM_CONTINUE;
    const char *mechanism = plus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256";
    struct scram_server s;
    const char *why;
    char *reply;

    scram_server_init(&s, &secret, tls, endpoint, tls ? sizeof endpoint : 0);
    strcpy(s.nonce, "fixed");
    for (int i = 0; i < 3 && step == SCRAM_CONTINUE; i++) {
        step = scram_server_step(&s, mechanism, message_next(&rest), &reply, &why);
        require((reply != NULL) == (step == SCRAM_CONTINUE), "a reply comes with CONTINUE");
        require((why == NULL) == (step == SCRAM_CONTINUE), "a refusal has its reason");
        require(step != SCRAM_OK, "nobody knows the key");
        free(reply);
        mechanism = NULL;
    }
    scram_server_free(&s);
}

static void fuzz_client(struct span rest, bool tls, bool plus)
{
    struct scram_keys keys = {.client_key = {1}, .server_key = {2}};
    struct span mechanisms = plus ? span_of("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", 34) : span_of("SCRAM-SHA-256\0", 15);
    struct scram_client c;
    const char *why;
    char *message;

    scram_client_init(&c, NULL, &keys);
    strcpy(c.nonce, "fixed");
    require(scram_client_first(&c, mechanisms, endpoint, tls ? sizeof endpoint : 0, &message) != NULL,
            "there is a mechanism");
    free(message);
    enum scram_step step = scram_client_continue(&c, message_next(&rest), &message, &why);
    require((message != NULL) == (step == SCRAM_CONTINUE), "a message comes with CONTINUE");
    free(message);
    step = scram_client_final(&c, message_next(&rest), &why);
    require(step != SCRAM_OK || c.server_signature != NULL, "only a signature passes");
    scram_client_free(&c);
}

/* The dialogues around it: bodies of 'p' and of 'R' messages. */
static void fuzz_dialogues(struct span rest, uint8_t choice)
{
    static const enum auth_method methods[] = {AUTH_PLAIN, AUTH_MD5, AUTH_SCRAM};
    struct secret secret;
    struct buf out = {0};
    struct auth_in in;
    struct auth_out peer;

    secret_set(&secret, "not to be guessed: 7f3a");
    enum auth_verdict v = auth_in_begin(&in, methods[choice % 3], "u", &secret, SECRET_PLAIN, 1, true, endpoint,
                                        (choice & 4) != 0 ? 32 : 0, &out);
    auth_out_init(&peer, "u", NULL, &(struct scram_keys){.client_key = {3}});
    enum auth_verdict peer_v = AUTH_MORE;
    for (int i = 0; i < 3; i++) {
        struct span message = message_next(&rest);

        if (v == AUTH_MORE)
            v = auth_in_step(&in, message, &out);
        if (peer_v == AUTH_MORE)
            peer_v = auth_out_step(&peer, message, endpoint, sizeof endpoint, &out);
    }
    require(v != AUTH_PASSED || methods[choice % 3] == AUTH_PLAIN, "no answer fits a random challenge");
    require(peer_v != AUTH_PASSED || !peer.scram_active || peer.scram_done, "no Ok without the server's proof");
    auth_in_free(&in);
    auth_out_free(&peer);
    secret_free(&secret);
    buf_free(&out);
}

static void fuzz_secret(struct span rest)
{
    char *text = mem_strndup((const char *)rest.ptr, rest.len);
    struct scram_secret s;
    struct secret kept;

    if (scram_secret_parse(text, &s))
        require(s.iterations >= 1 && s.salt_len >= 1 && s.salt_len <= SCRAM_SALT_MAX, "a secret is within its bounds");
    secret_set(&kept, text);
    secret_free(&kept);
    scram_secret_build(text, (const uint8_t *)"salt", 4, 1, &s, NULL); /* SASLprep of anything */
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct span rest = span_of(data + 1, size - 1);
    bool tls = (data[0] & 4) != 0, plus = (data[0] & 8) != 0;
    switch (data[0] & 3) {
    case 0:
        fuzz_server(rest, tls, plus);
        break;
    case 1:
        fuzz_client(rest, tls, plus);
        break;
    case 2:
        fuzz_dialogues(rest, data[0] >> 2);
        break;
    default:
        fuzz_secret(rest);
    }
    return 0;
}
