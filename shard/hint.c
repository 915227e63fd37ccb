/*
 * hint.c: see hint.h.
 * Thread: any (no state).
 */
#include "shard/hint.h"

#include "conf/units.h"
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#define VALUE_MAX 64

/* Behind the blanks and commas from p on. */
static const char *pass_blanks(const char *p, const char *end)
{
    while (p < end && (isspace((unsigned char)*p) || *p == ','))
        p++;
    return p;
}

/* Behind the word at p: a name, and what it is set to. */
static const char *pass_word(const char *p, const char *end)
{
    char quote = '\0';

    for (; p < end && (quote != '\0' || (!isspace((unsigned char)*p) && *p != ',')); p++) {
        if (*p == quote)
            quote = '\0';
        else if (quote == '\0' && (*p == '\'' || *p == '"'))
            quote = *p;
    }
    return p;
}

static void take_timeout(struct hint *h, const char *value, size_t len)
{
    char text[VALUE_MAX];
    usec_t time;

    if (len >= sizeof text)
        return;
    memcpy(text, value, len);
    text[len] = '\0';
    if (!unit_parse_time(text, USEC_PER_MSEC, &time))
        return;
    h->timeout = time;
    h->timed = true;
}

static void take_text(char **to, const char *value, size_t len)
{
    free(*to);
    *to = mem_strndup(value, len);
}

static void take_value(struct hint *h, const char *name, size_t name_len, const char *value, size_t len)
{
    if (len >= 2 && (*value == '\'' || *value == '"') && value[len - 1] == *value) {
        value++;
        len -= 2;
    }
    if (name_len == strlen("timeout") && strncasecmp(name, "timeout", name_len) == 0)
        take_timeout(h, value, len);
    if (name_len == strlen("shard") && strncasecmp(name, "shard", name_len) == 0)
        take_text(&h->shard, value, len);
    if (name_len == strlen("key") && strncasecmp(name, "key", name_len) == 0)
        take_text(&h->key, value, len);
}

static void take_word(struct hint *h, const char *word, size_t len)
{
    const char *equals = memchr(word, '=', len);
    enum route_hint route = route_hint_of(word, len);

    if (route != HINT_NONE)
        h->route = route;
    if (equals != NULL)
        take_value(h, word, (size_t)(equals - word), equals + 1, len - (size_t)(equals - word) - 1);
}

struct hint hint_of(const char *text, size_t len)
{
    struct hint h = {0};
    const char *end = text + len;

    for (const char *p = pass_blanks(text, end); p < end;) {
        const char *after = pass_word(p, end);
        take_word(&h, p, (size_t)(after - p));
        p = pass_blanks(after, end);
    }
    return h;
}

void hint_free(struct hint *h)
{
    free(h->shard);
    free(h->key);
    h->shard = h->key = NULL;
}
