"""Addresses of passes: the desk for staff, the phone's page for members."""

from django.urls import path

from central.passes import phone_views, views

urlpatterns = [
    path("passes/", views.desk, name="passes"),
    path("passes/<uuid:pass_id>", views.show, name="pass"),
    path("passes/<uuid:pass_id>/revoke", views.revoke, name="revoke_pass"),
    path("passes/phones/<uuid:member_id>", views.link_phone, name="link_phone"),
    path("phone/", phone_views.page, name="phone"),
    path("phone/worker.js", phone_views.worker, name="phone_worker"),
    path("phone/keys", phone_views.register, name="register_phone"),
    path("phone/clock", phone_views.clock, name="phone_clock"),
]
