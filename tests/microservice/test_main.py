"""``python -m seldon.microservice``: the start scripts, for people and for init systems."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from seldon import save_extension, save_recommender
from seldon.microservice.__main__ import main
from tests.saved_models import Doubling, Favourites
from tests.services.processes import ROOT, free_port, gunicorn, stop, wait_for_port


@contextmanager
def started(folder, *arguments, **env):
    """The command, serving; yields its process and address. What it prints is in ``log``."""
    port = free_port()
    command = [sys.executable, "-m", "seldon.microservice", *arguments]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **env}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log)
        try:
            wait_for_port(port, process, 60)
            yield process, f"http://127.0.0.1:{port}"
        finally:
            stop(process, 35)


def get(address, data=None, content_type="application/json"):
    asked = urllib.request.Request(address, data, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.mark.service
@pytest.mark.slow
def test_predict(tmp_path, pipeline_folder):
    metrics = {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "metrics")}
    (tmp_path / "metrics").mkdir()
    arguments = ["predict", "--pipeline", pipeline_folder, "--model_name", "iris"]
    with started(tmp_path, *arguments, "--wire", "server", **metrics) as (process, address):
        status, answer = get(f"{address}/predict?json=[4.6,3.2,1.4,0.2]")
        assert (status, answer["meta"]) == (200, {"modelName": "iris"})
        # 10 MB: the worker refuses it before it is read, with the app's own status.
        status, answer = get(f"{address}/predict", b"[" + b"1," * 5_000_000 + b"1]")
        assert (status, "longer than" in answer["detail"]) == (400, True)
        status, answer = get(f"{address}/predict", b"[" * 100_000)
        assert (status, "not JSON" in answer["detail"]) == (400, True)
        assert get(f"{address}/readyz")[1]["checks"]["model"]["name"] == "iris"
        with urllib.request.urlopen(f"{address}/metrics") as scraped:
            assert 'route="/predict"' in scraped.read().decode()
        process.terminate()
        assert process.wait(40) == 0
    lines = [json.loads(x) for x in (tmp_path / "log").read_text().splitlines() if x[:1] == "{"]
    assert [line["route"] for line in lines if line.get("status") == 200] == ["/predict"]


@pytest.mark.service
@pytest.mark.slow
def test_an_app_under_gunicorn_as_it_comes(tmp_path, pipeline_folder):
    (tmp_path / "my_module.py").write_text(
        "from seldon.microservice import Microservices\n"
        f"app = Microservices().create_prediction_microservice({pipeline_folder!r}, 'iris')\n"
    )
    options = ["-c", os.devnull, "-k", "gthread", "--timeout", "120", "--pythonpath", str(tmp_path)]
    with gunicorn("my_module:app", *options, log=tmp_path / "log") as (_, port):
        address = f"http://127.0.0.1:{port}"
        status, answer = get(f"{address}/predict?json=[4.6,3.2,1.4,0.2]")
        assert (status, len(answer["predictions"])) == (200, 3)
        status, answer = get(f"{address}/predict", b"[" + b"1," * 5_000_000 + b"1]")
        assert (status, "the body has" in answer["detail"]) == (400, True)
        assert get(f"{address}/readyz")[1]["ready"] is True
        assert get(f"{address}/none")[0] == 404


@pytest.mark.service
def test_recommend_and_extension(tmp_path):
    save_recommender(Favourites().fit({1: 0.5, 2: 0.25}, []), tmp_path / "rec")
    before = set(Path(tempfile.gettempdir()).glob("microservice-metrics-*"))
    arguments = ["recommend", "--recommender", "rec", "--memcache_pool_size", "3"]
    arguments += ["--memcache_servers", "127.0.0.1:1", "--workers", "1"]
    with started(tmp_path, *arguments, PYTHONPATH=str(ROOT)) as (_, address):
        body = {"client": "c", "user_id": 1, "limit": 5, "candidates": [2, 1, 9]}
        status, answer = get(f"{address}/recommend", json.dumps(body).encode())
        assert status == 200
        assert [each["item"] for each in answer["recommended"]] == [1, 2, 9]
    assert set(Path(tempfile.gettempdir()).glob("microservice-metrics-*")) <= before

    save_extension(Doubling(5), tmp_path / "ext")
    arguments = ["extension", "--extension", "ext", "--workers", "1"]
    with started(tmp_path, *arguments) as (_, address):
        assert get(f'{address}/extension?json={{"x":2}}')[1]["result"] == 10


@pytest.mark.service
def test_a_model_that_cannot_be_loaded_ends_the_command(tmp_path):
    command = [sys.executable, "-m", "seldon.microservice", "extension", "--extension", "nowhere"]
    command += ["--host", "127.0.0.1", "--port", str(free_port())]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    started_at = time.monotonic()
    done = subprocess.run(
        command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100
    )
    assert done.returncode != 0
    assert "seldon.microservice: nowhere is not a model folder" in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - started_at < 90, "it does not try again for ever"


@pytest.mark.parametrize("service", ["recommend", "predict", "rpc", "extension"])
def test_help_for_a_newcomer(service, capsys):
    with pytest.raises(SystemExit) as ended:
        main([service, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    options = {"recommend": "--recommender --memcache_servers --memcache_pool_size"}
    options |= {"extension": "--extension"}
    wanted = options.get(service, "--model_name --pipeline") + " --aws_key --aws_secret --port"
    assert all(option in text for option in wanted.split())


def test_what_is_wrong_is_one_line(tmp_path, capsys):
    given = ["rpc", "--pipeline", str(tmp_path / "none"), "--model-name", "m"]
    assert main(given) == 2
    assert capsys.readouterr().err.startswith("seldon.microservice: ")
    assert main([*given, "--handler", "tests.saved_models:Nothing"]) == 2
    assert "tests.saved_models has no class 'Nothing'" in capsys.readouterr().err
    assert main([*given, "--import", "no_such_module"]) == 2
    assert "cannot import 'no_such_module'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([])
