"""Profiles that would not be quiet, or that trust the Pi with egress, are refused with key, value and remedy."""

import re

import pytest

from hardware.errors import ProfileError
from hardware.profiles import SHIPPED, GpioTurnstile, Profile, load_profile, parse_profile
from tests.hardware.test_profiles import MAGNET, RELAY, changed, real

pytestmark = pytest.mark.unit

OUTPUT = 'active_high = true, safe_state = "inactive"'
TURNSTILE = f"""
name = "turnstile"
description = "A turnstile"
pin_factory = "mock"
lock_type = "fail_safe"
egress = "mechanical"

[[readers]]
name = "in"
driver = "simulated"
direction = "in"

[turnstile]
driver = "gpio"
in = {{ line = 17, {OUTPUT} }}
out = {{ line = 27, {OUTPUT} }}
contact = "NO"
hang_guard = "timer_relay"
pulse_s = 0.5
ceiling_s = 2.0
passage_s = 8.0

[light]
driver = "none"

[buzzer]
driver = "none"
"""


def input_of(role: str = "contact", /, **changes: object) -> str:
    facts: dict[str, object] = {"line": 22, "pull": '"pull_up"', "contact": '"NO"', "active_high": "false"}
    facts |= changes
    lines = [f"{key} = {value}" for key, value in facts.items() if value is not None]
    return "\n".join([f'\n[[inputs]]\nname = "one"\ndriver = "gpio"\nrole = "{role}"', *lines, ""])


def refused(text: str) -> str:
    with pytest.raises(ProfileError) as error:
        parse_profile(text, source="door")
    return str(error.value)


def test_turnstile_names_its_lines_by_their_keys() -> None:
    profile = parse_profile(TURNSTILE)
    assert isinstance(profile.turnstile, GpioTurnstile)
    assert {key: line.line for key, line in profile.gpio_lines.items()} == {"turnstile.in": 17, "turnstile.out": 27}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('contact = "NO"', 'contact = "NC"', 'turnstile.contact: "NC" releases the arms while the relay rests'),
        ("line = 17", "line = 5", "turnstile.in.line: GPIO5 is high at reset, which switches it on"),
        ("line = 17", "line = 27", "turnstile.out.line: GPIO27 is already turnstile.in.line"),
        ("pulse_s = 0.5", "pulse_s = 2.5", "turnstile.pulse_s: 2.5 is above turnstile.ceiling_s 2.0; lower it"),
        ('hang_guard = "timer_relay"\n', "", "turnstile.hang_guard: missing; add it"),
        ('"fail_safe"', '"none"', 'turnstile: present, but lock_type is "none"'),
        ('pin_factory = "mock"\n', "", "pin_factory: missing, but turnstile.in is on GPIO"),
    ],
)
def test_turnstile_is_refused(old: str, new: str, message: str) -> None:
    assert old in TURNSTILE
    assert message in refused(TURNSTILE.replace(old, new, 1))


def test_turnstile_without_a_way_is_refused() -> None:
    lines = [line for line in TURNSTILE.splitlines() if not line.startswith(("in =", "out ="))]
    assert "turnstile: no way; name at least one of [turnstile.in], [turnstile.out]" in refused("\n".join(lines))


def test_turnstile_that_lets_nobody_in_is_refused_and_one_whose_way_out_is_free_is_not() -> None:
    way_in, way_out = (f"{way} = {{ line = {line}, {OUTPUT} }}\n" for way, line in (("in", 17), ("out", 27)))
    assert "turnstile.in: missing, but people come in through reader 'in'" in refused(TURNSTILE.replace(way_in, ""))
    assert isinstance(parse_profile(TURNSTILE.replace(way_out, "")), Profile)


def test_drop_arms_may_have_mechanical_egress_and_a_magnet_may_not() -> None:
    assert isinstance(parse_profile(TURNSTILE), Profile)
    mechanical = changed(*MAGNET[:2])
    assert 'egress: "mechanical", but a fail_safe lock holds whatever the handle does' in refused(mechanical)
    entry_only = mechanical.replace('egress = "mechanical"\n', "").replace('direction = "out"', 'direction = "in"')
    assert "egress: missing, but a fail_safe lock holds" in refused(entry_only)


@pytest.mark.parametrize("role", ["rex", "fire"])
def test_exit_button_or_fire_contact_without_egress_of_its_own_is_refused(role: str) -> None:
    entry_only = RELAY.replace('egress = "mechanical"\n', "").replace('direction = "out"', 'direction = "in"')
    assert isinstance(parse_profile(entry_only + input_of("contact")), Profile)
    message = refused(entry_only + input_of(role))
    assert "egress: missing, but input 'one' is only sensed and opens nothing" in message
    assert "hard_wired" in message


