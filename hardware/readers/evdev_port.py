"""A typed face for the little of python-evdev that we use, and one ioctl that it lacks.

Source of the numbers: ``linux/input.h``.
"""

import fcntl
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import evdev

from hardware.readers.keys import KeyEvent, KeyMoved, KeysLost

_EVIOCSCLOCKID: Final = 0x400445A0
"""_IOW('E', 0xa0, int): which clock the kernel takes the times from; the wall clock unless told."""
_EV_SYN: Final = 0
_EV_KEY: Final = 1
_SYN_DROPPED: Final = 3
_LED_CAPSL: Final = 1
DEV: Final = Path("/dev/input")


class EvdevPort:
    """A ``Port`` on a real input device. OSError where it cannot be opened, or cannot be had exclusively (EBUSY)."""

    def __init__(self, event: str) -> None:
        self._device = evdev.InputDevice(str(DEV / event))
        try:
            self._claim()
        except BaseException:
            self._device.close()
            raise

    def fileno(self) -> int:
        return int(self._device.fd)

    def read(self) -> list[KeyEvent]:
        try:
            waiting = list(self._device.read())
        except BlockingIOError:
            return []
        return [event for raw in waiting if (event := _event_of(raw.type, raw.code, raw.value, raw.sec, raw.usec))]

    def close(self) -> None:
        self._device.close()

    def _claim(self) -> None:
        self._device.grab()
        fcntl.ioctl(self._device.fd, _EVIOCSCLOCKID, struct.pack("i", time.CLOCK_MONOTONIC))
        self._darken_caps_lock()
        self._forget_waiting()

    def _forget_waiting(self) -> None:
        """What was pressed before the grab went to the console too, with times of another clock: it is not ours."""
        while self.read():
            pass

    def _darken_caps_lock(self) -> None:
        """Some scanners turn the case of letters while the host's CapsLock lamp is on; a grabbed one keeps its own."""
        if _LED_CAPSL in self._device.leds():
            with suppress(OSError, evdev.eventio.EvdevError):  # read-only: the profile can say caps_lock instead
                self._device.set_led(_LED_CAPSL, 0)


def _event_of(kind: int, code: int, value: int, sec: int, usec: int) -> KeyEvent | None:
    at_mono_ms = sec * 1000 + usec // 1000
    if kind == _EV_KEY:
        return KeyMoved(code, value, at_mono_ms)
    if kind == _EV_SYN and code == _SYN_DROPPED:
        return KeysLost(at_mono_ms)
    return None
