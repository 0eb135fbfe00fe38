from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seldon.models_api.requests import (
    InvalidRequest,
    model_id,
    recommendation_count,
    training_request,
    usage_events,
)
from seldon.models_api.schemas import (
    CooccurrenceUnit,
    EventType,
    SimilarityFunction,
    TrainingParameters,
    date_time,
    time_span,
    to_json,
)

MINIMAL = {"blobContainerName": "input-files", "usageRelativePath": "t7/usage"}
GUID = "0b8f2c1e-6f0e-4d53-9a55-0c7e8f1d2a34"


def refused(read, body):
    with pytest.raises(InvalidRequest) as caught:
        read(body if isinstance(body, bytes) else orjson.dumps(body))
    return caught.value


def test_defaults_are_those_of_the_reference_in_its_order():
    request = training_request(orjson.dumps(MINIMAL))
    assert to_json(request) == {
        "blobContainerName": "input-files",
        "usageRelativePath": "t7/usage",
        "supportThreshold": 6,
        "cooccurrenceUnit": "User",
        "similarityFunction": "Jaccard",
        "enableColdItemPlacement": False,
        "enableColdToColdRecommendations": False,
        "enableUserAffinity": False,
        "enableUserToItemRecommendations": False,
        "allowSeedItemsInRecommendations": False,
        "enableBackfilling": True,
        "decayPeriodInDays": 30,
    }


def test_unknown_properties_are_ignored_and_null_is_absent():
    body = {**MINIMAL, "supportThreshold": None, "colour": "red", "description": None}
    request = training_request(orjson.dumps(body))
    assert (request.support_threshold, request.description) == (6, None)


def test_property_names_and_enum_names_are_matched_without_regard_to_case():
    body = {
        "BlobContainerName": "a",
        "usagerelativepath": "b",
        "SimilarityFunction": "LIFT",
        "cooccurrenceUnit": 1,
        "enableBackfilling": "False",
        "enableUserAffinity": 1,
    }
    request = training_request(orjson.dumps(body))
    assert request.similarity_function is SimilarityFunction.Lift
    assert request.cooccurrence_unit is CooccurrenceUnit.Timestamp
    assert request.enable_backfilling is False
    assert request.enable_user_affinity is True


@pytest.mark.parametrize(
    ("name", "value", "key", "message"),
    [
        ("supportThreshold", 2, "SupportThreshold", "must be between 3 and 50."),
        ("supportThreshold", 51, "SupportThreshold", "must be between 3 and 50."),
        ("decayPeriodInDays", 0, "DecayPeriodInDays", "must be between 1 and 2147483647."),
        ("decayPeriodInDays", 2**31, "DecayPeriodInDays", "must be between 1 and 2147483647."),
        ("description", "x" * 257, "Description", "a string with a maximum length of 256."),
        ("blobContainerName", " ", "BlobContainerName", "The blobContainerName field is required."),
        ("usageRelativePath", "", "UsageRelativePath", "The usageRelativePath field is required."),
        ("supportThreshold", "many", "supportThreshold", 'Error converting value "many"'),
        ("supportThreshold", 6.5, "supportThreshold", "Error converting value 6.5"),
        ("supportThreshold", True, "supportThreshold", "Error converting value true"),
        ("cooccurrenceUnit", "User12", "cooccurrenceUnit", "Path 'cooccurrenceUnit'."),
        ("cooccurrenceUnit", 2, "cooccurrenceUnit", "Expected one of User, Timestamp."),
        ("similarityFunction", -1, "similarityFunction", "Expected one of Jaccard,"),
        ("enableBackfilling", "maybe", "enableBackfilling", "to type 'Boolean'"),
        ("enableBackfilling", 2, "enableBackfilling", "to type 'Boolean'"),
        ("description", {"a": 1}, "description", "to type 'String'"),
    ],
)
def test_row_40_parameters_out_of_range(name, value, key, message):
    error = refused(training_request, {**MINIMAL, name: value})
    assert str(error) == "The request is invalid."
    assert list(error.model_state) == [f"modelParameters.{key}"]
    assert message in error.model_state[f"modelParameters.{key}"][0]


def test_every_mistake_is_reported_at_once():
    error = refused(training_request, {"supportThreshold": 1, "cooccurrenceUnit": "x"})
    assert set(error.model_state) == {
        "modelParameters.BlobContainerName",
        "modelParameters.UsageRelativePath",
        "modelParameters.SupportThreshold",
        "modelParameters.cooccurrenceUnit",
    }


@pytest.mark.parametrize("body", [b"", b" ", b"[", b"null", b"[]", b"7", b'{"a":NaN}', b"\xff"])
def test_a_training_body_that_is_no_object(body):
    error = refused(training_request, body)
    assert str(error) == "Invalid format. Expected a valid 'ModelParameters' JSON"
    assert not error.model_state


