/*
 * sharding_copy_out.c: see sharding_copy_out.h.
 * Thread: worker.
 */
#include "proxy/sharding_copy_out.h"

#include "parser/sql_text.h"
#include "proxy/catalog.h"
#include "proxy/finding_parts.h"
#include "proxy/place.h"
#include "shard/clauses.h"

#include <stdio.h>

static const char help[] = "COPY (SELECT ...) TO STDOUT of rows that one shard has, or that a SELECT could have.";

/* The text, cut: what is copied, and what stands behind that. */
struct cut_copy {
    struct clauses c;
    struct arena arena;
    uint32_t to; /* the token TO */
};

void sharding_copy_out_free(struct sharding_copy_out *o)
{
    free(o->learn);
    free(o->fetch);
    *o = (struct sharding_copy_out){.learn = NULL};
}

static bool refuse(struct scatter_refusal *r, const char *why, const char *what_helps)
{
    snprintf(r->why, sizeof r->why, "%.150s", why);
    r->help = what_helps;
    return false;
}

/* --- its text --- */

static bool cut(const struct finding *f, struct cut_copy *k)
{
    *k = (struct cut_copy){.arena = {.chunks = NULL}};
    if (!clauses_tokens(&k->c, f->run->sql, strlen(f->run->sql), client_lex_flags(f->c), &k->arena))
        return false;
    for (k->to = 1; k->to < k->c.token_count && !clauses_word(&k->c, k->to, "to"); k->to++)
        if (clauses_is(&k->c, k->to, '('))
            k->to = clauses_closing(&k->c, k->to);
    return k->to + 1 < k->c.token_count && clauses_word(&k->c, k->to + 1, "stdout");
}

/* The query, behind as many blanks as there are characters ahead of it. */
static char *query_of(const struct cut_copy *k)
{
    uint32_t close = clauses_closing(&k->c, 1), from = k->c.tokens[1].start + 1;
    struct buf text = {0};

    for (uint32_t i = 0; i < from; i++)
        if (((uint8_t)k->c.sql[i] & 0xc0) != 0x80)
            buf_put_u8(&text, ' ');
    buf_put(&text, k->c.sql + from, k->c.tokens[close].start - from);
    buf_put_u8(&text, 0);
    return (char *)text.data;
}

static char *query_of_table(const struct finding *f, const struct stmt *s, const struct map_table *t,
                            struct arena *arena)
{
    const char **columns = (const char **)s->columns;
    size_t count = s->column_count != 0 ? s->column_count : finding_columns(f, t, arena, &columns);
    struct buf text = {0};

    buf_put_text(&text, "SELECT ");
    for (size_t i = 0; i < count; i++)
        sql_text_put(&text, i == 0 ? "%i" : ", %i", columns[i]);
    if (s->tables[0].schema != NULL)
        sql_text_put(&text, " FROM ONLY %i.%i", s->tables[0].schema, s->tables[0].name);
    else
        sql_text_put(&text, " FROM ONLY %i", s->tables[0].name);
    buf_put_u8(&text, 0);
    return (char *)text.data;
}

static char *learn_of(const struct cut_copy *k, const char *query)
{
    struct piece rest = {.first = k->to, .end = (uint32_t)k->c.token_count};
    struct span tail = clauses_text(&k->c, rest);

    return mem_printf("COPY (SELECT * FROM (%s\n) AS copied LIMIT 0) %.*s", query, (int)tail.len,
                      (const char *)tail.ptr);
}

/* --- how --- */

/* Of a table: what COPY does not do to others, and what SELECT has of its rows. */
static bool read_table(struct finding *f, const struct stmt *s, const struct cut_copy *k, struct sharding_copy_out *to,
                       struct scatter_refusal *r)
{
    const struct map_table *t = finding_table(f, &s->tables[0]);
    struct catalog_table found;
    struct arena arena = {.chunks = NULL};

    if (t == NULL || catalog_table(f->c->db, s->tables[0].schema, s->tables[0].name, &found) != CATALOG_ONE)
        return refuse(r, "it is not known what it copies", NULL);
    if (found.kind != 'r')
        return refuse(r, "it copies what is no plain table", "Try the COPY (SELECT ...) TO variant.");
    if (clauses_word(&k->c, 1, "binary"))
        return refuse(r, "it is written in an old form", "Write (FORMAT binary).");
    to->fetch = query_of_table(f, s, t, &arena);
    arena_free(&arena);
    return true;
}

static bool plan_source(struct finding *f, struct sharding_copy_out *to, struct scatter_refusal *r)
{
    struct source from;
    bool read = finding_source(f, to->fetch, &from), planned = false;
    struct scatter_plan *plan = NULL;

    if (!read || from.found.sqlstate != NULL)
        refuse(r, read ? from.found.message : "what it selects cannot be read", help);
    else if ((plan = finding_plan(&from.found, r)) != NULL)
        planned = true;
    else if (finding_is_coordinators(&from.found))
        planned = to->whole = true;
    else if (r->why[0] == '\0')
        refuse(r, "what it selects may lie on more than one shard", help);
    scatter_plan_free(plan);
    finding_source_free(&from);
    return planned;
}

static bool read(struct finding *f, const struct stmt *s, const struct cut_copy *k, struct sharding_copy_out *to,
                 struct scatter_refusal *r)
{
    const char *why = copy_format_read_out(s, place_is_utf8(f->c), &to->format, &to->force_quote);

    if (why != NULL)
        return refuse(r, why, NULL);
    to->given = clauses_is(&k->c, 1, '(');
    if (to->given)
        to->fetch = query_of(k);
    else if (!read_table(f, s, k, to, r))
        return false;
    to->learn = learn_of(k, to->fetch);
    return plan_source(f, to, r);
}

bool finding_copy_out(struct finding *f, struct sharding_copy_out *to, struct scatter_refusal *r)
{
    const struct stmt *s = finding_stmt(f);
    struct cut_copy k;

    *to = (struct sharding_copy_out){.learn = NULL};
    *r = (struct scatter_refusal){.help = NULL};
    if (f->home)
        return refuse(r, "it uses what only the first shard has", NULL);
    bool known = cut(f, &k) && (clauses_is(&k.c, 1, '(') || s->table_count == 1);
    bool planned = known ? read(f, s, &k, to, r) : refuse(r, "it is no COPY ... TO STDOUT", help);
    arena_free(&k.arena);
    return planned;
}

bool sharding_copy_out(struct client *c, const struct sharding_run *run, struct sharding_copy_out *to)
{
    struct finding f = finding_of(c, run);
    struct scatter_refusal r;

    return finding_copy_out(&f, to, &r);
}
