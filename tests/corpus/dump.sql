--
-- PostgreSQL database cluster dump
--
----
SET default_transaction_read_only = off
----
SET client_encoding = 'UTF8'
----
SET standard_conforming_strings = on
----
--
-- Roles
--

CREATE ROLE lex_reader
----
ALTER ROLE lex_reader WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS
----
CREATE ROLE postgres
----
ALTER ROLE postgres WITH SUPERUSER INHERIT CREATEROLE CREATEDB LOGIN REPLICATION BYPASSRLS
----
--
-- User Configurations
--

--
-- User Config "lex_reader"
--

ALTER ROLE lex_reader SET search_path TO 'shop', 'public'
----
--
-- Databases
--

--
-- Database "template1" dump
--
----
--
-- PostgreSQL database dump
--
----
-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0
----
SET lock_timeout = 0
----
SET idle_in_transaction_session_timeout = 0
----
SELECT pg_catalog.set_config('search_path', '', false)
----
SET check_function_bodies = false
----
SET xmloption = content
----
SET client_min_messages = warning
----
SET row_security = off
----
--
-- PostgreSQL database dump complete
--
----
--
-- Database "postgres" dump
--
----
--
-- Name: shop; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA shop
----
ALTER SCHEMA shop OWNER TO postgres
----
--
-- Name: de; Type: COLLATION; Schema: shop; Owner: postgres
--

CREATE COLLATION shop.de (provider = icu, locale = 'de-u-co-phonebk')
----
ALTER COLLATION shop.de OWNER TO postgres
----
--
-- Name: pgcrypto; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS pgcrypto WITH SCHEMA public
----
--
-- Name: EXTENSION pgcrypto; Type: COMMENT; Schema: -; Owner: 
--

COMMENT ON EXTENSION pgcrypto IS 'cryptographic functions'
----
--
-- Name: email; Type: DOMAIN; Schema: shop; Owner: postgres
--

CREATE DOMAIN shop.email AS text
	CONSTRAINT email_check CHECK ((VALUE ~ '^[^@]+@[^@]+$'::text))
----
ALTER DOMAIN shop.email OWNER TO postgres
----
--
-- Name: point3; Type: TYPE; Schema: shop; Owner: postgres
--

CREATE TYPE shop.point3 AS (
	x double precision,
	y double precision,
	z double precision
)
----
ALTER TYPE shop.point3 OWNER TO postgres
----
--
-- Name: state; Type: TYPE; Schema: shop; Owner: postgres
--

CREATE TYPE shop.state AS ENUM (
    'new',
    'paid',
    'it''s sent'
)
----
ALTER TYPE shop.state OWNER TO postgres
----
--
-- Name: CAST (shop.point3 AS text); Type: CAST; Schema: -; Owner: -
--

CREATE CAST (shop.point3 AS text) WITH INOUT AS ASSIGNMENT
----
--
-- Name: add(integer, integer); Type: FUNCTION; Schema: shop; Owner: postgres
--

CREATE FUNCTION shop.add(a integer, b integer DEFAULT 5) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT
    AS $$select a + b$$
----
ALTER FUNCTION shop.add(a integer, b integer) OWNER TO postgres
----
--
-- Name: FUNCTION add(a integer, b integer); Type: COMMENT; Schema: shop; Owner: postgres
--

COMMENT ON FUNCTION shop.add(a integer, b integer) IS 'a	b'
----
--
-- Name: touch(); Type: FUNCTION; Schema: shop; Owner: postgres
--

CREATE FUNCTION shop.touch() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ begin if new.memo is null then new.memo := 'x;y'; end if; return new; end; $$
----
ALTER FUNCTION shop.touch() OWNER TO postgres
----
--
-- Name: work(integer); Type: PROCEDURE; Schema: shop; Owner: postgres
--

CREATE PROCEDURE shop.work(INOUT n integer)
    LANGUAGE sql
    BEGIN ATOMIC
 SELECT (n + 1);
