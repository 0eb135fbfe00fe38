"""Saved counts: another threshold, or another day, gives what training on everything gives."""

import itertools

import numpy as np
import pytest

from seldon.errors import InvalidModel, InvalidParameter, TooLarge
from seldon.folders import publishing
from seldon.interactions import Vocabulary
from seldon.reading import Catalog
from seldon.sar.counted import Counted
from seldon.sar.parameters import TrainingParameters
from seldon.sar.training import train
from tests.sar.data import interactions

DAY = 86400.0


def day_of_events(rng, day, numbers=False):
    """New users and new items come with each day; some user comes back within the same second."""
    return [
        (
            f"{user}" if numbers else f"u{user}",
            f"{item}" if numbers else f"i{item}",
            day * DAY + float(second),
        )
        for user, item, second in zip(
            rng.integers(0, 40 + 10 * day, 200),
            rng.zipf(1.5, 200) % (30 + 5 * day),
            rng.integers(0, 3, 200),
            strict=True,
        )
    ]


def assert_same(one, other):
    assert one.items.ids.tolist() == other.items.ids.tolist()
    for name in ("indptr", "columns", "values"):
        assert getattr(one.similarity, name).tolist() == getattr(other.similarity, name).tolist()
    assert one.occurrences.tolist() == other.occurrences.tolist()
    assert one.popular.tolist() == other.popular.tolist()
    assert one.latest == other.latest
    for name in ("offsets", "item", "time", "weight"):
        assert getattr(one.history, name).tolist() == getattr(other.history, name).tolist()
    assert one.history.users.ids.tolist() == other.history.users.ids.tolist()


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("unit", ["User", "Timestamp"])
def test_adding_days_equals_training_on_everything(tmp_path, unit, numbers):
    rng = np.random.default_rng(5)
    days = [day_of_events(rng, day, numbers) for day in range(3)]
    Counted.of(interactions(days[0]), unit).save(tmp_path / "counts")
    for day in days[1:]:
        Counted.load(tmp_path / "counts").add(interactions(day)).save(tmp_path / "counts")
    counted = Counted.load(tmp_path / "counts")
    everything = interactions(list(itertools.chain(*days)))
    for threshold, function, kept in ((1, "Jaccard", None), (4, "Lift", None), (2, "Jaccard", 3)):
        parameters = TrainingParameters(
            support_threshold=threshold,
            similarity_function=function,
            cooccurrence_unit=unit,
            neighbours=kept,
            enable_user_to_item_recommendations=True,
        )
        assert_same(
            train(counted, parameters=parameters)[0], train(everything, parameters=parameters)[0]
        )


def test_adding_nothing_new():
    rows = day_of_events(np.random.default_rng(6), 0)
    counted = Counted.of(interactions(rows), "User")
    again = counted.add(interactions(rows))
    assert again.counts.counts.tolist() == counted.counts.counts.tolist()
    assert again.counts.occurrences.tolist() == counted.counts.occurrences.tolist()


def test_a_catalog_filters_counts_as_it_filters_events():
    events = interactions(day_of_events(np.random.default_rng(7), 0))
    listed = Vocabulary([*events.items.ids[::2].tolist(), "new"])
    catalog = Catalog(listed, ("x",), tuple({"x": str(n % 3)} for n in range(len(listed))))
    parameters = TrainingParameters(
        support_threshold=3,
        enable_cold_item_placement=True,
        enable_user_to_item_recommendations=True,
    )
    counted = Counted.of(events, "User")
    assert_same(train(counted, catalog, parameters)[0], train(events, catalog, parameters)[0])


def test_counts_of_another_unit_are_refused():
    counted = Counted.of(interactions(day_of_events(np.random.default_rng(8), 0)), "User")
    with pytest.raises(InvalidParameter, match="'Timestamp', but these counts are by 'User'"):
        train(counted, parameters=TrainingParameters(cooccurrence_unit="Timestamp"))


def test_a_folder_that_holds_something_else(tmp_path):
    with publishing(tmp_path / "other", "some:Thing"):
        pass
    with pytest.raises(InvalidModel, match="not counts of SAR"):
        Counted.load(tmp_path / "other")


def test_counts_beyond_the_memory_given():
    events = interactions(day_of_events(np.random.default_rng(9), 0))
    with pytest.raises(TooLarge, match="raise the support threshold"):
        Counted.of(events, "User", memory=100)
