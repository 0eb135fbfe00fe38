"""The MLflow model: round trip, a clean environment without this checkout, a real server."""

import contextlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("mlflow")

from seldon.errors import InvalidModel, InvalidParameter
from seldon.slirec.dataset import split
from seldon.slirec.hyperparameters import Hyperparameters
from seldon.slirec.inventory import InventorySnapshot, Product
from seldon.slirec.model import SLiRecRecommender
from seldon.slirec.network import SLiRecNetwork
from seldon.slirec.packaging import (
    log_model,
    read_artifacts,
    save_model,
    seconds,
    write_artifacts,
)
from tests.services.processes import free_port, stop, wait_for_port
from tests.slirec.sequences import chained_events

# MLflow warns about itself, when it is imported and when it logs; that is not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")

HISTORY = ["i1", "i2", "i3"]
TIMES = [1_700_000_000, 1_700_003_600, 1_700_090_000]


@pytest.fixture(scope="module")
def inventory():
    """Item 11 has left it, and one product is new."""
    products = [
        Product(
            f"gid://shopify/Product/{1000 + n}", f"i{n}", f"Item {n}", "low" if n < 6 else "high"
        )
        for n in range(11)
    ]
    return InventorySnapshot((*products, Product("gid://shopify/Product/9", "new", "New", "low")))


@pytest.fixture(scope="module")
def recommender(inventory):
    """Weights as they are before training: what is packaged does not depend on their worth."""
    import torch

    torch.manual_seed(1)
    dataset = split(chained_events(0.9, users=8, length=12))
    h = Hyperparameters.of({"init_value": 0.5, "variant": "published"})
    network = SLiRecNetwork(
        len(dataset.vocabulary.items), len(dataset.vocabulary.categories), h
    ).eval()
    return SLiRecRecommender.of(network, dataset, {p.handle: p.number for p in inventory.products})


def expected(recommender, inventory, limit, now=None):
    handles = [p.handle for p in inventory.products]
    names, scores = recommender.rank(HISTORY, TIMES, now, limit, handles)
    return [inventory.by_handle[name].id for name in names], scores


def test_artifacts_round_trip(recommender, inventory, tmp_path):
    write_artifacts(recommender, inventory, tmp_path)
    found, stock = read_artifacts(tmp_path)
    assert stock == inventory
    names, scores = recommender.rank(HISTORY, TIMES)
    again, same = found.rank(HISTORY, TIMES)
    assert again == names
    assert np.array_equal(same, scores)
    assert {path.name for path in tmp_path.iterdir()} == {
        "weights.safetensors",
        "model.json",
        "inventory.json",
    }


def test_items_that_left_and_new_ones_are_not_recommended(recommender, inventory):
    ids, scores = expected(recommender, inventory, 100)
    assert sorted(ids) == sorted(p.id for p in inventory.products if p.handle != "new")
    assert (np.diff(scores) <= 0).all()


def _header(shape):
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 4 * int(np.prod(shape))]}
    text = json.dumps({"item_ids": entry}).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * 16


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(_header([10**6, 10**6]), id="row 35: 10^12 elements"),
        pytest.param(struct.pack("<Q", 2**63) + b"{}", id="row 35: header of 2^63 bytes"),
        pytest.param(b"", id="empty"),
        pytest.param(b"\x80\x04]\x94.", id="row 34: a pickle"),
        pytest.param(_header([4]), id="other arrays"),
    ],
)
def test_unusable_weights(recommender, inventory, tmp_path, content):
    write_artifacts(recommender, inventory, tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(content)
    with pytest.raises(InvalidModel, match="not a packaged SLi-Rec model"):
        read_artifacts(tmp_path)


@pytest.mark.parametrize("name", ["weights.safetensors", "model.json"])
def test_missing_file(recommender, inventory, tmp_path, name):
    write_artifacts(recommender, inventory, tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InvalidModel, match=name):
        read_artifacts(tmp_path)


def test_vocabulary_of_another_model(recommender, inventory, tmp_path):
    write_artifacts(recommender, inventory, tmp_path)
    document = json.loads((tmp_path / "model.json").read_text())
    document["vocabulary"]["items"].append("more")
    document["vocabulary"]["item_category"].append(0)
    (tmp_path / "model.json").write_text(json.dumps(document))
    with pytest.raises(InvalidModel, match="do not belong to a vocabulary of 14 items"):
        read_artifacts(tmp_path)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("1730807061", 1_730_807_061),
        (1_730_807_061, 1_730_807_061),
        ("1730807061123", 1_730_807_061.123),
        (1_730_807_061_123, 1_730_807_061.123),
        ("-5", -5),
        ("1.5", 1.5),
    ],
)
def test_seconds_or_milliseconds(given, wanted):
    assert seconds(given) == pytest.approx(wanted)


@pytest.mark.parametrize("given", ["soon", "", None, "nan", "inf", "1e999", []])
def test_no_timestamp(given):
    with pytest.raises(InvalidParameter, match="expected seconds or milliseconds"):
        seconds(given)


def test_inventory_of_another_shop(recommender, tmp_path):
    other = InventorySnapshot((Product("gid://shopify/Product/1", "x", "X", "low"),))
    with pytest.raises(InvalidParameter, match="knows none of the 1 products"):
        save_model(recommender, other, tmp_path / "mlflow")
    assert not (tmp_path / "mlflow").exists()


