/*
 * coordinator_script.c: see coordinator_script.h. Beside the tables it writes down what it has made, so that it can be
 * taken away when it is made anew, and nothing else is:
 *
 *   sluice.shard        that it is the coordinator of which database, and map
 *   sluice.made         what takes each thing away again
 *   sluice.generated    the sum of it all, and when it was analyzed
 *   sluice.missing      what could not be made, and why: statements that name it are refused
 *   sluice.seen         a row of each shard: who reads it has a snapshot of each
 *
 * The operator classes are for partitions by modulo and string_hash (and by hash, if there are buckets): PostgreSQL
 * combines a key's hash with a constant, which the functions take away before, so that the remainder is the shard's
 * number.
 * Thread: any (no state).
 */
#include "proxy/coordinator_script.h"

#include "parser/sql_text.h"
#include "proxy/coordinator_question.h"
#include "proxy/shards_script.h"
#include "shard/hash.h"

#include <inttypes.h>
#include <stdio.h>

const char coordinator_sum_question[] = "SELECT sum FROM sluice.generated";
const char coordinator_superuser_question[] = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER";
const char coordinator_analyze_due[] = "SELECT FROM sluice.generated WHERE analyzed_at IS NULL OR analyzed_at < "
                                       "pg_catalog.clock_timestamp() - $1::pg_catalog.interval";
const char coordinator_analyze[] =
    "DO 'DECLARE t regclass; BEGIN UPDATE sluice.generated SET analyzed_at = clock_timestamp(); FOR t IN SELECT oid "
    "FROM pg_class WHERE NOT relispartition AND (relkind IN (''f'', ''p'') OR (relkind = ''r'' AND relhassubclass "
    "AND relnamespace <> ''pg_catalog''::regnamespace)) LOOP EXECUTE ''ANALYZE '' || t; END LOOP; END'";
const char coordinator_locale_question[] =
    "SELECT pg_catalog.concat_ws(', ', pg_catalog.pg_encoding_to_char(encoding), datlocprovider, datcollate, datctype, "
    "daticulocale, pg_catalog.pg_database_collation_actual_version(oid)) FROM pg_catalog.pg_database WHERE datname = "
    "pg_catalog.current_database()";

/* --- its parts --- */

static void add(struct coordinator_script *s, bool must, const char *make, const char *gone)
{
    buf_put_text(&s->text, must ? "t" : "f");
    buf_put_u8(&s->text, 0);
    buf_put_text(&s->text, make);
    buf_put_u8(&s->text, 0);
    buf_put_text(&s->text, gone == NULL ? "" : gone);
    buf_put_u8(&s->text, 0);
}

/* Takes over both. */
static void add_buf(struct coordinator_script *s, bool must, struct buf *make, char *gone)
{
    buf_put_u8(make, 0);
    add(s, must, (const char *)make->data, gone);
    buf_free(make);
    free(gone);
}

/* --- servers --- */

static void put_hosts(const struct config_database *d, struct buf *out)
{
    for (size_t i = 0; i < d->host_count; i++)
        sql_text_put(out, i == 0 ? "%t" : ",%t", d->hosts[i].host);
}

static void put_ports(const struct config_database *d, struct buf *out)
{
    for (size_t i = 0; i < d->host_count; i++)
        sql_text_put(out, i == 0 ? "%n" : ",%n", d->hosts[i].port);
}

static void put_option(struct buf *out, const char *name, void (*value)(const struct config_database *d, struct buf *b),
                       const struct config_database *d)
{
    struct buf text = {0};

    value(d, &text);
    buf_put_u8(&text, 0);
    sql_text_put(out, "%t %l, ", name, (const char *)text.data);
    buf_free(&text);
}

/* A short fetch of few rows must not make the shard choose a plan for all of them, or the reverse. A machine that says
 * nothing any more is not waited for for hours. */
static void put_tuning(struct buf *out)
{
    buf_put_text(
        out, "target_session_attrs 'read-write', options '-c cursor_tuple_fraction=1', keep_connections 'on', "
             "fetch_size '1000', use_remote_estimate 'true', async_capable 'true', updatable 'false', connect_timeout "
             "'10', keepalives_idle '30', keepalives_interval '10', keepalives_count '3', tcp_user_timeout '60000'");
}

