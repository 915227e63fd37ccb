/*
 * key.c: see key.h. Types are resolved as PostgreSQL does for "key = value" and for an assignment to the key, as far as
 * that is certain: a text without a type takes the key's, and so does a parameter that nobody declares.
 * Thread: any (no state).
 */
#include "shard/key.h"

#include <ctype.h>
#include <strings.h>

#define OID_UNKNOWN 705
#define OID_NUMERIC 1700
#define UUID_BYTES 16
#define NUMERIC_BASE 10000
#define NUMERIC_NEGATIVE 0x4000
#define EXACT_IN_FLOAT (INT64_C(1) << 53) /* whole numbers up to here */
#define NAME_BYTES 64                     /* a name is cut to fewer */

static const struct {
    const char *name;
    enum key_type type;
} names[] = {
    {"int2", KEY_INT2},
    {"smallint", KEY_INT2},
    {"int4", KEY_INT4},
    {"int", KEY_INT4},
    {"integer", KEY_INT4},
    {"int8", KEY_INT8},
    {"bigint", KEY_INT8},
    {"text", KEY_TEXT},
    {"varchar", KEY_VARCHAR},
    {"character varying", KEY_VARCHAR},
    {"uuid", KEY_UUID},
    {"date", KEY_DATE},
    {"timestamp", KEY_TIMESTAMP},
    {"timestamp without time zone", KEY_TIMESTAMP},
    {"timestamptz", KEY_TIMESTAMPTZ},
    {"timestamp with time zone", KEY_TIMESTAMPTZ},
    {"bool", KEY_BOOL},
    {"boolean", KEY_BOOL},
};

static const struct {
    const char *name;
    uint32_t oid;
    uint8_t bytes; /* of a binary value; 0: any */
} types[] = {
    [KEY_UNKNOWN] = {"", 0, 0},
    [KEY_INT2] = {"int2", 21, 2},
    [KEY_INT4] = {"int4", 23, 4},
    [KEY_INT8] = {"int8", 20, 8},
    [KEY_TEXT] = {"text", 25, 0},
    [KEY_VARCHAR] = {"varchar", 1043, 0},
    [KEY_UUID] = {"uuid", 2950, UUID_BYTES},
    [KEY_DATE] = {"date", 1082, 4},
    [KEY_TIMESTAMP] = {"timestamp", 1114, 8},
    [KEY_TIMESTAMPTZ] = {"timestamptz", 1184, 8},
    [KEY_BOOL] = {"bool", 16, 1},
};

/* --- types --- */

enum key_type key_type_of_name(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i].name, name) == 0)
            return names[i].type;
    return KEY_UNKNOWN;
}

enum key_type key_type_of_oid(uint32_t oid)
{
    for (size_t i = KEY_INT2; i < ARRAY_LEN(types); i++)
        if (types[i].oid == oid)
            return (enum key_type)i;
    return KEY_UNKNOWN;
}

const char *key_type_name(enum key_type type)
{
    return types[type].name;
}

bool key_type_is_integer(enum key_type type)
{
    return type >= KEY_INT2 && type <= KEY_INT8;
}

bool key_type_is_text(enum key_type type)
{
    return type == KEY_TEXT || type == KEY_VARCHAR;
}

bool key_types_agree(enum key_type a, enum key_type b)
{
    if (key_type_is_integer(a))
        return key_type_is_integer(b);
    return key_type_is_text(a) ? key_type_is_text(b) : a == b && a != KEY_UNKNOWN;
}

/* --- results --- */

static struct key_value doubtful(const struct key_reader *r)
{
    return (struct key_value){.certainty = KEY_DOUBTFUL, .type = r->type};
}

static struct key_value null(const struct key_reader *r)
{
    return (struct key_value){.certainty = KEY_NULL, .type = r->type};
}

static struct key_value number(const struct key_reader *r, int64_t v)
{
    return (struct key_value){.certainty = KEY_CERTAIN, .type = r->type, .number = v};
}

static struct key_value bytes(const struct key_reader *r, struct span b)
{
    return (struct key_value){.certainty = KEY_CERTAIN, .type = r->type, .bytes = b};
}

static bool is_ascii(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] >= 0x80)
            return false;
    return true;
}

