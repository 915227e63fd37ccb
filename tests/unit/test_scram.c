/*
 * test_scram.c: SCRAM's computations against RFC 7677 and PostgreSQL 15, both sides of the exchange against each other,
 * and everything that a hostile peer might change in a message.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pool/scram_keys.h"

#include <pthread.h>
#include <stdio.h>

#define ITERATIONS 16 /* few: what is tested does not depend on it */

static const uint8_t endpoint[32] = {1, 2, 3, 4, 5};
static const uint8_t other_endpoint[32] = {9};

static struct span text_span(const char *text)
{
    return span_of(text, strlen(text));
}

/* --- base64, md5, secrets --- */

static void test_base64(void **state)
{
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    char out[32];
    uint8_t back[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        assert_int_equal(base64_encode(pairs[i][0], strlen(pairs[i][0]), out), strlen(pairs[i][1]));
        assert_string_equal(out, pairs[i][1]);
        assert_int_equal(base64_decode(out, strlen(out), back, sizeof back), strlen(pairs[i][0]));
        assert_memory_equal(back, pairs[i][0], strlen(pairs[i][0]));
    }
}

static void test_base64_all_bytes(void **state)
{
    uint8_t in[256], back[256];
    char out[BASE64_SIZE(256)];

    (void)state;
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 37);
    for (size_t len = 0; len <= sizeof in; len++) {
        size_t text_len = base64_encode(in, len, out);

        assert_int_equal(base64_decode(out, text_len, back, sizeof back), len);
        assert_memory_equal(in, back, len);
    }
}

static void test_base64_strict(void **state)
{
    static const char *const wrong[] = {"Z",    "Zg",   "Zg=",  "Zg==Zg==", "Zm9v\n", "Zm 9", "Z===", "====",
                                        "Zh==", "Zm9=", "Zm9-", "Zm_v",     "=m9v",   "Zm=v", "Zg=a"};
    uint8_t out[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_int_equal(base64_decode(wrong[i], strlen(wrong[i]), out, sizeof out), -1);
    assert_int_equal(base64_decode("Zm9vYmFy", 8, out, 5), -1);
    assert_int_equal(base64_decode("Zm9vYmFy", 8, out, 6), 6);
}

static void test_md5(void **state)
{
    char secret[36], answer[36];

    (void)state;
    md5_secret("secret", "joe", secret);
    assert_string_equal(secret, "md5c59ec932d911ffdf487595b5a2adf973");
    md5_answer(secret, (const uint8_t *)"\x01\x02\x03\x04", answer);
    assert_string_equal(answer, "md5850be429f1fe77df3f603ac424abb440");
}

static void test_random_bytes(void **state)
{
    uint8_t a[32], b[32];

    (void)state;
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
}

#define STORED "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
#define SERVER_KEY "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static void test_secret_parse(void **state)
{
    static const char *const wrong[] = {
        "",
        "SCRAM-SHA-256$",
        "SCRAM-SHA-1$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:" SERVER_KEY,
        "SCRAM-SHA-256$0:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:" SERVER_KEY,
        "SCRAM-SHA-256$-5:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:" SERVER_KEY,
        "SCRAM-SHA-256$4096x:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:" SERVER_KEY,
        "SCRAM-SHA-256$9999999999:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:" SERVER_KEY,
        "SCRAM-SHA-256$4096:$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:" SERVER_KEY,
        STORED,
        STORED SERVER_KEY "x",
        STORED SERVER_KEY ":",
        STORED "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2d==",
    };
    struct scram_secret s;

    (void)state;
    assert_true(scram_secret_parse(STORED SERVER_KEY, &s));
    assert_int_equal(s.iterations, 4096);
    assert_int_equal(s.salt_len, 16);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_false(scram_secret_parse(wrong[i], &s));
}

static void test_secret_build(void **state)
{
    struct scram_secret stored, built;
    struct scram_keys keys;
    uint8_t hash[SCRAM_KEY];

    (void)state;
    assert_true(scram_secret_parse(STORED SERVER_KEY, &stored));
    for (int round = 0; round < 2; round++) { /* the second time the memo answers */
        scram_secret_build("pencil", stored.salt, stored.salt_len, 4096, &built, &keys);
        assert_memory_equal(built.stored_key, stored.stored_key, SCRAM_KEY);
        assert_memory_equal(built.server_key, stored.server_key, SCRAM_KEY);
        scram_sha256(keys.client_key, SCRAM_KEY, hash);
        assert_memory_equal(hash, stored.stored_key, SCRAM_KEY);
    }
    scram_secret_build("Pencil", stored.salt, stored.salt_len, 4096, &built, NULL);
    assert_memory_not_equal(built.stored_key, stored.stored_key, SCRAM_KEY);
    scram_secret_build("pencil", stored.salt, stored.salt_len, 4095, &built, NULL);
    assert_memory_not_equal(built.stored_key, stored.stored_key, SCRAM_KEY);
    scram_secret_build("pencil", stored.salt, stored.salt_len - 1, 4096, &built, NULL);
    assert_memory_not_equal(built.stored_key, stored.stored_key, SCRAM_KEY);
}

/* More passwords than the memo has places, so that they push each other out while others look them up. */
static void *derive_much(void *arg)
{
    struct scram_keys keys, *expected = arg;
    char password[16];
    size_t wrong = 0;

    for (int i = 0; i < 4000; i++) {
        snprintf(password, sizeof password, "pw%d", i % 2000);
        scram_keys_derive(password, (const uint8_t *)"salt", 4, 1, &keys);
        wrong += i % 2000 == 7 && memcmp(&keys, expected, sizeof keys) != 0;
    }
    return (void *)wrong;
}

static void test_memo_threads(void **state)
{
    struct scram_keys expected;
    pthread_t threads[4];

    (void)state;
    scram_keys_derive("pw7", (const uint8_t *)"salt", 4, 1, &expected);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, derive_much, &expected), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *wrong = NULL;

        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
}