static void add_server(struct coordinator_script *s, const struct coordinator_of *of, uint32_t k)
{
    const struct config_database *d = of->sharding->shards[k];
    const struct options *o = &of->config->opt;
    char *server = coordinator_server(of->map, k);
    struct buf make = {0};
    char *gone = mem_printf("DROP SERVER IF EXISTS \"%s\" CASCADE", server);

    sql_text_put(&make, "CREATE SERVER %i FOREIGN DATA WRAPPER postgres_fdw OPTIONS (", server);
    put_option(&make, "host", put_hosts, d);
    put_option(&make, "port", put_ports, d);
    sql_text_put(&make, "dbname %l, ", d->dbname != NULL ? d->dbname : of->database);
    sql_text_put(&make, "sslmode %l, ", option_find("server_tls_sslmode")->choices[o->server_tls_sslmode]);
    if (*o->server_tls_ca_file != '\0')
        sql_text_put(&make, "sslrootcert %l, ", o->server_tls_ca_file);
    put_tuning(&make);
    buf_put_text(&make, ")");
    add_buf(s, true, &make, gone);
    free(server);
}

static bool is_plain(const char *secret)
{
    return secret != NULL && *secret != '\0' && strncmp(secret, "md5", 3) != 0 &&
           strncmp(secret, "SCRAM-SHA-256$", 14) != 0;
}

/* Only a superuser may let somebody in who shows no password, as where the shards trust the coordinator's host. */
static void put_mapping(const struct coordinator_of *of, const char *role, uint32_t k, struct buf *out)
{
    const struct config_database *d = of->sharding->shards[k];
    const char *user = d->user != NULL ? d->user : role;
    const char *password = d->password != NULL ? d->password : config_secret_find(of->config, user);
    char *server = coordinator_server(of->map, k);

    sql_text_put(out, "%tCREATE USER MAPPING FOR %i SERVER %i OPTIONS (user %l", k == 0 ? "" : "; ", role, server,
                 user);
    if (is_plain(password))
        sql_text_put(out, ", password %l", password);
    if (of->superuser)
        buf_put_text(out, ", password_required 'false'");
    buf_put_text(out, ")");
    free(server);
}

static void add_role(struct coordinator_script *s, const struct coordinator_of *of, const char *role)
{
    struct buf make = {0};

    for (uint32_t k = 0; k < of->map->shard_count; k++)
        put_mapping(of, role, k, &make);
    add_buf(s, false, &make, NULL); /* they go with their servers */
}

/* --- where keys lie --- */

static const char *const integers[] = {"smallint", "integer", "bigint"};
static const char *const strings[] = {"text", "uuid", "smallint", "integer", "bigint"};
static const char *const hashed[] = {
    "smallint", "integer", "bigint", "text", "uuid", "date", "timestamp without time zone", "timestamp with time zone",
    "boolean"};

static char *drop_function(const char *name, const char *type)
{
    return mem_printf("DROP FUNCTION IF EXISTS sluice.%s(%s, bigint) CASCADE", name, type);
}

/* What PostgreSQL makes the shard's number of, if `bucket` computes the number of the key's bucket. Owned. */
static char *hash_for(const struct map *m, const char *bucket)
{
    struct buf out = {0};

    sql_text_put(&out, m->is_plain ? "(%t" : "((ARRAY[", bucket);
    for (uint32_t b = 0; b < m->bucket_count && !m->is_plain; b++)
        sql_text_put(&out, b == 0 ? "%n" : ", %n", (int)m->buckets[b]);
    if (!m->is_plain)
        sql_text_put(&out, "])[(%t)::int + 1]", bucket);
    buf_put_text(&out, "::numeric - 5305509591434766563)::bigint");
    buf_put_u8(&out, 0);
    return (char *)out.data;
}

static void add_modulo(struct coordinator_script *s, const struct map *m, const char *type)
{
    int n = (int)map_modulus(m);
    struct buf make = {0}, bucket = {0};

    sql_text_put(&bucket, "((($1 %% %n) + %n) %% %n)", n, n, n);
    buf_put_u8(&bucket, 0);
    char *hash = hash_for(m, (const char *)bucket.data);
    sql_text_put(
        &make,
        "CREATE FUNCTION sluice.modulo(%t, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS "
        "'SELECT %t'",
        type, hash);
    add_buf(s, true, &make, drop_function("modulo", type));
    buf_free(&bucket);
    free(hash);
}

