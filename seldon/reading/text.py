"""Text files as blocks of whole lines, and the exact splitting of one record into fields."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from seldon.errors import InvalidData

BLOCK = 8 << 20
RECORD_LIMIT = 10_000_000
_UNPACKED_FREELY = 1 << 30
_UNPACKED_RATIO = 200
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_NOT_TEXT = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook (.xlsx); save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls); save it as CSV"),
    (b"PAR1", "a Parquet file; give it the ending .parquet"),
    (b"BZh", "compressed with bzip2; unpack it, or use gzip"),
    (b"\xfd7zXZ", "compressed with xz; unpack it, or use gzip"),
    (b"(\xb5/\xfd", "compressed with zstd; unpack it, or use gzip"),
    (b"%PDF", "a PDF document"),
)

Progress = Callable[[int], None]
"""Told how many more bytes of the files on disk have been read."""


def text_blocks(path: Path, progress: Progress | None = None) -> Iterator[bytes]:
    """The file's text in UTF-8, in blocks that end with a line; line ends are all ``\\n``.

    Gzip is told by its first bytes, the encoding by a byte order mark; without one it is
    UTF-8. What a line has beyond some four times `RECORD_LIMIT` bytes may be left out.

    Raises
    ------
    InvalidData
        The file cannot be read, is not text, or is a gzip that is damaged or unpacks to
        more than 200 times its size.
    """
    tail = b""
    held_return = False
    for block in _decoded(path, progress):
        if held_return:
            block = b"\r" + block
        held_return = block.endswith(b"\r")
        if held_return:
            block = block[:-1]
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        end = block.rfind(b"\n") + 1
        if end:
            yield tail + block[:end]
            tail = block[end:]
        elif len(tail) <= 4 * RECORD_LIMIT:
            tail += block
    if held_return:
        tail += b"\n"
    if tail:
        yield tail


def _decoded(path: Path, progress: Progress | None) -> Iterator[bytes]:
    decoder: codecs.IncrementalDecoder | None = None
    first = True
    for block in _raw_blocks(path, progress):
        if first:
            first = False
            for mark, encoding in _BOMS:
                if block.startswith(mark):
                    block = block[len(mark) :]
                    if encoding != "utf-8":
                        decoder = codecs.getincrementaldecoder(encoding)("replace")
                    break
            if decoder is None:
                _check_is_text(path, block)
        yield decoder.decode(block).encode() if decoder else block
    if decoder is not None:
        yield decoder.decode(b"", final=True).encode()


def _raw_blocks(path: Path, progress: Progress | None) -> Iterator[bytes]:
    try:
        with path.open("rb") as stream:
            packed = stream.peek(2)[:2] == b"\x1f\x8b"
            source: Any = gzip.GzipFile(fileobj=stream) if packed else stream
            size = path.stat().st_size
            unpacked = told = 0
            while block := source.read(BLOCK):
                unpacked += len(block)
                if packed and unpacked > max(_UNPACKED_FREELY, _UNPACKED_RATIO * size):
                    raise InvalidData(
                        f"{path}: unpacks to more than {_UNPACKED_RATIO} times its "
                        f"{size:,} bytes; unpack it yourself if that is right"
                    )
                if progress is not None:
                    progress(stream.tell() - told)
                    told = stream.tell()
                yield block
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidData(f"{path}: a damaged or incomplete gzip file: {error}") from error
    except OSError as error:
        raise InvalidData(f"{path}: cannot be read: {error.strerror or error}") from error


def _check_is_text(path: Path, beginning: bytes) -> None:
    for magic, what in _NOT_TEXT:
        if beginning.startswith(magic):
            raise InvalidData(f"{path}: not a text file but {what}")
    sample = beginning[:8192]
    controls = sum(sample.count(bytes([code])) for code in (*range(9), *range(14, 32)))
    if controls * 10 > len(sample):
        raise InvalidData(f"{path}: not a text file: one byte in ten is a control character")


def decoded_line(line: bytes) -> str:
    """A line as text; one that is not UTF-8 is read as Latin-1, so that no letter is lost."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line.decode("latin-1")


class Malformed(Exception):
    """A record whose quoting is broken."""


def split_record(line: str, following: Callable[[], str | None], separator: str) -> list[str]:
    """Fields of the record that begins with `line`, quotes taken off, blanks around trimmed.

    The rules are those of the .NET delimited-file reader, which the Product Recommendations
    service used: a field whose first character after blanks is ``"`` is quoted; ``""`` inside
    is one quote; after the closing quote only blanks may come before the separator.

    Parameters
    ----------
    line : str
        Ends with ``\\n`` unless it is the last of its file.
    following : callable
        Gives the next line that is not blank and counts it as read; None at the end.
    separator : str
        One character.

    Raises
    ------
    Malformed
        Text after a closing quote, a quote left open at the end of the file, a NUL, or more
        than `RECORD_LIMIT` characters.
    """
    if len(line) > RECORD_LIMIT or "\0" in line:
        raise Malformed
    fields: list[str] = []
    at = 0
    while True:
        quoted = at
        while quoted < len(line) and line[quoted] in " \t\v\f\xa0" and line[quoted] != separator:
            quoted += 1
        if quoted == len(line) or line[quoted] != '"':
            end = line.find(separator, at)
            if end < 0:
                fields.append(line[at:].strip())
                return fields
            fields.append(line[at:end].strip())
            at = end + 1
            continue
        field, at, line = _quoted_field(line, quoted + 1, following, separator)
        fields.append(field.strip())
        if at >= len(line.rstrip("\n")) + 1:
            return fields


def _quoted_field(
    line: str, at: int, following: Callable[[], str | None], separator: str
) -> tuple[str, int, str]:
    """The field whose opening quote stands before `at`, where the next begins, and the line."""
    parts: list[str] = []
    size = 0
    while True:
        quote = line.find('"', at)
        if quote < 0:
            parts.append(line[at:])
            size += len(line)
            more = following()
            if more is None or size + len(more) > RECORD_LIMIT or "\0" in more:
                raise Malformed
            line, at = more, 0
            continue
        parts.append(line[at:quote])
        if line[quote + 1 : quote + 2] == '"':
            parts.append('"')
            at = quote + 2
            continue
        end = line.find(separator, quote + 1)
        between = line[quote + 1 :] if end < 0 else line[quote + 1 : end]
        if between.strip():
            raise Malformed
        return "".join(parts), (len(line) + 1 if end < 0 else end + 1), line
