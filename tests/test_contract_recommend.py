"""GET and POST /recommend as the Seldon server's contract has it, word for word.

A real gunicorn, two real memcacheds with their keys placed as Java places them, and a reader as
strict as the server's.
"""

import json
import re
from contextlib import ExitStack
from urllib.parse import quote, urlencode

import pytest

from tests.memcache.values import java_place, put, put_ids, real_key
from tests.services.deployment import (
    CALL,
    Service,
    deploy,
    eventually,
    exchange,
    read_strictly,
    request,
    serving,
)
from tests.services.processes import free_port, memcached

pytestmark = [pytest.mark.service, pytest.mark.slow]
POPULAR = b'[{"item":9958,"score":4995.0},{"item":9957,"score":1.0E7},{"item":42,"score":3.0}]'
# The example of the old documentation, in its Python 3 spelling.
DOCUMENTED = """
import random

def init(mc, config):
    with mc.reserve() as client:
        client.set("initialised", "yes")

def get_recommendations(user_id, client, recent_interactions_list, data_set, limit):
    recommendations = {}
    for item in data_set:
        recommendations[item] = random.random()
    return recommendations
"""
SET_STYLE = """
def get_recommendations(user_id, client, recent, data_set, limit):
    assert data_set - set(recent) == set(data_set).difference(recent)
    return [(item, 1.0 / (1 + item)) for item in list(data_set)[:5000]]
"""
CATALOGUE = """
import numpy as np
def catalogue():
    return np.arange(100, 200)
def get_recommendations(user_id, client, recent, data_set, limit, item_id=None, dimensions=()):
    scores = data_set.ids.astype(float)
    if item_id is not None:
        scores[data_set.ids == item_id + 1] = 1e6
    if 7 in dimensions:
        scores = -scores
    return data_set.ids, scores
"""
CONFIG = """
RECOMMENDER_ALG = "example_alg"
RECOMMENDER_ALGS = {"shop": "documented", "sets": "set_style", "own": "catalogue"}
MAX_CANDIDATES = 50_000
"""
# No machine is so busy that a budget of these runs out.
PATIENT = {"CACHE_BUDGET_MS": "9000", "ALGORITHM_BUDGET_MS": "9000"}


class Seldon(Service):
    """The service together with the memcacheds that a Seldon server writes to."""

    memcacheds: list[int]

    def place(self, key: str) -> int:
        return self.memcacheds[java_place(key, len(self.memcacheds))]

    def put_ids(self, key: str, ids) -> str:
        put_ids(self.place(key), key, ids)
        return key

    def put(self, key: str, data: bytes, flags: int = 0) -> str:
        put(self.place(key), key, data, flags)
        return key

    def recommend(self, **parameters):
        fields = {"client": "test1", "user_id": 1, "limit": 30, **parameters}
        return self.get(f"/recommend?{urlencode(fields)}")

    def post(self, document, kind="application/json"):
        body = document if isinstance(document, (bytes, str)) else json.dumps(document)
        return request(self.port, "POST", "/recommend", body, {"Content-Type": kind})


@pytest.fixture(scope="module")
def seldon(tmp_path_factory):
    algorithms = {"documented": DOCUMENTED, "set_style": SET_STYLE, "catalogue": CATALOGUE}
    folder = deploy(tmp_path_factory.mktemp("seldon"), CONFIG, **algorithms)
    with ExitStack() as stack:
        ports = [stack.enter_context(memcached())[1] for _ in range(2)]
        servers = ",".join(f"127.0.0.1:{port}" for port in ports)
        service = stack.enter_context(serving(folder, MEMCACHE__servers=servers, **PATIENT))
        seldon = Seldon(service.port, service.process, service.log)
        seldon.memcacheds = ports
        yield seldon


