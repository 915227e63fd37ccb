/*
 * twophase.c: see twophase.h: names; what workers tell; and the rows of transactions that are over.
 *
 *   twophase_over ──> finished (mutex) ──(once a second)──> store.finished of their L ──> one DELETE for all of them
 *
 * Invariant: a gid stays in store.finished until its row is deleted, or until there are too many of them; what is not
 * deleted then is so after decision_keep (twophase_sweep.c).
 * Thread: worker for the first part, control for the rest.
 */
#include "proxy/twophase_parts.h"

#include "pool/scram_keys.h"
#include "proxy/control.h"

#include <stdio.h>

#define FINISHED_MAX_BYTES (4 * MIB)

/* --- names: worker --- */

static const struct map *map_of(const struct database_state *db)
{
    return __atomic_load_n(&db->map, __ATOMIC_ACQUIRE);
}

void twophase_name(const struct database_state *db, uint32_t shard, char name[TWOPHASE_NAME_SIZE])
{
    snprintf(name, TWOPHASE_NAME_SIZE, "%s/%s", db->name, map_of(db)->shard_names[shard]);
}

/* Of a digest as much as a name has digits. */
static void put_hex(const uint8_t *bytes, size_t count, char *to)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < count; i++) {
        to[2 * i] = digits[bytes[i] >> 4];
        to[2 * i + 1] = digits[bytes[i] & 15];
    }
    to[2 * count] = '\0';
}

void twophase_gid(const struct database_state *db, uint32_t home_shard, char gid[TWOPHASE_GID_SIZE],
                  char secret[TWOPHASE_SECRET_SIZE])
{
    char name[TWOPHASE_NAME_SIZE], digits[33];
    uint8_t bits[(TWOPHASE_SECRET_SIZE - 1) / 2], digest[SCRAM_KEY];

    twophase_name(db, home_shard, name);
    random_bytes(bits, sizeof bits);
    put_hex(bits, sizeof bits, secret);
    scram_sha256(secret, TWOPHASE_SECRET_SIZE - 1, digest);
    put_hex(digest, (sizeof digits - 1) / 2, digits);
    snprintf(gid, TWOPHASE_GID_SIZE, TWOPHASE_GID_PREFIX "%s:%s", name, digits);
}

void twophase_put_claim(const struct database_state *db, const char *gid, const char *secret, uint64_t parts,
                        struct buf *sql)
{
    char name[TWOPHASE_NAME_SIZE];
    struct buf names = {0};

    for (uint32_t k = 0; k < SHARDS_MAX; k++) {
        if (!(parts >> k & 1))
            continue;
        twophase_name(db, k, name);
        buf_put_cstr(&names, name);
    }
    char *array = twophase_array(buf_head(&names), buf_used(&names));
    char *literals[] = {twophase_literal(gid), twophase_literal(array), twophase_literal(secret)};
    char *text = mem_printf("SELECT sluice.claim(%s, %s, %s)", literals[0], literals[1], literals[2]);

    buf_put(sql, text, strlen(text));
    free(text);
    for (size_t i = 0; i < ARRAY_LEN(literals); i++)
        free(literals[i]);
    free(array);
    buf_free(&names);
}

void twophase_prepared(const char *gid, uint32_t shard, char prepared[TWOPHASE_PREPARED_SIZE])
{
    snprintf(prepared, TWOPHASE_PREPARED_SIZE, "%s:%u", gid, shard);
}

/* --- what is over: worker --- */

struct finished {
    struct finished *next;
    struct database_state *db;
    uint32_t home;
    char gid[TWOPHASE_GID_SIZE];
};

static pthread_mutex_t finished_lock = PTHREAD_MUTEX_INITIALIZER;
static struct finished *finished_list;

void twophase_over(struct worker *w, struct database_state *db, uint32_t home_shard, const char *gid)
{
    struct finished *f = mem_alloc(sizeof *f);

    (void)w;
    f->db = db;
    f->home = home_shard;
    snprintf(f->gid, sizeof f->gid, "%s", gid);
    pthread_mutex_lock(&finished_lock);
    f->next = finished_list;
    finished_list = f;
    pthread_mutex_unlock(&finished_lock);
}

static struct finished *finished_take(void)
{
    pthread_mutex_lock(&finished_lock);
    struct finished *all = finished_list;
    finished_list = NULL;
    pthread_mutex_unlock(&finished_lock);
    return all;
}

/* --- databases with shards --- */

static struct list stores = {&stores, &stores};

static struct twophase_store *store_find(const struct database_state *db)
{
    LIST_FOR_EACH (it, &stores) {
        struct twophase_store *s = LIST_ENTRY(it, struct twophase_store, node);
        if (s->db == db)
            return s;
    }
    return NULL;
}

struct twophase_store *twophase_store_of(struct database_state *db)
{
    struct twophase_store *s = store_find(db);

    if (s != NULL)
        return s;
    s = mem_zalloc(sizeof *s);
    s->db = db;
    list_init(&s->pendings);
    list_push_back(&stores, &s->node);
    return s;
}

static void shard_set(struct twophase_store *s, uint32_t k, char *name, struct database_state *db)
{
    free(s->names[k]);
    s->names[k] = name;
    s->databases[k] = db;
    s->shards[k] = recoverer_of(db);
}

