"""Registers the app with Django."""

from django.apps import AppConfig


class OfficeConfig(AppConfig):
    """The `office` app; it keeps nothing. It stands before the administration, whose templates it replaces."""

    name = "central.office"
    label = "office"