def test_the_measured_request_with_all_eight_parameters(seldon):
    seldon.put_ids("k1", [16, 260, 5, 7])
    seldon.put_ids("k2", [5, 8])
    answer = seldon.get(
        "/recommend?client=a+b%26%C3%A9&user_id=1&recent_interactions=16%2C260&dimensions=0"
        "&exclusion_items=&data_key=k1%2Ck2&limit=30&item_id=260"
    )
    assert sorted(answer.items()) == [5, 7, 8, 16, 260]
    assert answer.headers["X-Candidates-Count"] == "5"


def test_the_call_of_the_documentation(seldon):
    seldon.put_ids("ce136f0d0fac274a7d353e672bf4b187", range(1, 101))
    answer = seldon.get(
        "/recommend?client=test1&user_id=1&recent_interactions=16,260&exclusion_items="
        "&data_key=ce136f0d0fac274a7d353e672bf4b187&limit=30"
    )
    pairs = read_strictly(answer)
    assert len(pairs) == 30
    scores = [score for _, score in pairs]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 1.0
    assert all(0 <= score <= 1 for score in scores)


@pytest.mark.parametrize("user_id", [-1, 1, 2**31, 2**63 - 1])
def test_known_and_unknown_users(seldon, user_id):
    """Row 30 of the fault table: an unknown user, no history, unknown items."""
    seldon.put_ids("users", [1, 2, 3])
    for recent in ("", "999999,888888"):
        answer = seldon.recommend(user_id=user_id, recent_interactions=recent, data_key="users")
        assert sorted(answer.items()) == [1, 2, 3]


@pytest.mark.parametrize("limit", [1, 2, 30, 1000, 5000])
def test_decision_11_limit(seldon, limit):
    key = seldon.put_ids(real_key("RecentItemsJSON:test1:0:2000"), range(5000, 3000, -1))
    assert len(seldon.recommend(data_key=key, limit=limit).items()) == min(limit, 1000)


@pytest.mark.parametrize("limit", [0, -1, "abc", ""])
def test_decision_11_a_limit_that_makes_no_sense(seldon, limit):
    answer = seldon.recommend(limit=limit)
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "limit" in answer.json()["parameters"]


def test_exclusions_are_never_recommended(seldon):
    key = seldon.put_ids("excluding", range(1, 60))
    for client in ("test1", "shop", "sets", "own"):
        answer = seldon.recommend(
            client=client, data_key=key, exclusion_items="5,17,1000,59", limit=100
        )
        assert sorted(answer.items()) == sorted(set(range(1, 60)) - {5, 17, 59})


def test_keys_that_java_placed_on_either_server_are_found(seldon):
    keys = [real_key(f"RecentItemsJSON:test{n}:0:200") for n in range(40)]
    assert {seldon.place(key) for key in keys} == set(seldon.memcacheds)
    for n, key in enumerate(keys):
        seldon.put_ids(key, [n, 1000 + n])
        assert sorted(seldon.recommend(data_key=key).items()) == [n, 1000 + n]


def test_the_most_popular_list_of_objects(seldon):
    key = seldon.put(real_key("PopularItemsJSON:test1:0:200"), POPULAR)
    assert sorted(seldon.recommend(data_key=key).items()) == [42, 9957, 9958]


def test_a_list_of_a_hundred_thousand(seldon):
    """More than MAX_CANDIDATES, here 50,000: the newest are read and a header tells."""
    key = seldon.put_ids(
        real_key("RecentItemsJSON:test1:0:100000"), range(9_100_000, 9_000_000, -1)
    )
    answer = seldon.recommend(data_key=key)
    assert len(answer.items()) == 30
    assert all(item > 9_050_000 for item in answer.items())
    assert answer.headers["X-Candidates-Cut"] == "1"
    assert answer.headers["X-Candidates-Count"] == "50000"


def test_the_next_request_sees_a_list_that_was_overwritten(seldon):
    for n in range(30):
        key = seldon.put_ids("overwritten", [100 + n, 500])
        for _ in range(3):
            assert sorted(seldon.recommend(data_key=key).items()) == [100 + n, 500]


