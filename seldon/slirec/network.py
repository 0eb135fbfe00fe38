"""`SLiRecNetwork` in PyTorch: Yu et al., IJCAI 2019, as published and mended.

The history side does not depend on the candidate, so it is computed once for a history and not
once for a candidate; the first layer of the content attention is split accordingly. Neither
changes the function computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from seldon.errors import MissingExtra
from seldon.slirec.batches import SequenceBatch, sequence_batch
from seldon.slirec.dataset import Groups, SequenceDataset
from seldon.slirec.hyperparameters import Hyperparameters
from seldon.slirec.layers import ContentAttention, Hidden, LongTerm
from seldon.slirec.time_lstm import TimeLSTM

try:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional
except ImportError:
    raise MissingExtra("torch", "slirec") from None


class SLiRecNetwork(nn.Module):
    """Logits of candidates given histories.

    Parameters
    ----------
    n_items, n_categories : int
        Sizes of the vocabulary, default entries included.
    hyperparameters : Hyperparameters
    """

    def __init__(self, n_items: int, n_categories: int, hyperparameters: Hyperparameters) -> None:
        super().__init__()
        h = hyperparameters
        self.hyperparameters = h
        wide = h.item_embedding_dim + h.cate_embedding_dim
        self.item = nn.Embedding(n_items, h.item_embedding_dim)
        self.category = nn.Embedding(n_categories, h.cate_embedding_dim)
        self.long_term = LongTerm(wide, h.long_term_mask)
        self.short_term = TimeLSTM(
            wide if h.short_term_category else h.item_embedding_dim, h.hidden_size
        )
        self.attention = ContentAttention(h, wide)
        self.fusion = Hidden((2 * wide + h.hidden_size + 1, *h.att_fcn_layer_sizes), h)
        self.scorer = Hidden(((3 if h.scorer_product else 2) * wide, *h.layer_sizes), h)
        self.next_item = (
            nn.Parameter(torch.empty(h.hidden_size, wide)) if h.next_item_weight else None
        )
        if h.initialisation == "published":
            _initialise_as_published(self, h.init_value)
        else:
            _initialise_scaled(self, h.init_value)

    def forward(self, histories: Histories, item: Tensor, category: Tensor) -> Tensor:
        """Score candidates.

        Parameters
        ----------
        histories : Histories
            Of B examples.
        item, category : Tensor of int64, shape (B, C)

        Returns
        -------
        Tensor of float, shape (B, C)
        """
        return self.score(self.encode(histories), item, category)

    def encode(self, histories: Histories) -> Encoded:
        """The history side, which no candidate changes."""
        past = self.embedded(histories.item, histories.category)
        long_term = self.long_term(past, histories.real)
        if not self.hyperparameters.short_term_category:
            past = past[..., : self.hyperparameters.item_embedding_dim]
        states = self.short_term(past, histories.forget, histories.to_now, histories.real)
        return Encoded(histories, long_term, states)

    def score(self, encoded: Encoded, item: Tensor, category: Tensor) -> Tensor:
        """Logits of candidates for encoded histories; shapes as `forward` has them."""
        candidate = self.embedded(item, category)
        short_term = self.attention(encoded.states, encoded.histories.real, candidate)
        shape = candidate.shape
        long_term = encoded.long_term[:, None].expand(shape)
        now = encoded.histories.last[:, None, None].expand(*shape[:2], 1)
        alpha = torch.sigmoid(self.fusion(torch.cat([candidate, long_term, short_term, now], -1)))
        interest = alpha * long_term + (1 - alpha) * short_term
        seen = [interest, candidate]
        if self.hyperparameters.scorer_product:
            seen.append(interest * candidate)
        logits = cast(Tensor, self.scorer(torch.cat(seen, -1))).squeeze(-1)
        if self.next_item is not None:
            logits = (
                logits + (candidate @ (encoded.last_state() @ self.next_item)[..., None])[..., 0]
            )
        return logits

    def embedded(self, item: Tensor, category: Tensor) -> Tensor:
        return torch.cat([self.item(item), self.category(category)], -1)


@dataclass(frozen=True)
class Histories:
    """A `SequenceBatch` as tensors, with the time signals a variant reads.

    Attributes
    ----------
    item, category : Tensor of int64, shape (B, L)
    real : Tensor of bool, shape (B, L)
        False in padding.
    to_now, forget : Tensor of float, shape (B, L)
        What governs writing, and what governs forgetting.
    last : Tensor of float, shape (B,)
        The time signal of the fusion.
    """

    item: Tensor
    category: Tensor
    real: Tensor
    to_now: Tensor
    forget: Tensor
    last: Tensor

    @classmethod
    def of(cls, batch: SequenceBatch, h: Hyperparameters, device: str = "cpu") -> Histories:
        def tensor(values: npt.NDArray[Any], kind: torch.dtype) -> Tensor:
            return torch.as_tensor(values).to(device, kind)

        last = (
            batch.to_now[:, -1]
            if h.fusion_time == "last_column"
            else batch.to_now[np.arange(len(batch)), batch.steps - 1]
        )
        return cls(
            tensor(batch.item, torch.int64),
            tensor(batch.category, torch.int64),
            tensor(np.arange(batch.item.shape[1]) < batch.steps[:, None], torch.bool),
            tensor(batch.to_now, torch.float32),
            tensor(batch.gap if h.forget_signal == "gap" else batch.from_first, torch.float32),
            tensor(last, torch.float32),
        )


@dataclass(frozen=True)
class Encoded:
    """The history side of B examples.

    Attributes
    ----------
    histories : Histories
    long_term : Tensor of float, shape (B, D)
    states : Tensor of float, shape (B, L, H)
        0 in padding.
    """

    histories: Histories
    long_term: Tensor
    states: Tensor

    def last_state(self) -> Tensor:
        """The state after the newest action, shape (B, H)."""
        rows = torch.arange(len(self.states), device=self.states.device)
        return self.states[rows, self.histories.real.sum(1) - 1]


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
                    numbers(groups.item[part], device),
                    numbers(groups.category[part], device),
                ).cpu()
            )
    network.train(was_training)
    return torch.cat(found).numpy()


def next_item_loss(
    network: SLiRecNetwork,
    encoded: Encoded,
    target: Tensor,
    own_category: Tensor,
    log_popularity: Tensor,
    most: int = 2**23,
) -> Tensor:
    """Every state predicts the item that follows it, among all items; mean cross-entropy.

    The auxiliary loss of Zhou et al., "Deep Interest Evolution Network for Click-Through Rate
    Prediction", AAAI 2019, with a softmax over the whole inventory in place of one negative.
    Popularity is added inside the softmax only, so that what is learned is the lift over it, as
    it is from negatives that are drawn by popularity.

    Parameters
    ----------
    target : Tensor of int64, shape (B,)
        The item each example asks for, which follows its newest action.
    own_category : Tensor of int64, shape (n_items,)
    log_popularity : Tensor of float, shape (n_items,)
        Logarithm of each item's share of the training events.
    most : int
        Logits that may be in memory at once; of more, a random part of the steps is taken.
    """
    assert network.next_item is not None
    real = encoded.histories.real
    following = torch.cat([encoded.histories.item[:, 1:], target[:, None]], 1)
    rows = torch.arange(len(target), device=target.device)
    following[rows, real.sum(1) - 1] = target
    states, wanted = encoded.states[real], following[real]
    if len(wanted) * len(own_category) > most:
        part = torch.randperm(len(wanted), device=target.device)[: most // len(own_category)]
        states, wanted = states[part], wanted[part]
    everything = network.embedded(
        torch.arange(len(own_category), device=target.device), own_category
    )
    logits = states @ network.next_item @ everything.t() + log_popularity
    return functional.cross_entropy(logits, wanted)


def numbers(values: Any, device: str) -> Tensor:
    """A tensor of int64."""
    # A copy, because PyTorch warns of arrays that are mapped from a file and cannot be written.
    return torch.as_tensor(np.array(values, np.int64)).to(device)


def _initialise_as_published(network: nn.Module, sd: float) -> None:
    for name, values in network.named_parameters():
        if "norm" in name:
            continue
        if "short_term" in name:
            if not name.endswith(".bias"):
                _glorot(values)
        elif name.endswith("bias"):
            nn.init.zeros_(values)
        else:
            nn.init.trunc_normal_(values, 0, sd, -2 * sd, 2 * sd)


def _initialise_scaled(network: nn.Module, sd: float) -> None:
    for name, values in network.named_parameters():
        if "norm" in name:
            continue
        if name.startswith(("item", "category")):
            nn.init.normal_(values, 0, sd)
        elif "short_term" in name:
            if not name.endswith(".bias"):
                _glorot(values)
        elif name.endswith("bias"):
            nn.init.zeros_(values)
        else:
            _glorot(values)


def _glorot(values: Tensor) -> None:
    shape = values.shape
    bound = math.sqrt(6 / (shape[0] + shape[-1]))
    nn.init.uniform_(values, -bound, bound)
