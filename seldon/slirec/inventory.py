"""Step 1, the data: `InventorySnapshot`, what a shop sells, as JSON; a sample ships."""

from __future__ import annotations

import io
import json
import os
import pickle
import pickletools
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from seldon.errors import InvalidModel, InvalidParameter
from seldon.whole_files import whole_file

Location = str | os.PathLike[str]

UNCATEGORISED = "Uncategorised"
"""Category of a product that is in no collection and has no product type."""

MAX_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Product:
    """One thing the shop sells.

    Attributes
    ----------
    id : str
        The shop's own id, ``gid://shopify/Product/<number>``.
    handle : str
        The last part of the product page's address; events name a product by it.
    title : str
    category : str
        One of `collections`, see `choose_category`.
    collections : tuple of str
        Titles of every collection that holds the product; may be empty.
    """

    id: str
    handle: str
    title: str
    category: str
    collections: tuple[str, ...] = ()

    @property
    def number(self) -> int:
        """The number in `id`: the item id on the integer wires, ``/recommend`` for one."""
        return int(self.id.rpartition("/")[2])


@dataclass(frozen=True)
class InventorySnapshot:
    """What a shop sold at one moment.

    Attributes
    ----------
    products : tuple of Product
        Handles and ids are distinct.
    source : str
        Where it came from: the shop's address, a file, or ``"sample"``.
    taken_at : int, optional
        Seconds since 1970-01-01 UTC.
    """

    products: tuple[Product, ...]
    source: str = ""
    taken_at: int | None = None

    def __post_init__(self) -> None:
        for name in ("handle", "id"):
            counts = Counter(getattr(product, name) for product in self.products)
            repeated = [value for value, count in counts.items() if count > 1]
            if repeated:
                raise InvalidModel(
                    f"inventory {self.source}: {name} {repeated[0]!r} occurs "
                    f"{counts[repeated[0]]} times; every product needs its own"
                )

    def __len__(self) -> int:
        return len(self.products)

    def __repr__(self) -> str:
        return f"InventorySnapshot({len(self)} products, {len(self.by_category)} categories)"

    @cached_property
    def by_handle(self) -> dict[str, Product]:
        """Products by handle."""
        return {product.handle: product for product in self.products}

    @cached_property
    def by_category(self) -> dict[str, list[Product]]:
        """Products by category, categories and products in snapshot order."""
        categories: dict[str, list[Product]] = {}
        for product in self.products:
            categories.setdefault(product.category, []).append(product)
        return categories


def choose_category(
    collections: Sequence[str],
    sizes: Mapping[str, int],
    product_type: str = "",
    ignored: Collection[str] = (),
) -> str:
    """The one category of a product that may be in several collections.

    The rule: the collection with the fewest products, because it says most about the product
    ("Espresso" rather than "All products"); among equally large ones the first by title.
    Collections in `ignored` ("Sale", "New in") do not count. Without any collection the
    product type stands in, and without that `UNCATEGORISED`.

    Parameters
    ----------
    collections : sequence of str
        Titles.
    sizes : mapping
        Title to number of products in the snapshot.
    product_type : str
    ignored : collection of str
        Titles, compared without case.
    """
    skipped = {title.casefold() for title in ignored}
    kept = [title for title in collections if title.casefold() not in skipped]
    if kept:
        return min(kept, key=lambda title: (sizes.get(title, 0), title))
    return product_type.strip() or UNCATEGORISED


@cache
def sample_inventory() -> InventorySnapshot:
    """The inventory that ships: invented products, to try every step without a shop."""
    text = resources.files("seldon.slirec").joinpath("sample_inventory.json").read_text("utf-8")
    return _from_json(json.loads(text), "sample_inventory.json")


def read_inventory(path: Location) -> InventorySnapshot:
    """Read a snapshot that `write_inventory` wrote.

    Raises
    ------
    InvalidModel
        Not JSON, not this shape, or a product without id or handle; the message names it.
    """
    file = Path(path)
    try:
        _check_size(file)
        document = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidModel(f"inventory {path}: not JSON: {error}") from None
    return _from_json(document, str(path))


def write_inventory(snapshot: InventorySnapshot, path: Location) -> None:
    """Write `snapshot` as JSON, one product a line; the file appears whole or not at all."""
    products = ",\n  ".join(json.dumps(asdict(p), ensure_ascii=False) for p in snapshot.products)
    head = json.dumps({"source": snapshot.source, "taken_at": snapshot.taken_at})[:-1]
    text = f'{head}, "products": [\n  {products}\n]}}\n'
    with whole_file(path) as file:
        file.write_text(text, encoding="utf-8")


