/*
 * copy_format.c: see copy_format.h.
 * Thread: any (no state).
 */
#include "shard/copy_format.h"

#include "shard/clauses.h"

#include <ctype.h>
#include <strings.h>

#define ENCODING_BYTES 32

static const char *option(const struct stmt *s, const char *name)
{
    for (size_t i = 0; i < s->option_count; i++)
        if (strcmp(s->options[i].name, name) == 0)
            return s->options[i].value == NULL ? "true" : s->options[i].value;
    return NULL;
}

static uint8_t byte_of(const struct stmt *s, const char *name, uint8_t usual)
{
    const char *value = option(s, name);

    return value == NULL || value[0] == '\0' ? usual : (uint8_t)value[0];
}

static bool is_on(const char *value)
{
    return value != NULL && strcasecmp(value, "false") != 0 && strcasecmp(value, "off") != 0 &&
           strcasecmp(value, "0") != 0;
}

bool copy_format_lists(const char *list, const char *column)
{
    size_t len = strlen(column);

    if (list == NULL)
        return false;
    if (strcmp(list, "*") == 0)
        return true;
    for (const char *at = list; (at = strstr(at, column)) != NULL; at++)
        if ((at == list || at[-1] == ' ') && (at[len] == '\0' || at[len] == ','))
            return true;
    return false;
}

/* Letters and digits only, as PostgreSQL compares names of encodings. */
static void plain_name(const char *name, char plain[ENCODING_BYTES])
{
    size_t at = 0;

    for (; *name != '\0' && at + 1 < ENCODING_BYTES; name++)
        if (isalnum((unsigned char)*name))
            plain[at++] = (char)tolower((unsigned char)*name);
    plain[at] = '\0';
}

/* A byte of a character there may be one that means something by itself. */
static bool hides_bytes(const char *plain)
{
    static const char *const names[] = {"sjis", "shiftjis", "shiftjis2004", "mskanji", "win932", "windows932",
                                        "big5", "win950",   "windows950",   "gbk",     "win936", "windows936",
                                        "uhc",  "win949",   "windows949",   "gb18030", "johab"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], plain) == 0)
            return true;
    return false;
}

static const char *read_encoding(const struct stmt *s, struct copy_format *f)
{
    const char *name = option(s, "encoding");
    char plain[ENCODING_BYTES];

    if (name == NULL)
        return NULL;
    plain_name(name, plain);
    f->utf8 = strcmp(plain, "utf8") == 0 || strcmp(plain, "unicode") == 0;
    return hides_bytes(plain) ? "its rows are in an encoding in which keys cannot be found" : NULL;
}

static const char *read_key(const struct stmt *s, const struct map_table *t, struct copy_format *f)
{
    f->key = -1;
    if (t->way == MAP_EVERYWHERE)
        return NULL;
    f->force_null = copy_format_lists(option(s, "force_null"), t->column);
    f->force_not_null = copy_format_lists(option(s, "force_not_null"), t->column);
    if (s->column_count == 0) {
        f->key = (int)t->position - 1;
        return t->position == 0 ? "its table's columns are not known" : NULL;
    }
    for (size_t i = 0; i < s->column_count; i++)
        if (s->columns[i] != NULL && strcmp(s->columns[i], t->column) == 0)
            f->key = (int)i;
    return NULL;
}

static void read_common(const struct stmt *s, bool utf8, struct copy_format *f)
{
    const char *format = option(s, "format"), *null = option(s, "null");
    bool csv = format != NULL && strcasecmp(format, "csv") == 0;

    *f = (struct copy_format){.kind = csv                                                   ? COPY_KIND_CSV
                                      : format != NULL && strcasecmp(format, "binary") == 0 ? COPY_KIND_BINARY
                                                                                            : COPY_KIND_TEXT,
                              .header = is_on(option(s, "header")),
                              .utf8 = utf8};
    f->delimiter = byte_of(s, "delimiter", csv ? ',' : '\t');
    f->quote = byte_of(s, "quote", '"');
    f->escape = byte_of(s, "escape", f->quote);
    if (null == NULL)
        null = csv ? "" : "\\N";
    f->null = span_of(null, strlen(null));
}

const char *copy_format_read(const struct stmt *s, const struct map_table *t, bool utf8, struct copy_format *f)
{
    read_common(s, utf8, f);
    const char *why = read_encoding(s, f);
    return why != NULL ? why : read_key(s, t, f);
}

const char *copy_format_read_out(const struct stmt *s, bool utf8, struct copy_format *f, const char **force_quote)
{
    const char *why;

    read_common(s, utf8, f);
    f->key = -1;
    *force_quote = f->kind == COPY_KIND_CSV ? option(s, "force_quote") : NULL;
    why = read_encoding(s, f);
    if (why == NULL && option(s, "encoding") != NULL && !(utf8 && f->utf8))
        why = "its rows are wanted in another encoding than the client's";
    return why;
}

const char *copy_format_differs(const struct stmt *s, const char *sql, size_t len, unsigned lex_flags)
{
    struct arena arena = {.chunks = NULL};
    const char *why = option(s, "default") != NULL ? "fields that stand for a default" : NULL;
    struct clauses c;

    if (!clauses_tokens(&c, sql, len, lex_flags, &arena))
        why = "a text that cannot be cut";
    for (uint32_t i = 0; why == NULL && i < c.token_count; i++)
        if (clauses_is(&c, i, '('))
            i = clauses_closing(&c, i);
        else if (clauses_word(&c, i, "where"))
            why = "a condition on its rows";
    arena_free(&arena);
    return why;
}
