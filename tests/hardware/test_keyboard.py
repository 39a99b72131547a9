"""Keyboard wedges on the event loop: grabbed or out of service, bound by model and socket, back after a replug."""

import asyncio
import os
from collections.abc import Iterator
from errno import EACCES
from itertools import count

import pytest

if os.environ.get("CI") != "true":
    pytest.importorskip("evdev", reason="needs evdev: pip install 'doorstile[hid]'")

from hardware.base import FaultReason, ReaderEvent, ReaderFault, ReaderState, monotonic_ms
from hardware.errors import HardwareError
from hardware.profiles import Direction, EvdevReader
from hardware.readers.keyboard import KeyboardReader
from hardware.readers.keys import KeyMoved, KeysLost
from hardware.readers.layouts import LayoutName
from tests.fakes.key_port import PORT, USB_ID, FakeBus
from tests.hardware.emitted import running, until
from tests.hardware.typist import Typist

pytestmark = pytest.mark.unit


def keyboard(bus: FakeBus, *, usb_port: str | None = None) -> KeyboardReader:
    part = EvdevReader(name="in", direction=Direction.IN, usb_id=USB_ID, usb_port=usb_port, gap_ms=50)
    return KeyboardReader(part, look=bus.look, open_port=bus.open, look_s=0.005)


def state_of(reader: KeyboardReader) -> ReaderState:
    return reader.state


def line(text: str) -> list[KeyMoved]:
    """A code typed in an instant, long enough after the start to be whole."""
    return list(Typist(LayoutName.US, stroke_ms=0, at_ms=monotonic_ms() + 60).line(text))


@pytest.fixture
def bus() -> Iterator[FakeBus]:
    bus = FakeBus()
    yield bus
    assert not any(port.is_open for port in bus.ports.values()), "every device is let go"


async def test_code_that_is_typed_is_a_scan(bus: FakeBus) -> None:
    bus.plug("event3")
    reader = keyboard(bus)
    assert (reader.name, reader.state) == ("in", ReaderState.STOPPED)
    async with running(reader) as emitted:
        await until(lambda: reader.state is ReaderState.READY)
        bus.ports["event3"].press(*line("12345678"))
        await emitted.until(lambda seen: seen.codes == [b"12345678"])
    assert reader.state is ReaderState.STOPPED


async def test_scanner_that_another_program_holds_is_out_of_service_until_it_is_free(bus: FakeBus) -> None:
    bus.plug("event3")
    bus.plug("event4")
    bus.grabbed_by_others = {"event4"}
    reader = keyboard(bus)
    async with running(reader) as emitted:
        await emitted.until(lambda seen: seen.reasons == [FaultReason.READER_MISSING])
        assert state_of(reader) is ReaderState.MISSING
        assert not bus.ports["event3"].is_open, "all of its nodes or none"
        bus.grabbed_by_others.clear()
        await emitted.until(lambda seen: seen.reasons[1:] == [FaultReason.READER_BACK])
        assert state_of(reader) is ReaderState.READY
    (missing, _) = emitted.events
    assert isinstance(missing, ReaderFault)
    assert "another program has grabbed it" in missing.detail


async def test_scanner_is_found_under_whatever_number_it_comes_back(bus: FakeBus) -> None:
    bus.plug("event3")
    reader = keyboard(bus, usb_port=PORT)
    async with running(reader) as emitted:
        await until(lambda: reader.state is ReaderState.READY)
        bus.unplug("event3")
        await emitted.until(lambda seen: seen.reasons == [FaultReason.READER_MISSING])
        bus.plug("event3", port="usb-0000:01:00.0-1.4", usb_id="046d:c31c")
        bus.plug("event7")
        await emitted.until(lambda seen: seen.reasons[1:] == [FaultReason.READER_BACK])
        bus.ports["event7"].press(*line("12345678"))
        await emitted.until(lambda seen: seen.codes == [b"12345678"])
    assert bus.ports.keys() == {"event3", "event7"}
    assert bus.opened == 2


async def test_another_model_in_the_same_socket_and_the_same_model_in_another_are_not_the_scanner(
    bus: FakeBus,
) -> None:
    bus.plug("event1", usb_id="046d:c31c")
    bus.plug("event2", port="usb-0000:01:00.0-1.4")
    async with running(keyboard(bus, usb_port=PORT)) as emitted:
        await emitted.until(lambda seen: seen.reasons == [FaultReason.READER_MISSING])
    assert bus.opened == 0


async def test_two_scanners_alike_are_refused_while_the_profile_names_no_socket(bus: FakeBus) -> None:
    bus.plug("event1")
    bus.plug("event2", port="usb-0000:01:00.0-1.4")
    reader = keyboard(bus)
    async with running(reader) as emitted:
        await emitted.until(lambda seen: seen.reasons == [FaultReason.READER_MISSING])
        assert bus.opened == 0
        bus.unplug("event2")
        await emitted.until(lambda seen: seen.reasons[1:] == [FaultReason.READER_BACK])
    (missing, _) = emitted.events
    assert isinstance(missing, ReaderFault)
    assert "usb_port" in missing.detail


