/*
 * fuzz_load.c: a configuration file, or (after a first byte 'U') a userlist, of any bytes. The file is a memfd; inputs
 * that name other files are left out, so that nothing else is opened.
 * Thread: main.
 */
#include "conf/load_parts.h"
#include "conf/log.h"
#include "shard/map.h"

#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void errors_look(struct config_errors *errors, const struct config *c)
{
    assert((c == NULL) == (errors->count > 0));
    for (size_t i = 0; i < errors->count; i++) {
        assert(strlen(errors->lines[i]) > 0);
    }
    config_errors_free(errors);
}

/* A map of lines that were kept must be made, or say why not. */
static void maps_look(const struct config *c)
{
    for (size_t i = 0; i < c->sharding_count; i++) {
        struct config_errors errors = {NULL, 0};
        struct map *m = map_new(c->shardings[i], NULL, NULL, &errors);
        assert((m == NULL) == (errors.count > 0));
        map_unref(m);
        config_errors_free(&errors);
    }
}

/* A snapshot must survive being copied, and show every option's value. */
static void config_look(const struct config *c)
{
    char error[256], value[256];
    struct config *copy = config_with_option(c, "query_timeout", "5", error, sizeof error);

    assert(copy != NULL);
    for (size_t i = 0; i < option_count(); i++) {
        option_value(&copy->opt, option_at(i), value, sizeof value);
    }
    config_unref(copy);
}

static void file_try(const uint8_t *data, size_t size)
{
    char path[64];
    struct config_errors errors = {NULL, 0};
    int fd = memfd_create("load", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
        abort();
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct config *c = config_load(path, &errors);
    errors_look(&errors, c);
    if (c != NULL) {
        config_look(c);
        maps_look(c);
    }
    config_unref(c);
    close(fd);
}

static void userlist_try(const uint8_t *data, size_t size)
{
    struct config_errors errors = {NULL, 0};
    struct config *c = mem_zalloc(sizeof *c);
    char *text = mem_alloc(size + 1);

    memcpy(text, data, size);
    text[size] = '\0';
    c->refs = 1;
    secrets_parse(c, "list", text, size, &errors);
    for (size_t i = 0; i < c->secret_count; i++) {
        assert(config_secret_find(c, c->secrets[i].user) == c->secrets[i].secret);
    }
    config_errors_free(&errors);
    config_unref(c);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    log_open(NULL, false, NULL, NULL, true);
    if (size > 0 && data[0] == 'U') {
        userlist_try(data + 1, size - 1);
    } else if (memmem(data, size, "%include", 8) == NULL && memmem(data, size, "auth_file", 9) == NULL) {
        file_try(data, size);
    }
    return 0;
}
