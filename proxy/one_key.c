/*
 * one_key.c: see one_key.h.
 * Invariant: a run with a list of values in its text is never found here: the list may have any parameter in it.
 * Thread: worker.
 */
#include "proxy/one_key.h"

#include "proxy/catalog.h"
#include "proxy/finding.h"
#include "proxy/place.h"

#define PARAMS_MAX 16 /* the parameter that has the key is one of the first */

static struct one_key *one_key_of(const struct sharding_run *run)
{
    return &reading_of(run->shape)->one_key;
}

void one_key_forget(struct one_key *k)
{
    map_unref(k->map);
    *k = (struct one_key){.map = NULL};
}

static bool has_lists(const struct statement_slots *slots)
{
    for (uint32_t i = 0; i < slots->count; i++)
        if (slots->slots[i].kind == SLOT_LIST || slots->slots[i].kind == SLOT_ROWS)
            return true;
    return false;
}

/* A parameter's type is known if it is declared, or stands in the text once. The keyset has counted that. */
static bool is_shared(const struct finding *f, const struct stmt_value *v)
{
    struct key_param p;

    if (v->kind != VALUE_PARAM)
        return false;
    return f->run->bind == NULL || !finding_param(f->run, v->at, &p) || f->c->worker->keyset.uses.data[v->at - 1] > 1;
}

void one_key_learn(const struct finding *f)
{
    struct client *c = f->c;
    const struct stmt *s = finding_stmt(f);
    struct one_key *k = one_key_of(f->run);
    const struct stmt_place *place = s == NULL || s->body != NULL ? NULL : keyset_sole(&c->worker->keyset, s);

    one_key_forget(k);
    if (place == NULL || f->home || f->by_call ||
        (s->values[place->value].kind == VALUE_PARAM && s->values[place->value].at > PARAMS_MAX))
        return;
    struct statement_slots slots = statement_slots(c, f->run->shape, f->run->sql);
    if (has_lists(&slots))
        return;
    map_ref((struct map *)f->map);
    *k = (struct one_key){.map = (struct map *)f->map,
                          .generation = catalog_generation(c->db),
                          .table = c->worker->keyset.tables[0],
                          .place = place,
                          .shared = is_shared(f, &s->values[place->value])};
}

/* This execution's text, as far as the one value needs it. */
static bool text_of_value(struct client *c, const struct sharding_run *run, const struct stmt_value *v,
                          struct key_param *params, struct keyset_text *text)
{
    *text = (struct keyset_text){.sql = run->sql, .lex_flags = client_lex_flags(c), .utf8 = place_is_utf8(c)};
    if (v->kind == VALUE_PARAM) {
        text->params = params;
        text->param_count = v->at;
        return run->bind != NULL && finding_param(run, v->at, &params[v->at - 1]);
    }
    struct statement_slots slots = statement_slots(c, run->shape, run->sql);
    text->slots = slots.slots;
    text->slot_count = slots.count;
    return true;
}

bool one_key_shard(struct client *c, const struct sharding_run *run, shardset *shard)
{
    const struct one_key *k = run->shape == NULL ? NULL : one_key_of(run);
    struct key_param params[PARAMS_MAX];
    struct keyset_text text;

    if (k == NULL || k->map == NULL || k->map != __atomic_load_n(&c->db->map, __ATOMIC_ACQUIRE) ||
        k->generation != catalog_generation(c->db))
        return false;
    const struct stmt *s = reading_of(run->shape)->list->stmts[0];
    const struct stmt_value *v = &s->values[k->place->value];
    if (!text_of_value(c, run, v, params, &text))
        return false;
    uint8_t uses[PARAMS_MAX];
    memset(uses, k->shared ? 2 : 1, sizeof uses);
    text.uses = uses;
    *shard = keyset_sole_set(&c->worker->keyset, s, k->map, k->table, k->place, &text);
    return *shard != 0 && !shardset_is_many(*shard);
}
