"""What a profile names, and whether it is there: asked of the system, without claiming a line or grabbing a reader."""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from hardware import profiles
from hardware.discover import Found
from hardware.gpiochips import GpioChip, GpioLineState, read_line
from hardware.profiles import Part, Profile
from hardware.readers.beeps import own_beep
from hardware.readers.input_devices import of_scanner

ReadLine = Callable[[GpioChip, int], GpioLineState | None]

_OUR_NAMES = ("lg",)
"""How lgpio names itself as the holder of a line."""


class Presence(StrEnum):
    THERE = "there"
    MISSING = "missing"
    UNKNOWN = "unknown"
    """Only use would tell: try ``doorstile hardware test``."""


class Row(Struct, frozen=True):
    """One thing that a profile names. ``where`` is how it is found, ``note`` what was found, or the remedy.

    ``beep`` says of a reader that sounds by itself what would stop it.
    """

    key: str
    driver: str
    where: str
    presence: Presence
    note: str = ""
    beep: str = ""


def rows(profile: Profile, found: Found, *, read_line: ReadLine = read_line) -> list[Row]:
    """Return a row for each part of the profile, in the order of the file."""
    every = [
        *_readers(profile, found, read_line),
        *_outputs(profile, found, read_line),
        *_inputs(profile, found, read_line),
    ]
    return [*every, *_clock(profile, found), *_hang_guard(profile, found)]


def _readers(profile: Profile, found: Found, read_line: ReadLine) -> Iterator[Row]:
    for part in profile.readers:
        beep = own_beep(part, [name for name in found.pcsc if _is_of(part, name)], is_told=found.passes_commands)
        yield from (replace(row, beep=beep) for row in _reader(part, found, read_line))


def _is_of(part: profiles.ReaderPart, name: str) -> bool:
    return isinstance(part, profiles.PcscReader) and part.match in name


def _reader(part: profiles.ReaderPart, found: Found, read_line: ReadLine) -> Iterator[Row]:
    key, driver = f"readers.{part.name}", _driver(part)
    match part:
        case profiles.SimulatedReader():
            yield Row(key, driver, "", Presence.THERE)
        case profiles.PcscReader():
            yield _pcsc(key, part, found)
        case profiles.EvdevReader():
            yield _typing(key, part, found)
        case profiles.SerialReader() | profiles.OsdpReader():
            yield _serial(key, part, found)
        case profiles.WiegandReader():
            for wire, number in (("d0", part.d0), ("d1", part.d1)):
                yield _line(f"{key}.{wire}", number, found, read_line)
        case other:
            assert_never(other)


def _pcsc(key: str, part: profiles.PcscReader | profiles.Acr122uLight | profiles.Acr122uBuzzer, found: Found) -> Row:
    driver, is_all = _driver(part), isinstance(part, profiles.PcscReader) and part.slots == "all"
    socket = part.usb_port if isinstance(part, profiles.PcscReader) else None
    names = sorted(name for name in found.pcsc if part.match in name)
    where = f"{part.match!r}" if is_all else f"{part.match!r} number {part.index}"
    if found.pcsc_problem:
        return Row(key, driver, where, Presence.UNKNOWN, found.pcsc_problem)
    if socket is not None:
        return _plugged(key, driver, f"{part.match!r} at {socket}", socket, found)
    if len(names) > (0 if is_all else part.index):
        return Row(key, driver, where, Presence.THERE, ", ".join(names) if is_all else names[part.index])
    others = f"; there is {', '.join(found.pcsc)}" if found.pcsc else ""
    return Row(key, driver, where, Presence.MISSING, f"plug it in, or correct match{others}")


def _plugged(key: str, driver: str, where: str, socket: str, found: Found) -> Row:
    there = [device for device in found.usb if device.is_smart_card_reader]
    name = next((device.name for device in there if device.port == socket), None)
    if name is not None:
        return Row(key, driver, where, Presence.THERE, name)
    others = f"; there is one at {', '.join(device.port for device in there)}" if there else ""
    return Row(key, driver, where, Presence.MISSING, f"plug it in there, or correct usb_port{others}")


def _typing(key: str, part: profiles.EvdevReader, found: Found) -> Row:
    where = part.usb_id if part.usb_port is None else f"{part.usb_id} at {part.usb_port}"
    nodes = of_scanner(found.keyboards, part.usb_id, part.usb_port)
    if nodes:
        return Row(key, "evdev", where, Presence.THERE, ", ".join(f"{node.event} {node.name}" for node in nodes))
    alike = [device.port for device in found.keyboards if device.usb_id == part.usb_id]
    others = f"; there is one at {', '.join(dict.fromkeys(alike))}" if alike else ""
    return Row(key, "evdev", where, Presence.MISSING, f"plug it in, or correct usb_id and usb_port{others}")