/* Secrets that PostgreSQL 15 made of passwords on which SASLprep has something to do, or to refuse. */
static const char *const postgres_made[][2] = {
    {"\x49\x58", /* plain letters */
     "SCRAM-SHA-256$4096:WqjitZFeX03MP9V/38X+9w==$"
     "opBpmgdhLYvRyyG/vxDCCQCEFsUX+KzIOXRl8opBBy8=:wvWWhuctZO74t4K/oLZhzPjBELbyiKb7ibs/yidll1U="},
    {"\xc2\xad\x49\xc2\xad\x58", /* soft hyphens vanish */
     "SCRAM-SHA-256$4096:zZChXiPPCelwAVyba1AA8Q==$"
     "PJllgg8vDnpbP67WTSYalgh6FzhceobciMLo4x958Mk=:AT2TUMFatZiY8hJQqrfymu5HN15+d44/ilyhrp9zcEo="},
    {"\xe2\x85\xa8", /* roman numeral nine */
     "SCRAM-SHA-256$4096:/drjhg+ccZq5u2o6g5KUrA==$"
     "ZB5/y97EFBMFztWmsMQixUFbDbqYQVf+F7ZNLwP3ZA0=:1jQ9kSXGHREk4dTWslSIdpT8Uq2zNXyWNxr471Y7UVY="},
    {"\xc2\xaa", /* feminine ordinal */
     "SCRAM-SHA-256$4096:Pz1/Sfga3vH5L3aOakQ7Yw==$"
     "PV9bn4tfWJxVBpMhC8Q6PpCjD5RKqYObjQKbV/SV/NA=:E9o1GeXbAjbSKFh1r6YM7bpta54yj+E6mr376WnqJ4c="},
    {"\x49\xc2\xa0\x58", /* no-break space */
     "SCRAM-SHA-256$4096:Jiug9OpOgZkyssxPr517Xw==$"
     "k1trj+zxhXinGTgRl+jMZkJLi7ALKSbf5oXpz9CJV4o=:KY00E4mBecjVTyT8Qk/Gk3e2LOOrx6s8D9agkn6bN5Y="},
    {"\x49\xe2\x80\x8b\x58", /* zero width space */
     "SCRAM-SHA-256$4096:JInLXKAx0nYuQ0cDuxb6ig==$"
     "lZ8C0z9wjoV/xWAjEayZFeTdKvSu61LUWDlD03k9C2g=:X+XAJhPLPme10m4aa9NdZGL8xogERWcEwAyvCkWZVbw="},
    {"\xd8\xa7\xe2\x85\xa8", /* right-to-left, then left-to-right */
     "SCRAM-SHA-256$4096:1bKNR+FDz35kHTNMLmEjcQ==$"
     "ekfX/BYYOjV3/aRScaCmGx/Aw9cGKvUB7izdSljY3G4=:h3lQdImsHo4vWIfwQZ0aRBsUCi77zQRd94XmJlJfERM="},
    {"\xd8\xa7\x31", /* right-to-left without its like at the end */
     "SCRAM-SHA-256$4096:ZuV+LEzPGbjWG/ZKPbKzzQ==$"
     "61EWMO6+CaYQvnayCj3HU2Zo/GQ+b54g1XC6OTYS98o=:vU/3bmjvYvjIYAf0DTbDDx2W0FBaToMa/1pN11YjxI8="},
    {"\xd8\xa7\xd9\xa1\xd8\xa8", /* right-to-left, good */
     "SCRAM-SHA-256$4096:sISuiTKG39IE3G0tURcXWQ==$"
     "86H4TsZDKXHnvqikctg1nm682DP9CgT5TIsN8B+RFQ0=:+Kl2OpcgXf7RSKcLKBX91IXokkMaqJLdYPU6XK2rES8="},
    {"\xc8\xa1\xe2\x85\xa8", /* unassigned in Unicode 3.2 */
     "SCRAM-SHA-256$4096:Mf0CIknChhHV8fPyoDwWWw==$"
     "y6sggp0QNKEJNg66Ws6lR6Fb3hlwBh/Uia551Q7X11c=:w1af20f0heklay6HxKJsC+S4HL6CdnYs4tmr8r5nx3Y="},
    {"\x61\xcd\x80", /* prohibited before normalisation */
     "SCRAM-SHA-256$4096:RHV1eBBeDDphFNT+vyaOiw==$"
     "3AU53uPmnLVLytLt5oyBykWyQui73R3i5Ietm4xg/OA=:QKE4bC8U3fmRgCI7zYgr74vVN/ecKkxP/V20ZxmzCGE="},
    {"\x61\xcc\x80", /* composed */
     "SCRAM-SHA-256$4096:OBzsn63X/ulbbkOcP8Yj5g==$"
     "LnMdbtJjTwi45xVSNXwdP+yyLVyELz1sNE1XiP2ABrk=:eCpR3Az1kxmQACzbPKsZVkkl/RaEe8o8uR+J7k4TP+k="},
    {"\xef\xb7\xba", /* one character becomes eighteen */
     "SCRAM-SHA-256$4096:XtjuoubhZ+FFihx5QNdX+w==$"
     "1To06h6Rq9QsaF/FEnSRhD4Wjror/yFqSlDmW2lq6hU=:/Frq+klCA/+UADF9ooabvQUcXcE8R51emt4Uu8vulSg="},
    {"\xf0\x9f\x98\x80\xe2\x85\xa8", /* emoji: unassigned */
     "SCRAM-SHA-256$4096:R8kj38BsQ/75FOjkMvysyA==$"
     "PFN2Zo4IQaEU10dQroVO+8Fa3vTM0YsjVZb+OboozlY=:38oElUwsKPaY5GbRKkm8HtbjBn6TfwRY4sljJ/h7/dQ="},
    {"\xc2\xad", /* nothing is left */
     "SCRAM-SHA-256$4096:PrXbz6BaA4+XYWHNComCTg==$"
     "J9YUhFxALlpxeKRnYmhBU+hVpiaOGCiiPMfWw9p2hgw=:2MEPqAnCn8jppAWXLvnb89ZF/qFHBOZOn9SU78P5gBE="},
    {"\xf0\xaf\xa1\xa8", /* corrigendum 4 */
     "SCRAM-SHA-256$4096:OUeAhOPEMWfExNHPH9B3Jw==$"
     "jVH54g44I1Uymj9gpUrfZ2ko8PMBaS8wCf4tH0Kbpng=:NrkUlB4LBVZzcs6uwAWQG8gocjuXW7b/+XpqTE6zWKs="},
    {"\xd7\x90\xe2\x84\xb5", /* right-to-left only after normalisation */
     "SCRAM-SHA-256$4096:hNvXCbM0lcQ2jHiNwRoDlw==$"
     "X+DXrTwZKvO//L56QIeam5FmyBNhzaKoPSZ1NjkjvYM=:l3FbRbAhKhMUb26JbfLn963rlFmNQA2I6Zs8UymQSWY="},
};

