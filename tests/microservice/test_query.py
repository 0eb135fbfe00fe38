"""What /recommend takes as parameters, and what it says of those it does not take."""

import json
import re
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seldon.microservice.query import (
    FIELDS,
    InvalidQuery,
    RecommendQuery,
    parse_fields,
    parse_query_string,
    with_hashed_user,
)

SMALL = "client=test1&user_id=1&limit=30"
# As a Java server was seen to send it.
MEASURED = (
    "client=a+b%26%C3%A9&user_id=1&recent_interactions=16%2C260&dimensions=0&exclusion_items="
    "&data_key=k1%2Ck2&limit=30&item_id=260"
)
ids = st.integers(0, 2**63 - 1)
any_text = st.text(st.characters(codec="utf-8"), max_size=40)


def test_every_parameter_as_the_server_sends_it():
    assert parse_query_string(MEASURED) == RecommendQuery(
        client="a b&é",
        user_id=1,
        limit=30,
        recent_interactions=[16, 260],
        exclusion_items=[],
        data_keys=[b"k1", b"k2"],
        dimensions=[0],
        item_id=260,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user_id=-1", {"user_id": -1}),
        ("user_id=9223372036854775807", {"user_id": 2**63 - 1}),
        ("limit=1", {"limit": 1}),
        ("limit=1000", {"limit": 1000}),
        ("limit=1001", {"limit": 1000}),
        ("limit=1000000000", {"limit": 1000}),
        ("limit=" + "9" * 40, {"limit": 1000}),
        ("limit=" + "9" * 5000, {"limit": 1000}),
        ("limit=9223372036854775808", {"limit": 1000}),
        ("limit=030", {"limit": 30}),
        ("recent_interactions=", {"recent_interactions": []}),
        ("recent_interactions=5,3,9", {"recent_interactions": [5, 3, 9]}),
        ("recent_interactions=5%2c3%2C9", {"recent_interactions": [5, 3, 9]}),
        ("recent_interactions=3,3", {"recent_interactions": [3, 3]}),
        ("exclusion_items=0", {"exclusion_items": [0]}),
        ("exclusion_items=9223372036854775807", {"exclusion_items": [2**63 - 1]}),
        ("dimensions=", {"dimensions": []}),
        ("dimensions=0,12,-3", {"dimensions": [0, 12, -3]}),
        ("item_id=", {"item_id": None}),
        ("item_id=7", {"item_id": 7}),
        ("data_key=", {"data_keys": []}),
        ("data_key=b,a,b", {"data_keys": [b"b", b"a"]}),
        ("data_key=" + "k" * 250, {"data_keys": [b"k" * 250]}),
        ("candidates=1,2", {"candidates": None}),
        ("cl%69ent=other", {"client": "other"}),
    ],
)
def test_reads(text, expected):
    # Put first, because of a repeated parameter the first counts.
    query = parse_query_string(f"{text}&{SMALL}")
    assert {name: getattr(query, name) for name in expected} == expected


@pytest.mark.parametrize("parameter", ["client", "user_id", "limit"])
@pytest.mark.parametrize("given_as", ["absent", "empty"])
def test_row_01_a_required_parameter_is_missing(parameter, given_as):
    values = {"client": "test1", "user_id": "1", "limit": "30"}
    if given_as == "absent":
        del values[parameter]
    else:
        values[parameter] = ""
    with pytest.raises(InvalidQuery) as refused:
        parse_query_string(urlencode(values))
    assert refused.value.status == 400
    assert list(refused.value.problems) == [parameter]
    assert parameter in str(refused.value)


@pytest.mark.parametrize("value", ["0", "-5", "abc", "", "-", "1.5", "1e3", "-" + "9" * 40])
def test_row_01_a_limit_below_one_or_unreadable(value):
    with pytest.raises(InvalidQuery, match=r"limit=.* is not an integer from 1 to 1000"):
        parse_query_string(f"limit={value}&{SMALL}")


def test_row_01_all_problems_are_listed_at_once():
    with pytest.raises(InvalidQuery) as refused:
        parse_query_string("client=&user_id=x&limit=0&exclusion_items=a&dimensions=b&item_id=c")
    assert set(refused.value.problems) == {
        *("client", "user_id", "limit", "exclusion_items", "dimensions", "item_id")
    }