/* --- texts as input functions read them --- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct span trim(struct span text)
{
    while (text.len > 0 && is_blank(text.ptr[text.len - 1]))
        text.len--;
    while (text.len > 0 && is_blank(*text.ptr)) {
        text.ptr++;
        text.len--;
    }
    return text;
}

/* Digits with or without a sign; false where they do not fit, too. */
static bool read_integer(struct span text, bool negative, int64_t *v)
{
    int64_t n = 0;

    if (text.len > 0 && (*text.ptr == '-' || *text.ptr == '+')) {
        negative ^= *text.ptr == '-';
        text.ptr++;
        text.len--;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!isdigit(text.ptr[i]) || __builtin_mul_overflow(n, 10, &n))
            return false;
        /* Below zero, where there is one more. */
        if (__builtin_sub_overflow(n, text.ptr[i] - '0', &n))
            return false;
    }
    if (text.len == 0 || (!negative && n == INT64_MIN))
        return false;
    *v = negative ? n : -n;
    return true;
}

static int hex_digit(uint8_t c)
{
    return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

/* 32 digits in either case, with hyphens behind any four, in braces or not. */
static bool read_uuid(struct span text, uint8_t uuid[UUID_BYTES])
{
    const uint8_t *p = text.ptr, *end = p + text.len;
    bool braces = text.len > 2 && *p == '{' && end[-1] == '}';

    p += braces;
    end -= braces;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (i > 0 && i % 2 == 0 && p < end && *p == '-')
            p++;
        if (end - p < 2 || hex_digit(p[0]) < 0 || hex_digit(p[1]) < 0)
            return false;
        uuid[i] = (uint8_t)(hex_digit(p[0]) << 4 | hex_digit(p[1]));
        p += 2;
    }
    return p == end;
}

static struct key_value uuid_value(const struct key_reader *r, const uint8_t uuid[UUID_BYTES])
{
    buf_consume(r->scratch, buf_used(r->scratch));
    buf_put(r->scratch, uuid, UUID_BYTES);
    return bytes(r, span_of(buf_head(r->scratch), UUID_BYTES));
}

static bool read_bool(struct span text, bool *v)
{
    static const char *const words[] = {"f", "t", "false", "true", "no", "yes", "n", "y", "off", "on", "0", "1"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (text.len == strlen(words[i]) && strncasecmp((const char *)text.ptr, words[i], text.len) == 0) {
            *v = i % 2 == 1;
            return true;
        }
    }
    return false;
}

static struct key_value text_value(const struct key_reader *r, struct span text)
{
    if (!r->utf8 && !is_ascii(text))
        return doubtful(r);
    /* A column of a certain length takes it without the blanks that are too many. */
    if (r->assigned && r->type == KEY_VARCHAR && text.len > 0 && text.ptr[text.len - 1] == ' ')
        return doubtful(r);
    return bytes(r, text);
}

struct key_value key_of_text(const struct key_reader *r, struct span text)
{
    uint8_t uuid[UUID_BYTES];
    int64_t v;
    bool is;

    switch (r->type) {
    case KEY_INT2:
    case KEY_INT4:
    case KEY_INT8:
        return read_integer(trim(text), false, &v) ? number(r, v) : doubtful(r);
    case KEY_TEXT:
    case KEY_VARCHAR:
        return text_value(r, text);
    case KEY_UUID:
        return read_uuid(text, uuid) ? uuid_value(r, uuid) : doubtful(r);
    case KEY_DATE:
        return key_read_date(text, &v) ? number(r, v) : doubtful(r);
    case KEY_TIMESTAMP:
    case KEY_TIMESTAMPTZ:
        return key_read_timestamp(text, r->type == KEY_TIMESTAMPTZ, &v) ? number(r, v) : doubtful(r);
    case KEY_BOOL:
        return read_bool(trim(text), &is) ? number(r, is) : doubtful(r);
    case KEY_UNKNOWN:
        break;
    }
    return doubtful(r);
}

struct key_value key_of_bool(const struct key_reader *r, bool value)
{
    return r->type == KEY_BOOL ? number(r, value) : doubtful(r);
}

/* --- literals --- */

/* The escapes of E'' that stand for one character whatever the encoding; 0 for the others. */
static uint8_t escaped(uint8_t c)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    const char *found = strchr(from, c);

    if (c != '\0' && found != NULL)
        return (uint8_t)to[found - from];
    return isalnum(c) ? 0 : c;
}