static void test_saslprep(void **state)
{
    struct scram_secret stored, built;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(postgres_made); i++) {
        assert_true(scram_secret_parse(postgres_made[i][1], &stored));
        scram_secret_build(postgres_made[i][0], stored.salt, stored.salt_len, stored.iterations, &built, NULL);
        assert_memory_equal(built.stored_key, stored.stored_key, SCRAM_KEY);
        assert_memory_equal(built.server_key, stored.server_key, SCRAM_KEY);
    }
}

/* Bytes that are no UTF-8 are used as they are: nothing in them is prepared, so no two of them are the same. */
static void test_saslprep_invalid(void **state)
{
    static const char *const alike[][2] = {{"\xff\xe2\x85\xa8", "\xffIX"},
                                           {"\xe2\x85\xa8\xc0\x80", "IX\xc0\x80"},
                                           {"\xe2\x85\xa8\xed\xa0\x80", "IX\xed\xa0\x80"}};
    struct scram_secret a, b;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(alike); i++) {
        scram_secret_build(alike[i][0], (const uint8_t *)"salt", 4, ITERATIONS, &a, NULL);
        scram_secret_build(alike[i][1], (const uint8_t *)"salt", 4, ITERATIONS, &b, NULL);
        assert_memory_not_equal(a.stored_key, b.stored_key, SCRAM_KEY);
    }
}

