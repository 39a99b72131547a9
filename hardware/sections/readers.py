"""Sections of readers: ``[[readers]]``. A new driver adds its section here and to ``ReaderPart``."""

from typing import Annotated, Literal

import msgspec

from hardware.sections.parts import Direction, Name, Part


class ReaderSection(Part, frozen=True, kw_only=True):
    name: Name
    direction: Direction


class SimulatedReader(ReaderSection, frozen=True, tag="simulated"):
    """Driven by the program: demo, laptop, tests."""


class PcscReader(ReaderSection, frozen=True, tag="pcsc"):
    """Readers of the PC/SC daemon whose name contains ``match``.

    ``slots = "one"`` takes the one at ``index`` of the sorted names; ``"all"`` takes every one, now or later, each
    reporting as ``name.0``, ``name.1`` in sorted order of first appearance.
    """

    match: Annotated[str, msgspec.Meta(min_length=1)]
    slots: Literal["one", "all"] = "one"
    index: Annotated[int, msgspec.Meta(ge=0, le=15)] = 0


ReaderPart = SimulatedReader | PcscReader
