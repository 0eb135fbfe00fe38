"""The whole SLi-Rec walk on the sample inventory: invent events, train, package, serve, ask.

`make slirec-demo` runs it. Nothing outside this machine is needed, and no Shopify shop.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from quickstart import free_port, wait_for

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "var" / "slirec"
STEPS = [
    "snapshot --sample",
    "generate --users 40",
    "split",
    "train --hyperparameters examples/slirec_demo.yaml",
    "evaluate --own-categories",
    "package",
    "recommend --items espresso-beans,moka-pot --limit 5",
]


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    shutil.rmtree(FOLDER, ignore_errors=True)
    for step in STEPS:
        name, *options = step.split()
        command = ["-m", "seldon.slirec", name, "--folder", str(FOLDER), *options]
        print(f"\n$ python {' '.join(command)}", flush=True)
        started = time.monotonic()
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True)
        print(f"({time.monotonic() - started:.1f} s)", flush=True)
    ask_the_service()
    print(
        f"\nAll of it is in {FOLDER}; docs/slirec-walkthrough.md has each step with your own shop."
    )
    return 0


def ask_the_service() -> None:
    """One GET /recommend; torch is not loaded there."""
    port = free_port(5000)
    environment = {
        **os.environ,
        "SELDON_RECOMMENDER_ALG": "saved_recommender",
        "SELDON_RECOMMENDER_MODEL": str(FOLDER / "model"),
        "SELDON_MEMCACHE__servers": "",
        "SELDON_LOG_LEVEL": "WARNING",
    }
    command = [sys.executable, "-m", "gunicorn", "-b", f"127.0.0.1:{port}", "--log-level"]
    service = subprocess.Popen([*command, "warning", "recommender:app"], cwd=ROOT, env=environment)
    try:
        wait_for(port)
        products = json.loads((FOLDER / "inventory.json").read_text())["products"]
        number = {p["handle"]: p["id"].rpartition("/")[2] for p in products}
        title = {p["id"].rpartition("/")[2]: p["title"] for p in products}
        recent = f"{number['moka-pot']}%2C{number['espresso-beans']}"
        address = f"http://127.0.0.1:{port}/recommend?client=shop&user_id=1"
        address += f"&recent_interactions={recent}&exclusion_items={recent}&limit=5"
        with urllib.request.urlopen(address, timeout=60) as answer:
            body = answer.read().decode()
        print(f"\n$ curl '{address}'\n{body}\n")
        for entry in json.loads(body)["recommended"]:
            print(f"{entry['score']:.3f}  {title[str(entry['item'])]}")
    finally:
        service.terminate()
        service.wait()


if __name__ == "__main__":
    sys.exit(main())
