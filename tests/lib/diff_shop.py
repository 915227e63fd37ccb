"""The shop of the differential test: its tables, their rows, and two ways to spread them over four shards.

    layout = LAYOUTS["user"]     # orders and their items lie with their users; "order": with their orders
    layout.schema, layout.tables # SQL, and the lines of [tables]
    rows(layout, chance)         # {table: [row, ...]}, as Python values
    KINDS["money"].draw(chance)  # a value that a column of that kind may have, or be compared with
"""

import datetime
import decimal
import json
import uuid
from dataclasses import dataclass, field

USERS, ORDERS, ITEMS, PRODUCTS, CATEGORIES, CARTS = 40, 110, 220, 12, 7, 30
COUNTRIES = ("de", "fr", "it", "se", "us")
STATES = ("new", "paid", "sent", "back")
NAMES = ("Ada", "ada", "Ängel", "angel", "Zoë", "Östen", "Åke", "ake", "Émile", "emile", "O'Hara", "o_hara", "")
WORDS = ("red", "blue", "Green", "long", "wide", "50%")

SCHEMA = """
CREATE TYPE state AS ENUM ('new', 'paid', 'sent', 'back');
CREATE TABLE countries (code char(2) PRIMARY KEY, name text COLLATE "sv-x-icu");
CREATE TABLE categories (id int PRIMARY KEY, name text, parent_id int);
CREATE TABLE products (id int PRIMARY KEY, name text COLLATE "C", category_id int, price numeric(8,2), sizes int[],
                       since date);
CREATE TABLE users (id int PRIMARY KEY, name text COLLATE "sv-x-icu" NOT NULL, email text, country char(2), born date,
                    score numeric(8,2) CHECK (score > -1000), karma float8, active boolean DEFAULT true, tags text[],
                    settings jsonb,
                    seen timestamptz);
CREATE TABLE orders (id bigint NOT NULL, user_id int NOT NULL, state state DEFAULT 'new', total numeric(10,2),
placed timestamp,
                     ref uuid, note varchar(20), {orders});
CREATE TABLE order_items (id bigint NOT NULL, order_id bigint NOT NULL, {owner}product_id int REFERENCES products,
                          quantity smallint DEFAULT 1, price numeric(8,2), {items});
CREATE TABLE carts (id uuid PRIMARY KEY, user_id int, content jsonb, touched timestamptz, lasts interval, weight real,
                    raw bytea);
CREATE TABLE audit (at timestamp, what text, user_id int);
CREATE TABLE notes (id serial PRIMARY KEY, user_id int, body text DEFAULT 'none',
                    size int GENERATED ALWAYS AS (length(body)) STORED);
CREATE TABLE marks (id bigint GENERATED ALWAYS AS IDENTITY, user_id int, what text);
CREATE VIEW totals AS SELECT user_id, count(*) AS orders, sum(total) AS total FROM orders GROUP BY user_id;
CREATE VIEW swapped (user_id, id) AS SELECT id, user_id FROM orders;
CREATE VIEW sums AS SELECT count(*) AS n, sum(o.total) AS total FROM orders o JOIN users u ON u.id = o.user_id;
CREATE VIEW shops AS SELECT max(p.name) AS last, 1 AS one FROM products p JOIN categories c ON c.id = p.category_id;
CREATE VIEW active_users AS SELECT id, name, country FROM users WHERE active;
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
"""
TABLES = """
products = everywhere
categories = everywhere
countries = everywhere
audit = shard s3
marks.user_id = hash
"""


@dataclass
class Layout:
    """How the rows are spread. columns: {table: {column: kind}}; unique: {table: columns that are unique together}."""
    name: str
    schema: str
    tables: str
    keys: dict
    columns: dict
    unique: dict


@dataclass
class Kind:
    """What a column holds: its type, how it may be treated, where its values come from."""
    type: str
    group: str
    draw: object


def pick(values):
    return lambda chance: chance.choice(values)


