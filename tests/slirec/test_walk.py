"""The walk by its commands; what each step refuses it says in one line."""

import io
import json
import os
import pickle
import subprocess
import sys

import pytest

from seldon import load_recommender
from seldon.errors import InvalidModel
from seldon.slirec.__main__ import main
from seldon.slirec.commands import _measured
from seldon.slirec.dataset import load_dataset
from seldon.slirec.events import read_events
from seldon.slirec.inventory import (
    InventorySnapshot,
    read_inventory,
    sample_inventory,
    write_inventory,
)
from tests.services.processes import ROOT
from tests.services.shopify import TOKEN, Shop, serving
from tests.slirec.test_inventory import SHOWCASE
from tests.slirec.test_snowplow import view, write

STEPS = ["snapshot", "populate", "cleanup", "generate", "split", "train", "evaluate", "package"]
STEPS += ["recommend"]


@pytest.mark.parametrize("step", ["", *STEPS])
def test_help(step, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*step.split(), "--help"])
    assert ended.value.code == 0
    assert (step or "snapshot") in capsys.readouterr().out


def test_as_a_command(tmp_path):
    command = [sys.executable, "-m", "seldon.slirec", "snapshot", "--sample"]
    done = subprocess.run([*command, "--folder", tmp_path], capture_output=True, text=True)
    assert done.stdout == f"{tmp_path / 'inventory.json'}: 143 products in 10 categories\n"
    assert read_inventory(tmp_path / "inventory.json") == sample_inventory()


def test_sample_to_dataset(tmp_path, capsys):
    folder = ["--folder", str(tmp_path)]
    assert main(["snapshot", "--sample", *folder]) == 0
    assert main(["generate", "--users", "8", "--now", "1700000000", *folder]) == 0
    assert main(["split", "--test-negatives", "5", *folder]) == 0
    dataset = load_dataset(tmp_path / "dataset")
    assert len(dataset.users) == 8
    assert dataset.test.item.shape == (8, 6)
    assert "of 8 users" in capsys.readouterr().out


def test_own_table(tmp_path):
    folder = ["--folder", str(tmp_path)]
    main(["snapshot", "--sample", *folder])
    (tmp_path / "log.csv").write_text("who;what;when\nann;teapot;1700000000\nann;odd;1700000001\n")
    columns = ["--column", "user=who", "--column", "item=what", "--column", "time=when"]
    own = ["--events", str(tmp_path / "log.csv"), "--separator", ";", *columns]
    assert main(["generate", *own, "--column", "category=", *folder]) == 0
    events = read_events(tmp_path / "events.tsv")
    assert events.item.tolist() == ["teapot", "odd"]
    assert events.category.tolist() == ["Coffee & Tea", ""]


def test_own_snowplow_events(tmp_path, capsys):
    folder = ["--folder", str(tmp_path)]
    main(["snapshot", "--sample", *folder])
    path = write(tmp_path / "events.jsonl", view("teapot"), view("made-up"))
    assert main(["generate", "--snowplow", str(path), *folder]) == 0
    assert read_events(tmp_path / "events.tsv").item.tolist() == ["teapot"]
    assert "1 left out: a product that is not in the inventory" in capsys.readouterr().out


def test_pickled_snapshot(tmp_path):
    (tmp_path / "inventory.pkl").write_bytes(pickle.dumps(SHOWCASE))
    source = ["--import-pickle", str(tmp_path / "inventory.pkl")]
    assert main(["snapshot", *source, "--folder", str(tmp_path)]) == 0
    assert len(read_inventory(tmp_path / "inventory.json")) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate"], "inventory.json' does not exist; `snapshot` writes it"),
        (["split"], "inventory.json' does not exist"),
        (["snapshot"], "SHOPIFY_STORE_URL is not set"),
        (["snapshot", "--import-pickle", "/nonexistent"], "'/nonexistent' does not exist"),
        (["generate", "--sample"], "unrecognized arguments: --sample"),
    ],
)
def test_what_is_missing_is_said(tmp_path, arguments, message, capsys, monkeypatch):
    monkeypatch.delenv("SHOPIFY_STORE_URL", raising=False)
    try:
        code = main([*arguments, "--folder", str(tmp_path)])
    except SystemExit as ended:
        code = ended.code
    told = capsys.readouterr().err
    assert code in (1, 2)
    assert message in told
    assert "Traceback" not in told


def test_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["snapshot", "--sample", "--folder", str(tmp_path / "file" / "folder")]) == 1
    assert "Not a directory" in capsys.readouterr().err


