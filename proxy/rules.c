/*
 * rules.c: see rules.h.
 * Thread: worker; rules_of_database, rules_function: any (no state).
 */
#include "proxy/rules.h"

#include "proxy/client.h"

#include <stdio.h>
#include <strings.h>

#define PICK(field) (d != NULL && d->field != UNSET_INT ? d->field : o->field)
#define PICK_TIME(field) (d != NULL && d->field != UNSET_USEC ? d->field : o->field)
#define PICK_TEXT(field) (d != NULL && d->field != NULL ? d->field : o->field)

void rules_of_database(struct rules *r, const struct config *config, const struct config_database *d,
                       const struct config_user *u)
{
    const struct options *o = &config->opt;

    r->generation = config->generation;
    r->routing = (enum read_routing)(u != NULL && u->read_routing != UNSET_INT ? u->read_routing : PICK(read_routing));
    r->writes = (enum read_your_writes)PICK(read_your_writes);
    r->balance = (enum replica_balance)PICK(replica_balance);
    r->read_only = (enum read_only_transactions)PICK(read_only_transactions);
    r->max_lag = PICK_TIME(max_replica_lag);
    r->freshness_wait = PICK_TIME(freshness_wait);
    r->read_functions = PICK_TEXT(read_functions);
    r->write_functions = PICK_TEXT(write_functions);
    r->heeds_setting = o->hints != HINTS_OFF;
}

/* vars NULL: it is logging in. */
static void take_session(struct rules *r, struct vars *vars)
{
    const char *route = vars == NULL || !r->heeds_setting ? NULL : vars->route;

    vars_unref(r->vars);
    r->vars = vars == NULL ? NULL : vars_ref(vars);
    r->serializable = vars != NULL && vars->serializable;
    r->reads_only = vars != NULL && vars->reads_only;
    r->hint = route == NULL ? HINT_NONE : route_hint_of(route, strlen(route));
}

const struct rules *rules_of(struct client *c)
{
    const struct config *config = c->worker->config;
    struct rules *r = &c->rules;
    bool configured = r->generation == config->generation;

    if (UNLIKELY(!configured))
        rules_of_database(r, config, server_database(c->pool),
                          config->user_count == 0 ? NULL : config_user_find(config, c->user->name));
    if (UNLIKELY(!configured || r->vars != c->vars))
        take_session(r, c->vars);
    return r;
}

void rules_free(struct rules *r)
{
    vars_unref(r->vars);
    r->vars = NULL;
}

const char *rules_bar(const struct rules *r)
{
    if (r->routing == READ_ROUTING_PRIMARY)
        return "read_routing says so";
    return r->serializable ? "transactions of the session are serializable" : NULL;
}

const char *rules_bar_block(const struct rules *r, const struct stmt_modes *modes, enum route_hint hint)
{
    bool reads = modes->access == ACCESS_UNSAID ? r->reads_only : modes->access == ACCESS_READ_ONLY;
    bool serializable =
        modes->isolation == ISOLATION_UNSAID ? r->serializable : modes->isolation == ISOLATION_SERIALIZABLE;

    if (!reads)
        return "is in a transaction that may write";
    if (serializable)
        return "is in a transaction that is serializable";
    if (r->read_only != READ_ONLY_REPLICA)
        return "is in a transaction, and read_only_transactions is primary";
    if (r->routing == READ_ROUTING_PRIMARY)
        return "read_routing says so";
    if (hint == HINT_NONE)
        hint = r->hint;
    return hint == HINT_PRIMARY ? "a hint of its transaction says so" : NULL;
}

/* A list's "schema.name" speaks of calls with that schema; of those without one, too, where `any` is true. */
static bool is_listed(const char *list, const char *schema, const char *name, bool any)
{
    char qualified[160];
    const char *at = list;

    if (*list == '\0')
        return false;
    if (config_list_has(list, name))
        return true;
    snprintf(qualified, sizeof qualified, "%s.%s", schema == NULL ? "" : schema, name);
    if (schema != NULL)
        return config_list_has(list, qualified);
    if (!any)
        return false;
    for (size_t len = strlen(qualified); (at = strstr(at, qualified)) != NULL; at++)
        if (strchr(", \t", at[len]) != NULL) /* the end of the list, too */
            return true;
    return false;
}

enum route_function rules_function(const struct rules *r, const char *schema, const char *name)
{
    if (is_listed(r->write_functions, schema, name, true))
        return FUNCTION_LISTED_WRITES;
    return is_listed(r->read_functions, schema, name, false) ? FUNCTION_LISTED_READS : FUNCTION_UNKNOWN;
}