/* UTF-16 units, 32 bits that wrap, and the absolute value in 64. */
static const char string_hash_body[] =
    "DECLARE h bigint := 0; u bigint; k bigint; BEGIN FOR i IN 1 .. pg_catalog.length(t) LOOP "
    "u := pg_catalog.ascii(pg_catalog.substr(t, i, 1)); k := u - 65536; "
    "IF k >= 0 THEN h := (h * 31 + 55296 + (k >> 10)) & 4294967295; u := 56320 + (k & 1023); END IF; "
    "h := (h * 31 + u) & 4294967295; END LOOP; "
    "IF h >= 2147483648 THEN h := h - 4294967296; END IF; "
    "RETURN %t; END";

static void add_string_hash(struct coordinator_script *s, const struct map *m, const char *type)
{
    struct buf make = {0}, body = {0};
    char *bucket = mem_printf("(pg_catalog.abs(h) %% %u)", map_modulus(m));
    char *hash = hash_for(m, bucket);

    sql_text_put(&body, string_hash_body, hash);
    buf_put_u8(&body, 0);
    free(bucket);
    free(hash);
    if (strcmp(type, "text") == 0)
        sql_text_put(
            &make,
            "CREATE FUNCTION sluice.string_hash(t text, seed bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE "
            "STRICT PARALLEL SAFE AS %l",
            (const char *)body.data);
    else
        sql_text_put(&make,
                     "CREATE FUNCTION sluice.string_hash(%t, seed bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT "
                     "PARALLEL SAFE AS 'SELECT sluice.string_hash($1::text, $2)'",
                     type);
    add_buf(s, true, &make, drop_function("string_hash", type));
    buf_free(&body);
}

/* PostgreSQL's own, by the number of the bucket. The functions that it has for two types are called by their names, as
 * no cast of a value may come in between. */
static void add_hash(struct coordinator_script *s, const struct map *m, const char *type)
{
    static const char *const own[][2] = {{"smallint", "hashint2extended"},
                                         {"integer", "hashint4extended"},
                                         {"bigint", "hashint8extended"},
                                         {"text", "hashtextextended"},
                                         {"uuid", "uuid_hash_extended"},
                                         {"date", "hashint4extended"},
                                         {"timestamp without time zone", "timestamp_hash_extended"},
                                         {"timestamp with time zone", "timestamp_hash_extended"},
                                         {"boolean", "hashcharextended"}};
    char *bucket = mem_printf("((sluice.own_hash($1, $2)::numeric + 5305509591434766563 + 18446744073709551616) "
                              "%% 18446744073709551616 %% %u)",
                              map_modulus(m));
    char *hash = hash_for(m, bucket);

    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        struct buf make = {0}, outer = {0};
        if (strcmp(own[i][0], type) != 0)
            continue;
        sql_text_put(
            &make,
            "CREATE FUNCTION sluice.own_hash(%t, bigint) RETURNS bigint LANGUAGE internal IMMUTABLE STRICT PARALLEL "
            "SAFE AS %l",
            type, own[i][1]);
        add_buf(s, true, &make, drop_function("own_hash", type));
        sql_text_put(
            &outer,
            "CREATE FUNCTION sluice.hash(%t, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS "
            "'SELECT %t'",
            type, hash);
        add_buf(s, true, &outer, drop_function("hash", type));
    }
    free(bucket);
    free(hash);
}

static void add_class(struct coordinator_script *s, const char *function, const char *type)
{
    char *name = mem_printf(strchr(type, ' ') == NULL ? "%s_%s" : "\"%s_%s\"", function, type);
    struct buf make = {0};

    sql_text_put(&make,
                 "CREATE OPERATOR CLASS sluice.%t FOR TYPE %t USING hash FAMILY sluice.%t AS OPERATOR 1 = (%t, %t), "
                 "FUNCTION 2 (%t, %t) sluice.%t(%t, bigint)",
                 name, type, function, type, type, type, type, function, type);
    add_buf(s, true, &make, NULL);
    free(name);
}

/* So that a value of another type finds its partition, too. */
static void add_crosses(struct coordinator_script *s, const char *function)
{
    for (size_t i = 0; i < ARRAY_LEN(integers); i++)
        for (size_t k = 0; k < ARRAY_LEN(integers); k++) {
            struct buf make = {0};
            if (i == k)
                continue;
            sql_text_put(&make, "ALTER OPERATOR FAMILY sluice.%t USING hash ADD OPERATOR 1 = (%t, %t)", function,
                         integers[i], integers[k]);
            add_buf(s, true, &make, NULL);
        }
}

typedef void add_function(struct coordinator_script *s, const struct map *m, const char *type);

