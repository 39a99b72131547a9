"""`python -m tests.sync.presence_pair [SEEDS]`: doors and a central that tell each other who is where, on a bad link.

The halves are the real ones: what a door knows (`agent.core.presence`), its version of the site's presence
(`agent.sync.mirror`), and what central brings it (`central.sync.sharing`). Between them frames wait and are lost with a
cut, and doors start anew with nothing but their journals. People walk through as they like, and the truth is known.

What must hold: a door never forgets what it saw itself while nobody saw anything later; what it takes for the whole
site's presence is what central knew within the bound; and once faults stop all of them know the truth.
"""

import sys
from collections import deque
from dataclasses import dataclass, field
from random import Random
from typing import Final

from msgspec.structs import replace

from agent.core.presence import BEHIND_MS, CONFIRMED_MS, Presence
from agent.core.sightings import At
from agent.core.types import EventId
from agent.sync.exchange import Effects as AgentEffects
from agent.sync.exchange import PresenceTold, TakePresence
from agent.sync.exchange import Send as AgentSend
from agent.sync.mirror import Mirror
from central.sync.exchange import Effects as CentralEffects
from central.sync.exchange import LoadPresence, Send
from central.sync.sharing import Sharing
from rules.facts import Now
from rules.whereabouts import OUTSIDE, Stay, Ways, led
from tests.rules.builders import row
from tests.sync.talk import Talk
from wire.book import Zone
from wire.codec import encode, for_agent, for_central
from wire.events import Body, DecisionBody, PassageBody, Receipt
from wire.messages import Hello
from wire.presence import Heard, PresDelta, PresenceRef, Present, PresState
from wire.vocabulary import ClockQuality, CredentialKind, Direction, Outcome, PassageOutcome, Reason

WAYS: Final = Ways("gym", OUTSIDE)
MEMBERS: Final = ("m1", "m2", "m3", "m4")
SERVER_MS: Final = 1_800_000_000_000
STUCK_MS: Final = 20_000
"""A frame that is under way for longer costs the link: central ends it."""
PART: Final = 2
"""Rows in one message, so that several are needed."""
_to_agent, _to_central = for_agent(), for_central()


@dataclass
class Door:
    """One device: `journal` is all that survives a restart; `sent` of it is at central."""

    run: str
    known: Presence = field(default_factory=Presence)
    mirror: Mirror = field(default_factory=Mirror)
    journal: list[tuple[Body, int]] = field(default_factory=list)
    sent: int = 0
    is_linked: bool = False
    up: deque[bytes] = field(default_factory=deque)
    down: deque[tuple[int, bytes]] = field(default_factory=deque)
    sharing: Sharing = field(default_factory=Sharing)
    asked_ms: int = 0


