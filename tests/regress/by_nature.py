"""Lines that may differ when sessions share servers, whoever shares them out, and why."""

# Of each test: the statement, the lines that differ in its answer, the reason.
PLACES = {
    "guc": (
        "SET plpgsql.extra_foo_warnings = true;  -- allowed if plpgsql is not loaded yet",
        """\
+ERROR:  invalid configuration parameter name "plpgsql.extra_foo_warnings"
+DETAIL:  "plpgsql" is a reserved prefix.
-WARNING:  invalid configuration parameter name "plpgsql.extra_foo_warnings", removing it
-DETAIL:  "plpgsql" is now a reserved prefix.
""",
        "a server on which anybody has called a PL/pgSQL function has that language loaded, and nothing unloads it"),
    "stats": (
        "SELECT sessions > :db_stat_sessions FROM pg_stat_database WHERE datname = (SELECT current_database());",
        """\
- t
+ f
""",
        "the test reconnects and looks whether PostgreSQL counts one session more; Sluice had a server already"),
    "temp": (
        "PREPARE TRANSACTION 'twophase_search';",
        """\
-ERROR:  cannot PREPARE a transaction that has operated on temporary objects
""",
        "only the first use of pg_temp on a server makes its schema, and that is what PREPARE TRANSACTION refuses"),
}


def reason(test, hunks):
    """Why a test's differences, a list of lists of lines of a unified diff, are by nature; None if they are not."""
    if test not in PLACES or len(hunks) != 1:
        return None
    statement, changed, why = PLACES[test]
    is_it = " " + statement in hunks[0] and [line for line in hunks[0] if line[0] in "+-"] == changed.splitlines()
    return why if is_it else None
