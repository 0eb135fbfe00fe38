"""The README is true: its settings, its algorithm, its commands and its answer."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from seldon.settings import SETTINGS
from tests.services.processes import ROOT, gunicorn

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.S)


def block(kind, part):
    return next(text for language, text in BLOCKS if language == kind and part in text)


def test_every_setting_is_in_the_table_with_its_default_and_help():
    for setting in SETTINGS.values():
        row = f"| `{setting.name}` | `{setting.default!r}` | {setting.help} |"
        assert row in README, row


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(((?!http)[^)#]+)", README):
        assert (ROOT / target).exists(), target


def test_the_commands_named_exist():
    """Every `python -m seldon.x` of the README answers --help."""
    modules = sorted(set(re.findall(r"python -m (seldon\.\w+)", README)))
    assert modules
    for module in modules:
        done = subprocess.run(
            [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{module}: {done.stderr}"


@pytest.fixture
def deployment(tmp_path):
    """A folder like the checkout, with the README's algorithm put in."""
    for name in ("recommender.py", "recommender_config.py", "gunicorn.conf.py", "algs", "seldon"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    (tmp_path / "algs" / "newest.py").write_text(block("python", "algs/newest.py"))
    return tmp_path


def test_the_algorithm_passes_its_check(deployment):
    command = block("sh", "seldon.check").splitlines()[0].split()
    done = subprocess.run(
        [sys.executable, *command[1:]], cwd=deployment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.service
def test_the_algorithm_is_served(deployment, tmp_path):
    with gunicorn(
        "recommender:app",
        "--chdir",
        str(deployment),
        "--pythonpath",
        str(deployment),
        log=tmp_path / "log",
        env={"SELDON_RECOMMENDER_ALG": "newest"},
    ) as (_, port):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/recommend",
            json.dumps(
                {"client": "a", "user_id": 1, "limit": 2, "candidates": [5, 20, 10]}
            ).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            found = json.load(answer)
    assert found == {"recommended": [{"item": 20, "score": 1.0}, {"item": 10, "score": 0.5}]}


@pytest.mark.service
@pytest.mark.slow
def test_make_run_shows_the_readmes_answer(tmp_path):
    """The quick start trains, serves and asks; the README shows the answer to its own call."""
    script = [sys.executable, str(ROOT / "examples" / "quickstart.py"), "--once"]
    done = subprocess.run(
        script,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    call = re.search(r"limit=(\d+)'", block("sh", "curl"))
    expected = json.loads(block("json", "recommended"))["recommended"]
    shown = json.loads(re.search(r"^\{.*\}$", done.stdout, re.M)[0])["recommended"]
    assert shown[: int(call[1])] == expected
    assert Path(ROOT / "var" / "model").exists()
