/*
 * base.c: allocation that cannot fail.
 * Thread: any (no state).
 */
#include "conf/base.h"

#include <stdarg.h>
#include <stdio.h>

#define SMALL_BYTES (1 * KIB) /* up to here malloc has a thread's own cache, which calloc does not look at */

static void *checked(void *ptr)
{
    if (UNLIKELY(ptr == NULL)) {
        fputs("sluice: out of memory\n", stderr);
        abort();
    }
    return ptr;
}

void *mem_alloc(size_t size_bytes)
{
    return checked(malloc(MAX(size_bytes, (size_t)1)));
}

void *mem_zalloc(size_t size_bytes)
{
    if (size_bytes > SMALL_BYTES)
        return checked(calloc(1, size_bytes));
    return memset(mem_alloc(size_bytes), 0, size_bytes);
}

void *mem_realloc(void *old, size_t size_bytes)
{
    return checked(realloc(old, MAX(size_bytes, (size_t)1)));
}

char *mem_strdup(const char *text)
{
    return checked(strdup(text));
}

char *mem_strndup(const char *text, size_t len)
{
    return checked(strndup(text, len));
}

char *mem_printf(const char *fmt, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    return checked(len < 0 ? NULL : text);
}
