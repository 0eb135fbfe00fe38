"""Snapshot, populate and clean-up against a real HTTP server that throttles, fails and pages."""

import json
import logging
import random
import subprocess
import sys

import pytest

from seldon.errors import InvalidParameter
from seldon.slirec.inventory import InventorySnapshot, read_inventory, sample_inventory
from seldon.slirec.shop_filling import TAG, clean_up, plan_clean_up, populate
from seldon.slirec.shopify import take_snapshot
from seldon.slirec.shopify_api import ShopifyClient, ShopRefused, ShopUnavailable
from tests.services.shopify import TOKEN, Shop, serving

pytestmark = pytest.mark.service


@pytest.fixture
def time_of_shop():
    """Seconds that pass only when the client sleeps, so throttling costs the test no time."""
    return [0.0]


@pytest.fixture
def shop(time_of_shop):
    with serving(Shop(clock=lambda: time_of_shop[0])) as running:
        yield running


@pytest.fixture
def client(shop, time_of_shop):
    with _client(shop, time_of_shop) as made:
        yield made


def _client(shop, time_of_shop, **options):
    def sleep(seconds):
        time_of_shop[0] += seconds

    clock = {"sleep": sleep, "clock": lambda: time_of_shop[0]}
    return ShopifyClient(shop.url, TOKEN, rng=random.Random(1), **clock, **options)


def _some_products():
    return InventorySnapshot(sample_inventory().products[::4])


def _fill(shop, products, *collections):
    for number in range(products):
        shop.add_product(f"Product {number}", *collections)


def test_snapshot_follows_pages_beyond_250(shop, client, tmp_path):
    _fill(shop, 601, "Things")
    snapshot = take_snapshot(client, tmp_path / "inventory.json", now=1_700_000_000)
    assert [p.handle for p in snapshot.products] == [f"product-{n}" for n in range(601)]
    assert {p.category for p in snapshot.products} == {"Things"}
    assert (snapshot.source, snapshot.taken_at) == (shop.url, 1_700_000_000)
    assert read_inventory(tmp_path / "inventory.json") == snapshot
    assert [entry.name for entry in tmp_path.iterdir()] == ["inventory.json"]


def test_too_expensive_page_is_halved(shop, client, tmp_path):
    """250 products with 10 collections each may cost more than Shopify allows one query."""
    _fill(shop, 300, "Things")
    take_snapshot(client, tmp_path / "inventory.json")
    # 250 and 125 are refused for their cost; pages of 62 make five.
    assert shop.requests == ["Products"] * 7


def test_throttling_is_waited_for(shop, client, tmp_path, time_of_shop):
    shop.bucket = 1000.0
    _fill(shop, 700, "Things")
    assert len(take_snapshot(client, tmp_path / "inventory.json")) == 700
    assert time_of_shop[0] > 0
    # The client knows the price and the budget after its first answer, so it waits beforehand.
    assert shop.throttled == 0


@pytest.mark.parametrize(
    "faults",
    [
        [503, 502, 500],
        [(429, {"Retry-After": "2"}), (429, {"Retry-After": "soon"}), 429],
        ["throttled", "throttled"],
        ["cut", "cut"],
        ["lost"],
        ["{not json", "[1]", "{}"],
        [None, None, 504, "cut", "throttled", None, 503],
    ],
)
def test_passing_faults_are_outlived(shop, client, tmp_path, faults):
    _fill(shop, 130, "Things")
    shop.faults = list(faults)
    assert len(take_snapshot(client, tmp_path / "inventory.json")) == 130
    assert not shop.faults


def test_attempts_and_pauses_are_bounded(shop, time_of_shop, tmp_path):
    shop.faults = [503] * 100
    with (
        _client(shop, time_of_shop, attempts=5, longest_wait=3) as client,
        pytest.raises(ShopUnavailable, match="HTTP 503, 5 times; try again later"),
    ):
        take_snapshot(client, tmp_path / "inventory.json")
    assert len(shop.requests) == 5
    assert time_of_shop[0] <= 4 * 3


