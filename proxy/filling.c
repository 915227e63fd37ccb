/*
 * filling.c: see filling.h.
 *
 *   LEARNING ──> FETCHING ──> NAMING ──(DRAWING)──> FILLING ──> joint_dealt
 *       └────────────┴────────────┴──────(error)───────┘
 *
 * In each phase some arms are asked; when all of these have answered, the next one begins, or, after an error, the end.
 * Thread: worker.
 */
#include "proxy/filling.h"

#include "parser/msgout.h"
#include "proxy/draw.h"
#include "proxy/filling_parts.h"
#include "proxy/gather.h"
#include "proxy/joint.h"
#include "proxy/sending.h"
#include "proxy/timing.h"
#include "proxy/whole.h"

#include <inttypes.h>
#include <stdio.h>

#define OID_RECORD 2249
#define PATIENCE_USEC (10 * USEC_PER_SEC) /* for keys */

enum filling_phase { LEARNING, FETCHING, NAMING, DRAWING, FILLING };

struct filling_part {
    struct arm *arm; /* borrowed from the transaction; the one that fetches by itself: owned */
    struct filling *filling;
    bool asked, over; /* in this phase */
};

struct filling {
    struct client *c;
    enum filling_phase phase;
    struct sharding_refill plan; /* owned */
    struct filled rows;          /* owned */
    char *sql;                   /* owned: the statement */
    char *part_sql;              /* owned: what the shards run to take their rows */
    struct buf declared;         /* types of its parameters, as Parse has them */
    struct buf types;            /* ... as the first shard has understood them */
    struct buf params;           /* Bind's body behind the names, up to the formats of the result */
    struct buf formats;          /* ... and these */
    struct opening opening;
    char *parses;            /* owned: the name that the client's Parse gives; NULL: there was none */
    const char *const *keys; /* drawn: the client's own until it runs; NULL: there are none */
    usec_t drawing_at;
    uint32_t row; /* in turn: whose row is given back next */
    bool describes, simple;
    bool described; /* the client has been told, or does not want to be */
    bool learnt;    /* the first shard has taken the statement */
    bool planned;   /* ... and its parameters */
    bool exact;     /* values' texts tell all of them */
    bool failed;    /* the client was told an error */
    bool pumping;
    uint64_t touched; /* rows, by the tags */
    uint32_t count;
    struct arm *own;             /* owned: it fetches by itself (gather.h); or NULL */
    struct filling_part parts[]; /* by shard; the last one is that of `own` */
};

/* --- its end --- */

void filling_free(struct filling *f)
{
    if (f == NULL)
        return;
    arm_close(f->own);
    sharding_refill_free(&f->plan);
    filled_free(&f->rows);
    buf_free(&f->declared);
    buf_free(&f->types);
    buf_free(&f->params);
    buf_free(&f->formats);
    free(f->parses);
    free(f->part_sql);
    free(f->sql);
    free(f);
}

static void cancel_all(struct filling *f)
{
    for (uint32_t i = 0; i <= f->count; i++) {
        struct filling_part *p = &f->parts[i];
        if (!p->asked || p->over || arm_is_gone(p->arm))
            continue;
        if (i == f->count)
            gather_cancel_any(p->arm->client);
        else
            arm_cancel(p->arm);
    }
}

static void fail(struct filling *f, const struct buf *error)
{
    if (f->failed)
        return;
    f->failed = true;
    if (f->parses != NULL && !f->learnt)
        prepare_untake(f->c, f->parses); /* PostgreSQL would not have it, either */
    opening_tell(&f->opening, f->c, f->learnt, f->planned);
    whole_send_error(f->c, buf_head(error), buf_used(error));
    cancel_all(f);
}

static void fail_by(struct filling *f, struct span message)
{
    struct buf error = {0};

    arm_put_error(&error, message);
    fail(f, &error);
    buf_free(&error);
}

static void fail_by_own(struct filling *f, const char *sqlstate, const char *text, const char *hint)
{
    struct buf error = {0};

    msg_error(&error, "ERROR", sqlstate, text, NULL, hint);
    fail(f, &error);
    buf_free(&error);
}

/* --- what is asked --- */

static const struct arm_user part_user;

static void begin_phase(struct filling *f, enum filling_phase phase)
{
    f->phase = phase;
    for (uint32_t i = 0; i <= f->count; i++)
        f->parts[i].asked = f->parts[i].over = false;
}