@dataclass
class Site:
    """Everything there is, the truth among it: `past` says where each was from which moment on."""

    random: Random
    now_ms: int = 1_000_000
    doors: list[Door] = field(default_factory=lambda: [Door("a0"), Door("b0")])
    rows: dict[str, tuple[int, Stay]] = field(default_factory=dict)
    ver: int = 1
    heard: dict[str, int] = field(default_factory=dict)
    truth: dict[str, Stay] = field(default_factory=dict)
    past: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: _nowhere())
    central: dict[str, list[tuple[int, str]]] = field(default_factory=lambda: _nowhere())
    arrived: dict[tuple[str, str], int] = field(default_factory=dict)
    seen: dict[tuple[str, str], int] = field(default_factory=dict)
    fault: str | None = None

    # What people do

    def passes(self, door: Door, member: str, way: Direction) -> None:
        self.now_ms += 1
        direction = Direction.OUT if way is Direction.OUT else Direction.IN
        event = self._journal(door, granted(member, direction))
        outcome = self.random.choice([PassageOutcome.PASSED] * 4 + [PassageOutcome.UNUSED])
        self._journal(door, PassageBody(of_run=event.run, of_n=event.n, outcome=outcome))
        if outcome is PassageOutcome.PASSED:
            stay = led(self.truth.get(member), WAYS, direction, self.now_ms)
            self.truth[member] = stay
            self.past[member].append((self.now_ms, stay.zone))
            self.seen[door.run, member] = self.now_ms
            self.arrived.pop((door.run, member), None)

    def _journal(self, door: Door, body: Body) -> EventId:
        door.journal.append((body, self.now_ms))
        event = EventId(door.run, len(door.journal))
        door.known.saw(event, body, At(WAYS, self.now_ms))
        return event

    # The link

    def upload(self, door: Door) -> None:
        """Central takes some events, follows them, and hints at what is new."""
        if not door.is_linked:
            return
        for body, at_ms in door.journal[door.sent : door.sent + 2]:
            door.sent += 1
            if isinstance(body, PassageBody) and body.outcome is PassageOutcome.PASSED:
                grant, _ = door.journal[body.of_n - 1]
                assert isinstance(grant, DecisionBody)
                self._follow(str(grant.member), grant.direction, at_ms)
                if self.seen[door.run, str(grant.member)] == at_ms:
                    self.arrived[door.run, str(grant.member)] = self.now_ms
        if self.heard.get(door.run, 0) < door.sent:
            self.ver, self.heard[door.run] = self.ver + 1, door.sent
        for each in self.doors:
            if each.is_linked and self.random.random() < 0.7:
                self._central(each, *each.sharing.wanted())

    def _follow(self, member: str, direction: Direction, at_ms: int) -> None:
        known = self.rows.get(member)
        if known is None or known[1].since_ms < at_ms:
            self.ver += 1
            stay = led(None if known is None else known[1], WAYS, direction, at_ms)
            self.rows[member] = self.ver, stay
            self.central[member].append((self.now_ms, stay.zone))

    def connect(self, door: Door) -> None:
        if door.is_linked:
            return
        door.is_linked, door.asked_ms = True, self.now_ms
        (hello,) = Talk(1).open().said(Hello)
        door.sharing, effects = Sharing.opened(replace(hello, pres=door.mirror.ref))
        newest = PresenceRef("e", self.ver)
        door.mirror = replace(door.mirror, is_offered=True)
        self._agent(door, (PresenceTold(self.now_ms, newest == door.mirror.ref),))
        self._central(door, door.sharing, effects)

    def cut(self, door: Door) -> None:
        door.is_linked = False
        door.up.clear()
        door.down.clear()
        door.sharing = Sharing()
        door.known.cut()

    def restart(self, door: Door) -> None:
        """Only the journal is left, and how much of it central had acknowledged."""
        self.cut(door)
        door.mirror = Mirror()
        door.known = Presence({door.run: door.sent})
        for n, (body, at_ms) in enumerate(door.journal, 1):
            door.known.saw(EventId(door.run, n), body, At(WAYS, at_ms))

    def beat(self, door: Door) -> None:
        """A heartbeat and its answer, without delay."""
        if door.is_linked:
            newest = PresenceRef("e", self.ver)
            self._central(door, *door.sharing.compared(newest, door.mirror.ver, self.now_ms))
            door.mirror, effects = door.mirror.compared(self.ver, self.now_ms, self.now_ms)
            self._agent(door, effects)

    def deliver(self, door: Door) -> None:
        """The next frame arrives, in one direction or the other."""
        if door.down and (not door.up or self.random.random() < 0.5):
            delta = _to_agent.decode(door.down.popleft()[1])
            assert isinstance(delta, PresDelta)
            door.mirror, effects = door.mirror.received(delta)
            self._agent(door, effects)
        elif door.up:
            state = _to_central.decode(door.up.popleft())
            assert isinstance(state, PresState)
            self._central(door, *door.sharing.settled(state))

    def _agent(self, door: Door, effects: AgentEffects) -> None:
        for effect in effects:
            match effect:
                case AgentSend(message):
                    door.up.append(encode(message))
                case TakePresence(message):
                    door.known.take(message, self.now_ms)
                case PresenceTold(asked_ms, is_current):
                    door.known.told(asked_ms, is_current=is_current)

    def _central(self, door: Door, sharing: Sharing, effects: CentralEffects) -> None:
        door.sharing = sharing
        for effect in effects:
            if isinstance(effect, LoadPresence):
                self._central(door, *door.sharing.loaded(self._delta(door, effect.held), self.now_ms))
            elif isinstance(effect, Send):
                door.down.append((self.now_ms, encode(effect.message)))

    def _delta(self, door: Door, held: PresenceRef | None) -> PresDelta | None:
        first = held.ver if held is not None and held.ver <= self.ver else 0
        if first == self.ver:
            return None
        changed = sorted((ver, member, stay) for member, (ver, stay) in self.rows.items() if ver > first)
        part = [each for each in changed if first or each[2].zone][:PART]
        is_last = len(part) == len([each for each in changed if first or each[2].zone])
        put = [Present(member=member, zone=stay.zone, since_ms=SERVER_MS + stay.since_ms) for _, member, stay in part]
        heard = [Heard(door.run, self.heard[door.run])] if is_last and self.heard.get(door.run) else []
        return PresDelta(
            epoch="e", first=first, to=self.ver if is_last else part[-1][0], server_ms=SERVER_MS + self.now_ms,
            put=put, heard=heard, is_last=is_last,
        )  # fmt: skip

    # What must hold

    def look(self) -> None:
        """Compare what each door knows with the truth; a link that is stuck for long is cut."""
        for door in self.doors:
            if door.down and self.now_ms - door.down[0][0] > STUCK_MS:
                self.cut(door)
            for member in MEMBERS:
                fault = self._fault(door, member)
                if fault is not None and self.fault is None:
                    self.fault = f"door {door.run}: {fault}"

    def _fault(self, door: Door, member: str) -> str | None:
        facts = door.known.facts(row(member=member), None, Now(self.now_ms, 0, ClockQuality.NONE))
        own_ms = self.seen.get((door.run, member))
        if own_ms is not None and facts.zone not in _values(self.past[member], own_ms):
            return f"{member} is in {facts.zone!r}, though it saw otherwise at {own_ms}"
        since_ms = self.now_ms - CONFIRMED_MS - BEHIND_MS - STUCK_MS
        is_new = own_ms is not None and self.arrived.get((door.run, member), self.now_ms) >= since_ms
        if facts.is_site_wide and not is_new and facts.zone not in _values(self.central[member], since_ms):
            return f"the whole site's presence says {facts.zone!r} of {member}, which central has not known for long"
        return None

    def heal(self) -> None:
        """Faults stop: everything is delivered, and heartbeats go on."""
        for _ in range(200):
            self.now_ms += 200
            for door in self.doors:
                self.connect(door)
                self.upload(door)
                self.deliver(door)
                self.beat(door)
        for door in self.doors:
            for member in MEMBERS:
                facts = door.known.facts(row(member=member), GYM, Now(self.now_ms, 0, ClockQuality.NONE))
                truth = self.past[member][-1][1]
                inside = sum(self.past[each][-1][1] == "gym" for each in MEMBERS)
                if (facts.is_site_wide, facts.zone or OUTSIDE, facts.inside) != (True, truth, inside):
                    self.fault = self.fault or f"door {door.run} does not know the truth of {member}: {facts}"


