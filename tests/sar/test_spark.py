"""Apache Spark trains the same folder: on two executors in processes of their own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from seldon.errors import InvalidData
from seldon.folders import open_folder
from seldon.reading import read_interactions
from seldon.sar.__main__ import main
from seldon.sar.parameters import TrainingParameters
from seldon.sar.spark import session, train_on_spark
from seldon.sar.training import NothingToTrain, train
from tests.services.processes import ROOT


def on_spark(test):
    for mark in (pytest.mark.service, pytest.mark.slow, pytest.mark.timeout(600)):
        test = mark(test)
    return test


@pytest.fixture(scope="module")
def spark(tmp_path_factory):
    """Two workers of one core each; they are JVMs of their own, with Python workers below."""
    pyspark = pytest.importorskip("pyspark", exc_type=ImportError)
    if shutil.which("java") is None:
        pytest.skip("Apache Spark needs a Java runtime")
    work = tmp_path_factory.mktemp("spark")
    found = session(
        "local-cluster[2,1,768]",
        {
            "spark.executor.memory": "512m",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            "spark.local.dir": str(work / "scratch"),
            "spark.default.parallelism": "2",
            "spark.log.level": "OFF",
        },
    )
    application = found.sparkContext.applicationId
    yield found
    found.stop()
    # Local clusters log into Spark's own folder, whatever is set.
    shutil.rmtree(Path(pyspark.__file__).parent / "work" / application, ignore_errors=True)


@pytest.fixture(scope="module")
def usage(tmp_path_factory):
    """Three files with some bad lines; users and times cross the files."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("usage")
    for number in range(3):
        lines = [
            f"u{rng.integers(200)},i{min(rng.zipf(1.4), 300)},"
            f"2026-03-{1 + rng.integers(28):02d}T0{rng.integers(10)}:00:00"
            for _ in range(3000)
        ]
        lines[100 * number] = "u1,i1,never"
        (folder / f"part-{number}.csv").write_text("\n".join(lines) + "\n")
    return folder


def assert_same(one, other):
    assert one.parameters == other.parameters
    assert one.latest == other.latest
    for name in ("occurrences", "popular"):
        assert np.array_equal(getattr(one, name), getattr(other, name))
    for name in ("indptr", "columns", "values"):
        assert np.array_equal(getattr(one.similarity, name), getattr(other.similarity, name))
    assert np.array_equal(one.items.ids, other.items.ids)
    assert (one.history is None) == (other.history is None)
    if one.history is not None:
        assert np.array_equal(one.history.users.ids, other.history.users.ids)
        for name in ("offsets", "item", "time", "weight"):
            assert np.array_equal(getattr(one.history, name), getattr(other.history, name))


@on_spark
@pytest.mark.parametrize(
    "parameters",
    [
        TrainingParameters(support_threshold=3, enable_user_to_item_recommendations=True),
        TrainingParameters(
            support_threshold=1, cooccurrence_unit="Timestamp", similarity_function="Lift"
        ),
        TrainingParameters(support_threshold=2, neighbours=5),
    ],
    ids=["users", "timestamps", "neighbours"],
)
def test_the_model_is_the_same_to_the_last_bit(spark, usage, parameters):
    events, report = read_interactions(usage)
    expected, statistics = train(events, parameters=parameters)
    model, found = train_on_spark(spark, usage, parameters)
    assert_same(model, expected)
    assert (found.events, found.users, found.usage_items) == (
        statistics.events,
        statistics.users,
        statistics.usage_items,
    )
    assert found.usage_parsing.errors == report.errors
    assert found.usage_parsing.total_lines == report.total_lines


@on_spark
def test_the_work_is_done_in_two_other_processes(spark):
    def where(_):
        yield os.environ.get("SPARK_EXECUTOR_ID", ""), os.getppid()

    context = spark.sparkContext
    found = context.parallelize(range(8), 8).mapPartitions(where).collect()
    parents = {parent for _, parent in found}
    assert os.getpid() not in parents
    executors = context._jsc.sc().statusTracker().getExecutorInfos()
    # The driver is listed too.
    assert len(executors) == 3


@on_spark
def test_integer_ids(spark, tmp_path):
    (tmp_path / "usage.csv").write_text(
        "".join(f"{n % 7},{n % 11},2026-03-01T00:00:00\n" for n in range(60))
    )
    parameters = TrainingParameters(support_threshold=1, enable_user_to_item_recommendations=True)
    model, _ = train_on_spark(spark, tmp_path, parameters)
    expected, _ = train(read_interactions(tmp_path)[0], parameters=parameters)
    assert model.items.ids.dtype == np.int64
    assert_same(model, expected)


@on_spark
def test_a_spark_that_does_not_start_is_one_line(tmp_path):
    """In a process of its own: this one has a session already."""
    (tmp_path / "usage.csv").write_text("u,i\n")
    command = [sys.executable, "-m", "seldon.sar", "train", "--usage", "usage.csv", "--output", "m"]
    failed = subprocess.run(
        [*command, "--engine", "spark", "--master", "nonsense"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert failed.returncode == 2
    last = failed.stderr.splitlines()[-1]
    assert last.startswith("error: Apache Spark does not start (master nonsense): ")


@on_spark
def test_failures_are_named(spark, tmp_path):
    with pytest.raises(InvalidData, match="no such file"):
        train_on_spark(spark, tmp_path / "none", TrainingParameters())
    (tmp_path / "usage.csv").write_text("u,i,never\n" * 101 + "u,i,2026-03-01\n")
    with pytest.raises(NothingToTrain):
        train_on_spark(spark, tmp_path / "usage.csv", TrainingParameters())
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InvalidData, match="'user'"):
        train_on_spark(
            spark,
            tmp_path / "table.csv",
            TrainingParameters(),
            reading={"format": "table", "columns": {"user": "nobody", "item": "b"}},
        )


@on_spark
@pytest.mark.parametrize("more", [(), ("day", "catalog"), ("catalog", "cold")])
def test_the_command(usage, tmp_path, monkeypatch, capsys, spark, more):
    """`train --engine spark` writes a folder that equals the one trained here, byte for byte."""
    monkeypatch.setattr(spark, "stop", lambda: None)
    (tmp_path / "day.csv").write_text(
        "user_id,item_id,time\n" + "".join(f"u{n % 250},i{n % 7},1772900000\n" for n in range(500))
    )
    (tmp_path / "catalog.csv").write_text(
        "".join(f"i{n},Item {n},c,,colour={n % 3},size={n % 4}\n" for n in range(20, 320))
    )
    options = {
        "day": ["--add", str(tmp_path / "day.csv")],
        "catalog": ["--catalog", str(tmp_path / "catalog.csv")],
        "cold": ["--cold-items", "--cold-to-cold"],
    }
    arguments = ["train", "--usage", str(usage), "--support-threshold", "2", "--json"]
    for engine in ("local", "spark"):
        output = ["--output", str(tmp_path / engine), "--engine", engine]
        chosen = [option for name in more for option in options[name]]
        assert main([*arguments, *output, *chosen]) == 0
    local, distributed = (open_folder(tmp_path / engine) for engine in ("local", "spark"))
    assert local.files == distributed.files
    for name in ("usage", "catalog"):
        assert local.metadata[name] == distributed.metadata[name]
    facts = json.loads((tmp_path / "local/sar.json").read_text())
    assert bool(facts["feature_weights"]) is ("cold" in more)
