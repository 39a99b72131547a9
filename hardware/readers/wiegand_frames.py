"""From the edges on two wires to Wiegand frames. Pure: no I/O, no clock.

Both wires rest high. A reader pulls D0 low for a zero and D1 for a one; pulses are 20 to 100 µs long and begin 0.2 to
20 ms after one another, and a frame ends with a pause (SIA AC-01, Access Control Standard Protocol for the 26-bit
Wiegand Reader Interface, 1996). Its first bit makes the number of ones in the first half of the data even, its last
makes it odd in the last half; 34 and 37 bits extend that, the middle one of 35 data bits counting in both halves.

Edges come from two queues, so a frame is put in order of the kernel's stamps only once it has ended, and a bit of time
is left for stragglers. Noise adds, loses or shortens pulses: whatever does not fit spoils the frame, never a bit of it.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from hardware.base import FaultReason, ReaderEvent, ReaderFault, Scan
from hardware.readers.framing import Identity, Throttle

FRAME_BITS: Final = (26, 34, 37)
STRAGGLERS_MS: Final = 20
"""How long the edges of one wire may come after those of the other."""
_MAX_EDGES: Final = 4 * max(FRAME_BITS)


class Edge(Struct, frozen=True):
    """A wire, 0 or 1, became low or high."""

    wire: int
    is_low: bool
    at_us: int


class Pulses(Struct, frozen=True, kw_only=True):
    """What counts as a pulse, and which pause ends a frame."""

    min_us: int = 10
    max_us: int = 1000
    gap_ms: int = 25
    bits: tuple[int, ...] = FRAME_BITS
    per_second: int = 5


class WiegandFrames:
    """One pair of wires. Times are monotonic; what begins within the first pause began before anybody listened."""

    def __init__(self, identity: Identity, pulses: Pulses, since_mono_ms: int) -> None:
        self._identity = identity
        self._pulses = pulses
        self._edges: list[Edge] = []
        self._is_flooded = False
        self._last_us = since_mono_ms * 1000
        self._is_deaf = True
        self._throttle = Throttle(pulses.per_second)

    @property
    def due_mono_ms(self) -> int | None:
        """When ``tick`` is due; None while no frame has begun."""
        return self._last_us // 1000 + self._pulses.gap_ms + STRAGGLERS_MS + 1 if self._edges else None

    def take(self, edge: Edge) -> list[ReaderEvent]:
        """Take an edge; those of one wire come in order."""
        ended = self.tick(edge.at_us // 1000)
        if not self._edges and edge.at_us - self._last_us > self._gap_us:
            self._is_deaf = False
        self._last_us = max(self._last_us, edge.at_us)
        if len(self._edges) < _MAX_EDGES:
            self._edges.append(edge)
        else:
            self._is_flooded = True
        return ended

    def tick(self, now_mono_ms: int) -> list[ReaderEvent]:
        """Read what a pause has ended."""
        due_ms = self.due_mono_ms
        if due_ms is None or now_mono_ms < due_ms:
            return []
        edges, self._edges = sorted(self._edges, key=lambda edge: edge.at_us), []
        is_flooded, self._is_flooded = self._is_flooded, False
        is_deaf, self._is_deaf = self._is_deaf, False
        if is_flooded or is_deaf:
            why = "more edges than any frame has" if is_flooded else "began before the reader was ready"
            return self._throttle.admit(self._fault(FaultReason.TORN_READ, why, edges), self._last_us // 1000)
        return [
            event
            for frame in self._frames(edges)
            for event in self._throttle.admit(self._judge(frame), frame[-1].at_us // 1000)
        ]

    def abandon(self, at_mono_ms: int) -> list[ReaderEvent]:
        """Nobody listens any more: drop and report what had begun."""
        edges, self._edges, self._is_flooded = self._edges, [], False
        if not edges:
            return []
        return self._throttle.admit(self._fault(FaultReason.TORN_READ, "nobody listens any more", edges), at_mono_ms)

    @property
    def _gap_us(self) -> int:
        return self._pulses.gap_ms * 1000

    def _frames(self, edges: list[Edge]) -> Iterator[list[Edge]]:
        """Cut at pauses: stragglers of one frame may arrive after the next has begun."""
        begin = 0
        for at in range(1, len(edges)):
            if edges[at].at_us - edges[at - 1].at_us > self._gap_us:
                yield edges[begin:at]
                begin = at
        yield edges[begin:]

    def _judge(self, edges: list[Edge]) -> ReaderEvent:
        bits = self._bits(edges)
        if bits is None:
            return self._fault(FaultReason.TORN_READ, "pulses that overlap, or are too short or too long", edges)
        if len(bits) not in self._pulses.bits:
            return self._fault(FaultReason.GARBLED, f"{len(bits)} bits", edges)
        if not has_parity(bits):
            return self._fault(FaultReason.GARBLED, f"wrong parity in {len(bits)} bits", edges)
        at_ms = edges[0].at_us // 1000
        return Scan(self._identity.reader, self._identity.medium, bits.encode(), at_ms, form=self._identity.form)

    def _bits(self, edges: list[Edge]) -> str | None:
        """Return the frame as zeros and ones, first bit first; None where low and high do not make whole pulses."""
        pairs = list(zip(edges[::2], edges[1::2], strict=False))
        is_whole = len(edges) % 2 == 0 and all(
            fall.is_low
            and not rise.is_low
            and fall.wire == rise.wire
            and self._pulses.min_us <= rise.at_us - fall.at_us <= self._pulses.max_us
            for fall, rise in pairs
        )
        return "".join(str(fall.wire) for fall, _ in pairs) if is_whole else None

    def _fault(self, reason: FaultReason, why: str, edges: list[Edge]) -> ReaderFault:
        return ReaderFault(self._identity.reader, reason, edges[0].at_us // 1000, why)


def has_parity(bits: str) -> bool:
    """Say whether the first bit is even over the first half of the data, and the last odd over the last half."""
    half = (len(bits) - 1) // 2 + 1
    return bits[:half].count("1") % 2 == 0 and bits[-half:].count("1") % 2 == 1
