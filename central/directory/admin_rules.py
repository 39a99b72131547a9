"""The rules of a site for staff: hours, holidays, plans, groups, zones and doors."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from central.devices.models import Door
from central.devices.ruling import LACKS_RULES, lack_of_rules
from central.directory.admin_checked import CheckedAdmin
from central.directory.models import (
    CredentialClass,
    DoorHours,
    DoorRules,
    Group,
    Holiday,
    Plan,
    Schedule,
    ScheduleWindow,
    SiteRules,
    Zone,
)
from central.directory.models_rules import choices
from wire.vocabulary import Direction, Weekday

_DAYS = {"MO": "Mon", "TU": "Tue", "WE": "Wed", "TH": "Thu", "FR": "Fri", "SA": "Sat", "SU": "Sun"}


class OwnSiteForm(forms.ModelForm):  # type: ignore[type-arg]
    """Something of a site: whatever it refers to is of the same site."""

    def clean(self) -> dict[str, Any]:
        """Refuse what is of another site, by name."""
        cleaned = super().clean() or {}
        site = cleaned.get("site") or getattr(self.instance, "site", None)
        for name, chosen in list(cleaned.items()):
            several = [] if chosen is None or name == "site" else chosen if hasattr(chosen, "__iter__") else [chosen]
            for thing in several:
                if hasattr(thing, "site_id") and site is not None and thing.site_id != site.pk:
                    self.add_error(name, ValidationError(f"{thing} is of another site; choose one of {site}"))
        return cleaned


class SiteOwnedAdmin(CheckedAdmin):
    """Something of one site; its site is chosen once."""

    form = OwnSiteForm
    list_filter = ["site"]

    def get_readonly_fields(self, _request: HttpRequest, obj: Any = None) -> list[str]:
        """Keep the site: what refers to it would be left behind."""
        return [] if obj is None else ["site"]


class WindowForm(forms.ModelForm):  # type: ignore[type-arg]
    """A window, its days as boxes to tick."""

    days = forms.MultipleChoiceField(
        choices=[(day.value, _DAYS[day.value]) for day in Weekday],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = ScheduleWindow
        fields = ["days", "starts", "ends", "is_overnight", "is_for_holidays", "rrule", "from_date"]

    def clean(self) -> dict[str, Any]:
        """Refuse days on a window for holidays, which it would ignore."""
        cleaned = super().clean() or {}
        if cleaned.get("is_for_holidays") and (cleaned.get("days") or cleaned.get("rrule")):
            raise ValidationError("Hours for holidays hold on every holiday: leave days and recurrence empty")
        return cleaned


class WindowInline(admin.StackedInline):  # type: ignore[type-arg]
    """The windows of a schedule."""

    model = ScheduleWindow
    form = WindowForm
    fields = ["days", ("starts", "ends", "is_overnight"), "is_for_holidays", ("rrule", "from_date")]
    extra = 1


@admin.register(Schedule)
class ScheduleAdmin(SiteOwnedAdmin):
    """Schedules, with their windows."""

    keeps = (("groups", "schedules"), ("memberships", "schedules"))
    inlines = [WindowInline]
    list_display = ["name", "site", "on_holidays"]
    search_fields = ["name"]


@admin.register(Holiday)
class HolidayAdmin(SiteOwnedAdmin):
    """Holidays."""

    list_display = ["date", "name", "site"]
    date_hierarchy = "date"


@admin.register(Zone)
class ZoneAdmin(SiteOwnedAdmin):
    """Zones."""

    keeps = (("memberships", "zones"),)
    list_display = ["name", "site", "limit", "anti_passback", "is_listed_only"]
    search_fields = ["name"]


@admin.register(Plan)
class PlanAdmin(SiteOwnedAdmin):
    """Plans."""

    list_display = ["name", "site", "is_always", "is_everywhere"]
    search_fields = ["name"]
    filter_horizontal = ["schedules", "zones"]


@admin.register(Group)
class GroupAdmin(SiteOwnedAdmin):
    """Groups; one with members stays, as its limits would go with it."""

    list_display = ["name", "site"]
    search_fields = ["name"]
    filter_horizontal = ["schedules", "zones", "denied_zones"]

    def missed_by(self, thing: Group) -> str:
        """Return how many members are in it."""
        count = thing.memberships.count()
        are = "1 member is" if count == 1 else f"{count} members are"
        return f"{are} in {thing}; take them out first" if count else ""


@admin.register(CredentialClass)
class CredentialClassAdmin(SiteOwnedAdmin):
    """What holds for kinds of credentials."""

    list_display = ["name", "site", "clock_unknown", "stale_after_h"]


@admin.register(SiteRules)
class SiteRulesAdmin(CheckedAdmin):
    """What holds for a whole site."""

    list_display = ["site", "needs_plan", "stale_after_h"]

    def get_readonly_fields(self, _request: HttpRequest, obj: Any = None) -> list[str]:
        """Keep the site."""
        return [] if obj is None else ["site"]


class HoursForm(forms.ModelForm):  # type: ignore[type-arg]
    """Hours of a mode; the schedule is of the door's site."""

    class Meta:
        model = DoorHours
        fields = ["position", "schedule", "mode"]


class HoursInline(admin.TabularInline):  # type: ignore[type-arg]
    """When a door has another mode."""

    model = DoorHours
    form = HoursForm
    extra = 1


class DoorRulesForm(forms.ModelForm):  # type: ignore[type-arg]
    """A door's rules, its directions as boxes to tick."""

    directions = forms.MultipleChoiceField(
        choices=choices(Direction),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Which ways its readers may let people through; none ticked means all",
    )


@admin.register(DoorRules)
class DoorRulesAdmin(CheckedAdmin):
    """What doors do."""

    form = DoorRulesForm
    inlines = [HoursInline]
    list_display = ["door", "zone", "leaves", "mode"]
    list_filter = ["door__site"]
    list_select_related = ["door__site", "zone__site", "leaves__site"]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Save, and say which doors of the site let nobody in as they have no rules; raise BookError."""
        super().save_related(request, form, formsets, change)
        for door in Door.objects.filter(lack_of_rules(), site=form.instance.door.site_id):
            messages.warning(request, f"{door.name} has {LACKS_RULES}")

    def get_readonly_fields(self, _request: HttpRequest, obj: Any = None) -> list[str]:
        """Keep the door."""
        return [] if obj is None else ["door"]
