"""What the agent's session knows. Pure."""

from enum import StrEnum

from msgspec import Struct, field

from agent.sync.lanes import Throttle
from agent.sync.mirror import Mirror
from agent.sync.orders import Orders
from agent.sync.outflow import Outflow
from agent.sync.pulse import Pulse
from agent.sync.staging import Staging
from wire.messages import Anchor, CommandResult


class Phase(StrEnum):
    """Where the conversation stands."""

    IDLE = "idle"
    GREETING = "greeting"
    LIVE = "live"
    CLOSING = "closing"


class State(Struct, frozen=True):
    """Everything that the session knows."""

    phase: Phase = Phase.IDLE
    opened_ms: int = 0
    flow: Outflow = field(default_factory=Outflow)
    pulse: Pulse = field(default_factory=Pulse)
    orders: Orders = field(default_factory=Orders)
    staging: Staging = field(default_factory=Staging)
    mirror: Mirror = field(default_factory=Mirror)
    throttle: Throttle = field(default_factory=Throttle)
    anchors: tuple[Anchor, ...] = ()
    resting: frozenset[str] = frozenset()
    """Runs that were stopped on an earlier connection: they come last into `hello`."""
    has_more: bool = False
    retry_ms: int | None = None
    """When to connect anew, because a run rests for which the store had no room."""
    wake_ms: int | None = None


def remembering(results: tuple[CommandResult, ...]) -> State:
    """Return the first state of a process, with the command results that central has not confirmed."""
    return State(orders=Orders.remembered(results))
