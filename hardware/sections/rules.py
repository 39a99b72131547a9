"""What must hold between the sections of a profile, so that a door is quiet while nobody decides.

- On always means *let through*: a fail-secure strike is fed through the relay's NO contact, a fail-safe magnet through
  NC, a turnstile's board hears NO. The other pairings would leave the door open whenever the relay rests.
- A relay, buzzer or interlock line that is active at reset would be on at every boot (``hardware.sections.parts``).
- GPIO 2 and 3 carry fixed pull-ups of 1.8 kilohm on the board (Raspberry Pi documentation, "GPIO and the 40-pin
  header"); no other resistor outweighs them, and an I2C display needs the pair for itself.
- GPIO 0 and 1 are driven at every boot, when the firmware looks for a HAT's EEPROM, and GPIO 14 and 15 are the serial
  port, on which a boot may be told (the same page, and "Configuring UARTs"): nothing that moves hangs on them.
- Whoever has an interlock has to know when its door is shut: a pulse ends while somebody goes through.
- A lock that somebody leaves through needs egress that works without us, and so does one with an exit button or a fire
  contact, which the Pi only senses. A magnet holds whatever the handle does: its egress is hard-wired.
- Simulated readers are worked by whoever reaches the panel, so no line that lets people through hangs beside one.
- An input is only ever read: its line is no output's, and its polarity is the one that contact and pull make.
- Passes are good for minutes, so a door that verifies them needs to know the time after a power cut.
"""

from collections.abc import Iterator

from hardware.base import InputRole
from hardware.sections.door import Profile
from hardware.sections.inputs import GpioInput, InputPull
from hardware.sections.outputs import CharacterLcd, GpioInterlock, GpioLight, GpioStrike, GpioTurnstile
from hardware.sections.parts import Contact, Direction, Egress, GpioLine, LockType, Pull, SafeState
from hardware.sections.reader_rules import panel_problems, reader_problems
from hardware.sections.readers import OsdpReader, SerialReader, SimulatedReader

I2C_LINES = (2, 3)
"""SDA and SCL of bus 1, with pull-ups on the board."""
BOOT_LINES = {0: "the HAT's EEPROM", 1: "the HAT's EEPROM", 14: "the serial port", 15: "the serial port"}
"""What drives a line at boot, whatever its pull."""
UART_LINES = (14, 15)
HEADER_UARTS = ("/dev/serial0", "/dev/ttyAMA0", "/dev/ttyS0")
"""Names of the serial port at the header, by model and set-up."""

_SENSED_ONLY = (InputRole.REX, InputRole.FIRE)
_OF_A_TURNSTILE = (InputRole.BUSY,)


def problems(profile: Profile) -> Iterator[str]:
    """Say what is wrong with a profile, each with its full key, the value and the remedy."""
    yield from _name_problems("readers", [part.name for part in profile.readers])
    yield from _name_problems("inputs", [part.name for part in profile.inputs])
    yield from reader_problems(profile.readers)
    yield from panel_problems(profile.readers, profile.light, profile.buzzer)
    yield from _lock_problems(profile)
    yield from _interlock_problems(profile)
    yield from _egress_problems(profile)
    yield from _input_problems(profile)
    yield from _line_problems(profile)
    yield from _mixture_problems(profile)
    if profile.desk and profile.lock_type is not LockType.NONE:
        yield f'desk: true, but lock_type is "{profile.lock_type}"; a desk opens nothing: say lock_type = "none"'
    if profile.verifies_passes and not profile.rtc:
        yield (
            "rtc: false, but verifies_passes is true; after a power cut passes are refused until the time is known: "
            "fit a battery-backed clock and say rtc = true"
        )


def _name_problems(section: str, names: list[str]) -> Iterator[str]:
    for at, name in enumerate(names):
        if name in names[:at]:
            yield f"{section}[{at}].name: {name!r} is used twice; give each its own name"


