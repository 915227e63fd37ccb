/*
 * cut.c: see cut.h.
 * Thread: worker.
 */
#include "proxy/cut.h"

#include "parser/lex.h"
#include "proxy/finding.h"
#include "proxy/joint.h"
#include "proxy/joint_words.h"
#include "proxy/set_config.h"
#include "proxy/timing.h"

#define PADDED_MAX ((size_t)8 * KIB) /* a text whose parts keep their places, for the positions of errors */

/* --- measuring --- */

/* Of a batch, up to Execute or Flush, or to the Parse of what follows. */
struct step {
    size_t len;
    struct sharding_look look;
    bool apart;   /* nothing goes together with it */
    bool unknown; /* it binds what a Parse of this batch names, which has not gone on yet */
};

static bool is_command(const struct stmt *s)
{
    return (s->effects & EFFECT_TRANSACTION) || joint_control_of(s) != CONTROL_NONE || set_config_is(s);
}

/* Commands of the transaction, so that each is known to have succeeded; rows of a COPY. */
static bool stands_apart(const struct shape *shape)
{
    const struct stmt_list *list = shape == NULL ? NULL : reading_of(shape)->list;

    if (list == NULL || list->count != 1)
        return true;
    const struct stmt *s = list->stmts[0];
    return is_command(s) || s->kind == STMT_COPY_FROM || (s->effects & EFFECT_CURSOR) != 0;
}

bool cut_has_commands(const struct cut *k)
{
    const struct stmt_list *list = !k->q.simple || k->q.run.shape == NULL ? NULL : reading_of(k->q.run.shape)->list;

    for (size_t i = 0; list != NULL && list->count > 1 && i < list->count; i++)
        if (is_command(list->stmts[i]))
            return true;
    return false;
}

static void look_at_bind(struct client *c, const struct msg_parse *parse, struct span body, struct step *s)
{
    struct sharding_run run;
    struct msg_bind bind;

    if (msgin_bind_head(body, true, &bind) != PARSE_OK || !sharding_run_of_bind(c, parse, &bind, &run)) {
        s->unknown = true;
        return;
    }
    struct finding found = finding_of(c, &run);
    s->look.shards |= found.shards;
    s->look.outdated = s->look.outdated || found.outdated;
    s->look.refused = s->look.refused || found.sqlstate != NULL;
    s->look.given = s->look.given || found.given;
    s->look.viewed = s->look.viewed || found.viewed;
    s->look.timed = s->look.timed || (joint_is_on(c) && timing_asked(c, &run) != MOMENT_NOT);
    s->apart = s->apart || s->look.refused || s->look.timed || finding_is_many(&found) || stands_apart(run.shape);
}

/* What stands before it (Close, Describe, the Parse of another name) is a step of its own, so that a command of the
 * transaction comes alone. parse: of the message before, if that is one. */
static bool begins_run(const struct frame *f, const uint8_t *p, const struct msg_parse *parse)
{
    struct msg_bind bind;

    if (f->type != 'B' || parse == NULL)
        return f->type == 'P' || f->type == 'B';
    return parse->name == NULL ||
           msgin_bind_head(span_of(p + FRAME_HEADER, f->total - FRAME_HEADER), true, &bind) != PARSE_OK ||
           strcmp(bind.name, parse->name) != 0;
}

/* It speaks of a portal over several shards (joint_portal.c), which takes it alone. bound: another unnamed one has come
 * before it. */
static bool is_joints(const struct client *c, const struct frame *f, const uint8_t *p, bool bound)
{
    struct reader r = reader_of(p + FRAME_HEADER, f->total - FRAME_HEADER);

    if (!joint_is_on(c) || strchr("ECD", f->type) == NULL || (f->type != 'E' && reader_u8(&r) != 'P'))
        return false;
    const char *name = reader_cstr(&r);
    return !r.bad && (name[0] != '\0' || !bound) && joint_has_portal(c, name);
}

/* *bound: see is_joints. first: it is the batch's. */
static struct step read_step(struct client *c, struct msg_parse *parse, const uint8_t *p, size_t len, bool first,
                             bool *bound)
{
    struct step s = {.len = 0};
    struct frame f = {.type = 0};
    const char *why;

    while (f.type != 'E' && f.type != 'H') {
        uint8_t last = f.type;
        if (s.len == len || frame_next(FROM_CLIENT, p + s.len, len - s.len, &f, &why) != PARSE_OK ||
            f.total > len - s.len || strchr("PBDCEH", f.type) == NULL ||
            ((s.len > 0 || !first) && is_joints(c, &f, p + s.len, *bound)) ||
            (s.len > 0 && begins_run(&f, p + s.len, last == 'P' ? parse : NULL)))
            break;
        struct span body = span_of(p + s.len + FRAME_HEADER, f.total - FRAME_HEADER);
        if (f.type == 'P' && msgin_parse(body, parse) != PARSE_OK)
            parse->name = NULL;
        if (f.type == 'B') {
            look_at_bind(c, parse, body, &s);
            *bound = true;
        }
        s.len += f.total;
    }
    return s;
}

static bool is_sync(const uint8_t *p, size_t len)
{
    return len == FRAME_HEADER && p[0] == 'S';
}

