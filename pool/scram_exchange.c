/*
 * scram_exchange.c: the two sides of SCRAM-SHA-256 (RFC 5802, 7677) and of its variant bound to the TLS channel.
 *
 *   client                                              server
 *     n,,n=,r=<cnonce>                          ->
 *                                               <-        r=<cnonce><snonce>,s=<salt>,i=<iterations>
 *     c=<gs2 header + endpoint>,r=<nonce>,p=<proof>  ->
 *                                               <-        v=<server signature>
 *
 * Invariants:
 * - Whatever depends on a secret is compared in constant time, and a mock runs the same steps as a real secret.
 * - A side takes each message once, in order; after a refusal nothing more is taken.
 *
 * Thread: any (a side belongs to its connection).
 */
#include "pool/scram_keys.h"

#include <stdio.h>

#define RAW_NONCE 18            /* bytes; 24 characters in base64, as PostgreSQL's */
#define ITERATIONS_MAX 10000000 /* of a server that we log in to: a derivation must not stop a worker for long */

#define GS2_NONE "n,,"
#define GS2_NOT_OFFERED "y,,"
#define GS2_ENDPOINT "p=tls-server-end-point,,"

/* --- messages: attributes, and what may stand in them --- */

/* Takes "x=value" and the comma behind it off the front. False where no letter and '=' stand there. */
static bool attribute_next(struct span *rest, uint8_t *name, struct span *value)
{
    if (rest->len < 2 || rest->ptr[1] != '=')
        return false;
    *name = rest->ptr[0];
    if (!((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z')))
        return false;
    struct span after = span_of(rest->ptr + 2, rest->len - 2);
    if (scram_span_until(&after, ',', value)) {
        *rest = after;
        return after.len > 0; /* a comma must be followed by something */
    }
    *value = after;
    *rest = span_of(after.ptr + after.len, 0);
    return true;
}

static bool attribute_take(struct span *rest, uint8_t expected, struct span *value)
{
    uint8_t name = 0;

    return attribute_next(rest, &name, value) && name == expected;
}

/* What may follow the known attributes: extensions, which RFC 5802 lets us ignore. */
static bool extensions_skip(struct span rest)
{
    while (rest.len > 0) {
        uint8_t name = 0;
        struct span value;

        if (!attribute_next(&rest, &name, &value))
            return false;
    }
    return true;
}

static bool nonce_ok(struct span nonce)
{
    for (size_t i = 0; i < nonce.len; i++) {
        if (nonce.ptr[i] < 0x21 || nonce.ptr[i] > 0x7e || nonce.ptr[i] == ',')
            return false;
    }
    return nonce.len > 0;
}

static bool has_nul(struct span text)
{
    return text.len > 0 && memchr(text.ptr, '\0', text.len) != NULL;
}

static void nonce_make(char out[64])
{
    uint8_t raw[RAW_NONCE];

    random_bytes(raw, sizeof raw);
    base64_encode(raw, sizeof raw, out);
}

static char *span_dup(struct span s)
{
    return mem_strndup((const char *)s.ptr, s.len);
}

/* "gs2 header + endpoint" in base64, owned by the caller: what c= must be. */
static char *binding_encode(const char *gs2_header, const uint8_t *endpoint, size_t endpoint_len)
{
    size_t header_len = strlen(gs2_header);
    size_t len = header_len + endpoint_len;
    uint8_t *raw = mem_alloc(len);
    char *text = mem_alloc(BASE64_SIZE(len));

    memcpy(raw, gs2_header, header_len);
    if (endpoint_len > 0)
        memcpy(raw + header_len, endpoint, endpoint_len);
    base64_encode(raw, len, text);
    free(raw);
    return text;
}

/* Sets *why, for the many places that refuse a message. */
static enum scram_step refuse(const char **why, const char *text)
{
    *why = text;
    return SCRAM_MALFORMED;
}

/* --- server side --- */

enum server_state { SERVER_FIRST, SERVER_FINAL, SERVER_DONE };

void scram_server_init(struct scram_server *s, const struct scram_secret *secret, bool tls, const uint8_t *endpoint,
                       size_t endpoint_len)
{
    memset(s, 0, sizeof *s);
    s->secret = *secret;
    s->tls = tls && endpoint_len > 0 && endpoint_len <= sizeof s->endpoint;
    if (s->tls) {
        s->endpoint_len = endpoint_len;
        memcpy(s->endpoint, endpoint, endpoint_len);
    }
    nonce_make(s->nonce);
    s->state = SERVER_FIRST;
}

void scram_server_init_mock(struct scram_server *s, const char *user, uint32_t iterations, bool tls,
                            const uint8_t *endpoint, size_t endpoint_len)
{
    struct scram_secret secret = {.iterations = iterations, .salt_len = SCRAM_OWN_SALT};

    scram_salt_of_user(user, secret.salt);
    random_bytes(secret.stored_key, SCRAM_KEY);
    random_bytes(secret.server_key, SCRAM_KEY);
    scram_server_init(s, &secret, tls, endpoint, endpoint_len);
    s->mock = true;
}

void scram_server_free(struct scram_server *s)
{
    free(s->client_first_bare);
    free(s->server_first);
    free(s->gs2_header);
    explicit_bzero(s, sizeof *s);
}

static const char *mechanism_choose(struct scram_server *s, const char *mechanism)
{
    if (strcmp(mechanism, "SCRAM-SHA-256-PLUS") == 0 && s->tls)
        s->channel_binding = true;
    else if (strcmp(mechanism, "SCRAM-SHA-256") != 0)
        return "client selected an invalid SASL authentication mechanism";
    return NULL;
}

/* The flag for channel binding against the chosen mechanism. NULL: it is right. */
static const char *binding_flag_check(const struct scram_server *s, struct span flag)
{
    static const char endpoint_flag[] = "p=tls-server-end-point";

    switch (flag.len > 0 ? flag.ptr[0] : '\0') {
    case 'n':
        if (s->channel_binding)
            return "SCRAM-SHA-256-PLUS was selected, but the message has no channel binding data";
        break;
    case 'y':
        if (s->channel_binding)
            return "SCRAM-SHA-256-PLUS was selected, but the message has no channel binding data";
        if (s->tls)
            return "client believes that we offer no channel binding, but we do";
        break;
    case 'p':
        if (!s->channel_binding)
            return "SCRAM-SHA-256 was selected, but the message has channel binding data";
        return span_equal(flag, span_of(endpoint_flag, sizeof endpoint_flag - 1)) ? NULL
                                                                                  : "unsupported channel binding type";
    default:
        return "unexpected channel binding flag";
    }
    return flag.len == 1 ? NULL : "unexpected text behind the channel binding flag";
}

/* client-first: gs2 header, then "n=<ignored>,r=<nonce>[,extensions]". NULL: it is right, and *nonce is set. */
static const char *client_first_parse(struct scram_server *s, struct span message, struct span *nonce)
{
    struct span rest = message, flag, authzid, user;

    if (!scram_span_until(&rest, ',', &flag))
        return "incomplete gs2 header";
    const char *why = binding_flag_check(s, flag);
    if (why != NULL)
        return why;
    if (!scram_span_until(&rest, ',', &authzid))
        return "incomplete gs2 header";
    if (authzid.len > 0)
        return "client uses an authorization identity, which is not supported";
    s->gs2_header = mem_strndup((const char *)message.ptr, message.len - rest.len);
    s->client_first_bare = span_dup(rest);
    if (rest.len > 0 && rest.ptr[0] == 'm')
        return "client requires an unsupported SCRAM extension";
    if (!attribute_take(&rest, 'n', &user) || !attribute_take(&rest, 'r', nonce))
        return "user name or nonce is missing";
    if (!nonce_ok(*nonce))
        return "non-printable characters in nonce";
    return extensions_skip(rest) ? NULL : "malformed extension";
}

static enum scram_step server_first(struct scram_server *s, struct span message, char **reply, const char **why)
{
    char salt[BASE64_SIZE(SCRAM_SALT_MAX)];
    struct span nonce;

    *why = client_first_parse(s, message, &nonce);
    if (*why != NULL)
        return SCRAM_MALFORMED;
    base64_encode(s->secret.salt, s->secret.salt_len, salt);
    s->server_first =
        mem_printf("r=%.*s%s,s=%s,i=%u", (int)nonce.len, (const char *)nonce.ptr, s->nonce, salt, s->secret.iterations);
    *reply = mem_strdup(s->server_first);
    s->state = SERVER_FINAL;
    return SCRAM_CONTINUE;
}

struct client_final {
    struct span binding;
    struct span nonce;
    size_t without_proof; /* length of the message before ",p=" */
    uint8_t proof[SCRAM_KEY];
};

/* client-final: "c=<base64>,r=<nonce>[,extensions],p=<proof>". NULL: it is right. */
static const char *client_final_parse(struct span message, struct client_final *f)
{
    struct span rest = message, value;
    uint8_t name = 0;

    if (!attribute_take(&rest, 'c', &f->binding))
        return "channel binding is missing";
    if (!attribute_take(&rest, 'r', &f->nonce))
        return "nonce is missing";
    do {
        f->without_proof = message.len - rest.len - 1;
        if (!attribute_next(&rest, &name, &value))
            return "proof is missing";
    } while (name != 'p');
    if (rest.len > 0)
        return "bytes behind the proof";
    return scram_key_parse(value, f->proof) ? NULL : "malformed proof";
}

/* The message that both sides sign, owned by the caller. */
static char *auth_message(const char *client_first_bare, const char *server_first, struct span without_proof)
{
    return mem_printf("%s,%s,%.*s", client_first_bare, server_first, (int)without_proof.len,
                      (const char *)without_proof.ptr);
}

/* Recovers the client's key from its proof; true if it is the one whose hash is stored. *signature: the server's, for
 * the reply, in base64. */
static bool proof_check(struct scram_server *s, const struct client_final *f, struct span message,
                        char signature[SCRAM_KEY_BASE64 + 1])
{
    char *text = auth_message(s->client_first_bare, s->server_first, span_of(message.ptr, f->without_proof));
    uint8_t client_key[SCRAM_KEY], computed[SCRAM_KEY], hash[SCRAM_KEY];

    scram_hmac(s->secret.stored_key, text, strlen(text), computed);
    scram_xor(f->proof, computed, client_key);
    scram_sha256(client_key, SCRAM_KEY, hash);
    scram_hmac(s->secret.server_key, text, strlen(text), computed);
    base64_encode(computed, SCRAM_KEY, signature);
    free(text);
    bool right = bytes_equal_const_time(hash, s->secret.stored_key, SCRAM_KEY) && !s->mock;
    if (right) {
        memcpy(s->learnt.client_key, client_key, SCRAM_KEY);
        memcpy(s->learnt.server_key, s->secret.server_key, SCRAM_KEY);
    }
    explicit_bzero(client_key, sizeof client_key);
    return right;
}

static bool binding_check(const struct scram_server *s, struct span binding)
{
    char *expected = binding_encode(s->gs2_header, s->endpoint, s->channel_binding ? s->endpoint_len : 0);
    bool equal = binding.len == strlen(expected) && bytes_equal_const_time(binding.ptr, expected, binding.len);

    free(expected);
    return equal;
}

/* Our server-first begins "r=<nonce>,". */
static bool nonce_check(const struct scram_server *s, struct span nonce)
{
    size_t len = strcspn(s->server_first + 2, ",");

    return nonce.len == len && bytes_equal_const_time(nonce.ptr, s->server_first + 2, len);
}

static enum scram_step server_final(struct scram_server *s, struct span message, char **reply, const char **why)
{
    char signature[SCRAM_KEY_BASE64 + 1];
    struct client_final f = {0};

    *why = client_final_parse(message, &f);
    if (*why != NULL)
        return SCRAM_MALFORMED;
    if (!nonce_check(s, f.nonce))
        return refuse(why, "nonce does not match");
    if (!binding_check(s, f.binding)) {
        *why = "channel binding check failed";
        return SCRAM_FAIL;
    }
    if (!proof_check(s, &f, message, signature)) {
        *why = s->mock ? "no such user, or no secret that SCRAM could use" : "wrong password";
        return SCRAM_FAIL;
    }
    *reply = mem_printf("v=%s", signature);
    return SCRAM_OK;
}

static enum scram_step server_take(struct scram_server *s, const char *mechanism, struct span message, char **reply,
                                   const char **why)
{
    if (s->state == SERVER_DONE || (mechanism != NULL && s->state != SERVER_FIRST))
        return refuse(why, "SASL message out of order");
    if (mechanism != NULL) {
        *why = mechanism_choose(s, mechanism);
        if (*why != NULL)
            return SCRAM_MALFORMED;
        if (message.ptr == NULL) { /* the client sends its first message only when asked */
            *reply = mem_strdup("");
            return SCRAM_CONTINUE;
        }
    }
    if (message.len == 0)
        return refuse(why, "the SCRAM message is empty");
    if (has_nul(message))
        return refuse(why, "the SCRAM message has a zero byte in it");
    return s->state == SERVER_FIRST ? server_first(s, message, reply, why) : server_final(s, message, reply, why);
}

enum scram_step scram_server_step(struct scram_server *s, const char *mechanism, struct span message, char **reply,
                                  const char **why)
{
    *reply = NULL;
    *why = NULL;
    enum scram_step step = server_take(s, mechanism, message, reply, why);
    if (step != SCRAM_CONTINUE)
        s->state = SERVER_DONE;
    return step;
}

/* --- client side --- */

enum client_state { CLIENT_FIRST, CLIENT_CONTINUE, CLIENT_FINAL, CLIENT_DONE };

void scram_client_init(struct scram_client *s, const char *password, const struct scram_keys *keys)
{
    assert((password == NULL) != (keys == NULL));
    memset(s, 0, sizeof *s);
    if (keys != NULL) {
        s->has_keys = true;
        s->keys = *keys;
    } else {
        s->password = mem_strdup(password);
    }
    nonce_make(s->nonce);
    s->state = CLIENT_FIRST;
}

void scram_client_free(struct scram_client *s)
{
    if (s->password != NULL)
        explicit_bzero(s->password, strlen(s->password));
    free(s->password);
    free(s->client_first_bare);
    free(s->server_signature);
    explicit_bzero(s, sizeof *s);
}

static bool mechanism_listed(struct span list, const char *name)
{
    struct span rest = list, item;
    struct span wanted = span_of(name, strlen(name));

    while (scram_span_until(&rest, '\0', &item)) {
        if (span_equal(item, wanted))
            return true;
    }
    return span_equal(rest, wanted);
}

static const char *gs2_header_of(const struct scram_client *s)
{
    if (s->channel_binding)
        return GS2_ENDPOINT;
    return s->tls_without_plus ? GS2_NOT_OFFERED : GS2_NONE;
}

const char *scram_client_first(struct scram_client *s, struct span mechanisms, const uint8_t *endpoint,
                               size_t endpoint_len, char **message)
{
    bool can_bind = endpoint_len > 0 && endpoint_len <= sizeof s->endpoint;

    *message = NULL;
    s->channel_binding = can_bind && mechanism_listed(mechanisms, "SCRAM-SHA-256-PLUS");
    if (!s->channel_binding && !mechanism_listed(mechanisms, "SCRAM-SHA-256"))
        return NULL;
    s->tls_without_plus = can_bind && !s->channel_binding;
    if (s->channel_binding) {
        s->endpoint_len = endpoint_len;
        memcpy(s->endpoint, endpoint, endpoint_len);
    }
    /* PostgreSQL takes the user from the startup packet, and ignores the one here. */
    s->client_first_bare = mem_printf("n=,r=%s", s->nonce);
    *message = mem_printf("%s%s", gs2_header_of(s), s->client_first_bare);
    s->state = CLIENT_CONTINUE;
    return s->channel_binding ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256";
}

struct server_first {
    struct span nonce;
    uint32_t iterations;
    size_t salt_len;
    uint8_t salt[SCRAM_SALT_MAX];
};

/* server-first: "r=<nonce>,s=<salt>,i=<iterations>[,extensions]". NULL: it is right. */
static const char *server_first_parse(const struct scram_client *s, struct span message, struct server_first *f)
{
    struct span rest = message, salt, iterations;
    size_t own_len = strlen(s->nonce);

    if (rest.len > 0 && rest.ptr[0] == 'm')
        return "server requires an unsupported SCRAM extension";
    if (!attribute_take(&rest, 'r', &f->nonce) || !nonce_ok(f->nonce))
        return "server's nonce is missing or malformed";
    if (f->nonce.len <= own_len || memcmp(f->nonce.ptr, s->nonce, own_len) != 0)
        return "server's nonce does not begin with ours";
    if (!attribute_take(&rest, 's', &salt))
        return "server's salt is missing";
    int salt_len = base64_decode((const char *)salt.ptr, salt.len, f->salt, sizeof f->salt);
    if (salt_len <= 0)
        return "server's salt is malformed or too long";
    f->salt_len = (size_t)salt_len;
    if (!attribute_take(&rest, 'i', &iterations) || !scram_number_parse(iterations, INT32_MAX, &f->iterations))
        return "server's iteration count is missing or malformed";
    if (f->iterations > ITERATIONS_MAX)
        return "server's iteration count is above 10000000";
    return extensions_skip(rest) ? NULL : "malformed extension in server's message";
}

/* Proof and expected signature over the text that both sides know. */
static void client_sign(struct scram_client *s, const char *text, char proof[SCRAM_KEY_BASE64 + 1])
{
    uint8_t stored_key[SCRAM_KEY], signature[SCRAM_KEY], raw_proof[SCRAM_KEY];

    scram_sha256(s->keys.client_key, SCRAM_KEY, stored_key);
    scram_hmac(stored_key, text, strlen(text), signature);
    scram_xor(s->keys.client_key, signature, raw_proof);
    base64_encode(raw_proof, SCRAM_KEY, proof);
    scram_hmac(s->keys.server_key, text, strlen(text), signature);
    s->server_signature = mem_alloc(SCRAM_KEY_BASE64 + 1);
    base64_encode(signature, SCRAM_KEY, s->server_signature);
    explicit_bzero(stored_key, sizeof stored_key);
}

enum scram_step scram_client_continue(struct scram_client *s, struct span server_first, char **message,
                                      const char **why)
{
    struct server_first f = {0};
    char proof[SCRAM_KEY_BASE64 + 1];

    *message = NULL;
    if (s->state != CLIENT_CONTINUE)
        return refuse(why, "SASL message out of order");
    s->state = CLIENT_DONE;
    *why = has_nul(server_first) ? "zero byte in server's message" : server_first_parse(s, server_first, &f);
    if (*why != NULL)
        return SCRAM_MALFORMED;
    if (!s->has_keys)
        scram_keys_derive(s->password, f.salt, f.salt_len, f.iterations, &s->keys);
    char *binding = binding_encode(gs2_header_of(s), s->endpoint, s->endpoint_len);
    char *without_proof = mem_printf("c=%s,r=%.*s", binding, (int)f.nonce.len, (const char *)f.nonce.ptr);
    char *first = span_dup(server_first);
    char *text = auth_message(s->client_first_bare, first, span_of(without_proof, strlen(without_proof)));
    client_sign(s, text, proof);
    *message = mem_printf("%s,p=%s", without_proof, proof);
    free(text);
    free(first);
    free(without_proof);
    free(binding);
    s->state = CLIENT_FINAL;
    return SCRAM_CONTINUE;
}

enum scram_step scram_client_final(struct scram_client *s, struct span server_final, const char **why)
{
    struct span rest = server_final, value;
    uint8_t name = 0;

    *why = NULL;
    if (s->state != CLIENT_FINAL)
        return refuse(why, "SASL message out of order");
    s->state = CLIENT_DONE;
    if (has_nul(server_final) || !attribute_next(&rest, &name, &value))
        return refuse(why, "server's final message is malformed");
    if (name == 'e') {
        *why = "server refused the exchange";
        return SCRAM_FAIL;
    }
    if (name != 'v' || value.len != SCRAM_KEY_BASE64 || !extensions_skip(rest))
        return refuse(why, "server's final message is malformed");
    if (!bytes_equal_const_time(value.ptr, s->server_signature, SCRAM_KEY_BASE64)) {
        *why = "server's signature is wrong: it does not know the password";
        return SCRAM_FAIL;
    }
    return SCRAM_OK;
}
