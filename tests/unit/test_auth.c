/*
 * test_auth.c: the authentication dialogues: auth_in against auth_out in memory for every method and kind of secret,
 * what neither side may accept, and the store of learnt keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pool/auth.h"
#include "pool/scram_keys.h"

#include <pthread.h>
#include <stdio.h>

#define ITERATIONS 16 /* few: what is tested does not depend on it */
#define USER "joe"

static const uint8_t endpoint[32] = {7, 7, 7};

/* --- helpers --- */

/* The body of the only message in b, whose type must be `type`. */
static struct span body_of(const struct buf *b, uint8_t type)
{
    assert_true(buf_used(b) >= 5);
    assert_int_equal(buf_head(b)[0], type);
    assert_int_equal(be32_at(buf_head(b) + 1) + 1, buf_used(b));
    return span_of(buf_head(b) + 5, buf_used(b) - 5);
}

static uint32_t code_of(const struct buf *b)
{
    return be32_at(body_of(b, 'R').ptr);
}

/* PostgreSQL's text of a SCRAM secret, owned by the caller. */
static char *scram_text(const char *password)
{
    char salt[BASE64_SIZE(16)], stored[BASE64_SIZE(SCRAM_KEY)], server[BASE64_SIZE(SCRAM_KEY)];
    struct scram_secret s;

    scram_secret_build(password, (const uint8_t *)"saltsaltsaltsalt", 16, ITERATIONS, &s, NULL);
    base64_encode(s.salt, s.salt_len, salt);
    base64_encode(s.stored_key, SCRAM_KEY, stored);
    base64_encode(s.server_key, SCRAM_KEY, server);
    return mem_printf("SCRAM-SHA-256$%d:%s$%s:%s", ITERATIONS, salt, stored, server);
}

/* A secret of that kind for the password. */
static struct secret secret_of(enum secret_kind kind, const char *password)
{
    struct secret s;
    char md5[36];

    if (kind == SECRET_MD5) {
        md5_secret(password, USER, md5);
        secret_set(&s, md5);
    } else if (kind == SECRET_SCRAM) {
        char *text = scram_text(password);

        secret_set(&s, text);
        free(text);
    } else {
        secret_set(&s, kind == SECRET_PLAIN ? password : NULL);
    }
    assert_int_equal(s.kind, kind);
    return s;
}

struct dialogue {
    enum auth_method method;
    enum secret_kind in_kind, out_kind;
    const char *in_password, *out_password;
    bool tls;
    const struct scram_keys *out_keys;
    enum secret_kind decoy;
};

struct verdicts {
    enum auth_verdict in, out;
    uint32_t first_code; /* of the first Authentication message */
    bool in_has_password, in_has_learnt;
    struct scram_keys learnt;
    char out_why[160];
};

/* auth_out answers until one side has ended; the caller of auth_in would then send AuthenticationOk. */
static void dialogue_turns(struct auth_in *in, struct auth_out *out, const struct dialogue *d, struct buf *to_out,
                           struct verdicts *v)
{
    static const uint8_t ok[4];
    struct buf to_in = {0};
    size_t endpoint_len = d->tls ? sizeof endpoint : 0;

    while (v->in == AUTH_MORE && v->out == AUTH_MORE) {
        v->out = auth_out_step(out, body_of(to_out, 'R'), endpoint, endpoint_len, &to_in);
        buf_consume(to_out, buf_used(to_out));
        if (v->out == AUTH_MORE)
            v->in = auth_in_step(in, body_of(&to_in, 'p'), to_out);
        buf_consume(&to_in, buf_used(&to_in));
    }
    if (v->in == AUTH_PASSED && buf_used(to_out) > 0)
        v->out = auth_out_step(out, body_of(to_out, 'R'), endpoint, endpoint_len, &to_in);
    if (v->in == AUTH_PASSED && v->out == AUTH_MORE)
        v->out = auth_out_step(out, span_of(ok, sizeof ok), endpoint, endpoint_len, &to_in);
    buf_free(&to_in);
}

static struct verdicts dialogue_run(const struct dialogue *d)
{
    struct secret in_secret = secret_of(d->in_kind, d->in_password),
                  out_secret = secret_of(d->out_kind, d->out_password);
    struct verdicts v = {.out = AUTH_MORE};
    struct buf to_out = {0};
    struct auth_out out;
    struct auth_in in;

