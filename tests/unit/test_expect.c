/*
 * test_expect.c: the queue of expected replies: order over growth and wrap, errors that skip to Sync, and COPY that
 * swallows Syncs. Each case is a row: what was pushed, what happened, what is left.
 * Thread: one.
 */
#include "pool/expect.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* One letter an entry, in the order of enum expect_type. */
static const char letters[] = "QFPBDECSc";

static struct expect entry(enum expect_type type, uint64_t client_id)
{
    return (struct expect){.type = (uint8_t)type, .verdict = EXPECT_FORWARD, .client_id = client_id};
}

static enum expect_type type_of(char letter)
{
    return (enum expect_type)(strchr(letters, letter) - letters);
}

/* Pushes what the letters say; returns how many were dropped at once. */
static unsigned push_letters(struct expect_queue *q, const char *text)
{
    unsigned dropped = 0;

    for (; *text != '\0'; text++)
        dropped += !expect_push(q, entry(type_of(*text), 0));
    return dropped;
}

static void assert_queue(const struct expect_queue *q, const char *want)
{
    char have[64];

    assert_true(q->count < sizeof have);
    for (uint32_t i = 0; i < q->count; i++)
        have[i] = letters[expect_at(q, i)->type];
    have[q->count] = '\0';
    assert_string_equal(have, want);
    assert_int_equal(expect_empty(q), want[0] == '\0');
    assert_int_equal(expect_head(q) == NULL, want[0] == '\0');
}

struct log {
    char text[64];
    size_t len;
    void *args[64];
};

static void note_dropped(void *arg, const struct expect *e)
{
    struct log *l = arg;

    l->args[l->len] = e->arg;
    l->text[l->len++] = letters[e->type];
    l->text[l->len] = '\0';
}

/* --- order --- */

static void keeps_order_while_it_grows_and_wraps(void **state)
{
    struct expect_queue q = {0};
    uint64_t pushed = 0, popped = 0;

    (void)state;
    for (unsigned round = 1; round < 200; round++) {
        unsigned more = round % 7 + round % 11, fewer = round % 5 + round % 3;
        for (unsigned i = 0; i < more; i++)
            assert_true(expect_push(&q, entry(EXPECT_EXECUTE, pushed++)));
        for (unsigned i = 0; i < fewer && !expect_empty(&q); i++)
            assert_int_equal(expect_pop(&q).client_id, popped++);
        assert_int_equal(q.count, pushed - popped);
        assert_int_equal(q.size & (q.size - 1), 0);
        assert_true(q.size >= q.count);
        for (uint32_t i = 0; i < q.count; i++)
            assert_int_equal(expect_at(&q, i)->client_id, popped + i);
    }
    assert_true(q.count > 500);
    while (!expect_empty(&q))
        assert_int_equal(expect_pop(&q).client_id, popped++);
    assert_int_equal(popped, pushed);
    expect_free(&q);
}

static void wraps_without_growing(void **state)
{
    struct expect_queue q = {0};

    (void)state;
    push_letters(&q, "PBDE");
    uint32_t size = q.size;
    for (unsigned i = 0; i < 10 * size; i++) {
        assert_true(expect_push(&q, expect_pop(&q)));
        assert_int_equal(q.count, 4);
    }
    assert_int_equal(q.size, size);
    assert_queue(&q, "PBDE");
    expect_free(&q);
}

static void grows_when_the_head_stands_anywhere(void **state)
{
    (void)state;
    for (unsigned turn = 0; turn < 16; turn++) {
        struct expect_queue q = {0};
        uint64_t next = 0, first = 0;

        assert_true(expect_push(&q, entry(EXPECT_BIND, next++)));
        for (unsigned i = 0; i < turn; i++) {
            assert_true(expect_push(&q, entry(EXPECT_BIND, next++)));
            assert_int_equal(expect_pop(&q).client_id, first++);
        }
        uint32_t size = q.size;
        while (q.size == size)
            assert_true(expect_push(&q, entry(EXPECT_BIND, next++)));
        while (!expect_empty(&q))
            assert_int_equal(expect_pop(&q).client_id, first++);
        assert_int_equal(first, next);
        expect_free(&q);
    }
}