/* --- RFC 7677, section 3 --- */

#define RFC_CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define RFC_SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define RFC_SERVER_FIRST "r=" RFC_CLIENT_NONCE RFC_SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define RFC_CLIENT_FINAL "c=biws,r=" RFC_CLIENT_NONCE RFC_SERVER_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define RFC_SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

static void test_rfc_server(void **state)
{
    struct scram_secret secret;
    struct scram_server s;
    char *reply;
    const char *why;

    (void)state;
    assert_true(scram_secret_parse(STORED SERVER_KEY, &secret));
    scram_server_init(&s, &secret, false, NULL, 0);
    strcpy(s.nonce, RFC_SERVER_NONCE);
    assert_int_equal(scram_server_step(&s, "SCRAM-SHA-256", text_span("n,,n=user,r=" RFC_CLIENT_NONCE), &reply, &why),
                     SCRAM_CONTINUE);
    assert_string_equal(reply, RFC_SERVER_FIRST);
    free(reply);
    assert_int_equal(scram_server_step(&s, NULL, text_span(RFC_CLIENT_FINAL), &reply, &why), SCRAM_OK);
    assert_string_equal(reply, RFC_SERVER_FINAL);
    free(reply);
    scram_server_free(&s);
}

static void test_rfc_client(void **state)
{
    struct scram_client c;
    char *message;
    const char *why;

    (void)state;
    scram_client_init(&c, "pencil", NULL);
    strcpy(c.nonce, RFC_CLIENT_NONCE);
    assert_string_equal(scram_client_first(&c, span_of("SCRAM-SHA-256\0", 15), NULL, 0, &message), "SCRAM-SHA-256");
    assert_string_equal(message, "n,,n=,r=" RFC_CLIENT_NONCE);
    free(message);
    free(c.client_first_bare); /* we send no user name: the RFC's example does */
    c.client_first_bare = mem_strdup("n=user,r=" RFC_CLIENT_NONCE);
    assert_int_equal(scram_client_continue(&c, text_span(RFC_SERVER_FIRST), &message, &why), SCRAM_CONTINUE);
    assert_string_equal(message, RFC_CLIENT_FINAL);
    free(message);
    assert_int_equal(scram_client_final(&c, text_span(RFC_SERVER_FINAL), &why), SCRAM_OK);
    scram_client_free(&c);
}

/* --- one side against the other --- */

struct exchange {
    const char *secret_password, *login_password;
    const struct scram_keys *login_keys; /* instead of login_password */
    bool server_tls, mock;
    const uint8_t *server_endpoint, *client_endpoint; /* NULL: none */
    const char *offered; /* what the client is told that the server offers; NULL: what it does offer */
};

struct outcome {
    enum scram_step server, client;
    const char *mechanism;
    const char *why;
    struct scram_keys learnt;
};

static struct span offered_by(const struct exchange *x)
{
    static const char plus[] = "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0", plain[] = "SCRAM-SHA-256\0";

    if (x->offered != NULL)
        return span_of(x->offered, strlen(x->offered) + 2);
    return x->server_tls && x->server_endpoint != NULL ? span_of(plus, sizeof plus) : span_of(plain, sizeof plain);
}

static void sides_init(const struct exchange *x, struct scram_server *s, struct scram_client *c)
{
    struct scram_secret secret;
    size_t len = x->server_endpoint != NULL ? sizeof endpoint : 0;

    scram_secret_build(x->secret_password != NULL ? x->secret_password : "", (const uint8_t *)"0123456789abcdef", 16,
                       ITERATIONS, &secret, NULL);
    if (x->mock)
        scram_server_init_mock(s, "nobody", ITERATIONS, x->server_tls, x->server_endpoint, len);
    else
        scram_server_init(s, &secret, x->server_tls, x->server_endpoint, len);
    scram_client_init(c, x->login_keys != NULL ? NULL : x->login_password, x->login_keys);
}

