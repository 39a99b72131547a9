"""Registers the app with Django."""

from django.apps import AppConfig


class DirectoryConfig(AppConfig):
    """The `directory` app."""

    name = "central.directory"
    label = "directory"

    def ready(self) -> None:
        """Begin to watch for deletions."""
        from central.directory.versions import connect  # models load before apps are ready, not before they exist

        connect()
