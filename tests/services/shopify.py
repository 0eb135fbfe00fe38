"""A shop on loopback that speaks the part of Shopify's GraphQL Admin API we use.

Queries are parsed, validated against the schema below and executed by graphql-core, so a
field that does not exist fails here as it fails there. It counts costs, throttles, paginates,
and does wrong on request: see `Shop.faults`.
"""

from __future__ import annotations

import base64
import functools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import graphql

SCHEMA = graphql.build_schema("""
type Query {
  products(first: Int, after: String, sortKey: ProductSortKeys = ID): ProductConnection!
  product(id: ID!): Product
  collections(first: Int, after: String, sortKey: CollectionSortKeys = ID): CollectionConnection!
  publications(first: Int, after: String): PublicationConnection!
}
type Mutation {
  productCreate(product: ProductCreateInput): ProductCreatePayload
  productDelete(input: ProductDeleteInput!): ProductDeletePayload
  collectionCreate(collection: CollectionCreateInput): CollectionCreatePayload
  collectionDelete(input: CollectionDeleteInput!): CollectionDeletePayload
  publishablePublish(id: ID!, input: [PublicationInput!]!): PublishablePublishPayload
}
enum ProductSortKeys { ID TITLE UPDATED_AT }
enum CollectionSortKeys { ID TITLE UPDATED_AT }
enum ProductStatus { ACTIVE ARCHIVED DRAFT }
type PageInfo { hasNextPage: Boolean! endCursor: String }
type Product {
  id: ID!
  handle: String!
  title: String!
  productType: String!
  status: ProductStatus!
  tags: [String!]!
  collections(first: Int, after: String): CollectionConnection!
  publishedOnPublication(publicationId: ID!): Boolean!
}
type Collection { id: ID! title: String! }
type Publication { id: ID! name: String! }
type ProductConnection { nodes: [Product!]! pageInfo: PageInfo! }
type CollectionConnection { nodes: [Collection!]! pageInfo: PageInfo! }
type PublicationConnection { nodes: [Publication!]! pageInfo: PageInfo! }
input ProductCreateInput {
  title: String
  handle: String
  productType: String
  status: ProductStatus
  tags: [String!]
  collectionsToJoin: [ID!]
}
input ProductDeleteInput { id: ID! }
input CollectionCreateInput { title: String handle: String }
input CollectionDeleteInput { id: ID! }
input PublicationInput { publicationId: ID }
type UserError { field: [String!] message: String! }
type ProductCreatePayload { product: Product userErrors: [UserError!]! }
type ProductDeletePayload { deletedProductId: ID userErrors: [UserError!]! }
type CollectionCreatePayload { collection: Collection userErrors: [UserError!]! }
type CollectionDeletePayload { deletedCollectionId: ID userErrors: [UserError!]! }
type PublishablePublishPayload { userErrors: [UserError!]! }
""")
LARGEST_PAGE = 250
LARGEST_COST = 1000
TOKEN = "shpat_canary_0123456789abcdef"


