"""Random sessions over the shop of diff_shop.py: transactions with writes, reads, savepoints, cursors, errors.

    make = Sessions(LAYOUTS["user"], random.Random(7))
    make.step(failed=False)    # a Statement: what a client says next, whose transaction has not failed
"""

from lib.diff_select import ANY_ORDER, EXACT, Selects, Statement

CONTROL, WRITE, READ = "control", "write", "read"
BEGINS = ("BEGIN", "BEGIN", "BEGIN", "START TRANSACTION", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN READ ONLY",
          "BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE",
          "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")


class Sessions(Selects):
    """Each step's kind: control, write, or one of a SELECT's."""

    fresh = 1000  # keys that nobody has yet

    def step(self, failed):
        if failed and self.likely(0.5):
            return Statement(self.one("ROLLBACK", "ROLLBACK", "ROLLBACK TO s1", "ROLLBACK TO s2", "COMMIT"), EXACT,
                             kind=CONTROL)
        chance = self.chance.random()
        if chance < 0.28:
            return Statement(self.control(), EXACT, kind=CONTROL)
        if chance < 0.6:
            return self.statement()
        self.begin()
        text, order = self.write()
        return self.end(text, order, WRITE)

    def control(self):
        name = f"s{self.chance.randrange(1, 4)}"
        return self.one(self.one(*BEGINS), self.one(*BEGINS), "COMMIT", "COMMIT", "ROLLBACK", f"SAVEPOINT {name}",
                        f"SAVEPOINT {name}", f"ROLLBACK TO {name}", f"ROLLBACK TO SAVEPOINT {name}", f"RELEASE {name}",
                        "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "SET LOCAL work_mem = '5MB'",
                        "SET LOCAL TimeZone = 'Asia/Tokyo'", "SET CONSTRAINTS ALL DEFERRED", "END", "ABORT")

    def write(self):
        kind = self.chance.choices(("insert", "insert_many", "update", "delete", "conflict", "joined", "odd", "locked",
                                    "cursor", "shared"), (4, 3, 6, 4, 3, 2, 2, 2, 1, 1))[0]
        return getattr(self, kind)()

    # --- values of rows ---

    def next_id(self):
        self.fresh += 1
        return str(self.fresh)

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
        source = self.table(self.one("users", "orders"))
        how = self.one("UPDATE", "SHARE", "NO KEY UPDATE", "UPDATE NOWAIT", "UPDATE SKIP LOCKED")
        order = f" ORDER BY {', '.join(source.total)}" if self.likely(0.5) else ""
        return (f"SELECT {source.total[0]}, {self.expression(source)} FROM {source.text}{self.narrowed(source)}{order} "
                f"FOR {how}"), EXACT if order else ANY_ORDER

    def cursor(self):
        source = self.table(self.one("users", "orders"))
        name = self.one("c1", "c2")
        return self.one(
            f"DECLARE {name} CURSOR FOR SELECT * FROM {source.text}{self.narrowed(source)} "
            f"ORDER BY {', '.join(source.total)}", f"FETCH 2 FROM {name}", f"FETCH ALL FROM {name}", f"CLOSE {name}",
            f"MOVE 1 IN {name}"), EXACT

    def shared(self):
        """Of tables that are the same on every shard."""
        return self.one(
            f"UPDATE products SET price = price + 1 WHERE id = {self.value('product')}",
            f"INSERT INTO countries VALUES ('{self.one('dk', 'no', 'de')}', 'new')",
            "DELETE FROM countries WHERE code IN ('dk', 'no') RETURNING *",
            "UPDATE categories SET name = upper(name) RETURNING id"), ANY_ORDER
