"""Step 5: how good a model is, with intervals, beside baselines on the same candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from seldon import metrics
from seldon.errors import InvalidParameter
from seldon.slirec import baselines
from seldon.slirec.dataset import Groups, SequenceDataset, with_own_categories

if TYPE_CHECKING:
    from seldon.slirec.network import SLiRecNetwork

Array = npt.NDArray[Any]
KS = (2, 4, 6)


@dataclass(frozen=True)
class Evaluation:
    """What a scorer reaches on groups of one positive and sampled negatives.

    Attributes
    ----------
    name : str
    metrics : dict of str to float
        As `seldon.metrics.candidate_metrics` has them, rounded to 4 digits. No ``logloss`` for
        scores that are no probabilities.
    intervals : dict of str to (float, float)
        Bootstrap confidence interval over groups, so over users, of each metric.
    groups : int
    """

    name: str
    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    groups: int

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "groups": self.groups,
            "metrics": self.metrics,
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
        }


def evaluate(
    network: SLiRecNetwork,
    dataset: SequenceDataset,
    groups: Groups | None = None,
    *,
    own_categories: bool = False,
    seed: int = 42,
    resamples: int = 1000,
) -> list[Evaluation]:
    """SLi-Rec and the baselines on the same candidates, SLi-Rec first.

    Parameters
    ----------
    network : SLiRecNetwork
    dataset : SequenceDataset
    groups : Groups, optional
        By default the data set's test groups.
    own_categories : bool
        Score every candidate with its item's own category, which is what a service can know.
        The category of an event may be that of something else the user looked at, and then
        tells more than a candidate can.
    seed, resamples : int
        Of the bootstrap.
    """
    from seldon.slirec.network import scores

    chosen = dataset.test if groups is None else groups
    if own_categories:
        chosen = with_own_categories(chosen, dataset.vocabulary)
    logits = scores(network, dataset, chosen).astype(np.float64)
    scored = np.exp(-np.logaddexp(0, -logits))  # the logistic function, which cannot overflow
    found = [judged("SLi-Rec", scored, seed=seed, resamples=resamples)]
    for name, baseline in BASELINES.items():
        scored = baseline(dataset, chosen)
        found.append(judged(name, scored, seed=seed, resamples=resamples, probabilities=False))
    return found


BASELINES: dict[str, Callable[[SequenceDataset, Groups], Array]] = {
    "most popular": baselines.most_popular,
    "item similarity": baselines.item_similarity,
    "previous category": baselines.previous_category,
    "similarity and category": baselines.similarity_and_category,
}


def judged(
    name: str,
    scores: Array,
    *,
    seed: int = 42,
    resamples: int = 1000,
    probabilities: bool = True,
) -> Evaluation:
    """Evaluate scores of groups whose first column is the positive.

    Parameters
    ----------
    scores : ndarray of float, shape (n_groups, 1 + n_negatives)
        Equal scores count against the positive in MRR and nDCG, and half in AUC.
    probabilities : bool
        Whether `scores` lie in 0 to 1 and `logloss` is wanted.
    """
    if not len(scores):
        raise InvalidParameter(f"there are no groups to evaluate {name!r} on")
    labels = np.zeros(scores.shape, np.int64)
    labels[:, 0] = 1
    values = metrics.candidate_metrics(labels, scores, KS)
    if not probabilities:
        del values["logloss"]
    rng = np.random.default_rng(seed)
    intervals = _of_groups(labels, scores, rng, resamples)
    intervals |= _pooled(labels, scores, rng, resamples, probabilities)
    return Evaluation(name, values, {key: intervals[key] for key in values}, len(scores))


def table(evaluations: Sequence[Evaluation]) -> str:
    """The metrics and half widths of their intervals as text, a line for each evaluation."""
    names = max((list(e.metrics) for e in evaluations), key=len)
    lines = [["model", *names]]
    for evaluation in evaluations:
        cells = [evaluation.name]
        for name in names:
            low, high = evaluation.intervals.get(name, (np.nan, np.nan))
            value = evaluation.metrics.get(name)
            cells.append("–" if value is None else f"{value:.4f} ± {(high - low) / 2:.3f}")
        lines.append(cells)
    widths = [max(len(line[column]) for line in lines) for column in range(len(names) + 1)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n == 0 else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _of_groups(
    labels: Array, scores: Array, rng: np.random.Generator, resamples: int
) -> dict[str, tuple[float, float]]:
    hits, relevant = metrics.hits_by_score(labels, scores), labels.sum(1)
    values = {
        "mean_mrr": metrics.reciprocal_rank(hits),
        **{f"ndcg@{k}": metrics.ndcg(hits, relevant, k) for k in KS},
        "group_auc": metrics.group_auc(labels, scores),
    }
    found = metrics.mean_intervals(np.column_stack(list(values.values())), rng, resamples=resamples)
    return {name: (i.low, i.high) for name, i in zip(values, found, strict=True)}


def _pooled(
    labels: Array, scores: Array, rng: np.random.Generator, resamples: int, probabilities: bool
) -> dict[str, tuple[float, float]]:
    drawn = [rng.integers(0, len(scores), len(scores)) for _ in range(resamples)]
    found = {"auc": [metrics.auc(labels[rows], scores[rows]) for rows in drawn]}
    if probabilities:
        found["logloss"] = [metrics.log_loss(labels[rows], scores[rows]) for rows in drawn]
    return {
        name: (float(np.percentile(values, 2.5)), float(np.percentile(values, 97.5)))
        for name, values in found.items()
    }
