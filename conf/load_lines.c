/*
 * load_lines.c: files into lines. %include is followed here, before sections are looked at, so that an included file
 * goes on in the section in which it is included, and the including one in the section where it ended, as with
 * PgBouncer. Invariants: no line is ever cut; what cannot be taken whole is an error. A file that is being read is
 * never included again, includes do not nest deeper than INCLUDE_DEPTH_MAX, and there are not more than FILE_COUNT_MAX
 * of them.
 * Thread: control (or main before threads start).
 */
#include "conf/load_parts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define INCLUDE_DEPTH_MAX 10
#define FILE_COUNT_MAX 1000
#define FILE_MAX_BYTES (64 * MIB)

/* A file that is being read, and the one that included it. */
struct open_file {
    const struct open_file *outer;
    const char *file;
    int depth;
    struct stat st;
};

static void file_read(struct file_lines *lines, struct open_file *open_file, struct config_errors *errors, int line);

/* Returns 0 with st filled, or -1 with the reason. */
static int file_check(int fd, struct stat *st, char *error, size_t error_size)
{
    if (fd < 0 || fstat(fd, st) != 0) {
        snprintf(error, error_size, "%s", strerror(errno));
        return -1;
    }
    if (!S_ISREG(st->st_mode)) {
        snprintf(error, error_size, "not a regular file");
        return -1;
    }
    if (st->st_size > (off_t)FILE_MAX_BYTES) {
        snprintf(error, error_size, "longer than %zu MB", FILE_MAX_BYTES / MIB);
        return -1;
    }
    return 0;
}

static char *fd_read(int fd, size_t *len, char *error, size_t error_size)
{
    size_t cap = 16 * KIB, used = 0;
    char *text = mem_alloc(cap);

    for (;;) {
        ssize_t n = read(fd, text + used, cap - used - 1);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 || used > FILE_MAX_BYTES) {
            snprintf(error, error_size, "%s", n < 0 ? strerror(errno) : "too long");
            free(text);
            return NULL;
        }
        if (n == 0) {
            text[used] = '\0';
            *len = used;
            return text;
        }
        used += (size_t)n;
        if (cap - used < 2) {
            cap *= 2;
            text = mem_realloc(text, cap);
        }
    }
}

static char *file_take(const char *file, struct stat *st, size_t *len, char *error, size_t error_size)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char *text = NULL;

    if (file_check(fd, st, error, error_size) == 0) {
        text = fd_read(fd, len, error, error_size);
    }
    if (fd >= 0) {
        close(fd);
    }
    return text;
}

char *file_text_read(const char *file, size_t *len, char *error, size_t error_size)
{
    struct stat st;

    return file_take(file, &st, len, error, error_size);
}

char *file_path_resolve(const char *path, const char *named_by)
{
    const char *slash = strrchr(named_by, '/');

    if (*path == '/' || slash == NULL || access(path, F_OK) == 0) {
        return mem_strdup(path);
    }
    char *beside = mem_printf("%.*s/%s", (int)(slash - named_by), named_by, path);
    if (access(beside, F_OK) == 0) {
        return beside;
    }
    free(beside);
    return mem_strdup(path);
}

/* --- includes --- */

static const char *file_name_keep(struct file_lines *lines, const char *file)
{
    lines->files = mem_realloc(lines->files, (lines->file_count + 1) * sizeof *lines->files);
    lines->files[lines->file_count] = mem_strdup(file);
    return lines->files[lines->file_count++];
}

/* The file's name if text is an %include; else NULL. */
static const char *include_of(const char *text)
{
    static const char word[] = "%include";
    size_t len = sizeof word - 1;

    if (strncmp(text, word, len) != 0 || (text[len] != '\0' && text[len] != ' ' && text[len] != '\t')) {
        return NULL;
    }
    text += len;
    return text + strspn(text, " \t");
}

