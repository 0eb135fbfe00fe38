"""`XGBoostClassifier`: XGBoost, fitted to a DataFrame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from seldon.errors import MissingExtra
from seldon.pipeline.frames import require
from seldon.pipeline.pandas_pipelines import BasePandasEstimator


class XGBoostClassifier(BasePandasEstimator):
    """Fits XGBoost to a DataFrame that holds its own target.

    Parameters
    ----------
    target, target_readable, included, excluded, id_map, vectorizer
        As for `BasePandasEstimator`.
    clf : ignored
        Taken because the original package's constructor does.
    svmlight_feature : str, optional
        A feature that holds the numbers as pairs ``(id, value)``, ids from 1, as
        `SvmlightTransform` makes them; then no other column is used.
    max_depth, learning_rate, …, missing
        As for `xgboost.XGBClassifier`; absent ones are XGBoost's own defaults. `silent`,
        `nthread` and `seed` are passed on under their names of today, and the objective
        ``reg:linear`` of old scripts is left to XGBoost, which no longer has it.
    """

    def __init__(
        self,
        target: str | None = None,
        target_readable: str | None = None,
        included: Sequence[str] | None = None,
        excluded: Sequence[str] | None = None,
        clf: Any = None,
        id_map: dict[int, str] | None = None,
        vectorizer: Any = None,
        svmlight_feature: str | None = None,
        max_depth: int = 3,
        learning_rate: float = 0.1,
        n_estimators: int = 100,
        silent: bool = True,
        objective: str | None = None,
        nthread: int = -1,
        gamma: float = 0,
        min_child_weight: float = 1,
        max_delta_step: float = 0,
        subsample: float = 1,
        colsample_bytree: float = 1,
        colsample_bylevel: float = 1,
        reg_alpha: float = 0,
        reg_lambda: float = 1,
        scale_pos_weight: float = 1,
        base_score: float | None = None,
        seed: int = 0,
        missing: float | None = None,
    ) -> None:
        super().__init__(target, target_readable, included, excluded, id_map, vectorizer)
        self.clf = clf
        self.svmlight_feature = svmlight_feature
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.n_estimators = n_estimators
        self.silent = silent
        self.objective = objective
        self.nthread = nthread
        self.gamma = gamma
        self.min_child_weight = min_child_weight
        self.max_delta_step = max_delta_step
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.colsample_bylevel = colsample_bylevel
        self.reg_alpha = reg_alpha
        self.reg_lambda = reg_lambda
        self.scale_pos_weight = scale_pos_weight
        self.base_score = base_score
        self.seed = seed
        self.missing = missing

    def _fitted(self, X: Any, y: Any) -> Any:
        try:
            import xgboost
        except ImportError:
            raise MissingExtra("xgboost", "xgboost") from None
        return xgboost.XGBClassifier(
            max_depth=self.max_depth,
            learning_rate=self.learning_rate,
            n_estimators=self.n_estimators,
            verbosity=0 if self.silent else 1,
            objective=None if self.objective == "reg:linear" else self.objective,
            n_jobs=self.nthread,
            gamma=self.gamma,
            min_child_weight=self.min_child_weight,
            max_delta_step=self.max_delta_step,
            subsample=self.subsample,
            colsample_bytree=self.colsample_bytree,
            colsample_bylevel=self.colsample_bylevel,
            reg_alpha=self.reg_alpha,
            reg_lambda=self.reg_lambda,
            scale_pos_weight=self.scale_pos_weight,
            base_score=self.base_score,
            random_state=self.seed,
            missing=np.nan if self.missing is None else self.missing,
        ).fit(X, y)

    def _learn(self, X: pd.DataFrame) -> Any:
        if self.svmlight_feature is None:
            return super()._learn(X)
        require(X, [self.svmlight_feature])
        pairs = [id_ for row in X[self.svmlight_feature] for id_, _ in row]
        self.n_columns_ = max(pairs, default=0)
        return self._features(X)

    def _features(self, X: pd.DataFrame | npt.ArrayLike) -> Any:
        if self.svmlight_feature is None or not isinstance(X, pd.DataFrame):
            return super()._features(X)
        require(X, [self.svmlight_feature])
        numbers = np.zeros((len(X), self.n_columns_))
        for row, pairs in enumerate(X[self.svmlight_feature]):
            for id_, value in pairs:
                if 1 <= id_ <= self.n_columns_:
                    numbers[row, id_ - 1] = value
        return numbers
