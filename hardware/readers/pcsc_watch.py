"""The thread that waits on the PC/SC daemon: presentations in, events out, and no end to its patience.

Every wait is bounded and every failure is followed by one, so that it neither hangs on nor spins around a daemon that
is down (there, SCardGetStatusChange and SCardEstablishContext fail at once). SCardCancel is not used to stop it: that
opens a second connection to the daemon from the event loop's thread, which would hang with the daemon; the bounded wait
ends soon enough.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from hardware.base import Emit, FaultReason, MonoClock, ReaderEvent, ReaderFault, ReaderState, Removed
from hardware.readers.acr122u import NO_BEEP_ON_CARDS, is_obeyed
from hardware.readers.scard import GET_UID, LOST, PRESENT, Context, ReaderGoneError, ScardError
from hardware.readers.slots import Selector, Slot, read_answer
from hardware.readers.usb_sockets import socket_of

log = logging.getLogger(__name__)

POLL_MS = 300
"""A new or vanished reader, and a stop, are noticed within this."""
PAUSE_S = 0.02
"""Least time between two looks: a daemon that answers at once for ever costs at most 50 looks a second."""
BACKOFF_FIRST_S = 0.1
BACKOFF_MOST_S = 0.5
OWN_BEEP = "ACR122"
"""Readers whose name holds this beep at every card unless they are told not to."""
_BEEPS = "set ifdDriverOptions to 0x0001 in libccid's Info.plist and restart pcscd"
MAX_READ_MS = 2000
"""Whoever waited longer has stepped back; a door must not open for them then."""


class PcscWatch:
    """One run of one reader. ``run`` is the thread's body; the rest belongs to the event loop."""

    def __init__(
        self,
        selector: Selector,
        emit: Emit,
        loop: asyncio.AbstractEventLoop,
        mono_ms: MonoClock,
        open_context: "Callable[[], Context] | None" = None,
        *,
        usb_port: str | None = None,
        socket_of: Callable[[int, int], str] = socket_of,
    ) -> None:
        self._selector = selector
        self._emit = emit
        self._loop = loop
        self._mono_ms = mono_ms
        self._open_context = open_context
        self._usb_port = usb_port
        self._socket_of = socket_of
        self._sockets: dict[str, str] = {}
        self._stop = threading.Event()
        self._slots: dict[str, Slot] = {}
        self._vanished: set[str] = set()
        self._is_missing = False
        self._down_since_ms: int | None = None
        self.attempts = 0
        """Connections to the daemon tried so far."""
        self.beat_mono_ms = mono_ms()
        """When the thread last showed a sign of life."""
        self.state = ReaderState.STARTING
        self.beeping: frozenset[str] = frozenset()
        """Slots that beep at cards by themselves."""
        self.finished: asyncio.Future[None] = loop.create_future()

    def stop(self) -> None:
        """Ask the thread to end. Nothing is emitted after this returns on the event loop."""
        self._stop.set()

    def run(self) -> None:
        """Watch until stopped. What is not an expected fault ends the thread and comes out of ``finished``."""
        bug: Exception | None = None
        try:
            self._serve()
        except Exception as error:  # handed to the event loop, which raises it
            bug = error
        self._call(lambda: self._finish(bug))

    def _serve(self) -> None:
        backoff_s = BACKOFF_FIRST_S
        while not self._stop.is_set():
            self.beat_mono_ms = self._mono_ms()
            self.attempts += 1
            self._slots.clear()
            self._sockets.clear()
            try:
                with (self._open_context or Context)() as context:
                    self._look_until_stopped(context)
            except ScardError as error:
                was_down = self._down_since_ms is not None
                self._note_service_down(error)
                backoff_s = min(backoff_s * 2, BACKOFF_MOST_S) if was_down else BACKOFF_FIRST_S
                self._stop.wait(backoff_s)

    def _look_until_stopped(self, context: Context) -> None:
        while not self._stop.is_set():
            self.beat_mono_ms = self._mono_ms()
            names = self._in_their_socket(context, context.reader_names())
            self._note_service_up()
            self._bind(names)
            for slot in self._slots.values():
                if slot.beeps is None:
                    self._hush(context.control, slot)
            if not self._slots:
                self._stop.wait(POLL_MS / 1000)
                continue
            try:
                states = context.wait_for_change({name: slot.state for name, slot in self._slots.items()}, POLL_MS)
            except ReaderGoneError:
                self._stop.wait(POLL_MS / 1000)
                continue
            for name, state in states.items():
                self._advance(context, self._slots[name], state)
            self.state = (
                ReaderState.MISSING if all(slot.is_lost for slot in self._slots.values()) else ReaderState.READY
            )
            self._stop.wait(PAUSE_S)

    def _in_their_socket(self, context: Context, pcsc_names: list[str]) -> list[str]:
        """Return those that are plugged in where the profile says. Each is asked once for as long as it is there."""
        if self._usb_port is None:
            return pcsc_names
        self._sockets = {name: socket for name, socket in self._sockets.items() if name in pcsc_names}
        for name in pcsc_names:
            if name not in self._sockets and self._selector.match in name:
                with suppress(ScardError):  # it is busy, or leaves just now: the next look asks again
                    address = context.usb_address(name)
                    self._sockets[name] = "" if address is None else self._socket_of(*address)
        return [name for name in pcsc_names if self._sockets.get(name) == self._usb_port]

    def _bind(self, pcsc_names: list[str]) -> None:
        """Make the slots those that are plugged in now, and report a reader that came or went."""
        chosen = self._selector.choose(pcsc_names)
        for name in self._slots.keys() - chosen.keys():
            slot = self._slots.pop(name)
            self._note_gone(slot)
            if chosen:
                self._vanished.add(name)
                self._fault(slot.name, FaultReason.READER_MISSING, name)
        for name in sorted(chosen.keys() - self._slots.keys()):
            self._slots[name] = Slot(chosen[name], name)
            if name in self._vanished:
                self._vanished.discard(name)
                self._fault(chosen[name], FaultReason.READER_BACK, name)
        if self._is_missing == bool(chosen):
            self._is_missing = not chosen
            self.state = ReaderState.MISSING if self._is_missing else ReaderState.STARTING
            reason = FaultReason.READER_MISSING if self._is_missing else FaultReason.READER_BACK
            where = "" if self._usb_port is None else f" at {self._usb_port}"
            self._fault(self._selector.name, reason, f"PC/SC name contains {self._selector.match!r}{where}")

    def _advance(self, context: Context, slot: Slot, state: int) -> None:
        """Compare what is seen with what was known, and report the difference."""
        was, slot.state = slot.state, state
        if bool(state & LOST) != slot.is_lost:
            slot.is_lost = not slot.is_lost
            slot.is_settled = False
            self._sockets.pop(slot.pcsc_name, None)
            self._note_gone(slot)
            self._fault(slot.name, FaultReason.READER_MISSING if slot.is_lost else FaultReason.READER_BACK, "state")
        if slot.is_lost:
            return
        is_present, is_same = bool(state & PRESENT), state >> 16 == was >> 16
        if slot.is_settled and is_same and is_present == slot.is_present:
            return
        self._note_gone(slot)
        slot.is_present = is_present
        if is_present:
            slot.is_reported = True
            self._send(self._read(context, slot) if slot.is_settled else self._already_present(slot))
            if slot.beeps:
                self._hush(context.transmit, slot)
        slot.is_settled = True

    def _hush(self, send: Callable[[str, bytes], bytes], slot: Slot) -> None:
        """Forbid a reader its own beep: none may come before the decision. Some drivers need a card there for it."""
        if OWN_BEEP not in slot.pcsc_name:
            slot.beeps = False
            return
        was = slot.beeps
        try:
            slot.beeps = not is_obeyed(send(slot.pcsc_name, NO_BEEP_ON_CARDS))
        except ScardError as error:
            slot.beeps = True
            log.debug("reader %s: beep: %s", slot.name, error)
        if slot.beeps and was is None:
            log.warning("reader %s beeps at every card by itself, and cannot be told not to yet: %s", slot.name, _BEEPS)
        elif was and not slot.beeps:
            log.info("reader %s no longer beeps by itself", slot.name)
        self.beeping = frozenset(slot.name for slot in self._slots.values() if slot.beeps)

    def _read(self, context: Context, slot: Slot) -> ReaderEvent:
        at_mono_ms = self._mono_ms()
        try:
            answer = context.transmit(slot.pcsc_name, GET_UID)
        except ScardError as error:
            return ReaderFault(slot.name, FaultReason.TORN_READ, at_mono_ms, str(error))
        took_ms = self._mono_ms() - at_mono_ms
        if took_ms > MAX_READ_MS:
            return ReaderFault(slot.name, FaultReason.TORN_READ, at_mono_ms, f"answered after {took_ms} ms")
        return read_answer(slot.name, answer, at_mono_ms, context.atr(slot.pcsc_name))

    def _already_present(self, slot: Slot) -> ReaderFault:
        return ReaderFault(slot.name, FaultReason.ALREADY_PRESENT, self._mono_ms(), "lift the card and show it again")

    def _note_gone(self, slot: Slot) -> None:
        slot.is_present = False
        if slot.is_reported:
            slot.is_reported = False
            self._send(Removed(slot.name, self._mono_ms()))

    def _note_service_down(self, error: ScardError) -> None:
        self.state = ReaderState.MISSING
        if self._down_since_ms is not None:
            log.debug("reader %s: PC/SC daemon still down: %s", self._selector.name, error)
            return
        self._down_since_ms = self._mono_ms()
        log.warning("reader %s: PC/SC daemon down: %s; check: systemctl status pcscd", self._selector.name, error)
        for slot in self._slots.values():
            self._note_gone(slot)
        self._fault(self._selector.name, FaultReason.SERVICE_DOWN, str(error))

    def _note_service_up(self) -> None:
        if self._down_since_ms is None:
            return
        down_ms, self._down_since_ms = self._mono_ms() - self._down_since_ms, None
        log.info("reader %s: PC/SC daemon back after %.1f s", self._selector.name, down_ms / 1000)
        self._fault(self._selector.name, FaultReason.SERVICE_BACK, f"after {down_ms} ms")

    def _fault(self, reader: str, reason: FaultReason, detail: str) -> None:
        self._send(ReaderFault(reader, reason, self._mono_ms(), detail))

    def _send(self, event: ReaderEvent) -> None:
        self._call(lambda: self._deliver(event))

    def _call(self, function: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(function)

    def _deliver(self, event: ReaderEvent) -> None:
        """On the event loop. An ``emit`` that raises ends the run."""
        if self._stop.is_set():
            return
        try:
            self._emit(event)
        except Exception as error:  # handed on by ``finished``
            self._stop.set()
            self._finish(error)

    def _finish(self, error: Exception | None) -> None:
        if self.finished.done():
            return
        if error is None:
            self.finished.set_result(None)
        else:
            self.finished.set_exception(error)
