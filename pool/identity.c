/*
 * identity.c: see identity.h.
 * Thread: worker.
 */
#include "pool/identity.h"

#include "parser/msgout.h"

#include <stdio.h>

#define QUESTION                                                                                                       \
    "SELECT pg_catalog.format('shard %s of %s of \"%s\", map %s', shard, shards, database, map) FROM sluice.shard"

static enum identity wrong(struct server *s, const char *text)
{
    snprintf(s->sqlstate, sizeof s->sqlstate, "F0000");
    snprintf(s->why, sizeof s->why, "%s", text);
    return IDENTITY_WRONG;
}

enum identity identity_of(struct server *s, const struct config_database *d)
{
    if (d == NULL || d->identity == NULL || s->replication || s->identity_right)
        return IDENTITY_RIGHT;
    if (s->identity_asked)
        return wrong(s, "sluice.shard of this server has no row");
    s->identity_asked = true;
    msg_query(&s->conn.out, QUESTION);
    conn_touch(&s->conn);
    return IDENTITY_ASKED;
}

enum identity identity_row(struct server *s, const struct config_database *d, struct span body)
{
    const char *wanted = d == NULL || d->identity == NULL ? "" : d->identity;
    struct reader r = reader_of(body.ptr, body.len);
    uint16_t columns = reader_u16(&r);
    uint32_t len = reader_u32(&r);
    struct span is = reader_bytes(&r, len);
    char text[sizeof s->why];

    s->identity_right = !r.bad && columns == 1 && strlen(wanted) == is.len && memcmp(wanted, is.ptr, is.len) == 0;
    if (s->identity_right)
        return IDENTITY_RIGHT;
    snprintf(text, sizeof text, "the server is %.*s, and not %.100s", (int)MIN(is.len, 100u), (const char *)is.ptr,
             wanted);
    return wrong(s, text);
}
