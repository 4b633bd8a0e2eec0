BEGIN
----
BEGIN begin

begin;
----
BEGIN begin

BEGIN WORK
----
BEGIN begin

BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE
----
BEGIN begin serializable read only deferrable

BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE NOT DEFERRABLE
----
BEGIN begin repeatable read read write not deferrable

begin transaction isolation level read committed
----
BEGIN begin read committed

START TRANSACTION
----
START begin

start transaction read only
----
START begin read only

START TRANSACTION ISOLATION LEVEL READ UNCOMMITTED
----
START begin read uncommitted

START /* now */ TRANSACTION -- really
----
START begin

COMMIT
----
COMMIT commit

COMMIT WORK
----
COMMIT commit

COMMIT TRANSACTION AND CHAIN
----
COMMIT commit and chain

COMMIT AND NO CHAIN
----
COMMIT commit

END
----
END commit

END TRANSACTION;
----
END commit

ROLLBACK
----
ROLLBACK rollback

rollback work and chain
----
ROLLBACK rollback and chain

ABORT
----
ABORT rollback

ABORT AND NO CHAIN
----
ABORT rollback

ROLLBACK TO SAVEPOINT a
----
ROLLBACK rollback to a

ROLLBACK WORK TO a
----
ROLLBACK rollback to a

ROLLBACK TRANSACTION TO SAVEPOINT "A b"
----
ROLLBACK rollback to A b

ROLLBACK TO savepoint
----
ROLLBACK rollback to savepoint

SAVEPOINT s1
----
SAVEPOINT savepoint s1

SAVEPOINT "S""1"
----
SAVEPOINT savepoint S"1

savepoint MySavepoint
----
SAVEPOINT savepoint mysavepoint

RELEASE s1
----
RELEASE release s1

RELEASE SAVEPOINT s1
----
RELEASE release s1

RELEASE savepoint
----
RELEASE release savepoint

SAVEPOINT a_name_that_is_longer_than_postgresql_keeps_and_so_it_is_cut_short
----
SAVEPOINT savepoint a_name_that_is_longer_than_postgresql_keeps_and_so_it_is_cut_sh

PREPARE TRANSACTION 'gid'
----
PREPARE PrepareTransaction

COMMIT PREPARED 'gid'
----
COMMIT CommitPrepared

ROLLBACK PREPARED 'gid'
----
ROLLBACK RollbackPrepared

BEGIN; SELECT 1; COMMIT
----
BEGIN begin
SELECT
COMMIT commit

BEGIN; SAVEPOINT a; ROLLBACK TO a; RELEASE a; END;
----
BEGIN begin
SAVEPOINT savepoint a
ROLLBACK rollback to a
RELEASE release a
END commit

SET TRANSACTION ISOLATION LEVEL SERIALIZABLE
----
SET set transaction serializable

SET TRANSACTION READ ONLY, DEFERRABLE
----
SET set transaction read only deferrable

SET LOCAL TRANSACTION READ WRITE
----
SET set transaction read write

SET TRANSACTION SNAPSHOT '00000003-0000001B-1'
----
SET set transaction

SET transaction_isolation TO 'repeatable read'
----
SET set transaction repeatable read

SET LOCAL transaction_read_only = on
----
SET set transaction read only

SET transaction_read_only TO DEFAULT
----
SET set transaction

RESET transaction_deferrable
----
RESET set transaction

LOCK TABLE t IN ACCESS EXCLUSIVE MODE
----
LOCK

SAVEPOINT U&"s\0031"
----
SAVEPOINT opaque Unknown | opaque UnicodeName

BEGIN READ ONLY WITH SOMETHING NEW
----
BEGIN begin read only

START WORK
----
START opaque Unknown
