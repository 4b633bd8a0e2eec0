SELECT set_config('search_path', '', false)
----
SELECT set search_path = literal []

SELECT pg_catalog.set_config('search_path', '', false);
----
SELECT set search_path = literal []

select set_config('app.user', 'o''neil', false)
----
SELECT set app.user = literal [o'neil]

SELECT set_config('app.user', 'x', true)
----
SELECT set local app.user = literal [x]

SELECT set_config('app.user', 'x', false), set_config('app.role', 'y', true)
----
SELECT set app.user = literal [x] | set local app.role = literal [y]

SELECT set_config('a', 'b', false) AS done, current_setting('c') old, 1
----
SELECT set a = literal [b]

SELECT set_config('a', 'b', false) done
----
SELECT set a = literal [b]

SELECT "set_config"('a', 'b', false)
----
SELECT computed ?

SELECT set_config('A.B'::text, 'v'::text, FALSE)
----
SELECT set a.b = literal [v]

SELECT set_config('a', 'b', 'f')
----
SELECT set a = literal [b]

SELECT set_config('a', 'b', 'true')
----
SELECT set local a = literal [b]

SELECT set_config('a', $1, false)
----
SELECT computed a = $1

SELECT pg_catalog.set_config('a.b', $12::text, false) AS done
----
SELECT computed a.b = $12

SELECT set_config('a', $1 || 'x', false)
----
SELECT computed a

SELECT set_config('a', $1, $2)
----
SELECT computed a

SELECT set_config('a', $1, true)
----
SELECT computed local a

SELECT set_config($1, $2, $3)
----
SELECT computed ?

SELECT set_config('a', 'b', $1)
----
SELECT computed a

SELECT set_config('a', 'b' || 'c', false)
----
SELECT computed a

SELECT set_config('a', NULL, false)
----
SELECT computed a

SELECT set_config('a', current_user, false)
----
SELECT computed a

SELECT set_config('a', 'b', NOT true)
----
SELECT computed a

SELECT set_config('a', upper('b'), false)
----
SELECT computed a

SELECT set_config('a', E'b\n', false)
----
SELECT computed a

SELECT set_config('a', E'b', false)
----
SELECT set a = literal [b]

SELECT set_config('a', $$b'c$$, false)
----
SELECT set a = literal [b'c]

SELECT set_config('a', 'b', false) FROM t
----
SELECT computed ?

SELECT set_config('a', 'b', false) WHERE false
----
SELECT computed ?

SELECT set_config('a', 'b', false) LIMIT 0
----
SELECT computed ?

SELECT CASE WHEN x THEN set_config('a', 'b', false) END FROM t
----
SELECT computed ?

SELECT 1 WHERE set_config('a', 'b', false) = 'b'
----
SELECT computed ?

SELECT coalesce(set_config('a', 'b', false), 'x')
----
SELECT computed ?

SELECT length(set_config('a', 'b', false))
----
SELECT computed ?

SELECT set_config('a', 'b', false) UNION SELECT 'x'
----
SELECT computed ?

SELECT set_config('a', set_config('b', 'c', false), false)
----
SELECT computed a

SELECT set_config(setting_name => 'a', new_value => 'b', is_local => false)
----
SELECT computed ?

SELECT * FROM set_config('a', 'b', false)
----
SELECT computed ?

WITH x AS (SELECT set_config('a', 'b', false)) SELECT * FROM x
----
WITH computed ?

INSERT INTO t SELECT set_config('a', 'b', false)
----
INSERT computed ?

VALUES (set_config('a', 'b', false))
----
VALUES computed ?

EXPLAIN SELECT set_config('a', 'b', false)
----
EXPLAIN

EXPLAIN ANALYZE SELECT set_config('a', 'b', false)
----
EXPLAIN computed ?

EXPLAIN (ANALYZE, VERBOSE) SELECT set_config('a', 'b', false)
----
EXPLAIN computed ?

EXPLAIN (ANALYZE off) SELECT set_config('a', 'b', false)
----
EXPLAIN

EXPLAIN (COSTS off, ANALYZE) SELECT set_config('a', 'b', false)
----
EXPLAIN computed ?

EXPLAIN (SELECT set_config('a', 'b', false))
----
EXPLAIN

SELECT other.set_config('a', 'b', false)
----
SELECT opaque Function("set_config") | computed ?

SELECT set_config ( 'a' , /* why */ 'b' , -- not
----
SELECT computed a

SELECT my_set_config('a', 'b', false)
----
SELECT opaque Function("my_set_config")

SELECT set_config('role', 'bob', false)
----
SELECT set ROLE = literal [bob]

SELECT set_config('session_authorization', 'bob', false)
----
SELECT set SESSION AUTHORIZATION = literal [bob]

SELECT set_config('transaction_read_only', 'on', true)
----
SELECT computed local transaction_read_only

CREATE TABLE t AS SELECT set_config('a', 'b', false)
----
CREATE Ddl | computed ?

CREATE VIEW v AS SELECT set_config('a', 'b', false)
----
CREATE Ddl

DECLARE c CURSOR FOR SELECT set_config('a', 'b', false)
----
DECLARE computed ?

COPY (SELECT set_config('a', 'b', false)) TO STDOUT
----
COPY CopyToStdout | computed ?

PREPARE p AS SELECT set_config('a', 'b', false)
----
PREPARE prepare p at [p] as [SELECT set_config('a', 'b', false)]

SELECT 'set_config(''a'', ''b'', false)'
----
SELECT

SELECT (set_config('a', 'b', false))
----
SELECT computed ?

(SELECT set_config('a', 'b', false))
----
SELECT computed ?

SELECT set_config('a', 'b', false)::text
----
SELECT computed ?

SELECT DISTINCT set_config('a', 'b', false)
----
SELECT computed ?

SELECT set_config('a', 'b', false), nextval('s')
----
SELECT computed ? | SequenceWrite
