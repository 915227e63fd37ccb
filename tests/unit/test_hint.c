/*
 * test_hint.c: what a comment asks of Sluice.
 * Thread: main.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shard/hint.h"

static bool is_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void words_and_values(void **state)
{
    static const struct {
        const char *text;
        enum route_hint route;
        usec_t timeout;
        bool timed;
        const char *shard, *key;
    } rows[] = {
        {"", HINT_NONE, 0, false, NULL, NULL},
        {" primary ", HINT_PRIMARY, 0, false, NULL, NULL},
        {"timeout=5s", HINT_NONE, 5 * USEC_PER_SEC, true, NULL, NULL},
        {"timeout=250", HINT_NONE, 250 * USEC_PER_MSEC, true, NULL, NULL},
        {" TIMEOUT=2min, Replica", HINT_REPLICA, 120 * USEC_PER_SEC, true, NULL, NULL},
        {"replica\ttimeout='1.5 s'\n", HINT_REPLICA, 1500 * USEC_PER_MSEC, true, NULL, NULL},
        {"timeout=\"1 h\" primary", HINT_PRIMARY, 3600 * USEC_PER_SEC, true, NULL, NULL},
        {"timeout=0", HINT_NONE, 0, true, NULL, NULL},
        {"timeout=5s timeout=1s", HINT_NONE, USEC_PER_SEC, true, NULL, NULL},
        {"shard=s2", HINT_NONE, 0, false, "s2", NULL},
        {"primary Shard='s 2', KEY=42", HINT_PRIMARY, 0, false, "s 2", "42"},
        {"key=\"a,b\" timeout=1s key=c", HINT_NONE, USEC_PER_SEC, true, NULL, "c"},
        {"shard=", HINT_NONE, 0, false, "", NULL},
        {"shards=s2 keys=4 shard key", HINT_NONE, 0, false, NULL, NULL},
        /* what is not understood, or was not meant */
        {"timeout=", HINT_NONE, 0, false, NULL, NULL},
        {"timeout=-5s", HINT_NONE, 0, false, NULL, NULL},
        {"timeout=soon primary", HINT_PRIMARY, 0, false, NULL, NULL},
        {"timeout='5s", HINT_NONE, 0, false, NULL, NULL},
        {"timeout='", HINT_NONE, 0, false, NULL, NULL},
        {"=5s", HINT_NONE, 0, false, NULL, NULL},
        {"time=5s lock_timeout=5s timeouts=5s", HINT_NONE, 0, false, NULL, NULL},
        {"'primary'", HINT_NONE, 0, false, NULL, NULL},
        {"timeout=99999999999999999999s", HINT_NONE, 0, false, NULL, NULL},
        {"timeout=0000000000000000000000000000000000000000000000000000000000000005s", HINT_NONE, 0, false, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct hint h = hint_of(rows[i].text, strlen(rows[i].text));
        if (h.route != rows[i].route || h.timeout != rows[i].timeout || h.timed != rows[i].timed ||
            !is_text(h.shard, rows[i].shard) || !is_text(h.key, rows[i].key))
            fail_msg("%s: route %d, timeout %lld, %d", rows[i].text, (int)h.route, (long long)h.timeout, h.timed);
        hint_free(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_and_values)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
