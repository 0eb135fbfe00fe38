"""`python -m seldon.sar` as a person and as a program would use it."""

import gzip
import json
import shlex
import subprocess
import sys

import numpy as np
import pytest

from seldon.folders import open_folder
from seldon.sar import commands
from seldon.sar.__main__ import main
from tests.services.processes import ROOT


@pytest.fixture(scope="module")
def usage(tmp_path_factory):
    """Two tastes: users take items of their own half, at rising times."""
    rng = np.random.default_rng(0)
    lines = [
        f"u{user},i{(user % 2) * 20 + int(item):02d},2026-03-{1 + day:02d}T12:00:00"
        for user in range(120)
        for day, item in enumerate(rng.permutation(20)[:8])
    ]
    path = tmp_path_factory.mktemp("usage") / "usage.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def model(usage, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "model"
    assert main(["train", "--usage", str(usage), "--output", str(folder), "--json"]) == 0
    return folder


@pytest.fixture
def ask(capsys):
    """Run a command with --json and return what it prints."""

    def ask(*arguments):
        capsys.readouterr()
        assert main([*map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return ask


@pytest.fixture
def refused(capsys):
    """Run a command that must fail; return its one line."""

    def refused(*arguments):
        capsys.readouterr()
        assert main(list(map(str, arguments))) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        *notes, line = captured.err.strip().split("\n")
        assert all(n.startswith("note: ") for n in notes)
        assert line.startswith("error: ")
        return line

    return refused


def half(item):
    return int(item[1:]) // 20


def test_similar_answers_items_and_scores(model, ask):
    found = ask("similar", "--model", model, "--item", "i03", "--count", 4)
    assert len(found) == 4
    assert all(set(each) == {"item", "score"} for each in found)
    assert {half(each["item"]) for each in found} == {0}
    scores = [each["score"] for each in found]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0


def test_recommend_to_a_user_and_to_items(model, ask):
    found = ask("recommend", "--model", model, "--user", "u1", "--count", 3)
    assert [half(each["item"]) for each in found] == [1, 1, 1]
    found = ask("recommend", "--model", model, "--item", "i00", "--item", "i01", "--count", 3)
    assert [half(each["item"]) for each in found] == [0, 0, 0]


def test_explanations_add_up_to_the_score(model, ask):
    recommended = ask("recommend", "--model", model, "--user", "u1", "--count", 2)
    explained = ask("explain", "--model", model, "--user", "u1", "--count", 2)
    for shown, why in zip(recommended, explained, strict=True):
        assert why["item"] == shown["item"]
        assert why["score"] == pytest.approx(shown["score"])
        assert sum(part["score"] for part in why["because"]) == pytest.approx(shown["score"])
    (one,) = ask("explain", "--model", model, "--user", "u1", "--for", explained[1]["item"])
    assert one == explained[1]


def test_tables_for_people(model, capsys):
    assert main(["similar", "--model", str(model), "--item", "i03", "--count", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["item", "score"]
    assert len(lines) == 4
    assert main(["explain", "--model", str(model), "--user", "u1"]) == 0
    assert "because of" in capsys.readouterr().out


def test_train_says_what_it_did(usage, tmp_path, ask):
    said = ask(
        "train", "--usage", usage, "--output", tmp_path / "m", "--similarity", "Lift",
        "--support-threshold", 2, "--decay-days", 30, "--evaluation", usage,
    )  # fmt: skip
    assert (said["events"], said["users"], said["items"]) == (960, 120, 40)
    assert said["parameters"]["similarity_function"] == "Lift"
    assert said["parameters"]["enable_user_affinity"] is True
    assert said["parameters"]["decay_period_in_days"] == 30
    assert said["usage"] == {"lines": 960, "accepted": 960, "errors": {}}
    assert "ndcg@10" in said["evaluation"]["values"]


def test_a_day_is_added_to_counts(usage, tmp_path, ask):
    """The same folder, byte for byte, as from all events at once."""
    lines = usage.read_text().splitlines(keepends=True)
    (tmp_path / "before.csv").write_text("".join(lines[:700]))
    (tmp_path / "day.csv").write_text("".join(lines[700:]))
    before, day, counts = (tmp_path / name for name in ("before.csv", "day.csv", "counts"))

    def trained(name, *arguments):
        ask("train", "--output", tmp_path / name, "--support-threshold", 2, *arguments)
        return open_folder(tmp_path / name).files

    everything = trained("everything", "--usage", usage)
    assert trained("base", "--usage", before, "--counts", counts) != everything
    assert trained("added", "--counts", counts, "--add", day) == everything
    assert trained("again", "--counts", counts) == everything
    assert trained("at once", "--usage", before, "--add", day) == everything
    lift = trained("lift", "--usage", usage, "--similarity", "Lift")
    assert trained("lift too", "--counts", counts, "--similarity", "Lift") == lift


def test_a_day_is_in_the_counts_only_when_its_model_is_there(
    usage, tmp_path, ask, refused, monkeypatch
):
    """Otherwise the run that is repeated after a full disk would count the day twice."""
    counts, output = tmp_path / "counts", tmp_path / "m"
    ask("train", "--usage", usage, "--counts", counts, "--output", output)
    before = open_folder(counts).files
    with monkeypatch.context() as patched:

        def full(*_):
            raise OSError("No space left on device")

        patched.setattr(commands, "save_recommender", full)
        line = refused("train", "--counts", counts, "--add", usage, "--output", output)
    assert "No space left" in line
    assert open_folder(counts).files == before


def test_estimate(usage, ask, capsys):
    found = ask("estimate", "--usage", usage, "--support-threshold", 1)
    assert (found["events"], found["users"], found["items"], found["baskets"]) == (
        960,
        120,
        40,
        120,
    )
    assert found["visits"] == 120 * 8 * 7 // 2
    assert found["fits"] is True
    assert main(["estimate", "--usage", str(usage), "--memory-limit", "1K"]) == 0
    assert "fits                 no" in capsys.readouterr().out


def test_row_44_what_cannot_fit_is_refused_with_what_would(usage, tmp_path, refused):
    line = refused(
        "train", "--usage", usage, "--output", tmp_path / "m", "--support-threshold", 1,
        "--memory-limit", "30K",
    )  # fmt: skip
    assert "are available" in line
    assert not (tmp_path / "m").exists()


def test_bad_lines_are_noted_and_counted(tmp_path, ask, capsys):
    (tmp_path / "usage.csv").write_text("u1,i1,2026-03-01T00:00:00\nu2,i1,yesterday\n")
    said = ask("train", "--usage", tmp_path / "usage.csv", "--output", tmp_path / "m")
    assert said["usage"]["errors"] == {
        "BadTimestampFormat": {"count": 1, "first": f"{tmp_path}/usage.csv:2"}
    }


def test_tables_with_a_header_and_gzip(tmp_path, ask):
    with gzip.open(tmp_path / "usage.csv.gz", "wt") as stream:
        stream.write("when;customer;product\n")
        stream.writelines(f"2026-03-01;c{n % 5};p{n % 3}\n" for n in range(30))
    said = ask(
        "train", "--usage", tmp_path / "usage.csv.gz", "--output", tmp_path / "m", "--separator",
        ";", "--columns", "user=customer,item=product,time=when", "--format", "table",
    )  # fmt: skip
    assert (said["events"], said["users"], said["items"]) == (30, 5, 3)


@pytest.mark.parametrize(
    "split", ["random", "chronological", "user-chronological", "leave-one-out"]
)
def test_evaluate_a_split(usage, tmp_path, ask, split):
    page = tmp_path / "report.html"
    found = ask("evaluate", "--usage", usage, "--split", split, "--k", "3,10", "--report", page)
    # Within its half a user has 12 to 14 items left; ten at random would find most of them.
    assert found["metrics"]["recall@10"]["mean"] > 0.4
    assert found["metrics"]["recall@10"]["low"] < found["metrics"]["recall@10"]["high"]
    assert len(found["api"]["precision"]) == 5
    assert f"split {split}" in page.read_text()


def test_evaluate_against_another_model(usage, model, tmp_path, ask):
    other = tmp_path / "other"
    # A threshold that no pair reaches leaves popular items only.
    ask("train", "--usage", usage, "--output", other, "--support-threshold", 1000)
    test = tmp_path / "test.csv"
    test.write_text(
        "".join(
            f"u{user},i{(user % 2) * 20 + n:02d},2026-04-01\n"
            for user in range(60)
            for n in range(20)
        )
    )
    found = ask("evaluate", "--model", model, "--evaluation", test, "--against", other)
    assert found["against"]["ndcg@10"]["difference"] > 0.3
    assert found["against"]["ndcg@10"]["p_value"] < 0.01
    assert found["usersScored"] == 60


def test_evaluate_for_people(usage, model, capsys):
    arguments = ["evaluate", "--model", str(model), "--evaluation", str(usage)]
    assert main([*arguments, "--usage", str(usage), "--against", str(model)]) == 0
    said = capsys.readouterr().out
    assert "120 of 120 test users scored" in said
    assert "ndcg@10" in said
    assert "compared with" in said


@pytest.fixture
def releases(usage, tmp_path, ask):
    """A good and a poor model, evaluated on the same events."""
    held = tmp_path / "held.csv"
    held.write_text(
        "".join(
            f"u{user},i{(user % 2) * 20 + n:02d},2026-04-01\n"
            for user in range(60)
            for n in range(20)
        )
    )
    for name, threshold in (("good", 2), ("poor", 1000)):
        ask(
            "train", "--usage", usage, "--output", tmp_path / name, "--evaluation", held,
            "--support-threshold", threshold,
        )  # fmt: skip
    return tmp_path


def test_promote_gate_force_and_rollback(releases, ask, refused):
    live, good, poor = (releases / name for name in ("live", "good", "poor"))
    assert ask("promote", "--model", good, "--to", live)["version"] == 1
    line = refused("promote", "--model", poor, "--to", live)
    assert "ndcg@10" in line
    assert "--force" in line
    assert ask("recommend", "--model", live, "--user", "u1")[0]["score"] > 0
    forced = ask("promote", "--model", poor, "--to", live, "--force")
    assert (forced["version"], forced["previous"]) == (2, [1])
    assert "worse by more" in forced["forced"]
    assert ask("recommend", "--model", live, "--user", "u1")[0]["score"] == 0
    assert ask("rollback", "--model", live) == {"version": 1, "previous": []}
    assert ask("recommend", "--model", live, "--user", "u1")[0]["score"] > 0
    assert "no earlier version" in refused("rollback", "--model", live)


def test_promote_a_version_that_is_there_already(releases, ask):
    live = releases / "live"
    ask("promote", "--model", releases / "good", "--to", live)
    ask("promote", "--model", releases / "good", "--to", live)
    answer = ask("promote", "--model", live / "versions/1", "--to", live)
    assert (answer["version"], answer["previous"]) == (1, [2])


def test_the_gate_can_measure_both_models_itself(releases, ask, refused):
    live = releases / "live"
    ask("promote", "--model", releases / "good", "--to", live)
    held = releases / "held.csv"
    line = refused("promote", "--model", releases / "poor", "--to", live, "--evaluation", held)
    assert "worse by more" in line
    assert ask("promote", "--model", releases / "good", "--to", live, "--evaluation", held)


def test_the_gate_does_not_compare_figures_of_different_events(releases, usage, ask, refused):
    ask("promote", "--model", releases / "good", "--to", releases / "live")
    ask("train", "--usage", usage, "--output", releases / "other", "--evaluation", usage)
    line = refused("promote", "--model", releases / "other", "--to", releases / "live")
    assert "different events" in line
    ask("train", "--usage", usage, "--output", releases / "untested")
    line = refused("promote", "--model", releases / "untested", "--to", releases / "live")
    assert "no ndcg@10" in line


def test_retention(releases, ask):
    live = releases / "live"
    for _ in range(4):
        last = ask("promote", "--model", releases / "good", "--to", live, "--keep", 1)
    assert (last["version"], last["previous"]) == (4, [3])
    assert sorted(p.name for p in (live / "versions").iterdir()) == ["3", "4"]


def test_errors_are_one_line_that_helps(usage, model, tmp_path, refused, ask):
    assert "no such file" in refused(
        "train", "--usage", tmp_path / "no", "--output", tmp_path / "m"
    )
    assert "no manifest.json" in refused("similar", "--model", tmp_path, "--item", "i")
    assert "nothing to train on" in refused("train", "--output", tmp_path / "m")
    assert "name that folder with --counts" in refused(
        "train", "--usage", usage, "--output", tmp_path / "m", "--add", model
    )
    assert "for whom?" in refused("recommend", "--model", model)
    assert "--split" in refused("evaluate", "--model", model)
    assert "--date None" in refused("evaluate", "--usage", usage, "--split", "date")
    assert "give --catalog" in refused(
        "train", "--usage", usage, "--output", tmp_path / "m", "--cold-items"
    )
    line = refused("train", "--usage", usage, "--output", tmp_path / "m", "--support-threshold", 0)
    assert "support_threshold=0: expected at least 1" in line
    assert "such as 8G" in refused(
        "train", "--usage", usage, "--output", tmp_path / "m", "--memory-limit", "lots"
    )
    (tmp_path / "empty").write_text("")
    assert "no usable events" in refused(
        "train", "--usage", tmp_path / "empty", "--output", tmp_path / "m"
    )
    ask("promote", "--model", model, "--to", tmp_path / "live")
    line = refused("train", "--usage", usage, "--output", tmp_path / "live")
    assert "home of versions" in line
    ask("train", "--usage", usage, "--output", tmp_path / "bare", "--no-user-history")
    assert "--no-user-history" in refused("recommend", "--model", tmp_path / "bare", "--user", "u1")


def test_what_could_only_fail_after_the_work_is_refused_before_it(usage, model, tmp_path, refused):
    (tmp_path / "file").write_text("not a folder")
    train = ("train", "--usage", usage)
    spark = (*train, "--output", tmp_path / "m", "--engine", "spark")
    for line, said in (
        (refused(*train, "--output", tmp_path / "file"), "is there already and is not a model"),
        (refused(*train, "--output", tmp_path / "file/m"), "cannot be written: [Errno 20]"),
        (
            refused(*train, "--output", tmp_path / "m", "--counts", tmp_path / "file/c"),
            "--counts",
        ),
        (refused(*train, "--output", tmp_path / "m", "--master", "yarn"), "is of --engine spark"),
        (refused(*spark, "--counts", tmp_path / "c"), "needs --engine local"),
        (refused(*spark, "--evaluation", usage, "--no-user-history"), "--no-user-history"),
        (
            refused(
                "evaluate", "--model", model, "--evaluation", usage,
                "--report", tmp_path / "no/report.html",
            ),
            "expected a file in a folder that is there",
        ),
    ):  # fmt: skip
        assert said in line
        assert line.count("cannot be written") <= 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_promote_and_rollback_refuse_what_they_cannot_use(releases, ask, refused):
    good, live = releases / "good", releases / "live"
    promote = ("promote", "--model", good, "--to", live)
    assert "--to" in refused("promote", "--model", good, "--to", releases / "held.csv")
    assert "--margin nan" in refused(*promote, "--margin", "nan")
    assert "--keep -1" in refused(*promote, "--keep", "-1")
    assert "not a home of versions" in refused("rollback", "--model", live)
    ask(*promote)
    line = refused(*promote, "--metric", "ndgc@10")
    assert "neither model was evaluated by ndgc@10 (the current one has: " in line


def test_seconds_of_reading_are_those_of_reading(usage, tmp_path, ask):
    (tmp_path / "catalog.csv").write_text("i01,one,c\n")
    said = ask(
        "train", "--usage", usage, "--catalog", tmp_path / "catalog.csv",
        "--output", tmp_path / "m", "--support-threshold", 2,
    )  # fmt: skip
    assert said["seconds"]["Parsing usage events"] > 0
    assert next(iter(said["seconds"])) == "Parsing catalog"


def test_row_32_a_damaged_model_is_refused_by_name(model, tmp_path, refused, ask):
    ask("promote", "--model", model, "--to", tmp_path / "live")
    broken = tmp_path / "live/versions/1/similarity_values.npy"
    data = bytearray(broken.read_bytes())
    data[-1] ^= 1
    broken.unlink()
    broken.write_bytes(data)
    line = refused("similar", "--model", tmp_path / "live", "--item", "i01")
    assert "similarity_values.npy: its SHA-256" in line


def test_unknown_ids_are_noted(model, capsys):
    assert main(["similar", "--model", str(model), "--item", "nothing", "--json"]) == 0
    captured = capsys.readouterr()
    assert all(each["score"] == 0 for each in json.loads(captured.out))
    assert captured.err == "note: item 'nothing' is not in the model\n"
    assert main(["recommend", "--model", str(model), "--user", "nobody", "--json"]) == 0
    assert capsys.readouterr().err == "note: user 'nobody' is not in the model\n"
    assert main(["explain", "--model", str(model), "--user", "u1", "--for", "x", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "note: item 'x' is not in the model\n"
    assert json.loads(captured.out) == [{"item": "x", "score": 0.0, "because": []}]


@pytest.mark.slow
def test_as_a_program(usage, model, tmp_path):
    """The real command line, from another folder."""
    command = [sys.executable, "-m", "seldon.sar"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    shown = subprocess.run(
        [*command, "--help"], capture_output=True, text=True, cwd=tmp_path, env=environment
    )
    assert shown.returncode == 0
    for name in (
        "train",
        "evaluate",
        "recommend",
        "similar",
        "explain",
        "promote",
        "rollback",
        "estimate",
    ):
        assert f"    {name} " in shown.stdout
    failed = subprocess.run(
        [*command, "similar", "--model", "nope", "--item", "i"],
        capture_output=True, text=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert failed.returncode == 2
    assert failed.stderr == "error: nope is not a model folder: it has no manifest.json\n"
    # Files may not grow beyond 2 kB: what a full disk does. Python must not write its bytecode
    # then, or it leaves cut files in the environment that every later process fails on.
    program = shlex.join([*command, "train", "--usage", str(usage), "--output", "full"])
    full = subprocess.run(
        ["bash", "-c", f"ulimit -f 2; PYTHONDONTWRITEBYTECODE=1 {program}"],
        capture_output=True, text=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert full.returncode == 2
    assert full.stderr.startswith("error: --output full cannot be written: ")
    assert full.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    wrong = subprocess.run([*command, "trian"], capture_output=True, text=True, env=environment)
    assert wrong.returncode == 2
