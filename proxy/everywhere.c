/*
 * everywhere.c: see everywhere.h.
 *
 *   ASKING ──> RUNNING ──> ENDING ──> joint_dealt
 *      └──────────┴─(error)──┘
 *
 *   ASKING   the home shard tells what the table is, and what the statement would give back
 *   RUNNING  it runs there; its rows become images for the others
 *   ENDING   the others are waited for
 * Thread: worker.
 */
#include "proxy/everywhere.h"

#include "parser/msgout.h"
#include "proxy/ask.h"
#include "proxy/everywhere_parts.h"
#include "proxy/joint.h"
#include "proxy/sending.h"
#include "proxy/timing.h"
#include "proxy/whole.h"

#include <stdio.h>

enum everywhere_phase { ASKING, RUNNING, ENDING };

struct everywhere {
    struct client *c;
    enum everywhere_phase phase;
    struct images *images; /* owned */
    struct images_write write;
    struct facts facts;
    struct buf types;   /* of the statement's parameters */
    struct buf bind;    /* Bind's body behind the names, up to the formats of the result */
    struct buf formats; /* ... and these, as the client gives them */
    struct opening opening;
    char *parses;   /* owned: the name that the client's Parse gives; NULL: there was none */
    bool described; /* the client has been told, or does not want to be */
    bool simple;
    bool parsed;  /* the home shard has taken the statement */
    bool failed;  /* the client was told an error */
    bool counted; /* ASKING: the answer about the table is complete */
    bool pumping;
    bool home_over;
    char tag[64];
    struct buf image;    /* being made */
    struct span *fields; /* owned: of a row, behind the mark */
    struct arm *home;    /* borrowed from the transaction */
    uint32_t count;
    struct copy copies[];
};

/* --- its end --- */

void everywhere_free(struct everywhere *e)
{
    if (e == NULL)
        return;
    for (uint32_t i = 0; i < e->count; i++)
        copy_free(&e->copies[i]);
    images_free(e->images);
    images_write_free(&e->write);
    facts_free(&e->facts);
    buf_free(&e->types);
    buf_free(&e->bind);
    buf_free(&e->formats);
    buf_free(&e->image);
    free(e->fields);
    free(e->parses);
    free(e);
}

static bool is_over(const struct everywhere *e)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (!copy_is_over(&e->copies[i]) && !arm_is_gone(e->copies[i].arm))
            return false;
    return e->home_over;
}

static void cancel_all(struct everywhere *e)
{
    for (uint32_t i = 0; i < e->count; i++) {
        struct copy *y = &e->copies[i];
        copy_sync(y);
        if (y->awaited > 0 && !arm_is_gone(y->arm))
            arm_cancel(y->arm);
    }
    if (!e->home_over && !arm_is_gone(e->home))
        arm_cancel(e->home);
}

static void fail(struct everywhere *e, const struct buf *error)
{
    if (e->failed)
        return;
    e->failed = true;
    for (uint32_t i = 0; i < e->count; i++)
        e->copies[i].failed = true;
    if (e->parses != NULL && !e->parsed)
        prepare_untake(e->c, e->parses); /* PostgreSQL would not have it, either */
    opening_tell(&e->opening, e->c, e->parsed, e->parsed);
    whole_send_error(e->c, buf_head(error), buf_used(error));
    cancel_all(e);
}

static void fail_by(struct everywhere *e, struct span message)
{
    struct buf error = {0};

    arm_put_error(&error, message);
    fail(e, &error);
    buf_free(&error);
}

static void fail_by_own(struct everywhere *e, const char *sqlstate, const char *text, const char *detail,
                        const char *hint)
{
    struct buf error = {0};

    msg_error(&error, "ERROR", sqlstate, text, detail, hint);
    fail(e, &error);
    buf_free(&error);
}

/* The copies are not alike. */
static void fail_by_drift(struct everywhere *e, const struct copy *y, const char *what, const char *detail)
{
    const struct map *map = __atomic_load_n(&e->c->db->map, __ATOMIC_ACQUIRE);
    char text[400];

    snprintf(text, sizeof text, "table \"%s\" on shard %s differs from the first shard's: %s", e->facts.table.name,
             map->shard_names[y->arm->shard], what);
    fail_by_own(e, "55000", text, detail, "Something has written to one of them alone. Make their rows equal again.");
}

static bool is_unique_violation(struct span message, struct msg_error *m)
{
    return msgin_error(span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER), m) == PARSE_OK &&
           strcmp(m->sqlstate, "23505") == 0;
}

