"""Do both sides hold the same? The device's journal against central's ledger, event by event."""

from dataclasses import dataclass

import msgspec

from agent.store.inspect import inspect
from demo.processes import manage, output_of
from demo.world import World

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


async def compare(world: World) -> Comparison:
    """Read both sides now. The device first: what it holds then, central may hold a moment later."""
    device = _journal_of(world)
    printed = await output_of(manage("ledger", "--device", world.device, "--json"), env=world.central_env)
    ledger = msgspec.json.decode(printed, type=Ledger)
    central = {(event.run, event.n): event.digest for event in ledger.events}
    return Comparison(
        device=device,
        central=central,
        twice=len(ledger.events) - len(central),
        visits=ledger.visits,
        dead_letters=ledger.dead_letters,
    )


def _journal_of(world: World) -> dict[EventKey, str]:
    with inspect(world.state) as journal:
        return {(shown.run, shown.n): shown.digest.hex() for shown in journal.export()}
