"""Each part of a profile is there, missing with a remedy, or honestly unknown."""

from typing import Any

import pytest
from msgspec import structs

from hardware.discover import Found, UsbDevice, Watchdog
from hardware.gpiochips import GpioChip, GpioLineState
from hardware.presence import Presence, Row, rows
from hardware.profiles import load_profile, parse_profile
from hardware.readers.input_devices import InputDevice
from tests.hardware.test_profile_rules import INTERLOCK, input_of
from tests.hardware.test_profiles import RELAY

pytestmark = pytest.mark.unit

HEADER = GpioChip("/dev/gpiochip0", "pinctrl-bcm2711", 58)
ACR122U = "ACS ACR122U PICC Interface 00 00"


def line(*, consumer: str = "", is_used: bool = False) -> GpioLineState:
    return GpioLineState("", consumer, is_used)


def found_rows(text: str, found: Found, state: GpioLineState | None = line()) -> dict[str, Row]:  # noqa: B008
    return {row.key: row for row in rows(parse_profile(text), found, read_line=lambda chip, number: state)}


def test_simulated_parts_are_there() -> None:
    found = rows(load_profile("simulated"), Found())
    assert {row.presence for row in found} == {Presence.THERE}
    assert [row.key for row in found][:3] == ["readers.in", "readers.out", "strike"]


def test_contactless_reader_that_names_its_socket_is_looked_for_there() -> None:
    text = RELAY.replace('match = "ACR122"', 'match = "ACR122"\nusb_port = "1-1.2"')
    reader = UsbDevice("1-1.2", "072f:2200", "ACS ACR122U", is_smart_card_reader=True)
    there = found_rows(text, Found(usb=(reader,), pcsc=(ACR122U,)))["readers.in"]
    assert (there.presence, there.where, there.note) == (Presence.THERE, "'ACR122' at 1-1.2", "ACS ACR122U")
    elsewhere = structs.replace(reader, port="1-1.4")
    gone = found_rows(text, Found(usb=(elsewhere,), pcsc=(ACR122U,)))["readers.in"]
    assert (gone.presence, gone.note) == (
        Presence.MISSING, "plug it in there, or correct usb_port; there is one at 1-1.4",
    )  # fmt: skip
    assert found_rows(text, Found())["readers.in"].note == "plug it in there, or correct usb_port"


def test_every_output_and_input_has_its_line() -> None:
    found = found_rows(RELAY + INTERLOCK + input_of("rex"), Found(gpio=(HEADER,), pcsc=(ACR122U,)))
    assert list(found) == [
        "readers.in", "readers.out", "strike", "interlock", "light.red", "light.green", "buzzer",
        "inputs.leaf", "inputs.one",
    ]  # fmt: skip
    assert {row.presence for row in found.values()} == {Presence.THERE}
    assert (found["strike"].where, found["readers.in"].note) == ("GPIO17", ACR122U)


@pytest.mark.parametrize(
    ("pcsc", "note"),
    [((), "plug it in, or correct match"), (("Other Reader",), "correct match; there is Other Reader")],
)
def test_missing_card_reader_says_what_there_is(pcsc: tuple[str, ...], note: str) -> None:
    row = found_rows(RELAY, Found(pcsc=pcsc))["readers.in"]
    assert row.presence is Presence.MISSING
    assert note in row.note


def test_second_card_reader_of_two_is_counted() -> None:
    text = RELAY.replace('match = "ACR122"', 'match = "ACR122"\nindex = 1')
    assert found_rows(text, Found(pcsc=(ACR122U,)))["readers.in"].presence is Presence.MISSING
    every = RELAY.replace('match = "ACR122"', 'match = "ACR122"\nslots = "all"')
    row = found_rows(every, Found(pcsc=(ACR122U, ACR122U.replace("00 00", "01 00"))))["readers.in"]
    assert (row.presence, row.note.count("ACR122U")) == (Presence.THERE, 2)


SCANNER = InputDevice("event3", "0c2e:0b61", "usb-0000:01:00.0-1.2", "Honeywell Scanner", has_keys=True)


def wedge(**found: Any) -> Row:
    return rows(load_profile("usb-scanner-kiosk"), Found(**found))[0]


def test_scanner_that_types_is_known_by_its_model() -> None:
    row = wedge(keyboards=(SCANNER,))
    assert (row.presence, row.where, row.note) == (Presence.THERE, "0c2e:0b61", "event3 Honeywell Scanner")
    assert "correct usb_id and usb_port" in wedge().note


def test_scanner_in_another_socket_is_missing_and_named() -> None:
    row, _, *_ = rows(load_profile("usb-turnstile"), Found(keyboards=(structs.replace(SCANNER, usb_id="ffff:0035"),)))
    assert row.presence is Presence.MISSING
    assert "there is one at usb-0000:01:00.0-1.2" in row.note


