"""Sluice's own C functions, called from Python: the named sources are compiled into a library of their own.

    hashes = load(scratch, "shard/hash.c", "conf/base.c")     # a ctypes.CDLL
    plans = load(scratch, "shard/scatter.c", ..., libraries=("pg_query",))
"""

import ctypes
import os
import pathlib
import subprocess

from lib.util import SLOWER

TOP = pathlib.Path(__file__).resolve().parents[2]


def load(folder, *sources, libraries=()):
    """Whatever the sources need must be among them, or in the libraries."""
    library = pathlib.Path(folder) / "native.so"
    command = [os.environ.get("CC", "cc"), "-std=gnu11", "-D_GNU_SOURCE=", "-O0", "-fPIC", "-shared",
               "-Wl,--no-undefined", "-I", TOP, "-o", library, *(TOP / source for source in sources),
               *(f"-l{library}" for library in libraries)]
    subprocess.run(list(map(str, command)), check=True, timeout=120 * SLOWER)
    return ctypes.CDLL(str(library))
