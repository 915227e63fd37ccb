"""Compares the run through Sluice with the direct one."""

import collections
import difflib
import shutil

import by_nature
from suite import SUITE

SHOWN_LINES = 40  # of each difference; the files have all

# Lines that changed: the line of the script whose answer they are in; whether lines of the script are among them.
Change = collections.namedtuple("Change", "statement in_script")


def changes(script, results):
    """What changed from the first result to the second. psql prints each line of the script ahead of its answer."""
    found, before = [], results[0]
    matcher = difflib.SequenceMatcher(None, *results, autojunk=False)
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind == "equal":
            continue
        statement = next((line for line in reversed(before[:start]) if line.strip() and line in script), "")
        changed = before[start:end] + results[1][other_start:other_end]
        found.append(Change(statement, any(line.strip() and line in script for line in changed)))
    return found


class Difference:
    """How a test's two results differ; it is true if they do."""

    def __init__(self, test, direct, through):
        self.verdicts = [run.verdicts.get(test, "did not run") for run in (direct, through)]
        results = [run.result(test) or b"" for run in (direct, through)]
        self._results = [result.decode(errors="backslashreplace").splitlines() for result in results]
        self._differs = results[0] != results[1] or self.verdicts[0] != self.verdicts[1]
        self.test = test

    def __bool__(self):
        return self._differs

    def lines(self):
        names = f"direct/{self.test}.out", f"sluice/{self.test}.out"
        return [f"direct: {self.verdicts[0]}, through Sluice: {self.verdicts[1]}",
                *difflib.unified_diff(*self._results, *names, lineterm="")]

    def reason(self):
        """Why it is so by nature; None if it is not."""
        if self.test not in by_nature.STATEMENTS:
            return None
        script = (SUITE / "sql" / f"{self.test}.sql").read_text(errors="backslashreplace").splitlines()
        return by_nature.reason(self.test, changes(set(script), self._results))


def tell(tests, direct, through, folder, say):
    """Says what differs and the sum, leaves the differences in that folder; returns the exit status."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    natural, differing = [], []
    for difference in filter(None, (Difference(test, direct, through) for test in tests)):
        lines, why, path = difference.lines(), difference.reason(), folder / f"{difference.test}.diff"
        path.write_text("\n".join(lines) + "\n")
        (differing if why is None else natural).append(difference.test)
        say(f"\n== {difference.test}: " + (f"by nature: {why}" if why else "\n".join(lines[:SHOWN_LINES])))
        if why is None and len(lines) > SHOWN_LINES:
            say(f"... {len(lines) - SHOWN_LINES} more lines in {path}")
    if natural:
        say(f"\nbeside those that differ by nature: {', '.join(natural)}")
    passed = [run.passed(tests) for run in (direct, through)]
    say(f"{len(tests)} tests: direct {passed[0]} passed, through Sluice {passed[1]} passed, {len(differing)} differ")
    return 1 if differing or not tests else 0
