/*
 * route.c: see route.h. What cannot be proved harmless goes to the primary.
 * Thread: any (no state).
 */
#include "shard/route.h"

#include <ctype.h>
#include <strings.h>

/* Reasons for the primary that do not come from writing. */
#define HARMLESS_REASONS (REASON_TRANSACTION | REASON_SESSION | REASON_SETTING | REASON_CURSOR)

static const struct route to_replica = {.role = ROUTE_REPLICA, .writes = false, .why = "reads only"};

static struct route to_primary(const char *why, bool writes)
{
    return (struct route){.role = ROUTE_PRIMARY, .writes = writes, .why = why};
}

static struct route by_functions(const struct stmt *s, const struct route_facts *facts)
{
    if (facts->hint == HINT_REPLICA)
        return to_replica;
    for (size_t i = 0; i < s->function_count; i++) {
        enum route_function f = facts->function(facts->arg, s->functions[i].schema, s->functions[i].name);
        if (f == FUNCTION_LISTED_WRITES)
            return to_primary("calls a function of write_functions", true);
        if (f == FUNCTION_VOLATILE)
            return to_primary("calls a volatile function", true);
        if (f == FUNCTION_UNKNOWN && s->functions[i].class == CLASS_UNLISTED)
            return to_primary("calls a function that is not known yet", true);
    }
    return to_replica;
}

static struct route by_relations(const struct stmt *s, const struct route_facts *facts)
{
    if (facts->hint == HINT_REPLICA)
        return to_replica;
    for (size_t i = 0; i < s->table_count; i++) {
        switch (facts->relation(facts->arg, s->tables[i].schema, s->tables[i].name)) {
        case RELATION_READS:
            break;
        case RELATION_PRIMARY:
            return to_primary("reads a relation that replicas do not have as it is", false);
        case RELATION_WRITES:
            return to_primary("reads a view or a policy over a volatile function", true);
        case RELATION_UNKNOWN:
            return to_primary("reads a relation that is not known yet", true);
        }
    }
    return to_replica;
}

static struct route of_one(const struct stmt *s, const struct route_facts *facts)
{
    uint32_t reasons = s->reasons & ~(facts->in_block ? (uint32_t)REASON_CURSOR : 0);

    if (reasons != 0)
        return to_primary(stmt_reason_text(reasons), (reasons & ~(uint32_t)HARMLESS_REASONS) != 0);
    if (s->cursor_options & CURSOR_HOLD)
        return to_primary("makes a cursor that outlives the transaction", false);
    struct route r = by_functions(s, facts);
    if (r.role == ROUTE_REPLICA)
        r = by_relations(s, facts);
    if (r.role == ROUTE_REPLICA && s->body != NULL)
        return of_one(s->body, facts);
    return r;
}

static bool is_word(const char *text, size_t len, const char *word)
{
    return len == strlen(word) && strncasecmp(text, word, len) == 0;
}

enum route_hint route_hint_of(const char *text, size_t len)
{
    while (len > 0 && isspace((unsigned char)*text)) {
        text++;
        len--;
    }
    while (len > 0 && isspace((unsigned char)text[len - 1]))
        len--;
    return is_word(text, len, "primary") ? HINT_PRIMARY : is_word(text, len, "replica") ? HINT_REPLICA : HINT_NONE;
}

struct route route_of(const struct stmt_list *list, const struct route_facts *facts)
{
    struct route result = to_replica;

    for (size_t i = 0; i < list->count; i++) {
        struct route r = of_one(list->stmts[i], facts);
        if (r.role == ROUTE_PRIMARY && result.role == ROUTE_REPLICA)
            result = r;
        result.writes |= r.writes;
    }
    if (facts->hint == HINT_PRIMARY && result.role == ROUTE_REPLICA)
        result = to_primary("a hint says so", result.writes);
    return result;
}
