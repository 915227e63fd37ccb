/*
 * copy_time.c: a row that several shards are to read alike, and that speaks of the time at which it is read: "now",
 * "today" and their like, in a column that takes dates or times. What is written in an unusual way counts as such.
 * Thread: worker.
 */
#include "shard/copy_parts.h"

#include <ctype.h>
#include <strings.h>

static bool is_word_at(struct span text, size_t at, const char *word)
{
    size_t len = strlen(word);

    return text.len - at >= len && strncasecmp((const char *)text.ptr + at, word, len) == 0 &&
           (at + len == text.len || !isalnum(text.ptr[at + len]));
}

static bool speaks_of_now(struct span text)
{
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday"};

    for (size_t at = 0; at < text.len; at++)
        for (size_t i = 0; i < ARRAY_LEN(words) && (at == 0 || !isalnum(text.ptr[at - 1])); i++)
            if (is_word_at(text, at, words[i]))
                return true;
    return false;
}

/* The next field of a row, into the scratch, without what may stand for something else. *odd: a backslash is in it, and
 * more than NULL's. False: the row has no more. */
static bool next_field(struct copy_split *c, struct span *row, bool *odd)
{
    bool csv = c->format.kind == COPY_KIND_CSV, quoted = false;
    const uint8_t *p = row->ptr, *end = p + row->len;

    buf_consume(&c->scratch, buf_used(&c->scratch));
    *odd = false;
    for (; p < end && (quoted || *p != c->format.delimiter); p++) {
        if (csv && (*p == c->format.quote || *p == c->format.escape)) {
            quoted = *p == c->format.quote ? !quoted : quoted;
            continue;
        }
        if (!csv && *p == '\\' && p + 1 < end) {
            *odd = *odd || p[1] != 'N';
            p++;
        }
        buf_put_u8(&c->scratch, *p);
    }
    bool more = p < end;
    *row = span_of(more ? p + 1 : p, more ? (size_t)(end - p) - 1 : 0);
    return more;
}

bool copy_tells_time(struct copy_split *c, struct span row)
{
    bool more = true, odd;

    for (size_t i = 0; more && i < c->timed_count; i++) {
        more = next_field(c, &row, &odd);
        if (c->timed[i] && (odd || (buf_used(&c->scratch) > 0 &&
                                    speaks_of_now(span_of(buf_head(&c->scratch), buf_used(&c->scratch))))))
            return true;
    }
    return false;
}
