WITH moved AS (UPDATE t SET a = 1 RETURNING *) SELECT * FROM moved
----
with d as (delete from t where a < 5 returning a) insert into log select a, now() from d
----
SELECT * FROM t WHERE id = 5 FOR NO KEY UPDATE
----
select * from t for key share of t skip locked
----
SELECT a INTO b FROM c
----
insert into t default values
----
SELECT f()
----
EXPLAIN ANALYZE DELETE FROM t WHERE id = 5
----
explain (analyze true, buffers, format 'json', timing 0) update t set a = 2
----
PREPARE w (int, text) AS UPDATE t SET a = $1 WHERE b = $2 AND c = 'x'
----
EXECUTE w (5, 'a''b')
----
CALL p(1, 'a', NULL)
----
DO $$ BEGIN PERFORM 1; EXCEPTION WHEN others THEN RAISE NOTICE 'it''s; %', $x$ y $x$; END $$
----
DO LANGUAGE plpgsql $do$ begin execute 'select ''$$''' || $q$a$b$q$; end $do$
----
COPY (DELETE FROM t RETURNING *) TO STDOUT
----
COPY t (a, b) FROM STDIN WITH (FORMAT csv, DELIMITER E'\t', NULL '', QUOTE '"', ESCAPE '\', HEADER match)
----
COPY t TO '/tmp/x' WITH DELIMITER '|' CSV HEADER QUOTE '''' FORCE QUOTE *
----
DECLARE c NO SCROLL CURSOR WITH HOLD FOR SELECT * FROM t WHERE a = 'x' FOR UPDATE
----
FETCH FORWARD 10 FROM c
----
MOVE ABSOLUTE -5 IN c
----
/* leading */ select 1
----
-- leading
-- two lines
select 1
----
((select 1) union (select 2)) order by 1
----
(((((((1)))))))
----
;
----
;;  ; -- nothing

----
SELECT 1; SELECT 2
----
BEGIN; SELECT 1; COMMIT AND CHAIN
----
BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE
----
SET TRANSACTION READ WRITE
----
SET LOCAL statement_timeout = '5s'
----
set session characteristics as transaction isolation level repeatable read
----
SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE
----
set search_path to "$user", public, 'a b'
----
SELECT set_config('app.user', 'a''b', false), current_setting('app.x', true)
----
select pg_advisory_lock(hashtext($1)), pg_try_advisory_xact_lock(1, 2)
----
SET standard_conforming_strings = off
----
select 'a\'
----
select 'a\', 'b'
----
select E'a\'b', E'\\', E'\n\t\x41\101\u0041\U00000041', e'\ud83d\ude00'
----
select E'\u00e9' = 'é', U&'\00e9', U&'d!0061t!+000061' UESCAPE '!', u&"d\0061t\+000061"
----
select U&"a""b" uescape '*' from u & "x"
----
select $$it's$$, $a$ $$ $b$ $a$, $_1é$x$_1é$, $$$$
----
select $a$x$junk$a$, $1$2, a$b$c
----
select 'a'
  'b'   	
'c', 'd' 'e'
----
select 'a' -- no end of the string
 'b'
----
select 'a'
-- nor here
'b'
----
select 'a' /* but here */
'b'
----
select b'1010'
'01', x'1F'
'a', N'national', n 'name'
----
select /* a /* b */ c */ 1 /**/ + /***/ 2 /*/ */ /* */
----
select 1 /* -- */ - -- /*
2 */* x */3
----
select a @- 1, a @-1, a@--1
1, a <=- 1, a =-1, a <>-1, a !=-1, a*-1, a%-1, a ^-1
----
select a +/* c */ b, a @/* c */@ b, a ->-- c
'x'
----
select a ? 'b', a ?| array['x'], a ?& array['y'], a @? '$.a', a @@ '$.a > 1', a #>> '{b,0}', a #- '{c}'
----
select a ~ 'x', a !~~* 'y', a ^@ 'z', @ -5, |/ 25, ||/ 27, !! 5, a # b, a & b, a | b, ~ a, a << 1, a >> 1
----
select a operator(pg_catalog.+) b, a operator("My"."Schema".@#@) b
----
select 1..2
----
select 1...2, 1.5.5, 1.e5, .5e-3, 5.::text, 0x1F
----
select 1_000
----
select 123abc
----
select 1.5e
----
select 0x1F, 0b11, 0o17
----
select 2147483647, 2147483648, -2147483648, 9223372036854775808, 00000000001, 1e400
----
select $1, $2::int[], $12345, $1+$2, ($1), :$1
----
select $0, $1a
----
select a.b.c, a . b . c, a.*, (a).b.*, (a.b[1]).c, a[1][2:3][:4][5:], array[[1,2],[3,4]]
----
select "a""b"."c d" as "select", é, _é, "é" from t as "T"
----
select ""
----
select "unclosed from t
----
select 'unclosed
----
select /* unclosed /* nested */
----
select $tag$ unclosed $TAG$
----
select E'unclosed \'
----
select U&'unclosed
----
select 1 \ 2 { } `x`
----
select a::int::text::varchar(5), cast(a as numeric(10, 2)), int '5', date '2020-01-01' - interval '1' year
----
select interval(3) '1.23456 seconds', interval '1-2' year to month, timestamp(3) with time zone '2020-01-01 00:00+00'
----
select 'today'::date, 'now'::timestamptz, timestamp 'tomorrow', date 'yesterday', time 'allballs', 'epoch', 'infinity'
----
select * from t where a = 'to' 'day'
----
SELECT * FROM t WHERE d = '01/02/2020'::date AND x = NULL AND y IS NOT DISTINCT FROM 5
----
select * from t where id in (1, 2, -3, '4', $1, null)
----
select * from t where id in (1) and (a, b) in ((1, 2), (3, 4)) and c not in (select 5) and d in (e, 6)
----
select position('a' in 'abc'), substring('abc' from 2 for 1), overlay('abc' placing 'x' from 1), trim(both 'x' from 'xax')
----
select extract(year from now()), extract('epoch' from d), a at time zone 'utc', a collate "C" like 'x%' escape '!'
----
select a from t order by 1, 2 desc nulls last, a || 'x', (3), -4, lower(b) using < limit 10 offset 20
----
select a from t order by a limit all offset $1 rows fetch first (5 + 1) rows with ties
----
select distinct on (1, b) a, b from t order by 1
----
select a, count(*) filter (where b > 5) from t group by rollup (1, (2, a)), cube (a), grouping sets ((1), ()) having count(*) > 10
----
select sum(a) over w, rank() over (partition by b order by 1 rows between 5 preceding and 1 following exclude ties) from t window w as (order by c)
----
values (1, 'a'), (2, 'b'), (3, null) order by 1
----
insert into t (a, b) values (1, default), (2, default) on conflict (a) do update set b = excluded.b || 'x' where t.c > 5 returning a, b
----
insert into t values ($1, $2), ($3, $4), ($5, $6)
----
insert into t overriding system value select 1, 'a' union all values (2, 'b')
----
merge into t using (values (1, 'a')) s(id, v) on t.id = s.id when matched and s.v = 'x' then delete when not matched then insert values (s.id, 'new')
----
update only t * as x set (a, b) = (1, 2), c[1] = 3, d.e = default from u where x.id = u.id returning x.*
----
delete from t using u where current of c
----
truncate t, only u restart identity cascade
----
lock table t in share row exclusive mode nowait
----
/* sluice: primary */ select 1
----
select /* sluice: shard=eu timeout=5s */ 1 from t /* sluice: key=42 */
----
SELECT 1 /* sluice: replica
*/
----
LISTEN "Chan"
----
NOTIFY chan, 'pay''load'
----
UNLISTEN *
----
DISCARD ALL
----
DEALLOCATE PREPARE ALL
----
PREPARE TRANSACTION 'gid with ''quote'''
----
COMMIT PREPARED 'gid'
----
ROLLBACK TO SAVEPOINT "Save"
----
create function f(a int = 5, variadic b text[] default '{}') returns setof record language sql begin atomic select 1; select case when a > 1 then 'x' else 'end' end; end
----
create or replace procedure p() begin atomic insert into t values (1); select f(); end
----
create rule r as on insert to t where new.a > 5 do instead (insert into u values (new.a); notify x; select 1)
----
create table t (a int generated by default as identity (start 10), b text default E'a\'b' collate "C", check (a > 0), like u including all) partition by list (a)
----
create table p1 partition of t for values in (1, 2, 'x', null)
----
create table p2 partition of t for values with (modulus 4, remainder 1)
----
create temp table x on commit drop as select 1 as a with no data
----
create operator @#@ (leftarg = int, rightarg = int, procedure = f, commutator = operator(s.@#@))
----
alter table t alter a set default 'x', add constraint c check (a in (1, 2)) not valid, alter b type int using b::int + 1
----
create index concurrently if not exists i on t using gin ((a -> 'b') jsonb_path_ops, lower(c)) where d > 5
----
grant select (a, b), update on t to "Some Role", public with grant option
----
comment on column t.a is 'it''s'
----
select xmlelement(name a, xmlattributes('x' as b), 'c'), xmlforest(1 as d), xmlpi(name e, 'f')
----
select * from xmltable('/a' passing x columns b int path '@b' default 5, c for ordinality), json_to_recordset('[]') as j(a int)
----
select * from t tablesample system (5) repeatable (1), lateral generate_series(1, 5) with ordinality g(a, b), rows from (f(1), g(2))
----
select case a when 1 then 'x' when 2 then 'y' else 'z' end, coalesce(a, 0), nullif(a, 5), greatest(1, 2), a between symmetric 1 and 2
----
select row(1, 'a'), (1, 2) overlaps (3, 4), exists (select 1), a = any ('{1,2}'), b = all (array[1, 2]), c = some (select 3)
----
with recursive r(n) as (values (1) union all select n + 1 from r where n < 10) search depth first by n set o cycle n set c using p select * from r
----
select 1 union select 2 union all select 3 intersect select 4 except all select 5
----
table only t
----
select
----
select from t
----
select all a from t
----
select 1 as limit, 2 as "order", 3 "by", a.order, a.group from t order by a.limit, 1
----
select a isnull, b notnull, c is unknown, d is json from t
----
select * from "T" where "Id"=1and"x"=2or"y"like'a'
----
select 1a
----
select 1from t
----
select'a'from t
----
select*from t where(a)in(1,2)and b>=-1
----
selectt 1
----
	select 1 
----
this is not sql at all, but has 'quotes' and (parentheses
----
SHOW transaction_read_only
----
RESET ALL
----
VACUUM (ANALYZE, PARALLEL 4) t (a, b)
----
reindex (verbose) index concurrently i
----
EXPLAIN SELECT 1 FROM t WHERE a = 'x'
----
explain execute w(1, 'a')
----
explain create table x as select 5
----
load 'lib'
----
select 'ÀÉ', '日本語', "日本語", 日本語 from 表 where 列 = '値'
----
select 1 where 'a'='a'--
----
select 1 where '1'='1' or 1=1;--' and x = 'y'
----
select e, n, b, x, u, u&1, e||'a', n'a'||b'1' from e
----
select a<b, a>b, a<=b, a=>b, a<-b, a>-b, a||-b, a@>-b, a<@+b
----
select f(a => 1, b := 2, variadic array[3])
----
select :name, :'name', :"name", @name, #name, ?
----
select a -> 'b' ->> 'c', a -> 0, a['b']['c'], jsonb '{"a": [1, 2]}' @> '{"a": 1}'
----
select '{"a": "it''s \"quoted\" \\ $$ -- /* */"}'::jsonb, '[today,tomorrow)'::daterange
----
begin; set local x.y = 'z'; select 1; rollback
----
select 1;

-- two


select 2;
----
select cast(a as float(53)), b::float(10), c::bit(3), d::varchar(5), e::interval second(3), f::time(2), g::numeric(10,2)
----
select a in ( - 1 , + 2.5), -1, - - 2, -(3), +4, -$1, 5 - -6, x between -1 and -2, -1::int, (-2)::int
