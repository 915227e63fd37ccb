"""What the lint checks share: the project's own C files, and a way to say what is wrong with them."""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = ("conf", "parser", "shard", "pool", "proxy")
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def files(*patterns, folders=FOLDERS):
    """All files of those folders that match, with paths relative to the top."""
    found = (path for folder in folders for pattern in patterns for path in (TOP / folder).glob(pattern))
    return sorted(path.relative_to(TOP) for path in found)


def includes(path):
    """(line number, is it ours, name) of each #include of a file."""
    for number, line in enumerate((TOP / path).read_text().splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1) == '"', match.group(2)


def finish(problems, looked_at):
    """Ends the check: prints the problems, or what was looked at. A check that looked at nothing has failed."""
    for problem in problems:
        print(problem)
    if not looked_at:
        print("nothing was found to check")
    sys.exit(1 if problems or not looked_at else 0)