def number(low, high):
    return lambda chance: chance.randrange(low, high)


def money(low, high):
    return lambda chance: decimal.Decimal(chance.randrange(low, high)) / chance.choice((1, 4, 10, 100))


def day(chance):
    return datetime.date(2024, 1, 1) + datetime.timedelta(chance.randrange(-400, 400))


def moment(chance):
    return datetime.datetime(2024, 3, 30, 12) + datetime.timedelta(hours=chance.randrange(-3000, 3000),
                                                                   microseconds=chance.choice((0, 0, 1, 500000)))


def instant(chance):
    return moment(chance).replace(tzinfo=datetime.timezone.utc)


def unique_id(chance):
    return uuid.UUID(int=chance.randrange(CARTS) * 0x1234567890abcdef1234567)


def settings(chance):
    return {"theme": chance.choice(("dark", "light")), "n": chance.randrange(9), "on": chance.choice((True, None))}


KINDS = {
    "user": Kind("int", "number", number(-3, USERS)), "order": Kind("bigint", "number", number(0, ORDERS + 9)),
    "item": Kind("bigint", "number", number(0, ITEMS + 9)), "product": Kind("int", "number", number(0, PRODUCTS + 2)),
    "category": Kind("int", "number", number(0, CATEGORIES + 1)),
    "quantity": Kind("smallint", "number", number(-1, 6)), "money": Kind("numeric", "number", money(-500, 5000)),
    "float": Kind("float8", "float", lambda chance: chance.randrange(-99, 99) / 7),
    "real": Kind("real", "float", lambda chance: chance.randrange(-99, 99) / 8),
    "bool": Kind("boolean", "bool", pick((True, False))), "day": Kind("date", "time", day),
    "moment": Kind("timestamp", "time", moment), "instant": Kind("timestamptz", "time", instant),
    "icu": Kind("text", "text", pick(NAMES)), "text": Kind("text", "text", pick(NAMES + WORDS)),
    "ctext": Kind("text", "text", pick(WORDS)), "note": Kind("varchar", "text", pick(WORDS + NAMES)),
    "country": Kind("char(2)", "text", pick(COUNTRIES + ("xx",))), "state": Kind("state", "state", pick(STATES)),
    "uuid": Kind("uuid", "plain", unique_id), "span": Kind("interval", "span", lambda chance: datetime.timedelta(
        days=chance.randrange(40), seconds=chance.randrange(90000))),
    "words": Kind("text[]", "words", lambda chance: chance.sample(WORDS, chance.randrange(4))),
    "numbers": Kind("int[]", "numbers", lambda chance: [chance.randrange(30, 48) for _ in range(chance.randrange(4))]),
    "json": Kind("jsonb", "json", settings), "raw": Kind("bytea", "plain", lambda chance: chance.randbytes(2)),
}
COLUMNS = {
    "countries": {"code": "country", "name": "icu"},
    "categories": {"id": "category", "name": "text", "parent_id": "category"},
    "products": {"id": "product", "name": "ctext", "category_id": "category", "price": "money", "sizes": "numbers",
                 "since": "day"},
    "users": {"id": "user", "name": "icu", "email": "text", "country": "country", "born": "day", "score": "money",
              "karma": "float", "active": "bool", "tags": "words", "settings": "json", "seen": "instant"},
    "orders": {"id": "order", "user_id": "user", "state": "state", "total": "money", "placed": "moment", "ref": "uuid",
               "note": "note"},
    "order_items": {"id": "item", "order_id": "order", "product_id": "product", "quantity": "quantity",
                    "price": "money"},
    "carts": {"id": "uuid", "user_id": "user", "content": "json", "touched": "instant", "lasts": "span",
              "weight": "real", "raw": "raw"},
    "audit": {"at": "moment", "what": "text", "user_id": "user"},
}
DRAWN = {"notes": "user_id, body, size, CASE WHEN id < 0 THEN id END", "marks": "user_id, what, CASE WHEN id < 0 THEN "
"id END"}
UNIQUE = {"countries": ("code",), "categories": ("id",), "products": ("id",), "users": ("id",), "carts": ("id",)}