/* What stands in the arm's buffer goes out. */
static void ask(struct filling *f, uint32_t shard)
{
    struct filling_part *p = &f->parts[shard];

    p->asked = true;
    p->arm->user = &part_user;
    p->arm->owner = p;
    arm_go(p->arm);
}

static struct span types_of(const struct filling *f)
{
    return span_of(buf_head(&f->types), buf_used(&f->types));
}

/* The client's parameters; values come in text format. */
static void put_bind(const struct filling *f, struct buf *to)
{
    size_t mark = msg_begin(to, 'B');

    buf_put(to, "\0", 2); /* unnamed portal and statement */
    buf_put(to, buf_head(&f->params), buf_used(&f->params));
    buf_put_u16(to, 0);
    msg_end(to, mark);
}

/* The statement that fetches, with the client's parameters. m: the time that it asks for;
 * NULL: whoever runs it knows that. */
static void put_fetch(const struct filling *f, const struct moment *m, struct buf *to)
{
    char *timed = m == NULL ? NULL : moment_write(f->plan.refill->fetch, client_lex_flags(f->c), m, true);

    msg_parse(to, "", timed != NULL ? timed : f->plan.refill->fetch, types_of(f));
    free(timed);
    put_bind(f, to);
    msg_named(to, 'D', 'P', "");
    msg_execute(to, "");
    msg_empty(to, 'S');
}

/* It is planned, too: a value that its column cannot have is an error also where there are no rows. */
static void learn(struct filling *f)
{
    struct buf *in = arm_in(f->parts[0].arm);
    struct span declared = span_of(buf_head(&f->declared), buf_used(&f->declared));
    char *planned = mem_printf("EXPLAIN %s", f->sql);

    begin_phase(f, LEARNING);
    msg_parse(in, "", f->sql, declared);
    msg_named(in, 'D', 'S', "");
    msg_parse(in, "", planned, declared);
    put_bind(f, in);
    msg_execute(in, "");
    msg_empty(in, 'S');
    free(planned);
    ask(f, 0);
}

/* The shards together, or the coordinator, answer a client of our own. */
static void fetch_together(struct filling *f)
{
    struct filling_part *p = &f->parts[f->count];
    struct arm *arms[SHARDS_MAX];
    struct buf batch = {0};
    struct request q;

    for (uint32_t k = 0; k < f->count; k++)
        arms[k] = f->parts[k].arm;
    f->own = p->arm = arm_new(f->c, 0, &part_user, p);
    p->asked = true;
    put_fetch(f, NULL, &batch);
    bool begun =
        request_read(p->arm->client, buf_head(&batch), buf_used(&batch), &q) &&
        (f->plan.how == REFILL_WHOLE ? gather_whole(p->arm->client, &q) : gather_in_joint(p->arm->client, &q, arms));
    buf_free(&batch);
    if (begun)
        return;
    p->over = true;
    fail_by_own(f, "40001", "the placement of its rows has changed", "Try again.");
}

static void fetch(struct filling *f)
{
    begin_phase(f, FETCHING);
    if (f->plan.how == REFILL_WHOLE && !joint_is_once(f->c)) {
        fail_by_own(f, "0A000", "what it selects is answered by the coordinator, which does not see this transaction",
                    "Run it outside of a transaction.");
        return;
    }
    if (f->plan.how == REFILL_MANY || f->plan.how == REFILL_WHOLE) {
        fetch_together(f);
        return;
    }
    for (uint32_t k = 0; k < f->count; k++) {
        if (!(f->plan.from >> k & 1))
            continue;
        put_fetch(f, f->plan.how == REFILL_EACH ? joint_moment(f->c) : joint_moment_on(f->c, k),
                  arm_in(f->parts[k].arm));
        ask(f, k);
    }
}

static void name(struct filling *f)
{
    char *sql = filled_question(&f->rows);

    begin_phase(f, NAMING);
    msg_query(arm_in(f->parts[0].arm), sql);
    free(sql);
    ask(f, 0);
}

/* A literal without a type takes the column's, and so does ROW(). */
static bool cast_untyped(struct filling *f)
{
    const struct refill *r = f->plan.refill;

    for (uint16_t i = 0; i < f->rows.width && r->untyped != NULL; i++) {
        if (i < r->count && (r->untyped[i] || f->rows.types[i] == OID_RECORD))
            f->rows.casts[i] = sharding_refill_type(f->c, &f->plan, i);
        if (f->rows.casts[i] == NULL)
            return false;
    }
    return f->rows.named == f->rows.width;
}

