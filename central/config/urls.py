"""Which address leads where. The dashboard stands at the root; devices use `/api/enrol` and the link."""

from django.contrib import admin
from django.urls import include, path

from central.config.health import health
from central.config.login import StaffLogin
from central.devices.views import enrol
from wire.enrolment import ENROL_PATH

admin.site.site_header = admin.site.site_title = "Doorstile"
admin.site.index_title = "Administration"
admin.site.login_form = StaffLogin

urlpatterns = [
    path("health", health, name="health"),
    path(ENROL_PATH.lstrip("/"), enrol, name="enrol"),
    path("api/v1/", include("central.api.urls")),
    path("admin/", admin.site.urls),
    path("", include("central.checkins.urls")),
    path("", include("central.passes.urls")),
    path("", include("central.desk.urls")),
    path("", include("central.whatif.urls")),
    path("", include("central.dashboard.urls")),
]
