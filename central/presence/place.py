"""A site as presence sees it: its doors, where each leads, and when a stay there ends by itself."""

from dataclasses import dataclass
from uuid import UUID

from central.checkins.deriving import rule_of
from central.devices.models import Device, Site
from central.directory.models_rules import DoorRules
from central.presence.history import Closing
from rules.whereabouts import Ways


@dataclass(frozen=True, slots=True)
class Place:
    """A site with its doors: the name of each device's door, and where it leads."""

    site: Site
    doors: dict[UUID, tuple[str, Ways]]
    closing: Closing

    @classmethod
    def of(cls, site_id: UUID) -> "Place":
        """Return a site as it is now."""
        site = Site.objects.get(pk=site_id)
        rules = {
            rule.door_id: Ways(rule.zone.name, "" if rule.leaves is None else rule.leaves.name)
            for rule in DoorRules.objects.filter(door__site=site).select_related("zone", "leaves")
        }
        devices = Device.objects.filter(door__site=site).values_list("pk", "door_id", "door__name")
        doors = {pk: (name, rules.get(door, Ways())) for pk, door, name in devices}
        return cls(site, doors, rule_of(site).deadline_ms)
