/*
 * stmts.c: see stmts.h. Sets are small chained hash tables that double.
 * Thread: stmt_text any; sets worker.
 */
#include "pool/stmts.h"

#include "parser/verb.h"
#include "pool/scram.h"
#include "pool/vars.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>

/* --- texts --- */

static struct {
    pthread_mutex_t lock;
    struct stmt_text **buckets;
    size_t bucket_count;
    size_t count;
    size_t bytes;
    uint64_t seed[2];
    uint64_t nonce;
} texts = {.lock = PTHREAD_MUTEX_INITIALIZER};

#define TEXT_BUCKETS_FIRST 256
#define SET_BUCKETS_FIRST 8

static void texts_prepare(void)
{
    if (texts.buckets != NULL)
        return;
    random_bytes(texts.seed, sizeof texts.seed);
    texts.bucket_count = TEXT_BUCKETS_FIRST;
    texts.buckets = mem_zalloc(texts.bucket_count * sizeof *texts.buckets);
}

static void texts_grow(void)
{
    size_t count = texts.bucket_count * 2;
    struct stmt_text **buckets = mem_zalloc(count * sizeof *buckets);

    for (size_t i = 0; i < texts.bucket_count; i++) {
        while (texts.buckets[i] != NULL) {
            struct stmt_text *t = texts.buckets[i];
            texts.buckets[i] = t->chain;
            t->chain = buckets[t->key[0] & (count - 1)];
            buckets[t->key[0] & (count - 1)] = t;
        }
    }
    free(texts.buckets);
    texts.buckets = buckets;
    texts.bucket_count = count;
}

static size_t text_size(const struct stmt_text *t)
{
    return sizeof *t + t->sql_len + 1 + t->types_len;
}

static bool text_is(const struct stmt_text *t, const uint64_t key[2], const char *sql, size_t sql_len,
                    struct span types, uint64_t environment)
{
    return t->key[0] == key[0] && t->key[1] == key[1] && t->environment == environment && t->sql_len == sql_len &&
           memcmp(t->data, sql, sql_len) == 0 && span_equal(stmt_text_types(t), types);
}

static void text_key(uint64_t key[2], const char *sql, size_t sql_len, struct span types, uint64_t environment,
                     uint64_t nonce)
{
    for (int i = 0; i < 2; i++) {
        uint64_t h = hash_bytes(texts.seed[i] ^ nonce, sql, sql_len);
        h = hash_bytes(h, types.ptr, types.len);
        key[i] = hash_bytes(h, &environment, sizeof environment);
    }
}

static struct stmt_text *text_add(const uint64_t key[2], const char *sql, size_t sql_len, struct span types,
                                  uint64_t environment)
{
    struct stmt_text *t = mem_zalloc(sizeof *t + sql_len + 1 + types.len);

    if (texts.count >= texts.bucket_count * 2)
        texts_grow();
    t->refs = 1;
    t->key[0] = key[0];
    t->key[1] = key[1];
    t->environment = environment;
    t->sql_len = sql_len;
    t->types_len = types.len;
    memcpy(t->data, sql, sql_len + 1);
    if (types.len > 0)
        memcpy(t->data + sql_len + 1, types.ptr, types.len);
    snprintf(t->name, sizeof t->name, "sluice_%016llx%016llx", (unsigned long long)key[0], (unsigned long long)key[1]);
    struct stmt_text **bucket = &texts.buckets[key[0] & (texts.bucket_count - 1)];
    t->chain = *bucket;
    *bucket = t;
    texts.count++;
    texts.bytes += text_size(t);
    return t;
}

/* The object with this very key: the same text, or (a collision) another; NULL if the key is free. */
static struct stmt_text *text_at(const uint64_t key[2])
{
    struct stmt_text *t = texts.buckets[key[0] & (texts.bucket_count - 1)];

    while (t != NULL && (t->key[0] != key[0] || t->key[1] != key[1]))
        t = t->chain;
    return t;
}