    auth_out_init(&out, USER, &out_secret, d->out_keys);
    v.in = auth_in_begin(&in, d->method, USER, &in_secret, d->decoy, ITERATIONS, d->tls, endpoint,
                         d->tls ? sizeof endpoint : 0, &to_out);
    v.first_code = buf_used(&to_out) > 0 ? code_of(&to_out) : 0;
    dialogue_turns(&in, &out, d, &to_out, &v);
    v.in_has_password = in.password != NULL;
    v.in_has_learnt = in.has_learnt;
    v.learnt = in.learnt;
    assert_true((in.why != NULL) == (v.in == AUTH_FAILED || v.in == AUTH_BROKEN));
    snprintf(v.out_why, sizeof v.out_why, "%s", out.why);
    auth_in_free(&in);
    auth_out_free(&out);
    secret_free(&in_secret);
    secret_free(&out_secret);
    buf_free(&to_out);
    return v;
}

/* --- secrets --- */

static void test_secret_kinds(void **state)
{
    static const struct {
        const char *text;
        enum secret_kind kind;
    } cases[] = {
        {NULL, SECRET_NONE},
        {"", SECRET_NONE},
        {"secret", SECRET_PLAIN},
        {"md5", SECRET_PLAIN},
        {"md50123456789abcdef0123456789abcdef", SECRET_MD5},
        {"md50123456789abcdef0123456789abcdeg", SECRET_PLAIN},
        {"md50123456789ABCDEF0123456789abcdef", SECRET_PLAIN},
        {"md50123456789abcdef0123456789abcdef0", SECRET_PLAIN},
        {"SCRAM-SHA-256$4096:AAAA$x:y", SECRET_PLAIN},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct secret s;

        secret_set(&s, cases[i].text);
        assert_int_equal(s.kind, cases[i].kind);
        if (s.kind == SECRET_NONE)
            assert_null(s.text);
        else
            assert_string_equal(s.text, cases[i].text);
        secret_free(&s);
        assert_int_equal(s.kind, SECRET_NONE);
    }
}

/* --- both sides --- */

#define OK_CODE 0
#define CLEARTEXT 3
#define MD5 5
#define SASL 10

/* Every method, every kind of secret on both sides, right and wrong password. */
static void test_every_combination(void **state)
{
    static const struct {
        enum auth_method method;
        enum secret_kind in, out;
        uint32_t code;
        bool out_can; /* the connecting side has what is asked for */
        bool in_can;  /* the accepting side can check it */
    } cases[] = {
        {AUTH_PLAIN, SECRET_PLAIN, SECRET_PLAIN, CLEARTEXT, true, true},
        {AUTH_PLAIN, SECRET_MD5, SECRET_PLAIN, CLEARTEXT, true, true},
        {AUTH_PLAIN, SECRET_SCRAM, SECRET_PLAIN, CLEARTEXT, true, true},
        {AUTH_PLAIN, SECRET_NONE, SECRET_PLAIN, CLEARTEXT, true, false},
        {AUTH_PLAIN, SECRET_PLAIN, SECRET_MD5, CLEARTEXT, false, true},
        {AUTH_PLAIN, SECRET_PLAIN, SECRET_SCRAM, CLEARTEXT, false, true},
        {AUTH_PLAIN, SECRET_PLAIN, SECRET_NONE, CLEARTEXT, false, true},
        {AUTH_MD5, SECRET_PLAIN, SECRET_PLAIN, MD5, true, true},
        {AUTH_MD5, SECRET_PLAIN, SECRET_MD5, MD5, true, true},
        {AUTH_MD5, SECRET_MD5, SECRET_PLAIN, MD5, true, true},
        {AUTH_MD5, SECRET_MD5, SECRET_MD5, MD5, true, true},
        {AUTH_MD5, SECRET_NONE, SECRET_PLAIN, MD5, true, false},
        {AUTH_MD5, SECRET_MD5, SECRET_SCRAM, MD5, false, true},
        {AUTH_MD5, SECRET_MD5, SECRET_NONE, MD5, false, true},
        {AUTH_MD5, SECRET_SCRAM, SECRET_PLAIN, SASL, true, true},
        {AUTH_SCRAM, SECRET_PLAIN, SECRET_PLAIN, SASL, true, true},
        {AUTH_SCRAM, SECRET_SCRAM, SECRET_PLAIN, SASL, true, true},
        {AUTH_SCRAM, SECRET_MD5, SECRET_PLAIN, SASL, true, false},
        {AUTH_SCRAM, SECRET_NONE, SECRET_PLAIN, SASL, true, false},
        {AUTH_SCRAM, SECRET_PLAIN, SECRET_MD5, SASL, false, true},
        {AUTH_SCRAM, SECRET_PLAIN, SECRET_NONE, SASL, false, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases) * 4; i++) {
        bool tls = (i & 1) != 0, wrong = (i & 2) != 0;
        struct dialogue d = {
            cases[i / 4].method, cases[i / 4].in, cases[i / 4].out, "pw", wrong ? "Pw" : "pw", tls, NULL, SECRET_NONE};
        struct verdicts v = dialogue_run(&d);

        assert_int_equal(v.first_code, cases[i / 4].code);
        if (!cases[i / 4].out_can) {
            assert_int_equal(v.out, AUTH_FAILED);
            assert_non_null(strstr(v.out_why, "user \"joe\""));
        } else if (wrong || !cases[i / 4].in_can) {
            assert_int_equal(v.in, AUTH_FAILED);
            assert_false(v.in_has_password || v.in_has_learnt);
        } else {
            assert_int_equal(v.in, AUTH_PASSED);
            assert_int_equal(v.out, AUTH_PASSED);
            assert_int_equal(v.in_has_password, d.method == AUTH_PLAIN);
            assert_int_equal(v.in_has_learnt, v.first_code == SASL && d.in_kind == SECRET_SCRAM);
        }
    }
}

