"""/predict: both request shapes, both wires, and every kind of bad input."""

import json
import re
import time
from urllib.parse import quote

import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from werkzeug.test import create_environ, run_wsgi_app

from seldon.errors import InvalidModel, InvalidSetting
from seldon.microservice import Microservices
from seldon.microservice.predict import create_blueprint
from seldon.operation.log import RequestLog
from seldon.pipeline.predictor import Predictor
from seldon.pipeline.util import PipelineWrapper
from seldon.web import create_web_app

ROW = {"f1": 4.8, "f2": 3.0, "f3": 1.4, "f4": 0.1}
JSON = "application/json"
DOCUMENTED_CALL = (
    "/predict?client=test1&json=%7B%22f1%22%3A4.8%2C%22f2%22%3A3.0%2C%22f3%22%3A1.4%2C"
    "%22f4%22%3A0.1%7D"
)


@pytest.fixture(scope="module")
def app(pipeline_folder):
    return Microservices().create_prediction_microservice(pipeline_folder, "test_model")


@pytest.fixture
def client(app):
    return app.test_client()


@pytest.fixture(scope="module")
def expected(pipeline, iris):
    frame, _ = iris
    row = frame.iloc[:1].assign(**ROW)
    return dict(zip(pipeline.classes_, pipeline.predict_proba(row)[0].tolist(), strict=True))


def test_the_documented_call(client, expected):
    answer = client.get(DOCUMENTED_CALL)
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    predictions = answer.json["predictions"]
    assert answer.json.keys() == {"predictions"}
    assert [p.keys() for p in predictions] == [{"score", "classId", "confidence"}] * 3
    assert {p["classId"]: p["score"] for p in predictions} == expected
    assert all(type(p["score"]) is float and p["score"] == p["confidence"] for p in predictions)


@pytest.mark.parametrize(
    "document", [ROW, {"data": ROW}, list(ROW.values()), {"data": list(ROW.values())}]
)
@pytest.mark.parametrize("way", ["get", "form", "multipart", "body"])
def test_every_shape_by_every_way(client, expected, document, way):
    text = json.dumps(document)
    if way == "get":
        answer = client.get("/predict", query_string={"client": "c", "json": text})
    elif way == "body":
        answer = client.post("/predict?client=c", json=document)
    else:
        types = {"form": "application/x-www-form-urlencoded", "multipart": "multipart/form-data"}
        answer = client.post("/predict", data={"json": text}, content_type=types[way])
    assert answer.status_code == 200, answer.text
    assert {p["classId"]: p["score"] for p in answer.json["predictions"]} == expected


def test_the_wire_of_the_server(pipeline_folder, expected):
    app = Microservices().create_prediction_microservice(pipeline_folder, "m", wire="server")
    answer = app.test_client().get(DOCUMENTED_CALL).json
    assert answer.keys() == {"predictions", "meta"}
    assert answer["meta"] == {"modelName": "m"}
    assert {p["predictedClass"]: p["prediction"] for p in answer["predictions"]} == expected
    fields = {"prediction", "predictedClass", "confidence"}
    assert all(p.keys() == fields for p in answer["predictions"])


def test_an_unknown_wire_does_not_start(pipeline_folder):
    with pytest.raises(InvalidSetting, match="wire='json' is not one of 'documented', 'server'"):
        Microservices().create_prediction_microservice(pipeline_folder, "m", wire="json")


BAD = {
    "no json": (None, "json is missing"),
    "empty": ("", "json is not JSON"),
    "not JSON": ("{'f1': 1}", "json is not JSON"),
    "a number": ("3", "expected an object or a list"),
    "null": ("null", "expected an object or a list"),
    "text": ('"/etc/passwd"', "expected an object or a list"),
    "a list of text": ('["/etc/passwd", "", "", ""]', "the pipeline refuses"),
    "a short list": ("[1, 2]", "a list of 2 values; expected 4: f1, f2, f3, f4"),
    "empty object": ("{}", "empty object"),
    "missing feature": (
        json.dumps({**ROW, "f4": None} | {"f3": 1}).replace('"f4"', '"f5"'),
        "missing features: f4",
    ),
    "wrong type": (json.dumps({**ROW, "f1": "long"}), "could not convert string to float"),
    "a nested feature": (json.dumps({**ROW, "f1": {"x": 1}}), "the pipeline refuses"),
    "null feature": (json.dumps({**ROW, "f1": None}), "NaN"),
    "NaN": ('{"f1": NaN, "f2": 1, "f3": 1, "f4": 1}', "json is not JSON"),
    "infinite": ('{"f1": 1e999, "f2": 1, "f3": 1, "f4": 1}', "json is not JSON"),
    "too many": (
        json.dumps(dict(zip("abcdefg", range(7), strict=True)) | ROW),
        "unseen at fit time",
    ),
    "two rows": ("[[1,2,3,4],[1,2,3,4]]", "not one row"),
    "nested brackets": ("[" * 100_000, "json is not JSON"),
    "nested objects": ('{"a":' * 100_000, "json is not JSON"),
    "10 MB": ("[" + "1," * 5_000_000 + "1]", "at most (65536|1048576)"),
    "not UTF-8": (b'{"f1": "\xff"}', "json is not JSON"),
}


