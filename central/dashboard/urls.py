"""Addresses of the dashboard."""

from django.urls import path

from central.dashboard.views import command, page, unlock

urlpatterns = [
    path("", page, name="dashboard"),
    path("devices/<uuid:device_id>/unlock", unlock, name="unlock"),
    path("commands/<uuid:command_id>", command, name="command"),
]
