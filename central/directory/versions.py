"""The version of each site's directory: raised with every change, in one transaction, and told after the commit."""

import secrets
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.signals import post_delete

from central.directory.models import Credential, DirectoryVersion, Membership
from central.sync import hints

_EPOCH_BYTES = 8


def raise_for_sites(site_ids: Iterable[UUID]) -> None:
    """Raise the version of each site; call it inside the transaction that changes what devices may know."""
    assert transaction.get_connection().in_atomic_block, "the version and the change are one transaction"
    # Always in the same order, so that two changes of several sites cannot lock each other out.
    for site_id in sorted(set(site_ids)):
        of_site(site_id)
        DirectoryVersion.objects.filter(site_id=site_id).update(ver=F("ver") + 1)
        transaction.on_commit(lambda told=site_id: hints.directory_changed(told))  # type: ignore[misc]


def of_site(site_id: UUID) -> DirectoryVersion:
    """Return the version in force at a site; the first look begins an epoch at version 1."""
    version, _ = DirectoryVersion.objects.get_or_create(
        site_id=site_id, defaults={"epoch": secrets.token_hex(_EPOCH_BYTES), "ver": 1}
    )
    return version


def connect() -> None:
    """Raise versions when rows are deleted, one by one or by query set; called once, when the app is ready."""
    for model in (Membership, Credential):
        post_delete.connect(_deleted, sender=model, dispatch_uid=f"directory.{model.__name__}")


def _deleted(instance: Membership | Credential, **_: Any) -> None:
    if isinstance(instance, Membership):
        raise_for_sites([instance.site_id])
        return
    held_at = Membership.objects.filter(member_id=instance.member_id).values_list("site_id", flat=True)
    raise_for_sites(held_at)
