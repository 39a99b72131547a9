"""How far decisions were made again, and what came of it."""

from typing import ClassVar

from django.db import models

from central.checkins.models import Run


class ReviewedRun(models.Model):
    """The decisions of a run up to `n`: how many agreed, how many differed, and why others could not be made again.

    `other_facts` counts those that agreed although the door had other facts than its receipt leads to.
    """

    run = models.OneToOneField(Run, primary_key=True, on_delete=models.CASCADE, related_name="review")
    n = models.BigIntegerField(default=0)
    agreed = models.BigIntegerField(default=0)
    differed = models.BigIntegerField(default=0)
    other_facts = models.BigIntegerField(default=0)
    not_reviewed = models.JSONField(default=dict)

    class Meta:
        verbose_name = "review of a run"
        verbose_name_plural = "reviews of runs"
        ordering: ClassVar = ["-run"]

    def __str__(self) -> str:
        return f"review of {self.run_id}"
