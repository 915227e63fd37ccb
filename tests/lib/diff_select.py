"""Random SELECTs over the shop of diff_shop.py.

    make = Selects(LAYOUTS["user"], random.Random(7))
    s = make.statement()      # s.text with %t and %b for s.values; s.order says what of the rows' order is decided
    s.redraw(chance)          # the same text with other values
"""

import re
from dataclasses import dataclass, field

from psycopg.types.json import Jsonb

from lib.diff_parts import AGGREGATES, CONDITIONS, ERRORS, EXPRESSIONS, WINDOWS
from lib.diff_shop import KINDS, text_of

PERCENT = "\x01"  # of the text itself, which a driver with parameters wants doubled
PARAM = re.compile("\x02([0-9]+);([tb])")  # which of the draws: not all that are made stand in the text, nor in order
ALIASES = {"users": "u", "orders": "o", "order_items": "i", "products": "p", "categories": "c", "countries": "n",
           "carts": "k", "audit": "a"}
EDGES = (
    ("users", "id", "orders", "user_id"), ("orders", "id", "order_items", "order_id"),
    ("users", "id", "carts", "user_id"), ("order_items", "product_id", "products", "id"),
    ("products", "category_id", "categories", "id"),
    ("users", "country", "countries", "code"), ("users", "id", "audit", "user_id"),
    ("categories", "parent_id", "categories", "id"), ("orders", "ref", "carts", "id"),
    ("users", "country", "users", "country"), ("orders", "id", "users", "id"), ("orders", "note", "users", "name"),
    ("orders", "user_id", "orders", "user_id"))
NOT_OF_KEY = 5  # the first of them that are joins of other things than what belongs together, after which all are

NAMES = ("id", "user_id", "order_id", "x0", "product_id", "code")  # of a query's columns; of keys, too

EXACT, ANY_ORDER, ONLY_COUNT = "exact", "any", "count"  # or: the columns whose values have an order


@dataclass
class Statement:
    """What is said; order: EXACT, ANY_ORDER, ONLY_COUNT, or a list of columns."""
    text: str
    order: object = ANY_ORDER
    draws: list = field(default_factory=list)
    values: list = field(default_factory=list)
    kind: str = ""
    data: str = ""  # what COPY is given

    def redraw(self, chance):
        self.values = [draw(chance) for draw in self.draws]
        return self


@dataclass
class Source:
    """A FROM clause: what its rows are made of."""
    text: str
    columns: list  # (written, kind)
    total: list    # columns that are different in all rows, taken together
    aliases: list  # (alias, table)
    conditions: list = field(default_factory=list)

    def of(self, *groups):
        return [(c, kind) for c, kind in self.columns if KINDS[kind].group in groups]


class Values:
    """The values of a statement: literals, or parameters."""

    def __init__(self, layout, chance):
        self.layout, self.chance = layout, chance
        self.draws, self.share = [], 0

    def one(self, *of):
        return self.chance.choice(of)

    def likely(self, share):
        return self.chance.random() < share

    def begin(self):
        self.draws, self.share = [], self.one(0, 0, 0.5, 1)

    def end(self, text, order, kind):
        draws = [self.draws[int(found[1])] for found in PARAM.finditer(text)]
        text = PARAM.sub(r"%\2", text.replace(PERCENT, "%%" if draws else "%"))
        return Statement(text, order, draws, kind=kind).redraw(self.chance)

    def param(self, draw, cast=""):
        self.draws.append(draw)
        return f"\x02{len(self.draws) - 1};{self.one('t', 'b')}{cast}"

    def value(self, kind, typed=False):
        of = KINDS[kind]
        if self.likely(self.share):
            def draw(chance):
                value = of.draw(chance)
                return Jsonb(value) if isinstance(value, dict) else value
            cast = typed or of.group == "state" or self.likely(0.15)
            return self.param(draw, f"::{of.type}" if cast else "")
        return self.literal(of, of.draw(self.chance), typed)

    def literal(self, of, value, typed=False):
        text = text_of(value)
        if of.group in ("number", "float", "bool") and self.likely(0.9):
            return f"({text})" if text.startswith("-") and typed else text
        quoted = "'" + text.replace("'", "''").replace("%", PERCENT) + "'"
        return quoted + f"::{of.type}" if typed or self.likely(0.2) else quoted

    def fill(self, template, column, kind, **more):
        def put(match):
            word = match[1]
            return column if word == "c" else more[word] if word in more else self.value(kind, word == "V")
        return re.sub(r"\{([cvVtpn])\}", put, template.replace("%", PERCENT))


