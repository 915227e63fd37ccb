/*
 * cursor.c: see cursor.h.
 * Thread: worker.
 */
#include "proxy/cursor.h"

#include "parser/lex.h"
#include "proxy/statements.h"

#include <strings.h>

const char *cursor_bars(const struct stmt *s, const char **hint)
{
    if (s == NULL || s->kind != STMT_DECLARE)
        return NULL;
    *hint = "Declare it without HOLD, in a transaction, or give the key of each table.";
    if (s->cursor_options & CURSOR_HOLD)
        return "a cursor WITH HOLD is kept by one server, and its rows lie on more than one shard";
    *hint = "Declare it NO SCROLL, and fetch forward.";
    if (s->cursor_options & CURSOR_SCROLL)
        return "a cursor over several shards goes forward only";
    *hint = "Lock the rows by a statement of its own, or give the key of each table.";
    if (s->body != NULL && s->body->row_lock != 0)
        return "a cursor over several shards locks no rows";
    return NULL;
}

/* Behind FOR, which no name is without quotes. */
static size_t behind_for(const char *sql, unsigned lex_flags)
{
    struct lexer l;
    struct token t;

    lex_init(&l, sql, strlen(sql), lex_flags);
    do
        lex_next_plain(&l, &t);
    while (t.kind != TOKEN_END && t.kind != TOKEN_ERROR &&
           !(t.kind == TOKEN_WORD && t.len == 3 && strncasecmp(sql + t.start, "for", 3) == 0));
    lex_next_plain(&l, &t);
    return t.kind == TOKEN_END || t.kind == TOKEN_ERROR ? 0 : t.start;
}

size_t cursor_select(const struct stmt *s, const char *sql, unsigned lex_flags)
{
    const char *hint;

    if (s == NULL || s->kind != STMT_DECLARE || s->name == NULL || s->body == NULL || s->body->kind != STMT_SELECT ||
        cursor_bars(s, &hint) != NULL)
        return 0;
    return behind_for(sql, lex_flags);
}

const struct request *cursor_request(struct client *c, const struct request *q, struct request *select)
{
    const struct stmt *s = request_stmt(q);
    size_t at = cursor_select(s, q->run.sql, client_lex_flags(c));

    if (at == 0)
        return q;
    struct shape *whole = (struct shape *)(uintptr_t)q->run.shape;
    *select = *q;
    select->run.sql = q->run.sql + at;
    select->cursor = s->name;
    select->binary = (s->cursor_options & CURSOR_BINARY) != 0;
    select->declared = &q->run;
    cache_hold(whole); /* what is read next may take its place */
    select->run.shape = statement_recall(c, select->run.sql, strlen(select->run.sql));
    bool dropped = whole->dropped;
    cache_release(&c->worker->statements.cache, whole);
    return dropped || request_stmt(select) == NULL || request_stmt(select)->kind != STMT_SELECT ? q : select;
}

bool cursor_wish(const struct stmt *s, struct cursor_wish *w)
{
    *w = (struct cursor_wish){.verb = s->kind == STMT_FETCH  ? CURSOR_FETCH
                                      : s->kind == STMT_MOVE ? CURSOR_MOVE
                                                             : CURSOR_CLOSE};
    if (w->verb == CURSOR_CLOSE)
        return true;
    if (s->direction != FETCH_FORWARD || s->fetch_count <= 0)
        return false;
    w->rows = s->fetch_count >= UINT32_MAX ? 0 : (uint32_t)s->fetch_count;
    return true;
}
