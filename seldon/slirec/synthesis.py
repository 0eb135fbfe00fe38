"""Step 2, invented: interactions of visitors who follow rules; the rules are data."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from seldon.errors import InvalidParameter, MissingExtra
from seldon.slirec.events import Events
from seldon.slirec.inventory import InventorySnapshot, Product

Names = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Rules:
    """What invented visitors do.

    Attributes
    ----------
    users : int
    visits : tuple of int
        Fewest and most visits of one user; a visit starts at a random product of a random
        category.
    steps : tuple of int
        Fewest and most further views within a visit.
    days : float
        Visits are spread over this many days before now.
    minutes_between_steps : float
        Mean; the gaps are exponential.
    within_category, across_categories : float
        Probability that a further view is of a product that stands with the visit's product
        in a group of `within`, of `across`. The rest is any product of its category.
    within, across : tuple of tuple of str
        Groups of products, by handle or title.
    """

    users: int
    visits: tuple[int, int]
    steps: tuple[int, int]
    days: float
    minutes_between_steps: float
    within_category: float
    across_categories: float
    within: Names
    across: Names


def generate(
    inventory: InventorySnapshot, rules: Rules, *, seed: int, now: int, users: int | None = None
) -> Events:
    """Invent the interactions of visitors of a shop.

    An event carries its own item's category, and a user's times rise. (The generator of the
    public showcase writes the category of the visit's first product on every event, which
    gives the answer away, and draws times at random, which makes them useless.)

    Parameters
    ----------
    inventory : InventorySnapshot
    rules : Rules
    seed : int
        The same seed, rules, inventory and `now` give the same events; a user's events do
        not depend on how many users there are.
    now : int
        Seconds since 1970-01-01 UTC; no event is later.
    users : int, optional
        Instead of the rules' number.

    Raises
    ------
    InvalidParameter
        The inventory is empty, or a group names a product it does not have.
    """
    count = rules.users if users is None else users
    if count < 1:
        raise InvalidParameter(f"users={count} is not at least 1")
    if seed < 0:
        raise InvalidParameter(f"seed={seed} is not a whole number from 0")
    if not len(inventory):
        raise InvalidParameter("the inventory is empty: there is nothing to view")
    within = _groups_by_product(inventory, rules.within, "within")
    across = _groups_by_product(inventory, rules.across, "across")
    categories = list(inventory.by_category.values())
    rows: list[tuple[str, str, str]] = []
    times = []
    for number, child in enumerate(np.random.SeedSequence(seed).spawn(count), 1):
        rng = np.random.default_rng(child)
        visits = int(rng.integers(*rules.visits, endpoint=True))
        starts = np.sort(rng.uniform(now - rules.days * 86400, now, visits))
        passed = []
        for start in starts:
            views = _visit(rng, rules, categories, within, across)
            gaps = rng.exponential(rules.minutes_between_steps * 60, len(views))
            gaps[0] = 0
            passed.append(start + np.cumsum(gaps))
            rows.extend((f"user_{number}", view.handle, view.category) for view in views)
        # A long visit may reach into the next one; the order of viewing holds.
        times.append(np.minimum(np.maximum.accumulate(np.concatenate(passed)), now))
    user, item, category = (np.array(column, np.str_) for column in zip(*rows, strict=True))
    return Events(user, item, category, np.concatenate(times).astype(np.int64))


def read_rules(path: str | os.PathLike[str] | None = None) -> Rules:
    """Read rules from a YAML or JSON file; without one, those of the sample inventory.

    Raises
    ------
    InvalidParameter
        Not readable, a key that is missing or unknown (with the nearest right name), or a
        value out of its range.
    """
    if path is None:
        text = resources.files("seldon.slirec").joinpath("sample_rules.yaml").read_text("utf-8")
        return rules_from(_parsed(text, "sample_rules.yaml"), "sample_rules.yaml")
    try:
        return rules_from(_parsed(Path(path).read_text(encoding="utf-8"), str(path)), str(path))
    except OSError as error:
        raise InvalidParameter(f"rules {str(path)!r} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise InvalidParameter(f"rules {path}: not UTF-8: {error}") from None


def rules_from(document: object, name: str = "rules") -> Rules:
    """Check a mapping of settings and make it `Rules`; `name` is for messages."""
    if not isinstance(document, Mapping):
        raise InvalidParameter(f"{name}: expected settings, found {type(document).__name__}")
    known = [field.name for field in fields(Rules)]
    for key in document:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise InvalidParameter(f"{name}: unknown setting {key!r}; {hint}")
    missing = [key for key in known if key not in document]
    if missing:
        raise InvalidParameter(f"{name}: {missing[0]!r} is missing")
    inside = _number(document, "within_category", name, 0, 1)
    outside = _number(document, "across_categories", name, 0, 1)
    if inside + outside > 1:
        raise InvalidParameter(
            f"{name}: within_category + across_categories is {inside + outside}, at most 1 is left"
        )
    return Rules(
        users=int(_number(document, "users", name, 1, 10**7, whole=True)),
        visits=_range(document, "visits", name, 1),
        steps=_range(document, "steps", name, 0),
        days=_number(document, "days", name, 0, 36500),
        minutes_between_steps=_number(document, "minutes_between_steps", name, 0, 10**6),
        within_category=inside,
        across_categories=outside,
        within=_names(document, "within", name),
        across=_names(document, "across", name),
    )


def _visit(
    rng: np.random.Generator,
    rules: Rules,
    categories: Sequence[Sequence[Product]],
    within: Mapping[str, list[list[Product]]],
    across: Mapping[str, list[list[Product]]],
) -> list[Product]:
    def one(products: Sequence[Product]) -> Product:
        return products[int(rng.integers(len(products)))]

    category = categories[int(rng.integers(len(categories)))]
    first = one(category)
    views = [first]
    for _ in range(int(rng.integers(*rules.steps, endpoint=True))):
        roll = float(rng.random())
        if roll < rules.within_category and first.handle in within:
            groups = within[first.handle]
        elif roll < rules.within_category + rules.across_categories and first.handle in across:
            groups = across[first.handle]
        else:
            groups = [list(category)]
        views.append(one(groups[int(rng.integers(len(groups)))]))
    return views


def _groups_by_product(
    inventory: InventorySnapshot, groups: Names, key: str
) -> dict[str, list[list[Product]]]:
    """Handle to the groups that hold it."""
    named = {product.title: product for product in inventory.products} | inventory.by_handle
    unknown = [name for group in groups for name in group if name not in named]
    if unknown:
        near = difflib.get_close_matches(unknown[0], named, 1)
        raise InvalidParameter(
            f"{len(unknown)} products of the rules' {key!r} groups are not in the inventory, "
            f"the first is {unknown[0]!r}" + (f"; did you mean {near[0]!r}?" if near else "")
        )
    found: dict[str, list[list[Product]]] = {}
    for group in groups:
        products = [named[name] for name in group]
        for product in products:
            found.setdefault(product.handle, []).append(products)
    return found


def _parsed(text: str, name: str) -> object:
    if name.endswith(".json"):
        try:
            return json.loads(text)
        except ValueError as error:
            raise InvalidParameter(f"rules {name}: not JSON: {error}") from None
    try:
        import yaml
    except ImportError:
        raise MissingExtra("pyyaml", "slirec") from None
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        told = " ".join(str(error).split())
        raise InvalidParameter(f"rules {name}: not YAML: {told}") from None


def _number(
    document: Mapping[str, Any],
    key: str,
    name: str,
    low: float,
    high: float,
    *,
    whole: bool = False,
) -> float:
    value = document[key]
    usable = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not usable or not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        raise InvalidParameter(f"{name}: {key}={value!r}, expected {kind} from {low} to {high}")
    return float(value)


def _range(document: Mapping[str, Any], key: str, name: str, low: int) -> tuple[int, int]:
    value = document[key]
    whole = isinstance(value, list | tuple) and all(type(number) is int for number in value)
    if not whole or len(value) != 2 or not low <= value[0] <= value[1] <= 10**6:
        raise InvalidParameter(
            f"{name}: {key}={value!r}, expected two whole numbers [fewest, most] from {low}"
        )
    return value[0], value[1]


def _names(document: Mapping[str, Any], key: str, name: str) -> Names:
    value = document[key] or []
    if not isinstance(value, list | tuple):
        raise InvalidParameter(f"{name}: {key} is no list of groups")
    for group in value:
        if not isinstance(group, list | tuple) or not group or not all(map(_is_text, group)):
            raise InvalidParameter(f"{name}: {key} has {group!r}, expected a list of product names")
    return tuple(tuple(group) for group in value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
