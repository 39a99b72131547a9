"""Tells sites when somebody who holds passes there may not come any more, or may again.

A member's own rows go to the sites of their memberships alone. Whoever has a pass of another site stands in the book
there, by the pass: without a new version of it the doors would go on letting a blocked visitor in.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.db.models.signals import post_save

from central.directory.models import Member, Membership
from central.directory.versions import raise_for_sites
from central.passes.models import Pass


def connect() -> None:
    """Hear of members who are changed; called once, when the app is ready."""
    post_save.connect(_saved, sender=Member, dispatch_uid="passes.member_saved")


def changed(members: Collection[UUID]) -> None:
    """Raise the version where these members have a pass and no membership; in the transaction that changes them."""
    is_told = Membership.objects.filter(member=OuterRef("member"), site=OuterRef("site"))
    held = Pass.objects.filter(~Exists(is_told), member__in=members, is_over=False)
    raise_for_sites(held.values_list("site_id", flat=True).distinct(), ())


def _saved(instance: Member, created: bool, raw: bool = False, **_: Any) -> None:
    if not created and not raw:
        changed([instance.pk])
