"""Django's entry for this app."""

from django.apps import AppConfig


class PassesConfig(AppConfig):
    """Signed passes and phones."""

    name = "central.passes"
    label = "passes"
