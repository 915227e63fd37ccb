/*
 * base.h: the small things that every room stands on: checked allocation, intrusive lists, spans, macros.
 * Thread: any (no state).
 */
#ifndef SLUICE_BASE_H
#define SLUICE_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define KIB ((size_t)1024)
#define MIB (KIB * 1024)
#define NAME_MAX_BYTES 63 /* of a name in PostgreSQL: its NAMEDATALEN, less the NUL */
#define USEC_PER_SEC INT64_C(1000000)
#define USEC_PER_MSEC INT64_C(1000)

/* Allocation that cannot fail: a process without memory logs and aborts. The caller owns what is returned. */
void *mem_alloc(size_t size_bytes);
void *mem_zalloc(size_t size_bytes);
void *mem_realloc(void *old, size_t size_bytes);
char *mem_strdup(const char *text);
char *mem_strndup(const char *text, size_t len);
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Bytes that somebody else owns. */
struct span {
    const uint8_t *ptr;
    size_t len;
};

static inline struct span span_of(const void *ptr, size_t len)
{
    return (struct span){.ptr = (const uint8_t *)ptr, .len = len};
}

static inline bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* An intrusive circular list. A node that is in no list points to itself; list_del leaves it so. */
struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_insert_after(struct list *where, struct list *node)
{
    node->next = where->next;
    node->prev = where;
    where->next->prev = node;
    where->next = node;
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_insert_after(head, node);
}

static inline void list_push_back(struct list *head, struct list *node)
{
    list_insert_after(head->prev, node);
}

static inline void list_del(struct list *node)
{
    node->next->prev = node->prev;
    node->prev->next = node->next;
    list_init(node);
}

/* All nodes of one list; what was in `to` is forgotten. */
static inline void list_take(struct list *to, struct list *from)
{
    list_init(to);
    if (list_empty(from))
        return;
    *to = *from;
    to->next->prev = to->prev->next = to;
    list_init(from);
}

/* The first of those that were taken goes back to where it was, as the last there. NULL: none is left. */
static inline struct list *list_give_back(struct list *taken, struct list *head)
{
    struct list *node = taken->next;

    if (node == taken)
        return NULL;
    list_del(node);
    list_push_back(head, node);
    return node;
}

#define LIST_ENTRY(node, type, member) CONTAINER_OF(node, type, member)
#define LIST_FIRST(head, type, member) LIST_ENTRY((head)->next, type, member)
#define LIST_LAST(head, type, member) LIST_ENTRY((head)->prev, type, member)
#define LIST_FOR_EACH(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
#define LIST_FOR_EACH_SAFE(it, head)                                                                                   \
    for (struct list *it = (head)->next, *it##_next = it->next; it != (head); it = it##_next, it##_next = it->next)
/* Those that are in the list now, once each, where any of them may go to other lists meanwhile, not only the one that
 * is looked at (LIST_FOR_EACH_SAFE). The body must neither break nor return. */
#define LIST_ROUND(it, head)                                                                                           \
    for (struct list it##_round, *it = (list_take(&it##_round, head), list_give_back(&it##_round, head)); it != NULL;  \
         it = list_give_back(&it##_round, head))

#endif
