/*
 * admin_parse.c: the grammar of the console: one command word, at most one argument; SET name = value; ROUTE, a name,
 * any statement. Words in any
 * case; names may stand in double quotes, values in single ones; a semicolon may end it.
 * Thread: any (no state).
 */
#include "proxy/admin.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

static const struct {
    const char *word;
    enum admin_arguments arguments;
    enum rights rights;
    const char *help;
} commands[] = {
#define ADMIN_COMMAND(id, word_, arguments_, rights_, help_) {word_, arguments_, rights_, help_},
#include "proxy/admin.def"
#undef ADMIN_COMMAND
};

enum rights admin_rights(enum admin_command command)
{
    return command == ADMIN_EMPTY ? RIGHTS_STATS : commands[command].rights;
}

const char *admin_help_line(size_t i)
{
    return i < ARRAY_LEN(commands) ? commands[i].help : NULL;
}

/* --- tokens --- */

static const char *skip_blanks(const char *p)
{
    return p + strspn(p, " \t\r\n\f\v");
}

/* Text up to the closing quote, doubled quotes taken for one; NULL if there is none. *p goes behind it. */
static char *read_quoted(const char **p)
{
    char quote = **p;
    char *out = mem_alloc(strlen(*p));
    size_t len = 0;

    for (const char *at = *p + 1; *at != '\0'; at++) {
        if (*at == quote && at[1] != quote) {
            out[len] = '\0';
            *p = at + 1;
            return out;
        }
        at += *at == quote;
        out[len++] = *at;
    }
    free(out);
    return NULL;
}

/* A word, or a quoted one; NULL where there is none. stop: characters that end a bare word, besides blanks. */
static char *read_word(const char **p, const char *stop)
{
    const char *start = skip_blanks(*p);
    size_t len = 0;

    *p = start;
    if (*start == '"' || *start == '\'')
        return read_quoted(p);
    while (start[len] != '\0' && strchr(" \t\r\n\f\v;\"'", start[len]) == NULL && strchr(stop, start[len]) == NULL)
        len++;
    *p = start + len;
    return len == 0 ? NULL : mem_strndup(start, len);
}

/* Only blanks and a semicolon may follow. */
static bool at_end(const char *p)
{
    p = skip_blanks(p);
    if (*p == ';')
        p = skip_blanks(p + 1);
    return *p == '\0';
}

/* --- commands --- */

static bool find_command(const char *word, struct admin_request *r)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        if (strcasecmp(commands[i].word, word) == 0) {
            r->command = (enum admin_command)i;
            return true;
        }
    }
    return false;
}

/* name = value, or name TO value. */
static bool parse_set(const char **p, struct admin_request *r)
{
    r->argument = read_word(p, "=");
    *p = skip_blanks(*p);
    if (r->argument == NULL)
        return false;
    if (**p == '=') {
        ++*p;
    } else {
        char *to = read_word(p, "=");
        bool right = to != NULL && strcasecmp(to, "to") == 0;
        free(to);
        if (!right)
            return false;
    }
    r->value = read_word(p, "");
    return r->value != NULL;
}

static bool is_word(const char *word, const char *expected)
{
    return word != NULL && strcasecmp(word, expected) == 0;
}

/* [n] [ORDER BY column] */
static bool parse_order(const char **p, struct admin_request *r)
{
    char *word = read_word(p, "=");
    char *end = NULL;

    if (word != NULL && isdigit((unsigned char)word[0])) {
        unsigned long n = strtoul(word, &end, 10);
        bool good = *end == '\0' && n > 0 && n <= UINT32_MAX;
        r->limit = (unsigned)n;
        free(word);
        if (!good)
            return false;
        word = read_word(p, "=");
    }
    if (word == NULL)
        return true;
    char *by = read_word(p, "=");
    bool order = is_word(word, "order") && is_word(by, "by");
    free(word);
    free(by);
    r->order_by = order ? read_word(p, "=") : NULL;
    return r->order_by != NULL;
}

/* [database:] statement, or database statement: whether the first word is a database's is then for others to say. */
static bool parse_sql(const char **p, struct admin_request *r)
{
    const char *start = skip_blanks(*p);
    const char *behind = start;

    r->argument = *start == '\'' ? NULL : read_word(&behind, ":");
    behind = skip_blanks(behind);
    if (r->argument != NULL && behind[0] == ':' && behind[1] != ':') {
        r->names_database = true;
        start = skip_blanks(behind + 1);
    }
    r->value = mem_strdup(start);
    r->rest_at = r->names_database ? 0 : (size_t)(behind - start);
    *p = start + strlen(start);
    return *start != '\0';
}

/* LONGER THAN time, which is quoted, or one word. */
static bool parse_longer(const char **p, struct admin_request *r)
{
    char *longer = read_word(p, "=");
    char *than = read_word(p, "=");
    bool good = is_word(longer, "longer") && is_word(than, "than");

    free(longer);
    free(than);
    r->argument = good ? read_word(p, "=") : NULL;
    return r->argument != NULL;
}

static bool takes_order(const struct admin_request *r)
{
    return (r->command == ADMIN_SHOW || r->command == ADMIN_SELECT) &&
           (is_word(r->argument, "statements") || is_word(r->argument, "slow_queries") ||
            is_word(r->argument, "active_queries"));
}

static bool parse_arguments(const char **p, struct admin_request *r)
{
    enum admin_arguments want = commands[r->command].arguments;

    if (want == ARGS_SET)
        return parse_set(p, r);
    if (want == ARGS_SQL)
        return parse_sql(p, r);
    if (want == ARGS_LONGER)
        return parse_longer(p, r);
    if (want == ARGS_NONE)
        return true;
    *p = skip_blanks(*p);
    bool quoted = **p == '"';
    if (**p == '\'')
        return false;
    r->argument = read_word(p, "=");
    if (takes_order(r))
        return parse_order(p, r);
    /* DISABLE and its like say by themselves what they miss. An open quote is an error everywhere. */
    return r->argument != NULL || !quoted;
}

bool admin_parse(const char *sql, struct admin_request *r)
{
    const char *p = sql;

    *r = (struct admin_request){.command = ADMIN_EMPTY};
    if (at_end(p))
        return true;
    char *word = read_word(&p, "=");
    bool known = word != NULL && find_command(word, r);
    free(word);
    return known && parse_arguments(&p, r) && at_end(p);
}

void admin_request_free(struct admin_request *r)
{
    free(r->argument);
    free(r->value);
    free(r->order_by);
    *r = (struct admin_request){.command = ADMIN_EMPTY};
}
