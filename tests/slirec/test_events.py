import gzip

import numpy as np
import pytest

from seldon.errors import InvalidParameter
from seldon.slirec.events import Events, read_events, write_events

EVENTS = Events(np.array(["b", "a"]), np.array(["x", "NA"]), np.array(["c", ""]), np.array([5, -1]))


def test_written_events_are_read_back(tmp_path):
    for name in ("events.tsv", "events.tsv.gz"):
        write_events(EVENTS, tmp_path / name)
        found = read_events(tmp_path / name)
        for column in ("user", "item", "category", "time"):
            assert getattr(found, column).tolist() == getattr(EVENTS, column).tolist()


def test_the_same_events_are_the_same_bytes(tmp_path):
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        write_events(EVENTS, folder / "events.tsv.gz")
    one, two = ((tmp_path / name / "events.tsv.gz").read_bytes() for name in ("one", "two"))
    assert one == two
    assert gzip.decompress(one).startswith(b"user_id\titem_handle\ttimestamp\titem_category\n")


def test_columns_may_have_other_names(tmp_path):
    (tmp_path / "e.csv").write_text("who,what,at\nu,i,7\n")
    columns = {"user": "who", "item": "what", "time": "at", "category": ""}
    events = read_events(tmp_path / "e.csv", columns=columns, separator=",")
    assert (events.user[0], events.item[0], events.category[0], events.time[0]) == ("u", "i", "", 7)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("user_id\ttimestamp\nu\t1\n", "no column 'item_handle'"),
        (
            "user_id\titem_handle\ttimestamp\titem_category\nu\ti\tyesterday\tc\n",
            "line 2: timestamp='yesterday'",
        ),
        (
            "user_id\titem_handle\ttimestamp\titem_category\nu\ti\t1\tc\n\ti\t1\tc\n",
            "line 3: 'user_id' is empty",
        ),
        ("", "not a table of events"),
    ],
)
def test_bad_tables_are_refused_with_the_line(tmp_path, body, says):
    (tmp_path / "e.tsv").write_text(body)
    with pytest.raises(InvalidParameter, match=says):
        read_events(tmp_path / "e.tsv")


def test_only_a_category_may_lack(tmp_path):
    with pytest.raises(InvalidParameter, match="column map leaves out 'item'"):
        read_events(tmp_path / "e.tsv", columns={"item": ""})


@pytest.mark.parametrize("separator", ["", ";;"])
def test_a_separator_is_one_character(tmp_path, separator):
    with pytest.raises(InvalidParameter, match="is not one character"):
        read_events(tmp_path / "e.tsv", separator=separator)


def test_another_separator_is_suggested(tmp_path):
    (tmp_path / "e.tsv").write_text("user_id,item_handle,timestamp,item_category\n")
    with pytest.raises(InvalidParameter, match=r"when split at '\\t', only 'user_id,item_handle"):
        read_events(tmp_path / "e.tsv")
