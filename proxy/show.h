/*
 * show.h: what SHOW shows. Each view is a row of show.def: its columns, who fills it, and, where it tells of workers'
 * own things, who gathers them there.
 *
 *   show_start ──> [collect in every worker's thread ──>] print in control's thread ──> finished
 *
 * Thread: control, but for the functions show_collect_*: worker.
 */
#ifndef SLUICE_SHOW_H
#define SLUICE_SHOW_H

#include "proxy/client.h"

/* Sums that every worker counts for LISTS and MEM. */
enum show_number {
    NUMBER_USED_CLIENTS,
    NUMBER_LOGIN_CLIENTS,
    NUMBER_FREE_CLIENTS,
    NUMBER_FREE_SERVERS,
    NUMBER_USED_SERVERS,
    NUMBER_CONSOLES,
    NUMBER_SHAPES,
    NUMBER_SHAPE_BYTES,
    SHOW_NUMBERS
};

struct show_view;
struct pool_counts;

struct show {
    const struct show_view *view;
    struct buf out; /* the answer: rows, and at the end CommandComplete */
    void (*finished)(struct show *s);
    const char *order_by; /* STATEMENTS: a column; borrowed, NULL: the usual one */
    unsigned limit;       /* STATEMENTS, SLOW_QUERIES, ACTIVE_QUERIES: rows; 0: all */
    /* each worker writes only at its own index: */
    struct buf rows[WORKERS_MAX];
    int64_t numbers[WORKERS_MAX][SHOW_NUMBERS];
    struct pool_counts *pools[WORKERS_MAX]; /* owned, by target index */
    int pool_count[WORKERS_MAX];
};

struct show_view {
    const char *name;
    const struct msg_column *columns;
    size_t column_count;
    void (*collect)(struct worker *w, void *show); /* NULL: nothing of the workers */
    void (*print)(struct show *s);
};

/* By its name in any case, or NULL. */
const struct show_view *show_find(const char *name);
const struct show_view *show_view_at(size_t i); /* NULL behind the last */

/* s is zeroed memory. finished may be called before this returns. */
void show_start(struct show *s, const struct show_view *view, void (*finished)(struct show *s));
void show_free(struct show *s);

/* --- for the parts show_*.c --- */

size_t show_row(struct buf *b, const struct show *s); /* begins a row with the view's columns; msg_end ends it */
/* "2026-01-31 12:00:00 UTC" of a point in monotonic time. */
void show_time(struct buf *b, usec_t at, usec_t now);
int64_t show_number(const struct show *s, enum show_number which); /* over all workers */
/* How many users and databases are known: rows of SHOW USERS, SHOW DATABASES. */
size_t show_user_count(void);
size_t show_database_count(void);
/* The number that SHOW CLIENTS gives a client, which KILL_CLIENT takes; 0: it has none. */
int32_t show_client_id(const struct client *c);
/* Thread: worker. The client of that number, if it is this worker's, or NULL. */
struct client *show_client_find(struct worker *w, int64_t id);

/* STATEMENTS can be ordered by this column. */
bool show_statements_can_order(const char *column);

#define VIEW(id, name, collect, print)                                                                                 \
    void collect(struct worker *w, void *show);                                                                        \
    void print(struct show *s);
#define COLUMN(name, type)
#define VIEW_END
#include "proxy/show.def"
#undef VIEW
#undef COLUMN
#undef VIEW_END

#endif
