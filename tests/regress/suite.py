"""PostgreSQL's regression suite: its tests in their parallel groups, and what each of them needs to have run before."""

import os
import pathlib
import re

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = TOP / "build" / "regress"
SUITE = BUILD / "suite"

SETUP = ("test_setup", "create_index")  # what the schedule says that most tests need
DEPENDS = re.compile(r"^# (\w+) depends on (.+)$", re.MULTILINE)


class Schedule:
    """Groups of tests that run at once, in order, and tests whose failure does not count."""

    def __init__(self, text):
        self.groups = [line.split()[1:] for line in text.splitlines() if line.startswith("test:")]
        self.ignored = [name for line in text.splitlines() if line.startswith("ignore:") for name in line.split()[1:]]
        self._needs = {test: re.findall(r"\w+", others) for test, others in DEPENDS.findall(text)}

    @classmethod
    def of_suite(cls):
        return cls((SUITE / "parallel_schedule").read_text())

    def tests(self):
        return [name for group in self.groups for name in group]

    def only(self, wanted):
        """The schedule of these tests and of what they need, in the same groups."""
        unknown = set(wanted) - set(self.tests())
        if unknown:
            raise ValueError(f"the suite has no test {', '.join(sorted(unknown))}")
        chosen, more = set(), {*wanted, *SETUP}
        while more:
            chosen |= more
            more = {need for name in more for need in self._needs.get(name, [])} - chosen
        part = Schedule("")
        part.groups = [kept for group in self.groups if (kept := [name for name in group if name in chosen])]
        part.ignored = self.ignored
        return part

    def text(self):
        lines = [f"ignore: {name}" for name in self.ignored] + ["test: " + " ".join(group) for group in self.groups]
        return "\n".join(lines) + "\n"


def settings_of_environment(environ=os.environ):
    """What is asked for; the head of tests/regress/run says what each means."""
    return {"tests": environ.get("TESTS", "").split(), "keep": environ.get("KEEP", "") not in ("", "0"),
            "pool_mode": environ.get("POOL_MODE") or "transaction", "pool_shuffle": environ.get("POOL_SHUFFLE") or "1",
            "alike": environ.get("ALIKE", "") not in ("", "0"),
            "multiplex_limit": environ.get("MULTIPLEX_LIMIT") or "5",
            "pool_size": int(environ.get("POOL_SIZE") or 8), "stall_s": int(environ.get("STALL") or 180),
            "connections": int(environ.get("CONNECTIONS") or 20)}