def test_kiosk_may_sense_whatever_it_likes() -> None:
    strike = RELAY[RELAY.index("[strike]") : RELAY.index("[light]")]
    kiosk = RELAY.replace(strike, "").replace('"fail_secure"', '"none"').replace('egress = "mechanical"\n', "")
    assert isinstance(parse_profile(kiosk + input_of("fire")), Profile)


@pytest.mark.parametrize("pull", ["pull_up", "pull_down"])
@pytest.mark.parametrize("contact", ["NO", "NC"])
@pytest.mark.parametrize("active_high", ["true", "false"])
def test_polarity_that_contradicts_contact_and_pull_is_refused(pull: str, contact: str, active_high: str) -> None:
    """A closed circuit pulls against the resistor; active is closed for NO and open for NC."""
    closed_is_high = pull == "pull_down"
    active_is_high = closed_is_high if contact == "NO" else not closed_is_high
    text = RELAY + input_of(pull=f'"{pull}"', contact=f'"{contact}"', active_high=active_high)
    if active_is_high == (active_high == "true"):
        assert isinstance(parse_profile(text), Profile)
    else:
        right = str(active_is_high).lower()
        message = refused(text)
        assert f'inputs[0].active_high: {active_high} contradicts contact "{contact}" with {pull}' in message
        assert f"where active is {'high' if active_is_high else 'low'}; say active_high = {right}" in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"contact": None}, 'inputs[0].contact: missing; say how the circuit is while the input is inactive: "NO" or'),
        ({"line": 17}, "inputs[0].line: GPIO17 is already strike.line, and the contact input is only ever read"),
        ({"line": 28}, "inputs[0].line: Expected `int` <= 27, got 28"),
        ({"debounce_ms": 29}, "inputs[0].debounce_ms: Expected `int` >= 30, got 29"),
        ({"debounce_ms": 151}, "inputs[0].debounce_ms: Expected `int` <= 150, got 151"),
        ({"pull": '"none"', "line": 2}, 'inputs[0].pull: "none" on GPIO2, which the board pulls up by 1.8 kilohm'),
        ({"safe_state": '"inactive"'}, "inputs[0].safe_state: unknown key"),
    ],
)
def test_input_is_refused(changes: dict[str, object], message: str) -> None:
    assert message in refused(RELAY + input_of(**changes))


def test_driven_input_needs_no_contact() -> None:
    profile = parse_profile(RELAY + input_of(pull='"none"', contact=None))
    assert profile.gpio_inputs["inputs[0]"].fits_its_contact


def test_fire_contact_on_an_output_is_refused() -> None:
    message = refused(RELAY + input_of("fire", line=17))
    assert "inputs[0].line: GPIO17 is already strike.line, and the fire input is only ever read" in message


def test_two_inputs_on_one_line_are_refused() -> None:
    second = input_of("tamper").replace('"one"', '"two"')
    assert "inputs[1].line: GPIO22 is already inputs[0].line" in refused(RELAY + input_of() + second)


def test_busy_input_without_a_turnstile_is_refused() -> None:
    assert 'inputs[0].role: "busy" is a turnstile\'s, and there is none' in refused(RELAY + input_of("busy"))
    assert isinstance(parse_profile(TURNSTILE + input_of("busy")), Profile)


def test_input_alone_asks_for_a_pin_factory() -> None:
    text = changed(('pin_factory = "mock"\n', ""))
    gpio = text[text.index("[strike]") :]
    bare = text.replace(gpio, '[strike]\ndriver = "simulated"\npulse_s = 3.0\nceiling_s = 8.0\n')
    bare += '[light]\ndriver = "none"\n[buzzer]\ndriver = "none"\n'
    assert "pin_factory: missing, but inputs[0] is on GPIO" in refused(bare + input_of())


LEAF = '\n[[inputs]]\nname = "leaf"\ndriver = "simulated"\nrole = "contact"\n'
INTERLOCK = LEAF + '\n[interlock]\ndriver = "gpio"\nline = 24\nactive_high = true\nsafe_state = "inactive"\n'


def test_interlock_line_is_an_output_like_any_other() -> None:
    assert parse_profile(RELAY + INTERLOCK).gpio_lines["interlock"].line == 24
    at_reset = INTERLOCK.replace("active_high = true", "active_high = false")
    assert "interlock.line: GPIO24 is low at reset, which switches it on" in refused(RELAY + at_reset)
    cured = at_reset + 'external_resistor = "pull_up"\n'
    assert isinstance(parse_profile(RELAY + cured), Profile)


def test_interlock_without_a_contact_is_refused() -> None:
    """The other door must stay shut while somebody goes through, and a pulse does not last that long."""
    assert 'interlock: present, but no input has the role "contact"' in refused(RELAY + INTERLOCK.replace(LEAF, ""))
    assert isinstance(parse_profile(TURNSTILE + INTERLOCK.replace(LEAF, "")), Profile)


