"""Which cards were waited for, by whom and with what end: to look at, not to change."""

from django.contrib import admin
from django.http import HttpRequest

from central.desk.models import Capture


@admin.register(Capture)
class CaptureAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """The record of the desk."""

    list_display = ["member", "device", "owner", "state", "why", "created_at"]
    list_filter = ["state"]
    exclude = ["session_hash"]

    def has_add_permission(self, _request: HttpRequest) -> bool:
        """Captures begin on the page of a member."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Capture | None = None) -> bool:
        """The record stays as it is."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Capture | None = None) -> bool:
        """The record stays."""
        return False
