"""Cards for enrolment: central asks for the next one, and it decides nothing.

One command waits at a time, until a card comes or its time is over (`begin_before_mono_ms`: the whole capture ends when
the command could no longer have begun). At a desk every card is for it; at a door only one that nobody there knows, so
that members pass as ever. The card goes to central sealed; the record says that it was read, never which it was.
"""

from msgspec.structs import replace

from agent.core import results, screen
from agent.core.effects import Captured, CommandEnd, Misread, Order, Record, Unasked
from agent.core.state import Station, Step, rest, show
from agent.core.types import Facts, Now
from wire.events import ReadFaultBody
from wire.vocabulary import CommandName, CommandState, EventKind

READ = "read"
NOBODY_CAME = "nobody_came"
UNASKED = "unasked"
_UNFIT = "unsupported_card"
"""The fault of a card that names nobody, whoever holds it: `hardware.base.FaultReason`."""


def begun(state: Station, order: Order, now: Now) -> Step:
    """Wait for a card; that this began is durable."""
    return rest(replace(state, capture=order), now)


def presented(state: Station, facts: Facts, captured: Captured | None) -> Step | None:
    """Return what becomes of a card that is no matter of the rules; None where they have to be asked."""
    order = state.capture
    is_live = order is not None and captured is not None and facts.now.mono_ms < order.begin_before_mono_ms
    if order is not None and captured is not None and is_live and (state.door.is_desk or _is_strange(facts)):
        return _taken(state, order, captured, facts.now)
    if not state.door.is_desk:
        return None
    body = ReadFaultBody(reader=facts.read.reader, fault=UNASKED, detail="a desk reads cards for enrolment alone")
    return state, [Record(EventKind.READ_FAULT, facts.now, body, Unasked())]


def misread(state: Station, event: Misread) -> Step:
    """End a capture at a desk whose card can never be enrolled; any other bad read may be tried again."""
    order = state.capture
    if order is None or not state.door.is_desk or event.fault != _UNFIT:
        return state, []
    end = results.ended(order, CommandState.FAILED, event.fault, event.now, out=event.detail)
    return replace(state, capture=None), [end]


def ended(state: Station, end: CommandEnd, now: Now) -> Step:
    """Show what came of a capture, once that is durable."""
    if end.name is not CommandName.CAPTURE or state.capture is not None:
        return state, []
    if end.code == READ:
        return show(state, screen.CARD_READ, now)
    return rest(state, now) if end.state is CommandState.EXPIRED else show(state, screen.CARD_UNFIT, now)


def time_went_by(state: Station, now: Now) -> Step:
    """End a capture whose time is over."""
    order = state.capture
    if order is None or now.mono_ms < order.begin_before_mono_ms:
        return state, []
    return replace(state, capture=None), [results.ended(order, CommandState.EXPIRED, NOBODY_CAME, now)]


def due_ms(state: Station) -> int | None:
    """Return when a capture ends by itself."""
    return None if state.capture is None else state.capture.begin_before_mono_ms


def _is_strange(facts: Facts) -> bool:
    return facts.row is None and facts.passed is None


def _taken(state: Station, order: Order, captured: Captured, now: Now) -> Step:
    state = replace(state, capture=None)
    if captured.sealed:
        return state, [results.ended(order, CommandState.DONE, READ, now, out=captured.sealed)]
    return state, [results.failed(order, captured.code, now)]
