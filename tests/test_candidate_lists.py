"""Values in memcached: every writer's form is read, everything else is refused with a reason."""

import gzip
import json
import pickle
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seldon.candidate_lists import MAX_INFLATED_BYTES, UnreadableList, read_list

TEXT_JAVA, TEXT_PYTHON, GZIP, ZLIB = 0, 16, 2, 8
MOST = 200_000
POPULAR = b'[{"item":9958,"score":4995.0},{"item":9957,"score":1.0E7},{"item":3,"score":0.0}]'


def ids_of(data, flags=TEXT_JAVA, most=MOST):
    parsed = read_list(flags, data, most)
    assert not parsed.cut
    return parsed.ids.tolist()


def by_json(text):
    """The oracle: what the standard library reads, sorted and distinct."""
    return sorted(set(json.loads(text)))


def java(ids):
    return ("[" + ",".join(map(str, ids)) + "]").encode()


@pytest.mark.parametrize("number", [0, 1, 2, 3, 10, 1000, 100_000])
def test_ids_as_java_writes_them(number):
    ids = list(range(number + 1_234_567, 1_234_567, -1))
    assert ids_of(java(ids)) == sorted(ids)
    assert ids_of(bytearray(java(ids))) == sorted(ids)
    assert ids_of(java(ids[::-1])) == sorted(ids)


def test_ids_as_python_writes_them():
    ids = random.Random(0).sample(range(10**9), 5000)
    for separators in (None, (",", ":")):
        text = json.dumps(ids, separators=separators).encode()
        assert ids_of(text, TEXT_PYTHON) == ids_of(text) == sorted(ids)
    assert ids_of(json.dumps(ids, indent=1).encode(), TEXT_PYTHON) == sorted(ids)


def test_the_most_popular_list_of_objects():
    """Its scores are counts and may read 1.0E7; only the items matter."""
    assert ids_of(POPULAR) == [3, 9957, 9958]
    assert ids_of(POPULAR.replace(b",", b" ,\n ")) == [3, 9957, 9958]


@pytest.mark.parametrize("width", range(1, 20))
def test_ids_of_every_width_and_of_mixed_ones(width):
    rng = random.Random(width)
    low, high = 10 ** (width - 1), min(10**width, 2**63) - 1
    same = [rng.randint(low, high) for _ in range(200)]
    mixed = [rng.randint(0, 10 ** rng.randint(1, width) - 1) for _ in range(200)]
    mixed = [min(each, 2**63 - 1) for each in mixed]
    for ids in (same, mixed, sorted(mixed), same[:3], [low, high]):
        assert ids_of(java(ids)) == sorted(set(ids))


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(0, 200), max_size=80),
    st.sampled_from([",", ", ", " ,", ",\n\t"]),
    st.sampled_from(["", " ", "\r\n"]),
)
def test_reads_what_json_reads(ids, separator, blank):
    text = f"{blank}[{blank}{separator.join(map(str, ids))}{blank}]{blank}"
    assert ids_of(text.encode()) == by_json(text)


@given(st.lists(st.integers(0, 10**16), min_size=5, max_size=60), st.data())
def test_row_15_a_damaged_list_is_never_another_list(ids, data):
    """Whatever single byte is changed: read as JSON reads it, or refused."""
    text = bytearray(java(ids))
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        expected = json.loads(text.decode("utf-8"))
    except ValueError:
        expected = None
    valid = isinstance(expected, list) and all(
        type(each) is int and -(2**63) <= each < 2**63 for each in expected
    )
    if valid:
        assert ids_of(text) == sorted(set(expected))
    else:
        with pytest.raises(UnreadableList):
            read_list(TEXT_JAVA, text, MOST)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[",
        b"[1,2",
        b"[1,2,]",
        b"[1,,2]",
        b"1,2",
        b"null",
        b"{}",
        b'{"item":1}',
        b'"[1,2]"',
        b"12",
        b"true",
        b'["1","2"]',
        b"[1.0,2.0]",
        b"[1e3]",
        b"[[1],[2]]",
        b"[1,[2]]",
        b"[NaN]",
        b"[1,null]",
        b"[true,false]",
        b"[1,true]",
        b"[9223372036854775808]",
        b"[-9223372036854775809]",
        b"[01,02]",
        b"[1234567,0234567,2345678,1234569]",
        b"[1234567,123456:,2345678,1234569]",
        b"[1234567,123 456,2345678,1234569]",
        b"[1234567,-234567,234567a,1234569]",
        b"[1,2]x",
        b"[1,2][3]",
        b"\xef\xbb\xbf[1,2]",
        b"\xff\xfe[1]",
        b"[\xd9\xa1]",
        b"[{}]",
        b'[{"item":"1"}]',
        b'[{"item":1},{"id":2}]',
        b'[{"item":1},2]',
        b'[1,{"item":2}]',
        b'[{"item":1.5}]',
        b'[{"item":true}]',
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
    ],
)
def test_row_15_a_value_that_is_no_list_of_ids(text):
    with pytest.raises(UnreadableList):
        read_list(TEXT_JAVA, text, MOST)
    with pytest.raises(UnreadableList):
        read_list(TEXT_PYTHON, bytearray(text), MOST)


