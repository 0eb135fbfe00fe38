import pytest

from seldon.models_api.keys import ApiKeys

KEYS = ApiKeys(admin=["admin-1", "admin-2"], recommend=["rec-1", "rec-2", ""])


@pytest.mark.parametrize("key", ["admin-1", "admin-2"])
def test_admin_keys_open_everything(key):
    assert KEYS.find({"x-api-key": key}).is_admin


@pytest.mark.parametrize("key", ["rec-1", "rec-2"])
def test_recommend_keys_open_recommendations_only(key):
    assert KEYS.find({"x-api-key": key}).is_admin is False


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-api-key": ""},
        {"x-api-key": " "},
        {"x-api-key": "ADMIN-1"},
        {"x-api-key": "admin-12"},
        {"x-api-key": "wrong,admin-1"},
        {"x-api-key": "\xe9\xff"},
        {"x-api-key": "\N{SNOWMAN}"},
        {"authorization": "admin-1"},
    ],
)
def test_row_47_nothing_else_opens_anything(headers):
    assert KEYS.find(headers) is None and not KEYS.is_admin(headers)


def test_row_47_empty_keys_never_match():
    keys = ApiKeys(admin=["", ""], recommend=[""])
    assert keys.find({"x-api-key": ""}) is None


def test_row_47_of_two_headers_the_first_counts():
    assert KEYS.is_admin({"x-api-key": "admin-2,wrong"})


def test_a_key_beyond_ascii_is_its_utf8_bytes():
    keys = ApiKeys(admin=["schlüssel"], recommend=[])
    assert keys.is_admin({"x-api-key": "schlüssel".encode().decode("latin-1")})


def test_row_48_keys_are_not_in_what_is_printed():
    assert "admin-1" not in repr(KEYS) and "admin-1" not in str(vars(KEYS))
