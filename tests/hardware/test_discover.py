"""What is plugged in is found by what stays, and a profile is proposed for it."""

import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hardware import discover, gpiochips
from hardware.discover import Found, Watchdog, look, pcsc_names
from hardware.gpiochips import GET_CHIPINFO, GET_LINEINFO, GpioChip, GpioLineState, read_line
from hardware.profiles import load_profile, shipped_profiles
from hardware.proposal import propose
from tests.fakes.fake_machine import FakeMachine

pytestmark = pytest.mark.unit

ACR122U = "ACS ACR122U PICC Interface 00 00"
HEADER = GpioChip("/dev/gpiochip0", "pinctrl-bcm2711", 58)


@pytest.fixture
def machine(tmp_path: Path) -> FakeMachine:
    return FakeMachine(tmp_path)


def seen(machine: FakeMachine, *names: str) -> Found:
    return look(machine.root, names=lambda: list(names))


def test_empty_machine_has_nothing(machine: FakeMachine) -> None:
    assert seen(machine) == Found()


def test_usb_devices_are_found_with_what_they_are(machine: FakeMachine) -> None:
    machine.usb("usb1", "1d6b:0002", "xHCI Host Controller", faces=(("09", "00"),))
    machine.card_reader("1-1.1")
    machine.keyboard("1-1.2", "0c2e:0b61", "Honeywell Scanner")
    machine.usb("1-1.3", "1eab:0c06", "Newland", faces=(("02", "01"), ("0a", "00")))
    reader, scanner, serial = seen(machine).usb
    assert (reader.port, reader.usb_id, reader.name) == ("1-1.1", "072f:2200", "ACS ACR122U PICC Interface")
    assert (reader.is_smart_card_reader, reader.is_keyboard, reader.is_known_scanner) == (True, False, False)
    assert (scanner.is_keyboard, scanner.is_known_scanner, scanner.is_serial) == (True, True, False)
    assert (serial.is_serial, serial.is_keyboard) == (True, False)


def test_keyboards_are_those_on_usb(machine: FakeMachine) -> None:
    machine.typing("gpio-keys/input0", "0001:0001", "gpio_keys")
    machine.typing("usb-0000:01:00.0-1.4/input1", "046d:c52b", "Mouse", has_keys=False)
    machine.keyboard("1-1.2", "0c2e:0b61", "Honeywell Scanner")
    (keyboard,) = seen(machine).keyboards
    assert (keyboard.usb_id, keyboard.port) == ("0c2e:0b61", "usb-0000:01:00.0-1.2")


def test_serial_ports_buses_and_clock_are_found(machine: FakeMachine) -> None:
    machine.serial("usb-Newland_NLS-EM20-if00")
    machine.i2c(1)
    machine.rtc()
    found = seen(machine)
    assert found.serial == ("/dev/serial/by-id/usb-Newland_NLS-EM20-if00",)
    assert (found.i2c, found.rtc) == (("/dev/i2c-1",), "rtc-ds1307 1-0068")


@pytest.mark.parametrize("state", ["active", "inactive", ""])
def test_watchdog_is_found_and_whether_anybody_feeds_it(machine: FakeMachine, state: str) -> None:
    machine.watchdog(state)
    identity = "Broadcom BCM2835 Watchdog timer" if state else ""
    assert seen(machine).watchdog == Watchdog(identity, state)


def test_pcsc_that_cannot_be_asked_is_a_problem_with_a_remedy(machine: FakeMachine) -> None:
    def refuse() -> list[str]:
        raise OSError("no service; start the daemon: systemctl start pcscd.socket")

    found = look(machine.root, names=refuse)
    assert (found.pcsc, found.pcsc_problem) == ((), "no service; start the daemon: systemctl start pcscd.socket")


def test_daemon_that_hangs_keeps_nobody_waiting(machine: FakeMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = threading.Event()
    monkeypatch.setattr(discover, "PCSC_TIMEOUT_S", 0.01)

    def hang() -> list[str]:
        hanging.wait(30)
        return []

    found = look(machine.root, names=hang)
    hanging.set()
    assert found.pcsc_problem == "no answer within 0.01 s; restart the daemon: systemctl restart pcscd"


def test_missing_pyscard_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "hardware.readers.scard", raising=False)
    monkeypatch.setitem(sys.modules, "smartcard", None)
    with pytest.raises(OSError, match="apt install python3-pyscard"):
        pcsc_names()


def test_silent_daemon_names_its_unit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("smartcard", reason="needs pyscard: pip install 'doorstile[pcsc]'")
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(tmp_path / "absent.comm"))
    from hardware.readers import scard

    def refuse(self: object) -> None:
        raise scard.ScardError("SCardEstablishContext", -2146435043)

    monkeypatch.setattr(scard.Context, "__init__", refuse)
    with pytest.raises(OSError, match=r"SCardEstablishContext: .*systemctl start pcscd\.socket"):
        pcsc_names()


