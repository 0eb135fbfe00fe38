"""`SequenceBatch`: padded histories with their time features, for training and serving alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seldon.slirec.dataset import Numbers, Positions, SequenceDataset

DAY = 86_400.0
SHORTEST = 0.5  # days; every span below counts as this, so none is negative or zero
Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class SequenceBatch:
    """Histories padded on the right with 0; rows are examples, columns steps, oldest first.

    Attributes
    ----------
    item, category : ndarray of int32, shape (n, length)
        Numbers in the vocabulary.
    steps : ndarray of int64, shape (n,)
        How many columns of each row are real.
    to_now : ndarray of float32, shape (n, length)
        Natural logarithm of the days from the step to the moment of judgement, at least
        `SHORTEST`; 0 in padding, like the two below.
    from_first : ndarray of float32, shape (n, length)
        The same from the user's very first action to the action AFTER the step (to the moment
        of judgement for the last), as the published pipeline shifts it.
    gap : ndarray of float32, shape (n, length)
        The same from the action before the step to the step; 0 for the very first action.
    """

    item: Numbers
    category: Numbers
    steps: Positions
    to_now: Features
    from_first: Features
    gap: Features

    def __len__(self) -> int:
        return len(self.steps)


def sequence_batch(dataset: SequenceDataset, positions: Positions, length: int) -> SequenceBatch:
    """The histories of some examples, cut to their newest `length` steps."""
    return padded(
        dataset.item,
        dataset.category,
        dataset.time,
        dataset.history_start(positions),
        positions,
        dataset.time[positions],
        length,
    )


def padded(
    item: Numbers,
    category: Numbers,
    time: npt.NDArray[np.int64],
    start: Positions,
    end: Positions,
    now: npt.NDArray[np.int64],
    length: int,
) -> SequenceBatch:
    """Histories ``start[k]:end[k]`` of shared event arrays, judged at ``now[k]`` (seconds).

    Only the newest `length` steps are kept, but spans from the first action are measured
    from ``start[k]``. All rows are padded to `length`.
    """
    steps = np.minimum(end - start, length)
    column = np.arange(length)
    real = column < steps[:, None]
    # Padding points at event 0 and is blanked afterwards.
    index = np.where(real, (end - steps)[:, None] + column, 0)
    following = np.where(column == steps[:, None] - 1, now[:, None], time[_inside(index + 1, time)])
    first = time[_inside(start, time)][:, None]
    previous = time[_inside(index - 1, time)]
    gap = _log_days(time[index] - previous)
    gap[index == start[:, None]] = 0
    return SequenceBatch(
        np.where(real, item[index], 0),
        np.where(real, category[index], 0),
        steps,
        np.where(real, _log_days(now[:, None] - time[index]), 0),
        np.where(real, _log_days(following - first), 0),
        np.where(real, gap, 0),
    )


def _inside(index: Positions, time: npt.NDArray[np.int64]) -> Positions:
    return np.clip(index, 0, len(time) - 1)


def _log_days(seconds: npt.NDArray[np.int64]) -> Features:
    return np.log(np.maximum(seconds / DAY, SHORTEST)).astype(np.float32)
