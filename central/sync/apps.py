"""Registers the app with Django."""

from django.apps import AppConfig


class SyncConfig(AppConfig):
    """The `sync` app."""

    name = "central.sync"
    label = "sync"
