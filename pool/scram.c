/*
 * scram.c: what SCRAM-SHA-256 and PostgreSQL's md5 compute: keys from passwords (SASLprep by libidn's tables, RFC
 * 4013), secrets, base64, random bytes. The messages are scram_exchange.c's.
 *
 * Invariants:
 * - Every derived byte that is not handed out is wiped.
 * - The only state is the process's random key and the memo of derivations. A memo slot is found by an HMAC of the
 * password under that key, so that it holds no password, and a guess costs the same whether the user exists or not.
 *
 * Thread: any (the memo has a mutex, the key is made once).
 */
#include "pool/scram_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdio.h>
#include <stringprep.h>

#define MEMO_SLOTS 1024

/* --- random bytes, comparison, base64 --- */

static void random_draw(void *out, size_t len)
{
    /* Without randomness every nonce and key could be guessed: there is no way to go on. */
    if (RAND_bytes(out, (int)len) != 1) {
        fputs("sluice: no random bytes to be had from OpenSSL\n", stderr);
        abort();
    }
}

/* OpenSSL asks much for a draw and little for its length. What was given out is wiped. */
void random_bytes(void *out, size_t len)
{
    static _Thread_local struct {
        uint8_t bytes[512];
        size_t left;
    } stock;

    if (len > sizeof stock.bytes / 8) {
        random_draw(out, len);
        return;
    }
    if (stock.left < len) {
        random_draw(stock.bytes, sizeof stock.bytes);
        stock.left = sizeof stock.bytes;
    }
    stock.left -= len;
    memcpy(out, stock.bytes + stock.left, len);
    explicit_bzero(stock.bytes + stock.left, len);
}

bool bytes_equal_const_time(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

static const char base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(const void *in, size_t len, char *out)
{
    const uint8_t *p = in;
    char *o = out;

    for (size_t i = 0; i < len; i += 3) {
        size_t have = MIN(len - i, (size_t)3);
        uint32_t v = (uint32_t)p[i] << 16;

        v |= have > 1 ? (uint32_t)p[i + 1] << 8 : 0;
        v |= have > 2 ? p[i + 2] : 0;
        *o++ = base64_alphabet[v >> 18];
        *o++ = base64_alphabet[(v >> 12) & 63];
        *o++ = have > 1 ? base64_alphabet[(v >> 6) & 63] : '=';
        *o++ = have > 2 ? base64_alphabet[v & 63] : '=';
    }
    *o = '\0';
    return (size_t)(o - out);
}

/* 0 to 63, or -1 for what is not of the alphabet. */
static int base64_value(char c)
{
    const char *at = c == '\0' ? NULL : strchr(base64_alphabet, c);

    return at == NULL ? -1 : (int)(at - base64_alphabet);
}

/* Strict: whole groups, padding only at the end, and no bits left over that an encoder would not have written. */
int base64_decode(const char *in, size_t len, uint8_t *out, size_t out_size)
{
    size_t n = 0;

    if (len % 4 != 0)
        return -1;
    for (size_t i = 0; i < len; i += 4) {
        bool last = i + 4 == len;
        size_t pad = last ? (size_t)(in[i + 3] == '=') + (in[i + 3] == '=' && in[i + 2] == '=') : 0;
        uint32_t v = 0;

        for (size_t k = 0; k < 4 - pad; k++) {
            int bits = base64_value(in[i + k]);

            if (bits < 0)
                return -1;
            v |= (uint32_t)bits << (18 - 6 * k);
        }
        if ((v & ((1u << (8 * pad)) - 1)) != 0 || n + 3 - pad > out_size)
            return -1;
        for (size_t k = 0; k < 3 - pad; k++)
            out[n++] = (uint8_t)(v >> (16 - 8 * k));
    }
    return (int)n;
}

/* --- hashes --- */

void scram_sha256(const void *in, size_t len, uint8_t out[SCRAM_KEY])
{
    if (EVP_Digest(in, len, out, NULL, EVP_sha256(), NULL) != 1)
        abort(); /* only for want of memory */
}

void scram_hmac(const uint8_t key[SCRAM_KEY], const void *text, size_t len, uint8_t out[SCRAM_KEY])
{
    if (HMAC(EVP_sha256(), key, SCRAM_KEY, text, len, out, NULL) == NULL)
        abort(); /* only for want of memory */
}

void scram_xor(const uint8_t a[SCRAM_KEY], const uint8_t b[SCRAM_KEY], uint8_t out[SCRAM_KEY])
{
    for (size_t i = 0; i < SCRAM_KEY; i++)
        out[i] = a[i] ^ b[i];
}

/* "md5" + hex(md5(a b)). Where OpenSSL has no md5 (FIPS), something that nothing is equal to: the login fails. */
static void md5_hex(const void *a, size_t a_len, const void *b, size_t b_len, char out[36])
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (ctx == NULL)
        abort();
    if (EVP_DigestInit_ex(ctx, EVP_md5(), NULL) != 1 || EVP_DigestUpdate(ctx, a, a_len) != 1 ||
        EVP_DigestUpdate(ctx, b, b_len) != 1 || EVP_DigestFinal_ex(ctx, digest, NULL) != 1)
        random_bytes(digest, sizeof digest);
    EVP_MD_CTX_free(ctx);
    memcpy(out, "md5", 3);
    for (size_t i = 0; i < 16; i++)
        snprintf(out + 3 + 2 * i, 3, "%02x", digest[i]);
    explicit_bzero(digest, sizeof digest);
}

