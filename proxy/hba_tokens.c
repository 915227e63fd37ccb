/*
 * hba_tokens.c: cuts pg_hba.conf and pg_ident.conf into lines, fields and tokens, as PostgreSQL 15 does; inclusions
 * of files as PostgreSQL 16 does.
 *
 * Invariants:
 * - Only regular files of at most FILE_MAX bytes are read: a pipe or a device would stop the control thread.
 * - A file is never read from within itself, and inclusions are at most DEPTH_MAX deep.
 *
 * Thread: control.
 */
#include "proxy/hba_tokens.h"

#include "parser/bytes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (16 * MIB)
#define DEPTH_MAX 10

/* A file that is being read, and the one that it was included from. */
struct source {
    const char *path;
    const struct source *parent; /* NULL for the outermost */
    int depth;
    dev_t device;
    ino_t inode;
    uint8_t *text; /* owned */
    size_t len;
};

void hba_error(struct hba_errors *e, int line, const char *fmt, ...)
{
    char message[512];
    va_list args;

    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    e->count++;
    e->report(e->arg, e->file, line, message);
}

bool hba_token_is(const struct hba_token *t, const char *word)
{
    return !t->quoted && strcmp(t->text, word) == 0;
}

/* --- files --- */

static bool source_is_open(const struct source *s, const struct stat *st)
{
    for (; s != NULL; s = s->parent) {
        if (s->device == st->st_dev && s->inode == st->st_ino)
            return true;
    }
    return false;
}

/* NULL: it is a file that may be read. */
static const char *source_refusal(const struct source *s, const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return "not a regular file";
    if (st->st_size > (off_t)FILE_MAX)
        return "file is larger than 16 MiB";
    if (source_is_open(s->parent, st))
        return "file includes itself";
    if (s->depth > DEPTH_MAX)
        return "files are included more than 10 deep";
    return NULL;
}

/* Returns NULL, or what was wrong (static, or of strerror). */
static const char *source_read_fd(struct source *s, int fd)
{
    struct stat st;
    ssize_t got = 1;

    if (fstat(fd, &st) != 0)
        return strerror(errno);
    const char *refusal = source_refusal(s, &st);
    if (refusal != NULL)
        return refusal;
    s->device = st.st_dev;
    s->inode = st.st_ino;
    s->text = mem_alloc((size_t)st.st_size + 1);
    while (s->len < (size_t)st.st_size && got > 0) {
        got = read(fd, s->text + s->len, (size_t)st.st_size - s->len);
        if (got > 0)
            s->len += (size_t)got;
    }
    return got < 0 ? strerror(errno) : NULL;
}

