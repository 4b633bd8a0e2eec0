SELECT abalance FROM pgbench_accounts WHERE aid = 90221;
----
SELECT

UPDATE pgbench_accounts SET abalance = abalance + 1234 WHERE aid = 90221;
----
UPDATE

UPDATE pgbench_tellers SET tbalance = tbalance + -3455 WHERE tid = 7;
----
UPDATE

INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (7, 1, 90221, -3455, CURRENT_TIMESTAMP);
----
INSERT

BEGIN;
----
BEGIN begin

END;
----
END commit

vacuum pgbench_branches
----
VACUUM

truncate pgbench_history
----
TRUNCATE

select count(*) from pgbench_branches
----
SELECT

copy pgbench_accounts from stdin with (freeze on)
----
COPY CopyFromStdin

drop table if exists pgbench_accounts, pgbench_branches, pgbench_history, pgbench_tellers
----
DROP Ddl | unpin temporary object

create table pgbench_history(tid int,bid int,aid    int,delta int,mtime timestamp,filler char(22))
----
CREATE Ddl

alter table pgbench_branches add primary key (bid)
----
ALTER Ddl

insert into pgbench_tellers(tid,bid,tbalance) values (1,1,0)
----
INSERT

# The beginning of a dump.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';
----
SET set statement_timeout = [0]
SET set lock_timeout = [0]
SET set idle_in_transaction_session_timeout = [0]
SET set client_encoding = ['UTF8']
SET set standard_conforming_strings = [on]
SELECT set search_path = literal []
SET set check_function_bodies = [false]
SET set xmloption = [content]
SET set client_min_messages = [warning]
SET set row_security = [off]
SET set default_tablespace = ['']

CREATE TABLE public.orders (
    id integer NOT NULL,
    a text DEFAULT 'x'::text,
    c numeric(10,2)
);

ALTER TABLE public.orders OWNER TO postgres;

CREATE SEQUENCE public.orders_id_seq
    AS integer
    START WITH 1;

ALTER TABLE ONLY public.orders ALTER COLUMN id SET DEFAULT nextval('public.orders_id_seq'::regclass);

SELECT pg_catalog.setval('public.orders_id_seq', 1, false);
----
CREATE Ddl
ALTER Ddl
CREATE Ddl
ALTER Ddl | SequenceWrite
SELECT SequenceWrite

# As psql describes a table, in short.
SELECT c.oid, n.nspname, c.relname
FROM pg_catalog.pg_class c
     LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname OPERATOR(pg_catalog.~) '^(orders)$' COLLATE pg_catalog.default
  AND pg_catalog.pg_table_is_visible(c.oid)
ORDER BY 2, 3;
----
SELECT

SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
  (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND a.atthasdef),
  pg_catalog.col_description(a.attrelid, a.attnum)
FROM pg_catalog.pg_attribute a WHERE a.attrelid = '16384' AND NOT a.attisdropped;
----
SELECT

SELECT pg_catalog.pg_get_indexdef(i.indexrelid, 0, true), pg_catalog.pg_get_constraintdef(con.oid, true), contype FROM pg_catalog.pg_index i LEFT JOIN pg_catalog.pg_constraint con ON (conindid = i.indexrelid AND contype IN ('p','u','x'))
----
SELECT

SELECT pg_catalog.pg_size_pretty(pg_catalog.pg_table_size(c.oid)), pg_catalog.pg_get_userbyid(c.relowner), pg_catalog.array_to_string(c.relacl, E'\n') FROM pg_catalog.pg_class c WHERE c.relkind IN ('r','p','') AND n.nspname !~ '^pg_toast'
----
SELECT

SELECT p.proname, pg_catalog.pg_get_function_result(p.oid), pg_catalog.pg_get_function_arguments(p.oid), CASE p.prokind WHEN 'a' THEN 'agg' ELSE 'func' END FROM pg_catalog.pg_proc p WHERE pg_catalog.pg_function_is_visible(p.oid)
----
SELECT

SELECT r.rolname, ARRAY(SELECT b.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles b ON (m.roleid = b.oid) WHERE m.member = r.oid) AS memberof, pg_catalog.shobj_description(r.oid, 'pg_authid') FROM pg_catalog.pg_roles r
----
SELECT

SELECT pg_is_in_recovery(), pg_current_wal_lsn(), pg_wal_lsn_diff(a, b) FROM pg_stat_replication
----
SELECT

SELECT datname, pid, state, query, pg_blocking_pids(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
----
SELECT

SELECT pg_terminate_backend(1), pg_cancel_backend(2), pg_reload_conf()
----
SELECT

EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM t WHERE a = f(1)
----
EXPLAIN opaque Function("f")

EXPLAIN SELECT * FROM t WHERE a = f(1)
----
EXPLAIN opaque Function("f")

EXPLAIN ANALYZE INSERT INTO t (a) VALUES (nextval('s'))
----
EXPLAIN SequenceWrite

ANALYZE t
----
ANALYZE

VACUUM (FULL, ANALYZE) t
----
VACUUM

CHECKPOINT
----
CHECKPOINT

REINDEX TABLE CONCURRENTLY t
----
REINDEX

CLUSTER t USING i
----
CLUSTER

SECURITY LABEL FOR x ON TABLE t IS 'y'
----
SECURITY Ddl

REASSIGN OWNED BY a TO b
----
REASSIGN Ddl

REVOKE ALL ON t FROM PUBLIC
----
REVOKE Ddl

CREATE PUBLICATION p FOR ALL TABLES
----
CREATE Ddl

ALTER SUBSCRIPTION s REFRESH PUBLICATION
----
ALTER Ddl

CREATE TRIGGER t BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()
----
CREATE Ddl

CREATE STATISTICS s (dependencies) ON a, b FROM t
----
CREATE Ddl

ALTER TABLE t ALTER COLUMN a SET DEFAULT nextval('s')
----
ALTER Ddl | SequenceWrite

ALTER TABLE t RENAME TO pg_temperature
----
ALTER Ddl

CREATE ROLE bob LOGIN PASSWORD 'secret'
----
CREATE Ddl