static void test_trust(void **state)
{
    struct verdicts v = dialogue_run(&(struct dialogue){.method = AUTH_TRUST});

    (void)state;
    assert_int_equal(v.in, AUTH_PASSED);
    assert_int_equal(v.out, AUTH_PASSED);
    assert_int_equal(v.first_code, OK_CODE);
}

static void test_no_dialogue(void **state)
{
    static const enum auth_method methods[] = {AUTH_CERT, AUTH_HBA, AUTH_PEER, AUTH_REJECT, AUTH_PAM, AUTH_LDAP};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        struct buf out = {0};
        struct auth_in in;

        assert_int_equal(auth_in_begin(&in, methods[i], USER, NULL, SECRET_NONE, ITERATIONS, false, NULL, 0, &out),
                         AUTH_FAILED);
        assert_int_equal(buf_used(&out), 0);
        auth_in_free(&in);
        buf_free(&out);
    }
}

/* The offer holds -PLUS only where our certificate is known. */
static void test_sasl_offer(void **state)
{
    static const struct {
        bool tls;
        size_t endpoint_len;
        const char *list;
        size_t len;
    } cases[] = {
        {false, 0, "SCRAM-SHA-256\0", 15},
        {true, 0, "SCRAM-SHA-256\0", 15},
        {true, 32, "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", 34},
    };
    struct secret secret = secret_of(SECRET_PLAIN, "pw");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = {0};
        struct auth_in in;

        assert_int_equal(auth_in_begin(&in, AUTH_SCRAM, USER, &secret, SECRET_NONE, ITERATIONS, cases[i].tls, endpoint,
                                       cases[i].endpoint_len, &out),
                         AUTH_MORE);
        assert_int_equal(buf_used(&out), 9 + cases[i].len);
        assert_memory_equal(buf_head(&out) + 9, cases[i].list, cases[i].len);
        auth_in_free(&in);
        buf_free(&out);
    }
    secret_free(&secret);
}

/* --- a SCRAM secret is enough, once a client has logged in --- */

