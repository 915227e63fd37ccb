"""Compares the run through Sluice with the direct one."""

import difflib
import shutil

import by_nature

SHOWN_LINES = 40  # of each difference; the files have all


def difference(test, direct, through):
    """How that test's two results differ: (what is to be said, the hunks of the diff), or None if they do not."""
    verdicts = direct.verdicts.get(test, "did not run"), through.verdicts.get(test, "did not run")
    results = [run.result(test) or b"" for run in (direct, through)]
    if results[0] == results[1] and verdicts[0] == verdicts[1]:
        return None
    lines = [result.decode(errors="backslashreplace").splitlines() for result in results]
    unified = list(difflib.unified_diff(*lines, f"direct/{test}.out", f"sluice/{test}.out", lineterm=""))
    hunks = []
    for line in unified[2:]:
        if line.startswith("@@"):
            hunks.append([])
        else:
            hunks[-1].append(line)
    return [f"direct: {verdicts[0]}, through Sluice: {verdicts[1]}", *unified], hunks


def tell(tests, direct, through, folder, say):
    """Says what differs and the sum, leaves the differences in that folder; returns the exit status."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    natural, differing = [], []
    for test in tests:
        found = difference(test, direct, through)
        if found is None:
            continue
        lines, hunks = found
        (folder / f"{test}.diff").write_text("\n".join(lines) + "\n")
        why = by_nature.reason(test, hunks)
        (differing if why is None else natural).append(test)
        say(f"\n== {test}: " + (f"by nature: {why}" if why else "\n".join(lines[:SHOWN_LINES])))
        if why is None and len(lines) > SHOWN_LINES:
            say(f"... {len(lines) - SHOWN_LINES} more lines in {folder / test}.diff")
    if natural:
        say(f"\nbeside those that differ by nature: {', '.join(natural)}")
    passed = [run.passed(tests) for run in (direct, through)]
    say(f"{len(tests)} tests: direct {passed[0]} passed, through Sluice {passed[1]} passed, {len(differing)} differ")
    return 1 if differing or not tests else 0
