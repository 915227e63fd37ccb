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
        "pg_stat_force_next_flush() flushes the counters of one server, and not those of the others on which the "
        "test's statements ran; and a reconnect, which the test counts, finds a server that is there already",
        ["SELECT sessions > :db_stat_sessions FROM pg_stat_database WHERE datname = (SELECT current_database());",
         " WHERE relname like 'trunc_stats_test%' order by relname;",
         " WHERE st.relname='tenk2' AND cl.relname='tenk2';",
         "SELECT funcname, calls FROM pg_stat_user_functions WHERE funcid = :stats_test_func1_oid;",
         "SELECT funcname, calls FROM pg_stat_user_functions WHERE funcid = :stats_test_func2_oid;",
         "SELECT pg_stat_get_function_calls(:stats_test_func1_oid);",
         "SELECT pg_stat_get_function_calls(:stats_test_func2_oid);",
         "SELECT pg_stat_get_live_tuples(:drop_stats_test_oid);",
         "SELECT pg_stat_get_live_tuples(:drop_stats_test_xact_oid);",
         "SELECT pg_stat_get_live_tuples(:drop_stats_test_subxact_oid);",
         "SELECT pg_stat_get_tuples_inserted(:drop_stats_test_xact_oid);",
         "SELECT pg_stat_get_tuples_inserted(:drop_stats_test_subxact_oid);",
         "SELECT pg_stat_get_xact_tuples_inserted(:drop_stats_test_xact_oid);",
         "SELECT pg_stat_get_xact_tuples_inserted(:drop_stats_test_subxact_oid);",
         "SELECT pg_stat_have_stats('relation', :dboid, :stats_test_idx1_oid);"]),
    "triggers": (
        "the library's ttdummy() is switched on and off, and refint's plans are kept, in variables of C code in the "
        "server's process, of which nobody outside can know",
        ["update pkeys set pkey1 = 7, pkey2 = '70' where pkey1 = 50 and pkey2 = '5';",
         "update pkeys set pkey1 = 7, pkey2 = '70' where pkey1 = 10 and pkey2 = '1';",
         "delete from tttest where price_id = 5;", "update tttest set price_off = 999999 where price_val = 30;",
         "update tttest set price_id = 5 where price_id = 3;", "select set_ttdummy(1);", "select set_ttdummy(0);",
         "update tttest set price_on = -1 where price_id = 1;", "select * from tttest;",
         "select * from tttest where price_on <= 35 and price_off > 35 and price_id = 5;"]),
    "temp": (
        "only the first use of pg_temp on a server makes its schema, and that is what PREPARE TRANSACTION refuses",
        ["PREPARE TRANSACTION 'twophase_search';"]),
}


def reason(test, changes):
    """Why a test's differences, a list of compare.Change, are by nature; None if they are not."""
    why, statements = STATEMENTS.get(test, ("", ()))
    known = [change.statement in statements and not change.in_script for change in changes]
    return why if known and all(known) else None
