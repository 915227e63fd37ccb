/*
 * alike.c: see alike.h.
 * Thread: worker.
 */
#include "parser/alike.h"

#include "parser/values.h"
#include "parser/word.h"

#define BEGINNING_MAX 64 /* bytes of a text that choose its set */
#define PLAIN_DIGITS 9   /* of a number that is an integer whatever they are */
#define PUT_EVERY 8      /* of the texts for which another would have to go */

/* --- which set --- */

/* Each literal that is read anew has one of these within its first two bytes. */
static bool begins_value(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || byte == '\'' || byte == '$';
}

static uint64_t value_bytes(uint64_t bytes)
{
    uint64_t low = bytes & ~WORD_HIGH;

    return (word_in_range(low, '0', '9') | word_is_byte(low, '\'') | word_is_byte(low, '$')) & ~bytes;
}

/* How many bytes stand before the first that may be a value's. */
static size_t beginning(struct span text)
{
    size_t max = MIN(text.len, (size_t)BEGINNING_MAX), i = 0;

    for (; i + WORD_PACKED <= max; i += WORD_PACKED) {
        uint64_t found = value_bytes(word_load(text.ptr + i));
        if (found != 0)
            return i + (size_t)__builtin_ctzll(found) / 8;
    }
    while (i < max && !begins_value(text.ptr[i]))
        i++;
    return i;
}

static uint64_t hash_of(const struct cache_key *key)
{
    uint64_t others = ((uint64_t)key->database << 32) ^ ((uint64_t)key->user << 8) ^ key->flags;

    return fingerprint_hash(key->text.ptr, beginning(key->text), others);
}

/* --- is it alike --- */

struct comparison {
    const struct alike_text *t;
    struct lexer lex; /* of the new text */
    size_t at;        /* up to here of t's text, and ... */
    size_t new_at;    /* ... of the new one, all is alike */
};

