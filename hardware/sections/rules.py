"""What must hold between the sections of a profile, so that a door is quiet while nobody decides.

- On always means *let through*: a fail-secure strike is fed through the relay's NO contact, a fail-safe magnet through
  NC. The other pairings would leave the door open whenever the relay rests, and are refused.
- A line that is active at reset would switch its relay on at every boot (see ``hardware.sections.parts``).
- A lock that somebody leaves through needs egress that works without us, mechanical or hard-wired.
"""

from collections.abc import Iterator

from hardware.sections.door import Profile
from hardware.sections.outputs import GpioLight, GpioStrike
from hardware.sections.parts import Contact, Direction, LockType, Pull, SafeState


def problems(profile: Profile) -> Iterator[str]:
    """Say what is wrong with a profile, each with its full key, the value and the remedy."""
    yield from _name_problems("readers", [part.name for part in profile.readers])
    yield from _name_problems("inputs", [part.name for part in profile.inputs])
    yield from _reader_problems(profile)
    yield from _lock_problems(profile)
    yield from _line_problems(profile)


def _name_problems(section: str, names: list[str]) -> Iterator[str]:
    for at, name in enumerate(names):
        if name in names[:at]:
            yield f"{section}[{at}].name: {name!r} is used twice; give each its own name"


def _reader_problems(profile: Profile) -> Iterator[str]:
    exits = [part.name for part in profile.readers if part.direction is not Direction.IN]
    if exits and profile.lock_type is not LockType.NONE and profile.egress is None:
        yield (
            f"egress: missing, but people leave through reader {exits[0]!r} and a lock; declare the free way out that "
            'works without power: "mechanical" or "hard_wired"'
        )


def _lock_problems(profile: Profile) -> Iterator[str]:
    lock = profile.lock_type
    parts = {"strike": profile.strike, "turnstile": profile.turnstile}
    present = {key: part for key, part in parts.items() if part is not None}
    if lock is LockType.NONE:
        for key in present:
            yield f'{key}: present, but lock_type is "none"; remove [{key}] or state the lock type'
    elif not present:
        yield f'strike: missing, but lock_type is "{lock}"; add [strike] or [turnstile], or set lock_type = "none"'
    elif len(present) > 1:
        yield "turnstile: present beside [strike]; a profile is one door: keep one of the two"
    for key, part in present.items():
        if part.pulse_s > part.ceiling_s:
            yield f"{key}.pulse_s: {part.pulse_s} is above {key}.ceiling_s {part.ceiling_s}; lower it"
    if isinstance(profile.strike, GpioStrike):
        yield from _relay_problems(profile.strike, lock)


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