/* The client's parameters, and behind them the arrays in binary format. */
static void put_part_bind(struct filling *f, uint32_t shard, uint16_t arrays, struct buf *in)
{
    struct reader r = reader_of(buf_head(&f->params), buf_used(&f->params));
    uint16_t given = reader_u16(&r), all = given == 1 ? reader_u16(&r) : 0;
    struct span formats = reader_bytes(&r, given > 1 ? 2u * given : 0);
    uint16_t count = reader_u16(&r);
    size_t mark = msg_begin(in, 'B');

    buf_put(in, "\0", 2);
    buf_put_u16(in, (uint16_t)(count + arrays));
    for (uint16_t i = 0; i < count; i++)
        buf_put_u16(in, given > 1 ? be16_at(formats.ptr + 2u * i) : all);
    for (uint16_t i = 0; i < arrays; i++)
        buf_put_u16(in, 1);
    buf_put_u16(in, (uint16_t)(count + arrays));
    buf_put(in, r.at, reader_left(&r));
    filled_put(&f->rows, shard, f->keys, in);
    buf_put(in, buf_head(&f->formats), buf_used(&f->formats));
    msg_end(in, mark);
}

static bool has_rows(const struct filling *f, uint32_t shard)
{
    return f->rows.count > 0 && memchr(f->rows.shards, (int)shard, f->rows.count) != NULL;
}

/* What the shards run to take their rows. What asks for the time is a literal for all of them. */
static void write_part(struct filling *f)
{
    const struct refill *r = f->plan.refill;
    const struct moment *m = joint_moment(f->c);
    struct refill_parts p = {.casts = f->rows.casts,
                             .count = f->rows.width,
                             .key = f->keys == NULL ? NULL : f->plan.table->column,
                             .always = f->plan.always,
                             .first = (uint32_t)buf_used(&f->types) / 4 + 1};
    struct refill_extra *extras = NULL;

    p.names = sharding_refill_names(f->c, &f->plan, f->rows.width);
    if (m != NULL && !r->moves && p.names != NULL)
        p.extra_count = timing_defaults(f->c, f->plan.table, r->columns, f->rows.width, &f->plan.arena, &extras);
    p.extras = extras;
    f->part_sql = refill_sql(r, &p);
    if (m == NULL)
        return;
    char *timed = moment_write(f->part_sql, client_lex_flags(f->c), m, true);
    free(f->part_sql);
    f->part_sql = timed;
}

/* Where there are no rows, one shard tells that. */
static void fill(struct filling *f)
{
    uint16_t arrays = (uint16_t)(f->rows.width + (f->keys != NULL));
    struct buf types = {0};

    begin_phase(f, FILLING);
    write_part(f);
    buf_put(&types, buf_head(&f->types), buf_used(&f->types));
    for (uint16_t i = 0; i < arrays; i++)
        buf_put_u32(&types, 1009); /* text[] */
    for (uint32_t k = 0; k < f->count; k++) {
        struct buf *in = arm_in(f->parts[k].arm);
        if (!has_rows(f, k) && (k > 0 || f->rows.count > 0))
            continue;
        msg_parse(in, "", f->part_sql, span_of(buf_head(&types), buf_used(&types)));
        put_part_bind(f, k, arrays, in);
        msg_named(in, 'D', 'P', "");
        msg_execute(in, "");
        msg_empty(in, 'S');
        ask(f, k);
    }
    buf_free(&types);
    draw_used(f->c);
}

static void place(struct filling *f)
{
    const char *version = vars_get(f->c->vars, "client_encoding"), *why = NULL;
    bool utf8 = version != NULL && strcasecmp(version, "UTF8") == 0;

    if (filled_place(&f->rows, &f->plan, f->keys, utf8, &why))
        fill(f);
    else
        fail_by_own(f, "0A000", why, "Write the rows themselves, or run it for one key after the other.");
}

static void draw(struct filling *f)
{
    struct client *c = f->c;
    struct draw_answer drawn = draw_keys(c, f->plan.table, f->rows.count);

    f->keys = drawn.keys;
    if (drawn.keys != NULL)
        place(f);
    else if (drawn.is_own)
        fail_by_own(f, "0A000", draw_own_refusal, draw_own_hint);
    else if (drawn.error[0] != '\0' || c->worker->loop.now - f->drawing_at > PATIENCE_USEC)
        fail_by_own(f, "57P03", "its rows' keys could not be drawn on the first shard", "Try again.");
    else if (list_empty(&c->fresh_node))
        list_push_back(&c->worker->unfresh, &c->fresh_node);
}

