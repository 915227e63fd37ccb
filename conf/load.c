/*
 * load.c: a configuration file becomes a snapshot. inih takes lines apart into section, key and value; this file gives
 * it whole lines one by one and gives meaning to what comes back.
 *
 * inih's own habits are PgBouncer's neither in length nor in syntax, so:
 * - its line buffer (200 bytes unless told otherwise) is made as long as the longest line; were a line not to fit
 *   all the same, that is an error, and nothing is cut;
 * - it also takes ':' for '=', and '=' inside quoted names: both are masked in names while they pass through inih.
 *
 * Invariants: every line that is not blank, a comment, a section or an include ends in the handler or in an error. A
 * config is returned only if there was no error.
 * Thread: control (or main before threads start).
 */
#include "conf/load_parts.h"

#include "conf/log.h"
#include <ctype.h>
#include <ini.h>
#include <limits.h>
#include <stdarg.h>

#define MASK_COLON '\x1f' /* no line holds control characters */
#define MASK_EQUALS '\x1e'

enum section {
    SECTION_NONE,
    SECTION_SLUICE,
    SECTION_PGBOUNCER,
    SECTION_DATABASES,
    SECTION_USERS,
    SECTION_PEERS,
    SECTION_SHARDS, /* these three have a name */
    SECTION_TABLES,
    SECTION_FUNCTIONS,
    SECTION_UNKNOWN
};

static const char *const section_names[] = {
    [SECTION_NONE] = "",
    [SECTION_SLUICE] = "sluice",
    [SECTION_PGBOUNCER] = "pgbouncer",
    [SECTION_DATABASES] = "databases",
    [SECTION_USERS] = "users",
    [SECTION_PEERS] = "peers",
    [SECTION_SHARDS] = "shards",
    [SECTION_TABLES] = "tables",
    [SECTION_FUNCTIONS] = "functions",
};

/* What goes back and forth between the reader and the handler while inih runs. */
struct feed {
    struct loader loader;
    const struct file_lines *lines;
    size_t next;                      /* the line to read next */
    enum section section;             /* that the lines are in */
    struct config_sharding *sharding; /* in SHARDS, TABLES, FUNCTIONS: whose they are */
    const struct file_line *main_at;  /* where [sluice] or [pgbouncer] began first; NULL: not yet */
    bool pair_awaited;                /* inih got a key=value line and has not called the handler for it yet */
    const struct file_line **written; /* by option: the last line that set it, or NULL */
};

/* --- errors --- */

void config_errors_add(struct config_errors *e, const char *file, int line, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    e->lines = mem_realloc(e->lines, (e->count + 1) * sizeof *e->lines);
    const char *what = len < 0 ? "out of memory" : text;
    e->lines[e->count++] = line > 0 ? mem_printf("%s:%d: %s", file, line, what) : mem_printf("%s: %s", file, what);
    free(text);
}

void config_errors_free(struct config_errors *e)
{
    for (size_t i = 0; i < e->count; i++) {
        free(e->lines[i]);
    }
    free(e->lines);
    *e = (struct config_errors){NULL, 0};
}

void loader_duplicate(struct loader *l, const char *what, const char *name)
{
    if (l->config->pgbouncer) {
        log_warn("%s:%d: %s \"%s\" is written twice; this line counts", l->line->file, l->line->number, what, name);
    } else {
        loader_error(l, "%s \"%s\" is written twice; keep one", what, name);
    }
}

/* --- sections --- */

static enum section section_find(const char *name, size_t len)
{
    for (size_t i = SECTION_SLUICE; i < ARRAY_LEN(section_names); i++) {
        if (strlen(section_names[i]) == len && memcmp(section_names[i], name, len) == 0) {
            return (enum section)i;
        }
    }
    return SECTION_UNKNOWN;
}

static bool section_has_name(enum section section)
{
    return section >= SECTION_SHARDS && section <= SECTION_FUNCTIONS;
}

