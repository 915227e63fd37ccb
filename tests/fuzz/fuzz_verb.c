/*
 * fuzz_verb.c: any text given to verb_of. What comes out must be well-formed, and blanks, comments and a semicolon
 * around a statement may not change what it is.
 * Input: the text; a NUL ends it.
 * Thread: one.
 */
#include "parser/verb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds)
        abort();
}

static bool verb_equal(const struct verb *a, const struct verb *b)
{
    return a->kind == b->kind && a->all == b->all && strcmp(a->name, b->name) == 0;
}

/* In a heap block of the exact size, so that a read past the end is seen. */
static struct verb verb_between(const char *before, const char *sql, const char *after)
{
    char *text = mem_printf("%s%s%s", before, sql, after);
    struct verb v = verb_of(text);

    free(text);
    return v;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *sql = mem_strndup((const char *)data, size);
    struct verb v = verb_of(sql);

    require(memchr(v.name, '\0', sizeof v.name) != NULL);
    require(v.kind == VERB_OTHER || v.all == (v.name[0] == '\0'));
    struct verb ahead = verb_between("-- x\n /* a /* b */ */\t", sql, "");
    require(v.kind == VERB_OTHER ? ahead.kind == VERB_OTHER : verb_equal(&v, &ahead));
    /* What comes behind may stand in a comment that the text left open: then nothing changes either. */
    struct verb behind = verb_between("", sql, " ; ");
    require(v.kind == VERB_OTHER || verb_equal(&v, &behind));
    struct verb more = verb_between("", sql, "\n; select 1 --*/");
    require(more.kind == VERB_OTHER || verb_equal(&v, &more));
    free(sql);
    return 0;
}
