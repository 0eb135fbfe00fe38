"""The acceptance cases I1 to I25 of the API's contract, and the cases E through HTTP."""

import json
import logging
import re
import sqlite3
import uuid
from datetime import datetime

import pytest

from seldon.errors import InvalidSetting
from seldon.models_api.registry import ModelRegistry
from tests.models_api.conftest import ADMIN, ADMIN_2, BOTH_DATABASES, RECOMMEND, RECOMMEND_2, T7_CSV
from tests.services.processes import ROOT

UNKNOWN = "0b8f2c1e-6f0e-4d53-9a55-0c7e8f1d2a34"
NOT_COMPLETED = "Model must be in the 'Completed' status before getting recommendation"
JSON = "application/json; charset=utf-8"


def empty(answer, status):
    return answer.status_code == status and answer.data == b""


def message(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.content_type == JSON
    assert list(answer.json) == ["Message"]
    return answer.json["Message"]


@pytest.fixture
def trained(client, train):
    """Id of a completed model of T7 with support threshold 3."""

    def trained(**parameters):
        answer = client.create(supportThreshold=3, **parameters)
        assert answer.status_code == 201, answer.text
        train()
        model = client("GET", f"/api/models/{answer.json['id']}").json
        assert model["modelStatus"] == "Completed", model
        return model["id"]

    return trained


def failed(client, train):
    """Id of a model that failed."""
    client("PUT", "/api/inputs/shop/bad/usage.csv", data=b"no events here")
    model_id = client.create(usageRelativePath="bad").json["id"]
    train()
    return model_id


def test_i1_no_key(client):
    answer = client("GET", "/api/models", key=None)
    assert empty(answer, 401) and "WWW-Authenticate" not in answer.headers


def test_i2_recommend_keys_do_not_manage(client):
    for key in (RECOMMEND, RECOMMEND_2):
        assert empty(client("GET", "/api/models", key=key), 401)


def test_i3_the_secondary_admin_key_and_no_models(client):
    answer = client("GET", "/api/models", key=ADMIN_2)
    assert (answer.status_code, answer.data) == (200, b"[]")
    assert answer.content_type == JSON


@BOTH_DATABASES
def test_i4_a_minimal_body(client):
    answer = client.create()
    assert answer.status_code == 201
    model = answer.json
    assert answer.headers["Location"].endswith(f"/api/models/{model['id']}")
    assert answer.headers["Location"].startswith("http://")
    assert set(model) == {"id", "creationTime", "modelStatus", "parameters"}
    assert str(uuid.UUID(model["id"])) == model["id"]
    assert model["modelStatus"] == "Created"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?Z", model["creationTime"])
    assert model["parameters"] == {
        "blobContainerName": "shop",
        "usageRelativePath": "t7/usage.csv",
        "supportThreshold": 6,
        "cooccurrenceUnit": "User",
        "similarityFunction": "Jaccard",
        "enableColdItemPlacement": False,
        "enableColdToColdRecommendations": False,
        "enableUserAffinity": False,
        "enableUserToItemRecommendations": False,
        "allowSeedItemsInRecommendations": False,
        "enableBackfilling": True,
        "decayPeriodInDays": 30,
    }
    assert None not in model.values()


def test_i5_two_mistakes_at_once(client):
    answer = client.create(supportThreshold=2, description="x" * 257)
    assert answer.status_code == 400
    assert answer.json == {
        "Message": "The request is invalid.",
        "ModelState": {
            "modelParameters.SupportThreshold": [
                "The field supportThreshold must be between 3 and 50."
            ],
            "modelParameters.Description": [
                "The field description must be a string with a maximum length of 256."
            ],
        },
    }
    assert client("GET", "/api/models").json == []


def test_i6_the_edges_of_the_support_threshold(client):
    statuses = [client.create(supportThreshold=n).status_code for n in (3, 50, 51)]
    assert statuses == [201, 201, 400]


def test_i7_an_unknown_unit(client):
    answer = client.create(cooccurrenceUnit="User12")
    assert answer.status_code == 400
    (said,) = answer.json["ModelState"]["modelParameters.cooccurrenceUnit"]
    assert said.startswith("Error converting value \"User12\" to type 'CooccurrenceUnit'.")


def test_i8_an_empty_object(client):
    answer = client("POST", "/api/models", json={})
    assert answer.status_code == 400
    assert answer.json["ModelState"] == {
        "modelParameters.BlobContainerName": ["The blobContainerName field is required."],
        "modelParameters.UsageRelativePath": ["The usageRelativePath field is required."],
    }


@pytest.mark.parametrize("body", [b"[", b"", b"null"])
def test_i9_a_body_that_is_no_object(client, body):
    answer = client("POST", "/api/models", data=body, content_type="application/json")
    assert message(answer, 400) == "Invalid format. Expected a valid 'ModelParameters' JSON"


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_i10_other_media_types(client, media_type):
    answer = client("POST", "/api/models", data=b"{}", content_type=media_type)
    assert "is not supported for this resource." in message(answer, 415)


def test_text_json_is_json(client):
    answer = client("POST", "/api/models", data=b"[", content_type="text/json; charset=utf-8")
    assert answer.status_code == 400


def test_i11_cold_items_need_a_catalog(client):
    answer = client.create(enableColdItemPlacement=True)
    assert answer.status_code == 400
    assert answer.json["ModelState"] == {
        "modelParameters.CatalogFileRelativePath": [
            "catalogFileRelativePath is required since enableColdItemPlacement value is true."
        ]
    }


def test_i12_a_catalog_that_is_not_needed_may_be_missing(client, train):
    answer = client.create(catalogFileRelativePath="nowhere.csv", supportThreshold=3)
    assert answer.status_code == 201
    train()
    model = client("GET", f"/api/models/{answer.json['id']}").json
    assert model["modelStatus"] == "Completed"
    assert "catalogParsing" not in model["statistics"]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_i13_an_id_that_is_no_guid(client, method):
    assert message(client(method, "/api/models/not-a-guid"), 400) == "modelId is not valid"


def test_default_is_an_id_where_the_reference_has_no_such_operation(client):
    assert message(client("DELETE", "/api/models/default"), 400) == "modelId is not valid"


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_i14_an_unknown_id(client, method):
    assert empty(client(method, f"/api/models/{UNKNOWN}"), 404)


@BOTH_DATABASES
def test_i15_a_model_that_is_not_trained(client, train):
    waiting = client.create().json["id"]
    for method in ("GET", "POST"):
        answer = client(method, f"/api/models/{waiting}/recommend?itemId=a")
        assert message(answer, 400) == NOT_COMPLETED
    client("DELETE", f"/api/models/{waiting}")
    broken = failed(client, train)
    answer = client("GET", f"/api/models/{broken}/recommend?itemId=a")
    assert message(answer, 400) == NOT_COMPLETED


@pytest.mark.parametrize("count", ["0", "101", "-1", "abc"])
@pytest.mark.parametrize("path", [UNKNOWN, "default"])
def test_i16_counts_out_of_range(client, count, path):
    for method in ("GET", "POST"):
        answer = client(
            method, f"/api/models/{path}/recommend?itemId=a&recommendationCount={count}"
        )
        assert message(answer, 400) == "recommendationCount must be between 1 and 100"


def test_i17_counts_in_range(client, trained):
    path = f"/api/models/{trained()}/recommend?itemId=A"
    assert len(client.ranked(f"{path}&recommendationCount=1")) == 1
    assert len(client.ranked(f"{path}&recommendationCount=100")) == 4


@BOTH_DATABASES
def test_i18_the_first_model_to_complete_is_the_default(client, trained):
    assert empty(client("GET", "/api/models/default"), 404)
    first = trained()
    trained()
    answer = client("GET", "/api/models/default")
    assert answer.status_code == 200
    assert answer.json == client("GET", f"/api/models/{first}").json


@BOTH_DATABASES
def test_i19_only_completed_models_become_the_default(client, trained, train):
    first = trained()
    for wanted in (failed(client, train), UNKNOWN):
        assert empty(client("PUT", f"/api/models/default?modelId={wanted}"), 404)
    assert client("GET", "/api/models/default").json["id"] == first


@pytest.mark.parametrize("query", ["", "?modelId=", "?modelId=7"])
def test_setting_a_default_that_is_no_guid(client, query):
    answer = client("PUT", f"/api/models/default{query}")
    assert message(answer, 400) == "modelId is not valid"


@BOTH_DATABASES
def test_i20_another_default(client, trained):
    trained()
    second = trained(similarityFunction="Lift")
    answer = client("PUT", f"/api/models/default?modelId={{{second.upper()}}}")
    assert empty(answer, 200)
    assert client("GET", "/api/models/default").json["id"] == second
    lists = [
        client.ranked(f"/api/models/{name}/recommend?itemId=A") for name in ("default", second)
    ]
    assert lists[0] == lists[1] != []


@BOTH_DATABASES
def test_i21_deleting_the_default(client, trained, place):
    model_id = trained()
    path = f"/api/models/{model_id}"
    client.ranked(f"{path}/recommend?itemId=A")
    assert empty(client("DELETE", path), 202)
    assert empty(client("GET", "/api/models/default"), 404)
    assert empty(client("GET", "/api/models/default/recommend?itemId=A"), 404)
    assert empty(client("GET", f"{path}/recommend?itemId=A"), 404)
    assert empty(client("GET", path), 404)
    assert empty(client("DELETE", path), 404)
    assert not place.store.folder(model_id).exists()


def test_a_completed_model_whose_folder_is_gone(client, trained, place):
    model_id = trained()
    place.store.remove(model_id)
    assert empty(client("GET", f"/api/models/{model_id}/recommend?itemId=A"), 404)


@BOTH_DATABASES
def test_i23_the_list_is_short(client):
    ids = sorted([client.create(description="one").json["id"], client.create().json["id"]])
    listed = client("GET", "/api/models").json
    assert [model["id"] for model in listed] == ids
    names = {"id", "creationTime", "modelStatus"}
    assert all(set(model) - {"description"} == names for model in listed)
    assert [model.get("description") for model in listed].count("one") == 1


def test_i24_row_49_an_unhandled_error(client, monkeypatch):
    def broken(*_):
        try:
            raise KeyError("inner secret")
        except KeyError as error:
            raise RuntimeError("outer secret") from error

    monkeypatch.setattr(ModelRegistry, "status", broken)
    path = f"/api/models/{UNKNOWN}/recommend?itemId=a"
    assert empty(client("GET", path, key=RECOMMEND), 500)
    answer = client("GET", path, key=ADMIN)
    assert answer.status_code == 500
    assert answer.json["Message"] == "An error has occurred."
    assert answer.json["ExceptionMessage"] == "outer secret"
    assert answer.json["ExceptionType"] == "RuntimeError"
    assert "broken" in answer.json["StackTrace"]
    assert answer.json["InnerException"]["ExceptionType"] == "KeyError"


def test_i25_the_header_in_capitals(client, trained):
    answer = client(
        "POST",
        f"/api/models/{trained()}/recommend",
        key=None,
        headers={"X-API-KEY": RECOMMEND},
        json=[],
    )
    assert answer.status_code == 200


def test_the_order_is_path_then_key_then_body(client):
    assert client("GET", "/api/nothing", key=None).status_code == 404
    answer = client("PATCH", "/api/models", key=None)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST, GET"
    assert "does not support http method 'PATCH'" in message(answer, 405)
    assert client("PUT", f"/api/models/{UNKNOWN}", key=None).headers["Allow"] == "GET, DELETE"
    assert empty(client("POST", "/api/models", key=None, data=b"[", content_type="a/b"), 401)
    assert empty(client("GET", "/api/models/not-a-guid", key=RECOMMEND), 401)


def test_unknown_paths_below_api(client):
    for path in (
        "/api/nothing",
        "/api/a/b",
        "/api/models/a/b",
        f"/api/models/{UNKNOWN}/recommend/x",
    ):
        said = message(client("GET", path), 404)
        assert said.startswith("No HTTP resource was found that matches the request URI 'http")


def test_paths_and_query_names_are_matched_without_regard_to_case(client, trained):
    model_id = trained()
    path = f"/API/Models/{model_id.upper()}/Recommend?ITEMID=A&RecommendationCOUNT=2"
    assert len(client.ranked(path)) == 2
    assert client("GET", "/Api/Models/Default").json["id"] == model_id
    assert client("GET", "/api/models/").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/models/..",
        "/api/models/../models/x",
        "/api/models/default/..",
        "/api/models/%2e%2e/recommend?itemId=a",
        "/api/models/%00",
        f"/api/models/{'a' * 10_000}",
    ],
)
def test_row_39_ids_that_are_none(client, path):
    assert client("GET", path).status_code in (400, 404)