/* The section that a line begins; NONE if it does not begin one. */
static enum section section_of(const char *text)
{
    if (*text != '[') {
        return SECTION_NONE;
    }
    size_t len = strcspn(text + 1, "]"), word = strcspn(text + 1, " \t]");
    enum section section = section_find(text + 1, word);

    return word == len || section_has_name(section) ? section : SECTION_UNKNOWN;
}

/* The name in "[shards NAME]" makes it so; errors go on in an unknown section. */
static bool sharding_section_enter(struct feed *f, const char *end)
{
    const char *name = f->loader.line->text + 1 + strlen(section_names[f->section]);

    name += strspn(name, " \t");
    if (name == end) {
        loader_error(&f->loader, "a section without its name; write [%s NAME], with the name of shards=NAME",
                     section_names[f->section]);
        f->section = SECTION_UNKNOWN;
        return false;
    }
    f->sharding = sharding_enter(&f->loader, name, (size_t)(end - name));
    return true;
}

/* Checks a line that begins with '[' and goes into its section. Returns false after an error. */
static bool section_enter(struct feed *f)
{
    struct loader *l = &f->loader;
    const char *end = strchr(l->line->text, ']');

    f->section = section_of(l->line->text);
    if (end == NULL || end[1] != '\0') {
        f->section = SECTION_UNKNOWN;
        loader_error(l, "bad section line; write [name] and nothing else");
        return false;
    }
    if (f->section == SECTION_UNKNOWN) {
        loader_error(l,
                     "unknown section %s; there are [sluice], [databases], [users], [peers], [shards NAME], [tables "
                     "NAME], [functions NAME], and [pgbouncer] in place of [sluice]",
                     l->line->text);
        return false;
    }
    if (section_has_name(f->section)) {
        return sharding_section_enter(f, end);
    }
    if (f->section == SECTION_SLUICE || f->section == SECTION_PGBOUNCER) {
        if (f->main_at == NULL) {
            f->main_at = l->line;
        } else if (section_of(f->main_at->text) != f->section) {
            loader_error(l, "both [sluice] and [pgbouncer] (at %s:%d); keep one of them", f->main_at->file,
                         f->main_at->number);
            f->section = SECTION_UNKNOWN;
            return false;
        }
    }
    return true;
}

/* --- keys --- */

static bool name_character(char c)
{
    return isalnum((unsigned char)c) || strchr("_.-*", c) != NULL || (unsigned char)c >= 0x80;
}

/* The end of the name at the beginning of text, quotes included; NULL if its quotes are not closed. */
static const char *name_end(const char *text)
{
    const char *p = text;

    if (*p != '"') {
        while (*p != '\0' && name_character(*p)) {
            p++;
        }
        return p;
    }
    for (p++; *p != '\0'; p++) {
        if (*p == '"' && *++p != '"') {
            return p;
        }
    }
    return NULL;
}

/* Checks "name =" at the beginning of the line. Returns the length of the name, or 0 after an error. */
static size_t name_check(struct loader *l)
{
    const char *text = l->line->text;
    const char *end = name_end(text);

    if (end == NULL) {
        loader_error(l, "a quote that is not closed; write \"\" for a quote inside a quoted name");
        return 0;
    }
    const char *equals = end + strspn(end, " \t");
    if (end == text || *equals != '=') {
        loader_error(l, "neither [section] nor \"name = value\" nor a comment; put names with other characters than "
                        "letters, digits and _ . - into double quotes");
        return 0;
    }
    if (end - text == 2 && *text == '"') {
        loader_error(l, "an empty name; write one between the quotes");
        return 0;
    }
    return (size_t)(end - text);
}

static void name_mask(char *name, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        name[i] = name[i] == ':' ? MASK_COLON : name[i] == '=' ? MASK_EQUALS : name[i];
    }
}

/* The name as it was meant: unmasked, unquoted. Owned by the caller. */
static char *name_restore(const char *masked)
{
    char *name = mem_alloc(strlen(masked) + 1);
    char *out = name;
    bool quoted = *masked == '"';

    for (const char *p = masked + quoted; *p != '\0'; p++) {
        if (quoted && *p == '"' && *++p != '"') {
            break;
        }
        *out++ = *p;
        out[-1] = *p == MASK_COLON ? ':' : *p == MASK_EQUALS ? '=' : *p;
    }
    *out = '\0';
    return name;
}

