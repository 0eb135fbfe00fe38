"""The sample has what it promises: a skew, clusters, sessions, and the same bytes per seed."""

import datetime as dt
import json

import numpy as np
import pytest

from seldon.errors import InvalidParameter
from seldon.sample import main, sample_interactions, write_sample


def draw(seed=0, users=200, items=300, events=5_000):
    return sample_interactions(users, items, events, np.random.default_rng(seed))


def test_numbers_and_ranges():
    sample = draw()
    assert len(sample) == 5_000
    assert sample.user.min() >= 1 and sample.user.max() <= 200
    assert sample.item.min() >= 1 and sample.item.max() <= 300
    end = dt.datetime(2026, 1, 1, tzinfo=dt.UTC).timestamp()
    assert np.all(np.diff(sample.time) >= 0)
    assert sample.time[0] >= end - 90 * 86_400 and sample.time[-1] < end


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_tiny_samples_are_possible(size):
    sample = draw(users=size, items=size, events=size)
    assert len(sample) == size
    assert sample.item.max() <= size


def test_popularity_is_skewed():
    counts = np.sort(np.bincount(draw(events=20_000).item))[::-1]
    assert counts[:30].sum() > 0.25 * counts.sum()


def test_a_session_keeps_to_one_cluster():
    sample = draw()
    same_user = np.lexsort((sample.time, sample.user))
    user, time = sample.user[same_user], sample.time[same_user]
    cluster = sample.cluster[sample.item[same_user] - 1]
    in_session = (user[1:] == user[:-1]) & (np.diff(time) < 300)
    alike = (cluster[1:] == cluster[:-1])[in_session].mean()
    by_chance = np.square(np.bincount(cluster) / len(cluster)).sum()
    assert in_session.mean() > 0.5
    assert alike > 0.6 > 4 * by_chance


def test_a_seed_gives_the_same_files(tmp_path):
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        write_sample(draw(seed), tmp_path / name)
    for file in ["interactions.csv", "actions.jsonl", "catalog.csv"]:
        first, same, other = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert first == same != other


def test_the_files_tell_the_same_events(tmp_path):
    options = ["--users", "20", "--items", "30", "--events", "100", "--client", "shop"]
    assert main(["--output", str(tmp_path), *options]) == 0
    rows = [line.split(",") for line in (tmp_path / "interactions.csv").read_text().splitlines()]
    actions = [json.loads(line) for line in (tmp_path / "actions.jsonl").read_text().splitlines()]
    assert len(rows) == len(actions) == 100
    for (user, item, stamp), action in zip(rows, actions, strict=True):
        assert (int(user), int(item)) == (action["userid"], action["itemid"])
        assert (user, item) == (action["client_userid"], action["client_itemid"])
        assert action["timestamp_utc"] == f"{stamp}Z"
        assert dt.datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S")
        assert (action["client"], action["type"], action["value"]) == ("shop", 1, 1.0)
    catalog = [line.split(",") for line in (tmp_path / "catalog.csv").read_text().splitlines()]
    assert [int(row[0]) for row in catalog] == list(range(1, 31))
    assert all(name and kind and all("=" in f for f in features)
               for _, name, kind, _, *features in catalog)  # fmt: skip


def test_wrong_sizes_are_refused(tmp_path, capsys):
    with pytest.raises(InvalidParameter, match="items=0 must be at least 1"):
        draw(items=0)
    assert main(["--output", str(tmp_path), "--events", "-1"]) == 1
    assert main(["--output", str(tmp_path), "--seed", "-1"]) == 1
    assert "events=-1 must be at least 1" in capsys.readouterr().err
    assert main(["--output", "/proc/no/such"]) == 1
