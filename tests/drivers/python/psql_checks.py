"""psql at a terminal: Ctrl-C during a statement and during \\watch, and life after it.

Where to connect comes from the environment, as libpq reads it.
"""

import os
import pty
import select
import time

import psycopg

from checks import check, run

#: Nothing here takes long; a pooler that does not answer must not hang the tests.
PATIENCE_SECONDS = 30

CTRL_C = "\x03"


class Terminal:
    """psql, as if a person sat before it."""

    def __init__(self):
        self.seen = ""
        self.process, self.screen = pty.fork()
        if self.process == 0:
            os.environ.update(PAGER="cat", PSQL_HISTORY="/dev/null", TERM="dumb")
            os.execvp("psql", ["psql", "--no-psqlrc", "--no-readline", "--tuples-only", "--no-align"])
        self.until("=> ")

    def say(self, text):
        os.write(self.screen, text.encode())

    def until(self, wanted, times=1):
        """Reads until the text has come so many times, and forgets what was read."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.seen.count(wanted) < times:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.screen], [], [], left)[0]:
                raise AssertionError(f"{wanted!r} has not come; seen: {self.seen!r}")
            self.seen += os.read(self.screen, 65536).decode(errors="replace")
        self.seen = self.seen[self.seen.rindex(wanted) + len(wanted) :]

    def leave(self):
        self.say("\\q\n")
        _, status = os.waitpid(self.process, 0)
        os.close(self.screen)
        if status != 0:
            raise AssertionError(f"psql has ended with {status}")


def sleeps():
    """Waits until the server runs the statement."""
    with psycopg.connect("", autocommit=True) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60%' AND state = 'active'"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while connection.execute(query).fetchone()[0] != 1:
            if time.monotonic() > deadline:
                raise AssertionError("the statement does not run")
            time.sleep(0.05)


@check
def interrupts_statements():
    """Ctrl-C ends a statement, in a transaction and outside, and the session goes on"""
    terminal = Terminal()
    for begin in ("", "BEGIN; "):
        terminal.say(f"{begin}SELECT pg_sleep(60);\n")
        sleeps()
        terminal.say(CTRL_C)
        terminal.until("ERROR:  canceling statement due to user request")
    terminal.say("ROLLBACK;\n")
    terminal.until("ROLLBACK\r\n")
    terminal.say("SELECT 'forty' || 2;\n")
    terminal.until("forty2\r\n")
    terminal.leave()


@check
def watches():
    """\\watch runs a statement again and again until Ctrl-C"""
    terminal = Terminal()
    terminal.say("SELECT 'tick' || 1 \\watch 0.1\n")
    terminal.until("tick1\r\n", times=4)
    terminal.say(CTRL_C)
    terminal.until("=> ")
    terminal.say("SELECT 'forty' || 2;\n")
    terminal.until("forty2\r\n")
    terminal.leave()


if __name__ == "__main__":
    run()
