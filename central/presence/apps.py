"""Registers the app with Django."""

from django.apps import AppConfig


class PresenceConfig(AppConfig):
    """The `presence` app."""

    name = "central.presence"
    label = "presence"

    def ready(self) -> None:
        """Hear of packs that staff change."""
        from central.presence import packs

        packs.connect()
