"""A log of the real service, sent to other real services."""

import gzip
import http.client
import json
import time
from collections import Counter

import numpy as np
import pytest

from seldon.replay import Logged, Recommended, Replayed, difference, main, read_log
from seldon.sample import sample_interactions, write_sample
from tests.services.processes import free_port, gunicorn

LINE = {
    "event": "recommend",
    "request_id": "a-1",
    "status": 200,
    "query": "client=a&user_id=1&limit=3",
    "algorithm": "x",
    "version": "1",
    "candidates": 10,
    "ms": 0.5,
    "items": [3, 1],
    "scores": [1.0, 0.5],
}


def read(*lines):
    skipped = Counter()
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return list(read_log(encoded, skipped)), dict(skipped)


def test_a_line_is_read():
    assert read(LINE) == (
        [Logged("a-1", LINE["query"], Recommended((3, 1), (1.0, 0.5), "x/1", 10, 0.5))],
        {},
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (json.dumps(LINE).encode()[:-20], "torn"),
        (json.dumps(LINE).encode()[20:], "torn"),
        (b"[2026-11-21 22:25:24 +0000] [1] [INFO] Starting gunicorn", "torn"),
        (b"\xff\x00\n", "torn"),
        ({**LINE, "items": [3]}, "torn"),
        ({**LINE, "items": None}, "torn"),
        ({**LINE, "query": "a b\r\nHost: x"}, "torn"),
        ([], "not of /recommend"),
        ({**LINE, "event": "start"}, "not of /recommend"),
        ({**LINE, "status": 503}, "not answered with 200"),
        ({**LINE, "request_id": "replay-a-1"}, "sent by a replay"),
        ({**LINE, "query": ""}, "without its query"),
        ({key: value for key, value in LINE.items() if key != "query"}, "without its query"),
    ],
)
def test_row_62_lines_that_cannot_be_sent_again_are_skipped_and_counted(line, reason):
    logged, skipped = read(LINE, line, LINE)
    assert len(logged) == 2
    ((found, number),) = skipped.items()
    assert found.startswith(reason) and number == 1


def answered(then, now, **more):
    def recommended(items, algorithm="x/1", candidates=10, ms=1.0, scores=None):
        scores = scores or [1 - n / 10 for n in range(len(items))]
        return Recommended(tuple(items), tuple(scores), algorithm, candidates, ms)

    logged = Logged("r", "q", recommended(then))
    return Replayed(
        logged, None if now is None else recommended(now, **more), "" if now else "late"
    )


def test_the_difference_by_hand():
    found = difference(
        [
            answered([1, 2, 3], [1, 2, 3], ms=2.0),
            answered([1, 2, 3], [1, 3, 4], candidates=11, ms=3.0),
            answered([], [], ms=4.0),
            answered([1], None),
        ],
        k=2,
    )
    assert (found.requests, found.failures) == (4, {"late": 1})
    # At 2: {1,2} and {1,2}; {1,2} and {1,3}; nothing and nothing.
    assert found.agreement == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert found.same_lists == pytest.approx(2 / 3)
    assert found.same_first == 1.0
    assert found.score_change == pytest.approx((0 + 0 + 0 + 0 + 0.1) / 5)
    assert found.other_candidates == 1
    assert (found.ms_then, found.ms_now) == (1.0, 3.0)
    assert found.worst == [{"request_id": "r", "agreement": 0.5, "then": [1, 2], "now": [1, 3]}]


@pytest.mark.service
@pytest.mark.slow
def test_row_62_a_log_is_replayed_to_other_instances(tmp_path, capsys):
    sample = sample_interactions(100, 200, 5_000, np.random.default_rng(0))
    write_sample(sample, tmp_path)
    popular = {
        "GUNICORN_CMD_ARGS": "--workers 1",
        "SELDON_RECOMMENDER_ALG": "most_popular",
        "SELDON_INTERACTIONS": str(tmp_path / "interactions.csv"),
        "SELDON_LOG_QUERIES": "true",
    }
    log = tmp_path / "service.log"
    with gunicorn("recommender:app", log=log, env=popular) as (_, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        for user in range(40):
            recent = "%2C".join(map(str, sample.item[sample.user == user + 1][:5]))
            connection.request(
                "GET",
                f"/recommend?client=test1&user_id={user}&recent_interactions={recent}&limit=5",
            )
            assert connection.getresponse().read()
        connection.close()
        deadline = time.monotonic() + 20
        while log.read_bytes().count(b'"event":"recommend"') < 40:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        whole = run(capsys, log, "--url", f"http://127.0.0.1:{port}")
        assert whole == (0, {"requests": 40, "agreement": 1.0, "same_lists": 1.0})

        # Rotated and compressed in between, and the service killed while it wrote.
        content = log.read_bytes().splitlines(keepends=True)
        content = [line for line in content if b"replay-" not in line]
        rotated = tmp_path / "service.log.1.gz"
        rotated.write_bytes(gzip.compress(b"".join(content[:25])))
        torn = tmp_path / "torn.log"
        torn.write_bytes(b"".join(content[25:])[:-30])
        status, found = run(capsys, rotated, torn, "--url", f"http://127.0.0.1:{port}/recommend")
        assert status == 0 and 35 <= found["requests"] <= 39
        assert found["agreement"] == 1.0

    similarity = {**popular, "SELDON_RECOMMENDER_ALG": "recent_similarity"}
    with gunicorn("recommender:app", log=tmp_path / "other.log", env=similarity) as (_, port):
        url = f"http://127.0.0.1:{port}"
        assert main([str(log), "--url", url, "--limit", "20", "--k", "5"]) == 0
        out = capsys.readouterr().out
        assert "requests            20" in out and "algorithms now      recent_similarity/" in out
        assert "differs most" in out
        status, found = run(capsys, log, "--url", url, "--min-agreement", "0.99")
        assert status == 1 and found["agreement"] < 0.9


def run(capsys, *arguments):
    """The command's exit status and the main figures of its report."""
    status = main([*map(str, arguments), "--json"])
    report = json.loads(capsys.readouterr().out)
    return status, {name: report[name] for name in ("requests", "agreement", "same_lists")}


def test_nobody_answers(tmp_path, capsys):
    log = tmp_path / "log"
    log.write_text(json.dumps(LINE) + "\n")
    assert main([str(log), "--url", f"http://127.0.0.1:{free_port()}"]) == 1
    assert "failed              1: ConnectionRefusedError" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--url", "ftp://a"], "must be http://host:port"),
        (["--url", "http://a:b"], "Port could not be cast"),
        (["--url", "http://a", "--limit", "0"], "--limit=0 must be at least 1"),
        (["/no/such/log", "--url", "http://a"], "No such file"),
    ],
)
def test_wrong_usage(tmp_path, capsys, options, message):
    (tmp_path / "empty").touch()
    arguments = options if options[0].startswith("/") else [str(tmp_path / "empty"), *options]
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_an_empty_log_is_told(tmp_path, capsys):
    log = tmp_path / "log"
    log.write_text("nothing\n")
    assert main([str(log), "--url", "http://a"]) == 2
    err = capsys.readouterr().err
    assert "skipped 1 lines: torn" in err and "no request that can be sent again" in err
