/*
 * tls_fixture.h: what the tests of TLS share: certificates that are made for the run, contexts by their names, sockets.
 * Everything in it is used by each file that includes it.
 * Thread: one.
 */
#ifndef SLUICE_TESTS_TLS_FIXTURE_H
#define SLUICE_TESTS_TLS_FIXTURE_H

#include "pool/tls.h"

#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* --- certificates: NAME.pem and NAME.key in a folder of the run --- */

static char folder[] = "/tmp/test_tls.XXXXXX";
static EVP_PKEY *ca_key, *other_key;
static X509 *ca_cert, *other_cert;

struct path {
    char text[96];
};

static struct path path_of(const char *name, const char *suffix)
{
    struct path p;

    snprintf(p.text, sizeof p.text, "%s/%s.%s", folder, name, suffix);
    return p;
}

static FILE *file_new(const char *name, const char *suffix)
{
    int fd = open(path_of(name, suffix).text, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

    assert_non_null(f);
    return f;
}

static void cert_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);

    assert_non_null(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

/* What a certificate is made of. */
struct recipe {
    const char *name; /* of its files */
    const char *common_name;
    int common_name_len; /* -1: up to the NUL; 0: none */
    const char *alt_names;
    const EVP_MD *digest; /* NULL: SHA-256 */
    bool ed25519, other_ca;
};

static X509 *cert_build(const struct recipe *r, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
    static long serial = 1;
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const uint8_t *)"Test, Inc", -1, -1, 0);
    if (r->common_name_len != 0)
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const uint8_t *)r->common_name, r->common_name_len, -1,
                                   0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer != NULL ? issuer : cert));
    if (issuer == NULL)
        cert_extend(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
    if (r->alt_names != NULL)
        cert_extend(cert, issuer, NID_subject_alt_name, r->alt_names);

    bool hashless = EVP_PKEY_get_id(issuer_key) == EVP_PKEY_ED25519;

    assert_true(X509_sign(cert, issuer_key, hashless ? NULL : r->digest != NULL ? r->digest : EVP_sha256()) > 0);
    return cert;
}

static void cert_make(const struct recipe *r)
{
    EVP_PKEY *key = r->ed25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_EC_gen("P-256");
    bool self_signed = r->ed25519; /* so that the signature, too, has no hash */
    X509 *cert = cert_build(r, key,
                            self_signed   ? NULL
                            : r->other_ca ? other_cert
                                          : ca_cert,
                            self_signed   ? key
                            : r->other_ca ? other_key
                                          : ca_key);
    FILE *f = file_new(r->name, "pem");

    assert_int_equal(PEM_write_X509(f, cert), 1);
    fclose(f);
    f = file_new(r->name, "key");
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void ca_make(const char *name, EVP_PKEY **key, X509 **cert)
{
    struct recipe r = {.name = name, .common_name = name, .common_name_len = -1};

    *key = EVP_EC_gen("P-256");
    *cert = cert_build(&r, *key, NULL, *key);

    FILE *f = file_new(name, "pem");

    assert_int_equal(PEM_write_X509(f, *cert), 1);
    fclose(f);
}

static const struct recipe recipes[] = {
    {.name = "server",
     .common_name = "ignored.example.com",
     .common_name_len = -1,
     .alt_names = "DNS:db.example.com,DNS:*.wild.example.com,DNS:part*.example.com,IP:127.0.0.1,IP:::1"},
    {.name = "server384", .common_name = "db", .common_name_len = -1},
    {.name = "server_sha1", .common_name = "db", .common_name_len = -1},
    {.name = "server_ed", .common_name = "db", .common_name_len = -1, .ed25519 = true},
    {.name = "alice", .common_name = "alice", .common_name_len = -1},
    {.name = "nameless", .common_name_len = 0},
    {.name = "forged", .common_name = "alice\0.evil", .common_name_len = 11},
    {.name = "stranger", .common_name = "alice", .common_name_len = -1, .other_ca = true},
};

static int certs_make(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    assert_non_null(mkdtemp(folder));
    ca_make("ca", &ca_key, &ca_cert);
    ca_make("other_ca", &other_key, &other_cert);
    for (size_t i = 0; i < ARRAY_LEN(recipes); i++) {
        struct recipe r = recipes[i];

        r.digest = strcmp(r.name, "server384") == 0     ? EVP_sha384()
                   : strcmp(r.name, "server_sha1") == 0 ? EVP_sha1()
                                                        : NULL;
        cert_make(&r);
    }

    EVP_PKEY *key = EVP_EC_gen("P-256");
    FILE *f = file_new("locked", "key");

    assert_int_equal(PEM_write_PrivateKey(f, key, EVP_aes_128_cbc(), (const uint8_t *)"pass", 4, NULL, NULL), 1);
    fclose(f);
    EVP_PKEY_free(key);
    f = file_new("garbage", "pem");
    fputs("this is no certificate\n", f);
    fclose(f);
    return 0;
}

static int certs_remove(void **state)
{
    static const char *const suffixes[] = {"pem", "key"};
    static const char *const others[] = {"ca", "other_ca", "locked", "garbage"};

    (void)state;
    for (size_t s = 0; s < ARRAY_LEN(suffixes); s++) {
        for (size_t i = 0; i < ARRAY_LEN(recipes); i++)
            unlink(path_of(recipes[i].name, suffixes[s]).text);
        for (size_t i = 0; i < ARRAY_LEN(others); i++)
            unlink(path_of(others[i], suffixes[s]).text);
    }
    X509_free(ca_cert);
    X509_free(other_cert);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(other_key);
    return rmdir(folder);
}

/* --- contexts and sockets --- */

/* One side's options, by the names of certificates (NULL: none). */
struct side {
    enum tls_mode mode;
    const char *identity, *ca, *protocols, *ciphers;
};

static struct tls_context *context_of(const struct side *side, bool listening)
{
    struct path cert = path_of(side->identity != NULL ? side->identity : "", "pem");
    struct path key = path_of(side->identity != NULL ? side->identity : "", "key");
    struct path ca = path_of(side->ca != NULL ? side->ca : "", "pem");
    struct tls_options o = {.mode = side->mode, .protocols = side->protocols, .ciphers = side->ciphers};
    char error[256];

    o.cert_file = side->identity != NULL ? cert.text : NULL;
    o.key_file = side->identity != NULL ? key.text : NULL;
    o.ca_file = side->ca != NULL ? ca.text : "";

    struct tls_context *c = tls_context_new(&o, listening, error, sizeof error);

    assert_string_equal(error, "");
    assert_non_null(c);
    assert_int_equal(tls_context_mode(c), side->mode);
    return c;
}

static void sockets_new(int *a, int *b)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    *a = fds[0];
    *b = fds[1];
}

static bool is_over(enum tls_want want)
{
    return want == TLS_DONE || want == TLS_FAILED;
}

static const struct side plain_server = {.mode = TLS_REQUIRE, .identity = "server"};
static const struct side plain_client = {.mode = TLS_REQUIRE};

#endif
