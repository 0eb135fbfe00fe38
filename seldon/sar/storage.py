"""The arrays of a SAR model in its folder; see `seldon.folders`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from seldon.errors import InvalidModel
from seldon.folders import ModelFolder
from seldon.interactions import Vocabulary
from seldon.memory import available_memory, gigabytes
from seldon.sar.history import History
from seldon.sar.similarity import Similarity

if TYPE_CHECKING:
    from seldon.sar.model import SARRecommender

FACTS = "sar.json"


def write(model: SARRecommender, folder: Path) -> None:
    """Write everything but the training parameters, which the manifest keeps."""
    arrays = {
        "items": model.items.ids,
        "similarity_offsets": model.similarity.indptr,
        "similarity_columns": model.similarity.columns,
        "similarity_values": model.similarity.values,
        "occurrences": model.occurrences,
        "popular": model.popular,
    }
    if model.history is not None:
        arrays |= {
            "users": model.history.users.ids,
            "history_offsets": model.history.offsets,
            "history_items": model.history.item,
            "history_times": model.history.time,
            "history_weights": model.history.weight,
        }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)
    facts = {"latest": model.latest, "feature_weights": model.feature_weights}
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf-8")


def read_into(model: SARRecommender, opened: ModelFolder) -> None:
    """Map the arrays of a folder into `model`.

    Raises
    ------
    InvalidModel
        Something is missing, the arrays do not fit together, or not into memory.
    """
    _check_memory(opened)
    if FACTS not in opened.files:
        raise InvalidModel(f"{opened.path}: {FACTS!r} is not in its manifest")
    try:
        facts = json.loads((opened.path / FACTS).read_text(encoding="utf-8"))
        model.latest = float(facts["latest"])
        model.feature_weights = dict(facts["feature_weights"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidModel(f"{opened.path / FACTS}: not what was saved: {error!r}") from error
    model.items = Vocabulary.of_sorted(opened.array("items"))
    model.similarity = Similarity(
        opened.array("similarity_offsets"),
        opened.array("similarity_columns"),
        opened.array("similarity_values"),
    )
    model.occurrences = opened.array("occurrences")
    model.popular = opened.array("popular")
    if "users.npy" in opened.files:
        model.history = History(
            Vocabulary.of_sorted(opened.array("users")),
            opened.array("history_offsets"),
            opened.array("history_items"),
            opened.array("history_times"),
            opened.array("history_weights"),
        )
    _check(model, opened)


def _check(model: SARRecommender, opened: ModelFolder) -> None:
    """Shapes that fit together, so that no request reads beyond an array."""
    matrix = model.similarity
    fits = [
        len(model.occurrences) == len(model.items),
        _are_rows(model.popular, len(model.items)),
        _are_offsets(matrix.indptr, len(model.items), len(matrix.columns)),
        _are_rows(matrix.columns, len(model.items)),
        matrix.values.dtype == np.float64 and len(matrix.values) == len(matrix.columns),
    ]
    if model.history is not None:
        kept = model.history
        fits += [
            _are_offsets(kept.offsets, len(kept.users), len(kept.item)),
            _are_rows(kept.item, len(model.items)),
            len(kept.time) == len(kept.weight) == len(kept.item),
        ]
    if not all(fits):
        raise InvalidModel(f"{opened.path}: its arrays do not fit together; train it again")


def _are_offsets(offsets: npt.NDArray[Any], groups: int, size: int) -> bool:
    return (
        offsets.dtype == np.int64
        and offsets.shape == (groups + 1,)
        and bool(offsets[0] == 0 and offsets[-1] == size and np.all(offsets[1:] >= offsets[:-1]))
    )


def _are_rows(rows: npt.NDArray[Any], n_items: int) -> bool:
    if rows.dtype != np.int32 or rows.ndim != 1:
        return False
    return not len(rows) or bool(rows.min() >= 0 and rows.max() < n_items)


def _check_memory(opened: ModelFolder) -> None:
    """Refuse a model that memory could never hold: mapped, it would be read from disk for ever."""
    size = sum(int(file["bytes"]) for file in opened.files.values())
    if size > available_memory():
        raise InvalidModel(
            f"{opened.path}: the model has {gigabytes(size)}, but only "
            f"{gigabytes(available_memory())} of memory are available; keep fewer neighbours or "
            "raise the support threshold"
        )
