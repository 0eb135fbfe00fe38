"""The short way of recommend calls gives the answers of the long one."""

import json

import pytest
from flask import request_started

from seldon.errors import RegistryUnavailable
from seldon.models_api.recommend import query
from seldon.models_api.registry import ModelRegistry
from seldon.models_api.service import ModelsService
from tests.models_api.conftest import ADMIN, RECOMMEND, T7_CSV, UNKNOWN


@pytest.fixture
def model_id(client, train):
    client("PUT", "/api/inputs/shop/t7/usage.csv", data=T7_CSV.encode())
    model_id = client.create(supportThreshold=3).json["id"]
    train()
    return model_id


@pytest.fixture
def come_to_flask(app):
    """How many requests have come to Flask."""
    seen = []
    with request_started.connected_to(lambda *_, **__: seen.append(1), app):
        yield lambda: len(seen)


def test_plain_calls_do_not_come_to_flask_and_are_answered_alike(client, model_id, come_to_flask):
    before = come_to_flask()
    plain = [
        client("GET", f"/api/models/{model_id}/recommend?itemId=A", RECOMMEND),
        client("GET", "/api/models/default/recommend?itemId=A", RECOMMEND),
        client("GET", f"/API/models/{model_id.upper()}/Recommend?ITEMID=A", RECOMMEND),
        client("POST", f"/api/models/{model_id}/recommend", RECOMMEND, json=[{"itemId": "A"}]),
    ]
    assert come_to_flask() == before
    odd = [
        client("GET", f"/api/models/{{{model_id}}}/recommend?itemId=A", RECOMMEND),
        client("GET", f"/api/models/{model_id}/recommend/?itemId=A", RECOMMEND),
        client(
            "POST",
            f"/api/models/{model_id}/recommend",
            RECOMMEND,
            data=b'[{"itemId": "A"}]',
            content_type="text/json",
        ),
    ]
    assert come_to_flask() == before + len(odd)
    first = plain[0]
    assert [entry["recommendedItemId"] for entry in first.json] == ["C", "D", "B", "E"]
    for answer in (*plain, *odd):
        assert (answer.status_code, answer.data) == (200, first.data)
        assert set(answer.headers.keys()) == {"Content-Type", "Content-Length", "X-Request-Id"}
        assert answer.content_type == "application/json; charset=utf-8"


def test_the_request_id_is_the_callers(client, model_id):
    headers = {"X-Request-Id": "shop-7"}
    for path in ("default/recommend?itemId=A", "default/recommend"):
        answer = client("GET", f"/api/models/{path}", RECOMMEND, headers=headers)
        assert answer.headers["X-Request-Id"] == "shop-7"


def test_answers_are_counted_by_route(client, model_id):
    def counted():
        lines = client("GET", "/metrics").text.splitlines()
        wanted = 'recommender_requests_total{client="other",route="/api/models/<modelId>/recommend"'
        return {
            line.rpartition('status="')[2][:3]: float(line.split()[-1])
            for line in lines
            if line.startswith(wanted)
        }

    before = counted()
    path = f"/api/models/{model_id}/recommend"
    for query_string, key in (("itemId=A", RECOMMEND), ("", RECOMMEND), ("itemId=A", "wrong")):
        client("GET", f"{path}?{query_string}", key)
    grown = {status: count - before.get(status, 0) for status, count in counted().items()}
    assert {"200": 1, "400": 1, "401": 1}.items() <= grown.items()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_fails_is_not_tried_twice(client, monkeypatch, method):
    asked = []

    def fails(*_):
        asked.append(1)
        raise RegistryUnavailable("gone")

    monkeypatch.setattr(ModelRegistry, "status", fails)
    answer = client(method, f"/api/models/{UNKNOWN}/recommend?itemId=A", RECOMMEND, json=[])
    assert answer.status_code == 503 and answer.headers["Retry-After"] == "5"
    assert len(asked) == 1


def test_an_unforeseen_error_is_answered_as_everywhere(client, monkeypatch):
    def fails(*_):
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(ModelsService, "recommender", fails)
    answer = client("POST", f"/api/models/{UNKNOWN}/recommend", ADMIN, json=[])
    assert answer.status_code == 500 and answer.json["ExceptionMessage"] == "unforeseen"
    answer = client("POST", f"/api/models/{UNKNOWN}/recommend", RECOMMEND, json=[])
    assert answer.status_code == 500 and answer.data == b""


@pytest.mark.parametrize("length", ["", "-1", "x", "²", "99999999999999"])
def test_odd_lengths_are_flasks_business(client, model_id, length):
    answer = client(
        "POST",
        f"/api/models/{model_id}/recommend",
        RECOMMEND,
        data=json.dumps([]),
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": length},
    )
    assert answer.status_code in (200, 400, 413)


def test_a_body_that_breaks_off_is_refused(client, model_id):
    answer = client(
        "POST",
        f"/api/models/{model_id}/recommend",
        RECOMMEND,
        data=b'[{"itemId": "A"}',
        content_type="application/json",
        environ_overrides={"CONTENT_LENGTH": "100"},
    )
    assert answer.status_code == 400 and list(answer.json) == ["Message"]


@pytest.mark.parametrize("kind", ["application/jsonp", "text/plain", ""])
def test_other_media_types_are_refused(client, kind):
    path = f"/api/models/{UNKNOWN}/recommend"
    answer = client("POST", path, RECOMMEND, data=b"[]", content_type=kind)
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("itemId=a&ITEMID=b", {"itemid": "a"}),
        ("itemId=&userId=%20x+y", {"itemid": "", "userid": " x y"}),
        ("itemId=%E6%97%A5%ff", {"itemid": "日\N{REPLACEMENT CHARACTER}"}),
        ("itemId=\xe6\x97\xa5", {"itemid": "日"}),
        ("itemId", {"itemid": ""}),
        ("", {}),
    ],
)
def test_queries(text, expected):
    assert query({"QUERY_STRING": text}) == expected
