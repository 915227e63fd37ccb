/*
 * options.c: the table made from options.def, and access to options by name. All values go in by option_set and come
 * out by option_value, defaults included, so that each row's text is checked by the same code. Invariant: a TEXT field
 * of a filled struct options is never NULL and is owned by it.
 * Thread: any (no state; the table is constant).
 */
#include "conf/options.h"

#include "conf/units.h"
#include <inttypes.h>
#include <limits.h>
#include <strings.h>

static const char *const pool_mode_names[] = {"session", "transaction", "statement", NULL};
static const char *const cancel_on_disconnect_names[] = {"abort", "always", "never", NULL};
static const char *const log_format_names[] = {"text", "json", NULL};
static const char *const hints_names[] = {"comment", "set", "off", NULL};
static const char *const cross_shard_serializable_names[] = {"refuse", "allow", NULL};
static const char *const pins_names[] = {"allow", "refuse", NULL};
static const char *const sequence_pins_names[] = {"auto", "always", NULL};
static const char *const read_routing_names[] = {"replica", "any", "primary", NULL};
static const char *const read_your_writes_names[] = {"database", "session", "off", NULL};
static const char *const read_only_transactions_names[] = {"primary", "replica", NULL};
static const char *const replica_balance_names[] = {"least", "round_robin", "random", NULL};
/* In the order of enum auth_method, and of enum tls_mode, in pool/. */
static const char *const auth_type_names[] = {"trust", "any", "plain", "md5", "scram-sha-256", "cert", "hba", NULL};
static const char *const sslmode_names[] = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full", NULL};

enum kind {
    KIND_BOOL,
    KIND_INT,
    KIND_MODE,
    KIND_SECONDS,
    KIND_MILLIS,
    KIND_BYTES,
    KIND_TEXT,
    KIND_SECRET,
    KIND_ENUM,
    KIND_IGNORED
};

struct row {
    struct option_info info;
    enum kind kind;
    size_t offset; /* of the field in struct options */
};

#define ROW(kind_, field, name_, type_, ds, dp, unit_, choices_, min_, max_, reloadable_, help_)                       \
    {.info = {.name = name_,                                                                                           \
              .type = type_,                                                                                           \
              .fallback_sluice = ds,                                                                                   \
              .fallback_pgbouncer = dp,                                                                                \
              .unit = unit_,                                                                                           \
              .choices = choices_,                                                                                     \
              .min = min_,                                                                                             \
              .max = max_,                                                                                             \
              .help = help_,                                                                                           \
              .reloadable = reloadable_,                                                                               \
              .ignored = (kind_) == KIND_IGNORED},                                                                     \
     .kind = kind_,                                                                                                    \
     .offset = field},
#define AT(field) offsetof(struct options, field)
#define OPTION_GROUP(title)
#define OPTION_BOOL(field, name, ds, dp, reload, help)                                                                 \
    ROW(KIND_BOOL, AT(field), name, "boolean", ds, dp, "", NULL, 0, 0, reload, help)
#define OPTION_INT(field, name, ds, dp, min, max, reload, help)                                                        \
    ROW(KIND_INT, AT(field), name, "integer", ds, dp, "", NULL, min, max, reload, help)
#define OPTION_MODE(field, name, ds, dp, reload, help)                                                                 \
    ROW(KIND_MODE, AT(field), name, "octal", ds, dp, "", NULL, 0, 0, reload, help)
#define OPTION_SECONDS(field, name, ds, dp, reload, help)                                                              \
    ROW(KIND_SECONDS, AT(field), name, "seconds", ds, dp, "s", NULL, 0, 0, reload, help)
#define OPTION_MILLIS(field, name, ds, dp, reload, help)                                                               \
    ROW(KIND_MILLIS, AT(field), name, "milliseconds", ds, dp, "ms", NULL, 0, 0, reload, help)
#define OPTION_BYTES(field, name, ds, dp, min, max, reload, help)                                                      \
    ROW(KIND_BYTES, AT(field), name, "bytes", ds, dp, "B", NULL, min, max, reload, help)
#define OPTION_TEXT(field, name, ds, dp, reload, help)                                                                 \
    ROW(KIND_TEXT, AT(field), name, "text", ds, dp, "", NULL, 0, 0, reload, help)
#define OPTION_SECRET(field, name, ds, dp, reload, help)                                                               \
    ROW(KIND_SECRET, AT(field), name, "text", ds, dp, "", NULL, 0, 0, reload, help)
#define OPTION_ENUM(field, name, names, ds, dp, reload, help)                                                          \
    ROW(KIND_ENUM, AT(field), name, "choice", ds, dp, "", names, 0, 0, reload, help)
#define OPTION_IGNORED(name, ds, dp, help) ROW(KIND_IGNORED, 0, #name, "ignored", ds, dp, "", NULL, 0, 0, false, help)

static const struct row rows[] = {
#include "conf/options.def"
};