/* Types are named. */
static void after_naming(struct filling *f)
{
    if (!f->exact || !cast_untyped(f)) {
        fail_by_own(f, "0A000", "values are sent to other shards as texts, which do not tell all of them",
                    "Set DateStyle to ISO, IntervalStyle to postgres and extra_float_digits to 1.");
    } else if (f->plan.draw == DRAW_GIVEN && f->plan.refill->key < 0 && f->rows.count > 0) {
        begin_phase(f, DRAWING);
        f->drawing_at = f->c->worker->loop.now;
        draw(f);
    } else {
        place(f);
    }
}

/* Another has had them meanwhile. */
static void take_arms(struct filling *f)
{
    for (uint32_t k = 0; k < f->count; k++) {
        f->parts[k].arm->user = &part_user;
        f->parts[k].arm->owner = &f->parts[k];
    }
}

/* All that were asked have answered. */
static void go_on(struct filling *f)
{
    switch (f->phase) {
    case LEARNING:
        fetch(f);
        break;
    case FETCHING:
        if (f->own != NULL)
            arm_close(f->own);
        f->own = f->parts[f->count].arm = NULL;
        take_arms(f);
        name(f);
        break;
    case NAMING:
        after_naming(f);
        break;
    case DRAWING:
        draw(f);
        break;
    case FILLING:
        break;
    }
}

/* --- what is answered --- */

static void on_learning(struct filling *f, uint8_t type, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);

    f->learnt = f->learnt || type == '1';
    f->planned = f->planned || type == 'C';
    opening_tell(&f->opening, f->c, f->learnt, f->planned);
    if (type != 't')
        return;
    for (uint16_t n = reader_u16(&r); n > 0; n--)
        buf_put_u32(&f->types, reader_u32(&r));
}

static void on_fetching(struct filling *f, uint8_t type, struct span body)
{
    bool fine = true;

    if (type == 'T')
        fine = filled_describe(&f->rows, body);
    else if (type == 'D')
        fine = filled_add(&f->rows, body);
    if (!fine)
        fail_by_own(f, "XX000", "a shard's rows are not as it has described them", NULL);
    else if (buf_used(&f->rows.rows) > (size_t)f->c->worker->config->opt.scatter_memory)
        fail_by_own(f, "53400", "the rows of this statement take more memory than scatter_memory allows",
                    "Raise scatter_memory, or run it for some rows after the other.");
}

static void on_name(struct filling *f, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);
    char text[300];

    reader_u16(&r);
    struct span name = reader_bytes(&r, reader_u32(&r));
    struct span exact = reader_bytes(&r, reader_u32(&r));
    if (r.bad)
        return;
    snprintf(text, sizeof text, "%.*s", (int)name.len, (const char *)name.ptr);
    filled_name(&f->rows, text);
    f->exact = exact.len == 1 && exact.ptr[0] == 't';
}

static bool is_first(const struct filling *f, const struct filling_part *p)
{
    for (uint32_t k = 0; k < f->count; k++)
        if (f->parts[k].asked)
            return p == &f->parts[k];
    return false;
}

/* "INSERT 0 5" */
static void on_tag(struct filling *f, struct span body)
{
    char text[64];
    char *number;

    snprintf(text, sizeof text, "%.*s", (int)body.len, (const char *)body.ptr);
    number = strrchr(text, ' ');
    if (number != NULL)
        f->touched += strtoull(number, NULL, 10);
}

static void on_filling(struct filling *f, const struct filling_part *p, uint8_t type, struct span message)
{
    struct span body = span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER);

    if ((type == 'T' || type == 'n') && is_first(f, p) && !f->described) {
        f->described = true;
        if (type == 'T' || !f->simple)
            conn_send(&f->c->conn, message.ptr, message.len);
    } else if (type == 'D') {
        conn_send(&f->c->conn, message.ptr, message.len);
        f->row++;
    } else if (type == 'C') {
        on_tag(f, body);
    }
}

