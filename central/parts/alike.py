"""Which cards look alike where bits are dropped: found before a card is enrolled, and the holder named."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from uuid import UUID

from django.db import transaction

from central.devices.models import Site
from central.directory.enrolling import HeldError, fingerprint
from central.directory.models import Credential, Member
from central.parts.models import CardPart, DoorForm
from wire.forms import form_of
from wire.vocabulary import CredentialKind

_AT_ONCE = 2000


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


def renew(site: Site) -> list[tuple[str, list[Credential]]]:
    """Work out anew how the cards of a site look; return those that look alike, which are left out, by form."""
    alike: list[tuple[str, list[Credential]]] = []
    with transaction.atomic():
        CardPart.objects.filter(site=site).delete()
        for spelling in sorted(spellings_of(site.pk)):
            groups = _groups(site, spelling)
            single = {part: cards[0] for part, cards in groups.items() if len(cards) == 1}
            CardPart.objects.bulk_create(
                (
                    CardPart(site=site, credential=card, spelling=spelling, fingerprint=part)
                    for part, card in single.items()
                ),
                batch_size=_AT_ONCE,
            )
            alike += [(spelling, cards) for cards in groups.values() if len(cards) > 1]
    return alike


def spellings_by_card(site_id: UUID, members: Collection[UUID] | None = None) -> dict[UUID, list[str]]:
    """Return the forms in which doors of a site know each card in part."""
    found: dict[UUID, list[str]] = defaultdict(list)
    parts = CardPart.objects.filter(site_id=site_id)
    if members is not None:
        parts = parts.filter(credential__member_id__in=members)
    for credential, spelling in parts.order_by("spelling").values_list("credential_id", "spelling"):
        found[credential].append(spelling)
    return found


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
        door = DoorForm.objects.filter(door__site_id=site_id, spelling=spelling).select_related("door__site").first()
        raise AlikeError(other.credential.member, spelling, str(door.door) if door else "a door")
