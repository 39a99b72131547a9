"""Both opinions on the same cases."""

from collections import Counter
from dataclasses import dataclass, field

from rules.book import Book, load
from rules.facts import Credential, Facts, Now, Read
from rules.policy import decide
from tests.reference.cases import cases, site
from tests.reference.judging import Presented, judge
from wire.facts import PassFacts
from wire.transfer import DirectoryRef
from wire.vocabulary import ClockQuality, CredentialKind, Direction, Reason

_KEPT = 5
_DIRECTORY = DirectoryRef("e", 1, "d")


@dataclass
class Tally:
    """What was compared: how often each reason was given, and the first disagreements."""

    cases: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    disagreements: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Count another tally in."""
        self.cases += other.cases
        self.reasons += other.reasons
        self.disagreements += other.disagreements
        self.examples = (self.examples + other.examples)[:_KEPT]


def compare(seeds: range) -> Tally:
    """Ask both about every case of these sites."""
    tally = Tally()
    for seed in seeds:
        book = load(site(seed))
        for number, seen in enumerate(cases(seed)):
            _compare_one(tally, f"site {seed}, case {number}", seen, book)
    return tally


def facts_of(seen: Presented, book: Book | None) -> Facts:
    """Return the facts of a case as the rules take them."""
    fault = PassFacts(Reason(seen.pass_fault)) if seen.pass_fault else None
    return Facts(
        Read("reader", Direction(seen.direction), Credential(CredentialKind.HF_UID, "0" * 32), 1_000),
        Now(1_000, seen.wall_ms, ClockQuality.SYNCED if seen.is_clock_known else ClockQuality.NONE),
        _DIRECTORY if seen.has_directory else None,
        seen.row,
        book,
        seen.door,
        seen.presence,
        seen.stale_s,
        fault,
    )


def _compare_one(tally: Tally, name: str, seen: Presented, book: Book | None) -> None:
    decision = decide(facts_of(seen, book))
    ours = (decision.reason.value, frozenset(notice.value for notice in decision.notices))
    theirs = judge(seen)
    tally.cases += 1
    tally.reasons[theirs[0]] += 1
    if ours != theirs or decision.is_grant != (theirs[0] == Reason.MEMBER_VALID):
        tally.disagreements += 1
        if len(tally.examples) < _KEPT:
            tally.examples.append(f"{name}: the rules say {_said(ours)}, the reference {_said(theirs)}")


def _said(verdict: tuple[str, frozenset[str]]) -> str:
    return " and ".join([verdict[0], *sorted(verdict[1])])
