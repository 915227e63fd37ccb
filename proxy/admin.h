/*
 * admin.h: the admin console's commands: their grammar (pure), and what they do.
 * Thread: admin_parse any (no state); everything else control.
 */
#ifndef SLUICE_ADMIN_H
#define SLUICE_ADMIN_H

#include "proxy/client.h"

enum admin_command {
#define ADMIN_COMMAND(id, word, arguments, rights, help) ADMIN_##id,
#include "proxy/admin.def"
#undef ADMIN_COMMAND
    ADMIN_EMPTY /* nothing but blanks and a semicolon */
};

enum admin_arguments { ARGS_NONE, ARGS_OPTIONAL, ARGS_ONE, ARGS_SET, ARGS_SQL, ARGS_LONGER };

struct admin_request {
    enum admin_command command;
    char *argument;      /* owned; what follows the command; of SET: the option's name; of ROUTE: a database's, or the
                       statement's first word, which is in value, too. NULL: nothing */
    bool names_database; /* ROUTE: argument is a database's name, as a colon says ... */
    size_t rest_at;      /* ... if not, where value goes on behind it */
    char *value;         /* owned; of SET; of ROUTE: the statement */
    char *order_by;      /* owned; SHOW ... ORDER BY; NULL: not said */
    unsigned limit;      /* SHOW STATEMENTS n, and its like; 0: not said */
};

/* False: that is no command; r->command is then the one that was meant, or ADMIN_EMPTY. What r holds is freed by
 * admin_request_free in either case. */
bool admin_parse(const char *sql, struct admin_request *r);
void admin_request_free(struct admin_request *r);
/* The rights that a command needs. */
enum rights admin_rights(enum admin_command command);
/* The form of each command, for SHOW HELP; NULL behind the last. */
const char *admin_help_line(size_t i);

bool admin_paused(void);
bool admin_suspended(void);
/* By signal: as PAUSE and RESUME without a database. */
void admin_pause_all(void);
void admin_resume_all(void);
/* Nothing is given out any more, and what comes back is closed. */
void admin_drain_servers(void);
/* Ends what is under way, without an answer: the workers are gone. */
void admin_free(void);

#endif
