"""What staff fill in at the desk."""

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from central.devices.models import Site
from central.devices.zones import zone_of
from central.directory.models import Member, Zone

_NAME_CHARS = 150


def end_of_day(site: Site, now: datetime) -> datetime:
    """Return the midnight that ends the present day at a site."""
    zone = zone_of(site.time_zone)
    tomorrow = now.astimezone(zone).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(), zone)


class DayPassForm(forms.Form):
    """A pass that begins now, for somebody who is known or for a visitor by name."""

    member = forms.ModelChoiceField(Member.objects.all(), required=False, widget=forms.HiddenInput)
    name = forms.CharField(max_length=_NAME_CHARS, required=False, strip=True)
    until = forms.DateTimeField(
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M"],
    )
    zones = forms.ModelMultipleChoiceField(
        Zone.objects.none(), required=False, widget=forms.CheckboxSelectMultiple, help_text="None: every zone"
    )
    is_once = forms.BooleanField(required=False, label="Lets in once at each door")

    def __init__(self, *args: Any, site: Site, now: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["zones"].queryset = Zone.objects.filter(site=site).order_by("name")  # type: ignore[attr-defined]
        self._site = site
        self._now = now

    def clean_until(self) -> datetime:
        """Return the end as a moment; a time is meant as the clock at the site shows it."""
        until: datetime | None = self.cleaned_data["until"]
        if until is None:
            return end_of_day(self._site, self._now)
        return until.replace(tzinfo=zone_of(self._site.time_zone))

    def clean(self) -> dict[str, Any]:
        """Ask for a member or a name."""
        if not self.errors and self.cleaned_data["member"] is None and not self.cleaned_data["name"]:
            raise ValidationError({"name": "Who is the visitor?"})
        return self.cleaned_data
