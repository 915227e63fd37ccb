/*
 * key_array.c: the elements of an array of keys, as in id = ANY ($1): one dimension, in text or binary. What would need
 * a backslash or another dimension to be read is not certain.
 * Thread: any (no state).
 */
#include "shard/key.h"

#include <strings.h>

#define ELEMENTS_MAX 100000

static const struct {
    uint32_t oid;
    enum key_type type;
} arrays[] = {
    {1005, KEY_INT2}, {1007, KEY_INT4}, {1016, KEY_INT8}, {1009, KEY_TEXT},      {1015, KEY_VARCHAR},
    {2951, KEY_UUID}, {1182, KEY_DATE}, {1000, KEY_BOOL}, {1115, KEY_TIMESTAMP}, {1185, KEY_TIMESTAMPTZ},
};

static enum key_type element_of_oid(uint32_t oid)
{
    for (size_t i = 0; i < ARRAY_LEN(arrays); i++)
        if (arrays[i].oid == oid)
            return arrays[i].type;
    return KEY_UNKNOWN;
}

/* "int8[]": int8. */
static enum key_type element_of_name(const char *name)
{
    char element[64];
    size_t len = strlen(name);

    if (len < 3 || len >= sizeof element || strcmp(name + len - 2, "[]") != 0)
        return KEY_UNKNOWN;
    memcpy(element, name, len - 2);
    element[len - 2] = '\0';
    return key_type_of_name(element);
}

/* --- text --- */

struct array_text {
    const uint8_t *at;
    const uint8_t *end;
};

static void pass_blanks(struct array_text *a)
{
    while (a->at < a->end && (*a->at == ' ' || (*a->at >= '\t' && *a->at <= '\r')))
        a->at++;
}

/* An element in quotes, which *element then is without. */
static bool take_quoted(struct array_text *a, struct span *element)
{
    const uint8_t *begin = ++a->at;

    while (a->at < a->end && *a->at != '"' && *a->at != '\\')
        a->at++;
    if (a->at == a->end || *a->at == '\\')
        return false;
    *element = span_of(begin, (size_t)(a->at++ - begin));
    pass_blanks(a);
    return true;
}

static bool take_plain(struct array_text *a, struct span *element)
{
    const uint8_t *begin = a->at, *last;

    while (a->at < a->end && *a->at != ',' && *a->at != '}') {
        if (strchr("{\"\\", *a->at) != NULL)
            return false;
        a->at++;
    }
    for (last = a->at; last > begin && (last[-1] == ' ' || (last[-1] >= '\t' && last[-1] <= '\r'));)
        last--;
    *element = span_of(begin, (size_t)(last - begin));
    return last > begin;
}

static bool is_null(struct span element)
{
    return element.len == 4 && strncasecmp((const char *)element.ptr, "null", 4) == 0;
}

/* One element, and the sign behind it. */
static bool take_element(const struct key_reader *r, struct array_text *a, key_each_fn *each, void *arg)
{
    struct key_value v = {.certainty = KEY_NULL, .type = r->type};
    struct span element;
    bool quoted;

    pass_blanks(a);
    quoted = a->at < a->end && *a->at == '"';
    if (!(quoted ? take_quoted(a, &element) : take_plain(a, &element)))
        return false;
    if (quoted || !is_null(element))
        v = key_of_text(r, element);
    else if (key_type_is_text(r->type))
        return false; /* array_nulls may be off */
    each(arg, &v);
    return v.certainty != KEY_DOUBTFUL && a->at < a->end && (*a->at == ',' || *a->at == '}');
}

static bool read_text(const struct key_reader *r, struct span text, key_each_fn *each, void *arg)
{
    struct array_text a = {.at = text.ptr, .end = text.ptr + text.len};

    pass_blanks(&a);
    if (a.at == a.end || *a.at++ != '{')
        return false;
    pass_blanks(&a);
    if (a.at < a.end && *a.at == '}') {
        a.at++;
    } else {
        do {
            if (!take_element(r, &a, each, arg))
                return false;
        } while (*a.at++ == ',');
    }
    pass_blanks(&a);
    return a.at == a.end;
}

bool key_array_of_literal(const struct key_reader *r, const struct key_literal *l, key_each_fn *each, void *arg)
{
    struct span inside;

    if (l->cast != NULL && !key_types_agree(r->type, element_of_name(l->cast)))
        return false;
    return !l->negated && key_literal_inside(l, &inside) && read_text(r, inside, each, arg);
}

/* --- binary --- */

static bool read_element(const struct key_reader *r, struct reader *in, uint32_t oid, key_each_fn *each, void *arg)
{
    struct key_param p = {.oid = oid, .binary = true};
    uint32_t len = reader_u32(in);

    p.null = len == UINT32_MAX;
    if (!p.null)
        p.bytes = reader_bytes(in, len);
    if (in->bad)
        return false;

    struct key_value v = key_of_param(r, &p);

    each(arg, &v);
    return v.certainty != KEY_DOUBTFUL;
}

static bool read_binary(const struct key_reader *r, struct span bytes, enum key_type type, key_each_fn *each, void *arg)
{
    struct reader in = reader_of(bytes.ptr, bytes.len);
    uint32_t dimensions = reader_u32(&in), oid, count = 0;

    reader_u32(&in); /* whether there are NULLs */
    oid = reader_u32(&in);
    if (in.bad || dimensions > 1 || !key_types_agree(r->type, key_type_of_oid(oid)) ||
        (type != KEY_UNKNOWN && key_type_of_oid(oid) != type))
        return false;
    if (dimensions == 1) {
        count = reader_u32(&in);
        reader_u32(&in); /* the first index */
    }
    if (count > ELEMENTS_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!read_element(r, &in, oid, each, arg))
            return false;
    return reader_done(&in);
}

bool key_array_of_param(const struct key_reader *r, const struct key_param *p, key_each_fn *each, void *arg)
{
    bool declared = element_of_oid(p->oid) != KEY_UNKNOWN;
    enum key_type type = declared ? element_of_oid(p->oid) : p->cast != NULL ? element_of_name(p->cast) : KEY_UNKNOWN;

    if (p->null)
        return true; /* no element */
    if ((p->oid != 0 && !declared) || p->negated || (!declared && p->shared))
        return false;
    if (p->cast != NULL && !key_types_agree(r->type, element_of_name(p->cast)))
        return false;
    if ((declared || p->cast != NULL) && !key_types_agree(r->type, type))
        return false;
    return p->binary ? read_binary(r, p->bytes, type, each, arg) : read_text(r, p->bytes, each, arg);
}
