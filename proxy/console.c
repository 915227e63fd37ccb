/*
 * console.c: the client's side of the admin console: simple queries go to control, answers come back as bytes.
 *
 *   Query ──> control_admin ──> control ──(bytes)──> console_answer ──> the next message
 *
 * Invariant: one command at a time is under way (client.quiet); what the client sends meanwhile waits unread, and
 * beyond AHEAD_BYTES it is not even taken from the socket.
 * Thread: worker.
 */
#include "proxy/cancel.h"
#include "proxy/control.h"
#include "proxy/fate.h"
#include "proxy/login.h"
#include "proxy/version.h"

#define MESSAGE_MAX (64 * KIB)
#define AHEAD_BYTES (64 * KIB)

void console_welcome(struct client *c)
{
    static const struct {
        const char *name, *value;
    } told[] = {{"server_version", PGBOUNCER_VERSION "/bouncer"},
                {"client_encoding", "UTF8"},
                {"server_encoding", "UTF8"},
                {"DateStyle", "ISO"},
                {"TimeZone", "GMT"},
                {"standard_conforming_strings", "on"},
                {"is_superuser", "on"}};
    struct buf *out = &c->conn.out;

    for (size_t i = 0; i < ARRAY_LEN(told); i++)
        msg_param_status(out, told[i].name, told[i].value);
    c->cancel_pid = cancel_pid_of(c->worker->index, client_id_slot(c->id));
    c->cancel_key_len = c->login->minor >= 2 ? CANCEL_KEY_LONG : CANCEL_KEY_SHORT;
    random_bytes(c->cancel_key, sizeof c->cancel_key);
    msg_key_data(out, c->cancel_pid, c->cancel_key, c->cancel_key_len);
    msg_ready(out, 'I');
    conn_touch(&c->conn);
}

static void refuse_extended(struct client *c)
{
    msg_error(&c->conn.out, "ERROR", "0A000", "extended query protocol not supported by admin console", NULL,
              "Use the simple query protocol.");
    c->drop_batch = true;
}

static void query(struct client *c, struct span body)
{
    struct reader r = reader_of(body.ptr, body.len);
    const char *sql = reader_cstr(&r);

    if (!reader_done(&r)) {
        fate_meet(c, FATE_BAD_MESSAGE, "invalid string in message");
        return;
    }
    c->quiet = true;
    stat_add(&worker_stats(c->worker, c->db)->query_count, 1);
    stat_add(&worker_stats(c->worker, c->db)->xact_count, 1);
    control_admin(c->worker->index, c->id, sql, c->rights);
}

static void sync_done(struct client *c)
{
    c->drop_batch = false;
    msg_ready(&c->conn.out, 'I');
}

static void message(struct client *c, uint8_t type, struct span body)
{
    if (type == 'X') {
        client_drop(c, "client close request");
        return;
    }
    if (type == 'S')
        sync_done(c);
    else if (c->drop_batch)
        return; /* after an error, up to Sync */
    else if (type == 'Q')
        query(c, body);
    else if (strchr("PBDECF", type) != NULL)
        refuse_extended(c);
    else if (type == 'p')
        fate_meet(c, FATE_BAD_MESSAGE, "unexpected message type \"p\"");
    /* Flush has nothing to push; data of a COPY that is not going on is dropped, as PostgreSQL does. */
    if (type == 'F')
        sync_done(c); /* a function call ends itself */
}

size_t console_input(struct client *c, const uint8_t *p, size_t len)
{
    size_t used = 0;

    while (!c->quiet && c->state == CLIENT_CONSOLE) {
        const char *why = "message is too long for the admin console";
        struct frame f;
        enum parse_result r = frame_next(FROM_CLIENT, p + used, len - used, &f, &why);
        if (r == PARSE_MORE)
            break;
        if (r == PARSE_BAD || f.total > MESSAGE_MAX) {
            fate_meet(c, FATE_BAD_MESSAGE, why);
            break;
        }
        if (f.total > len - used)
            break;
        message(c, f.type, span_of(p + used + FRAME_HEADER, f.total - FRAME_HEADER));
        used += f.total;
    }
    if (c->state != CLIENT_CONSOLE)
        return len;
    if (c->quiet && len - used > AHEAD_BYTES)
        conn_pause(&c->conn);
    conn_touch(&c->conn);
    return used;
}

void console_answer(struct client *c, const struct buf *bytes)
{
    if (c->state != CLIENT_CONSOLE)
        return;
    conn_send(&c->conn, buf_head(bytes), buf_used(bytes));
    c->quiet = false;
    conn_resume(&c->conn);
    conn_reprocess(&c->conn);
}
