"""The cards that a file brings to sites whose doors drop bits: taken in together, as nothing signals bulk writes."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final
from uuid import UUID

from central.directory.models import Credential, Membership
from central.parts import alike
from central.parts.alike import AlikeError
from central.parts.models import DoorForm

_AT_ONCE: Final = 500


def take_in(new: Iterable[Credential], joined: Iterable[Membership]) -> dict[UUID, AlikeError]:
    """Take in new cards, and those of members who join a site; return why new ones are refused, by card.

    All of it is written by now, and refused with the file where one is. A card that somebody had before and brings to
    a site is not: there, in that form, doors are told of neither.
    """
    sites = set(DoorForm.objects.values_list("door__site_id", flat=True))
    if not sites:
        return {}
    cards = list(new)
    coming: dict[UUID, dict[UUID, Credential]] = defaultdict(dict)
    for card, site_id in _at_sites(cards):
        coming[site_id][card.pk] = card
    for membership, card in _brought([membership for membership in joined if membership.site_id in sites]):
        coming[membership.site_id][card.pk] = card
    refused: dict[UUID, AlikeError] = {}
    for site_id in sorted(coming.keys() & sites):
        refused |= alike.take_in(site_id, coming[site_id].values())
    return {card.pk: refused[card.pk] for card in cards if card.pk in refused}


def _at_sites(cards: list[Credential]) -> Iterator[tuple[Credential, UUID]]:
    """Yield each card with each site of its holder."""
    holders = {card.member_id for card in cards}
    sites: dict[UUID, list[UUID]] = defaultdict(list)
    for part in _parts(holders):
        for member, site in Membership.objects.filter(member_id__in=part).values_list("member_id", "site_id"):
            sites[member].append(site)
    for card in cards:
        for site_id in sites[card.member_id]:
            yield card, site_id


def _brought(joined: list[Membership]) -> Iterator[tuple[Membership, Credential]]:
    """Yield each new membership with each card of its member."""
    held: dict[UUID, list[Credential]] = defaultdict(list)
    for part in _parts({membership.member_id for membership in joined}):
        for card in Credential.objects.filter(member_id__in=part):
            held[card.member_id].append(card)
    for membership in joined:
        for card in held[membership.member_id]:
            yield membership, card


def _parts(values: Iterable[UUID]) -> Iterator[list[UUID]]:
    listed = sorted(values)
    for at in range(0, len(listed), _AT_ONCE):
        yield listed[at : at + _AT_ONCE]
