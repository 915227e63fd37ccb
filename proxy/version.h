/*
 * version.h: what this program calls itself, and which PgBouncer its console speaks like.
 * Thread: immutable.
 */
#ifndef SLUICE_VERSION_H
#define SLUICE_VERSION_H

#define SLUICE_VERSION "0.1.0"
#define PGBOUNCER_VERSION "1.25.0"

#endif
