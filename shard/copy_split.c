/*
 * copy_split.c: see copy_split.h. Most lines of text and CSV have nothing in them that could mean something else than
 * it is (backslashes, quotes, carriage returns): where the next of these is, is known, and such lines are found by
 * memchr. The others are read byte by byte, by the rules of CopyReadLineText.
 * Thread: worker.
 */
#include "shard/copy_parts.h"

struct copy_split *copy_split_new(const struct map *m, const struct map_table *t, const struct copy_format *f,
                                  uint32_t anywhere, size_t row_max)
{
    struct copy_split *c = mem_zalloc(sizeof *c);

    map_ref((struct map *)m);
    c->map = m;
    c->table = t;
    c->format = *f;
    c->anywhere = anywhere;
    c->row_max = row_max;
    c->headed = f->kind != COPY_KIND_BINARY && !f->header;
    c->stops['\n'] = c->stops['\r'] = true;
    c->stops[f->kind == COPY_KIND_CSV ? f->quote : '\\'] = true;
    c->stops[f->kind == COPY_KIND_CSV ? f->escape : '\\'] = true;
    return c;
}

void copy_split_free(struct copy_split *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < SHARDS_MAX; i++) {
        buf_free(&c->outs[i]);
        copy_lines_free(&c->lines[i]);
    }
    buf_free(&c->held);
    buf_free(&c->keys);
    buf_free(&c->fixed);
    buf_free(&c->fixed_names);
    buf_free(&c->scratch);
    buf_free(&c->bytes);
    map_unref((struct map *)c->map);
    free(c);
}

uint64_t copy_split_line(const struct copy_split *c, uint32_t shard, uint64_t line)
{
    return c->table->way == MAP_EVERYWHERE ? line : copy_lines_find(&c->lines[shard], line);
}

/* --- where rows go --- */

enum copy_result copy_break(struct copy_split *c, const char *sqlstate, const char *message, const char *hint)
{
    c->error = (struct copy_error){.sqlstate = sqlstate, .message = message, .hint = hint};
    c->why_line = c->line + 1;
    c->over = true;
    return COPY_BROKEN;
}

void copy_to_all(struct copy_split *c, const uint8_t *p, size_t len)
{
    for (uint32_t k = 0; k < c->map->shard_count; k++)
        buf_put(&c->outs[k], p, len);
}

struct key_reader copy_reader(struct copy_split *c)
{
    return (struct key_reader){.type = c->table->type, .assigned = true, .utf8 = c->format.utf8, .scratch = &c->bytes};
}

static uint32_t shard_of(const struct copy_split *c, const struct key_value *key, const char **why)
{
    uint32_t shard;

    if (key->certainty == KEY_NULL)
        return SHARD_NULL;
    *why = "its key is not certain before it is read";
    if (key->certainty == KEY_DOUBTFUL)
        return SHARD_NONE;
    shard = map_shard_of(c->map, c->table, key);
    if (shard == SHARD_NONE)
        *why = "its key lies on no shard";
    return shard == SHARD_UNSURE ? SHARD_NONE : shard;
}

/* All shards get it. */
static enum copy_result place_everywhere(struct copy_split *c, struct span row, uint64_t last)
{
    size_t len = row.len;

    copy_to_all(c, row.ptr, row.len);
    c->line = last;
    while (len > 0 && (row.ptr[len - 1] == '\n' || row.ptr[len - 1] == '\r'))
        len--;
    if (c->format.kind == COPY_KIND_BINARY || !copy_tells_time(c, span_of(row.ptr, len)))
        return COPY_TAKEN;
    c->unsure = 0;
    c->why = "a value in it would be read as another time on each shard";
    c->why_line = last;
    c->over = true;
    return COPY_UNSURE;
}

enum copy_result copy_place(struct copy_split *c, struct span row, uint64_t last, const struct key_value *key)
{
    if (c->table->way == MAP_EVERYWHERE)
        return place_everywhere(c, row, last);

    struct key_value given = c->gives ? copy_given_next(c) : *key;
    const char *why = "it has no key";
    uint32_t shard = c->format.key < 0 && !c->gives ? c->anywhere : shard_of(c, &given, &why);
    uint32_t to = shard == SHARD_NONE ? SHARD_NULL : shard;

    if (c->gives || c->fixed_count > 0)
        copy_given_row(c, row, &given, &c->outs[to]);
    else
        buf_put(&c->outs[to], row.ptr, row.len);
    copy_lines_add(&c->lines[to], c->line + 1, last);
    c->line = last;
    if (LIKELY(shard != SHARD_NONE))
        return COPY_TAKEN;
    c->unsure = to;
    c->why = why;
    c->why_line = last;
    c->over = true;
    return COPY_UNSURE;
}

/* --- lines --- */

/* A line that was found. */
struct line {
    size_t len;   /* without its end */
    size_t total; /* with it */
};

