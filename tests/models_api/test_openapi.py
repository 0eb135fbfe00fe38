"""The OpenAPI document is true of the service: schemathesis tries to prove otherwise."""

import json

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis.errors import Unsatisfiable

from seldon.models_api.openapi import document
from seldon.models_api.operations import OPERATIONS
from tests.models_api.conftest import ADMIN, T7_CSV

DOCUMENT = json.loads(json.dumps(document()))


def test_every_operation_of_the_reference_is_described():
    described = {
        (method.upper(), path): operation["operationId"]
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }
    assert described == {(op.method, op.path): f"Models_{op.id}" for op in OPERATIONS}
    assert set(described) - {("PUT", "/api/inputs/{container}/{path}")} == {
        ("POST", "/api/models"),
        ("GET", "/api/models"),
        ("GET", "/api/models/{modelId}"),
        ("DELETE", "/api/models/{modelId}"),
        ("PUT", "/api/models/default"),
        ("GET", "/api/models/default"),
        ("GET", "/api/models/{modelId}/recommend"),
        ("GET", "/api/models/default/recommend"),
        ("POST", "/api/models/{modelId}/recommend"),
        ("POST", "/api/models/default/recommend"),
    }


def test_schemas_have_the_names_of_the_reference():
    schemas = DOCUMENT["components"]["schemas"]
    parameters = schemas["TrainingRequest"]["properties"]
    assert parameters["supportThreshold"]["minimum"] == 3
    assert parameters["supportThreshold"]["default"] == 6
    assert parameters["description"]["maxLength"] == 256
    assert schemas["TrainingRequest"]["required"] == ["blobContainerName", "usageRelativePath"]
    assert list(schemas["Model"]["properties"]) == [
        "id",
        "description",
        "creationTime",
        "modelStatus",
        "modelStatusMessage",
        "parameters",
        "statistics",
    ]
    assert schemas["ModelStatus"]["enum"] == ["Created", "InProgress", "Completed", "Failed"]
    assert schemas["ErrorMessage"]["required"] == ["Message"]
    assert DOCUMENT["components"]["securitySchemes"]["apiKey"]["name"] == "x-api-key"


def test_a_real_model_fits_its_schema(client, train):
    jsonschema = pytest.importorskip("jsonschema")
    client("PUT", "/api/inputs/shop/test.csv", data=T7_CSV.encode())
    client.create(supportThreshold=3, evaluationUsageRelativePath="test.csv", description="T7")
    train()
    model = client("GET", "/api/models/default").json
    schema = {"$ref": "#/components/schemas/Model", "components": DOCUMENT["components"]}
    jsonschema.validate(model, schema)
    metrics = model["statistics"]["evaluation"]["metrics"]
    assert set(metrics) == {"precisionMetrics", "diversityMetrics"}


def test_the_ui_works_without_the_internet(client):
    answer = client("GET", "/swagger", key=None)
    assert answer.status_code == 308 and answer.headers["Location"].endswith("/swagger/")
    page = client("GET", "/swagger/", key=None)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "http:" not in page.text and "https:" not in page.text
    for name in ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png", "start.js"):
        answer = client("GET", f"/swagger/{name}", key=None)
        assert answer.status_code == 200
        answer.close()
    assert client("GET", "/swagger/docs/v1", key=None).json == DOCUMENT
    assert client("GET", "/swagger/../keys.py", key=None).status_code == 404


@pytest.mark.parametrize("settings", [{"SWAGGER_UI": False}], indirect=True)
def test_row_50_the_ui_can_be_off(client):
    assert client("GET", "/swagger/").status_code == 404
    assert client("GET", "/api/models").status_code == 200


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["POSITIVE", "NEGATIVE"])
# schemathesis also calls without a key, and does not know that 429 may answer that.
@pytest.mark.parametrize("settings", [{"MODELS_REFUSALS_PER_MINUTE": 0}], indirect=True)
def test_row_40_schemathesis_finds_nothing(app, client, train, mode):
    schemathesis = pytest.importorskip("schemathesis")
    from schemathesis import GenerationMode
    from schemathesis.checks import CHECKS

    client.create(supportThreshold=3)
    train()
    model_id = client("GET", "/api/models/default").json["id"]
    schema = schemathesis.openapi.from_wsgi("/swagger/docs/v1", app)
    # Which containers, files and models there are, no document can say.
    unknowable = [CHECKS.get_one("positive_data_acceptance")]
    rejection = CHECKS.get_one("negative_data_rejection")
    statuses = set()

    for result in schema.get_all_operations():
        operation = result.ok()

        @examples(
            max_examples=12,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=GenerationMode[mode]))
        def attempt(case):
            if mode == "POSITIVE" and case.method != "DELETE" and "modelId" in case.path_parameters:
                case.path_parameters["modelId"] = model_id
            # Unknown query parameters are ignored, and a missing key is put in here.
            wrong = {
                where.name for where, part in case.meta.components.items() if part.mode.is_negative
            }
            excluded = unknowable if wrong & {"BODY", "PATH"} else [*unknowable, rejection]
            answer = case.call_and_validate(headers={"x-api-key": ADMIN}, excluded_checks=excluded)
            statuses.add(answer.status_code)

        try:
            attempt()
        except Unsatisfiable:
            assert mode == "NEGATIVE" and not operation.definition.raw.get("parameters")
    assert statuses >= ({200, 400} if mode == "POSITIVE" else {400})