static void add_family(struct coordinator_script *s, const struct map *m, const char *function,
                       const char *const *types, size_t count, add_function *each_type)
{
    char *family = mem_printf("CREATE OPERATOR FAMILY sluice.%s USING hash", function);
    char *gone = mem_printf("DROP OPERATOR FAMILY IF EXISTS sluice.%s USING hash CASCADE", function);

    for (size_t i = 0; i < count; i++)
        each_type(s, m, types[i]);
    add(s, true, family, gone);
    for (size_t i = 0; i < count; i++)
        add_class(s, function, types[i]);
    add_crosses(s, function);
    free(family);
    free(gone);
}

/* --- all of it --- */

static void add_seen(struct coordinator_script *s, const struct map *m)
{
    add(s, true, "CREATE TABLE sluice.seen (one boolean)", "DROP TABLE IF EXISTS sluice.seen CASCADE");
    add(s, true, "GRANT SELECT ON sluice.seen TO PUBLIC", NULL);
    for (uint32_t k = 0; k < m->shard_count; k++) {
        struct buf make = {0};
        char *server = coordinator_server(m, k);
        sql_text_put(&make,
                     "CREATE FOREIGN TABLE sluice.seen_%n () INHERITS (sluice.seen) SERVER %i OPTIONS (schema_name "
                     "'sluice', table_name 'shard', use_remote_estimate 'false')",
                     (int)k + 1, server);
        add_buf(s, true, &make, NULL);
        free(server);
    }
}

void coordinator_script_begin(struct coordinator_script *s, const struct coordinator_of *of)
{
    const struct map *m = of->map;

    *s = (struct coordinator_script){.text = {0}};
    for (uint32_t k = 0; k < m->shard_count; k++)
        add_server(s, of, k);
    add_seen(s, m);
    if (!of->superuser)
        return;
    add_family(s, m, "modulo", integers, ARRAY_LEN(integers), add_modulo);
    add_family(s, m, "string_hash", strings, ARRAY_LEN(strings), add_string_hash);
    if (!m->is_plain)
        add_family(s, m, "hash", hashed, ARRAY_LEN(hashed), add_hash);
}

void coordinator_script_add(struct coordinator_script *s, const struct coordinator_of *of, const char *what,
                            const char *make, const char *gone)
{
    if (strcmp(what, "role") == 0)
        add_role(s, of, make);
    else
        add(s, strcmp(what, "true") == 0, make, gone);
}

uint64_t coordinator_script_sum(const struct coordinator_script *s)
{
    return hash_stable(buf_head(&s->text), buf_used(&s->text));
}

void coordinator_script_free(struct coordinator_script *s)
{
    buf_free(&s->text);
}

/* --- one statement after the other --- */

typedef void each_fn(void *arg, bool must, const char *make, const char *gone);

static void each(const struct coordinator_script *s, each_fn *call, void *arg)
{
    const char *at = (const char *)buf_head(&s->text);
    const char *end = at + buf_used(&s->text);

    while (at < end) {
        bool must = *at == 't';
        const char *make = at + 2;
        const char *gone = make + strlen(make) + 1;
        call(arg, must, make, gone);
        at = gone + strlen(gone) + 1;
    }
}

static const char *const tables[] = {
    "CREATE SCHEMA IF NOT EXISTS sluice",
    "GRANT USAGE ON SCHEMA sluice TO PUBLIC",
    "CREATE TABLE IF NOT EXISTS sluice.shard (one boolean PRIMARY KEY DEFAULT true CHECK (one), "
    "database text NOT NULL, shard text NOT NULL, shards int NOT NULL, map text NOT NULL, version int NOT NULL)",
    "GRANT SELECT ON sluice.shard TO PUBLIC",
    "CREATE TABLE IF NOT EXISTS sluice.made (number bigint GENERATED ALWAYS AS IDENTITY, gone text NOT NULL)",
    "CREATE TABLE IF NOT EXISTS sluice.missing (statement text, why text)",
    "CREATE TABLE IF NOT EXISTS sluice.generated (one boolean PRIMARY KEY DEFAULT true CHECK (one), sum text NOT NULL, "
    "analyzed_at timestamptz)",
    "CREATE EXTENSION IF NOT EXISTS postgres_fdw WITH SCHEMA sluice",
};

static void put_identity(const struct coordinator_of *of, struct buf *out)
{
    char map[17];

    snprintf(map, sizeof map, "%016" PRIx64, of->map->hash);
    sql_text_put(
        out,
        "INSERT INTO sluice.shard (database, shard, shards, map, version) VALUES (%l, %l, %n, %l, 1) ON CONFLICT "
        "(one) DO UPDATE SET shards = EXCLUDED.shards, map = EXCLUDED.map WHERE shard.database = EXCLUDED.database "
        "AND shard.shard = EXCLUDED.shard",
        of->database, COORDINATOR_NAME, (int)of->map->shard_count, map);
}