Ioctl = Callable[[int, int, bytes], bytes]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A kernel whose chips are all a Pi's, with line 17 held by somebody."""
    asked: list[int] = []

    def ioctl(fd: int, request: int, question: bytes) -> bytes:
        asked.append(request)
        if request == GET_CHIPINFO:
            return struct.pack("=32s32sI", b"gpiochip0", b"pinctrl-bcm2711", 58)
        offset = struct.unpack_from("=64xI", question)[0]
        if offset >= 58:
            raise OSError(22, "Invalid argument")
        consumer, flags = (b"other-program", 1) if offset == 17 else (b"", 0)
        return struct.pack("=32s32sIIQ160s16s", b"GPIO17", consumer, offset, 0, flags, b"", b"")

    monkeypatch.setattr(gpiochips, "ioctl", ioctl)
    return asked


def test_chips_and_holders_of_lines_are_asked_of_the_kernel(machine: FakeMachine, kernel: list[int]) -> None:
    machine.gpio_chip(0)
    machine.gpio_chip(10)
    machine.gpio_chip(4)
    chips = seen(machine).gpio
    assert [Path(chip.path).name for chip in chips] == ["gpiochip0", "gpiochip4", "gpiochip10"]
    assert seen(machine).header == chips[0]
    assert read_line(chips[0], 17) == GpioLineState("GPIO17", "other-program", is_used=True)
    assert read_line(chips[0], 18) == GpioLineState("GPIO17", "", is_used=False)
    assert read_line(chips[0], 60) is None
    assert GET_LINEINFO in kernel


def test_chip_that_cannot_be_asked_is_left_out(machine: FakeMachine) -> None:
    path = machine.gpio_chip(0)
    assert seen(machine).gpio == ()
    path.unlink()
    assert read_line(GpioChip(str(path), "pinctrl-bcm2711", 58), 17) is None


def with_header(found: Found) -> Found:
    return Found(usb=found.usb, keyboards=found.keyboards, serial=found.serial, pcsc=found.pcsc, gpio=(HEADER,))


def test_card_reader_is_proposed_with_a_relay_where_there_is_a_header(machine: FakeMachine) -> None:
    found = seen(machine, ACR122U)
    assert propose(found).profile == "acr122u-kiosk"
    assert propose(with_header(found)).profile == "acr122u-relay"
    assert propose(found).settings == ()


def test_other_card_reader_is_named_for_a_copy(machine: FakeMachine) -> None:
    proposal = propose(seen(machine, "ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00"))
    assert proposal.settings == ('readers[0].match = "ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC]"',)


def test_scanner_is_proposed_before_a_keyboard(machine: FakeMachine) -> None:
    machine.keyboard("1-1.1", "046d:c31c", "Keyboard K120")
    machine.keyboard("1-1.2", "0c2e:0b61", "Honeywell Scanner")
    proposal = propose(seen(machine))
    assert proposal.profile == "usb-scanner-kiosk"
    assert proposal.why == "code scanner 'Honeywell Scanner'"
    assert proposal.settings == (
        'readers[0].usb_id = "0c2e:0b61"',
        'readers[0].usb_port = "usb-0000:01:00.0-1.2"',
    )


def test_keyboard_alone_is_proposed_with_a_doubt(machine: FakeMachine) -> None:
    machine.keyboard("1-1.1", "046d:c31c", "Keyboard K120")
    assert "if that is a scanner or card reader" in propose(seen(machine)).why


def test_two_that_type_make_a_turnstile(machine: FakeMachine) -> None:
    for port in ("1-1.1", "1-1.2"):
        machine.keyboard(port, "ffff:0035", "RFID Reader")
    proposal = propose(with_header(seen(machine)))
    assert proposal.profile == "usb-turnstile"
    assert proposal.settings[1::2] == (
        'readers[0].usb_port = "usb-0000:01:00.0-1.1"',
        'readers[1].usb_port = "usb-0000:01:00.0-1.2"',
    )


def test_serial_scanner_and_nothing_at_all(machine: FakeMachine) -> None:
    assert propose(seen(machine)).profile == "simulated"
    machine.serial("usb-Newland_NLS-EM20-if00")
    proposal = propose(seen(machine))
    assert proposal.profile == "serial-scanner-kiosk"
    assert proposal.settings == ('readers[0].device = "/dev/serial/by-id/usb-Newland_NLS-EM20-if00"',)


def test_every_proposed_profile_is_shipped() -> None:
    proposed = {
        "acr122u-kiosk", "acr122u-relay", "serial-scanner-kiosk", "simulated", "usb-scanner-kiosk", "usb-turnstile",
    }  # fmt: skip
    assert proposed <= set(shipped_profiles())
    for name in proposed:
        load_profile(name)
