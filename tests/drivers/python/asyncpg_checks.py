"""asyncpg with its default settings, behind a pooler in transaction mode with a few servers.

Where to connect comes from the environment, as libpq reads it.
"""

import asyncio
import datetime
import decimal
import sys
import uuid
from contextlib import asynccontextmanager

import asyncpg

from checks import CHECKS, check, expect, failed, passed

#: Nothing here takes long; a pooler that does not answer must not hang the tests.
PATIENCE_SECONDS = 20


@asynccontextmanager
async def connected(**options):
    connection = await asyncpg.connect(timeout=PATIENCE_SECONDS, **options)
    try:
        yield connection
    finally:
        await connection.close(timeout=PATIENCE_SECONDS)


async def server_of(connection):
    return await connection.fetchval("SELECT pg_backend_pid()")


@asynccontextmanager
async def elsewhere(connection):
    """Holds the server that the connection used last, so that it gets another one."""
    before = await server_of(connection)
    holders = []
    try:
        # Whoever gets another one keeps that until the server is found.
        while not holders or await server_of(holders[-1]) != before:
            expect(len(holders) < 3, True)
            holder = await asyncpg.connect(timeout=PATIENCE_SECONDS)
            holders.append(holder)
            await holder.execute("BEGIN")
        for holder in holders[:-1]:
            await holder.execute("ROLLBACK")
        if await server_of(connection) == before:
            raise AssertionError("the connection keeps its server")
        yield
    finally:
        for holder in holders:
            await holder.execute("ROLLBACK")
            await holder.close()


async def refused(error, awaitable):
    """Waits for the awaitable to fail with this error."""
    try:
        await awaitable
    except error as seen:
        return seen
    raise AssertionError(f"{error.__name__} did not come")


@check
async def logs_in():
    """logs in with a password, and sees the parameters of the server"""
    async with connected() as connection:
        expect(connection.get_settings().server_encoding, "UTF8")
        if connection.get_server_version().major < 10:
            raise AssertionError(connection.get_server_version())


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
    ("timestamptz", datetime.datetime(2020, 2, 29, 12, 30, tzinfo=datetime.timezone.utc)),
    ("interval", datetime.timedelta(days=3, seconds=5)),
    ("uuid", uuid.UUID("12345678-1234-5678-1234-567812345678")),
    ("jsonb", '{"a": [1, null]}'),
    ("int4[]", [1, None, 3]),
    ("int4range", asyncpg.Range(1, 10)),
    ("point", asyncpg.Point(1.5, -2.5)),
    ("text", None),
]


@check
async def carries_types():
    """carries values of many types, on every server"""
    async with connected() as connection:
        for _ in range(2):
            async with elsewhere(connection):
                for name, value in VALUES:
                    expect(await connection.fetchval(f"SELECT $1::{name}", value), value)
        long = "0123456789abcdef" * 65536
        expect(await connection.fetchval("SELECT $1::text", long), long)


@check
async def looks_up_types():
    """types that it must look up in the catalog: enums, composites, domains, ranges of them"""
    async with connected() as connection:
        await connection.execute("""
            DROP TYPE IF EXISTS pair_asyncpg CASCADE;
            DROP TYPE IF EXISTS mood_asyncpg CASCADE;
            DROP DOMAIN IF EXISTS small_asyncpg CASCADE;
            CREATE TYPE mood_asyncpg AS ENUM ('sad', 'happy');
            CREATE DOMAIN small_asyncpg AS int CHECK (VALUE < 10);
            CREATE TYPE pair_asyncpg AS (mood mood_asyncpg, small small_asyncpg, many int[]);
        """)
    for _ in range(2):
        async with connected() as connection, elsewhere(connection):
            seen = await connection.fetchval("SELECT ('happy', 3, '{1,2}')::pair_asyncpg")
            expect(tuple(seen), ("happy", 3, [1, 2]))
            given = [("sad", 1, [7]), ("happy", 2, None)]
            seen = await connection.fetchval("SELECT $1::pair_asyncpg[]", given)
            expect([tuple(pair) for pair in seen], given)
            expect(await connection.fetchval("SELECT $1::mood_asyncpg", "sad"), "sad")
            await connection.set_type_codec(
                "mood_asyncpg", encoder=str.lower, decoder=str.upper, format="text"
            )
            expect(await connection.fetchval("SELECT $1::mood_asyncpg", "SAD"), "SAD")


@check
async def prepares():
    """prepared statements, its own and those of its cache, work on every server"""
    async with connected() as connection:
        statement = await connection.prepare("SELECT $1::int + 1, $2::text AS name")
        expect([kind.name for kind in statement.get_parameters()], ["int4", "text"])
        expect([column.name for column in statement.get_attributes()], ["?column?", "name"])
        for _ in range(3):
            async with elsewhere(connection):
                for number in range(5):
                    seen = tuple(await statement.fetchrow(number, "a"))
                    expect(seen, (number + 1, "a"))
                    expect(await connection.fetchval("SELECT $1::int * 3", number), number * 3)
        await statement.explain(1, "a")


