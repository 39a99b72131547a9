"""The PC/SC thread against a scripted daemon: the faults that a real pcscd does not show on demand."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self

import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("smartcard", reason="needs pyscard: pip install 'doorstile[pcsc]'")

from hardware.base import FaultReason, ReaderEvent, ReaderFault, ReaderState, Removed, Scan
from hardware.errors import HardwareError
from hardware.readers import pcsc_watch
from hardware.readers.acr122u import NO_BEEP_ON_CARDS
from hardware.readers.pcsc import PcscReader
from hardware.readers.scard import PRESENT, ReaderGoneError, ScardError

pytestmark = pytest.mark.unit

NAME = "ACS ACR122U 00 00"
UID_ANSWER = bytes.fromhex("04A1B2C39000")
EMPTY, UNKNOWN_STATE = 0x10, 0x4
NO_SERVICE, UNKNOWN_READER, REMOVED = 0x8010001D, 0x80100009, 0x80100069
UNSUPPORTED_FEATURE = 0x8010001F


class ScriptedDaemon:
    """What the next looks return. A look beyond the script repeats the last state when time allows."""

    def __init__(self) -> None:
        self.names = [NAME]
        self.states: list[int | Exception] = [EMPTY]
        self.answer: Callable[[], bytes] = lambda: UID_ANSWER
        self.is_down = False
        self.looks = 0
        self.contexts = 0
        self.script_ended = threading.Event()
        self.hushed: list[str] = []
        self.obeys = b"\x90\x00"
        self.refuses_escapes = False
        self.card_atr = b""
        self.addresses: dict[str, tuple[int, int] | None] = {}
        self.asked: list[str] = []

    def context(self) -> "ScriptedDaemon":
        self.contexts += 1
        if self.is_down:
            raise ScardError("SCardEstablishContext", NO_SERVICE)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def reader_names(self) -> list[str]:
        return self.names

    def wait_for_change(self, known: dict[str, int], timeout_ms: int) -> dict[str, int]:
        self.looks += 1
        if len(self.states) == 1:
            self.script_ended.set()
            threading.Event().wait(0.01)
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if isinstance(state, Exception):
            raise state
        return dict.fromkeys(known, state)

    def transmit(self, reader: str, command: bytes) -> bytes:
        if command == NO_BEEP_ON_CARDS:
            self.hushed.append("with a card")
            return self.obeys
        return self.answer()

    def control(self, reader: str, command: bytes) -> bytes:
        assert command == NO_BEEP_ON_CARDS
        self.hushed.append(reader)
        if self.refuses_escapes:
            raise ScardError("SCardControl", UNSUPPORTED_FEATURE)
        return self.obeys

    def usb_address(self, reader: str) -> tuple[int, int] | None:
        self.asked.append(reader)
        if reader not in self.addresses:
            raise ScardError("SCardConnect", UNKNOWN_READER)
        return self.addresses[reader]

    def atr(self, reader: str) -> bytes:
        return self.card_atr


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> ScriptedDaemon:
    daemon = ScriptedDaemon()
    monkeypatch.setattr(pcsc_watch, "Context", daemon.context)
    monkeypatch.setattr(pcsc_watch, "POLL_MS", 10)
    monkeypatch.setattr(pcsc_watch, "PAUSE_S", 0.0)
    return daemon


class Log:
    """Events of a run; ``until`` waits for the next that fits."""

    def __init__(self) -> None:
        self.events: list[ReaderEvent] = []
        self._more = asyncio.Event()

    def emit(self, event: ReaderEvent) -> None:
        self.events.append(event)
        self._more.set()

    async def until(self, fits: Callable[["Log"], bool]) -> None:
        async with asyncio.timeout(5):
            while not fits(self):
                self._more.clear()
                await self._more.wait()

    @property
    def reasons(self) -> list[FaultReason]:
        return [event.reason for event in self.events if isinstance(event, ReaderFault)]

    @property
    def kinds(self) -> list[type[ReaderEvent]]:
        return [type(event) for event in self.events]


@asynccontextmanager
async def running(reader: PcscReader) -> AsyncIterator[Log]:
    log = Log()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reader.run(log.emit))
        yield log
        task.cancel()


def present(count: int) -> int:
    return count << 16 | PRESENT


OTHER_NAME = "ACS ACR122U 01 00"


def socket_of(bus: int, address: int) -> str:
    return f"{bus}-1.{address}"


async def test_reader_is_the_one_in_its_socket_whatever_the_daemon_calls_it(daemon: ScriptedDaemon) -> None:
    daemon.names = [NAME, OTHER_NAME]
    daemon.addresses = {NAME: (1, 3), OTHER_NAME: (1, 2)}
    daemon.states = [EMPTY, present(1), EMPTY | 2 << 16]
    async with running(PcscReader("in", "ACR122", usb_port="1-1.2", socket_of=socket_of)) as log:
        await log.until(lambda log: log.kinds == [Scan, Removed])
        assert daemon.hushed == [OTHER_NAME]
        daemon.names = []
        await log.until(lambda log: log.reasons == [FaultReason.READER_MISSING])
        daemon.addresses = {NAME: (1, 2), OTHER_NAME: (1, 3)}
        daemon.names = [NAME, OTHER_NAME]
        await log.until(lambda log: log.reasons[-1] is FaultReason.READER_BACK)
        async with asyncio.timeout(5):
            while daemon.hushed != [OTHER_NAME, NAME]:
                await asyncio.sleep(0.001)


async def test_reader_whose_socket_nobody_tells_is_never_taken(daemon: ScriptedDaemon) -> None:
    daemon.addresses = {NAME: None}
    daemon.states = [EMPTY, present(1)]
    async with running(PcscReader("in", "ACR122", usb_port="1-1.2", socket_of=socket_of)) as log:
        await log.until(lambda log: log.reasons == [FaultReason.READER_MISSING])
        await asyncio.sleep(0.05)
        assert (log.kinds, daemon.asked, daemon.looks) == ([ReaderFault], [NAME], 0)


async def test_reader_that_is_busy_when_it_is_asked_for_its_socket_is_asked_again(daemon: ScriptedDaemon) -> None:
    daemon.states = [EMPTY, present(1)]
    async with running(PcscReader("in", "ACR122", usb_port="1-1.2", socket_of=socket_of)) as log:
        await log.until(lambda log: log.reasons == [FaultReason.READER_MISSING])
        daemon.addresses = {NAME: (1, 2)}
        await log.until(lambda log: Scan in log.kinds)


async def test_card_swapped_between_two_looks_is_two_presentations(daemon: ScriptedDaemon) -> None:
    daemon.states = [EMPTY, present(1), present(3)]
    async with running(PcscReader("in", "ACR122")) as log:
        await log.until(lambda log: log.kinds == [Scan, Removed, Scan])


async def test_card_that_stays_is_read_once(daemon: ScriptedDaemon) -> None:
    daemon.states = [EMPTY, *[present(1)] * 50, 2 << 16 | EMPTY]
    async with running(PcscReader("in", "ACR122")) as log:
        await log.until(lambda log: Removed in log.kinds)
    assert log.kinds == [Scan, Removed]


async def test_flags_of_other_programs_are_no_presentation(daemon: ScriptedDaemon) -> None:
    in_use = 0x100
    daemon.states = [EMPTY, present(1), present(1) | in_use, present(1), 2 << 16 | EMPTY]
    async with running(PcscReader("in", "ACR122")) as log:
        await log.until(lambda log: Removed in log.kinds)
    assert log.kinds == [Scan, Removed]


async def test_card_present_at_start_must_be_lifted_first(daemon: ScriptedDaemon) -> None:
    daemon.states = [present(1), present(1), 2 << 16 | EMPTY, present(3)]
    async with running(PcscReader("in", "ACR122")) as log:
        await log.until(lambda log: Scan in log.kinds)
    assert log.reasons == [FaultReason.ALREADY_PRESENT]
    assert log.kinds == [ReaderFault, Removed, Scan]


async def test_card_that_leaves_in_the_middle_is_a_torn_read(daemon: ScriptedDaemon) -> None:
    def torn() -> bytes:
        raise ScardError("SCardTransmit", REMOVED)

    daemon.answer = torn
    daemon.states = [EMPTY, present(1), 2 << 16 | EMPTY]
    async with running(PcscReader("in", "ACR122")) as log:
        await log.until(lambda log: log.kinds == [ReaderFault, Removed])
    assert log.reasons == [FaultReason.TORN_READ]


async def test_answer_that_comes_too_late_opens_nothing(daemon: ScriptedDaemon) -> None:
    now = [0]

    def late() -> bytes:
        now[0] += pcsc_watch.MAX_READ_MS + 1
        return UID_ANSWER

    daemon.answer = late
    daemon.states = [EMPTY, present(1)]
    async with running(PcscReader("in", "ACR122", mono_ms=lambda: now[0])) as log:
        await log.until(lambda log: bool(log.events))
    assert log.reasons == [FaultReason.TORN_READ]


async def test_reader_that_the_daemon_loses_is_missing_then_back(daemon: ScriptedDaemon) -> None:
    daemon.states = [EMPTY, present(1), UNKNOWN_STATE, UNKNOWN_STATE, present(2), 3 << 16 | EMPTY, present(4)]
    async with running(PcscReader("in", "ACR122")) as log:
        await log.until(lambda log: log.kinds.count(Scan) == 2)
    assert log.reasons == [FaultReason.READER_MISSING, FaultReason.READER_BACK, FaultReason.ALREADY_PRESENT]


async def test_reader_that_vanishes_is_reported_once_and_found_again(daemon: ScriptedDaemon) -> None:
    reader = PcscReader("in", "ACR122")
    async with running(reader) as log:
        await asyncio.to_thread(daemon.script_ended.wait, 5)
        daemon.names = ["Another reader"]
        await log.until(lambda log: log.reasons == [FaultReason.READER_MISSING])
        assert reader.state is ReaderState.MISSING
        daemon.names = [NAME]
        await log.until(lambda log: len(log.reasons) > 1)
    assert log.reasons == [FaultReason.READER_MISSING, FaultReason.READER_BACK]


async def test_one_slot_of_several_comes_and_goes_by_its_own_name(daemon: ScriptedDaemon) -> None:
    daemon.names = [NAME, "ACS ACR122U 01 00"]
    async with running(PcscReader("in", "ACR122", slots="all")) as log:
        await asyncio.to_thread(daemon.script_ended.wait, 5)
        daemon.names = [NAME]
        await log.until(lambda log: len(log.events) == 1)
        daemon.names = [NAME, "ACS ACR122U 01 00"]
        await log.until(lambda log: len(log.events) == 2)
    assert [(event.reader, reason) for event, reason in zip(log.events, log.reasons, strict=True)] == [
        ("in.1", FaultReason.READER_MISSING),
        ("in.1", FaultReason.READER_BACK),
    ]


async def test_reader_gone_between_list_and_look_is_no_outage(daemon: ScriptedDaemon) -> None:
    daemon.states = [EMPTY, ReaderGoneError("SCardGetStatusChange", UNKNOWN_READER), EMPTY, present(1)]
    async with running(PcscReader("in", "ACR122")) as log:
        await log.until(lambda log: Scan in log.kinds)
    assert log.kinds == [Scan]


async def test_outage_is_reported_once_and_its_end_too(daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcsc_watch, "BACKOFF_FIRST_S", 0.001)
    monkeypatch.setattr(pcsc_watch, "BACKOFF_MOST_S", 0.002)
    daemon.is_down = True
    reader = PcscReader("in", "ACR122")
    async with running(reader) as log:
        await log.until(lambda log: log.reasons == [FaultReason.SERVICE_DOWN])
        assert reader.state is ReaderState.MISSING
        daemon.states = [EMPTY, present(1)]
        daemon.is_down = False
        await log.until(lambda log: Scan in log.kinds)
    assert log.reasons == [FaultReason.SERVICE_DOWN, FaultReason.SERVICE_BACK]
    assert daemon.contexts >= 2


async def test_outage_with_a_card_on_the_reader_ends_its_presentation(daemon: ScriptedDaemon) -> None:
    daemon.states = [EMPTY, present(1), ScardError("SCardGetStatusChange", NO_SERVICE), present(1)]
    async with running(PcscReader("in", "ACR122")) as log:
        await log.until(lambda log: FaultReason.ALREADY_PRESENT in log.reasons)
    assert log.kinds.count(Scan) == 1
    assert log.kinds[:2] == [Scan, Removed]


async def test_daemon_that_answers_at_once_for_ever_does_not_spin(
    daemon: ScriptedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcsc_watch, "PAUSE_S", 0.02)
    daemon.states = [EMPTY] * 10_000
    async with running(PcscReader("in", "ACR122")):
        await asyncio.sleep(0.3)
    assert daemon.looks <= 16


async def test_hanging_driver_is_reported_and_its_return_too(daemon: ScriptedDaemon) -> None:
    release = threading.Event()

    def hang() -> bytes:
        release.wait(5)
        return UID_ANSWER

    daemon.answer = hang
    daemon.states = [EMPTY, present(1)]
    reader = PcscReader("in", "ACR122", stall_ms=50)
    async with running(reader) as log:
        await log.until(lambda log: FaultReason.READER_STALLED in log.reasons)
        assert reader.state is ReaderState.MISSING
        release.set()
        await log.until(lambda log: FaultReason.READER_BACK in log.reasons)


async def test_bug_in_the_thread_ends_the_run(daemon: ScriptedDaemon) -> None:
    daemon.states = [EMPTY, ZeroDivisionError("bug")]
    with pytest.raises(ZeroDivisionError):
        await PcscReader("in", "ACR122").run(lambda event: None)


async def test_emit_that_raises_ends_the_run(daemon: ScriptedDaemon) -> None:
    daemon.states = [EMPTY, present(1)]

    def emit(event: ReaderEvent) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await PcscReader("in", "ACR122").run(emit)


async def test_nothing_is_emitted_after_cancellation(daemon: ScriptedDaemon) -> None:
    async with running(PcscReader("in", "ACR122")) as log:
        await asyncio.to_thread(daemon.script_ended.wait, 5)
    daemon.states = [present(1)]
    await asyncio.sleep(0.05)
    assert log.events == []


async def test_reader_runs_once(daemon: ScriptedDaemon) -> None:
    reader = PcscReader("in", "ACR122")
    assert reader.state is ReaderState.STOPPED
    async with running(reader):
        await asyncio.to_thread(daemon.script_ended.wait, 5)
        with pytest.raises(HardwareError, match="already running"):
            await reader.run(lambda event: None)


def test_loop_that_closed_meanwhile_is_survived(daemon: ScriptedDaemon) -> None:
    loop = asyncio.new_event_loop()
    watch = pcsc_watch.PcscWatch(PcscReader("in", "ACR122")._selector, lambda event: None, loop, lambda: 0)
    loop.close()
    daemon.states = [EMPTY, present(1), ZeroDivisionError("ends the thread")]
    watch.run()
    assert not watch.finished.done()


async def test_own_beep_is_forbidden_at_the_start_and_after_each_replug(daemon: ScriptedDaemon) -> None:
    reader = PcscReader("in", "ACR122")
    async with running(reader) as log:
        await asyncio.to_thread(daemon.script_ended.wait, 5)
        assert daemon.hushed == [NAME]
        daemon.names = []
        await log.until(lambda log: log.reasons == [FaultReason.READER_MISSING])
        daemon.names = [NAME]
        await log.until(lambda log: len(log.reasons) > 1)
        daemon.script_ended.clear()
        await asyncio.to_thread(daemon.script_ended.wait, 5)
        assert reader.beeping == frozenset()
    assert daemon.hushed == [NAME, NAME]


async def test_reader_whose_driver_refuses_is_asked_again_while_a_card_is_there(daemon: ScriptedDaemon) -> None:
    daemon.refuses_escapes = True
    daemon.states = [EMPTY, present(1), 2 << 16 | EMPTY]
    reader = PcscReader("in", "ACR122")
    async with running(reader) as log:
        await log.until(lambda log: Removed in log.kinds)
        assert daemon.hushed == [NAME, "with a card"]
        assert reader.beeping == frozenset()


async def test_reader_that_goes_on_beeping_is_known_for_it(daemon: ScriptedDaemon) -> None:
    daemon.obeys = b"\x63\x00"
    reader = PcscReader("in", "ACR122")
    assert reader.beeping == frozenset()
    async with running(reader):
        await asyncio.to_thread(daemon.script_ended.wait, 5)
        assert reader.beeping == {"in"}


async def test_reader_without_a_beep_of_its_own_is_left_alone(daemon: ScriptedDaemon) -> None:
    daemon.names = ["Identiv uTrust 3700 F"]
    async with running(PcscReader("in", "uTrust")):
        await asyncio.to_thread(daemon.script_ended.wait, 5)
    assert daemon.hushed == []


async def test_scan_names_the_kind_of_card(daemon: ScriptedDaemon) -> None:
    daemon.card_atr = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")
    daemon.states = [EMPTY, present(1)]
    async with running(PcscReader("in", "ACR122")) as log:
        await log.until(lambda log: Scan in log.kinds)
    (scan,) = log.events
    assert isinstance(scan, Scan)
    assert scan.detail == "MIFARE Classic 1K"
