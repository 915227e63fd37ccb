/*
 * tls.c: TLS sessions over connected, non-blocking sockets, by OpenSSL 3.0.
 * Thread: contexts immutable once built; a struct tls belongs to its connection's worker.
 *
 *   HANDSHAKE ──> OPEN ──> CLOSED (the peer sends no more; we still may)
 *       └───────────┴────────┴──> BROKEN (for good; `error` says why)
 *
 * Invariants:
 * - OpenSSL's error queue, which is one for the whole thread, is cleared before each call and read right after it, so
 *   that an error never shows up on another connection.
 * - A state is left only through state_move. A context is not changed once it is built.
 * - An end of the stream without close_notify is taken for a close (SSL_OP_IGNORE_UNEXPECTED_EOF): PostgreSQL's
 *   messages say themselves where they end, so that a stream that was cut off cannot be taken for a whole one, and
 *   libpq's own clients often leave in this way.
 * - OpenSSL writes to the socket with write(2): the process must ignore SIGPIPE.
 */
#include "pool/tls.h"
#include "conf/log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>
#include <sys/stat.h>

#define ALPN_NAME "postgresql"

struct tls_context {
    SSL_CTX *ssl; /* owned */
    enum tls_mode mode;
    atomic_uint refs;
};

enum tls_state { STATE_HANDSHAKE, STATE_OPEN, STATE_CLOSED, STATE_BROKEN };

struct tls {
    SSL *ssl; /* owned */
    enum tls_state state;
    bool starved;  /* what OpenSSL still holds is the beginning of a record: only the socket can bring the rest */
    bool untold;   /* the stream has ended, after bytes that the caller got: the next read says so */
    int error_no;  /* errno to report again once the state is BROKEN */
    char *error;   /* owned; NULL while nothing went wrong */
    char name[80]; /* protocol and cipher, once open */
};

static const uint8_t alpn_wire[] = "\x0a" ALPN_NAME;
#define ALPN_WIRE_LEN (sizeof alpn_wire - 1)

/* --- building a context --- */

static bool is_set(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* Writes "what: reason", of the oldest error in OpenSSL's queue (the cause of the others), which is emptied; always
 * false. */
static bool build_failed(char *error, size_t error_size, const char *what, const char *subject)
{
    unsigned long code = ERR_peek_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

    if (code != 0 && ERR_SYSTEM_ERROR(code))
        reason = strerror(ERR_GET_REASON(code));
    snprintf(error, error_size, "%s%s%s%s%s%s", what, subject != NULL ? " \"" : "", subject != NULL ? subject : "",
             subject != NULL ? "\"" : "", reason != NULL ? ": " : "", reason != NULL ? reason : "");
    ERR_clear_error();
    return false;
}

#define PROTOCOL_12 1u
#define PROTOCOL_13 2u

/* The bits of one word of the list; 0 where it is none. */
static unsigned protocol_bits(const char *word, size_t len)
{
    static const struct {
        const char *name;
        unsigned bits;
    } words[] = {
        {"secure", PROTOCOL_12 | PROTOCOL_13},
        {"default", PROTOCOL_12 | PROTOCOL_13},
        {"all", PROTOCOL_12 | PROTOCOL_13},
        {"legacy", PROTOCOL_12 | PROTOCOL_13},
        {"tlsv1.2", PROTOCOL_12},
        {"tlsv1.3", PROTOCOL_13},
    };

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strlen(words[i].name) == len && strncasecmp(words[i].name, word, len) == 0)
            return words[i].bits;
    }
    return 0;
}

