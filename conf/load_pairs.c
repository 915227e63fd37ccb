/*
 * load_pairs.c: "key=value key='a ''quoted'' value'", the connection strings of [databases], [users] and [peers].
 * A value is one word, or quoted; an empty value is an error, as with PgBouncer.
 * Thread: control (or main before threads start).
 */
#include "conf/load_parts.h"

#include "conf/log.h"
#include "conf/units.h"
#include <limits.h>
#include <strings.h>

#define FIELD(type, target, key) ((type *)((char *)(target) + (key)->offset))

static char *blanks_skip(char *at)
{
    return at + strspn(at, " \t");
}

/* Unquotes in place the value whose opening quote is before at. Returns what is behind the closing one, or NULL. */
static char *quoted_take(char *at)
{
    char *out = at;

    for (;; at++) {
        if (*at == '\0') {
            return NULL;
        }
        if (*at == '\'') {
            if (at[1] != '\'') {
                break;
            }
            at++;
        }
        *out++ = *at;
    }
    *out = '\0';
    return at + 1;
}

/* Takes the next pair from *at, which is not at the end. Returns NULL, or what is wrong. */
static const char *pair_take(char **at, char **key, char **value)
{
    char *p = *at;

    *key = p;
    p += strcspn(p, "= \t");
    char *key_end = p;
    p = blanks_skip(p);
    if (*p != '=' || key_end == *key) {
        *key = NULL; /* it may be the second word of a password: not for a message */
        return "is followed by a word without =; write key=value pairs separated by blanks, and blanks only in "
               "'quotes'";
    }
    *key_end = '\0';
    p = blanks_skip(p + 1);
    if (*p == '\'') {
        *value = p + 1;
        p = quoted_take(p + 1);
        if (p == NULL) {
            return "has a quote that is not closed; write '' for a quote inside quotes";
        }
        if (*p != '\0' && *p != ' ' && *p != '\t') {
            return "has something behind its closing quote; separate pairs by blanks";
        }
    } else {
        *value = p;
        p += strcspn(p, " \t");
        if (*p != '\0') {
            *p++ = '\0';
        }
    }
    *at = blanks_skip(p);
    return **value == '\0' ? "has no value; give one, or leave the key out" : NULL;
}

static const char *key_name_at(const void *keys, size_t i)
{
    return ((const struct pair_key *)keys)[i].name;
}

static size_t key_count(const struct pair_key *keys)
{
    size_t n = 0;

    while (keys[n].name != NULL) {
        n++;
    }
    return n;
}

static const struct pair_key *key_find(const struct pair_key *keys, const char *name)
{
    for (size_t i = 0; keys[i].name != NULL; i++) {
        if (strcmp(keys[i].name, name) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}

static void text_replace(char **field, const char *text)
{
    free(*field);
    *field = mem_strdup(text);
}

static const char *time_store(usec_t *field, usec_t unit_us, const char *value)
{
    if (unit_parse_time(value, unit_us, field) && *field <= INT_MAX * unit_us) {
        return NULL;
    }
    return unit_us == USEC_PER_SEC ? "must be a number of seconds, or a time such as 500ms, 5s, 2min, 1h"
                                   : "must be a number of milliseconds, or a time such as 500ms, 5s, 2min, 1h";
}

static const char *count_store(int *field, const char *value)
{
    int64_t number;

    if (!unit_parse_integer(value, &number) || number < 0 || number > INT_MAX) {
        return "must be a whole number from 0 to 2147483647";
    }
    *field = (int)number;
    return NULL;
}

static const char *balance_store(char **field, const char *value)
{
    if (strcmp(value, "disable") != 0 && strcmp(value, "round-robin") != 0) {
        return "must be disable or round-robin";
    }
    text_replace(field, value);
    return NULL;
}

static const char *target_store(enum node_kind *field, const char *value)
{
    if (strcmp(value, "primary") != 0 && strcmp(value, "standby") != 0) {
        return "must be primary or standby";
    }
    *field = value[0] == 's' ? NODE_STANDBY : NODE_PRIMARY;
    return NULL;
}

static const char *choice_store(const struct pair_key *key, int *field, const char *value)
{
    static char wrong[160]; /* control's, as all loading */

    if (option_choice_parse(key->name, value, field)) {
        return NULL;
    }
    option_choices(key->name, wrong, sizeof wrong);
    return wrong;
}

/* Stores the value. Returns NULL, or what would be right. */
static const char *pair_store(const struct pair_key *key, const char *value, void *target, struct pair_hosts *hosts)
{
    switch (key->kind) {
    case PAIR_TEXT:
        text_replace(FIELD(char *, target, key), value);
        return NULL;
    case PAIR_COUNT:
        return count_store(FIELD(int, target, key), value);
    case PAIR_SECONDS:
        return time_store(FIELD(usec_t, target, key), USEC_PER_SEC, value);
    case PAIR_MILLIS:
        return time_store(FIELD(usec_t, target, key), USEC_PER_MSEC, value);
    case PAIR_POOL_MODE:
        return pool_mode_parse(value, FIELD(enum pool_mode, target, key)) ? NULL
                                                                          : "must be session, transaction or statement";
    case PAIR_BALANCE:
        return balance_store(FIELD(char *, target, key), value);
    case PAIR_HOSTS:
        text_replace(&hosts->hosts, value);
        return NULL;
    case PAIR_PORTS:
        text_replace(&hosts->ports, value);
        return NULL;
    case PAIR_WEIGHTS:
        text_replace(&hosts->weights, value);
        return NULL;
    case PAIR_CHOICE:
        return choice_store(key, FIELD(int, target, key), value);
    case PAIR_TARGET:
        return target_store(FIELD(enum node_kind, target, key), value);
    }
    return NULL;
}

static void key_unknown(struct loader *l, const struct pair_key *keys, const char *name)
{
    const char *nearest = name_nearest(name, key_count(keys), key_name_at, keys);

    if (nearest != NULL) {
        loader_error(l, "unknown key \"%s\"; perhaps \"%s\" is meant", name, nearest);
    } else {
        loader_error(l, "unknown key \"%s\"; conf/REFERENCE.md lists the keys", name);
    }
}

bool pairs_read(struct loader *l, const struct pair_key *keys, const char *text, void *target, struct pair_hosts *hosts)
{
    char *copy = mem_strdup(text);
    char *at = blanks_skip(copy);
    char *name = NULL, *value;
    const char *before = "=";
    bool ok = true;

    while (*at != '\0') {
        const char *wrong = pair_take(&at, &name, &value);
        if (wrong != NULL) {
            loader_error(l, "\"%s\" %s", name == NULL ? before : name, wrong);
            ok = false;
            break; /* where the next pair begins is anyone's guess */
        }
        before = name;
        const struct pair_key *key = key_find(keys, name);
        if (key == NULL) {
            key_unknown(l, keys, name);
            ok = false;
            continue;
        }
        wrong = pair_store(key, value, target, hosts);
        if (wrong != NULL) {
            loader_error(l, "bad value \"%s\" for %s; %s", value, name, wrong);
            ok = false;
        } else if (key->ignored) {
            log_info("%s:%d: %s: %s", l->line->file, l->line->number, name, key->help);
        }
    }
    explicit_bzero(copy, strlen(text)); /* may hold a password */
    free(copy);
    return ok;
}
