"""Registers the app with Django."""

from django.apps import AppConfig


class DevicesConfig(AppConfig):
    """The `devices` app."""

    name = "central.devices"
    label = "devices"
