"""What random statements are put together from: conditions, expressions and aggregates, by what a column holds.

{c} is the column, {v} a value that may be compared with it, {V} one that tells its type; a % is an operator's or a
pattern's, and never a parameter's.
"""

CONDITIONS = {
    "number": (
        "{c} = {v}", "{c} = {v}", "{c} > {v}", "{c} <= {v}", "{c} <> {v}", "{c} BETWEEN {v} AND {v} + 9",
        "{c} IN ({v}, {v}, {v})", "{c} NOT IN ({v}, {v})", "{c} IS NULL", "{c} IS NOT NULL", "mod({c}::int, 3) = 1",
        "{c} % 4 = 1", "{c} + 1 = {v}", "abs({c}) < {v}", "NOT ({c} < {v})", "{c} IS NOT DISTINCT FROM {v}",
        "({c} = {v} OR {c} = {v})", "coalesce({c}, 0) > {v}", "({c} > {v}) IS NOT TRUE", "{c}::text LIKE '1%'",
        "CASE WHEN {c} > {v} THEN true END", "{c} = ANY (ARRAY[{v}, {v}])", "{c} = ANY ('{1,5,9}')", "{v} = {c}",
        "{c} >= {v} AND {c} < {v} + 12", "NOT {c} IN (1, 2, 3)", "({c}, 1) = ({v}, 1)", "{c} = {v}::bigint",
        "({c}, 2) IN (({v}, 2), ({v}, 3))", "{c} = (SELECT max(id) FROM categories)", "{c} IN (VALUES ({V}), ({V}))",
        "NOT ({c} = {v} OR {c} = {v})", "({c} = {v}) = true", "({c} = {v}) IS TRUE", "{c} IN ({v}, NULL)",
        "NOT {c} IN ({v}, NULL)", "{c} = {v} AND {c} = {v}", "{c} IN (SELECT id FROM products WHERE price > {v})",
        "{c} = least({v}, {v})", "{c} = coalesce(NULL, {v})", "ROW({c}, 1) < ROW({v}, 2)",
        "{c} = {v} + 1", "{c} = '7'", "{c} = 7.0", "{c} BETWEEN SYMMETRIC 20 AND {v}", "{c} != ALL ('{1,2}')"),
    "float": ("{c} > {v}", "{c} < 0", "{c} IS NULL", "abs({c}) < 5", "{c} BETWEEN -3.5 AND {v}", "{c} >= {v}::real"),
    "text": (
        "{c} = {v}", "{c} = {v}", "{c} > {v}", "{c} LIKE 'a%'", "{c} ILIKE '%A%'", "{c} IN ({v}, {v})", "{c} <> {v}",
        "{c} NOT LIKE '_d%'", "lower({c}) = 'ada'", "length({c}) > 3", "{c} ~ '^[A-Z]'", "{c} BETWEEN 'a' AND 'f'",
        "{c} IS NULL", "coalesce({c}, '') = ''", "{c} || 'x' <> 'x'", "{c} COLLATE \"C\" < 'b'", "strpos({c}, 'a') > 0",
        "{c} IS DISTINCT FROM {v}", "{c} = ANY ('{ada,red,de}')", "position('d' IN {c}) = 2",
        "{c} SIMILAR TO '(a|b)%'", "{c} < upper({v})", "NOT {c} = {v}", "{c} LIKE '50\\%'"),
    "time": (
        "{c} > {v}", "{c} < {v}", "{c} BETWEEN '2023-09-01' AND {v}", "{c} IS NULL", "extract(year FROM {c}) = 2024",
        "{c} + interval '10 days' > {v}", "date_trunc('month', {c}) = '2024-03-01'", "{c}::date = '2024-03-30'",
        "extract(dow FROM {c}) IN (0, 6)", "{c} >= DATE '2024-01-01'", "{c} < now()", "{c} = {v}",
        "{c} > now() - interval '950 days'", "{c} < current_date", "{c} > CURRENT_TIMESTAMP - interval '900 days'",
        "{c} > localtimestamp - interval '980 days'", "date_part('month', {c}) < 4"),
    "bool": ("{c}", "NOT {c}", "{c} IS TRUE", "{c} IS NOT TRUE", "{c} IS UNKNOWN", "{c} = {v}", "{c} IS NOT FALSE"),
    "state": ("{c} = {v}", "{c} IN ('paid', 'sent')", "{c} > {v}", "{c} IS NULL", "{c}::text LIKE 'p%'",
              "{c} = ANY ('{new,back}'::state[])", "{c} <> {v}", "{c} BETWEEN 'new' AND 'paid'"),
    "plain": ("{c} = {v}", "{c} IN ({v}, {v})", "{c} > {v}", "{c} IS NOT NULL", "{c} = {v} OR {c} = {v}"),
    "span": ("{c} > interval '10 days'", "{c} IS NULL", "{c} * 2 > {V}", "{c} < {v}"),
    "words": ("{c} @> ARRAY['red']", "'blue' = ANY ({c})", "cardinality({c}) > 1", "{c} && ARRAY['long', 'wide']",
              "{c}[1] = 'red'", "{c} = {V}", "{c} IS NULL", "'red' <> ALL ({c})", "array_length({c}, 1) IS NULL"),
    "numbers": ("{c} @> ARRAY[36]", "40 = ANY ({c})", "{c}[1] > 35", "{c} IS NULL", "{c} <> '{}'"),
    "json": ("{c}->>'theme' = 'dark'", "{c} @> '{\"n\": 3}'", "({c}->>'n')::int > 4", "{c} ? 'on'", "{c} IS NULL",
             "{c}->'on' = 'true'", "jsonb_typeof({c}->'n') = 'number'", "{c} = {V}"),
}
EXPRESSIONS = {
    "number": (
        "{c}", "{c}", "{c}", "{c} + 1", "-{c}", "{c} * 2", "{c}::text", "coalesce({c}, 0)", "abs({c})", "{c} % 5",
        "{c}::numeric / 3", "CASE WHEN {c} > 10 THEN 'many' WHEN {c} IS NOT NULL THEN 'few' END", "nullif({c}, 3)",
        "greatest({c}, 7)", "round({c}::numeric, 1)", "to_char({c}, '999D9')", "{c} IS NULL", "{c} BETWEEN 2 AND 20",
        "{c} IN (1, 2, {v})", "sign({c})", "least({c}, {v})", "{c}::float8"),
    "float": ("{c}", "round({c}::numeric, 3)", "{c} > 0", "floor({c})", "-{c}", "{c}::text"),
    "text": (
        "{c}", "{c}", "upper({c})", "lower({c})", "length({c})", "{c} || '!'", "substr({c}, 2, 2)", "md5({c})",
        "coalesce({c}, '-')", "initcap({c})", "concat({c}, '/', 'x')", "replace({c}, 'a', '4')", "left({c}, 1)",
        "lpad({c}, 6, '.')", "reverse({c})", "{c} COLLATE \"C\"", "split_part({c}, 'd', 1)", "trim({c})",
        "regexp_replace({c}, '[aeiou]', '*', 'g')", "substring({c} FROM 1 FOR 2)", "{c} LIKE 'a%'", "{c} = {v}"),
    "time": (
        "{c}", "{c}", "{c}::date", "date_trunc('month', {c})", "extract(year FROM {c})", "to_char({c}, 'YYYY-MM-DD')",
        "{c} + interval '1 day'", "{c} - interval '2 hours'", "date_part('month', {c})", "{c} IS NOT NULL",
        "extract(epoch FROM {c})", "coalesce({c}, '2024-01-01')", "{c}::text", "{c} < now()"),
    "bool": ("{c}", "NOT {c}", "coalesce({c}, false)", "CASE WHEN {c} THEN 1 ELSE 0 END", "{c}::int", "{c} IS TRUE"),
    "state": ("{c}", "{c}", "{c}::text", "coalesce({c}, 'new')", "{c} = 'sent'"),
    "plain": ("{c}", "{c}::text", "{c} IS NULL"),
    "span": ("{c}", "{c} * 2", "extract(epoch FROM {c})", "justify_hours({c})"),
    "words": ("{c}", "{c}[1]", "cardinality({c})", "array_to_string({c}, ',')", "array_append({c}, 'z')"),
    "numbers": ("{c}", "{c}[2]", "cardinality({c})", "{c} || 7", "array_position({c}, 36)"),
    "json": ("{c}", "{c}->>'theme'", "{c}->'n'", "({c}->>'n')::int", "{c} - 'on'"),
}
AGGREGATES = {
    "number": (
        "sum({c})", "sum({c})", "avg({c})", "min({c})", "max({c})", "count({c})", "count(DISTINCT {c})",
        "sum(DISTINCT {c})", "array_agg({c} ORDER BY {c})", "stddev({c})", "variance({c})", "coalesce(sum({c}), 0)",
        "percentile_disc(0.5) WITHIN GROUP (ORDER BY {c})", "string_agg({c}::text, ',' ORDER BY {c})",
        "bool_and({c} > 3)", "sum({c}) FILTER (WHERE {c} > 5)", "round(avg({c}), 2)", "max({c}) - min({c})",
        "sum({c} * 2)", "count(*) FILTER (WHERE {c} IS NULL)", "sum(CASE WHEN {c} > 5 THEN 1 ELSE 0 END)",
        "avg({c})::numeric(10,2)", "count(*) > 2", "max({c} + 1)"),
    "float": ("min({c})", "max({c})", "count({c})", "sum({c})", "avg({c})"),
    "text": ("min({c})", "max({c})", "count(DISTINCT {c})", "string_agg({c}, ',' ORDER BY {c})", "count({c})",
             "array_agg(DISTINCT {c})", "max(length({c}))", "mode() WITHIN GROUP (ORDER BY {c})",
             "count(DISTINCT lower({c}))"),
    "time": ("min({c})", "max({c})", "count({c})", "count(DISTINCT {c}::date)", "array_agg({c} ORDER BY {c})",
             "max({c}) - min({c})"),
    "bool": ("bool_and({c})", "bool_or({c})", "every({c})", "count(*) FILTER (WHERE {c})", "count({c})"),
    "state": ("min({c})", "max({c})", "count(DISTINCT {c})", "array_agg({c} ORDER BY {c})",
              "string_agg({c}::text, '/' ORDER BY {c})"),
    "plain": ("count({c})", "count(DISTINCT {c})", "array_agg({c} ORDER BY {c})"),
    "span": ("sum({c})", "avg({c})", "min({c})", "max({c})"),
    "words": ("max({c})", "count({c})", "sum(cardinality({c}))"),
    "numbers": ("min({c})", "count({c})", "sum(cardinality({c}))"),
    "json": ("count({c})", "jsonb_agg({c} ORDER BY {c})", "sum(({c}->>'n')::int)"),
}
# {p}: what it is divided by; {t}: a total order of its rows
WINDOWS = (
    "row_number() OVER (ORDER BY {t})", "row_number() OVER (PARTITION BY {p} ORDER BY {t})",
    "rank() OVER (PARTITION BY {p} ORDER BY {c})", "dense_rank() OVER (ORDER BY {c})", "count(*) OVER ()",
    "count({c}) OVER (PARTITION BY {p})", "lag({c}) OVER (PARTITION BY {p} ORDER BY {t})",
    "lead({c}, 2) OVER (ORDER BY {t})", "first_value({c}) OVER (PARTITION BY {p} ORDER BY {t})",
    "max({n}) OVER (ORDER BY {t} ROWS BETWEEN 2 PRECEDING AND CURRENT ROW)", "sum({n}) OVER (PARTITION BY {p})",
    "sum({n}) OVER (ORDER BY {t})", "avg({n}) OVER (PARTITION BY {p} ORDER BY {c})", "ntile(3) OVER (ORDER BY {t})",
    "percent_rank() OVER (PARTITION BY {p} ORDER BY {c})", "last_value({n}) OVER (w ORDER BY {t})",
    "nth_value({c}, 2) OVER (w ORDER BY {t})", "{n} - avg({n}) OVER (PARTITION BY {p})")
