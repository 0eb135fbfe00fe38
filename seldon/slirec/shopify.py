"""Step 1, the shop: take a snapshot of it, populate it, clean it up."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from seldon.errors import InvalidParameter
from seldon.slirec.inventory import InventorySnapshot, Product, choose_category, write_inventory
from seldon.slirec.shopify_api import AnswerLost, ShopifyClient, ShopRefused

TAG = "seldon-sample"
"""Marks the products that `populate` made, so that `clean_up` can tell them from the shop's own."""

RESUME_WITHIN = 24 * 3600
"""Seconds after which a half-taken snapshot is begun again."""

_PRODUCTS = """
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

_COLLECTIONS = """
query Collections($first: Int!, $after: String) {
  collections(first: $first, after: $after, sortKey: ID) {
    nodes { id title }
    pageInfo { hasNextPage endCursor }
  }
}"""

_PUBLICATIONS = """
query Publications($first: Int!, $after: String) {
  publications(first: $first, after: $after) {
    nodes { id name }
    pageInfo { hasNextPage endCursor }
  }
}"""

_UNPUBLISHED = """
query Unpublished($first: Int!, $after: String, $publication: ID!) {
  products(first: $first, after: $after, sortKey: ID) {
    nodes { id tags publishedOnPublication(publicationId: $publication) }
    pageInfo { hasNextPage endCursor }
  }
}"""

_CREATE_COLLECTION = """
mutation CreateCollection($collection: CollectionCreateInput!) {
  collectionCreate(collection: $collection) {
    collection { id }
    userErrors { field message }
  }
}"""

_CREATE_PRODUCT = """
mutation CreateProduct($product: ProductCreateInput!) {
  productCreate(product: $product) {
    product { id }
    userErrors { field message }
  }
}"""

_PUBLISH = """
mutation Publish($id: ID!, $input: [PublicationInput!]!) {
  publishablePublish(id: $id, input: $input) { userErrors { field message } }
}"""

_DELETE_PRODUCT = """
mutation DeleteProduct($id: ID!) {
  productDelete(input: {id: $id}) { deletedProductId userErrors { field message } }
}"""

_DELETE_COLLECTION = """
mutation DeleteCollection($id: ID!) {
  collectionDelete(input: {id: $id}) { deletedCollectionId userErrors { field message } }
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
        pages = () if finished else client.pages(_PRODUCTS, "products", after=after)
        for page, cursor in pages:
            for node in page:
                node["collections"] = _collections_of(client, node)
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


@dataclass(frozen=True)
class Populated:
    """What `populate` did, as counts."""

    collections: int
    products: int
    present: int


def populate(
    client: ShopifyClient,
    inventory: InventorySnapshot,
    *,
    publication: str | None = "Online Store",
    report: Callable[[str], None] = lambda line: None,
) -> Populated:
    """Create the collections and products of `inventory` that the shop does not have yet.

    Products are told by handle, collections by title, so calling it again goes on where an
    earlier call died and changes nothing that is there. New products carry the tag `TAG`.

    Parameters
    ----------
    client : ShopifyClient
        Its token needs write_products and, to publish, write_publications.
    inventory : InventorySnapshot
        Ids are not used: the shop gives its own.
    publication : str, optional
        Sales channel on which new products and collections become visible; ``None`` publishes
        nowhere.
    report : callable
    """
    channel = None if publication is None else _publication(client, publication)
    collections = {node["title"]: node["id"] for node in client.nodes(_COLLECTIONS, "collections")}
    handles = {node["handle"] for node in client.nodes(_PRODUCTS, "products")}
    wanted = dict.fromkeys(
        title for p in inventory.products for title in (p.collections or (p.category,))
    )
    missing = [title for title in wanted if title not in collections]
    for title in missing:
        find = partial(_find, client, _COLLECTIONS, "collections", "title", title)
        collections[title] = _create(
            client, _CREATE_COLLECTION, "collection", {"title": title}, find
        )
        _publish(client, collections[title], channel)
        report(f"collection {title}")
    unpublished = [] if channel is None else _unpublished(client, channel)
    new = [product for product in inventory.products if product.handle not in handles]
    for product in new:
        titles = product.collections or (product.category,)
        find = partial(_find, client, _PRODUCTS, "products", "handle", product.handle)
        fields = {
            "title": product.title,
            "handle": product.handle,
            "productType": product.category,
            "status": "ACTIVE",
            "tags": [TAG],
            "collectionsToJoin": [collections[title] for title in titles],
        }
        id = _create(client, _CREATE_PRODUCT, "product", fields, find)
        _publish(client, id, channel)
        report(f"product {product.title}")
    for id in unpublished:
        _publish(client, id, channel)
    return Populated(len(missing), len(new), len(inventory) - len(new))


@dataclass(frozen=True)
class CleanUp:
    """What `clean_up` would delete: id to title."""

    products: Mapping[str, str]
    collections: Mapping[str, str]


def plan_clean_up(
    client: ShopifyClient, inventory: InventorySnapshot, *, everything: bool = False
) -> CleanUp:
    """What to delete to undo `populate`; nothing is deleted yet.

    Parameters
    ----------
    client : ShopifyClient
    inventory : InventorySnapshot
        What the shop was populated with; collections of other titles are left alone.
    everything : bool
        Every product and every collection of the shop, not only those `populate` made.
    """
    products, others = {}, set()
    for node in client.nodes(_PRODUCTS, "products"):
        if everything or TAG in node["tags"]:
            products[node["id"]] = node["title"]
        else:
            others.update(_collections_of(client, node))
    ours = {title for p in inventory.products for title in (*p.collections, p.category)} - others
    collections = {
        node["id"]: node["title"]
        for node in client.nodes(_COLLECTIONS, "collections")
        if everything or node["title"] in ours
    }
    return CleanUp(products, collections)


def clean_up(
    client: ShopifyClient, plan: CleanUp, *, report: Callable[[str], None] = lambda line: None
) -> None:
    """Delete what `plan_clean_up` found. It cannot be undone; ask somebody before."""
    for query, field, entries in (
        (_DELETE_PRODUCT, "productDelete", plan.products),
        (_DELETE_COLLECTION, "collectionDelete", plan.collections),
    ):
        for id, title in entries.items():
            try:
                client.change(query, field, {"id": id}, repeatable=True)
            except ShopRefused as error:
                # Gone already: deleted by somebody else, or by an attempt whose answer was lost.
                if "exist" not in str(error):
                    raise
            report(f"deleted {title}")


def _collections_of(client: ShopifyClient, node: Mapping[str, Any]) -> list[str]:
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


def _publication(client: ShopifyClient, name: str) -> str:
    found = {node["name"]: node["id"] for node in client.nodes(_PUBLICATIONS, "publications")}
    if name not in found:
        raise InvalidParameter(
            f"{client.shop} has no sales channel {name!r}, only: {', '.join(sorted(found))}"
        )
    return str(found[name])


def _unpublished(client: ShopifyClient, channel: str) -> list[str]:
    """Products that an earlier `populate` made and died before publishing."""
    nodes = client.nodes(_UNPUBLISHED, "products", {"publication": channel})
    return [n["id"] for n in nodes if TAG in n["tags"] and not n["publishedOnPublication"]]


def _create(
    client: ShopifyClient,
    query: str,
    what: str,
    fields: Mapping[str, Any],
    find: Callable[[], str | None],
) -> str:
    """Create something once: after a lost answer `find` looks whether it is there."""
    attempts = 8
    for attempt in range(attempts):
        try:
            made = client.change(query, f"{what}Create", {what: fields}, repeatable=False)
            return str(made[what]["id"])
        except AnswerLost:
            id = find()
            if id is not None:
                return id
            if attempt == attempts - 1:
                raise
    raise AssertionError("unreachable")


def _find(client: ShopifyClient, query: str, connection: str, key: str, value: str) -> str | None:
    for node in client.nodes(query, connection):
        if node[key] == value:
            return str(node["id"])
    return None


def _publish(client: ShopifyClient, id: str, channel: str | None) -> None:
    if channel is not None:
        variables = {"id": id, "input": [{"publicationId": channel}]}
        client.change(_PUBLISH, "publishablePublish", variables, repeatable=True)
