"""Invented interactions follow their rules, repeat by seed, and bad rules are named."""

import json
from dataclasses import replace

import numpy as np
import pytest

from seldon.errors import InvalidParameter
from seldon.slirec.inventory import InventorySnapshot, Product, sample_inventory
from seldon.slirec.synthesis import generate, read_rules, rules_from

NOW = 1_700_000_000
SMALL = {
    "users": 3,
    "visits": [2, 4],
    "steps": [1, 3],
    "days": 30,
    "minutes_between_steps": 2,
    "within_category": 0.6,
    "across_categories": 0.3,
    "within": [["Dome Tent", "sleeping-bag"]],
    "across": [],
}


@pytest.fixture(scope="module")
def events():
    return generate(sample_inventory(), read_rules(), seed=1, now=NOW, users=60)


def _same(one, other):
    names = ("user", "item", "category", "time")
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names)


def test_seed_decides(events):
    rules = read_rules()
    assert _same(events, generate(sample_inventory(), rules, seed=1, now=NOW, users=60))
    assert not _same(events, generate(sample_inventory(), rules, seed=2, now=NOW, users=60))


def test_a_user_does_not_depend_on_the_number_of_users(events):
    fewer = generate(sample_inventory(), read_rules(), seed=1, now=NOW, users=5)
    first = events.item[np.isin(events.user, [f"user_{n}" for n in range(1, 6)])]
    assert np.array_equal(fewer.item, first)


def test_counts_times_and_categories(events):
    rules = read_rules()
    inventory = sample_inventory()
    assert len(set(events.user)) == 60
    for user in set(events.user):
        time = events.time[events.user == user]
        assert (np.diff(time) >= 0).all()
        assert NOW - rules.days * 86400 <= time[0]
        assert time[-1] <= NOW
        assert rules.visits[0] * (1 + rules.steps[0]) <= len(time)
        assert len(time) <= rules.visits[1] * (1 + rules.steps[1])
    own = [inventory.by_handle[handle].category for handle in events.item]
    assert events.category.tolist() == own


def test_shares_of_the_rules():
    """With one visit of many steps per user the source of every step can be told apart."""
    products = tuple(
        Product(f"gid://shopify/Product/{n}", f"p{n}", f"P{n}", "A" if n < 50 else "B")
        for n in range(100)
    )
    groups = {"within": [[f"p{n}", "p49"] for n in range(49)]}
    across = {"across": [[f"p{n}", "p99"] for n in range(49)]}
    rules = rules_from({**SMALL, **groups, **across, "visits": [1, 1], "steps": [400, 400]})
    events = generate(InventorySnapshot(products), rules, seed=3, now=NOW, users=40)
    first = [int(item[1:]) for item in events.item[::401]]
    grouped = np.repeat([number < 49 for number in first], 401)
    start = np.repeat(events.item[::401], 401)
    step = np.ones(len(events), bool)
    step[::401] = False
    chosen = grouped & step
    # Of each group half of the draws are the visit's product itself.
    assert np.mean(events.item[chosen] == "p49") == pytest.approx(0.3 + 0.1 / 50, abs=0.02)
    assert np.mean(events.item[chosen] == "p99") == pytest.approx(0.15, abs=0.02)
    assert np.mean(events.item[chosen] == start[chosen]) == pytest.approx(0.452, abs=0.02)


def test_rules_from_json(tmp_path):
    (tmp_path / "rules.json").write_text(json.dumps(SMALL))
    rules = read_rules(tmp_path / "rules.json")
    assert rules.within == (("Dome Tent", "sleeping-bag"),)
    assert len(set(generate(sample_inventory(), rules, seed=1, now=NOW).user)) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user": 5}, "unknown setting 'user'; did you mean 'users'"),
        ({"zzz": 5}, "unknown setting 'zzz'; known are users"),
        ({"users": 0}, "users=0, expected a whole number from 1"),
        ({"users": True}, "users=True, expected"),
        ({"users": "many"}, "users='many', expected"),
        ({"within_category": 0.8}, r"within_category \+ across_categories is 1.1"),
        ({"within_category": float("nan")}, "within_category=nan, expected"),
        ({"visits": [4, 2]}, r"visits=\[4, 2\], expected two whole numbers"),
        ({"visits": 4}, "visits=4, expected two whole numbers"),
        ({"steps": [-1, 2]}, r"steps=\[-1, 2\]"),
        ({"within": "Dome Tent"}, "within is no list of groups"),
        ({"within": [[]]}, r"within has \[\]"),
        ({"within": [[5]]}, r"within has \[5\]"),
    ],
)
def test_bad_rules_are_named(change, message):
    with pytest.raises(InvalidParameter, match=message):
        rules_from({**SMALL, **change})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("users: [", "not YAML"),
        ("- a", "expected settings, found list"),
        ("users: 5", "'visits' is missing"),
        ("!!python/object/apply:os.system [true]", "not YAML"),
    ],
)
def test_bad_files_are_named(tmp_path, text, message):
    (tmp_path / "rules.yaml").write_text(text)
    with pytest.raises(InvalidParameter, match=message):
        read_rules(tmp_path / "rules.yaml")
    with pytest.raises(InvalidParameter, match="cannot be read"):
        read_rules(tmp_path / "none.yaml")


def test_unknown_product_in_a_group():
    rules = rules_from({**SMALL, "across": [["Dome Tent", "Dome Tant", "Zzz"]]})
    with pytest.raises(InvalidParameter, match="2 products of the rules' 'across' groups"):
        generate(sample_inventory(), rules, seed=1, now=NOW)
    with pytest.raises(InvalidParameter, match="did you mean 'Dome Tent'"):
        generate(sample_inventory(), rules, seed=1, now=NOW)


def test_nothing_to_generate():
    rules = rules_from(SMALL)
    with pytest.raises(InvalidParameter, match="inventory is empty"):
        generate(InventorySnapshot(()), replace(rules, within=()), seed=1, now=NOW)
    with pytest.raises(InvalidParameter, match="users=0"):
        generate(sample_inventory(), rules, seed=1, now=NOW, users=0)
    with pytest.raises(InvalidParameter, match="seed=-1 is not a whole number from 0"):
        generate(sample_inventory(), rules, seed=-1, now=NOW)