/* The bytes up to an offset of the text that was put are the same. */
static bool same_up_to(struct comparison *m, size_t end)
{
    size_t len = end - m->at, left = (size_t)(m->lex.end - m->lex.sql) - m->new_at;

    if (len > left || memcmp(m->t->sql + m->at, m->lex.sql + m->new_at, len) != 0)
        return false;
    m->at = end;
    m->new_at += len;
    return true;
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* What stands before a literal reads its first byte. */
static bool begins_alike(const struct comparison *m)
{
    uint8_t old = (uint8_t)m->t->sql[m->at], new = m->lex.sql[m->new_at];

    return m->new_at < (size_t)(m->lex.end - m->lex.sql) && (old == new || (is_digit(old) && is_digit(new)));
}

/* Where the digits from `at` on are all of a number that fits an integer, how many they are; else 0. */
static size_t plain_digits(const struct comparison *m, size_t at)
{
    const uint8_t *p = m->lex.sql + at, *q = p;

    while (q < m->lex.end && is_digit(*q))
        q++;
    bool ends = q == m->lex.end || *q == ' ' || *q == ')' || *q == ',' || *q == ';';
    return ends && q - p <= PLAIN_DIGITS ? (size_t)(q - p) : 0;
}

static bool literal_alike(struct comparison *m, const struct slot *old, struct slot *new)
{
    struct token t;
    enum token_kind kind;
    bool number = token_is_number((enum token_kind)old->token_kind);
    size_t digits = number ? plain_digits(m, m->new_at) : 0;

    if (digits > 0) {
        new->len = (uint32_t)digits;
        new->token_kind = TOKEN_INTEGER;
        new->token_flags = 0;
        return true;
    }
    lex_seek(&m->lex, m->new_at);
    kind = lex_next(&m->lex, &t);
    if (number ? !token_is_number(kind) : kind != old->token_kind)
        return false;
    if (t.start != m->new_at || ((t.flags | old->token_flags) & (TOKEN_CONTINUED | TOKEN_COMMENTED)) != 0 ||
        (token_is_string(kind) && time_may_be(m->lex.sql, &t)))
        return false;
    new->len = t.len;
    new->token_kind = t.kind;
    new->token_flags = t.flags;
    return true;
}

static bool list_alike(struct comparison *m, struct slot *new)
{
    struct run run;

    lex_seek(&m->lex, m->new_at);
    if (!run_of_list(&m->lex, &run) || run.start != m->new_at || run.may_be_now)
        return false;
    new->len = run.end - run.start;
    new->count = run.count;
    return true;
}

static bool slot_is_fixed(const struct slot *s)
{
    return s->kept || s->kind == SLOT_PARAM;
}

/* The next slot of the text that was put, in the new one. */
static bool slot_alike(struct comparison *m, const struct slot *old, struct slot *new)
{
    if (!same_up_to(m, old->start))
        return false;
    *new = *old;
    new->start = (uint32_t)m->new_at;
    if (slot_is_fixed(old))
        return same_up_to(m, (size_t)old->start + old->len);
    if (!begins_alike(m) || !(old->kind == SLOT_LIST ? list_alike(m, new) : literal_alike(m, old, new)))
        return false;
    m->at += old->len;
    m->new_at += new->len;
    return true;
}

static void keep(struct alike *a, const struct alike_text *t, struct span sql)
{
    if (!a->asked || sql.len > sizeof a->found_sql)
        return;
    memcpy(a->found_sql, sql.ptr, sql.len);
    a->found_len = (uint32_t)sql.len;
    a->found_like = t;
}

static bool is_kept(const struct alike *a, const struct alike_text *t, struct span sql)
{
    return a->found_like == t && span_equal(sql, span_of(a->found_sql, a->found_len));
}

static bool is_alike(struct alike *a, const struct alike_text *t, const struct cache_key *key)
{
    struct comparison m = {.t = t};

    a->found_like = NULL;
    lex_init(&m.lex, (const char *)key->text.ptr, key->text.len, key->flags);
    for (uint32_t i = 0; i < t->slot_count; i++)
        if (!slot_alike(&m, &t->slots[i], &a->found[i]))
            return false;
    a->found_count = t->slot_count;
    if (!same_up_to(&m, t->sql_len) || m.new_at != key->text.len)
        return false;
    keep(a, t, key->text);
    return true;
}

/* --- the table --- */

static bool is_of(struct alike *a, const struct alike_text *t, const struct cache_key *key)
{
    return t->shape != NULL && t->database == key->database && t->user == key->user && t->flags == key->flags &&
           !t->shape->dropped && is_alike(a, t, key);
}

static const struct alike_text *find_in_set(struct alike *a, const struct cache_key *key)
{
    uint64_t hash = hash_of(key);
    const struct alike_text *set = a->sets[hash % ALIKE_SETS];

    for (int i = 0; i < ALIKE_WAYS; i++)
        if (set[i].hash == hash && is_of(a, &set[i], key))
            return &set[i];
    return NULL;
}

/* Much of what comes is what came just before: it costs no hash. */
struct shape *alike_find(struct alike *a, const struct cache_key *key)
{
    if (a->last == NULL || !is_of(a, a->last, key)) {
        const struct alike_text *t = find_in_set(a, key);
        if (t == NULL)
            return NULL;
        a->last = t;
    }
    cache_use(a->last->shape);
    return a->last->shape;
}

bool alike_is(struct alike *a, const struct cache_key *key, const struct shape *shape)
{
    const struct alike_text *t = shape->like;

    a->asked = true;
    return t != NULL && t->database == key->database && t->user == key->user && t->flags == key->flags &&
           (is_kept(a, t, key->text) || is_alike(a, t, key));
}

static void drop(struct alike_text *t, struct cache *c)
{
    if (t->shape != NULL && t->shape->like == t)
        t->shape->like = NULL;
    if (t->shape != NULL)
        cache_release(c, t->shape);
    free(t->slots);
    *t = (struct alike_text){.shape = NULL};
}

/* An empty place; where there is none, another's, but seldom: texts that are never like another must not drive out
 * those that are. NULL: none this time. */
static struct alike_text *place_for(struct alike *a, struct alike_text *set, struct cache *c)
{
    for (int i = 0; i < ALIKE_WAYS; i++) {
        if (set[i].shape != NULL && set[i].shape->dropped)
            drop(&set[i], c);
        if (set[i].shape == NULL)
            return &set[i];
    }
    if (++a->puts % PUT_EVERY != 0)
        return NULL;
    struct alike_text *t = &set[a->puts / PUT_EVERY % ALIKE_WAYS];
    drop(t, c);
    return t;
}

/* The slots can be found again in another text. */
static bool can_be_read_anew(const struct fingerprint *f)
{
    if (f->slot_count > ALIKE_SLOTS_MAX || (f->flags & (FINGERPRINT_CROWDED | FINGERPRINT_UNREADABLE)) != 0)
        return false;
    for (uint32_t i = 0; i < f->slot_count; i++)
        if (f->slots[i].kind == SLOT_ROWS)
            return false;
    return true;
}

void alike_put(struct alike *a, struct cache *c, const struct cache_key *key, const struct fingerprint *f,
               struct shape *shape)
{
    uint64_t hash = hash_of(key);
    struct alike_text *t;

    if (key->text.len > ALIKE_TEXT_MAX || !can_be_read_anew(f) ||
        (t = place_for(a, a->sets[hash % ALIKE_SETS], c)) == NULL)
        return;
    size_t slots_bytes = f->slot_count * sizeof *t->slots;
    a->found_like = NULL;
    cache_hold(shape);
    *t = (struct alike_text){.shape = shape,
                             .hash = hash,
                             .database = key->database,
                             .user = key->user,
                             .flags = key->flags,
                             .sql_len = (uint32_t)key->text.len,
                             .slot_count = f->slot_count,
                             .slots = mem_alloc(slots_bytes + key->text.len + 1)};
    if (slots_bytes > 0)
        memcpy(t->slots, f->slots, slots_bytes);
    memcpy((char *)t->slots + slots_bytes, key->text.ptr, key->text.len);
    t->sql = (const char *)t->slots + slots_bytes;
    shape->like = t;
}

void alike_clear(struct alike *a, struct cache *c)
{
    a->found_like = NULL;
    for (size_t i = 0; i < ALIKE_SETS; i++)
        for (int k = 0; k < ALIKE_WAYS; k++)
            drop(&a->sets[i][k], c);
}
