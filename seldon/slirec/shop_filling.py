"""Fill an empty shop with an inventory's products, and empty it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from seldon.errors import InvalidParameter
from seldon.slirec.inventory import InventorySnapshot
from seldon.slirec.shopify import PRODUCTS, collections_of
from seldon.slirec.shopify_api import AnswerLost, ShopifyClient, ShopRefused

TAG = "seldon-sample"
"""Marks the products that `populate` made, so that `clean_up` can tell them from the shop's own."""

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
    handles = {node["handle"] for node in client.nodes(PRODUCTS, "products")}
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
        find = partial(_find, client, PRODUCTS, "products", "handle", product.handle)
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
    for node in client.nodes(PRODUCTS, "products"):
        if everything or TAG in node["tags"]:
            products[node["id"]] = node["title"]
        else:
            others.update(collections_of(client, node))
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
