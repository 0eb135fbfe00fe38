import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seldon.scores import top_n


@given(
    st.dictionaries(st.integers(0, 1000), st.sampled_from([0.0, 0.5, 1.0, 2.5]), max_size=60),
    st.integers(1, 80),
)
def test_top_n_is_a_full_sort_cut(scores, limit):
    ids = np.array(list(scores), np.int64)
    values = np.array(list(scores.values()), np.float64)
    best, best_scores = top_n(ids, values, limit)
    expected = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:limit]
    assert list(zip(best.tolist(), best_scores.tolist(), strict=True)) == expected
