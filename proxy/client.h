/*
 * client.h: a connection from an application, and the session that it has.
 * Thread: worker.
 */
#ifndef SLUICE_CLIENT_H
#define SLUICE_CLIENT_H

#include "parser/lex.h"
#include "parser/msgin.h"
#include "parser/msgout.h"
#include "pool/traces.h"
#include "proxy/defer.h"
#include "proxy/journal.h"
#include "proxy/rules.h"
#include "proxy/worker.h"

#define CANCEL_KEY_LONG 32 /* protocol 3.2 */
#define CANCEL_KEY_SHORT 4

/* The unnamed statement as its client prepared it; it is prepared again where the client comes to another server. */
struct unnamed_stmt {
    int refs;
    uint64_t id; /* process-wide: servers move between workers */
    size_t len;
    uint8_t body[]; /* of the Parse */
};

/* What this transaction has SET sluice.shard or sluice.key to; NULL: it has not. Owned. */
struct place_block {
    char *shard, *key;
};

enum rights { RIGHTS_NONE, RIGHTS_STATS, RIGHTS_ADMIN };

struct client {
    struct conn conn;
    struct waiter waiter;
    struct worker *worker;
    struct list node;     /* in worker->clients[state] */
    struct list run_node; /* in worker->runnable, or in none */
    enum client_state state;
    usec_t state_since;
    uint64_t id;                   /* slot and generation in this worker */
    struct arm *parked;            /* owned: has the server that it keeps, while it visits others (visit.h); or NULL */
    struct sockaddr_storage *peer; /* owned until login is over; NULL for a Unix socket */
    char *address;                 /* owned: for the log and SHOW */
    int port;
    bool admin_port;

    /* login */
    struct login *login; /* owned while logging in */
    struct database_state *db;
    struct user_state *user;
    struct target *target;
    struct pool *pool; /* of the primary */
    enum pool_mode mode;
    enum rights rights;
    bool counted; /* in the clients of db and user */
    bool standby; /* all its statements go to replicas */
    bool replication;
    int standby_node;       /* the one that it was sent to last, or waits at */
    char *replication_mode; /* owned: the startup parameter's value */

    /* session */
    struct server *server;   /* holds; NULL: none */
    struct vars *vars;       /* what it was told and wants; counted */
    struct vars *login_vars; /* what RESET ALL returns to; counted */
    struct client_stmts stmts;
    struct prepares prepares;          /* by SQL's PREPARE */
    struct buf temp_names;             /* temp_names.h; of databases with shards */
    struct drawn *drawn;               /* owned: keys for the rows of its next INSERT (draw.h); NULL: none */
    struct buf prepared;               /* NUL-terminated names of those that this transaction may have made */
    struct carry_error *carry_errors;  /* owned: of those that could not be prepared ahead of what is sent now */
    struct unnamed_stmt *unnamed;      /* counted: once all that was sent succeeds; NULL: there is none */
    struct unnamed_stmt *unnamed_told; /* counted: by what was answered */
    uint64_t unnamed_batch;            /* number of the batch that changed it last */
    struct client_stmt *bound;         /* in use: the named statement that the last Bind of this batch took; or NULL */
    uint64_t bound_portal;             /* ... and a hash of the portal's name; 0: nothing was bound */
    uint32_t cancel_pid;
    uint8_t cancel_key[CANCEL_KEY_LONG];
    uint8_t cancel_key_len;

    /* routing */
    struct rules rules;     /* rules_of() */
    struct list fresh_node; /* in worker->unfresh, or in none */
    usec_t fresh_since;     /* when the batch at the head began to wait there; 0: it did not */
    struct pool *wanted;    /* where the batch at the head gets its server */
    struct shape *ahead;    /* held: what the Query at its head was read as; NULL: it was not read yet */
    uint64_t ahead_hash;    /* of that text */
    struct buf again;       /* that batch, while a replica may refuse it; then the primary gets it */
    size_t again_sent;      /* so many bytes of it were sent on; the rest is still in conn.in */
    bool again_on;          /* a replica has refused: its answer is dropped, up to its end */
    bool to_primary;        /* the batch at the head has been refused by a replica */
    bool binary_rows;       /* what it has bound in this transaction wants rows in binary format (nested.h) */
    bool only_prepares;     /* the batch at the head, or that is sent, runs nothing: it does not begin a transaction */
    bool spread;            /* a statement of the batch at the head has its rows on several shards */
    bool writes;            /* this transaction may have changed what others read */
    uint8_t draws_anew;     /* what it has sent may set sequences anew: DRAWS_ bits (draw.h); 0: nothing */
    uint64_t horizon;       /* number of the newest sample when the primary answered last */
    uint64_t last_answer;   /* ... when any server did */
    int last_node;          /* the replica that it read from last; -1: the primary */
    const struct cluster *last_cluster; /* ... of these nodes; compared only */

