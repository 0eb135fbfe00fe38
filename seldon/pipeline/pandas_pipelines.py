"""What the classifiers over DataFrames share: which columns count, and as which numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seldon.errors import MissingExtra
from seldon.pipeline.frames import is_missing, require

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
except ImportError:
    raise MissingExtra("scikit-learn", "predict") from None


class BasePandasEstimator(ClassifierMixin, BaseEstimator):
    """A classifier that is fitted to a DataFrame which holds its own target.

    Numbers are taken as they are, a missing one as 0; text and truth values are one-hot
    encoded; dates are left out. The columns and their order are those of `fit`, whatever the
    order in a later frame.

    Parameters
    ----------
    target : str
        Column to predict.
    target_readable : str, optional
        Column with the names of the classes; not a feature.
    included, excluded : list of str, optional
        Columns to use, and not to use.
    id_map : dict of int to str, optional
        Names of the classes by their place in the answer.
    vectorizer : sklearn.feature_extraction.DictVectorizer, optional
        A fitted one to use for the categories; otherwise `fit` makes one.

    Attributes
    ----------
    clf_ : the fitted classifier
    id_map_ : dict of int to str
    numeric_, categorical_ : list of str
    vectorizer_ : DictVectorizer or None
    """

    def __init__(
        self,
        target: str | None = None,
        target_readable: str | None = None,
        included: Sequence[str] | None = None,
        excluded: Sequence[str] | None = None,
        id_map: dict[int, str] | None = None,
        vectorizer: Any = None,
    ) -> None:
        self.target = target
        self.target_readable = target_readable
        self.included = included
        self.excluded = excluded
        self.id_map = id_map
        self.vectorizer = vectorizer

    def get_target(self) -> str | None:
        """The column to predict."""
        return self.target

    def get_class_id_map(self) -> dict[int, str]:
        """Names of the classes by their place in the answer of `predict_proba`."""
        return getattr(self, "id_map_", None) or self.id_map or {}

    def set_class_id_map(self, id_map: dict[int, str]) -> None:
        """Name the classes."""
        self.id_map = self.id_map_ = id_map

    @property
    def classes_(self) -> npt.NDArray[Any]:
        """The values of the target, in the order of the answers of `predict_proba`."""
        return np.asarray(self.clf_.classes_)

    def fit(self, X: pd.DataFrame | npt.ArrayLike, y: npt.ArrayLike | None = None) -> Any:
        """Fit to a DataFrame with the target in it, or to arrays.

        Parameters
        ----------
        X : DataFrame or array_like, shape (n_samples, n_features)
        y : array_like, shape (n_samples,)
            The target, where `X` does not hold it.
        """
        if not isinstance(X, pd.DataFrame):
            self.clf_ = self._fitted(X, y)
            return self
        target = X[self.target].to_numpy() if self.target in X else np.asarray(y)
        if not target.ndim:
            raise ValueError(
                f"the target column {self.target!r} is not in the frame, and no y given"
            )
        self.clf_ = self._fitted(self._learn(X), target)
        if self.target_readable is not None:
            require(X, [self.target_readable])
            names = dict(zip(target, X[self.target_readable], strict=True))
            self.id_map_ = {i: str(names[value]) for i, value in enumerate(self.clf_.classes_)}
        return self

    def predict_proba(self, X: pd.DataFrame | npt.ArrayLike) -> npt.NDArray[Any]:
        """Class probabilities, shape (n_samples, n_classes)."""
        return np.asarray(self.clf_.predict_proba(self._features(X)))

    def predict(self, X: pd.DataFrame | npt.ArrayLike) -> npt.NDArray[Any]:
        """Most probable values of the target, shape (n_samples,)."""
        return np.asarray(self.clf_.predict(self._features(X)))

    def _fitted(self, X: Any, y: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no classifier to fit")

    def _learn(self, X: pd.DataFrame) -> Any:
        from sklearn.feature_extraction import DictVectorizer

        used = self._used(X)
        numeric = X[used].select_dtypes("number", exclude="timedelta").columns
        dates = X[used].select_dtypes(["datetime", "datetimetz", "timedelta"]).columns
        self.numeric_ = list(numeric)
        self.categorical_ = [name for name in used if name not in numeric and name not in dates]
        self.vectorizer_ = self.vectorizer
        if self.categorical_ and self.vectorizer is None:
            self.vectorizer_ = DictVectorizer().fit(self._categories(X))
        return self._features(X)

    def _used(self, X: pd.DataFrame) -> list[Any]:
        out = {self.target, self.target_readable, *(self.excluded or ())}
        kept = X.columns if self.included is None else [n for n in self.included if n in X]
        return [name for name in kept if name not in out]

    def _features(self, X: pd.DataFrame | npt.ArrayLike) -> Any:
        """The numbers that the classifier sees, shape (n_samples, n_features)."""
        if not isinstance(X, pd.DataFrame):
            return X
        if not hasattr(self, "numeric_"):  # fitted to arrays
            return X.to_numpy()
        require(X, [*self.numeric_, *self.categorical_])
        numbers = np.column_stack(
            [_numbers(X[name]) for name in self.numeric_] or [np.empty((len(X), 0))]
        )
        if not self.categorical_:
            return numbers
        return np.hstack([numbers, self.vectorizer_.transform(self._categories(X)).toarray()])

    def _categories(self, X: pd.DataFrame) -> list[dict[Any, Any]]:
        rows = zip(*(X[name] for name in self.categorical_), strict=True)
        return [
            {
                name: value
                for name, value in zip(self.categorical_, row, strict=True)
                if not is_missing(value)
            }
            for row in rows
        ]


def _numbers(values: pd.Series) -> npt.NDArray[np.float64]:
    try:
        numbers: npt.NDArray[np.float64] = values.to_numpy(np.float64, na_value=np.nan)
        return np.nan_to_num(numbers, nan=0.0)
    except (TypeError, ValueError):
        raise ValueError(
            f"feature {values.name!r} is {values.iloc[0]!r}, expected a number"
        ) from None
