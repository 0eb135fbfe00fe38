"""A snapshot is JSON, names what is wrong in it, and a pickle runs no code on its way in."""

import io
import json
import pickle
import pickletools

import pytest

from seldon.errors import InvalidModel, InvalidParameter
from seldon.slirec.inventory import (
    InventorySnapshot,
    Product,
    choose_category,
    import_pickled_inventory,
    read_inventory,
    sample_inventory,
    write_inventory,
)
from tests.shared_data import shared_file

SHOWCASE = {
    "handle_to_id_dict": {
        "towel": "gid://shopify/Product/11",
        "towel-1": "gid://shopify/Product/12",
        "kettle": "gid://shopify/Product/13",
    },
    "title_to_handle_dict": {"Towel": "towel-1", "Kettle": "kettle"},
    "category_to_products_dict": {"Home": ["Towel", "Kettle"], "Sports": ["Towel"]},
}


def test_sample_keeps_its_own_category_rule():
    sample = sample_inventory()
    assert len(sample) == 143
    assert len(sample.by_category) == 10
    sizes = {}
    for product in sample.products:
        for title in product.collections:
            sizes[title] = sizes.get(title, 0) + 1
    assert any(len(product.collections) > 1 for product in sample.products)
    for product in sample.products:
        assert choose_category(product.collections, sizes) == product.category


def test_round_trip(tmp_path):
    write_inventory(sample_inventory(), tmp_path / "new" / "inventory.json")
    assert read_inventory(tmp_path / "new" / "inventory.json") == sample_inventory()
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["inventory.json"]


def test_number_is_what_integer_wires_use():
    product = Product("gid://shopify/Product/10334948524363", "shirt", "Shirt", "Clothing")
    assert product.number == 10334948524363


@pytest.mark.parametrize(
    ("collections", "product_type", "ignored", "expected"),
    [
        (["Shoes"], "", (), "Shoes"),
        (["All", "Shoes"], "", (), "Shoes"),
        (["Shoes", "Sale"], "", ("sale",), "Shoes"),
        (["Hats", "Caps"], "", (), "Caps"),
        ([], "Boots", (), "Boots"),
        (["Sale"], " Boots ", ("Sale",), "Boots"),
        ([], " ", (), "Uncategorised"),
    ],
)
def test_category_rule(collections, product_type, ignored, expected):
    sizes = {"All": 100, "Shoes": 30, "Sale": 3, "Hats": 7, "Caps": 7}
    assert choose_category(collections, sizes, product_type, ignored) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "expected an object with a list 'products'"),
        ('{"products": [1]}', r"products\[0\] is not an object"),
        ('{"products": [{"id": "1", "handle": "a", "title": "A"}]}', r"products\[0\]\.category"),
        (
            '{"products": [{"id": "x", "handle": "a", "title": "A", "category": "C"}]}',
            "id 'x' is not a product id",
        ),
        (
            json.dumps(
                {
                    "products": [
                        {"id": str(n), "handle": "a", "title": "A", "category": "C"} for n in (1, 2)
                    ]
                }
            ),
            "handle 'a' occurs 2 times",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, message):
    (tmp_path / "inventory.json").write_text(text)
    with pytest.raises(InvalidModel, match=message):
        read_inventory(tmp_path / "inventory.json")


def test_missing_file(tmp_path):
    with pytest.raises(InvalidParameter, match="does not exist"):
        read_inventory(tmp_path / "inventory.json")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_snapshot_of_the_showcase(tmp_path, protocol):
    (tmp_path / "inventory.pkl").write_bytes(pickle.dumps(SHOWCASE, protocol))
    snapshot = import_pickled_inventory(tmp_path / "inventory.pkl")
    assert [(p.number, p.handle, p.category, p.collections) for p in snapshot.products] == [
        (12, "towel-1", "Sports", ("Home", "Sports")),
        (13, "kettle", "Home", ("Home",)),
    ]


class Canary:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_row_34_poisoned_pickle_runs_nothing(tmp_path, protocol):
    poisoned = {**SHOWCASE, "x": Canary(tmp_path / "canary")}
    (tmp_path / "inventory.pkl").write_bytes(pickle.dumps(poisoned, protocol))
    with pytest.raises(InvalidModel, match="only dicts, lists and text are read from a pickle"):
        import_pickled_inventory(tmp_path / "inventory.pkl")
    assert not (tmp_path / "canary").exists()
    pickle.loads((tmp_path / "inventory.pkl").read_bytes())["x"].close()
    assert (tmp_path / "canary").exists(), "the canary does not sing, so the test proves nothing"


def _memo_bomb():
    """Plain text that asks for a memo of four billion places."""
    stream = io.BytesIO(b"\x80\x02]r\xff\xff\xff\xff.")
    list(pickletools.genops(stream.getvalue()))
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"garbage", id="garbage"),
        pytest.param(pickle.dumps(SHOWCASE)[:-20], id="truncated"),
        pytest.param(pickle.dumps({1, 2}), id="set"),
        pytest.param(pickle.dumps([]), id="list"),
        pytest.param(pickle.dumps({"handle_to_id_dict": {}}), id="keys"),
        pytest.param(
            pickle.dumps({**SHOWCASE, "title_to_handle_dict": {"Towel": "towel"}}), id="no handle"
        ),
        pytest.param(b"\x80\x02X\xff\xff\xff\xffabc.", id="length"),
        pytest.param(_memo_bomb(), id="memo"),
    ],
)
def test_unusable_pickles(tmp_path, data):
    (tmp_path / "inventory.pkl").write_bytes(data)
    with pytest.raises(InvalidModel, match="inventory"):
        import_pickled_inventory(tmp_path / "inventory.pkl")


def test_repeated_ids_are_refused():
    product = Product("1", "a", "A", "C")
    with pytest.raises(InvalidModel, match="handle 'a' occurs 2 times"):
        InventorySnapshot((product, product))


@pytest.mark.shared_data
def test_inventory_of_the_showcase(tmp_path):
    """The public snapshot, put back into the pickle's shape: 234 products, two listed twice."""
    path = shared_file("shopify/inventory.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    listed = document["categories"]
    pickled = {
        "handle_to_id_dict": document["handle_to_id"],
        "title_to_handle_dict": {p["title"]: p["handle"] for c in listed.values() for p in c},
        "category_to_products_dict": {c: [p["title"] for p in ps] for c, ps in listed.items()},
    }
    (tmp_path / "inventory.pkl").write_bytes(pickle.dumps(pickled))
    snapshot = import_pickled_inventory(tmp_path / "inventory.pkl")
    assert len(snapshot) == 234
    assert len(snapshot.by_category) == 10
    twice = {p.title: p.category for p in snapshot.products if len(p.collections) > 1}
    assert twice == {"Towel": "Sports", "Face Mask": "Health"}
