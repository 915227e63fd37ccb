/*
 * vars.c: see vars.h.
 * Thread: any.
 */
#include "pool/vars.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

uint64_t hash_bytes(uint64_t seed, const void *p, size_t len)
{
    const uint8_t *at = p;
    uint64_t h = seed ^ (len * UINT64_C(0x9e3779b97f4a7c15));

    for (; len >= 8; at += 8, len -= 8) {
        uint64_t k;
        memcpy(&k, at, 8);
        h = (h ^ k) * UINT64_C(0xbf58476d1ce4e5b9);
        h ^= h >> 29;
    }
    for (; len > 0; at++, len--)
        h = (h ^ *at) * UINT64_C(0x94d049bb133111eb);
    h ^= h >> 32;
    h *= UINT64_C(0xd6e8feb86659fd93);
    return h ^ (h >> 32);
}

struct vars *vars_new(void)
{
    struct vars *v = mem_zalloc(sizeof *v);

    v->refs = 1;
    v->standard_strings = v->lexable = true;
    return v;
}

struct vars *vars_ref(struct vars *v)
{
    __atomic_add_fetch(&v->refs, 1, __ATOMIC_RELAXED);
    return v;
}

void vars_unref(struct vars *v)
{
    if (v == NULL || __atomic_sub_fetch(&v->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < v->count; i++) {
        free(v->v[i].name);
        free(v->v[i].value);
    }
    free(v);
}

/* Most differ in their first letter. */
static bool same_name(const char *a, const char *b)
{
    return (*a | 0x20) == (*b | 0x20) && strcasecmp(a, b) == 0;
}

static const struct var *vars_find(const struct vars *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++)
        if (same_name(v->v[i].name, name))
            return &v->v[i];
    return NULL;
}

const char *vars_get(const struct vars *v, const char *name)
{
    const struct var *var = vars_find(v, name);

    return var == NULL ? NULL : var->value;
}

const char *vars_name(const struct vars *v, const char *name)
{
    const struct var *var = vars_find(v, name);

    return var == NULL ? NULL : var->name;
}

bool vars_is_reported(const struct vars *v, const char *name)
{
    const struct var *var = vars_find(v, name);

    return var != NULL && var->reported;
}

/* Independent of the order of the entries. */
static uint64_t var_hash(const struct var *var)
{
    uint64_t h = UINT64_C(0x51ce);

    for (const char *p = var->name; *p != '\0'; p++) {
        uint8_t lower = (uint8_t)tolower((unsigned char)*p);
        h = hash_bytes(h, &lower, 1);
    }
    return hash_bytes(h, var->value, strlen(var->value));
}

/* Encodings in which 0x5C and other ASCII bytes can be the second half of a character. */
static bool is_lexable(const char *encoding)
{
    static const char *const unsafe[] = {"SJIS",       "SHIFT_JIS_2004", "SHIFTJIS2004", "MSKANJI", "SHIFTJIS",
                                         "WIN932",     "WINDOWS932",     "BIG5",         "WIN950",  "WINDOWS950",
                                         "GBK",        "WIN936",         "WINDOWS936",   "UHC",     "WIN949",
                                         "WINDOWS949", "GB18030",        "JOHAB"};

    for (size_t i = 0; encoding != NULL && i < ARRAY_LEN(unsafe); i++)
        if (strcasecmp(encoding, unsafe[i]) == 0)
            return false;
    return true;
}

/* What is asked of a set with every statement, or client. */
static void note_facts(struct vars *v)
{
    const char *strings = vars_get(v, "standard_conforming_strings");
    const char *encoding = vars_get(v, "client_encoding");
    const char *isolation = vars_get(v, "default_transaction_isolation");
    const char *read_only = vars_get(v, "default_transaction_read_only");
    const char *run_limit = vars_get(v, "sluice.timeout");

    v->standard_strings = strings == NULL || strcasecmp(strings, "on") == 0;
    v->lexable = is_lexable(encoding);
    v->utf8 = encoding != NULL && strcmp(encoding, "UTF8") == 0;
    for (size_t i = 0; i < v->count; i++)
        v->placeholders = v->placeholders || strchr(v->v[i].name, '.') != NULL;
    v->serializable = isolation != NULL && strcasecmp(isolation, "serializable") == 0;
    v->reads_only = read_only != NULL && strcasecmp(read_only, "on") == 0;
    v->route = vars_get(v, "sluice.route");
    v->shard = vars_get(v, "sluice.shard");
    v->key = vars_get(v, "sluice.key");
    if (run_limit == NULL || !vars_run_limit(run_limit, &v->run_limit_us))
        v->run_limit_us = 0;
}

