"""The first things anybody tries: a query through the proxy, the console, a reload."""


def test_query_and_console(sluice):
    s = sluice()
    with s.connect() as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (100,)
        pool = s.pool()
        assert pool["sv_idle"] + pool["sv_active"] + pool["sv_used"] == 1
    s.wait_idle()


def test_reload_takes_a_new_option(sluice):
    s = sluice()
    s.write(options={"default_pool_size": 7})
    s.reload()
    assert {row["key"]: row["value"] for row in s.admin("SHOW CONFIG")}["default_pool_size"] == "7"
