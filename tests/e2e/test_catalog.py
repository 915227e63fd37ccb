"""parser/functions.def and parser/relations.def against the catalog of a real PostgreSQL: what is missing there would
be sent to a replica whose answer is another's."""

import pathlib
import re

PARSER = pathlib.Path(__file__).resolve().parents[2] / "parser"
ROW = re.compile(r"^(\w+)\((\w+)(?:, (\w+))?\)$", re.MULTILINE)
# What a replica answers as the primary would, or what does not speak of the server at all.
HARMLESS = {"HARMLESS", None}
STABLE_BUT_OWN = {
    "current_setting", "inet_client_addr", "inet_server_addr", "inet_server_port", "pg_backend_pid",
    "pg_conf_load_time", "pg_current_snapshot", "pg_current_xact_id", "pg_cursor", "pg_listening_channels",
    "pg_my_temp_schema", "pg_postmaster_start_time", "pg_prepared_statement", "pg_show_all_settings", "txid_current",
    "version",
}
# Only to leave out other sessions' temporary tables; a session that has some reads from the server that it holds.
VIEWS_ALL_THE_SAME = {"tables"}


def rows(name):
    """(macro, name, class or None) of every row of a table."""
    found = ROW.findall((PARSER / name).read_text())
    assert found
    return [(macro, item, group or None) for macro, item, group in found]


def lookup(table, name):
    """The class of a function as the search finds it; None: it is not in the table."""
    exact = [group for macro, item, group in table if macro == "FUNCTION" and item == name]
    prefixed = [group for macro, item, group in table if macro == "FUNCTION_PREFIX" and name.startswith(item)]
    return (exact + prefixed + [None])[0]


def catalog_functions(pg, condition):
    return [name for name, in pg.query(
        "SELECT DISTINCT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND " + condition)]


def test_every_volatile_function_has_a_class(pg):
    table = rows("functions.def")
    volatile = catalog_functions(pg, "provolatile = 'v'")
    assert len(volatile) > 200
    assert [name for name in volatile if lookup(table, name) is None] == []


def test_every_row_is_a_function(pg):
    known = set(catalog_functions(pg, "true"))
    names = [item for macro, item, _ in rows("functions.def") if macro == "FUNCTION"]
    assert [name for name in names if name not in known] == []
    assert names == sorted(names)


def test_what_is_stable_and_yet_the_servers_own_has_a_class(pg):
    table = rows("functions.def")
    stable = set(catalog_functions(pg, "provolatile <> 'v'"))
    own = STABLE_BUT_OWN | {name for name in stable if name.startswith("pg_stat_get_")}
    assert own <= stable and len(own) > 80
    assert [name for name in own if lookup(table, name) in HARMLESS] == []


def test_every_view_over_such_a_function_has_a_row(pg):
    table, relations = rows("functions.def"), rows("relations.def")
    exact = {item for macro, item, _ in relations if macro == "RELATION"}
    prefixes = tuple(item for macro, item, _ in relations if macro == "RELATION_PREFIX")
    views = pg.query("SELECT relname, pg_get_viewdef(oid) FROM pg_class WHERE relkind = 'v' AND"
                     " relnamespace IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)")
    assert len(views) > 100
    missing = []
    for view, text in views:
        calls = set(re.findall(r"\b([a-z_0-9]+)\(", text))
        speaking = {name for name in calls if lookup(table, name) not in HARMLESS}
        if speaking and view not in exact | VIEWS_ALL_THE_SAME and not view.startswith(prefixes):
            missing.append((view, speaking))
    assert missing == []
