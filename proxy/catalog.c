/*
 * catalog.c: see catalog.h. One connection a database and question, to its primary, as monitor_user.
 *
 *   IDLE ──(outdated, or a minute old)──> ASKING: connect ─> ask ─> publish ──> IDLE
 *
 * Invariant: facts are immutable once published; old ones are freed when every worker has had a turn since.
 * Thread: control; what workers ask: worker.
 */
#include "proxy/catalog.h"

#include "conf/log.h"
#include "pool/probe.h"
#include "proxy/control.h"
#include "proxy/monitor.h"
#include "proxy/shards.h"
#include "proxy/survey.h"

#include <stdio.h>

#define ASK_AGAIN_USEC (60 * USEC_PER_SEC)
#define RETRY_USEC (2 * USEC_PER_SEC)
#define PAUSE_USEC (100 * USEC_PER_MSEC)
#define ANSWER_USEC (10 * USEC_PER_SEC) /* it has much to look at */

struct catalog {
    uint64_t number;  /* even; another for each one that was published */
    uint64_t changes; /* of the catalog that command tags had told of when it was asked */
    uint64_t meaning; /* ... of which these may have changed the facts */
    size_t count;
    char **names; /* owned: a letter (catalog_question) and a name, sorted by bytes */
};

/* A database whose catalog is asked. Never freed before the end. */
struct reader_of_catalog {
    struct list node; /* in readers */
    struct database_state *db;
    struct probe *probe; /* NULL: IDLE */
    struct watch *watch;
    usec_t deadline;
    usec_t ended_at, next_at;
    struct later *again;       /* NULL: nothing is put off */
    uint64_t changes, meaning; /* when it was asked */
};

static struct list readers = {&readers, &readers};
static uint64_t numbers;

static char *question, *question_sharded; /* owned */

/* --- what workers ask --- */

static const struct catalog *facts_of(const struct database_state *db)
{
    return __atomic_load_n(&db->facts, __ATOMIC_ACQUIRE);
}

static bool is_outdated(const struct catalog *facts, const struct database_state *db)
{
    return facts->meaning != __atomic_load_n(&db->meaning, __ATOMIC_RELAXED);
}

static int by_name(const void *name, const void *item)
{
    return strcmp(*(const char *const *)name, *(const char *const *)item);
}

static bool has_name(const struct catalog *facts, char letter, const char *schema, const char *name)
{
    char text[160];
    const char *key = text;

    snprintf(text, sizeof text, "%c%s%s%s", letter, schema == NULL ? "" : schema, schema == NULL ? "" : ".", name);
    return bsearch(&key, facts->names, facts->count, sizeof *facts->names, by_name) != NULL;
}

enum route_function catalog_function(struct database_state *db, const char *name)
{
    const struct catalog *facts = facts_of(db);

    if (facts == NULL || is_outdated(facts, db))
        return FUNCTION_UNKNOWN;
    return has_name(facts, 'v', NULL, name) ? FUNCTION_VOLATILE : FUNCTION_READS;
}

enum route_relation catalog_relation(struct database_state *db, const char *schema, const char *name)
{
    const struct catalog *facts = facts_of(db);

    if (facts == NULL || is_outdated(facts, db))
        return RELATION_UNKNOWN;
    if (has_name(facts, 'w', schema, name))
        return RELATION_WRITES;
    return has_name(facts, 'p', schema, name) ? RELATION_PRIMARY : RELATION_READS;
}

/* --- relations of a sharded database --- */

#define SEPARATOR '\x01'

static bool is_sharded(const struct database_state *db)
{
    return __atomic_load_n(&db->sharded, __ATOMIC_RELAXED);
}

