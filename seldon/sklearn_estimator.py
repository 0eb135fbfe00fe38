"""`SKLearnClassifier`: any scikit-learn classifier, fitted to a DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seldon.pipeline.pandas_pipelines import BasePandasEstimator


class SKLearnClassifier(BasePandasEstimator):
    """Fits a copy of a scikit-learn classifier to a DataFrame that holds its own target.

    Parameters
    ----------
    clf : scikit-learn classifier
        Never changed; the fitted copy is `clf_`.
    target, target_readable, included, excluded, id_map, vectorizer
        As for `BasePandasEstimator`.
    **sk_args
        Further parameters to set on the copy.
    """

    def __init__(
        self,
        clf: Any = None,
        target: str | None = None,
        target_readable: str | None = None,
        included: Sequence[str] | None = None,
        excluded: Sequence[str] | None = None,
        id_map: dict[int, str] | None = None,
        vectorizer: Any = None,
        **sk_args: Any,
    ) -> None:
        super().__init__(target, target_readable, included, excluded, id_map, vectorizer)
        self.clf = clf
        self.sk_args = sk_args

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name, `sk_args` among them."""
        return {**super().get_params(deep), **self.sk_args}

    def _fitted(self, X: Any, y: Any) -> Any:
        from sklearn.base import clone

        return clone(self.clf).set_params(**self.sk_args).fit(X, y)