static struct vars *vars_build(const struct vars *v, const struct var *replace)
{
    struct vars *made = mem_zalloc(sizeof *made + (v->count + 1) * sizeof made->v[0]);

    made->refs = 1;
    for (size_t i = 0; i < v->count; i++) {
        if (strcasecmp(v->v[i].name, replace->name) == 0)
            continue;
        struct var *to = &made->v[made->count++];
        to->name = mem_strdup(v->v[i].name);
        to->value = mem_strdup(v->v[i].value);
        to->reported = v->v[i].reported;
    }
    if (replace->value != NULL) {
        struct var *to = &made->v[made->count++];
        to->name = mem_strdup(replace->name);
        to->value = mem_strdup(replace->value);
        to->reported = replace->reported;
    }
    for (size_t i = 0; i < made->count; i++)
        made->hash += var_hash(&made->v[i]);
    note_facts(made);
    return made;
}

struct vars *vars_with(struct vars *v, const char *name, const char *value, bool reported)
{
    const struct var *old = vars_find(v, name);
    bool same =
        old == NULL ? value == NULL : value != NULL && old->reported == reported && strcmp(old->value, value) == 0;

    if (same)
        return v;

    struct var replace = {.name = (char *)(uintptr_t)name, .value = (char *)(uintptr_t)value, .reported = reported};
    struct vars *made = vars_build(v, &replace);

    vars_unref(v);
    return made;
}

bool vars_equal(const struct vars *a, const struct vars *b)
{
    if (a == b)
        return true;
    if (a->hash != b->hash || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const char *other = vars_get(b, a->v[i].name);
        if (other == NULL || strcmp(other, a->v[i].value) != 0)
            return false;
    }
    return true;
}

bool var_settable(const char *name)
{
    static const char *const fixed[] = {"server_version", "server_encoding",       "integer_datetimes",
                                        "is_superuser",   "session_authorization", "in_hot_standby"};

    for (size_t i = 0; i < ARRAY_LEN(fixed); i++)
        if (same_name(fixed[i], name))
            return false;
    return true;
}

static const char *const parse_settings[] = {"client_encoding", "search_path",     "role",
                                             "TimeZone",        "DateStyle",       "IntervalStyle",
                                             "xmloption",       "backslash_quote", "standard_conforming_strings",
                                             "lc_monetary",     "array_nulls",     "transform_null_equals"};

bool var_matters_to_parse(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(parse_settings); i++)
        if (strcasecmp(parse_settings[i], name) == 0)
            return true;
    return false;
}

uint64_t vars_parse_hash(const struct vars *v)
{
    uint64_t h = 0;

    for (size_t i = 0; i < ARRAY_LEN(parse_settings); i++) {
        const char *value = vars_get(v, parse_settings[i]);
        if (value != NULL)
            h = hash_bytes(h + i, value, strlen(value));
    }
    return h;
}

static void put_text(struct buf *sql, const char *text)
{
    buf_put(sql, text, strlen(text));
}

void vars_put_literal(struct buf *sql, const char *value)
{
    if (strchr(value, '\\') != NULL)
        put_text(sql, " E");
    buf_put_u8(sql, '\'');
    for (const char *p = value; *p != '\0'; p++) {
        if (*p == '\'' || *p == '\\')
            buf_put_u8(sql, (uint8_t)*p);
        buf_put_u8(sql, (uint8_t)*p);
    }
    buf_put_u8(sql, '\'');
}

void vars_put_name(struct buf *sql, const char *name, char separator)
{
    buf_put_u8(sql, '"');
    for (const char *p = name; *p != '\0'; p++) {
        if (*p == separator)
            put_text(sql, "\".\"");
        else if (*p == '"')
            put_text(sql, "\"\"");
        else
            buf_put_u8(sql, (uint8_t)*p);
    }
    buf_put_u8(sql, '"');
}

/* Names may have a prefix: "app.user" is two identifiers to SET. */
static void put_setting_name(struct buf *sql, const char *name)
{
    vars_put_name(sql, name, '.');
}

