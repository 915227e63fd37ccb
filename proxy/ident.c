/*
 * ident.c: pg_ident.conf: which system names (of a peer or a certificate) may log in as which users.
 *
 *   MAP-NAME  SYSTEM-NAME  DATABASE-USER        or, by regular expression:        MAP-NAME  /^(.*)@example\.com$  \1
 *
 * Invariant: PostgreSQL's regular expressions are richer than POSIX's. What the two would read differently is an error
 * of the file, so that a pattern never lets in somebody else than PostgreSQL would.
 *
 * Thread: control parses; immutable afterwards, any thread matches.
 */
#include "proxy/hba_tokens.h"

#include <ctype.h>
#include <regex.h>

struct mapping {
    char *map;    /* owned */
    char *system; /* owned; NULL where it is a pattern */
    regex_t pattern;
    char *user; /* owned; with a pattern, \1 stands for what its first parentheses matched */
};

struct ident_map {
    struct mapping *mappings;
    size_t count;
};

struct load {
    struct ident_map *map;
    struct hba_errors errors;
};

/* From behind the '[' of a bracket expression to its ']' or the end of text. *backslash: there is one in it, which
 * PostgreSQL takes for an escape and POSIX for itself. */
static const char *brackets_skip(const char *p, bool *backslash)
{
    p += *p == '^';
    p += *p == ']';
    for (; *p != '\0' && *p != ']'; p++) {
        *backslash |= *p == '\\';
        if (*p == '[' && p[1] != '\0' && strchr(".:=", p[1]) != NULL) {
            const char end[] = {p[1], ']', '\0'};
            const char *at = strstr(p + 2, end);

            p = at == NULL ? p : at + 1;
        }
    }
    return p;
}

#define GROUPS_DEPTH 8
#define QUANTIFIERS_MAX 16
#define ATOMS_MAX 4096

/* What regcomp makes of an expression: it writes x+ as xx* and x{3} as xxx, so that a short text may become very large.
 */
struct pattern_size {
    unsigned long atoms[GROUPS_DEPTH + 1]; /* of each group around the present place, without its last atom */
    unsigned long last;                    /* of the last atom, which a quantifier would repeat */
    int depth;
    int quantifiers;
    bool quantified; /* a quantifier was the last thing */
};

/* How often a quantifier writes its atom. */
static unsigned long quantifier_copies(const char *p)
{
    unsigned long least, most;

    if (*p != '{')
        return *p == '+' ? 2 : 1;
    least = strtoul(p + 1, NULL, 10);
    p += strcspn(p, ",}");
    most = *p == ',' ? strtoul(p + 1, NULL, 10) : 0;
    return MIN(MAX(least, most), ATOMS_MAX) + 1;
}

/* Takes what begins at p into account; NULL, or why the expression is refused. */
static const char *pattern_grow(struct pattern_size *s, const char *p)
{
    bool quantifier = strchr("*+?{", *p) != NULL;

    if (quantifier) {
        if (s->quantified)
            return "a quantifier that follows a quantifier";
        if (++s->quantifiers > QUANTIFIERS_MAX)
            return "too many quantifiers";
        s->last *= quantifier_copies(p);
    } else if (*p == ')' && s->depth > 0) {
        s->last += s->atoms[s->depth--];
    } else {
        s->atoms[s->depth] += s->last;
        s->last = 1;
        if (*p == '(' && ++s->depth > GROUPS_DEPTH)
            return "groups that are nested too deeply";
        if (*p == '(')
            s->atoms[s->depth] = 0;
    }
    s->quantified = quantifier;
    return s->atoms[s->depth] + s->last > ATOMS_MAX ? "quantifiers that make it too large" : NULL;
}

/* Moves *at from the beginning of an element of an expression to its last byte; NULL, or why it is refused. */
static const char *element_skip(const char **at)
{
    const char *p = *at;
    bool backslash = false;

    if (*p == '\\') {
        if (isalnum((unsigned char)p[1]) && strchr("wWsS", p[1]) == NULL)
            return "an escape such as \\d (use [0-9])";
        p += p[1] != '\0';
    } else if (*p == '[') {
        p = brackets_skip(p + 1, &backslash);
        if (backslash)
            return "a backslash in a bracket expression";
        if (*p == '\0')
            return "a bracket expression without an end";
    } else if (*p == '{') {
        p += 1 + strspn(p + 1, "0123456789,");
        if (*p != '}' || !isdigit((unsigned char)(*at)[1]))
            return "a brace that is no quantifier";
    } else if (*p == '(' && p[1] == '?') {
        return "a group that begins with (?";
    }
    if (strchr("*+?{", **at) != NULL && p[1] == '?')
        return "a quantifier that is not greedy";
    *at = p;
    return NULL;
}