/* The first that is not before the key. */
static size_t first_from(const struct catalog *facts, const char *key)
{
    size_t low = 0, high = facts->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(facts->names[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* What stands behind the key in the i-th name; NULL: that is no name of it. */
static const char *behind(const struct catalog *facts, size_t i, const char *key)
{
    size_t len = strlen(key);

    return i < facts->count && strncmp(facts->names[i], key, len) == 0 ? facts->names[i] + len : NULL;
}

/* The next part of *at, up to the separator. */
static struct span part_take(const char **at)
{
    size_t len = strcspn(*at, "\x01");
    struct span part = span_of(*at, len);

    *at += len + ((*at)[len] == SEPARATOR);
    return part;
}

static void key_write(char *key, size_t size, char letter, struct span name, struct span schema)
{
    snprintf(key, size, "%c%c%.*s%c%.*s%s", letter, SEPARATOR, (int)name.len, (const char *)name.ptr, SEPARATOR,
             (int)schema.len, (const char *)schema.ptr, schema.len == 0 ? "" : "\x01");
}

enum catalog_found catalog_table(struct database_state *db, const char *schema, const char *name,
                                 struct catalog_table *found)
{
    const struct catalog *facts = facts_of(db);
    enum catalog_found result = CATALOG_NONE;
    char key[160];

    if (facts == NULL || is_outdated(facts, db))
        return CATALOG_UNREAD;
    key_write(key, sizeof key, 'r', span_of(name, strlen(name)), span_of(schema, schema == NULL ? 0 : strlen(schema)));
    for (size_t i = first_from(facts, key); behind(facts, i, key) != NULL; i++) {
        const char *at = facts->names[i] + 2;
        if (result == CATALOG_ONE)
            return CATALOG_SEVERAL;
        result = CATALOG_ONE;
        found->name = part_take(&at);
        found->schema = part_take(&at);
        found->kind = (char)*at++;
        struct span marks = part_take(&at);
        found->has_triggers = memchr(marks.ptr, 't', marks.len) != NULL;
        found->is_referenced = memchr(marks.ptr, 'k', marks.len) != NULL;
        found->parent_schema = part_take(&at);
        found->parent = part_take(&at);
    }
    return result;
}

bool catalog_is_users(struct database_state *db, const char *schema, const char *name)
{
    const struct catalog *facts = facts_of(db);

    return facts == NULL || is_outdated(facts, db) || has_name(facts, 'f', schema, name);
}

bool catalog_is_users_operator(struct database_state *db, const char *name)
{
    const struct catalog *facts = facts_of(db);

    return facts == NULL || is_outdated(facts, db) || has_name(facts, 'o', NULL, name);
}

/* What stands behind the column's name; NULL: there is no such column. */
static const char *find_column(struct database_state *db, const struct catalog_table *table, const char *column)
{
    const struct catalog *facts = facts_of(db);
    char key[240];

    key_write(key, sizeof key, 'c', table->name, table->schema);
    size_t len = strlen(key);
    snprintf(key + len, sizeof key - len, "%s%c", column, SEPARATOR);
    return behind(facts, first_from(facts, key), key);
}

bool catalog_column(struct database_state *db, const struct catalog_table *table, const char *column, int *position,
                    struct span *type)
{
    const char *at = find_column(db, table, column);

    if (at == NULL)
        return false;
    *position = atoi(at);
    part_take(&at);
    *type = part_take(&at);
    return true;
}

bool catalog_column_at(struct database_state *db, const struct catalog_table *table, int position, struct span *name,
                       struct span *type)
{
    const struct catalog *facts = facts_of(db);
    const char *at;
    char key[160];

    key_write(key, sizeof key, 'c', table->name, table->schema);
    for (size_t i = first_from(facts, key); (at = behind(facts, i, key)) != NULL; i++) {
        *name = part_take(&at);
        if (atoi((const char *)part_take(&at).ptr) != position)
            continue;
        *type = part_take(&at);
        return true;
    }
    return false;
}

/* "4", "4a"; "0g": it is generated; "": it draws from none. */
static const char *find_step(struct database_state *db, const struct catalog_table *table, const char *column)
{
    const char *at = find_column(db, table, column);

    if (at == NULL)
        return "";
    part_take(&at);
    part_take(&at);
    return at;
}

int catalog_column_step(struct database_state *db, const struct catalog_table *table, const char *column)
{
    return atoi(find_step(db, table, column));
}

bool catalog_column_is_generated(struct database_state *db, const struct catalog_table *table, const char *column)
{
    return strchr(find_step(db, table, column), 'g') != NULL;
}

bool catalog_column_is_always(struct database_state *db, const struct catalog_table *table, const char *column)
{
    return strchr(find_step(db, table, column), 'a') != NULL;
}

enum catalog_found catalog_sequence(struct database_state *db, const char *schema, const char *name,
                                    struct catalog_sequence *found)
{
    const struct catalog *facts = facts_of(db);
    enum catalog_found result = CATALOG_NONE;
    char key[160];

    if (facts == NULL || is_outdated(facts, db))
        return CATALOG_UNREAD;
    key_write(key, sizeof key, 'q', span_of(name, strlen(name)), span_of(schema, schema == NULL ? 0 : strlen(schema)));
    for (size_t i = first_from(facts, key); behind(facts, i, key) != NULL; i++) {
        const char *at = facts->names[i] + 2;
        if (result == CATALOG_ONE)
            return CATALOG_SEVERAL;
        result = CATALOG_ONE;
        part_take(&at);
        part_take(&at);
        found->table_schema = part_take(&at);
        found->table = part_take(&at);
        found->column = part_take(&at);
        found->step = atoi(at);
    }
    return result;
}

static void give_column(struct span name, catalog_column_fn *each, void *arg)
{
    char column[160];

    snprintf(column, sizeof column, "%.*s", (int)name.len, (const char *)name.ptr);
    each(arg, column);
}

void catalog_columns(struct database_state *db, const struct catalog_table *table, catalog_column_fn *each, void *arg)
{
    const struct catalog *facts = facts_of(db);
    const char *at;
    char key[240];

    key_write(key, sizeof key, 'c', table->name, table->schema);
    for (size_t i = first_from(facts, key); (at = behind(facts, i, key)) != NULL; i++)
        give_column(part_take(&at), each, arg);
}

bool catalog_primary_key(struct database_state *db, const struct catalog_table *table, catalog_column_fn *each,
                         void *arg)
{
    const struct catalog *facts = facts_of(db);
    char key[240];

    key_write(key, sizeof key, 'k', table->name, table->schema);
    const char *at = behind(facts, first_from(facts, key), key);
    if (at == NULL)
        return false;
    while (*at != '\0')
        give_column(part_take(&at), each, arg);
    return true;
}

void catalog_defaults(struct database_state *db, const struct catalog_table *t, catalog_default_fn *each, void *arg)
{
    const struct catalog *facts = facts_of(db);
    const char *at;
    char key[240], column[160];

    key_write(key, sizeof key, 'd', t->name, t->schema);
    for (size_t i = first_from(facts, key); (at = behind(facts, i, key)) != NULL; i++) {
        struct span name = part_take(&at);
        snprintf(column, sizeof column, "%.*s", (int)name.len, (const char *)name.ptr);
        each(arg, column, at);
    }
}

uint64_t catalog_generation(const struct database_state *db)
{
    const struct catalog *facts = facts_of(db);

    return facts == NULL ? 1 : facts->number + is_outdated(facts, db);
}

/* --- changes --- */

static bool is_one_of(const char *tag, const char *const *starts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(tag, starts[i], strlen(starts[i])) == 0)
            return true;
    return false;
}

enum ddl catalog_ddl(const char *tag)
{
    static const char *const ddl[] = {"CREATE ", "ALTER ", "DROP ", "SELECT INTO", "IMPORT "};
    static const char *const plain[] = {"CREATE TABLE", "CREATE INDEX", "CREATE TYPE", "DROP "};
    static const char *const defaults[] = {"ALTER ROLE", "ALTER DATABASE"};

    if (!is_one_of(tag, ddl, ARRAY_LEN(ddl)))
        return DDL_NONE;
    if (is_one_of(tag, defaults, ARRAY_LEN(defaults)))
        return DDL_DEFAULTS;
    return is_one_of(tag, plain, ARRAY_LEN(plain)) ? DDL_PLAIN : DDL_FACTS;
}

void catalog_changed(struct database_state *db, enum ddl ddl)
{
    if (ddl == DDL_DEFAULTS)
        catalog_retire_sessions(NULL);
    if (ddl == DDL_FACTS)
        __atomic_add_fetch(&db->meaning, 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&db->catalog, 1, __ATOMIC_SEQ_CST);
    control_learn_soon();
}

void catalog_retire_sessions(const struct database_state *db)
{
    for (struct target *t = limits_targets(); t != NULL; t = t->next) {
        if (db != NULL && t->db != db)
            continue;
        __atomic_add_fetch(&t->db->reconnect, 1, __ATOMIC_RELAXED);
        limits_welcome_clear(t);
    }
}

/* --- publishing --- */

static void facts_free(void *arg)
{
    struct catalog *facts = arg;

    if (facts == NULL)
        return;
    for (size_t i = 0; i < facts->count; i++)
        free(facts->names[i]);
    free(facts->names);
    free(facts);
}

static bool facts_equal(const struct catalog *a, const struct catalog *b)
{
    if (a == NULL || a->count != b->count || a->changes != b->changes || a->meaning != b->meaning)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->names[i], b->names[i]) != 0)
            return false;
    return true;
}