def test_items_need_an_id(client, trained):
    model_id = trained()
    assert "itemId" in message(client("GET", f"/api/models/{model_id}/recommend"), 400)
    popular = client.ranked(f"/api/models/{model_id}/recommend?itemId=")
    assert popular == [("A", 0), ("B", 0), ("C", 0), ("D", 0), ("E", 0)]


# Cases E: T7, Jaccard, support threshold 3, unit User. Ids keep their case here.


def about(pairs):
    return [(item, pytest.approx(score, rel=1e-6)) for item, score in pairs]


@pytest.mark.parametrize(
    ("parameters", "query", "expected"),
    [
        ({}, "A", [("C", 0.8), ("D", 0.8), ("B", 0.5), ("E", 0)]),  # E1
        ({"enableBackfilling": False}, "A", [("C", 0.8), ("D", 0.8), ("B", 0.5)]),  # E2
        ({}, "A&recommendationCount=2", [("C", 0.8), ("D", 0.8)]),  # E3
        (
            {"enableBackfilling": False, "allowSeedItemsInRecommendations": True},
            "A",
            [("A", 1), ("C", 0.8), ("D", 0.8), ("B", 0.5)],
        ),  # E4
        ({}, "B", [("C", 0.6), ("A", 0.5), ("D", 0), ("E", 0)]),  # E5
        ({}, "E", [("A", 0), ("B", 0), ("C", 0), ("D", 0)]),  # E6
        ({"enableBackfilling": False}, "E", []),  # E7
        (
            {"allowSeedItemsInRecommendations": True},
            "E",
            [("E", 1), ("A", 0), ("B", 0), ("C", 0), ("D", 0)],
        ),  # E8
        ({}, "zzz", [("A", 0), ("B", 0), ("C", 0), ("D", 0), ("E", 0)]),  # E9
        ({"enableBackfilling": False}, "zzz", []),  # E10
    ],
)
def test_e1_to_e10_item_to_item(client, trained, parameters, query, expected):
    path = f"/api/models/{trained(**parameters)}/recommend?itemId={query}"
    assert client.ranked(path) == about(expected)