/* NULL, or what a POSIX expression would take otherwise than PostgreSQL does, or what would make it too large. */
static const char *pattern_refusal(const char *p)
{
    struct pattern_size size = {.last = 0};
    const char *refusal = NULL;

    if (strncmp(p, "***", 3) == 0)
        return "an embedded option (***)";
    for (; *p != '\0' && refusal == NULL; p++) {
        const char *element = p;

        refusal = element_skip(&p);
        if (refusal == NULL)
            refusal = pattern_grow(&size, element);
    }
    return refusal;
}

static bool pattern_compile(struct hba_errors *e, int line, const char *text, struct mapping *m)
{
    const char *refusal = pattern_refusal(text);
    char why[160];

    if (refusal != NULL) {
        hba_error(e, line, "regular expression \"%s\" has %s, which is not supported", text, refusal);
        return false;
    }
    int rc = regcomp(&m->pattern, text, REG_EXTENDED);
    if (rc == 0)
        return true;
    regerror(rc, &m->pattern, why, sizeof why);
    hba_error(e, line, "invalid regular expression \"%s\": %s", text, why);
    return false;
}

static bool fields_check(struct hba_errors *e, const struct hba_line *line)
{
    static const char *const names[] = {"map name", "system user name", "database user name"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (i >= line->count) {
            hba_error(e, line->number, "end of line before %s", names[i]);
            return false;
        }
        if (line->fields[i].count > 1) {
            hba_error(e, line->number, "more than one value for %s; write one line for each", names[i]);
            return false;
        }
    }
    if (line->count > ARRAY_LEN(names))
        hba_error(e, line->number, "unexpected text behind the database user name");
    return line->count == ARRAY_LEN(names);
}

static void mapping_parse(void *arg, const struct hba_line *line)
{
    struct load *load = arg;
    struct mapping m = {0};

    if (!fields_check(&load->errors, line))
        return;
    const char *system = line->fields[1].tokens[0].text;
    const char *user = line->fields[2].tokens[0].text;
    bool is_pattern = system[0] == '/';
    if (is_pattern && !pattern_compile(&load->errors, line->number, system + 1, &m))
        return;
    if (is_pattern && strstr(user, "\\1") != NULL && m.pattern.re_nsub == 0) {
        hba_error(&load->errors, line->number, "\"%s\" has no parentheses for the \\1 of \"%s\"", system, user);
        regfree(&m.pattern);
        return;
    }
    m.map = mem_strdup(line->fields[0].tokens[0].text);
    m.system = is_pattern ? NULL : mem_strdup(system);
    m.user = mem_strdup(user);
    struct ident_map *map = load->map;
    map->mappings = mem_realloc(map->mappings, (map->count + 1) * sizeof *map->mappings);
    map->mappings[map->count++] = m;
}

struct ident_map *ident_load(const char *file, hba_error_fn *on_error, void *arg)
{
    struct load load = {
        .map = mem_zalloc(sizeof *load.map),
        .errors = {.report = on_error, .arg = arg, .file = file},
    };

    hba_lines_read(&load.errors, mapping_parse, &load);
    if (load.errors.count == 0)
        return load.map;
    ident_free(load.map);
    return NULL;
}

void ident_free(struct ident_map *m)
{
    if (m == NULL)
        return;
    for (size_t i = 0; i < m->count; i++) {
        if (m->mappings[i].system == NULL)
            regfree(&m->mappings[i].pattern);
        free(m->mappings[i].map);
        free(m->mappings[i].system);
        free(m->mappings[i].user);
    }
    free(m->mappings);
    free(m);
}

/* The first \1 of the mapping's user becomes what the parentheses matched, as in PostgreSQL. */
static bool pattern_matches(const struct mapping *m, const char *system_name, const char *user)
{
    const char *reference = strstr(m->user, "\\1");
    regmatch_t matches[2];

    if (regexec(&m->pattern, system_name, ARRAY_LEN(matches), matches, 0) != 0)
        return false;
    if (reference == NULL)
        return strcmp(m->user, user) == 0;
    if (matches[1].rm_so < 0)
        return false;
    char *wanted =
        mem_printf("%.*s%.*s%s", (int)(reference - m->user), m->user, (int)(matches[1].rm_eo - matches[1].rm_so),
                   system_name + matches[1].rm_so, reference + 2);
    bool equal = strcmp(wanted, user) == 0;
    free(wanted);
    return equal;
}

bool ident_match(const struct ident_map *m, const char *map_name, const char *system_name, const char *user)
{
    if (map_name == NULL)
        return strcmp(system_name, user) == 0;
    for (size_t i = 0; m != NULL && i < m->count; i++) {
        const struct mapping *mapping = &m->mappings[i];

        if (strcmp(mapping->map, map_name) != 0)
            continue;
        if (mapping->system == NULL ? pattern_matches(mapping, system_name, user)
                                    : strcmp(mapping->system, system_name) == 0 && strcmp(mapping->user, user) == 0)
            return true;
    }
    return false;
}
