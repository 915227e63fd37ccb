/*
 * test_stmts.c: prepared statements: shared texts and their counts, what a server is asked and told, which statement
 * goes when there are too many, and what a client's names mean while requests are under way.
 * After each test no text may be left: whatever was counted was given back.
 * Thread: one, but for the last test.
 */
#include "pool/stmts.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define NO_TYPES span_of("", 0)

static struct stmt_text *text_of(const char *sql)
{
    return stmt_text_intern(sql, NO_TYPES, 0);
}

static size_t text_count(void)
{
    size_t count, bytes;

    stmt_text_usage(&count, &bytes);
    assert_int_equal(count == 0, bytes == 0);
    return count;
}

static int no_text_is_left(void **state)
{
    (void)state;
    return text_count() == 0 ? 0 : -1;
}

/* --- texts --- */

static void equal_texts_are_one(void **state)
{
    struct stmt_text *a = stmt_text_intern("select $1", span_of("\0\0\0\x17", 4), 5);
    struct stmt_text *b = stmt_text_intern("select $1", span_of("\0\0\0\x17", 4), 5);

    (void)state;
    assert_ptr_equal(a, b);
    assert_int_equal(a->refs, 2);
    assert_int_equal(text_count(), 1);
    assert_string_equal(stmt_text_sql(a), "select $1");
    assert_true(span_equal(stmt_text_types(a), span_of("\0\0\0\x17", 4)));
    assert_true(a->environment == 5);
    stmt_text_unref(a);
    assert_int_equal(text_count(), 1);
    assert_string_equal(stmt_text_sql(b), "select $1");
    stmt_text_unref(b);
    assert_int_equal(text_count(), 0);
    stmt_text_unref(NULL);
}

/* Whatever differs: text, types, environment; also where the same bytes are parted otherwise. */
static void unequal_texts_have_names_of_their_own(void **state)
{
    struct stmt_text *t[] = {
        stmt_text_intern("select 1", NO_TYPES, 0),
        stmt_text_intern("select 2", NO_TYPES, 0),
        stmt_text_intern("select 1 ", NO_TYPES, 0),
        stmt_text_intern("SELECT 1", NO_TYPES, 0),
        stmt_text_intern("", NO_TYPES, 0),
        stmt_text_intern("select 1", NO_TYPES, 1),
        stmt_text_intern("select 1", span_of("\0\0\0\x17", 4), 0),
        stmt_text_intern("select 1", span_of("\0\0\0\x19", 4), 0),
        stmt_text_intern("select 1", span_of("\0\0\0\x17\0\0\0\x17", 8), 0),
        stmt_text_intern("select 1", span_of("\0\0\0\x17", 4), 1),
        stmt_text_intern("select ", span_of("1\0\0\0", 4), 0),
    };

    (void)state;
    assert_int_equal(text_count(), ARRAY_LEN(t));
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        assert_int_equal(t[i]->refs, 1);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(t[i]->name, t[k]->name);
    }
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        stmt_text_unref(t[i]);
}

static void server_side_names_are_prefixed_hashes(void **state)
{
    struct stmt_text *t = text_of("select 1");

    (void)state;
    assert_int_equal(strlen(t->name), STMT_NAME_SIZE - 1);
    assert_int_equal(strncmp(t->name, "sluice_", 7), 0);
    assert_int_equal(strspn(t->name + 7, "0123456789abcdef"), 32);
    stmt_text_unref(t);
}

/* A text that went away and comes again keeps its name: servers may still hold it. */
static void name_of_a_text_is_stable(void **state)
{
    char name[STMT_NAME_SIZE];
    struct stmt_text *t = text_of("select stable");

    (void)state;
    memcpy(name, t->name, sizeof name);
    stmt_text_unref(t);
    assert_int_equal(text_count(), 0);
    t = text_of("select stable");
    assert_string_equal(t->name, name);
    stmt_text_unref(t);
}