def _serial(key: str, part: profiles.SerialReader | profiles.OsdpReader, found: Found) -> Row:
    if part.device in found.serial:
        return Row(key, _driver(part), part.device, Presence.THERE)
    if not part.device.startswith("/dev/serial/by-id/"):
        return Row(key, _driver(part), part.device, Presence.UNKNOWN, "doorstile hardware test reader")
    others = f"; there is {', '.join(found.serial)}" if found.serial else ""
    return Row(key, _driver(part), part.device, Presence.MISSING, f"plug it in, or correct device{others}")


def _outputs(profile: Profile, found: Found, read_line: ReadLine) -> Iterator[Row]:
    lines = profile.gpio_lines
    for section in ("strike", "turnstile", "interlock", "light", "buzzer", "display"):
        part: Part | None = getattr(profile, section)
        keys = [key for key in lines if key.partition(".")[0] == section]
        if part is None or _driver(part) == "none":
            continue
        if isinstance(part, profiles.CharacterLcd):
            yield _lcd(part, found)
        elif isinstance(part, profiles.Acr122uLight | profiles.Acr122uBuzzer):
            yield _pcsc(section, part, found)
        elif isinstance(part, profiles.OsdpLight | profiles.OsdpBuzzer):
            yield Row(section, "osdp", f"reader {part.reader!r}", Presence.UNKNOWN, "doorstile hardware test")
        elif keys:
            yield from (_line(key, lines[key].line, found, read_line) for key in keys)
        else:
            yield Row(section, _driver(part), "", Presence.THERE)


def _inputs(profile: Profile, found: Found, read_line: ReadLine) -> Iterator[Row]:
    for part in profile.inputs:
        key = f"inputs.{part.name}"
        if isinstance(part, profiles.GpioInput):
            yield _line(key, part.line, found, read_line)
        else:
            yield Row(key, _driver(part), "", Presence.THERE)


def _line(key: str, number: int, found: Found, read_line: ReadLine) -> Row:
    where = f"GPIO{number}"
    if found.header is None:
        remedy = "no GPIO header that we may open; run on a Raspberry Pi, as a member of group gpio"
        return Row(key, "gpio", where, Presence.MISSING, remedy)
    state = read_line(found.header, number)
    if state is None:
        return Row(key, "gpio", where, Presence.MISSING, f"{found.header.label} has no line {number}")
    if state.is_used and state.consumer not in _OUR_NAMES:
        holder = state.consumer or "the kernel"
        return Row(key, "gpio", where, Presence.MISSING, f"held by {holder}; use another line, or free this one")
    return Row(key, "gpio", where, Presence.THERE, "held by a running agent" if state.is_used else "")


def _lcd(part: profiles.CharacterLcd, found: Found) -> Row:
    where = f"I2C {part.bus}, address 0x{part.address:02x}"
    if f"/dev/i2c-{part.bus}" in found.i2c:
        return Row("display", "hd44780", where, Presence.UNKNOWN, f"the bus is there; see: i2cdetect -y {part.bus}")
    return Row("display", "hd44780", where, Presence.MISSING, "no such bus; switch it on: raspi-config nonint do_i2c 0")


def _clock(profile: Profile, found: Found) -> Iterator[Row]:
    if not profile.rtc:
        return
    if found.rtc:
        yield Row("rtc", "", "/dev/rtc0", Presence.THERE, found.rtc)
    else:
        yield Row(
            "rtc", "", "/dev/rtc0", Presence.MISSING, "fit a battery-backed clock and its overlay: dtoverlay=i2c-rtc"
        )


def _hang_guard(profile: Profile, found: Found) -> Iterator[Row]:
    """What ends a pulse when the kernel hangs: a watchdog that nobody feeds never bites."""
    lock = profile.strike or profile.turnstile
    if getattr(lock, "hang_guard", None) is not profiles.HangGuard.HARDWARE_WATCHDOG:
        return
    told, where = found.watchdog, "/dev/watchdog0"
    remedy = "install systemd/doorstile-watchdog.conf in /etc/systemd/system.conf.d, then: systemctl daemon-reexec"
    if told is None:
        yield Row("hang_guard", "", where, Presence.MISSING, 'switch it on: dtparam=watchdog=on, or "timer_relay"')
    elif not told.state:
        yield Row("hang_guard", "", where, Presence.UNKNOWN, "see that systemd feeds it: wdctl")
    elif told.state != "active":
        yield Row("hang_guard", "", where, Presence.MISSING, f"{told.identity} is {told.state}; {remedy}")
    else:
        yield Row("hang_guard", "", where, Presence.THERE, told.identity)


def _driver(part: Part) -> str:
    return str(part.__struct_config__.tag)
