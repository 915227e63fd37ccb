/*
 * draw.h: keys for rows that come without them, of tables with sequence=home: drawn from the first shard's sequence in
 * blocks, by control, for all clients of the database; the rows then lie where their keys say.
 *
 *   draw_keys ──(none left)──> control ──> first shard: nextval, nextval, ... ──> stock ──> workers look again
 *       ├──(there are some)──> the client's own, the same ones until its statement runs (draw_used)
 *       └──(its own transaction keeps others from the sequence)──> that one's server: nextval, nextval, ...
 *
 * As of a sequence with CACHE, what is drawn is not given back. What a client does to the sequence itself (setval,
 * RESTART) empties the stock once it is done.
 * Thread: worker, but for draw_free.
 */
#ifndef SLUICE_DRAW_H
#define SLUICE_DRAW_H

#include "proxy/client.h"
#include "shard/map.h"

/* Keys that a client has drawn for its statement. */
struct drawn;

struct draw_answer {
    const char *const *keys; /* as the server writes them; valid until the client's next call; NULL: see error */
    const char *error;       /* "": they are being drawn: to be asked again when the worker has news */
    bool is_own;             /* nobody but the client's own transaction can draw them, which has locked the sequence */
};

#define DRAWS_ANEW 1 /* what was drawn before is not to be used */
#define DRAWS_OWN 2  /* its transaction may have locked sequences */

/* So many keys for rows of that table. */
struct draw_answer draw_keys(struct client *c, const struct map_table *t, uint32_t count);
/* ... where that is not asked for them. */
extern const char draw_own_refusal[], draw_own_hint[];
/* Keys that are the client's own transaction's to draw: what the first shard is asked in it, for the first column of
 * its one row. Owned by the caller; NULL: there are none. */
char *draw_own_question(const struct client *c);
void draw_own_take(struct client *c, const char *answer);
/* The statement that they were drawn for runs. */
void draw_used(struct client *c);
void drawn_free(struct drawn *d); /* NULL is nothing */

/* A statement that was sent may set the sequences anew. */
void draw_note(struct client *c, const struct stmt *s);
/* All that was sent has been answered, or the transaction is over. */
void draw_reset(struct client *c);
static inline void draw_settle(struct client *c)
{
    if (UNLIKELY(c->draws_anew))
        draw_reset(c);
}

/* The workers are gone. */
void draw_free(void);

#endif
