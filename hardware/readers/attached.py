"""Readers behind a file descriptor that may vanish: held while they are there, looked for while they are not.

Everything happens on the event loop; descriptors are read when they are ready. A driver says in ``_bind``
what it holds.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from hardware.base import Emit, FaultReason, MonoClock, ReaderEvent, ReaderFault, ReaderState
from hardware.errors import HardwareError

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
"""A reader that was plugged in is found within this."""

_DRAIN_ROUNDS: Final = 64
"""A device that floods never runs dry; then nothing is paused either."""

Heard = TypeVar("Heard")
HeardIn = TypeVar("HeardIn", contravariant=True)
HeardOut = TypeVar("HeardOut", covariant=True)


class Port(Protocol[HeardOut]):
    """An open device that nobody else hears."""

    def fileno(self) -> int: ...

    def read(self) -> "Sequence[HeardOut]":
        """Return what waits, oldest first; empty when nothing does. OSError when the device has left."""

    def close(self) -> None:
        """Let go of the device. Idempotent."""


class Decoder(Protocol[HeardIn]):
    """What makes reads of what is heard. Pure; times are monotonic ms."""

    @property
    def due_mono_ms(self) -> int | None:
        """When ``tick`` is due; None while nothing has begun."""

    def take(self, heard: HeardIn) -> list[ReaderEvent]: ...

    def tick(self, now_mono_ms: int) -> list[ReaderEvent]:
        """End what a pause has cut off."""

    def abandon(self, at_mono_ms: int) -> list[ReaderEvent]:
        """The device is gone: drop and report what had begun."""


class Attachment(Generic[Heard]):
    """One device that is held: what it says goes into its decoder, and a timer ends what a pause cuts off."""

    def __init__(
        self,
        port: Port[Heard],
        decoder: Decoder[Heard],
        mono_ms: MonoClock,
        send: Callable[[Sequence[ReaderEvent]], None],
        gone: Callable[[OSError], None],
        failed: "asyncio.Future[None]",
    ) -> None:
        self.decoder = decoder
        self._port = port
        self._mono_ms = mono_ms
        self._send = send
        self._gone = gone
        self._failed = failed
        self._timer: asyncio.TimerHandle | None = None
        self._is_open = True
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(port.fileno(), self._guarded, self._read)

    def close(self) -> None:
        """Let go of the device. Idempotent."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._port.fileno())
            self._port.close()
        if self._timer is not None:
            self._timer.cancel()

    def _guarded(self, work: Callable[[], object]) -> None:
        """An exception in a callback would only be logged; this ends the run with it."""
        try:
            work()
        except Exception as bug:  # handed to ``run``, which raises it
            self.close()
            if not self._failed.done():
                self._failed.set_exception(bug)

    def _read(self) -> bool:
        """Take what waits, and say whether something did."""
        try:
            heard = self._port.read()
        except OSError as error:
            self._gone(error)
            return False
        for each in heard:
            self._send(self.decoder.take(each))
        self._set_timer()
        return bool(heard)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due_ms = self.decoder.due_mono_ms
        if due_ms is not None and self._is_open:
            delay_s = max(0, due_ms - self._mono_ms()) / 1000
            self._timer = self._loop.call_later(delay_s, self._guarded, self._tick)

    def _tick(self) -> None:
        """Judge a pause only after reading what came before its end: the loop may be late, the reader was not."""
        now_ms = self._mono_ms()
        for _ in range(_DRAIN_ROUNDS):
            if not self._read():
                break
        if self._is_open:
            self._send(self.decoder.tick(now_ms))
            self._set_timer()


class AttachedReader(ABC, Generic[Heard]):
    """The life of such a reader; a driver adds ``_bind``."""

    def __init__(self, name: str, mono_ms: MonoClock, look_s: float) -> None:
        self._name = name
        self._mono_ms = mono_ms
        self._look_s = look_s
        self._held: dict[str, Attachment[Heard]] = {}
        self._state = ReaderState.STOPPED
        self._complaint: str | None = None
        self._emit: Emit | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def state(self) -> ReaderState:
        return self._state

    async def run(self, emit: Emit) -> None:
        if self._emit is not None:
            raise HardwareError(f"reader {self.name!r} is already running; run it once")
        self._emit, self._state, self._complaint = emit, ReaderState.STARTING, None
        failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            while not failed.done():
                self._bind(failed)
                await asyncio.wait({failed}, timeout=self._look_s)
            failed.result()
        finally:
            self._emit, self._state = None, ReaderState.STOPPED
            self._release()

    @abstractmethod
    def _bind(self, failed: "asyncio.Future[None]") -> None:
        """Look once: hold what is there by ``_hold`` and say so by ``_found``, or say why not by ``_lose``."""

    def _hold(self, key: str, port: Port[Heard], decoder: Decoder[Heard], failed: "asyncio.Future[None]") -> None:
        self._held[key] = Attachment(port, decoder, self._mono_ms, self._send, self._gone, failed)

    def _found(self, where: str) -> None:
        """Be in service, and say so if it was not."""
        was, self._state, self._complaint = self._state, ReaderState.READY, None
        if was is ReaderState.MISSING:
            log.info("reader %s: back at %s", self.name, where)
            self._send([ReaderFault(self.name, FaultReason.READER_BACK, self._mono_ms(), where)])

    def _gone(self, error: OSError) -> None:
        """A device failed while it was read: it was unplugged, and the next look says so too."""
        self._lose(f"unplugged ({error.strerror})")

    def _lose(self, why: str) -> None:
        """Be out of service; the event is one for each outage, the log has each reason once."""
        self._release()
        self._state = ReaderState.MISSING
        if why == self._complaint:
            return
        log.warning("reader %s: out of service: %s", self.name, why)
        is_news, self._complaint = self._complaint is None, why
        if is_news:
            self._send([ReaderFault(self.name, FaultReason.READER_MISSING, self._mono_ms(), why)])

    def _release(self) -> None:
        """Let go of every device; what had begun is dropped and reported."""
        held, self._held = self._held, {}
        for each in held.values():
            each.close()
        for each in held.values():
            self._send(each.decoder.abandon(self._mono_ms()))

    def _send(self, events: Sequence[ReaderEvent]) -> None:
        for event in events:
            if self._emit is not None:
                self._emit(event)
