/*
 * fate.h: how things end: one row of fate.def each, so that every ending has its SQLSTATE, its words, its log line and
 * its counter, and a known consequence for the server.
 * Thread: worker.
 */
#ifndef SLUICE_FATE_H
#define SLUICE_FATE_H

#include "proxy/client.h"

enum fate {
#define FATE(id, severity, sqlstate, level, counter, server, text) FATE_##id,
#include "proxy/fate.def"
#undef FATE
    FATE_COUNT
};

/* The client meets f; the arguments are those of the row's text. A FATAL fate ends its connection, an ERROR leaves it:
 * the caller drops what is left of the batch. */
void fate_meet(struct client *c, enum fate f, ...);
/* The same with a server's own SQLSTATE. */
void fate_meet_as(struct client *c, enum fate f, const char *sqlstate, ...);

#endif
