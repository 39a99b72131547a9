"""The version of each site's directory: raised with every change, in one transaction, and told after the commit."""

import secrets
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete

from central.devices.models import Device, Door, Site
from central.directory import models
from central.directory.models import DirectoryVersion, Group, Member, Membership, Plan
from central.directory.models_base import Versioned
from central.editions.touching import touch
from central.sync import hints

_EPOCH_BYTES = 8


def raise_for_sites(site_ids: Iterable[UUID], members: Iterable[UUID] | None = None) -> None:
    """Raise the version of each site; call it inside the transaction that changes what devices may know.

    `members` are those whose rows may have changed: none for a change of the book alone, None where it may be anybody,
    which costs a comparison of the whole site.
    """
    assert transaction.get_connection().in_atomic_block, "the version and the change are one transaction"
    named = None if members is None else list(members)
    # Always in the same order, so that two changes of several sites cannot lock each other out.
    for site_id in sorted(set(site_ids)):
        of_site(site_id)
        DirectoryVersion.objects.filter(site_id=site_id).update(ver=F("ver") + 1)
        # After the update, which holds the lock that publishing takes: so nothing is noted that it has just forgotten.
        touch(site_id, named)
        transaction.on_commit(lambda told=site_id: hints.directory_changed(told))  # type: ignore[misc]


def begin_epoch(site_ids: Iterable[UUID]) -> None:
    """Begin a new epoch at each site, in the caller's transaction: what devices hold of the old one counts no more."""
    sites = sorted(set(site_ids))
    raise_for_sites(sites)
    for site_id in sites:
        DirectoryVersion.objects.filter(site_id=site_id).update(epoch=secrets.token_hex(_EPOCH_BYTES))


def of_site(site_id: UUID) -> DirectoryVersion:
    """Return the version in force at a site; the first look begins an epoch at version 1."""
    version, _ = DirectoryVersion.objects.get_or_create(
        site_id=site_id, defaults={"epoch": secrets.token_hex(_EPOCH_BYTES), "ver": 1}
    )
    return version


def doors_behind(site_id: UUID) -> list[str]:
    """Return the names of the site's doors that did not say yet that they decide from the version in force."""
    newest = of_site(site_id)
    doors = Device.objects.filter(door__site_id=site_id, state=Device.State.ACTIVE, is_desk=False)
    behind = doors.exclude(dir_epoch=newest.epoch, dir_ver=newest.ver)
    return list(behind.order_by("door__name").values_list("door__name", flat=True).distinct())


def connect() -> None:
    """Watch what saving a row does not tell: deletions, also by query set, and changes of what a row refers to.

    Called once, when the app is ready.
    """
    for name in models.__all__:
        model = getattr(models, name)
        if issubclass(model, Versioned):
            post_delete.connect(_deleted, sender=model, dispatch_uid=f"directory.deleted.{name}")
    for related in _RELATED:
        m2m_changed.connect(_related, sender=related, dispatch_uid=f"directory.related.{related.__name__}")
    pre_delete.connect(_leaves, sender=Member, dispatch_uid="directory.leaves")
    for model in (Site, Door):
        post_save.connect(_moved, sender=model, dispatch_uid=f"directory.saved.{model.__name__}")


_RELATED = (
    Membership.groups.through, Membership.schedules.through, Membership.zones.through, Member.guardians.through,
    Plan.schedules.through, Plan.zones.through, Group.schedules.through, Group.zones.through,
    Group.denied_zones.through,
)  # fmt: skip
_RELATED_CHANGES = ("post_add", "post_remove", "post_clear")


def _deleted(instance: Versioned, origin: Any = None, **_: Any) -> None:
    if getattr(origin, "model", type(origin)) is not Site:  # a site that goes has no devices to tell
        raise_for_sites(instance.sites_told(), instance.members_told())


def _leaves(instance: Member, **_: Any) -> None:
    """Note those whose rows name a member who is about to be deleted: the database forgets it without a signal."""
    depending = set(Member.objects.filter(Q(guardians=instance) | Q(host=instance)).values_list("pk", flat=True))
    sites = Membership.objects.filter(member_id__in=depending).values_list("site_id", flat=True)
    raise_for_sites(sites, depending)


def _related(instance: Versioned, action: str, reverse: bool = False, **_: Any) -> None:
    if action in _RELATED_CHANGES:
        is_of_the_book = isinstance(instance, Plan | Group)
        members = None if reverse else () if is_of_the_book else instance.members_told()
        raise_for_sites(instance.sites_told(), members)


def _moved(instance: Site | Door, created: bool, raw: bool = False, **_: Any) -> None:
    if not created and not raw:
        raise_for_sites([instance.pk if isinstance(instance, Site) else instance.site_id], ())
