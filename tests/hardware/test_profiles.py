"""Shipped profiles load; whatever is unsafe, unknown or ill-typed is refused by its full key, value and remedy."""

import re
from pathlib import Path

import pytest

from hardware.errors import HardwareError, ProfileError
from hardware.profiles import (
    Direction,
    GpioBuzzer,
    GpioLight,
    GpioStrike,
    LockType,
    PcscReader,
    Profile,
    load_profile,
    parse_profile,
    shipped_profiles,
)
from hardware.sections.rules import BOOT_LINES

pytestmark = pytest.mark.unit

RELAY = """
name = "door"
description = "A door"
pin_factory = "mock"
lock_type = "fail_secure"
egress = "mechanical"

[[readers]]
name = "in"
driver = "pcsc"
direction = "in"
match = "ACR122"

[[readers]]
name = "out"
driver = "simulated"
direction = "out"

[strike]
driver = "gpio"
line = 17
active_high = true
safe_state = "inactive"
contact = "NO"
pulse_s = 3.0
ceiling_s = 8.0
hang_guard = "timer_relay"

[light]
driver = "gpio"
red = { line = 5, active_high = true, safe_state = "inactive" }
green = { line = 6, active_high = true, safe_state = "inactive" }

[buzzer]
driver = "gpio"
line = 18
active_high = true
safe_state = "inactive"
"""


def real(text: str) -> str:
    """Return a profile of real lines: with no simulated reader, beside which no line may open anything."""
    second = 'driver = "pcsc"\ndirection = "out"\nmatch = "ACR122"\nindex = 1'
    return text.replace('"mock"', '"lgpio"').replace('driver = "simulated"\ndirection = "out"', second)


def changed(*replacements: tuple[str, str]) -> str:
    text = RELAY
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    return text


def test_shipped_profiles_load_under_their_own_name() -> None:
    assert {"acr122u-kiosk", "acr122u-relay", "desk", "simulated", "usb-turnstile"} <= set(shipped_profiles())
    for name in shipped_profiles():
        assert load_profile(name).name == name


def test_desk_has_no_door() -> None:
    desk = load_profile("desk")
    assert (desk.desk, desk.lock_type, desk.strike) == (True, LockType.NONE, None)
    with pytest.raises(ProfileError, match='desk: true, but lock_type is "fail_secure"; a desk opens nothing'):
        parse_profile(f"desk = true\n{RELAY}")


def test_relay_profile_says_what_it_drives() -> None:
    profile = load_profile("acr122u-relay")
    assert isinstance(profile.strike, GpioStrike)
    assert (profile.strike.line, profile.strike.ceiling_s) == (17, 8.0)
    assert isinstance(profile.readers[0], PcscReader)
    assert profile.readers[0].direction is Direction.IN


def test_kiosk_has_no_lock() -> None:
    profile = load_profile("acr122u-kiosk")
    assert profile.lock_type is LockType.NONE
    assert profile.strike is None


def test_full_profile_names_every_line_by_its_key() -> None:
    profile = parse_profile(RELAY)
    assert {key: line.line for key, line in profile.gpio_lines.items()} == {
        "strike": 17,
        "light.red": 5,
        "light.green": 6,
        "buzzer": 18,
    }
    assert isinstance(profile.light, GpioLight)
    assert isinstance(profile.buzzer, GpioBuzzer)


def test_profile_loads_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "door.toml"
    path.write_text(RELAY)
    assert load_profile(path) == load_profile(str(path)) == parse_profile(RELAY)


@pytest.mark.parametrize(("event_reader", "name"), [("in", "in"), ("out", "out"), ("in.3", "in")])
def test_event_leads_back_to_its_reader(event_reader: str, name: str) -> None:
    assert parse_profile(RELAY).reader(event_reader).name == name


