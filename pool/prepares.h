/*
 * prepares.h: statements that SQL's PREPARE has made, by their names: those of a session, and those that stand on a
 * server. The protocol's own are stmts.h's.
 * Thread: worker (each set has one owner).
 */
#ifndef SLUICE_PREPARES_H
#define SLUICE_PREPARES_H

#include "parser/bytes.h"

struct prepare {
    char *name;     /* owned */
    char *text;     /* owned: of the whole PREPARE command */
    uint64_t owner; /* on a server: id of the client whose it is; 0: of one that has left */
    uint64_t shape; /* of its rows, when PREPARE made it or as this server describes them; 0: not known, or none */
    bool differs;   /* on a server: asked just now, it has another shape than the session's */
};

/* Of one alone: copies name and text (NULL: none). */
struct prepare *prepare_new(const char *name, const char *text, uint64_t owner);
void prepare_free(struct prepare *p);

struct prepares {
    struct prepare *v; /* owned */
    size_t count;
    size_t size;
};

/* The statement, borrowed until the set changes; NULL: there is none of that name. */
const struct prepare *prepares_find(const struct prepares *p, const char *name);
/* Adds it, or puts it in the place of one of that name; its shape is not known. Copies name and text. */
void prepares_put(struct prepares *p, const char *name, const char *text, uint64_t owner);
/* Notes the shape of its rows, if it is there. */
void prepares_describe(struct prepares *p, const char *name, uint64_t shape, bool differs);
/* Takes it out, if it is there. */
void prepares_drop(struct prepares *p, const char *name);
void prepares_free(struct prepares *p);

#endif