static void keeps_every_field(void **state)
{
    struct expect_queue q = {0};
    int thing;
    struct expect e = {.type = EXPECT_CLOSE,
                       .verdict = EXPECT_FAKE,
                       .effect = EFFECT_CLIENT_STMT,
                       .client_id = UINT64_C(0x123456789abcdef0),
                       .arg = &thing};

    (void)state;
    assert_true(expect_push(&q, e));
    struct expect back = expect_pop(&q);
    assert_int_equal(back.type, EXPECT_CLOSE);
    assert_int_equal(back.verdict, EXPECT_FAKE);
    assert_int_equal(back.effect, EFFECT_CLIENT_STMT);
    assert_true(back.client_id == e.client_id);
    assert_ptr_equal(back.arg, &thing);
    expect_free(&q);
}

static void freed_queue_can_be_used_again(void **state)
{
    struct expect_queue q = {0};
    struct log l = {.len = 0};

    (void)state;
    push_letters(&q, "PBE");
    expect_fail(&q, note_dropped, &l);
    assert_true(q.skipping);
    expect_free(&q);
    assert_null(q.ring);
    assert_false(q.skipping);
    assert_queue(&q, "");
    assert_int_equal(push_letters(&q, "Q"), 0);
    assert_queue(&q, "Q");
    expect_free(&q);
}

/* --- errors --- */

static void error_pops_up_to_sync(void **state)
{
    static const struct {
        const char *queue, *dropped, *left;
        bool skipping;
    } rows[] = {
        {"Q", "", "Q", false},           /* ReadyForQuery will pop it */
        {"QPBES", "", "QPBES", false},   /* what follows a simple query still runs */
        {"QQ", "", "QQ", false},         /* each query has an answer of its own */
        {"F", "", "F", false},           /* a function call likewise */
        {"FQ", "", "FQ", false},         /* */
        {"S", "", "S", false},           /* Sync's own commit failed: ReadyForQuery follows */
        {"SPBES", "", "SPBES", false},   /* */
        {"PBDES", "PBDE", "S", false},   /* the rest of the batch is ignored */
        {"ES", "E", "S", false},         /* */
        {"CS", "C", "S", false},         /* */
        {"DSPBES", "D", "SPBES", false}, /* the next batch is not */
        {"PSPS", "P", "SPS", false},     /* */
        {"EcS", "Ec", "S", false},       /* the end of a COPY that failed is ignored as well */
        {"PQS", "PQ", "S", false},       /* a simple query inside a batch in error is ignored */
        {"PFBS", "PFB", "S", false},     /* */
        {"PBE", "PBE", "", true},        /* Sync is still to come */
        {"E", "E", "", true},            /* */
        {"PBEQ", "PBEQ", "", true},      /* */
        {"", "", "", true},              /* an error out of turn, after a Flush */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct expect_queue q = {0};
        struct log l = {.len = 0};

        assert_int_equal(push_letters(&q, rows[i].queue), 0);
        expect_fail(&q, note_dropped, &l);
        assert_string_equal(l.text, rows[i].dropped);
        assert_queue(&q, rows[i].left);
        assert_int_equal(q.skipping, rows[i].skipping);
        expect_free(&q);
    }
}

static void error_tells_of_each_argument_once(void **state)
{
    struct expect_queue q = {0};
    struct log l = {.len = 0};
    int things[20];

    (void)state;
    push_letters(&q, "DDDDD"); /* so that the entries wrap */
    while (!expect_empty(&q))
        expect_pop(&q);
    for (size_t i = 0; i < ARRAY_LEN(things); i++) {
        struct expect e = entry(EXPECT_PARSE, i);
        e.arg = &things[i];
        assert_true(expect_push(&q, e));
    }
    push_letters(&q, "S");
    expect_fail(&q, note_dropped, &l);
    assert_int_equal(l.len, ARRAY_LEN(things));
    for (size_t i = 0; i < ARRAY_LEN(things); i++)
        assert_ptr_equal(l.args[i], &things[i]);
    assert_queue(&q, "S");
    expect_free(&q);
}

static void skipping_drops_all_but_sync(void **state)
{
    struct expect_queue q = {0};
    struct log l = {.len = 0};

    (void)state;
    push_letters(&q, "PBE");
    expect_fail(&q, note_dropped, &l);
    for (const char *p = "QFPBDECc"; *p != '\0'; p++) {
        assert_false(expect_push(&q, entry(type_of(*p), 0)));
        assert_true(q.skipping);
        assert_queue(&q, "");
    }
    assert_true(expect_push(&q, entry(EXPECT_SYNC, 7)));
    assert_false(q.skipping);
    assert_queue(&q, "S");
    assert_int_equal(push_letters(&q, "PBES"), 0);
    assert_queue(&q, "SPBES");
    assert_int_equal(expect_pop(&q).client_id, 7);
    expect_free(&q);
}

