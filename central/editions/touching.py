"""Noting whose lines may have changed, in the transaction that changes them."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from central.editions.models import Touched

ANYBODY: Final = UUID(int=0)
"""Stands for every member and the book."""


def touch(site_id: UUID, members: Iterable[UUID] | None) -> None:
    """Note the members whose lines may have changed at a site; None where that is not known, or the book changed."""
    named = {ANYBODY} if members is None else set(members)
    rows = [Touched(site_id=site_id, member=member) for member in sorted(named)]
    Touched.objects.bulk_create(rows, ignore_conflicts=True)
