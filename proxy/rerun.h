/*
 * rerun.h: batches that may have to be run again, and are kept until that is known.
 *
 *   c->replay   rests on prepared statements, which may be outdated: on the same server, with a real Parse
 *   c->again    is a replica's, which may refuse it, or follows settings that may be refused: on the primary, or on
 *               another server; what has come for it is held back, or dropped (c->again_on)
 *
 * Source: SEMANTICS C3, E7 (README.md, "Prepared statements", "Routes").
 * Thread: worker.
 */
#ifndef SLUICE_RERUN_H
#define SLUICE_RERUN_H

#include "proxy/client.h"

/* The batch that c is sending rests on prepared statements. */
void rerun_keep_prepared(struct client *c, const uint8_t *batch, size_t len);
/* It is a replica's: its answer is held back until it is certain. */
void rerun_keep_guests(struct client *c, const uint8_t *batch, size_t len);

/* The first on the server that c has. */
void rerun_prepared(struct client *c);
/* What a server has answered of its batch is dropped: the primary gets it, ahead of what the client has sent since. */
void rerun_on_primary(struct client *c);
/* Settings that went ahead of its batch were refused, and are dropped: the batch is sent again. False: s is gone. */
bool rerun_without_settings(struct client *c, struct server *s);

#endif
