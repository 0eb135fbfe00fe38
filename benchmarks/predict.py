"""`python -m benchmarks.predict`: /predict beside the same pipeline in a bare Flask view.

Both run under gunicorn with the same worker and one process each; wrk drives them in turn, round
after round, so that a slow minute of the machine hits both. Ours checks the input, answers errors
as JSON, counts and logs each request. Then it times the refusal of bad input, and of gRPC the
calls a second that one client makes.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from contextlib import ExitStack
from pathlib import Path

import pandas as pd
import psutil
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from werkzeug.test import create_environ, run_wsgi_app

from seldon.microservice import Microservices
from seldon.pipeline import save_pipeline
from seldon.pipeline.predictor import Predictor
from tests.services.processes import gunicorn

ROW = '{"f1":4.8,"f2":3.0,"f3":1.4,"f4":0.1}'
WORKER = ["-c", os.devnull, "-w", "1", "-k", "seldon.worker.EventWorker"]
BAD = {
    "10 MB": "[" + "1," * 5_000_000 + "1]",
    "100,000 nested brackets": "[" * 100_000,
    "1 MB of features": "{" + ",".join(f'"feature{i}":{i}' for i in range(50_000)) + "}",
    "a missing feature": '{"f1":4.8}',
    "text for a number": ROW.replace("4.8", '"x"'),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of load in each turn")
    options = parser.parse_args()
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        pipeline = fitted()
        save_pipeline(pipeline, f"{folder}/iris")
        compare_views(stack, Path(folder), options.rounds, options.seconds)
        time_refusals(f"{folder}/iris")
        time_grpc(pipeline)


def fitted():
    data = load_iris(as_frame=True)
    frame = data.data.set_axis(["f1", "f2", "f3", "f4"], axis=1)
    names = pd.Series(data.target_names)[data.target].to_numpy()
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(frame, names)


def compare_views(stack: ExitStack, folder: Path, rounds: int, seconds: int) -> None:
    apps = {
        "ours": "benchmarks.predict_view:app",
        "bare Flask view": "benchmarks.bare_predict_view:app",
    }
    environment = {"PIPELINE": str(folder / "iris"), "OMP_NUM_THREADS": "1"}
    urls, processes = {}, {}
    for name, app in apps.items():
        process, port = stack.enter_context(
            gunicorn(app, *WORKER, log=folder / f"{name}.log", env=environment)
        )
        urls[name] = f"http://127.0.0.1:{port}/predict?client=c&json={urllib.parse.quote(ROW)}"
        processes[name] = psutil.Process(process.pid)
        urllib.request.urlopen(urls[name], timeout=120).read()  # once the worker has loaded
    rates = {name: [] for name in apps}
    cpu = {name: [] for name in apps}
    for _ in range(rounds):
        for name, url in urls.items():
            before = cpu_seconds(processes[name])
            rate, number = drive(url, seconds)
            rates[name].append(rate)
            cpu[name].append((cpu_seconds(processes[name]) - before) / number * 1e6)
    for name in apps:
        print(
            f"{name:16} {statistics.median(rates[name]):7.0f} requests/s"
            f" {statistics.median(cpu[name]):7.0f} µs CPU a request"
        )
    ours, bare = apps
    ratios = [a / b for a, b in zip(rates[ours], rates[bare], strict=True)]
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(f"throughput, ours / bare: {statistics.median(ratios):.2f} (rounds: {each})")


def drive(url: str, seconds: int) -> tuple[float, int]:
    """Requests a second, and their number; every one answered 200."""
    command = ["wrk", "-t1", "-c4", f"-d{seconds}s", url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(text)
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    return rate, int(re.search(r"(\d+) requests in", text)[1])


def cpu_seconds(master: psutil.Process) -> float:
    times = [child.cpu_times() for child in master.children()]
    return sum(each.user + each.system for each in times)


def time_refusals(folder: str) -> None:
    app = Microservices().create_prediction_microservice(folder, "iris")
    print("\nbad input, ms (best and median of 20):")
    for name, body in BAD.items():
        took = []
        for _ in range(20):
            environ = create_environ(
                "/predict", method="POST", data=body, content_type="application/json"
            )
            started = time.perf_counter()
            chunks, status, _ = run_wsgi_app(app, environ)
            b"".join(chunks)
            took.append((time.perf_counter() - started) * 1e3)
            assert status.startswith("400"), status
        print(f"  {name:26} {min(took):6.2f} {statistics.median(took):6.2f}")


def time_grpc(pipeline: object) -> None:
    import grpc

    from seldon.microservice.rpc_server import PredictionServer, ServerOptions
    from seldon.rpc import seldon_pb2, seldon_pb2_grpc

    request = seldon_pb2.ClassificationRequest()
    request.data.Pack(seldon_pb2.DefaultCustomPredictRequest(values=[4.8, 3.0, 1.4, 0.1]))
    options = ServerOptions(host="127.0.0.1", port=0, drain_seconds=0)
    server = PredictionServer(Predictor(pipeline, "iris"), options=options)
    with server.running() as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = seldon_pb2_grpc.SeldonStub(channel)
        took = []
        for _ in range(1_000):
            started = time.perf_counter()
            stub.Classify(request)
            took.append((time.perf_counter() - started) * 1e3)
    print(f"\ngRPC, client and server in one process: {statistics.median(took):.2f} ms a call")


if __name__ == "__main__":
    main()
