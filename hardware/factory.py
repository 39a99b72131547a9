"""From a profile to its hardware: every driver by its explicit name, and nothing in place of one that is missing.

A driver's module, and with it pyscard, gpiozero or lgpio, is imported only when the profile names it.
"""

import importlib
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import msgspec

from hardware import profiles
from hardware.base import Hardware, MonoClock, monotonic_ms
from hardware.errors import HardwareError
from hardware.outputs.absent import NoBuzzer, NoLight
from hardware.outputs.reports import Reports
from hardware.profiles import Profile
from hardware.readers.absent import AbsentReader


class Driver(msgspec.Struct, frozen=True):
    """Where a driver is built: ``module:function``, called with its section of the profile and the bench."""

    target: str
    remedy: str = "reinstall doorstile"


_PCSC = "apt install python3-pyscard, or pip install 'doorstile[pcsc]'"
_OSDP = "pip install 'doorstile[osdp]'"
_HID = "apt install python3-evdev, or pip install 'doorstile[hid]'"
_GPIO = "apt install python3-lgpio, or pip install 'doorstile[gpio]'; let LG_WD name a folder that can be written"
_LCD = "pip install 'doorstile[lcd]'"

DRIVERS: Mapping[type[msgspec.Struct], Driver] = {
    profiles.SimulatedReader: Driver("hardware.sim:build_reader"),
    profiles.PcscReader: Driver("hardware.readers.pcsc:build_reader", _PCSC),
    profiles.EvdevReader: Driver("hardware.readers.keyboard:build_reader", _HID),
    profiles.SerialReader: Driver("hardware.readers.serial_line:build_reader"),
    profiles.WiegandReader: Driver("hardware.readers.wiegand:build_reader", _GPIO),
    profiles.OsdpReader: Driver("hardware.readers.osdp_reader:build_reader", _OSDP),
    profiles.OsdpLight: Driver("hardware.readers.osdp_orders:build_light"),
    profiles.OsdpBuzzer: Driver("hardware.readers.osdp_orders:build_buzzer"),
    profiles.SimulatedStrike: Driver("hardware.sim:build_strike"),
    profiles.GpioStrike: Driver("hardware.outputs.gpio:build_strike", _GPIO),
    profiles.SimulatedTurnstile: Driver("hardware.outputs.simulated:build_turnstile"),
    profiles.GpioTurnstile: Driver("hardware.outputs.gpio:build_turnstile", _GPIO),
    profiles.NoLight: Driver("hardware.outputs.absent:build_light"),
    profiles.SimulatedLight: Driver("hardware.sim:build_light"),
    profiles.GpioLight: Driver("hardware.outputs.gpio:build_light", _GPIO),
    profiles.Acr122uLight: Driver("hardware.outputs.reader_panel:build_light", _PCSC),
    profiles.Acr122uBuzzer: Driver("hardware.outputs.reader_panel:build_buzzer", _PCSC),
    profiles.NoBuzzer: Driver("hardware.outputs.absent:build_buzzer"),
    profiles.SimulatedBuzzer: Driver("hardware.sim:build_buzzer"),
    profiles.GpioBuzzer: Driver("hardware.outputs.gpio:build_buzzer", _GPIO),
    profiles.SimulatedInterlock: Driver("hardware.outputs.simulated:build_interlock"),
    profiles.GpioInterlock: Driver("hardware.outputs.gpio:build_interlock", _GPIO),
    profiles.SimulatedDisplay: Driver("hardware.outputs.simulated:build_display"),
    profiles.CharacterLcd: Driver("hardware.outputs.hd44780:build_display", _LCD),
    profiles.SimulatedInput: Driver("hardware.inputs.simulated:build_input"),
    profiles.GpioInput: Driver("hardware.inputs.gpio:build_input", _GPIO),
}
"""A row for every driver that ``hardware.profiles`` accepts; a test holds the two together."""

PIN_FACTORIES: Mapping[str, Driver] = {
    "lgpio": Driver("hardware.pins.lgpio:open_pins", _GPIO),
    "mock": Driver("hardware.pins.mock:open_pins", "pip install gpiozero"),
}


class Bench(msgspec.Struct, frozen=True):
    """What drivers share: the clock, and the one pin factory that the profile names (None without GPIO).

    ``mailboxes`` are those by which outputs reach the reader that they are part of, by its name; ``readers`` are all
    sections of the profile, as two of a kind have to be told apart; ``reports`` is how lines tell the keeper.
    """

    mono_ms: MonoClock
    pins: Any = None
    mailboxes: dict[str, Any] = {}
    readers: tuple[profiles.ReaderPart, ...] = ()
    reports: Reports = msgspec.field(default_factory=Reports)


def build(profile: Profile, *, mono_ms: MonoClock = monotonic_ms) -> Hardware:
    """Construct everything that the profile names, outputs first and switched off.

    Readers and inputs start with their ``run``. HardwareError names the driver and the remedy when one cannot be had;
    what was built until then is closed, which leaves its lines driven to their safe state.
    """
    with ExitStack() as undo:
        bench = Bench(mono_ms, open_pins(profile), readers=profile.readers)

        def made(part: msgspec.Struct | None) -> Any:
            if part is None:
                return None
            thing = _construct(part, bench)
            undo.callback(thing.close)
            return thing

        hardware = Hardware(
            strike=made(profile.strike),
            turnstile=made(profile.turnstile),
            interlock=made(profile.interlock),
            light=made(profile.light),
            buzzer=made(profile.buzzer),
            display=made(profile.display),
            inputs=tuple(made(part) for part in profile.inputs),
            readers=tuple(_construct(part, bench) for part in profile.readers),
            reports=bench.reports,
        )
        undo.pop_all()
    return hardware


def out_of_service(profile: Profile, why: str, *, mono_ms: MonoClock = monotonic_ms) -> Hardware:
    """Return what a door has whose hardware could not be built: readers that say why, and nothing that moves."""
    readers = tuple(AbsentReader(part.name, why, mono_ms=mono_ms) for part in profile.readers)
    return Hardware(readers, None, NoLight(), NoBuzzer())


def drive_safe(profile: Profile) -> None:
    """Bring every output line of the profile to its safe state and return: for after a crash, before the next start.

    A line whose owner was killed keeps its level on a Pi's own GPIO, so a dead agent may leave a relay on. One line
    that cannot be had does not keep the others from it; HardwareError then names those that could not be had.
    """
    bench = Bench(monotonic_ms, open_pins(profile))
    failures = []
    for part in (profile.strike, profile.turnstile, profile.interlock, profile.light, profile.buzzer):
        if part is not None:
            try:
                _construct(part, bench).close()
            except HardwareError as error:
                failures.append(str(error))
    if failures:
        raise HardwareError("; ".join(failures))


def open_pins(profile: Profile) -> Any:
    """Return the pin factory that a profile names; None without one."""
    if profile.pin_factory is None:
        return None
    return _load(PIN_FACTORIES[profile.pin_factory], f"pin factory {profile.pin_factory!r}")()


def _construct(part: msgspec.Struct, bench: Bench) -> Any:
    return _load(DRIVERS[type(part)], f"driver {part.__struct_config__.tag!r}")(part, bench)


def _load(driver: Driver, what: str) -> Any:
    module, _, function = driver.target.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, OSError) as error:  # lgpio opens a FIFO in $LG_WD or the working directory when imported
        raise HardwareError(f"{what} cannot be loaded ({error}); {driver.remedy}") from error