@check
async def evicts_prepared():
    """statements beyond its cache are closed, and prepared again when they are needed"""
    async with connected(statement_cache_size=2) as one, connected(statement_cache_size=3) as two:
        for turn in range(3):
            async with elsewhere(one):
                for number in range(6):
                    for connection in (one, two):
                        query = f"SELECT $1::int + {number}"
                        expect(await connection.fetchval(query, turn), turn + number)


@check
async def heals_stale_plans():
    """a statement of its cache is prepared again after its table has changed"""
    async with connected() as connection, connected() as other:
        await other.execute("DROP TABLE IF EXISTS stale_asyncpg")
        await other.execute("CREATE TABLE stale_asyncpg AS SELECT 1 AS a")
        query = "SELECT * FROM stale_asyncpg"
        expect(tuple(await connection.fetchrow(query)), (1,))
        await other.execute("ALTER TABLE stale_asyncpg ADD b int DEFAULT 2")
        expect(tuple(await connection.fetchrow(query)), (1, 2))
        for _ in range(2):
            async with elsewhere(connection):
                expect(tuple(await connection.fetchrow(query)), (1, 2))


@check
async def keeps_transactions():
    """transactions, rollback, savepoints and isolation levels"""
    async with connected() as connection:
        await connection.execute("DROP TABLE IF EXISTS tx_asyncpg")
        await connection.execute("CREATE TABLE tx_asyncpg (i int PRIMARY KEY)")
        async with connection.transaction():
            await connection.execute("INSERT INTO tx_asyncpg VALUES ($1)", 1)
            try:
                async with connection.transaction():
                    await connection.execute("INSERT INTO tx_asyncpg VALUES ($1)", 2)
                    await connection.execute("INSERT INTO tx_asyncpg VALUES ($1)", 1)
            except asyncpg.UniqueViolationError:
                pass
            await connection.execute("INSERT INTO tx_asyncpg VALUES ($1)", 3)
        try:
            async with connection.transaction():
                await connection.execute("INSERT INTO tx_asyncpg VALUES (4)")
                raise KeyError("given up")
        except KeyError:
            pass
        rows = await connection.fetch("SELECT i FROM tx_asyncpg ORDER BY i")
        expect([row["i"] for row in rows], [1, 3])
        async with connection.transaction(isolation="serializable", readonly=True):
            seen = await connection.fetchval("SHOW transaction_isolation")
            expect(seen, "serializable")


@check
async def recovers_from_errors():
    """after an error the connection goes on, inside a transaction after its rollback"""
    async with connected() as connection:
        for _ in range(2):
            await refused(asyncpg.PostgresSyntaxError, connection.fetch("SELEC 1"))
            await refused(asyncpg.UndefinedTableError, connection.fetch("SELECT * FROM nowhere"))
            await refused(asyncpg.DivisionByZeroError, connection.fetchval("SELECT 1/$1::int", 0))
            await refused(asyncpg.DataError, connection.fetchval("SELECT $1::int", "x"))
            expect(await connection.fetchval("SELECT $1::int", 1), 1)
        transaction = connection.transaction()
        await transaction.start()
        await refused(asyncpg.DivisionByZeroError, connection.execute("SELECT 1/0"))
        await refused(asyncpg.InFailedSQLTransactionError, connection.fetchval("SELECT 1"))
        await transaction.rollback()
        expect(await connection.fetchval("SELECT 1/$1::int", 1), 1)