/* As it is configured now. */
static void store_configure(struct twophase_store *s)
{
    const struct config *c = control_config();
    const struct config_database *d = config_database_find(c, s->db->name);
    const struct config_sharding *sharding = d == NULL || d->shards == NULL ? NULL : config_sharding_find(c, d->shards);

    s->shard_count = sharding == NULL ? 0 : (uint32_t)sharding->shard_count;
    for (uint32_t k = 0; k < s->shard_count; k++) {
        char *name = mem_printf("%s/%s", s->db->name, sharding->shards[k]->name);
        shard_set(s, k, name, k == 0 ? s->db : limits_database(name));
    }
}

void twophase_each_store(void (*each)(struct twophase_store *s, void *arg), void *arg)
{
    LIST_FOR_EACH (it, &stores)
        each(LIST_ENTRY(it, struct twophase_store, node), arg);
}

uint32_t twophase_shard(const struct twophase_store *s, const char *name, size_t len)
{
    for (uint32_t k = 0; k < s->shard_count; k++)
        if (strlen(s->names[k]) == len && memcmp(s->names[k], name, len) == 0)
            return k;
    return SHARD_NONE;
}

static void store_free(struct twophase_store *s)
{
    twophase_sweep_free(s);
    for (uint32_t k = 0; k < SHARDS_MAX; k++) {
        free(s->names[k]);
        buf_free(&s->finished[k]);
    }
    list_del(&s->node);
    free(s);
}

/* --- SQL --- */

char *twophase_literal(const char *text)
{
    char *literal = mem_alloc(2 * strlen(text) + 3), *to = literal;

    *to++ = '\'';
    for (; *text != '\0'; text++) {
        if (*text == '\'')
            *to++ = '\'';
        *to++ = *text;
    }
    memcpy(to, "'", 2);
    return literal;
}

char *twophase_array(const uint8_t *texts, size_t len)
{
    struct buf out = {0};

    buf_put_u8(&out, '{');
    for (size_t i = 0; i < len; i++) {
        if (i == 0 || texts[i - 1] == '\0')
            buf_put(&out, i == 0 ? "\"" : ",\"", i == 0 ? 1 : 2);
        if (texts[i] == '"' || texts[i] == '\\')
            buf_put_u8(&out, '\\');
        buf_put_u8(&out, texts[i] == '\0' ? '"' : texts[i]);
    }
    buf_put_cstr(&out, "}");
    return (char *)out.data;
}

/* --- rows that nobody needs: control --- */

struct deletion {
    struct twophase_store *store;
    uint32_t home;
};

static void deleted(void *arg, const struct recoverer_reply *reply)
{
    struct deletion *d = arg;
    struct twophase_store *s = d->store;
    struct buf *finished = &s->finished[d->home];

    if (reply->rows != NULL || buf_used(finished) > FINISHED_MAX_BYTES)
        buf_consume(finished, s->deleting[d->home]);
    s->deleting[d->home] = 0;
    free(d);
}

static void delete_finished(struct twophase_store *s, uint32_t k)
{
    struct deletion *d;
    char *array;

    if (s->deleting[k] != 0 || buf_used(&s->finished[k]) == 0)
        return;
    d = mem_alloc(sizeof *d);
    *d = (struct deletion){s, k};
    s->deleting[k] = buf_used(&s->finished[k]);
    array = twophase_array(buf_head(&s->finished[k]), s->deleting[k]);
    recoverer_ask(s->shards[k], "DELETE FROM sluice.decision WHERE gid = ANY ($1::text[])", array, deleted, free, d);
    free(array);
}

static void collect_finished(void)
{
    struct finished *f = finished_take();

    while (f != NULL) {
        struct finished *next = f->next;
        struct twophase_store *s = twophase_store_of(f->db);
        buf_put(&s->finished[f->home], f->gid, strlen(f->gid) + 1);
        free(f);
        f = next;
    }
}

/* --- the whole of it --- */

/* Also of databases that no client has named yet. */
static void stores_want(const struct config *c)
{
    for (size_t i = 0; i < c->database_count; i++)
        if (c->databases[i]->shards != NULL && c->databases[i]->part_of == NULL)
            twophase_store_of(limits_database(c->databases[i]->name));
}

void twophase_configure(void)
{
    stores_want(control_config());
    LIST_FOR_EACH (it, &stores)
        store_configure(LIST_ENTRY(it, struct twophase_store, node));
}

void twophase_tick(usec_t now)
{
    collect_finished();
    twophase_configure();
    LIST_FOR_EACH (it, &stores) {
        struct twophase_store *s = LIST_ENTRY(it, struct twophase_store, node);
        for (uint32_t k = 0; k < s->shard_count; k++)
            delete_finished(s, k);
        twophase_sweep(s, now);
    }
    recoverer_tick(now);
}

void twophase_free(void)
{
    struct finished *f = finished_take();

    while (f != NULL) {
        struct finished *next = f->next;
        free(f);
        f = next;
    }
    recoverer_free();
    twophase_forget_questions();
    while (!list_empty(&stores))
        store_free(LIST_FIRST(&stores, struct twophase_store, node));
}
