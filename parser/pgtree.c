/*
 * pgtree.c: see pgtree.h. The text goes to libpg_query, which answers with a serialized tree; the tree is unpacked into
 * an arena of its own, read, and thrown away as a whole. Only the statements stay.
 * Thread: any (no state).
 */
#include "parser/pgtree.h"

#include "parser/pgtree_parts.h"

#include <pg_query.h>
#include <stdio.h>

/* --- the tree's memory: freed as a whole --- */

static void *tree_alloc(void *arena, size_t size_bytes)
{
    return arena_alloc(arena, size_bytes);
}

static void tree_free(void *arena, void *piece)
{
    (void)arena;
    (void)piece;
}

/* --- what all statements have --- */

const char *walk_strdup(struct walk *w, const char *text)
{
    return text == NULL || *text == '\0' ? NULL : arena_strndup(w->arena, text, strlen(text));
}

void walk_reason(struct walk *w, uint32_t reasons)
{
    w->s->reasons |= reasons;
}

const char *node_string(const Node *node)
{
    return node->node_case == NODE(STRING) ? node->string->sval : "";
}

struct stmt *read_stmt(const char *sql, size_t len, struct arena *arena, const Node *node)
{
    struct stmt *s = arena_alloc(arena, sizeof *s);
    struct walk w = {.sql = sql, .len = len, .arena = arena, .s = s};

    s->kind = node == NULL ? STMT_EMPTY : kind_of(node);
    s->reasons = stmt_kind_reasons(s->kind);
    s->effects = stmt_kind_effects(s->kind);
    if (node != NULL)
        read_by_kind(&w, node);
    if (node != NULL && node->node_case == NODE(SELECT_STMT))
        s->outline = outline_of(&w, node->select_stmt);
    return s;
}

/* --- a text --- */

static void read_tree(struct stmt_list *list, const char *sql, size_t len, const PgQuery__ParseResult *tree)
{
    list->count = MAX(tree->n_stmts, 1);
    list->stmts = arena_alloc(&list->arena, list->count * sizeof(struct stmt *));
    for (size_t i = 0; i < list->count; i++) {
        const PgQuery__RawStmt *raw = i < tree->n_stmts ? tree->stmts[i] : NULL;
        struct stmt *s = read_stmt(sql, len, &list->arena, raw == NULL ? NULL : raw->stmt);
        s->start = raw == NULL ? 0 : (uint32_t)raw->stmt_location;
        /* The last one's length is 0 where nothing follows it. */
        s->len = raw == NULL || raw->stmt_len == 0 ? (uint32_t)len - s->start : (uint32_t)raw->stmt_len;
        list->stmts[i] = s;
    }
}

static struct stmt_list *list_of(const char *sql, size_t len, PgQueryProtobuf packed)
{
    struct arena memory = {.chunks = NULL};
    ProtobufCAllocator allocator = {.alloc = tree_alloc, .free = tree_free, .allocator_data = &memory};
    PgQuery__ParseResult *tree = pg_query__parse_result__unpack(&allocator, packed.len, (const uint8_t *)packed.data);
    struct arena arena = {.chunks = NULL};
    struct stmt_list *list = arena_alloc(&arena, sizeof *list);

    list->arena = arena;
    if (tree == NULL)
        abort(); /* what it has just packed it can unpack: memory is broken */
    read_tree(list, sql, len, tree);
    arena_free(&memory);
    return list;
}

static void refuse(struct pgtree_error *err, const char *message, int cursor)
{
    err->status = PGTREE_REFUSED;
    err->cursor = (uint32_t)MAX(cursor, 0);
    snprintf(err->message, sizeof err->message, "%s", message);
}

struct stmt_list *pgtree_parse(const char *sql, size_t len, struct pgtree_error *err)
{
    struct stmt_list *list = NULL;

    if (len > PGTREE_BYTES_MAX) {
        *err = (struct pgtree_error){.status = PGTREE_TOO_LARGE};
        return NULL;
    }
    if (memchr(sql, '\0', len) != NULL) {
        refuse(err, "a NUL stands in the text", 0);
        return NULL;
    }

    char *text = mem_strndup(sql, len);
    PgQueryProtobufParseResult result = pg_query_parse_protobuf(text);

    if (result.error != NULL)
        refuse(err, result.error->message, result.error->cursorpos);
    else
        list = list_of(text, len, result.parse_tree);
    pg_query_free_protobuf_parse_result(result);
    free(text);
    return list;
}
