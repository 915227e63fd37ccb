/*
 * scatter_probe.c: scatter.h and merge.h for Python (tests/e2e/test_scatter.py, by ctypes): facts come as text, answers
 * go out as bytes.
 *
 *   "t users key id"  "t countries everywhere"  "c users name BE"      tables, and their columns: B bytewise, E exact
 * Thread: one.
 */
#include "parser/lex.h"
#include "parser/pgtree.h"
#include "shard/merge.h"
#include "shard/scatter.h"

#include <stdio.h>

struct probe {
    struct stmt_list *list;
    struct scatter_plan *plan;
    struct scatter_refusal refusal;
    struct merge *merge;
    struct buf out;
    char *facts; /* owned: lines */
    char line[200];
    char key[8][64]; /* of tables */
};

struct probe *probe_new(const char *sql, const char *facts);
const char *probe_refusal(const struct probe *p);
const char *probe_sql(const struct probe *p);
int probe_hidden(const struct probe *p);
int probe_now_param(const struct probe *p);
void probe_begin(struct probe *p, unsigned shards, size_t cap_bytes, int64_t limit, int64_t offset, uint16_t format);
int probe_formats(struct probe *p, uint16_t format, unsigned visible);
bool probe_describe(struct probe *p, unsigned shard, const void *body, size_t len, bool show);
bool probe_row(struct probe *p, unsigned shard, const void *body, size_t len);
bool probe_end(struct probe *p, unsigned shard);
bool probe_wants(const struct probe *p, unsigned shard);
int probe_take(struct probe *p, uint64_t rows);
size_t probe_length(const struct probe *p);
const void *probe_bytes(struct probe *p);
void probe_clear(struct probe *p);
void probe_tag(struct probe *p);
const char *probe_error(const struct probe *p);
void probe_free(struct probe *p);

/* The facts' line that begins so, behind the beginning; NULL: there is none. */
static const char *find_line(struct probe *p, const char *begin)
{
    size_t len = strlen(begin);

    for (const char *at = p->facts; at != NULL && *at != '\0'; at = strchr(at, '\n'), at += at != NULL) {
        if (strncmp(at, begin, len) != 0)
            continue;
        snprintf(p->line, sizeof p->line, "%.*s", (int)strcspn(at + len, "\n"), at + len);
        return p->line;
    }
    return NULL;
}

static const char *line_of(struct probe *p, char kind, uint32_t table, const char *column)
{
    char begin[160];

    snprintf(begin, sizeof begin, "%c %s %s", kind, p->list->stmts[0]->tables[table].name, column);
    return find_line(p, begin);
}

static struct scatter_table table_of(void *arg, uint32_t table)
{
    struct probe *p = arg;
    const char *line = line_of(p, 't', table, "");

    if (line == NULL)
        return (struct scatter_table){.way = SCATTER_NOWHERE};
    if (strncmp(line, "key ", 4) != 0)
        return (struct scatter_table){.way = SCATTER_EVERYWHERE};
    snprintf(p->key[table % 8], sizeof p->key[0], "%s", line + 4);
    return (struct scatter_table){.way = SCATTER_BY_KEY, .key = p->key[table % 8]};
}

static bool is_colocated(void *arg, uint32_t a, uint32_t b)
{
    (void)arg;
    (void)a;
    (void)b;
    return true;
}

static unsigned column_of(void *arg, uint32_t table, const char *name)
{
    char column[80];
    const char *line;

    snprintf(column, sizeof column, "%s ", name);
    line = line_of(arg, 'c', table, column);
    if (line == NULL)
        return SCATTER_COLUMN_ABSENT;
    return SCATTER_COLUMN_THERE | (strchr(line, 'B') != NULL ? SCATTER_COLUMN_BYTEWISE : 0) |
           (strchr(line, 'E') != NULL ? SCATTER_COLUMN_EXACT : 0);
}

static enum scatter_function function_of(void *arg, const char *schema, const char *name)
{
    (void)arg;
    (void)schema;
    (void)name;
    return SCATTER_NOT_USERS;
}

struct probe *probe_new(const char *sql, const char *facts)
{
    struct probe *p = mem_zalloc(sizeof *p);
    struct pgtree_error err;
    struct scatter_facts f = {.table = table_of,
                              .is_colocated = is_colocated,
                              .column = column_of,
                              .function = function_of,
                              .arg = p,
                              .gives_now = true,
                              .deterministic = true};

    p->facts = mem_strdup(facts);
    p->list = pgtree_parse(sql, strlen(sql), &err);
    if (p->list == NULL)
        snprintf(p->refusal.why, sizeof p->refusal.why, "%.150s", err.message);
    else
        p->plan = scatter_plan_new(p->list->stmts[0], sql, strlen(sql), LEX_STANDARD_STRINGS, &f, &p->refusal);
    return p;
}

const char *probe_refusal(const struct probe *p)
{
    return p->plan == NULL ? p->refusal.why : NULL;
}

const char *probe_sql(const struct probe *p)
{
    return p->plan->sql;
}

int probe_hidden(const struct probe *p)
{
    return p->plan->hidden_count;
}

int probe_now_param(const struct probe *p)
{
    return p->plan->now_param;
}

void probe_begin(struct probe *p, unsigned shards, size_t cap_bytes, int64_t limit, int64_t offset, uint16_t format)
{
    struct merge_options o = {.shard_count = shards,
                              .cap_bytes = cap_bytes,
                              .limit = p->plan->limit.kind == BOUND_NUMBER ? p->plan->limit.number : limit,
                              .offset = p->plan->offset.kind == BOUND_NUMBER ? p->plan->offset.number : offset,
                              .formats = &format,
                              .format_count = 1};

    p->merge = merge_new(p->plan, &o);
}

int probe_formats(struct probe *p, uint16_t format, unsigned visible)
{
    probe_clear(p);
    merge_put_formats(p->plan, &format, 1, visible, &p->out);
    return (int)buf_used(&p->out);
}

bool probe_describe(struct probe *p, unsigned shard, const void *body, size_t len, bool show)
{
    return merge_describe(p->merge, shard, span_of(body, len), show ? &p->out : NULL);
}

bool probe_row(struct probe *p, unsigned shard, const void *body, size_t len)
{
    return merge_row(p->merge, shard, span_of(body, len));
}

bool probe_end(struct probe *p, unsigned shard)
{
    return merge_end(p->merge, shard);
}

bool probe_wants(const struct probe *p, unsigned shard)
{
    return merge_wants(p->merge, shard);
}

int probe_take(struct probe *p, uint64_t rows)
{
    return (int)merge_take(p->merge, &p->out, rows, SIZE_MAX);
}

size_t probe_length(const struct probe *p)
{
    return buf_used(&p->out);
}

const void *probe_bytes(struct probe *p)
{
    return buf_head(&p->out);
}

void probe_clear(struct probe *p)
{
    buf_consume(&p->out, buf_used(&p->out));
}

void probe_tag(struct probe *p)
{
    merge_tag(p->merge, &p->out);
}

const char *probe_error(const struct probe *p)
{
    const struct merge_error *e = merge_error_of(p->merge);

    return e == NULL ? NULL : e->message;
}

void probe_free(struct probe *p)
{
    merge_free(p->merge);
    scatter_plan_free(p->plan);
    stmt_list_free(p->list);
    buf_free(&p->out);
    free(p->facts);
    free(p);
}