def test_event_of_an_unknown_reader_is_an_error() -> None:
    with pytest.raises(HardwareError, match="no reader 'side'; it has: in, out"):
        parse_profile(RELAY).reader("side")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        pytest.param("line = 17", "lin = 17", "strike.lin: unknown key", id="unknown key"),
        pytest.param("line = 5,", "line = 5, lumen = 3,", "light.red.lumen: unknown key", id="unknown nested key"),
        pytest.param(
            'match = "ACR122"', 'match = "ACR122"\nslot = 1', "readers[0].slot: unknown key", id="in an array"
        ),
        pytest.param('name = "door"', 'name = "door"\ncolour = 1', "colour: unknown key", id="unknown top key"),
        pytest.param("line = 17\n", "", "strike.line: missing; add it", id="missing key"),
        pytest.param('driver = "pcsc"\n', "", "readers[0].driver: missing; add it", id="missing driver"),
        pytest.param("line = 17", 'line = "17"', "strike.line: Expected `int`, got `str`, got '17'", id="ill-typed"),
        pytest.param("line = 17", "line = 28", "strike.line: Expected `int` <= 27, got 28", id="no such line"),
        pytest.param(
            'driver = "pcsc"',
            'driver = "nfc"',
            "readers[0].driver: no driver 'nfc'; use one of evdev, osdp, pcsc, serial, simulated, wiegand",
            id="unknown reader driver",
        ),
        pytest.param(
            '[buzzer]\ndriver = "gpio"',
            '[buzzer]\ndriver = "horn"',
            "buzzer.driver: no driver 'horn'; use one of acr122u, gpio, none, osdp, simulated",
            id="unknown buzzer driver",
        ),
        pytest.param('"mock"', '"auto"', "pin_factory: Invalid enum value 'auto'", id="unknown pin factory"),
        pytest.param('name = "in"', 'name = "In"', "readers[0].name: Expected `str` matching", id="bad name"),
        pytest.param('name = "out"', 'name = "in"', "readers[1].name: 'in' is used twice", id="name used twice"),
        pytest.param('pin_factory = "mock"\n', "", "pin_factory: missing, but strike is on GPIO", id="no pin factory"),
        pytest.param('egress = "mechanical"\n', "", "egress: missing, but people leave through", id="no free egress"),
        pytest.param('"fail_secure"', '"none"', 'strike: present, but lock_type is "none"', id="lock without type"),
        pytest.param("pulse_s = 3.0", "pulse_s = 9.0", "strike.pulse_s: 9.0 is above", id="pulse above ceiling"),
        pytest.param("ceiling_s = 8.0", "ceiling_s = 61.0", "strike.ceiling_s: Expected", id="ceiling too high"),
        pytest.param("pulse_s = 3.0", "pulse_s = 0", "strike.pulse_s: Expected", id="no pulse"),
        pytest.param('"NO"', '"NC"', 'wire the lock through "NO"', id="strike fed at rest"),
        pytest.param('"fail_secure"', '"fail_safe"', 'wire the lock through "NC"', id="magnet unfed at rest"),
        pytest.param("line = 18", "line = 17", "buzzer.line: GPIO17 is already strike.line", id="line used twice"),
        pytest.param(
            'safe_state = "inactive"',
            'safe_state = "active"',
            'strike.safe_state: "active" would leave',
            id="unsafe rest",
        ),
    ],
)
def test_profile_is_refused(old: str, new: str, message: str) -> None:
    with pytest.raises(ProfileError, match=re.escape(message)):
        parse_profile(changed((old, new)))


def test_lock_without_strike_is_refused() -> None:
    text = RELAY.replace(RELAY[RELAY.index("[strike]") : RELAY.index("[light]")], "")
    with pytest.raises(ProfileError, match=r"strike: missing, but lock_type is \"fail_secure\""):
        parse_profile(text)


TURNSTILE = """
[turnstile]
driver = "simulated"
pulse_s = 0.5
ceiling_s = 2.0
passage_s = 8.0
"""


def test_strike_and_turnstile_in_one_profile_are_refused() -> None:
    with pytest.raises(ProfileError, match=r"turnstile: present beside \[strike\]; a profile is one door"):
        parse_profile(RELAY + TURNSTILE)


def test_turnstile_without_lock_type_is_refused() -> None:
    text = RELAY.replace(RELAY[RELAY.index("[strike]") : RELAY.index("[light]")], "").replace('"fail_secure"', '"none"')
    with pytest.raises(ProfileError, match='turnstile: present, but lock_type is "none"'):
        parse_profile(text + TURNSTILE)


