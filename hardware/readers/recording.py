"""Notes what a PC/SC daemon tells, state by state and answer by answer."""

from collections.abc import Callable, Mapping
from urllib.parse import quote

from hardware.base import MonoClock
from hardware.readers.scard import Context, ScardError


class RecordingContext(Context):
    """A ``Context`` whose states and answers are noted; names of readers without their spaces."""

    def __init__(self, note: Callable[..., None], mono_ms: MonoClock) -> None:
        super().__init__()
        self._note = note
        self._mono_ms = mono_ms
        self._noted: dict[str, int] = {}

    def wait_for_change(self, known: Mapping[str, int], timeout_ms: int) -> dict[str, int]:
        states = super().wait_for_change(known, timeout_ms)
        for name, state in states.items():
            if self._noted.get(name) != state:
                self._noted[name] = state
                self._note(self._mono_ms() * 1000, "state", quote(name), f"{state:08X}")
        return states

    def transmit(self, reader: str, command: bytes) -> bytes:
        try:
            answer = super().transmit(reader, command)
        except ScardError as error:
            self._note(self._mono_ms() * 1000, "torn", f"{error.code & 0xFFFFFFFF:08X}")
            raise
        self._note(self._mono_ms() * 1000, "answer", quote(reader), answer.hex().upper())
        return answer
