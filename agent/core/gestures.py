"""What a second tap asks for: whoever has the right ends a lockdown or a fire, or toggles an office's door.

The first tap was decided and recorded as any other. The second, of the same card at the same reader within the
hold-off, opens nothing by itself; a third within it is not another one. The right counts only where the holder would
be let in if nothing were the matter with the door: a blocked card asks for nothing, on the way out neither. A pass or a
code asks for nothing at all: a picture of it could be shown twice.
"""

from typing import Final

from msgspec.structs import replace

from agent.core import modes, orders, surroundings
from agent.core.modes import LocksDown, Overrides
from agent.core.standing import change
from agent.core.state import Station, Step
from agent.core.types import Facts, Now
from rules.policy import answers
from wire.facts import DoorFacts
from wire.vocabulary import CredentialKind, Direction, DoorMode, ModeCause, Reason, Right

_PICTURES: Final = frozenset({CredentialKind.QR_STATIC, CredentialKind.PASS_SIGNED, CredentialKind.PASS_ROTATING})


def second_tap(state: Station, facts: Facts, subject: str) -> Step:
    """Do what a second tap asks for, if it asks for anything."""
    read = facts.read
    mine = next((p for p in state.recent if p.subject == subject and p.direction == read.direction), None)
    if mine is None or mine.has_asked or mine.credential != read.credential.key or not _is_in_order(facts):
        return state, []
    rights = set(facts.row.rights) if facts.row is not None else set()
    after, effects = _asked(state, subject, rights, facts.now)
    if not effects:
        return state, []
    asked = tuple(replace(p, has_asked=True) if p == mine else p for p in after.recent)
    return replace(after, recent=asked), effects


def _is_in_order(facts: Facts) -> bool:
    """Ask everything that is asked of whoever comes in, but whether the door lets people in at all."""
    if facts.read.credential.kind in _PICTURES:
        return False
    direction = Direction.IN if facts.read.direction is Direction.OUT else facts.read.direction
    entry = replace(facts.read, direction=direction)
    door = DoorFacts(door=facts.door.door, mode=DoorMode.CARD, is_revoked=facts.door.is_revoked)
    return not any(
        answer.objects and not answer.is_lifted and answer.rule.reason is not Reason.WRONG_DIRECTION
        for answer in answers(replace(facts, read=entry, door=door))
    )


def _asked(state: Station, actor: str, rights: set[str], now: Now) -> Step:
    may_release = Right.RELEASE_LOCKDOWN in rights
    if may_release and surroundings.may_reset(state.around):
        return state, [orders.reset_fire(actor, now)]
    if may_release and state.standing.lockdown is not None:
        return change(state, LocksDown(None, ModeCause.HOLDER, actor), now)
    if Right.OFFICE in rights and state.standing.scheduled is DoorMode.OFFICE and not state.standing.level:
        return _toggle(state, actor, now)
    return state, []


def _toggle(state: Station, actor: str, now: Now) -> Step:
    if state.standing.override is None:
        toggled = modes.override(DoorMode.UNLOCKED, ModeCause.HOLDER, actor, None, now)
        return change(state, Overrides(toggled, ModeCause.HOLDER, actor), now)
    if state.standing.override.cause is ModeCause.HOLDER:
        return change(state, Overrides(None, ModeCause.HOLDER, actor), now)
    return state, []