def test_decision_07_a_key_with_nothing_under_it_is_an_empty_list(seldon):
    """Row 14. Never handed to an algorithm as "no restriction"."""
    for client in ("test1", "shop", "own"):
        answer = seldon.recommend(client=client, data_key="no-such-key")
        assert answer.items() == []
        assert answer.headers["X-Candidates-Source"] == "miss"


@pytest.mark.parametrize("value", [b"null", b"{}", b'["1"]', b"[NaN]", b"x", b"", b"[1.5]"])
def test_row_15_a_value_that_is_no_list_is_an_empty_list_too(seldon, value):
    before = seldon.metric("recommender_bad_candidate_lists_total")
    answer = seldon.recommend(client="own", data_key=seldon.put("broken", value))
    assert answer.items() == []
    assert answer.headers["X-Candidates-Source"] == "bad"
    assert seldon.metric("recommender_bad_candidate_lists_total") == before + 1


def test_row_16_a_pickle_is_never_run(seldon, tmp_path):
    canary = tmp_path / "canary"
    pickled = b"cos\nsystem\n(S'touch %s'\ntR." % str(canary).encode()
    for flags in (0, 1, 9, 16):
        assert seldon.recommend(data_key=seldon.put("pickled", pickled, flags)).items() == []
    assert not canary.exists()


def test_decision_08_no_data_key_means_the_algorithms_own_items(seldon):
    for query in ("client=own&user_id=1&limit=5", "client=own&user_id=1&limit=5&data_key="):
        answer = seldon.get(f"/recommend?{query}")
        assert answer.items() == [199, 198, 197, 196, 195]
        assert answer.headers["X-Candidates-Source"] == "catalogue"
        assert answer.headers["X-Candidates-Count"] == "100"


def test_decision_12_item_and_dimensions_go_to_who_asks_for_them(seldon):
    seldon.put_ids("few", [1, 2, 3])
    ask = {"client": "own", "data_key": "few"}
    assert seldon.recommend(**ask).items() == [3, 2, 1]
    assert seldon.recommend(**ask, item_id=1).items() == [2, 3, 1]
    assert seldon.recommend(**ask, dimensions="0,7").items() == [1, 2, 3]
    assert sorted(seldon.recommend(data_key="few", item_id=1, dimensions=7).items()) == [1, 2, 3]


def test_decision_13_a_bad_element_is_a_400_that_names_it(seldon):
    answer = seldon.recommend(exclusion_items="16,1_000", recent_interactions="x")
    assert answer.status == 400
    problem = answer.json()
    assert "'1_000'" in problem["parameters"]["exclusion_items"]
    assert "'x'" in problem["parameters"]["recent_interactions"]
    assert problem["status"] == 400
    assert problem["request_id"] == answer.headers["X-Request-Id"]


def test_row_05_a_key_runs_no_commands(seldon):
    seldon.put("canary", b"alive")
    for evil in ("x\r\nflush_all", "x\r\nset pwn 0 60 5\r\nPWNED", "a b", "k" * 251, "\0", "é"):
        answer = seldon.get(f"{CALL}&limit=5&data_key={quote(evil)}")
        assert answer.status == 400
        assert "data_key" in answer.json()["parameters"]
    for port in seldon.memcacheds:
        assert b"VALUE" not in exchange(port, b"get pwn\r\nquit\r\n")
    assert b"alive" in exchange(seldon.place("canary"), b"get canary\r\nquit\r\n")


def test_the_old_documentations_algorithm_in_two_settings(tmp_path):
    """`mc` has `reserve()`, the parameters have the old names, the answer is a dict."""
    with memcached() as (_, port):
        folder = deploy(
            tmp_path,
            'RECOMMENDER_ALG = "example_alg"\n'
            f'MEMCACHE = {{"servers": ["127.0.0.1:{port}"], "pool_size": 1}}\n',
            example_alg=DOCUMENTED,
        )
        put_ids(port, "k", range(100))
        with serving(folder, "-w", "1", "-k", "gthread", "--threads", "4", **PATIENT) as service:
            answer = service.get(f"{CALL}&data_key=k&limit=30")
            assert len(set(answer.items())) == 30
            assert b"yes" in exchange(port, b"get initialised\r\nquit\r\n")


