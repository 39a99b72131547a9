"""Registers the app with Django."""

from django.apps import AppConfig


class DeskConfig(AppConfig):
    """The `desk` app."""

    name = "central.desk"
    label = "desk"
