/*
 * test_fingerprint.c: what is left of a statement when its literals are taken out, which of them stay, and where the
 * slots are.
 * Thread: one.
 */
#include "parser/fingerprint.h"
#include "parser/values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SEED UINT64_C(0x1234)
#define ASKED (LEX_STANDARD_STRINGS | FINGERPRINT_KEEP_HINTS)

static struct fingerprint print;

static const char *normal(const char *sql)
{
    size_t len = strlen(sql);
    char *exact = mem_alloc(len); /* so that a read past the end is seen */

    memcpy(exact, sql, len);
    fingerprint_read(&print, exact, len, ASKED, SEED);
    free(exact);
    buf_put_u8(&print.text, 0);
    print.text.len--;
    return (const char *)print.text.data;
}

struct row {
    const char *sql;
    const char *normal;
};

static void check(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *want = rows[i].normal == NULL ? rows[i].sql : rows[i].normal;
        char *first = mem_strdup(normal(rows[i].sql));
        assert_string_equal(first, want);
        assert_string_equal(normal(first), want);
        free(first);
    }
}

static void test_literals_are_taken_out(void **state)
{
    static const struct row rows[] = {
        {"SELECT  1", "select $"},
        {"select 1.5, 'a', E'a', $$a$$, b'1', x'f', 99999999999", "select $, $, $, $, $, $, $"},
        {"select N'a', n 'a'", "select nchar $, n $"},
        {"SELECT a.\"B\" FROM T WHERE Id=-5 AND x>+1.5", "select a.\"B\" from t where id = - $ and x > + $"},
        {"select date '2020-01-01', interval '1' day", "select date $, interval $ day"},
        {"select $1, $2::int, 'x'::text", "select $1, $2::int, $::text"},
        {"select true, false, null", NULL},
        {"select * from t limit 10 offset 20", "select * from t limit $ offset $"},
        {"select 1 fetch first 5 rows only", "select $ fetch first $ rows only"},
        {"insert into t values (1, 'a', default)", "insert into t values ($, $, default)"},
        {"update t set a = 1 where b = 'x'", "update t set a = $ where b = $"},
        {"delete from t where a < 5 returning *", "delete from t where a < $ returning *"},
        {"with x as (select 1) select 2", "with x as (select $) select $"},
        {"table t", NULL},
        {"(select 1)", "(select $)"},
        {"merge into t using s on t.a = 1 when matched then delete",
         "merge into t using s on t.a = $ when matched then delete"},
        {"execute p(1, 'a')", "execute p ($, $)"},
        {"call p(1)", "call p ($)"},
        {"explain select 1", "explain select $"},
        {"explain (analyze 1, format 'json') select 1", "explain (analyze 1, format 'json') select $"},
        {"explain analyze verbose insert into t values (1)", "explain analyze verbose insert into t values ($)"},
        {"explain (select 1)", "explain (select $)"},
        {"explain create table a as select 1", NULL},
        {"explain declare c cursor for select 1", NULL},
        {"select f(a => 1, b := 2)", "select f (a => $, b := $)"},
        {"select a[1], a[1:2], array[1,2]", "select a[$], a[$ : $], array[$, $]"},
        {"select (x).y, (x).*, count(*), a * b", "select (x).y, (x).*, count (*), a * b"},
        {"select a @- 1", "select a @- $"},
        {"select a : :: b", "select a : ::b"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows));
}

static void test_blanks_comments_and_semicolons(void **state)
{
    static const struct row rows[] = {
        {"", ""},
        {" -- nothing\n /* at all */ ; ;", ""},
        {"select\n\t1 -- one\n + /* two */ 2", "select $ + $"},
        {"select 1;", "select $"},
        {";;select 1;;", "select $"},
        {"select 1;;select 2;", "select $; select $"},
        {"select/**/a", "select a"},
        {"/* sluice: primary */ select 1", "/* sluice: primary */ select $"},
        {"select /*sluice:replica*/ 1", "select /*sluice:replica*/ $"},
        {"select 1; /* sluice: x */", "select $; /* sluice: x */"},
        {"select 1 /* Sluice: x */ /* my sluice: x */ -- sluice: y", "select $"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows));
}

