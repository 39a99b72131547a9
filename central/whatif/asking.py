"""One decision as a door would make it: the rules over the directory that its device holds. Nothing is recorded."""

from dataclasses import dataclass

from msgspec.structs import replace

from central.directory.models import Credential, Member
from central.passes import issuing
from central.passes.models import Pass
from central.whatif.held import Held
from central.whatif.whereabouts import recorded
from rules.book import Book
from rules.explaining import Explanation, explain
from rules.facts import Credential as ReadCredential
from rules.facts import Facts, Now, Read
from rules.passes import Moment, Register, check, row_of
from rules.whereabouts import OUTSIDE
from wire.book import CredentialClass
from wire.facts import DoorFacts, PresenceFacts
from wire.passes import is_pass
from wire.vocabulary import ClockQuality, CredentialKind, Direction, DoorMode, WhenUnsure

_READER = "what-if"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """When and in what state of the door somebody comes. `offline_s` is None while the link is up.

    Where they are, and whether their guardian or host is inside, is as the site's record says where it is None.
    """

    wall_ms: int
    direction: Direction = Direction.IN
    lockdown: int = 0
    mode: DoorMode | None = None
    offline_s: int | None = None
    knows_time: bool = True
    is_inside: bool | None = None
    has_company: bool | None = None

    @property
    def now(self) -> Now:
        """The clocks of the device."""
        return Now(0, self.wall_ms, ClockQuality.SYNCED if self.knows_time else ClockQuality.NONE)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a door says to one credential; `shown` is how people know it."""

    shown: str
    explanation: Explanation


def facts_of(held: Held, seen: Circumstances) -> Facts:
    """Return the facts about the door and the moment, of a credential that nobody knows."""
    book = held.edition.book
    here = "" if book is None else book.here
    return Facts(
        read=Read(_READER, seen.direction, ReadCredential(CredentialKind.HF_UID, "0" * 32), 0),
        now=seen.now,
        directory=held.edition.ref,
        row=None,
        book=book,
        door=DoorFacts(here, seen.mode, seen.lockdown, is_revoked=held.is_revoked),
        presence=PresenceFacts(is_site_wide=seen.offline_s is None),
        stale_s=seen.offline_s or 0,
    )


def of_member(held: Held, member: Member, seen: Circumstances) -> list[Answered]:
    """Return what the door says to each credential and each pass of a member."""
    facts = facts_of(held, seen)
    cards = Credential.objects.filter(member=member).order_by("created_at", "pk")
    passes = Pass.objects.filter(member=member, site=held.past.site_id, is_over=False).select_related("key")
    return [
        *(_of_row(held, facts, card, seen) for card in cards),
        *(_of_pass(held, facts, f"pass {made}", issuing.text_of(made).encode(), seen) for made in passes),
    ]


def of_value(held: Held, kind: CredentialKind, canonical: bytes, seen: Circumstances) -> Answered:
    """Return what the door says to a credential that somebody holds in their hand."""
    facts = facts_of(held, seen)
    if kind is CredentialKind.QR_STATIC and is_pass(canonical):
        return _of_pass(held, facts, "the pass", canonical, seen)
    known = _with_row(held, facts, kind, held.past.index_of(kind, canonical), None)
    return Answered("the card or code that was entered", explain(_present(held, known, seen)))


def with_pass(held: Held, facts: Facts, text: bytes) -> Facts:
    """Return the facts once a pass is shown; whether it was used at the door before is not known here."""
    book = held.edition.book
    register = Register() if book is None else book.passes
    found = check(text, register, _moment(book, facts), lambda *_: 0)
    index = held.past.index_of(found.kind, found.canonical)
    known = held.edition.find(index, None)
    read = replace(facts.read, credential=ReadCredential(found.kind, index))
    return replace(facts, read=read, row=known or row_of(found.passed, index), passed=found.passed)


def _of_pass(held: Held, facts: Facts, shown: str, text: bytes, seen: Circumstances) -> Answered:
    return Answered(shown, explain(_present(held, with_pass(held, facts, text), seen)))


def _present(held: Held, facts: Facts, seen: Circumstances) -> Facts:
    """Return the facts with where the holder is: by the site's record, but for what the question says."""
    book = facts.book
    zone = None if book is None else book.zones.get(_zone(book))
    known = recorded(held.past.site_id, facts.row, zone, seen.wall_ms)
    if seen.is_inside is not None:
        known = replace(known, zone=_zone(book) if seen.is_inside else OUTSIDE, age_ms=0, is_certain=True)
    if seen.has_company is not None:
        known = replace(known, is_guardian_inside=seen.has_company, is_host_inside=seen.has_company)
    return replace(facts, presence=replace(known, is_site_wide=seen.offline_s is None))


def _of_row(held: Held, facts: Facts, card: Credential, seen: Circumstances) -> Answered:
    index = held.past.index(card.kind, bytes(card.sealed))
    kind = CredentialKind(card.kind)
    known = _with_row(held, facts, kind, index, str(card.member_id))
    return Answered(str(card), explain(_present(held, known, seen)))


def _with_row(held: Held, facts: Facts, kind: CredentialKind, index: str, member: str | None) -> Facts:
    read = replace(facts.read, credential=ReadCredential(kind, index))
    return replace(facts, read=read, row=held.edition.find(index, member))


def _moment(book: Book | None, facts: Facts) -> Moment:
    signed = None if book is None else book.classes.get(CredentialKind.PASS_SIGNED.value)
    policy = signed or CredentialClass(name="default", clock_unknown=WhenUnsure.DENY)
    return Moment(
        wall_ms=facts.now.wall_ms,
        is_known=facts.now.q is not ClockQuality.NONE,
        zone=_zone(book),
        when_unsure=policy.clock_unknown,
        is_exit=facts.read.direction is Direction.OUT,
    )


def _zone(book: Book | None) -> str:
    here = None if book is None else book.doors.get(book.here)
    return "" if here is None else here.zone