static void second_error_while_skipping_changes_nothing(void **state)
{
    struct expect_queue q = {0};
    struct log l = {.len = 0};

    (void)state;
    push_letters(&q, "E");
    expect_fail(&q, note_dropped, &l);
    expect_fail(&q, note_dropped, &l);
    assert_string_equal(l.text, "E");
    assert_true(q.skipping);
    assert_int_equal(push_letters(&q, "PS"), 1);
    assert_queue(&q, "S");
    expect_free(&q);
}

/* --- COPY --- */

static void copy_swallows_the_syncs_behind_it(void **state)
{
    static const struct {
        const char *queue, *left;
        unsigned removed;
    } rows[] = {
        {"E", "E", 0},               /* nothing was pushed yet */
        {"Q", "Q", 0},               /* */
        {"ES", "E", 1},              /* the usual case: Execute and Sync in one packet */
        {"QS", "Q", 1},              /* */
        {"ESSS", "E", 3},            /* */
        {"ESc", "Ec", 1},            /* */
        {"EScS", "EcS", 1},          /* a Sync behind the data's end does count */
        {"ESScSPBES", "EcSPBES", 2}, /* */
        {"EcS", "EcS", 0},           /* */
        {"ESPBES", "EPBES", 1},      /* Parse ends the COPY in error; the last Sync then ends the skipping */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (unsigned turn = 0; turn < 10; turn++) {
            struct expect_queue q = {0};

            for (unsigned k = 0; k < turn; k++) {
                push_letters(&q, "D");
                expect_pop(&q);
            }
            push_letters(&q, rows[i].queue);
            assert_int_equal(expect_copy_in(&q), rows[i].removed);
            assert_queue(&q, rows[i].left);
            expect_free(&q);
        }
    }
}

static void copy_keeps_the_entry_it_moves(void **state)
{
    struct expect_queue q = {0};
    int thing;
    struct expect e = {
        .type = EXPECT_EXECUTE, .verdict = EXPECT_SKIP, .effect = EFFECT_UNNAMED, .client_id = 9, .arg = &thing};

    (void)state;
    assert_true(expect_push(&q, e));
    push_letters(&q, "SS");
    assert_int_equal(expect_copy_in(&q), 2);
    struct expect back = expect_pop(&q);
    assert_int_equal(back.type, EXPECT_EXECUTE);
    assert_int_equal(back.verdict, EXPECT_SKIP);
    assert_int_equal(back.effect, EFFECT_UNNAMED);
    assert_int_equal(back.client_id, 9);
    assert_ptr_equal(back.arg, &thing);
    assert_true(expect_empty(&q));
    expect_free(&q);
}

/* The whole story: the Sync that came with the COPY is ignored, its data fail, and the Sync after them counts. */
static void failed_copy_waits_for_the_sync_after_its_data(void **state)
{
    struct expect_queue q = {0};
    struct log l = {.len = 0};

    (void)state;
    push_letters(&q, "PBES");
    expect_pop(&q);
    expect_pop(&q);
    assert_int_equal(expect_copy_in(&q), 1);
    expect_fail(&q, note_dropped, &l);
    assert_string_equal(l.text, "E");
    assert_true(q.skipping);
    assert_int_equal(push_letters(&q, "cS"), 1);
    assert_queue(&q, "S");
    assert_false(q.skipping);
    expect_free(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_while_it_grows_and_wraps),
        cmocka_unit_test(wraps_without_growing),
        cmocka_unit_test(grows_when_the_head_stands_anywhere),
        cmocka_unit_test(keeps_every_field),
        cmocka_unit_test(freed_queue_can_be_used_again),
        cmocka_unit_test(error_pops_up_to_sync),
        cmocka_unit_test(error_tells_of_each_argument_once),
        cmocka_unit_test(skipping_drops_all_but_sync),
        cmocka_unit_test(second_error_while_skipping_changes_nothing),
        cmocka_unit_test(copy_swallows_the_syncs_behind_it),
        cmocka_unit_test(copy_keeps_the_entry_it_moves),
        cmocka_unit_test(failed_copy_waits_for_the_sync_after_its_data),
    };

    return cmocka_run_group_tests_name("expect", tests, NULL, NULL);
}
