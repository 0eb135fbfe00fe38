"""Catalog files of the Product Recommendations API: items and their features."""

from __future__ import annotations

import os
import time as clock
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seldon.errors import InvalidData
from seldon.interactions import Vocabulary
from seldon.reading.layout import ITEM_ID_LIMIT
from seldon.reading.report import FaultLog, ParsingReport, Sample
from seldon.reading.text import (
    Malformed,
    Progress,
    decoded_line,
    split_record,
    text_blocks,
)

ERROR_LIMIT = 100


@dataclass(frozen=True)
class Catalog:
    """Items on sale and their features.

    Attributes
    ----------
    items : Vocabulary
        Strings, case preserved.
    feature_names : tuple of str
        In lower case, in order of first appearance.
    features : tuple of dict
        For each item of `items`, the features it has: name to value in lower case; a
        feature given several times has its values joined with ``;``.
    misplaced_features : int
        Rows whose fourth column, the description, looks like ``name=value``: features are
        read from the fifth column on, so that one is lost.
    """

    items: Vocabulary
    feature_names: tuple[str, ...]
    features: tuple[dict[str, str], ...]
    misplaced_features: int = 0

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"Catalog({len(self)} items, features {list(self.feature_names)})"


def read_catalog(
    path: str | os.PathLike[str],
    *,
    error_limit: int | None = ERROR_LIMIT,
    relative_to: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> tuple[Catalog, ParsingReport]:
    """Read a catalog: ``id,name,category[,description[,feature=value…]]`` without a header.

    Parameters
    ----------
    path : path
        One file, perhaps gzip.
    error_limit : int or None
        One error more stops the reading.
    relative_to : path, optional
        The file is named in the report relative to this folder.
    progress : callable, optional

    Returns
    -------
    Catalog, ParsingReport
        Also when nothing could be accepted.

    Raises
    ------
    InvalidData
        There is no such file, or it is not text.
    """
    started = clock.perf_counter()
    file = Path(path)
    if not file.is_file():
        what = "a folder; a catalog is one file" if file.is_dir() else "there is no such file"
        raise InvalidData(f"{file}: {what}")
    name = file.as_posix() if relative_to is None else os.path.relpath(file, relative_to)
    faults = FaultLog(error_limit)
    rows: dict[str, dict[str, str]] = {}
    names: dict[str, None] = {}
    total = misplaced = 0
    for line, fields, text in _records(file, progress):
        total += 1
        fault, features = _row(fields, rows)
        if fault:
            sample = Sample(Path(name).as_posix(), line, text)
            faults.add(fault, sample, warning=fault == "DuplicateItemId")
            if faults.full:
                break
            continue
        assert fields is not None
        rows[fields[0]] = features
        names.update(dict.fromkeys(features))
        misplaced += len(fields) > 3 and "=" in fields[3]
    order = sorted(rows)
    catalog = Catalog(
        Vocabulary.of_sorted(_array(order)),
        tuple(names),
        tuple(rows[item] for item in order),
        misplaced,
    )
    return catalog, faults.report(total, len(rows), clock.perf_counter() - started)


def _array(ids: list[str]) -> npt.NDArray[np.str_]:
    return np.array(ids, np.str_)


def _records(path: Path, progress: Progress | None) -> Iterator[tuple[int, list[str] | None, str]]:
    """Reported line, fields (None when malformed) and first line of each record."""
    lines = _Lines(path, progress)
    while (line := lines()) is not None:
        first = lines.number
        try:
            fields = split_record(line, lines, ",")
        except Malformed:
            yield first, None, line.rstrip("\n")
        else:
            yield lines.number, fields, line.rstrip("\n")


class _Lines:
    """Calls give the lines that are not blank, then None; `number` is that of the last one."""

    def __init__(self, path: Path, progress: Progress | None) -> None:
        self.number = 0
        self._lines = (
            line
            for block in text_blocks(path, progress)
            for line in block.splitlines(keepends=True)
        )

    def __call__(self) -> str | None:
        for line in self._lines:
            self.number += 1
            text = decoded_line(line)
            if text.strip():
                return text
        return None


def _row(fields: list[str] | None, known: dict[str, dict[str, str]]) -> tuple[str, dict[str, str]]:
    """The fault of a row, or an empty string and its features."""
    if fields is None:
        return "MalformedLine", {}
    if len(fields) < 2 or not fields[0] or not fields[1]:
        return "MissingFields", {}
    if len(fields[0]) > ITEM_ID_LIMIT:
        return "ItemIdTooLong", {}
    if fields[0] in known:
        return "DuplicateItemId", {}
    values: dict[str, list[str]] = {}
    for field in filter(None, fields[4:]):
        name, equals, value = (part.strip().lower() for part in field.partition("="))
        if not equals or "=" in value or not name:
            return "MalformedCatalogItemFeature", {}
        values.setdefault(name, []).append(value)
    return "", {name: ";".join(given) for name, given in values.items()}
