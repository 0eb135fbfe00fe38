"""Step 4: train SLi-Rec; resumable, early stopping, the same result for the same seed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seldon.errors import InvalidParameter, MissingExtra
from seldon.slirec.checkpoints import (
    Checkpoint,
    Weights,
    load_network,
    newest_checkpoint,
    save_checkpoint,
)
from seldon.slirec.dataset import SequenceDataset
from seldon.slirec.examples import FEWEST
from seldon.slirec.hyperparameters import Hyperparameters
from seldon.slirec.network import SLiRecNetwork
from seldon.slirec.training_run import TrainingRun

try:
    import torch
except ImportError:
    raise MissingExtra("torch", "slirec") from None


@dataclass(frozen=True)
class Training:
    """What a training run came to.

    Attributes
    ----------
    network : SLiRecNetwork
        The best epoch's, ready to score.
    best_epoch : int
        See `chosen_epoch`.
    history : list of dict
        For each epoch ``epoch``, ``loss``, the validation's ``group_auc`` with its standard error
        ``group_auc_error``, and the ``seconds`` it took.
    """

    network: SLiRecNetwork
    best_epoch: int
    history: list[dict[str, float]]


def train(
    dataset: SequenceDataset,
    hyperparameters: Hyperparameters,
    folder: str | os.PathLike[str],
    *,
    progress: bool = False,
    device: str | None = None,
) -> Training:
    """Train into `folder`, or go on with what an interrupted call left there.

    After each epoch the network is validated and a checkpoint stands in `folder`; a call that
    was killed is repeated from the last one and comes to the same result. TensorBoard
    summaries are written to ``folder/summaries``.

    Parameters
    ----------
    dataset : SequenceDataset
        Its valid groups choose the best epoch, by their mean group AUC.
    hyperparameters : Hyperparameters
    folder : path
    progress : bool
        Show a bar on standard error.
    device : str, optional
        As PyTorch names it; by default the accelerator if there is one, else ``cpu``.

    Returns
    -------
    Training

    Raises
    ------
    InvalidParameter
        Nothing to train on or to validate with, or a device that is not here.
    InvalidModel
        `folder` holds the training of another vocabulary or of other hyperparameters.
    TrainingDiverged
    """
    h = hyperparameters
    _check(dataset, h)
    where = Path(folder)
    where.mkdir(parents=True, exist_ok=True)
    run = TrainingRun(dataset, h, _usable(device) if device else _accelerator())
    found = newest_checkpoint(where, h, dataset.vocabulary)
    history: list[dict[str, float]] = []
    best: Weights = {}
    if found:
        run.restore(found)
        history, best = found.history, found.best
    with _summaries(where / "summaries", len(history)) as summaries:
        while len(history) < h.epochs and not _has_stalled(history, h.EARLY_STOP):
            report = run.epoch(len(history) + 1, progress)
            history = [*history, report]
            for name in ("loss", "group_auc"):
                summaries.add_scalar(name, report[name], len(history))
            if chosen_epoch(history, h.best_within) == len(history):
                best = run.weights()
            made = Checkpoint(len(history), run.weights(), best, run.moments(), history)
            save_checkpoint(made, where, h, dataset.vocabulary)
    best_epoch = chosen_epoch(history, h.best_within)
    return Training(load_network(where, dataset.vocabulary), best_epoch, history)


def chosen_epoch(history: list[dict[str, float]], within: float = 0.0) -> int:
    """The newest epoch whose group AUC falls short of the best by `within` standard errors at most.

    With `within` 0 that is the best one, of equal ones the first.
    """
    highest = _highest(history)
    if not within:
        return highest
    best = history[highest - 1]
    least = best["group_auc"] - within * best["group_auc_error"]
    return max(n for n, epoch in enumerate(history, 1) if epoch["group_auc"] >= least)


def _check(dataset: SequenceDataset, h: Hyperparameters) -> None:
    examples = len(dataset.train_positions(h.min_seq_length))
    if examples < FEWEST:
        raise InvalidParameter(
            f"{examples} training examples are too few, at least {FEWEST} are needed: users with "
            f"more than {h.min_seq_length + 2} events"
        )
    if not len(dataset.valid.position) or dataset.valid.item.shape[1] < 2:
        raise InvalidParameter(
            "there is nothing to validate with: no valid groups, or no negatives"
        )


def _usable(device: str) -> str:
    try:
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).partition("\n")[0]
        raise InvalidParameter(f"device={device!r} cannot be used here: {why}") from None
    return device


def _accelerator() -> str:
    found = torch.accelerator.current_accelerator(check_available=True)
    return found.type if found is not None else "cpu"


def _has_stalled(history: list[dict[str, float]], patience: int) -> bool:
    return bool(patience and history) and len(history) - _highest(history) >= patience


def _highest(history: list[dict[str, float]]) -> int:
    return 1 + int(np.argmax([epoch["group_auc"] for epoch in history]))


@contextmanager
def _summaries(folder: Path, finished: int) -> Iterator[Any]:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtra("tensorboard", "slirec") from None
    # What a killed run wrote about an epoch that is now trained again is left out.
    writer = SummaryWriter(str(folder), purge_step=finished + 1)
    try:
        yield writer
    finally:
        writer.close()