static void publish(struct database_state *db, struct catalog *facts)
{
    struct catalog *old = __atomic_load_n(&db->facts, __ATOMIC_RELAXED);

    if (facts_equal(old, facts)) {
        facts_free(facts);
        return;
    }
    facts->number = numbers += 2;
    __atomic_store_n(&db->facts, facts, __ATOMIC_RELEASE);
    if (old != NULL)
        workers_turn(facts_free, old);
}

static struct catalog *take_names(const struct reader_of_catalog *r)
{
    struct catalog *facts = mem_zalloc(sizeof *facts);
    size_t rows = probe_rows(r->probe);

    facts->changes = r->changes;
    facts->meaning = r->meaning;
    facts->names = mem_zalloc((rows + 1) * sizeof *facts->names);
    for (size_t i = 0; i < rows; i++)
        facts->names[facts->count++] = mem_strdup(probe_value(r->probe, i, 0));
    qsort(facts->names, facts->count, sizeof *facts->names, by_name);
    return facts;
}

/* --- asking --- */

static void end(struct reader_of_catalog *r, usec_t again_after)
{
    control_watch_free(r->watch);
    r->watch = NULL;
    probe_close(r->probe);
    r->probe = NULL;
    r->ended_at = clock_now();
    r->next_at = r->ended_at + again_after;
}

