"""What follows from every step, whatever it was: a way that closes, people who are turned away, the next moment.

The other door of a pair is told before this one is freed, and everything that is due has the shell's clock set for it.
"""

from typing import Final

from msgspec.structs import replace

from agent.core import capturing, doorway, modes, standing, surroundings, turnstile
from agent.core import door as leaf
from agent.core.effects import Effect, Hold, Occupy, Unlock, WakeAt
from agent.core.state import Holding, Station, Step
from agent.core.types import Now
from wire.vocabulary import Direction

_RETRY_MS: Final = 1_000
"""What was due and could not be done, as the disk is full, is tried again after this time."""


def settled(state: Station, effects: list[Effect], now: Now) -> Step:
    """Return a step with what follows from it."""
    state, relock = standing.relocked(state, now)
    state, turned_away = _turn_away(state, now)
    state, resumes = _resumed(state)
    effects = [*relock, *effects, *turned_away, *resumes]
    state, occupy = _occupy(state, effects)
    return _wake(state, [*occupy, *effects], now)


def _turn_away(state: Station, now: Now) -> Step:
    """Whoever waits at a turnstile that is locked down meanwhile has to be asked again whether they may pass.

    So have those who wait to come in while the other door of the pair was opened.
    """
    if state.arms is None or not (state.standing.is_closed or state.around.is_other_open):
        return state, []
    ways = (Direction.IN, Direction.OUT) if state.standing.is_closed else (Direction.IN,)
    arms, said = turnstile.emptied(state.arms, ways)
    return doorway.voice(replace(state, arms=arms), said, now)


def _resumed(state: Station) -> Step:
    """Let arms stand open again once whoever left is through, and nobody has their turn or waits for it."""
    if state.holding is not Holding.PAUSED or state.arms is None or not turnstile.is_at_rest(state.arms):
        return state, []
    if state.lock_failed or state.around.is_other_open:
        return state, []
    return replace(state, holding=Holding.ASKED), [Hold()]


def _occupy(state: Station, effects: list[Effect]) -> Step:
    """Tell the other door of the pair before this one is freed, and when it is shut again."""
    if not state.door.has_interlock:
        return state, []
    frees = any(isinstance(effect, Unlock | Hold) for effect in effects)
    is_open = bool(state.leaf.is_open) or state.leaf.opening is not None or state.holding is not Holding.NOT
    is_busy = frees or is_open or (state.arms is not None and state.arms.turn is not None)
    if is_busy is state.is_busy:
        return state, []
    return replace(state, is_busy=is_busy), [Occupy(is_busy)]


def _wake(state: Station, effects: list[Effect], now: Now) -> Step:
    """Ask to be woken for what is due next, unless that was asked already."""
    moments = [
        state.picture_until_ms,
        leaf.due_ms(state.leaf, is_free=state.is_unwatched),
        surroundings.due_ms(state.around),
        modes.due_ms(state.standing),
        capturing.due_ms(state),
        None if state.arms is None else turnstile.due_ms(state.arms),
    ]
    due_ms = min((moment for moment in moments if moment is not None), default=None)
    if due_ms is None or due_ms == state.asked_ms:
        return state, effects
    if due_ms <= now.mono_ms:
        due_ms = now.mono_ms + _RETRY_MS
        if state.asked_ms is not None and now.mono_ms < state.asked_ms <= due_ms:
            return state, effects
    return replace(state, asked_ms=due_ms), [*effects, WakeAt(due_ms)]