END
----
ALTER PROCEDURE shop.work(INOUT n integer) OWNER TO postgres
----
--
-- Name: total(integer); Type: AGGREGATE; Schema: shop; Owner: postgres
--

CREATE AGGREGATE shop.total(integer) (
    SFUNC = shop.add,
    STYPE = integer,
    INITCOND = '0'
)
----
ALTER AGGREGATE shop.total(integer) OWNER TO postgres
----
--
-- Name: @-; Type: OPERATOR; Schema: shop; Owner: postgres
--

CREATE OPERATOR shop.@- (
    FUNCTION = shop.add,
    LEFTARG = integer,
    RIGHTARG = integer
)
----
ALTER OPERATOR shop.@- (integer, integer) OWNER TO postgres
----
--
-- Name: fts; Type: TEXT SEARCH CONFIGURATION; Schema: shop; Owner: postgres
--

CREATE TEXT SEARCH CONFIGURATION shop.fts (
    PARSER = pg_catalog."default" )
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR asciiword WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR word WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR numword WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR email WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR url WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR host WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR sfloat WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR version WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR hword_numpart WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR hword_part WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR hword_asciipart WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR numhword WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR asciihword WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR hword WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR url_path WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR file WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR "float" WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR "int" WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts
    ADD MAPPING FOR uint WITH simple
----
ALTER TEXT SEARCH CONFIGURATION shop.fts OWNER TO postgres
----
--
-- Name: fdw; Type: FOREIGN DATA WRAPPER; Schema: -; Owner: postgres
--

CREATE FOREIGN DATA WRAPPER fdw
----
ALTER FOREIGN DATA WRAPPER fdw OWNER TO postgres
----
--
-- Name: srv; Type: SERVER; Schema: -; Owner: postgres
--

CREATE SERVER srv FOREIGN DATA WRAPPER fdw OPTIONS (
    host 'a''b',
    port '5'
)
----
ALTER SERVER srv OWNER TO postgres
----
--
-- Name: USER MAPPING public SERVER srv; Type: USER MAPPING; Schema: -; Owner: postgres
--

CREATE USER MAPPING FOR public SERVER srv OPTIONS (
    "user" 'u'
)
----
SET default_tablespace = ''
----
SET default_table_access_method = heap
----
--
-- Name: Odd "Name"; Type: TABLE; Schema: shop; Owner: postgres
--

CREATE TABLE shop."Odd ""Name""" (
    "select" integer,
    "Weird; col" text DEFAULT 'a''b'::text
)
----
ALTER TABLE shop."Odd ""Name""" OWNER TO postgres
----
--
-- Name: cache; Type: TABLE; Schema: shop; Owner: postgres
--

CREATE UNLOGGED TABLE shop.cache (
    k text NOT NULL,
    v text
)
WITH (autovacuum_enabled=off)
----
ALTER TABLE shop.cache OWNER TO postgres
----
--
-- Name: orders; Type: TABLE; Schema: shop; Owner: postgres
--

CREATE TABLE shop.orders (
    id integer NOT NULL,
    customer_id bigint NOT NULL,
    total numeric(12,2),
    state shop.state DEFAULT 'new'::shop.state,
    placed timestamp without time zone DEFAULT '2020-01-01 00:00:00'::timestamp without time zone,
    memo character varying(200) DEFAULT 'line
back\slash'::character varying,
    CONSTRAINT orders_total_check CHECK ((total >= (0)::numeric))
)
----
ALTER TABLE shop.orders OWNER TO postgres
----
--
-- Name: TABLE orders; Type: COMMENT; Schema: shop; Owner: postgres
--

COMMENT ON TABLE shop.orders IS 'it''s; the orders'
----
--
-- Name: counts; Type: MATERIALIZED VIEW; Schema: shop; Owner: postgres
--

CREATE MATERIALIZED VIEW shop.counts AS
 SELECT orders.state,
    count(*) FILTER (WHERE (orders.total > (10)::numeric)) AS n
   FROM shop.orders
  GROUP BY orders.state
  WITH NO DATA
