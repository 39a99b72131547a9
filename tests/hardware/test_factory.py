"""The factory: every driver by name, late imports, and nothing left half built."""

import importlib
import subprocess
import sys
from typing import get_args

import pytest

from hardware import factory, profiles
from hardware.base import Signal, Tone, Way
from hardware.errors import HardwareError
from hardware.outputs.absent import NoBuzzer, NoLight
from hardware.outputs.gpio import GpioBuzzer, GpioLight
from hardware.profiles import load_profile, parse_profile
from hardware.sim import SimBuzzer, SimLight, SimReader, SimStrike
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


def test_simulated_hardware_imports_no_driver_library() -> None:
    program = (
        "import sys; from hardware.factory import build; from hardware.profiles import load_profile;"
        "build(load_profile('simulated')); print({'smartcard', 'gpiozero', 'lgpio'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert run.stdout.strip() == "set()"
