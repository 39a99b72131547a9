"""What crosses before there is a connection: enrolment both ways, the handshake's headers, refusals and tokens."""

import base64
from collections.abc import Iterator
from unittest import mock

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.test import RequestFactory

from agent.sync.bounds import HOUR_MS
from agent.sync.parting import Fate, of_status
from central.devices import claims as claims_of
from central.devices import enrolment, tokens, views
from central.devices.claims import ClaimsError
from provisioning import enroll
from provisioning.errors import ProvisioningError
from provisioning.keys import public_text
from tests.fuzz.target import Cursor, Target, holds
from wire.enrolment import ENROL_PATH, EnrolAnswer, EnrolRefusal, EnrolRefused, EnrolRequest
from wire.token import TokenClaims
from wire.vocabulary import TOKEN_TYPE

_CENTRAL = enroll.Central("https://central.example")
_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
_PUBLIC = base64.urlsafe_b64decode(public_text(_KEY) + "=")
_DEVICE, _AUDIENCE = "01890000-0000-7000-8000-000000000001", "doorstile:test"
_STATUSES = (200, 201, 301, 400, 401, 403, 404, 410, 426, 429, 500, 502, 503)
_WORST_CASE_CHARS = 1000


def _answer(data: bytes) -> None:
    """The first byte chooses the status."""
    cursor = Cursor(data)
    status = cursor.choice(_STATUSES)
    try:
        answer = enroll.read_answer(_CENTRAL, status, cursor.rest())
    except ProvisioningError as refusal:
        holds(len(f"{refusal}{refusal.remedy}") <= _WORST_CASE_CHARS, "a refusal is short")
        return
    holds(status in (200, 201), "only a success is an enrolment")
    holds(isinstance(answer, EnrolAnswer), "a success is an identity")


def _answers() -> Iterator[bytes]:
    good = EnrolAnswer(
        device=_DEVICE, name="North", site="Gym", time_zone="Europe/Berlin", audience=_AUDIENCE, kid="ab",
        credential_key="00" * 32,
    )  # fmt: skip
    yield b"\x01" + msgspec.json.encode(good)
    for at, refused in enumerate(EnrolRefused):
        yield bytes([3 + at]) + msgspec.json.encode(EnrolRefusal(error=refused, detail="ask for a new code"))
    yield b"\x00<html>Welcome to the hotel's network</html>"


def _request(data: bytes) -> None:
    try:
        request = views._parsed(RequestFactory().post(ENROL_PATH, data, content_type="application/json"))
        public_key = enrolment._public_key(request.public_key)
        enrolment._check_proof(request, public_key, [_CENTRAL.origin])
    except enrolment.EnrolmentError as refusal:
        holds(len(str(refusal)) <= _WORST_CASE_CHARS, "a refusal is short")
        return
    holds(public_key == _PUBLIC, "only the holder of a key proves it")


def _requests() -> Iterator[bytes]:
    for code in ("AAAA1111", ""):
        proof = jwt.encode({"aud": _CENTRAL.origin, "code": "0" * 64}, _KEY, "EdDSA", {"typ": "doorstile-enrol+jwt"})
        request = EnrolRequest(code=code, public_key=public_text(_KEY), proof=proof, agent="0.1.0")
        yield msgspec.json.encode(request)


def _refusal(data: bytes) -> None:
    """The first byte chooses the status; lines are headers, the first the challenge."""
    cursor = Cursor(data)
    status = cursor.choice(_STATUSES)
    names = ("www-authenticate", "retry-after", "date", "location")
    lines = cursor.rest().decode("latin-1").split("\n")
    parting = of_status(status, dict(zip(names, lines, strict=False)))
    holds(0 <= parting.retry_after_s <= HOUR_MS / 1000, "no answer keeps a device away for longer than an hour")
    holds(len(parting.words) <= 300, "the words for people are short")
    holds(parting.nonce is None or (status == 401 and len(parting.nonce) <= 128), "a nonce is short, and only with 401")
    holds(parting.fate in Fate, "every answer has a fate")


def _refusals() -> Iterator[bytes]:
    yield b'\x04Doorstile error="clock", nonce="0123456789abcdef0123456789abcdef"'
    yield b'\x05Doorstile error="revoked"'
    yield b"\x09\n120\nSun, 06 Nov 1994 08:49:37 GMT"
    yield b"\x0c\nSun, 06 Nov 1994 09:49:37 GMT\nSun, 06 Nov 1994 08:49:37 GMT"
    yield b'\x04Basic realm="\xff", Doorstile error="clock"'


def _token(data: bytes) -> None:
    """The first byte chooses what is hostile: the header of the handshake, the token, or the claims in it."""
    cursor = Cursor(data)
    match cursor.number() % 3:
        case 0:
            found = tokens.bearer([(b"authorization", cursor.rest())], b"")
            holds(not isinstance(found, str) or found.isascii(), "a token is characters")
        case 1:
            _forged(cursor.rest().decode("latin-1"))
        case _:
            _claimed(cursor.rest())


def _forged(text: str) -> None:
    try:
        with mock.patch.object(tokens, "_known_key", side_effect=_AskedForKeyError):
            tokens._key_of(text)
    except ClaimsError as refusal:
        holds(len(str(refusal)) <= _WORST_CASE_CHARS, "a refusal is short")
    except _AskedForKeyError:
        pass
    try:
        payload = tokens._verified(text, _PUBLIC)
    except ClaimsError:
        return
    holds(payload == _GOOD_CLAIMS, "nothing is believed without the key's signature")


class _AskedForKeyError(Exception):
    """The header held; the next step asks the database."""


def _claimed(text: bytes) -> None:
    try:
        payload = msgspec.json.decode(text, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    try:
        found = claims_of.read_claims(payload, device=_DEVICE, audience=_AUDIENCE)
    except ClaimsError as refusal:
        holds(len(str(refusal)) <= _WORST_CASE_CHARS, "a refusal is short")
        return
    holds(found.sub == found.iss == _DEVICE and found.aud == _AUDIENCE, "claims speak of this device and of us")
    claims_of.is_timely(found, 1_800_000_000.0)


_GOOD_CLAIMS = msgspec.to_builtins(
    TokenClaims(iss=_DEVICE, sub=_DEVICE, aud=_AUDIENCE, iat=1, nbf=1, exp=61, jti="0" * 32, run="aa", n=1, head="")
)


def _tokens() -> Iterator[bytes]:
    token = jwt.encode(_GOOD_CLAIMS, _KEY, "EdDSA", {"typ": TOKEN_TYPE, "kid": "ab"}).encode()
    yield b"\x00Bearer " + token
    yield b"\x00Basic dXNlcjpwYXNz"
    yield b"\x01" + token
    yield b"\x01" + jwt.encode(_GOOD_CLAIMS, "", "none", {"typ": TOKEN_TYPE}).encode()
    yield b"\x02" + msgspec.json.encode(_GOOD_CLAIMS)


TARGETS = (
    Target("enrolment_answer", "what a server answers to `join`", _answer, _answers),
    Target(
        "enrolment_request",
        "what anybody sends to central's only open address",
        _request,
        _requests,
    ),
    Target(
        "refusal",
        "HTTP answers to a handshake, with WWW-Authenticate and Retry-After",
        _refusal,
        _refusals,
    ),
    Target("token", "Authorization headers, tokens and claims", _token, _tokens),
)
