"""Django's entry for this app."""

from django.apps import AppConfig


class PassesConfig(AppConfig):
    """Signed passes and phones."""

    name = "central.passes"
    label = "passes"

    def ready(self) -> None:
        """Hear of members who are blocked."""
        from central.passes.watching import connect  # models load before apps are ready, not before they exist

        connect()
