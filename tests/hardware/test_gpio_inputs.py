"""Inputs over gpiozero's mock pins: what is reported, when, and from which thread."""

import asyncio

import pytest

from hardware import factory
from hardware.base import InputChange, InputRole, monotonic_ms
from hardware.errors import HardwareError
from hardware.inputs.gpio import POLL_MS, GpioInput, GpioInputLine
from hardware.pins import mock
from hardware.pins.factory import Pins
from hardware.profiles import Contact, InputPull, parse_profile
from tests.fakes.input_bench import LINE, WINDOW_MS, InputBench, section
from tests.fakes.manual_time import settle
from tests.hardware.test_profiles import RELAY

pytestmark = pytest.mark.unit


async def test_state_is_reported_at_the_start_and_a_change_once_it_has_lasted() -> None:
    bench = InputBench()
    async with bench.running():
        bench.clock.advance(500)
        await bench.drive(high=False)
        bench.clock.advance(WINDOW_MS - 1)
        assert bench.seen == [(False, 1_000)]
        bench.clock.advance(1)
    assert bench.events[1] == InputChange("contact", InputRole.CONTACT, is_active=True, at_mono_ms=1_500)
    assert bench.input.is_active


async def test_bounce_is_one_change() -> None:
    bench = InputBench()
    async with bench.running():
        for _ in range(5):
            await bench.drive(high=False)
            bench.clock.advance(3)
            await bench.drive(high=True)
            bench.clock.advance(2)
        await bench.drive(high=False)
        bench.clock.advance(400)
    assert [is_active for is_active, _ in bench.seen] == [False, True]


async def test_change_that_came_and_went_while_the_loop_stood_is_seen_by_the_kernels_stamps() -> None:
    bench = InputBench()
    async with bench.running():
        bench.clock.stall(900)
        bench.pin.when_changed(1.1, False)
        bench.pin.when_changed(1.6, True)
        await settle()
        bench.clock.advance(500)
    assert bench.seen == [(False, 1_000), (True, 1_100), (False, 1_600)]


@pytest.mark.parametrize("ticks", [1_790_000_000.0, 2.0])
async def test_stamp_of_another_clock_counts_as_now(ticks: float) -> None:
    bench = InputBench()
    async with bench.running():
        await bench.drive(high=False)
        bench.pin.when_changed(ticks, False)
        await settle()
        bench.clock.advance(WINDOW_MS)
    assert bench.seen == [(False, 1_000), (True, 1_000)]


async def test_edge_that_the_kernel_lost_is_found_by_looking() -> None:
    bench = InputBench()
    async with bench.running():
        bench.pin._state = False
        bench.clock.advance(POLL_MS + WINDOW_MS)
    assert bench.seen == [(False, 1_000), (True, 1_000 + POLL_MS)]


@pytest.mark.parametrize(
    ("pull", "active_high", "contact", "rests_active"),
    [
        (InputPull.UP, False, Contact.NO, False),
        (InputPull.UP, True, Contact.NC, True),
        (InputPull.DOWN, True, Contact.NO, False),
        (InputPull.DOWN, False, Contact.NC, True),
        (InputPull.NONE, True, None, False),
        (InputPull.NONE, False, None, True),
    ],
)
async def test_polarity_is_the_profiles(
    pull: InputPull, active_high: bool, contact: Contact | None, rests_active: bool
) -> None:
    """With the circuit open a normally closed contact is active: a cut wire alarms."""
    bench = InputBench(section(pull=pull, active_high=active_high, contact=contact))
    assert bench.input.is_active is rests_active
    async with bench.running():
        await bench.drive(high=not bench.pin.state)
        bench.clock.advance(WINDOW_MS)
    assert [is_active for is_active, _ in bench.seen] == [rests_active, not rests_active]


async def test_nothing_is_reported_after_the_end() -> None:
    bench = InputBench()
    async with bench.running():
        listener = bench.pin.when_changed
    listener(1.0, False)
    await settle()
    bench.clock.advance(1_000)
    assert bench.seen == [(False, 1_000)]
    assert bench.pin.when_changed is None


async def test_edge_in_flight_at_the_end_is_dropped() -> None:
    bench = InputBench()
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(bench.input.run(bench.events.append))
        await settle()
        await bench.drive(high=False)
        bench.clock.stall(WINDOW_MS)
        run.cancel()
        bench.pin.drive_high()  # by now the first edge would be believed
    await settle()
    assert bench.seen == [(False, 1_000)]


async def test_edges_of_another_thread_enter_the_loop() -> None:
    pins = mock.open_pins()
    part = GpioInputLine("inputs.contact", section(), pins, lambda: 0)
    loop = asyncio.get_running_loop()
    changes: asyncio.Queue[InputChange] = asyncio.Queue()
    contact = GpioInput("contact", InputRole.CONTACT, part, window_ms=30, mono_ms=monotonic_ms)
    async with asyncio.TaskGroup() as tasks:

        def emit(change: InputChange) -> None:
            assert asyncio.get_running_loop() is loop
            changes.put_nowait(change)

        run = tasks.create_task(contact.run(emit))
        assert not (await changes.get()).is_active
        await asyncio.to_thread(pins.factory.pin(f"GPIO{LINE}").drive_low)
        assert (await asyncio.wait_for(changes.get(), 5)).is_active
        run.cancel()


async def test_input_runs_once() -> None:
    bench = InputBench()
    async with bench.running():
        with pytest.raises(HardwareError, match="already running"):
            await bench.input.run(lambda event: None)


def test_line_that_is_taken_is_named_with_a_remedy() -> None:
    bench = InputBench()
    with pytest.raises(HardwareError, match=r"inputs\.rex on GPIO22 cannot be claimed .*gpioinfo"):
        GpioInputLine("inputs.rex", section(), bench.pins, bench.clock.mono_ms)


class LibraryError(Exception):
    """What a pin library raises beside gpiozero's errors."""


async def test_line_that_cannot_be_read_any_more_ends_the_run() -> None:
    bench = InputBench()
    bench.input._line._errors = (LibraryError,)

    def fail() -> bool:
        raise LibraryError("no such device")

    wanted = pytest.RaisesExc(HardwareError, match=r"inputs\.contact on GPIO22 cannot be read \(no such device\)")
    with pytest.RaisesGroup(wanted):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(bench.input.run(bench.events.append))
            await settle()
            bench.pin._get_state = fail
            bench.clock.advance(POLL_MS * 3)


async def test_line_that_cannot_be_watched_is_named() -> None:
    pins = mock.open_pins()
    line = GpioInputLine("inputs.contact", section(), Pins(pins.factory, (LibraryError,)), lambda: 0)

    def fail() -> None:
        raise LibraryError("busy")

    pins.factory.pin(f"GPIO{LINE}")._enable_event_detect = fail
    with pytest.raises(HardwareError, match=r"inputs\.contact on GPIO22 cannot be watched \(busy\)"):
        line.listen(lambda level, at_mono_ms: None)


def test_closed_input_gives_its_line_back() -> None:
    bench = InputBench()
    bench.input.close()
    bench.input.close()
    GpioInputLine("inputs.rex", section(), bench.pins, bench.clock.mono_ms).close()


def test_profile_builds_its_inputs() -> None:
    text = f'{RELAY}[[inputs]]\nname = "rex"\ndriver = "gpio"\nrole = "rex"\nline = {LINE}\npull = "pull_up"\n'
    hardware = factory.build(parse_profile(text + 'active_high = false\ncontact = "NO"\n'))
    assert [(part.name, part.role, part.is_active) for part in hardware.inputs] == [("rex", InputRole.REX, False)]
    hardware.close()
