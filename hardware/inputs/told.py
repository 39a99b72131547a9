"""What every input is, whatever moves it: a name, a role, and the state that it told last."""

from collections.abc import Iterator
from contextlib import contextmanager

from hardware.base import EmitChange, InputChange, InputRole
from hardware.errors import HardwareError


class ToldInput:
    """The part of an Input that is the same for every driver: it runs once, and tells while it runs."""

    def __init__(self, name: str, role: InputRole, *, is_active: bool) -> None:
        self._name = name
        self._role = role
        self._is_active = is_active
        self._emit: EmitChange | None = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def role(self) -> InputRole:
        return self._role

    @property
    def is_active(self) -> bool:
        return self._is_active

    @property
    def is_told(self) -> bool:
        """Whether anybody listens."""
        return self._emit is not None

    @contextmanager
    def telling(self, emit: EmitChange) -> Iterator[None]:
        """Tell what happens within; HardwareError where it is told already."""
        if self.is_told:
            raise HardwareError(f"input {self._name!r} is already running; run it once")
        self._emit = emit
        try:
            yield
        finally:
            self._emit = None

    def tell(self, is_active: bool, at_mono_ms: int) -> None:
        """It is this since then; nobody is told who does not listen any more."""
        self._is_active = is_active
        if self._emit is not None:
            self._emit(InputChange(self._name, self._role, is_active, at_mono_ms))
