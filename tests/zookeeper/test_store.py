"""Publishing to a real ZooKeeper, and what happens when it goes away."""

import json
import signal
import threading
import time
from decimal import Decimal

import pytest

from seldon.errors import InvalidParameter
from seldon.zookeeper import Node, Strategies, ZooKeeperUnavailable, active, documents
from seldon.zookeeper.__main__ import main
from tests.services.processes import freeze
from tests.services.zookeeper import zookeeper
from tests.zookeeper.test_documents import GOOD_URL, service

pytestmark = pytest.mark.service
BUILT_IN = documents.algorithm_config([documents.algorithm("recentItemsRecommender")])


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    with zookeeper(tmp_path_factory.mktemp("zookeeper")) as (_, port):
        yield port


@pytest.fixture
def raw(port):
    """A bare client, with one Seldon client ``test1`` that has nothing yet."""
    from kazoo.client import KazooClient

    client = KazooClient(f"127.0.0.1:{port}")
    client.start()
    client.delete("/all_clients", recursive=True)
    client.delete("/config", recursive=True)
    client.create("/all_clients/test1", b'{"DB_JNDI_NAME":"x"}', makepath=True)
    yield client
    client.stop()
    client.close()


@pytest.fixture
def store(port, raw):
    with Strategies(f"127.0.0.1:{port}", timeout=5) as store:
        yield store


@pytest.fixture
def run(port, raw, capsys):
    """Run the command; returns its exit status, output and error output."""

    def run(command, *options):
        status = main([command, "--zookeeper", f"127.0.0.1:{port}", *options])
        return (status, *capsys.readouterr())

    return run


def address(raw):
    host, port = raw.hosts[0]
    return f"{host}:{port}"


