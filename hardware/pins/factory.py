"""What a pin factory's module opens."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Pins:
    """A pin factory of gpiozero, and what it raises beside gpiozero's own errors."""

    factory: Any
    errors: tuple[type[Exception], ...] = ()