/* What stands between the quotes, with pairs of quotes and escapes resolved. */
static bool resolve_quotes(struct buf *out, struct span inside, bool escapes)
{
    const uint8_t *p = inside.ptr, *end = p + inside.len;

    buf_consume(out, buf_used(out));
    for (; p < end; p++) {
        uint8_t c = *p;
        if (c == '\'') {
            p++;
        } else if (c == '\\' && escapes) {
            c = ++p == end ? 0 : escaped(*p);
            if (c == 0)
                return false;
        }
        buf_put_u8(out, c);
    }
    return true;
}

/* Between the quotes, as written. */
static bool string_raw(const struct key_literal *l, struct span *inside)
{
    const struct token *t = &l->token;
    const uint8_t *p = (const uint8_t *)l->sql + t->start;
    size_t len = t->len;

    if (t->flags & (TOKEN_CONTINUED | TOKEN_COMMENTED))
        return false;
    if (t->kind == TOKEN_DOLLAR) {
        const uint8_t *tag_end = memchr(p + 1, '$', len - 1);
        size_t tag = (size_t)(tag_end - p) + 1;
        *inside = span_of(p + tag, len - 2 * tag);
        return true;
    }
    if (t->kind != TOKEN_STRING && t->kind != TOKEN_ESTRING)
        return false;
    size_t mark = *p == '\'' ? 1 : 2; /* the E, too */
    *inside = span_of(p + mark, len - mark - 1);
    return true;
}

static bool is_plain(const struct token *t)
{
    return (t->flags & (TOKEN_DOUBLED | TOKEN_ESCAPED)) == 0;
}

bool key_literal_inside(const struct key_literal *l, struct span *inside)
{
    return is_plain(&l->token) && string_raw(l, inside);
}

static bool string_inside(const struct key_reader *r, const struct key_literal *l, struct span *inside)
{
    if (!string_raw(l, inside))
        return false;
    if (is_plain(&l->token))
        return true;
    if (!resolve_quotes(r->scratch, *inside, l->token.kind == TOKEN_ESTRING))
        return false;
    *inside = span_of(r->scratch->data == NULL ? NULL : buf_head(r->scratch), buf_used(r->scratch));
    return true;
}

static bool cast_agrees(const struct key_reader *r, const char *cast)
{
    return cast == NULL || key_types_agree(r->type, key_type_of_name(cast));
}

struct key_value key_of_literal(const struct key_reader *r, const struct key_literal *l)
{
    enum token_kind kind = (enum token_kind)l->token.kind;
    struct span inside;
    int64_t v;

    if (!cast_agrees(r, l->cast))
        return doubtful(r);
    if (kind == TOKEN_INTEGER || kind == TOKEN_LARGE) {
        struct span digits = span_of(l->sql + l->token.start, l->token.len);
        /* The least int8 is a numeric to PostgreSQL, which reads the digits before the sign. */
        bool fits = key_type_is_integer(r->type) && read_integer(digits, l->negated, &v) && v != INT64_MIN;
        return fits ? number(r, v) : doubtful(r);
    }
    if (l->negated || !string_inside(r, l, &inside))
        return doubtful(r);
    return key_of_text(r, inside);
}

struct key_value key_of_whole(const struct key_reader *r, int64_t v, const char *cast)
{
    return cast_agrees(r, cast) && key_type_is_integer(r->type) ? number(r, v) : doubtful(r);
}

/* --- parameters --- */

static int64_t signed_at(const uint8_t *p, size_t size_bytes)
{
    if (size_bytes == 2)
        return (int16_t)be16_at(p);
    if (size_bytes == 4)
        return (int32_t)be32_at(p);
    return (int64_t)((uint64_t)be32_at(p) << 32 | be32_at(p + 4));
}

/* A numeric that is a whole number and fits. */
static bool read_numeric(struct span b, int64_t *v)
{
    struct reader in = reader_of(b.ptr, b.len);
    uint16_t digits = reader_u16(&in);
    int weight = (int16_t)reader_u16(&in);
    uint16_t sign = reader_u16(&in);
    int64_t n = 0;

    reader_u16(&in); /* how many digits to show behind the point */
    if (in.bad || (sign != 0 && sign != NUMERIC_NEGATIVE) || weight > 5 || digits > weight + 1)
        return false;
    for (int i = 0; digits > 0 && i <= weight; i++) {
        int64_t digit = i < digits ? reader_u16(&in) : 0;
        if (__builtin_mul_overflow(n, NUMERIC_BASE, &n) || __builtin_add_overflow(n, digit, &n))
            return false;
    }
    *v = sign == 0 ? n : -n;
    return reader_done(&in);
}

