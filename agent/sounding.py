"""The door's buzzer: one tone at a time, and an alarm that goes on until something else is shown."""

import logging
from typing import Final

from hardware.base import Buzzer, Tone
from hardware.errors import HardwareError
from hardware.timers import CallLater, Cancellable, call_later

log = logging.getLogger(__name__)

ALARM_EVERY_S: Final = 1.0


class Sounding:
    """Plays what belongs to a picture. A buzzer that fails is logged and keeps nobody out."""

    def __init__(self, buzzer: Buzzer, *, call_later: CallLater = call_later) -> None:
        self._buzzer = buzzer
        self._call_later = call_later
        self._next: Cancellable | None = None

    def play(self, tone: Tone | None) -> None:
        """Play a tone, None for a picture without; what went on until now ends."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if tone is None:
            return
        try:
            self._buzzer.play(tone)
        except HardwareError as error:
            log.warning("buzzer: %s", error)
        if tone is Tone.ALARM:
            self._next = self._call_later(ALARM_EVERY_S, lambda: self.play(tone))
