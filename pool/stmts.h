/*
 * stmts.h: protocol-level prepared statements under pooling (SEMANTICS C).
 *
 *   client: its own name "S_1" ──> stmt_text (shared, counted, immutable) <── server: "sluice_<hash>", least recently
 * used first out
 *
 * stmt_text is process-wide: equal (text, parameter types, environment) is one object and one server-side name.
 * A client_stmt or server_stmt knows two things apart: what the server has *told* (present, told) and what will be if
 * every request that is still under way succeeds (asked). What is asked may be relied on inside the batch that asked
 * for it; a later batch must wait until nothing is pending (stmt_certain).
 * Thread: stmt_text any (mutex in the table,
 * atomic counts); the sets belong to their worker.
 */
#ifndef SLUICE_STMTS_H
#define SLUICE_STMTS_H

#include "parser/bytes.h"

#define STMT_NAME_SIZE 40 /* "sluice_" + 32 hex digits + NUL */
/* PostgreSQL tells the names of statements apart by so many bytes (NAMEDATALEN less the NUL); so do a client's sets. */
#define STMT_NAME_BYTES 63

struct stmt_text {
    int refs; /* atomic */
    uint64_t key[2];
    struct stmt_text *chain; /* owned by the table's mutex */
    char name[STMT_NAME_SIZE];
    uint64_t environment;
    size_t sql_len;
    size_t types_len;
    uint8_t data[]; /* sql, NUL, types */
};

static inline const char *stmt_text_sql(const struct stmt_text *t)
{
    return (const char *)t->data;
}

static inline struct span stmt_text_types(const struct stmt_text *t)
{
    return span_of(t->data + t->sql_len + 1, t->types_len);
}

/* The one object for these; a reference is the caller's. environment: a hash of the settings that Parse depends on, the
 * database, its catalog generation. A text whose literals PostgreSQL evaluates at Parse ('now', 'today' ...) gets an
 * object of its own. */
struct stmt_text *stmt_text_intern(const char *sql, struct span types, uint64_t environment);
struct stmt_text *stmt_text_ref(struct stmt_text *t);
void stmt_text_unref(struct stmt_text *t); /* NULL is allowed */
/* How many there are, and their bytes: SHOW MEM. */
void stmt_text_usage(size_t *count, size_t *bytes);

/* True for a text with a literal that means another thing at another time. Conservative. Pure. */
bool stmt_text_is_momentary(const char *sql);

/* --- a server's --- */

struct server_stmt {
    struct stmt_text *text; /* counted */
    struct list lru_node;
    struct server_stmt *chain;
    bool present;     /* told */
    bool asked;       /* once everything pending succeeds */
    bool stale;       /* outdated by a schema change: closed and prepared anew at its next use */
    unsigned pending; /* requests under way that change it */
    uint64_t batch;   /* of the last request that changes or uses it */
    uint64_t shape;   /* of its rows, as this server describes them; 0: not yet known */
};

struct server_stmts {
    struct server_stmt **buckets; /* owned, NULL until first used */
    size_t bucket_count;
    size_t count;
    struct list lru; /* front: most recently used */
};

void server_stmts_init(struct server_stmts *s);
void server_stmts_free(struct server_stmts *s);
struct server_stmt *server_stmts_find(struct server_stmts *s, const struct stmt_text *t);
/* Finds or adds (not present). Moves it to the front. */
struct server_stmt *server_stmts_use(struct server_stmts *s, struct stmt_text *t, uint64_t batch);
/* The least recently used one that is present, has nothing pending and was not used by `batch`; NULL if count <= max.
 */
struct server_stmt *server_stmts_victim(struct server_stmts *s, size_t max, uint64_t batch);
/* A request under way came to its end: done with the new state, or dropped. Frees what is neither present nor pending.
 */
void server_stmt_settle(struct server_stmts *s, struct server_stmt *st, bool done, bool present);
/* DISCARD ALL, DEALLOCATE ALL: nothing is present any more. */
void server_stmts_clear(struct server_stmts *s);

/* --- a client's --- */

/* What a client knows of the rows of a statement. */
struct stmt_told {
    uint64_t shape; /* 0: nothing */
    bool described; /* it has asked */
    bool outdated;  /* on a server they were seen to have another shape: the statement can only be prepared anew */
};

struct client_stmt {
    char *name;              /* owned */
    struct stmt_text *told;  /* counted, NULL: no such statement */
    struct stmt_text *asked; /* counted */
    struct client_stmt *chain;
    unsigned pending; /* requests under way that change it */
    unsigned uses;    /* who else names it: expected replies, the client's last Bind */
    uint64_t batch;
    uint32_t version;       /* changes with its meaning */
    struct stmt_told about; /* by what is asked */
    struct stmt_told kept;  /* by what is told, while something is pending */
    bool changed;           /* something that was pending has succeeded */
    bool orphan;            /* no longer in its client's set; lives on for what is pending or in use */
};

struct client_stmts {
    struct client_stmt **buckets; /* owned, NULL until first used */
    size_t bucket_count;
    size_t count;
};

void client_stmts_free(struct client_stmts *s);
struct client_stmt *client_stmts_find(const struct client_stmts *s, const char *name);
struct client_stmt *client_stmts_add(struct client_stmts *s, const char *name); /* finds or adds */
/* One request that changes st came to its end: done with its text (NULL: closed), or dropped. `s` may be NULL for an
 * orphan. */
void client_stmt_settle(struct client_stmts *s, struct client_stmt *st, bool done, struct stmt_text *text);
/* Keeps st alive; each use is given back by client_stmt_unuse, which may free it. */
struct client_stmt *client_stmt_use(struct client_stmt *st);
void client_stmt_unuse(struct client_stmt *st); /* NULL is allowed */
void client_stmt_ask(struct client_stmt *st, struct stmt_text *text, uint64_t batch);
void client_stmts_clear(struct client_stmts *s);

/* What an expected reply carries as its argument for statements: a Parse, Close or DEALLOCATE of a client's name, of a
 * server's, or both. */
struct stmt_change {
    struct client_stmt *client; /* pending counted; may be NULL */
    struct server_stmt *server; /* pending counted; may be NULL */
    struct stmt_text *text;     /* counted; NULL: it goes away */
};

static inline bool client_stmt_certain(const struct client_stmt *st, uint64_t batch)
{
    return st->pending == 0 || st->batch == batch;
}

static inline bool server_stmt_certain(const struct server_stmt *st, uint64_t batch)
{
    return st->pending == 0 || st->batch == batch;
}

#endif
