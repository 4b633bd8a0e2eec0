LISTEN jobs
----
LISTEN listen jobs

LISTEN "Jobs"
----
LISTEN listen Jobs

UNLISTEN jobs
----
UNLISTEN unlisten jobs

UNLISTEN *
----
UNLISTEN unlisten all

NOTIFY jobs
----
NOTIFY Notify

NOTIFY jobs, 'payload'
----
NOTIFY Notify

SELECT pg_notify('jobs', 'x')
----
SELECT Notify

LISTEN
----
LISTEN opaque Unknown

CREATE TEMP TABLE t (a int)
----
CREATE pin temporary object

CREATE TEMPORARY TABLE t (a int)
----
CREATE pin temporary object

CREATE LOCAL TEMP TABLE t (a int)
----
CREATE pin temporary object

CREATE GLOBAL TEMPORARY TABLE t (a int)
----
CREATE pin temporary object

create temp table t on commit drop as select 1
----
CREATE pin temporary object on commit drop

CREATE TEMP TABLE t (a int, "on" int) ON COMMIT DROP
----
CREATE pin temporary object on commit drop

CREATE TEMP TABLE t (a int) ON COMMIT PRESERVE ROWS
----
CREATE pin temporary object

CREATE TEMP TABLE t (a int DEFAULT 'on commit drop')
----
CREATE pin temporary object

CREATE TEMP VIEW v AS SELECT 1
----
CREATE pin temporary object

CREATE OR REPLACE TEMP VIEW v AS SELECT my_function()
----
CREATE pin temporary object

CREATE TEMP SEQUENCE s
----
CREATE pin temporary object

CREATE TEMP RECURSIVE VIEW v (a) AS SELECT 1
----
CREATE pin temporary object

CREATE TABLE pg_temp.t (a int)
----
CREATE Ddl | pin temporary object

CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'
----
CREATE Ddl | pin temporary object

CREATE TYPE pg_temp.ty AS ENUM ('a')
----
CREATE Ddl | pin temporary object

INSERT INTO pg_temp.t VALUES (1)
----
INSERT pin temporary object

INSERT INTO "pg_temp".t VALUES (1)
----
INSERT pin temporary object

SELECT * FROM PG_TEMP_3.t
----
SELECT pin temporary object

SELECT pg_temp.f()
----
SELECT pin temporary object | opaque Function("f")

SELECT 'pg_temp', pg_my_temp_schema()
----
SELECT

SELECT a INTO TEMP t FROM b
----
SELECT pin temporary object

SELECT a INTO TEMPORARY TABLE t FROM b
----
SELECT pin temporary object

SELECT a INTO LOCAL TEMP t FROM b
----
SELECT pin temporary object

SELECT a INTO t FROM b
----
SELECT Ddl

SELECT a INTO UNLOGGED t FROM b
----
SELECT Ddl

WITH x AS (SELECT 1) SELECT * INTO TEMP t FROM x
----
WITH pin temporary object

INSERT INTO temp VALUES (1)
----
INSERT

INSERT INTO local (a) VALUES (1)
----
INSERT

SELECT temp FROM t
----
SELECT

DROP TABLE t
----
DROP Ddl | unpin temporary object

DROP TABLE IF EXISTS pg_temp.t
----
DROP Ddl | unpin temporary object | pin temporary object

CREATE TABLE temp (a int)
----
CREATE Ddl

CREATE INDEX temp ON t (a)
----
CREATE Ddl

SELECT pg_advisory_lock(1)
----
SELECT pin advisory lock

SELECT pg_try_advisory_lock(1, 2)
----
SELECT pin advisory lock

SELECT pg_catalog.pg_advisory_lock_shared(1)
----
SELECT pin advisory lock

SELECT pg_try_advisory_lock_shared(1)
----
SELECT pin advisory lock

SELECT pg_advisory_xact_lock(1)
----
SELECT

SELECT pg_try_advisory_xact_lock_shared(1)
----
SELECT

SELECT pg_advisory_unlock(1)
----
SELECT unpin advisory lock

SELECT pg_advisory_unlock_all()
----
SELECT unpin advisory lock

SELECT id FROM jobs WHERE pg_try_advisory_lock(id) LIMIT 1
----
SELECT pin advisory lock

SELECT PG_ADVISORY_LOCK(1), pg_advisory_unlock(2)
----
SELECT pin advisory lock | unpin advisory lock

