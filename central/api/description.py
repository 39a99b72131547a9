"""The API described as OpenAPI 3.1 has it, made from the table of operations."""

from http import HTTPStatus
from typing import Any, Final

import msgspec
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from central.api.idempotency import HEADER, LIFE, MOST_CHARS
from central.api.operations import PARAMETERS, Operation, Resource
from central.api.problems import MEDIA_TYPE, Problem
from central.api.resources import RESOURCES

_REFUSALS: Final = {
    401: "no good API key", 403: "the key's scopes or its owner's permissions do not suffice",
    422: "a field or a parameter makes no sense, or the idempotency key belongs to another request",
}  # fmt: skip
_WRITE_REFUSALS: Final = {
    400: "the body is not JSON", 409: "it contradicts what is there", 413: "the body is too large",
    415: "the body is not JSON by its type",
}  # fmt: skip


@require_safe
def describe(_request: HttpRequest) -> HttpResponse:
    """Answer with the description; it holds nothing secret, so anybody may read it."""
    return HttpResponse(msgspec.json.encode(description()), content_type="application/json")


def description() -> dict[str, Any]:
    """Return the description."""
    bodies = {
        body
        for resource in RESOURCES
        for operation in resource.operations
        for body in (operation.takes, operation.answers)
        if body is not None
    }
    ordered = sorted(bodies | {Problem}, key=lambda body: body.__name__)
    _, schemas = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Doorstile central",
            "version": "1",
            "description": "Members and credentials for the operator's own system.",
        },
        "servers": [{"url": "/api/v1"}],
        "security": [{"key": []}],
        "paths": {f"/{resource.path}": _path(resource) for resource in RESOURCES},
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key"}},
        },
    }


def _path(resource: Resource) -> dict[str, Any]:
    described: dict[str, Any] = {
        operation.method.lower(): _operation(operation, "{id}" in resource.path) for operation in resource.operations
    }
    if "{id}" in resource.path:
        identifier = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
        described["parameters"] = [identifier]
    return described


def _operation(operation: Operation, has_id: bool) -> dict[str, Any]:
    needed = " and ".join(f"`{permission}`" for permission in operation.permissions)
    described: dict[str, Any] = {
        "operationId": operation.run.__name__,
        "summary": operation.summary,
        "description": f"Needs the scope `{operation.scope}`; the key's owner needs {needed}.",
        "parameters": [_parameter(name) for name in operation.parameters],
        "responses": _responses(operation, has_id),
    }
    if operation.writes:
        described["parameters"].append(_IDEMPOTENCY)
    if operation.takes is not None:
        described["requestBody"] = {"required": True, "content": {"application/json": _schema(operation.takes)}}
    return described


def _responses(operation: Operation, has_id: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if operation.answers is not None:
        answer["content"] = {"application/json": _schema(operation.answers)}
    refusals = dict(_REFUSALS)
    if operation.writes:
        refusals |= _WRITE_REFUSALS
    if has_id:
        refusals[404] = "there is no such thing"
    described = {str(operation.status): answer}
    for status, says in sorted(refusals.items()):
        described[str(status)] = {"description": says, "content": {MEDIA_TYPE: _schema(Problem)}}
    return described


def _schema(body: type[msgspec.Struct]) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}


def _parameter(name: str) -> dict[str, Any]:
    kind = {"limit": {"type": "integer"}, "external_id": {"type": "string"}}
    schema = kind.get(name, {"type": "string", "format": "uuid"})
    return {"name": name, "in": "query", "description": PARAMETERS[name], "schema": schema}


_IDEMPOTENCY: Final = {
    "name": HEADER,
    "in": "header",
    "description": f"a name for this request: sent again within {LIFE.days} days it has the same answer and no effect",
    "schema": {"type": "string", "minLength": 1, "maxLength": MOST_CHARS},
}
