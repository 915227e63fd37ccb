/*
 * sql_text.c: see sql_text.h.
 * Thread: any (no state).
 */
#include "parser/sql_text.h"

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

static void put_text(struct buf *out, const char *text)
{
    buf_put(out, text, strlen(text));
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
        put_text(out, va_arg(*args, const char *));
        break;
    default:
        snprintf(number, sizeof number, "%d", va_arg(*args, int));
        put_text(out, number);
        break;
    }
}

void sql_text_put(struct buf *out, const char *format, va_list args)
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
