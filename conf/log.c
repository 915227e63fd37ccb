/*
 * log.c: see log.h. A line is built whole and written by one write, so that lines of several threads never mix.
 * Invariant: once the log's file has a descriptor, that number stays the log's for ever: another file (or /dev/null) is
 * put behind it by dup3, so that a thread which writes at that moment never writes to a stranger's descriptor.
 * Control characters in a line become blanks: a client's name cannot forge a line.
 * Thread: any (log_open: control).
 */
#include "conf/log.h"

#include "conf/clock.h"
#include "conf/json.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE_BYTES 2048 /* a longer line takes an allocation */

static const struct {
    const char *name;
    int syslog_priority;
} levels[] = {
    [LOG_FATAL_] = {"FATAL", LOG_CRIT}, [LOG_ERROR_] = {"ERROR", LOG_ERR},   [LOG_WARN_] = {"WARNING", LOG_WARNING},
    [LOG_INFO_] = {"LOG", LOG_INFO},    [LOG_DEBUG_] = {"DEBUG", LOG_DEBUG}, [LOG_NOISE_] = {"NOISE", LOG_DEBUG},
};

static const struct {
    const char *name;
    int facility;
} facilities[] = {
    {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"daemon", LOG_DAEMON}, {"user", LOG_USER},
    {"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1},     {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3},
    {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5},     {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7},
};

static atomic_int log_fd = -1;
static atomic_bool log_to_file = false;
static atomic_bool log_to_stderr = true;
static atomic_bool log_to_syslog = false;
static atomic_bool as_json = false;
int log_most_verbose = LOG_INFO_;
static char *ident_kept; /* syslog borrows it */

/* Puts path behind the log's descriptor. Returns 0, or -1 with errno. */
static int file_attach(const char *path)
{
    int fresh = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
    int kept = log_fd;

    if (fresh < 0) {
        return -1;
    }
    if (kept < 0) {
        log_fd = fresh;
        return 0;
    }
    int rc = dup3(fresh, kept, O_CLOEXEC);
    close(fresh);
    return rc < 0 ? -1 : 0;
}

static int file_open(const char *path)
{
    if (path == NULL || *path == '\0') {
        log_to_file = false;
        return log_fd < 0 ? 0 : file_attach("/dev/null"); /* lets go of the old file */
    }
    if (file_attach(path) != 0) {
        return -1;
    }
    log_to_file = true;
    return 0;
}

static int facility_find(const char *name)
{
    for (size_t i = 0; name != NULL && i < ARRAY_LEN(facilities); i++) {
        if (strcmp(facilities[i].name, name) == 0) {
            return facilities[i].facility;
        }
    }
    return LOG_DAEMON;
}

static void syslog_open(bool wanted, const char *ident, const char *facility)
{
    char *ident_old = ident_kept;

    if (wanted) {
        ident_kept = mem_strdup(ident != NULL && *ident != '\0' ? ident : "sluice");
        openlog(ident_kept, LOG_PID, facility_find(facility));
        free(ident_old); /* only now: openlog has let go of it */
    }
    log_to_syslog = wanted;
}

int log_open(const char *file, bool to_syslog, const char *syslog_ident, const char *syslog_facility, bool quiet)
{
    if (file_open(file) != 0) {
        fprintf(stderr, "cannot open the log file %s: %s\n", file == NULL ? "" : file, strerror(errno));
        return -1;
    }
    syslog_open(to_syslog, syslog_ident, syslog_facility);
    log_to_stderr = !quiet;
    return 0;
}

void log_verbosity(int verbose)
{
    __atomic_store_n(&log_most_verbose, LOG_INFO_ + MAX(0, MIN(verbose, LOG_NOISE_ - LOG_INFO_)), __ATOMIC_RELAXED);
}

void log_as_json(bool json)
{
    as_json = json;
}

/* "2026-01-31 12:00:00.000 UTC [pid] LEVEL "; returns its length. */
static size_t prefix_print(enum log_level level, char *out, size_t size)
{
    usec_t now = clock_wall();
    time_t seconds = (time_t)(now / USEC_PER_SEC);
    struct tm tm;
    char day[32], zone[16];

    localtime_r(&seconds, &tm);
    strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S", &tm);
    strftime(zone, sizeof zone, "%Z", &tm);
    return (size_t)snprintf(out, size, "%s.%03d %s [%d] %s ", day, (int)(now / USEC_PER_MSEC % 1000), zone,
                            (int)getpid(), levels[level].name);
}

static void write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return; /* a full disk must not stop the program, and there is nowhere to say so */
        }
        bytes += n;
        len -= (size_t)n;
    }
}

