"""`python -m seldon.models`: in a folder, and against a running service of several workers."""

import json
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from seldon.models.__main__ import _event, _parameters, _parser, _share, main
from seldon.models.remote import RemoteModels
from seldon.models_api.keeper import only_trainer
from tests.models_api.conftest import ADMIN, RECOMMEND, T7_CSV
from tests.services.processes import gunicorn


@pytest.fixture
def run(capsys):
    """Runs the command here; its exit status and what it wrote."""

    def run(*arguments):
        status = main(arguments)
        return status, *capsys.readouterr()

    return run


def environ_of(tmp_path):
    return {
        "SELDON_MODELS_ROOT": str(tmp_path / "models"),
        "SELDON_MODELS_INPUT_ROOT": str(tmp_path / "inputs"),
    }


@pytest.mark.slow
@pytest.mark.service
def test_a_model_in_a_folder(tmp_path, run, monkeypatch):
    for name, value in environ_of(tmp_path).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "usage.csv").write_text(T7_CSV + "u1,A,notatime\n")
    usage = str(tmp_path / "usage.csv")
    assert run("upload", usage, "--container", "shop") == (0, "", "")
    request = ["train", "--container", "shop", "--usage", "usage.csv", "--supportThreshold", "3"]
    status, out, err = run(*request, "--enableBackfilling", "false")
    assert status == 0, err
    model_id, *report = out.splitlines()
    assert report == [
        "usageEventsParsing: 20 of 21 lines",
        "  BadTimestampFormat x 1, first usage.csv:21",
    ]
    _, out, _ = run("list")
    assert model_id in out and "Completed" in out
    _, out, _ = run("recommend", "default", "--item", "A", "-n", "2")
    assert out == "0.8          C\n0.8          D\n"
    _, out, _ = run("recommend", model_id, "--event", "A", "--event", "B:Click")
    assert out == "1.4          C\n0.8          D\n"
    assert json.loads(run("show", "default")[1])["id"] == model_id
    assert run("delete", model_id)[0] == 0
    assert run("show", model_id) == (1, "", f"there is no model {model_id}\n")


def test_what_is_wrong_is_said_in_a_line(tmp_path, monkeypatch, capsys):
    for name, value in environ_of(tmp_path).items():
        monkeypatch.setenv(name, value)
    assert main(["train", "--container", "shop", "--usage", "x", "--supportThreshold", "2"]) == 1
    assert "The field supportThreshold must be between 3 and 50." in capsys.readouterr().err
    assert main(["train", "--container", "shop", "--usage", "x"]) == 1
    assert "does not exist in the service's default" in capsys.readouterr().err
    assert main(["upload", "/nowhere.csv", "--container", "shop"]) == 1
    assert "/nowhere.csv" in capsys.readouterr().err
    assert main(["show", "x"]) == 1
    assert capsys.readouterr().err == "modelId is not valid\n"
    monkeypatch.delenv("MODELS_API_KEY", raising=False)
    assert main(["--url", "http://127.0.0.1:9", "list"]) == 1
    assert "--url needs a key" in capsys.readouterr().err
    monkeypatch.setenv("MODELS_API_KEY", "x")
    assert main(["--url", "http://127.0.0.1:9", "list"]) == 1
    assert "no answer" in capsys.readouterr().err
    assert main(["--url", "ftp://127.0.0.1", "list"]) == 1
    assert "expected http" in capsys.readouterr().err


def test_row_51_a_redirect_does_not_get_the_key(monkeypatch, capsys):
    asked = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    monkeypatch.setenv("MODELS_API_KEY", "x")
    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert main(["--url", f"http://127.0.0.1:{server.server_port}", "list"]) == 1
        server.shutdown()
        thread.join()
    assert asked == ["/api/models"]
    assert "the service answered 302" in capsys.readouterr().err


def test_an_item_may_have_colons():
    assert _event("sku:7") == {"itemId": "sku:7"}
    assert _event("sku:7:purchase") == {"itemId": "sku:7", "eventType": "purchase"}
    assert _event(":Click") == {"itemId": ":Click"}


def test_numbers_are_numbers_only_where_numbers_are_expected():
    arguments = ["train", "--container", "2026", "--usage", "1", "--decayPeriodInDays", "7"]
    parameters = _parameters(_parser().parse_args([*arguments, "--description", "true"]))
    assert parameters == {
        "blobContainerName": "2026",
        "usageRelativePath": "1",
        "decayPeriodInDays": 7,
        "description": "true",
    }


def test_how_far_a_training_is():
    shares = [
        _share(message)
        for message in (
            "Waiting for a trainer",
            "Starting Model Training",
            "Parsing Usage Events Files",
            "Core Training",
            "Core Training: 50 %",
            "Evaluating Trained Model",
        )
    ]
    assert shares == sorted(shares) and shares[:2] == [0, 0] and 0 < shares[2] < shares[-1] < 100


@pytest.mark.slow
@pytest.mark.service
def test_one_flow_from_upload_to_recommend_over_http(tmp_path, run, monkeypatch):
    """Several workers, and the trainer that they start by themselves."""
    environ = {
        **environ_of(tmp_path),
        "SELDON_API_KEYS": json.dumps({"admin": [ADMIN], "recommend": [RECOMMEND]}),
    }
    monkeypatch.setenv("MODELS_API_KEY", ADMIN)
    log = tmp_path / "log"
    (tmp_path / "usage.csv").write_text(T7_CSV)
    with gunicorn("recommender:app", "-w", "3", log=log, env=environ) as (_, port):
        url = f"http://127.0.0.1:{port}"

        def command(*arguments):
            status, out, err = run("--url", url, *arguments)
            assert status == 0, err
            return out

        command("upload", str(tmp_path / "usage.csv"), "--container", "shop", "--to", "t7/")
        (tmp_path / "large.csv").write_bytes(b"u1,A,2017-04-01\n" * 100_000)
        command("upload", str(tmp_path / "large.csv"), "--container", "shop")
        large = tmp_path / "inputs" / "shop" / "large.csv"
        assert large.read_bytes() == (tmp_path / "large.csv").read_bytes()
        out = command("train", "--container", "shop", "--usage", "t7", "--supportThreshold", "3")
        model_id = out.splitlines()[0]
        models = RemoteModels(url, RECOMMEND)
        expected = [{"recommendedItemId": "C", "score": 0.8}]
        for _ in range(20):
            assert models.recommend("default", "A", [], None, 1) == expected
            assert models.recommend(model_id, None, [{"itemId": "A"}], None, 1) == expected
        assert "Completed" in command("list")
        command("delete", model_id)
        # Every worker has had the model in memory, and none may answer for it any more.
        for _ in range(30):
            request = urllib.request.Request(
                f"{url}/api/models/{model_id}/recommend?itemId=A", headers={"x-api-key": RECOMMEND}
            )
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request)
            caught.value.close()
            assert caught.value.code == 404
    text = log.read_text()
    assert ADMIN not in text and RECOMMEND not in text
    deadline = time.monotonic() + 120
    while True:  # the trainer ends after the service
        with only_trainer(tmp_path / "models") as mine:
            if mine:
                break
        assert time.monotonic() < deadline
        time.sleep(0.2)
