"""Registers the app with Django."""

from django.apps import AppConfig


class ReviewConfig(AppConfig):
    """The `review` app."""

    name = "central.review"
    label = "review"
