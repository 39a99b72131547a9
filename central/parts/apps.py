"""Registers the app with Django."""

from django.apps import AppConfig


class PartsConfig(AppConfig):
    """The `parts` app."""

    name = "central.parts"
    label = "parts"

    def ready(self) -> None:
        """Begin to watch for new credentials and memberships."""
        from central.parts.watching import connect  # models load before apps are ready, not before they exist

        connect()
