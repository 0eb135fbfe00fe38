"""`train`: usage events to a SAR model, in stages."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from seldon.errors import InvalidData
from seldon.interactions import Interactions, Vocabulary
from seldon.reading import Catalog, ParsingReport, read_catalog, read_interactions
from seldon.sar.cold_items import place_cold_items
from seldon.sar.counted import Counted
from seldon.sar.counting import ByPopularity, baskets, count_pairs
from seldon.sar.estimate import estimate
from seldon.sar.history import latest_events
from seldon.sar.ids import numbered
from seldon.sar.model import SARRecommender
from seldon.sar.neighbours import item_similarity, nearest_neighbours
from seldon.sar.parameters import TrainingParameters
from seldon.sar.similarity import Similarity

Progress = Callable[[str, float], None]
"""Told the name of the stage and the share of it that is done, 0 to 1."""


@dataclass(frozen=True)
class TrainingStatistics:
    """What a training run read and made; durations in seconds.

    Attributes
    ----------
    usage_parsing, catalog_parsing : ParsingReport or None
        None where events were given as they are, or there was no catalog.
    catalog_items : int or None
    usage_items, users, events : int
        Of the accepted events.
    catalog_coverage : float or None
        `usage_items` per catalog item.
    durations : dict
        Seconds of each stage, by its name.
    feature_weights : dict
        Of cold item placement; empty without.
    """

    usage_parsing: ParsingReport | None = None
    catalog_parsing: ParsingReport | None = None
    catalog_items: int | None = None
    usage_items: int = 0
    users: int = 0
    events: int = 0
    catalog_coverage: float | None = None
    durations: dict[str, float] = field(default_factory=dict)
    feature_weights: dict[str, float] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        """Seconds of all stages."""
        return sum(self.durations.values())


class NothingToTrain(InvalidData):
    """Reading failed, or nothing was accepted; `statistics` holds the parsing reports."""

    def __init__(self, message: str, statistics: TrainingStatistics) -> None:
        super().__init__(message)
        self.statistics = statistics


def train(
    usage: Interactions | Counted | str | os.PathLike[str],
    catalog: Catalog | str | os.PathLike[str] | None = None,
    parameters: TrainingParameters | None = None,
    progress: Progress | None = None,
    *,
    relative_to: str | os.PathLike[str] | None = None,
    memory: int | None = None,
    seed: int = 0,
) -> tuple[SARRecommender, TrainingStatistics]:
    """Train a model.

    Parameters
    ----------
    usage : Interactions, Counted or path
        Events, perhaps counted already; or a usage file or folder by the rules of the Product
        Recommendations API. For other formats use `seldon.reading.read_interactions`.
    catalog : Catalog or path, optional
        It shapes the model only with `TrainingParameters.enable_cold_item_placement`;
        otherwise it is read and reported.
    parameters : TrainingParameters, optional
    progress : callable, optional
    relative_to : path, optional
        Files are named in the reports relative to this folder.
    memory : int, optional
        Bytes that may be used; otherwise what the machine and its limits have free.
    seed : int
        Of the sampling in cold item placement.

    Raises
    ------
    NothingToTrain
        A file could not be read to its end, or nothing in it was accepted.
    TooLarge
        The model would not fit into memory.
    """
    parameters = parameters or TrainingParameters()
    stages = Stages(progress)
    statistics = TrainingStatistics(durations=stages.durations)
    counted = usage if isinstance(usage, Counted) else None
    if isinstance(usage, Counted):
        usage.check_unit(parameters.cooccurrence_unit)
        usage = usage.events
    known: Catalog | None = None
    if catalog is not None:
        with stages("Parsing catalog"):
            known, report = _catalog(catalog, relative_to)
        statistics = replace(statistics, catalog_parsing=report, catalog_items=len(known))
        if not len(known) or (report and not report.complete):
            raise NothingToTrain(CATALOG_FAILED, statistics)
    placing = known if parameters.enable_cold_item_placement else None
    with stages("Parsing usage events"):
        events, report = _usage(usage, placing, relative_to)
    statistics = replace(statistics, usage_parsing=report)
    if not len(events) or (report and not report.complete):
        raise NothingToTrain(USAGE_FAILED, statistics)
    # An Interactions of a split may know of more users and items than it has events of.
    n_items = int(np.count_nonzero(np.bincount(events.item)))
    statistics = replace(
        statistics,
        usage_items=n_items,
        users=int(np.count_nonzero(np.bincount(events.user))),
        events=len(events),
        catalog_coverage=n_items / len(known) if known else None,
    )
    events = numbered(events if placing is None else _with_items(events, placing.items))
    similarity, occurrences = _similarity(events, counted, parameters, stages, memory)
    model = finished(events, occurrences, similarity, placing, parameters, stages, seed)
    return model, replace(statistics, feature_weights=model.feature_weights)


CATALOG_FAILED = "Failed to parse catalog file or parsing found no valid items"
USAGE_FAILED = "Failed to parse usage file(s) or parsing found no valid items"


def _similarity(
    events: Interactions,
    counted: Counted | None,
    parameters: TrainingParameters,
    stages: Stages,
    memory: int | None,
) -> tuple[Similarity, npt.NDArray[np.int64]]:
    """The similarity matrix, and the baskets of each item; refused early when it cannot fit."""
    function, threshold = parameters.similarity_function, parameters.support_threshold
    if counted is not None:
        with stages("Similarity"):
            counts = counted.counts_over(events.items)
            kept = item_similarity(counts, function, threshold, parameters.neighbours)
            return kept, counts.occurrences
    with stages("Grouping events"):
        prepared = ByPopularity(baskets(events, parameters.cooccurrence_unit))
        estimate(prepared, parameters, memory=memory).check()
    with stages("Counting pairs") as told:
        if parameters.neighbours is not None:
            best = parameters.neighbours
            return nearest_neighbours(prepared, function, threshold, best, told), prepared.by_item
        counts = count_pairs(prepared, threshold, told=told)
    del prepared
    with stages("Similarity"):
        return item_similarity(counts, function, threshold), counts.occurrences


def finished(
    events: Interactions,
    occurrences: npt.NDArray[np.int64],
    similarity: Similarity,
    placing: Catalog | None,
    parameters: TrainingParameters,
    stages: Stages,
    seed: int = 0,
) -> SARRecommender:
    """The model, once pairs are counted, wherever that was; what `placing` lists is placed."""
    weights: dict[str, float] = {}
    if placing is not None and placing.feature_names:
        with stages("Placing cold items"):
            placement = place_cold_items(
                similarity,
                occurrences >= parameters.support_threshold,
                placing,
                events.items.indices(placing.items.ids),
                parameters.similarity_function,
                cold_to_cold=parameters.enable_cold_to_cold_recommendations,
                rng=np.random.default_rng(seed),
            )
        similarity, weights = placement.similarity, placement.weights
    with stages("Putting the model together"):
        model = _model_of(events, occurrences, similarity, parameters)
    model.feature_weights = weights
    return model


def _model_of(
    events: Interactions,
    occurrences: npt.NDArray[np.int64],
    similarity: Similarity,
    parameters: TrainingParameters,
) -> SARRecommender:
    model = SARRecommender(parameters)
    model.items = events.items
    model.similarity = similarity
    model.occurrences = occurrences
    by_popularity = np.argsort(-occurrences, kind="stable")
    model.popular = by_popularity[: np.count_nonzero(occurrences)].astype(np.int32)
    model.latest = float(events.time.max())
    if parameters.enable_user_to_item_recommendations:
        if not parameters.event_weights:
            events = replace(events, weight=np.ones_like(events.weight))
        model.history = latest_events(events)
    return model


class Stages:
    """Times each stage and passes its progress on."""

    def __init__(self, progress: Progress | None) -> None:
        self.durations: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def __call__(self, name: str) -> Iterator[Callable[[float], None]]:
        def told(share: float) -> None:
            if self._progress is not None:
                self._progress(name, share)

        started = time.perf_counter()
        told(0.0)
        yield told
        told(1.0)
        self.durations[name] = time.perf_counter() - started


def _catalog(
    catalog: Catalog | str | os.PathLike[str], relative_to: str | os.PathLike[str] | None
) -> tuple[Catalog, ParsingReport | None]:
    if isinstance(catalog, Catalog):
        return catalog, None
    return read_catalog(catalog, relative_to=relative_to)


def _usage(
    usage: Interactions | str | os.PathLike[str],
    catalog: Catalog | None,
    relative_to: str | os.PathLike[str] | None,
) -> tuple[Interactions, ParsingReport | None]:
    known = None if catalog is None else catalog.items
    if not isinstance(usage, Interactions):
        return read_interactions(usage, format="usage", known_items=known, relative_to=relative_to)
    if known is None:
        return usage, None
    kept = known.indices(usage.items.ids)[usage.item] >= 0
    return usage.only(kept), None


def _with_items(events: Interactions, more: Vocabulary) -> Interactions:
    """The same events over a vocabulary that has these items too."""
    items = Vocabulary(np.concatenate([events.items.ids, more.ids]))
    place = items.indices(events.items.ids).astype(np.int32)
    return replace(events, items=items, item=place[events.item])