def _lock_problems(profile: Profile) -> Iterator[str]:
    lock = profile.lock_type
    parts = {"strike": profile.strike, "turnstile": profile.turnstile}
    present = {key: part for key, part in parts.items() if part is not None}
    if lock is LockType.NONE:
        for key in (*present, *(["interlock"] if profile.interlock is not None else [])):
            yield f'{key}: present, but lock_type is "none"; remove [{key}] or state the lock type'
    elif not present:
        yield f'strike: missing, but lock_type is "{lock}"; add [strike] or [turnstile], or set lock_type = "none"'
    elif len(present) > 1:
        yield "turnstile: present beside [strike]; a profile is one door: keep one of the two"
    for key, part in present.items():
        if part.pulse_s > part.ceiling_s:
            yield f"{key}.pulse_s: {part.pulse_s} is above {key}.ceiling_s {part.ceiling_s}; lower it"
    if isinstance(profile.strike, GpioStrike):
        yield from _strike_contact_problems(profile.strike, lock)
    if isinstance(profile.turnstile, GpioTurnstile):
        yield from _turnstile_problems(profile.turnstile)
        yield from _entry_problems(profile, profile.turnstile)


def _interlock_problems(profile: Profile) -> Iterator[str]:
    if profile.interlock is None or profile.strike is None:
        return
    if all(part.role is not InputRole.CONTACT for part in profile.inputs):
        yield (
            'interlock: present, but no input has the role "contact", and the other door would be let go of while '
            "somebody goes through this one; add the door's contact or remove [interlock]"
        )


def _strike_contact_problems(strike: GpioStrike, lock: LockType) -> Iterator[str]:
    needed = Contact.NO if lock is LockType.FAIL_SECURE else Contact.NC
    if strike.contact is not needed:
        yield (
            f'strike.contact: "{strike.contact}" with a {lock} lock leaves the door open while the relay rests; '
            f'wire the lock through "{needed}"'
        )


def _turnstile_problems(turnstile: GpioTurnstile) -> Iterator[str]:
    if not turnstile.lines:
        yield "turnstile: no way; name at least one of [turnstile.in], [turnstile.out]"
    if turnstile.contact is not Contact.NO:
        yield (
            f'turnstile.contact: "{turnstile.contact}" releases the arms while the relay rests; '
            'wire the control input through "NO"'
        )


def _entry_problems(profile: Profile, turnstile: GpioTurnstile) -> Iterator[str]:
    """The way out may be free without a line of ours; nobody comes in by a way that nothing releases."""
    entries = [part.name for part in profile.readers if part.direction is not Direction.OUT]
    if entries and turnstile.way_in is None:
        yield f"turnstile.in: missing, but people come in through reader {entries[0]!r}; add [turnstile.in]"


def _egress_problems(profile: Profile) -> Iterator[str]:
    if profile.lock_type is LockType.NONE:
        return
    choice = 'declare the free way out that works without power: "mechanical" or "hard_wired"'
    exits = [part.name for part in profile.readers if part.direction is not Direction.IN]
    sensed = [part.name for part in profile.inputs if part.role in _SENSED_ONLY]
    if profile.egress is None and exits:
        yield f"egress: missing, but people leave through reader {exits[0]!r} and a lock; {choice}"
    elif profile.egress is None and sensed:
        yield f"egress: missing, but input {sensed[0]!r} is only sensed and opens nothing; {choice}"
    if profile.lock_type is LockType.FAIL_SAFE and profile.strike is not None:
        yield from _magnet_problems(profile.egress)


def _magnet_problems(egress: Egress | None) -> Iterator[str]:
    if egress is not Egress.HARD_WIRED:
        found = "missing" if egress is None else f'"{egress}"'
        yield (
            f"egress: {found}, but a fail_safe lock holds whatever the handle does; let a button or a switch in the "
            'handle cut its power, and say egress = "hard_wired"'
        )


def _input_problems(profile: Profile) -> Iterator[str]:
    for at, part in enumerate(profile.inputs):
        if part.role in _OF_A_TURNSTILE and profile.turnstile is None:
            yield f'inputs[{at}].role: "{part.role}" is a turnstile\'s, and there is none; add [turnstile] or remove it'
    for key, line in profile.gpio_inputs.items():
        yield from _contact_problems(key, line)