/* The home shard has taken the row, and this one has another in its place. */
static void fail_by_copy(struct everywhere *e, const struct copy *y, struct span message)
{
    struct msg_error m;

    if (is_unique_violation(message, &m))
        fail_by_drift(e, y, "a row is there already", m.detail[0] == '\0' ? m.message : m.detail);
    else
        fail_by(e, message);
}

/* --- what the home shard is asked --- */

static void ask(struct everywhere *e)
{
    struct buf *in = arm_in(e->home);

    facts_ask(e->images->table, in);
    msg_parse(in, "", e->images->sql, span_of(buf_head(&e->types), buf_used(&e->types)));
    msg_named(in, 'D', 'S', "");
    msg_empty(in, 'S');
    arm_go(e->home);
}

/* The client's formats for its own columns, and ours. */
static void put_formats(const struct everywhere *e, struct buf *in)
{
    const struct facts *f = &e->facts;
    struct reader r = reader_of(buf_head(&e->formats), buf_used(&e->formats));
    uint16_t given = reader_u16(&r), all = given == 1 ? reader_u16(&r) : 0;
    uint16_t own = given <= 1 ? f->asked : given; /* a wrong number is the server's to refuse */

    buf_put_u16(in, (uint16_t)(own + f->width - f->asked));
    for (uint16_t i = 0; i < own; i++)
        buf_put_u16(in, given <= 1 ? all : reader_u16(&r));
    for (uint32_t i = f->asked; i < f->width; i++)
        buf_put_u16(in, i > f->asked + e->images->old_count && f->binary[i]);
}

static void run(struct everywhere *e)
{
    struct buf *in = arm_in(e->home);
    size_t mark = msg_begin(in, 'B');

    e->phase = RUNNING;
    if (e->images->kind == STMT_INSERT)
        ask_note_sequence(e->c, e->home->client->server);
    buf_put(in, "\0", 2); /* unnamed portal and statement */
    buf_put(in, buf_head(&e->bind), buf_used(&e->bind));
    put_formats(e, in);
    msg_end(in, mark);
    if (!e->described && e->images->returns)
        msg_named(in, 'D', 'P', "");
    msg_execute(in, "");
    msg_empty(in, 'S');
    arm_go(e->home);
    if (!e->described && !e->images->returns && !e->simple)
        msg_empty(&e->c->conn.out, 'n');
}

/* Values in text format mean the same on all shards only if they tell all of it. */
static const char *why_inexact(const struct everywhere *e)
{
    const struct vars *vars = e->c->vars;
    const char *digits = vars_get(vars, "extra_float_digits"), *style = vars_get(vars, "datestyle");
    const char *intervals = vars_get(vars, "intervalstyle");

    if (digits != NULL && atoi(digits) < 1)
        return "extra_float_digits is less than 1";
    if (style != NULL && strncasecmp(style, "iso", 3) != 0)
        return "datestyle is not ISO";
    return intervals != NULL && strcasecmp(intervals, "sql_standard") == 0 ? "intervalstyle is sql_standard" : NULL;
}

static bool needs_text(const struct everywhere *e)
{
    for (size_t i = 0; i < e->write.field_count; i++)
        if (e->write.fields[i] >= e->images->old_count &&
            facts_is_loose(&e->facts, e->write.fields[i] - e->images->old_count))
            return true;
    return false;
}

static bool check_exact(struct everywhere *e, struct scatter_refusal *r)
{
    const char *why = needs_text(e) ? why_inexact(e) : NULL;

    if (why == NULL)
        return true;
    snprintf(r->why, sizeof r->why, "values of types that users made are told to other shards as texts, and %s", why);
    r->help = "Change the setting.";
    return false;
}

/* What will come back are the table's columns as they were told. */
static bool is_as_told(const struct everywhere *e)
{
    const struct facts *f = &e->facts;

    return f->marked && f->table.column_count > 0 &&
           f->width == f->asked + 1u + e->images->old_count + f->table.column_count;
}