struct stmt_text *stmt_text_intern(const char *sql, struct span types, uint64_t environment)
{
    size_t sql_len = strlen(sql);
    bool momentary = stmt_text_is_momentary(sql);
    uint64_t key[2];
    struct stmt_text *t;

    pthread_mutex_lock(&texts.lock);
    texts_prepare();
    text_key(key, sql, sql_len, types, environment, momentary ? ++texts.nonce : 0);
    while ((t = text_at(key)) != NULL) {
        if (!momentary && text_is(t, key, sql, sql_len, types, environment))
            break;
        text_key(key, sql, sql_len, types, environment, ++texts.nonce);
    }
    if (t != NULL)
        __atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
    else
        t = text_add(key, sql, sql_len, types, environment);
    pthread_mutex_unlock(&texts.lock);
    return t;
}

struct stmt_text *stmt_text_ref(struct stmt_text *t)
{
    __atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
    return t;
}

static void text_remove(struct stmt_text *t)
{
    struct stmt_text **at = &texts.buckets[t->key[0] & (texts.bucket_count - 1)];

    while (*at != t)
        at = &(*at)->chain;
    *at = t->chain;
    texts.count--;
    texts.bytes -= text_size(t);
    free(t);
}

void stmt_text_unref(struct stmt_text *t)
{
    if (t == NULL)
        return;
    /* The last reference goes away under the lock only, so that nobody finds a text that is being freed. */
    int refs = __atomic_load_n(&t->refs, __ATOMIC_RELAXED);
    while (refs > 1)
        if (__atomic_compare_exchange_n(&t->refs, &refs, refs - 1, true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            return;
    pthread_mutex_lock(&texts.lock);
    if (__atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) == 0)
        text_remove(t);
    pthread_mutex_unlock(&texts.lock);
}

void stmt_text_usage(size_t *count, size_t *bytes)
{
    pthread_mutex_lock(&texts.lock);
    *count = texts.count;
    *bytes = texts.bytes;
    pthread_mutex_unlock(&texts.lock);
}

/* Outside a literal such a word may be the name of a function, which is evaluated when the statement runs. A literal
 * may name it so too: 'now()'. */
static bool momentary_word_at(const char *p, bool in_literal)
{
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday", "allballs", "uescape"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t len = strlen(words[i]);
        if (tolower((unsigned char)*p) == words[i][0] && strncasecmp(p, words[i], len) == 0 &&
            (in_literal || p[len] != '('))
            return true;
    }
    return false;
}

/* What could spell such a word in a way that is not seen here: an escape, a dollar quote, or a literal (p is at its
 * closing quote) that goes on in another. */
static bool may_hide_a_word(const char *p, char quote)
{
    if (*p == '\\')
        return true;
    if (*p == '$')
        return quote == '\0' && !isdigit((unsigned char)p[1]);
    return *p == '\'' && quote == '\'' && p[1] != '\'' && *verb_skip_blank(p + 1) == '\'';
}

bool stmt_text_is_momentary(const char *sql)
{
    char quote = '\0'; /* of the literal or identifier around p */

    if (strpbrk(sql, "'$\"") == NULL)
        return false;
    for (const char *p = sql; *p != '\0'; p++) {
        if (quote == '\0' && *(p = verb_skip_blank(p)) == '\0')
            break;
        if (momentary_word_at(p, quote == '\'') || may_hide_a_word(p, quote))
            return true;
        if (quote == '\0' && (*p == '\'' || *p == '"'))
            quote = *p;
        else if (quote != '\0' && *p == quote && p[1] == quote)
            p++;
        else if (*p == quote)
            quote = '\0';
    }
    return false;
}

/* --- a server's --- */

void server_stmts_init(struct server_stmts *s)
{
    memset(s, 0, sizeof *s);
    list_init(&s->lru);
}

