/*
 * json.c: see json.h.
 * Source: RFC 8259 (strings), RFC 3629 (UTF-8).
 * Thread: any (no state).
 */
#include "conf/json.h"

#include <stdio.h>

struct out {
    char *at;
    size_t size;
    size_t len; /* all that there is, also what has no room */
};

static void put(struct out *o, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++, o->len++)
        if (o->len + 1 < o->size)
            o->at[o->len] = bytes[i];
}

static bool is_tail(unsigned char c, unsigned char least, unsigned char most)
{
    return c >= least && c <= most;
}

/* Bytes of the well-formed character at p; 0: there is none. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    unsigned char c = p[0];
    unsigned char least = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80; /* no longer form than needed */
    unsigned char most = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;  /* no surrogate, nothing past U+10FFFF */
    size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

    if (n == 0 || n > left || (n > 1 && !is_tail(p[1], least, most)))
        return 0;
    for (size_t i = 2; i < n; i++)
        if (!is_tail(p[i], 0x80, 0xbf))
            return 0;
    return n;
}

static void put_escaped(struct out *o, unsigned char c)
{
    static const char letters[] = "\b\f\n\r\t\"\\", names[] = "bfnrt\"\\";
    const char *found = c == '\0' ? NULL : strchr(letters, c);
    char text[8];
    int n;

    if (found != NULL)
        n = snprintf(text, sizeof text, "\\%c", names[found - letters]);
    else
        n = snprintf(text, sizeof text, "\\u%04x", c);
    put(o, text, (size_t)n);
}

size_t json_string(const char *text, size_t len, char *out, size_t size)
{
    struct out o = {.at = out, .size = size};
    const unsigned char *p = (const unsigned char *)text;

    put(&o, "\"", 1);
    while (len > 0) {
        size_t n = utf8_length(p, len);
        if (n == 1 && (*p < ' ' || *p == '"' || *p == '\\' || *p == 0x7f))
            put_escaped(&o, *p);
        else if (n > 0)
            put(&o, (const char *)p, n);
        else
            put(&o, "\\ufffd", 6);
        n = MAX(n, (size_t)1);
        p += n;
        len -= n;
    }
    put(&o, "\"", 1);
    if (size > 0)
        out[MIN(o.len, size - 1)] = '\0';
    return o.len;
}