static bool set_protocols(SSL_CTX *ssl, const char *list, char *error, size_t error_size)
{
    unsigned bits = is_set(list) ? 0 : PROTOCOL_12 | PROTOCOL_13;

    for (const char *at = list; is_set(at);) {
        size_t len = strcspn(at, ",: ");
        unsigned more = protocol_bits(at, len);

        if (len > 0 && more == 0) {
            snprintf(error, error_size, "TLS protocol \"%.*s\" is not supported: use tlsv1.2, tlsv1.3, secure or all",
                     (int)MIN(len, (size_t)40), at);
            return false;
        }
        bits |= more;
        at += len + (at[len] != '\0');
    }
    if (bits == 0) {
        snprintf(error, error_size, "no TLS protocol is left: use tlsv1.2, tlsv1.3, secure or all");
        return false;
    }
    SSL_CTX_set_min_proto_version(ssl, bits & PROTOCOL_12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_max_proto_version(ssl, bits & PROTOCOL_13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    return true;
}

/* PgBouncer's short names for lists of ciphers. */
static const char *cipher_list(const char *name)
{
    static const char *const lists[][2] = {
        {"default", "DEFAULT:!aNULL:!eNULL"},
        {"normal", "DEFAULT:!aNULL:!eNULL"},
        {"secure", "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:DHE+CHACHA20:!aNULL:!eNULL"},
        {"fast", "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL:!eNULL"},
        {"compat", "ALL:!aNULL:!eNULL"},
        {"legacy", "ALL:!aNULL:!eNULL"},
        {"all", "ALL:!aNULL:!eNULL"},
    };

    if (!is_set(name))
        return lists[0][1];
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        if (strcasecmp(lists[i][0], name) == 0)
            return lists[i][1];
    }
    return name;
}

static bool set_ciphers(SSL_CTX *ssl, const struct tls_options *o, char *error, size_t error_size)
{
    if (SSL_CTX_set_cipher_list(ssl, cipher_list(o->ciphers)) != 1)
        return build_failed(error, error_size, "invalid list of TLS ciphers", o->ciphers);
    if (is_set(o->ciphers13) && SSL_CTX_set_ciphersuites(ssl, o->ciphers13) != 1)
        return build_failed(error, error_size, "invalid list of TLS 1.3 cipher suites", o->ciphers13);
    return true;
}

static bool set_key_exchange(SSL_CTX *ssl, const struct tls_options *o, char *error, size_t error_size)
{
    const char *curve = is_set(o->ecdhcurve) ? o->ecdhcurve : "auto";
    const char *params = is_set(o->dheparams) ? o->dheparams : "auto";
    bool params_auto = strcasecmp(params, "auto") == 0 || strcasecmp(params, "legacy") == 0;

    /* "none" means no elliptic curve; TLS 1.3 still needs a group. */
    if (strcasecmp(curve, "none") == 0)
        curve = "ffdhe2048:ffdhe3072:ffdhe4096";
    if (strcasecmp(curve, "auto") != 0 && SSL_CTX_set1_groups_list(ssl, curve) != 1)
        return build_failed(error, error_size, "unknown TLS curve", curve);
    if (!params_auto && strcasecmp(params, "none") != 0) {
        snprintf(error, error_size, "TLS dheparams must be auto, legacy or none, not \"%s\"", params);
        return false;
    }
    /* "legacy" asks for 1024 bits, which OpenSSL refuses at its default level of security: it gets the automatic size.
     */
    SSL_CTX_set_dh_auto(ssl, params_auto ? 1 : 0);
    return true;
}

/* A private key that wants a passphrase fails to load: OpenSSL would ask for it on the terminal, and wait. */
static int no_passphrase(char *out, int size, int writing, void *asked)
{
    (void)out;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static bool load_key(SSL_CTX *ssl, const char *path, char *error, size_t error_size)
{
    bool asked = false;

    SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, &asked);

    bool loaded = SSL_CTX_use_PrivateKey_file(ssl, path, SSL_FILETYPE_PEM) == 1;

    SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
    if (loaded)
        return true;
    if (asked)
        ERR_clear_error(); /* it says "cancelled" only */
    return build_failed(error, error_size,
                        asked ? "a passphrase protects private key file" : "could not load private key file", path);
}

/* PgBouncer takes any key file; PostgreSQL and libpq refuse one that others may read. Such a key works, with a warning.
 */
static void key_file_warn(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && (st.st_mode & S_IRWXO) != 0)
        log_warn("private key file \"%s\" can be used by others: its mode should be 0600 or 0640", path);
}

