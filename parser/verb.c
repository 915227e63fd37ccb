/*
 * verb.c: see verb.h.
 * Thread: any (no state).
 */
#include "parser/verb.h"

#include <ctype.h>
#include <strings.h>

#define IDENTIFIER_MAX ((size_t)NAME_MAX_BYTES)

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

const char *verb_past_blanks(const char *p)
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

static bool at_end(const char *p)
{
    while (*p == ';')
        p = verb_skip_blank(p + 1);
    return *p == '\0';
}

static struct verb other(void)
{
    return (struct verb){.kind = VERB_OTHER};
}

/* Takes the word if it comes next. */
static bool take_word(const char **at, const char *word)
{
    size_t len = strlen(word);

    if (strncasecmp(*at, word, len) != 0 || is_name_byte((*at)[len]))
        return false;
    *at = verb_skip_blank(*at + len);
    return true;
}

/* Behind RESET, or SET without LOCAL: the setting's name, by any of its spellings. */
static bool take_setting_name(const char **at, struct verb *v)
{
    bool quoted;

    if (take_word(at, "time")) {
        strcpy(v->name, "timezone");
        return take_word(at, "zone");
    }
    if (!take_setting(at, v->name, &quoted))
        return false;
    v->all = !quoted && strcmp(v->name, "all") == 0;
    if (v->all)
        v->name[0] = '\0';
    return true;
}

/* SET [SESSION] name TO DEFAULT is a RESET. *at is behind SET. */
static bool take_set_default(const char **at, struct verb *v)
{
    bool zone;

    take_word(at, "session");
    zone = strncasecmp(*at, "time", 4) == 0 && !is_name_byte((*at)[4]);
    if (!take_setting_name(at, v) || v->all)
        return false;
    if (zone)
        return take_word(at, "default") || take_word(at, "local");
    if (**at == '=')
        *at = verb_skip_blank(*at + 1);
    else if (!take_word(at, "to"))
        return false;
    return take_word(at, "default");
}

/* The statement at *at, which is moved behind what was understood of it. */
static struct verb take_verb(const char **at)
{
    struct verb v = {.kind = VERB_OTHER};
    bool quoted;

    if (strchr("dDrRsS", **at) == NULL || **at == '\0')
        return v;
    if (take_word(at, "reset")) {
        v.kind = VERB_RESET;
        return take_setting_name(at, &v) ? v : other();
    }
    if (take_word(at, "set")) {
        v.kind = VERB_RESET;
        return take_set_default(at, &v) ? v : other();
    }
    if (take_word(at, "discard"))
        v.kind = VERB_DISCARD;
    else if (take_word(at, "deallocate"))
        v.kind = VERB_DEALLOCATE;
    if (v.kind == VERB_OTHER || !take_name(at, v.name, sizeof v.name, &quoted))
        return other();
    if (v.kind == VERB_DEALLOCATE && !quoted && strcmp(v.name, "prepare") == 0 && !at_end(*at) &&
        !take_name(at, v.name, sizeof v.name, &quoted))
        return other();
    v.all = !quoted && strcmp(v.name, "all") == 0;
    if (v.all)
        v.name[0] = '\0';
    return v;
}

struct verb verb_of(const char *sql)
{
    const char *p = verb_skip_blank(sql);
    struct verb v = take_verb(&p);

    return at_end(p) ? v : other();
}

/* --- texts of several statements --- */

/* Behind the closing quote (p is at the opening one), or at the end. */
static const char *skip_quoted(const char *p, bool escapes)
{
    char quote = *p++;

    for (; *p != '\0'; p++) {
        if (escapes && *p == '\\' && p[1] != '\0')
            p++;
        else if (*p == quote && *++p != quote)
            return p;
    }
    return p;
}

/* p is at a '$'. */
static const char *skip_dollar_quoted(const char *p)
{
    size_t tag = 1;

    while (is_name_byte(p[tag]) && p[tag] != '$')
        tag++;
    if (p[tag] != '$' || isdigit((unsigned char)p[1]))
        return p + 1;
    tag++;
    for (const char *end = p + tag; (end = strchr(end, '$')) != NULL; end++)
        if (strncmp(end, p, tag) == 0)
            return end + tag;
    return p + strlen(p);
}

const char *verb_skip_statement(const char *p)
{
    while (*(p = verb_skip_blank(p)) != '\0') {
        if (*p == ';')
            return verb_skip_blank(p + 1);
        if (*p == '\'' || *p == '"') {
            p = skip_quoted(p, false);
        } else if (*p == '$') {
            p = skip_dollar_quoted(p);
        } else if (is_name_byte(*p)) {
            const char *begin = p;
            while (is_name_byte(*p))
                p++;
            if (p == begin + 1 && (*begin == 'e' || *begin == 'E') && *p == '\'')
                p = skip_quoted(p, true);
        } else {
            p++;
        }
    }
    return p;
}

/* Takes a name out again that was noted by an earlier statement. */
static void forget_name(struct buf *names, const char *name)
{
    struct buf kept = {0};

    while (buf_used(names) > 0) {
        const char *noted = (const char *)buf_head(names);
        if (strcmp(noted, name) != 0)
            buf_put_cstr(&kept, noted);
        buf_consume(names, strlen(noted) + 1);
    }
    buf_free(names);
    *names = kept;
}

bool verb_resets(const char *sql, struct buf *names)
{
    const char *p = verb_skip_blank(sql);

    while (*p != '\0') {
        const char *at = p;
        struct verb v = take_verb(&at);
        bool whole = *at == ';' || *at == '\0';
        if (v.kind == VERB_RESET && whole) {
            buf_put_cstr(names, v.all ? "all" : v.name);
        } else if (buf_used(names) > 0 && take_word(&p, "set")) {
            struct verb set;
            take_word(&p, "session");
            if (take_setting_name(&p, &set))
                forget_name(names, set.name);
        }
        /* Most texts are one statement: what follows is looked for only where there is a semicolon. */
        p = strchr(p, ';') == NULL ? "" : verb_skip_statement(p);
    }
    return buf_used(names) > 0;
}