def test_e11_to_e15_personalised(client, trained):
    def asked(model_id, *items, user=""):
        body = [{"itemId": item} for item in items]
        path = f"/api/models/{model_id}/recommend?userId={user}"
        return client.ranked(path, method="POST", json=body)

    plain = trained()
    assert asked(plain, "A", "B") == about([("C", 1.4), ("D", 0.8), ("E", 0)])  # E11
    everything = about([("A", 0), ("B", 0), ("C", 0), ("D", 0), ("E", 0)])
    assert asked(plain, user="u7") == everything  # E15
    no_backfill = trained(enableBackfilling=False)
    assert asked(no_backfill, "A", "A") == about([("C", 1.6), ("D", 1.6), ("B", 1.0)])  # E12
    known = trained(enableUserToItemRecommendations=True)
    assert asked(known, user="u7") == about([("C", 0.6), ("A", 0.5), ("D", 0), ("E", 0)])  # E13
    assert asked(known, "A", user="u7") == about([("C", 1.4), ("D", 0.8), ("E", 0)])  # E14
    assert asked(known, user="nobody") == everything


def test_e16_e17_affinity_of_events_with_their_times(client, trained):
    purchase = {"itemId": "A", "eventType": "Purchase", "timestamp": "2017-04-01T12:00:00"}
    click = {"itemId": "B", "eventType": "Click", "timestamp": "2017-03-02T12:00:00"}
    path = f"/api/models/{trained(enableUserAffinity=True)}/recommend"
    assert client.ranked(path, method="POST", json=[purchase]) == about(
        [("C", 3.163244865), ("D", 3.163244865), ("B", 1.977028041), ("E", 0)]
    )
    path = f"/api/models/{trained(enableUserAffinity=True, enableBackfilling=False)}/recommend"
    assert client.ranked(path, method="POST", json=[purchase, click]) == about(
        [("C", 3.459799071), ("D", 3.163244865)]
    )


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"[null, {}]"])
def test_bodies_without_events_get_popular_items(client, trained, body):
    path = f"/api/models/{trained()}/recommend"
    ranked = client.ranked(path, method="POST", data=body, content_type="application/json")
    assert [item for item, _ in ranked] == list("ABCDE")


