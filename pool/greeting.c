/*
 * greeting.c: see greeting.h.
 * Thread: worker.
 */
#include "pool/greeting.h"

#include "parser/msgout.h"

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void greeting_free(struct greeting *t)
{
    vars_unref(t->key.base);
    vars_unref(t->vars);
    free((char *)(uintptr_t)t->key.application_name);
    buf_free(&t->told);
    *t = (struct greeting){.vars = NULL};
}

void greetings_free(struct greetings *g)
{
    for (size_t i = 0; i < GREETINGS; i++)
        greeting_free(&g->slots[i]);
}

const struct greeting *greetings_find(const struct greetings *g, const struct greeting_key *key)
{
    for (size_t i = 0; i < GREETINGS; i++) {
        const struct greeting_key *k = &g->slots[i].key;
        if (k->base == key->base && k->statement_limit_us == key->statement_limit_us &&
            same_text(k->application_name, key->application_name))
            return &g->slots[i];
    }
    return NULL;
}

const struct greeting *greetings_add(struct greetings *g, const struct greeting_key *key, struct vars *vars)
{
    struct greeting *t = &g->slots[g->next++ % GREETINGS];

    greeting_free(t);
    t->key = *key;
    vars_ref(t->key.base);
    if (key->application_name != NULL)
        t->key.application_name = mem_strdup(key->application_name);
    t->vars = vars;
    for (size_t i = 0; i < vars->count; i++)
        if (vars->v[i].reported)
            msg_param_status(&t->told, vars->v[i].name, vars->v[i].value);
    return t;
}
