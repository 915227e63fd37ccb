/*
 * corpus.h: the statements of tests/corpus, or of the files that the command line names, for test_corpus.c and
 * test_shapes.c. A file is a list of statements with a line "----" between them.
 * Thread: main.
 */
#ifndef SLUICE_CORPUS_H
#define SLUICE_CORPUS_H

#include "parser/bytes.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SEPARATOR "\n----\n"
#define STATEMENTS_LEAST 3000

struct text {
    char *sql;
    size_t len;
};

static struct text *texts;
static size_t text_count;
static char **file_names;
static int file_count;

static inline struct buf read_file(const char *path)
{
    struct buf b = {0};
    FILE *f = fopen(path, "r");
    size_t n;

    if (f == NULL)
        fail_msg("%s cannot be read", path);
    do {
        n = fread(buf_reserve(&b, 64 * KIB), 1, 64 * KIB, f);
        b.len += n;
    } while (n > 0);
    fclose(f);
    buf_put_u8(&b, 0);
    return b;
}

static inline void add_text(const char *sql, size_t len)
{
    if ((text_count & (text_count - 1)) == 0)
        texts = mem_realloc(texts, MAX(text_count * 2, (size_t)1) * sizeof *texts);
    texts[text_count++] = (struct text){.sql = mem_strndup(sql, len), .len = len};
}

static inline void load_file(const char *path)
{
    struct buf b = read_file(path);
    const char *at = (const char *)buf_head(&b), *next;

    while ((next = strstr(at, SEPARATOR)) != NULL) {
        add_text(at, (size_t)(next - at));
        at = next + strlen(SEPARATOR);
    }
    add_text(at, strlen(at));
    buf_free(&b);
}

static inline int load_corpus(void **state)
{
    glob_t found;

    (void)state;
    for (int i = 0; i < file_count; i++)
        load_file(file_names[i]);
    if (file_count > 0)
        return 0;
    if (glob("tests/corpus/*.sql", 0, NULL, &found) != 0)
        return -1;
    for (size_t i = 0; i < found.gl_pathc; i++)
        load_file(found.gl_pathv[i]);
    globfree(&found);
    return 0;
}

static inline int free_corpus(void **state)
{
    (void)state;
    for (size_t i = 0; i < text_count; i++)
        free(texts[i].sql);
    free(texts);
    return 0;
}

/* A number that the environment may set. */
static inline size_t setting(const char *name, size_t otherwise)
{
    const char *value = getenv(name);

    return value == NULL ? otherwise : (size_t)strtoull(value, NULL, 10);
}

#endif
