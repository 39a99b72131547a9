"""The simulated reader and outputs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hardware.base import (
    MAX_QR_BYTES,
    FaultReason,
    Medium,
    ReaderEvent,
    ReaderFault,
    ReaderState,
    Removed,
    Scan,
    Signal,
    Tone,
)
from hardware.errors import HardwareError
from hardware.sim import Played, Shown, SimBuzzer, SimLight, SimReader
from tests.fakes.manual_time import settle

pytestmark = pytest.mark.unit

UID = bytes.fromhex("04A1B2C3")


@asynccontextmanager
async def running(reader: SimReader) -> AsyncIterator[list[ReaderEvent]]:
    events: list[ReaderEvent] = []
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reader.run(events.append))
        await settle()
        yield events
        task.cancel()


def reader_at(now_ms: int = 5) -> SimReader:
    return SimReader("in", mono_ms=lambda: now_ms)


async def test_tap_is_one_scan_and_one_removal() -> None:
    reader = reader_at()
    async with running(reader) as events:
        reader.tap(UID)
    assert events == [Scan("in", Medium.CARD_UID, UID, 5), Removed("in", 5)]


async def test_card_left_on_the_reader_is_removed_by_the_next() -> None:
    reader = reader_at()
    async with running(reader) as events:
        reader.present(UID)
        reader.present(UID)
    assert [type(event) for event in events] == [Scan, Removed, Scan]


async def test_qr_is_a_scan_of_its_payload() -> None:
    reader = reader_at()
    async with running(reader) as events:
        reader.qr(b"pass")
    assert events == [Scan("in", Medium.QR, b"pass", 5)]


@pytest.mark.parametrize(
    ("uid", "reason"),
    [(b"", FaultReason.UNSUPPORTED_CARD), (b"12345", FaultReason.UNSUPPORTED_CARD), (bytes(11), FaultReason.OVERSIZE)],
)
async def test_uid_of_odd_length_is_a_fault(uid: bytes, reason: FaultReason) -> None:
    reader = reader_at()
    async with running(reader) as events:
        reader.tap(uid)
    assert events == [ReaderFault("in", reason, 5, f"UID of {len(uid)} bytes"), Removed("in", 5)]


async def test_oversize_qr_is_a_fault() -> None:
    reader = reader_at()
    async with running(reader) as events:
        reader.qr(bytes(MAX_QR_BYTES + 1))
    assert isinstance(events[0], ReaderFault)
    assert events[0].reason is FaultReason.OVERSIZE


async def test_torn_read_is_a_fault() -> None:
    reader = reader_at()
    async with running(reader) as events:
        reader.torn()
    assert events == [ReaderFault("in", FaultReason.TORN_READ, 5, "simulated")]


async def test_unplugged_reader_reads_nothing_until_it_is_back() -> None:
    reader = reader_at()
    async with running(reader) as events:
        reader.unplug()
        reader.unplug()
        states = [reader.state]
        reader.tap(UID)
        reader.replug()
        reader.replug()
        states.append(reader.state)
        reader.tap(UID)
    assert states == [ReaderState.MISSING, ReaderState.READY]
    faults = [event.reason for event in events if isinstance(event, ReaderFault)]
    assert faults == [FaultReason.READER_MISSING, FaultReason.READER_BACK]
    assert sum(isinstance(event, Scan) for event in events) == 1


async def test_tap_on_a_stopped_reader_is_an_error() -> None:
    reader = reader_at()
    assert reader.state is ReaderState.STOPPED
    with pytest.raises(HardwareError, match="'in' is not running"):
        reader.tap(UID)


async def test_reader_runs_once() -> None:
    reader = reader_at()
    async with running(reader):
        with pytest.raises(HardwareError, match="already running"):
            await reader.run(lambda event: None)
    assert reader.state is ReaderState.STOPPED


def test_light_remembers_its_signals() -> None:
    light = SimLight(mono_ms=lambda: 7)
    light.show(Signal.GRANTED)
    assert light.signal is Signal.GRANTED
    light.close()
    assert list(light.history) == [Shown(Signal.GRANTED, 7), Shown(Signal.OFF, 7)]


def test_buzzer_remembers_its_tones() -> None:
    buzzer = SimBuzzer(mono_ms=lambda: 7)
    buzzer.play(Tone.TICK)
    buzzer.close()
    assert list(buzzer.history) == [Played(Tone.TICK, 7)]
