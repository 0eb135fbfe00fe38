"""The OpenAPI document, made from the operations and the dataclasses that serve them."""

from __future__ import annotations

import enum
import inspect
import re
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from seldon.models_api.keys import HEADER
from seldon.models_api.operations import ERRORS, EVERYWHERE, OPERATIONS, Operation
from seldon.models_api.requests import MAXIMUM_WEIGHT
from seldon.models_api.schemas import (
    ErrorMessage,
    TrainingRequest,
    UsageEvent,
    to_json,
    wire_name,
)

_PLAIN: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer", "format": "int32"},
    float: {"type": "number", "format": "double"},
    datetime: {"type": "string", "format": "date-time"},
    timedelta: {
        "type": "string",
        "description": "[d.]hh:mm:ss[.fffffff]",
        "example": "01:07:01.0929075",
    },
}
# What requests may also say, beside what the reference documents; see `requests._convert`.
_ACCEPTED: dict[Any, dict[str, Any]] = {
    bool: {"anyOf": [{"type": "boolean"}, {"enum": [0, 1, "true", "false"]}]},
    float: {"type": "number", "minimum": -MAXIMUM_WEIGHT, "maximum": MAXIMUM_WEIGHT},
    str: {"anyOf": [{"type": "string"}, {"type": "integer"}]},
}
_REQUESTS = (TrainingRequest, UsageEvent)


@cache
def document() -> dict[str, Any]:
    """The OpenAPI 3.0 document of the API."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        described = _operation(operation, schemas)
        paths.setdefault(operation.path, {})[operation.method.lower()] = described
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Recommendations API",
            "version": "v1",
            "description": "Trains SAR models on usage files and answers recommendations.",
        },
        "tags": [{"name": "Operations"}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"apiKey": {"type": "apiKey", "name": HEADER, "in": "header"}},
        },
        "security": [{"apiKey": []}],
    }


def _operation(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {
        "tags": ["Operations"],
        "operationId": f"Models_{operation.id}",
        "summary": operation.summary,
        "description": f"Opened by {'an admin key' if operation.key == 'admin' else 'any key'}.",
        "responses": _responses(operation, schemas),
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _path_parameter(name)}
        for name in re.findall(r"{(\w+)}", operation.path)
    ] + [
        {
            "name": query.name,
            "in": "query",
            "description": query.description,
            "required": query.required,
            "schema": query.schema,
        }
        for query in operation.query
    ]
    if parameters:
        described["parameters"] = parameters
    if operation.body is bytes:
        content: dict[str, Any] = {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
        }
        described["requestBody"] = {"required": True, "content": content}
    elif operation.body is not None:
        content = {"application/json": {"schema": _schema(operation.body, schemas)}}
        described["requestBody"] = {
            "required": operation.body is TrainingRequest,
            "content": content,
        }
    return described


def _path_parameter(name: str) -> dict[str, Any]:
    if name == "modelId":
        return {"type": "string", "format": "uuid"}
    return {"type": "string", "pattern": r"^[^./\\][^/\\]*$", "maxLength": 100}


def _responses(operation: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": operation.success.phrase}
    if operation.answer is not None:
        success["content"] = {"application/json": {"schema": _schema(operation.answer, schemas)}}
    if operation.success == 201:
        location = {"description": "The new model.", "schema": {"type": "string", "format": "uri"}}
        success["headers"] = {"Location": location}
    responses = {str(int(operation.success)): success}
    for status, description in sorted({**EVERYWHERE, **operation.errors}.items()):
        responses[str(status)] = {"description": description}
        if status in ERRORS:
            schema = _schema(ERRORS[status], schemas)
            responses[str(status)]["content"] = {"application/json": {"schema": schema}}
    return responses


def _schema(kind: Any, schemas: dict[str, Any], *, of_request: bool = False) -> dict[str, Any]:
    """The schema of a type; dataclasses and enums are put into `schemas` and referred to."""
    if isinstance(kind, types.UnionType):
        kind = _preferred(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (list, tuple):
        return {"type": "array", "items": _schema(arguments[0], schemas)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1], schemas)}
    if is_dataclass(kind):
        return _object(typing.cast(type, kind), schemas)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _enum(kind, schemas, of_request)
    return dict(_ACCEPTED.get(kind, _PLAIN[kind]) if of_request else _PLAIN[kind])


def _preferred(kind: types.UnionType) -> Any:
    """Of `TrainingParameters | dict | None` the first: the others are how it is kept."""
    return typing.get_args(kind)[0]


def _object(kind: type, schemas: dict[str, Any]) -> dict[str, Any]:
    reference = {"$ref": f"#/components/schemas/{kind.__name__}"}
    if kind.__name__ in schemas:
        return reference
    properties: dict[str, Any] = {}
    described: dict[str, Any] = {"type": "object", "properties": properties}
    schemas[kind.__name__] = described
    doc = inspect.getdoc(kind) or ""
    if not doc.startswith(f"{kind.__name__}("):
        described["description"] = doc.replace("`", "")
    hints = typing.get_type_hints(kind)
    required = []
    for field in fields(kind):
        name = wire_name(field.name)
        if kind is ErrorMessage:
            name = name[0].upper() + name[1:]
        schema = _schema(hints[field.name], schemas, of_request=kind in _REQUESTS)
        if "$ref" not in schema:
            schema |= field.metadata
        if kind in _REQUESTS:
            schema = _nullable(schema, field)
        properties[name] = schema
        if field.default is MISSING and not _may_be_none(hints[field.name]):
            required.append(name)
    if required:
        described["required"] = required
    return reference


def _nullable(schema: dict[str, Any], field: Any) -> dict[str, Any]:
    """An optional property of a request may also be null, which is the same as absent."""
    if field.default is MISSING:
        return {"type": "string", "minLength": 1, "pattern": r"\S"}
    if field.default is not None and field.default != "":
        schema = {**schema, "default": to_json(field.default)}
    return {**schema, "nullable": True}


def _may_be_none(hint: Any) -> bool:
    return isinstance(hint, types.UnionType) and types.NoneType in typing.get_args(hint)


def _enum(kind: type[enum.Enum], schemas: dict[str, Any], of_request: bool) -> dict[str, Any]:
    names = [member.name for member in kind]
    if of_request:
        return {"enum": [*names, *(member.value for member in kind)]}
    schemas.setdefault(
        kind.__name__,
        {"type": "string", "enum": names, "x-ms-enum": {"name": kind.__name__}},
    )
    return {"$ref": f"#/components/schemas/{kind.__name__}"}