/* SET would take the literal as one list element where PostgreSQL quotes a list's elements. */
static bool is_quoted_list(const char *name)
{
    static const char *const lists[] = {"search_path", "temp_tablespaces", "local_preload_libraries",
                                        "session_preload_libraries"};

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        if (strcasecmp(lists[i], name) == 0)
            return true;
    return false;
}

static void put_at_most(struct buf *sql, const char *name, const char *ms)
{
    struct buf most = {0};

    vars_put_literal(&most, ms);
    buf_put_u8(&most, 0);
    char *text = mem_printf("SELECT pg_catalog.set_config(name, CASE WHEN reset_val OPERATOR(pg_catalog.<>) '0' "
                            "AND reset_val::pg_catalog.int4 OPERATOR(pg_catalog.<) %1$s::pg_catalog.int4 "
                            "THEN reset_val ELSE %1$s END, false) FROM pg_catalog.pg_settings "
                            "WHERE name OPERATOR(pg_catalog.=) '%2$s';",
                            (const char *)buf_head(&most), name);
    put_text(sql, text);
    free(text);
    buf_free(&most);
}

static void put_set(struct buf *sql, const struct var *var)
{
    if (strncmp(var->value, VARS_AT_MOST, strlen(VARS_AT_MOST)) == 0 && same_name(var->name, "statement_timeout")) {
        put_at_most(sql, "statement_timeout", var->value + strlen(VARS_AT_MOST));
        return;
    }
    if (is_quoted_list(var->name)) {
        put_text(sql, "SELECT pg_catalog.set_config(");
        vars_put_literal(sql, var->name);
        buf_put_u8(sql, ',');
        vars_put_literal(sql, var->value);
        put_text(sql, ",false);");
        return;
    }
    put_text(sql, "SET ");
    put_setting_name(sql, var->name);
    put_text(sql, " TO ");
    vars_put_literal(sql, var->value);
    buf_put_u8(sql, ';');
}

bool vars_is_identity(const char *name)
{
    return strcasecmp(name, "session_authorization") == 0 || strcasecmp(name, "is_superuser") == 0 ||
           strcasecmp(name, "role") == 0;
}

/* A setting with a name of two parts may be gone, with its name forbidden: the server dropped it when a library was
 * loaded to which the first part belongs. */
static void put_reset(struct buf *sql, const char *name)
{
    if (strchr(name, '.') == NULL) {
        put_text(sql, "RESET ");
        put_setting_name(sql, name);
        buf_put_u8(sql, ';');
        return;
    }
    put_text(sql, "SELECT pg_catalog.set_config(");
    vars_put_literal(sql, name);
    put_text(sql, ",NULL,false) WHERE pg_catalog.current_setting(");
    vars_put_literal(sql, name);
    put_text(sql, ",true) IS NOT NULL;");
}

static bool same_value(const struct vars *a, const struct vars *b, const char *name)
{
    const char *one = vars_get(a, name), *other = vars_get(b, name);

    return one == NULL || other == NULL ? one == other : strcmp(one, other) == 0;
}

static bool is_set(const struct vars *have, const struct var *var)
{
    const char *old = vars_get(have, var->name);

    return old != NULL && strcmp(old, var->value) == 0;
}

static unsigned put_settings(const struct vars *have, const struct vars *want, struct buf *sql)
{
    unsigned count = 0;

    for (size_t i = 0; i < have->count; i++) {
        const struct var *v = &have->v[i];
        if (v->reported || vars_is_identity(v->name) || vars_find(want, v->name) != NULL)
            continue;
        put_reset(sql, v->name);
        count++;
    }
    for (size_t i = 0; i < want->count; i++) {
        const struct var *v = &want->v[i];
        if (is_set(have, v) || !var_settable(v->name) || vars_is_identity(v->name))
            continue;
        put_set(sql, v);
        count++;
    }
    return count;
}

static void put_identity(struct buf *sql, const char *what, const char *name)
{
    put_text(sql, what);
    vars_put_literal(sql, name);
    buf_put_u8(sql, ';');
}

