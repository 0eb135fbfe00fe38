"""The layers of `SLiRecNetwork` beside its LSTM: two attentions, and a hidden network."""

from __future__ import annotations

import itertools
from typing import cast

from seldon.errors import MissingExtra
from seldon.slirec.hyperparameters import Hyperparameters

try:
    import torch
    from torch import Tensor, nn
except ImportError:
    raise MissingExtra("torch", "slirec") from None


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
            values = norm(values)
            if self.training and self.dropout:
                values = values * _kept((values > 0), self.dropout)
            else:
                values = values.relu()
        return cast(Tensor, self.output(values)).reshape(*shape, 1)


def _kept(positive: Tensor, share: float) -> Tensor:
    """What dropout and ReLU together multiply by: 0, or 1 / (1 − share).

    One 64-bit draw serves four units, each with 16 bits, so `share` is met to 1e-5; drawing
    for every unit by itself took a quarter of the training time.
    """
    count = positive.numel()
    draws = torch.empty((count + 3) // 4, dtype=torch.int64, device=positive.device)
    bits = draws.random_(-(2**63), None).view(torch.int16)[:count].view(positive.shape)
    kept = bits >= round(share * 2**16) - 2**15
    return (kept & positive).to(torch.float32).mul_(1 / (1 - share))
