"""The profile: one TOML file that names every driver and line at a door, and is refused where it would be unsafe.

Electrical rules and their sources:

- After reset and until a program drives them, GPIO 0-8 are pulled up and 9-27 down (BCM2711 ARM Peripherals, section
  5.3, "Pull" column of the alternative-function table; RP1 on the Pi 5 keeps the same defaults). An output whose reset
  level equals its active level would energise the relay at every boot, so it needs a declared external resistor, which
  outweighs the internal pull of about 50 kilohm.
- On always means *let through*: a fail-secure strike is fed through the relay's NO contact, a fail-safe magnet through
  NC. The other pairings would leave the door open whenever the relay rests, and are refused.
- A lock that somebody leaves through needs egress that works without us, mechanical or hard-wired.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Literal, get_args

import msgspec

from hardware.errors import HardwareError, ProfileError
from hardware.explain import NotTomlError, explain, read_toml

SHIPPED = Path(__file__).parent / "profiles"
MAX_CEILING_S = 60.0
FIRST_PULLED_DOWN = 9

_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=MAX_CEILING_S)]


class Direction(StrEnum):
    """Which way somebody who presents here wants to go; ``toggle`` is whichever way they did not go last."""

    IN = "in"
    OUT = "out"
    TOGGLE = "toggle"


class LockType(StrEnum):
    FAIL_SECURE = "fail_secure"
    """Locked without power: strikes."""
    FAIL_SAFE = "fail_safe"
    """Unlocked without power: magnets."""
    NONE = "none"
    """Nothing to unlock: a check-in kiosk."""


class Contact(StrEnum):
    """The relay's contact that feeds the lock: open (NO) or closed (NC) while the relay rests."""

    NO = "NO"
    NC = "NC"


class Pull(StrEnum):
    UP = "pull_up"
    DOWN = "pull_down"


class SafeState(StrEnum):
    """The state that a line is left in. ``active`` exists to be refused with a reason."""

    INACTIVE = "inactive"
    ACTIVE = "active"


class HangGuard(StrEnum):
    """What ends a pulse when the kernel itself hangs in the middle of it."""

    HARDWARE_WATCHDOG = "hardware_watchdog"
    TIMER_RELAY = "timer_relay"


class Egress(StrEnum):
    """How people get out with the Pi unpowered."""

    MECHANICAL = "mechanical"
    HARD_WIRED = "hard_wired"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="driver"):
    """A section of a profile."""


class GpioLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One output line by its BCM number (not the position on the header)."""

    line: Annotated[int, msgspec.Meta(ge=0, le=27)]
    active_high: bool
    safe_state: SafeState
    external_resistor: Pull | None = None

    @property
    def reset_pull(self) -> Pull:
        """What holds the line while nobody drives it."""
        return self.external_resistor or (Pull.DOWN if self.line >= FIRST_PULLED_DOWN else Pull.UP)

    @property
    def is_active_at_reset(self) -> bool:
        return (self.reset_pull is Pull.UP) == self.active_high


class _ReaderPart(_Part, frozen=True, kw_only=True):
    name: _Name
    direction: Direction


class SimulatedReader(_ReaderPart, frozen=True, tag="simulated"):
    """Driven by the program: demo, laptop, tests."""


class PcscReader(_ReaderPart, frozen=True, tag="pcsc"):
    """Readers of the PC/SC daemon whose name contains ``match``.

    ``slots = "one"`` takes the one at ``index`` of the sorted names; ``"all"`` takes every one, now or later, each
    reporting as ``name.0``, ``name.1`` in sorted order of first appearance.
    """

    match: Annotated[str, msgspec.Meta(min_length=1)]
    slots: Literal["one", "all"] = "one"
    index: Annotated[int, msgspec.Meta(ge=0, le=15)] = 0


class _StrikePart(_Part, frozen=True, kw_only=True):
    pulse_s: _Seconds
    ceiling_s: _Seconds


class SimulatedStrike(_StrikePart, frozen=True, tag="simulated"):
    """Records instead of switching."""


class GpioStrike(_StrikePart, frozen=True, tag="gpio"):
    """A relay on one GPIO line."""

    line: Annotated[int, msgspec.Meta(ge=0, le=27)]
    active_high: bool
    safe_state: SafeState
    contact: Contact
    hang_guard: HangGuard
    external_resistor: Pull | None = None

    @property
    def gpio(self) -> GpioLine:
        return GpioLine(
            line=self.line,
            active_high=self.active_high,
            safe_state=self.safe_state,
            external_resistor=self.external_resistor,
        )


class NoLight(_Part, frozen=True, tag="none"):
    """This door has no light of ours."""


class SimulatedLight(_Part, frozen=True, tag="simulated"):
    """Records instead of shining."""


class GpioLight(_Part, frozen=True, tag="gpio"):
    """One to three LEDs. A signal lights those of its colours that exist."""

    red: GpioLine | None = None
    green: GpioLine | None = None
    blue: GpioLine | None = None

    @property
    def lines(self) -> dict[str, GpioLine]:
        every = {"red": self.red, "green": self.green, "blue": self.blue}
        return {colour: line for colour, line in every.items() if line is not None}


class NoBuzzer(_Part, frozen=True, tag="none"):
    """This door has no buzzer of ours."""


class SimulatedBuzzer(_Part, frozen=True, tag="simulated"):
    """Records instead of sounding."""


class GpioBuzzer(_Part, frozen=True, tag="gpio"):
    """An active buzzer: it sounds while its line is on."""

    line: Annotated[int, msgspec.Meta(ge=0, le=27)]
    active_high: bool
    safe_state: SafeState

    @property
    def gpio(self) -> GpioLine:
        return GpioLine(line=self.line, active_high=self.active_high, safe_state=self.safe_state)


ReaderPart = SimulatedReader | PcscReader
StrikePart = SimulatedStrike | GpioStrike
LightPart = NoLight | SimulatedLight | GpioLight
BuzzerPart = NoBuzzer | SimulatedBuzzer | GpioBuzzer


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One door's hardware, complete and checked. Made by ``load_profile`` only."""

    name: _Name
    description: str
    lock_type: LockType
    readers: Annotated[tuple[ReaderPart, ...], msgspec.Meta(min_length=1, max_length=8)]
    strike: StrikePart | None = None
    light: LightPart
    buzzer: BuzzerPart
    pin_factory: Literal["lgpio", "mock"] | None = None
    egress: Egress | None = None

    PARTS: ClassVar[Mapping[str, object]] = {
        "readers": ReaderPart,
        "strike": StrikePart,
        "light": LightPart,
        "buzzer": BuzzerPart,
    }

    def reader(self, event_reader: str) -> ReaderPart:
        """The section behind the ``reader`` of an event, which is its name or ``name.slot``."""
        for part in self.readers:
            if part.name == event_reader.partition(".")[0]:
                return part
        known = ", ".join(part.name for part in self.readers)
        raise HardwareError(f"profile {self.name!r} has no reader {event_reader!r}; it has: {known}")

    @property
    def gpio_lines(self) -> dict[str, GpioLine]:
        """Every GPIO line by its full key in the file."""
        lines: dict[str, GpioLine] = {}
        if isinstance(self.strike, GpioStrike):
            lines["strike"] = self.strike.gpio
        if isinstance(self.light, GpioLight):
            lines |= {f"light.{colour}": line for colour, line in self.light.lines.items()}
        if isinstance(self.buzzer, GpioBuzzer):
            lines["buzzer"] = self.buzzer.gpio
        return lines