def test_turnstile_pulse_above_its_ceiling_is_refused() -> None:
    text = RELAY.replace(RELAY[RELAY.index("[strike]") : RELAY.index("[light]")], "")
    with pytest.raises(ProfileError, match=r"turnstile\.pulse_s: 2\.5 is above turnstile\.ceiling_s 2\.0"):
        parse_profile(text + TURNSTILE.replace("pulse_s = 0.5", "pulse_s = 2.5"))


def test_inputs_of_one_name_are_refused() -> None:
    one = '[[inputs]]\nname = "rex"\ndriver = "simulated"\nrole = "rex"\n'
    with pytest.raises(ProfileError, match=r"inputs\[1\]\.name: 'rex' is used twice"):
        parse_profile(RELAY + one + one)


def test_light_without_an_led_is_refused() -> None:
    lines = [line for line in RELAY.splitlines() if not line.startswith(("red", "green"))]
    with pytest.raises(ProfileError, match="light: no LED"):
        parse_profile("\n".join(lines))


def test_profile_without_readers_is_refused() -> None:
    text = "readers = []\n" + RELAY.replace(RELAY[RELAY.index("[[readers]]") : RELAY.index("[strike]")], "")
    with pytest.raises(ProfileError, match="readers: Expected"):
        parse_profile(text)


MAGNET = (('"fail_secure"', '"fail_safe"'), ('"NO"', '"NC"'), ('"mechanical"', '"hard_wired"'))


def test_magnet_through_the_closed_contact_is_accepted() -> None:
    profile = parse_profile(changed(*MAGNET))
    assert profile.lock_type is LockType.FAIL_SAFE


@pytest.mark.parametrize("line", [line for line in range(2, 28) if line not in BOOT_LINES])
@pytest.mark.parametrize("active_high", [True, False])
@pytest.mark.parametrize("resistor", [None, "pull_up", "pull_down"])
def test_relay_energised_at_reset_is_refused(line: int, active_high: bool, resistor: str | None) -> None:
    level_is_high = resistor == "pull_up" if resistor else line <= 8
    strike = f"line = {line}\nactive_high = {str(active_high).lower()}"
    if resistor:
        strike += f'\nexternal_resistor = "{resistor}"'
    # Only the strike is on GPIO here, so that no line is used twice.
    text = changed(("line = 17\nactive_high = true", strike))
    text = text[: text.index("[light]")] + '[light]\ndriver = "none"\n[buzzer]\ndriver = "none"\n'
    if line in {2, 3} and resistor == "pull_down":
        with pytest.raises(ProfileError, match="does not outweigh"):
            parse_profile(text)
    elif level_is_high == active_high:
        with pytest.raises(ProfileError, match=rf"strike\.line: GPIO{line} is (high|low) at reset.*external_resistor"):
            parse_profile(text)
    else:
        assert isinstance(parse_profile(text), Profile)


def test_unknown_name_lists_the_shipped_ones() -> None:
    with pytest.raises(ProfileError, match="'nonesuch' is not shipped; use one of acr122u-door, acr122u-kiosk, acr"):
        load_profile("nonesuch")


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"absent\.toml: cannot be read"):
        load_profile(tmp_path / "absent.toml")


def test_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "door.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ProfileError, match="cannot be read"):
        load_profile(path)


def test_broken_toml_names_the_line() -> None:
    with pytest.raises(ProfileError, match=r"profile mine: not valid TOML: .*line 2"):
        parse_profile("name = 'x'\nname =\n", source="mine")


@pytest.mark.parametrize("text", ["a = " + "[" * 2000, "a = " + "1" * 5000])
def test_toml_that_is_too_deep_or_too_long_is_refused(text: str) -> None:
    with pytest.raises(ProfileError, match="not valid TOML"):
        parse_profile(text)


@pytest.mark.parametrize(
    "text", ["readers = 3", "readers = [3]", "strike = []", "light = 'x'", "readers = [{driver = {}}]", ""]
)
def test_sections_of_the_wrong_shape_are_refused(text: str) -> None:
    with pytest.raises(ProfileError):
        parse_profile(text)
