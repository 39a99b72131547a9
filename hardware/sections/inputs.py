"""Sections of inputs: ``[[inputs]]``."""

from enum import StrEnum
from typing import Annotated

import msgspec

from hardware.base import InputRole
from hardware.inputs.debounce import MAX_WINDOW_MS, MIN_WINDOW_MS
from hardware.sections.parts import Contact, LineNumber, Name, Part


class InputPull(StrEnum):
    """What holds an input's line while its circuit is open."""

    UP = "pull_up"
    DOWN = "pull_down"
    NONE = "none"
    """Nothing of the Pi's: a resistor outside, or an output that drives the line both ways."""


class InputSection(Part, frozen=True, kw_only=True):
    """Something that is only ever read."""

    name: Name
    """How events call it."""
    role: InputRole
    """What it tells."""


class SimulatedInput(InputSection, frozen=True, tag="simulated"):
    """Worked by the program: demo, laptop, tests."""


class GpioInput(InputSection, frozen=True, tag="gpio"):
    """A contact or sensor on one GPIO line."""

    line: LineNumber
    """BCM number, not the position on the header."""
    pull: InputPull
    """What holds the line while the circuit is open: the Pi's own resistor, or "none" where something outside does."""
    active_high: bool
    """Whether a high level means active."""
    contact: Contact | None = None
    """The circuit while the input is *inactive*: a button is NO, a loop that alarms when it is cut is NC.
    Left out where the line is driven both ways."""
    debounce_ms: Annotated[int, msgspec.Meta(ge=MIN_WINDOW_MS, le=MAX_WINDOW_MS)] = 50
    """By how much a new level has to outweigh the old one before it is believed."""

    @property
    def fits_its_contact(self) -> bool:
        """Whether the polarity is the one that pull and contact make: what closes pulls against the resistor."""
        if self.pull is InputPull.NONE or self.contact is None:
            return True
        return self.active_high == ((self.pull is InputPull.UP) == (self.contact is Contact.NC))


InputPart = SimulatedInput | GpioInput