NOT_IDS = ["1_000", "%2012", "12%20", "+5", "%2B5", "%D9%A1%D9%A2", "9223372036854775808", "-1"]
NOT_IDS += ["9" * 5000, "0x10", "1.0", "1e3", "NaN", "null", "%00", "%0d%0a", "--1", "%ff", "½"]


@pytest.mark.parametrize("element", NOT_IDS)
@pytest.mark.parametrize("parameter", ["recent_interactions", "exclusion_items"])
def test_row_02_an_element_that_is_no_id_names_parameter_and_element(parameter, element):
    for text in (element, f"1,{element}", f"1%2C{element}%2C2"):
        with pytest.raises(InvalidQuery) as refused:
            parse_query_string(f"{SMALL}&{parameter}={text}")
        assert list(refused.value.problems) == [parameter]
        assert f"{parameter}: '" in str(refused.value)
        assert len(str(refused.value)) < 200


@pytest.mark.parametrize("value", [*NOT_IDS[:-1], "1,2", "--5", "-"])
@pytest.mark.parametrize("parameter", ["user_id", "item_id"])
def test_row_02_a_number_that_is_none(parameter, value):
    if value == "-1":
        return  # the unknown user
    with pytest.raises(InvalidQuery, match=f"{parameter}=.* is not a 64-bit integer"):
        parse_query_string(f"{parameter}={value}&{SMALL}")


def test_row_03_the_first_of_a_repeated_parameter_counts_and_unknown_ones_are_ignored():
    query = parse_query_string(f"user_id=5&{SMALL}&user_id=x&colour=red&=&&%zz&limit")
    assert (query.user_id, query.limit) == (5, 30)


@pytest.mark.parametrize("text", [",", ",,,", "1,,2", "1,2,", ",1,2", "%2C1%2C%2C2%2C"])
def test_row_03_empty_elements_are_skipped(text):
    expected = [int(each) for each in text.replace("%2C", ",").split(",") if each]
    query = parse_query_string(
        f"{SMALL}&recent_interactions={text}&exclusion_items={text}&data_key={text}"
        f"&dimensions={text}"
    )
    assert query.recent_interactions == query.exclusion_items == query.dimensions == expected
    assert query.data_keys == [str(each).encode() for each in expected]


@pytest.mark.parametrize(
    "key",
    ["x\r\nflush_all\r\n", "a b", " ", "a\tb", "k\0", "ключ", "k" * 251, "\x7f", "\x1b[31m", "\n"],
)
def test_row_05_a_key_that_would_run_commands_is_refused(key):
    with pytest.raises(InvalidQuery) as refused:
        parse_query_string(f"{SMALL}&data_key={quote(key)}")
    assert list(refused.value.problems) == ["data_key"]
    assert refused.value.status == 400
    with pytest.raises(InvalidQuery):
        parse_fields({"client": "c", "user_id": 1, "limit": 1, "data_key": ["good", key]})


def test_row_05_at_most_sixteen_keys():
    sixteen = ",".join(map(str, range(16)))
    assert len(parse_query_string(f"{SMALL}&data_key={sixteen}").data_keys) == 16
    with pytest.raises(InvalidQuery, match="data_key has 17 keys; at most 16 are read"):
        parse_query_string(f"{SMALL}&data_key={sixteen},17")
    with pytest.raises(InvalidQuery, match="1000 keys"):
        parse_query_string(f"{SMALL}&data_key={','.join(map(str, range(1000)))}")


@pytest.mark.parametrize("client", ["%ff", "%c3", "c" * 257, "%ED%A0%80"])
def test_a_client_that_is_no_name(client):
    with pytest.raises(InvalidQuery, match="client="):
        parse_query_string(f"user_id=1&limit=1&client={client}")