static void thousands_of_texts_are_found_again(void **state)
{
    enum { MANY = 3000 };
    static struct stmt_text *t[MANY];
    char sql[32];
    size_t count, bytes;

    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(sql, sizeof sql, "select %d", i);
        t[i] = text_of(sql);
    }
    stmt_text_usage(&count, &bytes);
    assert_int_equal(count, MANY);
    assert_true(bytes > MANY * sizeof(struct stmt_text));
    for (int i = 0; i < MANY; i++) {
        snprintf(sql, sizeof sql, "select %d", i);
        assert_ptr_equal(text_of(sql), t[i]);
        assert_string_equal(stmt_text_sql(t[i]), sql);
        stmt_text_unref(t[i]);
    }
    for (int i = 0; i < MANY; i++)
        stmt_text_unref(t[MANY - 1 - i]);
}

static void momentary_texts_are_told_apart(void **state)
{
    static const struct {
        const char *sql;
        bool momentary;
    } rows[] = {
        {"select 1", false},
        {"select now()", false}, /* a function, not a literal: evaluated when it runs */
        {"select now(), 'x'", false},
        {"select 'x'", false},
        {"select $1", false},
        {"select now", false},
        {"select $1::date, 'it''s'", false},
        {"select 'now'", true},
        {"select 'NOW'::timestamp", true},
        {"select timestamp 'Today'", true},
        {"select 'tomorrow'::date", true},
        {"select date 'yesterday'", true},
        {"select 'allballs'::time", true},
        {"select ' now '::timestamp", true},
        {"select 'x', 'today'::date", true},
        {"select $$today$$::date", true},
        {"select $q$today$q$::date", true},
        {"select E'\\x6eow'::timestamp", true},   /* an escape may hide the word */
        {"select U&'\\006eow'::timestamp", true}, /* */
        {"select today from \"t\"", true},        /* conservative */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (stmt_text_is_momentary(rows[i].sql) != rows[i].momentary)
            fail_msg("%s", rows[i].sql);
}

/* PostgreSQL reads 'now()' as 'now', joins literals over a line's end, and lets a statement choose its escape. */
static void momentary_texts_may_be_disguised(void **state)
{
    static const char *const disguised[] = {
        "select 'now()'::timestamp",
        "select 'no'\n'w'::timestamp",
        "select U&'!006eow' UESCAPE '!' ::timestamp",
    };
    char missed[256] = "";

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(disguised); i++)
        if (!stmt_text_is_momentary(disguised[i]))
            snprintf(missed + strlen(missed), sizeof missed - strlen(missed), "[%s]", disguised[i]);
    assert_string_equal(missed, "");
}

static void momentary_text_is_never_shared(void **state)
{
    struct stmt_text *a = text_of("select 'now'::timestamp");
    struct stmt_text *b = text_of("select 'now'::timestamp");

    (void)state;
    assert_ptr_not_equal(a, b);
    assert_string_not_equal(a->name, b->name);
    assert_string_equal(stmt_text_sql(a), stmt_text_sql(b));
    assert_int_equal(text_count(), 2);
    stmt_text_unref(a);
    struct stmt_text *c = text_of("select 'now'::timestamp");
    assert_string_not_equal(c->name, b->name);
    stmt_text_unref(b);
    stmt_text_unref(c);
}

/* --- a server's --- */

/* Sends Parse (present) or Close. */
static void server_ask(struct server_stmt *st, bool present)
{
    st->asked = present;
    st->pending++;
}

/* An entry that the server has been told of. */
static struct server_stmt *prepared(struct server_stmts *s, struct stmt_text *t, uint64_t batch)
{
    struct server_stmt *st = server_stmts_use(s, t, batch);

    server_ask(st, true);
    server_stmt_settle(s, st, true, true);
    return st;
}

static void server_finds_what_was_used(void **state)
{
    struct server_stmts s;
    struct stmt_text *t = text_of("select 1"), *other = text_of("select 2");

    (void)state;
    server_stmts_init(&s);
    assert_null(server_stmts_find(&s, t));
    struct server_stmt *st = server_stmts_use(&s, t, 1);
    assert_false(st->present);
    assert_false(st->asked);
    assert_int_equal(st->pending, 0);
    assert_int_equal(st->batch, 1);
    assert_int_equal(t->refs, 2);
    assert_ptr_equal(server_stmts_use(&s, t, 2), st);
    assert_int_equal(st->batch, 2);
    assert_int_equal(t->refs, 2);
    assert_int_equal(s.count, 1);
    assert_ptr_equal(server_stmts_find(&s, t), st);
    assert_null(server_stmts_find(&s, other));
    server_stmts_free(&s);
    assert_int_equal(t->refs, 1);
    stmt_text_unref(t);
    stmt_text_unref(other);
}

