"""Writes as applications and ORMs say them, over the shop of diff_shop.py: what Sessions (diff_write.py) draws from.

Each gives (text, order, kind). Of what MANY says several rows may be wrong, each in its own way: which error is told
is the plan's to say.
"""

from lib.diff_select import ANY_ORDER, EXACT, Selects
from lib.diff_shop import KINDS

WRITE, MANY = "write", "many"
KEY_FORMS = ("{v}", "{v}", "{v}", "{V}", "{v} + 0", "CAST({v} AS bigint)", "({v})::numeric", "'{n}'", "' {n} '",
"abs({v})",
        "-{n}", "NULL", "{n}.4", "'{n}'::text::int", "(SELECT {v})", "(SELECT max(id) FROM categories)",
        "coalesce(NULL, {v})", "{n}e0", "length('abc')", "{v}::smallint", "CASE WHEN true THEN {v} END")
UUID_FORMS = ("{v}", "{v}", "{V}", "'{b}'", "upper('{u}')::uuid", "NULL", "'{x}'", "CAST('{u}' AS uuid)",
         "(SELECT {V})")
WHERES = (
    "{c} = {v}", "{c} = {v}", "{c} IN ({v}, {v}, {v})", "{c} = ANY (ARRAY[{v}, {v}])", "{c} = ANY ('{1,5,9,NULL}')",
    "{c} BETWEEN {v} AND {v}", "({c}, 1) = ({v}, 1)", "ROW({c}, 2) <= ROW({v}, 1)", "{c} = {v} OR {c} = {v}",
    "{c} IS NOT DISTINCT FROM {v}", "{c} IN (SELECT id FROM categories)", "{c} = (SELECT max(id) FROM products)",
    "NOT {c} <> {v}", "{c} IS NULL", "{c} = {v} AND {c} > 0", "{c} IN (VALUES ({V}), ({V}))", "{v} = {c}",
    "({c} = {v}) IS TRUE", "{c} = {v}::bigint", "{c} = {v} + 1", "{c} = '7'", "{c} = ANY (ARRAY[{v}]) AND {c} IN "
    "({v}, 5)",
    "{c} <> ALL ('{1,2,3,4,5,6,7,8,9}')", "({c} = {v} OR {c} = {v}) AND {c} IS NOT NULL")


