"""`Scorer`: the trained network in numpy, for one user against many items; no torch.

Batch normalisation is folded into the linear layers, and whatever depends on the candidate alone
is computed once, when the model is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from seldon.slirec.batches import SequenceBatch
from seldon.slirec.hyperparameters import Hyperparameters

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
EPSILON = 1e-4  # of the batch normalisation
CHUNK = 32  # candidates whose attention is computed together; their buffers stay in the cache


class Scorer:
    """Logits of items, each with its own category, for one history.

    Parameters
    ----------
    weights : mapping of str to ndarray
        The network's parameters and running statistics by their names in PyTorch.
    hyperparameters : Hyperparameters
    own_category : ndarray of int, shape (n_items,)
    """

    def __init__(
        self,
        weights: Mapping[str, npt.NDArray[Any]],
        hyperparameters: Hyperparameters,
        own_category: npt.NDArray[Any],
    ) -> None:
        self.h = hyperparameters
        self.w: dict[str, Floats] = {
            name: np.asarray(values, np.float32) for name, values in weights.items()
        }
        self.item, self.category = self.w["item.weight"], self.w["category.weight"]
        self.wide = self.item.shape[1] + self.category.shape[1]
        self.attention = _folded(self.w, "attention.network")
        self.fusion = _folded(self.w, "fusion")
        self.scorer = _folded(self.w, "scorer")
        self.candidates = self._candidates(np.arange(len(self.item)), own_category)

    def logits(
        self, history: SequenceBatch, rows: Rows, category: npt.NDArray[Any] | None = None
    ) -> Floats:
        """Score the items `rows` for the one history of a batch.

        Parameters
        ----------
        history : SequenceBatch
            Of one example with at least one step.
        rows : ndarray of int64, shape (n,)
            Item numbers.
        category : ndarray of int, shape (n,), optional
            Categories to score them with, in place of their own.

        Returns
        -------
        ndarray of float32, shape (n,)
        """
        chosen = self.candidates.of(rows) if category is None else self._candidates(rows, category)
        past = np.concatenate(
            [self.item[history.item[0]], self.category[history.category[0]]], axis=1
        )
        steps = int(history.steps[0])
        long_term = self._long_term(past if not self.h.long_term_mask else past[:steps])
        states = self._states(history, past, steps)
        short_term = self._short_term(states, chosen)
        at = -1 if self.h.fusion_time == "last_column" else steps - 1
        alpha = self._alpha(chosen, long_term, short_term, history.to_now[0, at])
        interest = alpha * long_term + (1 - alpha) * short_term
        logits = self._scored(chosen, interest)
        if "next_item" in self.w:
            logits += chosen.embedded @ (states[-1] @ self.w["next_item"])
        return logits

    def _candidates(self, rows: Rows, category: npt.NDArray[Any]) -> _Candidates:
        wide = self.wide
        embedded = np.concatenate([self.item[rows], self.category[category]], axis=1)
        of_query, of_difference = (self.attention.first[k * wide : (k + 1) * wide] for k in (1, 2))
        return _Candidates(
            embedded,
            embedded @ (of_query - of_difference) + self.attention.first_bias,
            embedded @ self.fusion.first[:wide] + self.fusion.first_bias,
            embedded @ self.scorer.first[wide : 2 * wide] + self.scorer.first_bias,
        )

    def _long_term(self, past: Floats) -> Floats:
        weight = self.w["long_term.matrix"] @ self.w["long_term.query"]
        return _softmax(past @ weight) @ past

    def _states(self, history: SequenceBatch, past: Floats, steps: int) -> Floats:
        """The time-aware controller; see `seldon.slirec.time_lstm` for the formulas."""
        w, prefix = self.w, "short_term."
        x = past[:steps] if self.h.short_term_category else past[:steps, : self.item.shape[1]]
        kernel = w[prefix + "kernel"]
        inputs = x @ kernel[: x.shape[1]] + w[prefix + "bias"]
        recurrent = kernel[x.shape[1] :]
        hidden = recurrent.shape[0]
        forget = history.gap if self.h.forget_signal == "gap" else history.from_first
        gates = []
        for n, signal in enumerate((history.to_now, forget)):
            felt = np.tanh(
                signal[0, :steps, None] * w[prefix + "time_weight"][n] + w[prefix + "time_shift"][n]
            )
            gates.append(
                _sigmoid(
                    x @ w[prefix + "gate_input"][n]
                    + felt @ w[prefix + "gate_time"][n]
                    + w[prefix + "gate_shift"][n]
                )
            )
            inputs[:, 3 * hidden :] += felt @ w[prefix + "output_time"][n]
        inputs[:, 2 * hidden : 3 * hidden] += 1
        write, keep = gates
        states = np.empty((steps, hidden), np.float32)
        h = c = np.zeros(hidden, np.float32)
        for step in range(steps):
            z = inputs[step] + h @ recurrent
            i, j, f, o = z.reshape(4, hidden)
            c = _sigmoid(f) * keep[step] * c + _sigmoid(i) * write[step] * np.tanh(j)
            h = states[step] = _sigmoid(o) * np.tanh(c)
        return states

    def _short_term(self, states: Floats, chosen: _Candidates) -> Floats:
        """What each candidate's attention takes of the states, shape (n, hidden).

        For one candidate q the first layer is ``A (W_A + W_− + diag(q) W_×)`` plus a term of q
        alone; that term is the last row of the matrix, against a column of ones in A.
        """
        wide, first = self.wide, self.attention.first
        of_state, of_difference, of_product = (
            first[:wide],
            first[2 * wide : 3 * wide],
            first[-wide:],
        )
        asked = np.ones((len(states), wide + 1), np.float32)
        asked[:, :-1] = states @ self.w["attention.matrix"]
        logits = np.empty((len(chosen.embedded), len(states)), np.float32)
        matrices = np.empty((CHUNK, wide + 1, first.shape[1]), np.float32)
        for start in range(0, len(logits), CHUNK):
            part = chosen.embedded[start : start + CHUNK]
            matrix = matrices[: len(part)]
            np.multiply(part[:, :, None], of_product, out=matrix[:, :-1])
            matrix[:, :-1] += of_state + of_difference
            matrix[:, -1] = chosen.attention[start : start + CHUNK]
            hidden = np.matmul(asked, matrix).reshape(-1, first.shape[1])
            logits[start : start + CHUNK] = self.attention.after_first(hidden).reshape(
                len(part), -1
            )
        return _softmax(logits) @ states

    def _alpha(
        self, chosen: _Candidates, long_term: Floats, short_term: Floats, now: np.float32
    ) -> Floats:
        wide, first = self.wide, self.fusion.first
        hidden = short_term @ first[2 * wide : -1]
        hidden += chosen.fusion + (long_term @ first[wide : 2 * wide] + now * first[-1])
        return _sigmoid(self.fusion.after_first(hidden))[:, None]

    def _scored(self, chosen: _Candidates, interest: Floats) -> Floats:
        wide, first = self.wide, self.scorer.first
        hidden = interest @ first[:wide]
        hidden += chosen.scorer
        if self.h.scorer_product:
            hidden += (interest * chosen.embedded) @ first[2 * wide :]
        return self.scorer.after_first(hidden)


@dataclass(frozen=True)
class _Candidates:
    """What depends on the candidate alone: its embedding, and its share of three first layers."""

    embedded: Floats
    attention: Floats
    fusion: Floats
    scorer: Floats

    def of(self, rows: Rows) -> _Candidates:
        return _Candidates(
            self.embedded[rows], self.attention[rows], self.fusion[rows], self.scorer[rows]
        )


@dataclass(frozen=True)
class _Layers:
    """A hidden network in inference: linear layers with their normalisation folded in."""

    first: Floats
    first_bias: Floats
    others: tuple[tuple[Floats, Floats], ...]
    output: Floats
    output_bias: Floats

    def after_first(self, hidden: Floats) -> Floats:
        """Output for the first layer's value, which is written over; shape (n,)."""
        np.maximum(hidden, 0, out=hidden)
        for matrix, bias in self.others:
            hidden = hidden @ matrix
            hidden += bias
            np.maximum(hidden, 0, out=hidden)
        return hidden @ self.output + self.output_bias


