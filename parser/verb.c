/*
 * verb.c: see verb.h.
 * Thread: any (no state).
 */
#include "parser/verb.h"

#include <ctype.h>
#include <strings.h>

#define IDENTIFIER_MAX ((size_t)63) /* PostgreSQL's NAMEDATALEN, less the NUL */

static const char *skip_comment(const char *p)
{
    int depth = 1;

    for (p += 2; *p != '\0' && depth > 0; p++) {
        if (p[0] == '/' && p[1] == '*') {
            depth++;
            p++;
        } else if (p[0] == '*' && p[1] == '/') {
            depth--;
            p++;
        }
    }
    return p;
}

const char *verb_skip_blank(const char *p)
{
    for (;;) {
        if (isspace((unsigned char)*p)) {
            p++;
        } else if (p[0] == '-' && p[1] == '-') {
            p += strcspn(p, "\r\n");
        } else if (p[0] == '/' && p[1] == '*') {
            p = skip_comment(p);
        } else {
            return p;
        }
    }
}

static bool is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* One identifier, quoted or folded to lower case, cut as PostgreSQL cuts. False if there is none, or no room. */
static bool take_name(const char **at, char *name, size_t size, bool *quoted)
{
    const char *p = *at;
    size_t len = 0;

    if (size <= IDENTIFIER_MAX)
        return false;
    *quoted = *p == '"';
    if (*quoted) {
        for (p++; *p != '\0' && (*p != '"' || p[1] == '"'); p++) {
            if (len < IDENTIFIER_MAX)
                name[len++] = *p;
            if (*p == '"')
                p++;
        }
        if (*p != '"')
            return false;
        p++;
    } else {
        for (; is_name_byte(*p); p++)
            if (len < IDENTIFIER_MAX)
                name[len++] = (char)((unsigned char)*p < 0x80 ? tolower((unsigned char)*p) : *p);
    }
    name[len] = '\0';
    *at = verb_skip_blank(p);
    return len > 0;
}

/* A setting's name: identifiers with points between them. *quoted: the last one is. */
static bool take_setting(const char **at, char name[VERB_NAME_SIZE], bool *quoted)
{
    size_t len = 0;

    while (take_name(at, name + len, VERB_NAME_SIZE - len, quoted)) {
        if (**at != '.')
            return true;
        len += strlen(name + len);
        name[len++] = '.';
        *at = verb_skip_blank(*at + 1);
    }
    return false;
}

/* The name of what the statement is about. */
static bool take_object(enum verb_kind kind, const char **at, char name[VERB_NAME_SIZE], bool *quoted)
{
    if (kind == VERB_RESET)
        return take_setting(at, name, quoted);
    return take_name(at, name, VERB_NAME_SIZE, quoted);
}

static bool at_end(const char *p)
{
    while (*p == ';')
        p = verb_skip_blank(p + 1);
    return *p == '\0';
}

struct verb verb_of(const char *sql)
{
    static const struct {
        const char *word;
        enum verb_kind kind;
    } words[] = {{"deallocate", VERB_DEALLOCATE}, {"discard", VERB_DISCARD}, {"reset", VERB_RESET}};
    struct verb v = {.kind = VERB_OTHER};
    const char *p = verb_skip_blank(sql);
    char word[VERB_NAME_SIZE];
    bool quoted;

    if (strchr("dDrR", *p) == NULL || *p == '\0' || !take_name(&p, word, sizeof word, &quoted))
        return v;
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(word, words[i].word) == 0)
            v.kind = words[i].kind;
    if (v.kind == VERB_OTHER || !take_object(v.kind, &p, v.name, &quoted))
        return (struct verb){.kind = VERB_OTHER};
    if (v.kind == VERB_DEALLOCATE && !quoted && strcmp(v.name, "prepare") == 0 && !at_end(p) &&
        !take_name(&p, v.name, sizeof v.name, &quoted))
        return (struct verb){.kind = VERB_OTHER};
    if (!at_end(p))
        return (struct verb){.kind = VERB_OTHER};
    v.all = !quoted && strcmp(v.name, "all") == 0;
    if (v.all)
        v.name[0] = '\0';
    return v;
}
