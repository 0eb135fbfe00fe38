"""From nothing to recommendations: sample events, a SAR model, memcached, gunicorn, one call.

`make run` starts it. It stays up until Ctrl-C; with the argument --once it ends after the call.
"""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pylibmc

from seldon.reading import read_interactions
from seldon.sample import sample_interactions, write_sample

ROOT = Path(__file__).parents[1]
SAMPLE, MODEL = ROOT / "var" / "sample", ROOT / "var" / "model"
KEY = hashlib.md5(b"RecentItemsJSON:test1:0:100000").hexdigest()  # as a Seldon server names it


def main() -> int:
    started = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        write_sample(sample_interactions(2000, 1000, 50_000, np.random.default_rng(1)), SAMPLE)
        train()
        cache = start_memcached(started)
        port = start_service(started, cache)
        show_a_call(port, cache)
        if "--once" in sys.argv:
            return 0
        print("The service stays up; Ctrl-C ends it.", flush=True)
        return started[-1].wait()
    except KeyboardInterrupt:
        return 0
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait()


def train() -> None:
    """Train SAR on the sample; it becomes the model that is served."""
    usage = SAMPLE / "interactions.csv"
    command = [sys.executable, "-m", "seldon.sar", "train"]
    subprocess.run([*command, "--usage", str(usage), "--output", str(MODEL)], cwd=ROOT, check=True)


def start_memcached(started: list[subprocess.Popen]) -> str | None:
    """A memcached of our own; None where there is none to start."""
    if shutil.which("memcached") is None:
        print("memcached is not installed: serving in catalogue mode, without candidate lists.")
        return None
    port = free_port(11211)
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    command = ["memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0", *user]
    started.append(subprocess.Popen(command))
    wait_for(port)
    return f"127.0.0.1:{port}"


def start_service(started: list[subprocess.Popen], cache: str | None) -> int:
    """gunicorn with SAR, and the most popular items for users it knows nothing of."""
    port = free_port(5000)
    environment = {
        **os.environ,
        "SELDON_RECOMMENDER_ALG": '["saved_recommender", "most_popular"]',
        "SELDON_RECOMMENDER_MODEL": str(MODEL),
        "SELDON_INTERACTIONS": str(SAMPLE / "interactions.csv"),
        "SELDON_MEMCACHE__servers": cache or "",
        "SELDON_LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "gunicorn", "-w", "2", "-b", f"127.0.0.1:{port}"]
    command += ["--log-level", "warning", "recommender:app"]
    started.append(subprocess.Popen(command, cwd=ROOT, env=environment))
    wait_for(port)
    return port


def show_a_call(port: int, cache: str | None) -> None:
    """Do what a Seldon server does: put a candidate list in memcached, then ask."""
    items = read_interactions(SAMPLE / "interactions.csv")[0].items.ids
    newest_first = sorted(map(int, items), reverse=True)
    address = f"http://127.0.0.1:{port}/recommend?client=test1&user_id=1"
    address += f"&recent_interactions={newest_first[10]}%2C{newest_first[20]}&exclusion_items="
    if cache:
        value = json.dumps(newest_first, separators=(",", ":"))
        pylibmc.Client([cache], behaviors={}).set(KEY, value)
        address += f"&data_key={KEY}"
    address += "&limit=5"
    with urllib.request.urlopen(address, timeout=5) as answer:
        body, headers = answer.read().decode(), answer.headers
    print(f"\n$ curl '{address}'\n{body}\n")
    print(f"scored by {headers['X-Recommender-Algorithm']}, ", end="")
    print(f"{headers['X-Candidates-Count']} candidates from {headers['X-Candidates-Source']}\n")


def free_port(wanted: int) -> int:
    """`wanted`, or another where somebody listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nothing came up on port {port}; see the messages above")


if __name__ == "__main__":
    sys.exit(main())
