/*
 * sharding_copy.c: COPY FROM STDIN whose rows lie on several shards: how they are told apart. See sharding.h.
 * Thread: worker.
 */
#include "proxy/finding.h"

#include "proxy/place.h"

static const char *differs_of_copy(const struct finding *f, const struct stmt *s)
{
    unsigned lex_flags = f->c->vars->standard_strings ? LEX_STANDARD_STRINGS : 0;
    const char *by = copy_format_differs(s, f->run->sql, strlen(f->run->sql), lex_flags);

    return by == NULL ? NULL : "its table lies on all shards, and it has a condition or defaults for fields";
}

struct copy_split *finding_copy(struct finding *f, const char **why)
{
    const struct stmt *s = finding_stmt(f);
    struct copy_format format;

    *why = "";
    if (s == NULL || s->kind != STMT_COPY_FROM || s->table_count != 1 || f->home)
        return NULL;
    const struct map_table *t = finding_table(f, &s->tables[0]);
    if (t == NULL || t->way == MAP_ON_SHARD)
        return NULL;
    if (t->way == MAP_EVERYWHERE && (*why = differs_of_copy(f, s)) != NULL)
        return NULL;
    *why = copy_format_read(s, t, place_is_utf8(f->c), &format);
    if (*why != NULL)
        return NULL;
    bool draws = t->way == MAP_BY_KEY && finding_draws(f, t);
    struct copy_split *split = copy_split_new(f->map, t, &format, draws ? 0 : SHARD_NONE, SIZE_MAX);
    const char *version = vars_get(f->c->vars, "server_version");
    split->ends_early = version == NULL || atoi(version) < 18;
    split->gives = format.key < 0 && finding_draws_home(f, t);
    *why = split->gives ? copy_given_bars(split) : NULL;
    if (*why == NULL)
        return split;
    copy_split_free(split);
    return NULL;
}

struct copy_split *sharding_copy(struct client *c, const struct sharding_run *run)
{
    struct finding f = finding_of(c, run);
    const char *why;

    return finding_is_many(&f) && !f.told ? finding_copy(&f, &why) : NULL;
}
