"""The commands in the documents work, in the order in which they stand there."""

import re
import shlex

import numpy as np
import pytest

from seldon.sar.__main__ import main
from tests.services.processes import ROOT


def commands(document):
    text = (ROOT / "docs" / document).read_text()
    return [
        shlex.split(line)[3:]
        for line in re.findall(r"^    (python -m seldon\.sar .*)$", text, re.M)
    ]


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """The files that the documents speak of."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    lines = [
        f"u{user},i{(user % 2) * 20 + item},2026-{1 + n // 9}-{1 + n % 9}T12:00:00\n"
        for user in range(1, 80)
        for n, item in enumerate(rng.permutation(20)[:14].tolist())
    ]
    lines.sort(key=lambda line: line.split(",")[2])
    for name, part in (
        ("usage.csv", lines[:900]),
        ("history.csv", lines[:800]),
        ("yesterday.csv", lines[800:900]),
        ("held-out.csv", lines[900:]),
    ):
        (tmp_path / name).write_text("".join(part))
    return tmp_path


def test_the_walk_through(shop, capsys):
    run = commands("sar.md")
    assert len(run) >= 12
    for arguments in run:
        if arguments[0] == "rollback":
            # The walk-through has promoted once by then; going back needs a second time.
            assert main(["promote", "--model", "candidate", "--to", "live"]) == 0
        assert main(arguments) == 0, capsys.readouterr().err
    assert (shop / "report.html").stat().st_size > 10_000


def test_python(shop):
    text = (ROOT / "docs/sar.md").read_text().split("## From Python")[1].split("##")[0]
    code = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    assert main(["train", "--usage", "usage.csv", "--output", "m"]) == 0
    assert main(["promote", "--model", "m", "--to", "live"]) == 0
    exec(compile(code, "docs/sar.md", "exec"), {})