----
ALTER TABLE shop.counts OWNER TO postgres
----
--
-- Name: customers; Type: TABLE; Schema: shop; Owner: postgres
--

CREATE TABLE shop.customers (
    id bigint NOT NULL,
    name text NOT NULL,
    mail shop.email,
    born date,
    tags text[] DEFAULT '{}'::text[],
    data jsonb DEFAULT '{"a": "b''c"}'::jsonb,
    created timestamp with time zone DEFAULT now() NOT NULL
)
----
ALTER TABLE ONLY shop.customers ALTER COLUMN name SET STATISTICS 500
----
ALTER TABLE ONLY shop.customers ALTER COLUMN name SET STORAGE EXTERNAL
----
ALTER TABLE shop.customers OWNER TO postgres
----
--
-- Name: customers_id_seq; Type: SEQUENCE; Schema: shop; Owner: postgres
--

CREATE SEQUENCE shop.customers_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
----
ALTER TABLE shop.customers_id_seq OWNER TO postgres
----
--
-- Name: customers_id_seq; Type: SEQUENCE OWNED BY; Schema: shop; Owner: postgres
--

ALTER SEQUENCE shop.customers_id_seq OWNED BY shop.customers.id
----
--
-- Name: events; Type: TABLE; Schema: shop; Owner: postgres
--

CREATE TABLE shop.events (
    at timestamp with time zone NOT NULL,
    kind character(3),
    body bytea
)
PARTITION BY RANGE (at)
----
ALTER TABLE shop.events OWNER TO postgres
----
--
-- Name: events_2024; Type: TABLE; Schema: shop; Owner: postgres
--

CREATE TABLE shop.events_2024 (
    at timestamp with time zone NOT NULL,
    kind character(3),
    body bytea
)
----
ALTER TABLE shop.events_2024 OWNER TO postgres
----
--
-- Name: events_rest; Type: TABLE; Schema: shop; Owner: postgres
--

CREATE TABLE shop.events_rest (
    at timestamp with time zone NOT NULL,
    kind character(3),
    body bytea
)
----
ALTER TABLE shop.events_rest OWNER TO postgres
----
--
-- Name: ft; Type: FOREIGN TABLE; Schema: shop; Owner: postgres
--

CREATE FOREIGN TABLE shop.ft (
    a integer NOT NULL
)
SERVER srv
OPTIONS (
    t 'v'
)
----
ALTER FOREIGN TABLE shop.ft ALTER COLUMN a OPTIONS (
    column_name 'x'
)
----
ALTER FOREIGN TABLE shop.ft OWNER TO postgres
----
--
-- Name: orders_id_seq; Type: SEQUENCE; Schema: shop; Owner: postgres
--

ALTER TABLE shop.orders ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME shop.orders_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
)
----
--
-- Name: own; Type: SEQUENCE; Schema: shop; Owner: postgres
--

CREATE SEQUENCE shop.own
    START WITH 100
    INCREMENT BY 5
    NO MINVALUE
    NO MAXVALUE
    CACHE 10
----
ALTER TABLE shop.own OWNER TO postgres
----
--
-- Name: own; Type: SEQUENCE OWNED BY; Schema: shop; Owner: postgres
--

ALTER SEQUENCE shop.own OWNED BY shop.customers.id
----
--
-- Name: rich; Type: VIEW; Schema: shop; Owner: postgres
--

CREATE VIEW shop.rich AS
 SELECT c.name,
    sum(o.total) AS total
   FROM (shop.customers c
     JOIN shop.orders o ON ((o.customer_id = c.id)))
  GROUP BY c.name
 HAVING (sum(o.total) > (100)::numeric)
----
ALTER TABLE shop.rich OWNER TO postgres
----
--
-- Name: events_2024; Type: TABLE ATTACH; Schema: shop; Owner: postgres
--

ALTER TABLE ONLY shop.events ATTACH PARTITION shop.events_2024 FOR VALUES FROM ('2024-01-01 00:00:00+00') TO ('2025-01-01 00:00:00+00')
----
--
-- Name: events_rest; Type: TABLE ATTACH; Schema: shop; Owner: postgres
--

