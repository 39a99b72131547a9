"""Mutated passes: every part of a pass that holds, changed in every way we know. None of them may open.

Each mutation has the reason with which it has to be refused, so that one which fails by luck is noticed too.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct

from tests.passes.making import (
    ISSUER,
    KID,
    MEMBER,
    NOW_S,
    PASS_ID,
    REVOKED_ID,
    SITE,
    Phone,
    claims,
    encoded,
    header,
    private_key,
    signed,
)
from wire.passes import (
    _SMALL_ORDER,
    ROTATING_PREFIX,
    SIGNED_PREFIX,
    Rotating,
    rotating_message,
    step_at,
    write_rotating,
)
from wire.vocabulary import Reason

_TEN_YEARS_S: Final = 10 * 365 * 86_400
_L: Final = 2**252 + 27742317777372353535851937790883648493
"""The order of Ed25519's base point (RFC 8032, section 5.1): S + L is the same number to a careless verifier."""
_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
PHONE: Final = Phone()


class Mutation(Struct, frozen=True):
    """A pass that must not open, and why it is refused."""

    name: str
    text: bytes
    reason: Reason


def mutations() -> list[Mutation]:
    """Return all of them."""
    made = [*_headers(), *_claims(), *_signatures(), *_framing(), *_characters(), *_rotating()]
    assert len({mutation.name for mutation in made}) == len(made)
    return made


def _of(name: str, text: str | bytes, reason: Reason) -> Mutation:
    return Mutation(name, text.encode() if isinstance(text, str) else text, reason)


def _headers() -> Iterator[Mutation]:
    malformed, unknown = Reason.PASS_MALFORMED, Reason.PASS_UNKNOWN_KEY
    for alg in ("none", "None", "HS256", "ES256", "RS256", "Ed25519", "eddsa", "EDDSA", "EdDSA ", "", 0, ["EdDSA"]):
        yield _of(f"alg {alg!r}", signed(head=header(alg=alg)), malformed)
    for typ in ("JWT", "doorstile-device+jwt", "doorstile-enrol+jwt", "DOORSTILE-PASS+JWT", "doorstile-pass", "", 1):
        yield _of(f"typ {typ!r}", signed(head=header(typ=typ)), malformed)
    for name in ("alg", "typ", "kid"):
        yield _of(f"no {name}", signed(head=header(**{name: None})), malformed)
    for strange in (1, ["0123456789abcdef"], {"kid": KID}):
        yield _of(f"kid {strange!r}", signed(head=header(kid=strange)), malformed)
    for kid in ("", KID[:-1], KID + "0", KID.upper(), "../" + KID, "0" * 16, KID + "\0"):
        yield _of(f"kid {kid!r}", signed(head=header(kid=kid)), unknown)
    public = encoded(private_key(9).public_key().public_bytes_raw())
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": public}
    for name, value in (
        ("crit", ["exp"]), ("jwk", jwk), ("jku", "https://example.org/keys"), ("x5u", "https://example.org"),
        ("b64", False), ("zip", "DEF"), ("cty", "JWT"),
    ):  # fmt: skip
        yield _of(f"header {name}", signed(head=header(**{name: value}), key=private_key(9)), malformed)
    for name, head in (("list", b"[]"), ("text", b'"x"'), ("empty", b""), ("broken", b"{"), ("deep", b"[" * 400)):
        yield _of(f"header is {name}", signed(head=head), malformed)