def put(raw, path, value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    raw.ensure_path(path)
    raw.set(path, data)


def test_publish_show_unpublish(run, raw):
    status, out, err = run("publish", "--client", "test1", "--url", GOOD_URL)
    assert (status, err) == (0, "")
    assert "/all_clients/test1/algs written" in out
    assert json.loads(raw.get("/all_clients/test1/algs")[0]) == {
        "algorithms": [
            {
                "name": "externalItemRecommendationAlgorithm",
                "includers": ["recentItemsIncluder"],
                "filters": [],
                "config": [
                    {"name": "io.seldon.algorithm.external.url", "value": GOOD_URL},
                    {"name": "io.seldon.algorithm.external.name", "value": "seldon-recommender"},
                    {"name": "io.seldon.algorithm.inclusion.itemsperincluder", "value": "1000"},
                ],
            }
        ],
        "combiner": "firstSuccessfulCombiner",
    }
    assert raw.get("/all_clients/test1")[0] == b'{"DB_JNDI_NAME":"x"}'

    status, out, _ = run("show", "--client", "test1")
    assert status == 0
    assert "test1: algs: alg_test_switch is not on, there is no alg_rectags, so it decides" in out
    assert GOOD_URL in out

    status, out, _ = run("unpublish", "--client", "test1")
    assert status == 0
    assert "algs removed; it was:" in out and GOOD_URL in out
    assert "active: nothing" in out
    assert not raw.exists("/all_clients/test1/algs")
    assert run("unpublish", "--client", "test1")[0] == 1


def test_every_option_reaches_the_node(run, raw):
    options = "--name x --includer mostPopularIncluder --includer recentItemsIncluder"
    options += " --items-per-includer 500 --filter tagAffinityFilter --diversity-level 2"
    options += " --recent-actions-to-filter 0 --then recentItemsRecommender"
    options += " --combiner rankSumCombiner"
    run("publish", "--client", "test1", "--url", GOOD_URL, *options.split())
    document = json.loads(raw.get("/all_clients/test1/algs")[0])
    ours, then = document["algorithms"]
    assert ours["includers"] == ["mostPopularIncluder", "recentItemsIncluder"]
    assert ours["filters"] == ["tagAffinityFilter"]
    assert {entry["name"]: entry["value"] for entry in ours["config"]} == {
        documents.URL: GOOD_URL,
        documents.NAME: "x",
        documents.ITEMS_PER_INCLUDER: "500",
        documents.ACTIONS_TO_FILTER: "0",
    }
    assert then["name"] == "recentItemsRecommender"
    assert (document["combiner"], document["diversityLevel"]) == ("rankSumCombiner", 2.0)


def test_variations_go_to_alg_rectags(run, raw):
    options = ["--variation", f"a=0.9={GOOD_URL}", "--variation", "b=0.1=http://b:5000/recommend"]
    status, out, _ = run("publish", "--client", "test1", *options)
    assert status == 0
    document = json.loads(raw.get("/all_clients/test1/alg_rectags")[0])
    assert document["recTagToStrategy"] == {}
    parts = document["defaultStrategy"]["variations"]
    assert [(part["label"], part["ratio"]) for part in parts] == [("a", 0.9), ("b", 0.1)]
    names = [entry["value"] for entry in parts[1]["config"]["algorithms"][0]["config"]]
    assert names == ["http://b:5000/recommend", "b", "1000"]
    assert "active: alg_rectags" in out


def test_where_alg_rectags_wins_it_is_what_is_written(run, raw):
    put(raw, "/all_clients/test1/algs", BUILT_IN)
    tags = {"defaultStrategy": BUILT_IN, "recTagToStrategy": {"home": BUILT_IN}}
    put(raw, "/all_clients/test1/alg_rectags", tags)
    status, out, _ = run("publish", "--client", "test1", "--url", GOOD_URL)
    assert status == 0
    assert "alg_rectags replaced; it was:" in out and json.dumps(tags) in out
    document = json.loads(raw.get("/all_clients/test1/alg_rectags")[0])
    assert document["defaultStrategy"]["algorithms"][0]["name"] == documents.EXTERNAL
    assert document["recTagToStrategy"] == {"home": BUILT_IN}
    assert json.loads(raw.get("/all_clients/test1/algs")[0]) == BUILT_IN

    status, _, err = run("unpublish", "--client", "test1")
    assert status == 1 and "also holds strategies for the tags ['home']" in err
    status, out, _ = run("unpublish", "--client", "test1", "--force")
    assert status == 0 and "active: algs" in out


def test_a_running_test_wins_and_is_told(run, raw):
    put(raw, "/all_clients/test1/alg_test_switch", b"true")
    test = documents.variations([("a", Decimal(1), BUILT_IN)])
    put(raw, "/all_clients/test1/alg_test", test)
    status, out, err = run("publish", "--client", "test1", "--url", GOOD_URL)
    assert status == 0
    assert "active: alg_test: so it decides" in out
    assert "algs does not decide yet: switch the test off" in err


def test_a_strategy_from_a_file_and_back(run, raw, tmp_path):
    status, before, _ = run("publish", "--client", "test1", "--url", GOOD_URL, "--dry-run")
    assert status == 0 and not raw.exists("/all_clients/test1/algs")
    file = tmp_path / "strategy.json"
    file.write_text(before)
    assert run("publish", "--client", "test1", "--file", str(file))[0] == 0
    status, out, _ = run("show", "--client", "test1", "--json")
    shown = json.loads(out)["test1"]
    assert shown["strategy"] == json.loads(before)
    assert shown["active"] == "/all_clients/test1/algs"


def test_a_whole_alg_rectags_from_a_file(run, raw, tmp_path):
    put(raw, "/all_clients/test1/alg_rectags", b"broken")
    tags = {"defaultStrategy": service(), "recTagToStrategy": {"home": BUILT_IN}}
    file = tmp_path / "tags.json"
    file.write_text(json.dumps(tags))
    assert run("publish", "--client", "test1", "--file", str(file))[0] == 0
    assert json.loads(raw.get("/all_clients/test1/alg_rectags")[0]) == tags


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--client", "tset1", "--url", GOOD_URL], "no client 'tset1'; did you mean 'test1'?"),
        (["--client", "../config", "--url", GOOD_URL], "cannot be the name of a client"),
        (["--client", "test1"], "give one of --url, --file, or --variation"),
        (["--client", "test1", "--url", GOOD_URL, "--file", "x"], "give one of"),
        (["--client", "test1", "--variation", "a"], "must be LABEL=RATIO=URL"),
        (["--client", "test1", "--variation", f"a=half={GOOD_URL}"], "must be LABEL=RATIO=URL"),
        (["--client", "test1", "--variation", f"a=0.9={GOOD_URL}"], "must add up to 1"),
        (["--client", "test1", "--url", "https://a/recommend"], "must start with http://"),
        (["--client", "test1", "--url", GOOD_URL, "--includer", "recent"], "unknown to the server"),
        (["--client", "test1", "--file", "/no/such/file"], "No such file"),
        (["--client", "test1", "--url", GOOD_URL, "--timeout", "0"], "--timeout=0.0 must be"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(run, raw, options, message):
    status, out, err = run("publish", *options)
    assert (status, out) == (1, "")
    assert err.startswith("seldon.zookeeper: ") and message in err
    assert raw.get_children("/all_clients/test1") == []
    assert raw.get_children("/all_clients") == ["test1"]


def test_an_unknown_client_only_when_asked_for(run, raw):
    assert run("publish", "--client", "new", "--url", GOOD_URL, "--create")[0] == 0
    assert raw.exists("/all_clients/new/algs")
    status, out, _ = run("show")
    assert status == 0
    assert out.splitlines()[0].startswith("new: algs")
    assert out.splitlines()[1].startswith("test1: nothing")


def test_row_52_bad_json_is_shown_and_not_built_upon(run, raw):
    put(raw, "/all_clients/test1/algs", BUILT_IN)
    put(raw, "/all_clients/test1/alg_rectags", b'{"defaultStrategy": \x1b[31m')
    status, out, _ = run("show", "--client", "test1")
    assert status == 0
    assert "test1: algs: alg_test_switch is not on, the server refuses alg_rectags" in out
    assert "refused /all_clients/test1/alg_rectags: not a JSON document" in out
    assert "\x1b" not in out
    status, _, err = run("publish", "--client", "test1", "--url", GOOD_URL)
    assert status == 1 and "unpublish it first" in err
    assert run("unpublish", "--client", "test1")[0] == 1
    status, out, _ = run("unpublish", "--client", "test1", "--force")
    assert status == 0 and r"\x1b" in out and "\x1b" not in out
    assert run("publish", "--client", "test1", "--url", GOOD_URL)[0] == 0


def test_row_52_a_hostile_name_is_refused_and_shown_harmless(run, raw):
    hostile = documents.algorithm_config([documents.algorithm("../../evil\x1b[2J")])
    put(raw, "/all_clients/test1/algs", hostile)
    status, out, _ = run("show", "--client", "test1")
    assert status == 0
    assert "is unknown to the server" in out and "\x1b" not in out


def test_row_52_a_node_of_a_mebibyte(run, raw, tmp_path):
    put(raw, "/all_clients/test1/algs", b"[" * 1_040_000)
    status, out, _ = run("show", "--client", "test1")
    assert status == 0 and "refused /all_clients/test1/algs" in out and len(out) < 2_000
    file = tmp_path / "large.json"
    large = documents.algorithm_config([*BUILT_IN["algorithms"]] * 20_000)
    file.write_text(json.dumps(large))
    status, _, err = run("publish", "--client", "test1", "--file", str(file))
    assert status == 1 and "a node takes 1000000" in err
    with (
        Strategies(address(raw), timeout=5) as store,
        pytest.raises(InvalidParameter, match="ZooKeeper takes 1000000"),
    ):
        store.publish("test1", large)


def test_somebody_else_writes_at_the_same_moment(store, raw, monkeypatch):
    put(raw, "/all_clients/test1/algs", BUILT_IN)
    read = store._nodes

    def read_then_others_write(client, call):
        nodes = read(client, call)
        put(raw, "/all_clients/test1/algs", b"theirs")
        return nodes

    monkeypatch.setattr(store, "_nodes", read_then_others_write)
    with pytest.raises(InvalidParameter, match="somebody else changed the node"):
        store.publish("test1", service())
    assert raw.get("/all_clients/test1/algs")[0] == b"theirs"


def test_row_52_a_lost_session_is_taken_up_again(store, raw):
    from kazoo.client import KazooClient

    thief = KazooClient(address(raw), client_id=store._zookeeper.client_id)
    thief.start()
    thief.stop()  # closes the session that both have
    thief.close()
    store.publish("test1", service())
    assert json.loads(raw.get("/all_clients/test1/algs")[0]) == service()


def test_row_52_nothing_listens(capsys):
    began = time.monotonic()
    status = main(["show", "--zookeeper", "127.0.0.1:1", "--timeout", "0.5"])
    assert status == 1
    assert "no ZooKeeper answers at 127.0.0.1:1 within 0.5 s" in capsys.readouterr().err
    assert time.monotonic() - began < 10
    assert main(["show", "--zookeeper", "127.0.0.1:port"]) == 1
    assert "must be host:port" in capsys.readouterr().err


def test_row_52_zookeeper_freezes_and_comes_back(tmp_path):
    with zookeeper(tmp_path) as (process, port):
        address = f"127.0.0.1:{port}"
        with Strategies(address, timeout=20, session=1) as store:
            store._require("test1", create=True)
            freeze(process.pid)
            back = threading.Timer(2.5, process.send_signal, [signal.SIGCONT])
            back.start()
            before = store.publish("test1", service())  # the session has expired meanwhile
            back.join()
            assert before.content is None
            assert active(store.nodes("test1")).node.path == "/all_clients/test1/algs"
        with Strategies(address, timeout=3, session=1) as store:
            freeze(process.pid)
            began = time.monotonic()
            with pytest.raises(ZooKeeperUnavailable):
                store.nodes("test1")
            assert time.monotonic() - began < 15
            process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("word", ["true", "ON", "yes", "t", "Y"])
def test_words_that_switch_a_test_on(word):
    assert decided({"alg_test_switch": word.encode()}) == "alg_test"


@pytest.mark.parametrize("word", ["false", "off", "", " true", "true\n", "1"])
def test_words_that_do_not(word):
    assert decided({"alg_test_switch": word.encode()}) == "alg_rectags"


def test_the_order_of_the_nodes():
    assert decided({"alg_test_switch": b"on"}) == "alg_test"
    assert decided({"alg_test_switch": b"on", "alg_test": None}) == "alg_rectags"
    assert decided({}) == "alg_rectags"
    assert decided({"alg_rectags": None}) == "algs"
    assert decided({"alg_rectags": None, "algs": None}) == "default_strategy"
    nothing = {"alg_rectags": None, "algs": None, "default_strategy": None}
    assert decided(nothing) is None


def decided(contents):
    """The name of the node that decides when all are there but as `contents` says."""
    everything = {"alg_test_switch": None, "alg_test": b"x", "alg_rectags": b"x", "algs": b"x"}
    everything["default_strategy"] = b"x"
    nodes = {
        name: Node(name, content, 0, {} if content is not None else None)
        for name, content in {**everything, **contents}.items()
    }
    node = active(nodes).node
    return node and node.path
