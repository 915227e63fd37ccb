/*
 * test_inbox.c: messages between threads: their order, their wake-ups, and that none is lost or run twice.
 * Thread: as each test says; the main thread is the owner.
 */
#include "proxy/inbox.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SENDERS 4
#define EACH 20000

struct note {
    struct message m; /* first */
    int sender;
    int number;
};

struct receiver {
    struct inbox in;
    int next[SENDERS];
    int out_of_order;
    int total;
    pthread_t thread;
    struct receiver *forward; /* where on_forward posts */
};

static void on_note(void *receiver, struct message *m)
{
    struct receiver *r = receiver;
    struct note *n = (struct note *)m;

    r->out_of_order += n->number != r->next[n->sender];
    r->next[n->sender] = n->number + 1;
    r->out_of_order += !pthread_equal(pthread_self(), r->thread);
    r->total++;
    free(n);
}

static struct message *note(int sender, int number, void (*run)(void *, struct message *))
{
    struct note *n = mem_zalloc(sizeof *n);

    n->m.run = run;
    n->sender = sender;
    n->number = number;
    return &n->m;
}

static int begin(void **state)
{
    struct receiver *r = mem_zalloc(sizeof *r);

    inbox_init(&r->in);
    r->thread = pthread_self();
    *state = r;
    return r->in.fd >= 0 ? 0 : -1;
}

static int end(void **state)
{
    struct receiver *r = *state;

    inbox_free(&r->in);
    free(r);
    return 0;
}

static bool is_awake(const struct receiver *r, int timeout_ms)
{
    struct pollfd p = {.fd = r->in.fd, .events = POLLIN};

    return poll(&p, 1, timeout_ms) == 1 && (p.revents & POLLIN) != 0;
}

/* --- one thread --- */

static void messages_come_in_order(void **state)
{
    struct receiver *r = *state;

    for (int i = 0; i < 100; i++)
        inbox_post(&r->in, note(0, i, on_note));
    assert_int_equal(r->total, 0); /* only the owner runs them, when it drains */
    inbox_drain(&r->in, r);
    assert_int_equal(r->total, 100);
    assert_int_equal(r->out_of_order, 0);
}

static void post_wakes_and_drain_quiets(void **state)
{
    struct receiver *r = *state;

    assert_false(is_awake(r, 0));
    inbox_post(&r->in, note(0, 0, on_note));
    assert_true(is_awake(r, 0));
    inbox_post(&r->in, note(0, 1, on_note));
    assert_true(is_awake(r, 0));
    inbox_drain(&r->in, r);
    assert_false(is_awake(r, 0));
    assert_int_equal(r->total, 2);
    inbox_post(&r->in, note(0, 2, on_note));
    assert_true(is_awake(r, 0));
    inbox_drain(&r->in, r);
    assert_int_equal(r->total, 3);
}

static void empty_inbox_drains(void **state)
{
    struct receiver *r = *state;

    inbox_drain(&r->in, r);
    inbox_drain(&r->in, r);
    assert_int_equal(r->total, 0);
    inbox_post(&r->in, note(0, 0, on_note));
    inbox_drain(&r->in, r);
    assert_int_equal(r->total, 1);
}

/* Posts one more to its own inbox while that is being drained. */
static void on_again(void *receiver, struct message *m)
{
    struct receiver *r = receiver;
    struct note *n = (struct note *)m;

    r->total++;
    if (n->number > 0)
        inbox_post(&r->in, note(0, n->number - 1, on_again));
    free(n);
}

static void post_from_inside_waits_for_the_next_drain(void **state)
{
    struct receiver *r = *state;

    inbox_post(&r->in, note(0, 3, on_again));
    for (int turn = 1; turn <= 4; turn++) {
        assert_true(is_awake(r, 0));
        inbox_drain(&r->in, r);
        assert_int_equal(r->total, turn); /* what is there now, not what comes: a turn ends */
    }
    assert_false(is_awake(r, 0));
}

static void unread_messages_are_freed(void **state)
{
    struct inbox in;

    (void)state;
    inbox_init(&in);
    for (int i = 0; i < 10; i++)
        inbox_post(&in, note(0, i, on_note));
    inbox_free(&in); /* a leak would be seen by SAN=address */
    assert_int_equal(poll(&(struct pollfd){.fd = in.fd, .events = POLLIN}, 1, 0), 1); /* closed: POLLNVAL */
}

/* --- many threads --- */

struct sender {
    pthread_t thread;
    struct inbox *to;
    int number;
};

static void *send_all(void *arg)
{
    struct sender *s = arg;

    for (int i = 0; i < EACH; i++)
        inbox_post(s->to, note(s->number, i, on_note));
    return NULL;
}

/* The owner sleeps until it is woken, as a worker does: a lost wake-up shows as a time-out. */
static void messages_of_many_threads_all_come(void **state)
{
    struct receiver *r = *state;
    struct sender senders[SENDERS];
    bool slept_too_long = false;

    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.to = &r->in, .number = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all, &senders[i]), 0);
    }
    while (r->total < SENDERS * EACH && !slept_too_long) {
        slept_too_long = !is_awake(r, 5000);
        inbox_drain(&r->in, r);
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    inbox_drain(&r->in, r);
    assert_false(slept_too_long);
    assert_int_equal(r->total, SENDERS * EACH);
    assert_int_equal(r->out_of_order, 0);
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(r->next[i], EACH);
}

/* A ball between two threads: each turn is one wake-up of each, none may be missed. */
#define TURNS 2000

static void on_ball(void *receiver, struct message *m)
{
    struct receiver *r = receiver;

    r->total++;
    inbox_post(&r->forward->in, m);
}

static void *play(void *arg)
{
    struct receiver *r = arg;

    while (r->total < TURNS && is_awake(r, 5000))
        inbox_drain(&r->in, r);
    return NULL;
}

static void no_wake_up_is_lost(void **state)
{
    struct receiver *r = *state, other = {.forward = r};
    pthread_t thread;

    inbox_init(&other.in);
    r->forward = &other;
    assert_int_equal(pthread_create(&thread, NULL, play, &other), 0);
    inbox_post(&r->in, note(0, 0, on_ball));
    play(r);
    pthread_join(thread, NULL);
    assert_int_equal(r->total, TURNS);
    assert_int_equal(other.total, TURNS);
    inbox_free(&other.in);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_come_in_order),    TEST(post_wakes_and_drain_quiets),
        TEST(empty_inbox_drains),        TEST(post_from_inside_waits_for_the_next_drain),
        TEST(unread_messages_are_freed), TEST(messages_of_many_threads_all_come),
        TEST(no_wake_up_is_lost),
    };

    return cmocka_run_group_tests_name("inbox", tests, NULL, NULL);
}
