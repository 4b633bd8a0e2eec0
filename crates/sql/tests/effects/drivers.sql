SET application_name = 'psycopg'; SET client_encoding TO 'UTF8'
----
SET set application_name = ['psycopg']
SET set client_encoding = ['UTF8']

SET extra_float_digits = 3
----
SET set extra_float_digits = [3]

SET application_name = 'PostgreSQL JDBC Driver'
----
SET set application_name = ['PostgreSQL JDBC Driver']

SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE
----
SET set default_transaction_read_only = ['off']

SHOW TRANSACTION ISOLATION LEVEL
----
SHOW

BEGIN READ ONLY
----
BEGIN begin read only

SELECT 'dbname' || current_database(), version()
----
SELECT

select pg_catalog.version()
----
SELECT

select current_schema()
----
SELECT

show standard_conforming_strings
----
SHOW

SELECT t.oid, typarray FROM pg_type t JOIN pg_namespace ns ON typnamespace = ns.oid WHERE typname = 'hstore'
----
SELECT

SET client_min_messages TO warning;SET standard_conforming_strings = on;SET intervalstyle = iso_8601;SET SESSION timezone TO 'UTC'
----
SET set client_min_messages = [warning]
SET set standard_conforming_strings = [on]
SET set intervalstyle = [iso_8601]
SET set timezone = ['UTC']

SELECT "users".* FROM "users" WHERE "users"."id" = $1 LIMIT $2 /*application='Shop',controller='users'*/
----
SELECT

/* {"app":"ql"} */ SELECT "users".* FROM "users" WHERE "users"."id" = $1 LIMIT $2
----
SELECT

INSERT INTO "users" ("name", "email", "created_at") VALUES ($1, $2, $3) RETURNING "id"
----
INSERT

SELECT 1 AS one FROM "users" WHERE LOWER("users"."email") = LOWER($1) LIMIT $2
----
SELECT

SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull, a.atttypid, a.atttypmod, c.collname, col_description(a.attrelid, a.attnum) AS comment FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attrelid = '"users"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
----
SELECT

SELECT pg_try_advisory_lock(2345678901234)
----
SELECT pin advisory lock

SELECT pg_advisory_unlock(2345678901234)
----
SELECT unpin advisory lock

SAVEPOINT active_record_1
----
SAVEPOINT savepoint active_record_1

RELEASE SAVEPOINT active_record_1
----
RELEASE release active_record_1

ROLLBACK TO SAVEPOINT active_record_1
----
ROLLBACK rollback to active_record_1

SAVEPOINT "s140_x1"
----
SAVEPOINT savepoint s140_x1

SELECT "auth_user"."id", "auth_user"."name" FROM "auth_user" WHERE ("auth_user"."is_active" AND UPPER("auth_user"."name"::text) LIKE UPPER('%a%')) ORDER BY "auth_user"."name" ASC LIMIT 21 FOR UPDATE OF "auth_user" NOWAIT
----
SELECT

SELECT COUNT(*) FROM (SELECT DISTINCT "a"."id" AS "col1" FROM "a" INNER JOIN "b" ON ("a"."b_id" = "b"."id")) subquery
----
SELECT

SELECT c.relname, CASE WHEN c.relispartition THEN 'p' WHEN c.relkind IN ('m', 'v') THEN 'v' ELSE 't' END, obj_description(c.oid, 'pg_class') FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v') AND n.nspname NOT IN ('pg_catalog', 'pg_toast') AND pg_catalog.pg_table_is_visible(c.oid)
----
SELECT

select users0_.id as id1_0_, users0_.name as name2_0_ from users users0_ where users0_.name like ? escape '\'
----
SELECT

select nextval ('hibernate_sequence')
----
SELECT SequenceWrite

insert into users (name, id) values ($1, $2)
----
INSERT

SELECT users.id AS users_id, users.name AS users_name FROM users WHERE users.id IN (SELECT unnest(CAST($1 AS INTEGER[])))
----
SELECT

select pg_catalog.pg_class.relname from pg_catalog.pg_class join pg_catalog.pg_namespace on pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace where pg_catalog.pg_class.relname = 'users' and pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid)
----
SELECT

INSERT INTO "User" ("id", "tags") VALUES ($1, ARRAY[$2, $3]::text[]) ON CONFLICT ("id") DO UPDATE SET "tags" = EXCLUDED."tags"
----
INSERT

