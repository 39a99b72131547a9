"""Whether a pass holds: its form, its signature by public keys alone, the door, the clock and its past use.

The order of the questions is part of the contract, so that a pass which fails several is always told the same thing:
form, key, signature, claims, site, revocation, zone, clock, time, use. What the holder may do beyond that, the rules
ask of the row that the directory holds for the pass, or of the one that the pass stands for (`row_of`).

Sources: RFC 7519 and RFC 8037 (signed passes), RFC 8725 (what to check of a JWT), RFC 6238 section 5.2 (a time step is
accepted once).
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

from wire.book import EVERYWHERE, BookItem, PassKey, PassRevocation, Site
from wire.facts import PassFacts
from wire.passes import (
    MAX_PASS_CHARS,
    PASS_ALGORITHM,
    PASS_TYPE,
    SIGNED_PREFIX,
    STEP_MS,
    STEPS_AROUND,
    PassClaims,
    PassError,
    Rotating,
    is_weak_key,
    read_base64url,
    read_rotating,
    rotating_message,
    step_at,
)
from wire.rows import DirectoryRow
from wire.vocabulary import Assurance, CredentialKind, Reason, WhenUnsure

_HEADER: Final = frozenset({"alg", "typ", "kid"})
_PARTS: Final = 3
_decode_claims = msgspec.json.Decoder(PassClaims).decode
_decode_header = msgspec.json.Decoder(dict[str, Any]).decode


class Register(Struct, frozen=True):
    """What the book of a site says about passes: its public keys by id, and the passes that no longer count."""

    site: str = ""
    keys: dict[str, PassKey] = {}
    revoked: frozenset[str] = frozenset()


class Moment(Struct, frozen=True):
    """When and where a pass is shown: the zone that the door leads into ("" where it has none), and the wall clock.

    `when_unsure` says what becomes of a signed pass while the clock is unknown; a rotating one is always denied then.
    Whoever goes out is asked neither for a zone nor whether the pass was used or revoked: the way out is not ours to
    refuse, and the record should say who left. Of a pass that is good once and began before `doubted_ms` nobody knows
    whether it was used: it counts as used.
    """

    wall_ms: int
    is_known: bool
    zone: str = ""
    when_unsure: WhenUnsure = WhenUnsure.DENY
    is_exit: bool = False
    doubted_ms: int = 0


class Check(Struct, frozen=True):
    """What came of looking at a pass.

    `canonical` are the bytes by which credentials of this kind are known: the id of a signed pass, the public key of a
    rotating one, and of a text whose author is not established the text itself.
    """

    kind: CredentialKind
    canonical: bytes
    passed: PassFacts


LastStep = Callable[[CredentialKind, bytes], int]
"""Return the highest step that was ever used of a pass, by kind and canonical bytes; 0 where none was."""

FAULTS: Final = {
    Reason.PASS_MALFORMED: "the code is no whole pass, or says what this version does not know",
    Reason.PASS_UNKNOWN_KEY: "the site's book does not hold the key that signed the pass",
    Reason.PASS_SIGNATURE: "the signature is not by that key",
    Reason.PASS_WRONG_SITE: "the pass is for another site",
    Reason.PASS_REVOKED: "the pass was revoked",
    Reason.PASS_ZONE: "the pass is for other zones",
    Reason.PASS_EXPIRED: "the pass has ended; the end itself is outside",
    Reason.PASS_NOT_YET: "the pass begins later",
    Reason.PASS_STALE: "the code is of another time than now",
    Reason.PASS_REPLAYED: "the code was used here before",
}
"""What can be wrong with a pass alone, in the order of the questions. An unknown clock is a rule for all."""


def register_of(items: Iterable[BookItem]) -> Register:
    """Return what these items of a book say about passes."""
    site, keys, revoked = "", dict[str, PassKey](), set[str]()
    for item in items:
        match item:
            case Site():
                site = item.id
            case PassKey():
                keys[item.kid] = item
            case PassRevocation():
                revoked.add(item.id)
            case _:
                pass
    return Register(site, keys, frozenset(revoked))


def check(text: bytes, register: Register, at: Moment, last_step: LastStep) -> Check:
    """Look at the text of a code that `wire.passes.is_pass` recognised."""
    is_signed = text.startswith(SIGNED_PREFIX.encode())
    kind = CredentialKind.PASS_SIGNED if is_signed else CredentialKind.PASS_ROTATING
    if len(text) > MAX_PASS_CHARS or not text.isascii():
        return _refused(kind, text, Reason.PASS_MALFORMED)
    if is_signed:
        return _check_signed(text, register, at, last_step)
    return _check_rotating(text, at, last_step)


def row_of(passed: PassFacts, key: str) -> DirectoryRow | None:
    """Return the row of the directory that a signed pass stands for; None where it does not hold.

    `key` is the keyed index of the pass. What the pass does not say is as for somebody without a plan. Where only the
    clock is unknown there is a row: the rules object for the same reason.
    """
    claims = passed.claims
    if claims is None or passed.fault not in (None, Reason.CLOCK_UNKNOWN):
        return None
    return DirectoryRow(
        key=key,
        kind=CredentialKind.PASS_SIGNED,
        member=claims.sub,
        valid_from_ms=claims.nbf * 1000,
        valid_to_ms=claims.exp * 1000,
        holder=claims.holder,
        assurance=Assurance.MEDIUM,
        zones=claims.zones or [EVERYWHERE],
    )


def use_step(claims: PassClaims) -> int:
    """Return the step that a grant uses up: of a pass that is good once the one in which it ends, 0 for others.

    Memory that is full may then forget the passes that end first, and refuse whatever ends no later than those.
    """
    return -(-claims.exp * 1000 // STEP_MS) if claims.once else 0


def _refused(kind: CredentialKind, text: bytes, fault: Reason) -> Check:
    return Check(kind, text, PassFacts(fault))


# Signed passes


def _check_signed(text: bytes, register: Register, at: Moment, last_step: LastStep) -> Check:
    kind, token = CredentialKind.PASS_SIGNED, text.decode().removeprefix(SIGNED_PREFIX)
    kid = _kid_of(token)
    if kid is None:
        return _refused(kind, text, Reason.PASS_MALFORMED)
    key = register.keys.get(kid)
    if key is None or not _is_in_force(key, at):
        return _refused(kind, text, Reason.PASS_UNKNOWN_KEY)
    payload = _verified(token, key)
    if payload is None:
        return _refused(kind, text, Reason.PASS_SIGNATURE)
    try:
        claims = _decode_claims(payload)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _refused(kind, text, Reason.PASS_MALFORMED)
    canonical, step = bytes.fromhex(claims.jti), 0 if at.is_exit else use_step(claims)
    fault = _objection(claims, register, at)
    is_doubted = claims.nbf * 1000 < at.doubted_ms
    if fault is None and step and (is_doubted or step <= last_step(kind, canonical)):
        fault = Reason.PASS_REPLAYED
    return Check(kind, canonical, PassFacts(fault, claims, step))


def _kid_of(token: str) -> str | None:
    """Return the key id of a token of our form, None for anything else."""
    parts = token.split(".")
    if len(parts) != _PARTS:
        return None
    try:
        raw = [read_base64url(part) for part in parts]
        header = _decode_header(raw[0])
    except (PassError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if header.keys() != _HEADER or header["alg"] != PASS_ALGORITHM or header["typ"] != PASS_TYPE:
        return None
    return header["kid"] if isinstance(header["kid"], str) else None


def _is_in_force(key: PassKey, at: Moment) -> bool:
    """True while a key counts; while nobody knows the date it may have begun, and what has ended has ended."""
    starts, ends = key.valid_from_ms, key.valid_to_ms
    has_begun = starts is None or not at.is_known or at.wall_ms >= starts
    return has_begun and (ends is None or at.wall_ms < ends)


def _verified(token: str, key: PassKey) -> bytes | None:
    """Return the payload of a token that the key signed, None for any other."""
    import jwt  # late: a door that is shown no pass does without
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.public))
        payload: bytes = jwt.PyJWS().decode_complete(token, public, algorithms=[PASS_ALGORITHM])["payload"]
    except (jwt.InvalidTokenError, ValueError):
        return None
    return payload


def _objection(claims: PassClaims, register: Register, at: Moment) -> Reason | None:
    if claims.aud != register.site:
        return Reason.PASS_WRONG_SITE
    if claims.jti in register.revoked and not at.is_exit:
        return Reason.PASS_REVOKED
    if claims.zones and not at.is_exit and at.zone not in claims.zones and EVERYWHERE not in claims.zones:
        return Reason.PASS_ZONE
    if not at.is_known and at.when_unsure is WhenUnsure.DENY:
        return Reason.CLOCK_UNKNOWN
    if at.wall_ms >= claims.exp * 1000:  # a clock that is unknown is never behind its floor: what has ended has ended
        return Reason.PASS_EXPIRED
    if at.is_known and at.wall_ms < claims.nbf * 1000:
        return Reason.PASS_NOT_YET
    return None


# Rotating passes


def _check_rotating(text: bytes, at: Moment, last_step: LastStep) -> Check:
    kind = CredentialKind.PASS_ROTATING
    try:
        shown = read_rotating(text.decode())
    except PassError:
        return _refused(kind, text, Reason.PASS_MALFORMED)
    if not _is_proven(shown):
        return _refused(kind, text, Reason.PASS_SIGNATURE)
    fault = None
    if not at.is_known:
        fault = Reason.CLOCK_UNKNOWN
    elif abs(shown.step - step_at(at.wall_ms)) > STEPS_AROUND:
        fault = Reason.PASS_STALE
    elif shown.step <= last_step(kind, shown.public):
        fault = Reason.PASS_REPLAYED
    return Check(kind, shown.public, PassFacts(fault, step=shown.step))


def _is_proven(shown: Rotating) -> bool:
    """True where whoever made the code held the private key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if is_weak_key(shown.public):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(shown.public).verify(shown.signature, rotating_message(shown.step))
    except (InvalidSignature, ValueError):
        return False
    return True
