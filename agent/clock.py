"""Two clocks and an opinion: monotonic time, wall time, and whether the wall clock can be trusted.

A Pi has no battery-backed clock of its own: after a power cut it may believe that it is 1970, or last Tuesday. The
kernel knows whether NTP disciplines it (adjtimex(2): `STA_UNSYNC` and `maxerror`); central's time stands in where it
does not. The wall clock never reads earlier than its floor, the newest moment that is known to have passed
(`agent.core.floor`).
"""

import ctypes
import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from agent.core.floor import Floor, remembered
from agent.core.types import Now
from wire.events import Event, Stamp
from wire.vocabulary import ClockQuality

log = logging.getLogger(__name__)

RELEASED_MS: Final = int(datetime(2026, 11, 1, tzinfo=UTC).timestamp() * 1000)
"""This code was written after this moment: no earlier wall time can be true."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_DISCIPLINE_MS: Final = 1_000
_STA_UNSYNC: Final = 0x0040
_TIMEX_BYTES: Final = 208
_TIMEX_MAXERROR_AT: Final = 24  # struct timex on 64-bit Linux: long maxerror, microseconds
_TIMEX_STATUS_AT: Final = 40  # struct timex on 64-bit Linux: int status


class KernelTime(Struct, frozen=True):
    """What the system says: monotonic and wall milliseconds, NTP's state and its error bound."""

    mono_ms: int
    wall_ms: int
    is_synced: bool
    err_ms: int | None


class TimeSource(Protocol):
    """Where the clock reads; the simulated one can be set."""

    def read(self) -> KernelTime:
        """Return both clocks, read at one moment."""