def test_bad_events_are_named(client, trained):
    answer = client(
        "POST",
        f"/api/models/{trained()}/recommend",
        json=[{"itemId": "A", "eventType": "View"}],
    )
    assert answer.status_code == 400
    assert list(answer.json["ModelState"]) == ["usageEvents[0].eventType"]
    answer = client("POST", f"/api/models/{UNKNOWN}/recommend", json={})
    assert message(answer, 400) == "Invalid format. Expected an array of usage events"


def test_ids_with_any_characters(client, train):
    items = ["a b", "c+d&e=f", "ü/[x].1", "%41", "#?", "日本", '13" Laptop']
    lines = "".join(
        f'u{n},"{item.replace(chr(34), chr(34) * 2)}",2017-04-01T12:00:00\n'
        for n in range(3)
        for item in items
    )
    client("PUT", "/api/inputs/shop/odd/usage.csv", data=lines.encode())
    model_id = client.create(usageRelativePath="odd", supportThreshold=3).json["id"]
    train()
    for item in items:
        answer = client(
            "GET", f"/api/models/{model_id}/recommend", RECOMMEND, query_string={"itemId": item}
        )
        assert {entry["recommendedItemId"] for entry in answer.json} == set(items) - {item}


@BOTH_DATABASES
def test_a_completed_model_in_full(client, trained):
    client("PUT", "/api/inputs/shop/two/part1.csv", data=T7_CSV.encode())
    client("PUT", "/api/inputs/shop/two/part2.csv", data=b"u1,A,notatime\nu1\nu9,A,x\n")
    client("PUT", "/api/inputs/shop/catalog.csv", data=b"A,name,cat\nB,name,cat\nbad\n")
    client("PUT", "/api/inputs/shop/test.csv", data=b"u1,D,2017-05-01T00:00:00\nu8,A\n")
    model_id = trained(
        usageRelativePath="/two/",
        catalogFileRelativePath="catalog.csv",
        evaluationUsageRelativePath="test.csv",
        enableUserToItemRecommendations=True,
        description="T7 & more",
    )
    model = client("GET", f"/api/models/{model_id}").json
    assert list(model) == [
        "id",
        "description",
        "creationTime",
        "modelStatus",
        "modelStatusMessage",
        "parameters",
        "statistics",
    ]
    assert model["modelStatusMessage"] == "Model Training Completed Successfully"
    assert model["parameters"]["usageRelativePath"] == "two"
    assert list(model["parameters"]) == [
        "blobContainerName",
        "catalogFileRelativePath",
        "usageRelativePath",
        "evaluationUsageRelativePath",
        "supportThreshold",
        "cooccurrenceUnit",
        "similarityFunction",
        "enableColdItemPlacement",
        "enableColdToColdRecommendations",
        "enableUserAffinity",
        "enableUserToItemRecommendations",
        "allowSeedItemsInRecommendations",
        "enableBackfilling",
        "decayPeriodInDays",
    ]
    statistics = model["statistics"]
    assert list(statistics) == [
        "totalDuration",
        "trainingDuration",
        "storingUserHistoryDuration",
        "catalogParsing",
        "usageEventsParsing",
        "numberOfCatalogItems",
        "numberOfUsageItems",
        "numberOfUsers",
        "catalogCoverage",
        "evaluation",
    ]
    spans = [statistics.pop(f"{name}Duration") for name in ("total", "training")]
    spans += [statistics.pop("storingUserHistoryDuration")]
    reports = [statistics["usageEventsParsing"], statistics["catalogParsing"]]
    reports += [statistics["evaluation"]["usageEventsParsing"], statistics["evaluation"]]
    spans += [report.pop("duration") for report in reports]
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d(\.\d{7})?", span) for span in spans)
    assert statistics == {
        "catalogParsing": {
            "errors": [
                {
                    "count": 1,
                    "error": "MissingFields",
                    "sample": {"file": "catalog.csv", "line": 3},
                }
            ],
            "successfulLinesCount": 2,
            "totalLinesCount": 3,
        },
        "usageEventsParsing": {
            "errors": [
                {
                    "count": 2,
                    "error": "BadTimestampFormat",
                    "sample": {"file": "two/part2.csv", "line": 1},
                },
                {
                    "count": 1,
                    "error": "MissingFields",
                    "sample": {"file": "two/part2.csv", "line": 2},
                },
            ],
            "successfulLinesCount": 20,
            "totalLinesCount": 23,
        },
        "numberOfCatalogItems": 2,
        "numberOfUsageItems": 5,
        "numberOfUsers": 7,
        "catalogCoverage": 2.5,
        "evaluation": {
            "usageEventsParsing": {"successfulLinesCount": 2, "totalLinesCount": 2},
            "metrics": {
                "precisionMetrics": [
                    {"k": k, "percentage": 50.0, "usersInTest": 2} for k in (1, 2, 3, 4, 5)
                ],
                "diversityMetrics": {
                    "percentileBuckets": [
                        {"min": 0, "max": 90, "percentage": 100.0},
                        {"min": 90, "max": 99, "percentage": 0.0},
                        {"min": 99, "max": 100, "percentage": 0.0},
                    ],
                    "totalItemsRecommended": 2,
                    "uniqueItemsRecommended": 2,
                    "uniqueItemsInTrainSet": 5,
                },
            },
        },
    }


