"""Addresses of the API."""

from django.urls import path

from central.api.description import describe
from central.api.resources import RESOURCES
from central.api.serving import view_of

urlpatterns = [
    path("openapi.json", describe, name="api_description"),
    *(
        path(resource.path.replace("{id}", "<uuid:id>"), view_of(resource), name=f"api_{resource.path}")
        for resource in RESOURCES
    ),
]