static void test_literals_that_stay(void **state)
{
    static const struct row rows[] = {
        {"select a, b from t order by 1, 2 desc", NULL},
        {"select a from t order by (1), +2, - 3, a + 4, f (5), 'x'",
         "select a from t order by (1), + 2, - 3, a + $, f ($), 'x'"},
        {"select a from t order by x.limit, 1 limit 5", "select a from t order by x.limit, 1 limit $"},
        {"select a from t order by \"limit\", 1 limit 5", "select a from t order by \"limit\", 1 limit $"},
        {"select a from t order by rows, 1", NULL},
        {"select a from t order by case when a = 1 then 2 end, 3",
         "select a from t order by case when a = $ then $ end, 3"},
        {"select a from t order by (select b from u order by 1 limit 1), 2",
         "select a from t order by (select b from u order by 1 limit $), 2"},
        {"select a from t group by 1, b having a > 1 order by 2",
         "select a from t group by 1, b having a > $ order by 2"},
        {"select a from t group by distinct 1, a in (1, 2), 3", "select a from t group by distinct 1, a in (...), 3"},
        {"select a from t group by rollup (1, (2, 3)), cube (4), grouping sets ((1), (2, 3))", NULL},
        {"select a from t group by rollup (1, 2) having a > 1", "select a from t group by rollup (1, 2) having a > $"},
        {"select distinct on (1, a, 2) 3 from t", "select distinct on (1, a, 2) $ from t"},
        {"select a from t join u on (1 = 2)", "select a from t join u on ($ = $)"},
        {"select rank () over (partition by 1 order by a rows between 2 preceding and 3 following)",
         "select rank () over (partition by $ order by a rows between $ preceding and $ following)"},
        {"select U&'\\0041', U&'!0041' uescape '!', U&\"a!0041\" uescape '!'",
         "select U&'\\0041', U&'!0041' uescape '!', U&\"a!0041\" uescape '!'"},
        {"select 'now', 'a TODAY b', '{yesterday}', 'Tomorrow 12:00', 'allballs'", NULL},
        {"select 'snow', 'nowhere', 'to day', 'now_', 'by'", "select $, $, $, 'now_', $"},
        {"select e'n\\157w', e'\\now', e'to\\day', e'a\\\\x\\n\\''", "select e'n\\157w', e'\\now', e'to\\day', $"},
        {"select 'no'\n'w', $x$now$x$", NULL},
        {"select 'a long text that says now, but is much too long to be any date or time'", "select $"},
        {"select a::float(24), float (53) 'x', varchar(5) 'y', float + 1",
         "select a::float (24), float (53) $, varchar ($) $, float + $"},
        {"set x = 'a'", NULL},
        {"set x to 1, 2", NULL},
        {"copy t from stdin (delimiter ',', null '', header 1)",
         "copy t from stdin (delimiter ',', null '', header 1)"},
        {"copy (select a from t where b in (1, 2)) to stdout", NULL},
        {"fetch 5 from c", NULL},
        {"move 10 in c", NULL},
        {"prepare transaction 'gid 1'", NULL},
        {"commit prepared 'gid'", NULL},
        {"prepare p as select 1 in (1, 2)", NULL},
        {"declare c cursor for select 1", NULL},
        {"create table t (a varchar(5) default 'x')", "create table t (a varchar (5) default 'x')"},
        {"lock table t", NULL},
        {"notify c, 'payload'", NULL},
        {"'a' select 1", NULL},
        {"select 1; set x = 1; select 2", "select $; set x = 1; select $"},
        {"select a from t order by 1; select 1, 2", "select a from t order by 1; select $, $"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows));
}

