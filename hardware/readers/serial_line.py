"""Code scanners on a serial line or a USB port that looks like one (CDC ACM).

Bound by a name that stays: a link under ``/dev/serial/by-id`` or ``by-path``, or a line of the board itself.
"""

import asyncio
from collections.abc import Callable
from errno import EACCES, EBUSY, ENOENT, EPERM
from typing import Final, Protocol

from hardware import profiles
from hardware.base import MonoClock, monotonic_ms
from hardware.readers.attached import LOOK_S, AttachedReader, Port
from hardware.readers.serial_codes import Received, SerialCodes
from hardware.readers.serial_port import SerialPort

_CURES: Final = {
    EACCES: "add the agent's user to group dialout",
    EPERM: "add the agent's user to group dialout",
    EBUSY: "another program has it: stop that program, such as a console or ModemManager",
    ENOENT: "plug it in, or see what is there: ls /dev/serial/by-id",
}
OpenLine = Callable[[str, int, MonoClock], Port[Received]]


class SerialReader(AttachedReader[Received]):
    """One scanner of the profile."""

    def __init__(
        self,
        scanner: profiles.SerialReader,
        *,
        mono_ms: MonoClock = monotonic_ms,
        open_port: OpenLine = SerialPort,
        look_s: float = LOOK_S,
    ) -> None:
        super().__init__(scanner.name, mono_ms, look_s)
        self._scanner = scanner
        self._open_port = open_port

    def _bind(self, failed: "asyncio.Future[None]") -> None:
        part = self._scanner
        if self._held:
            return
        try:
            port = self._open_port(part.device, part.baud, self._mono_ms)
        except OSError as error:
            cure = _CURES.get(error.errno or 0, "unplug it and plug it in again")
            self._lose(f"{part.device} cannot be had ({error.strerror}); {cure}")
            return
        self._hold(part.device, port, SerialCodes(part.identity, part.framing, self._mono_ms()), failed)
        self._found(part.device)


class _Clocked(Protocol):
    """The part of the factory's bench that this driver needs."""

    @property
    def mono_ms(self) -> MonoClock: ...


def build_reader(part: profiles.SerialReader, bench: _Clocked) -> SerialReader:
    return SerialReader(part, mono_ms=bench.mono_ms)
