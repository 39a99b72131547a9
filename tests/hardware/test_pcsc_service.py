"""The PC/SC reader against a real pcscd and virtual cards."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hardware.base import FaultReason, Medium, ReaderEvent, ReaderFault, ReaderState, Removed, Scan
from tests.fakes.virtual_card import Answer, VirtualCard, torn_answer, uid_answer
from tests.services.pcscd import Pcscd, running_pcscd

if os.environ.get("CI") != "true":
    pytest.importorskip("smartcard", reason="needs pyscard: pip install 'doorstile[pcsc]'")

from hardware.readers import pcsc_watch
from hardware.readers.pcsc import PcscReader
from hardware.readers.scard import Context, ScardError

pytestmark = [pytest.mark.service, pytest.mark.timeout(120)]

UID_4, UID_7, UID_10 = bytes.fromhex("00A1B2C3"), bytes.fromhex("0411223344556677")[:7], bytes(range(10))
DWELL_S = 0.5
"""Longer than the 400 ms at which pcscd looks at a virtual slot."""
TAP_WITHIN_S = 3.0


class Log:
    """Events of a run as they come in."""

    def __init__(self) -> None:
        self.events: list[ReaderEvent] = []
        self._more = asyncio.Event()

    def emit(self, event: ReaderEvent) -> None:
        self.events.append(event)
        self._more.set()

    async def until(self, fits: Callable[[ReaderEvent], bool], *, after: int = 0, within_s: float = 5.0) -> ReaderEvent:
        """The first event from position ``after`` that fits."""
        async with asyncio.timeout(within_s):
            while True:
                for event in self.events[after:]:
                    if fits(event):
                        return event
                self._more.clear()
                await self._more.wait()

    async def scan(self, *, after: int = 0, within_s: float = 5.0) -> Scan:
        event = await self.until(lambda event: isinstance(event, Scan), after=after, within_s=within_s)
        assert isinstance(event, Scan)
        return event

    async def fault(self, reason: FaultReason, *, after: int = 0) -> ReaderFault:
        def fits(event: ReaderEvent) -> bool:
            return isinstance(event, ReaderFault) and event.reason is reason

        event = await self.until(fits, after=after)
        assert isinstance(event, ReaderFault)
        return event

    async def removal(self, *, after: int = 0) -> ReaderEvent:
        return await self.until(lambda event: isinstance(event, Removed), after=after)


@pytest.fixture(scope="module")
def shared_pcscd() -> Iterator[Pcscd]:
    with running_pcscd(slots=2) as pcscd:
        yield pcscd


@pytest.fixture
def pcscd(shared_pcscd: Pcscd) -> Pcscd:
    """A running pcscd with empty slots, whatever the test before did to it."""
    if not shared_pcscd.is_running:
        shared_pcscd.start()
    threading.Event().wait(DWELL_S)
    return shared_pcscd


async def ready(reader: PcscReader, within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while reader.state is not ReaderState.READY:
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(reader: PcscReader, *, is_ready: bool = True) -> AsyncIterator[Log]:
    log = Log()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reader.run(log.emit))
        try:
            if is_ready:
                await ready(reader)
            yield log
        finally:
            task.cancel()


async def slot_is_seen_empty() -> None:
    """Let pcscd notice that the card is gone."""
    await asyncio.sleep(DWELL_S)


@pytest.mark.parametrize("uid", [UID_4, UID_7, UID_10])
async def test_tap_is_one_scan_of_the_whole_uid_and_one_removal(pcscd: Pcscd, uid: bytes) -> None:
    async with running(PcscReader("in", pcscd.names[0])) as log:
        with VirtualCard(pcscd.ports[0], uid_answer(uid)) as card:
            await log.scan()
            await asyncio.sleep(2 * DWELL_S)
        await log.removal()
    assert [type(event) for event in log.events] == [Scan, Removed]
    scan = log.events[0]
    assert isinstance(scan, Scan)
    assert (scan.reader, scan.medium, scan.data) == ("in", Medium.CARD_UID, uid)
    assert card.commands == [bytes.fromhex("FFCA000000")]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(torn_answer, FaultReason.TORN_READ, id="hangs up"),
        pytest.param(uid_answer(b"", b"\x63\x00"), FaultReason.TORN_READ, id="operation failed"),
        pytest.param(uid_answer(UID_4, b"\x62\x82"), FaultReason.TORN_READ, id="warning with data"),
        pytest.param(uid_answer(UID_4[:2], b""), FaultReason.TORN_READ, id="cut short"),
        pytest.param(uid_answer(b"", b"\x6a\x81"), FaultReason.UNSUPPORTED_CARD, id="has no UID"),
        pytest.param(uid_answer(bytes(8)), FaultReason.UNSUPPORTED_CARD, id="odd length"),
        pytest.param(uid_answer(bytes(60)), FaultReason.OVERSIZE, id="too long"),
        pytest.param(uid_answer(bytes(10_000)), FaultReason.OVERSIZE, id="10 KB"),
    ],
)
async def test_bad_answer_is_dropped_and_the_next_card_works(pcscd: Pcscd, answer: Answer, reason: FaultReason) -> None:
    async with running(PcscReader("in", pcscd.names[0])) as log:
        with VirtualCard(pcscd.ports[0], answer):
            await log.fault(reason)
        await log.removal()
        assert not any(isinstance(event, Scan) for event in log.events)
        await slot_is_seen_empty()
        with VirtualCard(pcscd.ports[0], uid_answer(UID_4)):
            assert (await log.scan()).data == UID_4


async def test_card_that_lies_there_at_start_is_no_presentation(pcscd: Pcscd) -> None:
    with VirtualCard(pcscd.ports[0], uid_answer(UID_4)) as card:
        await asyncio.sleep(2 * DWELL_S)
        async with running(PcscReader("in", pcscd.names[0])) as log:
            await asyncio.sleep(2 * DWELL_S)
            assert card.commands == []
            card.remove()
            await log.removal()
            await slot_is_seen_empty()
            card.insert()
            assert (await log.scan()).data == UID_4
    assert isinstance(log.events[0], ReaderFault)
    assert log.events[0].reason is FaultReason.ALREADY_PRESENT


async def test_every_slot_of_a_selector_reports_by_its_own_name(pcscd: Pcscd) -> None:
    async with running(PcscReader("gate", "Virtual PCD", slots="all")) as log:
        with VirtualCard(pcscd.ports[0], uid_answer(UID_4)), VirtualCard(pcscd.ports[1], uid_answer(UID_7)):
            await log.until(lambda event: isinstance(event, Scan) and event.reader == "gate.0")
            await log.until(lambda event: isinstance(event, Scan) and event.reader == "gate.1")
    scans = {event.reader: event.data for event in log.events if isinstance(event, Scan)}
    assert scans == {"gate.0": UID_4, "gate.1": UID_7}


async def test_cancellation_is_prompt_and_ends_the_thread(pcscd: Pcscd) -> None:
    async with running(PcscReader("in", pcscd.names[0])):
        assert "pcsc-in" in {thread.name for thread in threading.enumerate()}
        started = time.monotonic()
    assert time.monotonic() - started < 0.6
    assert "pcsc-in" not in {thread.name for thread in threading.enumerate()}


async def test_absent_reader_is_missing_and_costs_nothing(pcscd: Pcscd) -> None:
    reader = PcscReader("in", "ACR122")
    cpu_before_s = time.process_time()
    async with running(reader, is_ready=False) as log:
        await log.fault(FaultReason.READER_MISSING)
        await asyncio.sleep(1)
        assert reader.state is ReaderState.MISSING
    assert time.process_time() - cpu_before_s < 0.2
    assert len(log.events) == 1


async def test_daemon_that_is_down_is_not_hammered(pcscd: Pcscd) -> None:
    reader = PcscReader("in", pcscd.names[0])
    async with running(reader) as log:
        await asyncio.to_thread(pcscd.stop)
        await log.fault(FaultReason.SERVICE_DOWN)
        assert reader._watch is not None
        attempts, cpu_s = reader._watch.attempts, time.process_time()
        await asyncio.sleep(2)
        assert reader._watch.attempts - attempts <= 6
        assert time.process_time() - cpu_s < 0.2
        assert reader.state is ReaderState.MISSING
    assert len(log.events) == 1


async def test_daemon_that_is_down_does_not_delay_cancellation(pcscd: Pcscd) -> None:
    async with running(PcscReader("in", pcscd.names[0])) as log:
        await asyncio.to_thread(pcscd.stop)
        await log.fault(FaultReason.SERVICE_DOWN)
        started = time.monotonic()
    assert time.monotonic() - started < 0.6


async def test_killed_daemon_is_found_again(pcscd: Pcscd) -> None:
    reader = PcscReader("in", pcscd.names[0])
    async with running(reader) as log:
        await asyncio.to_thread(pcscd.kill)
        await log.fault(FaultReason.SERVICE_DOWN)
        await asyncio.to_thread(pcscd.start)
        await ready(reader)
        with VirtualCard(pcscd.ports[0], uid_answer(UID_4)):
            assert (await log.scan()).data == UID_4


async def test_card_laid_down_during_an_outage_is_no_presentation(
    pcscd: Pcscd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcsc_watch, "BACKOFF_FIRST_S", 2.0)
    monkeypatch.setattr(pcsc_watch, "BACKOFF_MOST_S", 2.0)
    async with running(PcscReader("in", pcscd.names[0])) as log:
        await asyncio.to_thread(pcscd.stop)
        await log.fault(FaultReason.SERVICE_DOWN)
        await asyncio.to_thread(pcscd.start)
        with VirtualCard(pcscd.ports[0], uid_answer(UID_4)) as card:
            await log.fault(FaultReason.ALREADY_PRESENT)
            await asyncio.sleep(DWELL_S)
        await log.removal()
    assert card.commands == []
    assert not any(isinstance(event, Scan) for event in log.events)


async def test_reader_that_vanishes_with_the_daemon_is_missing_then_back(pcscd: Pcscd) -> None:
    """pcscd 1.9.9 does not read its configuration again: a virtual reader goes and comes with a restart."""
    reader = PcscReader("in", pcscd.names[0])
    async with running(reader) as log:
        with pcscd.without_readers():
            await log.fault(FaultReason.READER_MISSING)
            assert reader.state is ReaderState.MISSING
        await log.fault(FaultReason.READER_BACK)
        await ready(reader)
        with VirtualCard(pcscd.ports[0], uid_answer(UID_7)):
            assert (await log.scan()).data == UID_7


@pytest.mark.slow
async def test_next_tap_works_within_3_s_of_each_of_20_restarts(pcscd: Pcscd) -> None:
    reader = PcscReader("in", pcscd.names[0])
    took_s: list[float] = []
    descriptors = 0
    async with running(reader) as log:
        for restart in range(20):
            await asyncio.to_thread(pcscd.stop)
            await log.fault(FaultReason.SERVICE_DOWN, after=_last_scan(log.events))
            await asyncio.to_thread(pcscd.start)
            began, position = time.monotonic(), len(log.events)
            await ready(reader, TAP_WITHIN_S)
            uid = bytes([4, 0xA1, 0xB2, restart])
            with VirtualCard(pcscd.ports[0], uid_answer(uid)):
                scan = await log.scan(after=position, within_s=TAP_WITHIN_S)
            took_s.append(time.monotonic() - began)
            assert scan.data == uid
            if restart == 4:
                descriptors = _open_descriptors()
    assert max(took_s) < TAP_WITHIN_S, took_s
    assert sum(isinstance(event, Scan) for event in log.events) == 20
    assert _open_descriptors() <= descriptors
    print(f"20 restarts: tap read {min(took_s):.2f} to {max(took_s):.2f} s after pcscd was back")


def _last_scan(events: list[ReaderEvent]) -> int:
    return max((at for at, event in enumerate(events) if isinstance(event, Scan)), default=0)


def _open_descriptors() -> int:
    return len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))


async def test_two_readers_at_once_each_read_their_own_card(pcscd: Pcscd) -> None:
    one, two = (PcscReader(name, "Virtual PCD", index=index) for index, name in enumerate(("in", "out")))
    async with running(one) as inside, running(two) as outside:
        with VirtualCard(pcscd.ports[0], uid_answer(UID_4)), VirtualCard(pcscd.ports[1], uid_answer(UID_7)):
            first, second = await asyncio.gather(inside.scan(), outside.scan())
    assert (first.reader, first.data) == ("in", UID_4)
    assert (second.reader, second.data) == ("out", UID_7)


def test_virtual_reader_is_in_no_socket_and_is_asked_without_a_card(pcscd: Pcscd) -> None:
    with Context() as context:
        assert context.usb_address(pcscd.names[0]) is None
        with pytest.raises(ScardError, match="SCardConnect"):
            context.usb_address("a reader that there is not")


async def test_reader_that_takes_no_command_of_its_own_reads_all_the_same(
    pcscd: Pcscd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pcsc_watch, "OWN_BEEP", "Virtual PCD")
    reader = PcscReader("in", pcscd.names[0])
    async with running(reader) as log:
        assert reader.beeping == {"in"}
        with VirtualCard(pcscd.ports[0], uid_answer(UID_7)):
            assert (await log.scan()).data == UID_7
            await slot_is_seen_empty()
        await log.removal()
    assert [type(event) for event in log.events] == [Scan, Removed]
