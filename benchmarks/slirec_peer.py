"""The warm reference process of `slirec_reference.py`, asked line by line."""

import argparse
import subprocess
import time
from pathlib import Path


class Reference:
    """Answers how many seconds the public implementation took, on the clock and of processor time.

    It is idle in between.
    """

    def __init__(self, python):
        script = Path(__file__).with_name("slirec_reference.py")
        self.process = subprocess.Popen(
            [python, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit(
                f"{python} cannot run the reference; it needs Python 3.11 with "
                "'recommenders==1.2.1' 'tensorflow-cpu==2.12.1' 'numpy<2'"
            )

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        clock, processor = map(float, self.process.stdout.readline().split())
        return clock, processor

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)


def timed(work):
    """Seconds of our own work, as `Reference.ask` gives them."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def arguments(description, rounds):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--reference",
        required=True,
        metavar="PYTHON",
        help="interpreter that has recommenders 1.2.1 and TensorFlow 2.12.1",
    )
    parser.add_argument("--rounds", type=int, default=rounds)
    return parser.parse_args()
