"""Step 1, the shop: take a snapshot of it."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from seldon.slirec.inventory import InventorySnapshot, Product, choose_category, write_inventory
from seldon.slirec.shopify_api import ShopifyClient

RESUME_WITHIN = 24 * 3600
"""Seconds after which a half-taken snapshot is begun again."""

PRODUCTS = """
query Products($first: Int!, $after: String) {
  products(first: $first, after: $after, sortKey: ID) {
    nodes {
      id
      handle
      title
      productType
      status
      tags
      collections(first: 10) { nodes { id title } pageInfo { hasNextPage endCursor } }
    }
    pageInfo { hasNextPage endCursor }
  }
}"""

_MORE_COLLECTIONS = """
query MoreCollections($id: ID!, $first: Int!, $after: String) {
  product(id: $id) {
    collections(first: $first, after: $after) {
      nodes { id title }
      pageInfo { hasNextPage endCursor }
    }
  }
}"""


def take_snapshot(
    client: ShopifyClient,
    path: str | os.PathLike[str],
    *,
    ignored: Collection[str] = (),
    statuses: Collection[str] = ("ACTIVE",),
    now: float | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> InventorySnapshot:
    """Read every product of the shop and write the snapshot to `path`.

    Pages that have arrived are kept beside it in ``<path>.part``; when the shop dies halfway,
    the same call goes on behind the last whole page. The part file is removed at the end.

    Parameters
    ----------
    client : ShopifyClient
    path : path
    ignored : collection of str
        Collection titles that are never a category; see `choose_category`.
    statuses : collection of str
        Products of other statuses are left out: no visitor can open a draft.
    now : float, optional
        Seconds since 1970-01-01 UTC; the clock's by default.
    report : callable
        Told a line after every page.
    """
    now = time.time() if now is None else now
    part = Path(f"{os.fspath(path)}.part")
    part.parent.mkdir(parents=True, exist_ok=True)
    nodes, after, finished = _resume(part, client.shop, now)
    if nodes:
        report(f"going on behind {len(nodes)} products of an earlier attempt")
    with part.open("a", encoding="utf-8") as stream:
        pages = () if finished else client.pages(PRODUCTS, "products", after=after)
        for page, cursor in pages:
            for node in page:
                node["collections"] = collections_of(client, node)
            nodes.extend(page)
            stream.write(json.dumps({"after": cursor, "nodes": page}) + "\n")
            stream.flush()
            report(f"{len(nodes)} products")
    # A product that moves while the pages are read can come twice; its later state counts.
    seen = {node["id"]: node for node in nodes}
    distinct = [node for node in seen.values() if node["status"] in statuses]
    sizes = Counter(title for node in distinct for title in node["collections"])
    products = tuple(
        Product(
            node["id"],
            node["handle"],
            node["title"],
            choose_category(node["collections"], sizes, node.get("productType") or "", ignored),
            tuple(node["collections"]),
        )
        for node in distinct
    )
    snapshot = InventorySnapshot(products, client.shop, int(now))
    write_inventory(snapshot, path)
    part.unlink()
    return snapshot


def collections_of(client: ShopifyClient, node: Mapping[str, Any]) -> list[str]:
    """Titles of all collections of a product, beyond the first ten by further queries."""
    found = node["collections"]
    titles = [entry["title"] for entry in found["nodes"]]
    if found["pageInfo"]["hasNextPage"]:
        after = found["pageInfo"]["endCursor"]
        variables = {"id": node["id"]}
        pages = client.pages(_MORE_COLLECTIONS, "product.collections", variables, after=after)
        titles.extend(entry["title"] for page, _ in pages for entry in page)
    return list(dict.fromkeys(titles))


def _resume(part: Path, shop: str, now: float) -> tuple[list[dict[str, Any]], str | None, bool]:
    """Nodes of an earlier attempt, the cursor behind them, and whether that was the last page.

    An attempt at another shop, or an old one, is thrown away; so is a last line that
    was only half written.
    """
    nodes: list[dict[str, Any]] = []
    after, finished, whole = None, False, 0
    try:
        with part.open("rb") as stream:
            head = json.loads(stream.readline())
            fresh = now - RESUME_WITHIN <= head["started"] <= now
            if fresh and head["shop"] == shop:
                whole = stream.tell()
                for line in stream:
                    page = json.loads(line if line.endswith(b"\n") else b"")
                    nodes.extend(page["nodes"])
                    after, finished = page["after"], page["after"] is None
                    whole += len(line)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # what was read so far stands
    if whole:
        with part.open("r+b") as stream:
            stream.truncate(whole)
    else:
        nodes, after, finished = [], None, False
        part.write_text(json.dumps({"shop": shop, "started": now}) + "\n")
    return nodes, after, finished
