"""Who set which line when: the kernel's own trace of its GPIO library, read back.

Events `gpio_value` and `gpio_direction` (include/trace/events/gpio.h) are written whenever a driver is told to set a
line or to turn it round, so no blip is too short for them, which polling could not say. They name lines by their global
number: the chip's base plus the line. What the kernel does on its own when an owner dies is not among them; a board's
own controller keeps the level then, and that is what this log shows.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

LINES: Final = 54
_BASE: Final = 1024 - LINES
"""Linux 6.1 on x86 hands out numbers downwards from 1024; the board has the only chip."""
_LINE: Final = re.compile(
    r"^\s*(?P<task>.+?)-(?P<pid>\d+)\s+\[\d+\]\s+\S+\s+(?P<at_s>\d+\.\d+): "
    r"(?P<event>gpio_value|gpio_direction): (?P<number>\d+)\s+(?P<words>.+)$"
)


@dataclass(frozen=True, slots=True)
class Edge:
    """A line was told a level, at the guest's monotonic time; `is_input` says that it was let go instead."""

    line: int
    level: int
    at_ms: float
    pid: int
    is_input: bool = False


def parse(trace: str) -> list[Edge]:
    """Read a trace; what is not about a line being set is passed over."""
    return [edge for text in trace.splitlines() if (edge := _edge(text)) is not None]


def _edge(text: str) -> Edge | None:
    found = _LINE.match(text)
    if found is None:
        return None
    line, at_ms, pid = int(found["number"]) - _BASE, float(found["at_s"]) * 1000, int(found["pid"])
    words = found["words"].split()
    if found["event"] == "gpio_value":
        return Edge(line, int(words[1]), at_ms, pid) if words[0] == "set" else None
    return Edge(line, 0, at_ms, pid, is_input=True) if words[0] == "in" else None


@dataclass(frozen=True, slots=True)
class Pulse:
    """A line that was told to be on, and when it was told to be off again; None where it never was."""

    on_ms: float
    off_ms: float | None


@dataclass(frozen=True, slots=True)
class Rule:
    """What pulses have to keep: their ceiling, and how late a slow machine may be after an end of the agent."""

    ceiling_ms: float
    late_ms: float
    off_within_ms: float
    grant_age_ms: float = 15_000


def pulses(edges: Sequence[Edge], line: int) -> list[Pulse]:
    """Return when a line was on, as a controller that keeps its level would have had it. It is off at first."""
    found: list[Pulse] = []
    on_ms: float | None = None
    for edge in edges:
        if edge.line != line or edge.is_input:
            continue
        if edge.level and on_ms is None:
            on_ms = edge.at_ms
        elif not edge.level and on_ms is not None:
            found.append(Pulse(on_ms, edge.at_ms))
            on_ms = None
    return found if on_ms is None else [*found, Pulse(on_ms, None)]


def faults_of(
    edges: Sequence[Edge], line: int, openings_ms: Sequence[float], ends_ms: Sequence[float], rule: Rule
) -> Iterator[str]:
    """Say which edges break a promise: a pulse without a durable opening of its own, one too long, a line let go.

    `openings_ms` are the times of grants and begun commands in order, `ends_ms` those at which the agent was ended.
    """
    yield from (f"line let go at {edge.at_ms:.0f}" for edge in edges if edge.line == line and edge.is_input)
    for count, pulse in enumerate(pulses(edges, line), 1):
        before = openings_ms[: bisect_right(openings_ms, pulse.on_ms)]
        if len(before) < count or pulse.on_ms - before[-1] > rule.grant_age_ms:
            yield f"on at {pulse.on_ms:.0f}: pulse {count}, {len(before)} durable openings before"
        if pulse.off_ms is None:
            yield f"on since {pulse.on_ms:.0f}"
        elif (took_ms := pulse.off_ms - pulse.on_ms) > _allowed_ms(pulse, ends_ms, rule):
            yield f"on for {took_ms:.0f} ms from {pulse.on_ms:.0f}"


def left_on_ms(edges: Sequence[Edge], line: int, ends_ms: Sequence[float]) -> list[float]:
    """Return for how long the line stayed on after each end of the agent in the middle of a pulse."""
    ended = ((pulse, end) for pulse in pulses(edges, line) if (end := _end_within(pulse, ends_ms)) is not None)
    return [pulse.off_ms - end for pulse, end in ended if pulse.off_ms is not None]


def _allowed_ms(pulse: Pulse, ends_ms: Sequence[float], rule: Rule) -> float:
    end_ms = _end_within(pulse, ends_ms)
    if end_ms is None:
        return rule.ceiling_ms + rule.late_ms
    return end_ms - pulse.on_ms + rule.off_within_ms


def _end_within(pulse: Pulse, ends_ms: Sequence[float]) -> float | None:
    off_ms = pulse.off_ms if pulse.off_ms is not None else float("inf")
    return next((end for end in ends_ms if pulse.on_ms <= end <= off_ms), None)