def test_uploads_are_admins_business(client, place):
    assert empty(client("PUT", "/api/inputs/shop/new/x.csv", key=RECOMMEND, data=b"x"), 401)
    assert empty(client("PUT", "/api/inputs/shop/New/X.csv", data=b"x" * 900_000), 204)
    assert (place.inputs.root / "shop" / "New" / "X.csv").stat().st_size == 900_000
    assert "plain names" in message(client("PUT", "/api/inputs/shop/..%2f..%2fx", data=b"x"), 400)


def test_large_files_come_in_parts(client, place):
    target = place.inputs.root / "shop" / "big.csv"

    def send(data, start, total=10):
        ranged = {"Content-Range": f"bytes {start}-{start + len(data) - 1}/{total}"}
        return client("PUT", "/api/inputs/shop/big.csv", data=data, headers=ranged)

    assert empty(send(b"abcdef", 0), 202)
    assert not target.exists()
    assert "6 bytes have come, not 9" in message(send(b"j", 9), 409)
    assert empty(send(b"01234", 0), 202)  # begins anew
    assert empty(send(b"56789", 5), 204)
    assert target.read_bytes() == b"0123456789"
    assert "11 bytes have come" in message(send(b"x" * 11, 0), 400)
    assert target.read_bytes() == b"0123456789"
    odd = client("PUT", "/api/inputs/shop/a", data=b"x", headers={"Content-Range": "bytes */1"})
    assert "is not like" in message(odd, 400)


