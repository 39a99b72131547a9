"""Passes as they stand in a QR code: two kinds of text, both verified with public keys alone.

A signed pass is `DSP1:` and a compact JWT (RFC 7519) signed with EdDSA (RFC 8037): header exactly `alg`, `typ` and
`kid`, claims exactly those of `PassClaims`. Whoever has a picture of it has it, unless it says `once`.

A rotating pass is `DSR1:` and 101 bytes in base64url: the phone's public key (Ed25519, 32 bytes), the step (5 bytes,
big-endian) and a signature (64 bytes) over `rotating_message(step)`. Steps are counted as in RFC 6238, section 4.2,
with X = 15 s and T0 = 0. The private key never leaves the phone, a door knows the keyed index of the public key.

Both spellings are canonical: a text that decodes alike and is written otherwise is malformed.
"""

import base64
import binascii
from typing import Annotated, Final

import msgspec
from msgspec import Struct

from wire.book import Name
from wire.errors import DoorstileError
from wire.vocabulary import HolderKind

PASS_TYPE: Final = "doorstile-pass+jwt"
"""`typ` of a signed pass (RFC 8725 section 3.11: explicit typing)."""
PASS_ALGORITHM: Final = "EdDSA"
SIGNED_PREFIX: Final = "DSP1:"
ROTATING_PREFIX: Final = "DSR1:"
MAX_PASS_CHARS: Final = 1024
"""Longer texts are not looked at; an ordinary pass has about 430, which fits into a QR code of version 16-M."""

STEP_MS: Final = 15_000
STEPS_AROUND: Final = 1
"""Steps accepted before and after the present one: three steps, 45 s."""
PUBLIC_KEY_BYTES: Final = 32
_STEP_BYTES: Final = 5
_SIGNATURE_BYTES: Final = 64
_ROTATING_BYTES: Final = PUBLIC_KEY_BYTES + _STEP_BYTES + _SIGNATURE_BYTES
_MAX_ZONES: Final = 16
_LAST_S: Final = 253_402_300_799
"""The end of the year 9999."""

_Second = Annotated[int, msgspec.Meta(ge=0, le=_LAST_S)]

_SMALL_ORDER: Final = frozenset(
    bytes.fromhex(point)
    for point in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)
"""Points whose order divides 8, without their sign bits, other spellings included (as libsodium's blacklist)."""


class PassError(DoorstileError):
    """A text that is no pass."""


class PassClaims(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a signed pass says. An unknown claim makes it malformed: what restricts must not be overlooked.

    `aud` is the id of the one site, `sub` the member or guest who passes, `jti` the id of the pass (32 hex digits);
    good from `nbf` up to, not including, `exp`, in seconds since 1970.
    """

    aud: Name
    sub: Name
    jti: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    nbf: _Second
    exp: _Second
    holder: HolderKind = HolderKind.GUEST
    zones: Annotated[list[Name], msgspec.Meta(max_length=_MAX_ZONES)] = []
    """Where it opens; empty for every zone that is not closed to all but a few."""
    once: bool = False
    """Good for coming in once at each door; going out is not counted."""


class Rotating(Struct, frozen=True):
    """A rotating pass as read; nothing of it is verified."""

    public: bytes
    step: int
    signature: bytes


def is_weak_key(public: bytes) -> bool:
    """True for a public key for which signatures can be made without a private one (a point of small order)."""
    return public[:-1] + bytes([public[-1] & 0x7F]) in _SMALL_ORDER


def is_pass(text: bytes) -> bool:
    """True where the text of a code claims to be a pass; such a text is never a static code."""
    return text.startswith((SIGNED_PREFIX.encode(), ROTATING_PREFIX.encode()))


def step_at(wall_ms: int) -> int:
    """Return the step of a moment."""
    return wall_ms // STEP_MS


def rotating_message(step: int) -> bytes:
    """Return what the phone signs for a step; the context keeps the signature from meaning anything else."""
    return b"doorstile-rotating-v1|%d" % step


def write_rotating(shown: Rotating) -> str:
    """Return the text of a rotating pass."""
    packed = shown.public + shown.step.to_bytes(_STEP_BYTES) + shown.signature
    return ROTATING_PREFIX + write_base64url(packed)


def read_rotating(text: str) -> Rotating:
    """Return the parts of a rotating pass; raise PassError."""
    packed = read_base64url(text.removeprefix(ROTATING_PREFIX))
    if not text.startswith(ROTATING_PREFIX) or len(packed) != _ROTATING_BYTES:
        raise PassError(f"a rotating pass is {ROTATING_PREFIX} and {_ROTATING_BYTES} bytes, not {len(packed)}")
    signed_from = PUBLIC_KEY_BYTES + _STEP_BYTES
    step = int.from_bytes(packed[PUBLIC_KEY_BYTES:signed_from])
    return Rotating(packed[:PUBLIC_KEY_BYTES], step, packed[signed_from:])


def write_base64url(raw: bytes) -> str:
    """Return base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_base64url(text: str) -> bytes:
    """Return what `write_base64url` wrote; raise PassError for every other spelling of the same bytes."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as fault:
        raise PassError("not base64url") from fault
    if write_base64url(raw) != text:
        raise PassError("base64url with bits that mean nothing")
    return raw
