import fcntl
import io
import os

import pytest

from seldon.errors import Conflict, InvalidParameter
from seldon.models_api.inputs import open_inputs
from seldon.models_api.parts import PartialUploads


@pytest.fixture(params=["local", "remote", "on another disk"])
def uploads(request, tmp_path, monkeypatch):
    """Uploads into the inputs `uploads.inputs`; their parts are in the folder `parts`."""
    root = f"memory://{tmp_path.name}" if request.param == "remote" else str(tmp_path / "root")
    uploads = PartialUploads(tmp_path / "parts", open_inputs(root))
    uploads.inputs = uploads._inputs
    if request.param == "on another disk":
        replace = os.replace

        def refuse(source, target):
            if os.fspath(source).startswith(str(tmp_path / "parts")):
                raise OSError(18, "Invalid cross-device link")
            replace(source, target)

        monkeypatch.setattr(os, "replace", refuse)
    return uploads


def stored(inputs, path, folder):
    return inputs.stage("shop", path, folder).read_bytes()


def test_a_file_appears_when_its_last_part_has_come(uploads, tmp_path):
    for start, block in ((0, b"abc"), (3, b"def")):
        assert not uploads.add("shop", "in/a.csv", io.BytesIO(block), start, 8)
        assert not uploads.inputs.has_files("shop", "in")
    assert uploads.add("shop", "in/a.csv", io.BytesIO(b"gh"), 6, 8)
    assert stored(uploads.inputs, "in/a.csv", tmp_path / "staged") == b"abcdefgh"
    assert list((tmp_path / "parts").iterdir()) == []


def test_two_files_at_once_and_a_new_beginning(uploads, tmp_path):
    uploads.add("shop", "a.csv", io.BytesIO(b"old and long"), 0, 99)
    uploads.add("shop", "b.csv", io.BytesIO(b"123"), 0, 6)
    uploads.add("shop", "a.csv", io.BytesIO(b"abc"), 0, 6)
    assert uploads.add("shop", "b.csv", io.BytesIO(b"456"), 3, 6)
    assert uploads.add("shop", "a.csv", io.BytesIO(b"def"), 3, 6)
    assert stored(uploads.inputs, "a.csv", tmp_path / "staged") == b"abcdef"
    assert stored(uploads.inputs, "b.csv", tmp_path / "staged") == b"123456"


def test_missing_bytes_and_too_many(uploads):
    with pytest.raises(Conflict, match="0 bytes have come, not 3"):
        uploads.add("shop", "a.csv", io.BytesIO(b"def"), 3, 6)
    uploads.add("shop", "a.csv", io.BytesIO(b"abc"), 0, 6)
    with pytest.raises(InvalidParameter, match="7 bytes have come, 6 were announced"):
        uploads.add("shop", "a.csv", io.BytesIO(b"defg"), 3, 6)
    with pytest.raises(Conflict, match="0 bytes have come, not 3"):
        uploads.add("shop", "a.csv", io.BytesIO(b"def"), 3, 6)


def test_two_parts_of_one_file_are_not_mixed(uploads, tmp_path):
    uploads.add("shop", "a.csv", io.BytesIO(b"abc"), 0, 6)
    (part,) = (tmp_path / "parts").iterdir()
    with part.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="another part of it is being written"):
            uploads.add("shop", "a.csv", io.BytesIO(b"def"), 3, 6)
    assert uploads.add("shop", "a.csv", io.BytesIO(b"def"), 3, 6)


@pytest.mark.parametrize("path", ["../a.csv", "", ".a", "a/\0"])
def test_row_38_a_bad_name_is_refused_before_anything_is_kept(uploads, tmp_path, path):
    with pytest.raises(InvalidParameter, match="plain names"):
        uploads.add("shop", path, io.BytesIO(b"abc"), 0, 6)
    assert not (tmp_path / "parts").exists()


def test_what_broke_off_does_not_stay_for_ever(uploads, tmp_path):
    uploads.add("shop", "a.csv", io.BytesIO(b"abc"), 0, 6)
    (part,) = (tmp_path / "parts").iterdir()
    os.utime(part, (0, 0))
    uploads.add("shop", "b.csv", io.BytesIO(b"abc"), 0, 6)
    assert not part.exists()
    assert uploads.add("shop", "b.csv", io.BytesIO(b"def"), 3, 6)
