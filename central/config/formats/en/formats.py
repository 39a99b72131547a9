"""Dates and times as ISO 8601 has them, with their zone: the administration shows UTC, and says so.

Names and letters: docs.djangoproject.com/en/5.2/topics/i18n/formatting, "Creating custom format files".
"""

from typing import Final

DATE_FORMAT: Final = "Y-m-d"
DATETIME_FORMAT: Final = "Y-m-d H:i:s T"
SHORT_DATETIME_FORMAT: Final = "Y-m-d H:i T"
TIME_FORMAT: Final = "H:i"