static void file_include(struct file_lines *lines, const char *name, const struct open_file *outer, int line,
                         struct config_errors *errors)
{
    if (*name == '\0') {
        config_errors_add(errors, outer->file, line, "%%include without a file; write %%include FILE");
        return;
    }
    if (outer->depth >= INCLUDE_DEPTH_MAX) {
        config_errors_add(errors, outer->file, line, "%%include is nested deeper than %d files; include less deeply",
                          INCLUDE_DEPTH_MAX);
        return;
    }
    if (lines->file_count >= FILE_COUNT_MAX) {
        if (lines->file_count == FILE_COUNT_MAX) {
            config_errors_add(errors, outer->file, line, "more than %d files; include fewer", FILE_COUNT_MAX);
            file_name_keep(lines, name); /* said once is enough */
        }
        return;
    }
    char *path = file_path_resolve(name, outer->file);
    struct open_file inner = {.outer = outer, .file = file_name_keep(lines, path), .depth = outer->depth + 1};

    free(path);
    file_read(lines, &inner, errors, line);
}

/* --- lines --- */

/* The first byte that no line may hold, or NULL. */
static const char *control_character(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return text + i;
        }
    }
    return NULL;
}

static void line_add(struct file_lines *lines, const char *file, int number, const char *text, size_t len)
{
    if ((lines->count & (lines->count + 1)) == 0) { /* grows by doubling: at 0, 1, 3, 7, ... */
        lines->items = mem_realloc(lines->items, (2 * lines->count + 1) * sizeof *lines->items);
    }
    lines->items[lines->count++] = (struct file_line){.file = file, .number = number, .text = mem_strndup(text, len)};
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* One line, without its newline. */
static void line_take(struct file_lines *lines, const struct open_file *from, int number, const char *text, size_t len,
                      struct config_errors *errors)
{
    while (len > 0 && blank(text[len - 1])) {
        len--;
    }
    while (len > 0 && blank(*text)) {
        text++;
        len--;
    }
    if (len == 0 || *text == ';' || *text == '#') {
        return;
    }
    const char *bad = control_character(text, len);
    if (bad != NULL) {
        config_errors_add(errors, from->file, number, "control character 0x%02x in the line; write plain text",
                          (unsigned char)*bad);
        return;
    }
    line_add(lines, from->file, number, text, len);
    struct file_line *added = &lines->items[lines->count - 1];
    const char *name = include_of(added->text);
    if (name != NULL) {
        char *kept = added->text;
        lines->count--; /* the include's own line makes way for the file's */
        file_include(lines, name, from, number, errors);
        free(kept);
    }
}

static void text_take(struct file_lines *lines, const struct open_file *from, const char *text, size_t len,
                      struct config_errors *errors)
{
    const char *end = text + len;
    int number = 0;

    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark */
        text += 3;
    }
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line_end = newline == NULL ? end : newline;
        line_take(lines, from, ++number, text, (size_t)(line_end - text), errors);
        text = line_end + 1;
    }
}

static bool already_open(const struct open_file *inner)
{
    for (const struct open_file *f = inner->outer; f != NULL; f = f->outer) {
        if (f->st.st_dev == inner->st.st_dev && f->st.st_ino == inner->st.st_ino) {
            return true;
        }
    }
    return false;
}

/* line: of the %include in the outer file, for errors about the file as a whole. */
static void file_read(struct file_lines *lines, struct open_file *open_file, struct config_errors *errors, int line)
{
    const char *blamed = open_file->outer == NULL ? open_file->file : open_file->outer->file;
    char why[256] = "";
    size_t len = 0;
    char *text = file_take(open_file->file, &open_file->st, &len, why, sizeof why);

    if (text == NULL) {
        config_errors_add(errors, blamed, line, "cannot read %s: %s; name a file that can be read", open_file->file,
                          why);
        return;
    }
    if (already_open(open_file)) {
        config_errors_add(errors, blamed, line, "%s includes itself; take the %%include out", open_file->file);
    } else {
        text_take(lines, open_file, text, len, errors);
    }
    free(text);
}

void file_lines_read(struct file_lines *lines, const char *file, struct config_errors *errors)
{
    memset(lines, 0, sizeof *lines);
    struct open_file outermost = {.file = file_name_keep(lines, file), .depth = 1};
    file_read(lines, &outermost, errors, 0);
}

void file_lines_free(struct file_lines *lines)
{
    for (size_t i = 0; i < lines->count; i++) {
        explicit_bzero(lines->items[i].text, strlen(lines->items[i].text)); /* may hold a password */
        free(lines->items[i].text);
    }
    for (size_t i = 0; i < lines->file_count; i++) {
        free(lines->files[i]);
    }
    free(lines->items);
    free(lines->files);
}
