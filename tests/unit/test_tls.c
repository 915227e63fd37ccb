/*
 * test_tls.c: both sides of TLS over a socket pair, driven in turns by one thread.
 * Thread: one.
 */
#include "tests/unit/tls_fixture.h"

#include <errno.h>
#include <openssl/err.h>

/* --- a pair of sessions --- */

struct pair {
    int server_fd, client_fd;
    struct tls *server, *client;
    enum tls_want server_end, client_end;
};

/* Turn by turn, until both are done, one has failed, or nothing moves any more. */
static void pair_handshake(struct pair *p)
{
    p->server_end = p->client_end = TLS_WANT_READ;
    for (int turn = 0; turn < 20; turn++) {
        if (!is_over(p->client_end))
            p->client_end = tls_handshake(p->client);
        if (!is_over(p->server_end))
            p->server_end = tls_handshake(p->server);
    }
}

/* The contexts are let go of at once: live sessions must not need them. */
static struct pair pair_open(const struct side *server, const struct side *client, const char *host)
{
    struct tls_context *server_context = context_of(server, true);
    struct tls_context *client_context = context_of(client, false);
    struct pair p;

    sockets_new(&p.server_fd, &p.client_fd);
    p.server = tls_accept(server_context, p.server_fd);
    p.client = tls_connect(client_context, p.client_fd, host);
    tls_context_ref(server_context);
    tls_context_unref(server_context);
    tls_context_unref(server_context);
    tls_context_unref(client_context);
    pair_handshake(&p);
    return p;
}

static void pair_close(struct pair *p)
{
    tls_free(p->server);
    tls_free(p->client);
    close(p->server_fd);
    close(p->client_fd);
}

static struct pair pair_ready(void)
{
    struct pair p = pair_open(&plain_server, &plain_client, "db.example.com");

    assert_int_equal(p.server_end, TLS_DONE);
    assert_int_equal(p.client_end, TLS_DONE);
    return p;
}

static void assert_passes(struct tls *from, struct tls *to, const char *text)
{
    char got[64];
    enum tls_want want = TLS_DONE;
    size_t len = strlen(text);

    assert_int_equal(tls_write(from, text, len, &want), len);
    assert_int_equal(tls_read(to, got, sizeof got, &want), len);
    assert_memory_equal(got, text, len);
    assert_int_equal(tls_read(to, got, sizeof got, &want), -1);
    assert_int_equal(want, TLS_WANT_READ);
}

/* --- handshakes --- */