static struct key_value numeric_value(const struct key_reader *r, const struct key_param *p)
{
    int64_t v;

    /* In a list, it would be the others' type, too. */
    if (!key_type_is_integer(r->type) || r->listed || p->cast != NULL || p->negated)
        return doubtful(r);
    return (p->binary ? read_numeric(p->bytes, &v) : read_integer(trim(p->bytes), false, &v)) ? number(r, v)
                                                                                              : doubtful(r);
}

static struct key_value binary_value(const struct key_reader *r, const struct key_param *p, enum key_type type)
{
    size_t len = p->bytes.len;

    if (key_type_is_text(r->type))
        return text_value(r, p->bytes);
    if (key_type_is_integer(r->type)) {
        /* Where nobody says the type it is the column's, whose length this must be. */
        bool fits = type == KEY_UNKNOWN ? len == types[r->type].bytes : len == types[type].bytes;
        return fits ? number(r, signed_at(p->bytes.ptr, len)) : doubtful(r);
    }
    if (len != types[r->type].bytes)
        return doubtful(r);
    if (r->type == KEY_UUID)
        return uuid_value(r, p->bytes.ptr);
    return number(r, r->type == KEY_BOOL ? *p->bytes.ptr != 0 : signed_at(p->bytes.ptr, len));
}

static struct key_value negated(struct key_value v)
{
    if (v.certainty == KEY_CERTAIN && __builtin_sub_overflow(0, v.number, &v.number))
        v.certainty = KEY_DOUBTFUL;
    return v;
}

/* Of a parameter whose type may be another column's (numeric, float8, bpchar, name, a timestamp of the other kind):
 * true if its text means the same value in all of them that can be compared with the key. */
static bool is_same_in_all(const struct key_reader *r, const struct key_param *p, const struct key_value *v)
{
    size_t len = p->bytes.len;

    if (p->binary)
        return false;
    if (key_type_is_integer(r->type))
        return v->number >= -EXACT_IN_FLOAT && v->number <= EXACT_IN_FLOAT;
    if (key_type_is_text(r->type))
        return len < NAME_BYTES && (len == 0 || p->bytes.ptr[len - 1] != ' ');
    return r->type == KEY_UUID || r->type == KEY_BOOL;
}

struct key_value key_of_param(const struct key_reader *r, const struct key_param *p)
{
    bool declared = p->oid != 0 && p->oid != OID_UNKNOWN;
    enum key_type type = declared ? key_type_of_oid(p->oid) : p->cast != NULL ? key_type_of_name(p->cast) : KEY_UNKNOWN;

    if (r->type == KEY_UNKNOWN)
        return doubtful(r);
    if (p->null)
        return null(r);
    if (declared && p->oid == OID_NUMERIC)
        return numeric_value(r, p);
    if (!cast_agrees(r, p->cast) || ((declared || p->cast != NULL) && !key_types_agree(r->type, type)))
        return doubtful(r);
    /* What a minus makes of a parameter without a type is the server's to say. */
    if (p->negated && (type == KEY_UNKNOWN || !key_type_is_integer(r->type)))
        return doubtful(r);

    struct key_value v = p->binary ? binary_value(r, p, type) : key_of_text(r, p->bytes);

    if (!declared && p->shared && v.certainty == KEY_CERTAIN && !is_same_in_all(r, p, &v))
        return doubtful(r);
    return p->negated ? negated(v) : v;
}

/* --- order --- */

int key_compare(const struct key_value *a, const struct key_value *b)
{
    assert(a->certainty == KEY_CERTAIN && b->certainty == KEY_CERTAIN && key_types_agree(a->type, b->type));
    if (!key_type_is_text(a->type) && a->type != KEY_UUID)
        return (a->number > b->number) - (a->number < b->number);

    size_t common = MIN(a->bytes.len, b->bytes.len);
    int order = common == 0 ? 0 : memcmp(a->bytes.ptr, b->bytes.ptr, common);

    return order != 0 ? order : (a->bytes.len > b->bytes.len) - (a->bytes.len < b->bytes.len);
}
