"""Which cards look alike where bits are dropped: found before a card is enrolled, and the holder named.

Cards may look alike all the same: a form is entered later, or a member joins with a card. Then doors are told of none
of them in that form, as each would let in the holder of the other.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from central.devices.models import Site
from central.directory.enrolling import HeldError, fingerprint
from central.directory.models import Credential, Member
from central.directory.versions import raise_for_sites
from central.parts.models import CardPart, DoorForm
from wire.forms import form_of
from wire.vocabulary import CredentialKind

_AT_ONCE = 2000
_ASKED = 500


class AlikeError(HeldError):
    """A card that a door of the site could not tell from another's."""

    def __init__(self, holder: Member, spelling: str, door: str) -> None:
        super().__init__(holder)
        self.args = (
            f"at {door} this card looks like one of {holder.full_name} ({spelling}); give out another card, or set "
            "the reader there to a form that holds the whole number",
        )


def spellings_of(site_id: UUID) -> set[str]:
    """Return the forms that drop bits at a site."""
    return set(DoorForm.objects.filter(door__site_id=site_id).values_list("spelling", flat=True))


def part_of(spelling: str, kind: CredentialKind, canonical: bytes) -> str | None:
    """Return what tells a card in a form, None where the form is for another kind."""
    of_kind, _, form = spelling.partition("/")
    if of_kind != kind.value:
        return None
    return fingerprint(kind, f"{form}|{form_of(kind, form).write(canonical)}".encode())


def check(site_ids: Iterable[UUID], kind: CredentialKind, canonical: bytes) -> None:
    """Raise AlikeError where a card that is not enrolled yet looks like another at one of these sites."""
    for site_id in site_ids:
        for spelling, part in _parts(site_id, kind, canonical):
            _refuse_other(site_id, spelling, part)


def note(credential: Credential, site_ids: Iterable[UUID]) -> None:
    """Remember how a card looks at these sites; raise AlikeError. Part of the caller's transaction."""
    kind = CredentialKind(credential.kind)
    for site_id in site_ids:
        for spelling, part in _parts(site_id, kind, credential.canonical):
            _refuse_other(site_id, spelling, part)
            CardPart.objects.create(site_id=site_id, credential=credential, spelling=spelling, fingerprint=part)


def take_in(site_id: UUID, cards: Iterable[Credential]) -> dict[UUID, AlikeError]:
    """Remember how cards look at a site that they come to; return those that look like others, by card.

    Those others are left out as well from now on. Part of the caller's transaction.
    """
    spellings = sorted(spellings_of(site_id))
    parts = [
        CardPart(site_id=site_id, credential=card, spelling=spelling, fingerprint=part)
        for card in (cards if spellings else ())
        for spelling in spellings
        if (part := part_of(spelling, CredentialKind(card.kind), card.canonical)) is not None
    ]
    CardPart.objects.bulk_create(parts, batch_size=_AT_ONCE)
    return _found(site_id, parts)


def leave(site_id: UUID, parts: QuerySet[CardPart]) -> None:
    """Forget parts of a site's cards; who looked like one of them may be known again. In the caller's transaction."""
    gone = list(parts.filter(site_id=site_id))
    parts.filter(site_id=site_id).delete()
    likes = {like.credential.member_id for part in gone for like in _others(part)}
    if likes:
        raise_for_sites([site_id], likes)


def renew(site: Site) -> list[tuple[str, list[Credential]]]:
    """Work out anew how the cards of a site look; return those that look alike, which are left out, by form."""
    alike: list[tuple[str, list[Credential]]] = []
    with transaction.atomic():
        CardPart.objects.filter(site=site).delete()
        for spelling in sorted(spellings_of(site.pk)):
            groups = _groups(site, spelling)
            CardPart.objects.bulk_create(
                (
                    CardPart(site=site, credential=card, spelling=spelling, fingerprint=part)
                    for part, cards in groups.items()
                    for card in cards
                ),
                batch_size=_AT_ONCE,
            )
            alike += [(spelling, cards) for cards in groups.values() if len(cards) > 1]
    return alike


def spellings_by_card(site_id: UUID, members: Collection[UUID] | None = None) -> dict[UUID, list[str]]:
    """Return the forms in which doors of a site know each card in part; not those in which it looks like another."""
    found: dict[UUID, list[str]] = defaultdict(list)
    parts = CardPart.objects.filter(~_looks_like_another(), site_id=site_id)
    if members is not None:
        parts = parts.filter(credential__member_id__in=members)
    for credential, spelling in parts.order_by("spelling").values_list("credential_id", "spelling"):
        found[credential].append(spelling)
    return found


def _found(site_id: UUID, parts: Sequence[CardPart]) -> dict[UUID, AlikeError]:
    """Return which of these parts look like others, by card, and note that those others are told of no more."""
    found: dict[UUID, AlikeError] = {}
    likes: set[UUID] = set()
    for at in range(0, len(parts), _ASKED):
        named = [part.pk for part in parts[at : at + _ASKED]]
        for part in CardPart.objects.filter(_looks_like_another(), pk__in=named):
            for other in _others(part):
                likes.add(other.credential.member_id)
                found.setdefault(part.credential_id, _error(other))
    if likes:
        raise_for_sites([site_id], likes)
    return found


def _looks_like_another() -> Exists:
    same = ("site", "spelling", "fingerprint")
    like = CardPart.objects.filter(**{name: OuterRef(name) for name in same})
    return Exists(like.exclude(credential=OuterRef("credential")))


def _others(part: CardPart) -> QuerySet[CardPart]:
    """Return the parts of other cards that look the same."""
    same = CardPart.objects.filter(site_id=part.site_id, spelling=part.spelling, fingerprint=part.fingerprint)
    return same.exclude(credential_id=part.credential_id).select_related("credential__member")


def _groups(site: Site, spelling: str) -> dict[str, list[Credential]]:
    kind = CredentialKind(spelling.partition("/")[0])
    cards = Credential.objects.filter(member__memberships__site=site, kind=kind.value).select_related("member")
    groups: dict[str, list[Credential]] = defaultdict(list)
    for card in cards.order_by("pk").iterator(chunk_size=_AT_ONCE):
        part = part_of(spelling, kind, card.canonical)
        assert part is not None
        groups[part].append(card)
    return groups


def _parts(site_id: UUID, kind: CredentialKind, canonical: bytes) -> Iterator[tuple[str, str]]:
    for spelling in sorted(spellings_of(site_id)):
        part = part_of(spelling, kind, canonical)
        if part is not None:
            yield spelling, part


def _refuse_other(site_id: UUID, spelling: str, part: str) -> None:
    found = CardPart.objects.filter(site_id=site_id, spelling=spelling, fingerprint=part)
    other = found.select_related("credential__member").first()
    if other is not None:
        raise _error(other)


def _error(other: CardPart) -> AlikeError:
    forms = DoorForm.objects.filter(door__site_id=other.site_id, spelling=other.spelling)
    door = forms.select_related("door__site").first()
    return AlikeError(other.credential.member, other.spelling, str(door.door) if door else "a door")