class Changes(Selects):
    """INSERT, UPDATE, DELETE, MERGE."""

    fresh = 1000  # keys that nobody has yet

    def next_id(self):
        self.fresh += 1
        return str(self.fresh)

    def base(self):
        """What is added to keys that are there, so that nobody has them yet."""
        self.fresh += 1000
        return str(self.fresh - 500)

    def owned(self):
        return "user_id" in self.layout.columns["order_items"]

    # --- values ---

    def key_value(self, kind):
        if kind == "uuid":
            value = str(self.draw("uuid"))
            return (self.fill(self.one(*UUID_FORMS), "", kind).replace("{u}", value).replace("{b}", "{" + value + "}")
                    .replace("{x}", value.replace("-", "")))
        if KINDS[kind].group != "number":
            return self.value(kind)
        text = self.one(*KEY_FORMS).replace("{n}", str(abs(int(self.draw(kind)))))
        return self.fill(text, "", kind)

    def draw(self, kind):
        return KINDS[kind].draw(self.chance)

    def cell(self, table, column, kind, fresh):
        """A value of that column."""
        if column in self.layout.unique[table][:1]:
            return self.next_id() if fresh and kind != "uuid" else self.key_value(kind)
        if column in ("user_id", "order_id") and self.likely(0.4):
            return self.key_value(kind)
        return "DEFAULT" if self.likely(0.1) else "NULL" if self.likely(0.05) else self.value(kind)

    def needed(self, table):
        return {"users": ["id", "name"], "carts": ["id"]}.get(table, [
            c for c in self.layout.columns[table] if c in ("id", "user_id", "order_id", "code")])

    def written(self, table):
        """Some of its columns, in some order."""
        columns = self.layout.columns[table]
        chosen = self.needed(table) + [c for c in columns if c not in self.needed(table) and self.likely(0.35)]
        if self.likely(0.5):
            self.chance.shuffle(chosen)
        return {c: columns[c] for c in chosen}

    def back(self, table, alias=None, share=0.5):
        if not self.likely(share):
            return ""
        columns, alias = list(self.layout.columns[table]), alias or table
        first = columns[0]
        return " RETURNING " + self.one(
            "*", f"{alias}.*", f"{alias}.{first}", ", ".join(self.chance.sample(columns, 2)), f"{first} AS user_id",
            f"{columns[1]} AS {first}, {first} AS {columns[1]}", f"{first}::text || '!' AS said, *",
            f"(SELECT max(name) FROM categories), {first}", f"{first} IS NULL AS nothing, upper({first}::text)")

    def held(self, table, alias, kind=None):
        """A condition of its key."""
        column = self.layout.keys.get(table, list(self.layout.columns[table])[0])
        kind = kind or self.layout.columns[table][column]
        if kind in ("uuid", "country", "moment"):
            return self.fill(self.one("{c} = {v}", "{c} IN ({v}, {v})", "{c} = {v} OR {c} = {v}"), f"{alias}.{column}",
                             kind)
        return "(" + self.fill(self.one(*WHERES), f"{alias}.{column}", kind) + ")"

    # --- INSERT ---

    def insert_columns(self):
        table = self.one("users", "users", "orders", "orders", "order_items", "carts", "audit", "products", "countries")
        if table == "audit":
            return (f"INSERT INTO audit (user_id, what) VALUES ({self.key_value('user')}, {self.value('text')})"
                    f"{self.back('audit')}"), EXACT, WRITE
        columns, count = self.written(table), self.one(1, 1, 1, 2, 3, 6)
        fresh = [count > 1 or self.likely(0.6) for _ in range(count)]
        rows = ", ".join("(" + ", ".join(self.cell(table, c, kind, new) for c, kind in columns.items()) + ")"
                         for new in fresh)
        alias = self.one("", "", "t", "orders")
        over = self.one("", "", "", "OVERRIDING USER VALUE ", "OVERRIDING SYSTEM VALUE ")
        conflict = self.on_conflict(table, alias or table, columns) if self.likely(0.35) else ""
        order = ANY_ORDER if conflict else EXACT
        return (f"INSERT INTO {table}{f' AS {alias}' if alias else ''} ({', '.join(columns)}) {over}VALUES "
        f"{rows}{conflict}"
                f"{self.back(table, alias)}"), order, WRITE if count == 1 else MANY

    def on_conflict(self, table, name, columns):
        unique = list(self.layout.unique[table])
        self.chance.shuffle(unique)
        target = self.one(f" ({', '.join(unique)})", f" ({', '.join(unique)})", f" ON CONSTRAINT {table}_pkey")
        if self.likely(0.35):
            return f" ON CONFLICT{self.one('', target)} DO NOTHING"
        chosen = self.chance.sample(list(columns), min(len(columns), self.one(1, 2, 3)))
        sets = self.one(", ".join(f"{c} = EXCLUDED.{c}" for c in chosen),
                        f"({', '.join(chosen)}) = ROW({', '.join(f'excluded.{c}' for c in chosen)})",
                        ", ".join(f"{c} = coalesce(EXCLUDED.{c}, {name}.{c})" for c in chosen),
                        f"{chosen[0]} = {name}.{chosen[0]}", f"{chosen[0]} = DEFAULT")
        where = self.one("", "", f" WHERE {name}.{unique[0]} = EXCLUDED.{unique[0]}",
                         f" WHERE {name}.{unique[0]}::text > '2'")
        return f" ON CONFLICT{target} DO UPDATE SET {sets}{where}"

    def insert_select(self):
        """Of what it is made: columns by other names, views, WITH, VALUES, set operations."""
        base, low, user = self.base(), self.chance.randrange(100), self.value("user")
        some = self.one(f"id BETWEEN {low} AND {low + 12}", f"user_id = {user}", f"user_id IN ({user}, {user}) AND id "
        f"< 200",
                        f"id < 120 AND {self.held('orders', 'orders')}")
        ordered = self.one("", " ORDER BY 1, 2", " ORDER BY 2, 1 LIMIT 5", " ORDER BY 1 DESC, 2 LIMIT 3 OFFSET 1")
        into = self.one("orders (id, user_id)", "orders (id, user_id)", "orders AS t (id, user_id)")
        other = "orders (user_id, id)"
        text = self.one(
            f"INSERT INTO {into} SELECT id + {base}, user_id FROM orders WHERE {some}{ordered}",
            f"INSERT INTO {other} SELECT user_id, id + {base} FROM orders WHERE {some}{ordered}",
            f"INSERT INTO {into} SELECT user_id + {base} AS id, id AS user_id FROM orders WHERE {some}{ordered}",
            f"INSERT INTO {other} SELECT id AS user_id, user_id + {base} AS id FROM orders WHERE {some}{ordered}",
            f"INSERT INTO {other} SELECT user_id AS id, id + {base} AS user_id FROM orders WHERE {some}{ordered}",
            f"INSERT INTO {into} SELECT user_id + {base}, id FROM swapped WHERE id = {user}{ordered}",
            f"INSERT INTO {other} SELECT id, user_id + {base} FROM swapped WHERE id IN ({user}, 4, 5){ordered}",
            f"INSERT INTO {other} SELECT user_id, id + {base} FROM swapped WHERE user_id < 12{ordered}",
            f"WITH w (user_id, id) AS (SELECT id + {base}, user_id FROM orders WHERE {some}) INSERT INTO {into} "
            f"SELECT user_id, id FROM w{ordered}",
            f"INSERT INTO {into} WITH w (user_id, id) AS (SELECT user_id, id FROM orders WHERE {some}) "
            f"SELECT id + {base}, user_id FROM w{ordered}",
            f"INSERT INTO {other} SELECT v.id, v.user_id FROM (VALUES ({base}, 3), ({base} + 1, {user})) v (user_id, "
            f"id)",
            f"INSERT INTO {into} SELECT a + {base}, b FROM (VALUES (1, 4), (2, NULL), (3, {user})) AS v (a, b) WHERE "
            f"b < 40",
            f"INSERT INTO {into} SELECT id + {base}, user_id FROM orders WHERE user_id = {user} AND id < 150 UNION ALL "
            f"SELECT id + {base} + 300, id FROM users WHERE id < 9",
            f"INSERT INTO {into} (SELECT user_id + {base}, id FROM orders WHERE id < 9) INTERSECT "
            f"(SELECT user_id + {base}, id FROM orders WHERE id < 30)",
            f"INSERT INTO {into} SELECT o.id + {base}, u.id FROM orders o JOIN users u ON u.id = o.user_id WHERE "
            f"o.id < 100 AND {self.held('users', 'u')}",
            f"INSERT INTO {into} SELECT u.id + {base}, o.user_id FROM orders o JOIN users u ON u.id = o.id WHERE u.id "
            f"< 50",
            f"INSERT INTO {into} SELECT max(id) + {base}, user_id FROM orders WHERE id < 150 GROUP BY user_id",
            f"INSERT INTO {other} SELECT user_id, count(*) + {base} FROM orders WHERE {some} GROUP BY 1",
            f"INSERT INTO {into} SELECT DISTINCT user_id + {base}, user_id FROM orders WHERE id < 150",
            f"INSERT INTO {into} SELECT g, g - {base} FROM generate_series({base}, {base} + 5) g",
            f"INSERT INTO {into} SELECT g, {user} FROM generate_series({base}, {base} + 2) g",
            f"INSERT INTO {into} SELECT s.user_id + {base}, s.id FROM (SELECT user_id AS id, id AS user_id FROM orders "
            f"WHERE {some}) s",
            f"INSERT INTO {into} SELECT s.x + {base}, s.id FROM (SELECT * FROM orders WHERE {some}) s (x, id)",
            f"INSERT INTO {into} SELECT id + {base}, user_id FROM orders WHERE {some} ON CONFLICT DO NOTHING",
            f"INSERT INTO {into} SELECT id, user_id FROM orders WHERE {some} ON CONFLICT (user_id, id) DO NOTHING"
            if self.owned() else f"INSERT INTO {into} SELECT id, user_id + 1 FROM orders WHERE {some} "
            "ON CONFLICT (id) DO UPDATE SET user_id = EXCLUDED.user_id")
        return text + self.back("orders", "t" if " AS t (" in text else "orders", 0.35), ANY_ORDER, MANY

    def insert_elsewhere(self):
        """From one kind of table into another."""
        base, user = self.base(), self.value("user")
        orders = f"SELECT placed, note, user_id FROM orders WHERE {self.held('orders', 'orders')} AND id < 150"
        table, text = self.one(
            ("users", f"INSERT INTO users (id, name, score) SELECT user_id + {base}, 'sum', max(total) FROM orders "
             "WHERE id < 150 GROUP BY user_id"),
            ("users", f"INSERT INTO users (name, id) SELECT name, id + {base} FROM users WHERE id < 40 AND "
             f"{self.held('users', 'users')}"),
            ("users", f"INSERT INTO users SELECT id + {base}, name FROM active_users WHERE id < 30"),
            ("users", f"INSERT INTO users (id, name, country) SELECT id + {base}, name, country FROM active_users "
             f"WHERE id = {user}"),
            ("users", f"INSERT INTO users (id, name) SELECT id + {base}, name FROM products"),
            ("users", f"INSERT INTO users (id, name) SELECT id, name FROM products WHERE id = {user} ON CONFLICT (id) "
             "DO UPDATE SET name = EXCLUDED.name"),
            ("carts", "INSERT INTO carts (id, user_id) SELECT DISTINCT ref, 7 FROM orders WHERE ref IS NOT NULL "
             "ON CONFLICT (id) DO UPDATE SET user_id = EXCLUDED.user_id"),
            ("carts", f"INSERT INTO carts (user_id, id) SELECT user_id, ref FROM orders WHERE user_id = {user}"),
            ("audit", f"INSERT INTO audit {orders}"), ("audit", f"INSERT INTO audit (what, user_id) SELECT what, "
            f"user_id "
             f"FROM audit WHERE user_id > {user} AND user_id < 20"),
            ("audit", f"INSERT INTO audit (user_id, what) SELECT id, name FROM users WHERE "
            f"{self.held('users', 'users')} "
             "AND id < 50"),
            ("audit", f"INSERT INTO audit (what) SELECT name FROM countries"),
            ("products", f"INSERT INTO products (id, name) SELECT id + {base}, name FROM categories"),
            ("products", f"INSERT INTO products (name, id) SELECT name, id + {base} FROM products WHERE id < 20"),
            ("categories", f"INSERT INTO categories SELECT {base} + g, 'c', g FROM generate_series(1, 2) g"),
            ("countries", f"INSERT INTO countries SELECT 'x' || id, name FROM users WHERE id BETWEEN 0 AND 3"),
            ("order_items", f"INSERT INTO order_items (id, order_id{', user_id' if self.owned() else ''}, product_id) "
             f"SELECT id + {base}, order_id{', user_id' if self.owned() else ''}, product_id FROM order_items WHERE "
             f"id < 300 AND {self.held('order_items', 'order_items')}"),
            ("order_items", f"INSERT INTO order_items (order_id, {'user_id, ' if self.owned() else ''}id) SELECT o.id, "
             f"{'o.user_id, ' if self.owned() else ''}o.id + {base} FROM orders o WHERE o.user_id = {user} AND id < "
             f"200"))
        return text + self.back(table, None, 0.3), ANY_ORDER, MANY

    # --- UPDATE ---

    def update_forms(self):
        table = self.one("users", "users", "orders", "orders", "order_items", "carts")
        alias = self.one(table, "t", "users", "orders", "k")
        written = table if alias == table else f"{table}{self.one(' ', ' AS ')}{alias}"
        user, money, name = self.value("user"), self.value("money"), self.value("icu")
        state = self.value("state")
        changed = {
            "users": self.one(
                f"(name, score) = ({name}, {money})", f"(score, name) = ROW({money}, {name})", "name = DEFAULT",
                f"(name, email) = (SELECT max(p.name), 'x' FROM products p WHERE p.id > {user})",
                f"(email, score) = (SELECT max(o.note), sum(o.total) FROM orders o WHERE o.user_id = {alias}.id)"
                if alias != "o" else "email = 'o'", f"email = {name}, active = DEFAULT", "tags[2] = 'two'",
                f"score = (SELECT count(*) FROM orders x WHERE x.user_id = {alias}.id)", "settings['n'] = '5'",
                f"score = CASE {alias}.id WHEN 1 THEN 5 WHEN {user} THEN {money} ELSE score END",
                f"country = (SELECT min(code) FROM countries), seen = NULL", f"id = {alias}.id, email = 'same'"),
            "orders": self.one(
                f"(total, note) = ({money}, 'pair')", f"(note, state) = (DEFAULT, DEFAULT)", f"state = {state}",
                f"note = (SELECT u.name FROM users u WHERE u.id = {alias}.user_id)", f"total = -{alias}.total",
                f"(note, ref) = (SELECT max(k2.user_id)::text, NULL::uuid FROM carts k2 WHERE k2.user_id = "
                f"{alias}.user_id)",
                f"user_id = {alias}.user_id, id = {alias}.id", f"user_id = {user}", f"placed = NULL, total = {money}"),
            "order_items": self.one(
                f"(quantity, price) = (3, {money})", "quantity = quantity * 2", f"product_id = {self.value('product')}",
                f"price = (SELECT p.price FROM products p WHERE p.id = {alias}.product_id)", "quantity = DEFAULT"),
            "carts": self.one(
                f"(user_id, content) = ({user}, {self.value('json')})", "raw = raw || '\\x00'", f"user_id = {user}",
                "content = jsonb_set(coalesce(content, '{}'), '{deep}', '[1]')", "weight = DEFAULT, lasts = '1 day'"),
        }[table]
        where = f" WHERE {self.held(table, alias)}"
        if self.likely(0.3):
            source = self.table(table)
            if source.text.count("(") == 0:
                where += f" AND {self.condition(source)}".replace(f"{source.aliases[0][0]}.", f"{alias}.")
        return f"UPDATE {written} SET {changed}{where}{self.back(table, alias, 0.4)}", ANY_ORDER, MANY

    def update_from(self):
        """Whose names, or whose columns' names, are another's; what ORMs send for many rows at once."""
        user, money = self.value("user"), self.value("money")
        held = self.held("users", "u")
        back = self.one("", "", " RETURNING *", "")
        both = self.one("", "", " RETURNING o.id, u.id AS user_id", " RETURNING o.*, u.name", " RETURNING u.id, o.note")
        return self.one(
            f"UPDATE orders AS users SET total = 1 FROM users AS orders WHERE orders.id = users.user_id AND orders.id "
            f"= {user}",
            f"UPDATE orders users SET note = 'swap' FROM users orders WHERE orders.id = users.user_id AND users.id < "
            f"{user}{back}",
            f"UPDATE users SET score = 7 FROM orders AS s (user_id, id) WHERE s.user_id = users.id AND s.id > {user}",
            f"UPDATE users u SET score = 8 FROM orders AS s (user_id, id) WHERE s.id = u.id AND u.id = {user}",
            f"UPDATE users u SET score = 8 FROM orders AS s (user_id, id) WHERE s.user_id = u.id AND u.id = {user}",
            f"UPDATE orders o SET note = u.name FROM users u WHERE u.id = o.user_id AND length(u.name) < 9 AND "
            f"{held}{both}",
            f"UPDATE orders o SET note = 'on id' FROM users u WHERE u.id = o.id AND {held}{both}",
            f"UPDATE users u SET score = coalesce(m.score, 0) + 1 FROM users m WHERE m.id = u.id AND {held}",
            f"UPDATE users u SET email = m.name FROM users m WHERE m.id = u.id + 1 AND {held}",
            f"UPDATE users u SET email = m.name FROM users m WHERE m.id = {user} AND u.id = {user}{back}",
            f"UPDATE users SET score = s.total FROM (SELECT user_id, max(total) AS total FROM orders GROUP BY "
            f"user_id) s "
            "WHERE s.user_id = users.id",
            f"UPDATE users SET score = s.total FROM (SELECT id, user_id, max(total) OVER (PARTITION BY user_id) AS "
            f"total "
            "FROM orders) s WHERE s.user_id = users.id",
            "UPDATE users SET email = 'renamed' FROM (SELECT user_id AS id, id AS user_id FROM orders) s "
            f"WHERE s.user_id = users.id{self.one('', ' AND users.id = ' + user)}",
            "UPDATE users SET email = 'renamed' FROM (SELECT user_id AS id, id AS user_id FROM orders) s "
            f"WHERE s.id = users.id{self.one('', ' AND users.id = ' + user)}",
            f"UPDATE users SET name = v.name FROM (VALUES ({user}, 'a'), (7, 'b')) AS v (id, name) WHERE users.id = "
            f"v.id",
            f"UPDATE users u SET name = v.id FROM (VALUES (5, 'a'), (7, 'b')) AS v (name, id) WHERE u.id = "
            f"v.name{back}",
            f"UPDATE users SET name = v.name FROM (VALUES ({user}, 'a')) AS v (id, name) WHERE users.id = v.id",
            "UPDATE users SET score = v.s FROM unnest('{1,2,3,50}'::int[], '{5,6,7,8}'::int[]) AS v (k, s) WHERE id = "
            "v.k",
            f"UPDATE users SET score = CASE WHEN id = {user} THEN 5 WHEN id = 2 THEN {money} ELSE NULL END "
            f"WHERE id IN ({user}, 2)",
            f"UPDATE orders SET note = 'seen' FROM swapped s WHERE s.user_id = orders.id AND s.id = {user}{back}",
            f"UPDATE orders SET note = 'other' FROM swapped s WHERE s.id = orders.user_id AND orders.user_id = {user}",
            f"UPDATE users SET score = t.orders FROM totals t WHERE t.user_id = users.id AND users.id > {user}",
            f"UPDATE order_items i SET price = p.price FROM products p WHERE p.id = i.product_id AND p.price > {money}",
            f"UPDATE order_items SET quantity = 2 FROM products p, categories c WHERE p.id = product_id AND "
            f"c.id = p.category_id AND c.id = {self.value('category')}",
            f"WITH w AS (SELECT id FROM users WHERE active AND id < {user}) UPDATE orders SET note = 'with' FROM w "
            "WHERE w.id = orders.user_id",
            f"WITH w (id) AS (SELECT user_id FROM orders WHERE id < 30) UPDATE users SET email = 'with' FROM w "
            "WHERE w.id = users.id",
            f"WITH w (user_id, id) AS (SELECT id, user_id FROM orders) UPDATE users SET email = 'list' FROM w "
            f"WHERE w.user_id = users.id AND users.id < {user}",
            f"UPDATE orders SET note = 'in' WHERE user_id IN (SELECT id FROM users WHERE active) AND user_id > {user}",
            f"UPDATE orders SET note = 'in id' WHERE id IN (SELECT id FROM users WHERE active){back}",
            f"UPDATE orders o SET note = 'last' WHERE id = (SELECT max(id) FROM orders x WHERE x.user_id = o.user_id)",
            f"UPDATE orders SET note = 'last' WHERE id = (SELECT max(id) FROM orders x WHERE x.user_id = {user}) "
            f"AND user_id = {user}{back}",
            f"UPDATE users SET score = 3 WHERE CURRENT OF c1", f"UPDATE ONLY users SET score = 3 WHERE id = {user}",
            f"UPDATE orders SET note = 'row' WHERE (user_id, id) IN (({user}, 5), (3, 7), ({user}, {user}))",
            f"UPDATE orders SET note = 'first' WHERE (id, user_id) IN (SELECT id, user_id FROM orders WHERE state = "
            f"'new' "
            f"ORDER BY id, user_id LIMIT 2 FOR UPDATE SKIP LOCKED){back}"), ANY_ORDER, MANY

    def same_key(self):
        """What an ORM says to save a row."""
        user, value = self.draw("user"), self.value("icu")
        key = self.param(lambda chance: user) if self.likely(0.5) else str(user)
        return self.one(f"UPDATE users SET id = {key}, name = {value} WHERE id = {user}",
                        f"UPDATE users AS u SET name = {value}, id = {user} WHERE u.id = {key} RETURNING *",
                        f"UPDATE orders SET user_id = {user}, note = 'saved' WHERE user_id = {user} AND id = 5",
                        f"UPDATE orders SET (user_id, note) = ({user}, 'saved') WHERE user_id = {user}",
                        f"UPDATE orders SET id = 5, user_id = {user} WHERE id = 5 AND user_id = {user}"
        ), ANY_ORDER, MANY

    def views(self):
        """Simple ones are written, too."""
        user, order, fresh = self.value("user"), self.value("order"), self.next_id()
        return self.one(
            f"UPDATE active_users SET name = 'v' WHERE id = {user} RETURNING *", "UPDATE active_users SET country = "
            "'se'",
            f"UPDATE active_users a SET name = a.name || 'v' WHERE a.id IN ({user}, 3, 4)",
            f"DELETE FROM active_users WHERE id = {user}", f"UPDATE swapped SET id = {user} WHERE user_id = {order}",
            f"INSERT INTO active_users (name, id) VALUES ('view', {fresh}) RETURNING *",
            f"INSERT INTO active_users VALUES ({fresh}, 'view', 'de')", f"DELETE FROM swapped WHERE user_id = {order}",
            f"INSERT INTO swapped (user_id, id) VALUES ({fresh}, {user}) RETURNING user_id",
            f"INSERT INTO swapped VALUES ({fresh}, {user})", f"INSERT INTO swapped (id, user_id) VALUES ({user}, "
            f"{fresh})",
            f"UPDATE swapped SET user_id = user_id WHERE id = {user} RETURNING *",
            f"DELETE FROM swapped s WHERE s.id = {user} AND s.user_id > 50 RETURNING *",
            f"UPDATE totals SET total = 1 WHERE user_id = {user}", f"DELETE FROM sums", f"DELETE FROM swapped WHERE "
            f"id = "
            f"{user} AND user_id = {order}"), ANY_ORDER, MANY

    # --- DELETE, and what writes in a WITH ---

    def delete_forms(self):
        user = self.value("user")
        table = self.one("orders", "order_items", "carts")
        alias = self.one(table, "t", "users")
        plain = (f"DELETE FROM {table}{'' if alias == table else f' AS {alias}'} WHERE {self.held(table, alias)}"
                 f"{self.back(table, alias)}")
        return self.one(
            plain, plain, plain, plain,
            f"DELETE FROM orders AS users USING users AS orders WHERE orders.id = users.user_id AND orders.id = {user}",
            f"DELETE FROM carts USING orders AS s (user_id, id) WHERE s.user_id = carts.user_id AND carts.user_id = "
            f"{user}",
            f"DELETE FROM order_items i USING (SELECT user_id AS id, id AS user_id FROM orders WHERE user_id = "
            f"{user}) s "
            f"WHERE s.user_id = i.order_id{' AND s.id = i.user_id' if self.owned() else ''} RETURNING i.*, s.id AS "
            f"owner",
            f"DELETE FROM order_items i USING swapped s WHERE s.user_id = i.order_id AND s.id = {user} RETURNING i.id",
            f"DELETE FROM order_items i USING orders o, users u WHERE o.id = i.order_id AND u.id = o.user_id AND u.id "
            f"= {user}",
            f"DELETE FROM orders USING (VALUES ({user}, 3), (5, {user})) v (user_id, id) WHERE orders.id = v.id AND "
            "orders.user_id = v.user_id RETURNING *",
            f"DELETE FROM carts WHERE user_id IN (SELECT id FROM users WHERE NOT active AND id < {user})",
            f"DELETE FROM order_items WHERE (id, order_id) IN (SELECT id, order_id FROM order_items WHERE quantity < 2 "
            "ORDER BY id, order_id LIMIT 3) RETURNING id",
            f"DELETE FROM orders o WHERE NOT EXISTS (SELECT 1 FROM order_items i WHERE i.order_id = o.id) AND "
            f"{self.held('orders', 'o')}", f"DELETE FROM orders WHERE id >= 1000 AND user_id = {user}",
            "DELETE FROM orders WHERE id > 1000", "DELETE FROM order_items WHERE id > 1000", "DELETE FROM users WHERE "
            "id > 1000",
            f"DELETE FROM order_items WHERE product_id = (SELECT min(id) FROM products WHERE price > "
            f"{self.value('money')})",
            f"DELETE FROM carts k WHERE k.id = (SELECT o.ref FROM orders o WHERE o.user_id = {user} ORDER BY o.id "
            f"LIMIT 1)",
            "DELETE FROM audit WHERE user_id IN (SELECT id FROM users WHERE NOT active)",
            "DELETE FROM products WHERE id > 500 RETURNING *", "DELETE FROM categories WHERE id > 500"), ANY_ORDER, MANY

    def chain(self):
        user, fresh, order = self.value("user"), self.next_id(), self.value("order")
        held = self.held("orders", "orders")
        return self.one(
            f"WITH gone AS (DELETE FROM carts WHERE user_id = {user} RETURNING *) INSERT INTO audit SELECT NULL, "
            f"'cart', "
            "user_id FROM gone RETURNING *",
            f"WITH n AS (INSERT INTO users (id, name) VALUES ({fresh}, 'chain') RETURNING id) INSERT INTO orders "
            f"(id, user_id) SELECT {fresh}, id FROM n RETURNING *",
            f"WITH n AS (INSERT INTO users (id, name) VALUES ({fresh}, 'chain') RETURNING id), o AS (INSERT INTO "
            f"orders "
            f"(user_id, id) VALUES ({fresh}, {fresh}) RETURNING id, user_id) SELECT n.id, o.* FROM n, o",
            f"WITH c AS (UPDATE users SET score = 6 WHERE id = {user} RETURNING id, name) UPDATE orders SET note = "
            "left(c.name, 9) FROM c WHERE c.id = orders.user_id RETURNING orders.id, c.name",
            f"WITH c (user_id, id) AS (UPDATE orders SET note = 'list' WHERE {held} RETURNING id, user_id) "
            "SELECT user_id, id FROM c",
            f"WITH c (user_id, id) AS (UPDATE orders SET note = 'list' WHERE user_id = {user} RETURNING id, user_id) "
            "SELECT u.name, c.id FROM users u JOIN c ON c.user_id = u.id",
            f"WITH c (user_id, id) AS (UPDATE orders SET note = 'list' WHERE user_id = {user} RETURNING id, user_id) "
            "DELETE FROM carts USING c WHERE carts.user_id = c.user_id",
            f"WITH c AS (UPDATE orders SET total = 4 WHERE {held} RETURNING *) SELECT count(*), sum(total) FROM c",
            f"WITH c AS (DELETE FROM order_items WHERE order_id = {order} RETURNING *), d AS (DELETE FROM orders WHERE "
            f"id = {order} RETURNING *) SELECT (SELECT count(*) FROM c), (SELECT count(*) FROM d)",
            f"WITH c AS (DELETE FROM order_items WHERE order_id = {order} RETURNING id) SELECT id FROM c ORDER BY 1",
            f"WITH c AS (SELECT id FROM users WHERE id = {user}) UPDATE users u SET email = 'c' FROM c WHERE c.id = "
            f"u.id "
            "RETURNING u.id",
            f"WITH c AS (SELECT id, user_id FROM orders WHERE user_id = {user} ORDER BY id LIMIT 2 FOR UPDATE) UPDATE "
            f"orders o SET state = 'sent' FROM c WHERE o.id = c.id AND o.user_id = c.user_id RETURNING o.id, o.state",
            f"WITH up AS (UPDATE users SET name = 'up' WHERE id = {user} RETURNING *) INSERT INTO users (id, name) "
            f"SELECT "
            f"{user}, 'up' WHERE NOT EXISTS (SELECT 1 FROM up)",
            f"WITH p AS (UPDATE products SET price = price + 1 WHERE id = {self.value('product')} RETURNING *) SELECT "
            f"id, "
            "price FROM p", f"WITH c AS (UPDATE users SET score = 2 WHERE {self.held('users', 'users')} RETURNING *) "
            "SELECT o.id, c.score FROM orders o JOIN c ON c.id = o.user_id"), ANY_ORDER, MANY

    def merge(self):
        user, fresh = self.value("user"), self.next_id()
        matched = self.one("WHEN MATCHED THEN UPDATE SET name = s.name", "WHEN MATCHED AND u.score > 5 THEN DELETE",
                           "WHEN MATCHED THEN DO NOTHING", "WHEN MATCHED THEN UPDATE SET (name, score) = (s.name, 1)")
        other = self.one(" WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)", " WHEN NOT MATCHED THEN DO "
        "NOTHING",
                         " WHEN NOT MATCHED AND s.id > 5 THEN INSERT (name, id) VALUES (s.name, s.id)", "",
                         f" WHEN NOT MATCHED THEN INSERT (id, name) VALUES ({fresh}, s.name)")
        return self.one(
            f"MERGE INTO users u USING (VALUES ({user}, 'm')) s (id, name) ON s.id = u.id {matched}{other}",
            f"MERGE INTO users u USING (VALUES ({user}, 'm')) s (id, name) ON u.id = s.id AND u.id = {user} "
            f"{matched}{other}",
            f"MERGE INTO users u USING (SELECT {user} AS id, 'm' AS name) s ON s.id = u.id {matched}{other}",
            f"MERGE INTO users u USING (VALUES ({fresh}, 'm')) s (id, name) ON s.id = u.id {matched}{other}",
            f"MERGE INTO users AS u USING (VALUES ('m', {user})) s (name, id) ON s.id = u.id {matched}{other}",
            f"MERGE INTO users u USING products s ON s.id = u.id AND u.id = {user} {matched}{other}",
            f"MERGE INTO users u USING users s ON s.id = u.id AND s.id = {user} {matched}{other}",
            f"MERGE INTO users u USING (SELECT * FROM users WHERE id = {user}) s ON s.id = u.id {matched}{other}",
            f"MERGE INTO orders u USING users s ON s.id = u.user_id AND s.id = {user} WHEN MATCHED THEN UPDATE SET "
            f"note = 'm' WHEN NOT MATCHED THEN INSERT (id, user_id) VALUES (s.id + {self.base()}, s.id)",
            f"MERGE INTO orders u USING (SELECT id FROM users WHERE id = {user}) s ON s.id = u.user_id WHEN MATCHED "
            f"THEN "
            f"UPDATE SET note = 'm' WHEN NOT MATCHED THEN INSERT (id, user_id) VALUES ({fresh}, s.id)",
            f"MERGE INTO audit a USING (VALUES ({user}, 'm')) s (id, name) ON s.id = a.user_id WHEN MATCHED THEN "
            f"UPDATE SET "
            "what = s.name WHEN NOT MATCHED THEN INSERT (user_id, what) VALUES (s.id, s.name)"), ANY_ORDER, MANY