/* --- options --- */

static void option_unknown(struct loader *l, const char *name)
{
    const char *nearest = option_nearest(name);

    if (nearest != NULL) {
        loader_error(l, "unknown option \"%s\"; perhaps \"%s\" is meant", name, nearest);
    } else {
        loader_error(l, "unknown option \"%s\"; conf/REFERENCE.md lists the options", name);
    }
}

static void option_entry(struct feed *f, const char *name, const char *value)
{
    struct loader *l = &f->loader;
    const struct option_info *info = option_find(name);
    char why[512] = "";

    if (info == NULL) {
        option_unknown(l, name);
        return;
    }
    if (option_set(&l->config->opt, info, value, why, sizeof why) != 0) {
        loader_error(l, "bad value \"%s\" for %s; %s", value, name, why);
        return;
    }
    for (size_t i = 0; i < option_count(); i++) {
        if (option_at(i) == info) {
            if (f->written[i] != NULL) {
                loader_duplicate(l, "option", name);
            }
            f->written[i] = l->line;
        }
    }
}

static const struct file_line *option_line(const struct feed *f, const char *name)
{
    for (size_t i = 0; i < option_count(); i++) {
        if (strcmp(option_at(i)->name, name) == 0) {
            return f->written[i];
        }
    }
    return NULL;
}

static void ignored_note(const struct feed *f)
{
    for (size_t i = 0; i < option_count(); i++) {
        if (f->written[i] != NULL && option_at(i)->ignored) {
            log_info("%s:%d: %s is accepted and has no meaning here: %s", f->written[i]->file, f->written[i]->number,
                     option_at(i)->name, option_at(i)->help);
        }
    }
}

/* --- inih --- */

static int handle_pair(void *arg, const char *section, const char *masked, const char *value)
{
    struct feed *f = arg;
    char *name = name_restore(masked);

    (void)section; /* inih keeps 49 bytes of it; the feed knows it whole */
    f->pair_awaited = false;
    switch (f->section) {
    case SECTION_SLUICE:
    case SECTION_PGBOUNCER:
        option_entry(f, name, value);
        break;
    case SECTION_DATABASES:
        database_entry(&f->loader, name, value);
        break;
    case SECTION_USERS:
        user_entry(&f->loader, name, value);
        break;
    case SECTION_PEERS:
        peer_entry(&f->loader, name, value);
        break;
    case SECTION_SHARDS:
        shard_entry(&f->loader, f->sharding, name, value);
        break;
    case SECTION_TABLES:
        line_entry(&f->loader, &f->sharding->tables, "table", name, value);
        break;
    case SECTION_FUNCTIONS:
        line_entry(&f->loader, &f->sharding->functions, "function", name, value);
        break;
    case SECTION_NONE:
        loader_error(&f->loader, "\"%s\" before any section; begin with [sluice] or [databases]", name);
        break;
    case SECTION_UNKNOWN: /* one error, for the section, is enough */
        break;
    }
    free(name);
    return 1;
}

/* After a key=value line: inih must have called the handler. */
static void pair_settle(struct feed *f)
{
    if (f->pair_awaited) {
        loader_error(&f->loader, "cannot be read; write \"name = value\"");
        f->pair_awaited = false;
    }
}

/* inih's fgets: one whole line a call. Lines with errors, already told, become empty ones. */
static char *feed_line(char *out, int size, void *arg)
{
    struct feed *f = arg;
    size_t name_len = 0;

    pair_settle(f);
    if (f->next == f->lines->count) {
        return NULL;
    }
    f->loader.line = &f->lines->items[f->next++];
    const char *text = f->loader.line->text;
    size_t len = strlen(text);
    bool good = *text == '[' ? section_enter(f) : (name_len = name_check(&f->loader)) > 0;
    if (good && len + 2 > (size_t)size) {
        loader_error(&f->loader, "a line of %zu bytes is too long; split it, or make it shorter", len);
        good = false;
    }
    if (!good) {
        len = 0;
    }
    memcpy(out, text, len);
    name_mask(out, MIN(name_len, len));
    memcpy(out + len, "\n", 2);
    f->pair_awaited = good && name_len > 0;
    return out;
}

