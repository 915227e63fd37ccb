/*
 * finding_sequence.c: where the sequences lie that a statement calls by name: those of a table on one shard are there,
 * all others on the first. Several shards draw from a sequence of a table by key in steps, which setval would end.
 * Thread: worker.
 */
#include "proxy/finding.h"

#include "proxy/catalog.h"

#include <ctype.h>

#define HOME ((shardset)1)

/* A name as SQL writes it, perhaps with its schema. */
struct sequence_name {
    char schema[NAME_MAX_BYTES + 1]; /* "": none */
    char name[NAME_MAX_BYTES + 1];
};

/* The next part of a name, and what is behind it; NULL: it is none. */
static const char *take_part(const char *p, char part[NAME_MAX_BYTES + 1])
{
    bool quoted = *p == '"';
    size_t len = 0;

    for (p += quoted; *p != '\0' && (quoted || *p != '.') && len < NAME_MAX_BYTES; p++) {
        if (quoted && *p == '"' && *++p != '"')
            break;
        part[len++] = quoted ? *p : (char)tolower((unsigned char)*p);
    }
    part[len] = '\0';
    return len > 0 && (*p == '\0' || *p == '.') ? p : NULL;
}

static bool read_name(const char *text, struct sequence_name *n)
{
    const char *p = take_part(text, n->name);

    n->schema[0] = '\0';
    if (p == NULL || *p == '\0')
        return p != NULL;
    memcpy(n->schema, n->name, sizeof n->schema);
    p = take_part(p + 1, n->name);
    return p != NULL && *p == '\0';
}

static bool name_of(const struct finding *f, const struct stmt *s, const struct stmt_function *call,
                    struct sequence_name *n)
{
    struct key_param *params;
    struct keyset_text text = finding_text(f, &params);
    struct buf out = {0};
    bool found = call->arg_count > 0 && keyset_string(&text, &s->values[call->arg], &out) &&
                 read_name((const char *)buf_head(&out), n);

    buf_free(&out);
    free(params);
    return found;
}

static const struct map_table *owner_of(const struct finding *f, const struct catalog_sequence *q)
{
    char schema[NAME_MAX_BYTES + 1], name[NAME_MAX_BYTES + 1];

    snprintf(schema, sizeof schema, "%.*s", (int)q->table_schema.len, (const char *)q->table_schema.ptr);
    snprintf(name, sizeof name, "%.*s", (int)q->table.len, (const char *)q->table.ptr);
    return map_table_find(f->map, schema, name);
}

static bool is_drawn_at_home(const struct map_table *t, const struct catalog_sequence *q)
{
    return t->draws_home && strlen(t->column) == q->column.len && memcmp(t->column, q->column.ptr, q->column.len) == 0;
}

static void check_setting(struct finding *f, const struct map_table *t, const struct catalog_sequence *q)
{
    if (t != NULL && t->way == MAP_BY_KEY && !is_drawn_at_home(t, q))
        finding_refuse(f, "Name one shard after the other: /* sluice: shard=NAME */; then run sluice shards --apply.",
                       "each shard has steps of its own in the sequence that setval would set");
}

static shardset place_of(struct finding *f, const struct stmt *s, const struct stmt_function *call)
{
    bool sets = strcmp(call->name, "setval") == 0;
    struct catalog_sequence q;
    struct sequence_name n;

    if (!name_of(f, s, call, &n)) {
        if (sets)
            finding_refuse(f, "Write its name as a literal.", "it is not certain which sequence setval would set");
        return HOME;
    }
    if (catalog_sequence(f->c->db, n.schema[0] == '\0' ? NULL : n.schema, n.name, &q) != CATALOG_ONE)
        return HOME;
    const struct map_table *t = owner_of(f, &q);
    if (sets)
        check_setting(f, t, &q);
    return t != NULL && t->way == MAP_ON_SHARD ? (shardset)1 << t->shard : HOME;
}

shardset finding_sequences(struct finding *f, const struct stmt *s)
{
    shardset set = 0;

    for (size_t i = 0; i < s->function_count; i++)
        if (s->functions[i].class == CLASS_SEQUENCE || s->functions[i].class == CLASS_SEQUENCE_SEEN)
            set |= place_of(f, s, &s->functions[i]);
    return set == 0 ? HOME : set;
}
