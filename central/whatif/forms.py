"""What staff choose: when, which way, in what state of the door, and whose card."""

from datetime import datetime
from typing import Any, Final

from django import forms
from django.utils import timezone

from central.devices.models import Site
from central.devices.zones import zone_of
from central.directory.enrolling import TYPED_FORMS, read_typed
from central.directory.models import Member
from central.directory.words import KIND_LABELS
from central.whatif.asking import Circumstances
from wire.credentials import CredentialError
from wire.passes import is_pass
from wire.vocabulary import CredentialKind, Direction, DoorMode

SHOWN_AS: Final = "%Y-%m-%dT%H:%M"
_WAYS: Final = [("in", "in"), ("out", "out"), ("toggle", "one reader for both")]
_RARE: Final = ("mode", "lockdown", "where", "company", "knows_no_time")
_RECORD, _YES, _NO = "", "yes", "no"
_MOST_HOURS: Final = 24 * 366 * 10
_MOST_LEVEL: Final = 32_767
_FIRST_YEAR, _LAST_YEAR = 1970, 2199


class UnrepeatedInput(forms.PasswordInput):
    """Shows what is typed, and does not send it back to the browser with the answer."""

    input_type = "text"


class QuestionForm(forms.Form):
    """A question to one door; without a member or a value it is about the door alone."""

    at = forms.DateTimeField(required=False)
    direction = forms.ChoiceField(label="Which way", choices=_WAYS, required=False)
    offline_h = forms.IntegerField(
        label="Hours without the link", min_value=0, max_value=_MOST_HOURS, required=False,
        help_text="Empty while the link is up.",
    )  # fmt: skip
    knows_no_time = forms.BooleanField(label="The door does not know the time", required=False)
    where = forms.ChoiceField(
        label="They are",
        required=False,
        choices=[(_RECORD, "where the record says"), (_NO, "outside"), (_YES, "inside")],
    )
    company = forms.ChoiceField(
        label="Their guardian or host is", required=False,
        choices=[(_RECORD, "where the record says"), (_YES, "inside"), (_NO, "not inside")],
    )  # fmt: skip
    mode = forms.ChoiceField(
        label="The door is", required=False,
        choices=[("", "as its hours say"), *((str(mode), str(mode).replace("_", " ")) for mode in DoorMode)],
    )  # fmt: skip
    lockdown = forms.IntegerField(
        label="Level of a lockdown",
        min_value=0,
        max_value=_MOST_LEVEL,
        required=False,
        help_text="0 or empty for none.",
    )
    member = forms.ModelChoiceField(Member.objects.all(), required=False, widget=forms.HiddenInput)
    kind = forms.ChoiceField(label="Kind", choices=[(k.value, KIND_LABELS[k]) for k in TYPED_FORMS], required=False)
    value = forms.CharField(
        label="Card or code", max_length=3000, required=False,
        widget=UnrepeatedInput(attrs={"autocomplete": "off"}),
        help_text="As staff type it: 04 A1 5B C2 D3 E4 E6. It is neither kept nor logged.",
    )  # fmt: skip

    def __init__(self, *args: Any, site: Site, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._zone = zone_of(site.time_zone)
        self.fields["at"].label = f"When, by the clock of {self._zone.key}"
        shown = timezone.now().astimezone(self._zone).strftime(SHOWN_AS)
        self.fields["at"].widget = forms.DateTimeInput(
            attrs={"type": "datetime-local", "value": shown}, format=SHOWN_AS
        )

    def clean_at(self) -> datetime:
        """Return the moment; now where the field is empty."""
        given: datetime | None = self.cleaned_data["at"]
        if given is None:
            return timezone.now()
        if not _FIRST_YEAR <= given.year <= _LAST_YEAR:
            raise forms.ValidationError(f"The year must be from {_FIRST_YEAR} to {_LAST_YEAR}.")
        return given.replace(tzinfo=self._zone)

    def clean(self) -> dict[str, Any]:
        """Read the card or code."""
        cleaned = super().clean() or {}
        if cleaned.get("value"):
            text, kind = cleaned["value"], CredentialKind(cleaned.get("kind") or CredentialKind.HF_UID)
            try:
                is_shown = kind is CredentialKind.QR_STATIC and is_pass(text.encode())
                cleaned["kind"], cleaned["canonical"] = kind, text.encode() if is_shown else read_typed(kind, text)
            except CredentialError as fault:
                self.add_error("value", str(fault))
        return cleaned

    @property
    def is_unusual(self) -> bool:
        """Whether one of the rarer circumstances was chosen."""
        return self.is_bound and any(self[name].value() for name in _RARE)

    @property
    def circumstances(self) -> Circumstances:
        """The question without whom it is about."""
        given = self.cleaned_data
        offline_h = given["offline_h"]
        return Circumstances(
            wall_ms=int(given["at"].timestamp() * 1000),
            direction=Direction(given["direction"] or Direction.IN),
            lockdown=given["lockdown"] or 0,
            mode=DoorMode(given["mode"]) if given["mode"] else None,
            offline_s=None if offline_h is None else offline_h * 3600,
            knows_time=not given["knows_no_time"],
            is_inside=_said(given["where"]),
            has_company=_said(given["company"]),
        )


def _said(chosen: str) -> bool | None:
    return None if chosen == _RECORD else chosen == _YES