ALTER TABLE ONLY shop.events ATTACH PARTITION shop.events_rest DEFAULT
----
--
-- Name: customers id; Type: DEFAULT; Schema: shop; Owner: postgres
--

ALTER TABLE ONLY shop.customers ALTER COLUMN id SET DEFAULT nextval('shop.customers_id_seq'::regclass)
----
--
-- Name: 12345; Type: BLOB; Schema: -; Owner: postgres
--

SELECT pg_catalog.lo_create('12345')
----
ALTER LARGE OBJECT 12345 OWNER TO postgres
----
--
-- Data for Name: Odd "Name"; Type: TABLE DATA; Schema: shop; Owner: postgres
--

COPY shop."Odd ""Name""" ("select", "Weird; col") FROM stdin
----
--
-- Data for Name: cache; Type: TABLE DATA; Schema: shop; Owner: postgres
--

COPY shop.cache (k, v) FROM stdin
----
--
-- Data for Name: customers; Type: TABLE DATA; Schema: shop; Owner: postgres
--

COPY shop.customers (id, name, mail, born, tags, data, created) FROM stdin
----
--
-- Data for Name: events_2024; Type: TABLE DATA; Schema: shop; Owner: postgres
--

COPY shop.events_2024 (at, kind, body) FROM stdin
----
--
-- Data for Name: events_rest; Type: TABLE DATA; Schema: shop; Owner: postgres
--

COPY shop.events_rest (at, kind, body) FROM stdin
----
--
-- Data for Name: orders; Type: TABLE DATA; Schema: shop; Owner: postgres
--

COPY shop.orders (id, customer_id, total, state, placed, memo) FROM stdin
----
--
-- Name: customers_id_seq; Type: SEQUENCE SET; Schema: shop; Owner: postgres
--

SELECT pg_catalog.setval('shop.customers_id_seq', 2, true)
----
--
-- Name: orders_id_seq; Type: SEQUENCE SET; Schema: shop; Owner: postgres
--

SELECT pg_catalog.setval('shop.orders_id_seq', 1, true)
----
--
-- Name: own; Type: SEQUENCE SET; Schema: shop; Owner: postgres
--

SELECT pg_catalog.setval('shop.own', 100, false)
----
--
-- Data for Name: BLOBS; Type: BLOBS; Schema: -; Owner: -
--

BEGIN
----
SELECT pg_catalog.lo_open('12345', 131072)
----
SELECT pg_catalog.lo_close(0)
----
COMMIT
----
--
-- Name: cache cache_pkey; Type: CONSTRAINT; Schema: shop; Owner: postgres
--

ALTER TABLE ONLY shop.cache
    ADD CONSTRAINT cache_pkey PRIMARY KEY (k)
----
--
-- Name: customers customers_mail_key; Type: CONSTRAINT; Schema: shop; Owner: postgres
--

ALTER TABLE ONLY shop.customers
    ADD CONSTRAINT customers_mail_key UNIQUE (mail)
----
--
-- Name: customers customers_pkey; Type: CONSTRAINT; Schema: shop; Owner: postgres
--

ALTER TABLE ONLY shop.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (id)
----
--
-- Name: customers named; Type: CHECK CONSTRAINT; Schema: shop; Owner: postgres
--

ALTER TABLE shop.customers
    ADD CONSTRAINT named CHECK ((name <> ''::text)) NOT VALID
----
--
-- Name: orders orders_pkey; Type: CONSTRAINT; Schema: shop; Owner: postgres
--

ALTER TABLE ONLY shop.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id)
----
--
-- Name: orders_customer_id_placed_idx; Type: INDEX; Schema: shop; Owner: postgres
--

CREATE INDEX orders_customer_id_placed_idx ON shop.orders USING btree (customer_id, placed DESC NULLS LAST) WHERE (state <> 'new'::shop.state)
----
--
-- Name: orders_expr; Type: INDEX; Schema: shop; Owner: postgres
--