def _folded(weights: Mapping[str, Floats], prefix: str) -> _Layers:
    layers: list[tuple[Floats, Floats]] = []
    while f"{prefix}.linear.{len(layers)}.weight" in weights:
        name = f"{prefix}.linear.{len(layers)}"
        norm = f"{prefix}.norm.{len(layers)}"
        matrix = weights[f"{name}.weight"].T.astype(np.float64)
        bias = weights[f"{name}.bias"].astype(np.float64)
        if f"{norm}.weight" in weights:
            spread = np.sqrt(weights[f"{norm}.running_var"].astype(np.float64) + EPSILON)
            scale = weights[f"{norm}.weight"] / spread
            matrix = matrix * scale
            bias = (bias - weights[f"{norm}.running_mean"]) * scale + weights[f"{norm}.bias"]
        layers.append((np.ascontiguousarray(matrix, dtype=np.float32), bias.astype(np.float32)))
    return _Layers(
        *layers[0],
        tuple(layers[1:]),
        weights[f"{prefix}.output.weight"][0],
        weights[f"{prefix}.output.bias"],
    )


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return shares


def _sigmoid(values: Floats) -> Floats:
    # By the hyperbolic tangent, which cannot overflow.
    found: Floats = 0.5 * np.tanh(0.5 * values) + np.float32(0.5)
    return found
