"""The whole kit: checks in a process of their own, which bad algorithms end, hang and fill."""

import json
import textwrap

import numpy as np
import pytest

from seldon.check import check_algorithm, runner
from seldon.check.__main__ import main
from seldon.config import settings
from seldon.sample import sample_interactions, write_sample
from seldon.sar.__main__ import main as sar
from tests.check.zoo import BAD, GOOD
from tests.services.processes import ROOT, memcached

pytestmark = pytest.mark.slow
FINE = "    return {item: 1.0 for item in sorted(data_set)[:limit]}\n"
CALL = "def get_recommendations(user_id, client, recent, data_set, limit):\n"


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Run some of the checks on an algorithm's source; status and reason of each by name."""

    def check(source, *names, timeout=30, **changed):
        monkeypatch.setattr(runner, "CHECKS", {name: runner.CHECKS[name] for name in names})
        path = tmp_path / "mine.py"
        path.write_text(textwrap.dedent(source))
        values, _ = settings(None, {}, RANDOM_SEED=0, **changed)
        return {
            finding.check: (finding.status, finding.reason)
            for finding in check_algorithm(path, values, timeout)
        }

    return check


def test_a_good_algorithm_passes_everything(check):
    found = check(GOOD["two arrays"], *runner.CHECKS)
    assert {status for status, _ in found.values()} == {"pass"}, found
    assert list(found) == ["contract", *runner.CHECKS]
    assert found["catalogue"] == ("pass", "3000 ids of its own")


def test_row_28_a_crash_is_the_algorithms_not_ours(check):
    source = "import ctypes\n" + CALL + "    ctypes.string_at(0)\n"
    found = check(source, "answers", "types", "limit")
    assert found["contract"][0] == "pass"
    assert found["answers"] == ("fail", "the algorithm ended the process (signal SIGSEGV)")
    assert found["types"][0] == "fail"
    assert found["limit"] == ("skip", "the algorithm ended or hung the checks before")


def test_row_28_after_one_crash_the_checks_go_on(check):
    source = "import os\n" + CALL + "    user_id == -1 and os._exit(3)\n" + FINE
    found = check(source, "unusual requests", "limit")
    assert found["unusual requests"] == ("fail", "the algorithm ended the process (exit status 3)")
    assert found["limit"][0] == "pass"


def test_row_28_leaving_at_import_is_a_failed_contract(check):
    found = check("import os\nos._exit(4)\n", "answers")
    assert found == {"contract": ("fail", "the algorithm ended the process (exit status 4)")}


def test_row_27_an_algorithm_that_hangs(check):
    found = check(CALL + "    while True: pass\n", "answers", timeout=4)
    assert found["answers"] == ("fail", "no answer within 4 s")


def test_row_27_an_algorithm_that_is_slow(check):
    source = "import time\n" + CALL + "    time.sleep(0.06)\n" + FINE
    found = check(source, "latency 1,000", ALGORITHM_BUDGET_MS=50)
    status, reason = found["latency 1,000"]
    assert status == "fail" and "ALGORITHM_BUDGET_MS is 50" in reason


def test_row_22_a_lock_held_over_a_fork(check):
    source = """
        import threading
        lock, taken = threading.Lock(), threading.Event()
        def hold():
            with lock:
                taken.set()
                threading.Event().wait()
        def init(mc, config):
            threading.Thread(target=hold, daemon=True).start()
            taken.wait()
        import os
        pid = os.getpid()
        def get_recommendations(user_id, client, recent, data_set, limit):
            if os.getpid() != pid:
                lock.acquire(timeout=1)
                raise RuntimeError("the lock is held")
            return {item: 1.0 for item in sorted(data_set)[:limit]}
        """
    status, reason = check(source, "fork")["fork"]
    assert status == "fail"
    assert "in a forked worker: raised RuntimeError: the lock is held in line 16" in reason


