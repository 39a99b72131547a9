"""The one address that a device may call without a key: `POST /api/enrol`."""

import logging
from typing import Final

import msgspec
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from central.devices.enrolment import EnrolmentError, enrol_device
from wire.enrolment import EnrolRefusal, EnrolRefused, EnrolRequest

MAX_BODY_BYTES: Final = 16 * 1024
FAILURES_ALLOWED: Final = 10
"""Refusals for one address within WINDOW_S before it has to wait: 40 random bits outlast that many guesses."""
WINDOW_S: Final = 60
STATUS: Final = {
    EnrolRefused.UNKNOWN_CODE: 404,
    EnrolRefused.CODE_SPENT: 409,
    EnrolRefused.CODE_EXPIRED: 410,
    EnrolRefused.BAD_PROOF: 403,
    EnrolRefused.OTHER_DOOR: 409,
    EnrolRefused.REVOKED: 403,
    EnrolRefused.MALFORMED: 400,
    EnrolRefused.BUSY: 429,
}

_log = logging.getLogger(__name__)
_decoder: Final = msgspec.json.Decoder(EnrolRequest)


@csrf_exempt
@require_POST
@never_cache
def enrol(request: HttpRequest) -> HttpResponse:
    """Answer 201 with the device's identity, or a refusal that says what to do."""
    address = request.META.get("REMOTE_ADDR", "")
    counter = f"enrol-failures:{address}"
    if cache.get(counter, 0) >= FAILURES_ALLOWED:
        return _refusal(EnrolRefused.BUSY, f"too many attempts; wait {WINDOW_S} s")
    try:
        answer = enrol_device(
            _parsed(request),
            origins=[f"{request.scheme}://{request.get_host()}", *settings.ORIGINS],
            audience=settings.AUDIENCE,
            now=timezone.now(),
        )
    except EnrolmentError as refused:
        cache.add(counter, 0, WINDOW_S)
        cache.incr(counter)
        _log.warning("enrolment from %s refused: %s: %s", address, refused.error, refused)
        return _refusal(refused.error, str(refused))
    _log.info("device %s enrolled as %s at %s", answer.device, ascii(answer.name), ascii(answer.site))
    return _json(201, answer)


def _parsed(request: HttpRequest) -> EnrolRequest:
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        raise EnrolmentError(EnrolRefused.MALFORMED, f"the request is larger than {MAX_BODY_BYTES} bytes")
    try:
        return _decoder.decode(request.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise EnrolmentError(EnrolRefused.MALFORMED, f"not an enrolment request: {fault}"[:200]) from fault


def _refusal(error: EnrolRefused, detail: str) -> HttpResponse:
    response = _json(STATUS[error], EnrolRefusal(error=error, detail=detail))
    if error is EnrolRefused.BUSY:
        response["Retry-After"] = str(WINDOW_S)
    return response


def _json(status: int, body: msgspec.Struct) -> HttpResponse:
    return HttpResponse(msgspec.json.encode(body), status=status, content_type="application/json")
