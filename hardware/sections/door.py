"""The whole of a profile: every section of one door."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import msgspec

from hardware.errors import HardwareError
from hardware.sections.inputs import GpioInput, InputPart
from hardware.sections.outputs import (
    BuzzerPart,
    DisplayPart,
    GpioBuzzer,
    GpioInterlock,
    GpioLight,
    GpioStrike,
    GpioTurnstile,
    InterlockPart,
    LightPart,
    StrikePart,
    TurnstilePart,
)
from hardware.sections.parts import Egress, GpioLine, LockType, Name
from hardware.sections.readers import ReaderPart, WiegandReader

_UNREAL = ("simulated", "none")
"""Drivers with nothing behind them."""


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One door's hardware, complete and checked. Made by ``hardware.profiles.load_profile`` only."""

    name: Name
    """How configuration and messages call it."""
    description: str
    """One line for people."""
    lock_type: LockType
    """What the lock does without power."""
    readers: Annotated[tuple[ReaderPart, ...], msgspec.Meta(min_length=1, max_length=8)]
    strike: StrikePart | None = None
    turnstile: TurnstilePart | None = None
    light: LightPart
    buzzer: BuzzerPart
    interlock: InterlockPart | None = None
    display: DisplayPart | None = None
    inputs: Annotated[tuple[InputPart, ...], msgspec.Meta(max_length=16)] = ()
    pin_factory: Literal["lgpio", "mock"] | None = None
    """What works the GPIO lines; "mock" is for tests."""
    egress: Egress | None = None
    """How people get out with the Pi unpowered."""
    verifies_passes: bool = False
    """Whether its code readers are there for passes, which are good for minutes."""
    rtc: bool = False
    """Whether the board has a battery-backed clock."""
    desk: bool = False
    """Whether staff enrol cards here: an agent without a door."""

    PARTS: ClassVar[Mapping[str, object]] = {
        "readers": ReaderPart,
        "strike": StrikePart,
        "turnstile": TurnstilePart,
        "light": LightPart,
        "buzzer": BuzzerPart,
        "interlock": InterlockPart,
        "display": DisplayPart,
        "inputs": InputPart,
    }

    def reader(self, event_reader: str) -> ReaderPart:
        """The section behind the ``reader`` of an event, which is its name or ``name.slot``."""
        for part in self.readers:
            if part.name == event_reader.partition(".")[0]:
                return part
        known = ", ".join(part.name for part in self.readers)
        raise HardwareError(f"profile {self.name!r} has no reader {event_reader!r}; it has: {known}")

    @property
    def is_simulated(self) -> bool:
        """Whether nothing of it is real, so that a program may play its people: no line moves, no reader reads."""
        outputs = (self.strike, self.turnstile, self.light, self.buzzer, self.interlock, self.display)
        parts = [part for part in (*self.readers, *self.inputs, *outputs) if part is not None]
        return all(part.__struct_config__.tag in _UNREAL for part in parts)

    @property
    def gpio_lines(self) -> dict[str, GpioLine]:
        """Every output line by its full key in the file."""
        lines: dict[str, GpioLine] = {}
        if isinstance(self.strike, GpioStrike):
            lines["strike"] = self.strike.gpio
        if isinstance(self.turnstile, GpioTurnstile):
            lines |= {f"turnstile.{way}": line for way, line in self.turnstile.lines.items()}
        if isinstance(self.light, GpioLight):
            lines |= {f"light.{colour}": line for colour, line in self.light.lines.items()}
        if isinstance(self.buzzer, GpioBuzzer):
            lines["buzzer"] = self.buzzer.gpio
        if isinstance(self.interlock, GpioInterlock):
            lines["interlock"] = self.interlock.gpio
        return lines

    @property
    def gpio_inputs(self) -> dict[str, GpioInput]:
        """Every input line by its full key in the file."""
        return {f"inputs[{at}]": part for at, part in enumerate(self.inputs) if isinstance(part, GpioInput)}

    @property
    def reader_lines(self) -> dict[str, int]:
        """Every line of a Wiegand reader by its full key in the file."""
        return {
            f"readers[{at}].{wire}": line
            for at, part in enumerate(self.readers)
            if isinstance(part, WiegandReader)
            for wire, line in (("d0", part.d0), ("d1", part.d1))
        }