def _claims() -> Iterator[Mutation]:
    malformed = Reason.PASS_MALFORMED
    for name in ("aud", "sub", "jti", "nbf", "exp"):
        yield _of(f"without {name}", signed(claims(**{name: None})), malformed)
        strange: tuple[Any, ...] = (True, 1.5, "", [], {}, "1800000000" if name in ("nbf", "exp") else 7)
        for wrong in strange:
            yield _of(f"{name} is {wrong!r}", signed(claims(**{name: wrong})), malformed)
    for name, value in _STRANGE:
        yield _of(f"{name} is {value!r}"[:60], signed(claims(**{name: value})), malformed)
    for aud in (SITE.upper(), SITE[:-1], SITE + "0", "doorstile", SITE.replace("-", "")):
        yield _of(f"aud {aud}", signed(claims(aud=aud)), Reason.PASS_WRONG_SITE)
    yield _of("revoked", signed(claims(jti=REVOKED_ID)), Reason.PASS_REVOKED)
    for zones in (["office"], ["GYM"], ["gym2"], ["office", "pool"], ["nowhere"]):
        yield _of(f"zones {zones}", signed(claims(zones=zones)), Reason.PASS_ZONE)
    for exp in (NOW_S, NOW_S - 1, NOW_S - 3600, NOW_S - _TEN_YEARS_S, 0):
        yield _of(f"exp {exp}", signed(claims(exp=exp)), Reason.PASS_EXPIRED)
    for nbf in (NOW_S + 1, NOW_S + 60, NOW_S + _TEN_YEARS_S):
        yield _of(f"nbf {nbf}", signed(claims(nbf=nbf, exp=NOW_S + 2 * _TEN_YEARS_S)), Reason.PASS_NOT_YET)
    for name, said in (
        ("list", b"[]"),
        ("null", b"null"),
        ("broken", b'{"aud"'),
        ("deep", b"[" * 500),
        ("\xff", b"\xff"),
    ):
        yield _of(f"claims are {name}", signed(said), malformed)


_STRANGE: Final[tuple[tuple[str, Any], ...]] = (
    ("aud", [SITE]), ("sub", "a/b"), ("sub", "x" * 65), ("sub", "-x"), ("jti", PASS_ID.upper()), ("jti", PASS_ID[:-1]),
    ("jti", PASS_ID + "00"), ("jti", "zz" * 16), ("exp", 10**15), ("exp", -1), ("nbf", -5), ("holder", "root"),
    ("holder", 1), ("zones", "gym"), ("zones", ["gym"] * 17), ("zones", [1]), ("zones", ["a/b"]), ("once", "yes"),
    ("once", 1), ("iat", NOW_S), ("iss", "doorstile"), ("uses", 3), ("only_weekdays", True), ("rights", ["override"]),
    ("host", MEMBER),
)  # fmt: skip


def _signatures() -> Iterator[Mutation]:
    bad, malformed = Reason.PASS_SIGNATURE, Reason.PASS_MALFORMED
    text = signed()
    head, said, signature = text.removeprefix(SIGNED_PREFIX).split(".")
    body = f"{SIGNED_PREFIX}{head}.{said}"
    raw = base64.urlsafe_b64decode(signature + "==")
    other = signed(claims(jti="0d" * 16)).split(".")[2]
    number = int.from_bytes(raw[32:], "little")
    public = ISSUER.public_key().public_bytes_raw()
    secret = hmac.digest(public, f"{head}.{said}".encode(), hashlib.sha256)
    wrong = {
        "by another key": signed(key=private_key(3)).split(".")[2], "of another pass": other,
        "zeros": encoded(bytes(64)),
        "ones": encoded(b"\xff" * 64), "half": encoded(raw[:32]), "short": encoded(raw[:-1]),
        "long": encoded(raw + b"\0"), "malleable": encoded(raw[:32] + (number + _L).to_bytes(32, "little")),
        "halves swapped": encoded(raw[32:] + raw[:32]), "keyed hash by the public key": encoded(secret),
        "none": "",
    }  # fmt: skip
    for name, part in wrong.items():
        yield _of(f"signature {name}", f"{body}.{part}", bad)
    last = _ALPHABET[_ALPHABET.index(signature[-1]) ^ 1]
    spellings = {
        "padded": f"{signature}==", "with idle bits": signature[:-1] + last,
        "in plain base64": base64.b64encode(raw).decode(), "with a space": f"{signature} ",
        "with a line end": f"{signature}\n", "split": f"{signature[:40]} {signature[40:]}",
    }  # fmt: skip
    for name, part in spellings.items():
        yield _of(f"signature {name}", f"{body}.{part}", malformed)
    changed = encoded(claims(exp=NOW_S + _TEN_YEARS_S))
    yield _of("claims exchanged", f"{SIGNED_PREFIX}{head}.{changed}.{signature}", bad)
    spaced = encoded(json.dumps(header()).encode())
    yield _of("header exchanged", f"{SIGNED_PREFIX}{spaced}.{said}.{signature}", bad)


