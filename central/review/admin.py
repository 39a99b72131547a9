"""What came of making decisions again, for staff."""

from django.contrib import admin

from central.checkins.admin import RecordAdmin
from central.review.models import ReviewedRun


@admin.register(ReviewedRun)
class ReviewedRunAdmin(RecordAdmin):
    """How far each run was gone through, and what came of it."""

    list_display = ["run", "n", "agreed", "differed", "other_facts", "not_reviewed"]
    list_filter = ["run__device"]
    list_select_related = ["run"]
