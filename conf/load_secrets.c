/*
 * load_secrets.c: userlist.txt, as PgBouncer writes it:
 *
 *   ; a comment
 *   "user" "secret" whatever else the line has is skipped
 *
 * "" inside quotes is a quote. A secret is a plain password, md5..., or SCRAM-SHA-256$...; it is not looked at here.
 * Invariants: messages never hold a secret. Of two lines for one user the later counts, as with PgBouncer.
 * Thread: control (or main before threads start).
 */
#include "conf/load_parts.h"

#include "conf/log.h"

/* Takes a quoted text at *at and unquotes it in place; NULL if there is none or it is not closed. */
static char *quoted_take(char **at)
{
    char *p = *at;

    if (*p != '"') {
        return NULL;
    }
    char *text = ++p, *out = p;
    for (;; p++) {
        if (*p == '\0') {
            return NULL;
        }
        if (*p == '"') {
            if (p[1] != '"') {
                break;
            }
            p++;
        }
        *out++ = *p;
    }
    *at = p + 1;
    *out = '\0';
    return text;
}

static void secret_add(struct config *c, const char *user, const char *secret)
{
    if ((c->secret_count & (c->secret_count + 1)) == 0) { /* grows by doubling: at 0, 1, 3, 7, ... */
        c->secrets = mem_realloc(c->secrets, (2 * c->secret_count + 1) * sizeof *c->secrets);
    }
    c->secrets[c->secret_count++] = (struct config_secret){.user = mem_strdup(user), .secret = mem_strdup(secret)};
}

/* One line, NUL-terminated. */
static void secret_line(struct config *c, const char *file, int number, char *line, struct config_errors *errors)
{
    char *at = line + strspn(line, " \t\r");

    if (*at == '\0' || *at == ';') {
        return;
    }
    char *user = quoted_take(&at);
    if (user == NULL || *user == '\0') {
        config_errors_add(errors, file, number, "no user name in double quotes; write \"user\" \"secret\"");
        return;
    }
    at += strspn(at, " \t");
    char *secret = quoted_take(&at);
    if (secret == NULL) {
        config_errors_add(errors, file, number, "no secret in double quotes for user \"%s\"; write \"user\" \"secret\"",
                          user);
        return;
    }
    secret_add(c, user, secret);
}

/* --- sorting --- */

/* Secrets with their place in the file, so that the sort keeps the order of equal users. */
struct placed {
    struct config_secret secret;
    size_t place;
};

static int placed_compare(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    int order = strcmp(x->secret.user, y->secret.user);

    return order != 0 ? order : (x->place > y->place) - (x->place < y->place);
}

static void secrets_sort(struct config *c, const char *file)
{
    struct placed *all = mem_alloc(c->secret_count * sizeof *all);
    size_t kept = 0;

    for (size_t i = 0; i < c->secret_count; i++) {
        all[i] = (struct placed){.secret = c->secrets[i], .place = i};
    }
    qsort(all, c->secret_count, sizeof *all, placed_compare);
    for (size_t i = 0; i < c->secret_count; i++) {
        if (kept > 0 && strcmp(c->secrets[kept - 1].user, all[i].secret.user) == 0) {
            log_warn("%s: user \"%s\" is written twice; the later line counts", file, all[i].secret.user);
            kept--;
            free(c->secrets[kept].user);
            explicit_bzero(c->secrets[kept].secret, strlen(c->secrets[kept].secret));
            free(c->secrets[kept].secret);
        }
        c->secrets[kept++] = all[i].secret;
    }
    c->secret_count = kept;
    free(all);
}

void secrets_parse(struct config *c, const char *file, char *text, size_t len, struct config_errors *errors)
{
    char *end = text + len;
    int number = 0;

    while (text < end) {
        char *newline = memchr(text, '\n', (size_t)(end - text));
        char *line_end = newline == NULL ? end : newline;
        number++;
        if (memchr(text, '\0', (size_t)(line_end - text)) != NULL) {
            config_errors_add(errors, file, number, "a NUL byte in the line; write plain text");
        } else {
            *line_end = '\0'; /* text is NUL-terminated, so end may be written too */
            secret_line(c, file, number, text, errors);
        }
        text = line_end + 1;
    }
    secrets_sort(c, file);
}
