"""What Sluice and PostgreSQL tell of a run: which statements ran under which pin, and what a test that hangs does."""

import psycopg

ACTIVITY = """SELECT pid, usename, state, wait_event_type, wait_event, xact_start IS NOT NULL AS in_transaction,
    pg_blocking_pids(pid) AS blocked_by, application_name, left(query, 300) AS query
    FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'suite' ORDER BY pid"""


def _table(title, rows):
    lines = [", ".join(f"{key}={value}" for key, value in row.items() if value not in (None, "", 0)) for row in rows]
    return f"-- {title}\n" + "".join(f"   {line}\n" for line in lines)


def _activity(cluster):
    with cluster.admin("postgres") as connection:
        cursor = connection.execute(ACTIVITY)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row)) for row in cursor]


def _of_console(sluice, command):
    try:
        return _table(command, sluice.admin(command))
    except psycopg.Error as error:
        return f"-- {command}: {error}\n"


def what_hangs(test, cluster, sluice):
    """Who waits for what while that test hangs, as text."""
    text = f"{test} has written nothing for long.\n" + _table("pg_stat_activity", _activity(cluster))
    if sluice is not None:
        text += "".join(_of_console(sluice, command) for command in ("SHOW POOLS", "SHOW CLIENTS", "SHOW SERVERS"))
    return text


def what_ran(sluice):
    """How much went through Sluice, and how many statements ran under which pin."""
    totals = [row for row in sluice.admin("SHOW STATS_TOTALS") if row["database"] not in ("sluice", "pgbouncer")]
    lines = [f"   {row['database']}: {row['query_count']} statements, {row['xact_count']} transactions, "
             f"{row['server_assignment_count']} times a server was given, {row['multiplexed_count']} batches rode"
             for row in totals]
    pins = [f"   {row['statements']} of them by clients that kept their server for a {row['pin']}"
            for row in sluice.admin("SHOW PINS") if row["statements"]]
    return "-- through Sluice\n" + "\n".join(lines + pins)
