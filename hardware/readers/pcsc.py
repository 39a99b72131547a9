"""Contactless readers behind the PC/SC daemon (ACR122U and kin).

``smartcard.scard`` is used in one named thread per reader of the profile; pyscard's own CardMonitor is not, because its
thread dies silently when the daemon restarts.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from hardware import profiles
from hardware.base import Emit, FaultReason, MonoClock, ReaderFault, ReaderState, monotonic_ms
from hardware.errors import HardwareError
from hardware.readers.pcsc_watch import PcscWatch
from hardware.readers.scard import Context
from hardware.readers.slots import Selector
from hardware.readers.usb_sockets import socket_of

STALL_MS = 5000
SUPERVISE_S = 1.0
END_WITHIN_S = 1.0


class PcscReader:
    """One reader of the profile: a PC/SC reader, or with ``slots="all"`` every one whose name matches.

    A card that already lies there when the reader comes up, at start or after an outage, is reported as
    ``already_present`` and opens nothing: it must be lifted and shown again. Cancelling ``run`` takes at most about
    0.4 s, unless the reader's driver hangs; then its thread is left behind, mute.
    """

    def __init__(
        self,
        name: str,
        match: str,
        *,
        slots: Literal["one", "all"] = "one",
        index: int = 0,
        least: int = 1,
        usb_port: str | None = None,
        mono_ms: MonoClock = monotonic_ms,
        stall_ms: int = STALL_MS,
        open_context: Callable[[], Context] | None = None,
        socket_of: Callable[[int, int], str] = socket_of,
    ) -> None:
        self._name = name
        self._selector = Selector(name, match, None if slots == "all" else index, least)
        self._usb_port = usb_port
        self._socket_of = socket_of
        self._mono_ms = mono_ms
        self._stall_ms = stall_ms
        self._open_context = open_context
        self._watch: PcscWatch | None = None
        self._is_stalled = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def state(self) -> ReaderState:
        if self._watch is None:
            return ReaderState.STOPPED
        return ReaderState.MISSING if self._is_stalled else self._watch.state

    @property
    def beeping(self) -> frozenset[str]:
        """Those of its slots that beep at cards by themselves, before anybody has decided anything."""
        return frozenset() if self._watch is None else self._watch.beeping

    async def run(self, emit: Emit) -> None:
        if self._watch is not None:
            raise HardwareError(f"reader {self._name!r} is already running; run it once")
        loop = asyncio.get_running_loop()
        self._watch = watch = PcscWatch(
            self._selector,
            emit,
            loop,
            self._mono_ms,
            self._open_context,
            usb_port=self._usb_port,
            socket_of=self._socket_of,
        )
        thread = threading.Thread(target=watch.run, name=f"pcsc-{self._name}", daemon=True)
        thread.start()
        try:
            await self._supervise(watch, emit)
        finally:
            watch.stop()
            self._watch = None
            self._is_stalled = False
            await asyncio.wait({watch.finished}, timeout=END_WITHIN_S)
            if watch.finished.done():  # its last act, so this wait is none
                thread.join(END_WITHIN_S)

    async def _supervise(self, watch: PcscWatch, emit: Emit) -> None:
        """Wait for the thread's end, which only a bug brings, and notice when it hangs in the driver."""
        while not watch.finished.done():
            await asyncio.wait({watch.finished}, timeout=min(SUPERVISE_S, self._stall_ms / 1000))
            is_stalled = self._mono_ms() - watch.beat_mono_ms > self._stall_ms
            if is_stalled != self._is_stalled:
                self._is_stalled = is_stalled
                reason = FaultReason.READER_STALLED if is_stalled else FaultReason.READER_BACK
                emit(ReaderFault(self._name, reason, self._mono_ms(), "no answer from the PC/SC daemon"))
        watch.finished.result()


class _Bench(Protocol):
    """The part of the factory's bench that this driver needs."""

    @property
    def mono_ms(self) -> MonoClock: ...

    @property
    def readers(self) -> Sequence[profiles.ReaderPart]: ...


def build_reader(part: profiles.PcscReader, bench: _Bench) -> PcscReader:
    return PcscReader(
        part.name,
        part.match,
        slots=part.slots,
        index=part.index,
        least=_told_apart_by_index(part, bench.readers),
        usb_port=part.usb_port,
        mono_ms=bench.mono_ms,
    )


def _told_apart_by_index(part: profiles.PcscReader, readers: Sequence[profiles.ReaderPart]) -> int:
    """Return how many have to be there before it is known which is which; one that names its socket waits for none."""
    if part.usb_port is not None or part.slots == "all":
        return 1
    alike = (each for each in readers if isinstance(each, profiles.PcscReader) and each.match == part.match)
    return 1 + max((each.index for each in alike), default=0)
