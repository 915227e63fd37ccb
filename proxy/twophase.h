/*
 * twophase.h: transactions over several shards, beside their commit itself: their names, and what becomes of those that
 * nobody has ended. The commit is commit.h's; this is what it, or a process that is no more, leaves to control.
 *
 *   claim on L ─> PREPARE elsewhere ─> COMMIT on L: decided ─> COMMIT PREPARED elsewhere ─> over: L's row goes
 *         └────────────┴──────────────────┴────── somebody is lost ─────> in doubt ─> resolve
 *
 *   resolve: control adds L's row itself, and takes it back. It could: whoever has claimed is dead, and can never
 *   commit: ROLLBACK PREPARED. It is there already: COMMIT PREPARED. Somebody holds it: he lives, and is left alone.
 *
 * L is the shard whose COMMIT decides (the "home shard" of that transaction). A transaction's name (gid) tells L by
 * what sluice.shard says of it, not by its number.
 * Source: SHARDS 3; README.md, "Shards".
 * Thread: as each function says.
 */
#ifndef SLUICE_TWOPHASE_H
#define SLUICE_TWOPHASE_H

#include "proxy/client.h"

#define TWOPHASE_GID_PREFIX "sluice:1:"
#define TWOPHASE_NAME_SIZE 150     /* of a shard, with its NUL: longer ones are refused when the file is read */
#define TWOPHASE_GID_SIZE 192      /* of a transaction, with its NUL */
#define TWOPHASE_PREPARED_SIZE 200 /* of its part on a shard: as PostgreSQL has it */
#define TWOPHASE_SECRET_SIZE 33    /* in hexadecimal digits, with its NUL */

enum twophase_outcome { TWOPHASE_COMMITTED, TWOPHASE_ABORTED, TWOPHASE_UNKNOWN };

/* "store/s2": what sluice.shard says that a shard is; of a database whose map is known. Thread: worker. */
void twophase_name(const struct database_state *db, uint32_t shard, char name[TWOPHASE_NAME_SIZE]);
/* The name of a new transaction whose COMMIT on that shard will decide; no other one ever has it. Everybody can read it
 * in pg_prepared_xacts; who claims it says the secret that it was made of (sluice.claim). Thread: worker. */
void twophase_gid(const struct database_state *db, uint32_t home_shard, char gid[TWOPHASE_GID_SIZE],
                  char secret[TWOPHASE_SECRET_SIZE]);
/* The statement that claims it, of a client on its home shard; parts: where it is to be prepared. Thread: worker. */
void twophase_put_claim(const struct database_state *db, const char *gid, const char *secret, uint64_t parts,
                        struct buf *sql);
/* What its part on a shard is prepared as: PREPARE TRANSACTION, COMMIT PREPARED and ROLLBACK PREPARED there name this.
 * Shards may be databases of one server, where such names are unique. Thread: any. */
void twophase_prepared(const char *gid, uint32_t shard, char prepared[TWOPHASE_PREPARED_SIZE]);

/* Every COMMIT PREPARED of gid was acknowledged: its row on L is deleted, some time. Thread: worker. */
void twophase_over(struct worker *w, struct database_state *db, uint32_t home_shard, const char *gid);
/* Something of gid may be left: the answer to a PREPARE, COMMIT PREPARED or ROLLBACK PREPARED is lost, or a shard is
 * down. Control ends it as soon as it can. decided: where it is still prepared while it is known to be committed:
 * clients get no server there until it is ended. gated: half of it may be seen, and its place in the gate (gate.h) is
 * given up by control, after commit_wait at the latest. Thread: worker. */
void twophase_doubt(struct database_state *db, const char *gid, uint64_t decided, bool gated);

/* Clients get no server of these shards; they do again. For as long as a commit is seen on one and not on others.
 * Thread: worker. */
void twophase_close(const struct database_state *db, uint64_t shards);
void twophase_reopen(const struct database_state *db, uint64_t shards);

typedef void twophase_told(struct client *c, const char *gid, enum twophase_outcome outcome);
/* The answer to COMMIT on L is lost: was it committed? told is called in c's worker, unless c is gone by then; within
 * commit_wait, or with UNKNOWN. Thread: worker. */
void twophase_ask(struct client *c, struct database_state *db, uint32_t home_shard, const char *gid,
                  twophase_told *told);

/* --- control's --- */

/* Before a primary is published: nobody gets a server of it until it was looked at. */
void twophase_primary(const struct cluster *c);
/* Once a second. */
void twophase_tick(usec_t now);
void twophase_free(void);

#endif
