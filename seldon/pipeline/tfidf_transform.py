"""`TfidfTransform`: a text feature as weights of its words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from seldon.deprecated import renamed
from seldon.pipeline.frames import FrameTransform, require


class TfidfTransform(FrameTransform):
    """Adds a feature that holds, for each row, a dict of word to TF-IDF weight.

    Parameters
    ----------
    input_feature : str
        Text, or a list whose elements count as words.
    output_feature : str
    min_df, max_df : int or float
        Leave out words in fewer, or more, rows: a number of rows, or a share from 0 to 1.
    select_features : bool
        Keep only the words that a chi-squared test finds most telling for `target_feature`.
    topn_features : int
        How many; all when there are fewer.
    stop_words : str or list of str, optional
        As for scikit-learn, for example ``"english"``.
    target_feature : str
    ngram_range : pair of int
        Fewest and most words in one term.

    Attributes
    ----------
    vectorizer_ : sklearn.feature_extraction.text.TfidfVectorizer
    kept_ : list of str
        The words that are given out.
    """

    def __init__(
        self,
        input_feature: str = "",
        output_feature: str = "",
        min_df: float = 1,
        max_df: float = 1.0,
        select_features: bool = False,
        topn_features: int = 50000,
        stop_words: Any = None,
        target_feature: str = "",
        ngram_range: Sequence[int] = (1, 1),
    ) -> None:
        self.input_feature = input_feature
        self.output_feature = output_feature
        self.min_df = min_df
        self.max_df = max_df
        self.select_features = select_features
        self.topn_features = topn_features
        self.stop_words = stop_words
        self.target_feature = target_feature
        self.ngram_range = ngram_range

    def fit(self, X: pd.DataFrame, y: object = None) -> TfidfTransform:
        """Learn the words of the input feature and how rare each is."""
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.feature_selection import SelectKBest, chi2

        self.vectorizer_ = TfidfVectorizer(
            min_df=self.min_df or 1,
            max_df=self.max_df,
            stop_words=self.stop_words,
            ngram_range=tuple(self.ngram_range),
        )
        weights = self.vectorizer_.fit_transform(self._documents(X))
        words = self.vectorizer_.get_feature_names_out()
        if self.select_features:
            require(X, [self.target_feature])
            best = SelectKBest(chi2, k=min(self.topn_features, len(words)))
            words = words[best.fit(weights, X[self.target_feature]).get_support()]
        self.kept_ = words.tolist()
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """`X` with the output feature; words unknown to `fit` are left out."""
        weights = self.vectorizer_.transform(self._documents(X)).tocsr()
        words = self.vectorizer_.get_feature_names_out()
        kept = set(self.kept_)
        rows = [
            {
                str(words[column]): float(weight)
                for column, weight in zip(row.indices, row.data, strict=True)
                if words[column] in kept
            }
            for row in weights
        ]
        return X.assign(**{self.output_feature: pd.Series(rows, X.index, dtype=object)})

    def _documents(self, X: pd.DataFrame) -> list[str]:
        require(X, [self.input_feature])
        return [
            " ".join(map(str, cell)) if isinstance(cell, list) else str(cell)
            for cell in X[self.input_feature]
        ]


__getattr__ = renamed(__name__, {"Tfidf_transform": TfidfTransform})
