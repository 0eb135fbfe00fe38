"""`docs/models-api.md`, followed to the letter."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.services.processes import ROOT, gunicorn

PAGE = (ROOT / "docs" / "models-api.md").read_text(encoding="utf-8")


def test_the_addresses_are_those_of_our_gunicorn():
    bind = re.search(r'^bind = "(.+)"$', (ROOT / "gunicorn.conf.py").read_text(), re.MULTILINE)[1]
    assert set(re.findall(r"http://([^/ ]+)", PAGE)) == {bind}


@pytest.mark.slow
@pytest.mark.service
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_do_what_they_say(tmp_path):
    blocks = re.findall(r"^ *```bash\n.*?```$", PAGE, re.MULTILINE | re.DOTALL)
    start, write, upload, train, show, ask, commands = blocks[:7]
    keys = re.search(r"SELDON_API_KEYS='(.+)'", start)[1]
    environ = {
        **os.environ,
        "SELDON_API_KEYS": keys,
        "SELDON_MODELS_ROOT": f"{tmp_path}/models",
        "SELDON_MODELS_INPUT_ROOT": f"{tmp_path}/inputs",
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with gunicorn("recommender:app", log=tmp_path / "log", env=environ) as (_, port):

        def run(block, **names):
            lines = textwrap.dedent(block).splitlines()[1:-1]
            text = "\n".join(lines).replace("127.0.0.1:5000", f"127.0.0.1:{port}")
            for name, value in names.items():
                text = text.replace(name, value)
            return subprocess.check_output(
                ["bash", "-e", "-c", text], cwd=tmp_path, env=environ, text=True
            )

        assert run(write) == run(upload) == ""
        model_id = json.loads(run(train))["id"]
        deadline = time.monotonic() + 120
        while (model := json.loads(run(show, MODEL_ID=model_id)))["modelStatus"] != "Completed":
            assert model["modelStatus"] in ("Created", "InProgress"), model
            assert time.monotonic() < deadline
            time.sleep(0.2)
        for answer in re.findall(r"\[.*?\]", run(ask)):
            assert [one["recommendedItemId"] for one in json.loads(answer)] == ["cup", "spoon"]
        printed = run(commands)
        assert "cup" in printed and printed.count("Completed") == 2
