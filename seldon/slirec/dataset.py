"""Step 3: who is trained on, validated and tested with what; histories as offsets."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from seldon.errors import InvalidModel, InvalidParameter
from seldon.folders import open_folder, publishing
from seldon.slirec.events import Events
from seldon.slirec.vocabulary import (
    DEFAULT_CATEGORY,
    DEFAULT_ITEM,
    SequenceVocabulary,
    by_frequency,
)

KIND = "seldon.slirec.dataset"
DRAWS = 100
"""Times that a positive's negatives are drawn before the rest of them are taken by weight."""

Numbers = npt.NDArray[np.int32]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """Positives, each with its sampled negatives.

    Attributes
    ----------
    position : ndarray of int64, shape (n_groups,)
        The event that is the positive; what its user did before it is the history, its time
        the moment of judgement.
    item, category : ndarray of int32, shape (n_groups, 1 + n_negatives)
        Candidates by number; column 0 is the positive.
    """

    position: Positions
    item: Numbers
    category: Numbers


@dataclass(frozen=True)
class SequenceDataset:
    """Events grouped by user, and which of them are valid and test.

    An example is one position: its target is the event there, its history what the same user
    did before. So 71 thousand examples are 71 thousand numbers.

    Attributes
    ----------
    vocabulary : SequenceVocabulary
    users : tuple of str
        In order of their blocks.
    start : ndarray of int64, shape (n_users + 1,)
        User u's events stand at ``start[u]`` to ``start[u + 1]``.
    item, category : ndarray of int32, shape (n_events,)
        Numbers in `vocabulary`.
    time : ndarray of int64, shape (n_events,)
        Seconds since 1970-01-01 UTC.
    valid, test : Groups
    """

    vocabulary: SequenceVocabulary
    users: tuple[str, ...]
    start: Positions
    item: Numbers
    category: Numbers
    time: npt.NDArray[np.int64]
    valid: Groups
    test: Groups

    def __repr__(self) -> str:
        return (
            f"SequenceDataset({len(self.item)} events, {len(self.users)} users, "
            f"{len(self.valid.position)} valid, {len(self.test.position)} test)"
        )

    def train_positions(self, min_history: int = 1) -> Positions:
        """Positions of the training examples, in order: all but each user's last two events."""
        rank, count = _rank_and_count(self.start)
        return np.flatnonzero((rank >= min_history) & (rank < count - 2))

    def history_start(self, positions: Positions) -> Positions:
        """Where the history of each position begins; it ends before the position."""
        return self.start[np.searchsorted(self.start, positions, side="right") - 1]


def split(
    events: Events,
    *,
    seed: int = 42,
    valid_negatives: int = 4,
    test_negatives: int = 9,
    order: str = "file",
    item_categories: Mapping[str, str] | None = None,
) -> SequenceDataset:
    """Each user's last event is test, the one before valid, the others train.

    Parameters
    ----------
    events : Events
        A user's events need not stand together.
    seed : int
        Of the sampled negatives.
    valid_negatives, test_negatives : int
        Sampled for each positive: distinct, not the positive itself, as likely as they are
        frequent in the training events, with their own category. Whether the user ever
        touched them is not asked.
    order : str
        ``file`` keeps the order of the file inside a user; ``time`` sorts by time (equal
        times in file order).
    item_categories : mapping, optional
        Items' own categories, as the inventory has them. An item that is not in it has the
        one of its last training event.

    Notes
    -----
    Vocabularies, own categories and negatives are made of training events alone. Users with
    one event give no example, with two only a test.
    """
    if order not in ("file", "time"):
        raise InvalidParameter(f"order={order!r} is neither 'file' nor 'time'")
    for name, value in (
        ("seed", seed),
        ("valid_negatives", valid_negatives),
        ("test_negatives", test_negatives),
    ):
        if value < 0:
            raise InvalidParameter(f"{name}={value} is not a whole number from 0")
    if not len(events):
        raise InvalidParameter("there are no events to split")
    rows, users, start = _blocks(events, order)
    rank, count = _rank_and_count(start)
    vocabulary = _vocabulary(events, rows, users, rank, count).with_categories(
        item_categories or {}
    )
    item = vocabulary.item_numbers(events.item[rows])
    category = vocabulary.category_numbers(events.category[rows])
    pool = item[(rank < count - 2) & (item > 0)]
    rng = np.random.default_rng(seed)

    def groups(last: int, negatives: int) -> Groups:
        positions = np.flatnonzero((rank >= 1) & (rank == count - last))
        sampled = _sampled(item[positions], pool, negatives, rng)
        own = vocabulary.own_categories()[sampled]
        return Groups(
            positions,
            np.column_stack([item[positions], sampled]),
            np.column_stack([category[positions], own]),
        )

    return SequenceDataset(
        vocabulary,
        users,
        start,
        item,
        category,
        events.time[rows],
        valid=groups(2, valid_negatives),
        test=groups(1, test_negatives),
    )


def with_own_categories(groups: Groups, vocabulary: SequenceVocabulary) -> Groups:
    """The same candidates, each with its item's own category, as a service scores them."""
    return Groups(groups.position, groups.item, vocabulary.own_categories()[groups.item])


