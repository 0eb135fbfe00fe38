"""Row 44: what will be needed is known before the work, and too much is refused."""

import subprocess
import sys
import time

import numpy as np
import pytest

from seldon.errors import TooLarge
from seldon.interactions import Interactions, Vocabulary
from seldon.memory import available_memory, gigabytes
from seldon.sar.counting import ByPopularity, baskets, count_pairs
from seldon.sar.estimate import estimate
from seldon.sar.parameters import TrainingParameters
from seldon.sar.training import train


def shop(n_users, n_items, n_events, seed=0):
    rng = np.random.default_rng(seed)
    item = (n_items * rng.random(n_events) ** 3).astype(np.int32)
    return Interactions(
        Vocabulary.of_sorted(np.arange(n_users)),
        Vocabulary.of_sorted(np.arange(n_items)),
        rng.integers(0, n_users, n_events).astype(np.int32),
        item,
        np.zeros(n_events),
        np.ones(n_events, np.float32),
    )


def prepared(events):
    return ByPopularity(baskets(events, "User"))


@pytest.mark.parametrize("threshold", [1, 3])
def test_a_sample_tells_the_number_of_pairs(threshold):
    source = prepared(shop(2000, 3000, 40_000))
    parameters = TrainingParameters(support_threshold=threshold)
    found = estimate(source, parameters)
    pairs = len(count_pairs(source, threshold))
    assert found.pairs == pytest.approx(pairs, rel=0.25)
    assert pairs <= found.pairs_at_most <= 2 * pairs
    assert found.fits and found.visits == source.work.sum()


def test_a_small_one_is_exact():
    source = prepared(shop(50, 100, 1000))
    found = estimate(source, TrainingParameters(support_threshold=2))
    assert found.pairs == found.pairs_at_most == len(count_pairs(source, 2))


def test_row_44_refused_in_seconds_with_the_number_that_would_do():
    events = shop(20_000, 20_000, 1_500_000)
    started = time.process_time()
    with pytest.raises(TooLarge) as refused:
        train(events, parameters=TrainingParameters(support_threshold=1), memory=600 << 20)
    assert time.process_time() - started < 60
    message = str(refused.value)
    assert "600" in message or "0.6 GiB" in message
    assert "neighbours of each item" in message and "support threshold to" in message
    fitting = estimate(prepared(events), TrainingParameters(support_threshold=1), memory=600 << 20)
    assert not fitting.fits
    smaller = TrainingParameters(support_threshold=1, neighbours=fitting.neighbours_that_fit)
    assert estimate(prepared(events), smaller, memory=600 << 20).fits


def test_nothing_fits_into_nothing():
    with pytest.raises(TooLarge, match="more memory is needed"):
        estimate(prepared(shop(50, 100, 1000)), TrainingParameters(), memory=10).check()


def test_available_memory_follows_the_limit_of_the_process():
    code = (
        "import resource, seldon.memory as m; before = m.available_memory();"
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30));"
        "print(0 < m.available_memory() <= min(before, 3 << 30))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
    assert available_memory() > 0


def test_sizes_are_written_for_people():
    assert (gigabytes(1.5 * 2**30), gigabytes(2**20 * 12)) == ("1.5 GiB", "12 MiB")
