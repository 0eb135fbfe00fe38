"""Progress for people, tables for people, JSON for programs."""

import io
import json

import numpy as np

from seldon.sar.terminal import ProgressBar, print_json, table


def test_progress_is_silent_where_nobody_watches():
    stream = io.StringIO()
    with ProgressBar("reading", 10, stream=stream) as bar:
        bar.advance(10)
    assert stream.getvalue() == ""


def test_progress_ends_full():
    stream = io.StringIO()
    with ProgressBar("reading", 10, stream=stream, shown=True) as bar:
        bar.advance(3)
        bar.reach(0.7)
        assert bar.done == 7
    last = stream.getvalue().rstrip("\n").split("\r")[-1]
    assert "100%" in last
    assert "#" * 28 in last


def test_progress_of_a_failure_does_not_pretend():
    stream = io.StringIO()
    try:
        with ProgressBar("reading", 10, stream=stream, shown=True):
            raise ValueError
    except ValueError:
        pass
    assert "100%" not in stream.getvalue()


def test_table_aligns_names_left_and_numbers_right():
    text = table([("a", 5), ("longer", 12345)], ("item", "score"))
    assert text.splitlines() == [
        "item     score",
        "------  ------",
        "a            5",
        "longer  12,345",
    ]


def test_table_of_facts():
    assert table({"model": "m", "exact": True, "none": None}).splitlines() == [
        "model  m",
        "exact  yes",
        "none   –",
    ]
    assert table([], ("item", "score")) == "item  score\n----  -----"


def test_json_has_no_nan_and_no_numpy():
    stream = io.StringIO()
    print_json({"a": np.float32(0.5), "b": float("nan"), "c": (np.int64(2), "ü")}, stream)
    assert json.loads(stream.getvalue()) == {"a": 0.5, "b": None, "c": [2, "ü"]}
    assert "ü" in stream.getvalue()