/* The table is known, and the statement is parsed. */
static void after_asking(struct everywhere *e)
{
    struct scatter_refusal r;
    char text[400];

    if (!is_as_told(e)) {
        fail_by_own(e, "40001", "the schema has changed", NULL, "Try again.");
        return;
    }
    if (!images_write(e->images, &e->facts.table, &e->write, &r) || !check_exact(e, &r)) {
        snprintf(text, sizeof text, "it writes rows that lie on all shards: %s", r.why);
        fail_by_own(e, "0A000", text, NULL, r.help);
        return;
    }
    for (uint32_t i = 0; i < e->count; i++)
        e->copies[i].sql = (const char *)e->write.sql.data;
    e->fields = mem_zalloc((e->facts.width + 1u) * sizeof *e->fields);
    run(e);
}

/* --- rows --- */

static bool takes_rows(const struct everywhere *e)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (copy_is_full(&e->copies[i]) && !arm_is_gone(e->copies[i].arm))
            return false;
    return !conn_is_high(&e->c->conn);
}

/* The client's own columns, which come first, and then ours. False: it is broken. */
static bool read_row(struct everywhere *e, struct span body, struct span *own)
{
    struct reader r = reader_of(body.ptr, body.len);
    const uint8_t *from = r.at + 2;

    reader_u16(&r);
    for (uint16_t i = 0; i < e->facts.width && !r.bad; i++) {
        const uint8_t *start = r.at;
        uint32_t len = reader_u32(&r);
        if (i == e->facts.asked)
            *own = span_of(from, (size_t)(start - from));
        reader_bytes(&r, len == UINT32_MAX ? 0 : len);
        if (i > e->facts.asked)
            e->fields[i - e->facts.asked - 1u] = span_of(start, (size_t)(r.at - start));
    }
    return reader_done(&r);
}

static void make_image(struct everywhere *e)
{
    struct buf *out = &e->image;
    size_t mark;

    buf_consume(out, buf_used(out));
    mark = msg_begin(out, 'B');
    buf_put(out, "\0", 2);
    buf_put_u16(out, (uint16_t)e->write.field_count);
    for (size_t i = 0; i < e->write.field_count; i++) {
        uint16_t field = e->write.fields[i];
        buf_put_u16(out, field >= e->images->old_count && e->facts.binary[e->facts.asked + 1u + field]);
    }
    buf_put_u16(out, (uint16_t)e->write.field_count);
    for (size_t i = 0; i < e->write.field_count; i++) {
        struct span field = e->fields[e->write.fields[i]];
        buf_put(out, field.ptr, field.len); /* with its length, as Bind has it, too */
    }
    buf_put_u16(out, 0);
    msg_end(out, mark);
    msg_execute(out, "");
}

static void on_row(struct everywhere *e, struct span body)
{
    struct span own = span_of(NULL, 0);

    if (!read_row(e, body, &own)) {
        fail_by_own(e, "XX000", "a row of the first shard is broken", NULL, NULL);
        return;
    }
    make_image(e);
    for (uint32_t i = 0; i < e->count; i++)
        copy_put(&e->copies[i], span_of(buf_head(&e->image), buf_used(&e->image)));
    if (!e->images->returns)
        return;
    size_t mark = msg_begin(&e->c->conn.out, 'D');
    buf_put_u16(&e->c->conn.out, e->facts.asked);
    buf_put(&e->c->conn.out, own.ptr, own.len);
    msg_end(&e->c->conn.out, mark);
    conn_touch(&e->c->conn);
}

/* --- what the home shard answers --- */

static void on_parsed(struct everywhere *e)
{
    e->parsed = e->counted; /* the second one */
    if (e->parsed && !e->failed)
        opening_tell(&e->opening, e->c, true, true);
}

static void on_asked(struct everywhere *e, uint8_t type, struct span body)
{
    if (type == 'D')
        facts_row(&e->facts, body);
    else if (type == 'C')
        e->counted = true;
    else if (type == '1')
        on_parsed(e);
    else if (type == 'T')
        facts_description(&e->facts, body);
}

static void on_run(struct everywhere *e, uint8_t type, struct span body)
{
    if (type == 'D')
        on_row(e, body);
    else if (type == 'C')
        snprintf(e->tag, sizeof e->tag, "%.*s", (int)body.len, (const char *)body.ptr);
    else if (type == 'T' && !e->described) {
        e->described = true;
        facts_cut_description(&e->facts, body, &e->c->conn.out);
        conn_touch(&e->c->conn);
    }
}

static void on_ready(struct everywhere *e)
{
    if (e->phase == ASKING && !e->failed)
        after_asking(e);
    else
        e->home_over = true;
    e->home_over = e->home_over || e->failed;
    if (!e->home_over)
        return;
    e->phase = ENDING;
    for (uint32_t i = 0; i < e->count; i++)
        copy_sync(&e->copies[i]);
}