/* line is prefix (JSON: none) and text and has room for a newline at len. */
static void line_emit(enum log_level level, char *line, size_t prefix_len, size_t len)
{
    for (size_t i = prefix_len; i < len; i++) {
        if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) {
            line[i] = ' ';
        }
    }
    if (log_to_syslog) {
        line[len] = '\0';
        syslog(levels[level].syslog_priority, "%s%s%s", prefix_len == 0 ? "" : levels[level].name,
               prefix_len == 0 ? "" : " ", line + prefix_len);
    }
    line[len] = '\n';
    if (log_to_file) {
        write_all(log_fd, line, len + 1);
    }
    if (log_to_stderr) {
        write_all(STDERR_FILENO, line, len + 1);
    }
}

/* A line in PgBouncer's form. errno is as it was, for %m. */
static void write_text(enum log_level level, const char *fmt, va_list args)
{
    char fixed[LINE_SIZE_BYTES];
    char *line = fixed;
    int errno_kept = errno;
    va_list again;

    va_copy(again, args);
    size_t prefix_len = prefix_print(level, fixed, sizeof fixed);
    errno = errno_kept;
    int text_len = vsnprintf(fixed + prefix_len, sizeof fixed - prefix_len, fmt, args);
    size_t len = prefix_len + (size_t)MAX(text_len, 0);
    if (len >= sizeof fixed) {
        line = mem_alloc(len + 1);
        memcpy(line, fixed, prefix_len);
        errno = errno_kept;
        vsnprintf(line + prefix_len, len + 1 - prefix_len, fmt, again);
    }
    line_emit(level, line, prefix_len, len);
    if (line != fixed) {
        free(line);
    }
    va_end(again);
}

/* "2026-01-31T12:00:00.000Z" */
static void time_print(char *out, size_t size)
{
    usec_t now = clock_wall();
    time_t seconds = (time_t)(now / USEC_PER_SEC);
    struct tm tm;
    char day[32];

    gmtime_r(&seconds, &tm);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, size, "%s.%03dZ", day, (int)(now / USEC_PER_MSEC % 1000));
}

static char *text_print(const char *fmt, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, fmt, args) < 0) {
        text = mem_strdup(fmt);
    }
    return text;
}

static void write_json(enum log_level level, const char *members, const char *fmt, va_list args)
{
    char *text = text_print(fmt, args);
    size_t size = json_string(text, strlen(text), NULL, 0) + 1;
    char *message = mem_alloc(size);
    char time_text[64];

    json_string(text, strlen(text), message, size);
    time_print(time_text, sizeof time_text);
    char *line = mem_printf("{\"time\":\"%s\",\"pid\":%d,\"level\":\"%s\",\"message\":%s%s}\n", time_text,
                            (int)getpid(), levels[level].name, message, members);
    line_emit(level, line, 0, strlen(line) - 1);
    free(line);
    free(message);
    free(text);
}

static void write_line(enum log_level level, const char *members, const char *fmt, va_list args)
{
    int errno_kept = errno;

    if (as_json) {
        write_json(level, members, fmt, args);
    } else {
        write_text(level, fmt, args);
    }
    errno = errno_kept;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    va_list args;

    if (!log_enabled(level)) {
        return;
    }
    va_start(args, fmt);
    write_line(level, "", fmt, args);
    va_end(args);
}

void log_write_members(enum log_level level, const char *members, const char *fmt, ...)
{
    va_list args;

    if (!log_enabled(level)) {
        return;
    }
    va_start(args, fmt);
    write_line(level, members, fmt, args);
    va_end(args);
}
