"""Codes that claim to be passes: hostile texts, and hostile headers and claims under a signature that is right."""

from collections.abc import Iterator
from typing import Final

import msgspec

from tests.core.builders import WALL_MS
from tests.fuzz.target import Cursor, Target, holds
from tests.passes.making import REVOKED_ID, SITE, PassDoor, claims, header, signed
from tests.passes.matrix import PHONE
from wire.passes import ROTATING_PREFIX, SIGNED_PREFIX, PassClaims
from wire.vocabulary import CredentialKind

_RIGHT: Final = (signed(), PHONE.code(), PHONE.code(by=1), PHONE.code(by=-1))
_PREFIXES: Final = (SIGNED_PREFIX, ROTATING_PREFIX, "")
_decode: Final = msgspec.json.Decoder(PassClaims).decode


def _show(data: bytes) -> None:
    """The first byte chooses who writes the text: a stranger, or the issuer who signs whatever the bytes say."""
    cursor = Cursor(data)
    if cursor.number() % 2:
        head, said = cursor.text(), cursor.text()
        _look(signed(said, head).encode(), said=said)
        return
    _look(cursor.choice(_PREFIXES).encode() + cursor.rest(), said=None)


def _look(text: bytes, *, said: bytes | None) -> None:
    door = PassDoor(PHONE.row())
    facts = door.facts(text)
    decision = door.decide(text)
    holds(len(facts.read.credential.key) == 32, "a pass is known by its keyed index")
    if not decision.is_grant:
        return
    if said is None:
        holds(text.decode() in _RIGHT, "nothing opens that nobody signed")
    else:
        _check_claims(_decode(said))
    if facts.read.credential.kind is CredentialKind.PASS_ROTATING:
        holds(not door.decide(text).is_grant, "a code opens once")


def _check_claims(said: PassClaims) -> None:
    """The rules of signed passes, written again."""
    now_s = WALL_MS / 1000
    holds(said.aud == SITE and said.jti != REVOKED_ID, "only passes of this site that count")
    holds(said.nbf <= now_s < said.exp, "only in their time")
    holds(not said.zones or bool({"gym", "everywhere"} & set(said.zones)), "only where they are good")


def _texts() -> Iterator[bytes]:
    good = signed()
    for text in (good, PHONE.code(), PHONE.code(by=3), good.replace(".", ""), SIGNED_PREFIX + "..", "DSR1:AAAA"):
        yield b"\x00\x02" + text.encode()
    for head, said in ((header(), claims()), (header(typ="JWT"), claims()), (header(), claims(zones=["office"]))):
        parts = [msgspec.json.encode(part) for part in (head, said)]
        yield b"\x01" + b"".join(len(part).to_bytes(2) + part for part in parts)


TARGETS: Final = (
    Target("passes", "QR codes that claim to be passes: only what was signed, in its time, once", _show, _texts),
)