@pytest.mark.parametrize("settings", [{"MODELS_INPUT_ROOT": "memory://bucket"}], indirect=True)
def test_a_bucket_takes_uploads_in_parts_and_is_trained_on(client, train):
    data = T7_CSV.encode()
    for start in range(0, len(data), 300):
        part = data[start : start + 300]
        ranged = {"Content-Range": f"bytes {start}-{start + len(part) - 1}/{len(data)}"}
        answer = client("PUT", "/api/inputs/shop/in/usage.csv", data=part, headers=ranged)
        whole = start + len(part) == len(data)
        assert empty(answer, 204 if whole else 202)
        created = client.create(usageRelativePath="in", supportThreshold=3)
        assert created.status_code == (201 if whole else 400)
    train()
    ranked = client.ranked("/api/models/default/recommend?itemId=A")
    assert [item for item, _ in ranked] == ["C", "D", "B", "E"]
    client._client.application.extensions["models_api"].inputs._files.rm("/bucket", recursive=True)


def test_row_38_no_training_reads_outside_its_container(client, tmp_path):
    (tmp_path / "inputs" / "secret.csv").write_text(T7_CSV)
    for path in ("../secret.csv", "/../secret.csv", "..\\secret.csv", "%2e%2e/secret.csv", "a\0"):
        answer = client.create(usageRelativePath=path)
        assert answer.json["ModelState"] == {
            "modelParameters.UsageRelativePath": ["usageRelativePath does not contain any blobs"]
        }
    for container in ("..", ".", "../inputs", "nothing"):
        answer = client.create(blobContainerName=container)
        assert list(answer.json["ModelState"]) == ["modelParameters.BlobContainerName"]


def test_a_missing_evaluation_and_a_missing_catalog(client):
    answer = client.create(
        evaluationUsageRelativePath="none",
        catalogFileRelativePath="none",
        enableColdItemPlacement=True,
    )
    assert answer.json["ModelState"] == {
        "modelParameters.CatalogFileRelativePath": [
            "catalogFileRelativePath does not exist under the base container"
        ],
        "modelParameters.EvaluationUsageRelativePath": [
            "EvaluationUsageRelativePath does not contain any blobs"
        ],
    }


