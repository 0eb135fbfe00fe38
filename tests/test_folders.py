"""A model folder appears whole or not at all, and a damaged one is refused by name."""

import json

import numpy as np
import pytest

from seldon.errors import InvalidModel, ModelNotFound
from seldon.folders import open_folder, publishing


@pytest.fixture
def folder(tmp_path):
    with publishing(tmp_path / "model", "some.module:Class", {"answer": 42}) as path:
        np.save(path / "numbers.npy", np.arange(1000))
    return tmp_path / "model"


def test_round_trip(folder):
    opened = open_folder(folder)
    assert opened.kind == "some.module:Class"
    assert opened.metadata == {"answer": 42}
    assert opened.array("numbers").tolist() == list(range(1000))
    assert opened.version == open_folder(folder).version


def test_nothing_is_left_of_a_failed_write(folder):
    before = open_folder(folder).version
    with pytest.raises(RuntimeError), publishing(folder, "other") as path:
        (path / "half").write_text("half")
        raise RuntimeError
    assert open_folder(folder).version == before
    assert [entry.name for entry in folder.parent.iterdir()] == ["model"]


def test_replacing_an_older_folder(folder):
    with publishing(folder, "other") as path:
        (path / "text").write_text("new")
    assert list(open_folder(folder).files) == ["text"]
    assert [entry.name for entry in folder.parent.iterdir()] == ["model"]


def test_what_is_no_model_is_never_replaced(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter").write_text("one")
    with (
        pytest.raises(InvalidModel, match="not a model folder; it is not replaced"),
        publishing(tmp_path / "thesis", "kind"),
    ):
        pass
    assert (tmp_path / "thesis/chapter").read_text() == "one"
    (tmp_path / "empty").mkdir()
    with publishing(tmp_path / "empty", "kind"):
        pass
    assert open_folder(tmp_path / "empty").kind == "kind"


def test_row_32_flipped_bit(folder):
    data = bytearray((folder / "numbers.npy").read_bytes())
    data[500] ^= 1
    (folder / "numbers.npy").write_bytes(data)
    with pytest.raises(InvalidModel, match=r"numbers\.npy: its SHA-256"):
        open_folder(folder)


def test_row_32_truncated(folder):
    data = (folder / "numbers.npy").read_bytes()
    (folder / "numbers.npy").write_bytes(data[:-8])
    with pytest.raises(InvalidModel, match=r"numbers\.npy: has \d+ bytes"):
        open_folder(folder)


def test_row_32_wrong_schema(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "schema": 99}))
    with pytest.raises(InvalidModel, match="schema is 99"):
        open_folder(folder)


def test_row_35_header_that_announces_terabytes(tmp_path):
    with publishing(tmp_path / "model", "kind") as path:
        header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
        header += b" " * (118 - len(header) - 1) + b"\n"
        (path / "bomb.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + header + b"\0" * 64)
    with pytest.raises(InvalidModel, match=r"bomb\.npy: not a usable array"):
        open_folder(tmp_path / "model").array("bomb")


def test_row_34_pickled_array_is_refused(tmp_path):
    with publishing(tmp_path / "model", "kind") as path:
        np.save(path / "objects.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(InvalidModel, match=r"objects\.npy: not a usable array"):
        open_folder(tmp_path / "model").array("objects")


def test_row_35_symlink_is_refused(folder, tmp_path):
    (folder / "numbers.npy").rename(tmp_path / "elsewhere")
    (folder / "numbers.npy").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidModel, match="leads out"):
        open_folder(folder)


def test_missing_folder(tmp_path):
    with pytest.raises(ModelNotFound, match="not a model folder"):
        open_folder(tmp_path / "none")