@pytest.mark.parametrize("torn", ['{"after": "x", "nodes": [{"id"', '{"after": null, "nodes": []}'])
def test_snapshot_that_died_halfway_goes_on(shop, client, tmp_path, time_of_shop, torn):
    _fill(shop, 400, "Things")
    shop.dies_after = 5
    with pytest.raises(ShopUnavailable, match="no answer"):
        take_snapshot(client, tmp_path / "inventory.json")
    assert not (tmp_path / "inventory.json").exists()
    part = tmp_path / "inventory.json.part"
    kept = sum(len(json.loads(line)["nodes"]) for line in part.read_text().splitlines()[1:])
    assert 0 < kept < 400
    with part.open("a") as stream:  # and a last line that was being written
        stream.write(torn)
    shop.dies_after, shop.requests = None, []
    lines = []
    snapshot = take_snapshot(client, tmp_path / "inventory.json", report=lines.append)
    assert lines[0] == f"going on behind {kept} products of an earlier attempt"
    assert [p.handle for p in snapshot.products] == [f"product-{n}" for n in range(400)]
    assert len(shop.requests) < 7
    assert not part.exists()


@pytest.mark.parametrize("change", ["shop", "started", "garbage"])
def test_unfitting_part_file_is_begun_again(shop, client, tmp_path, change):
    _fill(shop, 3, "Things")
    node = {"id": "gid://shopify/Product/1", "handle": "old", "title": "Old", "collections": []}
    head = {"shop": shop.url, "started": 1000}
    page = json.dumps({"after": None, "nodes": [{**node, "status": "ACTIVE"}]})
    head |= {"shop": {"shop": "https://other"}, "started": {"started": -90_000}}.get(change, {})
    first = "\x00" if change == "garbage" else json.dumps(head)
    (tmp_path / "inventory.json.part").write_text(f"{first}\n{page}\n")
    snapshot = take_snapshot(client, tmp_path / "inventory.json", now=2000)
    assert [p.handle for p in snapshot.products] == ["product-0", "product-1", "product-2"]


def test_several_collections_a_product(shop, client, tmp_path):
    for number in range(30):
        shop.add_product(f"Tent {number}", "All", "Tents")
    everywhere = [f"Collection {n:02}" for n in range(40)]
    shop.add_product("Everywhere", "All", *everywhere)
    shop.add_product("Draft", "Tents", status="DRAFT")
    shop.add_product("Alone", productType="Misc")
    snapshot = take_snapshot(client, tmp_path / "inventory.json", ignored=["Collection 00"])
    found = snapshot.by_handle
    assert found["tent-3"].category == "Tents"
    assert found["tent-3"].collections == ("All", "Tents")
    assert found["everywhere"].collections == ("All", *everywhere)
    assert found["everywhere"].category == "Collection 01"
    assert found["alone"].category == "Misc"
    assert "draft" not in found


def test_populate_snapshot_clean_up(shop, client, tmp_path):
    shop.add_product("Own Product", "Camping", "Own Collection")
    sample = sample_inventory()
    done = populate(client, sample)
    assert (done.collections, done.products, done.present) == (10, 143, 0)
    channel = "gid://shopify/Publication/1"
    ours = [p for p in shop.products.values() if TAG in p["tags"]]
    assert len(ours) == 143
    assert all(channel in p["published"] for p in ours)

    snapshot = take_snapshot(client, tmp_path / "inventory.json")
    assert {p.handle: p.category for p in snapshot.products if p.handle != "own-product"} == {
        p.handle: p.category for p in sample.products
    }

    again = populate(client, sample)
    assert (again.collections, again.products, again.present) == (0, 0, 143)
    assert len(shop.products) == 144

    plan = plan_clean_up(client, sample)
    # Camping holds a product of the shop's own, so it stays.
    assert (len(plan.products), len(plan.collections)) == (143, 10)
    assert "Camping" not in plan.collections.values()
    clean_up(client, plan)
    assert [p["title"] for p in shop.products.values()] == ["Own Product"]
    assert set(shop.collections.values()) == {"Camping", "Own Collection"}

    clean_up(client, plan_clean_up(client, sample, everything=True))
    assert not shop.products
    assert not shop.collections


