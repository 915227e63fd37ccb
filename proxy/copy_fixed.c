/*
 * copy_fixed.c: see copy_fixed.h.
 * Thread: worker.
 */
#include "proxy/copy_fixed.h"

#include "parser/msgout.h"
#include "proxy/catalog.h"
#include "proxy/joint.h"
#include "proxy/timing.h"

struct copy_fixed {
    struct arena arena;
    struct refill_extra *columns; /* in the arena */
    size_t count;
    char *question; /* owned: SELECT their defaults */
};

/* As its column has it: "(now())::date". */
static void put_default(struct client *c, const struct catalog_table *t, const struct refill_extra *e, struct buf *sql)
{
    int position;
    struct span type;

    buf_put_u8(sql, '(');
    buf_put_text(sql, e->sql);
    buf_put_u8(sql, ')');
    if (!catalog_column(c->db, t, e->column, &position, &type) || type.len == 0 ||
        memmem(type.ptr, type.len, " in ", 4) != NULL)
        return;
    buf_put_text(sql, "::");
    buf_put(sql, type.ptr, type.len);
}

static char *question_of(struct client *c, const struct copy_fixed *f, const struct stmt_table *target,
                         const struct moment *m)
{
    struct catalog_table t;
    struct buf sql = {0};

    if (catalog_table(c->db, target->schema, target->name, &t) != CATALOG_ONE)
        return NULL;
    for (size_t i = 0; i < f->count; i++) {
        buf_put_text(&sql, i == 0 ? "SELECT " : ", ");
        put_default(c, &t, &f->columns[i], &sql);
    }
    buf_put_u8(&sql, 0);
    char *timed = moment_write((const char *)sql.data, client_lex_flags(c), m, false);
    buf_free(&sql);
    return timed;
}

struct copy_fixed *copy_fixed_new(struct client *c, const struct request *q)
{
    const struct moment *m = joint_moment(c);
    struct copy_fixed *f = mem_zalloc(sizeof *f);

    f->count = m == NULL ? 0 : timing_copied(c, &q->run, &f->arena, &f->columns);
    if (f->count > 0)
        f->question = question_of(c, f, &request_stmt(q)->tables[0], m);
    if (f->question != NULL)
        return f;
    copy_fixed_free(f);
    return NULL;
}

void copy_fixed_free(struct copy_fixed *f)
{
    if (f == NULL)
        return;
    free(f->question);
    arena_free(&f->arena);
    free(f);
}

void copy_fixed_ask(const struct copy_fixed *f, bool binary, struct buf *in)
{
    msg_parse(in, "", f->question, span_of(NULL, 0));
    size_t mark = msg_begin(in, 'B');

    buf_put(in, "\0\0\0\0\0\0", 6); /* portal, statement, no formats, no values */
    buf_put_u16(in, 1);
    buf_put_u16(in, binary);
    msg_end(in, mark);
    msg_execute(in, "");
    msg_empty(in, 'S');
}

const char *copy_fixed_row(const struct copy_fixed *f, struct copy_split *split, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);
    const char *bar = NULL;
    uint16_t count = reader_u16(&r);

    for (size_t i = 0; bar == NULL && i < count && i < f->count; i++) {
        uint32_t len = reader_u32(&r);
        struct span value = len == UINT32_MAX ? span_of(NULL, 0) : reader_bytes(&r, len);
        if (r.bad)
            return "a default by the time could not be read";
        bar = copy_split_fix(split, f->columns[i].column, value);
    }
    return bar;
}

char *copy_fixed_sql(const struct copy_fixed *f, char *sql, unsigned lex_flags)
{
    for (size_t i = 0; i < f->count; i++) {
        char *more = copy_given_sql(sql, f->columns[i].column, lex_flags);
        free(sql);
        sql = more;
    }
    return sql;
}