static void failed(struct reader_of_catalog *r, const char *why)
{
    log_warn("database \"%s\": its catalog could not be read: %s", r->db->name, why);
    end(r, RETRY_USEC);
}

static void woken(void *arg, bool timed_out);

static void wait_for(struct reader_of_catalog *r, bool to_write)
{
    if (r->watch == NULL)
        r->watch = control_watch_new(woken, r);
    control_watch(r->watch, probe_fd(r->probe), to_write, MAX(r->deadline - clock_now(), USEC_PER_MSEC));
}

static void go_on(struct reader_of_catalog *r)
{
    for (;;) {
        switch (probe_step(r->probe)) {
        case PROBE_WANT_READ:
            wait_for(r, false);
            return;
        case PROBE_WANT_WRITE:
            wait_for(r, true);
            return;
        case PROBE_READY:
            r->changes = __atomic_load_n(&r->db->catalog, __ATOMIC_SEQ_CST);
            r->meaning = __atomic_load_n(&r->db->meaning, __ATOMIC_SEQ_CST);
            probe_ask(r->probe, is_sharded(r->db) ? question_sharded : question, NULL);
            break;
        case PROBE_ANSWERED:
            publish(r->db, take_names(r));
            end(r, ASK_AGAIN_USEC);
            control_learn_soon();
            return;
        case PROBE_REFUSED:
        case PROBE_BROKEN:
            failed(r, probe_error(r->probe));
            return;
        }
    }
}

static void woken(void *arg, bool timed_out)
{
    struct reader_of_catalog *r = arg;

    if (timed_out)
        failed(r, "no answer in time");
    else
        go_on(r);
}

