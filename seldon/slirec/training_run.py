"""`TrainingRun`: the network and its optimizer, an epoch at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from seldon import metrics
from seldon.errors import InvalidParameter, MissingExtra, SeldonError
from seldon.slirec.batches import sequence_batch
from seldon.slirec.checkpoints import Checkpoint, Weights
from seldon.slirec.dataset import Groups, SequenceDataset
from seldon.slirec.examples import batches_in_a_pass, training_groups
from seldon.slirec.hyperparameters import Hyperparameters
from seldon.slirec.network import Histories, SLiRecNetwork, next_item_loss, numbers, scores

try:
    import torch
    from torch import Tensor
except ImportError:
    raise MissingExtra("torch", "slirec") from None


class TrainingDiverged(SeldonError):
    """The loss is no number any more; nothing that was saved is touched."""


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
        self.own_category = numbers(vocabulary.own_categories(), device)
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
        item = numbers(groups.item, self.device)
        logits = self.network.score(encoded, item, numbers(groups.category, self.device))
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
                used = torch.cat([past.ravel(), numbers(candidates, self.device).ravel()])
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


def _log_popularity(dataset: SequenceDataset, h: Hyperparameters) -> Tensor:
    targets = dataset.item[dataset.train_positions(h.min_seq_length)]
    count = np.bincount(targets, minlength=len(dataset.vocabulary.items))
    # An item that is never a target counts as a hundredth of one that is once.
    return torch.as_tensor(np.log(np.maximum(count, 0.01) / count.sum()), dtype=torch.float32)


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
