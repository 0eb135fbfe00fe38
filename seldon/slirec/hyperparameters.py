"""Every hyperparameter of SLi-Rec: one YAML file, checked before anything is trained."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from seldon.errors import InvalidSetting, MissingExtra

VARIANTS: dict[str, dict[str, Any]] = {
    "published": {
        "long_term_mask": False,
        "forget_signal": "first",
        "fusion_time": "last_column",
        "short_term_category": False,
        "scorer_product": False,
        "next_item_weight": 0.0,
        "initialisation": "published",
        "init_value": 0.01,
        "dropout": 0.3,
        "learning_rate": 0.001,
        "epochs": 10,
        "best_within": 0.0,
        "candidate_category": "event",
    },
    "mended": {
        "long_term_mask": True,
        "forget_signal": "gap",
        "fusion_time": "last_step",
        "short_term_category": True,
        "scorer_product": True,
        "next_item_weight": 1.0,
        "initialisation": "scaled",
        "init_value": 0.1,
        "dropout": 0.1,
        "learning_rate": 0.003,
        "epochs": 3,
        "best_within": 1.0,
        "candidate_category": "mixed",
    },
}
CHOICES = {
    "variant": tuple(VARIANTS),
    "forget_signal": ("first", "gap"),
    "fusion_time": ("last_column", "last_step"),
    "initialisation": ("published", "scaled"),
    "candidate_category": ("event", "item", "mixed"),
}


@dataclass(frozen=True)
class Hyperparameters:
    """What a training run is told; the names are those of the published configuration.

    Attributes
    ----------
    variant : str
        ``published`` is the network as its authors' implementation computes it; ``mended``
        sets those of `VARIANTS` otherwise. Each of them may also be given by itself.
    long_term_mask : bool
        Whether the long-term attention leaves out the padding of short histories.
    forget_signal : str
        What governs forgetting: ``first``, the time since the first action, or ``gap``, the
        time since the action before.
    fusion_time : str
        Where the fusion reads the time to now: ``last_column`` (0 for histories shorter than
        `max_seq_length`) or ``last_step``, the newest action.
    short_term_category : bool
        Whether the short-term part reads the categories of the history beside its items.
    scorer_product : bool
        Whether the scorer sees the product of interest and candidate beside the two.
    next_item_weight : float
        Weight of the loss by which every state predicts the item after it among all items;
        with 0 the network has no such part.
    initialisation : str
        ``published``: truncated normal of sd `init_value`; ``scaled``: embeddings of sd
        `init_value`, layers by their widths (Glorot and Bengio, 2010).
    candidate_category : str
        The category of training candidates: of the ``event``, the ``item``'s own, or
        ``mixed``, one of the two at random for each example.
    item_embedding_dim, cate_embedding_dim, hidden_size : int
        Widths; the long-term attention is as wide as both embeddings together.
    att_fcn_layer_sizes, layer_sizes : tuple of int
        Hidden layers of the attention and fusion networks, and of the scorer.
    dropout : float
        Share of hidden units dropped in training, 0 to below 1.
    enable_BN : bool
        Batch normalisation in every hidden layer.
    max_seq_length, min_seq_length : int
        Newest actions used; actions an example must have before it.
    init_value : float
    epochs, batch_size : int
        A batch counts positives.
    learning_rate, max_grad_norm : float
        For Adam; gradients longer than the norm are cut to it, 0 leaves them.
    embed_l2, embed_l1, layer_l2, layer_l1 : float
        Weights of the penalties on embeddings used in a batch, and on the layers.
    train_num_ngs : int
        Negatives a positive is trained against, drawn from its batch.
    EARLY_STOP : int
        Epochs without progress on the validation's group AUC before training ends; 0 never.
    best_within : float
        Standard errors by which a later epoch may fall short of the best group AUC so far and
        still take its place: a few hundred validated users cannot tell such epochs apart, and
        the later one has learned more. 0 keeps the best by its number alone.
    seed : int
    """

    variant: str = "mended"
    long_term_mask: bool = True
    forget_signal: str = "gap"
    fusion_time: str = "last_step"
    short_term_category: bool = True
    scorer_product: bool = True
    next_item_weight: float = 1.0
    initialisation: str = "scaled"
    candidate_category: str = "mixed"
    item_embedding_dim: int = 32
    cate_embedding_dim: int = 8
    hidden_size: int = 40
    att_fcn_layer_sizes: tuple[int, ...] = (80, 40)
    layer_sizes: tuple[int, ...] = (100, 64)
    dropout: float = 0.1
    enable_BN: bool = True
    max_seq_length: int = 50
    min_seq_length: int = 1
    init_value: float = 0.1
    epochs: int = 3
    batch_size: int = 400
    learning_rate: float = 0.003
    max_grad_norm: float = 0.0
    embed_l2: float = 0.0
    embed_l1: float = 0.0
    layer_l2: float = 0.0
    layer_l1: float = 0.0
    train_num_ngs: int = 4
    EARLY_STOP: int = 10
    best_within: float = 1.0
    seed: int = 42

    @classmethod
    def of(cls, values: Mapping[str, Any] | None = None) -> Hyperparameters:
        """From a mapping as a YAML file or JSON gives it; what is absent has its default.

        Raises
        ------
        InvalidSetting
            An unknown name (the message has the nearest right one) or an unusable value.
        """
        given = dict(values or {})
        known = {field.name: field for field in fields(cls)}
        for name in given:
            if name not in known:
                raise InvalidSetting(_unknown(str(name), list(known)))
        variant = given.get("variant", cls.variant)
        _check("variant", variant, cls.variant)
        complete = {**VARIANTS[variant], **given}
        for name, value in complete.items():
            complete[name] = _check(name, value, known[name].default)
        made = cls(**complete)
        if made.hidden_size != made.item_embedding_dim + made.cate_embedding_dim:
            raise InvalidSetting(
                f"hidden_size={made.hidden_size} is not item_embedding_dim + cate_embedding_dim = "
                f"{made.item_embedding_dim + made.cate_embedding_dim}; the fusion adds the two"
            )
        return made

    def to_json(self) -> dict[str, Any]:
        """JSON values by name."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }


