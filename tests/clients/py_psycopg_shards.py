"""psycopg 3 at work on a database of four shards: batches, pipelines, cursors, COPY."""
import psycopg

from checks import DSN, check, equal, raises, run


def connect(**more):
    return psycopg.connect(**dict(DSN, autocommit=True), **more)


def rows(first, count=8):
    return [(first + n, "psycopg") for n in range(count)]


INSERT = "INSERT INTO users (id, email, version) VALUES (%s, %s, 1)"
COUNT = "SELECT count(*) FROM users WHERE email = 'psycopg'"


@check
def executemany():
    for threshold in (0, 5, None):
        with connect(prepare_threshold=threshold) as c, c.cursor() as cursor:
            cursor.executemany(INSERT, rows(1))
            equal(cursor.rowcount, 8)
            raises(psycopg.errors.UniqueViolation, lambda: cursor.executemany(INSERT, [*rows(101), *rows(1, 1)]))
            equal(c.execute(COUNT).fetchone(), (8,))
            keys = [(key,) for key, _ in rows(1)]
            cursor.executemany("DELETE FROM users WHERE id = %s RETURNING id", keys, returning=True)
            ids = [cursor.fetchone()[0]]
            while cursor.nextset():
                ids.append(cursor.fetchone()[0])
            equal(ids, list(range(1, 9)))


@check
def pipelines():
    with connect() as c, c.pipeline() as pipeline:
        with c.transaction():
            for row in rows(11):
                c.execute(INSERT, row)
            with c.transaction():
                c.execute(INSERT, (19, "psycopg"))
        found = c.execute(COUNT)
        pipeline.sync()
        equal(found.fetchone(), (9,))
        gone = c.execute("DELETE FROM users WHERE email = 'psycopg'")
        pipeline.sync()
        equal(gone.rowcount, 9)


@check
def server_side_cursors():
    with connect() as c, c.transaction(force_rollback=True):
        c.execute("INSERT INTO users (id, email, version) VALUES (21, 'x', 1), (22, 'y', 1)")
        with c.cursor("held") as cursor:
            cursor.itersize = 3
            cursor.execute("SELECT n FROM users, generate_series(1, 10) n WHERE id = %s", (22,))
            equal([n for n, in cursor], list(range(1, 11)))


@check
def server_side_cursors_of_all_shards():
    with connect() as c, c.transaction(force_rollback=True):
        c.cursor().executemany(INSERT, rows(41))
        for binary in (False, True):
            with c.cursor("all", binary=binary) as cursor:
                cursor.itersize = 3
                cursor.execute("SELECT id, email FROM users WHERE id >= %s ORDER BY id", (41,))
                equal([column.name for column in cursor.description], ["id", "email"])
                equal(cursor.fetchone(), (41, "psycopg"))
                c.execute("UPDATE users SET email = 'other' WHERE id = 42")
                equal(list(cursor), rows(42, 7))
                c.execute("UPDATE users SET email = 'psycopg' WHERE id = 42")
        with c.cursor("some") as cursor:
            cursor.execute("SELECT id FROM users")
            cursor.scroll(2)
            equal(len(cursor.fetchmany(4)), 4)


@check
def copies():
    with connect() as c:
        with c.cursor() as cursor, cursor.copy("COPY users (id, email, version) FROM STDIN") as copy:
            for key, name in rows(31, 200):
                copy.write_row((key, name, 1))
        equal(c.execute(COUNT).fetchone(), (200,))
        with c.cursor() as cursor, cursor.copy("COPY (SELECT email FROM users WHERE id = 33) TO STDOUT") as copy:
            equal(list(copy.rows()), [("psycopg",)])
        equal(c.execute("DELETE FROM users").rowcount, 200)


def nothing():
    pass


if __name__ == "__main__":
    run(nothing, nothing)
