"""Two services with one database: what the first one has done, the second one finds, although no standby has replayed it."""

import sys

import psycopg
import psycopg.sql


def place_order(shop, item):
    """The first service: writes, and hands on where the write is."""
    with shop.transaction():
        order = shop.execute("INSERT INTO orders (item) VALUES (%s) RETURNING id", [item]).fetchone()[0]
    token = shop.execute("SHOW trunkline.lsn").fetchone()[0]
    return order, token


def order_is_there(reports, order, token):
    """The second service: reads no less than the first one has done."""
    if token:
        reports.execute(psycopg.sql.SQL("SET trunkline.after_lsn = {}").format(token))
    return reports.execute("SELECT item FROM orders WHERE id = %s", [order]).fetchone()


def main(address):
    with (
        psycopg.connect(address, autocommit=True) as shop,
        psycopg.connect(address, autocommit=True) as reports,
        psycopg.connect(address) as careful,
    ):
        order, token = place_order(shop, "a chair")
        assert order_is_there(reports, order, None) is None, "a standby has it already"
        assert order_is_there(reports, order, token) == ("a chair",)
        # psycopg begins a transaction with the first statement unless it is told otherwise.
        order, token = place_order(shop, "a table")
        assert order_is_there(careful, order, token) == ("a table",)
        careful.commit()
        try:
            reports.execute("SET trunkline.after_lsn = 'a chair'")
        except psycopg.errors.InvalidParameterValue as error:
            assert "trunkline.after_lsn" in str(error)
        else:
            raise AssertionError("a chair is no token")
        assert order_is_there(reports, order, token) == ("a table",)


if __name__ == "__main__":
    main(sys.argv[1])
