"""What make offers beside the demo and the checks: an installation, and the list of it all."""

import os
import re
import subprocess

from lib.sluice import PROGRAM, TOP
from lib.util import run

# A make that we run under has told its children how to share its jobs.
ENV = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}


def make(*args):
    return subprocess.run(["make", "-s", "-C", TOP, *args], env=ENV, check=True, stdout=subprocess.PIPE,
                          text=True).stdout


def test_install(scratch):
    """The program under test, without building any: with a prefix, below a folder."""
    make("install", "-o", "all", f"program={PROGRAM}", "PREFIX=/opt/sluice", f"DESTDIR={scratch}/package")
    there = scratch / "package" / "opt" / "sluice"
    files = {str(path.relative_to(there)): path for path in there.rglob("*") if path.is_file()}
    assert set(files) == {"bin/sluice", "share/doc/sluice/sluice.ini", "share/doc/sluice/REFERENCE.md",
                          "lib/systemd/system/sluice.service"}
    assert {name for name, path in files.items() if path.stat().st_mode & 0o111} == {"bin/sluice"}
    unit = files["lib/systemd/system/sluice.service"].read_text()
    assert "ExecStart=/opt/sluice/bin/sluice /etc/sluice/sluice.ini\n" in unit and "@" not in unit
    example = files["share/doc/sluice/sluice.ini"].read_text()
    (scratch / "userlist.txt").write_text('"app" "its password"\n')
    (scratch / "sluice.ini").write_text(example.replace("/etc/sluice", str(scratch)))
    assert run(files["bin/sluice"], "-t", scratch / "sluice.ini").endswith("OK\n")
    assert run(files["bin/sluice"], "--reference") == files["share/doc/sluice/REFERENCE.md"].read_text()


def test_help_names_all_that_there_is():
    told = set(re.findall(r"(?m)^  make ([a-z-]+) ", make("help")))
    phony = set(" ".join(re.findall(r"(?m)^\.PHONY: (.*)$", (TOP / "Makefile").read_text())).split())
    assert told == phony - {"unit-programs", "fuzz-programs"}
    assert set(re.findall(r"(?m)^    make ([a-z-]+)", (TOP / "README.md").read_text())) <= told
