"""What every row has in common that devices are told of: a change of it is a new version of the directory."""

from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import UUID

from django.db import models, transaction


class Versioned(models.Model):
    """A row that devices are told of: saving it and raising the directory's version are one transaction.

    Deleting raises the version by the `post_delete` signal (`versions.connect`), which query sets send as well.
    """

    tells_of_members: ClassVar[bool] = True
    """False for what stands in the book alone: no member's row says anything of it."""

    class Meta:
        abstract = True

    def sites_told(self) -> Iterable[UUID]:
        """Return the sites whose devices know of this row."""
        raise NotImplementedError

    def members_told(self) -> Iterable[UUID] | None:
        """Return the members whose rows are other than before, None where that may be anybody's."""
        return None if self.tells_of_members else ()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, and raise the version of every site concerned."""
        from central.directory.versions import raise_for_sites  # a cycle: versions counts for these models

        with transaction.atomic():
            super().save(*args, **kwargs)
            raise_for_sites(self.sites_told(), self.members_told())
