"""Acceptance cases A to E of the Product Recommendations contract, by letter and number."""

import numpy as np
import pytest

from seldon.interactions import Vocabulary
from seldon.sar.affinity import Event, Events, affinity, reference_time
from seldon.sar.model import SARRecommender
from seldon.sar.parameters import TrainingParameters
from seldon.sar.similarity import SIMILARITIES, Similarity
from seldon.sar.training import train
from tests.sar.data import NOON, interactions, seconds, t7

PARAMETERS = TrainingParameters(support_threshold=3, enable_backfilling=True)
DAYS = 30.0


def model(events=None, **changes):
    parameters = TrainingParameters(**(PARAMETERS.to_dict() | changes))
    return train(t7() if events is None else events, parameters=parameters)[0]


def matrix(**changes):
    return model(**changes).similarity.dense()


# A: the worked example of the algorithm's documentation

PRINTED = np.array(
    [[5, 3, 4, 3, 2], [3, 4, 3, 2, 1], [4, 3, 4, 3, 1], [3, 2, 3, 4, 2], [2, 1, 1, 2, 3]], float
)


@pytest.fixture
def printed():
    recommender = SARRecommender(TrainingParameters(enable_backfilling=False))
    recommender.items = Vocabulary(list("12345"))
    recommender.similarity = Similarity(
        np.arange(0, 26, 5), np.tile(np.arange(5, dtype=np.int32), 5), PRINTED.ravel()
    )
    recommender.occurrences = np.diag(PRINTED).astype(np.int64)
    return recommender


@pytest.mark.parametrize(
    ("weights", "scores", "recommended"),
    [
        pytest.param([5, 3, 2.5, 0, 0], [44, 34.5, 39, 28.5, 15.5], "45", id="A1"),
        pytest.param([0, 0, 0, 0, 1], [2, 1, 1, 2, 3], "1423", id="A2"),
        pytest.param([0, 2, 0, 0, 1], [8, 9, 7, 6, 5], "134", id="A3"),
    ],
)
def test_a_worked_example(printed, weights, scores, recommended):
    weights = np.array(weights, float)
    rows = np.flatnonzero(weights)
    assert printed.score(rows, weights[rows]).tolist() == scores
    used = Events(rows, np.zeros(len(rows)), weights[rows])
    assert "".join(printed.items.ids[printed.rank(used, weights[rows], 10)[0]]) == recommended


def test_a1_explanation(printed):
    events = [Event("1", weight=5.0), Event("2", weight=3.0), Event("3", weight=2.5)]
    printed.parameters = TrainingParameters(enable_user_affinity=True, decay_period_in_days=1e12)
    because = printed.explain("4", events, now=0.0)
    assert [(why.item, round(why.score, 6)) for why in because] == [
        ("1", 15), ("3", 7.5), ("2", 6),
    ]  # fmt: skip
    assert sum(why.score for why in because) == pytest.approx(28.5)


@pytest.mark.parametrize(
    ("function", "pair", "value"),
    [
        ("Jaccard", (0, 1), 0.5),
        ("Jaccard", (0, 2), 0.8),
        ("Jaccard", (3, 4), 0.4),
        ("Lift", (0, 1), 0.15),
        ("Lift", (3, 1), 0.125),
        ("Lift", (3, 4), 2 / 12),
    ],
)
def test_a4_similarities(function, pair, value):
    i, j = pair
    counts = PRINTED.astype(int)
    assert SIMILARITIES[function](counts[i, j], counts[i, i], counts[j, j]) == pytest.approx(value)


# B: similarity and threshold

PAIRS = {
    "AB": (0.5, 0.15, 3), "AC": (0.8, 0.2, 4), "AD": (0.8, 0.2, 4), "AE": (2 / 6, 2 / 15, 2),
    "BC": (0.6, 3 / 16, 3), "BD": (2 / 6, 0.125, 2), "BE": (1 / 6, 1 / 12, 1),
    "CD": (0.6, 3 / 16, 3), "CE": (1 / 6, 1 / 12, 1), "DE": (0.4, 2 / 12, 2),
}  # fmt: skip