@check
async def reads_cursors():
    """cursors: iteration, fetch and forward"""
    async with connected() as connection, connection.transaction():
        total = 0
        async for row in connection.cursor("SELECT generate_series(1, $1::int)", 1050, prefetch=100):
            total += row[0]
        expect(total, 1050 * 1051 // 2)
        cursor = await connection.cursor("SELECT generate_series(1, 100)")
        await cursor.forward(10)
        expect((await cursor.fetchrow())[0], 11)
        expect([row[0] for row in await cursor.fetch(3)], [12, 13, 14])


@check
async def executes_many():
    """executemany, and its rollback when one row fails"""
    async with connected() as connection:
        await connection.execute("DROP TABLE IF EXISTS many_asyncpg")
        await connection.execute("CREATE TABLE many_asyncpg (i int PRIMARY KEY, t text)")
        rows = [(number, f"row {number}") for number in range(2000)]
        await connection.executemany("INSERT INTO many_asyncpg VALUES ($1, $2)", rows)
        again = connection.executemany(
            "INSERT INTO many_asyncpg VALUES ($1, $2)", [(5000, "new"), (1, "old")]
        )
        await refused(asyncpg.UniqueViolationError, again)
        expect(await connection.fetchval("SELECT count(*) FROM many_asyncpg"), 2000)


@check
async def copies():
    """COPY in and out, of records, tables and queries, and one that fails"""
    async with connected() as connection:
        await connection.execute("DROP TABLE IF EXISTS copy_asyncpg")
        await connection.execute("CREATE TABLE copy_asyncpg (i int, t text)")
        rows = [(number, f"row\t{number}") for number in range(20000)]
        expect(await connection.copy_records_to_table("copy_asyncpg", records=rows), "COPY 20000")
        pieces = []

        async def keep(piece):
            pieces.append(piece)

        await connection.copy_from_table("copy_asyncpg", output=keep, format="csv")
        expect(b"".join(pieces).count(b"\n"), 20000)
        pieces.clear()
        await connection.copy_from_query(
            "SELECT i FROM copy_asyncpg WHERE i < $1 ORDER BY i", 3, output=keep
        )
        expect(b"".join(pieces), b"0\n1\n2\n")

        async def nonsense():
            yield b"1\tx\n"
            yield b"not a number\tx\n"

        await refused(
            asyncpg.InvalidTextRepresentationError,
            connection.copy_to_table("copy_asyncpg", source=nonsense()),
        )
        expect(await connection.fetchval("SELECT count(*) FROM copy_asyncpg"), 20000)


@check
async def hears_notifications():
    """LISTEN and NOTIFY, from others and from itself"""
    async with connected() as listener, connected() as speaker:
        heard = asyncio.Queue()

        def hear(_connection, server, _channel, payload):
            heard.put_nowait((server, payload))

        await listener.add_listener("asyncpg_channel", hear)
        for _ in range(2):
            async with elsewhere(speaker):
                await speaker.execute("SELECT pg_notify('asyncpg_channel', 'from afar')")
        await listener.execute("NOTIFY asyncpg_channel, 'my own'")
        seen = [await asyncio.wait_for(heard.get(), PATIENCE_SECONDS) for _ in range(3)]
        other, own = speaker.get_server_pid(), listener.get_server_pid()
        expect(seen, [(other, "from afar"), (other, "from afar"), (own, "my own")])
        await listener.remove_listener("asyncpg_channel", hear)


@check
async def cancels():
    """a statement that is given up is cancelled, and the connection goes on"""
    async with connected() as connection:
        for _ in range(2):
            await refused(
                asyncio.TimeoutError, connection.execute("SELECT pg_sleep(60)", timeout=0.3)
            )
            expect(await connection.fetchval("SELECT $1::int", 1), 1)
        task = asyncio.create_task(connection.fetch("SELECT pg_sleep($1)", 60))
        await asyncio.sleep(0.3)
        task.cancel()
        await refused(asyncio.CancelledError, task)
        expect(await connection.fetchval("SELECT $1::int", 1), 1)


@check
async def passes_notices():
    """notices of the server"""
    async with connected() as connection:
        notices = []
        connection.add_log_listener(lambda _connection, message: notices.append(message.message))
        await connection.execute("DROP TABLE IF EXISTS never_there")
        await asyncio.sleep(0)
        expect(notices, ['table "never_there" does not exist, skipping'])


@check
async def follows_settings():
    """settings follow the connection to other servers, those of its start too"""
    start = {"application_name": "asyncpg checks", "search_path": "pg_catalog"}
    async with connected(server_settings=start) as connection, connected() as other:
        before = await other.fetchval("SHOW search_path")
        await connection.execute("SET TimeZone = 'Asia/Tokyo'")
        for _ in range(2):
            async with elsewhere(other):
                expect(await connection.fetchval("SHOW search_path"), "pg_catalog")
                expect(await connection.fetchval("SHOW application_name"), "asyncpg checks")
                expect(await connection.fetchval("SHOW TimeZone"), "Asia/Tokyo")
                expect(await other.fetchval("SHOW search_path"), before)
        await connection.execute("RESET ALL")
        expect(await connection.fetchval("SHOW search_path"), "pg_catalog")


@check
async def pools():
    """its pool, with the reset at each release, for forty tasks on eight connections"""
    servers = set()

    async def work(pool, seed):
        for number in range(10):
            async with pool.acquire() as connection:
                servers.add(await server_of(connection))
                query = f"SELECT $1::int + {number % 4}"
                expect(await connection.fetchval(query, seed), seed + number % 4)
                async with connection.transaction():
                    expect(await connection.fetchval(query, seed + 1), seed + 1 + number % 4)

    async with asyncpg.create_pool(min_size=8, max_size=8, timeout=PATIENCE_SECONDS) as pool:
        await asyncio.gather(*(work(pool, seed) for seed in range(40)))
    if len(servers) < 2:
        raise AssertionError("a single server has served the pool")


async def main():
    print(f"asyncpg {asyncpg.__version__}")
    for function in CHECKS:
        try:
            await asyncio.wait_for(function(), 2 * PATIENCE_SECONDS)
        except BaseException:  # noqa: BLE001, the first failure ends the script
            failed(function)
            sys.exit(1)
        passed(function)


if __name__ == "__main__":
    asyncio.run(main())
