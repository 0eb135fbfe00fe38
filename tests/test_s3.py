"""Models in an S3 bucket, over a real HTTP server that speaks S3."""

import os
import subprocess
import sys
import urllib.request

import pytest

from tests.services.processes import ROOT, free_port, stop, wait_for_port

SCRIPT = """
from seldon import RecommenderWrapper, load_recommender
from seldon.microservice import Microservices
from tests.saved_models import Favourites

wrapper = RecommenderWrapper(aws_key="key", aws_secret="secret")
for boost in (2.0, 3.0):
    wrapper.save_recommender(Favourites(boost).fit({1: 0.5}, []), "s3://models/shop/favourites")
print(wrapper.load_recommender("s3://models/shop/favourites").boost)
storage = {"key": "key", "secret": "secret"}
print(load_recommender("s3://models/shop/favourites", storage=storage).scores)
services = Microservices(aws_key="key", aws_secret="secret")
app = services.create_recommendation_microservice("s3://models/shop/favourites")
body = {"client": "c", "user_id": 1, "limit": 1, "candidates": [1]}
print(app.test_client().post("/recommend", json=body).json)
"""


@pytest.mark.slow
@pytest.mark.service
def test_save_load_and_serve_from_s3(tmp_path):
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for_port(port, server, 120)
        address = f"http://127.0.0.1:{port}"
        urllib.request.urlopen(urllib.request.Request(f"{address}/models", method="PUT")).close()
        env = {
            **os.environ,
            "AWS_ENDPOINT_URL": address,
            "AWS_DEFAULT_REGION": "us-east-1",
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=200,
        )
    finally:
        stop(server)
    assert done.returncode == 0, done.stderr[-3000:]
    printed = [line for line in done.stdout.splitlines() if not line.startswith('{"time"')]
    assert printed == ["3.0", "{1: 0.5}", "{'recommended': [{'item': 1, 'score': 1.0}]}"]
