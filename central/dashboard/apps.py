"""Registers the app with Django."""

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """The `dashboard` app."""

    name = "central.dashboard"
    label = "dashboard"
