/*
 * prepare_take.c: a Parse that no server has seen: what it gives is the client's all the same, and is prepared where it
 * is needed.
 * Thread: worker.
 */
#include "proxy/sending.h"

bool prepare_may_take(struct client *c, const struct msg_parse *parse)
{
    const struct client_stmt *st = client_stmts_find(&c->stmts, parse->name);

    return parse->name[0] == '\0' ||
           ((st == NULL || (st->asked == NULL && client_stmt_certain(st, 0))) &&
            prepares_find(&c->prepares, parse->name) == NULL && c->worker->config->opt.max_prepared_statements > 0);
}

void prepare_take(struct client *c, struct span body)
{
    struct msg_parse parse;

    msgin_parse(body, &parse); /* has been understood before */
    if (parse.name[0] == '\0') {
        prepare_unnamed_take(c, body);
        return;
    }
    struct stmt_text *text = stmt_text_intern(parse.text, parse.types, prepare_environment(c, parse.text));
    struct client_stmt *st = client_stmts_add(&c->stmts, parse.name);
    client_stmt_ask(st, text, 0);
    client_stmt_settle(&c->stmts, st, true, text);
    stmt_text_unref(text);
}

void prepare_untake(struct client *c, const char *name)
{
    struct client_stmt *st = client_stmts_find(&c->stmts, name);

    if (name[0] == '\0') {
        unnamed_stmt_set(&c->unnamed, NULL);
        unnamed_stmt_set(&c->unnamed_told, NULL);
    } else if (st != NULL) {
        client_stmt_ask(st, NULL, 0);
        client_stmt_settle(&c->stmts, st, true, NULL);
    }
}
