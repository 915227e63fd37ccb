/*
 * clock.h: the monotonic time in microseconds, and the cached time of a worker's turn.
 * Thread: any.
 */
#ifndef SLUICE_CLOCK_H
#define SLUICE_CLOCK_H

#include <stdint.h>

typedef int64_t usec_t; /* microseconds; a point in monotonic time, or a span */

/* The monotonic clock, read now (one vDSO call). */
usec_t clock_now(void);

/* The wall clock in microseconds since the Unix epoch: for people (SHOW, log), never for deadlines. */
usec_t clock_wall(void);

#endif
