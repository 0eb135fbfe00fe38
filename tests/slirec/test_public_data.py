"""The public pipeline's own output on its public data."""

import json
from dataclasses import replace

import numpy as np
import pytest

from seldon.slirec.candidate_files import read_candidates
from seldon.slirec.dataset import split, with_own_categories
from seldon.slirec.evaluation import BASELINES, judged
from seldon.slirec.events import read_events
from tests.shared_data import shared_file

pytestmark = pytest.mark.shared_data


def inventory_categories():
    """Of each handle; the later listing where there are two."""
    document = json.loads(shared_file("shopify/inventory.json").read_text(encoding="utf-8"))
    return {
        product["handle"]: category
        for category, products in document["categories"].items()
        for product in products
    }


@pytest.fixture(scope="module")
def dataset():
    events = read_events(shared_file("shopify/interactions.tsv.gz"))
    made = split(events, item_categories=inventory_categories())
    for part in ("valid", "test"):
        path = shared_file(f"shopify/{part}-candidates.tsv.gz")
        made = replace(made, **{part: read_candidates(path, made, part)})
    return made


def test_vocabularies_are_numbered_as_the_public_pipeline_does(dataset):
    expected = json.loads(shared_file("shopify/vocabulary.json").read_text(encoding="utf-8"))
    for name in ("items", "categories", "users"):
        assert list(getattr(dataset.vocabulary, name)) == expected[name]


def test_as_many_examples_as_the_public_pipeline_expands(dataset):
    assert len(dataset.train_positions()) == 70_972


def test_a_positive_gives_itself_away_by_its_category(dataset):
    previous = dataset.category[dataset.test.position - 1]
    assert np.array_equal(dataset.test.category[:, 0], previous)
    found = judged("rule", BASELINES["previous category"](dataset, dataset.test), resamples=2)
    assert found.metrics["auc"] == pytest.approx(0.956, abs=0.001)


def test_rules_without_a_network_are_strong_here(dataset):
    own = with_own_categories(dataset.test, dataset.vocabulary)
    for groups, least in ((dataset.test, 0.97), (own, 0.96)):
        scores = BASELINES["similarity and category"](dataset, groups)
        found = judged("both", scores, probabilities=False, resamples=2)
        assert found.metrics["auc"] > least
    scores = BASELINES["item similarity"](dataset, dataset.test)
    found = judged("similarity", scores, probabilities=False, resamples=2)
    assert found.metrics["auc"] > 0.937
