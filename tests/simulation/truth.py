"""What truly happened, as no part of the product can know it, and what must hold about it after every step.

Parts of the world tell it; it writes the trace, and a violation where a promise was broken. Keys are
(device, run, n). Nothing here decides anything.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from agent.core.effects import Grant, Opening
from agent.store.types import Draft
from tests.simulation.reference import Site, Verdict, judge
from tests.simulation.seen import Seen
from tests.simulation.shutout import ShutOut
from wire.chain import link
from wire.events import DecisionBody, ModeBody, PassageBody, StartedBody
from wire.vocabulary import Direction, DoorMode, EventKind, ModeCause, Outcome, PassageOutcome, PassageSense, Reason

Key = tuple[str, str, int]

MAX_VIOLATIONS: Final = 20
ATTEMPTS_IN_MINUTE: Final = 60
ATTEMPTS_IN_TEN_MINUTES: Final = 400
PAUSES_COMPARED: Final = 8
CLOCK_SLACK_MS: Final = 5
OBEYED_MS: Final = 90_000
"""Within this time a door is as central's last word has it, however slow its disk is with what it heard before."""
_OF_THE_DOOR: Final = frozenset({Reason.FIRE, Reason.DOOR_BUSY, Reason.OTHER_DOOR_OPEN})
"""Why a door refuses those whom the rules let in."""
_OF_THE_MODE: Final = frozenset({Reason.LOCKDOWN, Reason.DOOR_LOCKED, Reason.MAINTENANCE})
"""Why the rules refuse before they look at anything else."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One event that became durable somewhere; `true_ms` is when, by no clock of the simulated world."""

    digest: bytes
    true_ms: int
    draft: Draft
    card: str


@dataclass(slots=True)
class Attempts:
    """When one process tried to connect, and how long it waited between."""

    at_ms: deque[int] = field(default_factory=deque)
    pauses: deque[float] = field(default_factory=lambda: deque(maxlen=PAUSES_COMPARED))