static struct outcome exchange_run(const struct exchange *x)
{
    struct scram_server s;
    struct scram_client c;
    struct outcome o = {.client = SCRAM_FAIL};
    char *message, *reply;

    sides_init(x, &s, &c);
    o.mechanism =
        scram_client_first(&c, offered_by(x), x->client_endpoint, x->client_endpoint != NULL ? 32 : 0, &message);
    assert_non_null(o.mechanism);
    o.server = scram_server_step(&s, o.mechanism, text_span(message), &reply, &o.why);
    free(message);
    if (o.server == SCRAM_CONTINUE) {
        assert_int_equal(scram_client_continue(&c, text_span(reply), &message, &o.why), SCRAM_CONTINUE);
        free(reply);
        o.server = scram_server_step(&s, NULL, text_span(message), &reply, &o.why);
        free(message);
        if (o.server == SCRAM_OK)
            o.client = scram_client_final(&c, text_span(reply), &o.why);
    }
    o.learnt = s.learnt;
    assert_true((reply != NULL) == (o.server == SCRAM_OK));
    free(reply);
    scram_server_free(&s);
    scram_client_free(&c);
    return o;
}

static void test_exchange_password(void **state)
{
    struct outcome o = exchange_run(&(struct exchange){.secret_password = "pw", .login_password = "pw"});

    (void)state;
    assert_int_equal(o.server, SCRAM_OK);
    assert_int_equal(o.client, SCRAM_OK);
    assert_string_equal(o.mechanism, "SCRAM-SHA-256");
}

static void test_exchange_wrong_password(void **state)
{
    static const struct scram_keys none;
    struct outcome o = exchange_run(&(struct exchange){.secret_password = "pw", .login_password = "pW"});

    (void)state;
    assert_int_equal(o.server, SCRAM_FAIL);
    assert_string_equal(o.why, "wrong password");
    assert_memory_equal(&o.learnt, &none, sizeof none);
}

static void test_exchange_learnt_keys(void **state)
{
    struct outcome first = exchange_run(&(struct exchange){.secret_password = "pw", .login_password = "pw"});
    struct outcome second = exchange_run(&(struct exchange){.secret_password = "pw", .login_keys = &first.learnt});
    struct outcome other = exchange_run(&(struct exchange){.secret_password = "px", .login_keys = &first.learnt});

    (void)state;
    assert_int_equal(second.server, SCRAM_OK);
    assert_int_equal(second.client, SCRAM_OK);
    assert_int_equal(other.server, SCRAM_FAIL);
}

static void test_exchange_channel_binding(void **state)
{
    struct exchange x = {.secret_password = "pw",
                         .login_password = "pw",
                         .server_tls = true,
                         .server_endpoint = endpoint,
                         .client_endpoint = endpoint};
    struct outcome o = exchange_run(&x);

    (void)state;
    assert_string_equal(o.mechanism, "SCRAM-SHA-256-PLUS");
    assert_int_equal(o.server, SCRAM_OK);
    assert_int_equal(o.client, SCRAM_OK);
    x.client_endpoint = other_endpoint; /* somebody in the middle has another certificate */
    o = exchange_run(&x);
    assert_int_equal(o.server, SCRAM_FAIL);
    assert_string_equal(o.why, "channel binding check failed");
    x.client_endpoint = NULL; /* a client that cannot bind */
    o = exchange_run(&x);
    assert_string_equal(o.mechanism, "SCRAM-SHA-256");
    assert_int_equal(o.server, SCRAM_OK);
}

static void test_exchange_downgrade(void **state)
{
    struct exchange x = {.secret_password = "pw",
                         .login_password = "pw",
                         .server_tls = true,
                         .server_endpoint = endpoint,
                         .client_endpoint = endpoint,
                         .offered = "SCRAM-SHA-256\0"};
    struct outcome o = exchange_run(&x);

    (void)state;
    assert_int_equal(o.server, SCRAM_MALFORMED);
    assert_string_equal(o.why, "client believes that we offer no channel binding, but we do");
    x.server_endpoint = NULL; /* we really offer none: then the client is right */
    o = exchange_run(&x);
    assert_int_equal(o.server, SCRAM_OK);
    assert_int_equal(o.client, SCRAM_OK);
}

