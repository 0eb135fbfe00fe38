"""A real memcached, asked both ways: with meta commands, and through pylibmc for older servers."""

import os
import signal
import threading
import time
from contextlib import ExitStack, contextmanager

import pytest

from seldon.candidate_lists import UnreadableList, read_list
from seldon.errors import CandidatesUnavailable
from seldon.memcache import UNCHANGED, ServerBusy, ServerFailed, Value
from seldon.memcache.libmemcached import LibmemcachedServer, SafePool
from seldon.memcache.meta import MetaServer, NoMetaCommands
from seldon.memcache.servers import connect
from tests.memcache.values import WRITTEN, delete, java_place, put, put_ids, put_many, real_key
from tests.services.fault_proxy import fault_proxy
from tests.services.processes import free_port, freeze, memcached

pytestmark = pytest.mark.service
PATIENCE = 10.0  # generous: no machine is so busy


@pytest.fixture(scope="module")
def port():
    with memcached() as (_, port):
        yield port


@pytest.fixture
def proxy(port):
    with fault_proxy(port) as proxy:
        yield proxy


def soon(seconds=PATIENCE):
    return time.monotonic() + seconds


def recovers(fetch):
    """Polls until it answers again."""
    deadline = soon()
    while True:
        try:
            return fetch()
        except (ServerFailed, CandidatesUnavailable):
            assert time.monotonic() < deadline
            time.sleep(0.1)