ERRORS = (
    "SELECT nothing FROM users", "SELECT id FROM users u JOIN orders o ON o.user_id = u.id",
    "SELECT 1 / (u.id - 5) FROM users u", "SELECT name::int FROM users", "SELECT name FROM users GROUP BY id % 3",
    "SELEC 1", "SELECT sum(name) FROM users", "SELECT * FROM nowhere", "SELECT id FROM users LIMIT -1",
    "SELECT id FROM users WHERE id = 'x'", "SELECT id FROM users WHERE max(id) > 1", "SELECT total / 0 FROM orders",
    "SELECT id FROM orders ORDER BY 2", "SELECT id, total FROM orders UNION SELECT id FROM orders",
    "SELECT u.id FROM users u WHERE id = 5 AND", "SELECT (SELECT id FROM users)", "SELECT x.id FROM users u",
    "SELECT 'a'::state FROM orders", "SELECT count(*) OVER (PARTITION BY nothing) FROM users",
    "SELECT 2147483647 + id FROM users WHERE id > 0", "SELECT nofunction(id) FROM users",
    "SELECT id FROM users WHERE born = '2024-02-30'", "SELECT DISTINCT name FROM users ORDER BY id",
    "SELECT count(*) FROM orders WHERE total > (SELECT total FROM orders)", "SELECT ARRAY[1, 'a'] FROM users",
    "SELECT 1 FROM users FOR UPDATE OF nobody", "SELECT sqrt(-1 - abs(score)) FROM users WHERE score IS NOT NULL",
    "SELECT name FROM users WHERE settings->>'n' > 3", "SELECT id FROM users HAVING id > 3", "SELECT 1 +")
