"""Wiegand readers over gpiozero's mock pins."""

import asyncio
import threading
from typing import Any

import pytest

from hardware import factory
from hardware.base import FaultReason, ReaderEvent, ReaderState, monotonic_ms
from hardware.errors import HardwareError
from hardware.pins import mock
from hardware.pins.factory import Pins
from hardware.profiles import Direction, WiegandReader, load_profile, parse_profile
from hardware.readers import wiegand
from hardware.readers.wiegand_frames import Edge
from hardware.sections.inputs import InputPull
from tests.hardware.emitted import running, until
from tests.hardware.test_profiles import RELAY
from tests.hardware.wires import edges
from wire.wiegand import wiegand_frame

pytestmark = pytest.mark.unit

FRAME = wiegand_frame(26, 0x760643)
OTHER = wiegand_frame(34, 0x12345678)
LISTENED_MS = 60


class Door:
    """Pins, a reader on two of them or two on four, and frames that are pulsed on them."""

    def __init__(self, *pairs: tuple[int, int], pull: InputPull = InputPull.UP) -> None:
        self.pins = mock.open_pins()
        self.parts = [
            WiegandReader(name=f"in{at}", direction=Direction.IN, d0=d0, d1=d1, pull=pull, gap_ms=5, bits=(26, 34))
            for at, (d0, d1) in enumerate(pairs)
        ]
        self.readers = [
            wiegand.WiegandReader(part, wiegand.Wires(part.name, part, self.pins, monotonic_ms), monotonic_ms)
            for part in self.parts
        ]

    def pulse(self, reader: int, frame: str) -> list[tuple[Any, Edge]]:
        part = self.parts[reader]
        at_us = monotonic_ms() * 1000 - len(frame) * 1000
        pins = (self.pins.factory.pin(f"GPIO{part.d0}"), self.pins.factory.pin(f"GPIO{part.d1}"))
        return [(pins[edge.wire], edge) for edge in edges(frame, at_us)]


def play(*pulses: tuple[Any, Edge]) -> None:
    for pin, edge in pulses:
        pin.when_changed(edge.at_us / 1e6, not edge.is_low)


async def listening(*readers: wiegand.WiegandReader) -> None:
    await until(lambda: all(reader.state is ReaderState.READY for reader in readers))
    await asyncio.sleep(LISTENED_MS / 1000)


async def test_frame_on_the_wires_is_a_scan_whatever_thread_brings_it() -> None:
    door = Door((23, 24))
    (reader,) = door.readers
    assert (reader.name, reader.state) == ("in0", ReaderState.STOPPED)
    async with running(reader) as emitted:
        await listening(reader)
        thread = threading.Thread(target=play, args=door.pulse(0, FRAME))
        thread.start()
        await emitted.until(lambda seen: seen.codes == [FRAME.encode()])
        thread.join()
    assert emitted.reasons == []
    reader.close()
    reader.close()


async def test_two_readers_at_once_are_two_reads() -> None:
    door = Door((23, 24), (5, 6))
    async with running(door.readers[0]) as one, running(door.readers[1]) as two:
        await listening(*door.readers)
        mixed = zip(door.pulse(0, FRAME) + [None] * 16, door.pulse(1, OTHER), strict=True)
        play(*(pulse for pair in mixed for pulse in pair if pulse is not None))
        await one.until(lambda seen: seen.codes == [FRAME.encode()])
        await two.until(lambda seen: seen.codes == [OTHER.encode()])
    assert one.reasons == two.reasons == []


async def test_stamps_of_another_clock_count_as_now_and_make_no_read() -> None:
    """Before Linux 5.7 the stamps are of the wall clock. Pulses without a length cannot be told from noise."""
    door = Door((23, 24))
    async with running(door.readers[0]) as emitted:
        await listening(door.readers[0])
        for pin, edge in door.pulse(0, FRAME):
            pin.when_changed(1_790_000_000 + edge.at_us / 1e6, not edge.is_low)
        await emitted.until(lambda seen: seen.reasons == [FaultReason.TORN_READ])


async def test_nothing_is_heard_after_the_run_and_a_second_run_hears_again() -> None:
    door = Door((23, 24), pull=InputPull.NONE)
    for _ in range(2):
        async with running(door.readers[0]) as emitted:
            await listening(door.readers[0])
            with pytest.raises(HardwareError, match="already running"):
                await door.readers[0].run(emitted.take)
            play(*door.pulse(0, FRAME))
            await emitted.until(lambda seen: seen.codes == [FRAME.encode()])
    assert door.pins.factory.pin("GPIO23").when_changed is None


async def test_emit_that_raises_ends_the_run() -> None:
    door = Door((23, 24))

    def emit(event: ReaderEvent) -> None:
        raise ZeroDivisionError

    async def pulse() -> None:
        await listening(door.readers[0])
        play(*door.pulse(0, FRAME))

    async with asyncio.TaskGroup() as group:
        group.create_task(pulse())
        with pytest.raises(ZeroDivisionError):
            await door.readers[0].run(emit)


async def test_late_loop_gives_the_thread_of_the_edges_its_time() -> None:
    door = Door((23, 24))
    async with running(door.readers[0]) as emitted:
        await listening(door.readers[0])
        pulses = door.pulse(0, FRAME)
        play(*pulses[:20])
        await asyncio.sleep(0)
        threading.Event().wait(0.1)  # the loop stands, and so does the thread that brings the edges
        threading.Timer(0.005, play, pulses[20:]).start()
        await emitted.until(lambda seen: seen.codes == [FRAME.encode()])
    assert emitted.reasons == []


def test_lines_that_cannot_be_claimed_name_the_reader() -> None:
    class NoChip:
        def pin(self, name: str) -> None:
            raise OSError("no chip")

        def __getattr__(self, name: str) -> Any:
            raise OSError("no chip")

    part = WiegandReader(name="in", direction=Direction.IN, d0=23, d1=24)
    with pytest.raises(HardwareError, match=r"reader in: GPIO23 and GPIO24 cannot be claimed"):
        wiegand.Wires("reader in", part, Pins(NoChip()), monotonic_ms)


def test_shipped_door_is_built_over_its_named_pins() -> None:
    wires = 'driver = "wiegand"\ndirection = "in"\nd0 = 23\nd1 = 24'
    text = RELAY.replace('driver = "pcsc"\ndirection = "in"\nmatch = "ACR122"', wires)
    hardware = factory.build(parse_profile(text))
    assert isinstance(hardware.readers[0], wiegand.WiegandReader)
    hardware.close()
    assert load_profile("wiegand-door").reader_lines == {"readers[0].d0": 23, "readers[0].d1": 24}
