/*
 * sql_text.c: see sql_text.h.
 * Thread: any (no state).
 */
#include "parser/sql_text.h"

#include <stdarg.h>
#include <stdio.h>

static void put_quoted(struct buf *out, const char *text, char quote)
{
    buf_put_u8(out, (uint8_t)quote);
    for (; *text != '\0'; text++) {
        if (*text == quote)
            buf_put_u8(out, (uint8_t)quote);
        buf_put_u8(out, (uint8_t)*text);
    }
    buf_put_u8(out, (uint8_t)quote);
}

void sql_text_name(struct buf *out, const char *name)
{
    put_quoted(out, name, '"');
}

/* The value that stands for the letter. */
static void put_value(struct buf *out, char letter, va_list *args)
{
    char number[24];

    switch (letter) {
    case 'i':
        sql_text_name(out, va_arg(*args, const char *));
        break;
    case 'l':
        put_quoted(out, va_arg(*args, const char *), '\'');
        break;
    case 't':
        buf_put_text(out, va_arg(*args, const char *));
        break;
    default:
        snprintf(number, sizeof number, "%d", va_arg(*args, int));
        buf_put_text(out, number);
        break;
    }
}

static void put_args(struct buf *out, const char *format, va_list args)
{
    va_list rest;

    va_copy(rest, args);
    for (; *format != '\0'; format++) {
        if (*format == '%' && format[1] != '%') {
            put_value(out, *++format, &rest);
            continue;
        }
        buf_put_u8(out, (uint8_t)*format);
        format += *format == '%';
    }
    va_end(rest);
}

void sql_text_put(struct buf *out, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    put_args(out, format, args);
    va_end(args);
}

char *sql_text_new(const char *format, ...)
{
    struct buf out = {0};
    va_list args;

    va_start(args, format);
    put_args(&out, format, args);
    va_end(args);
    buf_put_u8(&out, 0);
    return (char *)out.data;
}