class FetchContract:
    """What holds for both ways to ask."""

    def server(self, port, size=2):
        raise NotImplementedError

    def held(self, server, proxy):
        """While the only connection of `server` is in use."""
        raise NotImplementedError

    @pytest.mark.parametrize(("by", "flags", "data", "ids"), WRITTEN, ids=[w[0] for w in WRITTEN])
    def test_row_16_every_writers_bytes_and_flags(self, port, by, flags, data, ids):
        put(port, "written", data, flags)
        found = self.server(port).fetch(b"written", {}, soon())
        if ids is None:
            with pytest.raises(UnreadableList):
                read_list(found.flags, found.data, 100)
        else:
            assert read_list(found.flags, found.data, 100).ids.tolist() == ids

    def test_row_14_a_key_that_is_not_there(self, port):
        delete(port, "absent")
        assert self.server(port).fetch(b"absent", {}, soon()) is None
        put(port, "expired", b"[1]", seconds=-1)
        assert self.server(port).fetch(b"expired", {}, soon()) is None

    def test_the_largest_list_that_fits_comes_whole(self, port):
        ids = range(9_999_999, 9_999_999 - 130_000, -1)
        put_ids(port, "large", ids)
        server = self.server(port)
        for _ in range(3):
            found = server.fetch(b"large", {}, soon())
            assert read_list(found.flags, found.data, 200_000).ids.tolist() == list(ids)[::-1]

    def test_an_overwritten_value_is_seen_by_the_very_next_fetch(self, port):
        server = self.server(port, size=1)
        known = {}
        for n in range(50):
            put(port, "rewritten", b"[%d]" % (1000 + n))  # of the same length each time
            found = server.fetch(b"rewritten", known, soon())
            assert bytes(found.data) == b"[%d]" % (1000 + n)
            if found.version:
                known[found.version[0]] = found.version[1]
            again = server.fetch(b"rewritten", known, soon())
            assert again is UNCHANGED or bytes(again.data) == bytes(found.data)

    def test_row_22_threads_never_get_each_others_values(self, port):
        """4 threads, 3,000 gets."""
        put_many(port, {f"t{n}": b"[%d]" % n * (1 + n * 50) for n in range(20)})
        server, wrong = self.server(port, size=2), []

        def ask(seed):
            for call in range(3000):
                n = (call * 7 + seed) % 20
                value = server.fetch(b"t%d" % n, {}, soon())
                if bytes(value.data) != b"[%d]" % n * (1 + n * 50):
                    wrong.append(n)

        threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    @pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # from 3.12 on
    def test_row_22_children_do_not_share_a_connection(self, port):
        """The parent has connected before it forks, as under ``--preload``."""
        put_many(port, {f"t{n}": b"[%d]" % n * (1 + n * 50) for n in range(20)})
        server = self.server(port, size=2)
        server.fetch(b"t0", {}, soon())

        def right(seed):
            for call in range(1000):
                n = (call * 7 + seed) % 20
                value = server.fetch(b"t%d" % n, {}, soon())
                if bytes(value.data) != b"[%d]" % n * (1 + n * 50):
                    return False
            return True

        children = []
        for seed in range(3):
            child = os.fork()
            if child == 0:
                try:
                    os._exit(0 if right(seed) else 1)
                finally:
                    os._exit(2)
            children.append(child)
        assert right(9)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        assert codes == [0, 0, 0]

    def test_row_23_a_pool_that_is_empty_is_waited_for_until_the_deadline(self, port, proxy):
        """One connection, and who holds it is stuck."""
        put(port, "k", b"[1]")
        server = self.server(proxy.port, size=1)
        with self.held(server, proxy):
            started = time.monotonic()
            with pytest.raises(ServerBusy):
                server.fetch(b"k", {}, soon(0.05))
            assert time.monotonic() - started < PATIENCE / 2
        assert bytes(recovers(lambda: server.fetch(b"k", {}, soon())).data) == b"[1]"

    def test_row_17_down_at_the_start_and_there_later(self):
        port = free_port()
        server = self.server(port)
        for _ in range(3):
            with pytest.raises(ServerFailed):
                server.fetch(b"k", {}, soon())
        with memcached(port):
            put(port, "k", b"[1]")
            assert bytes(recovers(lambda: server.fetch(b"k", {}, soon())).data) == b"[1]"

    def test_row_18_killed_and_restarted(self):
        """What it knew of the old one's values is worth nothing."""
        port = free_port()
        server, known = self.server(port, size=1), {}
        with memcached(port) as (process, _):
            put(port, "k", b"[1]")
            found = server.fetch(b"k", known, soon())
            if found.version:
                known[found.version[0]] = found.version[1]
            process.kill()
            process.wait()
        with pytest.raises(ServerFailed):
            server.fetch(b"k", known, soon())
        with memcached(port):
            put(port, "k", b"[2]")  # its number is that of the old value
            found = recovers(lambda: server.fetch(b"k", known, soon()))
            assert bytes(found.data) == b"[2]"

    def test_row_19_frozen_costs_its_time_and_no_more(self):
        with memcached() as (process, port):
            put(port, "k", b"[1]")
            server = self.server(port)
            server.fetch(b"k", {}, soon())
            freeze(process.pid)
            started = time.monotonic()
            with pytest.raises(ServerFailed):
                server.fetch(b"k", {}, soon(0.2))
            assert time.monotonic() - started < 4  # pylibmc's own default is 5 s
            process.send_signal(signal.SIGCONT)
            assert bytes(recovers(lambda: server.fetch(b"k", {}, soon())).data) == b"[1]"

    @pytest.mark.parametrize("mode", ["freeze", "garble", "cut", "hang", "close"])
    @pytest.mark.parametrize("size", [3, 60_000])
    def test_row_21_a_broken_answer_is_a_failure_and_never_a_list(self, port, proxy, mode, size):
        put(port, "k", b"[" + b"1" * size + b"]")
        server = self.server(proxy.port)
        whole = bytes(server.fetch(b"k", {}, soon()).data)
        proxy.mode = mode
        for _ in range(3):
            with pytest.raises(ServerFailed):
                server.fetch(b"k", {}, soon(0.15))
        proxy.mode = "pass"
        assert bytes(recovers(lambda: server.fetch(b"k", {}, soon())).data) == whole


