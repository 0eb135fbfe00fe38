import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seldon.errors import InvalidModel, InvalidParameter
from seldon.slirec.candidate_files import read_candidates, write_candidates
from seldon.slirec.dataset import load_dataset, save_dataset, split, with_own_categories
from seldon.slirec.events import Events
from tests.slirec.sequences import chained_events


def events_of(rows):
    """From (user, item, category, time)."""
    user, item, category, time = zip(*rows, strict=True)
    return Events(
        np.array(user), np.array(item), np.array(category), np.array(time, dtype=np.int64)
    )


rows = st.lists(
    st.tuples(
        st.sampled_from("abc"), st.sampled_from("pqrst"), st.sampled_from("xy"), st.integers(0, 9)
    ),
    min_size=1,
    max_size=40,
)


def expanded(rows):
    """The published pipeline's training file, as it would be written: (user, target, history)."""
    for user in dict.fromkeys(row[0] for row in rows):
        own = [row for row in rows if row[0] == user]
        for k in range(1, len(own) - 2):
            yield user, own[k], own[:k]


def counted(lines, column):
    """Names by frequency, equal ones by first sight, as a dict and a stable sort give them."""
    count = {}
    for _, target, history in lines:
        for row in (target, *history):
            count[row[column]] = count.get(row[column], 0) + 1
    return [name for name, _ in sorted(count.items(), key=lambda pair: -pair[1])]


@given(rows)
def test_vocabularies_are_those_of_the_expanded_file(rows):
    lines = list(expanded(rows))
    dataset = split(events_of(rows), valid_negatives=0, test_negatives=0)
    assert list(dataset.vocabulary.items) == ["default_mid", *counted(lines, 1)]
    assert list(dataset.vocabulary.categories) == ["default_cat", *counted(lines, 2)]
    users = {}
    for user, _, _ in lines:
        users[user] = users.get(user, 0) + 1
    assert list(dataset.vocabulary.users) == sorted(users, key=lambda user: -users[user])


@given(rows)
def test_examples_are_those_of_the_expanded_file(rows):
    dataset = split(events_of(rows), valid_negatives=0, test_negatives=0)
    positions = dataset.train_positions()
    starts = dataset.history_start(positions)
    found = [
        (dataset.item[start:p].tolist(), int(dataset.item[p]), dataset.time[start:p].tolist())
        for start, p in zip(starts, positions, strict=True)
    ]
    numbers = dataset.vocabulary.item_numbers
    assert found == [
        (
            numbers([row[1] for row in history]).tolist(),
            int(numbers(target[1])),
            [row[3] for row in history],
        )
        for _, target, history in expanded(rows)
    ]


@given(rows)
def test_last_is_test_and_the_one_before_is_valid(rows):
    dataset = split(events_of(rows), valid_negatives=0, test_negatives=0)
    blocks = [[row for row in rows if row[0] == user] for user in dataset.users]
    assert len(dataset.test.position) == sum(len(block) >= 2 for block in blocks)
    assert len(dataset.valid.position) == sum(len(block) >= 3 for block in blocks)
    ends = dataset.start[1:]
    assert set(dataset.test.position) <= set(ends - 1)
    assert set(dataset.valid.position) <= set(ends - 2)


def test_nothing_of_valid_or_test_reaches_what_training_sees():
    """Change every held-out event: training must not notice."""
    events = chained_events(0.5, users=6, length=8)
    held = np.tile(np.arange(8) >= 6, 6)
    changed = Events(
        events.user,
        np.where(held, "new", events.item),
        np.where(held, "new", events.category),
        np.where(held, 0, events.time),
    )
    before, after = split(events), split(changed)
    assert before.vocabulary == after.vocabulary
    positions = before.train_positions()
    assert positions.tolist() == after.train_positions().tolist()
    for name in ("item", "category", "time"):
        for start, p in zip(before.history_start(positions), positions, strict=True):
            one, two = getattr(before, name), getattr(after, name)
            assert one[start : p + 1].tolist() == two[start : p + 1].tolist()


def test_a_history_ends_before_its_target_and_begins_with_its_user():
    dataset = split(chained_events(0.5, users=5, length=9))
    for positions in (
        dataset.train_positions(),
        dataset.valid.position,
        dataset.test.position,
    ):
        start = dataset.history_start(positions)
        assert np.all(start < positions)
        assert set(start) <= set(dataset.start)
    assert dataset.train_positions(min_history=3).tolist() == [
        p for p in dataset.train_positions() if p % 9 >= 3
    ]


def test_sampled_negatives_are_distinct_and_follow_the_seed():
    events = chained_events(0.5)
    dataset = split(events, seed=3)
    for groups, wide in ((dataset.valid, 5), (dataset.test, 10)):
        assert groups.item.shape == groups.category.shape == (40, wide)
        for row in groups.item:
            assert len(set(row.tolist())) == wide
        own = dataset.vocabulary.own_categories()[groups.item[:, 1:]]
        assert np.array_equal(groups.category[:, 1:], own)
    again, other = split(events, seed=3), split(events, seed=4)
    assert np.array_equal(again.test.item, dataset.test.item)
    assert not np.array_equal(other.test.item, dataset.test.item)


def test_negatives_follow_the_training_frequency():
    rows = [("u", "often" if n % 4 else f"rare{n}", "c", n) for n in range(400)]
    rows += [(f"v{n}", "other", "c", n) for n in range(600)]
    rows += [(f"v{n}", f"rare{n % 10 * 4}", "c", n) for n in range(600)]
    dataset = split(events_of(rows), valid_negatives=0, test_negatives=1)
    often = dataset.vocabulary.item_numbers("often")
    assert 0.70 < (dataset.test.item[1:, 1] == often).mean() < 0.80


