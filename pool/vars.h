/*
 * vars.h: a session's settings as an immutable, counted set of (name, value): what a client wants, what a server has.
 * Sets are shared freely between clients, servers and threads; a change makes a new set.
 * Two kinds of names: *reported* ones, whose canonical value the server tells (ParameterStatus), and others
 * (search_path, statement_timeout ...), for which the set holds what was asked for. Names compare without case, as in
 * PostgreSQL.
 * Thread: any (immutable, atomic count).
 */
#ifndef SLUICE_VARS_H
#define SLUICE_VARS_H

#include "parser/bytes.h"

/* As a value of statement_timeout, with a number behind it: so many milliseconds, or the server's default if that is
 * less. */
#define VARS_AT_MOST "at most "

struct var {
    char *name;
    char *value;
    bool reported; /* the server tells of changes by itself */
};

struct vars {
    int refs; /* atomic */
    uint64_t hash;
    bool standard_strings; /* standard_conforming_strings is on */
    bool placeholders;     /* it has a setting with a name of two parts ("app.user") */
    bool lexable;          /* in client_encoding a byte below 0x80 is always a character of its own */
    bool utf8;             /* client_encoding */
    bool serializable;     /* default_transaction_isolation */
    bool reads_only;       /* default_transaction_read_only is on */
    const char *route;     /* value of sluice.route; NULL: it has none */
    const char *shard;     /* ... of sluice.shard */
    const char *key;       /* ... of sluice.key */
    int64_t run_limit_us;  /* of sluice.timeout; 0: none */
    size_t count;
    struct var v[];
};

/* An empty set. One reference is the caller's, as with every function here that returns a set. */
struct vars *vars_new(void);
struct vars *vars_ref(struct vars *v);
void vars_unref(struct vars *v); /* NULL is allowed */

/* The value, or NULL. */
const char *vars_get(const struct vars *v, const char *name);
/* The name as the set spells it; NULL if it is not in it. */
const char *vars_name(const struct vars *v, const char *name);
/* True if the set names it, as a setting of which the server tells changes. */
bool vars_is_reported(const struct vars *v, const char *name);
/* A set like v with name = value (value NULL: without it). Consumes the caller's reference to v. */
struct vars *vars_with(struct vars *v, const char *name, const char *value, bool reported);
bool vars_equal(const struct vars *a, const struct vars *b);

/* True for what SET can change; server_version and its like can only be told. */
bool var_settable(const char *name);
/* True for settings that make a difference to how a statement is read. */
bool var_matters_to_parse(const char *name);
/* A hash of those: part of a prepared statement's key. */
uint64_t vars_parse_hash(const struct vars *v);

/* True of what says as whom the session acts. PostgreSQL reports session_authorization and is_superuser; the role has
 * to be asked. */
bool vars_is_identity(const char *name);
/* Appends to sql the SET and RESET commands that bring a server that has `have` to what `want` says; returns how many.
 * A setting that only `have` names is RESET if it is not a reported one. Settings are made as who logged in, of which
 * `login` tells: the role that is acted as may not be allowed to. */
unsigned vars_difference(const struct vars *have, const struct vars *want, const struct vars *login, struct buf *sql);
/* Appends a literal that reads the same under either value of standard_conforming_strings. */
void vars_put_literal(struct buf *sql, const char *value);
/* Appends a quoted identifier; at each `separator` another one begins ('\0': at none). */
void vars_put_name(struct buf *sql, const char *name, char separator);
/* What have becomes by that. */
struct vars *vars_after_difference(const struct vars *have, struct vars *want);

/* The startup parameter "options" ("-c name=value --name=value", backslash escapes as PostgreSQL's pg_split_opts).
 * Calls each for every setting; returns false if a word is no such switch (*bad: the word, in scratch owned by the
 * caller). */
typedef void vars_option_fn(void *arg, const char *name, const char *value);
bool vars_parse_options(const char *options, vars_option_fn *each, void *arg, char *bad, size_t bad_size);

/* A text of 64-bit mixing used for sets and keys. */
uint64_t hash_bytes(uint64_t seed, const void *p, size_t len);

/* A value of sluice.timeout: a time as statement_timeout takes it, or nothing (*us: 0). False: it is none. */
bool vars_run_limit(const char *text, int64_t *us);

/* A time setting as PostgreSQL writes it ("5s", "250", "1min", "0") in microseconds; -1 if it is none. */
int64_t vars_time_usec(const char *text);

#endif