static void test_learnt_keys_log_in(void **state)
{
    struct dialogue by_secret = {AUTH_SCRAM, SECRET_SCRAM, SECRET_SCRAM, "learn me",
                                 "learn me", false,        NULL,         SECRET_NONE};
    struct dialogue by_password = {AUTH_SCRAM, SECRET_SCRAM, SECRET_PLAIN, "learn me",
                                   "learn me", false,        NULL,         SECRET_NONE};
    struct verdicts v = dialogue_run(&by_secret);
    struct scram_secret stored;

    (void)state;
    assert_int_equal(v.out, AUTH_FAILED); /* nobody has logged in yet */
    assert_non_null(strstr(v.out_why, "only after a login of its user"));
    v = dialogue_run(&by_password);
    assert_true(v.in_has_learnt);
    struct secret secret = secret_of(SECRET_SCRAM, "learn me");
    assert_true(scram_secret_parse(secret.text, &stored));
    learnt_keys_put(USER, &stored, &v.learnt);
    secret_free(&secret);
    v = dialogue_run(&by_secret);
    assert_int_equal(v.in, AUTH_PASSED);
    assert_int_equal(v.out, AUTH_PASSED);
    assert_true(v.in_has_learnt);
    by_secret.out_kind = SECRET_NONE; /* keys given by the caller need no secret beside them */
    by_secret.out_keys = &v.learnt;
    v = dialogue_run(&by_secret);
    assert_int_equal(v.out, AUTH_PASSED);
}

static void test_learnt_keys_store(void **state)
{
    struct scram_secret a = {.stored_key = {1}}, b = {.stored_key = {1, 0, 2}};
    struct scram_keys keys = {.client_key = {42}}, found = {0};

    (void)state;
    assert_false(learnt_keys_get("u", &a, &found));
    learnt_keys_put("u", &a, &keys);
    assert_true(learnt_keys_get("u", &a, &found));
    assert_memory_equal(&found, &keys, sizeof keys);
    assert_false(learnt_keys_get("v", &a, &found));
    assert_false(learnt_keys_get("u", &b, &found)); /* the same bucket */
    keys.client_key[0] = 43;
    learnt_keys_put("u", &a, &keys);
    assert_true(learnt_keys_get("u", &a, &found));
    assert_int_equal(found.client_key[0], 43);
    for (int i = 0; i < 100; i++) { /* the store is bounded: others of the bucket push the oldest out */
        b.stored_key[3] = (uint8_t)i;
        learnt_keys_put("u", &b, &keys);
    }
    assert_true(learnt_keys_get("u", &b, &found));
    assert_false(learnt_keys_get("u", &a, &found));
}

static void *learn_much(void *arg)
{
    struct scram_secret s = {.stored_key = {0}};
    struct scram_keys keys = {.client_key = {0}};
    size_t wrong = 0;

    for (int i = 0; i < 2000; i++) {
        s.stored_key[1] = keys.client_key[0] = (uint8_t)i;
        learnt_keys_put(arg, &s, &keys);
        wrong += learnt_keys_get(arg, &s, &keys) && keys.client_key[0] != (uint8_t)i;
    }
    return (void *)wrong;
}

static void test_learnt_keys_threads(void **state)
{
    static char users[4][2] = {"a", "b", "c", "d"};
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, learn_much, users[i]), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *wrong = NULL;

        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

/* --- what a client may not do --- */

static enum auth_verdict in_step_once(enum auth_method method, enum secret_kind kind, struct span body,
                                      const char **why)
{
    struct secret secret = secret_of(kind, "pw");
    struct buf out = {0};
    struct auth_in in;

    assert_int_equal(auth_in_begin(&in, method, USER, &secret, SECRET_NONE, ITERATIONS, false, NULL, 0, &out),
                     AUTH_MORE);
    buf_consume(&out, buf_used(&out));
    enum auth_verdict v = auth_in_step(&in, body, &out);
    *why = in.why;
    auth_in_free(&in);
    secret_free(&secret);
    buf_free(&out);
    return v;
}

