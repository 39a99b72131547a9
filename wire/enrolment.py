"""How a device joins: one HTTPS exchange, before there is a key that central knows.

`POST /api/enrol` with `EnrolRequest`; 201 and `EnrolAnswer`, or a refusal with `EnrolRefusal`. The same code with the
same public key gives the same answer again, so a lost answer spends nothing.
"""

from enum import StrEnum
from typing import Final

import msgspec

ENROL_PATH: Final = "/api/enrol"
PROOF_TYPE: Final = "doorstile-enrol+jwt"
"""`typ` of the proof of possession: an EdDSA JWT {aud: origin of central, code: SHA-256 of the code, hex, iat, jti}."""


class EnrolRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the device says of itself; `public_key` is the raw 32-byte Ed25519 key, base64url without padding.

    `device` is the id that it has from this central already: its journal goes by it. Empty where it has none.
    """

    code: str
    public_key: str
    proof: str
    agent: str
    profile: str = ""
    device: str = ""


class EnrolAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the device needs to connect. `credential_key` (64 hex digits) keys its credential index.

    `audience` is the exact `aud` of every later token, `kid` names the key in it. `directory_key` (64 hex digits) is
    central's Ed25519 key for directories, which the device pins; a central without one leaves it empty.
    """

    device: str
    name: str
    site: str
    time_zone: str
    audience: str
    kid: str
    credential_key: str
    directory_key: str = ""


class EnrolRefused(StrEnum):
    """Why central does not enrol."""

    UNKNOWN_CODE = "unknown_code"
    CODE_SPENT = "code_spent"
    CODE_EXPIRED = "code_expired"
    BAD_PROOF = "bad_proof"
    OTHER_DOOR = "other_door"
    REVOKED = "revoked"
    MALFORMED = "malformed"
    BUSY = "busy"


class EnrolRefusal(msgspec.Struct, frozen=True):
    """The body of a refusal; `detail` says what to do."""

    error: EnrolRefused
    detail: str = ""


def normalise_code(typed: str) -> str:
    """Return a code as it is stored: upper case, no spaces or hyphens, look-alikes folded (O to 0, I and L to 1)."""
    bare = typed.upper().replace("-", "").replace(" ", "")
    return bare.translate(str.maketrans("OIL", "011"))
