"""Serves operations: who is calling, may they, what do they say; then one transaction, or a problem and no change."""

import logging
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import msgspec
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from central.api import idempotency, keys
from central.api.models import ApiKey
from central.api.operations import Answer, Call, Operation, Resource
from central.api.problems import MEDIA_TYPE, BadField, ProblemError

MAX_BODY_BYTES: Final = 64 * 1024
BODY_TYPES: Final = ("application/json", "application/merge-patch+json")
_DETAIL_CHARS: Final = 300

_log = logging.getLogger(__name__)
_encode: Final = msgspec.json.Encoder().encode


def view_of(resource: Resource) -> Callable[..., HttpResponse]:
    """Return the view of an address."""
    by_method = {operation.method: operation for operation in resource.operations}

    @csrf_exempt
    @never_cache
    def view(request: HttpRequest, **ids: UUID) -> HttpResponse:
        try:
            return _served(_asked(by_method, request), request, ids.get("id"))
        except ProblemError as refused:
            return _refusal(refused)
        except IntegrityError:
            return _refusal(ProblemError(409, "somebody else changed the same thing meanwhile; read it and try again"))

    return view


def _asked(by_method: dict[str, Operation], request: HttpRequest) -> Operation:
    operation = by_method.get(request.method or "")
    if operation is None:
        allowed = ", ".join(sorted(by_method))
        raise ProblemError(405, f"this address answers to {allowed}", headers={"Allow": allowed})
    return operation


def _served(operation: Operation, request: HttpRequest, target: UUID | None) -> HttpResponse:
    key = _authenticated(request)
    if operation.scope not in key.scopes:
        raise ProblemError(403, f"the key {key.name!a} lacks the scope {operation.scope}; use one that has it")
    Call(key, request.GET).require(*operation.permissions)
    raw = _body(operation, request)
    call = Call(key, request.GET, None if operation.takes is None else _decoded(raw, operation.takes), target)
    if not operation.writes:
        return _response(operation.status, operation.run(call))
    with transaction.atomic():
        return _written(operation, request, call, raw)


def _written(operation: Operation, request: HttpRequest, call: Call, raw: bytes) -> HttpResponse:
    name = request.headers.get(idempotency.HEADER)
    if name is None:
        return _response(operation.status, operation.run(call))
    request_digest = idempotency.digest(operation.method, request.get_full_path(), raw)
    kept, is_new = idempotency.begin(call.key, name, request_digest, timezone.now())
    if is_new:
        answer = operation.run(call)
        kept.status, kept.location = operation.status, answer.location
        kept.body = "" if answer.body is None else _encode(answer.body).decode()
        kept.save()
    response = _plain(kept.status, kept.body.encode(), kept.location)
    if not is_new:
        response["Idempotent-Replayed"] = "true"
    return response


def _authenticated(request: HttpRequest) -> ApiKey:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    row = keys.find(key.strip(), timezone.now()) if scheme.lower() == "bearer" else None
    if row is None:
        detail = "send a good API key as Authorization: Bearer doorstile_…; keys are made in the administration"
        raise ProblemError(401, detail, headers={"WWW-Authenticate": 'Bearer realm="doorstile"'})
    return row


def _body(operation: Operation, request: HttpRequest) -> bytes:
    try:
        raw = request.body
    except RequestDataTooBig:
        raise ProblemError(413, f"the body is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE} bytes") from None
    if len(raw) > MAX_BODY_BYTES:
        raise ProblemError(413, f"the body is larger than {MAX_BODY_BYTES} bytes; send fewer things at once")
    if operation.takes is not None and request.content_type not in BODY_TYPES:
        raise ProblemError(415, f"the body is {request.content_type or 'of no type'!a}; send {BODY_TYPES[0]}")
    return raw


def _decoded(raw: bytes, takes: type[msgspec.Struct]) -> msgspec.Struct:
    try:
        return msgspec.json.decode(raw, type=takes)
    except msgspec.ValidationError as fault:
        said, _, place = str(fault)[:_DETAIL_CHARS].partition(" - at `$")
        raise ProblemError(422, str(fault)[:_DETAIL_CHARS], [BadField(place.strip(".`") or "body", said)]) from fault
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise ProblemError(400, f"the body is not JSON: {fault}"[:_DETAIL_CHARS]) from fault


def _response(status: int, answer: Answer) -> HttpResponse:
    return _plain(status, b"" if answer.body is None else _encode(answer.body), answer.location)


def _plain(status: int, body: bytes, location: str) -> HttpResponse:
    response = HttpResponse(body, status=status, content_type="application/json")
    if not body:
        del response["Content-Type"]
    if location:
        response["Location"] = location
    return response


def _refusal(refused: ProblemError) -> HttpResponse:
    problem = refused.problem
    _log.info("api request refused with %s", problem.status)
    headers: dict[str, Any] = refused.headers
    return HttpResponse(_encode(problem), status=problem.status, content_type=MEDIA_TYPE, headers=headers)
