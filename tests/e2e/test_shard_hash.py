"""Where keys lie, compared with whoever defines it: `hash` with PostgreSQL, over random values of every type.

That what shard/key.c makes of a value's text is the value that PostgreSQL hashes, is compared with it.
"""

import ctypes
import datetime
import random
import uuid

import pytest

from lib import native

VALUES = 3000
MODULI = (1, 4, 7)
ZONES = ("Z", "+00", "-07", "+05:30", "-03:30")
SEED = 0x7A5B22367996DCFD
KEY_CERTAIN = 2
EDGES = [0, 1, -1, 2**15 - 1, -2**15, 2**31 - 1, -2**31, 2**31, -2**31 - 1, 2**32, 2**63 - 1, -2**63]


class Span(ctypes.Structure):
    _fields_ = [("ptr", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class RawSpan(ctypes.Structure):
    _fields_ = [("ptr", ctypes.c_void_p), ("len", ctypes.c_size_t)]


class Value(ctypes.Structure):
    _fields_ = [("certainty", ctypes.c_int), ("type", ctypes.c_int), ("number", ctypes.c_int64), ("bytes", RawSpan)]


class Buf(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("off", ctypes.c_size_t), ("len", ctypes.c_size_t), ("cap", ctypes.c_size_t)]


class Reader(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("assigned", ctypes.c_bool), ("listed", ctypes.c_bool), ("utf8", ctypes.c_bool),
                ("scratch", ctypes.POINTER(Buf))]


@pytest.fixture
def shard(scratch):
    library = native.load(scratch, "shard/hash.c", "shard/key.c", "shard/key_time.c", "parser/bytes.c", "conf/base.c")
    library.hash_of_int4.argtypes = [ctypes.c_int32]
    library.hash_of_int8.argtypes = [ctypes.c_int64]
    library.hash_of_bytes.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    library.hash_partition.argtypes = [ctypes.c_uint64, ctypes.c_uint32]
    for name in ("hash_of_int4", "hash_of_int8", "hash_of_bytes"):
        getattr(library, name).restype = ctypes.c_uint64
    library.hash_partition.restype = ctypes.c_uint32
    library.key_of_text.argtypes = [ctypes.POINTER(Reader), Span]
    library.key_of_text.restype = Value
    return library


def read(library, kind, text):
    """A key's value of a text: a number, or bytes."""
    scratch = Buf()
    reader = Reader(library.key_type_of_name(kind.encode()), False, False, True, ctypes.pointer(scratch))
    raw = text.encode()
    value = library.key_of_text(ctypes.byref(reader), Span(raw, len(raw)))
    assert value.certainty == KEY_CERTAIN, (kind, text)
    return ctypes.string_at(value.bytes.ptr, value.bytes.len) if kind in ("text", "varchar", "uuid") else value.number


def random_text():
    alphabet = "abc XYZ09'\\\t" if random.random() < 0.5 else "aä€ß中😀\u0301é"
    return "".join(random.choice(alphabet) for _ in range(random.choice((0, 1, 2, 5, 11, 12, 13, 24, 40))))


def random_integer(bits):
    return random.randrange(-2**(bits - 1), 2**(bits - 1)) >> random.randrange(bits)


def random_moment(zone):
    moment = datetime.datetime(random.randint(1, 9999), random.randint(1, 12), random.randint(1, 28),
                               *(random.randrange(limit) for limit in (24, 60, 60)),
                               random.choice((0, 5, 500000, 123456)))
    return moment.isoformat(random.choice("T ")) + (random.choice(ZONES) if zone else "")


RANDOM = {
    "int2": lambda: str(random_integer(16)),
    "int4": lambda: str(random_integer(32)),
    "int8": lambda: str(random_integer(64)),
    "text": random_text,
    "varchar": random_text,
    "uuid": lambda: random.choice((str, lambda u: u.hex.upper(), lambda u: f"{{{u}}}"))(uuid.uuid4()),
    "date": lambda: random_moment(False)[:10],
    "timestamp": lambda: random_moment(False),
    "timestamptz": lambda: random_moment(True),
    "bool": lambda: random.choice(("t", "f", "true", "no", "1")),
}
HASHES = {"int4": "hashint4extended", "int8": "hashint8extended", "text": "hashtextextended",
          "uuid": "uuid_hash_extended", "timestamp": "timestamp_hash_extended"}


def our_hash(library, kind, value):
    if isinstance(value, bytes):
        return library.hash_of_bytes(value, len(value))
    return (library.hash_of_int4 if kind in ("int2", "int4", "date", "bool") else library.hash_of_int8)(value)


@pytest.mark.parametrize("kind", RANDOM)
def test_hash_is_that_of_postgresql(pg, shard, kind):
    random.seed(4711)
    texts = [RANDOM[kind]() for _ in range(VALUES)]
    if kind.startswith("int"):
        limit = 2**(8 * int(kind[3:]) - 1)
        texts += [str(v) for v in EDGES if -limit <= v < limit]
    with pg.connect(user="postgres") as connection:
        connection.execute(f"CREATE TEMP TABLE parts (k {kind}) PARTITION BY HASH (k)")
        hashes = [our_hash(shard, kind, read(shard, kind, text)) for text in texts]
        for modulus in MODULI:
            rows = connection.execute(
                f"SELECT r FROM unnest(%s::text[]::{kind}[]) WITH ORDINALITY v(k, i), generate_series(0, %s - 1) r"
                " WHERE satisfies_hash_partition('parts'::regclass, %s, r, k) ORDER BY i", (texts, modulus, modulus))
            assert [r for r, in rows.fetchall()] == [shard.hash_partition(h, modulus) for h in hashes]


@pytest.mark.parametrize("kind", ["int4", "int8", "text", "uuid", "timestamp"])
def test_all_64_bits_are_those_of_postgresql(pg, shard, kind):
    random.seed(815)
    texts = [RANDOM[kind]() for _ in range(VALUES)]
    rows = pg.connect(user="postgres").execute(
        f"SELECT {HASHES[kind]}(k, %s) FROM unnest(%s::text[]::{kind}[]) WITH ORDINALITY v(k, i) ORDER BY i",
        (SEED, texts))
    assert [h % 2**64 for h, in rows.fetchall()] == [our_hash(shard, kind, read(shard, kind, text)) for text in texts]

