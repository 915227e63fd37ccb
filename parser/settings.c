/*
 * settings.c: see settings.h.
 * Thread: any (no state).
 */
#include "parser/settings.h"

#include "parser/lex.h"

#include <strings.h>

static bool is_set_config(const char *sql, const struct token *t)
{
    static const char name[] = "set_config";
    size_t len = strlen(name);

    if (t->kind == TOKEN_QUOTED)
        return t->len == len + 2 && memcmp(sql + t->start + 1, name, len) == 0;
    return t->kind == TOKEN_WORD && t->len == len && strncasecmp(sql + t->start, name, len) == 0;
}

/* 'app.user' */
static bool is_plain_name(const char *sql, const struct token *t)
{
    return t->kind == TOKEN_STRING && (t->flags & (TOKEN_DOUBLED | TOKEN_CONTINUED | TOKEN_NCHAR)) == 0 &&
           memchr(sql + t->start, '.', t->len) != NULL;
}

void settings_of_text(const char *sql, size_t len, unsigned flags, void (*each)(void *arg, struct span name), void *arg)
{
    struct lexer l;
    struct token t;

    lex_init(&l, sql, len, flags);
    while (lex_next_plain(&l, &t) != TOKEN_END) {
        if (!is_set_config(sql, &t) || lex_next_plain(&l, &t) != TOKEN_SELF || t.first != '(')
            continue;
        lex_next_plain(&l, &t);
        if (is_plain_name(sql, &t))
            each(arg, span_of(sql + t.start + 1, t.len - 2));
    }
}