def test_populate_creates_nothing_twice(shop, client):
    """An answer that is lost after the change was made must not lead to a second change."""
    shop.faults = [None] * 3 + ["lost", None, "lost", None, None, "cut", 503, None, "lost"] * 12
    populate(client, _some_products(), publication=None)
    titles = [p["title"] for p in shop.products.values()]
    assert len(titles) == len(set(titles)) == 36
    assert len(shop.collections) == len(set(shop.collections.values())) == 11


def test_populate_that_died_publishes_the_rest(shop, client):
    shop.dies_after = 40
    with pytest.raises(ShopUnavailable):
        populate(client, _some_products())
    shop.dies_after = None
    next(iter(shop.products.values()))["published"].clear()
    populate(client, _some_products())
    assert len(shop.products) == 36
    assert all(p["published"] for p in shop.products.values())


def test_deleting_what_is_gone_already(shop, client):
    _fill(shop, 3, "Things")
    plan = plan_clean_up(client, sample_inventory(), everything=True)
    shop.products.popitem()
    shop.faults = ["lost"]
    clean_up(client, plan)
    assert not shop.products


def test_missing_scope_and_missing_channel(shop, client):
    shop.denied.add("write_products")
    with pytest.raises(ShopRefused, match=r"Required access: `write_products`.*lacks a scope"):
        populate(client, sample_inventory())
    with pytest.raises(InvalidParameter, match="no sales channel 'Radio', only: Online Store"):
        populate(client, sample_inventory(), publication="Radio")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (401, "refused the access token"),
        (403, "refused the access token"),
        (404, "answered HTTP 404 for API version 20"),
        ((302, {"Location": "http://127.0.0.1:1/"}), "redirects"),
        (json.dumps({"errors": [{"message": "Field 'x' doesn't exist"}]}), "doesn't exist"),
        (json.dumps({"errors": f"odd {TOKEN}"}), r"odd \*\*\*"),
    ],
)
def test_refusals_are_not_repeated(shop, client, tmp_path, fault, message):
    shop.faults = [fault]
    with pytest.raises(ShopRefused, match=message):
        take_snapshot(client, tmp_path / "inventory.json")
    assert len(shop.requests) == 1


@pytest.mark.parametrize(
    ("url", "token", "message"),
    [
        ("ftp://shop", TOKEN, "is not a shop's address"),
        ("https://", TOKEN, "is not a shop's address"),
        ("http://shop.example", TOKEN, "would travel in clear"),
        ("https://user:secret@shop.example", TOKEN, "must not carry"),
        ("shop.example", "two\nlines", "has characters no token has"),
    ],
)
def test_unusable_address_or_token(url, token, message):
    with pytest.raises(InvalidParameter, match=message) as caught:
        ShopifyClient(url, token)
    assert "secret" not in str(caught.value)
    assert token not in str(caught.value)


def test_environment():
    with pytest.raises(InvalidParameter, match="SHOPIFY_STORE_URL is not set"):
        ShopifyClient.from_environment({})
    with pytest.raises(InvalidParameter, match="SHOPIFY_ACCESS_TOKEN is not set"):
        ShopifyClient.from_environment({"SHOPIFY_STORE_URL": "my-shop.myshopify.com"})
    environment = {"SHOPIFY_STORE_URL": "my-shop.myshopify.com/", "SHOPIFY_ACCESS_TOKEN": TOKEN}
    with ShopifyClient.from_environment(environment) as client:
        assert client.shop == "https://my-shop.myshopify.com"
        assert TOKEN not in repr(client)


def test_row_48_token_is_in_no_log_and_no_error(shop, client, tmp_path, caplog, capsys):
    caplog.set_level(logging.DEBUG)
    shop.faults = ["cut", 503, 401]
    with pytest.raises(ShopRefused) as caught:
        take_snapshot(client, tmp_path / "inventory.json")
    told = "".join([caplog.text, *capsys.readouterr(), str(caught.value), repr(client)])
    assert caplog.records
    assert TOKEN not in told


def test_row_65_without_httpx():
    code = (
        "import sys; sys.modules['httpx'] = None\n"
        "from seldon.slirec.shopify_api import ShopifyClient\n"
        "ShopifyClient('https://shop.example', 'token')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "pip install 'seldon-recommender[shopify]'" in done.stderr
