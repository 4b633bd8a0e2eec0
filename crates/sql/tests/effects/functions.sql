DO $$ BEGIN PERFORM 1; END $$
----
DO opaque Do

DO LANGUAGE plpgsql 'BEGIN END'
----
DO opaque Do

CALL p(1)
----
CALL opaque Function("p")

CALL s.p(nextval('x'))
----
CALL opaque Function("p")

SELECT my_function()
----
SELECT opaque Function("my_function")

SELECT My_Function (1), other(2)
----
SELECT opaque Function("my_function") | opaque Function("other")

SELECT "MyFunction"(1)
----
SELECT opaque Function("MyFunction")

SELECT "count"(*) FROM t
----
SELECT

SELECT "Count"(*) FROM t
----
SELECT opaque Function("Count")

SELECT s.f(1)
----
SELECT opaque Function("f")

SELECT public.count(1)
----
SELECT opaque Function("count")

SELECT pg_catalog.count(*) FROM t
----
SELECT

SELECT "pg_catalog"."count"(*) FROM t
----
SELECT

SELECT d.pg_catalog.count(*) FROM t
----
SELECT opaque Function("count")

SELECT count(*), sum(a), avg(b), min(c), max(d), array_agg(e ORDER BY f), string_agg(g, ',') FROM t
----
SELECT

SELECT upper(a), lower(b), length(c), substr(d, 1), substring(e FROM 1 FOR 2), trim(both ' ' from f), position('x' in g), overlay(h placing 'x' from 1) FROM t
----
SELECT

SELECT now(), current_timestamp(3), clock_timestamp(), date_trunc('day', a), extract(year from b), age(c), to_char(d, 'x'), make_date(1, 2, 3) FROM t
----
SELECT

SELECT coalesce(a, b), nullif(a, b), greatest(a, b), least(a, b), abs(a), round(b, 2), ceil(c), floor(d), random(), mod(a, b) FROM t
----
SELECT

SELECT json_build_object('a', 1), jsonb_set(a, '{b}', '1'), to_jsonb(b), jsonb_agg(c), json_array_elements(d), row_to_json(e) FROM t
----
SELECT

SELECT * FROM generate_series(1, 10) AS g(n), unnest(ARRAY[1, 2]) WITH ORDINALITY AS u(a, b)
----
SELECT

SELECT * FROM unnest($1::int[], $2::text[]) WITH ORDINALITY u(a, b, n)
----
SELECT

SELECT row_number() OVER (PARTITION BY a ORDER BY b), rank() OVER w, count(*) FILTER (WHERE a > 1) FROM t WINDOW w AS (ORDER BY c)
----
SELECT

SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM t
----
SELECT

SELECT a FROM t WHERE b IN (1, 2) AND (c OR d) AND NOT (e) AND f = ANY (ARRAY[1]) AND EXISTS (SELECT 1) AND g BETWEEN (1) AND (2)
----
SELECT

SELECT a::numeric(10, 2), b::varchar(20), c::character varying(20), d::timestamp(3) with time zone, CAST(e AS decimal(5, 1)), f::public.geometry(Point, 4326), CAST(g AS geometry(Point, 4326)) FROM t
----
SELECT

SELECT a::int AND f(b) FROM t
----
SELECT opaque Function("f")

SELECT a::text || f(b) FROM t
----
SELECT opaque Function("f")

INSERT INTO t (a, b) VALUES (1, 2)
----
INSERT

INSERT INTO s.t (a, b) VALUES (1, DEFAULT), (2, 3) ON CONFLICT (a) DO UPDATE SET b = EXCLUDED.b RETURNING a
----
INSERT

INSERT INTO "S"."T" ("a") SELECT f("a") FROM t
----
INSERT opaque Function("f")

INSERT INTO t AS x (a) VALUES (1)
----
INSERT

INSERT INTO t (a) OVERRIDING SYSTEM VALUE VALUES (1)
----
INSERT

INSERT INTO count (a) VALUES (1)
----
INSERT

