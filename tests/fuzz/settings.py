"""Files that an installer writes: the agent's configuration and the hardware profile."""

from collections.abc import Iterator

from agent.config import parse_config
from agent.errors import ConfigError
from hardware.errors import ProfileError
from hardware.profiles import SHIPPED, Contact, Egress, GpioStrike, GpioTurnstile, LockType, Profile, parse_profile
from tests.fuzz.target import Target, holds
from tests.hardware.test_profile_rules import INTERLOCK, TURNSTILE, input_of
from tests.hardware.test_profiles import RELAY

_MAX_MESSAGE_CHARS = 1000

_CONFIGS = (
    b"",
    b'state = "/var/lib/doorstile"\nprofile = "acr122u-relay"\nlog_level = "debug"\n',
    b"[door]\nhold_off_s = 2.5\n[journal]\nmax_mib = 64\nkeep_acknowledged = 100\n[kiosk]\nenabled = false\nport = 0\n",
    b'[link]\nca_file = "/etc/ca.pem"\npin = "ab"\nproxy = "http://proxy:3128"\nopen_timeout_s = 5\n',
    b"door = {hold_off_s = 99}\nunknown = 1979-05-27T07:32:00Z\n",
)


def _text_of(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None  # reading the file refuses it first


def _configuration(data: bytes) -> None:
    text = _text_of(data)
    if text is None:
        return
    try:
        config = parse_config(text)
    except ConfigError as refusal:
        holds(len(str(refusal)) <= _MAX_MESSAGE_CHARS, "a refusal is short")
        return
    holds(0 <= config.door.hold_off_s <= 60 and config.journal.max_mib >= 1, "figures are within their bounds")


def _profile(data: bytes) -> None:
    text = _text_of(data)
    if text is None:
        return
    try:
        profile = parse_profile(text)
    except ProfileError as refusal:
        holds(len(str(refusal)) <= _MAX_MESSAGE_CHARS, "a refusal is short")
        return
    holds(len(profile.readers) >= 1, "a profile has a reader")
    _is_quiet(profile)
    _leaves_egress_alone(profile)


def _is_quiet(profile: Profile) -> None:
    outputs, inputs = profile.gpio_lines, profile.gpio_inputs
    used = [line.line for line in outputs.values()] + [part.line for part in inputs.values()]
    used += profile.reader_lines.values()
    holds(len(set(used)) == len(used), "no line is used twice, nor read and driven")
    for key, line in outputs.items():
        holds(key.startswith("light.") or not line.is_active_at_reset, "nothing but an LED is on at reset")
    for lock in (profile.strike, profile.turnstile):
        holds(lock is None or lock.pulse_s <= lock.ceiling_s, "no pulse is longer than its ceiling")
    for part in inputs.values():
        holds(part.fits_its_contact and 30 <= part.debounce_ms <= 150, "an input means what its contact says")


def _leaves_egress_alone(profile: Profile) -> None:
    needed = Contact.NC if profile.lock_type is LockType.FAIL_SAFE else Contact.NO
    if isinstance(profile.strike, GpioStrike):
        holds(profile.strike.contact is needed, "a relay at rest leaves the lock shut")
    if isinstance(profile.turnstile, GpioTurnstile):
        holds(profile.turnstile.contact is Contact.NO, "a relay at rest leaves the arms shut")
    if profile.strike is not None and profile.lock_type is LockType.FAIL_SAFE:
        holds(profile.egress is Egress.HARD_WIRED, "a magnet has a button of its own")


def _profiles() -> Iterator[bytes]:
    for path in sorted(SHIPPED.glob("*.toml")):
        yield path.read_bytes()
    yield from (text.encode() for text in (RELAY + INTERLOCK + input_of("rex"), TURNSTILE + input_of("busy")))


TARGETS = (
    Target("configuration", "the agent's configuration", _configuration, lambda: _CONFIGS),
    Target("profile", "hardware profiles", _profile, _profiles),
)