CREATE INDEX orders_expr ON shop.orders USING btree (lower((memo)::text), ((total * (2)::numeric))) INCLUDE (state) WITH (fillfactor='70')
----
--
-- Name: st; Type: STATISTICS; Schema: shop; Owner: postgres
--

CREATE STATISTICS shop.st (dependencies) ON customer_id, state FROM shop.orders
----
ALTER STATISTICS shop.st OWNER TO postgres
----
--
-- Name: cache no_delete; Type: RULE; Schema: shop; Owner: postgres
--

CREATE RULE no_delete AS
    ON DELETE TO shop.cache DO INSTEAD NOTHING
----
--
-- Name: cache two; Type: RULE; Schema: shop; Owner: postgres
--

CREATE RULE two AS
    ON UPDATE TO shop.cache DO ( INSERT INTO shop.cache (k, v)
  VALUES ((new.k || '2'::text), 'a'::text) ON CONFLICT DO NOTHING;
 SELECT 1 AS "?column?";
)
----
--
-- Name: orders touched; Type: TRIGGER; Schema: shop; Owner: postgres
--

CREATE TRIGGER touched BEFORE INSERT OR UPDATE OF memo ON shop.orders FOR EACH ROW WHEN ((new.total > (5)::numeric)) EXECUTE FUNCTION shop.touch()
----
--
-- Name: orders orders_customer_id_fkey; Type: FK CONSTRAINT; Schema: shop; Owner: postgres
--

ALTER TABLE ONLY shop.orders
    ADD CONSTRAINT orders_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES shop.customers(id) ON DELETE CASCADE
----
--
-- Name: orders; Type: ROW SECURITY; Schema: shop; Owner: postgres
--

ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY
----
--
-- Name: orders own; Type: POLICY; Schema: shop; Owner: postgres
--

CREATE POLICY own ON shop.orders FOR SELECT USING ((customer_id = (current_setting('app.id'::text))::bigint))
----
--
-- Name: p; Type: PUBLICATION; Schema: -; Owner: postgres
--

CREATE PUBLICATION p WITH (publish = 'insert, update, delete, truncate')
----
ALTER PUBLICATION p OWNER TO postgres
----
--
-- Name: p orders; Type: PUBLICATION TABLE; Schema: shop; Owner: postgres
--

ALTER PUBLICATION p ADD TABLE ONLY shop.orders WHERE ((total > (5)::numeric))
----
--
-- Name: SCHEMA shop; Type: ACL; Schema: -; Owner: postgres
--

GRANT USAGE ON SCHEMA shop TO lex_reader WITH GRANT OPTION
----
--
-- Name: TABLE "Odd ""Name"""; Type: ACL; Schema: shop; Owner: postgres
--

GRANT SELECT ON TABLE shop."Odd ""Name""" TO lex_reader
----
--
-- Name: TABLE cache; Type: ACL; Schema: shop; Owner: postgres
--

GRANT SELECT ON TABLE shop.cache TO lex_reader
----
--
-- Name: TABLE orders; Type: ACL; Schema: shop; Owner: postgres
--

GRANT SELECT ON TABLE shop.orders TO lex_reader
----
--
-- Name: COLUMN orders.memo; Type: ACL; Schema: shop; Owner: postgres
--

GRANT UPDATE(memo) ON TABLE shop.orders TO lex_reader
----
--
-- Name: TABLE counts; Type: ACL; Schema: shop; Owner: postgres
--

GRANT SELECT ON TABLE shop.counts TO lex_reader
----
--
-- Name: TABLE customers; Type: ACL; Schema: shop; Owner: postgres
--

GRANT SELECT ON TABLE shop.customers TO lex_reader
----
--
-- Name: TABLE events; Type: ACL; Schema: shop; Owner: postgres
--

GRANT SELECT ON TABLE shop.events TO lex_reader
----
--
-- Name: TABLE events_2024; Type: ACL; Schema: shop; Owner: postgres
--

GRANT SELECT ON TABLE shop.events_2024 TO lex_reader
----
--
-- Name: TABLE events_rest; Type: ACL; Schema: shop; Owner: postgres
--

