"""Who went through this door: the last passage of each member, as the journal's events tell it in their order. Pure.

A grant counts as a passage until its end says otherwise; one whose end a crash swallowed ends uncertain, and charges no
pack. Moments are monotonic ms of this boot; those of earlier boots are below zero, as if it had run on.
"""

from collections.abc import Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from agent.core.types import EventId
from rules.facts import Now
from rules.whereabouts import OUTSIDE, Stay, Ways, is_visit, led
from wire.events import Body, DecisionBody, PassageBody
from wire.vocabulary import VISITORS, ClockQuality, CredentialKind, Direction, Outcome, PassageOutcome

KEPT: Final = 4_096
"""Members whose last passage here is remembered; the oldest go first."""
_GRANTS_KEPT: Final = 64
_CHARGES_KEPT: Final = 64


class Seen(Struct, frozen=True, gc=False):
    """A passage at this door: where it led, and the event that says so. `wall_ms` is of an older boot, if trusted.

    A visit by a signed pass is paid for by that: it `is_charged` to no pack.
    """

    stay: Stay
    event: EventId
    wall_ms: int | None = None
    is_visitor: bool = True
    is_charged: bool = True

    def age_ms(self, now: Now) -> int:
        """Return how long ago it was: by the wall clock where only that knows how long the power was off."""
        age_ms = max(0, now.mono_ms - self.stay.since_ms)
        if self.wall_ms is None or now.q is ClockQuality.NONE:
            return age_ms
        return max(age_ms, now.wall_ms - self.wall_ms)


class Own(Struct, frozen=True):
    """What this device saw of a member: the last passage, one that is going on, and visits to be charged."""

    last: Seen | None = None
    going: Seen | None = None
    charges: tuple[EventId, ...] = ()

    @property
    def newest(self) -> Seen | None:
        """The passage that counts."""
        return self.going or self.last

    @property
    def is_going_in(self) -> bool:
        """Whether somebody was let in a moment ago for a visit of a pack, and has not been heard of since."""
        return self.going is not None and self.going.is_charged and self.going.stay.zone != OUTSIDE


NOTHING: Final = Own()


class _Granted(Struct, frozen=True):
    member: str
    direction: Direction
    before: Stay | None
    seen: Seen


class Sightings:
    """What was seen of each member, the longest unseen first."""

    def __init__(self) -> None:
        self._own: dict[str, Own] = {}
        self._granted: dict[EventId, _Granted] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def of(self, member: str) -> Own:
        """Return what was seen of a member."""
        return self._own.get(member, NOTHING)

    def member_of(self, body: Body) -> str | None:
        """Return whom an event is about, where it says that somebody passes or how that ended."""
        match body:
            case DecisionBody(outcome=Outcome.GRANT, member=member):
                return member
            case PassageBody():
                granted = self._granted.get(EventId(body.of_run, body.of_n))
                return None if granted is None else granted.member
        return None

    def let_in(self, event: EventId, body: DecisionBody, before: Stay | None, stay_at: "At") -> None:
        """Somebody was let through who was `before` until then."""
        assert body.member is not None, "nobody is let through without a name"
        stay = led(before, stay_at.ways, body.direction, stay_at.at_ms)
        is_visitor = body.holder in VISITORS
        is_charged = is_visitor and body.kind is not CredentialKind.PASS_SIGNED
        seen = Seen(stay, event, stay_at.wall_ms, is_visitor, is_charged)
        self._granted[event] = _Granted(body.member, body.direction, before, seen)
        if len(self._granted) > _GRANTS_KEPT:
            del self._granted[next(iter(self._granted))]
        self._keep(body.member, replace(self.of(body.member), going=seen))

    def ended(self, event: EventId, body: PassageBody, stay_at: "At") -> None:
        """A grant came to its end."""
        of = EventId(body.of_run, body.of_n)
        granted = self._granted.pop(of)
        own, seen = self.of(granted.member), granted.seen
        if own.going is not None and own.going.event == of:
            own = replace(own, going=None)
        match body.outcome:
            case PassageOutcome.PASSED:
                direction = granted.direction if body.direction is None else body.direction
                stay = led(granted.before, stay_at.ways, direction, stay_at.at_ms)
                charges = own.charges
                if seen.is_charged and is_visit(granted.before, stay_at.ways, stay):
                    charges = (*charges, event)[-_CHARGES_KEPT:]
                own = Own(replace(seen, stay=stay, event=event), own.going, charges)
            case PassageOutcome.UNKNOWN if own.last is not None and own.last.stay.since_ms > seen.stay.since_ms:
                pass  # what a crash cut off was told late: whoever passed since is where that led
            case PassageOutcome.UNKNOWN:
                unsure = replace(seen, stay=replace(seen.stay, is_certain=False), event=event)
                own = replace(own, last=unsure)
            case PassageOutcome.UNUSED | PassageOutcome.FAILED:
                pass
        self._keep(granted.member, own)

    def dropped(self) -> str | None:
        """Forget the member who was unseen for longest where there are more than KEPT; return who that was."""
        if len(self._own) <= KEPT:
            return None
        member = next(iter(self._own))
        del self._own[member]
        return member

    def settle(self, member: str, *, charges: tuple[EventId, ...]) -> None:
        """Leave only these visits to be charged."""
        self._own[member] = replace(self.of(member), charges=charges)

    def forget_where(self, member: str) -> None:
        """Forget where a member went; visits to be charged stay, or a pack would last for ever at a door alone."""
        charges = self.of(member).charges
        if charges:
            self._own[member] = Own(charges=charges)
        else:
            self._own.pop(member, None)

    def _keep(self, member: str, own: Own) -> None:
        self._own.pop(member, None)
        if own != NOTHING:
            self._own[member] = own


class At(Struct, frozen=True):
    """Where and when something happened; `wall_ms` where that was in an older boot and the clock could be trusted."""

    ways: Ways
    at_ms: int
    wall_ms: int | None = None
