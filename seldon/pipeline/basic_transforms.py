"""The documented small steps: each makes, keeps or drops features of a DataFrame."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from seldon.deprecated import renamed
from seldon.pipeline.frames import FrameTransform, is_missing, is_number, plain, require


class BinaryTransform(FrameTransform):
    """A feature that is 1 where another has a value that is not 0, ``"0"`` or empty.

    Parameters
    ----------
    input_feature, output_feature : str
    """

    def __init__(self, input_feature: str = "", output_feature: str = "") -> None:
        self.input_feature = input_feature
        self.output_feature = output_feature

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """`X` with the output feature, 0 or 1."""
        require(X, [self.input_feature])
        values = X[self.input_feature]
        return X.assign(**{self.output_feature: [int(_counts(value)) for value in values]})


def _counts(value: Any) -> bool:
    return not is_missing(value) and value not in ("0", 0, "")


class IncludeFeaturesTransform(FrameTransform):
    """Keeps only some features, in the order they are named; those absent are left out.

    Parameters
    ----------
    included : list of str
    """

    def __init__(self, included: Sequence[str] = ()) -> None:
        self.included = included

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """`X` with the included features only."""
        return X[[name for name in self.included if name in X.columns]]


class ExcludeFeaturesTransform(FrameTransform):
    """Drops some features.

    Parameters
    ----------
    excluded : list of str
    """

    def __init__(self, excluded: Sequence[str] = ()) -> None:
        self.excluded = excluded

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """`X` without the excluded features."""
        return X.drop(columns=list(self.excluded), errors="ignore")


class SplitTransform(FrameTransform):
    """Splits text features into one list of lower-case tokens.

    Parameters
    ----------
    split_expression : str
        Regular expression between tokens.
    ignore_numbers : bool
        Leave out tokens that are numbers.
    input_features : list of str
        Cells that are not text add no tokens.
    output_feature : str
    """

    def __init__(
        self,
        split_expression: str = " ",
        ignore_numbers: bool = False,
        input_features: Sequence[str] = (),
        output_feature: str = "",
    ) -> None:
        self.split_expression = split_expression
        self.ignore_numbers = ignore_numbers
        self.input_features = input_features
        self.output_feature = output_feature

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """`X` with the output feature, a list of str in each row."""
        require(X, self.input_features)
        rows = zip(*(X[name] for name in self.input_features), strict=True)
        tokens = [[token for cell in row for token in self._tokens(cell)] for row in rows]
        return X.assign(**{self.output_feature: pd.Series(tokens, X.index, dtype=object)})

    def _tokens(self, cell: Any) -> Iterator[str]:
        if isinstance(cell, str):
            for token in re.split(self.split_expression, cell):
                token = token.rstrip().lower()
                if not (self.ignore_numbers and is_number(token)):
                    yield token


class ExistFeaturesTransform(FrameTransform):
    """Keeps only rows in which the named features have a value.

    Parameters
    ----------
    included : list of str, optional
        All features when absent.
    """

    def __init__(self, included: Sequence[str] | None = None) -> None:
        self.included = included

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """The rows of `X` that are complete."""
        require(X, self.included or ())
        return X.dropna(subset=None if self.included is None else list(self.included))


class SvmlightTransform(FrameTransform):
    """One feature that holds many as sorted pairs ``(id, value)``, as SVMlight files do.

    A number counts as itself; text, and each element of a list, becomes a feature of its own
    with the value 1; of a dict each key does, with its number or, for text, as key and text.

    Parameters
    ----------
    included : list of str, optional
        Features to use, all when absent.
    zero_based : bool
        Give the first id 0, not 1.
    excluded : list of str
    id_map : dict of str to int, optional
        Ids by feature name, to be used without `fit`.
    output_feature : str
    id_map_file : str, optional
        Where `fit` writes the ids as CSV, ``id,name``.

    Attributes
    ----------
    id_map_ : dict of str to int
    """

    def __init__(
        self,
        included: Sequence[str] | None = None,
        zero_based: bool = False,
        excluded: Sequence[str] = (),
        id_map: dict[str, int] | None = None,
        output_feature: str = "",
        id_map_file: str | None = None,
    ) -> None:
        self.included = included
        self.excluded = excluded
        self.id_map = id_map
        self.zero_based = zero_based
        self.output_feature = output_feature
        self.id_map_file = id_map_file

    def fit(self, X: pd.DataFrame, y: object = None) -> SvmlightTransform:
        """Give every feature of `X` an id, in alphabetical order."""
        names = {name for row in self._rows(X) for name, _ in row}
        first = 0 if self.zero_based else 1
        self.id_map_ = {name: first + place for place, name in enumerate(sorted(names))}
        if self.id_map_file is not None:
            with open(self.id_map_file, "w", newline="", encoding="utf-8") as stream:
                csv.writer(stream).writerows([id_, name] for name, id_ in self.id_map_.items())
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """`X` with the output feature; what has no id is left out."""
        ids = getattr(self, "id_map_", self.id_map or {})
        pairs = [
            sorted((ids[name], value) for name, value in row if name in ids)
            for row in self._rows(X)
        ]
        return X.assign(**{self.output_feature: pd.Series(pairs, X.index, dtype=object)})

    def _rows(self, X: pd.DataFrame) -> Iterator[list[tuple[str, float]]]:
        columns = [
            name
            for name in X.columns
            if (not self.included or name in self.included) and name not in self.excluded
        ]
        for row in zip(*(X[name] for name in columns), strict=True):
            yield [
                pair for name, cell in zip(columns, row, strict=True) for pair in _pairs(name, cell)
            ]


def _pairs(column: str, cell: Any) -> Iterator[tuple[str, float]]:
    if isinstance(cell, (list, tuple, set)):
        yield from ((f"{column}_{each}", 1) for each in cell)
    elif isinstance(cell, dict):
        for key, value in cell.items():
            if is_number(value):
                yield f"{column}_{key}", float(value)
            else:
                yield f"{column}_{key}_{value}", 1
    elif not is_missing(cell):
        if isinstance(cell, str):
            yield f"{column}_{cell}", 1
        else:
            yield column, float(cell)


class FeatureIdTransform(FrameTransform):
    """Numbers the values of a feature, the most frequent first.

    Where the input feature is absent, as in a request for a prediction, nothing is changed.

    Parameters
    ----------
    input_feature, output_feature : str
    min_size : int
        Values seen less often get no id.
    max_classes : int
        Only so many values get an id.
    exclude_missing : bool
        Drop rows without an id; otherwise their id is -1.
    zero_based : bool
        Give the first id 0, not 1.
    id_map : dict, optional
        Ids by value, to be used without `fit`.

    Attributes
    ----------
    id_map_ : dict of value to int
    """

    def __init__(
        self,
        input_feature: str = "",
        output_feature: str = "",
        min_size: int = 0,
        max_classes: int = 1000,
        exclude_missing: bool = False,
        zero_based: bool = False,
        id_map: dict[Any, int] | None = None,
    ) -> None:
        self.input_feature = input_feature
        self.output_feature = output_feature
        self.min_size = min_size
        self.max_classes = max_classes
        self.exclude_missing = exclude_missing
        self.zero_based = zero_based
        self.id_map = id_map

    def fit(self, X: pd.DataFrame, y: object = None) -> FeatureIdTransform:
        """Count the values; equal counts in the order of first appearance."""
        if self.input_feature in X:
            counts = X[self.input_feature].value_counts(sort=False)
            kept = counts[counts >= self.min_size].sort_values(ascending=False, kind="stable")
            first = 0 if self.zero_based else 1
            values = kept.index[: self.max_classes]
            self.id_map_ = {plain(value): first + place for place, value in enumerate(values)}
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """`X` with the output feature, int."""
        if self.input_feature not in X:
            return X
        ids = getattr(self, "id_map_", self.id_map or {})
        found = np.array([ids.get(value, -1) for value in X[self.input_feature]], np.int64)
        X = X.assign(**{self.output_feature: found})
        return X[found >= 0] if self.exclude_missing else X


__getattr__ = renamed(
    __name__,
    {
        "Binary_transform": BinaryTransform,
        "Include_features_transform": IncludeFeaturesTransform,
        "Exclude_features_transform": ExcludeFeaturesTransform,
        "Split_transform": SplitTransform,
        "Exist_features_transform": ExistFeaturesTransform,
        "Svmlight_transform": SvmlightTransform,
        "Feature_id_transform": FeatureIdTransform,
    },
)
