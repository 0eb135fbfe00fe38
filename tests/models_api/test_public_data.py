"""Cases J of the API's contract through HTTP: the public sample files and what they must give."""

import shutil

import pytest

from tests.item_rankings import ITEM_RANKINGS
from tests.shared_data import shared_file

pytestmark = pytest.mark.shared_data

USER = "0003000098E85347"
PERSONAL = {"enableUserAffinity": True, "enableUserToItemRecommendations": True}
EVENTS = [  # those of USER: item, time, and a weight for J12
    ("DQF-00358", "2015-06-09T19:39:37", 1),
    ("DAF-00448", "2015-03-06T09:08:24", 2),
    ("DQF-00248", "2015-03-06T09:08:24", 3),
    ("DAF-00416", "2014-12-26T20:22:18", 1),
    ("DQF-00248", "2014-12-26T20:22:18", 2),
    ("DQF-00248", "2014-12-21T07:40:39", 2),
]


@pytest.fixture
def model(client, train, place):
    """Id of a model of the public files with support threshold 3, its statistics checked (J1)."""
    demo = shared_file("product-recommendations-demo/demoUsage.csv").parent
    for name in ("demoUsage.csv", "demoCatalog.csv"):
        shutil.copyfile(demo / name, place.inputs.root / "shop" / name)

    def model(**parameters):
        answer = client.create(
            usageRelativePath="demoUsage.csv",
            catalogFileRelativePath="demoCatalog.csv",
            enableColdItemPlacement=True,
            **{"supportThreshold": 3, **parameters},
        )
        train()
        trained = client("GET", f"/api/models/{answer.json['id']}").json
        statistics = trained["statistics"]
        for report, total in (("usageEventsParsing", 11_838), ("catalogParsing", 101)):
            assert statistics[report]["totalLinesCount"] == total
            assert statistics[report]["successfulLinesCount"] == total
            assert "errors" not in statistics[report]
        assert statistics["numberOfUsers"] == 2343
        assert statistics["numberOfUsageItems"] == statistics["numberOfCatalogItems"] == 101
        assert statistics["catalogCoverage"] == 1.0
        assert "catalogFeatureWeights" not in statistics
        return trained["id"]

    return model


def pairs(text):
    """As the contract writes them, in lower case; here ids keep theirs."""
    found = (entry.split() for entry in text.split(", "))
    return [
        (item.upper(), pytest.approx(float(score), rel=1e-8, abs=1e-10)) for item, score in found
    ]


@pytest.mark.parametrize("case", ITEM_RANKINGS)
def test_j5_to_j8_items(client, model, case):
    item, similarity, text = ITEM_RANKINGS[case]
    parameters = {"similarityFunction": similarity} if similarity else {}
    expected = pairs(text)
    path = f"/api/models/{model(**parameters)}/recommend?itemId={item}"
    assert client.ranked(f"{path}&recommendationCount={len(expected)}") == expected


def test_j6_at_the_default_threshold(client, model):
    model_id = model(supportThreshold=6, enableBackfilling=False)
    ranked = client.ranked(f"/api/models/{model_id}/recommend?itemId=DAF-00396")
    names = ["DAF-00420", "DAF-00450", "DAF-00288", "DAF-00448", "DQF-00248"]
    assert [item for item, _ in ranked] == names
    assert ranked[4:] == pairs("dqf-00248 0.0257589696")


def test_j9_j10_j13_history(client, model):
    path = f"/api/models/{model(**PERSONAL)}/recommend"
    events = [{"itemId": item, "timestamp": time} for item, time, _ in EVENTS]

    def ranked(user, count, body=()):
        query = f"?userId={user}&recommendationCount={count}"
        return client.ranked(path + query, method="POST", json=list(body))

    nine = "dqf-00362 0.0613787275, daf-00288 0.0489749751, dhf-01530 0.0422977814"
    assert ranked(USER, 3) == pairs(nine)
    assert ranked(USER.lower(), 3) != pairs(nine)  # ids keep their case, also those of users
    assert ranked(USER, 1, events) == pairs("dqf-00362 0.1227574551")
    assert ranked("00010DC74C33EC42", 10) == pairs(
        "dhf-00905 0.0622338891, dhf-01080 0.0607010347, dhf-00894 0.0444527779, "
        "dhf-00890 0.0410112725, dhf-00907 0.0083825238, dqf-00248 0, daf-00349 0, "
        "daf-00288 0, dhf-01530 0, daf-00448 0"
    )


def test_j11_without_affinity(client, model):
    path = f"/api/models/{model(enableUserToItemRecommendations=True)}/recommend"
    ranked = client.ranked(f"{path}?userId={USER}&recommendationCount=3", method="POST", json=[])
    assert ranked == pairs("daf-00349 0.7070470892, daf-00288 0.6406472995, daf-00419 0.3594932416")


def test_j12_weighted_events(client, model):
    model_id = model(similarityFunction="Cooccurrence", enableUserAffinity=True)
    events = [
        {"itemId": item, "timestamp": time, "weight": weight} for item, time, weight in EVENTS
    ]
    path = f"/api/models/{model_id}/recommend?recommendationCount=3"
    assert client.ranked(path, method="POST", json=events) == pairs(
        "daf-00349 106.6551145611, daf-00288 98.2343398358, daf-00419 44.9868329633"
    )