static void begin(struct reader_of_catalog *r, usec_t now)
{
    const struct config *config = control_config();
    const struct config_database *d = config_database_find(config, r->db->name);
    const struct cluster *c = __atomic_load_n(&r->db->cluster, __ATOMIC_ACQUIRE);
    int primary = cluster_watched(c) ? cluster_primary(c) : 0;
    struct address a;
    char why[256];

    if (primary < 0)
        return;
    const struct node *n = &c->nodes[primary];
    if (resolve_host(n->host, n->port, 0, &a, why, sizeof why) != RESOLVE_OK)
        return; /* the next tick looks again */
    if (d == NULL)
        d = config->fallback;
    struct probe_target t = monitor_target(n, &a);
    t.dbname = d == NULL || d->dbname == NULL ? r->db->name : d->dbname;
    t.statement_timeout_ms = (int)(ANSWER_USEC / USEC_PER_MSEC);
    r->deadline = now + ANSWER_USEC;
    r->probe = probe_open(&t);
    go_on(r);
}

static struct reader_of_catalog *reader_of_database(struct database_state *db)
{
    LIST_FOR_EACH (it, &readers) {
        struct reader_of_catalog *r = LIST_ENTRY(it, struct reader_of_catalog, node);
        if (r->db == db)
            return r;
    }
    struct reader_of_catalog *r = mem_zalloc(sizeof *r);
    r->db = db;
    list_push_back(&readers, &r->node);
    return r;
}

static void look_again(void *arg)
{
    struct reader_of_catalog *r = arg;

    r->again = NULL;
    control_learn_soon();
}

/* Where one change follows another, not after each. */
static bool may_ask_again(struct reader_of_catalog *r, usec_t now)
{
    if (now >= r->ended_at + PAUSE_USEC)
        return true;
    if (r->again == NULL)
        r->again = control_later(PAUSE_USEC, look_again, r);
    return false;
}

/* One with replicas or shards, and one of a single node where somebody wants to know. */
static bool is_read(const struct database_state *db)
{
    const struct cluster *c = __atomic_load_n(&db->cluster, __ATOMIC_ACQUIRE);

    return cluster_watched(c) ||
           (c != NULL && c->node_count == 1 && __atomic_load_n(&db->facts_wanted, __ATOMIC_RELAXED) != 0 &&
            control_config()->opt.monitor_user[0] != '\0');
}

static void look_at(struct database_state *db, usec_t now)
{
    const struct catalog *facts = facts_of(db);

    if (!is_read(db) || __atomic_load_n(&db->part, __ATOMIC_RELAXED) != 0)
        return; /* what the home shard has, all have */
    uint64_t basis = facts == NULL ? 0 : facts->number + (control_config()->generation << 40);
    if (is_sharded(db) && facts != NULL && !is_outdated(facts, db) && db->mapped != basis && survey_is_over(db)) {
        db->mapped = basis;
        shards_learn(db);
    }
    struct reader_of_catalog *r = reader_of_database(db);
    bool changed = facts != NULL && facts->changes != __atomic_load_n(&db->catalog, __ATOMIC_RELAXED);
    if (r->probe == NULL && (now >= r->next_at || (changed && may_ask_again(r, now))))
        begin(r, now);
}

void catalog_tick(usec_t now)
{
    if (question == NULL) {
        question = catalog_question(false);
        question_sharded = catalog_question(true);
    }
    for (struct database_state *db = limits_database_next(NULL); db != NULL; db = limits_database_next(db))
        look_at(db, now);
}

static void free_facts_of(void *arg, struct database_state *db)
{
    (void)arg;
    facts_free(db->facts);
    db->facts = NULL;
}

void catalog_free(void)
{
    while (!list_empty(&readers)) {
        struct reader_of_catalog *r = LIST_FIRST(&readers, struct reader_of_catalog, node);
        end(r, 0);
        list_del(&r->node);
        free(r);
    }
    limits_each_database(free_facts_of, NULL);
    free(question);
    free(question_sharded);
    question = question_sharded = NULL;
}