static void test_lists_collapse(void **state)
{
    static const struct row rows[] = {
        {"select a in (1)", "select a in (...)"},
        {"select a in (1,-2,- 3.5,'x',$1,null,true,b'1') and b = 1", "select a in (...) and b = $"},
        {"select a not in ( /* x */ 1 , -- y\n 2 )", "select a not in (...)"},
        {"select a in (1, +2), b in (- - 1), c in (-$1)", "select a in ($, + $), b in (- - $), c in (- $1)"},
        {"select a in ('today')", "select a in (...)"},
        {"select a in (1, b), c in (1, - b), d in (f(1))", "select a in ($, b), c in ($, - b), d in (f ($))"},
        {"select a in (1, default)", "select a in ($, default)"},
        {"select a in (1::int)", "select a in ($::int)"},
        {"select a in (1,)", "select a in ($,)"},
        {"select a in (,1)", "select a in (, $)"},
        {"select a in (1", "select a in ($"},
        {"select a in ()", NULL},
        {"select a in (select 1)", "select a in (select $)"},
        {"select a in (1 /* sluice: x */, 2)", "select a in ($ /* sluice: x */, $)"},
        {"select a in (U&'x')", NULL},
        {"select a in ((1), 2)", "select a in (($), $)"},
        {"select x.in (1, 2)", "select x.in ($, $)"},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows));
}

static void test_rows_collapse(void **state)
{
    static const struct row rows[] = {
        {"insert into t values (1, 'a'), (2, 'b')", "insert into t values ($, $), (...)"},
        {"insert into t values (1, 'a'), (2, 'b'), (-3, $1), (null, true) returning a",
         "insert into t values ($, $), (...) returning a"},
        {"insert into t values ($1, $2), ($3, $4)", "insert into t values ($1, $2), (...)"},
        {"insert into t values (default, 1), (default, 2)", "insert into t values (default, $), (...)"},
        {"insert into t values (default, 1), (2, default)", "insert into t values (default, $), ($, default)"},
        {"insert into t values (1, 2), (3)", "insert into t values ($, $), ($)"},
        {"insert into t values (1), (2, 3)", "insert into t values ($), ($, $)"},
        {"insert into t values (1), (now())", "insert into t values ($), (now ())"},
        {"insert into t values (now()), (1)", "insert into t values (now ()), ($)"},
        {"insert into t values (1), (2), (3", "insert into t values ($), ($), ($"},
        {"insert into t values (1), (2),", "insert into t values ($), ($),"},
        {"insert into t values (1) /* a */ , -- b\n (2)", "insert into t values ($), (...)"},
        {"select * from (values (1, 'a'), (2, 'b')) v (x, y), (values (1), (2)) w",
         "select * from (values ($, $), (...)) v (x, y), (values ($), (...)) w"},
        {"values (1), (2) union values (3)", "values ($), (...) union values ($)"},
        {"values ((values (1), (2))), (3)", "values ((values ($), ($))), ($)"},
        {"insert into values (a) values (1), (2)", "insert into values (a) values ($), (...)"},
        {"prepare p as insert into t values (1), (2)", NULL},
    };

    (void)state;
    check(rows, ARRAY_LEN(rows));
}

