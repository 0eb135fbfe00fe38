"""`AutoTransform`: scale numbers, tidy categories and unfold dates, by looking at the data."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from seldon.deprecated import renamed
from seldon.pipeline.frames import FrameTransform, is_missing, is_number, plain, require

BOOLEANS = {
    "true": 1, "false": 0, "1": 1, "0": 0, "yes": 1, "no": 0, "1.0": 1, "0.0": 0
}  # fmt: skip


class AutoTransform(FrameTransform):
    """Makes every feature a scaled number, a tidy category or a set of date features.

    Parameters
    ----------
    exclude : list of str
        Features to leave as they are.
    include : list of str, optional
        Features to work on; all when absent.
    max_values_numeric_categorical : int
        A number with no more different values than this becomes a category.
    date_cols : list of str
        Text features that hold dates.
    custom_date_formats : list of str, optional
        `strptime` formats to try before guessing.
    ignore_vals : list, optional
        Values that count as missing.
    force_categorical : list of str
        Numbers that become categories however many values they have.
    min_cat_percent, max_cat_percent : float
        Categories with a smaller or larger share of the rows, 0 to 1, become missing.
    bool_map : dict of str to int, optional
        Lower-case text that counts as true (1) or false (0).
    cat_missing_val : str
        Category of rows that have none.
    date_transforms : four bool
        Whether to make hour, month, day-of-week and year features.
    create_date_differences : bool
        Whether to add the scaled days between each two dates.
    nan_threshold : float, optional
        Drop features with a larger share of missing values, 0 to 1.
    drop_constant_features, drop_duplicate_cols : bool
    min_max_limit : bool
        Cut numbers to the range seen in `fit` before scaling.

    Attributes
    ----------
    dropped_, booleans_, dates_ : list of str
    labels_ : dict of str to dict
        By categorical feature: value to category, for the values that are kept.
    scaled_ : dict of str to tuple (mean, scale, low, high)
        By numeric feature; ``(value - mean) / scale``.
    differences_ : dict of (str, str) to tuple (mean, scale)
    """

    def __init__(
        self,
        exclude: Sequence[str] = (),
        include: Sequence[str] | None = None,
        max_values_numeric_categorical: int = 0,
        date_cols: Sequence[str] = (),
        custom_date_formats: Sequence[str] | None = None,
        ignore_vals: Sequence[Any] | None = None,
        force_categorical: Sequence[str] = (),
        min_cat_percent: float = 0.0,
        max_cat_percent: float = 1.0,
        bool_map: Mapping[str, int] | None = None,
        cat_missing_val: str = "UKN",
        date_transforms: Sequence[bool] = (True, True, True, True),
        create_date_differences: bool = False,
        nan_threshold: float | None = None,
        drop_constant_features: bool = True,
        drop_duplicate_cols: bool = True,
        min_max_limit: bool = False,
    ) -> None:
        self.exclude = exclude
        self.include = include
        self.max_values_numeric_categorical = max_values_numeric_categorical
        self.date_cols = date_cols
        self.custom_date_formats = custom_date_formats
        self.ignore_vals = ignore_vals
        self.force_categorical = force_categorical
        self.min_cat_percent = min_cat_percent
        self.max_cat_percent = max_cat_percent
        self.bool_map = bool_map
        self.cat_missing_val = cat_missing_val
        self.date_transforms = date_transforms
        self.create_date_differences = create_date_differences
        self.nan_threshold = nan_threshold
        self.drop_constant_features = drop_constant_features
        self.drop_duplicate_cols = drop_duplicate_cols
        self.min_max_limit = min_max_limit

    def fit(self, X: pd.DataFrame, y: object = None) -> AutoTransform:
        """Decide what each feature of `X` becomes, and learn its scale or categories."""
        self.booleans_: list[Any] = []
        self.dates_: list[Any] = []
        self.labels_: dict[Any, dict[Any, str]] = {}
        self.scaled_: dict[Any, tuple[float, float, float, float]] = {}
        columns = [
            name
            for name in X.columns
            if name not in self.exclude and (not self.include or name in self.include)
        ]
        cleaned = {name: self._cleaned(X[name]) for name in columns}
        self.dropped_ = _duplicates(cleaned) if self.drop_duplicate_cols else []
        for name, values in cleaned.items():
            if name not in self.dropped_:
                self._learn(name, values)
        self.differences_ = self._learn_differences(X) if self.create_date_differences else {}
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """`X` with its features made over; dates stay beside what is made of them.

        Raises
        ------
        ValueError
            A feature seen in `fit` is missing, or a date or number cannot be read.
        """
        require(X, [*self.booleans_, *self.dates_, *self.labels_, *self.scaled_])
        X = X.drop(columns=self.dropped_, errors="ignore")
        made: dict[Any, Any] = {name: self._boolean(X[name]) for name in self.booleans_}
        dates = {name: self._dates(X[name]) for name in self.dates_}
        made |= dates
        for name, values in dates.items():
            made |= _date_features(name, values, self.date_transforms)
        for first, second in self.differences_:
            days = _days(dates[first] - dates[second])
            made[f"{first}_{second}"] = _scaled(days, *self.differences_[first, second])
        made |= {name: self._categories(X[name]) for name in self.labels_}
        made |= {name: self._numbers(X[name]) for name in self.scaled_}
        return _assigned(X, made)

    def _cleaned(self, values: pd.Series) -> pd.Series:
        """`values` with what is ignored, and empty text, as missing; numbers as numbers."""
        if pd.api.types.is_numeric_dtype(values.dtype) and not self.ignore_vals:
            return values
        ignored = [*(self.ignore_vals or ()), ""]
        gone = np.array([_is_in(value, ignored) for value in values], np.bool_)
        if not gone.any():
            return values
        return values.astype(object).mask(gone, np.nan).infer_objects()

    def _learn(self, name: Any, values: pd.Series) -> None:
        shares = values.map(_hashable).value_counts(normalize=True, dropna=False)
        is_empty = self.nan_threshold is not None and values.isna().mean() > self.nan_threshold
        if is_empty or (len(shares) == 1 and self.drop_constant_features):
            self.dropped_.append(name)
        elif all(str(value).lower() in self._bool_map() for value in shares.index):
            self.booleans_.append(name)
        elif pd.api.types.is_datetime64_any_dtype(values.dtype) or name in self.date_cols:
            self.dates_.append(name)
            self._dates(values)  # a column that holds no dates is refused now, not when serving
        elif (
            pd.api.types.is_numeric_dtype(values.dtype)
            and len(shares) > self.max_values_numeric_categorical
            and name not in self.force_categorical
        ):
            known = values.dropna().to_numpy(np.float64)
            if len(known):
                scale = float(known.std()) or 1.0
                self.scaled_[name] = (
                    float(known.mean()),
                    scale,
                    float(known.min()),
                    float(known.max()),
                )
        else:
            self.labels_[name] = {
                plain(value): _label(name, value)
                for value, share in shares.items()
                if not is_missing(value) and self.min_cat_percent <= share <= self.max_cat_percent
            }

    def _learn_differences(self, X: pd.DataFrame) -> dict[tuple[Any, Any], tuple[float, float]]:
        dates = {name: self._dates(X[name]) for name in self.dates_}
        learned = {}
        for first, second in itertools.combinations(self.dates_, 2):
            days = _days(dates[first] - dates[second])
            days = days[~np.isnan(days)]
            learned[first, second] = (
                (float(days.mean()), float(days.std()) or 1.0) if len(days) else (0.0, 1.0)
            )
        return learned

    def _bool_map(self) -> Mapping[str, int]:
        return BOOLEANS if self.bool_map is None else self.bool_map

    def _boolean(self, values: pd.Series) -> list[float]:
        return [self._bool_map().get(str(value).lower(), np.nan) for value in values]

    def _dates(self, values: pd.Series) -> pd.Series:
        if pd.api.types.is_datetime64_any_dtype(values.dtype):
            return values
        for date_format in self.custom_date_formats or ():
            try:
                return pd.to_datetime(values, format=date_format)
            except (ValueError, TypeError):
                continue
        try:
            with warnings.catch_warnings():
                # pandas warns that it cannot guess one format for all; each is parsed alone.
                warnings.simplefilter("ignore", UserWarning)
                return pd.to_datetime(values)
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"feature {values.name!r} does not hold dates: {error}; its format can be given "
                "in custom_date_formats"
            ) from error

    def _categories(self, values: pd.Series) -> pd.Series:
        labels = self.labels_[values.name]
        found = [
            self.cat_missing_val if is_missing(value) else labels.get(_hashable(value), np.nan)
            for value in self._cleaned(values)
        ]
        return pd.Series(found, values.index, dtype=object)

    def _numbers(self, values: pd.Series) -> Any:
        mean, scale, low, high = self.scaled_[values.name]
        try:
            numbers = self._cleaned(values).to_numpy(np.float64, na_value=np.nan)
        except (TypeError, ValueError):
            raise ValueError(
                f"feature {values.name!r} is {values.iloc[0]!r}, expected a number"
            ) from None
        if self.min_max_limit:
            numbers = numbers.clip(low, high)
        return _scaled(numbers, mean, scale)


def _assigned(X: pd.DataFrame, made: Mapping[Any, Any]) -> pd.DataFrame:
    return pd.DataFrame({**{name: X[name] for name in X.columns}, **made}, index=X.index)


def _scaled(values: Any, mean: float, scale: float) -> Any:
    """Standard scores; a missing value counts as the mean."""
    return np.nan_to_num((values - mean) / scale, nan=0.0)


def _days(difference: pd.Series) -> Any:
    return difference.dt.total_seconds().to_numpy(np.float64) / 86_400


def _date_features(name: Any, dates: pd.Series, wanted: Sequence[bool]) -> dict[str, Any]:
    """Hour, month, weekday and year as categories, the first three also on a circle."""
    parts = [
        ("h", "hour", dates.dt.hour, 24),
        ("m", "month", dates.dt.month, 12),
        ("w", "w", dates.dt.day_of_week, 7),
        ("y", "year", dates.dt.year, 0),
    ]
    made: dict[str, Any] = {}
    for (letter, suffix, values, period), is_wanted in zip(parts, wanted, strict=True):
        if not is_wanted:
            continue
        labels = [letter + ("nan" if is_missing(v) else str(int(v))) for v in values]
        columns: dict[str, Any] = {f"{name}_{suffix}": pd.Series(labels, dates.index, dtype=object)}
        if period:
            angle = values.to_numpy(np.float64, na_value=np.nan) / period * 2 * np.pi
            columns |= {f"{name}_{letter}1": np.sin(angle), f"{name}_{letter}2": np.cos(angle)}
        made |= dict(sorted(columns.items()))
    return made


def _duplicates(columns: Mapping[Any, pd.Series]) -> list[Any]:
    """All but the last of the columns that hold the same values of the same type."""
    seen: dict[Any, Any] = {}
    dropped = []
    for name, values in columns.items():
        if values.isna().any():
            continue  # missing is not the same as missing
        key = (str(values.dtype), tuple(map(_hashable, values)))
        if key in seen:
            dropped.append(seen[key])
        seen[key] = name
    return dropped


def _label(name: Any, value: Any) -> str:
    text = str(value).replace(" ", "_").lower()
    return f"{name}_{text}" if is_number(value) else text


def _hashable(value: Any) -> Any:
    return repr(value) if isinstance(value, (list, dict, set)) else value


def _is_in(value: Any, values: Sequence[Any]) -> bool:
    return not isinstance(value, (list, dict, set)) and value in values


__getattr__ = renamed(__name__, {"Auto_transform": AutoTransform})