static bool source_read(struct source *s, struct hba_errors *e, int line)
{
    /* Without O_NONBLOCK, opening a pipe waits for a writer. */
    int fd = open(s->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    const char *why = fd < 0 ? strerror(errno) : source_read_fd(s, fd);

    if (fd >= 0)
        close(fd);
    if (why != NULL) {
        hba_error(e, line, "could not read \"%s\": %s", s->path, why);
        free(s->text);
        s->text = NULL;
    }
    return why == NULL;
}

/* An included file's path is relative to the file that names it. Owned by the caller. */
static char *path_relative(const char *from, const char *name)
{
    const char *slash = strrchr(from, '/');

    if (name[0] == '/' || slash == NULL)
        return mem_strdup(name);
    return mem_printf("%.*s/%s", (int)(slash - from), from, name);
}

/* --- lines: physical lines that end with a backslash are joined with the next --- */

struct line_reader {
    const uint8_t *at;
    const uint8_t *end;
    int number; /* of the last physical line read */
    struct buf text;
};

/* Appends one physical line without its end; true if a backslash says that the next belongs to it. */
static bool physical_line(struct line_reader *r)
{
    const uint8_t *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    const uint8_t *stop = newline != NULL ? newline : r->end;
    const uint8_t *next = newline != NULL ? newline + 1 : r->end;

    while (stop > r->at && stop[-1] == '\r')
        stop--;
    bool joined = stop > r->at && stop[-1] == '\\';
    buf_put(&r->text, r->at, (size_t)(stop - r->at) - (joined ? 1 : 0));
    r->at = next;
    r->number++;
    return joined;
}

/* The next logical line, borrowed until the next call; false at the end. *number: of its first physical line. */
static bool line_next(struct line_reader *r, struct span *line, int *number)
{
    if (r->at == r->end)
        return false;
    buf_consume(&r->text, buf_used(&r->text));
    *number = r->number + 1;
    while (physical_line(r) && r->at < r->end) {
    }
    *line = buf_used(&r->text) > 0 ? span_of(buf_head(&r->text), buf_used(&r->text)) : span_of("", 0);
    return true;
}

/* --- tokens --- */

struct scanner {
    const uint8_t *at;
    const uint8_t *end;
    bool comma;        /* a comma ended the token: the field goes on */
    bool unterminated; /* the line ended within quotes */
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The body of a token, from s->at to its end; text has room for all that is left of the line. */
static size_t token_body(struct scanner *s, char *text, bool *quotes)
{
    bool in_quote = false, was_quote = false;
    size_t len = 0;

    for (; s->at < s->end && (in_quote || !is_blank(*s->at)); s->at++) {
        uint8_t c = *s->at;

        if (!in_quote && c == '#') {
            s->at = s->end;
            break;
        }
        if (!in_quote && c == ',') {
            s->comma = true;
            s->at++;
            break;
        }
        if (c != '"' || was_quote) /* two quotes within quotes are one */
            text[len++] = (char)c;
        was_quote = in_quote && c == '"' && !was_quote;
        if (c == '"') {
            in_quote = !in_quote;
            *quotes = true;
        }
    }
    s->unterminated = in_quote;
    return len;
}

static bool token_next(struct scanner *s, struct hba_token *t)
{
    bool quotes = false;

    s->comma = false;
    while (s->at < s->end && (is_blank(*s->at) || *s->at == ','))
        s->at++;
    if (s->at == s->end)
        return false;
    char *text = mem_alloc((size_t)(s->end - s->at) + 1);
    t->quoted = *s->at == '"';
    size_t len = token_body(s, text, &quotes);
    text[len] = '\0';
    if (len == 0 && !quotes) { /* a comment */
        free(text);
        return false;
    }
    t->text = text;
    return true;
}

static void field_add(struct hba_field *f, struct hba_token t)
{
    f->tokens = mem_realloc(f->tokens, (f->count + 1) * sizeof *f->tokens);
    f->tokens[f->count++] = t;
}

static void field_free(struct hba_field *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->tokens[i].text);
    free(f->tokens);
}

static bool field_include(struct hba_field *f, const struct source *from, const char *name, struct hba_errors *e,
                          int line);

/* One field: tokens up to one that no comma follows. *bad: an error was reported. */
static bool field_next(struct scanner *s, struct hba_field *f, const struct source *from, struct hba_errors *e,
                       int line, bool *bad)
{
    struct hba_token t;

    *f = (struct hba_field){0};
    do {
        if (!token_next(s, &t))
            break;
        if (!t.quoted && t.text[0] == '@' && t.text[1] != '\0') {
            *bad |= !field_include(f, from, t.text + 1, e, line);
            free(t.text);
        } else {
            field_add(f, t);
        }
    } while (s->comma);
    return f->count > 0;
}

static void fields_move(struct hba_field *to, struct hba_field *from)
{
    for (size_t i = 0; i < from->count; i++)
        field_add(to, from->tokens[i]);
    free(from->tokens);
}

static bool line_check(struct span text, struct hba_errors *e, int line)
{
    if (text.len == 0 || memchr(text.ptr, '\0', text.len) == NULL)
        return true;
    hba_error(e, line, "zero byte in the line");
    return false;
}

static bool line_include(struct hba_field *f, struct span text, int number, const struct source *source,
                         struct hba_errors *e, int line)
{
    struct scanner s = {.at = text.ptr, .end = text.ptr + text.len};
    bool bad = !line_check(text, e, line);
    struct hba_field part;

    while (!bad && field_next(&s, &part, source, e, line, &bad))
        fields_move(f, &part);
    if (s.unterminated)
        hba_error(e, line, "quoted text without an end in line %d of \"%s\"", number, source->path);
    return !bad && !s.unterminated;
}

/* All tokens of a file, whatever its lines, into one field. Errors are told of the line that names the file. */
static bool field_include(struct hba_field *f, const struct source *from, const char *name, struct hba_errors *e,
                          int line)
{
    char *path = path_relative(from->path, name);
    struct source source = {.path = path, .parent = from, .depth = from->depth + 1};
    size_t count_before = f->count;
    bool good = source_read(&source, e, line);

    if (good) {
        struct line_reader r = {.at = source.text, .end = source.text + source.len};
        struct span text;
        int number;

        while (good && line_next(&r, &text, &number))
            good = line_include(f, text, number, &source, e, line);
        buf_free(&r.text);
        if (good && f->count == count_before) {
            /* The field would vanish, and the next one be read in its place. */
            hba_error(e, line, "\"%s\" has nothing in it", path);
            good = false;
        }
    }
    free(source.text);
    free(path);
    return good;
}

/* True if the line has fields and no error. */
static bool line_split(struct span text, struct hba_line *line, const struct source *source, struct hba_errors *e)
{
    struct scanner s = {.at = text.ptr, .end = text.ptr + text.len};
    bool bad = !line_check(text, e, line->number);
    struct hba_field f;

    while (!bad && field_next(&s, &f, source, e, line->number, &bad)) {
        line->fields = mem_realloc(line->fields, (line->count + 1) * sizeof *line->fields);
        line->fields[line->count++] = f;
    }
    if (s.unterminated) {
        hba_error(e, line->number, "quoted text without an end");
        bad = true;
    }
    return !bad && line->count > 0;
}

/* --- lines that stand for other files' lines, as PostgreSQL 16 has them --- */

struct walk {
    struct hba_errors *errors;
    hba_line_fn *on_line;
    void *arg;
};

static void source_walk(const struct source *s, struct walk *w);

/* Errors in it are told of its own lines; that it cannot be read, of the line that names it. */
static void file_walk(const struct source *from, const char *path, int line, struct walk *w)
{
    struct source source = {.path = path, .parent = from, .depth = from->depth + 1};
    const char *file = w->errors->file;

    if (!source_read(&source, w->errors, line))
        return;
    w->errors->file = path;
    source_walk(&source, w);
    w->errors->file = file;
    free(source.text);
}

static int is_conf_file(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name);

    return entry->d_name[0] != '.' && len > 5 && strcmp(entry->d_name + len - 5, ".conf") == 0;
}

