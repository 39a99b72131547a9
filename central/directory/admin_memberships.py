"""The sites of a member on the member's page: on which plan, and with what beside it."""

from typing import Any, Final, cast

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from central.directory.admin_rules import OwnSiteForm
from central.directory.models import Group, Member, Membership, Schedule, Zone

_BESIDE_PLAN: Final[dict[str, type[Group] | type[Schedule] | type[Zone]]] = {
    "groups": Group,
    "schedules": Schedule,
    "zones": Zone,
}


class MembershipForm(OwnSiteForm):
    """A membership; once it has a site, only what that site has is offered."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.site_id is None:
            return
        for name in set(self.fields) & {"plan", *_BESIDE_PLAN}:
            self._offer(name)

    def _offer(self, name: str) -> None:
        """Offer a site's own by their names alone; another's stay known, so that they are refused by name."""
        field = cast("forms.ModelChoiceField[Any]", self.fields[name])
        assert field.queryset is not None, "fields of models have one"
        found = field.queryset.filter(site=self.instance.site_id)
        nothing = [("", "---------")] if name == "plan" else []
        field.choices = [*nothing, *((thing.pk, thing.name) for thing in found)]
        if not found:
            field.help_text = f"{self.instance.site} has none"


class MembershipInline(admin.StackedInline):  # type: ignore[type-arg]
    """The sites of a member, and on which plan; what no site has is not asked about."""

    model = Membership
    form = MembershipForm
    extra = 0

    def get_fields(self, _request: HttpRequest, _obj: Member | None = None) -> Any:
        """Leave out what no site has yet."""
        return ["site", "plan", *(name for name, model in _BESIDE_PLAN.items() if model.objects.exists())]

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer them as boxes to tick."""
        return super().formfield_for_manytomany(db_field, request, widget=forms.CheckboxSelectMultiple, **kwargs)