/* Other names of options. */
static const struct {
    const char *alias, *name;
} aliases[] = {{"service_name", "job_name"}};

/* Other words for an ENUM's values, and words that are understood and refused (means is NULL). */
static const struct {
    const char *option, *word, *means, *refusal;
} words[] = {
    {"auth_type", "password", "plain", NULL},
    {"auth_type", "pam", NULL, "pam is not supported; use scram-sha-256, or hba with other methods"},
    {"auth_type", "ldap", NULL, "ldap is not supported; use scram-sha-256, or hba with other methods"},
};

static const struct row *row_of(const struct option_info *info)
{
    return CONTAINER_OF(info, const struct row, info);
}

size_t option_count(void)
{
    return ARRAY_LEN(rows);
}

const struct option_info *option_at(size_t i)
{
    return i < ARRAY_LEN(rows) ? &rows[i].info : NULL;
}

const struct option_info *option_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
        if (strcmp(aliases[i].alias, name) == 0) {
            name = aliases[i].name;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].info.name, name) == 0) {
            return &rows[i].info;
        }
    }
    return NULL;
}

static const char *row_name_at(const void *arg, size_t i)
{
    (void)arg;
    return rows[i].info.name;
}

const char *option_nearest(const char *name)
{
    return name_nearest(name, ARRAY_LEN(rows), row_name_at, NULL);
}

/* --- values as text --- */

size_t option_value(const struct options *o, const struct option_info *info, char *out, size_t size)
{
    const struct row *row = row_of(info);
    const void *field = (const char *)o + row->offset;

    switch (row->kind) {
    case KIND_BOOL:
        return (size_t)snprintf(out, size, "%d", *(const bool *)field);
    case KIND_INT:
        return (size_t)snprintf(out, size, "%d", *(const int *)field);
    case KIND_MODE:
        return (size_t)snprintf(out, size, "%04o", (unsigned)*(const int *)field);
    case KIND_SECONDS:
        return unit_print_time(*(const usec_t *)field, USEC_PER_SEC, out, size);
    case KIND_MILLIS:
        return unit_print_time(*(const usec_t *)field, USEC_PER_MSEC, out, size);
    case KIND_BYTES:
        return unit_print_bytes(*(const size_t *)field, out, size);
    case KIND_TEXT:
        return (size_t)snprintf(out, size, "%s", *(char *const *)field);
    case KIND_SECRET:
        return (size_t)snprintf(out, size, "%s", **(char *const *)field == '\0' ? "" : "********");
    case KIND_ENUM:
        return (size_t)snprintf(out, size, "%s", info->choices[*(const int *)field]);
    case KIND_IGNORED:
        return (size_t)snprintf(out, size, "%s", info->fallback_pgbouncer);
    }
    return 0;
}

/* --- text to values: each returns false with what would be right in error --- */

static bool set_bool(bool *field, const char *text, char *error, size_t error_size)
{
    if (unit_parse_bool(text, field)) {
        return true;
    }
    snprintf(error, error_size, "must be 0 or 1 (also off, on, false, true, no, yes)");
    return false;
}

static bool number_in(const struct option_info *info, int64_t value)
{
    return value >= info->min && value <= info->max;
}

static bool set_integer(const struct option_info *info, int *field, const char *text, char *error, size_t error_size)
{
    int64_t value;

    if (unit_parse_integer(text, &value) && number_in(info, value)) {
        *field = (int)value;
        return true;
    }
    snprintf(error, error_size, "must be a whole number from %" PRId64 " to %" PRId64, info->min, info->max);
    return false;
}

static bool set_mode(int *field, const char *text, char *error, size_t error_size)
{
    if (unit_parse_mode(text, field)) {
        return true;
    }
    snprintf(error, error_size, "must be an octal number from 0 to 0777");
    return false;
}

static bool set_time(usec_t *field, usec_t unit_us, const char *text, char *error, size_t error_size)
{
    usec_t value;

    /* INT_MAX of the unit is PostgreSQL's own bound for times. */
    if (unit_parse_time(text, unit_us, &value) && value <= INT_MAX * unit_us) {
        *field = value;
        return true;
    }
    snprintf(error, error_size, "must be a number of %s from 0 to %d, or a time such as 500ms, 5s, 2min, 1h",
             unit_us == USEC_PER_SEC ? "seconds" : "milliseconds", INT_MAX);
    return false;
}

static bool set_bytes(const struct option_info *info, size_t *field, const char *text, char *error, size_t error_size)
{
    int64_t value;

    if (unit_parse_bytes(text, &value) && (number_in(info, value))) {
        *field = (size_t)value;
        return true;
    }
    snprintf(error, error_size,
             "must be a number of bytes from %" PRId64 " to %" PRId64 ", or a size such as 64kB, 1MB", info->min,
             info->max);
    return false;
}

static void list_choices(const struct option_info *info, char *error, size_t error_size)
{
    size_t len = (size_t)snprintf(error, error_size, "must be one of");

    for (size_t i = 0; info->choices[i] != NULL && len < error_size; i++) {
        len += (size_t)snprintf(error + len, error_size - len, "%s %s", i == 0 ? "" : ",", info->choices[i]);
    }
}