/* Fails on a server that is something else. */
static void put_check(const struct coordinator_of *of, struct buf *out)
{
    sql_text_put(
        out,
        "IF NOT EXISTS (SELECT FROM sluice.shard WHERE database = %l AND shard = %l) THEN RAISE EXCEPTION USING "
        "MESSAGE = 'the database is not the coordinator of ' || %l || ', but ' || (SELECT pg_catalog.format('shard "
        "%%s of %%s', shard, database) FROM sluice.shard), HINT = 'Give the coordinator a database of its own.'; "
        "END IF; ",
        of->database, COORDINATOR_NAME, of->database);
}

static void put_undo(struct buf *out)
{
    buf_put_text(out, "FOR s IN SELECT gone FROM sluice.made ORDER BY number DESC LOOP EXECUTE s; END LOOP; "
                      "DELETE FROM sluice.made; DELETE FROM sluice.missing; ");
}

static void put_sum(const struct coordinator_script *s, struct buf *out)
{
    char sum[17];

    snprintf(sum, sizeof sum, "%016" PRIx64, coordinator_script_sum(s));
    sql_text_put(out,
                 "INSERT INTO sluice.generated (sum) VALUES (%l) ON CONFLICT (one) DO UPDATE SET sum = EXCLUDED.sum, "
                 "analyzed_at = NULL",
                 sum);
}

/* --- in one --- */

static void apply_each(void *arg, bool must, const char *make, const char *gone)
{
    struct buf *out = arg;

    sql_text_put(out,
                 must ? "EXECUTE %l; "
                      : "BEGIN EXECUTE %l; EXCEPTION WHEN OTHERS THEN INSERT INTO sluice.missing "
                        "VALUES (%l, SQLERRM); END; ",
                 make, make);
    if (*gone != '\0')
        sql_text_put(out, "INSERT INTO sluice.made (gone) VALUES (%l); ", gone);
}

char *coordinator_script_apply(const struct coordinator_script *s, const struct coordinator_of *of)
{
    struct buf out = {0}, body = {0};
    char sum[17];

    snprintf(sum, sizeof sum, "%016" PRIx64, coordinator_script_sum(s));
    buf_put_text(&body,
                 "DECLARE s text; BEGIN SET LOCAL search_path = pg_catalog; SET LOCAL client_min_messages = warning; "
                 "PERFORM pg_advisory_xact_lock(730580886735); ");
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        sql_text_put(&body, "EXECUTE %l; ", tables[i]);
    put_identity(of, &body);
    buf_put_text(&body, "; ");
    put_check(of, &body);
    sql_text_put(&body, "IF EXISTS (SELECT FROM sluice.generated WHERE sum = %l) THEN RETURN; END IF; ", sum);
    put_undo(&body);
    each(s, apply_each, &body);
    put_sum(s, &body);
    buf_put_text(&body, "; END");
    buf_put_u8(&body, 0);
    sql_text_put(&out, "DO %l", (const char *)body.data);
    buf_put_u8(&out, 0);
    buf_free(&body);
    return (char *)out.data;
}

/* --- for people --- */

static void print_each(void *arg, bool must, const char *make, const char *gone)
{
    struct buf *out = arg;

    (void)must;
    sql_text_put(out, "%t;\n", make);
    if (*gone != '\0')
        sql_text_put(out, "INSERT INTO sluice.made (gone) VALUES (%l);\n", gone);
}

void coordinator_script_print(const struct coordinator_script *s, const struct coordinator_of *of, struct buf *out)
{
    struct buf body = {0};

    buf_put_text(out, "SET search_path = pg_catalog;\n");
    for (size_t i = 0; i < ARRAY_LEN(tables); i++)
        sql_text_put(out, "%t;\n", tables[i]);
    put_identity(of, out);
    buf_put_text(&body, "DECLARE s text; BEGIN ");
    put_check(of, &body);
    put_undo(&body);
    buf_put_text(&body, "END");
    buf_put_u8(&body, 0);
    sql_text_put(out, ";\nDO %l;\n", (const char *)body.data);
    buf_free(&body);
    each(s, print_each, out);
    put_sum(s, out);
    buf_put_text(out, ";\n");
}
