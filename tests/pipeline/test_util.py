"""PipelineWrapper: the documented ways into a DataFrame, and out."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from seldon.pipeline import util as sutl

ROWS = [{"a": 1, "b": 2}, {"a": 3, "b": 4}]


@pytest.fixture
def wrapper(tmp_path):
    return sutl.PipelineWrapper(work_folder=str(tmp_path / "work"))


def test_what_is_given_as_data(wrapper):
    frame = pd.DataFrame(ROWS)
    assert wrapper.create_dataframe(frame) is frame
    assert wrapper.create_dataframe() is None
    assert wrapper.create_dataframe({"a": 1, "b": "x"}).to_dict("records") == [{"a": 1, "b": "x"}]
    assert np.array_equal(wrapper.create_dataframe([4.8, 3.0, 1.4]), [[4.8, 3.0, 1.4]])
    with pytest.raises(ValueError, match="cannot make a DataFrame of a int"):
        wrapper.create_dataframe(3)


@pytest.mark.parametrize("text", [json.dumps(ROWS), "\n".join(map(json.dumps, ROWS)) + "\n\n"])
def test_json_files_and_folders(wrapper, tmp_path, text):
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "1.json").write_text(text)
    (tmp_path / "events" / "2.json").write_text('{"a": 5}\n')
    assert wrapper.create_dataframe(str(tmp_path / "events" / "1.json")).to_dict("records") == ROWS
    frame = wrapper.create_dataframe([str(tmp_path / "events")])
    assert frame["a"].tolist() == [1, 3, 5]
    assert frame["b"].tolist()[:2] == [2, 4]
    assert np.isnan(frame["b"][2])


def test_csv(wrapper, tmp_path):
    frame = pd.DataFrame({"a": ["a b", "word1"], "c": [3.0, None], "d": ["2020-01-02"] * 2})
    file = str(tmp_path / "saved.csv")
    wrapper.save_dataframe(frame, file, "csv", csv_index=False)
    again = wrapper.create_dataframe(file, df_format="csv", csv_dates=["d"])
    pd.testing.assert_frame_equal(again[["a", "c"]], frame[["a", "c"]])
    assert again["d"].dt.day.tolist() == [2, 2]
    both = wrapper.create_dataframe_from_files([file, file], "csv")
    assert len(both) == 4
    assert both.index.is_unique


def test_saved_json_leaves_out_what_is_missing(wrapper, tmp_path):
    frame = pd.DataFrame({"b": [1, 2], "a": ["x", None], "l": [[1, 2], [3]]})
    wrapper.save_dataframe(frame, tmp_path / "f.json")
    lines = (tmp_path / "f.json").read_text().splitlines()
    assert lines == ['{"a": "x", "b": 1, "l": [1, 2]}', '{"b": 2, "l": [3]}']


def test_fsspec_locations(wrapper):
    wrapper.save_dataframe(pd.DataFrame(ROWS), "memory://data/events/f.json")
    assert wrapper.create_dataframe("memory://data/events/f.json").to_dict("records") == ROWS
    assert len(wrapper.create_dataframe_from_files(["memory://data/events"])) == 2


def test_gzip_files(wrapper, tmp_path):
    (tmp_path / "f.json.gz").write_bytes(gzip.compress(json.dumps(ROWS).encode()))
    assert wrapper.create_dataframe(str(tmp_path / "f.json.gz")).to_dict("records") == ROWS


def test_other_formats_are_refused(wrapper, tmp_path):
    with pytest.raises(ValueError, match="df_format is 'xml'"):
        wrapper.create_dataframe_from_files([tmp_path], "xml")
    with pytest.raises(ValueError, match="df_format is 'xml'"):
        wrapper.save_dataframe(pd.DataFrame(ROWS), tmp_path / "f", "xml")


def test_the_old_name():
    with pytest.warns(DeprecationWarning, match="PipelineWrapper"):
        assert sutl.Pipeline_wrapper is sutl.PipelineWrapper