/* Rows come back in the order of those that were put in place, where all do. */
static bool is_wanted(const struct filling *f, const struct filling_part *p)
{
    const struct refill *r = f->plan.refill;

    if (!f->described || conn_is_high(&f->c->conn))
        return false;
    return r->skips || r->moves || f->row >= f->rows.count || f->rows.shards[f->row] == p->arm->shard;
}

/* False: it is not wanted yet. */
static bool on_message(struct filling *f, struct filling_part *p, uint8_t type, struct span message)
{
    struct span body = span_of(message.ptr + FRAME_HEADER, message.len - FRAME_HEADER);

    if (type == 'D' && f->phase == FILLING && !f->failed && !is_wanted(f, p))
        return false;
    if (type == 'Z') {
        p->over = true;
    } else if (type == 'E') {
        fail_by(f, message);
    } else if (f->failed) {
        return true;
    } else if (type == 'N') {
        if (f->phase != FILLING || is_first(f, p))
            conn_send(&f->c->conn, message.ptr, message.len);
    } else if (f->phase == LEARNING) {
        on_learning(f, type, body);
    } else if (f->phase == FETCHING) {
        on_fetching(f, type, body);
    } else if (f->phase == NAMING && type == 'D') {
        on_name(f, body);
    } else if (f->phase == FILLING) {
        on_filling(f, p, type, message);
    }
    return true;
}

/* True if something was taken. */
static bool part_take(struct filling *f, struct filling_part *p)
{
    struct span message;
    bool taken = false;
    uint8_t type;

    while (p->asked && !p->over && arm_next(p->arm, &type, &message) && on_message(f, p, type, message)) {
        arm_taken(p->arm, message);
        taken = true;
    }
    if (p->asked && !p->over && arm_is_gone(p->arm)) {
        p->over = true;
        fail_by(f, span_of(NULL, 0));
    }
    return taken;
}

static bool is_over(const struct filling *f)
{
    for (uint32_t i = 0; i <= f->count; i++)
        if (f->parts[i].asked && !f->parts[i].over)
            return false;
    return true;
}

static void end(struct filling *f)
{
    char tag[64];

    snprintf(tag, sizeof tag, f->plan.refill->moves ? "UPDATE %" PRIu64 : "INSERT 0 %" PRIu64, f->touched);
    joint_dealt(f->c, f->failed, tag);
}

void filling_pump(struct filling *f)
{
    bool more = !f->pumping;

    if (!more)
        return;
    f->pumping = true;
    while (more) {
        more = false;
        for (uint32_t i = 0; i <= f->count; i++)
            more = part_take(f, &f->parts[i]) || more;
        if (!is_over(f) || f->failed || f->phase == FILLING)
            continue;
        enum filling_phase before = f->phase;
        go_on(f);
        more = more || f->phase != before;
    }
    f->pumping = false;
    if (is_over(f) && (f->failed || f->phase == FILLING))
        end(f);
}

static void part_output(struct arm *a)
{
    filling_pump(((struct filling_part *)a->owner)->filling);
}

static const struct arm_user part_user = {.output = part_output};

void filling_cancel(struct filling *f)
{
    if (f->phase == DRAWING)
        fail_by_own(f, "57014", "canceling statement due to user request", NULL);
    else
        cancel_all(f);
}

/* --- beginning --- */

struct filling *filling_new(struct client *c, const struct request *q, struct arm *const *arms)
{
    struct sharding_refill plan;
    struct span params, formats;

    if (!sharding_refill(c, &q->run, &plan)) {
        sharding_refill_free(&plan);
        return NULL;
    }
    uint32_t count = plan.map->shard_count;
    struct filling *f = mem_zalloc(sizeof *f + (count + 1) * sizeof(struct filling_part));
    *f = (struct filling){.c = c, .plan = plan, .count = count, .describes = q->describes, .simple = q->simple};
    for (uint32_t k = 0; k <= count; k++)
        f->parts[k] = (struct filling_part){.arm = k < count ? arms[k] : NULL, .filling = f};
    f->described = !q->describes;
    f->sql = mem_strdup(q->run.sql);
    buf_put(&f->declared, q->run.types.ptr, q->run.types.len);
    request_split_bind(q, &params, &formats);
    buf_put(&f->params, params.ptr, params.len);
    buf_put(&f->formats, formats.ptr, formats.len);
    if (q->parse.len > 0)
        f->parses = mem_strdup((const char *)q->parse.ptr);
    f->opening = request_open(c, q);
    learn(f);
    return f;
}
