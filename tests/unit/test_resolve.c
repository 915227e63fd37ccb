/*
 * test_resolve.c: names with several addresses: each has its turn, the one that proved good is first from then on.
 * The system's getaddrinfo is replaced by one that knows what the tests need.
 * Thread: one, and the resolver's.
 */
#include "pool/resolve.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static int answers;

static void one_more(struct addrinfo **list, const char *text)
{
    struct {
        struct addrinfo info;
        struct sockaddr_in addr;
    } *made = mem_zalloc(sizeof *made);

    made->addr.sin_family = AF_INET;
    inet_pton(AF_INET, text, &made->addr.sin_addr);
    made->info.ai_family = AF_INET;
    made->info.ai_addr = (struct sockaddr *)&made->addr;
    made->info.ai_addrlen = sizeof made->addr;
    made->info.ai_next = *list;
    *list = &made->info;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    (void)service;
    (void)hints;
    *found = NULL;
    if (strcmp(name, "three") != 0)
        return EAI_NONAME;
    one_more(found, "127.0.0.3");
    one_more(found, "127.0.0.2");
    one_more(found, "127.0.0.1");
    return 0;
}

void freeaddrinfo(struct addrinfo *list)
{
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

static void told(void)
{
    pthread_mutex_lock(&lock);
    answers++;
    pthread_cond_signal(&answered);
    pthread_mutex_unlock(&lock);
}

static int begin(void **state)
{
    (void)state;
    answers = 0;
    resolve_start(USEC_PER_SEC * 60, USEC_PER_SEC * 60, told);
    return 0;
}

static int end(void **state)
{
    (void)state;
    resolve_stop();
    return 0;
}

/* The answer as text, "" where there is none; waits for the resolver. */
static enum resolve_answer ask(const char *host, int nth, char text[INET_ADDRSTRLEN], struct address *a)
{
    char why[160];
    enum resolve_answer got;

    while ((got = resolve_host(host, 5432, nth, a, why, sizeof why)) == RESOLVE_WAIT) {
        pthread_mutex_lock(&lock);
        while (answers == 0)
            pthread_cond_wait(&answered, &lock);
        pthread_mutex_unlock(&lock);
    }
    text[0] = '\0';
    if (got == RESOLVE_OK && a->addr.ss_family == AF_INET)
        inet_ntop(AF_INET, &((struct sockaddr_in *)&a->addr)->sin_addr, text, INET_ADDRSTRLEN);
    return got;
}

static void each_address_has_its_turn(void **state)
{
    static const char *const texts[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3"};
    char text[INET_ADDRSTRLEN];
    struct address a;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ask("three", i, text, &a), RESOLVE_OK);
        assert_string_equal(text, texts[i]);
        assert_int_equal(ntohs(((struct sockaddr_in *)&a.addr)->sin_port), 5432);
    }
    assert_int_equal(ask("three", 3, text, &a), RESOLVE_NO_MORE);
}

static void what_proved_good_comes_first(void **state)
{
    char text[INET_ADDRSTRLEN];
    struct address a;

    (void)state;
    assert_int_equal(ask("three", 1, text, &a), RESOLVE_NO_MORE); /* it has never been looked up */
    assert_int_equal(ask("three", 0, text, &a), RESOLVE_OK);
    assert_int_equal(ask("three", 2, text, &a), RESOLVE_OK);
    resolve_prefer("three", &a);
    ask("three", 0, text, &a);
    assert_string_equal(text, "127.0.0.3");
    ask("three", 2, text, &a);
    assert_string_equal(text, "127.0.0.1");
}

static void numbers_and_sockets_have_one_address(void **state)
{
    static const char *const hosts[] = {"127.0.0.9", "::1", "/tmp", "@abstract"};
    char text[INET_ADDRSTRLEN];
    struct address a;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        assert_int_equal(ask(hosts[i], 0, text, &a), RESOLVE_OK);
        assert_int_equal(ask(hosts[i], 1, text, &a), RESOLVE_NO_MORE);
    }
    assert_int_equal(answers, 0);
}

static void unknown_name_fails_once(void **state)
{
    char text[INET_ADDRSTRLEN];
    struct address a;

    (void)state;
    assert_int_equal(ask("none", 0, text, &a), RESOLVE_FAILED);
    assert_int_equal(ask("none", 1, text, &a), RESOLVE_NO_MORE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_address_has_its_turn),
        TEST(what_proved_good_comes_first),
        TEST(numbers_and_sockets_have_one_address),
        TEST(unknown_name_fails_once),
    };

    return cmocka_run_group_tests_name("resolve", tests, NULL, NULL);
}
