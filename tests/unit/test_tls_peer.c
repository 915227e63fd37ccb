/*
 * test_tls_peer.c: TLS with OpenSSL itself ("raw") as the peer, which does what our own side never does, and options
 * that are wrong.
 * Thread: one.
 */
#include "tests/unit/tls_fixture.h"

#include <openssl/err.h>
#include <sys/stat.h>

/* --- OpenSSL itself as the peer --- */

struct raw {
    int ours, theirs;
    SSL_CTX *context;
    SSL *ssl;
    struct tls *tls;
    enum tls_want end; /* of ours */
    int result;        /* of theirs: 1 is done */
};

static void raw_handshake(struct raw *r)
{
    r->end = TLS_WANT_READ;
    r->result = -1;
    for (int turn = 0; turn < 20; turn++) {
        if (r->result != 1)
            r->result = SSL_do_handshake(r->ssl);
        if (!is_over(r->end))
            r->end = tls_handshake(r->tls);
    }
    ERR_clear_error();
}

static struct raw raw_client(struct tls_context *listening, const char *alpn, SSL_SESSION *session)
{
    struct raw r = {.context = SSL_CTX_new(TLS_client_method())};

    sockets_new(&r.ours, &r.theirs);
    SSL_CTX_use_certificate_file(r.context, path_of("alice", "pem").text, SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(r.context, path_of("alice", "key").text, SSL_FILETYPE_PEM);
    r.ssl = SSL_new(r.context);
    SSL_set_fd(r.ssl, r.theirs);
    SSL_set_connect_state(r.ssl);
    if (alpn != NULL)
        SSL_set_alpn_protos(r.ssl, (const uint8_t *)alpn, (unsigned)strlen(alpn));
    if (session != NULL)
        SSL_set_session(r.ssl, session);
    r.tls = tls_accept(listening, r.ours);
    raw_handshake(&r);
    return r;
}

static struct raw raw_server(struct tls_context *connecting, const char *host)
{
    struct raw r = {.context = SSL_CTX_new(TLS_server_method())};

