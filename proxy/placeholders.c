/*
 * placeholders.c: see placeholders.h.
 * Source: PostgreSQL's guc.c, MarkGUCPrefixReserved and define_custom_variable.
 * Thread: worker.
 */
#include "proxy/placeholders.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

static bool is_placeholder(const struct var *v)
{
    return strchr(v->name, '.') != NULL;
}

/* One that `in` has and `other` has not, or with another value. */
static bool has_another(const struct vars *in, const struct vars *other)
{
    for (size_t i = 0; i < in->count; i++) {
        const char *value = is_placeholder(&in->v[i]) ? vars_get(other, in->v[i].name) : in->v[i].value;
        if (value == NULL || strcmp(value, in->v[i].value) != 0)
            return true;
    }
    return false;
}

bool placeholders_in_doubt(const struct client *c, const struct server *s)
{
    const struct vars *have = s->settings_owner != 0 && s->settings_owner != c->id ? s->login_vars : s->vars;

    return UNLIKELY(c->vars->placeholders) && has_another(c->vars, have);
}

static bool is_of_name(char byte)
{
    return isalnum((unsigned char)byte) || byte == '_' || byte == '.' || byte == '$' || (byte & 0x80) != 0;
}

/* The text has this name in it, and not as a part of another. */
static bool names(const char *text, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = strcasestr(text, name); p != NULL; p = strcasestr(p + 1, name))
        if ((p == text || !is_of_name(p[-1])) && !is_of_name(p[len]))
            return true;
    return false;
}

/* PostgreSQL's own words. One that was only RESET (which leaves '') was nothing to its session. */
static void warn(struct client *c, const struct var *v, const struct msg_error *e)
{
    const char *level = vars_get(c->vars, "client_min_messages");
    bool reserved = strcmp(e->sqlstate, "42602") == 0;
    char message[300], detail[200];

    if (v->value[0] == '\0' || (level != NULL && strcasecmp(level, "error") == 0))
        return;
    snprintf(message, sizeof message, "invalid configuration parameter name \"%s\", removing it", v->name);
    snprintf(detail, sizeof detail, "\"%.*s\" is now a reserved prefix.", (int)strcspn(v->name, "."), v->name);
    msg_notice(&c->conn.out, "WARNING", e->sqlstate, reserved ? message : e->message, reserved ? detail : NULL, NULL);
    conn_touch(&c->conn);
}

struct vars *placeholders_without(struct vars *v, const struct msg_error *e)
{
    struct vars *had = vars_ref(v);

    for (size_t i = 0; i < had->count; i++)
        if (is_placeholder(&had->v[i]) && names(e->message, had->v[i].name))
            v = vars_with(v, had->v[i].name, NULL, false);
    vars_unref(had);
    return v;
}

bool placeholders_refused(struct client *c, const struct msg_error *e)
{
    struct vars *had = vars_ref(c->vars);
    bool refused;

    c->vars = placeholders_without(c->vars, e);
    refused = c->vars != had;
    for (size_t i = 0; refused && i < had->count; i++)
        if (vars_get(c->vars, had->v[i].name) == NULL)
            warn(c, &had->v[i], e);
    vars_unref(had);
    if (!refused)
        return false;
    c->vars = pool_share_vars(c->pool, c->vars);
    c->login_vars = placeholders_without(c->login_vars, e);
    return true;
}
