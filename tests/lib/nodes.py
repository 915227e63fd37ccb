"""A primary and its replicas behind one Sluice: for tests of routes, freshness and failover.

    s = front(sluice, primary, one, two, keys="failover_wait=2", read_your_writes="off")
    await_fresh(s, one, two)                      # both replicas are read from
    node(s, one)["role"]                          # that node's row of SHOW NODES
    on_primary, on_replicas = where(s, "from items")   # calls of the statements whose text has this
    follow(two, one)                              # two streams from one from now on
"""

import psycopg

from lib.util import wait_for

OPTIONS = {"monitor_user": "postgres", "monitor_database": "postgres", "sample_interval": 10, "server_login_retry": 1}


def hosts(*servers):
    return f"host={','.join(server.host for server in servers)} port={','.join(str(server.port) for server in servers)}"


def front(sluice, *servers, keys="", workers=2, **options):
    """Sluice with these nodes as database shop."""
    return sluice(databases={"shop": f"{hosts(*servers)} {keys}"}, options={**OPTIONS, **options}, workers=workers)


def node(s, server, database="shop"):
    """That node's row of SHOW NODES."""
    rows = [row for row in s.admin("SHOW NODES") if (row["database"], row["port"]) == (database, server.port)]
    assert len(rows) == 1, rows
    return rows[0]


def await_role(s, server, role, seconds=20):
    wait_for(lambda: node(s, server)["role"] == role, seconds, f"the node to be {role}", every=0.01)


def await_fresh(s, *replicas, seconds=30):
    """Waits until these replicas have replayed a sample."""
    for replica in replicas:
        wait_for(lambda replica=replica: node(s, replica)["role"] == "replica" and node(s, replica)["fresh_as_of"],
                 seconds, "the replica to be fresh")


def await_replica(s, ask):
    """Waits until what ask(sql) reads is read on a replica; so is what comes next, if nobody writes."""
    def served():
        before = where(s, "as warm")[1]
        ask("SELECT count(*) AS warm FROM items")
        return where(s, "as warm")[1] > before
    wait_for(served, 20, "a read on a replica", every=0.01)


def where(s, like):
    """(calls on the primary, on replicas) of the statements whose text has this."""
    found = [row for row in s.admin("SHOW STATEMENTS") if like in row["statement"]]
    return sum(row["on_primary"] for row in found), sum(row["on_replica"] for row in found)


def reruns(s, like):
    return sum(row["reruns"] for row in s.admin("SHOW STATEMENTS") if like in row["statement"])


def follow(replica, primary):
    """Has a replica stream from another server."""
    replica.query("ALTER SYSTEM SET primary_conninfo = "
                  f"'host={primary.host} port={primary.port} user=postgres application_name={replica.folder.name}'")
    replica.reload()


def outcome_of(work):
    """The SQLSTATE of what work() raises, "" where it has none; None where it succeeds."""
    try:
        work()
    except psycopg.Error as error:
        return error.sqlstate or ""
    return None
