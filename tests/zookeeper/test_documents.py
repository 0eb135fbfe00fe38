"""What a Seldon server takes and refuses; each case is one line of its reader's behaviour."""

import copy
import json
import sys
from decimal import Decimal

import pytest

from seldon.errors import InvalidParameter
from seldon.zookeeper import documents
from seldon.zookeeper.__main__ import main
from seldon.zookeeper.checks import (
    check_algorithm_config,
    check_rectags,
    check_url,
    check_variations,
)
from seldon.zookeeper.documents import (
    algorithm,
    algorithm_config,
    read_document,
    variations,
    write_document,
)

GOOD_URL = "http://recommender:5000/recommend"


def service(url=GOOD_URL, **config):
    options = {documents.URL: url, documents.NAME: "ours", documents.ITEMS_PER_INCLUDER: 1000}
    return algorithm_config(
        [algorithm(documents.EXTERNAL, {**options, **config}, ["recentItemsIncluder"])]
    )


def changed(path, value):
    """A good document with the value at `path` replaced, or removed where it is ``...``."""
    document = copy.deepcopy(service())
    place = document
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return document


def test_the_documented_example_is_accepted():
    """The documentation of the pluggable algorithms shows this node, number and all."""
    text = """{"algorithms": [{"config": [
        {"name": "io.seldon.algorithm.inclusion.itemsperincluder", "value": 100000},
        {"name": "io.seldon.algorithm.external.url", "value": "http://127.0.0.1:5000/recommend"},
        {"name": "io.seldon.algorithm.external.name", "value": "example_alg"}],
        "filters": [], "includers": ["recentItemsIncluder"],
        "name": "externalItemRecommendationAlgorithm"}], "combiner": "firstSuccessfulCombiner"}"""
    assert check_algorithm_config(read_document(text)) == []


def test_a_built_document_is_what_the_server_reads():
    document = json.loads(write_document(service()))
    assert document == {
        "algorithms": [
            {
                "name": "externalItemRecommendationAlgorithm",
                "includers": ["recentItemsIncluder"],
                "filters": [],
                "config": [
                    {"name": "io.seldon.algorithm.external.url", "value": GOOD_URL},
                    {"name": "io.seldon.algorithm.external.name", "value": "ours"},
                    {"name": "io.seldon.algorithm.inclusion.itemsperincluder", "value": "1000"},
                ],
            }
        ],
        "combiner": "firstSuccessfulCombiner",
    }
    assert check_algorithm_config(document) == []


FIRST = ("algorithms", 0)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("tag",), "x", "algs has the field 'tag', which the server refuses"),
        (("_comment",), "x", "which the server refuses"),
        (("algorithm",), [], "did you mean 'algorithms'?"),
        (("algorithms",), ..., "algs lacks 'algorithms'"),
        (("algorithms",), [], "algs.algorithms is empty"),
        (("algorithms",), {}, "algs.algorithms={} must be a list"),
        (("combiner",), ..., "algs lacks 'combiner'"),
        (("combiner",), "firstSuccessfullCombiner", "did you mean 'firstSuccessfulCombiner'?"),
        (("combiner",), "x", "known are firstSuccessfulCombiner, rankSumCombiner, scoreOrder"),
        (("diversityLevel",), 0, "diversityLevel=0 must be above 0"),
        (("diversityLevel",), True, "diversityLevel=True must be a number"),
        (("actionWeights",), [{"type": "buy", "value": 1}], "type='buy' must be a whole number"),
        (("actionWeights",), [{"type": "1"}], r"actionWeights\[0\] lacks 'value'"),
        ((*FIRST, "name"), "externalItemRecommender", "did you mean 'externalItemRecommendationAl"),
        ((*FIRST, "name"), "../../etc/passwd", "is unknown to the server"),
        ((*FIRST, "name"), ..., r"algs.algorithms\[0\] lacks 'name'"),
        ((*FIRST, "includers"), [], "without one the server never calls the service"),
        ((*FIRST, "includers"), None, "without one the server never calls the service"),
        ((*FIRST, "includers"), ["recentItemIncluder"], "did you mean 'recentItemsIncluder'?"),
        ((*FIRST, "includers"), ["explicitItemsIncluder"], "the server uses explicitItemsInclud"),
        ((*FIRST, "filters"), ["tagaffinityfilter"], "did you mean 'tagAffinityFilter'?"),
        ((*FIRST, "filters"), "tagAffinityFilter", "must be a list"),
        ((*FIRST, "config"), {documents.URL: GOOD_URL}, 'must be a list of {"name": …, "value": …'),
        ((*FIRST, "config"), [], "has no io.seldon.algorithm.external.url"),
        ((*FIRST, "config", 0, "value"), "https://a:1/recommend", "must start with http://"),
        ((*FIRST, "config", 0, "value"), None, r"config\[0\] lacks 'value'"),
        ((*FIRST, "config", 0, "value"), " ", "must be a text"),
        ((*FIRST, "config", 0, "value"), ["x"], "must be a text"),
        ((*FIRST, "config", 0, "tag"), "x", "which the server refuses"),
        ((*FIRST, "config", 1, "name"), documents.URL, "is given twice"),
        (
            (*FIRST, "config", 1, "name"),
            "io.seldon.algorithm.external.nam",
            "did you mean 'io.seldon.algorithm.external.name'?",
        ),
        ((*FIRST, "config", 2, "value"), "many", "itemsperincluder='many' must be a whole number"),
        ((*FIRST, "config", 2, "value"), 0, "must be a whole number from 1 up"),
        ((*FIRST, "config", 2, "value"), 1.5, "must be a whole number from 1 up"),
        ((*FIRST, "config", 2, "value"), 2**31, "must be a whole number from 1 up"),
    ],
)
def test_what_the_server_refuses_is_not_written(path, value, message):
    with pytest.raises(InvalidParameter, match=message.replace("?", r"\?").replace("{}", r"\{\}")):
        check_algorithm_config(changed(path, value))


