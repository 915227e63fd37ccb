SELECT "User"."id" AS "User_id", "User"."name" AS "User_name", "User"."email" AS "User_email" FROM "user" "User" WHERE (("User"."id" = $1)) LIMIT 1
----
SELECT DISTINCT "distinctAlias"."User_id" AS "ids_User_id" FROM (SELECT "User"."id" AS "User_id", "User__User_posts"."id" AS "User__User_posts_id" FROM "user" "User" LEFT JOIN "post" "User__User_posts" ON "User__User_posts"."authorId"="User"."id" WHERE (("User"."name" = $1))) "distinctAlias" ORDER BY "User_id" ASC LIMIT 1
----
INSERT INTO "user"("id", "name", "email", "createdAt") VALUES (DEFAULT, $1, $2, DEFAULT) RETURNING "id", "createdAt"
----
INSERT INTO "user"("id", "name", "email") VALUES (DEFAULT, $1, $2), (DEFAULT, $3, $4), (DEFAULT, $5, $6) RETURNING "id"
----
UPDATE "user" SET "name" = $2, "updatedAt" = CURRENT_TIMESTAMP WHERE "id" IN ($1) RETURNING "updatedAt"
----
DELETE FROM "post" WHERE "id" IN ($1, $2, $3)
----
SELECT COUNT(DISTINCT("Post"."id")) AS "cnt" FROM "post" "Post" INNER JOIN "user" "Post__Post_author" ON "Post__Post_author"."id"="Post"."authorId" WHERE "Post__Post_author"."name" ILIKE $1
----
SELECT "post"."id" AS "post_id" FROM "post" "post" WHERE "post"."title" = :title AND "post"."published" = true ORDER BY "post"."createdAt" DESC LIMIT 10 OFFSET 20
----
START TRANSACTION
----
SELECT * FROM current_schema()
----
SELECT version();
----
SELECT "table_schema", "table_name" FROM "information_schema"."tables" WHERE ("table_schema" = 'public' AND "table_name" = 'user') OR ("table_schema" = 'public' AND "table_name" = 'typeorm_metadata')
----
SELECT columns.*, pg_catalog.col_description(('"' || table_catalog || '"."' || table_schema || '"."' || table_name || '"')::regclass::oid, ordinal_position) as description, ('"' || "udt_schema" || '"."' || "udt_name" || '"')::"regtype" AS "regtype", pg_catalog.format_type("col_attr"."atttypid", "col_attr"."atttypmod") AS "format_type" FROM "information_schema"."columns" LEFT JOIN "pg_catalog"."pg_attribute" AS "col_attr" ON "col_attr"."attname" = "columns"."column_name" WHERE ("table_schema" = 'public' AND "table_name" = 'user')
----
CREATE TABLE "user" ("id" SERIAL NOT NULL, "name" character varying(100) NOT NULL, "isActive" boolean NOT NULL DEFAULT true, "createdAt" TIMESTAMP NOT NULL DEFAULT now(), CONSTRAINT "PK_cace4a159ff9f2512dd42373760" PRIMARY KEY ("id"))
----
ALTER TABLE "post" ADD CONSTRAINT "FK_c6fb082a3114f35d0cc27c518e0" FOREIGN KEY ("authorId") REFERENCES "user"("id") ON DELETE NO ACTION ON UPDATE NO ACTION
----
CREATE EXTENSION IF NOT EXISTS "uuid-ossp"
----
WITH "recent" AS (SELECT "p"."id" FROM "post" "p" WHERE "p"."createdAt" > NOW() - INTERVAL '7 days') SELECT "u".* FROM "user" "u" WHERE EXISTS (SELECT 1 FROM "recent")
----
SELECT "public"."User"."id", "public"."User"."email", "public"."User"."name" FROM "public"."User" WHERE ("public"."User"."id" = $1 AND 1=1) LIMIT $2 OFFSET $3
----
SELECT "public"."Post"."id", "public"."Post"."title" FROM "public"."Post" WHERE "public"."Post"."authorId" IN ($1,$2,$3,$4,$5,$6,$7) OFFSET $8
----
SELECT COUNT(*) FROM (SELECT "public"."User"."id" FROM "public"."User" WHERE "public"."User"."email"::text LIKE $1 OFFSET $2) AS "sub"
----
INSERT INTO "public"."User" ("email","name","createdAt") VALUES ($1,$2,$3) RETURNING "public"."User"."id"
----
INSERT INTO "public"."Tag" ("name") VALUES ($1), ($2), ($3), ($4) ON CONFLICT DO NOTHING
----
UPDATE "public"."User" SET "name" = $1 WHERE ("public"."User"."id" IN ($2) AND 1=1)
----
DELETE FROM "public"."Post" WHERE ("public"."Post"."id" IN ($1) AND 1=1)
----
SELECT "t1"."id", "t1"."name", "User_posts"."__prisma_data__" AS "posts" FROM "public"."User" AS "t1" LEFT JOIN LATERAL (SELECT COALESCE(JSONB_AGG("__prisma_data__"), '[]') AS "__prisma_data__" FROM (SELECT "t3"."__prisma_data__" FROM (SELECT JSONB_BUILD_OBJECT('id', "t2"."id", 'title', "t2"."title") AS "__prisma_data__" FROM (SELECT "t2".* FROM "public"."Post" AS "t2" WHERE "t1"."id" = "t2"."authorId" /* root select */) AS "t2" /* inner select */) AS "t3" /* middle select */) AS "t4" /* outer select */) AS "User_posts" ON TRUE WHERE "t1"."id" = $1 LIMIT $2
----
SELECT pg_advisory_lock(72707369)
----
SELECT tbl.relname AS table_name, namespace.nspname as namespace FROM pg_class AS tbl INNER JOIN pg_namespace AS namespace ON namespace.oid = tbl.relnamespace WHERE tbl.relkind IN ('r','p') AND namespace.nspname = ANY ( $1 ) ORDER BY namespace, table_name;
----
SELECT "id", "migration_name" FROM "_prisma_migrations" ORDER BY "started_at" ASC
----
SET search_path = "public"
----
BEGIN ISOLATION LEVEL REPEATABLE READ
----
DEALLOCATE ALL
----
SELECT "id", "username", "birthday", "createdAt", "updatedAt" FROM "Users" AS "User" WHERE "User"."username" = 'jane' AND "User"."id" > 5 ORDER BY "User"."createdAt" DESC LIMIT 10 OFFSET 0;
----
SELECT "User"."id", "Tasks"."id" AS "Tasks.id", "Tasks"."title" AS "Tasks.title" FROM "Users" AS "User" LEFT OUTER JOIN "Tasks" AS "Tasks" ON "User"."id" = "Tasks"."userId" WHERE "User"."id" IN (1, 2, 3, 4);
----
INSERT INTO "Users" ("id","username","birthday","createdAt","updatedAt") VALUES (DEFAULT,$1,$2,$3,$4) RETURNING "id","username","birthday","createdAt","updatedAt";
----
INSERT INTO "Users" ("id","username","createdAt","updatedAt") VALUES (DEFAULT,'jane','2024-05-01 10:00:00.000 +00:00','2024-05-01 10:00:00.000 +00:00'),(DEFAULT,'o''hara','2024-05-01 10:00:00.000 +00:00','2024-05-01 10:00:00.000 +00:00') RETURNING "id";
----
UPDATE "Users" SET "username"=$1,"updatedAt"=$2 WHERE "id" = $3
----
UPDATE "Users" SET "visits"="visits"+ 1,"updatedAt"='2024-05-01 10:00:00.000 +00:00' WHERE "id" = 42 RETURNING "id"
----
DELETE FROM "Users" WHERE "id" IN (SELECT "id" FROM "Users" WHERE "username" = 'jane' LIMIT 1)
----
SELECT count("User"."id") AS "count" FROM "Users" AS "User" LEFT OUTER JOIN ( "Tags_Users" AS "Tags->TagsUsers" INNER JOIN "Tags" AS "Tags" ON "Tags"."id" = "Tags->TagsUsers"."tagId") ON "User"."id" = "Tags->TagsUsers"."userId";
----
SELECT "id" FROM "Users" AS "User" WHERE ("User"."meta"#>>'{address,city}') = 'O''Fallon' AND ("User"."tags" @> ARRAY['a','b']::VARCHAR(255)[]);
----
CREATE OR REPLACE FUNCTION pg_temp.testfunc(OUT response "Users", OUT sequelize_caught_exception text) RETURNS RECORD AS $func_12345$ BEGIN INSERT INTO "Users" ("id","username") VALUES (DEFAULT,'jane') RETURNING * INTO response; EXCEPTION WHEN unique_violation THEN GET STACKED DIAGNOSTICS sequelize_caught_exception = PG_EXCEPTION_DETAIL; END $func_12345$ LANGUAGE plpgsql; SELECT (testfunc.response)."id", testfunc.sequelize_caught_exception FROM pg_temp.testfunc(); DROP FUNCTION IF EXISTS pg_temp.testfunc();
----
SELECT i.relname AS name, ix.indisprimary AS primary, ix.indisunique AS unique, ix.indkey AS indkey, array_agg(a.attnum) as column_indexes, array_agg(a.attname) AS column_names, pg_get_indexdef(ix.indexrelid) AS definition FROM pg_class t, pg_class i, pg_index ix, pg_attribute a WHERE t.oid = ix.indrelid AND i.oid = ix.indexrelid AND a.attrelid = t.oid AND t.relkind = 'r' and t.relname = 'Users' GROUP BY i.relname, ix.indexrelid, ix.indisprimary, ix.indisunique, ix.indkey ORDER BY i.relname;
----
CREATE TABLE IF NOT EXISTS "Users" ("id"   SERIAL , "username" VARCHAR(255), "state" "public"."enum_Users_state" DEFAULT 'new', PRIMARY KEY ("id"));
----
SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED
----
START TRANSACTION; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;
----
select u1_0.id,u1_0.email,u1_0.name from users u1_0 where u1_0.id=$1
----
select distinct o1_0.id,o1_0.customer_id,l1_0.order_id,l1_0.id,l1_0.price from orders o1_0 left join order_line l1_0 on o1_0.id=l1_0.order_id where o1_0.placed>=$1 and o1_0.state in ($2,$3,$4) order by o1_0.id
----
select generatedAlias0 from (select order0_.id as id1_0_, order0_.total as total2_0_ from orders order0_ where order0_.customer_id=? and (order0_.total>100.0 or order0_.note is null) order by order0_.id desc limit ?) as generatedAlias0
----
select nextval('hibernate_sequence')
----
select nextval ('users_seq')
----
insert into users (email, name, version, id) values ($1, $2, $3, $4)
----
update users set email=$1, name=$2, version=$3 where id=$4 and version=$5
----
delete from users where id=$1 and version=$2
----
select count(u1_0.id) from users u1_0 where upper(u1_0.name) like upper($1) escape '\'
----
select p1_0.id from product p1_0 where p1_0.id=$1 for no key update
----
select o1_0.id,coalesce(sum(l1_0.price*l1_0.amount),0) from orders o1_0 join order_line l1_0 on o1_0.id=l1_0.order_id group by o1_0.id having sum(l1_0.price)>$1 offset $2 rows fetch first $3 rows only
----
select r1_0.id, r1_0.parent_id from region r1_0 where exists(select 1 from region r2_0 where r2_0.parent_id=r1_0.id and r2_0.level<cast($1 as integer))
----
/* select generatedAlias0 from User as generatedAlias0 */ select user0_.id as id1_1_ from users user0_ where user0_.active=true
----
/* dynamic native SQL query */ select * from users where created > now() - interval '1 day' limit 500
----
select t.table_name, t.table_type from information_schema.tables t where t.table_schema = 'public'
----
create sequence hibernate_sequence start 1 increment 1
----
alter table if exists orders add constraint FKpxtb8awmi0dk6smoh2vp1litg foreign key (customer_id) references customers
----
SET extra_float_digits = 3
----
SET application_name = 'PostgreSQL JDBC Driver'
----
SELECT "users".* FROM "users" WHERE "users"."id" = $1 LIMIT $2
----
SELECT "users".* FROM "users" WHERE "users"."id" IN (1, 2, 3, 4, 5) ORDER BY "users"."created_at" DESC
----
SELECT 1 AS one FROM "users" WHERE "users"."email" = 'a@example.org' AND "users"."id" != 7 LIMIT 1
----
SELECT COUNT(*) FROM "posts" WHERE "posts"."user_id" = 5 AND "posts"."published_at" BETWEEN '2024-01-01 00:00:00' AND '2024-12-31 23:59:59.999999'
----
INSERT INTO "posts" ("title", "body", "user_id", "created_at", "updated_at") VALUES ($1, $2, $3, $4, $5) RETURNING "id"
----
INSERT INTO "tags" ("name","created_at","updated_at") VALUES ('a', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP), ('b', CURRENT_TIMESTAMP, CURRENT_TIMESTAMP) ON CONFLICT ("name") DO UPDATE SET updated_at=(CASE WHEN ("tags"."name" IS NOT DISTINCT FROM excluded."name") THEN "tags".updated_at ELSE CURRENT_TIMESTAMP END) RETURNING "id"
----
UPDATE "users" SET "login_count" = COALESCE("users"."login_count", 0) + 1, "updated_at" = '2024-05-01 10:00:00.123456' WHERE "users"."id" = 9
----
DELETE FROM "sessions" WHERE (updated_at < '2024-01-01')
----
SELECT DISTINCT "posts"."id", posts.created_at AS alias_0 FROM "posts" LEFT OUTER JOIN "comments" ON "comments"."post_id" = "posts"."id" WHERE "comments"."spam" = FALSE ORDER BY posts.created_at DESC LIMIT 25 OFFSET 50
----
SELECT "users"."id" AS t0_r0, "users"."name" AS t0_r1, "posts"."id" AS t1_r0 FROM "users" LEFT OUTER JOIN "posts" ON "posts"."user_id" = "users"."id" WHERE "users"."name" ILIKE '%o''b%' /*application:Shop,controller:users,action:index*/
----
SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull, a.atttypid, a.atttypmod, c.collname, col_description(a.attrelid, a.attnum) AS comment, attidentity AS identity, attgenerated as attgenerated FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum LEFT JOIN pg_type t ON a.atttypid = t.oid LEFT JOIN pg_collation c ON a.attcollation = c.oid AND a.attcollation <> t.typcollation WHERE a.attrelid = '"users"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
----
SELECT t.oid, t.typname, t.typelem, t.typdelim, t.typinput, r.rngsubtype, t.typtype, t.typbasetype FROM pg_type as t LEFT JOIN pg_range as r ON oid = rngtypid WHERE t.typname IN ('int2', 'int4', 'int8', 'oid', 'float4', 'float8', 'numeric', 'bool')
----
SET client_min_messages TO 'warning'
----
SET standard_conforming_strings = on
----
SET SESSION timezone TO 'UTC'
----
SELECT pg_try_advisory_lock(4919937187425126255)
----
SAVEPOINT active_record_1
----
RELEASE SAVEPOINT active_record_1
----
SELECT "schema_migrations"."version" FROM "schema_migrations" ORDER BY "schema_migrations"."version" ASC
----
CREATE UNIQUE INDEX "index_users_on_email" ON "users" ("email") WHERE (deleted_at IS NULL)
----
SELECT "auth_user"."id", "auth_user"."password", "auth_user"."last_login", "auth_user"."username" FROM "auth_user" WHERE "auth_user"."username" = 'jane' LIMIT 21
----
SELECT "blog_post"."id", "blog_post"."title" FROM "blog_post" INNER JOIN "auth_user" ON ("blog_post"."author_id" = "auth_user"."id") WHERE ("auth_user"."is_active" AND UPPER("blog_post"."title"::text) LIKE UPPER('%50\%%') AND NOT ("blog_post"."state" IN (1, 2))) ORDER BY "blog_post"."created" DESC LIMIT 20
----
SELECT COUNT('*') FROM (SELECT DISTINCT ON ("blog_post"."author_id") "blog_post"."id" AS col1 FROM "blog_post" ORDER BY "blog_post"."author_id" ASC) subquery
----
SELECT (1) AS "a" FROM "blog_post" WHERE "blog_post"."slug" = 'x' LIMIT 1
----
INSERT INTO "blog_post" ("title", "author_id", "created", "meta") VALUES ('It''s', 5, '2024-05-01T10:00:00+00:00'::timestamptz, '{"a": [1, 2]}'::jsonb) RETURNING "blog_post"."id"
----
INSERT INTO "blog_tag" ("name", "weight") VALUES ('a', 1), ('b', 2), ('c', NULL) ON CONFLICT DO NOTHING RETURNING "blog_tag"."id"
----
UPDATE "blog_post" SET "views" = ("blog_post"."views" + 1) WHERE "blog_post"."id" = 12
----
UPDATE "blog_post" SET "rank" = (CASE WHEN ("blog_post"."id" = 1) THEN 10 WHEN ("blog_post"."id" = 2) THEN 20 ELSE NULL END)::integer WHERE "blog_post"."id" IN (1, 2)
----
DELETE FROM "django_session" WHERE "django_session"."session_key" IN ('abc')
----
SELECT "blog_post"."author_id", COUNT("blog_post"."id") AS "n", MAX("blog_post"."created") AS "m" FROM "blog_post" GROUP BY 1 HAVING COUNT("blog_post"."id") > 3 ORDER BY 2 DESC
----
SELECT DATE_TRUNC('month', "blog_post"."created" AT TIME ZONE 'Europe/Berlin') AS "month", SUM("blog_post"."views") AS "v" FROM "blog_post" WHERE EXTRACT(YEAR FROM "blog_post"."created" AT TIME ZONE 'UTC') = 2024 GROUP BY 1 ORDER BY 1 ASC
----
SELECT "blog_post"."id" FROM "blog_post" WHERE ("blog_post"."meta" -> 'tags') @> '["a"]'::jsonb FOR UPDATE SKIP LOCKED
----
DECLARE "_django_curs_140182_sync_1" NO SCROLL CURSOR WITH HOLD FOR SELECT "auth_user"."id" FROM "auth_user"
----
SAVEPOINT "s140182_x1"
----
SET CONSTRAINTS ALL IMMEDIATE
----
SELECT "django_migrations"."id", "django_migrations"."app" FROM "django_migrations"
----
SET TIME ZONE 'UTC'
----
SELECT c.relname, CASE WHEN c.relispartition THEN 'p' WHEN c.relkind IN ('m', 'v') THEN 'v' ELSE 't' END, obj_description(c.oid, 'pg_class') FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v') AND n.nspname NOT IN ('pg_catalog', 'pg_toast') AND pg_catalog.pg_table_is_visible(c.oid)
----
SELECT users.id AS users_id, users.name AS users_name FROM users WHERE users.id = %(pk_1)s
----
SELECT users.id, users.name FROM users WHERE users.id = $1::INTEGER
----
SELECT users.id, users.name FROM users WHERE users.id IN ($1::INTEGER, $2::INTEGER, $3::INTEGER) ORDER BY users.id LIMIT $4::INTEGER OFFSET $5::INTEGER
----
SELECT anon_1.users_id AS anon_1_users_id, addresses_1.id AS addresses_1_id FROM (SELECT users.id AS users_id FROM users WHERE users.name = 'ed' LIMIT 5) AS anon_1 LEFT OUTER JOIN addresses AS addresses_1 ON anon_1.users_id = addresses_1.user_id
----
INSERT INTO users (name, fullname) VALUES ($1::VARCHAR, $2::VARCHAR) RETURNING users.id
----
INSERT INTO users (name, fullname) SELECT p0::VARCHAR, p1::VARCHAR FROM (VALUES ($1::VARCHAR, $2::VARCHAR, 0), ($3::VARCHAR, $4::VARCHAR, 1)) AS imp_sen(p0, p1, sen_counter) ORDER BY sen_counter RETURNING users.id, users.id AS id__1
----
INSERT INTO users (name, fullname) VALUES ('a', 'b'), ('c', 'd'), ('e', 'f')
----
UPDATE users SET name=$1::VARCHAR WHERE users.id = $2::INTEGER
----
DELETE FROM users WHERE users.id = $1::INTEGER
----
WITH RECURSIVE parents(id, parent_id) AS (SELECT nodes.id AS id, nodes.parent_id AS parent_id FROM nodes WHERE nodes.id = 7 UNION ALL SELECT n.id, n.parent_id FROM nodes AS n JOIN parents ON n.id = parents.parent_id) SELECT parents.id FROM parents
----
SELECT count(*) AS count_1 FROM (SELECT users.id AS users_id FROM users) AS anon_1
----
SELECT row_number() OVER (PARTITION BY users.name ORDER BY users.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING) AS anon_1 FROM users
----
SELECT CAST('test plain returns' AS VARCHAR(60)) AS anon_1
----
select pg_catalog.version()
----
select current_schema()
----
show standard_conforming_strings
----
SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relname = $1::VARCHAR AND pg_catalog.pg_class.relkind = ANY (ARRAY[$2::VARCHAR, $3::VARCHAR]) AND pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid)
----
BEGIN (implicit)
----
ROLLBACK TO SAVEPOINT sa_savepoint_1
----
SELECT $1::text as message
----
SELECT NOW()
----
SELECT * FROM users WHERE id = $1
----
select "id", "name" from "users" where "id" in ($1, $2) and "deleted_at" is null order by "id" asc limit $3
----
insert into "users" ("age", "name") values ($1, $2), ($3, $4), (DEFAULT, $5) returning *
----
update "users" set "age" = "age" + $1 where "id" = $2
----
select "u".*, count(*) over () as "full_count" from "users" as "u" where "u"."doc"->>'k' = $1 limit $2
----
with "q" as (select * from "users" where "age" > $1) select * from "q"
----
insert into users (id, doc) values (1, '{"it''s": "\"fine\""}') on conflict (id) do update set doc = users.doc || excluded.doc
----
select * from users where tags && '{"a","b c"}'::text[] and loc <-> point '(1,2)' < 5
----
SELECT * FROM unnest($1::int[], $2::text[]) AS t(id, name)
----
SELECT set_config('app.tenant', $1, true)
----
LISTEN "events"
----
SELECT pg_notify('events', '{"id": 5}')
----
COPY users (id, name) FROM STDIN WITH (FORMAT csv, HEADER)
----
COPY (SELECT * FROM users WHERE id > 5) TO STDOUT (FORMAT binary)
----
SELECT "t"."Id", "t"."Name", t0."Id" FROM (SELECT u."Id", u."Name" FROM "Users" AS u WHERE u."Name" = @__name_0 ORDER BY u."Id" LIMIT @__p_1) AS t LEFT JOIN "Posts" AS t0 ON t."Id" = t0."UserId" ORDER BY t."Id", t0."Id"
----
SELECT EXISTS (SELECT 1 FROM "Users" AS u WHERE u."Age" >= 18 AND strpos(u."Name", 'x') > 0)
----
INSERT INTO "Blogs" ("Url", "Rating") VALUES ($1, $2) RETURNING "Id"; INSERT INTO "Blogs" ("Url", "Rating") VALUES ($3, $4) RETURNING "Id";
----
UPDATE "Blogs" SET "Rating" = $1 WHERE "Id" = $2 AND xmin = $3
----
SELECT u0."id", u0."name" FROM "users" AS u0 WHERE (u0."id" = ANY($1)) ORDER BY u0."inserted_at" DESC LIMIT 5
----
INSERT INTO "users" ("name","inserted_at") VALUES ($1,$2) ON CONFLICT ("name") DO UPDATE SET "name" = EXCLUDED."name" RETURNING "id"
----
select * from `users` where `id` = 1
----
SELECT * FROM "users" WHERE "users"."id" = 1 AND "users"."deleted_at" IS NULL ORDER BY "users"."id" LIMIT 1
----
INSERT INTO "users" ("name","age") VALUES ('jinzhu',18),('jackson',19) RETURNING "id"
----
UPDATE "users" SET "age"=age * 2 + 100,"updated_at"='2024-05-01 10:00:00.123' WHERE active = true AND "users"."deleted_at" IS NULL
----
SELECT abalance FROM pgbench_accounts WHERE aid = 12345;
----
UPDATE pgbench_accounts SET abalance = abalance + -1234 WHERE aid = 99;
----
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, 99, -1234, CURRENT_TIMESTAMP);
----
SELECT /* sluice: key=42 */ * FROM orders WHERE id = 42
----
SELECT c.id FROM customers c WHERE c.created > timestamp '2024-01-01' AND c.country NOT IN ('DE', 'AT', 'CH') AND c.score BETWEEN -5 AND 5 ORDER BY 1 FETCH FIRST 10 ROWS WITH TIES