static void server_prepares_and_closes(void **state)
{
    struct server_stmts s;
    struct stmt_text *t = text_of("select 1");

    (void)state;
    server_stmts_init(&s);
    struct server_stmt *st = server_stmts_use(&s, t, 1);
    server_ask(st, true);
    assert_true(server_stmt_certain(st, 1)); /* the batch that asks may rely on it */
    assert_false(server_stmt_certain(st, 2));
    server_stmt_settle(&s, st, true, true);
    assert_true(st->present);
    assert_true(st->asked);
    assert_true(server_stmt_certain(st, 2));
    server_ask(st, false);
    assert_true(st->present);
    server_stmt_settle(&s, st, true, false);
    assert_null(server_stmts_find(&s, t));
    assert_int_equal(s.count, 0);
    assert_int_equal(t->refs, 1);
    server_stmts_free(&s);
    stmt_text_unref(t);
}

static void server_refuses_a_parse(void **state)
{
    struct server_stmts s;
    struct stmt_text *t = text_of("select nonsense");

    (void)state;
    server_stmts_init(&s);
    struct server_stmt *st = server_stmts_use(&s, t, 1);
    server_ask(st, true);
    server_stmt_settle(&s, st, false, true);
    assert_null(server_stmts_find(&s, t));
    assert_int_equal(t->refs, 1);
    server_stmts_free(&s);
    stmt_text_unref(t);
}

static void server_keeps_what_a_dropped_close_named(void **state)
{
    struct server_stmts s;
    struct stmt_text *t = text_of("select 1");

    (void)state;
    server_stmts_init(&s);
    struct server_stmt *st = prepared(&s, t, 1);
    server_ask(st, false);
    server_stmt_settle(&s, st, false, false);
    assert_ptr_equal(server_stmts_find(&s, t), st);
    assert_true(st->present);
    assert_true(st->asked);
    server_stmts_free(&s);
    stmt_text_unref(t);
}

/* Close and Parse of one text under way at once: every outcome. */
static void server_settles_close_and_parse(void **state)
{
    static const struct {
        bool closed, parsed, present;
    } rows[] = {{true, true, true}, {true, false, false}, {false, false, true}};
    struct stmt_text *t = text_of("select 1");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct server_stmts s;

        server_stmts_init(&s);
        struct server_stmt *st = prepared(&s, t, 1);
        server_ask(st, false);
        server_ask(st, true);
        assert_int_equal(st->pending, 2);
        server_stmt_settle(&s, st, rows[i].closed, false);
        assert_ptr_equal(server_stmts_find(&s, t), st); /* still asked for, whatever was told */
        server_stmt_settle(&s, st, rows[i].parsed, true);
        st = server_stmts_find(&s, t);
        assert_int_equal(st != NULL, rows[i].present);
        if (st != NULL)
            assert_true(st->present && st->asked && st->pending == 0);
        server_stmts_free(&s);
    }
    stmt_text_unref(t);
}

static void server_forgets_all(void **state)
{
    struct server_stmts s;
    struct stmt_text *t[] = {text_of("select 1"), text_of("select 2"), text_of("select 3")};

    (void)state;
    server_stmts_init(&s);
    prepared(&s, t[0], 1);
    struct server_stmt *closing = prepared(&s, t[1], 1);
    struct server_stmt *parsing = server_stmts_use(&s, t[2], 2);
    server_ask(closing, false);
    server_ask(parsing, true); /* sent behind the DISCARD ALL whose answer has come now */
    server_stmts_clear(&s);
    assert_null(server_stmts_find(&s, t[0]));
    assert_int_equal(s.count, 2);
    server_stmt_settle(&s, closing, true, false);
    assert_null(server_stmts_find(&s, t[1]));
    server_stmt_settle(&s, parsing, true, true);
    assert_true(server_stmts_find(&s, t[2])->present);
    server_stmts_clear(&s);
    assert_int_equal(s.count, 0);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        assert_int_equal(t[i]->refs, 1);
        stmt_text_unref(t[i]);
    }
    server_stmts_free(&s);
}

