"""Seldon action logs, tables with a column map, Parquet."""

import gzip
import json

import pandas as pd
import pytest

from seldon.errors import InvalidData, InvalidParameter
from seldon.interactions import Vocabulary
from seldon.reading import read_interactions

JOBS = {
    "userid": 7, "client_userid": "u-7", "itemid": 12, "client_itemid": "i-12", "rectag": "default",
    "type": 1, "value": 2.5, "client": "shop", "timestamp_utc": "2017-04-20T18:00:00Z",
}  # fmt: skip
SERVER = {"userid": "8", "itemid": "13", "type": "1", "value": "1.0", "client": "shop"}
SECONDS = 1492711200.0


def events_of(interactions):
    return list(
        zip(
            interactions.users.ids[interactions.user].tolist(),
            interactions.items.ids[interactions.item].tolist(),
            interactions.time.tolist(),
            interactions.weight.tolist(),
            strict=True,
        )
    )


def test_actions_in_both_shapes(tmp_path):
    path = tmp_path / "actions" / "part-0.gz"
    path.parent.mkdir()
    lines = [
        json.dumps(JOBS),
        json.dumps(SERVER),
        "2017-04-20T18:00:00Z\tactions.live\t" + json.dumps(SERVER | {"itemid": "14"}),
        "",
        json.dumps(JOBS | {"userid": 0}),
        json.dumps(JOBS | {"timestamp_utc": "yesterday"}),
        "{not json",
        "[1, 2]",
        json.dumps(JOBS | {"value": "much"}),
    ]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    interactions, report = read_interactions(tmp_path / "actions", now=5.0, relative_to=tmp_path)
    assert events_of(interactions) == [
        ("7", "12", SECONDS, 2.5), ("8", "13", 5.0, 1.0), ("8", "14", SECONDS, 1.0),
    ]  # fmt: skip
    kinds = [(kind.error, kind.count, kind.samples[0].line) for kind in report.errors]
    assert kinds == [
        ("MissingFields", 1, 5), ("BadTimestampFormat", 1, 6), ("MalformedLine", 2, 7),
        ("BadWeightFormat", 1, 9),
    ]  # fmt: skip
    assert report.errors[0].samples[0].file == "actions/part-0.gz"
    assert (report.total_lines, report.successful_lines) == (8, 3)


def test_actions_stop_at_the_limit_and_know_a_catalog(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("{\n" * 3 + json.dumps(JOBS))
    _, report = read_interactions(path, error_limit=2)
    assert not report.complete and report.total_lines == 3
    path.write_text(json.dumps(JOBS) + "\n" + json.dumps(SERVER))
    interactions, report = read_interactions(path, known_items=Vocabulary(["13"]))
    assert interactions.items.ids.tolist() == ["13"]
    assert [(kind.error, kind.warning) for kind in report.errors] == [("UnknownItemId", True)]


def test_a_table_is_known_by_its_header(tmp_path):
    path = tmp_path / "actions.csv"
    path.write_text(
        'item_id,user_id,value,time\n"12",a@b,2.5,1492711200\n12,c,,1492711200000\n12,d,x,1\n'
    )
    interactions, report = read_interactions(path)
    assert events_of(interactions) == [("a@b", "12", SECONDS, 2.5), ("c", "12", SECONDS, 1.0)]
    assert [(kind.error, kind.samples[0].line) for kind in report.errors] == [
        ("BadWeightFormat", 4)
    ]


def test_a_column_map_by_name_and_by_position(tmp_path):
    path = tmp_path / "visits.tsv"
    path.write_text("when\tsku\twho\n2017-04-20\tx\ty\n")
    columns = {"user": "who", "item": "sku", "time": "when"}
    by_name, _ = read_interactions(path, columns=columns)
    by_place, report = read_interactions(path, columns={"user": 2, "item": 1, "time": 0})
    assert events_of(by_name) == [("y", "x", SECONDS - 64800, 1.0)]
    assert events_of(by_place) == events_of(by_name)
    assert report.errors[0].samples[0].line == 1
    with pytest.raises(InvalidData, match="'buyer'"):
        read_interactions(path, columns={"user": "buyer", "item": "sku"})
    with pytest.raises(InvalidParameter, match="expected 'user' and 'item'"):
        read_interactions(path, columns={"item": "sku"})
    path.write_text("who\twho\tsku\n1\t2\t3\n")
    with pytest.raises(InvalidData, match="two columns 'who' for 'user'"):
        read_interactions(path, columns={"user": "who", "item": "sku"})


def test_a_header_that_names_a_column_twice(tmp_path):
    path = tmp_path / "visits.csv"
    path.write_text("user,item,User\n1,2,3\n")
    with pytest.raises(InvalidData, match="two columns 'user' for 'user'"):
        read_interactions(path)


def test_a_table_with_semicolons(tmp_path):
    path = tmp_path / "visits.csv"
    path.write_text("user;item;time\ny;x;2017-04-20\n")
    assert events_of(read_interactions(path)[0]) == [("y", "x", SECONDS - 64800, 1.0)]


def test_options_that_the_format_does_not_have(tmp_path):
    path = tmp_path / "usage.csv"
    path.write_text("y,x\n")
    columns = {"user": 0, "item": 1}
    for options, said in (
        ({"format": "usage", "separator": ";"}, "is for tables; the format is 'usage'"),
        ({"format": "actions", "columns": columns}, "the format is 'actions'"),
        ({"separator": "ab", "columns": columns}, "not one ASCII character"),
        ({"columns": {**columns, "colour": 2}}, "expected 'user' and 'item'"),
        ({"error_limit": -1}, "error_limit=-1: expected 0 or more"),
    ):
        with pytest.raises(InvalidParameter, match=said):
            read_interactions(path, **options)


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {
            "user_id": [1, 2, 3, None],
            "item_id": ["a", "b", " ", "d"],
            "timestamp": pd.to_datetime(
                ["2017-04-20T18:00:00", None, "2017-04-20T01:00:00", None], utc=True
            ),
            "rating": [2.5, 1, 1, 1],
        }
    ).astype({"user_id": "Int64"})
    frame.to_parquet(tmp_path / "events.parquet")
    interactions, report = read_interactions(tmp_path / "events.parquet")
    assert events_of(interactions) == [("1", "a", SECONDS, 2.5)]
    kinds = {kind.error: [sample.line for sample in kind.samples] for kind in report.errors}
    assert kinds == {"BadTimestampFormat": [2], "MissingFields": [3, 4]}
    with pytest.raises(InvalidData, match="no column 'x'"):
        read_interactions(tmp_path / "events.parquet", columns={"user": "x", "item": "item_id"})