def test_row_65_without_mlflow():
    code = (
        "import sys; sys.modules['mlflow'] = None\n"
        "from seldon.slirec.packaging import save_model\n"
        "save_model(None, None, '/nonexistent/model')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'seldon-recommender[mlflow]'" in done.stderr


# --- with MLflow itself ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def logged(recommender, inventory, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    first = log_model(recommender, inventory, tracking_uri=uri, registered_name="shop")
    second = log_model(
        recommender, inventory, tracking_uri=uri, registered_name="shop", metrics={"auc": 0.9}
    )
    assert (first.uri, second.uri, second.version) == ("models:/shop/1", "models:/shop/2", 2)
    return folder, uri


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """A new virtual environment with MLflow and what the model asks for; not this project."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    python = folder / "bin" / "python"
    import mlflow

    wanted = [f"mlflow-skinny=={mlflow.__version__}", "sqlalchemy", "alembic"]
    wanted += ["numpy", "pandas", "safetensors", "fastapi", "uvicorn"]
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if uv:
        commands = [[uv, "venv", "-q", "--python", sys.executable, folder]]
        commands += [[uv, "pip", "install", "-q", "--python", python, *wanted]]
    else:
        commands = [[sys.executable, "-m", "venv", folder]]
        commands += [[python, "-m", "pip", "install", "-q", *wanted]]
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=240)
        except subprocess.TimeoutExpired:
            pytest.skip("no package index answers in time")
        if done.returncode:
            pytest.skip(f"no package index: {done.stderr.strip()[-300:]}")
    return python


def environment(uri, python):
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return {
        **kept,
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": uri,
        "MLFLOW_REGISTRY_URI": uri,
        # MLflow itself refuses every pickle.
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    }


ASK = """
import importlib.util, json, sys
assert importlib.util.find_spec("seldon") is None, "this project is installed here"
assert importlib.util.find_spec("torch") is None
import mlflow
model = mlflow.pyfunc.load_model("models:/shop/2")
request = json.loads(sys.argv[1])
print(json.dumps([model.predict(request), model.predict(request, params={"limit": 3})]))
"""


@pytest.mark.slow
@pytest.mark.service
def test_nothing_logged_is_a_pickle(logged):
    folder, _ = logged
    files = [path for path in (folder / "mlartifacts").rglob("*") if path.is_file()]
    suffixes = {path.suffix for path in files}
    assert {".safetensors", ".json", ".py"} <= suffixes
    assert not suffixes & {".pkl", ".pickle", ".joblib", ".pt", ".npy", ".pyc"}
    assert {path.name for path in files if "artifacts" in path.parent.name} >= {"MLmodel"}


@pytest.mark.slow
@pytest.mark.service
@pytest.mark.timeout(900)
def test_mlflow_alone_loads_and_serves_it(logged, clean, recommender, inventory, tmp_path):
    _, uri = logged
    request = {"userId": "visitor-1", "items": HISTORY, "timestamps": [str(t) for t in TIMES]}
    done = subprocess.run(
        [clean, "-c", ASK, json.dumps(request)],
        capture_output=True,
        text=True,
        env=environment(uri, clean),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    all_of_them, three = json.loads(done.stdout.splitlines()[-1])
    ids, _ = expected(recommender, inventory, 16, now=4_000_000_000)
    assert sorted(all_of_them[0]["itemIds"]) == sorted(ids)
    assert three[0]["itemIds"] == all_of_them[0]["itemIds"][:3]
    assert three[0]["preds"] == sorted(three[0]["preds"], reverse=True)

    port = free_port()
    command = [clean, "-m", "mlflow", "models", "serve", "--env-manager", "local"]
    log = (tmp_path / "serve.log").open("w")
    server = subprocess.Popen(
        [*command, "-m", "models:/shop/2", "-p", str(port)],
        env=environment(uri, clean),
        cwd=tmp_path,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        wait_for_port(port, server, 300)
        _check_served(port, request, three[0])
    finally:
        _stop_group(server)
        log.close()


def _check_served(port, request, three):
    columns = list(request)
    row = list(request.values())
    in_milliseconds = {**request, "timestamps": [f"{t}000" for t in TIMES]}
    for body in (
        {"inputs": request},
        {"inputs": in_milliseconds},
        {"dataframe_records": [request]},
        {"dataframe_split": {"columns": columns, "data": [row]}},
    ):
        status, answer = _invoke(port, {**body, "params": {"limit": 3}})
        assert status == 200, answer
        assert answer["predictions"][0]["itemIds"] == three["itemIds"]
        # The moment of judgement is the server's now, which moves on while the test runs.
        assert answer["predictions"][0]["preds"] == pytest.approx(three["preds"], abs=1e-4)
    two = {"columns": columns, "data": [row, ["visitor-2", ["i7"], ["1700000000"]]]}
    status, answer = _invoke(port, {"dataframe_split": two})
    assert [len(row["itemIds"]) for row in answer["predictions"]] == [11, 11]

    for history, times in (([], []), (["unknown"], ["1700000000"]), (["i1"] * 60, ["1"] * 60)):
        status, answer = _invoke(port, {"inputs": {"items": history, "timestamps": times}})
        assert status == 200, answer
        assert len(answer["predictions"][0]["itemIds"]) == 11
    status, answer = _invoke(port, {"inputs": {"items": HISTORY}})
    assert status == 200, answer
    for bad, told in (
        ({"items": HISTORY, "timestamps": ["1", "2"]}, "2 timestamps do not go with 3 items"),
        ({"items": ["i1"], "timestamps": ["soon"]}, "timestamps has 'soon'"),
        ({"timestamps": ["1"]}, "items"),
    ):
        status, answer = _invoke(port, {"inputs": bad})
        assert status == 400, answer
        assert told in json.dumps(answer)


def _invoke(port, body):
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def _stop_group(server):
    """`mlflow models serve` runs the server as a child, in a session of its own here."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    stop(server)
