"""Doors that have no rules while others of their site have some: these let nobody in, as `rules.case` has it."""

from typing import Final

from django.db.models import Exists, OuterRef, Q

from central.devices.models import Door

LACKS_RULES: Final = "no rules while other doors of its site have some; it lets nobody in"


def lack_of_rules() -> Q:
    """Return what is true of such a door."""
    ruled = Door.objects.filter(site=OuterRef("site"), rules__isnull=False)
    return Q(Exists(ruled), rules__isnull=True)