class Parts(Values):
    """Clauses."""

    def table(self, table, number=0):
        alias = ALIASES[table] + (str(number) if number else "")
        columns = self.layout.columns[table]
        names = {c: c for c in columns}
        written = self.one(f"{table} {alias}", f"{table} AS {alias}")
        if self.likely(0.04):  # its first columns go by each other's names
            first, second = list(columns)[:2]
            names |= {first: second, second: first}
            written += f" ({second}, {first})"
        total = [f"{alias}.{names[c]}" for c in self.layout.unique.get(table, columns)]
        return Source(written, [(f"{alias}.{names[c]}", kind) for c, kind in columns.items()], total, [(alias, table)])

    def edges(self, source, far):
        """(alias, column, table, column) of what may be joined."""
        for alias, table in source.aliases:
            for edge in EDGES if far else EDGES[:NOT_OF_KEY + 2]:
                for a, x, b, y in (edge, edge[2:] + edge[:2]):
                    if a == table:
                        yield alias, x, b, y

    def join(self, source):
        alias, column, table, other = self.one(*self.edges(source, self.likely(0.25)))
        new = self.table(table, len(source.aliases) + 1 if any(t == table for _, t in source.aliases) else 0)
        name = new.aliases[0][0]
        on = f"{name}.{other} = {alias}.{column}" if self.likely(0.5) else f"{alias}.{column} = {name}.{other}"
        pair = {dict(source.aliases)[alias], table}
        if pair == {"orders", "order_items"} and "user_id" in self.layout.columns["order_items"] and self.likely(0.7):
            on += f" AND {name}.user_id = {alias}.user_id"
        kind = self.one("JOIN", "JOIN", "INNER JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", ",")
        if column == other and kind != "," and " AND " not in on and self.likely(0.4) and len(source.aliases) == 1:
            source.text += f" {kind} {new.text} USING ({column})"
        elif kind == ",":
            source.text += f", {new.text}"
            source.conditions.append(on)
        else:
            if kind != "FULL JOIN" and self.likely(0.15):
                on += f" AND {self.condition(new)}"
            source.text += f" {kind} {new.text} ON {on}"
        source.columns += new.columns
        source.total += new.total
        source.aliases += new.aliases

    def source(self, joins=None):
        source = self.table(self.one(*["users", "orders"] * 4, *["order_items"] * 3, "carts", "carts", "products",
                                     "categories", "countries", "audit"))
        for _ in range(self.one(0, 0, 0, 1, 1, 1, 2, 3) if joins is None else joins):
            if "," not in source.text:  # what stands behind a comma does not know what stands before it
                self.join(source)
        return source

    def condition(self, source):
        key = [(c, kind) for c, kind in source.columns if c in self.keys(source)]
        column, kind = self.one(*(key if key and self.likely(0.4) else source.columns))
        return self.fill(self.one(*CONDITIONS[KINDS[kind].group]), column, kind)

    def keys(self, source):
        return [f"{alias}.{self.layout.keys[table]}" for alias, table in source.aliases if table in self.layout.keys]

    def where(self, source, most=3):
        parts = source.conditions + [self.condition(source) for _ in range(self.chance.randrange(most))]
        if len(parts) > len(source.conditions) + 1 and self.likely(0.2):
            parts[-2:] = [f"({parts[-2]} OR {parts[-1]})"]
        if self.likely(0.12):
            parts.append(self.subcondition(source))
        return " WHERE " + " AND ".join(f"({p})" if " OR " in p else p for p in parts) if parts else ""

    def expression(self, source):
        column, kind = self.one(*source.columns)
        return self.fill(self.one(*EXPRESSIONS[KINDS[kind].group]), column, kind)

    def aggregate(self, source):
        if self.likely(0.3):
            return "count(*)"
        column, kind = self.one(*source.columns)
        text = self.fill(self.one(*AGGREGATES[KINDS[kind].group]), column, kind)
        if self.likely(0.07) and text.endswith(")") and "FILTER" not in text and text.count("(") == 1:
            text += f" FILTER (WHERE {self.condition(source)})"
        return text

    def way(self):
        return self.one("", "", " ASC", " DESC", " DESC NULLS LAST", " NULLS FIRST")

    def limit(self):
        count = self.param(lambda chance: chance.randrange(9)) if self.likely(self.share / 2) else self.one(1, 3, 7, 20)
        offset = f" OFFSET {self.one(0, 1, 4, 15)}"
        return self.one(f" LIMIT {count}", f" LIMIT {count}{offset}", f"{offset} LIMIT {count}", offset,
                        f" FETCH FIRST {self.one(2, 5)} ROWS ONLY", " LIMIT ALL")

    # --- subqueries ---

    def inner(self, source):
        """Of another table that belongs to one of these: (what is selected from, the equality)."""
        alias, column, table, other = self.one(*self.edges(source, self.likely(0.2)))
        new = self.table(table, 9)
        return new, new.aliases[0][0] + "." + other, f"{alias}.{column}"

    def subcondition(self, source):
        new, theirs, ours = self.inner(source)
        where = self.where(new, 2)
        also = f"{where} AND {theirs} = {ours}" if where else f" WHERE {theirs} = {ours}"
        column, kind = self.one(*new.of("number"), (new.total[0], "text"))
        number = self.one(*source.of("number", "float") or [("1", "user")])[0]
        return self.one(
            f"EXISTS (SELECT 1 FROM {new.text}{also})", f"EXISTS (SELECT FROM {new.text}{also})",
            f"NOT EXISTS (SELECT * FROM {new.text}{also})", f"{ours} IN (SELECT {theirs} FROM {new.text}{where})",
            f"{ours} NOT IN (SELECT {theirs} FROM {new.text}{where})", f"EXISTS (SELECT 1 FROM {new.text}{where})",
            f"{ours} = ANY (SELECT {theirs} FROM {new.text}{where})",
            f"{number} > (SELECT count({column}) FROM {new.text}{also})",
            f"{number} >= ALL (SELECT count(*) FROM {new.text}{where})" if kind else "",
            f"(SELECT max({column}) FROM {new.text}{also}) IS NOT NULL" if kind != "text" else "true")

    def subselect(self, source):
        new, theirs, ours = self.inner(source)
        where = self.where(new, 2)
        also = f"{where} AND {theirs} = {ours}" if where else f" WHERE {theirs} = {ours}"
        column, kind = self.one(*new.columns)
        item = f"{column}::text" if kind in ("words", "numbers") else column  # which of two bad ones is met first?
        return self.one(
            f"(SELECT count(*) FROM {new.text}{also})", f"(SELECT {self.aggregate(new)} FROM {new.text}{also})",
            f"ARRAY(SELECT {item} FROM {new.text}{also} ORDER BY {column})",
            f"EXISTS (SELECT 1 FROM {new.text}{also})",
            f"(SELECT {column} FROM {new.text}{also} ORDER BY {', '.join(new.total)} LIMIT 1)",
            f"(SELECT {self.aggregate(new)} FROM {new.text}{where})")


