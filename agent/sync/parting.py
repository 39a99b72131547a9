"""Why a connection ended or never came to be, in a form that decides when to try again. Pure.

Nothing that a server or the way to it does ends the agent: every status, close code and fault maps to a `Fate`, and
what nobody expected is transient.
"""

import re
import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

from agent.sync.bounds import HOUR_MS
from wire.limits import STABLE_S
from wire.token import NONCE_HEADER, REVOKED
from wire.vocabulary import CloseCode


class Fate(StrEnum):
    """What an ended attempt means for the next."""

    TRANSIENT = "transient"
    """Try again soon, with jitter."""
    REFUSED = "refused"
    """Central does not want this device, or this version of it: minutes between attempts."""
    TOKEN = "token"
    """Central did not accept the token: a new one at once, thrice, then as refused."""
    SUPERSEDED = "superseded"
    """Another connection with this identity is newer."""
    HELD = "held"
    """The device itself does not dare to connect."""


class Parting(Struct, frozen=True):
    """How an attempt ended. `words` are for people; `code` is central's close code, where it sent one."""

    fate: Fate
    words: str
    retry_after_s: float = 0.0
    spread_s: float = 0.0
    nonce: str | None = None
    code: int | None = None
    is_revoked: bool = False
    """Central itself says that this device may not work any more."""
    lasted_s: float = 0.0
    """Time since the welcome; 0 where there was none."""

    @property
    def was_stable(self) -> bool:
        """True after a connection that ran for long enough to forget the failures before it."""
        return self.lasted_s >= STABLE_S


_CODES: Final[dict[int, tuple[Fate, str]]] = {
    CloseCode.PROTOCOL: (Fate.REFUSED, "central says that this device broke the protocol"),
    CloseCode.REVOKED: (Fate.REFUSED, "central has revoked this device; ask the operator"),
    CloseCode.UPGRADE: (Fate.REFUSED, "no common protocol version; update the agent or central"),
    CloseCode.TOKEN: (Fate.TOKEN, "central wants a new token"),
    CloseCode.OVERDUE: (Fate.TRANSIENT, "central waited too long for this device"),
    CloseCode.SUPERSEDED: (Fate.SUPERSEDED, "a newer connection has this device's identity"),
    CloseCode.TOO_LARGE: (Fate.TRANSIENT, "central found a batch too large; smaller ones follow"),
    CloseCode.BUSY: (Fate.TRANSIENT, "central is busy"),
    CloseCode.UNAVAILABLE: (Fate.TRANSIENT, "central is unavailable"),
    1001: (Fate.TRANSIENT, "central goes away"),
    1009: (Fate.TRANSIENT, "central found a frame too large; smaller ones follow"),
    1012: (Fate.TRANSIENT, "central restarts"),
    1013: (Fate.TRANSIENT, "central is overloaded"),
}

_NONCE = re.compile(r'nonce="([0-9A-Za-z._~-]{8,128})"')
_REASON = re.compile(r'^Doorstile error="([a-z_]{1,40})"')


def of_close(code: int | None, *, retry_after_ms: int = 0, spread_ms: int = 0, lasted_s: float = 0.0) -> Parting:
    """Sort a connection that stood: by central's close code, None where it just broke off."""
    if code is None:
        fate, words = Fate.TRANSIENT, "the connection broke off"
    else:
        fate, words = _CODES.get(code, (Fate.TRANSIENT, f"central closed the connection with code {code}"))
    pauses = (retry_after_ms / 1000, spread_ms / 1000)
    return Parting(fate, words, *pauses, code=code, is_revoked=code == CloseCode.REVOKED, lasted_s=lasted_s)


def of_status(status: int, headers: Mapping[str, str]) -> Parting:
    """Sort a handshake that was answered by HTTP instead of a WebSocket; header names in lower case."""
    challenge = headers.get(NONCE_HEADER.lower(), "")
    reason = _REASON.search(challenge)
    said = f" ({reason[1]})" if reason else ""
    match status:
        case 401:
            nonce = _NONCE.search(challenge)
            words = "central does not believe this device's clock" if nonce else f"central refused the token{said}"
            return Parting(Fate.TOKEN, words, nonce=nonce[1] if nonce else None)
        case 403:
            is_revoked = reason is not None and reason[1] == REVOKED
            return Parting(Fate.REFUSED, f"central refuses this device{said}; ask the operator", is_revoked=is_revoked)
        case 426:
            return Parting(Fate.REFUSED, "central wants another protocol version; update the agent")
        case 429 | 503:
            words = "central is busy" if status == 429 else "central is unavailable"
            return Parting(Fate.TRANSIENT, f"{words} (HTTP {status})", retry_after_s=_retry_after_s(headers))
        case _ if status == 200 or 300 <= status < 400:
            words = f"something else answers in central's place (HTTP {status}); a captive portal or a proxy?"
            return Parting(Fate.TRANSIENT, words)
        case _:
            return Parting(Fate.TRANSIENT, f"central answered HTTP {status}", retry_after_s=_retry_after_s(headers))


def of_fault(fault: BaseException) -> Parting:
    """Sort an attempt that ended in a fault of the network, of TLS or of the answer."""
    return Parting(Fate.TRANSIENT, words_of(fault))


def words_of(fault: BaseException) -> str:
    """Say in plain words what kept a connection from standing."""
    match fault:
        case ssl.SSLCertVerificationError():
            return f"central's certificate is not accepted: {fault.verify_message}"
        case ssl.SSLError():
            return f"no TLS with central: {fault.strerror or fault}"
        case TimeoutError():
            return "central did not answer in time"
        case ConnectionRefusedError():
            return "nothing listens at central's address"
        case ConnectionError():
            return "the connection was closed while it was being set up; is the port right, and is it TLS?"
        case OSError():
            return f"central cannot be reached: {fault.strerror or fault}"
        case _:
            return f"no WebSocket at central's address: {str(fault)[:160]}"


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """Return `Retry-After` (RFC 9110 section 10.2.3) in seconds, 0 without one, an hour at most.

    A date is compared with the answer's own `Date`: the device's clock has no part in it.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), HOUR_MS / 1000)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return max(0.0, min(wait.total_seconds(), HOUR_MS / 1000))
