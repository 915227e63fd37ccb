/*
 * hba.h: pg_hba.conf's syntax (with @file, include, quotes, keywords all, sameuser, replication, samehost,
 * samenet, host names refused with an error that says so) and matching. Also pg_ident.conf maps for cert and peer.
 * Thread: control parses; immutable afterwards, any thread matches.
 */
#ifndef SLUICE_HBA_H
#define SLUICE_HBA_H

#include "pool/auth.h"
#include <netinet/in.h>
#include <sys/socket.h>

struct hba;
struct ident_map;

/* Collects errors of a file, all in one go. */
typedef void hba_error_fn(void *arg, const char *file, int line, const char *message);

/* Returns NULL if there was any error (all were reported). */
struct hba *hba_load(const char *file, hba_error_fn *on_error, void *arg);
void hba_free(struct hba *h);

struct hba_question {
    const struct sockaddr *peer; /* AF_UNIX: a local connection */
    bool tls;
    bool replication;
    const char *database;
    const char *user;
};

struct hba_answer {
    enum auth_method method; /* AUTH_REJECT also where no line matches */
    int line;                /* 0: no line matched */
    const char *map;         /* map=NAME option, or NULL; owned by h */
    enum { CLIENTCERT_NONE, CLIENTCERT_VERIFY_CA, CLIENTCERT_VERIFY_FULL } clientcert;
    bool clientname_dn; /* clientname=DN */
};

struct hba_answer hba_match(const struct hba *h, const struct hba_question *q);

struct ident_map *ident_load(const char *file, hba_error_fn *on_error, void *arg);
void ident_free(struct ident_map *m);
/* True if map lets the system name log in as user. map_name NULL: the names must be equal. */
bool ident_match(const struct ident_map *m, const char *map_name, const char *system_name, const char *user);

#endif
