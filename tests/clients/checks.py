"""What the Python driver programs share: a list of named checks, run one after the other, told in TAP-like lines.

A program decorates its functions with @check and calls run(). Each prints `ok NAME`, or `not ok NAME: why`. A check
that hangs ends the program: what it holds would spoil the others.
"""
import os
import sys
import threading
import time
import traceback

CLIENTS = 12  # at once, where a check is about sharing: three times the servers that the proxy under test has
DSN = {
    "host": os.environ["PGHOST"],
    "port": int(os.environ["PGPORT"]),
    "dbname": os.environ["PGDATABASE"],
    "user": os.environ["PGUSER"],
    "password": os.environ["PGPASSWORD"],
}
SESSION_DSN = dict(DSN, dbname=os.environ["PGSESSIONDATABASE"])
LIMIT_S = float(os.environ.get("CHECK_LIMIT_S", "60"))

_checks = []


def check(function):
    """Decorator: the function is a check, its name the check's name."""
    _checks.append(function)
    return function


def each_client(work, count=CLIENTS):
    """Runs work(number) in `count` threads at once; raises the first error of any."""
    errors = []

    def guarded(number):
        try:
            work(number)
        except BaseException as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def equal(got, wanted, what=""):
    """Fails, with both values, unless they are equal."""
    if got != wanted:
        raise AssertionError(f"{what + ': ' if what else ''}got {shorten(got)}, wanted {shorten(wanted)}")


def shorten(value):
    text = repr(value)
    return text if len(text) <= 300 else text[:300] + "..."


def raises(errors, function, *args):
    """The error of that class that function(*args) raises; fails if it raises none."""
    try:
        function(*args)
    except errors as error:
        return error
    raise AssertionError(f"no error, but {errors} was due")


def _give_up(name):
    print(f"not ok {name}: still running after {LIMIT_S} s", flush=True)
    for thread, frame in sys._current_frames().items():  # pylint: disable=protected-access
        print(f"thread {thread}:\n{''.join(traceback.format_stack(frame))}", file=sys.stderr)
    os._exit(1)


def run(setup, teardown):
    """Runs setup(), every check (or those named on the command line), teardown(); exits with 1 if any failed."""
    wanted = [c for c in _checks if not sys.argv[1:] or c.__name__ in sys.argv[1:]]
    print(f"1..{len(wanted)}", flush=True)
    setup()
    failed = 0
    for function in wanted:
        watchdog = threading.Timer(LIMIT_S, _give_up, (function.__name__,))
        watchdog.daemon = True
        watchdog.start()
        began = time.monotonic()
        try:
            function()
            print(f"ok {function.__name__}", flush=True)
        except BaseException as error:  # pylint: disable=broad-except
            failed += 1
            why = f"{type(error).__name__}: {error}".replace("\n", " | ")
            print(f"not ok {function.__name__}: {why}", flush=True)
            traceback.print_exc()
        watchdog.cancel()
        print(f"{function.__name__}: {time.monotonic() - began:.2f} s", file=sys.stderr)
    teardown()
    sys.exit(1 if failed else 0)