static void protocols_are_chosen(void **state)
{
    static const struct {
        const char *server, *client, *chosen;
    } cases[] = {
        {"secure", "all", "TLSv1.3/"},         {NULL, "tlsv1.2", "TLSv1.2/"},
        {"tlsv1.2", "", "TLSv1.2/"},           {"TLSv1.3", NULL, "TLSv1.3/"},
        {"tlsv1.2,tlsv1.3", NULL, "TLSv1.3/"}, {"tlsv1.2:tlsv1.3", "tlsv1.2", "TLSv1.2/"},
        {"tlsv1.2", "tlsv1.3", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct side server = {.mode = TLS_ALLOW, .identity = "server", .protocols = cases[i].server};
        struct side client = {.mode = TLS_PREFER, .protocols = cases[i].client};
        struct pair p = pair_open(&server, &client, NULL);

        if (cases[i].chosen == NULL) {
            assert_int_equal(p.server_end, TLS_FAILED);
            assert_string_equal(tls_error(p.server), "unsupported protocol");
            assert_string_equal(tls_description(p.server), "");
        } else {
            assert_memory_equal(tls_description(p.server), cases[i].chosen, strlen(cases[i].chosen));
            assert_string_equal(tls_description(p.client), tls_description(p.server));
            assert_string_equal(tls_error(p.server), "");
            assert_true(tls_alpn_postgresql(p.server));
            assert_passes(p.client, p.server, "ping");
            assert_passes(p.server, p.client, "pong");
        }
        pair_close(&p);
    }
}

static void verify_full_compares_names(void **state)
{
    static const struct {
        const char *host, *error;
    } cases[] = {
        {"db.example.com", NULL},
        {"DB.Example.COM", NULL},
        {"a.wild.example.com", NULL},
        {"127.0.0.1", NULL},
        {"::1", NULL},
        {"part1.example.com", "certificate verify failed: hostname mismatch"},
        {"a.b.wild.example.com", "certificate verify failed: hostname mismatch"},
        {"ignored.example.com", "certificate verify failed: hostname mismatch"},
        {"db.example.com.evil.com", "certificate verify failed: hostname mismatch"},
        {"127.0.0.2", "certificate verify failed: IP address mismatch"},
        {NULL, "verify-full needs a host name or an IP address to compare the certificate with"},
        {"", "verify-full needs a host name or an IP address to compare the certificate with"},
        {"/run/postgresql", "verify-full needs a host name or an IP address to compare the certificate with"},
    };
    struct side client = {.mode = TLS_VERIFY_FULL, .ca = "ca"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct pair p = pair_open(&plain_server, &client, cases[i].host);

        assert_int_equal(p.client_end, cases[i].error == NULL ? TLS_DONE : TLS_FAILED);
        assert_string_equal(tls_error(p.client), cases[i].error == NULL ? "" : cases[i].error);
        assert_int_equal(p.server_end == TLS_DONE, cases[i].error == NULL);
        pair_close(&p);
    }
}

static void verify_ca_trusts_one_authority(void **state)
{
    static const struct {
        enum tls_mode mode;
        const char *ca;
        bool passes;
    } cases[] = {
        {TLS_VERIFY_CA, "ca", true},     {TLS_VERIFY_CA, "other_ca", false}, {TLS_VERIFY_FULL, "other_ca", false},
        {TLS_REQUIRE, "other_ca", true}, {TLS_PREFER, NULL, true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct side client = {.mode = cases[i].mode, .ca = cases[i].ca};
        struct pair p = pair_open(&plain_server, &client, "db.example.com");

        assert_int_equal(p.client_end, cases[i].passes ? TLS_DONE : TLS_FAILED);
        if (!cases[i].passes)
            assert_string_equal(tls_error(p.client),
                                "certificate verify failed: unable to get local issuer certificate");
        pair_close(&p);
    }
}

/* mode of the listening side, the client's certificate, and what becomes of it. */
static void client_certificates(void **state)
{
    static const struct {
        enum tls_mode mode;
        const char *identity;
        bool passes, named;
        const char *name;
    } cases[] = {
        {TLS_ALLOW, NULL, true, false, ""},
        {TLS_REQUIRE, "alice", true, true, "alice"},
        {TLS_REQUIRE, "stranger", false, false, ""},
        {TLS_VERIFY_CA, NULL, false, false, ""},
        {TLS_VERIFY_CA, "alice", true, true, "alice"},
        {TLS_VERIFY_FULL, "alice", true, true, "alice"},
        {TLS_VERIFY_CA, "nameless", true, true, ""},
        {TLS_VERIFY_CA, "forged", true, false, ""},
        {TLS_VERIFY_CA, "stranger", false, false, ""},
    };
    static const char *const protocols[] = {"tlsv1.2", "tlsv1.3"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases) * ARRAY_LEN(protocols); i++) {
        size_t n = i / ARRAY_LEN(protocols);
        struct side server = {.mode = cases[n].mode, .identity = "server", .ca = "ca", .protocols = protocols[i % 2]};
        struct side client = {.mode = TLS_REQUIRE, .identity = cases[n].identity};
        struct pair p = pair_open(&server, &client, NULL);
        char name[64] = "x";

        assert_int_equal(p.server_end, cases[n].passes ? TLS_DONE : TLS_FAILED);
        assert_int_equal(tls_peer_common_name(p.server, name, sizeof name), cases[n].named);
        assert_string_equal(name, cases[n].name);
        pair_close(&p);
    }
}

static void client_names_whole_or_not_at_all(void **state)
{
    struct side server = {.mode = TLS_VERIFY_CA, .identity = "server", .ca = "ca"};
    struct side client = {.mode = TLS_REQUIRE, .identity = "alice"};
    struct pair p = pair_open(&server, &client, NULL);
    char name[64];

    (void)state;
    assert_int_equal(p.server_end, TLS_DONE);
    assert_true(tls_peer_common_name(p.server, name, 6));
    assert_string_equal(name, "alice");
    assert_false(tls_peer_common_name(p.server, name, 5));
    assert_string_equal(name, "");
    assert_true(tls_peer_distinguished_name(p.server, name, sizeof name));
    assert_string_equal(name, "CN=alice,O=Test\\, Inc");
    assert_false(tls_peer_distinguished_name(p.server, name, 20));
    assert_string_equal(name, "");
    /* The connecting side has no CA to verify by, so that a name would prove nothing. */
    assert_false(tls_peer_common_name(p.client, name, sizeof name));
    assert_false(tls_peer_distinguished_name(p.client, name, sizeof name));
    pair_close(&p);
}

static void endpoint_hash_is_the_same_on_both_sides(void **state)
{
    static const struct {
        const char *identity;
        size_t len;
    } cases[] = {{"server", 32}, {"server384", 48}, {"server_sha1", 32}, {"server_ed", 0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct side server = {.mode = TLS_REQUIRE, .identity = cases[i].identity, .ciphers = "ALL:@SECLEVEL=0"};
        struct side client = {.mode = TLS_REQUIRE, .ciphers = "ALL:@SECLEVEL=0"};
        struct pair p = pair_open(&server, &client, NULL);
        uint8_t ours[64] = {0}, theirs[64] = {1};

        assert_int_equal(p.client_end, TLS_DONE);
        assert_int_equal(tls_endpoint_hash(p.server, true, ours), cases[i].len);
        assert_int_equal(tls_endpoint_hash(p.client, false, theirs), cases[i].len);
        assert_memory_equal(ours, theirs, cases[i].len);
        assert_int_equal(tls_endpoint_hash(p.server, false, ours), 0);
        pair_close(&p);
    }
}

/* --- bytes --- */

static uint8_t pattern_at(size_t at)
{
    return (uint8_t)(at * 31 + (at >> 11));
}

/* The buffer of each try is a new one, and only as much is offered as fits into a small queue. */
static void big_transfer_in_pieces(void **state)
{
    struct pair p = pair_ready();
    const size_t total = 3 * MIB + 17;
    size_t sent = 0, got = 0, blocked = 0, partial = 0;
    uint8_t in[7001];

    (void)state;
    while (got < total) {
        size_t len = MIN(total - sent, (size_t)50000);
        uint8_t *out = mem_alloc(len);
        enum tls_want want = TLS_DONE;

        for (size_t i = 0; i < len; i++)
            out[i] = pattern_at(sent + i);

        ssize_t n = tls_write(p.server, out, len, &want);

        free(out);
        blocked += n < 0;
        partial += n >= 0 && (size_t)n < len;
        assert_true(n >= 0 || want == TLS_WANT_WRITE);
        sent += n > 0 ? (size_t)n : 0;
        if (n > 0 && sent < total)
            continue;
        while ((n = tls_read(p.client, in, sizeof in, &want)) > 0) {
            for (ssize_t i = 0; i < n; i++)
                assert_int_equal(in[i], pattern_at(got + (size_t)i));
            got += (size_t)n;
        }
        assert_int_equal(n, -1);
        assert_int_equal(want, TLS_WANT_READ);
    }
    assert_int_equal(got, total);
    assert_true(blocked > 0);
    assert_true(partial > 0);
    pair_close(&p);
}

static void pending_tells_what_no_poll_would(void **state)
{
    struct pair p = pair_ready();
    enum tls_want want;
    char got[8];

    (void)state;
    assert_int_equal(tls_read(p.client, got, sizeof got, &want), -1); /* takes the session ticket */
    assert_false(tls_pending(p.client));
    tls_write(p.server, "ab", 2, &want);
    tls_write(p.server, "cd", 2, &want);
    assert_false(tls_pending(p.client));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(tls_read(p.client, got + i, 1, &want), 1);
        assert_int_equal(tls_pending(p.client), i < 3);
    }
    assert_memory_equal(got, "abcd", 4);
    tls_write(p.server, "ab", 2, &want);
    tls_write(p.server, "cd", 2, &want);
    assert_int_equal(tls_read(p.client, got, sizeof got, &want), 4); /* two records in one call */
    assert_false(tls_pending(p.client));
    pair_close(&p);
}

/* Puts itself between a session and its socket: what comes out of it, as bytes. */
static size_t take_raw(int fd, uint8_t *out, size_t size)
{
    ssize_t n = read(fd, out, size);

    assert_true(n > 0 && (size_t)n < size);
    return (size_t)n;
}

/* A record that arrives byte by byte is nothing to come back for until it is whole. */
static void record_byte_by_byte(void **state)
{
    struct pair p = pair_ready();
    uint8_t record[256];
    enum tls_want want;
    char got[8];

    (void)state;
    assert_int_equal(tls_read(p.client, got, sizeof got, &want), -1);
    tls_write(p.server, "slow", 4, &want);

    size_t len = take_raw(p.client_fd, record, sizeof record);

    for (size_t i = 0; i + 1 < len; i++) {
        assert_int_equal(write(p.server_fd, record + i, 1), 1);
        assert_int_equal(tls_read(p.client, got, sizeof got, &want), -1);
        assert_int_equal(want, TLS_WANT_READ);
        assert_false(tls_pending(p.client));
        assert_false(tls_rest(p.client));
    }
    assert_int_equal(write(p.server_fd, record + len - 1, 1), 1);
    assert_int_equal(tls_read(p.client, got, sizeof got, &want), 4);
    assert_memory_equal(got, "slow", 4);
    pair_close(&p);
}

/* --- endings --- */

/* Its memory goes only when nothing is in it, and comes again with the next byte. */
static void rest_between_messages(void **state)
{
    struct pair p = pair_ready();
    enum tls_want want;
    char got[8];

    (void)state;
    assert_int_equal(tls_read(p.client, got, sizeof got, &want), -1); /* takes the session ticket */
    for (int i = 0; i < 3; i++) {
        assert_true(tls_rest(p.client));
        assert_true(tls_rest(p.server));
        assert_int_equal(tls_write(p.server, "abcd", 4, &want), 4);
        assert_int_equal(tls_read(p.client, got, 2, &want), 2);
        assert_false(tls_rest(p.client));
        assert_int_equal(tls_read(p.client, got + 2, 2, &want), 2);
        assert_memory_equal(got, "abcd", 4);
    }
    pair_close(&p);
}

static void peer_closes(void **state)
{
    (void)state;
    for (int polite = 0; polite <= 1; polite++) {
        struct pair p = pair_ready();
        enum tls_want want = TLS_DONE;
        char got[8];

        tls_write(p.server, "last", 4, &want);
        if (polite) {
            tls_free(p.server);
            p.server = NULL;
        } else {
            shutdown(p.server_fd, SHUT_WR);
        }
        assert_int_equal(tls_read(p.client, got, sizeof got, &want), 4);
        /* The socket stays open, and close_notify was taken with the last bytes: only tls_pending can tell of it. */
        assert_int_equal(tls_pending(p.client), polite);
        assert_int_equal(tls_read(p.client, got, sizeof got, &want), 0);
        assert_int_equal(tls_read(p.client, got, sizeof got, &want), 0);
        assert_false(tls_pending(p.client));
        assert_int_equal(tls_write(p.client, "still", 5, &want), 5); /* the other direction is open */
        pair_close(&p);
    }
}

/* What a server said before it went can be read after a write has failed. */
static void write_fails_and_reading_goes_on(void **state)
{
    struct pair p = pair_ready();
    enum tls_want want = TLS_DONE;
    char got[8];

    (void)state;
    tls_write(p.server, "bye", 3, &want);
    close(p.server_fd);
    p.server_fd = -1;
    errno = 0;
    assert_int_equal(tls_write(p.client, "hello", 5, &want), -1);
    assert_int_equal(want, TLS_FAILED);
    assert_int_equal(errno, EPIPE);
    assert_string_equal(tls_error(p.client), strerror(EPIPE));
    assert_int_equal(tls_read(p.client, got, sizeof got, &want), 3);
    assert_int_equal(tls_read(p.client, got, sizeof got, &want), 0);
    pair_close(&p);
}

/* Bytes that are no record, right behind one that is: the good ones count, then the session is broken for good. */
static void garbage_breaks_the_session(void **state)
{
    struct pair p = pair_ready();
    enum tls_want want = TLS_DONE;
    char got[8];

    (void)state;
    tls_write(p.server, "good", 4, &want);
    assert_int_equal(write(p.server_fd, "plain text, no TLS record", 25), 25);
    assert_int_equal(tls_read(p.client, got, sizeof got, &want), 4);
    assert_true(tls_pending(p.client));
    for (int i = 0; i < 2; i++) {
        errno = 0;
        assert_int_equal(tls_read(p.client, got, sizeof got, &want), -1);
        assert_int_equal(want, TLS_FAILED);
        assert_int_equal(errno, EPROTO);
        assert_string_equal(tls_error(p.client), "wrong version number");
        assert_int_equal(tls_write(p.client, "x", 1, &want), -1);
        assert_int_equal(want, TLS_FAILED);
    }
    assert_int_equal(tls_handshake(p.client), TLS_FAILED);
    assert_int_equal(ERR_peek_error(), 0);
    pair_close(&p);
}

static void handshake_ends_early(void **state)
{
    static const struct {
        const char *sent, *error;
    } cases[] = {
        {"", "the peer closed the connection in the TLS handshake"},
        {"\x16\x03\x01", "the peer closed the connection in the TLS handshake"},
        {"GET / HTTP/1.0\r\n\r\n", "http request"},
        {"QQQQQQQQQQQQ", "wrong version number"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tls_context *context = context_of(&plain_server, true);
        enum tls_want want = TLS_DONE;
        int ours, theirs;
        char got[8];

        sockets_new(&ours, &theirs);
        struct tls *t = tls_accept(context, ours);

        tls_context_unref(context);
        assert_int_equal(tls_handshake(t), TLS_WANT_READ);
        assert_int_equal(write(theirs, cases[i].sent, strlen(cases[i].sent)), strlen(cases[i].sent));
        shutdown(theirs, SHUT_WR);
        assert_int_equal(tls_handshake(t), TLS_FAILED);
        assert_string_equal(tls_error(t), cases[i].error);
        assert_int_equal(tls_read(t, got, sizeof got, &want), -1);
        assert_int_equal(want, TLS_FAILED);
        tls_free(t);
        close(ours);
        close(theirs);
    }
    tls_free(NULL);
    tls_context_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protocols_are_chosen),
        cmocka_unit_test(verify_full_compares_names),
        cmocka_unit_test(verify_ca_trusts_one_authority),
        cmocka_unit_test(client_certificates),
        cmocka_unit_test(client_names_whole_or_not_at_all),
        cmocka_unit_test(endpoint_hash_is_the_same_on_both_sides),
        cmocka_unit_test(big_transfer_in_pieces),
        cmocka_unit_test(pending_tells_what_no_poll_would),
        cmocka_unit_test(record_byte_by_byte),
        cmocka_unit_test(rest_between_messages),
        cmocka_unit_test(peer_closes),
        cmocka_unit_test(write_fails_and_reading_goes_on),
        cmocka_unit_test(garbage_breaks_the_session),
        cmocka_unit_test(handshake_ends_early),
    };

    return cmocka_run_group_tests_name("tls", tests, certs_make, certs_remove);
}
