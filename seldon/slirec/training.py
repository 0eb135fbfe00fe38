"""Step 4: train SLi-Rec; resumable, early stopping, the same result for the same seed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seldon import metrics
from seldon.errors import InvalidParameter, MissingExtra, SeldonError
from seldon.slirec.batches import sequence_batch
from seldon.slirec.checkpoints import (
    Checkpoint,
    Weights,
    load_network,
    newest_checkpoint,
    save_checkpoint,
)
from seldon.slirec.dataset import Groups, SequenceDataset
from seldon.slirec.examples import FEWEST, batches_in_a_pass, training_groups
from seldon.slirec.hyperparameters import Hyperparameters
from seldon.slirec.network import Histories, SLiRecNetwork, next_item_loss

try:
    import torch
    from torch import Tensor
except ImportError:
    raise MissingExtra("torch", "slirec") from None


class TrainingDiverged(SeldonError):
    """The loss is no number any more; nothing that was saved is touched."""


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


def scores(network: SLiRecNetwork, dataset: SequenceDataset, groups: Groups) -> Any:
    """Logits of each group's candidates, ndarray of float32, shape of ``groups.item``."""
    h = network.hyperparameters
    device = str(next(network.parameters()).device)
    was_training = network.training
    network.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(groups.position), 256):
            part = slice(start, start + 256)
            batch = sequence_batch(dataset, groups.position[part], h.max_seq_length)
            found.append(
                network(
                    Histories.of(batch, h, device),
                    _numbers(groups.item[part], device),
                    _numbers(groups.category[part], device),
                ).cpu()
            )
    network.train(was_training)
    return torch.cat(found).numpy()


