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

static void words_and_values(void **state)
{
    static const struct {
        const char *text;
        enum route_hint route;
        usec_t timeout;
        bool timed;
    } rows[] = {
        {"", HINT_NONE, 0, false},
        {" primary ", HINT_PRIMARY, 0, false},
        {"timeout=5s", HINT_NONE, 5 * USEC_PER_SEC, true},
        {"timeout=250", HINT_NONE, 250 * USEC_PER_MSEC, true},
        {" TIMEOUT=2min, Replica", HINT_REPLICA, 120 * USEC_PER_SEC, true},
        {"replica\ttimeout='1.5 s'\n", HINT_REPLICA, 1500 * USEC_PER_MSEC, true},
        {"timeout=\"1 h\" primary", HINT_PRIMARY, 3600 * USEC_PER_SEC, true},
        {"timeout=0", HINT_NONE, 0, true},
        {"timeout=5s timeout=1s", HINT_NONE, USEC_PER_SEC, true},
        /* what is not understood, or was not meant */
        {"timeout=", HINT_NONE, 0, false},
        {"timeout=-5s", HINT_NONE, 0, false},
        {"timeout=soon primary", HINT_PRIMARY, 0, false},
        {"timeout='5s", HINT_NONE, 0, false},
        {"timeout='", HINT_NONE, 0, false},
        {"=5s", HINT_NONE, 0, false},
        {"time=5s lock_timeout=5s timeouts=5s", HINT_NONE, 0, false},
        {"'primary'", HINT_NONE, 0, false},
        {"timeout=99999999999999999999s", HINT_NONE, 0, false},
        {"timeout=0000000000000000000000000000000000000000000000000000000000000005s", HINT_NONE, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct hint h = hint_of(rows[i].text, strlen(rows[i].text));
        if (h.route != rows[i].route || h.timeout != rows[i].timeout || h.timed != rows[i].timed)
            fail_msg("%s: route %d, timeout %lld, %d", rows[i].text, (int)h.route, (long long)h.timeout, h.timed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_and_values)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
