"""The claims of a device's connection token: a JWT signed with EdDSA (RFC 7519, RFC 8037), minted for each attempt.

Header: `alg` EdDSA, `typ` `vocabulary.TOKEN_TYPE`, `kid` from the enrolment answer. It travels in
`Authorization: Bearer` and in `auth.refresh`, never in an address.
"""

from typing import Final

import msgspec

MAX_LIFETIME_S: Final = 60
"""`exp` minus `iat`, at most."""
NONCE_HEADER: Final = "WWW-Authenticate"
"""A refusal says `Doorstile error="REASON"`, and after a clock refusal also `nonce="…"` for the next token."""

REVOKED: Final = "revoked"
"""The REASON for a device that may not work any more; from central alone, as a door locks itself at it."""


class TokenClaims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`iss` and `sub` are the device's id, `aud` is the enrolment answer's; times are seconds since 1970.

    `jti` is 128 random bits as 32 hex digits. `run`, `n` and `head` (hex) say where the journal stands. `nonce` is what
    central handed out after a clock refusal: it stands in for the three times.
    """

    iss: str
    sub: str
    aud: str
    iat: int
    nbf: int
    exp: int
    jti: str
    run: str
    n: int
    head: str
    nonce: str | None = None