def read_hyperparameters(
    path: str | os.PathLike[str], instead: Mapping[str, Any] | None = None
) -> Hyperparameters:
    """Read and check a YAML file of hyperparameters; an empty file gives every default.

    Parameters
    ----------
    path : path
    instead : mapping, optional
        Values that take the place of the file's, before its `variant` sets the others.
    """
    try:
        import yaml
    except ImportError:
        raise MissingExtra("yaml", "slirec") from None
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{path}: not YAML: {error}") from error
    if values is not None and not isinstance(values, dict):
        raise InvalidSetting(f"{path}: expected `name: value` lines, found {values!r:.80}")
    try:
        return Hyperparameters.of({**(values or {}), **(instead or {})})
    except InvalidSetting as error:
        raise InvalidSetting(f"{path}: {error}") from None


def _unknown(name: str, known: list[str]) -> str:
    lower = {right.lower(): right for right in known}
    near = difflib.get_close_matches(name.lower(), lower, 1, 0.4)
    hint = f"; did you mean {lower[near[0]]!r}?" if near else ""
    return f"{name!r} is not a hyperparameter{hint}"


def _check(name: str, value: Any, default: Any) -> Any:
    """`value` as the type of `default`, within its range, or `InvalidSetting`."""
    if name in CHOICES:
        return _one_of(name, value, CHOICES[name])
    if isinstance(default, bool):
        _demand(isinstance(value, bool), name, value, "true or false")
        return value
    if isinstance(default, tuple):
        good = isinstance(value, (list, tuple)) and value and all(_whole(v, 1) for v in value)
        _demand(bool(good), name, value, "a list of widths from 1")
        return tuple(value)
    if isinstance(default, int):
        least = 0 if name in ("seed", "EARLY_STOP") else 1
        _demand(_whole(value, least), name, value, f"a whole number from {least}")
        return value
    if isinstance(value, str):  # YAML 1.1 reads 1e-3 as text, only 1.0e-3 as a number
        value = _number(value)
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    if name == "dropout":
        _demand(good and 0 <= value < 1, name, value, "a number from 0 to below 1")
    elif name in ("learning_rate", "init_value"):
        _demand(good and 0 < value < math.inf, name, value, "a number above 0")
    else:
        _demand(good and 0 <= value < math.inf, name, value, "a number from 0")
    return float(value)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _one_of(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise InvalidSetting(f"{name}={value!r} is not one of {', '.join(choices)}")
    return str(value)


def _whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _demand(good: bool, name: str, value: Any, expected: str) -> None:
    if not good:
        raise InvalidSetting(f"{name}={value!r} is not {expected}")