DECLARE c CURSOR FOR SELECT 1
----
DECLARE

DECLARE c CURSOR WITH HOLD FOR SELECT 1
----
DECLARE pin cursor with hold c

DECLARE "C" BINARY INSENSITIVE NO SCROLL CURSOR WITH HOLD FOR SELECT 1
----
DECLARE pin cursor with hold C

DECLARE c CURSOR WITHOUT HOLD FOR SELECT 1
----
DECLARE

DECLARE cursor CURSOR WITH HOLD FOR SELECT 1
----
DECLARE pin cursor with hold cursor

CLOSE c
----
CLOSE close c

CLOSE "C"
----
CLOSE close C

CLOSE ALL
----
CLOSE close all

FETCH 10 FROM c
----
FETCH

MOVE FORWARD ALL IN c
----
MOVE

LOAD 'auto_explain'
----
LOAD pin loaded library

SELECT dblink_connect('c', 'dbname=x')
----
SELECT pin dblink connection

SELECT public.dblink_connect_u('c', 'dbname=x')
----
SELECT pin dblink connection

SELECT dblink_disconnect('c')
----
SELECT unpin dblink connection

SELECT pg_replication_origin_session_setup('o')
----
SELECT pin replication origin

SELECT pg_replication_origin_session_reset()
----
SELECT unpin replication origin

SELECT pg_create_logical_replication_slot('s', 'pgoutput', true)
----
SELECT pin replication slot

SELECT * FROM pg_create_physical_replication_slot('s')
----
SELECT pin replication slot

SELECT pg_drop_replication_slot('s')
----
SELECT unpin replication slot

SELECT pg_backup_start('x')
----
SELECT pin backup

SELECT pg_start_backup('x', true, false)
----
SELECT pin backup

SELECT * FROM pg_backup_stop()
----
SELECT unpin backup

SELECT nextval('s')
----
SELECT SequenceWrite

SELECT setval('s', 10, false)
----
SELECT SequenceWrite

SELECT currval('s')
----
SELECT SequenceRead

SELECT lastval()
----
SELECT SequenceRead

INSERT INTO t VALUES (nextval('s')) RETURNING currval('s')
----
INSERT SequenceRead | SequenceWrite

SELECT nextval FROM t
----
SELECT

COPY t FROM STDIN
----
COPY CopyFromStdin

COPY t (a, b) FROM STDIN WITH (FORMAT csv)
----
COPY CopyFromStdin

COPY t TO STDOUT
----
COPY CopyToStdout

copy (select f(x) from t) to stdout
----
COPY CopyToStdout | opaque Function("f")

COPY t FROM '/tmp/x'
----
COPY

COPY t TO PROGRAM 'cat'
----
COPY

COPY t FROM stdout
----
COPY CopyFromStdin

COPY stdin FROM '/tmp/x'
----
COPY

COPY BINARY t FROM STDIN
----
COPY CopyFromStdin

COPY t (stdin) TO '/tmp/stdin'
----
COPY

CREATE TABLE t (a numeric(10, 2) DEFAULT my_function(1))
----
CREATE Ddl

CREATE TABLE t AS SELECT my_function(1)
----
CREATE Ddl | opaque Function("my_function")

CREATE MATERIALIZED VIEW m AS SELECT my_function(1)
----
CREATE Ddl | opaque Function("my_function")

CREATE INDEX i ON t (lower(a))
----
CREATE Ddl

CREATE EXTENSION dblink
----
CREATE Ddl | opaque Script

ALTER EXTENSION dblink UPDATE
----
ALTER Ddl | opaque Script

ALTER TABLE t ADD COLUMN a int DEFAULT my_function(1)
----
ALTER Ddl | opaque Function("my_function")

ALTER TABLE t ALTER a TYPE int USING my_function(a)
----
ALTER Ddl | opaque Function("my_function")

ALTER TABLE t ADD CONSTRAINT c UNIQUE (a)
----
ALTER Ddl

REFRESH MATERIALIZED VIEW m
----
REFRESH opaque Script

TRUNCATE t
----
TRUNCATE

VACUUM ANALYZE t
----
VACUUM

GRANT SELECT ON t TO bob
----
GRANT Ddl

COMMENT ON TABLE t IS 'x'
----
COMMENT Ddl

IMPORT FOREIGN SCHEMA s FROM SERVER r INTO l
----
IMPORT Ddl

CREATE USER MAPPING FOR bob SERVER r
----
CREATE Ddl
