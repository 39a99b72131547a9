"""Card readers and code scanners that pretend to be a keyboard (HID keyboard wedges), through evdev.

A scanner is bound by model and socket, grabbed exclusively on every one of its nodes, and out of service where one of
them cannot be: a scanner that is heard elsewhere types into the console, and what is typed there may be a command.
Devices are looked for twice a second, so a scanner that was plugged in again is back within a second.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from errno import EACCES, EBUSY, EPERM
from typing import Final, Protocol

from hardware import profiles
from hardware.base import Emit, FaultReason, MonoClock, ReaderEvent, ReaderFault, ReaderState, monotonic_ms
from hardware.errors import HardwareError
from hardware.readers.evdev_port import EvdevPort
from hardware.readers.input_devices import InputDevice, input_devices, of_scanner
from hardware.readers.keys import KeyEvent, KeyMoved, KeyPort
from hardware.readers.wedge import Wedge

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
_CURES: Final = {
    EACCES: "add the agent's user to group input",
    EPERM: "add the agent's user to group input",
    EBUSY: "another program has grabbed it: stop that program",
}


class _Bound:
    """One node that is held: its keys go into its wedge when they come, and a timer ends what a pause cuts off."""

    def __init__(
        self,
        port: KeyPort,
        wedge: Wedge,
        mono_ms: MonoClock,
        send: Callable[[Sequence[ReaderEvent]], None],
        gone: Callable[[OSError], None],
        failed: "asyncio.Future[None]",
    ) -> None:
        self.wedge = wedge
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
        """Let go of the node. Idempotent."""
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
            events = self._port.read()
        except OSError as error:
            self._gone(error)
            return False
        for event in events:
            self._send(self._take(event))
        self._set_timer()
        return bool(events)

    def _take(self, event: KeyEvent) -> list[ReaderEvent]:
        if isinstance(event, KeyMoved):
            return self.wedge.key(event.code, event.value, event.at_mono_ms)
        return self.wedge.overrun(event.at_mono_ms)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        due_ms = self.wedge.due_mono_ms
        if due_ms is not None and self._is_open:
            delay_s = max(0, due_ms - self._mono_ms()) / 1000
            self._timer = self._loop.call_later(delay_s, self._guarded, self._tick)

    def _tick(self) -> None:
        """Judge a pause only after reading what came before its end: the loop may be late, the keys were not."""
        now_ms = self._mono_ms()
        while self._read():
            pass
        if self._is_open:
            self._send(self.wedge.tick(now_ms))
            self._set_timer()


class KeyboardReader:
    """One scanner of the profile. Everything happens on the event loop; its devices are read when they are ready."""

    def __init__(
        self,
        scanner: profiles.EvdevReader,
        *,
        mono_ms: MonoClock = monotonic_ms,
        look: Callable[[], Sequence[InputDevice]] = input_devices,
        open_port: Callable[[str], KeyPort] = EvdevPort,
        look_s: float = LOOK_S,
    ) -> None:
        self._scanner = scanner
        self._mono_ms = mono_ms
        self._look = look
        self._open_port = open_port
        self._look_s = look_s
        self._bound: dict[str, _Bound] = {}
        self._state = ReaderState.STOPPED
        self._complaint: str | None = None
        self._emit: Emit | None = None

    @property
    def name(self) -> str:
        return self._scanner.name

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

    def _bind(self, failed: "asyncio.Future[None]") -> None:
        """Hold exactly the nodes that the scanner has now, all of them or none."""
        nodes = of_scanner(self._look(), self._scanner.usb_id, self._scanner.usb_port)
        ports = sorted({node.port for node in nodes})
        if not nodes:
            self._lose(f"no input device {self._where}; plug it in, or list what is there: ls -l /dev/input/by-path")
        elif len(ports) > 1:
            self._lose(f"{len(ports)} scanners {self._where}: {', '.join(ports)}; name one of them as usb_port")
        elif {node.event for node in nodes} != self._bound.keys():
            self._rebind(nodes, failed)

    def _rebind(self, nodes: Sequence[InputDevice], failed: "asyncio.Future[None]") -> None:
        self._release()
        try:
            for node in nodes:
                self._hold(node.event, failed)
        except OSError as error:
            cure = _CURES.get(error.errno or 0, "unplug it and plug it in again")
            self._lose(f"{node.name} at {node.port} cannot be had alone ({error.strerror}); {cure}")
            return
        if self._state is not ReaderState.READY:
            was, self._state, self._complaint = self._state, ReaderState.READY, None
            if was is ReaderState.MISSING:
                log.info("reader %s: back, %s", self.name, self._where)
                self._send([ReaderFault(self.name, FaultReason.READER_BACK, self._mono_ms(), nodes[0].port)])

    def _hold(self, event: str, failed: "asyncio.Future[None]") -> None:
        port = self._open_port(event)
        scanner = self._scanner
        wedge = Wedge(scanner.identity, scanner.framing, scanner.layout, self._mono_ms(), caps_lock=scanner.caps_lock)
        self._bound[event] = _Bound(port, wedge, self._mono_ms, self._send, self._gone, failed)

    def _gone(self, error: OSError) -> None:
        """A device failed while it was read: it was unplugged, and the next look says so too."""
        self._lose(f"unplugged ({error.strerror})")

    def _lose(self, why: str) -> None:
        """Be out of service, and say so once for each reason."""
        self._release()
        self._state = ReaderState.MISSING
        if why == self._complaint:
            return
        log.warning("reader %s: out of service: %s", self.name, why)
        is_news, self._complaint = self._complaint is None, why
        if is_news:
            self._send([ReaderFault(self.name, FaultReason.READER_MISSING, self._mono_ms(), why)])

    def _release(self) -> None:
        """Let go of every node; what was being typed is dropped and reported."""
        bound, self._bound = self._bound, {}
        for each in bound.values():
            each.close()
        for each in bound.values():
            self._send(each.wedge.abandon(self._mono_ms()))

    def _send(self, events: Sequence[ReaderEvent]) -> None:
        for event in events:
            if self._emit is not None:
                self._emit(event)

    @property
    def _where(self) -> str:
        return self._scanner.usb_id + (f" at {self._scanner.usb_port}" if self._scanner.usb_port else "")


class _Clocked(Protocol):
    """The part of the factory's bench that this driver needs."""

    @property
    def mono_ms(self) -> MonoClock: ...


def build_reader(part: profiles.EvdevReader, bench: _Clocked) -> KeyboardReader:
    return KeyboardReader(part, mono_ms=bench.mono_ms)
