"""Commands of central, for tests."""

from agent.core.effects import Order
from wire.vocabulary import CommandName


def order(
    name: CommandName,
    *,
    id: str = "c1",
    what: str = "",
    level: int = 1,
    for_ms: int | None = None,
    begin_before_mono_ms: int = 1_000_000_000,
) -> Order:
    """Return a command by Ann, in time unless said otherwise."""
    return Order(id, name, "Ann", begin_before_mono_ms, f"{name}:{id}", what=what, level=level, for_ms=for_ms)
