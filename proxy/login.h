/*
 * login.h: what the three files of a login share: login.c (startup packet), authenticate.c (who is it?), welcome.c
 * (what it is told, and its pool).
 * Thread: worker.
 */
#ifndef SLUICE_LOGIN_H
#define SLUICE_LOGIN_H

#include "proxy/client.h"

/* What is only needed until the client is logged in. */
struct login {
    char *user_name;
    char *database_name;
    char *application_name; /* NULL: not sent */
    struct vars *asked;     /* startup settings; NULL: none */
    struct auth_in auth;
    bool console;
    bool direct_tls;
    bool ssl_asked;
    bool gss_asked;
    bool secret_was_looked_up;
    enum auth_method method;
    uint32_t minor;
    bool bad_option;
    char *target; /* owned: what it asks for by sluice.target; NULL: nothing */
    char bad[128];
};

/* The configuration of the database that was asked for, or the fallback; NULL if there is neither. */
const struct config_database *login_database(const struct client *c);
/* "sluice" and "pgbouncer" name the console. */
bool login_is_console_name(const char *name);

/* The startup packet has been read: begins to find out who it is. */
void authenticate(struct client *c);
/* Messages of the dialogue; returns how many bytes were used. */
size_t authenticate_input(struct client *c, const uint8_t *p, size_t len);
/* It is who it says. */
void welcome(struct client *c);

#endif
