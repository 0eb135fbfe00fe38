"""Product views out of Snowplow events, in the shapes trackers and enrichers write."""

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seldon.errors import InvalidParameter
from seldon.slirec.inventory import sample_inventory
from seldon.slirec.snowplow import product_handle, read_snowplow

SHOP = "https://shop.example"
PAYLOAD = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4"


def view(handle="earl-grey", user="visitor-1", ms=1_700_000_000_123, **more):
    return {"e": "pv", "aid": "shop", "duid": user, "url": f"{SHOP}/products/{handle}"} | {
        "dtm": str(ms),
        **more,
    }


def enriched(handle="teapot", user="visitor-1", time="2023-11-14T22:13:30.5Z", **more):
    return {"event": "page_view", "app_id": "shop", "domain_userid": user} | {
        "page_url": f"{SHOP}/products/{handle}?utm_source=mail",
        "derived_tstamp": time,
        **more,
    }


def write(path, *lines):
    path.write_text("".join(f"{x if isinstance(x, str) else json.dumps(x)}\n" for x in lines))
    return path


def test_every_shape(tmp_path):
    path = write(
        tmp_path / "events.jsonl",
        {"schema": PAYLOAD, "data": [view("green-tea", "visitor-2"), {"e": "pp"}, view()]},
        {"message": {"schema": PAYLOAD, "data": [view("hammock", ms=1_699_999_999_000)]}},
        "",
        view("tarp", ms=1_700_000_001_000),
        enriched(),
        enriched("moka-pot", time=None, collector_tstamp="2023-11-14 22:13:35.000"),
    )
    events, report = read_snowplow(path, sample_inventory())
    assert list(zip(events.user, events.item, events.time.tolist(), strict=True)) == [
        ("visitor-2", "green-tea", 1_700_000_000),
        ("visitor-1", "hammock", 1_699_999_999),
        ("visitor-1", "earl-grey", 1_700_000_000),
        ("visitor-1", "tarp", 1_700_000_001),
        ("visitor-1", "teapot", 1_700_000_010),
        ("visitor-1", "moka-pot", 1_700_000_015),
    ]
    assert events.category[0] == "Coffee & Tea"
    assert (report.lines, report.views) == (6, 6)
    assert report.skipped == {"not a page view": (1, 1)}


def test_what_is_left_out_is_counted_with_its_first_line(tmp_path):
    path = write(
        tmp_path / "events.jsonl",
        view(),
        "{not json",
        "[" * 100_000,
        '"text"',
        view(user=""),
        view(url=f"{SHOP}/cart"),
        view("made-up"),
        view(dtm="soon"),
        view(aid="other"),
        view(eid="a", ms=1_700_000_002_000),
        view(eid="a", ms=1_700_000_002_000),
        view(user=None),
    )
    events, report = read_snowplow(path, sample_inventory(), app_id="shop")
    assert len(events) == 2
    assert report.skipped == {
        "not JSON": (2, 2),
        "not a JSON object": (1, 4),
        "no user": (2, 5),
        "not a product page": (1, 6),
        "a product that is not in the inventory": (1, 7),
        "no time": (1, 8),
        "another application": (1, 9),
        "sent twice": (1, 11),
    }
    assert str(report).splitlines()[:2] == [
        "2 product views of 12 lines",
        "2 left out: not JSON (first in line 2)",
    ]


def test_login_instead_of_browser_and_gzip(tmp_path):
    with gzip.open(tmp_path / "events.jsonl.gz", "wt") as stream:
        stream.write(json.dumps(view(uid="anna")) + "\n" + json.dumps(enriched(user_id="anna")))
    events, _ = read_snowplow(tmp_path / "events.jsonl.gz", sample_inventory(), user_field="uid")
    assert events.user.tolist() == ["anna", "anna"]


def test_nothing_is_left(tmp_path):
    path = write(tmp_path / "events.jsonl", view("made-up"))
    with pytest.raises(InvalidParameter, match=r"no product view is left.*not in the inventory"):
        read_snowplow(path, sample_inventory())
    with pytest.raises(InvalidParameter, match="cannot be read"):
        read_snowplow(tmp_path / "none", sample_inventory())
    (tmp_path / "broken.gz").write_bytes(b"\x1f\x8bgarbage")
    with pytest.raises(InvalidParameter, match="cannot be read"):
        read_snowplow(tmp_path / "broken.gz", sample_inventory())
    with pytest.raises(InvalidParameter, match="user_field='e' is none of duid, nuid, uid"):
        read_snowplow(path, sample_inventory(), user_field="e")


@pytest.mark.parametrize(
    ("url", "handle"),
    [
        (f"{SHOP}/products/earl-grey", "earl-grey"),
        (f"{SHOP}/products/earl-grey/", "earl-grey"),
        (f"{SHOP}/products/Earl-Grey?variant=7#reviews", "earl-grey"),
        (f"{SHOP}/collections/tea/products/earl-grey", "earl-grey"),
        (f"{SHOP}/en-gb/products/earl-grey", "earl-grey"),
        (f"{SHOP}/pt/collections/cha/products/ch%C3%A1-verde", "chá-verde"),
        ("/products/earl-grey", "earl-grey"),
        (f"{SHOP}/products/", None),
        (f"{SHOP}/products", None),
        (f"{SHOP}/", None),
        (f"{SHOP}/collections/products", None),
        (f"{SHOP}/blogs/news/products/earl-grey", None),
        (f"{SHOP}/search?q=/products/earl-grey", None),
        ("http://[broken/products/earl-grey", None),
    ],
)
def test_product_handle(url, handle):
    assert product_handle(url) == handle


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_no_address_is_too_odd(url):
    found = product_handle(url)
    assert found is None or "/products/" in url.lower()


@settings(deadline=None, max_examples=50)
@given(st.recursive(st.none() | st.integers() | st.text(), lambda x: st.dictionaries(st.text(), x)))
def test_no_event_is_too_odd(event):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder) / "events.jsonl", view(), json.dumps(event))
        events, report = read_snowplow(path, sample_inventory())
        assert len(events) == 1
        assert sum(count for count, _ in report.skipped.values()) == 1