def test_post_form_json_and_candidates(seldon):
    seldon.put_ids("posted", range(1, 50))
    fields = {"client": "own", "user_id": 1, "limit": 3, "data_key": "posted"}
    form = seldon.post(urlencode(fields), "application/x-www-form-urlencoded; charset=utf-8")
    assert form.items() == [49, 48, 47]
    assert seldon.post(fields).items() == [49, 48, 47]
    excluded = {**fields, "exclusion_items": list(range(40, 50)), "data_key": ["posted"]}
    assert seldon.post(excluded).items() == [39, 38, 37]
    given_here = {"client": "own", "user_id": -1, "limit": 5, "candidates": [3, 1, 2, 3]}
    answer = seldon.post(given_here)
    assert answer.items() == [3, 2, 1]
    assert answer.headers["X-Candidates-Source"] == "body"
    assert answer.headers["X-Candidates-Count"] == "3"
    assert seldon.post({**given_here, "candidates": []}).items() == []
    assert seldon.post({**given_here, "candidates": "9,8"}).items() == [9, 8]
    # in an address they would be a way around the list
    assert seldon.recommend(client="own", candidates="1,2", limit=1).items() == [199]
    long = {**given_here, "candidates": list(range(1_000_000, 1_100_000))}
    assert seldon.post(long).items() == list(range(1_099_999, 1_099_994, -1))


@pytest.mark.parametrize(
    ("document", "kind", "status"),
    [
        ("{}", "application/json", 400),
        ("[]", "application/json", 400),
        ("null", "application/json", 400),
        ("5", "application/json", 400),
        ("", "application/json", 400),
        ("{", "application/json", 400),
        ('{"user_id": NaN}', "application/json", 400),
        (b'{"client": "\xff"}', "application/json", 400),
        (b'{"client": "\\ud800", "user_id": 1, "limit": 1}', "application/json", 400),
        ("[" * 100_000 + "]" * 100_000, "application/json", 400),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "application/json", 400),
        (b"client=\xff&user_id=1&limit=1", "application/x-www-form-urlencoded", 400),
        (b"client=%ff&user_id=1&limit=1", "application/x-www-form-urlencoded", 400),
        ("client=a", "text/plain", 415),
        ("<xml/>", "application/xml", 415),
        ("{}", "", 415),
        ("{}", "application/json" * 500, 415),
        (b" " * (2**20 + 1), "application/json", 413),
        ("candidates=" + "1," * 600_000, "application/x-www-form-urlencoded", 413),
    ],
)
def test_row_06_bodies_that_are_no_query(seldon, document, kind, status):
    """Row 7 too: the wrong content type."""
    answer = seldon.post(document, kind)
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert len(answer.body) < 10_000


def test_row_06_of_a_repeated_field_one_counts(seldon):
    body = '{"client":"own","user_id":1,"limit":2,"candidates":[1],"candidates":[5,6]}'
    assert seldon.post(body).items() in ([6, 5], [1])
    form = "client=own&user_id=1&limit=2&candidates=5,6&candidates=1"
    assert seldon.post(form, "application/x-www-form-urlencoded").items() == [6, 5]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_row_07_other_methods_and_paths(seldon, method):
    answer = request(seldon.port, method, "/recommend")
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]
    for path in ("/", "/recommend/", "/recommend/x", "/Recommend", "/..%2f..%2fetc%2fpasswd"):
        answer = request(seldon.port, "GET", path)
        assert answer.status == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert b"etc" not in answer.body.replace(b"etc%", b"")


