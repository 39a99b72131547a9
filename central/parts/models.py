"""The forms in which readers of a door spell cards and drop bits, and what they make of each card of the site.

At one site one reading is one card: of those that look alike there doors are told none in that form (`alike`).
"""

from collections.abc import Iterable
from typing import ClassVar
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import models

from central.devices.models import Door, Site
from central.directory.models import Credential
from central.directory.models_base import Versioned
from wire.credentials import CredentialError
from wire.forms import FORMS, is_partial
from wire.vocabulary import CredentialKind

SPELLING_CHARS = 64


def spellings() -> list[tuple[str, str]]:
    """Return every form that drops bits, as `kind/form`, with what it is."""
    return [
        (f"{kind}/{form.name}", f"{kind}: {form.says}")
        for kind, forms in FORMS.items()
        for form in forms
        if form.read is None
    ]


class DoorForm(Versioned):
    """A reader of the door spells cards like this; `spelling` is `kind/form` as in the table of credentials."""

    door = models.ForeignKey(Door, on_delete=models.CASCADE, related_name="partial_forms")
    spelling = models.CharField(max_length=SPELLING_CHARS, choices=spellings())
    is_reported = models.BooleanField(
        "reported",
        default=False,
        editable=False,
        help_text="By the device, as long as nobody entered another for the door",
    )

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["door", "spelling"], name="door_form_once")]
        verbose_name = "form that drops bits"
        verbose_name_plural = "forms that drop bits"

    def __str__(self) -> str:
        return f"{self.spelling} at {self.door}"

    def clean(self) -> None:
        """Refuse a form that there is not, and one that holds the whole card: that needs no entry here."""
        kind, _, form = self.spelling.partition("/")
        try:
            if is_partial(CredentialKind(kind), form):
                return
        except (CredentialError, ValueError) as fault:
            raise ValidationError({"spelling": str(fault)}) from fault
        raise ValidationError({"spelling": f"{self.spelling} holds the whole card and needs no entry"})

    def sites_told(self) -> Iterable[UUID]:
        """Return the site of the door."""
        return [self.door.site_id]


class CardPart(models.Model):
    """How a card looks in a form that a door of the site has; `fingerprint` is keyed by central."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="+")
    credential = models.ForeignKey(Credential, on_delete=models.CASCADE, related_name="parts")
    spelling = models.CharField(max_length=SPELLING_CHARS)
    fingerprint = models.CharField(max_length=64)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["site", "spelling", "credential"], name="card_part_of_card"),
        ]
        indexes: ClassVar = [models.Index(fields=["site", "spelling", "fingerprint"], name="card_part_by_looks")]

    def __str__(self) -> str:
        return f"{self.credential} as {self.spelling}"