static bool set_choice(const struct option_info *info, int *field, const char *text, char *error, size_t error_size)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (strcmp(words[i].option, info->name) == 0 && strcasecmp(words[i].word, text) == 0) {
            if (words[i].means == NULL) {
                snprintf(error, error_size, "%s", words[i].refusal);
                return false;
            }
            text = words[i].means;
        }
    }
    for (int i = 0; info->choices[i] != NULL; i++) {
        if (strcasecmp(info->choices[i], text) == 0) {
            *field = i;
            return true;
        }
    }
    list_choices(info, error, error_size);
    return false;
}

bool option_choice_parse(const char *option, const char *word, int *value)
{
    const struct option_info *info = option_find(option);

    for (int i = 0; info->choices[i] != NULL; i++) {
        if (strcasecmp(info->choices[i], word) == 0) {
            *value = i;
            return true;
        }
    }
    return false;
}

void option_choices(const char *option, char *out, size_t size)
{
    list_choices(option_find(option), out, size);
}

static bool set_text(char **field, const char *text)
{
    char *copy = mem_strdup(text); /* first: text may be the old value itself */

    free(*field);
    *field = copy;
    return true;
}

static bool facility_known(const char *text)
{
    static const char *const names[] = {"auth",   "authpriv", "daemon", "user",   "local0", "local1",
                                        "local2", "local3",   "local4", "local5", "local6", "local7"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(names[i], text) == 0) {
            return true;
        }
    }
    return false;
}

/* What a row's type cannot say about its values. */
static bool value_allowed(const struct option_info *info, const char *text, char *error, size_t error_size)
{
    usec_t time_us;

    if (strcmp(info->name, "syslog_facility") == 0 && !facility_known(text)) {
        snprintf(error, error_size, "must be one of auth, authpriv, daemon, user, local0 to local7");
        return false;
    }
    if (strcmp(info->name, "stats_period") == 0 && unit_parse_time(text, USEC_PER_SEC, &time_us) &&
        time_us < USEC_PER_SEC) {
        snprintf(error, error_size, "must be at least 1 second");
        return false;
    }
    return true;
}

int option_set(struct options *o, const struct option_info *info, const char *text, char *error, size_t error_size)
{
    const struct row *row = row_of(info);
    void *field = (char *)o + row->offset;
    bool ok = value_allowed(info, text, error, error_size);

    if (!ok) {
        return -1;
    }
    switch (row->kind) {
    case KIND_BOOL:
        ok = set_bool(field, text, error, error_size);
        break;
    case KIND_INT:
        ok = set_integer(info, field, text, error, error_size);
        break;
    case KIND_MODE:
        ok = set_mode(field, text, error, error_size);
        break;
    case KIND_SECONDS:
        ok = set_time(field, USEC_PER_SEC, text, error, error_size);
        break;
    case KIND_MILLIS:
        ok = set_time(field, USEC_PER_MSEC, text, error, error_size);
        break;
    case KIND_BYTES:
        ok = set_bytes(info, field, text, error, error_size);
        break;
    case KIND_TEXT:
    case KIND_SECRET:
        ok = set_text(field, text);
        break;
    case KIND_ENUM:
        ok = set_choice(info, field, text, error, error_size);
        break;
    case KIND_IGNORED:
        break;
    }
    return ok ? 0 : -1;
}

/* --- all options at once --- */

void options_defaults(struct options *o, bool pgbouncer)
{
    char error[256] = "";

    memset(o, 0, sizeof *o);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct option_info *info = &rows[i].info;
        const char *text = pgbouncer ? info->fallback_pgbouncer : info->fallback_sluice;
        if (option_set(o, info, text, error, sizeof error) != 0) {
            fprintf(stderr, "options.def: the default of %s %s\n", info->name, error);
            abort();
        }
    }
}

static bool is_text(const struct row *row)
{
    return row->kind == KIND_TEXT || row->kind == KIND_SECRET;
}

void options_copy(struct options *to, const struct options *from)
{
    *to = *from;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (is_text(&rows[i])) {
            char **field = (char **)((char *)to + rows[i].offset);
            *field = mem_strdup(*field);
        }
    }
}

void options_free(struct options *o)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (is_text(&rows[i])) {
            char **field = (char **)((char *)o + rows[i].offset);
            free(*field);
            *field = NULL;
        }
    }
}

const char *pool_mode_name(enum pool_mode mode)
{
    return mode < POOL_MODE_UNSET ? pool_mode_names[mode] : "";
}

bool pool_mode_parse(const char *text, enum pool_mode *mode)
{
    for (int i = 0; pool_mode_names[i] != NULL; i++) {
        if (strcasecmp(pool_mode_names[i], text) == 0) {
            *mode = (enum pool_mode)i;
            return true;
        }
    }
    return false;
}
