/*
 * joint_words.c: see joint_words.h.
 * Thread: any (no state).
 */
#include "proxy/joint_words.h"

#include "proxy/joint.h"

enum control joint_control_of(const struct stmt *s)
{
    switch (s->kind) {
    case STMT_COMMIT:
        return CONTROL_COMMIT;
    case STMT_ROLLBACK:
        return CONTROL_ROLLBACK;
    case STMT_SET: /* what is Sluice's own is no server's, and what a default is, each server knows otherwise */
        return (s->flags & FACT_DEFAULT) || joint_is_own(s) ? CONTROL_NONE : CONTROL_TELL;
    case STMT_SAVEPOINT:
    case STMT_RELEASE:
    case STMT_ROLLBACK_TO:
    case STMT_SET_CONSTRAINTS:
    case STMT_SET_TRANSACTION:
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
