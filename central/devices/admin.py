"""Sites, doors, devices and enrolment codes for staff. Keys are never shown; a code is shown once, when it is made."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from central.devices import zones
from central.devices.codes import issue_code
from central.devices.models import Command, Device, Door, EnrolmentCode, Site
from central.devices.revocation import set_state
from central.devices.ruling import LACKS_RULES, lack_of_rules


@admin.register(Site)
class SiteAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Sites."""

    list_display = ("name", "time_zone", "zone_says", "closing_time", "longest_stay_h")

    @admin.display(description="Its clock")
    def zone_says(self, site: Site) -> str:
        """Show what its clock shows now; say what is used where nobody knows its zone."""
        shown = timezone.now().astimezone(zones.zone_of(site.time_zone)).strftime("%H:%M")
        return shown if zones.is_known(site.time_zone) else f"{shown} UTC: {zones.fault_of(site.time_zone)}"


@admin.register(Door)
class DoorAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Doors, and where enrolment codes come from."""

    list_display = ("name", "site", "direction", "rules_say")
    list_filter = ("site",)
    list_select_related = ("site",)
    actions = ("make_enrolment_code",)

    def get_readonly_fields(self, _request: HttpRequest, obj: Any = None) -> list[str]:
        """Keep the site: its zone and its device's directory would stay behind."""
        return [] if obj is None else ["site"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Door]:
        """Return the doors, each with whether it lets nobody in for want of rules."""
        doors: QuerySet[Door] = super().get_queryset(request)
        return doors.annotate(lacks_rules=lack_of_rules())

    @admin.display(description="Rules")
    def rules_say(self, door: Door) -> str:
        """Say that a door lets nobody in for want of rules."""
        return LACKS_RULES if door.lacks_rules else ""  # type: ignore[attr-defined]

    @admin.action(description="Make an enrolment code", permissions=["change"])
    def make_enrolment_code(self, request: HttpRequest, doors: QuerySet[Door]) -> None:
        """Show a new code for each chosen door."""
        for door in doors.select_related("site"):
            code, row = issue_code(door, now=timezone.now())
            self.log_change(request, door, "made an enrolment code")
            messages.success(request, f"{door}: {code}, good until {row.expires_at:%Y-%m-%d %H:%M} UTC")


@admin.register(Device)
class DeviceAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Devices; they come by enrolment and are revoked, never deleted, so that their events keep their owner."""

    list_display = ("name", "door", "state", "agent", "last_seen_at", "backlog", "session", "what_if")
    list_filter = ("state", "door__site")
    fields = (
        "name",
        "door",
        "state",
        "agent",
        "session",
        "connected_at",
        "last_seen_at",
        "backlog",
        "is_desk",
        "forms",
    )
    readonly_fields = ("state", "agent", "session", "connected_at", "last_seen_at", "backlog", "is_desk", "forms")
    actions = ("revoke", "reinstate", "rotate_key")

    @admin.display(description="What if")
    def what_if(self, device: Device) -> str:
        """Lead to what the door would say, and to what opens without its link; a card desk is no door."""
        if device.is_desk:
            return ""
        ask, outage = reverse("what_if", args=[device.pk]), reverse("without_link", args=[device.pk])
        return format_html('<a href="{}">who may pass</a>, <a href="{}">without the link</a>', ask, outage)

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Devices enrol themselves."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Device | None = None) -> bool:
        """Their events must keep their owner."""
        return False

    @admin.action(description="Change the key of the card index", permissions=["change"])
    def rotate_key(self, request: HttpRequest, devices: QuerySet[Device]) -> None:
        """Begin to change the key of each chosen device; it goes on by itself."""
        from central.rotation import rotating  # it builds on this app

        for rotation in rotating.start(devices, actor=request.user.get_username(), now=timezone.now()):
            self.log_change(request, rotation.device, "began to change the key of the card index")
        messages.info(request, f"The key is changed at {rotating.progress()}; see Keys of the card index.")

    @admin.action(description="Revoke: refuse this device from now on", permissions=["change"])
    def revoke(self, request: HttpRequest, devices: QuerySet[Device]) -> None:
        """Cut the chosen devices off; their journals keep what was not sent."""
        self._set_state(request, devices, Device.State.REVOKED)

    @admin.action(description="Reinstate: let this device connect again", permissions=["change"])
    def reinstate(self, request: HttpRequest, devices: QuerySet[Device]) -> None:
        """Let the chosen devices connect again with the keys they have."""
        self._set_state(request, devices, Device.State.ACTIVE)

    def _set_state(self, request: HttpRequest, devices: QuerySet[Device], state: Device.State) -> None:
        for device in devices.exclude(state=state):
            set_state(device, state)
            self.log_change(request, device, f"state set to {state}")


@admin.register(EnrolmentCode)
class EnrolmentCodeAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Which codes are out; the codes themselves are not kept."""

    list_display = ("__str__", "door", "created_at", "expires_at", "spent_at")
    readonly_fields = ("door", "name", "expires_at", "spent_at", "spent_by")

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Codes are made from a door."""
        return False


@admin.register(Command)
class CommandAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """What was asked of devices, by whom, why, and what came of it; read only."""

    list_display = ("name", "device", "state", "actor", "reason", "created_at", "ended_at", "code")
    list_filter = ("state", "name")

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Commands are issued from the dashboard."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Command | None = None) -> bool:
        """The record stays as it is."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Command | None = None) -> bool:
        """The record stays."""
        return False
