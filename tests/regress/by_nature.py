"""Answers that may differ when sessions share servers, whoever shares them out, and why.

A test's difference is by nature only if each line that changed is in the answer to a statement that is named here.
"""

# Of each test: the reason, and the statements (the last line of each, as the test has it) whose answer may differ.
STATEMENTS = {
    "guc": (
        "a server on which anybody has called a PL/pgSQL function has that language loaded, and nothing unloads it",
        ["SET plpgsql.extra_foo_warnings = true;  -- allowed if plpgsql is not loaded yet",
         "LOAD 'plpgsql';  -- this will throw a warning and delete the variable"]),
    "stats": (
        "the test reconnects and looks whether PostgreSQL counts one session more; Sluice had a server already",
        ["SELECT sessions > :db_stat_sessions FROM pg_stat_database WHERE datname = (SELECT current_database());"]),
    "temp": (
        "only the first use of pg_temp on a server makes its schema, and that is what PREPARE TRANSACTION refuses",
        ["PREPARE TRANSACTION 'twophase_search';"]),
}


def reason(test, changes):
    """Why a test's differences, a list of compare.Change, are by nature; None if they are not."""
    why, statements = STATEMENTS.get(test, ("", ()))
    known = [change.statement in statements and not change.in_script for change in changes]
    return why if known and all(known) else None