class SystemTime:
    """The kernel's clocks. CLOCK_MONOTONIC does not count suspend, which an appliance never does.

    NTP's state changes over minutes and is asked for once a second. Whoever reads the clock regularly keeps that off
    the way from a card to the relay.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timex = ctypes.create_string_buffer(_TIMEX_BYTES)
        self._asked_ms = -_DISCIPLINE_MS
        self._is_synced = False
        self._err_ms: int | None = None

    def read(self) -> KernelTime:
        """Return both clocks and NTP's state."""
        mono_ms = time.monotonic_ns() // 1_000_000
        if mono_ms - self._asked_ms >= _DISCIPLINE_MS:
            self._ask_kernel()
            self._asked_ms = mono_ms
        return KernelTime(mono_ms, time.time_ns() // 1_000_000, self._is_synced, self._err_ms)

    def _ask_kernel(self) -> None:
        """Ask by adjtimex(2) with `modes` 0, which changes nothing."""
        ctypes.memset(self._timex, 0, _TIMEX_BYTES)
        answer = self._libc.adjtimex(self._timex)
        raw = self._timex.raw
        status = int.from_bytes(raw[_TIMEX_STATUS_AT : _TIMEX_STATUS_AT + 4], "little")
        self._is_synced = answer >= 0 and not status & _STA_UNSYNC
        maxerror_us = int.from_bytes(raw[_TIMEX_MAXERROR_AT : _TIMEX_MAXERROR_AT + 8], "little", signed=True)
        self._err_ms = maxerror_us // 1000 if self._is_synced else None


class SimulatedTime:
    """The system's clocks, shifted: for trying out what a wrong clock does."""

    def __init__(self, real: TimeSource) -> None:
        self._real = real
        self._shift_ms = 0
        self._is_synced: bool | None = None

    def shift(self, by_ms: int) -> None:
        """Move the wall clock by `by_ms` from the true time."""
        self._shift_ms = by_ms

    def pretend_synced(self, is_synced: bool | None) -> None:
        """Claim that NTP works or does not; None tells the truth."""
        self._is_synced = is_synced

    def read(self) -> KernelTime:
        """Return the shifted reading."""
        true = self._real.read()
        is_synced = true.is_synced if self._is_synced is None else self._is_synced
        return KernelTime(true.mono_ms, true.wall_ms + self._shift_ms, is_synced, true.err_ms if is_synced else None)


class _ServerTime(Struct, frozen=True):
    """Central's wall time at one monotonic moment; true to within `err_ms`, the round trip that brought it."""

    mono_ms: int
    wall_ms: int
    err_ms: int


class Clock:
    """The device's clock: always monotonic in `mono_ms`, and honest about `wall_ms`."""

    def __init__(self, source: TimeSource, *, boot: str, floor_ms: int = RELEASED_MS, has_rtc: bool = False) -> None:
        self._source = source
        self._boot = boot
        self._floor = Floor(floor_ms)
        self._has_rtc = has_rtc
        self._server: _ServerTime | None = None

    @property
    def boot(self) -> str:
        """The kernel's id of this boot: monotonic times compare within it only."""
        return self._boot

    def now(self) -> Now:
        """Return both clocks and the quality of the wall time."""
        reading = self._source.read()
        now = Now(reading.mono_ms, *self._judge(reading))
        self._floor = self._floor.lived(now)
        return replace(now, steady_ms=self._floor.steady_ms(now.mono_ms))

    def stamp(self, now: Now) -> Stamp:
        """Return the time of an event that happened at `now`, as it was known then."""
        return Stamp(boot=self._boot, mono_ms=now.mono_ms, wall_ms=now.wall_ms, q=now.q, err_ms=now.err_ms)

    def learn_issue(self, wall_ms: int) -> None:
        """Central's signature under the directory in force says that `wall_ms` has passed."""
        now = self.now()
        floor = self._floor.issued(wall_ms, now)
        if floor is self._floor:
            ahead_s = (wall_ms - now.wall_ms) // 1000
            log.warning(
                "central signed the directory %d s ahead of this device's synchronised clock, and is not believed: "
                "central's clock is ahead, set it right", ahead_s,
            )  # fmt: skip
        self._floor = floor

    def learn_events(self, events: Iterable[Event]) -> None:
        """What the clock showed in earlier runs, oldest first, has passed."""
        self._floor = remembered(self._floor, events)

    def learn_server(self, asked_ms: int, answered_ms: int, server_ms: int) -> None:
        """Central's clock showed `server_ms` some time between two monotonic moments.

        It counts only while NTP does not discipline the kernel's clock.
        """
        half_ms = (answered_ms - asked_ms + 1) // 2
        self._server = _ServerTime(asked_ms + half_ms, server_ms, half_ms)
        reading = self._source.read()
        told = self._told(reading.mono_ms)
        if reading.is_synced and told is not None:
            self._floor = self._floor.agreed(reading.wall_ms, told.wall_ms)

    def _judge(self, reading: KernelTime) -> tuple[int, ClockQuality, int | None]:
        if reading.is_synced and reading.wall_ms >= self._floor.at_ms:
            return reading.wall_ms, ClockQuality.SYNCED, reading.err_ms
        told = self._told(reading.mono_ms)
        if told is not None and told.wall_ms >= self._floor.at_ms:
            return told.wall_ms, ClockQuality.ESTIMATED, told.err_ms
        if self._has_rtc and reading.wall_ms >= self._floor.at_ms:
            return reading.wall_ms, ClockQuality.ESTIMATED, None
        return max(reading.wall_ms, self._floor.at_ms), ClockQuality.NONE, None

    def _told(self, mono_ms: int) -> _ServerTime | None:
        """Return what central's clock shows by now; None where it was never told."""
        if self._server is None:
            return None
        elapsed_ms = mono_ms - self._server.mono_ms
        drift_ms = abs(elapsed_ms) // 5_000  # a Pi's crystal stays within 200 ppm
        return _ServerTime(mono_ms, self._server.wall_ms + elapsed_ms, self._server.err_ms + drift_ms)


def boot_id() -> str:
    """Return the kernel's random id of this boot, 32 hex digits (random(4))."""
    return _BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")


def has_rtc() -> bool:
    """Say whether the kernel knows a real-time clock that kept the time while the power was off."""
    return Path("/dev/rtc0").exists()
