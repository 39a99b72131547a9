"""Many members at the demonstration's site, made at central by bulk: `crowd(100_000)` in a shell of manage.py."""

from typing import Final

from django.db import transaction

from bench.doors import uid
from central.directory.demo import make_site
from central.directory.enrolling import fill
from central.directory.models import Credential, Member, Membership
from central.directory.versions import raise_for_sites
from central.editions.publishing import published
from wire.vocabulary import CredentialKind

_AT_ONCE: Final = 1_000


def crowd(count: int) -> None:
    """Make so many members with a card each, and let central publish them, as it would have by itself long ago."""
    site = make_site().site
    for first in range(0, count, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, count))
        members = [Member(full_name=f"Member {number}") for number in numbers]
        cards = [
            fill(Credential(member=member), CredentialKind.HF_UID, uid(number))
            for number, member in zip(numbers, members, strict=True)
        ]
        with transaction.atomic():
            Member.objects.bulk_create(members)
            Membership.objects.bulk_create([Membership(member=member, site=site) for member in members])
            Credential.objects.bulk_create(cards)
            raise_for_sites([site.pk])
    published(site.pk)


def credential_id(number: int) -> str:
    """Return the id of a member's credential at central."""
    return str(Credential.objects.get(member__full_name=f"Member {number}").pk)