static void test_in_passwords(void **state)
{
    const char *why;

    (void)state;
    assert_int_equal(in_step_once(AUTH_PLAIN, SECRET_PLAIN, span_of("pw", 3), &why), AUTH_PASSED);
    assert_int_equal(in_step_once(AUTH_PLAIN, SECRET_PLAIN, span_of("pw", 2), &why), AUTH_BROKEN);
    assert_int_equal(in_step_once(AUTH_PLAIN, SECRET_PLAIN, span_of("pw\0", 4), &why), AUTH_BROKEN);
    assert_string_equal(why, "malformed PasswordMessage");
    assert_int_equal(in_step_once(AUTH_PLAIN, SECRET_PLAIN, span_of("", 0), &why), AUTH_BROKEN);
    assert_int_equal(in_step_once(AUTH_PLAIN, SECRET_PLAIN, span_of("", 1), &why), AUTH_FAILED);
    assert_string_equal(why, "empty password");
    assert_int_equal(in_step_once(AUTH_PLAIN, SECRET_NONE, span_of("", 1), &why), AUTH_FAILED);
    assert_int_equal(in_step_once(AUTH_MD5, SECRET_NONE, span_of("", 1), &why), AUTH_FAILED);
    assert_int_equal(in_step_once(AUTH_MD5, SECRET_PLAIN, span_of("pw", 3), &why), AUTH_FAILED);
    assert_string_equal(why, "wrong password");
    assert_int_equal(in_step_once(AUTH_MD5, SECRET_PLAIN, span_of("pw", 2), &why), AUTH_BROKEN);
}

/* A stored hash is no password: who stole the file may not log in with its text. */
static void test_in_hash_is_no_password(void **state)
{
    static const enum secret_kind kinds[] = {SECRET_MD5, SECRET_SCRAM};
    const char *why;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct secret s = secret_of(kinds[i], "pw");

        assert_int_equal(in_step_once(AUTH_PLAIN, kinds[i], span_of(s.text, strlen(s.text) + 1), &why), AUTH_FAILED);
        secret_free(&s);
    }
}

static void test_in_sasl_broken(void **state)
{
    static const struct {
        const char *body;
        size_t len;
    } cases[] = {
        {"", 0},
        {"SCRAM-SHA-256", 13},                            /* no NUL */
        {"SCRAM-SHA-256\0\0\0", 16},                      /* length cut short */
        {"SCRAM-SHA-256\0\0\0\0\x09n,,n=,r=", 26},        /* data cut short */
        {"SCRAM-SHA-256\0\0\0\0\x08n,,n=,r=x", 27},       /* data too long */
        {"SCRAM-SHA-256\0\0\0\0\0", 18},                  /* empty */
        {"SCRAM-SHA-256\0\x7f\xff\xff\xffn,,n=,r=x", 27}, /* absurd length */
        {"SCRAM-SHA-256\0\xff\xff\xff\xffx", 19},         /* none, and yet something */
        {"SCRAM-SHA-256-PLUS\0\0\0\0\x09n,,n=,r=x", 32},  /* not offered */
        {"PLAIN\0\0\0\0\x09n,,n=,r=x", 19},
    };
    const char *why;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(in_step_once(AUTH_SCRAM, SECRET_SCRAM, span_of(cases[i].body, cases[i].len), &why),
                         AUTH_BROKEN);
        assert_non_null(why);
    }
    assert_int_equal(in_step_once(AUTH_SCRAM, SECRET_SCRAM, span_of("SCRAM-SHA-256\0\xff\xff\xff\xff", 18), &why),
                     AUTH_MORE);
    assert_int_equal(in_step_once(AUTH_SCRAM, SECRET_SCRAM, span_of("SCRAM-SHA-256\0\0\0\0\x09n,,n=,r=x", 27), &why),
                     AUTH_MORE);
}

/* A user that does not exist is asked what one with a secret of the decoy's kind would be, and is refused the same. */
static void test_in_decoy_is_asked_the_same(void **state)
{
    static const enum secret_kind kinds[] = {SECRET_PLAIN, SECRET_MD5, SECRET_SCRAM};
    static const enum auth_method methods[] = {AUTH_PLAIN, AUTH_MD5, AUTH_SCRAM};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds) * ARRAY_LEN(methods); i++) {
        enum secret_kind kind = kinds[i / ARRAY_LEN(methods)];
        struct dialogue known = {.method = methods[i % ARRAY_LEN(methods)],
                                 .in_kind = kind,
                                 .in_password = "right",
                                 .out_kind = SECRET_PLAIN,
                                 .out_password = "wrong"};
        struct dialogue unknown = known;

        unknown.in_kind = SECRET_NONE;
        unknown.decoy = kind;
        struct verdicts a = dialogue_run(&known), b = dialogue_run(&unknown);
        assert_int_equal(a.in, AUTH_FAILED);
        assert_int_equal(b.in, AUTH_FAILED);
        assert_int_equal(a.first_code, b.first_code);
    }
}

