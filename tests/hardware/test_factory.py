"""The factory: every driver by name, late imports, and nothing left half built."""

import asyncio
import importlib
import subprocess
import sys
from typing import get_args

import pytest
from gpiozero import OutputDevice
from msgspec import structs

from hardware import factory, profiles
from hardware.base import FaultReason, PulseEnd, ReaderEvent, ReaderFault, ReaderState, Signal, Tone, Way
from hardware.errors import HardwareError
from hardware.outputs.absent import NoBuzzer, NoLight
from hardware.outputs.gpio import GpioBuzzer, GpioLight
from hardware.outputs.simulated import SimDisplay, SimInterlock
from hardware.pins import mock
from hardware.pins.factory import Pins
from hardware.profiles import Pull, load_profile, parse_profile, shipped_profiles
from hardware.sim import SimBuzzer, SimLight, SimReader, SimStrike
from tests.fakes.manual_time import settle
from tests.hardware.test_profile_rules import INTERLOCK, LEAF, TURNSTILE
from tests.hardware.test_profiles import RELAY

pytestmark = pytest.mark.unit


def test_simulated_profile_builds_simulated_hardware() -> None:
    hardware = factory.build(load_profile("simulated"), mono_ms=lambda: 1)
    assert [reader.name for reader in hardware.readers] == ["in", "out"]
    assert all(isinstance(reader, SimReader) for reader in hardware.readers)
    assert isinstance(hardware.strike, SimStrike)
    assert isinstance(hardware.light, SimLight)
    assert isinstance(hardware.buzzer, SimBuzzer)
    assert [(part.name, part.role) for part in hardware.inputs][:2] == [("contact", "contact"), ("rex", "rex")]
    assert hardware.turnstile is None
    hardware.close()
    assert hardware.light.signal is Signal.OFF


def test_simulated_turnstile_is_built_with_both_ways() -> None:
    hardware = factory.build(load_profile("simulated-turnstile"))
    assert hardware.strike is None
    assert hardware.turnstile is not None
    assert hardware.turnstile.ways == {Way.IN, Way.OUT}
    assert (hardware.turnstile.name, hardware.turnstile.released) == ("turnstile", None)
    hardware.close()


def test_gpio_profile_builds_over_its_named_pins() -> None:
    hardware = factory.build(parse_profile(RELAY))
    assert isinstance(hardware.light, GpioLight)
    assert isinstance(hardware.buzzer, GpioBuzzer)
    assert hardware.strike is not None
    assert (hardware.strike.name, hardware.strike.ceiling_s, hardware.strike.is_on) == ("strike", 8.0, False)
    hardware.close()


def test_kiosk_has_neither_strike_nor_light_nor_buzzer() -> None:
    pytest.importorskip("smartcard", reason="needs pyscard: pip install 'doorstile[pcsc]'")
    hardware = factory.build(load_profile("acr122u-kiosk"))
    assert hardware.strike is None
    assert isinstance(hardware.light, NoLight)
    assert isinstance(hardware.buzzer, NoBuzzer)
    hardware.light.show(Signal.GRANTED)
    hardware.buzzer.play(Tone.GRANTED)
    hardware.close()


def test_every_driver_of_a_profile_has_a_row() -> None:
    named = {part for section in profiles.Profile.PARTS for part in profiles.driver_parts(section).values()}
    assert named == set(factory.DRIVERS)


def test_every_pin_factory_of_a_profile_has_a_row() -> None:
    annotation = profiles.Profile.__annotations__["pin_factory"]
    literal = next(choice for choice in get_args(annotation) if choice is not type(None))
    assert set(get_args(literal)) == set(factory.PIN_FACTORIES)


async def test_door_out_of_service_reads_nothing_and_says_why() -> None:
    hardware = factory.out_of_service(parse_profile(RELAY), "strike on GPIO17 cannot be claimed", mono_ms=lambda: 7)
    events: list[ReaderEvent] = []
    assert (hardware.strike, [reader.state for reader in hardware.readers]) == (None, [ReaderState.MISSING] * 2)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(reader.run(events.append)) for reader in hardware.readers]
        await settle()
        for task in running:
            task.cancel()
    assert events == [
        ReaderFault(name, FaultReason.READER_MISSING, 7, "strike on GPIO17 cannot be claimed") for name in ("in", "out")
    ]
    hardware.close()


