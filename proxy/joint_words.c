/*
 * joint_words.c: see joint_words.h.
 * Thread: any (no state).
 */
#include "proxy/joint_words.h"

#include "parser/frame.h"
#include "proxy/journal.h"

#include <string.h>
#include <strings.h>

enum control joint_control_of(const struct stmt *s)
{
    switch (s->kind) {
    case STMT_COMMIT:
        return CONTROL_COMMIT;
    case STMT_ROLLBACK:
        return CONTROL_ROLLBACK;
    case STMT_SET: /* what is Sluice's own is no server's, and what a default is, each server knows otherwise */
    case STMT_SET_TRANSACTION:
        return (s->flags & FACT_DEFAULT) || joint_is_own(s) || journal_sets_modes(s) ? CONTROL_NONE : CONTROL_TELL;
    case STMT_SAVEPOINT:
    case STMT_RELEASE:
    case STMT_ROLLBACK_TO:
    case STMT_SET_CONSTRAINTS:
        return CONTROL_TELL;
    default:
        return CONTROL_NONE;
    }
}

const char *joint_tag_of(const struct stmt *s)
{
    switch (s->kind) {
    case STMT_ROLLBACK_TO:
        return "ROLLBACK";
    case STMT_SET_TRANSACTION:
        return "SET";
    default:
        return stmt_kind_name(s->kind);
    }
}

bool joint_is_own(const struct stmt *s)
{
    return s->kind == STMT_SET && s->name != NULL && strncasecmp(s->name, "sluice.", 7) == 0;
}

bool joint_takes_snapshot(const struct stmt *s)
{
    switch (s->kind) {
    case STMT_SET:
    case STMT_RESET:
    case STMT_RESET_ALL:
    case STMT_SHOW:
    case STMT_LOCK:
    case STMT_LISTEN:
    case STMT_UNLISTEN:
    case STMT_NOTIFY:
        return false;
    default:
        return (s->effects & EFFECT_TRANSACTION) == 0;
    }
}

const char *joint_cursor_of(const struct stmt *s, const uint8_t *batch)
{
    const char *body = (const char *)batch + FRAME_HEADER;

    if (s != NULL && (s->kind == STMT_FETCH || s->kind == STMT_MOVE || s->kind == STMT_CLOSE))
        return s->name;
    if (batch[0] == 'E')
        return body;
    return (batch[0] == 'D' || batch[0] == 'C') && body[0] == 'P' ? body + 1 : NULL;
}
