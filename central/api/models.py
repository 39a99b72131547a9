"""Keys of other systems, and the answers they were given."""

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from django.conf import settings
from django.db import models


class Scope(StrEnum):
    """What a key may be used for, beside what its owner may do."""

    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    CREDENTIALS_READ = "credentials:read"
    CREDENTIALS_WRITE = "credentials:write"


class ApiKey(models.Model):
    """A key of another system. It may do what its scopes say, and never more than its owner may; only a hash is kept.

    `id` is the public part of the key, by which it is found.
    """

    id = models.CharField(primary_key=True, max_length=16, editable=False)
    name = models.CharField(max_length=100, help_text="Which system uses it")
    secret_hash = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=list)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="api_keys",
        help_text="Who answers for it; it can do nothing that this person may not",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True, help_text="Empty for never")
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = "API key"
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.name} ({self.id})"

    def is_good(self, now: datetime) -> bool:
        """Whether it opens anything."""
        has_expired = self.expires_at is not None and self.expires_at <= now
        return self.revoked_at is None and not has_expired and self.owner.is_active


class KeptAnswer(models.Model):
    """What was answered to a request that named an `Idempotency-Key`, so that a repetition gets the same.

    `digest` is keyed and covers method, path and body. Refused requests changed nothing and are not kept.
    """

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="kept_answers")
    key = models.CharField(max_length=255)
    digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(default=0)
    body = models.TextField(blank=True)
    location = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["api_key", "key"], name="answer_once")]

    def __str__(self) -> str:
        return f"{self.status} to {self.key} of {self.api_key_id}"
