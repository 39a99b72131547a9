"""How far each change of keys is; keys themselves are never shown."""

from django.contrib import admin
from django.http import HttpRequest

from central.rotation.models import KeyRotation


@admin.register(KeyRotation)
class KeyRotationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Changes of keys, begun by the action on devices."""

    list_display = ["device", "state", "why", "actor", "started_at", "ended_at"]
    list_filter = ["state", "device__door__site"]
    fields = ["device", "state", "old_id", "new_id", "why", "actor", "started_at", "ended_at"]

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """They begin at the device."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: KeyRotation | None = None) -> bool:
        """They go on by themselves."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: KeyRotation | None = None) -> bool:
        """Events of before need their key."""
        return False
