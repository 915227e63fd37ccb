"""Random sessions over the shop of diff_shop.py: transactions with writes, reads, savepoints, cursors, errors.

    make = Sessions(LAYOUTS["user"], random.Random(7))
    make.step(failed=False)    # a Statement: what a client says next, whose transaction has not failed
"""

from lib.diff_change import MANY, WRITE, Changes
from lib.diff_select import ANY_ORDER, EXACT, Statement

CONTROL, COPY = "control", "copy"
BEGINS = ("BEGIN", "BEGIN", "BEGIN", "START TRANSACTION", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN READ ONLY",
          "BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE",
          "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
WEIGHTS = {"insert": 3, "insert_many": 2, "update": 4, "delete": 3, "conflict": 2, "joined": 2, "odd": 2, "locked": 3,
           "cursor": 2, "shared": 2, "insert_columns": 8, "insert_select": 5, "insert_elsewhere": 3, "update_forms": 8,
           "update_from": 6, "same_key": 1, "views": 2, "delete_forms": 4, "chain": 3, "merge": 2, "wrong": 2,
           "prepared": 2, "drawn": 3, "emptied": 0.3}
WRONG = ("INSERT INTO users (id, name) VALUES ({u}, 'a'), ({u}, 'b')", "INSERT INTO orders (id, user_id) VALUES (1, "
"7777)",
         "UPDATE users SET score = -1000 WHERE id = {u}", "INSERT INTO users (id, name) VALUES ('{u}x', 'a')",
         "UPDATE users SET score = 1 / (id - id) WHERE id = {u}", "UPDATE users SET score = 123456789 WHERE id = {u}",
         "UPDATE orders SET note = 'longer than twenty characters' WHERE user_id = {u}", "INSERT INTO users (name) "
         "VALUES ('a')",
         "INSERT INTO order_items (id, order_id, product_id) VALUES (1, 2, 3, 4)", "UPDATE users SET id = NULL WHERE "
         "id = {u}",
         "INSERT INTO users (id, name, id) VALUES ({u}, 'a', 3)", "UPDATE users SET nothing = 1 WHERE id = {u}",
         "DELETE FROM users WHERE id = {u}", "DELETE FROM products WHERE id = 3", "UPDATE products SET id = 3 WHERE "
         "id = 4",
         "INSERT INTO products (id, name) VALUES (3, 'again')", "INSERT INTO users (id, name, active) VALUES (3, 'a', "
         "'maybe')",
         "UPDATE users SET name = 'x', name = 'y' WHERE id = {u}", "INSERT INTO users (id, name) VALUES (99999999999, "
         "'a')",
         "INSERT INTO users (id, name) VALUES ({u}, 'a') ON CONFLICT (name) DO NOTHING", "DELETE FROM users u WHERE "
         "users.id = {u}",
         "INSERT INTO users (id, name) VALUES ({u}, 'a') ON CONFLICT (id) DO UPDATE SET score = 1 / 0",
         "UPDATE users SET born = '2024-02-30' WHERE id = {u}", "INSERT INTO users (id, name) SELECT {u}, NULL",
         "INSERT INTO carts (id, user_id) VALUES ('no', {u})", "UPDATE orders SET state = 'lost' WHERE user_id = {u}")


class Sessions(Changes):
    """Each step's kind: control, write, many, copy, or one of a SELECT's."""

    def __init__(self, layout, chance):
        super().__init__(layout, chance)
        self.queue = []  # what is said next, whatever comes of it

    def step(self, failed):
        if self.queue:
            return self.queue.pop(0)
        if failed and self.likely(0.5):
            return Statement(self.one("ROLLBACK", "ROLLBACK", "ROLLBACK TO s1", "ROLLBACK TO s2", "COMMIT"), EXACT,
                             kind=CONTROL)
        chance = self.chance.random()
        if chance < 0.24:
            return Statement(self.control(), EXACT, kind=CONTROL)
        if chance < 0.36:
            return self.statement()
        if chance < 0.42:
            self.queue = self.recipe()
            return self.queue.pop(0)
        if chance < 0.46:
            return self.copy()
        return self.write()

    def control(self):
        name = f"s{self.chance.randrange(1, 4)}"
        return self.one(self.one(*BEGINS), self.one(*BEGINS), "COMMIT", "COMMIT", "ROLLBACK", f"SAVEPOINT {name}",
                        f"SAVEPOINT {name}", f"ROLLBACK TO {name}", f"ROLLBACK TO SAVEPOINT {name}", f"RELEASE {name}",
                        "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "SET LOCAL work_mem = '5MB'",
                        "SET LOCAL TimeZone = 'Asia/Tokyo'", "SET CONSTRAINTS ALL DEFERRED", "END", "ABORT")

    def write(self):
        self.begin()
        kind = self.chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        text, order, *more = getattr(self, kind)()
        return self.end(text, order, *more or [MANY if kind in ("update", "delete", "insert_many", "odd") else WRITE])

    # --- values of rows ---

    def row(self, table, fresh):
        """Of the columns without which it has no place."""
        if table == "users":
            return f"{self.next_id() if fresh else self.value('user')}, {self.value('icu')}, {self.value('money')}"
        if table == "orders":
            return f"{self.next_id() if fresh else self.value('order')}, {self.value('user')}, {self.value('money')}"
        if table == "carts":
            return f"{self.value('uuid')}, {self.value('user')}, {self.value('json')}"
        owner = f", {self.value('user')}" if "user_id" in self.layout.columns[table] else ""
        key = self.next_id() if fresh else self.value("item")
        return f"{key}, {self.value('order')}, {self.value('product')}{owner}"

    def into(self, table):
        owner = ", user_id" if "user_id" in self.layout.columns["order_items"] else ""
        return table + {"users": " (id, name, score)", "orders": " (id, user_id, total)",
                        "carts": " (id, user_id, content)", "order_items": f" (id, order_id, product_id{owner})"}[table]

    def returning(self, table, share=0.4):
        if not self.likely(share):
            return ""
        columns = list(self.layout.columns[table])
        return " RETURNING " + self.one("*", ", ".join(self.chance.sample(columns, 2)), f"{columns[0]} + 1 AS more"
                                        if table != "carts" else "id")

    def key(self, table):
        return self.layout.unique[table]

    # --- statements ---

    def insert(self):
        table = self.one("users", "orders", "order_items", "carts")
        return (f"INSERT INTO {self.into(table)} VALUES ({self.row(table, self.likely(0.7))})"
                f"{self.returning(table)}"), EXACT

    def insert_many(self):
        table = self.one("users", "orders", "order_items", "carts")
        rows = ", ".join(f"({self.row(table, True)})" for _ in range(self.chance.randrange(2, 6)))
        return f"INSERT INTO {self.into(table)} VALUES {rows}{self.returning(table, 0.6)}", EXACT

    def conflict(self):
        """Which of several rows come back, and so where, nobody has promised."""
        table = self.one("users", "orders", "carts")
        keys = self.key(table)
        changed = {"users": "name = excluded.name", "orders": "total = orders.total + excluded.total",
                   "carts": "content = excluded.content"}[table]
        action = self.one("DO NOTHING", f"DO UPDATE SET {changed}",
                          f"DO UPDATE SET {changed} WHERE {table}.{keys[0]} IS NOT NULL")
        rows = ", ".join(f"({self.row(table, False)})" for _ in range(self.one(1, 1, 1, 3)))
        order = EXACT if "excluded" in action and "WHERE" not in action else ANY_ORDER
        target = f" ({', '.join(keys)})" if "UPDATE" in action or self.likely(0.6) else ""
        return (f"INSERT INTO {self.into(table)} VALUES {rows} ON CONFLICT{target} {action}{self.returning(table)}",
                order)

    def narrowed(self, source):
        """A WHERE, with the key more often than not."""
        where = self.where(source, 2)
        if self.likely(0.6):
            key = self.keys(source)[0]
            kind = dict(source.columns)[key]
            where += (" AND " if where else " WHERE ") + self.fill(
                self.one("{c} = {v}", "{c} = {v}", "{c} IN ({v}, {v}, {v})", "{c} BETWEEN {v} AND {v}"), key, kind)
        return where

    def change(self, table):
        return {"users": self.one(f"name = {self.value('icu')}", "score = score + 1", "active = NOT active",
                                  f"tags = array_append(tags, 'x'), karma = {self.value('float')}",
                                  "settings = settings || '{\"n\": 7}'", f"seen = {self.value('instant')}",
                                  "(name, email) = (upper(name), name)", "born = DEFAULT"),
                "orders": self.one(f"state = {self.value('state')}", "total = total * 2, note = 'changed'",
                                   f"ref = {self.value('uuid')}", "total = round(total / 3, 2)"),
                "order_items": self.one("quantity = quantity + 1", f"price = {self.value('money')}"),
                "carts": self.one(f"content = {self.value('json')}", "lasts = lasts * 2, touched = NULL")}[table]

    def update(self):
        table = self.one("users", "orders", "order_items", "carts")
        source = self.table(table)
        return (f"UPDATE {source.text} SET {self.change(table)}{self.narrowed(source)}{self.returning(table, 0.3)}",
                ANY_ORDER)

    def delete(self):
        table = self.one("orders", "order_items", "carts", "users")
        source = self.table(table)
        return f"DELETE FROM {source.text}{self.narrowed(source)}{self.returning(table, 0.3)}", ANY_ORDER

    def joined(self):
        user = self.value("user")
        return self.one(
            f"UPDATE orders o SET note = 'of ' || u.id FROM users u WHERE u.id = o.user_id AND u.id = {user}",
            "UPDATE orders o SET total = 1 FROM users u WHERE u.id = o.user_id AND u.active RETURNING o.id, u.name",
            f"DELETE FROM order_items i USING orders o WHERE o.id = i.order_id AND o.user_id = {user}",
            f"UPDATE users SET score = (SELECT sum(total) FROM orders o WHERE o.user_id = users.id) WHERE id = {user}",
            "UPDATE users u SET email = NULL WHERE EXISTS (SELECT 1 FROM orders o WHERE o.user_id = u.id)",
            f"WITH d AS (DELETE FROM carts WHERE user_id = {user} RETURNING id) SELECT count(*) FROM d",
            f"WITH n AS (UPDATE users SET score = 5 WHERE id = {user} RETURNING *) SELECT name, score FROM n",
            f"DELETE FROM orders WHERE user_id IN (SELECT id FROM users WHERE NOT active AND id < {user})"), ANY_ORDER

    def odd(self):
        """What fails, moves a row, or is nobody's."""
        user = self.value("user")
        return self.one(
            f"UPDATE users SET score = -5000 WHERE id = {user}", "UPDATE users SET name = NULL",
            f"UPDATE users SET score = 10 / (id - {user})", f"UPDATE users SET id = {user} WHERE id = {user}",
            f"UPDATE orders SET id = id WHERE user_id = {user}", "INSERT INTO users (id, name) VALUES (NULL, 'x')",
            f"INSERT INTO users (id, name) VALUES ({user}, NULL)", "INSERT INTO users (id, name) VALUES ('x', 'y')",
            "INSERT INTO users (id) VALUES (1, 2)", "UPDATE nowhere SET a = 1", "DELETE FROM users WHERE nothing = 1",
            f"INSERT INTO carts (id, user_id) SELECT ref, user_id FROM orders WHERE user_id = {user} AND id = 3",
            f"INSERT INTO audit VALUES (NULL, 'said', {user})", "UPDATE audit SET what = what || '!'",
            "DELETE FROM audit WHERE user_id > 30 RETURNING what"), ANY_ORDER

    def locked(self):
        if self.likely(0.4):
            return self.locked_join()
        source = self.table(self.one("users", "orders"))
        how = self.one("UPDATE", "SHARE", "NO KEY UPDATE", "UPDATE NOWAIT", "UPDATE SKIP LOCKED")
        order = f" ORDER BY {', '.join(source.total)}" if self.likely(0.5) else ""
        return (f"SELECT {source.total[0]}, {self.expression(source)} FROM {source.text}{self.narrowed(source)}{order} "
                f"FOR {how}"), EXACT if order else ANY_ORDER

    def locked_join(self):
        user = self.value("user")
        return self.one(
            (f"SELECT o.id, u.name FROM orders o JOIN users u ON u.id = o.user_id WHERE u.id = {user} FOR UPDATE OF o",
            ANY_ORDER),
            (f"SELECT u.id, o.id FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE u.id < {user} FOR SHARE OF "
            f"u", ANY_ORDER),
            (f"SELECT id FROM orders WHERE user_id = {user} ORDER BY id LIMIT 2 FOR UPDATE SKIP LOCKED", EXACT),
            (f"SELECT id FROM users ORDER BY id LIMIT 3 FOR NO KEY UPDATE SKIP LOCKED", EXACT),
            (f"SELECT id FROM users WHERE id IN ({user}, 5) ORDER BY id DESC FOR KEY SHARE NOWAIT", EXACT),
            (f"SELECT * FROM (SELECT id, name FROM users WHERE id = {user} FOR UPDATE) s", ANY_ORDER),
            (f"SELECT i.id FROM order_items i JOIN products p ON p.id = i.product_id WHERE i.order_id = 5 FOR UPDATE "
            f"OF i", ANY_ORDER),
            (f"SELECT code FROM countries WHERE code = 'de' FOR SHARE", EXACT), ("SELECT * FROM swapped FOR UPDATE",
            ANY_ORDER),
            (f"SELECT count(*) FROM users FOR UPDATE", EXACT), (f"SELECT user_id AS id FROM orders WHERE user_id = "
            f"{user} FOR SHARE",
                                                               ANY_ORDER),
            (f"SELECT name FROM active_users WHERE id = {user} FOR UPDATE", EXACT),
            (f"WITH q AS (SELECT id FROM users WHERE id = {user} FOR UPDATE) SELECT id FROM q", EXACT))

    def cursor(self):
        source = self.table(self.one("users", "orders"))
        name = self.one("c1", "c2")
        return self.one(
            f"DECLARE {name} CURSOR FOR SELECT * FROM {source.text}{self.narrowed(source)} "
            f"ORDER BY {', '.join(source.total)}", f"FETCH 2 FROM {name}", f"FETCH ALL FROM {name}", f"CLOSE {name}",
            f"MOVE 1 IN {name}"), EXACT

    def shared(self):
        """Of tables that are the same on every shard, and of one."""
        product, user = self.value("product"), self.value("user")
        return self.one(
            f"UPDATE products SET price = price + 1 WHERE id = {product}",
            f"INSERT INTO countries VALUES ('{self.one('dk', 'no', 'de')}', 'new')",
            f"INSERT INTO countries (name, code) VALUES ('one', 'dk'), ('two', 'no') ON CONFLICT DO NOTHING RETURNING "
            f"code",
            f"INSERT INTO countries VALUES ('{self.one('dk', 'de')}', 'up') ON CONFLICT (code) DO UPDATE SET name = "
            "excluded.name || countries.name RETURNING *",
            "DELETE FROM countries WHERE code IN ('dk', 'no') RETURNING *",
            "UPDATE categories SET name = upper(name) RETURNING id",
            f"UPDATE products p SET (name, price) = (SELECT c.name, 5 FROM categories c WHERE c.id = p.category_id) "
            f"WHERE p.id < {product} RETURNING p.id, p.name",
            f"UPDATE products SET name = c.name FROM categories AS c (name2, name) WHERE c.name2 = category_id AND id "
            f"= {product}",
            f"UPDATE products SET sizes[1] = 40, since = DEFAULT WHERE id = {product} RETURNING *",
            f"INSERT INTO products (price, id, name) VALUES (DEFAULT, {self.next_id()}, 'new') RETURNING name AS id, "
            f"id AS name",
            f"DELETE FROM products WHERE id > 900 RETURNING id", f"UPDATE products SET id = {product} WHERE id = "
            f"{product}",
            "DELETE FROM products p USING categories c WHERE c.id = p.category_id AND p.id > 500",
            f"UPDATE categories SET parent_id = NULL WHERE id IN (SELECT category_id FROM products WHERE id = "
            f"{product})",
            f"UPDATE products SET price = (SELECT count(*) FROM users) WHERE id = {product}",
            f"UPDATE audit SET (what, user_id) = ('w', user_id) WHERE user_id < {user} RETURNING *",
            f"UPDATE audit a SET what = u.name FROM users u WHERE u.id = a.user_id AND u.id = {user}",
            f"INSERT INTO audit (what, at, user_id) VALUES ('in', DEFAULT, {user}), (NULL, NULL, NULL) RETURNING "
            f"user_id, what"
        ), ANY_ORDER, MANY

    # --- what is not one statement, or not its own ---

    def wrong(self):
        return self.one(*WRONG).replace("{u}", str(self.draw("user"))), ANY_ORDER, MANY

    def prepared(self):
        """By SQL."""
        name, user, order = self.one("p1", "p2", "p3"), self.draw("user"), self.draw("order")
        return self.one(
            f"PREPARE {name} (int, text) AS UPDATE users SET name = $2 WHERE id = $1 RETURNING id, name",
            f"PREPARE {name} (int, text) AS INSERT INTO users (id, name) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            f"PREPARE {name} (int, text) AS SELECT id, name FROM users WHERE id = $1 AND name <> $2",
            f"PREPARE {name} AS DELETE FROM order_items WHERE order_id = $1 AND price::text <> $2",
            f"EXECUTE {name} ({user}, 'x')", f"EXECUTE {name} ({order}, 'y')", f"EXECUTE {name} ({user}, NULL)",
            f"EXECUTE {name} (NULL, 'x')", f"EXECUTE {name} ('{user}', 'z')", f"EXECUTE {name} ({user} + 1, "
            f"upper('z'))",
            f"DEALLOCATE {name}"), ANY_ORDER, MANY

    def drawn(self):
        """Keys that a sequence makes are never told: which number is drawn is nobody's promise. Given ones are below "
        "0."""
        user, given = self.value("user"), -self.chance.randrange(1, 60)
        text = self.value("text")
        return self.one(
            f"INSERT INTO notes (user_id, body) VALUES ({user}, {text}) RETURNING user_id, body, size",
            f"INSERT INTO notes (body, user_id) VALUES ({text}, {user}), ('b', 2), (DEFAULT, 3) RETURNING size, body",
            f"INSERT INTO notes VALUES (DEFAULT, {user}, {text}) RETURNING id IS NULL AS nothing, body",
            f"INSERT INTO notes (id, user_id) VALUES (DEFAULT, {user}), (DEFAULT, 4)", "INSERT INTO notes DEFAULT "
            "VALUES",
            f"INSERT INTO notes (id, user_id, body) VALUES ({given}, {user}, {text}) RETURNING *",
            f"INSERT INTO notes (user_id, id) VALUES ({user}, {given}) ON CONFLICT (id) DO UPDATE SET body = 'again' "
            f"RETURNING *",
            f"INSERT INTO notes (user_id, body) SELECT id, name FROM users WHERE id < {user} AND id < 9",
            f"INSERT INTO notes (body, user_id) SELECT name, id FROM users WHERE id = {user}",
            f"INSERT INTO notes (user_id, size) VALUES ({user}, 5)", f"UPDATE notes SET size = DEFAULT WHERE id = "
            f"{given}",
            f"UPDATE notes SET body = body || '+' WHERE user_id = {user} RETURNING body, size, user_id",
            f"UPDATE notes SET body = {text} WHERE id = {given} RETURNING *", f"DELETE FROM notes WHERE id = {given}",
            f"DELETE FROM notes WHERE user_id = {user} RETURNING body", "SELECT user_id, body, size FROM notes",
            f"INSERT INTO marks (user_id, what) VALUES ({user}, {text}) RETURNING user_id, what",
            f"INSERT INTO marks (what, user_id) VALUES ('a', {user}), ('b', 3), ('c', 4) RETURNING what",
            f"INSERT INTO marks (id, user_id) VALUES ({given}, {user})", f"INSERT INTO marks VALUES (DEFAULT, {user}, "
            f"'d')",
            f"INSERT INTO marks (id, user_id, what) OVERRIDING SYSTEM VALUE VALUES ({given}, {user}, 'o') RETURNING *",
            f"INSERT INTO marks (id, user_id, what) OVERRIDING USER VALUE VALUES ({given}, {user}, 'u') RETURNING what",
            f"INSERT INTO marks (user_id, what) SELECT user_id, note FROM orders WHERE user_id = {user} RETURNING what",
            f"INSERT INTO marks (user_id, what) SELECT id, name FROM users WHERE id < 9 RETURNING what",
            f"UPDATE marks SET what = 'c' WHERE user_id = {user} RETURNING what", "SELECT count(*), max(what) FROM "
            "marks",
            f"UPDATE marks SET id = 5 WHERE user_id = {user}", f"DELETE FROM marks WHERE user_id = {user}"
        ), ANY_ORDER, MANY

    def emptied(self):
        return self.one("TRUNCATE carts, audit", "TRUNCATE order_items", "TRUNCATE users", "TRUNCATE orders, "
        "order_items",
                        "TRUNCATE notes, marks", "TRUNCATE order_items, orders CASCADE", "TRUNCATE ONLY carts",
                        "TRUNCATE notes RESTART IDENTITY CONTINUE"), EXACT, WRITE

    def copy(self):
        """Rows of many shards, now and then with one that is wrong."""
        self.begin()
        table = self.one("users", "orders", "audit", "countries", "notes")
        count, bad = self.one(1, 3, 8), self.one("", "", "", "x\ty\tz\n", "\\N\t\\N\n", "1\n", "3\t-7\n", "5\t5\n")
        columns, row = {
            "users": ("name, id", lambda: f"{self.draw('icu')}\t{self.next_id()}"),
            "orders": ("id, user_id", lambda: f"{self.next_id()}\t{self.draw('user')}"),
            "audit": ("user_id, what", lambda: f"{self.draw('user')}\tcopied"),
            "countries": ("name, code", lambda: f"copied\t{self.one('dk', 'no', 'fi')}"),
            "notes": ("user_id, body", lambda: f"{self.draw('user')}\t{self.draw('text')}")}[table]
        lines = [row() + "\n" for _ in range(count)]
        if bad:
            lines.insert(self.chance.randrange(count), bad)
        made = Statement(f"COPY {table} ({columns}) FROM STDIN", ANY_ORDER, kind=COPY)
        made.data = "".join(lines)
        return made

    def recipe(self):
        """What an ORM says in a row."""
        user, fresh, name = self.draw("user"), self.next_id(), self.value("icu")
        get = "SELECT id, name, score FROM users WHERE id = {} LIMIT 21"
        save = f"UPDATE users SET name = 'saved', score = 3 WHERE users.id = {user}"
        said = self.one(
            ["BEGIN", get.format(user) + " FOR UPDATE", save, "COMMIT"],
            ["BEGIN", "SAVEPOINT x1", f"INSERT INTO users (id, name) VALUES ({user}, 'taken') RETURNING users.id",
             "ROLLBACK TO SAVEPOINT x1", get.format(user), save, "RELEASE SAVEPOINT x1", "COMMIT"],
            ["BEGIN", f"INSERT INTO users (id, name) VALUES ({fresh}, 'parent') RETURNING id",
             f"INSERT INTO orders (id, user_id) VALUES ({fresh}, {fresh}), ({self.next_id()}, {fresh}) RETURNING id",
             "SAVEPOINT x2",
             f"DELETE FROM users WHERE id = {fresh}", "ROLLBACK TO x2", f"DELETE FROM orders WHERE user_id = {fresh}",
             f"DELETE FROM users WHERE id = {fresh}", self.one("COMMIT", "ROLLBACK")],
            ["BEGIN", "SET CONSTRAINTS ALL DEFERRED", f"INSERT INTO order_items (id, "
            f"order_id{', user_id' if self.owned() else ''})"
             f" VALUES ({fresh}, {fresh}{f', {user}' if self.owned() else ''})", self.one("SET CONSTRAINTS ALL "
             "IMMEDIATE", "SELECT 1",
             f"INSERT INTO orders (id, user_id) VALUES ({fresh}, {user})"), "COMMIT"],
            ["BEGIN", "SAVEPOINT a", self.one(*WRONG).replace("{u}", str(user)), "ROLLBACK TO a", save,
             self.one(*WRONG).replace("{u}", str(user)), "ROLLBACK TO a", "RELEASE a", "COMMIT"],
            ["BEGIN", "DECLARE big CURSOR FOR SELECT id, user_id FROM orders ORDER BY id, user_id", "FETCH 3 FROM big",
             f"UPDATE orders SET note = 'meanwhile' WHERE user_id = {user}", "FETCH FORWARD 2 FROM big", "CLOSE big",
             "COMMIT"],
            ["BEGIN ISOLATION LEVEL REPEATABLE READ", get.format(user), save, "SELECT count(*) FROM users", "COMMIT"],
            ["BEGIN", "SET LOCAL statement_timeout = '60s'", "SELECT id FROM orders WHERE state = 'new' ORDER BY id, "
            "user_id "
             "LIMIT 2 FOR UPDATE SKIP LOCKED", f"UPDATE orders SET state = 'paid' WHERE id IN (3, 4, {user})",
             "COMMIT"],
            [get.format(user), save, f"INSERT INTO users (id, name) SELECT {user}, 'saved' WHERE NOT EXISTS (SELECT 1 "
            f"FROM users "
             f"WHERE id = {user})", "SELECT count(*) FROM users"],
            ["BEGIN", f"DELETE FROM order_items WHERE order_id IN (SELECT id FROM orders WHERE user_id = {user})",
             f"DELETE FROM orders WHERE user_id IN ({user})", f"DELETE FROM carts WHERE user_id IN ({user})",
             f"DELETE FROM users WHERE id IN ({user})", self.one("COMMIT", "ROLLBACK")])
        return [Statement(text, ANY_ORDER, kind=MANY if text[:6] in ("UPDATE", "INSERT",
        "DELETE") else CONTROL) for text in said]