def save_dataset(dataset: SequenceDataset, location: str | os.PathLike[str]) -> None:
    """Write a folder that `load_dataset` reads; an older one there is replaced."""
    with publishing(location, KIND, {"users": len(dataset.users)}) as folder:
        names = {**dataset.vocabulary.to_json(), "blocks": list(dataset.users)}
        (folder / "vocabulary.json").write_text(
            json.dumps(names, ensure_ascii=False), encoding="utf-8"
        )
        for name in ("start", "item", "category", "time"):
            np.save(folder / f"{name}.npy", getattr(dataset, name))
        for part in ("valid", "test"):
            for name in ("position", "item", "category"):
                np.save(folder / f"{part}_{name}.npy", getattr(getattr(dataset, part), name))


def load_dataset(location: str | os.PathLike[str]) -> SequenceDataset:
    """Read what `save_dataset` wrote; see `seldon.folders.open_folder` for what is refused."""
    folder = open_folder(location)
    if folder.kind != KIND:
        raise InvalidModel(f"{folder.path}: holds a {folder.kind!r}, not a {KIND!r}")
    names = json.loads((folder.path / "vocabulary.json").read_text(encoding="utf-8"))
    valid, test = (
        Groups(*(folder.array(f"{part}_{name}") for name in ("position", "item", "category")))
        for part in ("valid", "test")
    )
    return SequenceDataset(
        SequenceVocabulary.from_json(names),
        tuple(names["blocks"]),
        folder.array("start"),
        folder.array("item"),
        folder.array("category"),
        folder.array("time"),
        valid,
        test,
    )


def _blocks(events: Events, order: str) -> tuple[Positions, tuple[str, ...], Positions]:
    """Rows grouped by user in order of first appearance, the users, and the blocks' offsets."""
    names, first, code = np.unique(events.user, return_index=True, return_inverse=True)
    appearance = np.argsort(np.argsort(first))
    block = appearance[code]
    rows = np.lexsort((events.time, block) if order == "time" else (block,))
    start = np.concatenate([[0], np.cumsum(np.bincount(block, minlength=len(names)))])
    return rows, tuple(names[np.argsort(first)].tolist()), start.astype(np.int64)


def _rank_and_count(start: Positions) -> tuple[Positions, Positions]:
    """For each event: how many of its user's stand before it, and how many there are."""
    counts = np.diff(start)
    return np.arange(start[-1]) - np.repeat(start[:-1], counts), np.repeat(counts, counts)


def _vocabulary(
    events: Events, rows: Positions, users: tuple[str, ...], rank: Positions, count: Positions
) -> SequenceVocabulary:
    """Frequencies as the published pipeline counts them in its expanded training file.

    There an event of rank r of a user with n training events is a target once, when r ≥ 1,
    and stands in the n − 1 − r histories after it. Equal counts go by first sight: a line's
    target is seen before its history, so a user's second event before the first.
    """
    train = np.flatnonzero(rank < count - 2)
    rank, n = rank[train], count[train] - 2
    weight = (rank >= 1) + (n - 1 - rank)
    seen = train + np.where(rank == 0, 1, np.where(rank == 1, -1, 0))
    item, category = events.item[rows[train]], events.category[rows[train]]
    items = (DEFAULT_ITEM, *by_frequency(item, weight, seen))
    categories = (DEFAULT_CATEGORY, *by_frequency(category, weight, seen))
    lines = np.where(rank >= 1, 1, 0)
    own = dict(zip(item.tolist(), category.tolist(), strict=True))
    bare = SequenceVocabulary(
        items,
        categories,
        tuple(by_frequency(events.user[rows[train]], lines, train)),
        (0,) * len(items),
    )
    return bare.with_categories(own)


def _sampled(positive: Numbers, pool: Numbers, negatives: int, rng: np.random.Generator) -> Numbers:
    """For each positive, distinct items from the pool that are not it; shape (n, negatives)."""
    if len(positive) and negatives and len(np.unique(pool)) <= negatives:
        raise InvalidParameter(
            f"{negatives} negatives are wanted for each positive, but the training events, all "
            f"but each user's last two, hold only {len(np.unique(pool))} items"
        )
    sampled = np.empty((len(positive), negatives), np.int32)
    counts = np.bincount(pool)
    for row, own in enumerate(positive.tolist()):
        taken = {own: None}  # in order
        for _ in range(DRAWS):
            taken |= dict.fromkeys(rng.choice(pool, negatives).tolist())
            if len(taken) > negatives:
                break
        else:  # what is left is too rare to wait for
            taken |= dict.fromkeys(_by_weight(counts, list(taken), rng).tolist())
        sampled[row] = list(taken)[1 : 1 + negatives]
    return sampled


def _by_weight(counts: Positions, without: list[int], rng: np.random.Generator) -> Positions:
    """All items but those of `without`, in an order of drawing by their counts.

    The least of exponential times, each at its item's rate, falls on an item as often as one
    draw by weight does (Efraimidis and Spirakis, 2006).
    """
    rate = counts.astype(np.float64)
    rate[[item for item in without if item < len(rate)]] = 0
    items = np.flatnonzero(rate)
    order: Positions = items[np.argsort(rng.exponential(size=len(items)) / rate[items])]
    return order
