"""Keeps the parts of cards up to date: with every new card and member of a site, and when a door's forms change."""

import logging
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save, pre_delete

from central.directory.models import Credential, Membership
from central.directory.versions import raise_for_sites
from central.parts import alike, reported
from central.parts.models import CardPart, DoorForm

_log = logging.getLogger(__name__)


def connect() -> None:
    """Watch; called once, when the app is ready."""
    post_save.connect(_enrolled, sender=Credential, dispatch_uid="parts.enrolled")
    pre_delete.connect(_deleted, sender=Credential, dispatch_uid="parts.deleted")
    post_save.connect(_joined, sender=Membership, dispatch_uid="parts.joined")
    post_delete.connect(_left, sender=Membership, dispatch_uid="parts.left")
    post_save.connect(_respelled, sender=DoorForm, dispatch_uid="parts.spelled")
    post_delete.connect(_respelled, sender=DoorForm, dispatch_uid="parts.unspelled")


def _enrolled(instance: Credential, created: bool, **_: Any) -> None:
    if created:
        alike.note(instance, instance.sites_told())


def _joined(instance: Membership, created: bool, **_: Any) -> None:
    """A card of somebody who joins may look like another's: then both are left out where bits are dropped."""
    if created:
        cards = Credential.objects.filter(member_id=instance.member_id)
        for card in alike.take_in(instance.site_id, cards):
            _log.warning("card %s looks like another's at site %s and is left out in part", card, instance.site_id)


def _left(instance: Membership, **_: Any) -> None:
    alike.leave(instance.site_id, CardPart.objects.filter(credential__member_id=instance.member_id))


def _deleted(instance: Credential, **_: Any) -> None:
    """Before the database forgets how the card looked."""
    parts = CardPart.objects.filter(credential=instance)
    for site_id in set(parts.values_list("site_id", flat=True)):
        alike.leave(site_id, parts)


def _respelled(instance: DoorForm, **_: Any) -> None:
    with transaction.atomic():
        raise_for_sites([instance.door.site_id])
    for spelling, cards in alike.renew(instance.door.site):
        _log.warning("%d cards look alike as %s at %s", len(cards), spelling, instance.door.site)
    if not instance.is_reported:
        reported.settle(instance.door_id)
