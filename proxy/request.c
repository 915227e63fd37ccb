/*
 * request.c: see request.h.
 * Thread: worker.
 */
#include "proxy/request.h"

#include "proxy/sending.h"
#include "proxy/whole.h"

struct reading_batch {
    const uint8_t *at;
    size_t left;
};

static bool next_message(struct reading_batch *b, uint8_t *type, struct span *body)
{
    struct frame f;
    const char *why;

    if (b->left == 0 || frame_next(FROM_CLIENT, b->at, b->left, &f, &why) != PARSE_OK || f.total > b->left)
        return false;
    *type = f.type;
    *body = span_of(b->at + FRAME_HEADER, f.total - FRAME_HEADER);
    b->at += f.total;
    b->left -= f.total;
    return true;
}

static bool describes_portal(struct span body, const char *portal)
{
    struct msg_named named;

    return msgin_named(body, &named) == PARSE_OK && named.kind == 'P' && strcmp(named.name, portal) == 0;
}

/* A limit to its rows means nothing to it (JDBC's driver gives one wherever it does not want any). */
static bool has_no_rows(const struct request *q)
{
    const struct stmt *s = request_stmt(q);

    if (s == NULL || strcasestr(q->run.sql, "returning") != NULL)
        return false;
    return s->kind == STMT_INSERT || s->kind == STMT_UPDATE || s->kind == STMT_DELETE || s->kind == STMT_SET ||
           s->kind == STMT_TRUNCATE || s->kind == STMT_LOCK || (s->effects & EFFECT_TRANSACTION) != 0 ||
           (s->reasons & (REASON_DDL | REASON_MAINTENANCE)) != 0;
}

static bool executes_portal(struct request *q, struct span body)
{
    const struct stmt *s = request_stmt(q);
    struct reader r = reader_of(body.ptr, body.len);
    bool same = strcmp(reader_cstr(&r), q->bind.portal) == 0;
    uint32_t limit = reader_u32(&r);
    bool selects = s != NULL && s->kind == STMT_SELECT;

    q->rows_max = selects ? limit : 0;
    return same && !r.bad && (selects || (q->bind.portal[0] == '\0' && (limit == 0 || has_no_rows(q))));
}

/* Up to Execute. */
static bool read_run(struct client *c, struct reading_batch *b, struct request *q)
{
    struct msg_parse parse = {.name = NULL};
    struct span body;
    uint8_t type;

    if (!next_message(b, &type, &body))
        return false;
    if (type == 'P') {
        if (msgin_parse(body, &parse) != PARSE_OK || !prepare_may_take(c, &parse))
            return false;
        q->parse = body;
        if (!next_message(b, &type, &body))
            return false;
    }
    if (type != 'B' || msgin_bind_head(body, true, &q->bind) != PARSE_OK ||
        (parse.name != NULL && strcmp(parse.name, q->bind.name) != 0) ||
        !sharding_run_of_bind(c, &parse, &q->bind, &q->run))
        return false;
    if (!next_message(b, &type, &body))
        return false;
    q->describes = type == 'D' && describes_portal(body, q->bind.portal);
    if (q->describes && !next_message(b, &type, &body))
        return false;
    return type == 'E' && executes_portal(q, body);
}

static bool read_extended(struct client *c, struct reading_batch *b, struct request *q)
{
    struct span body;
    uint8_t type;

    return read_run(c, b, q) && next_message(b, &type, &body) && type == 'S' && b->left == 0;
}

size_t request_read_first(struct client *c, const uint8_t *batch, size_t extent, struct request *q)
{
    struct reading_batch b = {batch, extent};

    memset(q, 0, sizeof *q);
    return read_run(c, &b, q) ? extent - b.left : 0;
}

bool request_read(struct client *c, const uint8_t *batch, size_t extent, struct request *q)
{
    struct reading_batch b = {batch, extent};

    memset(q, 0, sizeof *q);
    q->simple = extent > 0 && batch[0] == 'Q';
    if (!q->simple)
        return read_extended(c, &b, q);
    uint8_t type;
    struct span body;
    if (!next_message(&b, &type, &body) || b.left > 0 || body.len == 0 || body.ptr[body.len - 1] != '\0')
        return false;
    q->run.sql = (const char *)body.ptr;
    q->run.shape = statement_read_ahead(c, q->run.sql, body.len - 1);
    q->describes = true;
    return true;
}

const struct stmt *request_stmt(const struct request *q)
{
    const struct stmt_list *list = q->run.shape == NULL ? NULL : reading_of(q->run.shape)->list;

    return list == NULL || list->count != 1 ? NULL : list->stmts[0];
}

void request_split_bind(const struct request *q, struct span *params, struct span *formats)
{
    const struct span rest = q->simple ? span_of("\0\0\0\0\0", 6) : q->bind.rest;
    struct reader r = reader_of(rest.ptr, rest.len);

    reader_bytes(&r, 2u * reader_u16(&r));
    for (uint16_t n = reader_u16(&r); n > 0; n--) {
        uint32_t len = reader_u32(&r);
        reader_bytes(&r, len == UINT32_MAX ? 0 : len);
    }
    *params = span_of(rest.ptr, (size_t)(r.at - rest.ptr));
    *formats = span_of(r.at, reader_left(&r));
}

uint16_t *request_formats(const struct request *q, size_t *count)
{
    struct span params, formats;

    request_split_bind(q, &params, &formats);
    struct reader r = reader_of(formats.ptr, formats.len);
    *count = q->cursor != NULL ? (q->binary ? 1 : 0) : reader_u16(&r);
    uint16_t *all = mem_zalloc((*count + 1) * sizeof *all);
    for (size_t i = 0; i < *count; i++)
        all[i] = q->cursor != NULL ? 1 : reader_u16(&r);
    return all;
}

struct opening request_open(struct client *c, const struct request *q)
{
    const struct sharding_run *said = q->declared != NULL ? q->declared : &q->run;

    whole_begin(c, said->shape, said->sql);
    if (q->simple)
        prepare_untake(c, ""); /* as any Query does */
    if (q->parse.len > 0)
        prepare_take(c, q->parse);
    return (struct opening){.parse = q->parse.len > 0, .bind = !q->simple};
}

void opening_tell(struct opening *o, struct client *c, bool parsed, bool bound)
{
    if (o->parse && parsed)
        msg_empty(&c->conn.out, '1');
    if (o->bind && parsed && bound)
        msg_empty(&c->conn.out, '2');
    o->parse = o->parse && !parsed;
    o->bind = o->bind && !(parsed && bound);
    conn_touch(&c->conn);
}

void request_begin(struct client *c, const struct request *q)
{
    struct opening o = request_open(c, q);

    opening_tell(&o, c, true, true);
}