class Selects(Parts):
    """Whole statements."""

    def statement(self):
        self.begin()
        kind = self.chance.choices(
            ("plain", "point", "aggregate", "group", "distinct", "window", "cte", "recursive", "union", "derived",
             "lateral", "rows", "everywhere", "view", "error", "single"),
            (20, 12, 8, 12, 6, 6, 9, 1, 6, 9, 2, 3, 3, 2, 3, 3))[0]
        text, order = getattr(self, kind)()
        return self.end(text, order, kind)

    def targets(self, source, most=4):
        if self.likely(0.12):
            return ["*" if self.likely(0.5) else f"{source.aliases[-1][0]}.*"]
        made = [self.subselect(source) if self.likely(0.06) else self.expression(source)
                for _ in range(self.chance.randrange(1, most + 1))]
        return [f"{t} AS c{n}" if self.likely(0.3) else t for n, t in enumerate(made)]

    def ordered(self, text, source, targets):
        """With an ORDER BY, a LIMIT, or without."""
        kind = self.chance.random()
        if kind < 0.4:
            return text, ANY_ORDER
        if kind < 0.75:
            by = [self.expression(source) for _ in range(self.chance.randrange(3))]
            by = [f"{b}{self.way()}" for b in by + source.total]
            return f"{text} ORDER BY {', '.join(by)}{self.limit() if self.likely(0.6) else ''}", EXACT
        if kind < 0.92 and "*" not in targets[0]:
            columns = self.chance.sample(range(len(targets)), self.chance.randrange(1, len(targets) + 1))
            ties = f" FETCH FIRST {self.one(2, 6)} ROWS WITH TIES" if self.likely(0.08) else ""
            return f"{text} ORDER BY {', '.join(f'{k + 1}{self.way()}' for k in columns)}{ties}", columns
        return text + self.limit(), ONLY_COUNT

    def plain(self):
        source = self.source()
        targets = self.targets(source)
        return self.ordered(f"SELECT {', '.join(targets)} FROM {source.text}{self.where(source)}", source, targets)

    def point(self):
        """What applications ask most: by a key."""
        source = self.source(self.one(0, 0, 1, 2))
        keys = self.keys(source) or [source.total[0]]
        key = self.one(*keys)
        kind = dict(source.columns)[key]
        equal = self.fill(self.one("{c} = {v}", "{c} = {v}", "{c} IN ({v}, {v})", "{c} = ANY (ARRAY[{v}, {v}])"), key,
                          kind)
        targets = self.targets(source)
        where = self.where(source, 2)
        return self.ordered(f"SELECT {', '.join(targets)} FROM {source.text}{where}{' AND' if where else ' WHERE'} "
                            f"{equal}", source, targets)

    def aggregate_list(self, source, most=3):
        return [self.aggregate(source) for _ in range(self.chance.randrange(1, most + 1))]

    def aggregate(self, source=None):
        if source is not None:
            return super().aggregate(source)
        source = self.source()
        having = f" HAVING {self.aggregate(source)} IS NOT NULL" if self.likely(0.1) else ""
        return (f"SELECT {', '.join(self.aggregate_list(source))} FROM {source.text}{self.where(source)}{having}",
                EXACT)

    def group(self):
        source = self.source()
        columns = source.total[:1] if self.likely(0.12) else []
        key = self.keys(source)
        by = [self.one(*key)] if key and self.likely(0.35) else []
        by += [self.expression(source) for _ in range(self.chance.randrange(0 if by else 1, 3))]
        by = [b for b in by if not PARAM.search(b)] or [source.columns[0][0]]
        targets = by + self.aggregate_list(source)
        names = [str(k + 1) if self.likely(0.3) else b for k, b in enumerate(by)]
        grouping = ", ".join(names)
        if columns and source.aliases[0][1] in ("users", "products", "categories", "countries", "carts"):
            alias, table = source.aliases[0]
            grouping, by = columns[0], [f"{alias}.{c}" for c in self.chance.sample(list(self.layout.columns[table]), 2)]
            targets = by + self.aggregate_list(source)
            by = None
        elif self.likely(0.05):
            grouping = self.one(f"ROLLUP ({', '.join(by)})", f"CUBE ({', '.join(by)})",
                                f"GROUPING SETS (({by[0]}), ())")
        having = ""
        if self.likely(0.25):
            having = " HAVING " + self.one("count(*) > 1", "count(*) > 2", f"{self.aggregate(source)} IS NOT NULL",
                                           f"max({source.columns[0][0]}) IS NOT NULL")
        text = f"SELECT {', '.join(targets)} FROM {source.text}{self.where(source)} GROUP BY {grouping}{having}"
        if by is None or self.likely(0.5):
            return text, ANY_ORDER
        order = list(range(len(by)))
        self.chance.shuffle(order)
        written = ", ".join(f"{k + 1}{self.way()}" for k in order)
        if self.likely(0.3):
            written = f"{len(by) + 1}{self.way()}, {written}"
        plain = "(" not in grouping or grouping == ", ".join(names)
        text += f" ORDER BY {written}{self.limit() if plain and self.likely(0.4) else ''}"
        return text, EXACT if plain else order if not written.startswith(str(len(by) + 1)) else ANY_ORDER

    def distinct(self):
        source = self.source()
        targets = [self.expression(source) for _ in range(self.chance.randrange(1, 4))]
        where = self.where(source)
        if self.likely(0.35):
            on = self.one(*source.columns)[0]
            order = f"{on}{self.way()}, {', '.join(source.total)}"
            return (f"SELECT DISTINCT ON ({on}) {', '.join(targets)} FROM {source.text}{where} ORDER BY {order}"
                    f"{self.limit() if self.likely(0.2) else ''}"), EXACT
        text = f"SELECT DISTINCT {', '.join(targets)} FROM {source.text}{where}"
        if self.likely(0.5):
            return text, ANY_ORDER
        order = self.chance.sample(range(len(targets)), len(targets))
        return (f"{text} ORDER BY {', '.join(f'{k + 1}{self.way()}' for k in order)}"
                f"{self.limit() if self.likely(0.5) else ''}"), EXACT

    def window(self):
        source = self.source(self.one(0, 0, 1, 1, 2))
        targets = [c for c, _ in self.chance.sample(source.columns, 1)]
        numbers = source.of("number") or [("1", "user")]
        divided = self.one(*(self.keys(source) or [source.columns[0][0]])) if self.likely(0.6) else \
            self.one(*source.columns)[0]
        for _ in range(self.one(1, 1, 2)):
            column, kind = self.one(*source.columns)
            targets.append(self.fill(self.one(*WINDOWS), column, kind, p=divided, t=", ".join(source.total),
                                     n=self.one(*numbers)[0]))
        named = f" WINDOW w AS (PARTITION BY {divided})" if any("(w " in t for t in targets) else ""
        text = f"SELECT {', '.join(targets)} FROM {source.text}{self.where(source)}{named}"
        if self.likely(0.5):
            return text, ANY_ORDER
        return f"{text} ORDER BY {', '.join(source.total)}{self.limit() if self.likely(0.4) else ''}", EXACT

    # --- what selects from a query ---

    def query(self, alias, kinds=None):
        """A query with named columns: its text, and what it is to others."""
        source = self.source(self.one(0, 0, 1, 2))
        names = self.chance.sample(NAMES, 3) if self.likely(0.4) else ("x0", "x1", "x2")
        chosen = []
        for n, kind in enumerate(kinds or [None] * self.one(2, 3)):
            fitting = [c for c in source.columns if kind is None or c[1] == kind]
            chosen.append((*self.one(*fitting or [(f"NULL::{KINDS[kind].type}", kind)]), names[n]))
        if self.likely(0.5):
            key = self.keys(source)
            if key and kinds is None:
                chosen[0] = (key[0], dict(source.columns)[key[0]], names[0])
        if self.likely(0.3):
            column = self.one(*(self.keys(source) or source.total))
            source.conditions.append(self.fill("{c} = {v}", column, dict(source.columns)[column]))
        text = f"SELECT {', '.join(f'{c} AS {name}' for c, _, name in chosen)} FROM {source.text}{self.where(source)}"
        if self.likely(0.15):
            text += f" ORDER BY {', '.join(source.total)} LIMIT {self.one(3, 10, 30)}"
        elif self.likely(0.2) and kinds is None:
            text = (f"SELECT {chosen[0][0]} AS {names[0]}, count(*) AS {names[1]}, {self.one('min', 'max', 'count')}("
                    f"{chosen[1][0]}) AS {names[2]} FROM {source.text}{self.where(source)} "
                    f"GROUP BY {self.one('1', chosen[0][0])}")
            if any(KINDS[chosen[1][1]].group == g for g in ("bool", "plain", "json")):
                text = text.replace("min(", "count(").replace("max(", "count(")
            chosen = [chosen[0][:2] + (names[0],), ("", "item", names[1])]
        columns = [(f"{alias}.{name}", kind) for _, kind, name in chosen]
        return text, Source(alias, columns, [c for c, _ in columns], [])

    def over(self, source):
        """A SELECT from what has no key of its own."""
        kind = self.chance.random()
        where = self.where_plain(source)
        if kind < 0.35:
            targets = [self.expression(source) for _ in range(self.chance.randrange(1, 4))]
            return f"SELECT {', '.join(targets)} FROM {source.text}{where}", ANY_ORDER
        if kind < 0.5:
            return f"SELECT * FROM {source.text}{where} ORDER BY {', '.join(source.total)}{self.limit()}", EXACT
        if kind < 0.75:
            return f"SELECT {', '.join(self.aggregate_list(source))} FROM {source.text}{where}", EXACT
        by = self.one(*source.columns)[0]
        return f"SELECT {by}, {self.aggregate(source)} FROM {source.text}{where} GROUP BY {by} ORDER BY 1", EXACT

    def where_plain(self, source):
        parts = [self.condition(source) for _ in range(self.chance.randrange(2))]
        parts += source.conditions
        return " WHERE " + " AND ".join(parts) if parts else ""

    def with_table(self, source):
        """Joined with a table, by a column of the same kind."""
        fitting = [(c, kind, table, column) for c, kind in source.columns for table, of in self.layout.columns.items()
                   for column, other in of.items() if other == kind and kind in ("user", "order", "product", "country")]
        if not fitting or self.likely(0.5):
            return source
        column, _, table, other = self.one(*fitting)
        new = self.table(table)
        kind = self.one("JOIN", "LEFT JOIN")
        return Source(f"{source.text} {kind} {new.text} ON {new.aliases[0][0]}.{other} = {column}",
                      source.columns + new.columns, source.total + new.total, [], source.conditions)

    def renamed(self, source, share):
        """A list of names that its columns have instead; or none."""
        if not self.likely(share):
            return ""
        alias, *names = source.columns[0][0].split(".")[:1] + [c.split(".")[1] for c, _ in source.columns]
        names = names[1:] + names[:1] if self.likely(0.6) else self.chance.sample(NAMES, len(names))
        source.columns = [(f"{alias}.{name}", kind) for name, (_, kind) in zip(names, source.columns, strict=True)]
        source.total = [c for c, _ in source.columns]
        return f" ({', '.join(names)})"

    def derived(self):
        text, source = self.query("q")
        source.text = f"({text}) q{self.renamed(source, 0.25)}"
        if self.likely(0.15):
            source.text = f"(SELECT * FROM {source.text}{self.where_plain(source)}) q"
        return self.over(self.with_table(source))

    def single(self):
        """With a query of one row beside it, of which something is asked, or nothing."""
        inner, source = self.source(self.one(0, 1, 1, 2)), self.source(self.one(0, 1))
        having = self.one("", "", "", " HAVING true", " HAVING count(*) > 3")
        targets = ", ".join(f"{a} AS y{n}" for n, a in enumerate([*self.aggregate_list(inner), "1"]))
        query = f"SELECT {targets} FROM {inner.text}{self.where(inner)}{having}"
        also = self.one("", "", "one.y0 IS NULL", "one.y0 IS NOT NULL", "true OR one.y0 IS NULL")
        where = self.where_plain(source)
        if also:
            where += f"{' AND' if where else ' WHERE'} ({also})"
        written, item = self.one(("", f"({query}) one"), (f"WITH one AS ({query}) ", "one"))
        beside = self.one(f"{source.text} CROSS JOIN {item}", f"{item} CROSS JOIN ({source.text})")
        asked = self.one("count(*)", f"{source.columns[0][0]}, one.y0", source.columns[0][0], "1",
                         f"{self.aggregate(source)}, count(one)")
        if "," in source.text:
            beside = f"{item}, {source.text}"
        return f"{written}SELECT {asked} FROM {beside}{where}", ANY_ORDER

    def cte(self):
        text, source = self.query("w")
        names = self.renamed(source, 0.2)
        written = f"w{names} AS {self.one('', '', 'MATERIALIZED ', 'NOT MATERIALIZED ')}({text})"
        source.text = f"w AS w{self.renamed(source, 1)}" if not names and self.likely(0.1) else "w"
        if self.likely(0.3):
            more, other = self.query("w2")
            written += f", w2 AS ({more})"
            if self.likely(0.5) and KINDS[other.columns[0][1]].group in ("number", "text", "time"):
                source.text += f" CROSS JOIN (SELECT count(*) AS x9, max({other.columns[0][0]}) AS x8 FROM w2) m"
        body, order = self.over(self.with_table(source))
        return f"WITH {written} {body}", order

    def recursive(self):
        start = self.value("category")
        tree = (f"WITH RECURSIVE t AS (SELECT id, parent_id, 0 AS depth FROM categories WHERE id = {start} UNION ALL "
                "SELECT c.id, c.parent_id, depth + 1 FROM categories c JOIN t ON c.parent_id = t.id) ")
        return self.one(
            (tree + "SELECT id, depth FROM t ORDER BY depth, id", EXACT),
            (tree + "SELECT t.id, p.name FROM t JOIN products p ON p.category_id = t.id", ANY_ORDER),
            (tree + "SELECT t.depth, count(*), sum(i.quantity) FROM t JOIN products p ON p.category_id = t.id JOIN "
             "order_items i ON i.product_id = p.id GROUP BY t.depth ORDER BY 1", EXACT))

    def union(self):
        kinds = self.one(["user"], ["user", "icu"], ["order", "money"], ["user", "money"], ["country"],
                         ["text", "user"])
        arms = []
        for _ in range(self.one(2, 2, 2, 3)):
            text, _ = self.query("q", kinds)
            arms.append(f"({text})" if " LIMIT " in text or self.likely(0.2) else text)
        text = arms[0]
        for arm in arms[1:]:
            text += f" {self.one('UNION', 'UNION ALL', 'UNION ALL', 'INTERSECT', 'EXCEPT', 'EXCEPT ALL')} {arm}"
        if self.likely(0.4):
            order = ", ".join(f"{k + 1}{self.way()}" for k in range(len(kinds)))
            return f"{text} ORDER BY {order}{self.limit() if self.likely(0.5) else ''}", EXACT
        return text, ANY_ORDER

    def lateral(self):
        source = self.source(0)
        new, theirs, ours = self.inner(source)
        where = self.where(new, 2)
        also = f"{where} AND {theirs} = {ours}" if where else f" WHERE {theirs} = {ours}"
        column = self.one(*new.columns)[0]
        inner = self.one(f"SELECT {column} AS y FROM {new.text}{also} ORDER BY {', '.join(new.total)} LIMIT 2",
                         f"SELECT {self.aggregate(new)} AS y FROM {new.text}{also}")
        join = self.one("CROSS JOIN LATERAL ({}) l", "LEFT JOIN LATERAL ({}) l ON true", "JOIN LATERAL ({}) l ON true")
        return (f"SELECT {source.total[0]}, l.y FROM {source.text} {join.format(inner)}{self.where(source, 2)}",
                ANY_ORDER)

    # --- the rest ---

    def rows(self):
        """Without a table, or with rows that are not a table's."""
        number = self.value("user", True)
        return self.one(
            ("SELECT 1 AS one, 'x' AS two, NULL", EXACT), (f"SELECT {self.value('money', True)} * 2", EXACT),
            (f"VALUES (1, 'a'), ({number}, 'b') ORDER BY 1, 2", EXACT),
            ("SELECT count(*) FROM generate_series(1, 9)", EXACT),
            (f"SELECT g.n, u.name FROM generate_series(1, {number}) g(n) LEFT JOIN users u ON u.id = g.n ORDER BY 1",
             EXACT),
            (f"SELECT u.id, v.x FROM (VALUES (1, 'a'), ({number}, 'b')) v(k, x) JOIN users u ON u.id = v.k", ANY_ORDER),
            (f"SELECT u.id, t FROM users u, unnest(u.tags) t WHERE u.id > {number}", ANY_ORDER),
            (f"SELECT u.id, s.key, s.value FROM users u, jsonb_each(u.settings) s WHERE u.id = {number}", ANY_ORDER),
            (f"SELECT t, count(*) FROM users u, unnest(u.tags) t GROUP BY t ORDER BY 2 DESC, 1", EXACT),
            (f"TABLE countries ORDER BY 1", EXACT), ("SELECT u.name FROM users u WHERE false", EXACT),
            (f"SELECT unnest(tags) FROM users WHERE id = {number}", EXACT),
            (f"SELECT id, generate_series(1, 2) FROM users WHERE id > {number}", ANY_ORDER))

    def everywhere(self):
        source = self.table(self.one("products", "categories", "countries"))
        if self.likely(0.4):
            text = self.one("products p LEFT JOIN categories c ON c.id = p.category_id",
                            "categories c JOIN categories c2 ON c2.id = c.parent_id")
            source = Source(text, self.table("categories").columns, ["c.id", "p.id" if "products" in text else "c2.id"],
                            [("c", "categories")])
        targets = self.targets(source)
        return self.ordered(f"SELECT {', '.join(targets)} FROM {source.text}{self.where_plain(source)}", source,
                            targets)

    def view(self):
        user = self.value("user")
        return self.one(
            (f"SELECT user_id, orders, total FROM totals WHERE user_id = {user}", ANY_ORDER),
            ("SELECT count(*), sum(total) FROM totals", EXACT), ("SELECT name FROM active_users ORDER BY id", EXACT),
            (f"SELECT a.name, t.total FROM active_users a JOIN totals t ON t.user_id = a.id WHERE a.id > {user}",
             ANY_ORDER),
            (f"SELECT u.name, s.* FROM users u JOIN swapped s ON s.user_id = u.id WHERE s.id > {user}", ANY_ORDER),
            (f"SELECT * FROM swapped WHERE user_id = {user}", ANY_ORDER),
            (f"SELECT count(*) FROM {self.one('sums', 'shops')} CROSS JOIN {self.source().text}", EXACT),
            (f"SELECT u.id FROM sums, shops, users u WHERE EXISTS (SELECT FROM sums) AND u.id < {user}", ANY_ORDER),
            ("SELECT sums.*, shops.last FROM sums, shops", EXACT))

    def error(self):
        return self.one(*ERRORS), ANY_ORDER
