"""Candidate files: one line a candidate, groups of a positive and its negatives."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd

from seldon.errors import InvalidParameter
from seldon.slirec.dataset import Groups, SequenceDataset

COLUMNS = ["label", "user_id", "item_handle", "item_category", "timestamp"]


def read_candidates(
    path: str | os.PathLike[str], dataset: SequenceDataset, part: str = "test"
) -> Groups:
    """Read groups that somebody else sampled, for the users of a data set.

    Parameters
    ----------
    path : path
        Tab-separated with the header `COLUMNS`, packed with gzip if its name ends in ``.gz``.
        Each group is a line of label 1 and then its lines of label 0; all have as many.
    dataset : SequenceDataset
        Split from the same events.
    part : str
        ``test``: a positive is its user's last event; ``valid``: the one before.

    Raises
    ------
    InvalidParameter
        Another form, a user the data set does not have, or a positive that is not the event
        it should be.
    """
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    if list(table.columns) != COLUMNS:
        raise InvalidParameter(f"{path}: columns are {list(table.columns)}, expected {COLUMNS}")
    starts = np.flatnonzero(table["label"].to_numpy() == "1")
    width = int(starts[1]) if len(starts) > 1 else len(table)
    if not len(starts) or not np.array_equal(starts, np.arange(0, len(table), width)):
        raise InvalidParameter(f"{path}: not groups of one positive and equally many negatives")
    block = {user: number for number, user in enumerate(dataset.users)}
    try:
        users = [block[user] for user in table["user_id"].to_numpy()[starts]]
    except KeyError as error:
        raise InvalidParameter(f"{path}: user {error} is not in the data set") from None
    position = dataset.start[1:][users] - (1 if part == "test" else 2)
    item = dataset.vocabulary.item_numbers(table["item_handle"].to_numpy(np.str_))
    category = dataset.vocabulary.category_numbers(table["item_category"].to_numpy(np.str_))
    groups = Groups(position, item.reshape(-1, width), category.reshape(-1, width))
    wrong = np.flatnonzero(groups.item[:, 0] != dataset.item[position])
    if len(wrong):
        line = starts[wrong[0]] + 2
        raise InvalidParameter(f"{path}, line {line}: is not the {part} event of its user")
    return groups


def write_candidates(
    groups: Groups, dataset: SequenceDataset, path: str | os.PathLike[str]
) -> None:
    """Write what `read_candidates` reads; items unknown to the vocabulary by its default."""
    width = groups.item.shape[1]
    user = np.searchsorted(dataset.start, groups.position, side="right") - 1
    values = [
        (np.arange(groups.item.size) % width == 0).astype(int),
        np.repeat(np.asarray(dataset.users)[user], width),
        np.asarray(dataset.vocabulary.items)[groups.item.ravel()],
        np.asarray(dataset.vocabulary.categories)[groups.category.ravel()],
        np.repeat(dataset.time[groups.position], width),
    ]
    table = pd.DataFrame(dict(zip(COLUMNS, values, strict=True)))
    table.to_csv(path, sep="\t", index=False)