SELECT "public"."User"."id" FROM "public"."User" WHERE ("public"."User"."email" = $1 AND 1=1) LIMIT $2 OFFSET $3
----
SELECT

SELECT json_agg(row_to_json(t)) FROM (SELECT id, to_char(created_at, 'YYYY-MM-DD') AS d FROM events WHERE data @> '{"a": 1}' AND tags ?& array['x', 'y']) t
----
SELECT

select set_config('search_path', $1, true), set_config('role', $2, true), set_config('request.jwt.claims', $3, true)
----
SELECT computed local search_path | computed local ROLE | computed local request.jwt.claims

SET LOCAL ROLE "web_anon"; SET LOCAL "request.jwt.claim.role" = 'web_anon'
----
SET set local ROLE = ["web_anon"]
SET set local request.jwt.claim.role = ['web_anon']

WITH pgrst_source AS (SELECT "api"."items".* FROM "api"."items" LIMIT $1 OFFSET $2) SELECT null::bigint AS total_result_set, pg_catalog.count(_t) AS page_total, coalesce(json_agg(_t), '[]') AS body, nullif(current_setting('response.headers', true), '') AS h FROM (SELECT * FROM pgrst_source) _t
----
WITH

DISCARD ALL
----
DISCARD discard all

CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES
----
CLOSE close all
SET reset SESSION AUTHORIZATION
RESET reset all
DEALLOCATE deallocate all
UNLISTEN unlisten all
SELECT unpin advisory lock
DISCARD discard plans
DISCARD discard temp
DISCARD discard sequences

SELECT pg_advisory_unlock_all();
CLOSE ALL;
UNLISTEN *;
RESET ALL;
----
SELECT unpin advisory lock
CLOSE close all
UNLISTEN unlisten all
RESET reset all

DECLARE "django_curs_1" NO SCROLL CURSOR WITH HOLD FOR SELECT 1
----
DECLARE pin cursor with hold django_curs_1

DECLARE _psql_cursor NO SCROLL CURSOR FOR
SELECT 1
----
DECLARE

FETCH FORWARD 100 FROM _psql_cursor
----
FETCH

COPY "users" ("id", "name") FROM STDIN (FORMAT BINARY)
----
COPY CopyFromStdin

COPY public.orders (id, a) FROM stdin;
----
COPY CopyFromStdin

SELECT * FROM "jobs" WHERE "queue" = $1 AND "run_at" <= now() ORDER BY "priority" DESC FOR UPDATE SKIP LOCKED LIMIT 1
----
SELECT

UPDATE "jobs" SET "locked_at" = CURRENT_TIMESTAMP, "attempts" = "attempts" + 1 WHERE "id" = (SELECT "id" FROM "jobs" ORDER BY "id" LIMIT 1) RETURNING *
----
UPDATE

SELECT pg_notify($1, $2)
----
SELECT Notify

INSERT INTO events SELECT * FROM json_populate_recordset(null::events, $1)
----
INSERT

SELECT * FROM json_to_recordset($1) AS x (a int, b text, c numeric(10, 2))
----
SELECT

SELECT EXTRACT(EPOCH FROM (now() - pg_last_xact_replay_timestamp()))
----
SELECT

SELECT ts_rank_cd(to_tsvector('english', body), plainto_tsquery('english', $1)) FROM docs WHERE to_tsvector('english', body) @@ plainto_tsquery('english', $1)
----
SELECT

SELECT similarity(name, $1) FROM users
----
SELECT opaque Function("similarity")

SELECT gen_random_uuid(), uuid_generate_v4()
----
SELECT opaque Function("uuid_generate_v4")

SELECT uuidv7(), any_value(a), json_table(b, '$' COLUMNS (c int)) FROM t
----
SELECT

SET @@sql_mode = ''
----
SET computed ?

SELECT set_config('TimeZone', 'UTC', FALSE);
----
SELECT set timezone = literal [UTC]

SET LOCAL statement_timeout TO '30s'; SELECT 1
----
SET set local statement_timeout = ['30s']
SELECT

BEGIN; SET LOCAL search_path TO tenant_1; SELECT 1; COMMIT
----
BEGIN begin
SET set local search_path = [tenant_1]
SELECT
COMMIT commit

set role none; set search_path to default
----
SET set ROLE = [none]
SET reset search_path

SET default_transaction_read_only TO on; SET default_transaction_isolation TO 'serializable'
----
SET set default_transaction_read_only = [on]
SET set default_transaction_isolation = ['serializable']
