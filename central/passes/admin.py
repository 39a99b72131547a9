"""Passes and their keys for staff: looked at here, issued and revoked where it is done in one transaction."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from central.passes.models import Pass, PassKey


class _ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody adds rows by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes rows by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A pass that was issued stays on record."""
        return False


@admin.register(Pass)
class PassAdmin(_ReadOnly):
    """Every pass that was ever issued."""

    list_display = ["member", "site", "holder", "starts_at", "ends_at", "is_once", "revoked_at", "issued_by", "code"]
    list_filter = ["site", "holder", "is_once"]
    search_fields = ["member__full_name"]

    @admin.display(description="Code")
    def code(self, made: Pass) -> SafeString:
        """Link to the page that shows the code."""
        return format_html('<a href="{}">show</a>', reverse("pass", args=[made.pk]))


@admin.register(PassKey)
class PassKeyAdmin(_ReadOnly):
    """The keys; `manage.py passes key` makes and retires them."""

    list_display = ["kid", "signs_from", "created_at", "retired_at", "ends_at", "is_revoked"]