GRANT SELECT ON TABLE shop.events_rest TO lex_reader
----
--
-- Name: TABLE ft; Type: ACL; Schema: shop; Owner: postgres
--

GRANT SELECT ON TABLE shop.ft TO lex_reader
----
--
-- Name: TABLE rich; Type: ACL; Schema: shop; Owner: postgres
--

GRANT SELECT ON TABLE shop.rich TO lex_reader
----
--
-- Name: DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: shop; Owner: postgres
--

ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA shop GRANT SELECT ON TABLES  TO lex_reader
----
--
-- Name: counts; Type: MATERIALIZED VIEW DATA; Schema: shop; Owner: postgres
--

REFRESH MATERIALIZED VIEW shop.counts
----
--
-- PostgreSQL database cluster dump complete
--

--
-- PostgreSQL database dump
--
----
--
-- Data for Name: Odd "Name"; Type: TABLE DATA; Schema: shop; Owner: postgres
--



--
-- Data for Name: cache; Type: TABLE DATA; Schema: shop; Owner: postgres
--



--
-- Data for Name: customers; Type: TABLE DATA; Schema: shop; Owner: postgres
--

INSERT INTO shop.customers VALUES (1, 'a''b', 'a@b', NULL, '{}', '{"a": "b''c"}', '2026-11-25 18:48:51.184164+00')
----
INSERT INTO shop.customers VALUES (2, 'c\d', NULL, NULL, '{}', '{"a": "b''c"}', '2026-11-25 18:48:51.184164+00')
----
--
-- Data for Name: events_2024; Type: TABLE DATA; Schema: shop; Owner: postgres
--



--
-- Data for Name: events_rest; Type: TABLE DATA; Schema: shop; Owner: postgres
--



--
-- Data for Name: orders; Type: TABLE DATA; Schema: shop; Owner: postgres
--

INSERT INTO shop.orders OVERRIDING SYSTEM VALUE VALUES (1, 1, 50.00, 'new', '2020-01-01 00:00:00', 'line
back\slash')
----
DROP DATABASE IF EXISTS postgres
----
--
-- Name: postgres; Type: DATABASE; Schema: -; Owner: postgres
--

CREATE DATABASE postgres WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'C.UTF-8'
----
ALTER DATABASE postgres OWNER TO postgres
----
SET statement_timeout = 0
----
--
-- Name: DATABASE postgres; Type: COMMENT; Schema: -; Owner: postgres
--

COMMENT ON DATABASE postgres IS 'default administrative connection database'
----
--
-- Name: postgres; Type: DATABASE PROPERTIES; Schema: -; Owner: postgres
--

ALTER DATABASE postgres SET work_mem TO '5MB'
----
ALTER ROLE lex_reader IN DATABASE postgres SET statement_timeout TO '5000'
----
--
-- Data for Name: Odd "Name"; Type: TABLE DATA; Schema: shop; Owner: postgres
--



--
-- Data for Name: cache; Type: TABLE DATA; Schema: shop; Owner: postgres
--



--
-- Data for Name: customers; Type: TABLE DATA; Schema: shop; Owner: postgres
--

INSERT INTO shop.customers (id, name, mail, born, tags, data, created) VALUES
	(1, 'a''b', 'a@b', NULL, '{}', '{"a": "b''c"}', '2026-11-25 18:48:51.184164+00'),
	(2, 'c\d', NULL, NULL, '{}', '{"a": "b''c"}', '2026-11-25 18:48:51.184164+00')
----
--
-- Data for Name: events_2024; Type: TABLE DATA; Schema: shop; Owner: postgres
--



--
-- Data for Name: events_rest; Type: TABLE DATA; Schema: shop; Owner: postgres
--



--
-- Data for Name: orders; Type: TABLE DATA; Schema: shop; Owner: postgres
--

INSERT INTO shop.orders (id, customer_id, total, state, placed, memo) OVERRIDING SYSTEM VALUE VALUES
	(1, 1, 50.00, 'new', '2020-01-01 00:00:00', 'line
back\slash')