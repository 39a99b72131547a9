"""The profile: one TOML file that names every driver and line at a door, and is refused where it would be unsafe.

This is the face of ``hardware.sections``, where each family of sections has its home: ``parts`` (the words all share),
``readers``, ``outputs``, ``inputs``, ``door`` (the whole file) and ``rules`` (what holds between sections). A new
driver adds its section to its family there and its row to ``hardware.factory.DRIVERS``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import msgspec

from hardware.errors import ProfileError
from hardware.explain import NotTomlError, explain, read_toml
from hardware.sections.door import Profile
from hardware.sections.inputs import GpioInput, InputPart, InputPull, SimulatedInput
from hardware.sections.outputs import (
    Acr122uBuzzer,
    Acr122uLight,
    BuzzerPart,
    CharacterLcd,
    DisplayPart,
    GpioBuzzer,
    GpioInterlock,
    GpioLight,
    GpioStrike,
    GpioTurnstile,
    InterlockPart,
    LightPart,
    NoBuzzer,
    NoLight,
    OsdpBuzzer,
    OsdpLight,
    SimulatedBuzzer,
    SimulatedDisplay,
    SimulatedInterlock,
    SimulatedLight,
    SimulatedStrike,
    SimulatedTurnstile,
    StrikePart,
    TurnstilePart,
)
from hardware.sections.parts import (
    Contact,
    Direction,
    Egress,
    GpioLine,
    HangGuard,
    LockType,
    Part,
    Pull,
    SafeState,
)
from hardware.sections.readers import (
    EvdevReader,
    OsdpReader,
    PcscReader,
    ReaderPart,
    SerialReader,
    SimulatedReader,
    WiegandReader,
)
from hardware.sections.rules import problems

__all__ = [
    "SHIPPED",
    "Acr122uBuzzer",
    "Acr122uLight",
    "BuzzerPart",
    "CharacterLcd",
    "Contact",
    "Direction",
    "DisplayPart",
    "Egress",
    "EvdevReader",
    "GpioBuzzer",
    "GpioInput",
    "GpioInterlock",
    "GpioLight",
    "GpioLine",
    "GpioStrike",
    "GpioTurnstile",
    "HangGuard",
    "InputPart",
    "InputPull",
    "InterlockPart",
    "LightPart",
    "LockType",
    "NoBuzzer",
    "NoLight",
    "OsdpBuzzer",
    "OsdpLight",
    "OsdpReader",
    "Part",
    "PcscReader",
    "Profile",
    "Pull",
    "ReaderPart",
    "SafeState",
    "SerialReader",
    "SimulatedBuzzer",
    "SimulatedDisplay",
    "SimulatedInput",
    "SimulatedInterlock",
    "SimulatedLight",
    "SimulatedReader",
    "SimulatedStrike",
    "SimulatedTurnstile",
    "StrikePart",
    "TurnstilePart",
    "WiegandReader",
    "driver_parts",
    "load_profile",
    "outputs_only",
    "parse_profile",
    "sensing_only",
    "shipped_profiles",
]

SHIPPED = Path(__file__).parent / "profiles"


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
    problem = next(problems(profile), None)
    if problem is not None:
        raise ProfileError(f"profile {source}: {problem}")
    return profile


def sensing_only(profile: Profile) -> Profile:
    """Return the profile without its outputs: what is built of it reads and claims no line that moves anything."""
    return msgspec.structs.replace(
        profile,
        strike=None,
        turnstile=None,
        interlock=None,
        display=None,
        light=NoLight(),
        buzzer=NoBuzzer(),
    )


def outputs_only(profile: Profile) -> Profile:
    """Return the profile without readers and inputs."""
    return msgspec.structs.replace(profile, readers=(), inputs=())


def driver_parts(section: str) -> dict[str, type[Part]]:
    """Driver name to the type of its options, for a section of ``Profile.PARTS``."""
    choice = Profile.PARTS[section]
    return {str(part.__struct_config__.tag): part for part in get_args(choice) or (choice,)}


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
