"""Addresses of the desk."""

from django.urls import path

from central.desk import views

urlpatterns = [
    path("desk/members/<uuid:member_id>", views.begin, name="begin_capture"),
    path("desk/captures/<uuid:capture_id>", views.capture, name="capture"),
    path("desk/captures/<uuid:capture_id>/look", views.look, name="look_at_capture"),
]
