import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seldon.scores import summed, top_n


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


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from([0.5, 1.0, 2.25])), max_size=60))
def test_summed_adds_the_values_of_each_place(pairs):
    places = np.array([place for place, _ in pairs], np.int32)
    distinct, sums = summed(places, np.array([value for _, value in pairs], np.float32), 21)
    expected = {}
    for place, value in pairs:
        expected[place] = expected.get(place, 0.0) + value
    assert len(distinct) == len(expected)
    assert dict(zip(distinct.tolist(), sums.tolist(), strict=True)) == expected