def test_missing_library_names_driver_and_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "hardware.readers.pcsc", raising=False)
    monkeypatch.delitem(sys.modules, "hardware.readers.pcsc_watch", raising=False)
    monkeypatch.delitem(sys.modules, "hardware.readers.scard", raising=False)
    monkeypatch.setitem(sys.modules, "smartcard", None)
    with pytest.raises(HardwareError, match=r"driver 'pcsc' cannot be loaded .*apt install python3-pyscard"):
        factory.build(load_profile("acr122u-kiosk"))


def test_library_that_fails_at_import_names_the_pin_factory(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(module: str) -> None:
        raise FileNotFoundError(2, "No such file or directory", ".lgd-nfy-3")

    monkeypatch.setattr(importlib, "import_module", read_only)
    with pytest.raises(HardwareError, match=r"pin factory 'lgpio' cannot be loaded .*lgd-nfy.*LG_WD"):
        factory.build(load_profile("acr122u-relay"))


def test_failure_half_way_closes_what_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[SimStrike] = []

    def build_strike(part: object, bench: object) -> SimStrike:
        built.append(SimStrike(ceiling_s=1.0))
        return built[0]

    monkeypatch.setattr("hardware.sim.build_strike", build_strike)
    monkeypatch.setattr("hardware.sim.build_reader", lambda part, bench: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        factory.build(load_profile("simulated"))
    assert built[0]._is_closed


def test_drive_safe_needs_no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard", None)
    factory.drive_safe(parse_profile(RELAY))


@pytest.fixture
def pins(monkeypatch: pytest.MonkeyPatch) -> Pins:
    """The pins that the factory will open, as a dead agent left them: every output of ours driven, and on."""
    opened = mock.open_pins()
    monkeypatch.setattr("hardware.pins.mock.open_pins", lambda: opened)
    return opened


def leave_on(pins: Pins, profile: profiles.Profile) -> None:
    for line in profile.gpio_lines.values():
        pin = pins.factory.pin(f"GPIO{line.line}")
        pin.function = "output"
        pin.state = line.active_high


EVERY_OUTPUT = [pytest.param(RELAY + INTERLOCK, id="door"), pytest.param(TURNSTILE + INTERLOCK, id="turnstile")]


@pytest.mark.parametrize("text", EVERY_OUTPUT)
def test_drive_safe_switches_off_what_a_dead_agent_left_on(pins: Pins, text: str) -> None:
    profile = parse_profile(text)
    leave_on(pins, profile)
    factory.drive_safe(profile)
    for key, line in profile.gpio_lines.items():
        pin = pins.factory.pin(f"GPIO{line.line}")
        assert (key, pin.function, pin.state) == (key, "output", not line.active_high)


def test_drive_safe_reaches_every_line_though_one_is_taken(pins: Pins) -> None:
    profile = parse_profile(RELAY + INTERLOCK)
    leave_on(pins, profile)
    taken = OutputDevice(17, pin_factory=pins.factory, initial_value=True)
    with pytest.raises(HardwareError, match=r"^strike on GPIO17 cannot be claimed"):
        factory.drive_safe(profile)
    assert [pins.factory.pin(f"GPIO{line}").state for line in (5, 6, 18, 24)] == [False] * 4
    taken.close()


@pytest.mark.parametrize("text", EVERY_OUTPUT)
def test_no_line_moves_from_start_to_end(pins: Pins, text: str) -> None:
    profile = parse_profile(text)
    hardware = factory.build(profile)
    hardware.close()
    for line in profile.gpio_lines.values():
        assert [state.state for state in pins.factory.pin(f"GPIO{line.line}").states] == [False]


@pytest.mark.parametrize("name", shipped_profiles())
def test_shipped_profile_moves_nothing_from_power_on_to_the_end(pins: Pins, name: str) -> None:
    """Each line begins where its reset pull holds it; LEDs alone may leave that when they are claimed."""
    profile = structs.replace(load_profile(name), readers=(), pin_factory="mock", display=None)
    lines = {key: line for key, line in profile.gpio_lines.items() if not key.startswith("light.")}
    for line in lines.values():
        pin = pins.factory.pin(f"GPIO{line.line}")
        pin.pull = "up" if line.reset_pull is Pull.UP else "down"
        pin.clear_states()
    factory.build(profile).close()
    moved = {key: pins.factory.pin(f"GPIO{line.line}").states[1:] for key, line in lines.items()}
    assert not any(moved.values()), moved


@pytest.mark.parametrize("text", EVERY_OUTPUT)
def test_no_line_moves_where_the_start_fails(pins: Pins, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard", None)
    monkeypatch.setattr("hardware.sim.build_reader", lambda part, bench: 1 / 0)
    profile = parse_profile(text)
    with pytest.raises((HardwareError, ZeroDivisionError)):
        factory.build(profile)
    for line in profile.gpio_lines.values():
        assert [state.state for state in pins.factory.pin(f"GPIO{line.line}").states] == [False]


async def test_gpio_turnstile_moves_its_own_line(pins: Pins) -> None:
    hardware = factory.build(parse_profile(TURNSTILE))
    assert hardware.turnstile is not None
    pulse = await hardware.turnstile.release(Way.OUT, 0.05)
    assert pulse.ended_by is PulseEnd.ELAPSED
    levels = {line: [state.state for state in pins.factory.pin(f"GPIO{line}").states] for line in (17, 27)}
    assert levels == {17: [False], 27: [False, True, False]}
    hardware.close()


def test_readers_of_a_kind_wait_for_each_other_unless_they_name_their_sockets() -> None:
    pytest.importorskip("smartcard", reason="needs pyscard: pip install 'doorstile[pcsc]'")
    second = RELAY.replace(
        'driver = "simulated"\ndirection = "out"', 'driver = "pcsc"\ndirection = "out"\nmatch = "ACR122"\n'
    )
    by_index = second.replace('direction = "out"', 'direction = "out"\nindex = 1')
    by_socket = second.replace('match = "ACR122"', 'match = "ACR122"\nusb_port = "1-1.1"', 1)
    by_socket = by_socket.replace('direction = "out"', 'direction = "out"\nusb_port = "1-1.2"')
    for text, least in ((by_index, 2), (by_socket, 1)):
        readers = factory.build(parse_profile(text)).readers
        assert [reader._selector.least for reader in readers] == [least, least]  # type: ignore[attr-defined]


def test_interlock_tells_the_other_door(pins: Pins) -> None:
    hardware = factory.build(parse_profile(RELAY + INTERLOCK))
    assert hardware.interlock is not None
    for is_busy in (True, False, True):
        hardware.interlock.tell(is_busy=is_busy)
    hardware.close()
    assert [state.state for state in pins.factory.pin("GPIO24").states] == [False, True, False, True, False]


def test_simulated_interlock_and_display_are_built_by_name() -> None:
    parts = LEAF + '\n[interlock]\ndriver = "simulated"\n[display]\ndriver = "simulated"\ncolumns = 20\n'
    hardware = factory.build(parse_profile(RELAY + parts))
    assert isinstance(hardware.interlock, SimInterlock)
    assert isinstance(hardware.display, SimDisplay)
    hardware.interlock.tell(is_busy=True)
    assert hardware.interlock.is_busy
    hardware.close()
    assert [edge.is_on for edge in hardware.interlock.history] == [True, False]


def test_simulated_hardware_imports_no_driver_library() -> None:
    program = (
        "import sys; from hardware.factory import build; from hardware.profiles import load_profile;"
        "build(load_profile('simulated')); print({'smartcard', 'gpiozero', 'lgpio'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert run.stdout.strip() == "set()"
