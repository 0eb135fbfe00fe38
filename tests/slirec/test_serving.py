"""SLi-Rec behind the real service: gunicorn, memcached, `algs/saved_recommender.py`."""

import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the extra slirec is not installed")
torch.set_num_threads(1)

from seldon import save_recommender  # noqa: E402
from seldon.slirec.dataset import split  # noqa: E402
from seldon.slirec.model import SLiRecRecommender  # noqa: E402
from seldon.slirec.training import train  # noqa: E402
from tests.services.processes import ROOT, gunicorn, memcached  # noqa: E402
from tests.slirec.sequences import chained_events  # noqa: E402
from tests.slirec.small import small  # noqa: E402


@pytest.mark.service
def test_a_sequence_is_continued_through_recommend_without_torch(tmp_path):
    dataset = split(chained_events(0.9))
    network = train(dataset, small(epochs=3), tmp_path / "training").network
    recommender = SLiRecRecommender.of(network, dataset, {f"i{n}": 100 + n for n in range(12)})
    save_recommender(recommender, tmp_path / "model")
    with memcached() as (_, cache):
        import pylibmc

        pylibmc.Client([f"127.0.0.1:{cache}"])["candidates"] = "[101,103,106,777]"
        environment = {
            "SELDON_RECOMMENDER_ALG": "saved_recommender",
            "SELDON_RECOMMENDER_MODEL": str(tmp_path / "model"),
            "SELDON_MEMCACHE__servers": f'["127.0.0.1:{cache}"]',
        }
        log = tmp_path / "gunicorn.log"
        with gunicorn("recommender:app", "-w", "1", log=log, env=environment) as (process, port):

            def ask(**query):
                wire = urllib.parse.urlencode({"client": "shop", "user_id": 7, **query})
                address = f"http://127.0.0.1:{port}/recommend?{wire}"
                with urllib.request.urlopen(address, timeout=30) as response:
                    return json.load(response)["recommended"]

            for recent, following in (("105,104,103", 106), ("110,109,108", 111)):
                found = ask(recent_interactions=recent, limit=3)
                assert found[0]["item"] == following
                assert len(found) == 3
            found = ask(recent_interactions="105,104", data_key="candidates", limit=9)
            assert {entry["item"] for entry in found} == {101, 103, 106}
            assert found[0]["item"] == 106
            assert len(ask(limit=99)) == 12  # nothing recent: the most popular
            for pid in (process.pid, *children(process.pid)):
                assert "libtorch" not in Path(f"/proc/{pid}/maps").read_text()


def children(pid):
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert listed
    return map(int, listed)


@pytest.mark.parametrize("told", [None, "3"])
def test_a_worker_computes_on_one_thread_unless_told(told, tmp_path):
    code = "import os, runpy; runpy.run_path('gunicorn.conf.py')"
    code += "; print(os.environ['OPENBLAS_NUM_THREADS'])"
    kept = {name: value for name, value in os.environ.items() if "THREADS" not in name}
    extra = {"OPENBLAS_NUM_THREADS": told} if told else {}
    environment = {**kept, **extra, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    said = subprocess.check_output(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, text=True
    )
    assert said.strip() == (told or "1")
