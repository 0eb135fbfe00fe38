"""What every pandas step here checks and does."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from seldon.errors import MissingExtra

try:
    from sklearn.base import BaseEstimator, TransformerMixin
except ImportError:
    raise MissingExtra("scikit-learn", "predict") from None


class FrameTransform(TransformerMixin, BaseEstimator):
    """A pipeline step from one DataFrame to a new one; it never changes the one it is given."""

    def __sklearn_tags__(self):  # type: ignore[no-untyped-def]
        tags = super().__sklearn_tags__()
        # Most steps learn nothing; those that do say what is missing in `transform`.
        tags.requires_fit = False
        return tags

    def fit(self, X: pd.DataFrame, y: object = None) -> FrameTransform:
        """Learn nothing.

        Parameters
        ----------
        X : DataFrame
        y : ignored
        """
        return self


def require(frame: pd.DataFrame, columns: Iterable[str]) -> None:
    """Raise a ValueError that names the `columns` that `frame` does not have."""
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise ValueError(f"missing features: {', '.join(map(str, missing))}")


def is_missing(value: object) -> bool:
    """Whether a cell is empty: None, NaN or NaT. A list or dict never is."""
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))  # type: ignore[call-overload]


def is_number(value: object) -> bool:
    """Whether `value` is a number or text that reads as one."""
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def plain(value: object) -> object:
    """A numpy scalar as the Python value it holds; anything else as it is."""
    return value.item() if hasattr(value, "item") else value
