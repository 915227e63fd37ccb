/*
 * nested.h: numbers of types within values in binary format: those of an array's elements and of a composite value's
 * fields, which differ from shard to shard (oids.h). They are written anew in place, since they keep their length.
 *
 *   Bind (values of types that Parse declares)  ──> the shard's
 *   DataRow (of columns that RowDescription says to be of such types, in binary format) ──> the home shard's
 *
 * A client that knows how its rows look does not ask; so the portal is described ahead of Execute, and nobody is told.
 * What no type is declared for goes as it is: PostgreSQL refuses an array or composite value of other numbers.
 * Thread: worker.
 */
#ifndef SLUICE_NESTED_H
#define SLUICE_NESTED_H

#include "parser/msgin.h"
#include "proxy/oids.h"
#include "proxy/sending.h"

/* For nested_of_answer. */
void nested_take(struct server *s, uint8_t type, struct span body);
/* Of each message of a server, before anybody looks at it: what is in it and what it says (oids.h). `body` is in the
 * buffer that it was read into. */
static inline void nested_of_answer(struct server *s, uint8_t type, struct span body)
{
    if (UNLIKELY(s->nested != NULL) || (type == 'T' && oids_differ(s->pool->target->db)))
        nested_take(s, type, body);
    oids_of_answer(s->pool->target->db, type, body);
}
/* Its rows are to be seen whole. */
static inline bool nested_in_rows(const struct server *s)
{
    return s->nested != NULL;
}

/* Of a Bind of st (NULL: of what it names itself), which is there whole: what follows its names, as the server is to
 * get it; nothing, where that is what it has. Notes whether it wants rows in binary format. */
void nested_bind(const struct sending *m, const struct client_stmt *st, const struct msg_bind *bind, struct buf *out);
/* Ahead of an Execute. */
void nested_before_execute(const struct sending *m, const char *portal);

#endif