def _contact_problems(key: str, part: GpioInput) -> Iterator[str]:
    if part.pull is not InputPull.NONE and part.contact is None:
        yield f'{key}.contact: missing; say how the circuit is while the input is inactive: "NO" or "NC"'
    if not part.fits_its_contact:
        told, right = str(part.active_high).lower(), str(not part.active_high).lower()
        yield (
            f'{key}.active_high: {told} contradicts contact "{part.contact}" with {part.pull}, where active is '
            f"{'low' if part.active_high else 'high'}; say active_high = {right}, or correct contact or pull"
        )
    if part.line in I2C_LINES and part.pull is not InputPull.UP:
        yield (
            f'{key}.pull: "{part.pull}" on GPIO{part.line}, which the board pulls up by 1.8 kilohm; '
            'say "pull_up" or use another line'
        )


def _mixture_problems(profile: Profile) -> Iterator[str]:
    """Lines of "mock" move nothing; it is there for tests."""
    played = [part.name for part in profile.readers if isinstance(part, SimulatedReader)]
    if not played or profile.pin_factory == "mock":
        return
    for key, part in (("strike", profile.strike), ("turnstile", profile.turnstile), ("interlock", profile.interlock)):
        if isinstance(part, GpioStrike | GpioTurnstile | GpioInterlock):
            yield (
                f'{key}.driver: "gpio" beside simulated reader {played[0]!r}, which anybody at this machine could tap; '
                f'name the real reader, or say {key}.driver = "simulated"'
            )


def _line_problems(profile: Profile) -> Iterator[str]:
    if isinstance(profile.light, GpioLight) and not profile.light.lines:
        yield 'light: no LED; name at least one of [light.red], [light.green], [light.blue], or driver = "none"'
    outputs, inputs = profile.gpio_lines, profile.gpio_inputs
    used = (*outputs, *inputs, *profile.reader_lines)
    if used and profile.pin_factory is None:
        yield f'pin_factory: missing, but {used[0]} is on GPIO; name it: pin_factory = "lgpio"'
    for key, line in outputs.items():
        yield from _output_problems(key, line)
    yield from _owner_problems(profile)


def _output_problems(key: str, line: GpioLine) -> Iterator[str]:
    if line.safe_state is SafeState.ACTIVE:
        yield f'{key}.safe_state: "active" would leave it on with nobody deciding; rewire it and say "inactive"'
    if line.line in I2C_LINES and line.external_resistor is Pull.DOWN:
        yield (
            f'{key}.external_resistor: "pull_down" on GPIO{line.line} does not outweigh the 1.8 kilohm pull-up of the '
            "board; use another line"
        )
    if key.startswith("light."):  # an LED that glimmers while the Pi boots opens and calls nothing
        return
    if line.line in BOOT_LINES:
        yield f"{key}.line: GPIO{line.line} is driven at boot, for {BOOT_LINES[line.line]}; use another line"
    if line.is_active_at_reset:
        holds = "high" if line.reset_pull is Pull.UP else "low"
        cure = Pull.DOWN if line.active_high else Pull.UP
        yield (
            f"{key}.line: GPIO{line.line} is {holds} at reset, which switches it on "
            f'(active_high = {str(line.active_high).lower()}); use another line or fit external_resistor = "{cure}"'
        )


def _owner_problems(profile: Profile) -> Iterator[str]:
    owners: dict[int, str] = {}
    if isinstance(profile.display, CharacterLcd) and profile.display.bus == 1:
        owners |= dict.fromkeys(I2C_LINES, "the display's I2C bus")
    for reader in profile.readers:
        if isinstance(reader, SerialReader | OsdpReader) and reader.device in HEADER_UARTS:
            owners |= dict.fromkeys(UART_LINES, reader.device)
    for key, line in profile.gpio_lines.items():
        if line.line in owners:
            yield f"{key}.line: GPIO{line.line} is already {owners[line.line]}; give each its own line"
        owners.setdefault(line.line, f"{key}.line")
    for key, part in profile.gpio_inputs.items():
        if part.line in owners:
            yield (
                f"{key}.line: GPIO{part.line} is already {owners[part.line]}, and the {part.role} input is only ever "
                "read; give each its own line"
            )
        owners.setdefault(part.line, f"{key}.line")
    for key, number in profile.reader_lines.items():
        if number in owners:
            yield f"{key}: GPIO{number} is already {owners[number]}; give each its own line"
        owners.setdefault(number, key)
