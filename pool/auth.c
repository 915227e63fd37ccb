/*
 * auth.c: the authentication dialogues, and the store of SCRAM keys that logins taught us.
 *
 *   auth_in    begin ──(request)──> step ... step ──> PASSED | FAILED | BROKEN        (R out, p in)
 *   auth_out   init ──> step ... step ──> PASSED | FAILED | BROKEN                    (R in, p out)
 *
 * Invariants:
 * - A user that is not known, or has no secret that the method could use, goes through the dialogue of a wrong
 * password, at its cost.
 * - auth_out passes only at AuthenticationOk, and after SCRAM only if the server has proved that it knows the secret.
 * - Texts that hold a secret are wiped when they are freed.
 *
 * Thread: worker (a dialogue belongs to its connection); the store of learnt keys: any (mutex).
 */
#include "pool/auth.h"

#include "parser/msgout.h"
#include "pool/scram_keys.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

/* PostgreSQL's codes of Authentication messages. */
enum auth_code {
    CODE_OK = 0,
    CODE_KERBEROS_V5 = 2,
    CODE_CLEARTEXT = 3,
    CODE_MD5 = 5,
    CODE_SCM = 6,
    CODE_GSS = 7,
    CODE_GSS_CONTINUE = 8,
    CODE_SSPI = 9,
    CODE_SASL = 10,
    CODE_SASL_CONTINUE = 11,
    CODE_SASL_FINAL = 12
};

#define MD5_TEXT 35 /* characters of "md5" and 32 hexadecimal digits */

/* --- secrets --- */

static bool is_md5(const char *text)
{
    return strlen(text) == MD5_TEXT && strncmp(text, "md5", 3) == 0 && strspn(text + 3, "0123456789abcdef") == 32;
}

void secret_set(struct secret *s, const char *text)
{
    struct scram_secret scram;

    s->kind = SECRET_NONE;
    s->text = NULL;
    if (text == NULL || text[0] == '\0')
        return;
    if (is_md5(text))
        s->kind = SECRET_MD5;
    else if (scram_secret_parse(text, &scram))
        s->kind = SECRET_SCRAM;
    else
        s->kind = SECRET_PLAIN;
    s->text = mem_strdup(text);
}

