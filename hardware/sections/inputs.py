"""Sections of inputs: ``[[inputs]]``."""

from hardware.base import InputRole
from hardware.sections.parts import Name, Part


class InputSection(Part, frozen=True, kw_only=True):
    """``role`` says what the input means while it is active; see ``hardware.base.InputRole``."""

    name: Name
    role: InputRole


class SimulatedInput(InputSection, frozen=True, tag="simulated"):
    """Worked by the program: demo, laptop, tests."""


InputPart = SimulatedInput
