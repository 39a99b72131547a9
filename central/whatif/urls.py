"""Addresses of what-if questions."""

from django.urls import path

from central.whatif.views import ask, outage

urlpatterns = [
    path("devices/<uuid:device_id>/what-if", ask, name="what_if"),
    path("devices/<uuid:device_id>/without-link", outage, name="without_link"),
]
