/*
 * parse.c: what it costs to understand a statement: lexing it, finding its shape in the cache, and making the shape on
 * a miss (which is libpg_query's parse). Prints nanoseconds a statement, the least of many short rounds: a shared
 * machine swings.
 *
 * usage: build/bench/parse [MILLISECONDS]     how long each figure is measured, 200 by default
 * Thread: main (the only one).
 */
#include "parser/cache.h"
#include "parser/fingerprint.h"

#include <pg_query.h>
#include <stdio.h>
#include <time.h>

#define ROUNDS 400
#define ROWS 100
#define SEED UINT64_C(0x5eed)

struct statement {
    const char *name;
    char *sql;
    size_t len;
};

static struct cache shapes;
static struct fingerprint print;
static volatile uint64_t sink; /* so that nothing is left out as useless */

static int64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void lex_all(const struct statement *s)
{
    struct lexer l;
    struct token t;

    lex_init(&l, s->sql, s->len, LEX_STANDARD_STRINGS);
    while (lex_next(&l, &t) != TOKEN_END)
        sink += t.len;
}

static struct cache_key read_key(const struct statement *s)
{
    fingerprint_read(&print, s->sql, s->len, LEX_STANDARD_STRINGS, SEED);
    return (struct cache_key){
        .text = span_of(print.text.data, print.text.len), .hash = print.hash, .flags = LEX_STANDARD_STRINGS};
}

static void read_shape(const struct statement *s)
{
    sink += read_key(s).hash;
}

static void find_shape(const struct statement *s)
{
    struct cache_key key = read_key(s);

    sink += cache_get(&shapes, &key, s->sql)->hits;
}

static void *parse(void *arg, size_t *value_bytes)
{
    PgQueryProtobufParseResult result = pg_query_parse_protobuf(arg);

    if (result.error != NULL) {
        fprintf(stderr, "parse: %s: %s\n", result.error->message, (const char *)arg);
        exit(1);
    }
    *value_bytes = result.parse_tree.len;
    pg_query_free_protobuf_parse_result(result);
    return NULL;
}

static void forget(void *value)
{
    assert(value == NULL);
}

/* Finds it in no cache: each time, the one shape there is is forgotten first. */
static void make_shape(const struct statement *s)
{
    struct cache_key key = read_key(s);

    cache_forget(&shapes, 0);
    sink += cache_get(&shapes, &key, s->sql)->hits;
}

/* The least time that one call took, on average over a round. */
static double measure(void (*work)(const struct statement *), const struct statement *s, int64_t round_ns)
{
    double least = 0;

    for (int i = 0; i < ROUNDS; i++) {
        int64_t begin = now_ns(), end, count = 0;
        do {
            for (int k = 0; k < 16; k++)
                work(s);
            count += 16;
            end = now_ns();
        } while (end - begin < round_ns);
        double each = (double)(end - begin) / (double)count;
        least = i == 0 || each < least ? each : least;
    }
    return least;
}

static const char cte[] =
    "WITH recent AS (\n"
    "    SELECT o.customer_id, o.id, o.total, o.created_at,\n"
    "           row_number() OVER (PARTITION BY o.customer_id ORDER BY o.created_at DESC) AS place\n"
    "    FROM orders o JOIN order_states s ON s.id = o.state_id\n"
    "    WHERE o.created_at > '2024-01-01' AND s.name IN ('paid', 'sent', 'done')\n"
    "), sums AS (\n"
    "    SELECT customer_id, sum(total) AS spent, avg(total) OVER (PARTITION BY customer_id) AS mean\n"
    "    FROM recent WHERE place <= 10 GROUP BY customer_id, total\n"
    ") SELECT c.id, c.name, s.spent, coalesce(s.mean, 0) FROM customers c LEFT JOIN sums s ON s.customer_id = c.id\n"
    "WHERE c.country = 'DE' AND (s.spent > 100.50 OR c.vip) ORDER BY s.spent DESC NULLS LAST LIMIT 50 OFFSET 100";

static char *insert_of_rows(void)
{
    struct buf b = {0};
    char row[80];

    buf_put(&b, "INSERT INTO items (id, name, price) VALUES ", 43);
    for (int i = 0; i < ROWS; i++)
        buf_put(&b, row, (size_t)snprintf(row, sizeof row, "%s(%d, 'item %d', %d.99)", i > 0 ? ", " : "", i, i, i));
    buf_put_u8(&b, 0);
    return (char *)b.data;
}

int main(int argc, char **argv)
{
    int64_t round_ns = (argc > 1 ? atoll(argv[1]) : 200) * 1000000 / ROUNDS;
    struct statement statements[] = {
        {"point select", mem_strdup("SELECT abalance FROM pgbench_accounts WHERE aid = 12345"), 0},
        {"CTE with windows", mem_strdup(cte), 0},
        {"INSERT of 100 rows", insert_of_rows(), 0},
    };

    cache_init(&shapes, (struct cache_calls){.make = parse, .free_value = forget}, 100, MIB);
    printf("%-20s %8s %8s %12s %8s %12s   ns a statement\n", "statement", "bytes", "lex", "fingerprint", "hit", "miss");
    for (size_t i = 0; i < ARRAY_LEN(statements); i++) {
        struct statement *s = &statements[i];
        s->len = strlen(s->sql);
        printf("%-20s %8zu", s->name, s->len);
        printf(" %8.0f", measure(lex_all, s, round_ns));
        printf(" %12.0f", measure(read_shape, s, round_ns));
        printf(" %8.0f", measure(find_shape, s, round_ns));
        printf(" %12.0f\n", measure(make_shape, s, round_ns));
        free(s->sql);
    }
    cache_free(&shapes);
    fingerprint_free(&print);
    pg_query_exit();
    return 0;
}
