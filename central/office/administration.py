"""Registers Django's administration, as `OfficeSite` orders it."""

from django.contrib.admin.apps import AdminConfig


class AdministrationConfig(AdminConfig):
    """Django's administration with a site of our own."""

    default_site = "central.office.site.OfficeSite"
