"""Sections of readers that spell codes out: what is refused because a torn or another's code would pass for a read."""

import pytest

from hardware.base import Medium
from hardware.errors import ProfileError
from hardware.profiles import EvdevReader, WiegandReader, parse_profile
from hardware.readers.framing import Characters, Framing, Identity, Terminator
from hardware.readers.wiegand_frames import Pulses

pytestmark = pytest.mark.unit

SCANNER = """
[[readers]]
name = "in"
driver = "evdev"
direction = "in"
usb_id = "0c2e:0b61"
"""


def profile(*readers: str) -> str:
    head = 'name = "desk"\ndescription = "A desk"\nlock_type = "none"\n'
    return head + "".join(readers) + '[light]\ndriver = "none"\n[buzzer]\ndriver = "none"\n'


def test_section_says_whose_reads_they_are_and_how_they_are_framed() -> None:
    text = SCANNER + (
        'medium = "em4100"\nform = "decimal"\nterminator = "none"\ngap_ms = 50\nmin_length = 13\nmax_length = 13\n'
        'characters = "decimal"\nper_second = 3\nlayout = "be"\ncaps_lock = true\nusb_port = "usb-1"\n'
    )
    (part,) = parse_profile(profile(text)).readers
    assert isinstance(part, EvdevReader)
    assert part.identity == Identity("in", Medium.EM4100, "decimal")
    assert part.framing == Framing(
        terminator=Terminator.NONE,
        gap_ms=50,
        min_length=13,
        max_length=13,
        characters=Characters.DECIMAL,
        per_second=3,
    )


def slot(name: str, match: str, more: str = "") -> str:
    head = f'\n[[readers]]\nname = "{name}"\ndriver = "pcsc"\ndirection = "{name}"\nmatch = "{match}"\n'
    return head + more


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (slot("in", "ACR122"), slot("out", "ACR122")),
        (slot("in", "ACR122", "index = 1\n"), slot("out", "ACR122", "index = 1\n")),
        (slot("in", "ACR122", 'slots = "all"\n'), slot("out", "ACR122", "index = 1\n")),
        (slot("in", "ACR"), slot("out", "ACR122", "index = 1\n")),
        (slot("in", "ACR122", "index = 1\n"), slot("out", "ACR")),
        (slot("in", "ACR122", 'usb_port = "1-1.2"\n'), slot("out", "ACR122", 'usb_port = "1-1.2"\n')),
        (slot("in", "ACR122", 'usb_port = "1-1.2"\n'), slot("out", "ACR122", "index = 1\n")),
    ],
)
def test_two_readers_of_a_profile_are_never_one_at_the_door(first: str, second: str) -> None:
    """One card would be two presentations, and whoever comes in would leave in the same moment."""
    with pytest.raises(ProfileError, match=r"readers\[1\]\.match: '.*' may be the reader 'in' too"):
        parse_profile(profile(first, second))


def test_two_alike_readers_are_told_apart_by_their_index() -> None:
    assert len(parse_profile(profile(slot("in", "ACR122"), slot("out", "ACR122", "index = 1\n"))).readers) == 2
    assert len(parse_profile(profile(slot("in", "ACR122"), slot("out", "OMNIKEY"))).readers) == 2


def test_two_alike_readers_are_told_apart_by_their_socket() -> None:
    ports = [f'usb_port = "1-1.{number}"\n' for number in (1, 2)]
    assert len(parse_profile(profile(slot("in", "ACR122", ports[0]), slot("out", "ACR122", ports[1]))).readers) == 2
    with pytest.raises(ProfileError, match=r"readers\[0\]\.usb_port"):
        parse_profile(profile(slot("in", "ACR122", 'usb_port = "event3"\n')))


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        ('terminator = "none"', "takes a torn code for a whole one"),
        ("min_length = 9\nmax_length = 8", "min_length: 9 is above max_length 8; lower it"),
        ('medium = "card_uid"', "form: missing; say how the reader spells a card_uid"),
        ("gap_ms = 501", "gap_ms"),
        ('layout = "dvorak"', "layout"),
    ],
)
def test_section_is_refused(more: str, refusal: str) -> None:
    with pytest.raises(ProfileError, match=rf"readers\[0\]\..*{refusal}|{refusal}"):
        parse_profile(profile(f"{SCANNER}{more}\n"))


@pytest.mark.parametrize("ports", [("", ""), ('usb_port = "usb-1"', ""), ('usb_port = "usb-1"',) * 2])
def test_two_scanners_that_cannot_be_told_apart_are_refused(ports: tuple[str, str]) -> None:
    other = SCANNER.replace('name = "in"', 'name = "out"')
    with pytest.raises(ProfileError, match=r"readers\[1\]\.usb_id: 0c2e:0b61 is also 'in'; .* its own usb_port"):
        parse_profile(profile(f"{SCANNER}{ports[0]}\n", f"{other}{ports[1]}\n"))


def test_two_scanners_alike_in_two_sockets_are_two_readers() -> None:
    other = SCANNER.replace('name = "in"', 'name = "out"')
    parsed = parse_profile(profile(f'{SCANNER}usb_port = "usb-1"\n', f'{other}usb_port = "usb-2"\n'))
    assert [part.name for part in parsed.readers] == ["in", "out"]


WIEGAND = """
[[readers]]
name = "in"
driver = "wiegand"
direction = "in"
d0 = 23
d1 = 24
"""


def test_wiegand_reader_reads_the_hid_formats_unless_told_otherwise() -> None:
    (part,) = parse_profile('pin_factory = "mock"\n' + profile(WIEGAND + "bits = [26]\nmin_pulse_us = 0\n")).readers
    assert isinstance(part, WiegandReader)
    assert part.identity == Identity("in", Medium.HID, "wiegand")
    assert part.pulses == Pulses(bits=(26,), min_us=0)


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (profile(WIEGAND), r"pin_factory: missing, but readers\[0\]\.d0 is on GPIO"),
        (
            'pin_factory = "mock"\n' + profile(WIEGAND.replace("24", "23")),
            r"readers\[0\]\.d1: GPIO23 is already readers\[0\]\.d0",
        ),
        ('pin_factory = "mock"\n' + profile(WIEGAND + "bits = [27]\n"), r"bits"),
    ],
)
def test_wiegand_section_is_refused(text: str, refusal: str) -> None:
    with pytest.raises(ProfileError, match=refusal):
        parse_profile(text)


SERIAL = """
[[readers]]
name = "in"
driver = "serial"
direction = "in"
"""


@pytest.mark.parametrize("device", ["/dev/ttyUSB0", "/dev/ttyACM1", "/dev/serial/by-id/../../tty", "/etc/passwd"])
def test_serial_device_whose_name_may_change_is_refused(device: str) -> None:
    with pytest.raises(ProfileError, match=r"readers\[0\]\.device"):
        parse_profile(profile(f'{SERIAL}device = "{device}"\n'))


def test_one_line_is_one_reader() -> None:
    one = f'{SERIAL}device = "/dev/ttyAMA0"\n'
    with pytest.raises(ProfileError, match=r"readers\[1\]\.device: /dev/ttyAMA0 is also 'in'"):
        parse_profile(profile(one, one.replace('name = "in"', 'name = "out"')))
