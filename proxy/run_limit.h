/*
 * run_limit.h: how long a single statement may run: what a comment says, else sluice.timeout. active.c ends what runs
 * for longer.
 *
 *   comment "sluice: timeout=5s"  >  SET [LOCAL] sluice.timeout in this transaction  >  the session's sluice.timeout
 *
 * Thread: worker.
 */
#ifndef SLUICE_RUN_LIMIT_H
#define SLUICE_RUN_LIMIT_H

#include "proxy/sending.h"

/* Of a statement of this shape (NULL: not known), sent now; 0: as long as it takes. */
usec_t run_limit_of(struct client *c, const struct shape *shape);
/* A statement is sent that may say otherwise for what follows it in its transaction. */
void run_limit_note(struct client *c, const struct shape *shape);
/* It says what is no time: what the client is told. NULL: it does not. */
struct refusal_text *run_limit_refuses(struct client *c, const struct stmt_list *list);

/* The transaction is over, or lost. */
static inline void run_limit_forget(struct client *c)
{
    c->block_limit = -1;
}

#endif