def test_steps_out_of_order_and_wrong_columns(tmp_path, capsys):
    folder = ["--folder", str(tmp_path)]
    main(["snapshot", "--sample", *folder])
    assert main(["split", *folder]) == 1
    assert "events.tsv does not exist; the step 'generate' writes it" in capsys.readouterr().err
    (tmp_path / "log.csv").write_text("a\n")
    own = ["--events", str(tmp_path / "log.csv")]
    assert main(["generate", *own, "--column", "usr=a", *folder]) == 1
    assert "is not ROLE=NAME" in capsys.readouterr().err


def test_a_full_disk_leaves_the_events_as_they_were(tmp_path, capsys, monkeypatch):
    folder = ["--folder", str(tmp_path)]
    main(["snapshot", "--sample", *folder])
    main(["generate", "--users", "2", *folder])
    before = (tmp_path / "events.tsv").read_bytes()

    def full(table, path, **options):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pandas.DataFrame.to_csv", full)
    assert main(["generate", "--users", "3", *folder]) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert (tmp_path / "events.tsv").read_bytes() == before


def test_ctrl_c_is_said_in_a_line(tmp_path, capsys, monkeypatch):
    folder = ["--folder", str(tmp_path)]
    main(["snapshot", "--sample", *folder])

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("seldon.slirec.synthesis.generate", interrupted)
    assert main(["generate", *folder]) == 130
    assert capsys.readouterr().err == "generate: stopped; the same command goes on\n"


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    command = f"{sys.executable} -m seldon.slirec snapshot --sample --folder {tmp_path} | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stderr == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.service
def test_populate_snapshot_and_clean_up_ask_first(tmp_path, capsys, monkeypatch):
    with serving(Shop(bucket=10_000.0, restored_per_second=1e6)) as shop:
        monkeypatch.setenv("SHOPIFY_STORE_URL", shop.url)
        monkeypatch.setenv("SHOPIFY_ACCESS_TOKEN", TOKEN)
        small = tmp_path / "small.json"
        products = sample_inventory().products
        write_inventory(InventorySnapshot(products[:5] + products[40:45]), small)
        assert main(["populate", "--inventory", str(small)]) == 0
        assert len(shop.products) == 10
        assert main(["snapshot", "--folder", str(tmp_path)]) == 0
        assert len(read_inventory(tmp_path / "inventory.json")) == 10

        monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
        assert main(["cleanup", "--inventory", str(small)]) == 1
        assert "--yes says so beforehand" in capsys.readouterr().err
        for answer in ("no\n", ""):  # the second is Ctrl-D
            monkeypatch.setattr("sys.stdin", Terminal(answer))
            assert main(["cleanup", "--inventory", str(small)]) == 1
            assert "nothing was deleted" in capsys.readouterr().err
        assert len(shop.products) == 10
        monkeypatch.setattr("sys.stdin", Terminal("yes\n"))
        assert main(["cleanup", "--inventory", str(small)]) == 0
        assert not shop.products
        shop.add_product("Own", "Things")
        assert main(["cleanup"]) == 0
        assert main(["cleanup", "--everything", "--yes"]) == 0
        assert not shop.products
        told = "".join(capsys.readouterr())
        assert "nothing to delete" in told
        assert TOKEN not in told


