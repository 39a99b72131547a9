"""A reader that sounds before anybody has decided is named, with what would stop it."""

from pathlib import Path

import pytest

from hardware.discover import Found, look
from hardware.presence import rows
from hardware.profiles import load_profile
from hardware.readers.beeps import passes_commands

pytestmark = pytest.mark.unit

ACR122U = "ACS ACR122U PICC Interface 00 00"
PLIST = "<key>ifdDriverOptions</key>\n\t<string>{}</string>"


def _plist(root: Path, options: str) -> Path:
    path = root / "etc" / "libccid_Info.plist"
    path.parent.mkdir()
    path.write_text(PLIST.format(options))
    return path


@pytest.mark.parametrize(("options", "is_told"), [("0x0000", False), ("0x0001", True), ("5", True), ("0x0004", False)])
def test_daemon_passes_commands_where_its_options_say_so(tmp_path: Path, options: str, is_told: bool) -> None:
    assert passes_commands(_plist(tmp_path, options)) is is_told
    assert look(tmp_path, names=list).passes_commands is is_told


def test_daemon_without_options_passes_none(tmp_path: Path) -> None:
    assert not passes_commands(tmp_path / "absent")
    (tmp_path / "empty").write_text("<plist/>")
    assert not passes_commands(tmp_path / "empty")


def _beeps(profile: str, found: Found) -> dict[str, str]:
    return {row.key: row.beep for row in rows(load_profile(profile), found) if row.beep}


@pytest.mark.parametrize(
    ("profile", "key", "remedy"),
    [
        ("usb-scanner-kiosk", "readers.desk", "scan the code for that in its manual"),
        ("serial-scanner-kiosk", "readers.desk", "scan the code for that in its manual"),
        ("wiegand-door", "readers.in.d0", "unless its manual says how"),
        ("acr122u-kiosk", "readers.in", "set ifdDriverOptions to 0x0001 in /etc/libccid_Info.plist"),
    ],
)
def test_reader_that_sounds_by_itself_is_named_with_what_would_stop_it(profile: str, key: str, remedy: str) -> None:
    beeps = _beeps(profile, Found(pcsc=(ACR122U,)))
    assert remedy in next(iter(beeps.values())), beeps
    assert all(row.startswith("readers.") for row in beeps)
    assert key.partition(".")[0] == "readers"


def test_reader_that_is_told_to_be_silent_is_not_named() -> None:
    assert _beeps("acr122u-kiosk", Found(pcsc=(ACR122U,), passes_commands=True)) == {}
    assert _beeps("acr122u-kiosk", Found(pcsc=("Another Reader 00 00",))) == {}
    assert _beeps("simulated", Found()) == {}