def shipped_profiles() -> tuple[str, ...]:
    """The names that ``load_profile`` knows without a path."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.toml")))


def load_profile(name_or_path: str | Path) -> Profile:
    """Read and check a profile: a shipped one by its bare name, any other by a path that ends in ``.toml``.

    ProfileError names the file, the full key, the value and the remedy.
    """
    path = _find(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"profile {path}: cannot be read ({error}); check the path and its permissions") from error
    return parse_profile(text, source=str(path))


def parse_profile(text: str, *, source: str = "<text>") -> Profile:
    """Check the text of a profile. ``source`` is how messages call it."""
    try:
        raw = read_toml(text)
    except NotTomlError as error:
        raise ProfileError(f"profile {source}: not valid TOML: {error}; correct that line") from error
    try:
        _refuse_unknown_drivers(raw)
        profile = msgspec.convert(raw, Profile)
    except msgspec.ValidationError as error:
        raise ProfileError(f"profile {source}: {explain(error, raw)}") from error
    except ProfileError as error:
        raise ProfileError(f"profile {source}: {error}") from None
    problem = next(_problems(profile), None)
    if problem is not None:
        raise ProfileError(f"profile {source}: {problem}")
    return profile


def driver_parts(section: str) -> dict[str, type[_Part]]:
    """Driver name to the type of its options, for ``readers``, ``strike``, ``light`` or ``buzzer``."""
    return {str(part.__struct_config__.tag): part for part in get_args(Profile.PARTS[section])}


def _find(name_or_path: str | Path) -> Path:
    if isinstance(name_or_path, Path) or name_or_path.endswith(".toml"):
        return Path(name_or_path)
    if name_or_path not in shipped_profiles():
        known = ", ".join(shipped_profiles())
        raise ProfileError(f"profile {name_or_path!r} is not shipped; use one of {known}, or a path ending in .toml")
    return SHIPPED / f"{name_or_path}.toml"


def _refuse_unknown_drivers(raw: dict[str, object]) -> None:
    for key, section, part in _raw_parts(raw):
        driver = part.get("driver")
        known = driver_parts(section)
        if isinstance(driver, str) and driver not in known:
            raise ProfileError(f"{key}.driver: no driver {driver[:40]!r}; use one of {', '.join(sorted(known))}")


def _raw_parts(raw: dict[str, object]) -> Iterator[tuple[str, str, dict[str, object]]]:
    for section in Profile.PARTS:
        found = raw.get(section)
        if isinstance(found, dict):
            yield section, section, found
        elif isinstance(found, list):
            yield from ((f"{section}[{at}]", section, part) for at, part in enumerate(found) if isinstance(part, dict))


def _problems(profile: Profile) -> Iterator[str]:
    yield from _reader_problems(profile)
    yield from _lock_problems(profile)
    yield from _line_problems(profile)


def _reader_problems(profile: Profile) -> Iterator[str]:
    names = [part.name for part in profile.readers]
    for at, name in enumerate(names):
        if name in names[:at]:
            yield f"readers[{at}].name: {name!r} is used twice; give every reader its own name"
    exits = [part.name for part in profile.readers if part.direction is not Direction.IN]
    if exits and profile.lock_type is not LockType.NONE and profile.egress is None:
        yield (
            f"egress: missing, but people leave through reader {exits[0]!r} and a lock; declare the free way out that "
            'works without power: "mechanical" or "hard_wired"'
        )


def _lock_problems(profile: Profile) -> Iterator[str]:
    strike, lock = profile.strike, profile.lock_type
    if lock is LockType.NONE:
        if strike is not None:
            yield 'strike: present, but lock_type is "none"; remove [strike] or state the lock type'
        return
    if strike is None:
        yield f'strike: missing, but lock_type is "{lock}"; add [strike] or set lock_type = "none"'
        return
    if strike.pulse_s > strike.ceiling_s:
        yield f"strike.pulse_s: {strike.pulse_s} is above strike.ceiling_s {strike.ceiling_s}; lower it"
    if isinstance(strike, GpioStrike):
        yield from _relay_problems(strike, lock)


def _relay_problems(strike: GpioStrike, lock: LockType) -> Iterator[str]:
    needed = Contact.NO if lock is LockType.FAIL_SECURE else Contact.NC
    if strike.contact is not needed:
        yield (
            f'strike.contact: "{strike.contact}" with a {lock} lock leaves the door open while the relay rests; '
            f'wire the lock through "{needed}"'
        )
    if strike.gpio.is_active_at_reset:
        holds = "high" if strike.gpio.reset_pull is Pull.UP else "low"
        cure = Pull.DOWN if strike.active_high else Pull.UP
        yield (
            f"strike.line: GPIO{strike.line} is {holds} at reset, which energises this relay "
            f'(active_high = {str(strike.active_high).lower()}); use another line or fit external_resistor = "{cure}"'
        )


def _line_problems(profile: Profile) -> Iterator[str]:
    if isinstance(profile.light, GpioLight) and not profile.light.lines:
        yield 'light: no LED; name at least one of [light.red], [light.green], [light.blue], or driver = "none"'
    lines = profile.gpio_lines
    if lines and profile.pin_factory is None:
        yield f'pin_factory: missing, but {next(iter(lines))} is on GPIO; name it: pin_factory = "lgpio"'
    owners: dict[int, str] = {}
    for key, line in lines.items():
        if line.safe_state is SafeState.ACTIVE:
            yield f'{key}.safe_state: "active" would leave it on with nobody deciding; rewire it and say "inactive"'
        if line.line in owners:
            yield f"{key}.line: GPIO{line.line} is already {owners[line.line]}.line; give each its own line"
        owners[line.line] = key
