"""Plays a trace through the decoders that heard it. Pure: the clock is the trace's own.

Reader times begin at ``START_MS``, long enough after nothing for the first code to be whole.
"""

from collections.abc import Iterator
from typing import Final

from hardware import profiles
from hardware.base import ReaderEvent
from hardware.inputs.debounce import Believed, Debounce
from hardware.readers.attached import Decoder
from hardware.readers.keys import KeyEvent, KeyMoved, KeysLost
from hardware.readers.serial_codes import Received, SerialCodes
from hardware.readers.wedge import Wedge
from hardware.readers.wiegand_frames import Edge, WiegandFrames
from hardware.traces import Step, Trace, TraceError

START_MS: Final = 10_000
_LONG_MS: Final = 60_000
_TAKES: Final[dict[object, frozenset[str]]] = {
    profiles.EvdevReader: frozenset({"key", "lost"}),
    profiles.SerialReader: frozenset({"bytes"}),
    profiles.WiegandReader: frozenset({"edge"}),
}


def replay(trace: Trace) -> list[ReaderEvent]:
    """Return what a reader's trace means, a minute's pause at its end. TraceError for what has no decoder.

    What ``back`` and ``gone`` themselves report is the driver's business and is left out.
    """
    decoder: Decoder[KeyEvent | Received | Edge] | None = None
    events: list[ReaderEvent] = []
    at_ms = START_MS
    for step in trace.steps:
        at_ms = START_MS + step.at_ms
        if step.what == "back":
            decoder = _decoder(trace.part, at_ms)
        elif decoder is not None and step.what == "gone":
            events += decoder.abandon(at_ms)
            decoder = None
        elif decoder is not None:
            events += _due(decoder, at_ms)
            events += decoder.take(_heard(trace.part, step))
    return events + ([] if decoder is None else _due(decoder, at_ms + _LONG_MS))


def replay_input(trace: Trace) -> Iterator[Believed]:
    """Yield what an input's trace makes believable, the state at its beginning first."""
    assert isinstance(trace.part, profiles.GpioInput)
    first, *rest = trace.steps
    debounce = Debounce(
        window_ms=trace.part.debounce_ms, is_active=_is_active(trace.part, first), at_mono_ms=first.at_ms
    )
    yield Believed(debounce.is_active, first.at_ms)
    for step in rest:
        if (change := debounce.edge(_is_active(trace.part, step), step.at_ms)) is not None:
            yield change
    if (change := debounce.look(trace.steps[-1].at_ms + _LONG_MS)) is not None:
        yield change


def _due(decoder: "Decoder[KeyEvent | Received | Edge]", until_ms: int) -> list[ReaderEvent]:
    """What the timers of the driver would have ended by then."""
    events: list[ReaderEvent] = []
    while (due_ms := decoder.due_mono_ms) is not None and due_ms <= until_ms:
        events += decoder.tick(due_ms)
    return events


def _decoder(part: object, at_ms: int) -> "Decoder[KeyEvent | Received | Edge]":
    decoder: object
    match part:
        case profiles.EvdevReader():
            decoder = Wedge(part.identity, part.framing, part.layout, at_ms, caps_lock=part.caps_lock)
        case profiles.SerialReader():
            decoder = SerialCodes(part.identity, part.framing, at_ms)
        case profiles.WiegandReader():
            decoder = WiegandFrames(part.identity, part.pulses, at_ms)
        case _:
            raise TraceError(f"a trace of {type(part).__name__} replays through its driver only")
    return decoder  # type: ignore[return-value]  # each takes the steps of its own traces


def _heard(part: object, step: Step) -> KeyEvent | Received | Edge:
    at_ms, values = START_MS + step.at_ms, step.values
    if step.what not in _TAKES[type(part)]:
        raise TraceError(f"step {step.what!r} belongs to another kind of device")
    try:
        match step.what:
            case "key":
                return KeyMoved(int(values[0]), int(values[1]), at_ms)
            case "lost":
                return KeysLost(at_ms)
            case "bytes":
                return Received(bytes.fromhex(values[0]), at_ms)
            case _:
                return Edge(int(values[0]), is_low=values[1] == "low", at_us=START_MS * 1000 + step.at_us)
    except ValueError as error:
        raise TraceError(f"step at {step.at_us}: {error}") from error


def _is_active(part: profiles.GpioInput, step: Step) -> bool:
    return (step.values == ("high",)) == part.active_high