/* A user that does not exist: the same messages, the same salt each time, and a failure at the end. */
static void test_mock(void **state)
{
    struct outcome o = exchange_run(&(struct exchange){.login_password = "pw", .mock = true});
    char *replies[3];
    const char *why;

    (void)state;
    assert_int_equal(o.server, SCRAM_FAIL);
    for (int i = 0; i < 3; i++) {
        struct scram_server s;

        scram_server_init_mock(&s, i < 2 ? "nobody" : "no one", 4096, false, NULL, 0);
        strcpy(s.nonce, "same");
        assert_int_equal(scram_server_step(&s, "SCRAM-SHA-256", text_span("n,,n=,r=x"), &replies[i], &why),
                         SCRAM_CONTINUE);
        assert_int_equal(strlen(replies[i]), strlen("r=xsame,s=0123456789012345678901==,i=4096"));
        scram_server_free(&s);
    }
    assert_string_equal(replies[0], replies[1]);
    assert_string_not_equal(replies[0], replies[2]);
    for (int i = 0; i < 3; i++)
        free(replies[i]);
}

/* --- messages that no sane peer sends --- */

static enum scram_step first_step(const char *mechanism, bool tls, struct span message, char **reply, const char **why)
{
    struct scram_server s;

    scram_server_init_mock(&s, "u", ITERATIONS, tls, endpoint, tls ? sizeof endpoint : 0);
    enum scram_step step = scram_server_step(&s, mechanism, message, reply, why);
    scram_server_free(&s);
    return step;
}

static void test_client_first_malformed(void **state)
{
    static const struct {
        const char *mechanism;
        bool tls;
        const char *message;
        const char *why;
    } cases[] = {
        {"SCRAM-SHA-1", false, "n,,n=,r=x", "client selected an invalid SASL authentication mechanism"},
        {"SCRAM-SHA-256-PLUS", false, "p=tls-server-end-point,,n=,r=x",
         "client selected an invalid SASL authentication mechanism"},
        {"SCRAM-SHA-256", false, "", "the SCRAM message is empty"},
        {"SCRAM-SHA-256", false, "n", "incomplete gs2 header"},
        {"SCRAM-SHA-256", false, "n,", "incomplete gs2 header"},
        {"SCRAM-SHA-256", false, "nn,,n=,r=x", "unexpected text behind the channel binding flag"},
        {"SCRAM-SHA-256", false, "x,,n=,r=x", "unexpected channel binding flag"},
        {"SCRAM-SHA-256", false, ",,n=,r=x", "unexpected channel binding flag"},
        {"SCRAM-SHA-256", true, "p=tls-server-end-point,,n=,r=x",
         "SCRAM-SHA-256 was selected, but the message has channel binding data"},
        {"SCRAM-SHA-256-PLUS", true, "n,,n=,r=x",
         "SCRAM-SHA-256-PLUS was selected, but the message has no channel binding data"},
        {"SCRAM-SHA-256-PLUS", true, "y,,n=,r=x",
         "SCRAM-SHA-256-PLUS was selected, but the message has no channel binding data"},
        {"SCRAM-SHA-256-PLUS", true, "p=tls-unique,,n=,r=x", "unsupported channel binding type"},
        {"SCRAM-SHA-256", true, "y,,n=,r=x", "client believes that we offer no channel binding, but we do"},
        {"SCRAM-SHA-256", false, "n,a=root,n=,r=x", "client uses an authorization identity, which is not supported"},
        {"SCRAM-SHA-256", false, "n,,m=x,n=,r=x", "client requires an unsupported SCRAM extension"},
        {"SCRAM-SHA-256", false, "n,,", "user name or nonce is missing"},
        {"SCRAM-SHA-256", false, "n,,r=x,n=", "user name or nonce is missing"},
        {"SCRAM-SHA-256", false, "n,,n=", "user name or nonce is missing"},
        {"SCRAM-SHA-256", false, "n,,n=,", "user name or nonce is missing"},
        {"SCRAM-SHA-256", false, "n,,n=,r=", "non-printable characters in nonce"},
        {"SCRAM-SHA-256", false, "n,,n=,r=a\tb", "non-printable characters in nonce"},
        {"SCRAM-SHA-256", false, "n,,n=,r=a b", "non-printable characters in nonce"},
        {"SCRAM-SHA-256", false, "n,,n=,r=\x80", "non-printable characters in nonce"},
        {"SCRAM-SHA-256", false, "n,,n=,r=x,1=y", "malformed extension"},
        {"SCRAM-SHA-256", false, "n,,n=,r=x,y", "malformed extension"},
    };
    const char *why;
    char *reply;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(first_step(cases[i].mechanism, cases[i].tls, text_span(cases[i].message), &reply, &why),
                         SCRAM_MALFORMED);
        assert_string_equal(why, cases[i].why);
        assert_null(reply);
    }
    assert_int_equal(first_step("SCRAM-SHA-256", false, span_of("n,,n=,r=x\0", 10), &reply, &why), SCRAM_MALFORMED);
    assert_string_equal(why, "the SCRAM message has a zero byte in it");
}

