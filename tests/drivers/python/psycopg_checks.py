"""psycopg 3 with its default settings, behind a pooler in transaction mode with a few servers.

Where to connect comes from the environment, as libpq reads it.
"""

import asyncio
import datetime
import decimal
import ipaddress
import threading
import time
import uuid
from contextlib import contextmanager

import psycopg
from psycopg import errors, sql
from psycopg.types.json import Jsonb
from psycopg.types.range import Range

from checks import check, expect, run

#: Nothing here takes long; a pooler that does not answer must not hang the tests.
PATIENCE_SECONDS = 20


def connect(**options):
    return psycopg.connect("", connect_timeout=PATIENCE_SECONDS, **options)


def server_of(connection):
    return connection.execute("SELECT pg_backend_pid()").fetchone()[0]


@contextmanager
def elsewhere(connection):
    """Holds the server that the connection used last, so that it gets another one."""
    before = server_of(connection)
    holders = []
    try:
        # Whoever gets another one keeps that until the server is found.
        while not holders or server_of(holders[-1]) != before:
            expect(len(holders) < 3, True)
            holders.append(connect())
        for holder in holders[:-1]:
            holder.rollback()
        if server_of(connection) == before:
            raise AssertionError("the connection keeps its server")
        yield
    finally:
        for holder in holders:
            holder.rollback()
            holder.close()


@check
def logs_in():
    """logs in with a password, and sees the parameters of the server"""
    with connect() as connection:
        expect(connection.pgconn.used_password, True)
        expect(connection.info.parameter_status("server_encoding"), "UTF8")
        expect(connection.execute("SELECT current_user").fetchone()[0], connection.info.user)
        if connection.info.server_version < 100000:
            raise AssertionError(connection.info.server_version)


