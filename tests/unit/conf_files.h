/*
 * conf_files.h: a folder of the test's own with files in it, and configurations loaded from there; for test_conf.c and
 * test_load.c.
 * Thread: main.
 */
#ifndef SLUICE_CONF_FILES_H
#define SLUICE_CONF_FILES_H

#include "conf/load.h"
#include "conf/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/sluice-conf-XXXXXX";
static char log_path[64];

/* A path in the folder; one of a few static texts. */
static inline const char *path_of(const char *name)
{
    static char paths[4][128];
    static int turn;
    char *path = paths[turn++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static inline const char *file_put_bytes(const char *name, const char *text, size_t len)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    return path;
}

static inline const char *file_put(const char *name, const char *text)
{
    return file_put_bytes(name, text, strlen(text));
}

static inline char *file_get(const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = mem_zalloc(256 * KIB);

    assert_non_null(f);
    assert_true(fread(text, 1, 256 * KIB - 1, f) < 256 * KIB - 1);
    fclose(f);
    return text;
}

static inline struct config *load_good(const char *path)
{
    struct config_errors errors = {NULL, 0};
    struct config *c = config_load(path, &errors);

    for (size_t i = 0; i < errors.count; i++) {
        print_error("%s\n", errors.lines[i]);
    }
    assert_int_equal(errors.count, 0);
    assert_non_null(c);
    return c;
}

static inline struct config *load_text(const char *text)
{
    return load_good(file_put("a.ini", text));
}

static inline char *log_take(void)
{
    char *text = file_get(log_path);

    assert_int_equal(truncate(log_path, 0), 0);
    return text;
}

static inline int folder_make(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(log_path, sizeof log_path, "%s/log", folder);
    return log_open(log_path, false, NULL, NULL, true);
}

static inline int folder_remove(void **state)
{
    char *command = mem_printf("rm -rf '%s'", folder);
    int rc = system(command);

    (void)state;
    free(command);
    return rc;
}

#endif
