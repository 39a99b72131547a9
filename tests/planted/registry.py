"""What a planted bug is, and which modules hold them.

A bug is a patch that a test switches on; the product has no switch for it. A layer's bugs stand in a module of their
own as `PLANTED: tuple[PlantedBug, ...]`, named in `MODULES` or found where the other harnesses keep theirs.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Final


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """A bug, and the smallest run of a harness that must see it.

    `breaks` says what the product does wrong with the bug, `promise` what a person loses by it, `layer` which harness
    catches it, as a dotted module. `plant` switches the bug on for as long as it is entered. `catch` runs the harness
    and returns the violation that it saw, None where all was well: None without the bug, a text with it. With
    `uses_database` central's database has to be there, empty or not; where it
    `is_slow` (seconds, not tenths) the suite leaves it to its layer's own tests and to `python -m tests.planted`.
    """

    name: str
    breaks: str
    promise: str
    layer: str
    plant: Callable[[], AbstractContextManager[object]]
    catch: Callable[[], str | None]
    uses_database: bool = False
    is_slow: bool = False


MODULES: Final[tuple[str, ...]] = (
    "tests.planted.door",
    "tests.planted.doorway",
    "tests.planted.wiring",
    "tests.planted.readers",
    "tests.planted.linking",
    "tests.planted.directory",
    "tests.planted.journaling",
    "tests.planted.ledger",
    "tests.planted.office",
    "tests.planted.storage",
    "tests.planted.rules",
    "tests.planted.passes",
    "tests.planted.desk",
    "tests.planted.presence",
    "tests.planted.keys",
    "tests.planted.clocks",
)
_OF_OTHER_LAYERS: Final = ("tests.simulation.planted", "tests.processes.planted")


def modules() -> tuple[str, ...]:
    """Return the modules with planted bugs, those of the other harnesses where they have some."""
    return (*MODULES, *(name for name in _OF_OTHER_LAYERS if find_spec(name) is not None))


def every_bug() -> dict[str, PlantedBug]:
    """Return all planted bugs by name; raise ValueError where two have one name."""
    bugs: dict[str, PlantedBug] = {}
    for module in modules():
        planted: tuple[PlantedBug, ...] = import_module(module).PLANTED
        for bug in planted:
            if bug.name in bugs:
                raise ValueError(f"planted bug {bug.name!r} stands twice, in {bugs[bug.name].layer} and {bug.layer}")
            bugs[bug.name] = bug
    return bugs