def test_row_15_duplicates_count_once():
    assert ids_of(b"[5,5,3,5,3]") == [3, 5]
    assert ids_of(java([1234567] * 1000)) == [1234567]


@pytest.mark.parametrize("write", [java, lambda ids: json.dumps(ids).encode()])
@pytest.mark.parametrize("most", [1, 2, 7, 50, 99, 100])
def test_row_15_a_long_list_is_cut_to_its_first_ids(write, most):
    newest_first = list(range(1_000_100, 1_000_000, -1))
    parsed = read_list(TEXT_JAVA, write(newest_first), most)
    assert parsed.ids.tolist() == sorted(newest_first[:most])
    assert parsed.cut == (most < 100)
    objects = json.dumps([{"item": each, "score": 1} for each in newest_first]).encode()
    assert read_list(TEXT_JAVA, objects, most).ids.tolist() == sorted(newest_first[:most])


def test_row_15_a_million_ids_are_cut():
    parsed = read_list(TEXT_JAVA, java(range(10**6, 2 * 10**6)), MOST)
    assert parsed.cut
    assert parsed.ids.tolist() == list(range(10**6, 10**6 + MOST))


class Canary:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was run')",))


@pytest.mark.parametrize(
    ("flags", "data"),
    [
        (1, pickle.dumps([1, 2])),
        (1, pickle.dumps(Canary())),
        (1, b"[1,2]"),
        (1, b"\xac\xed\x00\x05sr\x00\x13java.util.ArrayList"),
        (2, b"[1,2]"),
        (2, b"12"),
        (4, b"12"),
        (2, b"\x1f\x8b"),
        (2, gzip.compress(b"[1,2]", mtime=0)[:-9]),
        (2, gzip.compress(b"[1,2]", mtime=0)[:-4]),
        (2, b"\x1f\x8b" + b"\0" * 40),
        (8, b"[1,2]"),
        (8, zlib.compress(b"[1,2]")[:-1]),
        (8, b""),
        (3, gzip.compress(b"[1,2]", mtime=0)),
        (9, zlib.compress(pickle.dumps([1]))),
        (10, zlib.compress(b"12")),
        (32, b"[1,2]"),
        (2**31, b"[1,2]"),
    ],
)
def test_row_16_flags_that_are_no_text(flags, data):
    with pytest.raises(UnreadableList):
        read_list(flags, data, MOST)


@pytest.mark.parametrize("number", [1, 3000])
def test_row_16_compressed_lists_are_read(number):
    """Java gzips long texts that do not look like JSON; pylibmc compresses when told to."""
    text = java(range(1000, 1000 + number))
    expected = by_json(text)
    assert ids_of(gzip.compress(text), GZIP) == expected
    assert ids_of(zlib.compress(text), ZLIB) == expected
    assert ids_of(zlib.compress(text), ZLIB | TEXT_PYTHON) == expected


@pytest.mark.parametrize(("flags", "compress"), [(GZIP, gzip.compress), (ZLIB, zlib.compress)])
def test_row_16_a_bomb_stops_at_the_ceiling(flags, compress):
    bomb = compress(b" " * (20 * 2**20))
    assert len(bomb) < 25_000
    with pytest.raises(UnreadableList, match="inflates to more than"):
        read_list(flags, bomb, MOST)
    inside = compress(b"[1]" + b" " * (MAX_INFLATED_BYTES - 3))
    assert ids_of(inside, flags) == [1]
