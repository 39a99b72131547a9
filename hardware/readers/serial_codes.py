"""From the bytes that a serial scanner sends to the codes it means. Pure: no I/O, no clock.

Text is UTF-8. A control character, NUL, XON or XOFF among it spoils the code in which it stands: taken out, it would
fold two codes into one. CR, LF or both end a code, or TAB where the scanner is set to that.
"""

import codecs
from typing import Final

from msgspec import Struct

from hardware.base import FaultReason, ReaderEvent
from hardware.readers.framing import Framer, Framing, Identity, Terminator

_TERMINATORS: Final = {
    Terminator.ENTER: frozenset("\r\n"),
    Terminator.TAB: frozenset("\t"),
    Terminator.NONE: frozenset[str](),
}


class Received(Struct, frozen=True):
    """Bytes that arrived together."""

    data: bytes
    at_mono_ms: int


class SerialCodes:
    """One line that a scanner sends on."""

    def __init__(self, identity: Identity, framing: Framing, since_mono_ms: int) -> None:
        self._framer = Framer(identity, framing, since_mono_ms)
        self._terminators = _TERMINATORS[framing.terminator]
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def due_mono_ms(self) -> int | None:
        return self._framer.due_mono_ms

    def tick(self, now_mono_ms: int) -> list[ReaderEvent]:
        """End a code that a pause has cut off."""
        return self._framer.tick(now_mono_ms)

    def abandon(self, at_mono_ms: int) -> list[ReaderEvent]:
        """The device is gone."""
        self._decoder.reset()
        return self._framer.abandon(at_mono_ms)

    def take(self, received: Received) -> list[ReaderEvent]:
        """Take what arrived."""
        at_ms = received.at_mono_ms
        if self._framer.is_pause(at_ms):
            self._decoder.reset()
        ended = self._framer.touch(at_ms)
        for character in self._decoder.decode(received.data):
            if character in self._terminators:
                ended += self._framer.terminate(at_ms)
            elif character == "\N{REPLACEMENT CHARACTER}":
                ended += self._framer.spoil(FaultReason.GARBLED, "not UTF-8", at_ms)
            else:
                ended += self._framer.character(character, at_ms)
        return ended
