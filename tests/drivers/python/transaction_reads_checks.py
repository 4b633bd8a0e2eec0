"""SQLAlchemy as it is by default, without autocommit: every read stands in a transaction.

There is a table `counters` with the columns `i` and `n`, and a row for each `i` from 1 to 8.
Where to connect comes from the environment, as libpq reads it.
"""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Column, Integer, create_engine, func, select, text
from sqlalchemy.orm import DeclarativeBase, Session

from checks import check, expect, run

#: Rows, and threads that each have one.
ROWS = 8

#: Transactions of each thread.
ROUNDS = 15

def engine():
    """One with a single connection: a session finds what it has written itself."""
    return create_engine("postgresql+psycopg://", pool_size=1, max_overflow=0)


ENGINE = engine()


class Base(DeclarativeBase):
    pass


class Counter(Base):
    __tablename__ = "counters"
    i = Column(Integer, primary_key=True)
    n = Column(Integer, nullable=False)


@check
def reads_alone():
    """transactions that only read"""
    # With its first connection SQLAlchemy asks what belongs on the primary.
    ENGINE.connect().close()
    ENGINE.dispose()
    for _ in range(ROUNDS):
        with ENGINE.connect() as connection:
            found = connection.execute(text("SELECT count(*) FROM counters /* read */"))
            expect(found.scalar_one(), ROWS)
        with Session(ENGINE) as session:
            expect(session.scalar(select(func.count()).select_from(Counter)), ROWS)
            session.commit()


def count_up(row):
    own, before = engine(), 0
    for number in range(ROUNDS):
        with Session(own) as session:
            counter = session.get(Counter, row)
            expect(counter.n, before)
            counter.n += 1
            session.flush()
            expect(session.scalar(select(Counter.n).where(Counter.i == row)), before + 1)
            if number % 3 == 2:
                session.rollback()
            else:
                with session.begin_nested():
                    session.refresh(counter)
                session.commit()
                before += 1
        with Session(own) as session:
            expect(session.get(Counter, row).n, before)
    return before


@check
def reads_and_writes():
    """transactions that read first, and then write what they have read"""
    with ThreadPoolExecutor(ROWS) as crowd:
        counts = list(crowd.map(count_up, range(1, ROWS + 1)))
    with Session(ENGINE) as session:
        found = session.scalars(select(Counter.n).order_by(Counter.i).with_for_update()).all()
        expect(found, counts)


if __name__ == "__main__":
    run("SQLAlchemy without autocommit")
