"""`SLiRecNetwork` in PyTorch: Yu et al., IJCAI 2019, as published and mended.

The history side does not depend on the candidate, so it is computed once for a history and not
once for a candidate; the first layer of the content attention is split accordingly. Neither
changes the function computed.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from seldon.errors import MissingExtra
from seldon.slirec.batches import SequenceBatch
from seldon.slirec.hyperparameters import Hyperparameters
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
        h = self.hyperparameters
        candidate = torch.cat([self.item(item), self.category(category)], -1)
        past = torch.cat([self.item(histories.item), self.category(histories.category)], -1)
        long_term = self.long_term(past, histories.real)
        if not h.short_term_category:
            past = past[..., : h.item_embedding_dim]
        states = self.short_term(past, histories.forget, histories.to_now, histories.real)
        short_term = self.attention(states, histories.real, candidate)
        shape = (*candidate.shape[:2], -1)
        long_term = long_term[:, None].expand(shape)
        now = histories.last[:, None, None].expand(*shape[:2], 1)
        alpha = torch.sigmoid(self.fusion(torch.cat([candidate, long_term, short_term, now], -1)))
        interest = alpha * long_term + (1 - alpha) * short_term
        seen = [interest, candidate] + [interest * candidate] * h.scorer_product
        return cast(Tensor, self.scorer(torch.cat(seen, -1))).squeeze(-1)


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


class LongTerm(nn.Module):
    """Attention with one learned query for everybody; shape (B, D)."""

    def __init__(self, wide: int, masked: bool) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.empty(wide, wide))
        self.query = nn.Parameter(torch.empty(wide))
        self.masked = masked

    def forward(self, past: Tensor, real: Tensor) -> Tensor:
        logits = past @ (self.matrix @ self.query)
        if self.masked:
            logits = logits.masked_fill(~real, -torch.inf)
        return torch.einsum("bl,bld->bd", torch.softmax(logits, -1), past)


class ContentAttention(nn.Module):
    """Weighs the short-term states by what each candidate asks of them; shape (B, C, H).

    The published first layer sees ``[A; q; A − q; A ⊙ q]``. Its weights split into
    ``A(W_A + W_−) + q(W_q − W_−) + (A ⊙ q) W_×``, and only the last term is per step and
    candidate.
    """

    def __init__(self, h: Hyperparameters, wide: int) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.empty(h.hidden_size, wide))
        self.network = Hidden((4 * wide, *h.att_fcn_layer_sizes), h)

    def forward(self, states: Tensor, real: Tensor, candidate: Tensor) -> Tensor:
        first = cast(nn.Linear, self.network.linear[0])
        of_state, of_query, of_difference, of_product = first.weight.t().chunk(4)
        state = states @ self.matrix
        product = (state[:, None] * candidate[:, :, None]) @ of_product
        hidden = (
            product
            + (state @ (of_state + of_difference) + first.bias)[:, None]
            + (candidate @ (of_query - of_difference))[:, :, None]
        )
        logits = self.network.after_first(hidden).squeeze(-1)
        weights = torch.softmax(logits.masked_fill(~real[:, None], -(2.0**32)), -1)
        return weights @ states


class Hidden(nn.Module):
    """Linear, batch normalisation, dropout, ReLU, for each width; then one linear output."""

    def __init__(self, sizes: tuple[int, ...], h: Hyperparameters) -> None:
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.norm = nn.ModuleList(
            nn.BatchNorm1d(width, eps=1e-4, momentum=0.05) if h.enable_BN else nn.Identity()
            for width in sizes[1:]
        )
        self.output = nn.Linear(sizes[-1], 1)
        self.dropout = h.dropout

    def forward(self, values: Tensor) -> Tensor:
        return self.after_first(cast(Tensor, self.linear[0](values)))

    def after_first(self, values: Tensor) -> Tensor:
        """The output when the first linear layer has been applied already."""
        shape = values.shape[:-1]
        values = values.reshape(-1, values.shape[-1])
        for number, norm in enumerate(self.norm):
            if number:
                values = self.linear[number](values)
            values = functional.dropout(norm(values), self.dropout, self.training).relu()
        return cast(Tensor, self.output(values)).reshape(*shape, 1)


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
