"""Registers the app with Django."""

from django.apps import AppConfig


class WhatIfConfig(AppConfig):
    """The `whatif` app; it keeps nothing."""

    name = "central.whatif"
    label = "whatif"