static struct server_stmt **server_bucket(const struct server_stmts *s, const struct stmt_text *t)
{
    return &s->buckets[t->key[0] & (s->bucket_count - 1)];
}

static void server_stmts_grow(struct server_stmts *s)
{
    size_t old_count = s->bucket_count;
    struct server_stmt **old = s->buckets;

    s->bucket_count = old_count == 0 ? SET_BUCKETS_FIRST : old_count * 2;
    s->buckets = mem_zalloc(s->bucket_count * sizeof *s->buckets);
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct server_stmt *st = old[i];
            old[i] = st->chain;
            st->chain = *server_bucket(s, st->text);
            *server_bucket(s, st->text) = st;
        }
    }
    free(old);
}

struct server_stmt *server_stmts_find(struct server_stmts *s, const struct stmt_text *t)
{
    if (s->buckets == NULL)
        return NULL;
    struct server_stmt *st = *server_bucket(s, t);
    while (st != NULL && st->text != t)
        st = st->chain;
    return st;
}

struct server_stmt *server_stmts_use(struct server_stmts *s, struct stmt_text *t, uint64_t batch)
{
    struct server_stmt *st = server_stmts_find(s, t);

    if (st == NULL) {
        if (s->count >= s->bucket_count * 2)
            server_stmts_grow(s);
        st = mem_zalloc(sizeof *st);
        st->text = stmt_text_ref(t);
        list_init(&st->lru_node);
        st->chain = *server_bucket(s, t);
        *server_bucket(s, t) = st;
        s->count++;
    }
    st->batch = batch;
    list_del(&st->lru_node);
    list_push_front(&s->lru, &st->lru_node);
    return st;
}

static void server_stmt_remove(struct server_stmts *s, struct server_stmt *st)
{
    struct server_stmt **at = server_bucket(s, st->text);

    while (*at != st)
        at = &(*at)->chain;
    *at = st->chain;
    list_del(&st->lru_node);
    stmt_text_unref(st->text);
    free(st);
    s->count--;
}

struct server_stmt *server_stmts_victim(struct server_stmts *s, size_t max, uint64_t batch)
{
    if (s->count <= max)
        return NULL;
    for (struct list *it = s->lru.prev; it != &s->lru; it = it->prev) {
        struct server_stmt *st = LIST_ENTRY(it, struct server_stmt, lru_node);
        if (st->present && st->pending == 0 && st->batch != batch)
            return st;
    }
    return NULL;
}

void server_stmt_settle(struct server_stmts *s, struct server_stmt *st, bool done, bool present)
{
    assert(st->pending > 0);
    st->pending--;
    if (done)
        st->present = present;
    if (st->pending > 0)
        return;
    st->asked = st->present;
    if (!st->present)
        server_stmt_remove(s, st);
}

void server_stmts_clear(struct server_stmts *s)
{
    LIST_FOR_EACH_SAFE (it, &s->lru) {
        struct server_stmt *st = LIST_ENTRY(it, struct server_stmt, lru_node);
        st->present = false;
        if (st->pending == 0)
            server_stmt_remove(s, st);
    }
}

void server_stmts_free(struct server_stmts *s)
{
    LIST_FOR_EACH_SAFE (it, &s->lru)
        server_stmt_remove(s, LIST_ENTRY(it, struct server_stmt, lru_node));
    free(s->buckets);
    memset(s, 0, sizeof *s);
}

/* --- a client's --- */

static struct client_stmt **client_bucket(const struct client_stmts *s, const char *name)
{
    return &s->buckets[hash_bytes(0, name, strnlen(name, STMT_NAME_BYTES)) & (s->bucket_count - 1)];
}

static void client_stmts_grow(struct client_stmts *s)
{
    size_t old_count = s->bucket_count;
    struct client_stmt **old = s->buckets;

    s->bucket_count = old_count == 0 ? SET_BUCKETS_FIRST : old_count * 2;
    s->buckets = mem_zalloc(s->bucket_count * sizeof *s->buckets);
    for (size_t i = 0; i < old_count; i++) {
        while (old[i] != NULL) {
            struct client_stmt *st = old[i];
            old[i] = st->chain;
            st->chain = *client_bucket(s, st->name);
            *client_bucket(s, st->name) = st;
        }
    }
    free(old);
}

