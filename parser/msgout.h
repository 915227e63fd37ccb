/*
 * msgout.h: writes messages, appended to a buffer that the caller owns. Pure; cannot fail (memory is checked).
 * Source: PostgreSQL documentation, "Message Formats".
 * Thread: any (no state).
 */
#ifndef SLUICE_MSGOUT_H
#define SLUICE_MSGOUT_H

#include "parser/bytes.h"

/* Begins a message; returns the mark that msg_end needs to write the length. Type 0: no type byte (startup packets). */
size_t msg_begin(struct buf *b, uint8_t type);
void msg_end(struct buf *b, size_t mark);

/* A message without a body. */
void msg_empty(struct buf *b, uint8_t type);

/* Client-bound. */
void msg_error(struct buf *b, const char *severity, const char *sqlstate, const char *message, const char *detail,
               const char *hint); /* detail, hint may be NULL; routine and line fields are left out */
/* An ERROR that names PostgreSQL's routine, too; hint and routine may be NULL. */
void msg_error_of(struct buf *b, const char *sqlstate, const char *message, const char *hint, const char *routine);
void msg_notice(struct buf *b, const char *severity, const char *sqlstate, const char *message, const char *detail,
                const char *hint);
void msg_ready(struct buf *b, char status);
void msg_param_status(struct buf *b, const char *name, const char *value);
void msg_auth(struct buf *b, uint32_t code, const void *extra, size_t extra_len); /* Authentication* */
void msg_key_data(struct buf *b, uint32_t pid, const void *key, size_t key_len);
void msg_negotiate(struct buf *b, uint32_t newest_minor, const char *const *unknown, size_t count);
void msg_command_complete(struct buf *b, const char *tag);

/* Result sets of our own (the console). Types: OIDs; all columns text format. */
struct msg_column {
    const char *name;
    uint32_t type_oid;
    int16_t type_len; /* -1 for varlena */
};
void msg_row_description(struct buf *b, const struct msg_column *columns, size_t count);
/* A DataRow is begun, filled with text fields (NULL text: SQL NULL), and ended. */
size_t msg_row_begin(struct buf *b, size_t columns);
void msg_row_text(struct buf *b, const char *text);
void msg_row_int(struct buf *b, int64_t value);

/* Server-bound. */
struct msg_pair_out {
    const char *name;
    const char *value;
};
void msg_startup(struct buf *b, uint32_t version, const struct msg_pair_out *pairs, size_t count);
void msg_ssl_request(struct buf *b);
void msg_cancel_request(struct buf *b, uint32_t pid, const void *key, size_t key_len);
void msg_password(struct buf *b, const void *body, size_t len); /* 'p': password, SASL messages */
void msg_query(struct buf *b, const char *text);
void msg_parse(struct buf *b, const char *name, const char *text, struct span types);
/* Bind without parameters, everything in text format. */
void msg_bind(struct buf *b, const char *portal, const char *statement);
void msg_execute(struct buf *b, const char *portal); /* all rows */
void msg_execute_some(struct buf *b, const char *portal, uint32_t rows_max /* 0: all */);
void msg_named(struct buf *b, uint8_t type, uint8_t kind, const char *name); /* Describe 'D', Close 'C' */

#endif
