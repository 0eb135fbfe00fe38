"""`TrainingParameters`: everything that shapes a SAR model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from seldon.errors import InvalidParameter

SimilarityFunction = Literal["Jaccard", "Cooccurrence", "Lift"]
CooccurrenceUnit = Literal["User", "Timestamp"]


@dataclass(frozen=True)
class TrainingParameters:
    """How a model is trained; names and defaults are those of the Product Recommendations API.

    Attributes
    ----------
    support_threshold : int
        Baskets an item, or a pair of items, must be seen in to count; at least 1.
    cooccurrence_unit : {"User", "Timestamp"}
        A basket is all a user ever took, or what one user took at exactly one time.
    similarity_function : {"Jaccard", "Cooccurrence", "Lift"}
    enable_cold_item_placement : bool
        Use the catalog: leave out events of items it does not list, and give items with too
        little usage a similarity learned from features.
    enable_cold_to_cold_recommendations : bool
        Also between two such items.
    enable_user_affinity : bool
        Weigh events by type, given weight and age; otherwise each counts 1.
    enable_user_to_item_recommendations : bool
        Keep the latest 100 events of each user in the model.
    allow_seed_items_in_recommendations : bool
        Items of the request and of the history used may be recommended.
    enable_backfilling : bool
        Fill places left with the most popular items, score 0.
    decay_period_in_days : float
        Age at which an event counts half.
    neighbours : int or None
        Keep only this many most similar items of each; None keeps all. Scores that need a
        neighbour beyond them come out lower, so results are no longer exact.
    event_weights : bool
        Weigh stored history by the weights of the usage data; the API does not.
    """

    support_threshold: int = 6
    cooccurrence_unit: CooccurrenceUnit = "User"
    similarity_function: SimilarityFunction = "Jaccard"
    enable_cold_item_placement: bool = False
    enable_cold_to_cold_recommendations: bool = False
    enable_user_affinity: bool = False
    enable_user_to_item_recommendations: bool = False
    allow_seed_items_in_recommendations: bool = False
    enable_backfilling: bool = True
    decay_period_in_days: float = 30
    neighbours: int | None = None
    event_weights: bool = False

    def __post_init__(self) -> None:
        _check(self.support_threshold >= 1, "support_threshold", self, "at least 1")
        _check(self.decay_period_in_days > 0, "decay_period_in_days", self, "above 0")
        _check(self.neighbours is None or self.neighbours >= 1, "neighbours", self, "at least 1")
        units, functions = ("User", "Timestamp"), ("Jaccard", "Cooccurrence", "Lift")
        _check(self.cooccurrence_unit in units, "cooccurrence_unit", self, " or ".join(units))
        known = self.similarity_function in functions
        _check(known, "similarity_function", self, " or ".join(functions))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """From what `to_dict` gave; names that are not known are refused."""
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise InvalidParameter(f"{unknown[0]}={values[unknown[0]]!r} is no training parameter")
        return cls(**values)


def _check(valid: bool, name: str, parameters: TrainingParameters, expected: str) -> None:
    if not valid:
        raise InvalidParameter(f"{name}={getattr(parameters, name)!r}: expected {expected}")
