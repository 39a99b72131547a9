"""Whether the claims of a token hold. Pure: the caller checked the signature, and brings the time.

Sources: RFC 7519 section 4.1 (registered claims), RFC 8725 sections 3.8 to 3.11 (issuer, audience, explicit typing).
"""

import re
from enum import StrEnum
from typing import Any, Final

import msgspec

from wire.token import MAX_LIFETIME_S, REVOKED, TokenClaims

LEEWAY_S: Final = 5
"""How far a device's clock may be off before a nonce stands in for it."""
_LAST_SECOND: Final = 253_402_000_000  # in the last days of the year 9999: later ones are no date here
_MOST_EVENTS: Final = 1 << 53
_JTI = re.compile(r"[0-9a-f]{32}")
_RUN = re.compile(r"[0-9a-f]{0,32}")
_HEAD = re.compile(r"[0-9a-f]{64}|")


class Refused(StrEnum):
    """Why a handshake is refused: stable words for the log and for `WWW-Authenticate`."""

    NO_TOKEN = "no_token"
    TOKEN_IN_URL = "token_in_url"
    MALFORMED = "malformed"
    ALGORITHM = "algorithm"
    TYPE = "type"
    UNKNOWN_KEY = "unknown_key"
    SIGNATURE = "signature"
    CLAIMS = "claims"
    SUBJECT = "subject"
    AUDIENCE = "audience"
    LIFETIME = "lifetime"
    REVOKED = REVOKED
    REPLAYED = "replayed"
    CLOCK = "clock"
    SUBPROTOCOL = "subprotocol"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"


class ClaimsError(ValueError):
    """Claims that do not hold; `reason` is stable and the text names the claim, never its secret parts."""

    def __init__(self, reason: Refused, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def read_claims(payload: dict[str, Any], *, device: str, audience: str) -> TokenClaims:
    """Return the claims where all stand, are well formed and speak of `device` and us; raise ClaimsError."""
    try:
        claims = msgspec.convert(payload, TokenClaims)
    except msgspec.ValidationError as fault:
        raise ClaimsError(Refused.CLAIMS, str(fault)[:200]) from fault
    _check_form(claims)
    if not claims.iss == claims.sub == device:
        raise ClaimsError(Refused.SUBJECT, "iss and sub must both be the device that the key belongs to")
    if claims.aud != audience:
        raise ClaimsError(Refused.AUDIENCE, f"aud is {claims.aud[:80]!a}, this central is {audience!r}")
    if not 0 < claims.exp - claims.iat <= MAX_LIFETIME_S:
        raise ClaimsError(Refused.LIFETIME, f"exp is {claims.exp - claims.iat} s after iat, at most {MAX_LIFETIME_S}")
    return claims


def _check_form(claims: TokenClaims) -> None:
    if not all(0 <= second <= _LAST_SECOND for second in (claims.iat, claims.nbf, claims.exp)):
        raise ClaimsError(Refused.CLAIMS, "iat, nbf and exp must be seconds since 1970")
    if not _JTI.fullmatch(claims.jti):
        raise ClaimsError(Refused.CLAIMS, "jti must be 128 bits as 32 lower-case hex digits")
    if not _RUN.fullmatch(claims.run) or not _HEAD.fullmatch(claims.head):
        raise ClaimsError(Refused.CLAIMS, "run and head must be lower-case hex digits")
    if claims.nonce is not None and not _JTI.fullmatch(claims.nonce):
        raise ClaimsError(Refused.CLAIMS, "nonce is not one that this central gives")
    if not 0 <= claims.n <= _MOST_EVENTS:
        raise ClaimsError(Refused.CLAIMS, "n must count events")


def is_timely(claims: TokenClaims, now_s: float) -> bool:
    """Whether the token's times hold now, give or take LEEWAY_S."""
    return max(claims.iat, claims.nbf) - LEEWAY_S <= now_s < claims.exp + LEEWAY_S
