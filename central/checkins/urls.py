"""Addresses of the ledger's data."""

from django.urls import path

from central.checkins.views import entries, statistics

urlpatterns = [
    path("api/stats", statistics, name="statistics"),
    path("api/feed", entries, name="entries"),
]
