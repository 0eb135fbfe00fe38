"""`Candidates` behaves as a set and as arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seldon.candidates import CandidateList, Candidates
from seldon.interactions import Vocabulary

ids = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=30)


@given(ids, ids)
def test_is_the_set_difference(candidates, exclusions):
    ours = Candidates(CandidateList(np.unique(np.array(candidates, np.int64))), exclusions)
    expected = set(candidates) - set(exclusions)
    assert ours == expected
    assert set(ours) == expected
    assert len(ours) == len(expected)
    assert ours.ids.tolist() == sorted(expected)
    assert all((item in ours) == (item in expected) for item in candidates + exclusions)
    assert ours - {1, 2} == expected - {1, 2}
    assert {1, 2} - ours == {1, 2} - expected
    assert ours.union([5]) == expected | {5}


@given(ids, ids, ids)
def test_mask_says_which_vocabulary_entries_are_candidates(candidates, exclusions, known):
    vocabulary = Vocabulary(np.array(known, np.int64))
    ours = Candidates(CandidateList(np.unique(np.array(candidates, np.int64))), exclusions)
    allowed = set(candidates) - set(exclusions)
    assert vocabulary.ids[ours.mask(vocabulary)].tolist() == sorted(allowed & set(known))


def test_mutating_methods_work_on_this_requests_own_set():
    shared = CandidateList(np.array([1, 2, 3], np.int64))
    first = Candidates(shared)
    first.discard(2)
    assert 2 not in first
    assert set(first) == {1, 3}
    assert 2 in Candidates(shared)


def test_is_not_mistaken_for_anything_else():
    with pytest.raises(AttributeError, match="no attribute 'append'"):
        Candidates.of([1]).append(2)
    assert "1" not in Candidates.of([1])
