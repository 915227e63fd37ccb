/*
 * fuzz_lex.c: lexes and fingerprints arbitrary text. Input: one byte of flags, then the text.
 *
 * What must hold: tokens and blanks cover the text without a gap; the normalised text of a normalised text is itself;
 * texts of equal tokens have equal normalised texts; slots come in order, lie in the text, and are what their offsets
 * are found by; runs of values are read back in the number that was told.
 * Thread: one.
 */
#include "parser/fingerprint.h"
#include "parser/values.h"

#include <stdio.h>

#define SEED 1

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool all_blank(const char *from, const char *to)
{
    while (from < to && is_blank(*from))
        from++;
    return from == to;
}

/* Appends the text anew, with other blanks between the same tokens, and without comments but for hints. */
static void lex(struct buf *other, const char *sql, size_t len, unsigned flags)
{
    struct lexer l;
    struct token t;
    size_t at = 0;

    lex_init(&l, sql, len, flags);
    while (lex_next(&l, &t) != TOKEN_END) {
        bool comment = t.kind == TOKEN_LINE_COMMENT || t.kind == TOKEN_BLOCK_COMMENT;
        require(t.len > 0 && t.start >= at && t.start + (size_t)t.len <= len, "tokens are in order, in the text");
        require(all_blank(sql + at, sql + t.start), "between tokens stand blanks");
        require(t.first == (uint8_t)sql[t.start] && !is_blank(sql[t.start]), "a token begins with its first byte");
        at = t.start + (size_t)t.len;
        require(t.kind != TOKEN_ERROR || at == len, "nothing follows an error");
        if (comment && (t.kind == TOKEN_LINE_COMMENT || !comment_is_hint((const uint8_t *)sql, &t)))
            continue;
        buf_put(other, sql + t.start, t.len);
        /* The N of N'' would be a name of its own with a blank behind it. No line ends: they would join strings. */
        if (t.kind != TOKEN_ERROR && (t.flags & TOKEN_NCHAR) == 0)
            buf_put(other, " \t /**/", 7);
    }
    require(all_blank(sql + at, sql + len), "behind the last token stand blanks");
    require(lex_next(&l, &t) == TOKEN_END && t.start == len, "the end comes again");
}

static void check_slots(const struct fingerprint *f, const char *sql, size_t len, unsigned flags)
{
    size_t at = 0;

    for (uint32_t i = 0; i < f->slot_count; i++) {
        const struct slot *s = &f->slots[i];
        struct values v;
        struct value value;
        uint32_t values = 0;
        require(s->start >= at && s->len > 0 && s->start + (size_t)s->len <= len, "slots are in order, in the text");
        require(fingerprint_slot_at(f, sql, s->start) == i, "a slot is found by its offset");
        at = s->start + (size_t)s->len;
        if (s->kind != SLOT_LIST && s->kind != SLOT_ROWS)
            continue;
        values_init(&v, sql, s->start, s->len, flags);
        while (values_next(&v, &value))
            values++;
        require(s->kind == SLOT_LIST ? values == s->count && v.row == 0 : v.row + 1 == s->count && values >= s->count,
                "a run has as many values as told");
    }
}

static void check_same(const struct fingerprint *f, const char *sql, size_t len, unsigned flags, const char *what)
{
    struct fingerprint again = {.slots = NULL};

    fingerprint_read(&again, sql, len, flags, SEED);
    require(again.text.len == f->text.len && memcmp(again.text.data, f->text.data, f->text.len) == 0, what);
    require(again.hash == f->hash, "equal texts have equal hashes");
    fingerprint_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fingerprint f = {.slots = NULL};
    struct buf other = {.data = NULL};

    if (size < 2)
        return 0;

    unsigned flags = data[0] & (LEX_STANDARD_STRINGS | FINGERPRINT_KEEP_HINTS);
    const char *sql = (const char *)data + 1;
    size_t len = size - 1;

    fingerprint_read(&f, sql, len, flags, SEED);
    lex(&other, sql, len, flags);
    check_slots(&f, sql, len, flags);
    if (f.text.len > 0)
        check_same(&f, (const char *)f.text.data, f.text.len, flags, "a normalised text is its own");
    if (other.len > 0)
        check_same(&f, (const char *)other.data, other.len, flags, "equal tokens, equal texts");
    buf_free(&other);
    fingerprint_free(&f);
    return 0;
}
