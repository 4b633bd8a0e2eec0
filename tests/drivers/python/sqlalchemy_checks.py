"""SQLAlchemy with its default settings, behind a pooler in transaction mode with a few servers.

Where to connect comes from the environment, as libpq and asyncpg read it.
"""

import asyncio
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager

import sqlalchemy
from sqlalchemy import (
    ARRAY, JSON, Column, Enum, ForeignKey, Integer, MetaData, String, Table, Uuid, create_engine,
    exc, inspect, select, text,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import DeclarativeBase, Session, relationship, selectinload

from checks import check, expect, run

#: Servers of the pool.
SERVERS = 3

#: Threads of a crowd: more than there are servers.
CROWD = 8

#: Its default pool of connections, on psycopg.
ENGINE = create_engine("postgresql+psycopg://")


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id = Column(Integer, primary_key=True)
    name = Column(String, unique=True, nullable=False)
    books = relationship("Book", back_populates="author", order_by="Book.id")


class Book(Base):
    __tablename__ = "book"
    id = Column(Integer, primary_key=True)
    title = Column(String, nullable=False)
    author_id = Column(ForeignKey("author.id"), nullable=False)
    author = relationship(Author, back_populates="books")


def server_of(connection):
    return connection.execute(text("SELECT pg_backend_pid()")).scalar_one()


@contextmanager
def elsewhere(connection):
    """Holds the server that the connection used last, so that it gets another one."""
    before = server_of(connection)
    connection.rollback()
    holders = []
    try:
        # Whoever gets another one keeps that until the server is found.
        while not holders or server_of(holders[-1]) != before:
            expect(len(holders) < SERVERS, True)
            holders.append(ENGINE.connect())
        for holder in holders[:-1]:
            holder.rollback()
        if server_of(connection) == before:
            raise AssertionError("the connection keeps its server")
        connection.rollback()
        yield
    finally:
        for holder in holders:
            holder.close()


@check
def makes_and_reflects_tables():
    """makes tables, and reads from the catalog what it has made"""
    Base.metadata.create_all(ENGINE)
    seen = MetaData()
    seen.reflect(ENGINE)
    expect(sorted(seen.tables), ["author", "book"])
    keys = inspect(ENGINE).get_foreign_keys("book")
    expect(keys[0]["referred_table"], "author")


@check
def maps_objects():
    """maps objects: flushes, related ones, updates, deletes"""
    with Session(ENGINE) as session:
        authors = [Author(name=f"author {n}", books=[Book(title=f"book {b}") for b in range(3)])
                   for n in range(50)]
        session.add_all(authors)
        session.commit()
    with Session(ENGINE) as session:
        found = session.scalars(select(Author).options(selectinload(Author.books)).order_by(Author.id)).all()
        expect(len(found), 50)
        expect([book.title for book in found[7].books], ["book 0", "book 1", "book 2"])
        found[0].name = "another"
        session.delete(found[1].books[0])
        session.commit()
        expect(session.scalar(select(sqlalchemy.func.count()).select_from(Book)), 149)


@check
def goes_on_elsewhere():
    """goes on with another server, with what it has prepared"""
    with ENGINE.connect() as connection:
        query = select(Author.name).where(Author.id == sqlalchemy.bindparam("id"))
        for _ in range(10):
            connection.execute(query, {"id": 1})
        connection.rollback()
        with elsewhere(connection):
            expect(connection.execute(query, {"id": 1}).scalar_one(), "another")


@check
def carries_types():
    """carries arrays, JSON, UUIDs and enums"""
    table = Table(
        "typed", MetaData(), Column("id", Uuid, primary_key=True), Column("numbers", ARRAY(Integer)),
        Column("document", JSON), Column("mood", Enum("glad", "sad", name="mood")),
    )
    table.create(ENGINE)
    row = (uuid.uuid4(), [1, 2, 3], {"a": [None, 1.5]}, "glad")
    with ENGINE.begin() as connection:
        connection.execute(table.insert().values(row))
    with ENGINE.connect() as connection:
        expect(tuple(connection.execute(select(table)).one()), row)
    table.drop(ENGINE)


@check
def nests_transactions():
    """savepoints, errors within them, and isolation levels"""
    with Session(ENGINE) as session:
        session.add(Author(name="outer"))
        try:
            with session.begin_nested():
                session.add(Author(name="outer"))
                session.flush()
            raise AssertionError("a duplicate was taken")
        except exc.IntegrityError:
            pass
        session.commit()
        expect(session.scalar(select(Author.name).where(Author.name == "outer")), "outer")
    for level in ["SERIALIZABLE", "REPEATABLE READ", "AUTOCOMMIT"]:
        with ENGINE.connect().execution_options(isolation_level=level) as connection:
            wanted = level.lower() if level != "AUTOCOMMIT" else "read committed"
            expect(connection.execute(text("SHOW transaction_isolation")).scalar_one(), wanted)


@check
def inserts_many():
    """many rows at once, with the keys they get, and what exists already"""
    with ENGINE.begin() as connection:
        rows = [{"name": f"many {n}"} for n in range(2000)]
        made = connection.execute(Author.__table__.insert().returning(Author.id), rows).scalars().all()
        expect(len(set(made)), 2000)
        again = upsert(Author).values(name="many 7").on_conflict_do_nothing().returning(Author.id)
        expect(connection.execute(again).all(), [])


@check
def streams_rows():
    """rows by portions from a cursor of the server"""
    with ENGINE.connect() as connection:
        rows = connection.execution_options(yield_per=100).execute(
            text("SELECT generate_series(1, 1000)"))
        expect(sum(rows.scalars()), 500_500)


@check
def commits_in_two_phases():
    """transactions in two phases"""
    with ENGINE.connect() as connection:
        transaction = connection.begin_twophase()
        connection.execute(Author.__table__.insert().values(name="twice"))
        transaction.prepare()
        transaction.commit()
    with Session(ENGINE, twophase=True) as session:
        session.add(Author(name="thrice"))
        session.commit()
        expect(session.scalar(select(sqlalchemy.func.count()).where(Author.name.in_(["twice", "thrice"]))), 2)


@check
def serves_a_crowd():
    """more threads than servers, each in transactions of its own"""
    servers, lock = set(), threading.Lock()

    def work(seed):
        for turn in range(20):
            with Session(ENGINE) as session:
                own = server_of(session)
                session.add(Author(name=f"{seed} {turn}"))
                session.flush()
                expect(session.scalar(select(Author.name).where(Author.name == f"{seed} {turn}")),
                       f"{seed} {turn}")
                expect(server_of(session), own)
                session.commit() if turn % 2 else session.rollback()
                with lock:
                    servers.add(own)

    with ThreadPoolExecutor(CROWD) as pool:
        list(pool.map(work, range(CROWD)))
    expect(len(servers) > 1, True)


@check
def serves_asyncpg():
    """asyncpg under it, with its statement cache, on each of the servers"""
    query = text("SELECT pg_backend_pid(), CAST(:seed AS int) * 100 + CAST(:turn AS int)")

    async def ask(connection, seed, turn):
        """Asks by a statement of the cache, and gives the server that has answered."""
        answer = await connection.execute(query, {"seed": seed, "turn": turn})
        server, seen = answer.one()
        expect(seen, seed * 100 + turn)
        await connection.rollback()
        return server

    async def moves(engine):
        """One connection, while of all servers only one at a time is free."""
        async with AsyncExitStack() as opened:
            connection, *holders = [
                await opened.enter_async_context(engine.connect()) for _ in range(1 + SERVERS)]
            for holder in holders:
                await holder.execute(text("SELECT 1"))
            servers = set()
            for turn, holder in enumerate(holders):
                await holder.rollback()
                servers.add(await ask(connection, 0, turn))
                await holder.execute(text("SELECT 1"))
            expect(len(servers), SERVERS)

    async def crowd():
        engine = create_async_engine("postgresql+asyncpg://")

        async def work(seed):
            for turn in range(20):
                async with engine.connect() as connection:
                    await ask(connection, seed, turn)

        await asyncio.gather(*(work(seed) for seed in range(CROWD)))
        await moves(engine)
        await engine.dispose()

    asyncio.run(asyncio.wait_for(crowd(), 20))


if __name__ == "__main__":
    run(f"SQLAlchemy {sqlalchemy.__version__}")