@pytest.mark.parametrize("line", [0, 1, 14, 15])
@pytest.mark.parametrize("active_high", ["true", "false"])
def test_what_moves_hangs_on_no_line_that_is_driven_at_boot(line: int, active_high: str) -> None:
    resistor = "pull_down" if active_high == "true" else "pull_up"
    cured = f'line = {line}\nactive_high = {active_high}\nexternal_resistor = "{resistor}"'
    assert f"strike.line: GPIO{line} is driven at boot" in refused(changed(("line = 17\nactive_high = true", cured)))
    assert f"buzzer.line: GPIO{line} is driven at boot" in refused(changed(("line = 18\nactive_high = true", cured)))
    assert isinstance(parse_profile(changed(("green = { line = 6", f"green = {{ line = {line}"))), Profile)


@pytest.mark.parametrize("device", ["/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0"])
@pytest.mark.parametrize("line", [14, 15])
def test_lines_of_the_serial_port_belong_to_its_reader(device: str, line: int) -> None:
    serial = f'driver = "serial"\ndirection = "in"\ndevice = "{device}"\n'
    text = changed(('driver = "pcsc"\ndirection = "in"\nmatch = "ACR122"\n', serial)) + input_of(line=line)
    assert f"inputs[0].line: GPIO{line} is already {device}" in refused(text)
    elsewhere = text.replace(device, "/dev/serial/by-id/usb-Newland")
    assert isinstance(parse_profile(elsewhere), Profile)


def test_interlock_without_a_lock_is_refused() -> None:
    strike = RELAY[RELAY.index("[strike]") : RELAY.index("[light]")]
    kiosk = RELAY.replace(strike, "").replace('"fail_secure"', '"none"')
    assert 'interlock: present, but lock_type is "none"' in refused(kiosk + INTERLOCK)


def test_buzzer_that_sounds_at_boot_is_refused() -> None:
    text = changed(("line = 18\nactive_high = true", "line = 18\nactive_high = false"))
    assert "buzzer.line: GPIO18 is low at reset, which switches it on" in refused(text)


@pytest.mark.parametrize("line", [2, 3])
def test_resistor_that_the_board_outweighs_is_refused(line: int) -> None:
    cure = f'line = {line}\nactive_high = true\nexternal_resistor = "pull_down"'
    message = refused(changed(("line = 17\nactive_high = true", cure)))
    assert f'strike.external_resistor: "pull_down" on GPIO{line} does not outweigh' in message


def test_line_of_the_displays_bus_is_refused() -> None:
    display = '\n[display]\ndriver = "hd44780"\naddress = 0x27\n'
    text = changed(("green = { line = 6", "green = { line = 2")) + display
    assert "light.green.line: GPIO2 is already the display's I2C bus" in refused(text)
    assert isinstance(parse_profile(text + "bus = 3\n"), Profile)


def test_passes_ask_for_a_battery_backed_clock() -> None:
    head = 'verifies_passes = true\nname = "door"'
    message = refused(changed(('name = "door"', head)))
    assert re.search(r"rtc: false, but verifies_passes is true; .*say rtc = true", message)
    assert parse_profile(changed(('name = "door"', f"rtc = true\n{head}"))).verifies_passes


@pytest.mark.parametrize("key", ["strike", "turnstile", "interlock"])
def test_nothing_that_opens_hangs_beside_a_simulated_reader(key: str) -> None:
    played = 'pin_factory = "mock"\n' + (SHIPPED / "simulated.toml").read_text() + INTERLOCK.replace(LEAF, "")
    text = {"strike": RELAY, "turnstile": TURNSTILE, "interlock": played}[key]
    message = refused(text.replace('"mock"', '"lgpio"'))
    assert f'{key}.driver: "gpio" beside simulated reader' in message
    assert f'say {key}.driver = "simulated"' in message


def test_real_readers_stand_beside_real_outputs() -> None:
    assert isinstance(parse_profile(real(RELAY)), Profile)


@pytest.mark.parametrize(
    ("name", "is_simulated"),
    [("simulated", True), ("simulated-turnstile", True), ("desk", False), ("wiegand-door", False)],
)
def test_what_may_be_played_has_nothing_real(name: str, is_simulated: bool) -> None:
    assert load_profile(name).is_simulated is is_simulated


@pytest.mark.parametrize("part", [input_of(), '\n[display]\ndriver = "hd44780"\naddress = 0x27\n'])
def test_one_real_part_is_enough_to_be_real(part: str) -> None:
    text = 'pin_factory = "mock"\n' + (SHIPPED / "simulated.toml").read_text()
    assert not parse_profile(text + part).is_simulated
