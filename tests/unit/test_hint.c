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
    } rows[] = {
        {"", HINT_NONE, 0},
        {" primary ", HINT_PRIMARY, 0},
        {"timeout=5s", HINT_NONE, 5 * USEC_PER_SEC},
        {"timeout=250", HINT_NONE, 250 * USEC_PER_MSEC},
        {" TIMEOUT=2min, Replica", HINT_REPLICA, 120 * USEC_PER_SEC},
        {"replica\ttimeout='1.5 s'\n", HINT_REPLICA, 1500 * USEC_PER_MSEC},
        {"timeout=\"1 h\" primary", HINT_PRIMARY, 3600 * USEC_PER_SEC},
        {"timeout=0", HINT_NONE, 0},
        {"timeout=5s timeout=1s", HINT_NONE, USEC_PER_SEC},
        /* what is not understood, or was not meant */
        {"timeout=", HINT_NONE, 0},
        {"timeout=-5s", HINT_NONE, 0},
        {"timeout=soon primary", HINT_PRIMARY, 0},
        {"timeout='5s", HINT_NONE, 0},
        {"timeout='", HINT_NONE, 0},
        {"=5s", HINT_NONE, 0},
        {"time=5s lock_timeout=5s timeouts=5s", HINT_NONE, 0},
        {"'primary'", HINT_NONE, 0},
        {"timeout=99999999999999999999s", HINT_NONE, 0},
        {"timeout=0000000000000000000000000000000000000000000000000000000000000005s", HINT_NONE, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct hint h = hint_of(rows[i].text, strlen(rows[i].text));
        if (h.route != rows[i].route || h.timeout != rows[i].timeout)
            fail_msg("%s: route %d, timeout %lld", rows[i].text, (int)h.route, (long long)h.timeout);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(words_and_values)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