    sockets_new(&r.ours, &r.theirs);
    SSL_CTX_use_certificate_file(r.context, path_of("server", "pem").text, SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(r.context, path_of("server", "key").text, SSL_FILETYPE_PEM);
    r.ssl = SSL_new(r.context);
    SSL_set_fd(r.ssl, r.theirs);
    SSL_set_accept_state(r.ssl);
    r.tls = tls_connect(connecting, r.ours, host);
    raw_handshake(&r);
    return r;
}

static void raw_close(struct raw *r)
{
    tls_free(r->tls);
    SSL_free(r->ssl);
    SSL_CTX_free(r->context);
    close(r->ours);
    close(r->theirs);
}

static void alpn_is_ours_or_none(void **state)
{
    static const struct {
        const char *offer;
        bool passes, chosen;
    } cases[] = {{NULL, true, false}, {"\x02h2\x0apostgresql", true, true}, {"\x02h2\x08http/1.1", false, false}};
    struct tls_context *context = context_of(&plain_server, true);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct raw r = raw_client(context, cases[i].offer, NULL);

        assert_int_equal(r.end, cases[i].passes ? TLS_DONE : TLS_FAILED);
        assert_int_equal(tls_alpn_postgresql(r.tls), cases[i].chosen);
        raw_close(&r);
    }
    tls_context_unref(context);
}

/* A ticket of one connection saves the next one the handshake, certificate included; another context's is worth
 * nothing. */
static void sessions_are_resumed(void **state)
{
    static const char *const protocols[] = {"tlsv1.2", "tlsv1.3"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
        struct side server = {.mode = TLS_VERIFY_CA, .identity = "server", .ca = "ca", .protocols = protocols[i]};
        struct tls_context *context = context_of(&server, true), *renewed = context_of(&server, true);
        struct raw first = raw_client(context, NULL, NULL);
        char name[64];

        assert_int_equal(first.end, TLS_DONE);
        assert_int_equal(sk_X509_NAME_num(SSL_get_client_CA_list(first.ssl)), 1);
        assert_int_equal(SSL_read(first.ssl, name, sizeof name), -1); /* takes the ticket of TLS 1.3 */
        SSL_SESSION *session = SSL_get1_session(first.ssl);
        struct raw second = raw_client(context, NULL, session);

        assert_int_equal(second.end, TLS_DONE);
        assert_int_equal(SSL_session_reused(second.ssl), 1);
        assert_true(tls_peer_common_name(second.tls, name, sizeof name));
        assert_string_equal(name, "alice");

        struct raw third = raw_client(renewed, NULL, session);

        assert_int_equal(third.end, TLS_DONE);
        assert_int_equal(SSL_session_reused(third.ssl), 0);
        SSL_SESSION_free(session);
        raw_close(&first);
        raw_close(&second);
        raw_close(&third);
        tls_context_unref(context);
        tls_context_unref(renewed);
    }
}

/* Neither a client's wish nor a server's is granted. */
static void renegotiation_is_refused(void **state)
{
    (void)state;
    for (int listening = 0; listening <= 1; listening++) {
        struct side side = {.mode = TLS_REQUIRE, .identity = "server", .protocols = "tlsv1.2"};
        struct tls_context *context = context_of(&side, listening);
        struct raw r = listening ? raw_client(context, NULL, NULL) : raw_server(context, NULL);
        enum tls_want want;
        char got[8];

        assert_int_equal(r.end, TLS_DONE);
        assert_int_equal(SSL_renegotiate(r.ssl), 1);
        SSL_do_handshake(r.ssl);
        assert_int_equal(tls_read(r.tls, got, sizeof got, &want), -1);
        assert_int_equal(want, TLS_WANT_READ);
        assert_true(SSL_read(r.ssl, got, sizeof got) < 0);
        assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
        ERR_clear_error();
        raw_close(&r);
        tls_context_unref(context);
    }
}

/* Names go into SNI, addresses and paths do not; ALPN is offered to every server. */
static void sni_carries_names_only(void **state)
{
    static const struct {
        const char *host, *sni;
    } cases[] = {{"db.example.com", "db.example.com"},
                 {"127.0.0.1", NULL},
                 {"::1", NULL},
                 {"fe80::1%eth0", NULL},
                 {"/tmp", NULL},
                 {"", NULL},
                 {NULL, NULL}};
    struct tls_context *context = context_of(&plain_client, false);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct raw r = raw_server(context, cases[i].host);

        assert_int_equal(r.end, TLS_DONE);

        const char *sni = SSL_get_servername(r.ssl, TLSEXT_NAMETYPE_host_name);

        assert_string_equal(sni != NULL ? sni : "none", cases[i].sni != NULL ? cases[i].sni : "none");
        raw_close(&r);
    }
    tls_context_unref(context);
}

/* --- options that are wrong --- */

struct wrong {
    bool listening;
    struct tls_options o; /* files by the names of certificates */
    const char *error;    /* how it begins: the rest is OpenSSL's */
};

static void assert_refused(const struct wrong *w)
{
    struct tls_options o = w->o;
    struct path key = path_of(o.key_file != NULL ? o.key_file : "", "key");
    struct path cert = path_of(o.cert_file != NULL ? o.cert_file : "", "pem");
    struct path ca = path_of(o.ca_file != NULL ? o.ca_file : "", "pem");
    char error[256] = "untouched";

    o.key_file = o.key_file != NULL ? key.text : NULL;
    o.cert_file = o.cert_file != NULL ? cert.text : NULL;
    o.ca_file = o.ca_file != NULL ? ca.text : NULL;
    assert_null(tls_context_new(&o, w->listening, error, sizeof error));
    error[MIN(strlen(error), strlen(w->error))] = '\0';
    assert_string_equal(error, w->error);
    assert_int_equal(ERR_peek_error(), 0);
}

