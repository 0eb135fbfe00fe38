"""`SklearnTransform`: any scikit-learn transformer on some columns of a DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from seldon.deprecated import renamed
from seldon.pipeline.frames import FrameTransform, require


class SklearnTransform(FrameTransform):
    """Adds what a transformer makes of some columns as new columns.

    Parameters
    ----------
    input_features : list of str
    output_features : list of str, optional
        Names of the new columns; their positions when absent or of another number.
    output_features_prefix : str, optional
        Names the new columns ``<prefix>_0``, ``<prefix>_1``, … instead.
    transformer : scikit-learn transformer
        Fitted in place, as scikit-learn's own `Pipeline` does with its steps.
    """

    def __init__(
        self,
        input_features: Sequence[str] | None = None,
        output_features: Sequence[str] | None = None,
        output_features_prefix: str | None = None,
        transformer: Any = None,
    ) -> None:
        self.input_features = input_features
        self.output_features = output_features
        self.output_features_prefix = output_features_prefix
        self.transformer = transformer

    def fit(self, X: pd.DataFrame, y: object = None) -> SklearnTransform:
        """Fit the transformer to the input columns of `X`."""
        self.transformer.fit(self._values(X))
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """`X` with the new columns, rows as in `X`."""
        made = self.transformer.transform(self._values(X))
        columns = pd.DataFrame(made.toarray() if hasattr(made, "toarray") else made, X.index)
        if self.output_features_prefix is not None:
            columns.columns = [f"{self.output_features_prefix}_{name}" for name in columns.columns]
        elif self.output_features is not None and len(self.output_features) == columns.shape[1]:
            columns.columns = list(self.output_features)
        return pd.concat([X, columns], axis=1)

    def _values(self, X: pd.DataFrame) -> Any:
        require(X, self.input_features or ())
        return X[list(self.input_features or ())].to_numpy()


__getattr__ = renamed(__name__, {"sklearn_transform": SklearnTransform})
