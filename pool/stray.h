/*
 * stray.h: Syncs that came in the middle of a COPY FROM. PostgreSQL takes no notice of those that it reads while it
 * copies; but where the COPY fails, by a row or by a cancel request, those that it reads afterwards are answered, each
 * by a ReadyForQuery. Nobody here can know which: there is no entry for them (expect.h). What tells them is that they
 * are bare: an answer to anything but a Sync has something ahead of its ReadyForQuery. All have come when the first
 * answer to what was sent behind them comes; until then nobody else is given the server.
 *
 *   COPY ... Sync, Sync ──error──> E Z │ Z (stray) │ C Z (what was asked next)
 *
 * Source: PostgreSQL documentation, Message Flow, COPY Operations.
 * Thread: worker.
 */
#ifndef SLUICE_STRAY_H
#define SLUICE_STRAY_H

#include "pool/pool.h"

/* So many came while s copies. */
void stray_note(struct server *s, unsigned count);
/* A message of s, where there may be some. True: it is a ReadyForQuery that answers one of them. */
bool stray_take(struct server *s, uint8_t type, struct span body);
/* Nothing is expected of s, and all that it is to be asked before they are over can be. */
bool stray_is_due(const struct server *s);

#endif