def import_pickled_inventory(path: Location) -> InventorySnapshot:
    """Read a pickled snapshot of the recommendations showcase's shape, running no code.

    That pickle is a dict of three dicts: ``handle_to_id_dict``, ``title_to_handle_dict`` and
    ``category_to_products_dict`` (category to titles). Its titles are keys, so of several
    products with one title only the last handle is kept there; the others are left out. A
    title listed in two categories gets the later one, as that showcase's tables do.

    Raises
    ------
    InvalidModel
        The pickle holds anything but dicts, lists and text, or has another shape.
    """
    file = Path(path)
    _check_size(file)
    data = _plain_pickle(file.read_bytes(), str(path))
    handles, ids, categories = (
        data.get(name) if isinstance(data, dict) else None
        for name in ("title_to_handle_dict", "handle_to_id_dict", "category_to_products_dict")
    )
    if not (isinstance(handles, dict) and isinstance(ids, dict) and isinstance(categories, dict)):
        raise InvalidModel(
            f"inventory {path}: not a pickled snapshot: expected the keys 'handle_to_id_dict', "
            "'title_to_handle_dict' and 'category_to_products_dict', each a dict"
        )
    listed: dict[str, list[str]] = {}
    for category, titles in categories.items():
        for title in titles:
            listed.setdefault(str(title), []).append(str(category))
    products = []
    for title, in_categories in listed.items():
        if title not in handles or handles[title] not in ids:
            raise InvalidModel(f"inventory {path}: product {title!r} has no handle or no id")
        handle = str(handles[title])
        named = tuple(dict.fromkeys(in_categories))
        products.append(
            Product(_product_id(ids[handle], str(path)), handle, title, in_categories[-1], named)
        )
    return InventorySnapshot(tuple(products), str(path))


def _from_json(document: object, name: str) -> InventorySnapshot:
    entries = document.get("products") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(entries, list):
        raise InvalidModel(f"inventory {name}: expected an object with a list 'products'")
    products = tuple(_product(entry, position, name) for position, entry in enumerate(entries))
    taken_at = document.get("taken_at")
    return InventorySnapshot(
        products, str(document.get("source", "")), None if taken_at is None else int(taken_at)
    )


def _product(entry: Any, position: int, name: str) -> Product:
    if not isinstance(entry, dict):
        raise InvalidModel(f"inventory {name}: products[{position}] is not an object")
    values = {}
    for key in ("id", "handle", "title", "category"):
        value = entry.get(key)
        if not isinstance(value, str) or not value:
            raise InvalidModel(
                f"inventory {name}: products[{position}].{key} is {value!r}, expected text"
            )
        values[key] = value
    collections = entry.get("collections", ())
    if not isinstance(collections, list | tuple) or not _all_text(collections):
        raise InvalidModel(f"inventory {name}: products[{position}].collections is no list of text")
    values["id"] = _product_id(values["id"], name)
    return Product(**values, collections=tuple(collections))


def _product_id(value: object, name: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"(gid://[\w/-]+/)?[0-9]{1,18}", value, re.A):
        raise InvalidModel(
            f"inventory {name}: id {value!r} is not a product id like 'gid://shopify/Product/123'"
        )
    return value


def _all_text(values: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in values)


def _check_size(file: Path) -> None:
    if not file.is_file():
        raise InvalidParameter(f"inventory {str(file)!r} does not exist; `snapshot` writes it")
    if file.stat().st_size > MAX_BYTES:
        raise InvalidModel(
            f"inventory {file}: has {file.stat().st_size} bytes, more than {MAX_BYTES} are not read"
        )


# What dicts, lists and text need, in every pickle protocol. Nothing here imports or calls.
_PLAIN = frozenset(
    [
        *("PROTO", "FRAME", "STOP", "MARK", "POP", "POP_MARK", "NONE"),
        *("EMPTY_DICT", "DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "LIST", "APPEND", "APPENDS"),
        *("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "GET", "BINGET", "LONG_BINGET"),
    ]
)


class _TextOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it wants to import {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to an outside object")


def _plain_pickle(data: bytes, name: str) -> Any:
    try:
        for opcode, argument, _ in pickletools.genops(data):
            # A memo index far beyond the data would make the unpickler allocate for it.
            large = opcode.name in ("PUT", "LONG_BINPUT") and int(argument or 0) > len(data)
            if large or opcode.name not in _PLAIN:
                raise pickle.UnpicklingError(f"it contains {opcode.name} {argument or ''}".strip())
        return _TextOnly(io.BytesIO(data)).load()
    except (pickle.UnpicklingError, ValueError, EOFError, IndexError, KeyError, TypeError) as error:
        raise InvalidModel(
            f"inventory {name}: only dicts, lists and text are read from a pickle: {error}"
        ) from None
