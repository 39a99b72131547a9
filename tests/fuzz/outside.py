"""Targets outside the suite: Django set up, quiet, and a database in memory for the target that needs one."""

import logging
import os
import tempfile

from tests.fuzz.target import Target


def prepared(name: str) -> Target:
    """Return a target that is ready to run."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "central.config.settings")
    os.environ.setdefault("DOORSTILE_DATA", tempfile.mkdtemp(prefix="doorstile-fuzz-data-"))
    import django

    django.setup()
    logging.disable(logging.CRITICAL)
    from tests.fuzz.registry import TARGETS

    target = TARGETS[name]
    if target.uses_database:
        from django.db import connection

        connection.creation.create_test_db(verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=OFF")  # nothing of it has to survive
    return target
