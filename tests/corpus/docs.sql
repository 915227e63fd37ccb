SELECT bt_index_check(index => c.oid, heapallindexed => i.indisunique),
----
SET client_min_messages = DEBUG1
----
CREATE DATABASE foo WITH TEMPLATE template0
----
CREATE USER rewind_user LOGIN
----
GRANT EXECUTE ON function pg_catalog.pg_ls_dir(text, boolean, boolean) TO rewind_user
----
GRANT EXECUTE ON function pg_catalog.pg_stat_file(text, boolean) TO rewind_user
----
GRANT EXECUTE ON function pg_catalog.pg_read_binary_file(text) TO rewind_user
----
GRANT EXECUTE ON function pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO rewind_user
----
SELECT * FROM foo
----
SELECT format('create index on my_table(%I)', attname)
FROM pg_attribute
WHERE attrelid = 'my_table'::regclass AND attnum > 0
ORDER BY attnum
----
SELECT 'hello' AS var1, 10 AS var2
----
-- check for the existence of two separate records in the database and store
-- the results in separate psql variables
SELECT
    EXISTS(SELECT 1 FROM customer WHERE customer_id = 123) as is_customer,
    EXISTS(SELECT 1 FROM employee WHERE employee_id = 456) as is_employee
----
SELECT * FROM customer WHERE customer_id = 123
----
select 1
----
select 2
----
select 3
----
select 1\
----
select 2\
----
SELECT * FROM :foo
----
SELECT * FROM :"foo"
----
INSERT INTO my_table VALUES (:'content')
----
CREATE TABLE my_table (
 first integer not null default 0,
 second text)
----
SELECT first, second, first > 2 AS gt2 FROM my_table
----
SELECT t1.first as "A", t2.first+100 AS "B", t1.first*(t2.first+100) as "AxB",
row_number() over(order by t2.first) AS ord
FROM my_table t1 CROSS JOIN my_table t2 ORDER BY 1 DESC
----
CREATE TABLE sal_emp (
    name            text,
    pay_by_quarter  integer[],
    schedule        text[][]
)
----
CREATE TABLE tictactoe (
    squares   integer[3][3]
)
----
INSERT INTO sal_emp
    VALUES ('Bill',
    '{10000, 10000, 10000, 10000}',
    '{{"meeting", "lunch"}, {"training", "presentation"}}')
----
INSERT INTO sal_emp
    VALUES ('Carol',
    '{20000, 25000, 25000, 25000}',
    '{{"breakfast", "consulting"}, {"meeting", "lunch"}}')
----
SELECT * FROM sal_emp
----
INSERT INTO sal_emp
    VALUES ('Bill',
    '{10000, 10000, 10000, 10000}',
    '{{"meeting", "lunch"}, {"meeting"}}')
----
INSERT INTO sal_emp
    VALUES ('Bill',
    ARRAY[10000, 10000, 10000, 10000],
    ARRAY[['meeting', 'lunch'], ['training', 'presentation']])
----
INSERT INTO sal_emp
    VALUES ('Carol',
    ARRAY[20000, 25000, 25000, 25000],
    ARRAY[['breakfast', 'consulting'], ['meeting', 'lunch']])
----
SELECT name FROM sal_emp WHERE pay_by_quarter[1] <> pay_by_quarter[2]
----
SELECT pay_by_quarter[3] FROM sal_emp
----
SELECT schedule[1:2][1:1] FROM sal_emp WHERE name = 'Bill'
----
SELECT schedule[1:2][2] FROM sal_emp WHERE name = 'Bill'
----
SELECT schedule[:2][2:] FROM sal_emp WHERE name = 'Bill'
----
SELECT array_dims(schedule) FROM sal_emp WHERE name = 'Carol'
----
SELECT array_upper(schedule, 1) FROM sal_emp WHERE name = 'Carol'
----
SELECT array_length(schedule, 1) FROM sal_emp WHERE name = 'Carol'
----
SELECT cardinality(schedule) FROM sal_emp WHERE name = 'Carol'
----
UPDATE sal_emp SET pay_by_quarter = '{25000,25000,27000,27000}'
    WHERE name = 'Carol'
----
UPDATE sal_emp SET pay_by_quarter = ARRAY[25000,25000,27000,27000]
    WHERE name = 'Carol'
----
UPDATE sal_emp SET pay_by_quarter[4] = 15000
    WHERE name = 'Bill'
----
UPDATE sal_emp SET pay_by_quarter[1:2] = '{27000,27000}'
    WHERE name = 'Carol'
----
SELECT ARRAY[1,2] || ARRAY[3,4]
----
SELECT array_dims(1 || '[0:1]={2,3}'::int[])
----
SELECT array_dims(ARRAY[1,2] || ARRAY[3,4,5])
----
SELECT array_dims(ARRAY[1,2] || ARRAY[[3,4],[5,6]])
----
SELECT array_prepend(1, ARRAY[2,3])
----
SELECT ARRAY[1, 2] || '{3, 4}'
----
SELECT * FROM sal_emp WHERE pay_by_quarter[1] = 10000 OR
                            pay_by_quarter[2] = 10000 OR
                            pay_by_quarter[3] = 10000 OR
                            pay_by_quarter[4] = 10000
----
SELECT * FROM sal_emp WHERE 10000 = ANY (pay_by_quarter)
----
SELECT * FROM sal_emp WHERE 10000 = ALL (pay_by_quarter)
----
SELECT * FROM
   (SELECT pay_by_quarter,
           generate_subscripts(pay_by_quarter, 1) AS s
      FROM sal_emp) AS foo
 WHERE pay_by_quarter[s] = 10000
----
SELECT * FROM sal_emp WHERE pay_by_quarter && ARRAY[10000]
----
SELECT array_position(ARRAY['sun','mon','tue','wed','thu','fri','sat'], 'mon')
----
SELECT f1[1][-2][3] AS e1, f1[1][-1][5] AS e2
 FROM (SELECT '[1:1][-2:-1][3:5]={{{1,2,3},{4,5,6}}}'::int[] AS f1) AS ss
----
LOAD 'auto_explain'
----
SET auto_explain.log_min_duration = 0
----
SET auto_explain.log_analyze = true
----
SELECT count(*)
----
create test_table 420 (oid = oid, cola = int4, colb = text)
open test_table
insert ( 421 1 'value 1' )
insert ( 422 2 _null_ )
close test_table
----
CREATE INDEX bloomidx ON tbloom USING bloom (i1,i2,i3)
       WITH (length=80, col1=2, col2=2, col3=4)
----
CREATE TABLE tbloom AS
----
EXPLAIN ANALYZE SELECT * FROM tbloom WHERE i2 = 898732 AND i5 = 123451
----
CREATE INDEX btreeidx ON tbloom (i1, i2, i3, i4, i5, i6)
----
SELECT pg_size_pretty(pg_relation_size('btreeidx'))
----
CREATE INDEX bloomidx ON tbloom USING bloom (i1, i2, i3, i4, i5, i6)
----
SELECT pg_size_pretty(pg_relation_size('bloomidx'))
----
CREATE INDEX btreeidx1 ON tbloom (i1)
----
CREATE INDEX btreeidx2 ON tbloom (i2)
----
CREATE INDEX btreeidx3 ON tbloom (i3)
----
CREATE INDEX btreeidx4 ON tbloom (i4)
----
CREATE INDEX btreeidx5 ON tbloom (i5)
----
CREATE INDEX btreeidx6 ON tbloom (i6)
----
CREATE OPERATOR CLASS text_ops
DEFAULT FOR TYPE text USING bloom AS
    OPERATOR    1   =(text, text),
    FUNCTION    1   hashtext(text)
----
CREATE TABLE test (a int4)
----
-- create index
CREATE INDEX testidx ON test USING GIN (a)
----
-- query
SELECT * FROM test WHERE a < 10
----
-- create index
CREATE INDEX testidx ON test USING GIST (a)
----
-- nearest-neighbor search: find the ten entries closest to "42"
SELECT *, a <-> 42 AS dist FROM test ORDER BY a <-> 42 LIMIT 10
----
CREATE TABLE zoo (
INSERT INTO zoo VALUES(123, 'zebra');
INSERT INTO zoo VALUES(123, 'zebra');
INSERT INTO zoo VALUES(123, 'lion');
INSERT INTO zoo VALUES(124, 'lion');
----
SELECT * FROM tab WHERE lower(col) = LOWER(?)
----
CREATE TABLE users (
    nick CITEXT PRIMARY KEY,
    pass TEXT   NOT NULL
)
----
INSERT INTO users VALUES ( 'larry',  sha256(random()::text::bytea) )
----
INSERT INTO users VALUES ( 'Tom',    sha256(random()::text::bytea) )
----
INSERT INTO users VALUES ( 'Damian', sha256(random()::text::bytea) )
----
INSERT INTO users VALUES ( 'NEAL',   sha256(random()::text::bytea) )
----
INSERT INTO users VALUES ( 'Bjørn',  sha256(random()::text::bytea) )
----
SELECT * FROM users WHERE nick = 'Larry'
----
CREATE TABLE test1 (
    a text COLLATE "de_DE",
    b text COLLATE "es_ES",
    ...
)
----
SELECT a < 'foo' FROM test1
----
SELECT a < ('foo' COLLATE "fr_FR") FROM test1
----
SELECT a < b FROM test1
----
SELECT a < b COLLATE "de_DE" FROM test1
----
SELECT a COLLATE "de_DE" < b FROM test1
----
SELECT a || b FROM test1
----
SELECT * FROM test1 ORDER BY a || 'foo'
----
SELECT * FROM test1 ORDER BY a || b
----
SELECT * FROM test1 ORDER BY a || b COLLATE "fr_FR"
----
SELECT a COLLATE "C" < b COLLATE "POSIX" FROM test1
----
CREATE COLLATION german (provider = libc, locale = 'de_DE')
----
CREATE COLLATION german FROM "de_DE"
----
CREATE COLLATION french FROM "fr-x-icu"
----
CREATE COLLATION ndcoll (provider = icu, locale = 'und', deterministic = false)
----
CREATE COLLATION case_insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false)
----
CREATE COLLATION ignore_accents (provider = icu, locale = 'und-u-ks-level1-kc-true', deterministic = false)
----
SET configuration_parameter TO DEFAULT
----
UPDATE pg_settings SET setting = reset_val WHERE name = 'configuration_parameter'
----
SELECT pg_backup_start(label => 'label', fast => false)
----
SELECT * FROM pg_backup_stop(wait_for_archive => true)
----
SELECT dblink_build_sql_delete('"MyFoo"', '1 2', 2, '{"1", "b"}')
----
SELECT dblink_build_sql_insert('foo', '1 2', 2, '{"1", "a"}', '{"1", "b''a"}')
----
SELECT dblink_build_sql_update('foo', '1 2', 2, '{"1", "a"}', '{"1", "b"}')
----
SELECT dblink_cancel_query('dtest1')
----
SELECT dblink_connect('dbname=postgres options=-csearch_path=')
----
CREATE USER regress_dblink_user WITH PASSWORD 'secret'
----
CREATE USER MAPPING FOR regress_dblink_user SERVER fdtest OPTIONS (user 'regress_dblink_user', password 'secret')
----
GRANT USAGE ON FOREIGN SERVER fdtest TO regress_dblink_user
----
GRANT SELECT ON TABLE foo TO regress_dblink_user
----
SELECT dblink_connect('myconn', 'fdtest')
----
REVOKE USAGE ON FOREIGN SERVER fdtest FROM regress_dblink_user
----
REVOKE SELECT ON TABLE foo FROM regress_dblink_user
----
DROP USER MAPPING FOR regress_dblink_user SERVER fdtest
----
DROP USER regress_dblink_user
----
DROP SERVER fdtest
----
SELECT dblink_disconnect()
----
SELECT dblink_error_message('dtest1')
----
SELECT dblink_connect('dbname=dblink_test_standby')
----
SELECT *
    FROM dblink('dbname=mydb options=-csearch_path=',
                'select proname, prosrc from pg_proc')
      AS t1(proname name, prosrc text)
    WHERE proname LIKE 'bytea%'
----
CREATE VIEW myremote_pg_proc AS
  SELECT *
    FROM dblink('dbname=postgres options=-csearch_path=',
                'select proname, prosrc from pg_proc')
    AS t1(proname name, prosrc text)
----
SELECT * FROM myremote_pg_proc WHERE proname LIKE 'bytea%'
----
SELECT * FROM dblink('dbname=postgres options=-csearch_path=',
                     'select proname, prosrc from pg_proc')
  AS t1(proname name, prosrc text) WHERE proname LIKE 'bytea%'
----
SELECT dblink_get_connections()
----
SELECT dblink_exec('LISTEN virtual')
----
NOTIFY

SELECT * FROM dblink_get_notify()
----
CREATE TYPE dblink_pkey_results AS (position int, colname text)
----
CREATE TABLE foobar (
    f1 int,
    f2 int,
    f3 int,
    PRIMARY KEY (f1, f2, f3)
)
----
CREATE TABLE

SELECT * FROM dblink_get_pkey('foobar')
----
SELECT dblink_connect('dtest1', 'dbname=contrib_regression')
----
SELECT * FROM
dblink_send_query('dtest1', 'select * from foo where f1 < 3') AS t1
----
SELECT * FROM dblink_get_result('dtest1') AS t1(f1 int, f2 text, f3 text[])
----
SELECT * FROM
dblink_send_query('dtest1', 'select * from foo where f1 < 3; select * from foo where f1 > 6') AS t1
----
SELECT dblink_is_busy('dtest1')
----
SELECT dblink_send_query('dtest1', 'SELECT * FROM foo WHERE f1 < 3')
----
CREATE TRIGGER mytrigger
BEFORE INSERT OR UPDATE ON referencing_table
FOR EACH ROW EXECUTE PROCEDURE
check_primary_key (
    'column A', 'column B',         -- referencing table columns
    'myschema."referenced table"',  -- referenced table
    '"column A"', '"column B"'      -- referenced table columns
)
----
CREATE TRIGGER mytrigger
BEFORE DELETE OR UPDATE ON referenced_table
FOR EACH ROW EXECUTE PROCEDURE
check_foreign_key (
    1,                              -- number of referencing tables
    'cascade',                      -- action
    'column A', 'column B',         -- referenced table columns
    'myschema."referencing table"', -- referencing table
    '"column A"', '"column B"'      -- referencing table columns
)
----
CREATE EXTENSION module_name
----
SELECT c FROM test ORDER BY c <-> cube(array[0.5,0.5,0.5]) LIMIT 1
----
SELECT c FROM test ORDER BY c ~> 1 LIMIT 5
----
SELECT c FROM test ORDER BY c ~> 3 DESC LIMIT 5
----
select cube_union('(0,5,2),(2,3,1)', '0')
----
select cube_inter('(0,-1),(1,1)', '(-2),(2)')
----
select cube_contains('(0,0),(1,1)', '0.5,0.5')
----
SET bytea_output = 'hex'
----
SELECT '\xDEADBEEF'::bytea
----
SET bytea_output = 'escape'
----
SELECT 'abc \153\154\155 \052\251\124'::bytea
----
CREATE TABLE test (a BIT(3), b BIT VARYING(5))
----
INSERT INTO test VALUES (B'101', B'00')
----
INSERT INTO test VALUES (B'10', B'101')
----
SELECT * FROM test
----
CREATE TABLE test1 (a boolean, b text)
----
INSERT INTO test1 VALUES (TRUE, 'sic est')
----
INSERT INTO test1 VALUES (FALSE, 'non est')
----
SELECT * FROM test1
----
CREATE TABLE test1 (a character(4))
----
INSERT INTO test1 VALUES ('ok')
----
SELECT a, char_length(a) FROM test1
----
INSERT INTO test2 VALUES ('ok')
----
INSERT INTO test2 VALUES ('good      ')
----
INSERT INTO test2 VALUES ('too long')
----
-- explicit truncation
SELECT b, char_length(b) FROM test2
----
SELECT '2 years 15 months 100 weeks 99 hours 123456789 milliseconds'::interval
----
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')
----
CREATE TABLE person (
    name text,
    current_mood mood
)
----
INSERT INTO person VALUES ('Moe', 'happy')
----
SELECT * FROM person WHERE current_mood = 'happy'
----
INSERT INTO person VALUES ('Larry', 'sad')
----
INSERT INTO person VALUES ('Curly', 'ok')
----
SELECT * FROM person WHERE current_mood > 'sad'
----
CREATE TYPE happiness AS ENUM ('happy', 'very happy', 'ecstatic')
----
CREATE TABLE holidays (
    num_weeks integer,
    happiness happiness
)
----
INSERT INTO holidays(num_weeks,happiness) VALUES (4, 'happy')
----
INSERT INTO holidays(num_weeks,happiness) VALUES (6, 'very happy')
----
INSERT INTO holidays(num_weeks,happiness) VALUES (8, 'ecstatic')
----
INSERT INTO holidays(num_weeks,happiness) VALUES (2, 'sad')
----
SELECT person.name, holidays.num_weeks FROM person, holidays
  WHERE person.current_mood::text = holidays.happiness::text
----
-- Simple scalar/primitive value
-- Primitive values can be numbers, quoted strings, true, false, or null
SELECT '5'::json
----
-- Array of zero or more elements (elements need not be of same type)
SELECT '[1, 2, "foo", null]'::json
----
-- Object containing pairs of keys and values
-- Note that object keys must always be quoted strings
SELECT '{"bar": "baz", "balance": 7.77, "active": false}'::json
----
-- Arrays and objects can be nested arbitrarily
SELECT '{"foo": [true, "bar"], "tags": {"a": 1, "b": null}}'::json
----
SELECT '{"bar": "baz", "balance": 7.77, "active":false}'::json
----
SELECT '{"reading": 1.230e-5}'::json, '{"reading": 1.230e-5}'::jsonb
----
-- Simple scalar/primitive values contain only the identical value:
SELECT '"foo"'::jsonb @> '"foo"'::jsonb
----
-- The array on the right side is contained within the one on the left:
SELECT '[1, 2, 3]'::jsonb @> '[1, 3]'::jsonb
----
-- Order of array elements is not significant, so this is also true:
SELECT '[1, 2, 3]'::jsonb @> '[3, 1]'::jsonb
----
-- Duplicate array elements don't matter either:
SELECT '[1, 2, 3]'::jsonb @> '[1, 2, 2]'::jsonb
----
-- The object with a single pair on the right side is contained
-- within the object on the left side:
SELECT '{"product": "PostgreSQL", "version": 9.4, "jsonb": true}'::jsonb @> '{"version": 9.4}'::jsonb
----
-- The array on the right side is not considered contained within the
-- array on the left, even though a similar array is nested within it:
SELECT '[1, 2, [1, 3]]'::jsonb @> '[1, 3]'::jsonb
----
-- yields false

-- But with a layer of nesting, it is contained:
SELECT '[1, 2, [1, 3]]'::jsonb @> '[[1, 3]]'::jsonb
----
-- Similarly, containment is not reported here:
SELECT '{"foo": {"bar": "baz"}}'::jsonb @> '{"bar": "baz"}'::jsonb
----
-- yields false

-- A top-level key and an empty object is contained:
SELECT '{"foo": {"bar": "baz"}}'::jsonb @> '{"foo": {}}'::jsonb
----
-- This array contains the primitive string value:
SELECT '["foo", "bar"]'::jsonb @> '"bar"'::jsonb
----
-- This exception is not reciprocal -- non-containment is reported here:
SELECT '"bar"'::jsonb @> '["bar"]'::jsonb
----
-- String exists as array element:
SELECT '["foo", "bar", "baz"]'::jsonb ? 'bar'
----
-- String exists as object key:
SELECT '{"foo": "bar"}'::jsonb ? 'foo'
----
-- Object values are not considered:
SELECT '{"foo": "bar"}'::jsonb ? 'bar'
----
-- yields false

-- As with containment, existence must match at the top level:
SELECT '{"foo": {"bar": "baz"}}'::jsonb ? 'bar'
----
-- yields false

-- A string is considered to exist if it matches a primitive JSON string:
SELECT '"foo"'::jsonb ? 'foo'
----
SELECT doc->'site_name' FROM websites
  WHERE doc @> '{"tags":[{"term":"paris"}, {"term":"food"}]}'
----
SELECT doc->'site_name' FROM websites
  WHERE doc->'tags' @> '[{"term":"paris"}, {"term":"food"}]'
----
CREATE INDEX idxgin ON api USING GIN (jdoc)
----
CREATE INDEX idxginp ON api USING GIN (jdoc jsonb_path_ops)
----
-- Find documents in which the key "company" has value "Magnafone"
SELECT jdoc->'guid', jdoc->'name' FROM api WHERE jdoc @> '{"company": "Magnafone"}'
----
-- Find documents in which the key "tags" contains key or array element "qui"
SELECT jdoc->'guid', jdoc->'name' FROM api WHERE jdoc -> 'tags' ? 'qui'
----
CREATE INDEX idxgintags ON api USING GIN ((jdoc -> 'tags'))
----
-- Find documents in which the key "tags" contains array element "qui"
SELECT jdoc->'guid', jdoc->'name' FROM api WHERE jdoc @> '{"tags": ["qui"]}'
----
SELECT jdoc->'guid', jdoc->'name' FROM api WHERE jdoc @? '$.tags[*] ? (@ == "qui")'
----
SELECT jdoc->'guid', jdoc->'name' FROM api WHERE jdoc @@ '$.tags[*] == "qui"'
----
-- Extract object value by key
SELECT ('{"a": 1}'::jsonb)['a']
----
-- Extract nested object value by key path
SELECT ('{"a": {"b": {"c": 1}}}'::jsonb)['a']['b']['c']
----
-- Extract array element by index
SELECT ('[1, "2", null]'::jsonb)[1]
----
-- Update object value by key. Note the quotes around '1': the assigned
-- value must be of the jsonb type as well
UPDATE table_name SET jsonb_field['key'] = '1'
----
-- This will raise an error if any record's jsonb_field['a']['b'] is something
-- other than an object. For example, the value {"a": 1} has a numeric value
-- of the key 'a'.
UPDATE table_name SET jsonb_field['a']['b']['c'] = '1'
----
-- Filter records using a WHERE clause with subscripting. Since the result of
-- subscripting is jsonb, the value we compare it against must also be jsonb.
-- The double quotes make "value" also a valid jsonb string.
SELECT * FROM table_name WHERE jsonb_field['key'] = '"value"'
----
-- Where jsonb_field was NULL, it is now {"a": 1}
UPDATE table_name SET jsonb_field['a'] = '1'
----
-- Where jsonb_field was NULL, it is now [1]
UPDATE table_name SET jsonb_field[0] = '1'
----
-- Where jsonb_field was [], it is now [null, null, 2];
-- where jsonb_field was [0], it is now [0, null, 2]
UPDATE table_name SET jsonb_field[2] = '2'
----
-- Where jsonb_field was {}, it is now {"a": [{"b": 1}]}
UPDATE table_name SET jsonb_field['a'][0]['b'] = '1'
----
-- Where jsonb_field was [], it is now [null, {"a": 1}]
UPDATE table_name SET jsonb_field[1]['a'] = '1'
----
SELECT '12.34'::float8::numeric::money
----
SELECT '52093.89'::money::numeric::float8
----
SELECT macaddr8_set7bit('08:00:2b:01:02:03')
----
SELECT x,
  round(x::numeric) AS num_round,
  round(x::double precision) AS dbl_round
FROM generate_series(-3.5, 3.5, 1) as x
----
CREATE TABLE tablename (
    colname SERIAL
)
----
CREATE SEQUENCE tablename_colname_seq AS integer
----
CREATE TABLE tablename (
    colname integer NOT NULL DEFAULT nextval('tablename_colname_seq')
)
----
ALTER SEQUENCE tablename_colname_seq OWNED BY tablename.colname
----
SELECT * FROM pg_attribute WHERE attrelid = 'mytable'::regclass
----
SELECT * FROM pg_attribute
  WHERE attrelid = (SELECT oid FROM pg_class WHERE relname = 'mytable')
----
SELECT table_schema, table_name,
       pg_relation_size((quote_ident(table_schema) || '.' ||
                         quote_ident(table_name))::regclass)
FROM information_schema.tables
WHERE ...
----
SELECT pg_relation_size(table_name)
FROM information_schema.tables
WHERE ...
----
SELECT 'a fat cat sat on a mat and ate a fat rat'::tsvector
----
SELECT $$the lexeme '    ' contains spaces$$::tsvector
----
SELECT $$the lexeme 'Joe''s' contains a quote$$::tsvector
----
SELECT 'a:1 fat:2 cat:3 sat:4 on:5 a:6 mat:7 and:8 ate:9 a:10 fat:11 rat:12'::tsvector
----
SELECT 'a:1A fat:2B,4C cat:5D'::tsvector
----
SELECT 'The Fat Rats'::tsvector
----
SELECT to_tsvector('english', 'The Fat Rats')
----
SELECT 'fat & rat'::tsquery
----
SELECT 'fat:ab & cat'::tsquery
----
SELECT 'super:*'::tsquery
----
SELECT to_tsquery('Fat:ab & Cats')
----
SELECT to_tsvector( 'postgraduate' ) @@ to_tsquery( 'postgres:*' )
----
SELECT to_tsvector( 'postgraduate' ), to_tsquery( 'postgres:*' )
----
SELECT '2018-03-11 02:30'::timestamptz
----
SELECT '2018-11-04 01:30'::timestamptz
----
SELECT '2018-11-04 01:30 EDT'::timestamptz
----
SELECT extract(julian from '2021-06-23 7:00:00-04'::timestamptz at time zone 'UTC+12')
----
SELECT extract(julian from '2021-06-23 8:00:00-04'::timestamptz at time zone 'UTC+12')
----
SELECT extract(julian from date '2021-06-23')
----
ALTER TABLE products ADD COLUMN description text
----
ALTER TABLE products ADD COLUMN description text CHECK (description <> '')
----
ALTER TABLE products DROP COLUMN description
----
ALTER TABLE products DROP COLUMN description CASCADE
----
ALTER TABLE products ADD CHECK (name <> '')
----
ALTER TABLE products ADD CONSTRAINT some_name UNIQUE (product_no)
----
ALTER TABLE products ADD FOREIGN KEY (product_group_id) REFERENCES product_groups
----
ALTER TABLE products ALTER COLUMN product_no SET NOT NULL
----
ALTER TABLE products DROP CONSTRAINT some_name
----
ALTER TABLE products ALTER COLUMN product_no DROP NOT NULL
----
ALTER TABLE products ALTER COLUMN price SET DEFAULT 7.77
----
ALTER TABLE products ALTER COLUMN price DROP DEFAULT
----
ALTER TABLE products ALTER COLUMN price TYPE numeric(10,2)
----
ALTER TABLE products RENAME COLUMN product_no TO product_number
----
ALTER TABLE products RENAME TO items
----
CREATE TABLE my_first_table (
    first_column text,
    second_column integer
)
----
CREATE TABLE products (
    product_no integer,
    name text,
    price numeric
)
----
DROP TABLE my_first_table
----
DROP TABLE products
----
CREATE TABLE products (
    product_no integer,
    name text,
    price numeric CHECK (price > 0)
)
----
CREATE TABLE products (
    product_no integer,
    name text,
    price numeric CONSTRAINT positive_price CHECK (price > 0)
)
----
CREATE TABLE products (
    product_no integer,
    name text,
    price numeric CHECK (price > 0),
    discounted_price numeric CHECK (discounted_price > 0),
    CHECK (price > discounted_price)
)
----
CREATE TABLE products (
    product_no integer,
    name text,
    price numeric,
    CHECK (price > 0),
    discounted_price numeric,
    CHECK (discounted_price > 0),
    CHECK (price > discounted_price)
)
----
CREATE TABLE products (
    product_no integer,
    name text,
    price numeric CHECK (price > 0),
    discounted_price numeric,
    CHECK (discounted_price > 0 AND price > discounted_price)
)
----
CREATE TABLE products (
    product_no integer,
    name text,
    price numeric,
    CHECK (price > 0),
    discounted_price numeric,
    CHECK (discounted_price > 0),
    CONSTRAINT valid_discount CHECK (price > discounted_price)
)
----
CREATE TABLE products (
    product_no integer NOT NULL,
    name text NOT NULL,
    price numeric
)
----
CREATE TABLE products (
    product_no integer NOT NULL,
    name text NOT NULL,
    price numeric NOT NULL CHECK (price > 0)
)
----
CREATE TABLE products (
    product_no integer NULL,
    name text NULL,
    price numeric NULL
)
----
CREATE TABLE products (
    product_no integer UNIQUE,
    name text,
    price numeric
)
----
CREATE TABLE products (
    product_no integer,
    name text,
    price numeric,
    UNIQUE (product_no)
)
----
CREATE TABLE example (
    a integer,
    b integer,
    c integer,
    UNIQUE (a, c)
)
----
CREATE TABLE products (
    product_no integer CONSTRAINT must_be_different UNIQUE,
    name text,
    price numeric
)
----
CREATE TABLE products (
    product_no integer UNIQUE NULLS NOT DISTINCT,
    name text,
    price numeric
)
----
CREATE TABLE products (
    product_no integer,
    name text,
    price numeric,
    UNIQUE NULLS NOT DISTINCT (product_no)
)
----
CREATE TABLE products (
    product_no integer UNIQUE NOT NULL,
    name text,
    price numeric
)
----
CREATE TABLE products (
    product_no integer PRIMARY KEY,
    name text,
    price numeric
)
----
CREATE TABLE example (
    a integer,
    b integer,
    c integer,
    PRIMARY KEY (a, c)
)
----
CREATE TABLE orders (
    order_id integer PRIMARY KEY,
    product_no integer REFERENCES products (product_no),
    quantity integer
)
----
CREATE TABLE orders (
    order_id integer PRIMARY KEY,
    product_no integer REFERENCES products,
    quantity integer
)
----
CREATE TABLE t1 (
  a integer PRIMARY KEY,
  b integer,
  c integer,
  FOREIGN KEY (b, c) REFERENCES other_table (c1, c2)
)
----
CREATE TABLE tree (
    node_id integer PRIMARY KEY,
    parent_id integer REFERENCES tree,
    name text,
    ...
)
----
CREATE TABLE orders (
    order_id integer PRIMARY KEY,
    shipping_address text,
    ...
)
----
CREATE TABLE order_items (
    product_no integer REFERENCES products,
    order_id integer REFERENCES orders,
    quantity integer,
    PRIMARY KEY (product_no, order_id)
)
----
CREATE TABLE order_items (
    product_no integer REFERENCES products ON DELETE RESTRICT,
    order_id integer REFERENCES orders ON DELETE CASCADE,
    quantity integer,
    PRIMARY KEY (product_no, order_id)
)
----
CREATE TABLE tenants (
    tenant_id integer PRIMARY KEY
)
----
CREATE TABLE users (
    tenant_id integer REFERENCES tenants ON DELETE CASCADE,
    user_id integer NOT NULL,
    PRIMARY KEY (tenant_id, user_id)
)
----
CREATE TABLE posts (
    tenant_id integer REFERENCES tenants ON DELETE CASCADE,
    post_id integer NOT NULL,
    author_id integer,
    PRIMARY KEY (tenant_id, post_id),
    FOREIGN KEY (tenant_id, author_id) REFERENCES users ON DELETE SET NULL (author_id)
)
----
CREATE TABLE circles (
    c circle,
    EXCLUDE USING gist (c WITH &&)
)
----
CREATE TABLE products (
    product_no integer,
    name text,
    price numeric DEFAULT 9.99
)
----
CREATE TABLE products (
    product_no integer DEFAULT nextval('products_product_no_seq'),
    ...
)
----
CREATE TABLE products (
    product_no SERIAL,
    ...
)
----
DROP TABLE products CASCADE
----
CREATE TYPE rainbow AS ENUM ('red', 'orange', 'yellow',
                             'green', 'blue', 'purple')
----
CREATE TABLE my_colors (color rainbow, note text)
----
CREATE FUNCTION get_color_note (rainbow) RETURNS text AS
  'SELECT note FROM my_colors WHERE color = $1'
  LANGUAGE SQL
----
CREATE FUNCTION get_color_note (rainbow) RETURNS text
BEGIN ATOMIC
  SELECT note FROM my_colors WHERE color = $1;
END
----
CREATE TABLE people (
    ...,
    height_cm numeric,
    height_in numeric GENERATED ALWAYS AS (height_cm / 2.54) STORED
)
----
CREATE TABLE cities (
    name            text,
    population      float,
    elevation       int     -- in feet
)
----
CREATE TABLE capitals (
    state           char(2)
) INHERITS (cities)
----
SELECT name, elevation
    FROM cities
    WHERE elevation > 500
----
SELECT name, elevation
    FROM ONLY cities
    WHERE elevation > 500
----
SELECT name, elevation
    FROM cities*
    WHERE elevation > 500
----
SELECT c.tableoid, c.name, c.elevation
FROM cities c
WHERE c.elevation > 500
----
SELECT p.relname, c.name, c.elevation
FROM cities c, pg_class p
WHERE c.elevation > 500 AND c.tableoid = p.oid
----
SELECT c.tableoid::regclass, c.name, c.elevation
FROM cities c
WHERE c.elevation > 500
----
INSERT INTO cities (name, population, elevation, state)
VALUES ('Albany', NULL, NULL, 'NY')
----
CREATE TABLE measurement (
    city_id         int not null,
    logdate         date not null,
    peaktemp        int,
    unitsales       int
)
----
CREATE TABLE measurement (
    city_id         int not null,
    logdate         date not null,
    peaktemp        int,
    unitsales       int
) PARTITION BY RANGE (logdate)
----
CREATE TABLE measurement_y2006m02 PARTITION OF measurement
    FOR VALUES FROM ('2006-02-01') TO ('2006-03-01')
----
CREATE TABLE measurement_y2006m03 PARTITION OF measurement
    FOR VALUES FROM ('2006-03-01') TO ('2006-04-01')
----
CREATE TABLE measurement_y2007m12 PARTITION OF measurement
    FOR VALUES FROM ('2007-12-01') TO ('2008-01-01')
    TABLESPACE fasttablespace
----
CREATE TABLE measurement_y2008m01 PARTITION OF measurement
    FOR VALUES FROM ('2008-01-01') TO ('2008-02-01')
    WITH (parallel_workers = 4)
    TABLESPACE fasttablespace
----
CREATE TABLE measurement_y2006m02 PARTITION OF measurement
    FOR VALUES FROM ('2006-02-01') TO ('2006-03-01')
    PARTITION BY RANGE (peaktemp)
----
CREATE INDEX ON measurement (logdate)
----
DROP TABLE measurement_y2006m02
----
ALTER TABLE measurement DETACH PARTITION measurement_y2006m02
----
ALTER TABLE measurement DETACH PARTITION measurement_y2006m02 CONCURRENTLY
----
CREATE TABLE measurement_y2008m02 PARTITION OF measurement
    FOR VALUES FROM ('2008-02-01') TO ('2008-03-01')
    TABLESPACE fasttablespace
----
CREATE TABLE measurement_y2008m02
  (LIKE measurement INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
  TABLESPACE fasttablespace
----
ALTER TABLE measurement_y2008m02 ADD CONSTRAINT y2008m02
   CHECK ( logdate >= DATE '2008-02-01' AND logdate < DATE '2008-03-01' )
----
-- possibly some other data preparation work

ALTER TABLE measurement ATTACH PARTITION measurement_y2008m02
    FOR VALUES FROM ('2008-02-01') TO ('2008-03-01' )
----
CREATE INDEX measurement_usls_idx ON ONLY measurement (unitsales)
----
CREATE INDEX CONCURRENTLY measurement_usls_200602_idx
    ON measurement_y2006m02 (unitsales)
----
ALTER INDEX measurement_usls_idx
    ATTACH PARTITION measurement_usls_200602_idx
----
ALTER TABLE ONLY measurement ADD UNIQUE (city_id, logdate)
----
ALTER TABLE measurement_y2006m02 ADD UNIQUE (city_id, logdate)
----
ALTER INDEX measurement_city_id_logdate_key
    ATTACH PARTITION measurement_y2006m02_city_id_logdate_key
----
CREATE TABLE measurement_y2006m02 () INHERITS (measurement)
----
CREATE TABLE measurement_y2006m03 () INHERITS (measurement)
----
CREATE TABLE measurement_y2007m12 () INHERITS (measurement)
----
CREATE TABLE measurement_y2008m01 () INHERITS (measurement)
----
CREATE TABLE measurement_y2006m02 (
    CHECK ( logdate >= DATE '2006-02-01' AND logdate < DATE '2006-03-01' )
) INHERITS (measurement)
----
CREATE TABLE measurement_y2006m03 (
    CHECK ( logdate >= DATE '2006-03-01' AND logdate < DATE '2006-04-01' )
) INHERITS (measurement)
----
CREATE TABLE measurement_y2007m12 (
    CHECK ( logdate >= DATE '2007-12-01' AND logdate < DATE '2008-01-01' )
) INHERITS (measurement)
----
CREATE TABLE measurement_y2008m01 (
    CHECK ( logdate >= DATE '2008-01-01' AND logdate < DATE '2008-02-01' )
) INHERITS (measurement)
----
CREATE INDEX measurement_y2006m02_logdate ON measurement_y2006m02 (logdate)
----
CREATE INDEX measurement_y2006m03_logdate ON measurement_y2006m03 (logdate)
----
CREATE INDEX measurement_y2007m11_logdate ON measurement_y2007m11 (logdate)
----
CREATE INDEX measurement_y2007m12_logdate ON measurement_y2007m12 (logdate)
----
CREATE INDEX measurement_y2008m01_logdate ON measurement_y2008m01 (logdate)
----
CREATE OR REPLACE FUNCTION measurement_insert_trigger()
RETURNS TRIGGER AS $$
BEGIN
    INSERT INTO measurement_y2008m01 VALUES (NEW.*);
    RETURN NULL;
END;
$$
LANGUAGE plpgsql
----
CREATE TRIGGER insert_measurement_trigger
    BEFORE INSERT ON measurement
    FOR EACH ROW EXECUTE FUNCTION measurement_insert_trigger()
----
CREATE OR REPLACE FUNCTION measurement_insert_trigger()
RETURNS TRIGGER AS $$
BEGIN
    IF ( NEW.logdate >= DATE '2006-02-01' AND
         NEW.logdate < DATE '2006-03-01' ) THEN
        INSERT INTO measurement_y2006m02 VALUES (NEW.*);
    ELSIF ( NEW.logdate >= DATE '2006-03-01' AND
            NEW.logdate < DATE '2006-04-01' ) THEN
        INSERT INTO measurement_y2006m03 VALUES (NEW.*);
    ...
    ELSIF ( NEW.logdate >= DATE '2008-01-01' AND
            NEW.logdate < DATE '2008-02-01' ) THEN
        INSERT INTO measurement_y2008m01 VALUES (NEW.*);
    ELSE
        RAISE EXCEPTION 'Date out of range.  Fix the measurement_insert_trigger() function!';
    END IF;
    RETURN NULL;
END;
$$
LANGUAGE plpgsql
----
CREATE RULE measurement_insert_y2006m02 AS
ON INSERT TO measurement WHERE
    ( logdate >= DATE '2006-02-01' AND logdate < DATE '2006-03-01' )
DO INSTEAD
    INSERT INTO measurement_y2006m02 VALUES (NEW.*)
----
ALTER TABLE measurement_y2006m02 NO INHERIT measurement
----
CREATE TABLE measurement_y2008m02 (
    CHECK ( logdate >= DATE '2008-02-01' AND logdate < DATE '2008-03-01' )
) INHERITS (measurement)
----
CREATE TABLE measurement_y2008m02
  (LIKE measurement INCLUDING DEFAULTS INCLUDING CONSTRAINTS)
----
-- possibly some other data preparation work
ALTER TABLE measurement_y2008m02 INHERIT measurement
----
ANALYZE measurement
----
SET enable_partition_pruning = on
----
-- the default
SELECT count(*) FROM measurement WHERE logdate >= DATE '2008-01-01'
----
SET enable_partition_pruning = off
----
EXPLAIN SELECT count(*) FROM measurement WHERE logdate >= DATE '2008-01-01'
----
ALTER TABLE table_name OWNER TO new_owner
----
GRANT UPDATE ON accounts TO joe
----
REVOKE ALL ON accounts FROM PUBLIC
----
GRANT SELECT ON mytable TO PUBLIC
----
GRANT SELECT, UPDATE, INSERT ON mytable TO admin
----
GRANT SELECT (col1), UPDATE (col1) ON mytable TO miriam_rw
----
CREATE TABLE accounts (manager text, company text, contact_email text)
----
ALTER TABLE accounts ENABLE ROW LEVEL SECURITY
----
CREATE POLICY account_managers ON accounts TO managers
    USING (manager = current_user)
----
CREATE POLICY user_policy ON users
    USING (user_name = current_user)
----
CREATE POLICY user_sel_policy ON users
    FOR SELECT
    USING (true)
----
CREATE POLICY user_mod_policy ON users
    USING (user_name = current_user)
----
-- Simple passwd-file based example
CREATE TABLE passwd (
  user_name             text UNIQUE NOT NULL,
  pwhash                text,
  uid                   int  PRIMARY KEY,
  gid                   int  NOT NULL,
  real_name             text NOT NULL,
  home_phone            text,
  extra_info            text,
  home_dir              text NOT NULL,
  shell                 text NOT NULL
)
----
CREATE ROLE admin
----
-- Administrator
CREATE ROLE bob
----
-- Normal user
CREATE ROLE alice
----
-- Normal user

-- Populate the table
INSERT INTO passwd VALUES
  ('admin','xxx',0,0,'Admin','111-222-3333',null,'/root','/bin/dash')
----
INSERT INTO passwd VALUES
  ('bob','xxx',1,1,'Bob','123-456-7890',null,'/home/bob','/bin/zsh')
----
INSERT INTO passwd VALUES
  ('alice','xxx',2,1,'Alice','098-765-4321',null,'/home/alice','/bin/zsh')
----
-- Be sure to enable row-level security on the table
ALTER TABLE passwd ENABLE ROW LEVEL SECURITY
----
-- Create policies
-- Administrator can see all rows and add any rows
CREATE POLICY admin_all ON passwd TO admin USING (true) WITH CHECK (true)
----
-- Normal users can view all rows
CREATE POLICY all_view ON passwd FOR SELECT USING (true)
----
-- Normal users can update their own records, but
-- limit which shells a normal user is allowed to set
CREATE POLICY user_mod ON passwd FOR UPDATE
  USING (current_user = user_name)
  WITH CHECK (
    current_user = user_name AND
    shell IN ('/bin/bash','/bin/sh','/bin/dash','/bin/zsh','/bin/tcsh')
  )
----
-- Allow admin all normal rights
GRANT SELECT, INSERT, UPDATE, DELETE ON passwd TO admin
----
-- Users only get select access on public columns
GRANT SELECT
  (user_name, uid, gid, real_name, home_phone, extra_info, home_dir, shell)
  ON passwd TO public
----
-- Allow users to update certain columns
GRANT UPDATE
  (pwhash, real_name, home_phone, extra_info, shell)
  ON passwd TO public
----
set role admin
----
table passwd
----
set role alice
----
select user_name,real_name,home_phone,extra_info,home_dir,shell from passwd
----
update passwd set user_name = 'joe'
----
update passwd set real_name = 'Alice Doe'
----
update passwd set real_name = 'John Doe' where user_name = 'admin'
----
update passwd set shell = '/bin/xx'
----
delete from passwd
----
insert into passwd (user_name) values ('xxx')
----
update passwd set pwhash = 'abc'
----
CREATE POLICY admin_local_only ON passwd AS RESTRICTIVE TO admin
    USING (pg_catalog.inet_client_addr() IS NULL)
----
SELECT current_user
----
select inet_client_addr()
----
TABLE passwd
----
UPDATE passwd set pwhash = NULL
----
-- definition of privilege groups
CREATE TABLE groups (group_id int PRIMARY KEY,
                     group_name text NOT NULL)
----
INSERT INTO groups VALUES
  (1, 'low'),
  (2, 'medium'),
  (5, 'high')
----
GRANT ALL ON groups TO alice
----
-- alice is the administrator
GRANT SELECT ON groups TO public
----
-- definition of users' privilege levels
CREATE TABLE users (user_name text PRIMARY KEY,
                    group_id int NOT NULL REFERENCES groups)
----
INSERT INTO users VALUES
  ('alice', 5),
  ('bob', 2),
  ('mallory', 2)
----
GRANT ALL ON users TO alice
----
GRANT SELECT ON users TO public
----
-- table holding the information to be protected
CREATE TABLE information (info text,
                          group_id int NOT NULL REFERENCES groups)
----
INSERT INTO information VALUES
  ('barely secret', 1),
  ('slightly secret', 2),
  ('very secret', 5)
----
ALTER TABLE information ENABLE ROW LEVEL SECURITY
----
-- a row should be visible to/updatable by users whose security group_id is
-- greater than or equal to the row's group_id
CREATE POLICY fp_s ON information FOR SELECT
  USING (group_id <= (SELECT group_id FROM users WHERE user_name = current_user))
----
CREATE POLICY fp_u ON information FOR UPDATE
  USING (group_id <= (SELECT group_id FROM users WHERE user_name = current_user))
----
-- we rely only on RLS to protect the information table
GRANT ALL ON information TO public
----
UPDATE users SET group_id = 1 WHERE user_name = 'mallory'
----
UPDATE information SET info = 'secret from mallory' WHERE group_id = 2
----
SELECT * FROM information WHERE group_id = 2 FOR UPDATE
----
CREATE SCHEMA myschema
----
CREATE TABLE myschema.mytable (
 ...
)
----
DROP SCHEMA myschema
----
DROP SCHEMA myschema CASCADE
----
CREATE SCHEMA schema_name AUTHORIZATION user_name
----
CREATE TABLE products ( ... )
----
CREATE TABLE public.products ( ... )
----
SHOW search_path
----
SET search_path TO myschema,public
----
DROP TABLE mytable
----
SET search_path TO myschema
----
SELECT 3 OPERATOR(pg_catalog.+) 4
----
REVOKE CREATE ON SCHEMA public FROM PUBLIC
----
ALTER TEXT SEARCH DICTIONARY
----
ALTER TEXT SEARCH CONFIGURATION english
    ALTER MAPPING FOR int, uint WITH intdict
----
SELECT ts_lexize('xsyn', 'word')
----
SELECT ts_lexize('xsyn', 'syn1')
----
ALTER TEXT SEARCH CONFIGURATION english
    ALTER MAPPING FOR word, asciiword WITH xsyn, english_stem
----
SELECT pg_relation_filepath(oid), relpages FROM pg_class WHERE relname = 'customer'
----
SELECT relname, relpages
FROM pg_class,
     (SELECT reltoastrelid
      FROM pg_class
      WHERE relname = 'customer') AS ss
WHERE oid = ss.reltoastrelid OR
      oid = (SELECT indexrelid
             FROM pg_index
             WHERE indrelid = ss.reltoastrelid)
ORDER BY relname
----
SELECT c2.relname, c2.relpages
FROM pg_class c, pg_class c2, pg_index i
WHERE c.relname = 'customer' AND
      c.oid = i.indrelid AND
      c2.oid = i.indexrelid
ORDER BY c2.relname
----
SELECT relname, relpages
FROM pg_class
ORDER BY relpages DESC
----
DELETE FROM products WHERE price = 10
----
DELETE FROM products
----
INSERT INTO products VALUES (1, 'Cheese', 9.99)
----
INSERT INTO products (product_no, name, price) VALUES (1, 'Cheese', 9.99)
----
INSERT INTO products (name, price, product_no) VALUES ('Cheese', 9.99, 1)
----
INSERT INTO products (product_no, name) VALUES (1, 'Cheese')
----
INSERT INTO products VALUES (1, 'Cheese')
----
INSERT INTO products (product_no, name, price) VALUES (1, 'Cheese', DEFAULT)
----
INSERT INTO products DEFAULT VALUES
----
INSERT INTO products (product_no, name, price) VALUES
    (1, 'Cheese', 9.99),
    (2, 'Bread', 1.99),
    (3, 'Milk', 2.99)
----
INSERT INTO products (product_no, name, price)
  SELECT product_no, name, price FROM new_products
    WHERE release_date = 'today'
----
CREATE TABLE users (firstname text, lastname text, id serial primary key)
----
INSERT INTO users (firstname, lastname) VALUES ('Joe', 'Cool') RETURNING id
----
UPDATE products SET price = price * 1.10
  WHERE price <= 99.99
  RETURNING name, price AS new_price
----
DELETE FROM products
  WHERE obsoletion_date = 'today'
  RETURNING *
----
UPDATE products SET price = 10 WHERE price = 5
----
UPDATE products SET price = price * 1.10
----
UPDATE mytable SET a = 5, b = 3, c = 1 WHERE a > 0
----
CREATE DOMAIN posint AS integer CHECK (VALUE > 0)
----
CREATE TABLE mytable (id posint)
----
INSERT INTO mytable VALUES(1)
----
-- works
INSERT INTO mytable VALUES(-1)
----
SELECT * FROM t3
----
CREATE TYPE comp_t AS (intval integer, textval varchar(32))
----
CREATE TABLE t4 (compval comp_t)
----
INSERT INTO t4 VALUES ( (256, 'PostgreSQL') )
----
CREATE FUNCTION create_complex(r double, i double) RETURNS complex
LANGUAGE SQL
IMMUTABLE
AS $$ SELECT $1 * complex '(1,0')' + $2 * complex '(0,1)' $$
----
CREATE FUNCTION noddl() RETURNS event_trigger
    AS 'noddl' LANGUAGE C
----
CREATE EVENT TRIGGER noddl ON ddl_command_start
    EXECUTE FUNCTION noddl()
----
CREATE TABLE foo(id serial)
----
ALTER EVENT TRIGGER noddl DISABLE
----
CREATE TABLE foo (id serial)
----
ALTER EVENT TRIGGER noddl ENABLE
----
CREATE OR REPLACE FUNCTION no_rewrite()
 RETURNS event_trigger
 LANGUAGE plpgsql AS
$$
---
--- Implement local Table Rewriting policy:
---   public.foo is not allowed rewriting, ever
---   other tables are only allowed rewriting between 1am and 6am
---   unless they have more than 100 blocks
---
DECLARE
  table_oid oid := pg_event_trigger_table_rewrite_oid();
  current_hour integer := extract('hour' from current_time);
  pages integer;
  max_pages integer := 100;
BEGIN
  IF pg_event_trigger_table_rewrite_oid() = 'public.foo'::regclass
  THEN
        RAISE EXCEPTION 'you''re not allowed to rewrite the table %',
                        table_oid::regclass;
  END IF;

  SELECT INTO pages relpages FROM pg_class WHERE oid = table_oid;
  IF pages > max_pages
  THEN
        RAISE EXCEPTION 'rewrites only allowed for table with less than % pages',
                        max_pages;
  END IF;

  IF current_hour NOT BETWEEN 1 AND 6
  THEN
        RAISE EXCEPTION 'rewrites only allowed between 1am and 6am';
  END IF;
END;
$$
----
CREATE EVENT TRIGGER no_rewrite_allowed
                  ON table_rewrite
   EXECUTE FUNCTION no_rewrite()
----
SELECT * FROM a, b, c WHERE a.id = b.id AND b.ref = c.id
----
SELECT * FROM a LEFT JOIN (b JOIN c ON (b.ref = c.id)) ON (a.id = b.id)
----
SELECT * FROM a LEFT JOIN b ON (a.bid = b.id) LEFT JOIN c ON (a.cid = c.id)
----
SELECT * FROM a CROSS JOIN b CROSS JOIN c WHERE a.id = b.id AND b.ref = c.id
----
SELECT * FROM a JOIN (b JOIN c ON (b.ref = c.id)) ON (a.id = b.id)
----
SELECT * FROM a CROSS JOIN b, c, d, e WHERE ...
----
SELECT *
FROM x, y,
    (SELECT * FROM a, b, c WHERE something) AS ss
WHERE somethingelse
----
SELECT * FROM x, y, a, b, c WHERE something AND somethingelse
----
UPDATE accounts SET balance = balance + 100.00 WHERE acctnum = 11111
----
UPDATE accounts SET balance = balance + 100.00 WHERE acctnum = 22222
----
UPDATE accounts SET balance = balance - 100.00 WHERE acctnum = 11111
----
UPDATE accounts SET balance = balance - 100.00 WHERE acctnum = 22222
----
SELECT pg_advisory_lock(id) FROM foo WHERE id = 12345
----
-- ok
SELECT pg_advisory_lock(id) FROM foo WHERE id > 12345 LIMIT 100
----
-- danger!
SELECT pg_advisory_lock(q.id) FROM
(
  SELECT id FROM foo WHERE id > 12345 LIMIT 100
) q
----
SET LOCAL search_path TO @extschema@, pg_temp
----
CREATE TABLE my_config (key text, value text)
----
CREATE SEQUENCE my_config_seq
----
SELECT pg_catalog.pg_extension_config_dump('my_config', '')
----
SELECT pg_catalog.pg_extension_config_dump('my_config_seq', '')
----
CREATE TABLE my_config (key text, value text, standard_entry boolean)
----
SELECT pg_catalog.pg_extension_config_dump('my_config', 'WHERE NOT standard_entry')
----
SELECT * FROM pg_extension_update_paths('extension_name')
----
CREATE TYPE pair AS ( k text, v text )
----
CREATE FUNCTION pair(text, text)
RETURNS pair LANGUAGE SQL AS 'SELECT ROW($1, $2)::@extschema@.pair;'
----
CREATE OPERATOR ~> (LEFTARG = text, RIGHTARG = text, FUNCTION = pair)
----
-- "SET search_path" is easy to get right, but qualified names perform better.
CREATE FUNCTION lower(pair)
RETURNS pair LANGUAGE SQL
AS 'SELECT ROW(lower($1.k), lower($1.v))::@extschema@.pair;'
SET search_path = pg_temp
----
CREATE FUNCTION pair_concat(pair, pair)
RETURNS pair LANGUAGE SQL
AS 'SELECT ROW($1.k OPERATOR(pg_catalog.||) $2.k,
               $1.v OPERATOR(pg_catalog.||) $2.v)::@extschema@.pair;'
----
CREATE FUNCTION myfunc(a anyelement, b anyelement,
                       c anycompatible, d anycompatible)
RETURNS anycompatible AS ...
----
CREATE EXTENSION file_fdw
----
CREATE SERVER pglog FOREIGN DATA WRAPPER file_fdw
----
CREATE FOREIGN TABLE pglog (
  log_time timestamp(3) with time zone,
  user_name text,
  database_name text,
  process_id integer,
  connection_from text,
  session_id text,
  session_line_num bigint,
  command_tag text,
  session_start_time timestamp with time zone,
  virtual_transaction_id text,
  transaction_id bigint,
  error_severity text,
  sql_state_code text,
  message text,
  detail text,
  hint text,
  internal_query text,
  internal_query_pos integer,
  context text,
  query text,
  query_pos integer,
  location text,
  application_name text,
  backend_type text,
  leader_pid integer,
  query_id bigint
) SERVER pglog
OPTIONS ( filename 'log/pglog.csv', format 'csv' )
----
SELECT pg_log_backend_memory_contexts(pg_backend_pid())
----
SELECT * FROM pg_walfile_name_offset((pg_backup_stop()).lsn)
----
SELECT pg_size_pretty(sum(pg_relation_size(relid))) AS total_size
  FROM pg_partition_tree('measurement')
----
SELECT convert_from(pg_read_binary_file('file_in_utf8.txt'), 'UTF8')
----
SELECT xmlagg(x) FROM (SELECT x FROM test ORDER BY y DESC) AS tab
----
SELECT b1 = ANY((SELECT b2 FROM t2 ...)) FROM t1 ...
----
SELECT count(*) FROM sometable
----
SELECT * FROM items_sold
----
SELECT make, model, GROUPING(make,model), sum(sales) FROM items_sold GROUP BY ROLLUP(make,model)
----
SELECT a,
       CASE a WHEN 1 THEN 'one'
              WHEN 2 THEN 'two'
              ELSE 'other'
       END
    FROM test
----
SELECT ... WHERE CASE WHEN x <> 0 THEN y/x > 1.5 ELSE false END
----
SELECT COALESCE(description, short_description, '(none)') ...
----
SELECT NULLIF(value, '(none)') ...
----
SELECT (DATE '2001-02-16', DATE '2001-12-21') OVERLAPS
       (DATE '2001-10-30', DATE '2002-10-30')
----
SELECT timestamp with time zone '2005-04-02 12:00:00-07' + interval '1 day'
----
SELECT EXTRACT(EPOCH FROM timestamptz '2013-07-01 12:00:00') -
       EXTRACT(EPOCH FROM timestamptz '2013-03-01 12:00:00')
----
SELECT EXTRACT(CENTURY FROM TIMESTAMP '2000-12-16 12:21:13')
----
SELECT EXTRACT(DAY FROM TIMESTAMP '2001-02-16 20:38:40')
----
SELECT EXTRACT(DECADE FROM TIMESTAMP '2001-02-16 20:38:40')
----
SELECT EXTRACT(DOW FROM TIMESTAMP '2001-02-16 20:38:40')
----
SELECT EXTRACT(DOY FROM TIMESTAMP '2001-02-16 20:38:40')
----
SELECT EXTRACT(EPOCH FROM TIMESTAMP WITH TIME ZONE '2001-02-16 20:38:40.12-08')
----
SELECT to_timestamp(982384720.12)
----
SELECT EXTRACT(HOUR FROM TIMESTAMP '2001-02-16 20:38:40')
----
SELECT EXTRACT(ISODOW FROM TIMESTAMP '2001-02-18 20:38:40')
----
SELECT EXTRACT(ISOYEAR FROM DATE '2006-01-01')
----
SELECT EXTRACT(JULIAN FROM DATE '2006-01-01')
----
SELECT EXTRACT(MICROSECONDS FROM TIME '17:12:28.5')
----
SELECT EXTRACT(MILLENNIUM FROM TIMESTAMP '2001-02-16 20:38:40')
----
SELECT EXTRACT(MILLISECONDS FROM TIME '17:12:28.5')
----
SELECT EXTRACT(MINUTE FROM TIMESTAMP '2001-02-16 20:38:40')
----
SELECT EXTRACT(MONTH FROM TIMESTAMP '2001-02-16 20:38:40')
----
SELECT EXTRACT(QUARTER FROM TIMESTAMP '2001-02-16 20:38:40')
----
SELECT EXTRACT(SECOND FROM TIMESTAMP '2001-02-16 20:38:40')
----
SELECT EXTRACT(WEEK FROM TIMESTAMP '2001-02-16 20:38:40')
----
SELECT EXTRACT(YEAR FROM TIMESTAMP '2001-02-16 20:38:40')
----
SELECT INTERVAL '80 minutes'
----
SELECT date_part('day', TIMESTAMP '2001-02-16 20:38:40')
----
SELECT date_trunc('hour', TIMESTAMP '2001-02-16 20:38:40')
----
SELECT date_bin('15 minutes', TIMESTAMP '2020-02-11 15:44:17', TIMESTAMP '2001-01-01')
----
SELECT TIMESTAMP '2001-02-16 20:38:40' AT TIME ZONE 'America/Denver'
----
SELECT CURRENT_TIME
----
SELECT CURRENT_TIMESTAMP
----
SELECT now()
----
SELECT TIMESTAMP 'now'
----
SELECT pg_sleep(1.5)
----
SELECT pg_sleep_for('5 minutes')
----
SELECT pg_sleep_until('tomorrow 03:00')
----
CREATE TYPE rainbow AS ENUM ('red', 'orange', 'yellow', 'green', 'blue', 'purple')
----
CREATE FUNCTION test_event_trigger_for_drops()
        RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
    obj record;
BEGIN
    FOR obj IN SELECT * FROM pg_event_trigger_dropped_objects()
    LOOP
        RAISE NOTICE '% dropped object: % %.% %',
                     tg_tag,
                     obj.object_type,
                     obj.schema_name,
                     obj.object_name,
                     obj.object_identity;
    END LOOP;
END;
$$
----
CREATE EVENT TRIGGER test_event_trigger_for_drops
   ON sql_drop
   EXECUTE FUNCTION test_event_trigger_for_drops()
----
CREATE FUNCTION test_event_trigger_table_rewrite_oid()
 RETURNS event_trigger
 LANGUAGE plpgsql AS
$$
BEGIN
  RAISE NOTICE 'rewriting table % for reason %',
                pg_event_trigger_table_rewrite_oid()::regclass,
                pg_event_trigger_table_rewrite_reason();
END;
$$
----
CREATE EVENT TRIGGER test_table_rewrite_oid
                  ON table_rewrite
   EXECUTE FUNCTION test_event_trigger_table_rewrite_oid()
----
SELECT has_table_privilege('myschema.mytable', 'select')
----
SELECT has_table_privilege('joe', 'mytable', 'INSERT, SELECT WITH GRANT OPTION')
----
SELECT has_function_privilege('joeuser', 'myfunc(int, text)', 'execute')
----
SELECT relname FROM pg_class WHERE pg_table_is_visible(oid)
----
SELECT pg_type_is_visible('myschema.widget'::regtype)
----
SELECT currval(pg_get_serial_sequence('sometable', 'id'))
----
SELECT pg_typeof(33)
----
SELECT collation for (description) FROM pg_description LIMIT 1
----
SELECT regexp_match('foobarbequebaz', 'bar.*que')
----
SELECT (regexp_match('foobarbequebaz', 'bar.*que'))[1]
----
SELECT regexp_matches('foo', 'not there')
----
SELECT col1, (SELECT regexp_matches(col2, '(bar)(beque)')) FROM tab
----
SELECT foo FROM regexp_split_to_table('the quick brown fox jumps over the lazy dog', '\s+') AS foo
----
SELECT SUBSTRING('XY1234Z', 'Y*([0-9]{1,3})')
----
SELECT regexp_match('abc01234xyz', '(.*)(\d+)(.*)')
----
SELECT regexp_match('abc01234xyz', '(.*?)(\d+)(.*)')
----
SELECT regexp_match('abc01234xyz', '(?:(.*?)(\d+)(.*)){1,1}')
----
SELECT setval('myseq', 42)
----
SELECT * FROM generate_series(2,4)
----
-- basic usage:
SELECT generate_subscripts('{NULL,1,NULL,2}'::int[], 1) AS s
----
CREATE FUNCTION
SELECT * FROM unnest2(ARRAY[[1,2],[3,4]])
----
-- set returning function WITH ORDINALITY:
SELECT * FROM pg_ls_dir('.') WITH ORDINALITY AS t(ls,n)
----
SELECT m.* FROM pg_statistic_ext join pg_statistic_ext_data on (oid = stxoid),
                pg_mcv_list_items(stxdmcv) m WHERE stxname = 'stts'
----
SELECT format('Hello %s', 'World')
----
SELECT format('|%10s|', 'foo')
----
SELECT format('Testing %3$s, %2$s, %1$s', 'one', 'two', 'three')
----
SELECT format('Testing %3$s, %2$s, %s', 'one', 'two', 'three')
----
SELECT col1
FROM tab1
WHERE EXISTS (SELECT 1 FROM tab2 WHERE col2 = tab1.col2)
----
CREATE TRIGGER z_min_update
BEFORE UPDATE ON tablename
FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()
----
SELECT xmlcomment('hello')
----
SELECT xmlconcat('<abc/>', '<bar>foo</bar>')
----
SELECT xmlconcat('<?xml version="1.1"?><foo/>', '<?xml version="1.1" standalone="no"?><bar/>')
----
SELECT xmlelement(name foo)
----
SELECT xmlelement(name "foo$bar", xmlattributes('xyz' as "a&b"))
----
CREATE TABLE test (a xml, b xml)
----
SELECT xmlelement(name test, xmlattributes(a, b)) FROM test
----
SELECT xmlelement(name test, xmlattributes('constant'), a, b) FROM test
----
SELECT xmlelement(name test, xmlattributes(func(a, b))) FROM test
----
SELECT xmlelement(name foo, xmlattributes('xyz' as bar),
                            xmlelement(name abc),
                            xmlcomment('test'),
                            xmlelement(name xyz))
----
SELECT xmlforest('abc' AS foo, 123 AS bar)
----
SELECT xmlpi(name php, 'echo "hello world";')
----
SELECT xmlroot(xmlparse(document '<?xml version="1.1"?><content>abc</content>'),
               version '1.0', standalone yes)
----
CREATE TABLE test (y int, x xml)
----
INSERT INTO test VALUES (1, '<foo>abc</foo>')
----
INSERT INTO test VALUES (2, '<bar/>')
----
SELECT xmlagg(x) FROM test
----
SELECT xmlagg(x ORDER BY y DESC) FROM test
----
SELECT xmlagg(x) FROM (SELECT * FROM test ORDER BY y DESC) AS tab
----
SELECT xmlexists('//town[text() = ''Toronto'']' PASSING BY VALUE '<towns><town>Toronto</town><town>Ottawa</town></towns>')
----
SET xmloption TO DOCUMENT
----
SELECT xml_is_well_formed('<>')
----
SELECT xml_is_well_formed('abc')
----
SELECT xpath('/my:a/text()', '<my:a xmlns:my="http://example.com">test</my:a>',
             ARRAY[ARRAY['my', 'http://example.com']])
----
SELECT xpath('//mydefns:b/text()', '<a xmlns="http://example.com"><b>test</b></a>',
             ARRAY[ARRAY['mydefns', 'http://example.com']])
----
SELECT xpath_exists('/my:a/text()', '<my:a xmlns:my="http://example.com">test</my:a>',
                     ARRAY[ARRAY['my', 'http://example.com']])
----
CREATE TABLE xmldata AS SELECT
xml $$
<ROWS>
  <ROW id="1">
    <COUNTRY_ID>AU</COUNTRY_ID>
    <COUNTRY_NAME>Australia</COUNTRY_NAME>
  </ROW>
  <ROW id="5">
    <COUNTRY_ID>JP</COUNTRY_ID>
    <COUNTRY_NAME>Japan</COUNTRY_NAME>
    <PREMIER_NAME>Shinzo Abe</PREMIER_NAME>
    <SIZE unit="sq_mi">145935</SIZE>
  </ROW>
  <ROW id="6">
    <COUNTRY_ID>SG</COUNTRY_ID>
    <COUNTRY_NAME>Singapore</COUNTRY_NAME>
    <SIZE unit="sq_km">697</SIZE>
  </ROW>
</ROWS>
$$ AS data
----
SELECT xmltable.*
  FROM xmldata,
       XMLTABLE('//ROWS/ROW'
                PASSING data
                COLUMNS id int PATH '@id',
                        ordinality FOR ORDINALITY,
                        "COUNTRY_NAME" text,
                        country_id text PATH 'COUNTRY_ID',
                        size_sq_km float PATH 'SIZE[@unit = "sq_km"]',
                        size_other text PATH
                             'concat(SIZE[@unit!="sq_km"], " ", SIZE[@unit!="sq_km"]/@unit)',
                        premier_name text PATH 'PREMIER_NAME' DEFAULT 'not specified')
----
CREATE TABLE xmlelements AS SELECT
xml $$
  <root>
   <element>  Hello<!-- xyxxz -->2a2<?aaaaa?> <!--x-->  bbb<x>xxx</x>CC  </element>
  </root>
$$ AS data
----
SELECT xmltable.*
  FROM xmlelements, XMLTABLE('/root' PASSING data COLUMNS element text)
----
WITH xmldata(data) AS (VALUES ('
<example xmlns="http://example.com/myns" xmlns:B="http://example.com/b">
 <item foo="1" B:bar="2"/>
 <item foo="3" B:bar="4"/>
 <item foo="4" B:bar="5"/>
</example>'::xml)
)
SELECT xmltable.*
  FROM XMLTABLE(XMLNAMESPACES('http://example.com/myns' AS x,
                              'http://example.com/b' AS "B"),
             '/x:example/x:item'
                PASSING (SELECT data FROM xmldata)
                COLUMNS foo int PATH '@foo',
                  bar int PATH '@B:bar')
----
SELECT soundex('hello world!')
----
SELECT soundex('Anne'), soundex('Ann'), difference('Anne', 'Ann')
----
SELECT soundex('Anne'), soundex('Andrew'), difference('Anne', 'Andrew')
----
SELECT soundex('Anne'), soundex('Margaret'), difference('Anne', 'Margaret')
----
CREATE TABLE s (nm text)
----
INSERT INTO s VALUES ('john')
----
INSERT INTO s VALUES ('joan')
----
INSERT INTO s VALUES ('wobbly')
----
INSERT INTO s VALUES ('jack')
----
SELECT * FROM s WHERE soundex(nm) = soundex('john')
----
SELECT * FROM s WHERE difference(s.nm, 'john') > 2
----
SELECT levenshtein('GUMBO', 'GAMBOL')
----
SELECT levenshtein('GUMBO', 'GAMBOL', 2, 1, 1)
----
SELECT levenshtein_less_equal('extensive', 'exhaustive', 2)
----
SELECT levenshtein_less_equal('extensive', 'exhaustive', 4)
----
SELECT metaphone('GUMBO', 4)
----
SELECT dmetaphone('gumbo')
----
CREATE INDEX ON my_table USING GIST (my_inet_column inet_ops)
----
CREATE OR REPLACE FUNCTION my_consistent(internal, data_type, smallint, oid, internal)
RETURNS bool
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT
----
CREATE OR REPLACE FUNCTION my_union(internal, internal)
RETURNS storage_type
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT
----
CREATE OR REPLACE FUNCTION my_compress(internal)
RETURNS internal
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT
----
CREATE OR REPLACE FUNCTION my_decompress(internal)
RETURNS internal
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT
----
CREATE OR REPLACE FUNCTION my_penalty(internal, internal, internal)
RETURNS internal
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT
----
CREATE OR REPLACE FUNCTION my_picksplit(internal, internal)
RETURNS internal
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT
----
CREATE OR REPLACE FUNCTION my_same(storage_type, storage_type, internal)
RETURNS internal
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT
----
CREATE OR REPLACE FUNCTION my_distance(internal, data_type, smallint, oid, internal)
RETURNS float8
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT
----
CREATE OR REPLACE FUNCTION my_fetch(internal)
RETURNS internal
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT
----
CREATE OR REPLACE FUNCTION my_options(internal)
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT
----
CREATE OR REPLACE FUNCTION my_sortsupport(internal)
RETURNS void
AS 'MODULE_PATHNAME'
LANGUAGE C STRICT
----
EXPLAIN SELECT * FROM pgbench_accounts WHERE filler LIKE '%x%'
----
SELECT 'a=>1,a=>2'::hstore
----
CREATE TABLE mytable (h hstore)
----
INSERT INTO mytable VALUES ('a=>b, c=>d')
----
SELECT h['a'] FROM mytable
----
SELECT h FROM mytable
----
CREATE INDEX hidx ON testhstore USING GIST (h)
----
CREATE INDEX hidx ON testhstore USING GIN (h)
----
CREATE INDEX hidx ON testhstore USING GIST (h gist_hstore_ops(siglen=32))
----
CREATE INDEX hidx ON testhstore USING BTREE (h)
----
CREATE INDEX hidx ON testhstore USING HASH (h)
----
UPDATE tab SET h['c'] = '3'
----
UPDATE tab SET h = h || hstore('c', '3')
----
UPDATE tab SET h = h || hstore(array['q', 'w'], array['11', '12'])
----
UPDATE tab SET h = delete(h, 'k1')
----
CREATE TABLE test (col1 integer, col2 text, col3 text)
----
INSERT INTO test VALUES (123, 'foo', 'bar')
----
SELECT hstore(t) FROM test AS t
----
SELECT * FROM populate_record(null::test,
                              '"col1"=>"456", "col2"=>"zzz"')
----
SELECT (r).* FROM (SELECT t #= '"col3"=>"baz"' AS r FROM test t) s
----
SELECT * FROM each('aaa=>bq, b=>NULL, ""=>1')
----
CREATE TABLE stat AS SELECT (each(h)).key, (each(h)).value FROM testhstore
----
SELECT key, count(*) FROM
  (SELECT (each(h)).key FROM testhstore) AS stat
  GROUP BY key
  ORDER BY count DESC, key
----
UPDATE tablename SET hstorecol = hstorecol || ''
----
ALTER TABLE tablename ALTER hstorecol TYPE hstore USING hstorecol || ''
----
CREATE TABLE test1c (
    id integer,
    content varchar COLLATE "x"
)
----
CREATE INDEX test1c_content_index ON test1c (content)
----
SELECT * FROM test1c WHERE content > constant
----
SELECT * FROM test1c WHERE content > constant COLLATE "y"
----
CREATE INDEX test1c_content_y_index ON test1c (content COLLATE "y")
----
SELECT * FROM test1 WHERE lower(col1) = 'value'
----
CREATE INDEX test1_lower_col1_idx ON test1 (lower(col1))
----
SELECT * FROM people WHERE (first_name || ' ' || last_name) = 'John Smith'
----
CREATE INDEX people_names ON people ((first_name || ' ' || last_name))
----
SELECT x, y FROM tab WHERE x = 'key'
----
SELECT x FROM tab WHERE x = 'key' AND y < 42
----
SELECT x, z FROM tab WHERE x = 'key'
----
SELECT x FROM tab WHERE x = 'key' AND z < 42
----
SELECT y FROM tab WHERE x = 'key'
----
CREATE INDEX tab_x_y ON tab(x) INCLUDE (y)
----
CREATE UNIQUE INDEX tab_x_y ON tab(x) INCLUDE (y)
----
CREATE INDEX tab_x_y ON tab(x, y)
----
SELECT f(x) FROM tab WHERE f(x) < 1
----
CREATE INDEX tab_f_x ON tab (f(x)) INCLUDE (x)
----
CREATE UNIQUE INDEX tests_success_constraint ON tests (subject, target)
    WHERE success
----
SELECT target FROM tests WHERE subject = 'some-subject' AND success
----
CREATE TABLE test1 (
    id integer,
    content varchar
)
----
SELECT content FROM test1 WHERE id = constant
----
CREATE INDEX test1_id_index ON test1 (id)
----
CREATE TABLE test2 (
  major int,
  minor int,
  name varchar
)
----
SELECT name FROM test2 WHERE major = constant AND minor = constant
----
CREATE INDEX test2_mm_idx ON test2 (major, minor)
----
CREATE INDEX test_index ON test_table (col varchar_pattern_ops)
----
SELECT am.amname AS index_method,
       opc.opcname AS opclass_name,
       opc.opcintype::regtype AS indexed_type,
       opc.opcdefault AS is_default
    FROM pg_am am, pg_opclass opc
    WHERE opc.opcmethod = am.oid
    ORDER BY index_method, opclass_name
----
SELECT am.amname AS index_method,
       opc.opcname AS opclass_name,
       opf.opfname AS opfamily_name,
       opc.opcintype::regtype AS indexed_type,
       opc.opcdefault AS is_default
    FROM pg_am am, pg_opclass opc, pg_opfamily opf
    WHERE opc.opcmethod = am.oid AND
          opc.opcfamily = opf.oid
    ORDER BY index_method, opclass_name
----
SELECT am.amname AS index_method,
       opf.opfname AS opfamily_name,
       amop.amopopr::regoperator AS opfamily_operator
    FROM pg_am am, pg_opfamily opf, pg_amop amop
    WHERE opf.opfmethod = am.oid AND
          amop.amopfamily = opf.oid
    ORDER BY index_method, opfamily_name, opfamily_operator
----
CREATE INDEX test2_info_nulls_low ON test2 (info NULLS FIRST)
----
CREATE INDEX test3_desc_index ON test3 (id DESC NULLS LAST)
----
CREATE TABLE access_log (
    url varchar,
    client_ip inet,
    ...
)
----
CREATE INDEX access_log_client_ip_ix ON access_log (client_ip)
WHERE NOT (client_ip > inet '192.168.100.0' AND
           client_ip < inet '192.168.100.255')
----
SELECT *
FROM access_log
WHERE url = '/index.html' AND client_ip = inet '212.78.10.32'
----
SELECT *
FROM access_log
WHERE url = '/index.html' AND client_ip = inet '192.168.100.23'
----
CREATE INDEX orders_unbilled_index ON orders (order_nr)
    WHERE billed is not true
----
SELECT * FROM orders WHERE billed is not true AND order_nr < 10000
----
SELECT * FROM orders WHERE billed is not true AND amount > 5000.00
----
SELECT * FROM orders WHERE order_nr = 3501
----
CREATE TABLE tests (
    subject text,
    target text,
    success boolean,
    ...
)
----
CREATE INDEX mytable_cat_1 ON mytable (data) WHERE category = 1
----
CREATE INDEX mytable_cat_2 ON mytable (data) WHERE category = 2
----
CREATE INDEX mytable_cat_3 ON mytable (data) WHERE category = 3
----
CREATE INDEX mytable_cat_data ON mytable (category, data)
----
CREATE INDEX name ON table USING HASH (column)
----
SELECT * FROM places ORDER BY location <-> point '(101,456)' LIMIT 10
----
SELECT c.column_name, c.data_type, e.data_type AS element_type
FROM information_schema.columns c LEFT JOIN information_schema.element_types e
     ON ((c.table_catalog, c.table_schema, c.table_name, 'TABLE', c.dtd_identifier)
       = (e.object_catalog, e.object_schema, e.object_name, e.object_type, e.collection_type_identifier))
WHERE c.table_schema = '...' AND c.table_name = '...'
ORDER BY c.ordinal_position
----
set path = ( /usr/local/pgsql/bin $path )
----
set PROVE_FLAGS=--timer --jobs 2
set PROVE_TESTS=t/020*.pl t/010*.pl
----
CREATE EXTENSION plperl
----
CREATE TABLE left (id INT PRIMARY KEY, ...)
----
CREATE TABLE right (id INT PRIMARY KEY, ...)
----
CREATE TABLE one_to_many(left INT REFERENCES left, right INT REFERENCES right)
----
SELECT right.* from right JOIN one_to_many ON (right.id = one_to_many.right)
  WHERE one_to_many.left = item
----
CREATE TABLE summary AS
  SELECT left, int_array_aggregate(right) AS right
  FROM one_to_many
  GROUP BY left
----
SELECT left, int_array_enum(right) FROM summary WHERE left = item
----
SELECT left, right FROM one_to_many WHERE left = item
----
SELECT right, count(right) FROM
  ( SELECT left, int_array_enum(right) AS right
    FROM summary JOIN (SELECT left FROM left_table WHERE left = item) AS lefts
         ON (summary.left = lefts.left)
  ) AS list
  GROUP BY right
  ORDER BY count DESC
----
-- a message can be in one or more “sections”
CREATE TABLE message (mid INT PRIMARY KEY, sections INT[], ...)
----
-- create specialized index with signature length of 32 bytes
CREATE INDEX message_rdtree_idx ON message USING GIST (sections gist__intbig_ops (siglen = 32))
----
-- select messages in section 1 OR 2 - OVERLAP operator
SELECT message.mid FROM message WHERE message.sections && '{1,2}'
----
-- select messages in sections 1 AND 2 - CONTAINS operator
SELECT message.mid FROM message WHERE message.sections @> '{1,2}'
----
-- the same, using QUERY operator
SELECT message.mid FROM message WHERE message.sections @@ '1&2'::query_int
----
--Using the types directly:
SELECT isbn('978-0-393-04002-9')
----
SELECT isbn13('0901690546')
----
SELECT issn('1436-4522')
----
--Casting types:
-- note that you can only cast from ean13 to another type when the
-- number would be valid in the realm of the target type;
-- thus, the following will NOT work: select isbn(ean13('0220356483481'));
-- but these will:
SELECT upc(ean13('0220356483481'))
----
SELECT ean13(upc('220356483481'))
----
--Create a table with a single column to hold ISBN numbers:
CREATE TABLE test (id isbn)
----
INSERT INTO test VALUES('9780393040029')
----
--Automatically calculate check digits (observe the '?'):
INSERT INTO test VALUES('220500896?')
----
INSERT INTO test VALUES('978055215372?')
----
SELECT issn('3251231?')
----
SELECT ismn('979047213542?')
----
--Using the weak mode:
SELECT isn_weak(true)
----
INSERT INTO test VALUES('978-0-11-000533-4')
----
INSERT INTO test VALUES('9780141219307')
----
INSERT INTO test VALUES('2-205-00876-X')
----
SELECT isn_weak(false)
----
SELECT id FROM test WHERE NOT is_valid(id)
----
UPDATE test SET id = make_valid(id) WHERE id = '2-205-00876-X!'
----
SELECT isbn13(id) FROM test
----
EXPLAIN ANALYZE SELECT SUM(relpages) FROM pg_class
----
SET jit_above_cost = 10
----
SELECT * FROM mytable WHERE x = $1::bigint
----
SELECT 1 AS FOO, 2 AS "BAR"
----
SELECT x FROM mytable WHERE id = 42 FOR UPDATE
----
-- result: x=2
-- client adds 1 to x:
UPDATE mytable SET x = 3 WHERE id = 42
----
UPDATE mytable SET x = x + 1 WHERE id = 42
----
CREATE TABLE image (
    name            text,
    raster          oid
)
----
SELECT lo_creat(-1)
----
-- returns OID of new, empty large object

SELECT lo_create(43213)
----
-- attempts to create large object with OID 43213

SELECT lo_unlink(173454)
----
-- deletes large object with OID 173454

INSERT INTO image (name, raster)
    VALUES ('beautiful image', lo_import('/etc/motd'))
----
INSERT INTO image (name, raster)  -- same as above, but specify OID to use
    VALUES ('beautiful image', lo_import('/etc/motd', 68583))
----
SELECT lo_export(image.raster, '/tmp/motd') FROM image
    WHERE name = 'beautiful image'
----
CREATE TABLE image (title text, raster lo)
----
CREATE TRIGGER t_raster BEFORE UPDATE OR DELETE ON image
    FOR EACH ROW EXECUTE FUNCTION lo_manage(raster)
----
CREATE TABLE t1(id int, a text, b text, c text, d text, e text, PRIMARY KEY(id))
----
CREATE PUBLICATION p1 FOR TABLE t1 (id, b, a, d)
----
CREATE TABLE t1(id int, b text, a text, d text, PRIMARY KEY(id))
----
CREATE SUBSCRIPTION s1
CONNECTION 'host=localhost dbname=test_pub application_name=s1'
PUBLICATION p1
----
INSERT INTO t1 VALUES(1, 'a-1', 'b-1', 'c-1', 'd-1', 'e-1')
----
INSERT INTO t1 VALUES(2, 'a-2', 'b-2', 'c-2', 'd-2', 'e-2')
----
INSERT INTO t1 VALUES(3, 'a-3', 'b-3', 'c-3', 'd-3', 'e-3')
----
SELECT * FROM t1 ORDER BY id
----
CREATE PUBLICATION mypub FOR TABLE users, departments
----
CREATE SUBSCRIPTION mysub CONNECTION 'dbname=foo host=bar user=repuser' PUBLICATION mypub
----
CREATE TABLE t1(a int, b int, c text, PRIMARY KEY(a,c))
----
CREATE TABLE t2(d int, e int, f int, PRIMARY KEY(d))
----
CREATE TABLE t3(g int, h int, i int, PRIMARY KEY(g))
----
CREATE PUBLICATION p1 FOR TABLE t1 WHERE (a > 5 AND c = 'NSW')
----
CREATE PUBLICATION p2 FOR TABLE t1, t2 WHERE (e = 99)
----
CREATE PUBLICATION p3 FOR TABLE t2 WHERE (d = 10), t3 WHERE (g = 10)
----
INSERT INTO t1 VALUES (2, 102, 'NSW')
----
INSERT INTO t1 VALUES (3, 103, 'QLD')
----
INSERT INTO t1 VALUES (4, 104, 'VIC')
----
INSERT INTO t1 VALUES (5, 105, 'ACT')
----
INSERT INTO t1 VALUES (6, 106, 'NSW')
----
INSERT INTO t1 VALUES (7, 107, 'NT')
----
INSERT INTO t1 VALUES (8, 108, 'QLD')
----
INSERT INTO t1 VALUES (9, 109, 'NSW')
----
SELECT * FROM t1
----
UPDATE t1 SET b = 999 WHERE a = 6
----
UPDATE t1 SET a = 555 WHERE a = 2
----
UPDATE t1 SET c = 'VIC' WHERE a = 9
----
CREATE TABLE parent(a int PRIMARY KEY) PARTITION BY RANGE(a)
----
CREATE TABLE child PARTITION OF parent DEFAULT
----
CREATE PUBLICATION p4 FOR TABLE parent WHERE (a < 5), child WHERE (a >= 5)
WITH (publish_via_partition_root=true)
----
CREATE SUBSCRIPTION s4
CONNECTION 'host=localhost dbname=test_pub application_name=s4'
PUBLICATION p4
----
INSERT INTO parent VALUES (2), (4), (6)
----
INSERT INTO child VALUES (3), (5), (7)
----
SELECT * FROM parent ORDER BY a
----
DROP PUBLICATION p4
----
CREATE PUBLICATION p4 FOR TABLE parent, child WHERE (a >= 5)
WITH (publish_via_partition_root=false)
----
ALTER SUBSCRIPTION s4 REFRESH PUBLICATION
----
TRUNCATE parent
----
SELECT * FROM child ORDER BY a
----
CREATE TABLE t1(a int, b text, PRIMARY KEY(a))
----
CREATE TABLE t2(c int, d text, PRIMARY KEY(c))
----
CREATE TABLE t3(e int, f text, PRIMARY KEY(e))
----
INSERT INTO t1 VALUES (1, 'one'), (2, 'two'), (3, 'three')
----
INSERT INTO t2 VALUES (1, 'A'), (2, 'B'), (3, 'C')
----
INSERT INTO t3 VALUES (1, 'i'), (2, 'ii'), (3, 'iii')
----
CREATE PUBLICATION pub1 FOR TABLE t1
----
CREATE PUBLICATION pub2 FOR TABLE t2 WITH (publish = 'truncate')
----
CREATE PUBLICATION pub3a FOR TABLE t3 WITH (publish = 'truncate')
----
CREATE PUBLICATION pub3b FOR TABLE t3 WHERE (e > 5)
----
CREATE SUBSCRIPTION sub1
CONNECTION 'host=localhost dbname=test_pub application_name=sub1'
PUBLICATION pub1
----
CREATE SUBSCRIPTION sub2
CONNECTION 'host=localhost dbname=test_pub application_name=sub2'
PUBLICATION pub2
----
CREATE SUBSCRIPTION sub3
CONNECTION 'host=localhost dbname=test_pub application_name=sub3'
PUBLICATION pub3a, pub3b
----
SELECT * FROM t2
----
INSERT INTO t1 VALUES (4, 'four'), (5, 'five'), (6, 'six')
----
INSERT INTO t2 VALUES (4, 'D'), (5, 'E'), (6, 'F')
----
INSERT INTO t3 VALUES (4, 'iv'), (5, 'v'), (6, 'vi')
----
-- Create a slot named 'regression_slot' using the output plugin 'test_decoding'
SELECT * FROM pg_create_logical_replication_slot('regression_slot', 'test_decoding', false, true)
----
SELECT slot_name, plugin, slot_type, database, active, restart_lsn, confirmed_flush_lsn FROM pg_replication_slots
----
-- There are no changes to see yet
SELECT * FROM pg_logical_slot_get_changes('regression_slot', NULL, NULL)
----
CREATE TABLE data(id serial primary key, data text)
----
-- DDL isn't replicated, so all you'll see is the transaction
SELECT * FROM pg_logical_slot_get_changes('regression_slot', NULL, NULL)
----
-- Once changes are read, they're consumed and not emitted
-- in a subsequent call:
SELECT * FROM pg_logical_slot_get_changes('regression_slot', NULL, NULL)
----
SELECT * FROM pg_logical_slot_get_changes('regression_slot', NULL, NULL)
----
INSERT INTO data(data) VALUES('3')
----
-- You can also peek ahead in the change stream without consuming changes
SELECT * FROM pg_logical_slot_peek_changes('regression_slot', NULL, NULL)
----
-- The next call to pg_logical_slot_peek_changes() returns the same changes again
SELECT * FROM pg_logical_slot_peek_changes('regression_slot', NULL, NULL)
----
-- options can be passed to output plugin, to influence the formatting
SELECT * FROM pg_logical_slot_peek_changes('regression_slot', NULL, NULL, 'include-timestamp', 'on')
----
-- Remember to destroy a slot you no longer need to stop it consuming
-- server resources:
SELECT pg_drop_replication_slot('regression_slot')
----
COMMIT PREPARED 'test_prepared1'
----
select * from pg_logical_slot_get_changes('regression_slot', NULL, NULL)
----
-- you can also rollback a prepared transaction
BEGIN
----
ROLLBACK PREPARED 'test_prepared2'
----
ALTER TABLE user_catalog_table SET (user_catalog_table = true)
----
CREATE TABLE another_catalog_table(data text) WITH (user_catalog_table = true)
----
CREATE INDEX path_gist_idx ON test USING GIST (path)
----
CREATE INDEX path_gist_idx ON test USING GIST (path gist_ltree_ops(siglen=100))
----
CREATE INDEX path_gist_idx ON test USING GIST (array_path)
----
CREATE INDEX path_gist_idx ON test USING GIST (array_path gist__ltree_ops(siglen=100))
----
CREATE TABLE test (path ltree)
----
INSERT INTO test VALUES ('Top')
----
INSERT INTO test VALUES ('Top.Science')
----
INSERT INTO test VALUES ('Top.Science.Astronomy')
----
INSERT INTO test VALUES ('Top.Science.Astronomy.Astrophysics')
----
INSERT INTO test VALUES ('Top.Science.Astronomy.Cosmology')
----
INSERT INTO test VALUES ('Top.Hobbies')
----
INSERT INTO test VALUES ('Top.Hobbies.Amateurs_Astronomy')
----
INSERT INTO test VALUES ('Top.Collections')
----
INSERT INTO test VALUES ('Top.Collections.Pictures')
----
INSERT INTO test VALUES ('Top.Collections.Pictures.Astronomy')
----
INSERT INTO test VALUES ('Top.Collections.Pictures.Astronomy.Stars')
----
INSERT INTO test VALUES ('Top.Collections.Pictures.Astronomy.Galaxies')
----
INSERT INTO test VALUES ('Top.Collections.Pictures.Astronomy.Astronauts')
----
CREATE INDEX path_idx ON test USING BTREE (path)
----
SELECT path FROM test WHERE path <@ 'Top.Science'
----
SELECT path FROM test WHERE path ~ '*.Astronomy.*'
----
SELECT path FROM test WHERE path ~ '*.!pictures@.Astronomy.*'
----
SELECT path FROM test WHERE path @ 'Astro*% & !pictures@'
----
SELECT path FROM test WHERE path @ 'Astro* & !pictures@'
----
SELECT subpath(path,0,2)||'Space'||subpath(path,2) FROM test WHERE path <@ 'Top.Science.Astronomy'
----
SELECT ins_label(path,2,'Space') FROM test WHERE path <@ 'Top.Science.Astronomy'
----
ALTER DATABASE mydb SET geqo TO off
----
CREATE DATABASE dbname OWNER rolename
----
CREATE TABLESPACE fastspace LOCATION '/ssd1/postgresql/data'
----
CREATE TABLE foo(i int) TABLESPACE space1
----
SET default_tablespace = space1
----
CREATE TABLE foo(i int)
----
CREATE DATABASE dbname TEMPLATE template0
----
SELECT pid, wait_event_type, wait_event FROM pg_stat_activity WHERE wait_event is NOT NULL
----
SELECT pg_stat_get_backend_pid(s.backendid) AS pid,
       pg_stat_get_backend_activity(s.backendid) AS query
    FROM (SELECT pg_stat_get_backend_idset() AS backendid) AS s
----
CREATE DATABASE korean WITH ENCODING 'EUC_KR' LC_COLLATE='ko_KR.euckr' LC_CTYPE='ko_KR.euckr' TEMPLATE=template0
----
SET CLIENT_ENCODING TO 'value'
----
SET NAMES 'value'
----
SHOW client_encoding
----
RESET client_encoding
----
CREATE TABLE t (a INT, b INT)
----
INSERT INTO t SELECT i % 100, i % 100 FROM generate_series(1, 10000) s(i)
----
ANALYZE t
----
SELECT relpages, reltuples FROM pg_class WHERE relname = 't'
----
EXPLAIN (ANALYZE, TIMING OFF) SELECT * FROM t WHERE a = 1
----
EXPLAIN (ANALYZE, TIMING OFF) SELECT * FROM t WHERE a = 1 AND b = 1
----
CREATE STATISTICS stts (dependencies) ON a, b FROM t
----
EXPLAIN (ANALYZE, TIMING OFF) SELECT COUNT(*) FROM t GROUP BY a
----
EXPLAIN (ANALYZE, TIMING OFF) SELECT COUNT(*) FROM t GROUP BY a, b
----
DROP STATISTICS stts
----
CREATE STATISTICS stts (dependencies, ndistinct) ON a, b FROM t
----
CREATE STATISTICS stts2 (mcv) ON a, b FROM t
----
SELECT m.* FROM pg_statistic_ext join pg_statistic_ext_data on (oid = stxoid),
                pg_mcv_list_items(stxdmcv) m WHERE stxname = 'stts2'
----
EXPLAIN (ANALYZE, TIMING OFF) SELECT * FROM t WHERE a = 1 AND b = 10
----
EXPLAIN (ANALYZE, TIMING OFF) SELECT * FROM t WHERE a <= 49 AND b > 49
----
SELECT * FROM page_header(get_raw_page('pg_class', 0))
----
SELECT page_checksum(get_raw_page('pg_class', 0), 0)
----
SELECT fsm_page_contents(get_raw_page('pg_class', 'fsm', 0))
----
SELECT * FROM heap_page_items(get_raw_page('pg_class', 0))
----
SELECT tuple_data_split('pg_class'::regclass, t_data, t_infomask, t_infomask2, t_bits) FROM heap_page_items(get_raw_page('pg_class', 0))
----
SELECT * FROM heap_page_item_attrs(get_raw_page('pg_class', 0), 'pg_class'::regclass)
----
SELECT t_ctid, raw_flags, combined_flags
----
SELECT * FROM bt_metap('pg_cast_oid_index')
----
SELECT * FROM bt_page_stats('pg_cast_oid_index', 1)
----
SELECT itemoffset, ctid, itemlen, nulls, vars, data, dead, htid, tids[0:2] AS some_tids
----
SELECT brin_page_type(get_raw_page('brinidx', 0))
----
SELECT * FROM brin_metapage_info(get_raw_page('brinidx', 0))
----
SELECT * FROM brin_revmap_data(get_raw_page('brinidx', 2)) LIMIT 5
----
SELECT * FROM brin_page_items(get_raw_page('brinidx', 5),
----
SELECT * FROM gin_metapage_info(get_raw_page('gin_index', 0))
----
SELECT * FROM gin_page_opaque_info(get_raw_page('gin_index', 2))
----
SELECT first_tid, nbytes, tids[0:5] AS some_tids
----
SELECT * FROM gist_page_opaque_info(get_raw_page('test_gist_idx', 2))
----
SELECT * FROM gist_page_items(get_raw_page('test_gist_idx', 0), 'test_gist_idx')
----
SELECT * FROM gist_page_items_bytea(get_raw_page('test_gist_idx', 0))
----
SELECT hash_page_type(get_raw_page('con_hash_index', 0))
----
SELECT * FROM hash_page_stats(get_raw_page('con_hash_index', 1))
----
SELECT * FROM hash_page_items(get_raw_page('con_hash_index', 1)) LIMIT 5
----
SELECT * FROM hash_bitmap_info('con_hash_index', 2052)
----
SELECT magic, version, ntuples, ffactor, bsize, bmsize, bmshift,
    maxbucket, highmask, lowmask, ovflpoint, firstfree, nmaps, procid,
    regexp_replace(spares::text, '(,0)*}', '}') as spares,
    regexp_replace(mapp::text, '(,0)*}', '}') as mapp
FROM hash_metapage_info(get_raw_page('con_hash_index', 0))
----
UPDATE pgbench_accounts
  SET abalance = abalance + :delta
  WHERE aid = :aid
  RETURNING abalance \gset
-- compound of two queries
SELECT 1 \
----
SELECT 2 AS two, 3 AS three \gset p_
SELECT 4 AS four \
----
SELECT 5 AS five \aset
----
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid
----
SELECT abalance FROM pgbench_accounts WHERE aid = :aid
----
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid
----
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid
----
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP)
----
SELECT n.nspname, c.relname, count(*) AS buffers
----
CREATE OR REPLACE FUNCTION sha1(bytea) returns text AS $$
    SELECT encode(digest($1, 'sha1'), 'hex')
$$ LANGUAGE SQL STRICT IMMUTABLE
----
UPDATE ... SET pswhash = crypt('new password', gen_salt('md5'))
----
SELECT (pswhash = crypt('entered password', pswhash)) AS pswmatch FROM ...
----
SELECT * FROM pg_freespace('foo')
----
SELECT * FROM pg_freespace('foo', 7)
----
SELECT * FROM accounts AS a, pgrowlocks('accounts') AS p
  WHERE p.locked_row = a.ctid
----
SELECT * FROM pgrowlocks('t1')
----
SELECT pg_stat_statements_reset()
----
SELECT query, calls, total_exec_time, rows, 100.0 * shared_blks_hit /
SELECT pg_stat_statements_reset(0,0,s.queryid) FROM pg_stat_statements AS s
SELECT query, calls, total_exec_time, rows, 100.0 * shared_blks_hit /
SELECT pg_stat_statements_reset(0,0,0)
----
SELECT query, calls, total_exec_time, rows, 100.0 * shared_blks_hit /
----
SELECT * FROM pgstattuple('pg_catalog.pg_proc')
----
SELECT * FROM pgstatindex('pg_cast_oid_index')
----
SELECT * FROM pgstatginindex('test_gin_index')
----
select * from pgstathashindex('con_hash_index')
----
SELECT * FROM pgstattuple_approx('pg_catalog.pg_proc'::regclass)
----
select * from t1 where ctid = '(0, 1)'
----
select heap_force_kill('t1'::regclass, ARRAY['(0, 1)']::tid[])
----
vacuum t1
----
select ctid from t1 where xmin = 507
----
select heap_force_freeze('t1'::regclass, ARRAY['(0, 3)']::tid[])
----
select ctid from t1 where xmin = 2
----
CREATE TABLE t AS SELECT * FROM generate_series(1,100000)
----
SELECT COUNT(*) FROM t
----
EXPLAIN ANALYZE SELECT COUNT(*) FROM t
----
CREATE TABLE test_trgm (t text)
----
CREATE INDEX trgm_idx ON test_trgm USING GIST (t gist_trgm_ops)
----
CREATE INDEX trgm_idx ON test_trgm USING GIN (t gin_trgm_ops)
----
CREATE INDEX trgm_idx ON test_trgm USING GIST (t gist_trgm_ops(siglen=32))
----
SELECT t, similarity(t, 'word') AS sml
  FROM test_trgm
  WHERE t % 'word'
  ORDER BY sml DESC, t
----
SELECT t, t <-> 'word' AS dist
  FROM test_trgm
  ORDER BY dist LIMIT 10
----
SELECT t, word_similarity('word', t) AS sml
  FROM test_trgm
  WHERE 'word' <% t
  ORDER BY sml DESC, t
----
SELECT t, strict_word_similarity('word', t) AS sml
  FROM test_trgm
  WHERE 'word' <<% t
  ORDER BY sml DESC, t
----
SELECT t, 'word' <<-> t AS dist
  FROM test_trgm
  ORDER BY dist LIMIT 10
----
SELECT t, 'word' <<<-> t AS dist
  FROM test_trgm
  ORDER BY dist LIMIT 10
----
SELECT * FROM test_trgm WHERE t LIKE '%foo%bar'
----
SELECT * FROM test_trgm WHERE t ~ '(foo|bar)'
----
CREATE TABLE words AS SELECT word FROM
        ts_stat('SELECT to_tsvector(''simple'', bodytext) FROM documents')
----
CREATE INDEX words_idx ON words USING GIN (word gin_trgm_ops)
----
SELECT * FROM pg_get_wal_record_info('0/1E826E98')
----
SELECT * FROM pg_get_wal_records_info('0/1E913618', '0/1E913740') LIMIT 1
----
SELECT * FROM pg_get_wal_stats('0/1E847D00', '0/1E84F500')
----
SELECT relname, relkind, reltuples, relpages
FROM pg_class
WHERE relname LIKE 'tenk1%'
----
SELECT attname, inherited, n_distinct,
       array_to_string(most_common_vals, E'\n') as most_common_vals
FROM pg_stats
WHERE tablename = 'road'
----
CREATE STATISTICS stts (dependencies) ON city, zip FROM zipcodes
----
ANALYZE zipcodes
----
SELECT stxname, stxkeys, stxddependencies
  FROM pg_statistic_ext join pg_statistic_ext_data on (oid = stxoid)
  WHERE stxname = 'stts'
----
SELECT * FROM zipcodes WHERE city = 'San Francisco' AND zip = '94105'
----
SELECT * FROM zipcodes WHERE city = 'San Francisco' AND zip = '90210'
----
CREATE STATISTICS stts2 (ndistinct) ON city, state, zip FROM zipcodes
----
SELECT stxkeys AS k, stxdndistinct AS nd
  FROM pg_statistic_ext join pg_statistic_ext_data on (oid = stxoid)
  WHERE stxname = 'stts2'
----
CREATE STATISTICS stts3 (mcv) ON city, state FROM zipcodes
----
SELECT m.* FROM pg_statistic_ext join pg_statistic_ext_data on (oid = stxoid),
                pg_mcv_list_items(stxdmcv) m WHERE stxname = 'stts3'
----
CREATE TABLE test (
    i int,
    v varchar
)
----
INSERT INTO test (i, v) VALUES (1, 'first line')
----
INSERT INTO test (i, v) VALUES (2, 'second line')
----
INSERT INTO test (i, v) VALUES (3, 'third line')
----
INSERT INTO test (i, v) VALUES (4, 'immortal')
----
CREATE OR REPLACE FUNCTION test_munge() RETURNS SETOF test AS $$
    my $rv = spi_exec_query('select i, v from test;');
    my $status = $rv->{status};
    my $nrows = $rv->{processed};
    foreach my $rn (0 .. $nrows - 1) {
        my $row = $rv->{rows}[$rn];
        $row->{i} += 200 if defined($row->{i});
        $row->{v} =~ tr/A-Za-z/a-zA-Z/ if (defined($row->{v}));
        return_next($row);
    }
    return undef;
$$ LANGUAGE plperl
----
SELECT * FROM test_munge()
----
CREATE TYPE foo_type AS (the_num INTEGER, the_text TEXT)
----
CREATE OR REPLACE FUNCTION lotsa_md5 (INTEGER) RETURNS SETOF foo_type AS $$
    use Digest::MD5 qw(md5_hex);
    my $file = '/usr/share/dict/words';
    my $t = localtime;
    elog(NOTICE, "opening file $file at $t" );
    open my $fh, '<', $file # ooh, it's a file access!
        or elog(ERROR, "cannot open $file for reading: $!");
    my @words = <$fh>;
    close $fh;
    $t = localtime;
    elog(NOTICE, "closed file $file at $t");
    chomp(@words);
    my $row;
    my $sth = spi_query("SELECT * FROM generate_series(1,$_[0]) AS b(a)");
    while (defined ($row = spi_fetchrow($sth))) {
        return_next({
            the_num => $row->{a},
            the_text => md5_hex($words[rand @words])
        });
    }
    return;
$$ LANGUAGE plperlu
----
SELECT * from lotsa_md5(500)
----
CREATE OR REPLACE FUNCTION init() RETURNS VOID AS $$
        $_SHARED{my_plan} = spi_prepare('SELECT (now() + $1)::date AS now',
                                        'INTERVAL');
$$ LANGUAGE plperl
----
CREATE OR REPLACE FUNCTION add_time( INTERVAL ) RETURNS TEXT AS $$
        return spi_exec_prepared(
                $_SHARED{my_plan},
                $_[0]
        )->{rows}->[0]->{now};
$$ LANGUAGE plperl
----
CREATE OR REPLACE FUNCTION done() RETURNS VOID AS $$
        spi_freeplan( $_SHARED{my_plan});
        undef $_SHARED{my_plan};
$$ LANGUAGE plperl
----
SELECT init()
----
SELECT add_time('1 day'), add_time('2 days'), add_time('3 days')
----
SELECT done()
----
CREATE TABLE hosts AS SELECT id, ('192.168.1.'||id)::inet AS address
                      FROM generate_series(1,3) AS id
----
CREATE OR REPLACE FUNCTION init_hosts_query() RETURNS VOID AS $$
        $_SHARED{plan} = spi_prepare('SELECT * FROM hosts
                                      WHERE address << $1', 'inet');
$$ LANGUAGE plperl
----
CREATE OR REPLACE FUNCTION query_hosts(inet) RETURNS SETOF hosts AS $$
        return spi_exec_prepared(
                $_SHARED{plan},
                {limit => 2},
                $_[0]
        )->{rows};
$$ LANGUAGE plperl
----
CREATE OR REPLACE FUNCTION release_hosts_query() RETURNS VOID AS $$
        spi_freeplan($_SHARED{plan});
        undef $_SHARED{plan};
$$ LANGUAGE plperl
----
SELECT init_hosts_query()
----
SELECT query_hosts('192.168.1.0/30')
----
SELECT release_hosts_query()
----
CREATE PROCEDURE transaction_test1()
LANGUAGE plperl
AS $$
foreach my $i (0..9) {
    spi_exec_query("INSERT INTO test1 (a) VALUES ($i)");
    if ($i % 2 == 0) {
        spi_commit();
    } else {
        spi_rollback();
    }
}
$$
----
CALL transaction_test1()
----
CREATE OR REPLACE FUNCTION perlsnitch() RETURNS event_trigger AS $$
  elog(NOTICE, "perlsnitch: " . $_TD->{event} . " " . $_TD->{tag} . " ");
$$ LANGUAGE plperl
----
CREATE EVENT TRIGGER perl_a_snitch
    ON ddl_command_start
    EXECUTE FUNCTION perlsnitch()
----
CREATE FUNCTION funcname (argument-types)
RETURNS return-type
-- function attributes can go here
AS $$
    # PL/Perl function body goes here
$$ LANGUAGE plperl
----
DO $$
    # PL/Perl code
$$ LANGUAGE plperl
----
CREATE FUNCTION perl_max (integer, integer) RETURNS integer AS $$
    if ($_[0] > $_[1]) { return $_[0]; }
    return $_[1];
$$ LANGUAGE plperl
----
CREATE FUNCTION perl_max (integer, integer) RETURNS integer AS $$
    my ($x, $y) = @_;
    if (not defined $x) {
        return undef if not defined $y;
        return $y;
    }
    return $x if not defined $y;
    return $x if $x > $y;
    return $y;
$$ LANGUAGE plperl
----
CREATE EXTENSION bool_plperl
----
CREATE FUNCTION perl_and(bool, bool) RETURNS bool
TRANSFORM FOR TYPE bool
AS $$
  my ($a, $b) = @_;
  return $a && $b;
$$ LANGUAGE plperl
----
CREATE OR REPLACE function returns_array()
RETURNS text[][] AS $$
    return [['a"b','c,d'],['e\\f','g']];
$$ LANGUAGE plperl
----
select returns_array()
----
CREATE OR REPLACE FUNCTION concat_array_elements(text[]) RETURNS TEXT AS $$
    my $arg = shift;
    my $result = "";
    return undef if (!defined $arg);

    # as an array reference
    for (@$arg) {
        $result .= $_;
    }

    # also works as a string
    $result .= $arg;

    return $result;
$$ LANGUAGE plperl
----
SELECT concat_array_elements(ARRAY['PL','/','Perl'])
----
CREATE TABLE employee (
    name text,
    basesalary integer,
    bonus integer
)
----
CREATE FUNCTION empcomp(employee) RETURNS integer AS $$
    my ($emp) = @_;
    return $emp->{basesalary} + $emp->{bonus};
$$ LANGUAGE plperl
----
SELECT name, empcomp(employee.*) FROM employee
----
CREATE TYPE testrowperl AS (f1 integer, f2 text, f3 text)
----
CREATE OR REPLACE FUNCTION perl_row() RETURNS testrowperl AS $$
    return {f2 => 'hello', f1 => 1, f3 => 'world'};
$$ LANGUAGE plperl
----
SELECT * FROM perl_row()
----
CREATE PROCEDURE perl_triple(INOUT a integer, INOUT b integer) AS $$
    my ($a, $b) = @_;
    return {a => $a * 3, b => $b * 3};
$$ LANGUAGE plperl
----
CALL perl_triple(5, 10)
----
CREATE OR REPLACE FUNCTION perl_set_int(int)
RETURNS SETOF INTEGER AS $$
    foreach (0..$_[0]) {
        return_next($_);
    }
    return undef;
$$ LANGUAGE plperl
----
SELECT * FROM perl_set_int(5)
----
CREATE OR REPLACE FUNCTION perl_set()
RETURNS SETOF testrowperl AS $$
    return_next({ f1 => 1, f2 => 'Hello', f3 => 'World' });
    return_next({ f1 => 2, f2 => 'Hello', f3 => 'PostgreSQL' });
    return_next({ f1 => 3, f2 => 'Hello', f3 => 'PL/Perl' });
    return undef;
$$ LANGUAGE plperl
----
CREATE OR REPLACE FUNCTION perl_set_int(int) RETURNS SETOF INTEGER AS $$
    return [0..$_[0]];
$$ LANGUAGE plperl
----
CREATE OR REPLACE FUNCTION perl_set() RETURNS SETOF testrowperl AS $$
    return [
        { f1 => 1, f2 => 'Hello', f3 => 'World' },
        { f1 => 2, f2 => 'Hello', f3 => 'PostgreSQL' },
        { f1 => 3, f2 => 'Hello', f3 => 'PL/Perl' }
    ];
$$ LANGUAGE plperl
----
SELECT * FROM perl_set()
----
CREATE OR REPLACE FUNCTION set_var(name text, val text) RETURNS text AS $$
    if ($_SHARED{$_[0]} = $_[1]) {
        return 'ok';
    } else {
        return "cannot set shared variable $_[0] to $_[1]";
    }
$$ LANGUAGE plperl
----
CREATE OR REPLACE FUNCTION get_var(name text) RETURNS text AS $$
    return $_SHARED{$_[0]};
$$ LANGUAGE plperl
----
SELECT set_var('sample', 'Hello, PL/Perl!  How''s tricks?')
----
SELECT get_var('sample')
----
CREATE OR REPLACE FUNCTION myfuncs() RETURNS void AS $$
    $_SHARED{myquote} = sub {
        my $arg = shift;
        $arg =~ s/(['\\])/\\$1/g;
        return "'$arg'";
    };
$$ LANGUAGE plperl
----
SELECT myfuncs()
----
/* initializes the function */

/* Set up a function that uses the quote function */

CREATE OR REPLACE FUNCTION use_quote(TEXT) RETURNS text AS $$
    my $text_to_quote = shift;
    my $qfunc = $_SHARED{myquote};
    return &$qfunc($text_to_quote);
$$ LANGUAGE plperl
----
CREATE OR REPLACE FUNCTION valid_id() RETURNS trigger AS $$
    if (($_TD->{new}{i} >= 100) || ($_TD->{new}{i} <= 0)) {
        return "SKIP";    # skip INSERT/UPDATE command
    } elsif ($_TD->{new}{v} ne "immortal") {
        $_TD->{new}{v} .= "(modified by trigger)";
        return "MODIFY";  # modify row and execute INSERT/UPDATE command
    } else {
        return;           # execute INSERT/UPDATE command
    }
$$ LANGUAGE plperl
----
CREATE TRIGGER test_valid_id_trig
    BEFORE INSERT OR UPDATE ON test
    FOR EACH ROW EXECUTE FUNCTION valid_id()
----
CREATE FUNCTION badfunc() RETURNS integer AS $$
    my $tmpfile = "/tmp/badfile";
    open my $fh, '>', $tmpfile
        or elog(ERROR, qq{could not open the file "$tmpfile": $!});
    print $fh "Testing writing to a file\n";
    close $fh or elog(ERROR, qq{could not close the file "$tmpfile": $!});
    return 1;
$$ LANGUAGE plperl
----
DO 'elog(WARNING, join ", ", sort keys %INC)' LANGUAGE plperl
----
CREATE TABLE foo (fooid INT, foosubid INT, fooname TEXT)
----
INSERT INTO foo VALUES (1, 2, 'three')
----
INSERT INTO foo VALUES (4, 5, 'six')
----
CREATE OR REPLACE FUNCTION get_all_foo() RETURNS SETOF foo AS
$BODY$
DECLARE
    r foo%rowtype;
BEGIN
    FOR r IN
        SELECT * FROM foo WHERE fooid > 0
    LOOP
        -- can do some processing here
        RETURN NEXT r; -- return current row of SELECT
    END LOOP;
    RETURN;
END;
$BODY$
LANGUAGE plpgsql
----
SELECT * FROM get_all_foo()
----
CREATE FUNCTION get_available_flightid(date) RETURNS SETOF integer AS
$BODY$
BEGIN
    RETURN QUERY SELECT flightid
                   FROM flight
                  WHERE flightdate >= $1
                    AND flightdate < ($1 + 1);

    -- Since execution is not finished, we can check whether rows were returned
    -- and raise exception if not.
    IF NOT FOUND THEN
        RAISE EXCEPTION 'No flight at %.', $1;
    END IF;

    RETURN;
 END;
$BODY$
LANGUAGE plpgsql
----
-- Returns available flights or raises exception if there are no
-- available flights.
SELECT * FROM get_available_flightid(CURRENT_DATE)
----
CREATE PROCEDURE triple(INOUT x int)
LANGUAGE plpgsql
AS $$
BEGIN
    x := x * 3;
END;
$$
----
DO $$
DECLARE myvar int := 5;
BEGIN
  CALL triple(myvar);
  RAISE NOTICE 'myvar = %', myvar;  -- prints 15
END;
$$
----
END IF
----
END CASE
----
-- exit loop
    END IF
----
END LOOP
----
-- same result as previous example
END LOOP
----
-- causes exit from the BEGIN block
    END IF
----
-- computations here will be skipped when stocks > 100000
END
----
-- some computations for count IN [50 .. 100]
END LOOP
----
CREATE FUNCTION refresh_mviews() RETURNS integer AS $$
DECLARE
    mviews RECORD;
BEGIN
    RAISE NOTICE 'Refreshing all materialized views...';

    FOR mviews IN
       SELECT n.nspname AS mv_schema,
              c.relname AS mv_name,
              pg_catalog.pg_get_userbyid(c.relowner) AS owner
         FROM pg_catalog.pg_class c
    LEFT JOIN pg_catalog.pg_namespace n ON (n.oid = c.relnamespace)
        WHERE c.relkind = 'm'
     ORDER BY 1
    LOOP

        -- Now "mviews" has one record with information about the materialized view

        RAISE NOTICE 'Refreshing materialized view %.% (owner: %)...',
                     quote_ident(mviews.mv_schema),
                     quote_ident(mviews.mv_name),
                     quote_ident(mviews.owner);
        EXECUTE format('REFRESH MATERIALIZED VIEW %I.%I', mviews.mv_schema, mviews.mv_name);
    END LOOP;

    RAISE NOTICE 'Done refreshing materialized views.';
    RETURN 1;
END;
$$ LANGUAGE plpgsql
----
CREATE FUNCTION sum(int[]) RETURNS int8 AS $$
DECLARE
  s int8 := 0;
  x int;
BEGIN
  FOREACH x IN ARRAY $1
  LOOP
    s := s + x;
  END LOOP;
  RETURN s;
END;
$$ LANGUAGE plpgsql
----
CREATE FUNCTION scan_rows(int[]) RETURNS void AS $$
DECLARE
  x int[];
BEGIN
  FOREACH x SLICE 1 IN ARRAY $1
  LOOP
    RAISE NOTICE 'row = %', x;
  END LOOP;
END;
$$ LANGUAGE plpgsql
----
SELECT scan_rows(ARRAY[[1,2,3],[4,5,6],[7,8,9],[10,11,12]])
----
INSERT INTO mytab(firstname, lastname) VALUES('Tom', 'Jones')
----
BEGIN
    UPDATE mytab SET firstname = 'Joe' WHERE lastname = 'Jones'
----
CREATE TABLE db (a INT PRIMARY KEY, b TEXT)
----
CREATE FUNCTION merge_db(key INT, data TEXT) RETURNS VOID AS
$$
BEGIN
    LOOP
        -- first try to update the key
        UPDATE db SET b = data WHERE a = key;
        IF found THEN
            RETURN;
        END IF;
        -- not there, so try to insert the key
        -- if someone else inserts the same key concurrently,
        -- we could get a unique-key failure
        BEGIN
            INSERT INTO db(a,b) VALUES (key, data);
            RETURN;
        EXCEPTION WHEN unique_violation THEN
            -- Do nothing, and loop to try the UPDATE again.
        END;
    END LOOP;
END;
$$
LANGUAGE plpgsql
----
SELECT merge_db(1, 'david')
----
SELECT merge_db(1, 'dennis')
----
DECLARE
  text_var1 text
----
BEGIN
  -- some processing which might cause an exception
  ...
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS text_var1 = MESSAGE_TEXT,
                          text_var2 = PG_EXCEPTION_DETAIL,
                          text_var3 = PG_EXCEPTION_HINT
----
CREATE OR REPLACE FUNCTION outer_func() RETURNS integer AS $$
BEGIN
  RETURN inner_func();
END;
$$ LANGUAGE plpgsql
----
CREATE OR REPLACE FUNCTION inner_func() RETURNS integer AS $$
DECLARE
  stack text;
BEGIN
  GET DIAGNOSTICS stack = PG_CONTEXT;
  RAISE NOTICE E'--- Call Stack ---\n%', stack;
  RETURN 1;
END;
$$ LANGUAGE plpgsql
----
SELECT outer_func()
----
DECLARE
    curs1 refcursor
----
DECLARE
    key integer
----
BEGIN
    key := 42
----
FETCH curs1 INTO rowvar
----
FETCH curs2 INTO foo, bar, baz
----
FETCH LAST FROM curs3 INTO x, y
----
FETCH RELATIVE -2 FROM curs4 INTO x
----
MOVE curs1
----
MOVE LAST FROM curs3
----
MOVE RELATIVE -2 FROM curs4
----
MOVE FORWARD 2 FROM curs4
----
UPDATE foo SET dataval = myval WHERE CURRENT OF curs1
----
CLOSE curs1
----
CREATE TABLE test (col text)
----
INSERT INTO test VALUES ('123')
----
CREATE FUNCTION reffunc(refcursor) RETURNS refcursor AS '
BEGIN
    OPEN $1 FOR SELECT col FROM test;
    RETURN $1;
END;
' LANGUAGE plpgsql
----
SELECT reffunc('funccursor')
----
FETCH ALL IN funccursor
----
CREATE FUNCTION reffunc2() RETURNS refcursor AS '
DECLARE
    ref refcursor;
BEGIN
    OPEN ref FOR SELECT col FROM test;
    RETURN ref;
END;
' LANGUAGE plpgsql
----
-- need to be in a transaction to use cursors.
BEGIN
----
SELECT reffunc2()
----
CREATE FUNCTION myfunc(refcursor, refcursor) RETURNS SETOF refcursor AS $$
BEGIN
    OPEN $1 FOR SELECT * FROM table_1;
    RETURN NEXT $1;
    OPEN $2 FOR SELECT * FROM table_2;
    RETURN NEXT $2;
END;
$$ LANGUAGE plpgsql
----
SELECT * FROM myfunc('a', 'b')
----
FETCH ALL FROM a
----
FETCH ALL FROM b
----
DECLARE
  x integer := 1
----
CREATE FUNCTION sales_tax(subtotal real) RETURNS real AS $$
BEGIN
    RETURN subtotal * 0.06;
END;
$$ LANGUAGE plpgsql
----
CREATE FUNCTION sales_tax(real) RETURNS real AS $$
DECLARE
    subtotal ALIAS FOR $1;
BEGIN
    RETURN subtotal * 0.06;
END;
$$ LANGUAGE plpgsql
----
CREATE FUNCTION instr(varchar, integer) RETURNS integer AS $$
DECLARE
    v_string ALIAS FOR $1;
    index ALIAS FOR $2;
BEGIN
    -- some computations using v_string and index here
END;
$$ LANGUAGE plpgsql
----
CREATE FUNCTION concat_selected_fields(in_t sometablename) RETURNS text AS $$
BEGIN
    RETURN in_t.f1 || in_t.f3 || in_t.f5 || in_t.f7;
END;
$$ LANGUAGE plpgsql
----
CREATE FUNCTION sales_tax(subtotal real, OUT tax real) AS $$
BEGIN
    tax := subtotal * 0.06;
END;
$$ LANGUAGE plpgsql
----
SELECT sales_tax(100.00)
----
CREATE FUNCTION sum_n_product(x int, y int, OUT sum int, OUT prod int) AS $$
BEGIN
    sum := x + y;
    prod := x * y;
END;
$$ LANGUAGE plpgsql
----
SELECT * FROM sum_n_product(2, 4)
----
CREATE PROCEDURE sum_n_product(x int, y int, OUT sum int, OUT prod int) AS $$
BEGIN
    sum := x + y;
    prod := x * y;
END;
$$ LANGUAGE plpgsql
----
CALL sum_n_product(2, 4, NULL, NULL)
----
CREATE FUNCTION extended_sales(p_itemno int)
RETURNS TABLE(quantity int, total numeric) AS $$
BEGIN
    RETURN QUERY SELECT s.quantity, s.quantity * s.price FROM sales AS s
                 WHERE s.itemno = p_itemno;
END;
$$ LANGUAGE plpgsql
----
CREATE FUNCTION add_three_values(v1 anyelement, v2 anyelement, v3 anyelement)
RETURNS anyelement AS $$
DECLARE
    result ALIAS FOR $0;
BEGIN
    result := v1 + v2 + v3;
    RETURN result;
END;
$$ LANGUAGE plpgsql
----
CREATE FUNCTION add_three_values(v1 anyelement, v2 anyelement, v3 anyelement,
                                 OUT sum anyelement)
AS $$
BEGIN
    sum := v1 + v2 + v3;
END;
$$ LANGUAGE plpgsql
----
CREATE FUNCTION add_three_values(v1 anycompatible, v2 anycompatible, v3 anycompatible)
RETURNS anycompatible AS $$
BEGIN
    RETURN v1 + v2 + v3;
END;
$$ LANGUAGE plpgsql
----
SELECT add_three_values(1, 2, 4.7)
----
DECLARE
  prior ALIAS FOR old
----
CREATE FUNCTION merge_fields(t_row table1) RETURNS text AS $$
DECLARE
    t2_row table2%ROWTYPE;
BEGIN
    SELECT * INTO t2_row FROM table2 WHERE ... ;
    RETURN t_row.f1 || t2_row.f3 || t_row.f5 || t2_row.f7;
END;
$$ LANGUAGE plpgsql
----
SELECT merge_fields(t.*) FROM table1 t WHERE ...
----
CREATE FUNCTION less_than(a text, b text) RETURNS boolean AS $$
BEGIN
    RETURN a < b;
END;
$$ LANGUAGE plpgsql
----
SELECT less_than(text_field_1, text_field_2) FROM table1
----
SELECT less_than(text_field_1, text_field_2 COLLATE "C") FROM table1
----
CREATE FUNCTION less_than(a text, b text) RETURNS boolean AS $$
DECLARE
    local_a text := a;
    local_b text := b;
BEGIN
    RETURN local_a < local_b;
END;
$$ LANGUAGE plpgsql
----
DECLARE
    local_a text COLLATE "en_US"
----
CREATE FUNCTION less_than_c(a text, b text) RETURNS boolean AS $$
BEGIN
    RETURN a < b COLLATE "C";
END;
$$ LANGUAGE plpgsql
----
CREATE OR REPLACE FUNCTION testfunc(integer) RETURNS integer AS $$
          ....
$$ LANGUAGE plpgsql
----
CREATE OR REPLACE FUNCTION testfunc(integer) RETURNS integer AS $PROC$
          ....
$PROC$ LANGUAGE plpgsql
----
CREATE FUNCTION foo() RETURNS integer AS '
          ....
' LANGUAGE plpgsql
----
SELECT * FROM users WHERE f_name=''foobar''
----
SELECT * FROM users WHERE f_name='foobar'
----
end if
----
SET plpgsql.extra_warnings TO 'shadowed_variables'
----
CREATE FUNCTION foo(f1 int) RETURNS int AS $$
DECLARE
f1 int;
BEGIN
RETURN f1;
END;
$$ LANGUAGE plpgsql
----
SET plpgsql.extra_warnings TO 'strict_multi_assignment'
----
CREATE OR REPLACE FUNCTION public.foo()
 RETURNS void
 LANGUAGE plpgsql
AS $$
DECLARE
  x int;
  y int;
BEGIN
  SELECT 1 INTO x, y;
  SELECT 1, 2 INTO x, y;
  SELECT 1, 2, 3 INTO x, y;
END;
$$
----
SELECT foo()
----
PREPARE statement_name(integer, integer) AS SELECT $1 < $2
----
INSERT INTO foo (foo) VALUES (foo(foo))
----
INSERT INTO dest (col) SELECT foo + bar FROM src
----
BEGIN
    foo := ...
----
INSERT INTO dest (col) SELECT block.foo + bar FROM src
----
CREATE FUNCTION stamp_user(id int, comment text) RETURNS void AS $$
    #variable_conflict use_variable
    DECLARE
        curtime timestamp := now();
    BEGIN
        UPDATE users SET last_modified = curtime, comment = comment
          WHERE users.id = id;
    END;
$$ LANGUAGE plpgsql
----
CREATE FUNCTION stamp_user(id int, comment text) RETURNS void AS $$
    <<fn>>
    DECLARE
        curtime timestamp := now();
    BEGIN
        UPDATE users SET last_modified = fn.curtime, comment = stamp_user.comment
          WHERE users.id = stamp_user.id;
    END;
$$ LANGUAGE plpgsql
----
CREATE FUNCTION logfunc1(logtxt text) RETURNS void AS $$
    BEGIN
        INSERT INTO logtable VALUES (logtxt, 'now');
    END;
$$ LANGUAGE plpgsql
----
CREATE FUNCTION logfunc2(logtxt text) RETURNS void AS $$
    DECLARE
        curtime timestamp;
    BEGIN
        curtime := 'now';
        INSERT INTO logtable VALUES (logtxt, curtime);
    END;
$$ LANGUAGE plpgsql
----
CREATE OR REPLACE FUNCTION cs_fmt_browser_version(v_name varchar2,
                                                  v_version varchar2)
RETURN varchar2 IS
BEGIN
    IF v_version IS NULL THEN
        RETURN v_name
----
CREATE OR REPLACE FUNCTION cs_fmt_browser_version(v_name varchar,
                                                  v_version varchar)
RETURNS varchar AS $$
BEGIN
    IF v_version IS NULL THEN
        RETURN v_name;
    END IF;
    RETURN v_name || '/' || v_version;
END;
$$ LANGUAGE plpgsql
----
CREATE OR REPLACE PROCEDURE cs_update_referrer_type_proc IS
    CURSOR referrer_keys IS
        SELECT * FROM cs_referrer_keys
        ORDER BY try_order
----
BEGIN
    func_cmd := 'CREATE OR REPLACE FUNCTION cs_find_referrer_type(v_host IN VARCHAR2,
                 v_domain IN VARCHAR2, v_url IN VARCHAR2) RETURN VARCHAR2 IS BEGIN'
----
EXECUTE IMMEDIATE func_cmd
----
CREATE OR REPLACE PROCEDURE cs_update_referrer_type_proc() AS $func$
DECLARE
    referrer_keys CURSOR IS
        SELECT * FROM cs_referrer_keys
        ORDER BY try_order;
    func_body text;
    func_cmd text;
BEGIN
    func_body := 'BEGIN';

    FOR referrer_key IN referrer_keys LOOP
        func_body := func_body ||
          ' IF v_' || referrer_key.kind
          || ' LIKE ' || quote_literal(referrer_key.key_string)
          || ' THEN RETURN ' || quote_literal(referrer_key.referrer_type)
          || '; END IF;' ;
    END LOOP;

    func_body := func_body || ' RETURN NULL; END;';

    func_cmd :=
      'CREATE OR REPLACE FUNCTION cs_find_referrer_type(v_host varchar,
                                                        v_domain varchar,
                                                        v_url varchar)
        RETURNS varchar AS '
      || quote_literal(func_body)
      || ' LANGUAGE plpgsql;' ;

    EXECUTE func_cmd;
END;
$func$ LANGUAGE plpgsql
----
CREATE OR REPLACE PROCEDURE cs_parse_url(
    v_url IN VARCHAR2,
    v_host OUT VARCHAR2,  -- This will be passed back
    v_path OUT VARCHAR2,  -- This one too
    v_query OUT VARCHAR2) -- And this one
IS
    a_pos1 INTEGER
----
BEGIN
    v_host := NULL
----
CREATE OR REPLACE FUNCTION cs_parse_url(
    v_url IN VARCHAR,
    v_host OUT VARCHAR,  -- This will be passed back
    v_path OUT VARCHAR,  -- This one too
    v_query OUT VARCHAR) -- And this one
AS $$
DECLARE
    a_pos1 INTEGER;
    a_pos2 INTEGER;
BEGIN
    v_host := NULL;
    v_path := NULL;
    v_query := NULL;
    a_pos1 := instr(v_url, '//');

    IF a_pos1 = 0 THEN
        RETURN;
    END IF;
    a_pos2 := instr(v_url, '/', a_pos1 + 2);
    IF a_pos2 = 0 THEN
        v_host := substr(v_url, a_pos1 + 2);
        v_path := '/';
        RETURN;
    END IF;

    v_host := substr(v_url, a_pos1 + 2, a_pos2 - a_pos1 - 2);
    a_pos1 := instr(v_url, '?', a_pos2 + 1);

    IF a_pos1 = 0 THEN
        v_path := substr(v_url, a_pos2);
        RETURN;
    END IF;

    v_path := substr(v_url, a_pos2, a_pos1 - a_pos2);
    v_query := substr(v_url, a_pos1 + 1);
END;
$$ LANGUAGE plpgsql
----
SELECT * FROM cs_parse_url('http://foobar.com/query.cgi?baz')
----
CREATE OR REPLACE PROCEDURE cs_create_job(v_job_id IN INTEGER) IS
    a_running_job_count INTEGER
----
BEGIN
    LOCK TABLE cs_jobs IN EXCLUSIVE MODE
----
SELECT count(*) INTO a_running_job_count FROM cs_jobs WHERE end_stamp IS NULL
----
DELETE FROM cs_active_job
----
INSERT INTO cs_active_job(job_id) VALUES (v_job_id)
----
BEGIN
        INSERT INTO cs_jobs (job_id, start_stamp) VALUES (v_job_id, now())
----
-- don't worry if it already exists
    END
----
CREATE OR REPLACE PROCEDURE cs_create_job(v_job_id integer) AS $$
DECLARE
    a_running_job_count integer;
BEGIN
    LOCK TABLE cs_jobs IN EXCLUSIVE MODE;

    SELECT count(*) INTO a_running_job_count FROM cs_jobs WHERE end_stamp IS NULL;

    IF a_running_job_count > 0 THEN
        COMMIT; -- free lock
        RAISE EXCEPTION 'Unable to create a new job: a job is currently running'; -- (1)
    END IF;

    DELETE FROM cs_active_job;
    INSERT INTO cs_active_job(job_id) VALUES (v_job_id);

    BEGIN
        INSERT INTO cs_jobs (job_id, start_stamp) VALUES (v_job_id, now());
    EXCEPTION
        WHEN unique_violation THEN -- (2)
            -- don't worry if it already exists
    END;
    COMMIT;
END;
$$ LANGUAGE plpgsql
----
BEGIN
    SAVEPOINT s1
----
CREATE FUNCTION foo(...) RETURNS integer AS $$
...
$$ LANGUAGE plpgsql STRICT IMMUTABLE
----
--
-- instr functions that mimic Oracle's counterpart
-- Syntax: instr(string1, string2 [, n [, m]])
-- where [] denotes optional parameters.
--
-- Search string1, beginning at the nth character, for the mth occurrence
-- of string2.  If n is negative, search backwards, starting at the abs(n)'th
-- character from the end of string1.
-- If n is not passed, assume 1 (search starts at first character).
-- If m is not passed, assume 1 (find first occurrence).
-- Returns starting index of string2 in string1, or 0 if string2 is not found.
--

CREATE FUNCTION instr(varchar, varchar) RETURNS integer AS $$
BEGIN
    RETURN instr($1, $2, 1);
END;
$$ LANGUAGE plpgsql STRICT IMMUTABLE
----
CREATE FUNCTION instr(string varchar, string_to_search_for varchar,
                      beg_index integer)
RETURNS integer AS $$
DECLARE
    pos integer NOT NULL DEFAULT 0;
    temp_str varchar;
    beg integer;
    length integer;
    ss_length integer;
BEGIN
    IF beg_index > 0 THEN
        temp_str := substring(string FROM beg_index);
        pos := position(string_to_search_for IN temp_str);

        IF pos = 0 THEN
            RETURN 0;
        ELSE
            RETURN pos + beg_index - 1;
        END IF;
    ELSIF beg_index < 0 THEN
        ss_length := char_length(string_to_search_for);
        length := char_length(string);
        beg := length + 1 + beg_index;

        WHILE beg > 0 LOOP
            temp_str := substring(string FROM beg FOR ss_length);
            IF string_to_search_for = temp_str THEN
                RETURN beg;
            END IF;

            beg := beg - 1;
        END LOOP;

        RETURN 0;
    ELSE
        RETURN 0;
    END IF;
END;
$$ LANGUAGE plpgsql STRICT IMMUTABLE
----
CREATE FUNCTION instr(string varchar, string_to_search_for varchar,
                      beg_index integer, occur_index integer)
RETURNS integer AS $$
DECLARE
    pos integer NOT NULL DEFAULT 0;
    occur_number integer NOT NULL DEFAULT 0;
    temp_str varchar;
    beg integer;
    i integer;
    length integer;
    ss_length integer;
BEGIN
    IF occur_index <= 0 THEN
        RAISE 'argument ''%'' is out of range', occur_index
          USING ERRCODE = '22003';
    END IF;

    IF beg_index > 0 THEN
        beg := beg_index - 1;
        FOR i IN 1..occur_index LOOP
            temp_str := substring(string FROM beg + 1);
            pos := position(string_to_search_for IN temp_str);
            IF pos = 0 THEN
                RETURN 0;
            END IF;
            beg := beg + pos;
        END LOOP;

        RETURN beg;
    ELSIF beg_index < 0 THEN
        ss_length := char_length(string_to_search_for);
        length := char_length(string);
        beg := length + 1 + beg_index;

        WHILE beg > 0 LOOP
            temp_str := substring(string FROM beg FOR ss_length);
            IF string_to_search_for = temp_str THEN
                occur_number := occur_number + 1;
                IF occur_number = occur_index THEN
                    RETURN beg;
                END IF;
            END IF;

            beg := beg - 1;
        END LOOP;

        RETURN 0;
    ELSE
        RETURN 0;
    END IF;
END;
$$ LANGUAGE plpgsql STRICT IMMUTABLE
----
CREATE TABLE mytable (id int primary key, data text)
----
INSERT INTO mytable VALUES (1,'one'), (2,'two')
----
SELECT * INTO myrec FROM emp WHERE empname = myname
----
BEGIN
    SELECT * INTO STRICT myrec FROM emp WHERE empname = myname
----
CREATE FUNCTION get_userid(username text) RETURNS int
AS $$
#print_strict_params on
DECLARE
userid int;
BEGIN
    SELECT users.userid INTO STRICT userid
        FROM users WHERE users.username = get_userid.username;
    RETURN userid;
END;
$$ LANGUAGE plpgsql
----
EXECUTE 'SELECT count(*) FROM mytable WHERE inserted_by = $1 AND inserted <= $2'
   INTO c
   USING checked_user, checked_date
----
EXECUTE 'SELECT count(*) FROM '
    || quote_ident(tabname)
    || ' WHERE inserted_by = $1 AND inserted <= $2'
   INTO c
   USING checked_user, checked_date
----
EXECUTE format('SELECT count(*) FROM %I '
   'WHERE inserted_by = $1 AND inserted <= $2', tabname)
   INTO c
   USING checked_user, checked_date
----
EXECUTE format('UPDATE tbl SET %I = $1 '
   'WHERE key = $2', colname) USING newvalue, keyvalue
----
EXECUTE 'UPDATE tbl SET '
        || quote_ident(colname)
        || ' = '
        || quote_literal(newvalue)
        || ' WHERE key = '
        || quote_literal(keyvalue)
----
EXECUTE 'UPDATE tbl SET '
        || quote_ident(colname)
        || ' = '
        || quote_nullable(newvalue)
        || ' WHERE key = '
        || quote_nullable(keyvalue)
----
EXECUTE 'UPDATE tbl SET '
        || quote_ident(colname)
        || ' = $$'
        || newvalue
        || '$$ WHERE key = '
        || quote_literal(keyvalue)
----
EXECUTE format('UPDATE tbl SET %I = %L '
   'WHERE key = %L', colname, newvalue, keyvalue)
----
EXECUTE format('UPDATE tbl SET %I = $1 WHERE key = $2', colname)
   USING newvalue, keyvalue
----
BEGIN
    y := x / 0
----
-- ignore the error
END
----
CREATE FUNCTION somefunc(integer, text) RETURNS integer
AS 'function body text'
LANGUAGE plpgsql
----
CREATE FUNCTION somefunc() RETURNS integer AS $$
<< outerblock >>
DECLARE
    quantity integer := 30;
BEGIN
    RAISE NOTICE 'Quantity here is %', quantity;  -- Prints 30
    quantity := 50;
    --
    -- Create a subblock
    --
    DECLARE
        quantity integer := 80;
    BEGIN
        RAISE NOTICE 'Quantity here is %', quantity;  -- Prints 80
        RAISE NOTICE 'Outer quantity here is %', outerblock.quantity;  -- Prints 50
    END;

    RAISE NOTICE 'Quantity here is %', quantity;  -- Prints 50

    RETURN quantity;
END;
$$ LANGUAGE plpgsql
----
CREATE PROCEDURE transaction_test1()
LANGUAGE plpgsql
AS $$
BEGIN
    FOR i IN 0..9 LOOP
        INSERT INTO test1 (a) VALUES (i);
        IF i % 2 = 0 THEN
            COMMIT;
        ELSE
            ROLLBACK;
        END IF;
    END LOOP;
END;
$$
----
CREATE PROCEDURE transaction_test2()
LANGUAGE plpgsql
AS $$
DECLARE
    r RECORD;
BEGIN
    FOR r IN SELECT * FROM test2 ORDER BY x LOOP
        INSERT INTO test1 (a) VALUES (r.x);
        COMMIT;
    END LOOP;
END;
$$
----
CALL transaction_test2()
----
CREATE TABLE emp (
    empname text,
    salary integer,
    last_date timestamp,
    last_user text
)
----
CREATE FUNCTION emp_stamp() RETURNS trigger AS $emp_stamp$
    BEGIN
        -- Check that empname and salary are given
        IF NEW.empname IS NULL THEN
            RAISE EXCEPTION 'empname cannot be null';
        END IF;
        IF NEW.salary IS NULL THEN
            RAISE EXCEPTION '% cannot have null salary', NEW.empname;
        END IF;

        -- Who works for us when they must pay for it?
        IF NEW.salary < 0 THEN
            RAISE EXCEPTION '% cannot have a negative salary', NEW.empname;
        END IF;

        -- Remember who changed the payroll when
        NEW.last_date := current_timestamp;
        NEW.last_user := current_user;
        RETURN NEW;
    END;
$emp_stamp$ LANGUAGE plpgsql
----
CREATE TRIGGER emp_stamp BEFORE INSERT OR UPDATE ON emp
    FOR EACH ROW EXECUTE FUNCTION emp_stamp()
----
CREATE TABLE emp (
    empname           text NOT NULL,
    salary            integer
)
----
CREATE TABLE emp_audit(
    operation         char(1)   NOT NULL,
    stamp             timestamp NOT NULL,
    userid            text      NOT NULL,
    empname           text      NOT NULL,
    salary integer
)
----
CREATE OR REPLACE FUNCTION process_emp_audit() RETURNS TRIGGER AS $emp_audit$
    BEGIN
        --
        -- Create a row in emp_audit to reflect the operation performed on emp,
        -- making use of the special variable TG_OP to work out the operation.
        --
        IF (TG_OP = 'DELETE') THEN
            INSERT INTO emp_audit SELECT 'D', now(), current_user, OLD.*;
        ELSIF (TG_OP = 'UPDATE') THEN
            INSERT INTO emp_audit SELECT 'U', now(), current_user, NEW.*;
        ELSIF (TG_OP = 'INSERT') THEN
            INSERT INTO emp_audit SELECT 'I', now(), current_user, NEW.*;
        END IF;
        RETURN NULL; -- result is ignored since this is an AFTER trigger
    END;
$emp_audit$ LANGUAGE plpgsql
----
CREATE TRIGGER emp_audit
AFTER INSERT OR UPDATE OR DELETE ON emp
    FOR EACH ROW EXECUTE FUNCTION process_emp_audit()
----
CREATE TABLE emp (
    empname           text PRIMARY KEY,
    salary            integer
)
----
CREATE TABLE emp_audit(
    operation         char(1)   NOT NULL,
    userid            text      NOT NULL,
    empname           text      NOT NULL,
    salary            integer,
    stamp             timestamp NOT NULL
)
----
CREATE VIEW emp_view AS
    SELECT e.empname,
           e.salary,
           max(ea.stamp) AS last_updated
      FROM emp e
      LEFT JOIN emp_audit ea ON ea.empname = e.empname
     GROUP BY 1, 2
----
CREATE OR REPLACE FUNCTION update_emp_view() RETURNS TRIGGER AS $$
    BEGIN
        --
        -- Perform the required operation on emp, and create a row in emp_audit
        -- to reflect the change made to emp.
        --
        IF (TG_OP = 'DELETE') THEN
            DELETE FROM emp WHERE empname = OLD.empname;
            IF NOT FOUND THEN RETURN NULL; END IF;

            OLD.last_updated = now();
            INSERT INTO emp_audit VALUES('D', current_user, OLD.*);
            RETURN OLD;
        ELSIF (TG_OP = 'UPDATE') THEN
            UPDATE emp SET salary = NEW.salary WHERE empname = OLD.empname;
            IF NOT FOUND THEN RETURN NULL; END IF;

            NEW.last_updated = now();
            INSERT INTO emp_audit VALUES('U', current_user, NEW.*);
            RETURN NEW;
        ELSIF (TG_OP = 'INSERT') THEN
            INSERT INTO emp VALUES(NEW.empname, NEW.salary);

            NEW.last_updated = now();
            INSERT INTO emp_audit VALUES('I', current_user, NEW.*);
            RETURN NEW;
        END IF;
    END;
$$ LANGUAGE plpgsql
----
CREATE TRIGGER emp_audit
INSTEAD OF INSERT OR UPDATE OR DELETE ON emp_view
    FOR EACH ROW EXECUTE FUNCTION update_emp_view()
----
--
-- Main tables - time dimension and sales fact.
--
CREATE TABLE time_dimension (
    time_key                    integer NOT NULL,
    day_of_week                 integer NOT NULL,
    day_of_month                integer NOT NULL,
    month                       integer NOT NULL,
    quarter                     integer NOT NULL,
    year                        integer NOT NULL
)
----
CREATE UNIQUE INDEX time_dimension_key ON time_dimension(time_key)
----
CREATE TABLE sales_fact (
    time_key                    integer NOT NULL,
    product_key                 integer NOT NULL,
    store_key                   integer NOT NULL,
    amount_sold                 numeric(12,2) NOT NULL,
    units_sold                  integer NOT NULL,
    amount_cost                 numeric(12,2) NOT NULL
)
----
CREATE INDEX sales_fact_time ON sales_fact(time_key)
----
--
-- Summary table - sales by time.
--
CREATE TABLE sales_summary_bytime (
    time_key                    integer NOT NULL,
    amount_sold                 numeric(15,2) NOT NULL,
    units_sold                  numeric(12) NOT NULL,
    amount_cost                 numeric(15,2) NOT NULL
)
----
CREATE UNIQUE INDEX sales_summary_bytime_key ON sales_summary_bytime(time_key)
----
--
-- Function and trigger to amend summarized column(s) on UPDATE, INSERT, DELETE.
--
CREATE OR REPLACE FUNCTION maint_sales_summary_bytime() RETURNS TRIGGER
AS $maint_sales_summary_bytime$
    DECLARE
        delta_time_key          integer;
        delta_amount_sold       numeric(15,2);
        delta_units_sold        numeric(12);
        delta_amount_cost       numeric(15,2);
    BEGIN

        -- Work out the increment/decrement amount(s).
        IF (TG_OP = 'DELETE') THEN

            delta_time_key = OLD.time_key;
            delta_amount_sold = -1 * OLD.amount_sold;
            delta_units_sold = -1 * OLD.units_sold;
            delta_amount_cost = -1 * OLD.amount_cost;

        ELSIF (TG_OP = 'UPDATE') THEN

            -- forbid updates that change the time_key -
            -- (probably not too onerous, as DELETE + INSERT is how most
            -- changes will be made).
            IF ( OLD.time_key != NEW.time_key) THEN
                RAISE EXCEPTION 'Update of time_key : % -> % not allowed',
                                                      OLD.time_key, NEW.time_key;
            END IF;

            delta_time_key = OLD.time_key;
            delta_amount_sold = NEW.amount_sold - OLD.amount_sold;
            delta_units_sold = NEW.units_sold - OLD.units_sold;
            delta_amount_cost = NEW.amount_cost - OLD.amount_cost;

        ELSIF (TG_OP = 'INSERT') THEN

            delta_time_key = NEW.time_key;
            delta_amount_sold = NEW.amount_sold;
            delta_units_sold = NEW.units_sold;
            delta_amount_cost = NEW.amount_cost;

        END IF;


        -- Insert or update the summary row with the new values.
        <<insert_update>>
        LOOP
            UPDATE sales_summary_bytime
                SET amount_sold = amount_sold + delta_amount_sold,
                    units_sold = units_sold + delta_units_sold,
                    amount_cost = amount_cost + delta_amount_cost
                WHERE time_key = delta_time_key;

            EXIT insert_update WHEN found;

            BEGIN
                INSERT INTO sales_summary_bytime (
                            time_key,
                            amount_sold,
                            units_sold,
                            amount_cost)
                    VALUES (
                            delta_time_key,
                            delta_amount_sold,
                            delta_units_sold,
                            delta_amount_cost
                           );

                EXIT insert_update;

            EXCEPTION
                WHEN UNIQUE_VIOLATION THEN
                    -- do nothing
            END;
        END LOOP insert_update;

        RETURN NULL;

    END;
$maint_sales_summary_bytime$ LANGUAGE plpgsql
----
CREATE TRIGGER maint_sales_summary_bytime
AFTER INSERT OR UPDATE OR DELETE ON sales_fact
    FOR EACH ROW EXECUTE FUNCTION maint_sales_summary_bytime()
----
INSERT INTO sales_fact VALUES(1,1,1,10,3,15)
----
INSERT INTO sales_fact VALUES(1,2,1,20,5,35)
----
INSERT INTO sales_fact VALUES(2,2,1,40,15,135)
----
INSERT INTO sales_fact VALUES(2,3,1,10,1,13)
----
SELECT * FROM sales_summary_bytime
----
DELETE FROM sales_fact WHERE product_key = 1
----
UPDATE sales_fact SET units_sold = units_sold * 2
----
CREATE OR REPLACE FUNCTION process_emp_audit() RETURNS TRIGGER AS $emp_audit$
    BEGIN
        --
        -- Create rows in emp_audit to reflect the operations performed on emp,
        -- making use of the special variable TG_OP to work out the operation.
        --
        IF (TG_OP = 'DELETE') THEN
            INSERT INTO emp_audit
                SELECT 'D', now(), current_user, o.* FROM old_table o;
        ELSIF (TG_OP = 'UPDATE') THEN
            INSERT INTO emp_audit
                SELECT 'U', now(), current_user, n.* FROM new_table n;
        ELSIF (TG_OP = 'INSERT') THEN
            INSERT INTO emp_audit
                SELECT 'I', now(), current_user, n.* FROM new_table n;
        END IF;
        RETURN NULL; -- result is ignored since this is an AFTER trigger
    END;
$emp_audit$ LANGUAGE plpgsql
----
CREATE TRIGGER emp_audit_ins
    AFTER INSERT ON emp
    REFERENCING NEW TABLE AS new_table
    FOR EACH STATEMENT EXECUTE FUNCTION process_emp_audit()
----
CREATE TRIGGER emp_audit_upd
    AFTER UPDATE ON emp
    REFERENCING OLD TABLE AS old_table NEW TABLE AS new_table
    FOR EACH STATEMENT EXECUTE FUNCTION process_emp_audit()
----
CREATE TRIGGER emp_audit_del
    AFTER DELETE ON emp
    REFERENCING OLD TABLE AS old_table
    FOR EACH STATEMENT EXECUTE FUNCTION process_emp_audit()
----
CREATE OR REPLACE FUNCTION snitch() RETURNS event_trigger AS $$
BEGIN
    RAISE NOTICE 'snitch: % %', tg_event, tg_tag;
END;
$$ LANGUAGE plpgsql
----
CREATE EVENT TRIGGER snitch ON ddl_command_start EXECUTE FUNCTION snitch()
----
CREATE FUNCTION pymax (a integer, b integer)
  RETURNS integer
AS $$
  if (a is None) or (b is None):
    return None
  if a > b:
    return a
  return b
$$ LANGUAGE plpython3u
----
CREATE FUNCTION return_arr()
  RETURNS int[]
AS $$
return [1, 2, 3, 4, 5]
$$ LANGUAGE plpython3u
----
SELECT return_arr()
----
CREATE FUNCTION test_type_conversion_array_int4(x int4[]) RETURNS int4[] AS $$
plpy.info(x, type(x))
return x
$$ LANGUAGE plpython3u
----
SELECT * FROM test_type_conversion_array_int4(ARRAY[[1,2,3],[4,5,6]])
----
CREATE FUNCTION return_str_arr()
  RETURNS varchar[]
AS $$
return "hello"
$$ LANGUAGE plpython3u
----
SELECT return_str_arr()
----
CREATE TABLE employee (
  name text,
  salary integer,
  age integer
)
----
CREATE FUNCTION overpaid (e employee)
  RETURNS boolean
AS $$
  if e["salary"] > 200000:
    return True
  if (e["age"] < 30) and (e["salary"] > 100000):
    return True
  return False
$$ LANGUAGE plpython3u
----
CREATE TYPE named_value AS (
  name   text,
  value  integer
)
----
CREATE FUNCTION make_pair (name text, value integer)
  RETURNS named_value
AS $$
  return ( name, value )
  # or alternatively, as list: return [ name, value ]
$$ LANGUAGE plpython3u
----
CREATE FUNCTION make_pair (name text, value integer)
  RETURNS named_value
AS $$
  return { "name": name, "value": value }
$$ LANGUAGE plpython3u
----
CREATE FUNCTION make_pair (name text, value integer)
  RETURNS named_value
AS $$
  class named_value:
    def __init__ (self, n, v):
      self.name = n
      self.value = v
  return named_value(name, value)

  # or simply
  class nv: pass
  nv.name = name
  nv.value = value
  return nv
$$ LANGUAGE plpython3u
----
CREATE FUNCTION multiout_simple(OUT i integer, OUT j integer) AS $$
return (1, 2)
$$ LANGUAGE plpython3u
----
SELECT * FROM multiout_simple()
----
CREATE PROCEDURE python_triple(INOUT a integer, INOUT b integer) AS $$
return (a * 3, b * 3)
$$ LANGUAGE plpython3u
----
CALL python_triple(5, 10)
----
CREATE TYPE greeting AS (
  how text,
  who text
)
----
CREATE FUNCTION greet (how text)
  RETURNS SETOF greeting
AS $$
  # return tuple containing lists as composite types
  # all other combinations work also
  return ( [ how, "World" ], [ how, "PostgreSQL" ], [ how, "PL/Python" ] )
$$ LANGUAGE plpython3u
----
CREATE FUNCTION greet (how text)
  RETURNS SETOF greeting
AS $$
  class producer:
    def __init__ (self, how, who):
      self.how = how
      self.who = who
      self.ndx = -1

    def __iter__ (self):
      return self

    def __next__(self):
      self.ndx += 1
      if self.ndx == len(self.who):
        raise StopIteration
      return ( self.how, self.who[self.ndx] )

  return producer(how, [ "World", "PostgreSQL", "PL/Python" ])
$$ LANGUAGE plpython3u
----
CREATE FUNCTION greet (how text)
  RETURNS SETOF greeting
AS $$
  for who in [ "World", "PostgreSQL", "PL/Python" ]:
    yield ( how, who )
$$ LANGUAGE plpython3u
----
CREATE FUNCTION multiout_simple_setof(n integer, OUT integer, OUT integer) RETURNS SETOF record AS $$
return [(1, 2)] * n
$$ LANGUAGE plpython3u
----
SELECT * FROM multiout_simple_setof(3)
----
CREATE FUNCTION usesavedplan() RETURNS trigger AS $$
    if "plan" in SD:
        plan = SD["plan"]
    else:
        plan = plpy.prepare("SELECT 1")
        SD["plan"] = plan
    # rest of function
$$ LANGUAGE plpython3u
----
CREATE FUNCTION count_odd_iterator() RETURNS integer AS $$
odd = 0
for row in plpy.cursor("select num from largetable"):
    if row['num'] % 2:
         odd += 1
return odd
$$ LANGUAGE plpython3u
----
CREATE FUNCTION count_odd_fetch(batch_size integer) RETURNS integer AS $$
odd = 0
cursor = plpy.cursor("select num from largetable")
while True:
    rows = cursor.fetch(batch_size)
    if not rows:
        break
    for row in rows:
        if row['num'] % 2:
            odd += 1
return odd
$$ LANGUAGE plpython3u
----
CREATE FUNCTION count_odd_prepared() RETURNS integer AS $$
odd = 0
plan = plpy.prepare("select num from largetable where num % $1 <> 0", ["integer"])
rows = list(plpy.cursor(plan, [2]))  # or: = list(plan.cursor([2]))

return len(rows)
$$ LANGUAGE plpython3u
----
CREATE FUNCTION try_adding_joe() RETURNS text AS $$
    try:
        plpy.execute("INSERT INTO users(username) VALUES ('joe')")
    except plpy.SPIError:
        return "something went wrong"
    else:
        return "Joe added"
$$ LANGUAGE plpython3u
----
CREATE FUNCTION insert_fraction(numerator int, denominator int) RETURNS text AS $$
from plpy import spiexceptions
try:
    plan = plpy.prepare("INSERT INTO fractions (frac) VALUES ($1 / $2)", ["int", "int"])
    plpy.execute(plan, [numerator, denominator])
except spiexceptions.DivisionByZero:
    return "denominator cannot equal zero"
except spiexceptions.UniqueViolation:
    return "already have that fraction"
except plpy.SPIError as e:
    return "other error, SQLSTATE %s" % e.sqlstate
else:
    return "fraction inserted"
$$ LANGUAGE plpython3u
----
DO $$
    # PL/Python code
$$ LANGUAGE plpython3u
----
CREATE FUNCTION funcname (argument-list)
  RETURNS return-type
AS $$
  # PL/Python function body
$$ LANGUAGE plpython3u
----
CREATE FUNCTION pymax (a integer, b integer)
  RETURNS integer
AS $$
  if a > b:
    return a
  return b
$$ LANGUAGE plpython3u
----
CREATE FUNCTION pystrip(x text)
  RETURNS text
AS $$
  x = x.strip()  # error
  return x
$$ LANGUAGE plpython3u
----
CREATE FUNCTION pystrip(x text)
  RETURNS text
AS $$
  global x
  x = x.strip()  # ok now
  return x
$$ LANGUAGE plpython3u
----
CREATE FUNCTION transfer_funds() RETURNS void AS $$
try:
    plpy.execute("UPDATE accounts SET balance = balance - 100 WHERE account_name = 'joe'")
    plpy.execute("UPDATE accounts SET balance = balance + 100 WHERE account_name = 'mary'")
except plpy.SPIError as e:
    result = "error transferring funds: %s" % e.args
else:
    result = "funds transferred correctly"
plan = plpy.prepare("INSERT INTO operations (result) VALUES ($1)", ["text"])
plpy.execute(plan, [result])
$$ LANGUAGE plpython3u
----
CREATE FUNCTION transfer_funds2() RETURNS void AS $$
try:
    with plpy.subtransaction():
        plpy.execute("UPDATE accounts SET balance = balance - 100 WHERE account_name = 'joe'")
        plpy.execute("UPDATE accounts SET balance = balance + 100 WHERE account_name = 'mary'")
except plpy.SPIError as e:
    result = "error transferring funds: %s" % e.args
else:
    result = "funds transferred correctly"
plan = plpy.prepare("INSERT INTO operations (result) VALUES ($1)", ["text"])
plpy.execute(plan, [result])
$$ LANGUAGE plpython3u
----
CREATE PROCEDURE transaction_test1()
LANGUAGE plpython3u
AS $$
for i in range(0, 10):
    plpy.execute("INSERT INTO test1 (a) VALUES (%d)" % i)
    if i % 2 == 0:
        plpy.commit()
    else:
        plpy.rollback()
$$
----
SELECT raise_custom_exception()
----
CREATE FUNCTION t1_count(integer, integer) RETURNS integer AS $$
    if {![ info exists GD(plan) ]} {
        # prepare the saved plan on the first call
        set GD(plan) [ spi_prepare \
                "SELECT count(*) AS cnt FROM t1 WHERE num >= \$1 AND num <= \$2" \
                [ list int4 int4 ] ]
    }
    spi_execp -count 1 $GD(plan) [ list $1 $2 ]
    return $cnt
$$ LANGUAGE pltcl
----
SELECT 'doesn't' AS ret
----
SELECT 'doesn''t' AS ret
----
CREATE OR REPLACE FUNCTION tclsnitch() RETURNS event_trigger AS $$
  elog NOTICE "tclsnitch: $TG_event $TG_tag"
$$ LANGUAGE pltcl
----
CREATE EVENT TRIGGER tcl_a_snitch ON ddl_command_start EXECUTE FUNCTION tclsnitch()
----
CREATE FUNCTION funcname (argument-types) RETURNS return-type AS $$
    # PL/Tcl function body
$$ LANGUAGE pltcl
----
CREATE FUNCTION tcl_max(integer, integer) RETURNS integer AS $$
    if {$1 > $2} {return $1}
    return $2
$$ LANGUAGE pltcl STRICT
----
CREATE FUNCTION tcl_max(integer, integer) RETURNS integer AS $$
    if {[argisnull 1]} {
        if {[argisnull 2]} { return_null }
        return $2
    }
    if {[argisnull 2]} { return $1 }
    if {$1 > $2} {return $1}
    return $2
$$ LANGUAGE pltcl
----
CREATE TABLE employee (
    name text,
    salary integer,
    age integer
)
----
CREATE FUNCTION overpaid(employee) RETURNS boolean AS $$
    if {200000.0 < $1(salary)} {
        return "t"
    }
    if {$1(age) < 30 && 100000.0 < $1(salary)} {
        return "t"
    }
    return "f"
$$ LANGUAGE pltcl
----
CREATE FUNCTION square_cube(in int, out squared int, out cubed int) AS $$
    return [list squared [expr {$1 * $1}] cubed [expr {$1 * $1 * $1}]]
$$ LANGUAGE pltcl
----
CREATE PROCEDURE tcl_triple(INOUT a integer, INOUT b integer) AS $$
    return [list a [expr {$1 * 3}] b [expr {$2 * 3}]]
$$ LANGUAGE pltcl
----
CALL tcl_triple(5, 10)
----
CREATE FUNCTION raise_pay(employee, delta int) RETURNS employee AS $$
    set 1(salary) [expr {$1(salary) + $2}]
    return [array get 1]
$$ LANGUAGE pltcl
----
CREATE FUNCTION sequence(int, int) RETURNS SETOF int AS $$
    for {set i $1} {$i < $2} {incr i} {
        return_next $i
    }
$$ LANGUAGE pltcl
----
CREATE FUNCTION table_of_squares(int, int) RETURNS TABLE (x int, x2 int) AS $$
    for {set i $1} {$i < $2} {incr i} {
        return_next [list x $i x2 [expr {$i * $i}]]
    }
$$ LANGUAGE pltcl
----
CREATE FUNCTION transfer_funds() RETURNS void AS $$
    if [catch {
        spi_exec "UPDATE accounts SET balance = balance - 100 WHERE account_name = 'joe'"
        spi_exec "UPDATE accounts SET balance = balance + 100 WHERE account_name = 'mary'"
    } errormsg] {
        set result [format "error transferring funds: %s" $errormsg]
    } else {
        set result "funds transferred successfully"
    }
    spi_exec "INSERT INTO operations (result) VALUES ('[quote $result]')"
$$ LANGUAGE pltcl
----
CREATE FUNCTION transfer_funds2() RETURNS void AS $$
    if [catch {
        subtransaction {
            spi_exec "UPDATE accounts SET balance = balance - 100 WHERE account_name = 'joe'"
            spi_exec "UPDATE accounts SET balance = balance + 100 WHERE account_name = 'mary'"
        }
    } errormsg] {
        set result [format "error transferring funds: %s" $errormsg]
    } else {
        set result "funds transferred successfully"
    }
    spi_exec "INSERT INTO operations (result) VALUES ('[quote $result]')"
$$ LANGUAGE pltcl
----
CREATE PROCEDURE transaction_test1()
LANGUAGE pltcl
AS $$
for {set i 0} {$i < 10} {incr i} {
    spi_exec "INSERT INTO test1 (a) VALUES ($i)"
    if {$i % 2 == 0} {
        commit
    } else {
        rollback
    }
}
$$
----
CREATE FUNCTION trigfunc_modcount() RETURNS trigger AS $$
    switch $TG_op {
        INSERT {
            set NEW($1) 0
        }
        UPDATE {
            set NEW($1) $OLD($1)
            incr NEW($1)
        }
        default {
            return OK
        }
    }
    return [array get NEW]
$$ LANGUAGE pltcl
----
CREATE TABLE mytab (num integer, description text, modcnt integer)
----
CREATE TRIGGER trig_mytab_modcount BEFORE INSERT OR UPDATE ON mytab
    FOR EACH ROW EXECUTE FUNCTION trigfunc_modcount('modcnt')
----
ALTER USER MAPPING FOR some_non_superuser SERVER loopback_nopw
OPTIONS (ADD password_required 'false')
----
SELECT * FROM postgres_fdw_get_connections() ORDER BY 1
----
SELECT postgres_fdw_disconnect('loopback1')
----
SELECT postgres_fdw_disconnect_all()
----
CREATE EXTENSION postgres_fdw
----
CREATE SERVER foreign_server
        FOREIGN DATA WRAPPER postgres_fdw
        OPTIONS (host '192.83.123.89', port '5432', dbname 'foreign_db')
----
CREATE USER MAPPING FOR local_user
        SERVER foreign_server
        OPTIONS (user 'foreign_user', password 'password')
----
CREATE FOREIGN TABLE foreign_table (
        id integer NOT NULL,
        data text
)
        SERVER foreign_server
        OPTIONS (schema_name 'some_schema', table_name 'some_table')
----
GRANT pg_signal_backend TO admin_user
----
SELECT 1/0
----
INSERT INTO mytable VALUES(2)
----
SELECT a, b FROM table1 ORDER BY a + b, c
----
SELECT a + b AS sum, c FROM table1 ORDER BY sum
----
SELECT a, max(b) FROM table1 GROUP BY a ORDER BY 1
----
SELECT a + b AS sum, c FROM table1 ORDER BY sum + c
----
SELECT * FROM table1
----
SELECT a, b + c FROM table1
----
SELECT 3 * 4
----
SELECT random()
----
SELECT a, b, c FROM ...
----
SELECT tbl1.a, tbl2.a, tbl1.b FROM ...
----
SELECT tbl1.*, tbl2.a FROM ...
----
SELECT a AS value, b + c AS sum FROM ...
----
SELECT a from, b + c AS sum FROM ...
----
SELECT a AS from, b + c AS sum FROM ...
SELECT a "from", b + c AS sum FROM ...
----
SELECT * FROM t1 CROSS JOIN t2
----
SELECT * FROM t1 INNER JOIN t2 ON t1.num = t2.num
----
SELECT * FROM t1 INNER JOIN t2 USING (num)
----
SELECT * FROM t1 NATURAL INNER JOIN t2
----
SELECT * FROM t1 LEFT JOIN t2 ON t1.num = t2.num
----
SELECT * FROM t1 LEFT JOIN t2 USING (num)
----
SELECT * FROM t1 RIGHT JOIN t2 ON t1.num = t2.num
----
SELECT * FROM t1 FULL JOIN t2 ON t1.num = t2.num
----
SELECT * FROM t1 LEFT JOIN t2 ON t1.num = t2.num AND t2.value = 'xxx'
----
SELECT * FROM t1 LEFT JOIN t2 ON t1.num = t2.num WHERE t2.value = 'xxx'
----
SELECT * FROM some_very_long_table_name s JOIN another_fairly_long_name a ON s.id = a.num
----
SELECT * FROM my_table AS m WHERE my_table.a > 5
----
SELECT * FROM people AS mother JOIN people AS child ON mother.id = child.mother_id
----
SELECT * FROM my_table AS a CROSS JOIN my_table AS b ...
SELECT * FROM (my_table AS a CROSS JOIN my_table) AS b ...
----
SELECT a.* FROM my_table AS a JOIN your_table AS b ON ...
----
SELECT a.* FROM (my_table AS a JOIN your_table AS b ON ...) AS c
----
CREATE TABLE foo (fooid int, foosubid int, fooname text)
----
CREATE FUNCTION getfoo(int) RETURNS SETOF foo AS $$
    SELECT * FROM foo WHERE fooid = $1;
$$ LANGUAGE SQL
----
SELECT * FROM getfoo(1) AS t1
----
SELECT * FROM foo
    WHERE foosubid IN (
                        SELECT foosubid
                        FROM getfoo(foo.fooid) z
                        WHERE z.fooid = foo.fooid
                      )
----
CREATE VIEW vw_getfoo AS SELECT * FROM getfoo(1)
----
SELECT * FROM vw_getfoo
----
SELECT *
    FROM dblink('dbname=mydb', 'SELECT proname, prosrc FROM pg_proc')
      AS t1(proname name, prosrc text)
    WHERE proname LIKE 'bytea%'
----
SELECT *
FROM ROWS FROM
    (
        json_to_recordset('[{"a":40,"b":"foo"},{"a":"100","b":"bar"}]')
            AS (a INTEGER, b TEXT),
        generate_series(1, 3)
    ) AS x (p, q, s)
ORDER BY p
----
SELECT * FROM foo, LATERAL (SELECT * FROM bar WHERE bar.id = foo.bar_id) ss
----
SELECT * FROM foo, bar WHERE bar.id = foo.bar_id
----
SELECT p1.id, p2.id, v1, v2
FROM polygons p1, polygons p2,
     LATERAL vertices(p1.poly) v1,
     LATERAL vertices(p2.poly) v2
WHERE (v1 <-> v2) < 10 AND p1.id != p2.id
----
SELECT p1.id, p2.id, v1, v2
FROM polygons p1 CROSS JOIN LATERAL vertices(p1.poly) v1,
     polygons p2 CROSS JOIN LATERAL vertices(p2.poly) v2
WHERE (v1 <-> v2) < 10 AND p1.id != p2.id
----
SELECT m.name
FROM manufacturers m LEFT JOIN LATERAL get_product_names(m.id) pname ON true
WHERE pname IS NULL
----
SELECT ... FROM fdt WHERE c1 > 5

SELECT ... FROM fdt WHERE c1 IN (1, 2, 3)

SELECT ... FROM fdt WHERE c1 IN (SELECT c1 FROM t2)

SELECT ... FROM fdt WHERE c1 IN (SELECT c3 FROM t2 WHERE c2 = fdt.c1 + 10)

SELECT ... FROM fdt WHERE c1 BETWEEN (SELECT c3 FROM t2 WHERE c2 = fdt.c1 + 10) AND 100

SELECT ... FROM fdt WHERE EXISTS (SELECT c1 FROM t2 WHERE c2 > fdt.c1)
----
SELECT x FROM test1 GROUP BY x
----
SELECT x, sum(y) FROM test1 GROUP BY x
----
SELECT product_id, p.name, (sum(s.units) * p.price) AS sales
    FROM products p LEFT JOIN sales s USING (product_id)
    GROUP BY product_id, p.name, p.price
----
SELECT x, sum(y) FROM test1 GROUP BY x HAVING sum(y) > 3
----
SELECT x, sum(y) FROM test1 GROUP BY x HAVING x < 'c'
----
SELECT product_id, p.name, (sum(s.units) * (p.price - p.cost)) AS profit
    FROM products p LEFT JOIN sales s USING (product_id)
    WHERE s.date > CURRENT_DATE - INTERVAL '4 weeks'
    GROUP BY product_id, p.name, p.price, p.cost
    HAVING sum(p.price * s.units) > 5000
----
SELECT brand, size, sum(sales) FROM items_sold GROUP BY GROUPING SETS ((brand), (size), ())
----
VALUES (1, 'one'), (2, 'two'), (3, 'three')
----
SELECT 1 AS column1, 'one' AS column2
UNION ALL
SELECT 2, 'two'
UNION ALL
SELECT 3, 'three'
----
SELECT * FROM (VALUES (1, 'one'), (2, 'two'), (3, 'three')) AS t (num,letter)
----
WITH regional_sales AS (
    SELECT region, SUM(amount) AS total_sales
    FROM orders
    GROUP BY region
), top_regions AS (
    SELECT region
    FROM regional_sales
    WHERE total_sales > (SELECT SUM(total_sales)/10 FROM regional_sales)
)
SELECT region,
       product,
       SUM(quantity) AS product_units,
       SUM(amount) AS product_sales
FROM orders
WHERE region IN (SELECT region FROM top_regions)
GROUP BY region, product
----
WITH RECURSIVE t(n) AS (
    VALUES (1)
  UNION ALL
    SELECT n+1 FROM t WHERE n < 100
)
SELECT sum(n) FROM t
----
WITH RECURSIVE included_parts(sub_part, part, quantity) AS (
    SELECT sub_part, part, quantity FROM parts WHERE part = 'our_product'
  UNION ALL
    SELECT p.sub_part, p.part, p.quantity * pr.quantity
    FROM included_parts pr, parts p
    WHERE p.part = pr.sub_part
)
SELECT sub_part, SUM(quantity) as total_quantity
FROM included_parts
GROUP BY sub_part
----
WITH RECURSIVE search_tree(id, link, data) AS (
    SELECT t.id, t.link, t.data
    FROM tree t
  UNION ALL
    SELECT t.id, t.link, t.data
    FROM tree t, search_tree st
    WHERE t.id = st.link
)
SELECT * FROM search_tree
----
WITH RECURSIVE search_tree(id, link, data, path) AS (
    SELECT t.id, t.link, t.data, ARRAY[t.id]
    FROM tree t
  UNION ALL
    SELECT t.id, t.link, t.data, path || t.id
    FROM tree t, search_tree st
    WHERE t.id = st.link
)
SELECT * FROM search_tree ORDER BY path
----
WITH RECURSIVE search_tree(id, link, data, path) AS (
    SELECT t.id, t.link, t.data, ARRAY[ROW(t.f1, t.f2)]
    FROM tree t
  UNION ALL
    SELECT t.id, t.link, t.data, path || ROW(t.f1, t.f2)
    FROM tree t, search_tree st
    WHERE t.id = st.link
)
SELECT * FROM search_tree ORDER BY path
----
WITH RECURSIVE search_tree(id, link, data, depth) AS (
    SELECT t.id, t.link, t.data, 0
    FROM tree t
  UNION ALL
    SELECT t.id, t.link, t.data, depth + 1
    FROM tree t, search_tree st
    WHERE t.id = st.link
)
SELECT * FROM search_tree ORDER BY depth
----
WITH RECURSIVE search_tree(id, link, data) AS (
    SELECT t.id, t.link, t.data
    FROM tree t
  UNION ALL
    SELECT t.id, t.link, t.data
    FROM tree t, search_tree st
    WHERE t.id = st.link
) SEARCH DEPTH FIRST BY id SET ordercol
SELECT * FROM search_tree ORDER BY ordercol
----
WITH RECURSIVE search_tree(id, link, data) AS (
    SELECT t.id, t.link, t.data
    FROM tree t
  UNION ALL
    SELECT t.id, t.link, t.data
    FROM tree t, search_tree st
    WHERE t.id = st.link
) SEARCH BREADTH FIRST BY id SET ordercol
SELECT * FROM search_tree ORDER BY ordercol
----
WITH RECURSIVE search_graph(id, link, data, depth) AS (
    SELECT g.id, g.link, g.data, 0
    FROM graph g
  UNION ALL
    SELECT g.id, g.link, g.data, sg.depth + 1
    FROM graph g, search_graph sg
    WHERE g.id = sg.link
)
SELECT * FROM search_graph
----
WITH RECURSIVE search_graph(id, link, data, depth, is_cycle, path) AS (
    SELECT g.id, g.link, g.data, 0,
      false,
      ARRAY[g.id]
    FROM graph g
  UNION ALL
    SELECT g.id, g.link, g.data, sg.depth + 1,
      g.id = ANY(path),
      path || g.id
    FROM graph g, search_graph sg
    WHERE g.id = sg.link AND NOT is_cycle
)
SELECT * FROM search_graph
----
WITH RECURSIVE search_graph(id, link, data, depth, is_cycle, path) AS (
    SELECT g.id, g.link, g.data, 0,
      false,
      ARRAY[ROW(g.f1, g.f2)]
    FROM graph g
  UNION ALL
    SELECT g.id, g.link, g.data, sg.depth + 1,
      ROW(g.f1, g.f2) = ANY(path),
      path || ROW(g.f1, g.f2)
    FROM graph g, search_graph sg
    WHERE g.id = sg.link AND NOT is_cycle
)
SELECT * FROM search_graph
----
WITH RECURSIVE search_graph(id, link, data, depth) AS (
    SELECT g.id, g.link, g.data, 1
    FROM graph g
  UNION ALL
    SELECT g.id, g.link, g.data, sg.depth + 1
    FROM graph g, search_graph sg
    WHERE g.id = sg.link
) CYCLE id SET is_cycle USING path
SELECT * FROM search_graph
----
WITH RECURSIVE t(n) AS (
    SELECT 1
  UNION ALL
    SELECT n+1 FROM t
)
SELECT n FROM t LIMIT 100
----
WITH w AS (
    SELECT * FROM big_table
)
SELECT * FROM w WHERE key = 123
----
SELECT * FROM big_table WHERE key = 123
----
WITH w AS (
    SELECT * FROM big_table
)
SELECT * FROM w AS w1 JOIN w AS w2 ON w1.key = w2.ref
WHERE w2.key = 123
----
WITH w AS NOT MATERIALIZED (
    SELECT * FROM big_table
)
SELECT * FROM w AS w1 JOIN w AS w2 ON w1.key = w2.ref
WHERE w2.key = 123
----
WITH w AS (
    SELECT key, very_expensive_function(val) as f FROM some_table
)
SELECT * FROM w AS w1 JOIN w AS w2 ON w1.f = w2.f
----
WITH moved_rows AS (
    DELETE FROM products
    WHERE
        "date" >= '2010-10-01' AND
        "date" < '2010-11-01'
    RETURNING *
)
INSERT INTO products_log
SELECT * FROM moved_rows
----
WITH t AS (
    DELETE FROM foo
)
DELETE FROM bar
----
WITH RECURSIVE included_parts(sub_part, part) AS (
    SELECT sub_part, part FROM parts WHERE part = 'our_product'
  UNION ALL
    SELECT p.sub_part, p.part
    FROM included_parts pr, parts p
    WHERE p.part = pr.sub_part
)
DELETE FROM parts
  WHERE part IN (SELECT part FROM included_parts)
----
WITH t AS (
    UPDATE products SET price = price * 1.05
    RETURNING *
)
SELECT * FROM products
----
WITH t AS (
    UPDATE products SET price = price * 1.05
    RETURNING *
)
SELECT * FROM t
----
CREATE TABLE reservation (room int, during tsrange)
----
INSERT INTO reservation VALUES
    (1108, '[2010-01-01 14:30, 2010-01-01 15:30)')
----
-- Containment
SELECT int4range(10, 20) @> 3
----
-- Overlaps
SELECT numrange(11.1, 22.2) && numrange(20.0, 30.0)
----
-- Extract the upper bound
SELECT upper(int8range(15, 25))
----
-- Compute the intersection
SELECT int4range(10, 20) * int4range(15, 25)
----
-- Is the range empty?
SELECT isempty(numrange(1, 5))
----
-- includes 3, does not include 7, and does include all points in between
SELECT '[3,7)'::int4range
----
-- does not include either 3 or 7, but includes all points in between
SELECT '(3,7)'::int4range
----
-- includes only the single point 4
SELECT '[4,4]'::int4range
----
-- includes no points (and will be normalized to 'empty')
SELECT '[4,4)'::int4range
----
SELECT '{}'::int4multirange
----
SELECT '{[3,7)}'::int4multirange
----
SELECT '{[3,7), [8,9)}'::int4multirange
----
-- The full form is: lower bound, upper bound, and text argument indicating
-- inclusivity/exclusivity of bounds.
SELECT numrange(1.0, 14.0, '(]')
----
-- If the third argument is omitted, '[)' is assumed.
SELECT numrange(1.0, 14.0)
----
-- Although '(]' is specified here, on display the value will be converted to
-- canonical form, since int8range is a discrete range type (see below).
SELECT int8range(1, 14, '(]')
----
-- Using NULL for either bound causes the range to be unbounded on that side.
SELECT numrange(NULL, 2.2)
----
SELECT nummultirange()
----
SELECT nummultirange(numrange(1.0, 14.0))
----
SELECT nummultirange(numrange(1.0, 14.0), numrange(20.0, 25.0))
----
CREATE TYPE floatrange AS RANGE (
    subtype = float8,
    subtype_diff = float8mi
)
----
SELECT '[1.234, 5.678]'::floatrange
----
CREATE FUNCTION time_subtype_diff(x time, y time) RETURNS float8 AS
'SELECT EXTRACT(EPOCH FROM (x - y))' LANGUAGE sql STRICT IMMUTABLE
----
CREATE TYPE timerange AS RANGE (
    subtype = time,
    subtype_diff = time_subtype_diff
)
----
SELECT '[11:10, 23:00]'::timerange
----
CREATE INDEX reservation_idx ON reservation USING GIST (during)
----
CREATE TABLE reservation (
    during tsrange,
    EXCLUDE USING GIST (during WITH &&)
)
----
INSERT INTO reservation VALUES
    ('[2010-01-01 11:30, 2010-01-01 15:00)')
----
INSERT 0 1

INSERT INTO reservation VALUES
    ('[2010-01-01 14:45, 2010-01-01 15:45)')
----
CREATE EXTENSION btree_gist
----
CREATE TABLE room_reservation (
    room text,
    during tsrange,
    EXCLUDE USING GIST (room WITH =, during WITH &&)
)
----
INSERT INTO room_reservation VALUES
    ('123A', '[2010-01-01 14:00, 2010-01-01 15:00)')
----
INSERT 0 1

INSERT INTO room_reservation VALUES
    ('123A', '[2010-01-01 14:30, 2010-01-01 15:30)')
----
INSERT 0 1
----
ALTER DATABASE template0 WITH ALLOW_CONNECTIONS true
----
ALTER DATABASE template0 WITH ALLOW_CONNECTIONS false
----
SELECT conrelid::pg_catalog.regclass AS "constrained table",
       conname AS constraint,
       confrelid::pg_catalog.regclass AS "references",
       pg_catalog.format('ALTER TABLE %s DROP CONSTRAINT %I;',
                         conrelid::pg_catalog.regclass, conname) AS "drop",
       pg_catalog.format('ALTER TABLE %s ADD CONSTRAINT %I %s;',
                         conrelid::pg_catalog.regclass, conname,
                         pg_catalog.pg_get_constraintdef(oid)) AS "add"
FROM pg_catalog.pg_constraint c
WHERE contype = 'f' AND conparentid = 0 AND
   (SELECT count(*) FROM pg_catalog.pg_constraint c2
    WHERE c2.conparentid = c.oid) <>
   ((SELECT count(*) FROM pg_catalog.pg_inherits i
    WHERE (i.inhparent = c.conrelid OR i.inhparent = c.confrelid) AND
      EXISTS (SELECT 1 FROM pg_catalog.pg_partitioned_table
              WHERE partrelid = i.inhparent)) +
    CASE WHEN pg_catalog.pg_partition_root(conrelid) = confrelid THEN
              (SELECT count(*) FROM pg_catalog.pg_partition_tree(confrelid)
                WHERE level = 1)
         ELSE 0 END)
----
CREATE ROLE name LOGIN
----
CREATE USER name
----
ALTER ROLE myname SET enable_indexscan TO off
----
CREATE ROLE joe LOGIN INHERIT
----
CREATE ROLE admin NOINHERIT
----
CREATE ROLE wheel NOINHERIT
----
GRANT admin TO joe
----
GRANT wheel TO admin
----
SET ROLE admin
----
SET ROLE wheel
----
SET ROLE joe
----
SET ROLE NONE
----
RESET ROLE
----
ALTER TABLE bobs_table OWNER TO alice
----
REASSIGN OWNED BY doomed_role TO successor_role
----
DROP OWNED BY doomed_role
----
-- repeat the above commands in each database of the cluster
DROP ROLE doomed_role
----
SELECT c.oid::regclass as table_name,
       greatest(age(c.relfrozenxid),age(t.relfrozenxid)) as age
FROM pg_class c
LEFT JOIN pg_class t ON c.reltoastrelid = t.oid
WHERE c.relkind IN ('r', 'm')
----
SELECT datname, age(datfrozenxid) FROM pg_database
----
vacuum threshold = vacuum base threshold + vacuum scale factor * number of tuples
----
vacuum insert threshold = vacuum base insert threshold + vacuum insert scale factor * number of tuples
----
analyze threshold = analyze base threshold + analyze scale factor * number of tuples
----
EXPLAIN SELECT * FROM tenk1
----
SELECT relpages, reltuples FROM pg_class WHERE relname = 'tenk1'
----
EXPLAIN SELECT * FROM tenk1 WHERE unique1 < 1000
----
SELECT histogram_bounds FROM pg_stats
WHERE tablename='tenk1' AND attname='unique1'
----
EXPLAIN SELECT * FROM tenk1 WHERE stringu1 = 'CRAAAA'
----
SELECT null_frac, n_distinct, most_common_vals, most_common_freqs FROM pg_stats
WHERE tablename='tenk1' AND attname='stringu1'
----
EXPLAIN SELECT * FROM tenk1 WHERE stringu1 = 'xxx'
----
EXPLAIN SELECT * FROM tenk1 WHERE stringu1 < 'IAAAAA'
----
SELECT histogram_bounds FROM pg_stats
WHERE tablename='tenk1' AND attname='stringu1'
----
EXPLAIN SELECT * FROM tenk1 WHERE unique1 < 1000 AND stringu1 = 'xxx'
----
EXPLAIN SELECT * FROM tenk1 t1, tenk2 t2
WHERE t1.unique1 < 50 AND t1.unique2 = t2.unique2
----
SELECT tablename, null_frac,n_distinct, most_common_vals FROM pg_stats
WHERE tablename IN ('tenk1', 'tenk2') AND attname='unique2'
----
CREATE TYPE complex AS (
    r       double precision,
    i       double precision
)
----
CREATE TYPE inventory_item AS (
    name            text,
    supplier_id     integer,
    price           numeric
)
----
CREATE TABLE on_hand (
    item      inventory_item,
    count     integer
)
----
INSERT INTO on_hand VALUES (ROW('fuzzy dice', 42, 1.99), 1000)
----
CREATE FUNCTION price_extension(inventory_item, integer) RETURNS numeric
AS 'SELECT $1.price * $2' LANGUAGE SQL
----
SELECT price_extension(item, 10) FROM on_hand
----
CREATE TABLE inventory_item (
    name            text,
    supplier_id     integer REFERENCES suppliers,
    price           numeric CHECK (price > 0)
)
----
SELECT item.name FROM on_hand WHERE item.price > 9.99
----
SELECT (item).name FROM on_hand WHERE (item).price > 9.99
----
SELECT (on_hand.item).name FROM on_hand WHERE (on_hand.item).price > 9.99
----
SELECT (my_func(...)).field FROM ...
----
INSERT INTO mytab (complex_col) VALUES((1.1,2.2))
----
UPDATE mytab SET complex_col = ROW(1.1,2.2) WHERE ...
----
UPDATE mytab SET complex_col.r = (complex_col).r + 1 WHERE ...
----
INSERT INTO mytab (complex_col.r, complex_col.i) VALUES(1.1, 2.2)
----
SELECT c FROM inventory_item c
----
SELECT c.* FROM inventory_item c
----
SELECT c.name, c.supplier_id, c.price FROM inventory_item c
----
SELECT (myfunc(x)).* FROM some_table
----
SELECT (myfunc(x)).a, (myfunc(x)).b, (myfunc(x)).c FROM some_table
----
SELECT m.* FROM some_table, LATERAL myfunc(x) AS m
----
SELECT somefunc(c.*) FROM inventory_item c
----
SELECT somefunc(c) FROM inventory_item c
----
SELECT * FROM inventory_item c ORDER BY c
----
SELECT * FROM inventory_item c ORDER BY c.*
----
SELECT * FROM inventory_item c ORDER BY ROW(c.*)
----
SELECT * FROM inventory_item c ORDER BY ROW(c.name, c.supplier_id, c.price)
----
SELECT * FROM inventory_item c ORDER BY (c.name, c.supplier_id, c.price)
----
SELECT c.name FROM inventory_item c WHERE c.price > 1000
----
SELECT name(c) FROM inventory_item c WHERE price(c) > 1000
----
SELECT c.somefunc FROM inventory_item c
----
INSERT ... VALUES ('("\"\\")')
----
CREATE MATERIALIZED VIEW mymatview AS SELECT * FROM mytab
----
CREATE TABLE mymatview AS SELECT * FROM mytab
----
REFRESH MATERIALIZED VIEW mymatview
----
CREATE TABLE invoice (
    invoice_no    integer        PRIMARY KEY,
    seller_no     integer,       -- ID of salesperson
    invoice_date  date,          -- date of sale
    invoice_amt   numeric(13,2)  -- amount of sale
)
----
CREATE MATERIALIZED VIEW sales_summary AS
  SELECT
      seller_no,
      invoice_date,
      sum(invoice_amt)::numeric(13,2) as sales_amt
    FROM invoice
    WHERE invoice_date < CURRENT_DATE
    GROUP BY
      seller_no,
      invoice_date
----
CREATE UNIQUE INDEX sales_summary_seller
  ON sales_summary (seller_no, invoice_date)
----
REFRESH MATERIALIZED VIEW sales_summary
----
CREATE SERVER local_file FOREIGN DATA WRAPPER file_fdw
----
CREATE FOREIGN TABLE words (word text NOT NULL)
  SERVER local_file
  OPTIONS (filename '/usr/share/dict/words')
----
CREATE MATERIALIZED VIEW wrd AS SELECT * FROM words
----
CREATE UNIQUE INDEX wrd_word ON wrd (word)
----
CREATE EXTENSION pg_trgm
----
CREATE INDEX wrd_trgm ON wrd USING gist (word gist_trgm_ops)
----
VACUUM ANALYZE wrd
----
SELECT count(*) FROM words WHERE word = 'caterpiler'
----
SELECT word FROM words ORDER BY word <-> 'caterpiler' LIMIT 10
----
CREATE TABLE phone_data (person text, phone text, private boolean)
----
CREATE VIEW phone_number AS
    SELECT person, CASE WHEN NOT private THEN phone END AS phone
    FROM phone_data
----
GRANT SELECT ON phone_number TO assistant
----
CREATE VIEW phone_number AS
    SELECT person, phone FROM phone_data WHERE phone NOT LIKE '412%'
----
CREATE FUNCTION tricky(text, text) RETURNS bool AS $$
BEGIN
    RAISE NOTICE '% => %', $1, $2;
    RETURN true;
END;
$$ LANGUAGE plpgsql COST 0.0000000000000000000001
----
SELECT * FROM phone_number WHERE tricky(person, phone)
----
CREATE VIEW phone_number WITH (security_barrier) AS
    SELECT person, phone FROM phone_data WHERE phone NOT LIKE '412%'
----
CREATE TABLE computer (
    hostname        text,    -- indexed
    manufacturer    text     -- indexed
)
----
CREATE TABLE software (
    software        text,    -- indexed
    hostname        text     -- indexed
)
----
DELETE FROM software WHERE hostname = $1
----
CREATE RULE computer_del AS ON DELETE TO computer
    DO DELETE FROM software WHERE hostname = OLD.hostname
----
DELETE FROM computer WHERE hostname = 'mypc.local.net'
----
DELETE FROM software WHERE computer.hostname = 'mypc.local.net'
                       AND software.hostname = computer.hostname
----
DELETE FROM computer WHERE hostname >= 'old'
                       AND hostname <  'ole'
----
DELETE FROM software WHERE computer.hostname >= 'old' AND computer.hostname < 'ole'
                       AND software.hostname = computer.hostname
----
DELETE FROM computer WHERE hostname ~ '^old'
----
DELETE FROM computer WHERE manufacturer = 'bim'
----
DELETE FROM software WHERE computer.manufacturer = 'bim'
                       AND software.hostname = computer.hostname
----
CREATE [ OR REPLACE ] RULE name AS ON event
    TO table [ WHERE condition ]
    DO [ ALSO | INSTEAD ] { NOTHING | command | ( command ; command ... ) }
----
CREATE TABLE shoelace_log (
    sl_name    text,          -- shoelace changed
    sl_avail   integer,       -- new available value
    log_who    text,          -- who did it
    log_when   timestamp      -- when
)
----
CREATE RULE log_shoelace AS ON UPDATE TO shoelace_data
    WHERE NEW.sl_avail <> OLD.sl_avail
    DO INSERT INTO shoelace_log VALUES (
                                    NEW.sl_name,
                                    NEW.sl_avail,
                                    current_user,
                                    current_timestamp
                                )
----
UPDATE shoelace_data SET sl_avail = 6 WHERE sl_name = 'sl7'
----
SELECT * FROM shoelace_log
----
UPDATE shoelace_data SET sl_avail = 6
  FROM shoelace_data shoelace_data
 WHERE shoelace_data.sl_name = 'sl7'
----
INSERT INTO shoelace_log VALUES (
       new.sl_name, new.sl_avail,
       current_user, current_timestamp )
  FROM shoelace_data new, shoelace_data old
----
INSERT INTO shoelace_log VALUES (
       new.sl_name, new.sl_avail,
       current_user, current_timestamp )
  FROM shoelace_data new, shoelace_data old,
       shoelace_data shoelace_data
----
INSERT INTO shoelace_log VALUES (
       new.sl_name, new.sl_avail,
       current_user, current_timestamp )
  FROM shoelace_data new, shoelace_data old,
       shoelace_data shoelace_data
 WHERE new.sl_avail <> old.sl_avail
----
INSERT INTO shoelace_log VALUES (
       new.sl_name, new.sl_avail,
       current_user, current_timestamp )
  FROM shoelace_data new, shoelace_data old,
       shoelace_data shoelace_data
 WHERE new.sl_avail <> old.sl_avail
   AND shoelace_data.sl_name = 'sl7'
----
INSERT INTO shoelace_log VALUES (
       shoelace_data.sl_name, 6,
       current_user, current_timestamp )
  FROM shoelace_data new, shoelace_data old,
       shoelace_data shoelace_data
 WHERE 6 <> old.sl_avail
   AND shoelace_data.sl_name = 'sl7'
----
INSERT INTO shoelace_log VALUES (
       shoelace_data.sl_name, 6,
       current_user, current_timestamp )
  FROM shoelace_data new, shoelace_data old,
       shoelace_data shoelace_data
 WHERE 6 <> shoelace_data.sl_avail
   AND shoelace_data.sl_name = 'sl7'
----
INSERT INTO shoelace_log VALUES (
       shoelace_data.sl_name, 6,
       current_user, current_timestamp )
  FROM shoelace_data
 WHERE 6 <> shoelace_data.sl_avail
   AND shoelace_data.sl_name = 'sl7'
----
UPDATE shoelace_data SET sl_avail = 6
 WHERE sl_name = 'sl7'
----
UPDATE shoelace_data SET sl_color = 'green'
 WHERE sl_name = 'sl7'
----
INSERT INTO shoelace_log VALUES (
       shoelace_data.sl_name, shoelace_data.sl_avail,
       current_user, current_timestamp )
  FROM shoelace_data
 WHERE shoelace_data.sl_avail <> shoelace_data.sl_avail
   AND shoelace_data.sl_name = 'sl7'
----
UPDATE shoelace_data SET sl_avail = 0
 WHERE sl_color = 'black'
----
INSERT INTO shoelace_log
SELECT shoelace_data.sl_name, 0,
       current_user, current_timestamp
  FROM shoelace_data
 WHERE 0 <> shoelace_data.sl_avail
   AND shoelace_data.sl_color = 'black'
----
CREATE RULE shoe_ins_protect AS ON INSERT TO shoe
    DO INSTEAD NOTHING
----
CREATE RULE shoe_upd_protect AS ON UPDATE TO shoe
    DO INSTEAD NOTHING
----
CREATE RULE shoe_del_protect AS ON DELETE TO shoe
    DO INSTEAD NOTHING
----
CREATE RULE shoelace_ins AS ON INSERT TO shoelace
    DO INSTEAD
    INSERT INTO shoelace_data VALUES (
           NEW.sl_name,
           NEW.sl_avail,
           NEW.sl_color,
           NEW.sl_len,
           NEW.sl_unit
    )
----
CREATE RULE shoelace_upd AS ON UPDATE TO shoelace
    DO INSTEAD
    UPDATE shoelace_data
       SET sl_name = NEW.sl_name,
           sl_avail = NEW.sl_avail,
           sl_color = NEW.sl_color,
           sl_len = NEW.sl_len,
           sl_unit = NEW.sl_unit
     WHERE sl_name = OLD.sl_name
----
CREATE RULE shoelace_del AS ON DELETE TO shoelace
    DO INSTEAD
    DELETE FROM shoelace_data
     WHERE sl_name = OLD.sl_name
----
CREATE RULE shoelace_ins AS ON INSERT TO shoelace
    DO INSTEAD
    INSERT INTO shoelace_data VALUES (
           NEW.sl_name,
           NEW.sl_avail,
           NEW.sl_color,
           NEW.sl_len,
           NEW.sl_unit
    )
    RETURNING
           shoelace_data.*,
           (SELECT shoelace_data.sl_len * u.un_fact
            FROM unit u WHERE shoelace_data.sl_unit = u.un_name)
----
CREATE TABLE shoelace_arrive (
    arr_name    text,
    arr_quant   integer
)
----
CREATE TABLE shoelace_ok (
    ok_name     text,
    ok_quant    integer
)
----
CREATE RULE shoelace_ok_ins AS ON INSERT TO shoelace_ok
    DO INSTEAD
    UPDATE shoelace
       SET sl_avail = sl_avail + NEW.ok_quant
     WHERE sl_name = NEW.ok_name
----
SELECT * FROM shoelace_arrive
----
SELECT * FROM shoelace
----
INSERT INTO shoelace_ok SELECT * FROM shoelace_arrive
----
SELECT * FROM shoelace ORDER BY sl_name
----
INSERT INTO shoelace_ok
SELECT shoelace_arrive.arr_name, shoelace_arrive.arr_quant
  FROM shoelace_arrive shoelace_arrive, shoelace_ok shoelace_ok
----
UPDATE shoelace
   SET sl_avail = shoelace.sl_avail + shoelace_arrive.arr_quant
  FROM shoelace_arrive shoelace_arrive, shoelace_ok shoelace_ok,
       shoelace_ok old, shoelace_ok new,
       shoelace shoelace
 WHERE shoelace.sl_name = shoelace_arrive.arr_name
----
UPDATE shoelace_data
   SET sl_name = shoelace.sl_name,
       sl_avail = shoelace.sl_avail + shoelace_arrive.arr_quant,
       sl_color = shoelace.sl_color,
       sl_len = shoelace.sl_len,
       sl_unit = shoelace.sl_unit
  FROM shoelace_arrive shoelace_arrive, shoelace_ok shoelace_ok,
       shoelace_ok old, shoelace_ok new,
       shoelace shoelace, shoelace old,
       shoelace new, shoelace_data shoelace_data
 WHERE shoelace.sl_name = shoelace_arrive.arr_name
   AND shoelace_data.sl_name = shoelace.sl_name
----
UPDATE shoelace_data
   SET sl_name = s.sl_name,
       sl_avail = s.sl_avail + shoelace_arrive.arr_quant,
       sl_color = s.sl_color,
       sl_len = s.sl_len,
       sl_unit = s.sl_unit
  FROM shoelace_arrive shoelace_arrive, shoelace_ok shoelace_ok,
       shoelace_ok old, shoelace_ok new,
       shoelace shoelace, shoelace old,
       shoelace new, shoelace_data shoelace_data,
       shoelace old, shoelace new,
       shoelace_data s, unit u
 WHERE s.sl_name = shoelace_arrive.arr_name
   AND shoelace_data.sl_name = s.sl_name
----
INSERT INTO shoelace_log
SELECT s.sl_name,
       s.sl_avail + shoelace_arrive.arr_quant,
       current_user,
       current_timestamp
  FROM shoelace_arrive shoelace_arrive, shoelace_ok shoelace_ok,
       shoelace_ok old, shoelace_ok new,
       shoelace shoelace, shoelace old,
       shoelace new, shoelace_data shoelace_data,
       shoelace old, shoelace new,
       shoelace_data s, unit u,
       shoelace_data old, shoelace_data new
       shoelace_log shoelace_log
 WHERE s.sl_name = shoelace_arrive.arr_name
   AND shoelace_data.sl_name = s.sl_name
   AND (s.sl_avail + shoelace_arrive.arr_quant) <> s.sl_avail
----
INSERT INTO shoelace_log
SELECT s.sl_name,
       s.sl_avail + shoelace_arrive.arr_quant,
       current_user,
       current_timestamp
  FROM shoelace_arrive shoelace_arrive, shoelace_data shoelace_data,
       shoelace_data s
 WHERE s.sl_name = shoelace_arrive.arr_name
   AND shoelace_data.sl_name = s.sl_name
   AND s.sl_avail + shoelace_arrive.arr_quant <> s.sl_avail
----
UPDATE shoelace_data
   SET sl_avail = shoelace_data.sl_avail + shoelace_arrive.arr_quant
  FROM shoelace_arrive shoelace_arrive,
       shoelace_data shoelace_data,
       shoelace_data s
 WHERE s.sl_name = shoelace_arrive.sl_name
   AND shoelace_data.sl_name = s.sl_name
----
INSERT INTO shoelace VALUES ('sl9', 0, 'pink', 35.0, 'inch', 0.0)
----
INSERT INTO shoelace VALUES ('sl10', 1000, 'magenta', 40.0, 'inch', 0.0)
----
CREATE VIEW shoelace_mismatch AS
    SELECT * FROM shoelace WHERE NOT EXISTS
        (SELECT shoename FROM shoe WHERE slcolor = sl_color)
----
SELECT * FROM shoelace_mismatch
----
CREATE VIEW shoelace_can_delete AS
    SELECT * FROM shoelace_mismatch WHERE sl_avail = 0
----
DELETE FROM shoelace WHERE EXISTS
    (SELECT * FROM shoelace_can_delete
             WHERE sl_name = shoelace.sl_name)
----
CREATE VIEW myview AS SELECT * FROM mytab
----
CREATE TABLE myview (same column list as mytab)
----
CREATE RULE "_RETURN" AS ON SELECT TO myview DO INSTEAD
    SELECT * FROM mytab
----
CREATE TABLE shoe_data (
    shoename   text,          -- primary key
    sh_avail   integer,       -- available number of pairs
    slcolor    text,          -- preferred shoelace color
    slminlen   real,          -- minimum shoelace length
    slmaxlen   real,          -- maximum shoelace length
    slunit     text           -- length unit
)
----
CREATE TABLE shoelace_data (
    sl_name    text,          -- primary key
    sl_avail   integer,       -- available number of pairs
    sl_color   text,          -- shoelace color
    sl_len     real,          -- shoelace length
    sl_unit    text           -- length unit
)
----
CREATE TABLE unit (
    un_name    text,          -- primary key
    un_fact    real           -- factor to transform to cm
)
----
CREATE VIEW shoe AS
    SELECT sh.shoename,
           sh.sh_avail,
           sh.slcolor,
           sh.slminlen,
           sh.slminlen * un.un_fact AS slminlen_cm,
           sh.slmaxlen,
           sh.slmaxlen * un.un_fact AS slmaxlen_cm,
           sh.slunit
      FROM shoe_data sh, unit un
     WHERE sh.slunit = un.un_name
----
CREATE VIEW shoelace AS
    SELECT s.sl_name,
           s.sl_avail,
           s.sl_color,
           s.sl_len,
           s.sl_unit,
           s.sl_len * u.un_fact AS sl_len_cm
      FROM shoelace_data s, unit u
     WHERE s.sl_unit = u.un_name
----
CREATE VIEW shoe_ready AS
    SELECT rsh.shoename,
           rsh.sh_avail,
           rsl.sl_name,
           rsl.sl_avail,
           least(rsh.sh_avail, rsl.sl_avail) AS total_avail
      FROM shoe rsh, shoelace rsl
     WHERE rsl.sl_color = rsh.slcolor
       AND rsl.sl_len_cm >= rsh.slminlen_cm
       AND rsl.sl_len_cm <= rsh.slmaxlen_cm
----
INSERT INTO unit VALUES ('cm', 1.0)
----
INSERT INTO unit VALUES ('m', 100.0)
----
INSERT INTO unit VALUES ('inch', 2.54)
----
INSERT INTO shoe_data VALUES ('sh1', 2, 'black', 70.0, 90.0, 'cm')
----
INSERT INTO shoe_data VALUES ('sh2', 0, 'black', 30.0, 40.0, 'inch')
----
INSERT INTO shoe_data VALUES ('sh3', 4, 'brown', 50.0, 65.0, 'cm')
----
INSERT INTO shoe_data VALUES ('sh4', 3, 'brown', 40.0, 50.0, 'inch')
----
INSERT INTO shoelace_data VALUES ('sl1', 5, 'black', 80.0, 'cm')
----
INSERT INTO shoelace_data VALUES ('sl2', 6, 'black', 100.0, 'cm')
----
INSERT INTO shoelace_data VALUES ('sl3', 0, 'black', 35.0 , 'inch')
----
INSERT INTO shoelace_data VALUES ('sl4', 8, 'black', 40.0 , 'inch')
----
INSERT INTO shoelace_data VALUES ('sl5', 4, 'brown', 1.0 , 'm')
----
INSERT INTO shoelace_data VALUES ('sl6', 0, 'brown', 0.9 , 'm')
----
INSERT INTO shoelace_data VALUES ('sl7', 7, 'brown', 60 , 'cm')
----
INSERT INTO shoelace_data VALUES ('sl8', 1, 'brown', 40 , 'inch')
----
SELECT shoelace.sl_name, shoelace.sl_avail,
       shoelace.sl_color, shoelace.sl_len,
       shoelace.sl_unit, shoelace.sl_len_cm
  FROM shoelace shoelace
----
SELECT s.sl_name, s.sl_avail,
       s.sl_color, s.sl_len, s.sl_unit,
       s.sl_len * u.un_fact AS sl_len_cm
  FROM shoelace old, shoelace new,
       shoelace_data s, unit u
 WHERE s.sl_unit = u.un_name
----
SELECT shoelace.sl_name, shoelace.sl_avail,
       shoelace.sl_color, shoelace.sl_len,
       shoelace.sl_unit, shoelace.sl_len_cm
  FROM (SELECT s.sl_name,
               s.sl_avail,
               s.sl_color,
               s.sl_len,
               s.sl_unit,
               s.sl_len * u.un_fact AS sl_len_cm
          FROM shoelace_data s, unit u
         WHERE s.sl_unit = u.un_name) shoelace
----
SELECT * FROM shoe_ready WHERE total_avail >= 2
----
SELECT shoe_ready.shoename, shoe_ready.sh_avail,
       shoe_ready.sl_name, shoe_ready.sl_avail,
       shoe_ready.total_avail
  FROM shoe_ready shoe_ready
 WHERE shoe_ready.total_avail >= 2
----
SELECT shoe_ready.shoename, shoe_ready.sh_avail,
       shoe_ready.sl_name, shoe_ready.sl_avail,
       shoe_ready.total_avail
  FROM (SELECT rsh.shoename,
               rsh.sh_avail,
               rsl.sl_name,
               rsl.sl_avail,
               least(rsh.sh_avail, rsl.sl_avail) AS total_avail
          FROM shoe rsh, shoelace rsl
         WHERE rsl.sl_color = rsh.slcolor
           AND rsl.sl_len_cm >= rsh.slminlen_cm
           AND rsl.sl_len_cm <= rsh.slmaxlen_cm) shoe_ready
 WHERE shoe_ready.total_avail >= 2
----
SELECT shoe_ready.shoename, shoe_ready.sh_avail,
       shoe_ready.sl_name, shoe_ready.sl_avail,
       shoe_ready.total_avail
  FROM (SELECT rsh.shoename,
               rsh.sh_avail,
               rsl.sl_name,
               rsl.sl_avail,
               least(rsh.sh_avail, rsl.sl_avail) AS total_avail
          FROM (SELECT sh.shoename,
                       sh.sh_avail,
                       sh.slcolor,
                       sh.slminlen,
                       sh.slminlen * un.un_fact AS slminlen_cm,
                       sh.slmaxlen,
                       sh.slmaxlen * un.un_fact AS slmaxlen_cm,
                       sh.slunit
                  FROM shoe_data sh, unit un
                 WHERE sh.slunit = un.un_name) rsh,
               (SELECT s.sl_name,
                       s.sl_avail,
                       s.sl_color,
                       s.sl_len,
                       s.sl_unit,
                       s.sl_len * u.un_fact AS sl_len_cm
                  FROM shoelace_data s, unit u
                 WHERE s.sl_unit = u.un_name) rsl
         WHERE rsl.sl_color = rsh.slcolor
           AND rsl.sl_len_cm >= rsh.slminlen_cm
           AND rsl.sl_len_cm <= rsh.slmaxlen_cm) shoe_ready
 WHERE shoe_ready.total_avail >= 2
----
SELECT t2.b FROM t1, t2 WHERE t1.a = t2.a
----
UPDATE t1 SET b = t2.b FROM t2 WHERE t1.a = t2.a
----
UPDATE t1 SET a = t1.a, b = t2.b FROM t2 WHERE t1.a = t2.a
----
SELECT t1.a, t2.b FROM t1, t2 WHERE t1.a = t2.a
----
SELECT t1.a, t2.b, t1.ctid FROM t1, t2 WHERE t1.a = t2.a
----
SELECT to_hex(trunc(EXTRACT(EPOCH FROM backend_start))::integer) || '.' ||
       to_hex(pid)
FROM pg_stat_activity
----
CREATE TABLE postgres_log
(
  log_time timestamp(3) with time zone,
  user_name text,
  database_name text,
  process_id integer,
  connection_from text,
  session_id text,
  session_line_num bigint,
  command_tag text,
  session_start_time timestamp with time zone,
  virtual_transaction_id text,
  transaction_id bigint,
  error_severity text,
  sql_state_code text,
  message text,
  detail text,
  hint text,
  internal_query text,
  internal_query_pos integer,
  context text,
  query text,
  query_pos integer,
  location text,
  application_name text,
  backend_type text,
  leader_pid integer,
  query_id bigint,
  PRIMARY KEY (session_id, session_line_num)
)
----
COPY postgres_log FROM '/full/path/to/logfile.csv' WITH csv
----
CREATE TABLE parent(key integer, ...)
----
CREATE TABLE child1000(check (key between 1000 and 1999)) INHERITS(parent)
----
CREATE TABLE child2000(check (key between 2000 and 2999)) INHERITS(parent)
----
SELECT DISTINCT plugin FROM pg_replication_slots WHERE plugin IS NOT NULL
----
select 6.50 :: float8 as "pH"
----
select '6.25 .. 6.50'::seg as "pH"
----
select '10(+-)1'::seg as seg
----
do
    postgres --single -F -c exit_on_error=true $DBNAME \
      </usr/local/pgsql/share/contrib/sepgsql.sql >/dev/null
  done
----
CREATE TABLE customer (
SECURITY LABEL ON COLUMN customer.credit
CREATE FUNCTION show_credit(int) RETURNS text
SECURITY LABEL ON FUNCTION show_credit(int)
----
SELECT * FROM customer
----
SELECT cid, cname, show_credit(cid) FROM customer
----
select sepgsql_getcon()
----
SELECT sepgsql_setcon('unconfined_u:unconfined_r:unconfined_t:s0-s0:c1.c4')
----
SELECT sepgsql_setcon('unconfined_u:unconfined_r:unconfined_t:s0-s0:c1.c1023')
----
CREATE FUNCTION my_config(internal, internal) RETURNS void ...
----
CREATE FUNCTION my_choose(internal, internal) RETURNS void ...
----
CREATE FUNCTION my_picksplit(internal, internal) RETURNS void ...
----
CREATE FUNCTION my_inner_consistent(internal, internal) RETURNS void ...
----
CREATE FUNCTION my_leaf_consistent(internal, internal) RETURNS bool ...
----
CREATE FUNCTION execq(text, integer) RETURNS int8
    AS 'filename'
    LANGUAGE C STRICT
----
SELECT execq('CREATE TABLE a (x integer)', 0)
----
INSERT INTO a VALUES (execq('INSERT INTO a VALUES (0)', 0))
----
SELECT execq('SELECT * FROM a', 0)
----
SELECT execq('INSERT INTO a SELECT x + 2 FROM a RETURNING *', 1)
----
SELECT execq('SELECT * FROM a', 10)
----
SELECT execq('INSERT INTO a SELECT x + 10 FROM a', 1)
----
SELECT * FROM a
----
DELETE FROM a
----
INSERT INTO a VALUES (execq('SELECT * FROM a', 0) + 1)
----
INSERT INTO a SELECT execq('SELECT * FROM a', 0) * x FROM a
----
INSERT INTO a SELECT * FROM a
----
ALTER AGGREGATE myavg(integer) RENAME TO my_average
----
ALTER AGGREGATE myavg(integer) OWNER TO joe
----
ALTER AGGREGATE mypercentile(float8 ORDER BY integer) SET SCHEMA myschema
----
ALTER AGGREGATE mypercentile(float8, integer) SET SCHEMA myschema
----
SELECT pg_describe_object(refclassid, refobjid, refobjsubid) AS "Collation",
       pg_describe_object(classid, objid, objsubid) AS "Object"
  FROM pg_depend d JOIN pg_collation c
       ON refclassid = 'pg_collation'::regclass AND refobjid = c.oid
  WHERE c.collversion <> pg_collation_actual_version(c.oid)
  ORDER BY 1, 2
----
ALTER COLLATION "de_DE" RENAME TO german
----
ALTER COLLATION "en_US" OWNER TO joe
----
ALTER CONVERSION iso_8859_1_to_utf8 RENAME TO latin1_to_unicode
----
ALTER CONVERSION iso_8859_1_to_utf8 OWNER TO joe
----
ALTER DATABASE test SET enable_indexscan TO off
----
ALTER DEFAULT PRIVILEGES IN SCHEMA myschema GRANT SELECT ON TABLES TO PUBLIC
----
ALTER DEFAULT PRIVILEGES IN SCHEMA myschema GRANT INSERT ON TABLES TO webuser
----
ALTER DEFAULT PRIVILEGES IN SCHEMA myschema REVOKE SELECT ON TABLES FROM PUBLIC
----
ALTER DEFAULT PRIVILEGES IN SCHEMA myschema REVOKE INSERT ON TABLES FROM webuser
----
ALTER DEFAULT PRIVILEGES FOR ROLE admin REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC
----
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC
----
ALTER DOMAIN zipcode SET NOT NULL
----
ALTER DOMAIN zipcode DROP NOT NULL
----
ALTER DOMAIN zipcode ADD CONSTRAINT zipchk CHECK (char_length(VALUE) = 5)
----
ALTER DOMAIN zipcode DROP CONSTRAINT zipchk
----
ALTER DOMAIN zipcode RENAME CONSTRAINT zipchk TO zip_check
----
ALTER DOMAIN zipcode SET SCHEMA customers
----
ALTER EXTENSION hstore UPDATE TO '2.0'
----
ALTER EXTENSION hstore SET SCHEMA utils
----
ALTER EXTENSION hstore ADD FUNCTION populate_record(anyelement, hstore)
----
ALTER FOREIGN DATA WRAPPER dbi OPTIONS (ADD foo '1', DROP bar)
----
ALTER FOREIGN DATA WRAPPER dbi VALIDATOR bob.myvalidator
----
ALTER FOREIGN TABLE distributors ALTER COLUMN street SET NOT NULL
----
ALTER FOREIGN TABLE myschema.distributors OPTIONS (ADD opt1 'value', SET opt2 'value2', DROP opt3)
----
ALTER FUNCTION sqrt(integer) RENAME TO square_root
----
ALTER FUNCTION sqrt(integer) OWNER TO joe
----
ALTER FUNCTION sqrt(integer) SET SCHEMA maths
----
ALTER FUNCTION sqrt(integer) DEPENDS ON EXTENSION mathlib
----
ALTER FUNCTION check_password(text) SET search_path = admin, pg_temp
----
ALTER FUNCTION check_password(text) RESET search_path
----
ALTER GROUP staff ADD USER karl, john
----
ALTER GROUP workers DROP USER beth
----
ALTER INDEX distributors RENAME TO suppliers
----
ALTER INDEX distributors SET TABLESPACE fasttablespace
----
ALTER INDEX distributors SET (fillfactor = 75)
----
REINDEX INDEX distributors
----
CREATE INDEX coord_idx ON measured (x, y, (z + t))
----
ALTER INDEX coord_idx ALTER COLUMN 3 SET STATISTICS 1000
----
ALTER MATERIALIZED VIEW foo RENAME TO bar
----
ALTER OPERATOR @@ (text, text) OWNER TO joe
----
ALTER OPERATOR && (_int4, _int4) SET (RESTRICT = _int_contsel, JOIN = _int_contjoinsel)
----
ALTER OPERATOR FAMILY integer_ops USING btree ADD

  -- int4 vs int2
  OPERATOR 1 < (int4, int2) ,
  OPERATOR 2 <= (int4, int2) ,
  OPERATOR 3 = (int4, int2) ,
  OPERATOR 4 >= (int4, int2) ,
  OPERATOR 5 > (int4, int2) ,
  FUNCTION 1 btint42cmp(int4, int2) ,

  -- int2 vs int4
  OPERATOR 1 < (int2, int4) ,
  OPERATOR 2 <= (int2, int4) ,
  OPERATOR 3 = (int2, int4) ,
  OPERATOR 4 >= (int2, int4) ,
  OPERATOR 5 > (int2, int4) ,
  FUNCTION 1 btint24cmp(int2, int4)
----
ALTER OPERATOR FAMILY integer_ops USING btree DROP

  -- int4 vs int2
  OPERATOR 1 (int4, int2) ,
  OPERATOR 2 (int4, int2) ,
  OPERATOR 3 (int4, int2) ,
  OPERATOR 4 (int4, int2) ,
  OPERATOR 5 (int4, int2) ,
  FUNCTION 1 (int4, int2) ,

  -- int2 vs int4
  OPERATOR 1 (int2, int4) ,
  OPERATOR 2 (int2, int4) ,
  OPERATOR 3 (int2, int4) ,
  OPERATOR 4 (int2, int4) ,
  OPERATOR 5 (int2, int4) ,
  FUNCTION 1 (int2, int4)
----
ALTER PROCEDURE insert_data(integer, integer) RENAME TO insert_record
----
ALTER PROCEDURE insert_data(integer, integer) OWNER TO joe
----
ALTER PROCEDURE insert_data(integer, integer) SET SCHEMA accounting
----
ALTER PROCEDURE insert_data(integer, integer) DEPENDS ON EXTENSION myext
----
ALTER PROCEDURE check_password(text) SET search_path = admin, pg_temp
----
ALTER PROCEDURE check_password(text) RESET search_path
----
ALTER PUBLICATION noinsert SET (publish = 'update, delete')
----
ALTER PUBLICATION mypublication ADD TABLE users (user_id, firstname), departments
----
ALTER PUBLICATION mypublication SET TABLE users (user_id, firstname, lastname), TABLE departments
----
ALTER PUBLICATION sales_publication ADD TABLES IN SCHEMA marketing, sales
----
ALTER PUBLICATION production_publication ADD TABLE users, departments, TABLES IN SCHEMA production
----
ALTER ROLE davide WITH PASSWORD 'hu8jmn3'
----
ALTER ROLE davide WITH PASSWORD NULL
----
ALTER ROLE chris VALID UNTIL 'May 4 12:00:00 2015 +1'
----
ALTER ROLE fred VALID UNTIL 'infinity'
----
ALTER ROLE miriam CREATEROLE CREATEDB
----
ALTER ROLE worker_bee SET maintenance_work_mem = 100000
----
ALTER ROLE fred IN DATABASE devel SET client_min_messages = DEBUG
----
ALTER ROUTINE foo(integer) RENAME TO foobar
----
ALTER RULE notify_all ON emp RENAME TO notify_me
----
ALTER SEQUENCE serial RESTART WITH 105
----
ALTER SERVER foo OPTIONS (host 'foo', dbname 'foodb')
----
ALTER SERVER foo VERSION '8.4' OPTIONS (SET host 'baz')
----
ALTER SUBSCRIPTION mysub SET PUBLICATION insert_only
----
ALTER SUBSCRIPTION mysub DISABLE
----
ALTER SYSTEM SET wal_level = replica
----
ALTER SYSTEM RESET wal_level
----
ALTER TABLE distributors ADD COLUMN address varchar(30)
----
ALTER TABLE measurements
  ADD COLUMN mtime timestamp with time zone DEFAULT now()
----
ALTER TABLE transactions
  ADD COLUMN status varchar(30) DEFAULT 'old',
  ALTER COLUMN status SET default 'current'
----
ALTER TABLE distributors DROP COLUMN address RESTRICT
----
ALTER TABLE distributors
    ALTER COLUMN address TYPE varchar(80),
    ALTER COLUMN name TYPE varchar(100)
----
ALTER TABLE foo
    ALTER COLUMN foo_timestamp SET DATA TYPE timestamp with time zone
    USING
        timestamp with time zone 'epoch' + foo_timestamp * interval '1 second'
----
ALTER TABLE foo
    ALTER COLUMN foo_timestamp DROP DEFAULT,
    ALTER COLUMN foo_timestamp TYPE timestamp with time zone
    USING
        timestamp with time zone 'epoch' + foo_timestamp * interval '1 second',
    ALTER COLUMN foo_timestamp SET DEFAULT now()
----
ALTER TABLE distributors RENAME COLUMN address TO city
----
ALTER TABLE distributors RENAME TO suppliers
----
ALTER TABLE distributors RENAME CONSTRAINT zipchk TO zip_check
----
ALTER TABLE distributors ALTER COLUMN street SET NOT NULL
----
ALTER TABLE distributors ALTER COLUMN street DROP NOT NULL
----
ALTER TABLE distributors ADD CONSTRAINT zipchk CHECK (char_length(zipcode) = 5)
----
ALTER TABLE distributors ADD CONSTRAINT zipchk CHECK (char_length(zipcode) = 5) NO INHERIT
----
ALTER TABLE distributors DROP CONSTRAINT zipchk
----
ALTER TABLE ONLY distributors DROP CONSTRAINT zipchk
----
ALTER TABLE distributors ADD CONSTRAINT distfk FOREIGN KEY (address) REFERENCES addresses (address)
----
ALTER TABLE distributors ADD CONSTRAINT distfk FOREIGN KEY (address) REFERENCES addresses (address) NOT VALID
----
ALTER TABLE distributors VALIDATE CONSTRAINT distfk
----
ALTER TABLE distributors ADD CONSTRAINT dist_id_zipcode_key UNIQUE (dist_id, zipcode)
----
ALTER TABLE distributors ADD PRIMARY KEY (dist_id)
----
ALTER TABLE distributors SET TABLESPACE fasttablespace
----
ALTER TABLE myschema.distributors SET SCHEMA yourschema
----
CREATE UNIQUE INDEX CONCURRENTLY dist_id_temp_idx ON distributors (dist_id)
----
ALTER TABLE distributors DROP CONSTRAINT distributors_pkey,
    ADD CONSTRAINT distributors_pkey PRIMARY KEY USING INDEX dist_id_temp_idx
----
ALTER TABLE measurement
    ATTACH PARTITION measurement_y2016m07 FOR VALUES FROM ('2016-07-01') TO ('2016-08-01')
----
ALTER TABLE cities
    ATTACH PARTITION cities_ab FOR VALUES IN ('a', 'b')
----
ALTER TABLE orders
    ATTACH PARTITION orders_p4 FOR VALUES WITH (MODULUS 4, REMAINDER 3)
----
ALTER TABLE cities
    ATTACH PARTITION cities_partdef DEFAULT
----
ALTER TABLE measurement
    DETACH PARTITION measurement_y2015m12
----
ALTER TABLESPACE index_space RENAME TO fast_raid
----
ALTER TABLESPACE index_space OWNER TO mary
----
ALTER TRIGGER emp_stamp ON emp RENAME TO emp_track_chgs
----
ALTER TRIGGER emp_stamp ON emp DEPENDS ON EXTENSION emplib
----
ALTER TEXT SEARCH CONFIGURATION my_config
  ALTER MAPPING REPLACE english WITH swedish
----
ALTER TEXT SEARCH DICTIONARY my_dict ( StopWords = newrussian )
----
ALTER TEXT SEARCH DICTIONARY my_dict ( language = dutch, StopWords )
----
ALTER TEXT SEARCH DICTIONARY my_dict ( dummy )
----
ALTER TYPE electronic_mail RENAME TO email
----
ALTER TYPE email OWNER TO joe
----
ALTER TYPE email SET SCHEMA customers
----
ALTER TYPE compfoo ADD ATTRIBUTE f3 int
----
ALTER TYPE colors ADD VALUE 'orange' AFTER 'red'
----
ALTER TYPE colors RENAME VALUE 'purple' TO 'mauve'
----
CREATE FUNCTION mytypesend(mytype) RETURNS bytea ...
----
CREATE FUNCTION mytyperecv(internal, oid, integer) RETURNS mytype ...
----
ALTER TYPE mytype SET (
    SEND = mytypesend,
    RECEIVE = mytyperecv
)
----
ALTER USER MAPPING FOR bob SERVER foo OPTIONS (SET password 'public')
----
ALTER VIEW foo RENAME TO bar
----
CREATE TABLE base_table (id int, ts timestamptz)
----
CREATE VIEW a_view AS SELECT * FROM base_table
----
ALTER VIEW a_view ALTER COLUMN ts SET DEFAULT now()
----
INSERT INTO base_table(id) VALUES(1)
----
-- ts will receive a NULL
INSERT INTO a_view(id) VALUES(2)
----
CALL do_db_maintenance()
----
CLOSE liahona
----
CLUSTER employees USING employees_ind
----
CLUSTER employees
----
COMMENT ON TABLE mytable IS 'This is my table.'
----
COMMENT ON TABLE mytable IS NULL
----
COMMENT ON ACCESS METHOD gin IS 'GIN index access method'
----
COMMENT ON AGGREGATE my_aggregate (double precision) IS 'Computes sample variance'
----
COMMENT ON CAST (text AS int4) IS 'Allow casts from text to int4'
----
COMMENT ON COLLATION "fr_CA" IS 'Canadian French'
----
COMMENT ON COLUMN my_table.my_column IS 'Employee ID number'
----
COMMENT ON CONVERSION my_conv IS 'Conversion to UTF8'
----
COMMENT ON CONSTRAINT bar_col_cons ON bar IS 'Constrains column col'
----
COMMENT ON CONSTRAINT dom_col_constr ON DOMAIN dom IS 'Constrains col of domain'
----
COMMENT ON DATABASE my_database IS 'Development Database'
----
COMMENT ON DOMAIN my_domain IS 'Email Address Domain'
----
COMMENT ON EVENT TRIGGER abort_ddl IS 'Aborts all DDL commands'
----
COMMENT ON EXTENSION hstore IS 'implements the hstore data type'
----
COMMENT ON FOREIGN DATA WRAPPER mywrapper IS 'my foreign data wrapper'
----
COMMENT ON FOREIGN TABLE my_foreign_table IS 'Employee Information in other database'
----
COMMENT ON FUNCTION my_function (timestamp) IS 'Returns Roman Numeral'
----
COMMENT ON INDEX my_index IS 'Enforces uniqueness on employee ID'
----
COMMENT ON LANGUAGE plpython IS 'Python support for stored procedures'
----
COMMENT ON LARGE OBJECT 346344 IS 'Planning document'
----
COMMENT ON MATERIALIZED VIEW my_matview IS 'Summary of order history'
----
COMMENT ON OPERATOR ^ (text, text) IS 'Performs intersection of two texts'
----
COMMENT ON OPERATOR - (NONE, integer) IS 'Unary minus'
----
COMMENT ON OPERATOR CLASS int4ops USING btree IS '4 byte integer operators for btrees'
----
COMMENT ON OPERATOR FAMILY integer_ops USING btree IS 'all integer operators for btrees'
----
COMMENT ON POLICY my_policy ON mytable IS 'Filter rows by users'
----
COMMENT ON PROCEDURE my_proc (integer, integer) IS 'Runs a report'
----
COMMENT ON PUBLICATION alltables IS 'Publishes all operations on all tables'
----
COMMENT ON ROLE my_role IS 'Administration group for finance tables'
----
COMMENT ON ROUTINE my_routine (integer, integer) IS 'Runs a routine (which is a function or procedure)'
----
COMMENT ON RULE my_rule ON my_table IS 'Logs updates of employee records'
----
COMMENT ON SCHEMA my_schema IS 'Departmental data'
----
COMMENT ON SEQUENCE my_sequence IS 'Used to generate primary keys'
----
COMMENT ON SERVER myserver IS 'my foreign server'
----
COMMENT ON STATISTICS my_statistics IS 'Improves planner row estimations'
----
COMMENT ON SUBSCRIPTION alltables IS 'Subscription for all operations on all tables'
----
COMMENT ON TABLE my_schema.my_table IS 'Employee Information'
----
COMMENT ON TABLESPACE my_tablespace IS 'Tablespace for indexes'
----
COMMENT ON TEXT SEARCH CONFIGURATION my_config IS 'Special word filtering'
----
COMMENT ON TEXT SEARCH DICTIONARY swedish IS 'Snowball stemmer for Swedish language'
----
COMMENT ON TEXT SEARCH PARSER my_parser IS 'Splits text into words'
----
COMMENT ON TEXT SEARCH TEMPLATE snowball IS 'Snowball stemmer'
----
COMMENT ON TRANSFORM FOR hstore LANGUAGE plpython3u IS 'Transform between hstore and Python dict'
----
COMMENT ON TRIGGER my_trigger ON my_table IS 'Used for RI'
----
COMMENT ON TYPE complex IS 'Complex number data type'
----
COMMENT ON VIEW my_view IS 'View of departmental costs'
----
COMMENT ON VIEW my_view IS NULL
----
COMMIT PREPARED 'foobar'
----
COPY count
----
COPY country TO STDOUT (DELIMITER '|')
----
COPY country FROM '/usr1/proj/bray/sql/country_data'
----
COPY (SELECT * FROM country WHERE country_name LIKE 'A%') TO '/usr1/proj/bray/sql/a_list_countries.copy'
----
COPY country TO PROGRAM 'gzip > /usr1/proj/bray/sql/country_data.gz'
----
CREATE ACCESS METHOD heptree TYPE INDEX HANDLER heptree_handler
----
SELECT agg(col) FROM tab
----
SELECT col FROM tab ORDER BY col USING sortop LIMIT 1
----
SELECT CAST(42 AS float8)
----
INSERT INTO foo (f1) VALUES (42)
----
SELECT 2 + 4.0
----
SELECT CAST ( 2 AS numeric ) + 4.0
----
CREATE CAST (bigint AS int4) WITH FUNCTION int4(bigint) AS ASSIGNMENT
----
CREATE COLLATION french (locale = 'fr_FR.utf8')
----
CREATE COLLATION german_phonebook (provider = icu, locale = 'de-u-co-phonebk')
----
CREATE CONVERSION myconv FOR 'UTF8' TO 'LATIN1' FROM myfunc
----
CREATE DATABASE lusiadas
----
CREATE DATABASE sales OWNER salesapp TABLESPACE salesspace
----
CREATE DATABASE music
    LOCALE 'sv_SE.utf8'
    TEMPLATE template0
----
CREATE DATABASE music2
    LOCALE 'sv_SE.iso885915'
    ENCODING LATIN9
    TEMPLATE template0
----
INSERT INTO tab (domcol) VALUES ((SELECT domcol FROM tab WHERE false))
----
CREATE DOMAIN us_postal_code AS TEXT
CHECK(
   VALUE ~ '^\d{5}$'
OR VALUE ~ '^\d{5}-\d{4}$'
)
----
CREATE TABLE us_snail_addy (
  address_id SERIAL PRIMARY KEY,
  street1 TEXT NOT NULL,
  street2 TEXT,
  street3 TEXT,
  city TEXT NOT NULL,
  postal us_postal_code NOT NULL
)
----
CREATE OR REPLACE FUNCTION abort_any_command()
  RETURNS event_trigger
 LANGUAGE plpgsql
  AS $$
BEGIN
  RAISE EXCEPTION 'command % is disabled', tg_tag;
END;
$$
----
CREATE EVENT TRIGGER abort_ddl ON ddl_command_start
   EXECUTE FUNCTION abort_any_command()
----
CREATE EXTENSION hstore SCHEMA addons
----
SET search_path = addons
----
CREATE EXTENSION hstore
----
CREATE FOREIGN DATA WRAPPER dummy
----
CREATE FOREIGN DATA WRAPPER file HANDLER file_fdw_handler
----
CREATE FOREIGN DATA WRAPPER mywrapper
    OPTIONS (debug 'true')
----
CREATE FOREIGN TABLE films (
    code        char(5) NOT NULL,
    title       varchar(40) NOT NULL,
    did         integer NOT NULL,
    date_prod   date,
    kind        varchar(10),
    len         interval hour to minute
)
SERVER film_server
----
CREATE FOREIGN TABLE measurement_y2016m07
    PARTITION OF measurement FOR VALUES FROM ('2016-07-01') TO ('2016-08-01')
    SERVER server_07
----
BEGIN ATOMIC
  statement;
  statement;
  ...
  statement;
END
----
CREATE FUNCTION foo(int) ...
CREATE FUNCTION foo(int, out text) ...
----
CREATE FUNCTION foo(int) ...
CREATE FUNCTION foo(int, int default 42) ...
----
CREATE FUNCTION add(integer, integer) RETURNS integer
    AS 'select $1 + $2;'
    LANGUAGE SQL
    IMMUTABLE
    RETURNS NULL ON NULL INPUT
----
CREATE FUNCTION add(a integer, b integer) RETURNS integer
    LANGUAGE SQL
    IMMUTABLE
    RETURNS NULL ON NULL INPUT
    RETURN a + b
----
CREATE OR REPLACE FUNCTION increment(i integer) RETURNS integer AS $$
        BEGIN
                RETURN i + 1;
        END;
$$ LANGUAGE plpgsql
----
CREATE FUNCTION dup(in int, out f1 int, out f2 text)
    AS $$ SELECT $1, CAST($1 AS text) || ' is text' $$
    LANGUAGE SQL
----
SELECT * FROM dup(42)
----
CREATE TYPE dup_result AS (f1 int, f2 text)
----
CREATE FUNCTION dup(int) RETURNS dup_result
    AS $$ SELECT $1, CAST($1 AS text) || ' is text' $$
    LANGUAGE SQL
----
CREATE FUNCTION dup(int) RETURNS TABLE(f1 int, f2 text)
    AS $$ SELECT $1, CAST($1 AS text) || ' is text' $$
    LANGUAGE SQL
----
CREATE FUNCTION check_password(uname TEXT, pass TEXT)
RETURNS BOOLEAN AS $$
DECLARE passed BOOLEAN;
BEGIN
        SELECT  (pwd = $2) INTO passed
        FROM    pwds
        WHERE   username = $1;

        RETURN passed;
END;
$$  LANGUAGE plpgsql
    SECURITY DEFINER
    -- Set a secure search_path: trusted schema(s), then 'pg_temp'.
    SET search_path = admin, pg_temp
----
CREATE FUNCTION check_password(uname TEXT, pass TEXT) ... SECURITY DEFINER
----
REVOKE ALL ON FUNCTION check_password(uname TEXT, pass TEXT) FROM PUBLIC
----
GRANT EXECUTE ON FUNCTION check_password(uname TEXT, pass TEXT) TO admins
----
CREATE UNIQUE INDEX title_idx ON films (title)
----
CREATE UNIQUE INDEX title_idx ON films (title) INCLUDE (director, rating)
----
CREATE INDEX title_idx ON films (title) WITH (deduplicate_items = off)
----
CREATE INDEX ON films ((lower(title)))
----
CREATE INDEX title_idx_german ON films (title COLLATE "de_DE")
----
CREATE INDEX title_idx_nulls_low ON films (title NULLS FIRST)
----
CREATE UNIQUE INDEX title_idx ON films (title) WITH (fillfactor = 70)
----
CREATE INDEX gin_idx ON documents_table USING GIN (locations) WITH (fastupdate = off)
----
CREATE INDEX code_idx ON films (code) TABLESPACE indexspace
----
CREATE INDEX pointloc
    ON points USING gist (box(location,location))
----
SELECT * FROM points
    WHERE box(location,location) && '(0,0),(1,1)'::box
----
CREATE INDEX CONCURRENTLY sales_quantity_index ON sales_table (quantity)
----
CREATE FUNCTION plsample_call_handler() RETURNS language_handler
    AS '$libdir/plsample'
    LANGUAGE C
----
CREATE LANGUAGE plsample
    HANDLER plsample_call_handler
----
CREATE EXTENSION plsample
----
CREATE OPERATOR CLASS gist__int_ops
    DEFAULT FOR TYPE _int4 USING gist AS
        OPERATOR        3       &&,
        OPERATOR        6       = (anyarray, anyarray),
        OPERATOR        7       @>,
        OPERATOR        8       <@,
        OPERATOR        20      @@ (_int4, query_int),
        FUNCTION        1       g_int_consistent (internal, _int4, smallint, oid, internal),
        FUNCTION        2       g_int_union (internal, internal),
        FUNCTION        3       g_int_compress (internal),
        FUNCTION        4       g_int_decompress (internal),
        FUNCTION        5       g_int_penalty (internal, internal, internal),
        FUNCTION        6       g_int_picksplit (internal, internal),
        FUNCTION        7       g_int_same (_int4, _int4, internal)
----
CREATE OPERATOR === (
    LEFTARG = box,
    RIGHTARG = box,
    FUNCTION = area_equal_function,
    COMMUTATOR = ===,
    NEGATOR = !==,
    RESTRICT = area_restriction_function,
    JOIN = area_join_function,
    HASHES, MERGES
)
----
CREATE PROCEDURE insert_data(a integer, b integer)
LANGUAGE SQL
AS $$
INSERT INTO tbl VALUES (a);
INSERT INTO tbl VALUES (b);
$$
----
CREATE PROCEDURE insert_data(a integer, b integer)
LANGUAGE SQL
BEGIN ATOMIC
  INSERT INTO tbl VALUES (a);
  INSERT INTO tbl VALUES (b);
END
----
CALL insert_data(1, 2)
----
CREATE PUBLICATION mypublication FOR TABLE users, departments
----
CREATE PUBLICATION active_departments FOR TABLE departments WHERE (active IS TRUE)
----
CREATE PUBLICATION alltables FOR ALL TABLES
----
CREATE PUBLICATION insert_only FOR TABLE mydata
    WITH (publish = 'insert')
----
CREATE PUBLICATION production_publication FOR TABLE users, departments, TABLES IN SCHEMA production
----
CREATE PUBLICATION sales_publication FOR TABLES IN SCHEMA marketing, sales
----
CREATE PUBLICATION users_filtered FOR TABLE users (user_id, firstname)
----
CREATE ROLE jonathan LOGIN
----
CREATE USER davide WITH PASSWORD 'jw8s0F4'
----
CREATE ROLE miriam WITH LOGIN PASSWORD 'jw8s0F4' VALID UNTIL '2005-01-01'
----
CREATE ROLE admin WITH CREATEDB CREATEROLE
----
CREATE RULE "_RETURN" AS
    ON SELECT TO t1
    DO INSTEAD
        SELECT * FROM t2
----
CREATE RULE "_RETURN" AS
    ON SELECT TO t2
    DO INSTEAD
        SELECT * FROM t1
----
CREATE RULE notify_me AS ON UPDATE TO mytable DO ALSO NOTIFY mytable
----
UPDATE mytable SET name = 'foo' WHERE id = 42
----
CREATE SCHEMA AUTHORIZATION joe
----
CREATE SCHEMA IF NOT EXISTS test AUTHORIZATION joe
----
CREATE SCHEMA hollywood
    CREATE TABLE films (title text, release date, awards text[])
    CREATE VIEW winners AS
        SELECT title, release FROM films WHERE awards IS NOT NULL
----
CREATE SCHEMA hollywood
----
CREATE TABLE hollywood.films (title text, release date, awards text[])
----
CREATE VIEW hollywood.winners AS
    SELECT title, release FROM hollywood.films WHERE awards IS NOT NULL
----
SELECT * FROM name
----
CREATE SEQUENCE serial START 101
----
SELECT nextval('serial')
----
INSERT INTO distributors VALUES (nextval('serial'), 'nothing')
----
COPY distributors FROM 'input_file'
----
SELECT setval('serial', max(id)) FROM distributors
----
CREATE SERVER myserver FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'foo', dbname 'foodb', port '5432')
----
CREATE TABLE t1 (
    a   int,
    b   int
)
----
INSERT INTO t1 SELECT i/100, i/500
                 FROM generate_series(1,1000000) s(i)
----
ANALYZE t1
----
-- the number of matching rows will be drastically underestimated:
EXPLAIN ANALYZE SELECT * FROM t1 WHERE (a = 1) AND (b = 0)
----
CREATE STATISTICS s1 (dependencies) ON a, b FROM t1
----
-- now the row count estimate is more accurate:
EXPLAIN ANALYZE SELECT * FROM t1 WHERE (a = 1) AND (b = 0)
----
CREATE TABLE t2 (
    a   int,
    b   int
)
----
INSERT INTO t2 SELECT mod(i,100), mod(i,100)
                 FROM generate_series(1,1000000) s(i)
----
CREATE STATISTICS s2 (mcv) ON a, b FROM t2
----
ANALYZE t2
----
-- valid combination (found in MCV)
EXPLAIN ANALYZE SELECT * FROM t2 WHERE (a = 1) AND (b = 1)
----
-- invalid combination (not found in MCV)
EXPLAIN ANALYZE SELECT * FROM t2 WHERE (a = 1) AND (b = 2)
----
CREATE TABLE t3 (
    a   timestamp
)
----
INSERT INTO t3 SELECT i FROM generate_series('2020-01-01'::timestamp,
                                             '2020-12-31'::timestamp,
                                             '1 minute'::interval) s(i)
----
ANALYZE t3
----
-- the number of matching rows will be drastically underestimated:
EXPLAIN ANALYZE SELECT * FROM t3
  WHERE date_trunc('month', a) = '2020-01-01'::timestamp
----
EXPLAIN ANALYZE SELECT * FROM t3
  WHERE date_trunc('day', a) BETWEEN '2020-01-01'::timestamp
                                 AND '2020-06-30'::timestamp
----
EXPLAIN ANALYZE SELECT date_trunc('month', a), date_trunc('day', a)
   FROM t3 GROUP BY 1, 2
----
-- build ndistinct statistics on the pair of expressions (per-expression
-- statistics are built automatically)
CREATE STATISTICS s3 (ndistinct) ON date_trunc('month', a), date_trunc('day', a) FROM t3
----
-- now the row count estimates are more accurate:
EXPLAIN ANALYZE SELECT * FROM t3
  WHERE date_trunc('month', a) = '2020-01-01'::timestamp
----
CREATE SUBSCRIPTION mysub
         CONNECTION 'host=192.168.1.50 port=5432 user=foo dbname=foodb'
        PUBLICATION mypublication, insert_only
----
CREATE SUBSCRIPTION mysub
         CONNECTION 'host=192.168.1.50 port=5432 user=foo dbname=foodb'
        PUBLICATION insert_only
               WITH (enabled = false)
----
CREATE TABLE films (
    code        char(5) CONSTRAINT firstkey PRIMARY KEY,
    title       varchar(40) NOT NULL,
    did         integer NOT NULL,
    date_prod   date,
    kind        varchar(10),
    len         interval hour to minute
)
----
CREATE TABLE distributors (
     did    integer PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY,
     name   varchar(40) NOT NULL CHECK (name <> '')
)
----
CREATE TABLE array_int (
    vector  int[][]
)
----
CREATE TABLE films (
    code        char(5),
    title       varchar(40),
    did         integer,
    date_prod   date,
    kind        varchar(10),
    len         interval hour to minute,
    CONSTRAINT production UNIQUE(date_prod)
)
----
CREATE TABLE distributors (
    did     integer CHECK (did > 100),
    name    varchar(40)
)
----
CREATE TABLE distributors (
    did     integer,
    name    varchar(40),
    CONSTRAINT con1 CHECK (did > 100 AND name <> '')
)
----
CREATE TABLE films (
    code        char(5),
    title       varchar(40),
    did         integer,
    date_prod   date,
    kind        varchar(10),
    len         interval hour to minute,
    CONSTRAINT code_title PRIMARY KEY(code,title)
)
----
CREATE TABLE distributors (
    did     integer,
    name    varchar(40),
    PRIMARY KEY(did)
)
----
CREATE TABLE distributors (
    did     integer PRIMARY KEY,
    name    varchar(40)
)
----
CREATE TABLE distributors (
    name      varchar(40) DEFAULT 'Luso Films',
    did       integer DEFAULT nextval('distributors_serial'),
    modtime   timestamp DEFAULT current_timestamp
)
----
CREATE TABLE distributors (
    did     integer CONSTRAINT no_null NOT NULL,
    name    varchar(40) NOT NULL
)
----
CREATE TABLE distributors (
    did     integer,
    name    varchar(40) UNIQUE
)
----
CREATE TABLE distributors (
    did     integer,
    name    varchar(40),
    UNIQUE(name)
)
----
CREATE TABLE distributors (
    did     integer,
    name    varchar(40),
    UNIQUE(name) WITH (fillfactor=70)
)
WITH (fillfactor=70)
----
CREATE TABLE cinemas (
        id serial,
        name text,
        location text
) TABLESPACE diskvol1
----
CREATE TYPE employee_type AS (name text, salary numeric)
----
CREATE TABLE employees OF employee_type (
    PRIMARY KEY (name),
    salary WITH OPTIONS DEFAULT 1000
)
----
CREATE TABLE measurement (
    logdate         date not null,
    peaktemp        int,
    unitsales       int
) PARTITION BY RANGE (logdate)
----
CREATE TABLE measurement_year_month (
    logdate         date not null,
    peaktemp        int,
    unitsales       int
) PARTITION BY RANGE (EXTRACT(YEAR FROM logdate), EXTRACT(MONTH FROM logdate))
----
CREATE TABLE cities (
    city_id      bigserial not null,
    name         text not null,
    population   bigint
) PARTITION BY LIST (left(lower(name), 1))
----
CREATE TABLE orders (
    order_id     bigint not null,
    cust_id      bigint not null,
    status       text
) PARTITION BY HASH (order_id)
----
CREATE TABLE measurement_y2016m07
    PARTITION OF measurement (
    unitsales DEFAULT 0
) FOR VALUES FROM ('2016-07-01') TO ('2016-08-01')
----
CREATE TABLE measurement_ym_older
    PARTITION OF measurement_year_month
    FOR VALUES FROM (MINVALUE, MINVALUE) TO (2016, 11)
----
CREATE TABLE measurement_ym_y2016m11
    PARTITION OF measurement_year_month
    FOR VALUES FROM (2016, 11) TO (2016, 12)
----
CREATE TABLE measurement_ym_y2016m12
    PARTITION OF measurement_year_month
    FOR VALUES FROM (2016, 12) TO (2017, 01)
----
CREATE TABLE measurement_ym_y2017m01
    PARTITION OF measurement_year_month
    FOR VALUES FROM (2017, 01) TO (2017, 02)
----
CREATE TABLE cities_ab
    PARTITION OF cities (
    CONSTRAINT city_id_nonzero CHECK (city_id != 0)
) FOR VALUES IN ('a', 'b')
----
CREATE TABLE cities_ab
    PARTITION OF cities (
    CONSTRAINT city_id_nonzero CHECK (city_id != 0)
) FOR VALUES IN ('a', 'b') PARTITION BY RANGE (population)
----
CREATE TABLE cities_ab_10000_to_100000
    PARTITION OF cities_ab FOR VALUES FROM (10000) TO (100000)
----
CREATE TABLE orders_p1 PARTITION OF orders
    FOR VALUES WITH (MODULUS 4, REMAINDER 0)
----
CREATE TABLE orders_p2 PARTITION OF orders
    FOR VALUES WITH (MODULUS 4, REMAINDER 1)
----
CREATE TABLE orders_p3 PARTITION OF orders
    FOR VALUES WITH (MODULUS 4, REMAINDER 2)
----
CREATE TABLE orders_p4 PARTITION OF orders
    FOR VALUES WITH (MODULUS 4, REMAINDER 3)
----
CREATE TABLE cities_partdef
    PARTITION OF cities DEFAULT
----
CREATE TABLE films_recent AS
  SELECT * FROM films WHERE date_prod >= '2002-01-01'
----
CREATE TABLE films2 AS
  TABLE films
----
PREPARE recentfilms(date) AS
  SELECT * FROM films WHERE date_prod > $1
----
CREATE TEMP TABLE films_recent ON COMMIT DROP AS
  EXECUTE recentfilms('2002-01-01')
----
CREATE TABLESPACE dbspace LOCATION '/data/dbs'
----
CREATE TABLESPACE indexspace OWNER genevieve LOCATION '/data/indexes'
----
CREATE TYPE hstore ...
----
CREATE EXTENSION plpython3u
----
CREATE FUNCTION hstore_to_plpython(val internal) RETURNS internal
LANGUAGE C STRICT IMMUTABLE
AS ...
----
CREATE FUNCTION plpython_to_hstore(val internal) RETURNS hstore
LANGUAGE C STRICT IMMUTABLE
AS ...
----
CREATE TRANSFORM FOR hstore LANGUAGE plpython3u (
    FROM SQL WITH FUNCTION hstore_to_plpython(internal),
    TO SQL WITH FUNCTION plpython_to_hstore(internal)
)
----
CREATE TRIGGER check_update
    BEFORE UPDATE ON accounts
    FOR EACH ROW
    EXECUTE FUNCTION check_account_update()
----
CREATE OR REPLACE TRIGGER check_update
    BEFORE UPDATE OF balance ON accounts
    FOR EACH ROW
    EXECUTE FUNCTION check_account_update()
----
CREATE TRIGGER check_update
    BEFORE UPDATE ON accounts
    FOR EACH ROW
    WHEN (OLD.balance IS DISTINCT FROM NEW.balance)
    EXECUTE FUNCTION check_account_update()
----
CREATE TRIGGER log_update
    AFTER UPDATE ON accounts
    FOR EACH ROW
    WHEN (OLD.* IS DISTINCT FROM NEW.*)
    EXECUTE FUNCTION log_account_update()
----
CREATE TRIGGER view_insert
    INSTEAD OF INSERT ON my_view
    FOR EACH ROW
    EXECUTE FUNCTION view_insert_row()
----
CREATE TRIGGER transfer_insert
    AFTER INSERT ON transfer
    REFERENCING NEW TABLE AS inserted
    FOR EACH STATEMENT
    EXECUTE FUNCTION check_transfer_balances_to_zero()
----
CREATE TRIGGER paired_items_update
    AFTER UPDATE ON paired_items
    REFERENCING NEW TABLE AS newtab OLD TABLE AS oldtab
    FOR EACH ROW
    EXECUTE FUNCTION check_matching_pairs()
----
CREATE TEXT SEARCH DICTIONARY my_russian (
    template = snowball,
    language = russian,
    stopwords = myrussian
)
----
CREATE TYPE compfoo AS (f1 int, f2 text)
----
CREATE FUNCTION getfoo() RETURNS SETOF compfoo AS $$
    SELECT fooid, fooname FROM foo
$$ LANGUAGE SQL
----
CREATE TYPE bug_status AS ENUM ('new', 'open', 'closed')
----
CREATE TABLE bug (
    id serial,
    description text,
    status bug_status
)
----
CREATE TYPE float8_range AS RANGE (subtype = float8, subtype_diff = float8mi)
----
CREATE TYPE box
----
CREATE FUNCTION my_box_in_function(cstring) RETURNS box AS ...
----
CREATE FUNCTION my_box_out_function(box) RETURNS cstring AS ...
----
CREATE TYPE box (
    INTERNALLENGTH = 16,
    INPUT = my_box_in_function,
    OUTPUT = my_box_out_function
)
----
CREATE TABLE myboxes (
    id integer,
    description box
)
----
CREATE TYPE box (
    INTERNALLENGTH = 16,
    INPUT = my_box_in_function,
    OUTPUT = my_box_out_function,
    ELEMENT = float4
)
----
CREATE TYPE bigobj (
    INPUT = lo_filein, OUTPUT = lo_fileout,
    INTERNALLENGTH = VARIABLE
)
----
CREATE TABLE big_objs (
    id integer,
    obj bigobj
)
----
CREATE USER MAPPING FOR bob SERVER foo OPTIONS (user 'bob', password 'secret')
----
CREATE VIEW vista AS SELECT 'Hello World'
----
CREATE VIEW vista AS SELECT text 'Hello World' AS hello
----
CREATE VIEW comedies AS
    SELECT *
    FROM films
    WHERE kind = 'Comedy'
----
CREATE VIEW universal_comedies AS
    SELECT *
    FROM comedies
    WHERE classification = 'U'
    WITH LOCAL CHECK OPTION
----
CREATE VIEW pg_comedies AS
    SELECT *
    FROM comedies
    WHERE classification = 'PG'
    WITH CASCADED CHECK OPTION
----
CREATE VIEW comedies AS
    SELECT f.*,
           country_code_to_name(f.country_code) AS country,
           (SELECT avg(r.rating)
            FROM user_ratings r
            WHERE r.film_id = f.id) AS avg_rating
    FROM films f
    WHERE f.kind = 'Comedy'
----
CREATE RECURSIVE VIEW public.nums_1_100 (n) AS
    VALUES (1)
UNION ALL
    SELECT n+1 FROM nums_1_100 WHERE n < 100
----
DECLARE liahona CURSOR FOR SELECT * FROM films
----
DELETE count
----
DELETE FROM films USING producers
  WHERE producer_id = producers.id AND producers.name = 'foo'
----
DELETE FROM films
  WHERE producer_id IN (SELECT id FROM producers WHERE name = 'foo')
----
DELETE FROM films WHERE kind <> 'Musical'
----
DELETE FROM films
----
DELETE FROM tasks WHERE status = 'DONE' RETURNING *
----
DELETE FROM tasks WHERE CURRENT OF c_tasks
----
CLOSE ALL
----
SET SESSION AUTHORIZATION DEFAULT
----
RESET ALL
----
DEALLOCATE ALL
----
UNLISTEN *
----
SELECT pg_advisory_unlock_all()
----
DISCARD PLANS
----
DISCARD TEMP
----
DISCARD SEQUENCES
----
DO $$
DECLARE r record;
BEGIN
    FOR r IN SELECT table_schema, table_name FROM information_schema.tables
             WHERE table_type = 'VIEW' AND table_schema = 'public'
    LOOP
        EXECUTE 'GRANT ALL ON ' || quote_ident(r.table_schema) || '.' || quote_ident(r.table_name) || ' TO webuser';
    END LOOP;
END$$
----
DROP ACCESS METHOD heptree
----
DROP AGGREGATE myavg(integer)
----
DROP AGGREGATE myrank(VARIADIC "any" ORDER BY VARIADIC "any")
----
DROP AGGREGATE myavg(integer), myavg(bigint)
----
DROP CAST (text AS int)
----
DROP COLLATION german
----
DROP CONVERSION myname
----
DROP DOMAIN box
----
DROP EVENT TRIGGER snitch
----
DROP EXTENSION hstore
----
DROP FOREIGN DATA WRAPPER dbi
----
DROP FOREIGN TABLE films, distributors
----
DROP FUNCTION sqrt(integer)
----
DROP FUNCTION sqrt(integer), sqrt(bigint)
----
DROP FUNCTION update_employee_salaries
----
DROP FUNCTION update_employee_salaries()
----
DROP INDEX title_idx
----
DROP LANGUAGE plsample
----
DROP MATERIALIZED VIEW order_summary
----
DROP OPERATOR CLASS widget_ops USING btree
----
DROP OPERATOR ^ (integer, integer)
----
DROP OPERATOR ~ (none, bit)
----
DROP OPERATOR ~ (none, bit), ^ (integer, integer)
----
DROP OPERATOR FAMILY float_ops USING btree
----
DROP POLICY p1 ON my_table
----
DROP PROCEDURE do_db_maintenance
----
CREATE PROCEDURE do_db_maintenance(IN target_schema text, OUT results text) ...
----
DROP PROCEDURE do_db_maintenance(IN target_schema text, OUT results text)
----
DROP PROCEDURE do_db_maintenance(IN text, OUT text)
----
DROP PROCEDURE do_db_maintenance(IN text)
----
DROP PROCEDURE do_db_maintenance(text)
----
DROP PROCEDURE do_db_maintenance(text, text)
----
CREATE PROCEDURE do_db_maintenance(IN target_schema text, IN options text) ...
----
DROP PUBLICATION mypublication
----
DROP ROLE jonathan
----
DROP ROUTINE foo(integer)
----
DROP RULE newrule ON mytable
----
DROP SCHEMA mystuff CASCADE
----
DROP SEQUENCE serial
----
DROP SERVER IF EXISTS foo
----
DROP STATISTICS IF EXISTS
    accounting.users_uid_creation,
    public.grants_user_role
----
DROP SUBSCRIPTION mysub
----
DROP TABLE films, distributors
----
DROP TABLESPACE mystuff
----
DROP TRANSFORM FOR hstore LANGUAGE plpython3u
----
DROP TRIGGER if_dist_exists ON films
----
DROP TEXT SEARCH CONFIGURATION my_english
----
DROP TEXT SEARCH DICTIONARY english
----
DROP TEXT SEARCH PARSER my_parser
----
DROP TEXT SEARCH TEMPLATE thesaurus
----
DROP TYPE box
----
DROP USER MAPPING IF EXISTS FOR bob SERVER foo
----
DROP VIEW kinds
----
EXPLAIN ANALYZE ...
----
EXPLAIN SELECT * FROM foo
----
EXPLAIN (FORMAT JSON) SELECT * FROM foo
----
EXPLAIN SELECT * FROM foo WHERE i = 4
----
EXPLAIN (FORMAT YAML) SELECT * FROM foo WHERE i='4'
----
EXPLAIN (COSTS FALSE) SELECT * FROM foo WHERE i = 4
----
EXPLAIN SELECT sum(i) FROM foo WHERE i < 10
----
PREPARE query(int, int) AS SELECT sum(bar) FROM test
    WHERE id > $1 AND id < $2
    GROUP BY foo
----
EXPLAIN ANALYZE EXECUTE query(100, 200)
----
CREATE FUNCTION dept(text) RETURNS dept
    AS $$ SELECT * FROM dept WHERE name = $1 $$
    LANGUAGE SQL
----
SELECT array_agg(a ORDER BY b DESC) FROM table
----
SELECT string_agg(a, ',' ORDER BY a) FROM table
----
SELECT string_agg(a ORDER BY a, ',') FROM table
----
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY income) FROM households
----
SELECT
    count(*) AS unfiltered,
    count(*) FILTER (WHERE i < 5) AS filtered
FROM generate_series(1,10) AS s(i)
----
SELECT a, b, c FROM tbl WHERE ... ORDER BY a COLLATE "C"
----
SELECT * FROM tbl WHERE a > 'foo' COLLATE "C"
----
SELECT * FROM tbl WHERE a COLLATE "C" > 'foo'
----
SELECT * FROM tbl WHERE (a > 'foo') COLLATE "C"
----
SELECT name, (SELECT max(pop) FROM cities WHERE cities.state = states.name)
    FROM states
----
SELECT ARRAY[1,2,3+4]
----
SELECT ARRAY[1,2,22.7]::integer[]
----
SELECT ARRAY[ARRAY[1,2], ARRAY[3,4]]
----
CREATE TABLE arr(f1 int[], f2 int[])
----
INSERT INTO arr VALUES (ARRAY[[1,2],[3,4]], ARRAY[[5,6],[7,8]])
----
SELECT ARRAY[f1, f2, '{{9,10},{11,12}}'::int[]] FROM arr
----
SELECT ARRAY[]::integer[]
----
SELECT ARRAY(SELECT oid FROM pg_proc WHERE proname LIKE 'bytea%')
----
SELECT ROW(1,2.5,'this is a test')
----
SELECT ROW(t.*, 42) FROM t
----
SELECT ROW(t.f1, t.f2, 42) FROM t
----
CREATE TABLE mytable(f1 int, f2 float, f3 text)
----
CREATE FUNCTION getf1(mytable) RETURNS int AS 'SELECT $1.f1' LANGUAGE SQL
----
-- No cast needed since only one getf1() exists
SELECT getf1(ROW(1,2.5,'this is a test'))
----
CREATE FUNCTION getf1(myrowtype) RETURNS int AS 'SELECT $1.f1' LANGUAGE SQL
----
-- Now we need a cast to indicate which function to call:
SELECT getf1(ROW(1,2.5,'this is a test'))
----
SELECT ROW(1,2.5,'this is a test') = ROW(1, 3, 'not the same')
----
SELECT ROW(table.*) IS NULL FROM table
----
SELECT true OR somefunc()
----
SELECT somefunc() OR true
----
SELECT ... WHERE x > 0 AND y/x > 1.5
----
SELECT ... WHERE CASE WHEN x > 0 THEN y/x > 1.5 ELSE false END
----
SELECT CASE WHEN x > 0 THEN x ELSE 1/0 END FROM tab
----
SELECT CASE WHEN min(employees) > 0
            THEN avg(expenses / employees)
       END
    FROM departments
----
FETCH count
----
BEGIN WORK
----
-- Set up a cursor:
DECLARE liahona SCROLL CURSOR FOR SELECT * FROM films
----
-- Fetch the first 5 rows in the cursor liahona:
FETCH FORWARD 5 FROM liahona
----
COMMIT WORK
----
GRANT INSERT ON films TO PUBLIC
----
GRANT ALL PRIVILEGES ON kinds TO manuel
----
GRANT admins TO joe
----
IMPORT FOREIGN SCHEMA foreign_films
    FROM SERVER film_server INTO films
----
IMPORT FOREIGN SCHEMA foreign_films LIMIT TO (actors, directors)
    FROM SERVER film_server INTO films
----
INSERT oid count
----
INSERT INTO films VALUES
    ('UA502', 'Bananas', 105, '1971-07-13', 'Comedy', '82 minutes')
----
INSERT INTO films (code, title, did, date_prod, kind)
    VALUES ('T_601', 'Yojimbo', 106, '1961-06-16', 'Drama')
----
INSERT INTO films VALUES
    ('UA502', 'Bananas', 105, DEFAULT, 'Comedy', '82 minutes')
----
INSERT INTO films (code, title, did, date_prod, kind)
    VALUES ('T_601', 'Yojimbo', 106, DEFAULT, 'Drama')
----
INSERT INTO films DEFAULT VALUES
----
INSERT INTO films (code, title, did, date_prod, kind) VALUES
    ('B6717', 'Tampopo', 110, '1985-02-10', 'Comedy'),
    ('HG120', 'The Dinner Game', 140, DEFAULT, 'Comedy')
----
INSERT INTO films SELECT * FROM tmp_films WHERE date_prod < '2004-05-07'
----
-- Create an empty 3x3 gameboard for noughts-and-crosses
INSERT INTO tictactoe (game, board[1:3][1:3])
    VALUES (1, '{{" "," "," "},{" "," "," "},{" "," "," "}}')
----
-- The subscripts in the above example aren't really needed
INSERT INTO tictactoe (game, board)
    VALUES (2, '{{X," "," "},{" ",O," "},{" ",X," "}}')
----
INSERT INTO distributors (did, dname) VALUES (DEFAULT, 'XYZ Widgets')
   RETURNING did
----
WITH upd AS (
  UPDATE employees SET sales_count = sales_count + 1 WHERE id =
    (SELECT sales_person FROM accounts WHERE name = 'Acme Corporation')
    RETURNING *
)
INSERT INTO employees_log SELECT *, current_timestamp FROM upd
----
INSERT INTO distributors (did, dname)
    VALUES (5, 'Gizmo Transglobal'), (6, 'Associated Computing, Inc')
    ON CONFLICT (did) DO UPDATE SET dname = EXCLUDED.dname
----
INSERT INTO distributors (did, dname) VALUES (7, 'Redline GmbH')
    ON CONFLICT (did) DO NOTHING
----
-- Don't update existing distributors based in a certain ZIP code
INSERT INTO distributors AS d (did, dname) VALUES (8, 'Anvil Distribution')
    ON CONFLICT (did) DO UPDATE
    SET dname = EXCLUDED.dname || ' (formerly ' || d.dname || ')'
    WHERE d.zipcode <> '21201'
----
-- Name a constraint directly in the statement (uses associated
-- index to arbitrate taking the DO NOTHING action)
INSERT INTO distributors (did, dname) VALUES (9, 'Antwerp Design')
    ON CONFLICT ON CONSTRAINT distributors_pkey DO NOTHING
----
-- This statement could infer a partial unique index on "did"
-- with a predicate of "WHERE is_active", but it could also
-- just use a regular unique constraint on "did"
INSERT INTO distributors (did, dname) VALUES (10, 'Conrad International')
    ON CONFLICT (did) WHERE is_active DO NOTHING
----
LISTEN virtual
----
NOTIFY virtual
----
LOCK TABLE films IN SHARE MODE
----
SELECT id FROM films
    WHERE name = 'Star Wars: Episode I - The Phantom Menace'
----
-- Do ROLLBACK if record was not returned
INSERT INTO films_user_comments VALUES
    (_id_, 'GREAT! I was waiting for it for so long!')
----
LOCK TABLE films IN SHARE ROW EXCLUSIVE MODE
----
DELETE FROM films_user_comments WHERE id IN
    (SELECT id FROM films WHERE rating < 5)
----
DELETE FROM films WHERE rating < 5
----
MERGE total_count
----
MERGE INTO customer_account ca
USING recent_transactions t
ON t.customer_id = ca.customer_id
WHEN MATCHED THEN
  UPDATE SET balance = balance + transaction_value
WHEN NOT MATCHED THEN
  INSERT (customer_id, balance)
  VALUES (t.customer_id, t.transaction_value)
----
MERGE INTO customer_account ca
USING (SELECT customer_id, transaction_value FROM recent_transactions) AS t
ON t.customer_id = ca.customer_id
WHEN MATCHED THEN
  UPDATE SET balance = balance + transaction_value
WHEN NOT MATCHED THEN
  INSERT (customer_id, balance)
  VALUES (t.customer_id, t.transaction_value)
----
MERGE INTO wines w
USING wine_stock_changes s
ON s.winename = w.winename
WHEN NOT MATCHED AND s.stock_delta > 0 THEN
  INSERT VALUES(s.winename, s.stock_delta)
WHEN MATCHED AND w.stock + s.stock_delta > 0 THEN
  UPDATE SET stock = w.stock + s.stock_delta
WHEN MATCHED THEN
  DELETE
----
MOVE count
----
-- Skip the first 5 rows:
MOVE FORWARD 5 IN liahona
----
MOVE 5

-- Fetch the 6th row from the cursor liahona:
FETCH 1 FROM liahona
----
SELECT pg_notify('fo' || 'o', 'pay' || 'load')
----
PREPARE TRANSACTION 'foobar'
----
EXPLAIN EXECUTE name(parameter_values)
----
PREPARE fooplan (int, text, bool, numeric) AS
    INSERT INTO foo VALUES($1, $2, $3, $4)
----
EXECUTE fooplan(1, 'Hunter Valley', 't', 200.00)
----
PREPARE usrrptplan (int) AS
    SELECT * FROM users u, logs l WHERE u.usrid=$1 AND u.usrid=l.usrid
    AND l.date = $2
----
EXECUTE usrrptplan(1, current_date)
----
REFRESH MATERIALIZED VIEW order_summary
----
REFRESH MATERIALIZED VIEW annual_statistics_basis WITH NO DATA
----
REINDEX INDEX my_index
----
REINDEX TABLE my_table
----
REINDEX DATABASE broken_db
----
REINDEX TABLE CONCURRENTLY my_broken_table
----
INSERT INTO table1 VALUES (3)
----
SAVEPOINT my_savepoint
----
INSERT INTO table1 VALUES (4)
----
RELEASE SAVEPOINT my_savepoint
----
RESET timezone
----
REVOKE INSERT ON films FROM PUBLIC
----
REVOKE ALL PRIVILEGES ON kinds FROM manuel
----
REVOKE admins FROM joe
----
ROLLBACK PREPARED 'foobar'
----
ROLLBACK TO SAVEPOINT my_savepoint
----
DECLARE foo CURSOR FOR SELECT 1 UNION SELECT 2
----
SAVEPOINT foo
----
FETCH 1 FROM foo
----
INSERT INTO table1 VALUES (1)
----
INSERT INTO table1 VALUES (2)
----
-- rollback to the second savepoint
    ROLLBACK TO SAVEPOINT my_savepoint
----
-- shows rows 1 and 2

    -- release the second savepoint
    RELEASE SAVEPOINT my_savepoint
----
-- rollback to the first savepoint
    ROLLBACK TO SAVEPOINT my_savepoint
----
-- shows only row 1
COMMIT
----
SECURITY LABEL FOR selinux ON TABLE mytable IS 'system_u:object_r:sepgsql_table_t:s0'
----
SECURITY LABEL FOR selinux ON TABLE mytable IS NULL
----
SELECT DISTINCT ON (location) location, time, report
    FROM weather_reports
    ORDER BY location, time DESC
----
SELECT name FROM distributors ORDER BY code
----
SELECT * FROM (SELECT * FROM mytable FOR UPDATE) ss WHERE col1 = 5
----
SELECT * FROM mytable WHERE key = 1 FOR UPDATE
----
SAVEPOINT s
----
UPDATE mytable SET ... WHERE key = 1
----
ROLLBACK TO s
----
SELECT * FROM (SELECT * FROM mytable FOR UPDATE) ss ORDER BY column1
----
TABLE name
----
SELECT f.title, f.did, d.name, f.date_prod, f.kind
    FROM distributors d JOIN films f USING (did)
----
SELECT kind, sum(len) AS total FROM films GROUP BY kind
----
SELECT kind, sum(len) AS total
    FROM films
    GROUP BY kind
    HAVING sum(len) < interval '5 hours'
----
SELECT * FROM distributors ORDER BY name
----
SELECT * FROM distributors ORDER BY 2
----
CREATE FUNCTION distributors(int) RETURNS SETOF distributors AS $$
    SELECT * FROM distributors WHERE did = $1;
$$ LANGUAGE SQL
----
SELECT * FROM distributors(111)
----
SELECT * FROM distributors_2(111) AS (f1 int, f2 text)
----
SELECT * FROM unnest(ARRAY['a','b','c','d','e','f']) WITH ORDINALITY
----
WITH t AS (
    SELECT random() as x FROM generate_series(1, 3)
  )
SELECT * FROM t
UNION ALL
SELECT * FROM t
----
WITH RECURSIVE employee_recursive(distance, employee_name, manager_name) AS (
    SELECT 1, employee_name, manager_name
    FROM employee
    WHERE manager_name = 'Mary'
  UNION ALL
    SELECT er.distance + 1, e.employee_name, e.manager_name
    FROM employee_recursive er, employee e
    WHERE er.employee_name = e.manager_name
  )
SELECT distance, employee_name FROM employee_recursive
----
SELECT m.name AS mname, pname
FROM manufacturers m, LATERAL get_product_names(m.id) pname
----
SELECT m.name AS mname, pname
FROM manufacturers m LEFT JOIN LATERAL get_product_names(m.id) pname ON true
----
SELECT 2+2
----
SELECT * INTO films_recent FROM films WHERE date_prod >= '2002-01-01'
----
SELECT SESSION_USER, CURRENT_USER
----
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ
----
SELECT pg_export_snapshot()
----
SET TRANSACTION SNAPSHOT '00000003-0000001B-1'
----
SELECT setseed(value)
----
SET search_path TO my_schema, public
----
SET datestyle TO postgres, dmy
----
SET TIME ZONE 'America/Los_Angeles'
----
SET TIME ZONE 'Europe/Rome'
----
SHOW DateStyle
----
SHOW geqo
----
SHOW ALL
----
CREATE FUNCTION concat_lower_or_upper(a text, b text, uppercase boolean DEFAULT false)
RETURNS text
AS
$$
 SELECT CASE
        WHEN $3 THEN UPPER($1 || ' ' || $2)
        ELSE LOWER($1 || ' ' || $2)
        END;
$$
LANGUAGE SQL IMMUTABLE STRICT
----
SELECT concat_lower_or_upper('Hello', 'World', true)
----
SELECT concat_lower_or_upper('Hello', 'World')
----
SELECT concat_lower_or_upper(a => 'Hello', b => 'World')
----
SELECT concat_lower_or_upper(a => 'Hello', b => 'World', uppercase => true)
----
SELECT concat_lower_or_upper(a := 'Hello', uppercase := true, b := 'World')
----
SELECT concat_lower_or_upper('Hello', 'World', uppercase => true)
----
SELECT * FROM MY_TABLE
----
UPDATE MY_TABLE SET A = 5
----
INSERT INTO MY_TABLE VALUES (3, 'hi there')
----
uPDaTE my_TabLE SeT a = 5
----
UPDATE my_table SET a = 5
----
UPDATE "my_table" SET "a" = 5
----
SELECT 'foo'
'bar'
----
SELECT 'foobar'
----
SELECT 'foo'      'bar'
----
TRUNCATE bigtable, fattable
----
TRUNCATE bigtable, fattable RESTART IDENTITY
----
TRUNCATE othertable CASCADE
----
UNLISTEN virtual
----
UPDATE count
----
UPDATE films SET kind = 'Dramatic' WHERE kind = 'Drama'
----
UPDATE weather SET temp_lo = temp_lo+1, temp_hi = temp_lo+15, prcp = DEFAULT
  WHERE city = 'San Francisco' AND date = '2003-07-03'
----
UPDATE weather SET temp_lo = temp_lo+1, temp_hi = temp_lo+15, prcp = DEFAULT
  WHERE city = 'San Francisco' AND date = '2003-07-03'
  RETURNING temp_lo, temp_hi, prcp
----
UPDATE weather SET (temp_lo, temp_hi, prcp) = (temp_lo+1, temp_lo+15, DEFAULT)
  WHERE city = 'San Francisco' AND date = '2003-07-03'
----
UPDATE employees SET sales_count = sales_count + 1 FROM accounts
  WHERE accounts.name = 'Acme Corporation'
  AND employees.id = accounts.sales_person
----
UPDATE employees SET sales_count = sales_count + 1 WHERE id =
  (SELECT sales_person FROM accounts WHERE name = 'Acme Corporation')
----
UPDATE accounts SET (contact_first_name, contact_last_name) =
    (SELECT first_name, last_name FROM employees
     WHERE employees.id = accounts.sales_person)
----
UPDATE accounts SET contact_first_name = first_name,
                    contact_last_name = last_name
  FROM employees WHERE employees.id = accounts.sales_person
----
UPDATE summary s SET (sum_x, sum_y, avg_x, avg_y) =
    (SELECT sum(x), sum(y), avg(x), avg(y) FROM data d
     WHERE d.group_id = s.group_id)
----
-- other operations
SAVEPOINT sp1
----
INSERT INTO wines VALUES('Chateau Lafite 2003', '24')
----
-- Assume the above fails because of a unique key violation,
-- so now we issue these commands:
ROLLBACK TO sp1
----
UPDATE wines SET stock = stock + 24 WHERE winename = 'Chateau Lafite 2003'
----
-- continue with other operations, and eventually
COMMIT
----
UPDATE films SET kind = 'Dramatic' WHERE CURRENT OF c_films
----
VACUUM (VERBOSE, ANALYZE) onek
----
INSERT INTO films VALUES
    ('UA502', 'Bananas', 105, DEFAULT, 'Comedy', '82 minutes'),
    ('T_601', 'Yojimbo', 106, DEFAULT, 'Drama', DEFAULT)
----
SELECT f.*
  FROM films f, (VALUES('MGM', 'Horror'), ('UA', 'Sci-Fi')) AS t (studio, kind)
  WHERE f.studio = t.studio AND f.kind = t.kind
----
UPDATE employees SET salary = salary * v.increase
  FROM (VALUES(1, 200000, 1.2), (2, 400000, 1.4)) AS v (depno, target, increase)
  WHERE employees.depno = v.depno AND employees.sales >= v.target
----
SELECT * FROM machines
WHERE ip_address IN (VALUES('192.168.0.1'::inet), ('192.168.0.10'), ('192.168.1.43'))
----
SELECT * FROM normal_rand(1000, 5, 3)
----
SELECT * FROM crosstab('...') AS ct(row_name text, category_1 text, category_2 text)
----
CREATE TABLE ct(id SERIAL, rowid TEXT, attribute TEXT, value TEXT)
----
INSERT INTO ct(rowid, attribute, value) VALUES('test1','att1','val1')
----
INSERT INTO ct(rowid, attribute, value) VALUES('test1','att2','val2')
----
INSERT INTO ct(rowid, attribute, value) VALUES('test1','att3','val3')
----
INSERT INTO ct(rowid, attribute, value) VALUES('test1','att4','val4')
----
INSERT INTO ct(rowid, attribute, value) VALUES('test2','att1','val5')
----
INSERT INTO ct(rowid, attribute, value) VALUES('test2','att2','val6')
----
INSERT INTO ct(rowid, attribute, value) VALUES('test2','att3','val7')
----
INSERT INTO ct(rowid, attribute, value) VALUES('test2','att4','val8')
----
SELECT *
FROM crosstab(
  'select rowid, attribute, value
   from ct
   where attribute = ''att2'' or attribute = ''att3''
   order by 1,2')
AS ct(row_name text, category_1 text, category_2 text, category_3 text)
----
CREATE TYPE tablefunc_crosstab_N AS (
    row_name TEXT,
    category_1 TEXT,
    category_2 TEXT,
        .
        .
        .
    category_N TEXT
)
----
SELECT *
FROM crosstab3(
  'select rowid, attribute, value
   from ct
   where attribute = ''att2'' or attribute = ''att3''
   order by 1,2')
----
CREATE TYPE my_crosstab_float8_5_cols AS (
    my_row_name text,
    my_category_1 float8,
    my_category_2 float8,
    my_category_3 float8,
    my_category_4 float8,
    my_category_5 float8
)
----
CREATE OR REPLACE FUNCTION crosstab_float8_5_cols(text)
    RETURNS setof my_crosstab_float8_5_cols
    AS '$libdir/tablefunc','crosstab' LANGUAGE C STABLE STRICT
----
CREATE OR REPLACE FUNCTION crosstab_float8_5_cols(
    IN text,
    OUT my_row_name text,
    OUT my_category_1 float8,
    OUT my_category_2 float8,
    OUT my_category_3 float8,
    OUT my_category_4 float8,
    OUT my_category_5 float8)
  RETURNS setof record
  AS '$libdir/tablefunc','crosstab' LANGUAGE C STABLE STRICT
----
SELECT row_name, extra_col, cat, value FROM foo ORDER BY 1
----
SELECT DISTINCT cat FROM foo ORDER BY 1
----
SELECT * FROM crosstab('...', '...')
    AS ct(row_name text, extra text, cat1 text, cat2 text, cat3 text, cat4 text)
----
create table sales(year int, month int, qty int)
----
insert into sales values(2007, 1, 1000)
----
insert into sales values(2007, 2, 1500)
----
insert into sales values(2007, 7, 500)
----
insert into sales values(2007, 11, 1500)
----
insert into sales values(2007, 12, 2000)
----
insert into sales values(2008, 1, 1000)
----
select * from crosstab(
  'select year, month, qty from sales order by 1',
  'select m from generate_series(1,12) m'
) as (
  year int,
  "Jan" int,
  "Feb" int,
  "Mar" int,
  "Apr" int,
  "May" int,
  "Jun" int,
  "Jul" int,
  "Aug" int,
  "Sep" int,
  "Oct" int,
  "Nov" int,
  "Dec" int
)
----
CREATE TABLE cth(rowid text, rowdt timestamp, attribute text, val text)
----
INSERT INTO cth VALUES('test1','01 March 2003','temperature','42')
----
INSERT INTO cth VALUES('test1','01 March 2003','test_result','PASS')
----
INSERT INTO cth VALUES('test1','01 March 2003','volts','2.6987')
----
INSERT INTO cth VALUES('test2','02 March 2003','temperature','53')
----
INSERT INTO cth VALUES('test2','02 March 2003','test_result','FAIL')
----
INSERT INTO cth VALUES('test2','02 March 2003','test_startdate','01 March 2003')
----
INSERT INTO cth VALUES('test2','02 March 2003','volts','3.1234')
----
SELECT * FROM crosstab
(
  'SELECT rowid, rowdt, attribute, val FROM cth ORDER BY 1',
  'SELECT DISTINCT attribute FROM cth ORDER BY 1'
)
AS
(
       rowid text,
       rowdt timestamp,
       temperature int4,
       test_result text,
       test_startdate timestamp,
       volts float8
)
----
SELECT * FROM connectby('connectby_tree', 'keyid', 'parent_keyid', 'pos', 'row2', 0, '~')
    AS t(keyid text, parent_keyid text, level int, branch text, pos int)
----
CREATE TABLE connectby_tree(keyid text, parent_keyid text, pos int)
----
INSERT INTO connectby_tree VALUES('row1',NULL, 0)
----
INSERT INTO connectby_tree VALUES('row2','row1', 0)
----
INSERT INTO connectby_tree VALUES('row3','row1', 0)
----
INSERT INTO connectby_tree VALUES('row4','row2', 1)
----
INSERT INTO connectby_tree VALUES('row5','row2', 0)
----
INSERT INTO connectby_tree VALUES('row6','row4', 0)
----
INSERT INTO connectby_tree VALUES('row7','row3', 0)
----
INSERT INTO connectby_tree VALUES('row8','row6', 0)
----
INSERT INTO connectby_tree VALUES('row9','row5', 0)
----
-- with branch, without orderby_fld (order of results is not guaranteed)
SELECT * FROM connectby('connectby_tree', 'keyid', 'parent_keyid', 'row2', 0, '~')
 AS t(keyid text, parent_keyid text, level int, branch text)
----
create table tcndata
  (
    a int not null,
    b date not null,
    c text,
    primary key (a, b)
  )
----
create trigger tcndata_tcn_trigger
  after insert or update or delete on tcndata
  for each row execute function triggered_change_notification()
----
listen tcn
----
insert into tcndata values (1, date '2012-12-22', 'one'),
                           (1, date '2012-12-23', 'another'),
                           (2, date '2012-12-23', 'two')
----
update tcndata set c = 'uno' where a = 1
----
delete from tcndata where a = 1 and b = date '2012-12-22'
----
SELECT * FROM pg_logical_slot_get_changes('test_slot', NULL, NULL, 'include-xids', '0')
----
CREATE TEXT SEARCH CONFIGURATION public.pg ( COPY = pg_catalog.english )
----
CREATE TEXT SEARCH DICTIONARY pg_dict (
    TEMPLATE = synonym,
    SYNONYMS = pg_dict
)
----
CREATE TEXT SEARCH DICTIONARY english_ispell (
    TEMPLATE = ispell,
    DictFile = english,
    AffFile = english,
    StopWords = english
)
----
ALTER TEXT SEARCH CONFIGURATION pg
    ALTER MAPPING FOR asciiword, asciihword, hword_asciipart,
                      word, hword, hword_part
    WITH pg_dict, english_ispell, english_stem
----
ALTER TEXT SEARCH CONFIGURATION pg
    DROP MAPPING FOR email, url, url_path, sfloat, float
----
SELECT * FROM ts_debug('public.pg', '
PostgreSQL, the highly scalable, SQL compliant, open source object-relational
database management system, is now undergoing beta testing of the next
version of our software.
')
----
SELECT to_tsvector('english', 'a fat  cat sat on a mat - it ate a fat rats')
----
UPDATE tt SET ti =
    setweight(to_tsvector(coalesce(title,'')), 'A')    ||
    setweight(to_tsvector(coalesce(keyword,'')), 'B')  ||
    setweight(to_tsvector(coalesce(abstract,'')), 'C') ||
    setweight(to_tsvector(coalesce(body,'')), 'D')
----
SELECT to_tsquery('english', 'The & Fat & Rats')
----
SELECT to_tsquery('english', 'Fat | Rats:AB')
----
SELECT to_tsquery('supern:*A & star:A*B')
----
SELECT to_tsquery('''supernovae stars'' & !crab')
----
SELECT plainto_tsquery('english', 'The Fat Rats')
----
SELECT plainto_tsquery('english', 'The Fat & Rats:C')
----
SELECT phraseto_tsquery('english', 'The Fat Rats')
----
SELECT phraseto_tsquery('english', 'The Fat & Rats:C')
----
SELECT websearch_to_tsquery('english', 'The fat rats')
----
SELECT title, ts_rank_cd(textsearch, query) AS rank
FROM apod, to_tsquery('neutrino|(dark & matter)') query
WHERE query @@ textsearch
ORDER BY rank DESC
LIMIT 10
----
SELECT title, ts_rank_cd(textsearch, query, 32 /* rank/(rank+1) */ ) AS rank
FROM apod, to_tsquery('neutrino|(dark & matter)') query
WHERE  query @@ textsearch
ORDER BY rank DESC
LIMIT 10
----
SELECT ts_headline('english',
  'The most common type of search
is to find all documents containing given query terms
and return them in order of their similarity to the
query.',
  to_tsquery('english', 'query & similarity'))
----
SELECT * FROM ts_debug('english', 'a fat  cat sat on a mat - it ate a fat rats')
----
CREATE TEXT SEARCH CONFIGURATION public.english ( COPY = pg_catalog.english )
----
ALTER TEXT SEARCH CONFIGURATION public.english
   ALTER MAPPING FOR asciiword WITH english_ispell, english_stem
----
SELECT * FROM ts_debug('public.english', 'The Brightest supernovaes')
----
SELECT alias, token, dictionary, lexemes
FROM ts_debug('public.english', 'The Brightest supernovaes')
----
SELECT * FROM ts_parse('default', '123 - a number')
----
SELECT * FROM ts_token_type('default')
----
SELECT ts_lexize('english_stem', 'stars')
----
SELECT ts_lexize('thesaurus_astro', 'supernovae stars') is null
----
SELECT plainto_tsquery('supernovae stars')
----
ALTER TEXT SEARCH CONFIGURATION astro_en
    ADD MAPPING FOR asciiword WITH astrosyn, english_ispell, english_stem
----
SELECT to_tsvector('english', 'in the list of stop words')
----
SELECT ts_rank_cd (to_tsvector('english', 'in the list of stop words'), to_tsquery('list & stop'))
----
CREATE TEXT SEARCH DICTIONARY public.simple_dict (
    TEMPLATE = pg_catalog.simple,
    STOPWORDS = english
)
----
SELECT ts_lexize('public.simple_dict', 'YeS')
----
ALTER TEXT SEARCH DICTIONARY public.simple_dict ( Accept = false )
----
SELECT * FROM ts_debug('english', 'Paris')
----
ALTER TEXT SEARCH CONFIGURATION english
    ALTER MAPPING FOR asciiword
    WITH my_synonym, english_stem
----
CREATE TEXT SEARCH DICTIONARY syn (template=synonym, synonyms='synonym_sample')
----
SELECT ts_lexize('syn', 'indices')
----
CREATE TEXT SEARCH CONFIGURATION tst (copy=simple)
----
ALTER TEXT SEARCH CONFIGURATION tst ALTER MAPPING FOR asciiword WITH syn
----
SELECT to_tsvector('tst', 'indices')
----
SELECT to_tsquery('tst', 'indices')
----
SELECT 'indexes are very useful'::tsvector
----
SELECT 'indexes are very useful'::tsvector @@ to_tsquery('tst', 'indices')
----
CREATE TEXT SEARCH DICTIONARY thesaurus_simple (
    TEMPLATE = thesaurus,
    DictFile = mythesaurus,
    Dictionary = pg_catalog.english_stem
)
----
ALTER TEXT SEARCH CONFIGURATION russian
    ALTER MAPPING FOR asciiword, asciihword, hword_asciipart
    WITH thesaurus_simple
----
CREATE TEXT SEARCH DICTIONARY thesaurus_astro (
    TEMPLATE = thesaurus,
    DictFile = thesaurus_astro,
    Dictionary = english_stem
)
----
ALTER TEXT SEARCH CONFIGURATION russian
    ALTER MAPPING FOR asciiword, asciihword, hword_asciipart
    WITH thesaurus_astro, english_stem
----
SELECT plainto_tsquery('supernova star')
----
SELECT to_tsquery('''supernova star''')
----
CREATE TEXT SEARCH DICTIONARY english_hunspell (
    TEMPLATE = ispell,
    DictFile = en_us,
    AffFile = en_us,
    Stopwords = english)
----
SELECT ts_lexize('norwegian_ispell', 'overbuljongterningpakkmesterassistent')
----
CREATE TEXT SEARCH DICTIONARY english_stem (
    TEMPLATE = snowball,
    Language = english,
    StopWords = english
)
----
SELECT to_tsquery('fat') <-> to_tsquery('cat | rat')
----
SELECT tsquery_phrase(to_tsquery('fat'), to_tsquery('cat'), 10)
----
SELECT numnode(plainto_tsquery('the any'))
----
SELECT querytree(to_tsquery('defined'))
----
SELECT ts_rewrite('a & b'::tsquery, 'a'::tsquery, 'c'::tsquery)
----
CREATE TABLE aliases (t tsquery PRIMARY KEY, s tsquery)
----
INSERT INTO aliases VALUES('a', 'c')
----
SELECT ts_rewrite('a & b'::tsquery, 'SELECT t,s FROM aliases')
----
CREATE TABLE aliases (t tsquery primary key, s tsquery)
----
INSERT INTO aliases VALUES(to_tsquery('supernovae'), to_tsquery('supernovae|sn'))
----
SELECT ts_rewrite(to_tsquery('supernovae & crab'), 'SELECT * FROM aliases')
----
UPDATE aliases
SET s = to_tsquery('supernovae|sn & !nebulae')
WHERE t = to_tsquery('supernovae')
----
SELECT ts_rewrite('a & b'::tsquery,
                  'SELECT t,s FROM aliases WHERE ''a & b''::tsquery @> t')
----
CREATE TABLE messages (
    title       text,
    body        text,
    tsv         tsvector
)
----
CREATE TRIGGER tsvectorupdate BEFORE INSERT OR UPDATE
ON messages FOR EACH ROW EXECUTE FUNCTION
tsvector_update_trigger(tsv, 'pg_catalog.english', title, body)
----
INSERT INTO messages VALUES('title here', 'the body text is here')
----
SELECT * FROM messages
----
CREATE FUNCTION messages_trigger() RETURNS trigger AS $$
begin
  new.tsv :=
     setweight(to_tsvector('pg_catalog.english', coalesce(new.title,'')), 'A') ||
     setweight(to_tsvector('pg_catalog.english', coalesce(new.body,'')), 'D');
  return new;
end
$$ LANGUAGE plpgsql
----
CREATE TRIGGER tsvectorupdate BEFORE INSERT OR UPDATE
    ON messages FOR EACH ROW EXECUTE FUNCTION messages_trigger()
----
SELECT * FROM ts_stat('SELECT vector FROM apod')
ORDER BY nentry DESC, ndoc DESC, word
LIMIT 10
----
SELECT * FROM ts_stat('SELECT vector FROM apod', 'ab')
ORDER BY nentry DESC, ndoc DESC, word
LIMIT 10
----
SELECT title || ' ' ||  author || ' ' ||  abstract || ' ' || body AS document
FROM messages
WHERE mid = 12
----
SELECT m.title || ' ' || m.author || ' ' || m.abstract || ' ' || d.body AS document
FROM messages m, docs d
WHERE m.mid = d.did AND m.mid = 12
----
SELECT 'a fat cat sat on a mat and ate a fat rat'::tsvector @@ 'cat & rat'::tsquery
----
SELECT to_tsvector('fat cats ate fat rats') @@ to_tsquery('fat & rat')
----
SELECT 'fat cats ate fat rats'::tsvector @@ to_tsquery('fat & rat')
----
SELECT to_tsvector('fatal error') @@ to_tsquery('fatal <-> error')
----
SELECT phraseto_tsquery('cats ate rats')
----
SELECT alias, description, token FROM ts_debug('foo-bar-beta1')
----
SELECT alias, description, token FROM ts_debug('http://example.com/stuff/index.html')
----
SELECT title
FROM pgweb
WHERE to_tsvector('english', body) @@ to_tsquery('english', 'friend')
----
SELECT title
FROM pgweb
WHERE to_tsvector(body) @@ to_tsquery('friend')
----
SELECT title
FROM pgweb
WHERE to_tsvector(title || ' ' || body) @@ to_tsquery('create & table')
ORDER BY last_mod_date DESC
LIMIT 10
----
CREATE INDEX pgweb_idx ON pgweb USING GIN (to_tsvector('english', body))
----
CREATE INDEX pgweb_idx ON pgweb USING GIN (to_tsvector(config_name, body))
----
CREATE INDEX pgweb_idx ON pgweb USING GIN (to_tsvector('english', title || ' ' || body))
----
ALTER TABLE pgweb
    ADD COLUMN textsearchable_index_col tsvector
               GENERATED ALWAYS AS (to_tsvector('english', coalesce(title, '') || ' ' || coalesce(body, ''))) STORED
----
CREATE INDEX textsearch_idx ON pgweb USING GIN (textsearchable_index_col)
----
SELECT title
FROM pgweb
WHERE textsearchable_index_col @@ to_tsquery('create & table')
ORDER BY last_mod_date DESC
LIMIT 10
----
UPDATE accounts SET balance = balance + 100.00 WHERE acctnum = 12345
----
UPDATE accounts SET balance = balance - 100.00 WHERE acctnum = 7534
----
UPDATE website SET hits = hits + 1
----
-- run from another session:  DELETE FROM website WHERE hits = 10;
COMMIT
----
SELECT SUM(value) FROM mytab WHERE class = 1
----
SELECT SUM(value) FROM mytab WHERE class = 2
----
CREATE TABLE ttest (
    x integer
)
----
CREATE FUNCTION trigf() RETURNS trigger
    AS 'filename'
    LANGUAGE C
----
CREATE TRIGGER tbefore BEFORE INSERT OR UPDATE OR DELETE ON ttest
    FOR EACH ROW EXECUTE FUNCTION trigf()
----
CREATE TRIGGER tafter AFTER INSERT OR UPDATE OR DELETE ON ttest
    FOR EACH ROW EXECUTE FUNCTION trigf()
----
INSERT INTO ttest VALUES (NULL)
----
SELECT * FROM ttest
----
INSERT INTO ttest VALUES (1)
----
INSERT INTO ttest SELECT x * 2 FROM ttest
----
UPDATE ttest SET x = NULL WHERE x = 2
----
UPDATE ttest SET x = 4 WHERE x = 2
----
DELETE FROM ttest
----
CREATE EXTENSION tsm_system_rows
----
SELECT * FROM my_table TABLESAMPLE SYSTEM_ROWS(100)
----
CREATE EXTENSION tsm_system_time
----
SELECT * FROM my_table TABLESAMPLE SYSTEM_TIME(1000)
----
SELECT version()
----
SELECT current_date
----
SELECT 2 + 2
----
SELECT max(temp_lo) FROM weather
----
SELECT city FROM weather WHERE temp_lo = max(temp_lo)
----
SELECT city FROM weather
    WHERE temp_lo = (SELECT max(temp_lo) FROM weather)
----
SELECT city, count(*), max(temp_lo)
    FROM weather
    GROUP BY city
----
SELECT city, count(*), max(temp_lo)
    FROM weather
    GROUP BY city
    HAVING max(temp_lo) < 40
----
SELECT city, count(*), max(temp_lo)
    FROM weather
    WHERE city LIKE 'S%'            -- (1)
    GROUP BY city
----
SELECT city, count(*) FILTER (WHERE temp_lo < 45), max(temp_lo)
    FROM weather
    GROUP BY city
----
DELETE FROM weather WHERE city = 'Hayward'
----
SELECT * FROM weather
----
CREATE TABLE cities (
        name     varchar(80) primary key,
        location point
)
----
CREATE TABLE weather (
        city      varchar(80) references cities(name),
        temp_lo   int,
        temp_hi   int,
        prcp      real,
        date      date
)
----
INSERT INTO weather VALUES ('Berkeley', 45, 53, 0.0, '1994-11-28')
----
CREATE TABLE capitals (
  name       text,
  population real,
  elevation  int,    -- (in ft)
  state      char(2)
)
----
CREATE TABLE non_capitals (
  name       text,
  population real,
  elevation  int     -- (in ft)
)
----
CREATE VIEW cities AS
  SELECT name, population, elevation FROM capitals
    UNION
  SELECT name, population, elevation FROM non_capitals
----
CREATE TABLE cities (
  name       text,
  population real,
  elevation  int     -- (in ft)
)
----
CREATE TABLE capitals (
  state      char(2) UNIQUE NOT NULL
) INHERITS (cities)
----
SELECT name, elevation
  FROM cities
  WHERE elevation > 500
----
SELECT * FROM weather JOIN cities ON city = name
----
SELECT city, temp_lo, temp_hi, prcp, date, location
    FROM weather JOIN cities ON city = name
----
SELECT weather.city, weather.temp_lo, weather.temp_hi,
       weather.prcp, weather.date, cities.location
    FROM weather JOIN cities ON weather.city = cities.name
----
SELECT *
    FROM weather, cities
    WHERE city = name
----
SELECT *
    FROM weather LEFT OUTER JOIN cities ON weather.city = cities.name
----
SELECT w1.city, w1.temp_lo AS low, w1.temp_hi AS high,
       w2.city, w2.temp_lo AS low, w2.temp_hi AS high
    FROM weather w1 JOIN weather w2
        ON w1.temp_lo < w2.temp_lo AND w1.temp_hi > w2.temp_hi
----
SELECT *
    FROM weather w JOIN cities c ON w.city = c.name
----
INSERT INTO weather VALUES ('San Francisco', 46, 50, 0.25, '1994-11-27')
----
INSERT INTO cities VALUES ('San Francisco', '(-194.0, 53.0)')
----
INSERT INTO weather (city, temp_lo, temp_hi, prcp, date)
    VALUES ('San Francisco', 43, 57, 0.0, '1994-11-29')
----
INSERT INTO weather (date, city, temp_hi, temp_lo)
    VALUES ('1994-11-29', 'Hayward', 54, 37)
----
COPY weather FROM '/home/user/weather.txt'
----
SELECT city, temp_lo, temp_hi, prcp, date FROM weather
----
SELECT city, (temp_hi+temp_lo)/2 AS temp_avg, date FROM weather
----
SELECT * FROM weather
    WHERE city = 'San Francisco' AND prcp > 0.0
----
SELECT * FROM weather
    ORDER BY city
----
SELECT * FROM weather
    ORDER BY city, temp_lo
----
SELECT DISTINCT city
    FROM weather
----
SELECT DISTINCT city
    FROM weather
    ORDER BY city
----
CREATE TABLE weather (
    city            varchar(80),
    temp_lo         int,           -- low temperature
    temp_hi         int,           -- high temperature
    prcp            real,          -- precipitation
    date            date
)
----
CREATE TABLE cities (
    name            varchar(80),
    location        point
)
----
UPDATE accounts SET balance = balance - 100.00
    WHERE name = 'Alice'
----
UPDATE branches SET balance = balance - 100.00
    WHERE name = (SELECT branch_name FROM accounts WHERE name = 'Alice')
----
UPDATE accounts SET balance = balance + 100.00
    WHERE name = 'Bob'
----
UPDATE branches SET balance = balance + 100.00
    WHERE name = (SELECT branch_name FROM accounts WHERE name = 'Bob')
----
-- etc etc
COMMIT
----
-- oops ... forget that and use Wally's account
ROLLBACK TO my_savepoint
----
UPDATE accounts SET balance = balance + 100.00
    WHERE name = 'Wally'
----
UPDATE weather
    SET temp_hi = temp_hi - 2,  temp_lo = temp_lo - 2
    WHERE date > '1994-11-28'
----
CREATE VIEW myview AS
    SELECT name, temp_lo, temp_hi, prcp, date, location
        FROM weather, cities
        WHERE city = name
----
SELECT * FROM myview
----
SELECT depname, empno, salary, avg(salary) OVER (PARTITION BY depname) FROM empsalary
----
SELECT depname, empno, salary,
       rank() OVER (PARTITION BY depname ORDER BY salary DESC)
FROM empsalary
----
SELECT salary, sum(salary) OVER () FROM empsalary
----
SELECT salary, sum(salary) OVER (ORDER BY salary) FROM empsalary
----
SELECT depname, empno, salary, enroll_date
FROM
  (SELECT depname, empno, salary, enroll_date,
          rank() OVER (PARTITION BY depname ORDER BY salary DESC, empno) AS pos
     FROM empsalary
  ) AS ss
WHERE pos < 3
----
SELECT sum(salary) OVER w, avg(salary) OVER w
  FROM empsalary
  WINDOW w AS (PARTITION BY depname ORDER BY salary DESC)
----
SELECT round(4, 4)
----
SELECT round(CAST (4 AS numeric), 4)
----
SELECT round(4.0, 4)
----
CREATE FUNCTION public.variadic_example(VARIADIC numeric[]) RETURNS int
  LANGUAGE sql AS 'SELECT 1'
----
CREATE FUNCTION
----
SELECT public.variadic_example(0),
       public.variadic_example(0.0),
       public.variadic_example(VARIADIC array[0.0])
----
CREATE FUNCTION public.variadic_example(numeric) RETURNS int
  LANGUAGE sql AS 'SELECT 2'
----
CREATE FUNCTION

CREATE FUNCTION public.variadic_example(int) RETURNS int
  LANGUAGE sql AS 'SELECT 3'
----
CREATE FUNCTION

SELECT public.variadic_example(0),
       public.variadic_example(0.0),
       public.variadic_example(VARIADIC array[0.0])
----
SELECT substr('1234', 3)
----
SELECT substr(varchar '1234', 3)
----
SELECT substr(CAST (varchar '1234' AS text), 3)
----
SELECT substr(1234, 3)
----
SELECT substr(CAST (1234 AS text), 3)
----
SELECT |/ 40 AS "square root of 40"
----
SELECT |/ CAST(40 AS double precision) AS "square root of 40"
----
SELECT text 'abc' || 'def' AS "text and unknown"
----
SELECT 'abc' || 'def' AS "unspecified"
----
SELECT @ '-4.5' AS "abs"
----
SELECT @ '-4.5e500' AS "abs"
----
SELECT ~ '20' AS "negation"
----
SELECT ~ CAST('20' AS int8) AS "negation"
----
SELECT array[1,2] <@ '{1,2,3}' as "is subset"
----
CREATE DOMAIN mytext AS text CHECK(...)
----
CREATE FUNCTION mytext_eq_text (mytext, text) RETURNS boolean AS ...
----
CREATE OPERATOR = (procedure=mytext_eq_text, leftarg=mytext, rightarg=text)
----
CREATE TABLE mytable (val mytext)
----
SELECT * FROM mytable WHERE val = 'foo'
----
SELECT * FROM mytable WHERE val = text 'foo'
----
SELECT text 'Origin' AS "label", point '(0,0)' AS "value"
----
CREATE TABLE vv (v character(20))
----
INSERT INTO vv SELECT 'abc' || 'def'
----
SELECT v, octet_length(v) FROM vv
----
SELECT 'Hello World'
----
SELECT text 'a' AS "text" UNION SELECT 'b'
----
SELECT 1.2 AS "numeric" UNION SELECT 1
----
SELECT 1 AS "real" UNION SELECT CAST('2.2' AS REAL)
----
SELECT NULL UNION SELECT NULL UNION SELECT 1
----
(SELECT NULL UNION SELECT NULL) UNION SELECT 1
----
ALTER TEXT SEARCH DICTIONARY unaccent (RULES='my_rules')
----
select ts_lexize('unaccent','Hôtel')
----
CREATE TEXT SEARCH CONFIGURATION fr ( COPY = french )
----
ALTER TEXT SEARCH CONFIGURATION fr
select to_tsvector('fr','Hôtels de la Mer')
----
select to_tsvector('fr','Hôtel de la Mer') @@ to_tsquery('fr','Hotels')
----
select ts_headline('fr','Hôtel de la Mer',to_tsquery('fr','Hotels'))
----
SELECT unaccent('unaccent', 'Hôtel')
----
SELECT unaccent('Hôtel')
----
EXPLAIN SELECT * FROM tenk1 WHERE unique1 < 7000
----
EXPLAIN SELECT * FROM tenk1 WHERE unique1 < 100
----
EXPLAIN SELECT * FROM tenk1 WHERE unique1 < 100 AND stringu1 = 'xxx'
----
EXPLAIN SELECT * FROM tenk1 WHERE unique1 = 42
----
EXPLAIN SELECT * FROM tenk1 ORDER BY unique1
----
EXPLAIN SELECT * FROM tenk1 ORDER BY four, ten LIMIT 100
----
EXPLAIN SELECT * FROM tenk1 WHERE unique1 < 100 AND unique2 > 9000
----
EXPLAIN SELECT * FROM tenk1 WHERE unique1 < 100 AND unique2 > 9000 LIMIT 2
----
EXPLAIN SELECT *
FROM tenk1 t1, tenk2 t2
WHERE t1.unique1 < 10 AND t1.unique2 = t2.unique2
----
EXPLAIN SELECT *
FROM tenk1 t1, tenk2 t2
WHERE t1.unique1 < 10 AND t2.unique2 < 10 AND t1.hundred < t2.hundred
----
EXPLAIN SELECT *
FROM tenk1 t1, tenk2 t2
WHERE t1.unique1 < 100 AND t1.unique2 = t2.unique2
----
EXPLAIN SELECT *
FROM tenk1 t1, onek t2
WHERE t1.unique1 < 100 AND t1.unique2 = t2.unique2
----
SET enable_sort = off
----
EXPLAIN ANALYZE SELECT *
FROM tenk1 t1, tenk2 t2
WHERE t1.unique1 < 10 AND t1.unique2 = t2.unique2
----
EXPLAIN ANALYZE SELECT *
FROM tenk1 t1, tenk2 t2
WHERE t1.unique1 < 100 AND t1.unique2 = t2.unique2 ORDER BY t1.fivethous
----
EXPLAIN ANALYZE SELECT * FROM tenk1 WHERE ten < 7
----
EXPLAIN ANALYZE SELECT * FROM polygon_tbl WHERE f1 @> polygon '(0.5,2.0)'
----
SET enable_seqscan TO off
----
EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM tenk1 WHERE unique1 < 100 AND unique2 > 9000
----
EXPLAIN ANALYZE UPDATE tenk1 SET hundred = hundred + 1 WHERE unique1 < 100
----
EXPLAIN UPDATE parent SET f2 = f2 + 1 WHERE f1 = 101
----
EXPLAIN ANALYZE SELECT * FROM tenk1 WHERE unique1 < 100 AND unique2 > 9000 LIMIT 2
----
SELECT uuid_generate_v3(uuid_ns_url(), 'http://www.postgresql.org')
----
SELECT * FROM pg_locks pl LEFT JOIN pg_stat_activity psa
    ON pl.pid = psa.pid
----
SELECT * FROM pg_locks pl LEFT JOIN pg_prepared_xacts ppx
    ON pl.virtualtransaction = '-1/' || ppx.transaction
----
SELECT * FROM pg_create_physical_replication_slot('node_a_slot')
----
SELECT slot_name, slot_type, active FROM pg_replication_slots
----
CREATE AGGREGATE sum (complex)
(
    sfunc = complex_add,
    stype = complex,
    initcond = '(0,0)'
)
----
SELECT sum(a) FROM test_complex
----
CREATE AGGREGATE avg (float8)
(
    sfunc = float8_accum,
    stype = float8[],
    finalfunc = float8_avg,
    initcond = '{0,0,0}'
)
----
CREATE AGGREGATE sum (complex)
(
    sfunc = complex_add,
    stype = complex,
    initcond = '(0,0)',
    msfunc = complex_add,
    minvfunc = complex_sub,
    mstype = complex,
    minitcond = '(0,0)'
)
----
CREATE AGGREGATE unsafe_sum (float8)
(
    stype = float8,
    sfunc = float8pl,
    mstype = float8,
    msfunc = float8pl,
    minvfunc = float8mi
)
----
SELECT
  unsafe_sum(x) OVER (ORDER BY n ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)
FROM (VALUES (1, 1.0e20::float8),
             (2, 1.0::float8)) AS v (n,x)
----
CREATE AGGREGATE array_accum (anycompatible)
(
    sfunc = array_append,
    stype = anycompatiblearray,
    initcond = '{}'
)
----
SELECT attrelid::regclass, array_accum(attname)
    FROM pg_attribute
    WHERE attnum > 0 AND attrelid = 'pg_tablespace'::regclass
    GROUP BY attrelid
----
CREATE FUNCTION array_agg_transfn(internal, anynonarray)
  RETURNS internal ...
----
CREATE FUNCTION array_agg_finalfn(internal, anynonarray)
  RETURNS anyarray ...
----
CREATE AGGREGATE array_agg (anynonarray)
(
    sfunc = array_agg_transfn,
    stype = internal,
    finalfunc = array_agg_finalfn,
    finalfunc_extra
)
----
SELECT myaggregate(a ORDER BY a, b, c) FROM ...
----
SELECT myaggregate(a, b, c ORDER BY a) FROM ...
----
CREATE FUNCTION ordered_set_transition(internal, anyelement)
  RETURNS internal ...
----
CREATE FUNCTION percentile_disc_final(internal, float8, anyelement)
  RETURNS anyelement ...
----
CREATE AGGREGATE percentile_disc (float8 ORDER BY anyelement)
(
    sfunc = ordered_set_transition,
    stype = internal,
    finalfunc = percentile_disc_final,
    finalfunc_extra
)
----
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY income) FROM households
----
SET_VARSIZE(destination, VARHDRSZ + 40)
----
SET_VARSIZE(new_t, VARSIZE_ANY_EXHDR(t) + VARHDRSZ)
----
SET_VARSIZE(new_text, new_text_size)
----
CREATE FUNCTION add_one(integer) RETURNS integer
     AS 'DIRECTORY/funcs', 'add_one'
     LANGUAGE C STRICT
----
-- note overloading of SQL function name "add_one"
CREATE FUNCTION add_one(double precision) RETURNS double precision
     AS 'DIRECTORY/funcs', 'add_one_float8'
     LANGUAGE C STRICT
----
CREATE FUNCTION makepoint(point, point) RETURNS point
     AS 'DIRECTORY/funcs', 'makepoint'
     LANGUAGE C STRICT
----
CREATE FUNCTION copytext(text) RETURNS text
     AS 'DIRECTORY/funcs', 'copytext'
     LANGUAGE C STRICT
----
CREATE FUNCTION concat_text(text, text) RETURNS text
     AS 'DIRECTORY/funcs', 'concat_text'
     LANGUAGE C STRICT
----
SELECT name, c_overpaid(emp, 1500) AS overpaid
    FROM emp
    WHERE name = 'Bill' OR name = 'Sam'
----
CREATE FUNCTION c_overpaid(emp, integer) RETURNS boolean
    AS 'DIRECTORY/funcs', 'c_overpaid'
    LANGUAGE C STRICT
----
call_cntr = funcctx->call_cntr
----
/*
         * Prepare a values array for building the returned tuple.
         * This should be an array of C strings which will
         * be processed later by the type input functions.
         */
        values = (char **) palloc(3 * sizeof(char *))
----
values[0] = (char *) palloc(16 * sizeof(char))
----
values[1] = (char *) palloc(16 * sizeof(char))
----
values[2] = (char *) palloc(16 * sizeof(char))
----
CREATE TYPE __retcomposite AS (f1 integer, f2 integer, f3 integer)
----
CREATE OR REPLACE FUNCTION retcomposite(integer, integer)
    RETURNS SETOF __retcomposite
    AS 'filename', 'retcomposite'
    LANGUAGE C IMMUTABLE STRICT
----
CREATE OR REPLACE FUNCTION retcomposite(IN integer, IN integer,
    OUT f1 integer, OUT f2 integer, OUT f3 integer)
    RETURNS SETOF record
    AS 'filename', 'retcomposite'
    LANGUAGE C IMMUTABLE STRICT
----
CREATE FUNCTION make_array(anyelement) RETURNS anyarray
    AS 'DIRECTORY/funcs', 'make_array'
    LANGUAGE C IMMUTABLE
----
CREATE FUNCTION square_root(double precision) RETURNS double precision
    AS 'dsqrt'
    LANGUAGE internal
    STRICT
----
CREATE FUNCTION test(int, real) RETURNS ...
CREATE FUNCTION test(smallint, double precision) RETURNS ...
----
CREATE FUNCTION test(int) RETURNS int
    AS 'filename', 'test_1arg'
    LANGUAGE C
----
CREATE FUNCTION test(int, int) RETURNS int
    AS 'filename', 'test_2arg'
    LANGUAGE C
----
CREATE FUNCTION clean_emp() RETURNS void AS '
    DELETE FROM emp
        WHERE salary < 0;
' LANGUAGE SQL
----
SELECT clean_emp()
----
CREATE PROCEDURE clean_emp() AS '
    DELETE FROM emp
        WHERE salary < 0;
' LANGUAGE SQL
----
CALL clean_emp()
----
INSERT INTO mytable VALUES ($1)
----
INSERT INTO $1 VALUES (42)
----
CREATE FUNCTION one() RETURNS integer AS $$
    SELECT 1 AS result;
$$ LANGUAGE SQL
----
-- Alternative syntax for string literal:
CREATE FUNCTION one() RETURNS integer AS '
    SELECT 1 AS result;
' LANGUAGE SQL
----
SELECT one()
----
CREATE FUNCTION add_em(x integer, y integer) RETURNS integer AS $$
    SELECT x + y;
$$ LANGUAGE SQL
----
SELECT add_em(1, 2) AS answer
----
CREATE FUNCTION add_em(integer, integer) RETURNS integer AS $$
    SELECT $1 + $2;
$$ LANGUAGE SQL
----
CREATE FUNCTION tf1 (accountno integer, debit numeric) RETURNS numeric AS $$
    UPDATE bank
        SET balance = balance - debit
        WHERE accountno = tf1.accountno;
    SELECT 1;
$$ LANGUAGE SQL
----
SELECT tf1(17, 100.0)
----
CREATE FUNCTION tf1 (accountno integer, debit numeric) RETURNS numeric AS $$
    UPDATE bank
        SET balance = balance - debit
        WHERE accountno = tf1.accountno;
    SELECT balance FROM bank WHERE accountno = tf1.accountno;
$$ LANGUAGE SQL
----
CREATE FUNCTION tf1 (accountno integer, debit numeric) RETURNS numeric AS $$
    UPDATE bank
        SET balance = balance - debit
        WHERE accountno = tf1.accountno
    RETURNING balance;
$$ LANGUAGE SQL
----
CREATE FUNCTION add_em(integer, integer) RETURNS float8 AS $$
    SELECT $1 + $2;
$$ LANGUAGE SQL
----
CREATE TABLE emp (
    name        text,
    salary      numeric,
    age         integer,
    cubicle     point
)
----
INSERT INTO emp VALUES ('Bill', 4200, 45, '(2,1)')
----
CREATE FUNCTION double_salary(emp) RETURNS numeric AS $$
    SELECT $1.salary * 2 AS salary;
$$ LANGUAGE SQL
----
SELECT name, double_salary(emp.*) AS dream
    FROM emp
    WHERE emp.cubicle ~= point '(2,1)'
----
SELECT name, double_salary(emp) AS dream
    FROM emp
    WHERE emp.cubicle ~= point '(2,1)'
----
SELECT name, double_salary(ROW(name, salary*1.1, age, cubicle)) AS dream
    FROM emp
----
CREATE FUNCTION new_emp() RETURNS emp AS $$
    SELECT text 'None' AS name,
        1000.0 AS salary,
        25 AS age,
        point '(2,2)' AS cubicle;
$$ LANGUAGE SQL
----
CREATE FUNCTION new_emp() RETURNS emp AS $$
    SELECT ROW('None', 1000.0, 25, '(2,2)')::emp;
$$ LANGUAGE SQL
----
SELECT new_emp()
----
SELECT * FROM new_emp()
----
SELECT (new_emp()).name
----
SELECT new_emp().name
----
SELECT name(new_emp())
----
CREATE FUNCTION getname(emp) RETURNS text AS $$
    SELECT $1.name;
$$ LANGUAGE SQL
----
SELECT getname(new_emp())
----
CREATE FUNCTION add_em (IN x int, IN y int, OUT sum int)
AS 'SELECT x + y'
LANGUAGE SQL
----
SELECT add_em(3,7)
----
CREATE FUNCTION sum_n_product (x int, y int, OUT sum int, OUT product int)
AS 'SELECT x + y, x * y'
LANGUAGE SQL
----
SELECT * FROM sum_n_product(11,42)
----
CREATE TYPE sum_prod AS (sum int, product int)
----
CREATE FUNCTION sum_n_product (int, int) RETURNS sum_prod
AS 'SELECT $1 + $2, $1 * $2'
LANGUAGE SQL
----
DROP FUNCTION sum_n_product (x int, y int, OUT sum int, OUT product int)
----
DROP FUNCTION sum_n_product (int, int)
----
CREATE PROCEDURE tp1 (accountno integer, debit numeric, OUT new_balance numeric) AS $$
    UPDATE bank
        SET balance = balance - debit
        WHERE accountno = tp1.accountno
    RETURNING balance;
$$ LANGUAGE SQL
----
CALL tp1(17, 100.0, NULL)
----
CREATE FUNCTION mleast(VARIADIC arr numeric[]) RETURNS numeric AS $$
    SELECT min($1[i]) FROM generate_subscripts($1, 1) g(i);
$$ LANGUAGE SQL
----
SELECT mleast(10, -1, 5, 4.4)
----
SELECT mleast(ARRAY[10, -1, 5, 4.4])
----
SELECT mleast(VARIADIC ARRAY[10, -1, 5, 4.4])
----
SELECT mleast(VARIADIC ARRAY[]::numeric[])
----
SELECT mleast(VARIADIC arr => ARRAY[10, -1, 5, 4.4])
----
SELECT mleast(arr => 10)
----
SELECT mleast(arr => ARRAY[10, -1, 5, 4.4])
----
CREATE FUNCTION foo(a int, b int DEFAULT 2, c int DEFAULT 3)
RETURNS int
LANGUAGE SQL
AS $$
    SELECT $1 + $2 + $3;
$$
----
SELECT foo(10, 20, 30)
----
INSERT INTO foo VALUES (1, 1, 'Joe')
----
INSERT INTO foo VALUES (1, 2, 'Ed')
----
INSERT INTO foo VALUES (2, 1, 'Mary')
----
CREATE FUNCTION getfoo(int) RETURNS foo AS $$
    SELECT * FROM foo WHERE fooid = $1;
$$ LANGUAGE SQL
----
SELECT *, upper(fooname) FROM getfoo(1) AS t1
----
CREATE TABLE tab (y int, z int)
----
INSERT INTO tab VALUES (1, 2), (3, 4), (5, 6), (7, 8)
----
CREATE FUNCTION sum_n_product_with_tab (x int, OUT sum int, OUT product int)
RETURNS SETOF record
AS $$
    SELECT $1 + tab.y, $1 * tab.y FROM tab;
$$ LANGUAGE SQL
----
SELECT * FROM sum_n_product_with_tab(10)
----
SELECT * FROM nodes
----
SELECT * FROM listchildren('Top')
----
SELECT listchildren('Top')
----
SELECT x, generate_series(1,5) AS g FROM tab
----
SELECT x, g FROM tab, LATERAL generate_series(1,5) AS g
----
SELECT srf1(srf2(x), srf3(y)), srf4(srf5(z)) FROM tab
----
SELECT x, CASE WHEN x > 0 THEN generate_series(1, 5) ELSE 0 END FROM tab
----
SELECT x, CASE WHEN y > 0 THEN generate_series(1, z) ELSE 5 END FROM tab
----
CREATE FUNCTION case_generate_series(cond bool, start int, fin int, els int)
  RETURNS SETOF int AS $$
BEGIN
  IF cond THEN
    RETURN QUERY SELECT generate_series(start, fin);
  ELSE
    RETURN QUERY SELECT els;
  END IF;
END$$ LANGUAGE plpgsql
----
SELECT x, case_generate_series(y > 0, 1, z, 5) FROM tab
----
CREATE FUNCTION sum_n_product_with_tab (x int)
RETURNS TABLE(sum int, product int) AS $$
    SELECT $1 + tab.y, $1 * tab.y FROM tab;
$$ LANGUAGE SQL
----
CREATE FUNCTION make_array(anyelement, anyelement) RETURNS anyarray AS $$
    SELECT ARRAY[$1, $2];
$$ LANGUAGE SQL
----
SELECT make_array(1, 2) AS intarray, make_array('a'::text, 'b') AS textarray
----
SELECT make_array(1, 2.5) AS numericarray
----
CREATE FUNCTION make_array2(anycompatible, anycompatible)
RETURNS anycompatiblearray AS $$
    SELECT ARRAY[$1, $2];
$$ LANGUAGE SQL
----
SELECT make_array2(1, 2.5) AS numericarray
----
SELECT make_array2('a', 'b') AS textarray
----
CREATE FUNCTION is_greater(anyelement, anyelement) RETURNS boolean AS $$
    SELECT $1 > $2;
$$ LANGUAGE SQL
----
SELECT is_greater(1, 2)
----
CREATE FUNCTION dup (f1 anyelement, OUT f2 anyelement, OUT f3 anyarray)
AS 'select $1, array[$1,$1]' LANGUAGE SQL
----
SELECT * FROM dup(22)
----
CREATE FUNCTION anyleast (VARIADIC anyarray) RETURNS anyelement AS $$
    SELECT min($1[i]) FROM generate_subscripts($1, 1) g(i);
$$ LANGUAGE SQL
----
SELECT anyleast(10, -1, 5, 4)
----
SELECT concat_values('|', 1, 4, 2)
----
SELECT anyleast('abc'::text, 'ABC')
----
SELECT anyleast('abc'::text, 'ABC' COLLATE "C")
----
CREATE FUNCTION anyleast (VARIADIC anyarray) RETURNS anyelement AS $$
    SELECT min($1[i] COLLATE "en_US") FROM generate_subscripts($1, 1) g(i);
$$ LANGUAGE SQL
----
CREATE FUNCTION complex_abs_lt(complex, complex) RETURNS bool
    AS 'filename', 'complex_abs_lt'
    LANGUAGE C IMMUTABLE STRICT
----
CREATE OPERATOR < (
   leftarg = complex, rightarg = complex, procedure = complex_abs_lt,
   commutator = > , negator = >= ,
   restrict = scalarltsel, join = scalarltjoinsel
)
----
CREATE FUNCTION complex_abs_cmp(complex, complex)
    RETURNS integer
    AS 'filename'
    LANGUAGE C IMMUTABLE STRICT
----
CREATE OPERATOR CLASS complex_abs_ops
    DEFAULT FOR TYPE complex USING btree AS
        OPERATOR        1       < ,
        OPERATOR        2       <= ,
        OPERATOR        3       = ,
        OPERATOR        4       >= ,
        OPERATOR        5       > ,
        FUNCTION        1       complex_abs_cmp(complex, complex)
----
CREATE OPERATOR FAMILY integer_ops USING btree
----
CREATE OPERATOR CLASS int8_ops
DEFAULT FOR TYPE int8 USING btree FAMILY integer_ops AS
  -- standard int8 comparisons
  OPERATOR 1 < ,
  OPERATOR 2 <= ,
  OPERATOR 3 = ,
  OPERATOR 4 >= ,
  OPERATOR 5 > ,
  FUNCTION 1 btint8cmp(int8, int8) ,
  FUNCTION 2 btint8sortsupport(internal) ,
  FUNCTION 3 in_range(int8, int8, int8, boolean, boolean) ,
  FUNCTION 4 btequalimage(oid)
----
CREATE OPERATOR CLASS int4_ops
DEFAULT FOR TYPE int4 USING btree FAMILY integer_ops AS
  -- standard int4 comparisons
  OPERATOR 1 < ,
  OPERATOR 2 <= ,
  OPERATOR 3 = ,
  OPERATOR 4 >= ,
  OPERATOR 5 > ,
  FUNCTION 1 btint4cmp(int4, int4) ,
  FUNCTION 2 btint4sortsupport(internal) ,
  FUNCTION 3 in_range(int4, int4, int4, boolean, boolean) ,
  FUNCTION 4 btequalimage(oid)
----
CREATE OPERATOR CLASS int2_ops
DEFAULT FOR TYPE int2 USING btree FAMILY integer_ops AS
  -- standard int2 comparisons
  OPERATOR 1 < ,
  OPERATOR 2 <= ,
  OPERATOR 3 = ,
  OPERATOR 4 >= ,
  OPERATOR 5 > ,
  FUNCTION 1 btint2cmp(int2, int2) ,
  FUNCTION 2 btint2sortsupport(internal) ,
  FUNCTION 3 in_range(int2, int2, int2, boolean, boolean) ,
  FUNCTION 4 btequalimage(oid)
----
ALTER OPERATOR FAMILY integer_ops USING btree ADD
  -- cross-type comparisons int8 vs int2
  OPERATOR 1 < (int8, int2) ,
  OPERATOR 2 <= (int8, int2) ,
  OPERATOR 3 = (int8, int2) ,
  OPERATOR 4 >= (int8, int2) ,
  OPERATOR 5 > (int8, int2) ,
  FUNCTION 1 btint82cmp(int8, int2) ,

  -- cross-type comparisons int8 vs int4
  OPERATOR 1 < (int8, int4) ,
  OPERATOR 2 <= (int8, int4) ,
  OPERATOR 3 = (int8, int4) ,
  OPERATOR 4 >= (int8, int4) ,
  OPERATOR 5 > (int8, int4) ,
  FUNCTION 1 btint84cmp(int8, int4) ,

  -- cross-type comparisons int4 vs int2
  OPERATOR 1 < (int4, int2) ,
  OPERATOR 2 <= (int4, int2) ,
  OPERATOR 3 = (int4, int2) ,
  OPERATOR 4 >= (int4, int2) ,
  OPERATOR 5 > (int4, int2) ,
  FUNCTION 1 btint42cmp(int4, int2) ,

  -- cross-type comparisons int4 vs int8
  OPERATOR 1 < (int4, int8) ,
  OPERATOR 2 <= (int4, int8) ,
  OPERATOR 3 = (int4, int8) ,
  OPERATOR 4 >= (int4, int8) ,
  OPERATOR 5 > (int4, int8) ,
  FUNCTION 1 btint48cmp(int4, int8) ,

  -- cross-type comparisons int2 vs int8
  OPERATOR 1 < (int2, int8) ,
  OPERATOR 2 <= (int2, int8) ,
  OPERATOR 3 = (int2, int8) ,
  OPERATOR 4 >= (int2, int8) ,
  OPERATOR 5 > (int2, int8) ,
  FUNCTION 1 btint28cmp(int2, int8) ,

  -- cross-type comparisons int2 vs int4
  OPERATOR 1 < (int2, int4) ,
  OPERATOR 2 <= (int2, int4) ,
  OPERATOR 3 = (int2, int4) ,
  OPERATOR 4 >= (int2, int4) ,
  OPERATOR 5 > (int2, int4) ,
  FUNCTION 1 btint24cmp(int2, int4) ,

  -- cross-type in_range functions
  FUNCTION 3 in_range(int4, int4, int8, boolean, boolean) ,
  FUNCTION 3 in_range(int4, int4, int2, boolean, boolean) ,
  FUNCTION 3 in_range(int2, int2, int8, boolean, boolean) ,
  FUNCTION 3 in_range(int2, int2, int4, boolean, boolean)
----
SELECT * FROM mytable ORDER BY somecol USING ~<~
----
SELECT sum(x) OVER (ORDER BY x RANGE BETWEEN 5 PRECEDING AND 10 FOLLOWING)
  FROM mytable
----
SELECT * FROM table WHERE integer_column < 4
----
CREATE OPERATOR CLASS polygon_ops
    DEFAULT FOR TYPE polygon USING gist AS
        ...
        STORAGE box
----
SELECT XMLQUERY('$a is $b' PASSING BY REF x AS a, x AS b NULL ON EMPTY)
----
SELECT XMLQUERY('$a is $b' PASSING BY VALUE x AS a, x AS b NULL ON EMPTY)
----
SELECT * FROM
xpath_table('article_id',
            'article_xml',
            'articles',
            '/article/author|/article/pages|/article/title',
            'date_entered > ''2003-01-01'' ')
AS t(article_id integer, author text, page_count integer, title text)
----
SELECT t.title, p.fullname, p.email
FROM xpath_table('article_id', 'article_xml', 'articles',
                 '/article/title|/article/author/@id',
                 'xpath_string(article_xml,''/article/@date'') > ''2003-03-20'' ')
       AS t(article_id integer, title text, author_id integer),
     tblPeopleInfo AS p
WHERE t.author_id = p.person_id
----
CREATE TABLE test (
    id int PRIMARY KEY,
    xml text
)
----
INSERT INTO test VALUES (1, '<doc num="C1">
<line num="L1"><a>1</a><b>2</b><c>3</c></line>
<line num="L2"><a>11</a><b>22</b><c>33</c></line>
</doc>')
----
INSERT INTO test VALUES (2, '<doc num="C2">
<line num="L1"><a>111</a><b>222</b><c>333</c></line>
<line num="L2"><a>111</a><b>222</b><c>333</c></line>
</doc>')
----
SELECT t.*,i.doc_num FROM
  xpath_table('id', 'xml', 'test',
              '/doc/line/@num|/doc/line/a|/doc/line/b|/doc/line/c',
              'true')
    AS t(id int, line_num varchar(10), val1 int, val2 int, val3 int),
  xpath_table('id', 'xml', 'test', '/doc/@num', 'true')
    AS i(id int, doc_num varchar(10))
WHERE i.id=t.id AND i.id=1
ORDER BY doc_num, line_num
----
table1.column1 OP table2.column2
----
CREATE FUNCTION complex_add(complex, complex)
    RETURNS complex
    AS 'filename', 'complex_add'
    LANGUAGE C IMMUTABLE STRICT
----
CREATE OPERATOR + (
    leftarg = complex,
    rightarg = complex,
    function = complex_add,
    commutator = +
)
----
SELECT (a + b) AS c FROM test_complex
----
CREATE FUNCTION plperl_call_handler() RETURNS language_handler AS
    '$libdir/plperl' LANGUAGE C
----
CREATE FUNCTION plperl_inline_handler(internal) RETURNS void AS
    '$libdir/plperl' LANGUAGE C STRICT
----
CREATE FUNCTION plperl_validator(oid) RETURNS void AS
    '$libdir/plperl' LANGUAGE C STRICT
----
CREATE TRUSTED LANGUAGE plperl
    HANDLER plperl_call_handler
    INLINE plperl_inline_handler
    VALIDATOR plperl_validator
----
CREATE TYPE complex
----
CREATE FUNCTION complex_in(cstring)
    RETURNS complex
    AS 'filename'
    LANGUAGE C IMMUTABLE STRICT
----
CREATE FUNCTION complex_out(complex)
    RETURNS cstring
    AS 'filename'
    LANGUAGE C IMMUTABLE STRICT
----
CREATE FUNCTION complex_recv(internal)
   RETURNS complex
   AS 'filename'
   LANGUAGE C IMMUTABLE STRICT
----
CREATE FUNCTION complex_send(complex)
   RETURNS bytea
   AS 'filename'
   LANGUAGE C IMMUTABLE STRICT
----
CREATE TYPE complex (
   internallength = 16,
   input = complex_in,
   output = complex_out,
   receive = complex_recv,
   send = complex_send,
   alignment = double
)