enum found { LINE_FOUND, LINE_MORE, LINE_BROKEN };

static enum found break_eol(struct copy_split *c, bool carriage)
{
    bool csv = c->format.kind == COPY_KIND_CSV;

    if (carriage)
        copy_break(c, "22P04", csv ? "unquoted carriage return found in data" : "literal carriage return found in data",
                   csv ? "Use quoted CSV field to represent carriage return."
                       : "Use \"\\r\" to represent carriage return.");
    else
        copy_break(c, "22P04", csv ? "unquoted newline found in data" : "literal newline found in data",
                   csv ? "Use quoted CSV field to represent newline." : "Use \"\\n\" to represent newline.");
    return LINE_BROKEN;
}

/* An end of line stands at c->at, outside of quotes. */
static enum found end_line(struct copy_split *c, const uint8_t *p, size_t len, bool final, struct line *l)
{
    size_t at = c->at;

    l->len = at;
    l->total = at + 1;
    if (p[at] == '\n') {
        if (c->eol == EOL_CR || c->eol == EOL_CRNL)
            return break_eol(c, false);
        c->eol = EOL_NL;
        return LINE_FOUND;
    }
    if (c->eol == EOL_NL)
        return break_eol(c, true);
    if (c->eol == EOL_CR)
        return LINE_FOUND;
    if (at + 1 == len && !final)
        return LINE_MORE;
    if (at + 1 < len && p[at + 1] == '\n') {
        c->eol = EOL_CRNL;
        l->total++;
        return LINE_FOUND;
    }
    if (c->eol == EOL_CRNL)
        return break_eol(c, true);
    c->eol = EOL_CR;
    return LINE_FOUND;
}

static void note_quotes(struct copy_split *c, uint8_t byte)
{
    uint8_t escape = c->format.escape == c->format.quote ? 0 : c->format.escape;

    if (c->quoted && byte == escape && escape != 0)
        c->escaped = !c->escaped;
    if (byte == c->format.quote) {
        c->special = true;
        if (!c->escaped)
            c->quoted = !c->quoted;
    }
    if (byte != escape)
        c->escaped = false;
    if (c->quoted && byte == (c->eol == EOL_NL ? '\n' : '\r'))
        c->extra_lines++;
}

/* Passes over bytes that mean nothing but themselves. */
static void skip(struct copy_split *c, const uint8_t *p, size_t len)
{
    size_t at = c->at;

    while (at < len && !c->stops[p[at]])
        at++;
    c->escaped = c->escaped && at == c->at;
    c->at = at;
}

/* Reads on from c->at. */
static enum found read_line(struct copy_split *c, const uint8_t *p, size_t len, bool final, struct line *l)
{
    bool csv = c->format.kind == COPY_KIND_CSV;

    for (skip(c, p, len); c->at < len; c->at++, skip(c, p, len)) {
        uint8_t byte = p[c->at];
        if (csv)
            note_quotes(c, byte);
        if ((byte == '\n' || byte == '\r') && !c->quoted)
            return end_line(c, p, len, final, l);
        if (csv || byte != '\\')
            continue;
        if (c->at + 1 == len && !final)
            return LINE_MORE;
        c->special = true;
        c->marked = c->marked || (c->at + 1 < len && p[c->at + 1] == '.');
        c->at++;
    }
    c->at = MIN(c->at, len);
    l->len = l->total = c->at;
    return final && c->at > 0 ? LINE_FOUND : LINE_MORE;
}

static bool is_end(const struct copy_split *c, const uint8_t *p, const struct line *l)
{
    return l->len == 2 && p[0] == '\\' && p[1] == '.' && (c->format.kind == COPY_KIND_TEXT || c->ends_early);
}

static void begin_line(struct copy_split *c)
{
    c->at = 0;
    c->extra_lines = 0;
    c->quoted = c->escaped = c->special = c->marked = false;
}

static enum copy_result take_line(struct copy_split *c, const uint8_t *p, const struct line *l)
{
    uint64_t first = c->line + 1, last = first + c->extra_lines;
    struct key_value key = {.certainty = KEY_DOUBTFUL};
    bool special = c->special, marked = c->marked;

    begin_line(c);
    if (UNLIKELY(!c->headed)) {
        c->headed = true;
        copy_given_header(c);
        copy_to_all(c, p, l->total);
        for (uint32_t k = 0; k < c->map->shard_count && c->table->way == MAP_BY_KEY; k++)
            copy_lines_add(&c->lines[k], first, last);
        c->line = last;
        return COPY_TAKEN;
    }
    if (UNLIKELY(is_end(c, p, l))) {
        c->over = true;
        return COPY_TAKEN;
    }
    if (!marked && c->format.key >= 0)
        key = copy_field(c, span_of(p, l->len), special);
    return copy_place(c, span_of(p, l->total), last, &key);
}