static void measure(struct client *c, const uint8_t *batch, size_t extent, struct cut *k)
{
    struct msg_parse parse = {.name = NULL};
    size_t at = 0, steps = 0;
    bool bound = false;

    for (;; steps++) {
        struct step s = read_step(c, &parse, batch + at, extent - at, at == 0, &bound);
        bool fits = !s.apart && !shardset_is_many(k->look.shards | s.look.shards);
        if (s.len == 0 || (at > 0 && (!fits || s.unknown)))
            break;
        k->look.shards |= s.look.shards;
        k->look.refused = k->look.refused || s.look.refused;
        k->look.outdated = k->look.outdated || s.look.outdated;
        k->look.given = k->look.given || s.look.given;
        k->look.viewed = k->look.viewed || s.look.viewed;
        at += s.len;
        if (!fits) {
            steps++;
            break;
        }
    }
    k->single = k->single && steps == 1;
    k->len = at > 0 ? at : extent;
    k->whole = at == 0 || is_sync(batch + at, extent - at);
}

void cut_read(struct client *c, const uint8_t *batch, size_t extent, struct cut *k)
{
    memset(k, 0, sizeof *k);
    if (batch[0] == 'Q') {
        k->single = request_read(c, batch, extent, &k->q) && request_stmt(&k->q) != NULL;
        k->len = extent;
        k->whole = !cut_is_split(c);
        return;
    }
    k->len = request_read_first(c, batch, extent, &k->q);
    k->single = k->len > 0;
    k->whole = k->single && is_sync(batch + k->len, extent - k->len);
}

void cut_look(struct client *c, const uint8_t *batch, size_t extent, struct cut *k)
{
    if (batch[0] == 'Q' || k->whole)
        sharding_look(c, batch, extent, &k->look);
    else
        measure(c, batch, extent, k);
}

/* --- sending --- */

void cut_begin(struct client *c, size_t len)
{
    c->cut_left = len;
    c->parted = true;
}

void cut_sent(struct client *c, size_t len)
{
    struct server *s = c->server;

    c->cut_left -= MIN(len, c->cut_left);
    if (c->cut_left > 0)
        return;
    c->is_cut = true;
    if (!c->in_batch) /* a Query */
        return;
    msg_empty(&s->conn.out, 'S');
    conn_touch(&s->conn);
    server_expect(s, EXPECT_SYNC, EXPECT_FORWARD, EFFECT_NONE, c->id, NULL);
    c->in_batch = false;
}

/* One that runs nothing is in a transaction of which no server knows. */
void cut_answered(struct client *c, bool failed)
{
    if (c->only_prepares && failed)
        defer_fail(c);
    c->only_prepares = false;
    if (!c->is_cut) {
        msg_ready(&c->conn.out, session_block_status(c));
        conn_touch(&c->conn);
    }
    c->drop_batch = c->drop_batch || (c->is_cut && failed);
    c->is_cut = false;
}

/* --- a Query of several statements --- */

static void put_statement(struct buf *to, const char *sql, size_t start, size_t end, bool padded)
{
    size_t mark = msg_begin(to, 'Q');

    for (size_t i = 0; padded && i < start; i++)
        buf_put_u8(to, ' ');
    buf_put(to, sql + start, end - start);
    buf_put_u8(to, 0);
    msg_end(to, mark);
}

/* Each statement of the text as a Query. Returns how many there are. */
static size_t put_statements(struct client *c, const char *sql, size_t len, struct buf *to)
{
    struct lexer l;
    struct token t;
    size_t count = 0, start = 0;
    int depth = 0;
    bool any = false;

    lex_init(&l, sql, len, client_lex_flags(c));
    do {
        lex_next(&l, &t);
        bool ends = t.kind == TOKEN_END || (t.kind == TOKEN_SELF && t.first == ';' && depth == 0);
        if (t.kind == TOKEN_SELF)
            depth += t.first == '(' ? 1 : t.first == ')' ? -1 : 0;
        if (ends && any) {
            put_statement(to, sql, start, t.start, len <= PADDED_MAX);
            count++;
        }
        any = !ends && (any || (t.kind != TOKEN_LINE_COMMENT && t.kind != TOKEN_BLOCK_COMMENT));
        if (ends)
            start = t.start + t.len;
    } while (t.kind != TOKEN_END && t.kind != TOKEN_ERROR);
    return count;
}

bool cut_split(struct client *c, const uint8_t *batch, size_t extent)
{
    struct request q;
    struct buf parts = {0};

    if (batch[0] != 'Q' || cut_is_split(c) || !request_read(c, batch, extent, &q) || q.run.shape == NULL)
        return false;
    const struct stmt_list *list = reading_of(q.run.shape)->list;
    for (size_t i = 0; list != NULL && i < list->count; i++)
        if (list->stmts[i]->kind == STMT_COPY_FROM)
            return false; /* its rows come behind the Query */
    size_t count = list == NULL || list->count < 2 ? 0 : put_statements(c, q.run.sql, strlen(q.run.sql), &parts);
    if (count < 2 || count != list->count) { /* a body between BEGIN ATOMIC and END */
        buf_free(&parts);
        return false;
    }
    msg_empty(&parts, 'S');
    buf_free(&c->split); /* it is empty, but may have memory */
    c->split = parts;
    c->parted = true;
    return true;
}
