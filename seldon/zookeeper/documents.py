"""The documents of a Seldon server's strategies, as they stand in ZooKeeper."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from seldon.errors import InvalidParameter

EXTERNAL = "externalItemRecommendationAlgorithm"
URL = "io.seldon.algorithm.external.url"
NAME = "io.seldon.algorithm.external.name"
ITEMS_PER_INCLUDER = "io.seldon.algorithm.inclusion.itemsperincluder"
ACTIONS_TO_FILTER = "io.seldon.algorithm.filter.recentactionstofilter"
ACTIONS_TO_USE = "io.seldon.algorithm.general.numrecentactionstouse"

INCLUDERS = ("recentItemsIncluder", "mostPopularIncluder")
ALWAYS_ON_FILTERS = ("currentItemFilter", "ignoredRecsFilter", "recentImpressionsFilter")
FILTERS = ("tagAffinityFilter", *ALWAYS_ON_FILTERS)
COMBINERS = ("firstSuccessfulCombiner", "rankSumCombiner", "scoreOrderCombiner")
ALGORITHMS = (
    EXTERNAL,
    "assocRuleRecommender",
    "clusterCountsRecommender",
    "dynamicCategoryClusterCountsRecommender",
    "dynamicClusterCountsRecommender",
    "globalClusterCountsRecommender",
    "itemCategoryClusterCountsRecommender",
    "itemClusterCountsRecommender",
    "itemSignificantCountsRecommender",
    "itemSimilarityRecommender",
    "mfRecommender",
    "mfUserClustersRecommender",
    "mostPopularInSessionRecommender",
    "mostPopularRecommender",
    "recentCategoryItemsRecommender",
    "recentInteractionsRecommender",
    "recentItemsRecommender",
    "recentMfRecommender",
    "recentTopicModelRecommender",
    "semanticVectorsRecommender",
    "significantClusterCountsRecommender",
    "staticRecommender",
    "topicModelRecommender",
    "userTagAffinityRecommender",
    "word2vecRecommender",
)


def algorithm(
    name: str,
    config: Mapping[str, object] | None = None,
    includers: Sequence[str] = (),
    filters: Sequence[str] = (),
) -> dict[str, Any]:
    """One entry of a strategy's ``algorithms``; values of `config` become text."""
    return {
        "name": name,
        "includers": list(includers),
        "filters": list(filters),
        "config": [{"name": key, "value": as_text(value)} for key, value in (config or {}).items()],
    }


def algorithm_config(
    algorithms: Sequence[Mapping[str, Any]],
    combiner: str = COMBINERS[0],
    diversity_level: float | None = None,
    action_weights: Mapping[int, float] | None = None,
) -> dict[str, Any]:
    """What the node ``algs`` holds, and a variation's ``config``."""
    document: dict[str, Any] = {"algorithms": list(algorithms), "combiner": combiner}
    if diversity_level is not None:
        document["diversityLevel"] = diversity_level
    if action_weights:
        document["actionWeights"] = [
            {"type": str(kind), "value": weight} for kind, weight in action_weights.items()
        ]
    return document


def variations(parts: Sequence[tuple[str, Decimal, Mapping[str, Any]]]) -> dict[str, Any]:
    """Several strategies that share the users: ``(label, ratio, algorithm_config)`` each."""
    return {
        "variations": [
            {"label": label, "ratio": float(ratio), "config": dict(config)}
            for label, ratio, config in parts
        ]
    }


def read_document(text: str | bytes) -> dict[str, Any]:
    """A JSON object; numbers with a point are `Decimal`, so that ratios add up exactly.

    Raises
    ------
    InvalidParameter
        It is not UTF-8, not JSON, or not an object.
    """
    try:
        document = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidParameter(f"not a JSON document: {error}") from error
    if not isinstance(document, dict):
        raise InvalidParameter(f"{shown(document)} is not a JSON object")
    return document


def write_document(document: Mapping[str, Any]) -> bytes:
    """The JSON of a document, ASCII only; `Decimal` as a number."""
    return json.dumps(document, default=float).encode("ascii")


def as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def shown(value: object) -> str:
    return ascii(value) if len(ascii(value)) <= 80 else ascii(value)[:77] + "…"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