    struct gather *gather;           /* owned: how its batch is answered by several shards; or NULL */
    struct coordinated *coordinated; /* owned: how it is answered by the coordinator; or NULL */
    struct apart *apart;             /* owned: how all shards run its command, one after the other; or NULL */
    struct joint *joint;             /* owned: its transaction on several shards; or NULL */
    struct arm *arm;                 /* what it is of such another client; or NULL */
    struct whole *whole;             /* owned: its statement that one of these answers, as it is counted; or NULL */
    bool inside;                     /* it has no socket, and nobody counts it */

    struct journal journal;   /* what its transaction is, for servers that join it */
    struct deferred deferred; /* its transaction, while no server knows of it */

    /* the batch that is being read from it */
    size_t stream_left; /* bytes of a long message that are still to be passed on */
    bool stream_drop;   /* ... or to be dropped */
    bool in_batch;      /* messages of the extended protocol went by, Sync has not */
    bool drop_batch;    /* refused: its messages are dropped up to its end, which is answered by ReadyForQuery */
    size_t cut_left;    /* bytes of it that go on as a batch of their own (cut.h); 0: none */
    bool is_cut;        /* ... have gone, and are not answered yet */
    bool parted;        /* of it, parts went by */
    struct buf split;   /* what has become of a Query of several statements: comes before what is still in conn.in */
    bool quiet;         /* sends nothing until nothing is expected any more (an answer may change what comes next) */
    bool eof;           /* it has closed its sending side, or said Terminate */
    bool failed_block;  /* its transaction has failed and lost its server: the next one takes that over */
    bool chains;        /* its next transaction begins when it is known what the one before has left (joint.h) */
    bool readying; /* the batch at its head waits for the answer to what went ahead of it, and its server is kept */
    usec_t block_limit;       /* sluice.timeout as this transaction has SET it (run_limit.h); -1: it has not */
    struct place_block place; /* sluice.shard and sluice.key likewise (place.h) */
    usec_t run_limit;         /* of what runs now, where it has a limit of its own */
    bool awaits_run;          /* what it sent last waits for the end of a run that has a limit of its own */
    bool slow_noted;
    uint64_t sequence_server; /* id of the server where it took a value of a sequence last; 0: nowhere */
    bool unsettled;           /* this transaction has changed a setting that Parse depends on, to nobody knows what */
    uint32_t traces;          /* TRACE_ bits: what the statements of this transaction may leave on the server */
    uint32_t executes;        /* ... and those that it has made by PREPARE, when they are executed */
    uint32_t asking;          /* ... what the server is being asked for (ask.h) */
    uint32_t pins;            /* ... what keeps its server with it between transactions */
    struct buf replay;        /* the batch, while it may have to be run again */
    unsigned pretended;       /* ParseCompletes of that batch that were made here and have gone on */
    bool replaying;

    /* what runs or waits now (active.h) */
    int64_t query_id; /* its number; 0: nobody has asked for it */
    struct {
        usec_t since;   /* when a cancel request became due; 0: none is */
        usec_t sent_at; /* the last one */
        bool asked;     /* a client or the console wants it, no limit of ours */
        bool of_run;    /* for a limit of the statement that runs alone, not of the batch */
        bool deadlock;  /* what it is told is 40P01 (deadlock.h) */
    } cancelling;

    /* times */
    usec_t connected_at;
    usec_t waited_us;         /* of the statement that is counted next: for a server */
    usec_t request_at;        /* when the current batch came; 0: none */
    usec_t xact_at;           /* when the current transaction got its server; 0: none */
    usec_t query_at;          /* when the current batch was sent; 0: nothing runs */
    usec_t idle_at;           /* when the last answer had come; 0: something runs */
    usec_t statement_limit;   /* statement_timeout that the configuration sets; 0: none */
    int64_t own_timeout_ms;   /* its own, where the limit stands in its place; -1: the server's default */
    int64_t login_timeout_ms; /* ... what RESET returns to */
};

static inline struct client *client_of_waiter(struct waiter *w)
{
    return CONTAINER_OF(w, struct client, waiter);
}

/* How its texts are read. */
static inline unsigned client_lex_flags(const struct client *c)
{
    return c->vars->standard_strings ? LEX_STANDARD_STRINGS : 0;
}

/* One without a socket (conn_init_inside), logged in as `of`, with its settings; what it is asked is not counted as a
 * client's. */
struct client *client_new_inside(struct client *of, const struct conn_handler *handler);
/* A new connection; takes over fd, peer and address. */
struct client *client_new(struct worker *w, int fd, struct sockaddr_storage *peer, char *address, int port,
                          bool admin_port);
void client_move(struct client *c, enum client_state to);
/* Counts what it was given since conn_given said so much; an answer that was held may be taken back again. */
void client_count_sent(struct client *c, uint64_t before);
/* To be gone on with in this turn. */
void client_wake(struct client *c);
/* Ends it: an ErrorResponse FATAL, then the connection; what it held is given back. For fate.c, which knows the words.
 */