async def test_code_that_a_replug_cuts_in_two_is_dropped_and_reported(bus: FakeBus) -> None:
    bus.plug("event3")
    reader = keyboard(bus)
    async with running(reader) as emitted:
        await until(lambda: reader.state is ReaderState.READY)
        keys = line("12345678")
        bus.ports["event3"].press(*keys[:8])
        await until(lambda: not bus.ports["event3"]._waiting)
        bus.unplug("event3")
        await emitted.until(lambda seen: len(seen.reasons) == 2)
        bus.plug("event3")
        await emitted.until(lambda seen: len(seen.reasons) == 3)
        bus.ports["event3"].press(*(KeyMoved(key.code, key.value, monotonic_ms()) for key in keys[8:]))
        await emitted.until(lambda seen: len(seen.reasons) == 4)
    assert emitted.codes == []
    assert sorted(emitted.reasons) == sorted(
        [FaultReason.TORN_READ, FaultReason.READER_MISSING, FaultReason.READER_BACK, FaultReason.TORN_READ]
    )


async def test_code_without_its_end_is_given_up_after_the_pause(bus: FakeBus) -> None:
    bus.plug("event3")
    reader = keyboard(bus)
    async with running(reader) as emitted:
        await until(lambda: reader.state is ReaderState.READY)
        bus.ports["event3"].press(*line("12345678")[:-2])
        await emitted.until(lambda seen: seen.reasons == [FaultReason.TORN_READ])


async def test_keys_that_the_kernel_lost_are_reported(bus: FakeBus) -> None:
    bus.plug("event3")
    reader = keyboard(bus)
    async with running(reader) as emitted:
        await until(lambda: reader.state is ReaderState.READY)
        bus.ports["event3"].press(KeysLost(monotonic_ms() + 60), *line("5678"))
        await emitted.until(lambda seen: seen.reasons == [FaultReason.TORN_READ])


async def test_keys_come_before_the_end_of_a_pause_however_late_the_loop_is(bus: FakeBus) -> None:
    """The second half of a code waits in the kernel while the timer of the first runs out."""
    bus.plug("event3")
    now = [1000]
    part = EvdevReader(name="in", direction=Direction.IN, usb_id=USB_ID, gap_ms=50)
    reader = KeyboardReader(part, look=bus.look, open_port=bus.open, look_s=0.005, mono_ms=lambda: now[0])
    async with running(reader) as emitted:
        await until(lambda: reader.state is ReaderState.READY)
        typist = Typist(LayoutName.US, stroke_ms=10, at_ms=2000)
        bus.ports["event3"].press(*typist.text("1234"))
        await until(lambda: not bus.ports["event3"]._waiting)
        bound = reader._held["event3"]
        bound._loop.remove_reader(bus.ports["event3"].fileno())
        bus.ports["event3"].press(*typist.line("5678"))
        now[0] = 9000
        bound._tick()
        await emitted.until(lambda seen: seen.codes == [b"12345678"])
    assert emitted.reasons == []


async def test_node_that_cannot_be_opened_names_the_remedy(bus: FakeBus) -> None:
    def refuse(event: str) -> "KeyboardReader":
        raise PermissionError(EACCES, "Permission denied")

    bus.plug("event3")
    part = EvdevReader(name="in", direction=Direction.IN, usb_id=USB_ID)
    async with running(KeyboardReader(part, look=bus.look, open_port=refuse, look_s=0.005)) as emitted:  # type: ignore[arg-type]
        await emitted.until(lambda seen: bool(seen.events))
    (missing,) = emitted.events
    assert isinstance(missing, ReaderFault)
    assert "group input" in missing.detail


async def test_bug_in_a_callback_ends_the_run(bus: FakeBus) -> None:
    bus.plug("event3")
    reader = keyboard(bus)

    def emit(event: ReaderEvent) -> None:
        raise ZeroDivisionError

    async def press_when_ready() -> None:
        await until(lambda: reader.state is ReaderState.READY)
        bus.ports["event3"].press(*line("12345678"))

    async with asyncio.TaskGroup() as group:
        group.create_task(press_when_ready())
        with pytest.raises(ZeroDivisionError):
            await reader.run(emit)


async def test_reader_runs_once(bus: FakeBus) -> None:
    reader = keyboard(bus)
    async with running(reader):
        await until(lambda: reader.state is not ReaderState.STOPPED)
        with pytest.raises(HardwareError, match="already running"):
            await reader.run(lambda event: None)


async def test_a_hundred_replugs_in_the_middle_of_codes_invent_and_merge_nothing(bus: FakeBus) -> None:
    reader = keyboard(bus)
    meant: list[bytes] = []
    async with running(reader) as emitted:
        for number, event in zip(range(100), (f"event{at}" for at in count()), strict=False):
            bus.plug(event)
            await until(lambda event=event: event in bus.ports)  # type: ignore[misc]
            keys = line(f"{number:08}")
            cut = number % (len(keys) + 2)
            bus.ports[event].press(*keys[:cut])
            await until(lambda event=event: not bus.ports[event]._waiting)  # type: ignore[misc]
            if KeyMoved(28, 1, keys[-1].at_mono_ms) in keys[:cut]:
                meant.append(b"%08d" % number)
            bus.unplug(event)
            await until(lambda event=event: not bus.ports[event].is_open)  # type: ignore[misc]
    assert emitted.codes == meant