void md5_secret(const char *password, const char *user, char out[36])
{
    md5_hex(password, strlen(password), user, strlen(user), out);
}

void md5_answer(const char secret[36], const uint8_t salt[4], char out[36])
{
    md5_hex(secret + 3, 32, salt, 4, out);
}

/* --- SASLprep --- */

#define PROFILE_STEPS_MAX 32

/* libidn normalises as Unicode 3.2 did; Unicode's Corrigendum 4 has since changed what these become. */
static const Stringprep_table_element prep_corrigendum[] = {
    {.start = 0x2f868, .end = 0x2f868, .map = {0x36fc}},  {.start = 0x2f874, .end = 0x2f874, .map = {0x5f53}},
    {.start = 0x2f91f, .end = 0x2f91f, .map = {0x243ab}}, {.start = 0x2f95f, .end = 0x2f95f, .map = {0x7aee}},
    {.start = 0x2f9bf, .end = 0x2f9bf, .map = {0x45d7}},  {0},
};

static Stringprep_profile prep_profile[PROFILE_STEPS_MAX];

/* libidn's SASLprep, but with normalisation last: PostgreSQL looks for prohibited, unassigned and right-to-left
 * characters before it normalises, and its users' secrets were made so. */
static void prep_profile_build(void)
{
    size_t n = 0;

    for (const Stringprep_profile *p = stringprep_saslprep; p->operation != 0 && n < PROFILE_STEPS_MAX - 3; p++) {
        if (p->operation != STRINGPREP_NFKC)
            prep_profile[n++] = *p;
    }
    prep_profile[n++] = (Stringprep_profile){
        .operation = STRINGPREP_MAP_TABLE,
        .table = prep_corrigendum,
        .table_size = ARRAY_LEN(prep_corrigendum) - 1,
    };
    prep_profile[n].operation = STRINGPREP_NFKC;
}

/* The prepared password, owned by the caller; NULL where the raw bytes are to be used. */
static char *password_prepare(const char *password)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    size_t len = strlen(password);
    bool ascii = true;

    for (size_t i = 0; i < len; i++)
        ascii &= (uint8_t)password[i] < 0x80;
    if (ascii)
        return NULL;
    pthread_once(&once, prep_profile_build);
    for (size_t size = 4 * len + 16;; size *= 2) {
        char *out = mem_zalloc(size);

        memcpy(out, password, len);
        int rc = stringprep(out, size, STRINGPREP_NO_UNASSIGNED, prep_profile);
        if (rc == STRINGPREP_OK && out[0] != '\0')
            return out;
        explicit_bzero(out, size);
        free(out);
        if (rc != STRINGPREP_TOO_SMALL_BUFFER)
            return NULL;
    }
}

/* --- the process's key, the memo, derivation of keys --- */

static uint8_t process_key[SCRAM_KEY];

static void process_key_make(void)
{
    random_bytes(process_key, sizeof process_key);
}

static const uint8_t *process_key_get(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, process_key_make);
    return process_key;
}

void scram_salt_of_user(const char *user, uint8_t salt[SCRAM_OWN_SALT])
{
    uint8_t digest[SCRAM_KEY];

    scram_hmac(process_key_get(), user, strlen(user), digest);
    memcpy(salt, digest, SCRAM_OWN_SALT);
}

struct memo {
    bool used;
    uint8_t id[SCRAM_KEY]; /* HMAC of iterations, salt and password under the process's key */
    struct scram_keys keys;
};

static struct memo memo[MEMO_SLOTS];
static pthread_mutex_t memo_lock = PTHREAD_MUTEX_INITIALIZER;

static struct memo *memo_slot(const uint8_t id[SCRAM_KEY])
{
    return &memo[(((size_t)id[0] << 8) | id[1]) % MEMO_SLOTS];
}

static void memo_id(const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations,
                    uint8_t id[SCRAM_KEY])
{
    uint32_t head[2] = {iterations, (uint32_t)salt_len};
    size_t password_len = strlen(password);
    size_t len = sizeof head + salt_len + password_len;
    uint8_t *text = mem_alloc(len);

    memcpy(text, head, sizeof head);
    memcpy(text + sizeof head, salt, salt_len);
    memcpy(text + sizeof head + salt_len, password, password_len);
    scram_hmac(process_key_get(), text, len, id);
    explicit_bzero(text, len);
    free(text);
}

