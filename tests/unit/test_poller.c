/*
 * test_poller.c: who is told what, how often, and who is not told any more.
 * Thread: one.
 */
#include "pool/poller.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct bed;

struct line {
    struct poller_watch watch;
    struct bed *bed;
    int fd, peer;
    unsigned reads, lasts, writes;
    struct line *stops; /* taken back from inside a call; NULL: nobody */
};

struct bed {
    struct poller poller;
    struct line lines[2];
};

static void stop_if_told(struct line *l)
{
    if (l->stops != NULL)
        poller_watch(&l->bed->poller, l->stops->fd, &l->stops->watch, 0);
}

static void on_readable(struct poller_watch *w, bool is_last)
{
    struct line *l = CONTAINER_OF(w, struct line, watch);

    l->reads++;
    l->lasts += is_last;
    stop_if_told(l);
}

static void on_writable(struct poller_watch *w)
{
    struct line *l = CONTAINER_OF(w, struct line, watch);

    l->writes++;
    stop_if_told(l);
}

static int begin(void **state)
{
    struct bed *b = mem_zalloc(sizeof *b);

    if (poller_init(&b->poller) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        struct line *l = &b->lines[i];
        int fds[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) < 0)
            return -1;
        *l = (struct line){
            .watch = {.readable = on_readable, .writable = on_writable}, .bed = b, .fd = fds[0], .peer = fds[1]};
    }
    *state = b;
    return 0;
}

static int end(void **state)
{
    struct bed *b = *state;

    for (int i = 0; i < 2; i++) {
        close(b->lines[i].fd);
        if (b->lines[i].peer >= 0)
            close(b->lines[i].peer);
    }
    poller_free(&b->poller);
    free(b);
    return 0;
}

static void wait_for(struct line *l, uint32_t events)
{
    poller_watch(&l->bed->poller, l->fd, &l->watch, events);
}

static void says(struct line *l, const char *text)
{
    assert_int_equal(send(l->peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void hangs_up(struct line *l)
{
    close(l->peer);
    l->peer = -1;
}

static void rounds(struct bed *b, int count)
{
    for (int i = 0; i < count; i++) {
        poller_wait(&b->poller, false);
        while (poller_tell(&b->poller))
            ;
    }
}

static void what_is_not_read_is_told_again(void **state)
{
    struct bed *b = *state;
    struct line *l = &b->lines[0];

    wait_for(l, POLLER_READ);
    rounds(b, 2);
    assert_int_equal(l->reads, 0);
    says(l, "x");
    rounds(b, 3);
    assert_int_equal(l->reads, 3);
    assert_int_equal(l->writes, 0);
}

static void an_edge_is_told_once(void **state)
{
    struct bed *b = *state;
    struct line *l = &b->lines[0];

    wait_for(l, POLLER_READ | POLLER_EDGE);
    says(l, "x");
    rounds(b, 3);
    assert_int_equal(l->reads, 1);
    says(l, "y");
    rounds(b, 3);
    assert_int_equal(l->reads, 2);
    wait_for(l, 0);
    wait_for(l, POLLER_READ | POLLER_EDGE); /* nothing has been read yet */
    rounds(b, 3);
    assert_int_equal(l->reads, 3);
    wait_for(l, POLLER_READ); /* and by level */
    rounds(b, 3);
    assert_int_equal(l->reads, 6);
    assert_int_equal(l->lasts, 0);
}

static void an_edge_tells_of_the_end(void **state)
{
    struct bed *b = *state;
    struct line *shut = &b->lines[0], *gone = &b->lines[1];

    wait_for(shut, POLLER_READ | POLLER_EDGE);
    wait_for(gone, POLLER_READ | POLLER_EDGE);
    says(shut, "x");
    shutdown(shut->peer, SHUT_WR);
    says(gone, "x");
    hangs_up(gone);
    rounds(b, 3);
    assert_int_equal(shut->reads, 1);
    assert_int_equal(shut->lasts, 1);
    assert_int_equal(gone->reads, 1);
    assert_int_equal(gone->lasts, 1);
}

static void a_break_is_told_to_all_that_wait(void **state)
{
    struct bed *b = *state;
    struct line *reads = &b->lines[0], *writes = &b->lines[1];

    wait_for(reads, POLLER_READ);
    wait_for(writes, POLLER_WRITE);
    hangs_up(reads);
    hangs_up(writes);
    rounds(b, 1);
    assert_int_equal(reads->reads, 1);
    assert_int_equal(reads->writes, 0);
    assert_int_equal(writes->writes, 1);
    assert_int_equal(writes->reads, 0);
    wait_for(reads, 0);
    wait_for(writes, 0);
    rounds(b, 3);
    assert_int_equal(reads->reads, 1);
    assert_int_equal(writes->writes, 1);
}

static void who_is_taken_back_is_not_told_in_this_round(void **state)
{
    struct bed *b = *state;
    struct line *one = &b->lines[0], *two = &b->lines[1];

    one->stops = two;
    two->stops = one;
    wait_for(one, POLLER_READ);
    wait_for(two, POLLER_READ);
    says(one, "x");
    says(two, "x");
    rounds(b, 1); /* whoever comes first */
    assert_int_equal(one->reads + two->reads, 1);
    rounds(b, 1);
    assert_int_equal(one->reads + two->reads, 2);
    assert_true(one->reads == 2 || two->reads == 2);
}

static void who_takes_itself_back_is_not_told_the_rest(void **state)
{
    struct bed *b = *state;
    struct line *l = &b->lines[0];

    l->stops = l;
    says(l, "x");
    wait_for(l, POLLER_READ | POLLER_WRITE);
    rounds(b, 3);
    assert_int_equal(l->writes, 1);
    assert_int_equal(l->reads, 0);
}

static void who_waits_for_less_is_told_the_rest(void **state)
{
    struct bed *b = *state;
    struct line *l = &b->lines[0];

    says(l, "x");
    wait_for(l, POLLER_READ | POLLER_WRITE);
    wait_for(l, POLLER_READ);
    rounds(b, 1);
    assert_int_equal(l->writes, 0);
    assert_int_equal(l->reads, 1);
}

static void more_are_ready_than_a_round_holds(void **state)
{
    struct bed *b = *state;
    enum { MANY = POLLER_ROUND + 50 };
    struct line *many = mem_zalloc(MANY * sizeof *many);
    unsigned told = 0;

    for (int i = 0; i < MANY; i++) {
        many[i] = (struct line){.watch = {.readable = on_readable}, .bed = b, .fd = dup(b->lines[0].fd)};
        assert_true(many[i].fd >= 0);
        wait_for(&many[i], POLLER_READ | POLLER_EDGE);
    }
    says(&b->lines[0], "x");
    rounds(b, 2);
    for (int i = 0; i < MANY; i++) {
        told += many[i].reads == 1;
        wait_for(&many[i], 0);
        close(many[i].fd);
    }
    assert_int_equal(told, MANY);
    free(many);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_not_read_is_told_again),
        TEST(an_edge_is_told_once),
        TEST(an_edge_tells_of_the_end),
        TEST(a_break_is_told_to_all_that_wait),
        TEST(who_is_taken_back_is_not_told_in_this_round),
        TEST(who_takes_itself_back_is_not_told_the_rest),
        TEST(who_waits_for_less_is_told_the_rest),
        TEST(more_are_ready_than_a_round_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
