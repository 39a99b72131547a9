"""The forms of a door's readers, for staff; which cards look alike is said when a form is entered."""

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest

from central.parts import alike
from central.parts.models import DoorForm

_NAMED = 5


@admin.register(DoorForm)
class DoorFormAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Which readers drop bits, and how."""

    list_display = ["door", "spelling", "is_reported"]
    list_filter = ["door__site"]

    def save_model(self, request: HttpRequest, obj: DoorForm, form: Any, change: bool) -> None:
        """Save, and name the cards that cannot be told apart at the door: they are left out there."""
        super().save_model(request, obj, form, change)
        for spelling, cards in alike.renew(obj.door.site):
            names = ", ".join(card.member.full_name for card in cards[:_NAMED])
            messages.warning(request, f"{spelling}: the cards of {names} look alike and are not known there")
