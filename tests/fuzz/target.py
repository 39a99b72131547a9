"""What a fuzz target is, and how it reads structure out of bytes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

CORPUS: Final = Path(__file__).parent / "corpus"
MAX_INPUT_BYTES: Final = 16 * 1024
"""Longer inputs are bounded before they are parsed, which the tests of each parser show."""

T = TypeVar("T")


class ViolationError(AssertionError):
    """A parser did with some bytes what it never may."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parser, or several that read the same bytes.

    `run` raises ViolationError, or whatever undocumented exception the product raised. `seeds` are valid inputs to
    begin with. `uses_database` says that it wants one: a test brings it, or `outside.prepared`.
    """

    name: str
    says: str
    run: Callable[[bytes], None]
    seeds: Callable[[], Iterable[bytes]]
    uses_database: bool = False

    @property
    def corpus(self) -> Path:
        """The folder of its kept inputs."""
        return CORPUS / self.name


class Cursor:
    """Reads choices from bytes, zeros after their end, so that any input is a whole script."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_over(self) -> bool:
        """True once every byte is used."""
        return self._at >= len(self._data)

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken.ljust(count, b"\0")

    def number(self, count: int = 1) -> int:
        """Return the next bytes as a number."""
        return int.from_bytes(self.take(count))

    def choice(self, options: "tuple[T, ...] | list[T]") -> T:
        """Return one of the options."""
        return options[self.number() % len(options)]

    def text(self) -> bytes:
        """Return a text of up to 64 KiB, its length in front."""
        return self.take(min(self.number(2), max(0, len(self._data) - self._at)))

    def rest(self) -> bytes:
        """Return what is left."""
        taken, self._at = self._data[self._at :], max(self._at, len(self._data))
        return taken


def holds(condition: bool, promise: str) -> None:
    """Raise ViolationError, naming the promise, where the condition does not hold."""
    if not condition:
        raise ViolationError(promise)
