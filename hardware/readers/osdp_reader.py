"""A reader on an RS-485 line that speaks OSDP, with a secure channel under its own key or out of service."""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

from hardware import profiles
from hardware.base import Emit, FaultReason, MonoClock, ReaderFault, ReaderState, monotonic_ms
from hardware.errors import HardwareError
from hardware.readers.attached import LOOK_S
from hardware.readers.framing import Throttle
from hardware.readers.osdp_bus import OsdpBus
from hardware.readers.osdp_cards import read_card, read_key
from hardware.readers.osdp_orders import Orders, orders_for
from hardware.readers.serial_port import SerialPort

log = logging.getLogger(__name__)

REFRESH_S: Final = 0.01
SECURE_WITHIN_MS: Final = 10_000
"""A reader that has not answered by our key for so long since the start is missing."""
_MOST_A_SECOND: Final = 5

OpenLine = Callable[[str, int, MonoClock], SerialPort]


class OsdpReader:
    """One reader of the profile."""

    def __init__(
        self,
        part: profiles.OsdpReader,
        key: bytes,
        orders: Orders,
        *,
        mono_ms: MonoClock = monotonic_ms,
        open_port: OpenLine = SerialPort,
        look_s: float = LOOK_S,
        secure_within_ms: int = SECURE_WITHIN_MS,
    ) -> None:
        self._part = part
        self._key = key
        self._orders = orders
        self._mono_ms = mono_ms
        self._open_port = open_port
        self._look_s = look_s
        self._secure_within_ms = secure_within_ms
        self._state = ReaderState.STOPPED
        self._complaint: str | None = None
        self._throttle = Throttle(_MOST_A_SECOND)

    @property
    def name(self) -> str:
        return self._part.name

    @property
    def state(self) -> ReaderState:
        return self._state

    async def run(self, emit: Emit) -> None:
        if self._state is not ReaderState.STOPPED:
            raise HardwareError(f"reader {self.name!r} is already running; run it once")
        self._state, self._complaint = ReaderState.STARTING, None
        try:
            while True:
                try:
                    await self._work_line(emit)
                except OSError as error:
                    self._lose(emit, f"{self._part.device}: {error.strerror}; plug it in, or see: ls /dev/serial/by-id")
                await asyncio.sleep(self._look_s)
        finally:
            self._state = ReaderState.STOPPED

    async def _work_line(self, emit: Emit) -> None:
        """Speak to the reader until the line leaves, which raises OSError."""
        port = self._open_port(self._part.device, self._part.baud, self._mono_ms)
        try:
            bus = OsdpBus(port, self._part.address, self._key, self.name)
            began_ms = self._mono_ms()
            while True:
                for card in bus.refresh():
                    event = read_card(self._part.identity, self._part.bits, card.data, card.count, self._mono_ms())
                    for admitted in self._throttle.admit(event, self._mono_ms()):
                        emit(admitted)
                self._follow(emit, bus, began_ms)
                await asyncio.sleep(REFRESH_S)
        finally:
            port.close()

    def _follow(self, emit: Emit, bus: OsdpBus, began_ms: int) -> None:
        """Say when the secure channel comes and goes, and tell the reader what waits for it."""
        if bus.is_secure:
            if self._state is not ReaderState.READY:
                self._find(emit)
            for command in self._orders.take():
                bus.tell(command)
        elif self._state is ReaderState.READY or self._mono_ms() - began_ms > self._secure_within_ms:
            self._lose(emit, "no secure channel; check cable, address, baud, and that the reader has the same key")

    def _find(self, emit: Emit) -> None:
        was, self._state, self._complaint = self._state, ReaderState.READY, None
        self._orders.reconnected()
        if was is ReaderState.MISSING:
            log.info("reader %s: back", self.name)
            emit(ReaderFault(self.name, FaultReason.READER_BACK, self._mono_ms(), "secure channel"))

    def _lose(self, emit: Emit, why: str) -> None:
        """Be out of service; the event is one for each outage, the log has each reason once."""
        self._state = ReaderState.MISSING
        if why == self._complaint:
            return
        log.warning("reader %s: out of service: %s", self.name, why)
        is_news, self._complaint = self._complaint is None, why
        if is_news:
            emit(ReaderFault(self.name, FaultReason.READER_MISSING, self._mono_ms(), why))


def load_key(path: Path) -> bytes:
    """Read the key of a secure channel. HardwareError where others may read it, or where it is a default key."""
    try:
        if path.stat().st_mode & 0o077:
            raise HardwareError(f"OSDP key {path}: others may read it; run: chmod 600 {path}")
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise HardwareError(
            f"OSDP key {path}: {error.strerror}; give the reader one: doorstile hardware key READER"
        ) from error
    return read_key(text, str(path))


class _Bench(Protocol):
    """The part of the factory's bench that this driver needs."""

    @property
    def mono_ms(self) -> MonoClock: ...

    @property
    def mailboxes(self) -> dict[str, Any]: ...


def build_reader(part: profiles.OsdpReader, bench: _Bench) -> OsdpReader:
    return OsdpReader(part, load_key(Path(part.key_file)), orders_for(part.name, bench), mono_ms=bench.mono_ms)
