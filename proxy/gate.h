/*
 * gate.h: nobody sees half of a transaction over several shards. Who reads from several of them takes all of its
 * snapshots while no such transaction stands between its first COMMIT and its last; who commits waits for those that
 * are taking theirs. First come, first served, so that neither waits for ever; a database has one gate for all workers.
 *
 *   readers ───take snapshots───>│          readers and commits may be many, but never both at once
 *   commits                      │───COMMIT ... COMMIT PREPARED───>
 *
 * A database in which nothing was committed over several shards yet has no such reads to protect (gate_is_used): until
 * then its readers may use replicas, whose snapshots nobody can bring together, and are waited for to their end once.
 * Source: SHARDS 2 (README.md, "Shards").
 * Thread: worker, but for gate_commit_over: any.
 */
#ifndef SLUICE_GATE_H
#define SLUICE_GATE_H

#include "proxy/worker.h"

struct gate;

/* True: it is in. False: gather_admitted, joint_admitted, or commit_admitted of the arm's commit, is called in this
 * worker for the client of that id, unless it is gone by then. */
bool gate_read(struct database_state *db, struct worker *w, uint64_t client_id);
bool gate_commit(struct database_state *db, struct worker *w, uint64_t client_id);
/* True: it is in. False: it would have to wait. */
bool gate_read_now(struct database_state *db);
void gate_read_over(struct database_state *db);
void gate_commit_over(struct database_state *db);
/* Something was committed over several shards since the process began. */
bool gate_is_used(const struct database_state *db);
/* Somebody would be let in if others were not. */
bool gate_is_waited_for(struct database_state *db);
void gate_free(struct gate *g);

#endif