def test_row_6_a_deeply_nested_body_is_refused():
    assert refused(training_request, b"[" * 100_000 + b"]" * 100_000)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"[null]", b"[{}]", b'[{"itemId": " "}]'])
def test_bodies_that_hold_no_event(body):
    assert usage_events(body) == []


def test_an_event_in_full():
    body = [{"itemId": "a b/ü", "timestamp": "2017-04-20T18:00:00+02:00", "weight": 2}]
    (event,) = usage_events(orjson.dumps([*body, {"itemId": 12, "eventType": "purchase"}][:1]))
    assert event.item_id == "a b/ü"
    assert event.timestamp == datetime(2017, 4, 20, 16, tzinfo=UTC)
    assert event.weight == 2.0
    (event,) = usage_events(b'[{"itemId": 12, "eventType": "purchase"}]')
    assert (event.item_id, event.event_type) == ("12", EventType.Purchase)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2017-04-20", datetime(2017, 4, 20)),
        ("2017-04-20 18:00", datetime(2017, 4, 20, 18)),
        ("2017-04-20T18:00:00.1234567Z", datetime(2017, 4, 20, 18, 0, 0, 123456)),
        ("2016-02-29T00:00:00", datetime(2016, 2, 29)),
    ],
)
def test_row_46_times_without_an_offset_are_utc(text, moment):
    (event,) = usage_events(orjson.dumps([{"itemId": "a", "timestamp": text}]))
    assert event.timestamp == moment.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("event", "key"),
    [
        ({"itemId": "a", "eventType": "View"}, "usageEvents[1].eventType"),
        ({"itemId": "a", "timestamp": "yesterday"}, "usageEvents[1].timestamp"),
        ({"itemId": "a", "timestamp": "2017-02-29T00:00:00"}, "usageEvents[1].timestamp"),
        ({"itemId": "a", "timestamp": "0001-01-01T00:00:00+05:00"}, "usageEvents[1].timestamp"),
        ({"itemId": "a", "weight": "heavy"}, "usageEvents[1].weight"),
        ({"itemId": "a", "weight": 1e300}, "usageEvents[1].weight"),
        ({"itemId": ["a"]}, "usageEvents[1].itemId"),
        (5, "usageEvents[1]"),
    ],
)
def test_a_bad_event_is_named_by_its_place_and_field(event, key):
    error = refused(usage_events, [{"itemId": "ok"}, event])
    assert list(error.model_state) == [key]


@pytest.mark.parametrize("body", [b"{", b"{}", b"7", b'"a"'])
def test_a_body_that_is_no_array_of_events(body):
    message = "Invalid format. Expected an array of usage events"
    assert str(refused(usage_events, body)) == message


@pytest.mark.parametrize(
    "text",
    [GUID, GUID.upper(), GUID.replace("-", ""), f"{{{GUID}}}", f"({GUID})"],
)
def test_guid_forms(text):
    assert model_id(text) == GUID


@pytest.mark.parametrize(
    "text",
    [
        "",
        "..",
        "default",
        GUID[:-1],
        f"{{{GUID}",
        f"{GUID}\n",
        f"urn:uuid:{GUID}",
        "0" * 10_000,
        "0123456789abcdef-0123456789abcdef",
        "\x00" * 32,
        "٣" * 32,
    ],
)
def test_row_39_texts_that_are_no_guid(text):
    with pytest.raises(InvalidRequest, match="modelId is not valid"):
        model_id(text)


@pytest.mark.parametrize("text", ["0", "101", "-1", "abc", "", "1_0", "٣", "1.0", "9" * 5000])
def test_counts_out_of_range(text):
    with pytest.raises(InvalidRequest, match="recommendationCount must be between 1 and 100"):
        recommendation_count(text)


def test_counts():
    assert [recommendation_count(text) for text in (None, "1", "100")] == [10, 1, 100]


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["itemId", "timestamp", "eventType", "weight", "supportThreshold"])
                | st.text(),
                inner,
            )
        ),
    )
)
def test_any_json_is_read_or_refused(value):
    body = orjson.dumps(value)
    for read in (training_request, usage_events):
        try:
            read(body)
        except InvalidRequest as error:
            assert str(error)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "00:00:00"),
        (timedelta(hours=1, minutes=7, seconds=1, microseconds=92907), "01:07:01.0929070"),
        (timedelta(days=2, seconds=3), "2.00:00:03"),
    ],
)
def test_time_spans(duration, text):
    assert time_span(duration) == text


def test_dates_lose_the_zeros_of_their_fraction():
    assert date_time(datetime(2017, 5, 4, 0, 26, 6, 386320, UTC)) == "2017-05-04T00:26:06.38632Z"
    assert date_time(datetime(2017, 5, 4, tzinfo=UTC)) == "2017-05-04T00:00:00Z"


def test_parameters_are_echoed_without_nulls():
    parameters = TrainingParameters(blob_container_name="a", usage_relative_path="b")
    assert None not in to_json(parameters).values()
