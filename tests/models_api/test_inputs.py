import io
import os

import pytest

from seldon.errors import InvalidParameter, InvalidSetting, ModelNotFound
from seldon.models_api.inputs import normalised, open_inputs

ESCAPES = [
    "../secret.csv",
    "../../etc/passwd",
    "usage/../../other/usage.csv",
    "..\\secret.csv",
    "a\0b",
    "link.csv",
    "linked/secret.csv",
    "%2e%2e/secret.csv",
    "/etc/passwd",
]


@pytest.fixture(params=["local", "remote"])
def inputs(request, tmp_path):
    if request.param == "local":
        inputs = open_inputs(str(tmp_path / "root"))
    else:
        inputs = open_inputs(f"memory://{tmp_path.name}")
    for path in ("usage/part2.csv", "usage/part1.csv", "usage/deeper/part3.csv", "catalog.csv"):
        inputs.write("shop", path, io.BytesIO(path.encode()))
    return inputs


def test_a_folder_is_its_files_and_not_those_deeper(inputs, tmp_path):
    staged = inputs.stage("shop", "usage", tmp_path / "staged")
    assert staged == tmp_path / "staged" / "usage"
    assert {file.name: file.read_bytes() for file in staged.iterdir()} == {
        "part1.csv": b"usage/part1.csv",
        "part2.csv": b"usage/part2.csv",
    }


def test_a_file_is_itself(inputs, tmp_path):
    staged = inputs.stage("shop", "/usage\\part2.csv/", tmp_path / "staged")
    assert staged == tmp_path / "staged" / "usage" / "part2.csv"
    assert staged.read_bytes() == b"usage/part2.csv"
    assert inputs.stage("shop", "usage/part2.csv", tmp_path / "staged") == staged


def test_what_is_there_and_what_is_not(inputs, tmp_path):
    assert inputs.has_container("shop") and not inputs.has_container("other")
    assert inputs.is_file("shop", "catalog.csv") and not inputs.is_file("shop", "usage")
    assert inputs.has_files("shop", "usage") and not inputs.has_files("shop", "usages")
    assert not inputs.has_files("other", "usage")
    with pytest.raises(ModelNotFound, match="not there any more"):
        inputs.stage("shop", "usages", tmp_path / "staged")


def test_hidden_files_are_no_input(inputs, tmp_path):
    with pytest.raises(InvalidParameter):
        inputs.write("shop", "usage/.part.csv", io.BytesIO(b"x"))
    assert len(list(inputs.stage("shop", "usage", tmp_path / "staged").iterdir())) == 2


@pytest.mark.parametrize("path", ESCAPES)
def test_row_38_no_path_leaves_its_container(tmp_path, path):
    inputs = open_inputs(str(tmp_path / "root"))
    inputs.write("shop", "usage.csv", io.BytesIO(b"x"))
    inputs.write("other", "usage.csv", io.BytesIO(b"x"))
    (tmp_path / "root" / "secret.csv").write_text("secret")
    os.symlink(tmp_path / "root" / "secret.csv", tmp_path / "root" / "shop" / "link.csv")
    os.symlink(tmp_path / "root", tmp_path / "root" / "shop" / "linked")
    assert not inputs.has_files("shop", path)
    assert not inputs.is_file("shop", path)
    with pytest.raises(ModelNotFound):
        inputs.stage("shop", path, tmp_path / "staged")


@pytest.mark.parametrize("container", ["", "..", ".", ".uploads", "a/b", "/etc", "a\0", "linked"])
def test_row_38_no_container_is_elsewhere(tmp_path, container):
    inputs = open_inputs(str(tmp_path / "root"))
    inputs.write("shop", "usage.csv", io.BytesIO(b"x"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "usage.csv").write_text("secret")
    os.symlink(tmp_path / "elsewhere", tmp_path / "root" / "linked")
    assert not inputs.has_container(container)
    assert not inputs.has_files(container, "usage.csv")


@pytest.mark.parametrize("path", ["../x.csv", "a/../../x", "", "/", "linked/x.csv", "a\0b", ".x"])
def test_row_38_no_upload_leaves_its_container(tmp_path, path):
    inputs = open_inputs(str(tmp_path / "root"))
    inputs.write("shop", "usage.csv", io.BytesIO(b"x"))
    (tmp_path / "elsewhere").mkdir()
    os.symlink(tmp_path / "elsewhere", tmp_path / "root" / "shop" / "linked")
    with pytest.raises(InvalidParameter):
        inputs.write("shop", path, io.BytesIO(b"x"))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_an_upload_that_breaks_off_leaves_nothing(tmp_path):
    class Broken(io.RawIOBase):
        def readinto(self, buffer):
            raise ConnectionResetError

    inputs = open_inputs(str(tmp_path / "root"))
    with pytest.raises(ConnectionResetError):
        inputs.write("shop", "usage.csv", Broken())
    assert [path for path in (tmp_path / "root").rglob("*") if path.is_file()] == []


def test_a_file_in_the_way(tmp_path):
    inputs = open_inputs(str(tmp_path / "root"))
    inputs.write("shop", "usage", io.BytesIO(b"x"))
    with pytest.raises(InvalidParameter, match="in the way"):
        inputs.write("shop", "usage/part1.csv", io.BytesIO(b"x"))


def test_an_unknown_scheme_is_a_clear_start_error():
    with pytest.raises(InvalidSetting, match="MODELS_INPUT_ROOT='ftpx://a'"):
        open_inputs("ftpx://a")


def test_stored_paths_have_plain_slashes():
    assert normalised("\\in\\usage/") == "in/usage"
