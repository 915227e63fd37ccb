/*
 * refusal.c: see refusal.h.
 * Thread: worker.
 */
#include "proxy/refusal.h"

#include "proxy/carry.h"
#include "proxy/place.h"
#include "proxy/run_limit.h"

#include <stdio.h>

#define NO_STATEMENT "refused by the pooler" /* a syntax error */

struct refusal_text *refusal_new(const char *sqlstate, const char *message, const char *hint)
{
    struct refusal_text *text = mem_zalloc(sizeof *text);

    snprintf(text->sqlstate, sizeof text->sqlstate, "%s", sqlstate);
    snprintf(text->message, sizeof text->message, "%s", message);
    snprintf(text->hint, sizeof text->hint, "%s", hint == NULL ? "" : hint);
    return text;
}

/* JDBC's driver prepares anew by itself if this comes from there. */
struct refusal_text *refusal_outdated(void)
{
    struct refusal_text *text = refusal_new("0A000", "cached plan must not change result type", NULL);

    text->routine = "RevalidateCachedQuery";
    return text;
}

void refusal_send(const struct sending *m, struct refusal_text *text, bool extended)
{
    struct buf *out = &m->s->conn.out;

    if (extended)
        msg_parse(out, "", NO_STATEMENT, span_of(NULL, 0));
    else
        msg_query(out, NO_STATEMENT);
    conn_touch(&m->s->conn);
    m->s->unnamed_asked = 0;
    sending_expect(m, extended ? EXPECT_PARSE : EXPECT_QUERY, EXPECT_FORWARD, EFFECT_REFUSAL, text);
}

void refusal_send_unread(const struct sending *m, const char *sql, struct refusal_text *text)
{
    msg_parse(&m->s->conn.out, "", sql, span_of(NULL, 0));
    sending_expect(m, EXPECT_PARSE, EXPECT_SKIP, EFFECT_UNNAMED, NULL);
    refusal_send(m, text, true);
    msg_empty(&m->s->conn.out, 'S');
    sending_expect(m, EXPECT_SYNC, EXPECT_FORWARD, EFFECT_NONE, NULL);
}

/* --- pins --- */

static struct refusal_text *refuse_pin(uint32_t pins)
{
    char message[sizeof((struct refusal_text *)0)->message];

    snprintf(message, sizeof message, "what outlives its transaction is not allowed here: %s", traces_pin(pins));
    return refusal_new("0A000", message,
                       "It would keep a server for this client alone, which pins = refuse forbids. "
                       "Use it within a transaction, or a database in session pooling.");
}

/* --- sequences --- */

static bool takes_value(const struct stmt *s)
{
    return (traces_of(s) & TRACE_SEQUENCE) != 0;
}

static const char *value_seen(const struct stmt *s)
{
    for (size_t i = 0; i < s->function_count; i++)
        if (s->functions[i].class == CLASS_SEQUENCE_SEEN)
            return s->functions[i].name;
    return s->body == NULL ? NULL : value_seen(s->body);
}

static struct refusal_text *refuse_value(const char *function)
{
    char message[sizeof((struct refusal_text *)0)->message];

    snprintf(message, sizeof message, "%s is not yet defined in this session", function);
    return refusal_new("55000", message,
                       "The session took its last value of a sequence on another server. From now on it keeps its "
                       "server after INSERT and nextval: run that again.");
}

/* currval and lastval tell of the server that they run on: right only where this session was the last to take a value.
 * Where they are used at all, sessions keep their servers from then on (ask.c). */
static struct refusal_text *check_sequence(struct client *c, const struct server *s, const struct stmt_list *list)
{
    const char *function = NULL;

    for (size_t i = 0; i < list->count && function == NULL; i++) {
        if (takes_value(list->stmts[i]))
            return NULL;
        function = value_seen(list->stmts[i]);
    }
    if (function == NULL)
        return NULL;
    __atomic_store_n(&c->db->sequences_seen, 1, __ATOMIC_RELAXED);
    bool right =
        c->sequence_server == 0 ? s->sequence_owner == 0 : c->sequence_server == s->id && s->sequence_owner == c->id;
    return right ? NULL : refuse_value(function);
}

/* --- statements of SQL's PREPARE --- */

static struct refusal_text *check_rows(const struct client *c, struct server *s, const struct stmt_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        if (carry_is_outdated(c, s, list->stmts[i]))
            return refusal_outdated();
    return NULL;
}

struct refusal_text *refusal_of(struct client *c, struct server *s, const struct shape *shape)
{
    const struct stmt_list *list = shape == NULL ? NULL : reading_of(shape)->list;
    uint32_t pins = 0;

    if (list != NULL && (reading_of(shape)->effects & EFFECT_SETTING)) {
        struct refusal_text *refused = run_limit_refuses(c, list);
        if (refused == NULL)
            refused = place_refuses(c, list);
        if (UNLIKELY(refused != NULL))
            return refused;
    }
    if (list == NULL || c->mode == POOL_SESSION || c->replication)
        return NULL;
    if (UNLIKELY(c->worker->config->opt.pins == PINS_REFUSE)) {
        for (size_t i = 0; i < list->count; i++)
            pins |= traces_pinning(list->stmts[i]);
        if (pins != 0)
            return refuse_pin(pins);
    }
    if (UNLIKELY(reading_of(shape)->reasons & REASON_PREPARED) && c->prepares.count > 0) {
        struct refusal_text *outdated = check_rows(c, s, list);
        if (outdated != NULL)
            return outdated;
    }
    return UNLIKELY(reading_of(shape)->reasons & REASON_SEQUENCE) ? check_sequence(c, s, list) : NULL;
}
