/*
 * guest.c: see guest.h.
 * Thread: worker.
 */
#include "proxy/guest.h"

#include "proxy/routing.h"

#include <stdio.h>

/* On a replica these would be silently wrong: locks that nobody else sees, snapshots that cannot be taken up elsewhere,
 * deeds and files of another server, state that stays behind. */
#define REFUSED_REASONS ((uint32_t)REASON_ADVISORY | REASON_SNAPSHOT | REASON_ACTION | REASON_FILE | REASON_SEED)

#define ON_A_REPLICA " in a READ ONLY transaction on a replica"

static bool ends_block(const struct stmt *s)
{
    return s->kind == STMT_COMMIT || s->kind == STMT_ROLLBACK;
}

static const char *refuses_statement(struct client *c, const struct stmt *s)
{
    if (s->kind == STMT_EMPTY)
        return NULL;
    if (c->deferred.ended)
        return "nothing may follow the end" ON_A_REPLICA;
    c->deferred.ended = ends_block(s);
    if (c->deferred.ended && (s->flags & FACT_CHAIN))
        return "AND CHAIN is not possible" ON_A_REPLICA;
    if (c->server->tx == 'E')
        return NULL; /* the server has its words for it */
    if (s->reasons & REASON_ADVISORY)
        return "advisory locks are not possible" ON_A_REPLICA;
    if (s->reasons & REASON_SNAPSHOT)
        return "snapshots cannot be exported" ON_A_REPLICA;
    if (s->reasons & REFUSED_REASONS)
        return "what acts on the server itself is not possible" ON_A_REPLICA;
    if (s->kind == STMT_EXECUTE)
        return "EXECUTE is not possible" ON_A_REPLICA;
    return s->cursor_options & CURSOR_HOLD ? "cursors WITH HOLD are not possible" ON_A_REPLICA : NULL;
}

/* What nobody can read, the replica may refuse. */
static const char *refuses_shape(struct client *c, const struct shape *shape)
{
    const struct stmt_list *list = shape == NULL ? NULL : reading_of(shape)->list;
    const char *why = NULL;

    for (size_t i = 0; list != NULL && why == NULL && i < list->count; i++)
        why = refuses_statement(c, list->stmts[i]);
    return why;
}

static const char *refuses_text(struct client *c, const char *sql)
{
    return refuses_shape(c, statement_read(c, sql, strlen(sql)));
}

/* The unnamed statement or a named one, as far as it is known. */
static const char *refuses_bind(const struct sending *m)
{
    struct client *c = m->c;
    struct msg_bind bind;

    if (msgin_bind_head(sending_body(m), m->have == m->f->total, &bind) != PARSE_OK)
        return NULL;
    if (bind.name[0] == '\0')
        return c->unnamed == NULL ? NULL : refuses_text(c, (const char *)c->unnamed->body + 1);
    const struct client_stmt *st = client_stmts_find(&c->stmts, bind.name);
    return st == NULL || st->asked == NULL ? NULL : refuses_shape(c, statement_of_text(c, st->asked));
}

const char *guest_refuses(const struct sending *m)
{
    const uint8_t *body = m->p + FRAME_HEADER;

    if (m->s->tx == 'I' || m->c->again_on || buf_used(&m->c->again) > 0)
        return NULL; /* the first batch was read as a whole */
    switch (m->f->type) {
    case 'Q':
        if (m->have < m->f->total || m->p[m->have - 1] != '\0')
            return NULL;
        return refuses_text(m->c, (const char *)body);
    case 'B':
        return refuses_bind(m);
    case 'F':
        return "function calls by number are not possible" ON_A_REPLICA;
    default:
        return NULL;
    }
}

bool guest_moves(struct client *c, const char *sql)
{
    const struct shape *shape = sql == NULL ? NULL : statement_read(c, sql, strlen(sql));
    const struct stmt_list *list = shape == NULL ? NULL : reading_of(shape)->list;

    if (list == NULL || !ends_block(list->stmts[0]))
        return false;
    return list->count > 1 || (list->stmts[0]->flags & FACT_CHAIN) != 0;
}
