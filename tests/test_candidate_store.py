"""Lists are parsed once, never stale, and bounded in memory; over a real memcached."""

import threading
import time

import pytest

from seldon.candidate_store import CandidateStore
from seldon.errors import CandidatesUnavailable
from seldon.memcache.servers import connect
from tests.memcache.values import WRITTEN, delete, put, put_ids, put_many
from tests.services.processes import free_port, memcached

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def port():
    with memcached() as (_, port):
        yield port


def store_of(port, most_bytes=2**26, most_ids=200_000, trust_seconds=0.0, pool=2):
    memcache = connect([f"127.0.0.1:{port}"], pool)
    return CandidateStore(memcache, most_bytes, most_ids, trust_seconds)


def ask(store, *keys):
    return store.get([key.encode() for key in keys], time.monotonic() + 10)


def ids(found):
    return found.candidates.ids.tolist()


def test_a_list_is_parsed_once_and_shared(port):
    put_ids(port, "once", [3, 1, 2])
    store = store_of(port)
    first, second = ask(store, "once"), ask(store, "once")
    assert (ids(first), first.source, second.source) == ([1, 2, 3], "memcached", "cache")
    assert second.candidates is first.candidates


def test_row_24_an_overwritten_list_is_seen_by_the_very_next_request(port):
    store = store_of(port)
    for n in range(100):  # of the same length each time
        put_ids(port, "rewritten", [1000 + n, 5000])
        assert ids(ask(store, "rewritten")) == [1000 + n, 5000]
        assert ask(store, "rewritten").source == "cache"


def test_the_same_list_written_again_is_not_parsed_again(port):
    put_ids(port, "again", [1, 2])
    store = store_of(port)
    first = ask(store, "again")
    put_ids(port, "again", [1, 2])
    second = ask(store, "again")
    assert second.source == "cache"
    assert second.candidates is first.candidates


def test_row_24_after_a_restart_the_numbers_begin_again_and_mean_nothing():
    port = free_port()
    store = store_of(port, pool=1)
    for value in ([1], [2], [1], [3]):
        with memcached(port):
            put_ids(port, "k", value)
            deadline = time.monotonic() + 10
            while True:
                try:
                    found = ask(store, "k")
                    break
                except CandidatesUnavailable:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
            assert ids(found) == value


def test_row_14_a_list_that_goes_is_a_miss_and_comes_back(port):
    put_ids(port, "comes", [1])
    store = store_of(port)
    assert ask(store, "comes").source == "memcached"
    delete(port, "comes")
    gone = ask(store, "comes")
    assert (ids(gone), gone.source, gone.problems) == ([], "miss", ())
    put_ids(port, "comes", [1])
    assert ids(ask(store, "comes")) == [1]


@pytest.mark.parametrize(("by", "flags", "data", "expected"), WRITTEN, ids=[w[0] for w in WRITTEN])
def test_row_16_every_writers_value(port, by, flags, data, expected):
    """Row 15 too: what cannot be read counts as no list, and says so each time."""
    put(port, "w", data, flags)
    store = store_of(port)
    for _ in range(2):
        found = ask(store, "w")
        if expected is None:
            assert (ids(found), found.source) == ([], "bad")
            assert len(found.problems) == 1
        else:
            assert (ids(found), found.problems) == (expected, ())


def test_several_keys_are_one_set(port):
    put_ids(port, "a", [5, 1, 3])
    put_ids(port, "b", [3, 4])
    put(port, "c", b"null")
    delete(port, "d")
    store = store_of(port)
    found = ask(store, "a", "d", "b", "c")
    assert ids(found) == [1, 3, 4, 5]
    assert len(found.problems) == 1
    again = ask(store, "b", "a")
    assert (again.source, again.problems) == ("cache", ())
    assert again.candidates is found.candidates  # in any order
    put_ids(port, "b", [7])
    assert ids(ask(store, "a", "b")) == [1, 3, 5, 7]


def test_row_15_too_many_candidates_are_cut_and_flagged(port):
    put_ids(port, "long", range(100, 0, -1))
    put_ids(port, "other", range(200, 100, -1))
    found = ask(store_of(port, most_ids=30), "long")
    assert found.cut
    assert ids(found) == list(range(71, 101))
    both = ask(store_of(port, most_ids=150), "long", "other")
    assert both.cut
    assert len(both.candidates.ids) == 150


def test_row_24_memory_is_bounded_and_the_longest_unused_go_first(port):
    """1,000 keys through a cache that holds some."""
    most = 400_000
    put_many(port, {f"m{n}": b"[%d,%d]" % (n, n + 1) + b" " * 2000 for n in range(1000)})
    store = store_of(port, most_bytes=most)
    ask(store, "m0")
    for n in range(1, 1000):
        assert ids(ask(store, f"m{n}")) == [n, n + 1]
        assert ask(store, "m0").source == "cache"  # in use all the time
        assert store.size <= most
    assert ask(store, "m1").source == "memcached"
    assert store.size > most / 2


def test_row_24_a_list_larger_than_the_cache_is_served_all_the_same(port):
    put_ids(port, "huge", range(50_000))
    store = store_of(port, most_bytes=10_000)
    for _ in range(3):
        assert len(ask(store, "huge").candidates.ids) == 50_000
        assert store.size <= 10_000


def test_trust_is_a_setting(port):
    put_ids(port, "trusted", [1])
    store = store_of(port, trust_seconds=3600)
    assert ids(ask(store, "trusted")) == [1]
    put_ids(port, "trusted", [2])
    assert ids(ask(store, "trusted")) == [1]
    assert ids(ask(store_of(port), "trusted")) == [2]


def test_row_22_threads_get_the_lists_they_asked_for(port):
    put_many(port, {f"p{n}": b"[%d]" % n for n in range(50)})
    store, wrong = store_of(port, most_bytes=20_000, pool=2), []

    def reader(seed):
        for call in range(1000):
            n = (call * 7 + seed) % 50
            if ids(ask(store, f"p{n}")) != [n]:
                wrong.append(n)

    threads = [threading.Thread(target=reader, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
