"""Acceptance cases J and MovieLens 100K: public data with published outputs."""

import csv
import gzip
import json

import numpy as np
import pytest

from seldon.reading import read_catalog, read_interactions
from seldon.sar.affinity import Event, Events, affinity
from seldon.sar.parameters import TrainingParameters
from seldon.sar.training import train
from tests.item_rankings import ITEM_RANKINGS
from tests.sar.data import seconds
from tests.shared_data import FOLDER

DEMO = FOLDER / "product-recommendations-demo"
MOVIELENS = FOLDER / "movielens-100k"
NEWEST_MIDNIGHT = 0.9958308454
"""What [R]'s values, decayed from the newest event, become when decayed from midnight after it."""

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not DEMO.is_dir(), reason="the public data sets are not here"),
]


@pytest.fixture(scope="module")
def usage():
    return read_interactions(DEMO / "demoUsage.csv", format="usage")


@pytest.fixture(scope="module")
def model(usage):
    made = {}

    def model(**changes):
        key = tuple(sorted(changes.items()))
        if key not in made:
            parameters = TrainingParameters(**{"support_threshold": 3} | changes)
            made[key] = train(usage[0], parameters=parameters)[0]
        return made[key]

    return model


def rows_of(name):
    with (DEMO / name).open(newline="") as stream:
        return list(csv.reader(stream))[1:]


def best(found):
    return [(item, pytest.approx(score, rel=1e-8, abs=1e-10)) for item, score in found]


def pairs(text):
    return [(item.upper(), float(score)) for item, score in map(str.split, text.split(", "))]


def test_j1_parsing(usage):
    events, report = usage
    assert (report.total_lines, report.successful_lines, report.errors) == (11838, 11838, ())
    assert (len(events.users), len(events.items)) == (2343, 101)
    catalog, report = read_catalog(DEMO / "demoCatalog.csv")
    assert (report.total_lines, report.successful_lines, report.errors) == (101, 101, ())
    assert catalog.feature_names == ()
    parameters = TrainingParameters(enable_cold_item_placement=True)
    _, statistics = train(events, catalog, parameters)
    assert statistics.catalog_coverage == 1.0 and statistics.feature_weights == {}


@pytest.mark.parametrize(
    ("threshold", "cells", "warm"),
    [(1, 3581, 101), (3, 1371, 101), (6, 721, 101), (25, 221, 81), (50, 98, 40)],
)
def test_j2_cells(model, threshold, cells, warm):
    found = model(support_threshold=threshold).similarity.dense()
    assert np.count_nonzero(found) == cells
    assert np.count_nonzero(np.diag(found)) == warm


@pytest.mark.parametrize("threshold", [1, 3])
@pytest.mark.parametrize(
    ("file", "function"), [("count", "Cooccurrence"), ("jac", "Jaccard"), ("lift", "Lift")]
)
def test_published_similarity_matrices(model, file, function, threshold):
    rows = rows_of(f"sim_{file}{threshold}.csv")
    trained = model(support_threshold=threshold, similarity_function=function)
    assert trained.items.ids.tolist() == [row[0] for row in rows]
    expected = np.array([row[1:] for row in rows], float)
    np.testing.assert_allclose(trained.similarity.dense(), expected, rtol=1e-9, atol=1e-15)


def test_published_item_rankings(model):
    for item, *rest in rows_of("itempred_jac3.csv"):
        expected = list(zip(rest[:10], map(float, rest[10:]), strict=True))
        found = model().similar_items(item, 10)
        assert [name for name, _ in found] == [name for name, _ in expected]
        np.testing.assert_allclose(
            [score for _, score in found], [score for _, score in expected], rtol=1e-9
        )


def test_published_user_ranking(model):
    ((user, *rest),) = rows_of("userpred_jac3_userid_only.csv")
    trained = model(enable_user_affinity=True, enable_user_to_item_recommendations=True)
    found = trained.recommend_items([], user, now=trained.latest)
    assert [name for name, _ in found] == rest[:10]
    expected = np.array(rest[10:], float) * NEWEST_MIDNIGHT
    np.testing.assert_allclose([score for _, score in found], expected, rtol=1e-9)


def test_j3_occurrences(model):
    trained = model(similarity_function="Cooccurrence")
    top = trained.popular[:5]
    assert trained.items.ids[top].tolist() == [
        "DQF-00248", "DAF-00349", "DAF-00288", "DHF-01530", "DAF-00448",
    ]  # fmt: skip
    assert trained.occurrences[top].tolist() == [1071, 347, 323, 219, 194]
    assert trained.similarity.dense()[top[0], top[1]] == 242


def test_j4_visits(usage, model):
    trained = model(cooccurrence_unit="Timestamp", similarity_function="Cooccurrence")
    one, other = trained.items.indices(["DQF-00248", "DAF-00349"])
    assert trained.occurrences[one] == 2610
    assert trained.similarity.dense()[one, other] == 351
    events = usage[0]
    assert len(np.unique(np.stack([events.user, events.time]), axis=1).T) == 7501


@pytest.mark.parametrize("case", ITEM_RANKINGS)
def test_j_items(model, case):
    item, similarity, text = ITEM_RANKINGS[case]
    settings = {"similarity_function": similarity} if similarity else {}
    expected = pairs(text)
    assert expected == best(model(**settings).similar_items(item, len(expected)))


def test_j6_at_the_default_threshold(model):
    found = model(support_threshold=6, enable_backfilling=False).similar_items("DAF-00396", 100)
    assert [item for item, _ in found] == [
        "DAF-00420", "DAF-00450", "DAF-00288", "DAF-00448", "DQF-00248",
    ]  # fmt: skip
    assert found[4][1] == pytest.approx(0.0257589696, rel=1e-8)