class TrainingRun:
    """The network and its optimizer, an epoch at a time."""

    def __init__(self, dataset: SequenceDataset, h: Hyperparameters, device: str) -> None:
        self.dataset = dataset
        self.h = h
        self.device = device
        vocabulary = dataset.vocabulary
        with torch.random.fork_rng():
            torch.manual_seed(h.seed)
            network = SLiRecNetwork(len(vocabulary.items), len(vocabulary.categories), h)
        self.network = network.to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), h.learning_rate)
        self.own_category = _numbers(vocabulary.own_categories(), device)
        self.log_popularity = _log_popularity(dataset, h).to(device)

    def epoch(self, number: int, progress: bool) -> dict[str, float]:
        """Train one epoch and validate; its randomness depends on the seed and number alone."""
        started = time.monotonic()
        rng = np.random.default_rng([self.h.seed, number])
        losses = []
        self.network.train()
        with torch.random.fork_rng(), _bar(self.dataset, self.h, number, progress) as bar:
            torch.manual_seed(int(rng.integers(2**62)))
            for groups in training_groups(self.dataset, self.h, rng):
                losses.append(self.step(groups))
                if not np.isfinite(losses[-1]):
                    raise TrainingDiverged(
                        f"the loss is {losses[-1]} in epoch {number}, step {len(losses)}; lower "
                        f"learning_rate={self.h.learning_rate!r} or set max_grad_norm"
                    )
                bar.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
                bar.update()
        if not losses:
            raise InvalidParameter(
                "no batch could be trained on: the training events hold one item alone"
            )
        valid = scores(self.network, self.dataset, self.dataset.valid)
        labels = np.zeros(valid.shape, np.int64)
        labels[:, 0] = 1
        group_auc = metrics.group_auc(labels, valid)
        return {
            "epoch": number,
            "loss": float(np.mean(losses)),
            "group_auc": float(group_auc.mean()),
            "group_auc_error": float(group_auc.std() / np.sqrt(len(group_auc))),
            "seconds": round(time.monotonic() - started, 3),
        }

    def step(self, groups: Groups) -> float:
        h = self.h
        batch = sequence_batch(self.dataset, groups.position, h.max_seq_length)
        encoded = self.network.encode(Histories.of(batch, h, self.device))
        item = _numbers(groups.item, self.device)
        logits = self.network.score(encoded, item, _numbers(groups.category, self.device))
        ranking = -torch.log_softmax(logits, 1)[:, 0].mean()
        loss = ranking + self._penalty(encoded.histories, groups)
        if h.next_item_weight:
            following = next_item_loss(
                self.network, encoded, item[:, 0], self.own_category, self.log_popularity
            )
            loss = loss + h.next_item_weight * following
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if h.max_grad_norm:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), h.max_grad_norm)
        self.optimizer.step()
        return float(ranking.detach()) if torch.isfinite(loss) else float("nan")

    def _penalty(self, histories: Histories, groups: Groups) -> Tensor:
        """L1 and half squared L2 norms of the embeddings a batch uses, and of the layers."""
        h, total = self.h, torch.zeros((), device=self.device)
        if h.embed_l1 or h.embed_l2:
            for table, past, candidates in (
                (self.network.item, histories.item, groups.item),
                (self.network.category, histories.category, groups.category),
            ):
                used = torch.cat([past.ravel(), _numbers(candidates, self.device).ravel()])
                rows = table(torch.unique(used))
                total = total + h.embed_l1 * rows.abs().sum() + h.embed_l2 * rows.square().sum() / 2
        if h.layer_l1 or h.layer_l2:
            for name, values in self.network.named_parameters():
                if not name.startswith(("item.", "category.")):
                    total = total + h.layer_l1 * values.abs().sum()
                    total = total + h.layer_l2 * values.square().sum() / 2
        return total

    def weights(self) -> Weights:
        state = self.network.state_dict()
        return {name: values.detach().cpu().clone() for name, values in state.items()}

    def moments(self) -> Weights:
        """Adam's state as named tensors."""
        names = [name for name, _ in self.network.named_parameters()]
        state = self.optimizer.state_dict()["state"]
        return {
            f"{names[index]}:{part}": values.detach().cpu().clone()
            for index, parts in state.items()
            for part, values in parts.items()
        }

    def restore(self, checkpoint: Checkpoint) -> None:
        self.network.load_state_dict(checkpoint.weights)
        number = {name: n for n, (name, _) in enumerate(self.network.named_parameters())}
        state: dict[int, dict[str, Tensor]] = {}
        for key, values in checkpoint.optimizer.items():
            name, _, part = key.rpartition(":")
            state.setdefault(number[name], {})[part] = values
        whole = self.optimizer.state_dict()
        self.optimizer.load_state_dict({**whole, "state": state})


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


def _log_popularity(dataset: SequenceDataset, h: Hyperparameters) -> Tensor:
    targets = dataset.item[dataset.train_positions(h.min_seq_length)]
    count = np.bincount(targets, minlength=len(dataset.vocabulary.items))
    # An item that is never a target counts as a hundredth of one that is once.
    return torch.as_tensor(np.log(np.maximum(count, 0.01) / count.sum()), dtype=torch.float32)


def _numbers(values: Any, device: str) -> Tensor:
    # A copy, because PyTorch warns of arrays that are mapped from a file and cannot be written.
    return torch.as_tensor(np.array(values, np.int64)).to(device)


def _has_stalled(history: list[dict[str, float]], patience: int) -> bool:
    return bool(patience and history) and len(history) - _highest(history) >= patience


def _highest(history: list[dict[str, float]]) -> int:
    return 1 + int(np.argmax([epoch["group_auc"] for epoch in history]))


@contextmanager
def _bar(
    dataset: SequenceDataset, h: Hyperparameters, number: int, progress: bool
) -> Iterator[Any]:
    try:
        from tqdm import tqdm
    except ImportError:
        raise MissingExtra("tqdm", "slirec") from None
    total = batches_in_a_pass(dataset, h)
    with tqdm(total=total, desc=f"epoch {number}/{h.epochs}", disable=not progress) as bar:
        yield bar


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
