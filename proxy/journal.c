/*
 * journal.c: see journal.h.
 * Thread: worker.
 */
#include "proxy/journal.h"

#include "proxy/joint_words.h"
#include "proxy/set_config.h"
#include "proxy/sharding.h"

#include <strings.h>

#define ENTRIES_MAX ((size_t)64 * 1024) /* bytes; who says more has but one shard */

void journal_open(struct client *c)
{
    journal_close(c);
    c->journal.open = true;
}

static void forget_settings(struct journal *j)
{
    vars_unref(j->before);
    j->before = NULL;
}

void journal_keep_settings(struct client *c)
{
    struct journal *j = &c->journal;

    j->sets = true;
    if (j->open && j->before == NULL)
        j->before = vars_ref(c->vars);
}

void journal_close(struct client *c)
{
    forget_settings(&c->journal);
    buf_free(&c->journal.entries);
    buf_free(&c->journal.cursors);
    c->journal = (struct journal){.open = false};
}

void journal_chain(struct client *c)
{
    buf_free(&c->journal.entries);
    buf_free(&c->journal.cursors);
    forget_settings(&c->journal);
    c->journal.unsure = c->journal.seen = c->journal.sets = false;
}

void journal_add(struct client *c, const char *sql)
{
    struct journal *j = &c->journal;

    buf_put(&j->entries, ";\n", 2); /* behind a comment, too */
    buf_put(&j->entries, sql, strlen(sql));
    j->lost = j->lost || buf_used(&j->entries) > ENTRIES_MAX;
}

/* What it leaves in the transaction is not its shard's alone. */
static bool is_of_transaction(const struct stmt *s)
{
    return s->kind == STMT_SAVEPOINT || s->kind == STMT_RELEASE || s->kind == STMT_ROLLBACK_TO ||
           s->kind == STMT_SET_TRANSACTION || s->kind == STMT_SET_CONSTRAINTS ||
           (s->effects & (EFFECT_SETTING | EFFECT_DISCARD)) != 0 || journal_sets_modes(s);
}

/* Its isolation; BEGIN within a transaction says whatever it says of that one, with a warning. */
bool journal_sets_modes(const struct stmt *s)
{
    if (s->kind == STMT_SET)
        return s->name != NULL && strcasecmp(s->name, "transaction_isolation") == 0;
    if (s->kind == STMT_BEGIN || s->kind == STMT_START)
        return s->modes.isolation != ISOLATION_UNSAID || s->modes.access != ACCESS_UNSAID ||
               s->modes.deferrable != DEFERRABLE_UNSAID;
    return s->kind == STMT_SET_TRANSACTION && s->modes.isolation != ISOLATION_UNSAID;
}

/* Values that travel by themselves would have to be written out; what a default is, each server knows otherwise; and
 * who joins must know of which isolation the transaction is. */
static bool can_be_told(const struct stmt *s)
{
    return s->params == 0 && s->kind != STMT_RESET && s->kind != STMT_RESET_ALL && !(s->flags & FACT_DEFAULT) &&
           !journal_sets_modes(s) && (!(s->effects & EFFECT_SETTING) || s->kind == STMT_SET);
}

static bool sets_modes_later(const struct stmt *s)
{
    return s->kind == STMT_SET_TRANSACTION ||
           (s->kind == STMT_SET && s->name != NULL && strncasecmp(s->name, "transaction_", 12) == 0);
}

/* The next transaction is not what BEGIN has said: PostgreSQL hands on what was set since, and after an error nothing.
 */
static bool chains_otherwise(const struct client *c)
{
    const struct stmt_modes *m = &c->deferred.modes;
    bool said = m->isolation != ISOLATION_UNSAID || m->access != ACCESS_UNSAID || m->deferrable != DEFERRABLE_UNSAID;

    return c->journal.modes || (said && c->server != NULL && c->server->tx == 'E');
}

void journal_note(struct client *c, const struct stmt *s, const struct sharding_run *run)
{
    struct journal *j = &c->journal;
    bool alone = s != NULL && reading_of(run->shape)->list->count == 1;

    if (s == NULL || (s->effects & (EFFECT_SETTING | EFFECT_DISCARD)) != 0)
        journal_keep_settings(c);
    if (!j->open || (s != NULL && !is_of_transaction(s) && !(s->flags & FACT_CHAIN)))
        return;
    if (alone && (s->flags & FACT_CHAIN)) {
        bool unlike = chains_otherwise(c);
        journal_chain(c);
        j->lost = j->lost || unlike;
        return;
    }
    j->modes = j->modes || (s != NULL && sets_modes_later(s));
    if (alone && joint_is_own(s))
        return;
    char *text = alone ? set_config_text(c, s, run) : NULL;
    j->lost = j->lost || !alone || (text == NULL && !can_be_told(s));
    j->unsure = true;
    if (!j->lost)
        journal_add(c, text != NULL ? text : run->sql);
    free(text);
}

void journal_settle(struct client *c, bool failed)
{
    c->journal.lost = c->journal.lost || (failed && c->journal.unsure);
    c->journal.unsure = false;
}

void journal_cursor(struct client *c, const char *name, uint32_t shard)
{
    struct journal *j = &c->journal;

    if (!j->open || buf_used(&j->cursors) > ENTRIES_MAX || journal_cursor_shard(c, name) == shard)
        return;
    buf_put_u8(&j->cursors, (uint8_t)shard);
    buf_put_cstr(&j->cursors, name);
}

/* The newest counts: it may have been closed, and opened again elsewhere. */
uint32_t journal_cursor_shard(const struct client *c, const char *name)
{
    const char *at = (const char *)buf_head(&c->journal.cursors);
    const char *end = at + buf_used(&c->journal.cursors);
    uint32_t shard = SHARD_NONE;

    for (; at < end; at += strlen(at + 1) + 2)
        if (strcmp(at + 1, name) == 0)
            shard = (uint8_t)*at;
    return shard;
}

bool journal_is_whole(const struct client *c)
{
    return c->journal.open && !c->journal.lost;
}

void journal_put(const struct client *c, struct buf *sql)
{
    defer_put_begin(c, sql);
    buf_put(sql, buf_head(&c->journal.entries), buf_used(&c->journal.entries));
}
