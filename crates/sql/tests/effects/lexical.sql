SELECT 'it''s'; BEGIN
----
SELECT
BEGIN begin

SELECT 'a\'; BEGIN
----
SELECT
BEGIN begin

# rules: backslash
SELECT 'a\'; BEGIN'; COMMIT
----
SELECT
COMMIT commit

# rules: backslash
SELECT 'a\\'; COMMIT
----
SELECT
COMMIT commit

# rules: backslash
SET a TO 'b\'c'
----
SET computed a

# rules: backslash
SET a TO 'plain'
----
SET set a = ['plain']

# rules: backslash
SELECT set_config('a', 'b\\c', false)
----
SELECT computed a

# rules: backslash
SELECT N'a\'; BEGIN'; COMMIT
----
SELECT
COMMIT commit

# rules: backslash
SELECT B'a\'; BEGIN
----
SELECT
BEGIN begin

# rules: backslash
SELECT 'a'
  'b\'; BEGIN'; COMMIT
----
SELECT
COMMIT commit

SELECT E'a\'; BEGIN'; COMMIT
----
SELECT
COMMIT commit

SELECT e'a\\'; COMMIT
----
SELECT
COMMIT commit

SELECT E'a'
  'b\'; BEGIN'; COMMIT
----
SELECT
COMMIT commit

SELECT E'a' -- the string goes on
  -- below
  'b\'; BEGIN'; COMMIT
----
SELECT
COMMIT commit

SELECT E'a' 'b\'; BEGIN
----
SELECT
BEGIN begin

SELECT E'a' /* no */
  'b\'; BEGIN
----
SELECT
BEGIN begin

SELECT E'a' - 'b\'; BEGIN
----
SELECT
BEGIN begin

SELECT E'a'
- 'b\'; BEGIN
----
SELECT
BEGIN begin

SELECT E'a''b\'c; BEGIN'; COMMIT
----
SELECT
COMMIT commit

SELECT N'a\'; BEGIN
----
SELECT
BEGIN begin

SELECT B'01', X'1F', b'1', x'f'; BEGIN
----
SELECT
BEGIN begin

SELECT U&'d\0061t\'; BEGIN
----
SELECT
BEGIN begin

SELECT U&"d\0061t"; BEGIN
----
SELECT opaque UnicodeName
BEGIN begin

SELECT U&"plain"; BEGIN
----
SELECT
BEGIN begin

SELECT u & 'x', U&1, u&x; BEGIN
----
SELECT
BEGIN begin

SELECT U&"d!0061t" UESCAPE '!'; BEGIN
----
SELECT opaque UnicodeName
BEGIN begin

SELECT re'x; BEGIN'; COMMIT
----
SELECT
COMMIT commit

SELECT $$; BEGIN$$; COMMIT
----
SELECT
COMMIT commit

SELECT $a$; $$ ; $b$ ; $a $a$; COMMIT
----
SELECT
COMMIT commit

SELECT $a$ $$a$; COMMIT
----
SELECT
COMMIT commit

SELECT $a$ $A$; BEGIN $a$; COMMIT
----
SELECT
COMMIT commit

SELECT $ä$ ; $ä$; COMMIT
----
SELECT
COMMIT commit

SELECT $a1_$ ; $a1_$; COMMIT
----
SELECT
COMMIT commit

SELECT $1; BEGIN
----
SELECT
BEGIN begin

SELECT $1$; BEGIN; SELECT $
----
SELECT
BEGIN begin
SELECT

SELECT a$$; BEGIN; SELECT b$$
----
SELECT
BEGIN begin
SELECT

SELECT $abc; BEGIN; SELECT $e'\'; ROLLBACK'; COMMIT
----
SELECT
BEGIN begin
SELECT
COMMIT commit

SELECT 1$x$; BEGIN $x$; COMMIT
----
SELECT
COMMIT commit

SELECT "a;b", "c""; BEGIN"; COMMIT
----
SELECT
COMMIT commit

SELECT "a\"; BEGIN
----
SELECT
BEGIN begin

SELECT 1 -- ; BEGIN
; COMMIT
----
SELECT
COMMIT commit

SELECT 1 --; BEGIN
----
SELECT

-- only a comment
----