static void text_wipe(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void secret_free(struct secret *s)
{
    text_wipe(s->text);
    s->text = NULL;
    s->kind = SECRET_NONE;
}

static void secret_copy(struct secret *to, const struct secret *from)
{
    to->kind = from != NULL ? from->kind : SECRET_NONE;
    to->text = to->kind != SECRET_NONE ? mem_strdup(from->text) : NULL;
}

/* --- a client proves itself to us --- */

/* The bytes compared are of equal length, or the texts differ. */
static bool texts_equal_const_time(const char *a, const char *b)
{
    size_t len = strlen(a);

    return len == strlen(b) && bytes_equal_const_time(a, b, len);
}

static void scram_begin(struct auth_in *a, enum secret_kind decoy, bool tls, const uint8_t *endpoint,
                        size_t endpoint_len)
{
    uint32_t iterations = a->scram_iterations;
    uint8_t salt[SCRAM_OWN_SALT];
    struct scram_secret stored = {0};

    if (a->secret.kind == SECRET_SCRAM && scram_secret_parse(a->secret.text, &stored)) {
        scram_server_init(&a->scram, &stored, tls, endpoint, endpoint_len);
    } else if (a->secret.kind == SECRET_PLAIN) {
        /* The salt is the one that a user that does not exist would get, so that it does not tell them apart. */
        scram_salt_of_user(a->user, salt);
        scram_secret_build(a->secret.text, salt, sizeof salt, iterations, &stored, NULL);
        scram_server_init(&a->scram, &stored, tls, endpoint, endpoint_len);
    } else {
        a->mock = true;
        if (decoy == SECRET_PLAIN) { /* a listed password would have cost a derivation */
            scram_salt_of_user(a->user, salt);
            scram_secret_build("", salt, sizeof salt, iterations, &stored, NULL);
        }
        scram_server_init_mock(&a->scram, a->user, iterations, tls, endpoint, endpoint_len);
    }
    a->scram_active = true;
    explicit_bzero(&stored, sizeof stored);
}

static void sasl_request(bool plus, struct buf *out)
{
    static const char with_plus[] = "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0";
    static const char without[] = "SCRAM-SHA-256\0";

    /* Each list ends with an empty name: the NUL that C adds. */
    if (plus)
        msg_auth(out, CODE_SASL, with_plus, sizeof with_plus);
    else
        msg_auth(out, CODE_SASL, without, sizeof without);
}

enum auth_verdict auth_in_begin(struct auth_in *a, enum auth_method method, const char *user,
                                const struct secret *secret, enum secret_kind decoy, uint32_t scram_iterations,
                                bool tls, const uint8_t *endpoint, size_t endpoint_len, struct buf *out)
{
    memset(a, 0, sizeof *a);
    a->user = mem_strdup(user);
    secret_copy(&a->secret, secret);
    a->method = method;
    a->mock = a->secret.kind == SECRET_NONE;
    a->scram_iterations = scram_iterations;
    if (method == AUTH_MD5 && (a->mock ? decoy : a->secret.kind) == SECRET_SCRAM)
        a->method = AUTH_SCRAM;
    switch (a->method) {
    case AUTH_TRUST:
    case AUTH_ANY:
        return AUTH_PASSED;
    case AUTH_PLAIN:
        msg_auth(out, CODE_CLEARTEXT, NULL, 0);
        return AUTH_MORE;
    case AUTH_MD5:
        random_bytes(a->md5_salt, sizeof a->md5_salt);
        msg_auth(out, CODE_MD5, a->md5_salt, sizeof a->md5_salt);
        return AUTH_MORE;
    case AUTH_SCRAM:
        scram_begin(a, decoy, tls, endpoint, endpoint_len);
        sasl_request(tls && endpoint_len > 0, out);
        return AUTH_MORE;
    default:
        a->why = "the authentication method has no dialogue";
        return AUTH_FAILED;
    }
}

static enum auth_verdict in_failed(struct auth_in *a, const char *why)
{
    a->why = why;
    return AUTH_FAILED;
}

static enum auth_verdict in_broken(struct auth_in *a, const char *why)
{
    a->why = why;
    return AUTH_BROKEN;
}

static bool plain_check_scram(const char *password, const struct scram_secret *stored)
{
    struct scram_secret given;

    scram_secret_build(password, stored->salt, stored->salt_len, stored->iterations, &given, NULL);
    return bytes_equal_const_time(given.stored_key, stored->stored_key, SCRAM_KEY);
}

/* A refused cleartext password has cost one derivation, whatever the secret was, and whether there was one. */
static bool plain_check(const struct auth_in *a, const char *password)
{
    struct scram_secret stored = {.iterations = a->scram_iterations, .salt_len = SCRAM_OWN_SALT};
    char md5[36];
    bool right = false;

    if (a->secret.kind == SECRET_SCRAM && scram_secret_parse(a->secret.text, &stored))
        return plain_check_scram(password, &stored);
    if (a->secret.kind == SECRET_PLAIN) {
        right = texts_equal_const_time(password, a->secret.text);
    } else if (a->secret.kind == SECRET_MD5) {
        md5_secret(password, a->user, md5);
        right = texts_equal_const_time(md5, a->secret.text);
    }
    if (!right) {
        scram_salt_of_user(a->user, stored.salt);
        plain_check_scram(password, &stored);
    }
    return right;
}

static enum auth_verdict plain_step(struct auth_in *a, const char *password)
{
    if (password[0] == '\0')
        return in_failed(a, "empty password");
    if (!plain_check(a, password))
        return in_failed(a, a->mock ? "no such user, or no password for it" : "wrong password");
    a->password = mem_strdup(password);
    return AUTH_PASSED;
}

static enum auth_verdict md5_step(struct auth_in *a, const char *answer)
{
    char secret[36], expected[36];

    if (a->secret.kind == SECRET_MD5)
        memcpy(secret, a->secret.text, sizeof secret);
    else
        md5_secret(a->secret.kind == SECRET_PLAIN ? a->secret.text : "", a->user, secret);
    md5_answer(secret, a->md5_salt, expected);
    bool right = texts_equal_const_time(answer, expected);
    explicit_bzero(secret, sizeof secret);
    if (a->mock)
        return in_failed(a, "no such user, or no password for it");
    return right ? AUTH_PASSED : in_failed(a, "wrong password");
}

/* SASLInitialResponse: mechanism, length (-1: none), that many bytes. */
static bool initial_response_parse(struct span body, const char **mechanism, struct span *message)
{
    struct reader r = reader_of(body.ptr, body.len);

    *mechanism = reader_cstr(&r);
    uint32_t len = reader_u32(&r);
    *message = len == UINT32_MAX ? span_of(NULL, 0) : reader_bytes(&r, len);
    return reader_done(&r);
}

static enum auth_verdict scram_passed(struct auth_in *a)
{
    /* Keys from a plain secret fit only the salt that we made up ourselves: no server would take them. */
    a->has_learnt = a->secret.kind == SECRET_SCRAM;
    if (a->has_learnt)
        a->learnt = a->scram.learnt;
    return AUTH_PASSED;
}

static enum auth_verdict scram_in_step(struct auth_in *a, struct span body, struct buf *out)
{
    const char *mechanism = NULL;
    struct span message = body;
    char *reply = NULL;

    if (!a->scram_begun && !initial_response_parse(body, &mechanism, &message))
        return in_broken(a, "malformed SASLInitialResponse");
    a->scram_begun = true;
    enum scram_step step = scram_server_step(&a->scram, mechanism, message, &reply, &a->why);
    if (reply != NULL)
        msg_auth(out, step == SCRAM_OK ? CODE_SASL_FINAL : CODE_SASL_CONTINUE, reply, strlen(reply));
    free(reply);
    switch (step) {
    case SCRAM_CONTINUE:
        return AUTH_MORE;
    case SCRAM_OK:
        return scram_passed(a);
    case SCRAM_FAIL:
        return AUTH_FAILED;
    default:
        return AUTH_BROKEN;
    }
}

enum auth_verdict auth_in_step(struct auth_in *a, struct span body, struct buf *out)
{
    struct reader r = reader_of(body.ptr, body.len);

    if (a->scram_active)
        return scram_in_step(a, body, out);
    const char *text = reader_cstr(&r);
    if (!reader_done(&r))
        return in_broken(a, "malformed PasswordMessage");
    return a->method == AUTH_PLAIN ? plain_step(a, text) : md5_step(a, text);
}

void auth_in_free(struct auth_in *a)
{
    free(a->user);
    secret_free(&a->secret);
    if (a->scram_active)
        scram_server_free(&a->scram);
    text_wipe(a->password);
    explicit_bzero(a, sizeof *a);
}

/* --- we prove ourselves to a server --- */

void auth_out_init(struct auth_out *a, const char *user, const struct secret *secret, const struct scram_keys *keys)
{
    memset(a, 0, sizeof *a);
    a->user = mem_strdup(user);
    secret_copy(&a->secret, secret);
    if (keys != NULL) {
        a->has_keys = true;
        a->keys = *keys;
    }
}

void auth_out_free(struct auth_out *a)
{
    free(a->user);
    secret_free(&a->secret);
    if (a->scram_active)
        scram_client_free(&a->scram);
    explicit_bzero(a, sizeof *a);
}

PRINTF_LIKE(3, 4)
static enum auth_verdict out_end(struct auth_out *a, enum auth_verdict verdict, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(a->why, sizeof a->why, fmt, args);
    va_end(args);
    return verdict;
}

/* No secret of ours answers what the server asks. The user name comes last: it may be long enough to be cut. */
static enum auth_verdict out_no_secret(struct auth_out *a, const char *asked)
{
    switch (a->secret.kind) {
    case SECRET_NONE:
        if (a->has_keys)
            return out_end(a, AUTH_FAILED, "server asks for %s, and only SCRAM keys are known: user \"%s\"", asked,
                           a->user);
        return out_end(a, AUTH_FAILED,
                       "server asks for %s, and no password is known (auth_file, password=): user \"%s\"", asked,
                       a->user);
    case SECRET_MD5:
        return out_end(a, AUTH_FAILED, "server asks for %s, and only an md5 hash is known: user \"%s\"", asked,
                       a->user);
    default:
        return out_end(a, AUTH_FAILED, "server asks for %s, and only a SCRAM secret is known: user \"%s\"", asked,
                       a->user);
    }
}

static enum auth_verdict out_cleartext(struct auth_out *a, struct buf *out)
{
    if (a->secret.kind != SECRET_PLAIN)
        return out_no_secret(a, "a cleartext password");
    msg_password(out, a->secret.text, strlen(a->secret.text) + 1);
    return AUTH_MORE;
}

static enum auth_verdict out_md5(struct auth_out *a, struct span salt, struct buf *out)
{
    char secret[36], answer[36];

    if (a->secret.kind == SECRET_PLAIN)
        md5_secret(a->secret.text, a->user, secret);
    else if (a->secret.kind == SECRET_MD5)
        memcpy(secret, a->secret.text, sizeof secret);
    else
        return out_no_secret(a, "an md5 password");
    md5_answer(secret, salt.ptr, answer);
    msg_password(out, answer, sizeof answer);
    explicit_bzero(secret, sizeof secret);
    return AUTH_MORE;
}

/* Keys that were given, or that a client's login taught us for this very secret. */
static bool out_find_keys(struct auth_out *a)
{
    struct scram_secret stored;

    if (a->has_keys)
        return true;
    if (a->secret.kind == SECRET_SCRAM && scram_secret_parse(a->secret.text, &stored))
        a->has_keys = learnt_keys_get(a->user, &stored, &a->keys);
    return a->has_keys;
}

static void initial_response_put(struct buf *out, const char *mechanism, const char *message)
{
    struct buf body = {0};
    size_t len = strlen(message);

    buf_put_cstr(&body, mechanism);
    buf_put_u32(&body, (uint32_t)len);
    buf_put(&body, message, len);
    msg_password(out, buf_head(&body), buf_used(&body));
    buf_free(&body);
}

static enum auth_verdict out_sasl(struct auth_out *a, struct span mechanisms, const uint8_t *endpoint,
                                  size_t endpoint_len, struct buf *out)
{
    char *message = NULL;

    if (a->scram_active)
        return out_end(a, AUTH_BROKEN, "server began SASL authentication twice");
    /* A password is good for any secret that the server may have; keys only for one. */
    if (a->secret.kind == SECRET_PLAIN)
        scram_client_init(&a->scram, a->secret.text, NULL);
    else if (out_find_keys(a))
        scram_client_init(&a->scram, NULL, &a->keys);
    else if (a->secret.kind == SECRET_SCRAM)
        return out_end(
            a, AUTH_FAILED,
            "server asks for SCRAM, and a SCRAM secret is enough only after a login of its user here: user \"%s\"",
            a->user);
    else
        return out_no_secret(a, "SCRAM");
    a->scram_active = true;
    const char *mechanism = scram_client_first(&a->scram, mechanisms, endpoint, endpoint_len, &message);
    if (mechanism == NULL)
        return out_end(a, AUTH_FAILED, "server offers no SASL mechanism that is known here");
    initial_response_put(out, mechanism, message);
    free(message);
    return AUTH_MORE;
}

static enum auth_verdict out_sasl_continue(struct auth_out *a, struct span text, struct buf *out)
{
    const char *why = NULL;
    char *message = NULL;

    if (!a->scram_active)
        return out_end(a, AUTH_BROKEN, "server went on with SASL authentication that it never began");
    if (scram_client_continue(&a->scram, text, &message, &why) != SCRAM_CONTINUE)
        return out_end(a, AUTH_BROKEN, "%s", why);
    msg_password(out, message, strlen(message));
    free(message);
    return AUTH_MORE;
}

static enum auth_verdict out_sasl_final(struct auth_out *a, struct span text)
{
    const char *why = NULL;

    if (!a->scram_active)
        return out_end(a, AUTH_BROKEN, "server ended SASL authentication that it never began");
    switch (scram_client_final(&a->scram, text, &why)) {
    case SCRAM_OK:
        a->scram_done = true;
        return AUTH_MORE;
    case SCRAM_FAIL:
        return out_end(a, AUTH_FAILED, "%s", why);
    default:
        return out_end(a, AUTH_BROKEN, "%s", why);
    }
}

static enum auth_verdict out_ok(struct auth_out *a)
{
    if (a->scram_active && !a->scram_done)
        return out_end(a, AUTH_FAILED, "server let us in without proving that it knows the password");
    return AUTH_PASSED;
}

static enum auth_verdict out_unsupported(struct auth_out *a, uint32_t code)
{
    switch (code) {
    case CODE_KERBEROS_V5:
        return out_end(a, AUTH_FAILED, "server asks for Kerberos V5 authentication, which is not supported");
    case CODE_SCM:
        return out_end(a, AUTH_FAILED, "server asks for SCM credentials, which are not supported");
    case CODE_GSS:
    case CODE_GSS_CONTINUE:
        return out_end(a, AUTH_FAILED, "server asks for GSSAPI authentication, which is not supported");
    case CODE_SSPI:
        return out_end(a, AUTH_FAILED, "server asks for SSPI authentication, which is not supported");
    default:
        return out_end(a, AUTH_BROKEN, "server asks for unknown authentication %u", code);
    }
}

enum auth_verdict auth_out_step(struct auth_out *a, struct span body, const uint8_t *endpoint, size_t endpoint_len,
                                struct buf *out)
{
    struct reader r = reader_of(body.ptr, body.len);
    uint32_t code = reader_u32(&r);
    struct span rest = span_of(r.at, reader_left(&r));
    bool exact = code == CODE_MD5 ? rest.len == 4 : rest.len == 0 || code > CODE_MD5;

    if (r.bad || !exact)
        return out_end(a, AUTH_BROKEN, "malformed Authentication message");
    switch (code) {
    case CODE_OK:
        return out_ok(a);
    case CODE_CLEARTEXT:
        return out_cleartext(a, out);
    case CODE_MD5:
        return out_md5(a, rest, out);
    case CODE_SASL:
        return out_sasl(a, rest, endpoint, endpoint_len, out);
    case CODE_SASL_CONTINUE:
        return out_sasl_continue(a, rest, out);
    case CODE_SASL_FINAL:
        return out_sasl_final(a, rest);
    default:
        return out_unsupported(a, code);
    }
}

/* --- keys that clients' logins taught --- */

#define LEARNT_BUCKETS 1024
#define LEARNT_PER_BUCKET 32 /* the oldest goes: it is learnt again at the next login */

struct learnt {
    struct list node;
    char *user; /* owned */
    uint8_t stored_key[SCRAM_KEY];
    struct scram_keys keys;
};

static struct list learnt[LEARNT_BUCKETS]; /* newest first; next is NULL where nothing was ever put */
static pthread_mutex_t learnt_lock = PTHREAD_MUTEX_INITIALIZER;

/* StoredKey is a hash already: any of its bits will do. */
static struct list *learnt_bucket(const struct scram_secret *secret)
{
    struct list *head = &learnt[be16_at(secret->stored_key) % LEARNT_BUCKETS];

    if (head->next == NULL)
        list_init(head);
    return head;
}

static struct learnt *learnt_find(struct list *head, const char *user, const struct scram_secret *secret)
{
    LIST_FOR_EACH (it, head) {
        struct learnt *l = LIST_ENTRY(it, struct learnt, node);

        if (memcmp(l->stored_key, secret->stored_key, SCRAM_KEY) == 0 && strcmp(l->user, user) == 0)
            return l;
    }
    return NULL;
}

static void learnt_free(struct learnt *l)
{
    list_del(&l->node);
    free(l->user);
    explicit_bzero(l, sizeof *l);
    free(l);
}

static void learnt_trim(struct list *head)
{
    size_t count = 0;

    LIST_FOR_EACH_SAFE (it, head) {
        if (++count > LEARNT_PER_BUCKET)
            learnt_free(LIST_ENTRY(it, struct learnt, node));
    }
}

void learnt_keys_put(const char *user, const struct scram_secret *secret, const struct scram_keys *keys)
{
    pthread_mutex_lock(&learnt_lock);
    struct list *head = learnt_bucket(secret);
    struct learnt *l = learnt_find(head, user, secret);
    if (l == NULL) {
        l = mem_zalloc(sizeof *l);
        l->user = mem_strdup(user);
        memcpy(l->stored_key, secret->stored_key, SCRAM_KEY);
        list_push_front(head, &l->node);
        learnt_trim(head);
    }
    l->keys = *keys;
    pthread_mutex_unlock(&learnt_lock);
}

bool learnt_keys_get(const char *user, const struct scram_secret *secret, struct scram_keys *keys)
{
    pthread_mutex_lock(&learnt_lock);
    const struct learnt *l = learnt_find(learnt_bucket(secret), user, secret);
    if (l != NULL)
        *keys = l->keys;
    pthread_mutex_unlock(&learnt_lock);
    return l != NULL;
}