def test_row_07_head_and_options(seldon):
    seldon.put_ids("headed", [1, 2])
    head = request(seldon.port, "HEAD", f"{CALL}&data_key=headed&limit=5")
    assert (head.status, head.body) == (200, b"")
    assert request(seldon.port, "OPTIONS", "/recommend").headers["Allow"]
    # A body after HEAD would be taken for the next answer.
    line = f"{{}} {CALL}&data_key=headed&limit=5 HTTP/1.1\r\nHost: x\r\n{{}}\r\n"
    raw = line.format("HEAD", "") + line.format("OPTIONS", "") + line.format("HEAD", "")
    raw += line.format("GET", "Connection: close\r\n")
    received = exchange(seldon.port, raw.encode())
    assert received.count(b"HTTP/1.1 ") == 4
    assert received.count(b'"recommended"') == 1
    assert received.endswith(b"]}")


def test_the_answers_headers(seldon):
    seldon.put_ids("headers", [1, 2, 3])
    answer = seldon.get(f"{CALL}&data_key=headers&limit=5", **{"X-Request-Id": "abc-1.2_3"})
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Request-Id"] == "abc-1.2_3"
    assert re.fullmatch(r"example_alg/[0-9a-f]{12}", answer.headers["X-Recommender-Algorithm"])
    assert answer.headers["X-Candidates-Source"] in ("memcached", "cache")
    assert answer.headers["X-Candidates-Count"] == "3"
    timing = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers["Server-Timing"]))
    assert set(timing) == {"candidates", "algorithm", "total"}
    assert float(timing["total"]) < 30_000
    ids = {seldon.get(f"{CALL}&limit=5").headers["X-Request-Id"] for _ in range(20)}
    assert len(ids) == 20


@pytest.mark.parametrize(
    "evil", ["a b", "a\tb", "é", "a" * 65, "<script>", "a;b", "%0d%0aX: y", ""]
)
def test_row_08_a_request_id_is_taken_only_when_it_is_harmless(seldon, evil):
    answer = seldon.get(f"{CALL}&limit=5&client=x%0d%0aX-Evil:%201", **{"X-Request-Id": evil})
    assert re.fullmatch(r"[0-9a-f]+-[0-9a-f]+-[0-9a-f]+", answer.headers["X-Request-Id"])
    assert "X-Evil" not in answer.headers
    assert "X" not in answer.headers


def test_decision_09_memcached_that_cannot_be_asked(tmp_path):
    """503 inside the time budget, or the catalogue; catalogue mode works all the time."""
    folder = deploy(tmp_path, 'RECOMMENDER_ALG = "own"', own=CATALOGUE)
    nobody = f"127.0.0.1:{free_port()}"
    with serving(folder, "-w", "1", MEMCACHE__servers=nobody, **PATIENT) as service:
        for _ in range(3):
            answer = service.get(f"{CALL}&data_key=k&limit=3")
            assert answer.status == 503
            assert answer.headers["Retry-After"] == "1"
            assert "recommended" not in answer.json()
            assert nobody in answer.json()["detail"]
        assert service.metric("recommender_cache_failures_total") == 3
        assert service.get("/recommend?client=a&user_id=1&limit=2").items() == [199, 198]
        ready = service.get("/readyz")
        assert (ready.status, ready.json()["checks"]["memcached"]["ok"]) == (200, True)
    answers = {**PATIENT, "ON_CANDIDATE_FAILURE": "catalogue", "REQUIRE_CACHE": "true"}
    with serving(folder, "-w", "1", MEMCACHE__servers=nobody, **answers) as service:
        answer = service.get(f"{CALL}&data_key=k&limit=3")
        assert answer.items() == [199, 198, 197]
        assert answer.headers["X-Candidates-Source"] == "catalogue-fallback"
        eventually(lambda: service.get("/readyz").status == 503)
        assert service.get("/healthz").status == 200