def test_rare_items_among_the_negatives_are_not_waited_for():
    """Nine of ten items are one event in a hundred thousand."""
    rows = [("u", "often", "c", n) for n in range(100_000)]
    rows += [("u", f"rare{n}", "c", n) for n in range(9)]
    rows += [("u", "often", "c", n) for n in range(2)]
    dataset = split(events_of(rows), valid_negatives=9, test_negatives=5)
    for groups, wide in ((dataset.valid, 10), (dataset.test, 6)):
        assert len(set(groups.item[0].tolist())) == wide
        assert dataset.vocabulary.items[groups.item[0, 0]] == "often"


def test_too_few_items_for_the_negatives_is_said():
    with pytest.raises(InvalidParameter, match=r"9 negatives .* only 5 items"):
        split(chained_events(0.5, items=5))


def test_file_order_is_kept_unless_time_is_asked_for():
    times = {"a": 5, "b": 1, "c": 1, "d": 9, "e": 0}
    rows = [("u", item, "c", time) for item, time in times.items()]
    for order, expected in (("file", "abcde"), ("time", "ebcad")):
        dataset = split(events_of(rows), order=order, valid_negatives=0, test_negatives=0)
        assert dataset.time.tolist() == [times[item] for item in expected]
    with pytest.raises(InvalidParameter, match="order='clock'"):
        split(events_of(rows), order="clock")


def test_users_may_be_interleaved():
    rows = [("u", "a", "x", 1), ("v", "b", "y", 2)] * 5
    together = sorted(rows)
    one, two = (split(events_of(r), valid_negatives=1, test_negatives=1) for r in (rows, together))
    assert np.array_equal(one.item, two.item) and one.users == two.users


def test_own_categories_come_from_the_inventory_or_the_last_training_event():
    rows = [("u", "a", "x", 1), ("u", "a", "y", 2), ("u", "b", "x", 3), ("u", "a", "x", 4)]
    rows += [("u", "b", "x", 5)]
    plain = split(events_of(rows), valid_negatives=0, test_negatives=0)
    own = dict(zip(plain.vocabulary.items, plain.vocabulary.item_category, strict=True))
    names = plain.vocabulary.categories
    assert (names[own["a"]], names[own["b"]]) == ("y", "x")
    told = split(
        events_of(rows), valid_negatives=0, test_negatives=0, item_categories={"a": "x", "b": "?"}
    )
    own = dict(zip(told.vocabulary.items, told.vocabulary.item_category, strict=True))
    assert (names[own["a"]], own["b"]) == ("x", 0)
    groups = with_own_categories(told.test, told.vocabulary)
    assert np.array_equal(groups.category, told.vocabulary.own_categories()[groups.item])


@pytest.mark.parametrize("name", ["seed", "valid_negatives", "test_negatives"])
def test_numbers_below_0_are_refused(name):
    with pytest.raises(InvalidParameter, match=f"{name}=-1 is not a whole number from 0"):
        split(chained_events(0.5), **{name: -1})


def test_a_data_set_is_saved_and_loaded(tmp_path):
    dataset = split(chained_events(0.5))
    save_dataset(dataset, tmp_path / "data")
    found = load_dataset(tmp_path / "data")
    assert (found.vocabulary, found.users) == (dataset.vocabulary, dataset.users)
    for name in ("start", "item", "category", "time"):
        assert np.array_equal(getattr(found, name), getattr(dataset, name))
    for part, name in itertools.product(("valid", "test"), ("position", "item", "category")):
        one, two = getattr(found, part), getattr(dataset, part)
        assert np.array_equal(getattr(one, name), getattr(two, name))
    assert sum(path.stat().st_size for path in (tmp_path / "data").iterdir()) < 60 * 1600


def test_another_folder_is_not_a_data_set(tmp_path):
    from seldon.folders import publishing

    with publishing(tmp_path / "other", "something"):
        pass
    with pytest.raises(InvalidModel, match=r"'something', not a 'seldon\.slirec\.dataset'"):
        load_dataset(tmp_path / "other")


def test_candidate_files_are_read_back(tmp_path):
    dataset = split(chained_events(0.5))
    for part in ("valid", "test"):
        groups = getattr(dataset, part)
        write_candidates(groups, dataset, tmp_path / "candidates.tsv")
        found = read_candidates(tmp_path / "candidates.tsv", dataset, part)
        for name in ("position", "item", "category"):
            assert np.array_equal(getattr(found, name), getattr(groups, name))


def test_candidate_files_of_other_events_are_refused(tmp_path):
    path = tmp_path / "candidates.tsv"
    dataset = split(chained_events(0.5))
    write_candidates(dataset.valid, dataset, path)
    with pytest.raises(InvalidParameter, match="is not the test event of its user"):
        read_candidates(path, dataset, "test")
    with pytest.raises(InvalidParameter, match="user 'u0' is not in the data set"):
        read_candidates(path, replace(dataset, users=("nobody",)), "valid")
    path.write_text(path.read_text().replace("\n0\t", "\n1\t", 1))
    with pytest.raises(InvalidParameter, match="not groups of one positive"):
        read_candidates(path, dataset, "valid")
    path.write_text("a\tb\n1\t2\n")
    with pytest.raises(InvalidParameter, match="columns are"):
        read_candidates(path, dataset, "valid")