@dataclass
class Shop:
    """What the shop holds and how it behaves.

    `faults` are used up one a request: ``503`` (a status; ``(429, {"Retry-After": "0"})`` with
    headers), ``"cut"`` (the connection ends without an answer), ``"lost"`` (the request is
    carried out, then the connection ends), ``"throttled"``, or a str starting with ``{`` (the
    body to answer). ``None`` is no fault.
    """

    products: dict[str, dict] = field(default_factory=dict)
    collections: dict[str, str] = field(default_factory=dict)
    publications: dict[str, str] = field(
        default_factory=lambda: {"gid://shopify/Publication/1": "Online Store"}
    )
    faults: list = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    dies_after: int | None = None
    bucket: float = 2000.0
    restored_per_second: float = 100.0
    clock: object = time.monotonic
    url: str = ""
    throttled: int = 0

    def __post_init__(self):
        self._lock = threading.Lock()
        self._number = 9_000_000_000
        self._available, self._at = self.bucket, self.clock()

    def add_collection(self, title: str) -> str:
        id = f"gid://shopify/Collection/{self._next()}"
        self.collections[id] = title
        return id

    def add_product(self, title: str, *collections: str, **fields) -> str:
        """`collections` are titles; missing ones are made."""
        known = {t: id for id, t in self.collections.items()}
        ids = [known.get(t) or self.add_collection(t) for t in dict.fromkeys(collections)]
        id = f"gid://shopify/Product/{self._next()}"
        handle = title.lower().replace(" ", "-")
        self.products[id] = {
            **{"id": id, "title": title, "handle": handle, "productType": "", "tags": []},
            **{"status": "ACTIVE", "published": set(), "collections": ids, **fields},
        }
        return id

    def _next(self) -> int:
        self._number += 13
        return self._number

    # -- GraphQL ---------------------------------------------------------------------------

    def answer(self, document: dict) -> tuple[int, dict]:
        query, errors = _parsed(document["query"])
        if errors:
            return 200, {"errors": errors}
        variables = document.get("variables") or {}
        cost = _cost(query.definitions[0].selection_set, variables)
        if cost > LARGEST_COST:
            told = {
                "message": f"Query cost is {cost}, which exceeds the single query max cost limit"
            }
            return 200, {"errors": [{**told, "extensions": {"code": "MAX_COST_EXCEEDED"}}]}
        with self._lock:
            now = self.clock()
            restored = (now - self._at) * self.restored_per_second
            self._available, self._at = min(self.bucket, self._available + restored), now
            extensions = {"cost": {"requestedQueryCost": cost, "throttleStatus": self._status()}}
            if cost > self._available:
                self.throttled += 1
                throttled = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
                return 200, {"errors": [throttled], "extensions": extensions}
            self._available -= cost
            result = graphql.execute_sync(
                SCHEMA, query, root_value=_Root(self), variable_values=variables
            )
            extensions["cost"]["throttleStatus"] = self._status()
        body = {"data": result.data, "extensions": extensions}
        if result.errors:
            body["errors"] = [error.formatted for error in result.errors]
        return 200, body

    def _status(self) -> dict:
        return {
            "maximumAvailable": self.bucket,
            "currentlyAvailable": self._available,
            "restoreRate": self.restored_per_second,
        }


@functools.cache
def _parsed(text: str) -> tuple[graphql.DocumentNode | None, list]:
    try:
        query = graphql.parse(text)
    except graphql.GraphQLError as error:
        return None, [error.formatted]
    return query, [error.formatted for error in graphql.validate(SCHEMA, query)]


class _Root:
    def __init__(self, shop: Shop):
        self.shop = shop

    def products(self, info, first=None, after=None, sortKey=None):
        return _page([_Product(self.shop, p) for p in self.shop.products.values()], first, after)

    def product(self, info, id):
        found = self.shop.products.get(id)
        return found and _Product(self.shop, found)

    def collections(self, info, first=None, after=None, sortKey=None):
        entries = [{"id": id, "title": title} for id, title in self.shop.collections.items()]
        return _page(entries, first, after)

    def publications(self, info, first=None, after=None):
        entries = [{"id": id, "name": name} for id, name in self.shop.publications.items()]
        return _page(entries, first, after)

    def productCreate(self, info, product):
        self._allow("write_products")
        if any(p["handle"] == product["handle"] for p in self.shop.products.values()):
            message = f"Handle '{product['handle']}' already in use. Please provide a new handle."
            return {"userErrors": [{"field": ["handle"], "message": message}]}
        titles = [self.shop.collections[id] for id in product.pop("collectionsToJoin", [])]
        id = self.shop.add_product(product.pop("title"), *titles, **product)
        return {"product": _Product(self.shop, self.shop.products[id]), "userErrors": []}

    def productDelete(self, info, input):
        self._allow("write_products")
        if self.shop.products.pop(input["id"], None) is None:
            return {"userErrors": [{"field": ["id"], "message": "Product does not exist"}]}
        return {"deletedProductId": input["id"], "userErrors": []}

    def collectionCreate(self, info, collection):
        self._allow("write_products")
        id = self.shop.add_collection(collection["title"])
        return {"collection": {"id": id, "title": collection["title"]}, "userErrors": []}

    def collectionDelete(self, info, input):
        self._allow("write_products")
        if self.shop.collections.pop(input["id"], None) is None:
            return {"userErrors": [{"field": ["id"], "message": "Collection does not exist"}]}
        for product in self.shop.products.values():
            product["collections"] = [c for c in product["collections"] if c != input["id"]]
        return {"deletedCollectionId": input["id"], "userErrors": []}

    def publishablePublish(self, info, id, input):
        self._allow("write_publications")
        if id in self.shop.products:
            self.shop.products[id]["published"].update(entry["publicationId"] for entry in input)
        return {"userErrors": []}

    def _allow(self, scope):
        if scope in self.shop.denied:
            raise graphql.GraphQLError(
                f"Access denied. Required access: `{scope}` access scope.",
                extensions={"code": "ACCESS_DENIED"},
            )