static void least_recently_used_goes_first(void **state)
{
    struct server_stmts s;
    struct stmt_text *t[4];
    char sql[] = "select 0";

    (void)state;
    server_stmts_init(&s);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        sql[7] = (char)('0' + i);
        t[i] = text_of(sql);
        prepared(&s, t[i], 1);
    }
    assert_null(server_stmts_victim(&s, 4, 2));
    assert_null(server_stmts_victim(&s, 5, 2));
    assert_ptr_equal(server_stmts_victim(&s, 3, 2)->text, t[0]);
    server_stmts_use(&s, t[0], 1);
    assert_ptr_equal(server_stmts_victim(&s, 3, 2)->text, t[1]);
    server_stmts_use(&s, t[1], 2); /* the batch itself needs it */
    assert_ptr_equal(server_stmts_victim(&s, 3, 2)->text, t[2]);
    server_ask(server_stmts_find(&s, t[2]), false); /* on its way out already */
    assert_ptr_equal(server_stmts_victim(&s, 3, 2)->text, t[3]);
    server_ask(server_stmts_find(&s, t[3]), true);
    assert_ptr_equal(server_stmts_victim(&s, 0, 2)->text, t[0]);
    server_stmts_free(&s);
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        stmt_text_unref(t[i]);
}

static void nothing_goes_that_may_not(void **state)
{
    struct server_stmts s;
    struct stmt_text *a = text_of("select 1"), *b = text_of("select 2"), *c = text_of("select 3");

    (void)state;
    server_stmts_init(&s);
    assert_null(server_stmts_victim(&s, 0, 1));
    prepared(&s, a, 7);                    /* used by this batch */
    server_stmts_use(&s, b, 6);            /* not present */
    server_ask(prepared(&s, c, 6), false); /* pending */
    assert_null(server_stmts_victim(&s, 1, 7));
    server_stmts_free(&s);
    stmt_text_unref(a);
    stmt_text_unref(b);
    stmt_text_unref(c);
}

static void server_holds_many(void **state)
{
    enum { MANY = 500 };
    static struct stmt_text *t[MANY];
    struct server_stmts s;
    char sql[32];

    (void)state;
    server_stmts_init(&s);
    for (int i = 0; i < MANY; i++) {
        snprintf(sql, sizeof sql, "select %d", i);
        t[i] = text_of(sql);
        prepared(&s, t[i], (uint64_t)i);
    }
    assert_int_equal(s.count, MANY);
    for (int i = 0; i < MANY - 10; i++) {
        struct server_stmt *st = server_stmts_victim(&s, 10, MANY);
        assert_ptr_equal(st->text, t[i]);
        server_ask(st, false);
        server_stmt_settle(&s, st, true, false);
    }
    assert_null(server_stmts_victim(&s, 10, MANY));
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(server_stmts_find(&s, t[i]) != NULL, i >= MANY - 10);
        stmt_text_unref(t[i]);
    }
    assert_int_equal(text_count(), 10);
    server_stmts_free(&s);
}

/* --- a client's --- */

static void client_names_are_found(void **state)
{
    struct client_stmts s = {0};
    char name[16];

    (void)state;
    assert_null(client_stmts_find(&s, "S_1"));
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "S_%d", i);
        struct client_stmt *st = client_stmts_add(&s, name);
        assert_ptr_equal(client_stmts_add(&s, name), st);
        assert_string_equal(st->name, name);
        assert_null(st->told);
        assert_null(st->asked);
    }
    assert_int_equal(s.count, 300);
    assert_string_equal(client_stmts_find(&s, "S_77")->name, "S_77");
    assert_null(client_stmts_find(&s, "s_77")); /* protocol-level names have case */
    assert_null(client_stmts_find(&s, "S_300"));
    assert_null(client_stmts_find(&s, ""));
    client_stmts_free(&s);
    assert_int_equal(s.count, 0);
    client_stmts_free(&s);
}

/* Adds a name that the server has confirmed. */
static struct client_stmt *named(struct client_stmts *s, const char *name, struct stmt_text *t)
{
    struct client_stmt *st = client_stmts_add(s, name);

    client_stmt_ask(st, t, 1);
    client_stmt_settle(s, st, true, t);
    return st;
}