@pytest.mark.parametrize("threshold", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("function", [0, 1, 2])
def test_b_pairs(threshold, function):
    name = ("Jaccard", "Lift", "Cooccurrence")[function]
    found = matrix(support_threshold=threshold, similarity_function=name)
    for pair, values in PAIRS.items():
        i, j = ("ABCDE".index(item) for item in pair)
        expected = values[function] if values[2] >= threshold else 0
        assert found[i, j] == found[j, i] == pytest.approx(expected)


def test_b1_threshold_edge():
    found = matrix()
    assert found[0, 1] > 0 and found[1, 3] == 0


def test_b2_diagonal_edge():
    assert matrix()[4].tolist() == [0, 0, 0, 0, 1]
    assert matrix(similarity_function="Lift")[4, 4] == pytest.approx(1 / 3)
    assert matrix(similarity_function="Cooccurrence")[4, 4] == 3
    assert matrix(support_threshold=4)[4].tolist() == [0, 0, 0, 0, 0]


def test_b3_only_the_most_popular_is_left():
    assert matrix(support_threshold=5).nonzero() == (np.array([0]), np.array([0]))


def test_b4_repeats():
    rows = [(u, i, NOON) for u, items in {"u1": "ABC", "u2": "AB"}.items() for i in items]
    repeats = [("u1", "A", NOON + day * 86400) for day in (1, 2, 3)]
    once = model(interactions(rows), support_threshold=1).similarity.dense()
    again = model(interactions(rows + repeats), support_threshold=1).similarity.dense()
    assert once.tolist() == again.tolist()


def test_b5_diagonals():
    for name, expected in {
        "Cooccurrence": [5, 4, 4, 4, 3],
        "Lift": [0.2, 0.25, 0.25, 0.25, 1 / 3],
        "Jaccard": [1, 1, 1, 1, 1],
    }.items():
        assert np.diag(matrix(similarity_function=name)) == pytest.approx(expected)


# C: co-occurrence unit

VISITS = interactions(
    [
        (user, item, seconds(f"2017-{time}"))
        for user, item, time in [
            ("u1", "A", "04-01T10:00:00"), ("u1", "B", "04-01T10:00:00"),
            ("u1", "C", "04-02T09:00:00"), ("u2", "A", "04-01T10:00:00"),
            ("u2", "C", "04-01T10:00:00"), ("u3", "A", "04-03T00:00:00"),
            ("u3", "B", "04-03T00:00:01"), ("u4", "A", "04-05T08:00:00"),
            ("u4", "B", "04-05T08:00:00"), ("u4", "A", "04-06T08:00:00"),
            ("u4", "B", "04-06T08:00:00"),
        ]
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "occurrences", "counts", "jaccard"),
    [
        pytest.param("User", [4, 3, 2], [3, 2, 1], [0.75, 0.5, 0.25], id="C1"),
        pytest.param("Timestamp", [5, 4, 2], [3, 1, 0], [0.5, 1 / 6, 0], id="C2"),
    ],
)
def test_c_units(unit, occurrences, counts, jaccard):
    for name, expected in (("Cooccurrence", counts), ("Jaccard", jaccard)):
        trained = model(
            VISITS, support_threshold=1, cooccurrence_unit=unit, similarity_function=name
        )
        assert trained.occurrences.tolist() == occurrences
        found = trained.similarity.dense()
        assert [found[0, 1], found[0, 2], found[1, 2]] == pytest.approx(expected)


# D: affinity and decay


def decayed(latest, event, half_life=DAYS):
    events = Events.at(np.zeros(1, np.int64), seconds(event))
    reference = reference_time(seconds(latest), events, now=0.0)
    return reference, affinity(events, reference, half_life)[0]


@pytest.mark.parametrize(
    ("latest", "event", "half_life", "reference", "factor"),
    [
        pytest.param(
            "2017-03-31T12:00:00", "2017-03-31T12:00:00", 30, "2017-04-01", 0.9885140204, id="D1"
        ),
        pytest.param("2017-03-31T12:00:00", "2017-03-02T00:00:00", 30, "2017-04-01", 0.5, id="D2"),
        pytest.param(
            "2017-03-31T12:00:00", "2017-03-01T12:00:00", 30, "2017-04-01", 0.4942570102, id="D3"
        ),
        pytest.param("2017-03-31T12:00:00", "2017-01-31T00:00:00", 30, "2017-04-01", 0.25, id="D4"),
        pytest.param(
            "2017-03-31T12:00:00", "2017-03-02T00:00:00", 10, "2017-04-01", 0.125, id="D5"
        ),
        pytest.param(
            "2017-04-01T00:00:00", "2017-04-01T00:00:00", 30, "2017-04-02", 2 ** (-1 / 30), id="D6"
        ),
        pytest.param(
            "2017-04-01T12:00:00", "2017-05-10T09:00:00", 30, "2017-05-11", 0.985663199, id="D7"
        ),
    ],
)
def test_d_decay(latest, event, half_life, reference, factor):
    assert decayed(latest, event, half_life) == (
        seconds(reference), pytest.approx(factor, rel=1e-9),
    )  # fmt: skip


def test_d7_the_older_event():
    events = Events(
        np.zeros(2, np.int64),
        np.array([seconds("2017-05-10T09:00:00"), NOON]),
        np.ones(2),
    )
    reference = reference_time(NOON, events, now=0.0)
    assert affinity(events, reference, DAYS)[1] == pytest.approx(0.401461441, rel=1e-8)


def test_d8_sum():
    trained = model(enable_user_affinity=True, enable_backfilling=False)
    trained.latest = seconds("2017-03-31T12:00:00")
    events = [
        Event("A", seconds("2017-03-02T00:00:00"), "Purchase"),
        Event("A", seconds("2017-03-31T12:00:00"), "Click"),
        Event("B", seconds("2017-01-31T00:00:00"), weight=2.0),
    ]
    assert trained.recommend_items(events) == [
        ("C", pytest.approx(2.690811216)), ("D", pytest.approx(2.390811216)),
    ]  # fmt: skip
    trained = model(
        enable_user_affinity=True,
        enable_backfilling=False,
        allow_seed_items_in_recommendations=True,
    )
    trained.latest = seconds("2017-03-31T12:00:00")
    assert trained.recommend_items(events)[0] == ("A", pytest.approx(3.238514020))
    assert trained.recommend_items(events)[3] == ("B", pytest.approx(1.994257010))


def test_d9_weights():
    events = [Event("A", 0.0, "Purchase", 0.5), Event("A", 0.0, "Custom"), Event("A", 0.0)]
    assert Events.of(events, Vocabulary(["A"]), 0.0).weight.tolist() == [0.5, 1, 1]
    off = model(enable_backfilling=False)
    assert off.recommend_items(events)[0] == ("C", pytest.approx(2.4))


def test_row_46_a_clock_that_is_behind():
    future = Events.at(np.zeros(1, np.int64), seconds("2999-01-01T00:00:00"))
    assert affinity(future, seconds("2017-01-01T00:00:00"), DAYS)[0] == 1
    past = Events.at(np.zeros(1, np.int64), seconds("1901-01-01T00:00:00"))
    assert 0 <= affinity(past, seconds("2017-01-01T00:00:00"), DAYS)[0] < 1e-300
    assert reference_time(-1.0, past, now=0.0) == 0


# E: recommendations

ON, OFF = {}, {"enable_backfilling": False}
SEEDS = {"allow_seed_items_in_recommendations": True}
HISTORY = {"enable_user_to_item_recommendations": True}


def listed(text):
    return [
        (item, pytest.approx(float(score))) for item, score in map(str.split, text.split(", "))
    ] if text else []  # fmt: skip


@pytest.mark.parametrize(
    ("seed", "settings", "expected"),
    [
        pytest.param("A", ON, "C 0.8, D 0.8, B 0.5, E 0", id="E1"),
        pytest.param("A", OFF, "C 0.8, D 0.8, B 0.5", id="E2"),
        pytest.param("A", OFF | SEEDS, "A 1, C 0.8, D 0.8, B 0.5", id="E4"),
        pytest.param("B", ON, "C 0.6, A 0.5, D 0, E 0", id="E5"),
        pytest.param("E", ON, "A 0, B 0, C 0, D 0", id="E6"),
        pytest.param("E", OFF, "", id="E7"),
        pytest.param("E", SEEDS, "E 1, A 0, B 0, C 0, D 0", id="E8"),
        pytest.param("zzz", ON, "A 0, B 0, C 0, D 0, E 0", id="E9"),
        pytest.param("zzz", OFF, "", id="E10"),
        pytest.param("B", OFF | {"support_threshold": 4}, "", id="E20 off"),
        pytest.param("B", {"support_threshold": 4}, "A 0, C 0, D 0, E 0", id="E20 on"),
    ],
)
def test_e_items(seed, settings, expected):
    trained = model(**settings)
    assert trained.similar_items(seed) == listed(expected)
    assert trained.recommend_items([seed]) == listed(expected)


def test_e3_count():
    assert model().similar_items("A", 2) == listed("C 0.8, D 0.8")


@pytest.mark.parametrize(
    ("events", "user", "settings", "expected"),
    [
        pytest.param(["A", "B"], None, ON, "C 1.4, D 0.8, E 0", id="E11"),
        pytest.param(["A", "A"], None, OFF, "C 1.6, D 1.6, B 1.0", id="E12"),
        pytest.param([], "u7", HISTORY, "C 0.6, A 0.5, D 0, E 0", id="E13"),
        pytest.param(["A"], "u7", HISTORY, "C 1.4, D 0.8, E 0", id="E14"),
        pytest.param([], "u7", ON, "A 0, B 0, C 0, D 0, E 0", id="E15"),
        pytest.param([], "u99", HISTORY, "A 0, B 0, C 0, D 0, E 0", id="unknown user"),
        pytest.param([], None, OFF, "", id="no events"),
    ],
)
def test_e_users(events, user, settings, expected):
    assert model(**settings).recommend_items(events, user) == listed(expected)


PURCHASE = Event("A", NOON, "Purchase")


def test_e16_affinity():
    expected = "C 3.163244865, D 3.163244865, B 1.977028041, E 0"
    assert model(enable_user_affinity=True).recommend_items([PURCHASE]) == listed(expected)


def test_e17_two_events():
    events = [PURCHASE, Event("B", seconds("2017-03-02T12:00:00"), "Click")]
    trained = model(enable_user_affinity=True, enable_backfilling=False)
    assert trained.recommend_items(events) == listed("C 3.459799071, D 3.163244865")


def undecayed(**changes):
    return model(
        similarity_function="Cooccurrence",
        enable_user_affinity=True,
        decay_period_in_days=1e12,
        **changes,
    )


def test_e18_weights():
    events = [PURCHASE, Event("B", NOON, "Click")]
    assert undecayed(**OFF).recommend_items(events) == listed("C 19, D 16")
    assert undecayed(**OFF | SEEDS).recommend_items(events) == listed("A 23, C 19, B 16, D 16")


def test_e19_negative_scores_are_dropped():
    events = [Event("B", NOON, "Click"), Event("C", NOON, "RemoveShopCart")]
    assert undecayed().recommend_items(events) == listed("A 0, D 0, E 0")


def test_decision_19_case_is_preserved():
    assert model().similar_items("a") == model().similar_items("zzz")


def test_decision_21_item_to_item_does_not_decay():
    trained = model(enable_user_affinity=True)
    assert trained.similar_items("A") == listed("C 0.8, D 0.8, B 0.5, E 0")