class TestMeta(FetchContract):
    def server(self, port, size=2):
        return MetaServer(f"127.0.0.1:{port}", size)

    @contextmanager
    def held(self, server, proxy):
        proxy.mode = "freeze"

        def hold():
            with pytest.raises(ServerFailed):
                server.fetch(b"k", {}, soon(3))

        holder = threading.Thread(target=hold)
        holder.start()
        while not proxy.connections:
            time.sleep(0.005)
        yield
        holder.join()
        proxy.mode = "pass"

    @pytest.mark.parametrize(("by", "flags", "data", "ids"), WRITTEN, ids=[w[0] for w in WRITTEN])
    def test_bytes_and_flags_arrive_as_they_were_written(self, port, by, flags, data, ids):
        put(port, "written", data, flags)
        found = self.server(port).fetch(b"written", {}, soon())
        assert (found.flags, bytes(found.data)) == (flags, data)

    def test_an_unchanged_value_is_not_sent_again(self, port):
        put(port, "same", b"[1]")
        server = self.server(port)
        found = server.fetch(b"same", {}, soon())
        connection, number = found.version
        assert server.fetch(b"same", {connection: number}, soon()) is UNCHANGED
        assert isinstance(server.fetch(b"same", {connection + 1: number}, soon()), Value)
        delete(port, "same")
        assert server.fetch(b"same", {connection: number}, soon()) is None

    def test_one_caller_keeps_to_one_connection(self, port, proxy):
        put(port, "k", b"[1]")
        server = self.server(proxy.port, size=4)
        for _ in range(10):
            server.fetch(b"k", {}, soon())
        assert proxy.connections == 1

    def test_row_21_trickled_and_endless_answers_end_at_the_deadline(self, port, proxy):
        put(port, "k", b"[" + b"1" * 500 + b"]")
        for mode in ("trickle", "endless"):
            server = self.server(proxy.port)
            proxy.mode = mode
            started = time.monotonic()
            with pytest.raises(ServerFailed):
                server.fetch(b"k", {}, soon(0.2))
                server.fetch(b"k", {}, soon(0.2))  # endless: the first answer is whole
            assert time.monotonic() - started < 8  # trickled, the whole answer takes longer
            proxy.mode = "pass"

    def test_an_idle_connection_that_was_closed_is_no_failure(self):
        port = free_port()
        server = self.server(port, size=1)
        for value in (b"[1]", b"[2]"):
            with memcached(port):
                put(port, "k", value)
                assert bytes(server.fetch(b"k", {}, soon()).data) == value

    def test_a_unix_socket(self, tmp_path):
        path = tmp_path / "mc"
        with memcached() as (_, port), pytest.raises(ServerFailed):
            put(port, "k", b"[1]")
            MetaServer(str(path), 1).fetch(b"k", {}, soon())

    def test_a_server_without_meta_commands_says_so(self, proxy):
        proxy.mode = "no-meta"
        with pytest.raises(NoMetaCommands):
            self.server(proxy.port).fetch(b"k", {}, soon())


class TestLibmemcached(FetchContract):
    def server(self, port, size=2):
        return LibmemcachedServer(f"127.0.0.1:{port}", size)

    @contextmanager
    def held(self, server, proxy):
        with server._pool.reserve():
            yield


def test_an_older_server_is_asked_through_pylibmc(port, proxy):
    proxy.mode = "no-meta"
    memcache = connect([f"127.0.0.1:{proxy.port}"], 2)
    for n in range(5):
        put(port, "k", b"[%d]" % n)
        found = memcache.fetch(b"k", {}, soon())
        assert (found.flags, bytes(found.data), found.version) == (0, b"[%d]" % n, None)
    assert memcache.reachable() == {f"127.0.0.1:{proxy.port}": True}