def _framing() -> Iterator[Mutation]:
    text = signed()
    token = text.removeprefix(SIGNED_PREFIX)
    malformed, unknown = Reason.PASS_MALFORMED, Reason.UNKNOWN_CREDENTIAL
    as_json = json.dumps(dict(zip(("protected", "payload", "signature"), token.split("."), strict=True)))
    for name, framed in {
        "only the prefix": SIGNED_PREFIX, "twice": f"{text}{text}", "four parts": f"{text}.x", "two parts": text[:-87],
        "no parts": f"{SIGNED_PREFIX}{token.replace('.', '')}", "leading dot": f"{SIGNED_PREFIX}.{token}",
        "as JSON": SIGNED_PREFIX + as_json, "prefix twice": SIGNED_PREFIX + text,
        "space after prefix": f"DSP1: {token}",
        "cut in half": text[: len(text) // 2], "too long": text + "A" * 1024, "NUL": f"{text}\0",
        "look-alike": text.replace("e", "\N{CYRILLIC SMALL LETTER IE}"), "rotating prefix": ROTATING_PREFIX + token,
    }.items():  # fmt: skip
        yield _of(f"framing: {name}", framed, malformed)
    for name, framed in {
        "no prefix": token, "lower case prefix": f"dsp1:{token}", "other version": f"DSP2:{token}", "empty": "",
        "space before": f" {text}", "address": f"https://example.org/{text}", "rotating, other version": "DSR2:AAAA",
    }.items():  # fmt: skip
        yield _of(f"framing: {name}", framed, unknown)


def _characters() -> Iterator[Mutation]:
    """Single characters of the signed part and the signature, exchanged for others that are well formed."""
    text = signed()
    head_ends = text.index(".")
    said_ends = text.index(".", head_ends + 1)
    for at in range(head_ends + 2, len(text) - 2, 5):
        if at == said_ends:
            continue
        other = "A" if text[at] != "A" else "B"
        mutated = text[:at] + other + text[at + 1 :]
        if at == said_ends - 1:
            continue
        yield _of(f"character {at}", mutated, Reason.PASS_SIGNATURE)


def _rotating() -> Iterator[Mutation]:
    stale, bad, malformed = Reason.PASS_STALE, Reason.PASS_SIGNATURE, Reason.PASS_MALFORMED
    for by in (-2, 2, -3, 3, -100, 100, -(4 * 60 * 24 * 3650), 4 * 60 * 24 * 3650):
        yield _of(f"rotating, {by:+} steps", PHONE.code(by=by), stale)
    now, public = step_at(NOW_S * 1000), PHONE.public
    right, other = PHONE.key.sign(rotating_message(now)), private_key(4)
    signatures = {
        "of another step": PHONE.key.sign(rotating_message(now + 1)),
        "by another key": other.sign(rotating_message(now)),
        "zeros": bytes(64), "of the bare step": PHONE.key.sign(str(now).encode()),
        "of another context": PHONE.key.sign(b"doorstile-rotating-v2|%d" % now),
        "halves swapped": right[32:] + right[:32],
        "malleable": right[:32] + (int.from_bytes(right[32:], "little") + _L).to_bytes(32, "little"),
    }  # fmt: skip
    for name, signature in signatures.items():
        yield _of(f"rotating, signature {name}", write_rotating(Rotating(public, now, signature)), bad)
    keys = {"zeros": bytes(32), "ones": b"\xff" * 32, "other": other.public_key().public_bytes_raw()}
    for name, key in keys.items():
        yield _of(f"rotating, public key {name}", write_rotating(Rotating(key, now, right)), bad)
    for number, weak in enumerate(sorted(_SMALL_ORDER)):
        for sign in (0, 0x80):
            public = weak[:-1] + bytes([weak[-1] | sign])
            easy = weak[:31] + b"\0" + bytes(32)
            yield _of(f"rotating, weak key {number} {sign}", write_rotating(Rotating(public, now, easy)), bad)
    stranger = Phone(private_key(5))
    yield _of("rotating, phone that nobody knows", stranger.code(), Reason.UNKNOWN_CREDENTIAL)
    text = PHONE.code()
    for name, framed in {
        "cut": text[:-1], "longer": f"{text}A", "padded": f"{text}=", "prefix only": ROTATING_PREFIX,
        "space": f"{text} ", "dotted": f"{text[:60]}.{text[60:]}", "signed prefix": SIGNED_PREFIX + text[5:],
        "idle bits": text[:-1] + _ALPHABET[_ALPHABET.index(text[-1]) ^ 1],
    }.items():  # fmt: skip
        yield _of(f"rotating, {name}", framed, malformed)
    for at in range(5, len(text) - 1, 6):
        mutated = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
        yield _of(f"rotating, character {at}", mutated, bad)