static void wrong_options_are_explained(void **state)
{
#define SERVER_FILES .mode = TLS_REQUIRE, .key_file = "server", .cert_file = "server"
    static const struct wrong cases[] = {
        {true, {.mode = TLS_REQUIRE}, "TLS needs both a key file and a certificate file to listen"},
        {false,
         {.mode = TLS_REQUIRE, .key_file = "alice"},
         "TLS needs both a key file and a certificate file, or neither"},
        {true, {.mode = TLS_REQUIRE, .key_file = "server", .cert_file = "none"}, "could not load certificate file \""},
        {true,
         {.mode = TLS_REQUIRE, .key_file = "server", .cert_file = "garbage"},
         "could not load certificate file \""},
        {true, {.mode = TLS_REQUIRE, .key_file = "none", .cert_file = "server"}, "could not load private key file \""},
        {true,
         {.mode = TLS_REQUIRE, .key_file = "locked", .cert_file = "server"},
         "a passphrase protects private key file \""},
        {true, {.mode = TLS_REQUIRE, .key_file = "alice", .cert_file = "server"}, "could not load private key file \""},
        {true, {SERVER_FILES, .protocols = "tlsv1.1"}, "TLS protocol \"tlsv1.1\" is not supported"},
        {true, {SERVER_FILES, .protocols = "secure,tlsv1.0"}, "TLS protocol \"tlsv1.0\" is not supported"},
        {true, {SERVER_FILES, .protocols = ","}, "no TLS protocol is left"},
        {true, {SERVER_FILES, .ciphers = "nonsense"}, "invalid list of TLS ciphers \"nonsense\": no cipher match"},
        {true, {SERVER_FILES, .ciphers13 = "nonsense"}, "invalid list of TLS 1.3 cipher suites \"nonsense\": "},
        {true, {SERVER_FILES, .ecdhcurve = "circle"}, "unknown TLS curve \"circle\""},
        {true, {SERVER_FILES, .dheparams = "big"}, "TLS dheparams must be auto, legacy or none, not \"big\""},
        {true, {SERVER_FILES, .ca_file = "none"}, "could not load CA file \""},
        {true, {SERVER_FILES, .ca_file = "garbage"}, "could not load CA file \""},
        {false, {.mode = TLS_VERIFY_CA}, "verify-ca and verify-full need a CA file"},
        {false, {.mode = TLS_VERIFY_FULL, .ca_file = "none"}, "could not load CA file \""},
        {true, {.mode = TLS_DISABLE, .key_file = "none"}, ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(&cases[i]);
}

static void all_short_names_work(void **state)
{
    static const char *const ciphers[] = {"default", "normal", "secure", "fast", "compat", "legacy", "all", "HIGH"};
    static const char *const curves[] = {"auto", "none", "prime256v1", "X25519"};
    static const char *const params[] = {"auto", "none", "legacy"};
    struct path key = path_of("server", "key"), cert = path_of("server", "pem");
    struct tls_options o = {.mode = TLS_REQUIRE, .key_file = key.text, .cert_file = cert.text};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ciphers); i++) {
        char error[256];

        o.ciphers = ciphers[i];
        o.ecdhcurve = curves[i % ARRAY_LEN(curves)];
        o.dheparams = params[i % ARRAY_LEN(params)];
        o.ciphers13 = i % 2 == 0 ? "TLS_AES_256_GCM_SHA384" : NULL;

        struct tls_context *context = tls_context_new(&o, true, error, sizeof error);

        assert_string_equal(error, "");
        struct raw r = raw_client(context, NULL, NULL);

        assert_int_equal(r.end, TLS_DONE);
        if (i % 2 == 0)
            assert_string_equal(tls_description(r.tls), "TLSv1.3/TLS_AES_256_GCM_SHA384");
        raw_close(&r);
        tls_context_unref(context);
    }
}

/* PgBouncer's users may have such a key: it works, with a warning in the log. */
static void key_that_others_can_read_works(void **state)
{
    struct path key = path_of("server", "key");

    (void)state;
    assert_int_equal(chmod(key.text, 0644), 0);
    tls_context_unref(context_of(&plain_server, true));
    assert_int_equal(chmod(key.text, 0600), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alpn_is_ours_or_none),           cmocka_unit_test(sessions_are_resumed),
        cmocka_unit_test(renegotiation_is_refused),       cmocka_unit_test(sni_carries_names_only),
        cmocka_unit_test(wrong_options_are_explained),    cmocka_unit_test(all_short_names_work),
        cmocka_unit_test(key_that_others_can_read_works),
    };

    return cmocka_run_group_tests_name("tls peer", tests, certs_make, certs_remove);
}
