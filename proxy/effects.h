/*
 * effects.h: the effects of replies (pool/expect.h): what a request was going to change, changes when it has been
 * answered, and not before.
 * Thread: worker.
 */
#ifndef SLUICE_EFFECTS_H
#define SLUICE_EFFECTS_H

#include "proxy/client.h"

/* The entry has been answered (done), or passed over by the server; what it holds is let go. */
void effect_apply(struct server *s, const struct expect *e, bool done);
/* The same, not done, for expect_fail; arg is the server. */
void effect_dropped(void *arg, const struct expect *e);
/* A description of rows has come (empty: NoData): the client's, which tells it their shape, or our own, which is to
 * match. */
void effect_row_shape(struct server *s, const struct expect *e, struct span row_description);
/* Settings that this batch RESETs: names behind each other, to their empty end. */
void effect_note_resets(struct server *s, const char *names);
/* The batch is over: what it RESET goes to the client's own values, after all that the server had to tell. */
void effect_settle_resets(struct server *s, struct client *c);

#endif
