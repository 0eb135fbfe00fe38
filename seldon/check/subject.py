"""The algorithm under test, and the requests it is asked."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seldon.algorithms import Algorithm, load_algorithm
from seldon.answers import UnusableAnswer, as_arrays
from seldon.candidates import CandidateList, Candidates, Ids
from seldon.check.report import Failed
from seldon.errors import AlgorithmNotFound
from seldon.memcache.libmemcached import SafePool

UNKNOWN = 2**62  # ids from here up are in nobody's data


@dataclass(frozen=True)
class Request:
    """One call of ``get_recommendations``; `about` says in words what is special about it."""

    about: str
    candidates: CandidateList
    user_id: int = 1
    client: str = "test1"
    recent: Sequence[int] = ()
    exclusions: Sequence[int] = ()
    limit: int = 10
    dimensions: Sequence[int] = (0,)
    item_id: int | None = None

    def __str__(self) -> str:
        return f"{self.about} (limit={self.limit}, {len(self.candidates.ids)} candidates)"


@dataclass(frozen=True)
class Answered:
    """What came back.

    Attributes
    ----------
    request : Request
    raw : object
        As the algorithm answered; an iterator was read out.
    ids : ndarray of int64, shape (n,)
    scores : ndarray of float64, shape (n,)
        In the order answered.
    dropped : dict of str to int
        How many entries are not even that, by reason.
    """

    request: Request
    raw: Any
    ids: Ids
    scores: npt.NDArray[np.float64]
    dropped: Mapping[str, int]

    @property
    def best(self) -> list[int]:
        """The ids, best first."""
        ids: list[int] = self.ids[np.lexsort((self.ids, -self.scores))].tolist()
        return ids


class Subject:
    """A loaded algorithm that can be asked.

    Parameters
    ----------
    path : Path
        Its file.
    settings : mapping
        See `seldon.config`; handed to its ``init``.

    Raises
    ------
    Failed
        It cannot be loaded, with the reason.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path, self.settings = path, settings
        self.algorithm = self.load()
        self.rng = np.random.default_rng(0)

    def load(self) -> Algorithm:
        """Import the file and run its ``init``, as the service does at its start."""
        servers = self.settings["MEMCACHE"]
        pool = SafePool(servers["servers"], servers["pool_size"])
        try:
            return load_algorithm(self.path.stem, [self.path.parent], pool, self.settings)
        except AlgorithmNotFound as error:
            message = str(error).removeprefix("RECOMMENDER_ALG=")
            raise Failed(f"{message}{self._line(error.__cause__)}") from error
        except BaseException as error:  # sys.exit, or a setting that init misses
            raise Failed(f"init(mc, config) {self._raised(error)}") from error

    @cached_property
    def universe(self) -> Ids:
        """Ids to draw candidates from: the algorithm's own, or 1 to 200,000 if it names none."""
        try:
            own = self.algorithm.catalogue().ids
        except BaseException:  # the check of the catalogue reports it
            own = np.empty(0, np.int64)
        return own if len(own) else np.arange(1, 200_001)

    def candidates(self, number: int) -> CandidateList:
        """That many ids, drawn from the universe and filled up with ids nobody knows."""
        known = self.rng.permutation(self.universe)[:number]
        unknown = UNKNOWN + np.arange(number - len(known))
        return CandidateList(np.sort(np.concatenate([known, unknown]).astype(np.int64)))

    def some(self, number: int) -> list[int]:
        """That many ids of the universe, or as many as there are."""
        found: list[int] = self.rng.permutation(self.universe)[:number].tolist()
        return found

    def call(self, request: Request, algorithm: Algorithm | None = None) -> Any:
        """The bare answer, as `seldon.microservice` asks for it; an iterator is read out.

        Raises
        ------
        Failed
            It raised.
        """
        chosen = algorithm or self.algorithm
        data_set = Candidates(request.candidates, request.exclusions)
        extras = {name: getattr(request, name) for name in chosen.extras}
        arguments = (request.user_id, request.client, list(request.recent), data_set, request.limit)
        try:
            answer = chosen.function(*arguments, **extras)
            return list(answer) if isinstance(answer, Iterator) else answer
        except BaseException as error:  # sys.exit too: it would end a worker
            raise Failed(f"{self._raised(error)} when asked for {request}") from error

    def ask(self, request: Request, algorithm: Algorithm | None = None) -> Answered:
        """The answer, read by the service's own rules."""
        raw = self.call(request, algorithm)
        dropped: dict[str, int] = {}
        try:
            ids, scores = as_arrays(raw, dropped)
        except UnusableAnswer as error:
            raise Failed(f"answered {error} when asked for {request}") from error
        return Answered(request, raw, ids, scores, dropped)

    @cached_property
    def usual(self) -> list[Answered]:
        """Answers to requests as a Seldon server sends them."""
        first = Request("1,000 candidates", self.candidates(1000), recent=self.some(5))
        best = self.ask(first)
        top = best.best[:5] or first.candidates.ids[:5].tolist()
        # Excluding or withdrawing just what it would recommend is what finds a mistake.
        without = CandidateList(np.setdiff1d(first.candidates.ids, top))
        seen = [*first.recent, *top]
        return [best] + [
            self.ask(request)
            for request in (
                replace(first, about="its own best excluded", exclusions=top),
                replace(first, about="its own best not among the candidates", candidates=without),
                replace(first, about="recent items excluded", recent=seen, exclusions=seen),
                replace(first, about="one recommendation", limit=1),
                replace(first, about="as many as there are candidates", limit=1000),
                replace(first, about="another user", user_id=2, recent=self.some(20)),
                replace(first, about="an item being looked at", item_id=top[0], recent=top),
            )
        ]

    @cached_property
    def repeats_itself(self) -> bool:
        """Whether the same request gets the same answer."""
        request = self.usual[0].request
        return same(self.ask(request), self.ask(request))

    def _raised(self, error: BaseException) -> str:
        """``raised KeyError: 5 in line 12``."""
        return f"raised {type(error).__name__}: {error}{self._line(error)}"

    def _line(self, error: BaseException | None) -> str:
        """Where in the algorithm's own file it was raised."""
        frames = traceback.extract_tb(error.__traceback__) if error else []
        lines = [frame.lineno for frame in frames if Path(frame.filename) == self.path]
        return f" in line {lines[-1]}" if lines else ""


def same(one: Answered, other: Answered) -> bool:
    """Whether two answers recommend the same items with the same scores."""
    order, other_order = np.argsort(one.ids), np.argsort(other.ids)
    return np.array_equal(one.ids[order], other.ids[other_order]) and np.array_equal(
        one.scores[order], other.scores[other_order], equal_nan=True
    )
