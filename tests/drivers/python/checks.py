"""The few words in which the checks of a Python driver are written."""

import sys
import traceback

#: Every check of the script, in the order in which they are written.
CHECKS = []


def check(function):
    """Registers a check; what it says is the first line of its docstring."""
    CHECKS.append(function)
    return function


def said(function):
    """The sentence that a check proves."""
    return function.__doc__.strip().splitlines()[0]


def passed(function):
    """Prints the line of a check that has passed."""
    print(f"ok      {said(function)}", flush=True)


def failed(function):
    """Prints why a check has failed."""
    print(f"FAILED  {said(function)}", flush=True)
    traceback.print_exc()


def expect(seen, wanted):
    """Fails unless the two are equal."""
    if seen != wanted:
        raise AssertionError(f"seen {seen!r}, wanted {wanted!r}")


def run(title=None):
    """Runs every check; the first that fails ends the script."""
    if title is not None:
        print(title)
    for function in CHECKS:
        try:
            function()
        except BaseException:  # noqa: BLE001, whatever it is, it is the end
            failed(function)
            sys.exit(1)
        passed(function)