@given(
    client=st.text(st.characters(codec="utf-8", exclude_characters="\ufffd"), min_size=1).filter(
        lambda text: len(text) <= 256
    ),
    user_id=st.integers(-(2**63), 2**63 - 1),
    limit=st.integers(1, 2000) | st.integers(1, 10**30),
    recent=st.lists(ids),
    exclusions=st.lists(ids),
    dimensions=st.lists(st.integers(-(2**31), 2**31)),
    item_id=st.none() | ids,
    keys=st.lists(st.from_regex(r"[0-9a-f]{32}", fullmatch=True), max_size=16),
)
def test_what_is_sent_is_what_is_read(
    client, user_id, limit, recent, exclusions, dimensions, item_id, keys
):
    fields = {
        "client": client,
        "user_id": user_id,
        "recent_interactions": recent,
        "dimensions": dimensions,
        "exclusion_items": exclusions,
        "data_key": keys,
        "limit": limit,
    }
    if item_id is not None:
        fields["item_id"] = item_id
    expected = RecommendQuery(
        client, user_id, min(limit, 1000), recent, exclusions,
        [key.encode() for key in dict.fromkeys(keys)], dimensions, item_id,
    )  # fmt: skip
    as_text = {k: ",".join(map(str, v)) if isinstance(v, list) else v for k, v in fields.items()}
    assert parse_query_string(urlencode(as_text)) == expected
    assert parse_fields(as_text | {"user_id": str(user_id), "limit": str(limit)}) == expected
    assert parse_fields(fields) == expected
    assert parse_fields(json.loads(json.dumps(fields)) | {"candidates": recent}) == RecommendQuery(
        **{**vars(expected), "candidates": recent}
    )


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), any_text))
def test_row_01_any_text_is_read_or_refused_by_name(values):
    """Rows 1 to 3: nothing a caller writes into a URL ends in anything else."""
    try:
        query = parse_query_string(urlencode(values))
    except InvalidQuery as refused:
        assert refused.problems
        assert all(name in told for name, told in refused.problems.items())
    else:
        assert 1 <= query.limit <= 1000
        assert -(2**63) <= query.user_id < 2**63


@given(st.text(st.characters(max_codepoint=255), max_size=200))
def test_row_01_any_bytes_are_read_or_refused(text):
    """A server hands on the query string as latin-1."""
    for query_string in (text, f"{SMALL}&{text}", f"{SMALL}&data_key={text}"):
        try:
            parse_query_string(query_string)
        except InvalidQuery as refused:
            assert refused.problems


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), json_values))
def test_row_06_any_json_object_is_read_or_refused_by_name(values):
    try:
        query = parse_fields(values)
    except InvalidQuery as refused:
        assert refused.problems
    else:
        for ids_of in (query.recent_interactions, query.exclusion_items, query.candidates or []):
            assert all(type(item) is int and 0 <= item < 2**63 for item in ids_of)


@pytest.mark.parametrize(
    "values",
    [
        {"user_id": True},
        {"user_id": 1.0},
        {"limit": [30]},
        {"client": 5},
        {"recent_interactions": [1, "x"]},
        {"recent_interactions": {"1": 2}},
        {"exclusion_items": [True]},
        {"exclusion_items": 5},
        {"candidates": [1.5]},
        {"candidates": [2**63]},
        {"candidates": [-1]},
        {"candidates": "1,b"},
        {"data_key": [1]},
        {"data_key": {"a": 1}},
        {"dimensions": 0},
        {"dimensions": [None]},
    ],
)
def test_row_06_a_wrong_type_in_a_body_is_named(values):
    with pytest.raises(InvalidQuery) as refused:
        parse_fields({"client": "c", "user_id": 1, "limit": 1, **values})
    assert list(refused.value.problems) == list(values)


def test_row_62_a_logged_query_can_hide_its_user():
    shown = with_hashed_user("client=a&user_id=17&limit=3", b"key")
    again = with_hashed_user("limit=9&%75ser_id=17", b"key")
    assert "user_id=17" not in shown
    assert parse_query_string(shown).user_id == int(re.search(r"user_id=(\d+)", again)[1])
    assert with_hashed_user("user_id=18", b"key") != with_hashed_user("user_id=17", b"key")
    assert with_hashed_user("user_id=17", b"other") != with_hashed_user("user_id=17", b"key")
    assert with_hashed_user("user_id=17", b"") == "user_id=17"
