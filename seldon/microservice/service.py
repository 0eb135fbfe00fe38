"""`RecommendService`: from a query to recommendations, without HTTP."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seldon.algorithms import Algorithm
from seldon.answers import Answer, UnusableAnswer, clean
from seldon.bulkhead import Bulkhead, InPlace, NoSlot, TookTooLong
from seldon.candidate_store import CandidateStore
from seldon.candidates import CandidateList, Candidates
from seldon.errors import CandidatesUnavailable, SeldonError
from seldon.microservice.query import RecommendQuery
from seldon.operation import metrics

log = logging.getLogger(__name__)
NOTHING = Answer([], [], {})
VERSION = re.compile(r"[!-~]{1,64}")
SHARE = 0.8  # of the time left, for an algorithm that has others after it


class AlgorithmsFailed(SeldonError):
    """No algorithm of the chain answered in time; another of the caller's may."""

    status = 503


@dataclass
class Recommended:
    """An answer and how it came about."""

    answer: Answer = NOTHING
    algorithm: str = "none"
    version: str = ""
    source: str = ""
    candidates: int = 0
    cut: bool = False
    candidates_ms: float = 0.0
    algorithm_ms: float = 0.0
    troubles: list[str] = field(default_factory=list)


class RecommendService:
    """Finds a request's candidates and asks the client's algorithms for scores.

    Parameters
    ----------
    store : CandidateStore
    chain : sequence of Algorithm
        Tried in order until one answers something.
    chains : mapping
        Client to its own chain.
    settings : mapping
        See `seldon.config`.
    """

    def __init__(
        self,
        store: CandidateStore,
        chain: Sequence[Algorithm],
        chains: Mapping[str, Sequence[Algorithm]],
        settings: Mapping[str, object],
    ) -> None:
        self.store = store
        self.clients = frozenset(chains)
        slots = int(str(settings["ALGORITHM_SLOTS"]))
        bulkheads: dict[int, Bulkhead | InPlace] = {}

        def guarded(members: Sequence[Algorithm]) -> list[tuple[Algorithm, Bulkhead | InPlace]]:
            for each in members:
                if id(each) not in bulkheads:
                    bulkheads[id(each)] = InPlace() if each.quick else Bulkhead(slots)
            return [(each, bulkheads[id(each)]) for each in members]

        self._chain = guarded(chain)
        self._chains = {client: guarded(members) for client, members in chains.items()}
        self._cache_seconds = float(str(settings["CACHE_BUDGET_MS"])) / 1e3
        self._algorithm_seconds = float(str(settings["ALGORITHM_BUDGET_MS"])) / 1e3
        self._normalization = str(settings["SCORE_NORMALIZATION"])
        self._catalogue_on_failure = settings["ON_CANDIDATE_FAILURE"] == "catalogue"

    def recommend(self, query: RecommendQuery) -> Recommended:
        """Score the query's candidates.

        Raises
        ------
        CandidatesUnavailable
            memcached could not be asked, and the setting is to say so.
        AlgorithmsFailed
        """
        started = time.perf_counter()
        result = Recommended()
        candidates = self._candidates(query, result)
        found = time.perf_counter()
        result.candidates_ms = (found - started) * 1e3
        if candidates is None or len(candidates.ids):
            self._score(query, candidates, result)
            result.algorithm_ms = (time.perf_counter() - found) * 1e3
        return result

    def explain(self, query: RecommendQuery) -> tuple[Recommended, list[list[tuple[int, float]]]]:
        """`recommend`, and for each item what each past interaction adds to its score.

        Raises
        ------
        CandidatesUnavailable, AlgorithmsFailed
        """
        result = self.recommend(query)
        for algorithm, bulkhead in self._chains.get(query.client, self._chain):
            if algorithm.name == result.algorithm:
                asked = (self._contributions, algorithm, query, result.answer.items)
                return result, bulkhead.call(*asked, seconds=self._algorithm_seconds)
        return result, []

    @staticmethod
    def _contributions(
        algorithm: Algorithm, query: RecommendQuery, items: list[int]
    ) -> list[list[tuple[int, float]]]:
        known = (query.recent_interactions, query.client)
        return [algorithm.contributions(query.user_id, item, *known) for item in items]

    def _candidates(self, query: RecommendQuery, result: Recommended) -> CandidateList | None:
        """The list named by the query; None for the algorithm's own catalogue."""
        if query.candidates is not None:
            result.source = "body"
            candidates = Candidates.of(query.candidates)
            result.candidates = len(candidates)
            return CandidateList(candidates.ids)
        if not query.data_keys:
            result.source = "catalogue"
            return None
        try:
            found = self.store.get(query.data_keys, time.monotonic() + self._cache_seconds)
        except CandidatesUnavailable as error:
            metrics.CACHE_FAILURES.inc()
            if not self._catalogue_on_failure:
                raise
            log.warning("%s; answering from the catalogue", error)
            result.source = "catalogue-fallback"
            return None
        for problem in found.problems:
            metrics.BAD_LISTS.inc()
            log.warning("a candidate list cannot be read: %s", problem)
        result.source, result.cut = found.source, found.cut
        result.candidates = len(found.candidates.ids)
        return found.candidates

    def _score(
        self, query: RecommendQuery, candidates: CandidateList | None, result: Recommended
    ) -> None:
        chain = self._chains.get(query.client, self._chain)
        deadline = time.perf_counter() + self._algorithm_seconds
        failures = 0
        for position, (algorithm, bulkhead) in enumerate(chain, 1):
            started = time.perf_counter()
            seconds = (deadline - started) * (1 if position == len(chain) else SHARE)
            try:
                answer, version, result.candidates = bulkhead.call(
                    self._ask, algorithm, query, candidates, seconds=seconds
                )
            except Exception as error:
                failures += 1
                self._trouble(algorithm, error, result)
                continue
            result.answer, result.algorithm, result.version = answer, algorithm.name, version
            for reason, number in answer.dropped.items():
                metrics.DROPPED.labels(algorithm.name, reason).inc(number)
            metrics.count_answer(algorithm.name, result.source, time.perf_counter() - started)
            if answer.items:
                return
        if failures == len(chain):
            raise AlgorithmsFailed(f"no algorithm answered: {'; '.join(result.troubles)}")

    def _ask(
        self,
        algorithm: Algorithm,
        query: RecommendQuery,
        candidates: CandidateList | None,
        again: bool = True,
    ) -> tuple[Answer, str, int]:
        """The answer, the algorithm's version and the number of candidates.

        Runs in the bulkhead, all of it: cleaning, too, runs the algorithm's code if it yields.
        """
        version = algorithm.version()
        own = algorithm.catalogue() if candidates is None else candidates
        data_set = Candidates(own, query.exclusion_items)
        extras = {name: getattr(query, name) for name in algorithm.extras}
        answer = algorithm.function(
            query.user_id,
            query.client,
            query.recent_interactions,
            data_set,
            query.limit,
            **extras,
        )
        cleaned = clean(answer, data_set, query.limit, self._normalization)
        if again and algorithm.version() != version:
            # Its model was exchanged meanwhile: no answer goes out under another's version.
            return self._ask(algorithm, query, candidates, again=False)
        if not VERSION.fullmatch(version):
            version = "unnamed"  # it goes into a header
        return cleaned, version, len(own.ids)

    def _trouble(self, algorithm: Algorithm, error: Exception, result: Recommended) -> None:
        if isinstance(error, TookTooLong):
            kind, said = "late", "took too long"
        elif isinstance(error, NoSlot):
            kind, said = "stuck", "is stuck in earlier calls"
        elif isinstance(error, UnusableAnswer):
            kind, said = "unusable", f"answered {error}"
        else:
            kind, said = "raised", f"raised {type(error).__name__}"
        metrics.TROUBLE.labels(algorithm.name, kind).inc()
        result.troubles.append(f"{algorithm.name} {said}")
        if kind == "raised":
            log.error("%s raised %r", algorithm.name, error, exc_info=error)
        else:
            log.warning("%s %s", algorithm.name, said)