void client_end(struct client *c, const char *sqlstate, const char *message, const char *detail /* or NULL */);
/* It has said all, and was answered: ends when what is queued for it has been sent. */
void client_leave(struct client *c);
/* Ends it at once, without a word. */
void client_drop(struct client *c, const char *why);
void client_free(struct client *c);
/* server_fast_close: ends sessions whose server is outdated, between their transactions. */
void clients_fast_close(struct worker *w);
/* What a client is, for the log: "C-12: db/user@address:port". */
const char *client_name(const struct client *c, char *out, size_t size);
/* Why it keeps its server between transactions; NULL: it does not. Static. */
static inline const char *client_pin(const struct client *c)
{
    return traces_pin(c->pins);
}
const char *client_state_name(const struct client *c); /* PgBouncer's words */

/* --- login.c --- */
size_t login_input(struct client *c, const uint8_t *p, size_t len);
void login_first_byte(struct client *c, uint8_t byte);
void login_opened(struct client *c);
/* control has looked up its secret; NULL: no such user, "": it has none. error: the look-up itself failed. */
void login_secret(struct client *c, const char *secret, const char *error);
/* The server that it waited for is there. */
void login_attached(struct client *c, struct server *s);
/* Settings that were sent for it have been answered. failed: the server's error, or NULL. */
void login_settings(struct client *c, struct server *s, const struct msg_error *failed);
void login_refused(struct client *c, const struct refusal *why);
void login_free(struct client *c);

/* --- session.c --- */
size_t session_input(struct client *c, const uint8_t *p, size_t len);
void session_attached(struct client *c, struct server *s);
/* Its next batch has a server of its own, or rides on one (riding.h). */
void session_begin_anew(struct client *c);
/* Goes on after a wait. */
void session_run(struct client *c);
/* The client has closed its side, or is gone (error). */
void session_eof(struct client *c);
/* Everything that the server owed has come. */
void session_settled(struct client *c, struct server *s);
/* No cancel request is under way to its server any more: what has waited for that goes on. */
void session_cancel_over(struct client *c, struct server *s);
/* In statement pooling, a transaction is open after the statement: the client is ended. */
void session_left_statement(struct client *c);
/* Gives up the server: rolled back and cleaned where needed. */
void session_detach(struct client *c);
/* What ReadyForQuery says to a client of whose transaction no server knows. */
char session_block_status(const struct client *c);

/* --- lost.c --- */
void session_refused(struct client *c, const struct refusal *why);
/* A cancel request came while it waits for a server: its batch is answered by 57014. */
void session_cancelled(struct client *c);
/* It waits for a server, in a ring: its batch is answered by 40P01. */
void session_deadlocked(struct client *c);
void session_server_lost(struct client *c, struct server *s);
/* The same, because its statement went on for too long. */
void session_server_late(struct client *c, struct server *s);

/* --- timeouts.c --- */
/* Ten times a second: ends what has gone on for too long. */
void timeouts_tick(struct worker *w);

/* --- standby.c --- */
/* By which rules a replica is chosen for this client's next read: the configuration's; any_age is the
 * caller's to set. For each batch the caller adds one to worker->choices. */
struct choice_rules session_choice_rules(struct client *c, const struct pool *base, const struct cluster *cluster);
/* The pool of a replica for the next batch of a client with target=standby; where none is there now, one to wait in. */
struct pool *standby_pool(struct client *c);
/* False: nobody knows which of the hosts are standbys. */
bool standby_is_known(const struct client *c);
/* It waits for a server: moves it to another replica, or refuses it after failover_wait. True: it has done so. */
bool standby_tick(struct client *c, usec_t now);
/* For how long its statements wait for a node that is not there; 0: without end. */
usec_t standby_patience(const struct client *c);

/* --- send.c --- */
/* One whole message of a client that holds a server; or the head of a long one (have < total). */
enum send_result { SEND_OK, SEND_WAIT /* the message was not sent: try again when the client is woken */ };
enum send_result send_message(struct client *c, const struct frame *f, const uint8_t *p, size_t have, bool alone);
/* Settings, Closes: what must stand before the first message of a batch on this server. */
void send_preamble(struct client *c, struct server *s);
/* A Query of ours, whose answer is nobody's; c holds s. What its end means: effect. */
void send_own(struct client *c, struct server *s, const char *sql, enum expect_effect effect);
/* There is such a thing. */
bool send_needs_preamble(const struct client *c, const struct server *s);

/* --- relay.c --- */
size_t relay_input(struct server *s, const uint8_t *p, size_t len);
void relay_dropped(struct server *s, const struct expect *e);
/* Answers that need no server are made while they stand at the head of the queue. */
void relay_fakes(struct server *s);

/* --- console.c --- */
size_t console_input(struct client *c, const uint8_t *p, size_t len);
/* What a client of the console is told after AuthenticationOk. */
void console_welcome(struct client *c);

#endif
