import pytest

from seldon.whole_files import whole_file


def test_a_file_appears_at_the_end_and_its_folder_with_it(tmp_path):
    path = tmp_path / "folder" / "file"
    with whole_file(path) as file:
        file.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_what_stood_there_stays_when_writing_fails(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(OSError, match="full"), whole_file(path) as file:
        file.write_text("half")
        raise OSError("the disk is full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