/* The salt of a user that does not exist, and of one with a plain secret, is the same at each try. */
static void salt_of(enum secret_kind kind, const char *user, char salt[64])
{
    static const char first[] = "SCRAM-SHA-256\0\0\0\0\x09n,,n=,r=x";
    struct secret secret = secret_of(kind, "pw");
    struct buf out = {0};
    struct auth_in in;

    assert_int_equal(auth_in_begin(&in, AUTH_SCRAM, user, &secret, SECRET_NONE, ITERATIONS, false, NULL, 0, &out),
                     AUTH_MORE);
    buf_consume(&out, buf_used(&out));
    assert_int_equal(auth_in_step(&in, span_of(first, sizeof first - 1), &out), AUTH_MORE);
    const char *text = (const char *)body_of(&out, 'R').ptr + 4;
    assert_int_equal(sscanf(text, "r=%*[^,],s=%63[^,]", salt), 1);
    auth_in_free(&in);
    secret_free(&secret);
    buf_free(&out);
}

static void test_in_salt_tells_nothing(void **state)
{
    char none[64], again[64], plain[64], other[64];

    (void)state;
    salt_of(SECRET_NONE, "u", none);
    salt_of(SECRET_NONE, "u", again);
    salt_of(SECRET_PLAIN, "u", plain);
    salt_of(SECRET_NONE, "w", other);
    assert_string_equal(none, again);
    assert_string_equal(none, plain);
    assert_string_not_equal(none, other);
}

/* --- what a server may not do --- */

static enum auth_verdict out_step(struct auth_out *a, const char *body, size_t len)
{
    struct buf out = {0};
    enum auth_verdict v = auth_out_step(a, span_of(body, len), NULL, 0, &out);

    assert_true((buf_used(&out) > 0) == (v == AUTH_MORE));
    buf_free(&out);
    return v;
}

static void test_out_requests(void **state)
{
    static const struct {
        const char *body;
        size_t len;
        enum auth_verdict verdict;
        const char *why;
    } cases[] = {
        {"\0\0\0\0", 4, AUTH_PASSED, ""},
        {"\0\0\0", 3, AUTH_BROKEN, "malformed Authentication message"},
        {"\0\0\0\0x", 5, AUTH_BROKEN, "malformed Authentication message"},
        {"\0\0\0\x03", 4, AUTH_MORE, ""},
        {"\0\0\0\x03x", 5, AUTH_BROKEN, "malformed Authentication message"},
        {"\0\0\0\x05"
         "1234",
         8, AUTH_MORE, ""},
        {"\0\0\0\x05"
         "123",
         7, AUTH_BROKEN, "malformed Authentication message"},
        {"\0\0\0\x05"
         "12345",
         9, AUTH_BROKEN, "malformed Authentication message"},
        {"\0\0\0\x02", 4, AUTH_FAILED, "server asks for Kerberos V5 authentication, which is not supported"},
        {"\0\0\0\x06", 4, AUTH_FAILED, "server asks for SCM credentials, which are not supported"},
        {"\0\0\0\x07", 4, AUTH_FAILED, "server asks for GSSAPI authentication, which is not supported"},
        {"\0\0\0\x08xyz", 7, AUTH_FAILED, "server asks for GSSAPI authentication, which is not supported"},
        {"\0\0\0\x09", 4, AUTH_FAILED, "server asks for SSPI authentication, which is not supported"},
        {"\0\0\0\x0aOAUTHBEARER\0", 17, AUTH_FAILED, "server offers no SASL mechanism that is known here"},
        {"\0\0\0\x0aSCRAM-SHA-256\0", 19, AUTH_MORE, ""},
        {"\0\0\0\x0br=x,s=AAAA,i=1", 19, AUTH_BROKEN, "server went on with SASL authentication that it never began"},
        {"\0\0\0\x0cv=x", 7, AUTH_BROKEN, "server ended SASL authentication that it never began"},
        {"\0\0\0\x63", 4, AUTH_BROKEN, "server asks for unknown authentication 99"},
    };
    struct secret secret = secret_of(SECRET_PLAIN, "pw");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct auth_out a;

        auth_out_init(&a, USER, &secret, NULL);
        assert_int_equal(out_step(&a, cases[i].body, cases[i].len), cases[i].verdict);
        assert_string_equal(a.why, cases[i].why);
        auth_out_free(&a);
    }
    secret_free(&secret);
}