/* --- the quick way --- */

/* What is known of the bytes that are read: where the next byte is that makes a line an unusual one. */
struct outlook {
    const uint8_t *end;
    const uint8_t *special;  /* backslash or quote; `end` where there is none */
    const uint8_t *carriage; /* carriage return */
};

static const uint8_t *next_of(const uint8_t *p, const uint8_t *end, uint8_t byte)
{
    const uint8_t *found = memchr(p, byte, (size_t)(end - p));

    return found == NULL ? end : found;
}

/* An end of line as those before, and nothing in the line that could be none of its characters. */
static bool find_plain(struct copy_split *c, struct outlook *o, const uint8_t *p, struct line *l)
{
    const uint8_t *newline;

    if (c->at > 0 || (c->eol != EOL_NL && c->eol != EOL_CRNL))
        return false;
    newline = memchr(p, '\n', (size_t)(o->end - p));
    if (newline == NULL)
        return false;
    if (o->special < p)
        o->special = next_of(p, o->end, c->format.kind == COPY_KIND_CSV ? c->format.quote : '\\');
    if (o->carriage < p)
        o->carriage = next_of(p, o->end, '\r');
    if (o->special < newline || (c->eol == EOL_NL ? o->carriage < newline : o->carriage + 1 != newline))
        return false;
    *l = (struct line){.len = (size_t)(newline - p) - (c->eol == EOL_CRNL), .total = (size_t)(newline - p) + 1};
    return true;
}

static enum copy_result take_lines(struct copy_split *c, const uint8_t *p, size_t len, bool final, size_t *used)
{
    const uint8_t *begin = p;
    struct outlook o = {.end = p + len, .special = p - 1, .carriage = p - 1};
    enum copy_result result = COPY_TAKEN;

    while (p < o.end && result == COPY_TAKEN && !c->over) {
        struct line l = {.len = 0};
        enum found found = find_plain(c, &o, p, &l) ? LINE_FOUND : read_line(c, p, (size_t)(o.end - p), final, &l);
        if (found == LINE_BROKEN)
            return COPY_BROKEN;
        if (found == LINE_MORE)
            break;
        if (UNLIKELY(copy_lacks_key(c) && c->headed && !is_end(c, p, &l))) {
            begin_line(c);
            result = COPY_WANTS;
            break;
        }
        result = take_line(c, p, &l);
        p += l.total;
    }
    *used = (size_t)(p - begin);
    return result;
}

/* --- the stream --- */

static enum copy_result take(struct copy_split *c, const uint8_t *p, size_t len, bool final, size_t *used)
{
    *used = 0;
    if (c->format.kind == COPY_KIND_BINARY)
        return copy_binary(c, p, len, used);
    return take_lines(c, p, len, final, used);
}

static enum copy_result take_held(struct copy_split *c, bool final)
{
    size_t used;
    enum copy_result result = take(c, buf_head(&c->held), buf_used(&c->held), final, &used);

    buf_consume(&c->held, used);
    return result;
}

static enum copy_result bounded(struct copy_split *c, enum copy_result result)
{
    if (result == COPY_TAKEN && buf_used(&c->held) > c->row_max)
        return copy_break(c, "54000", "a row of COPY is too long to be sent to its shard", NULL);
    return result;
}

enum copy_result copy_split_feed(struct copy_split *c, const uint8_t *p, size_t len)
{
    enum copy_result result;
    size_t used;

    if (len == 0 || (c->over && c->format.kind != COPY_KIND_BINARY))
        return COPY_TAKEN;
    if (c->over)
        return copy_break(c, "22P04", "received copy data after EOF marker", NULL);
    if (buf_used(&c->held) > 0) {
        buf_put(&c->held, p, len);
        return bounded(c, take_held(c, false));
    }
    result = take(c, p, len, false, &used);
    if ((result == COPY_TAKEN || result == COPY_WANTS) && !c->over && used < len)
        buf_put(&c->held, p + used, len - used);
    return bounded(c, result);
}

/* Binary data that end within a row. */
static enum copy_result leave_half(struct copy_split *c)
{
    const struct key_value key = {.certainty = KEY_DOUBTFUL};

    return copy_place(c, span_of(buf_head(&c->held), buf_used(&c->held)), c->line + 1, &key);
}

enum copy_result copy_split_go_on(struct copy_split *c)
{
    return c->ending ? copy_split_end(c) : bounded(c, take_held(c, false));
}

enum copy_result copy_split_end(struct copy_split *c)
{
    enum copy_result result = COPY_TAKEN;

    c->ending = true;
    if (!c->over && buf_used(&c->held) > 0)
        result = take_held(c, true);
    if (result == COPY_TAKEN && !c->over && buf_used(&c->held) > 0)
        result = leave_half(c);
    return result;
}