SMALL = """
item_embedding_dim: 8
cate_embedding_dim: 4
hidden_size: 12
att_fcn_layer_sizes: [8]
layer_sizes: [8]
max_seq_length: 10
epochs: 1
"""


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """Every step on the sample, with a network that is small enough for a test."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("walk")
    (folder / "small.yaml").write_text(SMALL)
    for step in (
        ["snapshot", "--sample"],
        ["generate", "--users", "6", "--now", "1700000000"],
        ["split"],
        ["train", "--quiet", "--device", "cpu", "--hyperparameters", str(folder / "small.yaml")],
        ["evaluate", "--own-categories"],
        ["package", "--no-mlflow"],
    ):
        assert main([*step, "--folder", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_the_walk_ends_in_recommendations(walked, capsys):
    folder = ["--folder", str(walked)]
    when = ["--timestamps", "1699999000,1699999900000", "--now", "1700000000"]
    assert main(["recommend", "--items", "moka-pot,teapot", *when, "--limit", "3", *folder]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    scores = [float(line.split()[0]) for line in lines]
    assert scores == sorted(scores, reverse=True)
    assert all(line.split()[2] in sample_inventory().by_handle for line in lines)
    metrics = json.loads((walked / "metrics.json").read_text())
    assert [entry["groups"] for entry in metrics] == [6] * len(metrics)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--items", "moka-pot", "--timestamps", "1,2"], "2 timestamps do not go with 1 items"),
        (["--items", "moka-pot", "--timestamps", "soon"], "timestamps has 'soon'"),
        (["--items", "moka-pot", "--limit", "0"], "count=0"),
    ],
)
def test_bad_questions(walked, capsys, arguments, message):
    assert main(["recommend", *arguments, "--folder", str(walked)]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_odd_histories_are_answered(walked, capsys):
    for items in ("", "made-up", ",".join(["teapot"] * 60), "made-up,teapot"):
        assert main(["recommend", "--items", items, "--folder", str(walked)]) == 0
        told = capsys.readouterr()
        assert len(told.out.splitlines()) == 10
        assert ("training never met it: made-up" in told.err) == ("made-up" in items)


@pytest.mark.slow
def test_a_request_through_recommend_without_torch(walked):
    """The saved model behind GET /recommend, in a process that never loads torch."""
    number = sample_inventory().by_handle["moka-pot"].number
    code = (
        "import sys, json; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from seldon.app import create_app\n"
        "app = create_app(root=Path(sys.argv[1]), RECOMMENDER_ALG='saved_recommender',\n"
        "    RECOMMENDER_MODEL=sys.argv[2], MEMCACHE={'servers': [], 'pool_size': 1})\n"
        f"answer = app.test_client().get('/recommend?client=c&user_id=1&limit=4'\n"
        f"    '&recent_interactions={number}&exclusion_items={number}')\n"
        "print('ANSWER', answer.status_code, answer.text)"
    )
    command = [sys.executable, "-c", code, str(ROOT), str(walked / "model")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    told = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
    assert told, done.stderr
    _, status, body = told[0].split(" ", 2)
    assert status == "200", body
    found = [entry["item"] for entry in json.loads(body)["recommended"]]
    numbers = {product.number for product in sample_inventory().products}
    assert len(found) == 4
    assert set(found) <= numbers - {number}


@pytest.mark.slow
def test_only_metrics_of_this_training_are_logged(walked):
    found = _measured(walked)
    assert 0 <= found["ndcg_at_2"] <= 1
    metrics, now = walked / "metrics.json", (walked / "metrics.json").stat().st_mtime
    os.utime(metrics, (0, 0))
    assert _measured(walked) == {}
    os.utime(metrics, (now, now))
    text = metrics.read_text()
    metrics.write_text("[{")
    with pytest.raises(InvalidModel, match="not what the step 'evaluate' wrote"):
        _measured(walked)
    metrics.write_text(text)


@pytest.mark.slow
def test_popularity_is_packaged(walked, tmp_path):
    for part in ("dataset", "training", "inventory.json"):
        (tmp_path / part).symlink_to(walked / part)
    folder = ["--folder", str(tmp_path)]
    assert main(["package", "--no-mlflow", "--popularity", "0.5", *folder]) == 0
    assert load_recommender(tmp_path / "model").popularity == 0.5
    assert load_recommender(walked / "model").popularity == 1


@pytest.mark.slow
def test_a_model_of_another_shop_is_not_packaged(walked, tmp_path, capsys):
    for part in ("dataset", "training"):
        (tmp_path / part).symlink_to(walked / part)
    write_inventory(InventorySnapshot(()), tmp_path / "inventory.json")
    assert main(["package", "--no-mlflow", "--folder", str(tmp_path)]) == 1
    assert "trained items has an id" in capsys.readouterr().err


def test_unknown_hyperparameter(tmp_path, capsys):
    pytest.importorskip("torch")
    folder = ["--folder", str(tmp_path)]
    main(["snapshot", "--sample", *folder])
    main(["generate", "--users", "3", "--now", "1700000000", *folder])
    main(["split", *folder])
    (tmp_path / "bad.yaml").write_text("epoch: 3\n")
    capsys.readouterr()
    assert main(["train", "--hyperparameters", str(tmp_path / "bad.yaml"), *folder]) == 1
    assert "epochs" in capsys.readouterr().err
    assert main(["train", "--threads", "0", *folder]) == 1
    assert "--threads 0 is not a whole number from 1" in capsys.readouterr().err
    assert main(["evaluate", *folder]) == 1
    assert "the step 'train' writes it" in capsys.readouterr().err