UPDATE t SET (a, b) = (1, 2) WHERE c = 3
----
UPDATE

UPDATE t SET a = f(b)
----
UPDATE opaque Function("f")

UPDATE ONLY (t) SET a = 1
----
UPDATE

DELETE FROM t USING u WHERE t.id = u.id
----
DELETE

MERGE INTO t USING s ON (t.id = s.id) WHEN MATCHED THEN UPDATE SET a = s.a WHEN NOT MATCHED THEN INSERT (a, b) VALUES (s.a, s.b)
----
MERGE

MERGE INTO t USING s ON t.id = s.id WHEN MATCHED AND f(s.a) THEN DELETE
----
MERGE opaque Function("f")

SELECT * FROM (SELECT 1) x (a), (VALUES (1, 2)) AS y (b, c) JOIN LATERAL (SELECT 1) z ON (true)
----
SELECT

SELECT DISTINCT ON (a) f(b) FROM t
----
SELECT opaque Function("f")

SELECT DISTINCT ON (a) lower(b) FROM t
----
SELECT

WITH RECURSIVE r (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r
----
WITH

WITH a (x) AS (SELECT 1), b (y) AS MATERIALIZED (SELECT 2) SELECT x, y, f(x) FROM a, b
----
WITH opaque Function("f")

WITH a AS (INSERT INTO t (x) VALUES (1) RETURNING x) SELECT sum(x) FROM a
----
WITH

WITH a AS (DELETE FROM t RETURNING *) INSERT INTO u (x) SELECT x FROM a
----
WITH

SELECT GROUPING(a), count(*) FROM t GROUP BY ROLLUP (a, b), CUBE (c), GROUPING SETS ((a), ())
----
SELECT

SELECT a FROM t ORDER BY (a), f(b)
----
SELECT opaque Function("f")

SELECT a FROM t TABLESAMPLE bernoulli (10) REPEATABLE (1)
----
SELECT

SELECT a FROM t WHERE b OPERATOR(pg_catalog.~) '^x'
----
SELECT

SELECT a FROM t WHERE b AT TIME ZONE ('UTC') > now()
----
SELECT

SELECT x.f FROM x
----
SELECT

SELECT a FROM t LIMIT (1) OFFSET (2)
----
SELECT

SELECT a FROM t JOIN u USING (id) WHERE t.b LIKE ('x')
----
SELECT

SELECT (a).b, (f(a)).b, ARRAY(SELECT 1), ROW(1, 2), VARIADIC_thing FROM t
----
SELECT opaque Function("f")

SELECT f(1), g(2)
----
SELECT opaque Function("f") | opaque Function("g")

SELECT f(1), g(2), f(3)
----
SELECT opaque Function("f") | opaque Function("g")

SELECT query_to_xml('SELECT 1', true, true, '')
----
SELECT opaque Function("query_to_xml")

SELECT ts_stat('SELECT 1')
----
SELECT opaque Function("ts_stat")

SELECT setseed(0.5)
----
SELECT opaque Function("setseed")

SELECT xmlelement(name a, xmlattributes(b as c)), xmlagg(d) FROM t
----
SELECT

SELECT a FROM t FOR UPDATE OF t SKIP LOCKED
----
SELECT

VALUES (1, 2), (3, 4)
----
VALUES

TABLE t
----
TABLE

TABLE s.t ORDER BY a
----
TABLE

(SELECT 1) UNION (SELECT 2)
----
SELECT

((SELECT 1))
----
SELECT

SELECT current_setting('a'), version(), current_database(), current_schemas(true), pg_backend_pid(), txid_current(), has_table_privilege('t', 'SELECT')
----
SELECT

SELECT st_distance(a, b) FROM t
----
SELECT opaque Function("st_distance")

SELECT count (*) FROM t
----
SELECT

SELECT f/**/(1)
----
SELECT opaque Function("f")

SELECT f -- x
----
SELECT

GIBBERISH
----
OTHER opaque Unknown

GIBBERISH (1)
----
OTHER opaque Unknown

1
----
OTHER opaque Unknown

;
----
