"""Recommendation calls to the models API beside a Flask app that answers a constant list.

    python -m benchmarks.models_serving --rounds 9 --seconds 2 --connections 4

A model of 30,000 items is trained once; both apps run under gunicorn with the same options; wrk
drives them in turn, round after round. Printed are medians over the rounds and the ratio of the
time of a call, made within a round, and how long the first request to a model takes in a worker
that has not loaded it. The original served 200 requests a second per instance.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from benchmarks.models_training import write_usage
from seldon.config import settings
from seldon.models_api.trainer import Trainer
from seldon.models_api.workplace import open_workplace
from tests.services.processes import gunicorn

KEY = "benchmark"
ASK = """
wrk.headers["x-api-key"] = "benchmark"
local n = 0
request = function()
  n = (n + 7) % 5000
  return wrk.format("GET", "/api/models/default/recommend?itemId=item-" .. n)
end
done = function(summary, latency)
  io.write(string.format("rate %f\\n", summary.requests / summary.duration * 1e6))
  io.write(string.format("p99 %f\\n", latency:percentile(99) / 1e3))
  io.write(string.format("errors %d\\n", summary.errors.status))
end
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=4)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = {
            "SELDON_API_KEYS": json.dumps({"admin": [KEY], "recommend": []}),
            "SELDON_MODELS_ROOT": f"{folder}/models",
            "SELDON_MODELS_INPUT_ROOT": f"{folder}/inputs",
            "SELDON_START_TRAINER": "false",
            "SELDON_LOG_LEVEL": "WARNING",
        }
        train(folder, environ)
        (folder / "ask.lua").write_text(ASK)
        with (
            gunicorn("recommender:app", "-w", "2", log=folder / "ours", env=environ) as (_, ours),
            gunicorn("benchmarks.constant_models_view:app", "-w", "2", log=folder / "floor") as (
                _,
                floor,
            ),
        ):
            print(f"first request: {first_request(ours):.1f} ms")
            rounds = []
            for _ in range(arguments.rounds):
                rounds.append([drive(port, folder, arguments) for port in (ours, floor)])
    for name, column in (("models API", 0), ("constant list", 1)):
        rate = statistics.median(one[column][0] for one in rounds)
        p99 = statistics.median(one[column][1] for one in rounds)
        print(f"{name:14} {rate:8.0f} requests/s   p99 {p99:6.1f} ms")
    times = [floor[0] / ours[0] for ours, floor in rounds]
    print(f"time of a call: {statistics.median(times):.2f} times the constant list's")


def train(folder: Path, environ: dict[str, str]) -> None:
    values, _ = settings(None, environ)
    place = open_workplace(values)
    write_usage(folder / "inputs" / "shop" / "usage.csv", 30_000, 3_000_000)
    parameters = {"blobContainerName": "shop", "usageRelativePath": "usage.csv"}
    place.registry.create(parameters, None)
    Trainer(place).train_next()
    place.registry.close()


def first_request(port: int) -> float:
    """Milliseconds of the first call, in a worker that has answered others before."""
    address = f"http://127.0.0.1:{port}"
    urllib.request.urlopen(f"{address}/healthz").close()
    ask = urllib.request.Request(
        f"{address}/api/models/default/recommend?itemId=item-1", headers={"x-api-key": KEY}
    )
    started = time.perf_counter()
    urllib.request.urlopen(ask).close()
    return (time.perf_counter() - started) * 1e3


def drive(port: int, folder: Path, arguments: argparse.Namespace) -> tuple[float, float]:
    """Requests a second and the 99th percentile in milliseconds."""
    command = ["wrk", "-t1", f"-c{arguments.connections}", f"-d{arguments.seconds}s", "--latency"]
    command += ["-s", str(folder / "ask.lua"), f"http://127.0.0.1:{port}"]
    said = subprocess.check_output(command, text=True, env=os.environ)
    found = dict(re.findall(r"^(rate|p99|errors) ([\d.]+)$", said, re.MULTILINE))
    assert float(found["errors"]) == 0, said
    return float(found["rate"]), float(found["p99"])


if __name__ == "__main__":
    main()
