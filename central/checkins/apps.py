"""Registers the app with Django."""

from django.apps import AppConfig


class CheckinsConfig(AppConfig):
    """The `checkins` app."""

    name = "central.checkins"
    label = "checkins"
    verbose_name = "Check-ins"
