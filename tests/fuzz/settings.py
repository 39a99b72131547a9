"""Files that an installer writes: the agent's configuration and the hardware profile."""

from collections.abc import Iterator

from agent.config import parse_config
from agent.errors import ConfigError
from hardware.errors import ProfileError
from hardware.profiles import SHIPPED, GpioStrike, parse_profile
from tests.fuzz.target import Target, holds

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
    lines = profile.gpio_lines
    holds(len({line.line for line in lines.values()}) == len(lines), "no line is used twice")
    strike = profile.strike
    if isinstance(strike, GpioStrike):
        holds(not strike.gpio.is_active_at_reset, "no relay is energised at reset")
        holds(strike.pulse_s <= strike.ceiling_s, "no pulse is longer than its ceiling")


def _profiles() -> Iterator[bytes]:
    for path in sorted(SHIPPED.glob("*.toml")):
        yield path.read_bytes()


TARGETS = (
    Target("configuration", "the agent's configuration", _configuration, lambda: _CONFIGS),
    Target("profile", "hardware profiles", _profile, _profiles),
)
