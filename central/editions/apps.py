"""Registers the app with Django."""

from django.apps import AppConfig


class EditionsConfig(AppConfig):
    """The `editions` app."""

    name = "central.editions"
    label = "editions"