/* only a comment; BEGIN */
----


/* a /* nested; BEGIN */ still; BEGIN */ COMMIT
----
COMMIT commit

/* a **/ BEGIN
----
BEGIN begin

/*/ BEGIN */ COMMIT
----
COMMIT commit

/**/ BEGIN
----
BEGIN begin

/*/**/*/ BEGIN
----
BEGIN begin

//* BEGIN */ COMMIT
----
COMMIT commit

SELECT 1 */* ; BEGIN */ 2; COMMIT
----
SELECT
COMMIT commit

SELECT 1 +-- ; BEGIN
 2; COMMIT
----
SELECT
COMMIT commit

SELECT 1 - -1, 2--1; BEGIN
; COMMIT
----
SELECT
COMMIT commit

SELECT '-- '; BEGIN
----
SELECT
BEGIN begin

SELECT '/*'; BEGIN; SELECT '*/'
----
SELECT
BEGIN begin
SELECT

SELECT "/*"; BEGIN
----
SELECT
BEGIN begin

SELECT -- '
1; BEGIN; SELECT '
'
----
SELECT
BEGIN begin
SELECT

SELECT @ -5, a @> b, c ->> 'd', e #- '{f}', g ?| h, i !~~ j, k <-> l; BEGIN
----
SELECT
BEGIN begin

SELECT a[1:2], b.c.d, e.*, (f).g, h::int[]; BEGIN
----
SELECT
BEGIN begin

SELECT a[1:f(2)] FROM t
----
SELECT opaque Function("f")

SELECT 1.5e10, .5, 1., 0x1F, 1_000, 1e-5, 1..2; BEGIN
----
SELECT
BEGIN begin

SELECT 1from t; BEGIN
----
SELECT
BEGIN begin

SELECT été, naïve, 表 FROM "日本"; BEGIN
----
SELECT
BEGIN begin

SET été TO 'à'
----
SET set été = ['à']

sElEcT 1; bEgIn; ComMit
----
SELECT
BEGIN begin
COMMIT commit

	 
 BEGIN 
; 
----
BEGIN begin

BEGIN;;;COMMIT;
----
BEGIN begin
COMMIT commit

;;
----


SELECT 'unfinished; BEGIN
----
SELECT

SELECT "unfinished; BEGIN
----
SELECT

SELECT $x$unfinished; BEGIN
----
SELECT

SELECT 1 /* unfinished; BEGIN
----
SELECT

SELECT E'unfinished\
----
SELECT

SELECT $unfinished
----
SELECT

SELECT $
----
SELECT

SELECT -
----
SELECT

SELECT /
----
SELECT

SELECT u&
----
SELECT

SELECT U&"unfinished
----
SELECT

# rules: two-byte
SELECT E'表\'; BEGIN
----
SELECT opaque Unreadable

# rules: two-byte
SELECT '表\'; BEGIN
----
SELECT
BEGIN begin

# rules: two-byte
SELECT E'a\'b'; BEGIN
----
SELECT
BEGIN begin

# rules: two-byte
BEGIN; SET a TO E'é\\'; COMMIT
----
BEGIN begin
SET opaque Unreadable

SE/**/T a TO 1
----
OTHER opaque Unknown

SET/**/a/**/TO/**/1
----
SET set a = [1]

SET--x
a--y
=--z
1
----
SET set a = [1]

BEGIN/* */;/* */COMMIT
----
BEGIN begin
COMMIT commit

SELECT nextval/* x */('s'), "nextval"('s'), pg_catalog . nextval ('s')
----
SELECT SequenceWrite

SELECT 'a'::text'b'; BEGIN
----
SELECT
BEGIN begin

set search_path to a,b,c;select set_config('x.y','z',false);
----
SET set search_path = [a,b,c]
SELECT set x.y = literal [z]

SELECT $tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt$; BEGIN $tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt$; COMMIT
----
SELECT opaque Unreadable

SELECT $tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt$; BEGIN $tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt$; COMMIT
----
SELECT
COMMIT commit

SELECT ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff(1)
----
SELECT opaque Function("fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff")

INSERT EXPLAIN f(1)
----
INSERT opaque Function("f")

SELECT "x"uescape
----
SELECT
