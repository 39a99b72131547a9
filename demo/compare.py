"""Do both sides hold the same? The device's journal against central's ledger, event by event."""

from dataclasses import dataclass

import msgspec

EventKey = tuple[str, int]


class LedgerEvent(msgspec.Struct, frozen=True):
    """An event as central holds it; `digest` is hex."""

    run: str
    n: int
    digest: str


class Ledger(msgspec.Struct, frozen=True):
    """What central holds of one device."""

    events: list[LedgerEvent]
    visits: int
    dead_letters: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference between the device and central; `is_equal` is what the product promises."""

    device: dict[EventKey, str]
    central: dict[EventKey, str]
    twice: int
    visits: int
    dead_letters: int

    @property
    def missing(self) -> set[EventKey]:
        """On the device, not at central."""
        return set(self.device) - set(self.central)

    @property
    def invented(self) -> set[EventKey]:
        """At central, not on the device."""
        return set(self.central) - set(self.device)

    @property
    def different(self) -> set[EventKey]:
        """On both sides, with another content."""
        return {key for key in self.device.keys() & self.central.keys() if self.device[key] != self.central[key]}

    @property
    def is_equal(self) -> bool:
        """True where every event of the device is at central, once, unchanged, and accepted."""
        return not (self.missing or self.invented or self.different or self.twice or self.dead_letters)