static int name_compare(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* by bytes, whatever the locale */
}

/* The files *.conf of a folder, in the order of their names. */
static void folder_walk(const struct source *from, const char *path, int line, struct walk *w)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, is_conf_file, name_compare);

    if (count < 0)
        hba_error(w->errors, line, "could not read folder \"%s\": %s", path, strerror(errno));
    for (int i = 0; i < count; i++) {
        char *file = mem_printf("%s/%s", path, entries[i]->d_name);

        file_walk(from, file, line, w);
        free(file);
        free(entries[i]);
    }
    free(entries);
}

/* False: the line is no inclusion. */
static bool line_walk(const struct source *from, const struct hba_line *line, struct walk *w)
{
    const struct hba_token *what = &line->fields[0].tokens[0];
    bool folder = hba_token_is(what, "include_dir"), may_lack = hba_token_is(what, "include_if_exists");

    if (!folder && !may_lack && !hba_token_is(what, "include"))
        return false;
    if (line->count != 2 || line->fields[0].count != 1 || line->fields[1].count != 1) {
        hba_error(w->errors, line->number, "%s takes the name of one %s", what->text, folder ? "folder" : "file");
        return true;
    }
    char *path = path_relative(from->path, line->fields[1].tokens[0].text);
    if (folder)
        folder_walk(from, path, line->number, w);
    else if (!may_lack || access(path, F_OK) == 0 || errno != ENOENT)
        file_walk(from, path, line->number, w);
    free(path);
    return true;
}

static void source_walk(const struct source *s, struct walk *w)
{
    struct line_reader r = {.at = s->text, .end = s->text + s->len};
    struct span text;
    struct hba_line line = {0};

    while (line_next(&r, &text, &line.number)) {
        if (line_split(text, &line, s, w->errors) && !line_walk(s, &line, w))
            w->on_line(w->arg, &line);
        for (size_t i = 0; i < line.count; i++)
            field_free(&line.fields[i]);
        free(line.fields);
        line = (struct hba_line){0};
    }
    buf_free(&r.text);
}

void hba_lines_read(struct hba_errors *e, hba_line_fn *on_line, void *arg)
{
    struct source source = {.path = e->file};
    struct walk w = {.errors = e, .on_line = on_line, .arg = arg};

    if (!source_read(&source, e, 0))
        return;
    source_walk(&source, &w);
    free(source.text);
}