USER = "0003000098E85347"
PERSONAL = {"enable_user_affinity": True, "enable_user_to_item_recommendations": True}
OF_USER = [
    Event("DQF-00358", seconds("2015-06-09T19:39:37")),
    Event("DAF-00448", seconds("2015-03-06T09:08:24")),
    Event("DQF-00248", seconds("2015-03-06T09:08:24")),
    Event("DAF-00416", seconds("2014-12-26T20:22:18")),
    Event("DQF-00248", seconds("2014-12-26T20:22:18")),
    Event("DQF-00248", seconds("2014-12-21T07:40:39")),
]


def test_j9_history(model):
    trained = model(**PERSONAL)
    expected = pairs("dqf-00362 0.0613787275, daf-00288 0.0489749751, dhf-01530 0.0422977814")
    assert expected == best(trained.recommend_items([], USER, 3))
    weights = {"DQF-00358": 0, "DAF-00448": 0, "DQF-00248": 0, "DAF-00416": 0}
    for item in weights:
        trained_with_seeds = model(**PERSONAL, allow_seed_items_in_recommendations=True)
        because = trained_with_seeds.explain(item, [], USER)
        weights[item] = sum(why.affinity for why in because if why.item == item)
    assert list(weights.values()) == pytest.approx(
        [0.9958308454, 0.1097805551, 0.1511799305, 0.0220200362], rel=1e-8
    )


def test_j10_history_and_the_same_events(model):
    found = model(**PERSONAL).recommend_items(OF_USER, USER, 1)
    assert found == [("DQF-00362", pytest.approx(0.1227574551, rel=1e-8))]


def test_j11_without_affinity(model):
    expected = pairs("daf-00349 0.7070470892, daf-00288 0.6406472995, daf-00419 0.3594932416")
    trained = model(enable_user_to_item_recommendations=True)
    assert expected == best(trained.recommend_items([], USER, 3))


def test_j12_weighted_events(model):
    weights = [1, 2, 3, 1, 2, 2]
    events = [
        Event(event.item, event.time, weight=weight)
        for event, weight in zip(OF_USER, weights, strict=True)
    ]
    trained = model(similarity_function="Cooccurrence", enable_user_affinity=True)
    expected = pairs("daf-00349 106.6551145611, daf-00288 98.2343398358, daf-00419 44.9868329633")
    assert expected == best(trained.recommend_items(events, count=3))


def test_j13_backfilling(model):
    expected = pairs(
        "dhf-00905 0.0622338891, dhf-01080 0.0607010347, dhf-00894 0.0444527779, "
        "dhf-00890 0.0410112725, dhf-00907 0.0083825238, dqf-00248 0, daf-00349 0, "
        "daf-00288 0, dhf-01530 0, daf-00448 0"
    )
    found = model(**PERSONAL).recommend_items([], "00010DC74C33EC42")
    assert expected == best(found)
    off = model(**PERSONAL, enable_backfilling=False)
    assert off.recommend_items([], "00010DC74C33EC42") == found[:5]


# MovieLens 100K: the peer's own answers, in `sar-expected.json`


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    expected = json.loads((MOVIELENS / "sar-expected.json").read_text())
    with gzip.open(MOVIELENS / "u.data.gz", "rt") as stream:
        rows = stream.readlines()
    with gzip.open(MOVIELENS / "test-rows.txt.gz", "rt") as stream:
        held_out = set(map(int, stream))
    path = tmp_path_factory.mktemp("movielens") / "train.tsv"
    path.write_text("".join(row for number, row in enumerate(rows) if number not in held_out))
    columns = {"user": 0, "item": 1, "weight": 2, "time": 3}
    events, report = read_interactions(path, columns=columns)
    assert report.successful_lines == 75066 and not report.errors
    return events, [run for run in expected["runs"] if "jaccard" in str(run["parameters"]).lower()]


@pytest.fixture(scope="module")
def film_model(films):
    parameters = TrainingParameters(support_threshold=1, enable_backfilling=False)
    return train(films[0], parameters=parameters)[0]


def test_movielens_similarities(films, film_model):
    for one, other, value in films[1][0]["similarity_samples"]:
        i, j = film_model.items.indices([one, other])
        assert film_model.similarity.dense()[i, j] == pytest.approx(value, rel=1e-12)
    assert len(film_model.similarity.columns) == films[1][0]["item_similarity_nonzero"]
    total = films[1][0]["item_similarity_sum"]
    assert film_model.similarity.values.sum() == pytest.approx(total, rel=1e-9)


@pytest.mark.parametrize("run", [0, 1])
def test_movielens_top_ten(films, film_model, run):
    events, runs = films
    half_life = 30 if runs[run]["parameters"]["timedecay_formula"] else np.inf
    assert len(runs[run]["top"]) == 20
    for user, expected in runs[run]["top"].items():
        mine = np.flatnonzero(events.user == events.users.indices([user])[0])
        items = film_model.items.indices(events.items.ids[events.item[mine]])
        used = Events(items, events.time[mine], events.weight[mine].astype(float))
        rows, scores = film_model.rank(used, affinity(used, film_model.latest, half_life), 10)
        np.testing.assert_allclose(scores, [score for _, score in expected], rtol=1e-9)
        for found, (_, score) in zip(film_model.items.ids[rows], expected, strict=True):
            equal = [other for other, value in expected if abs(value - score) < 1e-12]
            assert found in equal


@pytest.mark.parametrize("run", [0, 1])
def test_movielens_seed_sets(films, film_model, run):
    for case in films[1][run]["seed_set_top"]:
        found = film_model.recommend_items([str(seed) for seed in case["seeds"]])
        expected = [score for _, score in case["top"]]
        np.testing.assert_allclose([score for _, score in found], expected, rtol=1e-9)