@pytest.mark.parametrize(
    ("device", "serial", "presence", "note"),
    [
        ("by-id/one", ("/dev/serial/by-id/one",), Presence.THERE, ""),
        ("by-id/one", ("/dev/serial/by-id/two",), Presence.MISSING, "there is /dev/serial/by-id/two"),
        ("by-id/one", (), Presence.MISSING, "plug it in, or correct device"),
        ("by-path/one", (), Presence.UNKNOWN, "doorstile hardware test reader"),
    ],
)
def test_serial_scanner_is_known_by_its_name(
    device: str, serial: tuple[str, ...], presence: Presence, note: str
) -> None:
    profile = load_profile("serial-scanner-kiosk")
    part = structs.replace(profile.readers[0], device=f"/dev/serial/{device}")
    row = rows(structs.replace(profile, readers=(part,)), Found(serial=serial))[0]
    assert row.presence is presence
    assert note in row.note


def test_daemon_that_is_down_leaves_it_unknown() -> None:
    row = found_rows(RELAY, Found(pcsc_problem="no service; start it"))["readers.in"]
    assert (row.presence, row.note) == (Presence.UNKNOWN, "no service; start it")


@pytest.mark.parametrize(
    ("found", "state", "presence", "note"),
    [
        (Found(), None, Presence.MISSING, "no GPIO header that we may open; run on a Raspberry Pi"),
        (Found(gpio=(HEADER,)), None, Presence.MISSING, "pinctrl-bcm2711 has no line 17"),
        (Found(gpio=(HEADER,)), line(consumer="spi", is_used=True), Presence.MISSING, "held by spi; use another line"),
        (Found(gpio=(HEADER,)), line(is_used=True), Presence.MISSING, "held by the kernel"),
        (Found(gpio=(HEADER,)), line(consumer="lg", is_used=True), Presence.THERE, "held by a running agent"),
    ],
)
def test_line_says_who_holds_it(found: Found, state: GpioLineState | None, presence: Presence, note: str) -> None:
    row = found_rows(RELAY, found, state)["strike"]
    assert row.presence is presence
    assert note in row.note


def test_display_is_known_by_its_bus() -> None:
    text = RELAY + '\n[display]\ndriver = "hd44780"\naddress = 0x27\n'
    assert "raspi-config" in found_rows(text, Found())["display"].note
    there = found_rows(text, Found(i2c=("/dev/i2c-1",)))["display"]
    assert (there.presence, there.where) == (Presence.UNKNOWN, "I2C 1, address 0x27")


@pytest.mark.parametrize(
    ("watchdog", "presence", "note"),
    [
        (None, Presence.MISSING, "dtparam=watchdog=on"),
        (Watchdog("", ""), Presence.UNKNOWN, "wdctl"),
        (Watchdog("BCM2835", "inactive"), Presence.MISSING, "BCM2835 is inactive; install systemd/doorstile-watchdog"),
        (Watchdog("BCM2835", "active"), Presence.THERE, "BCM2835"),
    ],
)
def test_watchdog_that_ends_a_pulse_has_to_be_fed(watchdog: Watchdog | None, presence: Presence, note: str) -> None:
    text = RELAY.replace('"timer_relay"', '"hardware_watchdog"')
    row = found_rows(text, Found(watchdog=watchdog))["hang_guard"]
    assert row.presence is presence
    assert note in row.note


def test_timer_relay_needs_no_watchdog() -> None:
    assert "hang_guard" not in found_rows(RELAY, Found())
    assert "hang_guard" not in {row.key for row in rows(load_profile("acr122u-kiosk"), Found())}


def test_clock_is_asked_for_where_the_profile_needs_it() -> None:
    text = f"rtc = true\n{RELAY}"
    assert "rtc" not in found_rows(RELAY, Found())
    assert found_rows(text, Found())["rtc"].presence is Presence.MISSING
    assert found_rows(text, Found(rtc="rtc-ds1307"))["rtc"] == Row("rtc", "", "/dev/rtc0", Presence.THERE, "rtc-ds1307")


def test_lamp_of_a_contactless_reader_is_there_with_the_reader() -> None:
    text = RELAY[: RELAY.index("[light]")] + (
        '[light]\ndriver = "acr122u"\nmatch = "ACR122"\n[buzzer]\ndriver = "acr122u"\nmatch = "ACR122"\nindex = 1\n'
    )
    found = found_rows(text, Found(gpio=(HEADER,), pcsc=(ACR122U,)))
    assert (found["light"].driver, found["light"].presence) == ("acr122u", Presence.THERE)
    assert found["buzzer"].presence is Presence.MISSING


def test_osdp_reader_and_its_lamp_are_known_by_use_only() -> None:
    found = {row.key: row for row in rows(load_profile("osdp-door"), Found(), read_line=lambda chip, number: line())}
    assert {found[key].presence for key in ("readers.in", "light", "buzzer")} == {Presence.UNKNOWN}
    assert found["readers.in"].driver == "osdp"
