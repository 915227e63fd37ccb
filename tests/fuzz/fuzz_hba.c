/*
 * fuzz_hba.c: texts of pg_hba.conf and pg_ident.conf, from a file in memory.
 *
 * What must hold: nothing crashes; a file is either read or has its errors told, never both and never neither; only a
 * line of the file lets somebody in.
 */
#include "proxy/hba.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static void tell(void *arg, const char *file, int line, const char *message)
{
    require(file != NULL && line >= 0 && message[0] != '\0', "an error has its place and its text");
    ++*(int *)arg;
}

static void ask(const struct hba *h, const struct sockaddr *peer, bool tls, bool replication)
{
    struct hba_question q = {.peer = peer, .tls = tls, .replication = replication, .database = "shop", .user = "ann"};
    struct hba_answer a = hba_match(h, &q);

    require(a.line > 0 || a.method == AUTH_REJECT, "where no line fits, nobody comes in");
    require(a.method != AUTH_CERT || tls, "a certificate needs TLS");
    require(a.method != AUTH_PEER || peer->sa_family == AF_UNIX, "peer needs a local connection");
}

static void hba_try(const char *path)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000001)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr local = {.sa_family = AF_UNIX};
    const struct sockaddr *const peers[] = {(struct sockaddr *)&v4, (struct sockaddr *)&v6, &local};
    int errors = 0;
    struct hba *h = hba_load(path, tell, &errors);

    require((h == NULL) == (errors > 0), "either rules or errors");
    for (size_t i = 0; h != NULL && i < 12; i++)
        ask(h, peers[i % 3], i >= 6, i % 6 >= 3);
    hba_free(h);
}

static void ident_try(const char *path)
{
    int errors = 0;
    struct ident_map *m = ident_load(path, tell, &errors);

    require((m == NULL) == (errors > 0), "either a map or errors");
    if (m != NULL)
        ident_match(m, "m", "ann@example.com", "ann");
    ident_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memfd_create("hba", MFD_CLOEXEC);

    /* Counted repetitions such as (a{255}){255} make regcomp take all memory there is: its weakness, not our file's. */
    if (fd < 0 || size > 4096 || memchr(data, '{', size) != NULL) {
        close(fd);
        return 0;
    }
    require(write(fd, data, size) == (ssize_t)size, "a file in memory takes what it is given");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    hba_try(path);
    ident_try(path);
    close(fd);
    return 0;
}