struct client_stmt *client_stmts_find(const struct client_stmts *s, const char *name)
{
    if (s->buckets == NULL)
        return NULL;
    struct client_stmt *st = *client_bucket(s, name);
    while (st != NULL && strncmp(st->name, name, STMT_NAME_BYTES) != 0)
        st = st->chain;
    return st;
}

struct client_stmt *client_stmts_add(struct client_stmts *s, const char *name)
{
    struct client_stmt *st = client_stmts_find(s, name);

    if (st != NULL)
        return st;
    if (s->count >= s->bucket_count * 2)
        client_stmts_grow(s);
    st = mem_zalloc(sizeof *st);
    st->name = mem_strdup(name);
    st->chain = *client_bucket(s, name);
    *client_bucket(s, name) = st;
    s->count++;
    return st;
}

static void client_stmt_free(struct client_stmt *st)
{
    stmt_text_unref(st->told);
    stmt_text_unref(st->asked);
    free(st->name);
    free(st);
}

static void free_unneeded(struct client_stmt *st)
{
    if (st->orphan && st->pending == 0 && st->uses == 0)
        client_stmt_free(st);
}

static void client_stmt_remove(struct client_stmts *s, struct client_stmt *st)
{
    struct client_stmt **at = client_bucket(s, st->name);

    while (*at != st)
        at = &(*at)->chain;
    *at = st->chain;
    s->count--;
    st->orphan = true;
    free_unneeded(st);
}

struct client_stmt *client_stmt_use(struct client_stmt *st)
{
    st->uses++;
    return st;
}

void client_stmt_unuse(struct client_stmt *st)
{
    if (st == NULL)
        return;
    assert(st->uses > 0);
    st->uses--;
    free_unneeded(st);
}

static void text_assign(struct stmt_text **to, struct stmt_text *from)
{
    struct stmt_text *old = *to;

    *to = from == NULL ? NULL : stmt_text_ref(from);
    stmt_text_unref(old);
}

void client_stmt_ask(struct client_stmt *st, struct stmt_text *text, uint64_t batch)
{
    if (st->pending == 0)
        st->kept = st->about;
    st->about = (struct stmt_told){0};
    text_assign(&st->asked, text);
    st->pending++;
    st->batch = batch;
    st->version++;
}

void client_stmt_settle(struct client_stmts *s, struct client_stmt *st, bool done, struct stmt_text *text)
{
    assert(st->pending > 0);
    st->pending--;
    if (done)
        text_assign(&st->told, text);
    st->changed = st->changed || done;
    if (st->pending > 0)
        return;
    if (st->orphan) {
        free_unneeded(st);
        return;
    }
    if (!st->changed)
        st->about = st->kept;
    st->changed = false;
    text_assign(&st->asked, st->told);
    if (st->told == NULL && s != NULL)
        client_stmt_remove(s, st);
}

void client_stmts_clear(struct client_stmts *s)
{
    for (size_t i = 0; i < s->bucket_count; i++) {
        struct client_stmt *next;
        for (struct client_stmt *st = s->buckets[i]; st != NULL; st = next) {
            next = st->chain;
            text_assign(&st->told, NULL);
            if (st->pending == 0)
                client_stmt_remove(s, st);
        }
    }
}

void client_stmts_free(struct client_stmts *s)
{
    for (size_t i = 0; i < s->bucket_count; i++) {
        struct client_stmt *next;
        for (struct client_stmt *st = s->buckets[i]; st != NULL; st = next) {
            next = st->chain;
            st->orphan = true;
            free_unneeded(st);
        }
    }
    free(s->buckets);
    memset(s, 0, sizeof *s);
}
