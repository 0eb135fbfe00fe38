import pytest

from seldon.models_api.keys import ApiKeys

KEYS = ApiKeys(admin=["admin-1", "admin-2"], recommend=["rec-1", "rec-2", ""])


@pytest.mark.parametrize("key", ["admin-1", "admin-2"])
def test_admin_keys_open_everything(key):
    assert KEYS.find(key).is_admin


@pytest.mark.parametrize("key", ["rec-1", "rec-2"])
def test_recommend_keys_open_recommendations_only(key):
    assert KEYS.find(key).is_admin is False


@pytest.mark.parametrize(
    "sent",
    [
        "",
        " ",
        "ADMIN-1",
        "admin-12",
        "wrong,admin-1",
        "\xe9\xff",
        "\N{SNOWMAN}",
    ],
)
def test_row_47_nothing_else_opens_anything(sent):
    assert KEYS.find(sent) is None


def test_row_47_empty_keys_never_match():
    keys = ApiKeys(admin=["", ""], recommend=[""])
    assert keys.find("") is None


def test_row_47_of_two_headers_the_first_counts():
    assert KEYS.find("admin-2,wrong").is_admin


def test_a_key_beyond_ascii_is_its_utf8_bytes():
    keys = ApiKeys(admin=["schlüssel"], recommend=[])
    assert keys.find("schlüssel".encode().decode("latin-1")).is_admin


def test_row_48_keys_are_not_in_what_is_printed():
    assert "admin-1" not in repr(KEYS) and "admin-1" not in str(vars(KEYS))
