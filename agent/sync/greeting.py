"""What the device says first. Pure."""

from agent.sync.exchange import Greeting
from wire.book import FEATURES
from wire.directory import DELTAS
from wire.limits import MAX_RUNS_IN_HELLO
from wire.messages import CommandRef, Hello, RunState
from wire.presence import PRESENCE, PresenceRef
from wire.version import SPOKEN


def chosen_runs(runs: tuple[RunState, ...], resting: frozenset[str]) -> tuple[tuple[RunState, ...], bool]:
    """Pick what one hello holds: the current run, the oldest others, and last of all those that rest."""
    if len(runs) <= MAX_RUNS_IN_HELLO:
        return runs, False
    current = max(runs, key=lambda state: state.ord)
    others = sorted((state for state in runs if state is not current), key=lambda s: (s.run in resting, s.ord))
    kept, left = others[: MAX_RUNS_IN_HELLO - 1], others[MAX_RUNS_IN_HELLO - 1 :]
    return tuple(sorted((*kept, current), key=lambda s: s.ord)), any(s.run not in resting for s in left)


def hello_of(
    greeting: Greeting,
    runs: tuple[RunState, ...],
    commands: list[CommandRef],
    *,
    has_more: bool,
    presence: PresenceRef | None = None,
) -> Hello:
    """Return the greeting as a message."""
    return Hello(
        device=greeting.device,
        store=greeting.store,
        boot=greeting.boot,
        agent=greeting.agent,
        proto=SPOKEN,
        runs=list(runs),
        clock=greeting.clock,
        backlog=greeting.backlog,
        feat=[DELTAS, PRESENCE, *sorted(FEATURES)],
        more=has_more,
        dir=greeting.directory,
        pres=presence,
        cmds=commands,
        reason=greeting.reason,
        forms=list(greeting.forms),
        desk=greeting.is_desk,
        keys=list(greeting.keys),
    )
