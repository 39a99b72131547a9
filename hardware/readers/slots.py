"""Which PC/SC readers belong to one reader of the profile, and what is known of each. Pure: no I/O, no clock."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from hardware.base import UID_LENGTHS, FaultReason, Medium, ReaderEvent, ReaderFault, Scan
from hardware.readers.cards import card_name, uid_trouble

_OK = b"\x90\x00"
_NOT_SUPPORTED = b"\x6a\x81"


@dataclass(slots=True)
class Slot:
    """What was last seen of one PC/SC reader.

    ``state`` is the state word that the daemon last gave, 0 before the first. Its upper half counts insertions and
    removals, so that a card swapped between two looks still counts as a new one.
    """

    name: str
    pcsc_name: str
    state: int = 0
    is_settled: bool = False
    """False until the first look, whose card is not a presentation."""
    is_lost: bool = False
    is_present: bool = False
    is_reported: bool = False
    """The card on it was reported, so its removal will be."""
    beeps: bool | None = None
    """Whether it beeps at cards by itself; None where it was never asked not to."""


@dataclass(slots=True)
class Selector:
    """Chooses PC/SC readers by a part of their name.

    With an ``index`` it binds one and stays with it: of two readers at one door, unplugging the first must not turn the
    second into it. It binds at all only when `least` readers match, those that the profile tells apart by their index,
    and anew only when as many do as did at first.
    """

    name: str
    match: str
    index: int | None
    least: int = 1
    _bound: str | None = None
    _matches_when_bound: int = 0
    _numbers: dict[str, int] = field(default_factory=dict)

    def choose(self, pcsc_names: Iterable[str]) -> dict[str, str]:
        """PC/SC name to event name of every reader that is ours now."""
        matches = sorted(name for name in pcsc_names if self.match in name)
        if self.index is None:
            for name in matches:
                self._numbers.setdefault(name, len(self._numbers))
            return {name: f"{self.name}.{self._numbers[name]}" for name in matches}
        if self._bound not in matches and len(matches) >= max(self.index + 1, self.least, self._matches_when_bound):
            self._bound, self._matches_when_bound = matches[self.index], len(matches)
        return {self._bound: self.name} if self._bound in matches else {}


def read_answer(reader: str, answer: bytes, at_mono_ms: int, atr: bytes = b"") -> ReaderEvent:
    """Judge the answer to GET DATA: a UID only with status 9000 and 4, 7 or 10 bytes (PC/SC part 3, 3.2.2.1.3).

    A random or truncated UID names no card; both are told by the UID and the card's answer to reset.
    """
    uid, status = answer[:-2], answer[-2:]
    if status == _NOT_SUPPORTED:
        return ReaderFault(reader, FaultReason.UNSUPPORTED_CARD, at_mono_ms, "the card has no UID (6A81)")
    if status != _OK:
        return ReaderFault(reader, FaultReason.TORN_READ, at_mono_ms, f"status {status.hex().upper() or 'missing'}")
    if len(uid) in UID_LENGTHS:
        trouble = uid_trouble(uid, atr)
        if trouble is not None:
            return ReaderFault(reader, FaultReason.UNSUPPORTED_CARD, at_mono_ms, trouble)
        return Scan(reader, Medium.CARD_UID, uid, at_mono_ms, card_name(atr))
    reason = FaultReason.OVERSIZE if len(uid) > max(UID_LENGTHS) else FaultReason.UNSUPPORTED_CARD
    return ReaderFault(reader, reason, at_mono_ms, f"UID of {len(uid)} bytes")