def write_parquet(path, **columns):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    write_table(pyarrow.table({n: pyarrow.array(v) for n, v in columns.items()}), path)
    return path


def test_parquet_ids_beside_nulls_stay_whole_numbers(tmp_path):
    path = write_parquet(
        tmp_path / "events.parquet",
        user=[2**60 + 1, None, 7],
        item=[1.0, 2.0, float("nan")],  # what pandas writes of a column with gaps
    )
    interactions, report = read_interactions(path, now=5.0)
    assert events_of(interactions) == [(str(2**60 + 1), "1", 5.0, 1.0)]
    assert [(kind.error, kind.count) for kind in report.errors] == [("MissingFields", 2)]


def test_parquet_types_weights_and_times(tmp_path):
    path = write_parquet(
        tmp_path / "events.parquet",
        user=[1, 2, 3, 4, 5],
        item=[1, 1, 1, 1, 1],
        time=[1.0, 2e12, 3.0, float("inf"), 5.0],
        event_type=["Purchase", "click", None, "Click", "no such"],
        weight=[None, 2.5, None, 1.0, float("inf")],
    )
    interactions, report = read_interactions(path)
    assert events_of(interactions) == [("1", "1", 1, 4), ("2", "1", 2e9, 2.5), ("3", "1", 3, 1)]
    assert {kind.error: kind.samples[0].line for kind in report.errors} == {
        "BadTimestampFormat": 4,
        "BadWeightFormat": 5,
    }


def test_parquet_stops_at_the_error_that_is_one_too_many(tmp_path):
    path = write_parquet(tmp_path / "events.parquet", user=[1] + 50 * [None], item=51 * [1])
    _, report = read_interactions(path, error_limit=10)
    assert (report.errors[0].count, len(report.errors[0].samples)) == (11, 5)
    assert (report.total_lines, report.successful_lines, report.complete) == (12, 1, False)


def test_parquet_columns_that_cannot_be_used(tmp_path):
    path = write_parquet(tmp_path / "lists.parquet", user=[[1], [2]], item=[1, 2])
    with pytest.raises(InvalidData, match=r"'user' holds list<.*not one value a row"):
        read_interactions(path)
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    twice = pyarrow.Table.from_arrays([pyarrow.array([1])] * 3, names=["user", "item", "item"])
    write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(InvalidData, match="two columns 'item' for 'item'"):
        read_interactions(tmp_path / "twice.parquet")


def test_parquet_that_is_none(tmp_path):
    pytest.importorskip("pyarrow")
    for content in (b"", b"PAR1 and no more"):
        (tmp_path / "events.parquet").write_bytes(content)
        with pytest.raises(InvalidData, match=r"events\.parquet: not a usable Parquet file"):
            read_interactions(tmp_path / "events.parquet")
