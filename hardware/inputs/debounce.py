"""When to believe a contact: noise is outweighed, and what lasts is always seen.

A contact bounces for up to some 20 ms when it closes or opens, and long wires pick up bursts. To wait until the level
has been still for a while would believe neither: under a burst every few milliseconds it is never still. So a level is
weighed instead: the time for which it differs from what is believed counts up, the time for which it agrees counts
down, and a change is believed once it has gained ``window_ms``. With the bounds below that keeps two promises:

- *under 30 ms is noise*: a disturbance shorter than that, followed by at least as much rest, changes nothing;
- *over 400 ms is always seen*: also when every 60 ms of it are torn by a disturbance of up to 30 ms.
"""

from typing import Final

from msgspec import Struct

MIN_WINDOW_MS: Final = 30
MAX_WINDOW_MS: Final = 150


class Believed(Struct, frozen=True):
    """A change that is believed now; ``since_mono_ms`` is when it began."""

    is_active: bool
    since_mono_ms: int


class Debounce:
    """One contact. Feed it each edge, in order, and ``look`` at it when ``due_mono_ms`` has come."""

    def __init__(self, *, window_ms: int, is_active: bool, at_mono_ms: int) -> None:
        assert MIN_WINDOW_MS <= window_ms <= MAX_WINDOW_MS, window_ms
        self._window_ms = window_ms
        self._is_active = is_active
        self._level = is_active
        self._gained_ms = 0
        self._since_ms = at_mono_ms
        self._at_ms = at_mono_ms

    @property
    def is_active(self) -> bool:
        """What is believed."""
        return self._is_active

    @property
    def due_mono_ms(self) -> int | None:
        """When the level will be believed if it stays; None where it is believed already."""
        if self._level == self._is_active:
            return None
        return self._at_ms + self._window_ms - self._gained_ms

    def edge(self, level: bool, at_mono_ms: int) -> Believed | None:
        """The level became this. Returns what that stretch before it has made believable, if anything.

        A moment before the last one counts as the last one: threads and the event loop take turns.
        """
        change = self.look(at_mono_ms)
        if level != self._level:
            self._level = level
            if self._gained_ms == 0:
                self._since_ms = self._at_ms
        return change

    def found(self, level: bool, at_mono_ms: int) -> Believed | None:
        """Somebody looked and saw this level. One that no edge has told of yet began at a moment that is not known.

        The time since the last known moment then speaks for neither level: a blip whose end is told late is no change.
        """
        if level == self._level:
            return self.look(at_mono_ms)
        self._at_ms = max(self._at_ms, at_mono_ms)
        return self.edge(level, self._at_ms)

    def look(self, at_mono_ms: int) -> Believed | None:
        """Time has passed and the level stayed."""
        passed_ms = max(0, at_mono_ms - self._at_ms)
        self._at_ms += passed_ms
        if self._level == self._is_active:
            self._gained_ms = max(0, self._gained_ms - passed_ms)
            return None
        self._gained_ms += passed_ms
        if self._gained_ms < self._window_ms:
            return None
        self._is_active = self._level
        self._gained_ms = 0
        return Believed(self._is_active, self._since_ms)