static void client_parses_and_closes(void **state)
{
    struct client_stmts s = {0};
    struct stmt_text *t = text_of("select 1");
    struct client_stmt *st = client_stmts_add(&s, "a");

    (void)state;
    client_stmt_ask(st, t, 5);
    assert_ptr_equal(st->asked, t);
    assert_null(st->told);
    assert_true(client_stmt_certain(st, 5));
    assert_false(client_stmt_certain(st, 6));
    client_stmt_settle(&s, st, true, t);
    assert_ptr_equal(st->told, t);
    assert_ptr_equal(st->asked, t);
    assert_true(client_stmt_certain(st, 6));
    assert_int_equal(t->refs, 3);
    st->about.described = true;
    client_stmt_ask(st, NULL, 6);
    assert_null(st->asked);
    assert_ptr_equal(st->told, t);
    client_stmt_settle(&s, st, true, NULL);
    assert_null(client_stmts_find(&s, "a"));
    assert_int_equal(s.count, 0);
    assert_int_equal(t->refs, 1);
    client_stmts_free(&s);
    stmt_text_unref(t);
}

static void client_parse_that_fails_leaves_no_name(void **state)
{
    struct client_stmts s = {0};
    struct stmt_text *t = text_of("selec 1");
    struct client_stmt *st = client_stmts_add(&s, "a");

    (void)state;
    client_stmt_ask(st, t, 1);
    client_stmt_settle(&s, st, false, t);
    assert_null(client_stmts_find(&s, "a"));
    assert_int_equal(t->refs, 1);
    client_stmts_free(&s);
    stmt_text_unref(t);
}

/* Close "a" and Parse "a" with another text in one batch: every way in which an error can cut it. */
static void client_closes_and_parses_in_one_batch(void **state)
{
    static const struct {
        bool closed, parsed;
        int left; /* 0: no such name, 1: the old text, 2: the new one */
    } rows[] = {{true, true, 2}, {true, false, 0}, {false, false, 1}};
    struct stmt_text *t[] = {NULL, text_of("select 1"), text_of("select 2")};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct client_stmts s = {0};
        struct client_stmt *st = named(&s, "a", t[1]);

        st->about.described = true;
        client_stmt_ask(st, NULL, 2);
        client_stmt_ask(st, t[2], 2);
        assert_ptr_equal(st->asked, t[2]); /* what the same batch's Bind means */
        assert_ptr_equal(st->told, t[1]);
        client_stmt_settle(&s, st, rows[i].closed, NULL);
        assert_ptr_equal(client_stmts_find(&s, "a"), st);
        assert_ptr_equal(st->asked, t[2]);
        client_stmt_settle(&s, st, rows[i].parsed, t[2]);
        st = client_stmts_find(&s, "a");
        assert_ptr_equal(st == NULL ? NULL : st->told, t[rows[i].left]);
        assert_ptr_equal(st == NULL ? NULL : st->asked, t[rows[i].left]);
        if (st != NULL)
            assert_int_equal(st->about.described, rows[i].left == 1);
        client_stmts_free(&s);
        assert_int_equal(t[1]->refs, 1);
        assert_int_equal(t[2]->refs, 1);
    }
    stmt_text_unref(t[1]);
    stmt_text_unref(t[2]);
}

/* Parse "a" of the same text again (the unnamed statement of every ORM): counts stay right. */
static void client_parses_again_and_again(void **state)
{
    struct client_stmts s = {0};
    struct stmt_text *t = text_of("select 1");
    struct client_stmt *st = client_stmts_add(&s, "");

    (void)state;
    for (int i = 0; i < 5; i++)
        client_stmt_ask(st, t, 1);
    for (int i = 0; i < 5; i++)
        client_stmt_settle(&s, st, i % 2 == 0, t);
    assert_ptr_equal(client_stmts_find(&s, ""), st);
    assert_int_equal(t->refs, 3);
    client_stmts_free(&s);
    assert_int_equal(t->refs, 1);
    stmt_text_unref(t);
}

