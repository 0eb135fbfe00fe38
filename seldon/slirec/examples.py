"""Training examples of one pass, with negatives drawn from their own batch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from seldon.slirec.dataset import Groups, Numbers, SequenceDataset
from seldon.slirec.hyperparameters import Hyperparameters

FEWEST = 5  # a batch of fewer positives is dropped, as in the published pipeline


def training_groups(
    dataset: SequenceDataset, h: Hyperparameters, rng: np.random.Generator
) -> Iterator[Groups]:
    """All training examples once, in random order, as batches of groups.

    Negatives are drawn uniformly from the positives of the same batch, so by popularity, with
    the category of the drawn event; never the row's own positive. A batch that holds one item
    alone is dropped, as there is nothing to draw.
    """
    positions = rng.permutation(dataset.train_positions(h.min_seq_length))
    own = dataset.vocabulary.own_categories()
    for start in range(0, len(positions), h.batch_size):
        position = positions[start : start + h.batch_size]
        positive = dataset.item[position]
        if len(position) < FEWEST or not (positive != positive[0]).any():
            continue
        drawn = _draw(positive, h.train_num_ngs, rng)
        rows = np.column_stack([np.arange(len(position)), drawn])
        item, category = positive[rows], dataset.category[position][rows]
        if h.candidate_category != "event":
            chosen = rng.random((len(position), 1)) < _OWN_SHARE[h.candidate_category]
            category = np.where(chosen, own[item], category)
        yield Groups(position, item, category)


def batches_in_a_pass(dataset: SequenceDataset, h: Hyperparameters) -> int:
    """How many batches `training_groups` yields, unless one holds a single item."""
    count = len(dataset.train_positions(h.min_seq_length))
    return count // h.batch_size + (count % h.batch_size >= FEWEST)


_OWN_SHARE = {"item": 1.0, "mixed": 0.5}


def _draw(positive: Numbers, negatives: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Rows of the batch, shape (n, negatives), none of which has the row's own positive."""
    drawn = rng.integers(0, len(positive), (len(positive), negatives))
    while (same := positive[drawn] == positive[:, None]).any():
        drawn[same] = rng.integers(0, len(positive), int(same.sum()))
    return drawn