def owned():
    columns = {table: dict(of) for table, of in COLUMNS.items()}
    columns["order_items"] = {"id": "item", "order_id": "order", "user_id": "user", **columns["order_items"]}
    return columns


LAYOUTS = {
    "user": Layout("user", SCHEMA.format(
        owner="user_id int NOT NULL, ", orders="PRIMARY KEY (id, user_id), FOREIGN KEY (user_id) REFERENCES users",
        items="PRIMARY KEY (id, user_id), FOREIGN KEY (order_id, user_id) REFERENCES orders DEFERRABLE"),
        "users.id = modulo\norders.user_id = modulo\norders.id = lookup\norder_items.user_id = modulo\n"
        "carts.id = string_hash\nnotes.id = modulo\n" + TABLES,
        {"users": "id", "orders": "user_id", "order_items": "user_id", "carts": "id"}, owned(),
        {**UNIQUE, "orders": ("id", "user_id"), "order_items": ("id", "user_id")}),
    "order": Layout("order", SCHEMA.format(
        owner="", orders="PRIMARY KEY (id)",
        items="PRIMARY KEY (id, order_id), FOREIGN KEY (order_id) REFERENCES orders DEFERRABLE"),
        "users.id = hash\norders.id = modulo\norder_items.order_id = modulo\norder_items.id = lookup\n"
        "carts.id = hash\nnotes.id = hash sequence=home\n" + TABLES,
        {"users": "id", "orders": "id", "order_items": "order_id", "carts": "id"}, COLUMNS,
        {**UNIQUE, "orders": ("id",), "order_items": ("id", "order_id")}),
}


def maybe(chance, value):
    return value if chance.random() < 0.8 else None


@dataclass
class Rows:
    """What is made, table by table."""
    chance: object
    layout: Layout
    made: dict = field(default_factory=dict)

    def some(self, kind):
        return maybe(self.chance, KINDS[kind].draw(self.chance))

    def make(self, table, count, given):
        """Columns that are not given, a function of the row's number, are drawn."""
        columns = self.layout.columns[table]
        self.made[table] = [[given[c](i) if c in given else self.some(kind) for c, kind in columns.items()]
                            for i in range(count)]


def rows(layout, chance):
    """{table: rows}, in an order in which foreign keys are met."""
    make = Rows(chance, layout)
    make.make("countries", len(COUNTRIES), {"code": lambda i: COUNTRIES[i]})
    make.make("categories", CATEGORIES, {"id": lambda i: i, "parent_id": lambda i: (i - 1) // 2 if i else None})
    make.make("products", PRODUCTS, {"id": lambda i: i})
    make.make("users", USERS, {"id": lambda i: i - 3, "name": lambda i: chance.choice(NAMES)})
    make.make("orders", ORDERS, {"id": lambda i: i, "user_id": lambda i: chance.randrange(-3, USERS - 3)})
    owners = {row[0]: row[1] for row in make.made["orders"]}
    of = [chance.randrange(ORDERS) for _ in range(ITEMS)]
    make.make("order_items", ITEMS, {"id": lambda i: i, "order_id": lambda i: of[i],
                                     "user_id": lambda i: owners[of[i]],
                                     "product_id": lambda i: maybe(chance, chance.randrange(PRODUCTS))})
    make.make("carts", CARTS, {"id": lambda i: uuid.UUID(int=i * 0x1234567890abcdef1234567)})
    make.make("audit", 15, {})
    return make.made


def text_of(value):
    """A value as COPY and a literal have it, without quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, list):
        return "{" + ",".join(f'"{item}"' if isinstance(item, str) else str(item) for item in value) + "}"
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, datetime.timedelta):
        return f"{value.days} days {value.seconds} seconds"
    return str(value)
