"""Whether what stands at a place of a run is an event that central can apply. Pure.

An event that is none still has its place in the chain: the device hashed what it stored, and goes on from there.
"""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec

from central.checkins.clock import LATEST_MS
from wire import chain
from wire.events import Body, DecisionBody, Event, PassageBody, read_body, read_event, read_stub
from wire.vocabulary import RejectCode

MOST: Final = 1 << 53
NAME_CHARS: Final = 64
RUN_CHARS: Final = 32
_DETAIL_CHARS: Final = 200
_MEMBER: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_OF_MEMBERS: Final = (DecisionBody, PassageBody)


@dataclass(frozen=True, slots=True)
class Admitted:
    """An event as it stands; without `event` the device sent only its digest, and `text` says why.

    `member` is an id as 32 hex digits.
    """

    n: int
    digest: bytes
    text: str
    event: Event | None = None
    body: Body | None = None
    member: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """What stands at place `n` and cannot be applied; `digest` is what the chain goes on with."""

    n: int
    digest: bytes
    code: RejectCode
    detail: str
    raw: bytes


class _RefusedError(Exception):
    def __init__(self, code: RejectCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class _Digest(msgspec.Struct):
    digest: str


def admit(n: int, raw: bytes) -> Admitted | Refused:
    """Return what stands at place `n` of a run, from one element of an `events` frame; never raises for its content."""
    parts = chain.unsplice(raw)
    if parts is None:
        detail = 'does not begin with its "digest"'
        return Refused(n, claimed_digest(raw), RejectCode.MALFORMED, detail, raw)
    claimed, text = parts
    try:
        return _read(n, claimed, text)
    except _RefusedError as fault:
        return Refused(n, claimed, fault.code, ascii(str(fault))[1:-1][:_DETAIL_CHARS], raw)


def claimed_digest(raw: bytes) -> bytes:
    """Return what the chain goes on with: the digest that the device gives, or that of `raw` where it gives none."""
    parts = chain.unsplice(raw)
    if parts is not None:
        return parts[0]
    try:
        claimed = bytes.fromhex(msgspec.json.decode(raw, type=_Digest).digest)
    except (ValueError, RecursionError):
        claimed = b""
    return claimed if len(claimed) == chain.DIGEST_BYTES else sha256(raw).digest()


def _read(n: int, claimed: bytes, text: bytes) -> Admitted:
    if chain.digest(text) != claimed:
        stub = read_stub(text)
        if stub is None:
            raise _RefusedError(RejectCode.DIGEST_MISMATCH, "the text is not what its digest says")
        _expect_number(n, stub.n)
        return Admitted(n, claimed, _storable(text))
    try:
        event = read_event(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise _RefusedError(RejectCode.MALFORMED, str(fault)) from fault
    _expect_number(n, event.n)
    _check_figures(event)
    body = _body(event)
    return Admitted(n, claimed, _storable(text), event, body, _member(body))


def _expect_number(n: int, found: int) -> None:
    if found != n:
        raise _RefusedError(RejectCode.MALFORMED, f"says that it is number {found}, its place is {n}")


def _check_figures(event: Event) -> None:
    if event.wall_ms > LATEST_MS:
        raise _RefusedError(RejectCode.MALFORMED, f"wall_ms is {event.wall_ms}, at most {LATEST_MS} is a date")
    if len(event.boot) > NAME_CHARS:
        raise _RefusedError(RejectCode.MALFORMED, f"boot has {len(event.boot)} characters, at most {NAME_CHARS}")


def _body(event: Event) -> Body:
    try:
        body = read_body(event)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise _RefusedError(RejectCode.MALFORMED, f"body: {fault}") from fault
    if body is None:
        raise _RefusedError(RejectCode.UNKNOWN_KIND, f"kind {event.kind[:40]!r} is not known here; update central")
    if isinstance(body, PassageBody) and len(body.of_run) > RUN_CHARS:
        raise _RefusedError(RejectCode.MALFORMED, f"passage of run {body.of_run[:40]!r}, which cannot exist")
    return body


def _member(body: Body) -> str | None:
    if not isinstance(body, _OF_MEMBERS) or body.member is None:
        return None
    if not _MEMBER.fullmatch(body.member):
        raise _RefusedError(RejectCode.MALFORMED, f"member {body.member[:40]!r} is no id that central gives")
    return body.member.replace("-", "")


def _storable(text: bytes) -> str:
    """Return the text as characters, where every string in it can be kept in any database.

    Escapes can hide what a database refuses: NUL, and halves of surrogate pairs, which are no characters.
    """
    try:
        characters = text.decode()
        if "\\u" in characters:
            value = json.loads(characters)
            json.dumps(value, ensure_ascii=False).encode()
            has_nul = _has_nul(value)
        else:
            has_nul = "\0" in characters
    except (ValueError, RecursionError) as fault:
        raise _RefusedError(RejectCode.MALFORMED, f"text: {fault}") from fault
    if has_nul:
        raise _RefusedError(RejectCode.MALFORMED, "text holds a NUL character")
    return characters


def _has_nul(value: object) -> bool:
    match value:
        case str():
            return "\0" in value
        case list():
            return any(map(_has_nul, value))
        case dict():
            return any(_has_nul(name) or _has_nul(inner) for name, inner in value.items())
        case _:
            return False