static void client_forgets_all(void **state)
{
    struct client_stmts s = {0};
    struct stmt_text *old = text_of("select 1"), *new = text_of("select 2");
    struct client_stmt *kept = named(&s, "kept", old), *dropped = named(&s, "dropped", old);

    (void)state;
    named(&s, "idle", old);
    client_stmt_ask(kept, new, 2);
    client_stmt_ask(dropped, new, 2);
    client_stmts_clear(&s); /* DISCARD ALL was answered; the two Parses come behind it */
    assert_null(client_stmts_find(&s, "idle"));
    assert_null(kept->told);
    assert_ptr_equal(kept->asked, new);
    client_stmt_settle(&s, kept, true, new);
    client_stmt_settle(&s, dropped, false, new);
    assert_ptr_equal(client_stmts_find(&s, "kept")->told, new);
    assert_null(client_stmts_find(&s, "dropped"));
    assert_int_equal(old->refs, 1);
    client_stmts_clear(&s);
    assert_int_equal(s.count, 0);
    client_stmts_free(&s);
    stmt_text_unref(old);
    stmt_text_unref(new);
}

/* The client is gone, its requests are not: their entries live until the last is settled. */
static void orphans_live_until_they_are_settled(void **state)
{
    struct client_stmts s = {0};
    struct stmt_text *t = text_of("select 1"), *other = text_of("select 2");
    struct client_stmt *one = client_stmts_add(&s, "one"), *two = named(&s, "two", t);

    (void)state;
    named(&s, "idle", t);
    client_stmt_ask(one, t, 1);
    client_stmt_ask(two, NULL, 1);
    client_stmt_ask(two, other, 1);
    client_stmts_free(&s);
    assert_true(one->orphan);
    assert_true(two->orphan);
    client_stmt_settle(NULL, one, true, t);
    client_stmt_settle(NULL, two, true, NULL);
    client_stmt_settle(NULL, two, false, other);
    assert_int_equal(t->refs, 1);
    assert_int_equal(other->refs, 1);
    stmt_text_unref(t);
    stmt_text_unref(other);
}

/* --- threads --- */

#define THREADS 4
#define ROUNDS 4000

/* Everyone takes and gives back the same few texts, so that the last reference often goes while another comes. */
static void *churn(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    char sql[] = "select 0";
    size_t *wrong = mem_zalloc(sizeof *wrong);

    for (int i = 0; i < ROUNDS; i++) {
        seed = seed * 1103515245 + 12345;
        sql[7] = (char)('0' + (seed >> 16) % 3);
        struct stmt_text *t = text_of(sql);
        struct stmt_text *again = stmt_text_ref(t);
        *wrong += strcmp(stmt_text_sql(t), sql) != 0;
        stmt_text_unref(t);
        stmt_text_unref(again);
    }
    return wrong;
}

static void texts_are_shared_by_threads(void **state)
{
    pthread_t threads[THREADS];
    unsigned seeds[THREADS];

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        seeds[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, churn, &seeds[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_int_equal(*(size_t *)wrong, 0);
        free(wrong);
    }
    assert_int_equal(text_count(), 0);
}

#define TEST(function) cmocka_unit_test_teardown(function, no_text_is_left)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(equal_texts_are_one),
        TEST(unequal_texts_have_names_of_their_own),
        TEST(server_side_names_are_prefixed_hashes),
        TEST(name_of_a_text_is_stable),
        TEST(thousands_of_texts_are_found_again),
        TEST(momentary_texts_are_told_apart),
        TEST(momentary_texts_may_be_disguised),
        TEST(momentary_text_is_never_shared),
        TEST(server_finds_what_was_used),
        TEST(server_prepares_and_closes),
        TEST(server_refuses_a_parse),
        TEST(server_keeps_what_a_dropped_close_named),
        TEST(server_settles_close_and_parse),
        TEST(server_forgets_all),
        TEST(least_recently_used_goes_first),
        TEST(nothing_goes_that_may_not),
        TEST(server_holds_many),
        TEST(client_names_are_found),
        TEST(client_parses_and_closes),
        TEST(client_parse_that_fails_leaves_no_name),
        TEST(client_closes_and_parses_in_one_batch),
        TEST(client_parses_again_and_again),
        TEST(client_forgets_all),
        TEST(orphans_live_until_they_are_settled),
        TEST(texts_are_shared_by_threads),
    };

    return cmocka_run_group_tests_name("stmts", tests, NULL, NULL);
}