@BOTH_DATABASES
def test_row_43_the_queue_says_how_many_are_before(client):
    ids = [client.create().json["id"] for _ in range(3)]
    messages = [client("GET", f"/api/models/{one}").json["modelStatusMessage"] for one in ids]
    assert messages == [
        "Waiting for a trainer",
        "Waiting for 1 other training",
        "Waiting for 2 other trainings",
    ]


def test_the_log_has_the_model_and_how_many_places_were_backfilled(client, trained, app, capfd):
    model_id = trained()
    for path in (f"/api/models/{model_id}/recommend?itemId=B", "/api/models/default/recommend"):
        client("POST" if path.endswith("d") else "GET", path)
    app.extensions["request_log"].flush()
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    said = [
        {name: line.get(name) for name in ("model", "returned", "backfilled")} for line in lines
    ]
    assert {"model": model_id, "returned": 4, "backfilled": 2} in said  # E5
    assert {"model": "default", "returned": 5, "backfilled": 5} in said


def test_creation_times_are_utc(client):
    created = datetime.fromisoformat(client.create().json["creationTime"])
    assert created.utcoffset().total_seconds() == 0


def test_row_47_a_header_beyond_ascii(client):
    for key in ("\xe9", "\xff\xfe", "admin-1\xe9"):
        assert empty(client("GET", "/api/models", key=key), 401)


def test_row_48_keys_are_not_in_answers_or_logs(client, caplog, capfd):
    caplog.set_level(0)
    client("GET", "/api/models", key=ADMIN)
    client("GET", "/api/nothing", key="guessed-key")
    client("POST", "/api/models", data=b"[", content_type="application/json")
    metrics = client("GET", "/metrics").text
    said = caplog.text + "".join(capfd.readouterr()) + metrics
    assert ADMIN not in said and "guessed-key" not in said


def test_row_6_a_body_over_the_limit(client):
    body = b'[{"itemId": "' + b"a" * 2_000_000 + b'"}]'
    answer = client(
        "POST", f"/api/models/{UNKNOWN}/recommend", data=body, content_type="application/json"
    )
    assert answer.status_code == 413 and list(answer.json) == ["Message"]


def test_an_upload_that_breaks_off_is_not_stored(client, place):
    announced = {"CONTENT_LENGTH": "100"}
    answer = client("PUT", "/api/inputs/shop/x.csv", data=b"u1,i1\n", environ_overrides=announced)
    assert answer.status_code == 400
    assert not (place.inputs.root / "shop" / "x.csv").exists()


@pytest.mark.slow
def test_row_45_a_locked_registry_is_a_503(client, place):
    model_id = client.create().json["id"]
    holder = sqlite3.connect(place.store.root / "registry.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    answer = client.create()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert list(answer.json) == ["Message"] and str(place.store.root) not in answer.text
    assert client("GET", f"/api/models/{model_id}").status_code == 200
    holder.close()
    assert client.create().status_code == 201


@pytest.mark.parametrize("settings", [{"API_KEYS": {"admin": [], "recommend": []}}], indirect=True)
def test_without_keys_the_api_is_not_mounted_and_the_log_says_so(settings, caplog, monkeypatch):
    from seldon.app import create_app

    monkeypatch.setattr(logging.getLogger("seldon.app"), "handlers", [caplog.handler])
    app = create_app(None, ROOT, **settings)
    assert app.test_client().get("/api/models", headers={"x-api-key": ""}).status_code == 404
    assert "the models API is not mounted" in caplog.text


@pytest.mark.parametrize(
    "keys",
    [
        {"admin": [], "recommend": ["only"]},
        {"admin": ["with blank"], "recommend": []},
        {"admin": ["a,b"], "recommend": []},
        {"admin": [7], "recommend": []},
        ["admin"],
    ],
)
def test_row_47_keys_that_cannot_work_stop_the_start(keys):
    from seldon.config import settings as read_settings

    with pytest.raises(InvalidSetting, match=r"API_KEYS=\(hidden\) is not") as caught:
        read_settings(None, {}, API_KEYS=keys)
    assert "with blank" not in str(caught.value)
