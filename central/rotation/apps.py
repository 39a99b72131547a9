"""Registers the app with Django."""

from django.apps import AppConfig


class RotationConfig(AppConfig):
    """The `rotation` app."""

    name = "central.rotation"
    label = "rotation"
    verbose_name = "Keys of the card index"
