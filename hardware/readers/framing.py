"""Where one code ends and the next begins, for readers that type or send characters. Pure: no I/O, no clock.

A code is what comes without a longer pause than ``gap_ms`` and ends with the terminator. What a pause cuts off is torn
and dropped: half a code never becomes a shorter one, and never joins what comes after it. Nor does the other half: what
follows a pause that tore a code is its rest, up to the terminator or to a longer silence. Without a terminator only an
exact length tells a whole code from a torn one, so profiles that lack both are refused.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from hardware.base import FaultReason, Medium, ReaderEvent, ReaderFault, Scan

FLOOD_ENDS_MS: Final = 1000
"""So long nothing has to come before a flooding reader is heard again."""

SAME_MS: Final = 1000
"""The same code this soon after the last time is the same presentation: many readers repeat what lies before them."""

REST_MS: Final = 2000
"""What begins within this time after a code was torn by a pause is taken for its rest. Nobody presents anew so soon."""

_DECIMAL: Final = frozenset("0123456789")
_HEX: Final = frozenset("0123456789abcdefABCDEF")


class Terminator(StrEnum):
    """What the reader sends after each code."""

    ENTER = "enter"
    TAB = "tab"
    NONE = "none"


class Characters(StrEnum):
    """Which characters a code may hold; any other spoils it as a whole."""

    DECIMAL = "decimal"
    HEX = "hex"
    PRINTABLE = "printable"

    def has(self, character: str) -> bool:
        match self:
            case Characters.DECIMAL:
                return character in _DECIMAL
            case Characters.HEX:
                return character in _HEX
            case Characters.PRINTABLE:
                return character.isprintable()


class Framing(Struct, frozen=True, kw_only=True):
    """How a reader is set. Lengths are in characters; ``per_second`` is how many codes are more than people make."""

    terminator: Terminator = Terminator.ENTER
    gap_ms: int = 100
    min_length: int = 4
    max_length: int = 128
    characters: Characters = Characters.PRINTABLE
    per_second: int = 10


class Identity(Struct, frozen=True):
    """Whose reads these are, and how they are to be understood."""

    reader: str
    medium: Medium
    form: str = ""


class Framer:
    """Characters with their times in, scans and faults out.

    Times are monotonic ms and do not go back; ``tick`` is due at ``due_mono_ms``. What comes within the first pause
    after ``since_mono_ms`` may be the tail of something whose beginning nobody heard, so it is dropped.
    """

    def __init__(self, identity: Identity, framing: Framing, since_mono_ms: int) -> None:
        self._identity = identity
        self._framing = framing
        self._last_ms = since_mono_ms
        self._is_deaf = True
        self._text: list[str] = []
        self._began_ms = since_mono_ms
        self._spoiled: tuple[FaultReason, str] | None = None
        self._rest_until_ms: int | None = None
        self._throttle = Throttle(framing.per_second)

    @property
    def due_mono_ms(self) -> int | None:
        """When the pause ends what has begun; None while nothing has."""
        return self._last_ms + self._framing.gap_ms + 1 if self._has_begun else None

    def is_pause(self, at_mono_ms: int) -> bool:
        """Say whether whatever comes now begins anew."""
        return at_mono_ms - self._last_ms > self._framing.gap_ms

    def tick(self, now_mono_ms: int) -> list[ReaderEvent]:
        """End what a pause has cut off."""
        if not self.is_pause(now_mono_ms):
            return []
        self._is_deaf = False
        if not self._has_begun:
            return []
        if self._framing.terminator is not Terminator.NONE:
            self._spoil(FaultReason.TORN_READ, f"{len(self._text)} characters and no terminator")
            self._rest_until_ms = self._last_ms + REST_MS
        return self._end()

    def touch(self, at_mono_ms: int) -> list[ReaderEvent]:
        """Note a sign of life that is no character, such as Shift."""
        ended = self.tick(at_mono_ms)
        self._last_ms = max(self._last_ms, at_mono_ms)
        return ended

    def character(self, character: str, at_mono_ms: int) -> list[ReaderEvent]:
        """Take the next character of a code."""
        ended = self._begin(at_mono_ms)
        if not self._framing.characters.has(character):
            self._spoil(FaultReason.GARBLED, f"character {character!a} in a {self._framing.characters} code")
        elif len(self._text) >= self._framing.max_length:
            self._spoil(FaultReason.OVERSIZE, f"more than {self._framing.max_length} characters")
        else:
            self._text.append(character)
        return ended

    def spoil(self, reason: FaultReason, detail: str, at_mono_ms: int) -> list[ReaderEvent]:
        """Drop the code that is being read, whatever of it is still to come; its first fault is the one reported."""
        ended = self._begin(at_mono_ms)
        self._spoil(reason, detail)
        return ended

    def terminate(self, at_mono_ms: int) -> list[ReaderEvent]:
        """Take the terminator. Alone it is nothing: many readers send CR and LF."""
        ended = self.touch(at_mono_ms)
        if self._has_begun:
            ended += self._end()
        self._is_deaf, self._rest_until_ms = False, None
        return ended

    def abandon(self, at_mono_ms: int) -> list[ReaderEvent]:
        """The reader is gone: drop and report what it had begun."""
        if not self._has_begun:
            return []
        self._spoil(FaultReason.TORN_READ, f"gone after {len(self._text)} characters")
        self._last_ms = max(self._last_ms, at_mono_ms)
        return self._end()

    @property
    def _has_begun(self) -> bool:
        return bool(self._text) or self._spoiled is not None

    def _begin(self, at_mono_ms: int) -> list[ReaderEvent]:
        ended = self.touch(at_mono_ms)
        if not self._has_begun:
            self._began_ms = at_mono_ms
            if self._is_deaf:
                self._spoil(FaultReason.TORN_READ, "began before the reader was ready")
            elif self._rest_until_ms is not None and at_mono_ms <= self._rest_until_ms:
                self._spoil(FaultReason.TORN_READ, "the rest of a code that a pause has torn")
        return ended

    def _spoil(self, reason: FaultReason, detail: str) -> None:
        self._spoiled = self._spoiled or (reason, detail)

    def _end(self) -> list[ReaderEvent]:
        event = self._judge("".join(self._text))
        self._text.clear()
        self._spoiled = None
        return self._throttle.admit(event, self._last_ms)

    def _judge(self, text: str) -> ReaderEvent:
        reader, framing = self._identity.reader, self._framing
        if self._spoiled is not None:
            return ReaderFault(reader, self._spoiled[0], self._began_ms, self._spoiled[1])
        if len(text) < framing.min_length:
            detail = f"{len(text)} characters, at least {framing.min_length} are expected"
            return ReaderFault(reader, FaultReason.GARBLED, self._began_ms, detail)
        return Scan(reader, self._identity.medium, text.encode(), self._began_ms, form=self._identity.form)


class Throttle:
    """Lets through what people can present, each presentation once.

    A flood is reported once and ends with a second of silence. A code that is repeated without a pause is the one that
    lies there: it must not open again and again, nor pass for a double tap.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._recent: list[int] = []
        self._last_ms: int | None = None
        self._is_flood = False
        self._scanned: tuple[Medium, bytes, str] | None = None
        self._scanned_ms = 0

    def admit(self, event: ReaderEvent, now_ms: int) -> list[ReaderEvent]:
        if self._last_ms is not None and now_ms - self._last_ms > FLOOD_ENDS_MS:
            self._is_flood = False
        self._last_ms = now_ms
        if self._is_flood:
            return []
        self._recent = [at for at in self._recent if now_ms - at < 1000]
        if len(self._recent) >= self._per_second:
            self._is_flood = True
            return [ReaderFault(event.reader, FaultReason.FLOOD, now_ms, f"over {self._per_second} codes a second")]
        self._recent.append(now_ms)
        return [] if self._is_repeated(event, now_ms) else [event]

    def _is_repeated(self, event: ReaderEvent, now_ms: int) -> bool:
        if not isinstance(event, Scan):
            return False
        scanned = event.medium, event.data, event.form
        is_same = scanned == self._scanned and now_ms - self._scanned_ms < SAME_MS
        self._scanned, self._scanned_ms = scanned, now_ms
        return is_same
