"""Grants, and what a machine said about them, for the tests of door and turnstile."""

from agent.core.effects import Grant, RemoteUnlock
from agent.core.passing import Ended, Noticed, Said
from agent.core.types import EventId
from rules.policy import decide
from tests.core.builders import facts, read, row
from wire.vocabulary import AlarmCode, Direction, PassageOutcome, PassageSense

UNLOCK = RemoteUnlock("c1", actor="Ann", begin_before_mono_ms=50_000, promise="unlock:c1")


def grant(n: int = 1, *, direction: Direction = Direction.IN, at_mono_ms: int = 1_000) -> Grant:
    """Return the n-th grant, durable."""
    presented = read(at_mono_ms, direction=direction)
    decision = decide(facts(presented, known=row(f"m{n}")))
    return Grant(presented, decision, f"grant:aa:{n}", EventId("00000000000000aa", n))


def ends(said: tuple[Said, ...]) -> list[tuple[int, PassageOutcome, PassageSense | None]]:
    """Return (number of the grant, outcome, sense) of what ended."""
    return [(one.grant.event.n, one.outcome, one.sense) for one in said if isinstance(one, Ended)]


def alarms(said: tuple[Said, ...]) -> list[AlarmCode]:
    """Return the alarms among what was said."""
    return [one.code for one in said if isinstance(one, Noticed)]
