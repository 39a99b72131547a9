"""What central's session with one device knows, and how it answers what it cannot use. Pure."""

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from central.sync.delivery import Delivery
from central.sync.exchange import Close, Effects, Send, Terms
from central.sync.intake import Intake
from central.sync.sharing import Sharing
from wire.messages import Error, Hello
from wire.vocabulary import CloseCode, ErrorCode

MAX_COMPLAINTS: Final = 100
"""Messages that cannot be used before the connection is closed: an endless error loop helps nobody."""
MAX_DETAIL: Final = 200


class Phase(StrEnum):
    """Where the conversation stands."""

    GREETING = "greeting"
    OPENING = "opening"
    LIVE = "live"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the session knows; `device` is whom the token admitted."""

    device: str
    terms: Terms = field(default_factory=Terms)
    phase: Phase = Phase.GREETING
    hello: Hello | None = None
    proto: int = 0
    session: int = 0
    heard_ms: int = 0
    lease_ends_ms: int = 0
    complaints: int = 0
    intake: Intake = field(default_factory=Intake)
    delivery: Delivery = field(default_factory=Delivery)
    sharing: Sharing = field(default_factory=Sharing)
    wake_ms: int | None = None


def closing(code: CloseCode, why: str) -> Effects:
    """Return what ends the connection."""
    return (Close(code, why[:MAX_DETAIL]),)


def complained(
    state: State, code: ErrorCode, detail: str, close: CloseCode | None = None, ref: str | None = None
) -> tuple[State, Effects]:
    """Answer what cannot be used; `close` ends the connection, and so do too many of them."""
    effects: Effects = (complaint(code, detail, ref),)
    state = replace(state, complaints=state.complaints + 1)
    if close is None and state.complaints >= MAX_COMPLAINTS:
        close = CloseCode.PROTOCOL
    return state, effects if close is None else (*effects, *closing(close, detail))


def complaint(code: ErrorCode, detail: str, ref: str | None = None) -> Send:
    """Return the answer to what cannot be used."""
    return Send(Error(code=code, detail=detail[:MAX_DETAIL], ref=ref))