static bool set_identity(SSL_CTX *ssl, const struct tls_options *o, bool listening, char *error, size_t error_size)
{
    if (!is_set(o->key_file) && !is_set(o->cert_file) && !listening)
        return true;
    if (!is_set(o->key_file) || !is_set(o->cert_file)) {
        snprintf(error, error_size, "TLS needs both a key file and a certificate file%s",
                 listening ? " to listen" : ", or neither");
        return false;
    }
    if (SSL_CTX_use_certificate_chain_file(ssl, o->cert_file) != 1)
        return build_failed(error, error_size, "could not load certificate file", o->cert_file);
    if (!load_key(ssl, o->key_file, error, error_size))
        return false;
    if (SSL_CTX_check_private_key(ssl) != 1)
        return build_failed(error, error_size, "the private key is not the certificate's", o->key_file);
    key_file_warn(o->key_file);
    return true;
}

static bool set_verification(SSL_CTX *ssl, const struct tls_options *o, bool listening, char *error, size_t error_size)
{
    bool demanded = o->mode == TLS_VERIFY_CA || o->mode == TLS_VERIFY_FULL;

    if (!is_set(o->ca_file)) {
        if (!demanded)
            return true;
        snprintf(error, error_size, "verify-ca and verify-full need a CA file");
        return false;
    }
    if (SSL_CTX_load_verify_locations(ssl, o->ca_file, NULL) != 1)
        return build_failed(error, error_size, "could not load CA file", o->ca_file);
    if (!listening) {
        SSL_CTX_set_verify(ssl, demanded ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
        return true;
    }

    STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(o->ca_file);

    if (names == NULL)
        return build_failed(error, error_size, "could not read the names in CA file", o->ca_file);
    SSL_CTX_set_client_CA_list(ssl, names); /* takes them over */
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | (demanded ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    return true;
}

/* A client that offers ALPN but not ours speaks another protocol: refused, as RFC 7301 and PostgreSQL 17 say. */
static int alpn_select(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                       unsigned in_len, void *arg)
{
    unsigned char *chosen = NULL;

    (void)ssl;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_len, alpn_wire, ALPN_WIRE_LEN, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* Tickets resume a session without any memory here; they end with the context, whose key they are sealed with. */
static void set_listening(SSL_CTX *ssl)
{
    static const unsigned char id[] = "sluice";

    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ssl, id, sizeof id - 1); /* without it, no session with a certificate is resumed */
    SSL_CTX_set_num_tickets(ssl, 1);
    SSL_CTX_set_alpn_select_cb(ssl, alpn_select, NULL);
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE);
}

static bool context_set(SSL_CTX *ssl, const struct tls_options *o, bool listening, char *error, size_t error_size)
{
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(ssl, 1);
    if (listening)
        set_listening(ssl);
    return set_protocols(ssl, o->protocols, error, error_size) && set_ciphers(ssl, o, error, error_size) &&
           (!listening || set_key_exchange(ssl, o, error, error_size)) &&
           set_identity(ssl, o, listening, error, error_size) && set_verification(ssl, o, listening, error, error_size);
}

struct tls_context *tls_context_new(const struct tls_options *o, bool listening, char *error, size_t error_size)
{
    error[0] = '\0';
    if (o->mode == TLS_DISABLE)
        return NULL;
    ERR_clear_error();

    SSL_CTX *ssl = SSL_CTX_new(listening ? TLS_server_method() : TLS_client_method());

    if (ssl == NULL) {
        build_failed(error, error_size, "could not start OpenSSL", NULL);
        return NULL;
    }
    if (!context_set(ssl, o, listening, error, error_size)) {
        SSL_CTX_free(ssl);
        return NULL;
    }

    struct tls_context *c = mem_zalloc(sizeof *c);

    c->ssl = ssl;
    c->mode = o->mode;
    atomic_init(&c->refs, 1);
    return c;
}

void tls_context_ref(struct tls_context *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
}

void tls_context_unref(struct tls_context *c)
{
    if (c == NULL || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
        return;
    SSL_CTX_free(c->ssl);
    free(c);
}

enum tls_mode tls_context_mode(const struct tls_context *c)
{
    return c->mode;
}

/* --- one session --- */

static void state_move(struct tls *t, enum tls_state to)
{
    static const bool legal[4][4] = {
        [STATE_HANDSHAKE] = {[STATE_OPEN] = true, [STATE_BROKEN] = true},
        [STATE_OPEN] = {[STATE_CLOSED] = true, [STATE_BROKEN] = true},
        [STATE_CLOSED] = {[STATE_BROKEN] = true},
    };

    assert(legal[t->state][to]);
    t->state = to;
}

static enum tls_want session_break(struct tls *t, int error_no, char *owned_text)
{
    free(t->error);
    t->error = owned_text;
    t->error_no = error_no;
    state_move(t, STATE_BROKEN);
    ERR_clear_error();
    errno = error_no;
    return TLS_FAILED;
}

/* The text of the oldest error in OpenSSL's queue, the cause of the others; the caller frees. */
static char *queue_text(const struct tls *t)
{
    unsigned long code = ERR_peek_error();
    long verified = SSL_get_verify_result(t->ssl);
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

    if (ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
        return mem_printf("certificate verify failed: %s", X509_verify_cert_error_string(verified));
    if (reason != NULL)
        return mem_strdup(reason);
    return mem_printf("TLS error %lx", code);
}

/* What a call that did not succeed wants. saved_errno: as the call left it. Never TLS_DONE; a peer that closed is
 * answered with TLS_FAILED in state CLOSED, or BROKEN where the handshake was not over. */
static enum tls_want call_result(struct tls *t, int result, int saved_errno)
{
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        if (t->state == STATE_OPEN)
            state_move(t, STATE_CLOSED);
        if (t->state == STATE_CLOSED)
            return TLS_FAILED;
        break;
    case SSL_ERROR_SYSCALL:
        if (saved_errno != 0)
            return session_break(t, saved_errno, mem_strdup(strerror(saved_errno)));
        break;
    default:
        return session_break(t, EPROTO, queue_text(t));
    }
    return session_break(t, ECONNRESET,
                         mem_strdup(t->state == STATE_HANDSHAKE ? "the peer closed the connection in the TLS handshake"
                                                                : "the peer closed the connection"));
}

static struct tls *session_new(struct tls_context *c, int fd)
{
    struct tls *t = mem_zalloc(sizeof *t);

    ERR_clear_error();
    t->ssl = SSL_new(c->ssl);
    if (t->ssl == NULL || SSL_set_fd(t->ssl, fd) != 1)
        abort(); /* both fail for lack of memory only */
    t->state = STATE_HANDSHAKE;
    return t;
}

struct tls *tls_accept(struct tls_context *c, int fd)
{
    struct tls *t = session_new(c, fd);

    SSL_set_accept_state(t->ssl);
    return t;
}

static bool is_ip_address(const char *host)
{
    struct in6_addr address;

    return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

/* Has the certificate's name checked; false where there is no name to check it by. */
static bool expect_name(SSL *ssl, const char *host)
{
    if (!is_set(host) || host[0] == '/')
        return false;
    if (is_ip_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1;
}

struct tls *tls_connect(struct tls_context *c, int fd, const char *host)
{
    struct tls *t = session_new(c, fd);
    bool is_name = is_set(host) && strpbrk(host, "/:") == NULL && !is_ip_address(host);

    SSL_set_connect_state(t->ssl);
    SSL_set_alpn_protos(t->ssl, alpn_wire, ALPN_WIRE_LEN);
    if (is_name)
        SSL_set_tlsext_host_name(t->ssl, host); /* longer than SNI can be: goes without */
    if (c->mode == TLS_VERIFY_FULL && !expect_name(t->ssl, host))
        session_break(t, EINVAL,
                      mem_strdup("verify-full needs a host name or an IP address to compare the certificate with"));
    return t;
}

void tls_free(struct tls *t)
{
    if (t == NULL)
        return;
    ERR_clear_error();
    if (t->state == STATE_OPEN || t->state == STATE_CLOSED)
        SSL_shutdown(t->ssl);
    SSL_free(t->ssl);
    ERR_clear_error(); /* a peer that is gone already is no error of the next connection */
    free(t->error);
    free(t);
}

enum tls_want tls_handshake(struct tls *t)
{
    if (t->state == STATE_BROKEN) {
        errno = t->error_no;
        return TLS_FAILED;
    }
    if (t->state != STATE_HANDSHAKE)
        return TLS_DONE;
    ERR_clear_error();
    errno = 0;

    int result = SSL_do_handshake(t->ssl);

    if (result != 1)
        return call_result(t, result, errno);
    state_move(t, STATE_OPEN);
    snprintf(t->name, sizeof t->name, "%s/%s", SSL_get_version(t->ssl), SSL_get_cipher_name(t->ssl));
    return TLS_DONE;
}

/* What a broken or unfinished session answers to read and write. */
static ssize_t session_refuses(struct tls *t, enum tls_want *want)
{
    if (t->state == STATE_HANDSHAKE)
        session_break(t, EPROTO, mem_strdup("the TLS handshake is not finished"));
    errno = t->error_no;
    *want = TLS_FAILED;
    return -1;
}

/* OpenSSL gives one record a call. All that it already has is taken, so that the caller's next question goes to the
 * socket, and never to the socket twice in one turn. */
/* What an earlier call of this thread has left; mostly there is nothing, which costs less to see than to clear. */
static void forget_errors(void)
{
    if (UNLIKELY(ERR_peek_error() != 0))
        ERR_clear_error();
}

ssize_t tls_read(struct tls *t, void *buf, size_t len, enum tls_want *want)
{
    size_t got = 0;

    assert(len > 0);
    t->untold = false;
    if (t->state == STATE_CLOSED)
        return 0;
    if (t->state != STATE_OPEN)
        return session_refuses(t, want);
    do {
        forget_errors();
        errno = 0;

        int n = SSL_read(t->ssl, (uint8_t *)buf + got, (int)MIN(len - got, (size_t)INT_MAX));

        if (n <= 0) {
            *want = call_result(t, n, errno);
            t->starved = *want == TLS_WANT_READ;
            break;
        }
        t->starved = false;
        got += (size_t)n;
    } while (got < len && SSL_has_pending(t->ssl));
    if (got > 0) {
        t->untold = t->state != STATE_OPEN;
        return (ssize_t)got;
    }
    return t->state == STATE_CLOSED ? 0 : -1;
}

/* What a failed write wants. A socket that takes no more may still hold what the peer said last, a server's reason to
 * leave for example: the session stays readable. */
static enum tls_want write_result(struct tls *t, int result, int saved_errno)
{
    if (SSL_get_error(t->ssl, result) != SSL_ERROR_SYSCALL || saved_errno == 0)
        return call_result(t, result, saved_errno);
    free(t->error);
    t->error = mem_strdup(strerror(saved_errno));
    errno = saved_errno;
    return TLS_FAILED;
}

/* OpenSSL writes one record a call; a record that the socket takes only in part is held back inside, and the next call
 * must bring at least the same bytes again. */
ssize_t tls_write(struct tls *t, const void *buf, size_t len, enum tls_want *want)
{
    size_t put = 0;

    if (t->state != STATE_OPEN && t->state != STATE_CLOSED)
        return session_refuses(t, want);
    while (put < len) {
        forget_errors();
        errno = 0;

        int n = SSL_write(t->ssl, (const uint8_t *)buf + put, (int)MIN(len - put, (size_t)INT_MAX));

        if (n <= 0) {
            *want = write_result(t, n, errno);
            return put > 0 ? (ssize_t)put : -1;
        }
        put += (size_t)n;
    }
    return (ssize_t)put;
}

bool tls_rest(struct tls *t)
{
    bool empty = t->state == STATE_OPEN && SSL_pending(t->ssl) == 0 && SSL_has_pending(t->ssl) == 0;

    return empty && SSL_free_buffers(t->ssl) == 1;
}

bool tls_pending(const struct tls *t)
{
    return t->untold || SSL_pending(t->ssl) > 0 || (!t->starved && SSL_has_pending(t->ssl) == 1);
}

const char *tls_error(const struct tls *t)
{
    return t->error != NULL ? t->error : "";
}

const char *tls_description(const struct tls *t)
{
    return t->name;
}

/* --- who the peer is --- */

/* The subject of the peer's certificate, if it gave one that was verified; borrowed from the session. */
static X509_NAME *peer_subject(const struct tls *t)
{
    X509 *cert = SSL_get0_peer_certificate(t->ssl);

    if (cert == NULL || SSL_get_verify_result(t->ssl) != X509_V_OK)
        return NULL;
    return X509_get_subject_name(cert);
}

/* False where the bytes hold a NUL or do not fit: half a name is another's name. */
static bool name_copy(const void *bytes, size_t len, char *name, size_t size)
{
    if (len >= size || memchr(bytes, 0, len) != NULL)
        return false;
    memcpy(name, bytes, len);
    name[len] = '\0';
    return true;
}

bool tls_peer_common_name(const struct tls *t, char *name, size_t size)
{
    X509_NAME *subject = peer_subject(t);

    name[0] = '\0';
    if (subject == NULL)
        return false;

    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    if (at < 0)
        return true;

    unsigned char *text = NULL;
    int len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    bool fits = len >= 0 && name_copy(text, (size_t)len, name, size);

    OPENSSL_free(text);
    ERR_clear_error();
    return fits;
}

bool tls_peer_distinguished_name(const struct tls *t, char *name, size_t size)
{
    X509_NAME *subject = peer_subject(t);

    name[0] = '\0';
    if (subject == NULL)
        return false;

    BIO *out = BIO_new(BIO_s_mem());
    char *text = NULL;

    if (out == NULL)
        abort(); /* fails for lack of memory only */

    bool printed = X509_NAME_print_ex(out, subject, 0, XN_FLAG_RFC2253) >= 0;
    long len = BIO_get_mem_data(out, &text);
    bool fits = printed && (len == 0 || name_copy(text, (size_t)len, name, size));

    BIO_free(out);
    ERR_clear_error();
    return fits;
}

size_t tls_endpoint_hash(const struct tls *t, bool listening, uint8_t out[64])
{
    X509 *cert = listening ? SSL_get_certificate(t->ssl) : SSL_get0_peer_certificate(t->ssl);
    int hash = NID_undef;
    unsigned len = 0;

    if (cert == NULL || X509_get_signature_info(cert, &hash, NULL, NULL, NULL) != 1) {
        forget_errors();
        return 0;
    }
    /* RFC 5929, section 4.1: the signature's hash, but never one of the two weak ones. */
    if (hash == NID_md5 || hash == NID_sha1)
        hash = NID_sha256;

    const EVP_MD *digest = EVP_get_digestbynid(hash);

    if (digest == NULL || EVP_MD_get_size(digest) > 64 || X509_digest(cert, digest, out, &len) != 1)
        len = 0;
    ERR_clear_error();
    return len;
}

bool tls_alpn_postgresql(const struct tls *t)
{
    const unsigned char *chosen = NULL;
    unsigned len = 0;

    SSL_get0_alpn_selected(t->ssl, &chosen, &len);
    return span_equal(span_of(chosen, len), span_of(ALPN_NAME, strlen(ALPN_NAME)));
}