/* What is the same to PostgreSQL is the same text, and what is not is not. */
static void test_equal_and_different(void **state)
{
    static const struct row same[] = {
        {"select 1 from t", "SELECT  'x'\nFROM T -- c"},
        {"select a from t where b in (1)", "select a from t where b in ($1, 'y', 3)"},
        {"insert into t values (1),(2)", "insert into t values (3),(4),(5);"},
        {"select a . b", "select a.b"},
        {"select n'x'", "select nchar 'x'"},
    };
    static const struct row different[] = {
        {"select a from t order by 1", "select a from t order by 2"},
        {"select \"A\" from t", "select a from t"},
        {"select $1", "select $2"},
        {"select $1", "select 1"},
        {"select 1", "select - 1"},
        {"select n'x'", "select n 'x'"},
        {"insert into t values (1)", "insert into t values (1),(2)"},
        {"select 1 /* sluice: primary */", "select 1"},
        {"select a <> b", "select a != b"},
        {"select null", "select 1"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(same) + ARRAY_LEN(different); i++) {
        const struct row *r = i < ARRAY_LEN(same) ? &same[i] : &different[i - ARRAY_LEN(same)];
        char *first = mem_strdup(normal(r->sql));
        uint64_t hash = print.hash;
        assert_int_equal(strcmp(first, normal(r->normal)) == 0, i < ARRAY_LEN(same));
        assert_int_equal(hash == print.hash, i < ARRAY_LEN(same));
        free(first);
    }
}

static void test_hash_depends_on_text_and_seed(void **state)
{
    char text[64];
    uint64_t seen[64];

    (void)state;
    memset(text, 'a', sizeof text);
    for (size_t n = 0; n < ARRAY_LEN(seen); n++) {
        fingerprint_read(&print, text, n, ASKED, SEED);
        seen[n] = print.hash;
        fingerprint_read(&print, text, n, ASKED, SEED + 1);
        assert_int_not_equal(print.hash, seen[n]);
        for (size_t k = 0; k < n; k++)
            assert_int_not_equal(seen[n], seen[k]);
    }
}

/* Also with a seed that is a small number, as long as the text perhaps. */
static void test_hash_with_plain_seeds(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 64; seed++) {
        uint64_t seen;
        fingerprint_read(&print, "abort", 5, ASKED, seed);
        seen = print.hash;
        fingerprint_read(&print, "begin", 5, ASKED, seed);
        assert_int_not_equal(print.hash, seen);
    }
}

