"""Traces: what a device told its driver, as text that replays through the same decoders. Pure: no I/O, no clock.

    doorstile-trace 1
    > driver = "evdev"            the section of the profile that the session ran under
    > name = "in"
    0 back                        microseconds since the first step, what happened, its values
    1250000 key 30 1
    1254000 key 30 0
    = scan 61                     what came of it, in order: the bytes of a scan in hex, or a fault

A masked trace has other digits and letters of the same kind, other card bytes of the same length, and the same times.
"""

import tomllib
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from hardware.base import ReaderEvent, ReaderFault, Removed, Scan
from hardware.errors import HardwareError
from hardware.sections.inputs import GpioInput
from hardware.sections.readers import ReaderPart

HEADER: Final = "doorstile-trace 1"
_STEP_WORDS: Final = {
    "back": 0, "gone": 0, "key": 2, "lost": 0, "bytes": 1, "edge": 2, "state": 2, "answer": 2, "torn": 1, "level": 1,
}  # fmt: skip
"""What a step may be, and how many values it has."""

Part = ReaderPart | GpioInput


class TraceError(HardwareError):
    """A text that is no trace; names the line."""


class Step(Struct, frozen=True):
    """One thing that happened, ``at_us`` after the first."""

    at_us: int
    what: str
    values: tuple[str, ...] = ()

    @property
    def at_ms(self) -> int:
        return self.at_us // 1000


class Trace(Struct, frozen=True):
    """A session: its section, its steps in order, and what came of them."""

    part: Part
    steps: tuple[Step, ...]
    results: tuple[str, ...] = ()


def result_of(event: ReaderEvent) -> str:
    """Return an event as a line of results."""
    match event:
        case Scan(data=data):
            return f"scan {data.hex().upper()}"
        case ReaderFault(reason=reason):
            return f"fault {reason}"
        case Removed():
            return "removed"


def write_trace(trace: Trace) -> str:
    """Return a trace as text."""
    settings = msgspec.to_builtins(trace.part)
    lines = [HEADER]
    lines += [f"> {key} = {_toml(value)}" for key, value in settings.items() if value is not None]
    lines += [" ".join((str(step.at_us), step.what, *step.values)) for step in trace.steps]
    lines += [f"= {result}" for result in trace.results]
    return "\n".join(lines) + "\n"


def read_trace(text: str) -> Trace:
    """Return the trace in a text. TraceError names the line that is none."""
    lines = text.splitlines()
    if not lines or lines[0] != HEADER:
        raise TraceError(f"line 1: no trace, its first line is not {HEADER!r}; record it again")
    settings = "\n".join(line[2:] for line in lines if line.startswith("> "))
    results = tuple(line[2:] for line in lines if line.startswith("= "))
    steps = tuple(
        _step(number, line)
        for number, line in enumerate(lines, 1)
        if number > 1 and line and not line.startswith((">", "=", "#"))
    )
    return Trace(_part(settings), steps, results)


def events_of(results: Iterable[ReaderEvent]) -> tuple[str, ...]:
    """Return events as lines of results."""
    return tuple(result_of(event) for event in results)


def _part(settings: str) -> Part:
    try:
        raw = tomllib.loads(settings)
        if "role" in raw:
            return msgspec.convert(raw, GpioInput)
        reader: ReaderPart = msgspec.convert(raw, ReaderPart)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, RecursionError) as error:
        raise TraceError(f"settings: {str(error)[:200]}; write a section of a profile, each line after '> '") from error
    return reader


def _step(number: int, line: str) -> Step:
    at, _, rest = line.partition(" ")
    what, *values = rest.split(" ")
    if not (at.isascii() and at.isdecimal()) or len(at) > 15 or _STEP_WORDS.get(what) != len(values):
        raise TraceError(f"line {number}: {line[:60]!a} is no step; write microseconds, a word, its values")
    return Step(int(at), what, tuple(values))


def _toml(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(map(_toml, value))}]"
    return msgspec.json.encode(value).decode()
