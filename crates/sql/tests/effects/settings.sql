SET work_mem TO '64MB'
----
SET set work_mem = ['64MB']

SET work_mem = 65536
----
SET set work_mem = [65536]

set Work_Mem to '1GB';
----
SET set work_mem = ['1GB']

SET SESSION statement_timeout = 0
----
SET set statement_timeout = [0]

SET LOCAL statement_timeout = '5s'
----
SET set local statement_timeout = ['5s']

set LOCAL   lock_timeout   TO   100
----
SET set local lock_timeout = [100]

SET search_path = "$user", public
----
SET set search_path = ["$user", public]

SET search_path TO my_schema, "Mixed ""Case""", public -- trailing
----
SET set search_path = [my_schema, "Mixed ""Case""", public]

SET search_path TO a /* first */, b
----
SET set search_path = [a /* first */, b]

SET search_path TO ''
----
SET set search_path = ['']

SET search_path TO pg_temp, public
----
SET pin temporary object | set search_path = [pg_temp, public]

SET search_path TO public, pg_temp
----
SET set search_path = [public, pg_temp]

SET search_path = 'pg_temp'
----
SET pin temporary object | set search_path = ['pg_temp']

SET SCHEMA 'audit'
----
SET set search_path = ['audit']

SET SCHEMA DEFAULT
----
SET reset search_path

SET schema TO x
----
SET set schema = [x]

SeT TimeZone='UTC'; select 1
----
SET set timezone = ['UTC']
SELECT

SET TIME ZONE 'Europe/Berlin'
----
SET set timezone = time zone ['Europe/Berlin']

SET TIME ZONE LOCAL
----
SET reset timezone

SET TIME ZONE DEFAULT
----
SET reset timezone

SET TIME ZONE -7
----
SET set timezone = time zone [-7]

SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE
----
SET set timezone = time zone [INTERVAL '-08:00' HOUR TO MINUTE]

SET LOCAL TIME ZONE 'UTC'
----
SET set local timezone = time zone ['UTC']

SET time.zone TO 1
----
SET set time.zone = [1]

SET timezone TO DEFAULT
----
SET reset timezone

SET NAMES 'utf8'
----
SET set client_encoding = ['utf8']

SET NAMES
----
SET reset client_encoding

SET NAMES DEFAULT
----
SET reset client_encoding

SET CLIENT_ENCODING TO 'LATIN1'
----
SET set client_encoding = ['LATIN1']

SET client_encoding = utf8
----
SET set client_encoding = [utf8]

SET ROLE admin
----
SET set ROLE = [admin]

SET ROLE "Admin"
----
SET set ROLE = ["Admin"]

SET ROLE 'admin'
----
SET set ROLE = ['admin']

SET ROLE NONE
----
SET set ROLE = [NONE]

SET SESSION ROLE admin
----
SET set ROLE = [admin]

SET LOCAL ROLE admin
----
SET set local ROLE = [admin]

SET role = admin
----
SET set ROLE = [admin]

SET role TO DEFAULT
----
SET reset ROLE

RESET ROLE
----
RESET reset ROLE

SET SESSION AUTHORIZATION bob
----
SET set SESSION AUTHORIZATION = [bob]

SET SESSION AUTHORIZATION 'bob'
----
SET set SESSION AUTHORIZATION = ['bob']

SET SESSION AUTHORIZATION DEFAULT
----
SET reset SESSION AUTHORIZATION

SET LOCAL SESSION AUTHORIZATION bob
----
SET set local SESSION AUTHORIZATION = [bob]

SET SESSION SESSION AUTHORIZATION bob
----
SET set SESSION AUTHORIZATION = [bob]

SET session_authorization TO bob
----
SET set SESSION AUTHORIZATION = [bob]

RESET SESSION AUTHORIZATION
----
RESET reset SESSION AUTHORIZATION

RESET session_authorization
----
RESET reset SESSION AUTHORIZATION

SET XML OPTION DOCUMENT
----
SET set xmloption = [DOCUMENT]

SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE
----
SET set default_transaction_isolation = ['serializable']

SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL READ COMMITTED, NOT DEFERRABLE
----
SET set default_transaction_isolation = ['read committed'] | set default_transaction_read_only = ['on'] | set default_transaction_deferrable = ['off']

SET CONSTRAINTS ALL DEFERRED
----
SET

SET CONSTRAINTS a, s.b IMMEDIATE
----
SET

SET app.tenant = '42'
----
SET set app.tenant = ['42']

SET app.tenant TO acme
----
SET set app.tenant = [acme]

SET "app"."Tenant" TO 'x'
----
SET set app.tenant = ['x']

SET LOCAL myapp.user.id TO 7
----
SET set local myapp.user.id = [7]

SET session.id = 5
----
SET set session.id = [5]

SET local.id = 5
----
SET set local.id = [5]

SET session TO 5
----
SET set session = [5]

SET DateStyle TO ISO, DMY
----
SET set datestyle = [ISO, DMY]

SET datestyle = 'ISO, MDY'
----
SET set datestyle = ['ISO, MDY']

SET x FROM CURRENT
----
SET computed x

SET extra_float_digits = -1
----
SET set extra_float_digits = [-1]

SET extra_float_digits = +3
----
SET set extra_float_digits = [+3]

SET geqo_seed TO 0.5
----
SET set geqo_seed = [0.5]

SET enable_seqscan TO off
----
SET set enable_seqscan = [off]

SET a TO on, off, 1.5, 'x'
----
SET set a = [on, off, 1.5, 'x']

SET a TO E'it''s'
----
SET set a = [E'it''s']

SET a TO U&'d\0061t'
----
SET set a = [U&'d\0061t']

SET a TO $$dollar$$
----
SET set a = [$$dollar$$]

SET a TO 'first'
----
SET set a = ['first']

SET a TO
----
SET computed a

SET a
----
SET computed ?

SET
----
SET computed ?

SET = 1
----
SET computed ?

SET U&"\0061" TO 1
----
SET computed ? | opaque UnicodeName

SET application_name = 'a;b'; SET b TO "c;d"
----
SET set application_name = ['a;b']
SET set b = ["c;d"]

SET a TO 'x' -- comment
----
SET set a = ['x']

  SET  a  TO  'x'  ;
----
SET set a = ['x']

SET a='1';SET b='2';SELECT 1;SET c='3'
----
SET set a = ['1']
SET set b = ['2']
SELECT
SET set c = ['3']

RESET work_mem
----
RESET reset work_mem

RESET ALL
----
RESET reset all

reset app.tenant
----
RESET reset app.tenant

RESET TIME ZONE
----
RESET reset timezone

RESET TRANSACTION ISOLATION LEVEL
----
RESET set transaction

RESET
----
RESET opaque Unknown

DISCARD ALL
----
DISCARD discard all

discard plans
----
DISCARD discard plans

DISCARD SEQUENCES
----
DISCARD discard sequences

DISCARD TEMP
----
DISCARD discard temp

DISCARD TEMPORARY
----
DISCARD discard temp

DISCARD
----
DISCARD opaque Unknown

SHOW work_mem
----
SHOW

SHOW ALL
----
SHOW

UPDATE pg_settings SET setting = 'on' WHERE name = 'jit'
----
UPDATE computed ?

UPDATE pg_catalog.pg_settings SET setting = 'on' WHERE name = 'jit'
----
UPDATE computed ?

UPDATE "pg_settings" SET setting = 'on'
----
UPDATE computed ?

SELECT * FROM pg_settings WHERE name = 'jit'
----
SELECT

ALTER ROLE bob SET work_mem = '1MB'
----
ALTER Ddl

ALTER SYSTEM SET work_mem = '1MB'
----
ALTER Ddl

ALTER DATABASE d SET search_path = x
----
ALTER Ddl

SET standard_conforming_strings = off
----
SET set standard_conforming_strings = [off]