static void test_flags(void **state)
{
    static const struct {
        const char *sql;
        unsigned flags;
    } rows[] = {
        {"select 1", 0},
        {"select 'it is now'", FINGERPRINT_NOW},
        {"select a in (1, 'today')", FINGERPRINT_NOW},
        {"insert into t values ('a'), ('yesterday')", FINGERPRINT_NOW},
        {"select 'a long text that says now, but is much too long to be any date or time'", FINGERPRINT_NOW},
        {"select 'knowing'", 0},
        {"select $", FINGERPRINT_UNREADABLE},
        {"select 1..2", FINGERPRINT_UNREADABLE},
        {"select 'a", FINGERPRINT_UNREADABLE},
        {"select 1a", FINGERPRINT_UNREADABLE},
        {"select 'a' --\n'b'", FINGERPRINT_UNREADABLE | FINGERPRINT_NOW},
        {"select a in ('a' --\n'b')", FINGERPRINT_UNREADABLE | FINGERPRINT_NOW},
        {"select /* sluice: primary */ 1", FINGERPRINT_HINTED},
        {"select /* hint */ 1", 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        normal(rows[i].sql);
        assert_int_equal(print.flags, rows[i].flags);
        assert_int_equal(fingerprint_is_parsable(&print), (rows[i].flags & FINGERPRINT_UNREADABLE) == 0);
    }
}

static void test_hints(void **state)
{
    static const char sql[] = "select 1 /* x */ /* sluice: shard=a */ /* sluice: b */";

    (void)state;
    fingerprint_read(&print, sql, strlen(sql), LEX_STANDARD_STRINGS, SEED);
    assert_int_equal(print.flags, 0);
    assert_int_equal(print.text.len, strlen("select $"));
    fingerprint_read(&print, sql, strlen(sql), ASKED, SEED);
    assert_int_equal(print.flags, FINGERPRINT_HINTED);
    assert_memory_equal(sql + print.hint_start, "/* sluice: shard=a */", print.hint_len);
    assert_int_equal(print.hint_len, 21);
}

static void test_counts(void **state)
{
    static const struct {
        const char *sql;
        uint32_t statements, tokens, depth;
    } rows[] = {
        {"", 0, 0, 0},
        {";;", 0, 2, 0},
        {"select 1", 1, 2, 0},
        {"select 1; ; begin;", 2, 6, 0},
        {"select f((a[1]))", 1, 10, 3},
        {"select a in (1,2,3,4,5,6,7,8,9)", 1, 6, 0},
        {"values (1), (2), (3)", 1, 8, 1},
        {"create rule r as on insert to t do (select 1; select 2); select 3", 2, 19, 1},
        {"create function f() returns int begin atomic select 1; select 2; end; select 3", 2, 19, 1},
        {"create or replace procedure p() begin atomic select case when a then b end; end; select 3", 2, 21, 1},
        {"create view v as select 1; begin; end; select 2", 4, 13, 0},
        {"begin; select 1; end", 3, 6, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        normal(rows[i].sql);
        assert_int_equal(print.statements, rows[i].statements);
        assert_int_equal(print.tokens, rows[i].tokens);
        assert_int_equal(print.depth, rows[i].depth);
    }
}

static char *repeated(const char *head, const char *piece, size_t count, const char *tail)
{
    struct buf b = {0};

    buf_put(&b, head, strlen(head));
    for (size_t i = 0; i < count; i++)
        buf_put(&b, piece, strlen(piece));
    buf_put_cstr(&b, tail);
    return (char *)b.data;
}

static void test_what_may_be_parsed(void **state)
{
    static const struct {
        const char *head, *piece;
        size_t count;
        const char *tail;
        bool parsable;
    } rows[] = {
        {"select 1", "+1", 1999, "", true},          {"select 1", "+1", 2000, "", false},
        {"select a in (1", ",1", 50000, ")", true},  {"insert into t values (1)", ",(1)", 50000, "", true},
        {"select a in (b", ",1", 50000, ")", false}, {"select '", "x", 100000, "'", true},
        {"select \"", "x", 70000, "\"", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *sql = repeated(rows[i].head, rows[i].piece, rows[i].count, rows[i].tail);
        normal(sql);
        assert_int_equal(fingerprint_is_parsable(&print), rows[i].parsable);
        free(sql);
    }
}

static void test_many_slots(void **state)
{
    char *sql = repeated("select 1", ",1", FINGERPRINT_SLOTS_MAX - 1, ""), *more;

    (void)state;
    normal(sql);
    assert_int_equal(print.flags, 0);
    assert_int_equal(print.slot_count, FINGERPRINT_SLOTS_MAX);
    assert_int_equal(print.slots[FINGERPRINT_SLOTS_MAX - 1].start, strlen(sql) - 1);
    more = repeated(sql, ",1", 1, "");
    normal(more);
    assert_int_equal(print.flags, FINGERPRINT_CROWDED);
    assert_int_equal(print.slot_count, FINGERPRINT_SLOTS_MAX);
    free(sql);
    free(more);
}

/* Below the depth that is followed, literals stay and nothing breaks. */
static void test_deep(void **state)
{
    char *inner = repeated("select ", "(", 100, "1 in (1, 2) order by 1"), *sql = repeated(inner, ")", 100, ", 1");
    const char *text = normal(sql);

    (void)state;
    assert_non_null(strstr(text, "(1 in (1, 2) order by 1))"));
    assert_non_null(strstr(text, ")), $"));
    assert_int_equal(print.depth, 101);
    free(inner);
    free(sql);
}

static void test_slots(void **state)
{
    static const char sql[] = "SELECT 'a', $2 FROM t WHERE b IN (1,-2) AND c = 5 ORDER BY 1";
    static const struct slot want[] = {{7, 3, 1, SLOT_LITERAL, TOKEN_STRING, 0, false},
                                       {12, 2, 1, SLOT_PARAM, TOKEN_PARAM, 0, false},
                                       {34, 4, 2, SLOT_LIST, 0, 0, false},
                                       {48, 1, 1, SLOT_LITERAL, TOKEN_INTEGER, 0, false},
                                       {59, 1, 1, SLOT_LITERAL, TOKEN_INTEGER, 0, true}};

    (void)state;
    normal(sql);
    assert_int_equal(print.slot_count, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        const struct slot *s = &print.slots[i];
        assert_int_equal(s->start, want[i].start);
        assert_int_equal(s->len, want[i].len);
        assert_int_equal(s->count, want[i].count);
        assert_int_equal(s->kind, want[i].kind);
        assert_int_equal(s->token_kind, want[i].token_kind);
        assert_int_equal(s->kept, want[i].kept);
    }
}

static void test_offsets_become_slots(void **state)
{
    static const char sql[] = "SELECT a FROM t WHERE b = - 5 AND c IN (1, -2) AND (d) = '7'";

    (void)state;
    normal(sql);
    assert_int_equal(fingerprint_slot_at(&print, sql, 26), 0); /* the sign */
    assert_int_equal(fingerprint_slot_at(&print, sql, 28), 0);
    assert_int_equal(fingerprint_slot_at(&print, sql, 40), 1); /* within the list */
    assert_int_equal(fingerprint_slot_at(&print, sql, 43), 1);
    assert_int_equal(fingerprint_slot_at(&print, sql, 44), 1);
    assert_int_equal(fingerprint_slot_at(&print, sql, 57), 2);
    assert_int_equal(fingerprint_slot_at(&print, sql, 7), SLOT_NONE);
    assert_int_equal(fingerprint_slot_at(&print, sql, 24), SLOT_NONE);
    assert_int_equal(fingerprint_slot_at(&print, sql, 30), SLOT_NONE);
    assert_int_equal(fingerprint_slot_at(&print, sql, 60), SLOT_NONE);
    assert_int_equal(fingerprint_slot_at(&print, sql, 1000), SLOT_NONE);
}

struct want_value {
    const char *text;
    bool negative;
    uint32_t row, column;
};

static void check_values(const char *sql, uint32_t slot, const struct want_value *want, size_t count)
{
    struct values v;
    struct value got;

    normal(sql);
    assert_true(slot < print.slot_count);
    values_init(&v, sql, print.slots[slot].start, print.slots[slot].len, LEX_STANDARD_STRINGS);
    for (size_t i = 0; i < count; i++) {
        assert_true(values_next(&v, &got));
        assert_int_equal(got.token.len, strlen(want[i].text));
        assert_memory_equal(sql + got.token.start, want[i].text, got.token.len);
        assert_int_equal(got.negative, want[i].negative);
        assert_int_equal(got.row, want[i].row);
        assert_int_equal(got.column, want[i].column);
    }
    assert_false(values_next(&v, &got));
}

static void test_values_of_runs(void **state)
{
    static const struct want_value list[] = {
        {"1", false, 0, 0}, {"2", true, 0, 1}, {"'x'", false, 0, 2}, {"$3", false, 0, 3}, {"null", false, 0, 4}};
    static const struct want_value rows[] = {{"2", false, 0, 0},  {"'b'", false, 0, 1}, {"3", true, 1, 0},
                                             {"$1", false, 1, 1}, {"4", false, 2, 0},   {"null", false, 2, 1}};

    (void)state;
    check_values("select a in ( 1, -2,'x' ,$3, null) and b = 1", 0, list, ARRAY_LEN(list));
    check_values("insert into t values (1, 'a'), (2, 'b'), (-3, $1) ,(4,null) returning 1", 2, rows, ARRAY_LEN(rows));
    assert_int_equal(print.slots[2].kind, SLOT_ROWS);
    assert_int_equal(print.slots[2].count, 3);
}

static int free_print(void **state)
{
    (void)state;
    fingerprint_free(&print);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals_are_taken_out),
        cmocka_unit_test(test_blanks_comments_and_semicolons),
        cmocka_unit_test(test_literals_that_stay),
        cmocka_unit_test(test_lists_collapse),
        cmocka_unit_test(test_rows_collapse),
        cmocka_unit_test(test_equal_and_different),
        cmocka_unit_test(test_hash_depends_on_text_and_seed),
        cmocka_unit_test(test_hash_with_plain_seeds),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_what_may_be_parsed),
        cmocka_unit_test(test_many_slots),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_offsets_become_slots),
        cmocka_unit_test(test_values_of_runs),
    };

    return cmocka_run_group_tests(tests, NULL, free_print);
}
