"""Keys stand where Java's client puts them, and a failing server costs no request its time."""

import hashlib
import time

import pytest

from seldon.errors import CandidatesUnavailable, InvalidParameter
from seldon.memcache import (
    OPEN_SECONDS,
    Breaker,
    Memcache,
    ServerBusy,
    ServerFailed,
    Value,
    check_key,
    java_hash,
)


@pytest.mark.parametrize(
    ("key", "hash_code"),
    [
        # String.hashCode() as a JVM gives it, negative ones with 2**32 added
        (b"", 0),
        (b"a", 97),
        (b"hello", 99162322),
        (b"Hello, World!", 1498789909),
        (b"polygenelubricants", 2**31),  # Integer.MIN_VALUE
    ],
)
def test_java_hash(key, hash_code):
    assert java_hash(key) == hash_code


def test_the_key_of_the_contract():
    logical = b"RecentItemsJSON:test1:0:100000"
    assert hashlib.md5(logical).hexdigest() == "c5b4a83e817b7b3d276742e409342573"


class Server:
    def __init__(self, address):
        self.address, self.asked = address, 0
        self.answer = Value(0, address.encode())

    def fetch(self, key, known, deadline):
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def cluster(number):
    servers = []

    def connect(address):
        servers.append(Server(address))
        return servers[-1]

    return Memcache([f"mc{n}" for n in range(number)], connect), servers


def soon():
    return time.monotonic() + 5


@pytest.mark.parametrize("number", [1, 2, 3, 5])
def test_each_key_is_asked_of_javas_server_and_of_no_other(number):
    memcache, servers = cluster(number)
    for n in range(200):
        key = hashlib.md5(b"%d" % n).hexdigest().encode()
        before = [server.asked for server in servers]
        found = memcache.fetch(key, {}, soon())
        place = java_hash(key) % number
        assert found.data == b"mc%d" % place
        before[place] += 1
        assert [server.asked for server in servers] == before


@pytest.mark.parametrize("first", [0, 1, 2])
def test_row_20_the_next_in_order_is_asked_for_one_that_is_down(first):
    memcache, servers = cluster(3)
    key = next(k for k in (b"%d" % n for n in range(99)) if java_hash(k) % 3 == first)
    servers[first].answer = ServerFailed("down")
    assert memcache.fetch(key, {}, soon()).data == b"mc%d" % ((first + 1) % 3)
    servers[(first + 1) % 3].answer = ServerFailed("down")
    assert memcache.fetch(key, {}, soon()).data == b"mc%d" % ((first + 2) % 3)
    assert servers[first].asked == 1  # its breaker is open: not asked again
    servers[(first + 2) % 3].answer = ServerFailed("down")
    with pytest.raises(CandidatesUnavailable, match=r"MEMCACHE\['servers'\]") as refused:
        memcache.fetch(key, {}, soon())
    assert refused.value.status == 503
    assert memcache.reachable() == {"mc0": False, "mc1": False, "mc2": False}


def test_a_miss_is_an_answer_and_no_other_server_is_asked():
    memcache, servers = cluster(2)
    for server in servers:
        server.answer = None
    assert memcache.fetch(b"k", {}, soon()) is None
    assert sorted(server.asked for server in servers) == [0, 1]
    assert memcache.reachable() == {"mc0": True, "mc1": True}


def test_row_23_a_busy_pool_says_nothing_about_the_server_and_is_no_miss():
    """The other servers do not have the key: to ask them would turn it into a miss."""
    memcache, servers = cluster(2)
    first = servers[java_hash(b"k") % 2]
    first.answer = ServerBusy("all connections busy")
    servers[1 - java_hash(b"k") % 2].answer = None
    with pytest.raises(CandidatesUnavailable):
        memcache.fetch(b"k", {}, soon())
    assert all(memcache.reachable().values())


def test_after_the_deadline_nobody_is_asked():
    memcache, servers = cluster(2)
    with pytest.raises(CandidatesUnavailable):
        memcache.fetch(b"k", {}, time.monotonic() - 1)
    assert [server.asked for server in servers] == [0, 0]


def test_no_servers_at_all_is_unavailable():
    with pytest.raises(CandidatesUnavailable):
        Memcache([], Server).fetch(b"k", {}, soon())


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_row_19_a_breaker_opens_for_longer_each_time_and_lets_one_caller_try():
    clock = Clock()
    breaker = Breaker(clock)
    assert breaker.allows()
    for seconds in (*OPEN_SECONDS, OPEN_SECONDS[-1], OPEN_SECONDS[-1]):
        breaker.failed()
        assert not breaker.allows()
        clock.now += seconds - 0.001
        assert not breaker.allows()
        clock.now += 0.002
        assert [breaker.allows() for _ in range(5)] == [True, False, False, False, False]
    breaker.succeeded()
    assert all(breaker.allows() for _ in range(5))
    assert breaker.failures == 0
    breaker.failed()
    clock.now += OPEN_SECONDS[0]
    assert breaker.allows()  # it begins anew


def test_row_19_a_trial_that_never_reports_is_followed_by_another():
    clock = Clock()
    breaker = Breaker(clock)
    breaker.failed()
    clock.now += 10
    assert breaker.allows()
    clock.now += 10
    assert breaker.allows()


@pytest.mark.parametrize("key", ["", " ", "a b", "a\r\nb", "é", "k" * 251, "a,b", "\x00", "\udcff"])
def test_row_05_keys_that_memcached_does_not_take(key):
    with pytest.raises(InvalidParameter, match="data_key="):
        check_key(key)


def test_keys_that_memcached_takes():
    assert check_key("k" * 250) == b"k" * 250
    assert check_key("!~-_:/|{}") == b"!~-_:/|{}"
