"""Checkpoints that survive a kill: one folder an epoch, each there whole or not at all."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from seldon.errors import InvalidModel, MissingExtra, ModelNotFound
from seldon.folders import ModelFolder, open_folder, publishing
from seldon.slirec.hyperparameters import Hyperparameters
from seldon.slirec.network import SLiRecNetwork
from seldon.slirec.vocabulary import SequenceVocabulary

try:
    import torch
    from safetensors.torch import load_file, save_file
except ImportError as error:
    raise MissingExtra(error.name or "torch", "slirec") from None

KIND = "seldon.slirec.checkpoint"
Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Checkpoint:
    """Where a training run stands after an epoch.

    Attributes
    ----------
    epoch : int
        Finished ones, from 1.
    weights, best : dict of str to Tensor
        Of the network after that epoch, and after the best one so far.
    optimizer : dict of str to Tensor
        Adam's two moments by parameter, and its step.
    history : list of dict
        Metrics of each epoch.
    """

    epoch: int
    weights: Weights
    best: Weights
    optimizer: Weights
    history: list[dict[str, float]]


def save_checkpoint(
    checkpoint: Checkpoint, folder: Path, h: Hyperparameters, vocabulary: SequenceVocabulary
) -> None:
    """Add an epoch to `folder` and remove those before it.

    An epoch has a folder name of its own, so that it appears by one rename; at no moment is
    there none.
    """
    metadata = {
        "epoch": checkpoint.epoch,
        "history": checkpoint.history,
        "hyperparameters": h.to_json(),
        "vocabulary": vocabulary.fingerprint,
    }
    target = folder / f"epoch-{checkpoint.epoch:05d}"
    with publishing(target, KIND, metadata) as made:
        save_file(checkpoint.weights, made / "weights.safetensors")
        save_file(checkpoint.best, made / "best.safetensors")
        save_file(checkpoint.optimizer, made / "optimizer.safetensors")
    for other in _epochs(folder):
        if other != target:
            shutil.rmtree(other, ignore_errors=True)


def newest_checkpoint(
    folder: Path, h: Hyperparameters, vocabulary: SequenceVocabulary
) -> Checkpoint | None:
    """The last finished epoch in `folder`, None when there is none.

    Raises
    ------
    InvalidModel
        It is damaged, or of another vocabulary or other hyperparameters; `epochs` and
        `EARLY_STOP` alone may differ.
    """
    epochs = _epochs(folder)
    if not epochs:
        return None
    opened = _opened(epochs[-1], vocabulary)
    found, wanted = opened.metadata["hyperparameters"], h.to_json()
    for name in wanted:
        if found.get(name) != wanted[name] and name not in ("epochs", "EARLY_STOP"):
            raise InvalidModel(
                f"{opened.path} was trained with {name}={found.get(name)!r}, now it is "
                f"{wanted[name]!r}; train into another folder, or remove this one"
            )
    return Checkpoint(
        int(opened.metadata["epoch"]),
        load_file(opened.path / "weights.safetensors"),
        load_file(opened.path / "best.safetensors"),
        load_file(opened.path / "optimizer.safetensors"),
        list(opened.metadata["history"]),
    )


def load_network(folder: Path, vocabulary: SequenceVocabulary) -> SLiRecNetwork:
    """The best network that was trained into `folder`, ready to score.

    Raises
    ------
    ModelNotFound, InvalidModel
        No epoch was finished there; it is damaged or of another vocabulary.
    """
    epochs = _epochs(folder)
    if not epochs:
        raise ModelNotFound(f"{folder} holds no trained epoch; train there first")
    opened = _opened(epochs[-1], vocabulary)
    h = Hyperparameters.of(opened.metadata["hyperparameters"])
    with torch.random.fork_rng():  # what it is initialised with is overwritten
        network = SLiRecNetwork(len(vocabulary.items), len(vocabulary.categories), h)
    network.load_state_dict(load_file(opened.path / "best.safetensors"))
    return network.eval()


def _epochs(folder: Path) -> list[Path]:
    found = [path for path in folder.glob("epoch-*") if re.fullmatch(r"epoch-\d+", path.name)]
    return sorted(found)


def _opened(path: Path, vocabulary: SequenceVocabulary) -> ModelFolder:
    opened = open_folder(path)
    if opened.kind != KIND:
        raise InvalidModel(f"{path}: holds a {opened.kind!r}, not a {KIND!r}")
    if opened.metadata.get("vocabulary") != vocabulary.fingerprint:
        raise InvalidModel(
            f"{path} was trained with another vocabulary ({opened.metadata.get('vocabulary')}, "
            f"this data set has {vocabulary.fingerprint}): its numbers mean other items; use the "
            "data set it was trained on, train into another folder, or remove this one"
        )
    return opened
