/*
 * fuzz_options.c: any text as the startup parameter "options", and its values as times. Settings that were read,
 * escaped and written again as -c switches, must be read as the same settings.
 * Input: the text; a NUL ends it.
 * Thread: one.
 */
#include "pool/vars.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

struct reading {
    struct buf plain;   /* name NUL value NUL ... */
    struct buf escaped; /* the same as options */
};

static void put_escaped(struct buf *b, const char *text)
{
    for (; *text != '\0'; text++) {
        buf_put_u8(b, '\\');
        buf_put_u8(b, (uint8_t)*text);
    }
}

static void note_setting(void *arg, const char *name, const char *value)
{
    struct reading *r = arg;

    require(name[0] != '\0');
    require(strpbrk(name, "-=") == NULL);
    require(vars_time_usec(value) >= -1);
    buf_put_cstr(&r->plain, name);
    buf_put_cstr(&r->plain, value);
    buf_put(&r->escaped, " -c ", 4);
    put_escaped(&r->escaped, name);
    buf_put_u8(&r->escaped, '=');
    put_escaped(&r->escaped, value);
}

/* What was read, as options, must be read likewise. */
static void read_again(struct reading *first)
{
    struct reading again = {.plain = {.data = NULL}};
    char bad[8];

    buf_put_u8(&first->escaped, 0);
    require(vars_parse_options((const char *)buf_head(&first->escaped), note_setting, &again, bad, sizeof bad));
    require(span_equal(span_of(buf_head(&first->plain), buf_used(&first->plain)),
                       span_of(buf_head(&again.plain), buf_used(&again.plain))));
    buf_free(&again.plain);
    buf_free(&again.escaped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *options = mem_strndup((const char *)data, size);
    struct reading r = {.plain = {.data = NULL}};
    char bad[8];

    memset(bad, 'x', sizeof bad);
    require(vars_parse_options(options, note_setting, &r, bad, sizeof bad) ||
            memchr(bad, '\0', sizeof bad) != NULL); /* the word that is none, cut to what fits */
    read_again(&r);
    buf_free(&r.plain);
    buf_free(&r.escaped);
    free(options);
    return 0;
}
