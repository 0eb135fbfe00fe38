"""Events from Parquet files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seldon.errors import InvalidData, MissingExtra
from seldon.reading.events import EventReader
from seldon.reading.interning import Interner
from seldon.reading.layout import ACCEPTED, FAULTS, WARNINGS
from seldon.reading.report import Sample

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

ROWS = 1 << 20


def read_parquet(
    path: Path, name: str, columns: Mapping[str, str | int], reader: EventReader
) -> None:
    """Read one file; a "line" of the report is a row, from 1.

    Parameters
    ----------
    path : Path
    name : str
        Of the file, in the report.
    columns : mapping
        Column names for ``"user"``, ``"item"`` and, if there are, ``"time"`` (timestamps, or
        seconds or milliseconds since 1970) and ``"weight"``.
    reader : EventReader
        Takes the events.

    Raises
    ------
    MissingExtra
        pyarrow is not installed.
    InvalidData
        Not a Parquet file, or without these columns.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise MissingExtra("pyarrow", "parquet") from None
    try:
        source = ParquetFile(path)
        absent = [column for column in columns.values() if column not in source.schema_arrow.names]
        if absent:
            raise InvalidData(f"{path}: has no column {absent[0]!r}: {source.schema_arrow.names!r}")
        _read_batches(source, name, columns, reader)
    except pyarrow.ArrowException as error:
        raise InvalidData(f"{path}: not a usable Parquet file: {error}") from error


def parquet_columns(path: Path) -> list[str]:
    """Names of the columns; none when the file cannot be read (`read_parquet` says why)."""
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile

        return list(ParquetFile(path).schema_arrow.names)
    except (ImportError, pyarrow.ArrowException):
        return []


def _read_batches(
    source: ParquetFile, name: str, columns: Mapping[str, str | int], reader: EventReader
) -> None:
    row = 1
    for batch in source.iter_batches(ROWS, columns=[str(place) for place in columns.values()]):
        frame = batch.to_pandas()
        user = _codes(frame[columns["user"]], reader.users)
        item = _codes(frame[columns["item"]], reader.items)
        time = np.full(len(frame), reader.now)
        weight = np.ones(len(frame))
        status = np.full(len(frame), ACCEPTED)
        for codes, interner in ((user, reader.users), (item, reader.items)):
            present = codes >= 0
            status[present] = np.maximum(status[present], interner.marks(codes[present]))
        if "weight" in columns:
            weight = pd.to_numeric(frame[columns["weight"]], errors="coerce").to_numpy(float)
            status[~np.isfinite(weight)] = FAULTS.index("BadWeightFormat")
        if "time" in columns:
            time = _seconds(frame[columns["time"]])
            status[np.isnan(time)] = FAULTS.index("BadTimestampFormat")
        status[(user < 0) | (item < 0)] = FAULTS.index("MissingFields")
        _report(status, name, row, reader)
        accepted = status == ACCEPTED
        reader.total += len(frame)
        reader.accept(user[accepted], item[accepted], time[accepted], weight[accepted])
        row += len(frame)


def _codes(values: pd.Series[Any], interner: Interner) -> npt.NDArray[np.int64]:
    """Number of each id, ``-1`` where there is none."""
    groups, distinct = pd.factorize(values)
    texts = [str(value).strip() for value in distinct]
    codes = [interner.code(text.encode()) if text else -1 for text in texts]
    return np.array([*codes, -1], np.int64)[groups]


def _seconds(values: pd.Series[Any]) -> npt.NDArray[np.float64]:
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.to_numpy(float)
        return np.where(abs(numbers) >= 1e11, numbers / 1000, numbers)
    moments = pd.to_datetime(values, utc=True, errors="coerce", format="ISO8601")
    ticks = moments.dt.as_unit("us").astype("int64").to_numpy(float)
    return np.where(moments.isna(), np.nan, ticks / 1e6)


def _report(status: npt.NDArray[Any], name: str, row: int, reader: EventReader) -> None:
    for code in np.unique(status[status != ACCEPTED]).tolist():
        fault = FAULTS[int(code)]
        for place in np.flatnonzero(status == code).tolist():
            reader.faults.add(fault, Sample(name, row + place), warning=fault in WARNINGS)
