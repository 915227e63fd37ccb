"""`string_hash` is what JavaScript applications compute: compared with node's own arithmetic, to the bit."""

import ctypes
import json
import random
import subprocess

from lib import native
from lib.util import SLOWER

COUNTS = [1, 2, 3, 4, 7, 64, 1000003, 2**31]
EDGES = ["", "a", "polygenelubricants", "it's", "ä", "é", "e\u0301", "中文", "😀", "a😀b", "👨\u200d👩", "\uffff",
         "\U0010ffff", "\ud7ff\ue000", "x" * 1000, "00000000-0000-0000-0000-000000000000",
         "-9223372036854775808", "9007199254740993"]
PLANES = (range(0x20, 0x7f), range(0xa0, 0x800), range(0x800, 0xd800), range(0xe000, 0x10000), range(0x10000, 0x110000))
PROGRAM = """
const [texts, counts] = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const hash = (s) => {
    let h = 0;
    for (let i = 0; i < s.length; i++)
        h = (h * 31 + s.charCodeAt(i)) | 0;
    return Math.abs(h);
};
console.log(JSON.stringify(texts.map((t) => counts.map((n) => hash(t) % n))));
"""


def random_text():
    return "".join(chr(random.choice(random.choice(PLANES))) for _ in range(random.randrange(24)))


def test_string_hash_is_that_of_javascript(scratch):
    random.seed(31)
    texts = EDGES + [random_text() for _ in range(3000)]
    library = native.load(scratch, "shard/hash.c")
    library.hash_string.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32)]
    library.hash_string.restype = ctypes.c_bool
    done = subprocess.run(["node", "-e", PROGRAM], input=json.dumps([texts, COUNTS]), capture_output=True, text=True,
                          timeout=60 * SLOWER, check=True)
    part = ctypes.c_uint32()
    for text, expected in zip(texts, json.loads(done.stdout), strict=True):
        raw = text.encode()
        for count, wanted in zip(COUNTS, expected, strict=True):
            assert library.hash_string(raw, len(raw), count, ctypes.byref(part))
            assert part.value == wanted, (text, count)
