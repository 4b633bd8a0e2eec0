PREPARE p AS SELECT 1
----
PREPARE prepare p at [p] as [SELECT 1]

PREPARE p (int, text) AS SELECT $1, $2
----
PREPARE prepare p at [p] (int, text) as [SELECT $1, $2]

prepare "My Plan"(numeric(10,2)) as insert into t values ($1)
----
PREPARE prepare My Plan at ["My Plan"] (numeric(10,2)) as [insert into t values ($1)]

PREPARE/**/p/**/AS/**/SELECT 1
----
PREPARE prepare p at [p] as [SELECT 1]

PREPARE transaction AS SELECT 1
----
PREPARE prepare transaction at [transaction] as [SELECT 1]

PREPARE transaction (int) AS SELECT $1
----
PREPARE prepare transaction at [transaction] (int) as [SELECT $1]

PREPARE TRANSACTION 'x'
----
PREPARE PrepareTransaction

PREPARE p AS DELETE FROM t; EXECUTE p
----
PREPARE prepare p at [p] as [DELETE FROM t]
EXECUTE execute p at [p]

PREPARE p
----
PREPARE opaque Unknown

PREPARE p AS
----
PREPARE opaque Unknown

PREPARE p () AS SELECT 1
----
PREPARE prepare p at [p] () as [SELECT 1]

EXECUTE p
----
EXECUTE execute p at [p]

EXECUTE p(1, 'x')
----
EXECUTE execute p at [p] (?, literal [x])

EXECUTE p($2, array[1, 2], 'it''s'::text, f(1, 'a'), 'a' || 'b', null, $$x$$)
----
EXECUTE execute p at [p] (?, ?, literal [it's], ?, ?, ?, literal [x]) | opaque Function("f")

execute "My Plan" (now())
----
EXECUTE execute My Plan at ["My Plan"] (?)

EXECUTE p(nextval('s'))
----
EXECUTE execute p at [p] (?) | SequenceWrite

EXECUTE p(my_function(1))
----
EXECUTE execute p at [p] (?) | opaque Function("my_function")

EXPLAIN EXECUTE p
----
EXPLAIN plan execute p at [p]

EXPLAIN ANALYZE EXECUTE p(1)
----
EXPLAIN execute p at [p] (?)

EXPLAIN (ANALYZE false) EXECUTE p
----
EXPLAIN plan execute p at [p]

EXPLAIN (ANALYZE) EXECUTE "P q"(1)
----
EXPLAIN execute P q at ["P q"] (?)

EXPLAIN VERBOSE EXECUTE p
----
EXPLAIN plan execute p at [p]

EXPLAIN ANALYZE VERBOSE EXECUTE p
----
EXPLAIN execute p at [p]

EXPLAIN (FORMAT json, ANALYZE true) EXECUTE p
----
EXPLAIN execute p at [p]

CREATE TABLE t AS EXECUTE p(1)
----
CREATE Ddl | execute p at [p] (?)

CREATE TEMP TABLE t AS EXECUTE p(1)
----
CREATE execute p at [p] (?) | pin temporary object

CREATE TEMPORARY TABLE IF NOT EXISTS t (a, b) ON COMMIT DROP AS EXECUTE p
----
CREATE execute p at [p] | pin temporary object on commit drop

CREATE UNLOGGED TABLE s.t WITH (fillfactor = 50) AS EXECUTE p(1) WITH NO DATA
----
CREATE Ddl | execute p at [p] (?)

EXPLAIN CREATE TABLE t AS EXECUTE p
----
EXPLAIN plan execute p at [p]

EXPLAIN ANALYZE CREATE TABLE t AS EXECUTE p
----
EXPLAIN Ddl | execute p at [p]

DEALLOCATE p
----
DEALLOCATE deallocate p at [p]

DEALLOCATE PREPARE p
----
DEALLOCATE deallocate p at [p]

DEALLOCATE "P"
----
DEALLOCATE deallocate P at ["P"]

DEALLOCATE ALL
----
DEALLOCATE deallocate all

DEALLOCATE PREPARE ALL
----
DEALLOCATE deallocate all

DEALLOCATE "all"
----
DEALLOCATE deallocate all at ["all"]

DEALLOCATE prepare
----
DEALLOCATE deallocate prepare at [prepare]

DEALLOCATE
----
DEALLOCATE opaque Unknown

EXECUTE U&"p\0061"
----
EXECUTE opaque Unknown | opaque UnicodeName

PREPARE p AS SELECT set_config('a', $1, false), my_function()
----
PREPARE prepare p at [p] as [SELECT set_config('a', $1, false), my_function()]

EXECUTE Ünïcode
----
EXECUTE execute Ünïcode at [Ünïcode]

PREPARE p AS SELECT * FROM pg_temp.t
----
PREPARE prepare p at [p] as [SELECT * FROM pg_temp.t] | pin temporary object