def test_row_22_a_forked_worker_that_dies(check):
    source = "import os\npid = os.getpid()\n" + CALL + "    os.getpid() == pid or os._exit(1)\n"
    assert check(source + FINE, "fork")["fork"] == (
        "fail",
        "in a forked worker: the forked process died",
    )


@pytest.mark.service
def test_row_22_a_connection_made_in_init_would_be_shared(check):
    with memcached() as (_, port):
        init = f"""
import socket
def init(mc, config):
    global held
    held = socket.create_connection(("127.0.0.1", {port}))
"""
        status, reason = check(init + CALL + FINE, "fork")["fork"]
        assert status == "fail" and "init opened 1 network connection(s)" in reason


def test_threads_that_step_on_each_other(check):
    source = """
        import time
        wanted = []
        def get_recommendations(user_id, client, recent, data_set, limit):
            wanted.clear()
            wanted.extend(sorted(data_set)[:limit])
            time.sleep(0.001)
            return {item: 1.0 for item in wanted}
        """
    status, reason = check(source, "threads")["threads"]
    assert status == "fail"
    assert "another answer than alone" in reason or "changed size" in reason or "raised" in reason


def test_row_28_a_leak(check):
    source = "kept = []\n" + CALL + "    kept.append(bytearray(b'x' * 1_000_000))\n" + FINE
    status, reason = check(source, "memory")["memory"]
    assert status == "fail" and "KiB each" in reason


def test_an_answer_that_breaks_the_check_is_a_failed_check(check):
    source = """
        class Odd(dict):
            def __repr__(self): raise RuntimeError("odd")
        def get_recommendations(user_id, client, recent, data_set, limit):
            return Odd({None: 1.0})
        """
    assert check(source, "types")["types"] == (
        "fail",
        "the check cannot read it: RuntimeError: odd",
    )


def test_the_command(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(runner, "CHECKS", {"limit": runner.CHECKS["limit"]})
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text(textwrap.dedent(GOOD["pairs"]) + "print('noise')\n")
    bad.write_text(textwrap.dedent(BAD["too many"][2]))

    assert main([str(good)]) == 0
    out, _ = capfd.readouterr()
    assert out.splitlines()[-1] == f"{good}: passed"
    assert main([str(bad), "--json"]) == 1
    report = json.loads(capfd.readouterr().out)
    assert report["passed"] is False
    assert report["checks"][1]["check"] == "limit" and report["checks"][1]["status"] == "fail"
    assert main([str(tmp_path / "missing.py")]) == 1
    assert "no missing.py in" in capfd.readouterr().out


def test_the_command_and_its_settings(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(runner, "CHECKS", {})
    config = tmp_path / "settings.py"
    config.write_text("RECOMENDER_ALG = 'x'\n")
    assert main(["example_alg", "--config", str(config)]) == 2
    assert "did you mean 'RECOMMENDER_ALG'?" in capfd.readouterr().err
    assert main(["example_alg", "--config", str(tmp_path / "no.py")]) == 2

    config.write_text("SCORE_NORMALIZATION = 'none'\n")
    source = "def init(mc, config):\n    assert config['SCORE_NORMALIZATION'] == 'none'\n"
    source += "    assert len(open(config['INTERACTIONS']).readlines()) == 20_000\n"
    path = tmp_path / "reads_config.py"
    path.write_text(source + CALL + FINE)
    assert main([str(path), "--config", str(config)]) == 0


@pytest.mark.parametrize("path", sorted((ROOT / "algs").glob("*.py")), ids=lambda path: path.stem)
def test_what_we_ship_passes(path, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(ROOT)
    if path.stem == "saved_recommender":
        monkeypatch.setenv("SELDON_RECOMMENDER_MODEL", str(tmp_path / "model"))
        rng = np.random.default_rng(0)
        write_sample(sample_interactions(200, 300, 5_000, rng), tmp_path)
        usage = str(tmp_path / "interactions.csv")
        assert sar(["train", "--usage", usage, "--output", str(tmp_path / "model")]) == 0
    assert main([path.stem]) == 0, capfd.readouterr().out
