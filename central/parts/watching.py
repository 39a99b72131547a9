"""Keeps the parts of cards up to date: with every new card and member of a site, and when a door's forms change."""

import logging
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete, post_save

from central.directory.models import Credential, Membership
from central.directory.versions import raise_for_sites
from central.parts import alike, reported
from central.parts.models import CardPart, DoorForm

_log = logging.getLogger(__name__)


def connect() -> None:
    """Watch; called once, when the app is ready."""
    post_save.connect(_enrolled, sender=Credential, dispatch_uid="parts.enrolled")
    post_save.connect(_joined, sender=Membership, dispatch_uid="parts.joined")
    post_delete.connect(_left, sender=Membership, dispatch_uid="parts.left")
    post_save.connect(_respelled, sender=DoorForm, dispatch_uid="parts.spelled")
    post_delete.connect(_respelled, sender=DoorForm, dispatch_uid="parts.unspelled")


def _enrolled(instance: Credential, created: bool, **_: Any) -> None:
    if created:
        alike.note(instance, instance.sites_told())


def _joined(instance: Membership, created: bool, **_: Any) -> None:
    """A card of somebody who joins may look like another's: then it is left out where bits are dropped, and logged."""
    if not created:
        return
    for credential in Credential.objects.filter(member_id=instance.member_id):
        try:
            with transaction.atomic():
                alike.note(credential, [instance.site_id])
        except alike.AlikeError as fault:
            _log.warning("a card of %s at %s: %s", instance.member_id, instance.site_id, fault)


def _left(instance: Membership, **_: Any) -> None:
    CardPart.objects.filter(site_id=instance.site_id, credential__member_id=instance.member_id).delete()


def _respelled(instance: DoorForm, **_: Any) -> None:
    with transaction.atomic():
        raise_for_sites([instance.door.site_id])
    for spelling, cards in alike.renew(instance.door.site):
        _log.warning("%d cards look alike as %s at %s", len(cards), spelling, instance.door.site)
    if not instance.is_reported:
        reported.settle(instance.door_id)
