"""Where each door's own disk says that people are: a second opinion, without a look at the agent's."""

from dataclasses import dataclass, field

from wire.events import Body, DecisionBody, PassageBody
from wire.vocabulary import Direction, Outcome, PassageOutcome

INSIDE = "*"


@dataclass
class Seen:
    """By door and member: where the last passage led, and where one leads that has not ended.

    A passage counts from its end on; one of which nobody knows whether it was made, from its grant on.
    """

    settled: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    going: dict[tuple[str, str], tuple[tuple[str, str, int], str]] = field(default_factory=dict)
    grants: dict[tuple[str, str, int], tuple[str, str, int]] = field(default_factory=dict)
    events: int = 0
    doubted: set[str] = field(default_factory=set)
    """Doors whose disk lost what it held."""

    def where(self, card: str, member: str) -> str | None:
        """Return where a member is by a door's disk, None where it says nothing."""
        who = (card, member)
        return self.going[who][1] if who in self.going else self.settled.get(who, (0, None))[1]

    def saw(self, card: str, key: tuple[str, str, int], body: Body) -> None:
        """An event is on the disk of a door."""
        self.events += 1
        if isinstance(body, DecisionBody) and body.outcome is Outcome.GRANT and body.member is not None:
            zone = "" if body.direction is Direction.OUT else INSIDE
            self.going[card, body.member] = key, zone
            self.grants[key] = body.member, zone, self.events
        elif isinstance(body, PassageBody):
            of = (key[0], body.of_run, body.of_n)
            if of not in self.grants:
                return
            member, zone, granted = self.grants[of]
            if self.going.get((card, member), (None,))[0] == of:
                del self.going[card, member]
            since = granted if body.outcome is PassageOutcome.UNKNOWN else self.events
            is_newest = since > self.settled.get((card, member), (0, ""))[0]
            if body.outcome in (PassageOutcome.PASSED, PassageOutcome.UNKNOWN) and is_newest:
                self.settled[card, member] = since, zone
