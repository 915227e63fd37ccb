/*
 * run_limit.c: see run_limit.h. What SET has said in a transaction is read in its text; when that is over, the server
 * is asked (ask.h), and the client's settings have it.
 * Thread: worker.
 */
#include "proxy/run_limit.h"

#include "proxy/refusal.h"

#include <stdio.h>
#include <strings.h>

#define NAME "sluice.timeout"

usec_t run_limit_of(struct client *c, const struct shape *shape)
{
    usec_t said = UNLIKELY(c->block_limit >= 0) ? c->block_limit : c->vars->run_limit_us;

    if (shape == NULL)
        return 0;
    if (UNLIKELY(reading_of(shape)->hint.timed))
        return reading_of(shape)->hint.timeout;
    return LIKELY(said == 0) || !rules_of(c)->heeds_setting ? 0 : said;
}

static bool is_its_name(const struct stmt *s)
{
    return s->name != NULL && strcasecmp(s->name, NAME) == 0;
}

static bool sets_it(const struct stmt *s)
{
    return s->kind == STMT_SET && is_its_name(s) && s->text != NULL;
}

static void note(struct client *c, const struct stmt *s)
{
    int64_t us;

    switch (s->kind) {
    case STMT_SET:
    case STMT_RESET:
        if (is_its_name(s))
            c->block_limit = sets_it(s) && vars_run_limit(s->text, &us) ? us : c->login_vars->run_limit_us;
        break;
    case STMT_RESET_ALL:
        c->block_limit = c->login_vars->run_limit_us;
        break;
    case STMT_ROLLBACK_TO:
    case STMT_COMMIT:
    case STMT_ROLLBACK:
        run_limit_forget(c);
        break;
    default:
        break;
    }
}

void run_limit_note(struct client *c, const struct shape *shape)
{
    const struct stmt_list *list = shape == NULL ? NULL : reading_of(shape)->list;

    for (size_t i = 0; list != NULL && i < list->count; i++)
        note(c, list->stmts[i]);
}

struct refusal_text *run_limit_refuses(struct client *c, const struct stmt_list *list)
{
    char message[sizeof((struct refusal_text *)0)->message];
    int64_t us;

    for (size_t i = 0; i < list->count; i++) {
        const struct stmt *s = list->stmts[i];
        if (!sets_it(s) || vars_run_limit(s->text, &us) || !rules_of(c)->heeds_setting)
            continue;
        snprintf(message, sizeof message, "invalid value for parameter \"" NAME "\": \"%s\"", s->text);
        return refusal_new("22023", message,
                           "Valid units for this parameter are \"us\", \"ms\", \"s\", \"min\", \"h\", and \"d\".");
    }
    return NULL;
}