static bool memo_get(const uint8_t id[SCRAM_KEY], struct scram_keys *keys)
{
    const struct memo *m = memo_slot(id);

    pthread_mutex_lock(&memo_lock);
    bool found = m->used && bytes_equal_const_time(m->id, id, SCRAM_KEY);
    if (found)
        *keys = m->keys;
    pthread_mutex_unlock(&memo_lock);
    return found;
}

static void memo_put(const uint8_t id[SCRAM_KEY], const struct scram_keys *keys)
{
    struct memo *m = memo_slot(id);

    pthread_mutex_lock(&memo_lock);
    m->used = true;
    memcpy(m->id, id, SCRAM_KEY);
    m->keys = *keys;
    pthread_mutex_unlock(&memo_lock);
}

/* SaltedPassword, and from it both keys: the part that is slow by design. */
static void keys_compute(const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations,
                         struct scram_keys *keys)
{
    char *prepared = password_prepare(password);
    const char *used = prepared != NULL ? prepared : password;
    size_t len = strlen(used);
    uint8_t salted[SCRAM_KEY];

    if (PKCS5_PBKDF2_HMAC(used, (int)len, salt, (int)salt_len, (int)iterations, EVP_sha256(), SCRAM_KEY, salted) != 1)
        abort(); /* only for want of memory */
    scram_hmac(salted, "Client Key", 10, keys->client_key);
    scram_hmac(salted, "Server Key", 10, keys->server_key);
    explicit_bzero(salted, sizeof salted);
    if (prepared != NULL) {
        explicit_bzero(prepared, len);
        free(prepared);
    }
}

void scram_keys_derive(const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations,
                       struct scram_keys *keys)
{
    uint8_t id[SCRAM_KEY];

    memo_id(password, salt, salt_len, iterations, id);
    if (memo_get(id, keys))
        return;
    keys_compute(password, salt, salt_len, iterations, keys);
    memo_put(id, keys);
}

void scram_secret_build(const char *password, const uint8_t *salt, size_t salt_len, uint32_t iterations,
                        struct scram_secret *s, struct scram_keys *keys)
{
    struct scram_keys derived;

    assert(salt_len <= SCRAM_SALT_MAX && iterations >= 1 && iterations <= INT32_MAX);
    scram_keys_derive(password, salt, salt_len, iterations, &derived);
    s->iterations = iterations;
    s->salt_len = salt_len;
    memcpy(s->salt, salt, salt_len);
    scram_sha256(derived.client_key, SCRAM_KEY, s->stored_key);
    memcpy(s->server_key, derived.server_key, SCRAM_KEY);
    if (keys != NULL)
        *keys = derived;
    explicit_bzero(&derived, sizeof derived);
}

/* --- stored secrets --- */

/* Digits only, 1 to max; false otherwise. */
bool scram_number_parse(struct span text, uint32_t max, uint32_t *out)
{
    uint64_t v = 0;

    if (text.len == 0 || text.len > 10)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        v = v * 10 + (text.ptr[i] - '0');
    }
    *out = (uint32_t)v;
    return v >= 1 && v <= max;
}

/* The bytes up to (not with) `end`, taken off the front of rest together with it; false if it never comes. */
bool scram_span_until(struct span *rest, char end, struct span *part)
{
    const uint8_t *at = rest->len == 0 ? NULL : memchr(rest->ptr, end, rest->len);

    if (at == NULL)
        return false;
    *part = span_of(rest->ptr, (size_t)(at - rest->ptr));
    *rest = span_of(at + 1, rest->len - part->len - 1);
    return true;
}

bool scram_key_parse(struct span text, uint8_t key[SCRAM_KEY])
{
    return text.len == SCRAM_KEY_BASE64 && base64_decode((const char *)text.ptr, text.len, key, SCRAM_KEY) == SCRAM_KEY;
}

bool scram_secret_parse(const char *text, struct scram_secret *s)
{
    static const char scheme[] = "SCRAM-SHA-256$";
    struct span rest, iterations, salt, stored;

    if (strncmp(text, scheme, sizeof scheme - 1) != 0)
        return false;
    rest = span_of(text + sizeof scheme - 1, strlen(text) - (sizeof scheme - 1));
    if (!scram_span_until(&rest, ':', &iterations) || !scram_span_until(&rest, '$', &salt) ||
        !scram_span_until(&rest, ':', &stored))
        return false;
    int salt_len = base64_decode((const char *)salt.ptr, salt.len, s->salt, sizeof s->salt);
    if (salt_len <= 0)
        return false;
    s->salt_len = (size_t)salt_len;
    return scram_number_parse(iterations, INT32_MAX, &s->iterations) && scram_key_parse(stored, s->stored_key) &&
           scram_key_parse(rest, s->server_key);
}
