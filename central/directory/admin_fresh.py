"""Forms that are refused where somebody else changed the same thing since the page was opened.

A page sends back everything that it showed. One that had been open for a while would give back a card that was revoked
meanwhile, let in somebody who was blocked, and forget visits of a pack.
"""

from hashlib import sha256
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model

from central.directory.models import Credential, Member, Membership

_LINKS = (Membership.groups.through, Membership.schedules.through, Membership.zones.through)


class FreshForm(forms.ModelForm):  # type: ignore[type-arg]
    """A form with a mark of what stood there when it was shown; list `seen` among the fields of its page."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self._is_new:
            self.initial["seen"] = mark_of(self.instance)

    def clean(self) -> dict[str, Any]:
        """Look again, and keep others from changing it until this is saved."""
        cleaned = super().clean() or {}
        shown = cleaned.get("seen")
        if shown and not self._is_new:
            now = type(self.instance)._default_manager.select_for_update().get(pk=self.instance.pk)  # noqa: SLF001
            if mark_of(now) != shown:
                detail = "somebody else changed this meanwhile, or a visit was counted: nothing is saved; open it again"
                raise ValidationError(detail)
        return cleaned

    @property
    def _is_new(self) -> bool:
        return bool(self.instance._state.adding)  # noqa: SLF001 - public by Django's documentation, whatever its name


def mark_of(thing: Model) -> str:
    """Return what changes with everything that the page of a thing saves."""
    own = [getattr(thing, field.attname) for field in thing._meta.concrete_fields]  # noqa: SLF001 - as above
    parts = _parts_of(thing) if isinstance(thing, Member) else []
    return sha256(repr((own, parts)).encode()).hexdigest()[:32]


def _parts_of(member: Member) -> list[list[Any]]:
    memberships = Membership.objects.filter(member=member).order_by("pk")
    return [
        list(Credential.objects.filter(member=member).order_by("pk").values_list("pk", "is_revoked")),
        list(member.packs.order_by("pk").values_list("pk", "visits", "used")),
        list(member.guardians.order_by("pk").values_list("pk", flat=True)),
        list(memberships.values_list("pk", "site", "plan")),
        *(list(link.objects.filter(membership__in=memberships).order_by("pk").values_list()) for link in _LINKS),
    ]
