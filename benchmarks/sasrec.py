"""SASRec, the modern baseline of `sequential_comparison.py`: self-attention over a history.

Kang and McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, trained with
cross-entropy over all items instead of one sampled negative, which is what makes it hard to
beat (Klenitskiy and Vasilev, "Turning Dross Into Gold Loss", RecSys 2023).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


@dataclass(frozen=True)
class Settings:
    width: int = 64
    blocks: int = 2
    heads: int = 2
    dropout: float = 0.3
    length: int = 100
    batch: int = 64
    learning_rate: float = 1e-3
    epochs: int = 200
    validated_every: int = 5
    patience: int = 3
    seed: int = 42


class SASRec(nn.Module):
    def __init__(self, n_items: int, s: Settings) -> None:
        super().__init__()
        self.length = s.length
        self.items = nn.Embedding(n_items + 1, s.width, padding_idx=n_items)
        self.positions = nn.Embedding(s.length, s.width)
        for table in (self.items, self.positions):
            nn.init.normal_(table.weight, std=0.02)
        self.dropout = nn.Dropout(s.dropout)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                *(s.width, s.heads, s.width, s.dropout),
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(s.blocks)
        )
        self.norm = nn.LayerNorm(s.width)

    def forward(self, history: torch.Tensor) -> torch.Tensor:
        """States after each step, (B, L, width). Padding is on the right, where no step sees it."""
        length = history.shape[1]
        x = self.dropout(self.items(history) + self.positions.weight[:length])
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        for block in self.blocks:
            x = block(x, src_mask=later, is_causal=True)
        return self.norm(x)

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        return states @ self.items.weight[:-1].T


def fit(train: list[np.ndarray], valid: np.ndarray, n_items: int, quality, s: Settings, log=print):
    """Train on every step of `train`; keep the epoch that `quality(scores, valid)` likes best.

    `train` holds item indices per user, oldest first; `valid` the item that follows each.
    """
    torch.manual_seed(s.seed)
    rng = np.random.default_rng(s.seed)
    model = SASRec(n_items, s)
    optimiser = torch.optim.AdamW(model.parameters(), lr=s.learning_rate, weight_decay=0.01)
    inputs, targets = _padded(train, n_items, s.length)
    best, kept, waited = -1.0, model.state_dict(), 0
    for epoch in range(s.epochs):
        model.train()
        order = rng.permutation(len(inputs))
        for rows in np.array_split(order, -(-len(order) // s.batch)):
            wanted = targets[rows]
            real = wanted >= 0
            loss = nn.functional.cross_entropy(
                model.logits(model(inputs[rows])[real]), wanted[real]
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if (epoch + 1) % s.validated_every:
            continue
        found = quality(score(model, train), valid)
        log(f"  epoch {epoch + 1}: loss {loss.item():.3f}, valid {found:.4f}", flush=True)
        if found > best:
            best, kept, waited = found, copy.deepcopy(model.state_dict()), 0
        else:
            waited += 1
        if waited == s.patience:
            break
    model.load_state_dict(kept)
    return model


@torch.inference_mode()
def score(model: SASRec, histories: list[np.ndarray], batch: int = 128) -> np.ndarray:
    """Logits of every item after each history, (n_users, n_items)."""
    model.eval()
    rows = []
    for start in range(0, len(histories), batch):
        part = [history[-model.length :] for history in histories[start : start + batch]]
        lengths = torch.tensor([len(history) for history in part])
        padding = model.items.padding_idx
        padded = torch.full((len(part), int(lengths.max())), padding)
        for row, history in enumerate(part):
            padded[row, : len(history)] = torch.from_numpy(history)
        last = model(padded)[torch.arange(len(part)), lengths - 1]
        rows.append(model.logits(last).numpy())
    return np.concatenate(rows)


def _padded(train, n_items, length):
    """Overlapping windows of at most `length` steps, so that no step of a long history is lost."""
    windows = []
    for items in train:
        for end in range(len(items), 1, -length):
            windows.append(items[max(0, end - length - 1) : end])
    inputs = torch.full((len(windows), length), n_items)
    targets = torch.full((len(windows), length), -1)
    for row, items in enumerate(windows):
        inputs[row, : len(items) - 1] = torch.from_numpy(items[:-1])
        targets[row, : len(items) - 1] = torch.from_numpy(items[1:])
    return inputs, targets