/* A server in the middle that only says Ok has not proved that it knows the password. */
static void test_out_scram_cut_short(void **state)
{
    struct secret secret = secret_of(SECRET_PLAIN, "pw");
    char first[128];

    (void)state;
    for (int steps = 1; steps <= 2; steps++) {
        struct auth_out a;

        auth_out_init(&a, USER, &secret, NULL);
        assert_int_equal(out_step(&a, "\0\0\0\x0aSCRAM-SHA-256\0", 19), AUTH_MORE);
        if (steps == 2) {
            int len = snprintf(first + 4, sizeof first - 4, "r=%sx,s=AAAA,i=1", a.scram.nonce);

            memcpy(first, "\0\0\0\x0b", 4);
            assert_int_equal(out_step(&a, first, 4 + (size_t)len), AUTH_MORE);
        }
        assert_int_equal(out_step(&a, "\0\0\0\0", 4), AUTH_FAILED);
        assert_string_equal(a.why, "server let us in without proving that it knows the password");
        auth_out_free(&a);
    }
    secret_free(&secret);
}

static void test_out_scram_wrong_signature(void **state)
{
    static const char final[] = "\0\0\0\x0cv=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    struct secret secret = secret_of(SECRET_PLAIN, "pw");
    struct auth_out a;
    char first[128];

    (void)state;
    auth_out_init(&a, USER, &secret, NULL);
    assert_int_equal(out_step(&a, "\0\0\0\x0aSCRAM-SHA-256\0", 19), AUTH_MORE);
    int len = snprintf(first + 4, sizeof first - 4, "r=%sx,s=AAAA,i=1", a.scram.nonce);
    memcpy(first, "\0\0\0\x0b", 4);
    assert_int_equal(out_step(&a, first, 4 + (size_t)len), AUTH_MORE);
    assert_int_equal(out_step(&a, final, sizeof final - 1), AUTH_FAILED);
    assert_string_equal(a.why, "server's signature is wrong: it does not know the password");
    assert_int_equal(out_step(&a, "\0\0\0\x0aSCRAM-SHA-256\0", 19), AUTH_BROKEN);
    auth_out_free(&a);
    secret_free(&secret);
}

static void test_out_long_user(void **state)
{
    struct auth_out a;
    char user[400];

    (void)state;
    memset(user, 'u', sizeof user - 1);
    user[sizeof user - 1] = '\0';
    auth_out_init(&a, user, NULL, NULL);
    assert_int_equal(out_step(&a, "\0\0\0\x03", 4), AUTH_FAILED);
    assert_non_null(strstr(a.why, "no password is known"));
    assert_int_equal(strlen(a.why), sizeof a.why - 1);
    auth_out_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secret_kinds),
        cmocka_unit_test(test_every_combination),
        cmocka_unit_test(test_trust),
        cmocka_unit_test(test_no_dialogue),
        cmocka_unit_test(test_sasl_offer),
        cmocka_unit_test(test_learnt_keys_log_in),
        cmocka_unit_test(test_learnt_keys_store),
        cmocka_unit_test(test_learnt_keys_threads),
        cmocka_unit_test(test_in_passwords),
        cmocka_unit_test(test_in_hash_is_no_password),
        cmocka_unit_test(test_in_sasl_broken),
        cmocka_unit_test(test_in_decoy_is_asked_the_same),
        cmocka_unit_test(test_in_salt_tells_nothing),
        cmocka_unit_test(test_out_requests),
        cmocka_unit_test(test_out_scram_cut_short),
        cmocka_unit_test(test_out_scram_wrong_signature),
        cmocka_unit_test(test_out_long_user),
    };

    return cmocka_run_group_tests_name("auth", tests, NULL, NULL);
}