@pytest.mark.parametrize("document", [[], "x", None, 3])
def test_only_objects_are_strategies(document):
    with pytest.raises(InvalidParameter, match="must be an object"):
        check_algorithm_config(document)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', '{"a": NaN}', "[" * 100_000, b"\xff\xfe{}", "{'a': 1}"]
)
def test_row_52_text_that_is_no_document(text):
    with pytest.raises(InvalidParameter, match="not a JSON"):
        read_document(text)


def test_another_algorithm_needs_no_includer_and_no_url():
    document = algorithm_config([algorithm("recentItemsRecommender")], "rankSumCombiner", 2.0)
    assert check_algorithm_config(document) == []


def test_too_long_lists_get_advice():
    (advice,) = check_algorithm_config(service(**{documents.ITEMS_PER_INCLUDER: 140_000}))
    assert "140000 items of recentItemsIncluder exceed 1 MiB" in advice


@pytest.mark.parametrize(
    "url",
    [
        GOOD_URL,
        "http://10.0.0.1:5000/recommend",
        "http://[::1]:5000/recommend",
        "http://a-b.example.org:80/v1/recommend",
        "http://1host:5000/recommend",
        "HTTP://Host:5000/recommend",
    ],
)
def test_addresses_that_the_server_calls(url):
    assert check_url(url) == []


def test_a_missing_port_is_worth_a_note():
    (advice,) = check_url("http://recommender/recommend")
    assert "names no port, the server will call port 80" in advice


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("recommender:5000/recommend", "must start with http://"),
        ("https://recommender:5000/recommend", "must start with http://"),
        ("file:///etc/passwd", "must start with http://"),
        ('"http://localhost:9000"', "must start with http://"),
        (GOOD_URL + "?model=a", "drops everything from"),
        (GOOD_URL + "?", "drops everything from"),
        (GOOD_URL + "#x", "drops everything from"),
        ("http://u:p@recommender:5000/recommend", "drops a user name"),
        # Java's URI finds no host in these, and the server then calls nothing.
        ("http://my_service:5000/recommend", r"no host for the server; .* \(no '_'\)"),
        ("http://a_b.example.org/recommend", "no host"),
        ("http://h-:5000/recommend", "no host"),
        ("http://host.1a/recommend", "no host"),
        ("http://256.1.1.1/recommend", "no host"),
        ("http://höst/recommend", "no host"),
        ("http:///recommend", "no host"),
        ("http://:5000/recommend", "no host"),
        ("http://recommender:0/recommend", "port 0"),
        ("http://recommender:65536/recommend", "Port out of range"),
        ("http://recommender:x/recommend", "Port could not be cast"),
        ("http://recommender:5000", "has no path"),
        ("http://recommender:5000/", "has no path"),
        ("http://recommender:5000/a b", "the path may hold"),
        ("http://recommender:5000/%zz", "the path may hold"),
        ("http://[::1:5000/recommend", "Invalid IPv6"),
    ],
)
def test_row_51_addresses_that_the_server_would_not_call(url, message):
    with pytest.raises(InvalidParameter, match=message):
        check_url(url)


def shares(*ratios):
    return variations([(f"v{n}", Decimal(ratio), service()) for n, ratio in enumerate(ratios)])


@pytest.mark.parametrize("ratios", [["1"], ["0.5", "0.5"], ["0.1"] * 10, ["0.7", "0.2", "0.1"]])
def test_ratios_that_add_up(ratios):
    assert check_variations(read_document(write_document(shares(*ratios)))) == []


@pytest.mark.parametrize(
    ("ratios", "message"),
    [
        (["0.5", "0.4"], "add up to 0.9, they must add up to 1"),
        (["0.5", "0.5", "0.01"], "add up to 1.01"),
        (["0.3333"] * 3, "add up to 0.9999"),
        (["0", "1"], "ratio=0.0 must be from 0.01 to 1"),
        (["-0.5", "1.5"], "must be from 0.01 to 1"),
        ([], "add up to 0"),
    ],
)
def test_ratios_that_do_not(ratios, message):
    with pytest.raises(InvalidParameter, match=message):
        check_variations(read_document(write_document(shares(*ratios))))


def test_ratios_as_text_and_in_parts_of_a_percent():
    document = shares("0.5", "0.5")
    document["variations"][0]["ratio"] = "0.505"
    document["variations"][1]["ratio"] = 0.495
    assert all("whole percents" in advice for advice in check_variations(document))


def test_labels_must_differ():
    document = shares("0.5", "0.5")
    document["variations"][1]["label"] = "v0"
    with pytest.raises(InvalidParameter, match="must differ"):
        check_variations(document)


def test_rectags_take_both_kinds_of_strategy():
    document = {"defaultStrategy": shares("1"), "recTagToStrategy": {"home": service()}}
    assert check_rectags(document) == []
    document["recTagToStrategy"]["cart"] = changed(("combiner",), "x")
    with pytest.raises(InvalidParameter, match=r"recTagToStrategy\['cart'\].combiner='x'"):
        check_rectags(document)
    del document["recTagToStrategy"]  # the server ends with a NullPointerException
    with pytest.raises(InvalidParameter, match="lacks 'recTagToStrategy'"):
        check_rectags(document)


def test_row_65_without_kazoo_the_extra_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "kazoo.client", None)
    assert main(["show"]) == 1
    assert "pip install 'seldon-recommender[zookeeper]'" in capsys.readouterr().err
    assert main(["publish", "--client", "a", "--url", GOOD_URL, "--dry-run"]) == 0