@dataclass
class Truth:
    """The history of one simulated world."""

    now_ms: Callable[[], int]
    true_ms: Callable[[], int]
    site: Site
    lines: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    facts: dict[Key, Fact] = field(default_factory=dict)
    heads: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)
    ords: dict[tuple[str, str], int] = field(default_factory=dict)
    lost: set[Key] = field(default_factory=set)
    contested: set[Key] = field(default_factory=set)
    ends: Counter[Key] = field(default_factory=Counter)
    pulses: Counter[tuple[str, str]] = field(default_factory=Counter)
    decided: set[tuple[str, str, int, str]] = field(default_factory=set)
    committed: dict[tuple[str, str], int] = field(default_factory=dict)
    commands: dict[str, tuple[int, int]] = field(default_factory=dict)
    excused_commands: set[str] = field(default_factory=set)
    stands: dict[str, tuple[DoorMode, int]] = field(default_factory=dict)
    unsure_modes: set[str] = field(default_factory=set)
    passed: Counter[str] = field(default_factory=Counter)
    walked: dict[str, Callable[[], int]] = field(default_factory=dict)
    attempts: dict[str, Attempts] = field(default_factory=dict)
    reports: Counter[str] = field(default_factory=Counter)
    whereabouts: Seen = field(default_factory=Seen)
    shut_out: ShutOut = field(default_factory=ShutOut)
    locked_by: dict[str, ModeCause] = field(default_factory=dict)

    def note(self, *parts: object) -> None:
        """Add a line to the trace."""
        self.lines.append(f"{self.now_ms()} " + " ".join(map(str, parts)))

    @property
    def hash(self) -> str:
        """Sixteen digits over the whole trace."""
        return sha256("\n".join(self.lines).encode()).hexdigest()[:16]

    def broken(self, what: str) -> None:
        """Something happened that must not."""
        self.note("VIOLATION", what)
        if len(self.violations) < MAX_VIOLATIONS:
            self.violations.append(f"{self.now_ms() / 1000:.3f} s: {what}")

    def require(self, holds: bool, what: str) -> None:
        """Note a violation unless it holds."""
        if not holds:
            self.broken(what)

    # What the device did

    def began(self, device: str, run: str, ord_: int, head: bytes) -> None:
        """A run began; its chain stands at `head`."""
        self.require((device, run) not in self.heads, f"run {run} of {device} began twice")
        self.heads[device, run] = [head]
        self.ords[device, run] = ord_

    def durable(self, card: str, device: str, run: str, n: int, digest: bytes, draft: Draft) -> None:
        """An event is on the disk."""
        key = (device, run, n)
        self.note("event", card, run[:6], n, draft.kind, digest.hex()[:8])
        self.require(key not in self.facts, f"{key} was written twice")
        heads = self.heads[device, run]
        self.require(len(heads) == n, f"{key} does not follow event {len(heads) - 1}")
        heads.append(link(heads[-1], digest))
        self.facts[key] = Fact(digest, self.true_ms(), draft, card)
        self.counts[str(draft.kind)] += 1
        self.shut_out.written_ms[card] = self.true_ms()
        self._check_stamp(key, draft)
        if isinstance(draft.body, DecisionBody):
            self._check_whereabouts(card, draft.body)
            self._check_decision(card, device, draft, draft.body)
        elif isinstance(draft.body, PassageBody):
            self._check_end(device, draft.body)
            self._check_passage(card, draft.body)
        elif isinstance(draft.body, ModeBody):
            self.stands[card] = draft.body.mode, draft.body.lockdown
            self.locked_by[card] = draft.body.cause
        elif isinstance(draft.body, StartedBody):
            self.locked_by.pop(card, None)
        self.whereabouts.saw(card, key, draft.body)

    def _check_stamp(self, key: Key, draft: Draft) -> None:
        stamp = draft.at
        if stamp.err_ms is not None:
            off_ms = abs(stamp.wall_ms - self.site.true_at(stamp.boot, stamp.mono_ms))
            self.require(
                off_ms <= stamp.err_ms + CLOCK_SLACK_MS, f"{key} states an error of {stamp.err_ms} ms, it is {off_ms}"
            )

    def _check_decision(self, card: str, device: str, draft: Draft, body: DecisionBody) -> None:
        seen = (card, draft.at.boot, draft.at.mono_ms, f"{body.reader} {body.credential}")
        self.require(seen not in self.decided, f"one presentation was decided twice: {seen}")
        self.decided.add(seen)
        at_ms = self.site.true_at(draft.at.boot, draft.at.mono_ms)
        holds = self.shut_out.holds(card, at_ms)
        possible = (False, True) if holds is None else (holds,)
        ours = [judge(self.site, device, body, draft.at, is_shut_out=is_shut_out) for is_shut_out in possible]
        if body.outcome is Outcome.DENY:
            self.counts[f"refused {body.reason}"] += 1
        self.require(
            any(_is_said(body, verdict) for verdict in ours),
            f"{card} decided {body.outcome}/{body.reason}, the reference says {ours[0][0]}/{ours[0][1]}",
        )
        if body.reason is Reason.DOOR_LOCKED and self.locked_by.get(card) is ModeCause.REVOCATION:
            is_over = self.shut_out.holds(card, at_ms, for_ms=OBEYED_MS) is False
            self.require(not is_over, f"{card} stays locked though central lets it work again")

    def _check_whereabouts(self, card: str, body: DecisionBody) -> None:
        """A door decides by what its own disk says of who went where, however often it was cut off."""
        told = body.receipt.presence
        if told is None or told.zone is None or body.member is None:
            return
        if card in self.unsure_modes or card in self.whereabouts.doubted:
            return
        self.counts["presence compared"] += 1
        ours = self.whereabouts.where(card, body.member)
        self.require(told.zone == ours, f"{card} takes {body.member} to be in {told.zone!r}, its disk says {ours!r}")

    def _check_end(self, device: str, body: PassageBody) -> None:
        of = (device, body.of_run, body.of_n)
        grant = self.facts.get(of)
        is_grant = grant is not None and _is_grant(grant.draft)
        self.require(is_grant or of in self.lost, f"a passage tells of {of}, which is no grant")
        self.ends[of] += 1
        is_free = of in self.lost or of in self.contested
        self.require(self.ends[of] == 1 or is_free, f"the grant {of} ended {self.ends[of]} times")

    def _check_passage(self, card: str, body: PassageBody) -> None:
        """Where passage is sensed, nobody is charged for what did not turn."""
        self.counts[f"ended {body.outcome}"] += 1
        if body.outcome is PassageOutcome.PASSED and body.sense is PassageSense.SENSOR:
            self.passed[card] += 1
            walked = self.walked[card]()
            self.require(self.passed[card] <= walked, f"{card} charged {self.passed[card]}, {walked} went through")

    def told(self, card: str, *, is_shut_out: bool) -> None:
        """A device reads central's word that it may not work any more, or does again."""
        if self.shut_out.heard(card, self.true_ms(), is_shut_out=is_shut_out):
            self.note("told", card, "shut out" if is_shut_out else "works")
            self.counts["told it is revoked" if is_shut_out else "told it works again"] += 1

    def held(self, card: str) -> None:
        """The line of a door is switched on to stay on: the last mode on its disk has to say so."""
        self.note("hold", card)
        self.counts["holds"] += 1
        stands = self.stands.get(card)
        is_said = stands == (DoorMode.UNLOCKED, 0) or card in self.unsure_modes
        self.require(is_said, f"{card} stands open, its record says {stands}")

    def opened(self, card: str, device: str, run: str, opening: Opening, is_safe: bool) -> None:
        """The line of a door went on for an opening; `is_safe` where its event would survive a crash right now."""
        name = f"{opening.event.run}/{opening.event.n}" if isinstance(opening, Grant) else opening.id
        self.note("pulse", card, name)
        self.counts["pulses"] += 1
        level = self.stands.get(card, (DoorMode.CARD, 0))[1]
        is_exit = isinstance(opening, Grant) and opening.read.direction is Direction.OUT
        is_allowed = is_exit or not level or card in self.unsure_modes
        self.require(is_allowed, f"{card} opened inwards for {name} in a lockdown")
        self.require(is_safe, f"{card} opened for {name}, whose event is not durable")
        self.pulses[card, name] += 1
        self.require(self.pulses[card, name] == 1, f"{card} opened {self.pulses[card, name]} times for {name}")
        if isinstance(opening, Grant):
            fact = self.facts.get((device, opening.event.run, opening.event.n))
            self.require(fact is not None and _is_grant(fact.draft), f"{card} opened for {name}, which is no grant")
            self.require(opening.event.run == run, f"{card} opened for {name}, a grant of an earlier run")
            return
        is_shut_out = self.shut_out.holds(card, self.true_ms(), for_ms=OBEYED_MS)
        self.require(not is_shut_out, f"{card} opened for the command {opening.id} though central has shut it out")
        self._check_command(card, opening.id)

    def _check_command(self, card: str, command: str) -> None:
        issued = self.commands.get(command)
        self.require(issued is not None, f"{card} ran a command {command} that nobody gave")
        if issued is not None:
            created_ms, ttl_ms = issued
            late_ms = self.true_ms() - created_ms - ttl_ms
            self.require(late_ms < 0, f"{card} began command {command} {late_ms} ms after its end")
        total = sum(n for (_, name), n in self.pulses.items() if name == command)
        self.require(total == 1 or command in self.excused_commands, f"command {command} took effect {total} times")

    def acknowledged(self, device: str, run: str, upto: int) -> None:
        """A device moved its cursor: what lies before may be deleted from now on."""
        self.note("cursor", device[-4:], run[:6], upto)
        most = self.committed.get((device, run), 0)
        self.require(upto <= most, f"run {run}: acknowledged up to {upto}, central never had more than {most}")

    def tried(self, process: str) -> None:
        """A process tries to connect."""
        now_ms = self.now_ms()
        attempts = self.attempts.setdefault(process, Attempts())
        attempts.at_ms.append(now_ms)
        while attempts.at_ms[0] < now_ms - 600_000:
            attempts.at_ms.popleft()
        recent = sum(1 for at_ms in attempts.at_ms if at_ms > now_ms - 60_000)
        self.require(len(attempts.at_ms) <= ATTEMPTS_IN_TEN_MINUTES, f"{process} tried too often in ten minutes")
        self.require(recent <= ATTEMPTS_IN_MINUTE, f"{process} tried {recent} times in a minute")

    def paused(self, process: str, pause_s: float) -> None:
        """A process waits before the next attempt."""
        self.note("pause", process, f"{pause_s:.3f}")
        pauses = self.attempts.setdefault(process, Attempts()).pauses
        pauses.append(round(pause_s, 3))
        is_varied = len(pauses) < PAUSES_COMPARED or len(set(pauses)) > PAUSES_COMPARED // 2
        self.require(is_varied, f"{process} comes back in step: {list(pauses)}")

    # What central did

    def committed_at(self, device: str, run: str, upto: int, head: bytes) -> None:
        """Central committed events of a run."""
        self.note("commit", device[-4:], run[:6], upto)
        heads = self.heads.get((device, run), [])
        is_ours = upto < len(heads) and heads[upto] == head
        self.require(is_ours, f"central's chain of run {run} at {upto} is not the device's")
        self.committed[device, run] = max(upto, self.committed.get((device, run), 0))


def _is_said(body: DecisionBody, ours: Verdict) -> bool:
    """Say whether a decision agrees with the reference, which knows neither of the door's mode nor of its machine."""
    if body.outcome is Outcome.DENY and body.reason in _OF_THE_MODE:
        return body.direction is not Direction.OUT and ours[1] is not Reason.DEVICE_REVOKED
    if body.outcome is Outcome.DENY and body.reason in _OF_THE_DOOR:
        return ours[0] is Outcome.GRANT
    return ours == (body.outcome, body.reason)


def _is_grant(draft: Draft) -> bool:
    return (
        draft.kind is EventKind.DECISION
        and isinstance(draft.body, DecisionBody)
        and draft.body.outcome is Outcome.GRANT
    )
