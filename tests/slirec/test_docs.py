import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra slirec is not installed")
torch.set_num_threads(1)

from seldon import load_recommender  # noqa: E402
from seldon.slirec.events import write_events  # noqa: E402
from seldon.slirec.hyperparameters import VARIANTS  # noqa: E402
from tests.slirec.sequences import chained_events  # noqa: E402

PAGE = (Path(__file__).parents[2] / "docs" / "slirec.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_example_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_events(chained_events(0.9, users=12), "events.tsv")
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    found = {}
    exec(code, found)
    assert "item similarity" in capsys.readouterr().out
    assert len(found["names"]) == 5
    assert load_recommender("model").catalogue().tolist() == list(range(1, 13))


def test_the_page_names_what_the_variants_set():
    table = PAGE.split("| name | `published`")[1].split("| --- |", 1)[1].split("\n\n")[0]
    named = {
        name for row in table.splitlines()[1:] for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert named == set(VARIANTS["published"]) == set(VARIANTS["mended"])
