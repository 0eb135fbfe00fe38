"""Row 37: files as they come."""

import gzip

import numpy as np
import pytest

from seldon.errors import InvalidData
from seldon.reading import read_interactions
from seldon.reading import text as text_module

T = "2017-04-20T18:00:00"
LINES = f"u1,i1,{T}\nu2,i2,{T}\n,i2,{T}\nu3,i3,{T}\n"


@pytest.fixture
def read(tmp_path):
    def read(content, name="usage.csv"):
        (tmp_path / name).write_bytes(content)
        return read_interactions(tmp_path / name, format="usage")

    return read


@pytest.mark.parametrize(
    "content",
    [
        LINES.encode(),
        LINES.rstrip("\n").encode(),
        LINES.replace("\n", "\r\n").encode(),
        LINES.replace("\n", "\r").encode(),
        LINES.encode("utf-8-sig"),
        LINES.encode("utf-16"),
        b"\xff\xfe\x00\x00" + LINES.encode("utf-32-le"),
        gzip.compress(LINES.encode()),
    ],
    ids=["plain", "no final newline", "CRLF", "CR", "BOM", "UTF-16", "UTF-32", "gzip"],
)
def test_row_37_line_ends_and_encodings(read, content):
    events, report = read(content)
    assert events.items.ids.tolist() == ["i1", "i2", "i3"]
    assert (report.total_lines, report.successful_lines) == (4, 3)
    assert report.errors[0].samples[0].line == 3


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_row_37_blocks_may_end_anywhere(read, monkeypatch, size):
    content = f'u1,"i\n\n,""1",{T}\r\nu2,ï2,{T}\r\r\nu3,i3,bad\n"u4"x,i,{T}\nu5,i5,{T}'.encode()
    whole, report = read(content)
    monkeypatch.setattr(text_module, "BLOCK", size)
    parts, again = read(content)
    assert parts.items.ids.tolist() == whole.items.ids.tolist() == ['i\n,"1', "i5", "ï2"]
    assert again.errors == report.errors
    assert [kind.samples[0].line for kind in report.errors] == [6, 7]


def test_row_37_latin_1_keeps_letters_apart(read):
    events, _ = read(f"u1,caf\u00e9,{T}\nu1,caf\u00e8,{T}\n".encode("latin-1"))
    assert events.items.ids.tolist() == ["caf\u00e8", "caf\u00e9"]


def test_row_37_nul_is_malformed(read):
    _, report = read(f"u1,i1,{T}\nu2,i\0,{T}\n".encode())
    assert [(kind.error, kind.samples[0].line) for kind in report.errors] == [("MalformedLine", 2)]


def test_row_37_a_line_of_ten_megabytes(read):
    long = b"u1," + b"x" * 10_000_000 + f",{T}\n".encode()
    _, report = read(long + f"u1,i1,{T}\n".encode() + long + f"u1,i1,{T}\n".encode())
    assert (report.total_lines, report.successful_lines) == (4, 2)
    assert [(kind.error, kind.count) for kind in report.errors] == [("MalformedLine", 2)]
    assert [sample.line for sample in report.errors[0].samples] == [1, 3]


def test_row_37_an_empty_file(read):
    events, report = read(b"")
    assert len(events) == 0 and report.total_lines == 0 and not report.usable


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04" + bytes(100), "Excel"),
        (b"\xd0\xcf\x11\xe0" + bytes(100), r"\.xls\)"),
        (b"PAR1" + bytes(100), "Parquet"),
        (bytes(range(256)) * 40, "not a text file"),
        (gzip.compress(LINES.encode() * 50)[:60], "incomplete gzip"),
        (b"\x1f\x8b" + b"nonsense", "gzip"),
    ],
    ids=["xlsx", "xls", "parquet", "binary", "cut gzip", "no gzip"],
)
def test_row_37_not_text(read, content, message):
    with pytest.raises(InvalidData, match=message):
        read(content)


def test_row_37_a_gzip_bomb(read, monkeypatch):
    monkeypatch.setattr(text_module, "_UNPACKED_FREELY", 1 << 20)
    with pytest.raises(InvalidData, match="200 times"):
        read(gzip.compress(b"\n" * (16 << 20)))


def test_a_folder_without_files(tmp_path):
    with pytest.raises(InvalidData, match="no files"):
        read_interactions(tmp_path)


def test_memory_is_that_of_the_events(read):
    events, _ = read(LINES.encode())
    assert (events.user.dtype, events.item.dtype, events.weight.dtype) == (
        np.int32, np.int32, np.float32,
    )  # fmt: skip