static void test_client_first_extension(void **state)
{
    const char *why;
    char *reply;

    (void)state;
    assert_int_equal(first_step("SCRAM-SHA-256", false, text_span("n,,n=joe=2C,r=x,y=z,Q="), &reply, &why),
                     SCRAM_CONTINUE);
    assert_memory_equal(reply, "r=x", 3);
    free(reply);
}

/* A SASLInitialResponse without data: the first message is asked for, and then taken. */
static void test_client_first_asked_for(void **state)
{
    struct scram_server s;
    const char *why;
    char *reply;

    (void)state;
    scram_server_init_mock(&s, "u", ITERATIONS, false, NULL, 0);
    assert_int_equal(scram_server_step(&s, "SCRAM-SHA-256", span_of(NULL, 0), &reply, &why), SCRAM_CONTINUE);
    assert_string_equal(reply, "");
    free(reply);
    assert_int_equal(scram_server_step(&s, NULL, text_span("n,,n=,r=x"), &reply, &why), SCRAM_CONTINUE);
    free(reply);
    scram_server_free(&s);
}

#define PROOF "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void test_client_final_malformed(void **state)
{
    static const char *const cases[][2] = {
        {"r=xs,p=" PROOF, "channel binding is missing"},
        {"c=biws", "nonce is missing"},
        {"c=biws,m=1,r=xs,p=" PROOF, "nonce is missing"},
        {"c=biws,r=xs", "proof is missing"},
        {"c=biws,r=xs,", "nonce is missing"},
        {"c=biws,r=xs,p", "proof is missing"},
        {"c=biws,r=xs,p=", "malformed proof"},
        {"c=biws,r=xs,p=AAAA", "malformed proof"},
        {"c=biws,r=xs,p=AAAA" PROOF, "malformed proof"},
        {"c=biws,r=xs,p=!AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "malformed proof"},
        {"c=biws,r=xs,p=" PROOF ",x=y", "bytes behind the proof"},
        {"c=biws,r=xsx,p=" PROOF, "nonce does not match"},
        {"c=biws,r=x,p=" PROOF, "nonce does not match"},
        {"c=eSws,r=xs,p=" PROOF, "channel binding check failed"},
        {"c=biwsbiws,r=xs,p=" PROOF, "channel binding check failed"},
        {"c=,r=xs,p=" PROOF, "channel binding check failed"},
        {"c=biws,r=xs,e=ignored,p=" PROOF, "no such user, or no secret that SCRAM could use"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scram_server s;
        const char *why;
        char *reply;

        scram_server_init_mock(&s, "u", ITERATIONS, false, NULL, 0);
        strcpy(s.nonce, "s");
        assert_int_equal(scram_server_step(&s, "SCRAM-SHA-256", text_span("n,,n=,r=x"), &reply, &why), SCRAM_CONTINUE);
        free(reply);
        enum scram_step step = scram_server_step(&s, NULL, text_span(cases[i][0]), &reply, &why);
        assert_true(step == SCRAM_MALFORMED || step == SCRAM_FAIL);
        assert_string_equal(why, cases[i][1]);
        assert_null(reply);
        assert_int_equal(scram_server_step(&s, NULL, text_span(cases[i][0]), &reply, &why), SCRAM_MALFORMED);
        assert_string_equal(why, "SASL message out of order");
        scram_server_free(&s);
    }
}

static void test_server_first_malformed(void **state)
{
    static const char *const cases[][2] = {
        {"", "server's nonce is missing or malformed"},
        {"m=x,r=abcd,s=AAAA,i=1", "server requires an unsupported SCRAM extension"},
        {"s=AAAA,r=abcd,i=1", "server's nonce is missing or malformed"},
        {"r=abc,s=AAAA,i=1", "server's nonce does not begin with ours"},
        {"r=xbcd,s=AAAA,i=1", "server's nonce does not begin with ours"},
        {"r=abcd", "server's salt is missing"},
        {"r=abcd,s=,i=1", "server's salt is malformed or too long"},
        {"r=abcd,s=AAA,i=1", "server's salt is malformed or too long"},
        {"r=abcd,s=AAAA", "server's iteration count is missing or malformed"},
        {"r=abcd,s=AAAA,i=", "server's iteration count is missing or malformed"},
        {"r=abcd,s=AAAA,i=0", "server's iteration count is missing or malformed"},
        {"r=abcd,s=AAAA,i=-1", "server's iteration count is missing or malformed"},
        {"r=abcd,s=AAAA,i=1x", "server's iteration count is missing or malformed"},
        {"r=abcd,s=AAAA,i=4294967297", "server's iteration count is missing or malformed"},
        {"r=abcd,s=AAAA,i=2000000000", "server's iteration count is above 10000000"},
        {"r=abcd,s=AAAA,i=1,2", "malformed extension in server's message"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scram_client c;
        const char *why;
        char *message;

        scram_client_init(&c, "pw", NULL);
        strcpy(c.nonce, "abc");
        assert_non_null(scram_client_first(&c, text_span("SCRAM-SHA-256"), NULL, 0, &message));
        free(message);
        assert_int_equal(scram_client_continue(&c, text_span(cases[i][0]), &message, &why), SCRAM_MALFORMED);
        assert_string_equal(why, cases[i][1]);
        assert_null(message);
        scram_client_free(&c);
    }
}

static void test_server_final_wrong(void **state)
{
    static const struct {
        const char *message;
        enum scram_step step;
    } cases[] = {
        {"", SCRAM_MALFORMED},
        {"v=", SCRAM_MALFORMED},
        {"v=AAAA", SCRAM_MALFORMED},
        {"v=" PROOF, SCRAM_FAIL},
        {"e=other-error", SCRAM_FAIL},
        {"x=" PROOF, SCRAM_MALFORMED},
        {"v=" PROOF "x", SCRAM_MALFORMED},
        {"v=" PROOF ",1", SCRAM_MALFORMED},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct scram_client c;
        const char *why;
        char *message;

        scram_client_init(&c, "pw", NULL);
        strcpy(c.nonce, "abc");
        assert_non_null(scram_client_first(&c, text_span("SCRAM-SHA-256"), NULL, 0, &message));
        free(message);
        assert_int_equal(scram_client_final(&c, text_span("v=" PROOF), &why), SCRAM_MALFORMED); /* too early */
        assert_int_equal(scram_client_continue(&c, text_span("r=abcd,s=AAAA,i=1,x=y"), &message, &why), SCRAM_CONTINUE);
        free(message);
        assert_int_equal(scram_client_final(&c, text_span(cases[i].message), &why), cases[i].step);
        assert_non_null(why);
        scram_client_free(&c);
    }
}

static void test_client_no_mechanism(void **state)
{
    struct scram_client c;
    char *message;

    (void)state;
    scram_client_init(&c, "pw", NULL);
    assert_null(scram_client_first(&c, span_of("SCRAM-SHA-512\0OAUTHBEARER\0", 27), endpoint, 32, &message));
    assert_null(message);
    assert_null(scram_client_first(&c, span_of("SCRAM-SHA-256-PLUS\0", 20), NULL, 0, &message));
    assert_null(scram_client_first(&c, span_of("", 0), NULL, 0, &message));
    scram_client_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_base64_all_bytes),
        cmocka_unit_test(test_base64_strict),
        cmocka_unit_test(test_md5),
        cmocka_unit_test(test_random_bytes),
        cmocka_unit_test(test_secret_parse),
        cmocka_unit_test(test_secret_build),
        cmocka_unit_test(test_memo_threads),
        cmocka_unit_test(test_saslprep),
        cmocka_unit_test(test_saslprep_invalid),
        cmocka_unit_test(test_rfc_server),
        cmocka_unit_test(test_rfc_client),
        cmocka_unit_test(test_exchange_password),
        cmocka_unit_test(test_exchange_wrong_password),
        cmocka_unit_test(test_exchange_learnt_keys),
        cmocka_unit_test(test_exchange_channel_binding),
        cmocka_unit_test(test_exchange_downgrade),
        cmocka_unit_test(test_mock),
        cmocka_unit_test(test_client_first_malformed),
        cmocka_unit_test(test_client_first_extension),
        cmocka_unit_test(test_client_first_asked_for),
        cmocka_unit_test(test_client_final_malformed),
        cmocka_unit_test(test_server_first_malformed),
        cmocka_unit_test(test_server_final_wrong),
        cmocka_unit_test(test_client_no_mechanism),
    };

    return cmocka_run_group_tests_name("scram", tests, NULL, NULL);
}