static size_t longest_line(const struct file_lines *lines)
{
    size_t longest = 0;

    for (size_t i = 0; i < lines->count; i++) {
        longest = MAX(longest, strlen(lines->items[i].text));
    }
    return longest;
}

static void feed_run(struct feed *f)
{
    int line_size = (int)MIN(longest_line(f->lines) + 3, (size_t)INT_MAX);

    ini_use_stack = false;
    ini_allow_realloc = false;
    ini_initial_alloc = line_size;
    ini_max_line = line_size;
    ini_allow_inline_comments = false;
    ini_allow_multiline = false;
    ini_allow_no_value = false;
    ini_stop_on_first_error = false;
    if (ini_parse_stream(feed_line, f, handle_pair, f) == -2) {
        config_errors_add(f->loader.errors, f->loader.config->file, 0, "out of memory");
    }
}

/* --- the whole --- */

static void problem_add(void *arg, const char *option, const char *message)
{
    struct feed *f = arg;
    const struct file_line *line = option_line(f, option);

    config_errors_add(f->loader.errors, line == NULL ? f->loader.config->file : line->file,
                      line == NULL ? 0 : line->number, "%s", message);
}

static void secrets_load(struct feed *f)
{
    struct config *c = f->loader.config;
    const struct file_line *line = option_line(f, "auth_file");
    char why[256] = "";
    size_t len;

    if (line == NULL || *c->opt.auth_file == '\0') {
        return;
    }
    char *path = file_path_resolve(c->opt.auth_file, line->file);
    char *text = file_text_read(path, &len, why, sizeof why);
    if (text == NULL) {
        config_errors_add(f->loader.errors, line->file, line->number,
                          "cannot read auth_file %s: %s; name a file that can be read", path, why);
    } else {
        secrets_parse(c, path, text, len, f->loader.errors);
        explicit_bzero(text, len);
        free(text);
    }
    free(path);
}

/* Which defaults hold is known by a look ahead: [databases] may come first. */
static bool wants_pgbouncer(const struct file_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        enum section section = section_of(lines->items[i].text);
        if (section == SECTION_SLUICE || section == SECTION_PGBOUNCER) {
            return section == SECTION_PGBOUNCER;
        }
    }
    return false;
}

static struct config *config_new(const char *file, const struct file_lines *lines)
{
    struct config *c = mem_zalloc(sizeof *c);

    c->refs = 1;
    c->file = mem_strdup(file);
    c->pgbouncer = wants_pgbouncer(lines);
    options_defaults(&c->opt, c->pgbouncer);
    return c;
}

static void config_fill(struct config *c, const struct file_lines *lines, struct config_errors *errors)
{
    struct feed f = {.loader = {.config = c, .errors = errors}, .lines = lines};

    f.written = mem_zalloc(option_count() * sizeof(struct file_line *));
    feed_run(&f);
    if (*c->opt.conffile == '\0') {
        free(c->opt.conffile);
        c->opt.conffile = mem_strdup(c->file);
    }
    secrets_load(&f);
    options_check(&c->opt, problem_add, &f);
    shardings_check(&f.loader);
    ignored_note(&f);
    free(f.written);
}

struct config *config_load(const char *file, struct config_errors *errors)
{
    struct file_lines lines;

    file_lines_read(&lines, file, errors);
    struct config *c = config_new(file, &lines);
    config_fill(c, &lines, errors);
    file_lines_free(&lines);
    if (errors->count > 0) {
        config_unref(c);
        return NULL;
    }
    databases_finish(c);
    config_warn(c);
    return c;
}
