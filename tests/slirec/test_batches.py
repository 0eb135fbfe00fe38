import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seldon.slirec.batches import padded, sequence_batch
from seldon.slirec.dataset import split
from tests.slirec.sequences import chained_events

DAY = 86_400


def log_days(seconds):
    return math.log(max(seconds / DAY, 0.5))


@given(
    st.lists(st.lists(st.integers(-5 * DAY, 40 * DAY), min_size=1, max_size=9), min_size=1),
    st.integers(1, 6),
    st.integers(-9 * DAY, 50 * DAY),
)
def test_features_are_what_their_definitions_say(histories, length, now):
    """Over each whole history, cut to its newest steps afterwards."""
    time = np.array([t for history in histories for t in history])
    end = np.cumsum([len(history) for history in histories])
    start = end - [len(history) for history in histories]
    item = np.arange(1, len(time) + 1, dtype=np.int32)
    batch = padded(item, item % 7, time, start, end, np.full(len(end), now), length)
    for row, history in enumerate(histories):
        n = len(history)
        following = [*history[1:], now]
        expected = {
            "item": item[start[row] : end[row]].tolist(),
            "to_now": [log_days(now - t) for t in history],
            "from_first": [log_days(t - history[0]) for t in following],
            "gap": [0.0] + [log_days(history[k] - history[k - 1]) for k in range(1, n)],
        }
        kept = min(n, length)
        assert batch.steps[row] == kept
        for name, values in expected.items():
            found = getattr(batch, name)[row]
            np.testing.assert_allclose(found[:kept], values[-kept:], rtol=1e-5, atol=1e-7)
            assert not found[kept:].any()


def test_nothing_of_the_future_is_in_a_batch():
    dataset = split(chained_events(0.5, users=5, length=12))
    positions = dataset.train_positions()
    before = sequence_batch(dataset, positions, 6)
    for row, p in enumerate(positions):
        start = dataset.history_start(positions[row : row + 1])[0]
        steps = min(p - start, 6)
        assert before.item[row, :steps].tolist() == dataset.item[p - steps : p].tolist()
