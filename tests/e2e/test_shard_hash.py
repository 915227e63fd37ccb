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
SETTINGS = (("ISO, MDY", "UTC"), ("SQL, DMY", "Asia/Tokyo"), ("German", "America/New_York"), ("ISO, YMD", "-03:30"))
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


@pytest.fixture(scope="module")
def shard(worker_root):
    folder = worker_root / "hash"
    folder.mkdir()
    library = native.load(folder, "shard/hash.c", "shard/key.c", "shard/key_time.c", "parser/bytes.c", "conf/base.c")
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
    """A key's value of a text: a number, or bytes; None where it is not certain."""
    scratch = Buf()
    reader = Reader(library.key_type_of_name(kind.encode()), False, False, True, ctypes.pointer(scratch))
    raw = text.encode()
    value = library.key_of_text(ctypes.byref(reader), Span(raw, len(raw)))
    if value.certainty != KEY_CERTAIN:
        return None
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
HASHES = {
    "int4": f"hashint4extended({{}}, {SEED})", "int8": f"hashint8extended({{}}, {SEED})",
    "text": f"hashtextextended({{}}, {SEED})", "uuid": f"uuid_hash_extended({{}}, {SEED})",
    "date": f"hashint4extended({{}} - date '2000-01-01', {SEED})", "bool": f"hashint4extended(({{}})::int, {SEED})",
    "timestamp": f"timestamp_hash_extended({{}}, {SEED})",
    "timestamptz": f"timestamp_hash_extended({{}} AT TIME ZONE 'UTC', {SEED})",
}


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
        keys = [read(shard, kind, text) for text in texts]
        assert None not in keys
        hashes = [our_hash(shard, kind, key) for key in keys]
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
        f"SELECT {HASHES[kind].format('k')} FROM unnest(%s::text[]::{kind}[]) WITH ORDINALITY v(k, i) ORDER BY i",
        (texts,))
    assert [h % 2**64 for h, in rows.fetchall()] == [our_hash(shard, kind, read(shard, kind, text)) for text in texts]


def distorted(text):
    """The text with some of its characters gone, doubled, or others."""
    for _ in range(random.randrange(3)):
        at = random.randrange(len(text) + 1)
        text = text[:at] + random.choice((*" -+01.:/eTZ{\t_", "")) + text[at + random.randrange(2):]
    return text


@pytest.mark.parametrize("kind", ["int4", "int8", "uuid", "date", "timestamp", "timestamptz"])
def test_a_value_that_is_certain_is_that_of_postgresql_whatever_its_settings(pg, shard, kind):
    random.seed(1984)
    texts = [distorted(RANDOM[kind]()) for _ in range(VALUES)]
    texts += "now today infinity -infinity epoch 1/2/2024 20240102 2024.01.02 0x1F 1e3 1.0".split()
    keys = {text: key for text in texts if (key := read(shard, kind, text)) is not None}
    compared = 0
    with pg.connect(user="postgres") as connection:
        connection.execute(
            f"CREATE FUNCTION pg_temp.hash_of(t text) RETURNS numeric LANGUAGE plpgsql AS $$BEGIN"
            f" RETURN {HASHES[kind].format(f't::{kind}')}; EXCEPTION WHEN data_exception THEN RETURN NULL; END$$")
        for style, zone in SETTINGS:
            connection.execute(f"SET DateStyle = '{style}'")
            connection.execute(f"SET TimeZone = '{zone}'")
            rows = connection.execute("SELECT t, pg_temp.hash_of(t) FROM unnest(%s::text[]) t", (list(keys),))
            for text, theirs in rows.fetchall():
                if theirs is not None:
                    assert int(theirs) % 2**64 == our_hash(shard, kind, keys[text]), (text, style, zone)
                    compared += 1
    assert compared > VALUES