@pytest.mark.parametrize("way", ["get", "post"])
@pytest.mark.parametrize("case", BAD)
def test_row_6_bad_input_is_400_with_the_reason(app, case, way):
    text, reason = BAD[case]
    if way == "get":
        environ = create_environ("/predict")
        environ["QUERY_STRING"] = "" if text is None else f"json={quote(text)}"
    else:
        body = b"" if text is None else text
        environ = create_environ("/predict", method="POST", data=body, content_type=JSON)
    if (way, case) == ("get", "not UTF-8"):
        reason = "missing features"  # a query string is decoded leniently
    if way == "get" and case.startswith("nested "):
        reason = "the query string has|the pipeline refuses"
    if (way, case) == ("post", "empty"):
        reason = "json is missing"
    started = time.perf_counter()
    chunks, status, headers = run_wsgi_app(app, environ)
    answer = b"".join(chunks)
    took = time.perf_counter() - started
    assert status == "400 BAD REQUEST", answer[:500]
    assert headers["Content-Type"] == "application/problem+json"
    assert re.search(reason, json.loads(answer)["detail"]), answer
    assert b"Traceback" not in answer
    assert len(answer) < 2000
    assert took < 1  # 50 ms on an idle machine: benchmarks/predict.py shows it


def test_a_form_longer_than_its_limit(client):
    answer = client.post("/predict", data={"json": "1" * 2_000_000})
    assert answer.status_code == 400
    assert "at most 1048576 are read" in answer.json["detail"]


def test_a_form_of_any_length_below_the_limit(client, expected):
    padded = json.dumps(ROW) + " " * 900_000
    assert client.post("/predict", data={"json": padded}).status_code == 200


def test_other_methods(client):
    answer = client.delete("/predict")
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}


def test_health_metrics_and_request_ids(client):
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.json["checks"]["model"] == {"ok": True, "name": "test_model"}
    client.get(DOCUMENTED_CALL)
    assert 'route="/predict"' in client.get("/metrics").text
    answer = client.get(DOCUMENTED_CALL, headers={"X-Request-Id": "abc-1"})
    assert answer.headers["X-Request-Id"] == "abc-1"


def test_documented_names_in_the_config(app):
    assert app.config["seldon_model_name"] == "test_model"
    assert hasattr(app.config["seldon_pipeline"], "predict_proba")


def test_a_regressor_does_not_start(iris, tmp_path):
    frame, _ = iris
    wrapper = PipelineWrapper()
    wrapper.save_pipeline(make_pipeline(Ridge()).fit(frame, frame["f1"]), tmp_path / "p")
    with pytest.raises(InvalidModel, match="Ridge has no predict_proba"):
        Microservices().create_prediction_microservice(str(tmp_path / "p"), "m")


class Broken:
    def predict_proba(self, X):
        raise RuntimeError("secret path /srv/model")


def test_row_49_a_failing_pipeline_is_500_without_its_insides(caplog):
    app = create_web_app("broken", {}, RequestLog())
    app.register_blueprint(create_blueprint(Predictor(Broken(), "m"), "documented", 10_000, 10_000))
    answer = app.test_client().get("/predict?json=[1]")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text


class Spy:
    def predict_proba(self, X):
        self.seen = X
        return [[1.0]]


def test_requests_never_read_files(tmp_path):
    """create_dataframe reads the files that a list of text names; a request must not."""
    app = create_web_app("spy", {}, RequestLog())
    spy = Spy()
    app.register_blueprint(create_blueprint(Predictor(spy, "m"), "documented", 10_000, 10_000))
    file = tmp_path / "secret.json"
    file.write_text(json.dumps(ROW))
    assert app.test_client().get("/predict", query_string={"json": json.dumps([str(file)])}).json
    assert spy.seen.tolist() == [[str(file)]]
