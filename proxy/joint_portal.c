/*
 * joint_portal.c: portals and cursors whose rows are of several shards, or the coordinator's: what is between two
 * Executes of such a portal, or two FETCHes, is its transaction's. See joint.h.
 *
 *   joint_gather, joint_whole ──suspended, declared──> here ──Execute, FETCH──> gather, coordinated ──> here, again
 *                                                        ──Close, CLOSE, the end of the transaction──> gone
 *
 * They stand in the order in which they were opened, the transaction's savepoints among them: what was opened behind a
 * savepoint is gone when that is returned to. One that has failed remains, as a name that cannot be run.
 * Thread: worker.
 */
#include "parser/sql_text.h"
#include "proxy/coordinated.h"
#include "proxy/cursor.h"
#include "proxy/gather.h"
#include "proxy/joint_parts.h"
#include "proxy/routing.h"

#include <inttypes.h>
#include <stdio.h>

struct portal {
    struct list node;                /* in joint->portals */
    bool savepoint;                  /* it is one of these */
    struct gather *gather;           /* owned; NULL: it is none, or it runs, or it has failed */
    struct coordinated *coordinated; /* likewise */
    char name[];
};

static struct portal *find(const struct joint *j, const char *name, bool savepoint)
{
    struct portal *found = NULL;

    LIST_FOR_EACH (it, &j->portals) {
        struct portal *p = LIST_ENTRY(it, struct portal, node);
        if (p->savepoint == savepoint && strcmp(p->name, name) == 0)
            found = p;
    }
    return found;
}

bool joint_has_portal(const struct client *c, const char *name)
{
    return c->joint != NULL && find(c->joint, name, false) != NULL;
}

char *joint_portal_name(struct client *c, const char *name)
{
    return name[0] == '\0' ? mem_strdup("") : mem_printf("sluice:%" PRIu32, ++c->joint->portal_count);
}

static void drop(struct portal *p)
{
    if (p->gather != NULL)
        gather_free(p->gather);
    coordinated_free(p->coordinated);
    list_del(&p->node);
    free(p);
}

static struct portal *add(struct joint *j, const char *name, bool savepoint)
{
    struct portal *p = mem_zalloc(sizeof *p + strlen(name) + 1);

    strcpy(p->name, name);
    p->savepoint = savepoint;
    list_push_back(&j->portals, &p->node);
    return p;
}

static struct portal *keep(struct client *c, const char *name)
{
    struct portal *p = find(c->joint, name, false);

    if (p != NULL && (p->gather != NULL || p->coordinated != NULL)) {
        drop(p); /* the unnamed one before */
        p = NULL;
    }
    return p != NULL ? p : add(c->joint, name, false);
}

void joint_keep_gather(struct client *c, struct gather *g, const char *name)
{
    keep(c, name)->gather = g;
}

void joint_keep_coordinated(struct client *c, struct coordinated *k, const char *name)
{
    keep(c, name)->coordinated = k;
}

void portals_free(struct joint *j)
{
    while (!list_empty(&j->portals))
        drop(LIST_ENTRY(j->portals.next, struct portal, node));
}

/* --- savepoints --- */

/* What stands behind an entry (NULL: all), if it is of that kind. */
static void drop_behind(struct joint *j, const struct portal *p, bool savepoints, bool portals)
{
    struct list *it = p == NULL ? j->portals.next : p->node.next;

    while (it != &j->portals) {
        struct portal *at = LIST_ENTRY(it, struct portal, node);
        it = it->next;
        if (at->savepoint ? savepoints : portals)
            drop(at);
    }
}

void portals_heed(struct joint *j)
{
    const struct shape *shape = statement_read(j->c, j->sql, strlen(j->sql));
    const struct stmt_list *list = shape == NULL ? NULL : reading_of(shape)->list;

    if (list == NULL || list->count != 1)
        return;
    const struct stmt *s = list->stmts[0];
    struct portal *p = s->name == NULL ? NULL : find(j, s->name, true);
    switch (s->kind) {
    case STMT_SAVEPOINT:
        add(j, s->name, true);
        break;
    case STMT_RELEASE: /* one that is not here is older than all that is */
        drop_behind(j, p, true, false);
        if (p != NULL)
            drop(p);
        break;
    case STMT_ROLLBACK_TO:
        drop_behind(j, p, true, true);
        break;
    case STMT_CLOSE:
        drop_behind(j, NULL, false, true);
        break;
    default:
        break;
    }
}

/* --- running them --- */

/* Its servers are its arms'. False: it has failed before. */
static bool take_up(struct joint *j, struct portal *p)
{
    if (p->gather == NULL && p->coordinated == NULL)
        return false;
    joint_take_back(j);
    j->phase = p->gather != NULL ? JOINT_GATHERING : JOINT_WHOLE;
    return true;
}

static void refuse_failed(struct joint *j, const struct request *q, const char *name)
{
    char message[120];

    snprintf(message, sizeof message, "portal \"%.90s\" cannot be run", name);
    joint_refuse(j, q, "55000", message, NULL);
}

