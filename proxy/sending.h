/*
 * sending.h: one message of a client on its way to the server that it holds: what send.c (batches, queries) and
 * prepare.c (prepared statements) share.
 * Thread: worker.
 */
#ifndef SLUICE_SENDING_H
#define SLUICE_SENDING_H

#include "proxy/client.h"

struct sending {
    struct client *c;
    struct server *s;
    const struct frame *f;
    const uint8_t *p; /* the message, header included */
    bool begins;      /* it is the first of its batch */
    bool alone;       /* nothing that is here yet will leave with it */
    size_t have;      /* bytes of it that are there: f->total, or the head of a long one */
};

static inline struct span sending_body(const struct sending *m)
{
    return span_of(m->p + FRAME_HEADER, m->have - FRAME_HEADER);
}

/* Pushes the entry for the reply to what was just sent. */
static inline void sending_expect(const struct sending *m, enum expect_type type, enum expect_verdict verdict,
                                  enum expect_effect effect, void *arg)
{
    server_expect(m->s, type, verdict, effect, m->c->id, arg);
}

/* Sends the message as it is. */
void sending_raw(const struct sending *m);
/* True if a batch before the present one still has no ReadyForQuery. */
bool sending_after_others(const struct server *s);
/* What statements have that verb.h looks for: a text without it is not searched. */
#define SENDING_VERB_EFFECTS ((uint32_t)EFFECT_SETTING | EFFECT_PREPARED | EFFECT_DISCARD)
/* Notes the settings that a text RESETs; NULL if there are none. Consumed as the argument of EFFECT_RESET. */
char *sending_resets(const char *sql);

/* --- prepare.c --- */

void unnamed_stmt_change(struct unnamed_stmt **at, struct unnamed_stmt *to); /* where there is one */
/* Puts `to` (NULL: none) in the place of what *at holds. */
static inline void unnamed_stmt_set(struct unnamed_stmt **at, struct unnamed_stmt *to)
{
    if (*at != NULL || to != NULL)
        unnamed_stmt_change(at, to);
}
/* The client's unnamed statement is what this Parse says, and it was told so. */
void prepare_unnamed_take(struct client *c, struct span parse);
/* What else than text and types decides what a Parse of this text means: part of the key by which it is shared. */
uint64_t prepare_environment(const struct client *c, const char *sql);

/* --- prepare_take.c --- */

/* A Parse that no server has seen: its statement is the client's from now on. may: it could be, for all that is known;
 * untake: it is not, after all. */
bool prepare_may_take(struct client *c, const struct msg_parse *parse);
void prepare_take(struct client *c, struct span parse);
void prepare_untake(struct client *c, const char *name);

/* --- prepare.c --- */
/* After an error of the server: the unnamed statement is the last one that is still to be answered for, or what was
 * told. */
void prepare_unnamed_failed(struct client *c, struct server *s);
enum send_result prepare_parse(const struct sending *m);
enum send_result prepare_bind(const struct sending *m);
enum send_result prepare_describe(const struct sending *m);
enum send_result prepare_execute(const struct sending *m);
enum send_result prepare_close(const struct sending *m);
/* The text that a text of this shape runs: of EXECUTE of what the protocol has prepared, that one's; else sql, which
 * may be NULL. */
const char *prepare_text_run(const struct client *c, const struct shape *shape, const char *sql);
/* A Query that is DEALLOCATE of this name. False: the name means nothing here, the text goes as it is. */
bool prepare_deallocate(const struct sending *m, const char *name, enum send_result *result);
/* The statement that the client's last Bind took is forgotten: at the begin of a batch, and at its end. */
void prepare_unbind(struct client *c);

#endif
