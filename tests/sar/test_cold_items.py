"""Cold items: the properties G of the contract's acceptance cases."""

import numpy as np
import pytest

from seldon.interactions import Vocabulary
from seldon.reading import Catalog
from seldon.sar.cold_items import Features
from seldon.sar.parameters import TrainingParameters
from seldon.sar.training import train
from tests.sar.data import NOON, interactions

COLOURS = ("red", "green", "blue")
N_WARM, N_COLD = 30, 8


def catalog_of(features):
    items = sorted(features)
    names = tuple(dict.fromkeys(name for item in items for name in features[item]))
    return Catalog(Vocabulary(items), names, tuple(features[item] for item in items))


@pytest.fixture(scope="module")
def shop():
    """Users buy items of one colour; size says nothing."""
    rng = np.random.default_rng(3)
    features = {
        f"w{n:02}": {"colour": COLOURS[n % 3], "size": str(rng.integers(4))} for n in range(N_WARM)
    }
    for n in range(N_COLD):
        features[f"c{n:02}"] = {"colour": COLOURS[n % 3], "size": "1"}
    features["c06"] = {"colour": "red;green"}
    features["c07"] = {}
    rows = []
    for user in range(120):
        own = [n for n in range(N_WARM) if n % 3 == user % 3]
        rows += [(f"u{user}", f"w{n:02}", NOON) for n in rng.choice(own, 5, replace=False)]
        rows.append((f"u{user}", f"w{rng.integers(N_WARM):02}", NOON))
    rows += [("u0", "c00", NOON), ("u1", "c01", NOON)]
    return interactions(rows), catalog_of(features)


FUNCTIONS = ("Jaccard", "Lift", "Cooccurrence")


def trained(shop, **changes):
    settings = {"support_threshold": 3, "enable_cold_item_placement": True} | changes
    return train(*shop, TrainingParameters(**settings))


def parts(shop, **changes):
    """The matrix with and without cold items, and which items are warm."""
    model, _ = trained(shop, **changes)
    without, _ = train(shop[0], parameters=TrainingParameters(support_threshold=3, **changes))
    placed = model.similarity.dense()
    before = np.zeros_like(placed)
    rows = model.items.indices(without.items.ids)
    before[np.ix_(rows, rows)] = without.similarity.dense()
    return placed, before, model.occurrences >= 3


@pytest.mark.parametrize("function", FUNCTIONS)
def test_g1_only_entries_of_cold_items_differ(shop, function):
    placed, before, warm = parts(shop, similarity_function=function)
    assert (placed != before)[np.ix_(warm, warm)].sum() == 0
    assert (placed != before).sum() > 0


@pytest.mark.parametrize("cold_to_cold", [False, True])
def test_g2_symmetric(shop, cold_to_cold):
    model, _ = trained(shop, enable_cold_to_cold_recommendations=cold_to_cold)
    placed = model.similarity.dense()
    assert (placed == placed.T).all()
    for row in range(len(model.items)):
        assert (np.diff(model.similarity.row(row)[0]) > 0).all()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_g3_features_decide_and_never_beat_warm_pairs(shop, function):
    placed, _, warm = parts(shop, similarity_function=function)
    pairs = placed[np.ix_(warm, warm)]
    weakest = pairs[pairs > 0].min()
    entries = placed[np.ix_(~warm, warm)]
    assert 0 < entries.max() <= weakest * (1 + 1e-12)
    model, _ = trained(shop, similarity_function=function)
    bare = model.items.indices(["c07"])[0]
    assert placed[bare].sum() == 0
    shared = Features.of(shop[1], model.items.indices(shop[1].items.ids), len(model.items))
    for cold, other in zip(*np.nonzero(placed * ~warm[:, None]), strict=True):
        assert shared.matches(np.array([cold]), np.array([other])).any()


def test_g4_cold_to_cold_only_when_asked(shop):
    for asked in (False, True):
        placed, _, warm = parts(shop, enable_cold_to_cold_recommendations=asked)
        assert (placed[np.ix_(~warm, ~warm)].sum() > 0) == asked


def test_g5_feature_weights(shop):
    model, statistics = trained(shop)
    assert list(statistics.feature_weights) == ["colour", "size"]
    assert model.feature_weights == statistics.feature_weights
    assert statistics.feature_weights["colour"] > 5 * abs(statistics.feature_weights["size"])


def test_g6_a_catalog_without_features(shop):
    events, catalog = shop
    bare = catalog_of({item: {} for item in catalog.items.ids.tolist()})
    model, statistics = trained((events, bare))
    assert statistics.feature_weights == {} and len(model.items) == N_WARM + N_COLD


def test_g7_equal_features_give_equal_rows(shop):
    for cold_to_cold in (False, True):
        model, _ = trained(shop, enable_cold_to_cold_recommendations=cold_to_cold)
        warm = model.occurrences >= 3
        one, other = model.items.indices(["c00", "c03"])
        placed = model.similarity.dense()
        assert placed[one, warm].tolist() == placed[other, warm].tolist()
        assert placed[one, warm].any()


def test_g8_a_cold_item_is_asked_for(shop):
    model, _ = trained(shop, enable_backfilling=False)
    found = model.similar_items("c02", 10)
    assert found and all(int(item[1:]) % 3 == 2 and item[0] == "w" for item, _ in found)
    without, _ = train(shop[0], parameters=TrainingParameters(support_threshold=3))
    assert without.similar_items("c02") == without.similar_items("unknown")


def test_at_most_ten_warm_neighbours(shop):
    model, _ = trained(shop, enable_cold_to_cold_recommendations=True)
    warm = model.occurrences >= 3
    placed = model.similarity.dense()
    assert (placed[np.ix_(~warm, warm)] > 0).sum(axis=1).max() == 10


def test_catalog_items_without_usage_are_not_backfilled(shop):
    model, _ = trained(shop)
    assert set(model.items.ids[model.popular].tolist()) >= {"c00", "c01"}
    listed = [item for item, _ in model.recommend_items([], count=100)]
    assert "c02" not in listed and len(listed) == N_WARM + 2


def test_events_of_unlisted_items_are_left_out(shop):
    events, catalog = shop
    fewer = {
        item: features
        for item, features in zip(catalog.items.ids.tolist(), catalog.features, strict=True)
        if item not in ("w00", "w01")
    }
    model, statistics = trained((events, catalog_of(fewer)))
    assert model.items.indices(["w00", "w01"]).tolist() == [-1, -1]
    assert statistics.usage_items == N_WARM


def test_the_same_seed_gives_the_same_model(shop):
    one, other = trained(shop)[0], trained(shop)[0]
    assert one.similarity.values.tolist() == other.similarity.values.tolist()


def test_several_values_of_one_feature_match_in_part():
    catalog = catalog_of({"a": {"x": "1;2"}, "b": {"x": "2;3"}, "c": {"x": "1"}, "d": {"y": ""}})
    features = Features.of(catalog, np.arange(4), 4)
    pairs = np.array([0, 0, 1, 0]), np.array([1, 2, 2, 3])
    assert features.matches(*pairs)[:, 0].tolist() == [1 / 3, 0.5, 0, 0]
