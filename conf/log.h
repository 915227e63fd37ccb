/*
 * log.h: one line a call, to stderr, a file and/or syslog, in PgBouncer's form:
 *   2026-01-31 12:00:00.000 UTC [pid] LEVEL text
 * or, on request, as a JSON object:
 *   {"time":"2026-01-31T12:00:00.000Z","pid":17,"level":"LOG","message":"text"}
 * Text goes through as given: callers never pass statement text or secrets.
 * Thread: any (a line is one write).
 */
#ifndef SLUICE_LOG_H
#define SLUICE_LOG_H

#include "conf/base.h"

enum log_level { LOG_FATAL_, LOG_ERROR_, LOG_WARN_, LOG_INFO_, LOG_DEBUG_, LOG_NOISE_ };

/* Opens the destinations; called at start and again by reload (a moved file is reopened). NULL or "" means none.
 * quiet: nothing to stderr. Returns 0, or -1 with the reason already written to stderr. Thread: control. */
int log_open(const char *file, bool to_syslog, const char *syslog_ident, const char *syslog_facility, bool quiet);

/* How much is written: 0 = up to INFO, 1 = DEBUG, 2 = NOISE. Thread: any (atomic). */
void log_verbosity(int verbose);

/* Lines are JSON from here on, or are not. Thread: any (atomic). */
void log_as_json(bool json);

extern int log_most_verbose; /* atomic */
static inline bool log_enabled(enum log_level level)
{
    return (int)level <= __atomic_load_n(&log_most_verbose, __ATOMIC_RELAXED);
}
void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The same with further members for the JSON object, as text: ,"name":value ... They are left out of other lines. */
void log_write_members(enum log_level level, const char *members, const char *fmt, ...) PRINTF_LIKE(3, 4);

#define log_fatal(...) log_write(LOG_FATAL_, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR_, __VA_ARGS__)
#define log_warn(...) log_write(LOG_WARN_, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO_, __VA_ARGS__)
#define log_debug(...) (log_enabled(LOG_DEBUG_) ? log_write(LOG_DEBUG_, __VA_ARGS__) : (void)0)

#endif