unsigned vars_difference(const struct vars *have, const struct vars *want, const struct vars *login, struct buf *sql)
{
    const char *authorization = vars_get(want, "session_authorization");
    const char *role = vars_get(want, "role");
    bool other_authorization = authorization != NULL && !same_value(have, want, "session_authorization");
    bool other_role = other_authorization || !same_value(have, want, "role");
    struct buf settings = {0};
    unsigned count = put_settings(have, want, &settings);

    if (count > 0 && authorization != NULL && !same_value(have, login, "session_authorization"))
        other_authorization = other_role = true;

    if (other_authorization)
        put_text(sql, "RESET SESSION AUTHORIZATION;");
    else if (vars_get(have, "role") != NULL && (count > 0 || other_role))
        put_text(sql, "RESET ROLE;");
    if (count > 0)
        buf_put(sql, buf_head(&settings), buf_used(&settings));
    if (other_authorization)
        put_identity(sql, "SET SESSION AUTHORIZATION ", authorization);
    if (role != NULL && (count > 0 || other_role))
        put_identity(sql, "SET ROLE ", role);
    buf_free(&settings);
    return count + other_authorization + other_role;
}

struct vars *vars_after_difference(const struct vars *have, struct vars *want)
{
    struct vars *made = vars_ref(want);

    for (size_t i = 0; i < want->count; i++)
        if (!var_settable(want->v[i].name) && vars_find(have, want->v[i].name) == NULL)
            made = vars_with(made, want->v[i].name, NULL, false);
    for (size_t i = 0; i < have->count; i++) {
        const struct var *old = &have->v[i];
        bool stays = !var_settable(old->name) && !(vars_is_identity(old->name) && vars_find(want, old->name) != NULL);
        if (stays || (old->reported && vars_find(want, old->name) == NULL))
            made = vars_with(made, old->name, old->value, old->reported);
    }
    return made;
}

/* --- the startup parameter "options" --- */

/* The next word: blanks part words, a backslash takes the next byte as it is. NULL at the end. */
static char *next_word(const char **at)
{
    const char *p = *at;
    struct buf word = {0};

    while (isspace((unsigned char)*p))
        p++;
    if (*p == '\0')
        return NULL;
    for (; *p != '\0' && !isspace((unsigned char)*p); p++) {
        if (*p == '\\' && *++p == '\0')
            break; /* one that nothing follows is dropped */
        buf_put_u8(&word, (uint8_t)*p);
    }
    buf_put_u8(&word, 0);
    *at = p;
    return (char *)word.data;
}

/* "name=value", dashes in the name read as underscores. */
static bool split_setting(char *word, vars_option_fn *each, void *arg)
{
    char *equals = strchr(word, '=');

    if (equals == NULL || equals == word)
        return false;
    *equals = '\0';
    for (char *p = word; *p != '\0'; p++)
        if (*p == '-')
            *p = '_';
    each(arg, word, equals + 1);
    return true;
}

static bool option_word(char *word, const char **at, vars_option_fn *each, void *arg)
{
    if (strcmp(word, "-c") == 0) {
        char *setting = next_word(at);
        bool ok = setting != NULL && split_setting(setting, each, arg);
        free(setting);
        return ok;
    }
    if (strncmp(word, "--", 2) == 0 || strncmp(word, "-c", 2) == 0)
        return split_setting(word + 2, each, arg);
    return false;
}

bool vars_parse_options(const char *options, vars_option_fn *each, void *arg, char *bad, size_t bad_size)
{
    char *word;

    while ((word = next_word(&options)) != NULL) {
        char copy[128];
        snprintf(copy, sizeof copy, "%s", word);
        bool ok = option_word(word, &options, each, arg);
        free(word);
        if (!ok) {
            snprintf(bad, bad_size, "%s", copy);
            return false;
        }
    }
    return true;
}

int64_t vars_time_usec(const char *text)
{
    static const struct {
        const char *unit;
        double usec;
    } units[] = {{"", 1e3}, {"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"min", 60e6}, {"h", 3600e6}, {"d", 86400e6}};
    char *end;
    double number = strtod(text, &end);

    if (end == text || !(number >= 0))
        return -1;
    while (isspace((unsigned char)*end))
        end++;
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (strcmp(end, units[i].unit) == 0)
            return number * units[i].usec < 0x1p63 ? (int64_t)(number * units[i].usec) : -1;
    return -1;
}

bool vars_run_limit(const char *text, int64_t *us)
{
    size_t len = strlen(text);

    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    char *trimmed = mem_strndup(text, len);
    *us = len == 0 ? 0 : vars_time_usec(trimmed);
    free(trimmed);
    return *us >= 0 && *us <= INT32_MAX * 1000ll;
}
