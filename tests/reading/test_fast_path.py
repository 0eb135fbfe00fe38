"""Clean lines cut a block at a time give what the exact rules give line by line."""

import datetime as dt
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seldon.reading import delimited, read_interactions
from seldon.reading.interning import PAD, Interner
from seldon.reading.numbers import parse_number, parse_numbers
from seldon.reading.times import parse_time, parse_times

PIECES = [
    "u1", "u2", " u3 ", "", " ", "\t", "i1", "é", '"q"', '"a,b"', '"open', "x@y", "u" * 300,
    "i" * 70, "2017-04-20T18:00:00", "2017/04/20 18:00:00.25", "4/20/17", "nope", "Purchase",
    "2.5", "-1", "1e3", "nan", "2017-02-29T00:00:00", "1492711200",
]  # fmt: skip


@pytest.mark.parametrize("format", ["usage", "table"])
@pytest.mark.parametrize("seed", range(30))
def test_same_as_the_exact_rules(tmp_path, monkeypatch, seed, format):
    draw = random.Random(seed)
    lines = [",".join(draw.choices(PIECES, k=draw.randint(0, 6))) for _ in range(60)]
    path = tmp_path / "usage.csv"
    path.write_text("\n".join(lines))
    options = {"format": format, "now": 7.0}
    if format == "table":
        columns = {"user": 0, "item": 1, "time": 2, "weight": 4}
        options |= {"columns": columns, "separator": ","}
    fast = read_interactions(path, error_limit=None, **options)
    everything = delimited.Block._unusual_lines
    monkeypatch.setattr(delimited.Block, "_unusual_lines", lambda self: everything(self) | np.True_)
    exact = read_interactions(path, error_limit=None, **options)
    assert fast[1].errors == exact[1].errors
    assert fast[1].total_lines == exact[1].total_lines
    for name in ("user", "item", "time", "weight"):
        assert getattr(fast[0], name).tolist() == getattr(exact[0], name).tolist()
    assert fast[0].items.ids.tolist() == exact[0].items.ids.tolist()


def laid_out(texts):
    joined = b"".join(texts)
    ends = np.cumsum([len(text) for text in texts]).astype(np.int64)
    starts = ends - [len(text) for text in texts]
    return np.frombuffer(joined + bytes(PAD), np.uint8), starts, ends


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2017-04-20T18:00:00", dt.datetime(2017, 4, 20, 18)),
        ("2017/04/20T18:00:00", dt.datetime(2017, 4, 20, 18)),
        ("2017-04-20 18:00", dt.datetime(2017, 4, 20, 18)),
        ("2017-04-20", dt.datetime(2017, 4, 20)),
        ("2017-04-20T18:00:00.25", dt.datetime(2017, 4, 20, 18, 0, 0, 250000)),
        ("2017-04-20T18:00:00.1234567Z", dt.datetime(2017, 4, 20, 18, 0, 0, 123457)),
        ("2017-04-20T18:00:00Z", dt.datetime(2017, 4, 20, 18)),
        ("2017-04-20T18:00:00+02:00", dt.datetime(2017, 4, 20, 16)),
        ("2017-04-20T18:00:00-0330", dt.datetime(2017, 4, 20, 21, 30)),
        ("4/20/2017", dt.datetime(2017, 4, 20)),
        ("4/27/20", dt.datetime(2020, 4, 27)),
        ("4/5/2017 7:03:43 AM", dt.datetime(2017, 4, 5, 7, 3, 43)),
        ("4/5/2017 12:03 pm", dt.datetime(2017, 4, 5, 12, 3)),
        ("2016-02-29T23:59:59", dt.datetime(2016, 2, 29, 23, 59, 59)),
        ("1969-07-20T20:17:40", dt.datetime(1969, 7, 20, 20, 17, 40)),
        ("0001-01-01T00:00:00", dt.datetime(1, 1, 1)),
        ("9999-12-31T23:59:59", dt.datetime(9999, 12, 31, 23, 59, 59)),
    ],
)
def test_row_46_times(text, moment):
    expected = (moment - dt.datetime(1970, 1, 1)).total_seconds()
    assert parse_time(text) == pytest.approx(expected, abs=1e-5)
    assert parse_times(*laid_out([text.encode()]))[0] == parse_time(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "18:00", "18:00:00", "2017-02-29T00:00:00", "2100-02-29T00:00:00", "2017-13-01",
        "2017-04-20T24:00:00", "2017-04-20T18:60:00", "2017-04/20T18:00:00", "0000-01-01T00:00:00",
        "2017-04-20X18:00:00", "2017-04-20T18:00:00.", "2017-04-20T18:00:00.Z", "1492711200",
        "13/1/2017", "4/5/2017 13:00 PM", "٢٠١٧-04-20", "2017-04-20T18:00:00x", "20170420",
    ],
)  # fmt: skip
def test_not_times(text):
    assert parse_time(text) is None
    assert np.isnan(parse_times(*laid_out([text.encode()]))[0])


@given(
    st.lists(st.datetimes(dt.datetime(1000, 1, 1), dt.datetime(9999, 12, 31)), max_size=20),
    st.sampled_from(["%Y-%m-%dT%H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S.%fZ"]),
)
def test_times_many_at_once(moments, form):
    texts = [moment.strftime(form) for moment in moments]
    together = parse_times(*laid_out([text.encode() for text in texts])) if texts else []
    assert list(together) == [parse_time(text) for text in texts]


@given(st.lists(st.from_regex(r"[-+0-9.eE_ ]{0,18}", fullmatch=True), max_size=20))
def test_numbers_many_at_once(texts):
    together = parse_numbers(*laid_out([text.encode() for text in texts]))
    np.testing.assert_array_equal(together, [parse_number(text) for text in texts])


@given(st.lists(st.binary(max_size=20)))
def test_interning_tells_every_text_apart(texts):
    interner = Interner(len)
    codes = interner.codes(*laid_out(texts))
    assert [interner.texts[code] for code in codes] == texts
    assert interner.marks(codes).tolist() == [len(text) for text in texts]


def test_interning_survives_a_collision(monkeypatch):
    monkeypatch.setattr("seldon.reading.interning._FACTOR", np.uint64(0))
    texts = [b"one", b"two", b"one", b"three"]
    interner = Interner(len)
    assert [interner.texts[code] for code in interner.codes(*laid_out(texts))] == texts