VALUES = [
    ("bool", True),
    ("int2", -7),
    ("int4", 2**31 - 1),
    ("int8", -(2**63)),
    ("numeric", decimal.Decimal("-12345678901234567890.000000012")),
    ("float8", 1.5e300),
    ("text", "naïve 'quotes' \\ and 漢字"),
    ("bytea", bytes(range(256))),
    ("date", datetime.date(1999, 12, 31)),
    ("time", datetime.time(23, 59, 59, 999999)),
    ("timestamp", datetime.datetime(2020, 2, 29, 12, 30)),
    ("timestamptz", datetime.datetime(2020, 2, 29, 12, 30, tzinfo=datetime.timezone.utc)),
    ("interval", datetime.timedelta(days=3, seconds=5)),
    ("uuid", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    ("jsonb", {"a": [1, None, "x"]}),
    ("inet", ipaddress.ip_interface("10.1.2.3/8")),
    ("int4[]", [1, None, 3]),
    ("text[]", ["a", "b,c", '"']),
    ("int4range", Range(1, 10)),
    ("text", None),
]


@check
def carries_types():
    """carries values of many types, as text and as binary"""
    with connect() as connection:
        for binary in (False, True):
            for name, value in VALUES:
                given = Jsonb(value) if name == "jsonb" else value
                query = sql.SQL("SELECT {}::" + name).format(sql.Placeholder())
                for _ in range(2):
                    cursor = connection.execute(query, [given], binary=binary)
                    expect(cursor.fetchone()[0], value)


@check
def carries_long_values():
    """carries values of a megabyte both ways"""
    long = "0123456789abcdef" * 65536
    with connect() as connection:
        expect(connection.execute("SELECT %s::text", [long]).fetchone()[0], long)
        seen = connection.execute("SELECT length(%s::bytea)", [long.encode()]).fetchone()[0]
        expect(seen, len(long))


@check
def prepares_by_itself():
    """statements that it prepares after five runs work on every server"""
    with connect(autocommit=True) as connection:
        query = "SELECT %s::int + 1, %s::text"
        for number in range(8):
            expect(connection.execute(query, (number, "a")).fetchone(), (number + 1, "a"))
        prepared = connection.execute("SELECT %s::int * 2", [1], prepare=True)
        expect(prepared.fetchone(), (2,))
        for _ in range(3):
            with elsewhere(connection):
                for number in range(8):
                    expect(connection.execute(query, (number, "b")).fetchone(), (number + 1, "b"))
                seen = connection.execute("SELECT %s::int * 2", [21], prepare=True).fetchone()
                expect(seen, (42,))


@check
def sees_changed_tables():
    """statements that it has prepared show the columns of a table that another has changed, in and out of transactions"""
    with connect(autocommit=True) as one, connect(autocommit=True) as other:
        one.execute("CREATE TABLE psycopg_changes AS SELECT 1 AS a")
        query = "SELECT * FROM psycopg_changes"
        for columns in range(1, 5):
            for _ in range(2):
                expect(len(one.execute(query, prepare=True).fetchone()), columns)
            other.execute(f"ALTER TABLE psycopg_changes ADD c{columns} int")
            with one.transaction(), elsewhere(other):
                expect(len(one.execute(query, prepare=True).fetchone()), columns + 1)
        with elsewhere(one):
            expect(len(one.execute(query, prepare=True).fetchone()), 5)
        one.execute("DROP TABLE psycopg_changes")


@check
def evicts_prepared():
    """statements beyond prepared_max are given up and prepared again, on whichever server"""
    with connect(autocommit=True) as connection:
        connection.prepared_max = 2
        for turn in range(3):
            with elsewhere(connection):
                for number in range(6):
                    query = f"SELECT %s::int + {number}"
                    seen = connection.execute(query, [turn], prepare=True).fetchone()
                    expect(seen, (turn + number,))
        with connection.transaction():
            for number in range(6):
                query = f"SELECT %s::int - {number}"
                expect(connection.execute(query, [10], prepare=True).fetchone(), (10 - number,))
        with connection.pipeline():
            cursors = [
                connection.execute(f"SELECT %s::int * {number}", [3], prepare=True)
                for number in range(6)
            ]
            expect([cursor.fetchone()[0] for cursor in cursors], [0, 3, 6, 9, 12, 15])


@check
def evicts_only_its_own():
    """a statement that one connection gives up stays usable for the others"""
    with connect(autocommit=True) as one, connect(autocommit=True) as two:
        one.prepared_max = 1
        for _ in range(4):
            for query in ("SELECT %s::int + 100", "SELECT %s::int + 200"):
                expect(one.execute(query, [1], prepare=True).fetchone()[0] % 100, 1)
                expect(two.execute(query, [2], prepare=True).fetchone()[0] % 100, 2)


@check
def deallocates_all():
    """DEALLOCATE ALL and DISCARD ALL empty its cache, and it prepares again"""
    with connect(autocommit=True) as connection, connect(autocommit=True) as other:
        for command in ("DEALLOCATE ALL", "DISCARD ALL"):
            for client in (connection, other):
                expect(client.execute("SELECT %s::int", [5], prepare=True).fetchone(), (5,))
            connection.execute(command)
            for client in (connection, other):
                expect(client.execute("SELECT %s::int", [6], prepare=True).fetchone(), (6,))


@check
def deallocates_by_name():
    """DEALLOCATE as SQL gives up what the protocol prepared, and unknown names are refused"""
    with connect(autocommit=True) as connection:
        raw = connection.pgconn
        raw.prepare(b"mine", b"SELECT $1::int + 1")
        for _ in range(2):
            with elsewhere(connection):
                expect(raw.exec_prepared(b"mine", [b"1"]).get_value(0, 0), b"2")
        with elsewhere(connection):
            expect(connection.execute("DEALLOCATE mine").statusmessage, "DEALLOCATE")
        seen = raw.exec_prepared(b"mine", [b"1"])
        expect(seen.error_field(psycopg.pq.DiagnosticField.SQLSTATE), b"26000")
        raw.prepare(b"mine", b"SELECT $1::int + 10")
        expect(raw.exec_prepared(b"mine", [b"1"]).get_value(0, 0), b"11")
        expect(connection.execute("DEALLOCATE PREPARE mine").statusmessage, "DEALLOCATE")
        try:
            connection.execute("DEALLOCATE mine")
            raise AssertionError("a name that is gone was accepted")
        except errors.InvalidSqlStatementName:
            pass
        raw.prepare(b"kept", b"SELECT 7")
        try:
            connection.execute("SELECT 1/0; DEALLOCATE kept")
            raise AssertionError("a division by zero was accepted")
        except errors.DivisionByZero:
            pass
        expect(raw.exec_prepared(b"kept", []).get_value(0, 0), b"7")
        with connection.pipeline():
            connection.execute("DEALLOCATE kept")
        seen = raw.exec_prepared(b"kept", [])
        expect(seen.error_field(psycopg.pq.DiagnosticField.SQLSTATE), b"26000")


@check
def executes_by_name():
    """EXECUTE as SQL runs what the protocol prepared"""
    with connect(autocommit=True) as connection:
        connection.pgconn.prepare(b"sum", b"SELECT $1::int + $2::int")
        for _ in range(2):
            with elsewhere(connection):
                expect(connection.execute("EXECUTE sum(40, 2)").fetchone(), (42,))
        connection.execute("CREATE TABLE IF NOT EXISTS execute_me (i int)")
        connection.pgconn.prepare(b"gone", b"SELECT i FROM execute_me")
        with connect(autocommit=True) as other:
            # psycopg gives up all statements of a connection that drops something.
            other.execute("DROP TABLE execute_me")
        with elsewhere(connection):
            try:
                connection.execute("EXECUTE gone")
                raise AssertionError("a table that is gone was read")
            except errors.UndefinedTable:
                pass
        expect(connection.execute("EXECUTE sum(1, 2)").fetchone(), (3,))


@check
def prepares_by_sql():
    """PREPARE, EXECUTE and DEALLOCATE as SQL"""
    with connect(autocommit=True) as connection:
        connection.execute("PREPARE by_sql (int) AS SELECT $1 + 1")
        expect(connection.execute("EXECUTE by_sql(1)").fetchone(), (2,))
        connection.execute("DEALLOCATE by_sql")
        try:
            connection.execute("EXECUTE by_sql(1)")
            raise AssertionError("a statement that is gone was run")
        except errors.InvalidSqlStatementName:
            pass


@check
def runs_many_results():
    """several statements in one text, with a result each"""
    with connect() as connection:
        cursor = connection.execute("SELECT 1; SELECT 2, 3; SELECT generate_series(1, 3)")
        expect(cursor.fetchall(), [(1,)])
        cursor.nextset()
        expect(cursor.fetchall(), [(2, 3)])
        cursor.nextset()
        expect(cursor.fetchall(), [(1,), (2,), (3,)])


@check
def keeps_transactions():
    """transactions, rollback, savepoints and isolation levels"""
    with connect() as connection:
        connection.execute("DROP TABLE IF EXISTS tx_psycopg")
        connection.execute("CREATE TABLE tx_psycopg (i int PRIMARY KEY)")
        connection.commit()
        connection.execute("INSERT INTO tx_psycopg VALUES (1)")
        connection.rollback()
        with connection.transaction():
            connection.execute("INSERT INTO tx_psycopg VALUES (2)")
            try:
                with connection.transaction():
                    connection.execute("INSERT INTO tx_psycopg VALUES (3)")
                    connection.execute("INSERT INTO tx_psycopg VALUES (2)")
            except errors.UniqueViolation:
                pass
            with connection.transaction("named"):
                connection.execute("INSERT INTO tx_psycopg VALUES (4)")
            with connection.transaction(force_rollback=True):
                connection.execute("INSERT INTO tx_psycopg VALUES (5)")
        seen = connection.execute("SELECT array_agg(i ORDER BY i) FROM tx_psycopg").fetchone()[0]
        expect(seen, [2, 4])
        connection.rollback()
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        connection.read_only = True
        expect(connection.execute("SHOW transaction_isolation").fetchone()[0], "serializable")
        try:
            connection.execute("INSERT INTO tx_psycopg VALUES (6)")
            raise AssertionError("a read-only transaction wrote")
        except errors.ReadOnlySqlTransaction:
            connection.rollback()


@check
def recovers_from_errors():
    """after an error the connection goes on, inside a transaction after its rollback"""
    with connect(autocommit=True) as connection:
        for query in ("SELEC 1", "SELECT * FROM nowhere", "SELECT 1/0", "SELECT 'x'::int"):
            for prepare in (False, True):
                try:
                    connection.execute(query, prepare=prepare)
                    raise AssertionError(f"{query} was accepted")
                except psycopg.Error as error:
                    if not error.sqlstate:
                        raise
                expect(connection.execute("SELECT %s::int", [1]).fetchone(), (1,))
        try:
            connection.execute("SELECT %s, 1 FROM nowhere", ["x"])
        except errors.UndefinedTable as error:
            expect(error.diag.statement_position, "19")
    with connect() as connection:
        try:
            connection.execute("SELECT 1/%s", [0])
        except errors.DivisionByZero:
            pass
        try:
            connection.execute("SELECT 1")
            raise AssertionError("a failed transaction went on")
        except errors.InFailedSqlTransaction:
            connection.rollback()
        expect(connection.execute("SELECT 1").fetchone(), (1,))


@check
def reads_server_side_cursors():
    """server-side cursors: batches, scrolling, and with hold after the transaction"""
    with connect() as connection:
        with connection.cursor("rows") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT generate_series(1, %s)", [1050])
            expect(sum(row[0] for row in cursor), 1050 * 1051 // 2)
        with connection.cursor("back", scrollable=True) as cursor:
            cursor.execute("SELECT generate_series(1, 100)")
            cursor.scroll(50)
            expect(cursor.fetchone(), (51,))
            cursor.scroll(-10)
            expect(cursor.fetchone(), (42,))
        with connection.cursor("held", withhold=True) as cursor:
            cursor.execute("SELECT generate_series(1, 10)")
            connection.commit()
            expect(len(cursor.fetchall()), 10)
            connection.commit()


@check
def streams_rows():
    """rows one by one"""
    with connect() as connection:
        rows = connection.cursor().stream("SELECT generate_series(1, %s)", [5000])
        expect(sum(row[0] for row in rows), 5000 * 5001 // 2)


@check
def pipelines():
    """a pipeline, with a sync in between, an error, and life after it"""
    with connect(autocommit=True) as connection:
        for _ in range(2):
            with elsewhere(connection), connection.pipeline() as pipeline:
                cursors = [
                    connection.execute("SELECT %s::int", [number]) for number in range(100)
                ]
                pipeline.sync()
                expect([cursor.fetchone()[0] for cursor in cursors], list(range(100)))
        try:
            with connection.pipeline():
                connection.execute("SELECT 1", prepare=True)
                connection.execute("SELECT 1/%s", [0], prepare=True)
                connection.execute("SELECT 2 AS never", prepare=True)
            raise AssertionError("an error in a pipeline was lost")
        except errors.DivisionByZero:
            pass
        for _ in range(2):
            with elsewhere(connection):
                seen = connection.execute("SELECT 2 AS never", prepare=True).fetchone()
                expect(seen, (2,))
        with connection.pipeline():
            with connection.transaction():
                one = connection.execute("SELECT 1")
                with connection.transaction():
                    two = connection.execute("SELECT 2")
        expect((one.fetchone(), two.fetchone()), ((1,), (2,)))


@check
def executes_many():
    """executemany, with what it returns"""
    with connect() as connection:
        connection.execute("DROP TABLE IF EXISTS many_psycopg")
        connection.execute("CREATE TABLE many_psycopg (i int, t text)")
        with connection.cursor() as cursor:
            rows = [(number, f"row {number}") for number in range(500)]
            cursor.executemany("INSERT INTO many_psycopg VALUES (%s, %s)", rows)
            expect(cursor.rowcount, 500)
            cursor.executemany(
                "INSERT INTO many_psycopg VALUES (%s, 'x') RETURNING i", [(1,), (2,)],
                returning=True,
            )
            expect(cursor.fetchone(), (1,))
            cursor.nextset()
            expect(cursor.fetchone(), (2,))
        seen = connection.execute("SELECT count(*) FROM many_psycopg").fetchone()
        expect(seen, (502,))


@check
def copies():
    """COPY in and out, as text and as binary, and one that is given up"""
    with connect() as connection:
        connection.execute("DROP TABLE IF EXISTS copy_psycopg")
        connection.execute("CREATE TABLE copy_psycopg (i int4, t text)")
        connection.commit()
        with connection.cursor() as cursor:
            with cursor.copy("COPY copy_psycopg FROM STDIN") as copy:
                for number in range(20000):
                    copy.write_row((number, f"row\t{number}"))
            with cursor.copy("COPY copy_psycopg FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(["int4", "text"])
                for number in range(1000):
                    copy.write_row((-number, None))
            with cursor.copy("COPY copy_psycopg TO STDOUT") as copy:
                expect(sum(1 for _ in copy.rows()), 21000)
            query = "COPY (SELECT i FROM copy_psycopg WHERE i < %s) TO STDOUT (FORMAT binary)"
            with cursor.copy(query, [0]) as copy:
                copy.set_types(["int4"])
                expect(sum(row[0] for row in copy.rows()), -999 * 500)
        connection.commit()
        try:
            with connection.cursor().copy("COPY copy_psycopg FROM STDIN") as copy:
                copy.write_row((1, "never"))
                raise KeyError("the program has changed its mind")
        except KeyError:
            connection.rollback()
        try:
            with connection.cursor().copy("COPY copy_psycopg FROM STDIN") as copy:
                copy.write("not a number\tx\n")
            raise AssertionError("nonsense was copied")
        except errors.InvalidTextRepresentation:
            connection.rollback()
        expect(connection.execute("SELECT count(*) FROM copy_psycopg").fetchone(), (21000,))


@check
def commits_in_two_phases():
    """two-phase commit, and the list of what is prepared"""
    with connect(autocommit=True) as setup:
        setup.execute("DROP TABLE IF EXISTS two_psycopg")
        setup.execute("CREATE TABLE two_psycopg (i int)")
    with connect() as connection:
        for number, end in ((1, connection.tpc_commit), (2, connection.tpc_rollback)):
            xid = connection.xid(1, f"two-phase-{number}", "psycopg")
            connection.tpc_begin(xid)
            connection.execute("INSERT INTO two_psycopg VALUES (%s)", [number])
            connection.tpc_prepare()
            with connect() as other:
                expect([x.gtrid for x in other.tpc_recover()], [f"two-phase-{number}"])
            end()
        expect(connection.execute("SELECT * FROM two_psycopg").fetchall(), [(1,)])


@check
def follows_settings():
    """settings follow the connection to other servers, and end with their transaction"""
    with connect(autocommit=True) as connection, connect(autocommit=True) as other:
        before = other.execute("SHOW TimeZone").fetchone()
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        connection.execute("SET application_name = 'follows'")
        connection.execute("SELECT set_config('app.tenant', 'seven', false)")
        for _ in range(3):
            with elsewhere(connection):
                expect(connection.execute("SHOW TimeZone").fetchone(), ("Asia/Tokyo",))
                expect(connection.info.parameter_status("application_name"), "follows")
                seen = connection.execute("SELECT current_setting('app.tenant')").fetchone()
                expect(seen, ("seven",))
                expect(other.execute("SHOW TimeZone").fetchone(), before)
        with connection.transaction(force_rollback=True):
            connection.execute("SET TimeZone = 'UTC'")
        expect(connection.execute("SHOW TimeZone").fetchone(), ("Asia/Tokyo",))
        connection.execute("SET client_encoding = 'LATIN1'")
        with elsewhere(connection):
            expect(connection.info.encoding, "iso8859-1")
            expect(connection.execute("SELECT 'é', %s::text", ["ü"]).fetchone(), ("é", "ü"))


@check
def hears_notifications():
    """LISTEN and NOTIFY, from others and from itself"""
    with connect(autocommit=True) as listener, connect(autocommit=True) as speaker:
        listener.execute("LISTEN psycopg_channel")
        for _ in range(2):
            with elsewhere(speaker):
                speaker.execute("SELECT pg_notify('psycopg_channel', %s)", ["from afar"])
        listener.execute("NOTIFY psycopg_channel, 'my own'")
        heard = list(listener.notifies(timeout=PATIENCE_SECONDS, stop_after=3))
        expect([n.payload for n in heard], ["from afar", "from afar", "my own"])
        other, own = speaker.info.backend_pid, listener.info.backend_pid
        expect([n.pid for n in heard], [other, other, own])
        listener.execute("UNLISTEN *")
        speaker.execute("NOTIFY psycopg_channel")
        expect(list(listener.notifies(timeout=0.3)), [])


@check
def cancels():
    """a statement is cancelled, and the connection goes on"""
    with connect(autocommit=True) as connection:
        for cancel in (connection.cancel, connection.cancel_safe):
            timer = threading.Timer(0.3, cancel)
            timer.start()
            begin = time.monotonic()
            try:
                connection.execute("SELECT pg_sleep(60)")
                raise AssertionError("nothing was cancelled")
            except errors.QueryCanceled as error:
                expect(error.diag.message_primary, "canceling statement due to user request")
            if time.monotonic() - begin > PATIENCE_SECONDS:
                raise AssertionError("the cancel came late")
            timer.join()
            expect(connection.execute("SELECT 1").fetchone(), (1,))


@check
def passes_notices():
    """notices of the server"""
    with connect(autocommit=True) as connection:
        notices = []
        connection.add_notice_handler(lambda diag: notices.append(diag.message_primary))
        connection.execute("DROP TABLE IF EXISTS never_there")
        connection.execute("DO $$ BEGIN RAISE NOTICE 'hello %', 7; END $$")
        expect(notices, ['table "never_there" does not exist, skipping', "hello 7"])


@check
def keeps_temporary_tables():
    """a temporary table stays with its connection, and is nobody else's"""
    with connect(autocommit=True) as connection, connect(autocommit=True) as other:
        connection.execute("CREATE TEMPORARY TABLE mine (i int)")
        connection.execute("INSERT INTO mine VALUES (1)")
        for _ in range(5):
            try:
                other.execute("SELECT * FROM mine")
                raise AssertionError("the table of another connection was read")
            except errors.UndefinedTable:
                pass
            expect(connection.execute("SELECT * FROM mine").fetchall(), [(1,)])


@check
def serves_a_crowd():
    """twelve threads with their own connections on the few servers"""
    problems, servers = [], []

    def work(seed):
        try:
            with connect(autocommit=True) as connection:
                connection.prepared_max = 3
                for number in range(40):
                    query = f"SELECT %s::int + {number % 5}, pg_backend_pid()"
                    seen, server = connection.execute(query, [seed], prepare=True).fetchone()
                    expect(seen, seed + number % 5)
                    servers.append((seed, server))
                    if number % 4 == 0:
                        with connection.transaction():
                            connection.execute("SELECT set_config('app.seed', %s, true)", [str(seed)])
                            row = connection.execute("SELECT current_setting('app.seed')")
                            expect(row.fetchone(), (str(seed),))
        except Exception as error:  # noqa: BLE001, told by the main thread
            problems.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    if len(set(servers)) <= 12:
        raise AssertionError("every connection kept its server")


@check
def serves_async():
    """asyncio connections, in parallel"""

    async def work(seed):
        async with await psycopg.AsyncConnection.connect("", autocommit=True) as connection:
            for number in range(30):
                query = f"SELECT %s::int * {number % 3}"
                cursor = await connection.execute(query, [seed], prepare=True)
                expect((await cursor.fetchone())[0], seed * (number % 3))
                async with connection.pipeline():
                    cursors = [await connection.execute("SELECT %s::int", [n]) for n in range(5)]
                    expect([(await c.fetchone())[0] for c in cursors], list(range(5)))

    async def crowd():
        await asyncio.gather(*(work(seed) for seed in range(8)))

    asyncio.run(asyncio.wait_for(crowd(), PATIENCE_SECONDS))


if __name__ == "__main__":
    run(f"psycopg {psycopg.__version__}, {psycopg.pq.__impl__}, libpq {psycopg.pq.version()}")