/* It is run, and comes back if there may be more of it. */
static void execute(struct joint *j, struct portal *p, uint32_t rows_max)
{
    struct gather *g = p->gather;
    struct coordinated *k = p->coordinated;

    if (!take_up(j, p)) {
        refuse_failed(j, &(struct request){.simple = true}, p->name);
        return;
    }
    p->gather = NULL;
    p->coordinated = NULL;
    if (g != NULL)
        gather_resume(g, rows_max);
    else
        coordinated_resume(k, rows_max);
}

static void close_it(struct joint *j, struct portal *p)
{
    struct gather *g = p->gather;
    struct coordinated *k = p->coordinated;
    bool runs = take_up(j, p);

    p->gather = NULL;
    p->coordinated = NULL;
    drop(p);
    if (g != NULL)
        gather_close(g);
    else if (k != NULL)
        coordinated_close(k);
    if (runs)
        return;
    msg_empty(&j->c->conn.out, '3');
    conn_touch(&j->c->conn);
    client_wake(j->c);
}

static void describe(struct joint *j, struct portal *p)
{
    if (p->gather != NULL)
        gather_describe(p->gather);
    else if (p->coordinated != NULL)
        coordinated_tell(p->coordinated);
    else
        refuse_failed(j, &(struct request){.simple = true}, p->name);
    client_wake(j->c);
}

/* The portal that a message speaks of; NULL: none. */
static const char *portal_of(const struct frame *f, const uint8_t *p, uint32_t *rows_max)
{
    struct reader r = reader_of(p + FRAME_HEADER, f->total - FRAME_HEADER);

    if (strchr("ECD", f->type) == NULL || ((f->type == 'C' || f->type == 'D') && reader_u8(&r) != 'P'))
        return NULL;
    const char *name = reader_cstr(&r);
    *rows_max = f->type == 'E' ? reader_u32(&r) : 0;
    return r.bad ? NULL : name;
}

size_t portals_take(struct joint *j, const uint8_t *batch, size_t extent)
{
    struct frame f;
    const char *why;
    uint32_t rows_max;

    if (list_empty(&j->portals) || frame_next(FROM_CLIENT, batch, extent, &f, &why) != PARSE_OK || f.total > extent)
        return 0;
    const char *name = portal_of(&f, batch, &rows_max);
    struct portal *p = name == NULL ? NULL : find(j, name, false);
    struct portal *unnamed = strchr("QB", f.type) == NULL ? NULL : find(j, "", false);
    if (unnamed != NULL)
        drop(unnamed); /* as any Query does; and what binds another one, does so first */
    if (p == NULL || j->c->server->tx == 'E')
        return 0;
    j->c->parted = true;
    if (f.type == 'D')
        describe(j, p);
    else if (f.type == 'C')
        close_it(j, p);
    else
        execute(j, p, rows_max);
    return f.total;
}

/* --- cursors --- */

bool portals_run(struct joint *j, const struct request *q)
{
    const struct stmt *s = request_stmt(q);
    bool speaks = s->kind == STMT_FETCH || s->kind == STMT_MOVE || s->kind == STMT_CLOSE;
    struct portal *p = speaks && s->name != NULL ? find(j, s->name, false) : NULL;
    struct cursor_wish wish;

    if (p == NULL)
        return false;
    struct gather *g = p->gather;
    struct coordinated *k = p->coordinated;
    if (!cursor_wish(s, &wish)) {
        joint_refuse(j, q, "0A000", "a cursor over several shards goes forward only",
                     "Fetch NEXT, FORWARD or ALL; or declare it for rows of one shard.");
        return true;
    }
    if (wish.verb != CURSOR_CLOSE && g == NULL && k == NULL) {
        refuse_failed(j, q, p->name);
        return true;
    }
    bool runs = take_up(j, p);
    p->gather = NULL;
    p->coordinated = NULL;
    if (wish.verb == CURSOR_CLOSE)
        drop(p);
    if (!runs)
        joint_tell(j, q, mem_strdup("SHOW server_version"), "CLOSE CURSOR", false);
    else if (g != NULL)
        gather_wish(g, q, wish);
    else
        coordinated_wish(k, q, wish);
    return true;
}

const char *portals_opened(const struct request *q)
{
    const struct stmt *s = request_stmt(q);

    if (q->cursor != NULL)
        return q->cursor;
    if (s != NULL && s->kind == STMT_DECLARE && s->name != NULL)
        return s->name;
    return q->simple ? "" : q->bind.portal;
}

char *portals_question(const char *name)
{
    struct buf quoted = {0};

    sql_text_name(&quoted, name);
    buf_put_u8(&quoted, 0);
    char *sql =
        mem_printf("DECLARE %s CURSOR FOR SELECT 1; CLOSE %s", (const char *)quoted.data, (const char *)quoted.data);
    buf_free(&quoted);
    return sql;
}

bool portals_refuse(struct joint *j, const struct request *q)
{
    const char *name = portals_opened(q);
    char message[120];

    if (name[0] == '\0' || find(j, name, false) == NULL)
        return false;
    snprintf(message, sizeof message, "cursor \"%.90s\" already exists", name);
    joint_refuse(j, q, "42P03", message, NULL);
    return true;
}