@pytest.mark.parametrize("meta", [True, False])
@pytest.mark.parametrize("number", [2, 3])
def test_all_of_a_thousand_keys_that_java_placed_are_found(number, meta):
    """libmemcached's own placement finds 511 of them on two servers, 322 on three."""
    with ExitStack() as stack:
        ports = [stack.enter_context(memcached())[1] for _ in range(number)]
        values = {real_key(f"RecentItemsJSON:c{n}:0:200"): b"[%d]" % n for n in range(1000)}
        for place, port in enumerate(ports):
            mine = {k: v for k, v in values.items() if java_place(k, number) == place}
            assert mine
            put_many(port, mine)
        asked = ports
        if not meta:
            proxies = [stack.enter_context(fault_proxy(port)) for port in ports]
            asked = [proxy.port for proxy in proxies]
            for proxy in proxies:
                proxy.mode = "no-meta"
        memcache = connect([f"127.0.0.1:{port}" for port in asked], 2)
        found = {key: memcache.fetch(key.encode(), {}, soon()) for key in values}
        assert {k: bytes(v.data) for k, v in found.items() if v} == values


def test_row_20_one_of_two_is_dead_and_java_writes_to_the_next():
    keys = [real_key(f"RecentItemsJSON:c{n}:0:200") for n in range(60)]
    with memcached() as (dead, first), memcached() as (_, second):
        memcache = connect([f"127.0.0.1:{first}", f"127.0.0.1:{second}"], 2)
        for key in keys:
            put(first if java_place(key, 2) == 0 else second, key, b"[1]")
            assert memcache.fetch(key.encode(), {}, soon())
        dead.kill()
        dead.wait()
        put_many(second, dict.fromkeys(keys, b"[2]"))  # where Java writes them now
        found = [memcache.fetch(key.encode(), {}, soon()) for key in keys]
        assert [bytes(value.data) for value in found] == [b"[2]"] * 60
        assert memcache.reachable() == {f"127.0.0.1:{first}": False, f"127.0.0.1:{second}": True}
        with memcached(first):
            put(first, "back", b"[3]")
            recovers(lambda: _only_from(memcache, first))


def _only_from(memcache, port):
    """Asks until the breaker lets the first server be tried again."""
    key = next(k for k in map(real_key, map(str, range(99))) if java_place(k, 2) == 0)
    memcache.fetch(key.encode(), {}, soon())
    if not memcache.reachable()[f"127.0.0.1:{port}"]:
        raise ServerFailed


def test_row_19_a_frozen_server_costs_nothing_while_its_breaker_is_open():
    with memcached() as (process, port):
        memcache = connect([f"127.0.0.1:{port}"], 2)
        put(port, "k", b"[1]")
        memcache.fetch(b"k", {}, soon())
        freeze(process.pid)
        try:
            with pytest.raises(CandidatesUnavailable):
                memcache.fetch(b"k", {}, soon(0.3))
            started = time.monotonic()
            refused = 0
            while time.monotonic() - started < 0.3:
                with pytest.raises(CandidatesUnavailable):
                    memcache.fetch(b"k", {}, soon(0.3))
                refused += 1
            assert refused > 10
        finally:
            process.send_signal(signal.SIGCONT)
        assert bytes(recovers(lambda: memcache.fetch(b"k", {}, soon())).data) == b"[1]"


def test_what_an_algorithm_is_given_never_unpickles_and_takes_no_commands(port):
    """Row 16: `init(mc, config)` gets a pool with `reserve()`, as the old documentation says."""
    for by, flags, data, _ in WRITTEN:
        put(port, by.replace(" ", "_"), data, flags)
    put(port, "canary", b"alive")
    with SafePool([f"127.0.0.1:{port}"], 1).reserve() as client:
        assert client.get("Java,_recent_items") == b"[9958,9957,9956]"
        assert client.get("pylibmc,_str") == "[3, 1, 2]"
        assert client.get("pylibmc,_int") == 12
        assert client.get("pylibmc,_list") is None
        assert client.get("pylibmc,_long_list") is None
        assert client.get("Java,_an_object") is None
        assert client.get("Java,_gzip") == WRITTEN[3][2]
        import pylibmc

        for key in ("a b", "x\r\nflush_all", "x\r\nset pwn 0 60 5\r\nAPWNED"):
            with pytest.raises(pylibmc.Error):
                client.get(key)
        assert client.get("canary") == b"alive"
        assert client.get("pwn") is None
