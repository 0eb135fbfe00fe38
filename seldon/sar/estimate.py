"""What a training run will need, before it starts: a sample of rows is counted exactly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from seldon.errors import TooLarge
from seldon.memory import available_memory, gigabytes
from seldon.sar.counting import ByPopularity, Scratch
from seldon.sar.parameters import TrainingParameters

ROWS_SAMPLED = 400
BYTES_PER_PAIR = 40
"""Peak of one kept pair without a limit of neighbours: count, value, two entries, and sorting."""
BYTES_PER_NEIGHBOUR = 36
"""Peak of one place in the lists of neighbours: the list, the matrix, and sorting."""
BYTES_PER_PLACE = 24
"""Of one item in one basket, while rows are counted."""
THRESHOLDS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50, 100)


@dataclass(frozen=True)
class Estimate:
    """What training will meet and need.

    Attributes
    ----------
    items, baskets : int
    places : int
        Distinct items of all baskets: the events that count.
    visits : int
        Pairs met while counting, Σ basket · (basket − 1) / 2; the time follows it.
    pairs : int
        Distinct pairs at or above the threshold; from a sample, exact when it is small.
    pairs_at_most : int
        Three standard errors above.
    memory : int
        Bytes at the peak, for `pairs_at_most`.
    available : int
        Bytes that may be used.
    threshold_that_fits : int or None
        The lowest support threshold tried that would fit with everything else as it is.
    neighbours_that_fit : int or None
        How many neighbours of each item could be kept; None when not even ten.
    """

    items: int
    baskets: int
    places: int
    visits: int
    pairs: int
    pairs_at_most: int
    memory: int
    available: int
    threshold_that_fits: int | None
    neighbours_that_fit: int | None

    @property
    def fits(self) -> bool:
        return self.memory <= self.available

    def check(self) -> None:
        """Raise `TooLarge` with the numbers that would do when it does not fit."""
        if self.fits:
            return
        ways = []
        if self.neighbours_that_fit is not None:
            ways.append(f"keep {self.neighbours_that_fit:,} neighbours of each item (neighbours)")
        if self.threshold_that_fits is not None:
            ways.append(f"raise the support threshold to {self.threshold_that_fits}")
        raise TooLarge(
            f"about {self.pairs:,} pairs of {self.items:,} items need "
            f"{gigabytes(self.memory)}, but {gigabytes(self.available)} are available; "
            + (" or ".join(ways) or "more memory is needed, or fewer items")
        )


def estimate(
    prepared: ByPopularity,
    parameters: TrainingParameters,
    *,
    memory: int | None = None,
    seed: int = 0,
) -> Estimate:
    """Estimate the pairs and the memory of a training run; takes seconds at any size.

    Rows are drawn with a chance that follows the most pairs they can have, and counted in
    full, so the estimate has no bias and its error is known.

    Parameters
    ----------
    prepared : ByPopularity
    parameters : TrainingParameters
    memory : int, optional
        Bytes that may be used; otherwise what is available now.
    seed : int
        Of the draw.
    """
    available = available_memory() if memory is None else memory
    n_items = len(prepared.order)
    pairs = {
        threshold: kept
        for threshold, kept in _pairs(prepared, np.random.default_rng(seed)).items()
        if threshold >= parameters.support_threshold
    } or {parameters.support_threshold: (0.0, 0.0)}
    fixed = n_items * 64 + prepared.places * BYTES_PER_PLACE

    def needed(threshold: int, neighbours: int | None) -> int:
        kept = pairs[threshold][1]
        lists = np.inf if neighbours is None else n_items * min(neighbours, n_items)
        return int(
            fixed
            + min(
                kept * BYTES_PER_PAIR if neighbours is None else np.inf,
                min(lists, 2 * kept) * BYTES_PER_NEIGHBOUR,
            )
        )

    now = min(pairs)
    room = (available - fixed) // (max(n_items, 1) * BYTES_PER_NEIGHBOUR)
    return Estimate(
        items=n_items,
        baskets=prepared.n_baskets,
        places=prepared.places,
        visits=int(prepared.work.sum()),
        pairs=int(pairs[now][0]),
        pairs_at_most=int(pairs[now][1]),
        memory=needed(now, parameters.neighbours),
        available=available,
        threshold_that_fits=next(
            (t for t in sorted(pairs) if needed(t, parameters.neighbours) <= available), None
        ),
        neighbours_that_fit=min(int(room), max(n_items - 1, 1)) if room >= 10 else None,
    )


def _pairs(prepared: ByPopularity, rng: np.random.Generator) -> dict[int, tuple[float, float]]:
    """For each threshold, how many pairs reach it, and that with three standard errors."""
    bounds = prepared.bounds
    total = float(bounds.sum())
    if not total:
        return dict.fromkeys(THRESHOLDS, (0.0, 0.0))
    rows = rng.choice(len(bounds), ROWS_SAMPLED, p=bounds / total)
    if np.count_nonzero(bounds) <= ROWS_SAMPLED:
        rows = np.flatnonzero(bounds)
    scratch = Scratch(len(bounds), int(bounds[rows].max()))
    found = np.empty((len(rows), len(THRESHOLDS)))
    for place, row in enumerate(rows.tolist()):
        counts = prepared.count(row, row + 1, 1, scratch).counts
        found[place] = [np.count_nonzero(counts >= threshold) for threshold in THRESHOLDS]
    if len(rows) < ROWS_SAMPLED or np.count_nonzero(bounds) <= ROWS_SAMPLED:
        exact = found.sum(axis=0)
        return {t: (float(n), float(n)) for t, n in zip(THRESHOLDS, exact, strict=True)}
    shares = found / bounds[rows, None]
    mean, error = shares.mean(axis=0), shares.std(axis=0) / np.sqrt(len(rows))
    return {
        threshold: (share * total, min(share + 3 * wrong, 1.0) * total)
        for threshold, share, wrong in zip(THRESHOLDS, mean, error, strict=True)
    }