class _Product:
    def __init__(self, shop: Shop, fields: dict):
        self.shop, self.fields = shop, fields

    def __getattr__(self, name):
        return self.fields[name]

    def collections(self, info, first=None, after=None):
        named = [
            {"id": id, "title": self.shop.collections[id]} for id in self.fields["collections"]
        ]
        return _page(named, first, after)

    def publishedOnPublication(self, info, publicationId):
        return publicationId in self.fields["published"]


def _page(entries: list, first: int | None, after: str | None) -> dict:
    if first is None or not 0 < first <= LARGEST_PAGE:
        raise graphql.GraphQLError(f"first must be between 1 and {LARGEST_PAGE}")
    start = 0 if after is None else int(base64.b64decode(after)) + 1
    page = entries[start : start + first]
    end = base64.b64encode(str(start + len(page) - 1).encode()).decode() if page else None
    more = start + len(page) < len(entries)
    return {"nodes": page, "pageInfo": {"hasNextPage": more, "endCursor": end}}


def _cost(selection, variables: dict) -> int:
    """Objects cost 1, a connection what its page may hold, a mutation 10."""
    total = 0
    for node in selection.selections if selection else ():
        inside = _cost(node.selection_set, variables) if node.selection_set else 0
        sizes = [a.value for a in node.arguments if a.name.value == "first"]
        if sizes:
            value = sizes[0]
            named = isinstance(value, graphql.VariableNode)
            size = variables[value.name.value] if named else int(value.value)
            total += 2 + size * inside
        elif node.name.value[-6:] in ("Create", "Delete") or node.name.value.endswith("Publish"):
            total += 10
        elif node.name.value not in ("pageInfo",):
            total += inside + (1 if node.selection_set else 0)
    return total


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer, or each waits 40 ms for the delayed acknowledgement
    shop: Shop

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        shop = self.shop
        document = json.loads(body)
        shop.requests.append(document["query"].split("(")[0].split()[-1])
        if shop.dies_after is not None and len(shop.requests) > shop.dies_after:
            return self._cut()
        fault = shop.faults.pop(0) if shop.faults else None
        if fault == "cut":
            return self._cut()
        if self.headers.get("X-Shopify-Access-Token") != TOKEN:
            return self._send(401, {"errors": "[API] Invalid API key or access token"})
        if not self.path.startswith("/admin/api/20") or not self.path.endswith("/graphql.json"):
            return self._send(404, {"errors": "Not Found"})
        if isinstance(fault, int):
            return self._send(fault, {"errors": "a fault"})
        if isinstance(fault, tuple):
            return self._send(fault[0], {"errors": "a fault"}, fault[1])
        if fault == "throttled":
            throttled = {"message": "Throttled", "extensions": {"code": "THROTTLED"}}
            return self._send(200, {"errors": [throttled]})
        if isinstance(fault, str) and fault != "lost":
            return self._send(200, fault)
        status, answer = shop.answer(document)
        if fault == "lost":
            return self._cut()
        return self._send(status, answer)

    def _send(self, status, body, headers=None):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _cut(self):
        self.close_connection = True

    def log_message(self, *arguments):
        pass


@contextmanager
def serving(shop: Shop) -> Iterator[Shop]:
    """Serve `shop` on a free port of loopback; its `url` is set."""
    handler = type("Handler", (_Handler,), {"shop": shop})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    shop.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