def _values(past: list[tuple[int, str]], since_ms: int) -> set[str]:
    """Return where a member was at any moment since then."""
    at_first = [zone for at_ms, zone in past if at_ms <= since_ms][-1:]
    return {*at_first, *(zone for at_ms, zone in past if at_ms > since_ms)}


def _nowhere() -> dict[str, list[tuple[int, str]]]:
    return {member: [(0, OUTSIDE)] for member in MEMBERS}


GYM: Final = Zone(name="gym", limit=3)


def granted(member: str, direction: Direction) -> DecisionBody:
    """Return the body of a decision that lets somebody through."""
    return DecisionBody(
        door="d", reader="in", direction=direction, kind=CredentialKind.HF_UID, credential="0" * 32,
        outcome=Outcome.GRANT, reason=Reason.MEMBER_VALID, member=member,
        receipt=Receipt(dir_epoch="", dir_ver=0, rules=1, input=""),
    )  # fmt: skip


def violation(seed: int, steps: int = 300) -> str | None:
    """Play one seed; return what was broken, None where nothing was."""
    random = Random(seed)
    site = Site(random)
    for _ in range(steps):
        site.now_ms += random.choice([1, 5, 50, 500, 5_000])
        door = random.choice(site.doors)
        match random.randrange(20):
            case 0:
                site.cut(door)
            case 1:
                site.restart(door)
            case 2 | 3:
                site.connect(door)
            case 4 | 5 | 6:
                site.passes(door, random.choice(MEMBERS), random.choice([Direction.IN, Direction.OUT]))
            case 7 | 8 | 9:
                site.upload(door)
            case 10 | 11:
                site.beat(door)
            case _:
                site.deliver(door)
        site.look()
        if site.fault is not None:
            return f"seed {seed}: {site.fault}"
    site.heal()
    return None if site.fault is None else f"seed {seed}, healed: {site.fault}"


def main(seeds: int) -> int:
    """Play many seeds; 1 where one breaks a promise."""
    broken = [found for seed in range(seeds) if (found := violation(seed)) is not None]
    print(f"{seeds} seeds, {len(broken)} broken")
    for found in broken[:5]:
        print(found)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000))
