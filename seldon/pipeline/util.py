"""`PipelineWrapper`: data in and out of DataFrames, pipelines in and out of folders."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seldon.deprecated import renamed
from seldon.locations import Location, fetched, is_url
from seldon.pipeline.storing import load_pipeline, save_pipeline
from seldon.wrappers import Wrapper


class PipelineWrapper(Wrapper):
    """Reads and writes DataFrames and pipelines: files, folders and fsspec URLs.

    Parameters
    ----------
    work_folder : str
        Where copies of remote folders stand meanwhile.
    aws_key, aws_secret : str, optional
        For ``s3://`` locations.
    """

    def create_dataframe(
        self,
        data: Any = None,
        df_format: str = "json",
        csv_dates: list[str] | None = None,
        index_col: str | int | None = None,
    ) -> pd.DataFrame | npt.NDArray[Any] | None:
        """Make what a pipeline takes.

        Parameters
        ----------
        data : DataFrame, dict, list, str or None
            A DataFrame is returned as it is; a dict makes one row; a list of features makes
            an array of one row; a file name, or a list of them, is read. None makes None.
        df_format : {"json", "csv"}
            Of files. JSON is one list of objects, or one object a line.
        csv_dates : list of str, optional
            Columns of a CSV file that hold dates.
        index_col : str or int, optional
            Column of a CSV file that is the index.

        Returns
        -------
        DataFrame, ndarray of shape (1, n), or None
        """
        if data is None or isinstance(data, pd.DataFrame):
            return data
        if isinstance(data, dict):
            return pd.DataFrame([data])
        if isinstance(data, str):
            return self.create_dataframe_from_files([data], df_format, csv_dates, index_col)
        if isinstance(data, list):
            if data and all(isinstance(each, str) for each in data):
                return self.create_dataframe_from_files(data, df_format, csv_dates, index_col)
            return np.array(data).reshape(1, -1)
        raise ValueError(
            f"cannot make a DataFrame of a {type(data).__name__}; "
            "expected a DataFrame, a dict, a list or a file name"
        )

    def create_dataframe_from_files(
        self,
        locations: Sequence[Location],
        df_format: str = "json",
        csv_dates: list[str] | None = None,
        index_col: str | int | None = None,
    ) -> pd.DataFrame:
        """Read all files of some folders, or some files, into one frame.

        Parameters
        ----------
        locations : list of paths or fsspec URLs
            Of a folder every file is read, in the order of their names; gzip is unpacked.
        df_format, csv_dates, index_col
            As for `create_dataframe`.
        """
        if df_format not in ("json", "csv"):
            raise ValueError(f"df_format is {df_format!r}, expected 'json' or 'csv'")
        contents = [content for location in locations for content in self._contents(location)]
        if df_format == "json":
            return pd.DataFrame([record for content in contents for record in _records(content)])
        frames = [
            pd.read_csv(io.BytesIO(content), parse_dates=csv_dates, index_col=index_col)
            for content in contents
        ]
        return pd.concat(frames, ignore_index=index_col is None)

    def save_dataframe(
        self,
        df: pd.DataFrame,
        location: Location,
        df_format: str = "json",
        csv_index: bool = True,
    ) -> None:
        """Write a frame to a file.

        Parameters
        ----------
        df : DataFrame
        location : path or fsspec URL
        df_format : {"json", "csv"}
            JSON is one object a line, keys sorted, missing values left out.
        csv_index : bool
            Whether CSV gets the index as its first column.
        """
        if df_format == "csv":
            text = df.to_csv(index=csv_index)
        elif df_format == "json":
            # pandas turns numbers and dates into what JSON knows; its nulls are the missing.
            rows = json.loads(df.to_json(orient="records", date_format="iso"))
            kept = ({k: v for k, v in row.items() if v is not None} for row in rows)
            text = "".join(json.dumps(row, sort_keys=True) + "\n" for row in kept)
        else:
            raise ValueError(f"df_format is {df_format!r}, expected 'json' or 'csv'")
        if is_url(location):
            import fsspec

            with fsspec.open(str(location), "w", **self.storage(location)) as stream:
                stream.write(text)
        else:
            with open(location, "w", encoding="utf-8") as stream:
                stream.write(text)

    def save_pipeline(self, pipeline: Any, location: Location) -> None:
        """Write a fitted pipeline to a model folder; see `seldon.pipeline.save_pipeline`."""
        save_pipeline(
            pipeline, location, storage=self.storage(location), work_folder=self.work_folder
        )

    def load_pipeline(
        self, pipeline_folder: Location, *, trusted: bool | Collection[str] = False
    ) -> Any:
        """Load what `save_pipeline` wrote; see `seldon.pipeline.load_pipeline`."""
        return load_pipeline(
            pipeline_folder,
            trusted=trusted,
            storage=self.storage(pipeline_folder),
            work_folder=self.work_folder,
        )

    def _contents(self, location: Location) -> Iterator[bytes]:
        with fetched(location, self.storage(location), self.work_folder) as path:
            if path.is_dir():
                files = [file for file in sorted(path.iterdir()) if file.is_file()]
            else:
                files = [path]
            for file in files:
                content = file.read_bytes()
                yield gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


def _records(content: bytes) -> list[dict[str, Any]]:
    """The objects of a JSON list, or of JSON lines."""
    text = content.decode("utf-8-sig").strip()
    if text.startswith("["):
        return list(json.loads(text))
    return [json.loads(line) for line in text.splitlines() if line.strip()]


__getattr__ = renamed(__name__, {"Pipeline_wrapper": PipelineWrapper})