/* False: it is not wanted yet. */
static bool on_message(struct everywhere *e, uint8_t type, struct span message)
{
    struct span body = span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER);

    if (type == 'D' && e->phase == RUNNING && !e->failed && !takes_rows(e))
        return false;
    if (type == 'E')
        fail_by(e, message);
    else if (type == 'Z')
        on_ready(e);
    else if (type == 'N' && !e->failed)
        conn_send(&e->c->conn, message.ptr, message.len);
    else if (!e->failed && e->phase == ASKING)
        on_asked(e, type, body);
    else if (!e->failed)
        on_run(e, type, body);
    return true;
}

static bool home_take(struct everywhere *e)
{
    struct span message;
    bool taken = false;
    uint8_t type;

    while (!e->home_over && arm_next(e->home, &type, &message) && on_message(e, type, message)) {
        arm_taken(e->home, message);
        taken = true;
    }
    if (arm_is_gone(e->home) && !e->home_over) {
        e->home_over = true;
        fail_by(e, span_of(NULL, 0));
    }
    return taken;
}

/* --- the others --- */

static void heed(struct everywhere *e, struct copy *y, enum copy_answer answer, struct span message)
{
    if (answer == COPY_ERROR)
        fail_by_copy(e, y, message);
    else if (answer == COPY_DRIFTED)
        fail_by_drift(e, y, "a row is not there", NULL);
}

static bool others_take(struct everywhere *e, struct copy *y)
{
    struct span message;
    bool taken = false;
    uint8_t type;

    while (!copy_is_over(y) && arm_next(y->arm, &type, &message)) {
        heed(e, y, copy_take(y, type, message), message);
        arm_taken(y->arm, message);
        taken = true;
    }
    if (arm_is_gone(y->arm) && !e->failed)
        fail_by(e, span_of(NULL, 0));
    else if (e->home_over && !e->failed)
        heed(e, y, copy_look_again(y, e->c->worker->loop.now), span_of(NULL, 0));
    return taken;
}

void everywhere_pump(struct everywhere *e)
{
    bool more = !e->pumping;

    if (!more)
        return;
    e->pumping = true;
    while (more) {
        more = home_take(e);
        for (uint32_t i = 0; i < e->count; i++)
            more = others_take(e, &e->copies[i]) || more;
    }
    e->pumping = false;
    if (is_over(e)) {
        char tag[sizeof e->tag]; /* e itself is freed there */
        memcpy(tag, e->tag, sizeof tag);
        joint_dealt(e->c, e->failed, tag);
    }
}

static void on_output(struct arm *arm)
{
    everywhere_pump(arm->owner);
}

static const struct arm_user user = {.output = on_output};

void everywhere_cancel(struct everywhere *e)
{
    cancel_all(e);
}

/* --- beginning --- */

static void take_arm(struct everywhere *e, struct arm *a)
{
    a->user = &user;
    a->owner = e;
}

/* It is a late shard of the transaction. */
static void give_time(struct everywhere *e, const struct request *q)
{
    const struct moment *m = joint_moment_on(e->c, e->home->shard);

    if (m == NULL)
        return;
    char *sql = timing_write(e->c, &q->run, e->images->sql, m);
    e->images->sql = arena_strndup(&e->images->arena, sql, strlen(sql));
    free(sql);
}

struct everywhere *everywhere_new(struct client *c, const struct request *q, struct arm *const *arms)
{
    const struct map *map = __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE);
    struct everywhere *e = mem_zalloc(sizeof *e + map->shard_count * sizeof(struct copy));
    struct span params, formats;

    *e = (struct everywhere){.c = c, .simple = q->simple, .described = !q->describes, .home = arms[0]};
    e->images = sharding_images(c, &q->run);
    give_time(e, q);
    buf_put(&e->types, q->run.types.ptr, q->run.types.len);
    request_split_bind(q, &params, &formats);
    buf_put(&e->bind, params.ptr, params.len);
    buf_put(&e->formats, formats.ptr, formats.len);
    if (q->parse.len > 0)
        e->parses = mem_strdup((const char *)q->parse.ptr);
    take_arm(e, e->home);
    for (uint32_t k = 1; k < map->shard_count; k++) {
        e->copies[e->count++] = (struct copy){.arm = arms[k]};
        take_arm(e, arms[k]);
    }
    e->opening = request_open(c, q);
    ask(e);
    return e;
}
